//! An engine that is restarted, or full, in the middle of a rollout. Other tests use the engine of the machine, so
//! this takes one of its own: `scripts/engine-restart` starts it and runs these.

use std::{env, path::PathBuf, process::Command};

use crate::{
    faults::rig::{Call, Rig},
    stack::{HELPER, Seen, Stack, app, docker, finish, ids, wait_until},
};

const TWO: &str = "deploy: {replicas: 2}\nrestart: always";

/// One of the programs that the script has written: `restart`, `fill`, `empty`.
fn tool(name: &str) -> PathBuf {
    PathBuf::from(env::var_os("ZDD_ENGINE").expect("scripts/engine-restart")).join(name)
}

fn call(name: &str) {
    assert!(Command::new(tool(name)).status().unwrap().success(), "{name} failed");
}

fn serving_one(name: &str) -> Stack {
    let stack = Stack::new(name, &format!("services:\n{}", app(TWO)));
    stack.zdd_ok(&["up"], &[("APP_VERSION", "1")]);
    stack
}

fn running(stack: &Stack) -> Vec<Seen> {
    stack.containers("app").into_iter().filter(|c| c.state == "running").collect()
}

/// The wanted state and nothing else: two new ones, and no lock.
fn is_done(stack: &Stack, old: &[Seen]) {
    let now = stack.all_containers();
    assert_eq!((now.len(), running(stack).len()), (2, 2), "{now:?}");
    assert!(ids(&now).is_disjoint(&ids(old)), "{now:?}");
    assert_eq!(docker(&["volume", "ls", "-q", "--filter", &format!("name=zdd-lock-{}", stack.project)]), "");
}

/// Kills a run just before a call, restarts the engine, and returns what runs then.
fn killed_and_restarted(stack: &Stack, line: &str) -> Vec<Seen> {
    let rig = Rig::new();
    rig.set(Some((&Call { line: line.to_owned(), nth: 1 }, "kill-before")));
    finish(stack.command(&["up"], &[("APP_VERSION", "2")]).envs(rig.env()).spawn().unwrap());
    assert!(rig.was_hit());
    call("restart");
    running(stack)
}

#[test]
#[ignore = "needs an engine of its own; scripts/engine-restart"]
fn a_restart_before_the_removal_brings_nothing_back() {
    let stack = serving_one("restart-rm");
    let old = stack.all_containers();
    let rig = Rig::new();
    rig.meanwhile("rm -v", &tool("restart").display().to_string());
    let finished = finish(stack.command(&["up"], &[("APP_VERSION", "2")]).envs(rig.env()).spawn().unwrap());
    assert!(rig.was_hit());
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(!finished.stderr.contains("could be removed"), "{}", finished.stderr);
    is_done(&stack, &old);
}

#[test]
#[ignore = "needs an engine of its own; scripts/engine-restart"]
fn killed_and_restarted_after_the_retirement_nothing_comes_back() {
    let stack = serving_one("restart-killed");
    let old = stack.all_containers();
    let after = killed_and_restarted(&stack, "rm -v");
    assert!(ids(&after).is_disjoint(&ids(&old)), "{after:?}");
    assert_eq!(after.len(), 2, "{after:?}");
    stack.zdd_ok(&["up"], &[("APP_VERSION", "2")]);
    is_done(&stack, &old);
}

/// In the instant between the stop and the end of its restart policy it may come back: the next run retires it.
#[test]
#[ignore = "needs an engine of its own; scripts/engine-restart"]
fn killed_and_restarted_in_between_the_next_run_finishes() {
    let stack = serving_one("restart-between");
    let old = stack.all_containers();
    killed_and_restarted(&stack, "update --restart=no");
    stack.zdd_ok(&["up"], &[("APP_VERSION", "2")]);
    is_done(&stack, &old);
}

#[test]
#[ignore = "needs an engine of its own; scripts/engine-restart"]
fn a_restart_while_the_new_ones_boot() {
    let stack = serving_one("restart-boot");
    let old = stack.all_containers();
    let env = [("APP_VERSION", "2"), ("APP_BOOT_MS", "2000"), ("START_PERIOD", "30s")];
    let child = stack.command(&["up"], &env).spawn().unwrap();
    wait_until("new containers", || running(&stack).len() == 4);
    call("restart");
    let finished = finish(child);
    assert!([0, 3, 4].contains(&finished.code), "{finished:?}");
    assert!(running(&stack).len() >= 2, "{:?}", stack.all_containers());
    stack.zdd_ok(&["up"], &env);
    is_done(&stack, &old);
}

/// With the helpers on: neither they nor anything that they did is left, and nobody has to be swept.
fn restarted_before(name: &str, line: &str) {
    let stack = serving_one(name);
    let old = stack.all_containers();
    let rig = Rig::new();
    rig.meanwhile(line, &tool("restart").display().to_string());
    let env = [("APP_VERSION", "2"), (HELPER, "auto")];
    let finished = finish(stack.command(&["up"], &env).envs(rig.env()).spawn().unwrap());
    assert!(rig.was_hit(), "{}", finished.stderr);
    assert!([0, 3, 4].contains(&finished.code), "{finished:?}");
    wait_until("its helpers to be gone", || {
        docker(&["ps", "--all", "--quiet", "--filter", "label=io.zdd.helper"]).is_empty()
    });
    assert_eq!(tables(), "", "{}", finished.stderr);
    wait_until("the containers", || running(&stack).len() >= 2);
    stack.zdd_ok(&["up"], &env);
    is_done(&stack, &old);
    assert_eq!(tables(), "");
}

/// Of helpers, in the network of this engine, which is that of the test.
fn tables() -> String {
    let output = Command::new("nft").args(["list", "tables"]).output().expect("nft (package nftables)");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter(|line| line.contains(" zdd-")).collect()
}

#[test]
#[ignore = "needs an engine of its own; scripts/engine-restart"]
fn with_helpers_new_ones_are_guarded() {
    restarted_before("restart-guard", "compose up -d --no-deps --no-recreate --scale app=4 app");
}

#[test]
#[ignore = "needs an engine of its own; scripts/engine-restart"]
fn with_helpers_connections_are_handed_over() {
    restarted_before("restart-steer", "stop");
}

#[test]
#[ignore = "needs an engine of its own; scripts/engine-restart"]
fn with_helpers_addresses_are_kept() {
    restarted_before("restart-kept", "update --restart=no");
}

#[test]
#[ignore = "needs an engine of its own; scripts/engine-restart"]
fn the_disk_is_full_when_the_new_ones_are_made() {
    let stack = serving_one("full");
    let old = stack.all_containers();
    let rig = Rig::new();
    rig.meanwhile(
        "compose up -d --no-deps --no-recreate --scale app=4 app",
        &tool("fill").display().to_string(),
    );
    let finished = finish(stack.command(&["up"], &[("APP_VERSION", "2")]).envs(rig.env()).spawn().unwrap());
    assert!(rig.was_hit());
    assert_eq!(finished.code, 3, "{}", finished.stderr);
    assert!(finished.stderr.contains("no space left on device"), "{}", finished.stderr);
    assert_eq!(stack.all_containers(), old, "{}", finished.stderr);
    let full = stack.zdd(&["up"], &[("APP_VERSION", "2")]);
    assert!([1, 3].contains(&full.code), "{full:?}");
    assert_eq!(stack.all_containers(), old, "{}", full.stderr);
    call("empty");
    stack.zdd_ok(&["up"], &[("APP_VERSION", "2")]);
    is_done(&stack, &old);
}
