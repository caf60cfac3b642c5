//! A container's side, in its network namespace: delivering what was steered to it, and its connections.

mod closing;
mod connections;
mod ending;
mod follow;
mod take;

use crate::answer::{Result, Tried};
use crate::diag::Diag;
use crate::protocol::Own;
use closing::Closing;
pub use closing::Ports as Closed;
pub use ending::Ending;
use follow::{Follower, Whose};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};
use take::Take;
pub use take::Taken;

pub struct Container {
    take: Take,
    pub follower: Follower,
    closing: Option<Closing>,
    owner: bool,
    diag: Diag,
    /// Those that were listened on at some time.
    ports: BTreeSet<u16>,
    /// Whose connections do not count.
    pub except: BTreeSet<IpAddr>,
}

impl Container {
    pub fn open(owner: bool) -> Result<Self> {
        let diag = Diag::open().tried("opening socket diagnostics")?;
        Ok(Self {
            take: Take::open(owner)?,
            follower: Follower::default(),
            closing: None,
            owner,
            diag,
            ports: BTreeSet::new(),
            except: BTreeSet::new(),
        })
    }

    pub fn take(&mut self, own: &[Own]) -> Result<String> {
        self.take.set(own).map(|()| String::new())
    }

    pub fn taken(&self) -> Result<usize> {
        self.take.clients().map(|clients| clients.len())
    }

    pub fn untake(&mut self, force: bool) -> Result<String> {
        self.take.check(force)?;
        self.stop_closing();
        self.take.remove();
        Ok(String::new())
    }

    fn stop_closing(&mut self) {
        if let Some(mut closing) = self.closing.take() {
            closing.clear();
        }
    }

    /// Whether connections need the rules, or, where the `whole` is to stay, new ones may.
    pub fn is_needed(&self, whole: bool) -> Result<bool> {
        Ok(whole && self.take.takes() || self.taken()? > 0)
    }

    pub fn connections(&mut self, list: bool) -> Result<String> {
        let found = connections::read(&mut self.diag, &mut self.ports, &self.except)?;
        Ok(if list { found.list() } else { found.count() })
    }

    /// Follows the connections to all ports that are listened on.
    pub fn watch(&mut self) -> Result<String> {
        connections::read(&mut self.diag, &mut self.ports, &self.except)?;
        self.follow().map(|()| String::new())
    }

    fn follow(&mut self) -> Result<()> {
        let (diag, ports) = (&mut self.diag, &self.ports);
        self.follower.watch(ports, || ending::open(diag, ports))
    }

    /// Begins to end connections to the ports; none are all.
    pub fn begin_end(&mut self, quiet: Duration, limit: Duration, ports: &[u16]) -> Result<Ending> {
        self.begin(Whose::Any, quiet, limit, ports)
    }

    /// Begins to end the connections that were taken. None of them can go on, so that one whose end nobody knows is ended
    /// too when nothing happens on it.
    pub fn begin_part(&mut self, quiet: Duration, limit: Duration) -> Result<Ending> {
        let ending = self.begin(Whose::Taken, quiet, limit, &[])?;
        Ok(ending.of(self.take.clients()?))
    }

    fn begin(&mut self, whose: Whose, quiet: Duration, limit: Duration, ports: &[u16]) -> Result<Ending> {
        connections::read(&mut self.diag, &mut self.ports, &self.except)?;
        // Where packets cannot be read, only what was never used is ended.
        let _ = self.follow();
        if std::mem::replace(&mut self.follower.closes, whose) != whose {
            self.closing.iter_mut().for_each(|closing| closing.since = Instant::now());
        }
        let ports = if ports.is_empty() { self.ports.clone() } else { ports.iter().copied().collect() };
        self.close(&ports);
        Ok(Ending::new(quiet, limit, ports).except(self.except.clone()))
    }

    /// From now on connections end with a response, where the kernel can do that.
    fn close(&mut self, ports: &BTreeSet<u16>) {
        if ports.is_empty() {
            return self.stop_closing();
        }
        self.closing = match self.closing.take() {
            Some(mut closing) => closing.set_ports(ports).ok().map(|()| closing),
            None => Closing::begin(self.owner, ports).ok(),
        };
    }

    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.follower.fd().into_iter().chain(self.closing.as_ref().map(Closing::as_fd))
    }

    /// Reads what has come. Where that fails, connections are unknown, and the next request that needs it says why.
    pub fn serve(&mut self) {
        let _ = self.follower.read();
        if self.closing.as_mut().is_some_and(|closing| closing.serve(&mut self.follower).is_err()) {
            self.stop_closing();
        }
    }

    /// Ends what can be ended now. The answer, when there is no more to do or no more time.
    pub fn end(&mut self, ending: &mut Ending) -> Result<Option<String>> {
        let closes = self.closing.as_ref().map(|closing| closing.since);
        ending.step(&mut self.diag, &mut self.follower, closes)
    }

    pub fn heartbeat(&mut self) -> Result<()> {
        let closing = self.closing.as_mut().map_or(Ok(()), Closing::heartbeat);
        self.take.heartbeat().and(closing)
    }

    /// How often somebody has removed the rules since the last time.
    pub fn take_lost(&mut self) -> u32 {
        self.take.take_lost() + self.closing.as_mut().map_or(0, Closing::take_lost)
    }

    pub fn clear(&mut self) {
        self.stop_closing();
        self.take.remove();
        self.follower = Follower::default();
    }
}
