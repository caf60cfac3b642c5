//! What earlier days left on the engine: one-offs are never touched, crashed replicas are replaced.

use std::collections::BTreeSet;

use crate::stack::{Stack, app, docker, ids, wait_until};

fn one_off(stack: &Stack, args: &[&str]) -> String {
    let mut all = vec!["run", "-d", "--no-deps", "app"];
    all.extend_from_slice(args);
    let name = stack.compose(&all, &[("APP_VERSION", "1")]);
    docker(&["inspect", "--format", "{{.Id}}", name.lines().last().unwrap()])
}

fn state(id: &str) -> String {
    docker(&["inspect", "--format", "{{.State.Status}} {{.State.StartedAt}}", id])
}

#[test]
fn one_offs_are_neither_counted_nor_touched() {
    let stack = Stack::new("oneoff", &format!("services:\n{}", app("deploy: {replicas: 2}")));
    stack.zdd_ok(&["up"], &[("APP_VERSION", "1")]);
    let replicas = ids(&stack.containers("app"));
    let ended = one_off(&stack, &["/zdd-app", "exit", "0"]);
    let runs = one_off(&stack, &["/zdd-app", "sleep", "600000"]);
    wait_until("the one-off to end", || state(&ended).starts_with("exited"));
    let before = (state(&ended), state(&runs));

    stack.zdd_ok(&["up", "app"], &[("APP_VERSION", "2")]);

    assert_eq!((state(&ended), state(&runs)), before);
    let now = ids(&stack.containers("app"));
    let new: BTreeSet<_> = now.iter().filter(|id| **id != ended && **id != runs).cloned().collect();
    assert_eq!(new.len(), 2, "{now:?}");
    assert!(new.is_disjoint(&replicas), "{now:?}");
}

#[test]
fn a_crashed_replica_is_replaced_with_the_others() {
    let stack = Stack::new("crashed", &format!("services:\n{}", app("deploy: {replicas: 3}")));
    stack.zdd_ok(&["up"], &[("APP_VERSION", "1")]);
    let old = ids(&stack.containers("app"));
    docker(&["kill", old.first().unwrap()]);

    stack.zdd_ok(&["up", "app"], &[("APP_VERSION", "2")]);

    let new = stack.containers("app");
    assert_eq!(new.len(), 3, "{new:?}");
    assert!(new.iter().all(|c| c.state == "running" && !old.contains(&c.id)), "{new:?}");
}

#[test]
fn a_crashed_replica_of_the_wanted_version_is_replaced_alone() {
    let stack = Stack::new("crashed1", &format!("services:\n{}", app("deploy: {replicas: 3}")));
    stack.zdd_ok(&["up"], &[]);
    let old = ids(&stack.containers("app"));
    docker(&["kill", old.first().unwrap()]);

    stack.zdd_ok(&["up"], &[]);

    let now = stack.containers("app");
    assert_eq!(now.len(), 3, "{now:?}");
    assert!(now.iter().all(|c| c.state == "running"), "{now:?}");
    assert_eq!(ids(&now).intersection(&old).count(), 2, "{now:?}");
}

#[test]
fn a_crashed_replica_stays_when_the_new_version_fails() {
    let stack = Stack::new("crashed2", &format!("services:\n{}", app("deploy: {replicas: 2}")));
    stack.zdd_ok(&["up"], &[("APP_VERSION", "1")]);
    docker(&["kill", ids(&stack.containers("app")).first().unwrap()]);
    let before = stack.all_containers();

    let finished = stack.zdd(&["up"], &[("APP_VERSION", "2"), ("APP_HEALTH", "never")]);

    assert_eq!(finished.code, 3, "{}", finished.stderr);
    assert_eq!(stack.all_containers(), before, "{}", finished.stderr);
}

#[test]
fn other_projects_with_the_same_service_are_left_alone() {
    let file = format!("services:\n{}", app(""));
    let (mine, other) = (Stack::new("mine", &file), Stack::new("other", &file));
    mine.zdd_ok(&["up"], &[("APP_VERSION", "1")]);
    other.zdd_ok(&["up"], &[("APP_VERSION", "1")]);
    let before = other.all_containers();
    mine.zdd_ok(&["up"], &[("APP_VERSION", "2")]);
    assert_eq!(other.all_containers(), before);
}
