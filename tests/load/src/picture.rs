//! What a load has found, as text for people.

use std::fmt::Write;
use std::time::Duration;

use crate::report::Report;
use crate::running::End;
use crate::sample::Sample;
use crate::versions::{SLOT, slot_of};

/// The picture's columns of time, and of names before them: 78 in all.
const COLUMNS: u32 = 62;
const NAMES: usize = 14;
/// More failures than this tell nothing new.
const FAILURES_SHOWN: usize = 40;

impl Report {
    /// Requests, failures and latencies: one line for all and one for each phase.
    pub fn table(&self) -> String {
        if self.requests() == 0 {
            return "no requests were sent\n".into();
        }
        let mut text = format!(
            "{} requests in {:.1} s ({:.0}/s), {} failed{}{}\n",
            self.requests(),
            self.took().as_secs_f64(),
            self.per_second(),
            self.failed().len(),
            self.delays(),
            self.ending(),
        );
        text += &row("", &["requests", "failed", "p50", "p99", "slowest"]);
        text += &self.phase_row("all", self.samples().iter());
        for phase in self.phases() {
            text += &self.phase_row(phase, self.samples_in(phase));
        }
        text
    }

    fn delays(&self) -> String {
        match self.delayed() {
            0 => String::new(),
            delayed => format!(", {delayed} sent late"),
        }
    }

    fn ending(&self) -> &'static str {
        match self.end() {
            End::Stopped => "",
            End::MaxRequests => ", ended by the bound on requests",
            End::MaxTime => ", ended by the bound on time",
        }
    }

    fn phase_row<'a>(&self, name: &str, samples: impl Iterator<Item = &'a Sample>) -> String {
        let figures = Figures::of(samples);
        row(
            name,
            &[
                &figures.requests.to_string(),
                &figures.failed.to_string(),
                &millis(figures.p50),
                &millis(figures.p99),
                &millis(figures.slowest),
            ],
        )
    }

    /// The versions over time, at most 80 columns wide. In each column a version has `#` if it gave at least
    /// three quarters of the answers, `+` at least one quarter, `.` fewer; `!` is for failed requests.
    pub fn timeline(&self) -> String {
        let Some(scale) = Scale::of(self) else {
            return String::new();
        };
        let mut text = String::new();
        for version in self.versions_seen() {
            text += &line(&format!("version {version}"), &self.shares(version, &scale));
        }
        if !self.failed().is_empty() {
            text += &line("failed", &self.failures_drawn(&scale));
        }
        text += &line("phase", &self.phases_drawn(&scale));
        text + &scale.axis()
    }

    fn shares(&self, version: &str, scale: &Scale) -> String {
        let mut counts = vec![(0, 0); scale.columns()];
        for sample in self.samples() {
            let (of_version, all) = &mut counts[scale.column(sample.at)];
            *of_version += usize::from(sample.version() == Some(version));
            *all += usize::from(sample.version().is_some());
        }
        counts.into_iter().map(share).collect()
    }

    fn failures_drawn(&self, scale: &Scale) -> String {
        let mut drawn = vec![' '; scale.columns()];
        for sample in self.failed() {
            drawn[scale.column(sample.at)] = '!';
        }
        drawn.into_iter().collect()
    }

    fn phases_drawn(&self, scale: &Scale) -> String {
        let mut drawn = vec![' '; scale.columns()];
        for (name, at) in self.marks() {
            let from = scale.column(*at);
            for (place, letter) in drawn[from..].iter_mut().zip(format!("|{name} ").chars()) {
                *place = letter;
            }
        }
        drawn.into_iter().collect()
    }

    /// Each failure on a line: when, in which phase, after how long, why, and from which replica.
    pub fn failures(&self) -> String {
        let failed = self.failed();
        let mut text = String::new();
        for sample in failed.iter().take(FAILURES_SHOWN) {
            text += &failure_line(sample);
        }
        match failed.len().saturating_sub(FAILURES_SHOWN) {
            0 => text,
            more => text + &format!("  … and {more} more\n"),
        }
    }
}

/// The numbers of one line of the table, and of one phase in the summary.
pub(crate) struct Figures {
    pub requests: usize,
    pub failed: usize,
    pub p50: Duration,
    pub p99: Duration,
    pub slowest: Duration,
}

impl Figures {
    pub fn of<'a>(samples: impl Iterator<Item = &'a Sample>) -> Self {
        let samples: Vec<_> = samples.cloned().collect();
        let part = Report::new(samples, Vec::new(), 0, End::Stopped);
        Self {
            requests: part.requests(),
            failed: part.failed().len(),
            p50: part.percentile(50.0),
            p99: part.percentile(99.0),
            slowest: part.percentile(100.0),
        }
    }
}

/// How time maps to columns.
struct Scale {
    slots: u32,
    slots_per_column: u32,
}

impl Scale {
    fn of(report: &Report) -> Option<Self> {
        let slots = slot_of(report.samples().last()?.at) + 1;
        Some(Self { slots, slots_per_column: slots.div_ceil(COLUMNS) })
    }

    fn columns(&self) -> usize {
        self.slots.div_ceil(self.slots_per_column) as usize
    }

    /// A mark may come after the last request; it is drawn at the end.
    fn column(&self, at: Duration) -> usize {
        let column = (slot_of(at) / self.slots_per_column) as usize;
        column.min(self.columns() - 1)
    }

    fn axis(&self) -> String {
        let column = SLOT * self.slots_per_column;
        let total = SLOT * self.slots;
        let text = format!("0 s to {:.1} s, {:.2} s per column", total.as_secs_f64(), column.as_secs_f64());
        line("time", &text)
    }
}

fn share((of_version, all): (usize, usize)) -> char {
    match of_version * 4 {
        0 => ' ',
        quarters if quarters >= all * 3 => '#',
        quarters if quarters >= all => '+',
        _ => '.',
    }
}

fn line(name: &str, drawn: &str) -> String {
    let name: String = name.chars().take(NAMES).collect();
    format!("{name:<NAMES$}  {}\n", drawn.trim_end())
}

fn row(name: &str, cells: &[&str]) -> String {
    let name: String = name.chars().take(NAMES).collect();
    let mut text = format!("{name:<NAMES$}");
    for cell in cells {
        let _ = write!(text, "{cell:>12}");
    }
    text + "\n"
}

fn failure_line(sample: &Sample) -> String {
    let replica = sample.replica().map(|name| format!(" (replica {name})"));
    format!(
        "  {:>8.3} s  {:<10} {:>9}  {}{}\n",
        sample.at.as_secs_f64(),
        sample.phase,
        millis(sample.latency),
        sample.verdict(),
        replica.unwrap_or_default(),
    )
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{answer, ms, report};
    use crate::sample::{FailureKind, Outcome};

    fn refused(at: u64) -> Sample {
        let outcome = Outcome::Failed {
            kind: FailureKind::Connect,
            text: "Connection refused".into(),
            replica: Some("abc".into()),
        };
        Sample { outcome, ..answer(at, 3, "") }
    }

    #[test]
    fn the_timeline_shows_shares_failures_and_phases() {
        let old = (0..4).map(|n| answer(n * 250, 1, "1"));
        let mixed = [answer(1000, 1, "1"), answer(1001, 1, "2"), refused(1002)];
        let new = [answer(1250, 1, "2"), answer(1500, 1, "2")];
        let report = report(old.chain(mixed).chain(new).collect());
        let wanted = "version 1       ####+\n\
                      version 2           +##\n\
                      failed              !\n\
                      phase           |sta|up\n\
                      time            0 s to 1.8 s, 0.25 s per column\n";
        assert_eq!(report.timeline(), wanted);
        let failure = "     1.002 s  update        3.0 ms  connect: Connection refused (replica abc)\n";
        assert_eq!(report.failures(), failure);
    }

    #[test]
    fn a_long_load_fits_into_80_columns() {
        let samples = (0..9000).map(|n| answer(n * 97, 1, "a-very-long-version-name"));
        let report = report(samples.collect());
        let widest = report.to_string().lines().map(|it| it.chars().count()).max();
        assert!(widest <= Some(80), "{report}");
    }

    #[test]
    fn many_failures_are_cut_short() {
        let report = report((0..100).map(refused).collect());
        assert_eq!(report.failures().lines().count(), FAILURES_SHOWN + 1);
        assert!(report.failures().ends_with("and 60 more\n"));
    }

    #[test]
    fn the_table_has_a_line_for_each_phase() {
        let table = report(vec![answer(0, 5, "1"), answer(1000, 7, "2")]).table();
        let slowest: Vec<_> = table.lines().skip(2).collect();
        assert!(slowest[0].starts_with("all ") && slowest[0].ends_with(" 7.0 ms"));
        assert!(slowest[1].starts_with("start ") && slowest[1].ends_with(" 5.0 ms"));
        assert!(slowest[2].starts_with("update ") && slowest[2].ends_with(" 7.0 ms"));
        assert_eq!(ms(5), Duration::from_millis(5));
    }
}
