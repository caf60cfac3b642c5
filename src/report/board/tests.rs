//! What the terminal shows at a time, without a terminal.

use super::super::fixture::{self, Run, end, look, ms, new, planned, stopping, waiting};
use super::super::text::width;
use super::*;
use crate::event::{Outcome, Phase};

/// The board after all events until `now`.
fn board(run: &Run, now: u64, look: Look) -> Board {
    let mut board = Board::new(look);
    run.iter().filter(|(at, _)| *at <= now).for_each(|(at, event)| drop(board.apply(ms(*at), event)));
    board
}

fn shown(run: &Run, now: u64) -> String {
    board(run, now, look(60)).lines(ms(now)).join("\n")
}

fn closed(run: &Run, look: Look) -> String {
    board(run, u64::MAX, look).closing(&run.last().unwrap().1).join("\n")
}

#[test]
fn a_build_shows_its_last_line() {
    assert_eq!(
        shown(&fixture::happy(), 1_000),
        "⠋ build  app                                           1.0s"
    );
    let lines = "⠋ build  app                                           2.0s\n    #5 [2/3] RUN make";
    assert_eq!(shown(&fixture::happy(), 2_000), lines);
}

#[test]
fn a_roll_from_start_to_stop() {
    assert_eq!(shown(&fixture::happy(), 4_700), GATE);
    assert_eq!(shown(&fixture::happy(), 5_300), SETTLE);
    assert_eq!(shown(&fixture::happy(), 8_600), STOP);
}

#[test]
fn a_pull_and_then_a_build() {
    let services = || vec!["app".to_owned()];
    let run = vec![
        (0, Event::Pulling { services: services() }),
        (1_000, Event::Building { services: services() }),
        (3_000, Event::Prepared { took: ms(3_000) }),
    ];
    let pulled = "✔ pull  app                                            1.0s\n";
    assert_eq!(
        shown(&run, 2_000),
        format!("{pulled}⠋ build  app                                           1.0s")
    );
    assert_eq!(
        shown(&run, 3_000),
        format!("{pulled}✔ build  app                                           2.0s")
    );
}

#[test]
fn an_undo() {
    assert_eq!(shown(&fixture::failed(), 6_500), UNDO);
}

#[test]
fn services_ended_under_way_and_not_begun() {
    assert_eq!(shown(&fixture::interleaved(), 10_000), SIDE_BY_SIDE);
    assert_eq!(shown(&fixture::interrupted(), 2_200), INTERRUPTED);
}

#[test]
fn without_unicode() {
    let look = Look { unicode: false, ..look(60) };
    assert_eq!(board(&fixture::failed(), 5_000, look).lines(ms(5_000)).join("\n"), ASCII);
}

#[test]
fn the_countdown_ends_at_zero() {
    let run = vec![(0, new("app-2", Phase::Started)), (100, new("app-2", waiting("starting", None, 40_000)))];
    let lines = board(&run, 100, look(60)).lines(ms(50_000));
    assert!(lines[1].contains("app-2  starting, 0s left "), "{lines:?}");
}

#[test]
fn refusals_and_warnings_outlive_the_live_lines() {
    let lasting = |run: &Run| {
        let mut board = Board::new(look(60));
        run.iter().flat_map(|(at, event)| board.apply(ms(*at), event)).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(lasting(&fixture::failed()), REFUSAL);
    let warnings = "! warning: compose file has no name\n! warning: worker: has no healthcheck\n\
        ! warning: app: pre_stop hook of app-1 failed: exit code 1; no such file";
    assert_eq!(lasting(&fixture::interleaved()), warnings);
}

#[test]
fn closings() {
    assert_eq!(closed(&fixture::happy(), look(60)), CLOSED);
    let text = closed(&fixture::interrupted(), look(60));
    assert!(
        text.starts_with(
            "! app     interrupted, serving app-1                   2.4s\n- worker  not begun\n\n"
        )
    );
    assert!(text.ends_with("\n\nInterrupted; app-1 serves as before.\nhint: docker zdd up"));
    let blocked =
        planned(&[("app", Verdict::Blocked, "its network changed", 1), ("web", Verdict::Roll, "", 1)]);
    let run = vec![(0, blocked), (100, end(2, "Refused.", None, 100))];
    assert_eq!(
        closed(&run, look(60)),
        "! app  blocked: its network changed\n- web  roll: not begun\n\nRefused."
    );
    let unchanged = planned(&[("app", Verdict::Unchanged, "", 1), ("db", Verdict::Unchanged, "", 1)]);
    let run = vec![(0, unchanged), (100, end(0, "Nothing to do.", None, 100))];
    assert_eq!(closed(&run, look(60)), "✔ unchanged: app, db\n\nNothing to do.");
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
    for (run, columns, rows) in runs.iter().flat_map(|run| [(run, 60, 24), (run, 100, 8), (run, 30, 5)]) {
        for now in (0..12_000).step_by(250) {
            let lines = board(run, now, Look { rows, ..look(columns) }).lines(ms(now));
            assert!(lines.iter().all(|line| width(line) < columns), "{lines:#?}");
            assert!(lines.len() < rows, "{lines:#?}");
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
    let lines = board(&crowd(), 300, Look { rows: 16, ..look(60) }).lines(ms(300));
    let names: Vec<_> = lines.iter().map(|line| line.split_whitespace().nth(1).unwrap()).collect();
    let services = ["web4", "web5", "web6", "web7", "web8", "web9"];
    assert_eq!(names[..6], ["web1", "web2", "web3", "web3-1", "web3-2", "web3-3"]);
    assert_eq!(names[6..], services);
    let lines = board(&crowd(), 300, Look { rows: 9, ..look(60) }).lines(ms(300));
    assert_eq!(lines[0], "✔ 2 services ended");
    assert_eq!(lines[6], "  and 2 more lines");
}

const GATE: &str = "\
✔ build  app                                           3.1s
✔ unchanged: db
⠧ app  roll: waiting for health                        1.5s
  ⠧ app-3  starting, 39s left                          1.1s
  ⠧ app-4  starting, 39s left  curl: (7) Failed to c…  1.1s";

const SETTLE: &str = "\
✔ build  app                                           3.1s
✔ unchanged: db
⠸ app  roll: settling for 1.0s                         2.1s
  ✔ app-3  healthy                                     1.3s
  ✔ app-4  healthy                                     1.6s";

const STOP: &str = "\
✔ build  app                                           3.1s
✔ unchanged: db
⠦ app  roll: stopping                                  5.4s
  ⠦ app-1  stopping (grace 10s)                        0.3s
  - app-2  stopped (exit code 0)                       0.3s
  ✔ app-3  healthy                                     1.3s
  ✔ app-4  healthy                                     1.6s";

const UNDO: &str = "\
⠴ app  roll, batch 2 of 2: undoing                     6.5s
  ⠴ app-1  starting again                              0.3s
  ✔ app-3  healthy                                     1.5s
  - app-4  stopped (exit code 1)                       0.3s";

const SIDE_BY_SIDE: &str = "\
✔ pull  app, worker                                    0.9s
✔ app     done, serving app-2                          2.5s
⠋ worker  create: watching it run                      9.0s
  ⠋ worker-1  running, watched for 32s                 8.6s";

const INTERRUPTED: &str = "\
⠹ app     roll: stopping                               2.2s
  ⠹ app-2  stopping (grace 10s)                        0.1s
- worker  roll: image changed
! interrupted: ending safely, a second one leaves at once";

const ASCII: &str = "\
| app  roll, batch 2 of 2: waiting for health          5.0s
  - app-1  stopped (exit code 0)                       0.3s
  + app-3  healthy                                     1.5s
  | app-4  starting, 38s left  curl: (22) error: 503   2.2s";

const REFUSAL: &str = "\
✘ app  app-4 is unhealthy after 3 failed probes
  last probe: curl: (22) error: 503
              no database
  app-4  | listening on :8080
  app-4  | panic: no database";

const CLOSED: &str = "\
✔ build  app                                           3.1s
✔ unchanged: db
✔ app  done, serving app-3, app-4                      5.7s

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
