//! What differs between a revision and the file as it is now, service by service, key by key. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::mask;
use crate::project::Document;

/// The differences as text, one line each; empty when there are none. `images` names, by service, the short IDs of
/// the image that the revision runs and of the one that the file's tag means now, where they differ.
pub fn text(then: &Document, now: &Document, images: &BTreeMap<String, (String, String)>) -> String {
    let names: BTreeSet<&String> = then.services().chain(now.services()).map(|(name, _)| name).collect();
    let services = names.into_iter().map(|name| {
        let lines = match (then.service(name), now.service(name)) {
            (Some(then), Some(now)) => service(then, now, images.get(name)),
            (None, _) => vec!["is new".to_owned()],
            (_, None) => vec!["is gone".to_owned()],
        };
        let lines: String = lines.iter().map(|line| format!("  {line}\n")).collect();
        if lines.is_empty() { lines } else { format!("{name}\n{lines}") }
    });
    services.chain(resources(then, now).into_iter().map(|line| line + "\n")).collect()
}

fn service(then: &Value, now: &Value, images: Option<&(String, String)>) -> Vec<String> {
    let mut lines = Vec::new();
    compare(&mut vec![], Some(then), Some(now), &mut lines);
    let same_name = then.get("image") == now.get("image");
    if let Some((old, new)) = images.filter(|_| same_name) {
        lines.push(format!("image: same tag, different image ({old} → {new})"));
    }
    lines
}

fn resources(then: &Document, now: &Document) -> Vec<String> {
    let [old, new] = [then, now].map(|side| side.resources().collect::<BTreeMap<_, _>>());
    let mut lines = Vec::new();
    for kind in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        let [old, new] = [&old, &new].map(|side| side.get(*kind).copied());
        compare(&mut vec![kind.to_string()], old, new, &mut lines);
    }
    lines
}

/// Maps are compared key by key, anything else as a whole. `None` is what this side does not have.
fn compare(path: &mut Vec<String>, then: Option<&Value>, now: Option<&Value>, lines: &mut Vec<String>) {
    if then == now {
        return;
    }
    match (map(then), map(now)) {
        (Some(old), Some(new)) if !old.is_empty() || !new.is_empty() => {
            for key in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
                path.push(key.clone());
                compare(path, old.get(key), new.get(key), lines);
                path.pop();
            }
        }
        _ => lines.push(difference(path, then, now)),
    }
}

fn map(value: Option<&Value>) -> Option<Map<String, Value>> {
    match value {
        None | Some(Value::Null) => Some(Map::new()),
        Some(value) => value.as_object().cloned(),
    }
}

fn difference(path: &[String], then: Option<&Value>, now: Option<&Value>) -> String {
    let name = path.join(".");
    let shown = |value: Option<&Value>| mask::shown(path, value?);
    match (shown(then), shown(now)) {
        (old, new) if then.is_none() || now.is_none() => {
            let word = if then.is_none() { "new" } else { "gone" };
            match old.or(new).filter(|text| !text.is_empty() && text != "null") {
                Some(text) => format!("{name}: {word}: {text}"),
                None => format!("{name}: {word}"),
            }
        }
        (Some(old), Some(new)) if old != new => format!("{name}: {old} → {new}"),
        _ => format!("{name}: changed"),
    }
}
