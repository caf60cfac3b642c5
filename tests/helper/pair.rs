//! An old container and its successor, which takes over.

use crate::net::{BRIDGE, Container, Net, V};
use crate::process::Helper;
use crate::traffic::{Connection, Server, who};

pub struct Pair {
    pub net: Net,
    pub old: Container,
    pub new: Container,
    pub client: Container,
    pub old_server: Server,
    pub new_server: Server,
    pub host: Helper,
    pub take: Helper,
}

/// One that serves, and with a helper that has these arguments takes what is for others.
pub fn taker(net: &Net, number: u8, name: &str, arguments: &str) -> (Container, Server, Helper) {
    let container = net.container(number);
    let server = Server::start(&container, name);
    let mut take = Helper::start(&container.namespace, arguments);
    take.ok(format!("take {} {}", container.own(V::Four), container.own(V::Six)));
    (container, server, take)
}

impl Pair {
    /// None, and a line that says why, where it cannot be tried.
    pub fn new() -> Option<Self> {
        Self::with("host", "container")
    }

    /// With the arguments of the helpers.
    pub fn with(host: &str, container: &str) -> Option<Self> {
        let net = Net::new()?;
        let (old, client) = (net.container(2), net.container(9));
        let old_server = Server::start(&old, "old");
        let host = Helper::start(&net.host, host);
        let (new, new_server, take) = taker(&net, 3, "new", container);
        Some(Self { net, old, new, client, old_server, new_server, host, take })
    }

    /// The old one to the new one, by both IP versions.
    pub fn change(&mut self, verb: &str) {
        let clause = |v| format!("{verb} {BRIDGE} {} {}", self.old.end(v), self.new.end(v));
        let request = format!("change {} ; {}", clause(V::Four), clause(V::Six));
        assert_eq!(self.host.ok(request), "");
    }

    /// The old one's program exits, and the engine takes it off the network.
    pub fn stop_old(&self) {
        self.old_server.exit();
        self.net.unplug(&self.old);
    }

    /// Who answers a new connection of the client to the old one's address.
    pub fn asks(&self, v: V) -> String {
        who(&self.client.namespace, self.old.address(v))
    }

    /// A connection of the client to the old one's address, and who answers it.
    pub fn connect(&self, v: V) -> (Connection, String) {
        let mut connection =
            Connection::open(&self.client.namespace, self.old.address(v)).expect("it is accepted");
        let who = connection.who();
        (connection, who)
    }
}
