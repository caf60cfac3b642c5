//! Whatever call fails, and wherever the program is killed: what served goes on serving, and the next run finishes.

use crate::{
    calls::{is_read, some_of},
    files::{HEALTHCHECK, project, web},
    history::{revisions, twice},
    output::Output,
    scenario::{Host, Scenario, new, old, read_world},
    world::{Action, Container, Rule, World, hash_of},
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

/// Made by docker-compose 1, with one that is linked to it.
fn links() -> Scenario {
    let lb = new("lb-1").is("running").linked_to(&["shop_web_1:web"]);
    let file = project(&[("lb", "image: lb"), ("web", &format!("image: web\n{HEALTHCHECK}"))]);
    Scenario::new(&file).with([lb, old("web-1").by_compose_1()])
}

fn at_each_with_links(disturb: Disturb) {
    let has_name = |world: &World| world.containers.iter().any(|c| c.name == "shop_web_1" && serves(c));
    let is_wanted =
        |world: &World, c: &Container| serves(c) && c.config_hash == hash_of(&c.service) && has_name(world);
    let story = Story { first: &["up"], again: &["up"], is_wanted: &is_wanted };
    at_each_of(&story, changes, || links().host(), 1, disturb);
}

#[test]
fn a_call_fails_with_links() {
    at_each_with_links(fails);
}

#[test]
fn killed_with_links() {
    at_each_with_links(is_killed);
}

#[test]
fn a_call_fails_in_batches() {
    at_each(any, batches, 2, fails);
}

#[test]
fn a_call_fails_with_hooks() {
    at_each(changes, hooks, 1, fails);
}

#[test]
fn a_call_fails_behind_haproxy() {
    at_each(changes, haproxy, 1, fails);
}

#[test]
fn killed_in_batches() {
    at_each(changes, batches, 2, is_killed);
}

#[test]
fn killed_with_hooks() {
    at_each(changes, hooks, 1, is_killed);
}

#[test]
fn killed_behind_haproxy() {
    at_each(changes, haproxy, 1, is_killed);
}

/// What serves already need not go before an old one is back.
#[test]
fn a_call_fails_with_stop_first() {
    let file = web("scale: 2\nx-zdd: {parallelism: 1, order: stop-first}");
    at_each(changes, || Scenario::new(&file).with([old("web-1"), old("web-2")]), 1, fails);
}

#[test]
fn a_call_of_a_rollback_fails() {
    at_each_of_a_rollback(any, fails);
}

#[test]
fn a_rollback_is_killed() {
    at_each_of_a_rollback(of_history, is_killed);
}

/// Two revisions are there, and the tag of the first one's image has moved. They are made once.
fn at_each_of_a_rollback(call: fn(&str) -> bool, disturb: Disturb) {
    let made = twice(batches());
    let world = read_world(&made.path("engine/world.json"));
    let host = || {
        let host = batches().host();
        host.change(|new| *new = world.clone());
        host
    };
    let is_first = |world: &World, c: &Container| {
        serves(c) && revisions(world)[0].services["web"].image.as_ref() == Some(&c.image_id)
    };
    let story = Story { first: &["rollback"], again: &["rollback", "--to", "1"], is_wanted: &is_first };
    at_each_of(&story, call, host, 2, disturb);
}

fn of_history(line: &str) -> bool {
    changes(line) || line.contains("revision")
}

fn any(_line: &str) -> bool {
    true
}

/// Between two of these it is all the same when the program is killed.
fn changes(line: &str) -> bool {
    !is_read(line) || line.contains("volume create")
}

/// Disturbs a run at each of these calls, once before the engine has carried the call out and once after. `least`
/// of `web` must serve all the time, and another run must reach the same end.
fn at_each(call: fn(&str) -> bool, scenario: impl Fn() -> Scenario, least: usize, disturb: Disturb) {
    let is_wanted = |_: &World, c: &Container| serves(c) && c.config_hash == hash_of(&c.service);
    let story = Story { first: &["up"], again: &["up"], is_wanted: &is_wanted };
    at_each_of(&story, call, || scenario().host(), least, disturb);
}

/// What is typed, what is typed after it was disturbed, and what then is to run.
struct Story<'a> {
    first: &'a [&'a str],
    again: &'a [&'a str],
    is_wanted: &'a dyn Fn(&World, &Container) -> bool,
}

type Disturb = fn(&Story, &Host, &str, bool) -> Two;

fn at_each_of(
    story: &Story,
    call: fn(&str) -> bool,
    host: impl Fn() -> Host,
    least: usize,
    disturb: Disturb,
) {
    let whole = host().run(story.first);
    assert_eq!((whole.exit.code(), whole.world.least["web"]), (Some(0), least), "{whole}");
    for line in some_of(&whole, call) {
        for done in [false, true] {
            if done && !changes(&line) {
                continue;
            }
            let Two { first, second } = disturb(story, &host(), &line, done);
            let said = format!("at {line:?}, done: {done}\n{first}--- and again\n{second}");
            assert_eq!(second.exit.code(), Some(0), "{said}");
            assert!(second.world.least["web"] >= least, "{said}");
            assert!(second.world.containers.iter().all(|c| (story.is_wanted)(&second.world, c)), "{said}");
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

fn fails(story: &Story, host: &Host, line: &str, done: bool) -> Two {
    let error = "Error response from daemon: context deadline exceeded".to_owned();
    at_the_first(host, line, if done { Action::FailAfter(1, error) } else { Action::Fail(1, error) });
    let first = host.run(story.first).to_string();
    host.change(|world| world.rules.clear());
    Two { first, second: host.run(story.again) }
}

fn is_killed(story: &Story, host: &Host, line: &str, done: bool) -> Two {
    at_the_first(host, line, if done { Action::HoldAfter } else { Action::Hold });
    let mut running = host.spawn(story.first);
    running.wait_for_call(line);
    if done {
        running.wait_for_done();
    }
    running.kill();
    host.change(|world| world.rules.clear());
    Two { first: "killed\n".to_owned(), second: host.run(story.again) }
}

fn at_the_first(host: &Host, line: &str, action: Action) {
    let rule = Rule { call: format!("{line}$"), nth: 1, seen: 0, action };
    host.change(|world| world.rules.push(rule));
}

fn serves(container: &Container) -> bool {
    let now = &container.now;
    now.state == "running" && now.health.as_deref().is_none_or(|health| health == "healthy")
}
