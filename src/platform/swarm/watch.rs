//! What a look at a service says of an update that was sent. Pure: from what a manager answers, and from the time since
//! the update was sent, to a verdict.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::engine::swarm::{Service, Task, Update};

/// How long an update may be without anything that moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// For a task from its assignment to a node to its readiness, and for whatever Swarm waits for in between.
    pub still: Duration,
    /// While an image is on its way to a node.
    pub preparing: Duration,
    /// Without a healthcheck: how long a task of a first start must run.
    pub monitor: Duration,
}

/// What was sent.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// The label by which the definition is known.
    pub hash: String,
    /// The tasks that were there before, whatever became of them.
    pub before: BTreeSet<String>,
    /// The update that was known before: an end of that one says nothing.
    pub update: Option<Update>,
    /// The nodes that could take tasks.
    pub nodes: BTreeSet<String>,
    /// A task counts when it has run for the monitor window; else as soon as it runs, as it is healthy then.
    pub proves_itself: bool,
}

/// What is seen of a service at one time.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// `None`: it is gone.
    pub service: Option<&'a Service>,
    /// The last ones of every slot.
    pub tasks: &'a [Task],
    /// Those of the present definition.
    pub current: &'a [Task],
    /// The nodes that can take tasks now.
    pub nodes: &'a BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Wait,
    /// So many run as are wanted, all of them of the new definition.
    Done,
    /// Swarm goes back by itself, and is not yet there.
    RollingBack(Cause),
    /// Swarm has gone back by itself.
    RolledBack(Cause),
    /// Swarm has stopped half way, as the file says.
    Paused(Cause),
    /// Swarm has stopped half way while it goes back.
    RollbackPaused(Cause),
    /// Nothing moves any more, or the first start does not come to its end.
    Stuck(Cause),
    /// Another definition is wanted by now.
    ChangedByOther,
    Gone,
}

/// Why an update does not come to its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cause {
    /// One clause.
    pub reason: String,
    /// The task that it is about.
    pub task: Option<Task>,
}

/// An update that is being watched.
#[derive(Clone, Debug)]
pub struct Watch {
    pub sent: Sent,
    pub limits: Limits,
    /// How far each slot has come at best, and when that was.
    best: BTreeMap<String, u32>,
    moved: Duration,
    /// The tasks that run, and since when it is these.
    steady: (BTreeSet<String>, Duration),
    /// The first task of the update that has ended, as it was seen first.
    fallen: Option<Task>,
}

/// Said of a node that takes no tasks any more.
pub const LOST_NODE: &str = "which was drained or lost meanwhile";

/// From what stands still to what runs, in Swarm's own order.
const STATES: [&str; 9] =
    ["new", "allocated", "pending", "assigned", "accepted", "preparing", "ready", "starting", "running"];

impl Watch {
    pub fn new(sent: Sent, limits: Limits) -> Watch {
        Watch {
            sent,
            limits,
            best: BTreeMap::new(),
            moved: Duration::ZERO,
            steady: (BTreeSet::new(), Duration::ZERO),
            fallen: None,
        }
    }

    /// `elapsed` is the time since the update was sent.
    pub fn judge(&mut self, look: &Look, elapsed: Duration) -> Verdict {
        let Some(service) = look.service else { return Verdict::Gone };
        self.note(look, elapsed);
        let began = service.update.as_ref().map(|update| &update.started_at);
        let is_old = service.update.is_some() && began == self.sent.update.as_ref().map(|u| &u.started_at);
        let state = if is_old { "" } else { service.state() };
        let is_ours = service.label(super::HASH_LABEL).unwrap_or_default() == self.sent.hash;
        match state {
            "rollback_started" => Verdict::RollingBack(self.cause(look, service)),
            "rollback_completed" => Verdict::RolledBack(self.cause(look, service)),
            "rollback_paused" => Verdict::RollbackPaused(self.cause(look, service)),
            _ if !is_ours => Verdict::ChangedByOther,
            "paused" => Verdict::Paused(self.cause(look, service)),
            "" | "completed" if self.is_done(look, service, state, elapsed) => Verdict::Done,
            _ => self.unless_stuck(look, elapsed),
        }
    }

    /// A job is done when as many of its tasks have ended well as there are to be.
    pub fn judge_job(&mut self, look: &Look, elapsed: Duration) -> Verdict {
        let Some(service) = look.service else { return Verdict::Gone };
        self.note(look, elapsed);
        let complete = look.tasks.iter().filter(|task| task.state == "complete").count() as u64;
        if complete >= service.replicas().unwrap_or(1).max(1) {
            return Verdict::Done;
        }
        // Of one whose node is lost Swarm says for a day that it runs, and wants it no more.
        let alive: Vec<_> = look.tasks.iter().filter(|task| task.is_wanted() && !task.has_ended()).collect();
        let failed = look.tasks.iter().find(|task| task.has_ended() && task.state != "complete");
        match (alive.first(), failed) {
            // It takes the time that it takes.
            (Some(_), _) if alive.iter().any(|task| task.is_running()) => Verdict::Wait,
            (None, Some(task)) => Verdict::Stuck(Cause { reason: why_ended(task), task: Some(task.clone()) }),
            _ => self.unless_stuck(look, elapsed),
        }
    }

    /// Whether Swarm is back at what was before.
    pub fn judge_back(&mut self, look: &Look, elapsed: Duration) -> Verdict {
        let Some(service) = look.service else { return Verdict::Gone };
        self.note(look, elapsed);
        let is_back = service.label(super::HASH_LABEL).unwrap_or_default() == self.sent.hash;
        let all = running(look.current).count() as u64 >= wanted(service, look);
        match service.state() {
            "rollback_paused" => Verdict::RollbackPaused(self.cause(look, service)),
            "rollback_completed" => Verdict::Done,
            _ if !is_back => Verdict::ChangedByOther,
            "" | "completed" if all => Verdict::Done,
            _ => self.unless_stuck(look, elapsed),
        }
    }

    /// Whether nothing has moved for so long that nothing will.
    pub fn is_still(&self, look: &Look, elapsed: Duration) -> bool {
        let loads = self.new_tasks(look).any(|task| task.state == "preparing");
        let limit = if loads { self.limits.preparing } else { self.limits.still };
        elapsed.saturating_sub(self.moved) >= limit
    }

    /// A task that has ended and was started again has not come further than before.
    fn note(&mut self, look: &Look, elapsed: Duration) {
        let news: Vec<_> = self.new_tasks(look).cloned().collect();
        for task in &news {
            let rank = STATES.iter().position(|state| *state == task.state).unwrap_or_default() as u32;
            let best = self.best.entry(task.name.clone()).or_default();
            if rank > *best {
                (*best, self.moved) = (rank, elapsed);
            }
        }
        if self.fallen.is_none() {
            self.fallen = news.iter().find(|task| has_failed(task)).cloned();
        }
        let running: BTreeSet<_> = running(look.current).map(|task| task.id.clone()).collect();
        if running != self.steady.0 {
            self.steady = (running, elapsed);
        }
    }

    /// Of a service that was there Swarm itself watches the monitor window.
    fn is_done(&self, look: &Look, service: &Service, state: &str, elapsed: Duration) -> bool {
        let all = running(look.current).count() as u64 >= wanted(service, look);
        let proven = elapsed.saturating_sub(self.steady.1) >= self.limits.monitor;
        let is_new = running(look.current).any(|task| !self.sent.before.contains(&task.id));
        all && (state == "completed" || proven || !self.sent.proves_itself || !is_new)
    }

    fn unless_stuck(&self, look: &Look, elapsed: Duration) -> Verdict {
        if !self.is_still(look, elapsed) {
            return Verdict::Wait;
        }
        let waits = |task: &&Task| !task.is_running() && !task.has_ended();
        let waiting = self.new_tasks(look).find(waits);
        // The error of a task that waits is newer than that of one that has ended.
        let said = waiting.filter(|task| !task.error.is_empty());
        let task = said.or(self.fallen.as_ref()).or(waiting).cloned();
        let reason = match (&task, said) {
            (Some(task), Some(_)) => format!("waits: {}", task.error),
            (Some(task), None) if task.has_ended() => why_ended(task),
            (Some(task), None) => format!("is {} and does not come any further", task.state),
            (None, _) => "nothing moves any more".to_owned(),
        };
        Verdict::Stuck(Cause { reason, task })
    }

    /// Why Swarm goes back: it names the task.
    fn cause(&self, look: &Look, service: &Service) -> Cause {
        let message = service.update.as_ref().map_or("", |update| update.message.as_str());
        let named = look.tasks.iter().find(|task| message.contains(&task.id));
        let fallen = self.new_tasks(look).find(|task| has_failed(task));
        let Some(task) = named.or(self.fallen.as_ref()).or(fallen) else {
            let reason = if message.is_empty() { "the update was ended" } else { message };
            return Cause { reason: reason.to_owned(), task: None };
        };
        // That its node has gone is not its own failure.
        let lost = self.sent.nodes.contains(&task.node) && !look.nodes.contains(&task.node);
        let reason = match lost {
            true => format!("was on {}, {LOST_NODE}; nothing is wrong with the new version", task.node),
            false => why_ended(task),
        };
        Cause { reason, task: Some(task.clone()) }
    }

    fn new_tasks<'l>(&self, look: &Look<'l>) -> impl Iterator<Item = &'l Task> {
        look.tasks.iter().filter(|task| !self.sent.before.contains(&task.id))
    }
}

/// How many are wanted: of a global service, one on each node that has had one, and one at least.
pub fn wanted(service: &Service, look: &Look) -> u64 {
    let placed = || {
        let nodes = look.tasks.iter().map(|task| &task.node).filter(|node| look.nodes.contains(*node));
        nodes.collect::<BTreeSet<_>>().len() as u64
    };
    let asked = || look.current.iter().filter(|task| task.is_wanted()).count() as u64;
    service.replicas().unwrap_or_else(|| placed().max(asked()).max(1))
}

fn running(tasks: &[Task]) -> impl Iterator<Item = &Task> {
    tasks.iter().filter(|task| task.is_running() && task.desired == "running")
}

/// By itself: one that is to stop has not failed when it ends.
fn has_failed(task: &Task) -> bool {
    matches!(task.state.as_str(), "failed" | "rejected" | "orphaned" | "complete")
}

/// An unhealthy task whose program ends with 0 is `complete`, without a word (28.5).
pub fn why_ended(task: &Task) -> String {
    let error = task.error.trim();
    if let Some(code) = exit_code(error) {
        return format!("exited with code {code}");
    }
    match (task.state.as_str(), error) {
        ("complete", "") => "ended, or was stopped because it did not become healthy".to_owned(),
        (_, error) if error.contains("unhealthy") => "was stopped, as it is unhealthy".to_owned(),
        ("rejected", error) => format!("could not be started: {error}"),
        (state, "") => format!("is {state}"),
        (_, error) => error.trim_start_matches("task: ").to_owned(),
    }
}

/// Of `task: non-zero exit (3)`.
pub fn exit_code(error: &str) -> Option<i64> {
    let (_, rest) = error.split_once("non-zero exit (")?;
    rest.split_once(')')?.0.split(':').next()?.trim().parse().ok()
}
