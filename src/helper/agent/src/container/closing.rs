//! Lets connections end with a response: it asks the client not to use the connection again (`Connection: close`).
//!
//! A client that is asked in the response does not send another request, so that none crosses the end. To close with the
//! response, or in a quiet moment, would not do: Go's client uses a connection once more before it notices (23 of 100
//! connections that were closed with the packet that completed a response lost a POST behind Caddy).
//!
//! While this is on, the kernel hands over the packets with data that leave, in order, and waits for an answer.

use super::follow::Follower;
use crate::answer::{Result, Tried};
use crate::ip::{BOTH, Ip};
use crate::nft::expr::{Base, KEY, Meta, Rule};
use crate::nft::{Batch, Element, Family, Field, Hook, OUTPUT, Set};
use crate::queue::Queue;
use crate::ruleset::{Kept, Ruleset, gate, version};
use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::{Duration, Instant};

const ASK: Hook = Hook { kind: "filter", number: OUTPUT, priority: -310 };
const PORTS: &str = "ports";
/// Queues are of a network namespace. One that somebody else has is not ours to take.
const QUEUE: u16 = 31_213;
const SOURCE_PORT: u32 = 0;
const FLAGS: u32 = 13;
/// What was written is complete with this packet: it has data.
const PUSH: u8 = 8;
/// No longer packet is without data: 40 bytes of options.
const LONGEST_BARE: u16 = 20 + 60;

const IN_HAND: Duration = Duration::from_millis(1);
const GOES_ON_WITHIN: Duration = Duration::from_millis(100);

/// The ports whose connections are closed.
#[derive(Default)]
pub struct Ports(BTreeSet<u16>);

pub struct Closing {
    rules: Kept<Ports>,
    queue: Queue,
    /// Since when the same clients are asked.
    pub since: Instant,
}

impl Closing {
    pub fn begin(owner: bool, ports: &BTreeSet<u16>) -> Result<Self> {
        let queue = Queue::open(QUEUE).tried("opening a queue of packets")?;
        let mut rules = Kept::open(owner).tried("opening nftables")?;
        rules.install(Ports(ports.clone())).tried("letting connections end with a response")?;
        Ok(Self { rules, queue, since: Instant::now() })
    }

    pub fn set_ports(&mut self, ports: &BTreeSet<u16>) -> Result<()> {
        if self.rules.rules.0 == *ports {
            return Ok(());
        }
        self.rules.install(Ports(ports.clone())).tried("letting connections end with a response")
    }

    /// Decides over the packets that wait.
    pub fn serve(&mut self, follower: &mut Follower) -> Result<()> {
        self.queue.serve(|packet| follower.close(packet)).map(drop).tried("reading packets that wait")
    }

    pub fn heartbeat(&mut self) -> Result<()> {
        self.rules.heartbeat().tried("renewing the gate")
    }

    /// How often somebody has removed the rules since the last time.
    pub fn take_lost(&mut self) -> u32 {
        self.rules.take_lost()
    }

    /// What waits goes on first, and nothing waits any more: where a hook of a namespace is removed, the kernel drops what
    /// waits there (`nf_queue_nf_hook_drop`), and whoever expects it waits until it is sent again.
    pub fn clear(&mut self) {
        let _ = self.rules.install(Ports::default());
        self.let_go_on();
        // Of a packet that the other processor had in hand.
        thread::sleep(IN_HAND);
        self.let_go_on();
        self.rules.clear();
    }

    fn let_go_on(&mut self) {
        let begun = Instant::now();
        while begun.elapsed() < GOES_ON_WITHIN && matches!(self.queue.serve(|_| None), Ok(false)) {}
    }
}

impl AsFd for Closing {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}

impl Ruleset for Ports {
    fn families(&self) -> BTreeSet<Family> {
        if self.0.is_empty() { BTreeSet::new() } else { BOTH.map(Ip::family).into() }
    }

    fn create(b: &mut Batch, family: Family) {
        let Some(ip) = version(family) else { return };
        b.set(family, PORTS, Set::fixed(&[Field::Port], None));
        b.chain(family, "ask", Some(ASK));
        b.rule(family, "ask", &gate(family));
        let pushed = of_ports().load(Base::Transport, FLAGS, 1, KEY).mask(KEY, &[PUSH]).unequal(KEY, &[0]);
        b.rule(family, "ask", &pushed.queue(QUEUE));
        b.rule(family, "ask", &longer(ip, of_ports()).queue(QUEUE));
    }

    fn fill(&self, b: &mut Batch, family: Family) {
        let ports: Vec<_> = self.0.iter().map(|port| Element::key(port.to_be_bytes().to_vec())).collect();
        b.fill(family, PORTS, &ports, None);
    }
}

fn of_ports() -> Rule {
    tcp().load(Base::Transport, SOURCE_PORT, 2, KEY).found(PORTS, KEY)
}

/// The packet is longer than one without data. The length that IPv6 says is without its header.
fn longer(ip: Ip, rule: Rule) -> Rule {
    let (offset, length) = match ip {
        Ip::V4 => (2, LONGEST_BARE),
        Ip::V6 => (4, LONGEST_BARE - 20),
    };
    rule.load(Base::Network, offset, 2, KEY).above(KEY, &length.to_be_bytes())
}

fn tcp() -> Rule {
    Rule::new().meta(Meta::Transport, KEY).equal(KEY, &[libc::IPPROTO_TCP as u8])
}
