//! From what is wanted and what is there to a plan. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    HASH_LABEL, SETTINGS_LABEL,
    observe::{self, Observed, Seen, split_image},
    obstacle::{is_down, obstacle},
    target::Target,
};
use crate::{
    engine::Replica,
    event::Verdict,
    helper::Presence,
    keep::{self, Deployed},
    plan::{Change, Operation, Plan, Refusal, Request, ServicePlan, What},
    project::{Project, Service},
};

/// What is decided of one service.
struct Decision {
    verdict: Verdict,
    reason: String,
    /// `None`: nothing is sent.
    change: Option<Change>,
    /// What is under way is waited for.
    waits: bool,
    refusal: Option<Refusal>,
}

pub fn plan(
    project: &Project,
    targets: &BTreeMap<String, Target>,
    observed: &Observed,
    request: &Request,
) -> Plan {
    let names = match request.services.is_empty() {
        true => project.services.keys().cloned().collect(),
        false => project.reach(&request.services, request.no_deps),
    };
    let order = project.dependency_order().into_iter().filter(|name| names.contains(name));
    let planner = Planner { project, targets, observed, request, names: &names };
    let services: Vec<_> = order.filter_map(|name| planner.service(&name)).collect();
    let is_orphan =
        |name: &&String| !project.services.contains_key(*name) && !request.dormant.contains(*name);
    let orphans = observed.services.iter().filter(|(name, _)| is_orphan(name));
    Plan {
        project: project.name.clone(),
        services,
        orphans: orphans.map(|(name, seen)| observe::orphan(seen, name)).collect(),
        remove_orphans: request.remove_orphans,
        helper: Presence::Off,
        heard: vec![],
        waits: BTreeMap::new(),
        images: targets
            .iter()
            .map(|(name, target)| (name.clone(), split_image(&target.image).1.to_owned()))
            .collect(),
    }
}

struct Planner<'a> {
    project: &'a Project,
    targets: &'a BTreeMap<String, Target>,
    observed: &'a Observed,
    request: &'a Request,
    names: &'a Vec<String>,
}

impl Planner<'_> {
    fn service(&self, name: &str) -> Option<ServicePlan> {
        let (target, service) = (self.targets.get(name)?, self.project.services.get(name)?);
        let seen = self.observed.services.get(name);
        let asked = self.request.services.is_empty() || self.request.services.iter().any(|s| s == name);
        let decision = match (asked, seen) {
            _ if target.job => self.job(name, target, asked),
            (false, Some(_)) => unchanged("is there, and was not asked for"),
            (_, None) => send(Verdict::Create, "no such service yet", Change::Create),
            (true, Some(seen)) => self.existing(name, target, seen, service),
        };
        let decision = if self.request.force && decision.verdict == Verdict::Unchanged && asked {
            send(Verdict::Roll, "restart", Change::Restart)
        } else {
            decision
        };
        Some(self.planned(name, target, seen, service, asked, decision))
    }

    /// The good revision that runs knows what has run.
    fn job(&self, name: &str, target: &Target, asked: bool) -> Decision {
        let revisions = &self.observed.revisions;
        let ran = |deployed: &&Deployed| deployed.hash == target.hash;
        let good = revisions.iter().rev().filter(|revision| revision.is_good());
        let before =
            good.filter(|r| r.services.get(name).as_ref().is_some_and(ran)).map(|r| r.number).next_back();
        match before {
            _ if self.request.spares_jobs && !asked => unchanged("a job; it is not run again"),
            Some(number) if !(asked && self.request.services.iter().any(|s| s == name)) => {
                unchanged(&format!("has run, in revision {number}"))
            }
            _ => Decision { change: None, ..send(Verdict::Create, "a job, which runs once", Change::Create) },
        }
    }

    fn existing(&self, name: &str, target: &Target, seen: &Seen, service: &Service) -> Decision {
        let now = &seen.service;
        if (now.mode() == "global") != target.is_global() || now.mode().ends_with("job") {
            let wanted = if target.is_global() { "global" } else { "replicated" };
            let problem = format!("Swarm cannot make a {} service {wanted}", now.mode());
            return blocked(problem, "remove the service first, with a downtime, or give it another name");
        }
        let is_same = now.label(HASH_LABEL) == Some(&target.hash);
        let going = matches!(now.state(), "updating" | "rollback_started");
        if going && now.label(HASH_LABEL).is_none() {
            let problem = "another tool is updating it right now".to_owned();
            return blocked(problem, "wait until that has ended");
        }
        let why = match now.label(HASH_LABEL) {
            _ if is_same && now.state() == "paused" => Some("its update is paused".to_owned()),
            _ if is_same && now.state() == "rollback_paused" => Some("its rollback is paused".to_owned()),
            _ if is_same && self.is_changed_by_hand(name, seen) => {
                Some("changed by somebody else since".to_owned())
            }
            _ if is_same => None,
            None => Some("deployed by another tool".to_owned()),
            Some(_) if going => Some("another version, whose rollout was left half way".to_owned()),
            Some(_) => Some(changed(target, seen)),
        };
        match why {
            Some(why) => self.replace(name, target, seen, service, &why),
            None if going => Decision {
                change: None,
                waits: true,
                ..send(Verdict::Roll, "is being updated", Change::StartFirst)
            },
            None => self.same_tasks(target, seen),
        }
    }

    fn same_tasks(&self, target: &Target, seen: &Seen) -> Decision {
        let now = &seen.service;
        let settings = now.label(SETTINGS_LABEL) != Some(&target.settings_hash);
        let count = now.replicas() != target.replicas.map(u64::from);
        let (running, wanted) = (seen.running().count() as u64, self.tasks(target));
        match (settings, count) {
            // Swarm starts them by itself. Of a global one only Swarm knows how many it can place.
            (false, false) if running < wanted && !target.is_global() => Decision {
                change: None,
                waits: true,
                ..send(Verdict::Scale, &format!("{running} of {wanted} tasks run"), Change::Scale)
            },
            (false, false) => unchanged("definition, image and count are as wanted"),
            (_, true) => {
                let (from, to) = (now.replicas().unwrap_or_default(), target.replicas.unwrap_or_default());
                send(Verdict::Scale, &format!("{from} of {to} replicas"), Change::Scale)
            }
            (true, false) => {
                send(Verdict::Settings, "only labels or update settings changed", Change::Settings)
            }
        }
    }

    fn replace(&self, name: &str, target: &Target, seen: &Seen, service: &Service, why: &str) -> Decision {
        let obstacle = obstacle(name, target, self.project, self.observed);
        let serves = seen.running().next().is_some();
        if obstacle.is_none() && !target.stop_first || !serves {
            return send(Verdict::Roll, why, Change::StartFirst);
        }
        let (key, problem) = match obstacle {
            Some(obstacle) => (obstacle.key, obstacle.problem),
            None => (Some("deploy"), "order is stop-first".to_owned()),
        };
        let why = format!("{why}; {problem}");
        if !is_down(self.tasks(target), &service.settings) {
            return send(Verdict::Roll, &why, Change::StopFirst);
        }
        let refusal = Refusal {
            key,
            problem: format!("{problem}, and nothing of it serves meanwhile"),
            remedy: "add --allow-downtime, and Swarm stops the old before it starts the new".to_owned(),
        };
        Decision {
            refusal: (!self.request.allow_downtime).then_some(refusal),
            ..send(Verdict::Recreate, &why, Change::Down)
        }
    }

    fn tasks(&self, target: &Target) -> u64 {
        target.replicas.map_or(self.observed.active_nodes().len() as u64, u64::from)
    }

    fn is_changed_by_hand(&self, name: &str, seen: &Seen) -> bool {
        let recorded = recorded(self.observed, name, seen).and_then(|deployed| deployed.spec.as_ref());
        recorded.is_some_and(|spec| *spec != observe::spec_hash(&seen.service.spec))
    }

    fn planned(
        &self,
        name: &str,
        target: &Target,
        seen: Option<&Seen>,
        service: &Arc<Service>,
        asked: bool,
        decision: Decision,
    ) -> ServicePlan {
        let tasks = self.tasks(target);
        let acts = decision.refusal.is_none();
        let operations = if acts { operations(name, target, &decision, tasks) } else { vec![] };
        let mut wanted = (**service).clone();
        wanted.image.reference = split_image(&target.image).0.to_owned();
        let stack = &self.project.name;
        let before: Vec<Replica> = seen
            .into_iter()
            .flat_map(Seen::running)
            .map(|task| observe::replica(task, name, stack))
            .collect();
        ServicePlan {
            service: name.to_owned(),
            asked,
            verdict: decision.verdict,
            reason: decision.reason,
            replicas: u32::try_from(tasks).unwrap_or(u32::MAX),
            refusals: decision.refusal.into_iter().collect(),
            notes: if operations.is_empty() { vec![] } else { target.notes.clone() },
            after: target.after.iter().filter(|name| self.names.contains(name)).cloned().collect(),
            operations,
            ways: vec![],
            before,
            wanted: Arc::new(wanted),
        }
    }
}

/// What the newest revision that deployed what runs says of it.
pub fn recorded<'o>(observed: &'o Observed, name: &str, seen: &Seen) -> Option<&'o Deployed> {
    let hash = seen.service.label(HASH_LABEL)?;
    let good = observed.revisions.iter().rev().filter(|revision| revision.is_good());
    good.filter_map(|revision| revision.services.get(name)).find(|deployed| deployed.hash == hash)
}

/// The number of that revision.
pub fn recorded_number(revisions: &[keep::Revision], name: &str, hash: &str) -> Option<u32> {
    let good = revisions.iter().rev().filter(|revision| revision.is_good());
    let has = |revision: &&keep::Revision| revision.services.get(name).is_some_and(|d| d.hash == hash);
    good.filter(has).map(|revision| revision.number).next()
}

fn changed(target: &Target, seen: &Seen) -> String {
    let (image, running) = (split_image(&target.image), split_image(seen.service.image()));
    match image == running {
        false if image.0 == running.0 => "image changed, under the same tag".to_owned(),
        false => "image changed".to_owned(),
        true => "configuration changed".to_owned(),
    }
}

fn operations(name: &str, target: &Target, decision: &Decision, tasks: u64) -> Vec<Operation> {
    let operation = |batch, what| Operation { batch, what, cause: decision.reason.clone() };
    if decision.verdict == Verdict::Unchanged || decision.verdict == Verdict::Blocked {
        return vec![];
    }
    let mut all: Vec<_> =
        target.before.keys().map(|hook| operation(0, What::RunOnce { name: hook.clone() })).collect();
    if target.job {
        let name = job_name(target).unwrap_or_else(|| name.to_owned());
        return vec![operation(1, What::RunOnce { name })];
    }
    let Some(change) = decision.change else {
        return if decision.waits { vec![operation(1, What::Gate { also: vec![] })] } else { vec![] };
    };
    // Hooks prepare for other tasks.
    if matches!(change, Change::Scale | Change::Settings | Change::Restart) {
        all.clear();
    }
    all.push(operation(1, What::Deploy { change, tasks }));
    all.push(operation(1, What::Gate { also: vec![] }));
    all
}

/// The one service of its text.
fn job_name(target: &Target) -> Option<String> {
    let text: serde_json::Value = serde_yaml::from_str(&target.text).ok()?;
    text["services"].as_object()?.keys().next().cloned()
}

fn unchanged(reason: &str) -> Decision {
    Decision {
        verdict: Verdict::Unchanged,
        reason: reason.to_owned(),
        change: None,
        waits: false,
        refusal: None,
    }
}

fn send(verdict: Verdict, reason: &str, change: Change) -> Decision {
    Decision { verdict, reason: reason.to_owned(), change: Some(change), waits: false, refusal: None }
}

fn blocked(problem: String, remedy: &str) -> Decision {
    let refusal = Refusal { key: None, problem, remedy: remedy.to_owned() };
    Decision {
        refusal: Some(refusal),
        change: None,
        ..send(Verdict::Blocked, "cannot be done as written", Change::Settings)
    }
}

/// The services of which tasks are replaced or made.
pub fn touched(plan: &Plan) -> BTreeSet<String> {
    let touched = plan.services.iter().filter(|service| !service.operations.is_empty());
    touched.map(|service| service.service.clone()).collect()
}
