//! The rules that send new connections to the relay.
//!
//! On the host: what is for one of its own addresses, as published ports are, before Docker's rules (-100) deliver it;
//! from outside, from containers, and from the host itself. In a container's network: whatever comes in, before the rules
//! that take (-105). Connection tracking keeps those that were begun with the relay when the rules go.
//! It does so only while some rule needs it, and perhaps ours are the only ones here: one that nothing leads to stays.
//!
//! Datagrams cannot be held: while connections wait, those to the given ports are dropped, as a network may; whoever
//! needs an answer sends them again. At all other times they are left alone.

use crate::agent::Role;
use crate::ip::{Ip, octets};
use crate::nft::expr::{ACK, Base, DATA, KEY, Meta, Rule, SYN};
use crate::nft::{Batch, Family, Hook, INPUT, OUTPUT, PREROUTING, decides, drops_by_policy};
use crate::protocol::Ports;
use crate::ruleset::{Ruleset, gate, version};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

const NAT: i32 = -110;
/// Before connection tracking (-200).
const EARLY: i32 = -310;
const DESTINATION_PORT: u32 = 2;
/// `RTN_LOCAL`
const LOCAL: u32 = 2;
/// Of loop-back, in every network namespace.
const LOOPBACK: u32 = 1;

#[derive(Clone, Default)]
pub struct Held {
    pub role: Role,
    pub tcp: Vec<Ports>,
    pub udp: Vec<Ports>,
    /// Where the relay listens.
    pub relay: BTreeMap<Ip, u16>,
    /// New connections go to the relay.
    pub redirects: bool,
    /// Datagrams are dropped.
    pub drops: bool,
    /// On the host: versions of IP with a firewall that decides about published ports, or about what is for the host.
    pub filtered: BTreeSet<Family>,
}

/// Docker delivers to published ports past what filters the host's own (`INPUT`), and through this chain, in which
/// people restrict them. For the relay it is the other way round.
pub fn filtered() -> BTreeSet<Family> {
    let decides = |family: &Family| {
        let restricts = decides(*family, "filter", "DOCKER-USER").unwrap_or(false);
        restricts || drops_by_policy(*family, INPUT).unwrap_or(false)
    };
    [Family::Ip4, Family::Ip6].into_iter().filter(decides).collect()
}

impl Held {
    /// The port to join a connection to that was made to this one.
    pub fn target(&self, to: SocketAddr) -> Option<u16> {
        let meant = |ports: &&Ports| {
            let any = |on: IpAddr| on.is_unspecified() && on.is_ipv4() == to.is_ipv4();
            (ports.first..=ports.last).contains(&to.port())
                && ports.on.is_none_or(|on| on == to.ip() || any(on))
        };
        let ports = self.tcp.iter().find(meant)?;
        Some(ports.target + (to.port() - ports.first))
    }
}

/// The end of a chain's name, and the beginning of its rules.
type Scope = (&'static str, fn() -> Rule);

/// Base chain, the chain that is filled, and where it hangs.
const CHAINS: [(&str, &str, Hook); 4] = [
    ("tcp-pre", "tcp-in", Hook { kind: "nat", number: PREROUTING, priority: NAT }),
    ("tcp-post", "tcp-out", Hook { kind: "nat", number: OUTPUT, priority: NAT }),
    ("udp-pre", "udp-in", Hook { kind: "filter", number: PREROUTING, priority: EARLY }),
    ("udp-post", "udp-out", Hook { kind: "filter", number: OUTPUT, priority: EARLY }),
];

impl Ruleset for Held {
    fn families(&self) -> BTreeSet<Family> {
        self.relay.keys().map(|ip| ip.family()).collect()
    }

    fn create(b: &mut Batch, family: Family) {
        b.chain(family, "tracking", None);
        b.rule(family, "tracking", &Rule::new().put(DATA, &[0, 0]).redirect(DATA));
        for (base, filled, hook) in CHAINS {
            b.chain(family, filled, None);
            b.chain(family, base, Some(hook));
            b.rule(family, base, &gate(family));
            b.rule(family, base, &Rule::new().jump(filled));
        }
    }

    fn fill(&self, b: &mut Batch, family: Family) {
        CHAINS.iter().for_each(|(_, filled, _)| b.flush_chain(family, filled));
        let Some(relay) = version(family).and_then(|ip| self.relay.get(&ip)) else { return };
        let (tcp, udp) = (self.tcp.iter().filter(|_| self.redirects), self.udp.iter().filter(|_| self.drops));
        for (chain, scope) in self.scopes() {
            let matching = |protocol, ports| of_ports(scope(), protocol, ports);
            let meant = |ports: &&Ports| is_meant(ports, chain, family);
            let tcp = tcp.clone().filter(meant);
            if chain == "in" && self.filtered.contains(&family) {
                // It is for the firewall to say who may wait, and nobody can ask it: so they come again a little later.
                tcp.filter(|_| self.drops).for_each(|ports| {
                    let begins = matching(libc::IPPROTO_TCP, ports).tcp_flags(SYN | ACK).equal(KEY, &[SYN]);
                    b.rule(family, &format!("udp-{chain}"), &begins.drop());
                });
            } else {
                tcp.for_each(|ports| {
                    let rule =
                        matching(libc::IPPROTO_TCP, ports).put(DATA, &relay.to_be_bytes()).redirect(DATA);
                    b.rule(family, &format!("tcp-{chain}"), &rule);
                });
            }
            udp.clone().filter(meant).for_each(|ports| {
                b.rule(family, &format!("udp-{chain}"), &matching(libc::IPPROTO_UDP, ports).drop());
            });
        }
    }
}

impl Held {
    /// What is meant, by direction.
    fn scopes(&self) -> Vec<Scope> {
        let to_host = || Rule::new().destination_type(KEY).equal(KEY, &LOCAL.to_ne_bytes());
        let from_outside = || Rule::new().meta(Meta::Input, KEY).unequal(KEY, &LOOPBACK.to_ne_bytes());
        match self.role {
            Role::Host => vec![("in", to_host), ("out", to_host)],
            Role::Container => vec![("in", from_outside)],
        }
    }
}

/// What is for a loop-back address comes from the host itself, and from nobody else.
fn is_meant(ports: &Ports, chain: &str, family: Family) -> bool {
    ports.on.is_none_or(|on| Ip::of(on).family() == family && !(on.is_loopback() && chain == "in"))
}

fn of_ports(rule: Rule, protocol: i32, ports: &Ports) -> Rule {
    let rule = rule.meta(Meta::Transport, KEY).equal(KEY, &[protocol as u8]);
    let rule = match ports.on {
        Some(on) if !on.is_unspecified() => Ip::of(on).destination(rule, KEY).equal(KEY, &octets(on)),
        _ => rule,
    };
    let rule = rule.load(Base::Transport, DESTINATION_PORT, 2, KEY);
    rule.within(KEY, &ports.first.to_be_bytes(), &ports.last.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_port_has_its_target() {
        let tcp = ["80=8080", "90-99=1090", "127.0.0.1@70=1", "10.0.0.1@70=2", "0.0.0.0@60=6"];
        let held = Held { tcp: tcp.map(|ports| ports.parse().unwrap()).to_vec(), ..Held::default() };
        let target = |to: &str| held.target(to.parse().unwrap());
        assert_eq!(
            ["10.0.0.9:80", "[::1]:90", "127.0.0.1:99", "127.0.0.1:81"].map(target),
            [Some(8080), Some(1090), Some(1099), None]
        );
        assert_eq!(["127.0.0.1:70", "10.0.0.1:70", "[::1]:70"].map(target), [Some(1), Some(2), None]);
        assert_eq!(["10.9.9.9:60", "[::1]:60"].map(target), [Some(6), None]);
    }
}
