//! What is there: plain data from `docker inspect`.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{event::ContainerRef, mask::mask};

/// A container of the project, as one `docker inspect` saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct Container {
    pub id: String,
    pub name: String,
    pub service: String,
    /// Compose's replica number; 0 when the label is missing.
    pub number: u32,
    pub config_hash: String,
    /// The image ID that Compose started it from.
    pub image_id: String,
    /// The same in the engine's own words. Where images are kept by containerd, Compose from 5.4 on writes the digest
    /// of one platform's manifest, and the engine, as for the tag, that of the index (docker/compose#13949).
    pub engine_image_id: String,
    /// The image reference it was created with.
    pub image: String,
    /// What was started as its first process, with its arguments.
    pub command: Vec<String>,
    pub state: State,
    pub health: Option<Health>,
    pub healthcheck: Option<Healthcheck>,
    pub restart_count: u64,
    pub restart: RestartPolicy,
    pub exit_code: i64,
    pub oom_killed: bool,
    /// What the engine said when it could not start it.
    pub error: String,
    /// RFC 3339; changes with every start.
    pub started_at: String,
    /// What `docker stop` gives it before it kills.
    pub grace: Duration,
    pub labels: BTreeMap<String, String>,
    /// Network name → its addresses there, of both versions of IP; none while it does not run.
    pub networks: BTreeMap<String, Vec<IpAddr>>,
    /// Where its anonymous volumes are mounted: their data belongs to this one container.
    pub anonymous_volumes: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Exited,
    Dead,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthStatus {
    Starting,
    Healthy,
    Unhealthy,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    pub status: HealthStatus,
    pub failing_streak: u64,
    /// What the last probe printed, trimmed.
    pub output: Option<String>,
}

/// The healthcheck that the engine carries out, its zero values replaced by the engine's defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Healthcheck {
    pub interval: Duration,
    pub timeout: Duration,
    pub retries: u32,
    pub start_period: Duration,
    /// Between two probes in the start period. Engines before 25 go by the interval.
    pub start_interval: Duration,
}

impl Healthcheck {
    /// The longest that a healthy container whose probes begin to fail at once goes on being called healthy.
    pub fn turns_within(&self) -> Duration {
        self.interval.saturating_mul(self.retries).saturating_add(self.timeout)
    }

    /// The same where each probe fails by its timeout: the engine counts the interval from the end of a probe.
    pub fn turns_at_the_latest(&self) -> Duration {
        let each = self.interval.saturating_add(self.timeout);
        each.saturating_mul(self.retries).saturating_add(self.timeout)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    pub name: String,
    pub max_retries: u64,
}

impl Container {
    pub fn reference(&self) -> ContainerRef {
        ContainerRef { id: self.id.clone(), name: self.name.clone() }
    }

    /// Running and not known to be unhealthy: it may be answering requests.
    pub fn serves(&self) -> bool {
        self.state == State::Running
            && self.health.as_ref().is_none_or(|health| health.status == HealthStatus::Healthy)
    }

    /// Whether it was started from the image of this ID.
    pub fn is_of_image(&self, id: &str) -> bool {
        self.image_id == id || self.engine_image_id == id
    }

    /// Where it may be reached.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.networks.values().flatten().copied()
    }

    /// Its healthcheck has not decided yet.
    pub fn is_starting(&self) -> bool {
        self.health.as_ref().is_some_and(|health| health.status == HealthStatus::Starting)
    }

    pub fn is_unhealthy(&self) -> bool {
        self.health.as_ref().is_some_and(|health| health.status == HealthStatus::Unhealthy)
    }

    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.get(key).map(String::as_str)
    }
}

impl RestartPolicy {
    /// As `docker update --restart` takes it.
    pub fn flag(&self) -> String {
        match self.max_retries {
            0 => self.name.clone(),
            n => format!("{}:{n}", self.name),
        }
    }

    /// Whether the engine starts a stopped container again when it starts itself. `unless-stopped` does not
    /// (moby `restartmanager.ShouldRestart`); `on-failure` does for one that was stopped with an exit code.
    pub fn revives_stopped(&self) -> bool {
        matches!(self.name.as_str(), "always" | "on-failure")
    }
}

pub const PROJECT_LABEL: &str = "com.docker.compose.project";
const SERVICE_LABEL: &str = "com.docker.compose.service";
const NUMBER_LABEL: &str = "com.docker.compose.container-number";
const HASH_LABEL: &str = "com.docker.compose.config-hash";
const IMAGE_LABEL: &str = "com.docker.compose.image";
const ONE_OFF_LABEL: &str = "com.docker.compose.oneoff";
const HOOK_LABEL: &str = "com.docker.compose.hook";

/// Docker's own grace period when neither file nor image names one.
const DEFAULT_GRACE: Duration = Duration::from_secs(10);
const DEFAULT_PROBE_TIME: Duration = Duration::from_secs(30);
const DEFAULT_RETRIES: u32 = 3;
/// The engine takes it from version 25 on.
pub const DEFAULT_START_INTERVAL: Duration = Duration::from_secs(5);

/// Reads the output of `docker inspect`, leaving out what Compose does not count as a replica: one-offs of
/// `compose run`, runners of hooks, containers without a service.
///
/// # Errors
/// Text that is not the JSON of `docker inspect`.
pub fn parse_inspect(json: &str) -> Result<Vec<Container>> {
    let raw: Vec<raw::Container> =
        serde_json::from_str(json).context("the output of \"docker inspect\" is not understood")?;
    Ok(raw.into_iter().filter(is_replica).map(container).collect())
}

fn is_replica(raw: &raw::Container) -> bool {
    let label = |key: &str| raw.config.labels.get(key).map(String::as_str);
    // Compose itself overlooks a container without a hash (5.6.1).
    label(SERVICE_LABEL).is_some()
        && label(HASH_LABEL).is_some()
        && label(HOOK_LABEL).is_none()
        && label(ONE_OFF_LABEL).is_none_or(|value| !value.eq_ignore_ascii_case("true"))
}

fn container(raw: raw::Container) -> Container {
    let label = |key: &str| raw.config.labels.get(key).cloned().unwrap_or_default();
    let image = label(IMAGE_LABEL);
    Container {
        service: label(SERVICE_LABEL),
        number: label(NUMBER_LABEL).parse().unwrap_or(0),
        config_hash: label(HASH_LABEL),
        image_id: if image.is_empty() { raw.image.clone() } else { image },
        engine_image_id: raw.image,
        image: raw.config.image,
        command: [raw.path].into_iter().chain(raw.args).collect(),
        state: state(&raw.state.status),
        health: raw.state.health.and_then(health),
        healthcheck: raw.config.healthcheck.and_then(healthcheck),
        restart_count: raw.restart_count,
        restart: restart(raw.host_config.restart_policy),
        exit_code: raw.state.exit_code,
        oom_killed: raw.state.oom_killed,
        error: mask(&raw.state.error),
        started_at: raw.state.started_at,
        grace: raw.config.stop_timeout.map_or(DEFAULT_GRACE, |s| Duration::from_secs(s.max(0) as u64)),
        networks: raw.network_settings.networks.into_iter().map(|(k, v)| (k, v.addresses())).collect(),
        anonymous_volumes: raw
            .mounts
            .into_iter()
            .filter(raw::Mount::is_anonymous)
            .map(|m| m.destination)
            .collect(),
        id: raw.id,
        name: raw.name.trim_start_matches('/').to_owned(),
        labels: raw.config.labels,
    }
}

fn state(word: &str) -> State {
    match word {
        "created" => State::Created,
        "running" => State::Running,
        "paused" => State::Paused,
        "restarting" => State::Restarting,
        "removing" => State::Removing,
        "exited" => State::Exited,
        _ => State::Dead,
    }
}

fn health(raw: raw::Health) -> Option<Health> {
    let status = match raw.status.as_str() {
        "starting" => HealthStatus::Starting,
        "healthy" => HealthStatus::Healthy,
        "unhealthy" => HealthStatus::Unhealthy,
        // "none": the engine's word for a container without a healthcheck.
        _ => return None,
    };
    let output = raw.log.unwrap_or_default().pop().map(|probe| mask(probe.output.trim()));
    Some(Health {
        status,
        failing_streak: raw.failing_streak,
        output: output.filter(|text| !text.is_empty()),
    })
}

fn healthcheck(raw: raw::Healthcheck) -> Option<Healthcheck> {
    let test = raw.test.unwrap_or_default();
    if test.is_empty() || test[0] == "NONE" {
        return None;
    }
    let or = |nanos: i64, default| match u64::try_from(nanos) {
        Ok(nanos) if nanos > 0 => Duration::from_nanos(nanos),
        _ => default,
    };
    Some(Healthcheck {
        interval: or(raw.interval, DEFAULT_PROBE_TIME),
        timeout: or(raw.timeout, DEFAULT_PROBE_TIME),
        retries: u32::try_from(raw.retries).ok().filter(|n| *n > 0).unwrap_or(DEFAULT_RETRIES),
        start_period: or(raw.start_period, Duration::ZERO),
        start_interval: or(raw.start_interval, DEFAULT_START_INTERVAL),
    })
}

fn restart(raw: raw::RestartPolicy) -> RestartPolicy {
    let name = if raw.name.is_empty() { "no".to_owned() } else { raw.name };
    RestartPolicy { name, max_retries: raw.maximum_retry_count }
}

/// The fields of `docker inspect` (API 1.41 and later) that are read, under the engine's names.
mod raw {
    use super::*;

    /// Go writes an empty map or list as `null`.
    fn or_default<'de, D, T>(d: D) -> Result<T, D::Error>
    where
        D: serde::Deserializer<'de>,
        T: Default + Deserialize<'de>,
    {
        Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    pub struct Container {
        pub id: String,
        #[serde(default)]
        pub name: String,
        #[serde(default)]
        pub image: String,
        #[serde(default)]
        pub path: String,
        #[serde(default, deserialize_with = "or_default")]
        pub args: Vec<String>,
        #[serde(default)]
        pub restart_count: u64,
        pub state: State,
        pub config: Config,
        #[serde(default, deserialize_with = "or_default")]
        pub host_config: HostConfig,
        #[serde(default, deserialize_with = "or_default")]
        pub network_settings: NetworkSettings,
        #[serde(default, deserialize_with = "or_default")]
        pub mounts: Vec<Mount>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    pub struct Mount {
        #[serde(default)]
        pub r#type: String,
        #[serde(default)]
        pub name: String,
        #[serde(default)]
        pub destination: String,
    }

    impl Mount {
        /// The engine names an anonymous volume with 64 hexadecimal digits.
        pub fn is_anonymous(&self) -> bool {
            self.r#type == "volume"
                && self.name.len() == 64
                && self.name.bytes().all(|b| b.is_ascii_hexdigit())
        }
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    pub struct State {
        pub status: String,
        #[serde(default)]
        pub exit_code: i64,
        #[serde(default, rename = "OOMKilled")]
        pub oom_killed: bool,
        #[serde(default)]
        pub error: String,
        #[serde(default)]
        pub started_at: String,
        pub health: Option<Health>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    pub struct Health {
        #[serde(default)]
        pub status: String,
        #[serde(default)]
        pub failing_streak: u64,
        pub log: Option<Vec<Probe>>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    pub struct Probe {
        #[serde(default)]
        pub output: String,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    pub struct Config {
        #[serde(default)]
        pub image: String,
        #[serde(default, deserialize_with = "or_default")]
        pub labels: BTreeMap<String, String>,
        pub healthcheck: Option<Healthcheck>,
        pub stop_timeout: Option<i64>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    pub struct Healthcheck {
        pub test: Option<Vec<String>>,
        #[serde(default)]
        pub interval: i64,
        #[serde(default)]
        pub timeout: i64,
        #[serde(default)]
        pub retries: i64,
        #[serde(default)]
        pub start_period: i64,
        #[serde(default)]
        pub start_interval: i64,
    }

    #[derive(Default, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    pub struct HostConfig {
        #[serde(default, deserialize_with = "or_default")]
        pub restart_policy: RestartPolicy,
    }

    #[derive(Default, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    pub struct RestartPolicy {
        #[serde(default)]
        pub name: String,
        #[serde(default)]
        pub maximum_retry_count: u64,
    }

    #[derive(Default, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    pub struct NetworkSettings {
        #[serde(default, deserialize_with = "or_default")]
        pub networks: BTreeMap<String, Endpoint>,
    }

    #[derive(Deserialize)]
    pub struct Endpoint {
        #[serde(default, rename = "IPAddress")]
        pub ip_address: String,
        #[serde(default, rename = "GlobalIPv6Address")]
        pub ipv6_address: String,
    }

    impl Endpoint {
        pub fn addresses(&self) -> Vec<IpAddr> {
            [&self.ip_address, &self.ipv6_address].into_iter().filter_map(|text| text.parse().ok()).collect()
        }
    }
}
