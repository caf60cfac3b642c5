//! What the addresses answer, and how health and draining change that.

mod common;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::{Served, tool};
use rustix::process::Signal;

/// A path in a directory that does not exist yet.
fn unused(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&directory);
    directory.join("deep/file")
}

#[tokio::test]
async fn answers_tell_version_and_replica() {
    let served = Served::start(&[("APP_VERSION", "7")]).await;
    for path in ["/", "/work?ms=1", "/health", "/stream?ms=1", "/ws", "/none"] {
        let answer = served.get(path).await;
        assert_eq!(answer.header("x-version"), Some("7"), "{path}");
        assert!(answer.header("x-replica").is_some(), "{path}");
    }
    let answer = served.get("/").await;
    let replica = answer.header("x-replica").unwrap();
    assert_eq!(answer.body, format!("version=7 replica={replica}\n"));
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_connection_is_kept_and_a_post_is_read_to_its_end() {
    let served = Served::start(&[]).await;
    let mut client = served.client().await;
    let body = "x".repeat(300_000);
    for path in ["/", "/work?ms=1"] {
        let answer = client.send("POST", path, &body).await.unwrap();
        assert_eq!(answer.header("x-body-length"), Some("300000"));
        assert_eq!(client.get(path).await.header("x-body-length"), None);
    }
    assert_eq!(client.send("PUT", "/", "").await.unwrap().status, 405);
}

#[tokio::test]
async fn wrong_addresses_have_a_status_of_their_own() {
    let served = Served::start(&[]).await;
    assert_eq!(served.get("/none").await.status, 404);
    assert_eq!(served.get("/work").await.status, 400);
    assert_eq!(served.get("/work?ms=x").await.status, 400);
    assert_eq!(served.get("/stream").await.status, 400);
    assert_eq!(served.get("/ws").await.status, 426);
}

#[tokio::test]
async fn work_takes_its_time() {
    let served = Served::start(&[("APP_WORK_MS", "80")]).await;
    for (path, least) in [("/", 80), ("/work?ms=120", 120)] {
        let begun = Instant::now();
        assert_eq!(served.get(path).await.status, 200);
        assert!(begun.elapsed() >= Duration::from_millis(least), "{path}");
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_last_chunk() {
    let served = Served::start(&[]).await;
    let url = served.url("/stream?a=b&ms=250");
    let result = tokio::task::spawn_blocking(move || zdd_load::stream(&url));
    let result = result.await.unwrap().unwrap();
    assert!(result.complete);
    assert_eq!(result.bytes, 3 * "chunk\n".len() + "end\n".len());
    assert!(result.took >= Duration::from_millis(250));
}

#[tokio::test]
async fn every_nth_request_for_the_root_fails() {
    let served = Served::start(&[("APP_FAIL_EVERY", "3")]).await;
    let mut client = served.client().await;
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(client.get("/").await.status);
        assert_eq!(client.get("/work?ms=0").await.status, 200);
    }
    assert_eq!(statuses, [200, 200, 500, 200, 200, 500]);
}

#[tokio::test]
async fn health_follows_its_mode() {
    let never = Served::start(&[("APP_HEALTH", "never")]).await;
    assert_eq!(never.get("/health").await.status, 503);
    let after = Served::start(&[("APP_HEALTH", "after:800")]).await;
    assert_eq!(after.get("/health").await.body, "unhealthy until 800ms\n");
    assert_eq!(after.wait_health(200).await.body, "ok\n");
    let until = Served::start(&[("APP_HEALTH", "until:1500")]).await;
    assert_eq!(until.get("/health").await.status, 200);
    assert_eq!(until.wait_health(503).await.body, "unhealthy since 1.5s\n");
    assert_eq!(until.get("/").await.status, 200);
}

#[tokio::test]
async fn the_drain_file_drains_while_it_exists() {
    let file = unused("drain-file");
    let env = [("APP_DRAIN_FILE", file.to_str().unwrap())];
    let served = Served::start(&env).await;
    assert_eq!(served.get("/health").await.status, 200);
    assert_eq!(tool(&env, &["drain"]).await.0, 0);
    let answer = served.get("/health").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.body, format!("draining by {}\n", file.display()));
    assert_eq!(served.get("/").await.header("connection"), None);
    assert_eq!(tool(&env, &["undrain"]).await.0, 0);
    assert_eq!(served.get("/health").await.status, 200);
    assert_eq!(tool(&env, &["undrain"]).await.0, 0);
}

#[tokio::test]
async fn a_signal_drains_for_ever_and_can_close_connections() {
    let mut served = Served::start(&[("APP_DRAIN_CLOSE", "1")]).await;
    let mut client = served.client().await;
    assert_eq!(client.get("/").await.header("connection"), None);
    for _ in 0..2 {
        served.signal(Signal::USR1);
        served.wait_line("got SIGUSR1, draining").await;
        assert_eq!(served.get("/health").await.status, 503);
    }
    let answer = client.get("/").await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    client.closed().await;
}

#[tokio::test]
async fn the_probe_tells_what_health_says() {
    let good = Served::start(&[]).await;
    let port = good.port_text();
    assert_eq!(tool(&[("APP_PORT", &port)], &["health"]).await, (0, "ok\n".into()));
    let bad = Served::start(&[("APP_HEALTH", "never")]).await;
    let port = bad.port_text();
    let (code, text) = tool(&[("APP_PORT", &port)], &["health"]).await;
    assert_eq!((code, text.as_str()), (1, "unhealthy forever\n"));
    bad.signal(Signal::KILL);
    bad.exit_code().await;
    let (code, text) = tool(&[("APP_PORT", &port)], &["health"]).await;
    assert_eq!(code, 1);
    assert!(text.contains("refused"), "{text}");
}

#[tokio::test]
async fn a_probe_without_an_answer_fails_after_a_second() {
    // It accepts connections, as its kernel does that for it, and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let (code, text) = tool(&[("APP_PORT", &port)], &["health"]).await;
    assert_eq!((code, text.as_str()), (1, "no answer within 1 s\n"));
}

#[tokio::test]
async fn memory_is_really_taken() {
    let mut served = Served::start(&[("APP_ALLOC_MB", "32")]).await;
    served.wait_line("allocated 32 MiB").await;
    let path = format!("/proc/{}/status", served.pid().as_raw_nonzero());
    let status = std::fs::read_to_string(path).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: u64 = resident.unwrap().trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kilobytes > 32 * 1024, "{kilobytes}");
    assert_eq!(served.get("/").await.status, 200);
}
