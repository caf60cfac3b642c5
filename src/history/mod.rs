//! What was deployed, when, by whom, and how it ended; and which of it a rollback goes back to. Pure.
//!
//! A revision lives on the engine in three parts: a volume whose one label holds [`Revision`] as JSON (written once,
//! listed by one call), an image that is nothing but the project as deployed (so that no environment value ever
//! stands in an argument list), and a tag for each image that its services run.

pub mod archive;
pub mod diff;
pub mod document;
pub mod mask;
pub mod table;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    event::Outcome,
    observed::{Container, State},
};

pub use document::Document;

/// The label of a revision's volume that holds it as JSON.
pub const LABEL: &str = "io.zdd.revision";
/// The label of a revision's volume by which a project's revisions are found.
pub const PROJECT_LABEL: &str = "io.zdd.revision.project";
/// How many are kept.
pub const KEPT: usize = 10;
/// So many good ones are kept however many failed after them: what is deployed, and what was before it.
const GOOD_KEPT: usize = 2;

/// One rollout that changed something. Fields that a later version adds default when they are absent.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Revision {
    /// Counts from 1 within the project.
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
    pub outcome: Ending,
    /// Why it did not end well: one clause that begins with the service.
    pub reason: Option<String>,
    /// The services that the rollout was to change.
    pub changed: Vec<String>,
    /// What was deployed when it ended, by service. Of a failed one, what was wanted.
    pub services: BTreeMap<String, Deployed>,
    /// Services that run something whose definition is not known, because another tool deployed it.
    pub unknown: Vec<String>,
    /// The project's folder.
    pub directory: Option<String>,
}

/// What a user typed.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    #[default]
    Up,
    Restart,
    Rollback(u32),
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default)]
pub struct Commit {
    /// The full hash.
    pub id: String,
    /// Tracked files had changes that are not in it.
    pub dirty: bool,
}

/// How a rollout ended: the worst of its services.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    Done,
    Interrupted,
    Partial,
    Paused,
    /// The new version failed, the old one serves.
    #[default]
    Failed,
    UndoFailed,
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
    pub replicas: u32,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Revision {
    /// Reads the label; `None` for one that is not understood.
    pub fn from_label(text: &str) -> Option<Revision> {
        serde_json::from_str(text).ok().filter(|revision: &Revision| revision.number > 0)
    }

    pub fn label(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub fn is_good(&self) -> bool {
        self.outcome == Ending::Done
    }

    /// The same was deployed, as far as the asked services go; none asked is all of them.
    fn deploys_the_same(&self, other: &Revision, asked: &[String]) -> bool {
        let wanted = |(name, _): &(&String, &Deployed)| asked.is_empty() || asked.contains(name);
        let mine = self.services.iter().filter(wanted).map(|(name, s)| (name, s.content()));
        mine.eq(other.services.iter().filter(wanted).map(|(name, s)| (name, s.content())))
    }

    fn has_all(&self, asked: &[String]) -> bool {
        asked.iter().all(|name| self.services.contains_key(name))
    }

    /// Going back to it from `current` would change something. What only `current` has is left as it is.
    fn brings_another(&self, current: &Revision, containers: &[Container], asked: &[String]) -> bool {
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
        (self.definition(), self.image.as_ref(), self.replicas)
    }

    pub fn is(&self, container: &Container) -> bool {
        let same_hash = self.hash_is_resolved || self.hash == container.config_hash;
        same_hash && self.image.as_ref().is_some_and(|image| container.is_of_image(image))
    }

    /// What runs of the service counts; where nothing runs, what is left of it.
    fn is_all_of(&self, service: &str, containers: &[Container]) -> bool {
        let mine: Vec<_> = containers.iter().filter(|c| c.service == service).collect();
        telling(&mine).into_iter().all(|container| self.is(container))
    }
}

/// What runs, or what is left where nothing runs.
pub fn telling<'c>(containers: &[&'c Container]) -> Vec<&'c Container> {
    let up = |c: &&Container| matches!(c.state, State::Running | State::Restarting | State::Paused);
    let running: Vec<_> = containers.iter().copied().filter(up).collect();
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

impl From<Outcome> for Ending {
    fn from(outcome: Outcome) -> Ending {
        match outcome {
            Outcome::Done | Outcome::Unchanged => Ending::Done,
            Outcome::Interrupted | Outcome::Skipped => Ending::Interrupted,
            Outcome::Partial => Ending::Partial,
            Outcome::Paused => Ending::Paused,
            Outcome::RolledBack => Ending::Failed,
            Outcome::UndoFailed => Ending::UndoFailed,
        }
    }
}

/// The newest good one.
pub fn latest_good(revisions: &[Revision]) -> Option<&Revision> {
    newest(revisions.iter().filter(|revision| revision.is_good()))
}

/// Why there is nothing to go back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoTarget {
    /// No rollout went well so far.
    Empty,
    /// None that went well before this one deployed anything else.
    NothingBefore(u32),
    Unknown(u32),
    /// It failed, and why.
    Failed(u32, Option<String>),
}

/// The good revision that is there: the newest of which everything that runs is. Of a mixture of good ones the
/// newest, because a rollback from it was cut off. `None` when something runs that no good one has: another tool
/// has deployed it, or a rollout that did not go well.
fn deployed<'r>(
    revisions: &'r [Revision],
    containers: &[Container],
    asked: &[String],
) -> Option<&'r Revision> {
    let mut good: Vec<_> = revisions.iter().filter(|r| r.is_good() && r.has_all(asked)).collect();
    good.sort_by_key(|revision| std::cmp::Reverse(revision.number));
    if let Some(revision) = good.iter().find(|revision| revision.is_deployed(containers, asked)) {
        return Some(revision);
    }
    let has = |revision: &Revision, c: &Container| revision.services.get(&c.service).is_some_and(|s| s.is(c));
    let counts = |c: &&Container| asked.is_empty() || asked.contains(&c.service);
    let running: Vec<_> = containers.iter().filter(counts).filter(|c| c.state == State::Running).collect();
    let known = !running.is_empty() && running.iter().all(|c| good.iter().any(|revision| has(revision, c)));
    good.into_iter().find(|revision| known && running.iter().any(|c| has(revision, c)))
}

/// The number of the revision that `current` was first deployed as: rollbacks are walked through. One that is
/// forgotten by now may have been a rollback itself; then the newest that deployed the same before it stands in for it.
fn origin(revisions: &[Revision], current: &Revision, asked: &[String]) -> u32 {
    let same = |revision: &Revision| revision.deploys_the_same(current, asked);
    let mut from = current;
    while let Cause::Rollback(number) = from.cause
        && number < from.number
    {
        let is_known = revisions.iter().any(|revision| revision.number == number);
        let is_it = |r: &&Revision| r.number == number || !is_known && r.number < number && r.is_good();
        match newest(revisions.iter().filter(is_it).filter(|revision| same(revision))) {
            Some(earlier) => from = earlier,
            // What is newer than it is no way back, although nobody knows any more what it was.
            None if !is_known => return number,
            None => break,
        }
    }
    from.number
}

/// The newest good revision before `current` that brings back something else.
fn before<'r>(
    revisions: &'r [Revision],
    current: &Revision,
    containers: &[Container],
    asked: &[String],
) -> Option<&'r Revision> {
    let origin = origin(revisions, current, asked);
    let is_before = |revision: &&Revision| {
        let good = revision.number < origin && revision.is_good() && revision.has_all(asked);
        good && revision.brings_another(current, containers, asked)
    };
    newest(revisions.iter().filter(is_before))
}

fn newest<'r>(revisions: impl Iterator<Item = &'r Revision>) -> Option<&'r Revision> {
    revisions.max_by_key(|revision| revision.number)
}

/// The revision that a rollback goes back to. Without a number: what was deployed before what is deployed now. When
/// that is no good revision (another tool deployed, or a rollout failed half way), the newest good one that has what
/// is asked for.
///
/// Rollbacks are walked through: after a rollback from 3 to 2 the one before is 1, not 3.
pub fn target<'r>(
    revisions: &'r [Revision],
    to: Option<u32>,
    containers: &[Container],
    asked: &[String],
) -> Result<&'r Revision, NoTarget> {
    if let Some(number) = to {
        let found = revisions.iter().find(|revision| revision.number == number);
        let revision = found.ok_or(NoTarget::Unknown(number))?;
        return match revision.is_good() {
            true => Ok(revision),
            false => Err(NoTarget::Failed(number, revision.reason.clone())),
        };
    }
    let latest = latest_good(revisions).ok_or(NoTarget::Empty)?;
    let Some(current) = deployed(revisions, containers, asked) else {
        let with_all = newest(revisions.iter().filter(|r| r.is_good() && r.has_all(asked)));
        return Ok(with_all.unwrap_or(latest));
    };
    before(revisions, current, containers, asked).ok_or(NoTarget::NothingBefore(current.number))
}

/// The numbers to forget: all but the last [`KEPT`], and never the last two good ones, nor what the next rollback
/// needs.
pub fn forgotten(revisions: &[Revision]) -> BTreeSet<u32> {
    let numbers = |good_only: bool| {
        let mut numbers: Vec<u32> =
            revisions.iter().filter(|r| !good_only || r.is_good()).map(|r| r.number).collect();
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        numbers
    };
    let mut kept: BTreeSet<u32> =
        numbers(false).into_iter().take(KEPT).chain(numbers(true).into_iter().take(GOOD_KEPT)).collect();
    kept.extend(way_back(revisions));
    numbers(false).into_iter().filter(|number| !kept.contains(number)).collect()
}

/// When the newest good one is a rollback: what it went back to, and what the next rollback goes back to. These two
/// are older than what was rolled away from, and nothing else keeps them. Of rollbacks to rollbacks only where they
/// began is kept, and of older rollbacks nothing, so there are never more than two.
fn way_back(revisions: &[Revision]) -> Vec<u32> {
    let Some(latest) = latest_good(revisions) else { return vec![] };
    // One of some services alone is the same as its origin in these only.
    let is_there = |origin: u32| revisions.iter().any(|r| r.number == origin && origin < latest.number);
    let walked = [&[][..], &latest.changed]
        .into_iter()
        .map(|asked| (origin(revisions, latest, asked), asked))
        .find(|(origin, _)| is_there(*origin));
    walked.map_or(vec![], |(origin, asked)| {
        let before = before(revisions, latest, &[], asked).map(|revision| revision.number);
        [origin].into_iter().chain(before).collect()
    })
}

/// The volume of a revision. Apart from the lock's names whatever the project is called.
pub fn volume(project: &str, number: u32) -> String {
    format!("zdd-revision-{project}-{number}")
}

/// The container that a revision is read through.
pub fn holder(project: &str, number: u32) -> String {
    format!("zdd-revision-reading-{project}-{number}")
}

/// Whether a container's name is one of the project's holders. The name of another project may begin with it.
pub fn is_holder(name: &str, project: &str) -> bool {
    let number = name.rsplit_once('-').and_then(|(_, number)| number.parse().ok());
    number.is_some_and(|number| name == holder(project, number))
}

/// The image of a revision's document, as a tag of the project's repository.
pub fn document_tag(number: u32) -> String {
    format!("r{number}")
}

/// The revision whose document has this tag.
pub fn document_number(tag: &str) -> Option<u32> {
    tag.strip_prefix('r')?.parse().ok()
}

/// The revisions whose project is no longer on the engine, by the tags of the repository: `docker image prune -a`
/// removes it. They cannot be deployed again.
pub fn pruned(revisions: &[Revision], tags: &BTreeMap<String, String>) -> BTreeSet<u32> {
    let numbers = revisions.iter().map(|revision| revision.number);
    numbers.filter(|number| !tags.contains_key(&document_tag(*number))).collect()
}

/// The tag that keeps an image, by its ID: an image that several services and revisions run has one.
pub fn image_tag(id: &str) -> String {
    id.trim_start_matches("sha256:").chars().take(12).collect()
}

/// The repository of a project's documents and kept images. A project's name may be what no repository's may
/// (`shop-`, `a___b`); such a name is written in hexadecimal.
pub fn repository(project: &str) -> String {
    match is_repository_name(project) {
        true => format!("zdd-revision/{project}"),
        false => {
            let hex: String = project.bytes().map(|byte| format!("{byte:02x}")).collect();
            format!("zdd-revision/hex/{hex}")
        }
    }
}

/// Lower-case words with `_`, `__` or any number of `-` between them (distribution's reference grammar).
fn is_repository_name(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let good = |separator: &str| {
        separator.is_empty()
            || separator == "_"
            || separator == "__"
            || separator.bytes().all(|byte| byte == b'-')
    };
    name.starts_with(is_word) && name.ends_with(is_word) && name.split(is_word).all(good)
}
