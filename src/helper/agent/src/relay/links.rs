//! All connections of the relay, and the sockets that they come in by.

use super::link::{Fate, Link, Work};
use super::rules::Held;
use super::socket::{asked_for, listen, unless_blocked};
use crate::ip::{BOTH, Ip};
use crate::sys::{self, Epoll};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// What is read at once, and the most that is kept for one direction of a connection.
const ROOM: usize = 64 << 10;
/// More than so many at a time would overrun the queue in which a program's connections wait.
const CONNECTING: usize = 32;
/// Each takes two descriptors, and the helper needs some itself.
const MOST: u64 = 10_000;
const ACCEPTED_AT_ONCE: usize = 256;
/// Identifiers of connections come after those of the sockets that listen.
const FIRST: u64 = 16;

/// What happens to connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    #[default]
    Wait,
    Pass,
    Leave,
}

#[derive(Clone, Copy, Default)]
pub struct Orders {
    pub mode: Mode,
    pub target: Option<IpAddr>,
}

impl Orders {
    /// Whom waiting connections are joined to.
    fn joins(self) -> Option<IpAddr> {
        self.target.filter(|_| self.mode != Mode::Wait)
    }
}

pub struct Links {
    epoll: Epoll,
    listeners: Vec<TcpListener>,
    all: BTreeMap<u64, Link>,
    next: u64,
    most: usize,
    /// There are too many: no more are accepted.
    full: bool,
    room: Vec<u8>,
}

impl Links {
    /// Listens on ports that are free; which.
    pub fn open() -> io::Result<(Self, BTreeMap<Ip, u16>)> {
        let most = (sys::raise_file_limit()? / 2).saturating_sub(32).min(MOST) as usize;
        let (listeners, all) = (Vec::new(), BTreeMap::new());
        let mut links = Self {
            epoll: Epoll::new()?,
            listeners,
            all,
            next: FIRST,
            most,
            full: false,
            room: vec![0; ROOM],
        };
        let mut ports = BTreeMap::new();
        for ip in BOTH {
            match listen(ip) {
                // The kernel has no IPv6.
                Err(_) if ip == Ip::V6 => {}
                listener => drop(ports.insert(ip, links.add_listener(listener?)?)),
            }
        }
        Ok((links, ports))
    }

    fn add_listener(&mut self, listener: TcpListener) -> io::Result<u16> {
        let port = listener.local_addr()?.port();
        self.epoll.add(&listener, self.listeners.len() as u64, libc::EPOLLIN as u32)?;
        self.listeners.push(listener);
        Ok(port)
    }

    /// Readable when there is something to do.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// Waiting and joined.
    pub fn count(&self) -> (usize, usize) {
        let joined = self.all.values().filter(|link| link.is_joined()).count();
        (self.all.len() - joined, joined)
    }

    /// Whether something is to be done soon, although nothing happens.
    pub fn is_busy(&self, orders: Orders) -> bool {
        let connecting = self.all.values().any(Link::is_connecting);
        connecting || orders.joins().is_some() && self.all.values().any(Link::is_waiting)
    }

    /// Does what there is to do now.
    pub fn serve(&mut self, held: &Held, orders: Orders) -> io::Result<()> {
        for (token, events) in self.epoll.ready()? {
            match usize::try_from(token).ok().filter(|i| *i < self.listeners.len()) {
                Some(listener) => self.accept(listener, held)?,
                None => self.handle(token, events, orders),
            }
        }
        self.join(held, orders);
        self.accept_again()
    }

    fn accept(&mut self, listener: usize, held: &Held) -> io::Result<()> {
        for _ in 0..ACCEPTED_AT_ONCE {
            if self.all.len() >= self.most {
                return self.pause();
            }
            let client = match unless_blocked(self.listeners[listener].accept()) {
                Ok(Some((client, _))) => client,
                // No descriptors, no memory: later perhaps. A connection that has ended already is no matter.
                Err(e) if e.raw_os_error() != Some(libc::ECONNABORTED) => return self.pause(),
                _ => return Ok(()),
            };
            // One that was not redirected is not for us.
            let Some(asked) = asked_for(&client).ok().filter(|to| held.target(*to).is_some()) else {
                continue;
            };
            self.next += 1;
            if let Ok(link) = Link::new(self.next, client, asked, &self.epoll) {
                self.all.insert(self.next, link);
            }
        }
        Ok(())
    }

    fn pause(&mut self) -> io::Result<()> {
        self.full = true;
        self.listen_for(0)
    }

    fn accept_again(&mut self) -> io::Result<()> {
        if !self.full || self.all.len() >= self.most {
            return Ok(());
        }
        self.full = false;
        self.listen_for(libc::EPOLLIN as u32)
    }

    fn listen_for(&self, events: u32) -> io::Result<()> {
        let mut all = self.listeners.iter().zip(0..);
        all.try_for_each(|(listener, token)| self.epoll.change(listener, token, events))
    }

    fn handle(&mut self, token: u64, events: u32, orders: Orders) {
        let (id, side) = Link::of_token(token);
        let Some(link) = self.all.get_mut(&id) else { return };
        let mut work = Work { epoll: &self.epoll, room: &mut self.room, closes: orders.mode != Mode::Pass };
        let result = link.handle(side, events, &mut work);
        self.settle(id, &result);
    }

    fn settle(&mut self, id: u64, result: &io::Result<Fate>) {
        match result {
            Ok(Fate::GoesOn) => {}
            Ok(Fate::IsOver) => drop(self.all.remove(&id)),
            Err(_) => self.all.remove(&id).into_iter().for_each(Link::abort),
        }
    }

    /// Begins to join those that wait, in the order in which they came.
    fn join(&mut self, held: &Held, orders: Orders) {
        let target = orders.joins();
        self.all.values_mut().for_each(|link| link.check(target.is_some()));
        let Some(target) = target else { return };
        let connecting = self.all.values().filter(|link| link.is_connecting()).count();
        let mut failed = Vec::new();
        let waiting = self.all.iter_mut().filter(|(_, link)| link.is_waiting());
        for (id, link) in waiting.take(CONNECTING.saturating_sub(connecting)) {
            let port = held.target(link.asked).ok_or_else(|| io::ErrorKind::ConnectionRefused.into());
            if port.and_then(|port| link.join(SocketAddr::new(target, port), &self.epoll)).is_err() {
                failed.push(*id);
            }
        }
        failed.iter().filter_map(|id| self.all.remove(id)).for_each(Link::abort);
    }

    /// Ends joined connections that have been quiet for so long.
    pub fn end_quiet(&mut self, needed: Duration) {
        let mut work = Work { epoll: &self.epoll, room: &mut self.room, closes: true };
        self.all.retain(|_, link| !link.is_quiet(needed, &mut work));
    }

    /// Lets go of those that wait; how their clients would be served nobody knows.
    pub fn let_go(&mut self) {
        let waiting: Vec<u64> =
            self.all.iter().filter(|(_, link)| !link.is_joined()).map(|(id, _)| *id).collect();
        waiting.iter().filter_map(|id| self.all.remove(id)).for_each(Link::abort);
    }
}
