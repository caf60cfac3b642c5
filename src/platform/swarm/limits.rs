//! How long a service may take, from its file. Pure.

use std::time::Duration;

use serde_json::Value;

use super::watch::Limits;
use crate::{
    engine::{Healthcheck, config},
    plan::ServicePlan,
    text::duration,
};

/// Time beyond the healthcheck, for Swarm to choose a node, and for the node to begin and to report.
const MARGIN: Duration = Duration::from_secs(30);
/// An image that a node does not have yet comes at the time of its start.
const PULL: Duration = Duration::from_secs(600);
/// From a task's absence in DNS to its signal (swarmkit's defaultGossipConvergeDelay).
const LEAVES: Duration = Duration::from_secs(2);

pub fn of(plan: &ServicePlan, file: &config::File) -> Limits {
    let settings = plan.settings();
    let check = file.services.get(&plan.service).and_then(|raw| healthcheck(raw.healthcheck.as_ref()?));
    let health = check.map_or(settings.monitor, |check| check.decides_within());
    let gate = settings.wait_timeout.unwrap_or(MARGIN + health);
    let between = [plan.wanted.grace, settings.delay, settings.monitor, LEAVES];
    let still = between.iter().fold(gate, |sum, time| sum.saturating_add(*time));
    Limits { still, preparing: still.max(PULL), monitor: settings.monitor }
}

/// Whether something probes its tasks, so that one runs only when it is healthy.
pub fn is_checked(service: &str, file: &config::File) -> bool {
    let raw = file.services.get(service);
    raw.and_then(|raw| healthcheck(raw.healthcheck.as_ref()?)).is_some()
}

/// As it is written; `None` where nothing is probed.
fn healthcheck(value: &Value) -> Option<Healthcheck> {
    if value["disable"] == true || value["test"][0] == "NONE" || value["test"].is_null() {
        return None;
    }
    let time = |key: &str| value[key].as_str().and_then(|text| duration::parse(text).ok());
    Some(Healthcheck {
        interval: time("interval"),
        timeout: time("timeout"),
        retries: value["retries"].as_u64().and_then(|n| u32::try_from(n).ok()),
        start_period: time("start_period"),
        start_interval: time("start_interval"),
    })
}
