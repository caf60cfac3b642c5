//! `zdd-app`: the application that the end-to-end tests deploy.
//!
//! Without a subcommand it serves HTTP as the environment says (see [`config`]). It runs as PID 1 of an
//! image that holds nothing else, so the subcommands stand in for the shell and the tools that are not there.
//!
//! As PID 1 it gets no default action for a signal: each one that matters has a handler, installed before
//! anything that takes time. It starts no process, so there are no children to reap.

mod answer;
mod app;
mod config;
mod gauge;
mod probe;
mod server;
mod stub;
mod tools;
mod visit;

use std::process::ExitCode;

use clap::Parser;
use config::Config;
use tools::Tool;

#[derive(Parser)]
#[command(about = "A small HTTP server for tests; APP_* in the environment says how it behaves")]
struct Cli {
    #[command(subcommand)]
    tool: Option<Tool>,
}

/// One thread is enough for a test server, and keeps the order of events easy to reason about.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match Cli::parse().tool {
        Some(tool) => tools::run(tool).await,
        None => serve().await,
    }
}

async fn serve() -> ExitCode {
    match Config::from_environment() {
        Ok(config) => server::serve(config).await,
        Err(problem) => tools::refuse(&problem),
    }
}
