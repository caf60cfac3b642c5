//! What the fake reads in the compose file.

use std::time::Duration;

use serde_json::{Value, json};
use serde_yaml::Value as Yaml;

use crate::world::{Reading, World};

#[derive(Clone, Debug)]
pub struct Service {
    pub name: String,
    pub image: String,
    pub container_name: Option<String>,
    pub restart: String,
    pub replicas: usize,
    pub profiles: Vec<String>,
    /// The services in whose containers this one's containers live.
    pub parents: Vec<String>,
    pub has_post_start: bool,
    pub has_pre_start: bool,
    depends_on: Vec<String>,
    healthcheck: Yaml,
    grace: Option<Duration>,
}

impl Service {
    fn read(name: &str, yaml: &Yaml, project: &str) -> Service {
        let text = |key: &str| yaml[key].as_str().map(str::to_owned);
        let names = |yaml: &Yaml| {
            yaml.as_sequence().into_iter().flatten().filter_map(Yaml::as_str).map(str::to_owned).collect()
        };
        let keys = |yaml: &Yaml| {
            yaml.as_mapping()
                .into_iter()
                .flatten()
                .filter_map(|(k, _)| k.as_str())
                .map(str::to_owned)
                .collect()
        };
        let replicas = if yaml["scale"].is_null() { &yaml["deploy"]["replicas"] } else { &yaml["scale"] };
        Service {
            name: name.to_owned(),
            image: text("image").unwrap_or_else(|| format!("{project}-{name}")),
            container_name: text("container_name"),
            restart: text("restart").unwrap_or_else(|| "no".to_owned()),
            replicas: replicas.as_u64().unwrap_or(1) as usize,
            profiles: names(&yaml["profiles"]),
            parents: parents(yaml),
            has_post_start: !yaml["post_start"].is_null(),
            has_pre_start: !yaml["pre_start"].is_null(),
            depends_on: keys(&yaml["depends_on"]),
            healthcheck: yaml["healthcheck"].clone(),
            grace: text("stop_grace_period").map(|text| duration(&text)),
        }
    }

    fn has_healthcheck(&self) -> bool {
        !self.healthcheck["test"].is_null()
    }

    /// What a container does when nothing else is said.
    pub fn usual_way(&self) -> Vec<Reading> {
        Reading::way(if self.has_healthcheck() { "starting, starting, healthy" } else { "running" })
    }

    pub fn write_into(&self, config: &mut Value) {
        let nanos =
            |key: &str| self.healthcheck[key].as_str().map_or(0, |text| duration(text).as_nanos() as u64);
        config["Image"] = json!(self.image);
        if self.has_healthcheck() {
            config["Healthcheck"] = json!({
                "Test": ["CMD", "/web", "health"],
                "Interval": nanos("interval"),
                "Timeout": nanos("timeout"),
                "StartPeriod": nanos("start_period"),
                "Retries": self.healthcheck["retries"].as_u64().unwrap_or(0),
            });
        }
        if let Some(grace) = self.grace {
            config["StopTimeout"] = json!(grace.as_secs());
        }
    }
}

fn parents(yaml: &Yaml) -> Vec<String> {
    let modes = ["network_mode", "ipc", "pid"].map(|key| yaml[key].as_str()?.strip_prefix("service:"));
    let volumes = yaml["volumes_from"].as_sequence().into_iter().flatten().filter_map(Yaml::as_str);
    let volumes = volumes.filter_map(|from| from.split(':').next());
    modes.into_iter().flatten().chain(volumes).map(str::to_owned).collect()
}

/// Go's form of durations, as far as the tests write it: `1m30s`, `500ms`.
fn duration(text: &str) -> Duration {
    let units = [("ms", 1), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    let (mut sum, mut rest) = (0, text);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').expect("a unit");
        let (name, factor) =
            units.into_iter().find(|(name, _)| rest[end..].starts_with(name)).expect("a known unit");
        sum += (rest[..end].parse::<f64>().expect("a number") * f64::from(factor)) as u64;
        rest = &rest[end + name.len()..];
    }
    Duration::from_millis(sum)
}

impl World {
    /// Every service of the file, those of disabled profiles too.
    pub fn services(&self) -> Vec<Service> {
        let file: Yaml = serde_yaml::from_str(&self.config).expect("YAML");
        let project = self.project();
        let services = file["services"].as_mapping().into_iter().flatten();
        services
            .map(|(name, yaml)| Service::read(name.as_str().unwrap_or_default(), yaml, &project))
            .collect()
    }

    /// The services that a call of Compose sees: without profiles, of an enabled one, or named, with what the
    /// named ones depend on.
    pub fn enabled(&self, profiles: &[&str], named: &[String]) -> Vec<Service> {
        let all = self.services();
        let mut names = named.to_vec();
        for i in 0.. {
            let Some(name) = names.get(i) else { break };
            let service = all.iter().find(|service| service.name == *name);
            names.extend(service.map(|service| service.depends_on.clone()).unwrap_or_default());
        }
        let by_profile = |service: &Service| {
            service.profiles.is_empty()
                || profiles.contains(&"*")
                || service.profiles.iter().any(|profile| profiles.contains(&profile.as_str()))
        };
        all.into_iter()
            .filter(
                |service| if named.is_empty() { by_profile(service) } else { names.contains(&service.name) },
            )
            .collect()
    }

    /// What `docker compose config` prints when it sees these services.
    pub fn config_of(&self, services: &[Service]) -> String {
        let mut file: Yaml = serde_yaml::from_str(&self.config).expect("YAML");
        let all = file["services"].as_mapping().map_or(0, serde_yaml::Mapping::len);
        if all == services.len() {
            return self.config.clone();
        }
        if let Some(map) = file["services"].as_mapping_mut() {
            map.retain(|name, _| services.iter().any(|service| name.as_str() == Some(&service.name)));
        }
        serde_yaml::to_string(&file).expect("YAML")
    }
}
