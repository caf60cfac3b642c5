//! The subcommands that hooks run.

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{command, handles, tool};
use rustix::process::{Pid, Signal, kill_process};

#[tokio::test]
async fn notes_are_appended() {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("notes");
    let _ = std::fs::remove_dir_all(&directory);
    let file = directory.join("hooks");
    let file = file.to_str().unwrap();
    let env = [("COLOUR", "blue"), ("EMPTY", "")];
    let names = ["--env", "COLOUR", "--env", "EMPTY", "--env", "NOT_SET_HERE"];
    assert_eq!(tool(&env, &[&["note", file, "one"], &names[..]].concat()).await.0, 0);
    assert_eq!(tool(&env, &["note", file, "two"]).await.0, 0);
    let text = std::fs::read_to_string(file).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("one "), "{text}");
    assert!(lines[0].contains(" COLOUR=blue EMPTY= NOT_SET_HERE is unset cwd=/"));
    assert!(lines[1].starts_with("two ") && lines[1].contains(" uid="));
}

#[tokio::test]
async fn exit_and_sleep_do_as_asked() {
    assert_eq!(tool(&[], &["exit", "7"]).await.0, 7);
    let begun = Instant::now();
    assert_eq!(tool(&[], &["sleep", "100"]).await.0, 0);
    assert!(begun.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn a_signal_ends_a_sleep_at_once() {
    let mut child = command(&[], &["sleep", "60000"]).spawn().unwrap();
    let pid = Pid::from_raw(child.id().unwrap() as i32).unwrap();
    handles(pid, Signal::INT).await;
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(143));
}

#[tokio::test]
async fn what_the_caller_got_wrong_has_code_2() {
    assert_eq!(tool(&[], &["drain"]).await.0, 2);
    assert_eq!(tool(&[("APP_DRAIN_FILE", "")], &["undrain"]).await.0, 2);
    assert_eq!(tool(&[("APP_PORT", "x")], &["health"]).await.0, 2);
    assert_eq!(tool(&[], &["signal", "NOSUCH"]).await.0, 2);
    assert_eq!(tool(&[], &["nosuch"]).await.0, 2);
}

#[tokio::test]
async fn what_does_not_work_has_code_1() {
    assert_eq!(tool(&[], &["note", "/proc/no/such/file", "x"]).await.0, 1);
    let env = [("APP_DRAIN_FILE", "/proc/no/such/file")];
    assert_eq!(tool(&env, &["drain"]).await.0, 1);
}
