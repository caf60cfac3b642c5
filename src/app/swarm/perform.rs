//! Carries a plan out on Swarm, and records it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::{super::Context, Ready};
use crate::{
    app::{
        deploy::{Errand, Onlookers, refusal},
        record::reason,
        summary::{self, End},
    },
    event::{self, Event, Outcome, Verdict},
    execute::{ServiceResult, execute},
    exit::{Exit, Stop},
    keep::{Deployed, Lock, Revision},
    platform::{
        Platform,
        swarm::{
            HASH_LABEL, Observed, Record, Seen, Store, Target,
            observe::{spec_hash, split_image},
            planner::{recorded, recorded_number},
            watch::LOST_NODE,
        },
    },
    probe::Prober,
};

impl Context {
    /// Carries a plan out, unless it refuses, the client's schema disagrees, or the user has interrupted.
    pub fn carry_out_on_swarm(
        &self,
        mut ready: Ready,
        errand: &Errand,
        onlookers: Onlookers,
        lock: Option<Lock>,
    ) -> Result<Exit, Stop> {
        if ready.plan.refused() {
            return Err(refusal(&ready.plan, &self.files));
        }
        ready.swarm.preflight(&ready.project, &ready.observed, &mut ready.plan)?;
        self.describe(onlookers.page.as_ref(), &ready.plan);
        let prober = self.begin_probe(&ready.plan, onlookers.probe)?;
        self.check_not_interrupted()?;
        if ready.plan.changes() {
            // They serve nobody yet, and what is there already stays as it is.
            let store = Store { managers: &ready.swarm.managers, project: &ready.project.name };
            store.make(&ready.kept)?;
        }
        let end = self.perform_on_swarm(&ready, errand, prober);
        drop(lock);
        let (exit_code, took) = (end.exit.code(), self.began.elapsed());
        self.emit(Event::End(event::End { exit_code, message: end.message, hint: end.hint, took }));
        Ok(end.exit)
    }

    fn perform_on_swarm(&self, ready: &Ready, errand: &Errand, prober: Option<Prober>) -> End {
        let Ready { project, swarm, observed, plan, .. } = ready;
        self.emit(Event::Planned { project: plan.project.clone(), services: plan.overview() });
        let stage = self.stage(prober.as_ref());
        let recovered = swarm.recover(project, observed, plan, &stage);
        let results = if plan.changes() { self.execute_on_swarm(ready, &stage) } else { vec![] };
        let alarm = prober.and_then(Prober::finish);
        let revision = self.record_on_swarm(ready, &results, errand);
        let touched = recovered || plan.changes();
        let end = summary::end(plan, &results, self.waiter.is_interrupted(), errand.cause, touched);
        let end = for_swarm(summary::with_alarm(end, alarm), &results, self.waiter.is_abandoned());
        self.notify(project, &results, &end, revision);
        end
    }

    fn execute_on_swarm(&self, ready: &Ready, stage: &crate::stage::Stage) -> Vec<ServiceResult> {
        let waker = self.waiter.waker.clone();
        // Without the listener the watch still looks every moment.
        let _listener = ready.swarm.managers.current().listen_to_swarm(move || waker.wake()).ok();
        let performers = ready.swarm.performers(&ready.project, &ready.observed);
        let results = execute(&performers, &ready.plan, stage);
        let well = results.iter().all(|result| result.outcome.is_good());
        if ready.plan.remove_orphans && well && !self.waiter.is_interrupted() {
            ready.swarm.remove_orphans(&ready.plan, stage);
        }
        results
    }

    fn record_on_swarm(&self, ready: &Ready, results: &[ServiceResult], errand: &Errand) -> Option<u32> {
        let changed = changed(ready, results);
        if changed.is_empty() || self.waiter.is_abandoned() {
            return None;
        }
        let recorded = self.try_record_on_swarm(ready, results, errand, changed);
        recorded
            .map_err(|error| self.warn(format!("this rollout is not recorded in the history: {error:#}")))
            .ok()
    }

    fn try_record_on_swarm(
        &self,
        ready: &Ready,
        results: &[ServiceResult],
        errand: &Errand,
        changed: Vec<String>,
    ) -> Result<u32> {
        let store = Store { managers: &ready.swarm.managers, project: &ready.project.name };
        let outcome = Outcome::of_run(results.iter().map(|result| result.outcome));
        let now = Observed::read(&ready.swarm.managers, &ready.project.name, store.revisions()?)?;
        let (services, record, unknown) = match outcome {
            Outcome::Done => as_deployed(ready, &now, &changed, &store),
            _ => as_wanted(ready),
        };
        let revision = Revision {
            number: now.next_number(),
            outcome,
            reason: reason(results),
            changed,
            services,
            unknown,
            ..self.beginnings(errand)
        };
        let (number, forgotten) = store.add(revision, &record)?;
        if let Err(error) = forgotten {
            self.warn(format!("old revisions could not be removed: {error}"));
        }
        Ok(number)
    }
}

type Deployment = (BTreeMap<String, Deployed>, Record, Vec<String>);

/// The services that the plan wanted to change, and that were begun.
fn changed(ready: &Ready, results: &[ServiceResult]) -> Vec<String> {
    let begun = |name: &String| {
        let result = results.iter().find(|result| result.service == *name);
        result.is_some_and(|r| !matches!(r.outcome, Outcome::Unchanged | Outcome::Skipped))
    };
    let changes = ready.plan.services.iter().filter(|plan| plan.verdict != Verdict::Unchanged);
    changes.map(|plan| plan.service.clone()).filter(begun).collect()
}

fn as_wanted(ready: &Ready) -> Deployment {
    let services =
        ready.swarm.targets.iter().map(|(name, target)| (name.clone(), deployed(target, None))).collect();
    (services, record(ready, ready.swarm.targets.clone()), vec![])
}

/// A run may have left services alone that the file has changed: those are as an earlier revision has them.
fn as_deployed(ready: &Ready, now: &Observed, changed: &[String], store: &Store) -> Deployment {
    let (mut services, mut targets, mut unknown) = (BTreeMap::new(), BTreeMap::new(), vec![]);
    let mut kept = BTreeSet::new();
    for (name, target) in &ready.swarm.targets {
        let seen = now.services.get(name);
        let runs = seen.and_then(|seen| seen.service.label(HASH_LABEL));
        if runs == Some(&target.hash) || target.job && changed.contains(name) {
            let mut deployed = deployed(target, seen);
            if !changed.contains(name) {
                // A change by hand is still one.
                let known = seen.and_then(|seen| recorded(now, name, seen));
                deployed.spec = known.and_then(|known| known.spec.clone()).or(deployed.spec);
            }
            services.insert(name.clone(), deployed);
            targets.insert(name.clone(), target.clone());
            continue;
        }
        let earlier = match runs {
            Some(hash) => recorded_number(&now.revisions, name, hash),
            None if target.job => job_ran(now, name),
            None => None,
        };
        let earlier = earlier.and_then(|number| store.record(number).ok().flatten());
        match earlier.and_then(|record| Some((record.targets.get(name)?.clone(), record.kept))) {
            Some((then, names)) => {
                services.insert(name.clone(), deployed(&then, seen));
                targets.insert(name.clone(), then);
                kept.extend(names);
            }
            None if target.job => {}
            None => unknown.push(name.clone()),
        }
    }
    let mut record = record(ready, targets);
    record.kept.extend(kept);
    (services, record, unknown)
}

fn job_ran(now: &Observed, name: &str) -> Option<u32> {
    let good = now.revisions.iter().rev().filter(|revision| revision.is_good());
    good.filter(|revision| revision.services.contains_key(name)).map(|revision| revision.number).next()
}

fn record(ready: &Ready, targets: BTreeMap<String, Target>) -> Record {
    Record { document: ready.project.document.text(), targets, kept: ready.named.clone() }
}

fn deployed(target: &Target, seen: Option<&Seen>) -> Deployed {
    let (image, digest) = split_image(&target.image);
    Deployed {
        hash: target.hash.clone(),
        image: Some(if digest.is_empty() { image } else { digest }.to_owned()),
        reference: Some(image.to_owned()),
        replicas: target.replicas.unwrap_or(0),
        spec: seen.map(|seen| spec_hash(&seen.service.spec)),
        ..Deployed::default()
    }
}

/// What is otherwise where Swarm goes on by itself.
fn for_swarm(end: End, results: &[ServiceResult], abandoned: bool) -> End {
    let reasons = results.iter().filter_map(|result| result.failure.as_ref());
    let lost = reasons.into_iter().any(|failure| failure.reason.contains(LOST_NODE));
    let hint = match end.exit {
        Exit::Failed if lost => "nothing is wrong with the new version: run \"docker zdd up\" again",
        Exit::Interrupted if abandoned => {
            "Swarm finishes by itself, and goes back if it fails; \"docker zdd status\" shows what it does"
        }
        Exit::RollbackFailed => "\"docker zdd status\" shows what runs; then run \"docker zdd up\" again",
        _ => return end,
    };
    End { hint: Some(hint.to_owned()), ..end }
}
