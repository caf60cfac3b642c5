//! Carries a plan out on simulated containers, one deed at a time, and says what went wrong.
//!
//! A deed is the least that an abrupt end can leave done: one container created, started, stopped or removed.
//! New containers always have a healthcheck, so none of them serves before a gate has let it pass.

use std::collections::BTreeSet;

use zdd::{
    event::{ContainerRef, Verdict},
    health::{Gate, Judgement},
    model::{Service, settings::Order, settings::Strategy},
    observed::{Container, HealthStatus, State},
    plan::{ServicePlan, Start, Step},
};

use crate::make::{IMAGE, Turned, fresh};

pub struct World<'a> {
    pub containers: Vec<Container>,
    service: &'a Service,
    /// The highest number ever given.
    born: u32,
}

#[derive(Clone, Debug)]
enum Deed {
    Check(Start, u32, u32),
    Create,
    /// Starts one of the containers that this run created.
    Launch,
    /// Starts one that was stopped.
    Wake(String),
    Gate(Vec<ContainerRef>),
    Drain(Vec<ContainerRef>),
    Stop(String),
    Remove(String),
}

/// What one run knows while it carries out its plan.
struct Run<'p> {
    plan: &'p ServicePlan,
    /// The containers that were there when the plan was made: the only ones that it may name.
    known: BTreeSet<String>,
    created: Vec<String>,
    /// Started, and no gate has passed them yet.
    unproven: Vec<String>,
    leaving: BTreeSet<String>,
    /// No fewer containers may serve.
    floor: usize,
}

pub fn running(container: &Container) -> bool {
    matches!(container.state, State::Running | State::Restarting)
}

impl<'a> World<'a> {
    pub fn new(service: &'a Service, containers: Vec<Container>) -> World<'a> {
        let born = containers.iter().map(|c| c.number).max().unwrap_or(0);
        World { containers, service, born }
    }

    /// Time passes: what was starting is healthy.
    pub fn let_boot(&mut self) {
        for container in self.containers.iter_mut().filter(|c| c.is_starting()) {
            *container = container.clone().healthy();
        }
    }

    /// How many deeds the plan takes.
    pub fn length(&self, plan: &ServicePlan) -> usize {
        plan.steps.iter().map(|step| self.deeds(step).len()).sum()
    }

    /// Does the first `limit` deeds of a plan.
    pub fn perform(&mut self, plan: &ServicePlan, limit: usize) -> Result<(), String> {
        let known = self.containers.iter().map(|c| c.id.clone()).collect();
        let mut run = Run {
            plan,
            known,
            created: vec![],
            unproven: vec![],
            leaving: BTreeSet::new(),
            floor: self.floor(plan),
        };
        let deeds: Vec<_> = plan.steps.iter().flat_map(|step| self.deeds(step)).collect();
        let to_the_end = limit >= deeds.len();
        for deed in deeds.into_iter().take(limit) {
            self.carry_out(&deed, &mut run).map_err(|problem| format!("{deed:?}: {problem}"))?;
            let serving = self.serving(&run);
            if serving < run.floor {
                return Err(format!("{deed:?}: {serving} serve, fewer than {}", run.floor));
            }
        }
        match run.unproven.as_slice() {
            [_, ..] if to_the_end => Err(format!("no gate has passed {:?}", run.unproven)),
            _ => Ok(()),
        }
    }

    /// The promise: start-first never falls below what is wanted, or served before; stop-first by one batch
    /// below what is wanted.
    fn floor(&self, plan: &ServicePlan) -> usize {
        let serving = self.containers.iter().filter(|c| c.serves()).count();
        let wanted = self.service.replicas as usize;
        let promised = serving.min(wanted);
        let unproven = self.containers.iter().any(|c| running(c) && !c.serves());
        match (plan.verdict, self.service.settings.order, self.service.settings.parallelism as usize) {
            (Verdict::Recreate, _, _) | (_, Order::StopFirst, 0) => 0,
            (_, Order::StartFirst, _) => promised,
            (_, Order::StopFirst, _) if unproven => 0,
            (_, Order::StopFirst, batch) => promised.min(wanted.saturating_sub(batch)),
        }
    }

    fn serving(&self, run: &Run) -> usize {
        let serves =
            |c: &&Container| c.serves() && !run.unproven.contains(&c.id) && !run.leaving.contains(&c.id);
        self.containers.iter().filter(serves).count()
    }

    fn deeds(&self, step: &Step) -> Vec<Deed> {
        let each = |containers: &[ContainerRef], deed: fn(String) -> Deed| {
            containers.iter().map(|c| deed(c.id.clone())).collect::<Vec<_>>()
        };
        match step {
            Step::PreStart | Step::Delay { .. } | Step::Settle { .. } => vec![],
            Step::Clear { containers } | Step::Remove { containers } => each(containers, Deed::Remove),
            Step::Start { count, scale, how, .. } => {
                let mut deeds = vec![Deed::Check(*how, *scale, *count)];
                deeds.extend((0..*count).map(|_| Deed::Create));
                deeds.extend((0..*count).map(|_| Deed::Launch));
                deeds
            }
            Step::Gate { also, .. } => vec![Deed::Gate(also.clone())],
            Step::Drain { containers, .. } => vec![Deed::Drain(containers.clone())],
            Step::Stop { containers, .. } => each(containers, Deed::Stop),
            Step::Revive { .. } => self.revival(),
            // Simulated jobs end by themselves.
            Step::Await { .. } => vec![],
            Step::Recreate { .. } => self.recreation(),
        }
    }

    /// `up -d`, as Compose does it: what diverges is replaced, what does not is started; what is beyond the
    /// wanted count goes, diverged ones first, then those with the highest numbers; what is missing is made.
    fn revival(&self) -> Vec<Deed> {
        let wanted = self.service.replicas as usize;
        // Dead ones are cleared before, as Compose could not start them.
        let mut ranked: Vec<_> = self.containers.iter().filter(|c| c.state != State::Dead).collect();
        let there = ranked.len();
        ranked.sort_by_key(|c| (self.diverges(c), c.number));
        let (mut deeds, mut wakes) = (vec![], vec![]);
        for (index, old) in ranked.into_iter().enumerate() {
            match () {
                () if index < wanted && !self.diverges(old) => {
                    wakes.extend((!running(old)).then(|| Deed::Wake(old.id.clone())));
                    continue;
                }
                () if index < wanted => deeds.push(Deed::Create),
                () => {}
            }
            deeds.extend(running(old).then(|| Deed::Stop(old.id.clone())));
            deeds.push(Deed::Remove(old.id.clone()));
        }
        deeds.extend((there..wanted).map(|_| Deed::Create));
        let created = deeds.iter().filter(|deed| matches!(deed, Deed::Create)).count();
        deeds.extend((0..created).map(|_| Deed::Launch));
        deeds.extend(wakes);
        deeds
    }

    fn diverges(&self, container: &Container) -> bool {
        container.config_hash != self.service.hash || container.image_id != IMAGE
    }

    /// As Compose does it: one after another; what is beyond the wanted count goes.
    fn recreation(&self) -> Vec<Deed> {
        let wanted = self.service.replicas as usize;
        let mut deeds = vec![];
        for (index, old) in self.containers.iter().enumerate() {
            deeds.extend((index < wanted).then_some(Deed::Create));
            deeds.extend(running(old).then(|| Deed::Stop(old.id.clone())));
            deeds.push(Deed::Remove(old.id.clone()));
        }
        deeds.extend((self.containers.len()..wanted).map(|_| Deed::Create));
        deeds.extend((0..wanted).map(|_| Deed::Launch));
        deeds
    }

    fn carry_out(&mut self, deed: &Deed, run: &mut Run) -> Result<(), String> {
        match deed {
            Deed::Check(how, scale, count) => self.check(*how, *scale, *count),
            Deed::Create => {
                self.born += 1;
                let new = fresh(&self.service.name, self.born).created();
                run.created.push(new.id.clone());
                self.containers.push(new);
                Ok(())
            }
            Deed::Launch => {
                let id = run.created.pop().ok_or("nothing was created")?;
                self.launch(id, run)
            }
            Deed::Wake(id) => self.launch(id.clone(), run),
            Deed::Gate(also) => self.gate(also, run),
            Deed::Drain(containers) => self.drain(containers, run),
            Deed::Stop(id) => self.stop(id, run),
            Deed::Remove(id) => self.remove(id, run),
        }
    }

    fn check(&self, how: Start, scale: u32, count: u32) -> Result<(), String> {
        let there = self.containers.len() as u32;
        if scale != there + count {
            return Err(format!("{there} are there, so the scale is {}", there + count));
        }
        let stopped = self.containers.iter().any(|c| !running(c));
        match how {
            Start::Up if stopped => Err("Compose would start the stopped ones too".to_owned()),
            Start::CreateThenStart if self.service.injected_files => {
                Err("only Compose can start containers with injected files".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn launch(&mut self, id: String, run: &mut Run) -> Result<(), String> {
        let exclusive =
            !self.service.hazards.is_empty() && self.service.settings.strategy != Strategy::Rolling;
        let beside = self.containers.iter().find(|c| running(c) || c.state == State::Paused);
        if let Some(other) = beside.filter(|_| exclusive) {
            return Err(format!("started beside {}", other.name));
        }
        let new = self.find(&id)?;
        if !matches!(new.state, State::Created | State::Exited) {
            return Err(format!("{} is {:?}: it cannot be started", new.name, new.state));
        }
        *new = Container { restart_count: 0, ..new.clone().starting() };
        run.unproven.push(id);
        Ok(())
    }

    /// Everything becomes healthy, and the real gate must agree.
    fn gate(&mut self, also: &[ContainerRef], run: &mut Run) -> Result<(), String> {
        let settings = &self.service.settings;
        let gate = Gate { monitor: settings.monitor, wait_timeout: settings.wait_timeout, one_shot: false };
        let new = std::mem::take(&mut run.unproven);
        for id in new.iter().chain(also.iter().map(|c| &c.id)) {
            let container = self.find(id)?;
            let past = if new.contains(id) { 0 } else { container.restart_count };
            if container.health.is_some() {
                *container = container.clone().health(HealthStatus::Healthy);
            }
            let judged = gate.judge(container, past, gate.monitor);
            if judged != Judgement::Pass {
                return Err(format!("{} can never pass: {judged:?}", container.name));
            }
        }
        Ok(())
    }

    fn drain(&mut self, containers: &[ContainerRef], run: &mut Run) -> Result<(), String> {
        for container in containers {
            known(&container.id, run)?;
            if !running(self.find(&container.id)?) {
                return Err(format!("{} does not run", container.name));
            }
            run.leaving.insert(container.id.clone());
        }
        Ok(())
    }

    fn stop(&mut self, id: &str, run: &mut Run) -> Result<(), String> {
        known(id, run)?;
        let recreated = run.plan.verdict == Verdict::Recreate;
        if !run.unproven.is_empty() && self.service.settings.order == Order::StartFirst && !recreated {
            return Err("no gate has passed the new ones yet".to_owned());
        }
        if !recreated && !run.leaving.contains(id) {
            return Err("it was not drained".to_owned());
        }
        if let Some(successor) = self.unwatched_successor(run) {
            return Err(format!("nobody has watched {successor}, which is to stay"));
        }
        let container = self.find(id)?;
        if !running(container) {
            return Err("it does not run".to_owned());
        }
        *container = container.clone().exited(0);
        Ok(())
    }

    /// What an earlier run started, what no step stops, and what still boots.
    fn unwatched_successor(&self, run: &Run) -> Option<&str> {
        let goes = |c: &Container| {
            run.plan.steps.iter().any(|step| match step {
                Step::Stop { containers, .. } => containers.iter().any(|going| going.id == c.id),
                _ => false,
            })
        };
        let mut staying = self.containers.iter().filter(|c| run.known.contains(&c.id) && !goes(c));
        let booting = staying.find(|c| c.is_starting())?;
        (run.plan.verdict == Verdict::Roll).then_some(&booting.name)
    }

    fn remove(&mut self, id: &str, run: &mut Run) -> Result<(), String> {
        known(id, run)?;
        if running(self.find(id)?) {
            return Err("it still runs".to_owned());
        }
        self.containers.retain(|c| c.id != id);
        Ok(())
    }

    fn find(&mut self, id: &str) -> Result<&mut Container, String> {
        self.containers.iter_mut().find(|c| c.id == id).ok_or_else(|| format!("there is no {id}"))
    }
}

fn known(id: &str, run: &Run) -> Result<(), String> {
    match run.known.contains(id) {
        true => Ok(()),
        false => Err(format!("{id} was not there when the plan was made")),
    }
}
