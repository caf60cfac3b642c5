//! Connections are handed over on the network itself, whatever the proxy and however late it notices: a helper on the
//! engine's machine lets new connections to one container go to another, and leaves those that were begun alone.
//!
//! 1. **Guard**: Docker's name server names a container as soon as it starts. Until it is ready its visitors go to one
//!    that serves.
//! 2. **Steer**: new connections to one that leaves go to its heir. It has left when it has no connection.
//! 3. **Switch**: it has ended. Its heir gets what is still sent to its address, until nobody asks for that any more.
//!
//! Where a container must be alone, a helper is its heir, and connections **wait** there for the one that is started when
//! it has ended.

mod draining;
mod hold;
mod lease;
mod lookup;
pub mod pairs;
mod ports;

use std::{collections::BTreeMap, sync::OnceLock, time::Duration};

pub use self::ports::HeldPorts;
use self::{
    hold::Hold,
    lease::HandedOver,
    pairs::{Networks, blinks, moved, on, own, pairs},
};
use super::{Lease, Proxy, Scene};
use crate::{
    engine::{ContainerRef, Network, Replica, State, ids, network_ids},
    event::{Generation, Phase},
    helper::{
        Answer, Help, StandIn, Trouble,
        protocol::{Blink, Clause, Pair, Request},
    },
    stage::Halt,
    text::{count, duration},
};

/// A connection on which the container has answered and on which nothing has come for so long is done with.
const END_QUIET: Duration = Duration::from_millis(15);
/// So often it is looked where those are that start, without news of the engine.
const LOOK: Duration = Duration::from_millis(500);
/// A request that is under way when connections begin to wait gets so long before its container is stopped.
const LAST_REQUESTS: Duration = Duration::from_secs(3);

/// The others have no connections, or those of the host are not to be told from theirs.
fn running(replicas: &[Replica]) -> Vec<Replica> {
    replicas.iter().filter(|replica| replica.is_on_its_own()).cloned().collect()
}

#[derive(Default)]
pub struct Session {
    hold: Option<Hold>,
    /// Who gets those who wait, should this program end.
    announced: Option<Replica>,
    networks: Vec<Network>,
    /// Old ones that get the visitors of new ones.
    siblings: Vec<Replica>,
    /// ID of a new one that is not ready → where its visitors go instead.
    guarded: BTreeMap<String, Vec<Pair>>,
    /// As long as new ones start.
    blinks: Vec<Blink>,
    /// What cannot be handed over was said.
    said: bool,
}

impl Session {
    /// Says once that something cannot be done; the rollout goes on without it.
    fn heed<T>(&mut self, result: Result<T, Trouble>, scene: &Scene) -> Option<T> {
        if let Err(trouble) = &result
            && !std::mem::replace(&mut self.said, true)
        {
            scene.reporter.warn(&format!("connections cannot be handed over as planned: {trouble}"));
        }
        result.ok()
    }

    fn change(&mut self, clauses: Vec<Clause>, scene: &Scene) -> Option<Answer> {
        let help = scene.help.filter(|_| !clauses.is_empty())?;
        self.heed(help.on_host(&Request::Change(clauses)), scene)
    }

    /// Reads the networks of these containers with who is on them now.
    fn look(&mut self, containers: &[Replica], scene: &Scene) {
        self.networks = networks_of(containers, scene).unwrap_or_else(|| std::mem::take(&mut self.networks));
    }

    fn knows_networks_of(&self, container: &Replica) -> bool {
        let known = |id: &String| id.is_empty() || self.networks.iter().any(|network| network.id == *id);
        container.networks.values().all(|endpoint| known(&endpoint.network))
    }

    /// Those of these that can take what is for others.
    fn take(&mut self, containers: &[Replica], scene: &Scene) -> Vec<Replica> {
        let Some(help) = scene.help else { return vec![] };
        let mut able = Vec::new();
        for replica in containers {
            let own = own(&replica.networks, &self.networks);
            let taken = (!own.is_empty()).then(|| help.inside(&replica.reference(), &Request::Take(own)));
            if taken.is_some_and(|taken| self.heed(taken, scene).is_some()) {
                able.push(replica.clone());
            }
        }
        able
    }

    /// Somebody else than these comes or goes, and what is sent to whoever comes next may be for that one.
    fn others_move(&self, new: &[String]) -> bool {
        let (came, gone) = moved(&self.blinks, &self.networks);
        gone || !came.iter().all(|id| new.contains(id))
    }

    /// Visitors of one that is not ready go to one that serves.
    fn guard(&mut self, id: &str, on: &Networks) -> Vec<Clause> {
        let sibling = &self.siblings[self.guarded.len() % self.siblings.len()];
        let pairs = pairs(on, &sibling.networks, &self.networks);
        let ends = |pairs: &[Pair]| Vec::from_iter(pairs.iter().map(|pair| pair.from));
        if pairs.is_empty() || self.guarded.get(id).is_some_and(|known| ends(known) == ends(&pairs)) {
            return vec![];
        }
        self.hold.iter_mut().for_each(|hold| pairs.iter().for_each(|p| hold.forget(&p.from.address)));
        let mut clauses: Vec<_> = pairs.iter().cloned().map(Clause::Guard).collect();
        // It was started again, and has another address.
        let before = self.guarded.insert(id.to_owned(), pairs.clone()).unwrap_or_default();
        let gone = before.into_iter().map(|pair| pair.from.address);
        let gone = gone.filter(|address| pairs.iter().all(|pair| pair.from.address != *address));
        clauses.extend(gone.map(Clause::Finish));
        clauses
    }
}

impl Proxy for Session {
    fn prepare(&mut self, containers: &[Replica], scene: &Scene) {
        let Some(help) = scene.help else { return };
        running(containers).iter().for_each(|replica| help.prepare(&replica.reference()));
    }

    fn expect(&mut self, scene: &Scene) {
        let stand_in = self.hold.as_ref().map(|hold| Vec::from_iter(hold.inside.clone()));
        self.siblings = match stand_in {
            Some(stand_in) => {
                self.look(&stand_in, scene);
                stand_in
            }
            None => {
                let Ok(readings) = scene.again(|| scene.engine.inspect(&ids(scene.before))) else { return };
                let serving: Vec<_> = readings.iter().filter(|c| c.serves()).map(Replica::from).collect();
                self.look(&serving, scene);
                self.take(&serving, scene)
            }
        };
        let Some(first) = self.siblings.first() else { return };
        let mut ours = scene.again(|| scene.engine.member_ids()).unwrap_or_default();
        ours.extend(ids(&self.siblings));
        let ports = match (&self.hold, scene.help) {
            (Some(hold), _) => hold.ports.clone(),
            (None, help) => help.and_then(|help| hold::listening(first, help).ok()).unwrap_or_default(),
        };
        self.blinks = blinks(&first.networks, &self.networks, scene.project, (&ours, &ports));
        let blinks = self.blinks.iter().cloned();
        let kept = self.hold.as_ref().map(|hold| hold.guard_kept(&self.networks, scene.project));
        let clauses = blinks.map(Clause::Blink).chain(kept.unwrap_or_default()).collect();
        self.change(clauses, scene);
    }

    fn starting(&mut self, new: &dyn Fn() -> Vec<String>, scene: &Scene) {
        if self.siblings.is_empty() {
            return;
        }
        let siblings = self.siblings.clone();
        self.look(&siblings, scene);
        let (new, mut clauses) = (new(), Vec::new());
        for id in &new {
            clauses.extend(self.guard(id, &on(&self.networks, id)));
        }
        if !self.blinks.is_empty() && self.others_move(&new) {
            self.blinks.clear();
            clauses.push(Clause::Unblink);
        }
        self.change(clauses, scene);
    }

    fn started(&mut self, new: &[Replica], scene: &Scene) {
        self.announce(new, scene);
        self.guard_started(new, scene);
    }

    fn join(&mut self, joining: &[Replica], _: Generation, scene: &Scene) {
        let guarded = joining.iter().filter_map(|replica| self.guarded.remove(&replica.id));
        let addresses: Vec<_> = guarded.flatten().map(|pair| pair.from.address).collect();
        self.hold.iter_mut().for_each(|hold| addresses.iter().for_each(|address| hold.forget(address)));
        self.change(addresses.into_iter().map(Clause::Finish).collect(), scene);
    }

    fn steer(&mut self, leaving: &[Replica], heirs: &[Replica], scene: &Scene) -> Vec<Box<dyn Lease>> {
        let both: Vec<_> = leaving.iter().chain(heirs).cloned().collect();
        let Ok(readings) = scene.again(|| scene.engine.inspect(&ids(&both))) else { return vec![] };
        let now = |replica: &Replica| {
            let reading = readings.iter().find(|reading| reading.id == replica.id);
            reading.map_or_else(|| replica.clone(), Replica::from)
        };
        let readings: Vec<_> = both.iter().map(now).collect();
        self.look(&readings, scene);
        let (leaving, heirs) = readings.split_at(leaving.len());
        if self.hold.is_some() {
            return self.steer_to_stand_in(leaving, scene);
        }
        let able = self.take(&distinct(heirs), scene);
        let mut lease = HandedOver::new(&able, scene);
        for (replica, heir) in leaving.iter().zip(heirs).filter(|(_, heir)| able.contains(heir)) {
            lease.add(replica, pairs(&replica.networks, &heir.networks, &self.networks));
            // It was never ready, and has ended: its visitors still go to a sibling.
            lease.add_ended(replica, self.guarded.remove(&replica.id).unwrap_or_default());
        }
        let clauses = lease.steer(&self.networks, scene);
        self.change(clauses, scene);
        vec![Box::new(lease)]
    }

    fn leave(
        &mut self,
        leaving: &[Replica],
        generation: Generation,
        limit: Duration,
        scene: &Scene,
    ) -> Vec<Box<dyn Lease>> {
        let Some(help) = scene.help else { return vec![] };
        let running = running(leaving);
        self.hold.iter().for_each(|hold| hold.overlook(true, help));
        let is_filtered = self.hold.as_ref().is_some_and(|hold| hold.is_filtered);
        let limit = if is_filtered { limit.min(LAST_REQUESTS) } else { limit };
        let left = draining::drain(&running, limit, generation, (help, scene));
        for (replica, left) in running.iter().zip(left) {
            let note = (left > 0).then(|| {
                format!("{} left after {}", count(left as usize, "connection"), duration::show(limit))
            });
            scene.reporter.container(&replica.reference(), generation, Phase::Drained { note });
        }
        vec![]
    }

    fn is_asked(&self) -> bool {
        true
    }

    fn hold(&mut self, leaving: &[Replica], scene: &Scene) -> Result<(), Halt> {
        let Some(help) = scene.help else { return Ok(()) };
        self.hold_for(leaving, help, scene).map_err(|trouble| {
            // What has been started must not go on; what goes by way of it comes to its end.
            let guarded = std::mem::take(&mut self.guarded).into_values().flatten();
            let finish = guarded.map(|pair| Clause::Finish(pair.from.address));
            self.change([Clause::Unblink].into_iter().chain(finish).collect(), scene);
            let limit = scene.service.settings.drain_timeout;
            self.hold.take().into_iter().for_each(|hold| hold.leave(limit, help));
            Halt::failed(format!("connections cannot be held: {trouble}"), None)
        })
    }

    fn wait(&mut self, leaving: &[Replica], scene: &Scene) -> Result<(), Halt> {
        let Some((hold, help)) = self.hold.as_ref().zip(scene.help) else { return Ok(()) };
        wait(hold, &running(leaving), &self.networks, (help, scene))
    }

    fn try_out(&mut self, new: &[Replica], scene: &Scene) {
        let Some((hold, help)) = self.hold.as_ref().zip(scene.help) else { return };
        if let Some(new) = new.first() {
            let aimed = hold.aim(new, &self.networks, help);
            self.heed(aimed, scene);
        }
    }

    fn is_holding(&self) -> bool {
        self.hold.is_some()
    }

    fn keeps_addresses(&self) -> bool {
        self.hold.as_ref().is_some_and(Hold::keeps_any)
    }

    fn release(&mut self, next: &[Replica], scene: &Scene) -> Vec<Box<dyn Lease>> {
        let Some((hold, help)) = self.hold.take().zip(scene.help) else { return vec![] };
        (self.announced, self.siblings) = (None, vec![]);
        let known: Vec<_> = next.iter().cloned().chain(hold.inside.clone()).collect();
        self.look(&known, scene);
        let able = self.take(next, scene);
        let mut lease = HandedOver::new(&able, scene);
        let mut lost = hold.kept_addresses();
        if let Some(heir) = able.first() {
            let kept = hold.kept_for(&heir.networks, &self.networks);
            lost.retain(|address| kept.iter().all(|pair| pair.from.address != *address));
            lease.add_dead(kept);
            hold.inside.iter().for_each(|inside| {
                lease.add(inside, pairs(&inside.networks, &heir.networks, &self.networks));
            });
        }
        // Ready or not: there is nobody else any more.
        let guarded = std::mem::take(&mut self.guarded).into_values().flatten();
        let lost = lost
            .into_iter()
            .map(Clause::Release)
            .chain(guarded.map(|pair| Clause::Finish(pair.from.address)));
        let clauses = lease.steer(&self.networks, scene).into_iter().chain(lost).collect();
        self.change(clauses, scene);
        let limit = match next.first() {
            Some(next) => {
                let aimed = hold.aim(next, &self.networks, help);
                self.heed(aimed, scene);
                scene.service.settings.drain_timeout
            }
            None => Duration::ZERO,
        };
        hold.leave(limit, help);
        hold.inside.iter().for_each(|inside| lease.ended(inside, scene));
        vec![Box::new(lease)]
    }
}

impl Session {
    /// Those that run; the others have no visitors.
    fn guard_started(&mut self, new: &[Replica], scene: &Scene) {
        if self.siblings.is_empty() {
            return;
        }
        if !new.iter().all(|replica| self.knows_networks_of(replica)) {
            let known: Vec<_> = self.siblings.iter().chain(new).cloned().collect();
            self.look(&known, scene);
        }
        let mut clauses = Vec::new();
        for replica in new.iter().filter(|replica| replica.state == State::Running) {
            clauses.extend(self.guard(&replica.id, &replica.networks));
            let help = scene.help.filter(|_| self.guarded.contains_key(&replica.id));
            help.into_iter().for_each(|help| help.prepare(&replica.reference()));
        }
        if !std::mem::take(&mut self.blinks).is_empty() {
            clauses.push(Clause::Unblink);
        }
        self.change(clauses, scene);
    }

    fn announce(&mut self, new: &[Replica], scene: &Scene) {
        let Some(next) = new.iter().find(|replica| replica.addresses().next().is_some()) else { return };
        let Some((hold, help)) = self.hold.as_ref().zip(scene.help) else { return };
        if self.announced.as_ref() != Some(next) {
            let told = hold.announce(next, &self.networks, help);
            self.announced = Some(next.clone());
            self.heed(told, scene);
        }
    }

    /// Starts what is reached in the place of these, which passes on to one of them that serves.
    fn hold_for(&mut self, leaving: &[Replica], help: &dyn Help, scene: &Scene) -> Result<(), Trouble> {
        self.expect(scene);
        self.look(leaving, scene);
        // What has been started is to be ended whatever fails now.
        let hold = self.hold.insert(Hold::of(leaving));
        let wanted = hold.open(&self.networks, help, scene)?;
        let started = wanted.map(|wanted| self.start_stand_in(&wanted, help, scene)).transpose()?;
        let inside = self.hold.as_mut().zip(started).and_then(|(hold, started)| hold.enter(&started, scene));
        let inside = Vec::from_iter(inside);
        self.guard_started(&inside, scene);
        if let Some(hold) = &self.hold {
            hold.take_over(&self.networks, help)?;
        }
        self.join(&inside, Generation::New, scene);
        Ok(())
    }

    /// It has the names of the container before it can answer, so its visitors are kept from it like those of a new one.
    fn start_stand_in(
        &mut self,
        wanted: &StandIn,
        help: &dyn Help,
        scene: &Scene,
    ) -> Result<ContainerRef, Trouble> {
        let made = OnceLock::new();
        let start = || help.stand_in(wanted, &|id| drop(made.set(id.to_owned())));
        let new = || made.get().cloned().into_iter().collect();
        scene.waiter.meanwhile(LOOK, start, || self.starting(&new, scene))
    }

    /// As long as connections are held, addresses of containers that end lead to the one that holds them.
    fn steer_to_stand_in(&mut self, leaving: &[Replica], scene: &Scene) -> Vec<Box<dyn Lease>> {
        let inside = self.hold.as_ref().and_then(|hold| hold.inside.clone());
        let mut lease = HandedOver::held(scene);
        for replica in leaving {
            let networks = inside.as_ref().map(|inside| inside.networks.clone()).unwrap_or_default();
            let mut to_it = pairs(&replica.networks, &networks, &self.networks);
            let guarded = self.guarded.remove(&replica.id).unwrap_or_default();
            if to_it.is_empty() {
                to_it.clone_from(&guarded);
            }
            self.hold.iter_mut().for_each(|hold| hold.keep(&to_it));
            lease.add(replica, to_it);
        }
        let clauses = lease.steer(&self.networks, scene);
        self.change(clauses, scene);
        vec![Box::new(lease)]
    }
}

/// What comes waits, and what is under way comes to its end.
fn wait(
    hold: &Hold,
    running: &[Replica],
    networks: &[Network],
    (help, scene): (&dyn Help, &Scene),
) -> Result<(), Halt> {
    let settings = &scene.service.settings;
    let begun = hold.wait(settings.hand_over.hold, networks, help);
    begun.map_err(|trouble| Halt::failed(format!("connections cannot wait: {trouble}"), None))?;
    hold.overlook(false, help);
    draining::drain(running, LAST_REQUESTS.min(settings.drain_timeout), Generation::Old, (help, scene));
    Ok(())
}

/// With who is on them now; `None` where there are none, or where that cannot be read, which is said.
fn networks_of(containers: &[Replica], scene: &Scene) -> Option<Vec<Network>> {
    let ids = network_ids(containers.iter().flat_map(|c| c.networks.values()));
    let networks = (!ids.is_empty()).then(|| scene.again(|| scene.engine.networks(&ids)))?;
    if let Err(error) = &networks {
        scene.reporter.warn(&format!("the networks cannot be read: {error}"));
    }
    networks.ok()
}

fn distinct(replicas: &[Replica]) -> Vec<Replica> {
    let mut found: Vec<Replica> = Vec::new();
    for replica in replicas {
        if !found.contains(replica) {
            found.push(replica.clone());
        }
    }
    found
}
