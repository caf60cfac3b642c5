//! The command: flags, files, signals and exit codes.

mod common;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::{Do, Server};
use serde_json::Value;

fn command(url: &str, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zdd-load"));
    command.arg(url).args(flags);
    command
}

fn run(url: &str, flags: &[&str]) -> Output {
    command(url, flags).output().unwrap()
}

fn start(url: &str, flags: &[&str]) -> Child {
    command(url, flags).stdout(Stdio::piped()).spawn().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A path that does not exist yet.
fn path(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_file(&path);
    path
}

fn wait_for(path: &Path) {
    let begun = Instant::now();
    while !path.exists() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{path:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn another_machine_is_refused_with_a_sentence() {
    let output = run("http://192.0.2.1/", &[]);
    assert_eq!(output.status.code(), Some(2));
    let sentence = String::from_utf8(output.stderr).unwrap();
    assert!(sentence.starts_with("refused: "), "{sentence}");
    assert_eq!(sentence.lines().count(), 1);
}

#[test]
fn the_exit_code_says_whether_too_many_failed() {
    let script = |number| [Do::Answer("1"), Do::Eof][number % 2];
    let code = |requests: &str, flags: &[&str]| {
        let server = Server::start(script);
        let flags = [&["--requests", requests], flags].concat();
        run(&server.url, &flags).status.code()
    };
    assert_eq!(code("10", &[]), Some(0));
    assert_eq!(code("10", &["--max-failed", "5"]), Some(0));
    assert_eq!(code("10", &["--max-failed", "4"]), Some(1));
    assert_eq!(code("0", &["--max-failed", "0"]), Some(1));
}

#[test]
fn a_script_can_wait_for_it_and_stop_it() {
    let server = Server::start(|_| Do::Answer("1"));
    let (ready, until) = (path("script-ready"), path("script-until"));
    let (ready_text, until_text) = (ready.to_str().unwrap(), until.to_str().unwrap());
    let files = ["--ready-file", ready_text, "--until-file", until_text];
    let child = start(&server.url, &[&files[..], &["--rate", "400"]].concat());
    wait_for(&ready);
    assert!(server.requests() >= 50);
    File::create(&until).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output).contains(", 0 failed"), "{output:?}");
}

#[test]
fn a_signal_ends_it_with_a_report() {
    for signal in ["-TERM", "-INT"] {
        let server = Server::start(|_| Do::Answer("1"));
        let ready = path(&format!("signal-ready{signal}"));
        let child = start(&server.url, &["--ready-file", ready.to_str().unwrap()]);
        wait_for(&ready);
        let pid = child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        let counted = format!("{} requests in ", server.requests());
        assert!(text(&output).starts_with(&counted), "{output:?}");
    }
}

#[test]
fn json_has_the_counts_and_the_failures() {
    let script = |number| [Do::Answer("1"), Do::Status(503)][number % 2];
    let server = Server::start(script);
    let post = ["--method", "post", "--body-bytes", "10"];
    let flags = ["--requests", "10", "--json", "--new-connections"];
    let output = run(&server.url, &[&post[..], &flags].concat());
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&json["requests"], &json["failed"]), (&10.into(), &5.into()));
    assert_eq!(json["end"], "max_requests");
    assert_eq!(json["versions"][0]["answers"]["1"], 10);
    assert_eq!(json["failures"][0]["error"], "status 503");
    assert_eq!(json["failures"][0]["replica"], "got-10");
    assert_eq!(json["phases"][0]["requests"], 10);
    assert_eq!(server.connections(), 10);
}
