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
#[ignore = "takes long; scripts/test long"]
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

/// Kills one replica, and returns what then runs of the service.
fn crash_one(stack: &Stack) -> BTreeSet<String> {
    let mut all = ids(&stack.containers("app"));
    docker(&["kill", &all.pop_first().unwrap()]);
    all
}

#[test]
fn a_crashed_replica_is_replaced_alone_or_with_the_others_and_stays_when_the_new_version_fails() {
    let stack = Stack::new("crashed", &format!("services:\n{}", app("deploy: {replicas: 3}")));
    let (first, second) = ([("APP_VERSION", "1")], [("APP_VERSION", "2")]);
    let all_run = || {
        let all = stack.containers("app");
        assert_eq!(all.iter().filter(|c| c.state == "running").count(), 3, "{all:?}");
        assert_eq!(all.len(), 3, "{all:?}");
        ids(&all)
    };
    stack.zdd_ok(&["up"], &first);
    let survivors = crash_one(&stack);
    stack.zdd_ok(&["up"], &first);
    assert!(all_run().is_superset(&survivors), "of the wanted version, so it alone is replaced");

    let survivors = crash_one(&stack);
    let before = stack.all_containers();
    let finished = stack.zdd(&["up"], &[second[0], ("APP_HEALTH", "never")]);
    assert_eq!(finished.code, 3, "{}", finished.stderr);
    assert_eq!(stack.all_containers(), before, "{}", finished.stderr);

    stack.zdd_ok(&["up"], &second);
    assert!(all_run().is_disjoint(&survivors));
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
