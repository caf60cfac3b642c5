//! The summary of whole runs.

use super::super::fixture::{self, Run, begin, done, end, look, new, old, stopping, story};
use super::*;
use crate::event::{Event, Failure, Outcome, Phase};

fn drawn(run: &Run, look: &Look) -> String {
    lines(&story(run, u64::MAX), look).iter().map(|line| line.to_owned() + "\n").collect()
}

#[test]
fn wide_narrow_and_ascii() {
    let ascii = Look { unicode: false, ..look(60) };
    assert_eq!(drawn(&fixture::happy(), &look(100)), WIDE);
    assert_eq!(drawn(&fixture::happy(), &look(500)), WIDE);
    assert_eq!(drawn(&fixture::happy(), &ascii), ASCII);
    assert_eq!(drawn(&fixture::failed(), &Look { unicode: false, ..look(60) }), FAILED);
}

#[test]
fn no_line_reaches_the_last_column() {
    for columns in [60, 77, 100] {
        for run in [fixture::happy(), fixture::failed(), fixture::interleaved()] {
            let text = drawn(&run, &look(columns));
            assert!(text.lines().all(|line| line.chars().count() < columns), "{columns}\n{text}");
        }
    }
}

#[test]
fn nothing_touched_draws_nothing() {
    let run = vec![(0, begin("app", 2, 1)), (100, done("app", Outcome::Unchanged, &["app-1"], 100))];
    assert_eq!(drawn(&run, &look(60)), "");
}

#[test]
fn a_short_stop_in_a_long_run_is_seen() {
    let run = vec![
        (0, old("app-1", stopping())),
        (200, old("app-1", Phase::Stopped { exit_code: 0 })),
        (400, new("app-2", Phase::Started)),
        (900_000, new("app-2", Phase::Ready)),
        (900_000, end(0, "Done.", None, 900_000)),
    ];
    assert!(drawn(&run, &look(60)).contains("app-1  ▓··"));
}

#[test]
fn a_drain_that_was_broken_off_ends_when_the_new_version_fails() {
    let failure = Failure { reason: "too much".to_owned(), ..Failure::default() };
    let run = vec![
        (0, old("app-1", Phase::Draining { how: "HAProxy".to_owned() })),
        (500, Event::Failed { service: "app".to_owned(), failure, rollback: true }),
        (1_000, done("app", Outcome::RolledBack, &["app-1"], 1_000)),
    ];
    let bar = format!("  app-1  {}{}\n", "▒".repeat(25), "█".repeat(25));
    assert!(drawn(&run, &look(60)).contains(&bar), "{}", drawn(&run, &look(60)));
}

#[test]
fn a_drain_that_ended_by_its_deadline_is_said() {
    let drained = Phase::Drained { note: Some("deadline passed".to_owned()) };
    let run = vec![
        (0, new("app-2", Phase::Started)),
        (100, old("app-1", Phase::Draining { how: "HAProxy".to_owned() })),
        (900, old("app-1", drained)),
        (1_000, end(0, "Done.", None, 1_000)),
    ];
    assert!(drawn(&run, &look(60)).ends_with("\ndrain of app-1: deadline passed\n"));
}

#[test]
fn a_leftover_that_is_only_removed_has_no_bar() {
    let run = vec![
        (0, old("app-1", Phase::Removed)),
        (100, new("app-2", Phase::Started)),
        (900, new("app-2", Phase::Ready)),
        (1_000, end(0, "Done.", None, 1_000)),
    ];
    assert!(!drawn(&run, &look(60)).contains("app-1"));
}

#[test]
fn a_fleet_is_cut_short() {
    let names: Vec<String> = (1..=50).map(|n| format!("app-{n}")).collect();
    let mut run: Run = names.iter().map(|name| (100, new(name, Phase::Started))).collect();
    run.push((1_000, end(0, "Done.", None, 1_000)));
    let text = drawn(&run, &look(60));
    assert!(text.contains("  app-12 ") && !text.contains("  app-13 "));
    assert!(text.contains("\n  and 38 more containers\n"));
}

const WIDE: &str = r"app      3.2s                                                                                  9.0s
  app-1  ██████████████████████████████████████████████▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▓▓▓▓▓▓▓····
  app-2  ██████████████████████████████████████████████▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▓▓▓▓▓▓·······
  app-3  ······░░░░░░░░░░░░░░░░░░░░░███████████████████████████████████████████████████████████████
  app-4  ······░░░░░░░░░░░░░░░░░░░░░░░░░░██████████████████████████████████████████████████████████
         ░ starting  █ serving  ▒ draining  ▓ stopping
build 3.1s, start 0.4s, health 1.6s, settle 1.0s, drain 2.1s, stop 0.5s, total 9.0s
drain of app-1: deadline passed
";

const ASCII: &str = r"app      3.2s                                          9.0s
  app-1  #########################ddddddddddddddddddxxxxx..
  app-2  #########################ddddddddddddddddddxxx....
  app-3  ...ssssssssssss###################################
  app-4  ...sssssssssssssss################################
         s starting  # serving  d draining  x stopping
build 3.1s, start 0.4s, health 1.6s, settle 1.0s,
drain 2.1s, stop 0.5s, total 9.0s
drain of app-1: deadline passed
";

const FAILED: &str = r"app      0.0s                                          7.7s
  app-1  ############xxx.........................sssssss###
  app-2  ##################################################
  app-3  ..sssssssssss#################################xxx.
  app-4  ..................sssssssssssssssssss!!xx.........
         s starting  # serving  x stopping  ! failed
start 0.8s, health 4.5s, stop 0.9s, rollback 1.8s,
total 7.7s
";
