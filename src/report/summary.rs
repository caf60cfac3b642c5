//! What a run did and how long each part took, gathered from its events and told once at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Look;
use super::text::{Line, Paint, clock, columns};
use super::timeline::Timeline;
use super::traffic::Traffic;
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
    traffic: Option<Traffic>,
    /// What was not as it should be when a container had drained, in the order it was told.
    drains: Vec<String>,
}

impl Summary {
    pub fn record(&mut self, at: Duration, event: &Event) {
        self.timeline.record(at, event);
        match event {
            Event::Building { .. } => self.images(Part::Build, at),
            Event::Pulling { .. } => self.images(Part::Pull, at),
            Event::Prepared { .. } => self.close_all("", at),
            Event::Batch { service, .. } => {
                self.close(Part::Settle, service, at);
                self.open(Part::Start, service, at);
            }
            Event::Container { service, container, phase, .. } => {
                self.container(service, &container.id, phase, at);
                if let Phase::Drained { note: Some(note) } = phase {
                    self.drains.push(format!("drain of {}: {note}", container.name));
                }
            }
            Event::Settling { service, .. } => self.open(Part::Settle, service, at),
            Event::Refused { service, undo: true, .. } => {
                self.close_all(service, at);
                self.open(Part::Undo, service, at);
            }
            Event::ServiceEnd { service, .. } => self.close_all(service, at),
            Event::ProbeEnd { .. } => self.traffic = Traffic::of(event),
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
            Phase::Ready | Phase::Finished | Phase::Failed { .. } => self.close(Part::Health, id, at),
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

    /// The build ends the pull before it, and the other way round.
    fn images(&mut self, part: Part, at: Duration) {
        self.close_all("", at);
        self.open(part, "", at);
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
            lines.extend(self.drains.iter().map(|text| Line::of(Paint::Plain, text.clone())));
            lines.extend(self.traffic.iter().flat_map(Traffic::table));
        }
        lines
    }

    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// What took how long.
    pub fn parts(&self) -> Vec<(&'static str, Duration)> {
        Part::ALL.iter().filter_map(|(part, name)| Some((*name, self.took(*part)?))).collect()
    }

    /// `start 0.4s, health 1.6s, stop 0.3s, total 2.4s`; on a narrow terminal more than one line.
    fn totals(&self, look: &Look) -> Vec<Line> {
        let parts = self.parts().into_iter();
        let mut words: Vec<String> = parts.map(|(name, time)| format!("{name} {}", clock(time))).collect();
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

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, Run, begin, done, end, look, ms, new, old, stopping};
    use super::*;
    use crate::event::{Failure, Outcome};

    fn drawn(run: &Run, look: &Look) -> String {
        let mut summary = Summary::default();
        run.iter().for_each(|(at, event)| summary.record(ms(*at), event));
        summary.lines(look).iter().map(|line| line.show(look) + "\n").collect()
    }

    #[test]
    fn wide_narrow_and_ascii() {
        let ascii = Look { unicode: false, ..look(60) };
        assert_eq!(drawn(&fixture::happy(), &look(100)), WIDE);
        assert_eq!(drawn(&fixture::happy(), &look(500)), WIDE);
        assert_eq!(drawn(&fixture::happy(), &ascii), ASCII);
        assert_eq!(drawn(&fixture::failed(), &Look { unicode: false, ..look(60) }), FAILED);
    }

    #[test]
    fn no_line_reaches_the_last_column() {
        for columns in [60, 77, 100] {
            for run in [fixture::happy(), fixture::failed(), fixture::interleaved()] {
                let text = drawn(&run, &look(columns));
                assert!(text.lines().all(|line| line.chars().count() < columns), "{columns}\n{text}");
            }
        }
    }

    #[test]
    fn nothing_touched_draws_nothing() {
        let run = vec![(0, begin("app", 2, 1)), (100, done("app", Outcome::Unchanged, &["app-1"], 100))];
        assert_eq!(drawn(&run, &look(60)), "");
    }

    #[test]
    fn a_short_stop_in_a_long_run_is_seen() {
        let run = vec![
            (0, old("app-1", stopping())),
            (200, old("app-1", Phase::Stopped { exit_code: 0 })),
            (400, new("app-2", Phase::Started)),
            (900_000, new("app-2", Phase::Ready)),
            (900_000, end(0, "Done.", None, 900_000)),
        ];
        assert!(drawn(&run, &look(60)).contains("app-1  ▓··"));
    }

    #[test]
    fn a_drain_that_was_broken_off_ends_when_the_new_version_is_refused() {
        let failure =
            Failure { reason: "too much".to_owned(), container: None, health_output: None, log_tail: vec![] };
        let run = vec![
            (0, old("app-1", Phase::Draining { how: "HAProxy".to_owned() })),
            (500, Event::Refused { service: "app".to_owned(), failure, undo: true }),
            (1_000, done("app", Outcome::RolledBack, &["app-1"], 1_000)),
        ];
        let bar = format!("  app-1  {}{}\n", "▒".repeat(25), "█".repeat(25));
        assert!(drawn(&run, &look(60)).contains(&bar), "{}", drawn(&run, &look(60)));
    }

    #[test]
    fn a_drain_that_ended_by_its_deadline_is_said() {
        let drained = Phase::Drained { note: Some("deadline passed".to_owned()) };
        let run = vec![
            (0, new("app-2", Phase::Started)),
            (100, old("app-1", Phase::Draining { how: "HAProxy".to_owned() })),
            (900, old("app-1", drained)),
            (1_000, end(0, "Done.", None, 1_000)),
        ];
        assert!(drawn(&run, &look(60)).ends_with("\ndrain of app-1: deadline passed\n"));
    }

    #[test]
    fn a_leftover_that_is_only_removed_has_no_bar() {
        let run = vec![
            (0, old("app-1", Phase::Removed)),
            (100, new("app-2", Phase::Started)),
            (900, new("app-2", Phase::Ready)),
            (1_000, end(0, "Done.", None, 1_000)),
        ];
        assert!(!drawn(&run, &look(60)).contains("app-1"));
    }

    #[test]
    fn a_fleet_is_cut_short() {
        let names: Vec<String> = (1..=50).map(|n| format!("app-{n}")).collect();
        let mut run: Run = names.iter().map(|name| (100, new(name, Phase::Started))).collect();
        run.push((1_000, end(0, "Done.", None, 1_000)));
        let text = drawn(&run, &look(60));
        assert!(text.contains("  app-12 ") && !text.contains("  app-13 "));
        assert!(text.contains("\n  and 38 more containers\n"));
    }

    const WIDE: &str = r"app      3.2s                                                                                  9.0s
  app-1  ██████████████████████████████████████████████▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▓▓▓▓▓▓▓····
  app-2  ██████████████████████████████████████████████▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▓▓▓▓▓▓·······
  app-3  ······░░░░░░░░░░░░░░░░░░░░░███████████████████████████████████████████████████████████████
  app-4  ······░░░░░░░░░░░░░░░░░░░░░░░░░░██████████████████████████████████████████████████████████
         ░ starting  █ serving  ▒ draining  ▓ stopping
build 3.1s, start 0.4s, health 1.6s, settle 1.0s, drain 2.1s, stop 0.5s, total 9.0s
drain of app-1: deadline passed
";

    const ASCII: &str = r"app      3.2s                                          9.0s
  app-1  #########################ddddddddddddddddddxxxxx..
  app-2  #########################ddddddddddddddddddxxx....
  app-3  ...ssssssssssss###################################
  app-4  ...sssssssssssssss################################
         s starting  # serving  d draining  x stopping
build 3.1s, start 0.4s, health 1.6s, settle 1.0s,
drain 2.1s, stop 0.5s, total 9.0s
drain of app-1: deadline passed
";

    const FAILED: &str = r"app      0.0s                                          7.7s
  app-1  ############xxx.........................sssssss###
  app-2  ##################################################
  app-3  ..sssssssssss#################################xxx.
  app-4  ..................sssssssssssssssssss!!xx.........
         s starting  # serving  x stopping  ! failed
start 0.8s, health 4.5s, stop 0.9s, undo 1.8s, total 7.7s
";
}
