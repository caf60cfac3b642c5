//! The healthcheck: whether there is one, how soon it passes, how soon it fails.

use std::time::Duration;

use serde_yaml::Value;

use super::{Check, Finding, Severity, Subject, engine_major};
use crate::{duration, model::Until, observed::DEFAULT_START_INTERVAL};

/// A first probe later than this makes every rollout noticeably slow.
const SLOW: Duration = Duration::from_secs(10);
/// Docker's own interval and timeout.
const DEFAULT: Duration = Duration::from_secs(30);
const DEFAULT_RETRIES: u32 = 3;
/// The engine that knows `start_interval`.
const START_INTERVAL: u32 = 25;

/// What is known of a service's healthcheck.
enum Health {
    Checked(Check),
    /// Neither file nor image has one, or the file switches it off.
    Unchecked,
    /// The file has none, and the image is not there to be asked.
    Unknown,
}

pub fn findings(subject: &Subject) -> Vec<Finding> {
    if subject.is_aside() {
        return vec![];
    }
    let health = health(subject);
    let mut found = Vec::new();
    match &health {
        Health::Unchecked => found.push(unchecked(subject, "has no healthcheck")),
        Health::Unknown => {
            found.push(unchecked(
                subject,
                "has no healthcheck in the file, and its image is not here to be asked",
            ));
        }
        Health::Checked(check) => {
            found.extend(slow(subject, check));
            found.extend(too_late(subject, check));
        }
    }
    found.extend(drain(subject, &health));
    found
}

fn health(subject: &Subject) -> Health {
    let of_image = subject.image().map(|image| image.healthcheck.clone());
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
    Check { check: Check, tests: bool },
}

fn written(subject: &Subject) -> Option<Written> {
    let value = subject.raw.healthcheck.as_ref()?;
    let time = |key: &str| duration::parse(value.get(key)?.as_str()?).ok().filter(|time| !time.is_zero());
    let test = value.get("test");
    let none = test.and_then(Value::as_sequence).and_then(|test| test.first()?.as_str()) == Some("NONE");
    if none || value.get("disable").and_then(Value::as_bool) == Some(true) {
        return Some(Written::Off);
    }
    let retries = value.get("retries").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    let check = Check {
        interval: time("interval"),
        timeout: time("timeout"),
        retries: retries.filter(|n| *n > 0),
        start_period: time("start_period"),
        start_interval: time("start_interval"),
    };
    Some(Written::Check { check, tests: test.is_some() })
}

impl Check {
    /// What is not written here is as it is written there.
    fn or(self, other: &Check) -> Check {
        Check {
            interval: self.interval.or(other.interval),
            timeout: self.timeout.or(other.timeout),
            retries: self.retries.or(other.retries),
            start_period: self.start_period.or(other.start_period),
            start_interval: self.start_interval.or(other.start_interval),
        }
    }

    fn interval(&self) -> Duration {
        self.interval.unwrap_or(DEFAULT)
    }

    /// How long after the start the first probe comes, on an engine that knows `start_interval` or not. One that does
    /// goes by it alone in the start period, also where the interval is shorter, and at the end of it there is a probe
    /// in any case (not in Engine 25 to 28, which may be later still).
    fn first_probe(&self, quick_start: bool) -> Duration {
        match self.start_period {
            Some(period) if quick_start => self.start_interval.unwrap_or(DEFAULT_START_INTERVAL).min(period),
            _ => self.interval(),
        }
    }

    /// The longest until a container that fails every probe is called unhealthy.
    fn fails_within(&self) -> Duration {
        let probes = self.interval().saturating_mul(self.retries.unwrap_or(DEFAULT_RETRIES));
        probes.saturating_add(self.timeout.unwrap_or(DEFAULT))
    }
}

/// Without an engine to ask, what every engine understands is meant.
fn knows_start_interval(subject: &Subject) -> bool {
    engine_major(subject.facts).is_some_and(|major| major >= START_INTERVAL)
}

fn unchecked(subject: &Subject, what: &str) -> Finding {
    let name = subject.name();
    let monitor = duration::show(subject.service.settings.monitor);
    let problem = format!(
        "{name} {what}: a new container counts as good once it has run for {monitor}, whether it answers or not"
    );
    let mut lines = vec!["healthcheck:".to_owned(), format!("  test: {}", probe(subject))];
    lines.extend(
        ["interval: 2s", "timeout: 2s", "retries: 3", "start_period: 30s"].map(|line| format!("  {line}")),
    );
    subject
        .finding(Severity::Warning, "no-healthcheck", &["healthcheck"], problem)
        .remedy("write a healthcheck with a program that the image has")
        .write(&lines)
}

/// A command that fits the image as well as can be guessed.
fn probe(subject: &Subject) -> String {
    let known = [
        ("postgres", r#"["CMD-SHELL", "pg_isready -h 127.0.0.1 -U \"$${POSTGRES_USER:-postgres}\""]"#),
        ("redis", r#"["CMD", "redis-cli", "ping"]"#),
        ("valkey", r#"["CMD", "valkey-cli", "ping"]"#),
        ("mariadb", r#"["CMD", "healthcheck.sh", "--connect", "--innodb_initialized"]"#),
        ("mysql", r#"["CMD", "mysqladmin", "ping", "-h", "127.0.0.1"]"#),
        ("rabbitmq", r#"["CMD", "rabbitmq-diagnostics", "-q", "ping"]"#),
    ];
    if let Some((_, test)) = known.iter().find(|(program, _)| subject.program() == *program) {
        return (*test).to_owned();
    }
    let label = |(key, value): (&String, &String)| {
        (key.starts_with("traefik.") && key.ends_with(".loadbalancer.server.port")).then(|| value.clone())
    };
    let port = subject.raw.labels.iter().find_map(label);
    let port = port.or_else(|| Some(subject.raw.ports.first()?.target?.to_string()));
    let port = port.unwrap_or_else(|| "80".to_owned());
    format!(r#"["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:{port}/"]"#)
}

fn slow(subject: &Subject, check: &Check) -> Option<Finding> {
    let quick_start = knows_start_interval(subject);
    let first = check.first_probe(quick_start);
    if first < SLOW {
        return None;
    }
    let (name, first) = (subject.name(), duration::show(first));
    let ignored = check.start_interval.is_some() && !quick_start;
    let problem = match (ignored, &subject.facts.engine) {
        (true, Ok(version)) => format!(
            "{name} is probed for the first time {first} after its start, because Docker Engine {version} does not know start_interval"
        ),
        _ => format!(
            "{name} is probed for the first time {first} after its start, so every rollout waits that long"
        ),
    };
    let finding =
        subject.finding(Severity::Warning, "slow-healthcheck", &["healthcheck", "interval"], problem);
    Some(match quick_start {
        true => finding.remedy("let it be probed often while it starts").write(&[
            "healthcheck:",
            "  start_period: 30s",
            "  start_interval: 1s",
        ]),
        false => finding
            .remedy("probe it more often (start_interval needs Docker Engine 25)")
            .write(&["healthcheck:", "  interval: 2s"]),
    })
}

/// The gate gives up before the first probe.
fn too_late(subject: &Subject, check: &Check) -> Option<Finding> {
    let limit = subject.service.settings.wait_timeout?;
    let first = check.first_probe(knows_start_interval(subject));
    if limit > first {
        return None;
    }
    let problem = format!(
        "{} cannot pass: wait_timeout is {}, and the first probe comes after {}",
        subject.name(),
        duration::show(limit),
        duration::show(first)
    );
    let enough = duration::show(first.saturating_mul(2).saturating_add(Duration::from_secs(10)));
    Some(
        subject
            .finding(Severity::Error, "wait-timeout", &["x-zdd", "wait_timeout"], problem)
            .remedy("wait longer, or leave it out to have it computed")
            .write(&["x-zdd:".to_owned(), format!("  wait_timeout: {enough}")]),
    )
}

/// `drain: unhealthy` wants a healthcheck that can fail in time, and something that makes it fail.
fn drain(subject: &Subject, health: &Health) -> Vec<Finding> {
    let settings = &subject.service.settings;
    if settings.drain.until != Until::Unhealthy {
        return vec![];
    }
    let (name, limit) = (subject.name(), settings.drain_timeout);
    let mut found = Vec::new();
    match health {
        Health::Unchecked => {
            let problem =
                format!("{name} drains until it is unhealthy, which it can never be without a healthcheck");
            found.push(
                subject
                    .finding(Severity::Warning, "drain-unchecked", &["x-zdd", "drain"], problem)
                    .remedy("write a healthcheck, or drain by time")
                    .write(&["x-zdd:", "  drain: 5s"]),
            );
        }
        Health::Checked(check) if check.fails_within() > limit => {
            let problem = format!(
                "{name} drains until it is unhealthy, which takes up to {} (interval × retries + timeout), but drain_timeout is {}",
                duration::show(check.fails_within()),
                duration::show(limit)
            );
            found.push(
                subject
                    .finding(Severity::Warning, "drain-slow", &["healthcheck"], problem)
                    .remedy("let it fail sooner")
                    .write(&["healthcheck:", "  interval: 1s", "  timeout: 2s", "  retries: 2"]),
            );
        }
        _ => {}
    }
    let label = subject.raw.labels.contains_key("docker-rollout.pre-stop-hook");
    if subject.raw.pre_stop.is_empty() && !label {
        let problem =
            format!("{name} drains until it is unhealthy, but no pre_stop hook makes its healthcheck fail");
        found.push(
            subject
                .finding(Severity::Warning, "drain-no-hook", &["pre_stop"], problem)
                .remedy("write a hook after which the healthcheck fails and requests are still answered; for a healthcheck that tests for the file")
                .write(&["pre_stop:", r#"  - command: ["touch", "/tmp/drain"]"#]),
        );
    }
    found
}
