//! Ends connections that never end by themselves: those that proxies and other clients keep for their next request.
//!
//! Where the kernel lets us (`closing`), the client ends them after a response, and no request can cross that. The others are ended as
//! if their program had (`SOCK_DESTROY`): the client gets a reset. One that does not wait for an answer takes the connection
//! out of its pool, and opens another one for its next request. Nothing is cut off, as a connection is ended only
//! - when it is known to be between two requests of HTTP/1.x, or was opened in advance and nobody has said anything;
//! - when nothing is unread or unacknowledged on either side;
//! - when it has been quiet for a time: a request that crosses the reset is lost. Where others end with a response it is
//!   a time after which the next request is far; else one that is long at first and falls (`quiet::needed`). Clients
//!   that wait for a processor notice the reset late, so that it is longer the longer they take to close one that they
//!   are asked to close (2 of 7,000 POSTs were lost at a load of 30 on two processors).
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

/// The same, by how long clients take to notice the end of a connection.
const IDLE_FACTOR: u32 = 20;
const IDLE_FOR_AT_MOST: Duration = Duration::from_secs(10);

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
    /// Nobody asks again.
    is_last: bool,
    begun: Instant,
    next_step: Instant,
    ended: usize,
    /// Connections whose clients were asked to close them.
    asked: usize,
}

impl Ending {
    pub fn new(quiet: Duration, limit: Duration, ports: BTreeSet<u16>) -> Self {
        let now = Instant::now();
        let except = BTreeSet::new();
        Self {
            quiet,
            limit,
            ports,
            except,
            clients: None,
            is_last: false,
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

    /// What is not ended now never is, so that there is no time for the slowest clients.
    pub fn last(self) -> Self {
        Self { is_last: true, ..self }
    }

    pub fn except(self, except: BTreeSet<IpAddr>) -> Self {
        Self { except, ..self }
    }

    /// Ends what can be ended now: ` ended=N asked=N left=N unknown=N` when nothing is left, or the time is up.
    /// `closes`: since when those that are not idle end with a response, if they do.
    pub fn step(
        &mut self,
        diag: &mut Diag,
        follower: &mut Follower,
        closes: Option<Instant>,
    ) -> Result<Option<String>> {
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
        let idle = self.idle_for(follower.slowest_client());
        let (mut left, mut unknown) = (0, 0);
        for socket in &open {
            let status = follower.status(socket);
            let may_end = has_caught_up && self.may_end(socket, status, (closes, idle), passed);
            if !may_end || !self.try_end(diag, socket)? {
                left += 1;
                unknown += usize::from(status == Status::Untouched);
            }
        }
        self.asked += follower.take_closed();
        let over = left == 0 || passed >= self.limit;
        Ok(over.then(|| format!(" ended={} asked={} left={left} unknown={unknown}", self.ended, self.asked)))
    }

    /// When so much of the limit has passed, where `idle` is a time after which the next request is far. It must have been
    /// so since clients are asked to close: before, nobody knows how late they notice. A client that has opened a
    /// connection and waits for a processor looks like one that has opened it in advance.
    fn may_end(
        &self,
        socket: &TcpSocket,
        status: Status,
        (closes, idle): (Option<Instant>, Duration),
        passed: Duration,
    ) -> bool {
        let needed = needed(self.quiet, self.limit, passed);
        let is_idle = |least| closes.is_none_or(|since| since.elapsed() >= idle) && is_silent(socket, least);
        match status {
            Status::Between => is_idle(if closes.is_some() { idle } else { needed }),
            Status::Unused => is_idle(idle.max(needed * UNUSED_FACTOR)),
            Status::Untouched => self.clients.is_some(),
            Status::Busy => false,
        }
    }

    /// After which time without a word the next request is far, when clients took so long to notice an end.
    fn idle_for(&self, slowest_client: Duration) -> Duration {
        let idle = (slowest_client * IDLE_FACTOR).clamp(IDLE_FOR, IDLE_FOR_AT_MOST);
        if self.is_last { idle.min(self.limit / 3 * 2) } else { idle }
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
    fn may_end_after(socket: &TcpSocket, status: Status, closes: Option<Duration>) -> bool {
        let closes = closes.map(|ago| Instant::now() - ago);
        let (quiet, limit) = (Duration::from_millis(15), Duration::from_secs(2));
        Ending::new(quiet, limit, BTreeSet::new()).may_end(socket, status, (closes, IDLE_FOR), limit)
    }

    fn may_end(socket: &TcpSocket, status: Status) -> bool {
        may_end_after(socket, status, None)
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
        let after = |asked| {
            move |idle| {
                may_end_after(&socket(idle, idle), Status::Between, Some(Duration::from_millis(asked)))
            }
        };
        assert_eq!([999, 1000].map(after(1000)), [false, true]);
    }

    #[test]
    fn nothing_is_ended_before_it_is_known_how_late_clients_notice() {
        for status in [Status::Between, Status::Unused] {
            let after =
                |asked| may_end_after(&socket(60_000, 60_000), status, Some(Duration::from_millis(asked)));
            assert_eq!([999, 1000].map(after), [false, true]);
        }
    }

    #[test]
    fn one_that_was_opened_in_advance_must_be_quiet_for_longer() {
        assert!(!may_end(&socket(999, 999), Status::Unused));
        assert!(may_end(&socket(1000, 1000), Status::Unused));
    }

    #[test]
    fn clients_that_notice_late_get_more_time() {
        let ms = Duration::from_millis;
        let ending = || Ending::new(ms(15), ms(1800), BTreeSet::new());
        let cases = [(0, 1000), (50, 1000), (200, 4000), (3000, 10_000)];
        assert_eq!(cases.map(|(took, _)| ending().idle_for(ms(took))), cases.map(|(_, idle)| ms(idle)));
        assert_eq!(
            cases.map(|(took, _)| ending().last().idle_for(ms(took))),
            [1000, 1000, 1200, 1200].map(ms)
        );
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
