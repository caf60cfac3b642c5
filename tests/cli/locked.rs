//! One rollout a project at a time.

use insta::assert_snapshot;

use crate::{
    files::web,
    history::twice,
    output::Output,
    scenario::{Host, Scenario, old},
    world::{Action, Rule},
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
    hint: --wait-lock SECONDS waits for it; if you know it is dead, --break-lock takes over
    --- calls
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
    assert_eq!(output.changes(), Vec::<&str>::new(), "{output}");
    assert_snapshot!(output.stderr, @"
    project shop is being updated by something that left no name; nothing was touched
    hint: --wait-lock SECONDS waits for it; if you know it is dead, --break-lock takes over
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
    docker compose config
    docker compose config --hash *
    docker volume rm zdd-lock-shop zdd-lock-shop.claim  → exit 1
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-1
    docker ps
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=2 web
    docker ps web
    docker compose up -d --no-deps --no-recreate --scale web=2 web
    docker ps web
    docker inspect web-2
    docker stop web-1
    docker inspect web-1
    docker inspect web-2
    docker rm -v web-1
    docker ps web
    docker inspect web-2
    docker compose --dry-run up -d --scale web=1
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image web] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-2 new healthy
    at least: 1 of web
    ");
}

/// Whose lock was broken does not release the lock of whoever has it now.
#[test]
fn and_not_given_back_by_whom_it_was_taken_from() {
    let host = update().when("docker stop", Action::Hold).host();
    let mut first = host.spawn(&["up"]);
    first.wait_for_call("docker stop");
    host.change(|world| {
        let anna = [("io.zdd.lock.mark".to_owned(), "7-1".to_owned())].into();
        drop(world.volumes.insert(LOCK.to_owned(), anna));
    });
    first.release();
    let first = first.finish();
    assert_eq!(first.exit.code(), Some(0), "{first}");
    assert!(is_locked(&first), "{first}");
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

/// The run that is waited for may take minutes, and its user goes on working.
#[test]
fn and_the_file_edited_while_one_waits() {
    for args in [&["up", "--force-recreate"][..], &["rollback"], &["restart"]] {
        let output = edited_while_waiting(args, web("x-zdd: {settle: 100ms}"));
        assert_eq!(output.exit.code(), Some(0), "{output}");
        assert!(output.stderr.contains("settl") && !is_locked(&output), "{output}");
    }
}

#[test]
fn and_the_project_renamed_while_one_waits() {
    for args in [&["up"], &["restart"]] {
        let output = edited_while_waiting(args, web("").replace("name: shop\n", "name: store\n"));
        assert_eq!(output.exit.code(), Some(1), "{output}");
        assert_eq!(output.changes(), Vec::<&str>::new(), "{output}");
        assert!(!is_locked(&output), "{output}");
        let named = output.argvs().into_iter().filter(|argv| argv.contains(&"-p".to_owned()));
        assert_eq!(named.count(), 0, "{output}");
        let said = "project shop was renamed to store while waiting for its lock; nothing was touched\n";
        assert_eq!(output.stderr, said);
    }
}

fn edited_while_waiting(args: &[&str], file: String) -> Output {
    let host = twice(update());
    host.change(|world| drop(world.volumes.insert(LOCK.to_owned(), [].into())));
    let mut running = host.spawn(&[args, &["--wait-lock", "20s"]].concat());
    running.wait_for_calls(2, "volume create");
    host.change(|world| {
        world.volumes.remove(LOCK);
        world.config = file;
    });
    running.finish()
}

#[test]
fn for_longer_than_one_waits() {
    let output = locked().run(&["up", "--wait-lock", "1s"]);
    assert_eq!(output.exit.code(), Some(5), "{output}");
    assert!(output.took.as_millis() >= 1000, "{output}");
    assert_eq!(output.changes(), Vec::<&str>::new(), "{output}");
}

#[test]
fn a_plan_needs_no_lock() {
    let output = locked().run(&["plan"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert!(!output.calls.iter().any(|call| call.contains("volume")), "{output}");
}

#[test]
fn by_a_second_run_at_the_same_time() {
    let host = update().when("docker stop", Action::Hold).host();
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
    let output = dead().run(&["up"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert!(!is_locked(&output), "{output}");
    assert_snapshot!(lock_calls(&output), @"
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker volume create zdd-lock-shop.claim
    docker volume inspect zdd-lock-shop.claim
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop zdd-lock-shop.claim
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker volume ls
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    ");
}

fn lock_calls(output: &Output) -> String {
    let lock = output.calls.iter().filter(|call| call.contains(" volume "));
    lock.cloned().collect::<Vec<_>>().join("\n")
}

/// Whoever is killed while it takes a dead run's lock leaves nothing that the next run does not find.
#[test]
fn by_the_dead_who_died_taking_it_over() {
    for call in
        ["volume rm zdd-lock-shop", "volume create zdd-lock-shop.claim", "volume create zdd-lock-shop$"]
    {
        let host = dead();
        // Of its own first call nothing is left to be seen: the lock is there already.
        let nth = if call.ends_with('$') { 2 } else { 1 };
        let rule = Rule { call: call.to_owned(), nth, seen: 0, action: Action::HoldAfter };
        host.change(|world| world.rules = vec![rule]);
        let mut second = host.spawn(&["up"]);
        second.wait_for_done();
        second.kill();
        host.change(|world| world.rules.clear());
        let output = host.run(&["up"]);
        assert_eq!(output.exit.code(), Some(0), "{output}");
        assert!(!is_locked(&output), "after a kill at {call}: {output}");
    }
}

/// The claim of a machine that is gone would stand in the way at every takeover.
#[test]
fn by_the_dead_and_by_a_claim_of_another_machine() {
    let host = dead();
    let anna = [("io.zdd.lock.mark".to_owned(), "7-1".to_owned())];
    host.change(|world| drop(world.volumes.insert(format!("{LOCK}.claim"), anna.into())));
    assert_eq!(host.run(&["up"]).exit.code(), Some(5));
    let output = host.run(&["up", "--break-lock"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert!(!is_locked(&output), "{output}");
}

/// The lock of a run that was killed on this machine.
fn dead() -> Host {
    let host = update().when("docker stop", Action::Hold).host();
    let mut first = host.spawn(&["up"]);
    first.wait_for_call("docker stop");
    first.kill();
    host.change(|world| world.rules.clear());
    host
}

#[test]
fn given_back_whatever_happens() {
    let runs = [
        locked_away(update(), &["up"]),
        locked_away(update().starts("web", "exited 1"), &["up"]),
        locked_away(Scenario::new(&web("container_name: web")).with([old("web-1")]), &["up"]),
        locked_away(update().without_image("web"), &["up", "--pull", "never"]),
        locked_away(update().when("docker ps", Action::Fail(1, "no".to_owned())), &["up"]),
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

/// Whatever docker says: it is not asked forever.
#[test]
fn a_lock_that_never_comes_to_be_is_an_error() {
    let scenario = Scenario::new(&web("")).with([old("web-1")]);
    let output =
        scenario.when("docker volume create", Action::Print("zdd-lock-shop\n".to_owned())).run(&["up"]);
    assert_eq!(output.exit.code(), Some(1), "{output}");
    assert!(output.stderr.contains("is not there, again and again"), "{output}");
}

fn engine_says(text: &str) -> Action {
    Action::Fail(1, format!("Error response from daemon: {text}"))
}

/// What was made is removed again, also where nobody knows yet whose it is.
#[test]
fn a_lock_that_cannot_be_read_is_given_back() {
    let look = "docker volume inspect";
    let output = update().when_nth(1, look, engine_says("context deadline exceeded")).run(&["up"]);
    assert_eq!(output.exit.code(), Some(1), "{output}");
    assert_eq!(output.changes(), Vec::<&str>::new(), "{output}");
    assert!(!is_locked(&output), "{output}");
}

/// The call is given up, but the engine carries it out.
#[test]
fn a_lock_that_was_made_too_slowly_is_given_back() {
    let slow = update().when("docker volume create", Action::HoldAfter).env("ZDD_CALL_TIMEOUT", "1s");
    let output = slow.run(&["up"]);
    assert_eq!(output.exit.code(), Some(1), "{output}");
    assert!(output.stderr.contains("did not answer within 1s"), "{output}");
    assert!(!is_locked(&output), "{output}");
}

#[test]
fn the_engine_is_asked_again_to_take_a_lock_back() {
    for call in ["docker volume inspect", "docker volume rm"] {
        let nth = if call.ends_with("inspect") { 2 } else { 1 };
        let output = update().when_nth(nth, call, engine_says("try again")).run(&["up"]);
        assert_eq!(output.exit.code(), Some(0), "{output}");
        assert!(!is_locked(&output) && !output.stderr.contains("warning"), "{output}");
    }
}

/// Whose it is by then is not known, so it is not removed.
#[test]
fn a_lock_that_stays_behind_is_reported_before_the_last_word() {
    let host = update().when("docker stop", Action::Hold).host();
    let mut running = host.spawn(&["up"]);
    running.wait_for_call("docker stop");
    let look = "docker volume inspect zdd-lock-shop".to_owned();
    host.change(|world| {
        let action = engine_says("too many connections");
        world.rules.push(Rule { call: look.clone(), nth: 0, seen: 0, action });
    });
    running.release();
    let output = running.finish();
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert!(is_locked(&output), "{output}");
    assert!(!output.calls.iter().any(|call| call.contains("volume rm")), "{output}");
    assert!(output.stderr.ends_with("web is up to date\n"), "{output}");
    let warning: Vec<_> = output.stderr.lines().filter(|line| line.contains("warning")).collect();
    assert_snapshot!(warning.join("\n"), @r#"[TIME]  warning: the lock may stay on the engine: docker volume inspect failed: Error response from daemon: too many connections; if the next run finds it held, run "docker volume rm zdd-lock-shop", or add --break-lock"#);
}

/// An engine far away may be slow; only who wants to leave at once does not wait for it.
#[test]
fn a_slow_engine_is_waited_for_to_take_a_lock_back() {
    let host = update().when("docker volume rm zdd-lock-shop", Action::Hold).host();
    let mut running = host.spawn(&["up"]);
    running.wait_for_call("docker volume rm zdd-lock-shop");
    std::thread::sleep(std::time::Duration::from_millis(5500));
    running.release();
    let output = running.finish();
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert!(!is_locked(&output), "{output}");
}
