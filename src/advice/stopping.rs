//! How an old container ends: the grace period, the signal, and whether another one serves meanwhile.

use std::time::Duration;

use super::{Finding, Subject};
use crate::{project::Order, text::duration};

/// What these programs take for "finish your requests, then end"; their images say so by STOPSIGNAL.
const GRACEFUL: &[(&str, &str)] =
    &[("nginx", "SIGQUIT"), ("php", "SIGQUIT"), ("httpd", "SIGWINCH"), ("haproxy", "SIGUSR1")];

/// The engine counts whole seconds: what is below is none.
pub fn grace(subject: &Subject) -> Option<Finding> {
    let grace = Some(subject.updated()?.grace).filter(|grace| *grace < Duration::from_secs(1))?;
    let problem = format!(
        "it has {} to end after the stop signal: whatever it is answering then is cut off",
        duration::show(grace)
    );
    let finding = subject.finding(&["stop_grace_period"], problem);
    Some(finding.remedy("give it as long as its longest request takes").write(&["stop_grace_period: 10s"]))
}

pub fn signal(subject: &Subject) -> Option<Finding> {
    subject.updated()?;
    let signal = full_name(subject.raw.stop_signal.as_deref()?);
    let wanted = subject.image().and_then(|image| image.stop_signal.as_deref().map(full_name));
    let known = GRACEFUL.iter().find(|(program, _)| subject.program() == *program);
    let wanted = wanted.or_else(|| known.map(|(_, signal)| (*signal).to_owned()));
    let (problem, instead) = match wanted {
        _ if signal == "SIGKILL" => (
            "it is stopped with SIGKILL: it cannot finish what it is answering".to_owned(),
            "SIGTERM".to_owned(),
        ),
        Some(wanted) if wanted != signal => {
            (format!("it is stopped with {signal}, but its image shuts down cleanly on {wanted}"), wanted)
        }
        _ => return None,
    };
    let finding = subject.finding(&["stop_signal"], problem);
    let remedy = "write the signal on which it finishes its requests";
    Some(finding.remedy(remedy).write(&[format!("stop_signal: {instead}")]))
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

/// Stop-first, and all of them at once.
pub fn stop_first(subject: &Subject) -> Option<Finding> {
    let service = subject.updated()?;
    let (who, one, remedy, line) = match service.replicas {
        1 => ("its one replica is".to_owned(), "one starts", "start first", "order: start-first"),
        n => (format!("all {n} replicas are"), "ones start", "replace one at a time", "parallelism: 1"),
    };
    let all_at_once = service.batch() == service.replicas && service.replicas > 0;
    if service.settings.order != Order::StopFirst || !all_at_once {
        return None;
    }
    let problem = format!("{who} stopped before the new {one}: nothing answers meanwhile");
    let finding = subject.finding(&["x-zdd", "order"], problem);
    Some(finding.remedy(remedy).write(&["x-zdd:", &format!("  {line}")]))
}
