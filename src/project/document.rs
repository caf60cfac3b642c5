//! The project as it was deployed, as Compose printed it: kept, changed service by service, and fed to Compose again.

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{engine::config, text::yaml};

/// A resolved compose file. Strings have Compose's `$$` for `$`, so the text may be fed to Compose as it is: the
/// configuration hashes come out the same (Compose 5.6.1, tried).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document(Value);

/// Something on the machine that a service takes into its containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPath {
    pub path: String,
    /// A config or a secret, which must be a file.
    pub is_file: bool,
}

const NOT_UNDERSTOOD: &str = "this is not a resolved compose file";

/// The name of the file in a revision's image.
pub const FILE_NAME: &str = "compose.json";

impl Document {
    /// Reads what `docker compose config` prints, or [`Document::text`].
    ///
    /// # Errors
    /// Text that is not a resolved compose file.
    pub fn parse(text: &str) -> Result<Document> {
        let value: Value = serde_yaml::from_str(text).context(NOT_UNDERSTOOD)?;
        anyhow::ensure!(value.is_object(), NOT_UNDERSTOOD);
        Ok(Document(value))
    }

    /// The part of it that decides how a service can be updated.
    ///
    /// # Errors
    /// A key has a value of another form than Compose prints.
    pub fn file(&self) -> Result<config::File> {
        config::File::deserialize(&self.0)
            .context("the output of \"docker compose config\" is not understood")
    }

    /// As Compose reads it.
    pub fn text(&self) -> String {
        yaml::text(&self.0)
    }

    /// The project's name.
    pub fn name(&self) -> &str {
        self.0["name"].as_str().unwrap_or_default()
    }

    /// Takes a key out, so that the rest can be examined; false when it is not there.
    pub fn remove(&mut self, path: &[String]) -> bool {
        let Some((last, parents)) = path.split_last() else { return false };
        let parent = parents.iter().try_fold(&mut self.0, |value, key| value.get_mut(key.as_str()));
        let parent = parent.and_then(Value::as_object_mut);
        parent.is_some_and(|map| map.remove(last.as_str()).is_some())
    }

    pub fn services(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0["services"].as_object().into_iter().flatten()
    }

    pub fn service(&self, name: &str) -> Option<&Value> {
        self.0["services"].get(name)
    }

    /// Networks, volumes and the like: everything but the services and the name.
    pub fn resources(&self) -> impl Iterator<Item = (&String, &Value)> {
        let all = self.0.as_object().into_iter().flatten();
        all.filter(|(key, _)| !matches!(key.as_str(), "services" | "name") && !key.starts_with("x-"))
    }

    /// One of the networks, volumes, configs or secrets; null where there is none.
    pub fn resource(&self, section: &str, key: &str) -> &Value {
        &self.0[section][key]
    }

    /// Adds what the other has beyond this: services, networks, volumes, configs, secrets.
    pub fn extend(&mut self, other: &Document) {
        let Some(map) = self.0.as_object_mut() else { return };
        let theirs = other.0.as_object().into_iter().flatten();
        for (key, theirs) in theirs.filter(|(key, _)| !key.starts_with("x-")) {
            let Some(theirs) = theirs.as_object() else { continue };
            let mine = map.entry(key.clone()).or_insert_with(|| json!({}));
            if let Some(mine) = mine.as_object_mut() {
                for (name, value) in theirs {
                    mine.entry(name.clone()).or_insert_with(|| value.clone());
                }
            }
        }
    }

    /// Takes a service's definition from another document, with the networks and the like that it names.
    pub fn take_service(&mut self, name: &str, other: &Document) {
        if let (Some(value), Some(mine)) = (other.service(name), self.service_mut(name)) {
            *mine = value.clone();
            self.extend(&Document(without_services(&other.0)));
        }
    }

    /// Sets the image of a service; `None` is the one that Compose calls after the service.
    pub fn set_image(&mut self, name: &str, image: Option<&str>) {
        let Some(service) = self.service_mut(name).and_then(Value::as_object_mut) else { return };
        match image {
            Some(image) => service.insert("image".to_owned(), json!(image)),
            None => service.remove("image"),
        };
    }

    pub fn image(&self, name: &str) -> Option<&str> {
        self.service(name)?.get("image")?.as_str()
    }

    /// The paths on the machine that a service's binds, configs and secrets name.
    pub fn host_paths(&self, name: &str) -> Vec<HostPath> {
        let service = self.service(name).unwrap_or(&Value::Null);
        let each = |key: &str| service[key].as_array().into_iter().flatten();
        let binds =
            each("volumes").filter(|mount| mount["type"] == "bind").map(|mount| (&mount["source"], false));
        let files = ["configs", "secrets"].into_iter().flat_map(|key| {
            let source = |used: &Value| used["source"].as_str().or(used.as_str()).map(str::to_owned);
            each(key).filter_map(source).map(move |source| (&self.0[key][source.as_str()]["file"], true))
        });
        let all = binds.chain(files);
        // Compose writes a dollar twice.
        all.filter_map(|(path, is_file)| Some(HostPath { path: path.as_str()?.replace("$$", "$"), is_file }))
            .collect()
    }

    /// Writes the count where the file has it, so that Compose finds no contradiction.
    pub fn set_replicas(&mut self, name: &str, replicas: u32) {
        let Some(service) = self.service_mut(name).and_then(Value::as_object_mut) else { return };
        let has_scale = service.contains_key("scale");
        let deploy = service.get_mut("deploy").and_then(Value::as_object_mut);
        let written = deploy.and_then(|deploy| deploy.get_mut("replicas"));
        let in_deploy = written.is_some();
        if let Some(written) = written {
            *written = json!(replicas);
        }
        if has_scale || !in_deploy {
            service.insert("scale".to_owned(), json!(replicas));
        }
    }

    /// Files of labels are read already; one that is not on this machine would be an error.
    pub fn drop_missing_label_files(&mut self, exists: impl Fn(&str) -> bool) {
        let services = self.0["services"].as_object_mut().into_iter().flatten();
        for service in services.filter_map(|(_, service)| service.as_object_mut()) {
            let files = service.get("label_file").and_then(Value::as_array);
            let all = files.is_none_or(|files| files.iter().filter_map(Value::as_str).all(&exists));
            if !all {
                service.remove("label_file");
            }
        }
    }

    fn service_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.0["services"].get_mut(name)
    }
}

fn without_services(value: &Value) -> Value {
    let all = value.as_object().into_iter().flatten();
    let rest: Map<_, _> =
        all.filter(|(key, _)| *key != "services").map(|(k, v)| (k.clone(), v.clone())).collect();
    Value::Object(rest)
}
