//! In whose container a service lives: the file names another service, or a container by its name or its ID.

use std::collections::BTreeMap;

use super::Project;
use crate::engine::{Container, config};

/// One that a service lives with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    pub service: String,
    /// The key that says so.
    pub key: &'static str,
    /// The container, where it is named and not the service.
    pub container: Option<Named>,
}

/// A container as the file names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub reference: String,
    /// It is an ID, or a part of one, which the next container does not have.
    pub is_id: bool,
}

/// Reference → the service whose container it is, and whether it is an ID.
pub type Known = BTreeMap<String, (String, bool)>;

/// As `docker ps` prints them. A shorter word is rather a name.
const SHORT_ID: usize = 12;

/// Those whose names follow from the file.
pub fn by_name(file: &config::File) -> Known {
    let references = file.services.values().flat_map(config::Service::hosts).map(|(reference, _)| reference);
    let known = |reference: String| {
        let service = file.services.iter().find(|(name, raw)| is_name(&reference, &file.name, name, raw))?.0;
        Some((reference, (service.clone(), false)))
    };
    references.filter_map(known).collect()
}

/// `shop-web-1`, or what is written as `container_name`.
fn is_name(reference: &str, project: &str, service: &str, raw: &config::Service) -> bool {
    let number = |separator: char| {
        let rest = reference.strip_prefix(project)?.strip_prefix(separator)?.strip_prefix(service)?;
        rest.strip_prefix(separator)?.parse::<u32>().ok()
    };
    match &raw.container_name {
        Some(name) => name == reference,
        None => ['-', '_'].into_iter().any(|separator| number(separator).is_some()),
    }
}

impl Project {
    /// Finds out whose containers those are that the file names.
    pub fn find_hosts(&mut self, containers: &[Container]) {
        let references = self.file.services.values().flat_map(config::Service::hosts);
        for (reference, _) in references {
            let is_id = |c: &&Container| reference.len() >= SHORT_ID && c.id.starts_with(&reference);
            let named = containers.iter().find(|c| c.name == reference).map(|c| (c, false));
            let found = named.or_else(|| containers.iter().find(is_id).map(|c| (c, true)));
            if let Some((container, is_id)) = found {
                self.hosts.insert(reference, (container.service.clone(), is_id));
            }
        }
    }

    /// In whose containers a service lives.
    pub fn hosts_of(&self, raw: &config::Service) -> Vec<Host> {
        let by_service =
            raw.parents().into_iter().map(|(service, key)| Host { service, key, container: None });
        let by_container = raw.hosts().into_iter().filter_map(|(reference, key)| {
            let (service, is_id) = self.hosts.get(&reference)?.clone();
            Some(Host { service, key, container: Some(Named { reference, is_id }) })
        });
        by_service.chain(by_container).collect()
    }
}
