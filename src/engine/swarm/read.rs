//! Reads what a manager prints.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

const NOT_UNDERSTOOD: &str = "the answer of a Swarm manager is not understood";

/// The part that an engine has in a swarm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swarm {
    /// It is a manager that can answer.
    pub controls: bool,
    /// `inactive`, `active`, `pending`, `error`, `locked`.
    pub state: String,
    /// Empty where it is no manager.
    pub cluster: String,
    pub error: String,
}

/// What a service is, was, and is becoming.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Service {
    pub id: String,
    pub name: String,
    /// What is wanted of it.
    pub spec: Value,
    /// What was wanted before; `Null` where nobody can go back.
    pub previous: Value,
    pub update: Option<Update>,
}

/// The state of the last update.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// `updating`, `paused`, `completed`, `rollback_started`, `rollback_paused`, `rollback_completed`.
    pub state: String,
    /// RFC 3339, by the clock of the manager that leads.
    pub started_at: String,
    pub message: String,
}

/// One task, as `docker service ps` prints it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Task {
    pub id: String,
    /// `shop_app.2`, or `shop_app.NODE` of a global service.
    pub name: String,
    pub node: String,
    pub image: String,
    /// In lower case: `running`, `shutdown`, `ready`.
    pub desired: String,
    /// In lower case, without its age: `pending`, `starting`, `running`, `failed`.
    pub state: String,
    pub error: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    pub id: String,
    pub hostname: String,
    /// `active`, `pause`, `drain`.
    pub availability: String,
    /// `ready`, `down`, `unknown`, `disconnected`.
    pub state: String,
    pub is_manager: bool,
    pub labels: BTreeMap<String, String>,
}

impl Service {
    pub fn label(&self, key: &str) -> Option<&str> {
        self.spec["Labels"][key].as_str()
    }

    /// `None` of a global one.
    pub fn replicas(&self) -> Option<u64> {
        self.spec["Mode"]["Replicated"]["Replicas"].as_u64()
    }

    /// `replicated`, `global`, `replicated-job`, `global-job`.
    pub fn mode(&self) -> &'static str {
        let mode = &self.spec["Mode"];
        let has = |key: &str| mode.get(key).is_some_and(|value| !value.is_null());
        match () {
            () if has("Global") => "global",
            () if has("ReplicatedJob") => "replicated-job",
            () if has("GlobalJob") => "global-job",
            () => "replicated",
        }
    }

    pub fn image(&self) -> &str {
        self.spec["TaskTemplate"]["ContainerSpec"]["Image"].as_str().unwrap_or_default()
    }

    /// The state of its last update, or nothing.
    pub fn state(&self) -> &str {
        self.update.as_ref().map_or("", |update| &update.state)
    }
}

impl Task {
    pub fn is_running(&self) -> bool {
        self.state == "running"
    }

    /// It is to run, and no other one in its place.
    pub fn is_wanted(&self) -> bool {
        matches!(self.desired.as_str(), "running" | "ready")
    }

    /// It will never run.
    pub fn has_ended(&self) -> bool {
        matches!(self.state.as_str(), "complete" | "shutdown" | "failed" | "rejected" | "remove" | "orphaned")
    }
}

pub fn read_swarm(json: &str) -> Result<Swarm> {
    let value: Value = serde_json::from_str(json.trim()).context(NOT_UNDERSTOOD)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(Swarm {
        controls: value["ControlAvailable"].as_bool().unwrap_or(false),
        state: text(&value["LocalNodeState"]),
        cluster: text(&value["Cluster"]["ID"]),
        error: text(&value["Error"]),
    })
}

pub fn read_services(json: &str) -> Result<Vec<Service>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Raw {
        #[serde(rename = "ID")]
        id: String,
        spec: Value,
        #[serde(default)]
        previous_spec: Value,
        update_status: Option<RawUpdate>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    #[derive(Default)]
    struct RawUpdate {
        state: String,
        started_at: String,
        message: String,
    }
    let all: Vec<Raw> = serde_json::from_str(json).context(NOT_UNDERSTOOD)?;
    let update =
        |raw: RawUpdate| Update { state: raw.state, started_at: raw.started_at, message: raw.message };
    let one = |raw: Raw| Service {
        name: raw.spec["Name"].as_str().unwrap_or_default().to_owned(),
        id: raw.id,
        spec: raw.spec,
        previous: raw.previous_spec,
        // An update that has not begun has no state.
        update: raw.update_status.map(update).filter(|update| !update.state.is_empty()),
    };
    Ok(all.into_iter().map(one).collect())
}

pub fn read_tasks(lines: &str) -> Result<Vec<Task>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Raw {
        #[serde(rename = "ID")]
        id: String,
        name: String,
        node: String,
        image: String,
        desired_state: String,
        current_state: String,
        error: String,
    }
    let one = |line: &str| {
        let raw: Raw = serde_json::from_str(line).context(NOT_UNDERSTOOD)?;
        // "Running 3 seconds ago"
        let state = raw.current_state.split(' ').next().unwrap_or_default().to_lowercase();
        Ok(Task {
            id: raw.id,
            // The client draws a tree with it: `\_ shop_app.1`.
            name: raw.name.trim_start_matches(['\\', '_', ' ']).to_owned(),
            node: raw.node,
            image: raw.image,
            desired: raw.desired_state.to_lowercase(),
            state,
            error: raw.error.trim_matches('"').to_owned(),
        })
    };
    lines.lines().filter(|line| !line.trim().is_empty()).map(one).collect()
}

pub fn read_nodes(json: &str) -> Result<Vec<Node>> {
    let all: Vec<Value> = serde_json::from_str(json).context(NOT_UNDERSTOOD)?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let one = |value: &Value| {
        let labels = value["Spec"]["Labels"].as_object().into_iter().flatten();
        Node {
            id: text(&value["ID"]),
            hostname: text(&value["Description"]["Hostname"]),
            availability: text(&value["Spec"]["Availability"]),
            state: text(&value["Status"]["State"]),
            is_manager: value["Spec"]["Role"] == "manager",
            labels: labels.map(|(key, label)| (key.clone(), text(label))).collect(),
        }
    };
    Ok(all.iter().map(one).collect())
}

/// Base64, as an engine writes bytes in JSON.
pub fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    Some(bytes)
}
