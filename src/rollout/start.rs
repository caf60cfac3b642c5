//! New containers: created by Compose beside the old ones, known by the difference of IDs.

use std::{collections::BTreeSet, time::Instant};

use super::service::{Halt, Run, ids};
use crate::{
    docker::{CallError, UpOptions},
    event::{ContainerRef, Event, Failure, Generation, Phase},
    model::Hook,
    plan::Start,
};

impl Run<'_> {
    pub(super) fn start(&mut self, batch: u32, count: u32, how: Start) -> Result<(), Halt> {
        let of = self.plan.batches();
        let retire = self.retired_by(batch);
        self.crew.emit(Event::Batch {
            service: self.plan.service.clone(),
            number: batch,
            of,
            start: count,
            retire,
        });
        let turn = self.crew.compose_turn();
        let before = self.ids_now()?;
        self.known.get_or_insert_with(|| before.clone());
        let up = self.crew.docker.up(&UpOptions {
            service: &self.plan.service,
            scale: before.len() as u32 + count,
            keep_existing: true,
            create_only: how == Start::CreateThenStart,
            force_recreate: false,
            stop_timeout: None,
        });
        // Also after a failure: what Compose made before it gave up must be known to be removed.
        let new = self.new_since(&before)?;
        drop(turn);
        self.started.insert(batch, new.clone());
        up?;
        if how == Start::CreateThenStart {
            self.crew.docker.start(&ids(&new))?;
        }
        new.iter().for_each(|container| self.tell(container, Generation::New, Phase::Started));
        if how == Start::CreateThenStart {
            self.post_start(&new)?;
        }
        self.expect(count, new.len())
    }

    fn retired_by(&self, batch: u32) -> u32 {
        let stops = self.plan.steps.iter().filter_map(|step| match step {
            crate::plan::Step::Stop { batch: b, containers } if *b == batch => Some(containers.len()),
            _ => None,
        });
        stops.sum::<usize>() as u32
    }

    fn expect(&self, wanted: u32, found: usize) -> Result<(), Halt> {
        if found as u32 >= wanted {
            return Ok(());
        }
        Err(failure(format!("Compose started {found} of {wanted} containers"), None))
    }

    /// Whatever this run has made of the service, also what a failed call kept from being noted.
    pub(super) fn made(&self) -> Result<Vec<ContainerRef>, CallError> {
        self.known.as_ref().map_or(Ok(vec![]), |known| self.new_since(known))
    }

    fn ids_now(&self) -> Result<BTreeSet<String>, CallError> {
        Ok(self.crew.docker.container_ids(Some(&self.plan.service))?.into_iter().collect())
    }

    fn new_since(&self, before: &BTreeSet<String>) -> Result<Vec<ContainerRef>, CallError> {
        let new: Vec<_> = self.ids_now()?.into_iter().filter(|id| !before.contains(id)).collect();
        let mut found = self.crew.docker.inspect(&new)?;
        found.sort_by_key(|container| container.number);
        Ok(found.iter().map(|container| container.reference()).collect())
    }

    /// As Compose runs them: right after the start, in order, the first failure ends it.
    fn post_start(&self, new: &[ContainerRef]) -> Result<(), Halt> {
        for container in new {
            for hook in &self.service.hooks.post_start {
                self.hook("post_start", container, hook)?;
            }
        }
        Ok(())
    }

    fn hook(&self, kind: &str, container: &ContainerRef, hook: &Hook) -> Result<(), Halt> {
        let limit = self.service.settings.drain_timeout;
        let result =
            self.with_hook(kind, Some(container), || self.crew.docker.exec_hook(&container.id, hook, limit));
        result.map_err(|error| hook_failure(kind, error, Some(container.clone())))
    }

    /// Compose does not run `pre_start` beside a running replica (5.6.1), so zdd does: once, before any
    /// container of the new version is started.
    pub(super) fn pre_start(&mut self) -> Result<(), Halt> {
        for hook in &self.service.hooks.pre_start {
            let run = || self.crew.docker.run_once(&self.plan.service, hook);
            self.with_hook("pre_start", None, run).map_err(|error| hook_failure("pre_start", error, None))?;
        }
        Ok(())
    }

    fn up_as_compose_does(&self, force_recreate: bool) -> Result<(), CallError> {
        self.crew.docker.up(&UpOptions {
            service: &self.plan.service,
            scale: self.plan.replicas,
            keep_existing: false,
            create_only: false,
            force_recreate,
            stop_timeout: self.crew.stop_timeout,
        })
    }

    /// Nothing of the service runs, so Compose does as it always does: starts what is stopped, in its present
    /// definition, and creates what is missing. All of it is gated.
    pub(super) fn revive(&mut self, force: bool) -> Result<(), Halt> {
        let turn = self.crew.compose_turn();
        let before = self.ids_now()?;
        self.known = Some(before.clone());
        let up = self.up_as_compose_does(force);
        let now = self.new_since(&BTreeSet::new())?;
        drop(turn);
        self.revived = now.iter().filter(|c| before.contains(&c.id)).cloned().collect();
        self.started.insert(1, now.clone());
        up?;
        now.iter().for_each(|container| self.tell(container, Generation::New, Phase::Started));
        Ok(())
    }

    /// Compose stops the old and starts the new; what it makes is gated like any other.
    pub(super) fn recreate(&mut self, old: &[ContainerRef]) -> Result<(), Halt> {
        let turn = self.crew.compose_turn();
        let before = self.ids_now()?;
        let grace = self.grace(old);
        old.iter().for_each(|c| self.tell(c, Generation::Old, Phase::Stopping { grace }));
        self.down_since = Some(Instant::now());
        let up = self.up_as_compose_does(true);
        let new = self.new_since(&before)?;
        drop(turn);
        self.started.insert(1, new.clone());
        up?;
        // Without a healthcheck nobody can tell when it serves; it runs from now on.
        self.downtime = self.down_since.map(|since| since.elapsed());
        old.iter().for_each(|container| self.tell(container, Generation::Old, Phase::Removed));
        new.iter().for_each(|container| self.tell(container, Generation::New, Phase::Started));
        Ok(())
    }
}

fn hook_failure(kind: &str, error: CallError, container: Option<ContainerRef>) -> Halt {
    match error.is_interrupted() {
        true => Halt::Interrupted,
        false => failure(format!("its {kind} hook failed: {error}"), container),
    }
}

pub(super) fn failure(reason: String, container: Option<ContainerRef>) -> Halt {
    Halt::Failed(Failure { reason, container, health_output: None, log_tail: vec![] })
}
