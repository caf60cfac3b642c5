//! What was deployed, when, by whom, and how it ended. Pure.
//!
//! A revision lives on the engine in three parts: a volume whose one label holds [`Revision`] as JSON (written once,
//! listed by one call), an image that is nothing but the project as deployed (so that no environment value ever
//! stands in an argument list), and a tag for each image that its services run.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{engine::Container, event::Outcome, project::Wanted};

/// One rollout that changed something. Fields that a later version adds default when they are absent.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Revision {
    /// Counts from 1 within the project; 0 is what ran before the first rollout.
    pub number: u32,
    pub cause: Cause,
    /// The end of the rollout, in seconds since 1970.
    pub time: u64,
    /// How long it took.
    pub seconds: f64,
    /// `user@host`
    pub who: String,
    /// The commit of the checkout that the compose file lies in; of a rollback, that of what it went back to.
    pub commit: Option<Commit>,
    pub outcome: Outcome,
    /// Why it did not end well: one clause that begins with the service.
    pub reason: Option<String>,
    /// The services that the rollout was to change.
    pub changed: Vec<String>,
    /// What was deployed when it ended, by service. Of a failed one, what was wanted.
    pub services: BTreeMap<String, Deployed>,
    /// Services that run something whose definition is not known, because another tool deployed it; of what was found
    /// before the first rollout, also those that did not run.
    pub unknown: Vec<String>,
    /// The project's folder.
    pub directory: Option<String>,
}

/// What a user typed, or that nobody did.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    #[default]
    Up,
    Restart,
    Rollback(u32),
    /// It ran before the first rollout, deployed by another tool.
    Found,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default)]
pub struct Commit {
    /// The full hash.
    pub id: String,
    /// Tracked files had changes that are not in it.
    pub dirty: bool,
}

/// One service of a revision.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default)]
pub struct Deployed {
    /// Compose's hash of its configuration.
    pub hash: String,
    /// The hash of the definition as it is written, where the kept tag of an image stood in for the one in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<String>,
    /// The label of its containers carries another hash than Compose prints.
    #[serde(skip_serializing_if = "is_false")]
    pub hash_is_resolved: bool,
    /// Absent for one that is run by a provider.
    pub image: Option<String>,
    /// The manifest of that image for the service's platform, where the image is an index: building the same again makes
    /// another index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// What the image was called; absent in revisions of before it was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    pub replicas: u32,
    /// The hash of the whole service as Swarm had it afterwards: another one now is somebody else's change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec: Option<String>,
    /// How long connections to it waited in this rollout, in milliseconds; absent where they did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waited_ms: Option<u64>,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Revision {
    /// Reads the label; `None` for one that is not understood.
    pub fn from_label(text: &str) -> Option<Revision> {
        serde_json::from_str(text).ok().filter(Revision::is_numbered)
    }

    fn is_numbered(&self) -> bool {
        self.number > 0 || self.cause == Cause::Found
    }

    pub fn label(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub fn is_good(&self) -> bool {
        self.outcome == Outcome::Done
    }

    /// The same was deployed, as far as the asked services go; none asked is all of them.
    pub(super) fn deploys_the_same(&self, other: &Revision, asked: &[String]) -> bool {
        let wanted = |(name, _): &(&String, &Deployed)| asked.is_empty() || asked.contains(name);
        let mine = self.services.iter().filter(wanted).map(|(name, s)| (name, s.content()));
        mine.eq(other.services.iter().filter(wanted).map(|(name, s)| (name, s.content())))
    }

    pub(super) fn has_all(&self, asked: &[String]) -> bool {
        asked.iter().all(|name| self.services.contains_key(name))
    }

    /// Going back to it from `current` would change something. What only `current` has is left as it is.
    pub(super) fn brings_another(
        &self,
        current: &Revision,
        containers: &[Container],
        asked: &[String],
    ) -> bool {
        let wanted = |(name, _): &(&String, &Deployed)| asked.is_empty() || asked.contains(name);
        self.services.iter().filter(wanted).any(|(name, mine)| match current.services.get(name) {
            Some(other) => mine.content() != other.content(),
            // A service that has left the file may run on.
            None => !containers.iter().any(|c| c.service == *name) || !mine.is_all_of(name, containers),
        })
    }

    /// Whether what is there is this revision: the versions, not the counts, as a replica may have crashed.
    pub fn is_deployed(&self, containers: &[Container], asked: &[String]) -> bool {
        let wanted = |name: &&String| asked.is_empty() || asked.contains(name);
        let mut names = self.services.keys().filter(wanted).peekable();
        let any = containers.iter().any(|c| self.services.contains_key(&c.service));
        names.peek().is_some() && any && names.all(|name| self.services[name].is_all_of(name, containers))
    }
}

impl Deployed {
    /// The hash of the definition as it is written.
    pub fn definition(&self) -> &str {
        self.written.as_ref().unwrap_or(&self.hash)
    }

    fn content(&self) -> (&str, Option<&String>, u32) {
        (self.definition(), self.manifest.as_ref().or(self.image.as_ref()), self.replicas)
    }

    pub fn is(&self, container: &Container) -> bool {
        let wanted =
            |image: &String| Wanted::as_deployed(&self.hash, self.hash_is_resolved, image).is(container);
        self.image.iter().chain(&self.manifest).any(wanted)
    }

    /// What runs of the service counts; where nothing runs, what is left of it.
    fn is_all_of(&self, service: &str, containers: &[Container]) -> bool {
        let mine: Vec<_> = containers.iter().filter(|c| c.service == service).collect();
        telling(&mine).into_iter().all(|container| self.is(container))
    }
}

/// How long connections to a service waited in the last rollouts that replaced it, the newest first.
pub fn waits(revisions: &[Revision], service: &str) -> Vec<Duration> {
    let good = revisions.iter().rev().filter(|revision| revision.is_good());
    let changed = good.filter(|revision| revision.changed.iter().any(|name| name == service));
    let waits = changed.filter_map(|revision| revision.services.get(service)?.waited_ms);
    waits.map(Duration::from_millis).take(WAITS_TOLD).collect()
}

/// More would be of versions that boot otherwise.
const WAITS_TOLD: usize = 3;

/// What runs, or what is left where nothing runs.
pub fn telling<'c>(containers: &[&'c Container]) -> Vec<&'c Container> {
    let running: Vec<_> = containers.iter().copied().filter(|c| c.is_up()).collect();
    if running.is_empty() { containers.to_vec() } else { running }
}

/// The newest good revision that has what runs of a service. `None` also where two generations run, or nothing.
pub fn of_service<'r>(
    revisions: &'r [Revision],
    name: &str,
    containers: &[&Container],
) -> Option<(u32, &'r Deployed)> {
    let telling = telling(containers);
    let fits = |deployed: &&Deployed| !telling.is_empty() && telling.iter().all(|c| deployed.is(c));
    let good = revisions.iter().filter(|revision| revision.is_good());
    good.filter_map(|revision| Some((revision.number, revision.services.get(name).filter(fits)?)))
        .max_by_key(|(number, _)| *number)
}

impl fmt::Display for Commit {
    /// As `git describe --always --dirty` words it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = self.id.get(..7).unwrap_or(&self.id);
        write!(f, "{short}{}", if self.dirty { "-dirty" } else { "" })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Up => f.write_str("up"),
            Cause::Restart => f.write_str("restart"),
            Cause::Rollback(number) => write!(f, "rollback to {number}"),
            Cause::Found => f.write_str("found"),
        }
    }
}
