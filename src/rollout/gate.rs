//! Waits until new containers may be trusted. `docker inspect` is the truth; an event only says when to look.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::service::{Halt, Run, ids};
use crate::{
    docker::CallError,
    event::{ContainerRef, Failure, Generation, Phase},
    health::{Gate, Judgement, Why},
    model::settings::{FailureAction, Order},
    observed::{Container, HealthStatus, State},
};

/// Look at least this often, should an event be lost. Never the way a change is normally noticed.
const SAFETY_LOOK: Duration = Duration::from_secs(5);
/// The log lines of a failed container that a person needs to see first.
const LOG_LINES: usize = 20;

/// A container, why it is not to be trusted, and what was seen of it.
pub(super) type Fallen = (ContainerRef, Why, Option<Container>);

/// One look at a set of containers.
struct Look {
    failed: Vec<Fallen>,
    /// Until when to sleep at the longest; `None`: all passed.
    wait: Option<Duration>,
}

impl Run<'_> {
    /// The gate of one batch: its new containers, and those in `also`.
    pub(super) fn gate_batch(&mut self, batch: u32, also: &[ContainerRef]) -> Result<(), Halt> {
        let mut watched = self.started.get(&batch).cloned().unwrap_or_default();
        watched.extend_from_slice(also);
        let mut tolerated = Vec::new();
        loop {
            watched.retain(|container| !tolerated.contains(container));
            match self.watch(&watched, Generation::New, &self.gate())? {
                None => break,
                Some(failure) => {
                    let container = self.tolerate(failure)?;
                    tolerated.push(container);
                }
            }
        }
        self.join_proxy(&watched, Generation::New);
        self.note_resumed(also)?;
        self.proven = Some(Instant::now());
        if let Some(since) = self.down_since
            && self.crew.docker.inspect(&ids(&watched))?.iter().any(|reading| reading.health.is_some())
        {
            self.downtime = Some(since.elapsed());
        }
        let passed = if self.service.one_shot { Phase::Finished } else { Phase::Ready };
        watched.iter().for_each(|container| self.tell(container, Generation::New, passed.clone()));
        Ok(())
    }

    fn note_resumed(&mut self, also: &[ContainerRef]) -> Result<(), Halt> {
        if !also.is_empty() {
            let readings = self.again(|| self.crew.docker.inspect(&ids(also)))?;
            self.resumed.extend(readings.iter().map(|c| (c.reference(), c.restart_count)));
        }
        Ok(())
    }

    /// Waits until none of these runs, however they end.
    pub(super) fn await_end(&self, jobs: &[ContainerRef]) -> Result<(), Halt> {
        loop {
            let heard = self.crew.bell.heard();
            let runs = |c: &Container| matches!(c.state, State::Running | State::Restarting);
            if !self.crew.docker.inspect(&ids(jobs))?.iter().any(runs) {
                return Ok(());
            }
            if self.crew.interrupt.requested() {
                return Err(Halt::Interrupted);
            }
            self.heed_alarm()?;
            self.crew.bell.wait(heard, SAFETY_LOOK);
        }
    }

    pub(super) fn gate(&self) -> Gate {
        let settings = &self.service.settings;
        Gate {
            monitor: settings.monitor,
            wait_timeout: settings.wait_timeout,
            one_shot: self.service.one_shot,
        }
    }

    /// Watches until all pass (`None`) or one fails.
    pub(super) fn watch(
        &self,
        watched: &[ContainerRef],
        generation: Generation,
        gate: &Gate,
    ) -> Result<Option<Failure>, Halt> {
        let since = Instant::now();
        let mut told = BTreeMap::new();
        let mut pasts = Pasts::new();
        loop {
            let heard = self.crew.bell.heard();
            let readings = self.again(|| self.crew.docker.inspect(&ids(watched)))?;
            self.note_pasts(&readings, &mut pasts);
            self.tell_waiting(&readings, generation, gate, since, &mut told);
            let look = look(watched, &readings, gate, &pasts, since.elapsed());
            if let Some((container, why, reading)) = look.failed.into_iter().next() {
                return Ok(Some(self.describe(container, &why, reading.as_ref(), generation)));
            }
            let Some(wait) = look.wait else { return Ok(None) };
            if generation == Generation::New {
                if self.crew.interrupt.requested() {
                    return Err(Halt::Interrupted);
                }
                self.heed_alarm()?;
            }
            self.crew.bell.wait(heard, wait.min(SAFETY_LOOK));
        }
    }

    /// What this run started has no past; anything else may have crashed long ago.
    fn note_pasts(&self, readings: &[Container], pasts: &mut Pasts) {
        for reading in readings {
            let ours = self.started.values().flatten().any(|c| c.id == reading.id);
            pasts.entry(reading.id.clone()).or_insert(if ours { 0 } else { reading.restart_count });
        }
    }

    /// Says what is waited for, when it changes.
    fn tell_waiting(
        &self,
        readings: &[Container],
        generation: Generation,
        gate: &Gate,
        since: Instant,
        told: &mut BTreeMap<String, (String, Option<String>)>,
    ) {
        for reading in readings {
            if !matches!(gate.judge(reading, u64::MAX, since.elapsed()), Judgement::Wait(_)) {
                continue;
            }
            let output = reading.health.as_ref().and_then(|health| health.output.clone());
            let now = (
                health_word(reading).to_owned(),
                output.and_then(|text| text.lines().last().map(str::to_owned)),
            );
            if told.insert(reading.id.clone(), now.clone()).as_ref() != Some(&now) {
                let deadline = gate.deadline_for(reading).saturating_sub(since.elapsed());
                let (health, output) = now;
                self.tell(&reading.reference(), generation, Phase::Waiting { health, output, deadline });
            }
        }
    }

    fn describe(
        &self,
        container: ContainerRef,
        why: &Why,
        reading: Option<&Container>,
        generation: Generation,
    ) -> Failure {
        let reason = why.to_string();
        self.tell(&container, generation, Phase::Failed { reason: reason.clone() });
        Failure {
            reason,
            health_output: reading.and_then(|c| c.health.as_ref()).and_then(|health| health.output.clone()),
            log_tail: self.crew.docker.log_tail(&container.id, LOG_LINES),
            container: Some(container),
        }
    }

    /// Under `max_failure_ratio` a failed container is left to its restart policy; under
    /// `failure_action: continue` it is removed and one old container more stays. Otherwise the batch fails.
    fn tolerate(&mut self, failure: Failure) -> Result<ContainerRef, Halt> {
        let settings = &self.service.settings;
        let Some(container) = failure.container.clone() else { return Err(Halt::Failed(failure)) };
        let allowed = (settings.max_failure_ratio * f64::from(self.plan.replicas)).floor() as usize;
        if self.forgiven.len() < allowed {
            self.refused(&failure, false);
            self.warn(&format!("max_failure_ratio lets {} pass", container.name));
            self.forgiven.push(container.clone());
            return Ok(container);
        }
        if settings.failure_action != FailureAction::Continue || !self.has_a_stand_in(&container) {
            return Err(Halt::Failed(failure));
        }
        self.refused(&failure, false);
        self.warn("failure_action is continue: one old container stays in its place");
        self.discard(std::slice::from_ref(&container)).map_err(Halt::from)?;
        self.started.values_mut().for_each(|started| started.retain(|other| *other != container));
        self.lost += 1;
        self.keep += 1;
        Ok(container)
    }

    /// Whether an old container runs that can stay in this one's place, and this run has made this one.
    fn has_a_stand_in(&self, container: &ContainerRef) -> bool {
        self.service.settings.order == Order::StartFirst
            && self.down_since.is_none()
            && !self.revived.contains(container)
            && self.started.values().flatten().any(|started| started == container)
    }

    /// Time has passed since the gate: a new container may have died meanwhile, and then the old ones stay.
    pub(super) fn prove_again(&self) -> Result<(), Halt> {
        const FRESH: Duration = Duration::from_millis(500);
        match self.proven.is_none_or(|at| at.elapsed() < FRESH) {
            true => Ok(()),
            false => self.refuse(self.fallen()?),
        }
    }

    /// The last look before there is no way back any more. That the engine does not answer is no reason to go it.
    pub(super) fn prove_at_last(&self) -> Result<(), Halt> {
        match self.fallen() {
            Err(error) if !error.is_interrupted() => {
                self.warn(&format!("the new containers could not be looked at once more: {error}"));
                Ok(())
            }
            fallen => self.refuse(fallen?),
        }
    }

    fn refuse(&self, fallen: Option<Fallen>) -> Result<(), Halt> {
        match fallen {
            Some((container, why, reading)) => {
                Err(Halt::Failed(self.describe(container, &why, reading.as_ref(), Generation::New)))
            }
            None => Ok(()),
        }
    }

    /// One that the gate has let pass, and that would not pass now.
    pub(super) fn fallen(&self) -> Result<Option<Fallen>, CallError> {
        let mut new = self.all_started();
        new.extend(self.resumed.keys().cloned());
        new.retain(|container| !self.forgiven.contains(container));
        let pasts =
            self.resumed.iter().map(|(container, restarts)| (container.id.clone(), *restarts)).collect();
        let gate = Gate { monitor: Duration::ZERO, ..self.gate() };
        let readings = self.again(|| self.crew.docker.inspect(&ids(&new)))?;
        let look = look(&new, &readings, &gate, &pasts, Duration::ZERO);
        Ok(look.failed.into_iter().next())
    }
}

/// Container ID → restart count when the watch began.
type Pasts = BTreeMap<String, u64>;

fn look(
    watched: &[ContainerRef],
    readings: &[Container],
    gate: &Gate,
    pasts: &Pasts,
    elapsed: Duration,
) -> Look {
    let mut result = Look { failed: vec![], wait: None };
    for container in watched {
        let reading = readings.iter().find(|reading| reading.id == container.id);
        let past = pasts.get(&container.id).copied().unwrap_or(0);
        let judgement =
            reading.map_or(Judgement::Fail(Why::Gone), |reading| gate.judge(reading, past, elapsed));
        match judgement {
            Judgement::Pass => {}
            Judgement::Wait(time) => {
                result.wait = Some(result.wait.map_or(time, |wait: Duration| wait.min(time)))
            }
            Judgement::Fail(why) => result.failed.push((container.clone(), why, reading.cloned())),
        }
    }
    result
}

fn health_word(container: &Container) -> &'static str {
    match container.health.as_ref().map(|health| health.status) {
        Some(HealthStatus::Starting) => "starting",
        Some(HealthStatus::Healthy) => "healthy",
        Some(HealthStatus::Unhealthy) => "unhealthy",
        None => "running",
    }
}
