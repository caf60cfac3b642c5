//! What is not the same on every engine. `scripts/engines` runs the suite on several.

use std::time::{Duration, Instant};

use crate::{
    relay::Relay,
    remote::{Far, first_hour},
    rolling::served,
    stack::{APP, Stack, TIMEOUT, app, docker, docker_knows, finish, ids, plain_app, traffic, wait_until},
};

/// The engine of the tests, by a helper.
#[test]
#[ignore = "takes long; scripts/test long"]
fn the_first_hour() {
    first_hour("first-hour", &Far::default());
}

/// BuildKit's attestations make another index of it each time where containerd keeps the images.
#[test]
fn what_is_built_twice_is_left_alone() {
    let file = plain_app("x-zdd: {monitor: 500ms}").replace(&format!("image: {APP}"), "build: .");
    let stack = Stack::new("built", &format!("services:\n{file}"));
    let dockerfile = |mark: &str| format!("FROM {APP}\nLABEL mark={mark}\n");
    stack.write("Dockerfile", &dockerfile("1"));
    let build = |args: &[&str]| stack.zdd_ok(args, &[]);
    build(&["up", "--build"]);
    let first = stack.all_containers();
    let again = build(&["up", "--build"]);
    assert_eq!(stack.all_containers(), first, "{}", again.stderr);
    assert!(again.stderr.contains("nothing was touched"), "{}", again.stderr);

    stack.write("Dockerfile", &dockerfile("2"));
    let changed = build(&["up", "--build"]);
    let second = stack.all_containers();
    assert!(ids(&second).is_disjoint(&ids(&first)), "{}", changed.stderr);
    let image = |stack: &Stack| {
        let name = &stack.all_containers()[0].name;
        docker(&["inspect", "--format", "{{index .Config.Labels \"mark\"}}", name])
    };
    assert_eq!(image(&stack), "2");
    // It is not what the tag means, nor is it built again.
    build(&["up", "--build"]);
    build(&["rollback"]);
    assert_eq!(image(&stack), "1");
    let name = format!("{}-app", stack.project);
    drop(stack);
    docker(&["image", "rm", "--force", &name]);
}

/// Engines from 25 on look that often while a container boots; Compose refuses the key for an older one.
#[test]
fn a_container_is_healthy_as_soon_as_it_is_asked_at_the_start() {
    if !docker_knows("Server", 25, "start_interval") {
        return;
    }
    let file = app("").replace("interval: 1s", "interval: 1m\n      start_interval: 200ms");
    let stack = Stack::new("start-interval", &format!("services:\n{file}"));
    stack.zdd_ok(&["up"], &[("START_PERIOD", "50s"), ("APP_VERSION", "1")]);
    let began = Instant::now();
    stack.zdd_ok(&["up"], &[("START_PERIOD", "50s"), ("APP_VERSION", "2")]);
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
}

/// To a client a restart under live-restore is no more than that.
#[test]
fn the_engine_is_away_for_a_while_in_the_middle_of_a_rollout() {
    let (stack, port) = served("away", "deploy: {replicas: 2}\nrestart: always", &[]);
    let load = traffic(port);
    let relay = Relay::start();
    let mut command = stack.command(&["up", "app"], &[("APP_VERSION", "2")]);
    let child = command.env("DOCKER_HOST", relay.host()).spawn().unwrap();
    wait_until("new containers", || stack.containers("app").len() == 4);
    relay.cut();
    std::thread::sleep(Duration::from_secs(8));
    relay.repair();
    let finished = finish(child);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(finished.stderr.contains("the engine answers again"), "{}", finished.stderr);
    assert!(load.wait_version("2", TIMEOUT));
    let report = load.stop();
    assert!(report.failed().is_empty(), "{report}\n{}", finished.stderr);
    assert_eq!(stack.containers("app").len(), 2);
    assert_eq!(stack.locks(), "");
}

/// As many ports as replicas are free while a new one starts beside each old one.
#[test]
fn a_range_of_ports_is_shared_by_both_generations() {
    // None that another test takes in the middle of it.
    let first = 31000 + std::process::id() as u16 % 500 * 4;
    let ports = format!("ports: [\"127.0.0.1:{first}-{}:80\"]\ndeploy: {{replicas: 2}}", first + 3);
    let stack = Stack::new("range", &format!("services:\n{}", app(&ports)));
    stack.zdd_ok(&["up"], &[("APP_VERSION", "1")]);
    let before = ids(&stack.all_containers());
    let up = stack.zdd_ok(&["up"], &[("APP_VERSION", "2")]);
    let now = stack.all_containers();
    assert!(now.len() == 2 && ids(&now).is_disjoint(&before), "{}", up.stderr);
}
