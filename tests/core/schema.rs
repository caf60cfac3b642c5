//! The schemas of what programs read: every word that the program can say stands in them. A variant that is added
//! must be listed here, or this file does not compile, and then in the schema.

use serde_json::Value;
use zdd::{
    advice::Severity,
    event::{Event, Generation, Outcome, Phase, Stage, Verdict},
    exit::Exit,
    keep::{Cause, Life},
    plan::{Start, What},
    proxy::Way,
    status::Condition,
};

/// The names of an enum's variants. The `match` is what refuses to compile when one is missing.
macro_rules! variants {
    ($type:ident: $($name:ident),+ $(,)?) => {{
        #[allow(dead_code)]
        fn all_are_listed(value: &$type) {
            match value {
                $($type::$name { .. } => {}),+
            }
        }
        [$(snake(stringify!($name))),+]
    }};
}

/// `ServiceBegin` → `service_begin`, as serde writes it.
fn snake(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.extend(c.to_lowercase());
    }
    text
}

fn schema(name: &str) -> Value {
    let text = match name {
        "progress" => include_str!("../../src/report/schema/progress.schema.json"),
        "plan" => include_str!("../../src/report/schema/plan.schema.json"),
        "status" => include_str!("../../src/report/schema/status.schema.json"),
        "history" => include_str!("../../src/report/schema/history.schema.json"),
        "doctor" => include_str!("../../src/report/schema/doctor.schema.json"),
        _ => include_str!("../../src/report/schema/notify.schema.json"),
    };
    serde_json::from_str(text).expect("JSON")
}

/// The constants that a property may have in the alternatives of `oneOf`.
fn constants(alternatives: &Value, property: &str) -> Vec<String> {
    let all = alternatives.as_array().expect("alternatives").iter();
    let mut found: Vec<_> =
        all.filter_map(|one| Some(one["properties"][property]["const"].as_str()?.to_owned())).collect();
    found.dedup();
    found
}

fn words(schema: &Value, definition: &str) -> Vec<String> {
    let words = schema["$defs"][definition]["enum"].as_array().expect("words").iter();
    words.map(|word| word.as_str().map_or_else(|| word.to_string(), str::to_owned)).collect()
}

fn same(said: impl IntoIterator<Item = String>, mut written: Vec<String>) {
    let mut said: Vec<_> = said.into_iter().collect();
    said.sort();
    written.sort();
    assert_eq!(said, written);
}

#[test]
fn every_event_and_phase_stands_in_the_schema() {
    let progress = schema("progress");
    let events = variants!(Event: Loading, Building, Pulling, Output, Prepared, Planned, ServiceBegin, Batch, Container,
        Settling, ProbeBegin, ProbeFailure, Observing, Reloaded, Renamed, ProbeEnd, HookBegin, Hook, Warning, Failed, ServiceEnd,
        Interrupt, End);
    same(events, constants(&progress["oneOf"], "event"));
    let phases = variants!(Phase: Started, Waiting, Ready, Finished, Failed, Draining, Drained, Stopping, Stopped, Restoring,
        Restored, Removed);
    same(phases, constants(&progress["oneOf"], "phase"));
}

#[test]
fn every_word_stands_in_the_schemas() {
    let (progress, plan, notify) = (schema("progress"), schema("plan"), schema("notify"));
    let verdicts = variants!(Verdict: Unchanged, Create, Scale, Settings, Roll, Hold, Recreate, Blocked);
    same(verdicts.clone(), words(&progress, "verdict"));
    same(verdicts, words(&plan, "verdict"));
    let outcomes = variants!(Outcome: Done, Unchanged, RolledBack, Paused, Partial, RollbackFailed, Interrupted,
        Skipped);
    same(outcomes.clone(), words(&progress, "outcome"));
    same(outcomes, words(&notify, "outcome"));
    same(variants!(Generation: New, Old), words(&progress, "generation"));
    let stages = variants!(Stage: Before, Start, Health, Settle, Drain, Stop, After, Rollback);
    same(stages, words(&progress, "stage"));
    let _ = variants!(Exit: Done, Error, Refused, Failed, RollbackFailed, Locked, Interrupted);
    let codes = [
        Exit::Done,
        Exit::Error,
        Exit::Refused,
        Exit::Failed,
        Exit::RollbackFailed,
        Exit::Locked,
        Exit::Interrupted,
    ];
    for schema in [progress, notify] {
        same(codes.map(|exit| exit.code().to_string()), words(&schema, "exit_code"));
    }
}

#[test]
fn every_operation_stands_in_the_schema_of_the_plan() {
    let plan = schema("plan");
    let operations = variants!(What: Clear, PreStart, Delay, Start, Gate, Settle, Drain, Rename, Stop, Remove, Revive, Await,
        Recreate, Create, Hold, Release, HoldPorts, PassPorts, Deploy, RunOnce);
    let written = constants(&plan["$defs"]["operation"]["oneOf"], "operation");
    same(operations, written.clone());
    let service = &plan["$defs"]["service"]["properties"];
    same(
        variants!(Way: HandOver, Hold, KeepUp, Unhealthy, Haproxy, Delay),
        constants(&service["ways"]["items"]["oneOf"], "by"),
    );
    let start = written.iter().position(|operation| operation == "start");
    let how = &plan["$defs"]["operation"]["oneOf"][start.expect("start")]["properties"]["how"]["enum"];
    let how = how.as_array().expect("words").iter().filter_map(|word| word.as_str().map(str::to_owned));
    same(variants!(Start: Up, CreateThenStart, Created), how.collect());
}

#[test]
fn every_word_of_a_status_stands_in_its_schema() {
    let status = schema("status");
    let conditions = variants!(Condition: UpToDate, Changed, Count, Rolling, Interrupted, Down, JobRunning, JobDone,
        JobFailed, Provider, Dormant, Orphan, NoFile);
    same(conditions, constants(&status["$defs"]["service"]["oneOf"], "status"));
    same(variants!(Life: Running, Dead, Unknown), words(&status, "life"));
}

#[test]
fn every_word_of_the_history_stands_in_its_schema() {
    let history = schema("history");
    same(words(&schema("progress"), "outcome"), words(&history, "outcome"));
    let cause = &history["$defs"]["cause"]["oneOf"];
    let mut written: Vec<String> = cause[0]["enum"]
        .as_array()
        .expect("words")
        .iter()
        .filter_map(|w| Some(w.as_str()?.to_owned()))
        .collect();
    written.extend(cause[1]["properties"].as_object().expect("properties").keys().cloned());
    same(variants!(Cause: Up, Restart, Rollback, Found), written);
}

#[test]
fn every_severity_stands_in_the_schema_of_the_doctor() {
    same(variants!(Severity: Error, Warning, Hint), words(&schema("doctor"), "severity"));
}
