//! The settings of a rollout under load: what a failure does, in what order and how fast containers go, and what is
//! left alone.

use std::{
    fs::{self, File},
    process::{Child, Command},
};

use crate::{
    rolling::{HAPROXY_CFG, served},
    stack::{
        APP, Finished, Seen, Stack, TIMEOUT, app, behind_haproxy, docker, finish, free_port, ids, traffic,
        wait_until,
    },
};

/// Boots long enough for a test to get hold of it.
const BOOTS: &[(&str, &str)] = &[("APP_VERSION", "2"), ("APP_BOOT_MS", "1000"), ("START_PERIOD", "30s")];

fn of(containers: &[Seen], old: &[Seen], state: &str) -> usize {
    containers.iter().filter(|c| c.state == state && ids(old).contains(&c.id)).count()
}

fn added(stack: &Stack, old: &[Seen]) -> Vec<Seen> {
    let mut added = stack.containers("app");
    added.retain(|c| !ids(old).contains(&c.id));
    added
}

/// Version 2 of two replicas under load, whose second new container is killed while it boots; what is there then, and
/// after a plain run that nobody disturbs.
struct Struck {
    finished: Finished,
    old: Vec<Seen>,
    left: Vec<Seen>,
    settled: Vec<Seen>,
}

fn loses_the_second(name: &str, settings: &str) -> Struck {
    let (stack, port) = served(name, &format!("deploy: {{replicas: 2}}\nx-zdd: {settings}"), &[]);
    let old = stack.containers("app");
    let load = traffic(port);
    let child = stack.command(&["up", "app"], BOOTS).spawn().unwrap();
    let running = || added(&stack, &old).into_iter().filter(|c| c.state == "running").collect::<Vec<_>>();
    wait_until("the second new container", || running().len() == 2);
    let second = running().into_iter().max_by_key(|c| c.name.clone()).unwrap();
    docker(&["kill", &second.id]);
    let finished = finish(child);
    let left = stack.containers("app");
    stack.zdd_ok(&["up", "app"], BOOTS);
    assert!(load.wait_version("2", TIMEOUT));
    let report = load.stop();
    assert!(report.failed().is_empty(), "{report}\n{}", finished.stderr);
    let settled = stack.containers("app");
    assert!(settled.len() == 2 && settled.iter().all(|c| c.state == "running"), "{settled:?}");
    assert!(ids(&settled).is_disjoint(&ids(&old)), "{settled:?}");
    Struck { finished, old, left, settled }
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn pause_leaves_everything_as_it_is() {
    let Struck { finished, old, left, .. } =
        loses_the_second("pause", "{parallelism: 1, failure_action: pause}");
    assert_eq!(finished.code, 3, "{}", finished.stderr);
    assert!(finished.stderr.contains("app: paused, because the new version failed"), "{}", finished.stderr);
    let states = [of(&left, &old, "running"), of(&left, &old, "exited")];
    assert_eq!(states, [1, 1], "{left:?} {}", finished.stderr);
    assert_eq!(left.len(), 4, "{left:?}");
    assert_eq!(left.iter().filter(|c| c.state == "running").count(), 2, "{left:?}");
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn continue_keeps_an_old_one_for_the_lost_one() {
    let Struck { finished, old, left, .. } = loses_the_second("continue", "{failure_action: continue}");
    assert_eq!(finished.code, 3, "{}", finished.stderr);
    assert!(finished.stderr.contains("part of the new version failed"), "{}", finished.stderr);
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left.iter().all(|c| c.state == "running"), "{left:?}");
    assert_eq!(of(&left, &old, "running"), 1, "{left:?} {}", finished.stderr);
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn a_ratio_of_failures_is_let_pass() {
    let Struck { finished, old, left, settled } = loses_the_second("ratio", "{max_failure_ratio: 0.5}");
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(finished.stderr.contains("max_failure_ratio lets "), "{}", finished.stderr);
    assert!(ids(&left).is_disjoint(&ids(&old)), "{left:?}");
    let states = ["running", "exited"].map(|state| left.iter().filter(|c| c.state == state).count());
    assert_eq!(states, [1, 1], "{left:?} {}", finished.stderr);
    assert_eq!(
        ids(&settled).intersection(&ids(&left)).count(),
        1,
        "only the lost one is replaced: {settled:?}"
    );
}

/// Ends with the value.
struct Listener(Child);

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The next starts and ends of the app's containers that the engine tells of: time in seconds, what, and whether an
/// old one. It is listened to meanwhile: what the engine remembers is soon full of health checks.
fn four_events(stack: &Stack, during: impl FnOnce()) -> Vec<(f64, String, bool)> {
    let old = ids(&stack.containers("app"));
    let shown = stack.folder().join("events");
    let now = docker(&["info", "--format", "{{.SystemTime}}"]);
    let project = format!("label=com.docker.compose.project={}", stack.project);
    let filters = [&*project, "label=com.docker.compose.service=app", "event=start", "event=die"];
    let listener = Command::new("docker")
        .args(["events", "--since", &now, "--format", "{{.TimeNano}} {{.ID}} {{.Status}}"])
        .args(filters.iter().flat_map(|filter| ["--filter", filter]))
        .stdout(File::create(&shown).unwrap())
        .spawn();
    let _listener = Listener(listener.unwrap());
    during();
    let text = || fs::read_to_string(&shown).unwrap();
    wait_until("four events", || text().lines().count() >= 4);
    let event = |line: &str| {
        let words: Vec<_> = line.split(' ').collect();
        let time = words[0].parse::<f64>().unwrap() / 1e9;
        (time, words[2].to_owned(), old.contains(words[1]))
    };
    text().lines().map(event).collect()
}

/// In two batches of one, whose events under load come in this order.
fn goes_in_order(name: &str, args: &[&str], order: [(&str, bool); 4]) -> Vec<f64> {
    let (stack, port) = served(name, "deploy: {replicas: 2}", &[]);
    let load = traffic(port);
    let up = [&["up", "app", "--parallelism", "1"], args].concat();
    let events = four_events(&stack, || drop(stack.zdd_ok(&up, BOOTS)));
    assert!(load.wait_version("2", TIMEOUT));
    let report = load.stop();
    assert!(report.failed().is_empty(), "{report}");
    let seen: Vec<_> = events.iter().map(|(_, what, is_old)| (what.as_str(), *is_old)).collect();
    assert_eq!(seen, order, "{events:?}");
    events.into_iter().map(|(time, ..)| time).collect()
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn between_two_batches_there_is_the_delay() {
    let order = [("start", false), ("die", true), ("start", false), ("die", true)];
    let times = goes_in_order("delay", &["--delay", "2s"], order);
    assert!(times[2] - times[1] >= 2.0, "{times:?}");
}

#[test]
fn stop_first_makes_room_before_each_batch() {
    let order = [("die", true), ("start", false), ("die", true), ("start", false)];
    goes_in_order("stopfirst", &["--order", "stop-first"], order);
}

/// One dependency that has changed, and one of which nothing runs.
#[test]
#[ignore = "takes long; scripts/test long"]
fn without_dependencies_only_the_named_service_is_touched() {
    let port = free_port();
    let dependency = |name: &str| {
        format!(
            "  {name}:\n    image: {APP}\n    environment: {{V: \"${{APP_VERSION}}\"}}\n    x-zdd: {{monitor: 300ms}}\n"
        )
    };
    let file = behind_haproxy(port, &app("depends_on: [changed, gone]"))
        + &dependency("changed")
        + &dependency("gone");
    let stack = Stack::new("nodeps", &file);
    stack.write("haproxy.cfg", &HAPROXY_CFG.replace("app-pool", "app"));
    stack.zdd_ok(&["up"], &[("APP_VERSION", "1")]);
    docker(&["rm", "-f", ids(&stack.containers("gone")).first().unwrap()]);
    let before = stack.all_containers();
    let load = traffic(port);

    stack.zdd_ok(&["up", "app", "--no-deps"], &[("APP_VERSION", "2")]);

    assert!(load.wait_version("2", TIMEOUT));
    let report = load.stop();
    assert!(report.failed().is_empty(), "{report}");
    let after = stack.all_containers();
    assert_eq!(after.len(), before.len(), "{after:?}");
    assert_eq!(ids(&after).intersection(&ids(&before)).count(), before.len() - 1, "{after:?}");
    assert!(ids(&before).is_disjoint(&ids(&stack.containers("app"))), "{after:?}");
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn what_is_forced_is_replaced_although_nothing_changed() {
    let (stack, port) = served("force", "deploy: {replicas: 2}", &[]);
    let before = stack.all_containers();
    let load = traffic(port);

    stack.zdd_ok(&["up", "app", "--force-recreate"], &[("APP_VERSION", "1")]);

    let report = load.stop();
    assert!(report.failed().is_empty(), "{report}");
    let after = stack.all_containers();
    assert_eq!(after.len(), before.len(), "{after:?}");
    assert_eq!(ids(&after).intersection(&ids(&before)).count(), 1, "only the proxy stays: {after:?}");
}
