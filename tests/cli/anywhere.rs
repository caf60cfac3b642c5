//! Whatever call fails, and wherever the program is killed: what served goes on serving, and the next run finishes.

use crate::{
    calls::is_read,
    files::{HEALTHCHECK, project, web},
    output::Output,
    scenario::{Scenario, new, old},
    world::{Container, Deed, Entry, hash_of},
};

/// Two replicas, one after the other. The engine must not bring the first one back.
fn batches() -> Scenario {
    let file = web("scale: 2\nx-zdd: {parallelism: 1}");
    Scenario::new(&file).with([old("web-1").policy("always"), old("web-2")])
}

/// A stopped container beside the replica, and hooks.
fn hooks() -> Scenario {
    let file = web(
        "pre_start: [{command: [a]}]\npost_start: [{command: [b]}]\npre_stop: [{command: [c]}]\nscale: 1",
    );
    Scenario::new(&file).with([old("web-1"), old("web-2").is("exited 0")])
}

fn haproxy() -> Scenario {
    let web = format!("image: web\n{HEALTHCHECK}");
    let file = project(&[("lb", "image: haproxy:3"), ("web", &web)]);
    Scenario::new(&file).haproxy("web", 4, 1).with([new("lb-1").is("running"), old("web-1")])
}

#[test]
fn a_call_fails_in_batches() {
    at_each(any, batches, 2, fails);
}

#[test]
fn a_call_fails_with_hooks() {
    at_each(deed, hooks, 1, fails);
}

#[test]
#[ignore = "a slot that could not be given back is not given back by the next run, for which nothing is to do"]
fn a_call_fails_behind_haproxy() {
    at_each(deed, haproxy, 1, fails);
}

#[test]
fn killed_in_batches() {
    at_each(deed, batches, 2, is_killed);
}

#[test]
fn killed_with_hooks() {
    at_each(deed, hooks, 1, is_killed);
}

#[test]
#[ignore = "killed after the stop, the next run leaves the slot drained while the dead address is still in it"]
fn killed_behind_haproxy() {
    at_each(deed, haproxy, 1, is_killed);
}

/// What serves already need not go before an old one is back.
#[test]
#[ignore = "with stop-first the way back removes the new containers of every batch before it starts an old one"]
fn a_call_fails_with_stop_first() {
    let file = web("scale: 2\nx-zdd: {parallelism: 1, order: stop-first}");
    at_each(deed, || Scenario::new(&file).with([old("web-1"), old("web-2")]), 1, fails);
}

fn any(_line: &str) -> bool {
    true
}

/// Between two of these it is all the same when the program is killed.
fn deed(line: &str) -> bool {
    !is_read(line) || line.contains("volume create")
}

/// Disturbs a run at each of these calls, once before the engine has carried the call out and once after. `least`
/// of `web` must serve all the time, and another run must reach the same end.
fn at_each(
    call: fn(&str) -> bool,
    scenario: impl Fn() -> Scenario,
    least: usize,
    disturb: fn(Scenario, &str, bool) -> Two,
) {
    let whole = scenario().run(&["up"]);
    assert_eq!((whole.exit.code(), whole.world.least["web"]), (Some(0), least), "{whole}");
    for line in lines(&whole).into_iter().filter(|line| call(line)) {
        for done in [false, true] {
            if done && !deed(&line) {
                continue;
            }
            let Two { first, second } = disturb(scenario(), &line, done);
            let said = format!("at {line:?}, done: {done}\n{first}--- and again\n{second}");
            assert_eq!(second.exit.code(), Some(0), "{said}");
            assert!(second.world.least["web"] >= least, "{said}");
            assert!(second.world.containers.iter().all(is_wanted), "{said}");
            assert_eq!(second.world.containers.len(), whole.world.containers.len(), "{said}");
            let drained =
                second.world.proxy.iter().flat_map(|proxy| &proxy.slots).filter(|slot| slot.drained);
            assert_eq!(drained.count(), 0, "{said}");
        }
    }
}

/// The disturbed run, as far as there is a word of it, and the run after it.
struct Two {
    first: String,
    second: Output,
}

fn fails(scenario: Scenario, line: &str, done: bool) -> Two {
    let error = "Error response from daemon: context deadline exceeded".to_owned();
    let deed = if done { Deed::FailAfter(1, error) } else { Deed::Fail(1, error) };
    let host = scenario.when_nth(1, &format!("{line}$"), deed).host();
    let first = host.run(&["up"]).to_string();
    host.change(|world| world.rules.clear());
    Two { first, second: host.run(&["up"]) }
}

fn is_killed(scenario: Scenario, line: &str, done: bool) -> Two {
    let deed = if done { Deed::HoldAfter } else { Deed::Hold };
    let host = scenario.when_nth(1, &format!("{line}$"), deed).host();
    let mut running = host.spawn(&["up"]);
    running.wait_for_call(line);
    if done {
        running.wait_for_done();
    }
    running.kill();
    host.change(|world| world.rules.clear());
    Two { first: "killed\n".to_owned(), second: host.run(&["up"]) }
}

/// Every call of a run once, but for the one that only listens.
fn lines(output: &Output) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for entry in &output.entries {
        if let Entry::Begin { line, .. } = entry
            && !lines.contains(line)
            && !line.contains(" events ")
        {
            lines.push(line.clone());
        }
    }
    lines
}

fn is_wanted(container: &Container) -> bool {
    let now = &container.now;
    let serves = now.state == "running" && now.health.as_deref().is_none_or(|health| health == "healthy");
    serves && container.config_hash == hash_of(&container.service)
}
