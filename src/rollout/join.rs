//! New containers enter the pool of HAProxy before old ones leave it.

use std::{
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use super::{
    drain::{ASK_AGAIN, same},
    service::{Halt, Run, ids},
    start::failure,
};
use crate::{
    docker::CallError,
    event::{ContainerRef, Generation},
    haproxy::{self, Admin, Server},
    model::settings::Order,
    observed::Container,
};

/// HAProxy finds a new container by DNS and checks it first; `resolve` and `inter` are seconds at the most.
const JOINS_WITHIN: Duration = Duration::from_secs(15);

impl Run<'_> {
    /// Waits until every proxy has these containers in its pool.
    pub(super) fn join_proxy(&mut self, containers: &[ContainerRef], generation: Generation) {
        self.absent = false;
        if self.proxies.is_empty() {
            return;
        }
        let end = Instant::now() + JOINS_WITHIN;
        let mut readings = self.crew.docker.inspect(&ids(containers)).unwrap_or_default();
        // A job that has ended has none any more.
        readings.retain(|container| container.addresses().next().is_some());
        if generation == Generation::New && self.nobody_was_reachable() && !self.any_is_drained() {
            return;
        }
        // One that does not answer cannot be waited for, but what it has in its pool is not known then.
        let silent = self.each_proxy(|run, proxy| run.join_one(proxy, &readings, generation, end));
        self.absent |= !silent.is_empty();
    }

    /// Then no proxy shows whether it serves this service at all, and there is nobody to be drained.
    fn nobody_was_reachable(&self) -> bool {
        let mut mine = self.mine_before();
        mine.all(|container| container.addresses().next().is_none())
    }

    /// A killed run may have left it so, and then only a new container in that place shows whose it is.
    fn any_is_drained(&self) -> bool {
        let drained = |proxy| self.ask(proxy, haproxy::LOOK).is_ok_and(|all| all.iter().any(|s| s.drained));
        self.proxies.iter().any(drained)
    }

    fn join_one(
        &mut self,
        proxy: &ContainerRef,
        readings: &[Container],
        generation: Generation,
        end: Instant,
    ) -> Result<(), CallError> {
        while self.has_ours.get(&proxy.id) != Some(&false) {
            let servers = self.again(|| self.ask(proxy, haproxy::LOOK))?;
            // One that has just been started may not have asked the DNS for anybody yet.
            let settled = |has_ours: &bool| *has_ours || self.is_planned(proxy) || Instant::now() >= end;
            if generation == Generation::New
                && let Some(has_ours) = self.shows_ours(&servers).filter(settled)
            {
                // One that had some is never outside, whatever a later look finds.
                let known = self.has_ours.entry(proxy.id.clone()).or_insert(has_ours);
                if !*known {
                    return Ok(());
                }
            }
            self.free(proxy, &servers, readings);
            let missing = readings.iter().find(|c| !c.addresses().any(|address| serves(&servers, address)));
            let Some(missing) = missing else {
                self.absent |= generation == Generation::New && self.would_empty(&servers, readings);
                return Ok(());
            };
            if self.gives_up(generation) {
                return Ok(());
            }
            if Instant::now() >= end {
                self.absent = true;
                self.warn(&format!("{} does not have {} in its pool yet", proxy.name, missing.name));
                return Ok(());
            }
            thread::sleep(ASK_AGAIN);
        }
        Ok(())
    }

    /// Whether one of these servers is one of the service's, which else merely shares a network with the proxy. Under
    /// `order: stop-first` its old containers have left the pool by now, and it showed then.
    fn shows_ours(&self, servers: &[Server]) -> Option<bool> {
        if self.service.settings.order == Order::StopFirst {
            return None;
        }
        let mine = self.mine_before();
        let mine: Vec<_> = mine.flat_map(Container::addresses).collect();
        (!mine.is_empty()).then(|| mine.iter().any(|address| holds(servers, *address)))
    }

    /// Whether a backend would be empty without the old containers: these are in one of them, and it may have several,
    /// each with checks of its own.
    fn would_empty(&self, servers: &[Server], new: &[Container]) -> bool {
        let stays = |container: &&Container| new.iter().any(|other| other.id == container.id);
        let mine = self.mine_before();
        let leaving: Vec<_> =
            mine.filter(|container| !stays(container)).flat_map(Container::addresses).collect();
        haproxy::emptied_without(servers, &leaving).is_some()
    }

    /// A run that was killed after it had stopped everything leaves slots drained in which nothing of ours is to be
    /// seen, until a new container comes to be in them.
    fn free(&self, proxy: &ContainerRef, servers: &[Server], readings: &[Container]) {
        let mine = |server: &Server| self.slots.iter().any(|slot| same(&slot.server, server));
        let held = |server: &Server| {
            readings.iter().flat_map(Container::addresses).any(|a| server.address == Some(a))
        };
        let stuck: Vec<_> = servers.iter().filter(|s| s.drained && held(s) && !mine(s)).cloned().collect();
        if stuck.is_empty() {
            return;
        }
        let names: Vec<_> = stuck.iter().map(|s| format!("{}/{}", s.backend, s.name)).collect();
        if self.set(proxy, &stuck, Admin::Ready).is_ok() {
            self.warn(&format!("{} had been left drained in {}; ready again", names.join(", "), proxy.name));
        }
    }

    /// Whoever drains the only servers that a backend has turns everybody away, and here there is still a way back.
    /// Another one is waited for as long as a drain may take.
    ///
    /// # Errors
    /// None came.
    pub(super) fn wait_for_another_server(&self, leaving: &[ContainerRef]) -> Result<(), Halt> {
        if !self.absent || self.service.settings.order == Order::StopFirst {
            return Ok(());
        }
        let mut looked = Instant::now();
        let end = looked + self.service.settings.drain_timeout;
        let readings = self.again(|| self.crew.docker.inspect(&ids(leaving)))?;
        let leaving: Vec<_> = readings.iter().flat_map(Container::addresses).collect();
        for proxy in &self.proxies {
            while let Ok(servers) = self.again(|| self.ask(proxy, haproxy::LOOK))
                && let Some(backend) = haproxy::emptied_without(&servers, &leaving)
            {
                if self.crew.interrupt.requested() {
                    return Err(Halt::Interrupted);
                }
                self.heed_alarm()?;
                if self.in_vain(Generation::Old, &mut looked) {
                    self.prove_again()?;
                }
                if Instant::now() >= end {
                    return Err(failure(nobody_else(proxy, backend), None));
                }
                thread::sleep(ASK_AGAIN);
            }
        }
        Ok(())
    }
}

fn nobody_else(proxy: &ContainerRef, backend: &str) -> String {
    format!(
        "{} has no new container among the servers of {backend}: do its own checks pass, and has server-template twice as many places as there are replicas?",
        proxy.name
    )
}

fn holds(servers: &[Server], address: IpAddr) -> bool {
    servers.iter().any(|server| server.address == Some(address))
}

fn serves(servers: &[Server], address: IpAddr) -> bool {
    servers.iter().any(|server| server.address == Some(address) && server.serves())
}
