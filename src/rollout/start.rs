//! New containers: created by Compose beside the old ones, known by the difference of IDs.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::{
    retire::tolerate_missing,
    service::{Halt, Run, ids},
};
use crate::{
    docker::{CallError, Problem, UpOptions},
    event::{ContainerRef, Event, Failure, Generation, Phase},
    model::{Hook, Service},
    observed::{Container, State},
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
        let before = self.ids_before()?;
        self.known.get_or_insert_with(|| before.clone());
        let up = self.crew.docker.up(&UpOptions {
            service: &self.plan.service,
            scale: before.len() as u32 + count,
            keep_existing: true,
            create_only: how == Start::CreateThenStart,
            force_recreate: false,
            stop_timeout: None,
            grace: Duration::ZERO,
        });
        // Also after a failure: what Compose made before it gave up must be known to be removed.
        let found = self.found_since(&before)?;
        drop(turn);
        let new: Vec<_> = found.iter().map(Container::reference).collect();
        self.started.insert(batch, new.clone());
        up?;
        self.check_as_planned(&found)?;
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

    /// What is not among these will be taken for new, so what was there when the plan was made, and still is, must be.
    fn ids_before(&self) -> Result<BTreeSet<String>, CallError> {
        let listed = self.ids_now()?;
        let mine = self.mine_before();
        let unlisted: Vec<_> = mine.map(|c| c.id.clone()).filter(|id| !listed.contains(id)).collect();
        let going = |c: &Container| c.state == State::Removing;
        match self.crew.docker.inspect(&unlisted)?.into_iter().find(|c| !going(c)) {
            None => Ok(listed),
            Some(container) => Err(CallError {
                call: "docker ps".to_owned(),
                problem: Problem::Garbage(format!("{} is there and not in the list", container.name)),
            }),
        }
    }

    fn ids_now(&self) -> Result<BTreeSet<String>, CallError> {
        Ok(self.crew.docker.container_ids(Some(&self.plan.service))?.into_iter().collect())
    }

    fn new_since(&self, before: &BTreeSet<String>) -> Result<Vec<ContainerRef>, CallError> {
        Ok(self.found_since(before)?.iter().map(Container::reference).collect())
    }

    fn found_since(&self, before: &BTreeSet<String>) -> Result<Vec<Container>, CallError> {
        let new: Vec<_> = self.ids_now()?.into_iter().filter(|id| !before.contains(id)).collect();
        let mut found = self.crew.docker.inspect(&new)?;
        found.sort_by_key(|container| container.number);
        Ok(found)
    }

    /// Compose reads its files and looks up the image at each `up`: an edit, a `git pull` or a build in the middle of a
    /// rollout would mix versions.
    ///
    /// Its label may differ from its own `config --hash` for other reasons, so a difference is only taken for a
    /// change when what was read before reads otherwise now.
    fn deviation(&self, new: &[Container]) -> Result<Option<Failure>, CallError> {
        let Service { name, image, hash, .. } = self.service;
        let planned = self.crew.images.get(name);
        if let Some(other) = new.iter().find(|c| planned.is_some_and(|id| !c.is_of_image(id)))
            && self.crew.docker.image_ids(std::slice::from_ref(image))?.get(image) != planned
        {
            let reason =
                format!("has another image than planned: {image} was built, pulled or tagged meanwhile");
            return Ok(Some(of_container(reason, other)));
        }
        if let Some(other) = new.iter().find(|c| c.config_hash != *hash)
            && self.hash_now()?.is_none_or(|now| now != *hash)
        {
            let reason =
                "has another definition than planned: the file, or what it reads, was changed meanwhile";
            return Ok(Some(of_container(reason.to_owned(), other)));
        }
        Ok(None)
    }

    fn check_as_planned(&self, new: &[Container]) -> Result<(), Halt> {
        self.deviation(new)?.map_or(Ok(()), |deviation| Err(Halt::Failed(deviation)))
    }

    /// Where nothing served before, or what did is gone, there is nothing better to go back to.
    fn warn_unless_as_planned(&mut self, new: &[Container]) {
        if let Ok(Some(deviation)) = self.deviation(new) {
            self.deviates = true;
            self.warn(&format!("{}; type \"docker zdd up\" again", deviation.sentence()));
        }
    }

    fn hash_now(&self) -> Result<Option<String>, CallError> {
        let named = if self.crew.model.by_name { vec![self.service.name.clone()] } else { vec![] };
        Ok(self.crew.docker.config_hashes(&named)?.remove(&self.service.name))
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
        let limit = self.crew.docker.slow();
        let result =
            self.with_hook(kind, Some(container), || self.crew.docker.exec_hook(&container.id, hook, limit));
        result.map_err(|error| hook_failure(kind, error, Some(container.clone())))
    }

    /// Compose does not run `pre_start` beside a running replica (5.6.1), so zdd does: once, before any
    /// container of the new version is started.
    pub(super) fn pre_start(&mut self) -> Result<(), Halt> {
        self.await_earlier_hooks()?;
        for number in 0..self.service.hooks.pre_start.len() {
            let run = || self.crew.docker.run_once(self.service, number);
            if let Err(error) = self.with_hook("pre_start", None, run) {
                self.note_hooks_cut_off(&error);
                return Err(hook_failure("pre_start", error, None));
            }
        }
        Ok(())
    }

    /// That of a run that was killed, or interrupted, goes on; two migrations at once are never meant.
    fn await_earlier_hooks(&mut self) -> Result<(), Halt> {
        let earlier = self.crew.docker.running_hooks(&self.plan.service)?;
        if earlier.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = earlier.iter().map(|one_off| one_off.name.as_str()).collect();
        let names = names.join(", ");
        self.warn(&format!("waiting for the pre_start hook of an earlier run to end: {names}"));
        self.crew.docker.await_hooks(&ids(&earlier)).or_else(tolerate_missing).map_err(|error| {
            if error.is_interrupted() {
                self.hooks_left = earlier;
            }
            match error.problem {
                Problem::Deadline(_) => failure(
                    format!("the pre_start hook of an earlier run does not end: {names} still runs"),
                    None,
                ),
                _ => error.into(),
            }
        })
    }

    /// Compose ends as soon as it is told to, whether the one-off does or not.
    fn note_hooks_cut_off(&mut self, error: &CallError) {
        if !matches!(error.problem, Problem::Interrupted | Problem::Deadline(_)) {
            return;
        }
        let running = self.crew.docker.running_hooks(&self.plan.service).unwrap_or_default();
        if !running.is_empty() && self.crew.docker.await_told_hooks(&ids(&running)).is_err() {
            self.hooks_left = self.crew.docker.running_hooks(&self.plan.service).unwrap_or(running);
        }
    }

    fn up_as_compose_does(&self, force_recreate: bool) -> Result<(), CallError> {
        self.crew.docker.up(&UpOptions {
            service: &self.plan.service,
            scale: self.plan.replicas,
            keep_existing: false,
            create_only: false,
            force_recreate,
            stop_timeout: self.crew.stop_timeout,
            grace: self.grace(&self.recreated),
        })
    }

    /// Nothing of the service runs, so Compose does as it always does: starts what is stopped, in its present
    /// definition, and creates what is missing. All of it is gated.
    pub(super) fn revive(&mut self, force: bool) -> Result<(), Halt> {
        let turn = self.crew.compose_turn();
        let before = self.ids_before()?;
        self.known = Some(before.clone());
        let up = self.up_as_compose_does(force);
        let found = self.found_since(&BTreeSet::new())?;
        drop(turn);
        let now: Vec<_> = found.iter().map(Container::reference).collect();
        // One that Compose has put in the place of a stopped one has its anonymous volumes: it is kept as well.
        let names: Vec<_> = self.crew.before.values().map(|container| &container.name).collect();
        let kept = |c: &&ContainerRef| before.contains(&c.id) || names.contains(&&c.name);
        self.revived = now.iter().filter(kept).cloned().collect();
        self.started.insert(1, now.clone());
        up?;
        self.return_lost_policies(&found);
        self.warn_unless_as_planned(&found);
        now.iter().for_each(|container| self.tell(container, Generation::New, Phase::Started));
        Ok(())
    }

    /// What a run has stopped and was killed before it removed it has no restart policy, and Compose does not look.
    fn return_lost_policies(&self, revived: &[Container]) {
        let wanted = &self.service.restart;
        for container in revived.iter().filter(|c| c.restart.name == "no" && wanted != "no") {
            if let Err(error) = self.crew.docker.set_restart(std::slice::from_ref(&container.id), wanted) {
                self.warn(&format!("{} has lost its restart policy: {error}", container.name));
            }
        }
    }

    /// Compose stops the old and starts the new; what it makes is gated like any other.
    pub(super) fn recreate(&mut self, old: &[ContainerRef]) -> Result<(), Halt> {
        let turn = self.crew.compose_turn();
        let before = self.ids_before()?;
        let grace = self.grace(old);
        old.iter().for_each(|c| self.tell(c, Generation::Old, Phase::Stopping { grace }));
        self.down_since = Some(Instant::now());
        self.recreated = old.to_vec();
        let up = self.up_as_compose_does(true);
        self.cut_off = matches!(&up, Err(CallError { problem: Problem::Deadline(_), .. }));
        let found = self.found_since(&before)?;
        drop(turn);
        let new: Vec<_> = found.iter().map(Container::reference).collect();
        self.started.insert(1, new.clone());
        up?;
        self.warn_unless_as_planned(&found);
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
        false if container.is_some() => failure(format!("failed its {kind} hook: {error}"), container),
        false => failure(format!("its {kind} hook failed: {error}"), None),
    }
}

fn of_container(reason: String, container: &Container) -> Failure {
    Failure { reason, container: Some(container.reference()), health_output: None, log_tail: vec![] }
}

pub(super) fn failure(reason: String, container: Option<ContainerRef>) -> Halt {
    Halt::Failed(Failure { reason, container, health_output: None, log_tail: vec![] })
}
