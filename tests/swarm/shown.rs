//! A stack in few lines.

use serde_json::{Value, json};
use zdd::{
    platform::swarm::stack::{Misfit, Mode, Stack, StackService},
    project::Condition,
};

pub fn misfits(misfits: &[Misfit]) -> String {
    misfits.iter().map(|misfit| format!("refused: {misfit}\n")).collect()
}

/// What differs from a service that has an image alone.
pub fn stack(stack: &Stack) -> String {
    let plain = super::converted(&resolved("app")).expect("a project").expect("nothing in the way");
    let plain = &plain.services["app"];
    let mut lines = Vec::new();
    for (name, service) in &stack.services {
        of_service(name, service, stack, plain, &mut lines);
        for (number, hook) in service.pre_start.iter().enumerate() {
            of_service(&format!("{name}: pre_start {}", number + 1), hook, stack, plain, &mut lines);
        }
    }
    for kept in &stack.kept {
        let labels =
            if kept.labels.len() > 2 { format!(", labels {:?}", kept.labels[0]) } else { String::new() };
        let driver =
            kept.template_driver.as_ref().map(|driver| format!(", template {driver}")).unwrap_or_default();
        lines.push(format!("{} {}: {:?}{labels}{driver}", kept.kind.word(), kept.name, kept.bytes));
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

fn resolved(name: &str) -> String {
    let service = json!({"image": "app:1", "networks": {"default": null}});
    json!({"name": "shop", "services": {name: service}, "networks": {"default": {"name": "shop_default"}}})
        .to_string()
}

fn of_service(
    name: &str,
    service: &StackService,
    stack: &Stack,
    plain: &StackService,
    lines: &mut Vec<String>,
) {
    let is_plain = name == "app";
    let prefix = if is_plain { String::new() } else { format!("{name}: ") };
    let text = |service: &StackService| -> Value {
        let text = service.text(stack, "S");
        serde_json::from_str(&text.replace(&service.hash, "HASH").replace(&service.settings_hash, "SETTINGS"))
            .expect("JSON")
    };
    // The networks of the plain one are those of every file.
    let before = text(plain);
    differences("", &before, &text(service), &prefix, lines);
    for note in service.notes.iter().filter(|note| !plain.notes.contains(note)) {
        lines.push(format!("{prefix}note: {note}"));
    }
    for on in &service.after {
        let how = match on.condition {
            Condition::Started => "started",
            Condition::Healthy => "healthy",
            Condition::Completed => "completed",
        };
        let required = if on.required { "" } else { ", if it is there" };
        lines.push(format!("{prefix}after {} {how}{required}", on.service));
    }
    if service.job {
        lines.push(format!("{prefix}runs to its end"));
    }
    if service.mode == Mode::Global {
        lines.push(format!("{prefix}one on each node"));
    }
}

/// `deploy.replicas: 2`, and `-` for what is not there any more.
fn differences(path: &str, before: &Value, after: &Value, prefix: &str, lines: &mut Vec<String>) {
    let (Some(old), Some(new)) = (before.as_object(), after.as_object()) else {
        if before != after {
            lines.push(format!("{prefix}{}: {after}", place(path)));
        }
        return;
    };
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        lines.push(format!("{prefix}{}: -", place(&format!("{path}/{key}"))));
    }
    for (key, value) in new {
        let path = format!("{path}/{key}");
        match old.get(key) {
            Some(before) => differences(&path, before, value, prefix, lines),
            None => lines.push(format!("{prefix}{}: {value}", place(&path))),
        }
    }
}

fn place(path: &str) -> String {
    path.trim_start_matches('/').trim_start_matches("services/S/").replace('/', ".")
}

/// A line for each service.
pub fn in_brief(stack: &Stack) -> String {
    let mut text = String::new();
    for (name, service) in &stack.services {
        let body: Value = serde_json::from_str(&service.text(stack, name)).expect("JSON");
        let body = &body["services"][name.as_str()];
        let keys: Vec<_> = body.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
        let deploy: Vec<_> =
            body["deploy"].as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
        let deploy: Vec<_> = deploy
            .into_iter()
            .filter(|key| !["labels", "rollback_config", "update_config"].contains(key))
            .collect();
        let replicas = service.replicas.map(|n| format!(" × {n}")).unwrap_or_default();
        let job = if service.job { ", runs to its end" } else { "" };
        let keys: Vec<_> = keys.into_iter().filter(|key| *key != "deploy").collect();
        let line = format!("{name}{replicas}{job}: {}; {}", keys.join(" "), deploy.join(" "));
        text += &format!("{}\n", line.trim_end_matches("; "));
        text += &service.notes.iter().map(|note| format!("  {note}\n")).collect::<String>();
        let after: Vec<_> = service.after.iter().map(|on| on.service.as_str()).collect();
        if !after.is_empty() {
            text += &format!("  after {}\n", after.join(", "));
        }
        text += &service.pre_start.iter().map(|_| "  a pre_start\n").collect::<String>();
    }
    text +=
        &stack.kept.iter().map(|kept| format!("{} {}\n", kept.kind.word(), kept.name)).collect::<String>();
    text
}
