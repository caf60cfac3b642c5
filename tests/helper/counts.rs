//! Who still asks for the old address, and which flows are open.

use crate::net::{V, VERSIONS};
use crate::pair::Pair;
use crate::process::comes_true;
use crate::traffic::{Connection, abort, who, who_by_udp};

#[test]
fn new_connections_to_steered_addresses_are_counted() {
    let Some(mut pair) = Pair::new() else { return };
    for v in VERSIONS {
        assert_eq!(pair.asks(v), "old");
    }
    assert_eq!(pair.host.ok("asked"), "");
    pair.change("steer");
    assert_eq!(pair.host.ok("asked"), "");
    for v in VERSIONS {
        let (old, client) = (pair.old.address(v), pair.client.address(v));
        let (mut connection, _) = pair.connect(v);
        assert_eq!(connection.who(), "new");
        assert_eq!(pair.asks(v), "new");
        assert_eq!(who(&pair.client.namespace, pair.new.address(v)), "new");
        assert_eq!(pair.host.ok("asked"), format!("{old}<{client}=2"));
        assert_eq!(who(&pair.net.host, old), "new");
        assert_eq!(pair.host.ok("asked"), format!("{old}<{}=1", v.address(1)));
        // Only what is new: the connection that goes on is not.
        assert_eq!(connection.who(), "new");
        assert_eq!(pair.host.ok("asked"), "");
    }
}

#[test]
fn after_the_stop_datagrams_count_too() {
    let Some(mut pair) = Pair::new() else { return };
    pair.change("steer");
    pair.stop_old();
    pair.change("switch");
    for v in VERSIONS {
        assert_eq!(who_by_udp(&pair.client.namespace, pair.old.address(v)), "new");
        assert_eq!(pair.asks(v), "new");
        let expected = format!("{}<{}=2", pair.old.address(v), pair.client.address(v));
        assert_eq!(pair.host.ok("asked"), expected);
    }
}

#[test]
fn flows_are_counted_until_they_end() {
    let Some(mut pair) = Pair::new() else { return };
    pair.change("steer");
    for v in VERSIONS {
        let open = [pair.connect(v), pair.connect(v)];
        assert_eq!(pair.host.number("flows", "open"), 2);
        // Of one that ended the last packets still come.
        drop(open);
        assert!(comes_true(5, || pair.host.number("flows", "open") == 0));
        assert!(pair.host.number("flows", "closing") >= 2);
        let reset = pair.connect(v).0;
        abort(reset.stream());
        assert!(comes_true(5, || pair.host.number("flows", "open") == 0));
    }
}

#[test]
fn a_flow_that_the_server_resets_is_none_any_more() {
    let Some(mut pair) = Pair::new() else { return };
    pair.change("steer");
    let (mut connection, _) = pair.connect(V::Four);
    pair.new_server.reset();
    assert_eq!(connection.who(), "ConnectionReset");
    assert!(comes_true(5, || pair.host.number("flows", "open") == 0));
}

#[test]
fn a_port_that_is_used_again_begins_a_flow() {
    let Some(mut pair) = Pair::new() else { return };
    pair.change("steer");
    for v in VERSIONS {
        let first = pair.connect(v).0;
        let port = first.stream().local_addr().unwrap().port();
        abort(first.stream());
        let mut again = Connection::open_from(&pair.client.namespace, port, pair.old.address(v)).unwrap();
        assert_eq!(again.who(), "new");
        assert_eq!(pair.host.number("flows", "open"), 1);
        drop(again);
        assert!(comes_true(5, || pair.host.number("flows", "open") == 0));
    }
}
