//! A project's status as a table, once or again and again. Pure but for [`Screen`].

use std::io;
use std::time::Duration;

use console::{Term, truncate_str};
use indicatif::HumanDuration;

use super::Look;
use crate::keep::{Holder, Life};
use crate::status::{Condition, ServiceStatus, Status};
use crate::text::{clean, join, short_image};

/// A column: its heading, and what stands in it.
type Column = (&'static str, fn(&ServiceStatus, u64) -> String);

/// From left to right. A column is added here and nowhere else.
const COLUMNS: &[Column] = &[
    ("SERVICE", |row, _| row.service.clone()),
    ("IMAGE", |row, _| row.images.iter().map(|image| short_image(image)).collect::<Vec<_>>().join(", ")),
    ("READY", |row, _| ready(row)),
    ("REVISION", |row, _| row.revision.map(|number| number.to_string()).unwrap_or_default()),
    ("HEALTH", |row, _| row.health.clone()),
    ("AGE", |row, now| row.since.map(|since| age(since, now)).unwrap_or_default()),
    ("STATUS", |row, _| condition(&row.condition)),
];

/// The whole text, `now` in seconds since 1970.
pub fn text(status: &Status, now: u64, look: &Look) -> String {
    let head = COLUMNS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let row = |row: &ServiceStatus| COLUMNS.iter().map(|(_, of)| of(row, now)).collect();
    let rows: Vec<_> = std::iter::once(head).chain(status.services.iter().map(row)).collect();
    let table = match status.services.is_empty() {
        true => vec![format!("project {} has no services", status.project)],
        false => look.table(&rows, &|row| style(&status.services[row].condition)),
    };
    let rollout = status.rollout.iter().filter(|holder| holder.life != Life::Dead);
    let rollout = rollout.map(|holder| in_progress(holder, now)).collect();
    let advice = status.advice.iter().map(|line| clean(line)).collect();
    let blocks = [table, rollout, advice].into_iter().filter(|block| !block.is_empty());
    blocks.collect::<Vec<_>>().join(&String::new()).join("\n") + "\n"
}

/// As pretty JSON, or on one line. The names are stable: `status.schema.json`.
pub fn json(status: &Status, one_line: bool) -> String {
    let text = match one_line {
        true => serde_json::to_string(status),
        false => serde_json::to_string_pretty(status),
    };
    text.unwrap_or_default() + "\n"
}

fn ready(row: &ServiceStatus) -> String {
    match row.wanted {
        Some(wanted) => format!("{}/{wanted}", row.ready),
        None if row.ready > 0 => row.ready.to_string(),
        None => String::new(),
    }
}

/// The engine may be on a machine whose clock is ahead.
fn age(since: u64, now: u64) -> String {
    format!("{:#}", HumanDuration(Duration::from_secs(now.saturating_sub(since))))
}

fn condition(condition: &Condition) -> String {
    match condition {
        Condition::UpToDate => "up to date".to_owned(),
        Condition::Changed { what } => format!("{} changed", join(what)),
        Condition::Count { running, wanted } => format!("{running} of {wanted} replicas"),
        Condition::Rolling { new, old } => format!("rolling: {new} new, {old} old"),
        Condition::Interrupted { new, old } => format!("interrupted: {new} new, {old} old"),
        Condition::Down => "down".to_owned(),
        Condition::JobRunning => "job running".to_owned(),
        Condition::JobDone => "job done".to_owned(),
        Condition::JobFailed { .. } => "job failed".to_owned(),
        Condition::Provider => "run by its provider".to_owned(),
        Condition::Dormant => "profile not enabled".to_owned(),
        Condition::Orphan => "orphan".to_owned(),
        Condition::NoFile => "no file here to compare with".to_owned(),
    }
}

fn style(condition: &Condition) -> &'static str {
    match condition {
        Condition::UpToDate | Condition::JobDone => "green",
        Condition::Down | Condition::JobFailed { .. } => "red",
        Condition::Provider | Condition::Dormant | Condition::NoFile => "dim",
        _ => "yellow",
    }
}

fn in_progress(holder: &Holder, now: u64) -> String {
    format!("rollout in progress: {} ({})", clean(&holder.owner), age(holder.since, now))
}

/// A text on the terminal that is drawn over the one before.
pub struct Screen {
    term: Term,
    lines: usize,
}

impl Screen {
    /// On stdout; `None` where it cannot be redrawn.
    pub fn new() -> Option<Screen> {
        let term = Term::buffered_stdout();
        term.is_term().then_some(Screen { term, lines: 0 })
    }

    /// # Errors
    /// Nobody reads any more.
    pub fn draw(&mut self, text: &str) -> io::Result<()> {
        let (rows, columns) = self.term.size();
        let lines = fitted(text, rows.into(), columns.into());
        self.term.clear_last_lines(self.lines)?;
        self.lines = lines.len();
        lines.iter().try_for_each(|line| self.term.write_line(line))?;
        self.term.flush()
    }
}

/// What does not fit is cut, sentences are broken between words: a line that the terminal wraps, or one that makes it
/// scroll, could not be drawn over.
fn fitted(text: &str, rows: usize, columns: usize) -> Vec<String> {
    let (table, sentences) = text.split_once("\n\n").unwrap_or((text, ""));
    let table = table.lines().map(|line| truncate_str(line, columns, "").into_owned());
    let gap = (!sentences.is_empty()).then(String::new);
    let sentences = sentences.lines().flat_map(|line| textwrap::wrap(line, columns));
    let sentences = sentences.map(|line| line.into_owned());
    table.chain(gap).chain(sentences).take(rows.saturating_sub(1).max(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_cut() {
        assert_eq!(fitted("abcdef\nb\nc\nd\n", 3, 3), ["abc", "b"]);
        assert_eq!(fitted("a\n\nb c d ef\n", 9, 3), ["a", "", "b c", "d", "ef"]);
        assert_eq!(fitted("a\n", 1, 3), ["a"]);
    }
}
