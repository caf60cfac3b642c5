//! Old containers leave the proxy before they are stopped.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::service::{Run, ids};
use crate::{
    docker::CallError,
    event::{ContainerRef, Generation, Phase},
    haproxy::{self, Server},
    observed::{Container, State},
    plan::Means,
};

/// How often HAProxy is asked: it reports nothing by itself.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// How long a dead address may stay in a slot before its drain is taken back regardless: Docker's DNS drops it at
/// once, HAProxy looks every `timeout resolve` and keeps it for `hold obsolete`.
const SLOT_FREES_WITHIN: Duration = Duration::from_secs(10);
/// Beyond interval × retries + timeout, for the engine to report it.
const HEALTH_SLACK: Duration = Duration::from_secs(2);

/// A slot that this run has set to drain, and the address that was in it.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    proxy: ContainerRef,
    server: Server,
}

impl Run<'_> {
    /// Waits until these containers get no more requests, or the drain timeout.
    pub(super) fn leave_proxy(&mut self, containers: &[ContainerRef], generation: Generation) {
        let end = Instant::now() + self.service.settings.drain_timeout;
        match self.plan.means.clone() {
            Means::Nothing => {}
            Means::Unhealthy => self.until_unhealthy(containers, generation, end),
            Means::Haproxy { proxies, socket } => {
                for proxy in &proxies {
                    if let Err(error) =
                        self.leave_haproxy(proxy, socket.as_deref(), containers, generation, end)
                    {
                        self.warn(&format!("{} could not be asked to drain: {error}", proxy.name));
                    }
                }
            }
        }
        let plus = self.service.settings.drain.plus;
        if !plus.is_zero() && generation == Generation::Old {
            let how = crate::duration::show(plus);
            containers.iter().for_each(|c| self.tell(c, generation, Phase::Draining { how: how.clone() }));
            thread::sleep(plus);
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
        while !waiting.is_empty() {
            let heard = self.crew.bell.heard();
            let left = waiting.iter().map(|(container, _)| container.clone()).collect::<Vec<_>>();
            let readings = self.crew.docker.inspect(&ids(&left)).unwrap_or_default();
            waiting
                .retain(|(container, limit)| self.still_draining(container, *limit, &readings, generation));
            let next = waiting.iter().map(|(_, limit)| limit.saturating_duration_since(Instant::now())).min();
            if let Some(next) = next {
                self.crew.bell.wait(heard, next.min(Duration::from_secs(1)));
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
    fn turns_within(&self, container: &ContainerRef) -> Option<Duration> {
        let check = self.crew.before.get(&container.id)?.healthcheck?;
        let probes = check.interval.checked_mul(check.retries)?;
        Some(probes.saturating_add(check.timeout).saturating_add(HEALTH_SLACK))
    }

    fn leave_haproxy(
        &mut self,
        proxy: &ContainerRef,
        socket: Option<&str>,
        containers: &[ContainerRef],
        generation: Generation,
        end: Instant,
    ) -> Result<(), CallError> {
        let readings = self.crew.docker.inspect(&ids(containers))?;
        let addresses: Vec<_> =
            readings.iter().flat_map(|reading| reading.addresses.values().cloned()).collect();
        let servers = self.ask(proxy, socket, haproxy::LOOK)?;
        // A new container that the proxy's own checks refuse gets no requests that could be lost.
        let concerned = |s: &Server| {
            s.address.as_ref().is_some_and(|a| addresses.contains(a))
                && (generation == Generation::Old || s.up)
        };
        let ours: Vec<_> = servers.into_iter().filter(concerned).collect();
        if ours.is_empty() {
            return Ok(());
        }
        let how = format!("HAProxy in {}", proxy.name);
        containers.iter().for_each(|c| self.tell(c, generation, Phase::Draining { how: how.clone() }));
        self.slots.extend(ours.iter().map(|server| Slot { proxy: proxy.clone(), server: server.clone() }));
        let mut now = self.ask(proxy, socket, &haproxy::set_state(&ours, "drain"))?;
        while busy(&now, &ours) && Instant::now() < end {
            thread::sleep(ASK_AGAIN);
            now = self.ask(proxy, socket, haproxy::LOOK)?;
        }
        let note = busy(&now, &ours).then(|| "deadline passed".to_owned());
        containers.iter().for_each(|c| self.tell(c, generation, Phase::Drained { note: note.clone() }));
        Ok(())
    }

    /// Takes every drain back: at once where the container goes on serving, else when its address has left.
    pub(super) fn give_slots_back(&mut self, addresses_are_dead: bool) {
        let end = Instant::now() + SLOT_FREES_WITHIN;
        let slots = std::mem::take(&mut self.slots);
        let Means::Haproxy { proxies, socket } = self.plan.means.clone() else { return };
        for proxy in &proxies {
            let ours: Vec<_> =
                slots.iter().filter(|slot| slot.proxy == *proxy).map(|slot| slot.server.clone()).collect();
            if let Err(error) =
                self.give_back(proxy, socket.as_deref(), ours, addresses_are_dead.then_some(end))
            {
                self.warn(&format!(
                    "{} could not be told that its servers are ready again: {error}",
                    proxy.name
                ));
            }
        }
    }

    fn give_back(
        &self,
        proxy: &ContainerRef,
        socket: Option<&str>,
        mut slots: Vec<Server>,
        wait_until: Option<Instant>,
    ) -> Result<(), CallError> {
        while !slots.is_empty() {
            let now = self.ask(proxy, socket, haproxy::LOOK)?;
            let dead = |slot: &Server| now.iter().any(|s| same(s, slot) && s.address == slot.address);
            let (kept, free): (Vec<_>, Vec<_>) = slots
                .into_iter()
                .partition(|slot| wait_until.is_some_and(|end| dead(slot) && Instant::now() < end));
            if !free.is_empty() {
                self.ask(proxy, socket, &haproxy::set_state(&free, "ready"))?;
            }
            slots = kept;
            if !slots.is_empty() {
                thread::sleep(ASK_AGAIN);
            }
        }
        Ok(())
    }

    /// A run that was killed may have left slots drained, with a container in them or none: they serve again.
    pub(super) fn heal_proxies(&self) {
        let Means::Haproxy { proxies, socket } = &self.plan.means else { return };
        let readings: Vec<&Container> =
            self.crew.before.values().filter(|c| c.service == self.plan.service).collect();
        let ours =
            |s: &Server| readings.iter().any(|c| c.addresses.values().any(|a| s.address.as_ref() == Some(a)));
        for proxy in proxies {
            let Ok(servers) = self.ask(proxy, socket.as_deref(), haproxy::LOOK) else { continue };
            let backends: Vec<_> = servers.iter().filter(|s| ours(s)).map(|s| s.backend.clone()).collect();
            let stuck: Vec<_> = servers
                .iter()
                .filter(|s| s.drained && backends.contains(&s.backend) && (s.address.is_none() || ours(s)))
                .collect();
            if !stuck.is_empty() {
                let _ = self.ask(proxy, socket.as_deref(), &haproxy::set_state(stuck, "ready"));
            }
        }
    }

    /// Waits until every proxy has these new containers in its pool; at most as long as a drain may take.
    pub(super) fn join_proxy(&self, containers: &[ContainerRef]) {
        let Means::Haproxy { proxies, socket } = &self.plan.means else { return };
        let end = Instant::now() + JOINS_WITHIN;
        let readings = self.crew.docker.inspect(&ids(containers)).unwrap_or_default();
        for proxy in proxies {
            while let Ok(servers) = self.ask(proxy, socket.as_deref(), haproxy::LOOK) {
                let missing = readings.iter().find(|c| !c.addresses.values().any(|a| serves(&servers, a)));
                let Some(missing) = missing else { break };
                if self.crew.interrupt.requested() {
                    return;
                }
                if Instant::now() >= end {
                    self.warn(&format!("{} does not have {} in its pool yet", proxy.name, missing.name));
                    break;
                }
                thread::sleep(ASK_AGAIN);
            }
        }
    }

    fn ask(
        &self,
        proxy: &ContainerRef,
        socket: Option<&str>,
        command: &str,
    ) -> Result<Vec<Server>, CallError> {
        let args = [command, socket.unwrap_or_default()];
        Ok(haproxy::parse(&self.crew.docker.exec_shell(&proxy.id, haproxy::SCRIPT, &args)?))
    }
}

/// HAProxy finds a new container by DNS and checks it first; `resolve` and `inter` are seconds at the most.
const JOINS_WITHIN: Duration = Duration::from_secs(15);

fn same(a: &Server, b: &Server) -> bool {
    a.backend == b.backend && a.name == b.name
}

fn serves(servers: &[Server], address: &str) -> bool {
    servers.iter().any(|s| s.address.as_deref() == Some(address) && s.up && !s.drained)
}

fn busy(now: &[Server], ours: &[Server]) -> bool {
    now.iter().any(|server| {
        server.sessions > 0 && ours.iter().any(|own| same(own, server) && own.address == server.address)
    })
}
