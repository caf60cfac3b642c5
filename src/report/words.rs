//! What the news is called in English: short clauses without layout.

use std::iter::{once, repeat};
use std::time::Duration;

use super::Look;
use crate::engine::ContainerRef;
use crate::event::{Event, Failure, Outcome, Phase, ProbeBegin, ProbeEnd, ServiceEnd, Verdict};
use crate::story::{Service, Story};
use crate::text::{clean, clean_lines, count, duration::show, join};

/// Docker's word for a container that has no healthcheck.
const UNCHECKED: &str = "running";

/// A stopwatch: tenths of a second below a minute, cut and not rounded, so that columns of times line up.
pub fn stopwatch(time: Duration) -> String {
    match time.as_millis() / 100 {
        tenths @ 0..600 => format!("{}.{}s", tenths / 10, tenths % 10),
        _ => show(Duration::from_secs(time.as_secs())),
    }
}

/// Milliseconds below a second: that is where answers differ.
pub fn answer_time(time: Duration) -> String {
    match time.as_millis() {
        0 => "<1ms".to_owned(),
        ms @ 1..1000 => format!("{ms}ms"),
        _ => stopwatch(time),
    }
}

/// Whole seconds, rounded; less than one as it is.
fn seconds(time: Duration) -> String {
    let rounded = Duration::from_secs(time.as_secs_f64().round() as u64);
    show(if time < Duration::from_secs(1) { time } else { rounded })
}

pub fn services(services: &[&Service]) -> String {
    join(&services.iter().map(|service| &service.name).collect::<Vec<_>>())
}

pub fn containers(containers: &[ContainerRef]) -> String {
    join(&containers.iter().map(|container| clean(&container.name)).collect::<Vec<_>>())
}

/// `roll to 3 replicas, all at once`.
pub fn begin(verdict: Verdict, replicas: u32, batches: u32) -> String {
    let how = match (verdict, batches) {
        (Verdict::Recreate, _) => ", with downtime".to_owned(),
        (_, 2..) => format!(", in {batches} batches"),
        (Verdict::Roll, _) if replicas > 1 => ", all at once".to_owned(),
        _ => String::new(),
    };
    let to = if matches!(verdict, Verdict::Roll | Verdict::Scale) { " to" } else { "" };
    format!("{}{to} {}{how}", verdict.word(), count(replicas as usize, "replica"))
}

/// What is done before there is a plan; images may have been built or pulled in the middle of it.
pub fn loading(has_images: bool) -> &'static str {
    if has_images { "planning" } else { "reading the project" }
}

/// What a service is doing since this event; `None` where it goes on with what it did.
pub fn doing(event: &Event) -> Option<String> {
    let hook_of = |hook: &str, container: &Option<ContainerRef>| {
        format!("{hook} hook{}", container.as_ref().map(|c| format!(" of {}", c.name)).unwrap_or_default())
    };
    Some(match event {
        Event::ServiceBegin { .. } => "beginning".to_owned(),
        Event::Settling { time, .. } => format!("settling for {}", stopwatch(*time)),
        Event::Reloaded { proxy, .. } => {
            format!("{} was told to look the service's name up again", proxy.name)
        }
        Event::Renamed { container, name, .. } => {
            format!("{} is called {name} now, as others are linked to that name", container.name)
        }
        Event::Observing { time, .. } => format!("watching the new version for {}", stopwatch(*time)),
        Event::HookBegin { container, hook, .. } => format!("running {}", hook_of(hook, container)),
        Event::Hook { container, hook, error: None, .. } => format!("{} done", hook_of(hook, container)),
        // The failure of the service says it.
        Event::Hook { hook, .. } if hook != "pre_stop" => return None,
        Event::Hook { container, hook, error: Some(error), .. } => {
            format!("{} failed: {}", hook_of(hook, container), clean_lines(error).join("; "))
        }
        Event::Batch { .. } | Event::Container { phase: Phase::Started, .. } => "starting".to_owned(),
        Event::Container { phase: Phase::Waiting { health, .. }, .. } => match health.as_str() {
            UNCHECKED => "watching it run".to_owned(),
            _ => "waiting for health".to_owned(),
        },
        Event::Container { phase: Phase::Draining { .. }, .. } => "draining".to_owned(),
        Event::Container { phase: Phase::Stopping { .. }, .. } => "stopping".to_owned(),
        Event::Container { phase: Phase::Removed, .. } => "cleaning up".to_owned(),
        _ => return None,
    })
}

/// What a container in this phase does or did; `health` is the last word on it.
pub fn phase(phase: &Phase, health: &str) -> String {
    let noted = |what: &str, note: &str| match clean(note) {
        note if note.is_empty() => what.to_owned(),
        note => format!("{what} ({note})"),
    };
    match phase {
        Phase::Started => "started".to_owned(),
        Phase::Waiting { health, deadline, .. } => waiting(health, *deadline),
        Phase::Ready if health == UNCHECKED => "ready".to_owned(),
        Phase::Ready => "healthy".to_owned(),
        Phase::Finished => "finished".to_owned(),
        Phase::Failed { reason } => clean_lines(reason).join("; "),
        Phase::Draining { how } => noted("draining", how),
        Phase::Drained { note } => noted("drained", note.as_deref().unwrap_or_default()),
        Phase::Stopping { grace } => format!("stopping (grace {})", show(*grace)),
        // The process did not heed its signal within the grace period, or ran out of memory.
        Phase::Stopped { exit_code: 137 } => "stopped (exit code 137, killed)".to_owned(),
        Phase::Stopped { exit_code } => format!("stopped (exit code {exit_code})"),
        Phase::Restoring => "starting again".to_owned(),
        Phase::Restored => "serves again".to_owned(),
        Phase::Removed => "removed".to_owned(),
    }
}

/// What the gate waits for, once for all containers of a batch.
pub fn gate(health: &str, limit: Duration) -> String {
    match health {
        UNCHECKED => format!("no healthcheck: watching for {}", seconds(limit)),
        _ => format!("waiting until healthy, at most {}", seconds(limit)),
    }
}

/// What the gate waits for, at one container. The limit is all the time it has, beside a clock that shows how much it
/// has taken so far.
pub fn waiting(health: &str, limit: Duration) -> String {
    match health {
        UNCHECKED => format!("running, watched for {}", seconds(limit)),
        _ => format!("{}, at most {}", clean(health), seconds(limit)),
    }
}

/// `app-4 and app-5`, with their version where another one is in the run: `app-4 (v1) and app-5 (v2)`.
fn versions(service: &Service, containers: &[ContainerRef]) -> String {
    let version = |container: &ContainerRef| service.version_of(container);
    let all: Vec<_> = containers.iter().map(version).collect();
    let name = |container: &ContainerRef| clean(&container.name);
    match all.as_slice() {
        [Some(first), rest @ ..] if rest.iter().all(|other| other.as_ref() == Some(first)) => {
            format!("{} ({})", self::containers(containers), clean(first))
        }
        _ => join(
            &containers
                .iter()
                .map(|c| match version(c) {
                    Some(version) => format!("{} ({})", name(c), clean(&version)),
                    None => name(c),
                })
                .collect::<Vec<_>>(),
        ),
    }
}

/// `done, serving app-4 and app-5 (v2)`.
pub fn ended(service: &Service, end: &ServiceEnd, with_time: bool) -> String {
    let (word, skipped) = (end.outcome.word(), end.outcome == Outcome::Skipped);
    let time = if with_time && !skipped { format!(" in {}", stopwatch(end.took)) } else { String::new() };
    match end.serving.as_deref() {
        None => format!("{word}{time}, what serves is unknown"),
        Some([]) if skipped => word.to_owned(),
        Some([]) => format!("{word}{time}, nothing serves"),
        Some(some) => format!("{word}{time}, serving {}", versions(service, some)),
    }
}

/// `probing http://127.0.0.1:8080/, 20 requests a second, at most 2 may fail`.
pub fn probe(probe: &ProbeBegin) -> String {
    let limit = match probe.max_failures {
        None => String::new(),
        Some(0) => ", none may fail".to_owned(),
        Some(n) => format!(", at most {n} may fail"),
    };
    format!("probing {}, {} a second{limit}", clean(&probe.url), count(probe.rate as usize, "request"))
}

/// `probe: status 500 (failure 2)`.
pub fn probe_failure(error: &str, failures: u64) -> String {
    format!("probe: {} (failure {failures})", clean(error))
}

/// `probe: 112 requests, none failed, slowest 41ms`.
pub fn probed(traffic: &ProbeEnd) -> String {
    let failed = if traffic.failures == 0 { "none".to_owned() } else { traffic.failures.to_string() };
    let requests = count(traffic.requests as usize, "request");
    format!("probe: {requests}, {failed} failed, slowest {}", answer_time(traffic.slowest))
}

/// `app-4 exited with code 3`.
pub fn failure(failure: &Failure) -> String {
    clean(&failure.sentence())
}

/// What an operator needs to see below it: the last probe's output, then the log as `docker compose logs` shows it.
pub fn details(failure: &Failure, look: &Look) -> Vec<String> {
    let command = failure.command.as_ref().filter(|_| look.verbose);
    let command = command.map(|command| format!("command: {}", clean(command)));
    let probe = titled("last probe: ", failure.health_output.as_deref());
    let name = failure.container.as_ref().map(|c| clean(&c.name) + "  ").unwrap_or_default();
    let log = failure.log_tail.iter().map(|line| format!("{name}| {}", clean(line)));
    command.into_iter().chain(probe).chain(log).collect()
}

/// The lines behind a title, and below each other.
fn titled(title: &str, text: Option<&str>) -> impl Iterator<Item = String> {
    let titles = once(title.to_owned()).chain(repeat(" ".repeat(title.len())));
    titles.zip(clean_lines(text.unwrap_or_default())).map(|(title, line)| title + &line)
}

pub fn interrupt(count: u8) -> &'static str {
    match count {
        0 | 1 => "interrupted: ending safely; a second one quits at once",
        _ => "interrupted again: quitting at once",
    }
}

/// How the run has ended. That requests failed all the same is a part of it.
pub fn message(story: &Story) -> Vec<String> {
    let message = story.end.as_ref().map(|end| end.message.clone()).unwrap_or_default();
    let amber = story.amber().map(|(requests, failures)| {
        format!("; but the probe saw {failures} of {} fail", count(requests as usize, "request"))
    });
    clean_lines(&(message + &amber.unwrap_or_default()))
}

/// The next command.
pub fn hint(story: &Story) -> impl Iterator<Item = String> {
    titled("hint: ", story.end.as_ref().and_then(|end| end.hint.as_deref()))
}

/// The last lines of every format.
pub fn last(story: &Story) -> String {
    message(story).into_iter().chain(hint(story)).map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_watch_has_tenths_below_a_minute() {
        let shown = |ms| stopwatch(Duration::from_millis(ms));
        assert_eq!([shown(0), shown(1_999), shown(59_999)], ["0.0s", "1.9s", "59.9s"]);
        assert_eq!([shown(65_400), shown(3_720_000)], ["1m05s", "1h02m"]);
    }
}
