//! What a terminal shows of a run at a time: rows, and the lines that stay. Pure.

use std::time::Duration;

use console::{Alignment, measure_text_width, pad_str};

use super::{Look, summary, words};
use crate::event::{Event, Outcome, Phase, Verdict};
use crate::story::{Container, Images, Service, Story};
use crate::text::{clean, clean_lines, count, cut_front, join};

/// Longer names are cut at their front.
const WIDEST_NAME: usize = 30;
/// Of a terminal whose height is unknown.
const ROWS: usize = 24;

/// One line: a mark, a text, and a stop watch at the right edge.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub indent: usize,
    pub mark: Mark,
    /// With its colors.
    pub text: String,
    pub time: Time,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mark {
    Busy,
    Good,
    Bad,
    Attention,
    Idle,
    /// It goes with the row above.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Time {
    None,
    Since(Duration),
    Took(Duration),
}

impl Mark {
    /// Painted; one that is busy turns, all others stand still.
    pub fn frames(self, look: &Look) -> Vec<String> {
        let (unicode, ascii, style) = match self {
            Mark::Busy => ("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "-\\|/", "cyan"),
            Mark::Good => ("✔", "+", "green"),
            Mark::Bad => ("✘", "x", "red"),
            Mark::Attention => ("!", "!", "yellow"),
            Mark::Idle => ("-", "-", "dim"),
            Mark::None => (" ", " ", ""),
        };
        let frames = if look.unicode { unicode } else { ascii }.chars();
        frames.map(|frame| look.paint(style, &frame.to_string())).collect()
    }
}

impl Row {
    fn new(mark: Mark, text: String, time: Time) -> Row {
        Row { indent: 0, mark, text, time }
    }

    fn indented(self) -> Row {
        Row { indent: 2, ..self }
    }

    /// Behind the mark; `elapsed` is the time since it has begun.
    pub fn rest(&self, elapsed: Duration, look: &Look) -> String {
        let time = match self.time {
            Time::None => String::new(),
            Time::Since(_) => words::stopwatch(elapsed),
            Time::Took(took) => words::stopwatch(took),
        };
        look.fit(self.indent + 2, &self.text, &time)
    }

    /// As a line that stays.
    fn line(&self, look: &Look) -> String {
        let (mark, rest) = (&self.mark.frames(look)[0], self.rest(Duration::ZERO, look));
        format!("{:indent$}{mark} {rest}", "", indent = self.indent)
    }
}

/// What is going on, no more rows than the terminal has: what is done goes first.
pub fn rows(story: &Story, look: &Look) -> Vec<Row> {
    let last = last_rows(story, look);
    // The cursor waits below them, and a shell may print a line.
    let room = if look.rows == 0 { ROWS } else { look.rows };
    let room = room.saturating_sub(2 + last.len()).max(1);
    let mut rows: Vec<Row> = story.images.iter().flat_map(|images| image_rows(images, story, look)).collect();
    rows.extend(loading_row(story));
    rows.extend(unchanged_row(story, look));
    let (ended, active): (Vec<&Service>, Vec<_>) =
        story.unchanged_and_others().1.into_iter().partition(|service| service.end.is_some());
    rows.extend(ended_rows(&ended, story, room.saturating_sub(rows.len() + active.len()), look));
    let mut spare = room.saturating_sub(rows.len() + active.len());
    for service in active {
        rows.push(service_row(service, story, look));
        let containers = container_rows(service, look);
        if containers.len() <= spare {
            spare -= containers.len();
            rows.extend(containers);
        }
    }
    if rows.len() > room {
        let more = format!("and {}", count(rows.len() - room + 1, "more line"));
        rows.truncate(room - 1);
        rows.push(Row::new(Mark::Idle, look.paint("dim", &more), Time::None));
    }
    rows.into_iter().chain(last).collect()
}

fn image_rows(images: &Images, story: &Story, look: &Look) -> Vec<Row> {
    let (mark, time) = match (images.took, &story.end) {
        (Some(took), _) => (Mark::Good, Time::Took(took)),
        (None, None) => (Mark::Busy, Time::Since(images.since)),
        (None, Some(end)) => {
            let mark = if end.exit_code == 1 { Mark::Bad } else { Mark::Attention };
            (mark, Time::Took(story.now.saturating_sub(images.since)))
        }
    };
    let text = format!("{}  {}", look.paint("bold", images.part), join(&images.services));
    let output = images.tail.back().filter(|_| mark == Mark::Busy);
    let output = output.map(|line| Row::new(Mark::None, look.paint("dim", line), Time::None).indented());
    std::iter::once(Row::new(mark, text, time)).chain(output).collect()
}

/// A build or a pull that goes on has a row of its own.
fn loading_row(story: &Story) -> Option<Row> {
    let since = story.loading.filter(|_| story.images.last().is_none_or(|images| images.took.is_some()))?;
    let text = words::loading(!story.images.is_empty()).to_owned();
    Some(Row::new(Mark::Busy, text, Time::Since(since)))
}

fn unchanged_row(story: &Story, look: &Look) -> Option<Row> {
    let unchanged = story.unchanged_and_others().0;
    let text = look.paint("dim", &format!("unchanged: {}", words::services(&unchanged)));
    (!unchanged.is_empty()).then(|| Row::new(Mark::Good, text, Time::None))
}

fn ended_rows(ended: &[&Service], story: &Story, room: usize, look: &Look) -> Vec<Row> {
    if ended.len() <= room.max(1) {
        return ended.iter().map(|service| service_row(service, story, look)).collect();
    }
    let well = ended.iter().filter_map(|service| service.end.as_ref()).all(|end| end.outcome.is_good());
    let text = look.paint("dim", &format!("{} ended", count(ended.len(), "service")));
    vec![Row::new(if well { Mark::Good } else { Mark::Bad }, text, Time::None)]
}

/// The probe until it has ended, then the interrupt.
fn last_rows(story: &Story, look: &Look) -> Vec<Row> {
    let probe = story.probe.as_ref().filter(|_| story.traffic.is_none()).map(|probe| {
        let failure =
            story.probe_failure.as_ref().map(|(error, failures)| words::probe_failure(error, *failures));
        let mark = if failure.is_some() { Mark::Bad } else { Mark::Good };
        Row::new(mark, failure.unwrap_or_else(|| words::probe(probe)), Time::None)
    });
    let interrupt = (story.interrupts > 0).then(|| look.paint("yellow", words::interrupt(story.interrupts)));
    probe.into_iter().chain(interrupt.map(|text| Row::new(Mark::Attention, text, Time::None))).collect()
}

/// In a column that is as wide as the widest of `all`.
fn padded<'a>(name: &str, all: impl Iterator<Item = &'a String>, look: &Look) -> String {
    let widest = all.map(|name| measure_text_width(name)).max().unwrap_or(0).min(WIDEST_NAME);
    pad_str(&cut_front(name, WIDEST_NAME, look.dots()), widest + 2, Alignment::Left, None).into_owned()
}

fn service_row(service: &Service, story: &Story, look: &Look) -> Row {
    let (verdict, is_over) = (service.verdict.map_or("", Verdict::word), story.end.is_some());
    let change = service.plan.as_ref().map(|plan| clean(&plan.change())).unwrap_or_default();
    let reason = service.plan.as_ref().map(|plan| clean(&plan.reason) + &change).unwrap_or_default();
    let (mark, style, text, time) = match (&service.end, service.begun()) {
        (Some(end), _) => {
            let (mark, style) = of_outcome(end.outcome);
            (mark, style, words::ended(service, end, false), Time::Took(end.took))
        }
        (None, Some(_)) if is_over => {
            (Mark::Attention, "yellow", format!("{verdict}: {}, left there", doing(service)), Time::None)
        }
        (None, Some(begun)) => {
            let batch = service.batch.filter(|(_, of)| *of > 1);
            let batch = batch.map(|(number, of)| format!(", batch {number} of {of}")).unwrap_or_default();
            (Mark::Busy, "", format!("{verdict}{change}{batch}: {}", doing(service)), Time::Since(begun))
        }
        (None, None) if service.verdict == Some(Verdict::Blocked) => {
            (Mark::Attention, "yellow", format!("{verdict}: {reason}"), Time::None)
        }
        (None, None) if is_over => (Mark::Idle, "dim", format!("{verdict}: not started"), Time::None),
        (None, None) => (Mark::Idle, "dim", format!("{verdict}: {reason}"), Time::None),
    };
    let names = story.unchanged_and_others().1.into_iter().map(|service| &service.name);
    let name = look.paint("bold", &padded(&service.name, names, look));
    Row::new(mark, name + &look.paint(style, &text), time)
}

fn of_outcome(outcome: Outcome) -> (Mark, &'static str) {
    match outcome {
        Outcome::Done => (Mark::Good, ""),
        Outcome::Unchanged => (Mark::Good, "dim"),
        Outcome::RolledBack | Outcome::RollbackFailed => (Mark::Bad, "red"),
        Outcome::Paused | Outcome::Partial | Outcome::Interrupted => (Mark::Attention, "yellow"),
        Outcome::Skipped => (Mark::Idle, "dim"),
    }
}

fn doing(service: &Service) -> String {
    match service.rollback() {
        Some(_) => "rolling back".to_owned(),
        None => service.news.iter().rev().find_map(|(_, event)| words::doing(event)).unwrap_or_default(),
    }
}

/// None before the service's turn.
fn container_rows(service: &Service, look: &Look) -> Vec<Row> {
    let row = |container: &Container| {
        let names = service.containers.iter().map(|container| &container.container.name);
        let mut name = padded(&container.container.name, names, look);
        let version = |c: &Container| service.version_of(&c.container);
        let versions: Vec<_> = service.containers.iter().filter_map(version).collect();
        if !versions.is_empty() {
            let version = version(container).unwrap_or_default();
            name += &look.paint("dim", &padded(&clean(&version), versions.iter(), look));
        }
        let (mark, style, text) = container_state(container);
        let time = match (container.phase(), container.took) {
            (None, _) => Time::None,
            (_, Some(took)) => Time::Took(took),
            (_, None) => Time::Since(container.since),
        };
        let text = name + &look.paint(style, &text) + &look.paint("dim", &last_output(container));
        Row::new(mark, text, time).indented()
    };
    service.containers.iter().filter(|_| service.begun().is_some()).map(row).collect()
}

fn container_state(container: &Container) -> (Mark, &'static str, String) {
    let Some(phase) = container.phase() else { return (Mark::Good, "", "serving".to_owned()) };
    let text = words::phase(phase, &container.health);
    match phase {
        Phase::Started => (Mark::Busy, "", "starting".to_owned()),
        Phase::Waiting { health, .. } => (Mark::Busy, "", words::waiting(health, container.limit)),
        Phase::Ready | Phase::Finished | Phase::Restored => (Mark::Good, "", text),
        Phase::Failed { .. } => (Mark::Bad, "red", text),
        Phase::Stopped { .. } | Phase::Removed => (Mark::Idle, "dim", text),
        _ => (Mark::Busy, "", text),
    }
}

/// The last line of the last health probe.
fn last_output(container: &Container) -> String {
    let Some(Phase::Waiting { output: Some(output), .. }) = container.phase() else { return String::new() };
    clean_lines(output).pop().map(|line| format!("  {line}")).unwrap_or_default()
}

/// What this event leaves above the rows, for good.
pub fn lasting(event: &Event, look: &Look) -> Vec<String> {
    let warning = |service: Option<&String>, message: &str| {
        let service = service.map(|service| format!("{service}: ")).unwrap_or_default();
        let mark = &Mark::Attention.frames(look)[0];
        look.wrap(&format!("{mark} {}{service}{message}", look.paint("yellow", "warning: ")), "  ")
    };
    match event {
        Event::Warning { service, message } => warning(service.as_ref(), &clean(message)),
        Event::Hook { service, error: Some(_), .. } => {
            words::doing(event).map(|text| warning(Some(service), &text)).unwrap_or_default()
        }
        Event::Failed { service, failure, .. } => {
            let (mark, name) = (&Mark::Bad.frames(look)[0], look.paint("bold", service));
            let head = format!("{mark} {name}  {}", look.paint("red", &words::failure(failure)));
            let details = words::details(failure, look).into_iter().map(|line| format!("  {line}"));
            look.wrap(&head, "  ").into_iter().chain(details).collect()
        }
        _ => vec![],
    }
}

/// What stays on the screen: each service's outcome, the summary, the message.
pub fn closing(story: &Story, look: &Look) -> Vec<String> {
    let exit_code = story.end.as_ref().map_or(0, |end| end.exit_code);
    let mut outcomes = vec![];
    for images in &story.images {
        outcomes.extend(image_rows(images, story, look).iter().map(|row| row.line(look)));
        // A build that failed has said why in its output.
        let failed = images.took.is_none() && exit_code == 1;
        outcomes.extend(images.tail.iter().filter(|_| failed).map(|line| format!("  {line}")));
    }
    let services =
        story.unchanged_and_others().1.into_iter().map(|service| service_row(service, story, look));
    outcomes.extend(unchanged_row(story, look).into_iter().chain(services).map(|row| row.line(look)));
    let style = match exit_code {
        0 if story.amber().is_some() => "yellow",
        0 => "bold",
        _ => "red",
    };
    let message = words::message(story).into_iter().flat_map(|line| look.wrap(&look.paint(style, &line), ""));
    let last = message.chain(words::hint(story).flat_map(|line| look.wrap(&line, "      "))).collect();
    let summary = summary::lines(story, look).iter().flat_map(|line| look.wrap(line, "  ")).collect();
    let blocks = [outcomes, summary, last];
    blocks.into_iter().filter(|block| !block.is_empty()).collect::<Vec<_>>().join(&String::new())
}

#[cfg(test)]
mod tests;
