//! What the Docker CLI makes of a text. `docker stack config` reads it as `docker stack deploy` does, and needs no engine.

use std::{
    io::Write,
    process::{Command, Stdio},
    sync::OnceLock,
};

use serde_json::{Value, json};
use zdd::platform::swarm::stack::Stack;

use crate::real;

/// Whether there is a Docker CLI that knows the schema.
fn is_here() -> bool {
    static HERE: OnceLock<bool> = OnceLock::new();
    *HERE.get_or_init(|| {
        let good = real::program().file_name().is_some_and(|name| name == "docker")
            && config("services: {app: {image: app, healthcheck: {start_interval: 1s}}}").is_ok();
        if !good {
            eprintln!("no Docker CLI of 25 or newer: nobody has asked it about the stacks");
        }
        good
    })
}

/// What it says against it: a refusal, or keys that it has dropped. All services in one text, to ask it once.
pub fn objections(stack: &Stack) -> String {
    if !is_here() || stack.services.is_empty() {
        return String::new();
    }
    let mut sent = json!({});
    for (name, service) in &stack.services {
        let hooks = service.pre_start.iter().enumerate();
        let named = hooks.map(|(number, hook)| (format!("{name}-{number}"), hook));
        for (name, service) in named.chain([(name.clone(), service)]) {
            let text: Value = serde_json::from_str(&service.text(stack, &name)).expect("JSON");
            for (section, keys) in text.as_object().into_iter().flatten() {
                for (key, value) in keys.as_object().into_iter().flatten() {
                    sent[section][key] = value.clone();
                }
            }
        }
    }
    match config(&sent.to_string()) {
        Err(error) => format!("the Docker CLI refuses it: {error}\n"),
        Ok(read) => {
            let mut lost = Vec::new();
            dropped("", &sent, &read, &mut lost);
            lost.iter().map(|key| format!("the Docker CLI drops {key}\n")).collect()
        }
    }
}

fn config(text: &str) -> Result<Value, String> {
    let mut command = Command::new(real::program());
    command.args(["stack", "config", "-c", "-"]).env_clear().envs(real::environment());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("docker");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("the text");
    let output = child.wait_with_output().expect("docker");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(serde_yaml::from_str(&text(&output.stdout)).expect("YAML")),
        false => Err(text(&output.stderr)),
    }
}

/// What was sent, has a value, and is not there any more. Lists are put in order by the CLI: their lengths count.
fn dropped(path: &str, sent: &Value, read: &Value, lost: &mut Vec<String>) {
    match (sent, read) {
        // A false and a 0 are what there is without them.
        (Value::Null | Value::Bool(false), _) => {}
        (sent, Value::Null) if sent.as_f64() == Some(0.0) || is_empty(sent) => {}
        (_, Value::Null) => lost.push(path.to_owned()),
        (Value::Object(sent), Value::Object(read)) => {
            for (key, value) in sent {
                dropped(&format!("{path}.{key}"), value, read.get(key).unwrap_or(&Value::Null), lost);
            }
        }
        (Value::Array(sent), Value::Array(read)) if sent.len() != read.len() => {
            lost.push(format!("{path}: {} of {}", sent.len() - read.len().min(sent.len()), sent.len()));
        }
        (Value::Array(sent), Value::Array(read)) => {
            for (number, (sent, read)) in sent.iter().zip(read).enumerate() {
                dropped(&format!("{path}.{number}"), sent, read, lost);
            }
        }
        (Value::String(sent), Value::String(read))
            if is_literal(path) && sent.replace("$$", "$") != *read =>
        {
            lost.push(format!("what {path} says: {read}"));
        }
        _ => {}
    }
}

/// Times, sizes and the like are written in another form.
fn is_literal(path: &str) -> bool {
    [".environment.", ".labels.", ".command.", ".entrypoint.", ".driver_opts.", ".options."]
        .iter()
        .any(|part| path.contains(part))
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty)
        || value.as_array().is_some_and(Vec::is_empty)
        || value == ""
        || value == "0s"
}
