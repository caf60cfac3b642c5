//! An address that the engine hands out again, although it was kept for the successor, is let go at once.

use crate::net::{Container, V, VERSIONS};
use crate::pair::Pair;
use crate::process::comes_true;
use crate::traffic::{Server, who};

/// The old one is gone, its successor is sent everything, and somebody else gets its addresses.
fn somebody_comes(pair: &mut Pair, mac: &str) -> (Container, Server) {
    pair.change("steer");
    pair.stop_old();
    pair.change("switch");
    for v in VERSIONS {
        assert_eq!(pair.asks(v), "new");
    }
    let somebody = pair.net.container_with(2, mac);
    let server = Server::start(&somebody, "somebody");
    (somebody, server)
}

/// Once, and only once.
fn are_reported(pair: &mut Pair) {
    let mut said = String::new();
    let addresses = VERSIONS.map(|v| pair.old.address(v).to_string());
    assert!(comes_true(5, || {
        said += &pair.host.ok("ping");
        addresses.iter().all(|address| said.contains(address))
    }));
    assert_eq!(pair.host.ok("ping"), "");
}

/// As on engines that make the MAC from the address.
#[test]
fn who_gets_the_address_with_the_same_mac_gets_its_own() {
    let Some(mut pair) = Pair::new() else { return };
    let (somebody, _server) = somebody_comes(&mut pair, "02:42:ac:1e:00:02");
    for v in VERSIONS {
        // It sends its first packet, to whomever.
        assert_eq!(who(&somebody.namespace, pair.new.address(v)), "new");
    }
    are_reported(&mut pair);
    for v in VERSIONS {
        for namespace in [&pair.new.namespace, &pair.net.host] {
            assert_eq!(who(namespace, somebody.address(v)), "somebody");
        }
        assert_eq!(pair.asks(v), "somebody");
    }
}

/// It says nothing, and its neighbors know its MAC from the one before: they need not ask.
#[test]
fn who_gets_the_address_and_is_silent_gets_its_own() {
    let Some(mut pair) = Pair::new() else { return };
    let (_somebody, _server) = somebody_comes(&mut pair, "02:42:ac:1e:00:02");
    for v in VERSIONS {
        assert!(comes_true(1, || pair.asks(v) == "somebody"), "{v:?}: {}", pair.asks(v));
        let of_host = || who(&pair.net.host, pair.old.address(v));
        assert!(comes_true(1, || of_host() == "somebody"), "{v:?}: {}", of_host());
    }
}

/// The client of the helper does not know yet that the old one has ended.
#[test]
fn who_gets_the_address_before_the_switch_keeps_it() {
    let Some(mut pair) = Pair::new() else { return };
    pair.change("steer");
    pair.stop_old();
    let somebody = pair.net.container(2);
    let _server = Server::start(&somebody, "somebody");
    for v in VERSIONS {
        assert!(comes_true(1, || pair.asks(v) == "somebody"), "{v:?}: {}", pair.asks(v));
    }
    pair.change("switch");
    for v in VERSIONS {
        assert_eq!(pair.asks(v), "somebody");
        assert_eq!(who(&pair.net.host, pair.old.address(v)), "somebody");
    }
}

#[test]
fn who_gets_the_address_with_another_mac_gets_its_own() {
    let Some(mut pair) = Pair::new() else { return };
    let (somebody, _server) = somebody_comes(&mut pair, "92:5b:00:00:00:02");
    somebody.announce();
    for v in VERSIONS {
        assert!(comes_true(5, || pair.asks(v) == "somebody"));
    }
}

#[test]
fn the_old_one_itself_claims_nothing() {
    let Some(mut pair) = Pair::new() else { return };
    pair.change("steer");
    for v in VERSIONS {
        assert_eq!(who(&pair.old.namespace, pair.client.address(v)), "ConnectionRefused");
        assert_eq!(pair.asks(v), "new");
    }
    assert_eq!(pair.host.ok("ping"), "");
}

/// It asks whether its address is free before it uses it.
#[test]
fn duplicate_address_detection_finds_nobody() {
    let Some(mut pair) = Pair::new() else { return };
    pair.change("steer");
    pair.stop_old();
    pair.change("switch");
    let somebody = pair.net.container(40);
    somebody.namespace.sysctl("ipv6/conf/eth0/accept_dad", "1");
    let address = pair.old.address(V::Six).to_string();
    somebody.namespace.ip(&["addr", "add", &format!("{address}/64"), "dev", "eth0"]);
    let flags = || somebody.namespace.ip(&["-6", "addr", "show", "dev", "eth0", "to", &address]);
    assert!(comes_true(10, || !flags().contains("tentative")), "{}", flags());
    assert!(!flags().contains("dadfailed"), "{}", flags());
    assert!(comes_true(5, || pair.host.ok("ping").contains(&format!("claimed={address}"))));
}
