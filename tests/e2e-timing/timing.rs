//! How quickly the rollout follows the engine, measured by the engine's own clock.

use std::{
    process::Command,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use crate::stack::{APP, Stack, app, docker, ids};

/// From the last new container's `healthy` to the first stop of an old one: new connections go elsewhere, for 100 ms it is
/// watched whether none arrives any more, and the engine is called three times.
#[test]
fn the_first_stop_follows_the_last_healthy_after_150_ms_and_three_calls() {
    let stack =
        Stack::new("timing", &format!("services:\n{}", app("deploy: {replicas: 3}\nrestart: always")));
    stack.zdd_ok(&["up"], &[("APP_VERSION", "0")]);
    let gaps = sorted((1..=5).map(|round| gap(&stack, &round.to_string())).collect());
    let calls = sorted((0..5).map(|_| seconds(|| drop(docker(&["ps", "--quiet"])))).collect());
    println!("healthy to stop, seconds: {gaps:.3?}, a call: {calls:.3?}");
    // The median: other tests share the machine, and a single round may meet a busy moment.
    assert!(gaps[2] < 0.150 + 3.0 * calls[2], "{gaps:.3?}, a call: {calls:.3?}");
}

/// From the engine's report of the failure to the exit of the whole run, undo included.
#[test]
fn a_failure_is_over_within_two_seconds_of_the_engine_s_report() {
    for (name, event, exit_after, health) in [
        ("late-exit", "die", "0", "ok"),
        ("late-crash", "die", "700", "never"),
        ("late-health", "health_status: unhealthy", "", "never"),
    ] {
        let stack = Stack::new(name, &format!("services:\n{}", app("deploy: {replicas: 2}")));
        stack.zdd_ok(&["up"], &[("APP_VERSION", "1")]);
        let since = seconds_now();
        let finished = stack
            .zdd(&["up"], &[("APP_VERSION", "2"), ("APP_EXIT_AFTER_MS", exit_after), ("APP_HEALTH", health)]);
        let ended = seconds_now();
        assert_eq!(finished.code, 3, "{}", finished.stderr);
        let took = ended - first_event(&stack, event, since, ended);
        println!("{name}: exit {took:.2} s after {event}");
        assert!(took < 2.0, "exit {took:.2} s after {event}:\n{}", finished.stderr);
    }
}

/// Ten services, none of them changed.
#[test]
fn nothing_changed_is_said_within_a_second() {
    let service = |n: usize| format!("  s{n}:\n    image: {APP}\n    stop_grace_period: 1s\n");
    let services: String = (0..10).map(service).collect();
    let stack = Stack::new("idle", &format!("x-zdd: {{monitor: 300ms}}\nservices:\n{services}"));
    stack.zdd_ok(&["up"], &[]);
    let before = stack.all_containers();
    let idle = || {
        let finished = stack.zdd_ok(&["up"], &[]);
        assert!(finished.stderr.contains("nothing was touched"), "{}", finished.stderr);
    };
    let times = sorted((0..5).map(|_| seconds(idle)).collect());
    println!("nothing to do, seconds: {times:.3?}");
    assert_eq!(stack.all_containers(), before);
    assert!(times[2] < 1.0, "{times:?}");
}

/// Docker asks each plugin before each of its commands, `docker ps` too, so it must cost next to nothing and need
/// nothing.
#[test]
fn docker_has_the_metadata_within_50_ms() {
    let times: Vec<_> = (0..20)
        .map(|_| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_docker-zdd"));
            command
                .arg("docker-cli-plugin-metadata")
                .env_remove("HOME")
                .env("DOCKER_HOST", "tcp://127.0.0.1:1");
            let began = Instant::now();
            let output = command.output().unwrap();
            let took = began.elapsed().as_secs_f64();
            assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
            took
        })
        .collect();
    let times = sorted(times);
    println!("metadata, seconds: {times:.3?}");
    assert!(times[10] < 0.050, "{times:.3?}");
}

/// Nine others come while one works; each is timed by itself.
#[test]
fn of_ten_at_once_nine_are_refused_within_a_second() {
    let stack = Stack::new("ten", &format!("services:\n{}", app("deploy: {replicas: 2}")));
    stack.zdd_ok(&["up"], &[("APP_VERSION", "1")]);
    // It boots for a while, so that the others come while it works.
    let env = [("APP_VERSION", "2"), ("APP_BOOT_MS", "3000"), ("START_PERIOD", "30s")];
    let run = || {
        let began = Instant::now();
        (stack.zdd(&["up"], &env), began.elapsed().as_secs_f64())
    };
    let ended = ten_at_once(run);
    let (worked, refused): (Vec<_>, Vec<_>) = ended.iter().partition(|(run, _)| run.code == 0);
    assert_eq!((worked.len(), refused.len()), (1, 9), "{ended:?}");
    for (run, _) in &refused {
        assert_eq!(run.code, 5, "{}", run.stderr);
        assert!(run.stderr.contains("is being updated by"), "{}", run.stderr);
    }
    // The median: ten that start at the same moment share two cores, and the last of them is not the tenth of ten alone.
    let times = sorted(refused.iter().map(|(_, after)| *after).collect());
    // A machine on which Compose alone takes longer is no fault of ours. Each of them asks it twice: for the project, and for
    // the hashes of its services.
    let twice = || (0..2).for_each(|_| drop(stack.compose(&["config", "--quiet"], &env)));
    let compose = sorted(ten_at_once(|| seconds(twice)));
    let limit = f64::max(1.0, 2.0 * compose[4]);
    assert!(
        times[4] < limit && times[8] < 2.0 * limit,
        "refused after {times:.3?}, compose takes {compose:.3?}"
    );
    assert_eq!(stack.containers("app").len(), 2);
    assert_eq!(stack.locks(), "");
}

fn ten_at_once<T: Send>(run: impl Fn() -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..10).map(|_| scope.spawn(&run)).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    })
}

fn seconds(work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_secs_f64()
}

fn sorted(mut times: Vec<f64>) -> Vec<f64> {
    times.sort_by(f64::total_cmp);
    times
}

fn gap(stack: &Stack, version: &str) -> f64 {
    let old = ids(&stack.containers("app"));
    let since = seconds_now();
    stack.zdd_ok(&["up"], &[("APP_VERSION", version)]);
    let label = format!("label=com.docker.compose.project={}", stack.project);
    let (since, until) = (format!("{since:.3}"), format!("{:.3}", seconds_now()));
    let text = docker(&[
        "events",
        "--since",
        &since,
        "--until",
        &until,
        "--filter",
        &label,
        "--format",
        "{{.TimeNano}} {{.ID}} {{.Status}}",
    ]);
    let times = |what: &str, among_old: bool| -> Vec<f64> {
        let event = |line: &str| {
            let (time, rest) = line.split_once(' ')?;
            let (id, status) = rest.split_once(' ')?;
            (status.starts_with(what) && old.contains(id) == among_old)
                .then(|| time.parse::<f64>().unwrap() / 1e9)
        };
        text.lines().filter_map(event).collect()
    };
    let healthy = times("health_status: healthy", false).into_iter().fold(0.0, f64::max);
    let stop = times("kill", true).into_iter().fold(f64::MAX, f64::min);
    stop - healthy
}

fn seconds_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// When the engine first reported this event of the project, in seconds since 1970.
fn first_event(stack: &Stack, event: &str, since: f64, until: f64) -> f64 {
    let filter = format!("label=com.docker.compose.project={}", stack.project);
    let (since, until) = (format!("{since:.3}"), format!("{until:.3}"));
    let args = [
        "events",
        "--since",
        &since,
        "--until",
        &until,
        "--filter",
        &filter,
        "--format",
        "{{.TimeNano}} {{.Status}}",
    ];
    let text = docker(&args);
    let of_event = |line: &str| {
        let (time, status) = line.split_once(' ')?;
        (status == event).then(|| time.parse::<f64>().unwrap() / 1e9)
    };
    text.lines().find_map(of_event).unwrap_or_else(|| panic!("no {event} in {text}"))
}
