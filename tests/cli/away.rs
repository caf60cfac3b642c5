//! An engine that leaves in the middle of a rollout, and comes back or does not.

use std::time::Duration;

use insta::assert_snapshot;

use crate::{
    files::web,
    scenario::{Scenario, old},
    world::Action,
};

#[test]
fn the_engine_dies_at_the_stop() {
    let scenario = Scenario::new(&web("")).with([old("web-1")]).env("ZDD_CALL_TIMEOUT", "2s");
    let output = scenario.when_nth(1, "docker stop", Action::EngineDies).run(&["up"]);
    assert_eq!(output.exit.code(), Some(4), "{output}");
    let dead =
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";
    for said in [
        "warning: the engine does not answer any more; waiting for it, at most [TIME]".to_owned(),
        format!("web  new version failed: docker stop failed: {dead}"),
        format!("web  warning: the rollback failed: docker inspect failed: {dead}"),
        "web: the new version failed, and so did the rollback; what serves now is unknown".to_owned(),
    ] {
        assert_eq!(output.stderr.matches(&said).count(), 1, "{said}\n{output}");
    }
    assert!(output.took < Duration::from_secs(10), "{output}");
}

/// As `dockerd` does when it is restarted with live-restore.
#[test]
fn the_engine_leaves_at_the_stop_and_comes_back() {
    let scenario = Scenario::new(&web("")).with([old("web-1")]);
    assert_snapshot!(scenario.when_nth(1, "docker stop", Action::EngineLeaves(2)).run(&["up"]), @"
    exit code: 0
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-2 healthy
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  warning: the engine does not answer any more; waiting for it, at most [TIME]
    [TIME]  warning: the engine answers again; it was away for [TIME]
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
    docker stop web-1  → exit 1
    docker version --format {{.Server.Version}}  → exit 1
    docker version --format {{.Server.Version}}
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
fn before_anything_is_touched_an_engine_that_leaves_is_not_waited_for() {
    let scenario = Scenario::new(&web("")).with([old("web-1")]);
    let output = scenario.when("docker inspect", Action::EngineLeaves(1)).run(&["up"]);
    assert_eq!(output.exit.code(), Some(1), "{output}");
}

/// A hook may have been run.
#[test]
fn the_engine_leaves_in_the_middle_of_a_hook() {
    let scenario = Scenario::new(&web("pre_stop: [{command: [drain]}]")).with([old("web-1")]);
    let eof = Action::FailAfter(1, "error during connect: Post \"http://x/exec/1/start\": EOF".to_owned());
    let output = scenario.when("docker exec", eof).run(&["up"]);
    assert_eq!(output.calls.iter().filter(|call| call.contains("docker exec")).count(), 1, "{output}");
}

/// What the call was to do has been done.
#[test]
fn the_engine_leaves_in_the_middle_of_the_removal() {
    let scenario = Scenario::new(&web("")).with([old("web-1")]);
    let eof = Action::FailAfter(1, "error during connect: Delete \"http://x/containers/1\": EOF".to_owned());
    let output = scenario.when_nth(1, "docker rm", eof).run(&["up"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert!(!output.stderr.contains("could be removed"), "{output}");
}
