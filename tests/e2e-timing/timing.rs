//! How quickly the rollout follows the engine, measured by the engine's own clock.

use crate::stack::{Stack, app, docker, ids, seconds_now};

/// From the last new container's `healthy` to the first stop of an old one.
#[test]
fn the_first_stop_follows_the_last_healthy_within_150_ms() {
    let stack =
        Stack::new("timing", &format!("services:\n{}", app("deploy: {replicas: 3}\nrestart: always")));
    stack.zdd_ok(&["up"], &[("APP_VERSION", "0")]);
    let mut gaps: Vec<f64> = (1..=5).map(|round| gap(&stack, &round.to_string())).collect();
    gaps.sort_by(f64::total_cmp);
    println!("healthy to stop, seconds: {gaps:.3?}");
    // The median: other tests share the machine, and a single round may meet a busy moment.
    assert!(gaps[2] < 0.150, "{gaps:.3?}");
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
