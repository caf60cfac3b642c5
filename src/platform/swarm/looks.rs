//! One look for all services that are watched at a time: a hundred of them cost no more calls than one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Managers,
    observe::{active, is_of},
    watch,
};
use crate::{
    engine::{
        CallError,
        swarm::{Service, Task},
    },
    wait::Clock,
};

/// What was seen so short a time ago is not looked at again.
const JUST_NOW: Duration = Duration::from_millis(300);

/// What was seen of one service at once.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub service: Option<Service>,
    pub tasks: Vec<Task>,
    pub current: Vec<Task>,
    pub nodes: BTreeSet<String>,
}

impl Found {
    pub fn look(&self) -> watch::Look<'_> {
        watch::Look {
            service: self.service.as_ref(),
            tasks: &self.tasks,
            current: &self.current,
            nodes: &self.nodes,
        }
    }
}

/// Whoever watches enters its service, and looks.
#[derive(Default)]
pub struct Looks {
    watched: Mutex<BTreeSet<String>>,
    seen: Mutex<Option<(Instant, BTreeMap<String, Found>)>>,
}

impl Looks {
    pub fn enter(&self, name: &str) {
        lock(&self.watched).insert(name.to_owned());
    }

    pub fn leave(&self, name: &str) {
        lock(&self.watched).remove(name);
    }

    /// What is there of the service, not seen before `since`. `nodes`: those that took tasks when the plan was made.
    ///
    /// # Errors
    /// No manager answers.
    pub fn find(
        &self,
        name: &str,
        since: Instant,
        clock: &dyn Clock,
        managers: &Managers,
        nodes: &BTreeSet<String>,
    ) -> Result<Found, CallError> {
        let asked = clock.now();
        let oldest = asked.checked_sub(JUST_NOW).unwrap_or(asked).max(since);
        let mut seen = lock(&self.seen);
        let is_good =
            |(at, found): &&(Instant, BTreeMap<String, Found>)| *at >= oldest && found.contains_key(name);
        if let Some((_, found)) = seen.as_ref().filter(is_good) {
            return Ok(found[name].clone());
        }
        let mut names = lock(&self.watched).clone();
        names.insert(name.to_owned());
        let at = clock.now();
        let found = look(&names, managers, nodes)?;
        let mine = found.get(name).cloned().unwrap_or_default();
        *seen = Some((at, found));
        Ok(mine)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Three calls at most, and two more while Swarm goes back.
fn look(
    names: &BTreeSet<String>,
    managers: &Managers,
    before: &BTreeSet<String>,
) -> Result<BTreeMap<String, Found>, CallError> {
    let asked: Vec<_> = names.iter().cloned().collect();
    let services = managers.read(|docker| docker.services_named(&asked))?;
    let there: Vec<_> = services.iter().map(|service| service.name.clone()).collect();
    let tasks = managers.read(|docker| docker.tasks(&there, false))?;
    // While Swarm replaces tasks nobody needs to know which are of the present definition.
    let resting = |service: &&Service| !matches!(service.state(), "updating" | "rollback_started");
    let resting: Vec<_> = services.iter().filter(resting).map(|service| service.name.clone()).collect();
    let current = managers.read(|docker| docker.tasks(&resting, true))?;
    let goes_back =
        |service: &Service| service.state().starts_with("rollback") || service.state() == "paused";
    let nodes = match services.iter().any(goes_back) {
        true => managers.read(|docker| docker.nodes()).map(|nodes| active(&nodes)).unwrap_or_default(),
        false => before.clone(),
    };
    let of = |all: &[Task], name: &str| all.iter().filter(|task| is_of(task, name)).cloned().collect();
    let one = |name: &String| {
        let found = Found {
            service: services.iter().find(|service| service.name == *name).cloned(),
            tasks: of(&tasks, name),
            current: of(&current, name),
            nodes: nodes.clone(),
        };
        (name.clone(), found)
    };
    Ok(names.iter().map(one).collect())
}
