//! What differs between a revision and the file as it is now, service by service, key by key. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Document, mask};

/// The differences as text, one line each; empty when there are none. `images` names, by service, the short IDs of
/// the image that the revision runs and of the one that the file's tag means now, where they differ.
pub fn text(then: &Document, now: &Document, images: &BTreeMap<String, (String, String)>) -> String {
    let mut out = String::new();
    let mut names: Vec<&String> = then.services().chain(now.services()).map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    for name in names {
        let lines = match (then.service(name), now.service(name)) {
            (Some(then), Some(now)) => service(then, now, images.get(name)),
            (None, _) => vec!["is new".to_owned()],
            (_, None) => vec!["is gone".to_owned()],
        };
        section(&mut out, name, &lines);
    }
    resources(then, now, &mut out);
    out
}

fn section(out: &mut String, title: &str, lines: &[String]) {
    if !lines.is_empty() {
        *out += &format!("{title}\n");
        lines.iter().for_each(|line| *out += &format!("  {line}\n"));
    }
}

fn service(then: &Value, now: &Value, images: Option<&(String, String)>) -> Vec<String> {
    let mut lines = Vec::new();
    compare(&mut vec![], then, now, &mut lines);
    let same_name = then.get("image") == now.get("image");
    if let Some((old, new)) = images.filter(|_| same_name) {
        lines.push(format!("image: the same tag means another image ({old} → {new})"));
    }
    lines
}

fn resources(then: &Document, now: &Document, out: &mut String) {
    let (old, new): (BTreeMap<_, _>, BTreeMap<_, _>) =
        (then.resources().collect(), now.resources().collect());
    let mut kinds: Vec<&String> = old.keys().chain(new.keys()).copied().collect();
    kinds.sort();
    kinds.dedup();
    for kind in kinds {
        let mut lines = Vec::new();
        let side = |side: &BTreeMap<&String, &Value>| side.get(kind).map_or(Value::Null, |v| (*v).clone());
        compare(&mut vec![kind.clone()], &side(&old), &side(&new), &mut lines);
        lines.iter().for_each(|line| *out += &format!("{line}\n"));
    }
}

/// Maps are compared key by key, anything else as a whole.
fn compare(path: &mut Vec<String>, then: &Value, now: &Value, lines: &mut Vec<String>) {
    if then == now {
        return;
    }
    let empty = serde_json::Map::new();
    let map = |value: &Value| match value {
        Value::Object(map) => Some(map.clone()),
        Value::Null => Some(empty.clone()),
        _ => None,
    };
    match (map(then), map(now)) {
        (Some(old), Some(new)) if !(old.is_empty() && new.is_empty()) && descends(path, then, now) => {
            let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                path.push(key.clone());
                let null = Value::Null;
                match (old.get(key), new.get(key)) {
                    (Some(old), Some(new)) => compare(path, old, new, lines),
                    (old, new) => {
                        one_sided(path, old.unwrap_or(&null), new.unwrap_or(&null), lines, old.is_none())
                    }
                }
                path.pop();
            }
        }
        _ => lines.push(changed(path, then, now)),
    }
}

/// A key that only one side has is told as a whole, unless it holds maps of its own.
fn one_sided(path: &mut Vec<String>, then: &Value, now: &Value, lines: &mut Vec<String>, is_new: bool) {
    let whole = if is_new { now } else { then };
    let nested = whole.as_object().is_some_and(|map| !map.is_empty());
    if nested {
        return compare(path, then, now, lines);
    }
    let word = if is_new { "new" } else { "gone" };
    lines.push(match mask::shown(path, whole) {
        Some(text) if !text.is_empty() && !whole.is_null() => format!("{}: {word}: {text}", path.join(".")),
        _ => format!("{}: {word}", path.join(".")),
    });
}

fn descends(path: &[String], then: &Value, now: &Value) -> bool {
    path.is_empty() || then.is_object() || now.is_object()
}

fn changed(path: &[String], then: &Value, now: &Value) -> String {
    let name = path.join(".");
    match (mask::shown(path, then), mask::shown(path, now)) {
        (Some(old), Some(new)) if old != new => format!("{name}: {old} → {new}"),
        _ => format!("{name}: changed"),
    }
}
