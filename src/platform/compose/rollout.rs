//! One service's rollout by Compose: which operation does what, and what undoes it.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    sync::MutexGuard,
    time::{Duration, Instant},
};

use super::{Containers, judge::Gate, ports::lost_to, rename::Renamed};
use crate::{
    engine::{CallError, ContainerRef, Engine, Problem, Replica, ids, references},
    event::{Generation, Phase, Verdict},
    execute::{Findings, Journal, Mark, Performer},
    plan::{Operation, ServicePlan, Start, What},
    project::Service,
    proxy::{HeldPorts, Lease, Proxies, Scene, Way},
    stage::{Halt, Reporter, Stage},
};

/// So often it is looked without news of the engine.
const LOOK: Duration = Duration::from_millis(500);

/// What is done to the containers of a service.
pub enum Effect {
    /// New ones are made: all that is there and not among the `known` IDs.
    Start { batch: u32, known: Vec<String>, made: Vec<Replica> },
    /// Compose starts what is stopped, or puts something in its place that has its anonymous volumes: those are
    /// stopped again, and kept.
    Revive { known: Vec<String>, made: Vec<Replica>, kept: Vec<Replica> },
    /// Old ones leave the traffic: their `pre_stop` hooks run, and proxies lease something for them.
    Drain { leaving: Vec<Replica>, hooked: Vec<Replica>, leases: Vec<Box<dyn Lease>> },
    /// New ones get names of old ones.
    Rename { renamed: Vec<Renamed> },
    /// Old ones stop. `cut_off`: the stop broke off, so that they may end although they still run.
    Stop { stopped: Vec<Replica>, cut_off: bool, leases: Vec<Box<dyn Lease>> },
    /// Compose stops old ones and starts new ones in their place. `cut_off`: it was given up meanwhile.
    Recreate { old: Vec<Replica>, known: Vec<String>, made: Vec<Replica>, cut_off: bool },
    /// Connections go by way of a helper.
    Hold,
    /// New ones run where the old ones have ended.
    Run { made: Vec<Replica> },
    /// Connections go to these by themselves again.
    Release { next: Vec<Replica> },
    /// Connections to ports of the host go by way of a helper, until the service has them.
    HoldPorts { to: String },
    /// Another service has them.
    PassPorts { to: String, ports: Vec<String> },
}

impl Effect {
    /// The new containers that it has made.
    pub(super) fn made(&self) -> &[Replica] {
        match self {
            Effect::Start { made, .. } | Effect::Revive { made, .. } | Effect::Recreate { made, .. } => made,
            _ => &[],
        }
    }

    /// The new containers that the operation of this batch has made.
    pub(super) fn made_of(batch: u32, journal: &mut Journal<Effect>) -> Vec<Replica> {
        let made = journal.effects_mut().rev().find_map(|effect| effect.made_in(batch).cloned());
        made.unwrap_or_default()
    }

    /// Those that this one has made, if it is of that batch.
    pub(super) fn made_in(&mut self, wanted: u32) -> Option<&mut Vec<Replica>> {
        match self {
            Effect::Start { batch, made, .. } if *batch == wanted => Some(made),
            Effect::Revive { made, .. } | Effect::Recreate { made, .. } => Some(made),
            _ => None,
        }
    }
}

pub struct Rollout<'a> {
    pub(super) compose: &'a Containers<'a>,
    pub(super) plan: &'a ServicePlan,
    pub(super) stage: &'a Stage<'a>,
    proxies: RefCell<Proxies>,
    pub(super) gate: Gated,
    /// Old containers that stay in the place of new ones that were lost.
    pub(super) spared: Spared,
    pub(super) findings: Findings,
    /// When nothing served any more, of a service that must be alone.
    pub(super) down_since: Option<Instant>,
    /// Nothing else of the project starts: an address is kept for those who wait.
    pub(super) turn: Option<MutexGuard<'a, ()>>,
    /// Those that were stopped last, and ran before.
    pub(super) stopped: Vec<Replica>,
    /// Compose has removed the old ones.
    pub(super) replaced: bool,
    /// Service → the ports of the host that it is to get.
    pub(super) ports: BTreeMap<String, HeldPorts>,
}

/// What the gates have seen so far.
#[derive(Default)]
pub(super) struct Gated {
    /// Failed new containers that `max_failure_ratio` lets pass.
    pub forgiven: Vec<ContainerRef>,
    /// Containers of this run, and of earlier ones, that have passed, by ID, each with its restarts until then.
    pub passed: BTreeMap<String, u64>,
    /// When the last gate let all pass.
    pub at: Option<Instant>,
    /// When it was last looked whether those that have passed would pass again.
    pub looked: Cell<Option<Instant>>,
}

#[derive(Default)]
pub(super) struct Spared {
    /// Still to be spared.
    pub count: usize,
    pub kept: Vec<Replica>,
}

impl<'a> Rollout<'a> {
    pub fn new(compose: &'a Containers<'a>, plan: &'a ServicePlan, stage: &'a Stage<'a>) -> Rollout<'a> {
        let rollout = Rollout {
            compose,
            plan,
            stage,
            proxies: RefCell::new(Proxies::open(&plan.ways)),
            gate: Gated::default(),
            spared: Spared::default(),
            findings: Findings::default(),
            down_since: None,
            turn: None,
            stopped: vec![],
            replaced: false,
            ports: BTreeMap::new(),
        };
        rollout.with_proxies(|proxies, scene| proxies.prepare(&plan.before, scene));
        rollout
    }

    /// Whether the proxies must know of every step.
    pub(super) fn is_handed_over(&self) -> bool {
        self.compose.help.is_some() && self.plan.ways.iter().any(Way::uses_helper)
    }

    pub(super) fn is_held(&self) -> bool {
        self.with_proxies(|proxies, _| proxies.is_holding())
    }

    /// Until it is dropped nothing of the project starts; `None` where this service's turn goes on anyway.
    pub(super) fn take_turn(&self) -> Option<MutexGuard<'a, ()>> {
        self.turn.is_none().then(|| self.compose.turn())
    }

    pub(super) fn engine(&self) -> &'a dyn Engine {
        self.compose.engine
    }

    pub(super) fn service(&self) -> &'a Service {
        &self.plan.wanted
    }

    pub(super) fn reporter(&self) -> Reporter<'a> {
        self.stage.reporter(&self.plan.service)
    }

    pub(super) fn warn(&self, message: &str) {
        self.reporter().warn(message);
    }

    pub(super) fn now(&self) -> Instant {
        self.stage.waiter.clock.now()
    }

    /// Looks at what happens while a call goes on.
    pub(super) fn meanwhile<T: Send>(&self, call: impl FnOnce() -> T + Send, look: impl FnMut()) -> T {
        self.stage.waiter.meanwhile(LOOK, call, look)
    }

    /// A call that fails for a moment must not end a rollout, nor its rollback.
    pub(super) fn again<T>(&self, call: impl FnMut() -> Result<T, CallError>) -> Result<T, CallError> {
        self.stage.waiter.again(call, CallError::is_interrupted)
    }

    /// Lets the proxies do something.
    pub(super) fn with_proxies<T>(&self, act: impl FnOnce(&mut Proxies, &Scene) -> T) -> T {
        let old_are_needed = || self.old_are_needed();
        let scene = Scene {
            engine: self.engine(),
            help: self.compose.help,
            waiter: &self.stage.waiter,
            reporter: self.reporter(),
            project: &self.compose.project.name,
            service: self.service(),
            before: &self.plan.before,
            after: &self.plan.after,
            old_are_needed: &old_are_needed,
        };
        act(&mut self.proxies.borrow_mut(), &scene)
    }

    pub(super) fn with_leases(
        &self,
        leases: &mut [Box<dyn Lease>],
        mut act: impl FnMut(&mut Box<dyn Lease>, &Scene) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        self.with_proxies(|_, scene| leases.iter_mut().try_for_each(|lease| act(lease, scene)))
    }

    pub(super) fn give_back(&self, leases: Vec<Box<dyn Lease>>, gone: bool) {
        self.with_proxies(|_, scene| leases.into_iter().for_each(|lease| lease.give_back(gone, scene)));
    }

    /// The gate of new containers.
    pub(super) fn new_gate(&self) -> Gate {
        let gate = Gate::of(self.service());
        // Where one has served, the next one must go on.
        Gate { may_end: gate.job || gate.may_end && self.plan.verdict == Verdict::Create, ..gate }
    }

    /// What the slowest of them is given to end.
    pub(super) fn grace(&self, replicas: &[Replica]) -> Duration {
        if let Some(seconds) = self.compose.stop_timeout {
            return u64::try_from(seconds).map_or(Duration::MAX, Duration::from_secs);
        }
        replicas.iter().map(|replica| replica.grace).max().unwrap_or(self.service().grace)
    }
}

impl Performer for Rollout<'_> {
    type Effect = Effect;

    fn perform(&mut self, operation: &Operation, journal: &mut Journal<Effect>) -> Result<(), Halt> {
        match &operation.what {
            What::Clear { containers } => Ok(self.remove_now(containers, Generation::Old)?),
            What::PreStart => self.pre_start(),
            What::Create { count, .. } => self.create(operation.batch, *count, journal),
            What::Start { how: Start::Created, .. } => self.start_created(operation.batch, journal),
            What::Start { count, how, .. } => self.start(operation.batch, *count, *how, journal),
            What::Hold { containers } => self.hold(containers, journal),
            What::Release => self.release(operation.batch, journal),
            What::HoldPorts { containers, to, .. } => self.hold_ports(containers, to, journal),
            What::PassPorts { to, ports, .. } => self.pass_ports(to, ports, journal),
            What::Gate { also } => self.pass_gate(operation.batch, also, journal),
            What::Drain { containers, heirs } => self.drain(containers, heirs, journal),
            What::Rename { names } => self.rename(operation.batch, names, journal),
            What::Stop { containers } => self.stop_old(containers, journal),
            What::Remove { containers } => self.remove(containers, journal),
            What::Await { containers } => self.await_end(containers),
            What::Revive { force, .. } => self.revive(*force, journal),
            What::Recreate { old, .. } => self.recreate(old, journal),
            // The executor waits by itself, and the rest is another platform's.
            What::Delay { .. } | What::Settle { .. } | What::Deploy { .. } | What::RunOnce { .. } => Ok(()),
        }
    }

    fn take_back(&mut self, effect: Effect, to: Mark) -> Result<(), String> {
        match effect {
            Effect::Start { known, .. } => {
                let made = self.again(|| self.made_since(&known)).map_err(text)?;
                self.discard(&made).map_err(text)
            }
            Effect::Revive { known, kept, .. } => {
                self.stop(&kept, Generation::New, false, &mut []).map_err(text)?;
                let mut made = self.again(|| self.made_since(&known)).map_err(text)?;
                made.retain(|replica| !kept.contains(replica));
                self.discard(&made).map_err(text)
            }
            Effect::Drain { hooked, leases, .. } => {
                // Drained but not stopped: they go on serving.
                self.give_back(leases, false);
                self.restart_those_going_out(&hooked)
            }
            Effect::Rename { renamed } => self.rename_back(renamed).map_err(text),
            Effect::Stop { stopped, cut_off, leases } => {
                self.give_back(leases, true);
                // What Compose has put in their place was seen to before.
                if self.replaced { Ok(()) } else { self.restore(&stopped, cut_off, to) }
            }
            Effect::Recreate { old, known, cut_off, .. } => self.restart_recreated(&old, &known, cut_off, to),
            // Removed they are when the old ones run again.
            Effect::Run { made } => {
                self.stand_by(&self.stopped, &made);
                if self.is_held() {
                    self.let_wait(&made);
                }
                self.end_new(&made).map_err(text)
            }
            Effect::Hold => {
                self.release_to_who_runs();
                Ok(())
            }
            Effect::Release { next } => {
                self.hold_again(&next);
                Ok(())
            }
            Effect::HoldPorts { to } => {
                self.let_ports_go(&to);
                Ok(())
            }
            Effect::PassPorts { to, ports } => Err(lost_to(&to, &ports)),
        }
    }

    fn settle(&mut self, effects: Vec<Effect>) -> Result<(), String> {
        for effect in effects {
            if let Effect::Stop { stopped, .. } = effect {
                self.remove_now(&stopped, Generation::Old).map_err(text)?;
            }
        }
        Ok(())
    }

    fn pause(&mut self, journal: &mut Journal<Effect>) {
        for effect in journal.effects_mut() {
            if let Effect::Drain { leases, .. } = effect {
                let leases = std::mem::take(leases);
                self.give_back(leases, false);
            }
        }
    }

    fn end(&mut self) {
        self.stand_down();
        if self.stage.waiter.is_abandoned() {
            return;
        }
        if self.is_held() {
            self.release_to_who_runs();
        }
        while let Some(to) = self.ports.keys().next().cloned() {
            self.let_ports_go(&to);
        }
    }

    /// That the engine does not answer is no reason to go back.
    fn check(&mut self, _journal: &Journal<Effect>) -> Result<(), Halt> {
        match self.fallen() {
            Err(error) if !error.is_interrupted() => {
                self.warn(&format!("the new containers could not be checked again: {error}"));
                Ok(())
            }
            fallen => self.unless_fallen(fallen?),
        }
    }

    fn serving(&self) -> Option<Vec<ContainerRef>> {
        let found = self.engine().containers(Some(&self.plan.service)).ok()?;
        let mut serving: Vec<_> = found.iter().filter(|c| c.serves()).collect();
        serving.sort_by_key(|c| c.number);
        Some(serving.into_iter().map(|c| c.reference()).collect())
    }

    fn left(&self, journal: &Journal<Effect>) -> Vec<ContainerRef> {
        let mut left = Vec::new();
        for effect in journal.effects() {
            let replicas = match effect {
                Effect::Start { made, .. } | Effect::Revive { made, .. } => made,
                Effect::Drain { leaving, .. } => leaving,
                Effect::Stop { stopped, .. } => stopped,
                Effect::Run { made } => made,
                Effect::Recreate { .. } | Effect::Rename { .. } | Effect::Hold | Effect::Release { .. } => {
                    continue;
                }
                Effect::HoldPorts { .. } | Effect::PassPorts { .. } => continue,
            };
            left.extend(
                references(replicas).into_iter().filter(|one| !left.contains(one)).collect::<Vec<_>>(),
            );
        }
        left
    }

    fn findings(&self) -> Findings {
        self.findings.clone()
    }
}

pub(super) fn text(error: impl ToString) -> String {
    error.to_string()
}

/// Somebody removed a container by hand meanwhile: that is where it was going.
pub fn tolerate_missing(error: CallError) -> Result<(), CallError> {
    let missing = |line: &str| line.contains("No such container") || line.contains("is already in progress");
    match &error.problem {
        Problem::Failed { stderr, .. } if stderr.lines().all(missing) => Ok(()),
        _ => Err(error),
    }
}

impl Rollout<'_> {
    /// The last step: the new version serves, so what cannot be removed is left for the next run to clear.
    fn remove(&mut self, containers: &[Replica], journal: &mut Journal<Effect>) -> Result<(), Halt> {
        journal.close();
        let going: Vec<_> = containers.iter().filter(|c| !self.spared.kept.contains(c)).cloned().collect();
        if let Err(error) = self.remove_now(&going, Generation::Old) {
            self.warn(&format!("not every old container could be removed, they are stopped: {error}"));
        }
        Ok(())
    }

    pub(super) fn remove_now(&self, replicas: &[Replica], generation: Generation) -> Result<(), CallError> {
        self.engine().remove(&ids(replicas), true).or_else(tolerate_missing)?;
        self.reporter().each(replicas, generation, &Phase::Removed);
        Ok(())
    }
}
