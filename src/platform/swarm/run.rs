//! Sends what is planned of one service, and watches what Swarm makes of it.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::{
    HASH_LABEL, Swarm, limits,
    looks::Found,
    names,
    news::News,
    observe,
    watch::{Cause, Sent, Verdict, Watch},
};
use crate::{
    engine::{
        CallError, ContainerRef, Docker,
        swarm::{Service, Task},
    },
    event::{Event, Failure},
    execute::{Findings, Journal, Mark, Performer},
    plan::{Change, Operation, ServicePlan, What},
    project::FailureAction,
    stage::{Halt, Reporter, Stage},
    wait::{Ended, Heed, Look},
};

/// So often a service is looked at while its update goes on; an event makes it sooner.
pub(super) const LOOK: Duration = Duration::from_millis(700);
/// The log lines of a failed task that a person needs to see first.
const LOG_LINES: usize = 20;

/// What may have been done.
pub enum Effect {
    /// The service, as it was before it was sent.
    Sent(Box<Option<Service>>),
    /// A job under this name.
    Job(String),
}

pub struct Rollout<'a> {
    pub(super) swarm: &'a Swarm,
    pub(super) plan: &'a ServicePlan,
    pub(super) stage: &'a Stage<'a>,
    pub(super) watch: Option<Watch>,
    news: News,
    pub(super) sent: Instant,
    /// The tasks of the update that were seen last.
    latest: Vec<Task>,
    /// All tasks that were seen last.
    pub(super) seen: Option<Vec<Task>>,
    findings: Findings,
}

impl<'a> Rollout<'a> {
    pub fn new(swarm: &'a Swarm, plan: &'a ServicePlan, stage: &'a Stage<'a>) -> Rollout<'a> {
        Rollout {
            swarm,
            plan,
            stage,
            watch: None,
            news: News::default(),
            sent: stage.waiter.clock.now(),
            latest: vec![],
            seen: None,
            findings: Findings::default(),
        }
    }

    pub(super) fn reporter(&self) -> Reporter<'_> {
        self.stage.reporter(&self.plan.service)
    }

    pub(super) fn full_name(&self) -> String {
        self.swarm.full_name(&self.plan.service)
    }

    /// What is there of a service, seen after this run sent it.
    pub(super) fn find(&self, name: &str) -> Result<Found, CallError> {
        let Swarm { looks, managers, nodes, .. } = self.swarm;
        looks.find(name, self.sent, &*self.stage.waiter.clock, managers, nodes)
    }

    pub(super) fn begin_watch(&mut self, found: Found, hash: &str) {
        let before: BTreeSet<_> = found.tasks.iter().map(|task| task.id.clone()).collect();
        let checked = self.swarm.is_checked(&self.plan.service);
        self.news = News::new(&self.swarm.name, before.clone());
        let sent = Sent {
            hash: hash.to_owned(),
            before,
            update: found.service.as_ref().and_then(|service| service.update.clone()),
            nodes: found.nodes,
            proves_itself: !checked,
        };
        self.watch = Some(Watch::new(sent, limits::of(self.plan, &self.swarm.file)));
        self.sent = self.stage.waiter.clock.now();
    }

    fn deploy(&mut self, change: Change, journal: &mut Journal<Effect>) -> Result<(), Halt> {
        let service = &self.plan.service;
        let Some(target) = self.swarm.targets.get(service) else { return Ok(()) };
        let name = self.full_name();
        let found = self.find(&name)?;
        let (start, retire) = (self.plan.replicas, u32::try_from(self.plan.before.len()).unwrap_or(0));
        self.reporter().emit(Event::Batch { service: service.clone(), number: 1, of: 1, start, retire });
        journal.enter(Effect::Sent(Box::new(found.service.clone())));
        let (hash, version) = (target.hash.clone(), found.service.as_ref().map(|s| s.spec.clone()));
        self.begin_watch(found, &hash);
        let _turn = self.swarm.turn();
        let text =
            if matches!(change, Change::Down | Change::StopFirst) { &target.down_text } else { &target.text };
        let is_sent = |docker: &Docker| {
            let now = docker.services_named(std::slice::from_ref(&name))?.pop();
            Ok(now.is_some_and(|now| {
                now.label(HASH_LABEL) == Some(&hash) && Some(&now.spec) != version.as_ref()
            }))
        };
        match change {
            Change::Restart => self.swarm.managers.write(|docker| docker.force_service(&name), is_sent)?,
            _ => {
                let send = |docker: &Docker| docker.deploy_stack(&self.swarm.name, text);
                self.swarm.managers.write(send, is_sent)?;
            }
        }
        self.sent = self.stage.waiter.clock.now();
        Ok(())
    }

    /// Waits until Swarm has done what was sent, or will not do it.
    fn await_done(&mut self, journal: &mut Journal<Effect>) -> Result<(), Halt> {
        let name = self.full_name();
        if self.watch.is_none() {
            self.join(&name, journal)?;
        }
        let goes_on = self.plan.settings().failure.action == FailureAction::Continue;
        match self.watch(&name, Heed::All)? {
            Verdict::Done => Ok(()),
            Verdict::Stuck(_) if goes_on => {
                self.findings.lost = 1;
                Ok(())
            }
            verdict => Err(Halt::from(self.failure(verdict))),
        }
    }

    /// Another run has sent it, and was killed; or some of its tasks have fallen since, which is nobody's update.
    fn join(&mut self, name: &str, journal: &mut Journal<Effect>) -> Result<(), Halt> {
        let mut found = self.find(name)?;
        let now = found.service.clone().unwrap_or_default();
        let is_going = now.state() == "updating";
        if is_going && !now.previous.is_null() {
            let before = Service { spec: now.previous.clone(), update: None, ..now };
            journal.enter(Effect::Sent(Box::new(Some(before))));
        }
        // Which of them are new is not known; all that is told is of them.
        found.tasks.clear();
        let hash = self.swarm.targets.get(&self.plan.service).map(|target| target.hash.clone());
        self.begin_watch(found, &hash.unwrap_or_default());
        if let Some(watch) = self.watch.as_mut().filter(|_| is_going) {
            watch.sent.update = None;
        }
        Ok(())
    }

    fn watch(&mut self, name: &str, heed: Heed) -> Result<Verdict, Halt> {
        let waiter = self.stage.waiter.clone();
        self.swarm.looks.enter(name);
        let ended = waiter.until(None, heed, || {
            let found = self.find(name)?;
            let elapsed = self.elapsed();
            let verdict = self.judge(&found, elapsed);
            Ok::<_, CallError>(match verdict {
                Verdict::Wait => Look::Again(LOOK),
                verdict => Look::Done(verdict),
            })
        });
        self.swarm.looks.leave(name);
        match ended? {
            Ended::Done(verdict) => Ok(verdict),
            Ended::Interrupted | Ended::Deadline => Err(Halt::Interrupted),
            Ended::Alarm(reason) => Err(Halt::failed(reason, None)),
        }
    }

    /// What a look says, after all that it says of single tasks was passed on.
    fn judge(&mut self, found: &Found, elapsed: Duration) -> Verdict {
        let Some(watch) = &mut self.watch else { return Verdict::Gone };
        let verdict = watch.judge(&found.look(), elapsed);
        let back = !matches!(verdict, Verdict::Wait | Verdict::Done | Verdict::Stuck(_) | Verdict::Paused(_));
        let (limit, before) = (watch.limits.still, watch.sent.before.clone());
        self.tell(found, limit, back);
        self.latest = found.tasks.iter().filter(|task| !before.contains(&task.id)).cloned().collect();
        self.seen = Some(found.tasks.clone());
        verdict
    }

    pub(super) fn tell(&mut self, found: &Found, limit: Duration, back: bool) {
        let events = self.news.of(&found.look(), limit, back);
        for (container, generation, phase) in events {
            self.reporter().container(&container, generation, phase);
        }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.stage.waiter.clock.now().saturating_duration_since(self.sent)
    }

    pub(super) fn failure(&self, verdict: Verdict) -> Failure {
        match verdict {
            Verdict::RollingBack(cause) | Verdict::RolledBack(cause) | Verdict::Paused(cause) => {
                self.explained(cause)
            }
            Verdict::RollbackPaused(cause) | Verdict::Stuck(cause) => self.explained(cause),
            Verdict::ChangedByOther => Failure {
                reason: "somebody else has changed the service meanwhile".to_owned(),
                ..Failure::default()
            },
            Verdict::Gone => {
                let reason = "somebody has removed the service meanwhile".to_owned();
                Failure { reason, ..Failure::default() }
            }
            Verdict::Wait | Verdict::Done => Failure::default(),
        }
    }

    fn explained(&self, cause: Cause) -> Failure {
        let Cause { reason, task } = cause;
        let Some(task) = task else { return Failure { reason, ..Failure::default() } };
        let log_tail =
            self.swarm.managers.read(|docker| Ok(docker.task_log(&task.id, LOG_LINES))).unwrap_or_default();
        let container = (!task.node.is_empty()).then(|| observe::reference(&task, &self.swarm.name));
        let reason = match container {
            Some(_) => reason,
            None => format!("{} {reason}", task.name.trim_start_matches(&format!("{}_", self.swarm.name))),
        };
        Failure { reason, container, log_tail, ..Failure::default() }
    }
}

impl Performer for Rollout<'_> {
    type Effect = Effect;

    fn perform(&mut self, operation: &Operation, journal: &mut Journal<Effect>) -> Result<(), Halt> {
        match &operation.what {
            What::Deploy { change, .. } => self.deploy(*change, journal),
            What::RunOnce { name } => self.run_once(name, journal),
            What::Gate { .. } => self.await_done(journal),
            _ => Ok(()),
        }
    }

    fn take_back(&mut self, effect: Effect, to: Mark) -> Result<(), String> {
        match effect {
            Effect::Sent(before) => self.undo((*before).as_ref(), to),
            Effect::Job(name) => self.remove_job(&name).map_err(|error| super::undo::lost(&error)),
        }
    }

    fn settle(&mut self, _effects: Vec<Effect>) -> Result<(), String> {
        Ok(())
    }

    fn pause(&mut self, _journal: &mut Journal<Effect>) {}

    fn end(&mut self) {}

    fn check(&mut self, _journal: &Journal<Effect>) -> Result<(), Halt> {
        Ok(())
    }

    fn serving(&self) -> Option<Vec<ContainerRef>> {
        if self.plan.wanted.is_job() {
            return Some(vec![]);
        }
        let name = self.full_name();
        let found =
            self.swarm.managers.read(|docker| docker.tasks(std::slice::from_ref(&name), false)).ok()?;
        let running = found.iter().filter(|task| task.is_running() && task.desired == "running");
        Some(running.map(|task| observe::reference(task, &self.swarm.name)).collect())
    }

    fn left(&self, _journal: &Journal<Effect>) -> Vec<ContainerRef> {
        let alive = self.latest.iter().filter(|task| !task.has_ended() && !task.node.is_empty());
        alive.map(|task| observe::reference(task, &self.swarm.name)).collect()
    }

    fn findings(&self) -> Findings {
        self.findings.clone()
    }
}

impl Swarm {
    pub fn full_name(&self, service: &str) -> String {
        names::service(&self.name, service)
    }
}
