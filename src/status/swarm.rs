//! The status of a stack. Pure: from what is wanted and what was observed, to data.

use std::collections::BTreeMap;

use super::{Condition, ContainerStatus, ServiceStatus, Status};
use crate::{
    engine::swarm::Task,
    keep::Holder,
    platform::swarm::{
        HASH_LABEL, Observed, SETTINGS_LABEL, Seen, Target,
        observe::{self, split_image},
        planner::recorded_number,
    },
    project::Project,
};

pub fn status(
    project: &Project,
    targets: &BTreeMap<String, Target>,
    observed: &Observed,
    lock: Option<&Holder>,
    asked: &[String],
) -> Status {
    let shown = |name: &&String| asked.is_empty() || asked.contains(name);
    let known = project.services.keys().filter(shown);
    let mut services: Vec<_> =
        known.map(|name| row(name, targets.get(name), observed, &project.name)).collect();
    let foreign = observed.services.keys().filter(|name| !project.services.contains_key(*name)).filter(shown);
    services.extend(foreign.map(|name| {
        let row = row(name, None, observed, &project.name);
        let condition = if project.services.is_empty() { Condition::NoFile } else { Condition::Orphan };
        ServiceStatus { condition, ..row }
    }));
    let advice = services.iter().filter_map(|row| advice(row, observed)).collect();
    Status { project: project.name.clone(), rollout: lock.cloned(), services, advice }
}

fn row(name: &str, target: Option<&Target>, observed: &Observed, stack: &str) -> ServiceStatus {
    let seen = observed.services.get(name);
    let tasks: Vec<&Task> = seen.into_iter().flat_map(|seen| &seen.tasks).filter(|t| t.is_wanted()).collect();
    let hash = seen.and_then(|seen| seen.service.label(HASH_LABEL));
    let mut images: Vec<String> = Vec::new();
    for image in tasks.iter().map(|task| split_image(&task.image).0) {
        if !images.iter().any(|known| known == image) {
            images.push(image.to_owned());
        }
    }
    if let (true, Some(target)) = (images.is_empty(), target) {
        images.push(split_image(&target.image).0.to_owned());
    }
    ServiceStatus {
        service: name.to_owned(),
        images,
        ready: seen.map_or(0, |seen| seen.running().count()),
        wanted: target.filter(|target| !target.job).and_then(|target| wanted(target, observed)),
        revision: hash.and_then(|hash| recorded_number(&observed.revisions, name, hash)),
        health: health(&tasks),
        since: None,
        condition: condition(target, seen, observed, name),
        containers: tasks.iter().map(|task| container(task, stack)).collect(),
    }
}

fn wanted(target: &Target, observed: &Observed) -> Option<u32> {
    target.replicas.or_else(|| u32::try_from(observed.active_nodes().len()).ok())
}

fn container(task: &Task, stack: &str) -> ContainerStatus {
    let (image, digest) = split_image(&task.image);
    let reference = observe::reference(task, stack);
    ContainerStatus {
        id: reference.id,
        name: reference.name,
        health: task.state.clone(),
        image: image.to_owned(),
        image_id: digest.to_owned(),
        newest: true,
        started_at: String::new(),
    }
}

/// `running`, or `1 starting, 2 running` where they differ.
fn health(tasks: &[&Task]) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for task in tasks {
        *counts.entry(&task.state).or_default() += 1;
    }
    match counts.len() {
        1 => counts.into_keys().collect(),
        _ => counts.iter().map(|(word, n)| format!("{n} {word}")).collect::<Vec<_>>().join(", "),
    }
}

fn condition(target: Option<&Target>, seen: Option<&Seen>, observed: &Observed, name: &str) -> Condition {
    let Some(target) = target else { return Condition::NoFile };
    if target.job {
        let ran =
            observed.revisions.iter().filter(|r| r.is_good()).any(|revision| {
                revision.services.get(name).is_some_and(|deployed| deployed.hash == target.hash)
            });
        return if ran { Condition::JobDone } else { Condition::Down };
    }
    let Some(seen) = seen else { return Condition::Down };
    let now = &seen.service;
    let running = seen.running().count();
    let is_new = now.label(HASH_LABEL) == Some(&target.hash);
    match now.state() {
        "updating" | "rollback_started" => {
            let new = seen.tasks.iter().filter(|task| task.is_wanted() && !task.is_running()).count();
            return Condition::Rolling { new, old: running };
        }
        "paused" | "rollback_paused" => return Condition::Interrupted { new: 0, old: running },
        _ => {}
    }
    if !is_new {
        let image = split_image(now.image()) != split_image(&target.image);
        return Condition::Changed { what: vec![if image { "image" } else { "configuration" }] };
    }
    if now.label(SETTINGS_LABEL) != Some(&target.settings_hash) {
        return Condition::Changed { what: vec!["settings"] };
    }
    match target.replicas {
        Some(wanted) if running != wanted as usize => Condition::Count { running, wanted },
        None if running < observed.active_nodes().len() => {
            Condition::Count { running, wanted: u32::try_from(observed.active_nodes().len()).unwrap_or(0) }
        }
        _ => Condition::UpToDate,
    }
}

fn advice(row: &ServiceStatus, observed: &Observed) -> Option<String> {
    let name = &row.service;
    let seen = observed.services.get(name)?;
    let message = seen.service.update.as_ref().map(|update| update.message.as_str()).unwrap_or_default();
    match seen.service.state() {
        "paused" => {
            Some(format!("{name}: its update is paused ({message}); \"docker zdd up\" goes on with it"))
        }
        "rollback_paused" => {
            Some(format!("{name}: its rollback is paused ({message}); \"docker zdd up\" deploys the file"))
        }
        "rollback_completed" => Some(format!("{name}: its last update was rolled back ({message})")),
        _ => None,
    }
}
