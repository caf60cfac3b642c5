//! Rollout after rollout, good ones and bad ones: nothing is lost and nothing piles up. `scripts/soak` makes many.

use std::{
    env, fs,
    process::{Child, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use zdd_load::{Load, Method};

use crate::{
    draining::drained_slots,
    faults::rig::Rig,
    rolling::served,
    stack::{Stack, TIMEOUT, docker},
};

/// Name, environment of the new version, exit code.
type Kind = (&'static str, &'static [(&'static str, &'static str)], i32);

const KINDS: &[Kind] = &[
    ("good", &[], 0),
    ("unhealthy", &[("APP_HEALTH", "never")], 3),
    ("crashing", &[("APP_EXIT_AFTER_MS", "300"), ("APP_HEALTH", "never")], 3),
];
const REPLICAS: usize = 2;
/// The history has its own limit.
const REVISIONS: &str = "zdd-revision-";
const MOST_REVISIONS: usize = 12;

/// What one rollout came to.
struct Round {
    kind: &'static str,
    took: Duration,
    /// Peak resident memory of docker-zdd, in KiB.
    peak: u64,
    left: Left,
}

/// What the project has on the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Left {
    containers: usize,
    volumes: usize,
    networks: usize,
}

fn left(stack: &Stack) -> Left {
    let count = |args: &[&str]| docker(args).lines().count();
    let name = format!("name={}", stack.project);
    let volumes = docker(&["volume", "ls", "-q", "--filter", &name]);
    Left {
        containers: stack.all_containers().len(),
        volumes: volumes.lines().filter(|volume| !volume.starts_with(REVISIONS)).count(),
        networks: count(&["network", "ls", "-q", "--filter", &name]),
    }
}

/// Waits for its end, and returns the exit code and the peak memory that the kernel has counted.
fn watch(mut child: Child) -> (Option<i32>, u64) {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let now = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        peak = peak.max(now.unwrap_or(0));
        if let Some(status) = child.try_wait().unwrap() {
            return (status.code(), peak);
        }
        sleep(Duration::from_millis(10));
    }
}

fn round(stack: &Stack, rig: &Rig, number: usize) -> Round {
    let (kind, extra, code) = KINDS[number % KINDS.len()];
    let version = (number + 2).to_string();
    let before = stack.containers("app");
    let mut command = stack.command(&["up", "app"], &[("APP_VERSION", &version)]);
    let output = rig.path().join("output");
    command.envs(extra.iter().copied()).envs(rig.env());
    command.stdout(Stdio::null()).stderr(fs::File::create(&output).unwrap());
    let began = Instant::now();
    let (ended, peak) = watch(command.spawn().unwrap());
    let took = began.elapsed();
    let said = fs::read_to_string(output).unwrap();
    assert_eq!(ended, Some(code), "rollout {number} ({kind}):\n{said}");
    assert_eq!(before == stack.containers("app"), code == 3, "rollout {number} ({kind}):\n{said}");
    assert_eq!(rig.processes(), Vec::<String>::new(), "rollout {number} ({kind}) left processes");
    Round { kind, took, peak, left: left(stack) }
}

/// First, median and last.
fn three<T: Copy + Ord>(values: &[T]) -> (T, T, T) {
    let mut sorted = values.to_vec();
    sorted.sort();
    (values[0], sorted[sorted.len() / 2], values[values.len() - 1])
}

fn print(rounds: &[Round]) {
    println!(
        "{:<10} {:>5} {:>34} {:>34}",
        "rollouts", "", "seconds first/median/last", "peak KiB first/median/last"
    );
    for (kind, ..) in KINDS {
        let of: Vec<_> = rounds.iter().filter(|round| round.kind == *kind).collect();
        if of.is_empty() {
            continue;
        }
        let took = three(&of.iter().map(|round| round.took.as_millis()).collect::<Vec<_>>());
        let peak = three(&of.iter().map(|round| round.peak).collect::<Vec<_>>());
        let seconds = |ms: u128| format!("{:.1}", ms as f64 / 1000.0);
        let took = format!("{}/{}/{}", seconds(took.0), seconds(took.1), seconds(took.2));
        println!("{kind:<10} {:>5} {took:>34} {:>34}", of.len(), format!("{}/{}/{}", peak.0, peak.1, peak.2));
    }
}

fn machine() -> String {
    docker(&["system", "df", "--format", "{{.Type}}: {{.TotalCount}}, {{.Size}}"]).replace('\n', "; ")
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn rollouts_in_a_row_leave_nothing_behind() {
    let count =
        env::var("ZDD_SOAK").map_or(2 * KINDS.len(), |text| text.parse().expect("ZDD_SOAK is a number"));
    let (stack, port) = served("soak", "deploy: {replicas: 2}\nrestart: always\nstop_grace_period: 3s", &[]);
    let (before, machine_before) = (left(&stack), machine());
    let load = Load {
        rate: Some(100.0),
        method: Method::Post { body_bytes: 1000 },
        max_time: Duration::from_secs(60 * (count as u64 + 2)),
        ..Load::new(format!("http://127.0.0.1:{port}/"))
    }
    .start();
    assert!(load.wait_completed(100, TIMEOUT), "no answers through port {port}");
    let rig = Rig::new();
    let rounds: Vec<_> = (0..count).map(|number| round(&stack, &rig, number)).collect();
    let report = load.stop();
    print(&rounds);
    println!("{} requests, {} failed", report.requests(), report.failed().len());
    println!("on the engine before: {before:?}; {machine_before}");
    println!("and after:            {:?}; {}", left(&stack), machine());
    assert!(report.failed().is_empty(), "{report}");
    assert!(
        rounds.iter().all(|round| round.left == before),
        "{:?}",
        rounds.iter().map(|r| r.left).collect::<Vec<_>>()
    );
    let (volumes, images) = stack.revisions();
    assert!(volumes.lines().count() <= MOST_REVISIONS, "{volumes}");
    // One for each of them, and the two that run.
    assert_eq!(images.lines().count(), volumes.lines().count() + 2, "{images}\n{volumes}");
    assert_eq!(before.containers, REPLICAS + 1);
    assert_eq!(drained_slots(&stack), Vec::<String>::new());
    is_flat(&rounds);
}

/// The last ones of a kind need no more memory than the first ones, give or take a page table.
fn is_flat(rounds: &[Round]) {
    for (kind, ..) in KINDS {
        let peaks: Vec<_> =
            rounds.iter().filter(|round| round.kind == *kind).map(|round| round.peak).collect();
        if let [first, .., last] = peaks.as_slice() {
            assert!(*last < first + first / 4 + 1024, "{kind}: {peaks:?} KiB");
        }
    }
}
