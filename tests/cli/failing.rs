//! Updates that go wrong: the old version serves on, and the user learns why.

use insta::assert_snapshot;

use crate::{
    files::{HEALTHCHECK, bare, project, web},
    history::revisions,
    output::Output,
    scenario::{Scenario, new, old},
    world::{Action, Reading, hex},
};

fn fail(stderr: &str) -> Action {
    Action::Fail(1, stderr.to_owned())
}

fn becomes(container: &str, reading: &str) -> Action {
    Action::Becomes(container.to_owned(), Reading::parse(reading))
}

/// Compose reads the file at each call, so an edit would mix versions.
#[test]
fn the_file_is_edited_between_two_batches() {
    let scenario = Scenario::new(&web("scale: 2")).with([old("web-1"), old("web-2")]);
    let scenario = scenario.when_nth(2, "compose up", Action::Edited("web".to_owned()));
    assert_snapshot!(scenario.run(&["up", "--parallelism", "1"]), @r#"
    exit code: 3
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 2 replicas, in 2 batches
    [TIME]  web  batch 1 of 2: start 1, retire 1
    [TIME]  web  shop-web-3 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-3 healthy
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  batch 2 of 2: start 1, retire 1
    [TIME]  web  new version failed: shop-web-4 has another definition than planned: the file, or what it reads, was changed meanwhile
    [TIME]  web  shop-web-4 stopping (grace 10s)
    [TIME]  web  shop-web-4 stopped (exit code 0)
    [TIME]  web  shop-web-4 removed
    [TIME]  web  shop-web-1 starting again
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-1 serves again
    [TIME]  web  shop-web-3 stopping (grace 10s)
    [TIME]  web  shop-web-3 stopped (exit code 0)
    [TIME]  web  shop-web-3 removed
    [TIME]  web  rolled back in [TIME], serving shop-web-1 and shop-web-2

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
      shop-web-3  [BAR]
      shop-web-4  [BAR]
                  ░ starting  █ serving  ▓ stopping
    start [TIME], health [TIME], stop [TIME], rollback [TIME], total [TIME]

    web: the new version failed (shop-web-4); shop-web-1 and shop-web-2 serve now
    hint: fix the new version, then run "docker zdd up" again
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
    docker ps web
    docker compose up --no-start --no-deps --no-recreate --scale web=4 web
    docker ps web
    docker inspect web-4
    docker compose config --hash *
    docker ps web
    docker stop web-4
    docker inspect web-4
    docker rm -v web-4
    docker start web-1
    docker inspect web-1
    docker ps web
    docker inspect web-3
    docker stop web-3
    docker inspect web-3
    docker rm -v web-3
    docker ps web
    docker inspect web-1 web-2
    docker volume ls
    docker image ls zdd-revision/shop
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-1 old healthy
    web-2 old healthy
    at least: 2 of web
    "#);
}

#[test]
fn the_image_is_rebuilt_in_the_meantime() {
    let scenario = Scenario::new(&web("")).with([old("web-1")]);
    let scenario = scenario.when("compose up", Action::Rebuilt("web".to_owned()));
    assert_snapshot!(scenario.run(&["up"]), @r#"
    exit code: 3
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 1 replica
    [TIME]  web  new version failed: shop-web-2 has another image than planned: web was built, pulled or tagged meanwhile
    [TIME]  web  shop-web-2 stopping (grace 10s)
    [TIME]  web  shop-web-2 stopped (exit code 0)
    [TIME]  web  shop-web-2 removed
    [TIME]  web  rolled back in [TIME], serving shop-web-1

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  █ serving  ▓ stopping
    start [TIME], stop [TIME], rollback [TIME], total [TIME]

    web: the new version failed (shop-web-2); shop-web-1 serves now
    hint: fix the new version, then run "docker zdd up" again
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
    docker image inspect web
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
fn unhealthy() {
    let scenario = Scenario::new(&web("scale: 2")).with([old("web-1"), old("web-2")]);
    let scenario = scenario
        .starts("web", "starting, starting: connection refused, unhealthy: connection refused\ngiving up");
    let scenario =
        scenario.writes("web", "listening on :80\nno database at db:5432\n\u{1b}[31mfatal\u{1b}[0m\n");
    assert_snapshot!(scenario.run(&["up"]), @r#"
    exit code: 3
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 2 replicas, all at once
    [TIME]  web  shop-web-3 started
    [TIME]  web  shop-web-4 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-3 starting: connection refused
    [TIME]  web  shop-web-4 starting: connection refused
    [TIME]  web  new version failed: shop-web-3 is unhealthy after 2 failed probes
    [TIME]  web    last probe: connection refused
    [TIME]  web                giving up
    [TIME]  web    shop-web-3  | listening on :80
    [TIME]  web    shop-web-3  | no database at db:5432
    [TIME]  web    shop-web-3  | fatal
    [TIME]  web  shop-web-3 stopping (grace 10s)
    [TIME]  web  shop-web-4 stopping (grace 10s)
    [TIME]  web  shop-web-3 stopped (exit code 0)
    [TIME]  web  shop-web-4 stopped (exit code 0)
    [TIME]  web  shop-web-3 removed
    [TIME]  web  shop-web-4 removed
    [TIME]  web  rolled back in [TIME], serving shop-web-1 and shop-web-2

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
      shop-web-3  [BAR]
      shop-web-4  [BAR]
                  ░ starting  █ serving  ▓ stopping  ! failed
    start [TIME], health [TIME], stop [TIME], rollback [TIME], total [TIME]

    web: the new version failed (shop-web-3); shop-web-1 and shop-web-2 serve now
    hint: fix the new version, then run "docker zdd up" again
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-1 web-2
    docker ps
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=4 web
    docker ps web
    docker compose up -d --no-deps --no-recreate --scale web=4 web
    docker ps web
    docker inspect web-3 web-4
    docker logs --tail 20 web-3
    docker ps web
    docker stop web-3 web-4
    docker inspect web-3 web-4
    docker rm -v web-3 web-4
    docker ps web
    docker inspect web-1 web-2
    docker volume ls
    docker image ls zdd-revision/shop
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-1 old healthy
    web-2 old healthy
    at least: 2 of web
    "#);
}

#[test]
fn exits_at_once() {
    let scenario = Scenario::new(&bare("")).with([old("web-1").is("running")]);
    assert_snapshot!(scenario.starts("web", "exited 3").writes("web", "no config\n").run(&["up"]), @r#"
    exit code: 3
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  new version failed: shop-web-2 exited with code 3
    [TIME]  web    shop-web-2  | no config
    [TIME]  web  shop-web-2 stopping (grace 10s)
    [TIME]  web  shop-web-2 stopped (exit code 3)
    [TIME]  web  shop-web-2 removed
    [TIME]  web  rolled back in [TIME], serving shop-web-1

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  ░ starting  █ serving  ▓ stopping  ! failed
    start [TIME], health [TIME], stop [TIME], rollback [TIME], total [TIME]

    web: the new version failed (shop-web-2); shop-web-1 serves now
    hint: fix the new version, then run "docker zdd up" again
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
    docker logs --tail 20 web-2
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
    web-1 old running
    at least: 1 of web
    "#);
}

#[test]
fn exits_on_the_first_start() {
    let scenario = Scenario::new(&web("scale: 2"))
        .starts("web", "starting, starting, healthy")
        .starts("web", "starting, exited 1");
    assert_snapshot!(scenario.run(&["up"]), @r#"
    exit code: 3
    --- stderr
    [TIME]  web  create: not running (web)
    [TIME]  web  create 2 replicas
    [TIME]  web  shop-web-1 started
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  new version failed: shop-web-2 exited with code 1
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-2 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-2 stopped (exit code 1)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  shop-web-2 removed
    [TIME]  web  rolled back in [TIME], nothing serves

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  ░ starting  ▓ stopping  ! failed
    start [TIME], health [TIME], stop [TIME], rollback [TIME], total [TIME]

    web: the new version failed (shop-web-2); nothing serves now
    hint: fix the new version, then run "docker zdd up" again
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
    docker logs --tail 20 web-2
    docker ps web
    docker stop web-1 web-2
    docker inspect web-1 web-2
    docker rm -v web-1 web-2
    docker ps web
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
fn crash_loop() {
    let scenario =
        Scenario::new(&bare("restart: always")).with([old("web-1").is("running").policy("always")]);
    assert_snapshot!(scenario.starts("web", "running, restarting 2, restarting 3").run(&["up"]), @r#"
    exit code: 3
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  new version failed: shop-web-2 crashed and was restarted 2 times (last exit code 1)
    [TIME]  web  shop-web-2 stopping (grace 10s)
    [TIME]  web  shop-web-2 stopped (exit code 0)
    [TIME]  web  shop-web-2 removed
    [TIME]  web  rolled back in [TIME], serving shop-web-1

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  ░ starting  █ serving  ▓ stopping  ! failed
    start [TIME], health [TIME], stop [TIME], rollback [TIME], total [TIME]

    web: the new version failed (shop-web-2); shop-web-1 serves now
    hint: fix the new version, then run "docker zdd up" again
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
    docker logs --tail 20 web-2
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
    web-1 old running, restart always
    at least: 1 of web
    "#);
}

#[test]
fn crashed_and_back_between_two_looks() {
    let scenario =
        Scenario::new(&bare("restart: always")).with([old("web-1").is("running").policy("always")]);
    assert_snapshot!(scenario.starts("web", "running, running, restarted 1").run(&["up"]).stderr, @r#"
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  no healthcheck: watching for [TIME]
    [TIME]  web  new version failed: shop-web-2 crashed and was restarted 1 time
    [TIME]  web  shop-web-2 stopping (grace 10s)
    [TIME]  web  shop-web-2 stopped (exit code 0)
    [TIME]  web  shop-web-2 removed
    [TIME]  web  rolled back in [TIME], serving shop-web-1

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  ░ starting  █ serving  ▓ stopping  ! failed
    start [TIME], health [TIME], stop [TIME], rollback [TIME], total [TIME]

    web: the new version failed (shop-web-2); shop-web-1 serves now
    hint: fix the new version, then run "docker zdd up" again
    "#);
}

#[test]
fn runs_out_of_memory() {
    let scenario = Scenario::new(&web("")).with([old("web-1")]).starts("web", "starting, starting, oom");
    assert_snapshot!(scenario.run(&["up"]), @r#"
    exit code: 3
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  new version failed: shop-web-2 ran out of memory and was killed (exit code 137)
    [TIME]  web  shop-web-2 stopping (grace 10s)
    [TIME]  web  shop-web-2 stopped (exit code 137, killed)
    [TIME]  web  shop-web-2 removed
    [TIME]  web  rolled back in [TIME], serving shop-web-1

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  ░ starting  █ serving  ▓ stopping  ! failed
    start [TIME], health [TIME], stop [TIME], rollback [TIME], total [TIME]

    web: the new version failed (shop-web-2); shop-web-1 serves now
    hint: fix the new version, then run "docker zdd up" again
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
    docker logs --tail 20 web-2
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
fn not_healthy_in_time() {
    let scenario = Scenario::new(&web("")).with([old("web-1")]).starts("web", "starting");
    assert_snapshot!(scenario.run(&["up", "--wait-timeout", "300ms"]), @r#"
    exit code: 3
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  new version failed: shop-web-2 was not healthy within 300ms
    [TIME]  web  shop-web-2 stopping (grace 10s)
    [TIME]  web  shop-web-2 stopped (exit code 0)
    [TIME]  web  shop-web-2 removed
    [TIME]  web  rolled back in [TIME], serving shop-web-1

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  ░ starting  █ serving  ▓ stopping  ! failed
    start [TIME], health [TIME], stop [TIME], rollback [TIME], total [TIME]

    web: the new version failed (shop-web-2); shop-web-1 serves now
    hint: fix the new version, then run "docker zdd up" again
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
    docker logs --tail 20 web-2
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
fn the_engine_cannot_start_it() {
    let error = "driver failed programming external connectivity: Bind for 0.0.0.0:8080 failed: port is already allocated";
    let scenario = Scenario::new(&web("scale: 2")).with([old("web-1"), old("web-2")]);
    assert_snapshot!(scenario.starts("web", &format!("cannot start: {error}")).run(&["up"]), @r#"
    exit code: 3
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 2 replicas, all at once
    [TIME]  web  new version failed: docker compose up failed: Error response from daemon: driver failed programming external connectivity: Bind for 0.0.0.0:8080 failed: port is already allocated
    [TIME]  web  shop-web-3 stopping (grace 10s)
    [TIME]  web  shop-web-4 stopping (grace 10s)
    [TIME]  web  shop-web-3 stopped (exit code 127)
    [TIME]  web  shop-web-4 stopped (exit code 0)
    [TIME]  web  shop-web-3 removed
    [TIME]  web  shop-web-4 removed
    [TIME]  web  rolled back in [TIME], serving shop-web-1 and shop-web-2

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
      shop-web-3  [BAR]
      shop-web-4  [BAR]
                  █ serving  ▓ stopping
    start [TIME], stop [TIME], rollback [TIME], total [TIME]

    web: the new version failed; shop-web-1 and shop-web-2 serve now
    hint: fix the new version, then run "docker zdd up" again
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-1 web-2
    docker ps
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=4 web
    docker ps web
    docker compose up -d --no-deps --no-recreate --scale web=4 web  → exit 1
    docker ps web
    docker inspect web-3 web-4
    docker ps web
    docker stop web-3 web-4
    docker inspect web-3 web-4
    docker rm -v web-3 web-4
    docker ps web
    docker inspect web-1 web-2
    docker volume ls
    docker image ls zdd-revision/shop
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-1 old healthy
    web-2 old healthy
    at least: 2 of web
    "#);
}

/// Compose runs `post_start` hooks, and says of a container that has ended already only its ID.
#[test]
fn a_failure_names_its_container() {
    let said = format!("Error response from daemon: Container {} is not running", hex("shop-web-2, new 1"));
    let scenario = Scenario::new(&web("")).with([old("web-1")]);
    let output = scenario.when("docker compose up", Action::FailAfter(1, said)).run(&["up"]);
    let line = "new version failed: docker compose up failed: Error response from daemon: Container shop-web-2 is not running";
    assert!(output.stderr.contains(line), "{output}");
}

#[test]
fn compose_gives_up_half_way() {
    let scenario = Scenario::new(&web("scale: 2")).with([old("web-1"), old("web-2")]);
    let lost = Action::FailAfter(1, "{\"error\":true,\"message\":\"context deadline exceeded\"}".to_owned());
    assert_snapshot!(scenario.when("docker compose up", lost).run(&["up"]), @r#"
    exit code: 3
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 2 replicas, all at once
    [TIME]  web  new version failed: docker compose up failed: context deadline exceeded
    [TIME]  web  shop-web-3 stopping (grace 10s)
    [TIME]  web  shop-web-4 stopping (grace 10s)
    [TIME]  web  shop-web-3 stopped (exit code 0)
    [TIME]  web  shop-web-4 stopped (exit code 0)
    [TIME]  web  shop-web-3 removed
    [TIME]  web  shop-web-4 removed
    [TIME]  web  rolled back in [TIME], serving shop-web-1 and shop-web-2

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
      shop-web-3  [BAR]
      shop-web-4  [BAR]
                  █ serving  ▓ stopping
    start [TIME], stop [TIME], rollback [TIME], total [TIME]

    web: the new version failed; shop-web-1 and shop-web-2 serve now
    hint: fix the new version, then run "docker zdd up" again
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-1 web-2
    docker ps
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=4 web
    docker ps web
    docker compose up -d --no-deps --no-recreate --scale web=4 web  → exit 1
    docker ps web
    docker inspect web-3 web-4
    docker ps web
    docker stop web-3 web-4
    docker inspect web-3 web-4
    docker rm -v web-3 web-4
    docker ps web
    docker inspect web-1 web-2
    docker volume ls
    docker image ls zdd-revision/shop
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-1 old healthy
    web-2 old healthy
    at least: 2 of web
    "#);
}

#[test]
fn the_second_batch_fails_and_the_first_comes_back() {
    let file = web("scale: 3\nx-zdd: {parallelism: 1}");
    let containers = [old("web-1").policy("always"), old("web-2"), old("web-3")];
    let scenario = Scenario::new(&file).with(containers);
    let scenario =
        scenario.starts("web", "starting, starting, healthy").starts("web", "starting, starting, unhealthy");
    assert_snapshot!(scenario.run(&["up"]), @r#"
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
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  new version failed: shop-web-5 is unhealthy after 2 failed probes
    [TIME]  web  shop-web-5 stopping (grace 10s)
    [TIME]  web  shop-web-5 stopped (exit code 0)
    [TIME]  web  shop-web-5 removed
    [TIME]  web  shop-web-1 starting again
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
    docker update --restart=no web-1
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
    docker update --restart=always web-1
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
    web-1 old healthy, restart always
    web-2 old healthy
    web-3 old healthy
    at least: 3 of web
    "#);
}

#[test]
fn the_rollback_fails_too() {
    let file = web("scale: 2\nx-zdd: {parallelism: 1}");
    let scenario = Scenario::new(&file).with([old("web-1").restarts("starting, exited 1"), old("web-2")]);
    let scenario = scenario.starts("web", "starting, starting, healthy").starts("web", "exited 1");
    assert_snapshot!(scenario.run(&["up"]), @r#"
    exit code: 4
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 2 replicas, in 2 batches
    [TIME]  web  batch 1 of 2: start 1, retire 1
    [TIME]  web  shop-web-3 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-3 healthy
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  batch 2 of 2: start 1, retire 1
    [TIME]  web  shop-web-4 started
    [TIME]  web  new version failed: shop-web-4 exited with code 1
    [TIME]  web  shop-web-4 stopping (grace 10s)
    [TIME]  web  shop-web-4 stopped (exit code 1)
    [TIME]  web  shop-web-4 removed
    [TIME]  web  shop-web-1 starting again
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-1 exited with code 1
    [TIME]  web  warning: the rollback failed: shop-web-1 exited with code 1
    [TIME]  web  rollback failed in [TIME], serving shop-web-2 and shop-web-3

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
      shop-web-3  [BAR]
      shop-web-4  [BAR]
                  ░ starting  █ serving  ▓ stopping  ! failed
    start [TIME], health [TIME], stop [TIME], rollback [TIME], total [TIME]

    web: the new version failed (shop-web-4), and so did the rollback; shop-web-2 and shop-web-3 serve now
    hint: check "docker ps -a", then run "docker zdd up" again
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
    docker ps web
    docker compose up --no-start --no-deps --no-recreate --scale web=4 web
    docker ps web
    docker inspect web-4
    docker start web-4
    docker inspect web-4
    docker logs --tail 20 web-4
    docker ps web
    docker stop web-4
    docker inspect web-4
    docker rm -v web-4
    docker start web-1
    docker inspect web-1
    docker logs --tail 20 web-1
    docker ps web
    docker inspect web-1 web-2 web-3
    docker volume ls
    docker image ls zdd-revision/shop
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-1 old exited 1
    web-2 old healthy
    web-3 new healthy
    at least: 2 of web
    "#);
}

#[test]
fn action_pause_leaves_both() {
    let file = web("scale: 2\nx-zdd: {failure_action: pause, parallelism: 1}");
    let scenario = Scenario::new(&file).with([old("web-1"), old("web-2")]);
    assert_snapshot!(scenario.starts("web", "starting, starting, unhealthy").run(&["up"]), @r#"
    exit code: 3
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 2 replicas, in 2 batches
    [TIME]  web  batch 1 of 2: start 1, retire 1
    [TIME]  web  shop-web-3 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  new version failed: shop-web-3 is unhealthy after 2 failed probes
    [TIME]  web  warning: failure_action is pause: both generations are left as they are
    [TIME]  web  paused in [TIME], serving shop-web-1 and shop-web-2

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
      shop-web-3  [BAR]
                  ░ starting  █ serving  ! failed
    start [TIME], health [TIME], total [TIME]

    web: paused, because the new version failed (shop-web-3); shop-web-1 and shop-web-2 serve now
    hint: fix the new version, then run "docker zdd up" again
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
    docker logs --tail 20 web-3
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
    web-3 new unhealthy
    at least: 2 of web
    "#);
}

/// Time passes between the gate and the stop, and the lost one is not looked for again.
#[test]
fn action_continue_with_a_long_drain() {
    let file = web("scale: 2\nx-zdd: {failure_action: continue, drain: 1s}");
    let scenario = Scenario::new(&file).with([old("web-1"), old("web-2")]);
    let output = scenario.starts("web", "unhealthy").starts("web", "healthy").run(&["up"]);
    assert!(output.stderr.contains("web  done in part"), "{output}");
    assert!(
        output.stderr.contains("web: part of the new version failed; shop-web-2 and shop-web-4 serve now"),
        "{output}"
    );
}

/// Under `order: stop-first` no old container runs that could stay in its place.
#[test]
fn action_continue_has_nobody_to_keep() {
    let file = web("x-zdd: {failure_action: continue, order: stop-first}");
    let output = Scenario::new(&file).with([old("web-1")]).starts("web", "unhealthy").run(&["up"]);
    assert_eq!(output.exit.code(), Some(3), "{output}");
    assert!(!output.stderr.contains("stays in its place"), "{output}");
    assert_eq!(output.containers(), "web-1 old healthy\nat least: 0 of web", "{output}");
}

/// What nobody has changed is not removed because it needs long to be ready.
#[test]
fn action_continue_removes_only_what_the_run_has_made() {
    let file = web("scale: 2\nx-zdd: {failure_action: continue}");
    let sick = Action::Becomes("web-2".to_owned(), Reading::parse("unhealthy"));
    let scenario = Scenario::new(&file).with([new("web-1"), new("web-2").is("starting")]);
    let output = scenario.when_nth(2, "docker inspect", sick).run(&["up"]);
    assert_eq!(output.exit.code(), Some(3), "{output}");
    assert_eq!(output.containers(), "web-1 new healthy\nweb-2 new unhealthy\nat least: 1 of web", "{output}");
}

/// The call broke off, and what it had told to end does so a while later: nothing is removed that serves before then.
#[test]
fn a_stop_that_breaks_off_is_waited_for() {
    let scenario = Scenario::new(&web("")).with([old("web-1").restarts("healthy")]);
    let scenario = scenario
        .when("docker stop web-1", fail("error during connect: the connection was lost"))
        .when_nth(2, "docker inspect web-1$", becomes("web-1", "exited 0"));
    let output = scenario.run(&["up"]);
    assert_eq!(output.exit.code(), Some(3), "{output}");
    assert_eq!(output.containers(), "web-1 old healthy\nat least: 1 of web", "{output}");
    let changes = output.changes();
    let place = |what: &str| changes.iter().position(|call| call.starts_with(what)).expect(what);
    assert!(place("docker start web-1") < place("docker stop web-2"), "{output}");
}

/// Somebody has removed one of the stopped ones meanwhile: the others serve again all the same.
#[test]
fn one_to_go_back_to_was_removed() {
    let scenario = Scenario::new(&web("scale: 4\nrestart: always"));
    let scenario = scenario.with((1..=4).map(|n| old(&format!("web-{n}")).policy("always")));
    let scenario = ["healthy", "healthy", "unhealthy", "unhealthy"]
        .into_iter()
        .fold(scenario, |scenario, way| scenario.starts("web", way));
    let scenario =
        scenario.when_nth(1, "docker update --restart=always web-1", Action::Vanishes("web-1".to_owned()));
    let output = scenario.run(&["up", "--parallelism", "2"]);
    assert_eq!(output.exit.code(), Some(3), "{output}");
    assert!(
        output.stderr.contains("shop-web-1 was removed by someone else and cannot serve again"),
        "{output}"
    );
    assert!(output.stderr.contains("shop-web-2, shop-web-3 and shop-web-4 serve now"), "{output}");
}

/// Started by a run that was killed, proven by this one, dead before the old one is stopped for it.
#[test]
fn one_of_an_earlier_run_dies_in_the_drain() {
    let scenario = Scenario::new(&web("x-zdd: {drain: 1s}")).with([old("web-1"), new("web-2")]);
    let output = scenario.when_nth(3, "docker inspect web-2$", becomes("web-2", "exited 1")).run(&["up"]);
    assert_eq!(output.exit.code(), Some(3), "{output}");
    assert!(output.stderr.contains("new version failed: shop-web-2 exited with code 1\n"), "{output}");
    assert!(
        output.stderr.contains("web: the new version failed (shop-web-2); shop-web-1 serves now"),
        "{output}"
    );
}

#[test]
fn action_continue_keeps_an_old_one_for_each_lost() {
    let file = web("scale: 2\nx-zdd: {failure_action: continue}");
    let scenario = Scenario::new(&file).with([old("web-1"), old("web-2")]);
    let scenario =
        scenario.starts("web", "starting, starting, unhealthy").starts("web", "starting, starting, healthy");
    assert_snapshot!(scenario.run(&["up"]), @r#"
    exit code: 3
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 2 replicas, all at once
    [TIME]  web  shop-web-3 started
    [TIME]  web  shop-web-4 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  new version failed: shop-web-3 is unhealthy after 2 failed probes
    [TIME]  web  warning: failure_action is continue: one old container stays in its place
    [TIME]  web  shop-web-3 stopping (grace 10s)
    [TIME]  web  shop-web-3 stopped (exit code 0)
    [TIME]  web  shop-web-3 removed
    [TIME]  web  shop-web-4 healthy
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  done in part in [TIME], serving shop-web-2 and shop-web-4

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
      shop-web-3  [BAR]
      shop-web-4  [BAR]
                  ░ starting  █ serving  ▓ stopping  ! failed
    start [TIME], health [TIME], stop [TIME], total [TIME]

    web: part of the new version failed; shop-web-2 and shop-web-4 serve now
    hint: fix the new version, then run "docker zdd up" again
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-1 web-2
    docker ps
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=4 web
    docker ps web
    docker compose up -d --no-deps --no-recreate --scale web=4 web
    docker ps web
    docker inspect web-3 web-4
    docker logs --tail 20 web-3
    docker stop web-3
    docker inspect web-3
    docker rm -v web-3
    docker inspect web-4
    docker stop web-1
    docker inspect web-1
    docker inspect web-4
    docker rm -v web-1
    docker ps web
    docker inspect web-2 web-4
    docker volume ls
    docker image ls zdd-revision/shop
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-2 old healthy
    web-4 new healthy
    at least: 2 of web
    "#);
}

#[test]
fn a_share_may_fail() {
    let file = web("scale: 3\nx-zdd: {max_failure_ratio: 0.34}");
    let scenario = Scenario::new(&file).with([old("web-1"), old("web-2"), old("web-3")]);
    let scenario =
        scenario.starts("web", "starting, starting, unhealthy").starts("web", "starting, starting, healthy");
    assert_snapshot!(scenario.run(&["up"]), @"
    exit code: 0
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 3 replicas, all at once
    [TIME]  web  shop-web-4 started
    [TIME]  web  shop-web-5 started
    [TIME]  web  shop-web-6 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  new version failed: shop-web-4 is unhealthy after 2 failed probes
    [TIME]  web  warning: max_failure_ratio lets shop-web-4 pass
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
    [TIME]  web  done in [TIME], serving shop-web-5 and shop-web-6

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
      shop-web-3  [BAR]
      shop-web-4  [BAR]
      shop-web-5  [BAR]
      shop-web-6  [BAR]
                  ░ starting  █ serving  ▓ stopping  ! failed
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
    docker logs --tail 20 web-4
    docker inspect web-5 web-6
    docker stop web-1 web-2 web-3
    docker inspect web-1 web-2 web-3
    docker inspect web-5 web-6
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
    web-4 new unhealthy
    web-5 new healthy
    web-6 new healthy
    at least: 2 of web
    ");
}

#[test]
fn the_migration_fails() {
    let scenario = Scenario::new(&web("pre_start: [{command: [migrate]}]")).with([old("web-1")]);
    assert_snapshot!(scenario.when("docker compose run", fail("table users exists\nmigration 7 failed")).run(&["up"]), @r#"
    exit code: 3
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 1 replica
    [TIME]  web  running pre_start hook
    [TIME]  web  new version failed: its pre_start hook failed: table users exists; migration 7 failed
    [TIME]  web  rolled back in [TIME], serving shop-web-1
    web: the new version failed; shop-web-1 serves now
    hint: fix the new version, then run "docker zdd up" again
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-1
    docker ps
    docker compose --dry-run up --no-start --no-deps --no-recreate --scale web=2 web
    docker ps --filter label=io.zdd.pre-start=web
    docker compose run --rm -T --no-deps --label traefik.enable=false --label io.zdd.pre-start=web web migrate  → exit 1
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
fn the_hook_before_the_stop_fails() {
    let scenario =
        Scenario::new(&web("pre_stop: [{command: [drain]}, {command: [never]}]")).with([old("web-1")]);
    assert_snapshot!(scenario.when("docker exec", fail("no such vhost")).run(&["up"]), @"
    exit code: 0
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-2 healthy
    [TIME]  web  shop-web-1 draining (pre_stop)
    [TIME]  web  running pre_stop hook of shop-web-1
    [TIME]  web  pre_stop hook of shop-web-1 failed: no such vhost
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
    docker exec web-1 drain  → exit 1
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
fn the_hook_before_the_stop_hangs() {
    let scenario = Scenario::new(&web("pre_stop: [{command: [drain]}]\nx-zdd: {drain_timeout: 200ms}"))
        .with([old("web-1")]);
    let output = scenario.when("docker exec", Action::Hang).run(&["up"]);
    assert_snapshot!(output, @"
    exit code: 0
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-2 healthy
    [TIME]  web  shop-web-1 draining (pre_stop)
    [TIME]  web  running pre_stop hook of shop-web-1
    [TIME]  web  pre_stop hook of shop-web-1 failed: did not answer within 200ms
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
    docker exec web-1 drain  → killed
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
fn the_hook_after_the_start_fails() {
    let file = web("post_start: [{command: [warm]}]");
    let scenario = Scenario::new(&file).with([old("web-1"), old("web-2").is("exited 0")]);
    assert_snapshot!(scenario.when("docker exec", fail("cold")).run(&["up"]), @r#"
    exit code: 3
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-3 started
    [TIME]  web  running post_start hook of shop-web-3
    [TIME]  web  new version failed: shop-web-3 failed its post_start hook: cold
    [TIME]  web  shop-web-3 stopping (grace 10s)
    [TIME]  web  shop-web-3 stopped (exit code 0)
    [TIME]  web  shop-web-3 removed
    [TIME]  web  rolled back in [TIME], serving shop-web-1

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-3  [BAR]
                  ░ starting  █ serving  ▓ stopping
    start [TIME], health [TIME], stop [TIME], rollback [TIME], total [TIME]

    web: the new version failed (shop-web-3); shop-web-1 serves now
    hint: fix the new version, then run "docker zdd up" again
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
    docker exec web-3 warm  → exit 1
    docker ps web
    docker inspect web-3
    docker stop web-3
    docker inspect web-3
    docker rm -v web-3
    docker ps web
    docker inspect web-1 web-2
    docker volume ls
    docker image ls zdd-revision/shop
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-1 old healthy
    web-2 old exited 0
    at least: 1 of web
    "#);
}

/// Its pre_stop hook has taken it out for good: only a new start brings it back.
#[test]
fn it_dies_when_the_old_one_has_become_unhealthy() {
    let scenario = Scenario::new(&web("x-zdd: {settle: 600ms}\npre_stop: [{command: [drain]}]"))
        .with([old("web-1").restarts("starting, healthy")]);
    let scenario = scenario
        .when("docker exec web-1", becomes("web-2", "exited 1"))
        .when("docker logs", becomes("web-1", "unhealthy: draining"));
    assert_snapshot!(scenario.run(&["up"]), @r#"
    exit code: 3
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-2 healthy
    [TIME]  web  settling for [TIME]
    [TIME]  web  shop-web-1 draining (pre_stop)
    [TIME]  web  running pre_stop hook of shop-web-1
    [TIME]  web  pre_stop hook of shop-web-1 done
    [TIME]  web  shop-web-1 drained
    [TIME]  web  new version failed: shop-web-2 exited with code 1
    [TIME]  web  shop-web-1 starting again
    [TIME]  web  shop-web-1 serves again
    [TIME]  web  shop-web-2 stopping (grace 10s)
    [TIME]  web  shop-web-2 stopped (exit code 1)
    [TIME]  web  shop-web-2 removed
    [TIME]  web  rolled back in [TIME], serving shop-web-1

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  ░ starting  █ serving  ▒ draining  ▓ stopping  ! failed
    start [TIME], health [TIME], settle [TIME], drain [TIME], stop [TIME], rollback [TIME],
    total [TIME]

    web: the new version failed (shop-web-2); shop-web-1 serves now
    hint: fix the new version, then run "docker zdd up" again
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
    docker exec web-1 drain
    docker logs --tail 20 web-2
    docker inspect web-1
    docker stop web-1
    docker start web-1
    docker inspect web-1
    docker ps web
    docker inspect web-2
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
    at least: 0 of web
    "#);
}

/// The old one takes its time to stop, and is not removed before the new one has been looked at once more.
#[test]
fn it_dies_while_the_old_one_stops() {
    let scenario = Scenario::new(&web("")).with([old("web-1").restarts("healthy")]);
    let output = scenario.when("docker stop web-1", becomes("web-2", "exited 1")).run(&["up"]);
    assert_eq!(output.exit.code(), Some(3), "{output}");
    assert!(output.stderr.contains("new version failed: shop-web-2 exited with code 1\n"), "{output}");
    assert!(output.stderr.contains("the new version failed (shop-web-2); shop-web-1 serves now"), "{output}");
    assert_eq!(output.containers(), "web-1 old healthy\nat least: 0 of web", "{output}");
}

/// One old container has been crash-looping all along: the rollback starts it again and does not wait for it.
#[test]
fn a_rollback_asks_no_more_of_the_old_than_they_gave() {
    let file = web("scale: 2\nrestart: always\nx-zdd: {parallelism: 1}");
    let bad = old("web-1").is("restarting 7").restarts("restarting 8").policy("always");
    let good = old("web-2").restarts("starting, healthy").policy("always");
    let scenario = Scenario::new(&file).with([bad, good]);
    let scenario = scenario.starts("web", "starting, healthy").starts("web", "starting, unhealthy");
    let output = scenario.run(&["up", "--wait-timeout", "5m"]);
    assert_eq!(output.exit.code(), Some(3), "{output}");
    assert!(output.stderr.contains("shop-web-2 serves now"), "{output}");
    let left = output.containers();
    assert!(left.contains("web-1 old restarting") && left.contains("web-2 old healthy"), "{output}");
    assert!(!left.contains("new"), "{output}");
}

/// Docker calls the old one unhealthy, and it serves all the same: it gets the time to boot before the new one goes.
#[test]
fn the_rollback_waits_for_what_served_although_unhealthy() {
    let sick = old("web-1").is("unhealthy").restarts("starting, starting, starting, unhealthy");
    let scenario = Scenario::new(&web("")).with([sick]);
    let output = scenario.when("docker stop web-1", becomes("web-2", "unhealthy")).run(&["up"]);
    assert_eq!(output.exit.code(), Some(3), "{output}");
    assert_eq!(output.containers(), "web-1 old unhealthy\nat least: 0 of web", "{output}");
    let text = output.stderr;
    assert!(text.contains("shop-web-1 serves again"), "{text}");
}

/// Between the gate and the stop it is looked at once more.
#[test]
fn it_dies_while_the_old_one_drains() {
    let scenario =
        Scenario::new(&web("x-zdd: {settle: 600ms}\npre_stop: [{command: [drain]}]")).with([old("web-1")]);
    let output = scenario.when("docker exec web-1", becomes("web-2", "exited 1")).run(&["up"]);
    assert_snapshot!(output, @r#"
    exit code: 3
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-2 healthy
    [TIME]  web  settling for [TIME]
    [TIME]  web  shop-web-1 draining (pre_stop)
    [TIME]  web  running pre_stop hook of shop-web-1
    [TIME]  web  pre_stop hook of shop-web-1 done
    [TIME]  web  shop-web-1 drained
    [TIME]  web  new version failed: shop-web-2 exited with code 1
    [TIME]  web  shop-web-2 stopping (grace 10s)
    [TIME]  web  shop-web-2 stopped (exit code 1)
    [TIME]  web  shop-web-2 removed
    [TIME]  web  rolled back in [TIME], serving shop-web-1

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  ░ starting  █ serving  ▒ draining  ▓ stopping  ! failed
    start [TIME], health [TIME], settle [TIME], drain [TIME], stop [TIME], rollback [TIME],
    total [TIME]

    web: the new version failed (shop-web-2); shop-web-1 serves now
    hint: fix the new version, then run "docker zdd up" again
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
    docker exec web-1 drain
    docker logs --tail 20 web-2
    docker inspect web-1
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
fn somebody_removes_the_old_one_meanwhile() {
    let scenario = Scenario::new(&web("scale: 2")).with([old("web-1"), old("web-2")]);
    assert_snapshot!(scenario.when("docker stop", Action::Vanishes("web-1".to_owned())).run(&["up"]), @"
    exit code: 0
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 2 replicas, all at once
    [TIME]  web  shop-web-3 started
    [TIME]  web  shop-web-4 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-3 healthy
    [TIME]  web  shop-web-4 healthy
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-2 stopping (grace 10s)
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
    docker inspect web-1 web-2
    docker ps
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=4 web
    docker ps web
    docker compose up -d --no-deps --no-recreate --scale web=4 web
    docker ps web
    docker inspect web-3 web-4
    docker stop web-1 web-2  → exit 1
    docker inspect web-1 web-2  → exit 1
    docker inspect web-3 web-4
    docker rm -v web-1 web-2  → exit 1
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
fn somebody_removes_the_new_one_meanwhile() {
    let scenario = Scenario::new(&web("")).with([old("web-1")]).starts("web", "starting");
    assert_snapshot!(scenario.when_nth(2, "docker inspect web-2", Action::Vanishes("web-2".to_owned())).run(&["up"]), @r#"
    exit code: 3
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  new version failed: shop-web-2 was removed while it was being waited for
    [TIME]  web  rolled back in [TIME], serving shop-web-1

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  ░ starting  █ serving  ! failed
    start [TIME], health [TIME], rollback [TIME], total [TIME]

    web: the new version failed (shop-web-2); shop-web-1 serves now
    hint: fix the new version, then run "docker zdd up" again
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
    docker inspect web-2  → exit 1
    docker logs --tail 20 web-2  → exit 1
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
fn the_old_one_cannot_be_stopped() {
    let file = web("scale: 2\nx-zdd: {parallelism: 1}");
    let scenario = Scenario::new(&file).with([old("web-1"), old("web-2")]);
    let error = "Error response from daemon: cannot stop container: tried to kill container, but did not receive an exit event";
    assert_snapshot!(scenario.when("docker stop web-2", fail(error)).run(&["up"]), @r#"
    exit code: 3
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 2 replicas, in 2 batches
    [TIME]  web  batch 1 of 2: start 1, retire 1
    [TIME]  web  shop-web-3 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-3 healthy
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  batch 2 of 2: start 1, retire 1
    [TIME]  web  shop-web-4 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-4 healthy
    [TIME]  web  shop-web-2 stopping (grace 10s)
    [TIME]  web  new version failed: docker stop failed: Error response from daemon: cannot stop container: tried to kill container, but did not receive an exit event
    [TIME]  web  shop-web-2 starting again
    [TIME]  web  shop-web-2 serves again
    [TIME]  web  shop-web-4 stopping (grace 10s)
    [TIME]  web  shop-web-4 stopped (exit code 0)
    [TIME]  web  shop-web-4 removed
    [TIME]  web  shop-web-1 starting again
    [TIME]  web  shop-web-1 serves again
    [TIME]  web  shop-web-3 stopping (grace 10s)
    [TIME]  web  shop-web-3 stopped (exit code 0)
    [TIME]  web  shop-web-3 removed
    [TIME]  web  rolled back in [TIME], serving shop-web-1 and shop-web-2

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
      shop-web-3  [BAR]
      shop-web-4  [BAR]
                  ░ starting  █ serving  ▓ stopping
    start [TIME], health [TIME], stop [TIME], rollback [TIME], total [TIME]

    web: the new version failed; shop-web-1 and shop-web-2 serve now
    hint: fix the new version, then run "docker zdd up" again
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
    docker ps web
    docker compose up --no-start --no-deps --no-recreate --scale web=4 web
    docker ps web
    docker inspect web-4
    docker start web-4
    docker inspect web-4
    docker stop web-2  → exit 1
    docker stop web-2  → exit 1
    docker stop web-2  → exit 1
    docker inspect web-2
    docker start web-2
    docker inspect web-2
    docker ps web
    docker inspect web-4
    docker stop web-4
    docker inspect web-4
    docker rm -v web-4
    docker start web-1
    docker inspect web-1
    docker ps web
    docker inspect web-3
    docker stop web-3
    docker inspect web-3
    docker rm -v web-3
    docker ps web
    docker inspect web-1 web-2
    docker volume ls
    docker image ls zdd-revision/shop
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-1 old healthy
    web-2 old healthy
    at least: 2 of web
    "#);
}

#[test]
fn the_restart_policy_of_a_stopped_one_cannot_be_taken() {
    let scenario = Scenario::new(&web("")).with([old("web-1").policy("always")]);
    let error = "Error response from daemon: Cannot update container web-1: no space left on device";
    assert_snapshot!(scenario.when_nth(1, "docker update", fail(error)).run(&["up"]), @"
    exit code: 0
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-2 healthy
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  warning: an engine restart would start the stopped containers again: docker update failed: Error response from daemon: Cannot update container web-1: no space left on device
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
    docker update --restart=no web-1  → exit 1
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
fn what_depends_on_the_failed_one_is_not_begun() {
    let web = format!(
        "image: web\n{HEALTHCHECK}\ndepends_on: {{db: {{condition: service_healthy, required: true}}}}"
    );
    let file = project(&[("web", &web), ("db", &format!("image: db\n{HEALTHCHECK}"))]);
    let scenario = Scenario::new(&file).with([old("web-1"), old("db-1")]);
    assert_snapshot!(scenario.starts("db", "starting, starting, unhealthy").run(&["up"]), @r#"
    exit code: 3
    --- stderr
    [TIME]  db   roll: configuration changed
    [TIME]  web  roll: configuration changed
    [TIME]  db   roll to 1 replica
    [TIME]  db   shop-db-2 started
    [TIME]  db   waiting until healthy, at most [TIME]
    [TIME]  db   new version failed: shop-db-2 is unhealthy after 2 failed probes
    [TIME]  db   shop-db-2 stopping (grace 10s)
    [TIME]  db   shop-db-2 stopped (exit code 0)
    [TIME]  db   shop-db-2 removed
    [TIME]  db   rolled back in [TIME], serving shop-db-1

    db           [TIME] to [TIME]
      shop-db-1  [BAR]
      shop-db-2  [BAR]
                 ░ starting  █ serving  ▓ stopping  ! failed
    start [TIME], health [TIME], stop [TIME], rollback [TIME], total [TIME]

    db: the new version failed (shop-db-2); shop-db-1 serves now; web: not started
    hint: fix the new version, then run "docker zdd up" again
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
    docker logs --tail 20 db-2
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
fn compose_does_not_come_to_recreate_it() {
    let scenario = Scenario::new(&web("container_name: db")).with([old("web-1")]);
    let error = "network shop_default has active endpoints";
    let scenario = scenario.when("compose up -d --no-deps --force-recreate", fail(error));
    assert_snapshot!(scenario.run(&["up", "--allow-downtime"]), @r#"
    exit code: 3
    --- stderr
    [TIME]  web  recreate: configuration changed
    [TIME]  web  warning: its requests fail from the stop of the old container to the start of the new
    [TIME]  web  recreate 1 replica, with downtime
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  new version failed: docker compose up failed: network shop_default has active endpoints
    [TIME]  web  rolled back in [TIME], serving shop-web-1

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
                  █ serving  ▓ stopping
    stop [TIME], rollback [TIME], total [TIME]

    web: the new version failed; shop-web-1 serves now
    hint: fix the new version, then run "docker zdd up" again
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
    docker compose up -d --no-deps --force-recreate --scale web=1 web  → exit 1
    docker ps web
    docker inspect web-1
    docker ps web
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

/// There is nothing better to go back to, but it is no revision to go back to either.
#[test]
fn the_file_is_edited_before_it_is_recreated_or_revived() {
    let lines = |more: &str| format!("image: web\n{HEALTHCHECK}\n{more}");
    let recreated = project(&[("api", &lines("")), ("web", &lines("container_name: db"))]);
    let recreated = edited_at_up(Scenario::new(&recreated).with([new("api-1"), old("web-1")]));
    let revision = revisions(&recreated.world).pop().expect("a revision");
    assert_eq!((revision.changed, revision.unknown), (vec!["web".to_owned()], vec!["web".to_owned()]));
    let revived = edited_at_up(Scenario::new(&web("")).with([old("web-1").is("exited 0")]));
    let missing = "this rollout is not recorded in the history: what runs is not what was planned";
    assert!(revived.stderr.contains(missing), "{revived}");
}

fn edited_at_up(scenario: Scenario) -> Output {
    let scenario = scenario.when("compose up -d --no-deps", Action::Edited("web".to_owned()));
    let output = scenario.run(&["up", "--allow-downtime"]);
    let warning = "has another definition than planned: the file, or what it reads, was changed meanwhile; run \"docker zdd up\" again";
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert!(output.stderr.contains(warning), "{output}");
    output
}

/// The engine goes on with a stop, and the container reads as running until it has ended.
#[test]
fn compose_is_given_up_while_the_one_to_recreate_stops() {
    let scenario = Scenario::new(&web("container_name: db")).with([old("web-1")]);
    let scenario = scenario.env("ZDD_CALL_TIMEOUT", "1500ms").when("compose up -d --no-deps", Action::Hang);
    let scenario = scenario.when_nth(3, "docker inspect web-1", becomes("web-1", "exited 143"));
    let output = scenario.run(&["up", "--allow-downtime", "--timeout", "2"]);
    assert_eq!(output.exit.code(), Some(3), "{output}");
    assert!(output.stderr.contains("docker compose up did not answer within 17s\n"), "{output}");
    assert!(output.stderr.contains("the new version failed; shop-web-1 serves now"), "{output}");
    assert_eq!(output.world.containers[0].now.state, "running", "{output}");
}

#[test]
fn compose_fails_while_some_of_those_to_recreate_stop() {
    let file = web("scale: 2\nconfigs: [{source: c}]\nx-zdd: {strategy: recreate}")
        + "configs: {c: {content: hello}}\n";
    let scenario = Scenario::new(&file);
    let scenario = scenario.with([old("web-1"), old("web-2")]).when("compose up -d --no-deps", fail("no"));
    let scenario = scenario.when("compose up -d --no-deps", becomes("web-1", "exited 143"));
    let output =
        scenario.when("docker start web-1", becomes("web-2", "exited 143")).run(&["up", "--allow-downtime"]);
    assert_eq!(output.exit.code(), Some(3), "{output}");
    assert!(output.stderr.contains("; shop-web-1 and shop-web-2 serve now"), "{output}");
}

/// What Compose made of the stopped ones keeps their volumes and their policy, and is only stopped again.
#[test]
fn a_revived_one_fails() {
    let file = web("scale: 2\nrestart: always");
    let stopped =
        [old("web-1").is("exited 0").policy("always"), old("web-2").is("exited 0").policy("always")];
    let scenario = Scenario::new(&file).with(stopped).starts("web", "starting, unhealthy");
    assert_snapshot!(scenario.run(&["up"]), @r#"
    exit code: 3
    --- stderr
    [TIME]  web  create: not running (web)
    [TIME]  web  create 2 replicas
    [TIME]  web  shop-web-1 started
    [TIME]  web  shop-web-2 started
    [TIME]  web  new version failed: shop-web-1 is unhealthy after 2 failed probes
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-2 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-2 stopped (exit code 0)
    [TIME]  web  rolled back in [TIME], nothing serves

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  ░ starting  ▓ stopping  ! failed
    health [TIME], stop [TIME], rollback [TIME], total [TIME]

    web: the new version failed (shop-web-1); nothing serves now
    hint: fix the new version, then run "docker zdd up" again
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-1 web-2
    docker ps
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=2 web
    docker ps web
    docker compose up -d --no-deps --scale web=2 web
    docker ps web
    docker inspect web-1 web-2
    docker logs --tail 20 web-1
    docker stop web-1 web-2
    docker inspect web-1 web-2
    docker ps web
    docker volume ls
    docker image ls zdd-revision/shop
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-1 new exited 0, restart always
    web-2 new exited 0, restart always
    at least: 0 of web
    "#);
}

#[test]
fn a_recreated_one_cannot_be_rolled_back() {
    let scenario = Scenario::new(&web("container_name: db")).with([old("web-1")]);
    assert_snapshot!(scenario.starts("web", "starting, starting, unhealthy").run(&["up", "--allow-downtime"]), @r#"
    exit code: 4
    --- stderr
    [TIME]  web  recreate: configuration changed
    [TIME]  web  warning: its requests fail from the stop of the old container to the start of the new
    [TIME]  web  recreate 1 replica, with downtime
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  db started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  new version failed: db is unhealthy after 2 failed probes
    [TIME]  web  warning: the rollback failed: Compose has removed the old container, and its definition is not known
    [TIME]  web  rollback failed in [TIME], nothing serves

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      db          [BAR]
                  ░ starting  █ serving  ▓ stopping  ! failed
    health [TIME], stop [TIME], rollback [TIME], total [TIME]

    web: the new version failed (db), and so did the rollback; nothing serves now
    hint: check "docker ps -a", then run "docker zdd up" again
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
    docker logs --tail 20 db
    docker inspect web-1  → exit 1
    docker ps web
    docker volume ls
    docker image ls zdd-revision/shop
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    db new unhealthy
    at least: 0 of web
    "#);
}

#[test]
fn quiet_tells_of_failures() {
    let scenario =
        Scenario::new(&web("")).with([old("web-1")]).starts("web", "starting, starting, unhealthy: refused");
    let output = scenario.writes("web", "bye\n").run(&["--progress", "quiet", "up"]);
    assert_snapshot!(output.stderr, @r#"
    web: shop-web-2 is unhealthy after 2 failed probes
      last probe: refused
      shop-web-2  | bye
    web: the new version failed (shop-web-2); shop-web-1 serves now
    hint: fix the new version, then run "docker zdd up" again
    "#);
}

#[test]
fn the_same_failure_a_second_time_leaves_nothing_more() {
    let scenario =
        Scenario::new(&web("scale: 2")).with([old("web-1"), old("web-2")]).starts("web", "exited 1");
    let host = scenario.host();
    let names = |output: &Output| -> Vec<String> {
        output.world.containers.iter().map(|container| container.name.clone()).collect()
    };
    for _ in 0..2 {
        let output = host.run(&["up"]);
        assert_eq!(output.exit.code(), Some(3), "{output}");
        assert_eq!(names(&output), ["shop-web-1", "shop-web-2"], "{output}");
    }
}

/// What an answer of docker should not be. Before anything is touched it is exit code 1, and nothing is touched.
#[test]
fn garbage() {
    let garbage = |call: &str, text: &str| {
        let scenario = Scenario::new(&web("")).with([old("web-1")]);
        let output = scenario.when(call, Action::Print(text.to_owned())).run(&["up"]);
        assert_eq!(output.changes(), Vec::<&str>::new(), "{output}");
        format!("{call}: exit {}\n{}\n", output.exit.code().unwrap_or(-1), output.stderr)
    };
    let shown = [
        garbage("version --short", "no version"),
        garbage("compose config --hash", "web"),
        garbage("compose config", "services: [web]"),
        garbage("docker image inspect", "<html>"),
        garbage("docker inspect", "[{\"Id\": 7}]"),
    ];
    assert_snapshot!(shown.concat(), @r#"
    version --short: exit 1
    docker compose version answered something else than expected: no version

    compose config --hash: exit 1
    docker compose config answered something else than expected: lines other than "service hash"

    compose config: exit 1
    the output of "docker compose config" is not understood: invalid type: sequence, expected a map

    docker image inspect: exit 1
    docker image inspect answered something else than expected: expected value at line 1 column 1

    docker inspect: exit 1
    docker inspect answered something else than expected: the output of "docker inspect" is not understood
    "#);
}

/// What is not in the list counts as new later: nothing is begun on a list that lacks what is known to be there.
#[test]
fn a_list_without_the_old_ones_is_not_believed() {
    for list in ["", "<html>502 Bad Gateway</html>\n"] {
        let scenario = Scenario::new(&web("scale: 2")).with([old("web-1"), old("web-2")]);
        let output = scenario.when_nth(1, "docker ps web", Action::Print(list.to_owned())).run(&["up"]);
        assert_eq!(output.exit.code(), Some(3), "{output}");
        assert_eq!(output.changes(), Vec::<&str>::new(), "{output}");
        assert!(output.stderr.contains("shop-web-1 and shop-web-2 serve now"), "{output}");
    }
}

#[test]
fn new_ones_that_nobody_asked_for_are_left_alone() {
    let scenario =
        Scenario::new(&web("scale: 2")).with([old("web-1"), new("web-2").is("unhealthy: refused")]);
    assert_snapshot!(scenario.starts("web", "starting, starting, unhealthy").run(&["up"]), @r#"
    exit code: 3
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 2 replicas, all at once
    [TIME]  web  shop-web-3 started
    [TIME]  web  shop-web-4 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  new version failed: shop-web-3 is unhealthy after 2 failed probes
    [TIME]  web  shop-web-3 stopping (grace 10s)
    [TIME]  web  shop-web-4 stopping (grace 10s)
    [TIME]  web  shop-web-3 stopped (exit code 0)
    [TIME]  web  shop-web-4 stopped (exit code 0)
    [TIME]  web  shop-web-3 removed
    [TIME]  web  shop-web-4 removed
    [TIME]  web  rolled back in [TIME], serving shop-web-1

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-3  [BAR]
      shop-web-4  [BAR]
                  ░ starting  █ serving  ▓ stopping  ! failed
    start [TIME], health [TIME], stop [TIME], rollback [TIME], total [TIME]

    web: the new version failed (shop-web-3); shop-web-1 serves now
    hint: fix the new version, then run "docker zdd up" again
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-1 web-2
    docker ps
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=4 web
    docker ps web
    docker compose up -d --no-deps --no-recreate --scale web=4 web
    docker ps web
    docker inspect web-3 web-4
    docker logs --tail 20 web-3
    docker ps web
    docker stop web-3 web-4
    docker inspect web-3 web-4
    docker rm -v web-3 web-4
    docker ps web
    docker inspect web-1 web-2
    docker volume ls
    docker image ls zdd-revision/shop
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-1 old healthy
    web-2 new unhealthy
    at least: 1 of web
    "#);
}

/// Everything was done but the removal of what serves nobody any more.
#[test]
fn the_old_one_cannot_be_removed() {
    let scenario = Scenario::new(&web("")).with([old("web-1")]);
    let error = "Error response from daemon: driver \"overlay2\" failed to remove root filesystem: device or resource busy";
    let output = scenario.when("docker rm", fail(error)).run(&["up"]);
    assert_snapshot!(output, @r#"
    exit code: 0
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-2 healthy
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  warning: not every old container could be removed, they are stopped: docker rm failed: Error response from daemon: driver "overlay2" failed to remove root filesystem: device or resource busy
    [TIME]  web  done in [TIME], serving shop-web-2
    [TIME]  warning: Compose does not agree yet: "docker compose up" would go on with "Container shop-web-1 Stopping"

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
    docker rm -v web-1  → exit 1
    docker ps web
    docker inspect web-1 web-2
    docker compose --dry-run up -d --scale web=1
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image web] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-1 old exited 0
    web-2 new healthy
    at least: 1 of web
    "#);
}

/// The engine fails one look at the containers, and not the next.
#[test]
fn one_look_fails() {
    let look = "docker inspect web-2";
    let error = "Error response from daemon: context deadline exceeded";
    let scenario = Scenario::new(&web("")).with([old("web-1")]).when_nth(2, look, fail(error));
    let output = scenario.run(&["up"]);
    assert!(!output.stderr.contains("was removed"), "{output}");
}

/// What the engine says instead of a log is not the log.
#[test]
fn the_log_of_a_failed_container_cannot_be_read() {
    let error = "Error response from daemon: can not get logs from container which is dead".to_owned();
    let scenario = Scenario::new(&web("")).with([old("web-1")]).starts("web", "exited 3");
    let output = scenario.when("docker logs", Action::Fail(1, error)).run(&["up"]);
    assert_eq!(output.exit.code(), Some(3), "{output}");
    assert!(!output.stderr.contains("can not get logs"), "{output}");
}

/// What the hook does is gone with the stop. Whether the container serves without it is for its healthcheck to say.
#[test]
fn post_start_hooks_run_where_an_old_container_starts_again() {
    let scenario = || {
        let file = web("scale: 2\npost_start: [{command: [warm]}]");
        let scenario = Scenario::new(&file).with([old("web-1"), old("web-2")]);
        scenario.when_nth(2, "compose up", Action::Edited("web".to_owned()))
    };
    let output = scenario().run(&["up", "--parallelism", "1"]);
    assert_eq!(output.exit.code(), Some(3), "{output}");
    let place = |call: &str| output.calls.iter().position(|line| line == call);
    let started = place("docker start web-1").unwrap_or_else(|| panic!("{output}"));
    assert!(place("docker exec web-1 warm").is_some_and(|hook| hook > started), "{output}");
    assert!(place("docker exec web-2 warm").is_none(), "it has run all the time: {output}");

    let output = scenario().when("docker exec web-1 warm", fail("cold")).run(&["up", "--parallelism", "1"]);
    assert_eq!(output.exit.code(), Some(3), "{output}");
    assert!(output.stderr.contains("warning: shop-web-1 failed its post_start hook: cold"), "{output}");
}
