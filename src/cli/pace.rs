//! How a rollout goes.

use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::{
    project::{FailureAction, Order},
    text::duration,
};

/// The flags of every command that replaces containers. A duration or number that is `None` was not given: then the
/// Compose file decides.
#[derive(Args, Clone, Debug, Default)]
pub struct Pace {
    /// Recreate services that cannot run twice side by side, at the cost of downtime
    #[arg(long)]
    pub allow_downtime: bool,
    /// Time between two batches
    #[arg(long, value_parser = duration::parse)]
    pub delay: Option<Duration>,
    /// Longest time for an old container to leave the proxy before it is stopped
    #[arg(long, value_parser = duration::parse)]
    pub drain_timeout: Option<Duration>,
    /// What to do when the new version fails ("rollback"|"pause"|"continue")
    #[arg(long)]
    pub failure_action: Option<FailureAction>,
    /// How long a new container without a healthcheck must run without a restart
    #[arg(long, value_parser = duration::parse)]
    pub monitor: Option<Duration>,
    /// Which containers of a batch go first ("start-first"|"stop-first")
    #[arg(long)]
    pub order: Option<Order>,
    /// How many containers of a service to replace at a time, 0 for all at once
    #[arg(long)]
    pub parallelism: Option<u32>,
    /// Time for the proxy to pick the new containers up, before the old ones are drained
    #[arg(long, value_parser = duration::parse)]
    pub settle: Option<Duration>,
    /// Seconds for an old container to stop before it is killed, -1 for no limit (default: its own grace period)
    #[arg(short, long)]
    pub timeout: Option<i64>,
    /// Longest time for a new container to become healthy, in seconds or as a duration (default: as long as its
    /// healthcheck may take)
    #[arg(long, value_parser = duration::parse_seconds_or_duration)]
    pub wait_timeout: Option<Duration>,
}

impl Pace {
    /// Those that were given and stand for a key of `x-zdd`, as the file would have them.
    pub fn settings(&self) -> Vec<(&'static str, Value)> {
        let time = |time: Option<Duration>| time.map(|time| json!(format!("{}ns", time.as_nanos())));
        let flags = [
            ("delay", time(self.delay)),
            ("drain_timeout", time(self.drain_timeout)),
            ("failure_action", self.failure_action.and_then(word)),
            ("monitor", time(self.monitor)),
            ("order", self.order.and_then(word)),
            ("parallelism", self.parallelism.map(Value::from)),
            ("settle", time(self.settle)),
            ("wait_timeout", time(self.wait_timeout)),
        ];
        flags.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

fn word(value: impl ValueEnum) -> Option<Value> {
    Some(json!(value.to_possible_value()?.get_name()))
}

/// What to do about a lock that another run holds.
#[derive(Args, Clone, Debug, Default)]
pub struct LockArgs {
    /// Take the project's lock from a run that is known to be dead
    #[arg(long)]
    pub break_lock: bool,
    /// Wait for another run on this project to end, in seconds or as a duration
    #[arg(long, value_parser = duration::parse_seconds_or_duration)]
    pub wait_lock: Option<Duration>,
}
