//! Traefik's labels, where two versions of a service run side by side.
//!
//! Traefik 3.7.15, tried: a router, service or middleware that two containers define in different ways is dropped,
//! and every request gets 404 until one of the two is gone. Servers of a service may differ (`…server.port`), and so
//! may anything that has another name.

use std::collections::BTreeMap;

use crate::engine::Container;

/// Name of a router, service or middleware, such as `http.routers.app` → its keys and values.
type Definitions = BTreeMap<String, BTreeMap<String, String>>;

/// What to say when Traefik would drop something while an old container and new ones with these labels run.
pub fn conflict(new: &BTreeMap<String, String>, leaving: &Container) -> Option<String> {
    let old = definitions(&leaving.labels);
    let changed = |(name, wanted): (&String, &BTreeMap<String, String>)| {
        let key = difference(old.get(name)?, wanted)?;
        Some(sentence(name, &key, leaving))
    };
    definitions(new).iter().find_map(changed)
}

fn sentence(name: &str, key: &str, container: &Container) -> String {
    let own = name.rsplit('.').next().unwrap_or(name);
    format!(
        "labels: traefik.{name}.{key} is not what {} has, and while both run Traefik drops \"{own}\" and answers 404; give each router, service and middleware that changes a new name, and the routers that use it too, like \"{own}-2\"",
        container.name
    )
}

/// Whether Traefik sends requests to containers with these labels, as far as they tell.
pub fn finds(labels: &BTreeMap<String, String>) -> bool {
    !definitions(labels).is_empty() || enabled(labels) == Some(true)
}

fn enabled(labels: &BTreeMap<String, String>) -> Option<bool> {
    let (_, value) = labels.iter().find(|(key, _)| key.eq_ignore_ascii_case("traefik.enable"))?;
    Some(value.eq_ignore_ascii_case("true"))
}

fn difference(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Option<String> {
    let changed = new.iter().find(|(key, value)| old.get(*key) != Some(value)).map(|(key, _)| key);
    changed.or_else(|| old.keys().find(|key| !new.contains_key(*key))).cloned()
}

fn definitions(labels: &BTreeMap<String, String>) -> Definitions {
    let mut found = Definitions::new();
    if enabled(labels) == Some(false) {
        return found;
    }
    for (label, value) in labels {
        let lower = label.to_ascii_lowercase();
        let Some(rest) = lower.strip_prefix("traefik.") else { continue };
        let parts: Vec<_> = rest.splitn(4, '.').collect();
        let [protocol @ ("http" | "tcp" | "udp"), kind, name, key] = parts.as_slice() else { continue };
        let definition = found.entry(format!("{protocol}.{kind}.{name}")).or_default();
        if !(*kind == "services" && key.starts_with("loadbalancer.server.")) {
            definition.insert((*key).to_owned(), value.clone());
        }
    }
    imply_services(&mut found);
    found
}

/// A router without a service has the only one there is.
fn imply_services(found: &mut Definitions) {
    for protocol in ["http", "tcp", "udp"] {
        let prefix = format!("{protocol}.services.");
        let names: Vec<_> = found.keys().filter_map(|name| name.strip_prefix(&prefix)).collect();
        let only = names.join(", ");
        let routers = found.iter_mut().filter(|(name, _)| name.starts_with(&format!("{protocol}.routers.")));
        for (_, definition) in routers {
            definition.entry("service".to_owned()).or_insert_with(|| only.clone());
        }
    }
}
