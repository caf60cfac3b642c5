//! Ends connections that never end by themselves: those that proxies and other clients keep for their next request.
//!
//! Where the kernel lets us (`closing`), the client ends them after a response, and no request can cross that. The others are ended as
//! if their program had (`SOCK_DESTROY`): the client gets a reset. One that does not wait for an answer takes the connection
//! out of its pool, and opens another one for its next request. Nothing is cut off, as a connection is ended only
//! - when it is known to be between two requests of HTTP/1.x, or was opened in advance and nobody has said anything;
//! - when nothing is unread or unacknowledged on either side;
//! - when it has been quiet for a time: a request that crosses the reset is lost. Where others end with a response it is
//!   a time after which the next request is far; else one that is long at first and falls (`quiet::needed`).
//!
//! All others are left: connections of other protocols, those that were upgraded, those whose last response began before
//! they were watched.

use super::connections::is_from_outside;
use super::follow::{Follower, Status};
use crate::answer::{Result, Tried};
use crate::diag::{CLOSE_WAIT, Diag, ESTABLISHED, TcpSocket};
use crate::quiet::{UNUSED_FACTOR, needed};
use std::collections::{BTreeSet, HashSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Most of those whose next request is not far have ended with a response by then.
const IDLE_FOR: Duration = Duration::from_secs(1);

/// Something may happen more often than is worth a look at all connections.
const STEP: Duration = Duration::from_millis(1);

/// A request to end connections that is being done.
pub struct Ending {
    quiet: Duration,
    limit: Duration,
    ports: BTreeSet<u16>,
    /// Not those from here.
    except: BTreeSet<IpAddr>,
    /// Nobody else's.
    clients: Option<HashSet<(IpAddr, u16)>>,
    /// How long one must be idle, where those that are not end with a response.
    idle: Option<Duration>,
    begun: Instant,
    next_step: Instant,
    ended: usize,
    /// Connections whose clients were asked to close them.
    asked: usize,
}

impl Ending {
    pub fn new(quiet: Duration, limit: Duration, ports: BTreeSet<u16>, closes: bool) -> Self {
        let idle = closes.then_some(IDLE_FOR);
        let now = Instant::now();
        let except = BTreeSet::new();
        Self {
            quiet,
            limit,
            ports,
            except,
            clients: None,
            idle,
            begun: now,
            next_step: now,
            ended: 0,
            asked: 0,
        }
    }

    /// Only those of these clients, and they cannot go on.
    pub fn of(self, clients: HashSet<(IpAddr, u16)>) -> Self {
        Self { clients: Some(clients), ..self }
    }

    pub fn except(self, except: BTreeSet<IpAddr>) -> Self {
        Self { except, ..self }
    }

    /// Ends what can be ended now: ` ended=N asked=N left=N unknown=N` when nothing is left, or the time is up.
    pub fn step(&mut self, diag: &mut Diag, follower: &mut Follower) -> Result<Option<String>> {
        let (now, passed) = (Instant::now(), self.begun.elapsed());
        if now < self.next_step {
            return Ok(None);
        }
        self.next_step = now + STEP;
        // In this order: what is said after the kernel has counted makes a connection a busy one.
        let mut open = open(diag, &self.ports)?;
        open.retain(|socket| !self.except.contains(&socket.remote.0));
        if let Some(clients) = &self.clients {
            open.retain(|socket| clients.contains(&socket.remote));
        }
        let has_caught_up = follower.read()?;
        let (mut left, mut unknown) = (0, 0);
        for socket in &open {
            let status = follower.status(socket);
            let may_end = has_caught_up && self.may_end(socket, status, passed);
            if !may_end || !self.try_end(diag, socket)? {
                left += 1;
                unknown += usize::from(status == Status::Untouched);
            }
        }
        self.asked += follower.take_closed();
        let over = left == 0 || passed >= self.limit;
        Ok(over.then(|| format!(" ended={} asked={} left={left} unknown={unknown}", self.ended, self.asked)))
    }

    /// When so much of the limit has passed.
    fn may_end(&self, socket: &TcpSocket, status: Status, passed: Duration) -> bool {
        let needed = needed(self.quiet, self.limit, passed);
        match status {
            Status::Between => is_silent(socket, self.idle.unwrap_or(needed)),
            Status::Unused => is_silent(socket, needed * UNUSED_FACTOR),
            Status::Untouched => self.clients.is_some(),
            Status::Busy => false,
        }
    }

    /// Whether it is gone.
    fn try_end(&mut self, diag: &mut Diag, socket: &TcpSocket) -> Result<bool> {
        let gone = |e: &std::io::Error| e.raw_os_error() == Some(libc::ENOENT);
        match diag.again(socket) {
            Ok(Some(now)) if is_same(socket, &now) => {}
            Err(e) if gone(&e) => return Ok(true),
            result => return result.map(|_| false).tried("looking at a connection"),
        }
        match diag.destroy(socket) {
            Err(e) if gone(&e) => Ok(true),
            result => {
                result.tried("ending a connection")?;
                self.ended += 1;
                Ok(true)
            }
        }
    }
}

/// Connections from outside to these ports.
pub fn open(diag: &mut Diag, ports: &BTreeSet<u16>) -> Result<Vec<TcpSocket>> {
    let mut open = Vec::new();
    let each = |socket: TcpSocket| {
        if ports.contains(&socket.local.1) && is_from_outside(&socket) {
            open.push(socket);
        }
    };
    diag.sockets(&[ESTABLISHED, CLOSE_WAIT], true, each).tried("listing connections")?;
    Ok(open)
}

/// Whether nobody has said anything for so long, and all was read.
fn is_silent(socket: &TcpSocket, needed: Duration) -> bool {
    let quiet = socket.times.map_or(0, |times| times.sent.min(times.received));
    let all_read = socket.state == ESTABLISHED && socket.unread == 0 && socket.unsent == 0;
    all_read && Duration::from_millis(quiet.into()) >= needed
}

/// Whether nothing was said between two looks at a connection.
fn is_same(before: &TcpSocket, now: &TcpSocket) -> bool {
    let bytes = |s: &TcpSocket| (s.unread, s.unsent, s.times.map(|t| (t.bytes_acked, t.bytes_received)));
    before.state == now.state && bytes(before) == bytes(now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::Times;

    /// At the end, when no more is needed than this.
    fn may_end_after(socket: &TcpSocket, status: Status, closes: bool) -> bool {
        let (quiet, limit) = (Duration::from_millis(15), Duration::from_secs(2));
        Ending::new(quiet, limit, BTreeSet::new(), closes).may_end(socket, status, limit)
    }

    fn may_end(socket: &TcpSocket, status: Status) -> bool {
        may_end_after(socket, status, false)
    }

    fn socket(sent: u32, received: u32) -> TcpSocket {
        let times = Times { sent, received, bytes_acked: 9, bytes_received: 9 };
        TcpSocket::example(ESTABLISHED, times)
    }

    #[test]
    fn one_between_two_requests_that_is_quiet_may_be_ended() {
        assert!(may_end(&socket(15, 15), Status::Between));
        assert!(!may_end(&socket(14, 20), Status::Between));
        assert!(!may_end(&socket(20, 14), Status::Between));
    }

    #[test]
    fn where_others_end_with_a_response_it_must_be_idle_for_long() {
        assert!(!may_end_after(&socket(999, 999), Status::Between, true));
        assert!(may_end_after(&socket(1000, 1000), Status::Between, true));
    }

    #[test]
    fn one_that_was_opened_in_advance_must_be_quiet_for_longer() {
        assert!(!may_end(&socket(149, 149), Status::Unused));
        assert!(may_end(&socket(150, 150), Status::Unused));
    }

    #[test]
    fn what_is_not_known_is_left_however_quiet_it_is() {
        for status in [Status::Busy, Status::Untouched] {
            assert!(!may_end(&socket(600_000, 600_000), status));
        }
    }

    #[test]
    fn what_is_not_read_or_not_acknowledged_is_in_flight() {
        let base = socket(60_000, 60_000);
        let cases = [
            TcpSocket { unread: 1, ..base.clone() },
            TcpSocket { unsent: 1, ..base.clone() },
            TcpSocket { state: CLOSE_WAIT, ..base },
        ];
        assert!(!cases.iter().any(|socket| may_end(socket, Status::Between)));
    }
}
