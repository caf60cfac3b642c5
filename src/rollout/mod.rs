//! Performs a plan: every service on its own thread, each waiting for what it depends on. Decides nothing but
//! when to abort and undo.

mod drain;
mod gate;
mod heal;
mod join;
mod proxies;
mod retire;
mod service;
mod start;
mod undo;
mod watching;

pub use heal::heal;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{
    docker::Docker,
    event::{ContainerRef, Event, Failure, Generation, Outcome, Phase, Sink},
    interrupt::Interrupt,
    model::{Model, Service},
    observed::Container,
    plan::{Plan, ServicePlan},
    probe::Watch,
    wake::Bell,
};

/// What every service's thread works with.
pub struct Crew<'a> {
    pub docker: &'a Docker,
    pub model: &'a Model,
    pub interrupt: &'a Interrupt,
    /// Rung by engine events, interrupts, and services that end.
    pub bell: Arc<Bell>,
    pub sink: &'a dyn Sink,
    pub began: Instant,
    /// What the probe sees.
    pub watch: Watch,
    /// Container ID → the container before anything was touched.
    pub before: BTreeMap<String, Container>,
    /// Service → the ID of its image that the plan rests on.
    pub images: &'a BTreeMap<String, String>,
    /// `docker stop --time` in seconds, when the user gave one; negative for no limit.
    pub stop_timeout: Option<i64>,
    /// Two `docker compose up` of one project at once trip over each other's networks and names
    /// (Compose 5.6.1: "network is ambiguous", "name is already in use").
    pub compose_lock: Mutex<()>,
}

/// How one service's part ended.
#[derive(Clone, Debug)]
pub struct ServiceResult {
    pub service: String,
    pub outcome: Outcome,
    /// `None` when it could not be found out.
    pub serving: Option<Vec<ContainerRef>>,
    /// After a second interrupt: what this run has started or stopped and left so.
    pub left: Vec<ContainerRef>,
    pub failure: Option<Failure>,
    /// From the stop of the old to the readiness of the new, for a service that was recreated.
    pub downtime: Option<Duration>,
    /// One-offs of `pre_start` hooks that still run.
    pub hooks_left: Vec<ContainerRef>,
    /// Whether it was changed under way, and what it runs now is not what was planned.
    pub deviates: bool,
}

impl Crew<'_> {
    pub fn emit(&self, event: Event) {
        self.sink.on(self.began.elapsed(), &event);
    }

    fn service(&self, name: &str) -> &Service {
        &self.model.services[name]
    }

    fn tell_orphan(&self, orphan: &ContainerRef, phase: Phase) {
        let service = self.before.get(&orphan.id).map(|container| container.service.clone());
        self.emit(Event::Container {
            service: service.unwrap_or_default(),
            container: orphan.clone(),
            generation: Generation::Old,
            phase,
        });
    }

    fn compose_turn(&self) -> MutexGuard<'_, ()> {
        self.compose_lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The outcomes so far; threads of dependent services wait on them.
struct Board {
    outcomes: Mutex<BTreeMap<String, Outcome>>,
    bell: Arc<Bell>,
}

impl Board {
    fn outcomes(&self) -> MutexGuard<'_, BTreeMap<String, Outcome>> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn post(&self, service: &str, outcome: Outcome) {
        self.outcomes().insert(service.to_owned(), outcome);
        self.bell.ring();
    }

    /// Waits until everything in `after` is done. False when this service must not begin: something before it,
    /// or anything else, failed, or the user interrupted.
    fn may_begin(&self, after: &[String], interrupt: &Interrupt) -> bool {
        loop {
            let heard = self.bell.heard();
            let outcomes = self.outcomes();
            if interrupt.requested() || !outcomes.values().all(|outcome| outcome.is_good()) {
                return false;
            }
            if after.iter().all(|name| outcomes.contains_key(name)) {
                return true;
            }
            drop(outcomes);
            self.bell.wait(heard, Duration::from_secs(60));
        }
    }
}

/// Carries the plan out and returns one result a service, in the plan's order.
pub fn perform(crew: &Crew, plan: &Plan) -> Vec<ServiceResult> {
    let board = Board { outcomes: Mutex::default(), bell: crew.bell.clone() };
    thread::scope(|scope| {
        let threads: Vec<_> =
            plan.services.iter().map(|service| scope.spawn(|| perform_one(crew, service, &board))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

fn perform_one(crew: &Crew, plan: &ServicePlan, board: &Board) -> ServiceResult {
    let result = if plan.steps.is_empty() {
        simple(plan, Outcome::Unchanged)
    } else if board.may_begin(&plan.after, crew.interrupt) {
        service::roll(crew, plan)
    } else {
        simple(plan, Outcome::Skipped)
    };
    board.post(&plan.service, result.outcome);
    result
}

fn simple(plan: &ServicePlan, outcome: Outcome) -> ServiceResult {
    ServiceResult {
        service: plan.service.clone(),
        outcome,
        serving: Some(vec![]),
        left: vec![],
        failure: None,
        downtime: None,
        hooks_left: vec![],
        deviates: false,
    }
}

/// Stops and removes containers of services that no file names any more, after everything else went well.
pub fn remove_orphans(crew: &Crew, orphans: &[ContainerRef], results: &[ServiceResult]) {
    let well = results.iter().all(|r| r.outcome.is_good());
    if orphans.is_empty() || !well || crew.interrupt.requested() {
        return;
    }
    let ids: Vec<_> = orphans.iter().map(|orphan| orphan.id.clone()).collect();
    let longest = orphans.iter().filter_map(|orphan| Some(crew.before.get(&orphan.id)?.grace)).max();
    let grace = longest.unwrap_or_default();
    orphans.iter().for_each(|orphan| crew.tell_orphan(orphan, Phase::Stopping { grace }));
    let removed = crew
        .docker
        .stop(&ids, crew.stop_timeout, grace)
        .or_else(retire::tolerate_missing)
        .and_then(|()| crew.docker.remove_orphans(&ids).or_else(retire::tolerate_missing));
    match removed {
        Ok(()) => orphans.iter().for_each(|orphan| crew.tell_orphan(orphan, Phase::Removed)),
        Err(error) => crew.emit(Event::Warning {
            service: None,
            message: format!("orphans could not be removed: {error}"),
        }),
    }
}
