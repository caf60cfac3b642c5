//! New containers enter the pool of HAProxy before old ones leave it.

use std::{net::IpAddr, time::Duration};

use super::{ASK_AGAIN, Admin, Scene, Server, Session, api, set, slot_names};
use crate::{
    engine::{CallError, Container, Replica, ids},
    event::Generation,
    project::Order,
    stage::Halt,
    wait::{Ended, Heed, Look},
};

/// HAProxy finds a new container by DNS and checks it first; `resolve` and `inter` are seconds at the most.
const JOINS_WITHIN: Duration = Duration::from_secs(15);

impl Session {
    /// Waits until every proxy has these containers in its pool.
    pub(super) fn join_all(&mut self, joining: &[Replica], generation: Generation, scene: &Scene) {
        self.absent = false;
        let end = scene.waiter.clock.now() + JOINS_WITHIN;
        let mut readings = scene.engine.inspect(&ids(joining)).unwrap_or_default();
        // A job that has ended has none any more.
        readings.retain(|container| container.addresses().next().is_some());
        if generation == Generation::New && nobody_was_reachable(scene) && !self.any_is_drained(scene) {
            return;
        }
        // One that does not answer cannot be waited for, but what it has in its pool is not known then.
        let silent = self.each(scene, |session, proxy| {
            let left = end.saturating_duration_since(scene.waiter.clock.now());
            session.join_one(proxy, &readings, generation, left, scene)
        });
        self.absent |= !silent.is_empty();
    }

    /// A killed run may have left it so, and then only a new container in that place shows whose it is.
    fn any_is_drained(&self, scene: &Scene) -> bool {
        let drained = |proxy| self.ask(proxy, scene).is_ok_and(|all| all.iter().any(|s| s.drained));
        self.proxies.iter().any(drained)
    }

    fn join_one(
        &mut self,
        proxy: &Replica,
        readings: &[Container],
        generation: Generation,
        limit: Duration,
        scene: &Scene,
    ) -> Result<(), CallError> {
        if self.has_ours.get(&proxy.id) == Some(&false) {
            return Ok(());
        }
        let end = scene.waiter.clock.now() + limit;
        let mut missing = None;
        let joined = scene.waiter.until(Some(limit), scene.heed(generation), || {
            let servers = scene.again(|| self.ask(proxy, scene))?;
            let late = scene.waiter.clock.now() >= end;
            if generation == Generation::New && self.is_outside(proxy, &servers, late, scene) {
                return Ok(Look::Done(()));
            }
            self.free_stuck(proxy, &servers, readings, scene);
            missing = readings.iter().find(|c| !c.addresses().any(|address| serves(&servers, address)));
            if missing.is_some() {
                return Ok(Look::Again(ASK_AGAIN));
            }
            self.absent |= generation == Generation::New && would_empty(&servers, readings, scene);
            Ok(Look::Done(()))
        })?;
        if let (Ended::Deadline, Some(missing)) = (joined, missing) {
            self.absent = true;
            scene.reporter.warn(&format!("{proxy} does not have {} in its pool yet", missing.name));
        }
        Ok(())
    }

    /// Whether it merely shares a network with the service, as far as its servers show.
    fn is_outside(&mut self, proxy: &Replica, servers: &[Server], late: bool, scene: &Scene) -> bool {
        // One that has just been started may not have asked the DNS for anybody yet.
        let settled = |has_ours: &bool| *has_ours || self.planned.contains(proxy) || late;
        match shows_ours(servers, scene).filter(settled) {
            // One that had some is never outside, whatever a later look finds.
            Some(has_ours) => !*self.has_ours.entry(proxy.id.clone()).or_insert(has_ours),
            None => false,
        }
    }

    /// A run that was killed after it had stopped everything leaves slots drained in which nothing of ours is to be
    /// seen, until a new container comes to be in them.
    fn free_stuck(&self, proxy: &Replica, servers: &[Server], readings: &[Container], scene: &Scene) {
        let held = |server: &Server| {
            readings.iter().flat_map(Container::addresses).any(|a| server.address == Some(a))
        };
        let stuck: Vec<_> = servers.iter().filter(|s| s.drained && held(s)).cloned().collect();
        let socket = self.socket.as_deref();
        if !stuck.is_empty() && set(scene.engine, proxy, socket, &stuck, Admin::Ready).is_ok() {
            let names = slot_names(&stuck);
            scene.reporter.warn(&format!("{names} had been left drained in {proxy}; ready again"));
        }
    }

    /// Whoever drains the only servers that a backend has turns everybody away, and here all can still be undone.
    /// Another one is waited for as long as a drain may take.
    ///
    /// # Errors
    /// None came.
    pub(super) fn wait_for_another_server(&self, leaving: &[Replica], scene: &Scene) -> Result<(), Halt> {
        if !self.absent || scene.service.settings.order == Order::StopFirst {
            return Ok(());
        }
        let readings = scene.again(|| scene.engine.inspect(&ids(leaving)))?;
        let leaving: Vec<_> = readings.iter().flat_map(Container::addresses).collect();
        for proxy in &self.proxies {
            let mut emptied = String::new();
            let ended = scene.waiter.until(Some(scene.service.settings.drain_timeout), Heed::All, || {
                let servers = scene.again(|| self.ask(proxy, scene)).unwrap_or_default();
                Ok::<_, ()>(match api::emptied_without(&servers, &leaving) {
                    Some(backend) if !(scene.old_are_needed)() => {
                        emptied = nobody_else(proxy, backend);
                        Look::Again(ASK_AGAIN)
                    }
                    _ => Look::Done(()),
                })
            });
            match ended {
                Ok(Ended::Deadline) => return Err(Halt::failed(emptied, None)),
                Ok(ended) => Halt::unless_over(ended)?,
                Err(()) => {}
            }
        }
        Ok(())
    }
}

/// Then no proxy shows whether it serves this service at all, and there is nobody to be drained.
fn nobody_was_reachable(scene: &Scene) -> bool {
    scene.before.iter().all(|container| container.addresses().next().is_none())
}

/// Whether one of these servers is one of the service's, which else merely shares a network with the proxy. Under
/// `order: stop-first` its old containers have left the pool by now, and it showed then.
fn shows_ours(servers: &[Server], scene: &Scene) -> Option<bool> {
    if scene.service.settings.order == Order::StopFirst {
        return None;
    }
    let mine: Vec<_> = scene.before.iter().flat_map(|container| container.addresses()).collect();
    (!mine.is_empty()).then(|| mine.iter().any(|address| holds(servers, *address)))
}

/// Whether a backend would be empty without the old containers: these are in one of them, and it may have several,
/// each with checks of its own.
fn would_empty(servers: &[Server], new: &[Container], scene: &Scene) -> bool {
    let stays = |replica: &&Replica| new.iter().any(|other| other.id == replica.id);
    let leaving = scene.before.iter().filter(|replica| !stays(replica));
    let leaving: Vec<_> = leaving.flat_map(|replica| replica.addresses()).collect();
    api::emptied_without(servers, &leaving).is_some()
}

fn nobody_else(proxy: &Replica, backend: &str) -> String {
    format!(
        "{proxy} has no new container among the servers of {backend}: do its own checks pass, and has server-template twice as many places as there are replicas?"
    )
}

fn holds(servers: &[Server], address: IpAddr) -> bool {
    servers.iter().any(|server| server.address == Some(address))
}

fn serves(servers: &[Server], address: IpAddr) -> bool {
    servers.iter().any(|server| server.address == Some(address) && server.serves())
}
