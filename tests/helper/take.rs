//! In the namespace of whoever takes over: what is for others of the network is for it.

use crate::net::{V, VERSIONS};
use crate::pair::Pair;
use crate::process::comes_true;
use crate::traffic::{Connection, who, who_by_udp};

#[test]
fn rules_stay_until_connections_need_them_no_more() {
    let Some(mut pair) = Pair::new() else { return };
    pair.change("steer");
    let mut open = VERSIONS.map(|v| pair.connect(v).0);
    assert_eq!(pair.take.number("taken", "connections"), 2);
    let direct = Connection::open(&pair.client.namespace, pair.new.address(V::Four)).unwrap();
    assert_eq!(pair.take.number("taken", "connections"), 2);
    assert_eq!(pair.take.ask("untake"), "error busy 2 connections need the rules");
    assert_eq!(open.each_mut().map(|c| c.who()), ["new", "new"]);
    drop((open, direct));
    assert!(comes_true(5, || pair.take.ask("untake") == "ok"));
    assert_eq!(pair.new.namespace.leftovers(), "");
    assert_ne!(pair.asks(V::Four), "new");
}

#[test]
fn they_can_be_forced_away() {
    let Some(mut pair) = Pair::new() else { return };
    pair.change("steer");
    let _open = pair.connect(V::Four);
    assert_eq!(pair.take.ok("untake force"), "");
    assert_eq!(pair.new.namespace.leftovers(), "");
    assert_eq!(pair.take.number("taken", "connections"), 0);
}

#[test]
fn only_the_containers_own_addresses_take() {
    let Some(mut pair) = Pair::new() else { return };
    let answer = pair.take.ask("take 172.30.0.0/24=172.30.0.99");
    assert!(answer.starts_with("error ENOENT "), "{answer}");
    // What was taken before still is.
    pair.change("steer");
    assert_eq!(pair.asks(V::Four), "new");
    // From now on it takes for one of its networks.
    assert_eq!(pair.take.ok(format!("take {}", pair.new.own(V::Six))), "");
    assert_eq!(pair.asks(V::Six), "new");
    assert_ne!(pair.asks(V::Four), "new");
}

#[test]
fn what_is_sent_to_the_container_and_by_it_is_left_alone() {
    let Some(mut pair) = Pair::new() else { return };
    pair.new.namespace.ip(&["addr", "add", "10.99.0.3/32", "dev", "eth0"]);
    pair.client.namespace.ip(&["route", "add", "10.99.0.0/24", "via", "172.30.0.3"]);
    for v in VERSIONS {
        assert_eq!(who(&pair.client.namespace, pair.new.address(v)), "new");
        assert_eq!(who_by_udp(&pair.client.namespace, pair.new.address(v)), "new");
        assert_eq!(who(&pair.new.namespace, pair.new.address(v)), "new");
        assert_eq!(who(&pair.new.namespace, pair.old.address(v)), "old");
    }
    // Of another network: a container may be a router.
    assert_eq!(who(&pair.client.namespace, "10.99.0.3".parse().unwrap()), "new");
    assert_ne!(who(&pair.client.namespace, "10.99.0.4".parse().unwrap()), "new");
    assert_eq!(pair.take.number("taken", "connections"), 0);
}
