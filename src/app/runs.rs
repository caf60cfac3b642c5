//! Which platform a command is about.

use std::sync::PoisonError;

use clap::ValueEnum;

use super::{Context, environment};
use crate::{cli::Planning, exit::Stop, project::Runs};

const ENGINE: &str = "DOCKER_ZDD_ENGINE";

/// What the flag says, else the environment.
///
/// # Errors
/// The environment says something else than there is.
pub fn asked(flag: Option<Runs>) -> Result<Option<Runs>, Stop> {
    let Some(word) = environment::variable(ENGINE).filter(|_| flag.is_none()) else { return Ok(flag) };
    let known = Runs::from_str(&word, false);
    known.map(Some).map_err(|_| {
        Stop::error(format!("{ENGINE}: \"{word}\" is not known; write \"compose\" or \"swarm\""))
    })
}

impl Context {
    /// What the flag says, the environment, or the file. A file that cannot be read says so to whoever reads it next.
    pub fn runs(&self) -> Runs {
        if let Some(engine) = self.engine {
            return engine;
        }
        // Compose is asked only where the key is written.
        let says = |text: &String| text.contains("x-zdd") && text.contains("engine");
        if !self.files.0.iter().any(|(_, text)| says(text)) {
            return Runs::Compose;
        }
        let Ok(document) = self.document(&[]) else { return Runs::Compose };
        let project = self.read(document.clone(), &Planning::default());
        *self.read_ahead.lock().unwrap_or_else(PoisonError::into_inner) = Some(document);
        project.ok().and_then(|project| project.swarm.engine).unwrap_or_default()
    }
}
