//! Follows what is said on the container's connections, to know which of them are between two requests. Silence tells
//! nothing: a response may pause, and other protocols have requests under way that were not the last to be sent.
//!
//! Only HTTP/1.x is followed. What is missed, not clear, or said in another protocol makes a connection unknown, which
//! costs nothing but that it is left alone.

mod flow;
mod packet;
mod tap;

use crate::answer::{Result, Tried};
use crate::diag::{TcpSocket, Times};
use crate::http::{State, ask_to_close};
use flow::Flow;
use packet::{Key, Segment, Side, seal};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};
use tap::Tap;

/// At least the tick of the slowest clocks (100 Hz), which the times of sockets are rounded to.
const TICK_MS: u32 = 10;
/// Of more connections the later ones are unknown.
const MOST_FLOWS: usize = 32_768;
/// Reading rests for so many times as long as it took: it takes a fifth of a processor at most.
const REST: u32 = 4;
const SHORTEST_REST: Duration = Duration::from_millis(5);
/// Watching for a shorter time does not show that a connection is not used.
const UNTOUCHED_AFTER: Duration = Duration::from_secs(1);

/// A response that was not seen from its beginning is over when it has been quiet for so long.
const QUIET_AFTER: Duration = Duration::from_secs(3);

/// What is known of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Opened in advance: nobody has said anything.
    Unused,
    /// Between two requests of HTTP/1.x.
    Between,
    /// A request is under way, or it cannot be said.
    Busy,
    /// Nothing has happened on it since it is watched, or for long, and what was said before is not known.
    Untouched,
}

#[derive(Default)]
pub struct Follower {
    ports: BTreeSet<u16>,
    flows: HashMap<Key, Flow>,
    watched: Option<Watched>,
    /// Whose connections are asked to close.
    pub closes: Whose,
    /// Connections that were asked to close.
    closed: usize,
    /// Those of them that their clients have not closed: since when they could.
    asked: HashMap<Key, Instant>,
    /// The longest that a client took for that.
    slowest_client: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Whose {
    #[default]
    Any,
    /// Of those who have asked for another address.
    Taken,
}

struct Watched {
    tap: Tap,
    since: Instant,
    rests_until: Instant,
}

impl Follower {
    /// How long clients take to notice that a connection ends: as long as they wait for a processor. A request that one
    /// of them sends meanwhile is lost. The slowest of them may not have noticed yet.
    pub fn slowest_client(&self) -> Duration {
        let waiting = self.asked.values().map(Instant::elapsed).max();
        self.slowest_client.max(waiting.unwrap_or_default())
    }

    /// Follows the connections to these ports, of which `open` says which are there now.
    pub fn watch(
        &mut self,
        ports: &BTreeSet<u16>,
        open: impl FnOnce() -> Result<Vec<TcpSocket>>,
    ) -> Result<()> {
        if ports.is_empty() {
            return Ok(());
        }
        let begins = self.watched.is_none();
        match &self.watched {
            None => self.begin(ports).tried("watching connections")?,
            Some(watched) if *ports != self.ports => {
                watched.tap.set_ports(ports).tried("watching more ports")?;
            }
            _ => {}
        }
        self.ports.clone_from(ports);
        // What is said from here on is heard.
        let open = open()?;
        if begins {
            // Their requests are under way although nothing more may be said on them.
            let asked = open.iter().filter(|socket| client_was_last(socket));
            self.flows = asked.map(|s| (key(s), Flow::new(Some(Side::Client)))).collect();
        }
        let open: HashSet<Key> = open.iter().map(key).collect();
        self.flows.retain(|key, _| open.contains(key));
        self.asked.retain(|key, _| open.contains(key));
        Ok(())
    }

    fn begin(&mut self, ports: &BTreeSet<u16>) -> io::Result<()> {
        let (tap, since) = (Tap::open(ports)?, Instant::now());
        self.watched = Some(Watched { tap, since, rests_until: since });
        Ok(())
    }

    /// To be read when there is something, unless it rests.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.watched.as_ref().filter(|watched| watched.rest().is_none()).map(|watched| watched.tap.as_fd())
    }

    /// How long it rests, if it does.
    pub fn rest(&self) -> Option<Duration> {
        self.watched.as_ref().and_then(Watched::rest)
    }

    /// Reads what was said, up to a bound. Whether it has caught up.
    pub fn read(&mut self) -> Result<bool> {
        let read = self.try_read().tried("reading packets");
        if read.is_err() {
            *self = Self::default();
        }
        read
    }

    fn try_read(&mut self) -> io::Result<bool> {
        let Some(watched) = &mut self.watched else { return Ok(true) };
        let (begun, flows, ports) = (Instant::now(), &mut self.flows, &self.ports);
        let (asked, slowest) = (&mut self.asked, &mut self.slowest_client);
        let has_caught_up = watched.tap.read(|segment| {
            observe(flows, ports, segment);
            *slowest = noticed(asked, segment).unwrap_or_default().max(*slowest);
        })?;
        if watched.tap.dropped()? > 0 {
            flows.values_mut().for_each(Flow::doubt);
        }
        watched.rests_until = Instant::now() + (begun.elapsed() * REST).max(SHORTEST_REST);
        Ok(has_caught_up)
    }

    /// A packet of the server that is about to leave, changed so that the connection ends with the response that begins in
    /// it; `None` when it is to stay as it is.
    pub fn close(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        // What it responds to was received before, and what was said before it has left.
        let has_caught_up = self.read().unwrap_or(false);
        let segment = Segment::parse(packet, packet.len(), Side::Server).filter(|_| has_caught_up)?;
        let (flow, closes) = (self.flows.get(&segment.key)?, self.closes);
        let is_last = flow.is_answered_by(&segment) && (closes == Whose::Any || flow.is_taken_by(&segment));
        let (mut changed, begin) = (packet.to_vec(), packet.len() - segment.data.len());
        (is_last && ask_to_close(&mut changed[begin..])).then(|| {
            self.closed += 1;
            self.asked.insert(segment.key, Instant::now());
            seal(&mut changed);
            changed
        })
    }

    /// How many connections were asked to close since the last time.
    pub fn take_closed(&mut self) -> usize {
        std::mem::take(&mut self.closed)
    }

    /// What is known of a connection, from how it was when `read` had not yet caught up.
    pub fn status(&mut self, socket: &TcpSocket) -> Status {
        let Some(times) = &socket.times else { return Status::Busy };
        // The acknowledged SYN may count as a byte.
        let is_silent = times.bytes_received == 0 && times.bytes_acked <= 1;
        let Some(flow) = self.flows.get_mut(&key(socket)) else {
            return match times.sent.min(times.received) {
                _ if is_silent => Status::Unused,
                quiet if self.is_untouched(quiet) => Status::Untouched,
                _ => Status::Busy,
            };
        };
        match flow.state(times) {
            Some(State::Unused) if is_silent => Status::Unused,
            Some(State::Between) => Status::Between,
            None | Some(State::Busy) if flow.has_missed() && has_gone_quiet(times) => Status::Untouched,
            _ => Status::Busy,
        }
    }

    /// Whether a connection on which nothing was seen has been quiet for all the time.
    fn is_untouched(&self, quiet_ms: u32) -> bool {
        let watched = self.watched.as_ref().map_or(Duration::ZERO, |watched| watched.since.elapsed());
        watched >= UNTOUCHED_AFTER && Duration::from_millis((quiet_ms + TICK_MS).into()) >= watched
    }
}

impl Watched {
    fn rest(&self) -> Option<Duration> {
        self.rests_until.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero())
    }
}

fn key(socket: &TcpSocket) -> Key {
    Key { client: socket.remote, port: socket.local.1 }
}

/// Whether the server has spoken last as far as the kernel knows, which says more than was seen, and long ago.
fn has_gone_quiet(times: &Times) -> bool {
    times.sent < times.received && Duration::from_millis(times.sent.into()) >= QUIET_AFTER
}

/// As far as the kernel knows: within a tick nobody can tell.
fn client_was_last(socket: &TcpSocket) -> bool {
    let never_answered = |t: &Times| t.bytes_received > 0 && t.bytes_acked <= 1;
    let asked = |t: &Times| never_answered(t) || (t.bytes_received > 0 && t.received + TICK_MS < t.sent);
    socket.unread > 0 || socket.times.as_ref().is_some_and(asked)
}

fn observe(flows: &mut HashMap<Key, Flow>, ports: &BTreeSet<u16>, segment: &Segment) {
    if !ports.contains(&segment.key.port) || segment.key.client.0 == segment.local {
        return;
    }
    if flows.len() < MOST_FLOWS || flows.contains_key(&segment.key) {
        flows.entry(segment.key).or_insert_with(|| Flow::new(None)).observe(segment);
    }
    if segment.is_last() {
        flows.remove(&segment.key);
    }
}

/// How long the client took from the end of the response that asks it to close the connection until it does.
fn noticed(asked: &mut HashMap<Key, Instant>, segment: &Segment) -> Option<Duration> {
    let since = asked.get_mut(&segment.key)?;
    match segment.by {
        _ if segment.is_last() => {
            let since = asked.remove(&segment.key)?;
            (segment.by == Side::Client).then(|| since.elapsed())
        }
        _ if segment.length == 0 => None,
        Side::Server => {
            *since = Instant::now();
            None
        }
        // It does not heed what it is asked.
        Side::Client => asked.remove(&segment.key).and(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Side::{Client, Server};

    /// With one that was asked so long ago, in seconds.
    fn after(ago: u64, segments: &[Segment]) -> (Vec<Option<u64>>, usize) {
        let key = Segment::example(Server, 1, 1, "").key;
        let mut asked = HashMap::from([(key, Instant::now() - Duration::from_secs(ago))]);
        let seconds =
            segments.iter().map(|segment| noticed(&mut asked, segment).map(|took| took.as_secs())).collect();
        (seconds, asked.len())
    }

    #[test]
    fn a_client_has_noticed_when_it_closes() {
        let fin = |by| Segment { flags: 1, ..Segment::example(by, 1, 1, "") };
        let (more, next) = (Segment::example(Server, 1, 1, "more"), Segment::example(Client, 1, 1, "GET / "));
        assert_eq!(after(3, &[fin(Client)]), (vec![Some(3)], 0));
        assert_eq!(after(3, &[fin(Server)]), (vec![None], 0));
        // The response was still on its way.
        assert_eq!(after(3, &[more, fin(Client)]), (vec![None, Some(0)], 0));
        assert_eq!(after(3, &[next, fin(Client)]), (vec![None, None], 0));
        assert_eq!(after(3, &[Segment::example(Client, 1, 1, "")]), (vec![None], 1));
    }
}
