//! Requests of the program's own while it updates: when they end a rollout, and what is reported of them.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
    thread,
};

use insta::assert_snapshot;
use rustix::process::Signal;

use crate::{
    files::web,
    output::Output,
    running::Running,
    scenario::{Scenario, old},
};

/// Answers with the status that the test last set; never, when that is 0.
struct Visited {
    port: u16,
    status: Arc<AtomicU16>,
    requests: Arc<AtomicUsize>,
    heads: Arc<std::sync::Mutex<String>>,
}

impl Visited {
    fn new() -> Visited {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let visited = Visited {
            port: listener.local_addr().expect("an address").port(),
            status: Arc::new(AtomicU16::new(200)),
            requests: Arc::default(),
            heads: Arc::default(),
        };
        let (status, requests, heads) =
            (visited.status.clone(), visited.requests.clone(), visited.heads.clone());
        // Ends with the test program.
        thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let mut head = [0; 2048];
                let length = stream.read(&mut head).unwrap_or(0);
                heads.lock().expect("a lock").push_str(&String::from_utf8_lossy(&head[..length]));
                requests.fetch_add(1, Ordering::SeqCst);
                let status = status.load(Ordering::SeqCst);
                if status == 0 {
                    held.push(stream);
                    continue;
                }
                let _ = write!(
                    stream,
                    "HTTP/1.1 {status} X\r\ncontent-length: 3\r\nconnection: close\r\n\r\nok\n"
                );
            }
        });
        visited
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    fn answers(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    fn wait_for_requests(&self, n: usize) {
        while self.requests.load(Ordering::SeqCst) < n {
            thread::sleep(std::time::Duration::from_millis(2));
        }
    }
}

/// An address where nobody listens.
fn nobody() -> String {
    let port =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    format!("http://127.0.0.1:{port}/")
}

fn two() -> Scenario {
    Scenario::new(&web("scale: 2\nrestart: always"))
        .with([old("web-1").policy("always"), old("web-2").policy("always")])
}

fn stderr(output: &Output, visited: &Visited) -> String {
    let text = output.stderr.replace(&visited.port.to_string(), "PORT");
    let text = regex_lite::Regex::new(r"\d+ of \d+ requests")
        .expect("a pattern")
        .replace_all(&text, "N of M requests")
        .into_owned();
    text.lines().filter(|line| line.contains("prob")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn nobody_answers_before_the_rollout() {
    let output = two().run(&["up", "--probe", &nobody().replace("//", "//anna:s3cret@")]);
    assert_eq!(output.changes(), Vec::<&str>::new(), "{output}");
    assert_eq!(output.exit.code(), Some(1), "{output}");
    let end = "does not answer before the rollout (connection refused); nothing was touched\nhint: fix that first, or skip the probe with --no-probe\n";
    assert!(output.stderr.ends_with(end) && !output.stderr.contains("s3cret"), "{output}");
}

#[test]
fn nobody_needs_to_answer_before_a_first_start() {
    let scenario = Scenario::new(&web(""));
    let output =
        scenario.run(&["up", "--probe", &nobody(), "--probe-max-failures", "0", "--probe-after", "0s"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
}

#[test]
fn nothing_is_asked_where_nothing_is_to_be_done() {
    let scenario = Scenario::new(&web("")).with([crate::scenario::new("web-1")]);
    assert_eq!(scenario.run(&["up", "--probe", &nobody()]).exit.code(), Some(0));
    let plan = two().run(&["plan", "--verbose"]);
    assert_eq!(plan.exit.code(), Some(0), "{plan}");
    let dry = two().run(&["up", "--dry-run", "--probe", &nobody()]);
    assert_eq!(dry.exit.code(), Some(0), "{dry}");
}

/// The gate would go on waiting for minutes.
#[test]
fn failures_end_the_wait_of_the_gate() {
    let visited = Visited::new();
    let scenario = two().starts("web", "starting");
    let flags = [
        "up",
        "--wait-timeout",
        "10m",
        "--probe",
        &visited.url(),
        "--probe-max-failures",
        "1",
        "--probe-rate",
        "100",
    ];
    let mut running = scenario.spawn(&flags);
    running.wait_for_stderr("waiting until healthy");
    visited.answers(503);
    let output = running.finish();
    assert_eq!(output.exit.code(), Some(3), "{output}");
    assert_eq!(output.world.least["web"], 2, "{output}");
    assert_snapshot!(stderr(&output, &visited).lines().take(2).collect::<Vec<_>>().join("\n"), @"
    [TIME]  probing http://127.0.0.1:PORT/, 100 requests a second, at most 1 may fail
    [TIME]  probe: status 503 (failure 1)
    ");
    assert!(output.stderr.contains("at most 1 is allowed: status 503 at "), "{output}");
}

/// The old containers are stopped, and not yet removed.
#[test]
fn failures_after_the_last_stop_bring_the_old_ones_back() {
    let visited = Visited::new();
    let flags = [
        "up",
        "--probe",
        &visited.url(),
        "--probe-max-failures",
        "0",
        "--probe-rate",
        "100",
        "--probe-after",
        "10m",
    ];
    let mut running = two().spawn(&flags);
    running.wait_for_stderr("watching the new version");
    visited.answers(500);
    let output = running.finish();
    assert_eq!(output.exit.code(), Some(3), "{output}");
    assert_snapshot!(format!("{}\n{}", output.changes().join("\n"), output.containers()), @"
    docker compose up -d --no-deps --no-recreate --scale web=4 web
    docker stop web-1 web-2
    docker update --restart=no web-1 web-2
    docker update --restart=always web-1
    docker update --restart=always web-2
    docker start web-1 web-2
    docker stop web-3 web-4
    docker rm -v web-3 web-4
    web-1 old healthy, restart always
    web-2 old healthy, restart always
    at least: 2 of web
    ");
}

#[test]
fn pause_leaves_both_generations() {
    let visited = Visited::new();
    let flags = [
        "up",
        "--failure-action",
        "pause",
        "--probe",
        &visited.url(),
        "--probe-max-failures",
        "0",
        "--probe-after",
        "10m",
    ];
    let mut running = two().spawn(&flags);
    running.wait_for_stderr("watching the new version");
    visited.answers(500);
    let output = running.finish();
    assert_eq!(output.exit.code(), Some(3), "{output}");
    assert!(!output.changes().iter().any(|call| call.contains("docker start")), "{output}");
    assert_eq!(output.world.containers.len(), 4, "{output}");
}

/// A recreation was asked for with its downtime.
#[test]
fn a_downtime_that_was_asked_for_is_only_reported() {
    let visited = Visited::new();
    let file = web("x-zdd: {strategy: recreate}");
    let scenario = Scenario::new(&file).with([old("web-1")]).starts("web", "starting, starting, healthy");
    let flags = [
        "up",
        "--probe",
        &visited.url(),
        "--probe-max-failures",
        "0",
        "--probe-after",
        "0s",
        "--probe-rate",
        "100",
    ];
    let mut running = scenario.spawn(&flags);
    running.wait_for_stderr("only reported");
    visited.wait_for_requests(5);
    visited.answers(500);
    let output = running.finish();
    assert_eq!(output.exit.code(), Some(0), "{output}");
}

/// Who is interrupted has no time to look on.
#[test]
fn an_interrupt_ends_the_watching_and_finishes() {
    let visited = Visited::new();
    let mut running = two().spawn(&["up", "--probe", &visited.url(), "--probe-after", "10m"]);
    running.wait_for_stderr("watching the new version");
    running.signal(Signal::TERM);
    let output = running.finish();
    assert_eq!(output.exit.code(), Some(130), "{output}");
    assert_eq!(output.world.containers.len(), 2, "{output}");
}

/// A request may hang for as long as it is allowed to.
fn hangs(visited: &Visited, after: &str) -> Running {
    let probe = ["--probe", &visited.url(), "--probe-timeout", "30s", "--probe-after", after];
    two().spawn(&[&["up"], &probe[..]].concat())
}

#[test]
fn an_interrupt_ends_a_first_request_that_hangs() {
    let visited = Visited::new();
    visited.answers(0);
    let mut running = hangs(&visited, "0s");
    visited.wait_for_requests(1);
    running.signal(Signal::INT);
    let output = running.finish();
    assert!(output.took.as_secs() < 20, "{:?}", output.took);
    assert_eq!((output.exit.code(), output.changes().len()), (Some(130), 0), "{output}");
    assert!(output.stderr.ends_with("interrupted; nothing was touched\n"), "{output}");
}

#[test]
fn a_second_interrupt_waits_for_no_answer() {
    let visited = Visited::new();
    let mut running = hangs(&visited, "10m");
    running.wait_for_stderr("watching the new version");
    visited.answers(0);
    visited.wait_for_requests(visited.requests.load(Ordering::SeqCst) + 2);
    running.signal(Signal::INT).wait_for_stderr("done in");
    running.signal(Signal::INT);
    let output = running.finish();
    assert!(output.took.as_secs() < 20, "{:?}", output.took);
    assert!(output.stderr.contains("interrupted again"), "{output}");
    // What nobody waited for is no failure.
    assert!(output.stderr.contains("requests, none failed"), "{output}");
}

#[test]
fn the_file_says_what_is_asked_and_flags_win() {
    let visited = Visited::new();
    visited.answers(404);
    let url = visited.url().replace("//", "//anna:s3cret@") + "?token=s3cret";
    let file = format!(
        "{}x-zdd: {{probe: {{url: '{url}', expect: 2xx, max_failures: 0, after: 10ms, rate: 200}}}}\n",
        web("scale: 2")
    );
    let scenario = || Scenario::new(&file).with([old("web-1"), old("web-2")]);
    let refused = scenario().run(&["up"]);
    assert_eq!(refused.exit.code(), Some(1), "{refused}");
    assert!(refused.stderr.contains("(status 404)") && !refused.stderr.contains("s3cret"), "{refused}");
    let output = scenario().run(&["up", "--probe-expect", "404"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert!(output.stderr.contains("?…, 200 requests a second, none may fail"), "{output}");
    assert!(!output.stderr.contains("s3cret"), "{output}");
    // Base64 of anna:s3cret: what is not shown is sent nevertheless.
    let heads = visited.heads.lock().expect("a lock").clone();
    assert!(heads.contains("YW5uYTpzM2NyZXQ=") && heads.contains("GET /?token=s3cret "), "{heads}");
    assert_eq!(scenario().run(&["up", "--no-probe"]).exit.code(), Some(0));
}

#[test]
fn what_makes_no_sense_is_refused() {
    let said = |flags: &[&str]| {
        let output = two().run(&[&["up"], flags].concat());
        assert_eq!((output.exit.code(), output.changes().len()), (Some(1), 0), "{output}");
        output.stderr
    };
    let file = |x_zdd: &str| {
        let output = Scenario::new(&format!("{}x-zdd: {x_zdd}\n", web(""))).run(&["up"]);
        assert_eq!((output.exit.code(), output.changes().len()), (Some(1), 0), "{output}");
        output.stderr
    };
    let all = [
        said(&["--probe-rate", "5"]),
        said(&["--probe", "s3cret.example"]),
        said(&["--probe", "http://a/", "--probe-expect", "ok"]),
        said(&["--probe", "http://a/", "--probe-rate", "0"]),
        said(&["--probe", "http://a/", "--probe-timeout", "0s"]),
        said(&["--probe", "http://a/", "--no-probe"]),
        file("{probe: {rate: 5}}"),
        file("{probe: {url: 'http://a/', speed: 5}}"),
        file("{notify: 7}"),
        file("{prob: x}"),
    ];
    let inside = Scenario::new(&web("x-zdd: {notify: ./tell}")).run(&["up"]).stderr;
    assert_snapshot!(all.concat() + &inside, @r#"
    no address to probe; nothing was touched
    hint: set one with --probe, or write x-zdd: {probe: {url: …}} at the top of the file
    invalid argument for "--probe" flag: the address to probe does not begin with http:// or https://; write one like "http://127.0.0.1:8080/"
    See 'docker zdd up --help'
    invalid argument "ok" for "--probe-expect" flag: "ok" is not a status code; write one like "200", "2xx", "200-399" or "2xx,404"
    See 'docker zdd up --help'
    invalid argument "0" for "--probe-rate" flag: "0" is not a rate; write requests a second, from 1 to 1000
    See 'docker zdd up --help'
    invalid argument "0s" for "--probe-timeout" flag: the timeout must be more than 0; write one like "2s"
    See 'docker zdd up --help'
    --probe and --no-probe are incompatible
    compose.yaml:9: x-zdd.probe: has no url; write the address that is to be asked, like "url: http://127.0.0.1:8080/"
    compose.yaml:9: x-zdd.probe.speed: unknown key; known keys are url, rate, expect, timeout, max_failures, after
    compose.yaml:9: x-zdd.notify: must be a command, like "./tell-the-team" or ["/usr/bin/logger", "-t", "deploy"]
    compose.yaml:9: x-zdd.prob: unknown key; did you mean "probe"? known keys are strategy, parallelism, delay, order, failure_action, max_failure_ratio, monitor, wait_timeout, settle, drain, drain_timeout, hold, helper, swarm, probe, notify, engine
    compose.yaml:6: services.web.x-zdd.notify: holds for the whole file; write it in the x-zdd at the top of the file
    "#);
}
