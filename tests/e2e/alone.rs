//! One run at a time, and the lock that sees to it.

use std::process::Command;

use crate::{
    rolling::served,
    stack::{Stack, TIMEOUT, app, docker, finish, ids, traffic, wait_until},
};

pub fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap().success());
}

#[test]
fn a_lock_may_be_waited_for() {
    let stack = Stack::new("waitlock", &format!("services:\n{}", app("")));
    let env = [("APP_BOOT_MS", "1500"), ("START_PERIOD", "30s")];
    let first = stack.command(&["up"], &env).spawn().unwrap();
    wait_until("the lock", || !stack.locks().is_empty());
    let second = stack.zdd(&["up", "--wait-lock", "60"], &env);
    assert_eq!(second.code, 0, "{}", second.stderr);
    assert!(second.stderr.contains("nothing was touched"), "{}", second.stderr);
    assert_eq!(finish(first).code, 0);
}

/// The volume of a run on another machine, which nobody here can know to be dead.
fn plant_a_lock(stack: &Stack) -> String {
    let labels = [
        "mark=4711-1",
        "user=anna",
        "host=web1",
        "machine=0123456789abcdef",
        "boot=00000000-0000-0000-0000-000000000001",
        "pid-namespace=pid:[1]",
        "pid=4711",
        "started=100",
        "since=1795467851",
    ];
    let flags: Vec<_> = labels.iter().map(|label| format!("--label=io.zdd.lock.{label}")).collect();
    let volume = format!("zdd-lock-{}", stack.project);
    let mut args = vec!["volume", "create"];
    args.extend(flags.iter().map(String::as_str));
    docker(&[&args[..], &[&volume]].concat())
}

#[test]
fn the_lock_of_another_machine_holds_until_it_is_broken() {
    let (stack, port) = served("foreign", "deploy: {replicas: 2}", &[]);
    let volume = plant_a_lock(&stack);
    let before = stack.all_containers();
    let load = traffic(port);

    let refused = stack.zdd(&["up", "app"], &[("APP_VERSION", "2")]);
    assert_eq!(refused.code, 5, "{}", refused.stderr);
    let owner = "is being updated by anna on web1 (process 4711) since 2026-11-";
    assert!(refused.stderr.contains(owner), "{}", refused.stderr);
    assert!(refused.stderr.contains("--break-lock"), "{}", refused.stderr);
    assert_eq!((stack.all_containers(), stack.locks()), (before.clone(), volume));

    stack.zdd_ok(&["up", "app", "--break-lock"], &[("APP_VERSION", "2")]);
    assert!(load.wait_version("2", TIMEOUT));
    let report = load.stop();
    assert!(report.failed().is_empty(), "{report}");
    let after = stack.containers("app");
    assert_eq!(after.len(), 2, "{after:?}");
    assert!(ids(&after).is_disjoint(&ids(&before)), "{after:?}");
    assert_eq!(stack.locks(), "");
}
