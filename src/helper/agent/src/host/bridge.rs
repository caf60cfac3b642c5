//! The table of the bridge family: which container gets a frame.
//!
//! A bridge sees every frame between the containers of a network. The rules rewrite the destination MAC of chosen
//! ones, nothing else; whoever gets them delivers what is addressed to others (see `container::take`). The rules never
//! change: what is steered where is in maps.
//!
//! Frames are chosen by address *and* MAC. So a container that gets the address of one that is gone, with a MAC of its
//! own, gets its own frames at once; and of several tables like this one, made by helpers for other projects, only the
//! first rewrites a frame, as to the others it is no longer for the MAC that they look for.
//!
//! Flows are remembered with the MAC that their first packet (SYN) was sent to. So what changes for new flows changes
//! nothing for those that were begun. A flow that ends is kept for a short time in a map of its own, for the packets
//! that still follow, so that the table holds no more than the flows that are open.
//!
//! Clients use their ports again, one that opens 100 connections a second within 10 s or so. A SYN on a flow that has
//! ended begins a new one, which goes where any new one goes. A rule cannot change the data of an element, so the old
//! one expires, and until then the new one counts. (Sent where the old one went, it was refused by a container that had
//! stopped listening, or had got the MAC of the one that was meant: 15 of 9,000.)

use super::state::{State, Way};
use crate::ip::{BOTH, Ip, octets};
use crate::nft::expr::{ACK, Base, DATA, Entry, KEY, Meta, Rule, SYN};
use crate::nft::{Batch, Element, Family, Field, Hook, Listed, PREROUTING, Set};
use crate::protocol::Mac;
use crate::ruleset::gate;
use crate::sys;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::LazyLock;

const FAMILY: Family = Family::Bridge;
/// Before the bridge's own rules and before `br_netfilter` hands packets to those of IP (0).
const HOOK: Hook = Hook { kind: "filter", number: PREROUTING, priority: -300 };

const NEW: &str = "new";
const ALL: &str = "all";
pub const FLOWS: &str = "flows";
pub const CLOSING: &str = "closing";
pub const ASKED: &str = "asked";
pub const BLOCKED: &str = "blocked";
const WATCHED: &str = "watched";
const PORTS: &str = "ports";
const KNOWN: &str = "known";
const KNOWN_MACS: &str = "known-macs";
const EXEMPT: &str = "exempt";
const GONE: &str = "gone";

const FLOW_MS: u64 = 15 * 60_000;
/// A SYN that nobody answers is sent again for so long (`tcp_syn_retries`).
const BEGUN_MS: u64 = 130_000;
const CLOSING_MS: u64 = 10_000;
const ASKED_MS: u64 = 60_000;
const BLOCKED_MS: u64 = 60 * 60_000;
/// A tick of the kernel's clock: for less, kernels before 6.12 take the time-out of the set.
static SOON_MS: LazyLock<u64> = LazyLock::new(|| (sys::tick().as_micros().div_ceil(1000) as u64).max(1));
const MAX_FLOWS: u32 = 65_536;

const ETHERNET_DESTINATION: u32 = 0;
const ETHERNET_SOURCE: u32 = 6;
const MAC_LENGTH: u32 = 6;
const TCP_DESTINATION: u32 = 2;
const FIN: u8 = 0x01;
const RST: u8 = 0x04;
const ARP_SENDER: u32 = 14;
const ND_TARGET: u32 = 8;
const NEIGHBOR_SOLICITATION: u8 = 135;

fn sets(ip: Ip) -> Vec<(String, Set)> {
    use Field::{Interface, Ip4, Ip6, Mac};
    let (to, pair, port, one): (&[_], &[_], &[_], &[_]) = match ip {
        Ip::V4 => (&[Ip4, Mac], &[Ip4, Ip4], &[Ip4, Interface], &[Ip4]),
        Ip::V6 => (&[Ip6, Mac], &[Ip6, Ip6], &[Ip6, Interface], &[Ip6]),
    };
    let flow = ip.flow_fields();
    let named = |base: &str, set| (ip.name(base), set);
    vec![
        named(NEW, Set::fixed(to, Some(Mac))),
        named(ALL, Set::fixed(to, Some(Mac))),
        named(FLOWS, Set::dynamic(flow, Some(Mac), FLOW_MS, MAX_FLOWS)),
        named(CLOSING, Set::dynamic(flow, Some(Mac), CLOSING_MS, MAX_FLOWS)),
        named(ASKED, Set::dynamic(pair, None, ASKED_MS, 4096)),
        named(BLOCKED, Set::dynamic(one, None, BLOCKED_MS, 1024)),
        named(WATCHED, Set::fixed(one, None)),
        named(PORTS, Set::fixed(port, None)),
        named(KNOWN, Set::fixed(one, None)),
    ]
}

const COMMON_SETS: [(&str, Set); 3] = [
    (KNOWN_MACS, Set::fixed(&[Field::Mac], None)),
    (EXEMPT, Set::fixed(&[Field::Mac], None)),
    (GONE, Set::fixed(&[Field::Mac], None)),
];

/// The whole table, with nothing in its maps.
pub fn create(b: &mut Batch) {
    COMMON_SETS.iter().for_each(|(name, set)| b.set(FAMILY, name, *set));
    for ip in BOTH {
        sets(ip).iter().for_each(|(name, set)| b.set(FAMILY, name, *set));
        ["blink", "syn", "end", "tcp", "ip"].iter().for_each(|chain| b.chain(FAMILY, &ip.name(chain), None));
        rules(ip).iter().for_each(|(chain, rule)| b.rule(FAMILY, &ip.name(chain), rule));
    }
    b.chain(FAMILY, "arp", None);
    b.rule(FAMILY, "arp", &claimed_by_arp());
    b.chain(FAMILY, "pre", Some(HOOK));
    b.rule(FAMILY, "pre", &gate(FAMILY));
    b.rule(FAMILY, "pre", &protocol(libc::ETH_P_ARP).jump("arp"));
    BOTH.iter().for_each(|ip| b.rule(FAMILY, "pre", &protocol(ip.protocol()).jump(&ip.name("ip"))));
}

fn protocol(number: i32) -> Rule {
    Rule::new().meta(Meta::Protocol, KEY).equal(KEY, &(number as u16).to_be_bytes())
}

/// All rules for one IP version, in order.
fn rules(ip: Ip) -> Vec<(&'static str, Rule)> {
    let mut rules = vec![
        ("ip", ip.destination(Rule::new(), KEY).found(&ip.name(BLOCKED), KEY).accept()),
        ("ip", claimed(ip, ip.source(Rule::new(), KEY))),
        ("ip", transport(libc::IPPROTO_TCP).jump(&ip.name("tcp"))),
        ("ip", counted(ip, transport(libc::IPPROTO_UDP), ALL)),
        ("ip", rewritten(addressed(ip, transport(libc::IPPROTO_TCP)).map(&ip.name(ALL)))),
        ("ip", rewritten(addressed(ip, transport(libc::IPPROTO_UDP)).map(&ip.name(ALL)))),
        ("tcp", flags(SYN | ACK).equal(KEY, &[SYN]).jump(&ip.name("syn"))),
        ("tcp", flags(FIN | RST).unequal(KEY, &[0]).jump(&ip.name("end"))),
        ("tcp", followed_anew(ip)),
        ("tcp", followed(ip, CLOSING, CLOSING_MS)),
        ("tcp", followed(ip, FLOWS, FLOW_MS)),
        ("syn", counted(ip, Rule::new(), NEW)),
        ("syn", counted(ip, Rule::new(), ALL)),
        ("syn", begun(ip, addressed(ip, forgotten(ip, Rule::new())).map(&ip.name(ALL)))),
        ("syn", begun_as_addressed(ip, exempt(Rule::new()))),
        ("syn", exempt(Rule::new()).leave()),
        ("syn", followed(ip, FLOWS, FLOW_MS)),
        ("syn", forgotten(ip, Rule::new())),
        ("syn", begun(ip, addressed(ip, Rule::new()).map(&ip.name(NEW)))),
        ("syn", Rule::new().jump(&ip.name("blink"))),
        ("syn", begun_as_addressed(ip, Rule::new())),
        ("end", closing(ip, ip.flow(Rule::new()))),
        ("end", closed(ip, ip.flow(Rule::new()))),
        ("end", closing(ip, reset(ip))),
        ("end", closed(ip, reset(ip))),
    ];
    if ip == Ip::V6 {
        rules.insert(2, ("ip", claimed_by_detection()));
    }
    rules
}

fn transport(protocol: i32) -> Rule {
    Rule::new().meta(Meta::Transport, KEY).equal(KEY, &[protocol as u8])
}

fn flags(mask: u8) -> Rule {
    Rule::new().tcp_flags(mask)
}

fn ethernet(rule: Rule, offset: u32, register: u32) -> Rule {
    rule.load(Base::Link, offset, MAC_LENGTH, register)
}

/// The key of `NEW` and `ALL`: destination address and MAC.
fn addressed(ip: Ip, rule: Rule) -> Rule {
    ethernet(ip.destination(rule, KEY), ETHERNET_DESTINATION, KEY + ip.registers())
}

fn rewritten(rule: Rule) -> Rule {
    rule.store(Base::Link, ETHERNET_DESTINATION, MAC_LENGTH, DATA).accept()
}

/// Keeps the MAC in `DATA` for the flow in `KEY`.
fn remembered(rule: Rule, map: &str, ms: u64) -> Rule {
    rule.update(Entry { set: map, data: true, timeout: Some(ms), count: false })
}

/// The first packet of a flow, which goes to the MAC in `DATA`.
fn begun(ip: Ip, rule: Rule) -> Rule {
    rewritten(remembered(ip.flow(rule.missing(GONE, DATA)), &ip.name(FLOWS), BEGUN_MS))
}

/// A packet of a flow that is in a map. One whose container is gone goes where it is addressed to.
fn followed(ip: Ip, map: &str, ms: u64) -> Rule {
    let rule = ip.flow(Rule::new()).map(&ip.name(map)).missing(GONE, DATA);
    rewritten(remembered(rule, &ip.name(map), ms))
}

/// A packet of a flow whose ports another one had that ended just before. Its time-out is still that of its SYN; one
/// that is about to end must not be renewed.
fn followed_anew(ip: Ip) -> Rule {
    let rule = ip.flow(Rule::new()).map(&ip.name(CLOSING)).map(&ip.name(FLOWS));
    rewritten(rule.missing(GONE, DATA))
}

fn exempt(rule: Rule) -> Rule {
    ethernet(rule, ETHERNET_SOURCE, KEY).found(EXEMPT, KEY)
}

/// The flow has ended, and its ports are used again.
fn forgotten(ip: Ip, rule: Rule) -> Rule {
    remembered(ip.flow(rule).map(&ip.name(CLOSING)), &ip.name(CLOSING), *SOON_MS)
}

/// The first packet of a flow that nothing steers, where it has to be told from one that has ended.
fn begun_as_addressed(ip: Ip, rule: Rule) -> Rule {
    let rule = ethernet(forgotten(ip, rule), ETHERNET_DESTINATION, DATA).missing(GONE, DATA);
    remembered(rule, &ip.name(FLOWS), BEGUN_MS).accept()
}

/// The server ends a flow at once. (When it does so in good order, the client's FIN follows.)
fn reset(ip: Ip) -> Rule {
    ip.flow_back(flags(RST).unequal(KEY, &[0]))
}

/// The flow, whose key is there, is one that ends.
fn closing(ip: Ip, rule: Rule) -> Rule {
    remembered(rule.map(&ip.name(FLOWS)), &ip.name(CLOSING), CLOSING_MS)
}

/// It is no open one any more, once it is one that ends. An element that expires at once is as good as deleted: rules can
/// delete from Linux 5.4 on, but lose memory until 6.5.
fn closed(ip: Ip, rule: Rule) -> Rule {
    remembered(rule.map(&ip.name(CLOSING)).map(&ip.name(FLOWS)), &ip.name(FLOWS), *SOON_MS)
}

/// Counts, by address asked for and by source, what is sent to those in `map`.
fn counted(ip: Ip, rule: Rule, map: &str) -> Rule {
    let rule = addressed(ip, rule).map(&ip.name(map));
    let rule = ip.source(ip.destination(rule, KEY), KEY + ip.registers());
    rule.update(Entry { set: &ip.name(ASKED), count: true, ..Entry::default() })
}

/// The address in `KEY` is one that was steered, and it is used by somebody who came later: it is theirs.
fn claimed(ip: Ip, rule: Rule) -> Rule {
    let rule = rule.found(&ip.name(WATCHED), KEY).meta(Meta::Input, KEY + ip.registers());
    rule.missing(&ip.name(PORTS), KEY).update(Entry { set: &ip.name(BLOCKED), ..Entry::default() })
}

/// Whoever sends ARP, be it a question, has the address it sends from.
fn claimed_by_arp() -> Rule {
    claimed(Ip::V4, Rule::new().load(Base::Network, ARP_SENDER, 4, KEY))
}

/// Duplicate address detection: a question from nobody whether an address is free.
fn claimed_by_detection() -> Rule {
    let rule =
        transport(libc::IPPROTO_ICMPV6).load(Base::Transport, 0, 1, KEY).equal(KEY, &[NEIGHBOR_SOLICITATION]);
    let rule = Ip::V6.source(rule, KEY).equal(KEY, &[0; 16]);
    claimed(Ip::V6, rule.load(Base::Transport, ND_TARGET, 16, KEY))
}

/// Makes the table's contents those of the state, but for what packets add.
pub fn fill(b: &mut Batch, state: &State) {
    for ip in BOTH {
        let mut put = |set: &str, elements: Vec<Element>| b.fill(FAMILY, &ip.name(set), &elements, None);
        put(NEW, steered(ip, state, |way| way != Way::Switch));
        put(ALL, steered(ip, state, |way| way == Way::Switch));
        put(WATCHED, watched(ip, state));
        put(PORTS, ports(ip, state));
        put(KNOWN, known(ip, state));
        put(
            BLOCKED,
            state.blocked.iter().filter(|a| Ip::of(**a) == ip).map(|a| Element::key(octets(*a))).collect(),
        );
        b.flush_chain(FAMILY, &ip.name("blink"));
        blinks(ip, state).iter().for_each(|rule| b.rule(FAMILY, &ip.name("blink"), rule));
    }
    let mut macs = state.blinks.iter().flat_map(|blink| blink.macs.clone()).collect::<Vec<_>>();
    macs.sort_unstable();
    macs.dedup();
    b.fill(FAMILY, KNOWN_MACS, &of_macs(macs.iter()), None);
    b.fill(FAMILY, EXEMPT, &of_macs(state.exempt.iter()), None);
    b.fill(FAMILY, GONE, &of_macs(state.gone.iter()), None);
}

fn of_macs<'a>(macs: impl Iterator<Item = &'a Mac>) -> Vec<Element> {
    macs.map(|mac| Element::key(mac.0.to_vec())).collect()
}

/// Whether a flow, as it is listed, is to one of the addresses or goes to one of the MACs.
pub fn leads(ip: Ip, flow: &Listed, addresses: &BTreeSet<IpAddr>, macs: &BTreeSet<Mac>) -> bool {
    ip.asked(&flow.key).is_some_and(|asked| addresses.contains(&asked))
        || macs.iter().any(|mac| mac.0 == *flow.data)
}

/// A MAC as a part of a key, where it takes two registers.
fn padded(mac: Mac) -> impl Iterator<Item = u8> {
    mac.0.into_iter().chain([0; 2])
}

fn steered(ip: Ip, state: &State, wanted: impl Fn(Way) -> bool) -> Vec<Element> {
    let entries =
        state.entries.iter().filter(|(address, entry)| Ip::of(**address) == ip && wanted(entry.way));
    let key = |(address, mac)| octets(address).into_iter().chain(padded(mac)).collect();
    entries.map(|(address, e)| Element::pair(key((*address, e.from)), e.to.mac.0.to_vec())).collect()
}

fn watched(ip: Ip, state: &State) -> Vec<Element> {
    state
        .watched()
        .filter(|w| Ip::of(*w.0) == ip)
        .map(|(address, _)| Element::key(octets(*address)))
        .collect()
}

fn ports(ip: Ip, state: &State) -> Vec<Element> {
    let of = |address, port: &u32| Element::key([octets(address), port.to_ne_bytes().to_vec()].concat());
    let watched = state.watched().filter(|w| Ip::of(*w.0) == ip);
    watched.flat_map(|(address, entry)| entry.ports.iter().map(|port| of(*address, port))).collect()
}

fn known(ip: Ip, state: &State) -> Vec<Element> {
    let all = state.blinks.iter().flat_map(|blink| &blink.addresses).filter(|a| Ip::of(**a) == ip);
    let mut all: Vec<_> = all.collect();
    all.sort_unstable();
    all.dedup();
    all.iter().map(|a| Element::key(octets(**a))).collect()
}

/// From somebody known, to an address and a MAC in the subnet that both are not; a rule for each port.
fn blinks(ip: Ip, state: &State) -> Vec<Rule> {
    let of_version = state.blinks.iter().filter(|blink| Ip::of(blink.subnet.address) == ip);
    let rule = |blink: &super::state::Watched, port: Rule| {
        let rule = ip.destined_to(port, KEY, blink.subnet);
        let rule = ip.destination(rule, KEY).missing(&ip.name(KNOWN), KEY);
        let rule = ethernet(rule, ETHERNET_DESTINATION, KEY).missing(KNOWN_MACS, KEY);
        let rule = ethernet(rule, ETHERNET_SOURCE, KEY).found(KNOWN_MACS, KEY);
        begun(ip, rule.put(DATA, &blink.to.mac.0))
    };
    of_version.flat_map(|blink| to_ports(blink).into_iter().map(move |port| rule(blink, port))).collect()
}

/// The beginning of a rule for each of its ports, or of one for all.
pub fn to_ports(blink: &super::state::Watched) -> Vec<Rule> {
    let to = |port: &u16| {
        let rule = Rule::new().load(Base::Transport, TCP_DESTINATION, 2, KEY);
        rule.equal(KEY, &port.to_be_bytes())
    };
    if blink.ports.is_empty() { vec![Rule::new()] } else { blink.ports.iter().map(to).collect() }
}
