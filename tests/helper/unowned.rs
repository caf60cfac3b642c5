//! On kernels before Linux 5.12, on which tables do not end with their process and anybody may remove them.

use crate::net::{V, VERSIONS};
use crate::pair::Pair;
use crate::process::{Helper, comes_true};
use rustix::process::Signal;

fn pair() -> Option<Pair> {
    Pair::with("host unowned", "container unowned")
}

#[test]
fn it_hands_over_as_elsewhere() {
    let Some(mut pair) = pair() else { return };
    assert!(pair.host.ready.ends_with(" owner=EOPNOTSUPP"), "{}", pair.host.ready);
    pair.change("steer");
    for v in VERSIONS {
        assert_eq!(pair.asks(v), "new");
    }
    assert_eq!(pair.host.ok("quit"), "");
    assert_eq!(pair.take.ok("quit"), "");
    assert!(pair.host.ends_within(5) && pair.take.ends_within(5));
    assert_eq!(pair.net.host.leftovers() + &pair.new.namespace.leftovers(), "");
}

#[test]
fn when_somebody_flushes_the_rules_they_are_made_again() {
    let Some(mut pair) = pair() else { return };
    pair.change("steer");
    assert_eq!(pair.asks(V::Four), "new");
    pair.net.host.nft(&["flush", "ruleset"]);
    pair.new.namespace.nft(&["flush", "ruleset"]);
    assert!(comes_true(12, || VERSIONS.iter().all(|v| pair.asks(*v) == "new")));
    assert_eq!(pair.host.ok("ping"), "lost=1");
    assert_eq!(pair.host.ok("ping"), "");
    assert!(comes_true(12, || pair.take.ok("ping") == "lost=1"));
}

#[test]
fn what_somebody_flushed_is_made_again_by_the_next_change() {
    let Some(mut pair) = pair() else { return };
    pair.change("steer");
    pair.net.host.nft(&["flush", "ruleset"]);
    pair.change("steer");
    assert_eq!(pair.asks(V::Four), "new");
    assert_eq!(pair.host.ok("ping"), "lost=1");
}

#[test]
fn what_one_leaves_that_is_killed_does_nothing_after_a_while_and_is_swept() {
    let Some(mut pair) = pair() else { return };
    pair.change("steer");
    assert_eq!(pair.asks(V::Four), "new");
    pair.host.signal(Signal::KILL);
    assert!(pair.host.ends_within(5));
    pair.net.host.nft(&["add", "table", "bridge", "somebodys"]);
    let mut next = Helper::start(&pair.net.host, "host");
    // It may be alive as far as the next one can know.
    assert_eq!(next.ok("sweep"), "tables=0");
    assert_eq!(pair.asks(V::Four), "new");
    let is_over = || {
        next.ok("ping");
        pair.asks(V::Four) == "old"
    };
    assert!(comes_true(22, is_over));
    assert_eq!(next.ok("sweep"), "tables=1");
    assert_eq!(pair.net.host.leftovers(), "table bridge somebodys {\n}\n");
}
