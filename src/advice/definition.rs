//! What keeps two generations apart, and what else is written of a service.

use std::collections::BTreeMap;

use super::{Finding, Scene, Subject};
use crate::{
    engine::config::Mount,
    event::Verdict,
    plan::Prospect,
    project::{Condition, Dependency, Hazard, Project, Source, Strategy, hazards, keeper_of_data, linked_by},
    text::join,
};

fn is_too_many(hazard: &Hazard, subject: &Subject) -> bool {
    hazard.limit().is_some_and(|n| subject.service.replicas > n.max(1))
}

pub fn too_many_replicas(subject: &Subject) -> Vec<Finding> {
    let one = |hazard: &Hazard| {
        let problem = format!("its {} replicas cannot run: {hazard}", subject.service.replicas);
        subject.finding(&[hazard.key()], problem).remedy(hazard.remedy())
    };
    let hazards = hazards(subject.name(), subject.project);
    hazards.iter().filter(|hazard| is_too_many(hazard, subject)).map(one).collect()
}

/// What stands in the way of a rolling update that nobody has decided about.
fn obstacles(subject: &Subject) -> Vec<Hazard> {
    let decided = subject.service.settings.strategy != Strategy::Auto || subject.is_aside();
    let mut hazards = hazards(subject.name(), subject.project);
    hazards.retain(|hazard| !decided && !is_too_many(hazard, subject));
    hazards
}

/// It is not replaced before somebody agrees.
pub fn cannot_roll(subject: &Subject) -> Vec<Finding> {
    if subject.prospect() == Some(Prospect::Held) {
        return vec![];
    }
    if let Some(what) = keeper_of_data(subject.raw) {
        let obstacle = obstacles(subject).into_iter().next();
        let finding = |hazard: Hazard| {
            let problem = format!("it is {what}, and \"up\" does not replace it before you agree: {hazard}");
            let remedy = "write \"x-zdd: {strategy: held}\" to agree: new connections wait meanwhile, those that it has end";
            subject.finding(&[hazard.key()], problem).remedy(remedy)
        };
        return obstacle.map(finding).into_iter().collect();
    }
    let one = |hazard: &Hazard| {
        let problem =
            format!("it cannot be rolled, and \"up\" refuses to without --allow-downtime: {hazard}");
        subject.finding(&[hazard.key()], problem).remedy(hazard.remedy())
    };
    obstacles(subject).iter().map(one).collect()
}

pub fn held(subject: &Subject) -> Vec<Finding> {
    let one = |hazard: &Hazard| {
        let problem = format!("its visitors wait while it is replaced, as {hazard}");
        let remedy = format!("that is safe; to have no pause, {}", hazard.remedy());
        subject.finding(&[hazard.key()], problem).remedy(remedy)
    };
    let is_held = subject.prospect() == Some(Prospect::Held);
    obstacles(subject).iter().take(usize::from(is_held)).map(one).collect()
}

pub fn latest(subject: &Subject) -> Option<Finding> {
    let written = subject.raw.image.as_ref().filter(|_| !subject.service.image.builds);
    let image = written.filter(|image| is_latest(image))?;
    let bare = image.strip_suffix(":latest").unwrap_or(image);
    let problem = format!("it runs {bare}:latest: which version that is depends on the day of the pull");
    let finding = subject.finding(&["image"], problem);
    Some(finding.remedy("name the version").write(&[format!("image: {bare}:VERSION")]))
}

fn is_latest(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or_default();
    !image.contains('@') && last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

/// Found at the service that is linked to, shown where the link is written.
pub fn links(subject: &Subject) -> Vec<Finding> {
    if subject.service.replicas < 2 {
        return vec![];
    }
    let name = subject.name();
    let one = |other: &str| {
        let problem = format!(
            "\"{other}\" links to it: inside {other} the name \"{name}\" means one of its containers, and the others get nothing by it"
        );
        let network = subject.raw.networks.keys().next().map_or("default", String::as_str);
        let finding = Finding {
            path: ["services", other, "links"].map(str::to_owned).to_vec(),
            ..subject.finding(&[], problem)
        };
        finding.remedy(format!("remove the link, and give {name} an alias on its network")).write(&[
            "networks:".to_owned(),
            format!("  {network}:"),
            format!("    aliases: [{name}]"),
        ])
    };
    linked_by(name, &subject.project.file).into_iter().map(one).collect()
}

/// dockercloud/haproxy looks for `PROJECT_` in the links that it was started with, and Compose 2 and later give its
/// containers other names, unless one has kept its name for the sake of the links that there are.
pub fn old_balancer(subject: &Subject) -> Option<Finding> {
    let link = subject.raw.links.first()?;
    let service = link.split(':').next().unwrap_or_default();
    let is_one = subject.raw.image.as_ref().is_some_and(|image| image.contains("dockercloud/haproxy"));
    let is_told = subject.raw.variables().any(|name| name == "ADDITIONAL_SERVICES");
    let stays = subject.plan.is_some_and(|plan| plan.verdict == Verdict::Unchanged);
    let project = &subject.project.name;
    let prefix = format!("{project}_");
    let is_known =
        subject.scene.containers.iter().any(|c| c.service == service && c.name.starts_with(&prefix));
    if !is_one || is_told || stays || is_known || subject.project.compatible {
        return None;
    }
    let problem = format!(
        "dockercloud/haproxy finds a linked service by names as docker-compose 1 gives them, {prefix}{service}_1, and \
         Compose gives {project}-{service}-1: it would answer nobody"
    );
    let finding = subject.finding(&["links"], problem).remedy("name the service to it");
    Some(finding.write(&[
        "environment:".to_owned(),
        format!("  ADDITIONAL_SERVICES: ${{COMPOSE_PROJECT_NAME}}:{service}"),
    ]))
}

pub fn dependencies(subject: &Subject) -> Vec<Finding> {
    let checked = |name: &str| {
        let raw = subject.project.file.services.get(name);
        raw.is_some_and(|raw| raw.healthcheck.as_ref().is_some_and(|check| check.get("test").is_some()))
    };
    let open = subject.service.depends_on.iter();
    let open = open.filter(|on| on.condition == Condition::Started && checked(&on.service));
    let one = |on: &Dependency| {
        let problem = format!(
            "it waits until {} is started, not until it is healthy, although it has a healthcheck",
            on.service
        );
        subject.finding(&["depends_on", &on.service], problem).remedy("wait until it is healthy").write(&[
            "depends_on:".to_owned(),
            format!("  {}:", on.service),
            "    condition: service_healthy".to_owned(),
        ])
    };
    open.filter(|_| !subject.service.is_provider()).map(one).collect()
}

pub fn restart(subject: &Subject) -> Option<Finding> {
    subject.updated().filter(|service| service.restart == "no")?;
    let problem = "no restart policy: after a crash, or a reboot, it stays down";
    let finding = subject.finding(&["restart"], problem);
    Some(finding.remedy("let the engine start it again").write(&["restart: unless-stopped"]))
}

/// Only where a second replica could run at all.
pub fn one_replica(subject: &Subject) -> Option<Finding> {
    let service = subject.updated()?;
    let can = hazards(subject.name(), subject.project).is_empty()
        && service.settings.strategy != Strategy::Recreate;
    if service.replicas != 1 || !can {
        return None;
    }
    let problem = "it has one replica: a rollout loses nothing by that, but a crash does";
    let finding = subject.finding(&["deploy"], problem);
    Some(finding.remedy("run two where that is allowed").write(&["deploy:", "  replicas: 2"]))
}

/// Compose hashes it, so that tuning it is a change to be rolled out.
pub fn update_config(subject: &Subject) -> Option<Finding> {
    let explained = subject.updated()?.settings.explained().into_iter();
    let written = explained.filter(|(.., source)| *source == Source::UpdateConfig);
    let mut lines: Vec<_> = written.map(|(key, value, _)| format!("  {key}: {value}")).collect();
    if lines.is_empty() {
        return None;
    }
    lines.insert(0, "x-zdd:".to_owned());
    let problem =
        "deploy.update_config is part of Compose's configuration hash: changing it makes a rollout by itself";
    let finding = subject.finding(&["deploy", "update_config"], problem);
    Some(finding.remedy("write the same as x-zdd, unless Swarm reads the file too").write(&lines))
}

pub fn rollback_config(subject: &Subject) -> Option<Finding> {
    subject.updated()?;
    subject.raw.deploy.as_ref()?.rollback_config.as_ref()?;
    let problem =
        "docker zdd does not read deploy.rollback_config: a rollback restores the old containers at once";
    Some(subject.finding(&["deploy", "rollback_config"], problem).remedy("leave it to Swarm, or remove it"))
}

/// Named volumes and folders of the host that more than one container writes to.
pub fn shared_volumes(scene: &Scene) -> Vec<Finding> {
    let mut writers = scene.project.map(writers).unwrap_or_default();
    writers.retain(|_, places| places.len() > 1);
    writers.into_iter().map(|(source, places)| shared(source, places)).collect()
}

/// Volume → the services that write to it, and where; twice where replicas do.
fn writers(project: &Project) -> BTreeMap<&str, Vec<(&str, &str)>> {
    let mut writers: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for (name, service) in project.services.iter().filter(|(_, service)| !service.is_job()) {
        // A single replica's volume is in its hazards, unless somebody said that two may write.
        let copies = if service.replicas > 1 { 2 } else { 1 };
        let mounts = project.file.services.get(name).map_or(&[][..], |raw| &raw.volumes);
        for mount in mounts.iter().filter(|mount| Mount::holds_data(mount)) {
            let places = writers.entry(mount.source.as_deref().unwrap_or_default()).or_default();
            places.extend(std::iter::repeat_n((name.as_str(), mount.target.as_str()), copies));
        }
    }
    writers
}

fn shared(source: &str, mut places: Vec<(&str, &str)>) -> Finding {
    places.dedup();
    let (name, target) = places[0];
    let names: Vec<_> = places.iter().map(|(name, _)| *name).collect();
    let who = match names.as_slice() {
        [_] => "all its replicas".to_owned(),
        all => join(all),
    };
    let problem =
        format!("{who} write to \"{source}\", and during a rollout the old version and the new one both do");
    Finding { path: ["services", name, "volumes"].map(str::to_owned).to_vec(), ..Finding::of(name, problem) }
        .remedy("let it be read only where nothing is written")
        .write(&["volumes:".to_owned(), format!("  - {source}:{target}:ro")])
}
