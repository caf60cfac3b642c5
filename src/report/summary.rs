//! What a run did and how long each part took, gathered from its events and told once at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Look;
use super::text::{Line, Paint, clock, columns};
use super::timeline::Timeline;
use crate::event::{Event, Phase};

/// The parts of a run that take time, in the order they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Build,
    Pull,
    Start,
    Health,
    Settle,
    Drain,
    Stop,
    Undo,
}

impl Part {
    const ALL: [(Part, &str); 8] = [
        (Part::Build, "build"),
        (Part::Pull, "pull"),
        (Part::Start, "start"),
        (Part::Health, "health"),
        (Part::Settle, "settle"),
        (Part::Drain, "drain"),
        (Part::Stop, "stop"),
        (Part::Undo, "undo"),
    ];
}

/// Records events, draws at the end.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    timeline: Timeline,
    /// Parts under way, by the service or container ID that is in them.
    open: BTreeMap<(Part, String), Duration>,
    spans: Vec<(Part, Duration, Duration)>,
    total: Option<Duration>,
}

impl Summary {
    pub fn record(&mut self, at: Duration, event: &Event) {
        self.timeline.record(at, event);
        match event {
            Event::Building { .. } => self.open(Part::Build, "", at),
            Event::Pulling { .. } => self.open(Part::Pull, "", at),
            Event::Prepared { .. } => self.close_all("", at),
            Event::Batch { service, .. } => {
                self.close(Part::Settle, service, at);
                self.open(Part::Start, service, at);
            }
            Event::Container { service, container, phase, .. } => self.container(service, &container.id, phase, at),
            Event::Settling { service, .. } => self.open(Part::Settle, service, at),
            Event::Undo { service, .. } => {
                self.close_all(service, at);
                self.open(Part::Undo, service, at);
            }
            Event::ServiceEnd { service, .. } => self.close_all(service, at),
            Event::End { took, .. } => self.end(at, *took),
            _ => {}
        }
    }

    fn container(&mut self, service: &str, id: &str, phase: &Phase, at: Duration) {
        self.close(Part::Settle, service, at);
        match phase {
            Phase::Started => {
                self.close(Part::Start, service, at);
                self.open(Part::Health, id, at);
            }
            Phase::Ready | Phase::Failed { .. } => self.close(Part::Health, id, at),
            Phase::Draining { .. } => self.open(Part::Drain, id, at),
            Phase::Drained { .. } => self.close(Part::Drain, id, at),
            Phase::Stopping { .. } => {
                self.close_all(id, at);
                self.open(Part::Stop, id, at);
            }
            Phase::Stopped { .. } | Phase::Removed => self.close_all(id, at),
            Phase::Waiting { .. } | Phase::Restoring | Phase::Restored => {}
        }
    }

    fn open(&mut self, part: Part, key: &str, at: Duration) {
        self.open.entry((part, key.to_owned())).or_insert(at);
    }

    fn close(&mut self, part: Part, key: &str, at: Duration) {
        if let Some(since) = self.open.remove(&(part, key.to_owned())) {
            self.spans.push((part, since, at));
        }
    }

    fn close_all(&mut self, key: &str, at: Duration) {
        for (part, _) in Part::ALL {
            self.close(part, key, at);
        }
    }

    fn end(&mut self, at: Duration, took: Duration) {
        for ((part, _), since) in std::mem::take(&mut self.open) {
            self.spans.push((part, since, at));
        }
        self.total = Some(took);
    }

    /// The timeline and the totals; empty when the run touched no container.
    pub fn lines(&self, look: &Look) -> Vec<Line> {
        let mut lines = self.timeline.lines(look);
        if !lines.is_empty() {
            lines.extend(self.totals(look));
        }
        lines
    }

    /// `start 0.4s, health 1.6s, stop 0.3s, total 2.4s`; on a narrow terminal more than one line.
    fn totals(&self, look: &Look) -> Vec<Line> {
        let told = |&(part, name): &(Part, &str)| Some(format!("{name} {}", clock(self.took(part)?)));
        let mut words: Vec<String> = Part::ALL.iter().filter_map(told).collect();
        words.extend(self.total.map(|total| format!("total {}", clock(total))));
        wrap(&words, columns(look) - 1).into_iter().map(|line| Line::of(Paint::Plain, line)).collect()
    }

    /// Wall clock during which at least one service or container was in this part: services run side by side,
    /// and a sum would exceed the total.
    fn took(&self, part: Part) -> Option<Duration> {
        let mut spans: Vec<_> = self.spans.iter().filter(|s| s.0 == part).map(|s| (s.1, s.2)).collect();
        spans.sort();
        let (first, _) = spans.first()?;
        let union = spans.iter().fold((Duration::ZERO, *first), |(sum, reached), &(from, to)| {
            (sum + to.saturating_sub(from.max(reached)), reached.max(to))
        });
        Some(union.0)
    }
}

/// Joined with commas, no line longer than `columns`.
fn wrap(words: &[String], columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![];
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() + 3 <= columns => *line += &format!(", {word}"),
            Some(line) => {
                line.push(',');
                lines.push(word.clone());
            }
            None => lines.push(word.clone()),
        }
    }
    lines
}
