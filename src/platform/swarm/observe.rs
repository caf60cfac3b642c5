//! What is there, read once.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Managers, names, stack::sha256};
use crate::{
    engine::{
        CallError, Container, ContainerRef, Replica, State,
        container::DEFAULT_GRACE,
        swarm::{Node, Service, Task},
    },
    keep::Revision,
};

#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// By their names in the file.
    pub services: BTreeMap<String, Seen>,
    /// The services of jobs that a run that was killed has left, by their full names.
    pub leftovers: Vec<String>,
    pub nodes: Vec<Node>,
    /// Oldest first.
    pub revisions: Vec<Revision>,
}

#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub service: Service,
    /// Those that were there, also what became of earlier ones.
    pub tasks: Vec<Task>,
}

impl Observed {
    /// # Errors
    /// No manager answers.
    pub fn read(managers: &Managers, stack: &str, revisions: Vec<Revision>) -> Result<Observed, CallError> {
        let services = managers.read(|docker| docker.services(stack))?;
        let ids: Vec<_> = services.iter().map(|service| service.id.clone()).collect();
        let tasks = managers.read(|docker| docker.tasks(&ids, false))?;
        let nodes = managers.read(|docker| docker.nodes())?;
        Ok(Observed::of(stack, services, &tasks, nodes, revisions))
    }

    /// From the answers.
    pub fn of(
        stack: &str,
        services: Vec<Service>,
        tasks: &[Task],
        nodes: Vec<Node>,
        revisions: Vec<Revision>,
    ) -> Observed {
        let (jobs, services): (Vec<_>, Vec<_>) =
            services.into_iter().partition(|service| names::is_job(&service.name));
        let seen = |service: Service| {
            let name = service.name.strip_prefix(&format!("{stack}_")).unwrap_or(&service.name).to_owned();
            let mine = tasks.iter().filter(|task| is_of(task, &service.name)).cloned().collect();
            (name, Seen { service, tasks: mine })
        };
        Observed {
            services: services.into_iter().map(seen).collect(),
            leftovers: jobs.into_iter().map(|job| job.name).collect(),
            nodes,
            revisions,
        }
    }

    pub fn next_number(&self) -> u32 {
        self.revisions.last().map_or(1, |last| last.number + 1)
    }

    /// How many are wanted of each that is there.
    pub fn counts(&self) -> BTreeMap<String, u32> {
        let count = |seen: &Seen| seen.service.replicas().and_then(|count| u32::try_from(count).ok());
        self.services.iter().filter_map(|(name, seen)| Some((name.clone(), count(seen)?))).collect()
    }

    /// The names of the nodes that take tasks.
    pub fn active_nodes(&self) -> BTreeSet<String> {
        active(&self.nodes)
    }
}

impl Seen {
    /// What serves, and what is to.
    pub fn running(&self) -> impl Iterator<Item = &Task> {
        self.tasks.iter().filter(|task| task.is_running() && task.desired == "running")
    }

    /// What runs of this image, by its digest.
    pub fn pinned(&self, reference: &str) -> Option<&str> {
        let image = self.service.image();
        image.split_once('@').filter(|(name, _)| *name == reference).map(|_| image)
    }
}

/// The names of the nodes that take tasks.
pub fn active(nodes: &[Node]) -> BTreeSet<String> {
    let active = nodes.iter().filter(|node| node.availability == "active" && node.state != "down");
    active.map(|node| node.hostname.clone()).collect()
}

/// `shop_app.2` is a task of `shop_app`, as is `shop_app.ID` of a global one.
pub fn is_of(task: &Task, service: &str) -> bool {
    task.name.rsplit_once('.').is_some_and(|(name, _)| name == service)
}

/// Its name as people see it: `app.2 on n3`, `app on n3` of a global one.
pub fn reference(task: &Task, stack: &str) -> ContainerRef {
    let name = task.name.strip_prefix(&format!("{stack}_")).unwrap_or(&task.name);
    let name = match name.rsplit_once('.') {
        Some((service, slot)) if !slot.bytes().all(|byte| byte.is_ascii_digit()) => service,
        _ => name,
    };
    ContainerRef { id: task.id.clone(), name: format!("{name} on {}", task.node) }
}

/// The image without its digest, and the digest.
pub fn split_image(image: &str) -> (&str, &str) {
    image.split_once('@').unwrap_or((image, ""))
}

/// As the plan and the reports know what runs.
pub fn replica(task: &Task, service: &str, stack: &str) -> Replica {
    let (image, digest) = split_image(&task.image);
    named(reference(task, stack), service, image, digest)
}

/// A whole service that no file has.
pub fn orphan(seen: &Seen, name: &str) -> Replica {
    let (image, digest) = split_image(seen.service.image());
    named(ContainerRef { id: seen.service.id.clone(), name: name.to_owned() }, name, image, digest)
}

fn named(reference: ContainerRef, service: &str, image: &str, digest: &str) -> Replica {
    let restart = crate::engine::container::RestartPolicy { name: "no".to_owned(), max_retries: 0 };
    Replica::from(&Container {
        id: reference.id,
        name: reference.name,
        service: service.to_owned(),
        number: 0,
        config_hash: String::new(),
        image_id: digest.to_owned(),
        engine_image_id: digest.to_owned(),
        rebuilt_image_id: None,
        image: image.to_owned(),
        command: vec![],
        state: State::Running,
        health: None,
        healthcheck: None,
        restart_count: 0,
        restart,
        exit_code: 0,
        oom_killed: false,
        error: String::new(),
        started_at: String::new(),
        grace: DEFAULT_GRACE,
        labels: BTreeMap::new(),
        networks: BTreeMap::new(),
        anonymous_volumes: vec![],
        published: vec![],
        exposed: vec![],
        proxied_as: vec![],
    })
}

/// Of what is wanted of a service, by which a change of somebody else is found out: without its count, which a person or
/// a program may set, and without what is zdd's own.
pub fn spec_hash(spec: &Value) -> String {
    let mut spec = spec.clone();
    if let Some(labels) = spec["Labels"].as_object_mut() {
        labels.retain(|key, _| !key.starts_with("com.docker.zdd."));
    }
    if let Some(task) = spec["TaskTemplate"].as_object_mut() {
        task.remove("ForceUpdate");
    }
    if let Some(replicated) = spec["Mode"]["Replicated"].as_object_mut() {
        replicated.remove("Replicas");
    }
    // serde_json keeps maps in the order of their keys.
    sha256(spec.to_string().as_bytes())[..16].to_owned()
}
