//! How the server ends: by a signal, in each mode, or by itself.

mod common;

use std::time::Duration;

use common::{Served, command, handles};
use rustix::process::Signal;
use zdd_load::{Echo, EchoEnd, EchoResult, Stream, StreamResult};

/// Longer than any of these tests.
const LONG: Duration = Duration::from_secs(60);

/// Returns when the first chunk has arrived: the request is in flight.
async fn open_stream(served: &Served, ms: u64) -> Stream {
    let url = served.url(&format!("/stream?ms={ms}"));
    let opened = tokio::task::spawn_blocking(move || Stream::open(&url));
    opened.await.unwrap().unwrap()
}

async fn finish_stream(stream: Stream) -> StreamResult {
    let finished = tokio::task::spawn_blocking(move || stream.finish());
    finished.await.unwrap().unwrap()
}

async fn open_echo(served: &Served, max: Duration) -> Echo {
    let url = served.url("/ws");
    let opened = tokio::task::spawn_blocking(move || Echo::open(&url, max));
    opened.await.unwrap().unwrap()
}

async fn finish_echo(echo: Echo) -> EchoResult {
    let finished = tokio::task::spawn_blocking(move || echo.finish());
    finished.await.unwrap().unwrap()
}

#[tokio::test]
async fn finish_ends_after_the_stream_in_flight() {
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT")] {
        let mut served = Served::start(&[]).await;
        let mut idle = served.client().await;
        idle.get("/").await;
        let stream = open_stream(&served, 1000).await;
        served.signal(signal);
        let line = served.wait_line("got ").await;
        assert_eq!(line, format!("got {name}, finishing 1 requests"));
        idle.closed().await;
        assert!(served.refuses_connections().await);
        let result = finish_stream(stream).await;
        assert!(result.complete, "{result:?}");
        served.wait_line("bye").await;
        assert_eq!(served.exit_code().await, Some(0));
    }
}

#[tokio::test]
async fn a_server_that_refuses_finishes_what_it_has_and_listens_again() {
    let file = std::env::temp_dir().join(format!("zdd-app-refuse-{}", std::process::id()));
    let env = [("APP_DRAIN_REFUSE", "1"), ("APP_DRAIN_FILE", file.to_str().unwrap())];
    let mut served = Served::start(&env).await;
    let mut kept = served.client().await;
    let stream = open_stream(&served, 500).await;
    std::fs::write(&file, "").unwrap();
    served.wait_line("refusing connections").await;
    assert!(served.refuses_connections().await);
    assert_eq!(kept.get("/").await.status, 200);
    let result = finish_stream(stream).await;
    assert!(result.complete, "{result:?}");
    std::fs::remove_file(&file).unwrap();
    served.wait_line("listening again").await;
    served.client().await.get("/").await;
    served.signal(Signal::TERM);
}

#[tokio::test]
async fn finish_tells_kept_connections_to_close() {
    let mut served = Served::start(&[]).await;
    let mut client = served.client().await;
    let in_flight = tokio::spawn(async move { client.get("/work?ms=1000").await });
    // Requests are served in the order in which they arrive, and this one comes on a later connection.
    served.get("/").await;
    served.signal(Signal::TERM);
    served.wait_line("got SIGTERM, finishing 1 requests").await;
    let answer = in_flight.await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert_eq!(served.exit_code().await, Some(0));
}

#[tokio::test]
async fn finish_without_requests_ends_at_once() {
    let mut served = Served::start(&[]).await;
    let _never_used = served.client().await;
    served.signal(Signal::TERM);
    served.wait_line("got SIGTERM, finishing 0 requests").await;
    assert_eq!(served.exit_code().await, Some(0));
}

#[tokio::test]
async fn exit_cuts_what_is_in_flight() {
    let mut served = Served::start(&[("APP_ON_TERM", "exit")]).await;
    let stream = open_stream(&served, 60_000).await;
    served.signal(Signal::TERM);
    served.wait_line("got SIGTERM, exiting at once").await;
    assert_eq!(served.exit_code().await, Some(0));
    assert!(!finish_stream(stream).await.complete);
}

#[tokio::test]
async fn ignore_goes_on_until_it_is_killed() {
    let mut served = Served::start(&[("APP_ON_TERM", "ignore")]).await;
    let stream = open_stream(&served, 400).await;
    served.signal(Signal::TERM);
    served.wait_line("got SIGTERM, ignoring it").await;
    served.signal(Signal::INT);
    served.wait_line("got SIGINT, ignoring it").await;
    assert!(finish_stream(stream).await.complete);
    assert_eq!(served.get("/").await.status, 200);
    served.signal(Signal::KILL);
    assert_eq!(served.exit_code().await, None);
}

#[tokio::test]
async fn an_upgraded_connection_holds_the_end_up_until_its_client_closes() {
    let mut served = Served::start(&[]).await;
    let echo = open_echo(&served, Duration::from_millis(700)).await;
    served.signal(Signal::TERM);
    served.wait_line("got SIGTERM, finishing 1 requests").await;
    let result = finish_echo(echo).await;
    assert_eq!(result.end, EchoEnd::Outlived);
    assert!(result.echoed >= 3, "{result:?}");
    served.wait_line("bye").await;
    assert_eq!(served.exit_code().await, Some(0));
}

#[tokio::test]
async fn an_upgraded_connection_ends_with_the_process() {
    let served = Served::start(&[]).await;
    let echo = open_echo(&served, LONG).await;
    served.signal(Signal::TERM);
    served.signal(Signal::KILL);
    assert_eq!(served.exit_code().await, None);
    let result = finish_echo(echo).await;
    assert_ne!(result.end, EchoEnd::Outlived);
    assert!(result.lived < LONG, "{result:?}");
}

#[tokio::test]
async fn a_signal_ends_it_while_it_boots() {
    let mut served = Served::spawn(&[("APP_BOOT_MS", "60000")]);
    handles(served.pid(), Signal::USR1).await;
    served.signal(Signal::TERM);
    served.wait_line("got SIGTERM, finishing 0 requests").await;
    assert_eq!(served.exit_code().await, Some(0));
}

#[tokio::test]
async fn it_exits_by_itself_before_it_listens() {
    let env = [("APP_EXIT_AFTER_MS", "0"), ("APP_EXIT_CODE", "3")];
    let output = command(&env, &[]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(output.stdout, b"");
    assert_eq!(output.stderr, b"fatal: cannot reach database\ngiving up\n");
}

#[tokio::test]
async fn it_exits_by_itself_while_it_serves() {
    for on_term in ["finish", "ignore"] {
        let env = [("APP_EXIT_AFTER_MS", "1500"), ("APP_ON_TERM", on_term)];
        let served = Served::start(&env).await;
        let stream = open_stream(&served, 60_000).await;
        served.signal(Signal::TERM);
        assert_eq!(served.exit_code().await, Some(1), "{on_term}");
        assert!(!finish_stream(stream).await.complete);
    }
}

#[tokio::test]
async fn bad_values_are_refused_with_a_sentence() {
    let output = command(&[("APP_ON_TERM", "die")], &[]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    let sentence = "APP_ON_TERM is \"die\": want finish, exit or ignore\n";
    assert_eq!(String::from_utf8(output.stderr).unwrap(), sentence);
}

#[tokio::test]
async fn a_port_in_use_is_a_failure() {
    let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = command(&[("APP_PORT", &port)], &[]).output().await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let sentence = String::from_utf8(output.stderr).unwrap();
    assert!(sentence.starts_with("cannot serve: "), "{sentence}");
}
