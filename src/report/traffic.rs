//! What the probe saw, as a row of the timeline and as a table. Pure.

use std::time::Duration;

use super::Look;
use super::text::{Line, Paint, clock};
use crate::event::{Event, ProbeBucket, ProbeStage, Stage};

/// Answers quicker than this look alike: what differs between them is noise.
const FLAT: Duration = Duration::from_millis(100);
const LEVELS: [char; 7] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇'];
/// Columns of a figure; of the words before it.
const FIGURE: usize = 8;
const LABEL: usize = 8;

#[derive(Clone, Debug, Default)]
pub struct Traffic {
    pub buckets: Vec<ProbeBucket>,
    pub stages: Vec<ProbeStage>,
}

impl Traffic {
    pub fn of(event: &Event) -> Option<Traffic> {
        match event {
            Event::ProbeEnd { stages, buckets, .. } => {
                Some(Traffic { buckets: buckets.clone(), stages: stages.clone() })
            }
            _ => None,
        }
    }

    /// The slowest answer, or what is drawn at full height when all are quick.
    pub fn scale(&self) -> Duration {
        self.buckets.iter().map(|bucket| bucket.slowest).max().unwrap_or_default().max(FLAT)
    }

    /// One column of the row that shows this span.
    pub fn column(&self, from: Duration, to: Duration, look: &Look) -> (Paint, char) {
        let within = |bucket: &&ProbeBucket| bucket.at < to && bucket.at + ProbeBucket::LENGTH > from;
        let seen: Vec<_> = self.buckets.iter().filter(within).collect();
        if seen.iter().any(|bucket| bucket.failures > 0) {
            return (Paint::Red, '!');
        }
        let Some(slowest) = seen.iter().map(|bucket| bucket.slowest).max() else {
            return (Paint::Dim, if look.unicode { '·' } else { '.' });
        };
        let share = slowest.as_secs_f64() / self.scale().as_secs_f64();
        let level = (share * LEVELS.len() as f64) as usize;
        (Paint::Cyan, if look.unicode { LEVELS[level.min(LEVELS.len() - 1)] } else { '_' })
    }

    /// What the row's characters mean.
    pub fn legend(&self, look: &Look) -> Line {
        let (low, high) = if look.unicode { ("▁", "▇") } else { ("_", "_") };
        let quick = Line::of(Paint::Cyan, format!("{low}{high}"))
            .and(Paint::Dim, format!(" up to {}", time(self.scale())));
        quick.and(Paint::Red, "  !").and(Paint::Dim, " failed request")
    }

    /// Requests, failures and times, a column for each stage and one for all.
    pub fn table(&self) -> Vec<Line> {
        if self.stages.is_empty() {
            return vec![];
        }
        let mut all = self.stages.clone();
        all.extend(self.all());
        let names = self.stages.iter().map(|stage| word(stage.stage)).chain(["all"]);
        let head = names.fold(format!("{:LABEL$}", "probe"), |line, name| line + &format!("{name:>FIGURE$}"));
        let row = |label: &str, figure: &dyn Fn(&ProbeStage) -> String| {
            all.iter().fold(format!("{label:LABEL$}"), |line, s| line + &format!("{:>FIGURE$}", figure(s)))
        };
        let rows = [
            (Paint::Plain, row("requests", &|s| s.requests.to_string())),
            (self.paint(), row("failed", &|s| s.failures.to_string())),
            (Paint::Plain, row("mean", &|s| time(s.mean))),
            (Paint::Plain, row("slowest", &|s| time(s.slowest))),
        ];
        let rows = rows.into_iter().map(|(paint, text)| Line::of(paint, text));
        [Line::of(Paint::Bold, head)].into_iter().chain(rows).collect()
    }

    fn paint(&self) -> Paint {
        if self.stages.iter().any(|stage| stage.failures > 0) { Paint::Red } else { Paint::Plain }
    }

    /// All stages together.
    pub fn all(&self) -> Option<ProbeStage> {
        let requests: u64 = self.stages.iter().map(|stage| stage.requests).sum();
        let sum: f64 = self.stages.iter().map(|s| s.mean.as_secs_f64() * s.requests as f64).sum();
        Some(ProbeStage {
            stage: Stage::After,
            requests,
            failures: self.stages.iter().map(|stage| stage.failures).sum(),
            mean: Duration::from_secs_f64(sum / requests.max(1) as f64),
            slowest: self.stages.iter().map(|stage| stage.slowest).max()?,
        })
    }
}

pub fn word(stage: Stage) -> &'static str {
    match stage {
        Stage::Before => "before",
        Stage::Start => "start",
        Stage::Health => "health",
        Stage::Settle => "settle",
        Stage::Drain => "drain",
        Stage::Stop => "stop",
        Stage::After => "after",
        Stage::Undo => "undo",
    }
}

/// Milliseconds below a second: that is where answers differ.
pub fn time(time: Duration) -> String {
    match time.as_millis() {
        0 => "<1ms".to_owned(),
        ms @ 1..1000 => format!("{ms}ms"),
        _ => clock(time),
    }
}
