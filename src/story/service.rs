//! One service's part of a run.

use std::time::Duration;

use super::{Container, Stretch, container::until_next};
use crate::engine::ContainerRef;
use crate::event::{Event, Failure, Generation, PlannedService, ServiceEnd, Verdict};

#[derive(Clone, Debug, Default)]
pub struct Service {
    pub name: String,
    pub plan: Option<PlannedService>,
    pub verdict: Option<Verdict>,
    /// Number and count of the batches.
    pub batch: Option<(u32, u32)>,
    /// When the new version failed, why, and whether a rollback began.
    pub failures: Vec<(Duration, Failure, bool)>,
    pub end: Option<ServiceEnd>,
    /// Old ones first, then as people count: app-9 before app-10. Those that served before the run are there from the
    /// plan on.
    pub containers: Vec<Container>,
    /// All of its events, each with its time.
    pub news: Vec<(Duration, Event)>,
}

impl Service {
    pub fn planned(plan: PlannedService) -> Service {
        let containers = plan.serving.iter().cloned().map(Container::serving).collect();
        let (name, verdict) = (plan.service.clone(), Some(plan.verdict));
        let mut service = Service { name, verdict, plan: Some(plan), containers, ..Service::default() };
        service.sort();
        service
    }

    pub fn apply(&mut self, at: Duration, event: &Event) {
        self.news.push((at, event.clone()));
        match event {
            Event::ServiceBegin { verdict, .. } => self.verdict = Some(*verdict),
            Event::Batch { number, of, .. } => self.batch = Some((*number, *of)),
            Event::Container { container, generation, phase, .. } => {
                self.container(container, *generation).apply(at, phase);
                self.sort();
            }
            Event::Failed { failure, rollback, .. } => self.failures.push((at, failure.clone(), *rollback)),
            Event::ServiceEnd(end) => {
                self.end = Some(end.clone());
                self.spare(at, end.serving.iter().flatten().filter(|_| self.is_touched()).cloned().collect());
            }
            _ => {}
        }
    }

    fn container(&mut self, container: &ContainerRef, generation: Generation) -> &mut Container {
        let known = self.containers.iter().position(|known| known.container.id == container.id);
        let index = known.unwrap_or_else(|| {
            self.containers.push(Container::new(container.clone()));
            self.containers.len() - 1
        });
        self.containers[index].generation = generation;
        &mut self.containers[index]
    }

    /// What serves at the end and was never in the news has served all the time; one whose drain was broken off serves
    /// since the new version failed.
    fn spare(&mut self, at: Duration, serving: Vec<ContainerRef>) {
        let since = self.failures.first().map_or(at, |(at, ..)| *at);
        for container in serving {
            match self.containers.iter_mut().find(|known| known.container.id == container.id) {
                Some(known) => known.spare(since),
                None => self.containers.push(Container::serving(container)),
            }
        }
        self.sort();
    }

    fn sort(&mut self) {
        let rank = |c: &Container| {
            (c.generation == Generation::New, c.container.name.len(), c.container.name.clone())
        };
        self.containers.sort_by_key(rank);
    }

    pub fn begun(&self) -> Option<Duration> {
        self.news.first().map(|(at, _)| *at)
    }

    /// Since when it is rolled back.
    pub fn rollback(&self) -> Option<Duration> {
        self.failures.iter().find(|(.., rollback)| *rollback).map(|(at, ..)| *at)
    }

    /// Where two versions of it are in the run.
    pub fn version_of(&self, container: &ContainerRef) -> Option<String> {
        let known = self.containers.iter().find(|known| known.container.id == container.id)?;
        self.plan.as_ref()?.versions.of(known.generation)
    }

    pub fn is_touched(&self) -> bool {
        self.containers.iter().any(|container| container.phase().is_some())
    }

    pub fn stretches(&self, now: Duration) -> impl Iterator<Item = Stretch> {
        let own = until_next(&self.news, now).filter_map(|(from, to, event)| match event {
            Event::Batch { .. } => Some(("start", from, to)),
            Event::Settling { .. } => Some(("settle", from, to)),
            _ => None,
        });
        let end = self.news.last().filter(|_| self.end.is_some()).map_or(now, |(at, _)| *at);
        let rollback = self.rollback().map(|from| ("rollback", from, end));
        own.chain(rollback).chain(self.containers.iter().flat_map(move |c| c.stretches(now)))
    }
}
