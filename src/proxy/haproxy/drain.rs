//! Old containers leave HAProxy: their slots are set to drain, and given back when their addresses are dead.

use std::time::Duration;

use super::{
    ASK_AGAIN, Admin, Heard, Lease, Scene, Server, Session, api, ask, check, is_gone, names, same, set,
    slot_names,
};
use crate::{
    engine::{CallError, Container, Engine, Replica, State, ids},
    event::{Generation, Phase},
    project::Until,
    wait::{Heed, Look, Waiter},
};

/// How long a dead address may stay in a slot before its drain is undone regardless: Docker's DNS drops it at
/// once, HAProxy looks every `timeout resolve` and keeps it for `hold obsolete`.
const SLOT_FREES_WITHIN: Duration = Duration::from_secs(10);

/// Slots that were set to drain, with the addresses that were in them.
struct Slots {
    proxy: Replica,
    socket: Option<String>,
    servers: Vec<Server>,
}

impl Lease for Slots {
    /// At once where the containers go on serving, else when their addresses have left.
    fn give_back(self: Box<Self>, gone: bool, scene: &Scene) {
        let Slots { proxy, socket, servers } = *self;
        let back = || free(scene.engine, &proxy, socket.as_deref(), servers.clone(), gone, scene.waiter);
        if let Err(error) = scene.again(back)
            && !is_gone(&error)
        {
            scene
                .reporter
                .warn(&format!("{proxy} could not be set to send requests to its servers again: {error}"));
        }
    }
}

impl Session {
    pub(super) fn drain_all(
        &mut self,
        leaving: &[Replica],
        generation: Generation,
        limit: Duration,
        scene: &Scene,
    ) -> Vec<Box<dyn Lease>> {
        let end = scene.waiter.clock.now() + limit;
        let mut leases: Vec<Box<dyn Lease>> = Vec::new();
        let failed = self.each(scene, |session, proxy| {
            let left = end.saturating_duration_since(scene.waiter.clock.now());
            session.drain(proxy, leaving, generation, left, scene, &mut leases)
        });
        for (proxy, error) in failed {
            scene.reporter.warn(&format!("{proxy} could not be asked to drain: {error}"));
        }
        self.say_when_nothing_is_drained(scene);
        leases
    }

    /// HAProxy that was found by itself may well serve others; one that is written is meant to serve this one.
    fn say_when_nothing_is_drained(&mut self, scene: &Scene) {
        let written = matches!(scene.service.settings.drain.until, Until::Haproxy { .. });
        let outside = |proxy: &Replica| self.has_ours.get(&proxy.id) == Some(&false);
        if written && !self.said_nothing_to_drain && self.proxies.iter().all(outside) {
            self.said_nothing_to_drain = true;
            scene.reporter.warn(&format!(
                "none of its containers is among the servers of HAProxy in {}, so nothing is drained",
                names(&self.proxies)
            ));
        }
    }

    fn drain(
        &mut self,
        proxy: &Replica,
        leaving: &[Replica],
        generation: Generation,
        limit: Duration,
        scene: &Scene,
        leases: &mut Vec<Box<dyn Lease>>,
    ) -> Result<(), CallError> {
        let readings = scene.again(|| scene.engine.inspect(&ids(leaving)))?;
        let addresses: Vec<_> = readings.iter().flat_map(Container::addresses).collect();
        let servers = scene.again(|| self.ask(proxy, scene))?;
        // A new container that the proxy's own checks refuse gets no requests that could be lost.
        let concerned = |s: &Server| {
            s.address.is_some_and(|a| addresses.contains(&a)) && (generation == Generation::Old || s.up)
        };
        let ours: Vec<_> = servers.into_iter().filter(concerned).collect();
        if ours.is_empty() {
            if generation == Generation::Old && !addresses.is_empty() {
                self.not_among_servers(proxy, &readings, scene);
            }
            return Ok(());
        }
        self.has_ours.insert(proxy.id.clone(), true);
        scene.reporter.each(leaving, generation, &Phase::Draining { how: format!("HAProxy in {proxy}") });
        let socket = self.socket.clone();
        leases.push(Box::new(Slots { proxy: proxy.clone(), socket, servers: ours.clone() }));
        let socket = self.socket.as_deref();
        let mut now = scene.again(|| set(scene.engine, proxy, socket, &ours, Admin::Drain))?;
        scene.wait_while(limit, generation, || {
            // What was seen last holds until something else is seen.
            now = self.ask(proxy, scene).unwrap_or_else(|_| std::mem::take(&mut now));
            busy(&now, &ours).then_some(ASK_AGAIN)
        });
        let note = busy(&now, &ours).then(|| "deadline passed".to_owned());
        scene.reporter.each(leaving, generation, &Phase::Drained { note });
        Ok(())
    }

    /// What runs and is missing although others of the service are there, HAProxy may know by an address that nobody
    /// else does.
    fn not_among_servers(&mut self, proxy: &Replica, readings: &[Container], scene: &Scene) {
        if !*self.has_ours.entry(proxy.id.clone()).or_insert(false) {
            return;
        }
        for reading in readings.iter().filter(|reading| reading.state == State::Running) {
            scene.reporter.warn(&format!(
                "{} is not among the servers of {proxy}, so it is not drained there",
                reading.name
            ));
        }
    }
}

/// Makes slots ready again; where the address in them is dead, not before HAProxy has dropped it.
fn free(
    engine: &dyn Engine,
    proxy: &Replica,
    socket: Option<&str>,
    mut slots: Vec<Server>,
    gone: bool,
    waiter: &Waiter,
) -> Result<(), CallError> {
    let ready = |slots: &[Server]| match slots {
        [] => Ok(()),
        _ => set(engine, proxy, socket, slots, Admin::Ready).map(drop),
    };
    if gone {
        waiter.until(Some(SLOT_FREES_WITHIN), Heed::Urgent, || {
            let now = ask(engine, proxy, socket, api::LOOK)?;
            let dead = |slot: &Server| now.iter().any(|s| same(s, slot) && s.address == slot.address);
            let (kept, free): (Vec<_>, Vec<_>) = std::mem::take(&mut slots).into_iter().partition(dead);
            slots = kept;
            ready(&free)?;
            Ok(if slots.is_empty() { Look::Done(()) } else { Look::Again(ASK_AGAIN) })
        })?;
    }
    ready(&slots)
}

fn busy(now: &[Server], ours: &[Server]) -> bool {
    now.iter().any(|server| {
        server.sessions > 0 && ours.iter().any(|own| same(own, server) && own.address == server.address)
    })
}

/// Slots that a killed run has left drained serve again: at once where a container of ours or none is in them, and
/// where a dead address still is, as soon as HAProxy has dropped it.
pub fn recover(
    proxy: &Replica,
    socket: Option<&str>,
    containers: &[Container],
    heard: &[Heard],
    (engine, waiter): (&dyn Engine, &Waiter),
    warn: &dyn Fn(String),
) -> bool {
    let servers = match check::answer(proxy, socket, heard) {
        Some(Ok(servers)) => servers.clone(),
        Some(Err(_)) => return false,
        None => ask(engine, proxy, socket, api::LOOK).unwrap_or_default(),
    };
    let ours: Vec<_> = containers.iter().flat_map(Container::addresses).collect();
    let (usable, dead) = api::left_drained(&servers, &ours);
    if usable.is_empty() && dead.is_empty() {
        return false;
    }
    let names = slot_names(&[usable.clone(), dead.clone()].concat());
    let freed = free(engine, proxy, socket, usable, false, waiter)
        .and_then(|()| free(engine, proxy, socket, dead, true, waiter));
    warn(match freed {
        Ok(()) => format!("{names} had been left drained in {proxy}; ready again"),
        Err(error) => format!("{names} are left drained in {proxy}: {error}"),
    });
    true
}
