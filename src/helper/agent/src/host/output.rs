//! The tables of the IP families: the host's own connections, which do not pass the bridge's rules because they do not
//! come in by one of its ports.
//!
//! NAT decides about a connection once, with its first packet, and connection tracking keeps to it. So new connections
//! are delivered to the other end by its address, and those that were begun stay where they are, whatever changes.
//! Bridged packets never pass the output hook, with `bridge-nf-call-iptables` or without.

use super::bridge::to_ports;
use super::state::{State, Watched, Way};
use crate::ip::{Ip, octets};
use crate::nft::expr::{DATA, Entry, KEY, Meta, Rule};
use crate::nft::{Batch, Element, Field, Hook, OUTPUT, Set};
use crate::ruleset::gate;
use std::collections::BTreeSet;

/// Before Docker's own rules (-100): what is for a container by its address is no concern of theirs.
const HOOK: Hook = Hook { kind: "nat", number: OUTPUT, priority: -110 };

const NEW: &str = "new";
const ALL: &str = "all";
const KNOWN: &str = "known";
pub const ASKED: &str = "asked";
const ASKED_MS: u64 = 60_000;

fn sets(ip: Ip) -> [(&'static str, Set); 4] {
    let (one, pair): (&[_], &[_]) = match ip {
        Ip::V4 => (&[Field::Ip4], &[Field::Ip4, Field::Ip4]),
        Ip::V6 => (&[Field::Ip6], &[Field::Ip6, Field::Ip6]),
    };
    [
        (NEW, Set::fixed(one, Some(ip.field()))),
        (ALL, Set::fixed(one, Some(ip.field()))),
        (KNOWN, Set::fixed(one, None)),
        (ASKED, Set::dynamic(pair, None, ASKED_MS, 4096)),
    ]
}

/// The whole table, with nothing in its maps.
pub fn create(b: &mut Batch, ip: Ip) {
    let family = ip.family();
    sets(ip).iter().for_each(|(name, set)| b.set(family, name, *set));
    b.chain(family, "blink", None);
    b.chain(family, "out", Some(HOOK));
    rules(ip).iter().for_each(|rule| b.rule(family, "out", rule));
}

fn rules(ip: Ip) -> [Rule; 6] {
    let tcp = || Rule::new().meta(Meta::Transport, KEY).equal(KEY, &[libc::IPPROTO_TCP as u8]);
    [
        gate(ip.family()),
        counted(ip, Rule::new(), ALL),
        ip.destination(Rule::new(), KEY).map(ALL).dnat(ip.family(), DATA),
        counted(ip, tcp(), NEW),
        ip.destination(tcp(), KEY).map(NEW).dnat(ip.family(), DATA),
        tcp().jump("blink"),
    ]
}

/// Counts new connections by address asked for and by source.
fn counted(ip: Ip, rule: Rule, map: &str) -> Rule {
    let rule = ip.destination(rule, KEY).map(map);
    let rule = ip.source(rule, KEY + ip.registers());
    rule.update(Entry { set: ASKED, count: true, ..Entry::default() })
}

/// Makes the table's contents those of the state.
pub fn fill(b: &mut Batch, ip: Ip, state: &State) {
    let family = ip.family();
    b.fill(family, NEW, &delivered(ip, state, |way| way != Way::Switch), None);
    b.fill(family, ALL, &delivered(ip, state, |way| way == Way::Switch), None);
    let blinks = || state.blinks.iter().filter(|blink| Ip::of(blink.subnet.address) == ip);
    let known: BTreeSet<_> = blinks().flat_map(|blink| &blink.addresses).map(|a| octets(*a)).collect();
    let known: Vec<_> =
        known.into_iter().filter(|a| a.len() == ip.length() as usize).map(Element::key).collect();
    b.fill(family, KNOWN, &known, None);
    b.flush_chain(family, "blink");
    blinks().flat_map(|blink| unknown(ip, blink)).for_each(|rule| b.rule(family, "blink", &rule));
}

fn delivered(ip: Ip, state: &State, wanted: impl Fn(Way) -> bool) -> Vec<Element> {
    let entries =
        state.entries.iter().filter(|(address, entry)| Ip::of(**address) == ip && wanted(entry.way));
    entries.map(|(address, entry)| Element::pair(octets(*address), octets(entry.to.address))).collect()
}

/// To an address of the subnet that is not known; a rule for each port.
fn unknown(ip: Ip, blink: &Watched) -> Vec<Rule> {
    let rule = |port| {
        let rule = ip.destined_to(port, KEY, blink.subnet);
        let rule = ip.destination(rule, KEY).missing(KNOWN, KEY);
        rule.put(DATA, &octets(blink.to.address)).dnat(ip.family(), DATA)
    };
    to_ports(blink).into_iter().map(rule).collect()
}
