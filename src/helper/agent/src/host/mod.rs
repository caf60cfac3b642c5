//! The host's side: who gets what is sent to a container.

mod bridge;
mod neighbor;
mod output;
mod state;

use crate::answer::{Result, Tried, code};
use crate::ip::{BOTH, Ip, address};
use crate::link::Links;
use crate::nft::{Batch, Family};
use crate::protocol::{Clause, Mac};
use crate::ruleset::{Kept, Ruleset, version};
use neighbor::Responder;
use state::Machine;
pub use state::State;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::io;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// Words in an answer that lists: what a person can still make use of.
const MOST_LISTED: usize = 1000;
/// In this time nobody else is answered.
const FORGETS_FOR: Duration = Duration::from_millis(500);

pub struct Host {
    kept: Kept<State>,
    links: Links,
    responders: BTreeMap<u32, Responder>,
    asked: BTreeMap<(IpAddr, IpAddr), u64>,
    /// Addresses that somebody else took, not yet reported.
    claimed: BTreeSet<IpAddr>,
}

impl Host {
    pub fn open(owner: bool) -> Result<Self> {
        let kept = Kept::open(owner).tried("opening nftables")?;
        let links = Links::open().tried("opening the routing socket")?;
        let (responders, asked, claimed) = Default::default();
        Ok(Self { kept, links, responders, asked, claimed })
    }

    /// Makes all clauses true at once, or none.
    pub fn change(&mut self, clauses: &[Clause]) -> Result<String> {
        self.notice_claims()?;
        let mut next = self.kept.rules.clone();
        clauses.iter().try_for_each(|clause| next.apply(clause, &mut self.links))?;
        self.install(next)
    }

    /// Addresses that somebody else took since the last time: ` claimed=ADDRESS,…`.
    pub fn take_claimed(&mut self) -> String {
        let claimed: Vec<String> = std::mem::take(&mut self.claimed).iter().map(IpAddr::to_string).collect();
        if claimed.is_empty() { String::new() } else { format!(" claimed={}", claimed.join(",")) }
    }

    /// How often somebody has removed the tables since the last time.
    pub fn take_lost(&mut self) -> u32 {
        self.kept.take_lost()
    }

    /// New connections to steered addresses since the last time: ` ADDRESS<SOURCE=NUMBER …`.
    pub fn asked(&mut self) -> Result<String> {
        let mut now = BTreeMap::new();
        for (family, set, ip) in counters() {
            for element in self.kept.list(family, &set).tried("reading counters")? {
                let (to, from) = element.key.split_at_checked(ip.length() as usize).unwrap_or_default();
                if let (Some(to), Some(from)) = (address(to), address(from)) {
                    *now.entry((to, from)).or_default() += element.packets;
                }
            }
        }
        let before = std::mem::replace(&mut self.asked, now);
        Ok(since(&before, &self.asked))
    }

    /// The flows that are open, and those that ended in the last seconds.
    pub fn flows(&mut self) -> Result<(usize, usize)> {
        let mut counts = [0; 2];
        for ip in BOTH {
            for (count, set) in counts.iter_mut().zip([bridge::FLOWS, bridge::CLOSING]) {
                *count += self.kept.list(Family::Bridge, &ip.name(set)).tried("counting flows")?.len();
            }
        }
        Ok((counts[0], counts[1]))
    }

    /// Keeps the rules alive.
    pub fn heartbeat(&mut self) -> Result<()> {
        self.kept.heartbeat().tried("renewing the gate")
    }

    /// Whether an address can be taken by somebody else, so that `notice_claims` is to be called often.
    pub fn is_watching(&self) -> bool {
        self.kept.rules.watched().next().is_some()
    }

    /// Addresses that somebody else has begun to use are let go. The bridge's rules have done so already; this is for
    /// the host's own connections and for the answers to neighbors.
    pub fn notice_claims(&mut self) -> Result<()> {
        let mut claimed = Vec::new();
        for ip in BOTH {
            let blocked =
                self.kept.list(Family::Bridge, &ip.name(bridge::BLOCKED)).tried("reading claims")?;
            claimed.extend(blocked.iter().filter_map(|element| address(&element.key)));
        }
        claimed.retain(|address| !self.kept.rules.blocked.contains(address));
        if claimed.is_empty() {
            return Ok(());
        }
        let mut next = self.kept.rules.clone();
        claimed.iter().for_each(|address| next.release(*address));
        self.claimed.extend(claimed);
        self.install(next).map(drop)
    }

    /// Asks who has the addresses that somebody else can take: an answer claims one.
    pub fn ask_for_claims(&self) {
        for (address, entry) in self.kept.rules.watched() {
            let bridge = crate::sys::interface_index(&entry.bridge).ok();
            if let Some(responder) = bridge.and_then(|index| self.responders.get(&index)) {
                responder.ask(*address);
            }
        }
    }

    /// Steers no new flow any more. Whether anything is left that is to stay for a while.
    pub fn linger(&mut self) -> Result<bool> {
        let mut next = self.kept.rules.clone();
        next.linger();
        self.install(next)?;
        self.is_needed()
    }

    /// Whether there are flows or addresses that are kept.
    pub fn is_needed(&mut self) -> Result<bool> {
        Ok(!self.kept.rules.is_empty() || self.flows()?.0 > 0)
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.responders.clear();
        self.kept.clear();
    }

    pub fn fds(&self) -> Vec<BorrowedFd<'_>> {
        self.responders.values().flat_map(Responder::fds).collect()
    }

    /// Answers for those that are about to go, as they do themselves, so that there is no gap when they are gone.
    pub fn respond(&mut self) {
        let owners: BTreeMap<IpAddr, Mac> =
            self.kept.rules.watched().map(|(a, entry)| (*a, entry.from)).collect();
        self.responders.values_mut().for_each(|responder| responder.answer(&owners));
    }

    /// Answers for those that are not able to yet, now that it is known who they are.
    fn introduce(&mut self) {
        let owners = self.kept.rules.entries.iter().map(|(a, entry)| (*a, entry.from)).collect();
        self.responders.values_mut().for_each(|responder| responder.answer_late(&owners));
    }

    /// MACs are made from addresses on some engines: who has one now must not get what was begun with its owner before.
    /// While it is gone nobody begins anything with it. The same is true of addresses that were let go.
    fn forget_flows(&mut self, next: &State) -> Result<()> {
        let State { gone, blocked, .. } = &self.kept.rules;
        let macs: BTreeSet<Mac> = gone.difference(&next.gone).copied().collect();
        let addresses: BTreeSet<IpAddr> = blocked.difference(&next.blocked).copied().collect();
        let end = Instant::now() + FORGETS_FOR;
        let sets = BOTH.into_iter().flat_map(|ip| [(ip, bridge::FLOWS), (ip, bridge::CLOSING)]);
        for (ip, set) in sets.filter(|_| !macs.is_empty() || !addresses.is_empty()) {
            // A list of many is not whole when some expire meanwhile.
            while Instant::now() < end {
                let mut flows = self.kept.list(Family::Bridge, &ip.name(set)).tried("listing flows")?;
                flows.retain(|flow| bridge::leads(ip, flow, &addresses, &macs));
                if flows.is_empty() {
                    break;
                }
                let keys: Vec<_> = flows.into_iter().map(|flow| flow.key).collect();
                self.kept.forget(Family::Bridge, &ip.name(set), &keys, end);
            }
        }
        Ok(())
    }

    fn install(&mut self, next: State) -> Result<String> {
        self.forget_flows(&next)?;
        self.kept.install(next).tried("changing the rules")?;
        self.respond();
        self.introduce();
        Ok(self.listen().err().map(|e| format!(" unanswered={}", code(&e))).unwrap_or_default())
    }

    /// Questions are heard on the bridges where somebody comes or goes, and only there.
    fn listen(&mut self) -> io::Result<()> {
        let rules = &self.kept.rules;
        let coming = rules.blinks.iter().map(|blink| blink.bridge.as_str());
        let bridges: BTreeSet<&str> =
            rules.watched().map(|(_, entry)| entry.bridge.as_str()).chain(coming).collect();
        let mut wanted = BTreeMap::new();
        for bridge in bridges {
            let index = crate::sys::interface_index(bridge)?;
            let responder = match self.responders.remove(&index) {
                Some(responder) => responder,
                None => Responder::open(index, self.links.mac(index)?, self.links.ipv6(index)?)?,
            };
            wanted.insert(index, responder);
        }
        self.responders = wanted;
        Ok(())
    }
}

impl Machine for Links {
    fn ports(&mut self, bridge: &str) -> Result<Vec<u32>> {
        let index = self.index(bridge)?;
        Links::ports(self, index)
    }

    fn own(&mut self, bridge: &str) -> Result<(Mac, Vec<IpAddr>)> {
        let index = self.index(bridge)?;
        let addresses = self.addresses()?.into_iter().filter(|a| a.interface == index);
        let addresses = addresses.map(|a| a.address).collect();
        Ok((self.mac(index)?, addresses))
    }
}

impl Ruleset for State {
    fn families(&self) -> BTreeSet<Family> {
        let blinks = self.blinks.iter().map(|blink| blink.subnet.address);
        let addresses = self.entries.keys().copied().chain(blinks);
        addresses.map(|address| Ip::of(address).family()).chain([Family::Bridge]).collect()
    }

    fn create(b: &mut Batch, family: Family) {
        match version(family) {
            Some(ip) => output::create(b, ip),
            None => bridge::create(b),
        }
    }

    fn fill(&self, b: &mut Batch, family: Family) {
        match version(family) {
            Some(ip) => output::fill(b, ip, self),
            None => bridge::fill(b, self),
        }
    }
}

/// The sets that count, and the IP version of what is in them.
fn counters() -> impl Iterator<Item = (Family, String, Ip)> {
    let of =
        |ip: Ip| [(Family::Bridge, ip.name(bridge::ASKED), ip), (ip.family(), output::ASKED.to_owned(), ip)];
    BOTH.into_iter().flat_map(of)
}

/// What the counters have grown by. One that is smaller than before expired meanwhile, and began anew.
fn since(before: &BTreeMap<(IpAddr, IpAddr), u64>, now: &BTreeMap<(IpAddr, IpAddr), u64>) -> String {
    let mut text = String::new();
    let grown = now.iter().filter_map(|(key, count)| {
        let new = count.checked_sub(before.get(key).copied().unwrap_or(0)).unwrap_or(*count);
        (new > 0).then_some((key, new))
    });
    for ((to, from), count) in grown.take(MOST_LISTED) {
        let _ = write!(text, " {to}<{from}={count}");
    }
    text
}
