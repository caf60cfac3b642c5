//! Why new tasks cannot start before the old ones stop, though the file says so or says nothing. Pure.

use std::collections::BTreeSet;

use super::{
    observe::{Observed, active},
    target::Target,
};
use crate::{
    engine::swarm::Node,
    project::{Project, Settings, Source},
};

pub struct Obstacle {
    pub key: Option<&'static str>,
    /// One clause.
    pub problem: String,
}

/// `None`: both generations find their place.
pub fn obstacle(name: &str, target: &Target, project: &Project, observed: &Observed) -> Option<Obstacle> {
    let tasks = target.replicas.map_or(0, |count| count as usize);
    let nodes = eligible(name, project, &observed.nodes);
    // One more must fit in while both are there.
    let more = if target.is_global() { nodes.len() + 1 } else { tasks + 1 };
    if let Some(port) = host_port(name, project)
        && more > nodes.len()
    {
        return Some(Obstacle {
            key: Some("ports"),
            problem: format!("port {port} of the host is taken on all {} nodes that can run it", nodes.len()),
        });
    }
    if let Some(most) = most_on_a_node(name, project)
        && more > nodes.len() * most
    {
        return Some(Obstacle {
            key: Some("deploy"),
            problem: format!("max_replicas_per_node leaves no room for more than {}", nodes.len() * most),
        });
    }
    local_volume(name, project).filter(|_| tasks == 1).map(|volume| Obstacle {
        key: Some("volumes"),
        problem: format!(
            "two of it would write to volume {volume} at once, or to another one on another node"
        ),
    })
}

/// Where old tasks stop first: whether so many go at a time that none of these is left.
pub fn is_down(tasks: u64, settings: &Settings) -> bool {
    let mut explained = settings.explained().into_iter();
    let paced = explained.any(|(key, _, source)| key == "parallelism" && source != Source::Default);
    match settings.parallelism {
        // One after the other, unless somebody says that it is to be all.
        0 => paced || tasks <= 1,
        n => tasks <= u64::from(n),
    }
}

/// The nodes that meet the constraints, as far as these are of a kind that is understood.
fn eligible<'n>(name: &str, project: &Project, nodes: &'n [Node]) -> Vec<&'n Node> {
    let active = active(nodes);
    let service = project.document.service(name);
    let constraints = service.and_then(|service| service["deploy"]["placement"]["constraints"].as_array());
    let constraints: Vec<&str> = constraints.into_iter().flatten().filter_map(|c| c.as_str()).collect();
    let fits = |node: &&Node| {
        active.contains(&node.hostname) && constraints.iter().all(|constraint| meets(node, constraint))
    };
    nodes.iter().filter(fits).collect()
}

fn meets(node: &Node, constraint: &str) -> bool {
    let (key, value, wanted) = match (constraint.split_once("=="), constraint.split_once("!=")) {
        (Some((key, value)), _) => (key.trim(), value.trim(), true),
        (_, Some((key, value))) => (key.trim(), value.trim(), false),
        _ => return true,
    };
    let role = if node.is_manager { "manager" } else { "worker" };
    let found = match key {
        "node.id" => node.id.as_str(),
        "node.hostname" => node.hostname.as_str(),
        "node.role" => role,
        _ => match key.strip_prefix("node.labels.") {
            Some(label) => node.labels.get(label).map_or("", String::as_str),
            None => return true,
        },
    };
    (found == value) == wanted
}

/// A port that a task has on its node for itself.
fn host_port(name: &str, project: &Project) -> Option<String> {
    let ports = &project.file.services.get(name)?.ports;
    let own = ports.iter().find(|port| port.mode.as_deref() == Some("host") && port.published.is_some())?;
    own.published.clone()
}

fn most_on_a_node(name: &str, project: &Project) -> Option<usize> {
    let most = &project.document.service(name)?["deploy"]["placement"]["max_replicas_per_node"];
    most.as_u64().and_then(|most| usize::try_from(most).ok()).filter(|most| *most > 0)
}

/// A volume with a name and data on one node, that it may write to.
fn local_volume<'p>(name: &str, project: &'p Project) -> Option<&'p str> {
    let named = |mount: &&crate::engine::config::Mount| mount.r#type == "volume" && !mount.read_only;
    let volumes: BTreeSet<_> = project
        .document
        .resources()
        .filter(|(key, _)| *key == "volumes")
        .collect::<Vec<_>>()
        .into_iter()
        .flat_map(|(_, value)| value.as_object().into_iter().flatten())
        .map(|(key, volume)| (key.as_str(), volume["driver"].as_str().unwrap_or("local")))
        .collect();
    let local = |source: &str| volumes.iter().any(|(key, driver)| *key == source && *driver == "local");
    let mounts = &project.file.services.get(name)?.volumes;
    mounts.iter().filter(named).filter_map(|mount| mount.source.as_deref()).find(|source| local(source))
}
