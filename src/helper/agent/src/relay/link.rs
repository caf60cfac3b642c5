//! One relayed connection: a client that waits, and later the server it is joined to.

use super::http::closing;
use super::pipe::Pipe;
use super::socket::{connect, reset_on_close};
use crate::http::{Exchange, State};
use crate::quiet::UNUSED_FACTOR;
use crate::sys::{self, Epoll};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A SYN that was lost is not sent again by the kernel before a second has passed.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(300);
const RETRY_AFTER: Duration = Duration::from_millis(50);
/// A target that takes no connection for so long takes none.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);

/// A descriptor that is closed for both directions is always ready: it is taken out.
const GONE: u32 = (libc::EPOLLHUP | libc::EPOLLERR) as u32;
const ERROR: u32 = libc::EPOLLERR as u32;
const READABLE: u32 = libc::EPOLLIN as u32;
const WRITABLE: u32 = libc::EPOLLOUT as u32;

enum Stage {
    Waiting,
    Connecting(TcpStream),
    Joined {
        server: TcpStream,
        up: Pipe,
        down: Pipe,
        /// What is said, as long as it is HTTP/1.x.
        talk: Option<Box<Exchange>>,
    },
}

/// The two sides of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Client = 0,
    Server = 1,
}

pub struct Link {
    id: u64,
    client: TcpStream,
    /// Where its client has meant to go. Which port of the target that is, may change while it waits.
    pub asked: SocketAddr,
    stage: Stage,
    /// When this stage began, or anybody spoke.
    since: Instant,
    /// The first attempt to connect.
    tried: Option<Instant>,
    /// Who has spoken last.
    last: Option<Side>,
    /// What epoll was told about either side; none when it does not know it.
    interests: [Option<u32>; 2],
}

/// What becomes of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    GoesOn,
    IsOver,
}

impl Link {
    pub fn new(id: u64, client: TcpStream, asked: SocketAddr, epoll: &Epoll) -> io::Result<Self> {
        client.set_nonblocking(true)?;
        client.set_nodelay(true)?;
        let (stage, since) = (Stage::Waiting, Instant::now());
        let mut link =
            Self { id, client, asked, stage, since, tried: None, last: None, interests: [None; 2] };
        link.register(epoll, Side::Client, 0)?;
        Ok(link)
    }

    pub fn token(id: u64, side: Side) -> u64 {
        id << 1 | side as u64
    }

    pub fn of_token(token: u64) -> (u64, Side) {
        (token >> 1, if token & 1 == 0 { Side::Client } else { Side::Server })
    }

    pub fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Waiting)
    }

    pub fn is_connecting(&self) -> bool {
        matches!(self.stage, Stage::Connecting(_))
    }

    pub fn is_joined(&self) -> bool {
        matches!(self.stage, Stage::Joined { .. })
    }

    /// Begins to join it, unless it has just been tried.
    pub fn join(&mut self, to: SocketAddr, epoll: &Epoll) -> io::Result<()> {
        if self.tried.is_some() && self.since.elapsed() < RETRY_AFTER {
            return Ok(());
        }
        let first = *self.tried.get_or_insert_with(Instant::now);
        if first.elapsed() >= GIVE_UP_AFTER {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.since = Instant::now();
        // Refused at once: later perhaps.
        let Ok(server) = connect(to) else { return Ok(()) };
        self.stage = Stage::Connecting(server);
        self.register(epoll, Side::Server, WRITABLE)
    }

    /// Waits again when it takes too long to connect, or when it is no longer to be joined.
    pub fn check(&mut self, joins: bool) {
        if self.is_connecting() && (!joins || self.since.elapsed() >= CONNECT_TIMEOUT) {
            self.wait_again();
        }
        if !joins {
            self.tried = None;
        }
    }

    fn wait_again(&mut self) {
        // With its descriptor closed, epoll has forgotten it.
        self.interests[Side::Server as usize] = None;
        (self.stage, self.since) = (Stage::Waiting, Instant::now());
    }

    /// Reacts to what epoll says about one side.
    ///
    /// # Errors
    /// When the connection cannot go on.
    pub fn handle(&mut self, side: Side, events: u32, work: &mut Work) -> io::Result<Fate> {
        match &self.stage {
            Stage::Waiting | Stage::Connecting(_) if side == Side::Client => {
                // It is gone, or has reset the connection: all else is not asked for.
                Err(io::ErrorKind::ConnectionReset.into())
            }
            Stage::Waiting => Ok(Fate::GoesOn),
            Stage::Connecting(server) => match sys::socket_error(server).and_then(|()| server.peer_addr()) {
                Ok(_) => self.joined(work),
                Err(_) => {
                    self.wait_again();
                    Ok(Fate::GoesOn)
                }
            },
            // The client has reset the connection: nobody waits for what the server says.
            Stage::Joined { .. } if side == Side::Client && events & ERROR != 0 => {
                Err(io::ErrorKind::ConnectionReset.into())
            }
            Stage::Joined { .. } => self.relay(work, (events & GONE != 0).then_some(side)),
        }
    }

    fn joined(&mut self, work: &mut Work) -> io::Result<Fate> {
        if let Stage::Connecting(server) = std::mem::replace(&mut self.stage, Stage::Waiting) {
            server.set_nodelay(true)?;
            let (up, down) = (Pipe::default(), Pipe::default());
            self.stage = Stage::Joined { server, up, down, talk: Some(Box::new(Exchange::new())) };
            self.since = Instant::now();
        }
        self.relay(work, None)
    }

    /// Moves what can be moved.
    fn relay(&mut self, work: &mut Work, gone: Option<Side>) -> io::Result<Fate> {
        let Stage::Joined { server, up, down, talk } = &mut self.stage else { return Ok(Fate::GoesOn) };
        let closes = work.closes;
        // In this order: what the server has said already is no answer to what the client says now.
        let answered = down.pump((server, &self.client), work.room, |bytes| {
            let is_last = talk.as_ref().is_some_and(|talk| talk.awaits_last());
            talk.take_if(|talk| talk.answers(bytes).is_err());
            (closes && is_last).then(|| closing(bytes)).flatten()
        })?;
        let asked = up.pump((&self.client, server), work.room, |bytes| {
            talk.take_if(|talk| talk.asks(bytes).is_err());
            None
        })?;
        match (asked, answered) {
            (true, _) => self.last = Some(Side::Client),
            (false, true) => self.last = Some(Side::Server),
            _ => {}
        }
        if asked || answered {
            self.since = Instant::now();
        }
        if up.is_closed() && down.is_closed() {
            return Ok(Fate::IsOver);
        }
        let wants = |reads: &Pipe, writes: &Pipe| {
            (READABLE * u32::from(reads.wants_to_read())) | (WRITABLE * u32::from(writes.wants_to_write()))
        };
        let wanted = [wants(up, down), wants(down, up)];
        self.register(work.epoll, Side::Client, wanted[0])?;
        self.register(work.epoll, Side::Server, wanted[1])?;
        match gone {
            Some(side) => self.unregister(work.epoll, side).map(|()| Fate::GoesOn),
            None => Ok(Fate::GoesOn),
        }
    }

    fn stream(&self, side: Side) -> Option<&TcpStream> {
        match (side, &self.stage) {
            (Side::Client, _) => Some(&self.client),
            (Side::Server, Stage::Connecting(server) | Stage::Joined { server, .. }) => Some(server),
            (Side::Server, Stage::Waiting) => None,
        }
    }

    fn register(&mut self, epoll: &Epoll, side: Side, events: u32) -> io::Result<()> {
        let (known, token) = (self.interests[side as usize], Self::token(self.id, side));
        let Some(stream) = self.stream(side) else { return Ok(()) };
        match known {
            Some(GONE) => return Ok(()),
            Some(same) if same == events => return Ok(()),
            Some(_) => epoll.change(stream, token, events)?,
            None => epoll.add(stream, token, events)?,
        }
        self.interests[side as usize] = Some(events);
        Ok(())
    }

    /// Nothing more is to be heard of this side.
    fn unregister(&mut self, epoll: &Epoll, side: Side) -> io::Result<()> {
        if let (Some(stream), true) = (self.stream(side), self.interests[side as usize] != Some(GONE)) {
            epoll.remove(stream)?;
        }
        self.interests[side as usize] = Some(GONE);
        Ok(())
    }

    /// Whether nobody is owed an answer, and it has been quiet for long enough. Of what is not HTTP that is only guessed:
    /// the server has spoken last, or nobody.
    pub fn is_quiet(&mut self, needed: Duration, work: &mut Work) -> bool {
        let quiet_enough = |link: &Self| {
            let state = match &link.stage {
                Stage::Joined { talk: Some(talk), .. } => talk.state(),
                _ => match link.last {
                    Some(Side::Client) => State::Busy,
                    Some(Side::Server) => State::Between,
                    None => State::Unused,
                },
            };
            match state {
                State::Busy => false,
                State::Between => link.since.elapsed() >= needed,
                State::Unused => link.since.elapsed() >= needed * UNUSED_FACTOR,
            }
        };
        let is_empty = |link: &Self| match &link.stage {
            Stage::Joined { up, down, .. } => !up.wants_to_write() && !down.wants_to_write(),
            _ => false,
        };
        // What has just come counts.
        quiet_enough(self)
            && is_empty(self)
            && self.relay(work, None).is_ok_and(|fate| fate == Fate::GoesOn)
            && quiet_enough(self)
            && is_empty(self)
    }

    /// Neither side takes what it has for complete.
    pub fn abort(self) {
        if let Some(server) = self.stream(Side::Server) {
            reset_on_close(server);
        }
        reset_on_close(&self.client);
    }
}

/// What connections are worked on with.
pub struct Work<'a> {
    pub epoll: &'a Epoll,
    pub room: &'a mut [u8],
    /// Clients are asked not to use their connection again.
    pub closes: bool,
}
