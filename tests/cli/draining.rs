//! Old containers leave the proxy before they stop.

use insta::assert_snapshot;

use crate::{
    files::{HEALTHCHECK, project, web},
    scenario::{Scenario, new, old},
    world::{Deed, Reading},
};

fn behind_haproxy(lines: &str) -> Scenario {
    let web = format!("image: web\n{HEALTHCHECK}\n{lines}");
    Scenario::new(&project(&[("lb", "image: haproxy:3"), ("web", &web)])).haproxy("web", 4, 3)
}

#[test]
fn haproxy_is_told() {
    let scenario = behind_haproxy("").with([old("web-1"), new("lb-1").is("running")]);
    let output = scenario.run(&["up"]);
    let slots = &output.world.proxy.as_ref().expect("a proxy").slots;
    assert!(!slots.iter().any(|slot| slot.drained), "{slots:?}");
    assert_snapshot!(output, @"
    exit code: 0
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  unchanged: lb
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-2 healthy
    [TIME]  web  shop-web-1 draining (HAProxy in shop-lb-1)
    [TIME]  web  shop-web-1 drained
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  done in [TIME], serving shop-web-2

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  ░ starting  █ serving  ▒ draining  ▓ stopping
    start [TIME], health [TIME], drain [TIME], stop [TIME], total [TIME]

    web is up to date
    --- calls
    docker compose version --short
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker image inspect haproxy:3 web
    docker ps
    docker inspect lb-1 web-1
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=2 web
    docker exec lb-1 sh -c SCRIPT zdd show servers state; show stat -1 4 -1
    docker ps web
    docker compose up -d --no-deps --no-recreate --scale web=2 web
    docker ps web
    docker inspect web-2
    docker exec lb-1 sh -c SCRIPT zdd show servers state; show stat -1 4 -1
    docker inspect web-1
    docker exec lb-1 sh -c SCRIPT zdd show servers state; show stat -1 4 -1
    docker exec lb-1 sh -c SCRIPT zdd set server app/app1 state drain; show servers state; show stat -1 4 -1
    docker exec lb-1 sh -c SCRIPT zdd show servers state; show stat -1 4 -1
    docker stop web-1
    docker inspect web-1
    docker exec lb-1 sh -c SCRIPT zdd show servers state; show stat -1 4 -1
    docker exec lb-1 sh -c SCRIPT zdd set server app/app1 state ready; show servers state; show stat -1 4 -1
    docker rm -v web-1
    docker ps web
    docker inspect web-2
    docker compose --dry-run up -d --scale lb=1 --scale web=1
    docker volume rm zdd-lock-shop
    --- containers
    lb-1 new running
    web-2 new healthy
    at least: 1 of lb, 1 of web
    ");
}

#[test]
fn haproxy_that_does_not_answer_is_no_obstacle() {
    let scenario = behind_haproxy("").with([old("web-1"), new("lb-1").is("running")]);
    let mute = Deed::Fail(1, "no runtime socket of HAProxy answers".to_owned());
    assert_snapshot!(scenario.when("docker exec lb-1", mute).run(&["up"]), @r#"
    exit code: 0
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  unchanged: lb
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-2 healthy
    [TIME]  web  warning: shop-lb-1 could not be asked to drain: "docker exec [ID of lb-1] sh" failed: no runtime socket of HAProxy answers
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
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker image inspect haproxy:3 web
    docker ps
    docker inspect lb-1 web-1
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=2 web
    docker exec lb-1 sh -c SCRIPT zdd show servers state; show stat -1 4 -1  → exit 1
    docker ps web
    docker compose up -d --no-deps --no-recreate --scale web=2 web
    docker ps web
    docker inspect web-2
    docker exec lb-1 sh -c SCRIPT zdd show servers state; show stat -1 4 -1  → exit 1
    docker inspect web-1
    docker exec lb-1 sh -c SCRIPT zdd show servers state; show stat -1 4 -1  → exit 1
    docker stop web-1
    docker inspect web-1
    docker rm -v web-1
    docker ps web
    docker inspect web-2
    docker compose --dry-run up -d --scale lb=1 --scale web=1
    docker volume rm zdd-lock-shop
    --- containers
    lb-1 new running
    web-2 new healthy
    at least: 1 of lb, 1 of web
    "#);
}

/// A run that was killed between drain and stop has left a slot drained: whoever comes there must serve.
#[test]
fn haproxy_forgets_a_killed_run() {
    let host = behind_haproxy("")
        .with([old("web-1"), new("lb-1").is("running")])
        .when("docker stop", Deed::Hold)
        .host();
    let mut first = host.spawn(&["up"]);
    first.wait_for_call("docker stop");
    first.kill();
    host.change(|world| world.rules.clear());
    let output = host.run(&["up"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    let slots = &output.world.proxy.as_ref().expect("a proxy").slots;
    assert!(!slots.iter().any(|slot| slot.drained), "{slots:?}\n{output}");
}

#[test]
fn until_docker_calls_it_unhealthy() {
    let file = web("pre_stop: [{command: [drain]}]\nx-zdd: {drain: unhealthy}");
    let unhealthy = Deed::Becomes("web-1".to_owned(), Reading::parse("unhealthy: draining"));
    let scenario = Scenario::new(&file).with([old("web-1")]).when("docker exec web-1", unhealthy);
    assert_snapshot!(scenario.run(&["up"]), @"
    exit code: 0
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-2 healthy
    [TIME]  web  shop-web-1 draining (pre_stop)
    [TIME]  web  running pre_stop hook of shop-web-1
    [TIME]  web  pre_stop hook of shop-web-1 done
    [TIME]  web  shop-web-1 drained
    [TIME]  web  shop-web-1 draining (until unhealthy)
    [TIME]  web  shop-web-1 drained
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  done in [TIME], serving shop-web-2

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  ░ starting  █ serving  ▒ draining  ▓ stopping
    start [TIME], health [TIME], drain [TIME], stop [TIME], total [TIME]

    web is up to date
    --- calls
    docker compose version --short
    docker compose config
    docker compose config --hash *
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
    docker exec web-1 drain
    docker inspect web-1
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
fn in_vain_until_the_drain_timeout() {
    let file = web("x-zdd: {drain: unhealthy, drain_timeout: 300ms}");
    let output = Scenario::new(&file).with([old("web-1")]).run(&["up"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert_snapshot!(output.stderr, @"
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-2 healthy
    [TIME]  web  shop-web-1 draining (until unhealthy)
    [TIME]  web  shop-web-1 drained (it never became unhealthy; does its pre_stop hook make the healthcheck fail?)
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  done in [TIME], serving shop-web-2

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  ░ starting  █ serving  ▒ draining  ▓ stopping
    start [TIME], health [TIME], drain [TIME], stop [TIME], total [TIME]

    web is up to date
    ");
}

#[test]
fn for_a_time() {
    let file = web("x-zdd: {drain: 300ms}");
    let output = Scenario::new(&file).with([old("web-1")]).run(&["up"]);
    assert!(output.took.as_millis() >= 300, "{output}");
    assert_snapshot!(output.stderr, @"
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-2 healthy
    [TIME]  web  shop-web-1 draining (300ms)
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  done in [TIME], serving shop-web-2

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  ░ starting  █ serving  ▒ draining  ▓ stopping
    start [TIME], health [TIME], drain [TIME], stop [TIME], total [TIME]

    web is up to date
    ");
}
