//! A container as `docker inspect` sees it: plain data.

use std::{collections::BTreeMap, fmt, net::IpAddr, time::Duration};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use super::{Healthcheck, mask};
use crate::text::short_id;

/// A container, named as people see it. `id` is the full 64-digit ID.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ContainerRef {
    pub id: String,
    pub name: String,
}

impl ContainerRef {
    /// The first 12 digits of the ID, as `docker ps` prints them.
    pub fn short_id(&self) -> &str {
        short_id(&self.id)
    }
}

/// A replica of a service, as one `docker inspect` saw it.
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
    /// What the engine calls the same content since it was built again: the former ID may mean nothing any more.
    pub rebuilt_image_id: Option<String>,
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
    /// By the network's name.
    pub networks: BTreeMap<String, Endpoint>,
    /// Where its anonymous volumes are mounted: their data belongs to this one container.
    pub anonymous_volumes: Vec<String>,
    /// Its ports at addresses of the engine's machine.
    pub published: Vec<Published>,
    /// What proxies read to find a port of it: `80/tcp`.
    pub exposed: Vec<String>,
    /// The variables by which nginx-proxy knows it.
    pub proxied_as: Vec<String>,
}

/// A port of the engine's machine that leads to one of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// `0.0.0.0`, `::`: at all addresses of that version. `None`: at all.
    pub on: Option<IpAddr>,
    pub port: u16,
    pub target: u16,
    pub protocol: Protocol,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Tcp,
    Udp,
}

/// A container on one network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// The network's ID.
    pub network: String,
    /// IPv4 and IPv6; none while the container does not run.
    pub addresses: Vec<IpAddr>,
    /// Empty while it does not run.
    pub mac: String,
    /// By which others find it, beside its own name.
    pub aliases: Vec<String>,
    /// The length of the prefix of IPv4: 16. 0 while it does not run.
    pub prefix: u8,
    /// What it calls others, `NAME:ALIAS`: Docker looks for who has the name whenever it is asked.
    pub links: Vec<String>,
}

/// A process of a container, as the engine's machine numbers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    pub parent: u32,
    /// Without its path, and cut off after 15 letters.
    pub name: String,
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

impl fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HealthStatus::Starting => "starting",
            HealthStatus::Healthy => "healthy",
            HealthStatus::Unhealthy => "unhealthy",
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    pub status: HealthStatus,
    pub failing_streak: u64,
    /// What the last probe printed, trimmed.
    pub output: Option<String>,
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

    /// Its name, also where it has made room for another one with it, as Compose does: `ID_NAME`.
    pub fn first_name(&self) -> &str {
        self.name
            .strip_prefix(short_id(&self.id))
            .and_then(|rest| rest.strip_prefix('_'))
            .unwrap_or(&self.name)
    }

    /// Running and not known to be unhealthy: it may be answering requests.
    pub fn serves(&self) -> bool {
        self.state == State::Running && self.health_status().is_none_or(|s| s == HealthStatus::Healthy)
    }

    /// It takes part in the life of the service: neither ended nor never started.
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Running | State::Restarting | State::Paused)
    }

    /// Running, perhaps only now and then.
    pub fn runs(&self) -> bool {
        matches!(self.state, State::Running | State::Restarting)
    }

    /// Whether it was started from the image of this ID.
    pub fn is_of_image(&self, id: &str) -> bool {
        self.image_id == id || self.engine_image_id == id || self.rebuilt_image_id.as_deref() == Some(id)
    }

    /// By what the engine finds its image.
    pub fn engine_image(&self) -> &str {
        self.rebuilt_image_id.as_deref().unwrap_or(&self.engine_image_id)
    }

    /// Says what the image of its service is now: `id`, and `manifest` for the service's platform.
    pub fn compare_content(&mut self, id: &str, manifest: &str) {
        if self.image_id == manifest && self.engine_image_id != id {
            self.rebuilt_image_id = Some(id.to_owned());
        }
    }

    /// Where it may be reached.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.networks.values().flat_map(|endpoint| &endpoint.addresses).copied()
    }

    /// Running, in a network of its own: not in the host's, nor in another container's.
    pub fn is_on_its_own(&self) -> bool {
        self.state == State::Running && self.addresses().next().is_some()
    }

    pub fn health_status(&self) -> Option<HealthStatus> {
        self.health.as_ref().map(|health| health.status)
    }

    /// Its healthcheck has not decided yet.
    pub fn is_starting(&self) -> bool {
        self.health_status() == Some(HealthStatus::Starting)
    }

    pub fn is_unhealthy(&self) -> bool {
        self.health_status() == Some(HealthStatus::Unhealthy)
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
pub const SERVICE_LABEL: &str = "com.docker.compose.service";
pub const ONE_OFF_LABEL: &str = "com.docker.compose.oneoff";
pub const WORKING_DIR_LABEL: &str = "com.docker.compose.project.working_dir";
const NUMBER_LABEL: &str = "com.docker.compose.container-number";
const HASH_LABEL: &str = "com.docker.compose.config-hash";
const IMAGE_LABEL: &str = "com.docker.compose.image";
const HOOK_LABEL: &str = "com.docker.compose.hook";

/// Docker's own grace period when neither file nor image names one.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// Reads the output of `docker inspect` (API 1.41 and later), leaving out what Compose does not count as a replica:
/// one-offs of `compose run`, runners of hooks, containers without a service.
///
/// # Errors
/// Text that is not the JSON of `docker inspect`.
pub fn parse_inspect(json: &str) -> Result<Vec<Container>> {
    let all: Vec<Value> = serde_json::from_str(json).context(NOT_UNDERSTOOD)?;
    let read = all.iter().map(|value| container(value).context(NOT_UNDERSTOOD));
    Ok(read.collect::<Result<Vec<_>>>()?.into_iter().filter(is_replica).collect())
}

const NOT_UNDERSTOOD: &str = "the output of \"docker inspect\" is not understood";

fn is_replica(container: &Container) -> bool {
    let label = |key: &str| container.labels.get(key);
    // Compose itself overlooks a container without a hash (5.6.1).
    [SERVICE_LABEL, HASH_LABEL].into_iter().all(|key| label(key).is_some())
        && label(HOOK_LABEL).is_none()
        && label(ONE_OFF_LABEL).is_none_or(|value| !value.eq_ignore_ascii_case("true"))
}

/// `None` for a value without what every container has.
fn container(value: &Value) -> Option<Container> {
    let (config, state) = (&value["Config"], &value["State"]);
    let labels = labels(&config["Labels"]);
    let label = |key: &str| labels.get(key).cloned().unwrap_or_default();
    let own_image = text(&value["Image"]);
    Some(Container {
        id: value["Id"].as_str()?.to_owned(),
        name: text(&value["Name"]).trim_start_matches('/').to_owned(),
        service: label(SERVICE_LABEL),
        number: label(NUMBER_LABEL).parse().unwrap_or(0),
        config_hash: label(HASH_LABEL),
        image_id: Some(label(IMAGE_LABEL)).filter(|id| !id.is_empty()).unwrap_or_else(|| own_image.clone()),
        engine_image_id: own_image,
        rebuilt_image_id: None,
        image: text(&config["Image"]),
        command: [text(&value["Path"])].into_iter().chain(list(&value["Args"]).map(text)).collect(),
        state: state_of(state["Status"].as_str()?),
        health: health(&state["Health"]),
        healthcheck: Healthcheck::from_inspect(&config["Healthcheck"]),
        restart_count: value["RestartCount"].as_u64().unwrap_or(0),
        restart: restart(&value["HostConfig"]["RestartPolicy"]),
        exit_code: state["ExitCode"].as_i64().unwrap_or(0),
        oom_killed: state["OOMKilled"].as_bool().unwrap_or(false),
        error: mask(&text(&state["Error"])),
        started_at: text(&state["StartedAt"]),
        grace: config["StopTimeout"].as_i64().map_or(DEFAULT_GRACE, |s| Duration::from_secs(s.max(0) as u64)),
        networks: networks(&value["NetworkSettings"]["Networks"]),
        anonymous_volumes: list(&value["Mounts"]).filter_map(anonymous_volume).collect(),
        published: published(&value["NetworkSettings"]["Ports"]),
        exposed: config["ExposedPorts"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(port, _)| port.clone())
            .collect(),
        proxied_as: list(&config["Env"]).map(text).filter(|entry| entry.starts_with("VIRTUAL_")).collect(),
        labels,
    })
}

/// Both versions of IP have their own entry where a port is published at all addresses.
fn published(value: &Value) -> Vec<Published> {
    let mut found = Vec::new();
    for (target, bindings) in value.as_object().into_iter().flatten() {
        let Some((target, protocol)) = target.split_once('/') else { continue };
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => continue,
        };
        for binding in list(bindings) {
            let on: Option<IpAddr> = binding["HostIp"].as_str().and_then(|address| address.parse().ok());
            let numbers = (text(&binding["HostPort"]).parse(), target.parse());
            let (Ok(port), Ok(target)) = numbers else { continue };
            let one = Published { on, port, target, protocol };
            if !found.contains(&one) {
                found.push(one);
            }
        }
    }
    found
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Go writes an empty list as `null`.
fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn labels(value: &Value) -> BTreeMap<String, String> {
    value.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect()
}

fn networks(value: &Value) -> BTreeMap<String, Endpoint> {
    let addresses = |value: &Value| {
        let keys = ["IPAddress", "GlobalIPv6Address"].into_iter();
        keys.filter_map(|key| value[key].as_str()?.parse().ok()).collect()
    };
    let endpoint = |value: &Value| Endpoint {
        network: text(&value["NetworkID"]),
        addresses: addresses(value),
        mac: text(&value["MacAddress"]),
        aliases: list(&value["Aliases"]).map(text).collect(),
        prefix: value["IPPrefixLen"].as_u64().and_then(|n| n.try_into().ok()).unwrap_or(0),
        links: list(&value["Links"]).map(text).collect(),
    };
    value.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), endpoint(value))).collect()
}

/// Where it is mounted. The engine names an anonymous volume with 64 hexadecimal digits.
fn anonymous_volume(mount: &Value) -> Option<String> {
    let name = mount["Name"].as_str().filter(|_| mount["Type"] == "volume")?;
    super::is_id(name).then(|| text(&mount["Destination"]))
}

fn state_of(word: &str) -> State {
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

fn health(value: &Value) -> Option<Health> {
    let status = match value["Status"].as_str()? {
        "starting" => HealthStatus::Starting,
        "healthy" => HealthStatus::Healthy,
        "unhealthy" => HealthStatus::Unhealthy,
        // "none": the engine's word for a container without a healthcheck.
        _ => return None,
    };
    let output = list(&value["Log"]).last().map(|probe| mask(text(&probe["Output"]).trim()));
    Some(Health {
        status,
        failing_streak: value["FailingStreak"].as_u64().unwrap_or(0),
        output: output.filter(|text| !text.is_empty()),
    })
}

fn restart(value: &Value) -> RestartPolicy {
    let name = value["Name"].as_str().filter(|name| !name.is_empty()).unwrap_or("no").to_owned();
    RestartPolicy { name, max_retries: value["MaximumRetryCount"].as_u64().unwrap_or(0) }
}
