//! What a project runs on, and what the file says of Docker Swarm: `x-zdd.engine` and `x-zdd.swarm`. Pure.

use std::collections::{BTreeMap, BTreeSet};

use clap::ValueEnum;
use serde_json::Value;

use super::{
    Included,
    settings::{BadSetting, FOR_THE_WHOLE_FILE, bad, one_of, unknown_key, unknown_word},
};
use crate::engine::config::File;

/// What runs the containers.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Runs {
    /// Compose, on one engine.
    #[default]
    Compose,
    /// Docker Swarm, on the nodes that its managers know.
    Swarm,
}

/// What the file says of it, decided neither by a flag nor by the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SwarmLayer {
    /// `x-zdd.engine`
    pub engine: Option<Runs>,
    /// Docker contexts of managers that may be asked when one does not answer.
    pub contexts: Vec<String>,
    /// Service → keys that it does without on Swarm, knowingly.
    pub without: BTreeMap<String, BTreeSet<String>>,
}

/// The keys of a service that Swarm has nothing for, and that somebody may decide to do without: the service starts, and
/// what is missing is the author's business.
pub const WAIVABLE: &[&str] = &[
    "blkio_config",
    "cgroup",
    "cgroup_parent",
    "cpu_count",
    "cpu_percent",
    "cpu_period",
    "cpu_quota",
    "cpu_rt_period",
    "cpu_rt_runtime",
    "cpu_shares",
    "cpuset",
    "device_cgroup_rules",
    "devices",
    "dns_opt",
    "domainname",
    "gpus",
    "group_add",
    "ipc",
    "mac_address",
    "mem_swappiness",
    "memswap_limit",
    "oom_kill_disable",
    "oom_score_adj",
    "post_start",
    "pre_start",
    "pre_stop",
    "privileged",
    "runtime",
    "security_opt",
    "storage_opt",
    "userns_mode",
    "uts",
];

/// Key, what may be written, its default, what it does, and where it stands: for people.
pub const ABOUT: &[[&str; 5]] = &[
    ["engine", "compose, swarm", "compose", "what runs the project", "at the top of the file"],
    [
        "swarm.contexts",
        "a list of Docker contexts",
        "none",
        "managers that are asked when one does not answer",
        "at the top of the file",
    ],
    ["swarm.without", "a list of keys", "none", "keys that a service does without on Swarm, knowingly", ""],
];

const SERVICE_KEYS: &[&str] = &["without"];
const TOP_KEYS: &[&str] = &["contexts", "without"];

impl SwarmLayer {
    /// What a file says, the files that it includes, and its services.
    ///
    /// # Errors
    /// A key or a word that is not known, or a value of another form, with its path and what to write instead.
    pub(super) fn read(file: &File, included: &[Included]) -> Result<SwarmLayer, BadSetting> {
        let mut layer = SwarmLayer::default();
        let written = |value: &Option<Value>| value.clone().unwrap_or_default();
        layer.take_top(&written(&file.x_zdd), &["x-zdd"], file.services.keys())?;
        for one in included {
            layer.take_top(&one.x_zdd, &[&one.file, "x-zdd"], one.services.iter())?;
        }
        for (name, service) in &file.services {
            layer.take_service(name, &written(&service.x_zdd), &["services", name, "x-zdd"])?;
        }
        Ok(layer)
    }

    fn take_top<'a>(
        &mut self,
        x_zdd: &Value,
        path: &[&str],
        services: impl Iterator<Item = &'a String>,
    ) -> Result<(), BadSetting> {
        if !x_zdd["engine"].is_null() {
            self.engine = Some(one_of(&x_zdd["engine"], &below(path, "engine"))?);
        }
        let (swarm, path) = (&x_zdd["swarm"], below(path, "swarm"));
        check_keys(swarm, &path, TOP_KEYS)?;
        self.contexts.extend(words(&swarm["contexts"], &below(&path, "contexts"), "prod-1")?);
        let without = without(swarm, &path)?;
        for service in services.filter(|_| !without.is_empty()) {
            self.without.entry(service.clone()).or_default().extend(without.iter().cloned());
        }
        Ok(())
    }

    fn take_service(&mut self, service: &str, x_zdd: &Value, path: &[&str]) -> Result<(), BadSetting> {
        let (swarm, path) = (&x_zdd["swarm"], below(path, "swarm"));
        if !swarm["contexts"].is_null() {
            return Err(bad(&below(&path, "contexts"), FOR_THE_WHOLE_FILE));
        }
        check_keys(swarm, &path, SERVICE_KEYS)?;
        let without = without(swarm, &path)?;
        if !without.is_empty() {
            self.without.entry(service.to_owned()).or_default().extend(without);
        }
        Ok(())
    }
}

fn below<'a>(path: &[&'a str], key: &'a str) -> Vec<&'a str> {
    path.iter().copied().chain([key]).collect()
}

fn check_keys(swarm: &Value, path: &[&str], known: &[&str]) -> Result<(), BadSetting> {
    if !swarm.is_null() && !swarm.is_object() {
        return Err(bad(path, "must be a mapping, like \"{without: [pre_stop]}\""));
    }
    let keys = swarm.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
    match keys.filter(|key| !key.starts_with("x-")).find(|key| !known.contains(key)) {
        Some(key) => Err(unknown_key(&below(path, key), known)),
        None => Ok(()),
    }
}

fn without(swarm: &Value, path: &[&str]) -> Result<Vec<String>, BadSetting> {
    let path = below(path, "without");
    let named = words(&swarm["without"], &path, "pre_stop")?;
    match named.iter().find(|key| !WAIVABLE.contains(&key.as_str())) {
        Some(key) => {
            let remedy = format!("write one of {}", WAIVABLE.join(", "));
            Err(unknown_word(&path, &Value::from(key.as_str()), WAIVABLE, &remedy))
        }
        None => Ok(named),
    }
}

/// A list of words; one alone may stand without its brackets.
fn words(value: &Value, path: &[&str], like: &str) -> Result<Vec<String>, BadSetting> {
    let wrong = || bad(path, &format!("must be a list of words, like \"[{like}]\""));
    let word =
        |value: &Value| value.as_str().filter(|word| !word.is_empty()).map(str::to_owned).ok_or_else(wrong);
    match value {
        Value::Null => Ok(vec![]),
        Value::Array(words) => words.iter().map(word).collect(),
        one => Ok(vec![word(one)?]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<SwarmLayer, String> {
        let file: File = serde_yaml::from_str(&format!("name: app\n{yaml}")).expect("YAML");
        SwarmLayer::read(&file, &[]).map_err(|bad| bad.to_string())
    }

    #[test]
    fn what_the_file_says_holds_for_all_and_a_service_s_own_beside_it() {
        let layer = read(
            "x-zdd: {engine: swarm, swarm: {contexts: [prod-1, prod-2], without: pre_stop}}\n\
             services: {web: {x-zdd: {swarm: {without: [security_opt]}}}, db: {}}",
        )
        .unwrap();
        assert_eq!(
            (layer.engine, layer.contexts),
            (Some(Runs::Swarm), vec!["prod-1".into(), "prod-2".into()])
        );
        let without = |service: &str| layer.without[service].iter().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!((without("web").as_str(), without("db").as_str()), ("pre_stop security_opt", "pre_stop"));
        assert_eq!(read("services: {web: {}}"), Ok(SwarmLayer::default()));
    }

    #[test]
    fn bad_values_name_their_key_and_what_to_write() {
        for (x_zdd, problem) in [
            (
                "{engine: swarn}",
                "x-zdd.engine: \"swarn\" is not known; did you mean \"swarm\"? write one of \"compose\", \"swarm\"",
            ),
            ("{swarm: [a]}", "x-zdd.swarm: must be a mapping, like \"{without: [pre_stop]}\""),
            (
                "{swarm: {withot: a}}",
                "x-zdd.swarm.withot: unknown key; did you mean \"without\"? known keys are contexts, without",
            ),
            (
                "{swarm: {without: [prestop]}}",
                "x-zdd.swarm.without: \"prestop\" is not known; did you mean \"pre_stop\"? write one of blkio_config, ",
            ),
            (
                "{swarm: {contexts: {a: b}}}",
                "x-zdd.swarm.contexts: must be a list of words, like \"[prod-1]\"",
            ),
            ("{swarm: {contexts: ['']}}", "x-zdd.swarm.contexts: must be a list of words"),
        ] {
            let error = read(&format!("x-zdd: {x_zdd}\nservices: {{web: {{}}}}")).expect_err(x_zdd);
            assert!(error.starts_with(problem), "{error}");
        }
        let own = read("services: {web: {x-zdd: {swarm: {contexts: [a]}}}}").expect_err("of the file");
        assert!(own.starts_with("services.web.x-zdd.swarm.contexts: holds for the whole file"), "{own}");
    }
}
