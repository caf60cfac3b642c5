//! How an old container ends: the grace period, the signal, and what a proxy is told before.

use std::time::Duration;

use super::{Finding, Severity, Subject};
use crate::{
    duration,
    model::{Until, settings::Order},
};

/// What these programs take for "finish your requests, then end"; their images say so by STOPSIGNAL.
const GRACEFUL: &[(&str, &str)] =
    &[("nginx", "SIGQUIT"), ("php", "SIGQUIT"), ("httpd", "SIGWINCH"), ("haproxy", "SIGUSR1")];
/// Longer than the 2 s in which Traefik gathers news from Docker.
const TRAEFIK: &[&str] = &["x-zdd:", "  settle: 3s", "  drain: {until: unhealthy, plus: 3s}"];

pub fn findings(subject: &Subject) -> Vec<Finding> {
    if subject.is_aside() {
        return vec![];
    }
    let found = [grace(subject), signal(subject), traefik(subject), stop_first(subject)];
    found.into_iter().flatten().collect()
}

/// The engine counts whole seconds: what is below is none.
fn grace(subject: &Subject) -> Option<Finding> {
    let grace = subject.service.grace;
    (grace < Duration::from_secs(1)).then(|| {
        let problem = format!(
            "{} has {} to end after the stop signal: whatever it is answering then is cut off",
            subject.name(),
            duration::show(grace)
        );
        subject
            .finding(Severity::Warning, "grace-period", &["stop_grace_period"], problem)
            .remedy("give it as long as its longest request takes")
            .write(&["stop_grace_period: 10s"])
    })
}

fn signal(subject: &Subject) -> Option<Finding> {
    let written = subject.raw.stop_signal.as_deref()?;
    let signal = full_name(written);
    let name = subject.name();
    let wanted = subject.image().and_then(|image| image.stop_signal.as_deref().map(full_name));
    let wanted = wanted.or_else(|| {
        GRACEFUL.iter().find(|(known, _)| subject.program() == *known).map(|(_, signal)| (*signal).to_owned())
    });
    let (problem, instead) = match wanted {
        _ if signal == "SIGKILL" => (
            format!("{name} is stopped with SIGKILL: it cannot finish what it is answering"),
            "SIGTERM".to_owned(),
        ),
        Some(wanted) if wanted != signal => {
            (format!("{name} is stopped with {signal}, but its image ends in good order on {wanted}"), wanted)
        }
        _ => return None,
    };
    Some(
        subject
            .finding(Severity::Warning, "stop-signal", &["stop_signal"], problem)
            .remedy("write the signal on which it finishes its requests")
            .write(&[format!("stop_signal: {instead}")]),
    )
}

fn full_name(signal: &str) -> String {
    let upper = signal.to_uppercase();
    match upper.as_str() {
        "9" => "SIGKILL".to_owned(),
        "15" => "SIGTERM".to_owned(),
        "3" => "SIGQUIT".to_owned(),
        name if name.starts_with("SIG") || name.bytes().all(|b| b.is_ascii_digit()) => name.to_owned(),
        name => format!("SIG{name}"),
    }
}

/// Traefik hears of containers through Docker's events and acts on them every 2 s.
fn traefik(subject: &Subject) -> Option<Finding> {
    let labels = &subject.raw.labels;
    let routed = labels.keys().any(|key| {
        ["traefik.http.", "traefik.tcp.", "traefik.udp."].iter().any(|prefix| key.starts_with(prefix))
    }) || labels.get("traefik.enable").is_some_and(|value| value == "true");
    let settings = &subject.service.settings;
    let drains = settings.drain.until == Until::Unhealthy;
    if !routed || (drains && !settings.settle.is_zero()) {
        return None;
    }
    let name = subject.name();
    let problem = match drains {
        true => format!(
            "{name} stands behind Traefik, which notices new containers only after up to 2s, and \"settle\" does not wait for that"
        ),
        false => format!(
            "{name} stands behind Traefik, which goes on sending requests to a stopped container until it notices"
        ),
    };
    Some(
        subject
            .finding(Severity::Warning, "traefik", &["x-zdd"], problem)
            .remedy("let Traefik see it unhealthy first; its pre_stop hook must make the healthcheck fail, see examples/traefik")
            .write(TRAEFIK),
    )
}

/// Stop-first, and all of them at once.
fn stop_first(subject: &Subject) -> Option<Finding> {
    let (service, settings) = (subject.service, &subject.service.settings);
    let all_at_once = settings.parallelism == 0 || settings.parallelism >= service.replicas;
    if settings.order != Order::StopFirst || !all_at_once || service.replicas == 0 {
        return None;
    }
    let name = subject.name();
    let finding = |problem| subject.finding(Severity::Warning, "stop-first", &["x-zdd", "order"], problem);
    Some(match service.replicas {
        1 => finding(format!(
            "{name} has one replica, which is stopped before the new one starts: nothing answers meanwhile"
        ))
        .remedy("start first")
        .write(&["x-zdd:", "  order: start-first"]),
        n => finding(format!(
            "all {n} replicas of {name} are stopped before the new ones start: nothing answers meanwhile"
        ))
        .remedy("replace one at a time")
        .write(&["x-zdd:", "  parallelism: 1"]),
    })
}
