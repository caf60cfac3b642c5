//! SIGKILL between the stop of the old container and the start of the new: another process does what is left to do.

use std::{
    fs,
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    calls,
    files::web,
    scenario::{Host, Scenario, old, read_world},
    world::{Action, World},
};

const LONGEST: Duration = Duration::from_secs(20);

/// One container only can have the port.
fn alone() -> Scenario {
    Scenario::new(&web("ports: [{target: 80, published: \"80\"}]")).with([old("web-1").policy("always")])
}

/// The calls until the run and its watchdog have ended, which was killed when this call had been made.
fn killed(host: &Host, call: &str, meanwhile: impl FnOnce()) -> Vec<String> {
    let mut run = host.spawn(&["up", "--allow-downtime"]);
    run.wait_for_call(call);
    assert_eq!(watchdogs(host), 1, "{call}");
    run.signal(Signal::KILL);
    let _ = run.finish();
    meanwhile();
    let end = Instant::now() + LONGEST;
    while watchdogs(host) > 0 {
        assert!(Instant::now() < end, "the watchdog goes on: {:#?}", calls::lines(&host.path("engine")));
        sleep(Duration::from_millis(5));
    }
    calls::lines(&host.path("engine"))
}

/// How many processes watch over a run on this host.
fn watchdogs(host: &Host) -> usize {
    let mark = format!("FAKE_DOCKER_DIR={}\0", host.path("engine").display());
    let holds = |file: std::path::PathBuf, text: &str| {
        String::from_utf8_lossy(&fs::read(file).unwrap_or_default()).contains(text)
    };
    let folders = fs::read_dir("/proc").expect("a file system").flatten().map(|entry| entry.path());
    folders.filter(|at| holds(at.join("cmdline"), "__watchdog") && holds(at.join("environ"), &mark)).count()
}

fn world(host: &Host) -> World {
    read_world(&host.path("engine/world.json"))
}

fn running(host: &Host) -> Vec<String> {
    let world = world(host);
    world.containers.iter().filter(|c| c.now.state == "running").map(|c| c.name.clone()).collect()
}

/// With its restart policy, and without the lock.
#[test]
fn the_old_one_runs_again() {
    let host = alone().when_nth(1, "docker update --restart=no web-1", Action::HoldAfter).host();
    let calls = killed(&host, "docker update --restart=no web-1", || {});
    assert_eq!(running(&host), ["shop-web-1"], "{calls:#?}");
    assert_eq!(world(&host).containers[0].restart, "always", "{calls:#?}");
    assert_eq!(world(&host).volumes.len(), 0, "{calls:#?}");
}

#[test]
fn a_new_one_that_was_about_to_start_starts() {
    let host = alone().when_nth(1, "docker start web-2", Action::Hold).host();
    let calls = killed(&host, "docker start web-2", || {});
    assert_eq!(running(&host), ["shop-web-2"], "{calls:#?}");
}

#[test]
fn where_the_new_one_does_not_start_the_old_one_does() {
    let cannot = Action::Fail(1, "Error response from daemon: no such file".to_owned());
    let scenario = alone().when_nth(1, "docker start web-2", Action::Hold);
    let host = scenario.when_nth(2, "docker start web-2", cannot).host();
    let calls = killed(&host, "docker start web-2", || {});
    assert_eq!(running(&host), ["shop-web-1"], "{calls:#?}");
}

/// What it was told to do goes on for a moment: nobody is to start anything beside it.
#[test]
fn compose_is_given_a_moment() {
    let scenario = Scenario::new(&web("container_name: db")).with([old("web-1")]);
    let scenario = scenario.starts("web", "created, healthy");
    let host = scenario.when_nth(1, "docker compose up", Action::HoldAfter).host();
    let before = Instant::now();
    let calls = killed(&host, "docker compose up", || {});
    assert!(before.elapsed() > Duration::from_secs(2), "{calls:#?}");
    assert!(!calls.iter().any(|call| call.contains("docker start")), "{calls:#?}");
    assert_eq!(running(&host), ["db"], "{calls:#?}");
}

/// It has a lock of its own, and knows itself what to do.
#[test]
fn the_next_run_is_left_alone() {
    let host = alone().when_nth(1, "docker stop web-1", Action::Hold).host();
    let calls = killed(&host, "docker stop web-1", || {
        host.change(|world| {
            let lock = world.volumes.get_mut("zdd-lock-shop").expect("the lock");
            lock.insert("io.zdd.lock.pid".to_owned(), "1".to_owned());
            world.containers[0].now = crate::world::Reading::parse("exited 0");
        });
    });
    assert_eq!(running(&host), Vec::<String>::new(), "{calls:#?}");
    assert!(!calls.iter().any(|call| call.contains("docker start")), "{calls:#?}");
}

/// Whoever leaves on purpose has said what is left, and it stays so.
#[test]
fn whoever_is_interrupted_twice_leaves_it_as_it_is() {
    let host = alone().when_nth(1, "docker update --restart=no web-1", Action::Hold).host();
    let mut run = host.spawn(&["up", "--allow-downtime"]);
    run.wait_for_call("docker update --restart=no web-1").signal(Signal::INT).wait_for_stderr("interrupted");
    run.signal(Signal::INT);
    let output = run.finish();
    assert_eq!(output.exit.code(), Some(130), "{output}");
    while watchdogs(&host) > 0 {
        sleep(Duration::from_millis(5));
    }
    assert_eq!(running(&host), Vec::<String>::new(), "{output}");
}
