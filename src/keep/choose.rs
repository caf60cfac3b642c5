//! Which revision a rollback goes back to, and which are forgotten. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{Cause, Revision, names::document_tag};
use crate::engine::{Container, State};

/// How many are kept.
pub const KEPT: usize = 10;
/// So many good ones are kept however many failed after them: what is deployed, and what was before it.
const GOOD_KEPT: usize = 2;

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
            // What is newer than it is nothing to go back to, although nobody knows any more what it was.
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
    kept.extend(rollback_targets(revisions));
    numbers(false).into_iter().filter(|number| !kept.contains(number)).collect()
}

/// When the newest good one is a rollback: what it went back to, and what the next rollback goes back to. These two
/// are older than what was rolled away from, and nothing else keeps them. Of rollbacks to rollbacks only where they
/// began is kept, and of older rollbacks nothing, so there are never more than two.
fn rollback_targets(revisions: &[Revision]) -> Vec<u32> {
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

/// The revisions whose project is no longer on the engine, by the tags of the repository: `docker image prune -a`
/// removes it. They cannot be deployed again.
pub fn pruned(revisions: &[Revision], tags: &BTreeMap<String, String>) -> BTreeSet<u32> {
    let numbers = revisions.iter().map(|revision| revision.number);
    numbers.filter(|number| !tags.contains_key(&document_tag(*number))).collect()
}
