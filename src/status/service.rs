//! One service's row.

use super::{Condition, ContainerStatus, ServiceStatus, word};
use crate::{
    engine::{Container, State},
    keep::Holder,
    platform::compose::Observed,
    project::Service,
    text::date,
};

/// A service of the project.
pub fn known(
    service: &Service,
    mine: &[&Container],
    observed: &Observed,
    lock: Option<&Holder>,
) -> ServiceStatus {
    let condition = condition(service, mine, observed, lock);
    let counted = !service.is_job() && !service.is_provider();
    let mut row = row(&service.name, mine, condition);
    row.wanted = counted.then_some(service.replicas);
    if row.images.is_empty() {
        row.images.push(service.image.reference.clone());
    }
    row
}

/// A service that is not in the project.
pub fn foreign(name: &str, mine: &[&Container], condition: Condition) -> ServiceStatus {
    row(name, mine, condition)
}

fn row(name: &str, mine: &[&Container], condition: Condition) -> ServiceStatus {
    let up: Vec<_> = mine.iter().copied().filter(|c| c.is_up()).collect();
    let shown = if up.is_empty() { mine } else { up.as_slice() };
    let mut images: Vec<String> = Vec::new();
    for container in shown {
        if !images.contains(&container.image) {
            images.push(container.image.clone());
        }
    }
    ServiceStatus {
        service: name.to_owned(),
        images,
        ready: up.iter().filter(|c| c.serves()).count(),
        wanted: None,
        revision: None,
        health: health(shown),
        since: up.iter().filter_map(|c| date::seconds(&c.started_at)).min(),
        condition,
        containers: mine.iter().map(|c| container(c, mine)).collect(),
    }
}

fn container(c: &Container, mine: &[&Container]) -> ContainerStatus {
    ContainerStatus {
        id: c.id.clone(),
        name: c.name.clone(),
        health: word(c),
        image: c.image.clone(),
        image_id: c.image_id.clone(),
        newest: mine.last().is_some_and(|last| generation(last) == generation(c)),
        started_at: c.started_at.clone(),
    }
}

/// `healthy`, or `1 starting, 2 healthy` where they differ.
fn health(shown: &[&Container]) -> String {
    let mut counts: Vec<(String, usize)> = Vec::new();
    for word in shown.iter().map(|c| word(c)) {
        match counts.iter_mut().find(|(known, _)| *known == word) {
            Some((_, n)) => *n += 1,
            None => counts.push((word, 1)),
        }
    }
    match counts.as_slice() {
        [] => String::new(),
        [(word, _)] => word.clone(),
        many => many.iter().map(|(word, n)| format!("{n} {word}")).collect::<Vec<_>>().join(", "),
    }
}

/// What tells two generations apart.
fn generation(c: &Container) -> (&str, &str) {
    (&c.config_hash, &c.image_id)
}

fn condition(
    service: &Service,
    mine: &[&Container],
    observed: &Observed,
    lock: Option<&Holder>,
) -> Condition {
    let up: Vec<_> = mine.iter().copied().filter(|c| c.is_up()).collect();
    if service.is_provider() {
        return Condition::Provider;
    }
    let has_ended = service.may_end() && mine.iter().any(|c| c.state == State::Exited && c.exit_code == 0);
    if service.is_job() || has_ended && up.is_empty() {
        return job(mine, &up);
    }
    let Some(newest) = up.last() else {
        return if service.replicas == 0 { Condition::UpToDate } else { Condition::Down };
    };
    let new = up.iter().filter(|c| generation(c) == generation(newest)).count();
    let old = up.len() - new;
    if old > 0 {
        return match lock.is_some_and(Holder::may_run) {
            true => Condition::Rolling { new, old },
            false => Condition::Interrupted { new, old },
        };
    }
    let what = observed.wanted(service).differences(up.iter().copied());
    match what.is_empty() {
        false => Condition::Changed { what },
        true if up.len() != service.replicas as usize => {
            Condition::Count { running: up.len(), wanted: service.replicas }
        }
        true => Condition::UpToDate,
    }
}

fn job(mine: &[&Container], up: &[&Container]) -> Condition {
    match mine.iter().rev().find(|c| c.state == State::Exited) {
        _ if !up.is_empty() => Condition::JobRunning,
        Some(last) if last.exit_code == 0 => Condition::JobDone,
        Some(last) => Condition::JobFailed { exit_code: last.exit_code },
        None => Condition::Down,
    }
}
