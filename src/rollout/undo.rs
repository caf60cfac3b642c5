//! The way back: what served before serves again, and nothing of this run is left.

use std::{
    fmt::Display,
    time::{Duration, Instant},
};

use super::{
    service::{Halt, Retired, Run, ids},
    watching::LOOK,
};
use crate::{
    docker::CallError,
    event::{ContainerRef, Generation, Outcome, Phase},
    health::Gate,
    model::settings::Order,
    observed::{Container, State},
};

/// How often a call of the way back is tried.
const TRIES: u32 = 3;
const TRY_AGAIN: Duration = Duration::from_millis(300);

impl Run<'_> {
    /// Starts the stopped old containers again, waits for them, and only then removes the new ones. Under
    /// `order: stop-first` the two may not run at once, so there the new ones go first, batch by batch from the
    /// last to the first: what serves already goes only after the batch before it is back.
    ///
    /// # Errors
    /// What could not be done, in words; a person must look.
    pub(super) fn undo(&mut self) -> Result<(), String> {
        let mut made = self.again(|| self.made()).map_err(text)?;
        made.retain(|container| !self.revived.contains(container));
        self.stop_revived().map_err(text)?;
        if self.service.settings.order == Order::StopFirst {
            for batch in (1..=self.plan.batches()).rev() {
                let earlier: Vec<_> = self.started.range(..batch).flat_map(|(_, new)| new).cloned().collect();
                let (kept, going) = made.into_iter().partition(|new| earlier.contains(new));
                made = kept;
                self.discard(&going).map_err(text)?;
                self.restore(|retired| retired.batch == batch)?;
            }
        }
        self.restore(|_| true)?;
        self.discard(&made).map_err(text)
    }

    fn stop_revived(&self) -> Result<(), CallError> {
        match self.revived.is_empty() {
            true => Ok(()),
            false => self.stop(&self.revived, Generation::New),
        }
    }

    /// A call that failed for a moment must not end the way back.
    pub(super) fn again<T>(&self, call: impl Fn() -> Result<T, CallError>) -> Result<T, CallError> {
        for _ in 1..TRIES {
            match call() {
                Err(error) if !error.is_interrupted() => self.linger(TRY_AGAIN, Generation::New),
                result => return result,
            }
        }
        call()
    }

    /// Starts those old containers of a recreated service that Compose has stopped and not replaced. False when it
    /// has removed one.
    pub(super) fn restart_recreated(&mut self) -> Result<bool, String> {
        let old = std::mem::take(&mut self.recreated);
        let readings = self.again(|| self.crew.docker.inspect(&ids(&old))).map_err(text)?;
        if readings.len() < old.len() {
            return Ok(false);
        }
        let made = self.all_started();
        self.discard(&made).map_err(text)?;
        let (running, stopped): (Vec<_>, _) =
            readings.iter().partition(|reading| reading.state == State::Running);
        let refer = |readings: Vec<&Container>| readings.into_iter().map(Container::reference).collect();
        let (running, mut stopped): (Vec<_>, Vec<_>) = (refer(running), refer(stopped));
        self.start_again(&stopped).map_err(text)?;
        if self.cut_off || !stopped.is_empty() {
            let late = self.ended_within(self.grace(&running), &running).map_err(text)?;
            self.start_again(&late).map_err(text)?;
            stopped.extend(late);
        }
        self.await_restored(&stopped)?;
        Ok(true)
    }

    /// Which of these end in this time. The engine goes on with a stop although nobody waits for it any more, and does
    /// not tell that it has begun one.
    fn ended_within(&self, time: Duration, running: &[ContainerRef]) -> Result<Vec<ContainerRef>, CallError> {
        let end = Instant::now().checked_add(time);
        loop {
            let heard = self.crew.bell.heard();
            let readings = self.again(|| self.crew.docker.inspect(&ids(running)))?;
            let ended = readings.iter().filter(|reading| reading.state != State::Running);
            let ended: Vec<_> = ended.map(Container::reference).collect();
            let left = end.map_or(LOOK, |end| end.saturating_duration_since(Instant::now()));
            if ended.len() == readings.len() || left.is_zero() {
                return Ok(ended);
            }
            self.crew.bell.wait(heard, left.min(LOOK));
        }
    }

    /// Old containers that were stopped run again; so do those that still run but have been told by their
    /// `pre_stop` hook that they are to go.
    fn restore(&mut self, chosen: impl Fn(&Retired) -> bool) -> Result<(), String> {
        let ending = std::mem::take(&mut self.ending);
        if !ending.is_empty() {
            self.ended_within(self.grace(&ending), &ending).map_err(text)?;
        }
        let back: Vec<_> = self.retired.iter().filter(|retired| chosen(retired)).cloned().collect();
        let mut stopped: Vec<_> = back.iter().map(|retired| retired.container.clone()).collect();
        let drained = std::mem::take(&mut self.drained);
        stopped.extend(drained.into_iter().filter(|c| self.told.contains(&c.id)));
        let told = self.take_running(&mut stopped).map_err(text)?;
        self.bring_back(&back, &mut stopped).map_err(text)?;
        let out = self.going_out(&told);
        if !out.is_empty() {
            let stopped = self.crew.docker.stop(&ids(&out), self.crew.stop_timeout, self.grace(&out));
            stopped.map_err(text)?;
            self.start_again(&out).map_err(text)?;
        }
        self.await_restored(&[stopped, out].concat())?;
        self.retired.retain(|retired| !chosen(retired));
        Ok(())
    }

    /// Moves those out that run still although their `pre_stop` hook has run.
    fn take_running(&self, old: &mut Vec<ContainerRef>) -> Result<Vec<ContainerRef>, CallError> {
        if !old.iter().any(|c| self.told.contains(&c.id)) {
            return Ok(vec![]);
        }
        let readings = self.again(|| self.crew.docker.inspect(&ids(old)))?;
        let runs = |c: &ContainerRef| readings.iter().any(|r| r.id == c.id && r.state == State::Running);
        let told = |c: &ContainerRef| self.told.contains(&c.id) && runs(c);
        let (told, stopped) = std::mem::take(old).into_iter().partition(told);
        *old = stopped;
        Ok(told)
    }

    /// What somebody has removed meanwhile is left out, as long as anything remains.
    fn bring_back(&self, back: &[Retired], stopped: &mut Vec<ContainerRef>) -> Result<(), CallError> {
        let start = |old: &[ContainerRef]| {
            self.return_policies(back, old)?;
            self.start_again(old)
        };
        let Err(error) = start(stopped) else { return Ok(()) };
        let readings = self.again(|| self.crew.docker.inspect(&ids(stopped)))?;
        let there = |c: &ContainerRef| readings.iter().any(|reading| reading.id == c.id);
        let (kept, gone): (Vec<_>, Vec<_>) = stopped.drain(..).partition(there);
        *stopped = kept;
        if stopped.is_empty() || gone.is_empty() {
            return Err(error);
        }
        gone.iter()
            .for_each(|c| self.warn(&format!("{} was removed by somebody and cannot serve again", c.name)));
        start(stopped)
    }

    fn return_policies(&self, back: &[Retired], stopped: &[ContainerRef]) -> Result<(), CallError> {
        let lost =
            |retired: &&Retired| stopped.contains(&retired.container) && retired.restart.revives_stopped();
        for retired in back.iter().filter(lost) {
            let id = std::slice::from_ref(&retired.container.id);
            self.again(|| self.crew.docker.set_restart(id, &retired.restart.flag()))?;
        }
        Ok(())
    }

    fn start_again(&self, old: &[ContainerRef]) -> Result<(), CallError> {
        self.again(|| self.crew.docker.start(&ids(old)))?;
        old.iter().for_each(|container| self.tell(container, Generation::Old, Phase::Restoring));
        Ok(())
    }

    /// The way back asks no more of the old ones than they gave: those that did not run are only started, and those that
    /// Docker called unhealthy, but may have served all the same, get the time to boot. How long the new version may take
    /// is not for the old one.
    fn await_restored(&mut self, old: &[ContainerRef]) -> Result<(), String> {
        let before = |c: &ContainerRef| self.crew.before.get(&c.id);
        let ran = |c: &&ContainerRef| before(c).is_none_or(|b| b.state == State::Running);
        let old: Vec<_> = old.iter().filter(ran).cloned().collect();
        let (sick, good): (Vec<_>, Vec<_>) =
            old.iter().cloned().partition(|c| before(c).is_some_and(Container::is_unhealthy));
        let old = old.as_slice();
        if old.is_empty() {
            return Ok(());
        }
        let gate = Gate { wait_timeout: None, ..self.gate() };
        for container in &sick {
            let _ = self.watch(std::slice::from_ref(container), Generation::Old, &gate);
        }
        match self.watch(&good, Generation::Old, &gate) {
            Ok(None) => {}
            Ok(Some(failure)) | Err(Halt::Failed(failure)) => return Err(failure.sentence()),
            Err(Halt::Interrupted) => return Err("interrupted".to_owned()),
        }
        self.join_proxy(old, Generation::Old);
        old.iter().for_each(|container| self.tell(container, Generation::Old, Phase::Restored));
        // The proxies learn of them as they learn of new ones, and what serves in their place goes next.
        self.linger(self.service.settings.settle, Generation::New);
        Ok(())
    }

    /// Which of these running containers their `pre_stop` hook has made unhealthy, or will before long: nobody
    /// sends them requests any more, and only a new start brings them back.
    fn going_out(&self, told: &[ContainerRef]) -> Vec<ContainerRef> {
        for container in told.iter().filter(|c| self.turns_within(c).is_none()) {
            self.warn(&format!(
                "{0} runs, but its pre_stop hook has run; if it does not serve any more, type \"docker restart {0}\"",
                container.name
            ));
        }
        let limits = told.iter().filter_map(|c| self.turns_within(c));
        let Some(limit) = limits.max() else { return vec![] };
        let end = Instant::now() + limit.min(self.service.settings.drain_timeout);
        loop {
            let heard = self.crew.bell.heard();
            let readings = self.crew.docker.inspect(&ids(told)).unwrap_or_default();
            let left = end.saturating_duration_since(Instant::now());
            let answered = readings.len() == told.len();
            if left.is_zero() || answered && readings.iter().all(Container::is_unhealthy) {
                let out = readings.iter().filter(|reading| reading.is_unhealthy());
                return out.map(Container::reference).collect();
            }
            self.crew.bell.wait(heard, left.min(LOOK));
        }
    }

    /// After an interrupt: the batch that has not begun to drain is taken back, earlier ones stay done.
    ///
    /// Under `order: stop-first` a batch has stopped its old containers before it starts the new ones, so there
    /// only the whole way back leaves enough of them.
    pub(super) fn give_way(&mut self) -> Outcome {
        if self.down_since.is_some() {
            self.warn("Compose has replaced the old container; nobody has looked whether the new one serves");
            return Outcome::Interrupted;
        }
        if self.service.settings.order == Order::StopFirst {
            let undone = self.undo();
            return self.after_undo(undone, Outcome::Interrupted);
        }
        let unproven = match self.started.last_key_value() {
            Some((batch, new)) if !self.drained(*batch) => new.clone(),
            _ => vec![],
        };
        let unproven: Vec<_> = unproven.into_iter().filter(|c| !self.revived.contains(c)).collect();
        let old: Vec<_> = self.retired.drain(..).map(|retired| retired.container).collect();
        let result =
            self.stop_revived().and_then(|()| self.discard(&unproven)).and_then(|()| match old.is_empty() {
                true => Ok(()),
                false => self.remove_now(&old, Generation::Old),
            });
        match result {
            Ok(()) => Outcome::Interrupted,
            Err(error) => {
                self.warn(&format!("cleaning up failed: {error}"));
                Outcome::UndoFailed
            }
        }
    }

    /// Whether this batch's old containers were stopped, or it had none.
    fn drained(&self, batch: u32) -> bool {
        self.stopped_batches.contains(&batch)
    }
}

fn text(error: impl Display) -> String {
    error.to_string()
}
