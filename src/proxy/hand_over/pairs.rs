//! Who is where on which bridge, and what goes to whom instead. Pure.

use std::{collections::BTreeMap, net::IpAddr};

use crate::{
    engine::{Member, Network, container::Endpoint},
    helper::protocol::{Blink, End, Mac, Own, Pair, Subnet},
};

/// The networks of a container, by name.
pub type Networks = BTreeMap<String, Endpoint>;

/// The driver whose packets pass through the host.
const BRIDGE: &str = "bridge";

/// A container on one bridge network, by one version of IP.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    network: &'a Network,
    pub end: End,
    subnet: Subnet,
}

impl Place<'_> {
    fn is_beside(&self, other: &Place) -> bool {
        self.network.id == other.network.id && self.end.address.is_ipv4() == other.end.address.is_ipv4()
    }

    /// Whether it is on the network of this bridge, with the address's version of IP.
    pub fn is_on(&self, bridge: &str, address: IpAddr) -> bool {
        self.network.bridge == bridge && self.end.address.is_ipv4() == address.is_ipv4()
    }

    pub fn network_id(&self) -> &str {
        &self.network.id
    }

    fn pair(&self, to: &Place) -> Pair {
        Pair { bridge: self.network.bridge.clone(), from: self.end, to: to.end }
    }
}

/// Where a running container is.
pub fn places<'a>(on: &Networks, networks: &'a [Network]) -> Vec<Place<'a>> {
    let on = on.values().filter_map(|endpoint| {
        let network = networks.iter().find(|network| network.id == endpoint.network)?;
        Some((network, endpoint))
    });
    on.flat_map(|(network, endpoint)| on_network(network, endpoint)).collect()
}

fn on_network<'a>(network: &'a Network, endpoint: &Endpoint) -> Vec<Place<'a>> {
    if network.driver != BRIDGE {
        return vec![];
    }
    let place = |end: End| Some(Place { network, end, subnet: subnet_of(network, end.address)? });
    ends(&endpoint.addresses, &endpoint.mac).filter_map(place).collect()
}

fn ends<'e>(addresses: &'e [IpAddr], mac: &str) -> impl Iterator<Item = End> + 'e {
    let mac: Option<Mac> = mac.parse().ok();
    addresses.iter().filter_map(move |address| Some(End { address: *address, mac: mac? }))
}

fn subnets(network: &Network) -> impl Iterator<Item = Subnet> {
    network.subnets.iter().filter_map(|subnet| subnet.parse().ok())
}

fn subnet_of(network: &Network, address: IpAddr) -> Option<Subnet> {
    subnets(network).find(|subnet| subnet.contains(address))
}

/// From one container to another, on each network that they share.
pub fn pairs(from: &Networks, to: &Networks, networks: &[Network]) -> Vec<Pair> {
    let heirs = places(to, networks);
    let to = |from: &Place| heirs.iter().find(|to| from.is_beside(to)).map(|to| from.pair(to));
    places(from, networks).iter().filter_map(to).collect()
}

/// Where the container with this ID is among these.
pub fn on(networks: &[Network], id: &str) -> Networks {
    let of = |network: &Network| {
        let member = network.members.iter().find(|member| member.id == id)?;
        let (addresses, mac) = (member.addresses.clone(), member.mac.clone());
        let endpoint = Endpoint { network: network.id.clone(), addresses, mac, ..Endpoint::default() };
        Some((network.name.clone(), endpoint))
    };
    networks.iter().filter_map(of).collect()
}

/// What a container says to its helper of itself, to take what is for others.
pub fn own(on: &Networks, networks: &[Network]) -> Vec<Own> {
    let own = |place: &Place| Own { subnet: place.subnet, address: place.end.address };
    places(on, networks).iter().map(own).collect()
}

/// What is sent to somebody whom nobody knows yet goes to `to`, on the networks where it cannot be for somebody else: that
/// are the project's, and have no others than these on them. Only to ports on which `to` listens, so that it never is in
/// the place of another kind of service.
pub fn blinks(
    to: &Networks,
    networks: &[Network],
    project: &str,
    (ours, ports): (&[String], &[u16]),
) -> Vec<Blink> {
    let blink = |place: &Place| Blink {
        bridge: place.network.bridge.clone(),
        subnet: place.subnet,
        to: place.end,
        known: known(place),
        ports: ports.to_vec(),
    };
    let is_ours = |network: &Network| network.members.iter().all(|member| ours.contains(&member.id));
    let places = places(to, networks);
    let alone = places.iter().filter(|place| is_own(place.network, project) && is_ours(place.network));
    alone.map(blink).collect()
}

/// IDs of those who have come since then, and whether somebody has gone. Whoever has gone may come again elsewhere.
pub fn moved(blinks: &[Blink], networks: &[Network]) -> (Vec<String>, bool) {
    let mut came = Vec::new();
    let mut gone = false;
    for blink in blinks {
        let network = networks.iter().filter(|network| network.bridge == blink.bridge);
        let ends_of = |member: &Member| -> Vec<End> {
            ends(&member.addresses, &member.mac).filter(|end| blink.subnet.contains(end.address)).collect()
        };
        let now: Vec<_> = network.flat_map(|network| &network.members).map(|m| (m, ends_of(m))).collect();
        let is_known = |end: &End| *end == blink.to || blink.known.contains(end);
        came.extend(now.iter().filter(|(_, ends)| !ends.iter().all(is_known)).map(|(m, _)| m.id.clone()));
        gone |= blink.known.iter().any(|known| now.iter().all(|(_, ends)| !ends.contains(known)));
    }
    (came, gone)
}

/// Nobody else starts anything there.
pub fn is_own(network: &Network, project: &str) -> bool {
    network.project.as_deref() == Some(project)
}

/// All others of its network that are there.
fn known(place: &Place) -> Vec<End> {
    let members = place.network.members.iter();
    let all = members.flat_map(|member| ends(&member.addresses, &member.mac));
    all.filter(|end| place.subnet.contains(end.address) && *end != place.end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    fn network(id: &str, driver: &str, project: Option<&str>) -> Network {
        Network {
            id: id.to_owned(),
            driver: driver.to_owned(),
            bridge: format!("br-{id}"),
            subnets: vec!["172.18.0.0/16".to_owned(), "fd00::/64".to_owned()],
            project: project.map(str::to_owned),
            members: (2..5)
                .map(|n| Member { id: n.to_string(), addresses: addresses(n), mac: mac(n) })
                .collect(),
            ..Network::default()
        }
    }

    fn addresses(n: u8) -> Vec<IpAddr> {
        vec![[172, 18, 0, n].into(), format!("fd00::{n}").parse().unwrap()]
    }

    fn mac(n: u8) -> String {
        format!("02:42:ac:12:00:{n:02x}")
    }

    fn container(n: u8, networks: &[&str]) -> Networks {
        let on = |id: &&str| {
            let endpoint = Endpoint {
                network: (*id).to_owned(),
                addresses: addresses(n),
                mac: mac(n),
                ..Endpoint::default()
            };
            ((*id).to_owned(), endpoint)
        };
        networks.iter().map(on).collect()
    }

    fn said<T: std::fmt::Display>(all: &[T]) -> Vec<String> {
        all.iter().map(T::to_string).collect()
    }

    #[test]
    fn one_pair_for_each_shared_network_and_version() {
        let networks =
            [network("a", "bridge", None), network("b", "bridge", None), network("c", "macvlan", None)];
        let pairs = pairs(&container(2, &["a", "b", "c"]), &container(3, &["b", "c"]), &networks);
        assert_eq!(
            said(&pairs),
            [
                "br-b 172.18.0.2@02:42:ac:12:00:02 172.18.0.3@02:42:ac:12:00:03",
                "br-b fd00::2@02:42:ac:12:00:02 fd00::3@02:42:ac:12:00:03"
            ]
        );
    }

    #[test]
    fn a_container_takes_what_is_for_others_of_its_networks() {
        let own = own(&container(3, &["a"]), &[network("a", "bridge", None)]);
        assert_eq!(said(&own), ["172.18.0.0/16=172.18.0.3", "fd00::/64=fd00::3"]);
    }

    #[test]
    fn what_is_unknown_is_only_guessed_where_nobody_else_is() {
        let networks = [network("a", "bridge", Some("shop")), network("b", "bridge", Some("other"))];
        let blinks = |ours: &[String]| blinks(&container(3, &["a", "b"]), &networks, "shop", (ours, &[80]));
        let ours = ["2", "3", "4"].map(str::to_owned);
        assert_eq!(
            said(&blinks(&ours)[..1]),
            [
                "br-a 172.18.0.0/16 172.18.0.3@02:42:ac:12:00:03 172.18.0.2@02:42:ac:12:00:02 172.18.0.4@02:42:ac:12:00:04 80"
            ]
        );
        assert_eq!(blinks(&ours).len(), 2);
        // Another project is on it, and may start something there.
        assert_eq!(blinks(&ours[..2]), []);
    }

    #[test]
    fn who_comes_and_goes_meanwhile_is_seen() {
        let mut networks = [network("a", "bridge", Some("shop"))];
        let ours = ["2", "3", "4"].map(str::to_owned);
        let blinks = blinks(&container(3, &["a"]), &networks, "shop", (&ours, &[]));
        assert_eq!(moved(&blinks, &networks), (vec![], false));
        let another = networks[0].members.pop().unwrap();
        assert_eq!(moved(&blinks, &networks), (vec![], true));
        networks[0].members.push(Member { mac: mac(9), ..another });
        assert_eq!(moved(&blinks, &networks), (vec!["4".to_owned(), "4".to_owned()], true));
    }

    #[test]
    fn what_does_not_run_is_nowhere() {
        let mut stopped = container(2, &["a"]);
        stopped.values_mut().for_each(|endpoint| *endpoint = Endpoint::default());
        assert!(places(&stopped, &[network("a", "bridge", None)]).is_empty());
    }
}
