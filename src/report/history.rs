//! The history as a table, the newest first.

use std::{collections::BTreeSet, time::Duration};

use indicatif::HumanDuration;

use super::Look;
use crate::{
    event::Outcome,
    keep::{Cause, Commit, Deployed, Revision},
    text::{join, short_id, short_image},
};

const TITLES: [&str; 9] =
    ["REVISION", "WHEN", "WHO", "COMMIT", "COMMAND", "SERVICES", "IMAGES", "TOOK", "OUTCOME"];

/// `now` is in seconds since 1970; `pruned` as [`crate::keep::pruned`] finds it.
pub fn table(revisions: &[Revision], pruned: &BTreeSet<u32>, now: u64, look: &Look) -> String {
    let images = Images::of(revisions);
    let rows = revisions.iter().rev();
    let rows = rows.map(|revision| row(revision, &images, pruned.contains(&revision.number), now));
    let rows: Vec<_> = std::iter::once(TITLES.map(str::to_owned).to_vec()).chain(rows).collect();
    look.table(&rows, &|row| style(revisions[revisions.len() - 1 - row].outcome)).join("\n") + "\n"
}

fn style(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done | Outcome::Unchanged => "green",
        Outcome::RolledBack | Outcome::RollbackFailed => "red",
        _ => "yellow",
    }
}

/// The names of images that have meant more than one: there the name alone says nothing.
struct Images<'a>(BTreeSet<&'a str>);

impl<'a> Images<'a> {
    fn of(revisions: &'a [Revision]) -> Images<'a> {
        let all = || revisions.iter().flat_map(|revision| revision.services.values());
        let ambiguous =
            |one: &&Deployed| all().any(|other| other.reference == one.reference && other.image != one.image);
        Images(all().filter(ambiguous).filter_map(|one| one.reference.as_deref()).collect())
    }

    /// What the changed services were to run.
    fn changed(&self, revision: &Revision) -> String {
        let mut names: Vec<String> = vec![];
        for deployed in revision.changed.iter().filter_map(|name| revision.services.get(name)) {
            let id = deployed.image.as_deref().map(short_id).unwrap_or_default();
            let name = match &deployed.reference {
                None => id.to_owned(),
                Some(reference) if self.0.contains(reference.as_str()) => {
                    format!("{} {id}", short_image(reference))
                }
                Some(reference) => short_image(reference),
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        join(&names)
    }
}

fn row(revision: &Revision, images: &Images, pruned: bool, now: u64) -> Vec<String> {
    let is_found = revision.cause == Cause::Found;
    let age = Duration::from_secs(now.saturating_sub(revision.time));
    vec![
        revision.number.to_string(),
        format!("{} ago", HumanDuration(age)),
        revision.who.clone(),
        revision.commit.as_ref().map(Commit::to_string).unwrap_or_default(),
        revision.cause.to_string(),
        join(&revision.changed),
        images.changed(revision),
        if is_found { String::new() } else { format!("{:.1}s", revision.seconds) },
        outcome(revision, pruned),
    ]
}

fn outcome(revision: &Revision, pruned: bool) -> String {
    let word = revision.outcome.word();
    match &revision.reason {
        Some(reason) => format!("{word}: {}", reason.replace('\n', " ")),
        None if revision.is_good() && pruned => format!("{word} (pruned)"),
        None => word.to_owned(),
    }
}

/// A revision in a few words, for the shell's completion.
pub fn about(revision: &Revision) -> String {
    let Revision { cause, changed, who, outcome, .. } = revision;
    if *cause == Cause::Found {
        return format!("what ran of {} before the first rollout", join(changed));
    }
    format!("{cause} of {} by {who}, {}", join(changed), outcome.word())
}
