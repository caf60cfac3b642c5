//! What to type where something is not as it should be.

use super::{Holder, Life, ServiceStatus, Standing, is_up};
use crate::observed::{Container, State};

/// Every sentence, what a run left behind first.
pub fn advice(
    services: &[ServiceStatus],
    containers: &[Container],
    lock: Option<&Holder>,
    project: &str,
) -> Vec<String> {
    let at_work = lock.is_some_and(Holder::may_run);
    let mut all: Vec<String> = lock.and_then(of_lock).into_iter().collect();
    if !at_work {
        all.extend(services.iter().filter_map(broken_off));
        all.extend(services.iter().flat_map(|service| leftovers(service, containers)));
        all.extend(down(services, project));
        all.extend(changed(services));
        all.extend(services.iter().filter_map(count));
    }
    all.extend(services.iter().flat_map(|service| sick(service, containers)));
    all.extend(services.iter().filter_map(failed_job));
    all.extend(orphans(services));
    all
}

fn of_lock(holder: &Holder) -> Option<String> {
    let owner = &holder.owner;
    match holder.life {
        Life::Running => None,
        Life::Dead => Some(format!(
            "the run of {owner} ended without giving its lock back; the next \"docker zdd up\" takes it over"
        )),
        Life::Unknown => Some(format!(
            "whether {owner} still runs cannot be seen from here; if you know that it is dead, type \"docker zdd up --break-lock\""
        )),
    }
}

fn broken_off(service: &ServiceStatus) -> Option<String> {
    let Standing::BrokenOff { new, old } = service.standing else { return None };
    let name = &service.service;
    Some(format!(
        "{name}: a rollout was broken off, {new} new and {old} old containers run side by side; type \"docker zdd up {name}\" to finish it"
    ))
}

/// Stopped containers beside running ones: an old one that was not removed, a new one that was never started.
fn leftovers(service: &ServiceStatus, containers: &[Container]) -> Vec<String> {
    let name = &service.service;
    let mine: Vec<_> = containers.iter().filter(|c| c.service == *name).collect();
    if is_foreign(service) || !mine.iter().any(|c| is_up(c)) {
        return vec![];
    }
    let of = |states: &[State]| -> Vec<&str> {
        mine.iter().filter(|c| states.contains(&c.state)).map(|c| c.name.as_str()).collect()
    };
    let one = |names: Vec<&str>, one: &str, many: &str| {
        let what = match names.as_slice() {
            [] => return None,
            [name] => format!("{name} {one}"),
            [first @ .., last] => format!("{} and {last} {many}", first.join(", ")),
        };
        Some(format!("{name}: {what} left behind; type \"docker zdd up {name}\" to clear up"))
    };
    let stopped = one(of(&[State::Exited, State::Dead]), "is stopped and", "are stopped and");
    let created = one(of(&[State::Created]), "was never started and is", "were never started and are");
    stopped.into_iter().chain(created).collect()
}

fn down(services: &[ServiceStatus], project: &str) -> Option<String> {
    let wanted: Vec<_> = services.iter().filter(|s| s.wanted.is_some_and(|n| n > 0)).collect();
    let down: Vec<_> =
        wanted.iter().filter(|s| s.standing == Standing::Down).map(|s| s.service.as_str()).collect();
    match down.len() {
        0 => None,
        n if n == wanted.len() && n > 1 => {
            Some(format!("nothing of project {project} runs; type \"docker zdd up\" to start it"))
        }
        _ => Some(format!(
            "nothing runs of {}; type \"docker zdd up {}\" to start it",
            list(&down),
            down.join(" ")
        )),
    }
}

fn changed(services: &[ServiceStatus]) -> Option<String> {
    let is_changed = |s: &&ServiceStatus| matches!(s.standing, Standing::Changed { .. });
    let changed: Vec<_> = services.iter().filter(is_changed).map(|s| s.service.as_str()).collect();
    (!changed.is_empty()).then(|| {
        format!(
            "what runs of {} is not what the files want; type \"docker zdd plan {}\" to see what \"docker zdd up\" would do",
            list(&changed),
            changed.join(" ")
        )
    })
}

fn count(service: &ServiceStatus) -> Option<String> {
    let Standing::Count { running, wanted } = service.standing else { return None };
    let name = &service.service;
    Some(format!(
        "{name}: {running} of {wanted} replicas run; type \"docker zdd up {name}\" to have {wanted}"
    ))
}

fn sick(service: &ServiceStatus, containers: &[Container]) -> Vec<String> {
    let name = &service.service;
    let sentence = |c: &Container| match c.state {
        State::Paused => Some(format!(
            "{name}: {0} is paused; type \"docker unpause {0}\", as nothing can be rolled out meanwhile",
            c.name
        )),
        State::Restarting => {
            Some(format!("{name}: {0} crashes again and again; type \"docker logs {0}\"", c.name))
        }
        State::Running if c.is_unhealthy() => Some(format!(
            "{name}: {0} is unhealthy; type \"docker logs {0}\" or \"docker inspect {0}\"",
            c.name
        )),
        _ => None,
    };
    containers.iter().filter(|c| c.service == *name).filter_map(sentence).collect()
}

fn failed_job(service: &ServiceStatus) -> Option<String> {
    let Standing::JobFailed { exit_code } = service.standing else { return None };
    let container = service.containers.iter().rev().find(|c| c.health == format!("exited ({exit_code})"))?;
    Some(format!(
        "{}: the job ended with exit code {exit_code}; type \"docker logs {}\"",
        service.service, container.name
    ))
}

fn orphans(services: &[ServiceStatus]) -> Option<String> {
    let orphans: Vec<_> =
        services.iter().filter(|s| s.standing == Standing::Orphan).map(|s| s.service.as_str()).collect();
    (!orphans.is_empty()).then(|| {
        format!(
            "no file names {} any more; type \"docker zdd up --remove-orphans\" to remove {}",
            list(&orphans),
            if orphans.len() == 1 { "it" } else { "them" }
        )
    })
}

fn is_foreign(service: &ServiceStatus) -> bool {
    matches!(service.standing, Standing::Orphan | Standing::Dormant)
}

fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [name] => (*name).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
