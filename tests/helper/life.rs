//! How a helper ends, and that nothing of what it has done outlives it.

use crate::net::{V, VERSIONS};
use crate::pair::Pair;
use crate::process::{Helper, comes_true};
use crate::traffic::who;
use rustix::process::Signal;
use std::time::Instant;

impl Pair {
    fn leaves_nothing(&self) {
        assert_eq!(self.net.host.leftovers(), "");
        assert_eq!(self.new.namespace.leftovers(), "");
    }

    fn both_end_within(&mut self, seconds: u64) -> bool {
        self.host.ends_within(seconds) && self.take.ends_within(seconds)
    }
}

#[test]
fn after_quit_nothing_is_left() {
    let Some(mut pair) = Pair::new() else { return };
    pair.change("steer");
    let (_open, _) = pair.connect(V::Four);
    assert_eq!(pair.host.ok("quit"), "");
    assert_eq!(pair.take.ok("quit"), "");
    assert!(pair.both_end_within(5));
    pair.leaves_nothing();
    assert_eq!(pair.asks(V::Four), "old");
}

#[test]
fn when_the_client_dies_and_nothing_was_begun_it_ends_at_once() {
    let Some(mut pair) = Pair::new() else { return };
    pair.change("guard");
    let finish = VERSIONS.map(|v| format!("finish {}", pair.old.address(v))).join(" ; ");
    assert_eq!(pair.host.ok(format!("change {finish}")), "");
    assert_eq!(pair.take.ok("untake"), "");
    pair.host.hang_up();
    pair.take.hang_up();
    assert!(pair.both_end_within(5));
    pair.leaves_nothing();
}

#[test]
fn what_was_begun_goes_on_when_the_client_dies() {
    let Some(mut pair) = Pair::new() else { return };
    pair.change("steer");
    let mut open = VERSIONS.map(|v| pair.connect(v).0);
    for helper in [&mut pair.host, &mut pair.take] {
        helper.ok("linger 4000");
    }
    pair.host.hang_up();
    pair.take.hang_up();
    // The client may have stopped the old one before.
    assert_eq!(VERSIONS.map(|v| pair.asks(v)), ["new", "new"]);
    for v in VERSIONS {
        assert!(comes_true(5, || pair.asks(v) == "old"), "only for a time");
    }
    assert_eq!(open.each_mut().map(|c| c.who()), ["new", "new"]);
    assert!(!pair.host.has_ended() && !pair.take.has_ended());
    drop(open);
    let begin = Instant::now();
    assert!(pair.both_end_within(8), "{:?}", begin.elapsed());
    pair.leaves_nothing();
}

#[test]
fn it_lingers_no_longer_than_it_may() {
    let Some(mut pair) = Pair::new() else { return };
    for helper in [&mut pair.host, &mut pair.take] {
        helper.ok("linger 1000");
        assert!(helper.ask("linger 30001").starts_with("error limit "));
    }
    pair.change("steer");
    let _open = pair.connect(V::Four);
    pair.host.hang_up();
    pair.take.hang_up();
    assert!(pair.both_end_within(8));
    pair.leaves_nothing();
}

#[test]
fn what_was_switched_lingers_too() {
    let Some(mut pair) = Pair::new() else { return };
    pair.change("steer");
    pair.stop_old();
    pair.change("switch");
    pair.host.hang_up();
    for v in VERSIONS {
        assert_eq!(pair.asks(v), "new");
    }
    assert!(!pair.host.has_ended());
    assert!(pair.host.ends_within(20));
    assert_eq!(pair.net.host.leftovers(), "");
}

#[test]
fn a_client_that_says_nothing_is_dead() {
    let Some(mut pair) = Pair::new() else { return };
    pair.change("steer");
    for helper in [&mut pair.host, &mut pair.take] {
        assert!(helper.ask("deadline 999").starts_with("error limit "));
        helper.ok("deadline 1000");
        helper.ok("linger 1000");
    }
    assert!(pair.both_end_within(5));
    pair.leaves_nothing();
}

#[test]
fn a_signal_ends_it_after_a_short_linger_and_a_second_one_at_once() {
    let Some(mut pair) = Pair::new() else { return };
    pair.change("steer");
    let (mut open, _) = pair.connect(V::Four);
    pair.host.signal(Signal::TERM);
    assert!(comes_true(2, || pair.asks(V::Four) == "old"));
    assert_eq!(open.who(), "new");
    assert!(!pair.host.has_ended());
    pair.host.signal(Signal::TERM);
    assert!(pair.host.ends_within(2));
    pair.take.signal(Signal::INT);
    assert!(pair.take.ends_within(8));
    pair.leaves_nothing();
}

#[test]
fn when_it_is_killed_nothing_is_left() {
    let Some(mut pair) = Pair::new() else { return };
    pair.change("steer");
    let _open = pair.connect(V::Four);
    pair.stop_old();
    pair.change("switch");
    pair.host.signal(Signal::KILL);
    pair.take.signal(Signal::KILL);
    assert!(pair.both_end_within(5));
    assert!(comes_true(2, || (pair.net.host.leftovers() + &pair.new.namespace.leftovers()).is_empty()));
}

#[test]
fn when_it_is_frozen_its_rules_do_nothing_after_a_while() {
    let Some(mut pair) = Pair::new() else { return };
    pair.change("steer");
    let (mut open, answer) = pair.connect(V::Four);
    assert_eq!(answer, "new");
    pair.host.signal(Signal::STOP);
    pair.take.signal(Signal::STOP);
    assert!(comes_true(22, || VERSIONS.iter().all(|v| pair.asks(*v) == "old")));
    assert_eq!(who(&pair.net.host, pair.old.address(V::Four)), "old");
    assert_ne!(open.who(), "new");
    // It goes on as if nothing had been, for as long as it may without its client.
    pair.host.signal(Signal::CONT);
    pair.take.signal(Signal::CONT);
    assert!(comes_true(20, || pair.asks(V::Four) != "new"));
}

#[test]
fn two_helpers_do_not_disturb_each_other() {
    let Some(mut pair) = Pair::new() else { return };
    pair.change("steer");
    let mut other = Helper::start(&pair.net.host, "host");
    assert_eq!(other.ok("sweep"), "tables=0");
    assert_eq!(other.ok("quit"), "");
    assert!(other.ends_within(5));
    assert_eq!(pair.asks(V::Four), "new");
}
