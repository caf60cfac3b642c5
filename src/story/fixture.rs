//! Runs to test the fold and the formats with.

use std::time::Duration;

use super::Story;
use crate::engine::ContainerRef;
use crate::event::*;

pub type Run = Vec<(u64, Event)>;

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub fn named(name: &str) -> ContainerRef {
    ContainerRef { id: format!("{name:0>64}"), name: name.to_owned() }
}

fn service_of(container: &str) -> String {
    container.rsplit_once('-').unwrap().0.to_owned()
}

pub fn new(name: &str, phase: Phase) -> Event {
    Event::Container { service: service_of(name), container: named(name), generation: Generation::New, phase }
}

pub fn old(name: &str, phase: Phase) -> Event {
    Event::Container { service: service_of(name), container: named(name), generation: Generation::Old, phase }
}

/// The gate waits, for `left` milliseconds more.
pub fn waiting(health: &str, output: Option<&str>, left: u64) -> Phase {
    Phase::Waiting { health: health.to_owned(), output: output.map(str::to_owned), deadline: ms(left) }
}

pub fn stopping() -> Phase {
    Phase::Stopping { grace: ms(10_000) }
}

/// A story of all events until `now`, in milliseconds.
pub fn story(run: &Run, now: u64) -> Story {
    let mut story = Story::default();
    run.iter().filter(|(at, _)| *at <= now).for_each(|(at, event)| story.apply(ms(*at), event));
    story
}

/// As many containers serve as are wanted, where anything runs.
pub fn planned(services: &[(&str, Verdict, &str, u32)]) -> Event {
    let service = |&(service, verdict, reason, replicas): &(&str, Verdict, &str, u32)| PlannedService {
        service: service.to_owned(),
        verdict,
        reason: reason.to_owned(),
        replicas,
        versions: Versions::default(),
        serving: match verdict {
            Verdict::Create => vec![],
            _ => (1..=replicas).map(|n| named(&format!("{service}-{n}"))).collect(),
        },
    };
    Event::Planned { project: "shop".to_owned(), services: services.iter().map(service).collect() }
}

/// The same run with another image: `v1` of `web`, then this one.
pub fn versioned(mut run: Run, to: &str) -> Run {
    let version = |image: &str| Version { image: image.to_owned(), id: image.to_owned() };
    for (_, event) in &mut run {
        if let Event::Planned { services, .. } = event {
            services[0].versions = Versions { from: vec![version("web:v1")], to: version(to) };
        }
    }
    run
}

pub fn begin(service: &str, replicas: u32, batches: u32) -> Event {
    Event::ServiceBegin { service: service.to_owned(), verdict: Verdict::Roll, replicas, batches }
}

pub fn batch(service: &str, number: u32, of: u32, size: u32) -> Event {
    Event::Batch { service: service.to_owned(), number, of, start: size, retire: size }
}

pub fn done(service: &str, outcome: Outcome, serving: &[&str], took: u64) -> Event {
    let serving = Some(serving.iter().map(|name| named(name)).collect());
    Event::ServiceEnd(ServiceEnd { service: service.to_owned(), outcome, serving, took: ms(took) })
}

pub fn end(exit_code: u8, message: &str, hint: Option<&str>, took: u64) -> Event {
    Event::End(End { exit_code, message: message.to_owned(), hint: hint.map(str::to_owned), took: ms(took) })
}

/// Builds, then rolls two replicas at once.
pub fn happy() -> Run {
    let drain = || Phase::Draining { how: "pre_stop hook".to_owned() };
    let plan = [("app", Verdict::Roll, "image changed", 2), ("db", Verdict::Unchanged, "agrees", 1)];
    vec![
        (0, Event::Building { services: vec!["app".to_owned()] }),
        (1_200, Event::Output { line: "#5 [2/3] RUN \x1b[32mmake\x1b[0m".to_owned() }),
        (3_100, Event::Prepared { took: ms(3_100) }),
        (3_200, planned(&plan)),
        (3_200, begin("app", 2, 1)),
        (3_200, batch("app", 1, 1, 2)),
        (3_600, new("app-3", Phase::Started)),
        (3_600, new("app-4", Phase::Started)),
        (3_650, new("app-3", waiting("starting", None, 40_000))),
        (3_650, new("app-4", waiting("starting", None, 39_950))),
        (4_600, new("app-4", waiting("starting", Some("curl: (7) Failed to connect"), 39_050))),
        (4_900, new("app-3", Phase::Ready)),
        (5_200, new("app-4", Phase::Ready)),
        (5_200, Event::Settling { service: "app".to_owned(), time: ms(1_000) }),
        (6_200, old("app-1", drain())),
        (6_200, old("app-2", drain())),
        (8_200, old("app-2", Phase::Drained { note: None })),
        (8_200, old("app-2", stopping())),
        (8_300, old("app-1", Phase::Drained { note: Some("deadline passed".to_owned()) })),
        (8_300, old("app-1", stopping())),
        (8_500, old("app-2", Phase::Stopped { exit_code: 0 })),
        (8_700, old("app-1", Phase::Stopped { exit_code: 137 })),
        (8_800, old("app-1", Phase::Removed)),
        (8_800, old("app-2", Phase::Removed)),
        (8_900, done("app", Outcome::Done, &["app-3", "app-4"], 5_700)),
        (9_000, end(0, "Rolled app: app-3 and app-4 serve.", None, 9_000)),
    ]
}

/// The second of two batches fails its gate and all is rolled back.
pub fn failed() -> Run {
    let failure = Failure {
        reason: "is unhealthy after 3 failed probes".to_owned(),
        container: Some(named("app-4")),
        command: None,
        health_output: Some("curl: (22) error: 503\nno database\n".to_owned()),
        log_tail: vec!["listening on :8080".to_owned(), "\x1b[31mpanic\x1b[0m: no database".to_owned()],
    };
    vec![
        (0, planned(&[("app", Verdict::Roll, "image changed", 2)])),
        (0, begin("app", 2, 2)),
        (0, batch("app", 1, 2, 1)),
        (400, new("app-3", Phase::Started)),
        (1_900, new("app-3", Phase::Ready)),
        (2_000, old("app-1", stopping())),
        (2_300, old("app-1", Phase::Stopped { exit_code: 0 })),
        (2_400, batch("app", 2, 2, 1)),
        (2_800, new("app-4", Phase::Started)),
        (2_900, new("app-4", waiting("starting", None, 40_000))),
        (4_000, new("app-4", waiting("starting", Some("curl: (22) error: 503"), 38_900))),
        (5_800, new("app-4", Phase::Failed { reason: "is unhealthy after 3 failed probes".to_owned() })),
        (5_900, Event::Failed { service: "app".to_owned(), failure, rollback: true }),
        (5_900, new("app-4", stopping())),
        (6_200, new("app-4", Phase::Stopped { exit_code: 1 })),
        (6_200, old("app-1", Phase::Restoring)),
        (7_200, old("app-1", Phase::Restored)),
        (7_200, new("app-3", stopping())),
        (7_500, new("app-3", Phase::Stopped { exit_code: 0 })),
        (7_600, new("app-3", Phase::Removed)),
        (7_600, new("app-4", Phase::Removed)),
        (7_700, done("app", Outcome::RolledBack, &["app-1", "app-2"], 7_700)),
        (
            7_700,
            end(
                3,
                "The new app failed; app-1 and app-2 serve as before.",
                Some("docker compose logs app"),
                7_700,
            ),
        ),
    ]
}

/// One replica after the other; the second waits without news.
pub fn batches() -> Run {
    let roll = |n: u32, old_name: &str, new_name: &str| {
        let t = u64::from(n - 1) * 2_000;
        [
            (t, batch("app", n, 2, 1)),
            (t + 400, new(new_name, Phase::Started)),
            (t + 400, new(new_name, waiting("starting", None, 40_000))),
            (t + 1_400, new(new_name, Phase::Ready)),
            (t + 1_500, old(old_name, stopping())),
            (t + 1_900, old(old_name, Phase::Stopped { exit_code: 0 })),
        ]
    };
    let mut run = vec![(0, begin("app", 2, 2))];
    run.extend(roll(1, "app-9", "app-11").into_iter().chain(roll(2, "app-10", "app-12")));
    run.push((4_000, old("app-9", Phase::Removed)));
    run.push((4_000, old("app-10", Phase::Removed)));
    run.push((4_100, done("app", Outcome::Done, &["app-11", "app-12"], 4_100)));
    run.push((4_100, end(0, "Rolled app.", None, 4_100)));
    run
}

/// Interrupted while it waits for health; the second service is never begun.
pub fn interrupted() -> Run {
    let plan = [("app", Verdict::Roll, "image changed", 1), ("worker", Verdict::Roll, "image changed", 1)];
    vec![
        (0, planned(&plan)),
        (0, begin("app", 1, 1)),
        (0, batch("app", 1, 1, 1)),
        (300, new("app-2", Phase::Started)),
        (300, new("app-2", waiting("starting", None, 40_000))),
        (2_000, Event::Interrupt { count: 1 }),
        (2_100, new("app-2", stopping())),
        (2_300, new("app-2", Phase::Stopped { exit_code: 0 })),
        (2_300, new("app-2", Phase::Removed)),
        (2_400, done("app", Outcome::Interrupted, &["app-1"], 2_400)),
        (2_400, done("worker", Outcome::Skipped, &["worker-1"], 0)),
        (2_400, end(130, "Interrupted; app-1 serves as before.", Some("docker zdd up"), 2_400)),
    ]
}

/// Two services side by side; one has no healthcheck, and a hook that fails.
pub fn interleaved() -> Run {
    let plan = [("app", Verdict::Roll, "image changed", 1), ("worker", Verdict::Create, "nothing runs", 1)];
    let create = Event::ServiceBegin {
        service: "worker".to_owned(),
        verdict: Verdict::Create,
        replicas: 1,
        batches: 1,
    };
    let warning = |service: Option<&str>, message: &str| Event::Warning {
        service: service.map(str::to_owned),
        message: message.to_owned(),
    };
    let hook = Event::Hook {
        service: "app".to_owned(),
        container: Some(named("app-1")),
        hook: "pre_stop".to_owned(),
        error: Some("exit code 1\nno such file\n".to_owned()),
    };
    vec![
        (0, Event::Pulling { services: vec!["app".to_owned(), "worker".to_owned()] }),
        (900, Event::Prepared { took: ms(900) }),
        (950, warning(None, "compose file has no name")),
        (1_000, planned(&plan)),
        (1_000, begin("app", 1, 1)),
        (1_000, create),
        (1_000, batch("app", 1, 1, 1)),
        (1_000, batch("worker", 1, 1, 1)),
        (1_400, new("worker-1", Phase::Started)),
        (1_400, new("worker-1", waiting("running", None, 40_000))),
        (1_500, new("app-2", Phase::Started)),
        (1_500, warning(Some("worker"), "has no healthcheck")),
        (3_000, new("app-2", Phase::Ready)),
        (3_100, hook),
        (3_100, old("app-1", stopping())),
        (3_500, old("app-1", Phase::Stopped { exit_code: 0 })),
        (3_500, old("app-1", Phase::Removed)),
        (3_500, done("app", Outcome::Done, &["app-2"], 2_500)),
        (11_400, new("worker-1", Phase::Ready)),
        (11_400, done("worker", Outcome::Done, &["worker-1"], 10_400)),
        (11_500, end(0, "Rolled app and created worker.", None, 11_500)),
    ]
}

/// A call of docker fails in the middle.
pub fn called() -> Run {
    let command = Some("docker stop --time 10 app-1".to_owned());
    let failure =
        Failure { reason: "docker stop failed: no space left".to_owned(), command, ..Failure::default() };
    vec![
        (0, planned(&[("app", Verdict::Roll, "image changed", 1)])),
        (0, begin("app", 1, 1)),
        (900, Event::Failed { service: "app".to_owned(), failure, rollback: true }),
    ]
}

/// A roll that goes well while the probe sees so many failures in it, and three before it.
pub fn probed(failures: u64) -> Run {
    let stage =
        |stage, requests, failures| ProbeStage { stage, requests, failures, mean: ms(4), slowest: ms(7) };
    let stages =
        vec![stage(Stage::Before, 5, 3), stage(Stage::Health, 90, 0), stage(Stage::Stop, 40, failures)];
    let url = "http://127.0.0.1/".to_owned();
    let (requests, slowest, buckets) = (135, ms(7), vec![]);
    vec![
        (0, Event::ProbeBegin(ProbeBegin { url: url.clone(), rate: 20, max_failures: None })),
        (300, begin("app", 1, 1)),
        (300, batch("app", 1, 1, 1)),
        (700, new("app-2", Phase::Started)),
        (5_000, new("app-2", Phase::Ready)),
        (5_000, old("app-1", stopping())),
        (7_000, old("app-1", Phase::Stopped { exit_code: 0 })),
        (7_000, done("app", Outcome::Done, &["app-2"], 6_700)),
        (
            7_000,
            Event::ProbeEnd(ProbeEnd { url, requests, failures: failures + 3, slowest, stages, buckets }),
        ),
        (7_100, end(0, "Rolled app", None, 7_100)),
    ]
}
