//! What the terminal shows at a time, without a terminal.

use super::{
    super::fixture::{self, Run, end, look, ms, new, planned, stopping, story, waiting},
    *,
};
use crate::event::{ProbeBegin, ProbeEnd};

/// The rows after all events until `now`, as they look at that time.
fn shown_on(run: &Run, now: u64, look: Look) -> Vec<String> {
    let line = |row: Row| {
        let since = if let Time::Since(since) = row.time { since } else { Duration::ZERO };
        let (mark, rest) = (&row.mark.frames(&look)[0], row.rest(ms(now).saturating_sub(since), &look));
        format!("{:indent$}{mark} {rest}", "", indent = row.indent)
    };
    rows(&story(run, now), &look).into_iter().map(line).collect()
}

fn shown(run: &Run, now: u64) -> String {
    shown_on(run, now, look(60)).join("\n")
}

fn closed(run: &Run, look: Look) -> String {
    closing(&story(run, u64::MAX), &look).join("\n")
}

#[test]
fn something_is_shown_before_there_is_a_plan() {
    let services = vec!["app".to_owned()];
    let mut run = vec![(0, Event::Loading)];
    let reading = "⠋ reading the project                                  0.9s";
    assert_eq!(shown(&run, 900), reading);
    run.push((1_000, Event::Building { services }));
    assert_eq!(shown(&run, 2_000), "⠋ build  app                                           1.0s");
    run.push((3_000, Event::Prepared { took: ms(2_000) }));
    let built = "✔ build  app                                           2.0s";
    let planning = "⠋ planning                                             3.2s";
    assert_eq!(shown(&run, 3_200), format!("{built}\n{planning}"));
    run.push((4_000, planned(&[("app", Verdict::Roll, "image changed", 1)])));
    assert_eq!(shown(&run, 4_000), format!("{built}\n- app  roll: image changed"));
}

#[test]
fn a_build_shows_its_last_line() {
    let build = "⠋ build  app                                           ";
    assert_eq!(shown(&fixture::happy(), 1_000), format!("{build}1.0s"));
    assert_eq!(shown(&fixture::happy(), 2_000), format!("{build}2.0s\n    #5 [2/3] RUN make"));
}

#[test]
fn a_roll_from_start_to_stop() {
    assert_eq!(shown(&fixture::happy(), 3_300), BEGIN);
    assert_eq!(shown(&fixture::happy(), 4_700), GATE);
    assert_eq!(shown(&fixture::happy(), 5_300), SETTLE);
    assert_eq!(shown(&fixture::happy(), 8_600), STOP);
}

/// Which version serves is seen at any time, container by container.
#[test]
fn two_versions_are_told_apart() {
    assert_eq!(shown(&fixture::versioned(fixture::happy(), "web:v2"), 4_700), VERSIONS);
    let closed = closed(&fixture::versioned(fixture::failed(), "web:v2"), look(100));
    assert!(closed.contains("rolled back, serving app-1 and app-2 (v1)"), "{closed}");
}

const VERSIONS: &str = "\
✔ build  app                                           3.1s
✔ unchanged: db
⠋ app  roll (v1 → v2): waiting for health              1.5s
  ✔ app-1  v1  serving
  ✔ app-2  v1  serving
  ⠋ app-3  v2  starting, at most 40s                   1.1s
  ⠋ app-4  v2  starting, at most 40s  curl: (7) Fail…  1.1s";

#[test]
fn a_pull_and_then_a_build() {
    let services = || vec!["app".to_owned()];
    let run = vec![
        (0, Event::Pulling { services: services() }),
        (1_000, Event::Building { services: services() }),
        (3_000, Event::Prepared { took: ms(3_000) }),
    ];
    let pulled = "✔ pull  app                                            1.0s\n";
    let build = "build  app                                           ";
    assert_eq!(shown(&run, 2_000), format!("{pulled}⠋ {build}1.0s"));
    assert_eq!(shown(&run, 3_000), format!("{pulled}✔ {build}2.0s"));
}

#[test]
fn a_rollback() {
    assert_eq!(shown(&fixture::failed(), 6_500), ROLLBACK);
}

#[test]
fn services_ended_under_way_and_not_begun() {
    assert_eq!(shown(&fixture::interleaved(), 10_000), SIDE_BY_SIDE);
    assert_eq!(shown(&fixture::interrupted(), 2_200), INTERRUPTED);
}

#[test]
fn without_unicode() {
    let look = Look { unicode: false, ..look(60) };
    assert_eq!(shown_on(&fixture::failed(), 5_000, look).join("\n"), ASCII);
}

/// What it may take in all, not what is left of it: the clock beside it counts up.
#[test]
fn the_limit_stands_still() {
    let run = vec![
        (0, new("app-2", Phase::Started)),
        (100, new("app-2", waiting("starting", None, 40_000))),
        (9_100, new("app-2", waiting("starting", Some("no"), 31_000))),
    ];
    for (now, line) in [(100, "starting, at most 40s  "), (9_200, "starting, at most 40s  no  ")] {
        let lines = shown_on(&run, now, look(60));
        assert!(lines[1].contains(&format!("app-2  {line}")), "{lines:?}");
    }
}

#[test]
fn the_probe_and_what_it_last_saw() {
    let (url, error) = ("http://127.0.0.1/".to_owned(), "status 502".to_owned());
    let mut run =
        vec![(0, Event::ProbeBegin(ProbeBegin { url: url.clone(), rate: 20, max_failures: Some(1) }))];
    assert_eq!(shown(&run, 0), "✔ probing http://127.0.0.1/, 20 requests a second, at most…");
    run.push((100, Event::ProbeFailure { error, failures: 3 }));
    assert_eq!(shown(&run, 100), "✘ probe: status 502 (failure 3)");
    let (stages, buckets) = (vec![], vec![]);
    run.push((
        200,
        Event::ProbeEnd(ProbeEnd { url, requests: 4, failures: 3, slowest: ms(1), stages, buckets }),
    ));
    assert_eq!(shown(&run, 200), "");
}

#[test]
fn failures_and_warnings_outlive_the_live_lines() {
    let lasting = |run: &Run, look: Look| {
        run.iter().flat_map(|(_, event)| lasting(event, &look)).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(lasting(&fixture::failed(), look(60)), FAILURE);
    assert_eq!(lasting(&fixture::interleaved(), look(60)), WARNINGS);
    let failure = fixture::called();
    assert_eq!(lasting(&failure, look(60)), "✘ app  docker stop failed: no space left");
    let verbose = Look { verbose: true, ..look(60) };
    let command = "✘ app  docker stop failed: no space left\n  command: docker stop --time 10 app-1";
    assert_eq!(lasting(&failure, verbose), command);
}

/// Of a hook that fails the new version, the failure of the service tells all there is.
#[test]
fn a_failed_hook_is_said_once() {
    let hook = |hook: &str| Event::Hook {
        service: "app".to_owned(),
        container: None,
        hook: hook.to_owned(),
        error: Some("exit code 1".to_owned()),
    };
    let lines = |name: &str| lasting(&hook(name), &look(60));
    assert_eq!(lines("pre_stop"), ["! warning: app: pre_stop hook failed: exit code 1"]);
    assert!(lines("pre_start").is_empty() && lines("post_start").is_empty());
}

#[test]
fn closings() {
    assert_eq!(closed(&fixture::happy(), look(60)), CLOSED);
    let text = closed(&fixture::interrupted(), look(60));
    let outcomes = "! app     interrupted, serving app-1                   2.4s\n\
        - worker  not started, serving worker-1                0.0s\n\n";
    assert!(text.starts_with(outcomes), "{text}");
    assert!(text.ends_with("\n\nInterrupted; app-1 serves as before.\nhint: docker zdd up"));
    let blocked =
        planned(&[("app", Verdict::Blocked, "its network changed", 1), ("web", Verdict::Roll, "", 1)]);
    let run = vec![(0, blocked), (100, end(2, "Refused.", None, 100))];
    assert_eq!(
        closed(&run, look(60)),
        "! app  blocked: its network changed\n- web  roll: not started\n\nRefused."
    );
    let unchanged = planned(&[("app", Verdict::Unchanged, "", 1), ("db", Verdict::Unchanged, "", 1)]);
    let run = vec![(0, unchanged), (100, end(0, "Nothing to do.", None, 100))];
    assert_eq!(closed(&run, look(60)), "✔ unchanged: app and db\n\nNothing to do.");
}

#[test]
fn requests_that_failed_make_a_good_end_yellow() {
    let last = |run: &Run| {
        let text = closed(run, Look { color: true, ..look(200) });
        text.lines().last().unwrap_or_default().to_owned()
    };
    let amber = "\x1b[33mRolled app; but the probe saw 2 of 130 requests fail\x1b[0m";
    assert_eq!(last(&fixture::probed(2)), amber);
    assert_eq!(
        last(&fixture::probed(0)),
        "\x1b[1mRolled app\x1b[0m",
        "those before the rollout do not count"
    );
}

#[test]
fn left_in_the_middle() {
    let run = vec![
        (0, fixture::begin("app", 1, 1)),
        (100, fixture::old("app-1", stopping())),
        (200, end(130, "Left at once.", None, 200)),
    ];
    assert!(closed(&run, look(60)).starts_with("! app  roll: stopping, left there\n\n"));
}

#[test]
fn a_failed_build_shows_its_last_lines() {
    let output = |n: u64| (n, Event::Output { line: format!("line {n}") });
    let mut run: Run = vec![(0, Event::Building { services: vec!["app".to_owned()] })];
    run.extend((1..=40).map(output));
    run.push((3_000, end(1, "The build of app failed.", None, 3_000)));
    let text = closed(&run, look(60));
    let head = "✘ build  app                                           3.0s\n  line 11\n";
    assert!(text.starts_with(head), "{text}");
    assert!(text.ends_with("\n  line 40\n\nThe build of app failed."), "{text}");
}

#[test]
fn nothing_is_wider_or_higher_than_the_terminal() {
    let runs = [fixture::happy(), fixture::failed(), fixture::interrupted(), fixture::interleaved(), crowd()];
    let sizes = [(60, 24), (100, 8), (30, 5), (200, 3), (12, 4)];
    for (run, (columns, rows)) in runs.iter().flat_map(|run| sizes.map(|size| (run, size))) {
        for now in (0..12_000).step_by(250) {
            let lines = shown_on(run, now, Look { rows, ..look(columns) });
            assert!(lines.iter().all(|line| measure_text_width(line) < columns), "{lines:#?}");
            assert!(lines.len() < rows, "{rows}: {lines:#?}");
        }
    }
}

/// Nine services of three replicas; two have ended.
fn crowd() -> Run {
    let services: Vec<String> = (1..=9).map(|n| format!("web{n}")).collect();
    let replica = |service: &String, n: u32| {
        (100, new(&format!("{service}-{n}"), waiting("starting", Some("no"), 40_000)))
    };
    let begun = services.iter().map(|service| (0, fixture::begin(service, 3, 1)));
    let waiting = services.iter().flat_map(|service| [1, 2, 3].map(|n| replica(service, n)));
    let ended = services.iter().take(2).map(|service| (200, fixture::done(service, Outcome::Done, &[], 200)));
    begun.chain(waiting).chain(ended).collect()
}

#[test]
fn a_crowd_shows_all_services_before_their_containers() {
    let lines = shown_on(&crowd(), 300, Look { rows: 16, ..look(60) });
    let names: Vec<_> = lines.iter().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    let services = ["web4", "web5", "web6", "web7", "web8", "web9"];
    assert_eq!(names[..6], ["web1", "web2", "web3", "web3-1", "web3-2", "web3-3"]);
    assert_eq!(names[6..], services);
    let lines = shown_on(&crowd(), 300, Look { rows: 9, ..look(60) });
    assert_eq!(lines[0], "✔ 2 services ended");
    assert_eq!(lines[6], "- and 2 more lines");
}

const BEGIN: &str = "\
✔ build  app                                           3.1s
✔ unchanged: db
⠋ app  roll: starting                                  0.1s
  ✔ app-1  serving
  ✔ app-2  serving";

const GATE: &str = "\
✔ build  app                                           3.1s
✔ unchanged: db
⠋ app  roll: waiting for health                        1.5s
  ✔ app-1  serving
  ✔ app-2  serving
  ⠋ app-3  starting, at most 40s                       1.1s
  ⠋ app-4  starting, at most 40s  curl: (7) Failed t…  1.1s";

const SETTLE: &str = "\
✔ build  app                                           3.1s
✔ unchanged: db
⠋ app  roll: settling for 1.0s                         2.1s
  ✔ app-1  serving
  ✔ app-2  serving
  ✔ app-3  healthy                                     1.3s
  ✔ app-4  healthy                                     1.6s";

const STOP: &str = "\
✔ build  app                                           3.1s
✔ unchanged: db
⠋ app  roll: stopping                                  5.4s
  ⠋ app-1  stopping (grace 10s)                        0.3s
  - app-2  stopped (exit code 0)                       0.3s
  ✔ app-3  healthy                                     1.3s
  ✔ app-4  healthy                                     1.6s";

const ROLLBACK: &str = "\
⠋ app  roll, batch 2 of 2: rolling back                6.5s
  ⠋ app-1  starting again                              0.3s
  ✔ app-2  serving
  ✔ app-3  healthy                                     1.5s
  - app-4  stopped (exit code 1)                       0.3s";

const SIDE_BY_SIDE: &str = "\
✔ pull  app and worker                                 0.9s
✔ app     done, serving app-2                          2.5s
⠋ worker  create: watching it run                      9.0s
  ⠋ worker-1  running, watched for 40s                 8.6s";

const INTERRUPTED: &str = "\
⠋ app     roll: stopping                               2.2s
  ✔ app-1  serving
  ⠋ app-2  stopping (grace 10s)                        0.1s
- worker  roll: image changed
! interrupted: ending safely; a second one quits at once";

const ASCII: &str = "\
- app  roll, batch 2 of 2: waiting for health          5.0s
  - app-1  stopped (exit code 0)                       0.3s
  + app-2  serving
  + app-3  healthy                                     1.5s
  - app-4  starting, at most 40s  curl: (22) error...  2.2s";

const FAILURE: &str = "\
✘ app  app-4 is unhealthy after 3 failed probes
  last probe: curl: (22) error: 503
              no database
  app-4  | listening on :8080
  app-4  | panic: no database";

const WARNINGS: &str = "\
! warning: compose file has no name
! warning: worker: has no healthcheck
! warning: app: pre_stop hook of app-1 failed: exit code 1;
  no such file";

const CLOSED: &str = "\
✔ build  app                                           3.1s
✔ unchanged: db
✔ app  done, serving app-3 and app-4                   5.7s

app      3.2s                                          9.0s
  app-1  █████████████████████████▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▓▓▓▓▓··
  app-2  █████████████████████████▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▓▓▓····
  app-3  ···░░░░░░░░░░░░███████████████████████████████████
  app-4  ···░░░░░░░░░░░░░░░████████████████████████████████
         ░ starting  █ serving  ▒ draining  ▓ stopping
build 3.1s, start 0.4s, health 1.6s, settle 1.0s,
drain 2.1s, stop 0.5s, total 9.0s
drain of app-1: deadline passed

Rolled app: app-3 and app-4 serve.";
