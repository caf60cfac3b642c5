//! What keeps two generations apart, and what else is written of a service.

use std::collections::BTreeMap;

use super::{Finding, Project, Severity, Subject};
use crate::model::{Condition, Hazard, Settings, Source, settings::Strategy};

/// Programs that stand at the edge and publish the port for others.
const PROXIES: &[&str] = &["haproxy", "traefik", "nginx", "caddy", "envoy"];

pub fn findings(subject: &Subject) -> Vec<Finding> {
    if subject.service.provider {
        return vec![];
    }
    let mut found: Vec<_> =
        subject.service.hazards.iter().filter_map(|hazard| of_hazard(subject, hazard)).collect();
    found.extend(latest(subject));
    found.extend(links(subject));
    found.extend(dependencies(subject));
    if !subject.is_aside() {
        found.extend(restart(subject));
        found.extend(one_replica(subject));
        found.extend(update_config(subject));
        found.extend(rollback_config(subject));
    }
    found
}

fn of_hazard(subject: &Subject, hazard: &Hazard) -> Option<Finding> {
    let service = subject.service;
    let too_many = hazard.limit().is_some_and(|n| service.replicas > n.max(1));
    if !too_many && (service.settings.strategy != Strategy::Auto || service.one_shot) {
        return None;
    }
    let name = subject.name();
    let (severity, problem) = match too_many {
        true => (Severity::Error, format!("{name} cannot run its {} replicas: {hazard}", service.replicas)),
        false => (
            if subject.runs(PROXIES) { Severity::Hint } else { Severity::Warning },
            format!("{name} cannot be rolled, and \"up\" refuses to without --allow-downtime: {hazard}"),
        ),
    };
    let finding = subject.finding(severity, "cannot-roll", &[hazard.key()], problem).remedy(hazard.remedy());
    if !too_many && subject.runs(PROXIES) {
        let remedy = "a proxy has to hold its port; accept that changing the proxy itself costs downtime";
        return Some(finding.remedy(remedy).write(&["x-zdd:", "  strategy: recreate"]));
    }
    Some(match hazard {
        Hazard::FixedPort { target, .. } if !too_many => {
            finding.write(&["ports:".to_owned(), format!("  - \"{target}\"")])
        }
        Hazard::WritableVolume { source, target } => {
            finding.write(&["volumes:".to_owned(), format!("  - {source}:{target}:ro")])
        }
        _ => finding,
    })
}

fn latest(subject: &Subject) -> Option<Finding> {
    let image = subject.raw.image.as_ref().filter(|_| !subject.service.builds)?;
    let last = image.rsplit('/').next().unwrap_or_default();
    if image.contains('@') || last.split_once(':').is_some_and(|(_, tag)| tag != "latest") {
        return None;
    }
    let bare = image.strip_suffix(":latest").unwrap_or(image);
    let problem = format!(
        "{} runs {bare}:latest: which version that is depends on the day of the pull",
        subject.name()
    );
    Some(
        subject
            .finding(Severity::Hint, "latest", &["image"], problem)
            .remedy("name the version")
            .write(&[format!("image: {bare}:VERSION")]),
    )
}

/// Found at the service that is linked to, told of where the link is written.
fn links(subject: &Subject) -> Vec<Finding> {
    let name = subject.name();
    let one = |other: &String| {
        let problem = format!(
            "{other} links to {name}: inside {other} the name \"{name}\" means one old container and dies with it"
        );
        let mut finding = subject.finding(Severity::Warning, "links", &[], problem);
        finding.path = ["services", other, "links"].map(str::to_owned).to_vec();
        let network = subject.raw.networks.keys().next().map_or("default", String::as_str);
        finding.remedy(format!("remove the link, and give {name} an alias on its network")).write(&[
            "networks:".to_owned(),
            format!("  {network}:"),
            format!("    aliases: [{name}]"),
        ])
    };
    subject.service.linked_by.iter().map(one).collect()
}

fn dependencies(subject: &Subject) -> Vec<Finding> {
    let checked = |name: &str| {
        let raw = subject.project.file.services.get(name);
        raw.is_some_and(|raw| raw.healthcheck.as_ref().is_some_and(|check| check.get("test").is_some()))
    };
    let open = subject.service.depends_on.iter();
    let open = open.filter(|on| on.condition == Condition::Started && checked(&on.service));
    let one = |on: &crate::model::Dependency| {
        let problem = format!(
            "{} waits until {} is started, not until it is healthy, although it has a healthcheck",
            subject.name(),
            on.service
        );
        subject
            .finding(Severity::Hint, "depends-on", &["depends_on", &on.service], problem)
            .remedy("wait until it is healthy")
            .write(&[
                "depends_on:".to_owned(),
                format!("  {}:", on.service),
                "    condition: service_healthy".to_owned(),
            ])
    };
    open.map(one).collect()
}

fn restart(subject: &Subject) -> Option<Finding> {
    (subject.service.restart == "no").then(|| {
        let problem =
            format!("{} has no restart policy: after a crash, or a reboot, it stays down", subject.name());
        subject
            .finding(Severity::Hint, "restart", &["restart"], problem)
            .remedy("let the engine start it again")
            .write(&["restart: unless-stopped"])
    })
}

/// Only where a second replica could run at all.
fn one_replica(subject: &Subject) -> Option<Finding> {
    let service = subject.service;
    let can = service.hazards.is_empty() && service.settings.strategy != Strategy::Recreate;
    (service.replicas == 1 && can).then(|| {
        let problem =
            format!("{} has one replica: a rollout loses nothing by that, but a crash does", subject.name());
        subject
            .finding(Severity::Hint, "one-replica", &["deploy"], problem)
            .remedy("run two where that is allowed")
            .write(&["deploy:", "  replicas: 2"])
    })
}

/// Compose hashes it, so that tuning it is a change to be rolled out.
fn update_config(subject: &Subject) -> Option<Finding> {
    let written = written_in(&subject.service.settings, Source::UpdateConfig);
    (!written.is_empty()).then(|| {
        let problem = format!(
            "{} has deploy.update_config, which is part of Compose's configuration hash: changing it makes a rollout by itself",
            subject.name()
        );
        let lines = written.iter().map(|(key, value)| format!("  {key}: {value}"));
        subject
            .finding(Severity::Hint, "update-config", &["deploy", "update_config"], problem)
            .remedy("write the same as x-zdd, unless Swarm reads the file too")
            .write(&std::iter::once("x-zdd:".to_owned()).chain(lines).collect::<Vec<_>>())
    })
}

fn written_in(settings: &Settings, source: Source) -> Vec<(&'static str, String)> {
    let here = settings.explained().into_iter().filter(|(_, _, from)| *from == source);
    here.map(|(key, value, _)| (key, value)).collect()
}

fn rollback_config(subject: &Subject) -> Option<Finding> {
    subject.raw.deploy.as_ref()?.rollback_config.as_ref()?;
    let problem = format!(
        "{} has deploy.rollback_config, which docker zdd does not read: a way back restores the old containers at once",
        subject.name()
    );
    Some(
        subject
            .finding(Severity::Hint, "rollback-config", &["deploy", "rollback_config"], problem)
            .remedy("leave it to Swarm, or remove it"),
    )
}

/// Named volumes and folders of the host that more than one container writes to.
pub fn shared_volumes(project: &Project) -> Vec<Finding> {
    let mut writers: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for (name, raw) in &project.file.services {
        let Some(service) = project.model.services.get(name).filter(|service| !service.one_shot) else {
            continue;
        };
        // A single replica's volume is in its hazards, unless somebody said that two may write.
        for mount in raw.volumes.iter().filter(|mount| mount.holds_data()) {
            let copies = if service.replicas > 1 { 2 } else { 1 };
            let places = writers.entry(mount.source.as_deref().unwrap_or_default()).or_default();
            places.extend(std::iter::repeat_n((name.as_str(), mount.target.as_str()), copies));
        }
    }
    writers.retain(|_, places| places.len() > 1);
    writers.into_iter().map(|(source, places)| shared(source, places)).collect()
}

fn shared(source: &str, mut places: Vec<(&str, &str)>) -> Finding {
    places.dedup();
    let (name, target) = places[0];
    let names: Vec<_> = places.iter().map(|(name, _)| *name).collect();
    let who = match names.as_slice() {
        [one] => format!("all replicas of {one}"),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
        [] => String::new(),
    };
    Finding {
        severity: Severity::Hint,
        code: "shared-volume",
        service: Some(name.to_owned()),
        path: ["services", name, "volumes"].map(str::to_owned).to_vec(),
        problem: format!(
            "{who} write to \"{source}\", and during a rollout the old version and the new one both do"
        ),
        remedy: "let it be read only where nothing is written".to_owned(),
        yaml: None,
    }
    .write_in(name, &["volumes:".to_owned(), format!("  - {source}:{target}:ro")])
}
