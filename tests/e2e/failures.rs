//! A bad new version: exit code 3, the reason on the screen, and exactly the old containers left.

use zdd_load::Running;

use crate::{
    rolling::served,
    stack::{Finished, Stack, docker, finish, ids, plain_app, traffic, wait_until},
};

struct Bad<'a> {
    name: &'a str,
    service: &'a str,
    env: &'a [(&'a str, &'a str)],
    reason: &'a str,
}

/// Serves version 1 under load, tries the bad version 2, and checks everything that must hold afterwards.
fn fails(bad: &Bad) -> Finished {
    let (stack, port) = served(bad.name, bad.service, &[]);
    let before = stack.all_containers();
    let load = traffic(port);
    load.mark("rollout");
    let mut env = vec![("APP_VERSION", "2")];
    env.extend_from_slice(bad.env);
    let finished = stack.zdd(&["up", "app"], &env);
    no_failure(load);
    assert_eq!(finished.code, 3, "{}", finished.stderr);
    assert_eq!(stack.all_containers(), before, "{}", finished.stderr);
    assert!(finished.stderr.contains(bad.reason), "no {:?} in:\n{}", bad.reason, finished.stderr);
    finished
}

fn no_failure(load: Running) {
    let report = load.stop();
    assert!(report.failed().is_empty(), "{report}");
}

const TWO: &str = "deploy: {replicas: 2}";

#[test]
fn never_healthy() {
    let finished = fails(&Bad {
        name: "unhealthy",
        service: TWO,
        env: &[("APP_HEALTH", "never")],
        // A busy machine sees another probe.
        reason: "is unhealthy after ",
    });
    assert!(
        finished.stderr.contains("unhealthy forever"),
        "the probe's output is missing:\n{}",
        finished.stderr
    );
    assert!(finished.stderr.contains("listening on"), "the log tail is missing:\n{}", finished.stderr);
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn exits_at_once() {
    let finished = fails(&Bad {
        name: "exits",
        service: TWO,
        env: &[("APP_EXIT_AFTER_MS", "0"), ("APP_EXIT_CODE", "7")],
        reason: "exited with code 7",
    });
    assert!(finished.stderr.contains("giving up"), "the log tail is missing:\n{}", finished.stderr);
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn exits_at_once_and_is_restarted() {
    fails(&Bad {
        name: "restarts",
        service: "deploy: {replicas: 2}\nrestart: always",
        env: &[("APP_EXIT_AFTER_MS", "0")],
        reason: "crashed and was restarted",
    });
}

#[test]
fn crashes_before_it_is_healthy() {
    fails(&Bad {
        name: "crashes",
        service: "deploy: {replicas: 2}\nrestart: always",
        env: &[("APP_EXIT_AFTER_MS", "700"), ("APP_HEALTH", "never")],
        reason: "crashed and was restarted",
    });
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn exits_without_a_healthcheck() {
    for (name, restart) in [("bare-no", "\"no\""), ("bare-always", "always")] {
        let file =
            format!("services:\n{}", plain_app(&format!("restart: {restart}\nx-zdd: {{monitor: 2s}}")));
        let stack = Stack::new(name, &file);
        stack.zdd_ok(&["up"], &[("APP_VERSION", "1")]);
        let before = stack.all_containers();
        for after in ["0", "900"] {
            let env = [("APP_VERSION", "2"), ("APP_EXIT_AFTER_MS", after)];
            let finished = stack.zdd(&["up"], &env);
            assert_eq!(finished.code, 3, "{name} {after}: {}", finished.stderr);
            assert_eq!(stack.all_containers(), before, "{name} {after}: {}", finished.stderr);
        }
    }
}

#[test]
fn a_failed_first_start_leaves_nothing() {
    let stack = Stack::new("first", &format!("services:\n{}", plain_app("")));
    let finished = stack.zdd(&["up"], &[("APP_EXIT_AFTER_MS", "0")]);
    assert_eq!(finished.code, 3, "{}", finished.stderr);
    assert!(stack.all_containers().is_empty(), "{:?}", stack.all_containers());
}

/// Two batches go before it, each with its drain.
#[test]
#[ignore = "takes long; scripts/test long"]
fn the_third_of_four_batches_fails_and_the_old_four_serve_again() {
    let (stack, port) =
        served("later", "deploy: {replicas: 4, update_config: {parallelism: 1}}\nrestart: always", &[]);
    let before = stack.all_containers();
    let old = ids(&before);
    let load = traffic(port);
    let env = [("APP_VERSION", "2"), ("APP_BOOT_MS", "1000")];
    let child = stack.command(&["up", "app"], &env).spawn().unwrap();
    let new = || stack.containers("app").into_iter().filter(|c| !old.contains(&c.id)).collect::<Vec<_>>();
    wait_until("a third new container", || new().iter().filter(|c| c.state == "running").count() == 3);
    // The gate fails it like any other that stops working while it boots.
    let newest = new().into_iter().max_by_key(|c| number(&c.name)).unwrap();
    docker(&["pause", &newest.id]);
    let finished = finish(child);
    no_failure(load);
    assert_eq!(finished.code, 3, "{}", finished.stderr);
    assert!(finished.stderr.contains("paused"), "{}", finished.stderr);
    assert_eq!(stack.all_containers(), before, "{}", finished.stderr);
    for id in ids(&stack.containers("app")) {
        assert_eq!(docker(&["inspect", "--format", "{{.HostConfig.RestartPolicy.Name}}", &id]), "always");
    }
}

fn number(name: &str) -> u32 {
    name.rsplit('-').next().unwrap().parse().unwrap()
}
