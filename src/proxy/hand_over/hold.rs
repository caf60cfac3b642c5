//! Connections wait: a helper is reached in the place of a container, and passes on to it what comes, until the container
//! is about to stop; what comes then waits for whoever is next.
//!
//! There may be two: one on the container's networks, under its names there and with the labels that proxies read, and
//! one on the engine's host for published ports.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    thread,
    time::Duration,
};

use super::{
    END_QUIET,
    pairs::{Networks, is_own, on, own, pairs, places},
    running,
};
use crate::{
    engine::{
        Container, ContainerRef, Joined, Network, Protocol, Published, Replica, State, container, network_ids,
    },
    helper::{
        Help, StandIn, Trouble,
        protocol::{Clause, Pair, Ports, Request},
    },
    proxy::Scene,
};

/// The name of Docker's default network, on which nobody has a name.
const DEFAULT_NETWORK: &str = "bridge";
const COMPOSE: &str = "com.docker.compose.";

/// Who is reached in the place of containers.
#[derive(Default)]
pub struct Hold {
    /// The containers that run.
    running: Vec<Replica>,
    /// On which they listen, where somebody else is on their networks.
    pub ports: Vec<u16>,
    /// On their networks.
    pub inside: Option<Replica>,
    /// On the engine's host.
    host: Option<ContainerRef>,
    /// Who connects in the place of others.
    relays: Vec<IpAddr>,
    /// A firewall keeps those from outside away from the one on the host, so they go on to come by themselves.
    pub is_filtered: bool,
    /// What goes to the one inside, by the address it is sent to.
    kept: BTreeMap<IpAddr, Pair>,
}

impl Hold {
    pub fn of(old: &[Replica]) -> Hold {
        Hold { running: running(old), ..Hold::default() }
    }

    /// The one that what comes is passed on to.
    fn first(&self) -> Option<&Replica> {
        self.running.iter().find(|replica| replica.serves()).or(self.running.first())
    }

    /// Starts the one on the host, which passes nothing on yet. The one that is wanted inside.
    ///
    /// # Errors
    /// It does not start.
    pub fn open(
        &mut self,
        networks: &[Network],
        help: &dyn Help,
        scene: &Scene,
    ) -> Result<Option<StandIn>, Trouble> {
        let Some(first) = self.first().cloned() else { return Ok(None) };
        self.open_on_host(networks, help)?;
        if scene.before.iter().any(|replica| !replica.published.is_empty()) {
            // Ports that go to another service are held there by themselves.
            self.relays.extend(gateways(networks));
        }
        let joined = if has_company(&self.running, networks) { joined(&first, networks) } else { vec![] };
        if !joined.is_empty() {
            self.ports = listening(&first, help)?;
        }
        Ok((!self.ports.is_empty()).then(|| StandIn { networks: joined, ..like(&first) }))
    }

    /// The one inside has started. It passes nothing on yet.
    pub fn enter(&mut self, stand_in: &ContainerRef, scene: &Scene) -> Option<Replica> {
        let inside = self.inside.insert(reached(stand_in, self.running.first()?, scene));
        self.relays.extend(inside.addresses());
        self.inside.clone()
    }

    /// Only the one on the host, where they have ports.
    ///
    /// # Errors
    /// As [`Hold::open`].
    pub fn open_on_host(&mut self, networks: &[Network], help: &dyn Help) -> Result<(), Trouble> {
        let Some((request, first)) = held(&self.running).zip(self.first().cloned()) else { return Ok(()) };
        let host = self.host.insert(help.stand_in(&StandIn::default(), &|_| {})?).clone();
        self.is_filtered = help.inside(&host, &request)?.number("filtered").is_some();
        self.relays.extend(gateways(networks));
        self.aim(&first, networks, help)
    }

    /// The ports on the host lead to these from now on, whatever waits there included.
    ///
    /// # Errors
    /// As [`Hold::take_over`].
    pub fn lead_to(&self, next: &[Replica], networks: &[Network], help: &dyn Help) -> Result<(), Trouble> {
        let Some((host, next)) = self.host.as_ref().zip(next.first().zip(held(next))) else { return Ok(()) };
        help.inside(host, &next.1)?;
        self.aim(next.0, networks, help)
    }

    /// The one inside takes what comes in the place of the containers, and passes it on.
    ///
    /// # Errors
    /// It refuses, or is gone.
    pub fn take_over(&self, networks: &[Network], help: &dyn Help) -> Result<(), Trouble> {
        let Some((inside, first)) = self.inside.as_ref().zip(self.first()) else { return Ok(()) };
        let tcp = ranges(self.ports.iter().map(|port| ports(None, *port, *port)));
        let container = inside.reference();
        help.inside(&container, &Request::Take(own(&inside.networks, networks)))?;
        help.inside(&container, &Request::Hold { tcp, udp: vec![] })?;
        self.aim(first, networks, help)
    }

    /// Whatever waits and whatever comes is passed on to this one.
    ///
    /// # Errors
    /// As [`Hold::take_over`].
    pub fn aim(&self, at: &Replica, networks: &[Network], help: &dyn Help) -> Result<(), Trouble> {
        self.tell_of(at, Request::Target, networks, help)
    }

    /// It has started. Should nobody be here any more to say that it is ready, it gets those who wait.
    ///
    /// # Errors
    /// As [`Hold::take_over`].
    pub fn announce(&self, next: &Replica, networks: &[Network], help: &dyn Help) -> Result<(), Trouble> {
        self.tell_of(next, Request::Next, networks, help)
    }

    fn tell_of(
        &self,
        who: &Replica,
        request: fn(IpAddr) -> Request,
        networks: &[Network],
        help: &dyn Help,
    ) -> Result<(), Trouble> {
        let inside = self.inside.as_ref().and_then(|inside| {
            let pair = pairs(&inside.networks, &who.networks, networks).into_iter().next()?;
            Some((inside.reference(), pair.to.address))
        });
        let host =
            self.host.clone().zip(places(&who.networks, networks).first().map(|place| place.end.address));
        let told = inside.into_iter().chain(host);
        let mut told = told.map(|(container, address)| help.inside(&container, &request(address)));
        told.try_for_each(|answer| match answer {
            // It has waited for too long, and holds nothing any more.
            Err(Trouble::Refused(_)) => Ok(()),
            answer => answer.map(drop),
        })
    }

    /// What comes waits from now on, at most so long.
    ///
    /// # Errors
    /// As [`Hold::take_over`].
    pub fn wait(&self, limit: Duration, networks: &[Network], help: &dyn Help) -> Result<(), Trouble> {
        // Each of them, whatever becomes of the others.
        let waiting: Vec<_> = self.all().map(|one| help.inside(&one, &Request::Wait(Some(limit)))).collect();
        waiting.into_iter().try_for_each(|answer| answer.map(drop))?;
        // Should this program end before another one has started.
        self.first().map_or(Ok(()), |first| self.announce(first, networks, help))
    }

    /// What is passed on to the containers is no reason to wait, until connections wait.
    pub fn overlook(&self, overlooks: bool, help: &dyn Help) {
        let peers = if overlooks { self.relays.clone() } else { vec![] };
        for replica in &self.running {
            // What cannot be asked is not waited for.
            let _ = help.inside(&replica.reference(), &Request::Except(peers.clone()));
        }
    }

    /// They take nothing new, and end when what they pass on has ended, or after this time.
    pub fn leave(&self, limit: Duration, help: &dyn Help) {
        thread::scope(|scope| {
            for one in self.all() {
                scope.spawn(move || {
                    let _ = help.inside(&one, &Request::Leave { quiet: END_QUIET, limit });
                    help.dismiss(&one);
                });
            }
        });
    }

    fn all(&self) -> impl Iterator<Item = ContainerRef> {
        let inside = self.inside.as_ref().map(|inside| inside.reference());
        inside.into_iter().chain(self.host.clone())
    }

    /// These addresses lead to the one inside until it is over.
    pub fn keep(&mut self, pairs: &[Pair]) {
        self.kept.extend(pairs.iter().map(|pair| (pair.from.address, pair.clone())));
    }

    /// The address is somebody's again.
    pub fn forget(&mut self, address: &IpAddr) {
        self.kept.remove(address);
    }

    pub fn kept_addresses(&self) -> Vec<IpAddr> {
        self.kept.keys().copied().collect()
    }

    pub fn keeps_any(&self) -> bool {
        !self.kept.is_empty()
    }

    /// Before one starts that may get a kept address: its visitors are kept from it from the first packet on. Only where
    /// nobody else could get that address.
    pub fn guard_kept(&self, networks: &[Network], project: &str) -> Vec<Clause> {
        let is_ours = |pair: &&Pair| networks.iter().any(|n| n.bridge == pair.bridge && is_own(n, project));
        self.kept.values().filter(is_ours).cloned().map(Clause::Guard).collect()
    }

    /// What goes to the one inside goes to this one instead.
    pub fn kept_for(&self, next: &Networks, networks: &[Network]) -> Vec<Pair> {
        let places = places(next, networks);
        let to = |pair: &Pair| {
            let place = places.iter().find(|place| place.is_on(&pair.bridge, pair.from.address))?;
            (place.end.address != pair.from.address).then(|| Pair { to: place.end, ..pair.clone() })
        };
        self.kept.values().filter_map(to).collect()
    }
}

/// Whence the one on the host comes.
fn gateways(networks: &[Network]) -> impl Iterator<Item = IpAddr> {
    networks.iter().flat_map(|network| network.gateways.iter().copied())
}

/// What holds the ports that these have on the host, if they have any.
fn held(containers: &[Replica]) -> Option<Request> {
    let (tcp, udp) = (published(containers, Protocol::Tcp), published(containers, Protocol::Udp));
    (!(tcp.is_empty() && udp.is_empty())).then_some(Request::Hold { tcp, udp })
}

/// A port that is published at both versions of an address is one.
fn published(containers: &[Replica], protocol: Protocol) -> Vec<Ports> {
    let all = containers.iter().flat_map(|c| &c.published);
    let mut found: Vec<&Published> = all.filter(|one| one.protocol == protocol).collect();
    found.sort_by_key(|one| (one.on, one.port));
    ranges(found.into_iter().map(|one| ports(one.on, one.port, one.target)))
}

fn ports(on: Option<IpAddr>, port: u16, target: u16) -> Ports {
    Ports { on, first: port, last: port, target }
}

/// Neighbors as one.
fn ranges(all: impl Iterator<Item = Ports>) -> Vec<Ports> {
    let mut found: Vec<Ports> = Vec::new();
    // Of two neighbors the second may lead to a lower port.
    let at = |port: u16| i32::from(port);
    for one in all {
        match found.last_mut() {
            Some(last)
                if last.on == one.on
                    && at(one.first) - at(last.last) == 1
                    && at(one.target) - at(last.target) == at(one.first) - at(last.first) =>
            {
                last.last = one.last;
            }
            Some(last) if *last == one => {}
            _ => found.push(one),
        }
    }
    found
}

/// Whether anybody else is on their networks.
fn has_company(containers: &[Replica], networks: &[Network]) -> bool {
    let on = |network: &&Network| {
        let mut endpoints = containers.iter().flat_map(|c| c.networks.values());
        endpoints.any(|endpoint| endpoint.network == network.id)
    };
    let others = networks.iter().filter(on).flat_map(|network| &network.members);
    others.into_iter().any(|member| containers.iter().all(|c| c.id != member.id))
}

pub fn listening(container: &Replica, help: &dyn Help) -> Result<Vec<u16>, Trouble> {
    let answer = help.inside(&container.reference(), &Request::Connections { list: true })?;
    let ports = answer.words().find(|(key, _)| *key == "listening").map_or("", |(_, ports)| ports);
    let ports: BTreeSet<u16> = ports.split(',').filter_map(|port| port.parse().ok()).collect();
    Ok(ports.into_iter().collect())
}

/// Under all its names on the networks whose packets can be steered.
fn joined(container: &Replica, networks: &[Network]) -> Vec<Joined> {
    let places = places(&container.networks, networks);
    let on: BTreeSet<&str> = places.iter().map(|place| place.network_id()).collect();
    let endpoints = container.networks.iter().filter(|(_, endpoint)| on.contains(endpoint.network.as_str()));
    let one = |(name, endpoint): (&String, &container::Endpoint)| {
        let own_id = |alias: &&String| !container.id.starts_with(alias.as_str());
        let aliases = endpoint.aliases.iter().filter(own_id).chain([&container.name]).cloned();
        let named = name != DEFAULT_NETWORK;
        Joined { name: name.clone(), aliases: aliases.filter(|_| named).collect() }
    };
    endpoints.map(one).collect()
}

/// Proxies that go by labels and variables find it as they have found the container. Compose does not count it.
fn like(container: &Replica) -> StandIn {
    let foreign = container.labels.iter().filter(|(key, _)| !key.starts_with(COMPOSE));
    let mut labels: BTreeMap<_, _> = foreign.map(|(key, value)| (key.clone(), value.clone())).collect();
    for key in [container::PROJECT_LABEL, container::SERVICE_LABEL] {
        labels.extend(container.labels.get(key).map(|value| (key.to_owned(), value.clone())));
    }
    labels.insert(container::ONE_OFF_LABEL.to_owned(), "True".to_owned());
    StandIn {
        networks: vec![],
        labels,
        exposed: container.exposed.clone(),
        env: container.proxied_as.clone(),
    }
}

/// With its addresses on the networks of the container that it stands in for.
fn reached(stand_in: &ContainerRef, container: &Replica, scene: &Scene) -> Replica {
    let ids = network_ids(container.networks.values());
    let networks = scene.again(|| scene.engine.networks(&ids)).unwrap_or_default();
    Replica::from(&Container {
        id: stand_in.id.clone(),
        name: stand_in.name.clone(),
        networks: on(&networks, &stand_in.id),
        state: State::Running,
        health: None,
        ..Container::clone(container)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbors_that_lead_to_neighbors_are_one_range() {
        let of = |all: &[(u16, u16)]| -> Vec<(u16, u16, u16)> {
            let found = ranges(all.iter().map(|(port, target)| ports(None, *port, *target)));
            found.into_iter().map(|one| (one.first, one.last, one.target)).collect()
        };
        assert_eq!(of(&[(8000, 80), (8001, 81), (8002, 82)]), [(8000, 8002, 80)]);
        assert_eq!(of(&[(8000, 80), (8000, 80), (8002, 82)]), [(8000, 8000, 80), (8002, 8002, 82)]);
        assert_eq!(of(&[(2222, 3000), (2223, 22)]), [(2222, 2222, 3000), (2223, 2223, 22)]);
        assert_eq!(of(&[(65534, 1), (65535, 2), (65535, 9)]), [(65534, 65535, 1), (65535, 65535, 9)]);
    }
}
