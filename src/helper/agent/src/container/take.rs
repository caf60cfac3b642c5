//! In the namespace of whoever takes over: what reaches it by its MAC, but is addressed to others of the network, is
//! for it.
//!
//! One rule for each address that the container has, of DNAT: connection tracking answers with the address that was
//! asked for. What comes in otherwise is left alone: loop-back and what the container sends, broadcasts, what is for
//! other networks (a container may be a router), and Docker's own rules for its name server, which are for 127.0.0.11.
//!
//! When the rules go, connections that they delivered go on only if something else in the namespace uses NAT, as
//! Docker's name server does on networks that are not the default bridge. So they stay until these have ended.

use crate::answer::{Refusal, Result, Tried};
use crate::conntrack;
use crate::ip::{Ip, octets};
use crate::link::Links;
use crate::nft::expr::{DATA, KEY, Meta, Rule};
use crate::nft::{Batch, Family, Hook, PREROUTING};
use crate::protocol::Own;
use crate::ruleset::{Kept, Ruleset, gate, version};
use std::collections::{BTreeSet, HashSet};
use std::io;
use std::net::IpAddr;

/// Before Docker's own rules (-100), after those that hold (-110).
const HOOK: Hook = Hook { kind: "nat", number: PREROUTING, priority: -105 };
const CHAIN: &str = "take";
/// An address that is somebody's: not ours, no broadcast, no multicast (`RTN_UNICAST`).
const UNICAST: u32 = 1;

/// The container's addresses, each with the index of the interface that has it.
#[derive(Clone, Default)]
pub struct Taken(Vec<(Own, u32)>);

pub struct Take {
    kept: Kept<Taken>,
}

impl Take {
    pub fn open(owner: bool) -> Result<Self> {
        Ok(Self { kept: Kept::open(owner).tried("opening nftables")? })
    }

    /// Takes what is for others of these networks, and of no other ones.
    pub fn set(&mut self, own: &[Own]) -> Result<()> {
        let addresses = Links::open().tried("opening the routing socket")?.addresses()?;
        let with_interface = |own: &Own| match addresses.iter().find(|a| a.address == own.address) {
            Some(found) => Ok((*own, found.interface)),
            None => Err(io::Error::from_raw_os_error(libc::ENOENT))
                .tried("looking for the container's own address"),
        };
        let taken = own.iter().map(with_interface).collect::<Result<_>>()?;
        self.kept.install(Taken(taken)).tried("changing the rules")
    }

    pub fn takes(&self) -> bool {
        !self.kept.rules.0.is_empty()
    }

    /// Whose TCP connections go on only with the rules.
    pub fn clients(&self) -> Result<HashSet<(IpAddr, u16)>> {
        let own: Vec<Own> = self.kept.rules.0.iter().map(|(own, _)| *own).collect();
        let families = self.kept.rules.families();
        let all = families.iter().map(|family| conntrack::delivered(*family, &own));
        let all = all.collect::<io::Result<Vec<_>>>().tried("listing taken connections")?;
        Ok(all.into_iter().flatten().collect())
    }

    /// # Errors
    /// `busy` when connections need the rules, unless it is forced.
    pub fn check(&self, force: bool) -> Result<()> {
        match if force { 0 } else { self.clients().map_or(0, |clients| clients.len()) } {
            0 => Ok(()),
            needed => Err(Refusal::Busy(format!("{needed} connections need the rules"))),
        }
    }

    pub fn remove(&mut self) {
        self.kept.clear();
    }

    /// Keeps the rules alive.
    pub fn heartbeat(&mut self) -> Result<()> {
        self.kept.heartbeat().tried("renewing the gate")
    }

    /// How often somebody has removed the rules since the last time.
    pub fn take_lost(&mut self) -> u32 {
        self.kept.take_lost()
    }
}

impl Ruleset for Taken {
    fn families(&self) -> BTreeSet<Family> {
        self.0.iter().map(|(own, _)| Ip::of(own.address).family()).collect()
    }

    fn create(b: &mut Batch, family: Family) {
        b.chain(family, CHAIN, None);
        b.chain(family, "pre", Some(HOOK));
        b.rule(family, "pre", &gate(family));
        b.rule(family, "pre", &Rule::new().jump(CHAIN));
    }

    fn fill(&self, b: &mut Batch, family: Family) {
        b.flush_chain(family, CHAIN);
        let Some(ip) = version(family) else { return };
        let of_version = self.0.iter().filter(|(own, _)| Ip::of(own.address) == ip);
        of_version.for_each(|(own, interface)| b.rule(family, CHAIN, &delivery(ip, own, *interface)));
    }
}

/// `iif INTERFACE ip daddr SUBNET fib daddr type unicast dnat to ADDRESS`
fn delivery(ip: Ip, own: &Own, interface: u32) -> Rule {
    let rule = Rule::new().meta(Meta::Input, KEY).equal(KEY, &interface.to_ne_bytes());
    let rule = ip.destined_to(rule, KEY, own.subnet);
    let rule = rule.destination_type(KEY).equal(KEY, &UNICAST.to_ne_bytes());
    rule.put(DATA, &octets(own.address)).dnat(ip.family(), DATA)
}
