//! Where the contents of configs and secrets come from.

use std::{collections::BTreeMap, env, fs, os::unix::fs::PermissionsExt};

use super::super::Context;
use crate::{
    platform::swarm::stack::{Bytes, SourceFile, Sources},
    project::Project,
};

/// The files of this machine, its variables, and those that Compose knows beside them.
pub struct Machine(BTreeMap<String, String>);

impl Sources for Machine {
    fn file(&self, path: &str) -> Result<SourceFile, String> {
        let read = || {
            let executable = fs::metadata(path)?.permissions().mode() & 0o111 != 0;
            Ok(SourceFile { bytes: Bytes(fs::read(path)?), executable })
        };
        read().map_err(|error: std::io::Error| error.to_string())
    }

    fn variable(&self, name: &str) -> Option<String> {
        // They come first with Compose too, and may have several lines.
        env::var(name).ok().or_else(|| self.0.get(name).cloned())
    }
}

impl Context {
    pub fn sources(&self, project: &Project) -> Machine {
        let all =
            project.document.resources().filter(|(kind, _)| matches!(kind.as_str(), "configs" | "secrets"));
        let values = all.flat_map(|(_, value)| value.as_object().into_iter().flatten());
        let needs = values.map(|(_, value)| value).any(|value| value["environment"].is_string());
        // Compose is asked only where there is one.
        Machine(if needs { self.docker().variables().unwrap_or_default() } else { BTreeMap::new() })
    }
}
