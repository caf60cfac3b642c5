//! The watchdog of another process of this program, which has orders for the case that that one is killed.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{BufRead, stdin},
    rc::Rc,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use signal_hook::{consts::signal, flag};

use super::docker;
use crate::{
    engine::{CallError, Container, Docker, Engine, Order, Told},
    exit::{Exit, Stop},
    keep::{self, Lock},
    platform::compose::{Next, next},
    wait::{Heed, Look, Waiter},
};

const LOOK: Duration = Duration::from_millis(100);
/// An engine that is busy, beside what the order allows.
const MARGIN: Duration = Duration::from_secs(10);
/// Compose ends so long after the program that has called it.
const COMPOSE_ENDS: Duration = Duration::from_secs(2);

/// Waits until the process with this number has ended, and does what it has left to do.
pub fn watch(docker_globals: Vec<OsString>, project: &str, pid: u32) -> u8 {
    // Nobody else starts what is stopped.
    for signal in [signal::SIGHUP, signal::SIGINT, signal::SIGTERM] {
        let _ = flag::register(signal, Arc::new(AtomicBool::new(false)));
    }
    let orders = orders();
    if orders.is_empty() {
        return Exit::Done.code();
    }
    match carry_out(docker_globals, project, pid, &orders) {
        Ok(()) => Exit::Done.code(),
        Err(stop) => stop.exit.code(),
    }
}

/// Those that stand when nobody can change them any more, by service.
fn orders() -> BTreeMap<String, Order> {
    let mut orders = BTreeMap::new();
    for told in
        stdin().lock().lines().map_while(Result::ok).map_while(|line| serde_json::from_str(&line).ok())
    {
        match told {
            Told { service, order: Some(order) } => drop(orders.insert(service, order)),
            Told { service, order: None } => drop(orders.remove(&service)),
        }
    }
    orders
}

fn carry_out(
    docker_globals: Vec<OsString>,
    project: &str,
    pid: u32,
    orders: &BTreeMap<String, Order>,
) -> Result<(), Stop> {
    let mut docker = docker(docker_globals, vec![], None)?;
    docker.set_project(project);
    let waiter = Waiter::new(Arc::default(), Arc::default());
    let engine = keep::lock::Engine { marks: &docker, waiter, warn: Rc::new(|_| {}) };
    let mut left = Left { project, pid, docker: &docker, engine: &engine, lock: None };
    orders.iter().for_each(|(service, order)| left.carry_out(service, order));
    Ok(())
}

/// IDs and states.
type Seen = Vec<(String, String)>;

/// What a process has left that was killed.
struct Left<'a> {
    project: &'a str,
    pid: u32,
    docker: &'a Docker,
    engine: &'a keep::lock::Engine<'a>,
    /// From the first start on: until then another run may take over.
    lock: Option<Lock<'a>>,
}

impl Left<'_> {
    /// What fails is tried again: there is nobody to tell.
    fn carry_out(&mut self, service: &str, order: &Order) {
        let limit = Duration::from_secs(order.within) + MARGIN;
        let mut seen = Vec::new();
        let waiter = self.engine.waiter.clone();
        let _ = waiter.until(Some(limit), Heed::Urgent, || {
            Ok::<_, ()>(self.look(service, order, &mut seen).unwrap_or(Look::Again(LOOK * 5)))
        });
    }

    fn look(&mut self, service: &str, order: &Order, seen: &mut Seen) -> Result<Look<()>, Stop> {
        let docker = self.docker;
        if self.lock.is_none() && !keep::lock::is_of(docker, self.project, self.pid)? {
            return Ok(Look::Done(()));
        }
        let found = docker.containers(Some(service))?;
        match next(order, &found) {
            Next::Nothing => Ok(Look::Done(())),
            Next::Wait => Ok(Look::Again(LOOK)),
            Next::Start(_) if order.by_compose && is_news(&found, seen) => Ok(Look::Again(COMPOSE_ENDS)),
            Next::Start(ids) => self.start(&ids, order).map(Look::Done),
        }
    }

    /// Unless another run has taken over.
    fn start(&mut self, ids: &[String], order: &Order) -> Result<(), Stop> {
        if self.lock.is_none() {
            self.lock = keep::lock::inherit(self.engine, self.project, self.pid)?;
        }
        if self.lock.is_none() {
            return Ok(());
        }
        let docker = self.docker;
        match start(docker, ids, order) {
            Err(_) if ids != order.otherwise && !order.otherwise.is_empty() => {
                Ok(start(docker, &order.otherwise, order)?)
            }
            started => Ok(started?),
        }
    }
}

fn start(docker: &Docker, ids: &[String], order: &Order) -> Result<(), CallError> {
    for id in ids {
        if let Some(policy) = order.policies.get(id) {
            docker.set_restart(std::slice::from_ref(id), policy)?;
        }
    }
    docker.start(ids)
}

/// Whether they are other ones, or in other states, than those that were seen before.
fn is_news(found: &[Container], seen: &mut Seen) -> bool {
    let now: Vec<_> = found.iter().map(|c| (c.id.clone(), format!("{:?}", c.state))).collect();
    let before = std::mem::replace(seen, now);
    before != *seen
}
