//! Docker Compose on one engine.

mod gate;
mod held;
mod hooks;
pub mod judge;
mod observe;
mod planner;
mod ports;
mod preflight;
mod recover;
mod rename;
mod restore;
mod retire;
mod rollout;
mod start;
mod watchdog;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

pub use self::{
    observe::{Observed, check_compose},
    planner::{plan, prospects},
    rollout::{Rollout, tolerate_missing},
    watchdog::{Next, next},
};
use super::Platform;
use crate::{
    engine::{Docker, Engine, Replica, Version, ids},
    event::{Generation, Phase},
    execute::Perform,
    exit::Stop,
    helper::{Help, Starting},
    plan::{Plan, Request, ServicePlan},
    project::Project,
    stage::Stage,
};

/// The platform, as one run uses it.
pub struct Compose {
    pub docker: Docker,
    /// Once it is known.
    pub version: OnceLock<Version>,
    /// Compose joins names as its first version did.
    pub compatible: bool,
    /// Service → what counts as its image in this run, whatever its tag means on the engine by now.
    pub pinned: BTreeMap<String, Pinned>,
    /// `docker stop --time` in seconds, when the user gave one; negative for no limit.
    pub stop_timeout: Option<i64>,
    /// `None` where nobody wants any.
    pub helpers: Option<Starting>,
    /// Service → where Compose sees the definition of what runs now.
    pub undos: BTreeMap<String, Docker>,
}

/// An image, and its manifest where it is an index.
#[derive(Clone, Debug)]
pub struct Pinned {
    pub id: String,
    pub manifest: Option<String>,
}

impl Platform for Compose {
    type Observed = Observed;
    type Performers<'a> = Containers<'a>;

    fn observe(&self, project: &Project) -> Result<Observed, Stop> {
        self.look(project)
    }

    fn plan(&self, project: &Project, observed: &Observed, request: &Request) -> Plan {
        planner::plan(project, observed, request)
    }

    fn preflight(&self, project: &Project, observed: &Observed, plan: &mut Plan) -> Result<(), Stop> {
        self.preview(project, observed, plan)
    }

    fn performers<'a>(&'a self, project: &'a Project, observed: &'a Observed) -> Containers<'a> {
        let help = self.helpers.as_ref().and_then(|helpers| helpers.get().ok());
        let help = help.map(|helpers| helpers as &dyn Help);
        let back = self.undos.iter().map(|(name, docker)| (name.clone(), docker as &dyn Engine)).collect();
        Containers {
            help,
            back,
            ..Containers::new(&self.docker, project, &observed.images, self.stop_timeout)
        }
    }

    fn recover(&self, project: &Project, observed: &Observed, plan: &Plan, stage: &Stage) -> bool {
        recover::recover(&self.docker, project, observed, plan, stage)
    }

    fn disagreement(&self, project: &Project, plan: &Plan) -> Option<String> {
        self.left_to_compose(project, plan)
    }
}

/// Rolls containers of a project.
pub struct Containers<'a> {
    pub engine: &'a dyn Engine,
    pub project: &'a Project,
    /// Service → the ID of its image that the plan rests on.
    pub images: &'a BTreeMap<String, String>,
    pub stop_timeout: Option<i64>,
    /// Where there are helpers.
    pub help: Option<&'a dyn Help>,
    /// Service → where Compose sees the definition of what runs now.
    pub back: BTreeMap<String, &'a dyn Engine>,
    turn: Mutex<()>,
}

impl<'a> Containers<'a> {
    pub fn new(
        engine: &'a dyn Engine,
        project: &'a Project,
        images: &'a BTreeMap<String, String>,
        stop_timeout: Option<i64>,
    ) -> Containers<'a> {
        Containers {
            engine,
            project,
            images,
            stop_timeout,
            help: None,
            back: BTreeMap::new(),
            turn: Mutex::default(),
        }
    }

    /// Two `docker compose up` of one project at once trip over each other's networks and names
    /// (Compose 5.6.1: "network is ambiguous", "name is already in use"); and nothing must start as long as the address
    /// of a stopped container is kept, as the engine would give it that address.
    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Perform for Containers<'_> {
    type Performer<'p>
        = Rollout<'p>
    where
        Self: 'p;

    fn performer<'p>(&'p self, plan: &'p ServicePlan, stage: &'p Stage<'p>) -> Rollout<'p> {
        Rollout::new(self, plan, stage)
    }
}

impl Containers<'_> {
    /// Stops and removes containers of services that no file names any more. Their anonymous volumes stay, as with
    /// Compose.
    pub fn remove_orphans(&self, orphans: &[Replica], stage: &Stage) {
        if orphans.is_empty() {
            return;
        }
        let grace = orphans.iter().map(|orphan| orphan.grace).max().unwrap_or_default();
        let report = |phase: &Phase| {
            for orphan in orphans {
                let orphan = std::slice::from_ref(orphan);
                stage.reporter(&orphan[0].service).each(orphan, Generation::Old, phase);
            }
        };
        report(&Phase::Stopping { grace });
        let stopped = self.engine.stop(&ids(orphans), self.stop_timeout, grace).or_else(tolerate_missing);
        let removed =
            stopped.and_then(|()| self.engine.remove(&ids(orphans), false).or_else(tolerate_missing));
        match removed {
            Ok(()) => report(&Phase::Removed),
            Err(error) => stage.emit(super::warning(format!("orphans could not be removed: {error}"))),
        }
    }
}
