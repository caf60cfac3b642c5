//! What is otherwise on Swarm: a healthcheck decides alone, nodes have their own disks, and names mean one address.

use serde_json::Value;

use super::{
    DOCTOR, Each, Error, Finding, Hint, PLAN_AND_DOCTOR, RULES, Rule, Subject, Warning,
    health::{self, Health},
    rule,
};
use crate::{
    engine::config::{Mount, undollar},
    project::own_check,
    text::{count, duration, image_name, join},
};

/// What is known of the swarm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// Those that may run containers.
    pub nodes: usize,
}

/// Swarm kills what it calls unhealthy, also long after the update. With `timeout: 1s, retries: 3` a busy machine lost all
/// replicas of a healthy service at once (seen at a load of 29 on 2 cores).
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(15);

/// Of the other list, what is true here too.
const SHARED: &[&str] = &[
    "engine",
    "compose",
    "plugin-missing",
    "plugin-invalid",
    "plugin-twice",
    "plugin-other",
    "file",
    "file-missing",
    "slow-healthcheck",
    "wait-timeout",
    "grace-period",
    "stop-signal",
    "latest",
    "depends-on",
    "one-replica",
];

const ON_SWARM: &[Rule] = &[
    rule("no-healthcheck", Error, DOCTOR, Each(unchecked)),
    rule("local-image", Error, PLAN_AND_DOCTOR, Each(local_image)),
    rule("impatient-healthcheck", Warning, PLAN_AND_DOCTOR, Each(impatient)),
    rule("local-volume", Warning, PLAN_AND_DOCTOR, Each(local_volume)),
    rule("bind-mount", Warning, DOCTOR, Each(bind_mount)),
    rule("traefik-labels", Warning, PLAN_AND_DOCTOR, Each(traefik_labels)),
    rule("one-address", Hint, DOCTOR, Each(one_address)),
];

pub(super) fn rules() -> impl Iterator<Item = &'static Rule> {
    RULES.iter().filter(|rule| SHARED.contains(&rule.code)).chain(ON_SWARM)
}

fn nodes(subject: &Subject) -> usize {
    subject.scene.swarm.map_or(1, |cluster| cluster.nodes)
}

fn unchecked(subject: &Subject) -> Option<Finding> {
    subject.updated()?;
    let what = match health::of(subject) {
        Health::Checked(_) => return None,
        Health::Unchecked => "no healthcheck",
        Health::Unknown => "no healthcheck in the file, and its image is not here to be asked",
    };
    let problem = format!("{what}: Swarm sends a container requests as soon as its program has started");
    let finding = subject.finding(&["healthcheck"], problem);
    let finding = finding.remedy("write a healthcheck with a program that the image has");
    let Some(test) = own_check(subject.program()) else { return Some(finding) };
    let test = serde_json::to_string(test).ok()?.replace("\",\"", "\", \"");
    let lines = ["interval: 2s", "timeout: 5s", "retries: 3", "start_period: 30s"];
    let lines = lines.map(|line| format!("  {line}"));
    let lines: Vec<_> =
        ["healthcheck:".to_owned(), format!("  test: {test}")].into_iter().chain(lines).collect();
    Some(finding.write(&lines))
}

fn impatient(subject: &Subject) -> Option<Finding> {
    subject.updated()?;
    let Health::Checked(check) = health::of(subject) else { return None };
    let patience = check.timeout().saturating_mul(check.retries());
    if patience >= PATIENCE {
        return None;
    }
    let problem = format!(
        "Swarm kills it when {} of its healthcheck in a row take longer than {}, which one busy minute of a node can bring about",
        count(check.retries() as usize, "probe"),
        duration::show(check.timeout())
    );
    let finding = subject.finding(&["healthcheck", "timeout"], problem);
    let remedy = "let timeout × retries be 15s or more";
    Some(finding.remedy(remedy).write(&["healthcheck:", "  timeout: 5s", "  retries: 3"]))
}

/// A volume of the driver `local` that is no share of another machine lies on one node's disk.
fn local_volume(subject: &Subject) -> Option<Finding> {
    if nodes(subject) < 2 || is_pinned(subject) {
        return None;
    }
    let named = subject.raw.volumes.iter().filter(|mount| mount.r#type == "volume" && mount.holds_data());
    let local: Vec<_> = named
        .filter_map(|mount| mount.source.as_deref())
        .filter(|source| is_local(subject, source))
        .collect();
    let first = local.first()?;
    let problem = format!(
        "the data in {} stays on the node where it was written: on another of the {} nodes it begins empty",
        join(&local),
        nodes(subject)
    );
    let remedy = format!("pin it to the node that has {first}, or use a driver that all nodes reach");
    let lines = ["deploy:", "  placement:", "    constraints: [node.hostname == NODE]"];
    Some(subject.finding(&["volumes"], problem).remedy(remedy).write(&lines))
}

fn is_local(subject: &Subject, source: &str) -> bool {
    let volume = subject.project.document.resource("volumes", source);
    let driver = volume["driver"].as_str().unwrap_or("local");
    let kind = volume["driver_opts"]["type"].as_str().unwrap_or_default();
    driver == "local" && !["nfs", "nfs4", "cifs", "ceph", "glusterfs"].contains(&kind)
}

/// It can run on one node alone.
fn is_pinned(subject: &Subject) -> bool {
    let service = subject.project.document.service(subject.name()).unwrap_or(&Value::Null);
    let constraints = service["deploy"]["placement"]["constraints"].as_array().into_iter().flatten();
    let mut words = constraints.filter_map(Value::as_str).map(|text| text.replace(' ', ""));
    // A label is how people name the node that has a disk.
    words.any(|text| ["node.hostname==", "node.id==", "node.labels."].iter().any(|key| text.starts_with(key)))
}

fn bind_mount(subject: &Subject) -> Option<Finding> {
    if nodes(subject) < 2 || is_pinned(subject) {
        return None;
    }
    let binds =
        subject.raw.volumes.iter().filter(|mount| mount.r#type == "bind" && !is_on_every_machine(mount));
    let sources: Vec<_> = binds.filter_map(|mount| mount.source.as_deref()).map(undollar).collect();
    if sources.is_empty() {
        return None;
    }
    let problem =
        format!("{} must be on each of the {} nodes: Swarm copies nothing", join(&sources), nodes(subject));
    let finding = subject.finding(&["volumes"], problem);
    Some(
        finding
            .remedy("write a config for a file, put a folder into the image, or pin the service to a node"),
    )
}

fn is_on_every_machine(mount: &Mount) -> bool {
    let source = mount.source.as_deref().unwrap_or_default();
    let system = ["/proc", "/sys", "/dev", "/etc/localtime", "/etc/timezone"];
    source == "/" || source.ends_with(".sock") || system.iter().any(|known| source.starts_with(known))
}

fn local_image(subject: &Subject) -> Option<Finding> {
    let image = &subject.service.image;
    let is_there = image.pull_policy.as_deref() == Some("never");
    if nodes(subject) < 2 || is_pinned(subject) || is_there || !image.builds || image.can_be_pushed() {
        return None;
    }
    let problem = format!(
        "the image {} is built here and has no registry, so that the other nodes cannot get it",
        image.reference
    );
    let finding = subject.finding(&["image"], problem);
    let line = format!("image: registry.example/{}", image.reference);
    Some(finding.remedy("name the image with its registry").write(&[line]))
}

/// Its provider for Swarm reads services, and the one for containers knows those of its own node alone.
fn traefik_labels(subject: &Subject) -> Option<Finding> {
    let own = |key: &String| key.starts_with("traefik.");
    let of_service = subject.project.document.service(subject.name())?;
    let of_service = of_service["deploy"]["labels"].as_object().into_iter().flatten();
    let first = subject.raw.labels.keys().find(|key| own(key))?;
    if of_service.into_iter().any(|(key, _)| own(key)) {
        return None;
    }
    let problem =
        format!("Traefik reads the labels of services on Swarm, and {first} is one of its containers alone");
    let finding = subject.finding(&["labels"], problem);
    let remedy = "write them under deploy, and run Traefik with --providers.swarm and refreshSeconds 1";
    let line = format!("    {first}: {}", serde_json::to_string(&subject.raw.labels[first]).ok()?);
    Some(finding.remedy(remedy).write(&["deploy:", "  labels:", &line]))
}

/// A proxy that looks a name up finds all replicas by `dnsrr` alone.
fn one_address(subject: &Subject) -> Option<Finding> {
    let service = subject.updated()?;
    let raw = subject.project.document.service(subject.name())?;
    let is_published = !subject.raw.ports.is_empty();
    let by_address = raw["deploy"]["endpoint_mode"].as_str().is_none_or(|mode| mode == "vip");
    if service.replicas < 2 || is_published || !by_address {
        return None;
    }
    let proxy = proxies(subject).next()?;
    let problem = format!(
        "{proxy} finds one address for its {} replicas, which Swarm shares out by itself",
        service.replicas
    );
    let finding = subject.finding(&["deploy", "endpoint_mode"], problem);
    let remedy = format!(
        "let {proxy} see each of them, to check and to try again, or let it look up tasks.{}",
        service.name
    );
    Some(finding.remedy(remedy).write(&["deploy:", "  endpoint_mode: dnsrr"]))
}

/// Services on a network with it that run HAProxy, nginx or Caddy.
fn proxies<'a>(subject: &'a Subject) -> impl Iterator<Item = &'a String> {
    let mine = &subject.raw.networks;
    let others = subject.project.file.services.iter().filter(|(name, _)| *name != subject.name());
    let near = others.filter(|(_, other)| other.networks.keys().any(|network| mine.contains_key(network)));
    near.filter(|(_, other)| is_proxy(other.image.as_deref().unwrap_or_default())).map(|(name, _)| name)
}

fn is_proxy(image: &str) -> bool {
    ["haproxy", "nginx", "caddy"].contains(&image_name(image))
}
