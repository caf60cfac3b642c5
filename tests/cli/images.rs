//! Images are built and pulled first, or not at all.

use insta::assert_snapshot;

use crate::{
    files::{HEALTHCHECK, project, web},
    scenario::{Scenario, new, old},
    world::Action,
};

/// A service that is built, and one that is not.
fn built() -> String {
    project(&[
        ("db", &format!("image: postgres:17\n{HEALTHCHECK}")),
        ("web", &format!("build: {{context: /srv/web}}\n{HEALTHCHECK}")),
    ])
}

fn fail(stderr: &str) -> Action {
    Action::Fail(1, stderr.to_owned())
}

#[test]
fn built_because_it_is_missing() {
    let scenario = Scenario::new(&built()).without_image("shop-web").with([new("db-1")]);
    assert_snapshot!(scenario.run(&["up"]), @"
    exit code: 0
    --- stderr
    [TIME]  building web
    [TIME]  |  Image shop-web Building
    [TIME]  |  Image shop-web Built
    [TIME]  images ready in [TIME]
    [TIME]  web  create: not running (shop-web)
    [TIME]  unchanged: db
    [TIME]  web  create 1 replica
    [TIME]  web  shop-web-1 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-1 healthy
    [TIME]  web  done in [TIME], serving shop-web-1

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
                  ░ starting  █ serving
    build [TIME], start [TIME], health [TIME], total [TIME]

    web (shop-web) is up to date
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect postgres:17 shop-web  → exit 1
    docker inspect db-1
    docker ps
    docker compose build web
    docker image inspect postgres:17 shop-web
    docker inspect db-1
    docker ps
    docker ps web
    docker compose up -d --no-deps --no-recreate --scale web=1 web
    docker ps web
    docker inspect web-1
    docker ps web
    docker compose --dry-run up -d --scale db=1 --scale web=1
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image postgres:17] zdd-revision/shop:[ID]
    docker tag [image shop-web] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    db-1 new healthy
    web-1 new healthy
    at least: 1 of db, 0 of web
    ");
}

/// As Compose says: "Running". The new index has other attestations, and the same manifest.
#[test]
fn built_again_where_an_image_is_an_index() {
    let scenario = Scenario::new(&built()).with([new("db-1"), new("web-1")]).keeps_indexes();
    assert_snapshot!(scenario.run(&["up", "--build"]), @"
    exit code: 0
    --- stderr
    [TIME]  building web
    [TIME]  |  Image shop-web Building
    [TIME]  |  Image shop-web Built
    [TIME]  images ready in [TIME]
    [TIME]  unchanged: db and web
    project shop is up to date; nothing was touched
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect --platform linux/amd64 --format {{.Id}} postgres:17 shop-web
    docker image inspect postgres:17 shop-web
    docker inspect db-1 web-1
    docker ps
    docker volume ls
    docker tag [image ] zdd-revision/shop:[ID]
    docker compose build web
    docker image inspect --platform linux/amd64 --format {{.Id}} postgres:17 shop-web
    docker image inspect postgres:17 shop-web
    docker inspect db-1 web-1
    docker ps
    docker compose --dry-run up -d --scale db=1 --scale web=1
    docker image rm zdd-revision/shop:dbd04f676d39
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    db-1 new healthy
    web-1 new healthy
    at least: 1 of db, 1 of web
    ");
}

/// What ran is gone by its ID as soon as the build has moved the tag.
#[test]
fn what_ran_as_an_index_before_the_first_rollout_is_kept() {
    let scenario =
        Scenario::new(&built()).with([new("db-1"), new("web-1")]).keeps_indexes().offers_new("shop-web");
    let up = scenario.run(&["up", "--build"]);
    assert_eq!(up.exit.code(), Some(0), "{up}");
    assert!(!up.stderr.contains("not recorded"), "{up}");
    assert!(up.stderr.contains("revision 0"), "{up}");
}

#[test]
fn built_on_request_and_the_image_changed() {
    let scenario = Scenario::new(&built()).offers_new("shop-web").with([new("db-1"), new("web-1")]);
    assert_snapshot!(scenario.run(&["up", "--build"]), @r#"
    exit code: 0
    --- stderr
    [TIME]  building web
    [TIME]  |  Image shop-web Building
    [TIME]  |  Image shop-web Built
    [TIME]  images ready in [TIME]
    [TIME]  web  roll: image changed (dbd04f676d39 → 70cce55fb95a)
    [TIME]  unchanged: db
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-2 healthy
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  done in [TIME], serving shop-web-2 (70cce55fb95a)

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  ░ starting  █ serving  ▓ stopping
    build [TIME], start [TIME], health [TIME], stop [TIME], total [TIME]

    web (dbd04f676d39 → 70cce55fb95a) is up to date
    hint: what ran before is kept as revision 0; "docker zdd rollback" goes back to it
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect postgres:17 shop-web
    docker inspect db-1 web-1
    docker ps
    docker compose build web
    docker image inspect postgres:17 shop-web
    docker inspect db-1 web-1
    docker ps
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=2 web
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image postgres:17] zdd-revision/shop:[ID]
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
    docker compose --dry-run up -d --scale db=1 --scale web=1
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image shop-web] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    db-1 new healthy
    web-2 new healthy
    at least: 1 of db, 1 of web
    "#);
}

#[test]
fn built_on_request_and_nothing_changed() {
    let scenario = Scenario::new(&built()).with([new("db-1"), new("web-1")]);
    assert_snapshot!(scenario.run(&["up", "--build", "web"]), @"
    exit code: 0
    --- stderr
    [TIME]  building web
    [TIME]  |  Image shop-web Building
    [TIME]  |  Image shop-web Built
    [TIME]  images ready in [TIME]
    [TIME]  unchanged: web
    project shop is up to date; nothing was touched
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect postgres:17 shop-web
    docker inspect db-1 web-1
    docker ps
    docker compose build web
    docker image inspect postgres:17 shop-web
    docker inspect db-1 web-1
    docker ps
    docker compose --dry-run up -d --scale db=1 --scale web=1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    db-1 new healthy
    web-1 new healthy
    at least: 1 of db, 1 of web
    ");
}

#[test]
fn the_build_fails() {
    let scenario = Scenario::new(&built()).with([new("db-1"), new("web-1")]);
    let output = "#1 [internal] load build definition\n#5 ERROR: process \"/bin/sh -c make\" did not complete: exit code: 2\nfailed to solve: exit code: 2";
    assert_snapshot!(scenario.when("compose build", fail(output)).run(&["up", "--build"]), @r#"
    exit code: 1
    --- stderr
    [TIME]  building web
    [TIME]  | #1 [internal] load build definition
    [TIME]  | #5 ERROR: process "/bin/sh -c make" did not complete: exit code: 2
    [TIME]  | failed to solve: exit code: 2
    the build of web failed, nothing was touched: failed to solve: exit code: 2
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect postgres:17 shop-web
    docker inspect db-1 web-1
    docker ps
    docker compose build web  → exit 1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    db-1 new healthy
    web-1 new healthy
    at least: 1 of db, 1 of web
    "#);
}

#[test]
fn missing_and_not_to_be_built() {
    let scenario = Scenario::new(&built()).without_image("shop-web").with([new("db-1")]);
    assert_snapshot!(scenario.when("compose pull", fail("pull access denied for shop-web")).run(&["up", "--no-build"]), @"
    exit code: 1
    --- stderr
    [TIME]  pulling web
    [TIME]  | pull access denied for shop-web
    the pull of web failed, nothing was touched: pull access denied for shop-web
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect postgres:17 shop-web  → exit 1
    docker inspect db-1
    docker ps
    docker compose pull web  → exit 1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    db-1 new healthy
    at least: 1 of db, 0 of web
    ");
}

#[test]
fn pulled_because_it_is_missing() {
    let scenario = Scenario::new(&web("")).without_image("web").with([old("web-1").other_image()]);
    assert_snapshot!(scenario.run(&["up"]), @"
    exit code: 0
    --- stderr
    [TIME]  pulling web
    [TIME]  |  Image web Pulling
    [TIME]  |  Image web Pulled
    [TIME]  images ready in [TIME]
    [TIME]  web  roll: image and configuration changed (d8715625b081 → 3d7d6ef7f201)
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-2 healthy
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  done in [TIME], serving shop-web-2 (3d7d6ef7f201)

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  ░ starting  █ serving  ▓ stopping
    pull [TIME], start [TIME], health [TIME], stop [TIME], total [TIME]

    web (d8715625b081 → 3d7d6ef7f201) is up to date
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web  → exit 1
    docker inspect web-1
    docker ps
    docker compose pull web
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
fn pulled_on_request() {
    let scenario = Scenario::new(&built()).offers_new("postgres:17").with([new("db-1"), new("web-1")]);
    let output = scenario.run(&["up", "--pull", "always"]);
    assert_snapshot!(output, @r#"
    exit code: 0
    --- stderr
    [TIME]  pulling db
    [TIME]  |  Image postgres:17 Pulling
    [TIME]  |  Image postgres:17 Pulled
    [TIME]  images ready in [TIME]
    [TIME]  db  roll: image changed (0a2b3f257491 → eaecdb04b9b9)
    [TIME]  unchanged: web
    [TIME]  db  roll to 1 replica
    [TIME]  db  shop-db-2 started
    [TIME]  db  waiting until healthy, at most [TIME]
    [TIME]  db  shop-db-2 healthy
    [TIME]  db  shop-db-1 stopping (grace 10s)
    [TIME]  db  shop-db-1 stopped (exit code 0)
    [TIME]  db  shop-db-1 removed
    [TIME]  db  done in [TIME], serving shop-db-2 (eaecdb04b9b9)

    db           [TIME] to [TIME]
      shop-db-1  [BAR]
      shop-db-2  [BAR]
                 ░ starting  █ serving  ▓ stopping
    pull [TIME], start [TIME], health [TIME], stop [TIME], total [TIME]

    db (0a2b3f257491 → eaecdb04b9b9) is up to date
    hint: what ran before is kept as revision 0; "docker zdd rollback" goes back to it
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect postgres:17 shop-web
    docker inspect db-1 web-1
    docker ps
    docker compose pull db
    docker image inspect postgres:17 shop-web
    docker inspect db-1 web-1
    docker ps
    docker compose --dry-run up -d --no-deps --no-recreate --scale db=2 db
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image ] zdd-revision/shop:[ID]
    docker tag [image shop-web] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r0
    docker volume create zdd-revision-shop-0
    docker ps db
    docker compose up -d --no-deps --no-recreate --scale db=2 db
    docker ps db
    docker inspect db-2
    docker stop db-1
    docker inspect db-1
    docker inspect db-2
    docker rm -v db-1
    docker ps db
    docker inspect db-2
    docker compose --dry-run up -d --scale db=1 --scale web=1
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image postgres:17] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    db-2 new healthy
    web-1 new healthy
    at least: 1 of db, 1 of web
    "#);
}

#[test]
fn the_pull_fails() {
    let scenario = Scenario::new(&web("pull_policy: always")).with([new("web-1")]);
    let output = " Image web Pulling \n Image web Error manifest unknown\nError response from daemon: manifest unknown";
    assert_snapshot!(scenario.when("compose pull", fail(output)).run(&["up"]), @"
    exit code: 1
    --- stderr
    [TIME]  pulling web
    [TIME]  |  Image web Pulling
    [TIME]  |  Image web Error manifest unknown
    [TIME]  | Error response from daemon: manifest unknown
    the pull of web failed, nothing was touched: manifest unknown
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-1
    docker ps
    docker compose pull web  → exit 1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-1 new healthy
    at least: 1 of web
    ");
}

#[test]
fn missing_and_never_to_be_pulled() {
    let scenario = Scenario::new(&web("")).without_image("web").with([old("web-1")]);
    assert_snapshot!(scenario.run(&["up", "--pull", "never"]), @"
    exit code: 1
    --- stderr
    service web: image web is not on the engine
    hint: build or pull it: --build, --pull missing
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web  → exit 1
    docker inspect web-1
    docker ps
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-1 old healthy
    at least: 1 of web
    ");
}

/// Gone from the engine, but not needed: what runs is as wanted.
#[test]
fn missing_and_not_needed() {
    let scenario = Scenario::new(&web("pull_policy: never")).without_image("web").with([new("web-1")]);
    assert_snapshot!(scenario.run(&["up"]), @r#"
    exit code: 0
    --- stderr
    [TIME]  unchanged: web
    [TIME]  warning: Compose does not agree yet: "docker compose up" would go on with "Container shop-web-1 Recreate"
    project shop is up to date; nothing was touched
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web  → exit 1
    docker inspect web-1
    docker ps
    docker compose --dry-run up -d --scale web=1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-1 new healthy
    at least: 1 of web
    "#);
}

/// The engine names a missing image with a tag that nobody wrote.
#[test]
fn a_missing_image_is_not_mistaken_for_the_next_one() {
    let service = |image: &str| format!("image: {image}\n{HEALTHCHECK}");
    let file = project(&[
        ("first", &service("aaa")),
        ("second", &service("bbb")),
        ("third", &service("host:5000/ccc")),
    ]);
    let scenario = Scenario::new(&file).without_image("aaa").with([new("second-1"), new("third-1")]);
    let output = scenario.run(&["up"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert!(output.calls.iter().any(|call| call.ends_with("compose pull first")), "{output}");
    assert!(
        !output.changes().iter().any(|call| call.contains("second") || call.contains("third")),
        "{output}"
    );
}

/// What `up` would end with, `plan` says.
#[test]
fn the_plan_lacks_an_image() {
    let scenario = || Scenario::new(&web("")).without_image("web").with([old("web-1")]);
    let shown = |args: &[&str]| {
        let output = scenario().run(args);
        (output.exit.code(), output.stderr)
    };
    let (code, text) = shown(&["plan", "--pull", "never"]);
    assert_eq!(code, Some(1), "{text}");
    assert_eq!((code, text), shown(&["up", "--pull", "never"]));
}

/// As Compose 5.6 prints what buildx 0.29 does.
#[test]
fn a_build_is_shown_without_the_empty_lines_of_buildkit() {
    let lines = ["#1 [internal] load local bake definitions", "#1 DONE", "#5 [2/2] COPY app /", "#5 CACHED"];
    let printed = format!("{}\n{}\n\n{}\n{}\n\n\n", lines[0], lines[1], lines[2], lines[3]);
    let scenario = Scenario::new(&web("build: {context: .}")).with([new("web-1")]);
    let output = scenario.when("compose build", Action::Print(printed)).run(&["up", "--build"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    let shown: Vec<_> = output.stderr.lines().filter_map(|line| Some(line.split_once("  | ")?.1)).collect();
    assert_eq!(shown, lines, "{output}");
}
