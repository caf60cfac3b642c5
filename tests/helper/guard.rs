//! Nobody reaches a container that has just started, and nothing is delivered to a wrong one.

use crate::net::{BRIDGE, Container, Net, V, VERSIONS};
use crate::pair::taker;
use crate::process::{Helper, comes_true};
use crate::traffic::{Asking, Connection, PORT, Server, who};
use std::thread;
use std::time::{Duration, Instant};

/// A network on which `old` serves the `client`.
struct Guarded {
    net: Net,
    old: Container,
    client: Container,
    host: Helper,
    _take: Helper,
    _server: Server,
}

impl Guarded {
    fn new() -> Option<Self> {
        let net = Net::new()?;
        let (old, _server, _take) = taker(&net, 2, "old", "container");
        let client = net.container(9);
        let host = Helper::start(&net.host, "host");
        Some(Self { net, old, client, host, _take, _server })
    }

    /// Beside these, whoever comes is not let through.
    fn blink(&mut self, others: &[&Container]) {
        let clause = |v: V| {
            let known: Vec<String> = others.iter().chain([&&self.client]).map(|c| c.end(v)).collect();
            format!("blink {BRIDGE} {} {} {}", v.subnet(), self.old.end(v), known.join(" "))
        };
        let request = format!("change {} ; {}", clause(V::Four), clause(V::Six));
        assert_eq!(self.host.ok(request), "");
    }

    /// The one that has come is known by now.
    fn guard(&mut self, new: &Container) {
        let clause = |v| format!("guard {BRIDGE} {} {}", new.end(v), self.old.end(v));
        let request = format!("change {} ; {} ; unblink", clause(V::Four), clause(V::Six));
        assert_eq!(self.host.ok(request), "");
    }
}

#[test]
fn from_its_first_packet_on_nobody_reaches_a_container_that_is_guarded() {
    let Some(mut at) = Guarded::new() else { return };
    at.blink(&[]);
    let asking = VERSIONS.map(|v| Asking::start(&at.client.namespace, v.address(5)));
    let new = at.net.container_with(5, "92:5b:00:00:00:05");
    let server = Server::start(&new, "new");
    for v in VERSIONS {
        // Who asked for the address before it was there asks again only after a second.
        assert!(comes_true(5, || who(&at.client.namespace, new.address(v)) == "old"));
        // The host's own traffic does not pass the bridge.
        assert_eq!(who(&at.net.host, new.address(v)), "old");
    }
    at.guard(&new);
    for v in VERSIONS {
        assert_eq!(who(&at.client.namespace, new.address(v)), "old");
        assert_eq!(who(&at.net.host, new.address(v)), "old");
    }
    for answers in asking.map(Asking::end) {
        assert!(answers.contains_key("old") && !answers.contains_key("new"), "{answers:?}");
    }
    assert_eq!(server.accepted(), 0);
    for v in VERSIONS {
        at.host.ok(format!("change finish {}", new.address(v)));
        for namespace in [&at.client.namespace, &at.net.host] {
            assert_eq!(who(namespace, new.address(v)), "new");
        }
    }
}

/// The next service of a project starts with an address that one before it has left.
#[test]
fn an_address_that_was_let_go_is_guarded_when_it_is_used_again() {
    let Some(mut at) = Guarded::new() else { return };
    let gone = at.net.container(5);
    for v in VERSIONS {
        let pair = format!("{BRIDGE} {} {}", gone.end(v), at.old.end(v));
        at.host.ok(format!("change steer {pair} ; switch {pair} ; release {}", gone.address(v)));
    }
    at.net.unplug(&gone);
    at.blink(&[]);
    let new = at.net.container_with(5, "92:5b:00:00:00:05");
    let server = Server::start(&new, "new");
    for v in VERSIONS {
        assert!(comes_true(5, || who(&at.client.namespace, new.address(v)) == "old"));
    }
    assert_eq!(server.accepted(), 0);
}

#[test]
fn a_guarded_container_is_never_sent_what_was_begun_with_another() {
    let Some(mut at) = Guarded::new() else { return };
    at.blink(&[]);
    let new = at.net.container(5);
    let server = Server::start(&new, "new");
    let mut begun = VERSIONS.map(|v| {
        let mut connection = Connection::open(&at.client.namespace, new.address(v)).unwrap();
        assert_eq!(connection.who(), "old");
        connection
    });
    at.guard(&new);
    let finish = VERSIONS.map(|v| format!("finish {}", new.address(v))).join(" ; ");
    at.host.ok(format!("change {finish}"));
    assert_eq!(begun.each_mut().map(|c| c.who()), ["old", "old"]);
    assert_eq!(server.accepted(), 0);
}

/// As a database is that restarts meanwhile on an engine that gives it another MAC.
/// Docker's name server names a container before it is on the network.
#[test]
fn who_asked_for_one_before_it_was_there_is_answered_when_it_is_guarded() {
    for v in VERSIONS {
        let Some(mut at) = Guarded::new() else { return };
        at.blink(&[]);
        let (begun, address) = (Instant::now(), v.address(5));
        let asking =
            at.client.namespace.enter(move || Connection::from_here(address, PORT).map(|_| begun.elapsed()));
        thread::sleep(Duration::from_millis(200));
        let new = at.net.container_with(5, "92:5b:00:00:00:05");
        at.guard(&new);
        let took = asking.join().unwrap().unwrap();
        assert!(took < Duration::from_millis(900), "it had to ask again, after {took:?}");
    }
}

#[test]
fn a_known_address_gets_its_own_in_a_blink_whatever_its_mac() {
    let Some(mut at) = Guarded::new() else { return };
    let database = at.net.container(7);
    at.blink(&[&database]);
    let asking = VERSIONS.map(|v| Asking::start(&at.client.namespace, database.address(v)));
    at.net.unplug(&database);
    let restarted = at.net.container_with(7, "92:5b:00:00:00:07");
    let _server = Server::start(&restarted, "database");
    restarted.announce();
    for v in VERSIONS {
        assert!(comes_true(5, || who(&at.client.namespace, restarted.address(v)) == "database"));
    }
    for answers in asking.map(Asking::end) {
        assert!(!answers.contains_key("old"), "{answers:?}");
    }
}

/// A second address of a known container, and one that two containers hand around between them.
#[test]
fn a_known_mac_gets_its_own_in_a_blink_whatever_its_address() {
    let Some(mut at) = Guarded::new() else { return };
    let other = at.net.container(7);
    at.blink(&[&other]);
    let _server = Server::start(&other, "other");
    other.namespace.ip(&["addr", "add", "172.30.0.70/24", "dev", "eth0"]);
    other.namespace.ip(&["addr", "add", "fd30::70/64", "dev", "eth0", "nodad"]);
    for address in ["172.30.0.70", "fd30::70"].map(|address| address.parse().unwrap()) {
        let asking = Asking::start(&at.client.namespace, address);
        // The kernel joins an address's multicast group some time after `ip` has returned.
        assert!(comes_true(5, || who(&at.client.namespace, address) == "other"));
        let answers = asking.end();
        assert!(!answers.contains_key("old"), "{answers:?}");
    }
}

/// Only what is sent to the service's own ports may be for a new one of it.
#[test]
fn a_blink_is_about_the_ports_of_the_service() {
    let Some(mut at) = Guarded::new() else { return };
    let blink = |at: &Guarded, port: u16| {
        let clause =
            |v: V| format!("blink {BRIDGE} {} {} {} {port}", v.subnet(), at.old.end(v), at.client.end(v));
        format!("change unblink ; {} ; {}", clause(V::Four), clause(V::Six))
    };
    let database = at.net.container(7);
    let _server = Server::start(&database, "database");
    for (port, expected) in [(PORT - 1, "database"), (PORT, "old")] {
        let request = blink(&at, port);
        assert_eq!(at.host.ok(request), "");
        for v in VERSIONS {
            assert_eq!(who(&at.client.namespace, database.address(v)), expected);
            assert_eq!(who(&at.net.host, database.address(v)), expected);
        }
    }
}

/// Another project starts two containers on the network.
#[test]
fn strangers_reach_each_other_in_a_blink() {
    let Some(mut at) = Guarded::new() else { return };
    at.blink(&[]);
    let (one, two) = (at.net.container(20), at.net.container(21));
    let server = Server::start(&two, "two");
    for v in VERSIONS {
        assert_eq!(who(&one.namespace, two.address(v)), "two");
        assert_eq!(who(&at.client.namespace, two.address(v)), "old");
    }
    assert_eq!(at.host.ok("change unblink"), "");
    for v in VERSIONS {
        assert_eq!(who(&at.client.namespace, two.address(v)), "two");
    }
    assert_eq!(server.accepted(), 4);
}

/// Other networks, the gateway, and the world beyond it.
#[test]
fn a_blink_is_about_its_own_subnet() {
    let Some(mut at) = Guarded::new() else { return };
    at.blink(&[]);
    at.net.host.ip(&["addr", "add", "10.99.0.1/32", "dev", "lo"]);
    let _server = Server::start_at(&at.net.host, "host", PORT);
    for address in ["10.99.0.1", "172.30.0.1", "fd30::1"] {
        assert_eq!(who(&at.client.namespace, address.parse().unwrap()), "host");
    }
}
