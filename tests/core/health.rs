//! The gate: each rule in its order, and how long it waits.

use std::time::Duration;

use proptest::prelude::*;
use zdd::{
    engine::{
        Container, Healthcheck, State,
        container::{Health, HealthStatus, RestartPolicy},
    },
    platform::compose::judge::{Gate, Judgement, SLACK, Why, deadline},
};

use crate::make::{Turned, cases, current, seconds};

const GATE: Gate = Gate { monitor: Duration::from_secs(10), wait_timeout: None, job: false, may_end: false };
const JOB: Gate = Gate { job: true, may_end: true, ..GATE };
const CHECK: Healthcheck = Healthcheck {
    interval: Some(Duration::from_secs(5)),
    timeout: Some(Duration::from_secs(2)),
    retries: Some(3),
    start_period: Some(Duration::from_secs(4)),
    start_interval: None,
};

fn plain() -> Container {
    current("web", 1)
}

fn checked(status: HealthStatus) -> Container {
    Container { healthcheck: Some(CHECK), ..plain().health(status) }
}

fn exited(code: i64, oom: bool, error: &str) -> Judgement {
    Judgement::Fail(Why::Exited { code, oom, error: error.to_owned() })
}

#[test]
fn healthy_passes_at_once() {
    assert_eq!(GATE.judge(&checked(HealthStatus::Healthy), 0, Duration::ZERO), Judgement::Pass);
    assert_eq!(GATE.judge(&checked(HealthStatus::Healthy), 0, seconds(1_000_000)), Judgement::Pass);
}

#[test]
fn unhealthy_fails_at_once() {
    let mut container = checked(HealthStatus::Unhealthy);
    container.health = Some(Health { status: HealthStatus::Unhealthy, failing_streak: 3, output: None });
    assert_eq!(GATE.judge(&container, 0, Duration::ZERO), Judgement::Fail(Why::Unhealthy { probes: 3 }));
}

#[test]
fn starting_waits_to_the_deadline() {
    let container = checked(HealthStatus::Starting);
    let limit = seconds(4 + 2 + (5 + 2) * 3) + SLACK;
    assert_eq!(GATE.judge(&container, 0, Duration::ZERO), Judgement::Wait(limit));
    assert_eq!(GATE.judge(&container, 0, limit - seconds(1)), Judgement::Wait(seconds(1)));
    let late = Judgement::Fail(Why::Deadline { after: limit, healthy_late: true });
    assert_eq!(GATE.judge(&container, 0, limit), late);
    assert_eq!(GATE.judge(&container, 0, limit * 2), late);
}

#[test]
fn a_written_deadline_holds_for_the_healthcheck() {
    let gate = Gate { wait_timeout: Some(seconds(3)), ..GATE };
    let container = checked(HealthStatus::Starting);
    assert_eq!(gate.judge(&container, 0, seconds(1)), Judgement::Wait(seconds(2)));
    let late = Judgement::Fail(Why::Deadline { after: seconds(3), healthy_late: true });
    assert_eq!(gate.judge(&container, 0, seconds(3)), late);
    assert_eq!(gate.deadline_for(&container), seconds(3));
}

#[test]
fn without_a_healthcheck_the_window_must_pass_in_one_piece() {
    assert_eq!(GATE.judge(&plain(), 0, Duration::ZERO), Judgement::Wait(seconds(10)));
    assert_eq!(GATE.judge(&plain(), 0, seconds(7)), Judgement::Wait(seconds(3)));
    assert_eq!(GATE.judge(&plain(), 0, seconds(10)), Judgement::Pass);
    let at_once = Gate { monitor: Duration::ZERO, ..GATE };
    assert_eq!(at_once.judge(&plain(), 0, Duration::ZERO), Judgement::Pass);
    assert_eq!(GATE.deadline_for(&plain()), seconds(10));
}

#[test]
fn crashes_fail_whatever_the_health_says() {
    for (state, expected) in [
        (State::Exited, exited(3, false, "")),
        (State::Dead, exited(3, false, "")),
        (State::Removing, exited(3, false, "")),
        (State::Restarting, Judgement::Fail(Why::Restarting { times: 0, code: 3 })),
        (State::Paused, Judgement::Fail(Why::Paused)),
        (State::Created, Judgement::Fail(Why::NeverStarted { error: String::new() })),
    ] {
        for health in [None, checked(HealthStatus::Healthy).health, checked(HealthStatus::Starting).health] {
            let container = Container { state, health, exit_code: 3, ..plain() };
            assert_eq!(GATE.judge(&container, 0, seconds(1)), expected, "{state:?}");
        }
    }
}

#[test]
fn a_restart_counts_although_it_runs_and_is_healthy_again() {
    let container = Container { restart_count: 2, exit_code: 1, ..checked(HealthStatus::Healthy) };
    assert_eq!(GATE.judge(&container, 0, seconds(1)), Judgement::Fail(Why::Restarting { times: 2, code: 1 }));
}

#[test]
fn restarts_before_the_watch_are_the_past() {
    let container = Container { restart_count: 2, ..checked(HealthStatus::Healthy) };
    assert_eq!(GATE.judge(&container, 2, seconds(1)), Judgement::Pass);
    let again = Judgement::Fail(Why::Restarting { times: 1, code: 0 });
    assert_eq!(GATE.judge(&container, 1, seconds(1)), again);
    let restarting = Container { state: State::Restarting, ..container };
    assert!(matches!(GATE.judge(&restarting, 2, seconds(1)), Judgement::Fail(Why::Restarting { .. })));
}

#[test]
fn out_of_memory_counts_although_it_runs() {
    let container = Container { oom_killed: true, ..checked(HealthStatus::Healthy) };
    assert_eq!(GATE.judge(&container, 0, seconds(1)), exited(0, true, ""));
    let dead = Container { oom_killed: true, ..plain().exited(137) };
    assert_eq!(GATE.judge(&dead, 0, seconds(1)), exited(137, true, ""));
}

#[test]
fn one_shot_passes_by_ending_well() {
    assert_eq!(JOB.judge(&plain().exited(0), 0, seconds(1)), Judgement::Pass);
    assert_eq!(JOB.judge(&plain().exited(1), 0, seconds(1)), exited(1, false, ""));
    assert_eq!(GATE.judge(&plain().exited(0), 0, seconds(1)), exited(0, false, ""));
}

#[test]
fn one_shot_is_waited_for_as_long_as_it_runs() {
    assert_eq!(JOB.judge(&plain(), 0, Duration::ZERO), Judgement::Wait(Duration::MAX));
    assert_eq!(JOB.judge(&plain(), 0, seconds(100_000)), Judgement::Wait(Duration::MAX - seconds(100_000)));
    assert_eq!(
        JOB.judge(&checked(HealthStatus::Healthy), 0, seconds(1)),
        JOB.judge(&checked(HealthStatus::Starting), 0, seconds(1))
    );
    let limited = Gate { wait_timeout: Some(seconds(60)), ..JOB };
    assert_eq!(limited.judge(&plain(), 0, seconds(20)), Judgement::Wait(seconds(40)));
    let late = Judgement::Fail(Why::Deadline { after: seconds(60), healthy_late: false });
    assert_eq!(limited.judge(&plain(), 0, seconds(60)), late);
}

#[test]
fn a_healthcheck_of_the_image_sets_no_deadline_for_a_job() {
    assert_eq!(JOB.deadline_for(&checked(HealthStatus::Starting)), Duration::MAX);
    let judged = JOB.judge(&checked(HealthStatus::Unhealthy), 0, seconds(3600));
    assert!(matches!(judged, Judgement::Wait(_)), "{judged:?}");
}

#[test]
fn deadlines() {
    let of = |start, interval, timeout, retries| {
        let [start_period, interval, timeout] = [start, interval, timeout].map(|n| Some(seconds(n)));
        let retries = Some(retries);
        deadline(&Healthcheck { interval, timeout, retries, start_period, ..CHECK })
    };
    assert_eq!(of(0, 30, 30, 3), seconds(180) + SLACK, "the engine's defaults");
    assert_eq!(of(60, 5, 1, 10), seconds(60 + 1 + 60) + SLACK, "a probe outlasts the start period");
    assert_eq!(of(60, 2, 1, 10), seconds(60 + 3 + 30) + SLACK, "the next one is 5s away");
    assert_eq!(of(0, 1, 1, 1), seconds(2) + SLACK);
    let rare = Healthcheck { start_interval: Some(seconds(60)), start_period: Some(seconds(30)), ..CHECK };
    assert_eq!(deadline(&rare), seconds(30 + 55 + 21) + SLACK);
}

#[test]
fn reasons_in_words() {
    let text = |why: Why| why.to_string();
    let exited = |code, oom, error: &str| text(Why::Exited { code, oom, error: error.to_owned() });
    assert_eq!(exited(3, false, ""), "exited with code 3");
    assert_eq!(exited(127, false, "no such file"), "exited with code 127: no such file");
    assert_eq!(exited(137, true, ""), "ran out of memory and was killed (exit code 137)");
    let restarting = |times| text(Why::Restarting { times, code: 7 });
    assert_eq!(restarting(0), "crashed and was restarted 1 time (last exit code 7)");
    assert_eq!(restarting(1), "crashed and was restarted 1 time (last exit code 7)");
    assert_eq!(restarting(4), "crashed and was restarted 4 times (last exit code 7)");
    assert_eq!(text(Why::Unhealthy { probes: 3 }), "is unhealthy after 3 failed probes");
    let deadline = |healthy_late| text(Why::Deadline { after: seconds(90), healthy_late });
    assert_eq!(deadline(true), "was not healthy within 1m30s");
    assert_eq!(deadline(false), "was not done within 1m30s");
    assert_eq!(text(Why::Paused), "was paused");
    assert_eq!(text(Why::NeverStarted { error: String::new() }), "was created but not started");
    assert_eq!(text(Why::NeverStarted { error: "no".to_owned() }), "could not be started: no");
    assert_eq!(text(Why::Gone), "was removed while it was being waited for");
}

prop_compose! {
    fn readings()(
        state in prop::sample::select(vec![
            State::Created, State::Running, State::Paused, State::Restarting,
            State::Removing, State::Exited, State::Dead,
        ]),
        health in prop::option::of(prop::sample::select(vec![
            HealthStatus::Starting, HealthStatus::Healthy, HealthStatus::Unhealthy,
        ])),
        checked in any::<bool>(),
        restart_count in 0..3_u64,
        exit_code in 0..3_i64,
        oom_killed in any::<bool>(),
    ) -> Container {
        let health = health.map(|status| Health { status, failing_streak: 1, output: None });
        let healthcheck = checked.then_some(CHECK);
        Container { state, health, healthcheck, restart_count, exit_code, oom_killed, ..plain() }
    }
}

prop_compose! {
    fn gates()(
        monitor in 0..100_u64,
        wait_timeout in prop::option::of(0..100_u64),
        job in any::<bool>(),
    ) -> Gate {
        Gate { monitor: seconds(monitor), wait_timeout: wait_timeout.map(seconds), job, may_end: job }
    }
}

/// A job that its policy restarts is not over.
#[test]
fn a_job_may_try_as_often_as_its_policy_says() {
    let policy = RestartPolicy { name: "on-failure".to_owned(), max_retries: 3 };
    let tries = |container: Container| Container { restart: policy.clone(), restart_count: 2, ..container };
    for container in [plain().restarting(), plain()].map(tries) {
        assert!(matches!(JOB.judge(&container, 0, seconds(60)), Judgement::Wait(_)), "{container:?}");
        assert!(matches!(GATE.judge(&container, 0, seconds(60)), Judgement::Fail(Why::Restarting { .. })));
    }
    assert_eq!(JOB.judge(&tries(plain().exited(1)), 0, seconds(60)), exited(1, false, ""));
    assert_eq!(JOB.judge(&tries(plain().exited(0)), 0, seconds(60)), Judgement::Pass);
    let always = Container {
        restart: RestartPolicy { name: "always".to_owned(), ..policy.clone() },
        ..plain().restarting()
    };
    assert!(matches!(JOB.judge(&always, 0, seconds(60)), Judgement::Fail(_)));
    let endless =
        Container { restart: RestartPolicy { max_retries: 0, ..policy.clone() }, ..plain().restarting() };
    assert!(matches!(JOB.judge(&endless, 0, seconds(60)), Judgement::Fail(_)));
    let limited = Gate { wait_timeout: Some(seconds(90)), ..JOB };
    assert_eq!(limited.judge(&endless, 0, seconds(60)), Judgement::Wait(seconds(30)));
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn nothing_bad_ever_passes(
        container in readings(), past in 0..3_u64, gate in gates(), elapsed in 0..200_u64,
    ) {
        let judged = gate.judge(&container, past, seconds(elapsed));
        let good_end = gate.job && container.state == State::Exited && container.exit_code == 0;
        let crashed = container.state != State::Running || container.restart_count > past || container.oom_killed;
        if crashed && !good_end {
            prop_assert!(matches!(judged, Judgement::Fail(_)), "{judged:?}");
        }
        if container.is_unhealthy() && !gate.job {
            prop_assert!(matches!(judged, Judgement::Fail(_)), "{judged:?}");
        }
        if gate.job && !good_end {
            prop_assert!(judged != Judgement::Pass);
        }
        if judged == Judgement::Pass && !good_end {
            prop_assert!(container.serves());
            prop_assert!(container.health.is_some() || seconds(elapsed) >= gate.monitor);
        }
    }

    #[test]
    fn a_wait_is_never_for_nothing_and_ends(container in readings(), gate in gates(), elapsed in 0..200_u64) {
        if let Judgement::Wait(time) = gate.judge(&container, 0, seconds(elapsed)) {
            prop_assert!(!time.is_zero());
            if time < seconds(1_000_000) {
                let then = gate.judge(&container, 0, seconds(elapsed) + time);
                prop_assert!(!matches!(then, Judgement::Wait(_)), "{then:?}");
            }
        }
    }

    #[test]
    fn a_deadline_of_any_healthcheck_is_no_panic(
        interval in 0..i64::MAX as u64,
        timeout in 0..i64::MAX as u64,
        start_period in 0..i64::MAX as u64,
        start_interval in 0..i64::MAX as u64,
        retries in 1..=u32::MAX,
    ) {
        let [interval, timeout] = [interval, timeout].map(|n| Some(Duration::from_nanos(n)));
        let [start_period, start_interval] =
            [start_period, start_interval].map(|n| Some(Duration::from_nanos(n)));
        let retries = Some(retries);
        deadline(&Healthcheck { interval, timeout, retries, start_period, start_interval });
    }
}

#[test]
fn one_that_may_end_need_not() {
    let gate = Gate { may_end: true, ..GATE };
    assert_eq!(gate.judge(&current("web", 1).exited(0), 0, seconds(1)), Judgement::Pass);
    assert!(matches!(gate.judge(&current("web", 1).exited(1), 0, seconds(1)), Judgement::Fail(_)));
    assert_eq!(gate.judge(&current("web", 1), 0, seconds(10)), Judgement::Pass);
    assert!(matches!(GATE.judge(&current("web", 1).exited(0), 0, seconds(1)), Judgement::Fail(_)));
}
