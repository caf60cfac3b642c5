//! The state of a run as a terminal shows it: events in, lines out. No terminal and no clock in here.

use std::collections::VecDeque;
use std::time::Duration;

use super::quiet::last_words;
use super::row::{Mark, ServiceRow};
use super::summary::Summary;
use super::text::{Line, Paint, clean, clock};
use super::{Look, words};
use crate::event::{Event, Failure, PlannedService, Verdict};

/// Lines of a build that failed, shown at the end.
const BUILD_TAIL: usize = 30;

/// Everything that the live lines and the closing lines are made of.
pub struct Board {
    look: Look,
    images: Vec<Images>,
    unchanged: Vec<String>,
    services: Vec<ServiceRow>,
    summary: Summary,
    /// What the probe does, or the last failure that it saw.
    probe: Option<(Mark, String)>,
    interrupts: u8,
}

/// The build or pull.
struct Images {
    doing: &'static str,
    services: String,
    since: Duration,
    took: Option<Duration>,
    tail: VecDeque<String>,
}

impl Images {
    fn line(&self, mark: Mark, took: Duration, look: &Look) -> String {
        let line = mark.show(look).and(Paint::Bold, self.doing);
        line.and(Paint::Plain, format!("  {}", self.services)).fit(&clock(took), look)
    }

    /// While it runs with the last line of its output.
    fn lines(&self, now: Duration, look: &Look) -> Vec<String> {
        if let Some(took) = self.took {
            return vec![self.line(Mark::Good, took, look)];
        }
        let head = self.line(Mark::Busy(now), now.saturating_sub(self.since), look);
        let last = self.tail.back().map(|line| Line::of(Paint::Dim, format!("    {line}")).fit("", look));
        [head].into_iter().chain(last).collect()
    }

    /// A build that failed has said why in its output.
    fn closing(&self, exit_code: u8, end: Duration, look: &Look) -> Vec<String> {
        if let Some(took) = self.took {
            return vec![self.line(Mark::Good, took, look)];
        }
        let mark = if exit_code == 1 { Mark::Bad } else { Mark::Attention };
        let head = self.line(mark, end.saturating_sub(self.since), look);
        let tail = self.tail.iter().filter(|_| exit_code == 1).map(|line| format!("  {line}"));
        [head].into_iter().chain(tail).collect()
    }
}

impl Board {
    pub fn new(look: Look) -> Board {
        let summary = Summary::default();
        Board {
            look,
            images: vec![],
            unchanged: vec![],
            services: vec![],
            summary,
            probe: None,
            interrupts: 0,
        }
    }

    pub fn resize(&mut self, columns: usize, rows: usize) {
        self.look = Look { columns, rows, ..self.look };
    }

    /// Takes the event in. What it returns must outlive the live lines: it belongs above them, for good.
    pub fn apply(&mut self, at: Duration, event: &Event) -> Vec<String> {
        self.summary.record(at, event);
        match event {
            Event::Building { services } => self.prepare("build", services, at),
            Event::Pulling { services } => self.prepare("pull", services, at),
            Event::Output { line } => self.output(line),
            Event::Prepared { .. } => self.prepared(at),
            Event::Planned { services, .. } => self.planned(services),
            Event::Warning { service, message } => {
                return self.warning(service.as_deref(), message);
            }
            Event::Hook { service, container, hook, error: Some(error) } => {
                return self.warning(Some(service), &words::hook(hook, container.as_ref(), Some(error)));
            }
            Event::ProbeBegin { url, rate, max_failures } => {
                self.probe = Some((Mark::Good, words::probe(url, *rate, *max_failures)));
            }
            Event::ProbeFailure { error, failures } => {
                self.probe = Some((Mark::Bad, words::probe_failure(error, *failures)));
            }
            Event::ProbeEnd { .. } => self.probe = None,
            Event::Interrupt { count } => self.interrupts = *count,
            Event::Refused { service, failure, .. } => {
                self.row(service, at).apply(at, event);
                return self.refusal(service, failure);
            }
            Event::ServiceBegin { service, .. }
            | Event::Batch { service, .. }
            | Event::Container { service, .. }
            | Event::Settling { service, .. }
            | Event::Observing { service, .. }
            | Event::HookBegin { service, .. }
            | Event::Hook { service, .. }
            | Event::ServiceEnd { service, .. } => self.row(service, at).apply(at, event),
            Event::End { .. } => {}
        }
        vec![]
    }

    fn prepare(&mut self, doing: &'static str, services: &[String], at: Duration) {
        self.prepared(at);
        let services = words::join(services.iter().map(String::as_str));
        self.images.push(Images { doing, services, since: at, took: None, tail: VecDeque::new() });
    }

    fn prepared(&mut self, at: Duration) {
        if let Some(images) = self.images.last_mut() {
            images.took.get_or_insert(at.saturating_sub(images.since));
        }
    }

    fn output(&mut self, line: &str) {
        let line = clean(line);
        if let Some(images) = self.images.last_mut().filter(|_| !line.is_empty()) {
            images.tail.push_back(line);
            let excess = images.tail.len().saturating_sub(BUILD_TAIL);
            images.tail.drain(..excess);
        }
    }

    fn planned(&mut self, services: &[PlannedService]) {
        for planned in services {
            match planned.verdict {
                Verdict::Unchanged => self.unchanged.push(planned.service.clone()),
                _ => self.services.push(ServiceRow::planned(planned)),
            }
        }
    }

    fn row(&mut self, service: &str, at: Duration) -> &mut ServiceRow {
        let index = self.services.iter().position(|row| row.name == service).unwrap_or_else(|| {
            self.services.push(ServiceRow::new(service, at));
            self.services.len() - 1
        });
        &mut self.services[index]
    }

    /// Wrapped by the terminal where it must be: what went wrong is never cut.
    fn warning(&self, service: Option<&str>, message: &str) -> Vec<String> {
        let service = service.map(|s| format!("{s}: ")).unwrap_or_default();
        let line = Mark::Attention.show(&self.look).and(Paint::Yellow, "warning: ");
        vec![line.and(Paint::Plain, service + &clean(message)).show(&self.look)]
    }

    fn refusal(&self, service: &str, failure: &Failure) -> Vec<String> {
        let head = Mark::Bad.show(&self.look).and(Paint::Bold, format!("{service}  "));
        let head = head.and(Paint::Red, words::failure(failure)).show(&self.look);
        let details = words::details(failure).into_iter().map(|line| format!("  {line}"));
        [head].into_iter().chain(details).collect()
    }

    /// What is going on at `now`, no line wider than the terminal and no more lines than it has.
    pub fn lines(&self, now: Duration) -> Vec<String> {
        let mut lines = self.image_lines(now);
        lines.extend(self.unchanged_line());
        let (ended, active): (Vec<&ServiceRow>, Vec<_>) = self.services.iter().partition(|row| row.ended());
        let room = self.room().saturating_sub(lines.len() + active.len());
        lines.extend(self.ended_lines(&ended, room));
        lines.extend(self.active_lines(&active, self.room().saturating_sub(lines.len()), now));
        self.shorten(&mut lines);
        if let Some((mark, text)) = &self.probe {
            lines.push(mark.show(&self.look).and(Paint::Plain, text).fit("", &self.look));
        }
        if self.interrupts > 0 {
            let line = Mark::Attention.show(&self.look);
            lines.push(line.and(Paint::Yellow, words::interrupt(self.interrupts)).fit("", &self.look));
        }
        lines
    }

    /// Every service; below it its containers, as long as there is room.
    fn active_lines(&self, active: &[&ServiceRow], room: usize, now: Duration) -> Vec<String> {
        let mut spare = room.saturating_sub(active.len());
        let mut lines = vec![];
        for row in active {
            lines.push(self.service_line(row, Some(now)));
            let containers = row.container_lines(now, &self.look);
            if containers.len() <= spare {
                spare -= containers.len();
                lines.extend(containers);
            }
        }
        lines
    }

    /// Lines for the live view: one is left for the interruption, one for what a shell may print.
    fn room(&self) -> usize {
        if self.look.rows == 0 { 22 } else { self.look.rows.saturating_sub(2).max(3) }
    }

    /// What is done gives way to what is going on.
    fn ended_lines(&self, ended: &[&ServiceRow], room: usize) -> Vec<String> {
        if ended.len() <= room.max(1) {
            return ended.iter().map(|row| self.service_line(row, Some(Duration::ZERO))).collect();
        }
        let mark = if ended.iter().all(|row| row.ended_well()) { Mark::Good } else { Mark::Bad };
        let line = mark.show(&self.look).and(Paint::Dim, words::count(ended.len(), "service") + " ended");
        vec![line.fit("", &self.look)]
    }

    fn shorten(&self, lines: &mut Vec<String>) {
        let room = self.room();
        if lines.len() > room {
            let more = words::count(lines.len() - room + 1, "more line");
            lines.truncate(room - 1);
            lines.push(Line::of(Paint::Dim, format!("  and {more}")).fit("", &self.look));
        }
    }

    fn image_lines(&self, now: Duration) -> Vec<String> {
        self.images.iter().flat_map(|images| images.lines(now, &self.look)).collect()
    }

    fn unchanged_line(&self) -> Option<String> {
        let names = words::join(self.unchanged.iter().map(String::as_str));
        let line = Mark::Good.show(&self.look).and(Paint::Dim, format!("unchanged: {names}"));
        (!names.is_empty()).then(|| line.fit("", &self.look))
    }

    fn service_line(&self, row: &ServiceRow, now: Option<Duration>) -> String {
        let column = self.services.iter().map(ServiceRow::name_width).max().unwrap_or(0);
        row.line(now, column, &self.look)
    }

    /// What stays on the screen: each service's outcome, the summary, the message.
    pub fn closing(&self, end: &Event) -> Vec<String> {
        let Event::End { exit_code, message, hint, took } = end else {
            return vec![];
        };
        let images = self.images.iter().flat_map(|images| images.closing(*exit_code, *took, &self.look));
        let mut outcomes: Vec<String> = images.collect();
        outcomes.extend(self.unchanged_line());
        outcomes.extend(self.services.iter().map(|row| self.service_line(row, None)));
        let summary = self.summary.lines(&self.look).into_iter().map(|line| line.fit("", &self.look));
        let blocks = [outcomes, summary.collect(), self.last_words(*exit_code, message, hint.as_deref())];
        let blocks: Vec<_> = blocks.into_iter().filter(|block| !block.is_empty()).collect();
        blocks.join(&String::new())
    }

    fn last_words(&self, exit_code: u8, message: &str, hint: Option<&str>) -> Vec<String> {
        let paint = if exit_code == 0 { Paint::Bold } else { Paint::Red };
        let text = last_words(message, None);
        let message = text.lines().map(|line| Line::of(paint, line).show(&self.look));
        let hint = hint.map(|hint| last_words("", Some(hint)).trim().to_owned());
        message.chain(hint).collect()
    }
}

#[cfg(test)]
mod tests;
