//! One run at a time, and runs that are broken off at any moment.

use std::{process::Command, time::Instant};

use crate::{
    rolling::served,
    stack::{Finished, PATIENCE, Stack, app, docker, finish, ids, traffic, wait_until},
};

pub fn signal(name: &str, pid: u32) {
    assert!(Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap().success());
}

#[test]
fn of_ten_at_once_one_works_and_nine_are_told_who() {
    let (stack, port) = served("ten", "deploy: {replicas: 2}", &[]);
    let load = traffic(port);
    let began = Instant::now();
    // It boots for a while, so that the others come while the first one works.
    let env = [("APP_VERSION", "2"), ("APP_BOOT_MS", "2000"), ("START_PERIOD", "30s")];
    let runs: Vec<_> = (0..10).map(|_| stack.command(&["up", "app"], &env).spawn().unwrap()).collect();
    let ended: Vec<(Finished, f64)> = std::thread::scope(|scope| {
        let waits: Vec<_> = runs
            .into_iter()
            .map(|run| scope.spawn(move || (finish(run), began.elapsed().as_secs_f64())))
            .collect();
        waits.into_iter().map(|wait| wait.join().unwrap()).collect()
    });
    let (worked, refused): (Vec<_>, Vec<_>) = ended.iter().partition(|(run, _)| run.code == 0);
    assert_eq!((worked.len(), refused.len()), (1, 9), "{ended:?}");
    for (run, after) in &refused {
        assert_eq!(run.code, 5, "{}", run.stderr);
        assert!(run.stderr.contains("is being updated by"), "{}", run.stderr);
        // At once, and not after the one that works.
        assert!(*after < worked[0].1, "{after} s, {} s", worked[0].1);
        println!("refused after {after:.2} s, the other worked for {:.2} s", worked[0].1);
    }
    let report = load.stop();
    assert!(report.failed().is_empty(), "{report}");
    assert_eq!(stack.containers("app").len(), 2);
    assert_eq!(stack.locks(), "");
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

#[test]
fn sigterm_before_the_drain_takes_the_new_ones_back() {
    let (stack, port) = served("term", "deploy: {replicas: 2}", &[]);
    let before = stack.all_containers();
    let load = traffic(port);
    let child = stack
        .command(
            &["up", "app"],
            &[("APP_VERSION", "2"), ("APP_HEALTH", "after:60000"), ("START_PERIOD", "60s")],
        )
        .spawn()
        .unwrap();
    wait_until("new containers", || {
        stack.containers("app").iter().filter(|c| c.state == "running").count() == 4
    });
    signal("TERM", child.id());
    let finished = finish(child);
    assert_eq!(finished.code, 130, "{}", finished.stderr);
    assert_eq!(stack.all_containers(), before, "{}", finished.stderr);
    assert!(finished.stderr.contains("serve now"), "{}", finished.stderr);
    let report = load.stop();
    assert!(report.failed().is_empty(), "{report}");
    assert_eq!(stack.locks(), "");
}

/// SIGKILL while the new ones boot, and again while the old ones stop; then one plain run.
#[test]
fn after_a_kill_the_next_run_finishes_without_leftovers() {
    let slow = [("APP_ON_TERM", "ignore")];
    let (stack, port) = served("kill", "deploy: {replicas: 2}\nstop_grace_period: 3s", &slow);
    let load = traffic(port);
    let two = [("APP_VERSION", "2"), ("APP_BOOT_MS", "1500"), ("START_PERIOD", "30s"), slow[0]];

    let mut child = stack.command(&["up", "app"], &two).spawn().unwrap();
    wait_until("new containers", || {
        stack.containers("app").iter().filter(|c| c.state == "running").count() == 4
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert_ne!(stack.locks(), "", "the killed run had no lock");

    let old = ids(&stack.containers("app")).into_iter().collect::<Vec<_>>();
    let mut child = stack.command(&["up", "app"], &two).spawn().unwrap();
    wait_until("an old container to stop", || stack.containers("app").iter().any(|c| c.state == "exited"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(old.len(), 4);

    stack.zdd_ok(&["up", "app"], &two);
    assert!(load.wait_version("2", PATIENCE));
    let report = load.stop();
    assert!(report.failed().is_empty(), "{report}");
    let after = stack.containers("app");
    assert!(after.len() == 2 && after.iter().all(|c| c.state == "running"), "{after:?}");
    assert_eq!(stack.locks(), "");
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
    assert!(load.wait_version("2", PATIENCE));
    let report = load.stop();
    assert!(report.failed().is_empty(), "{report}");
    let after = stack.containers("app");
    assert_eq!(after.len(), 2, "{after:?}");
    assert!(ids(&after).is_disjoint(&ids(&before)), "{after:?}");
    assert_eq!(stack.locks(), "");
}
