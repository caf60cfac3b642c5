//! From the project as Compose resolved it to what `docker stack deploy` takes: service by service, with everything
//! that Swarm has nothing for refused by name. Pure; the contents of files come through [`Sources`].
//!
//! `keys` is the one table of what becomes of every key. A key that is in no row is refused, so that nothing is ever
//! dropped in silence.

mod deploy;
mod hooks;
mod kept;
mod keys;
mod mounts;
mod networks;
mod resources;
mod service;
mod template;
mod text;
mod walk;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::{Map, Value};

pub use self::{
    kept::{Bytes, Kept, Kind, SourceFile},
    keys::{Fate, Row, TABLES, Table},
    text::{HASH_LABEL, NETWORK_LABEL, SETTINGS_LABEL, sha256},
};
use crate::project::{Dependency, Document, Project, Settings};

/// Where contents come from that the file only names.
pub trait Sources {
    /// A config's or a secret's file on this machine.
    ///
    /// # Errors
    /// Why it cannot be read, as a clause.
    fn file(&self, path: &str) -> Result<SourceFile, String>;

    /// A variable as Compose knows it (`docker compose config --environment`).
    fn variable(&self, name: &str) -> Option<String>;
}

/// What is known beside the document.
pub struct Options<'a> {
    pub sources: &'a dyn Sources,
    /// How each service is to be updated.
    pub settings: BTreeMap<String, Settings>,
    /// Counts from the command line.
    pub scale: BTreeMap<String, u32>,
    /// Service → keys that it does without, knowingly.
    pub without: BTreeMap<String, BTreeSet<String>>,
}

impl<'a> Options<'a> {
    pub fn of(project: &Project, sources: &'a dyn Sources) -> Options<'a> {
        let settings = |(name, service): (&String, &std::sync::Arc<crate::project::Service>)| {
            (name.clone(), service.settings.clone())
        };
        Options {
            sources,
            settings: project.services.iter().map(settings).collect(),
            scale: BTreeMap::new(),
            without: project.swarm.without.clone(),
        }
    }
}

/// A project as Swarm takes it.
#[derive(Clone, Debug, Default)]
pub struct Stack {
    pub name: String,
    pub services: BTreeMap<String, StackService>,
    /// By their keys in the file, as `docker stack deploy` reads them. Swarm never changes one that there is.
    pub networks: BTreeMap<String, Value>,
    pub volumes: BTreeMap<String, Value>,
    /// Configs and secrets that must be there before the services that use them.
    pub kept: Vec<Kept>,
    /// By their keys: those of `kept`, and those that somebody else has made.
    configs: BTreeMap<String, Value>,
    secrets: BTreeMap<String, Value>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    #[default]
    Replicated,
    /// One on each node.
    Global,
}

#[derive(Clone, Debug, Default)]
pub struct StackService {
    /// Of all by which Swarm replaces containers: the service without what `settings_hash` is of and its count.
    pub hash: String,
    /// Of its labels, its mode, and how it is updated and rolled back.
    pub settings_hash: String,
    /// What is otherwise than under Compose.
    pub notes: Vec<String>,
    /// What must be done before it.
    pub after: Vec<Dependency>,
    /// It runs to its end, and is then removed: a plain service that is not started again.
    pub job: bool,
    pub mode: Mode,
    /// `None`: nobody says, so that the present count stays; there is none for [`Mode::Global`]. Whoever knows better
    /// writes it before he asks for the text.
    pub replicas: Option<u32>,
    /// Somebody has decided how many are replaced at a time.
    paced: bool,
    /// As `deploy.update_config` has it.
    pub order: crate::project::settings::Order,
    /// What runs to its end before the service is touched.
    pub pre_start: Vec<StackService>,
    /// As `docker stack deploy` reads it, without count and labels of zdd's own.
    body: Map<String, Value>,
}

/// Something in the file that Swarm has nothing for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// `None` for what stands at the top of the file.
    pub service: Option<String>,
    /// Keys from the top of the file, for [`crate::text::place::Files::locate`].
    pub key: Vec<String>,
    /// A sentence that begins with the key.
    pub message: String,
    /// What to write instead, as an imperative clause.
    pub instead: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(service) = &self.service {
            write!(f, "service {service}: ")?;
        }
        write!(f, "{}; {}", self.message, self.instead)
    }
}

/// The whole project, or all that stands in the way.
///
/// # Errors
/// Everything that Swarm has nothing for, at once, in the order of the services.
pub fn convert(document: &Document, options: &Options) -> Result<Stack, Vec<Misfit>> {
    service::stack(document, options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::WAIVABLE;

    /// Nothing of it starts without these.
    const NEEDED: &[&str] =
        &["external_links", "models", "pid", "provider", "use_api_socket", "volumes_from"];

    #[test]
    fn what_is_refused_of_a_service_can_be_waived() {
        let refused = keys::SERVICE.rows.iter().filter(|row| matches!(row.fate, Fate::Refused { .. }));
        let keys = refused.flat_map(|row| row.keys.iter().copied()).filter(|key| !key.contains(['.', '[']));
        let mut keys: Vec<_> = keys.filter(|key| !NEEDED.contains(key)).chain(["pre_start"]).collect();
        keys.sort_unstable();
        assert_eq!(keys, WAIVABLE);
    }

    #[test]
    fn no_key_has_two_rows() {
        for table in TABLES {
            let mut seen = BTreeSet::new();
            let all = table.rows.iter().flat_map(|row| row.keys);
            all.for_each(|key| assert!(seen.insert(key), "{}: {key}", table.of));
        }
    }

    #[test]
    fn what_nobody_may_read_is_not_shown() {
        let kept = Kept {
            kind: Kind::Secret,
            name: "shop_token_0123456789ab".to_owned(),
            labels: vec![],
            template_driver: None,
            bytes: Bytes(b"s3cret".to_vec()),
        };
        let shown = format!("{kept:?}");
        assert!(shown.contains("6 bytes") && !shown.contains("s3cret"), "{shown}");
    }
}
