//! Limits and places: what Compose has beside `deploy`.

use serde_json::{Value, json};

use super::{
    service::Draft,
    walk::{is_nothing, word},
};

/// Compose's key, and where it belongs.
const LIMITS: &[(&str, &str, &str)] = &[
    ("cpus", "limits", "cpus"),
    ("mem_limit", "limits", "memory"),
    ("mem_reservation", "reservations", "memory"),
];

/// As Compose writes a platform, and as the engine of a node names its machine.
const MACHINES: &[(&str, &str)] = &[
    ("amd64", "x86_64"),
    ("x86_64", "x86_64"),
    ("arm64", "aarch64"),
    ("arm64/v8", "aarch64"),
    ("aarch64", "aarch64"),
    ("arm/v7", "armv7l"),
    ("arm/v6", "armv6l"),
    ("386", "i686"),
    ("ppc64le", "ppc64le"),
    ("s390x", "s390x"),
    ("riscv64", "riscv64"),
];

impl Draft<'_> {
    pub(super) fn resources(&mut self) {
        for (key, section, name) in LIMITS {
            let value = &self.raw[*key];
            let none = is_nothing(value) || word(value) == "0";
            if !none && self.body["deploy"]["resources"][section][name].is_null() {
                self.set_resource(section, name, json!(word(&self.raw[*key])));
            }
        }
        // Less than one is no limit.
        let pids = self.raw["pids_limit"].as_i64().filter(|n| *n > 0);
        if let Some(n) = pids.filter(|_| self.body["deploy"]["resources"]["limits"]["pids"].is_null()) {
            self.set_resource("limits", "pids", json!(n));
        }
    }

    fn set_resource(&mut self, section: &str, name: &str, value: Value) {
        let resources = self.deploy_mut("resources");
        resources[section][name] = value;
    }

    pub(super) fn platform(&mut self) {
        let Some(platform) = self.raw["platform"].as_str().filter(|platform| !platform.is_empty()) else {
            return;
        };
        let (os, machine) = match platform.split_once('/') {
            Some((os, machine)) => (Some(os), Some(machine)),
            None if ["linux", "windows"].contains(&platform) => (Some(platform), None),
            None => (None, Some(platform)),
        };
        let known = machine.map(|machine| MACHINES.iter().find(|(known, _)| *known == machine));
        if known == Some(None) {
            let message = format!("platform \"{platform}\": nobody knows how a node of it names its machine");
            let instead = "write deploy.placement.constraints, like \"node.platform.arch==x86_64\"";
            return self.walk.misfit("platform", &message, instead);
        }
        let os = os.map(|os| format!("node.platform.os=={os}"));
        let machine = known.flatten().map(|(_, machine)| format!("node.platform.arch=={machine}"));
        let placement = self.deploy_mut("placement");
        if !placement["constraints"].is_null() && !placement["constraints"].is_array() {
            return self.walk.odd("deploy.placement.constraints", "a list");
        }
        let mut constraints = placement["constraints"].as_array().cloned().unwrap_or_default();
        constraints.extend(os.into_iter().chain(machine).map(Value::from));
        placement["constraints"] = Value::Array(constraints);
    }
}
