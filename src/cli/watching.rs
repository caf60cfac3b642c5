//! The flags by which a rollout is watched and reported; every command that rolls takes them.

use std::time::Duration;

use clap::{Args, ValueHint};

use crate::{
    project::{
        ProbeLayer,
        probe::{self, Expect, Url},
    },
    text::duration,
};

#[derive(Args, Clone, Debug, Default)]
pub struct Watching {
    #[command(flatten)]
    pub probe: ProbeArgs,
    /// Write a page about the rollout to FILE, to be opened in a browser
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub report: Option<String>,
}

#[derive(Args, Clone, Debug, Default)]
pub struct ProbeArgs {
    /// Send no requests, even if the Compose file says so
    #[arg(long)]
    pub no_probe: bool,
    /// Send requests to this address during the rollout and report what fails
    #[arg(long)]
    pub probe: Option<Url>,
    /// How long the new version is probed before the old containers are removed (default: 3s)
    #[arg(long, value_parser = duration::parse)]
    pub probe_after: Option<Duration>,
    /// Which status codes are good, like "200" or "2xx,404" (default: 200-399)
    #[arg(long)]
    pub probe_expect: Option<Expect>,
    /// More failed requests than this end the rollout and roll it back (default: they are only reported)
    #[arg(long)]
    pub probe_max_failures: Option<u32>,
    /// Requests a second (default: 20)
    #[arg(long, value_parser = probe::rate)]
    pub probe_rate: Option<u32>,
    /// Longest time for one answer (default: 2s)
    #[arg(long, value_parser = probe::timeout)]
    pub probe_timeout: Option<Duration>,
}

impl ProbeArgs {
    pub fn layer(&self) -> ProbeLayer {
        ProbeLayer {
            url: self.probe.clone(),
            rate: self.probe_rate,
            expect: self.probe_expect.clone(),
            timeout: self.probe_timeout,
            max_failures: self.probe_max_failures,
            after: self.probe_after,
        }
    }

    /// A flag that means nothing without an address.
    pub fn any(&self) -> bool {
        self.layer() != ProbeLayer::default()
    }
}
