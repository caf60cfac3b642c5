//! Pace, phases, waiting, bounds, and what a report says of two versions.

mod common;

use std::time::Duration;

use common::{Do, Server};
use zdd_load::{End, Load, Stream, echo_session, stream};

const LONG: Duration = Duration::from_secs(20);

#[test]
fn a_rate_is_kept() {
    let server = Server::start(|_| Do::Answer("1"));
    let running = Load { rate: Some(200.0), max_requests: 100, ..Load::new(&server.url) }.start();
    // More than there will be: returns when the load has ended by itself.
    assert!(!running.wait_completed(usize::MAX, LONG));
    let report = running.stop();
    let last = report.samples().last().unwrap().at;
    assert!(last >= Duration::from_millis(495), "{last:?}");
    assert_eq!((report.requests(), report.end()), (100, End::MaxRequests));
}

#[test]
fn requests_sent_late_are_counted() {
    let server = Server::start(|_| Do::Slow(30));
    let running = Load { workers: 1, rate: Some(100.0), max_requests: 10, ..Load::new(&server.url) }.start();
    assert!(running.wait_completed(10, LONG));
    let report = running.stop();
    // The second is due 20 ms too early, the third 40 ms, and so on.
    assert!(report.delayed() >= 9, "{report}");
}

#[test]
fn the_time_is_bounded() {
    let server = Server::start(|_| Do::Answer("1"));
    let running =
        Load { rate: Some(100.0), max_time: Duration::from_millis(200), ..Load::new(&server.url) }.start();
    assert!(!running.wait_completed(usize::MAX, LONG));
    assert!(!running.is_running());
    let report = running.stop();
    assert_eq!(report.end(), End::MaxTime);
    assert_eq!(report.requests(), server.requests());
}

#[test]
fn marks_separate_the_requests_by_their_start() {
    let server = Server::start(|_| Do::Answer("1"));
    let running = Load { rate: Some(500.0), ..Load::new(&server.url) }.start();
    assert!(running.wait_completed(20, LONG));
    running.mark("update");
    let before = running.completed();
    assert!(running.wait_completed(before + 20, LONG));
    let report = running.stop();
    assert_eq!(report.phases(), ["start", "update"]);
    let (_, marked) = report.marks()[1];
    assert!(report.samples_in("start").all(|it| it.at <= marked));
    assert!(report.samples_in("update").all(|it| it.at >= marked));
    assert!(report.samples_in("start").count() >= 20);
    assert!(report.samples_in("update").count() >= 12);
}

#[test]
fn versions_are_followed_over_time() {
    let script = |number| match number {
        0..100 => Do::Answer("1"),
        100..150 if number % 2 == 0 => Do::Answer("1"),
        _ => Do::Answer("2"),
    };
    let server = Server::start(script);
    let running = Load { rate: Some(250.0), ..Load::new(&server.url) }.start();
    assert!(running.wait_version("1", LONG));
    assert!(running.wait_version("2", LONG));
    assert!(running.wait_completed(400, LONG));
    // The past does not count: this version is gone.
    assert!(!running.wait_version("1", Duration::from_millis(100)));
    let report = running.stop();
    assert_eq!(report.versions_seen(), ["1", "2"]);
    assert!(report.never_back("1", "2") && report.monotone("2"), "{report}");
    assert!(!report.never_back("2", "1") && !report.monotone("1"));
    assert!(report.overlap("1", "2") > Some(Duration::ZERO), "{report}");
    let runs = report.versions();
    assert_eq!(runs.first().unwrap().answers.keys().collect::<Vec<_>>(), ["1"]);
    assert_eq!(runs.last().unwrap().answers.keys().collect::<Vec<_>>(), ["2"]);
    let counted: usize = runs.iter().flat_map(|run| run.answers.values()).sum();
    assert_eq!(counted, report.requests());
}

#[test]
fn a_going_back_is_seen() {
    let script = |number| match number {
        0..300 => Do::Answer("2"),
        300 => Do::Answer("1"),
        _ => Do::Answer("2"),
    };
    let server = Server::start(script);
    let running = Load { rate: Some(250.0), max_requests: 350, ..Load::new(&server.url) }.start();
    assert!(running.wait_completed(350, LONG));
    assert!(!running.stop().monotone("2"));
}

#[test]
fn a_dropped_load_ends() {
    let server = Server::start(|_| Do::Answer("1"));
    drop(Load::new(&server.url).start());
    // A load that still ran would not leave the server alone for long.
    let mut seen = usize::MAX;
    let begun = std::time::Instant::now();
    while seen != server.requests() {
        seen = server.requests();
        std::thread::sleep(Duration::from_millis(50));
        assert!(begun.elapsed() < LONG);
    }
}

#[test]
#[should_panic(expected = "refused: this load client only sends to the machine it runs on")]
fn another_machine_is_refused() {
    Load::new("http://192.0.2.1/").start();
}

#[test]
fn every_way_to_send_refuses_another_machine() {
    let url = "http://192.0.2.1/";
    assert!(Load::new(url).try_start().is_err());
    assert!(stream(url).is_err());
    assert!(echo_session(url, LONG).is_err());
}

#[test]
fn numbers_that_make_no_load_are_refused() {
    for rate in [0.0, -1.0, 0.001, f64::NAN, f64::INFINITY] {
        let load = Load { rate: Some(rate), ..Load::new("http://127.0.0.1/") };
        assert!(load.try_start().is_err(), "{rate}");
    }
    let nobody = Load { workers: 0, ..Load::new("http://127.0.0.1/") };
    assert!(nobody.try_start().is_err());
}

#[test]
fn a_stream_is_complete_with_its_last_chunk_only() {
    let server = Server::start(|number| [Do::Answer("1"), Do::Cut, Do::Status(500)][number]);
    let whole = stream(&server.url).unwrap();
    assert_eq!((whole.bytes, whole.complete, whole.error), (8, true, None));
    assert_eq!(whole.replica.as_deref(), Some("got-0"));
    let cut = Stream::open(&server.url).unwrap().finish().unwrap();
    assert_eq!((cut.bytes, cut.complete), (4, false));
    assert!(cut.error.is_some());
    assert!(stream(&server.url).is_err());
}

#[test]
fn an_echo_needs_an_upgrade() {
    let server = Server::start(|_| Do::Answer("1"));
    let error = echo_session(&server.url, LONG).unwrap_err().to_string();
    assert_eq!(error, "no upgrade: the answer has status 200 OK");
}
