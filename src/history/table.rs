//! The history as a table, the newest first.

use std::collections::BTreeSet;

use super::{Cause, Commit, Ending, Revision};

const TITLES: [&str; 8] = ["REVISION", "WHEN", "WHO", "COMMIT", "COMMAND", "SERVICES", "TOOK", "OUTCOME"];

/// `now` is in seconds since 1970; `pruned` as [`super::pruned`] finds it.
pub fn table(revisions: &[Revision], pruned: &BTreeSet<u32>, now: u64) -> String {
    let mut rows = vec![TITLES.map(str::to_owned)];
    rows.extend(revisions.iter().rev().map(|revision| row(revision, pruned.contains(&revision.number), now)));
    let mut widths = [0; TITLES.len()];
    for row in &rows {
        row.iter().zip(&mut widths).for_each(|(cell, width)| *width = cell.chars().count().max(*width));
    }
    let line = |row: &[String; TITLES.len()]| {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", cells.join("   ").trim_end())
    };
    rows.iter().map(line).collect()
}

fn row(revision: &Revision, pruned: bool, now: u64) -> [String; TITLES.len()] {
    [
        revision.number.to_string(),
        age(now.saturating_sub(revision.time)),
        revision.who.clone(),
        revision.commit.as_ref().map(Commit::to_string).unwrap_or_default(),
        revision.cause.to_string(),
        revision.changed.join(", "),
        format!("{:.1}s", revision.seconds),
        outcome(revision, pruned),
    ]
}

fn outcome(revision: &Revision, pruned: bool) -> String {
    match &revision.reason {
        Some(reason) => format!("{}: {}", revision.outcome, reason.replace('\n', " ")),
        None if revision.is_good() && pruned => format!("{} (pruned)", revision.outcome),
        None => revision.outcome.to_string(),
    }
}

/// A revision in a few words, for the shell's completion.
pub fn about(revision: &Revision) -> String {
    format!("{} of {} by {}, {}", revision.cause, revision.changed.join(", "), revision.who, revision.outcome)
}

/// As `docker ps` words it.
fn age(seconds: u64) -> String {
    let (minute, hour, day) = (60, 3600, 86_400);
    let (n, unit) = match seconds {
        s if s < minute => (s, "second"),
        s if s < hour => (s / minute, "minute"),
        s if s < 2 * day => (s / hour, "hour"),
        s if s < 14 * day => (s / day, "day"),
        s if s < 60 * day => (s / (7 * day), "week"),
        s if s < 730 * day => (s / (30 * day), "month"),
        s => (s / (365 * day), "year"),
    };
    format!("{n} {unit}{} ago", if n == 1 { "" } else { "s" })
}

impl std::fmt::Display for Commit {
    /// As `git describe --always --dirty` words it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let short = self.id.get(..7).unwrap_or(&self.id);
        write!(f, "{short}{}", if self.dirty { "-dirty" } else { "" })
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Cause::Up => f.write_str("up"),
            Cause::Restart => f.write_str("restart"),
            Cause::Rollback(number) => write!(f, "rollback to {number}"),
        }
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Ending::Done => "done",
            Ending::Interrupted => "interrupted",
            Ending::Partial => "partly failed",
            Ending::Paused => "failed and paused",
            Ending::Failed => "failed",
            Ending::UndoFailed => "failed, and so did the way back",
        })
    }
}
