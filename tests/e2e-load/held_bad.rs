//! What may go wrong while connections wait: somebody is killed, nothing starts, it takes too long.

use std::{
    net::TcpListener,
    os::unix::process::CommandExt,
    process::Child,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use zdd_load::{Load, Running};

use crate::{
    clients,
    held::Alone,
    rig::{Call, Rig},
    stack::{HELPER, TIMEOUT, docker, finish, ids, wait_until},
};

const VOLUME: &str = "    volumes: [\"data:/data\"]\nvolumes: {data: {}}";
/// From the kill on.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
const LEAVES_WITHIN: Duration = Duration::from_secs(30);

/// That it does not answer its healthcheck for so long does not make it an unhealthy one.
fn boots_within(time: &str) -> impl Fn(String, u16) -> String {
    let edited = format!("interval: 1s, start_period: {time}}}");
    move |file, _| {
        assert!(file.contains("interval: 1s}"), "{file}");
        file.replace("interval: 1s}", &edited)
    }
}

/// A run that has stopped the old container, and hangs in the start of the new one.
struct Hanging {
    alone: Alone,
    rig: Rig,
    child: Child,
}

impl Hanging {
    fn begin(alone: Alone) -> Hanging {
        let rig = Rig::new();
        rig.set(Some((&Call { line: "start".to_owned(), nth: 1 }, "hangs")));
        let mut command = alone.command("2", "ok");
        let mut child = command.envs(rig.env()).process_group(0).spawn().unwrap();
        let end = Instant::now() + TIMEOUT;
        while !rig.was_hit() {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < end, "{ended:?} {:?}", rig.calls());
            std::thread::sleep(Duration::from_millis(100));
        }
        Hanging { alone, rig, child }
    }

    /// SIGKILL to its process group, as an out-of-memory killer or a CI system does it.
    fn kill_group(&mut self) {
        kill_process_group(Pid::from_child(&self.child), Signal::KILL).unwrap();
        self.child.wait().unwrap();
    }

    /// And to all that it has started on this machine and on the engine, but for what is there for that very case.
    fn kill_all(&mut self) {
        let filter = format!("label=io.zdd.helper={}", self.alone.stack.project);
        let helpers = docker(&["ps", "--quiet", "--filter", &filter]);
        self.kill_group();
        for (number, line) in self.rig.left() {
            if !line.contains("__watchdog") {
                let _ = kill_process(Pid::from_raw(number).unwrap(), Signal::KILL);
            }
        }
        let kill: Vec<_> = ["rm", "--force"].into_iter().chain(helpers.lines()).collect();
        docker(&kill);
    }

    /// The version that answers, and that nothing is left after a while; then the next run as if nothing had been.
    fn becomes_served_by(&self, version: &str, clients: &[Running], killed: Instant) {
        assert!(clients.iter().all(|load| load.wait_version(version, ANSWERS_WITHIN)), "nobody answers");
        let answered = killed.elapsed();
        let is_clean = || self.alone.left().is_empty() && self.rig.processes().is_empty();
        wait_until("nothing to be left", is_clean);
        let left = killed.elapsed();
        assert!(left < LEAVES_WITHIN, "{left:?}");
        println!("answered after {answered:?}, nothing was left after {left:?}");
        let before = ids(&self.alone.stack.containers("app"));
        let (code, again) = self.alone.up("3", "ok");
        assert_eq!(code, 0, "{again}");
        assert!(clients.iter().all(|load| load.wait_version("3", TIMEOUT)), "{again}");
        let after = self.alone.stack.containers("app");
        assert!(after.len() == 1 && ids(&after).is_disjoint(&before), "{after:?}");
    }
}

/// The helpers live on for a while, so nobody notices.
#[test]
#[ignore = "takes long; scripts/test long"]
fn killed_between_the_stop_and_the_start() {
    let alone = Alone::serving("held-killed-stop", VOLUME);
    let clients = clients(alone.port);
    let mut run = Hanging::begin(alone);
    run.kill_group();
    run.becomes_served_by("2", &clients, Instant::now());
    for report in clients.into_iter().map(Running::stop) {
        assert!(report.failed().is_empty(), "{report}");
    }
}

/// Nobody is there to wait at, so some are refused, for less than ten seconds.
#[test]
#[ignore = "takes long; scripts/test long"]
fn everything_is_killed_between_the_stop_and_the_start() {
    let alone = Alone::serving("held-killed-all", VOLUME);
    let clients = clients(alone.port);
    let mut run = Hanging::begin(alone);
    run.kill_all();
    run.becomes_served_by("2", &clients, Instant::now());
    let failed: usize = clients.into_iter().map(|load| load.stop().failed().len()).sum();
    println!("{failed} failed");
}

/// The engine stops a container although nobody waits for it any more.
#[test]
#[ignore = "takes long; scripts/test long"]
fn killed_in_the_stop() {
    let slow = |file: String, _| {
        let ignores = file.replace("APP_ON_TERM: exit", "APP_ON_TERM: ignore");
        ignores.replace("    environment:", "    stop_grace_period: 3s\n    environment:")
    };
    let alone = Alone::edited("held-killed-in-stop", VOLUME, slow);
    let clients = clients(alone.port);
    let old = alone.stack.containers("app")[0].id.clone();
    let started = || docker(&["inspect", "--format", "{{.State.StartedAt}}", &old]);
    let before = started();
    let rig = Rig::new();
    rig.set(Some((&Call { line: "stop".to_owned(), nth: 1 }, "kill-during")));
    let mut child = alone.command("2", "ok").envs(rig.env()).spawn().unwrap();
    child.wait().unwrap();
    let killed = Instant::now();
    assert!(rig.was_hit());
    wait_until("the old one to be started again", || started() != before);
    let run = Hanging { alone, rig, child };
    run.becomes_served_by("1", &clients, killed);
    let failed: usize = clients.into_iter().map(|load| load.stop().failed().len()).sum();
    println!("{failed} failed");
}

/// Nobody waits longer than is written. The rollout goes on, and the summary says it.
#[test]
#[ignore = "takes long; scripts/test long"]
fn the_time_to_wait_is_up() {
    let alone = Alone::edited("held-too-long", VOLUME, boots_within("30s"));
    let clients = clients(alone.port);
    let mut command = alone.command("2", "ok");
    let slow =
        finish(command.envs([("HOLD", "2s"), ("WAIT", "30s"), ("APP_BOOT_MS", "5000")]).spawn().unwrap());
    assert_eq!(slow.code, 0, "{}", slow.stderr);
    assert!(slow.stderr.contains("app was down for "), "{}", slow.stderr);
    assert!(clients.iter().all(|load| load.wait_version("2", TIMEOUT)), "{}", slow.stderr);
    for report in clients.into_iter().map(Running::stop) {
        let failed = report.failed();
        assert!(!failed.is_empty(), "{report}");
        let longest = failed.iter().map(|sample| sample.latency).max().unwrap();
        assert!(longest < Duration::from_secs(3), "{longest:?}: {report}");
    }
    assert_eq!(alone.left(), "");
}

/// Neither the new one nor the old one starts any more: it says so, keeps nobody waiting, and goes on when it can.
fn neither_starts(alone: &Alone, breaks: &str, reason: &str, meanwhile: impl FnOnce(&Rig)) {
    let clients = clients(alone.port);
    let rig = Rig::new();
    rig.meanwhile("start", breaks);
    let child = alone.command("2", "ok").envs(rig.env()).spawn().unwrap();
    wait_until("the start", || rig.was_hit());
    meanwhile(&rig);
    let finished = finish(child);
    assert_eq!(finished.code, 4, "{}", finished.stderr);
    assert!(finished.stderr.contains(reason), "{}", finished.stderr);
    assert!(finished.stderr.contains("nothing serves"), "{}", finished.stderr);
    assert_eq!(alone.left(), "", "{}", finished.stderr);
    println!("{}", finished.stderr);
    drop(clients);
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn the_port_is_taken_by_somebody_else() {
    let alone = Alone::serving("held-taken", VOLUME);
    let mut taken = None;
    neither_starts(&alone, "until [ -e \"$FAULTY_DOCKER_DIR/go\" ]; do sleep 0.1; done", "in use", |rig| {
        taken = Some(TcpListener::bind(("127.0.0.1", alone.port)).unwrap());
        std::fs::write(rig.path().join("go"), "").unwrap();
    });
    drop(taken);
    goes_on(&alone);
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn what_it_needs_is_gone() {
    let folder = tempfile::Builder::new().prefix("zddtest-gone-").tempdir().unwrap();
    let needed = folder.path().join("needed");
    std::fs::create_dir(&needed).unwrap();
    let bind = "type: bind, target: /needed, bind: {create_host_path: false}";
    let lines = format!("    volumes: [{{{bind}, source: {}}}]", needed.display());
    let alone = Alone::serving("held-gone", &lines);
    neither_starts(&alone, &format!("rmdir {}", needed.display()), "does not exist", |_| {});
    std::fs::create_dir(&needed).unwrap();
    goes_on(&alone);
}

fn goes_on(alone: &Alone) {
    let (code, again) = alone.up("3", "ok");
    assert_eq!(code, 0, "{again}");
    let clients = clients(alone.port);
    assert!(clients.iter().all(|load| load.wait_version("3", TIMEOUT)), "{again}");
    assert_eq!(alone.stack.all_containers().len(), 1, "{again}");
}

/// A machine that is a container itself may not have all that it would have to give away.
fn may_be_privileged() -> bool {
    let run = ["run", "--rm", "--privileged", "zdd-app:test", "--version"];
    let output = std::process::Command::new("docker").args(run).output().unwrap();
    // The engine's own failure.
    output.status.code() != Some(125)
}

/// All capabilities, and more than one port: the second has nobody who listens.
#[test]
#[ignore = "takes long; scripts/test long"]
fn a_privileged_one_with_a_range_of_ports() {
    let rights = if may_be_privileged() { "privileged: true" } else { "cap_add: [NET_RAW]" };
    println!("{rights}");
    let range = |file: String, port: u16| {
        let (one, two) = (format!("{port}:80"), format!("{port}-{}:80-81", port + 1));
        assert!(file.contains(&one), "{file}");
        file.replace(&one, &two).replace("    environment:", &format!("    {rights}\n    environment:"))
    };
    // The next port is nobody's.
    crate::stack::free_port();
    let alone = Alone::edited("held-range", VOLUME, range);
    crate::stack::free_port();
    alone.nobody_is_refused();
}

/// As long as an app may take to boot by default, and a half more than a minute is written.
#[test]
#[ignore = "takes long; scripts/test long"]
fn a_minute_to_boot() {
    let alone = Alone::edited("held-minute", VOLUME, boots_within("120s"));
    let url = format!("http://127.0.0.1:{}/", alone.port);
    let timeout = Duration::from_secs(100);
    let loads: Vec<_> = [true, false]
        .map(|keep_alive| {
            Load { rate: Some(20.0), workers: 64, timeout, keep_alive, ..Load::new(url.clone()) }.start()
        })
        .into();
    loads.iter().for_each(|load| wait_until("good answers", || load.succeeded() >= 20));
    let slow = [("HOLD", "90s"), ("WAIT", "120s"), ("APP_BOOT_MS", "60000")];
    let finished = finish(alone.command("2", "ok").envs(slow).spawn().unwrap());
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(finished.stderr.contains("connections to app waited "), "{}", finished.stderr);
    for report in loads.into_iter().map(Running::stop) {
        assert!(report.failed().is_empty(), "{report}\n{}", finished.stderr);
        println!("{report}");
    }
}

/// Nothing stands between it and whoever asks, so nobody can wait: only with consent.
#[test]
#[ignore = "takes long; scripts/test long"]
fn the_network_of_the_host_needs_consent() {
    let on_host = |file: String, port: u16| {
        let ports = format!("    ports: [\"127.0.0.1:{port}:80\"]");
        assert!(file.contains(&ports), "{file}");
        let env = format!("    environment:\n      APP_PORT: {port}");
        file.replace(&ports, "    network_mode: host").replace("    environment:", &env)
    };
    let alone = Alone::edited("held-host", "", on_host);
    let before = alone.stack.all_containers();
    let (code, refused) = alone.up("2", "ok");
    assert_eq!(code, 2, "{refused}");
    assert!(refused.contains("nothing was touched"), "{refused}");
    assert_eq!(alone.stack.all_containers(), before);
    let consents = ["up", "--allow-downtime"];
    let finished =
        finish(alone.stack.command(&consents, &[(HELPER, "auto"), ("APP_VERSION", "2")]).spawn().unwrap());
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(finished.stderr.contains("app was down for "), "{}", finished.stderr);
    println!("{refused}\n{}", finished.stderr);
}
