//! Requests in flight on an old container: the proxy takes it out before it is stopped.

use std::time::{Duration, Instant};

use zdd_load::{Echo, EchoEnd, Load, Method};

use crate::{
    rolling::served,
    stack::{Finished, Stack, TIMEOUT, app, docker, finish, ids, wait_until},
};

/// Posts with some work each, on kept-alive connections: a cut request cannot be tried again by anybody.
pub fn posts(port: u16) -> zdd_load::Running {
    let load = Load {
        workers: 8,
        rate: Some(200.0),
        method: Method::Post { body_bytes: 2000 },
        max_time: Duration::from_secs(600),
        ..Load::new(format!("http://127.0.0.1:{port}/"))
    };
    let running = load.start();
    assert!(running.wait_completed(100, TIMEOUT), "no answers through port {port}");
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
        assert!(load.wait_version(version, TIMEOUT));
    }
    let report = load.stop();
    assert!(report.failed().is_empty(), "{report}");
    (stack, port)
}

/// The slots of HAProxy whose drain nobody took back.
pub fn drained_slots(stack: &Stack) -> Vec<String> {
    let lb = ids(&stack.containers("lb")).pop_first().unwrap();
    let ask = "exec 3<>/dev/tcp/127.0.0.1/1999; echo 'show servers state' >&3; cat <&3";
    let state = docker(&["exec", &lb, "bash", "-c", ask]);
    // The seventh field is the administrative state; 8 is a drain by the runtime API.
    let drained =
        |line: &&str| line.split(' ').nth(6).and_then(|n| n.parse::<u32>().ok()).is_some_and(|n| n & 8 != 0);
    state.lines().filter(drained).map(str::to_owned).collect()
}

#[test]
fn an_app_that_exits_at_once_loses_no_post_behind_haproxy() {
    let (stack, _) = rolls_without_loss("exit", "exit");
    assert_eq!(drained_slots(&stack), Vec::<String>::new());
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn an_app_that_ignores_sigterm_loses_no_post_behind_haproxy() {
    rolls_without_loss("ignore", "ignore");
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn a_hook_that_fails_does_not_keep_the_old_container() {
    let extra = "pre_stop: [{command: [\"/zdd-app\", \"exit\", \"3\"]}]";
    let (stack, port) = served("hookfails", extra, &[]);
    let load = posts(port);
    let finished = stack.zdd_ok(&["up", "app"], &[("APP_VERSION", "2")]);
    assert!(finished.stderr.contains("pre_stop hook of"), "{}", finished.stderr);
    assert!(load.wait_version("2", TIMEOUT));
    let report = load.stop();
    assert!(report.failed().is_empty(), "{report}");
    assert_eq!(stack.containers("app").len(), 1);
}

/// Requests that take 3 s and streams of 5 s, begun all the time, on an app that would cut them.
#[test]
fn what_takes_long_is_finished_first() {
    let env = [("APP_ON_TERM", "exit")];
    let (stack, port) = served("long", "deploy: {replicas: 2}", &env);
    let post = Method::Post { body_bytes: 2000 };
    let kinds = [(Method::Get, "/work?ms=3000"), (post, "/work?ms=3000"), (Method::Get, "/stream?ms=5000")];
    let loads = kinds.map(|(method, path)| {
        let url = format!("http://127.0.0.1:{port}{path}");
        Load { workers: 40, rate: Some(5.0), method, ..Load::new(url) }.start()
    });
    assert!(loads.iter().all(|load| load.wait_completed(5, TIMEOUT)));
    stack.zdd_ok(&["up", "app"], &[env[0], ("APP_VERSION", "2")]);
    assert!(loads.iter().all(|load| load.wait_version("2", TIMEOUT)));
    for report in loads.map(zdd_load::Running::stop) {
        assert!(report.failed().is_empty(), "{report}");
    }
}

/// A connection that nobody closes, as a websocket, lives as long as the drain may take, and no longer.
#[test]
fn a_held_connection_lives_until_the_drain_timeout() {
    let (stack, port) = served("held", "deploy: {replicas: 2}\nstop_grace_period: 1s", &[]);
    let url = format!("http://127.0.0.1:{port}/ws");
    let held: Vec<_> = (0..4).map(|_| Echo::open(&url, TIMEOUT).unwrap()).collect();
    let began = Instant::now();
    let finished = stack.zdd_ok(&["up", "app", "--drain-timeout", "5s"], &[("APP_VERSION", "2")]);
    let took = began.elapsed();
    assert!(finished.stderr.contains("drained (deadline passed)"), "{}", finished.stderr);
    for echo in held {
        let result = echo.finish().unwrap();
        assert!(result.lived >= Duration::from_secs(5), "{result:?}\n{}", finished.stderr);
        assert!(result.lived <= took, "{result:?} outlived the rollout of {took:?}");
        assert!(matches!(result.end, EchoEnd::Closed | EchoEnd::Broken(_)), "{result:?}");
    }
}

/// What each container of the service says of itself.
fn healths(stack: &Stack) -> Vec<String> {
    let health = |c: &crate::stack::Seen| docker(&["inspect", "--format", "{{.State.Health.Status}}", &c.id]);
    stack.containers("app").iter().map(health).collect()
}

/// HAProxy goes by checks of its own, which need up to a second more than Docker's.
const READ_ONLY: &str =
    "deploy: {replicas: 2}\nread_only: true\nx-zdd: {parallelism: 1, drain: {until: unhealthy, plus: 2s}}";

const DRAIN_FILE: (&str, &str) = ("APP_DRAIN_FILE", "/run/drain/now");
const TOUCH: &str = "pre_stop: [{command: [/zdd-app, drain]}]";

/// Version 2 in batches of one, whose second container is killed while it boots.
fn fails_in_the_second_batch(stack: &Stack) -> Finished {
    let old = ids(&stack.containers("app"));
    let env = [DRAIN_FILE, ("APP_VERSION", "2"), ("APP_BOOT_MS", "1000"), ("START_PERIOD", "30s")];
    let child = stack.command(&["up", "app"], &env).spawn().unwrap();
    let added = || stack.containers("app").into_iter().filter(|c| !old.contains(&c.id)).collect::<Vec<_>>();
    wait_until("the second batch", || added().iter().filter(|c| c.state == "running").count() == 2);
    let newest = added().into_iter().max_by_key(|c| c.name.clone()).unwrap();
    docker(&["kill", &newest.id]);
    finish(child)
}

/// The file that makes the health check fail lies on a tmpfs: an old container that is started again has forgotten it.
#[test]
#[ignore = "takes long; scripts/test long"]
fn a_drain_file_is_forgotten_by_a_rollback() {
    let extra = format!("{READ_ONLY}\ntmpfs: [/run/drain]\n{TOUCH}");
    let (stack, port) = served("tmpfs", &extra, &[DRAIN_FILE]);
    let before = stack.all_containers();
    let load = posts(port);
    let finished = fails_in_the_second_batch(&stack);
    let report = load.stop();
    assert!(report.failed().is_empty(), "{report}\n{}", finished.stderr);
    assert_eq!(finished.code, 3, "{}", finished.stderr);
    assert!(!finished.stderr.contains("never became unhealthy"), "{}", finished.stderr);
    assert_eq!(stack.all_containers(), before, "{}", finished.stderr);
    assert_eq!(healths(&stack), ["healthy", "healthy"], "{}", finished.stderr);
}

/// Elsewhere the file outlives the stop, and the old container comes back unhealthy: what serves is left alone then.
#[test]
#[ignore = "takes long; scripts/test long"]
fn a_drain_file_that_stays_makes_the_rollback_fail() {
    let extra = format!(
        "deploy: {{replicas: 2}}\nx-zdd: {{parallelism: 1, drain: {{until: unhealthy, plus: 2s}}}}\n{TOUCH}"
    );
    let (stack, port) = served("stays", &extra, &[DRAIN_FILE]);
    let load = posts(port);
    let finished = fails_in_the_second_batch(&stack);
    let report = load.stop();
    assert!(report.failed().is_empty(), "{report}\n{}", finished.stderr);
    assert_eq!(finished.code, 4, "{}", finished.stderr);
    assert!(finished.stderr.contains("the rollback failed"), "{}", finished.stderr);
    let serving = healths(&stack).into_iter().filter(|health| health == "healthy").count();
    assert_eq!(serving, 2, "{}", finished.stderr);
}

/// An image with neither a shell nor a place to write.
#[test]
#[ignore = "takes long; scripts/test long"]
fn a_signal_does_for_a_file() {
    let extra = format!("{READ_ONLY}\npre_stop: [{{command: [/zdd-app, signal, USR1]}}]");
    let stack = Stack::new("signal", &format!("services:\n{}", app(&extra)));
    stack.zdd_ok(&["up"], &[("APP_VERSION", "1")]);
    let finished = stack.zdd_ok(&["up"], &[("APP_VERSION", "2")]);
    assert!(finished.stderr.contains("draining (until unhealthy)"), "{}", finished.stderr);
    assert!(!finished.stderr.contains("never became unhealthy"), "{}", finished.stderr);
}
