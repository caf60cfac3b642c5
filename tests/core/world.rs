//! An engine of simulated containers on which the real executor performs real plans. It says what went wrong, and can
//! fail, be interrupted or lose its power before any change that is made to it.
//!
//! A change is the least that an abrupt end can leave done: one container created, started, stopped or removed.
//! New containers always have a healthcheck, so none of them serves before a gate has let it pass.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use zdd::{
    engine::{
        Attached, CallError, Container, ContainerRef, Engine, HookRun, Network, Order as ToDo, Problem,
        State, UpOptions,
        config::Hook,
        container::{Process, RestartPolicy},
    },
    event::{Event, Sink, Verdict},
    execute::{ServiceResult, execute},
    helper::{Help, Presence},
    interrupt::Interrupt,
    plan::{Plan, Request, ServicePlan, What},
    platform::compose::{Containers, Next, Observed, next},
    project::{Order, Project, Service, Strategy, hazards},
    stage::Stage,
    wait::{Clock, Waiter, Waker},
};

use crate::{
    bridge::{self, Host},
    make::{self, IMAGE, Turned, current},
};

/// What happens instead of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The machine is gone: nothing changes any more, and every call fails.
    Power,
    /// The user interrupts, just before it.
    Interrupt,
    /// The call fails, once.
    Failure,
    /// The engine obeys from now on, and answers no question.
    Silence,
}

pub struct World<'a> {
    project: &'a Project,
    simulation: Arc<Mutex<Simulation>>,
}

#[derive(Clone)]
struct Simulation {
    containers: Vec<Container>,
    /// Of the last run, where the containers are on a network.
    host: Option<Arc<Host>>,
    service: Service,
    exclusive: bool,
    /// Containers made so far, by anybody.
    born: u32,
    /// New ones never become healthy.
    new_are_bad: bool,
    /// What is to be done should the run be killed now.
    left_to_do: Option<ToDo>,
    run: Run,
}

/// One run, as the engine sees it.
#[derive(Clone, Default)]
struct Run {
    verdict: Option<Verdict>,
    /// The IDs that it may touch: what was there when the plan was made, and what it has created.
    known: Vec<String>,
    created: Vec<String>,
    /// What ran before it began.
    ran: Vec<String>,
    /// What stays although it was there before, and still boots.
    unwatched: Option<String>,
    /// No fewer containers may serve.
    floor: usize,
    changes: usize,
    trouble: Option<(usize, Trouble)>,
    power_is_gone: bool,
    is_silent: bool,
    interrupt: Arc<Interrupt>,
    broken: Option<String>,
}

/// What came of a run.
pub struct Ran {
    pub results: Vec<ServiceResult>,
    /// How many changes were made.
    pub changes: usize,
}

pub fn running(container: &Container) -> bool {
    matches!(container.state, State::Running | State::Restarting)
}

impl<'a> World<'a> {
    pub fn new(project: &'a Project, mut containers: Vec<Container>) -> World<'a> {
        let service = Service::clone(&project.services["web"]);
        for container in &mut containers {
            container.restart = policy("unless-stopped");
        }
        let exclusive = !hazards("web", project).is_empty() && service.settings.strategy != Strategy::Rolling;
        let born = containers.iter().map(|c| c.number).max().unwrap_or(0);
        let (host, left_to_do, run) = Default::default();
        let simulation =
            Simulation { containers, host, service, exclusive, born, new_are_bad: false, left_to_do, run };
        World { project, simulation: Arc::new(Mutex::new(simulation)) }
    }

    /// Whoever runs has an address, and connections are handed over.
    pub fn on_a_network(self) -> World<'a> {
        self.with_host(Host::default())
    }

    /// On a network where nobody else is.
    pub fn on_a_deserted_network(self) -> World<'a> {
        self.with_host(Host::deserted())
    }

    fn with_host(self, host: Host) -> World<'a> {
        let mut world = self.simulation();
        world.host = Some(Arc::new(host));
        for at in 0..world.containers.len() {
            let mut container = world.containers[at].clone();
            match running(&container) {
                true => drop(bridge::connect(&mut container, &world.containers)),
                false => bridge::disconnect(&mut container),
            }
            world.containers[at] = container;
        }
        drop(world);
        self
    }

    pub fn host(&self) -> Arc<Host> {
        self.simulation().host.clone().expect("a network")
    }

    fn simulation(&self) -> MutexGuard<'_, Simulation> {
        self.simulation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn containers(&self) -> Vec<Container> {
        self.simulation().containers.clone()
    }

    /// What another process does when the run was killed. It may start one beside another as little as the run.
    pub fn do_what_is_left(&self) -> Result<(), String> {
        let mut world = self.simulation();
        let Some(left_to_do) = world.left_to_do.take() else { return Ok(()) };
        // The helpers let go of an address that somebody takes.
        world.host = world.host.take().map(|_| Arc::default());
        if let Next::Start(ids) = next(&left_to_do, &world.containers) {
            ids.iter().try_for_each(|id| world.launch(id)).map_err(|error| error.to_string())?;
        }
        std::mem::take(&mut world.run).broken.map_or(Ok(()), Err)
    }

    pub fn spoil_new_ones(&self) {
        self.simulation().new_are_bad = true;
    }

    pub fn observed(&self) -> Observed {
        let helper = if self.simulation().host.is_some() { Presence::Ready } else { Presence::Off };
        Observed { helper, ..make::observed(self.project, &self.containers()) }
    }

    pub fn plan(&self, request: &Request) -> Plan {
        make::plan(self.project, &self.observed(), request)
    }

    /// A world with the same containers.
    pub fn copy(&self) -> World<'a> {
        let simulation = Arc::new(Mutex::new(self.simulation().clone()));
        World { project: self.project, simulation }
    }

    /// Performs a plan, with something instead of the change of this number.
    ///
    /// # Errors
    /// The first promise that was broken.
    pub fn perform(&self, plan: &Plan, trouble: Option<(usize, Trouble)>) -> Result<Ran, String> {
        let interrupt = Arc::new(Interrupt::default());
        self.simulation().begin(&plan.services[0], trouble, interrupt.clone());
        let observed = self.observed();
        let host = self.simulation().host.as_ref().map(|_| Arc::new(Host::default()));
        self.simulation().host.clone_from(&host);
        let help = host.as_deref().map(|host| host as &dyn Help);
        let mut containers = Containers::new(self, self.project, &observed.images, None);
        containers.help = help;
        let began = Instant::now();
        let clock = Arc::new(Time { began, passed: Mutex::default(), simulation: self.simulation.clone() });
        let waiter = Waiter { clock, ..Waiter::new(Arc::default(), interrupt) };
        let stage = Stage { waiter, sink: &Silence, began, watch_alone: Duration::ZERO };
        let results = execute(&containers, plan, &stage);
        let run = std::mem::take(&mut self.simulation().run);
        let left = host.filter(|_| !run.power_is_gone).and_then(|host| host.left());
        match run.broken.or(left) {
            Some(broken) => Err(broken),
            None => Ok(Ran { results, changes: run.changes }),
        }
    }
}

struct Silence;

impl Sink for Silence {
    fn on(&self, _at: Duration, _event: &Event) {}
}

/// Passes at once, and lets containers boot.
struct Time {
    began: Instant,
    passed: Mutex<Duration>,
    simulation: Arc<Mutex<Simulation>>,
}

impl Clock for Time {
    fn now(&self) -> Instant {
        self.began + *self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep(&self, _: &Waker, _: u64, limit: Duration) {
        *self.passed.lock().unwrap_or_else(PoisonError::into_inner) += limit;
        self.simulation.lock().unwrap_or_else(PoisonError::into_inner).let_boot();
    }
}

fn policy(name: &str) -> RestartPolicy {
    RestartPolicy { name: name.to_owned(), max_retries: 0 }
}

fn error(call: &str, problem: Problem) -> CallError {
    CallError { call: call.to_owned(), problem }
}

fn failed(call: &str, why: &str) -> CallError {
    error(call, Problem::Failed { code: 1, stderr: why.to_owned() })
}

impl Simulation {
    fn begin(&mut self, plan: &ServicePlan, trouble: Option<(usize, Trouble)>, interrupt: Arc<Interrupt>) {
        self.run = Run {
            verdict: Some(plan.verdict),
            known: self.containers.iter().map(|c| c.id.clone()).collect(),
            ran: self.containers.iter().filter(|c| running(c)).map(|c| c.id.clone()).collect(),
            unwatched: self.unwatched(plan),
            floor: self.floor(plan.verdict),
            trouble,
            interrupt,
            ..Run::default()
        };
    }

    /// The promise: start-first never falls below what is wanted, or served before; stop-first by one batch
    /// below what is wanted.
    fn floor(&self, verdict: Verdict) -> usize {
        let serving = self.serving();
        let wanted = self.service.replicas as usize;
        let promised = serving.min(wanted);
        let unproven = self.containers.iter().any(|c| running(c) && !c.serves());
        let settings = &self.service.settings;
        match (verdict, settings.order, settings.parallelism as usize) {
            (Verdict::Hold | Verdict::Recreate, _, _) | (_, Order::StopFirst, 0) => 0,
            (_, Order::StartFirst, _) => promised,
            (_, Order::StopFirst, _) if unproven => 0,
            (_, Order::StopFirst, batch) => promised.min(wanted.saturating_sub(batch)),
        }
    }

    fn serving(&self) -> usize {
        self.containers.iter().filter(|c| c.serves()).count()
    }

    /// What an earlier run started, what no operation stops, what no gate looks at, and what still boots.
    fn unwatched(&self, plan: &ServicePlan) -> Option<String> {
        let is_named = |c: &Container| {
            plan.operations.iter().any(|op| match &op.what {
                What::Stop { containers } | What::Gate { also: containers } => {
                    containers.iter().any(|one| one.id == c.id)
                }
                _ => false,
            })
        };
        let mut booting = self.containers.iter().filter(|c| c.is_starting() && !is_named(c));
        Some(booting.next()?.name.clone()).filter(|_| plan.verdict == Verdict::Roll)
    }

    fn let_boot(&mut self) {
        let new_are_bad = self.new_are_bad;
        for container in self.containers.iter_mut().filter(|c| c.is_starting()) {
            let is_bad = new_are_bad && self.run.created.contains(&container.id);
            let turned = container.clone();
            *container = if is_bad { turned.unhealthy() } else { turned.healthy() };
        }
    }

    /// Something is about to change.
    fn change(&mut self, call: &str) -> Result<(), CallError> {
        self.power()?;
        if let Some((_, trouble)) = self.run.trouble.filter(|(at, _)| *at == self.run.changes) {
            self.run.trouble = None;
            match trouble {
                Trouble::Power => {
                    self.run.power_is_gone = true;
                    return self.power();
                }
                Trouble::Interrupt => self.run.interrupt.interrupt(),
                Trouble::Silence => self.run.is_silent = true,
                Trouble::Failure => return Err(failed(call, "the disk is full")),
            }
        }
        self.run.changes += 1;
        Ok(())
    }

    fn answer(&self) -> Result<(), CallError> {
        match self.run.is_silent {
            true => Err(failed("inspect", "connection refused")),
            false => self.power(),
        }
    }

    /// Nobody answers, nor waits: who was interrupted twice gives up.
    fn power(&self) -> Result<(), CallError> {
        if !self.run.power_is_gone {
            return Ok(());
        }
        while !matches!(self.run.interrupt.urgency(), zdd::interrupt::Urgency::Twice) {
            self.run.interrupt.interrupt();
        }
        Err(error("docker", Problem::Interrupted))
    }

    fn break_promise(&mut self, what: String) {
        self.run.broken.get_or_insert(what);
    }

    /// After each change.
    fn check(&mut self, what: &str) {
        let (serving, floor) = (self.serving(), self.run.floor);
        if serving < floor {
            self.break_promise(format!("{what}: {serving} serve, fewer than {floor}"));
        }
    }

    fn find(&mut self, id: &str) -> Result<&mut Container, CallError> {
        let found = self.containers.iter_mut().find(|c| c.id == id);
        found.ok_or_else(|| failed("docker", &format!("Error: No such container: {id}")))
    }

    fn create(&mut self, number: Option<u32>) -> Result<String, CallError> {
        self.change("create")?;
        self.born += 1;
        let number = number.unwrap_or(self.born);
        let mut new = current("web", number).created();
        new.id = format!("id-{}-of-{}", self.born, new.name);
        new.restart = policy("unless-stopped");
        self.run.known.push(new.id.clone());
        self.run.created.push(new.id.clone());
        self.containers.push(new.clone());
        Ok(new.id)
    }

    fn launch(&mut self, id: &str) -> Result<(), CallError> {
        self.change("start")?;
        let beside = self.containers.iter().find(|c| c.id != id && (running(c) || c.state == State::Paused));
        let ran = self.run.ran.iter().any(|ran| ran == id);
        if let Some(other) = beside.filter(|_| self.exclusive && !ran) {
            let broken = format!("{id} was started beside {}", other.name);
            self.break_promise(broken);
        }
        let container = self.find(id)?;
        if container.state == State::Dead {
            return Err(failed("start", "a dead container cannot be started"));
        }
        let mut restarted = Container { restart_count: 0, ..container.clone().starting() };
        if let Some(host) = self.host.clone() {
            let address = bridge::connect(&mut restarted, &self.containers);
            if host.keeps(address) {
                self.break_promise(format!("{id} was started while {address} was kept"));
            }
        }
        *self.find(id)? = restarted;
        Ok(())
    }

    fn is_outdated(&self, container: &Container) -> bool {
        container.config_hash != self.service.definition.hash || container.image_id != IMAGE
    }

    /// An old one goes, for whatever reason.
    fn stop_one(&mut self, id: &str, by_compose: bool) -> Result<(), CallError> {
        self.change("stop")?;
        let start_first = self.service.settings.order == Order::StartFirst;
        let unproven: Vec<_> = self.containers.iter().filter(|c| self.run.created.contains(&c.id)).collect();
        let unproven = unproven.iter().any(|c| running(c) && !c.serves() && c.id != id);
        let is_new = self.run.created.iter().any(|created| created == id);
        let ran = self.run.ran.iter().any(|ran| ran == id);
        if unproven && start_first && !by_compose && ran {
            self.break_promise(format!("{id} was stopped, and no gate has passed the new ones yet"));
        }
        if let Some(name) = self.run.unwatched.clone().filter(|_| !by_compose && ran) {
            self.break_promise(format!("{id} was stopped, and nobody watches {name}, which is to stay"));
        }
        self.known(id);
        let mut ended = self.find(id)?.clone().exited(0);
        let sent = ended.addresses().find(|address| self.host.as_ref().is_some_and(|h| h.sends_to(*address)));
        if let Some(address) = sent {
            self.break_promise(format!("{id} was stopped while connections were sent to {address}"));
        }
        if self.host.is_some() {
            bridge::disconnect(&mut ended);
        }
        *self.find(id)? = ended;
        if !self.run.verdict.is_some_and(Verdict::is_alone) && !is_new {
            self.check(&format!("stop {id}"));
        }
        Ok(())
    }

    fn remove_one(&mut self, id: &str) -> Result<(), CallError> {
        self.change("rm")?;
        self.known(id);
        if running(self.find(id)?) {
            return Err(failed("rm", "it still runs"));
        }
        self.containers.retain(|c| c.id != id);
        Ok(())
    }

    fn known(&mut self, id: &str) {
        if !self.run.known.iter().any(|known| known == id) {
            self.break_promise(format!("{id} was not there when the plan was made"));
        }
    }

    /// `up --no-recreate --scale`.
    fn scale(&mut self, options: &UpOptions) -> Result<(), CallError> {
        let there = self.containers.len() as u32;
        let stopped: Vec<_> = self.containers.iter().filter(|c| !running(c)).map(|c| c.id.clone()).collect();
        let missing = options.scale.saturating_sub(there);
        let mut made = vec![];
        for _ in 0..missing {
            made.push(self.create(None)?);
        }
        if options.create_only {
            return Ok(());
        }
        if let Some(id) = stopped.first() {
            self.break_promise(format!("Compose would start {id}, which is stopped"));
        }
        made.iter().try_for_each(|id| self.launch(id))
    }

    /// `up -d`, as Compose does it: what diverges is replaced, what does not is started; what is beyond the
    /// wanted count goes, diverged ones first, then those with the highest numbers; what is missing is made.
    fn converge(&mut self, options: &UpOptions) -> Result<(), CallError> {
        let wanted = options.scale as usize;
        let mut ranked = self.containers.clone();
        let goes = |world: &Simulation, c: &Container| options.force_recreate || world.is_outdated(c);
        ranked.sort_by_key(|c| (goes(self, c), c.number));
        let mut to_start = vec![];
        for (index, old) in ranked.iter().enumerate() {
            if index < wanted && !goes(self, old) {
                to_start.extend((!running(old)).then(|| old.id.clone()));
                continue;
            }
            if index < wanted {
                to_start.push(self.create(Some(old.number))?);
            }
            if running(old) {
                self.stop_one(&old.id, true)?;
            }
            self.remove_one(&old.id)?;
        }
        for _ in ranked.len()..wanted {
            to_start.push(self.create(None)?);
        }
        to_start.iter().try_for_each(|id| self.launch(id))
    }
}

impl Engine for World<'_> {
    fn container_ids(&self, _service: Option<&str>) -> Result<Vec<String>, CallError> {
        let world = self.simulation();
        world.answer()?;
        Ok(world.containers.iter().map(|c| c.id.clone()).collect())
    }

    /// The proxy is a one-off.
    fn member_ids(&self) -> Result<Vec<String>, CallError> {
        let mut ids = self.container_ids(None)?;
        ids.push(bridge::PROXY.to_owned());
        Ok(ids)
    }

    fn inspect(&self, ids: &[String]) -> Result<Vec<Container>, CallError> {
        let world = self.simulation();
        world.answer()?;
        Ok(world.containers.iter().filter(|c| ids.contains(&c.id)).cloned().collect())
    }

    fn networks(&self, _ids: &[String]) -> Result<Vec<Network>, CallError> {
        let world = self.simulation();
        world.answer()?;
        Ok(vec![bridge::network(&world.containers, world.host.as_deref())])
    }

    fn signal(&self, _id: &str, _signal: &str) -> Result<(), CallError> {
        Ok(())
    }

    fn processes(&self, _id: &str) -> Result<Vec<Process>, CallError> {
        Ok(vec![])
    }

    fn image_ids(&self, references: &[String]) -> Result<BTreeMap<String, String>, CallError> {
        Ok(references.iter().map(|reference| (reference.clone(), IMAGE.to_owned())).collect())
    }

    fn config_hashes(&self, _services: &[String]) -> Result<BTreeMap<String, String>, CallError> {
        Ok(BTreeMap::from([("web".to_owned(), "new".to_owned())]))
    }

    fn up(&self, options: &UpOptions) -> Result<(), CallError> {
        let mut world = self.simulation();
        world.power()?;
        match options.keep_existing {
            true => world.scale(options),
            false => world.converge(options),
        }
    }

    fn start(&self, ids: &[String]) -> Result<(), CallError> {
        let mut world = self.simulation();
        if world.service.injected_files && ids.iter().any(|id| world.run.created.contains(id)) {
            world.break_promise("only Compose can start containers with injected files".to_owned());
        }
        ids.iter().try_for_each(|id| world.launch(id))
    }

    fn stop(&self, ids: &[String], _timeout: Option<i64>, _longest: Duration) -> Result<(), CallError> {
        let mut world = self.simulation();
        ids.iter().try_for_each(|id| world.stop_one(id, false))
    }

    fn remove(&self, ids: &[String], _with_volumes: bool) -> Result<(), CallError> {
        let mut world = self.simulation();
        ids.iter().try_for_each(|id| world.remove_one(id))
    }

    fn set_restart(&self, ids: &[String], name: &str) -> Result<(), CallError> {
        let mut world = self.simulation();
        for id in ids {
            world.change("update")?;
            world.find(id)?.restart = policy(name);
        }
        Ok(())
    }

    fn rename(&self, id: &str, name: &str) -> Result<(), CallError> {
        let mut world = self.simulation();
        world.change("rename")?;
        world.find(id)?.name = name.to_owned();
        Ok(())
    }

    fn log_tail(&self, _id: &str, _lines: usize) -> Vec<String> {
        vec![]
    }

    fn exec_hook(&self, _id: &str, _hook: &Hook, _limit: Option<Duration>) -> Result<(), CallError> {
        Ok(())
    }

    fn run_hook(&self, _run: &HookRun) -> Result<(), CallError> {
        self.simulation().power()
    }

    fn running_hooks(&self, _service: &str) -> Result<Vec<ContainerRef>, CallError> {
        Ok(vec![])
    }

    fn await_hooks(&self, _ids: &[String], _signaled: bool) -> Result<(), CallError> {
        Ok(())
    }

    fn keep_shell(&self, _id: &str, _script: &str, _args: &[&str]) -> Result<Attached, CallError> {
        Err(failed("exec", "there is no shell"))
    }

    fn stand_by(&self, _service: &str, order: Option<ToDo>) {
        let mut world = self.simulation();
        if !world.run.power_is_gone {
            world.left_to_do = order;
        }
    }

    fn exec_shell(&self, _id: &str, _script: &str, _args: &[&str]) -> Result<String, CallError> {
        Err(failed("exec", "there is no shell"))
    }
}
