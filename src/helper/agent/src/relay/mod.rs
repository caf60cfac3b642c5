//! Holds connections: accepts them in the place of a container that cannot take any now, keeps them waiting, and joins
//! them to one that can.
//!
//! A client notices nothing but that its answer takes longer. (Packets that are dropped come again after a second only,
//! and clients that are less patient give up.) What it sends meanwhile waits in the kernel, which bounds it; while it is
//! joined at most 64 KiB are kept for each direction. The server sees the relay's address.

mod http;
mod link;
mod links;
mod pipe;
mod rules;
mod socket;

use crate::agent::Role;
use crate::answer::{Refusal, Result, Tried};
use crate::protocol::Ports;
use crate::quiet;
use crate::ruleset::Kept;
use links::{Links, Mode, Orders};
pub use rules::Held;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

const MOST_PORTS: usize = 64;
/// Connections are ended when their client is dead and they have been quiet for so long.
const LINGER_QUIET: Duration = Duration::from_millis(50);

pub struct Relay {
    kept: Kept<Held>,
    role: Role,
    links: Option<Links>,
    orders: Orders,
    /// Who is to be the target when the client is dead.
    next: Option<IpAddr>,
    /// Nobody waits any longer than until then.
    until: Option<Instant>,
}

/// A request to leave that is being done.
pub struct Leaving {
    quiet: Duration,
    limit: Duration,
    begun: Instant,
}

impl Relay {
    pub fn open(role: Role, owner: bool) -> Result<Self> {
        let kept = Kept::open(owner).tried("opening nftables")?;
        Ok(Self { kept, role, links: None, orders: Orders::default(), next: None, until: None })
    }

    /// Accepts new connections to the ports from now on, and lets them wait. ` filtered=1` where a firewall keeps those from
    /// outside away from the relay: they are left alone as long as nobody waits.
    pub fn hold(&mut self, tcp: &[Ports], udp: &[Ports]) -> Result<String> {
        if tcp.len() + udp.len() > MOST_PORTS {
            return Err(Refusal::Limit(format!("at most {MOST_PORTS} ports or ranges")));
        }
        let mut next = Held { role: self.role, tcp: tcp.into(), udp: udp.into(), ..self.kept.rules.clone() };
        if self.links.is_none() {
            let (links, ports) = Links::open().tried("listening")?;
            (self.links, next.relay) = (Some(links), ports);
        }
        if self.role == Role::Host {
            next.filtered = rules::filtered();
        }
        next.redirects = true;
        let filtered = if next.filtered.is_empty() { "" } else { " filtered=1" };
        self.order(next, Mode::Wait).map(|()| filtered.to_owned())
    }

    /// Whom connections are joined to from now on, those that wait included.
    pub fn target(&mut self, address: IpAddr) -> Result<()> {
        self.check_held()?;
        self.orders.target = Some(address);
        self.next = None;
        self.pass()
    }

    /// Those who wait go on waiting.
    pub fn next(&mut self, address: IpAddr) -> Result<()> {
        self.check_held()?;
        self.next = Some(address);
        Ok(())
    }

    fn check_held(&self) -> Result<()> {
        match self.kept.rules.redirects {
            true => Ok(()),
            false => Err(Refusal::Busy("nothing is held".into())),
        }
    }

    pub fn pass(&mut self) -> Result<()> {
        self.mode(Mode::Pass)
    }

    pub fn wait(&mut self, limit: Option<Duration>) -> Result<()> {
        self.mode(Mode::Wait)?;
        self.until = limit.map(|limit| Instant::now() + limit);
        Ok(())
    }

    /// The time that is left to those that wait.
    pub fn rest(&self) -> Option<Duration> {
        self.until.map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// Lets go of those that have waited for too long, and of those that come.
    fn keep_time(&mut self) -> Result<()> {
        if self.rest().is_none_or(|rest| !rest.is_zero()) {
            return Ok(());
        }
        let next = Held { redirects: false, ..self.kept.rules.clone() };
        self.order(next, Mode::Wait)?;
        self.links.iter_mut().for_each(Links::let_go);
        Ok(())
    }

    fn mode(&mut self, mode: Mode) -> Result<()> {
        self.check_held()?;
        if mode == Mode::Pass && self.orders.target.is_none() {
            return Err(Refusal::Busy("there is no target".into()));
        }
        self.order(self.kept.rules.clone(), mode)
    }

    fn order(&mut self, mut next: Held, mode: Mode) -> Result<()> {
        self.until = None;
        next.drops = next.redirects && mode == Mode::Wait;
        self.kept.install(next).tried("changing the rules")?;
        self.orders.mode = mode;
        self.serve();
        Ok(())
    }

    /// ` waiting=N joined=N`
    pub fn relayed(&self) -> String {
        let (waiting, joined) = self.links.as_ref().map_or((0, 0), Links::count);
        format!(" waiting={waiting} joined={joined}")
    }

    /// New connections go where they did before; those that wait are joined.
    pub fn begin_leave(&mut self, quiet: Duration, limit: Duration) -> Result<Leaving> {
        let (waiting, _) = self.links.as_ref().map_or((0, 0), Links::count);
        if waiting > 0 && self.orders.target.is_none() {
            return Err(Refusal::Busy(format!("{waiting} connections wait and there is no target")));
        }
        let next = Held { redirects: false, ..self.kept.rules.clone() };
        self.order(next, Mode::Leave)?;
        Ok(Leaving { quiet, limit, begun: Instant::now() })
    }

    /// Ends what is quiet. The answer when nothing is left, or the time is up.
    pub fn leave(&mut self, leaving: &Leaving) -> Option<String> {
        let passed = leaving.begun.elapsed();
        let links = self.links.as_mut();
        let left = links.map_or(0, |links| {
            links.end_quiet(quiet::needed(leaving.quiet, leaving.limit, passed));
            links.count().0 + links.count().1
        });
        (left == 0 || passed >= leaving.limit).then(|| self.relayed())
    }

    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.links.as_ref().map(Links::fd)
    }

    /// Whether `serve` is to be called soon, although nothing happens.
    pub fn is_busy(&self) -> bool {
        self.links.as_ref().is_some_and(|links| links.is_busy(self.orders))
    }

    /// Does what there is to do now.
    pub fn serve(&mut self) {
        // It is tried again with the next event.
        let _ = self.keep_time();
        if let Some(links) = &mut self.links {
            // What fails here fails again with the next event; there is nobody to tell.
            let _ = links.serve(&self.kept.rules, self.orders);
        }
    }

    /// The client is dead. What waits is joined to the target, or let go when there is none. Where the `whole` stays,
    /// what comes is joined too, where it is perhaps steered here or its target does not listen yet.
    pub fn linger(&mut self, whole: bool) -> Result<()> {
        let needs_us = self.role == Role::Container || self.next.is_some();
        self.orders.target = self.next.take().or(self.orders.target);
        match (&mut self.links, self.orders.target) {
            (None, _) => return Ok(()),
            (Some(links), None) => links.let_go(),
            _ => {}
        }
        let redirects = whole && needs_us && self.kept.rules.redirects && self.orders.target.is_some();
        let next = Held { redirects, ..self.kept.rules.clone() };
        self.order(next, Mode::Leave)
    }

    /// Whether connections go on only with the relay, or come to it. For a helper that lingers: ends those that are quiet.
    pub fn is_needed(&mut self) -> bool {
        let Some(links) = &mut self.links else { return false };
        links.end_quiet(LINGER_QUIET);
        links.count() != (0, 0) || self.kept.rules.redirects
    }

    pub fn heartbeat(&mut self) -> Result<()> {
        self.kept.heartbeat().tried("renewing the gate")
    }

    /// How often somebody has removed the rules since the last time.
    pub fn take_lost(&mut self) -> u32 {
        self.kept.take_lost()
    }

    pub fn clear(&mut self) {
        self.links = None;
        self.kept.clear();
    }
}
