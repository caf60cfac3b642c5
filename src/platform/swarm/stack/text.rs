//! One service as `docker stack deploy -c -` reads it, with all that it uses and nothing else.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{Mode, Stack, StackService};
use crate::{project::settings::Order, text::yaml};

/// Of everything by which Swarm replaces containers.
pub const HASH_LABEL: &str = "com.docker.zdd.hash";
/// Of everything else.
pub const SETTINGS_LABEL: &str = "com.docker.zdd.settings";

/// Of a network, all that the file says of it.
pub const NETWORK_LABEL: &str = "com.docker.zdd.network";

/// Where old containers stop first: all at once would leave nothing that answers.
pub(super) const ONE_BY_ONE: u32 = 1;

/// Keys of `deploy` for which Swarm replaces no container.
const SETTINGS: &[&str] = &["labels", "mode", "rollback_config", "update_config"];

impl StackService {
    /// The service under its own name. Strings have Compose's `$$` for `$`, as the Docker CLI fills in variables too.
    pub fn text(&self, stack: &Stack, name: &str) -> String {
        let mut body = self.body.clone();
        let deploy = self.deploy();
        body.insert("deploy".to_owned(), Value::Object(deploy));
        let mut file = json!({"services": {name: body}});
        for (section, used, known) in [
            ("networks", self.networks(), &stack.networks),
            ("volumes", self.volumes(), &stack.volumes),
            ("configs", self.references("configs"), &stack.configs),
            ("secrets", self.references("secrets"), &stack.secrets),
        ] {
            let used = pick(&used, known);
            if !used.is_empty() {
                file[section] = Value::Object(used);
            }
        }
        yaml::text(&file)
    }

    /// The image, as the file or the registry has it.
    pub fn image(&self) -> &str {
        self.body.get("image").and_then(Value::as_str).unwrap_or_default()
    }

    /// Sends it so that an old container stops before a new one starts, and back again, whatever the file says: two
    /// cannot be there at once. The hashes stay.
    pub fn stop_first(&mut self) {
        self.order = Order::StopFirst;
        for key in ["update_config", "rollback_config"] {
            let config = self.body.get_mut("deploy").and_then(|deploy| deploy.get_mut(key));
            let Some(config) = config.filter(|config| config.is_object()) else { continue };
            config["order"] = json!("stop-first");
            if config["parallelism"] == 0 && !self.paced {
                config["parallelism"] = json!(ONE_BY_ONE);
            }
        }
    }

    fn deploy(&self) -> Map<String, Value> {
        let mut deploy = self.body.get("deploy").and_then(Value::as_object).cloned().unwrap_or_default();
        if let Some(n) = self.replicas.filter(|_| self.mode == Mode::Replicated) {
            deploy.insert("replicas".to_owned(), json!(n));
        }
        let labels = deploy.entry("labels").or_insert_with(|| json!({}));
        if labels.is_null() {
            *labels = json!({});
        }
        labels[HASH_LABEL] = json!(self.hash);
        labels[SETTINGS_LABEL] = json!(self.settings_hash);
        deploy
    }

    /// Its networks by their keys in the file.
    pub fn networks(&self) -> Vec<String> {
        let all = self.body.get("networks").and_then(Value::as_object).into_iter().flatten();
        all.map(|(key, _)| key.clone()).collect()
    }

    /// Its named volumes by their keys in the file.
    pub fn volumes(&self) -> Vec<String> {
        let mounts = self.body.get("volumes").and_then(Value::as_array).into_iter().flatten();
        let named = mounts.filter(|mount| mount["type"] == "volume").filter_map(|m| m["source"].as_str());
        named.map(str::to_owned).collect()
    }

    pub(super) fn references(&self, section: &str) -> Vec<String> {
        let all = self.body.get(section).and_then(Value::as_array).into_iter().flatten();
        all.filter_map(|reference| reference["source"].as_str()).map(str::to_owned).collect()
    }

    /// Computes the hashes, once everything else is there.
    pub(super) fn hashed(mut self, stack: &Stack) -> StackService {
        let mut body = self.body.clone();
        let mut deploy = body.get("deploy").and_then(Value::as_object).cloned().unwrap_or_default();
        let settings: Map<_, _> =
            SETTINGS.iter().filter_map(|key| Some(((*key).to_owned(), deploy.remove(*key)?))).collect();
        body.insert("deploy".to_owned(), Value::Object(deploy));
        let names = |keys: Vec<String>, known: &BTreeMap<String, Value>| {
            let name = |value: Value| value["name"].clone();
            pick(&keys, known).into_iter().map(|(key, value)| (key, name(value))).collect::<Map<_, _>>()
        };
        // Of a network only its name comes to the containers; a volume comes with its driver.
        let whole = json!({
            "service": body,
            "networks": names(self.networks(), &stack.networks),
            "volumes": pick(&self.volumes(), &stack.volumes),
            "configs": names(self.references("configs"), &stack.configs),
            "secrets": names(self.references("secrets"), &stack.secrets),
        });
        self.hash = sha256(yaml::text(&whole).as_bytes());
        self.settings_hash = sha256(yaml::text(&settings).as_bytes());
        self
    }
}

fn pick(keys: &[String], known: &BTreeMap<String, Value>) -> Map<String, Value> {
    keys.iter().filter_map(|key| Some((key.clone(), known.get(key)?.clone()))).collect()
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
