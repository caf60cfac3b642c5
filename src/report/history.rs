//! The history as a table, the newest first.

use std::{collections::BTreeSet, time::Duration};

use console::Alignment;
use indicatif::HumanDuration;

use crate::{
    keep::{Cause, Commit, Revision},
    text::{self, join},
};

const TITLES: [&str; 8] = ["REVISION", "WHEN", "WHO", "COMMIT", "COMMAND", "SERVICES", "TOOK", "OUTCOME"];

/// `now` is in seconds since 1970; `pruned` as [`crate::keep::pruned`] finds it.
pub fn table(revisions: &[Revision], pruned: &BTreeSet<u32>, now: u64) -> String {
    let rows = revisions.iter().rev().map(|revision| row(revision, pruned.contains(&revision.number), now));
    let rows: Vec<_> = std::iter::once(TITLES.map(str::to_owned).to_vec()).chain(rows).collect();
    text::table(&rows, Alignment::Left).join("\n") + "\n"
}

fn row(revision: &Revision, pruned: bool, now: u64) -> Vec<String> {
    let is_found = revision.cause == Cause::Found;
    let age = Duration::from_secs(now.saturating_sub(revision.time));
    vec![
        revision.number.to_string(),
        format!("{} ago", HumanDuration(age)),
        revision.who.clone(),
        revision.commit.as_ref().map(Commit::to_string).unwrap_or_default(),
        revision.cause.to_string(),
        join(&revision.changed),
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
