//! What is steered where, as data: requests change it, and the tables are made from it.

use crate::answer::{Refusal, Result};
use crate::protocol::{Blink, Clause, End, Mac, Pair, Subnet};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// More than any rollout needs. All of it is in the kernel's memory several times.
const MAX_ENTRIES: usize = 256;
const MAX_EXEMPT: usize = 1024;
const MAX_BLINKS: usize = 32;
const MAX_KNOWN: usize = 4096;
const MAX_PORTS: usize = 256;

/// What happens to packets that are sent to an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// New flows go to the other end. Nobody is suspected to take the address.
    Guard,
    /// New flows go to the other end, until somebody else uses the address.
    Steer,
    /// Everything goes to the other end, until somebody else uses the address. Its owner is gone.
    Switch,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub way: Way,
    pub bridge: String,
    pub from: Mac,
    pub to: End,
    /// The ports of the bridge when the address was still its owner's. Whoever sends from it through another port is
    /// somebody else.
    pub ports: Vec<u32>,
}

/// A `Blink` and the interface addresses that the bridge itself has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Watched {
    pub bridge: String,
    pub subnet: Subnet,
    pub to: End,
    pub addresses: Vec<IpAddr>,
    pub macs: Vec<Mac>,
    /// None: any.
    pub ports: Vec<u16>,
}

#[derive(Clone, Default, Debug)]
pub struct State {
    pub entries: BTreeMap<IpAddr, Entry>,
    /// Whose new flows are left alone.
    pub exempt: BTreeSet<Mac>,
    /// Who takes nothing any more: flows that were begun with them fall back to where they are addressed to.
    pub gone: BTreeSet<Mac>,
    pub blinks: Vec<Watched>,
    /// Addresses that nothing is to be rewritten for.
    pub blocked: BTreeSet<IpAddr>,
}

/// What a clause needs to know about this machine.
pub trait Machine {
    /// The indexes of the ports of a bridge.
    fn ports(&mut self, bridge: &str) -> Result<Vec<u32>>;
    /// The bridge's own MAC and addresses.
    fn own(&mut self, bridge: &str) -> Result<(Mac, Vec<IpAddr>)>;
}

impl State {
    /// # Errors
    /// The state is of no use afterwards.
    pub fn apply(&mut self, clause: &Clause, machine: &mut impl Machine) -> Result<()> {
        match clause {
            Clause::Guard(pair) => self.enter(Way::Guard, pair, machine)?,
            Clause::Steer(pair) => self.enter(Way::Steer, pair, machine)?,
            Clause::Switch(pair) => self.enter(Way::Switch, pair, machine)?,
            Clause::Finish(address) => self.finish(*address),
            Clause::Release(address) => self.release(*address),
            Clause::Gone(mac) => drop(self.gone.insert(*mac)),
            Clause::Exempt(mac) => drop(self.exempt.insert(*mac)),
            Clause::Include(mac) => drop(self.exempt.remove(mac)),
            Clause::Blink(blink) => {
                let watched = watched(blink, machine)?;
                // Engines give away the lowest free address: whoever starts next has one that was let go before.
                self.blocked.retain(|a| !blink.subnet.contains(*a) || watched.addresses.contains(a));
                self.blinks.push(watched);
            }
            Clause::Unblink => self.blinks.clear(),
        }
        self.within_limits()
    }

    fn enter(&mut self, way: Way, pair: &Pair, machine: &mut impl Machine) -> Result<()> {
        if way == Way::Switch {
            self.gone.insert(pair.from.mac);
            // Somebody has got the address between the last word of its owner and this clause.
            if self.blocked.contains(&pair.from.address) {
                return Ok(());
            }
        }
        let known = self
            .entries
            .remove(&pair.from.address)
            .filter(|e| e.way != Way::Guard && e.bridge == pair.bridge);
        let ports = match (way, known) {
            (Way::Guard, _) => Vec::new(),
            // From the time when its owner had the address for certain.
            (_, Some(entry)) => entry.ports,
            (_, None) => machine.ports(&pair.bridge)?,
        };
        // MACs are made from addresses on some engines: one that was gone can be somebody's again.
        self.gone.remove(&pair.to.mac);
        self.blocked.remove(&pair.from.address);
        let entry = Entry { way, bridge: pair.bridge.clone(), from: pair.from.mac, to: pair.to, ports };
        self.entries.insert(pair.from.address, entry);
        Ok(())
    }

    /// New flows are left alone; what a switch did ends, as it has no flows.
    fn finish(&mut self, address: IpAddr) {
        self.entries.remove(&address);
    }

    pub fn release(&mut self, address: IpAddr) {
        self.entries.remove(&address);
        self.blocked.insert(address);
    }

    fn within_limits(&self) -> Result<()> {
        let known: usize = self.blinks.iter().map(|b| b.macs.len()).sum();
        let ports: usize = self.blinks.iter().map(|b| b.ports.len()).sum();
        let within = |what: &str, have: usize, most: usize| match have > most {
            true => Err(Refusal::Limit(format!("at most {most} {what}"))),
            false => Ok(()),
        };
        within("addresses", self.entries.len(), MAX_ENTRIES)?;
        within("released addresses", self.blocked.len(), MAX_ENTRIES)?;
        within("exempt or gone containers", self.exempt.len().max(self.gone.len()), MAX_EXEMPT)?;
        within("blinks", self.blinks.len(), MAX_BLINKS)?;
        within("ports in blinks", ports, MAX_PORTS)?;
        within("known containers", known, MAX_KNOWN)
    }

    /// No new flow is steered; those that were begun stay.
    pub fn linger(&mut self) {
        self.entries.clear();
        self.blinks.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.blinks.is_empty()
    }

    /// The addresses that somebody else could take.
    pub fn watched(&self) -> impl Iterator<Item = (&IpAddr, &Entry)> {
        self.entries.iter().filter(|(_, entry)| entry.way != Way::Guard)
    }
}

fn watched(blink: &Blink, machine: &mut impl Machine) -> Result<Watched> {
    let (mac, own) = machine.own(&blink.bridge)?;
    let known = || blink.known.iter().chain([&blink.to]);
    Ok(Watched {
        bridge: blink.bridge.clone(),
        subnet: blink.subnet,
        to: blink.to,
        addresses: known()
            .map(|end| end.address)
            .chain(own.into_iter().filter(|a| blink.subnet.contains(*a)))
            .collect(),
        macs: known().map(|end| end.mac).chain([mac]).collect(),
        ports: blink.ports.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fake(Vec<u32>);

    impl Machine for Fake {
        fn ports(&mut self, _: &str) -> Result<Vec<u32>> {
            Ok(self.0.clone())
        }
        fn own(&mut self, _: &str) -> Result<(Mac, Vec<IpAddr>)> {
            Ok((Mac([2, 0, 0, 0, 0, 1]), vec![ip(1), "fe80::1".parse().unwrap()]))
        }
    }

    fn ip(n: u8) -> IpAddr {
        [172, 18, 0, n].into()
    }

    fn mac(n: u8) -> Mac {
        Mac([2, 0, 0, 0, 0, n])
    }

    fn changed(state: &mut State, ports: &[u32], text: &str) -> Result<()> {
        let clauses = text.split(';').map(|c| c.parse::<Clause>().unwrap());
        clauses.into_iter().try_for_each(|c| state.apply(&c, &mut Fake(ports.to_vec())))
    }

    const PAIR: &str = "br0 172.18.0.2@02:00:00:00:00:02 172.18.0.3@02:00:00:00:00:03";

    #[test]
    fn a_switch_keeps_the_ports_that_were_there_when_steering_began() {
        let mut s = State::default();
        changed(&mut s, &[7, 8], &format!("steer {PAIR}")).unwrap();
        changed(&mut s, &[7, 8, 9], &format!("switch {PAIR}")).unwrap();
        let entry = &s.entries[&ip(2)];
        assert_eq!((entry.way, entry.ports.as_slice()), (Way::Switch, [7, 8].as_slice()));
        assert!(s.gone.contains(&mac(2)));
    }

    #[test]
    fn a_guard_has_no_ports_and_hands_none_on() {
        let mut s = State::default();
        changed(&mut s, &[7], &format!("guard {PAIR}")).unwrap();
        assert!(s.entries[&ip(2)].ports.is_empty());
        changed(&mut s, &[7, 9], &format!("steer {PAIR}")).unwrap();
        assert_eq!(s.entries[&ip(2)].ports, [7, 9]);
    }

    #[test]
    fn an_address_that_was_released_can_be_steered_again() {
        let mut s = State::default();
        changed(&mut s, &[], &format!("steer {PAIR}; release 172.18.0.2")).unwrap();
        assert!(s.entries.is_empty() && s.blocked.contains(&ip(2)));
        changed(&mut s, &[], &format!("steer {PAIR}")).unwrap();
        assert!(s.blocked.is_empty());
    }

    #[test]
    fn an_address_that_somebody_has_got_meanwhile_is_not_switched() {
        let mut s = State::default();
        changed(&mut s, &[7], &format!("steer {PAIR}")).unwrap();
        s.release(ip(2));
        changed(&mut s, &[7, 9], &format!("switch {PAIR}")).unwrap();
        assert!(s.entries.is_empty() && s.blocked.contains(&ip(2)));
        assert!(s.gone.contains(&mac(2)));
    }

    #[test]
    fn a_mac_that_takes_over_is_not_gone() {
        let mut s = State::default();
        changed(&mut s, &[], &format!("switch {PAIR}")).unwrap();
        changed(&mut s, &[], "steer br0 172.18.0.4@02:00:00:00:00:04 172.18.0.2@02:00:00:00:00:02").unwrap();
        assert!(!s.gone.contains(&mac(2)));
    }

    #[test]
    fn nothing_is_steered_any_more_at_the_end_of_lingering() {
        let mut s = State::default();
        let other = "br0 172.18.0.5@02:00:00:00:00:05 172.18.0.3@02:00:00:00:00:03";
        changed(&mut s, &[], &format!("steer {PAIR}; switch {other}")).unwrap();
        s.linger();
        assert!(s.is_empty());
    }

    #[test]
    fn a_blink_knows_the_bridge_itself() {
        let mut s = State::default();
        let to = "172.18.0.2@02:00:00:00:00:02";
        changed(&mut s, &[], &format!("blink br0 172.18.0.0/16 {to} 172.18.0.9@02:00:00:00:00:09")).unwrap();
        assert_eq!(s.blinks[0].addresses, [ip(9), ip(2), ip(1)]);
        assert_eq!(s.blinks[0].macs, [mac(9), mac(2), mac(1)]);
        changed(&mut s, &[], "unblink").unwrap();
        assert!(s.is_empty());
    }

    #[test]
    fn what_was_released_is_unknown_in_a_blink_unless_somebody_has_it() {
        let mut s = State::default();
        let released = [2, 4, 9].map(|n| format!("release 172.18.0.{n}")).join("; ");
        changed(&mut s, &[], &format!("{released}; release 172.19.0.2")).unwrap();
        let ends = "172.18.0.3@02:00:00:00:00:03 172.18.0.9@02:00:00:00:00:09";
        changed(&mut s, &[], &format!("blink br0 172.18.0.0/16 {ends}")).unwrap();
        assert_eq!(s.blocked, BTreeSet::from([ip(9), [172, 19, 0, 2].into()]));
    }

    #[test]
    fn there_are_limits() {
        let mut s = State::default();
        let result = (0..=255)
            .flat_map(|a| [(a, 0), (a, 1)])
            .try_for_each(|(a, b)| changed(&mut s, &[], &format!("release 172.18.{b}.{a}")));
        assert!(matches!(result, Err(Refusal::Limit(_))));
    }
}
