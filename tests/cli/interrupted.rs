//! Ctrl-C, SIGTERM, SIGHUP, a closed plugin socket, SIGKILL: at every moment it is clear what serves.

use std::os::{
    linux::net::SocketAddrExt,
    unix::net::{SocketAddr, UnixListener},
};

use insta::assert_snapshot;
use rustix::process::Signal;

use crate::{
    files::{HEALTHCHECK, project, web},
    output::Output,
    running::Running,
    scenario::{Host, Scenario, new, old},
    world::{Action, Reading},
};

const HEARD: &str = "interrupted: ending safely";
const HEARD_TWICE: &str = "interrupted again";

/// The output without the answer to the signal, which comes at its own time, before or after what follows from it.
fn heard_once(running: Running) -> Output {
    let mut output = running.finish();
    let (heard, rest): (Vec<_>, Vec<_>) = output.stderr.lines().partition(|line| line.contains(HEARD));
    assert_eq!(heard.len(), 1, "{output}");
    output.stderr = rest.join("\n");
    output
}

fn one_by_one() -> Scenario {
    Scenario::new(&web("scale: 3\nx-zdd: {parallelism: 1}")).with([old("web-1"), old("web-2"), old("web-3")])
}

#[test]
fn while_the_file_is_loaded() {
    let mut running = one_by_one().when("compose config", Action::Hold).spawn(&["up"]);
    running.wait_for_call("compose config").signal(Signal::INT).wait_for_stderr(HEARD).release();
    assert_snapshot!(running.finish(), @"
    exit code: 130
    --- stderr
    [TIME]  interrupted: ending safely; a second one quits at once
    interrupted; nothing was touched
    --- calls
    docker compose config
    docker compose config --hash *
    --- containers
    web-1 old healthy
    web-2 old healthy
    web-3 old healthy
    at least: 3 of web
    ");
}

/// Compose has removed the old one: the new one is all that there is.
#[test]
fn while_a_recreated_one_boots() {
    let scenario = Scenario::new(&web("container_name: db")).with([old("web-1")]);
    let scenario = scenario.starts("web", "starting").when_nth(1, "docker inspect db", Action::Hold);
    let mut running = scenario.spawn(&["up", "--allow-downtime"]);
    running.wait_for_call("docker inspect db").signal(Signal::INT).wait_for_stderr(HEARD).release();
    assert_snapshot!(heard_once(running), @r#"
    exit code: 130
    --- stderr
    [TIME]  web  recreate: configuration changed
    [TIME]  web  warning: its requests fail from the stop of the old container to the start of the new
    [TIME]  web  recreate 1 replica, with downtime
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  db started
    [TIME]  web  warning: Compose has replaced the old container; whether the new one serves was not checked
    [TIME]  web  interrupted in [TIME], nothing serves

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      db          [BAR]
                  ░ starting  █ serving  ▓ stopping
    health [TIME], stop [TIME], total [TIME]

    web: interrupted; nothing serves now
    hint: "docker zdd up" continues from here
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-1
    docker ps
    docker volume ls
    docker compose --file - --profile * config --hash * <stdin 98411236>
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=1 web
    docker ps web
    docker compose up -d --no-deps --force-recreate --scale web=1 web
    docker ps web
    docker inspect db
    docker inspect web-1  → exit 1
    docker ps web
    docker volume ls
    docker image ls zdd-revision/shop
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    db new starting
    at least: 0 of web
    "#);
}

#[test]
fn while_it_builds() {
    let file = project(&[("web", &format!("build: {{context: /srv}}\n{HEALTHCHECK}"))]);
    let mut running = Scenario::new(&file)
        .with([new("web-1")])
        .when("compose build", Action::Hang)
        .spawn(&["up", "--build"]);
    running.wait_for_call("compose build").signal(Signal::INT);
    assert_snapshot!(heard_once(running), @"
    exit code: 130
    --- stderr
    [TIME]  building web
    interrupted; nothing was touched
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect shop-web
    docker inspect web-1
    docker ps
    docker compose build web  → killed
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-1 new healthy
    at least: 1 of web
    ");
}

#[test]
fn while_the_migration_runs() {
    let scenario = Scenario::new(&web("pre_start: [{command: [migrate]}]")).with([old("web-1")]);
    let mut running = scenario.when("compose run", Action::Hang).spawn(&["up"]);
    running.wait_for_call("compose run").signal(Signal::TERM);
    let output = running.finish();
    assert_eq!(output.exit.code(), Some(130), "{output}");
    assert!(!output.stderr.contains("the new version failed"), "{output}");
}

fn migrates() -> Scenario {
    let one_off = old("web-9").named("web-run-1").label("oneoff", "True");
    let one_off = one_off.raw_label("io.zdd.pre-start", "web").is("exited 0");
    Scenario::new(&web("pre_start: [{command: [migrate]}]")).with([old("web-1"), one_off])
}

fn migration_goes_on(host: &Host) {
    host.change(|world| {
        let one_off = world.containers.iter_mut().find(|c| c.name == "shop-web-run-1").expect("a one-off");
        one_off.now = Reading::parse("running");
    });
}

/// Compose ends when it is told to, and the one-off of its `run` may not.
#[test]
fn while_the_migration_runs_that_does_not_end() {
    for signals in [1, 2] {
        let host = migrates().when("compose run", Action::Hang).when("docker wait", Action::Hang).host();
        let mut running = host.spawn(&["up"]);
        running.wait_for_call("compose run");
        migration_goes_on(&host);
        running.signal(Signal::TERM);
        if signals == 2 {
            running.wait_for_call("docker wait").signal(Signal::TERM);
        }
        let output = running.finish();
        assert_eq!(output.exit.code(), Some(130), "{output}");
        let said = "the pre_start hook of web still runs in shop-web-run-1; the next run waits for it";
        assert!(output.stderr.contains(said), "{output}");
    }
}

#[test]
fn while_the_migration_runs_that_ends_soon() {
    let host = migrates().when("compose run", Action::Hang).host();
    let mut running = host.spawn(&["up"]);
    running.wait_for_call("compose run");
    migration_goes_on(&host);
    running.signal(Signal::TERM);
    let output = running.finish();
    assert_eq!(output.exit.code(), Some(130), "{output}");
    assert!(!output.stderr.contains("still runs in"), "{output}");
}

/// Two migrations at once are never meant.
#[test]
fn and_the_migration_of_a_killed_run_goes_on() {
    let host = migrates().when("docker wait", Action::Hold).host();
    migration_goes_on(&host);
    let mut running = host.spawn(&["up"]);
    running.wait_for_stderr("waiting for the pre_start hook of an earlier run to end: shop-web-run-1");
    running.wait_for_call("docker wait");
    running.release();
    let output = running.finish();
    assert_eq!(output.exit.code(), Some(0), "{output}");
    let at = |call: &str| output.calls.iter().position(|line| line.contains(call));
    assert!(at("docker wait web-run-1").expect("a wait") < at("compose run").expect("a hook"), "{output}");
}

#[test]
fn while_it_waits_for_the_migration_of_a_killed_run() {
    let host = migrates().when("docker wait", Action::Hang).host();
    migration_goes_on(&host);
    let mut running = host.spawn(&["up"]);
    running.wait_for_call("docker wait").signal(Signal::INT);
    let output = running.finish();
    assert_eq!(output.exit.code(), Some(130), "{output}");
    assert!(!output.calls.iter().any(|line| line.contains("compose run")), "{output}");
    assert!(output.stderr.contains("still runs in shop-web-run-1"), "{output}");
}

#[test]
fn while_compose_creates() {
    let mut running = one_by_one().when("docker compose up", Action::Hold).spawn(&["up"]);
    running.wait_for_call("docker compose up").signal(Signal::INT).wait_for_stderr(HEARD).release();
    assert_snapshot!(running.finish(), @r#"
    exit code: 130
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 3 replicas, in 3 batches
    [TIME]  web  batch 1 of 3: start 1, retire 1
    [TIME]  interrupted: ending safely; a second one quits at once
    [TIME]  web  shop-web-4 started
    [TIME]  web  shop-web-4 stopping (grace 10s)
    [TIME]  web  shop-web-4 stopped (exit code 0)
    [TIME]  web  shop-web-4 removed
    [TIME]  web  interrupted in [TIME], serving shop-web-1, shop-web-2 and shop-web-3

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
      shop-web-3  [BAR]
      shop-web-4  [BAR]
                  ░ starting  █ serving  ▓ stopping
    start [TIME], health [TIME], stop [TIME], total [TIME]

    web: interrupted; shop-web-1, shop-web-2 and shop-web-3 serve now
    hint: "docker zdd up" continues from here
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-1 web-2 web-3
    docker ps
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=4 web
    docker ps web
    docker compose up -d --no-deps --no-recreate --scale web=4 web
    docker ps web
    docker inspect web-4
    docker ps web
    docker stop web-4
    docker inspect web-4
    docker rm -v web-4
    docker ps web
    docker inspect web-1 web-2 web-3
    docker volume ls
    docker image ls zdd-revision/shop
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-1 old healthy
    web-2 old healthy
    web-3 old healthy
    at least: 3 of web
    "#);
}

#[test]
fn while_the_gate_waits() {
    let mut running = one_by_one().starts("web", "starting").spawn(&["up"]);
    running.wait_for_stderr("waiting until healthy").signal(Signal::INT);
    assert_snapshot!(heard_once(running), @r#"
    exit code: 130
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 3 replicas, in 3 batches
    [TIME]  web  batch 1 of 3: start 1, retire 1
    [TIME]  web  shop-web-4 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-4 stopping (grace 10s)
    [TIME]  web  shop-web-4 stopped (exit code 0)
    [TIME]  web  shop-web-4 removed
    [TIME]  web  interrupted in [TIME], serving shop-web-1, shop-web-2 and shop-web-3

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
      shop-web-3  [BAR]
      shop-web-4  [BAR]
                  ░ starting  █ serving  ▓ stopping
    start [TIME], health [TIME], stop [TIME], total [TIME]

    web: interrupted; shop-web-1, shop-web-2 and shop-web-3 serve now
    hint: "docker zdd up" continues from here
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-1 web-2 web-3
    docker ps
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=4 web
    docker ps web
    docker compose up -d --no-deps --no-recreate --scale web=4 web
    docker ps web
    docker inspect web-4
    docker ps web
    docker stop web-4
    docker inspect web-4
    docker rm -v web-4
    docker ps web
    docker inspect web-1 web-2 web-3
    docker volume ls
    docker image ls zdd-revision/shop
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-1 old healthy
    web-2 old healthy
    web-3 old healthy
    at least: 3 of web
    "#);
}

/// A signal that is no terminal's, the end of the terminal, the Docker CLI's own way: all the same.
#[test]
fn by_whatever_means() {
    let calls = |interrupt: &dyn Fn(&mut Running), scenario: Scenario| {
        let mut running = scenario.starts("web", "starting").spawn(&["up"]);
        running.wait_for_stderr("waiting until healthy");
        interrupt(&mut running);
        let output = heard_once(running);
        assert_eq!(output.exit.code(), Some(130), "{output}");
        output.to_string()
    };
    let signal = |signal| calls(&|running| _ = running.signal(signal), one_by_one());
    let by_ctrl_c = signal(Signal::INT);
    assert_eq!(signal(Signal::TERM), by_ctrl_c);
    assert_eq!(signal(Signal::HUP), by_ctrl_c);

    let socket = Socket::listen("alone");
    let by_socket = calls(&|_| socket.close(), one_by_one().env("DOCKER_CLI_PLUGIN_SOCKET", &socket.name));
    assert_eq!(by_socket, by_ctrl_c);
}

/// `nohup docker zdd up &`, and the login ends.
#[test]
fn not_by_a_signal_that_is_ignored_from_the_start() {
    for (name, signal) in [("HUP", Signal::HUP), ("TERM", Signal::TERM), ("INT", Signal::INT)] {
        let scenario = one_by_one().ignores(name).when_nth(2, "docker inspect web-4", Action::Hold);
        let mut running = scenario.starts("web", "starting, starting, healthy").spawn(&["up"]);
        running.wait_for_calls(2, "docker inspect web-4").signal(signal);
        // Were it heeded, it would be by now.
        std::thread::sleep(std::time::Duration::from_millis(100));
        running.release();
        let output = running.finish();
        assert_eq!(output.exit.code(), Some(0), "{output}");
        assert!(!output.stderr.contains("interrupted"), "{output}");
    }
}

/// Ctrl-C with standard output in a pipe sends a signal and closes the socket: one wish, not two.
#[test]
fn a_signal_and_the_socket_count_once() {
    let socket = Socket::listen("both");
    let scenario =
        one_by_one().env("DOCKER_CLI_PLUGIN_SOCKET", &socket.name).when("docker stop web-1", Action::Hold);
    let mut running = scenario.spawn(&["up"]);
    running.wait_for_call("docker stop web-1").signal(Signal::INT).wait_for_stderr(HEARD);
    socket.close();
    // Were it a second wish, the stop would be cut off now.
    std::thread::sleep(std::time::Duration::from_millis(100));
    running.release();
    let output = running.finish();
    assert!(!output.stderr.contains(HEARD_TWICE), "{output}");
    assert_eq!(output.exit.code(), Some(130), "{output}");
    assert!(output.calls.iter().any(|call| call == "docker rm -v web-1"), "{output}");
}

/// A Docker CLI of the past, or a socket that is gone, is no reason to end.
#[test]
fn a_socket_that_nobody_listens_to() {
    for name in ["@docker_cli_gone", "/nowhere/socket", ""] {
        let output = one_by_one().env("DOCKER_CLI_PLUGIN_SOCKET", name).run(&["up"]);
        assert_eq!(output.exit.code(), Some(0), "{name}: {output}");
    }
}

#[test]
fn while_old_ones_drain() {
    let file = web("scale: 2\nx-zdd: {parallelism: 1}\npre_stop: [{command: [drain]}]");
    let scenario = Scenario::new(&file).with([old("web-1"), old("web-2")]);
    let mut running = scenario.when("docker exec web-1", Action::Hold).spawn(&["up"]);
    running.wait_for_call("docker exec web-1").signal(Signal::INT).wait_for_stderr(HEARD).release();
    assert_snapshot!(running.finish(), @r#"
    exit code: 130
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 2 replicas, in 2 batches
    [TIME]  web  batch 1 of 2: start 1, retire 1
    [TIME]  web  shop-web-3 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-3 healthy
    [TIME]  web  shop-web-1 draining (pre_stop)
    [TIME]  web  running pre_stop hook of shop-web-1
    [TIME]  interrupted: ending safely; a second one quits at once
    [TIME]  web  pre_stop hook of shop-web-1 done
    [TIME]  web  shop-web-1 drained
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  interrupted in [TIME], serving shop-web-2 and shop-web-3

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
      shop-web-3  [BAR]
                  ░ starting  █ serving  ▒ draining  ▓ stopping
    start [TIME], health [TIME], drain [TIME], stop [TIME], total [TIME]

    web: interrupted; shop-web-2 and shop-web-3 serve now
    hint: "docker zdd up" continues from here
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-1 web-2
    docker ps
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=3 web
    docker ps web
    docker compose up -d --no-deps --no-recreate --scale web=3 web
    docker ps web
    docker inspect web-3
    docker exec web-1 drain
    docker stop web-1
    docker inspect web-1
    docker rm -v web-1
    docker ps web
    docker inspect web-2 web-3
    docker volume ls
    docker image ls zdd-revision/shop
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-2 old healthy
    web-3 new healthy
    at least: 2 of web
    "#);
}

#[test]
fn while_the_first_batch_stops() {
    let mut running = one_by_one().when("docker stop web-1", Action::Hold).spawn(&["up"]);
    running.wait_for_call("docker stop web-1").signal(Signal::TERM).wait_for_stderr(HEARD).release();
    assert_snapshot!(running.finish(), @r#"
    exit code: 130
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 3 replicas, in 3 batches
    [TIME]  web  batch 1 of 3: start 1, retire 1
    [TIME]  web  shop-web-4 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-4 healthy
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  interrupted: ending safely; a second one quits at once
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  interrupted in [TIME], serving shop-web-2, shop-web-3 and shop-web-4

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
      shop-web-3  [BAR]
      shop-web-4  [BAR]
                  ░ starting  █ serving  ▓ stopping
    start [TIME], health [TIME], stop [TIME], total [TIME]

    web: interrupted; shop-web-2, shop-web-3 and shop-web-4 serve now
    hint: "docker zdd up" continues from here
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-1 web-2 web-3
    docker ps
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=4 web
    docker ps web
    docker compose up -d --no-deps --no-recreate --scale web=4 web
    docker ps web
    docker inspect web-4
    docker stop web-1
    docker inspect web-1
    docker rm -v web-1
    docker ps web
    docker inspect web-2 web-3 web-4
    docker volume ls
    docker image ls zdd-revision/shop
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-2 old healthy
    web-3 old healthy
    web-4 new healthy
    at least: 3 of web
    "#);
}

#[test]
fn while_the_last_batch_stops() {
    let scenario = Scenario::new(&web("")).with([old("web-1")]);
    let mut running = scenario.when("docker stop web-1", Action::Hold).spawn(&["up"]);
    running.wait_for_call("docker stop web-1").signal(Signal::INT).wait_for_stderr(HEARD).release();
    assert_snapshot!(running.finish(), @"
    exit code: 130
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-2 healthy
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  interrupted: ending safely; a second one quits at once
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

#[test]
fn while_it_settles() {
    let scenario = Scenario::new(&web("x-zdd: {settle: 1h}")).with([old("web-1")]);
    let mut running = scenario.spawn(&["up"]);
    running.wait_for_stderr("settling").signal(Signal::INT);
    assert_snapshot!(heard_once(running), @r#"
    exit code: 130
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-2 healthy
    [TIME]  web  settling for 1h00m
    [TIME]  web  shop-web-2 stopping (grace 10s)
    [TIME]  web  shop-web-2 stopped (exit code 0)
    [TIME]  web  shop-web-2 removed
    [TIME]  web  interrupted in [TIME], serving shop-web-1

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  ░ starting  █ serving  ▓ stopping
    start [TIME], health [TIME], settle [TIME], stop [TIME], total [TIME]

    web: interrupted; shop-web-1 serves now
    hint: "docker zdd up" continues from here
    --- calls
    docker compose config
    docker compose config --hash *
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
    docker ps web
    docker stop web-2
    docker inspect web-2
    docker rm -v web-2
    docker ps web
    docker inspect web-1
    docker volume ls
    docker image ls zdd-revision/shop
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-1 old healthy
    at least: 1 of web
    "#);
}

#[test]
fn between_two_batches() {
    let scenario = Scenario::new(&web("scale: 2\nx-zdd: {parallelism: 1, delay: 1h}"))
        .with([old("web-1"), old("web-2")]);
    let mut running = scenario.spawn(&["up"]);
    running.wait_for_stderr("shop-web-1 stopped").signal(Signal::INT);
    assert_snapshot!(heard_once(running), @r#"
    exit code: 130
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 2 replicas, in 2 batches
    [TIME]  web  batch 1 of 2: start 1, retire 1
    [TIME]  web  shop-web-3 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-3 healthy
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  interrupted in [TIME], serving shop-web-2 and shop-web-3

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
      shop-web-3  [BAR]
                  ░ starting  █ serving  ▓ stopping
    start [TIME], health [TIME], stop [TIME], total [TIME]

    web: interrupted; shop-web-2 and shop-web-3 serve now
    hint: "docker zdd up" continues from here
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-1 web-2
    docker ps
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=3 web
    docker ps web
    docker compose up -d --no-deps --no-recreate --scale web=3 web
    docker ps web
    docker inspect web-3
    docker stop web-1
    docker inspect web-1
    docker rm -v web-1
    docker ps web
    docker inspect web-2 web-3
    docker volume ls
    docker image ls zdd-revision/shop
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-2 old healthy
    web-3 new healthy
    at least: 2 of web
    "#);
}

#[test]
fn while_it_undoes() {
    let scenario = one_by_one().starts("web", "starting, starting, healthy").starts("web", "exited 1");
    let mut running = scenario.when("docker start web-1", Action::Hold).spawn(&["up"]);
    running.wait_for_call("docker start web-1").signal(Signal::INT).wait_for_stderr(HEARD).release();
    assert_snapshot!(running.finish(), @r#"
    exit code: 3
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 3 replicas, in 3 batches
    [TIME]  web  batch 1 of 3: start 1, retire 1
    [TIME]  web  shop-web-4 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-4 healthy
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  batch 2 of 3: start 1, retire 1
    [TIME]  web  shop-web-5 started
    [TIME]  web  new version failed: shop-web-5 exited with code 1
    [TIME]  web  shop-web-5 stopping (grace 10s)
    [TIME]  web  shop-web-5 stopped (exit code 1)
    [TIME]  web  shop-web-5 removed
    [TIME]  interrupted: ending safely; a second one quits at once
    [TIME]  web  shop-web-1 starting again
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-1 serves again
    [TIME]  web  shop-web-4 stopping (grace 10s)
    [TIME]  web  shop-web-4 stopped (exit code 0)
    [TIME]  web  shop-web-4 removed
    [TIME]  web  rolled back in [TIME], serving shop-web-1, shop-web-2 and shop-web-3

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
      shop-web-3  [BAR]
      shop-web-4  [BAR]
      shop-web-5  [BAR]
                  ░ starting  █ serving  ▓ stopping  ! failed
    start [TIME], health [TIME], stop [TIME], rollback [TIME], total [TIME]

    web: the new version failed (shop-web-5); shop-web-1, shop-web-2 and shop-web-3 serve now
    hint: fix the new version, then run "docker zdd up" again
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-1 web-2 web-3
    docker ps
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=4 web
    docker ps web
    docker compose up -d --no-deps --no-recreate --scale web=4 web
    docker ps web
    docker inspect web-4
    docker stop web-1
    docker inspect web-1
    docker ps web
    docker compose up --no-start --no-deps --no-recreate --scale web=5 web
    docker ps web
    docker inspect web-5
    docker start web-5
    docker inspect web-5
    docker logs --tail 20 web-5
    docker ps web
    docker stop web-5
    docker inspect web-5
    docker rm -v web-5
    docker start web-1
    docker inspect web-1
    docker ps web
    docker inspect web-4
    docker stop web-4
    docker inspect web-4
    docker rm -v web-4
    docker ps web
    docker inspect web-1 web-2 web-3
    docker volume ls
    docker image ls zdd-revision/shop
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-1 old healthy
    web-2 old healthy
    web-3 old healthy
    at least: 3 of web
    "#);
}

#[test]
fn what_depends_on_it_is_not_begun() {
    let web = format!(
        "image: web\n{HEALTHCHECK}\ndepends_on: {{db: {{condition: service_healthy, required: true}}}}"
    );
    let file = project(&[("web", &web), ("db", &format!("image: db\n{HEALTHCHECK}"))]);
    let scenario = Scenario::new(&file).with([old("web-1"), old("db-1")]).starts("db", "starting");
    let mut running = scenario.spawn(&["up"]);
    running.wait_for_stderr("waiting until healthy").signal(Signal::INT);
    assert_snapshot!(heard_once(running), @r#"
    exit code: 130
    --- stderr
    [TIME]  db   roll: configuration changed
    [TIME]  web  roll: configuration changed
    [TIME]  db   roll to 1 replica
    [TIME]  db   shop-db-2 started
    [TIME]  db   waiting until healthy, at most [TIME]
    [TIME]  db   shop-db-2 stopping (grace 10s)
    [TIME]  db   shop-db-2 stopped (exit code 0)
    [TIME]  db   shop-db-2 removed
    [TIME]  db   interrupted in [TIME], serving shop-db-1

    db           [TIME] to [TIME]
      shop-db-1  [BAR]
      shop-db-2  [BAR]
                 ░ starting  █ serving  ▓ stopping
    start [TIME], health [TIME], stop [TIME], total [TIME]

    db: interrupted; shop-db-1 serves now; web: not started
    hint: "docker zdd up" continues from here
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect db web
    docker inspect db-1 web-1
    docker ps
    docker compose --dry-run up -d --no-deps --no-recreate --scale db=2 db
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=2 web
    docker ps db
    docker compose up -d --no-deps --no-recreate --scale db=2 db
    docker ps db
    docker inspect db-2
    docker ps db
    docker stop db-2
    docker inspect db-2
    docker rm -v db-2
    docker ps db
    docker inspect db-1
    docker volume ls
    docker image ls zdd-revision/shop
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    db-1 old healthy
    web-1 old healthy
    at least: 1 of db, 1 of web
    "#);
}

#[test]
fn twice_leaves_at_once() {
    let output = interrupted_twice();
    assert!(output.took.as_secs() < 5, "{:?}", output.took);
    assert_eq!(output.changes().last(), Some(&"docker stop web-1  → killed"), "{output}");
    assert!(output.stderr.contains(HEARD_TWICE), "{output}");
}

#[test]
fn twice_ends_a_drain() {
    let web = format!("image: web\n{HEALTHCHECK}");
    let scenario = Scenario::new(&project(&[("lb", "image: haproxy:3"), ("web", &web)]));
    let scenario = scenario.haproxy("web", 4, 1_000_000).with([old("web-1"), new("lb-1").is("running")]);
    let mut running = scenario.spawn(&["up"]);
    running.wait_for_stderr("shop-web-1 draining").signal(Signal::INT).wait_for_stderr(HEARD);
    running.signal(Signal::INT);
    let output = running.finish();
    assert!(output.took.as_secs() < 10, "{:?}", output.took);
    assert_eq!(output.exit.code(), Some(130), "{output}");
}

#[test]
fn twice_says_what_is_left() {
    let output = interrupted_twice();
    assert_eq!(output.exit.code(), Some(130), "{output}");
    assert!(!output.stderr.contains("the new version failed"), "{output}");
    assert!(!output.stderr.contains("nothing serves"), "{output}");
}

fn interrupted_twice() -> Output {
    let mut running = one_by_one().when("docker stop web-1", Action::Hang).spawn(&["up"]);
    running.wait_for_call("docker stop web-1").signal(Signal::INT).wait_for_stderr(HEARD);
    running.signal(Signal::INT);
    running.finish()
}

/// The Docker CLI's end of the socket that it names in the environment of a plugin.
struct Socket {
    name: String,
    listener: UnixListener,
}

impl Socket {
    fn listen(test: &str) -> Socket {
        let name = format!("docker_cli_test_{test}_{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("an address");
        let listener = UnixListener::bind_addr(&address).expect("a socket");
        Socket { name: format!("@{name}"), listener }
    }

    /// Accepts the plugin and hangs up.
    fn close(&self) {
        drop(self.listener.accept().expect("the plugin"));
    }
}

/// Else a `compose up` would go on making containers beside the next run.
#[test]
fn a_killed_run_takes_its_calls_with_it() {
    let mut running =
        Scenario::new(&web("")).with([old("web-1")]).when("docker stop", Action::Hold).spawn(&["up"]);
    running.wait_for_call("docker stop web-1").signal(Signal::KILL);
    let output = running.finish();
    assert_eq!(output.left, Vec::<String>::new(), "{output}");
}
