//! Old containers leave the proxy before they are stopped.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    proxies::is_gone,
    service::{Run, ids},
    watching::LOOK,
};
use crate::{
    docker::{CallError, Docker, Problem},
    event::{ContainerRef, Generation, Phase},
    haproxy::{self, Admin, Server},
    model::Until,
    observed::{Container, State},
    plan::Means,
};

/// How often HAProxy is asked: it reports nothing by itself.
pub(super) const ASK_AGAIN: Duration = Duration::from_millis(100);
/// How long a dead address may stay in a slot before its drain is taken back regardless: Docker's DNS drops it at
/// once, HAProxy looks every `timeout resolve` and keeps it for `hold obsolete`.
const SLOT_FREES_WITHIN: Duration = Duration::from_secs(10);
/// Beyond what the healthcheck needs, for the engine to report it.
const HEALTH_SLACK: Duration = Duration::from_secs(2);

/// A slot that this run has set to drain, and the address that was in it.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub proxy: ContainerRef,
    pub server: Server,
}

impl Run<'_> {
    /// Waits until these containers get no more requests, or the drain timeout.
    pub(super) fn leave_proxy(&mut self, containers: &[ContainerRef], generation: Generation) {
        let end = Instant::now() + self.service.settings.drain_timeout;
        match &self.plan.means {
            Means::Nothing => {}
            Means::Unhealthy => self.until_unhealthy(containers, generation, end),
            Means::Haproxy { .. } => {
                let leave = |run: &mut Self, proxy: &_| run.leave_haproxy(proxy, containers, generation, end);
                for (proxy, error) in self.each_proxy(leave) {
                    self.warn(&format!("{} could not be asked to drain: {error}", proxy.name));
                }
                self.miss_the_proxy();
            }
        }
        let plus = self.service.settings.drain.plus;
        let in_pool = generation == Generation::Old || !matches!(self.plan.means, Means::Haproxy { .. });
        if !plus.is_zero() && in_pool && !containers.is_empty() {
            let how = crate::duration::show(plus);
            containers.iter().for_each(|c| self.tell(c, generation, Phase::Draining { how: how.clone() }));
            self.linger(plus, generation);
        }
    }

    /// HAProxy that was found by itself may well serve others; one that is written is meant to serve this one.
    fn miss_the_proxy(&mut self) {
        let written = matches!(self.service.settings.drain.until, Until::Haproxy { .. });
        let outside = |proxy: &ContainerRef| self.has_ours.get(&proxy.id) == Some(&false);
        if written && !self.told_of_nothing && self.proxies.iter().all(outside) {
            self.told_of_nothing = true;
            let names = self.proxies.iter().map(|proxy| proxy.name.as_str()).collect::<Vec<_>>().join(", ");
            self.warn(&format!(
                "none of its containers is among the servers of HAProxy in {names}, so nothing is drained"
            ));
        }
    }

    fn until_unhealthy(&self, containers: &[ContainerRef], generation: Generation, end: Instant) {
        let began = Instant::now();
        let limit = |c: &ContainerRef| began.checked_add(self.turns_within(c)?);
        let mut waiting = Vec::new();
        for container in containers {
            match limit(container) {
                Some(limit) => waiting.push((container.clone(), limit.min(end))),
                None => self
                    .warn(&format!("{} has no healthcheck, so it cannot become unhealthy", container.name)),
            }
            self.tell(container, generation, Phase::Draining { how: "until unhealthy".to_owned() });
        }
        let mut looked = began;
        while !waiting.is_empty() && !self.in_vain(generation, &mut looked) {
            let heard = self.crew.bell.heard();
            let left = waiting.iter().map(|(container, _)| container.clone()).collect::<Vec<_>>();
            // Without an answer nobody knows; the limit holds all the same.
            match self.crew.docker.inspect(&ids(&left)) {
                Ok(readings) => waiting.retain(|(container, limit)| {
                    self.still_draining(container, *limit, &readings, generation)
                }),
                Err(_) => waiting.retain(|(_, limit)| Instant::now() < *limit),
            }
            let next = waiting.iter().map(|(_, limit)| limit.saturating_duration_since(Instant::now())).min();
            if let Some(next) = next {
                self.crew.bell.wait(heard, next.min(LOOK));
            }
        }
    }

    fn still_draining(
        &self,
        container: &ContainerRef,
        limit: Instant,
        readings: &[Container],
        generation: Generation,
    ) -> bool {
        let reading = readings.iter().find(|reading| reading.id == container.id);
        let out = reading.is_none_or(|reading| reading.is_unhealthy() || reading.state != State::Running);
        let late = Instant::now() >= limit;
        if out || late {
            let note = (!out).then(|| {
                "it never became unhealthy; does its pre_stop hook make the healthcheck fail?".to_owned()
            });
            self.tell(container, generation, Phase::Drained { note });
        }
        !out && !late
    }

    /// The longest that Docker may take to call it unhealthy.
    pub(super) fn turns_within(&self, container: &ContainerRef) -> Option<Duration> {
        let check = match self.crew.before.get(&container.id) {
            Some(before) => before.healthcheck?,
            None => self.crew.docker.inspect(std::slice::from_ref(&container.id)).ok()?.pop()?.healthcheck?,
        };
        Some(check.turns_at_the_latest().saturating_add(HEALTH_SLACK))
    }

    fn leave_haproxy(
        &mut self,
        proxy: &ContainerRef,
        containers: &[ContainerRef],
        generation: Generation,
        end: Instant,
    ) -> Result<(), CallError> {
        let readings = self.again(|| self.crew.docker.inspect(&ids(containers)))?;
        let addresses: Vec<_> = readings.iter().flat_map(Container::addresses).collect();
        let servers = self.again(|| self.ask(proxy, haproxy::LOOK))?;
        // A new container that the proxy's own checks refuse gets no requests that could be lost.
        let concerned = |s: &Server| {
            s.address.is_some_and(|a| addresses.contains(&a)) && (generation == Generation::Old || s.up)
        };
        let ours: Vec<_> = servers.into_iter().filter(concerned).collect();
        if ours.is_empty() {
            if generation == Generation::Old && !addresses.is_empty() {
                self.not_among_servers(proxy, &readings);
            }
            return Ok(());
        }
        self.has_ours.insert(proxy.id.clone(), true);
        let how = format!("HAProxy in {}", proxy.name);
        containers.iter().for_each(|c| self.tell(c, generation, Phase::Draining { how: how.clone() }));
        self.slots.extend(ours.iter().map(|server| Slot { proxy: proxy.clone(), server: server.clone() }));
        let mut now = self.again(|| self.set(proxy, &ours, Admin::Drain))?;
        let mut looked = Instant::now();
        while busy(&now, &ours) && Instant::now() < end && !self.in_vain(generation, &mut looked) {
            thread::sleep(ASK_AGAIN);
            // What was seen last holds until something else is seen.
            now = self.ask(proxy, haproxy::LOOK).unwrap_or(now);
        }
        let note = busy(&now, &ours).then(|| "deadline passed".to_owned());
        containers.iter().for_each(|c| self.tell(c, generation, Phase::Drained { note: note.clone() }));
        Ok(())
    }

    /// What runs and is missing although others of the service are there, HAProxy may know by an address that nobody
    /// else does.
    fn not_among_servers(&mut self, proxy: &ContainerRef, readings: &[Container]) {
        if !*self.has_ours.entry(proxy.id.clone()).or_insert(false) {
            return;
        }
        let running = readings.iter().filter(|reading| reading.state == State::Running);
        for name in running.map(|reading| &reading.name) {
            self.warn(&format!(
                "{name} is not among the servers of {}, so it is not drained there",
                proxy.name
            ));
        }
    }

    /// Takes every drain back: at once where the container goes on serving, else when its address has left.
    pub(super) fn give_slots_back(&mut self, addresses_are_dead: bool) {
        let slots = std::mem::take(&mut self.slots);
        let mut proxies: Vec<&ContainerRef> = Vec::new();
        for slot in &slots {
            if !proxies.contains(&&slot.proxy) {
                proxies.push(&slot.proxy);
            }
        }
        for proxy in proxies {
            let ours: Vec<_> =
                slots.iter().filter(|slot| slot.proxy == *proxy).map(|slot| slot.server.clone()).collect();
            let (docker, socket) = (self.crew.docker, self.socket());
            let back = || give_back(docker, proxy, socket, ours.clone(), addresses_are_dead);
            if let Err(error) = self.again(back)
                && !is_gone(&error)
            {
                self.warn(&format!(
                    "{} could not be told that its servers are ready again: {error}",
                    proxy.name
                ));
            }
        }
    }

    pub(super) fn ask(&self, proxy: &ContainerRef, command: &str) -> Result<Vec<Server>, CallError> {
        ask(self.crew.docker, proxy, self.socket(), command)
    }

    pub(super) fn set(
        &self,
        proxy: &ContainerRef,
        servers: &[Server],
        state: Admin,
    ) -> Result<Vec<Server>, CallError> {
        set(self.crew.docker, proxy, self.socket(), servers, state)
    }

    fn socket(&self) -> Option<&str> {
        match &self.plan.means {
            Means::Haproxy { socket, .. } => socket.as_deref(),
            _ => None,
        }
    }
}

/// Sends a command to the runtime API of HAProxy in a container.
pub(super) fn ask(
    docker: &Docker,
    proxy: &ContainerRef,
    socket: Option<&str>,
    command: &str,
) -> Result<Vec<Server>, CallError> {
    let args = [command, socket.unwrap_or_default()];
    let answer = docker.exec_shell(&proxy.id, haproxy::SCRIPT, &args)?;
    match haproxy::is_answer(&answer) {
        true => Ok(haproxy::parse(&answer)),
        // Taken for a HAProxy without servers, it would have the old containers stopped undrained.
        false => Err(CallError {
            call: format!("{command} in {}", proxy.name),
            problem: Problem::Garbage("no table of servers".to_owned()),
        }),
    }
}

/// Sets servers of HAProxy in a container, and returns what is to be seen then.
///
/// # Errors
/// HAProxy has answered, and they are as before.
fn set(
    docker: &Docker,
    proxy: &ContainerRef,
    socket: Option<&str>,
    servers: &[Server],
    state: Admin,
) -> Result<Vec<Server>, CallError> {
    let now = ask(docker, proxy, socket, &haproxy::set_state(servers, state))?;
    match haproxy::refused(&now, servers, state) {
        None => Ok(now),
        Some(server) => Err(CallError {
            call: format!("set server {}/{} in {}", server.backend, server.name, proxy.name),
            problem: Problem::Garbage("HAProxy refused; has its stats socket \"level admin\"?".to_owned()),
        }),
    }
}

/// Makes slots ready again; where the address in them is dead, not before HAProxy has dropped it.
pub(super) fn give_back(
    docker: &Docker,
    proxy: &ContainerRef,
    socket: Option<&str>,
    mut slots: Vec<Server>,
    addresses_are_dead: bool,
) -> Result<(), CallError> {
    let end = Instant::now() + SLOT_FREES_WITHIN;
    while !slots.is_empty() {
        let now = ask(docker, proxy, socket, haproxy::LOOK)?;
        let dead = |slot: &Server| now.iter().any(|s| same(s, slot) && s.address == slot.address);
        let (kept, free): (Vec<_>, Vec<_>) =
            slots.into_iter().partition(|slot| addresses_are_dead && dead(slot) && Instant::now() < end);
        if !free.is_empty() {
            set(docker, proxy, socket, &free, Admin::Ready)?;
        }
        slots = kept;
        if !slots.is_empty() {
            thread::sleep(ASK_AGAIN);
        }
    }
    Ok(())
}

pub(super) fn same(a: &Server, b: &Server) -> bool {
    a.backend == b.backend && a.name == b.name
}

fn busy(now: &[Server], ours: &[Server]) -> bool {
    now.iter().any(|server| {
        server.sessions > 0 && ours.iter().any(|own| same(own, server) && own.address == server.address)
    })
}
