//! Everything a person or a log may learn of a run: plain data, no text layout, no colour, no clock.
//!
//! The rollout emits events in order; `report` turns them into lines, live bars or JSON. Field and variant
//! names are the stable vocabulary of `--progress json`.

mod planned;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::planned::{KEPT, PlannedService, Version, Versions};
use crate::engine::ContainerRef;

/// Which generation of a service a container belongs to in this run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Generation {
    New,
    #[default]
    Old,
}

/// Where one container is on its way in or out.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// Created and started; the gate begins to watch it.
    Started,
    /// The gate waits. `health` is Docker's word (`starting`, `healthy`, `running` without a healthcheck);
    /// `output` the last line of the last health probe. Emitted when either changes.
    Waiting {
        health: String,
        output: Option<String>,
        /// Time left from this event on.
        #[serde(rename = "deadline_seconds", serialize_with = "seconds")]
        deadline: Duration,
    },
    /// The gate let it pass.
    Ready,
    /// A one-shot service's container has ended well, which is what the gate waited for.
    Finished,
    /// The gate did not let it pass.
    Failed {
        reason: String,
    },
    /// Asked to leave the proxy before the stop; `how` says in what way.
    Draining {
        how: String,
    },
    /// No longer gets requests, or the deadline passed: `note` says which when it was not clean.
    Drained {
        note: Option<String>,
    },
    /// `docker stop` was called; the engine kills it after `grace`.
    Stopping {
        #[serde(rename = "grace_seconds", serialize_with = "seconds")]
        grace: Duration,
    },
    Stopped {
        exit_code: i64,
    },
    /// A stopped old container is started again by a rollback.
    Restoring,
    Restored,
    Removed,
}

/// What is done with a service, decided before anything is touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Unchanged,
    Create,
    Scale,
    /// Only what replaces nothing differs.
    Settings,
    Roll,
    /// One after the other, and connections wait meanwhile.
    Hold,
    Recreate,
    Blocked,
}

impl Verdict {
    /// The old container stops before the new one starts.
    pub fn is_alone(self) -> bool {
        matches!(self, Verdict::Hold | Verdict::Recreate)
    }

    pub fn word(self) -> &'static str {
        match self {
            Verdict::Unchanged => "unchanged",
            Verdict::Create => "create",
            Verdict::Scale => "scale",
            Verdict::Settings => "settings",
            Verdict::Roll => "roll",
            Verdict::Hold => "hold",
            Verdict::Recreate => "recreate",
            Verdict::Blocked => "blocked",
        }
    }
}

/// Why the new version failed, with what an operator needs to see first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Failure {
    /// One clause: `exited with code 3`, `is unhealthy after 3 failed probes`, `not healthy within 40s`.
    pub reason: String,
    pub container: Option<ContainerRef>,
    /// The call of docker that failed, as a person would type it, without passwords.
    pub command: Option<String>,
    /// Output of the last health probe, trimmed; may have several lines.
    pub health_output: Option<String>,
    /// The last lines that the container wrote, oldest first.
    pub log_tail: Vec<String>,
}

impl Failure {
    /// `app-4 exited with code 3`, in one line.
    pub fn sentence(&self) -> String {
        let reason = self.reason.lines().collect::<Vec<_>>().join("; ");
        match &self.container {
            Some(container) => format!("{} {reason}", container.name),
            None => reason,
        }
    }
}

/// How a service's part of the run ended, or the whole run; from the best to the worst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing had to be done.
    Unchanged,
    /// The wanted state is reached.
    Done,
    /// Not begun, because something before it failed.
    Skipped,
    /// Interrupted by the user before the end.
    Interrupted,
    /// The new version failed in part and `failure_action: continue` went on.
    Partial,
    /// The new version failed and `failure_action: pause` left both generations as they were.
    Paused,
    /// The new version failed; what served before serves again.
    #[default]
    RolledBack,
    /// The rollback failed too: a person must look.
    RollbackFailed,
}

impl Outcome {
    /// Of a whole run: the worst of its services. Only an interrupt keeps services from their turn when none fails.
    pub fn of_run(services: impl IntoIterator<Item = Outcome>) -> Outcome {
        match services.into_iter().max() {
            Some(Outcome::Skipped) => Outcome::Interrupted,
            worst => worst.unwrap_or(Outcome::Unchanged),
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Unchanged => "unchanged",
            Outcome::RolledBack => "rolled back",
            Outcome::Paused => "paused",
            Outcome::Partial => "done in part",
            Outcome::RollbackFailed => "rollback failed",
            Outcome::Interrupted => "interrupted",
            Outcome::Skipped => "not started",
        }
    }

    /// The service is as it is wanted.
    pub fn is_good(self) -> bool {
        matches!(self, Outcome::Done | Outcome::Unchanged)
    }
}

/// What a rollout is about when the probe sends a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nothing is touched yet: the steady state.
    #[default]
    Before,
    Start,
    Health,
    Settle,
    Drain,
    Stop,
    /// The new version serves alone; the old containers are stopped, not removed.
    After,
    /// After a failure or an interrupt.
    Rollback,
}

impl Stage {
    pub fn word(self) -> &'static str {
        match self {
            Stage::Before => "before",
            Stage::Start => "start",
            Stage::Health => "health",
            Stage::Settle => "settle",
            Stage::Drain => "drain",
            Stage::Stop => "stop",
            Stage::After => "after",
            Stage::Rollback => "rollback",
        }
    }
}

/// The probe's requests in one stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProbeStage {
    pub stage: Stage,
    pub requests: u64,
    pub failures: u64,
    #[serde(rename = "mean_seconds", serialize_with = "seconds")]
    pub mean: Duration,
    #[serde(rename = "slowest_seconds", serialize_with = "seconds")]
    pub slowest: Duration,
}

/// The probe's requests that began within one tenth of a second.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeBucket {
    /// Since the run began.
    pub at: Duration,
    pub requests: u64,
    pub failures: u64,
    pub mean: Duration,
    pub slowest: Duration,
}

impl ProbeBucket {
    pub const LENGTH: Duration = Duration::from_millis(100);
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// First event of every run that deploys: Compose is asked what the files mean, which takes a second or more.
    Loading,
    Building {
        services: Vec<String>,
    },
    Pulling {
        services: Vec<String>,
    },
    /// A line that `docker compose build` or `pull` printed.
    Output {
        line: String,
    },
    /// Images are there; `took` covers pulling and building together.
    Prepared {
        #[serde(rename = "seconds", serialize_with = "seconds")]
        took: Duration,
    },
    Planned {
        project: String,
        services: Vec<PlannedService>,
    },
    ServiceBegin {
        service: String,
        verdict: Verdict,
        replicas: u32,
        batches: u32,
    },
    /// `number` counts from 1.
    Batch {
        service: String,
        number: u32,
        of: u32,
        start: u32,
        retire: u32,
    },
    Container {
        service: String,
        container: ContainerRef,
        generation: Generation,
        #[serde(flatten)]
        phase: Phase,
    },
    /// The proxy is given time to pick the new containers up.
    Settling {
        service: String,
        #[serde(rename = "seconds", serialize_with = "seconds")]
        time: Duration,
    },
    /// Requests are sent from now on, until `ProbeEnd`.
    ProbeBegin(ProbeBegin),
    /// One of the first requests that failed, with the failures so far.
    ProbeFailure {
        error: String,
        failures: u64,
    },
    /// The old containers are stopped and not yet removed, while the probe watches the new version.
    Observing {
        service: String,
        #[serde(rename = "seconds", serialize_with = "seconds")]
        time: Duration,
    },
    /// A proxy was told to read its configuration again, as it had looked up the service's name when it started.
    Reloaded {
        service: String,
        proxy: ContainerRef,
    },
    /// A new container, as it was called before, has the name of an old one, because others are linked to it.
    Renamed {
        service: String,
        container: ContainerRef,
        name: String,
    },
    ProbeEnd(ProbeEnd),
    /// A lifecycle hook (`pre_start`, `post_start`, `pre_stop`) begins; it may take minutes.
    HookBegin {
        service: String,
        container: Option<ContainerRef>,
        hook: String,
    },
    /// It has run; `error` when it failed.
    Hook {
        service: String,
        container: Option<ContainerRef>,
        hook: String,
        error: Option<String>,
    },
    Warning {
        service: Option<String>,
        message: String,
    },
    /// The new version failed. `rollback`: it begins now; otherwise the settings say to leave it so.
    Failed {
        service: String,
        failure: Failure,
        rollback: bool,
    },
    ServiceEnd(ServiceEnd),
    /// First (1) or second (2) Ctrl-C, SIGTERM, SIGHUP or closed plugin socket.
    Interrupt {
        count: u8,
    },
    /// Last event of every run.
    End(End),
}

/// Where the probe sends its requests to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProbeBegin {
    /// Without its secrets.
    pub url: String,
    /// Requests a second.
    pub rate: u32,
    /// More failures end the rollout; `None`: they are only reported.
    pub max_failures: Option<u32>,
}

/// All that the probe saw.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ProbeEnd {
    pub url: String,
    pub requests: u64,
    pub failures: u64,
    #[serde(rename = "slowest_seconds", serialize_with = "seconds")]
    pub slowest: Duration,
    pub stages: Vec<ProbeStage>,
    /// For pictures; ten a second are too many for a line of JSON.
    #[serde(skip)]
    pub buckets: Vec<ProbeBucket>,
}

/// How a service's part ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServiceEnd {
    pub service: String,
    pub outcome: Outcome,
    /// Which containers serve now; `None` when it could not be found out.
    pub serving: Option<Vec<ContainerRef>>,
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub took: Duration,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct End {
    pub exit_code: u8,
    /// One sentence: what happened and what serves now.
    pub message: String,
    /// The next command, if there is one.
    pub hint: Option<String>,
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub took: Duration,
}

impl Event {
    /// The service whose part of the run it belongs to. A warning about a service is not a part of it.
    pub fn service(&self) -> Option<&str> {
        match self {
            Event::ServiceBegin { service, .. }
            | Event::Batch { service, .. }
            | Event::Container { service, .. }
            | Event::Settling { service, .. }
            | Event::Observing { service, .. }
            | Event::Reloaded { service, .. }
            | Event::Renamed { service, .. }
            | Event::HookBegin { service, .. }
            | Event::Hook { service, .. }
            | Event::Failed { service, .. }
            | Event::ServiceEnd(ServiceEnd { service, .. }) => Some(service),
            _ => None,
        }
    }
}

fn seconds<S: serde::Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_f64((d.as_secs_f64() * 1000.0).round() / 1000.0)
}

/// Receives events as they happen; `at` is the time since the run began.
pub trait Sink: Send + Sync {
    fn on(&self, at: Duration, event: &Event);

    /// Wipes away what moves, as somebody else writes to the terminal.
    fn pause(&self) {}
}
