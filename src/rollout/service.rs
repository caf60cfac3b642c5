//! One service, step by step.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use super::{Crew, ServiceResult, drain::Slot, proxies};
use crate::{
    docker::CallError,
    event::{ContainerRef, Event, Failure, Generation, Outcome, Phase},
    interrupt::Urgency,
    model::{Service, settings::FailureAction},
    observed::{Container, RestartPolicy},
    plan::{ServicePlan, Step},
};

/// Why the steps stopped before their end.
pub(super) enum Halt {
    Failed(Failure),
    Interrupted,
}

impl From<CallError> for Halt {
    fn from(error: CallError) -> Halt {
        match error.is_interrupted() {
            true => Halt::Interrupted,
            false => Halt::Failed(Failure {
                reason: error.to_string(),
                container: None,
                health_output: None,
                log_tail: vec![],
            }),
        }
    }
}

/// A stopped old container and the restart policy it had.
#[derive(Clone)]
pub(super) struct Retired {
    pub batch: u32,
    pub container: ContainerRef,
    pub restart: RestartPolicy,
}

/// What this run has done to the service so far: all that an undo needs.
pub(super) struct Run<'a> {
    pub crew: &'a Crew<'a>,
    pub plan: &'a ServicePlan,
    pub service: &'a Service,
    /// Started in this run, by batch.
    pub started: BTreeMap<u32, Vec<ContainerRef>>,
    /// The IDs that were there before the first of them.
    pub known: Option<BTreeSet<String>>,
    pub retired: Vec<Retired>,
    /// Old containers that have left the proxy and are not stopped yet.
    pub drained: Vec<ContainerRef>,
    /// IDs of old containers that their `pre_stop` hook has told to go.
    pub told: BTreeSet<String>,
    /// Stopped containers that Compose has started again: an undo stops them, and keeps them.
    pub revived: Vec<ContainerRef>,
    /// New containers that failed and were removed under `failure_action: continue`.
    pub lost: usize,
    /// Old containers still to be spared in place of lost ones.
    pub keep: usize,
    /// Old containers that were spared.
    pub kept: Vec<ContainerRef>,
    /// Failed new containers that `max_failure_ratio` lets pass.
    pub forgiven: Vec<ContainerRef>,
    /// Batches whose old containers are gone: there is no way back within them but a full undo.
    pub stopped_batches: BTreeSet<u32>,
    /// Slots of HAProxy that this run has set to drain.
    pub slots: Vec<Slot>,
    /// The containers of HAProxy, as far as is known.
    pub proxies: Vec<ContainerRef>,
    /// ID of one of them → whether containers of the service were seen among its servers. They are not where the two
    /// merely share a network.
    pub has_ours: BTreeMap<String, bool>,
    /// It was said that the HAProxy that is written has nothing to drain.
    pub told_of_nothing: bool,
    /// A proxy did not take in what the last gate let pass, or a backend of it would be empty without the old.
    pub absent: bool,
    /// Old containers whose stop broke off, so that they may end although they still run.
    pub ending: Vec<ContainerRef>,
    /// What earlier runs have started and this one's gates have let pass, each with its restarts until then.
    pub resumed: BTreeMap<ContainerRef, u64>,
    /// When the gate last saw every new container ready.
    pub proven: Option<Instant>,
    /// The old containers of a recreated service.
    pub recreated: Vec<ContainerRef>,
    /// Compose was given up while it recreated them, so it may have told them to stop, and they still run.
    pub cut_off: bool,
    /// When Compose was told to stop the old containers of a recreated service.
    pub down_since: Option<Instant>,
    pub downtime: Option<Duration>,
    /// One-offs of `pre_start` hooks that go on although nobody waits for them any more.
    pub hooks_left: Vec<ContainerRef>,
    /// It runs another definition or image than was planned.
    pub deviates: bool,
}

/// Carries out one service's steps; on a failure, the way back.
pub(super) fn roll(crew: &Crew, plan: &ServicePlan) -> ServiceResult {
    let began = Instant::now();
    let mut run = Run::new(crew, plan);
    run.emit_begin();
    run.follow_proxies();
    let (outcome, failure) = match run.steps() {
        Ok(()) if run.lost > 0 => (Outcome::Partial, None),
        Ok(()) => (Outcome::Done, None),
        _ if run.abandoned() => (Outcome::Interrupted, None),
        Err(Halt::Interrupted) => (run.give_way(), None),
        Err(Halt::Failed(failure)) => (run.fail(&failure), Some(failure)),
    };
    // A second interrupt may also have come during the way back.
    let (outcome, failure) = if run.abandoned() { (Outcome::Interrupted, None) } else { (outcome, failure) };
    let left = if run.abandoned() { run.left() } else { vec![] };
    let serving = run.serving();
    crew.emit(Event::ServiceEnd {
        service: plan.service.clone(),
        outcome,
        serving: serving.clone(),
        took: began.elapsed(),
    });
    ServiceResult {
        service: plan.service.clone(),
        outcome,
        serving,
        left,
        failure,
        downtime: run.downtime,
        hooks_left: run.hooks_left,
        deviates: run.deviates,
    }
}

impl<'a> Run<'a> {
    fn new(crew: &'a Crew<'a>, plan: &'a ServicePlan) -> Run<'a> {
        Run {
            crew,
            plan,
            service: crew.service(&plan.service),
            started: BTreeMap::new(),
            known: None,
            revived: vec![],
            retired: vec![],
            drained: vec![],
            told: BTreeSet::new(),
            lost: 0,
            keep: 0,
            kept: vec![],
            forgiven: vec![],
            stopped_batches: BTreeSet::new(),
            slots: vec![],
            proxies: proxies::planned(&plan.means).to_vec(),
            has_ours: BTreeMap::new(),
            told_of_nothing: false,
            absent: false,
            ending: vec![],
            resumed: BTreeMap::new(),
            proven: None,
            recreated: vec![],
            cut_off: false,
            down_since: None,
            downtime: None,
            hooks_left: vec![],
            deviates: false,
        }
    }

    fn steps(&mut self) -> Result<(), Halt> {
        for step in &self.plan.steps {
            // Once a batch drains, its old containers are half gone: the way forward is the safe one.
            let committed = matches!(step, Step::Stop { .. } | Step::Remove { .. });
            if self.crew.interrupt.requested() && !committed {
                return Err(Halt::Interrupted);
            }
            self.heed_alarm()?;
            if matches!(step, Step::Remove { .. }) {
                self.observe()?;
                // Until now there is a way back, and the stop may have taken minutes.
                self.prove_at_last()?;
            }
            self.step(step)?;
        }
        match self.plan.steps.last() {
            Some(Step::Remove { .. }) => Ok(()),
            _ => self.observe(),
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), Halt> {
        match step {
            Step::Clear { containers } => Ok(self.remove_now(containers, Generation::Old)?),
            Step::PreStart => self.pre_start(),
            Step::Delay { seconds } => self.pause(Duration::from_secs_f64(*seconds)),
            Step::Start { batch, count, how, .. } => self.start(*batch, *count, *how),
            Step::Gate { batch, also } => self.gate_batch(*batch, also),
            Step::Settle { seconds } => self.settle(Duration::from_secs_f64(*seconds)),
            Step::Drain { batch, containers } => self.drain(*batch, containers),
            Step::Stop { batch, containers } => self.stop_old(*batch, containers),
            Step::Remove { containers } => self.remove(containers),
            Step::Await { containers } => self.await_end(containers),
            Step::Revive { force, .. } => self.revive(*force),
            Step::Recreate { old } => self.recreate(old),
        }
    }

    fn settle(&mut self, time: Duration) -> Result<(), Halt> {
        self.crew.emit(Event::Settling { service: self.plan.service.clone(), time });
        self.pause(time)
    }

    /// Sleeps, unless the user interrupts.
    fn pause(&self, time: Duration) -> Result<(), Halt> {
        let end = Instant::now() + time;
        loop {
            let heard = self.crew.bell.heard();
            if self.crew.interrupt.requested() {
                return Err(Halt::Interrupted);
            }
            self.heed_alarm()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            self.crew.bell.wait(heard, left);
        }
    }

    fn fail(&mut self, failure: &Failure) -> Outcome {
        // Drained but not stopped: they go on serving.
        self.give_slots_back(false);
        let recreated = self.down_since.is_some();
        let paused = self.service.settings.failure_action == FailureAction::Pause && !recreated;
        self.refused(failure, !paused && !recreated);
        if paused {
            self.warn("failure_action is pause: both generations are left as they are");
            return Outcome::Paused;
        }
        if recreated {
            return self.after_failed_recreate();
        }
        let undone = self.undo();
        self.after_undo(undone, Outcome::RolledBack)
    }

    /// What the service has come to when the way back has ended.
    pub(super) fn after_undo(&self, undone: Result<(), String>, well: Outcome) -> Outcome {
        match undone {
            Ok(()) => well,
            Err(reason) => {
                self.warn(&format!("the undo failed: {reason}"));
                Outcome::UndoFailed
            }
        }
    }

    /// What Compose has not come to remove serves again; more cannot be done.
    fn after_failed_recreate(&mut self) -> Outcome {
        match self.restart_recreated() {
            Ok(true) => Outcome::RolledBack,
            Ok(false) => {
                self.warn("Compose has removed the old container, so there is nothing to go back to");
                Outcome::UndoFailed
            }
            Err(reason) => self.after_undo(Err(reason), Outcome::RolledBack),
        }
    }

    /// The user interrupted twice: nothing more is done.
    pub(super) fn abandoned(&self) -> bool {
        self.crew.interrupt.urgency() == Urgency::Twice
    }

    fn left(&self) -> Vec<ContainerRef> {
        let stopped = self.retired.iter().map(|retired| retired.container.clone());
        let drained = self.drained.iter().cloned();
        self.all_started().into_iter().chain(stopped).chain(drained).collect()
    }

    fn serving(&self) -> Option<Vec<ContainerRef>> {
        let found = self.crew.docker.containers(Some(&self.plan.service)).ok()?;
        let mut serving: Vec<_> = found.iter().filter(|c| c.serves()).collect();
        serving.sort_by_key(|c| c.number);
        Some(serving.into_iter().map(Container::reference).collect())
    }

    pub fn refused(&self, failure: &Failure, undo: bool) {
        self.crew.emit(Event::Refused { service: self.plan.service.clone(), failure: failure.clone(), undo });
    }

    /// Runs one hook between the two events that tell of it.
    pub fn with_hook(
        &self,
        hook: &str,
        container: Option<&ContainerRef>,
        run: impl FnOnce() -> Result<(), CallError>,
    ) -> Result<(), CallError> {
        let (service, hook) = (self.plan.service.clone(), hook.to_owned());
        let container = container.cloned();
        let begin =
            Event::HookBegin { service: service.clone(), container: container.clone(), hook: hook.clone() };
        self.crew.emit(begin);
        let result = run();
        let error = result.as_ref().err().map(ToString::to_string);
        self.crew.emit(Event::Hook { service, container, hook, error });
        result
    }

    /// The service's containers before anything was touched.
    pub fn mine_before(&self) -> impl Iterator<Item = &Container> {
        self.crew.before.values().filter(|container| container.service == self.plan.service)
    }

    pub fn all_started(&self) -> Vec<ContainerRef> {
        self.started.values().flatten().cloned().collect()
    }

    fn emit_begin(&self) {
        self.crew.emit(Event::ServiceBegin {
            service: self.plan.service.clone(),
            verdict: self.plan.verdict,
            replicas: self.plan.replicas,
            batches: self.plan.batches(),
        });
    }

    pub fn tell(&self, container: &ContainerRef, generation: Generation, phase: Phase) {
        self.crew.emit(Event::Container {
            service: self.plan.service.clone(),
            container: container.clone(),
            generation,
            phase,
        });
    }

    pub fn warn(&self, message: &str) {
        self.crew
            .emit(Event::Warning { service: Some(self.plan.service.clone()), message: message.to_owned() });
    }
}

pub(super) fn ids(containers: &[ContainerRef]) -> Vec<String> {
    containers.iter().map(|container| container.id.clone()).collect()
}
