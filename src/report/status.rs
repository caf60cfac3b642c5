//! A project's status as a table. Pure; the command writes it.

use std::time::Duration;

use super::text::{clean, pad, width};
use crate::{
    clock,
    status::{Holder, Life, ServiceStatus, Standing, Status},
};

/// A column: its heading, and what stands in it.
type Column = (&'static str, fn(&ServiceStatus, u64) -> String);

/// From left to right. A column is added here and nowhere else.
const COLUMNS: &[Column] = &[
    ("SERVICE", |row, _| row.service.clone()),
    ("IMAGE", |row, _| row.images.iter().map(|image| short(image)).collect::<Vec<_>>().join(", ")),
    ("READY", |row, _| ready(row)),
    ("REVISION", |row, _| row.revision.map(|number| number.to_string()).unwrap_or_default()),
    ("HEALTH", |row, _| row.health.clone()),
    ("AGE", age),
    ("STATUS", |row, _| standing(&row.standing)),
];

/// The whole text, `now` in seconds since 1970.
pub fn text(status: &Status, now: u64) -> String {
    let mut text = table(&status.services, now);
    if status.services.is_empty() {
        text = format!("project {} has no services\n", status.project);
    }
    if let Some(line) = status.rollout.as_ref().and_then(|holder| at_work(holder, now)) {
        text += &format!("\n{line}\n");
    }
    if !status.advice.is_empty() {
        let lines: String = status.advice.iter().map(|line| format!("{}\n", clean(line))).collect();
        text += &format!("\n{lines}");
    }
    text
}

/// As pretty JSON, or on one line. The names are stable: `status.schema.json`.
pub fn json(status: &Status, one_line: bool) -> String {
    let text = match one_line {
        true => serde_json::to_string(status),
        false => serde_json::to_string_pretty(status),
    };
    text.unwrap_or_default() + "\n"
}

fn table(rows: &[ServiceStatus], now: u64) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let head = COLUMNS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let cell = |text: String| if text.is_empty() { "-".to_owned() } else { clean(&text) };
    let row = |row: &ServiceStatus| COLUMNS.iter().map(|(_, of)| cell(of(row, now))).collect();
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(rows.iter().map(row)).collect();
    let widths: Vec<usize> = (0..COLUMNS.len())
        .map(|column| lines.iter().map(|line| width(&line[column])).max().unwrap_or(0))
        .collect();
    let line = |line: &Vec<String>| {
        let cells: Vec<_> = line.iter().zip(&widths).map(|(text, width)| pad(text, *width)).collect();
        format!("{}\n", cells.join("   ").trim_end())
    };
    lines.iter().map(line).collect()
}

/// A digest says nothing beyond its first digits.
fn short(image: &str) -> String {
    match image.split_once("sha256:") {
        Some((name, digits)) if digits.len() > 12 => format!("{name}sha256:{}", &digits[..12]),
        _ => image.to_owned(),
    }
}

fn ready(row: &ServiceStatus) -> String {
    match row.wanted {
        Some(wanted) => format!("{}/{wanted}", row.ready),
        None if row.ready > 0 => row.ready.to_string(),
        None => String::new(),
    }
}

fn age(row: &ServiceStatus, now: u64) -> String {
    // The engine may be on a machine whose clock is ahead.
    row.since.map(|since| since_then(since, now)).unwrap_or_default()
}

fn since_then(since: u64, now: u64) -> String {
    clock::age(Duration::from_secs(now.saturating_sub(since)))
}

fn standing(standing: &Standing) -> String {
    match standing {
        Standing::UpToDate => "up to date".to_owned(),
        Standing::Changed { what } => format!("{} changed", what.join(" and ")),
        Standing::Count { running, wanted } => format!("{running} of {wanted} replicas"),
        Standing::Rolling { new, old } => format!("rolling: {new} new, {old} old"),
        Standing::BrokenOff { new, old } => format!("broken off: {new} new, {old} old"),
        Standing::Down => "down".to_owned(),
        Standing::JobRunning => "job runs".to_owned(),
        Standing::JobDone => "job done".to_owned(),
        Standing::JobFailed { .. } => "job failed".to_owned(),
        Standing::Provider => "run by its provider".to_owned(),
        Standing::Dormant => "profile not enabled".to_owned(),
        Standing::Orphan => "orphan".to_owned(),
    }
}

fn at_work(holder: &Holder, now: u64) -> Option<String> {
    let time = since_then(holder.since, now);
    (holder.life != Life::Dead).then(|| format!("rollout in progress: {} ({time})", clean(&holder.owner)))
}

/// A text that is drawn over the one before.
#[derive(Debug, Default)]
pub struct Screen {
    lines: usize,
}

impl Screen {
    /// What to write so that the terminal of this size (columns and rows, 0 for unknown) shows `text` where it showed the
    /// text before. What does not fit is cut, sentences are broken between words: a line that the terminal wraps, or one
    /// that makes it scroll, could not be drawn over.
    pub fn frame(&mut self, text: &str, (columns, rows): (usize, usize)) -> String {
        let columns = if columns == 0 { usize::MAX } else { columns };
        let room = if rows == 0 { usize::MAX } else { rows.saturating_sub(1).max(1) };
        let (table, sentences) = text.split_once("\n\n").unwrap_or((text, ""));
        let table = table.lines().map(|line| cut_plain(line, columns));
        let gap = (!sentences.is_empty()).then(String::new);
        let sentences = sentences.lines().flat_map(|line| wrapped(line, columns));
        let lines: Vec<String> = table.chain(gap).chain(sentences).take(room).collect();
        let up = if self.lines == 0 { String::new() } else { format!("\x1b[{}A", self.lines) };
        self.lines = lines.len();
        let body: String = lines.iter().map(|line| format!("{line}\x1b[K\n")).collect();
        format!("{up}\r{body}\x1b[J")
    }
}

/// Broken between words; a word that is too long is cut.
fn wrapped(line: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in line.split(' ') {
        let last = lines.last_mut().expect("never empty");
        if last.is_empty() {
            *last = cut_plain(word, columns);
        } else if width(last) + 1 + width(word) <= columns {
            *last += &format!(" {word}");
        } else {
            lines.push(cut_plain(word, columns));
        }
    }
    lines
}

fn cut_plain(line: &str, columns: usize) -> String {
    let mut kept = String::new();
    for c in line.chars() {
        kept.push(c);
        if width(&kept) > columns {
            kept.pop();
            break;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_drawn_over_the_one_before() {
        let mut screen = Screen::default();
        assert_eq!(screen.frame("one\ntwo\n", (80, 24)), "\rone\x1b[K\ntwo\x1b[K\n\x1b[J");
        assert_eq!(screen.frame("three\n", (80, 24)), "\x1b[2A\rthree\x1b[K\n\x1b[J");
        assert_eq!(screen.frame("four\n", (80, 24)), "\x1b[1A\rfour\x1b[K\n\x1b[J");
    }

    #[test]
    fn what_does_not_fit_is_cut() {
        let mut screen = Screen::default();
        assert_eq!(screen.frame("abcdef\nb\nc\nd\n", (3, 3)), "\rabc\x1b[K\nb\x1b[K\n\x1b[J");
        assert_eq!(screen.frame("a\n\nb c d efgh\n", (3, 9)).matches("\x1b[K").count(), 5);
        assert_eq!(wrapped("b c d efgh", 3), ["b c", "d", "efg"]);
        screen = Screen { lines: 2 };
        assert_eq!(screen.frame("a\n", (3, 3)), "\x1b[2A\ra\x1b[K\n\x1b[J");
    }

    #[test]
    fn a_digest_is_cut_and_a_tag_is_not() {
        let digits = "0123456789abcdef".repeat(4);
        assert_eq!(short(&format!("web@sha256:{digits}")), "web@sha256:0123456789ab");
        assert_eq!(short("web:1.2"), "web:1.2");
    }
}
