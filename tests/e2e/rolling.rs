//! The main job: a new version takes over and nobody notices.

use crate::stack::{Stack, TIMEOUT, app, behind_haproxy, free_port, ids, traffic};

pub const HAPROXY_CFG: &str = include_str!("../../examples/haproxy/haproxy.cfg");

/// Three replicas behind HAProxy, version 1 serving.
pub fn served(name: &str, extra: &str, env: &[(&str, &str)]) -> (Stack, u16) {
    let port = free_port();
    let stack = Stack::new(name, &behind_haproxy(port, &app(extra)));
    stack.write("haproxy.cfg", &HAPROXY_CFG.replace("app-pool", "app"));
    let mut all = vec![("APP_VERSION", "1")];
    all.extend_from_slice(env);
    stack.zdd_ok(&["up"], &all);
    (stack, port)
}

#[test]
fn no_request_is_lost_and_the_version_never_goes_back() {
    let (stack, port) = served("roll", "deploy: {replicas: 3}", &[("APP_BOOT_MS", "300")]);
    let old = ids(&stack.containers("app"));
    let load = traffic(port);
    load.mark("rollout");
    stack.zdd_ok(&["up", "app"], &[("APP_VERSION", "2"), ("APP_BOOT_MS", "300")]);
    load.mark("after");
    assert!(load.wait_version("2", TIMEOUT));
    let report = load.stop();
    let new = stack.containers("app");
    assert!(report.failed().is_empty(), "{}", report.table());
    assert!(report.never_back("1", "2"), "{}", report.timeline());
    assert_eq!(new.len(), 3, "{new:?}");
    assert!(new.iter().all(|c| c.state == "running" && !old.contains(&c.id)), "{new:?}");
}

#[test]
fn a_second_run_touches_nothing_and_compose_agrees() {
    let stack = Stack::new("twice", &format!("services:\n{}", app("deploy: {replicas: 2}")));
    stack.zdd_ok(&["up"], &[("APP_VERSION", "1")]);
    let env = [("APP_VERSION", "2")];
    stack.zdd_ok(&["up"], &env);
    let before = stack.all_containers();
    let finished = stack.zdd_ok(&["up"], &env);
    assert!(finished.stderr.contains("nothing was touched"), "{}", finished.stderr);
    stack.compose(&["up", "-d", "--no-build", "--pull", "never"], &env);
    assert_eq!(stack.all_containers(), before);
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn the_count_follows_the_flag_up_and_down() {
    let stack = Stack::new("count", &format!("services:\n{}", app("")));
    stack.zdd_ok(&["up"], &[]);
    let first = ids(&stack.containers("app"));
    stack.zdd_ok(&["up", "--scale", "app=3"], &[]);
    let three = ids(&stack.containers("app"));
    assert!(three.len() == 3 && three.is_superset(&first), "{first:?} {three:?}");
    stack.zdd_ok(&["up"], &[]);
    assert_eq!(ids(&stack.containers("app")), first);
}
