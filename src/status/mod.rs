//! The status of a project: what runs of each service, and whether that is what the files want. Pure: from the project, what was observed and the lock, to data.

mod service;
pub mod swarm;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    engine::{Container, State, container::HealthStatus},
    keep::{self, Holder, Revision},
    platform::compose::Observed,
    project::Project,
};

/// What is to be shown, and what is known beyond the project.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Named services; empty for all, and then orphans too.
    pub services: Vec<String>,
    /// Services that no enabled profile selects.
    pub dormant: BTreeSet<String>,
    /// Of the project, in any order.
    pub revisions: Vec<Revision>,
    /// There is no file that could say what is wanted.
    pub no_file: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    pub project: String,
    pub rollout: Option<Holder>,
    pub services: Vec<ServiceStatus>,
    /// A sentence each, with what to run.
    pub advice: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServiceStatus {
    pub service: String,
    /// The references that its containers were created with; the wanted one when it has none.
    pub images: Vec<String>,
    /// Containers that may be answering requests.
    pub ready: usize,
    /// `None` where no number is wanted: jobs, orphans, services of a provider or a disabled profile.
    pub wanted: Option<u32>,
    /// The newest good revision that has what runs; `None` when none has.
    pub revision: Option<u32>,
    /// In words: `healthy`, `1 healthy, 1 starting`, `exited (1)`.
    pub health: String,
    /// When the oldest of what runs was started, in seconds since 1970.
    pub since: Option<u64>,
    #[serde(flatten)]
    pub condition: Condition,
    pub containers: Vec<ContainerStatus>,
}

/// How a service compares with what the files want.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Condition {
    UpToDate,
    /// What runs is of another configuration or image.
    Changed {
        what: Vec<&'static str>,
    },
    /// Another number of replicas runs.
    Count {
        running: usize,
        /// The row says it already.
        #[serde(skip)]
        wanted: u32,
    },
    /// Two generations, and a run that works on them.
    Rolling {
        new: usize,
        old: usize,
    },
    /// Two generations, and nobody who works on them.
    Interrupted {
        new: usize,
        old: usize,
    },
    /// Nothing of it runs.
    Down,
    /// A job that runs now.
    JobRunning,
    /// A job of the wanted version that has ended well.
    JobDone,
    JobFailed {
        exit_code: i64,
    },
    /// Run by its provider, which alone knows.
    Provider,
    /// No enabled profile selects it.
    Dormant,
    /// No file names it any more.
    Orphan,
    /// There is no file here, so nobody knows what is wanted.
    NoFile,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ContainerStatus {
    pub id: String,
    pub name: String,
    /// As `health` of the service.
    pub health: String,
    pub image: String,
    pub image_id: String,
    /// Of the generation that was created last.
    pub newest: bool,
    /// RFC 3339.
    pub started_at: String,
}

/// The status of the project, without advice.
pub fn status(project: &Project, observed: &Observed, lock: Option<&Holder>, scope: &Scope) -> Status {
    let shown = |name: &str| scope.services.is_empty() || scope.services.iter().any(|s| s == name);
    let mut of: BTreeMap<&str, Vec<&Container>> = BTreeMap::new();
    for container in &observed.containers {
        of.entry(&container.service).or_default().push(container);
    }
    of.values_mut().for_each(|containers| containers.sort_by_key(|c| c.number));
    let mine = |name: &str| of.get(name).map_or(&[][..], Vec::as_slice);
    let known = project.services.values().filter(|service| shown(&service.name));
    let mut services: Vec<_> =
        known.map(|service| service::known(service, mine(&service.name), observed, lock)).collect();
    let foreign = of.keys().filter(|name| !project.services.contains_key(**name) && shown(name));
    let condition = |name: &str| match scope.dormant.contains(name) {
        _ if scope.no_file => Condition::NoFile,
        true => Condition::Dormant,
        false => Condition::Orphan,
    };
    services.extend(foreign.map(|name| service::foreign(name, mine(name), condition(name))));
    for row in &mut services {
        let found = keep::of_service(&scope.revisions, &row.service, mine(&row.service));
        row.revision = found.map(|(number, _)| number);
    }
    Status { project: project.name.clone(), rollout: lock.cloned(), services, advice: vec![] }
}

/// One container's state in a word or two.
fn word(c: &Container) -> String {
    let word = match (c.state, c.health.as_ref().map(|health| health.status)) {
        (State::Running, Some(HealthStatus::Healthy)) => "healthy",
        (State::Running, Some(HealthStatus::Starting)) => "starting",
        (State::Running, Some(HealthStatus::Unhealthy)) => "unhealthy",
        (State::Running, None) => "running",
        (State::Exited, _) => return format!("exited ({})", c.exit_code),
        (State::Restarting, _) => "restarting",
        (State::Paused, _) => "paused",
        (State::Created, _) => "created",
        (State::Removing, _) => "removing",
        (State::Dead, _) => "dead",
    };
    word.to_owned()
}
