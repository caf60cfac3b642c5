//! One rollout a project at a time.

use insta::assert_snapshot;

use crate::{
    files::web,
    output::Output,
    scenario::{Host, Scenario, old},
    world::Deed,
};

const LOCK: &str = "zdd-lock-shop";

fn update() -> Scenario {
    Scenario::new(&web("")).with([old("web-1")])
}

/// By somebody on another machine.
fn locked() -> Scenario {
    let labels = [
        ("mark", "7-1"),
        ("user", "anna"),
        ("host", "ci-3"),
        ("boot", "b"),
        ("pid", "7"),
        ("since", "1795467851"),
    ];
    let labels = labels.map(|(key, value)| (format!("io.zdd.lock.{key}"), value));
    update().volume(LOCK, &labels.each_ref().map(|(key, value)| (key.as_str(), *value)))
}

fn is_locked(output: &Output) -> bool {
    output.world.volumes.keys().any(|name| name.starts_with(LOCK))
}

#[test]
fn by_another_machine() {
    let output = locked().run(&["up"]);
    assert!(is_locked(&output), "{output}");
    assert_snapshot!(output, @"
    exit code: 5
    --- stderr
    project shop is being updated by anna on ci-3 (process 7) since 2026-11-23 21:04:11 UTC; nothing was touched
    hint: --wait-lock SECONDS waits for it; if you know that it is dead, --break-lock takes its place
    --- calls
    docker compose version --short
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    --- containers
    web-1 old healthy
    at least: 1 of web
    ");
}

#[test]
fn by_something_that_left_no_name() {
    let output = update().volume(LOCK, &[]).run(&["up"]);
    assert_eq!(output.deeds(), Vec::<&str>::new(), "{output}");
    assert_snapshot!(output.stderr, @"
    project shop is being updated by something that left no name; nothing was touched
    hint: --wait-lock SECONDS waits for it; if you know that it is dead, --break-lock takes its place
    ");
}

#[test]
fn and_broken_by_force() {
    let output = locked().run(&["up", "--break-lock"]);
    assert!(!is_locked(&output), "{output}");
    assert_snapshot!(output, @"
    exit code: 0
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-2 healthy
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  done in [TIME], serving shop-web-2

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  ░ starting  █ serving  ▓ stopping
    start [TIME], health [TIME], stop [TIME], total [TIME]

    web is up to date
    --- calls
    docker compose version --short
    docker compose config
    docker compose config --hash *
    docker volume rm zdd-lock-shop
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker image inspect web
    docker ps
    docker inspect web-1
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=2 web
    docker ps web
    docker compose up -d --no-deps --no-recreate --scale web=2 web
    docker ps web
    docker inspect web-2
    docker stop web-1
    docker inspect web-1
    docker rm -v web-1
    docker ps web
    docker inspect web-2
    docker compose --dry-run up -d --scale web=1
    docker volume rm zdd-lock-shop
    --- containers
    web-2 new healthy
    at least: 1 of web
    ");
}

#[test]
fn but_not_for_long() {
    let host = locked().host();
    let mut running = host.spawn(&["up", "--wait-lock", "20s"]);
    running.wait_for_call("volume inspect");
    host.free(LOCK);
    let output = running.finish();
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert!(!is_locked(&output), "{output}");
}

#[test]
fn for_longer_than_one_waits() {
    let output = locked().run(&["up", "--wait-lock", "1s"]);
    assert_eq!(output.exit.code(), Some(5), "{output}");
    assert!(output.took.as_millis() >= 1000, "{output}");
    assert_eq!(output.deeds(), Vec::<&str>::new(), "{output}");
}

#[test]
fn a_plan_needs_no_lock() {
    let output = locked().run(&["plan"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert!(!output.calls.iter().any(|call| call.contains("volume")), "{output}");
}

#[test]
fn by_a_second_run_at_the_same_time() {
    let host = update().when("docker stop", Deed::Hold).host();
    let mut first = host.spawn(&["up"]);
    first.wait_for_call("docker stop");
    let second = host.beside(&["up"]).finish();
    assert_eq!(second.exit.code(), Some(5), "{second}");
    first.release();
    let first = first.finish();
    assert_eq!(first.exit.code(), Some(0), "{first}");
    assert!(!is_locked(&first), "{first}");
}

/// The lock of a process that was killed on this machine is nobody's.
#[test]
fn by_the_dead() {
    let host = update().when("docker stop", Deed::Hold).host();
    let mut first = host.spawn(&["up"]);
    first.wait_for_call("docker stop");
    first.kill();
    host.change(|world| world.rules.clear());
    let output = host.run(&["up"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert!(!is_locked(&output), "{output}");
    assert_snapshot!(lock_calls(&output), @"
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker volume create zdd-lock-shop-after-MARK
    docker volume inspect zdd-lock-shop-after-MARK
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop-after-MARK
    docker volume rm zdd-lock-shop
    ");
}

fn lock_calls(output: &Output) -> String {
    let lock = output.calls.iter().filter(|call| call.contains(" volume "));
    let mark = regex_lite::Regex::new(r"after-\d+-\d+").expect("a pattern");
    mark.replace_all(&lock.cloned().collect::<Vec<_>>().join("\n"), "after-MARK").into_owned()
}

#[test]
fn given_back_whatever_happens() {
    let runs = [
        locked_away(update(), &["up"]),
        locked_away(update().starts("web", "exited 1"), &["up"]),
        locked_away(Scenario::new(&web("container_name: web")).with([old("web-1")]), &["up"]),
        locked_away(update().without_image("web"), &["up", "--pull", "never"]),
        locked_away(update().when("docker ps", Deed::Fail(1, "no".to_owned())), &["up"]),
    ];
    assert_eq!(runs, [0, 3, 2, 1, 1]);
}

/// The exit code of a run after which the lock is free again.
fn locked_away(scenario: Scenario, args: &[&str]) -> i32 {
    let output = scenario.run(args);
    assert!(output.calls.iter().any(|call| call.contains("volume create")), "{output}");
    assert!(!is_locked(&output), "{output}");
    output.exit.code().unwrap_or(-1)
}

impl Host {
    fn free(&self, name: &str) {
        self.change(|world| drop(world.volumes.remove(name)));
    }
}
