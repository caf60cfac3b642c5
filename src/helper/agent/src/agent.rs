//! Requests and their answers.

use crate::answer::{Refusal, Result, Tried};
use crate::container::{Container, Ending};
use crate::host::Host;
use crate::life::Life;
use crate::line::Line;
use crate::probe;
use crate::protocol::{Request, VERSION};
use crate::relay::{Leaving, Relay};
use crate::ruleset;

/// In whose network namespace the helper runs.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    #[default]
    Host,
    Container,
}

pub enum Side {
    Host(Box<Host>),
    Container(Box<Container>),
}

/// A request that takes its time.
pub enum Job {
    End(Ending),
    Leave(Leaving),
}

/// What becomes of a request.
enum Reply {
    Now(String),
    Later(Job),
}

pub struct Agent {
    pub side: Side,
    pub relay: Relay,
    pub life: Life,
    /// The request that is being done, if there is one. It ends before the next one begins.
    pub job: Option<Job>,
    /// The first line.
    pub ready: String,
}

impl Agent {
    /// # Errors
    /// When the kernel offers no netlink sockets at all.
    pub fn start(role: Role, may_own: bool) -> Result<Self> {
        let abilities = probe::abilities(role, may_own);
        let (name, side) = match role {
            Role::Host => ("host", Side::Host(Box::new(Host::open(abilities.owner)?))),
            Role::Container => ("container", Side::Container(Box::new(Container::open(abilities.owner)?))),
        };
        let ready = format!("ready {VERSION} {name}{}", abilities.text);
        let relay = Relay::open(role, abilities.owner)?;
        Ok(Self { side, relay, life: Life::new(), job: None, ready })
    }

    /// The answer to a line, unless it takes its time.
    pub fn answer(&mut self, line: &Line) -> Option<String> {
        let result = match line {
            Line::Text(text) => {
                text.parse().map_err(Refusal::from).and_then(|request| self.request(&request))
            }
            Line::Unreadable => Err(Refusal::Syntax("the line is too long, or no text".into())),
        };
        match result {
            Ok(Reply::Later(job)) => {
                self.job = Some(job);
                None
            }
            Ok(Reply::Now(words)) => Some(self.answered(Ok(words))),
            Err(refusal) => Some(self.answered(Err(refusal))),
        }
    }

    /// Goes on with the job; its answer when it is done.
    pub fn work(&mut self) -> Option<String> {
        let mut job = self.job.take()?;
        self.life.heard();
        let result = match &mut job {
            Job::End(ending) => self.container().and_then(|container| container.end(ending)),
            Job::Leave(leaving) => Ok(self.relay.leave(leaving)),
        };
        if let Ok(None) = result {
            self.job = Some(job);
        }
        result.transpose().map(|result| self.answered(result))
    }

    fn answered(&mut self, result: Result<String>) -> String {
        self.life.heard();
        self.life.check_soon();
        match result {
            Ok(words) => format!("ok{words}"),
            Err(refusal) => format!("error {refusal}"),
        }
    }

    fn request(&mut self, request: &Request) -> Result<Reply> {
        match request {
            Request::End { quiet, limit, ports } => {
                let ending = self.container()?.begin_end(*quiet, *limit, ports)?;
                Ok(Reply::Later(Job::End(ending)))
            }
            Request::Part { quiet, limit } => {
                let ending = self.container()?.begin_part(*quiet, *limit)?;
                Ok(Reply::Later(Job::End(ending)))
            }
            Request::Leave { quiet, limit } => {
                self.relay.begin_leave(*quiet, *limit).map(|leaving| Reply::Later(Job::Leave(leaving)))
            }
            request => self.at_once(request).map(Reply::Now),
        }
    }

    fn at_once(&mut self, request: &Request) -> Result<String> {
        match request {
            Request::Ping => Ok(self.news()),
            Request::Quit => {
                self.clear();
                self.life.end();
                Ok(String::new())
            }
            Request::Linger(time) => self.life.set_linger(*time).map(|()| String::new()),
            Request::Deadline(time) => self.life.set_deadline(*time).map(|()| String::new()),
            Request::Sweep => Ok(format!(" tables={}", ruleset::sweep().tried("removing tables")?)),
            Request::Change(clauses) => self.host()?.change(clauses),
            Request::Asked => self.host()?.asked(),
            Request::Flows => {
                self.host()?.flows().map(|(open, closing)| format!(" open={open} closing={closing}"))
            }
            Request::Take(own) => self.container()?.take(own),
            Request::Taken => self.container()?.taken().map(|n| format!(" connections={n}")),
            Request::Untake { force } => self.container()?.untake(*force),
            Request::Connections { list } => self.container()?.connections(*list),
            Request::Watch => self.container()?.watch(),
            Request::Except(peers) => {
                self.container()?.except = peers.iter().copied().collect();
                Ok(String::new())
            }
            Request::Hold { tcp, udp } => self.relay.hold(tcp, udp),
            Request::Target(address) => self.relay.target(*address).map(|()| String::new()),
            Request::Next(address) => self.relay.next(*address).map(|()| String::new()),
            Request::Wait(limit) => self.relay.wait(*limit).map(|()| String::new()),
            Request::Pass => self.relay.pass().map(|()| String::new()),
            Request::Relayed => Ok(self.relay.relayed()),
            Request::End { .. } | Request::Part { .. } | Request::Leave { .. } => {
                Err(Refusal::Syntax("it takes its time".into()))
            }
        }
    }

    fn host(&mut self) -> Result<&mut Host> {
        match &mut self.side {
            Side::Host(host) => Ok(host),
            Side::Container(_) => Err(Refusal::Role("only on the host".into())),
        }
    }

    fn container(&mut self) -> Result<&mut Container> {
        match &mut self.side {
            Side::Container(container) => Ok(container),
            Side::Host(_) => Err(Refusal::Role("only in a container's network".into())),
        }
    }

    /// What is to be known about since the last time.
    fn news(&mut self) -> String {
        let (claimed, lost) = match &mut self.side {
            Side::Host(host) => (host.take_claimed(), host.take_lost()),
            Side::Container(container) => (String::new(), container.take_lost()),
        };
        match lost + self.relay.take_lost() {
            0 => claimed,
            times => format!("{claimed} lost={times}"),
        }
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.relay.clear();
        match &mut self.side {
            Side::Host(host) => host.clear(),
            Side::Container(container) => container.clear(),
        }
    }
}
