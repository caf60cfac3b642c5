//! What an event is called in English: short clauses without layout.

use std::time::Duration;

use super::text::{clean, clean_lines, clock};
use crate::duration::show;
use crate::event::{ContainerRef, Failure, Outcome, Phase, Verdict};

/// Docker's word for a container that has no healthcheck.
const UNCHECKED: &str = "running";

/// `roll to 3 replicas, all at once`.
pub fn begin(verdict: Verdict, replicas: u32, batches: u32) -> String {
    let noun = count(replicas as usize, "replica");
    let what = match verdict {
        Verdict::Create => format!("create {noun}"),
        Verdict::Scale => format!("scale to {noun}"),
        Verdict::Roll => format!("roll to {noun}"),
        Verdict::Recreate => format!("recreate {noun}, with downtime"),
        Verdict::Unchanged | Verdict::Blocked => verdict.word().to_owned(),
    };
    match batches {
        0 | 1 if verdict == Verdict::Roll && replicas > 1 => format!("{what}, all at once"),
        0 | 1 => what,
        _ => format!("{what}, in {batches} batches"),
    }
}

/// `1 replica`, `2 replicas`.
pub fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// What a container in this phase does or did; `health` is the last word of its health.
pub fn phase(phase: &Phase, health: &str) -> String {
    match phase {
        Phase::Started => "started".to_owned(),
        Phase::Waiting { health, deadline, .. } => countdown(health, *deadline),
        Phase::Ready if health == UNCHECKED => "ready".to_owned(),
        Phase::Ready => "healthy".to_owned(),
        Phase::Finished => "finished".to_owned(),
        Phase::Failed { reason } => clean_lines(reason).join("; "),
        Phase::Draining { how } => noted("draining", how),
        Phase::Drained { note } => noted("drained", note.as_deref().unwrap_or("")),
        Phase::Stopping { grace } => format!("stopping (grace {})", show(*grace)),
        Phase::Stopped { exit_code } => stopped(*exit_code),
        Phase::Restoring => "starting again".to_owned(),
        Phase::Restored => "serves again".to_owned(),
        Phase::Removed => "removed".to_owned(),
    }
}

/// What the gate waits for, said once.
pub fn gate(health: &str, left: Duration) -> String {
    match health {
        UNCHECKED => format!("no healthcheck: watching for {}", whole(left)),
        _ => format!("waiting until healthy, at most {}", whole(left)),
    }
}

/// What the gate of a service does.
pub fn gating(health: &str) -> &'static str {
    if health == UNCHECKED { "watching it run" } else { "waiting for health" }
}

/// What the gate still waits for, in a line that changes in place.
pub fn countdown(health: &str, left: Duration) -> String {
    match health {
        UNCHECKED => format!("running, watched for {}", whole(left)),
        _ => format!("{}, {} left", clean(health), whole(left)),
    }
}

/// Whole seconds, rounded up: 0s only when the time is over.
fn whole(left: Duration) -> String {
    show(Duration::from_secs(left.as_millis().div_ceil(1000) as u64))
}

fn noted(what: &str, note: &str) -> String {
    match clean(note) {
        note if note.is_empty() => what.to_owned(),
        note => format!("{what} ({note})"),
    }
}

/// 137 is worth a word: the process did not heed its signal within the grace period, or ran out of memory.
fn stopped(exit_code: i64) -> String {
    match exit_code {
        137 => "stopped (exit code 137, killed)".to_owned(),
        code => format!("stopped (exit code {code})"),
    }
}

pub fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Done => "done",
        Outcome::Unchanged => "unchanged",
        Outcome::RolledBack => "rolled back",
        Outcome::Paused => "paused",
        Outcome::Partial => "done in part",
        Outcome::UndoFailed => "undo failed",
        Outcome::Interrupted => "interrupted",
        Outcome::Skipped => "not begun",
    }
}

/// `serving app-4, app-5`.
pub fn serving(containers: Option<&[ContainerRef]>) -> String {
    let Some(containers) = containers else { return "what serves is not known".to_owned() };
    match containers {
        [] => "nothing serves".to_owned(),
        _ => format!("serving {}", join(containers.iter().map(|c| c.name.as_str()))),
    }
}

pub fn join<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

/// `settling for 2.0s`.
pub fn settling(time: Duration) -> String {
    format!("settling for {}", clock(time))
}

/// `watching the new version for 3.0s`.
pub fn observing(time: Duration) -> String {
    format!("watching the new version for {}", clock(time))
}

/// `probing http://127.0.0.1:8080/, 20 requests a second, at most 2 may fail`.
pub fn probe(url: &str, rate: u32, max_failures: Option<u32>) -> String {
    let limit = match max_failures {
        None => String::new(),
        Some(0) => ", none may fail".to_owned(),
        Some(n) => format!(", at most {n} may fail"),
    };
    format!("probing {}, {} a second{limit}", clean(url), count(rate as usize, "request"))
}

/// `probe: status 500 (failure 2)`.
pub fn probe_failure(error: &str, failures: u64) -> String {
    format!("probe: {} (failure {failures})", clean(error))
}

/// `probe: 112 requests, none failed, slowest 41ms`.
pub fn probed(requests: u64, failures: u64, slowest: Duration) -> String {
    let failed = if failures == 0 { "none".to_owned() } else { failures.to_string() };
    let slowest = super::traffic::time(slowest);
    format!("probe: {}, {failed} failed, slowest {slowest}", count(requests as usize, "request"))
}

/// `pre_stop hook of app-1 done`; a failed hook's output may have several lines, the first says it.
pub fn hook_begins(name: &str, container: Option<&ContainerRef>) -> String {
    let of = container.map(|c| format!(" of {}", c.name)).unwrap_or_default();
    format!("running {name} hook{of}")
}

pub fn hook(name: &str, container: Option<&ContainerRef>, error: Option<&str>) -> String {
    let of = container.map(|c| format!(" of {}", c.name)).unwrap_or_default();
    match error {
        None => format!("{name} hook{of} done"),
        Some(error) => format!("{name} hook{of} failed: {}", clean_lines(error).join("; ")),
    }
}

/// `app-4 exited with code 3`.
pub fn failure(failure: &Failure) -> String {
    clean(&failure.sentence())
}

/// What an operator needs to see below it: the last probe's output, then the log as `docker compose logs` shows it.
pub fn details(failure: &Failure) -> Vec<String> {
    let probe = clean_lines(failure.health_output.as_deref().unwrap_or(""));
    let first = |i| {
        if i == 0 { "last probe: " } else { "            " }
    };
    let probe = probe.iter().enumerate().map(|(i, line)| format!("{}{line}", first(i)));
    let name = failure.container.as_ref().map(|c| format!("{}  ", c.name)).unwrap_or_default();
    let log = failure.log_tail.iter().map(|line| format!("{name}| {}", clean(line)));
    probe.chain(log).collect()
}

pub fn interrupt(count: u8) -> &'static str {
    match count {
        0 | 1 => "interrupted: ending safely, a second one leaves at once",
        _ => "interrupted again: leaving at once",
    }
}
