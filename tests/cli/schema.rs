//! What programs read is as the schemas say. `check` looks at the output of every test; the tests here bring the
//! events that no other test brings in this form.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::{
    files::{project, web},
    history::twice,
    output::Output,
    scenario::{Given, Scenario, new, old},
    validator::Validator,
    world::{Action, Reading},
};

static PROGRESS: LazyLock<Validator> =
    LazyLock::new(|| Validator::new(include_str!("../../src/report/schema/progress.schema.json")));
static PLAN: LazyLock<Validator> =
    LazyLock::new(|| Validator::new(include_str!("../../src/report/schema/plan.schema.json")));
static NOTIFY: LazyLock<Validator> =
    LazyLock::new(|| Validator::new(include_str!("../../src/report/schema/notify.schema.json")));

static STATUS: LazyLock<Validator> =
    LazyLock::new(|| Validator::new(include_str!("../../src/report/schema/status.schema.json")));
static HISTORY: LazyLock<Validator> =
    LazyLock::new(|| Validator::new(include_str!("../../src/report/schema/history.schema.json")));
static DOCTOR: LazyLock<Validator> =
    LazyLock::new(|| Validator::new(include_str!("../../src/report/schema/doctor.schema.json")));

/// Every line of `--progress json`, and what each command prints with `--format json`: they tell themselves apart.
pub fn check(stdout: &str, stderr: &str) {
    for line in stderr.lines().filter(|line| line.starts_with("{\"time\":")) {
        holds(&PROGRESS, line);
    }
    if stdout.starts_with("{\n  \"project\":") && stdout.contains("\n  \"remove_orphans\":") {
        holds(&PLAN, stdout);
    }
    if stdout.starts_with("{\n  \"project\":") && stdout.contains("\n  \"rollout\":") {
        holds(&STATUS, stdout);
    }
    for line in stdout.lines().filter(|line| line.starts_with("{\"project\":")) {
        holds(&STATUS, line);
    }
    if stdout.starts_with("[\n  {\n    \"number\":") {
        holds(&HISTORY, stdout);
    }
    if stdout.starts_with("{\n  \"version\":") && stdout.contains("\n  \"findings\":") {
        holds(&DOCTOR, stdout);
    }
}

pub fn check_notice(text: &str) -> Value {
    holds(&NOTIFY, text)
}

fn holds(validator: &Validator, text: &str) -> Value {
    let value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    // JSON is YAML, and its reader is the one that objects to a key that is twice in one object.
    if let Err(error) = serde_yaml::from_str::<serde_yaml::Value>(text) {
        panic!("{error}: {text}");
    }
    if let Err(error) = validator.check(&value) {
        panic!("against the schema: {error}\n{text}");
    }
    value
}

fn shown(scenario: Scenario) -> Output {
    let output = scenario.run(&["--progress", "json", "up"]);
    let lines = output.stderr.lines().filter(|line| line.starts_with("{\"time\":")).count();
    assert_eq!(lines, output.stderr.lines().count(), "{output}");
    output
}

fn says(output: &Output, kinds: &[&str]) {
    for kind in kinds {
        assert!(output.stderr.contains(&format!("\":\"{kind}\"")), "no {kind} in {output}");
    }
}

#[test]
fn hooks_settling_and_batches() {
    let hooks = "pre_stop: [{command: [bye]}]\npost_start: [{command: [hi]}]\npre_start: [{command: [make]}]";
    let file = web(&format!("scale: 2\nx-zdd: {{settle: 10ms, delay: 10ms, parallelism: 1}}\n{hooks}"));
    let output = shown(Scenario::new(&file).with([old("web-1"), old("web-2")]));
    says(
        &output,
        &["hook_begin", "hook", "settling", "batch", "draining", "drained", "stopped", "removed", "end"],
    );
}

#[test]
fn a_failure_and_its_rollback() {
    let scenario =
        Scenario::new(&web("scale: 2\nx-zdd: {parallelism: 1}")).with([old("web-1"), old("web-2")]);
    let scenario = scenario.starts("web", "starting, healthy").writes("web", "panic: <no database>");
    let output = shown(scenario.starts("web", "starting, unhealthy"));
    assert_eq!(output.exit.code(), Some(3), "{output}");
    says(&output, &["failed", "rolled_back"]);
    for kind in ["event", "phase"] {
        assert!(output.stderr.contains(&format!("\"{kind}\":\"failed\"")), "no failed {kind} in {output}");
    }
}

/// What the tests of the table do not bring: everything that a row may say.
#[test]
fn a_status_of_all_kinds() {
    let job = |name: &str| (name.to_owned(), "image: app".to_owned());
    let needs = ["done", "bad", "busy"]
        .map(|name| format!("{name}: {{condition: service_completed_successfully, required: true}}"));
    let services = [
        ("web".to_owned(), format!("image: app\nscale: 2\ndepends_on: {{{}}}", needs.join(", "))),
        job("done"),
        job("bad"),
        job("busy"),
        ("db".to_owned(), "image: db\nprofiles: [data]".to_owned()),
    ];
    let services = services.each_ref().map(|(name, lines)| (name.as_str(), lines.as_str()));
    let given = [
        new("web-1"),
        new("done-1").is("exited 0"),
        new("bad-1").is("exited 7"),
        new("busy-1"),
        new("db-1"),
        new("gone-1"),
    ];
    let lock = [("io.zdd.lock.user", "anna"), ("io.zdd.lock.host", "ci"), ("io.zdd.lock.pid", "7")];
    let shown = |args: &[&str], given: Vec<Given>| {
        let scenario = Scenario::new(&project(&services)).volume("zdd-lock-shop", &lock);
        let args = [&["status", "--format", "json"], args].concat();
        holds(&STATUS, &scenario.with(given).run(&args).stdout)
    };
    let words = |status: &Value| -> Vec<String> {
        let rows = status["services"].as_array().expect("rows").iter();
        rows.map(|row| row["status"].as_str().expect("a word").to_owned()).collect()
    };
    let all = shown(&[], given.into());
    assert_eq!(
        words(&all),
        ["job_failed", "job_running", "job_done", "count", "dormant", "orphan"],
        "{all:#}"
    );
    assert_eq!(words(&shown(&["web"], vec![old("web-1"), new("web-2")])), ["rolling"]);
    assert_eq!((&all["services"][3]["running"], &all["services"][3]["wanted"]), (&json!(1), &json!(2)));
    let mut more = all;
    more["services"][0]["extra"] = json!(1);
    assert!(STATUS.check(&more).is_err(), "a field that the schema does not have");
}

#[test]
fn a_history_of_all_kinds() {
    let host = twice(Scenario::new(&web("")).with([old("web-1")]));
    assert!(host.run(&["rollback"]).exit.success());
    host.change(|world| drop(world.ways.insert("web".to_owned(), vec![Reading::way("exited 7")])));
    assert_eq!(host.run(&["up", "--force-recreate"]).exit.code(), Some(3));
    let history = holds(&HISTORY, &host.run(&["history", "--format", "json"]).stdout);
    let causes: Vec<_> = history.as_array().expect("revisions").iter().map(|r| r["cause"].clone()).collect();
    assert_eq!(causes, [json!("up"), json!({"rollback": 1}), json!("up"), json!("up")]);
    holds(&HISTORY, &Scenario::new(&web("")).run(&["history", "--format", "json"]).stdout);
}

/// Nothing of the machine and of the project could be found out.
#[test]
fn a_doctor_without_an_engine() {
    let output = Scenario::new("services: {web: {}}\n").engine_is_dead().run(&["doctor", "--format", "json"]);
    holds(&DOCTOR, &output.stdout);
    assert!(output.stdout.contains("\"engine\": null"), "{output}");
}

#[test]
fn images_and_errors() {
    let scenario = Scenario::new(&web("build: .")).with([old("web-1")]);
    says(&shown(scenario.without_image("web")), &["building", "prepared", "planned"]);
    let dead = Scenario::new(&web("")).engine_is_dead().run(&["--progress", "json", "up"]);
    says(&dead, &["end"]);
    let locked = Scenario::new(&web("stop_grace_period: 1s"))
        .when("docker stop", Action::Fail(1, "no".to_owned()))
        .with([old("web-1")]);
    assert!(shown(locked).exit.code() > Some(2));
}
