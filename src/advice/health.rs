//! The healthcheck: whether there is one, how soon it passes, how soon it fails.

use std::time::Duration;

use serde_json::Value;

use super::{Finding, Subject};
use crate::{engine::Healthcheck, project::own_check, text::duration};

/// A first probe later than this makes every rollout noticeably slow.
const SLOW: Duration = Duration::from_secs(10);
/// The engine that knows `start_interval`.
const START_INTERVAL: u32 = 25;

/// What is known of a service's healthcheck.
pub enum Health {
    Checked(Healthcheck),
    /// Neither file nor image has one, or the file switches it off.
    Unchecked,
    /// The file has none, and the image is not there to be asked.
    Unknown,
}

/// As the file has it, else the image.
pub fn of(subject: &Subject) -> Health {
    let of_image = subject.image().map(|image| image.healthcheck);
    match (written(subject), of_image) {
        (Some(Written::Off), _) => Health::Unchecked,
        (Some(Written::Check { check, tests: true }), _) => Health::Checked(check),
        (Some(Written::Check { check, .. }), Some(Some(image))) => Health::Checked(check.or(&image)),
        (None, Some(Some(image))) => Health::Checked(image),
        (_, Some(None)) => Health::Unchecked,
        (_, None) => Health::Unknown,
    }
}

/// What the file says.
enum Written {
    Off,
    Check { check: Healthcheck, tests: bool },
}

fn written(subject: &Subject) -> Option<Written> {
    let value = subject.raw.healthcheck.as_ref()?;
    let time = |key: &str| duration::parse(value[key].as_str()?).ok().filter(|time| !time.is_zero());
    if value["test"][0] == "NONE" || value["disable"] == true {
        return Some(Written::Off);
    }
    let retries = value["retries"].as_u64().and_then(|n| u32::try_from(n).ok());
    let check = Healthcheck {
        interval: time("interval"),
        timeout: time("timeout"),
        retries: retries.filter(|n| *n > 0),
        start_period: time("start_period"),
        start_interval: time("start_interval"),
    };
    Some(Written::Check { check, tests: value["test"] != Value::Null })
}

/// Without an engine to ask, what every engine understands is meant.
fn knows_start_interval(subject: &Subject) -> bool {
    subject.engine().is_some_and(|major| major >= START_INTERVAL)
}

pub fn unchecked(subject: &Subject) -> Option<Finding> {
    let monitor = duration::show(subject.updated()?.settings.monitor);
    let what = match of(subject) {
        Health::Checked(_) => return None,
        Health::Unchecked => "no healthcheck",
        Health::Unknown => "no healthcheck in the file, and its image is not here to be asked",
    };
    let problem = format!(
        "{what}: a new container counts as good once it has run for {monitor}, whether it answers or not"
    );
    let finding = subject.finding(&["healthcheck"], problem);
    let finding = finding.remedy("write a healthcheck with a program that the image has");
    // What listens nowhere that is known cannot be asked by a line to copy.
    let Some(probe) = probe(subject) else { return Some(finding) };
    let mut lines = vec!["healthcheck:".to_owned(), format!("  test: {probe}")];
    lines.extend(
        ["interval: 2s", "timeout: 2s", "retries: 3", "start_period: 30s"].map(|line| format!("  {line}")),
    );
    Some(finding.write(&lines))
}

/// A command that fits the image as well as can be guessed.
fn probe(subject: &Subject) -> Option<String> {
    if let Some(test) = own_check(subject.program()) {
        return serde_json::to_string(test).ok().map(|list| list.replace("\",\"", "\", \""));
    }
    let label = |(key, value): (&String, &String)| {
        (key.starts_with("traefik.") && key.ends_with(".loadbalancer.server.port")).then(|| value.clone())
    };
    let port = subject.raw.labels.iter().find_map(label);
    let port = port.or_else(|| Some(subject.raw.ports.first()?.target?.to_string()));
    let port = port.or_else(|| Some(subject.raw.expose.first()?.split('/').next()?.to_owned()))?;
    Some(format!(r#"["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:{port}/"]"#))
}

/// When the first probe comes, where there is one.
fn first_probe(subject: &Subject) -> Option<(Healthcheck, Duration)> {
    subject.updated()?;
    match of(subject) {
        Health::Checked(check) => Some((check, check.first_probe(knows_start_interval(subject)))),
        _ => None,
    }
}

pub fn slow(subject: &Subject) -> Option<Finding> {
    let (check, first) = first_probe(subject).filter(|(_, first)| *first >= SLOW)?;
    let quick_start = knows_start_interval(subject);
    let first = duration::show(first);
    let engine = subject.scene.facts.and_then(|facts| facts.engine.as_ref().ok());
    let why = match engine.filter(|_| check.start_interval.is_some() && !quick_start) {
        Some(version) => format!("because Docker Engine {version} does not know start_interval"),
        None => "so every rollout waits that long".to_owned(),
    };
    let problem = format!("it is probed for the first time {first} after its start, {why}");
    let finding = subject.finding(&["healthcheck", "interval"], problem);
    let (remedy, lines): (_, &[_]) = match quick_start {
        true => (
            "let it be probed often while it starts",
            &["healthcheck:", "  start_period: 30s", "  start_interval: 1s"],
        ),
        false => (
            "probe it more often (start_interval needs Docker Engine 25)",
            &["healthcheck:", "  interval: 2s"],
        ),
    };
    Some(finding.remedy(remedy).write(lines))
}

/// The gate gives up before the first probe.
pub fn too_late(subject: &Subject) -> Option<Finding> {
    let (_, first) = first_probe(subject)?;
    let limit = subject.service.settings.wait_timeout.filter(|limit| *limit <= first)?;
    let problem = format!(
        "it cannot pass: wait_timeout is {}, and the first probe comes after {}",
        duration::show(limit),
        duration::show(first)
    );
    let enough = duration::show(first.saturating_mul(2).saturating_add(Duration::from_secs(10)));
    let finding = subject.finding(&["x-zdd", "wait_timeout"], problem);
    let finding = finding.remedy("wait longer, or leave it out to have it computed");
    Some(finding.write(&["x-zdd:", &format!("  wait_timeout: {enough}")]))
}
