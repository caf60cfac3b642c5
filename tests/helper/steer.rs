//! Steering and switching: an old container hands over to a successor.

use crate::net::{BRIDGE, V, VERSIONS};
use crate::pair::Pair;
use crate::traffic::{seen_from, who, who_by_udp};

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
