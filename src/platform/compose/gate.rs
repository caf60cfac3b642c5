//! Waits until new containers may be trusted. `docker inspect` is the truth; an event only says when to look.

use std::{collections::BTreeMap, time::Duration};

use super::{
    judge::{Gate, Judgement, Why},
    rollout::{Effect, Rollout},
};
use crate::{
    engine::{CallError, Container, ContainerRef, Replica, State, ids},
    event::{Failure, Generation, Phase},
    execute::Journal,
    project::{FailureAction, Order},
    stage::Halt,
    wait::{Ended, Heed, Look},
};

/// Look at least this often, should an event be lost. Never the way a change is normally noticed.
const SAFETY_LOOK: Duration = Duration::from_secs(5);
/// The log lines of a failed container that a person needs to see first.
const LOG_LINES: usize = 20;
/// What was seen so short a time ago is not looked at again.
const JUST_NOW: Duration = Duration::from_millis(500);
/// While old containers drain, the new ones are looked at this often.
const GLANCE: Duration = Duration::from_secs(1);

/// A container, why it is not to be trusted, and what was seen of it.
type Fallen = (ContainerRef, Why, Option<Box<Container>>);

/// How some containers are watched.
pub(super) struct Watch {
    pub generation: Generation,
    pub gate: Gate,
    pub heed: Heed,
    /// IDs of those that have no past; anything else may have crashed long ago.
    pub without_past: Vec<String>,
}

impl Rollout<'_> {
    /// The gate of one batch: its new containers, and those in `also`.
    pub(super) fn pass_gate(
        &mut self,
        batch: u32,
        also: &[Replica],
        journal: &mut Journal<Effect>,
    ) -> Result<(), Halt> {
        let mut watched = Effect::made_of(batch, journal);
        let watch = Watch {
            generation: Generation::New,
            gate: self.new_gate(),
            heed: Heed::All,
            without_past: ids(&watched),
        };
        watched.extend_from_slice(also);
        while let Some(failure) = self.watch(&watched, &watch)? {
            let container = self.tolerate(failure, batch, journal)?;
            watched.retain(|replica| replica.id != container.id);
        }
        self.with_proxies(|proxies, scene| proxies.join(&watched, Generation::New, scene));
        for reading in self.note_passed(&watched)? {
            let passed = if reading.state == State::Exited { Phase::Finished } else { Phase::Ready };
            self.reporter().container(&reading.reference(), Generation::New, passed);
        }
        Ok(())
    }

    fn note_passed(&mut self, passed: &[Replica]) -> Result<Vec<Container>, Halt> {
        let readings = self.again(|| self.engine().inspect(&ids(passed)))?;
        self.gate.passed.extend(readings.iter().map(|c| (c.id.clone(), c.restart_count)));
        self.gate.at = Some(self.now());
        if let Some(since) = self.down_since
            && readings.iter().any(|reading| reading.health.is_some())
        {
            self.findings.downtime = Some(self.now().saturating_duration_since(since));
        }
        Ok(readings)
    }

    /// Waits until none of these runs, however they end.
    pub(super) fn await_end(&self, jobs: &[Replica]) -> Result<(), Halt> {
        let ended = self.stage.waiter.until(None, Heed::All, || {
            let running = self.engine().inspect(&ids(jobs))?.iter().any(Container::runs);
            Ok::<_, CallError>(if running { Look::Again(SAFETY_LOOK) } else { Look::Done(()) })
        })?;
        Halt::unless_over(ended)
    }

    /// Watches until all pass (`None`) or one fails.
    pub(super) fn watch(&self, watched: &[Replica], watch: &Watch) -> Result<Option<Failure>, Halt> {
        let since = self.now();
        let mut reported = BTreeMap::new();
        let mut pasts: BTreeMap<String, u64> = BTreeMap::new();
        let ended = self.stage.waiter.until(None, watch.heed, || {
            let readings = self.again(|| self.engine().inspect(&ids(watched)))?;
            for reading in &readings {
                let past = if watch.without_past.contains(&reading.id) { 0 } else { reading.restart_count };
                pasts.entry(reading.id.clone()).or_insert(past);
            }
            self.keep_guard(&readings, watch);
            let elapsed = self.now().saturating_duration_since(since);
            self.report_waiting(&readings, watch, elapsed, &mut reported);
            let wanted: Vec<_> = watched.iter().map(|replica| replica.reference()).collect();
            Ok::<_, CallError>(match judge_all(&wanted, &readings, &watch.gate, &pasts, elapsed) {
                Judged::Fallen(fallen) => Look::Done(Some(fallen)),
                Judged::Wait(time) => Look::Again(time.min(SAFETY_LOOK)),
                Judged::AllPass => Look::Done(None),
            })
        })?;
        match ended {
            Ended::Done(fallen) => Ok(fallen.map(|fallen| self.describe(fallen, watch.generation))),
            Ended::Deadline => Ok(None),
            Ended::Interrupted => Err(Halt::Interrupted),
            Ended::Alarm(reason) => Err(Halt::failed(reason, None)),
        }
    }

    /// One that was started again may have another address.
    fn keep_guard(&self, readings: &[Container], watch: &Watch) {
        if watch.generation == Generation::New && self.is_handed_over() {
            let new = readings.iter().filter(|c| watch.without_past.contains(&c.id)).map(Replica::from);
            let new: Vec<_> = new.collect();
            self.with_proxies(|proxies, scene| proxies.started(&new, scene));
        }
    }

    /// Says what is waited for, when it changes.
    fn report_waiting(
        &self,
        readings: &[Container],
        watch: &Watch,
        elapsed: Duration,
        reported: &mut BTreeMap<String, (String, Option<String>)>,
    ) {
        for reading in readings {
            if !matches!(watch.gate.judge(reading, u64::MAX, elapsed), Judgement::Wait(_)) {
                continue;
            }
            let output = reading.health.as_ref().and_then(|health| health.output.as_ref());
            let health = reading.health_status().map_or("running".to_owned(), |status| status.to_string());
            let now = (health, output.and_then(|text| text.lines().last().map(str::to_owned)));
            if reported.insert(reading.id.clone(), now.clone()).as_ref() != Some(&now) {
                let deadline = watch.gate.deadline_for(reading).saturating_sub(elapsed);
                let (health, output) = now;
                let phase = Phase::Waiting { health, output, deadline };
                self.reporter().container(&reading.reference(), watch.generation, phase);
            }
        }
    }

    fn describe(&self, (container, mut why, reading): Fallen, generation: Generation) -> Failure {
        let log_tail = self.engine().log_tail(&container.id, LOG_LINES);
        if why.may_be_out_of_memory()
            && let Ok(again) = self.engine().inspect(std::slice::from_ref(&container.id))
            && let Some(now) = again.first()
            && let Judgement::Fail(now) = self.new_gate().judge(now, 0, Duration::ZERO)
        {
            why = now;
        }
        let reason = why.to_string();
        let phase = Phase::Failed { reason: reason.clone() };
        self.reporter().container(&container, generation, phase);
        Failure {
            reason,
            health_output: reading.and_then(|c| c.health).and_then(|health| health.output),
            log_tail,
            container: Some(container),
            command: None,
        }
    }

    /// Under `max_failure_ratio` a failed container is left to its restart policy; under
    /// `failure_action: continue` it is removed and one old container more stays. Otherwise the batch fails.
    fn tolerate(
        &mut self,
        failure: Failure,
        batch: u32,
        journal: &mut Journal<Effect>,
    ) -> Result<ContainerRef, Halt> {
        let settings = self.plan.settings();
        let Some(container) = failure.container.clone() else { return Err(failure.into()) };
        let allowed = (settings.failure.max_ratio * f64::from(self.plan.replicas)).floor() as usize;
        if self.gate.forgiven.len() < allowed {
            self.report_failure(&failure);
            self.warn(&format!("max_failure_ratio lets {} pass", container.name));
            self.gate.forgiven.push(container.clone());
            return Ok(container);
        }
        let mut made = journal.effects_mut().filter_map(|effect| match effect {
            Effect::Start { batch: of, made, .. } if *of == batch => Some(made),
            _ => None,
        });
        let stand_in = made.find_map(|made| Some((made.iter().position(|r| r.id == container.id)?, made)));
        // Where the old ones have stopped there is none to stay.
        let continues = settings.failure.action == FailureAction::Continue
            && settings.order == Order::StartFirst
            && !self.plan.verdict.is_alone();
        let Some((at, made)) = stand_in.filter(|_| continues) else { return Err(failure.into()) };
        let lost = made.remove(at);
        self.report_failure(&failure);
        self.warn("failure_action is continue: one old container stays in its place");
        self.discard(&[lost])?;
        self.findings.lost += 1;
        self.spared.count += 1;
        Ok(container)
    }

    fn report_failure(&self, failure: &Failure) {
        let service = self.plan.service.clone();
        self.reporter().emit(crate::event::Event::Failed {
            service,
            failure: failure.clone(),
            rollback: false,
        });
    }

    /// Time has passed since the gate: a new container may have died meanwhile, and then the old ones stay.
    pub(super) fn prove_again(&self) -> Result<(), Halt> {
        let now = self.now();
        match self.gate.at.is_none_or(|at| now.saturating_duration_since(at) < JUST_NOW) {
            true => Ok(()),
            false => self.unless_fallen(self.fallen()?),
        }
    }

    pub(super) fn unless_fallen(&self, fallen: Option<Fallen>) -> Result<(), Halt> {
        fallen.map_or(Ok(()), |fallen| Err(self.describe(fallen, Generation::New).into()))
    }

    /// While the old ones drain: whether they are needed again, because of the alarm or a new one that died after its
    /// gate.
    pub(super) fn old_are_needed(&self) -> bool {
        let since = self.gate.looked.get().or(self.gate.at);
        let due = since.is_some_and(|since| self.now().saturating_duration_since(since) >= GLANCE);
        if due {
            self.gate.looked.set(Some(self.now()));
        }
        self.stage.waiter.alarm.reason().is_some() || due && matches!(self.fallen(), Ok(Some(_)))
    }

    /// One that the gate has let pass, and that would not pass now.
    pub(super) fn fallen(&self) -> Result<Option<Fallen>, CallError> {
        let passed: Vec<_> = self.gate.passed.keys().cloned().collect();
        let gate = Gate { monitor: Duration::ZERO, ..self.new_gate() };
        let readings = self.again(|| self.engine().inspect(&passed))?;
        let name = |id: &String| readings.iter().find(|r| r.id == *id).map_or(id, |r| &r.name).clone();
        let watched: Vec<_> =
            passed.iter().map(|id| ContainerRef { id: id.clone(), name: name(id) }).collect();
        match judge_all(&watched, &readings, &gate, &self.gate.passed, Duration::ZERO) {
            Judged::Fallen(fallen) => Ok(Some(fallen)),
            Judged::Wait(_) | Judged::AllPass => Ok(None),
        }
    }
}

/// One look at a set of containers.
enum Judged {
    AllPass,
    /// Look again at the latest after this time.
    Wait(Duration),
    Fallen(Fallen),
}

/// `pasts`: ID → restart count when the watch began.
fn judge_all(
    watched: &[ContainerRef],
    readings: &[Container],
    gate: &Gate,
    pasts: &BTreeMap<String, u64>,
    elapsed: Duration,
) -> Judged {
    let mut result = Judged::AllPass;
    for container in watched {
        let reading = readings.iter().find(|reading| reading.id == container.id);
        let past = pasts.get(&container.id).copied().unwrap_or(0);
        let judgement =
            reading.map_or(Judgement::Fail(Why::Gone), |reading| gate.judge(reading, past, elapsed));
        match (judgement, &result) {
            (Judgement::Fail(why), _) => {
                let reading = reading.cloned().map(Box::new);
                return Judged::Fallen((container.clone(), why, reading));
            }
            (Judgement::Wait(time), Judged::Wait(other)) => result = Judged::Wait(time.min(*other)),
            (Judgement::Wait(time), _) => result = Judged::Wait(time),
            (Judgement::Pass, _) => {}
        }
    }
    result
}
