//! Steering and switching: an old container hands over to a successor.

use crate::net::{BRIDGE, V, VERSIONS};
use crate::pair::{Pair, taker};
use crate::process::comes_true;
use crate::traffic::{Connection, abort, seen_from, who, who_by_udp};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn new_connections_go_to_the_successor_and_those_that_were_begun_stay() {
    let Some(mut pair) = Pair::new() else { return };
    let all = VERSIONS.map(|v| (v, pair.connect(v)));
    pair.change("steer");
    for (v, (mut begun, first)) in all {
        assert_eq!((first.as_str(), begun.who().as_str()), ("old", "old"));
        let (mut steered, second) = pair.connect(v);
        assert_eq!(second, "new");
        assert_eq!(who(&pair.client.namespace, pair.new.address(v)), "new");
        // The successor sees who really asks.
        assert_eq!(
            seen_from(&pair.client.namespace, pair.old.address(v)),
            pair.client.address(v).to_string()
        );

        pair.host.ok(format!("change finish {}", pair.old.address(v)));
        assert_eq!(steered.who(), "new");
        assert_eq!(begun.who(), "old");
        assert_eq!(pair.asks(v), "old");
    }
}

#[test]
fn a_successor_reaches_the_old_one() {
    let Some(mut pair) = Pair::new() else { return };
    pair.change("steer");
    for v in VERSIONS {
        let to_old = |pair: &Pair| who(&pair.new.namespace, pair.old.address(v));
        assert_ne!(to_old(&pair), "old");
        pair.host.ok(format!("change exempt {}", pair.new.mac()));
        assert_eq!(to_old(&pair), "old");
        assert_eq!(pair.asks(v), "new");
        pair.host.ok(format!("change include {}", pair.new.mac()));
    }
}

#[test]
fn after_the_stop_everything_goes_to_the_successor() {
    let Some(mut pair) = Pair::new() else { return };
    // Known to the client before, so that it has no need to ask who has the address.
    for v in VERSIONS {
        assert_eq!(pair.asks(v), "old");
    }
    pair.change("steer");
    pair.stop_old();
    pair.change("switch");
    // It asks: nobody but the helper answers.
    let stranger = pair.net.container(8);
    for v in VERSIONS {
        for namespace in [&pair.client.namespace, &stranger.namespace] {
            assert_eq!(who(namespace, pair.old.address(v)), "new");
            assert_eq!(who_by_udp(namespace, pair.old.address(v)), "new");
        }
    }
}

#[test]
fn a_released_address_is_let_go_at_once() {
    let Some(mut pair) = Pair::new() else { return };
    pair.change("steer");
    for v in VERSIONS {
        let (mut steered, answer) = pair.connect(v);
        assert_eq!(answer, "new");
        pair.host.ok(format!("change release {}", pair.old.address(v)));
        assert_ne!(steered.who(), "new");
        assert_eq!(pair.asks(v), "old");
    }
    pair.change("steer");
    assert_eq!(pair.asks(V::Four), "new");
}

#[test]
fn the_hosts_own_traffic_follows_too() {
    let Some(mut pair) = Pair::new() else { return };
    pair.change("steer");
    for v in VERSIONS {
        assert_eq!(who(&pair.net.host, pair.old.address(v)), "new");
        // Datagrams have no beginning that could be told: they stay until the stop.
        assert_eq!(who_by_udp(&pair.net.host, pair.old.address(v)), "old");
    }
    pair.stop_old();
    pair.change("switch");
    for v in VERSIONS {
        assert_eq!(who(&pair.net.host, pair.old.address(v)), "new");
        assert_eq!(who_by_udp(&pair.net.host, pair.old.address(v)), "new");
        pair.host.ok(format!("change finish {}", pair.old.address(v)));
        assert_ne!(who(&pair.net.host, pair.old.address(v)), "new");
    }
}

#[test]
fn a_flow_whose_container_is_gone_falls_back() {
    let Some(mut pair) = Pair::new() else { return };
    pair.change("steer");
    for v in VERSIONS {
        let (mut steered, answer) = pair.connect(v);
        assert_eq!(answer, "new");
        pair.host.ok(format!("change gone {}", pair.new.mac()));
        // The old one knows nothing of it, and says so.
        assert_eq!(steered.who(), "ConnectionReset");
        assert_eq!(pair.asks(v), "old");
        pair.change("steer");
    }
}

#[test]
fn a_change_is_made_whole_or_not_at_all() {
    let Some(mut pair) = Pair::new() else { return };
    let steer = format!("steer {} {} {}", BRIDGE, pair.old.end(V::Four), pair.new.end(V::Four));
    for wrong in
        ["steer nowhere 172.30.0.2@02:42:ac:1e:00:02 172.30.0.3@02:42:ac:1e:00:03", "steer", "gone ff"]
    {
        let answer = pair.host.ask(format!("change {steer} ; {wrong}"));
        assert!(answer.starts_with("error ENODEV ") || answer.starts_with("error syntax "), "{answer}");
        assert_eq!(pair.asks(V::Four), "old");
    }
}

/// A connection from this port, asked once and ended; or the port of one, where none is given.
fn used(pair: &Pair, port: Option<u16>, v: V) -> (u16, String) {
    let (from, to) = (&pair.client.namespace, pair.old.address(v));
    let mut connection = match port {
        Some(port) => Connection::open_from(from, port, to).expect("it is accepted"),
        None => Connection::open(from, to).expect("it is accepted"),
    };
    let who = connection.who();
    let port = connection.stream().local_addr().expect("it is bound").port();
    // At once, so that the port may be used again; the kernel needs a moment to forget that the flow was open.
    abort(connection.stream());
    drop(connection);
    thread::sleep(Duration::from_millis(50));
    (port, who)
}

#[test]
fn a_port_that_is_used_again_goes_where_a_new_one_would() {
    let Some(mut pair) = Pair::new() else { return };
    for v in VERSIONS {
        let finish = format!("change finish {}", pair.old.address(v));
        pair.change("steer");
        let (port, first) = used(&pair, None, v);
        pair.host.ok(&finish);
        assert_eq!((first.as_str(), used(&pair, Some(port), v).1.as_str()), ("new", "old"));
        pair.change("steer");
        let mut again =
            Connection::open_from(&pair.client.namespace, port, pair.old.address(v)).expect("it is accepted");
        // Also when what has ended is forgotten.
        thread::sleep(Duration::from_millis(50));
        assert_eq!([again.who(), again.who()], ["new", "new"]);
        drop(again);
        assert!(comes_true(5, || pair.host.number("flows", "open") == 0));

        let (port, first) = used(&pair, None, v);
        pair.host.ok(format!("change exempt {}", pair.client.mac()));
        assert_eq!((first.as_str(), used(&pair, Some(port), v).1.as_str()), ("new", "old"));
        pair.host.ok(format!("change include {}", pair.client.mac()));
        pair.host.ok(&finish);
    }
}

#[test]
fn a_port_that_is_used_again_after_the_stop_goes_to_the_successor_at_once() {
    let Some(mut pair) = Pair::new() else { return };
    pair.change("steer");
    let before = VERSIONS.map(|v| (v, used(&pair, None, v)));
    pair.stop_old();
    pair.change("switch");
    for (v, (port, first)) in before {
        assert_eq!(first, "new");
        for _ in 0..3 {
            let asked = Instant::now();
            assert_eq!(used(&pair, Some(port), v).1, "new");
            // A SYN that is lost is sent again after a second.
            assert!(asked.elapsed() < Duration::from_millis(900), "{:?}", asked.elapsed());
        }
    }
}

#[test]
fn of_an_address_that_was_let_go_nothing_is_remembered_when_it_is_steered_again() {
    let Some(mut pair) = Pair::new() else { return };
    let (other, _server, _take) = taker(&pair.net, 5, "other", "container");
    for v in VERSIONS {
        pair.change("steer");
        let (kept, _) = pair.connect(v);
        let port = kept.stream().local_addr().expect("it is bound").port();
        pair.host.ok(format!("change release {}", pair.old.address(v)));
        // Its end passes by the rules.
        abort(kept.stream());
        drop(kept);
        let steer = format!("steer {BRIDGE} {} {}", pair.old.end(v), other.end(v));
        pair.host.ok(format!("change {steer}"));
        assert_eq!(used(&pair, Some(port), v).1, "other");
        pair.host.ok(format!("change finish {}", pair.old.address(v)));
    }
}

#[test]
fn a_mac_that_is_somebody_elses_gets_nothing_that_its_owner_had() {
    let Some(mut pair) = Pair::new() else { return };
    // Of one that was guarded, by one that has ended since.
    let (before, _server, _take) = taker(&pair.net, 4, "before", "container");
    for v in VERSIONS {
        let guard = format!("guard {BRIDGE} {} {}", pair.old.end(v), before.end(v));
        pair.host.ok(format!("change {guard}"));
        let (ended, first) = used(&pair, None, v);
        let (mut open, second) = pair.connect(v);
        assert_eq!([first.as_str(), second.as_str()], ["before", "before"]);
        let gone = format!("switch {BRIDGE} {} {}", before.end(v), pair.old.end(v));
        pair.host.ok(format!("change finish {} ; {gone}", pair.old.address(v)));
        assert!(comes_true(5, || pair.host.number("flows", "open") == 1));
        // It has the MAC of the one that has ended.
        let other = format!("steer {BRIDGE} {} {}", pair.new.end(v), before.end(v));
        pair.host.ok(format!("change release {} ; {other}", before.address(v)));
        assert_eq!(pair.host.number("flows", "open"), 0);
        assert_eq!(used(&pair, Some(ended), v).1, "old");
        assert_eq!(open.who(), "ConnectionReset");
        pair.host.ok(format!("change finish {} ; finish {}", pair.new.address(v), before.address(v)));
    }
}
