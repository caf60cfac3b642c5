//! New containers: created by Compose beside the old ones, known by the difference of IDs.

use super::rollout::{Effect, Rollout};
use crate::{
    engine::{CallError, Container, Problem, Replica, State, UpOptions, ids},
    event::{Event, Failure, Generation, Phase},
    execute::Journal,
    plan::Start,
    project::Wanted,
    stage::Halt,
};

impl<'a> Rollout<'a> {
    pub(super) fn start(
        &mut self,
        batch: u32,
        count: u32,
        how: Start,
        journal: &mut Journal<Effect>,
    ) -> Result<(), Halt> {
        let new = self.make(batch, count, how, journal)?;
        if how == Start::CreateThenStart {
            let _turn = self.take_turn();
            self.start_watched(&new)?;
        }
        self.reporter().each(&new, Generation::New, &Phase::Started);
        if how == Start::CreateThenStart {
            self.hooks().post_start(&new)?;
        }
        Ok(())
    }

    /// Those that start when the old ones have ended.
    pub(super) fn create(
        &mut self,
        batch: u32,
        count: u32,
        journal: &mut Journal<Effect>,
    ) -> Result<(), Halt> {
        self.make(batch, count, Start::CreateThenStart, journal).map(drop)
    }

    pub(super) fn start_created(&mut self, batch: u32, journal: &mut Journal<Effect>) -> Result<(), Halt> {
        let made = Effect::made_of(batch, journal);
        journal.enter(Effect::Run { made: made.clone() });
        self.stand_by(&made, &[]);
        self.start_watched(&made)?;
        self.stand_down();
        self.reporter().each(&made, Generation::New, &Phase::Started);
        // Without a healthcheck nobody can tell when it serves; it runs from now on.
        self.findings.downtime = self.down_since.map(|since| self.now().saturating_duration_since(since));
        self.try_out(&made);
        self.let_others_start();
        self.hooks().post_start(&made)?;
        Ok(())
    }

    /// By Compose; where they are only created, nothing runs yet.
    fn make(
        &mut self,
        batch: u32,
        count: u32,
        how: Start,
        journal: &mut Journal<Effect>,
    ) -> Result<Vec<Replica>, Halt> {
        self.reporter().emit(Event::Batch {
            service: self.plan.service.clone(),
            number: batch,
            of: self.plan.batches(),
            start: count,
            retire: self.plan.stopped_in(batch) as u32,
        });
        let turn = self.take_turn();
        let known = self.ids_before()?;
        let options = UpOptions {
            service: &self.plan.service,
            scale: known.len() as u32 + count,
            keep_existing: true,
            create_only: how == Start::CreateThenStart,
            ..UpOptions::default()
        };
        let effect = journal.enter(Effect::Start { batch, known: known.clone(), made: vec![] });
        let up = self.up_watched(&options, &known);
        // Also after a failure: what Compose made before it gave up must be known to be removed.
        let new = self.made_since(&known)?;
        drop(turn);
        effect.made_in(batch).into_iter().for_each(|made| made.clone_from(&new));
        up.map_err(|error| Halt::from(error).naming(&new))?;
        self.deviation(&new)?.map_or(Ok(()), |deviation| Err(Halt::from(deviation)))?;
        match new.len() as u32 >= count {
            true => Ok(new),
            false => Err(Halt::failed(format!("Compose started {} of {count} containers", new.len()), None)),
        }
    }

    /// Compose starts them, and their visitors are kept from them as soon as they have addresses.
    fn up_watched(&self, options: &UpOptions, known: &[String]) -> Result<(), CallError> {
        let (engine, create_only) = (self.engine(), options.create_only);
        if create_only || !self.is_handed_over() {
            return engine.up(options);
        }
        self.watched(known, || engine.up(options))
    }

    /// Those that are made meanwhile are kept from their visitors.
    fn watched(
        &self,
        known: &[String],
        up: impl FnOnce() -> Result<(), CallError> + Send,
    ) -> Result<(), CallError> {
        self.with_proxies(|proxies, scene| proxies.expect(scene));
        let new = || self.ids_since(known).unwrap_or_default();
        let result = self.meanwhile(up, || self.with_proxies(|proxies, scene| proxies.starting(&new, scene)));
        let new = self.made_since(known);
        let found = new.as_deref().unwrap_or_default();
        self.with_proxies(|proxies, scene| proxies.started(found, scene));
        new?;
        result
    }

    pub(super) fn start_watched(&self, new: &[Replica]) -> Result<(), CallError> {
        let (engine, ids) = (self.engine(), ids(new));
        if !self.is_handed_over() || ids.is_empty() {
            return engine.start(&ids);
        }
        self.with_proxies(|proxies, scene| proxies.expect(scene));
        let look = || self.with_proxies(|proxies, scene| proxies.starting(&|| ids.clone(), scene));
        let result = self.meanwhile(|| engine.start(&ids), look);
        let now: Vec<_> = engine.inspect(&ids).unwrap_or_default().iter().map(Replica::from).collect();
        self.with_proxies(|proxies, scene| proxies.started(&now, scene));
        result
    }

    /// What is not among these will be taken for new, so what was there when the plan was made, and still is, must be.
    fn ids_before(&self) -> Result<Vec<String>, CallError> {
        let listed = self.ids_now()?;
        let unlisted = self.plan.before.iter().map(|replica| replica.id.clone());
        let unlisted: Vec<_> = unlisted.filter(|id| !listed.contains(id)).collect();
        let going = |c: &Container| c.state == State::Removing;
        match self.engine().inspect(&unlisted)?.into_iter().find(|c| !going(c)) {
            None => Ok(listed),
            Some(container) => Err(CallError {
                call: "docker ps".to_owned(),
                problem: Problem::Garbage(format!("{} is there and not in the list", container.name)),
            }),
        }
    }

    fn ids_now(&self) -> Result<Vec<String>, CallError> {
        self.engine().container_ids(Some(&self.plan.service))
    }

    fn ids_since(&self, known: &[String]) -> Result<Vec<String>, CallError> {
        Ok(self.ids_now()?.into_iter().filter(|id| !known.contains(id)).collect())
    }

    pub(super) fn made_since(&self, known: &[String]) -> Result<Vec<Replica>, CallError> {
        let mut found = self.engine().inspect(&self.ids_since(known)?)?;
        found.sort_by_key(|container| container.number);
        Ok(found.iter().map(Replica::from).collect())
    }

    /// Compose reads its files and looks up the image at each `up`: an edit, a `git pull` or a build in the middle of a
    /// rollout would mix versions.
    ///
    /// Its label may differ from its own `config --hash` for other reasons, so a difference is only taken for a
    /// change when what was read before reads otherwise now.
    fn deviation(&self, new: &[Replica]) -> Result<Option<Failure>, CallError> {
        let service = self.service();
        let planned = self.compose.images.get(&service.name);
        let hash = service.definition.hash.as_str();
        let wanted = Wanted::as_deployed(hash, false, planned.map_or("", String::as_str));
        let reference = &service.image.reference;
        if let Some(other) = new.iter().find(|c| planned.is_some() && !wanted.has_image(c))
            && self.engine().image_ids(std::slice::from_ref(reference))?.get(reference) != planned
        {
            let reason =
                format!("has another image than planned: {reference} was built, pulled or tagged meanwhile");
            return Ok(Some(failure_of(other, reason)));
        }
        if let Some(other) = new.iter().find(|c| !wanted.has_configuration(c))
            && self.hash_now()?.is_none_or(|now| now != hash)
        {
            let reason =
                "has another definition than planned: the file, or what it reads, was changed meanwhile";
            return Ok(Some(failure_of(other, reason.to_owned())));
        }
        Ok(None)
    }

    /// Where nothing served before, or what did is gone, there is nothing better to go back to.
    fn warn_unless_as_planned(&mut self, new: &[Replica]) {
        if let Ok(Some(deviation)) = self.deviation(new) {
            self.findings.deviates = true;
            self.warn(&format!("{}; run \"docker zdd up\" again", deviation.sentence()));
        }
    }

    fn hash_now(&self) -> Result<Option<String>, CallError> {
        let name = &self.plan.service;
        let named = if self.compose.project.by_name { vec![name.clone()] } else { vec![] };
        Ok(self.engine().config_hashes(&named)?.remove(name))
    }

    pub(super) fn as_compose_does(&self, force_recreate: bool, old: &[Replica]) -> UpOptions<'a> {
        UpOptions {
            service: &self.plan.service,
            scale: self.plan.replicas,
            force_recreate,
            stop_timeout: self.compose.stop_timeout,
            grace: self.grace(old),
            ..UpOptions::default()
        }
    }

    /// Nothing of the service runs, so Compose does as it always does: starts what is stopped, in its present
    /// definition, and creates what is missing. All of it is gated.
    pub(super) fn revive(&mut self, force: bool, journal: &mut Journal<Effect>) -> Result<(), Halt> {
        let turn = self.take_turn();
        let known = self.ids_before()?;
        let effect = journal.enter(Effect::Revive { known: known.clone(), made: vec![], kept: vec![] });
        let up = self.engine().up(&self.as_compose_does(force, &[]));
        let now = self.made_since(&[])?;
        drop(turn);
        // One that Compose has put in the place of a stopped one has its anonymous volumes: it is kept as well.
        let had_name = |replica: &Replica| self.plan.before.iter().any(|before| before.name == replica.name);
        let is_kept = |replica: &&Replica| known.contains(&replica.id) || had_name(replica);
        if let Effect::Revive { made, kept, .. } = effect {
            made.clone_from(&now);
            kept.extend(now.iter().filter(is_kept).cloned());
        }
        up?;
        self.return_lost_policies(&now);
        self.warn_unless_as_planned(&now);
        self.reporter().each(&now, Generation::New, &Phase::Started);
        Ok(())
    }

    /// What a run has stopped and was killed before it removed it has no restart policy, and Compose does not look.
    fn return_lost_policies(&self, revived: &[Replica]) {
        let wanted = &self.service().restart;
        for replica in revived.iter().filter(|c| c.restart.name == "no" && wanted != "no") {
            if let Err(error) = self.engine().set_restart(std::slice::from_ref(&replica.id), wanted) {
                self.warn(&format!("{replica} has lost its restart policy: {error}"));
            }
        }
    }

    /// Compose stops the old and starts the new; what it makes is gated like any other.
    pub(super) fn recreate(&mut self, old: &[Replica], journal: &mut Journal<Effect>) -> Result<(), Halt> {
        let turn = self.take_turn();
        let before = self.ids_before()?;
        let effect =
            Effect::Recreate { old: old.to_vec(), known: before.clone(), made: vec![], cut_off: false };
        let effect = journal.enter(effect);
        if !self.is_held() {
            self.reporter().each(old, Generation::Old, &Phase::Stopping { grace: self.grace(old) });
        }
        self.stand_by_beside_compose(old);
        let began = *self.down_since.get_or_insert(self.stage.waiter.clock.now());
        let (engine, options) = (self.engine(), self.as_compose_does(true, old));
        let up = self.recreate_watched(&before, || engine.up(&options));
        let new = self.made_since(&before)?;
        drop(turn);
        if let Effect::Recreate { made, cut_off, .. } = effect {
            made.clone_from(&new);
            *cut_off = matches!(&up, Err(CallError { problem: Problem::Deadline(_), .. }));
        }
        up?;
        self.stand_down();
        self.warn_unless_as_planned(&new);
        // Without a healthcheck nobody can tell when it serves; it runs from now on.
        self.findings.downtime = Some(self.now().saturating_duration_since(began));
        self.reporter().each(old, Generation::Old, &Phase::Removed);
        self.reporter().each(&new, Generation::New, &Phase::Started);
        self.let_others_start();
        Ok(())
    }

    /// Compose does it; where connections wait, their containers are kept from them until they are ready.
    pub(super) fn recreate_watched(
        &self,
        known: &[String],
        up: impl FnOnce() -> Result<(), CallError> + Send,
    ) -> Result<(), CallError> {
        if self.is_held() { self.watched(known, up) } else { up() }
    }
}

fn failure_of(replica: &Replica, reason: String) -> Failure {
    Failure { reason, container: Some(replica.reference()), ..Failure::default() }
}
