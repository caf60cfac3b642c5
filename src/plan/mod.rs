//! From what is wanted and what is there to what will be done. Pure: no process, no clock, no environment.
//!
//! A plan is data. Its text is what `docker zdd plan` prints, what the tests compare, and exactly what
//! `rollout` carries out.

mod drain;
mod order;
mod program;
mod service;
mod situation;
mod steps;
mod text;
mod traefik;
mod unhealthy;

pub use drain::Means;
pub use text::Verbose;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    event::{ContainerRef, PlannedService, Verdict},
    model::{Hazard, Model, Service, Settings},
    observed::{Container, State},
};

/// What is there, read once.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    pub containers: Vec<Container>,
    /// Service → ID of the local image that counts as its own; absent when there is none.
    pub images: BTreeMap<String, String>,
    /// Service → names of its containers that Compose itself would replace or remove. Only for services whose hash
    /// cannot be compared, because the label carries another one than `config --hash` prints.
    pub outdated: BTreeMap<String, BTreeSet<String>>,
}

/// What the user asked for beyond the files.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Named services; empty for the whole file.
    pub services: Vec<String>,
    pub no_deps: bool,
    /// Treat every container as changed.
    pub force: bool,
    pub allow_downtime: bool,
    pub remove_orphans: bool,
    /// Services whose image will be built or pulled before the plan is carried out (dry run only).
    pub pending_images: BTreeSet<String>,
    /// Services that the files know but that no enabled profile selects; their containers are no orphans.
    pub dormant: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    pub project: String,
    /// Each behind those that must be done before it.
    pub services: Vec<ServicePlan>,
    /// Containers of services that no file names any more; removed only on request.
    pub orphans: Vec<ContainerRef>,
    pub remove_orphans: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServicePlan {
    pub service: String,
    /// The user wants it up to date; else it is only here because another one depends on it.
    pub asked: bool,
    pub verdict: Verdict,
    /// Why this verdict, in words.
    pub reason: String,
    pub replicas: u32,
    /// Why it may not be done, and what to write instead. Nothing is touched while any service has one.
    pub refusals: Vec<Refusal>,
    /// What the user should know although it hinders nothing.
    pub notes: Vec<String>,
    /// Services of this plan that must be done before this one begins.
    pub after: Vec<String>,
    pub steps: Vec<Step>,
    /// It runs to its end instead of serving.
    pub one_shot: bool,
    /// How old containers leave the proxy.
    pub means: Means,
    #[serde(serialize_with = "settings_with_sources")]
    pub settings: Settings,
}

/// One reason to refuse, with the key of the service it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    pub key: Option<&'static str>,
    pub problem: String,
    pub remedy: String,
}

/// How Compose is asked for new containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// `up -d`: Compose creates and starts them.
    Up,
    /// `up --no-start`, then `docker start` of the new IDs: because `up -d` would also start every stopped
    /// container of the service (Compose 5.6.1), and there are such.
    CreateThenStart,
}

/// One step of a service's rollout. `batch` counts from 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Removes stopped leftovers before anything is started. No undo: they serve nobody.
    Clear {
        containers: Vec<ContainerRef>,
    },
    /// Runs the `pre_start` hooks once, from the new image.
    PreStart,
    Delay {
        seconds: f64,
    },
    /// `scale` counts every container of the service, running or not, and the new ones.
    Start {
        batch: u32,
        count: u32,
        scale: u32,
        how: Start,
    },
    /// Watches the batch's new containers, and the `also` that were already there.
    Gate {
        batch: u32,
        also: Vec<ContainerRef>,
    },
    Settle {
        seconds: f64,
    },
    Drain {
        batch: u32,
        containers: Vec<ContainerRef>,
    },
    /// Stops, does not remove: an undo starts them again.
    Stop {
        batch: u32,
        containers: Vec<ContainerRef>,
    },
    Remove {
        containers: Vec<ContainerRef>,
    },
    /// `up -d` of a service of which nothing runs: Compose starts, recreates or removes what is stopped.
    Revive {
        down: Vec<ContainerRef>,
        force: bool,
    },
    /// Waits until jobs of an older version have ended, however they end.
    Await {
        containers: Vec<ContainerRef>,
    },
    /// `up -d` without `--no-recreate`: Compose stops the old before it starts the new.
    Recreate {
        old: Vec<ContainerRef>,
    },
}

/// Each key with its value and source, as `plan --verbose` shows them.
fn settings_with_sources<S: serde::Serializer>(settings: &Settings, s: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Setting {
        value: String,
        source: String,
    }
    s.collect_map(
        settings
            .explained()
            .into_iter()
            .map(|(key, value, source)| (key, Setting { value, source: source.to_string() })),
    )
}

impl Plan {
    pub fn changes(&self) -> bool {
        self.services.iter().any(|service| !service.steps.is_empty())
            || (self.remove_orphans && !self.orphans.is_empty())
    }

    pub fn refused(&self) -> bool {
        self.services.iter().any(|service| !service.refusals.is_empty())
    }

    pub fn overview(&self) -> Vec<PlannedService> {
        let one = |plan: &ServicePlan| PlannedService {
            service: plan.service.clone(),
            verdict: plan.verdict,
            reason: plan.reason.clone(),
            replicas: plan.replicas,
        };
        self.services.iter().map(one).collect()
    }
}

impl ServicePlan {
    pub fn batches(&self) -> u32 {
        self.steps.iter().filter(|step| matches!(step, Step::Start { .. })).count() as u32
    }
}

/// Plans the whole request.
///
/// Named services are brought up to date; what they depend on is only started where nothing of it runs, as
/// nobody asked for its update. Without names every service of the model is brought up to date.
pub fn plan(model: &Model, observed: &Observed, request: &Request) -> Plan {
    let scope = Scope::of(model, request);
    // Nobody asked for a change of what is only depended on; a job among them has run.
    let unforced = Request { force: false, ..request.clone() };
    let mut services = Vec::new();
    for name in model.dependency_order().iter().filter(|name| scope.all.contains(*name)) {
        let service = &model.services[name];
        let mine: Vec<_> = observed.containers.iter().filter(|c| c.service == *name).collect();
        let asked = scope.asked.contains(name);
        let request = if asked { request } else { &unforced };
        let situation = situation::Situation::new(service, &mine, observed, request);
        let mut plan = match asked {
            true => service::plan(service, &situation, request),
            false => service::plan_dependency(service, &situation, request),
        };
        plan.notes.extend(service::anonymous_volume_note(&mine, &plan.steps));
        let (means, note) = drain::choose(name, &service.settings.drain, observed);
        if plan.steps.iter().any(|step| matches!(step, Step::Drain { .. })) {
            plan.notes.extend(note);
        }
        plan.notes.extend(left_behind(service, &plan, &scope, observed));
        plan.means = means;
        plan.asked = scope.asked.contains(name);
        let notes = drain::notes(service, &plan, observed);
        plan.notes.extend(notes);
        plan.after = service
            .depends_on
            .iter()
            .map(|d| d.service.clone())
            .filter(|d| scope.all.contains(d) && model.services.contains_key(d))
            .collect();
        services.push(plan);
    }
    Plan {
        project: model.project.clone(),
        services: order::after_proxies(model, observed, services),
        orphans: orphans(model, observed, request),
        remove_orphans: request.remove_orphans,
    }
}

/// Services that live in containers of this one, and would stay with the old ones because nobody named them.
fn left_behind(service: &Service, plan: &ServicePlan, scope: &Scope, observed: &Observed) -> Vec<String> {
    let replaces = |step: &Step| matches!(step, Step::Recreate { .. } | Step::Stop { .. });
    let runs =
        |name: &String| observed.containers.iter().any(|c| c.service == *name && c.state == State::Running);
    let sharers = service.hazards.iter().filter_map(|hazard| match hazard {
        Hazard::NamespaceSharedBy { service, key } => Some((service, key)),
        _ => None,
    });
    let left = sharers.filter(|(name, _)| !scope.all.contains(*name) && runs(name));
    let note = |(name, key): (&String, &&str)| {
        format!(
            "\"{name}\" lives in its container ({key}) and is not named: it would stay with the old one; name it too"
        )
    };
    if plan.steps.iter().any(replaces) { left.map(note).collect() } else { vec![] }
}

struct Scope {
    asked: BTreeSet<String>,
    all: BTreeSet<String>,
}

impl Scope {
    fn of(model: &Model, request: &Request) -> Scope {
        if request.services.is_empty() {
            let all: BTreeSet<_> = model.services.keys().cloned().collect();
            return Scope { asked: all.clone(), all };
        }
        let asked = request.services.iter().cloned().collect();
        Scope { asked, all: reach(model, &request.services, request.no_deps).into_iter().collect() }
    }
}

/// In what the running containers of a service differ from what is wanted: `image`, `configuration`.
pub fn differences(service: &Service, mine: &[&Container], observed: &Observed) -> Vec<&'static str> {
    situation::Situation::new(service, mine, observed, &Request::default()).differences
}

/// The named services and, unless `no_deps`, all that they depend on. A dependency that is not required may be in
/// no enabled profile; it is left out.
pub fn reach(model: &Model, named: &[String], no_deps: bool) -> Vec<String> {
    let mut names = named.to_vec();
    let mut next = 0;
    while next < names.len() && !no_deps {
        let service = model.services.get(&names[next]);
        for dependency in service.iter().flat_map(|service| &service.depends_on) {
            let known = model.services.contains_key(&dependency.service);
            if known && !names.contains(&dependency.service) {
                names.push(dependency.service.clone());
            }
        }
        next += 1;
    }
    names
}

fn orphans(model: &Model, observed: &Observed, request: &Request) -> Vec<ContainerRef> {
    let known = |name: &String| model.services.contains_key(name) || request.dormant.contains(name);
    observed.containers.iter().filter(|c| !known(&c.service)).map(Container::reference).collect()
}
