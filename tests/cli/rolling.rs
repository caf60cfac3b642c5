//! Updates that go well.

use std::time::Duration;

use insta::assert_snapshot;

use crate::{
    files::{HEALTHCHECK, bare, project, web},
    history::twice,
    scenario::{Scenario, new, old},
    world::{Action, Rule},
};

/// A run that was killed after its stop has left it so, and Compose starts it as it is.
#[test]
fn a_lost_restart_policy_comes_back_with_the_container() {
    let stopped = new("web-1").is("exited 0").restarts("starting, healthy").policy("no");
    let output = Scenario::new(&web("restart: always")).with([stopped]).run(&["up"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert_eq!(output.world.containers[0].restart, "always", "{output}");
}

#[test]
fn first_start() {
    assert_snapshot!(Scenario::new(&web("scale: 2")).run(&["up"]), @"
    exit code: 0
    --- stderr
    [TIME]  web  create: not running (web)
    [TIME]  web  create 2 replicas
    [TIME]  web  shop-web-1 started
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-1 healthy
    [TIME]  web  shop-web-2 healthy
    [TIME]  web  done in [TIME], serving shop-web-1 and shop-web-2

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  ░ starting  █ serving
    start [TIME], health [TIME], total [TIME]

    web (web) is up to date
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker ps
    docker ps web
    docker compose up -d --no-deps --no-recreate --scale web=2 web
    docker ps web
    docker inspect web-1 web-2
    docker ps web
    docker compose --dry-run up -d --scale web=2
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image web] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-1 new healthy
    web-2 new healthy
    at least: 0 of web
    ");
}

#[test]
fn three_replicas_at_once() {
    let scenario = Scenario::new(&web("scale: 3")).with([old("web-1"), old("web-2"), old("web-3")]);
    assert_snapshot!(scenario.run(&["up"]), @"
    exit code: 0
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 3 replicas, all at once
    [TIME]  web  shop-web-4 started
    [TIME]  web  shop-web-5 started
    [TIME]  web  shop-web-6 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-4 healthy
    [TIME]  web  shop-web-5 healthy
    [TIME]  web  shop-web-6 healthy
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-2 stopping (grace 10s)
    [TIME]  web  shop-web-3 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-2 stopped (exit code 0)
    [TIME]  web  shop-web-3 stopped (exit code 0)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  shop-web-2 removed
    [TIME]  web  shop-web-3 removed
    [TIME]  web  done in [TIME], serving shop-web-4, shop-web-5 and shop-web-6

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
      shop-web-3  [BAR]
      shop-web-4  [BAR]
      shop-web-5  [BAR]
      shop-web-6  [BAR]
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
    docker inspect web-1 web-2 web-3
    docker ps
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=6 web
    docker ps web
    docker compose up -d --no-deps --no-recreate --scale web=6 web
    docker ps web
    docker inspect web-4 web-5 web-6
    docker stop web-1 web-2 web-3
    docker inspect web-1 web-2 web-3
    docker inspect web-4 web-5 web-6
    docker rm -v web-1 web-2 web-3
    docker ps web
    docker inspect web-4 web-5 web-6
    docker compose --dry-run up -d --scale web=3
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image web] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-4 new healthy
    web-5 new healthy
    web-6 new healthy
    at least: 3 of web
    ");
}

#[test]
fn nothing_to_do() {
    let scenario = Scenario::new(&web("scale: 2")).with([new("web-1"), new("web-2")]);
    assert_snapshot!(scenario.run(&["up"]), @"
    exit code: 0
    --- stderr
    [TIME]  unchanged: web
    project shop is up to date; nothing was touched
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-1 web-2
    docker ps
    docker compose --dry-run up -d --scale web=2
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-1 new healthy
    web-2 new healthy
    at least: 2 of web
    ");
}

#[test]
fn the_image_alone_changed() {
    let scenario = Scenario::new(&web("stop_grace_period: 1m30s")).with([new("web-1").other_image()]);
    assert_snapshot!(scenario.run(&["up"]), @r#"
    exit code: 0
    --- stderr
    [TIME]  web  roll: image changed (d8715625b081 → 3d7d6ef7f201)
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-2 healthy
    [TIME]  web  shop-web-1 stopping (grace 1m30s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  done in [TIME], serving shop-web-2 (3d7d6ef7f201)

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  ░ starting  █ serving  ▓ stopping
    start [TIME], health [TIME], stop [TIME], total [TIME]

    web (d8715625b081 → 3d7d6ef7f201) is up to date
    hint: what ran before is kept as revision 0; "docker zdd rollback" goes back to it
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
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image ] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r0
    docker volume create zdd-revision-shop-0
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
    "#);
}

#[test]
fn nothing_changed_but_it_is_forced() {
    let scenario = Scenario::new(&web("")).with([new("web-1")]);
    assert_snapshot!(scenario.run(&["up", "--force-recreate"]), @"
    exit code: 0
    --- stderr
    [TIME]  web  roll: forced
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
fn scaled_up() {
    let scenario = Scenario::new(&web("scale: 3")).with([new("web-1")]);
    assert_snapshot!(scenario.run(&["up"]), @r#"
    exit code: 0
    --- stderr
    [TIME]  web  scale: 1 of 3 replicas run
    [TIME]  web  scale to 3 replicas
    [TIME]  web  shop-web-2 started
    [TIME]  web  shop-web-3 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-2 healthy
    [TIME]  web  shop-web-3 healthy
    [TIME]  web  done in [TIME], serving shop-web-1, shop-web-2 and shop-web-3

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
      shop-web-3  [BAR]
                  ░ starting  █ serving
    start [TIME], health [TIME], total [TIME]

    web is up to date
    hint: what ran before is kept as revision 0; "docker zdd rollback" goes back to it
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-1
    docker ps
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=3 web
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image web] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r0
    docker volume create zdd-revision-shop-0
    docker ps web
    docker compose up -d --no-deps --no-recreate --scale web=3 web
    docker ps web
    docker inspect web-2 web-3
    docker ps web
    docker inspect web-1 web-2 web-3
    docker compose --dry-run up -d --scale web=3
    docker volume ls
    docker image ls zdd-revision/shop
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-1 new healthy
    web-2 new healthy
    web-3 new healthy
    at least: 1 of web
    "#);
}

#[test]
fn scaled_down_to_the_oldest() {
    let scenario =
        Scenario::new(&web("")).with([new("web-4"), new("web-5"), new("web-6").is("unhealthy: refused")]);
    assert_snapshot!(scenario.run(&["up"]), @r#"
    exit code: 0
    --- stderr
    [TIME]  web  scale: 3 of 1 replicas run
    [TIME]  web  scale to 1 replica
    [TIME]  web  shop-web-6 stopping (grace 10s)
    [TIME]  web  shop-web-5 stopping (grace 10s)
    [TIME]  web  shop-web-6 stopped (exit code 0)
    [TIME]  web  shop-web-5 stopped (exit code 0)
    [TIME]  web  shop-web-6 removed
    [TIME]  web  shop-web-5 removed
    [TIME]  web  done in [TIME], serving shop-web-4

    web           [TIME] to [TIME]
      shop-web-4  [BAR]
      shop-web-5  [BAR]
      shop-web-6  [BAR]
                  █ serving  ▓ stopping
    stop [TIME], total [TIME]

    web is up to date
    hint: what ran before is kept as revision 0; "docker zdd rollback" goes back to it
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-4 web-5 web-6
    docker ps
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image web] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r0
    docker volume create zdd-revision-shop-0
    docker stop web-6 web-5
    docker inspect web-5 web-6
    docker rm -v web-6 web-5
    docker ps web
    docker inspect web-4
    docker compose --dry-run up -d --scale web=1
    docker volume ls
    docker image ls zdd-revision/shop
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-4 new healthy
    at least: 1 of web
    "#);
}

#[test]
fn scaled_by_a_flag_while_it_changes() {
    let scenario = Scenario::new(&web("scale: 3")).with([old("web-1"), old("web-2"), old("web-3")]);
    assert_snapshot!(scenario.run(&["up", "--scale", "web=1"]), @"
    exit code: 0
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-4 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-4 healthy
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-2 stopping (grace 10s)
    [TIME]  web  shop-web-3 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-2 stopped (exit code 0)
    [TIME]  web  shop-web-3 stopped (exit code 0)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  shop-web-2 removed
    [TIME]  web  shop-web-3 removed
    [TIME]  web  done in [TIME], serving shop-web-4

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
      shop-web-3  [BAR]
      shop-web-4  [BAR]
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
    docker inspect web-1 web-2 web-3
    docker ps
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=4 web
    docker ps web
    docker compose up -d --no-deps --no-recreate --scale web=4 web
    docker ps web
    docker inspect web-4
    docker stop web-1 web-2 web-3
    docker inspect web-1 web-2 web-3
    docker inspect web-4
    docker rm -v web-1 web-2 web-3
    docker ps web
    docker inspect web-4
    docker compose --dry-run up -d --scale web=1
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image web] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-4 new healthy
    at least: 1 of web
    ");
}

#[test]
fn scaled_to_nothing() {
    let scenario = Scenario::new(&web("scale: 0")).with([new("web-1")]);
    assert_snapshot!(scenario.run(&["up"]), @r#"
    exit code: 0
    --- stderr
    [TIME]  web  scale: 1 of 0 replicas run
    [TIME]  web  scale to 0 replicas
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  done in [TIME], nothing serves

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
                  █ serving  ▓ stopping
    stop [TIME], total [TIME]

    web is up to date
    hint: what ran before is kept as revision 0; "docker zdd rollback" goes back to it
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
    docker image ls zdd-revision/shop
    docker tag [image web] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r0
    docker volume create zdd-revision-shop-0
    docker stop web-1
    docker inspect web-1
    docker rm -v web-1
    docker ps web
    docker compose --dry-run up -d --scale web=0
    docker volume ls
    docker image ls zdd-revision/shop
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    at least: 0 of web
    "#);
}

#[test]
fn one_at_a_time() {
    let file = web("scale: 3\nx-zdd: {parallelism: 1}");
    let scenario = Scenario::new(&file).with([old("web-1"), old("web-2"), old("web-3")]);
    assert_snapshot!(scenario.run(&["up"]), @"
    exit code: 0
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
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-5 healthy
    [TIME]  web  shop-web-2 stopping (grace 10s)
    [TIME]  web  shop-web-2 stopped (exit code 0)
    [TIME]  web  batch 3 of 3: start 1, retire 1
    [TIME]  web  shop-web-6 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-6 healthy
    [TIME]  web  shop-web-3 stopping (grace 10s)
    [TIME]  web  shop-web-3 stopped (exit code 0)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  shop-web-2 removed
    [TIME]  web  shop-web-3 removed
    [TIME]  web  done in [TIME], serving shop-web-4, shop-web-5 and shop-web-6

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
      shop-web-3  [BAR]
      shop-web-4  [BAR]
      shop-web-5  [BAR]
      shop-web-6  [BAR]
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
    docker stop web-2
    docker inspect web-2
    docker ps web
    docker compose up --no-start --no-deps --no-recreate --scale web=6 web
    docker ps web
    docker inspect web-6
    docker start web-6
    docker inspect web-6
    docker stop web-3
    docker inspect web-3
    docker inspect web-4 web-5 web-6
    docker rm -v web-1 web-2 web-3
    docker ps web
    docker inspect web-4 web-5 web-6
    docker compose --dry-run up -d --scale web=3
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image web] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-4 new healthy
    web-5 new healthy
    web-6 new healthy
    at least: 3 of web
    ");
}

#[test]
fn flags_win_over_the_file() {
    let file = web("scale: 3\nx-zdd: {parallelism: 1, order: stop-first}");
    let scenario = Scenario::new(&file).with([old("web-1"), old("web-2"), old("web-3")]);
    let args = ["up", "--parallelism", "2", "--order", "start-first", "--delay", "10ms", "--settle", "10ms"];
    assert_snapshot!(scenario.run(&args), @"
    exit code: 0
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 3 replicas, in 2 batches
    [TIME]  web  batch 1 of 2: start 2, retire 2
    [TIME]  web  shop-web-4 started
    [TIME]  web  shop-web-5 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-4 healthy
    [TIME]  web  shop-web-5 healthy
    [TIME]  web  settling for [TIME]
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-2 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-2 stopped (exit code 0)
    [TIME]  web  batch 2 of 2: start 1, retire 1
    [TIME]  web  shop-web-6 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-6 healthy
    [TIME]  web  settling for [TIME]
    [TIME]  web  shop-web-3 stopping (grace 10s)
    [TIME]  web  shop-web-3 stopped (exit code 0)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  shop-web-2 removed
    [TIME]  web  shop-web-3 removed
    [TIME]  web  done in [TIME], serving shop-web-4, shop-web-5 and shop-web-6

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
      shop-web-3  [BAR]
      shop-web-4  [BAR]
      shop-web-5  [BAR]
      shop-web-6  [BAR]
                  ░ starting  █ serving  ▓ stopping
    start [TIME], health [TIME], settle [TIME], stop [TIME], total [TIME]

    web is up to date
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-1 web-2 web-3
    docker ps
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=5 web
    docker ps web
    docker compose up -d --no-deps --no-recreate --scale web=5 web
    docker ps web
    docker inspect web-4 web-5
    docker stop web-1 web-2
    docker inspect web-1 web-2
    docker ps web
    docker compose up --no-start --no-deps --no-recreate --scale web=6 web
    docker ps web
    docker inspect web-6
    docker start web-6
    docker inspect web-6
    docker stop web-3
    docker inspect web-3
    docker inspect web-4 web-5 web-6
    docker rm -v web-1 web-2 web-3
    docker ps web
    docker inspect web-4 web-5 web-6
    docker compose --dry-run up -d --scale web=3
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image web] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-4 new healthy
    web-5 new healthy
    web-6 new healthy
    at least: 3 of web
    ");
}

#[test]
fn stop_first_because_it_is_written() {
    let file = web("deploy: {replicas: 2, update_config: {parallelism: 1, order: stop-first}}");
    let scenario = Scenario::new(&file).with([old("web-1"), old("web-2")]);
    assert_snapshot!(scenario.run(&["up"]), @"
    exit code: 0
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 2 replicas, in 2 batches
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  batch 1 of 2: start 1, retire 1
    [TIME]  web  shop-web-3 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-3 healthy
    [TIME]  web  shop-web-2 stopping (grace 10s)
    [TIME]  web  shop-web-2 stopped (exit code 0)
    [TIME]  web  batch 2 of 2: start 1, retire 1
    [TIME]  web  shop-web-4 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-4 healthy
    [TIME]  web  shop-web-1 removed
    [TIME]  web  shop-web-2 removed
    [TIME]  web  done in [TIME], serving shop-web-3 and shop-web-4

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
      shop-web-3  [BAR]
      shop-web-4  [BAR]
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
    docker inspect web-1 web-2
    docker ps
    docker compose --dry-run up --no-start --no-deps --no-recreate --scale web=3 web
    docker stop web-1
    docker inspect web-1
    docker ps web
    docker compose up --no-start --no-deps --no-recreate --scale web=3 web
    docker ps web
    docker inspect web-3
    docker start web-3
    docker inspect web-3
    docker stop web-2
    docker inspect web-2
    docker ps web
    docker compose up --no-start --no-deps --no-recreate --scale web=4 web
    docker ps web
    docker inspect web-4
    docker start web-4
    docker inspect web-4
    docker inspect web-3 web-4
    docker rm -v web-1 web-2
    docker ps web
    docker inspect web-3 web-4
    docker compose --dry-run up -d --scale web=2
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image web] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-3 new healthy
    web-4 new healthy
    at least: 1 of web
    ");
}

#[test]
fn without_a_healthcheck_it_is_watched() {
    let scenario = Scenario::new(&bare("x-zdd: {monitor: 1s}")).with([old("web-1").is("running")]);
    let output = scenario.run(&["up"]);
    assert!(output.took.as_secs() >= 1, "{output}");
    assert_snapshot!(output, @"
    exit code: 0
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  no healthcheck: watching for [TIME]
    [TIME]  web  shop-web-2 ready
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
    web-2 new running
    at least: 1 of web
    ");
}

#[test]
fn stopped_ones_do_not_come_back_with_the_engine() {
    let containers = [
        old("web-1").policy("always"),
        old("web-2").policy("unless-stopped"),
        old("web-3").policy("on-failure:5"),
    ];
    let scenario = Scenario::new(&web("scale: 3\nrestart: always")).with(containers);
    assert_snapshot!(scenario.run(&["up", "--timeout", "7"]), @"
    exit code: 0
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 3 replicas, all at once
    [TIME]  web  shop-web-4 started
    [TIME]  web  shop-web-5 started
    [TIME]  web  shop-web-6 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-4 healthy
    [TIME]  web  shop-web-5 healthy
    [TIME]  web  shop-web-6 healthy
    [TIME]  web  shop-web-1 stopping (grace 7s)
    [TIME]  web  shop-web-2 stopping (grace 7s)
    [TIME]  web  shop-web-3 stopping (grace 7s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-2 stopped (exit code 0)
    [TIME]  web  shop-web-3 stopped (exit code 0)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  shop-web-2 removed
    [TIME]  web  shop-web-3 removed
    [TIME]  web  done in [TIME], serving shop-web-4, shop-web-5 and shop-web-6

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
      shop-web-3  [BAR]
      shop-web-4  [BAR]
      shop-web-5  [BAR]
      shop-web-6  [BAR]
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
    docker inspect web-1 web-2 web-3
    docker ps
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=6 web
    docker ps web
    docker compose up -d --no-deps --no-recreate --scale web=6 web
    docker ps web
    docker inspect web-4 web-5 web-6
    docker stop --time=7 web-1 web-2 web-3
    docker inspect web-1 web-2 web-3
    docker update --restart=no web-1 web-3
    docker inspect web-4 web-5 web-6
    docker rm -v web-1 web-2 web-3
    docker ps web
    docker inspect web-4 web-5 web-6
    docker compose --dry-run up -d --scale web=3
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image web] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-4 new healthy, restart always
    web-5 new healthy, restart always
    web-6 new healthy, restart always
    at least: 3 of web
    ");
}

/// A terminal that stays blank for a second looks broken.
#[test]
fn what_is_done_is_said_before_compose_has_answered() {
    let host = twice(Scenario::new(&web("")).with([old("web-1")]));
    host.change(|world| {
        let (call, action) = ("docker compose config".to_owned(), Action::Hold);
        world.rules.push(Rule { call, nth: 0, seen: 0, action });
    });
    for args in [&["up"][..], &["restart"], &["rollback"]] {
        let mut running = host.spawn(args);
        running.wait_for_call("docker compose config").wait_for_stderr("  reading the project\n");
        running.release();
        let output = running.finish();
        assert_eq!(output.exit.code(), Some(0), "{output}");
    }
    host.change(|world| world.rules.clear());
    let dry = host.run(&["up", "--dry-run"]);
    assert_eq!((dry.exit.code(), dry.stderr.as_str()), (Some(0), ""), "{dry}");
}

#[test]
fn hooks_of_the_file() {
    let hooks = r#"
pre_start:
  - command: [migrate, "$$up"]
    user: app
    environment: {TOKEN: "s$$ecret"}
post_start:
  - command: [warm]
pre_stop:
  - command: [drain, --now]
    user: root
    privileged: true
    working_dir: /srv
    environment: {WAIT: "3"}
  - command: [sh, -c, "echo $$HOME"]"#;
    let containers = [old("web-1").stops_with(143), old("web-2").is("exited 0")];
    let scenario = Scenario::new(&web(hooks)).with(containers);
    assert_snapshot!(scenario.run(&["up"]), @r#"
    exit code: 0
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 1 replica
    [TIME]  web  running pre_start hook
    [TIME]  web  pre_start hook done
    [TIME]  web  shop-web-3 started
    [TIME]  web  running post_start hook of shop-web-3
    [TIME]  web  post_start hook of shop-web-3 done
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-3 healthy
    [TIME]  web  shop-web-1 draining (pre_stop)
    [TIME]  web  running pre_stop hook of shop-web-1
    [TIME]  web  pre_stop hook of shop-web-1 done
    [TIME]  web  running pre_stop hook of shop-web-1
    [TIME]  web  pre_stop hook of shop-web-1 done
    [TIME]  web  shop-web-1 drained
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 143)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  shop-web-2 removed
    [TIME]  web  done in [TIME], serving shop-web-3

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-3  [BAR]
                  ░ starting  █ serving  ▒ draining  ▓ stopping
    start [TIME], health [TIME], drain [TIME], stop [TIME], total [TIME]

    web is up to date
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-1 web-2
    docker ps
    docker compose --dry-run up --no-start --no-deps --no-recreate --scale web=3 web
    docker ps --filter label=io.zdd.pre-start=web
    docker compose config web
    docker compose --file - run --rm -T --no-deps --label traefik.enable=false --label io.zdd.pre-start=web --env TOKEN ("s$ecret" in its environment) --user app web migrate $up <stdin bb3da0b6>
    docker ps web
    docker compose up --no-start --no-deps --no-recreate --scale web=3 web
    docker ps web
    docker inspect web-3
    docker start web-3
    docker exec web-3 warm
    docker inspect web-3
    docker exec --user root --workdir /srv --privileged --env WAIT ("3" in its environment) web-1 drain --now
    docker exec web-1 sh -c echo $HOME
    docker stop web-1
    docker inspect web-1
    docker inspect web-3
    docker rm -v web-1 web-2
    docker ps web
    docker inspect web-3
    docker compose --dry-run up --no-start --scale web=1
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image web] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-3 new healthy
    at least: 1 of web
    "#);
}

#[test]
fn hook_in_the_label_of_docker_rollout() {
    let labelled = old("web-1").raw_label("docker-rollout.pre-stop-hook", "touch /tmp/drain && sleep 1");
    assert_snapshot!(Scenario::new(&web("")).with([labelled]).run(&["up"]), @"
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
    docker exec web-1 sh -c touch /tmp/drain && sleep 1
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
fn one_replica_had_crashed() {
    let containers = [old("web-1"), old("web-2").is("exited 1"), old("web-3").is("restarting 7")];
    let scenario = Scenario::new(&web("scale: 3\nx-zdd: {parallelism: 2}")).with(containers);
    assert_snapshot!(scenario.run(&["up"]), @"
    exit code: 0
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 3 replicas, in 2 batches
    [TIME]  web  batch 1 of 2: start 2, retire 1
    [TIME]  web  shop-web-4 started
    [TIME]  web  shop-web-5 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-4 healthy
    [TIME]  web  shop-web-5 healthy
    [TIME]  web  shop-web-3 stopping (grace 10s)
    [TIME]  web  shop-web-3 stopped (exit code 0)
    [TIME]  web  batch 2 of 2: start 1, retire 1
    [TIME]  web  shop-web-6 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-6 healthy
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-3 removed
    [TIME]  web  shop-web-1 removed
    [TIME]  web  shop-web-2 removed
    [TIME]  web  done in [TIME], serving shop-web-4, shop-web-5 and shop-web-6

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-3  [BAR]
      shop-web-4  [BAR]
      shop-web-5  [BAR]
      shop-web-6  [BAR]
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
    docker inspect web-1 web-2 web-3
    docker ps
    docker compose --dry-run up --no-start --no-deps --no-recreate --scale web=5 web
    docker ps web
    docker compose up --no-start --no-deps --no-recreate --scale web=5 web
    docker ps web
    docker inspect web-4 web-5
    docker start web-4 web-5
    docker inspect web-4 web-5
    docker stop web-3
    docker inspect web-3
    docker ps web
    docker compose up --no-start --no-deps --no-recreate --scale web=6 web
    docker ps web
    docker inspect web-6
    docker start web-6
    docker inspect web-6
    docker stop web-1
    docker inspect web-1
    docker inspect web-4 web-5 web-6
    docker rm -v web-3 web-1 web-2
    docker ps web
    docker inspect web-4 web-5 web-6
    docker compose --dry-run up -d --scale web=3
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image web] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-4 new healthy
    web-5 new healthy
    web-6 new healthy
    at least: 1 of web
    ");
}

/// What a dry run of Compose fails on, or says nothing of, is started and recreated all the same.
#[test]
fn what_cannot_be_previewed_is_fixed() {
    let hook = "pre_start: [{command: [migrate]}]";
    let cases = [
        (web(hook), vec![new("web-1").is("exited 0").restarts("healthy")]),
        (
            web(&format!("{hook}\nports: [{{target: 80, published: '80'}}]")),
            vec![old("web-1").is("restarting 3")],
        ),
        (web("post_start: [{command: [warm]}]\ncontainer_name: web"), vec![old("web-1").is("restarting 3")]),
        (
            web("container_name: web"),
            vec![old("web-1").named("web"), old("web-2").named("0123456789ab_web").is("created")],
        ),
    ];
    for (file, containers) in cases {
        let output = Scenario::new(&file).with(containers).run(&["up", "--allow-downtime"]);
        assert_eq!(output.exit.code(), Some(0), "{output}");
        assert_eq!(output.world.containers.len(), 1, "{output}");
    }
}

#[test]
fn a_crashed_replica_of_the_wanted_version_is_replaced() {
    let scenario = Scenario::new(&web("scale: 2")).with([new("web-1"), new("web-2").is("exited 137")]);
    assert_snapshot!(scenario.run(&["up"]), @"
    exit code: 0
    --- stderr
    [TIME]  web  scale: 1 of 2 replicas run
    [TIME]  web  scale to 2 replicas
    [TIME]  web  shop-web-3 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-3 healthy
    [TIME]  web  shop-web-2 removed
    [TIME]  web  done in [TIME], serving shop-web-1 and shop-web-3

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-3  [BAR]
                  ░ starting  █ serving
    start [TIME], health [TIME], total [TIME]

    web is up to date
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-1 web-2
    docker ps
    docker compose --dry-run up --no-start --no-deps --no-recreate --scale web=3 web
    docker ps web
    docker compose up --no-start --no-deps --no-recreate --scale web=3 web
    docker ps web
    docker inspect web-3
    docker start web-3
    docker inspect web-3
    docker rm -v web-2
    docker ps web
    docker inspect web-1 web-3
    docker compose --dry-run up -d --scale web=2
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image web] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-1 new healthy
    web-3 new healthy
    at least: 1 of web
    ");
}

#[test]
fn left_over_from_a_killed_run() {
    let containers = [old("web-1"), old("web-2"), new("web-3"), new("web-4").is("created")];
    let scenario = Scenario::new(&web("scale: 2")).with(containers);
    assert_snapshot!(scenario.run(&["up"]), @"
    exit code: 0
    --- stderr
    [TIME]  web  roll: configuration changed; 1 replica done before, 2 to go
    [TIME]  web  roll to 2 replicas, all at once
    [TIME]  web  shop-web-5 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-5 healthy
    [TIME]  web  shop-web-3 healthy
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-2 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-2 stopped (exit code 0)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  shop-web-2 removed
    [TIME]  web  shop-web-4 removed
    [TIME]  web  done in [TIME], serving shop-web-3 and shop-web-5

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
      shop-web-3  [BAR]
      shop-web-5  [BAR]
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
    docker inspect web-1 web-2 web-3 web-4
    docker ps
    docker compose --dry-run up --no-start --no-deps --no-recreate --scale web=5 web
    docker ps web
    docker compose up --no-start --no-deps --no-recreate --scale web=5 web
    docker ps web
    docker inspect web-5
    docker start web-5
    docker inspect web-3 web-5
    docker stop web-1 web-2
    docker inspect web-1 web-2
    docker inspect web-3 web-5
    docker rm -v web-1 web-2 web-4
    docker ps web
    docker inspect web-3 web-5
    docker compose --dry-run up -d --scale web=2
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image web] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-3 new healthy
    web-5 new healthy
    at least: 2 of web
    ");
}

#[test]
fn left_over_and_the_wanted_state_is_reached() {
    let containers = [new("web-3"), old("web-1").is("exited 0"), old("web-2").is("created")];
    assert_snapshot!(Scenario::new(&web("")).with(containers).run(&["up"]), @"
    exit code: 0
    --- stderr
    [TIME]  web  scale: removes 2 stopped containers of it
    [TIME]  web  scale to 1 replica
    [TIME]  web  shop-web-1 removed
    [TIME]  web  shop-web-2 removed
    [TIME]  web  done in [TIME], serving shop-web-3

    web           [TIME] to [TIME]
      shop-web-3  [BAR]
                  █ serving
    total [TIME]

    web is up to date
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-1 web-2 web-3
    docker ps
    docker rm -v web-1 web-2
    docker ps web
    docker inspect web-3
    docker compose --dry-run up -d --scale web=1
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image web] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-3 new healthy
    at least: 1 of web
    ");
}

#[test]
fn one_offs_and_runners_of_hooks_are_nobodys_business() {
    let strangers = [
        old("web-9").named("web-run-1a2b3c").label("oneoff", "True").is("running"),
        old("web-8").named("web-run-4d5e6f").label("oneoff", "True").is("exited 0"),
        old("web-7")
            .named("web-hook")
            .label("oneoff", "")
            .label("config-hash", "")
            .label("hook", "pre_start")
            .is("exited 1"),
        old("web-1").named("web-other").label("project", "another"),
    ];
    let output =
        Scenario::new(&web("")).with([old("web-1")]).with(strangers).run(&["up", "--remove-orphans"]);
    for call in output.changes() {
        assert!(
            !["web-run", "web-hook", "web-other"].iter().any(|name| call.contains(name)),
            "{call}\n{output}"
        );
    }
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
    web-hook old exited 1
    web-other old healthy
    web-run-1a2b3c old running
    web-run-4d5e6f old exited 0
    at least: 1 of web
    ");
}

#[test]
fn orphans_stay() {
    let scenario = Scenario::new(&web("")).with([new("web-1"), new("gone-1")]);
    assert_snapshot!(scenario.run(&["up"]), @"
    exit code: 0
    --- stderr
    [TIME]  unchanged: web
    project shop is up to date; nothing was touched
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect gone-1 web-1
    docker ps
    docker compose --profile * config --services
    docker compose --dry-run up -d --scale web=1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    gone-1 new healthy
    web-1 new healthy
    at least: 1 of web
    ");
}

#[test]
fn orphans_go_on_request() {
    let file = project(&[
        ("web", &format!("image: web\n{HEALTHCHECK}")),
        ("tool", "image: tool\nprofiles: [tools]"),
    ]);
    let scenario = Scenario::new(&file).with([old("web-1"), new("gone-1"), new("tool-1")]);
    assert_snapshot!(scenario.run(&["up", "--remove-orphans"]), @"
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
    [TIME]  gone  shop-gone-1 stopping (grace 10s)
    [TIME]  gone  shop-gone-1 removed

    web            [TIME] to [TIME]
      shop-web-1   [BAR]
      shop-web-2   [BAR]
    gone           [TIME] to [TIME]
      shop-gone-1  [BAR]
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
    docker inspect gone-1 tool-1 web-1
    docker ps
    docker compose --profile * config --services
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
    docker stop gone-1
    docker rm gone-1
    docker compose --dry-run up -d --scale web=1
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image web] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    tool-1 new healthy
    web-2 new healthy
    at least: 1 of tool, 1 of web
    ");
}

#[test]
fn a_named_service_and_what_it_depends_on() {
    let web = format!(
        "image: web\n{HEALTHCHECK}\ndepends_on: {{db: {{condition: service_healthy, required: true}}, cache: {{condition: service_started, required: true}}}}"
    );
    let other = format!("image: other\n{HEALTHCHECK}");
    let file = project(&[("web", &web), ("db", &other), ("cache", &other), ("else", &other)]);
    let scenario = Scenario::new(&file).with([old("web-1"), old("db-1"), old("else-1")]);
    assert_snapshot!(scenario.run(&["up", "web"]), @"
    exit code: 0
    --- stderr
    [TIME]  cache  create: not running, and a named service depends on it (other)
    [TIME]  web    roll: configuration changed
    [TIME]  unchanged: db
    [TIME]  cache  create 1 replica
    [TIME]  cache  shop-cache-1 started
    [TIME]  cache  waiting until healthy, at most [TIME]
    [TIME]  cache  shop-cache-1 healthy
    [TIME]  cache  done in [TIME], serving shop-cache-1
    [TIME]  web    roll to 1 replica
    [TIME]  web    shop-web-2 started
    [TIME]  web    waiting until healthy, at most [TIME]
    [TIME]  web    shop-web-2 healthy
    [TIME]  web    shop-web-1 stopping (grace 10s)
    [TIME]  web    shop-web-1 stopped (exit code 0)
    [TIME]  web    shop-web-1 removed
    [TIME]  web    done in [TIME], serving shop-web-2

    cache           [TIME] to [TIME]
      shop-cache-1  [BAR]
    web             [TIME] to [TIME]
      shop-web-1    [BAR]
      shop-web-2    [BAR]
                    ░ starting  █ serving  ▓ stopping
    start [TIME], health [TIME], stop [TIME], total [TIME]

    cache (other) and web are up to date
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect other web
    docker inspect db-1 else-1 web-1
    docker ps
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=2 web
    docker ps cache
    docker compose up -d --no-deps --no-recreate --scale cache=1 cache
    docker ps cache
    docker inspect cache-1
    docker ps cache
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
    docker compose --dry-run up -d --scale cache=1 --scale db=1 --scale else=1 --scale web=1
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image web] zdd-revision/shop:[ID]
    docker tag [image other] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    cache-1 new healthy
    db-1 old healthy
    else-1 old healthy
    web-2 new healthy
    at least: 0 of cache, 1 of db, 1 of else, 1 of web
    ");
}

#[test]
fn a_named_service_alone() {
    let web = format!(
        "image: web\n{HEALTHCHECK}\ndepends_on: {{db: {{condition: service_healthy, required: true}}}}"
    );
    let file = project(&[("web", &web), ("db", &format!("image: db\n{HEALTHCHECK}"))]);
    assert_snapshot!(Scenario::new(&file).with([old("web-1")]).run(&["up", "--no-deps", "web"]), @"
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
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect db web
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
    docker compose --dry-run up -d --scale db=1 --scale web=1
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image web] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-2 new healthy
    at least: 0 of db, 1 of web
    ");
}

#[test]
fn a_service_of_a_profile_when_named() {
    let file = project(&[
        ("web", &format!("image: web\n{HEALTHCHECK}")),
        ("tool", "image: tool\nprofiles: [tools]\nx-zdd: {monitor: 1s}"),
    ]);
    assert_snapshot!(Scenario::new(&file).with([old("web-1")]).run(&["up", "tool"]), @"
    exit code: 0
    --- stderr
    [TIME]  tool  create: not running (tool)
    [TIME]  tool  create 1 replica
    [TIME]  tool  shop-tool-1 started
    [TIME]  tool  no healthcheck: watching for [TIME]
    [TIME]  tool  shop-tool-1 ready
    [TIME]  tool  done in [TIME], serving shop-tool-1

    tool           [TIME] to [TIME]
      shop-tool-1  [BAR]
                   ░ starting  █ serving
    start [TIME], health [TIME], total [TIME]

    tool (tool) is up to date
    --- calls
    docker compose config
    docker compose config --hash *
    docker compose config tool
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose --profile * config --hash tool
    docker compose version --short
    docker image inspect tool web
    docker inspect web-1
    docker ps
    docker ps tool
    docker compose up -d --no-deps --no-recreate --scale tool=1 tool
    docker ps tool
    docker inspect tool-1
    docker ps tool
    docker compose --dry-run up -d --scale tool=1 --scale web=1 tool web
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image tool] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    tool-1 new running
    web-1 old healthy
    at least: 0 of tool, 1 of web
    ");
}

#[test]
fn a_one_shot_service_comes_before_the_one_that_waits_for_it() {
    let web = format!(
        "image: web\n{HEALTHCHECK}\ndepends_on: {{migrate: {{condition: service_completed_successfully, required: true}}}}"
    );
    let file = project(&[("web", &web), ("migrate", "image: migrate")]);
    let scenario = Scenario::new(&file).with([old("web-1"), old("migrate-1").is("exited 0")]);
    assert_snapshot!(scenario.starts("migrate", "running, exited 0").run(&["up"]), @"
    exit code: 0
    --- stderr
    [TIME]  migrate  create: a one-shot service that has not run in this version (migrate)
    [TIME]  web      roll: configuration changed
    [TIME]  migrate  create 1 replica
    [TIME]  migrate  shop-migrate-1 started
    [TIME]  migrate  shop-migrate-1 finished
    [TIME]  migrate  done in [TIME], nothing serves
    [TIME]  web      roll to 1 replica
    [TIME]  web      shop-web-2 started
    [TIME]  web      waiting until healthy, at most [TIME]
    [TIME]  web      shop-web-2 healthy
    [TIME]  web      shop-web-1 stopping (grace 10s)
    [TIME]  web      shop-web-1 stopped (exit code 0)
    [TIME]  web      shop-web-1 removed
    [TIME]  web      done in [TIME], serving shop-web-2

    migrate           [TIME] to [TIME]
      shop-migrate-1  [BAR]
    web               [TIME] to [TIME]
      shop-web-1      [BAR]
      shop-web-2      [BAR]
                      ░ starting  █ serving  ▓ stopping
    start [TIME], health [TIME], stop [TIME], total [TIME]

    migrate (migrate) and web are up to date
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect migrate web
    docker inspect migrate-1 web-1
    docker ps
    docker compose --dry-run up -d --no-deps --no-recreate --scale migrate=1 migrate
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=2 web
    docker ps migrate
    docker compose up -d --no-deps --scale migrate=1 migrate
    docker ps migrate
    docker inspect migrate-1
    docker ps migrate
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
    docker compose --dry-run up -d --scale migrate=1 --scale web=1
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image web] zdd-revision/shop:[ID]
    docker tag [image migrate] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    migrate-1 new exited 0
    web-2 new healthy
    at least: 0 of migrate, 1 of web
    ");
}

#[test]
fn what_only_compose_can_start() {
    let file = web("scale: 2\nx-zdd: {parallelism: 1}\nconfigs: [{source: site, target: /site}]");
    let file = format!("{file}configs:\n  site: {{name: shop_site, content: hello}}\n");
    let scenario = Scenario::new(&file).with([old("web-1"), old("web-2"), old("web-3").is("exited 1")]);
    assert_snapshot!(scenario.run(&["up"]), @"
    exit code: 0
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  warning: all at once, not in batches: its configs or secrets are copied in by Compose, which would start the stopped old containers too
    [TIME]  web  roll to 2 replicas, all at once
    [TIME]  web  shop-web-3 removed
    [TIME]  web  shop-web-3 started
    [TIME]  web  shop-web-4 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-3 healthy
    [TIME]  web  shop-web-4 healthy
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-2 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-2 stopped (exit code 0)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  shop-web-2 removed
    [TIME]  web  done in [TIME], serving shop-web-3 and shop-web-4

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
      shop-web-3  [BAR]
      shop-web-4  [BAR]
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
    docker inspect web-1 web-2 web-3
    docker ps
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=4 web
    docker rm -v web-3
    docker ps web
    docker inspect web-3  → exit 1
    docker compose up -d --no-deps --no-recreate --scale web=4 web
    docker ps web
    docker inspect web-3 web-4
    docker stop web-1 web-2
    docker inspect web-1 web-2
    docker inspect web-3 web-4
    docker rm -v web-1 web-2
    docker ps web
    docker inspect web-3 web-4
    docker compose --dry-run up -d --scale web=2
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image web] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-3 new healthy
    web-4 new healthy
    at least: 2 of web
    ");
}

#[test]
fn services_that_do_not_depend_on_each_other_roll_side_by_side() {
    let lines = format!("image: web\n{HEALTHCHECK}\npre_stop: [{{command: [drain]}}]");
    let scenario = Scenario::new(&project(&[("one", &lines), ("two", &lines)]));
    let scenario = scenario.with([old("one-1"), old("two-1")]).when("docker exec", Action::Hold);
    let mut running = scenario.spawn(&["up"]);
    running.wait_for_call("docker exec one-1").wait_for_call("docker exec two-1").release();
    let output = running.finish();
    assert_eq!(output.exit.code(), Some(0), "{output}");
    let ups: Vec<_> = output.changes().into_iter().filter(|call| call.contains(" up ")).collect();
    assert_eq!(ups.len(), 2, "{output}");
}

#[test]
fn progress_as_json() {
    let scenario = Scenario::new(&web("")).with([old("web-1")]);
    assert_snapshot!(scenario.run(&["--progress", "json", "up"]), @r#"
    exit code: 0
    --- stderr
    {"time":[TIME],"event":"planned","project":"shop","services":[{"service":"web","verdict":"roll","reason":"configuration changed","replicas":1,"versions":{"from":[{"image":"web","id":"sha256:3d7d6ef7f201e4335645215ce5ddcdcc0722e54cc89f03ff5f2b2c2d3b643fca"}],"to":{"image":"web","id":"sha256:3d7d6ef7f201e4335645215ce5ddcdcc0722e54cc89f03ff5f2b2c2d3b643fca"}},"serving":[{"id":"[ID of web-1]","name":"shop-web-1"}]}]}
    {"time":[TIME],"event":"service_begin","service":"web","verdict":"roll","replicas":1,"batches":1}
    {"time":[TIME],"event":"batch","service":"web","number":1,"of":1,"start":1,"retire":1}
    {"time":[TIME],"event":"container","service":"web","container":{"id":"[ID of web-2]","name":"shop-web-2"},"generation":"new","phase":"started"}
    {"time":[TIME],"event":"container","service":"web","container":{"id":"[ID of web-2]","name":"shop-web-2"},"generation":"new","phase":"waiting","health":"starting","output":null,"deadline_seconds":[TIME]}
    {"time":[TIME],"event":"container","service":"web","container":{"id":"[ID of web-2]","name":"shop-web-2"},"generation":"new","phase":"ready"}
    {"time":[TIME],"event":"container","service":"web","container":{"id":"[ID of web-1]","name":"shop-web-1"},"generation":"old","phase":"stopping","grace_seconds":10.0}
    {"time":[TIME],"event":"container","service":"web","container":{"id":"[ID of web-1]","name":"shop-web-1"},"generation":"old","phase":"stopped","exit_code":0}
    {"time":[TIME],"event":"container","service":"web","container":{"id":"[ID of web-1]","name":"shop-web-1"},"generation":"old","phase":"removed"}
    {"time":[TIME],"event":"service_end","service":"web","outcome":"done","serving":[{"id":"[ID of web-2]","name":"shop-web-2"}],"seconds":[TIME]}
    {"time":[TIME],"event":"end","exit_code":0,"message":"web is up to date","hint":null,"seconds":[TIME]}
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
    "#);
}

#[test]
fn progress_quiet() {
    let scenario = Scenario::new(&web("")).with([old("web-1")]);
    assert_snapshot!(scenario.env("COMPOSE_PROGRESS", "quiet").run(&["up"]), @"
    exit code: 0
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

/// Health is noticed when the engine reports it. Without reports the gate looks every few seconds all the same.
#[test]
fn reports_of_the_engine_wake_the_gate() {
    let scenario = || Scenario::new(&web("")).with([old("web-1")]);
    let woken = scenario().run(&["up"]);
    let alone = scenario().when("docker events", Action::Fail(1, "no events today".to_owned())).run(&["up"]);
    assert!(woken.exit.success() && alone.exit.success(), "{woken}{alone}");
    // All else takes as long with them as without.
    let sooner = Duration::from_millis(400);
    assert!(woken.took + sooner < alone.took, "{:?}, without reports {:?}", woken.took, alone.took);
}
