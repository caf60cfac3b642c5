//! Docker Swarm: the distributed engine that ships with Docker.
//!
//! What is wanted goes through `stack`, a pure transformation, to one text a service. `planner` compares it with what a
//! manager knows (`observe`), by two labels; `run` sends what differs, one service at a time, and `watch` judges what
//! Swarm makes of it. Swarm itself replaces the tasks, and goes back when they fail: nothing of a rollout is lost with
//! this program.

mod job;
mod limits;
mod looks;
mod managers;
pub mod names;
pub mod news;
pub mod observe;
mod obstacle;
pub mod planner;
mod record;
mod run;
pub mod stack;
pub mod target;
mod undo;
pub mod watch;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

pub use self::{
    looks::Looks,
    managers::Managers,
    observe::{Observed, Seen},
    record::{Record, Store},
    run::Rollout,
    stack::{HASH_LABEL, SETTINGS_LABEL},
    target::{Target, targets},
};
use super::Platform;
use crate::{
    engine::{CallError, config},
    execute::Perform,
    exit::Stop,
    plan::{Plan, Request, ServicePlan, What},
    project::Project,
    stage::Stage,
    wait::{Ended, Heed, Look},
};

/// Texts that are checked at a time.
const SIDE_BY_SIDE: usize = 4;

/// The platform, as one run uses it.
pub struct Swarm {
    pub managers: Arc<Managers>,
    /// The stack's name, which is the project's.
    pub name: String,
    pub file: Arc<config::File>,
    pub targets: BTreeMap<String, Target>,
    /// Service → the text of what runs now, as an earlier rollout recorded it.
    pub back: BTreeMap<String, String>,
    /// The nodes that took tasks when the plan was made.
    pub nodes: BTreeSet<String>,
    pub looks: Looks,
    /// Two `docker stack deploy` at once may both want to make the stack's network.
    pub sending: Mutex<()>,
}

impl Platform for Swarm {
    type Observed = Observed;
    type Performers<'a> = Tasks<'a>;

    fn observe(&self, project: &Project) -> Result<Observed, Stop> {
        let revisions = Store { managers: &self.managers, project: &project.name }.revisions()?;
        Ok(Observed::read(&self.managers, &project.name, revisions)?)
    }

    fn plan(&self, project: &Project, observed: &Observed, request: &Request) -> Plan {
        planner::plan(project, &self.targets, observed, request)
    }

    /// The client's own schema is the judge of every text that will be sent.
    fn preflight(&self, _project: &Project, _observed: &Observed, plan: &mut Plan) -> Result<(), Stop> {
        let touched: Vec<_> = planner::touched(plan).into_iter().collect();
        for some in touched.chunks(SIDE_BY_SIDE) {
            let checked: Vec<_> = thread::scope(|scope| {
                let all: Vec<_> = some.iter().map(|service| scope.spawn(|| self.check(service))).collect();
                all.into_iter().filter_map(|one| one.join().ok()).collect()
            });
            checked.into_iter().collect::<Result<(), Stop>>()?;
        }
        Ok(())
    }

    fn performers<'a>(&'a self, _project: &'a Project, _observed: &'a Observed) -> Tasks<'a> {
        Tasks { swarm: self }
    }

    /// Removes what jobs of a run that was killed ran in, when they have ended: two of a kind must never run at once.
    fn recover(&self, _project: &Project, observed: &Observed, _plan: &Plan, stage: &Stage) -> bool {
        if observed.leftovers.is_empty() {
            return false;
        }
        if !self.have_ended(&observed.leftovers, stage) {
            return true;
        }
        if let Err(error) = self.managers.read(|docker| docker.remove_services(&observed.leftovers)) {
            stage.emit(super::warning(format!("jobs of an earlier run could not be removed: {error}")));
        }
        true
    }

    fn disagreement(&self, _project: &Project, _plan: &Plan) -> Option<String> {
        None
    }
}

impl Swarm {
    /// Waits until no task of these runs any more; false when the user does not.
    fn have_ended(&self, jobs: &[String], stage: &Stage) -> bool {
        let mut said = false;
        let ended = stage.waiter.until(None, Heed::Interrupt, || {
            let tasks = self.managers.read(|docker| docker.tasks(jobs, false))?;
            let runs = tasks.iter().any(|task| task.is_wanted() && !task.has_ended());
            if runs && !std::mem::replace(&mut said, true) {
                let message = format!("{} of an earlier run still runs, and is waited for", jobs.join(", "));
                stage.emit(super::warning(message));
            }
            Ok::<_, CallError>(if runs { Look::Again(run::LOOK) } else { Look::Done(()) })
        });
        // Who cannot be asked cannot be waited for.
        !matches!(ended, Ok(Ended::Interrupted))
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, service: &str) -> Result<(), Stop> {
        let Some(target) = self.targets.get(service) else { return Ok(()) };
        target.before.values().chain([&target.text]).try_for_each(|text| {
            self.managers.current().check_stack(text).map_err(|error| {
                let said = error.problem.said();
                Stop::error(format!(
                    "service {service}: \"docker stack config\" refuses it: {said}; nothing was touched"
                ))
            })
        })
    }

    fn is_checked(&self, service: &str) -> bool {
        limits::is_checked(service, &self.file)
    }

    /// Removes services that no file names any more.
    pub fn remove_orphans(&self, plan: &Plan, stage: &Stage) {
        let names: Vec<_> = plan.orphans.iter().map(|orphan| orphan.id.clone()).collect();
        if let Err(error) = self.managers.read(|docker| docker.remove_services(&names)) {
            stage.emit(super::warning(format!("orphans could not be removed: {error}")));
        }
    }
}

/// Rolls services of a stack.
pub struct Tasks<'a> {
    swarm: &'a Swarm,
}

impl Perform for Tasks<'_> {
    type Performer<'p>
        = Rollout<'p>
    where
        Self: 'p;

    fn performer<'p>(&'p self, plan: &'p ServicePlan, stage: &'p Stage<'p>) -> Rollout<'p> {
        Rollout::new(self.swarm, plan, stage)
    }
}

/// Whether a definition is sent to Swarm.
pub fn sends(plan: &ServicePlan) -> bool {
    plan.operations.iter().any(|op| matches!(op.what, What::Deploy { .. } | What::RunOnce { .. }))
}
