//! Performs a plan: every service on its own thread, each waiting for what it depends on. Decides nothing but
//! when to break off and go back; what an operation does, and how it is undone, a platform knows.

mod journal;
mod service;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

pub use self::journal::{Journal, Mark};
use crate::{
    engine::ContainerRef,
    event::{Failure, Outcome},
    plan::{Operation, Plan, ServicePlan},
    stage::{Halt, Stage},
    wait::{Ended, Heed, Look},
};

/// Performs the operations of one service.
pub trait Performer {
    /// One thing that it does to what is there, with all that is needed to undo it.
    type Effect;

    /// # Errors
    /// It failed, or the user interrupted. What it did until then is in the journal.
    fn perform(&mut self, operation: &Operation, journal: &mut Journal<Self::Effect>) -> Result<(), Halt>;

    /// `to`: how far back it goes, which says whether the new version has failed or the user has interrupted.
    ///
    /// # Errors
    /// What could not be done, in words; a person must look.
    fn take_back(&mut self, effect: Self::Effect, to: Mark) -> Result<(), String>;

    /// Brings to its end what stands after an interruption.
    ///
    /// # Errors
    /// As [`Performer::take_back`].
    fn settle(&mut self, effects: Vec<Self::Effect>) -> Result<(), String>;

    /// Leaves both generations running.
    fn pause(&mut self, journal: &mut Journal<Self::Effect>);

    /// Whatever became of it, also after a second interrupt: nothing that was begun for the time of the rollout goes on.
    fn end(&mut self);

    /// The last look before nothing can be undone any more.
    ///
    /// # Errors
    /// The new version does not serve any more.
    fn check(&mut self, journal: &Journal<Self::Effect>) -> Result<(), Halt>;

    /// What serves now; `None` when it could not be found out.
    fn serving(&self) -> Option<Vec<ContainerRef>>;

    /// What was started or stopped, and is not brought to its end.
    fn left(&self, journal: &Journal<Self::Effect>) -> Vec<ContainerRef>;

    fn findings(&self) -> Findings;
}

/// Begins rollouts of services.
pub trait Perform: Sync {
    type Performer<'p>: Performer
    where
        Self: 'p;

    fn performer<'p>(&'p self, plan: &'p ServicePlan, stage: &'p Stage<'p>) -> Self::Performer<'p>;
}

/// How one service's part ended.
#[derive(Clone, Debug)]
pub struct ServiceResult {
    pub service: String,
    pub outcome: Outcome,
    /// `None` when it could not be found out.
    pub serving: Option<Vec<ContainerRef>>,
    /// After a second interrupt: what this run has started or stopped and left so.
    pub left: Vec<ContainerRef>,
    pub failure: Option<Failure>,
    pub findings: Findings,
}

/// What is to be said of a service when it has ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// New containers that failed and were removed under `failure_action: continue`.
    pub lost: usize,
    /// From the stop of the old to the readiness of the new, where none served meanwhile.
    pub downtime: Option<Duration>,
    /// Connections waited all the time, and were served.
    pub is_held: bool,
    /// One-offs of `pre_start` hooks that still run.
    pub hooks_left: Vec<ContainerRef>,
    /// It was changed under way, and what it runs now is not what was planned.
    pub deviates: bool,
}

/// The containers of so many services are replaced side by side. Each looks at its own with every event of the engine:
/// on two cores, 30 at once made no progress any more.
const SIDE_BY_SIDE: usize = 10;

/// What threads of other services wait for.
#[derive(Default)]
struct Board(Mutex<Known>);

#[derive(Default)]
struct Known {
    /// Those whose containers are replaced.
    begun: BTreeSet<String>,
    outcomes: BTreeMap<String, Outcome>,
    /// Service → those that need not wait for its outcome any more.
    freed: BTreeMap<String, Vec<String>>,
}

impl Board {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The turn of a service; it is over when this is dropped.
    fn turn<'b>(&'b self, service: &'b str, stage: &'b Stage) -> Turn<'b> {
        Turn { board: self, service, stage, outcome: Outcome::RollbackFailed }
    }

    /// Waits until everything that it is to wait for is done, and few enough others are under way. False when this service
    /// must not begin: something before it, or anything else, failed, or the user interrupted.
    fn may_begin(&self, plan: &ServicePlan, stage: &Stage) -> bool {
        let replaces = plan.replaces();
        let look = || {
            let Known { begun, outcomes, freed } = &mut *self.known();
            let is_free = |name| freed.get(name).is_some_and(|all| all.contains(&plan.service));
            let well = outcomes.values().all(|outcome| outcome.is_good());
            // Who has freed others waits for them.
            let is_busy = |name: &&String| !outcomes.contains_key(*name) && !freed.contains_key(*name);
            let has_room = !replaces || begun.iter().filter(is_busy).count() < SIDE_BY_SIDE;
            let over = !well
                || has_room && plan.after.iter().all(|name| outcomes.contains_key(name) || is_free(name));
            let may = well && !stage.waiter.is_interrupted();
            if over && may && replaces {
                begun.insert(plan.service.clone());
            }
            Ok::<_, ()>(if over { Look::Done(may) } else { Look::Again(Duration::MAX) })
        };
        matches!(stage.waiter.until(None, Heed::Interrupt, look), Ok(Ended::Done(true)))
    }

    /// These need not wait for the service any more.
    fn free(&self, service: &str, these: &[String], stage: &Stage) {
        self.known().freed.entry(service.to_owned()).or_default().extend_from_slice(these);
        stage.waiter.waker.wake();
    }

    /// Waits for it, as what happens to the one that asks depends on it. `None` when the user waits for nothing any more.
    fn outcome(&self, service: &str, stage: &Stage) -> Option<Outcome> {
        let look = || {
            let outcome = self.known().outcomes.get(service).copied();
            Ok::<_, ()>(outcome.map_or(Look::Again(Duration::MAX), Look::Done))
        };
        match stage.waiter.until(None, Heed::Urgent, look) {
            Ok(Ended::Done(outcome)) => Some(outcome),
            _ => None,
        }
    }
}

struct Turn<'b> {
    board: &'b Board,
    service: &'b str,
    stage: &'b Stage<'b>,
    /// Until it is known, that of a thread that has panicked: nobody must wait for it in vain.
    outcome: Outcome,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.board.known().outcomes.insert(self.service.to_owned(), self.outcome);
        self.stage.waiter.waker.wake();
    }
}

/// Carries the plan out and returns one result a service, in the plan's order.
pub fn execute<P: Perform>(platform: &P, plan: &Plan, stage: &Stage) -> Vec<ServiceResult> {
    let board = Board::default();
    let one = |service: &ServicePlan| {
        let mut turn = board.turn(&service.service, stage);
        let result = if service.operations.is_empty() {
            ServiceResult::untouched(service, Outcome::Unchanged)
        } else if board.may_begin(service, stage) {
            service::roll(stage, &board, service, platform.performer(service, stage))
        } else {
            ServiceResult::untouched(service, Outcome::Skipped)
        };
        turn.outcome = result.outcome;
        result
    };
    thread::scope(|scope| {
        let threads: Vec<_> = plan.services.iter().map(|service| scope.spawn(|| one(service))).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}
