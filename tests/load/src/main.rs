//! `zdd-load`: the load client on the command line.

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};
use zdd_load::{Echo, EchoResult, Load, Method, Report, Running};

/// How often it looks at the signals and files: often enough for a script, too rare to disturb the load.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// After so many good answers, the load is taken to be under way.
const READY_AFTER: usize = 50;

/// Put a load on a URL of this machine; each request is tried once and counted once
///
/// Ends on SIGINT or SIGTERM, when --until-file appears, or at one of the bounds; then reports.
/// Exit code: 0, 1 with more failures than --max-failed allows, 2 when it could not begin.
#[derive(Parser)]
struct Cli {
    /// Plain http, on 127.0.0.0/8, localhost or [::1]
    url: String,
    /// Virtual users, each with one connection and one request at a time
    #[arg(long, default_value_t = 8)]
    workers: usize,
    /// Requests per second of all workers together [default: as fast as they are answered]
    #[arg(long)]
    rate: Option<f64>,
    #[arg(long, value_enum, default_value_t = Verb::Get)]
    method: Verb,
    /// Size of the body of each POST
    #[arg(long, default_value_t = 0)]
    body_bytes: usize,
    /// Open a connection for each request instead of keeping it
    #[arg(long)]
    new_connections: bool,
    /// End after this time
    #[arg(long, default_value = "120", value_parser = seconds)]
    seconds: Duration,
    /// End after this many requests
    #[arg(long, default_value_t = 1_000_000)]
    requests: usize,
    /// Seconds that a request may take
    #[arg(long, default_value = "10", value_parser = seconds)]
    timeout: Duration,
    /// Upgrade one connection to an echo instead and hold it until the other side ends it, at most --seconds
    #[arg(long)]
    hold: bool,
    /// End when this file exists
    #[arg(long, value_name = "PATH")]
    until_file: Option<PathBuf>,
    /// Create this file after the first 50 good answers
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,
    /// Report as JSON
    #[arg(long)]
    json: bool,
    /// Exit with 1 if more requests than this failed, or if none was sent [default: any number may fail]
    #[arg(long, value_name = "N")]
    max_failed: Option<usize>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Verb {
    Get,
    Post,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}

/// False if more requests failed than may, or if there were none: then nothing has been shown.
fn run(cli: &Cli) -> Result<bool> {
    if cli.hold {
        return hold(cli).map(|()| true);
    }
    let asked_to_stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, asked_to_stop.clone())?;
    }
    let running = cli.load().try_start()?;
    watch(cli, &running, &asked_to_stop)?;
    let report = running.stop();
    print(cli, &report)?;
    let fits = |allowed| report.requests() > 0 && report.failed().len() <= allowed;
    Ok(cli.max_failed.is_none_or(fits))
}

/// What became of a held connection, for machines.
#[derive(Serialize)]
struct Held {
    lived_seconds: f64,
    echoed: usize,
    end: String,
}

impl From<EchoResult> for Held {
    fn from(result: EchoResult) -> Self {
        Self { lived_seconds: result.lived.as_secs_f64(), echoed: result.echoed, end: result.end.to_string() }
    }
}

fn hold(cli: &Cli) -> Result<()> {
    let echo = Echo::open(&cli.url, cli.seconds)?;
    if let Some(path) = &cli.ready_file {
        File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    }
    let held = Held::from(echo.finish()?);
    match cli.json {
        true => println!("{}", serde_json::to_string_pretty(&held)?),
        false => println!("{:.1} s, {} bytes came back, {}", held.lived_seconds, held.echoed, held.end),
    }
    Ok(())
}

impl Cli {
    fn load(&self) -> Load {
        Load {
            workers: self.workers,
            rate: self.rate,
            method: match self.method {
                Verb::Get => Method::Get,
                Verb::Post => Method::Post { body_bytes: self.body_bytes },
            },
            keep_alive: !self.new_connections,
            timeout: self.timeout,
            max_requests: self.requests,
            max_time: self.seconds,
            ..Load::new(&self.url)
        }
    }
}

/// Returns when it is time to stop.
fn watch(cli: &Cli, running: &Running, asked_to_stop: &AtomicBool) -> Result<()> {
    let mut ready_file = cli.ready_file.as_ref();
    let appeared = || cli.until_file.as_ref().is_some_and(|path| path.exists());
    while running.is_running() && !asked_to_stop.load(Ordering::Relaxed) && !appeared() {
        if let Some(path) = ready_file.filter(|_| running.succeeded() >= READY_AFTER) {
            File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
            ready_file = None;
        }
        sleep(LOOK_EVERY);
    }
    Ok(())
}

fn print(cli: &Cli, report: &Report) -> Result<()> {
    match cli.json {
        true => println!("{}", serde_json::to_string_pretty(&report.summary())?),
        false => print!("{report}"),
    }
    Ok(())
}

fn seconds(text: &str) -> Result<Duration> {
    let number: f64 = text.parse().context("want a number of seconds")?;
    Duration::try_from_secs_f64(number).context("want a number of seconds")
}
