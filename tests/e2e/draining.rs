//! Requests in flight on an old container: the proxy takes it out before it is stopped.

use zdd_load::{Load, Method};

use crate::{
    rolling::served,
    stack::{PATIENCE, Stack, docker, ids},
};

/// Posts with some work each, on kept-alive connections: a cut request cannot be tried again by anybody.
fn posts(port: u16) -> zdd_load::Running {
    let load = Load {
        workers: 8,
        rate: Some(200.0),
        method: Method::Post { body_bytes: 2000 },
        ..Load::new(format!("http://127.0.0.1:{port}/"))
    };
    let running = load.start();
    assert!(running.wait_completed(100, PATIENCE), "no answers through port {port}");
    running
}

fn rolls_without_loss(name: &str, on_term: &str) -> (Stack, u16) {
    let extra = "deploy: {replicas: 2}\nstop_grace_period: 1s";
    let env = [("APP_ON_TERM", on_term), ("APP_WORK_MS", "20")];
    let (stack, port) = served(name, extra, &env);
    let load = posts(port);
    for version in ["2", "3"] {
        load.mark(&format!("to {version}"));
        let finished = stack.zdd_ok(&["up", "app"], &[env[0], env[1], ("APP_VERSION", version)]);
        assert!(finished.stderr.contains("draining (HAProxy"), "{}", finished.stderr);
        assert!(load.wait_version(version, PATIENCE));
    }
    let report = load.stop();
    assert!(report.failed().is_empty(), "{report}");
    (stack, port)
}

#[test]
fn an_app_that_exits_at_once_loses_no_post_behind_haproxy() {
    let (stack, _) = rolls_without_loss("exit", "exit");
    let lb = ids(&stack.containers("lb")).pop_first().unwrap();
    let state = docker(&[
        "exec",
        &lb,
        "bash",
        "-c",
        "exec 3<>/dev/tcp/127.0.0.1/1999; echo 'show servers state' >&3; cat <&3",
    ]);
    // The seventh field is the administrative state; 8 is a drain that nobody took back.
    let drained =
        |line: &&str| line.split(' ').nth(6).and_then(|n| n.parse::<u32>().ok()).is_some_and(|n| n & 8 != 0);
    assert_eq!(state.lines().find(drained), None, "{state}");
}

#[test]
fn an_app_that_ignores_sigterm_loses_no_post_behind_haproxy() {
    rolls_without_loss("ignore", "ignore");
}

#[test]
fn a_hook_that_fails_does_not_keep_the_old_container() {
    let extra = "pre_stop: [{command: [\"/zdd-app\", \"exit\", \"3\"]}]";
    let (stack, port) = served("hookfails", extra, &[]);
    let load = posts(port);
    let finished = stack.zdd_ok(&["up", "app"], &[("APP_VERSION", "2")]);
    assert!(finished.stderr.contains("pre_stop hook of"), "{}", finished.stderr);
    assert!(load.wait_version("2", PATIENCE));
    let report = load.stop();
    assert!(report.failed().is_empty(), "{report}");
    assert_eq!(stack.containers("app").len(), 1);
}
