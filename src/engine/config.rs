//! The part of `docker compose config` (YAML) that decides how a service can be updated.
//!
//! Compose has already merged files, profiles, `extends` and `include` and filled in variables; nothing here
//! interprets a compose file. Fields that do not matter to a rollout are not read. YAML, because the JSON
//! form drops nested `x-*` keys (Compose 5.6.1; docker/compose#11528).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Default, Deserialize)]
pub struct File {
    pub name: String,
    #[serde(default)]
    pub services: BTreeMap<String, Service>,
    #[serde(default)]
    pub configs: BTreeMap<String, Source>,
    #[serde(default)]
    pub secrets: BTreeMap<String, Source>,
    #[serde(default)]
    pub networks: BTreeMap<String, Option<Network>>,
    #[serde(default, rename = "x-zdd")]
    pub x_zdd: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Network {
    /// With the project's name in front of it, or as it is written.
    pub name: Option<String>,
    pub driver: Option<String>,
    pub external: bool,
    pub internal: bool,
    pub enable_ipv6: Option<bool>,
    pub ipam: Option<Value>,
}

impl Network {
    /// Addresses are given away from a part of its subnet alone.
    pub fn has_range(&self) -> bool {
        let pools = self.ipam.as_ref().and_then(|ipam| ipam["config"].as_array());
        pools.into_iter().flatten().any(|pool| !pool["ip_range"].is_null())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Service {
    pub image: Option<String>,
    pub build: Option<Value>,
    pub pull_policy: Option<String>,
    pub platform: Option<String>,
    pub scale: Option<u32>,
    pub deploy: Option<Deploy>,
    pub container_name: Option<String>,
    pub ports: Vec<Port>,
    #[serde(deserialize_with = "texts")]
    pub expose: Vec<String>,
    /// A list, as Compose prints it.
    pub command: Option<Value>,
    pub entrypoint: Option<Value>,
    pub network_mode: Option<String>,
    pub networks: BTreeMap<String, Option<Attachment>>,
    pub mac_address: Option<String>,
    pub ipc: Option<String>,
    pub pid: Option<String>,
    pub volumes: Vec<Mount>,
    pub volumes_from: Vec<String>,
    pub depends_on: BTreeMap<String, DependsOn>,
    /// `service` or `service:alias`.
    pub links: Vec<String>,
    /// `container` or `container:alias`.
    pub external_links: Vec<String>,
    pub profiles: Vec<String>,
    pub healthcheck: Option<Value>,
    pub restart: Option<String>,
    pub stop_grace_period: Option<String>,
    pub stop_signal: Option<String>,
    pub labels: BTreeMap<String, String>,
    /// A mapping, as Compose prints it.
    pub environment: Option<Value>,
    pub pre_start: Vec<Hook>,
    pub post_start: Vec<Hook>,
    pub pre_stop: Vec<Hook>,
    pub provider: Option<Value>,
    pub models: Option<Value>,
    pub configs: Vec<Reference>,
    pub secrets: Vec<Reference>,
    #[serde(rename = "x-zdd")]
    pub x_zdd: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Deploy {
    pub replicas: Option<u32>,
    pub update_config: Option<Value>,
    pub rollback_config: Option<Value>,
    pub restart_policy: Option<RestartPolicy>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RestartPolicy {
    pub condition: String,
    pub max_attempts: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Port {
    pub mode: Option<String>,
    pub host_ip: Option<String>,
    pub target: Option<u32>,
    /// `8080`, a range `8080-8085`, or absent for a port that the engine picks. A number as Compose 2.0 prints it.
    #[serde(deserialize_with = "text")]
    pub published: Option<String>,
    pub protocol: Option<String>,
    /// `http` and the like, where somebody has written it.
    pub app_protocol: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Attachment {
    pub ipv4_address: Option<String>,
    pub ipv6_address: Option<String>,
    pub mac_address: Option<String>,
    pub aliases: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Mount {
    pub r#type: String,
    pub source: Option<String>,
    pub target: String,
    pub read_only: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct DependsOn {
    pub condition: String,
    pub restart: bool,
    pub required: bool,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq)]
#[serde(default)]
pub struct Hook {
    pub command: Vec<String>,
    pub user: Option<String>,
    pub privileged: bool,
    pub working_dir: Option<String>,
    pub environment: BTreeMap<String, Option<String>>,
    pub image: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Source {
    pub content: Option<String>,
    pub environment: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Reference {
    pub source: String,
}

impl Service {
    /// The words of what it runs, where the file says so.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        let lists = [&self.entrypoint, &self.command].into_iter().flatten();
        let texts = lists.flat_map(|value| match value {
            Value::Array(words) => words.iter().filter_map(Value::as_str).collect(),
            Value::String(text) => vec![text.as_str()],
            _ => vec![],
        });
        texts.flat_map(str::split_whitespace)
    }

    /// The names of its variables that have a value.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        let all = self.environment.as_ref().and_then(Value::as_object).into_iter().flatten();
        all.filter(|(_, value)| !value.is_null() && *value != "").map(|(key, _)| key.as_str())
    }

    /// The services in whose containers this one lives, with the key that says so.
    pub fn parents(&self) -> Vec<(String, &'static str)> {
        let volumes = self.volumes_from.iter().filter(|from| !from.starts_with(OF_CONTAINER));
        let volumes = volumes.map(|from| (first_part(from), "volumes_from"));
        self.modes("service:").chain(volumes).collect()
    }

    /// The same for containers that are named themselves.
    pub fn hosts(&self) -> Vec<(String, &'static str)> {
        let volumes = self.volumes_from.iter().filter_map(|from| from.strip_prefix(OF_CONTAINER));
        let volumes = volumes.map(|from| (first_part(from), "volumes_from"));
        self.modes(OF_CONTAINER).chain(volumes).collect()
    }

    fn modes<'s>(&'s self, prefix: &'s str) -> impl Iterator<Item = (String, &'static str)> + 's {
        let modes = [("network_mode", &self.network_mode), ("ipc", &self.ipc), ("pid", &self.pid)];
        modes
            .into_iter()
            .filter_map(move |(key, mode)| Some((mode.as_deref()?.strip_prefix(prefix)?.to_owned(), key)))
    }
}

const OF_CONTAINER: &str = "container:";

/// `data` of `data:ro`.
fn first_part(text: &str) -> String {
    text.split(':').next().unwrap_or(text).to_owned()
}

impl Mount {
    /// A volume or a folder with data in it that the container may change.
    pub fn holds_data(&self) -> bool {
        let Some(source) = self.source.as_deref().filter(|source| !source.is_empty()) else { return false };
        // A socket is a way to talk to the engine or a neighbour, never data.
        let socket = source.ends_with(".sock") || self.target.ends_with(".sock");
        matches!(self.r#type.as_str(), "volume" | "bind") && !self.read_only && !socket
    }
}

/// Undoes the `$` → `$$` that `docker compose config` applies to every string.
pub fn undollar(text: &str) -> String {
    text.replace("$$", "$")
}

impl Hook {
    /// The hook as it is to be run, every `$$` undone.
    pub fn undollared(&self) -> Hook {
        let each = |text: &String| undollar(text);
        Hook {
            command: self.command.iter().map(each).collect(),
            user: self.user.as_ref().map(each),
            working_dir: self.working_dir.as_ref().map(each),
            environment: self.environment.iter().map(|(k, v)| (k.clone(), v.as_ref().map(each))).collect(),
            image: self.image.as_ref().map(each),
            privileged: self.privileged,
        }
    }
}

fn texts<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let all = Vec::<Value>::deserialize(deserializer)?;
    Ok(all.into_iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect())
}

fn text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    })
}
