//! Requests of zdd's own watch the rollout: a version that passes its gate and fails its visitors is rolled back.

use crate::{
    rolling::served,
    stack::{Finished, Stack, free_port, ids},
    validator::Validator,
};

const TWO: &str = "deploy: {replicas: 2}";
const IN_BATCHES: &str = "deploy: {replicas: 3, update_config: {parallelism: 1}}\nrestart: always";

fn address(port: u16) -> String {
    format!("http://127.0.0.1:{port}/")
}

/// Version 2 fails every tenth request; `flags` say what the probe makes of it.
fn fails_every_tenth(stack: &Stack, port: u16, flags: &[&str]) -> Finished {
    let address = address(port);
    let mut args = vec!["up", "app", "--probe", &address];
    args.extend_from_slice(flags);
    stack.zdd(&args, &[("APP_VERSION", "2"), ("APP_FAIL_EVERY", "10")])
}

#[test]
fn a_version_that_fails_every_tenth_request_is_undone() {
    let (stack, port) = served("probe", TWO, &[]);
    let before = stack.all_containers();
    let finished = fails_every_tenth(&stack, port, &["--probe-max-failures", "2", "--probe-rate", "50"]);
    assert_eq!(finished.code, 3, "{}", finished.stderr);
    assert_eq!(stack.all_containers(), before, "{}", finished.stderr);
    let reason = "requests fail, at most 2 are allowed: status 500 at ";
    assert!(finished.stderr.contains(reason), "{}", finished.stderr);
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn without_a_limit_failures_are_only_reported() {
    let (stack, port) = served("probe-report", TWO, &[]);
    let before = ids(&stack.containers("app"));
    let finished = fails_every_tenth(&stack, port, &["--probe-rate", "50", "--probe-after", "1s"]);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(ids(&stack.containers("app")).is_disjoint(&before), "{}", finished.stderr);
    assert!(finished.stderr.contains("probe: status 500 (failure 1)"), "{}", finished.stderr);
}

/// What programs read of it is as the schema says. In batches, too, nothing is left of a version that fails.
#[test]
#[ignore = "takes long; scripts/test long"]
fn every_line_of_json_is_as_the_schema_says() {
    let schema = Validator::new(include_str!("../../src/report/schema/progress.schema.json"));
    let (stack, port) = served("probe-json", IN_BATCHES, &[]);
    let flags = ["--progress", "json", "--probe-rate", "50", "--probe-after", "1s"];
    let good = stack
        .zdd_ok(&[&["up", "app", "--probe", &address(port)], &flags[..]].concat(), &[("APP_VERSION", "3")]);
    let before = stack.all_containers();
    let bad = fails_every_tenth(&stack, port, &["--progress", "json", "--probe-max-failures", "0"]);
    assert_eq!(bad.code, 3, "{}", bad.stderr);
    assert_eq!(stack.all_containers(), before, "{}", bad.stderr);
    for line in good.stderr.lines().chain(bad.stderr.lines()) {
        let checked = schema.check(&serde_json::from_str(line).unwrap());
        assert_eq!(checked, Ok(()), "{line}");
    }
    assert!(bad.stderr.contains("\"event\":\"probe_end\""), "{}", bad.stderr);
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn a_good_version_loses_nothing_of_the_probe() {
    let (stack, port) = served("probe-good", TWO, &[]);
    let (address, env) = (address(port), [("APP_VERSION", "2"), ("APP_BOOT_MS", "300")]);
    let flags = ["--probe-max-failures", "0", "--probe-rate", "100"];
    let finished = stack.zdd_ok(&[&["up", "app", "--probe", &address], &flags[..]].concat(), &env);
    assert!(finished.stderr.contains(", none failed, slowest "), "{}", finished.stderr);
}

#[test]
fn before_a_first_start_nobody_needs_to_answer() {
    let port = free_port();
    let file = crate::stack::app(&format!("ports: [\"127.0.0.1:{port}:80\"]"));
    let stack = Stack::new("probe-first", &format!("services:\n{file}"));
    let address = address(port);
    let args = ["up", "--probe", &address, "--probe-max-failures", "0", "--probe-after", "500ms"];
    stack.zdd_ok(&args, &[("APP_BOOT_MS", "500")]);
}
