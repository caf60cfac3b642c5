//! How a project stands: what runs of each service, whether that is what the files want, and what to type where it is
//! not. Pure: from the model, what was observed and the lock, to data.

mod advice;
mod service;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    history::{self, Revision},
    model::Model,
    observed::{Container, HealthStatus, State},
    plan::Observed,
};

/// Who holds the project's lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// User, host, process and time, in one phrase.
    pub owner: String,
    /// Seconds since 1970.
    pub since: u64,
    pub life: Life,
}

/// Whether the owner of a lock still runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Life {
    Running,
    Dead,
    /// It is on another machine, or counts its processes in another namespace.
    Unknown,
}

/// What is to be told, and what is known beyond the model.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Named services; empty for all, and then orphans too.
    pub services: Vec<String>,
    /// Services that no enabled profile selects.
    pub dormant: BTreeSet<String>,
    /// Of the project, in any order.
    pub revisions: Vec<Revision>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    pub project: String,
    pub rollout: Option<Holder>,
    pub services: Vec<ServiceStatus>,
    /// A sentence each, with what to type.
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
    pub standing: Standing,
    pub containers: Vec<ContainerStatus>,
}

/// How a service compares with what the files want.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Standing {
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
    BrokenOff {
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

/// Tells how the project stands.
pub fn status(model: &Model, observed: &Observed, lock: Option<&Holder>, scope: &Scope) -> Status {
    let told = |name: &str| scope.services.is_empty() || scope.services.iter().any(|s| s == name);
    let mut of: BTreeMap<&str, Vec<&Container>> = BTreeMap::new();
    for container in &observed.containers {
        of.entry(&container.service).or_default().push(container);
    }
    of.values_mut().for_each(|containers| containers.sort_by_key(|c| c.number));
    let mine = |name: &str| of.get(name).map_or(&[][..], Vec::as_slice);
    let known = model.services.values().filter(|service| told(&service.name));
    let mut services: Vec<_> =
        known.map(|service| service::known(service, mine(&service.name), observed, lock)).collect();
    let foreign = of.keys().filter(|name| !model.services.contains_key(**name) && told(name));
    services.extend(foreign.map(|name| service::foreign(name, mine(name), scope.dormant.contains(*name))));
    for row in &mut services {
        let found = history::of_service(&scope.revisions, &row.service, mine(&row.service));
        row.revision = found.map(|(number, _)| number);
    }
    let advice = advice::advice(&services, &observed.containers, lock, &model.project);
    Status { project: model.project.clone(), rollout: lock.cloned(), services, advice }
}

impl Holder {
    /// Whether somebody may be at work.
    pub fn may_run(&self) -> bool {
        self.life != Life::Dead
    }
}

/// It takes part in the life of the service: neither ended nor never started.
fn is_up(c: &Container) -> bool {
    matches!(c.state, State::Running | State::Restarting | State::Paused)
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
