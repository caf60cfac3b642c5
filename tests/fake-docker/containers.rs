//! The life of containers: created, started, looked at, stopped, removed.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    file::Service,
    world::{Container, Reading, World, hash_of, hex},
};

impl Container {
    /// A replica that Compose counts: with a configuration hash, no one-off, no runner of a hook.
    pub fn is_replica_of(&self, service: &str, project: &str) -> bool {
        let labels = self.labels();
        let is = |key: &str, value: &str| labels.get(&label(key)).is_some_and(|v| v == value);
        let counts = is("oneoff", "False") && labels.contains_key(&label("config-hash"));
        is("project", project) && is("service", service) && counts
    }

    pub fn serves(&self) -> bool {
        self.now.state == "running" && self.now.health.as_deref().is_none_or(|health| health == "healthy")
    }

    pub fn is_up(&self) -> bool {
        matches!(self.now.state.as_str(), "running" | "restarting" | "paused")
    }

    pub fn labels(&self) -> BTreeMap<String, String> {
        let own = [
            ("config-hash", self.config_hash.clone()),
            ("container-number", self.number.to_string()),
            ("image", self.manifest.as_ref().unwrap_or(&self.image_id).clone()),
            ("oneoff", "False".to_owned()),
            ("project", self.project.clone()),
            ("service", self.service.clone()),
        ];
        let mut labels: BTreeMap<_, _> = own.into_iter().map(|(key, value)| (label(key), value)).collect();
        labels.extend(self.labels.clone());
        labels.retain(|_, value| !value.is_empty());
        labels
    }

    /// One element of what `docker inspect` prints.
    pub fn json(&self, service: Option<&Service>) -> Value {
        let template = include_str!("inspect.json").replace(&"0".repeat(64), &self.id);
        let mut json: Value = serde_json::from_str(&template).expect("JSON");
        json["Name"] = json!(format!("/{}", self.name));
        json["Image"] = json!(self.image_id);
        json["RestartCount"] = json!(self.now.restarts);
        json["HostConfig"]["RestartPolicy"] = restart_policy(&self.restart);
        for (key, value) in self.labels() {
            json["Config"]["Labels"][key] = json!(value);
        }
        json["Config"]["Labels"][label("depends_on")] = json!("");
        let labels = json["Config"]["Labels"].as_object_mut().into_iter();
        labels.for_each(|labels| {
            labels.retain(|key, _| self.labels.get(key).is_none_or(|value| !value.is_empty()))
        });
        json["NetworkSettings"]["Networks"]["shop_default"]["Links"] = json!(self.links);
        if let Some(service) = service {
            service.write_into(&mut json["Config"]);
        }
        if let Some(image) = &self.image {
            json["Config"]["Image"] = json!(image);
        }
        let mount = |target: &String| json!({ "Type": "volume", "Name": hex(target), "Destination": target });
        json["Mounts"] = json!(self.anonymous.iter().map(mount).collect::<Vec<_>>());
        self.now.write_into(&mut json["State"]);
        let address = if self.is_up() { self.address.as_str() } else { "" };
        json["NetworkSettings"]["Networks"]["shop_default"]["IPAddress"] = json!(address);
        json["NetworkSettings"]["Networks"]["shop_default"]["GlobalIPv6Address"] = json!(ipv6(address));
        json
    }
}

/// `fd00::2` for `172.18.0.2`
pub fn ipv6(address: &str) -> String {
    address.rsplit_once('.').map(|(_, last)| format!("fd00::{last}")).unwrap_or_default()
}

impl Reading {
    fn write_into(&self, state: &mut Value) {
        let is = |word: &str| self.state == word;
        state["Status"] = json!(self.state);
        state["Running"] = json!(is("running") || is("restarting") || is("paused"));
        state["Paused"] = json!(is("paused"));
        state["Restarting"] = json!(is("restarting"));
        state["Dead"] = json!(is("dead"));
        state["OOMKilled"] = json!(self.oom);
        state["ExitCode"] = json!(self.exit_code);
        state["Error"] = json!(self.error);
        if let Some(health) = &self.health {
            let failed = i64::from(health == "unhealthy");
            let probe = json!({
                "Start": "2026-11-23T16:00:01.000000001Z",
                "End": "2026-11-23T16:00:01.100000001Z",
                "ExitCode": failed,
                "Output": self.output,
            });
            let log = if self.output.is_empty() { json!([]) } else { json!([probe]) };
            state["Health"] = json!({ "Status": health, "FailingStreak": failed * 2, "Log": log });
        }
    }

    /// The word that `docker events` has for it.
    fn news(&self) -> String {
        match (self.state.as_str(), &self.health) {
            ("running", Some(health)) => format!("health_status: {health}"),
            ("running", None) => "start".to_owned(),
            ("paused", _) => "pause".to_owned(),
            _ if self.oom => "oom".to_owned(),
            _ => "die".to_owned(),
        }
    }
}

fn restart_policy(text: &str) -> Value {
    let (name, count) = text.split_once(':').unwrap_or((text, "0"));
    json!({ "Name": name, "MaximumRetryCount": count.parse::<u64>().unwrap_or_default() })
}

pub fn label(key: &str) -> String {
    format!("com.docker.compose.{key}")
}

impl World {
    /// The configuration hash that Compose would write on a container of this service.
    pub fn hash(&self, service: &str) -> String {
        self.hashes.get(service).cloned().unwrap_or_else(|| hash_of(service))
    }

    /// What Compose goes by.
    pub fn manifest<'a>(&'a self, image: &'a String) -> &'a String {
        self.manifests.get(image).unwrap_or(image)
    }

    pub fn find(&mut self, id: &str) -> Option<&mut Container> {
        self.containers.iter_mut().find(|container| container.id == id || container.name == id)
    }

    /// The replicas of a service by their numbers.
    pub fn replicas(&self, service: &str) -> Vec<Container> {
        let project = self.project();
        let replicas = self.containers.iter().filter(|container| container.is_replica_of(service, &project));
        let mut replicas: Vec<_> = replicas.cloned().collect();
        replicas.sort_by_key(|container| container.number);
        replicas
    }

    /// Makes a container of the wanted version and returns its ID.
    pub fn create(&mut self, service: &Service, number: u32) -> String {
        let count = self.created.entry(service.name.clone()).or_default();
        *count += 1;
        let count = *count;
        let name = self.name_of(service, number);
        let ways = self.ways.get(&service.name);
        let way = ways.and_then(|ways| ways.get(count - 1).or(ways.last())).cloned();
        let id = hex(&format!("{name}, new {count}"));
        let address = format!("172.18.0.{}", self.names.len() + 2);
        self.names.insert(id.clone(), name.clone());
        self.containers.push(Container {
            id: id.clone(),
            project: self.project(),
            name,
            service: service.name.clone(),
            number,
            config_hash: self.hash(&service.name),
            image_id: self.images.get(&service.image).cloned().unwrap_or_default(),
            manifest: self.images.get(&service.image).and_then(|image| self.manifests.get(image)).cloned(),
            restart: service.restart.clone(),
            address,
            now: Reading::parse("created"),
            way: way.unwrap_or_else(|| service.usual_way()),
            log: self.logs.get(&service.name).cloned().unwrap_or_default(),
            ..Container::default()
        });
        id
    }

    pub fn name_of(&self, service: &Service, number: u32) -> String {
        let usual = || format!("{}-{}-{number}", self.project(), service.name);
        service.container_name.clone().unwrap_or_else(usual)
    }

    /// # Errors
    /// What the engine says to a container that cannot be started.
    pub fn start(&mut self, id: &str) -> Result<(), String> {
        let Some(container) = self.find(id) else { return Err(format!("No such container: {id}")) };
        if container.now.state == "paused" {
            return Err("cannot start a paused container, try unpause instead".to_owned());
        }
        if container.is_up() {
            return Ok(());
        }
        let mut way = container.way.clone().into_iter();
        container.now = way.next().unwrap_or_else(|| Reading::parse("running"));
        container.next = way.collect();
        let (id, error) = (container.id.clone(), container.now.error.clone());
        if container.now.state == "created" {
            return Err(error);
        }
        self.news.push(format!("{id} start"));
        Ok(())
    }

    /// After an inspection: what begins to be true now is seen by the next one.
    pub fn looked_at(&mut self, id: &str) {
        let Some(container) = self.find(id).filter(|container| !container.next.is_empty()) else { return };
        container.now = container.next.remove(0);
        let news = format!("{} {}", container.id, container.now.news());
        self.news.push(news);
    }

    pub fn become_reading(&mut self, name: &str, reading: &Reading) {
        let name = format!("{}-{name}", self.project());
        let container = self.find(&name).unwrap_or_else(|| panic!("no container {name}"));
        container.now = reading.clone();
        container.next.clear();
        let news = format!("{} {}", container.id, container.now.news());
        self.news.push(news);
    }

    pub fn vanish(&mut self, name: &str) {
        let name = format!("{}-{name}", self.project());
        self.containers.retain(|container| container.name != name);
    }

    /// # Errors
    /// There is no such container.
    pub fn stop(&mut self, id: &str) -> Result<(), String> {
        let Some(container) = self.find(id) else { return Err(format!("No such container: {id}")) };
        if container.is_up() {
            let exit_code = container.stops_with;
            container.now = Reading { exit_code, ..Reading::parse("exited 0") };
            container.next.clear();
            let id = container.id.clone();
            self.news.extend([format!("{id} die"), format!("{id} stop")]);
            self.count_serving();
        }
        Ok(())
    }

    /// One that was run with `--rm` comes to its end, and goes.
    ///
    /// # Errors
    /// There is no such container.
    pub fn end_one_off(&mut self, id: &str) -> Result<(), String> {
        self.stop(id).and_then(|()| self.remove(id))
    }

    /// # Errors
    /// There is no such container, or it runs.
    pub fn remove(&mut self, id: &str) -> Result<(), String> {
        let Some(container) = self.find(id) else { return Err(format!("No such container: {id}")) };
        if container.is_up() {
            let advice = "Stop the container before attempting removal or force remove";
            return Err(format!("You cannot remove a running container {}. {advice}", container.id));
        }
        let id = container.id.clone();
        self.containers.retain(|container| container.id != id);
        self.news.push(format!("{id} destroy"));
        Ok(())
    }

    /// Keeps the record of how few served.
    pub fn count_serving(&mut self) {
        for service in self.names_of_services.clone() {
            let serving = self.replicas(&service).iter().filter(|container| container.serves()).count();
            let least = self.least.entry(service).or_insert(serving);
            *least = serving.min(*least);
        }
    }
}
