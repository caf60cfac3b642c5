//! What will be done: data that the planner of a platform makes, that is printed, and that is carried out as it is.

mod text;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use serde::{Serialize, Serializer};

pub use self::text::Text;
use crate::{
    engine::Replica,
    event::{PlannedService, Verdict, Version, Versions},
    helper::Presence,
    project::{Service, Settings},
    proxy::{Heard, Way},
};

/// What the user asked for beyond the files.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Named services; empty for the whole file.
    pub services: Vec<String>,
    pub no_deps: bool,
    /// Treat every container as changed.
    pub force: bool,
    pub allow_downtime: bool,
    /// Jobs that are not named do not run: a rollback must not run what prepares for the version that it leaves.
    pub spares_jobs: bool,
    pub remove_orphans: bool,
    /// Services whose image will be built or pulled before the plan is carried out (dry run only).
    pub pending_images: BTreeSet<String>,
    /// Services that the files know but that no enabled profile selects; their containers are no orphans.
    pub dormant: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    pub project: String,
    /// Each behind those that must be done before it.
    pub services: Vec<ServicePlan>,
    /// Containers of services that no file names any more; removed only on request.
    pub orphans: Vec<Replica>,
    pub remove_orphans: bool,
    pub helper: Presence,
    /// What proxies have answered that were asked whether they can drain.
    #[serde(skip)]
    pub heard: Vec<Heard>,
    /// Service → how long its connections waited in its last rollouts, the last one first.
    #[serde(skip)]
    pub waits: BTreeMap<String, Vec<Duration>>,
    /// Service → the ID of the image that it is to run, where that is there already.
    #[serde(skip)]
    pub images: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ServicePlan {
    pub service: String,
    /// The user wants it up to date; else it is only here because another one depends on it.
    pub asked: bool,
    pub verdict: Verdict,
    /// Why this verdict, in words.
    pub reason: String,
    pub replicas: u32,
    /// Why it may not be done, and what to write instead. Nothing is touched while any service has one.
    pub refusals: Vec<Refusal>,
    /// What the user should know although it hinders nothing.
    pub notes: Vec<String>,
    /// Services of this plan that must be done before this one begins.
    pub after: Vec<String>,
    pub operations: Vec<Operation>,
    /// How old containers leave the traffic, one way after the other.
    pub ways: Vec<Way>,
    /// Its containers before anything is touched.
    #[serde(skip)]
    pub before: Vec<Replica>,
    /// What is wanted of it.
    #[serde(flatten, serialize_with = "in_brief")]
    pub wanted: Arc<Service>,
}

fn in_brief<S: Serializer>(wanted: &Arc<Service>, s: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Brief<'a> {
        job: bool,
        settings: &'a Settings,
    }
    Brief { job: wanted.is_job(), settings: &wanted.settings }.serialize(s)
}

/// What becomes of a service when it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Prospect {
    /// New containers beside the old ones.
    Rolls,
    /// One after the other, and connections wait meanwhile.
    Held,
    /// With a downtime, or for what keeps data: only when the user agrees.
    NeedsConsent,
    Refused,
    /// It runs to its end, or is not run by containers at all.
    Aside,
}

/// One reason to refuse, with the key of the service it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    pub key: Option<&'static str>,
    pub problem: String,
    pub remedy: String,
}

/// How Compose is asked for new containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// `up -d`: Compose creates and starts them.
    Up,
    /// `up --no-start`, then `docker start` of the new IDs: because `up -d` would also start every stopped
    /// container of the service (Compose 5.6.1), and there are such.
    CreateThenStart,
    /// `docker start` of those that this batch has created before.
    Created,
}

/// Who gets the connections of a container that leaves.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Heir {
    /// The new container with this number, counted from 1 in the order in which this rollout starts them.
    New(u32),
    Kept(Replica),
}

/// A name that goes from one container to another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rename {
    pub name: String,
    pub from: Replica,
    pub to: Heir,
}

/// One thing to do. What it did is undone in reverse order, from the end of what was done to the beginning of its
/// batch or of the whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Operation {
    /// Counts from 1; 0 for what stands before and behind all batches.
    pub batch: u32,
    #[serde(flatten)]
    pub what: What,
    /// Why, in a few words.
    pub cause: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
pub enum What {
    /// Removes stopped leftovers before anything is started. Not undone: they serve nobody.
    Clear {
        containers: Vec<Replica>,
    },
    /// Runs the `pre_start` hooks once, from the new image.
    PreStart,
    /// Waits between two batches.
    Delay {
        seconds: f64,
    },
    /// `scale` counts every container of the service, running or not, and the new ones.
    Start {
        count: u32,
        scale: u32,
        how: Start,
    },
    /// The new ones are made, and not started yet: as long as the old ones run they cannot.
    Create {
        count: u32,
        scale: u32,
    },
    /// Connections to these go on to them by way of a helper, where they can wait from the stop on.
    Hold {
        containers: Vec<Replica>,
    },
    /// Those who wait are served by the batch's new containers.
    Release,
    /// Connections to these ports of the host go on to these by way of a helper, where they can wait from the stop on until
    /// the service `to` gets them.
    HoldPorts {
        containers: Vec<Replica>,
        to: String,
        ports: Vec<String>,
    },
    /// Waits until the service `to` has taken over these ports of the host, as the old containers have ended. It, and what
    /// it waits for, begin now.
    PassPorts {
        to: String,
        ports: Vec<String>,
        frees: Vec<String>,
    },
    /// Watches the batch's new containers, and the `also` that were already there.
    Gate {
        also: Vec<Replica>,
    },
    /// Gives the proxy time to pick the new ones up.
    Settle {
        seconds: f64,
    },
    /// One after the other, each of these gets the connections of one that leaves; none where nothing else serves.
    Drain {
        containers: Vec<Replica>,
        heirs: Vec<Heir>,
    },
    /// Names that others are linked to go to who stays.
    Rename {
        names: Vec<Rename>,
    },
    /// Stops, does not remove.
    Stop {
        containers: Vec<Replica>,
    },
    Remove {
        containers: Vec<Replica>,
    },
    /// `up -d` of a service of which nothing runs: Compose starts, recreates or removes what is stopped.
    Revive {
        down: Vec<Replica>,
        force: bool,
    },
    /// Waits until jobs of an older version have ended, however they end.
    Await {
        containers: Vec<Replica>,
    },
    /// Swarm gets this definition, and replaces by its own rules what is not of it.
    Deploy {
        change: Change,
        tasks: u64,
    },
    /// A job runs to its end under a name of its own, and is removed.
    RunOnce {
        name: String,
    },
    /// `up -d` without `--no-recreate`: Compose stops the old before it starts the new.
    Recreate {
        old: Vec<Replica>,
        /// What runs now can be deployed again.
        can_undo: bool,
    },
}

/// What a new definition is to Swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// There is no such service.
    Create,
    /// Only the count differs: what runs stays.
    Scale,
    /// Only what replaces no task differs.
    Settings,
    /// New tasks go in front.
    StartFirst,
    /// Old tasks go in front, though not all of them at once.
    StopFirst,
    /// For a while nothing serves.
    Down,
    /// The same definition once more.
    Restart,
}

impl Plan {
    pub fn changes(&self) -> bool {
        self.services.iter().any(|service| !service.operations.is_empty())
            || (self.remove_orphans && !self.orphans.is_empty())
    }

    /// Whether connections are handed over.
    pub fn hands_over(&self) -> bool {
        self.services
            .iter()
            .any(|plan| !plan.operations.is_empty() && plan.ways.iter().any(|way| way.uses_helper()))
    }

    pub fn refused(&self) -> bool {
        self.services.iter().any(|service| !service.refusals.is_empty())
    }

    /// The plan in brief, with what serves as long as nothing is touched.
    pub fn overview(&self) -> Vec<PlannedService> {
        let one = |plan: &ServicePlan| PlannedService {
            service: plan.service.clone(),
            verdict: plan.verdict,
            reason: plan.reason.clone(),
            replicas: plan.replicas,
            versions: self.versions(plan),
            serving: plan.before.iter().filter(|c| c.serves()).map(|c| c.reference()).collect(),
        };
        self.services.iter().map(one).collect()
    }

    /// What runs of a service, and what is to.
    pub fn versions(&self, plan: &ServicePlan) -> Versions {
        let wanted = self.images.get(&plan.service);
        let to =
            Version { image: plan.wanted.image.reference.clone(), id: wanted.cloned().unwrap_or_default() };
        // One image may have two IDs, see `Container::engine_image_id`.
        let id = |c: &Replica| {
            wanted.filter(|id| c.is_of_image(id)).map_or(c.engine_image(), String::as_str).to_owned()
        };
        let image = |c: &Replica| if c.image.is_empty() { to.image.clone() } else { c.image.clone() };
        let running = plan.before.iter().filter(|c| c.runs());
        let mut from: Vec<_> = running.map(|c| Version { image: image(c), id: id(c) }).collect();
        from.dedup();
        Versions { from, to }
    }
}

impl ServicePlan {
    pub fn settings(&self) -> &Settings {
        &self.wanted.settings
    }

    pub fn batches(&self) -> u32 {
        self.operations
            .iter()
            .filter(|op| matches!(op.what, What::Start { .. } | What::Recreate { .. } | What::Deploy { .. }))
            .count() as u32
    }

    /// Whether containers that run go for new ones.
    pub fn replaces(&self) -> bool {
        self.operations.iter().any(|op| matches!(op.what, What::Recreate { .. } | What::Stop { .. }))
    }

    /// The containers that are stopped in this batch.
    pub fn stopped_in(&self, batch: u32) -> usize {
        let stopped = |op: &Operation| match &op.what {
            What::Stop { containers } if op.batch == batch => containers.len(),
            _ => 0,
        };
        self.operations.iter().map(stopped).sum()
    }

    /// Whether what its old containers had on the host goes to another service.
    pub fn passes_ports(&self) -> bool {
        self.operations.iter().any(|op| matches!(op.what, What::PassPorts { .. }))
    }

    /// The containers that leave the traffic.
    pub fn leaving(&self) -> impl Iterator<Item = &Replica> {
        let drained = self.operations.iter().filter_map(|op| match &op.what {
            What::Drain { containers, .. } => Some(containers),
            _ => None,
        });
        drained.flatten()
    }

    /// Whether an interruption comes too late for the operation at this place: its batch only has to stop what has left
    /// the traffic, and on is the quicker way.
    pub fn is_committed(&self, at: usize) -> bool {
        let batch = |op: &&Operation| op.batch == self.operations[at].batch;
        let mut rest = self.operations[at..].iter().take_while(batch);
        rest.all(|op| {
            matches!(op.what, What::Rename { .. } | What::Stop { .. } | What::Remove { .. } | What::Release)
        })
    }

    /// Nothing of it may be done.
    pub fn block(&mut self, refusal: Refusal) {
        self.verdict = Verdict::Blocked;
        self.reason = "cannot be done as written".to_owned();
        self.operations.clear();
        self.refusals.push(refusal);
    }
}
