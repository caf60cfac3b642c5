//! A run as its events tell it: the one fold, which every renderer reads. Pure: no layout, no clock.

mod container;
#[cfg(test)]
pub mod fixture;
mod service;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

pub use container::{Container, Span, State};
pub use service::Service;

use crate::event::{End, Event, Phase, ProbeBegin, ProbeEnd, Stage, Verdict};
use crate::text::clean;

/// Lines of a build that are kept: enough to see why it failed.
const TAIL: usize = 30;
/// The parts of a run that take time, in the order in which they are shown.
const PARTS: [&str; 8] = ["build", "pull", "start", "health", "settle", "drain", "stop", "rollback"];

#[derive(Clone, Debug, Default)]
pub struct Story {
    pub project: String,
    /// Since when it is read and planned, until that is done.
    pub loading: Option<Duration>,
    pub images: Vec<Images>,
    /// As planned, then in the order of their first event.
    pub services: Vec<Service>,
    pub probe: Option<ProbeBegin>,
    /// The last request that failed, and how many did until then.
    pub probe_failure: Option<(String, u64)>,
    pub traffic: Option<ProbeEnd>,
    /// Each with the service that it is about.
    pub warnings: Vec<(Option<String>, String)>,
    pub stage: Stage,
    pub interrupts: u8,
    pub end: Option<End>,
    /// The time of the last event, since the run began.
    pub now: Duration,
}

/// A build or a pull.
#[derive(Clone, Debug)]
pub struct Images {
    /// `build` or `pull`.
    pub part: &'static str,
    pub services: Vec<String>,
    pub since: Duration,
    pub took: Option<Duration>,
    /// The last lines of its output, cleaned.
    pub tail: VecDeque<String>,
}

/// A stretch of time that belongs to one of [`PARTS`]: from, to.
type Stretch = (&'static str, Duration, Duration);

impl Story {
    /// `at` is the time since the run began.
    pub fn apply(&mut self, at: Duration, event: &Event) {
        self.now = self.now.max(at);
        self.stage = stage_after(self.stage, event);
        match event {
            Event::Loading => self.loading = Some(at),
            Event::Building { services } => self.prepare("build", services),
            Event::Pulling { services } => self.prepare("pull", services),
            Event::Output { line } => self.output(clean(line)),
            Event::Prepared { .. } => self.prepared(),
            Event::Planned { project, services } => {
                self.project.clone_from(project);
                self.loading = None;
                self.services.extend(services.iter().cloned().map(Service::planned));
            }
            Event::Warning { service, message } => self.warnings.push((service.clone(), message.clone())),
            Event::ProbeBegin(probe) => self.probe = Some(probe.clone()),
            Event::ProbeFailure { error, failures } => self.probe_failure = Some((error.clone(), *failures)),
            Event::ProbeEnd(traffic) => self.traffic = Some(traffic.clone()),
            Event::Interrupt { count } => self.interrupts = *count,
            Event::End(end) => self.end = Some(end.clone()),
            _ => {}
        }
        if let Some(name) = event.service() {
            self.service_mut(name).apply(at, event);
        }
    }

    /// The build ends the pull before it, and the other way round.
    fn prepare(&mut self, part: &'static str, services: &[String]) {
        self.prepared();
        let (services, since) = (services.to_vec(), self.now);
        self.images.push(Images { part, services, since, took: None, tail: VecDeque::new() });
    }

    fn prepared(&mut self) {
        if let Some(images) = self.images.last_mut() {
            images.took.get_or_insert(self.now.saturating_sub(images.since));
        }
    }

    fn output(&mut self, line: String) {
        if let Some(images) = self.images.last_mut().filter(|_| !line.is_empty()) {
            images.tail.push_back(line);
            let excess = images.tail.len().saturating_sub(TAIL);
            images.tail.drain(..excess);
        }
    }

    fn service_mut(&mut self, name: &str) -> &mut Service {
        let index = self.services.iter().position(|service| service.name == name).unwrap_or_else(|| {
            self.services.push(Service { name: name.to_owned(), ..Service::default() });
            self.services.len() - 1
        });
        &mut self.services[index]
    }

    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }

    /// Those of the plan that need nothing, and the others.
    pub fn unchanged_and_others(&self) -> (Vec<&Service>, Vec<&Service>) {
        let unchanged = |s: &&Service| s.news.is_empty() && s.verdict == Some(Verdict::Unchanged);
        self.services.iter().partition(unchanged)
    }

    /// The services of which containers were touched.
    pub fn touched(&self) -> impl Iterator<Item = &Service> {
        self.services.iter().filter(|service| service.is_touched())
    }

    /// From the first event of a service to the last event of all: a build before it would squeeze what matters.
    /// `None` when no container was touched.
    pub fn span(&self) -> Option<(Duration, Duration)> {
        let begun = self.services.iter().filter_map(Service::begun).min();
        begun.filter(|_| self.touched().next().is_some()).map(|begun| (begun, self.now))
    }

    /// The wall clock during which at least one service or container was in each part: services run side by side, and a
    /// sum would exceed the total.
    pub fn parts(&self) -> Vec<(&'static str, Duration)> {
        let images = self.images.iter();
        let images = images.map(|i| (i.part, i.since, i.took.map_or(self.now, |took| i.since + took)));
        let services = self.services.iter().flat_map(|service| service.stretches(self.now));
        let mut all: Vec<Stretch> = images.chain(services).collect();
        all.sort_by_key(|(_, from, _)| *from);
        let took = |part| {
            let mine = all.iter().filter(|(name, ..)| *name == part);
            mine.fold(None, |union: Option<(Duration, Duration)>, &(_, from, to)| {
                let (sum, reached) = union.unwrap_or((Duration::ZERO, from));
                Some((sum + to.saturating_sub(from.max(reached)), reached.max(to)))
            })
        };
        PARTS.into_iter().filter_map(|part| Some((part, took(part)?.0))).collect()
    }

    /// Requests since the first container was touched, and how many of them failed, where the run ended well in spite
    /// of them.
    pub fn amber(&self) -> Option<(u64, u64)> {
        let traffic =
            self.traffic.as_ref().filter(|_| self.end.as_ref().is_some_and(|e| e.exit_code == 0))?;
        let since = traffic.stages.iter().filter(|stage| stage.stage != Stage::Before);
        let sums = since.fold((0, 0), |sums, stage| (sums.0 + stage.requests, sums.1 + stage.failures));
        Some(sums).filter(|(_, failures)| *failures > 0)
    }
}

/// What the rollout is about from this event on. Services go side by side: the last news decides, but the stops of a
/// rollback are a part of it.
fn stage_after(now: Stage, event: &Event) -> Stage {
    match event {
        Event::Container { .. } if now == Stage::Rollback => now,
        Event::Batch { .. } => Stage::Start,
        Event::Settling { .. } => Stage::Settle,
        Event::Observing { .. } => Stage::After,
        Event::Failed { rollback: true, .. } | Event::Interrupt { .. } => Stage::Rollback,
        Event::Container { phase: Phase::Started, .. } => Stage::Health,
        Event::Container { phase: Phase::Draining { .. }, .. } => Stage::Drain,
        Event::Container { phase: Phase::Stopping { .. }, .. } => Stage::Stop,
        _ => now,
    }
}
