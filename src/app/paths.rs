//! Files of this machine that a revision needs, and that are not part of it.

use std::path::Path;

use super::{Context, deploy::Ready};
use crate::{
    event::{Event, Verdict},
    keep::Owner,
    project::HostPath,
};

impl Context {
    /// Looks for what the services that are touched take from the machine's files. On another machine than the
    /// engine's nobody can look.
    ///
    /// # Errors
    /// The sentence about a config's or a secret's file that is gone. Nothing was touched.
    pub fn check_host_paths(&self, ready: &Ready) -> Result<(), String> {
        let document = &ready.project.document;
        let services = ready.plan.services.iter();
        let touched = services.filter(|s| s.verdict != Verdict::Unchanged && !s.operations.is_empty());
        let paths =
            touched.flat_map(|plan| document.host_paths(&plan.service).into_iter().map(move |p| (plan, p)));
        let gone: Vec<_> = paths.filter(|(_, path)| is_gone(&path.path)).collect();
        if gone.is_empty() || !self.is_machine_of_engine() {
            return Ok(());
        }
        for (plan, HostPath { path, is_file }) in gone {
            if is_file {
                return Err(format!("service {} needs {path}, which no longer exists", plan.service));
            }
            let message = format!(
                "it mounts {path}, which no longer exists; the engine may create an empty folder there"
            );
            self.emit(Event::Warning { service: Some(plan.service.clone()), message });
        }
        Ok(())
    }

    /// A container that was given the engine's socket has another name than the engine, and other files.
    fn is_machine_of_engine(&self) -> bool {
        let here = Owner::here().host;
        self.docker().engine_name().is_ok_and(|name| name == here)
    }
}

/// What this user may not look at may be there.
fn is_gone(path: &str) -> bool {
    Path::new(path).try_exists().is_ok_and(|exists| !exists)
}
