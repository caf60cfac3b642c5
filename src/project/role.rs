//! Whether a service serves, or does something once. Pure.

use super::{keeper_of_data, restart};
use crate::engine::config;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    #[default]
    Serves,
    /// Another service waits for this one to finish (`service_completed_successfully`).
    Job,
    /// Nobody waits for its end, but it looks like a job: should it end well, it is done.
    MayEnd,
    /// Run by a `provider` plugin: there is no container to update.
    Provider,
}

pub fn of(name: &str, raw: &config::Service, file: &config::File) -> Role {
    let mut waits = file.services.values().filter_map(|other| other.depends_on.get(name));
    match waits.any(|on| on.condition == "service_completed_successfully") {
        _ if raw.provider.is_some() => Role::Provider,
        true => Role::Job,
        false if looks_like_a_job(name, raw) => Role::MayEnd,
        false => Role::Serves,
    }
}

/// One that serves has a port or a healthcheck, or it is a database that runs what its image does, or it is started again
/// when it ends. That `restart` is not written says little, as people forget it, so then its name must say what it does.
fn looks_like_a_job(name: &str, raw: &config::Service) -> bool {
    const DEEDS: &[&str] = &[
        "init",
        "initializer",
        "migrate",
        "migrator",
        "migration",
        "migrations",
        "seed",
        "seeder",
        "setup",
        "bootstrap",
        "install",
        "createbuckets",
        "provision",
        "perms",
        "permissions",
        "chown",
    ];
    let policy = restart(raw);
    let named = || name.split(['-', '_']).any(|part| DEEDS.contains(&part.to_ascii_lowercase().as_str()));
    let ends = policy.starts_with("on-failure") || policy == "no" && (raw.restart.is_some() || named());
    let is_database = || keeper_of_data(raw).is_some() && raw.words().next().is_none() && !named();
    ends && raw.ports.is_empty() && raw.healthcheck.is_none() && !is_database()
}
