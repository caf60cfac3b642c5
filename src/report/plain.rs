//! One line per event worth a line, for logs, pipes and screen readers.

use std::time::Duration;

use console::{Alignment, measure_text_width, pad_str};

use super::{Look, summary, words};
use crate::engine::ContainerRef;
use crate::event::{Event, Generation, Outcome, Phase, Verdict};
use crate::story::{Service, Story};
use crate::text::{clean, join};

/// Service names longer than this push their own line out, not everybody's.
const WIDEST_SERVICE: usize = 20;

/// The timeline at the end fits the look's columns; colors are never used.
pub fn text(story: &Story, look: &Look, at: Duration, event: &Event) -> String {
    let look = Look { color: false, ..*look };
    if let Event::End(_) = event {
        let summary: String = summary::lines(story, &look).iter().map(|line| format!("{line}\n")).collect();
        let summary = if summary.is_empty() { summary } else { format!("\n{summary}\n") };
        return summary + &words::last(story);
    }
    let (name, clauses) = match event.service().and_then(|name| story.service(name)) {
        Some(service) => (service.name.as_str(), of_service(service, &look, event)),
        None => of_run(story, event),
    };
    let time = words::stopwatch(at);
    clauses.iter().map(|clause| format!("{time:>6}  {}{clause}\n", padded(story, name))).collect()
}

/// The name makes room for those of all services that have lines.
fn padded(story: &Story, service: &str) -> String {
    let others = story.unchanged_and_others().1;
    let longest = others.iter().map(|service| measure_text_width(&service.name)).max().unwrap_or(0);
    match service {
        "" => String::new(),
        name => pad_str(name, longest.min(WIDEST_SERVICE), Alignment::Left, None).into_owned() + "  ",
    }
}

/// The service that it is about, if there is one.
fn of_run<'a>(story: &Story, event: &'a Event) -> (&'a str, Vec<String>) {
    let clause = match event {
        Event::Loading => words::loading(false).to_owned(),
        Event::Building { services } => format!("building {}", join(services)),
        Event::Pulling { services } => format!("pulling {}", join(services)),
        Event::Output { line } if !clean(line).is_empty() => format!("| {}", clean(line)),
        Event::Prepared { took } => format!("images ready in {}", words::stopwatch(*took)),
        Event::Planned { .. } => return ("", planned(story)),
        Event::Warning { service, message } => {
            let service = service.as_deref().unwrap_or_default();
            return (service, vec![format!("warning: {}", clean(message))]);
        }
        Event::ProbeBegin(probe) => words::probe(probe),
        Event::ProbeFailure { error, failures } => words::probe_failure(error, *failures),
        Event::ProbeEnd(traffic) => words::probed(traffic),
        Event::Interrupt { count } => words::interrupt(*count).to_owned(),
        _ => return ("", vec![]),
    };
    ("", vec![clause])
}

/// The plan, without the services that need nothing: those share a line.
fn planned(story: &Story) -> Vec<String> {
    let (unchanged, others) = story.unchanged_and_others();
    let plans = others.iter().filter_map(|service| service.plan.as_ref());
    let line = plans.map(|plan| {
        let why = clean(&(plan.reason.clone() + &plan.change()));
        format!("{}{}: {why}", padded(story, &plan.service), plan.verdict.word())
    });
    line.chain((!unchanged.is_empty()).then(|| format!("unchanged: {}", words::services(&unchanged))))
        .collect()
}

fn of_service(service: &Service, look: &Look, event: &Event) -> Vec<String> {
    match event {
        Event::ServiceBegin { verdict: Verdict::Unchanged, .. } => vec![],
        Event::ServiceBegin { verdict, replicas, batches, .. } => {
            vec![words::begin(*verdict, *replicas, *batches)]
        }
        Event::Batch { of: 0 | 1, .. } => vec![],
        Event::Batch { number, of, start, retire, .. } => {
            vec![format!("batch {number} of {of}: start {start}, retire {retire}")]
        }
        // The failure of the service says it.
        Event::Container { generation: Generation::New, phase: Phase::Failed { .. }, .. } => vec![],
        Event::Container { container, phase, .. } => of_container(service, container, phase),
        Event::Failed { failure, .. } => {
            let why = format!("new version failed: {}", words::failure(failure));
            let details = words::details(failure, look).into_iter().map(|line| format!("  {line}"));
            std::iter::once(why).chain(details).collect()
        }
        Event::ServiceEnd(end) if end.outcome == Outcome::Unchanged => vec![],
        Event::ServiceEnd(end) => vec![words::ended(service, end, true)],
        _ => words::doing(event).into_iter().collect(),
    }
}

fn of_container(service: &Service, container: &ContainerRef, phase: &Phase) -> Vec<String> {
    let Some(known) = service.containers.iter().find(|c| c.container == *container) else { return vec![] };
    let Phase::Waiting { health, output, deadline } = phase else {
        return vec![format!("{} {}", container.name, words::phase(phase, &known.health))];
    };
    let gate = is_first_wait(service).then(|| words::gate(health, *deadline));
    let news = waiting(known.before(), health, output.as_deref());
    gate.into_iter().chain(news.map(|news| format!("{} {news}", container.name))).collect()
}

/// All replicas of a batch wait for the same, so that is said once.
fn is_first_wait(service: &Service) -> bool {
    let of_batch = service.news.iter().rev().take_while(|(_, event)| !matches!(event, Event::Batch { .. }));
    let waits = |event: &Event| matches!(event, Event::Container { phase: Phase::Waiting { .. }, .. });
    of_batch.filter(|(_, event)| waits(event)).count() == 1
}

/// What is new about a container's health.
fn waiting(before: Option<&Phase>, health: &str, output: Option<&str>) -> Option<String> {
    let output = clean(output.unwrap_or_default());
    let before = before.and_then(|before| match before {
        Phase::Waiting { health, output, .. } => Some((health, clean(output.as_deref().unwrap_or_default()))),
        _ => None,
    });
    match before {
        Some((known, said)) if known == health && said == output => None,
        // `Ready` says it.
        _ if health == "healthy" => None,
        None if output.is_empty() => None,
        _ if output.is_empty() => Some(health.to_owned()),
        _ => Some(format!("{health}: {output}")),
    }
}

#[cfg(test)]
mod tests;
