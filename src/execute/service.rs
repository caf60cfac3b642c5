//! One service: its operations in order, and the rollback when they fail or are interrupted.

use std::time::Duration;

use super::{Board, Findings, Journal, Mark, Performer, ServiceResult};
use crate::{
    event::{Event, Failure, Outcome, ServiceEnd},
    plan::{Operation, ServicePlan, What},
    project::FailureAction,
    stage::{Halt, Stage},
    wait::{Ended, Heed},
};

pub(super) fn roll<P: Performer>(
    stage: &Stage,
    board: &Board,
    plan: &ServicePlan,
    performer: P,
) -> ServiceResult {
    let began = stage.waiter.clock.now();
    let mut run = Run { stage, board, plan, performer, journal: Journal::default() };
    run.emit_begin();
    let (outcome, failure) = run.run();
    let left = if stage.waiter.is_abandoned() { run.performer.left(&run.journal) } else { vec![] };
    let serving = run.performer.serving();
    let took = stage.waiter.clock.now().saturating_duration_since(began);
    let (service, findings) = (plan.service.clone(), run.performer.findings());
    stage.emit(Event::ServiceEnd(ServiceEnd { service, outcome, serving: serving.clone(), took }));
    ServiceResult { service: plan.service.clone(), outcome, serving, left, failure, findings }
}

struct Run<'a, P: Performer> {
    stage: &'a Stage<'a>,
    board: &'a Board,
    plan: &'a ServicePlan,
    performer: P,
    journal: Journal<P::Effect>,
}

impl<P: Performer> Run<'_, P> {
    fn run(&mut self) -> (Outcome, Option<Failure>) {
        let (outcome, failure) = match self.operations() {
            Ok(()) if self.performer.findings().lost > 0 => (Outcome::Partial, None),
            Ok(()) => (Outcome::Done, None),
            Err(_) if self.stage.waiter.is_abandoned() => (Outcome::Interrupted, None),
            Err(Halt::Interrupted) => (self.break_off(), None),
            Err(Halt::Failed(failure)) => (self.fail(&failure), Some(*failure)),
        };
        self.performer.end();
        // A second interrupt may also have come during the rollback.
        match self.stage.waiter.is_abandoned() {
            true => (Outcome::Interrupted, None),
            false => (outcome, failure),
        }
    }

    fn operations(&mut self) -> Result<(), Halt> {
        for (at, operation) in self.plan.operations.iter().enumerate() {
            if self.stage.waiter.is_interrupted() && !self.plan.is_committed(at) {
                return Err(Halt::Interrupted);
            }
            self.stage.heed_alarm()?;
            if matches!(operation.what, What::Remove { .. }) {
                self.watch_alone()?;
                // Until now all can be undone, and the stop may have taken minutes.
                self.performer.check(&self.journal)?;
            }
            self.perform(operation)?;
            let next = self.plan.operations.get(at + 1);
            if next.is_none_or(|next| next.batch != operation.batch) {
                self.journal.mark();
            }
        }
        match self.plan.operations.last().map(|operation| &operation.what) {
            Some(What::Remove { .. }) => Ok(()),
            _ => self.watch_alone(),
        }
    }

    fn perform(&mut self, operation: &Operation) -> Result<(), Halt> {
        match &operation.what {
            What::Delay { seconds } => self.pause(*seconds),
            What::Settle { seconds } => {
                let time = Duration::from_secs_f64(*seconds);
                self.stage.emit(Event::Settling { service: self.plan.service.clone(), time });
                self.pause(*seconds)
            }
            What::PassPorts { to, frees, .. } => {
                self.board.free(&self.plan.service, frees, self.stage);
                self.unless_refused(to)?;
                self.performer.perform(operation, &mut self.journal)
            }
            _ => self.performer.perform(operation, &mut self.journal),
        }
    }

    /// Whoever takes over serves.
    fn unless_refused(&self, to: &str) -> Result<(), Halt> {
        match self.board.outcome(to, self.stage) {
            Some(outcome) if outcome.is_good() => Ok(()),
            _ if self.stage.waiter.is_interrupted() => Err(Halt::Interrupted),
            _ => Err(Halt::failed(format!("{to} does not serve, which was to take over its ports"), None)),
        }
    }

    fn pause(&self, seconds: f64) -> Result<(), Halt> {
        Halt::unless_over(self.stage.waiter.pause(Duration::from_secs_f64(seconds), Heed::All))
    }

    /// Lets the new version serve alone for a while: once the old containers are removed nothing can be undone.
    fn watch_alone(&self) -> Result<(), Halt> {
        let time = self.stage.watch_alone;
        if time.is_zero() || self.stage.waiter.is_interrupted() {
            return self.stage.heed_alarm();
        }
        self.stage.emit(Event::Observing { service: self.plan.service.clone(), time });
        match self.stage.waiter.pause(time, Heed::All) {
            Ended::Interrupted => Ok(()),
            ended => Halt::unless_over(ended),
        }
    }

    fn fail(&mut self, failure: &Failure) -> Outcome {
        let action = self.plan.settings().failure.action;
        // The old container does not run any more, or has given its ports away: there is nothing to leave as it is.
        let is_whole = !self.plan.verdict.is_alone() && !self.plan.passes_ports();
        let paused = action == FailureAction::Pause && is_whole;
        self.stage.emit(Event::Failed {
            service: self.plan.service.clone(),
            failure: failure.clone(),
            rollback: !paused,
        });
        if paused {
            self.performer.pause(&mut self.journal);
            self.warn("failure_action is pause: both generations are left as they are");
            return Outcome::Paused;
        }
        self.walk_back(Mark::Start, Outcome::RolledBack)
    }

    /// After an interruption: the batch that has not started to leave the traffic is undone, earlier ones stay done.
    fn break_off(&mut self) -> Outcome {
        let outcome = self.walk_back(Mark::Batch, Outcome::Interrupted);
        if outcome != Outcome::Interrupted {
            return outcome;
        }
        match self.performer.settle(self.journal.close()) {
            Ok(()) => outcome,
            Err(reason) => {
                self.warn(&format!("cleaning up failed: {reason}"));
                Outcome::RollbackFailed
            }
        }
    }

    fn walk_back(&mut self, to: Mark, well: Outcome) -> Outcome {
        while let Some(effect) = self.journal.pop(to) {
            if let Err(reason) = self.performer.take_back(effect, to) {
                self.warn(&format!("the rollback failed: {reason}"));
                return Outcome::RollbackFailed;
            }
        }
        well
    }

    fn warn(&self, message: &str) {
        self.stage.reporter(&self.plan.service).warn(message);
    }

    fn emit_begin(&self) {
        self.stage.emit(Event::ServiceBegin {
            service: self.plan.service.clone(),
            verdict: self.plan.verdict,
            replicas: self.plan.replicas,
            batches: self.plan.batches(),
        });
    }
}

impl Stage<'_> {
    /// # Errors
    /// The probe has seen too much.
    pub fn heed_alarm(&self) -> Result<(), Halt> {
        match self.waiter.alarm.reason() {
            Some(reason) => Err(Halt::failed(reason.to_owned(), None)),
            None => Ok(()),
        }
    }
}

impl ServiceResult {
    /// Of a service of which nothing was done.
    pub(super) fn untouched(plan: &ServicePlan, outcome: Outcome) -> ServiceResult {
        ServiceResult {
            service: plan.service.clone(),
            outcome,
            serving: Some(vec![]),
            left: vec![],
            failure: None,
            findings: Findings::default(),
        }
    }
}
