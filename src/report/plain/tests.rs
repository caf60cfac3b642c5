//! Whole runs, compared as whole texts.

use std::{sync::Arc, thread};

use super::super::{
    Stream,
    fixture::{self, Broken, Run, look, ms, new, play, waiting, written},
};
use super::*;
use crate::event::Sink;

fn shown(run: &Run, look: Look) -> String {
    written(text, look, run)
}

#[test]
fn a_roll_at_once() {
    assert_eq!(shown(&fixture::happy(), look(60)), HAPPY);
}

#[test]
fn a_roll_in_batches() {
    assert_eq!(shown(&fixture::batches(), look(60)), BATCHES);
}

#[test]
fn a_failed_batch_is_rolled_back() {
    assert_eq!(shown(&fixture::failed(), look(60)), FAILED);
}

#[test]
fn an_interrupted_run() {
    assert_eq!(shown(&fixture::interrupted(), look(60)), INTERRUPTED);
}

#[test]
fn two_services_side_by_side() {
    assert_eq!(shown(&fixture::interleaved(), look(60)), INTERLEAVED);
}

#[test]
fn never_coloured_even_when_the_look_asks_for_it() {
    assert_eq!(shown(&fixture::happy(), Look { color: true, ..look(60) }), HAPPY);
}

#[test]
fn health_is_said_when_it_changes_and_only_then() {
    let run = vec![
        (100, new("app-2", waiting("starting", None, 40_000))),
        (200, new("app-2", waiting("starting", None, 40_000))),
        (300, new("app-2", waiting("starting", Some("refused"), 40_000))),
        (400, new("app-2", waiting("starting", Some("refused\n"), 40_000))),
        (500, new("app-2", waiting("unhealthy", None, 40_000))),
        (600, new("app-2", waiting("healthy", None, 40_000))),
        (700, new("app-2", Phase::Ready)),
    ];
    let expected = "  0.1s  app  waiting until healthy, at most 40s\n  0.3s  app  app-2 starting: refused\n  \
        0.5s  app  app-2 unhealthy\n  0.7s  app  app-2 healthy\n";
    assert_eq!(shown(&run, look(60)), expected);
}

#[test]
fn lines_of_threads_do_not_mix() {
    let page = fixture::Page::default();
    let sink = Arc::new(Stream::new(text, look(60), page.clone()));
    let threads = ["app-1", "web-1"].map(|name| {
        let sink = Arc::clone(&sink);
        thread::spawn(move || (0..200).for_each(|_| sink.on(ms(100), &new(name, Phase::Started))))
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let whole = ["  0.1s  app  app-1 started", "  0.1s  web  web-1 started"];
    assert!(page.text().lines().all(|line| whole.contains(&line)));
    assert_eq!(page.text().lines().count(), 400);
}

#[test]
fn a_reader_that_went_away_does_not_matter() {
    play(&Stream::new(text, look(60), Broken), &fixture::failed());
}

const HAPPY: &str = r"  0.0s  building app
  1.2s  | #5 [2/3] RUN make
  3.1s  images ready in 3.1s
  3.2s  app  roll: image changed
  3.2s  unchanged: db
  3.2s  app  roll to 2 replicas, all at once
  3.6s  app  app-3 started
  3.6s  app  app-4 started
  3.6s  app  waiting until healthy, at most 40s
  4.6s  app  app-4 starting: curl: (7) Failed to connect
  4.9s  app  app-3 healthy
  5.2s  app  app-4 healthy
  5.2s  app  settling for 1.0s
  6.2s  app  app-1 draining (pre_stop hook)
  6.2s  app  app-2 draining (pre_stop hook)
  8.2s  app  app-2 drained
  8.2s  app  app-2 stopping (grace 10s)
  8.3s  app  app-1 drained (deadline passed)
  8.3s  app  app-1 stopping (grace 10s)
  8.5s  app  app-2 stopped (exit code 0)
  8.7s  app  app-1 stopped (exit code 137, killed)
  8.8s  app  app-1 removed
  8.8s  app  app-2 removed
  8.9s  app  done in 5.7s, serving app-3 and app-4

app      3.2s                                          9.0s
  app-1  █████████████████████████▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▓▓▓▓▓··
  app-2  █████████████████████████▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▓▓▓····
  app-3  ···░░░░░░░░░░░░███████████████████████████████████
  app-4  ···░░░░░░░░░░░░░░░████████████████████████████████
         ░ starting  █ serving  ▒ draining  ▓ stopping
build 3.1s, start 0.4s, health 1.6s, settle 1.0s,
drain 2.1s, stop 0.5s, total 9.0s
drain of app-1: deadline passed

Rolled app: app-3 and app-4 serve.
";

const BATCHES: &str = r"  0.0s  app  roll to 2 replicas, in 2 batches
  0.0s  app  batch 1 of 2: start 1, retire 1
  0.4s  app  app-11 started
  0.4s  app  waiting until healthy, at most 40s
  1.4s  app  app-11 healthy
  1.5s  app  app-9 stopping (grace 10s)
  1.9s  app  app-9 stopped (exit code 0)
  2.0s  app  batch 2 of 2: start 1, retire 1
  2.4s  app  app-12 started
  2.4s  app  waiting until healthy, at most 40s
  3.4s  app  app-12 healthy
  3.5s  app  app-10 stopping (grace 10s)
  3.9s  app  app-10 stopped (exit code 0)
  4.0s  app  app-9 removed
  4.0s  app  app-10 removed
  4.1s  app  done in 4.1s, serving app-11 and app-12

app       0.0s                                         4.1s
  app-9   █████████████████▓▓▓▓▓▓··························
  app-10  █████████████████████████████████████████▓▓▓▓▓▓··
  app-11  ····░░░░░░░░░░░░░████████████████████████████████
  app-12  ····························░░░░░░░░░░░░░████████
          ░ starting  █ serving  ▓ stopping
start 0.8s, health 2.0s, stop 0.8s, total 4.1s

Rolled app.
";

const FAILED: &str = r"  0.0s  app  roll: image changed
  0.0s  app  roll to 2 replicas, in 2 batches
  0.0s  app  batch 1 of 2: start 1, retire 1
  0.4s  app  app-3 started
  1.9s  app  app-3 healthy
  2.0s  app  app-1 stopping (grace 10s)
  2.3s  app  app-1 stopped (exit code 0)
  2.4s  app  batch 2 of 2: start 1, retire 1
  2.8s  app  app-4 started
  2.9s  app  waiting until healthy, at most 40s
  4.0s  app  app-4 starting: curl: (22) error: 503
  5.9s  app  new version failed: app-4 is unhealthy after 3 failed probes
  5.9s  app    last probe: curl: (22) error: 503
  5.9s  app                no database
  5.9s  app    app-4  | listening on :8080
  5.9s  app    app-4  | panic: no database
  5.9s  app  app-4 stopping (grace 10s)
  6.2s  app  app-4 stopped (exit code 1)
  6.2s  app  app-1 starting again
  7.2s  app  app-1 serves again
  7.2s  app  app-3 stopping (grace 10s)
  7.5s  app  app-3 stopped (exit code 0)
  7.6s  app  app-3 removed
  7.6s  app  app-4 removed
  7.7s  app  rolled back in 7.7s, serving app-1 and app-2

app      0.0s                                          7.7s
  app-1  ████████████▓▓▓·························░░░░░░░███
  app-2  ██████████████████████████████████████████████████
  app-3  ··░░░░░░░░░░░█████████████████████████████████▓▓▓·
  app-4  ··················░░░░░░░░░░░░░░░░░░░!!▓▓·········
         ░ starting  █ serving  ▓ stopping  ! failed
start 0.8s, health 4.5s, stop 0.9s, rollback 1.8s,
total 7.7s

The new app failed; app-1 and app-2 serve as before.
hint: docker compose logs app
";

const INTERRUPTED: &str = r"  0.0s  app     roll: image changed
  0.0s  worker  roll: image changed
  0.0s  app     roll to 1 replica
  0.3s  app     app-2 started
  0.3s  app     waiting until healthy, at most 40s
  2.0s  interrupted: ending safely; a second one quits at once
  2.1s  app     app-2 stopping (grace 10s)
  2.3s  app     app-2 stopped (exit code 0)
  2.3s  app     app-2 removed
  2.4s  app     interrupted in 2.4s, serving app-1
  2.4s  worker  not started, serving worker-1

app      0.0s                                          2.4s
  app-1  ██████████████████████████████████████████████████
  app-2  ······░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░▓▓▓▓▓··
         ░ starting  █ serving  ▓ stopping
start 0.3s, health 1.8s, stop 0.2s, total 2.4s

Interrupted; app-1 serves as before.
hint: docker zdd up
";

const INTERLEAVED: &str = r"  0.0s  pulling app and worker
  0.9s  images ready in 0.9s
  0.9s  warning: compose file has no name
  1.0s  app     roll: image changed
  1.0s  worker  create: nothing runs
  1.0s  app     roll to 1 replica
  1.0s  worker  create 1 replica
  1.4s  worker  worker-1 started
  1.4s  worker  no healthcheck: watching for 40s
  1.5s  app     app-2 started
  1.5s  worker  warning: has no healthcheck
  3.0s  app     app-2 healthy
  3.1s  app     pre_stop hook of app-1 failed: exit code 1; no such file
  3.1s  app     app-1 stopping (grace 10s)
  3.5s  app     app-1 stopped (exit code 0)
  3.5s  app     app-1 removed
  3.5s  app     done in 2.5s, serving app-2
 11.4s  worker  worker-1 ready
 11.4s  worker  done in 10.4s, serving worker-1

app         1.0s                                      11.5s
  app-1     █████████▓▓▓···································
  app-2     ··░░░░░░░██████████████████████████████████████
worker      1.0s                                      11.5s
  worker-1  ·░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░
            ░ starting  █ serving  ▓ stopping
pull 0.9s, start 0.5s, health 10.0s, stop 0.4s, total 11.5s

Rolled app and created worker.
";
