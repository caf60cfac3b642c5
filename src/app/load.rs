//! From the compose files to the project: Compose resolves, zdd reads.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::PoisonError,
};

use super::{Context, complaint, files, included};
use crate::{
    cli::Planning,
    engine::{CallError, Docker, Engine, Problem},
    exit::Stop,
    platform::compose::check_compose,
    project::{BadSetting, Document, Overrides, Project},
    text::{did_you_mean, place::Files, variable::blame},
    wait::beside,
};

impl Context {
    /// Loads the project and makes every later call name it.
    ///
    /// # Errors
    /// No usable Compose, a file that Compose refuses, a bad `x-zdd`, an unknown service. Nothing was touched.
    pub fn load(&mut self, planning: &Planning) -> Result<Project, Stop> {
        let (draft, hashes) = self.draft_and_hashes(planning)?;
        self.complete(draft, hashes)
    }

    /// Reads the files, as far as is needed to know the project and whether they are in order: all but the hashes.
    ///
    /// # Errors
    /// As [`Context::load`].
    pub fn draft(&self, planning: &Planning) -> Result<Project, Stop> {
        let mut project = self.read(self.document(&[])?, planning)?;
        if !planning.services.iter().all(|name| project.services.contains_key(name)) {
            // Naming a service of a disabled profile enables it; an unknown one makes Compose complain.
            let named = self.read(self.document(&planning.services)?, planning)?;
            project.extend(named)?;
        }
        Ok(project)
    }

    /// Reads what may have been edited since.
    ///
    /// # Errors
    /// As [`Context::load`], and a project that is called otherwise by now: its lock is another one.
    pub fn draft_again(&mut self, planning: &Planning, name: &str) -> Result<Project, Stop> {
        self.files = files::read(&self.flags, self.piped.as_ref());
        let draft = self.draft(planning)?;
        match draft.name == name {
            true => Ok(draft),
            false => Err(Stop::error(format!(
                "project {name} was renamed to {} while waiting for its lock; nothing was touched",
                draft.name
            ))),
        }
    }

    /// The resolved project with the hashes, which are asked for in the meantime. Of files that are edited between the two,
    /// most is found out when a container has been made of them.
    ///
    /// # Errors
    /// As [`Context::load`].
    pub fn draft_and_hashes(&self, planning: &Planning) -> Result<(Project, Hashes), Stop> {
        let hashes = || self.docker().config_hashes(&[]);
        if files::may_be_fetched(&self.flags, &self.files) {
            return Ok((self.draft(planning)?, hashes()));
        }
        let (draft, hashes) = beside(|| self.draft(planning), hashes);
        Ok((draft?, hashes))
    }

    /// Adds the hash of each service, which Compose knows beside the files.
    ///
    /// # Errors
    /// As [`Context::load`].
    pub fn complete(&mut self, mut project: Project, hashes: Hashes) -> Result<Project, Stop> {
        let hashes = hashes.and_then(|hashes| with_named(hashes, self.docker(), &project));
        let hashes = hashes.map_err(|error| self.why_not(error))?;
        project.set_hashes(&hashes).map_err(|name| {
            Stop::error(format!("\"docker compose config --hash\" does not name service {name}"))
        })?;
        self.platform.docker.set_project(&project.name);
        Ok(project)
    }

    /// The resolved project. What Compose warns of is passed on, once for all readings.
    ///
    /// # Errors
    /// No usable Compose, or a file that Compose refuses.
    pub fn document(&self, services: &[String]) -> Result<Document, Stop> {
        let mut ahead = self.read_ahead.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(document) = ahead.take_if(|_| services.is_empty()) {
            return Ok(document);
        }
        drop(ahead);
        let docker = self.docker();
        let (text, warnings) = docker.resolve(services);
        for warning in warnings {
            let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
            if warned.insert(warning.clone()) {
                self.warn(warning);
            }
        }
        let text = text.map_err(|error| self.meant(self.why_not(error)))?;
        Ok(Document::parse(&text)?)
    }

    /// Why Compose does not take the files; where it is missing or too old, that.
    fn why_not(&self, error: CallError) -> Stop {
        check_compose(self.docker()).err().unwrap_or_else(|| compose_says(error, &self.files))
    }

    /// With the service that was probably meant, where one that there is not was named.
    fn meant(&self, stop: Stop) -> Stop {
        let Some(named) = stop.message.strip_prefix("no such service: ") else { return stop };
        let all = self.docker().all_services().unwrap_or_default();
        let known: Vec<_> = all.iter().map(String::as_str).collect();
        match did_you_mean(named, &known) {
            meant if meant.is_empty() => stop,
            meant => Stop::error(format!("{};{meant}", stop.message)),
        }
    }

    pub fn read(&self, document: Document, planning: &Planning) -> Result<Project, Stop> {
        Project::read(document, &self.overrides(planning)).map_err(|error| file_error(error, &self.files))
    }

    fn overrides(&self, planning: &Planning) -> Overrides {
        Overrides {
            scale: planning.scale.iter().cloned().collect(),
            settings: planning.pace.settings(),
            compatible: self.platform.compatible,
            included: included::read(&self.files),
        }
    }

    /// Services of disabled profiles: unknown to the project, but their containers are no orphans.
    pub fn dormant(&self, project: &Project) -> Result<BTreeSet<String>, Stop> {
        let all = self.docker().all_services()?;
        Ok(all.into_iter().filter(|name| !project.services.contains_key(name)).collect())
    }
}

/// Service → its hash, of the services that an enabled profile has.
pub type Hashes = Result<BTreeMap<String, String>, CallError>;

/// Also those of the services that were named.
fn with_named(
    mut hashes: BTreeMap<String, String>,
    docker: &Docker,
    project: &Project,
) -> Result<BTreeMap<String, String>, CallError> {
    let names: Vec<_> = project.services.keys().filter(|name| !hashes.contains_key(*name)).cloned().collect();
    if !names.is_empty() && project.by_name {
        hashes.extend(docker.config_hashes(&names)?);
    }
    Ok(hashes)
}

/// There is no compose file here, and none was named.
pub fn is_file_absent(stop: &Stop) -> bool {
    stop.message.contains("no configuration file provided")
}

/// Compose's own sentence about its file needs no frame.
fn compose_says(error: CallError, files: &Files) -> Stop {
    match error.problem {
        Problem::Failed { stderr, .. } if !stderr.is_empty() => {
            Stop::error(complaint::completed(&stderr, files))
        }
        _ => error.into(),
    }
}

/// A bad setting is named with its place in the file, if it is written there.
fn file_error(error: anyhow::Error, files: &Files) -> Stop {
    let Some(bad) = error.downcast_ref::<BadSetting>() else { return Stop::error(format!("{error:#}")) };
    let path: Vec<_> = bad.path.iter().map(String::as_str).collect();
    let place = files.locate(&path).map(|place| format!("{place}: ")).unwrap_or_default();
    Stop::error(format!("{place}{}", blame(&bad.to_string(), &files.variables(&path))))
}
