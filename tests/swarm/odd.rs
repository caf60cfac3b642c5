//! Files of a form that no Compose prints today: whatever stands where, there is an answer.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use zdd::{
    platform::swarm::stack::{Misfit, Options, Stack, convert},
    project::Document,
};

use super::Files;

/// Puts a value of each kind in the place of each value, one at a time.
pub fn survives(resolved: &str) {
    let whole: Value = serde_yaml::from_str(resolved).expect("YAML");
    let mut places = Vec::new();
    find("", &whole, &mut places);
    let kinds = [
        json!(null),
        json!(true),
        json!(7),
        json!("x"),
        json!([]),
        json!(["x"]),
        json!({}),
        json!({"x": {"y": 1}}),
    ];
    for place in places {
        for kind in &kinds {
            let mut changed = whole.clone();
            *changed.pointer_mut(&place).expect("a place") = kind.clone();
            let answer = answer(&changed);
            for (name, service) in answer.iter().flat_map(|stack| &stack.services) {
                service.clone().stop_first();
                assert!(!service.text(answer.as_ref().expect("it"), name).is_empty());
            }
        }
    }
}

/// Below these nothing is of interest to Swarm: Compose has done it, or does it alone.
const NOT_OF_SWARM: &[&str] = &["build", "develop", "env_file", "annotations", "gpus", "provider", "models"];

/// Puts a key that nobody knows into each mapping: it is refused, or it reaches the Docker CLI, which refuses it.
pub fn refuses_what_is_unknown(resolved: &str) {
    let whole: Value = serde_yaml::from_str(resolved).expect("YAML");
    if answer(&whole).is_err() {
        return;
    }
    let mut places = Vec::new();
    find("", &whole, &mut places);
    for place in places {
        let mut changed = whole.clone();
        let Some(map) = changed.pointer_mut(&place).and_then(Value::as_object_mut) else { continue };
        map.insert("speed".to_owned(), json!({"a": "b"}));
        let parts: Vec<_> = place.split('/').collect();
        // Another service, another network: it is no key.
        let is_section = parts.len() == 2 || place.contains("x-");
        // Those of a config go with the object.
        let is_section = is_section || parts[1] == "configs" && parts.last() == Some(&"labels");
        if is_section || NOT_OF_SWARM.iter().any(|key| parts.contains(key)) {
            continue;
        }
        if let Ok(stack) = answer(&changed) {
            let services = stack.services.values();
            let mut all = services.flat_map(|service| service.pre_start.iter().chain([service]));
            let sent = all.any(|service| service.text(&stack, "S").contains("speed"));
            assert!(
                sent || !is_used(&stack, &parts),
                "a key that nobody knows is dropped at {place} of\n{resolved}"
            );
        }
    }
}

/// A network and the like that no service uses is not sent at all.
fn is_used(stack: &Stack, parts: &[&str]) -> bool {
    let key = parts[2].to_owned();
    stack.services.values().any(|service| match parts[1] {
        "networks" => service.networks().contains(&key),
        "volumes" => service.volumes().contains(&key),
        "services" => true,
        section => service.text(stack, "S").contains(&format!("\"source\":\"{key}\"")) && section != "models",
    })
}

fn answer(file: &Value) -> Result<Stack, Vec<Misfit>> {
    let document = Document::parse(&file.to_string()).expect("a mapping");
    let options = Options {
        sources: &Files,
        settings: BTreeMap::new(),
        scale: BTreeMap::new(),
        without: BTreeMap::new(),
    };
    convert(&document, &options)
}

fn find(path: &str, value: &Value, places: &mut Vec<String>) {
    if !path.is_empty() {
        places.push(path.to_owned());
    }
    let below = |key: &str| format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| find(&below(key), value, places)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, value)| find(&below(&n.to_string()), value, places));
        }
        _ => {}
    }
}
