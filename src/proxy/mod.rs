//! How containers come into the traffic and leave it: one file for each way, and the table of them here.
//!
//! To add a way: its file, with the data that the plan has of it and its [`Proxy`]; its line in [`ways`], which finds
//! it; and its variant in [`Way`].

mod delay;
mod hand_over;
mod haproxy;
pub mod labels;
pub mod program;
pub mod traefik;
mod unhealthy;

use std::{fmt, time::Duration};

use serde::Serialize;

use self::{delay::Delay, unhealthy::UntilUnhealthy};
pub use self::{
    hand_over::HeldPorts,
    haproxy::{Haproxy, Heard, Silent, api, listen},
    unhealthy::turns_within,
};
use crate::{
    engine::{CallError, Container, Engine, Replica, State},
    event::Generation,
    helper::{Help, Presence},
    project::{Service, Until, UseHelper},
    stage::{Halt, Reporter},
    wait::{Heed, Look, Waiter},
};

/// One way out of the traffic, with all that is needed to take it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Way {
    /// On the network itself: whatever the proxy, new connections go to those that stay.
    HandOver,
    /// The same where the container must be alone: new connections wait for the next one.
    Hold,
    /// HAProxy is told that the servers are up while connections to them wait.
    KeepUp(Haproxy),
    /// Docker's own word, for proxies that read it.
    Unhealthy,
    /// The runtime API of HAProxy.
    Haproxy(Haproxy),
    /// Time, for a proxy that is slow to notice.
    Delay { seconds: f64 },
}

/// The ways of a service, one after the other: what is written, or what fits.
pub fn ways(
    service: &Service,
    (containers, neighbors): (&[Container], &[Container]),
    helper: &Presence,
    heard: &[Heard],
) -> Vec<Way> {
    let find = |proxy: Option<&str>, socket: Option<&str>| {
        let beside = || {
            let mine = containers.iter().filter(|c| c.service == service.name);
            let all: Vec<_> = mine.chain(neighbors).cloned().collect();
            Haproxy::find(&service.name, proxy, socket, &all)
        };
        let found = Haproxy::find(&service.name, proxy, socket, containers).or_else(beside)?;
        found.that_answer(&service.name, containers, heard).map(Way::Haproxy)
    };
    let drain = &service.settings.drain;
    let wants_helper = helper.is_there() && service.settings.hand_over.helper == UseHelper::Auto;
    let mut running = containers.iter().filter(|c| c.service == service.name && c.state == State::Running);
    let has_helper =
        wants_helper && running.clone().next().is_none_or(|_| running.any(Container::is_on_its_own));
    let first = match &drain.until {
        Until::Now => None,
        Until::Unhealthy => Some(Way::Unhealthy),
        Until::Auto if has_helper => Some(Way::HandOver),
        Until::Auto => find(None, None),
        Until::Haproxy { service: proxy, socket } => find(proxy.as_deref(), socket.as_deref()),
    };
    let delay = Way::Delay { seconds: drain.plus.as_secs_f64() };
    first.into_iter().chain((!drain.plus.is_zero()).then_some(delay)).collect()
}

/// Those of a service whose connections wait, whatever is written: who stands in is found as the container was, and
/// passes on to it until they do.
pub fn ways_to_hold(service: &Service, containers: &[Container], heard: &[Heard]) -> Vec<Way> {
    let found = Haproxy::find(&service.name, None, None, containers);
    let told = found.and_then(|found| found.that_answer(&service.name, containers, heard));
    told.map(Way::KeepUp).into_iter().chain([Way::Hold]).collect()
}

impl Way {
    fn open(&self) -> Box<dyn Proxy> {
        match self {
            Way::HandOver | Way::Hold => Box::new(hand_over::Session::default()),
            Way::KeepUp(found) => Box::new(haproxy::KeepUp::new(found)),
            Way::Unhealthy => Box::new(UntilUnhealthy),
            Way::Haproxy(found) => Box::new(haproxy::Session::new(found)),
            Way::Delay { seconds } => Box::new(Delay(Duration::from_secs_f64(*seconds))),
        }
    }

    /// Whether it is taken on the network, where every step must be known.
    pub fn uses_helper(&self) -> bool {
        matches!(self, Way::HandOver | Way::Hold)
    }

    /// The containers of proxies that are asked.
    pub fn proxies(&self) -> &[Replica] {
        match self {
            Way::Haproxy(found) | Way::KeepUp(found) => &found.proxies,
            Way::HandOver | Way::Hold | Way::Unhealthy | Way::Delay { .. } => &[],
        }
    }
}

/// As it continues `drain web-1` in a plan.
impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Way::HandOver => f.write_str(" until it has no connection; new ones go to its successor"),
            Way::Hold => f.write_str(" until it has no connection; new ones wait"),
            // It is not known before whether HAProxy can be asked.
            Way::KeepUp(_) => Ok(()),
            Way::Unhealthy => f.write_str(" until Docker calls it unhealthy"),
            Way::Haproxy(found) if found.has_none => {
                write!(f, " through HAProxy in {}, should it be among its servers by then", found.names())
            }
            Way::Haproxy(found) => write!(f, " through HAProxy in {}", found.names()),
            Way::Delay { seconds } => {
                write!(f, ", then {}", crate::text::duration::show(Duration::from_secs_f64(*seconds)))
            }
        }
    }
}

/// A way that is being taken.
pub trait Proxy {
    /// These will leave, or stand in for new ones, before long.
    fn prepare(&mut self, _containers: &[Replica], _scene: &Scene) {}

    /// New containers are about to start.
    fn expect(&mut self, _scene: &Scene) {}

    /// New ones are being started. Their network knows where they are before the engine
    /// says anything of themselves: Engine 20.10 answers an inspection only when the start is done, half a second later.
    /// To be asked for IDs after the networks, so that none on them is taken for somebody else.
    fn starting(&mut self, _new: &dyn Fn() -> Vec<String>, _scene: &Scene) {}

    /// These have started, and no more are to come.
    fn started(&mut self, _new: &[Replica], _scene: &Scene) {}

    /// Waits until these get requests: new ones before old ones leave, or old ones again in a rollback.
    fn join(&mut self, _joining: &[Replica], _generation: Generation, _scene: &Scene) {}

    /// # Errors
    /// Nobody else would get the requests of those that are to leave.
    fn may_leave(&mut self, _leaving: &[Replica], _scene: &Scene) -> Result<(), Halt> {
        Ok(())
    }

    /// From now on heirs get the new connections of those that are to leave, one each.
    fn steer(&mut self, _leaving: &[Replica], _heirs: &[Replica], _scene: &Scene) -> Vec<Box<dyn Lease>> {
        vec![]
    }

    /// Waits until these get no more requests, or `limit` is over. What comes back undoes what was done.
    fn leave(
        &mut self,
        leaving: &[Replica],
        generation: Generation,
        limit: Duration,
        scene: &Scene,
    ) -> Vec<Box<dyn Lease>>;

    /// Connections to these will wait, from [`Proxy::wait`] on until [`Proxy::release`].
    ///
    /// # Errors
    /// They cannot; nothing has changed.
    fn hold(&mut self, _leaving: &[Replica], _scene: &Scene) -> Result<(), Halt> {
        Ok(())
    }

    /// New connections wait from now on, and what is under way comes to its end.
    ///
    /// # Errors
    /// They cannot any more; whoever is to leave still serves.
    fn wait(&mut self, _leaving: &[Replica], _scene: &Scene) -> Result<(), Halt> {
        Ok(())
    }

    /// These have started, and nobody can tell when they are ready: those who wait are let through as soon as they listen.
    fn try_out(&mut self, _new: &[Replica], _scene: &Scene) {}

    /// Between [`Proxy::hold`] and [`Proxy::release`].
    fn is_holding(&self) -> bool {
        false
    }

    /// Whether addresses of containers that have ended are kept for those who wait.
    fn keeps_addresses(&self) -> bool {
        false
    }

    /// Those who wait are served by these, and so is everybody else from now on.
    fn release(&mut self, _next: &[Replica], _scene: &Scene) -> Vec<Box<dyn Lease>> {
        vec![]
    }

    /// It can take out a container by itself; others must see that its `pre_stop` hook has run.
    fn is_asked(&self) -> bool {
        false
    }
}

/// Something of a proxy that was taken for the time of a drain.
pub trait Lease {
    /// One of the containers has ended.
    fn ended(&mut self, _replica: &Replica, _scene: &Scene) {}

    /// All of them have: waits until nobody asks for them.
    ///
    /// # Errors
    /// Somebody does, and always will.
    fn stopped(&mut self, _scene: &Scene) -> Result<(), Halt> {
        Ok(())
    }

    /// `gone`: the containers have stopped, and their addresses are dead.
    fn give_back(self: Box<Self>, gone: bool, scene: &Scene);
}

/// What a way sees of the rollout that takes it.
pub struct Scene<'a> {
    pub engine: &'a dyn Engine,
    /// `None` where there is none.
    pub help: Option<&'a dyn Help>,
    pub waiter: &'a Waiter,
    pub reporter: Reporter<'a>,
    /// The project's name.
    pub project: &'a str,
    /// The service as it is wanted.
    pub service: &'a Service,
    /// Its containers before anything was touched.
    pub before: &'a [Replica],
    /// The services that are done before this one.
    pub after: &'a [String],
    /// Whether the old containers are needed again, because a new one has failed after its gate.
    pub old_are_needed: &'a dyn Fn() -> bool,
}

impl Scene<'_> {
    /// Waits while something goes on, or until `limit`; not where that is in vain: the user interrupted twice, or the
    /// old containers are needed again. `busy` says within what time it is to be asked again.
    pub fn wait_while(
        &self,
        limit: Duration,
        generation: Generation,
        mut busy: impl FnMut() -> Option<Duration>,
    ) {
        let look = || match busy() {
            Some(time) if generation == Generation::New || !(self.old_are_needed)() => {
                Ok::<_, ()>(Look::Again(time))
            }
            _ => Ok(Look::Done(())),
        };
        let _ = self.waiter.until(Some(limit), Heed::Urgent, look);
    }

    /// Whether to wait no longer for a proxy to take containers in: old ones in a rollback are waited for in spite of
    /// the alarm and the interruption that led there.
    pub fn heed(&self, generation: Generation) -> Heed {
        match generation {
            Generation::New => Heed::All,
            Generation::Old => Heed::Urgent,
        }
    }

    /// A call that failed for a moment is made again.
    pub fn again<T>(&self, call: impl FnMut() -> Result<T, CallError>) -> Result<T, CallError> {
        self.waiter.again(call, CallError::is_interrupted)
    }
}

/// All ways of one service.
pub struct Proxies(Vec<Box<dyn Proxy>>);

impl Proxies {
    pub fn open(ways: &[Way]) -> Proxies {
        Proxies(ways.iter().map(Way::open).collect())
    }

    pub fn prepare(&mut self, containers: &[Replica], scene: &Scene) {
        self.0.iter_mut().for_each(|proxy| proxy.prepare(containers, scene));
    }

    pub fn expect(&mut self, scene: &Scene) {
        self.0.iter_mut().for_each(|proxy| proxy.expect(scene));
    }

    pub fn starting(&mut self, new: &dyn Fn() -> Vec<String>, scene: &Scene) {
        self.0.iter_mut().for_each(|proxy| proxy.starting(new, scene));
    }

    pub fn started(&mut self, new: &[Replica], scene: &Scene) {
        self.0.iter_mut().for_each(|proxy| proxy.started(new, scene));
    }

    pub fn steer(&mut self, leaving: &[Replica], heirs: &[Replica], scene: &Scene) -> Vec<Box<dyn Lease>> {
        self.0.iter_mut().flat_map(|proxy| proxy.steer(leaving, heirs, scene)).collect()
    }

    pub fn join(&mut self, joining: &[Replica], generation: Generation, scene: &Scene) {
        self.0.iter_mut().for_each(|proxy| proxy.join(joining, generation, scene));
    }

    /// # Errors
    /// As [`Proxy::hold`].
    pub fn hold(&mut self, leaving: &[Replica], scene: &Scene) -> Result<(), Halt> {
        self.0.iter_mut().try_for_each(|proxy| proxy.hold(leaving, scene))
    }

    /// # Errors
    /// As [`Proxy::wait`].
    pub fn wait(&mut self, leaving: &[Replica], scene: &Scene) -> Result<(), Halt> {
        self.0.iter_mut().try_for_each(|proxy| proxy.wait(leaving, scene))
    }

    pub fn try_out(&mut self, new: &[Replica], scene: &Scene) {
        self.0.iter_mut().for_each(|proxy| proxy.try_out(new, scene));
    }

    pub fn is_holding(&self) -> bool {
        self.0.iter().any(|proxy| proxy.is_holding())
    }

    pub fn keeps_addresses(&self) -> bool {
        self.0.iter().any(|proxy| proxy.keeps_addresses())
    }

    pub fn release(&mut self, next: &[Replica], scene: &Scene) -> Vec<Box<dyn Lease>> {
        self.0.iter_mut().flat_map(|proxy| proxy.release(next, scene)).collect()
    }

    /// # Errors
    /// As [`Proxy::may_leave`].
    pub fn may_leave(&mut self, leaving: &[Replica], scene: &Scene) -> Result<(), Halt> {
        self.0.iter_mut().try_for_each(|proxy| proxy.may_leave(leaving, scene))
    }

    pub fn leave(&mut self, leaving: &[Replica], scene: &Scene) -> Vec<Box<dyn Lease>> {
        self.leave_by(leaving, Generation::Old, scene, |_| true)
    }

    /// Takes new containers out that are not wanted after all: one may be in a proxy's pool before its gate has decided.
    pub fn take_out(&mut self, leaving: &[Replica], scene: &Scene) -> Vec<Box<dyn Lease>> {
        self.leave_by(leaving, Generation::New, scene, |proxy| proxy.is_asked())
    }

    /// The same when their `pre_stop` hooks have run, for proxies that only see what these have changed.
    pub fn let_go(&mut self, leaving: &[Replica], scene: &Scene) -> Vec<Box<dyn Lease>> {
        match self.0.iter().any(|proxy| proxy.is_asked()) {
            true => vec![],
            false => self.leave_by(leaving, Generation::New, scene, |_| true),
        }
    }

    fn leave_by(
        &mut self,
        leaving: &[Replica],
        generation: Generation,
        scene: &Scene,
        chosen: impl Fn(&dyn Proxy) -> bool,
    ) -> Vec<Box<dyn Lease>> {
        let end = scene.waiter.clock.now() + scene.service.settings.drain_timeout;
        let chosen = self.0.iter_mut().filter(|proxy| chosen(proxy.as_ref()));
        let leases = chosen.flat_map(|proxy| {
            let left = end.saturating_duration_since(scene.waiter.clock.now());
            proxy.leave(leaving, generation, left, scene)
        });
        leases.collect()
    }
}

/// Sets right what a run that was killed has left in proxies, and says so. Returns whether anything was to be done.
pub fn recover<'a>(
    ways: impl Iterator<Item = &'a Way>,
    containers: &[Container],
    heard: &[Heard],
    (engine, waiter): (&dyn Engine, &Waiter),
    warn: &dyn Fn(String),
) -> bool {
    let mut asked: Vec<(&'a Replica, Option<&'a str>)> = Vec::new();
    let mut recovered = false;
    for way in ways {
        let Way::Haproxy(found) = way else { continue };
        for proxy in &found.proxies {
            let one = (proxy, found.socket.as_deref());
            if !asked.contains(&one) {
                asked.push(one);
                recovered |= haproxy::recover(proxy, one.1, containers, heard, (engine, waiter), warn);
            }
        }
    }
    recovered
}
