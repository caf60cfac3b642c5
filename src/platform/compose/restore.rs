//! Old containers serve again.

use std::time::Duration;

use super::{
    gate::Watch,
    judge::Gate,
    rollout::{Rollout, text},
};
use crate::{
    engine::{CallError, Container, Problem, Replica, State, UpOptions, ids},
    event::{Generation, Phase},
    execute::Mark,
    proxy::turns_within,
    stage::Halt,
    wait::{Heed, Look},
};

/// So often it is looked without news of the engine.
const LOOK: Duration = Duration::from_secs(1);

impl Rollout<'_> {
    /// Containers that were stopped run again, with the restart policy that they had.
    pub(super) fn restore(&mut self, stopped: &[Replica], cut_off: bool, to: Mark) -> Result<(), String> {
        if cut_off {
            self.ended_within(self.grace(stopped), stopped).map_err(text)?;
        }
        let back = match self.bring_back(stopped) {
            Err(error) if to == Mark::Start && lacks_address(&error) => {
                self.make_room().map_err(text)?;
                self.bring_back(stopped)
            }
            back => back,
        };
        let back = back.map_err(text)?;
        self.let_others_start();
        self.stand_down();
        self.await_restored(&back)
    }

    /// Somebody has taken the addresses of the old ones meanwhile: the new ones, which go anyway, go first.
    fn make_room(&mut self) -> Result<(), CallError> {
        self.warn("there is no free address for the old containers, so the new ones go first");
        let made = self.again(|| self.made_since(&ids(&self.plan.before)))?;
        self.discard(&made)
    }

    /// Which of these end in this time. The engine goes on with a stop although nobody waits for it any more, and does
    /// not say that it has begun one.
    fn ended_within(&self, time: Duration, running: &[Replica]) -> Result<Vec<Replica>, CallError> {
        let mut ended: Vec<Replica> = vec![];
        self.stage.waiter.until(Some(time), Heed::Urgent, || {
            let readings = self.again(|| self.engine().inspect(&ids(running)))?;
            let is_over = |c: &&Container| c.state != State::Running;
            ended = readings.iter().filter(is_over).map(Replica::from).collect();
            Ok::<_, CallError>(if ended.len() == readings.len() { Look::Done(()) } else { Look::Again(LOOK) })
        })?;
        Ok(ended)
    }

    /// What somebody has removed meanwhile is left out, as long as anything remains.
    fn bring_back(&self, stopped: &[Replica]) -> Result<Vec<Replica>, CallError> {
        let start = |replicas: &[Replica]| {
            self.return_policies(replicas)?;
            self.start_again(replicas)
        };
        let Err(error) = start(stopped) else { return Ok(stopped.to_vec()) };
        let readings = self.again(|| self.engine().inspect(&ids(stopped)))?;
        let there = |replica: &Replica| readings.iter().any(|reading| reading.id == replica.id);
        let (kept, gone): (Vec<_>, Vec<_>) = stopped.iter().cloned().partition(there);
        if kept.is_empty() || gone.is_empty() {
            return Err(error);
        }
        for replica in gone {
            self.warn(&format!("{replica} was removed by someone else and cannot serve again"));
        }
        start(&kept).map(|()| kept)
    }

    fn return_policies(&self, replicas: &[Replica]) -> Result<(), CallError> {
        for replica in replicas.iter().filter(|replica| replica.restart.revives_stopped()) {
            let id = std::slice::from_ref(&replica.id);
            self.again(|| self.engine().set_restart(id, &replica.restart.flag()))?;
        }
        Ok(())
    }

    fn start_again(&self, old: &[Replica]) -> Result<(), CallError> {
        let (serving, others): (Vec<_>, Vec<_>) =
            old.iter().cloned().partition(|c| c.state == State::Running);
        let _turn = self.is_handed_over().then(|| self.take_turn()).flatten();
        // Whoever still asks for a new one, or waits, is not sent to them before they are ready.
        self.again(|| self.start_watched(&serving))?;
        self.again(|| self.engine().start(&ids(&others)))?;
        self.reporter().each(old, Generation::Old, &Phase::Restoring);
        self.run_post_start_again(&serving);
        Ok(())
    }

    /// As at any start, with the hooks of the present file. There is no better version to go back to, so whether it
    /// serves all the same is for its gate to say.
    fn run_post_start_again(&self, old: &[Replica]) {
        for replica in old {
            if let Err(Halt::Failed(failure)) = self.hooks().post_start(std::slice::from_ref(replica)) {
                self.warn(&failure.sentence());
            }
        }
    }

    /// A rollback asks no more of the old ones than they gave: those that did not run are only started, and those that
    /// Docker called unhealthy, but may have served all the same, get the time to boot. How long the new version may take
    /// is not for the old one.
    fn await_restored(&mut self, old: &[Replica]) -> Result<(), String> {
        let old: Vec<_> = old.iter().filter(|replica| replica.state == State::Running).cloned().collect();
        if old.is_empty() {
            return Ok(());
        }
        let watch = Watch {
            generation: Generation::Old,
            gate: Gate { wait_timeout: None, ..self.new_gate() },
            heed: Heed::Urgent,
            without_past: vec![],
        };
        let (sick, good): (Vec<_>, Vec<_>) = old.iter().cloned().partition(|replica| replica.is_unhealthy());
        for replica in &sick {
            let _ = self.watch(std::slice::from_ref(replica), &watch);
        }
        match self.watch(&good, &watch) {
            Ok(None) => {}
            Ok(Some(failure)) => return Err(failure.sentence()),
            Err(Halt::Failed(failure)) => return Err(failure.sentence()),
            Err(Halt::Interrupted) => return Err("interrupted".to_owned()),
        }
        self.with_proxies(|proxies, scene| proxies.join(&old, Generation::Old, scene));
        self.reporter().each(&old, Generation::Old, &Phase::Restored);
        // The proxies learn of them as they learn of new ones, and what serves in their place goes next.
        self.stage.waiter.pause(self.plan.settings().settle, Heed::Urgent);
        Ok(())
    }

    /// Running containers whose `pre_stop` hook has made them unhealthy, or will before long: nobody sends them requests
    /// any more, and only a new start brings them back.
    pub(super) fn restart_those_going_out(&mut self, hooked: &[Replica]) -> Result<(), String> {
        let readings = self.again(|| self.engine().inspect(&ids(hooked))).map_err(text)?;
        // One that was stopped and started again knows nothing of its hook any more.
        let same_run = |replica: &&Replica| {
            let reading = readings.iter().find(|reading| reading.id == replica.id);
            reading.is_some_and(|c| c.state == State::Running && c.started_at == replica.started_at)
        };
        let hooked: Vec<_> = hooked.iter().filter(same_run).cloned().collect();
        let out = self.going_out(&hooked);
        if out.is_empty() {
            return Ok(());
        }
        let grace = self.grace(&out);
        self.engine().stop(&ids(&out), self.compose.stop_timeout, grace).map_err(text)?;
        self.start_again(&out).map_err(text)?;
        self.await_restored(&out)
    }

    fn going_out(&self, hooked: &[Replica]) -> Vec<Replica> {
        for replica in hooked.iter().filter(|replica| turns_within(replica).is_none()) {
            self.warn(&format!(
                "{replica} runs, but its pre_stop hook has run; if it does not serve any more, run \"docker restart {replica}\""
            ));
        }
        let Some(limit) = hooked.iter().filter_map(|replica| turns_within(replica)).max() else {
            return vec![];
        };
        let mut out: Vec<Replica> = vec![];
        let limit = limit.min(self.plan.settings().drain_timeout);
        let look = || {
            let readings = self.engine().inspect(&ids(hooked)).unwrap_or_default();
            let unhealthy =
                |replica: &&Replica| readings.iter().any(|c| c.id == replica.id && c.is_unhealthy());
            out = hooked.iter().filter(unhealthy).cloned().collect();
            Ok::<_, ()>(if out.len() == hooked.len() { Look::Done(()) } else { Look::Again(LOOK) })
        };
        let _ = self.stage.waiter.until(Some(limit), Heed::Urgent, look);
        out
    }

    /// By Compose, from the definition of what ran: names, addresses and anonymous volumes are handed on once more.
    fn deploy_again(&mut self, old: &[Replica]) -> Result<(), String> {
        let Some(engine) = self.compose.back.get(&self.plan.service).copied() else {
            return Err("Compose has removed the old container, and its definition is not known".to_owned());
        };
        let _turn = self.take_turn();
        let known = self.again(|| self.engine().container_ids(Some(&self.plan.service))).map_err(text)?;
        self.stand_by_beside_compose(&[]);
        let options = UpOptions { scale: old.len() as u32, ..self.as_compose_does(true, old) };
        self.recreate_watched(&known, || engine.up(&options)).map_err(text)?;
        self.stand_down();
        let back = self.again(|| self.made_since(&known)).map_err(text)?;
        self.reporter().each(&back, Generation::Old, &Phase::Restoring);
        self.await_restored(&back)
    }

    /// Starts those old containers of a recreated service that Compose has stopped and not replaced.
    ///
    /// # Errors
    /// It has removed one, or one does not serve again.
    pub(super) fn restart_recreated(
        &mut self,
        old: &[Replica],
        known: &[String],
        cut_off: bool,
        to: Mark,
    ) -> Result<(), String> {
        let readings = self.again(|| self.engine().inspect(&ids(old))).map_err(text)?;
        self.replaced = readings.len() < old.len();
        let can_undo = self.is_held() && self.compose.back.contains_key(&self.plan.service);
        if self.replaced && to == Mark::Batch && !can_undo {
            self.warn("Compose has replaced the old container; whether the new one serves was not checked");
            return Ok(());
        }
        if self.replaced {
            return self.deploy_again(old);
        }
        let made = self.again(|| self.made_since(known)).map_err(text)?;
        self.discard(&made).map_err(text)?;
        if self.is_held() {
            // They were stopped before Compose was called, and that is undone next.
            return Ok(());
        }
        let runs =
            |replica: &Replica| readings.iter().any(|c| c.id == replica.id && c.state == State::Running);
        let (running, mut stopped): (Vec<_>, Vec<_>) = old.iter().cloned().partition(runs);
        self.start_again(&stopped).map_err(text)?;
        if cut_off || !stopped.is_empty() {
            let late = self.ended_within(self.grace(&running), &running).map_err(text)?;
            let late: Vec<_> = running.into_iter().filter(|replica| late.contains(replica)).collect();
            self.start_again(&late).map_err(text)?;
            stopped.extend(late);
        }
        self.await_restored(&stopped)
    }
}

/// Engine 20.10 to 28.
fn lacks_address(error: &CallError) -> bool {
    matches!(&error.problem, Problem::Failed { stderr, .. } if stderr.contains("no available IPv4 addresses"))
}
