//! The live lines of one service and of its containers.

use std::time::Duration;

use super::text::{self, Line, Paint, clean, clean_lines, clock, cut_front, pad};
use super::{Look, words};
use crate::event::{ContainerRef, Event, Generation, Outcome, Phase, PlannedService, Verdict};

/// Longer names are cut at their front.
const WIDEST_NAME: usize = 30;

/// Symbols in front of lines.
#[derive(Clone, Copy)]
pub(super) enum Mark {
    /// Under way: turns with the time.
    Busy(Duration),
    Good,
    Bad,
    Attention,
    Idle,
}

impl Mark {
    pub(super) fn show(self, look: &Look) -> Line {
        let (unicode, ascii, paint) = match self {
            Mark::Busy(now) => (spin("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", now), spin("-\\|/", now), Paint::Cyan),
            Mark::Good => ('✔', '+', Paint::Green),
            Mark::Bad => ('✘', 'x', Paint::Red),
            Mark::Attention => ('!', '!', Paint::Yellow),
            Mark::Idle => ('-', '-', Paint::Dim),
        };
        Line::of(paint, if look.unicode { unicode } else { ascii }).and(Paint::Plain, " ")
    }
}

fn spin(frames: &str, now: Duration) -> char {
    let frame = (now.as_millis() / 100) as usize % frames.chars().count();
    frames.chars().nth(frame).unwrap_or('-')
}

/// One service: a line of its own and one for each container under way.
pub struct ServiceRow {
    pub name: String,
    /// `roll`.
    verdict: &'static str,
    /// Why, as the plan says it.
    reason: String,
    /// `, batch 2 of 3`.
    batch: String,
    /// The phase it is in; empty before it begins.
    doing: String,
    undoing: bool,
    since: Duration,
    end: Option<End>,
    containers: Vec<ContainerRow>,
}

struct End {
    outcome: Outcome,
    serving: String,
    took: Duration,
}

impl ServiceRow {
    pub fn new(service: &str, since: Duration) -> ServiceRow {
        ServiceRow {
            name: service.to_owned(),
            verdict: "",
            reason: String::new(),
            batch: String::new(),
            doing: String::new(),
            undoing: false,
            since,
            end: None,
            containers: vec![],
        }
    }

    pub fn planned(planned: &PlannedService) -> ServiceRow {
        let (verdict, reason) = (planned.verdict.word(), clean(&planned.reason));
        ServiceRow { verdict, reason, ..ServiceRow::new(&planned.service, Duration::ZERO) }
    }

    pub fn ended(&self) -> bool {
        self.end.is_some()
    }

    pub fn ended_well(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.outcome.is_good())
    }

    /// None once it has ended: then its line names those that serve.
    pub fn container_lines(&self, now: Duration, look: &Look) -> Vec<String> {
        let rows = self.containers.iter().filter(|_| !self.ended());
        let column = rows.clone().map(ContainerRow::name_width).max().unwrap_or(0);
        rows.map(|row| row.line(now, column, look)).collect()
    }

    pub fn name_width(&self) -> usize {
        text::width(&self.name).min(WIDEST_NAME)
    }

    pub fn apply(&mut self, at: Duration, event: &Event) {
        match event {
            Event::ServiceBegin { verdict, .. } => self.begin(at, *verdict),
            Event::Batch { number, of, .. } => self.batch(*number, *of),
            Event::Container { container, generation, phase, .. } => {
                self.container(at, container, *generation, phase)
            }
            Event::Settling { time, .. } => self.doing = words::settling(*time),
            Event::Observing { time, .. } => self.doing = words::observing(*time),
            Event::Hook { container, hook, error, .. } => {
                self.doing = words::hook(hook, container.as_ref(), error.as_deref());
            }
            Event::Refused { undo, .. } => self.undoing = *undo,
            Event::HookBegin { container, hook, .. } => {
                self.doing = words::hook_begins(hook, container.as_ref());
            }
            Event::ServiceEnd { outcome, serving, took, .. } => {
                self.end =
                    Some(End { outcome: *outcome, serving: words::serving(serving.as_deref()), took: *took });
            }
            _ => {}
        }
    }

    fn begin(&mut self, at: Duration, verdict: Verdict) {
        self.verdict = verdict.word();
        self.since = at;
        self.doing = "beginning".to_owned();
    }

    fn batch(&mut self, number: u32, of: u32) {
        self.batch = if of > 1 { format!(", batch {number} of {of}") } else { String::new() };
        self.doing = "starting".to_owned();
    }

    fn container(&mut self, at: Duration, container: &ContainerRef, generation: Generation, phase: &Phase) {
        self.doing = doing(phase).unwrap_or(&self.doing).to_owned();
        match self.containers.iter_mut().find(|row| row.container.id == container.id) {
            Some(row) => row.apply(at, phase),
            None => self.containers.push(ContainerRow::new(at, container, generation, phase)),
        }
        self.containers.sort_by(|a, b| a.rank().cmp(&b.rank()));
    }

    /// `now` is none for the line that stays when the run is over.
    pub fn line(&self, now: Option<Duration>, column: usize, look: &Look) -> String {
        let (mark, paint, text, time) = match &self.end {
            Some(end) => end.show(),
            None => self.under_way(now),
        };
        let name = pad(&cut_front(&self.name, WIDEST_NAME, look), column + 2);
        let line = mark.show(look).and(Paint::Bold, name).and(paint, text);
        line.fit(&time.map(clock).unwrap_or_default(), look)
    }

    fn under_way(&self, now: Option<Duration>) -> (Mark, Paint, String, Option<Duration>) {
        let doing = if self.undoing { "undoing" } else { &self.doing };
        let text = format!("{}{}: {doing}", self.verdict, self.batch);
        match now {
            _ if doing.is_empty() => self.not_begun(now.is_some()),
            Some(now) => (Mark::Busy(now), Paint::Plain, text, Some(now.saturating_sub(self.since))),
            None => (Mark::Attention, Paint::Yellow, format!("{text}, left there"), None),
        }
    }

    fn not_begun(&self, may_begin: bool) -> (Mark, Paint, String, Option<Duration>) {
        let text = format!("{}: {}", self.verdict, self.reason);
        match may_begin {
            _ if self.verdict == Verdict::Blocked.word() => (Mark::Attention, Paint::Yellow, text, None),
            true => (Mark::Idle, Paint::Dim, text, None),
            false => (Mark::Idle, Paint::Dim, format!("{}: not begun", self.verdict), None),
        }
    }
}

impl End {
    fn show(&self) -> (Mark, Paint, String, Option<Duration>) {
        let text = format!("{}, {}", words::outcome(self.outcome), self.serving);
        match self.outcome {
            Outcome::Done => (Mark::Good, Paint::Plain, text, Some(self.took)),
            Outcome::Unchanged => (Mark::Good, Paint::Dim, words::outcome(self.outcome).to_owned(), None),
            Outcome::RolledBack | Outcome::UndoFailed => (Mark::Bad, Paint::Red, text, Some(self.took)),
            Outcome::Paused | Outcome::Partial | Outcome::Interrupted => {
                (Mark::Attention, Paint::Yellow, text, Some(self.took))
            }
            Outcome::Skipped => (Mark::Idle, Paint::Dim, words::outcome(self.outcome).to_owned(), None),
        }
    }
}

/// The phase of the service, as its containers tell; none keeps the last one.
fn doing(phase: &Phase) -> Option<&'static str> {
    match phase {
        Phase::Started => Some("starting"),
        Phase::Waiting { health, .. } => Some(words::gating(health)),
        Phase::Draining { .. } => Some("draining"),
        Phase::Stopping { .. } => Some("stopping"),
        Phase::Removed => Some("cleaning up"),
        _ => None,
    }
}

/// One container.
struct ContainerRow {
    container: ContainerRef,
    generation: Generation,
    phase: Phase,
    /// Docker's last word on its health.
    health: String,
    /// Start of what it is doing.
    since: Duration,
    /// The last news of it.
    told: Duration,
    /// How long that took, when it is over.
    took: Option<Duration>,
}

impl ContainerRow {
    fn new(at: Duration, container: &ContainerRef, generation: Generation, phase: &Phase) -> ContainerRow {
        let container = container.clone();
        let health = String::new();
        let mut row = ContainerRow {
            container,
            generation,
            phase: Phase::Started,
            health,
            since: at,
            told: at,
            took: None,
        };
        row.apply(at, phase);
        row
    }

    fn apply(&mut self, at: Duration, phase: &Phase) {
        match phase {
            // One wait for the eye: it began with the start.
            Phase::Waiting { health, .. } => self.health = health.clone(),
            Phase::Ready
            | Phase::Finished
            | Phase::Failed { .. }
            | Phase::Restored
            | Phase::Stopped { .. } => {
                self.took = Some(at.saturating_sub(self.since));
            }
            Phase::Removed => {}
            _ => (self.since, self.took) = (at, None),
        }
        (self.told, self.phase) = (at, phase.clone());
    }

    /// Old ones first, then as people count: app-9 before app-10.
    fn rank(&self) -> (bool, usize, &str) {
        (self.generation == Generation::New, self.container.name.len(), &self.container.name)
    }

    fn name_width(&self) -> usize {
        text::width(&self.container.name).min(WIDEST_NAME)
    }

    fn line(&self, now: Duration, column: usize, look: &Look) -> String {
        let name = pad(&cut_front(&self.container.name, WIDEST_NAME, look), column + 2);
        let time = self.took.unwrap_or(now.saturating_sub(self.since));
        let line = self.mark(now).show(look).indented(2).and(Paint::Plain, name);
        let line = line.and(self.paint(), self.text(now)).and(Paint::Dim, self.output());
        line.fit(&clock(time), look)
    }

    fn mark(&self, now: Duration) -> Mark {
        match self.phase {
            Phase::Ready | Phase::Finished | Phase::Restored => Mark::Good,
            Phase::Failed { .. } => Mark::Bad,
            Phase::Stopped { .. } | Phase::Removed => Mark::Idle,
            _ => Mark::Busy(now),
        }
    }

    fn paint(&self) -> Paint {
        match self.phase {
            Phase::Failed { .. } => Paint::Red,
            Phase::Stopped { .. } | Phase::Removed => Paint::Dim,
            _ => Paint::Plain,
        }
    }

    fn text(&self, now: Duration) -> String {
        match &self.phase {
            Phase::Started => "starting".to_owned(),
            Phase::Waiting { health, deadline, .. } => {
                words::countdown(health, (self.told + *deadline).saturating_sub(now))
            }
            phase => words::phase(phase, &self.health),
        }
    }

    /// The last line of the last probe.
    fn output(&self) -> String {
        match &self.phase {
            Phase::Waiting { output: Some(output), .. } => {
                clean_lines(output).pop().map(|line| format!("  {line}")).unwrap_or_default()
            }
            _ => String::new(),
        }
    }
}
