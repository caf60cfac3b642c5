//! Each request is tried once and counted once, whatever the server does to it.

mod common;

use std::net::TcpListener;
use std::time::Duration;

use common::{Do, Server};
use zdd_load::{End, FailureKind, Load, Method, Outcome, Report, Sample};

const LONG: Duration = Duration::from_secs(20);

fn load(server: &Server, max_requests: usize) -> Load {
    Load { max_requests, ..Load::new(&server.url) }
}

/// Runs a load to its own end.
fn complete(load: Load) -> Report {
    let wanted = load.max_requests;
    let running = load.start();
    assert!(running.wait_completed(wanted, LONG));
    running.stop()
}

fn kind(sample: &Sample) -> Option<FailureKind> {
    match &sample.outcome {
        Outcome::Ok { .. } => None,
        Outcome::Failed { kind, .. } => Some(*kind),
    }
}

/// The one failure of a single request.
fn only_failure(report: &Report) -> (FailureKind, String) {
    assert_eq!((report.requests(), report.failed().len()), (1, 1));
    let sample = report.failed()[0];
    (kind(sample).unwrap(), sample.verdict())
}

#[test]
fn keep_alive_uses_a_connection_per_worker() {
    let server = Server::start(|_| Do::Answer("1"));
    let report = complete(load(&server, 500));
    assert_eq!(report.failed().len(), 0, "{report}");
    assert_eq!((server.requests(), server.connections()), (500, 8));
}

#[test]
fn new_connections_are_one_per_request() {
    let server = Server::start(|_| Do::Answer("1"));
    let report = complete(Load { keep_alive: false, ..load(&server, 200) });
    assert_eq!(report.failed().len(), 0, "{report}");
    assert_eq!((server.requests(), server.connections()), (200, 200));
}

#[test]
fn every_request_that_the_server_saw_is_counted_once() {
    let script = |number| match number % 10 {
        1 => Do::Eof,
        3 => Do::Reset,
        5 => Do::Status(503),
        7 => Do::Cut,
        _ => Do::Answer("1"),
    };
    let server = Server::start(script);
    let report = complete(load(&server, 1000));
    assert_eq!(server.requests(), 1000);
    assert_eq!(report.requests(), 1000);
    assert_eq!(report.failed().len(), 400, "{}", report.table());
    let count = |wanted| report.samples().iter().filter(|it| kind(it) == wanted).count();
    assert_eq!(count(Some(FailureKind::Eof)), 200);
    assert_eq!(count(Some(FailureKind::Reset)), 100);
    assert_eq!(count(None), 700);
}

#[test]
fn a_stop_counts_what_is_in_flight() {
    let server = Server::start(|number| Do::Slow(number as u64 % 7));
    let running = load(&server, usize::MAX).start();
    assert!(running.wait_completed(300, LONG));
    let report = running.stop();
    assert_eq!(report.requests(), server.requests());
    assert_eq!(report.failed().len(), 0, "{report}");
    assert_eq!(report.end(), End::Stopped);
}

#[test]
fn an_idle_connection_that_was_closed_is_no_failure() {
    let server = Server::start(|_| Do::CloseIdle);
    let report = complete(Load { workers: 1, rate: Some(2.0), ..load(&server, 3) });
    assert_eq!(report.failed().len(), 0, "{report}");
    assert_eq!((server.requests(), server.connections()), (3, 3));
}

#[test]
fn a_closed_connection_is_a_failure_and_the_next_request_gets_a_new_one() {
    let script = |number| if number == 1 { Do::Eof } else { Do::Answer("1") };
    let server = Server::start(script);
    let report = complete(Load { workers: 1, ..load(&server, 3) });
    let kinds: Vec<_> = report.samples().iter().map(kind).collect();
    assert_eq!(kinds, [None, Some(FailureKind::Eof), None]);
    assert_eq!((server.requests(), server.connections()), (3, 2));
}

#[test]
fn a_reset_is_a_failure() {
    let server = Server::start(|_| Do::Reset);
    let (kind, text) = only_failure(&complete(load(&server, 1)));
    assert_eq!(kind, FailureKind::Reset);
    assert!(text.contains("reset"), "{text}");
    assert_eq!(server.requests(), 1);
}

#[test]
fn a_body_that_is_cut_is_a_failure_of_a_known_replica() {
    let server = Server::start(|_| Do::Cut);
    let report = complete(load(&server, 1));
    assert_eq!(only_failure(&report).0, FailureKind::Eof);
    assert_eq!(report.failed()[0].replica(), Some("cutter"));
}

#[test]
fn a_hanging_server_is_a_timeout_and_is_asked_once() {
    let server = Server::start(|_| Do::Hang);
    let timeout = Duration::from_millis(100);
    let report = complete(Load { timeout, ..load(&server, 1) });
    let (kind, text) = only_failure(&report);
    assert_eq!(kind, FailureKind::Timeout);
    assert_eq!(text, "timeout: waiting for the answer after 100ms");
    assert!(report.slowest().unwrap().latency >= timeout);
    assert_eq!(server.requests(), 1);
}

#[test]
fn a_refused_connection_is_a_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let report = complete(Load { max_requests: 1, ..Load::new(url) });
    assert_eq!(only_failure(&report).0, FailureKind::Connect);
}

#[test]
fn a_connection_closed_at_once_is_a_failure_and_not_retried() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    listener.set_nonblocking(true).unwrap();
    let running = Load { max_requests: 20, ..Load::new(url) }.start();
    let mut accepted = 0;
    while running.is_running() {
        accepted += usize::from(listener.accept().is_ok());
    }
    accepted += listener.incoming().map_while(Result::ok).count();
    let report = running.stop();
    assert_eq!((report.requests(), report.failed().len()), (20, 20));
    assert_eq!(accepted, 20);
}

#[test]
fn a_5xx_is_an_answer_and_a_failure_and_keeps_its_connection() {
    let server = Server::start(|_| Do::Status(503));
    let report = complete(Load { workers: 1, ..load(&server, 3) });
    assert_eq!(report.failed().len(), 3);
    assert_eq!(report.failed()[0].verdict(), "status 503");
    assert_eq!(server.connections(), 1);
}

#[test]
fn redirects_are_answers_and_4xx_are_failures() {
    let script = |number| Do::Status([200, 304, 399, 400][number]);
    let server = Server::start(script);
    let report = complete(Load { workers: 1, ..load(&server, 4) });
    let failed: Vec<_> = report.samples().iter().map(Sample::is_failed).collect();
    assert_eq!(failed, [false, false, false, true]);
}

#[test]
fn a_post_carries_its_body() {
    let server = Server::start(|_| Do::Answer("1"));
    let report = complete(Load { method: Method::Post { body_bytes: 70_000 }, ..load(&server, 20) });
    assert_eq!(report.failed().len(), 0, "{report}");
    let whole = |it: &Sample| it.replica() == Some("got-70000");
    assert!(report.samples().iter().all(whole));
}
