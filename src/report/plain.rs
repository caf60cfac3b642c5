//! One line per event worth a line, for logs, pipes and screen readers.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::quiet::last_words;
use super::summary::Summary;
use super::text::{clean, clock, pad};
use super::{Look, put, words};
use crate::event::{ContainerRef, Event, Outcome, Phase, PlannedService, Sink, Verdict};

/// Service names longer than this push their own line out, not everybody's.
const WIDEST_SERVICE: usize = 20;

pub struct Plain<W>(Mutex<State<W>>);

struct State<W> {
    out: W,
    look: Look,
    /// Columns of the service names.
    column: usize,
    /// The last health and probe output of each container, by ID.
    health: HashMap<String, (String, String)>,
    /// Services whose gate was told of in this batch.
    gates: HashSet<String>,
    summary: Summary,
}

impl<W: Write + Send> Plain<W> {
    /// The timeline at the end fits `look.columns`; colours are never used.
    pub fn new(out: W, look: Look) -> Plain<W> {
        let look = Look { color: false, ..look };
        let (health, gates) = (HashMap::new(), HashSet::new());
        Plain(Mutex::new(State { out, look, column: 0, health, gates, summary: Summary::default() }))
    }
}

impl<W: Write + Send> Sink for Plain<W> {
    fn on(&self, at: Duration, event: &Event) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.summary.record(at, event);
        state.widen(event);
        let text = match event {
            Event::End { message, hint, .. } => state.end(message, hint.as_deref()),
            _ => state.lines(event).iter().map(|line| format!("{:>6}  {line}\n", clock(at))).collect(),
        };
        if !text.is_empty() {
            put(&mut state.out, &text);
        }
    }
}

impl<W> State<W> {
    /// Makes room for the names of the services that will have lines.
    fn widen(&mut self, event: &Event) {
        let longest = match event {
            Event::Planned { services, .. } => {
                let touched = services.iter().filter(|s| s.verdict != Verdict::Unchanged);
                touched.map(|s| s.service.len()).max().unwrap_or(0)
            }
            Event::ServiceBegin { service, .. } => service.len(),
            _ => 0,
        };
        self.column = self.column.max(longest.min(WIDEST_SERVICE));
    }

    fn lines(&mut self, event: &Event) -> Vec<String> {
        match event {
            Event::Building { services } => vec![images("building", services)],
            Event::Pulling { services } => vec![images("pulling", services)],
            Event::Output { line } if clean(line).is_empty() => vec![],
            Event::Output { line } => vec![format!("| {}", clean(line))],
            Event::Prepared { took } => vec![format!("images ready in {}", clock(*took))],
            Event::Planned { services, .. } => self.planned(services),
            Event::Warning { service, message } => {
                self.about(service.as_deref().unwrap_or(""), format!("warning: {}", clean(message)))
            }
            Event::ProbeBegin { url, rate, max_failures } => vec![words::probe(url, *rate, *max_failures)],
            Event::ProbeFailure { error, failures } => vec![words::probe_failure(error, *failures)],
            Event::ProbeEnd { requests, failures, slowest, .. } => {
                vec![words::probed(*requests, *failures, *slowest)]
            }
            Event::Interrupt { count } => vec![words::interrupt(*count).to_owned()],
            Event::Container { service, container, phase, .. } => self
                .container(service, container, phase)
                .into_iter()
                .flat_map(|c| self.about(service, c))
                .collect(),
            Event::Batch { service, .. } => {
                self.gates.remove(service);
                self.service(event)
            }
            _ => self.service(event),
        }
    }

    fn service(&self, event: &Event) -> Vec<String> {
        match event {
            Event::ServiceBegin { service, verdict, replicas, batches } if *verdict != Verdict::Unchanged => {
                self.about(service, words::begin(*verdict, *replicas, *batches))
            }
            Event::Batch { service, number, of, start, retire } if *of > 1 => {
                self.about(service, format!("batch {number} of {of}: start {start}, retire {retire}"))
            }
            Event::Settling { service, time } => self.about(service, words::settling(*time)),
            Event::Observing { service, time } => self.about(service, words::observing(*time)),
            Event::HookBegin { service, container, hook } => {
                self.about(service, words::hook_begins(hook, container.as_ref()))
            }
            Event::Hook { service, container, hook, error } => {
                self.about(service, words::hook(hook, container.as_ref(), error.as_deref()))
            }
            Event::Refused { service, failure, .. } => {
                let why = format!("new version refused: {}", words::failure(failure));
                let details = words::details(failure).into_iter().map(|line| format!("  {line}"));
                details
                    .fold(self.about(service, why), |lines, line| [lines, self.about(service, line)].concat())
            }
            Event::ServiceEnd { service, outcome, serving, took } if *outcome != Outcome::Unchanged => {
                self.about(service, ended(*outcome, *took, serving.as_deref()))
            }
            _ => vec![],
        }
    }

    /// The plan, without the services that need nothing: those share a line.
    fn planned(&self, services: &[PlannedService]) -> Vec<String> {
        let (same, touched): (Vec<_>, Vec<_>) =
            services.iter().partition(|s| s.verdict == Verdict::Unchanged);
        let line = |s: &PlannedService| {
            self.about(&s.service, format!("{}: {}", s.verdict.word(), clean(&s.reason)))
        };
        let mut lines: Vec<String> = touched.into_iter().flat_map(line).collect();
        if !same.is_empty() {
            lines.push(format!("unchanged: {}", words::join(same.iter().map(|s| s.service.as_str()))));
        }
        lines
    }

    fn container(&mut self, service: &str, container: &ContainerRef, phase: &Phase) -> Vec<String> {
        match phase {
            Phase::Waiting { health, output, deadline } => {
                let gate = self.gate(service, words::gate(health, *deadline));
                let output = output.as_deref().map(clean).unwrap_or_default();
                gate.into_iter().chain(self.waiting(container, health, output)).collect()
            }
            _ => {
                let health = self.health.get(&container.id).map_or("", |(health, _)| health);
                vec![format!("{} {}", container.name, words::phase(phase, health))]
            }
        }
    }

    /// Once for all replicas of a batch: they wait for the same.
    fn gate(&mut self, service: &str, gate: String) -> Option<String> {
        self.gates.insert(service.to_owned()).then_some(gate)
    }

    /// A line whenever the container's health has something new to say.
    fn waiting(&mut self, container: &ContainerRef, health: &str, output: String) -> Option<String> {
        let now = (health.to_owned(), output);
        let before = self.health.insert(container.id.clone(), now.clone());
        let (health, output) = &now;
        match before {
            Some(before) if before == now => None,
            // `Ready` says it.
            _ if health == "healthy" => None,
            None if output.is_empty() => None,
            _ if output.is_empty() => Some(format!("{} {health}", container.name)),
            _ => Some(format!("{} {health}: {output}", container.name)),
        }
    }

    fn about(&self, service: &str, clause: String) -> Vec<String> {
        match service {
            "" => vec![clause],
            _ => vec![format!("{}  {clause}", pad(service, self.column))],
        }
    }

    fn end(&self, message: &str, hint: Option<&str>) -> String {
        let summary = self.summary.lines(&self.look);
        let mut text: String = summary.iter().map(|line| line.show(&self.look) + "\n").collect();
        if !text.is_empty() {
            text = format!("\n{text}\n");
        }
        text + &last_words(message, hint)
    }
}

fn images(doing: &str, services: &[String]) -> String {
    format!("{doing} {}", words::join(services.iter().map(String::as_str)))
}

fn ended(outcome: Outcome, took: Duration, serving: Option<&[ContainerRef]>) -> String {
    match outcome {
        Outcome::Skipped if serving.is_none_or(<[_]>::is_empty) => words::outcome(outcome).to_owned(),
        Outcome::Skipped => format!("{}, {}", words::outcome(outcome), words::serving(serving)),
        _ => format!("{} in {}, {}", words::outcome(outcome), clock(took), words::serving(serving)),
    }
}

#[cfg(test)]
mod tests;
