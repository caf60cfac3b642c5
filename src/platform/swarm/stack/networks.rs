//! Networks, and ports.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{
    Misfit, Stack, keys,
    service::Draft,
    text::{NETWORK_LABEL, sha256},
    walk::{Walk, is_nothing},
};
use crate::project::Document;

const MOVE: &str = "put the services on a second network first and take this one away after that (docs/swarm.md), or \
                    take the change back";

/// The network of the node itself.
const OF_NODE: &str = "host";

pub(super) fn of_node() -> Value {
    json!({"external": true, "name": OF_NODE})
}

impl Draft<'_> {
    pub(super) fn networking(&mut self) {
        self.host_network();
        self.alias();
        let ports = self.body.get("ports").and_then(Value::as_array).cloned().unwrap_or_default();
        // By IPv4 and by IPv6 it is the same port to Swarm.
        let mut once: Vec<Value> = Vec::new();
        for port in ports {
            if !once.contains(&port) {
                once.push(port);
            }
        }
        match once.is_empty() {
            true => drop(self.body.remove("ports")),
            false => drop(self.body.insert("ports".to_owned(), Value::Array(once))),
        }
    }

    fn host_network(&mut self) {
        match self.raw["network_mode"].as_str() {
            None | Some("") => {}
            Some(OF_NODE) => {
                self.body.insert("networks".to_owned(), json!({OF_NODE: null}));
                self.network_of_node = Some(OF_NODE.to_owned());
                if self.body.remove("ports").is_some() {
                    self.walk.note(
                        "its ports are those of the node, so that what ports says is left out".to_owned(),
                    );
                }
            }
            Some(other) => {
                let message = format!("network_mode \"{other}\": {}", why_not(other));
                self.walk.misfit(
                    "network_mode",
                    &message,
                    "remove it, and let the services find each other on a network",
                );
            }
        }
    }

    /// Others may know the service by its container's name, which Compose makes known on each network.
    fn alias(&mut self) {
        let name = self.raw["container_name"].as_str().unwrap_or_default();
        if name.is_empty() {
            return;
        }
        let is_other = name != self.name && self.network_of_node.is_none();
        let found = if is_other { "; it is found by this name all the same, as an alias" } else { "" };
        self.walk.note(format!("container_name \"{name}\": Swarm names containers itself{found}"));
        if !is_other {
            return;
        }
        for (_, network) in self.body.get_mut("networks").and_then(Value::as_object_mut).into_iter().flatten()
        {
            if network.is_null() {
                *network = json!({});
            }
            let mut aliases = network["aliases"].as_array().cloned().unwrap_or_default();
            if !aliases.iter().any(|alias| alias == name) {
                aliases.push(json!(name));
            }
            network["aliases"] = Value::Array(aliases);
        }
    }
}

fn why_not(mode: &str) -> &'static str {
    match mode {
        "none" => "a service of Swarm is on a network",
        "bridge" => "the bridge of each node is another one",
        _ => "the other container may be on another node",
    }
}

/// Those that services are on.
pub(super) fn define(document: &Document, stack: &mut Stack) -> Vec<Misfit> {
    let used: BTreeSet<_> = stack.services.values().flat_map(|service| service.all_networks()).collect();
    let mut misfits = Vec::new();
    for key in used {
        if stack.networks.contains_key(&key) {
            continue;
        }
        let mut walk = Walk::new(&keys::NETWORK, None, &["networks", &key]);
        let raw = document.resource("networks", &key);
        let whole = walk.mapping(raw);
        let is_external = raw["external"] == true;
        let network = if is_external { external(&key, raw) } else { whole };
        let mut network: Map<_, _> = network.into_iter().filter(|(_, value)| !is_empty_map(value)).collect();
        if !is_external {
            let hash = sha256(as_made(&network).to_string().as_bytes());
            let labels = network.entry("labels").or_insert(Value::Null);
            match labels {
                Value::Null | Value::Object(_) => labels[NETWORK_LABEL] = json!(hash),
                _ => walk.odd("labels", "a mapping"),
            }
        }
        misfits.extend(walk.misfits);
        stack.networks.insert(key, Value::Object(network));
    }
    misfits
}

impl Stack {
    /// Networks that are there and that the file describes otherwise than the one who made them: `docker stack deploy`
    /// leaves them as they are, and says nothing. `made`: what the label says, by the networks' full names; `services`:
    /// only theirs, if any are named.
    pub fn changed_networks(&self, made: &BTreeMap<String, String>, services: &[String]) -> Vec<Misfit> {
        let asked = self.services.iter().filter(|(name, _)| services.is_empty() || services.contains(name));
        let used: BTreeSet<_> = asked.flat_map(|(_, service)| service.all_networks()).collect();
        let is_other = |key: &str| {
            let network = &self.networks[key];
            let name = network["name"].as_str().map_or_else(|| format!("{}_{key}", self.name), str::to_owned);
            let wanted = network["labels"][NETWORK_LABEL].as_str();
            wanted.zip(made.get(&name)).is_some_and(|(wanted, made)| wanted != made)
        };
        let changed = |key: String| Misfit {
            service: None,
            message: format!(
                "networks.{key}: the file has changed, and Swarm changes no network that is there"
            ),
            key: vec!["networks".to_owned(), key],
            instead: MOVE.to_owned(),
        };
        used.into_iter().filter(|key| is_other(key)).map(changed).collect()
    }
}

/// What a network keeps from the moment in which it is made. Its labels mean nothing to it.
fn as_made(network: &Map<String, Value>) -> Value {
    let kept = ["attachable", "driver", "driver_opts", "internal", "ipam"];
    let mut made: Map<_, _> =
        kept.iter().filter_map(|key| Some(((*key).to_owned(), network.get(*key)?.clone()))).collect();
    if let Some(Value::Object(ipam)) = made.get_mut("ipam") {
        ipam.retain(|key, value| key != "driver" || value != "default");
    }
    made.retain(|_, value| !is_nothing(value));
    Value::Object(made)
}

fn is_empty_map(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty)
}

pub(super) fn external(key: &str, raw: &Value) -> Map<String, Value> {
    let name = raw["name"].as_str().unwrap_or(key);
    let pairs = [("external", json!(true)), ("name", json!(name))];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
