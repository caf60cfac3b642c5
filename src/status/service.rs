//! One service's row.

use super::{ContainerStatus, Holder, ServiceStatus, Standing, is_up, word};
use crate::{
    clock,
    model::Service,
    observed::{Container, State},
    plan::{self, Observed},
};

/// A service of the model.
pub fn known(
    service: &Service,
    mine: &[&Container],
    observed: &Observed,
    lock: Option<&Holder>,
) -> ServiceStatus {
    let standing = standing(service, mine, observed, lock);
    let counted = !service.one_shot && !service.provider;
    let mut row = row(&service.name, mine, standing);
    row.wanted = counted.then_some(service.replicas);
    if row.images.is_empty() {
        row.images.push(service.image.clone());
    }
    row
}

/// A service that is not in the model.
pub fn foreign(name: &str, mine: &[&Container], dormant: bool) -> ServiceStatus {
    row(name, mine, if dormant { Standing::Dormant } else { Standing::Orphan })
}

fn row(name: &str, mine: &[&Container], standing: Standing) -> ServiceStatus {
    let up: Vec<_> = mine.iter().copied().filter(|c| is_up(c)).collect();
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
        since: up.iter().filter_map(|c| clock::seconds(&c.started_at)).min(),
        standing,
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

fn standing(service: &Service, mine: &[&Container], observed: &Observed, lock: Option<&Holder>) -> Standing {
    let up: Vec<_> = mine.iter().copied().filter(|c| is_up(c)).collect();
    if service.provider {
        return Standing::Provider;
    }
    if service.one_shot {
        return job(mine, &up);
    }
    let Some(newest) = up.last() else {
        return if service.replicas == 0 { Standing::UpToDate } else { Standing::Down };
    };
    let new = up.iter().filter(|c| generation(c) == generation(newest)).count();
    let old = up.len() - new;
    if old > 0 {
        return match lock.is_some_and(Holder::may_run) {
            true => Standing::Rolling { new, old },
            false => Standing::BrokenOff { new, old },
        };
    }
    let what = plan::differences(service, &up, observed);
    match what.is_empty() {
        false => Standing::Changed { what },
        true if up.len() != service.replicas as usize => {
            Standing::Count { running: up.len(), wanted: service.replicas }
        }
        true => Standing::UpToDate,
    }
}

fn job(mine: &[&Container], up: &[&Container]) -> Standing {
    match mine.iter().rev().find(|c| c.state == State::Exited) {
        _ if !up.is_empty() => Standing::JobRunning,
        Some(last) if last.exit_code == 0 => Standing::JobDone,
        Some(last) => Standing::JobFailed { exit_code: last.exit_code },
        None => Standing::Down,
    }
}
