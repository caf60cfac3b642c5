//! Everything a person or a log may learn of a run: plain data, no text layout, no colour, no clock.
//!
//! The rollout emits events in order; `report` turns them into lines, live bars or JSON. Field and variant
//! names are the stable vocabulary of `--progress json`.

use std::time::Duration;

use serde::Serialize;

/// A container, named as people see it. `id` is the full 64-digit ID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ContainerRef {
    pub id: String,
    pub name: String,
}

impl ContainerRef {
    /// The first 12 digits of the ID, as `docker ps` prints them.
    pub fn short_id(&self) -> &str {
        self.id.get(..12).unwrap_or(&self.id)
    }
}

/// Which generation of a service a container belongs to in this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Generation {
    New,
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
    /// The gate refused it.
    Failed {
        reason: String,
    },
    /// Asked to leave the proxy before the stop; `how` says by what means.
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
    /// A stopped old container is started again by an undo.
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
    Roll,
    Recreate,
    Blocked,
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Unchanged => "unchanged",
            Verdict::Create => "create",
            Verdict::Scale => "scale",
            Verdict::Roll => "roll",
            Verdict::Recreate => "recreate",
            Verdict::Blocked => "blocked",
        }
    }
}

/// Why the new version was refused, with what an operator needs to see first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Failure {
    /// One clause: `exited with code 3`, `is unhealthy after 3 failed probes`, `not healthy within 40s`.
    pub reason: String,
    pub container: Option<ContainerRef>,
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

/// How a service's part of the run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The wanted state is reached.
    Done,
    /// Nothing had to be done.
    Unchanged,
    /// The new version failed; what served before serves again.
    RolledBack,
    /// The new version failed and `failure_action: pause` left both generations standing.
    Paused,
    /// The new version failed in part and `failure_action: continue` went on.
    Partial,
    /// The undo itself failed: a person must look.
    UndoFailed,
    /// Interrupted by the user before the end.
    Interrupted,
    /// Not begun, because something before it failed.
    Skipped,
}

impl Outcome {
    /// The service is as it is wanted.
    pub fn is_good(self) -> bool {
        matches!(self, Outcome::Done | Outcome::Unchanged)
    }
}

/// What a rollout is about when the probe sends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Nothing is touched yet: the steady state.
    Before,
    Start,
    Health,
    Settle,
    Drain,
    Stop,
    /// The new version serves alone; the old containers are stopped, not removed.
    After,
    /// The way back, after a failure or an interrupt.
    Undo,
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

/// One line of the plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedService {
    pub service: String,
    pub verdict: Verdict,
    pub reason: String,
    pub replicas: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
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
    /// Requests go to `url` (shown without its secrets) from now on, until `ProbeEnd`. More failures than
    /// `max_failures` end the rollout; `None`: they are only reported.
    ProbeBegin {
        url: String,
        /// Requests a second.
        rate: u32,
        max_failures: Option<u32>,
    },
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
    ProbeEnd {
        url: String,
        requests: u64,
        failures: u64,
        #[serde(rename = "slowest_seconds", serialize_with = "seconds")]
        slowest: Duration,
        stages: Vec<ProbeStage>,
        /// For pictures; ten a second are too many for a line of JSON.
        #[serde(skip)]
        buckets: Vec<ProbeBucket>,
    },
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
    /// The new version failed. `undo`: the way back begins; otherwise `failure_action` says to leave it so.
    Refused {
        service: String,
        failure: Failure,
        undo: bool,
    },
    ServiceEnd {
        service: String,
        outcome: Outcome,
        /// Which containers serve now; `None` when it could not be found out.
        serving: Option<Vec<ContainerRef>>,
        #[serde(rename = "seconds", serialize_with = "seconds")]
        took: Duration,
    },
    /// First (1) or second (2) Ctrl-C, SIGTERM, SIGHUP or closed plugin socket.
    Interrupt {
        count: u8,
    },
    /// Last event of every run. `message` is one sentence: what happened and what serves now;
    /// `hint` the next command, if there is one.
    End {
        exit_code: u8,
        message: String,
        hint: Option<String>,
        #[serde(rename = "seconds", serialize_with = "seconds")]
        took: Duration,
    },
}

fn seconds<S: serde::Serializer>(d: &Duration, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_f64((d.as_secs_f64() * 1000.0).round() / 1000.0)
}

/// Receives events as they happen; `at` is the time since the run began.
pub trait Sink: Send + Sync {
    fn on(&self, at: Duration, event: &Event);
}
