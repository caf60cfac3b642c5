//! The machine plays up in the middle of a rollout: the old version serves on, the message says why, and nothing
//! of the new one is left.

use std::{net::TcpListener, thread::sleep, time::Duration};

use crate::{
    draining::{drained_slots, posts},
    faults::rig::Rig,
    relay::Relay,
    rolling::served,
    stack::{
        APP, Finished, HAPROXY, HELPER, Stack, TIMEOUT, app, docker, finish, free_port, ids, plain_app,
        skipped, wait_until,
    },
};

const TWO: &str = "deploy: {replicas: 2}";

fn is_refused(finished: &Finished, reason: &str) {
    assert_eq!(finished.code, 3, "{}", finished.stderr);
    assert!(finished.stderr.contains(reason), "no {reason:?} in:\n{}", finished.stderr);
}

fn running(stack: &Stack) -> usize {
    stack.containers("app").iter().filter(|c| c.state == "running").count()
}

/// As a restart of the engine looks from the client, while the new ones boot. It is back at once, or later.
fn loses_the_engine(name: &str, away: Option<Duration>) {
    let (stack, port) = served(name, TWO, &[]);
    let load = posts(port);
    let relay = Relay::start();
    let host = relay.host();
    let env =
        [("APP_VERSION", "2"), ("APP_BOOT_MS", "2000"), ("START_PERIOD", "30s"), ("DOCKER_HOST", &*host)];
    let child = stack.command(&["up", "app"], &env).spawn().unwrap();
    wait_until("new containers", || running(&stack) == 4);
    relay.cut();
    if let Some(away) = away {
        sleep(away);
        relay.repair();
    }
    let finished = finish(child);
    assert!([0, 3, 4].contains(&finished.code), "{finished:?}");
    assert!(away.is_some() || finished.code == 4, "{finished:?}");
    relay.repair();
    stack.zdd_ok(&["up", "app"], &env);
    assert!(load.wait_version("2", TIMEOUT));
    let report = load.stop();
    assert!(report.failed().is_empty(), "{report}\n{}", finished.stderr);
    assert_eq!((stack.containers("app").len(), running(&stack)), (2, 2), "{}", finished.stderr);
    assert_eq!(drained_slots(&stack), Vec::<String>::new());
    assert_eq!(stack.locks(), "");
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn the_engine_is_away_for_the_rest_of_the_run() {
    loses_the_engine("away", None);
}

#[test]
fn the_engine_is_away_for_a_moment() {
    loses_the_engine("blink", Some(Duration::from_millis(300)));
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn a_new_container_is_removed_by_hand() {
    let stack = Stack::new("byhand", &format!("services:\n{}", app(TWO)));
    stack.zdd_ok(&["up"], &[]);
    let before = stack.all_containers();
    let env = [("APP_VERSION", "2"), ("APP_BOOT_MS", "60000"), ("START_PERIOD", "60s")];
    let child = stack.command(&["up"], &env).spawn().unwrap();
    wait_until("new containers", || running(&stack) == 4);
    let new = ids(&stack.containers("app")).difference(&ids(&before)).next().unwrap().clone();
    docker(&["rm", "-f", &new]);
    let finished = finish(child);
    // A look may find it dying, or gone.
    let reasons = ["was removed while it was being waited for", "was killed (exit code 137)"];
    assert!(reasons.iter().any(|reason| finished.stderr.contains(reason)), "{}", finished.stderr);
    is_refused(&finished, "new version failed");
    assert_eq!(stack.all_containers(), before);
}

#[test]
fn an_old_container_is_removed_by_hand() {
    let stack = Stack::new("byhand2", &format!("services:\n{}", app(TWO)));
    stack.zdd_ok(&["up"], &[]);
    let before = ids(&stack.all_containers());
    let rig = Rig::new();
    rig.meanwhile("stop", &format!("docker rm -f {}", before.first().unwrap()));
    let finished = finish(stack.command(&["up"], &[("APP_VERSION", "2")]).envs(rig.env()).spawn().unwrap());
    assert!(rig.was_hit());
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert_eq!(running(&stack), 2, "{}", finished.stderr);
    assert!(ids(&stack.all_containers()).is_disjoint(&before), "{}", finished.stderr);
}

#[test]
fn the_image_is_gone_when_it_is_needed() {
    let image = format!("zddtest-gone-{}:1", std::process::id());
    let stack = Stack::new("gone", &format!("services:\n{}", app(TWO)).replace(APP, "${IMAGE}"));
    stack.zdd_ok(&["up"], &[("IMAGE", APP)]);
    let before = stack.all_containers();
    docker(&["tag", APP, &image]);
    let rig = Rig::new();
    rig.meanwhile("compose up -d --no-deps --no-recreate --scale app=4 app", &format!("docker rmi {image}"));
    let env = [("IMAGE", &*image), ("APP_VERSION", "2")];
    let finished = finish(stack.command(&["up"], &env).envs(rig.env()).spawn().unwrap());
    assert!(rig.was_hit());
    is_refused(&finished, "No such image");
    assert_eq!(stack.all_containers(), before);
}

/// Something changes before the second batch is made: what came before it serves on.
fn is_changed_meanwhile(name: &str, image: &str, change: &str, reason: &str) {
    let batches = "deploy: {replicas: 2, update_config: {parallelism: 1}}";
    let stack = Stack::new(name, &format!("services:\n{}", app(batches)).replace(APP, image));
    docker(&["tag", APP, image]);
    stack.zdd_ok(&["up"], &[]);
    let before = stack.all_containers();
    let rig = Rig::new();
    let change = change.replace("FILE", &stack.folder().join("compose.yaml").to_string_lossy());
    rig.meanwhile("compose up --no-start --no-deps --no-recreate --scale app=4 app", &change);
    let child = stack.command(&["up"], &[("APP_VERSION", "2")]).envs(rig.env()).spawn().unwrap();
    let finished = finish(child);
    docker(&["rmi", image]);
    assert!(rig.was_hit());
    is_refused(&finished, reason);
    assert_eq!(stack.all_containers(), before);
}

#[test]
fn the_file_is_edited_between_two_batches() {
    let image = format!("zddtest-edited-{}:1", std::process::id());
    is_changed_meanwhile(
        "edited",
        &image,
        "echo '    labels: {edited: yes}' >> FILE",
        "has another definition than planned",
    );
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn the_image_is_built_anew_between_two_batches() {
    let image = format!("zddtest-moved-{}:1", std::process::id());
    let change = format!("docker tag {HAPROXY} {image}");
    is_changed_meanwhile("moved", &image, &change, "has another image than planned");
}

#[test]
fn a_port_is_taken() {
    let port = free_port();
    let file = format!("services:\n{}", plain_app(&format!("ports: [\"127.0.0.1:{port}:80\"]")));
    let stack = Stack::new("port", &file);
    let taken = TcpListener::bind(("127.0.0.1", port)).unwrap();
    is_refused(&stack.zdd(&["up"], &[]), "address already in use");
    assert!(stack.all_containers().is_empty(), "{:?}", stack.all_containers());
    drop(taken);
    stack.zdd_ok(&["up", "--monitor", "1s"], &[]);
}

#[test]
fn out_of_memory() {
    if docker(&["info", "--format", "{{.MemoryLimit}}"]) != "true" {
        return skipped("this engine limits no memory, as a rootless one whose user was given no cgroup");
    }
    let (stack, port) = served("oom", "deploy: {replicas: 2}\nmem_limit: 32m\nmemswap_limit: 32m", &[]);
    let before = stack.all_containers();
    let load = posts(port);
    // Without a helper HAProxy may find a new one ready in the moment before it dies.
    let env = [("APP_VERSION", "2"), ("APP_ALLOC_MB", "200"), (HELPER, "auto")];
    let finished = stack.zdd(&["up", "app"], &env);
    // Engine 20.10 notes it after the end of the process, and under load late enough to be missed.
    let reasons = ["ran out of memory and was killed", "was killed (exit code 137)"];
    assert!(reasons.iter().any(|reason| finished.stderr.contains(reason)), "{}", finished.stderr);
    is_refused(&finished, "new version failed");
    let report = load.stop();
    assert!(report.failed().is_empty(), "{report}");
    assert_eq!(stack.all_containers(), before);
}

/// Room for five: three replicas, and no three beside them.
#[test]
#[ignore = "takes long; scripts/test long"]
fn few_addresses_are_enough_for_small_batches() {
    let subnet = format!("10.213.{}.0/29", std::process::id() % 250);
    let file = format!(
        "services:\n{}\nnetworks:\n  default:\n    ipam: {{config: [{{subnet: {subnet}}}]}}\n",
        app("deploy: {replicas: 3}")
    );
    let stack = Stack::new("addresses", &file);
    stack.zdd_ok(&["up"], &[]);
    let before = stack.all_containers();
    let finished = stack.zdd(&["up", "--scale", "app=6"], &[]);
    assert_eq!(finished.code, 2, "{}", finished.stderr);
    assert!(finished.stderr.contains("3 replicas more of it need an address each"), "{}", finished.stderr);
    assert_eq!(stack.all_containers(), before);

    let finished = stack.zdd_ok(&["up"], &[("APP_VERSION", "2")]);
    assert!(
        finished.stderr.contains("2 at a time: its network has no more free addresses"),
        "{}",
        finished.stderr
    );
    assert_eq!(running(&stack), 3);

    stack.zdd_ok(&["up", "--scale", "app=5"], &[("APP_VERSION", "2")]);
    let before = stack.all_containers();
    let finished = stack.zdd(&["up", "--scale", "app=5"], &[("APP_VERSION", "3")]);
    assert_eq!(finished.code, 2, "{}", finished.stderr);
    assert!(
        finished.stderr.contains("has no free address for new containers beside the old ones"),
        "{}",
        finished.stderr
    );
    assert_eq!(stack.all_containers(), before);
}

/// They go to somebody else while a rollout goes on: the new containers make room for the old ones.
#[test]
#[ignore = "takes long; scripts/test long"]
fn a_rollback_finds_its_addresses_taken() {
    let subnet = format!("10.214.{}.0/29", std::process::id() % 250);
    let file = format!(
        "services:\n{}\nnetworks:\n  default:\n    ipam: {{config: [{{subnet: {subnet}}}]}}\n",
        app("deploy: {replicas: 2}\nx-zdd: {parallelism: 1, delay: 5s, monitor: 500ms}")
    );
    let stack = Stack::new("taken", &file);
    stack.zdd_ok(&["up"], &[]);
    let network = format!("{}_default", stack.project);
    let label = format!("com.docker.compose.project={}", stack.project);
    let before = stack.all_containers();
    let child = stack.command(&["up"], &[("APP_VERSION", "2")]).spawn().unwrap();
    wait_until("the first batch", || running(&stack) == 2 && stack.containers("app").len() == 3);
    let take = ["run", "-d", "--rm", "--label", &label, "--network", &network, APP, "sleep", "600000"];
    let takers = [(); 3].map(|()| docker(&take));
    let finished = finish(child);
    is_refused(&finished, "no available IPv4 addresses");
    assert!(finished.stderr.contains("the new ones go first"), "{}", finished.stderr);
    takers.iter().for_each(|id| drop(docker(&["rm", "-f", id])));
    assert_eq!(stack.all_containers(), before);
}
