//! From the compose files to the project: Compose resolves, zdd reads.

use std::{
    collections::{BTreeMap, BTreeSet},
    panic::resume_unwind,
    sync::PoisonError,
    thread,
};

use super::{Context, complaint, files, included};
use crate::{
    cli::Planning,
    engine::{CallError, Docker, Engine, Explained, OLDEST_COMPOSE, Problem, Version},
    exit::Stop,
    project::{BadSetting, Document, Overrides, Project},
    text::{did_you_mean, place::Files, variable::blame},
};

impl Context {
    /// Loads the project and makes every later call name it.
    ///
    /// # Errors
    /// No usable Compose, a file that Compose refuses, a bad `x-zdd`, an unknown service. Nothing was touched.
    pub fn load(&mut self, planning: &Planning) -> Result<Project, Stop> {
        let draft = self.draft(planning)?;
        self.complete(draft)
    }

    /// Reads the files, as far as is needed to know the project and whether they are in order: all but the hashes. One
    /// call of Compose, so that whoever finds the project locked has not waited for more.
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

    /// Adds what Compose knows beside the files: its version, and the hash of each service.
    ///
    /// # Errors
    /// As [`Context::load`].
    pub fn complete(&mut self, project: Project) -> Result<Project, Stop> {
        let known = Known::ask(self.docker());
        self.complete_with(project, known)
    }

    /// What is asked beside the files was asked in the meantime: where nobody else rolls out the project, or nothing
    /// comes of it if it has been changed in between.
    ///
    /// # Errors
    /// As [`Context::load`].
    pub fn load_at_once(&mut self, planning: &Planning) -> Result<Project, Stop> {
        let docker = self.docker().clone();
        let (draft, known) = thread::scope(|scope| {
            let known = scope.spawn(|| Known::ask(&docker));
            (self.draft(planning), known.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        let draft = draft?;
        self.begin_helpers(&draft, false);
        self.complete_with(draft, known)
    }

    fn complete_with(&mut self, mut project: Project, known: Known) -> Result<Project, Stop> {
        self.platform.version = known.version?;
        let hashes = known.hashes.and_then(|hashes| with_named(hashes, self.docker(), &project));
        project.set_hashes(&hashes.map_err(|error| compose_says(error, &self.files))?).map_err(|name| {
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
        let docker = self.docker();
        let (text, warnings) = docker.resolve(services);
        for warning in warnings {
            let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
            if warned.insert(warning.clone()) {
                self.warn(warning);
            }
        }
        let text = text.map_err(|error| match check_compose(docker) {
            Err(stop) => stop,
            Ok(_) => self.meant(compose_says(error, &self.files)),
        })?;
        Ok(Document::parse(&text)?)
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

/// What Compose knows beside the files.
struct Known {
    version: Result<Version, Stop>,
    /// Of the services that an enabled profile has.
    hashes: Result<BTreeMap<String, String>, CallError>,
}

impl Known {
    fn ask(docker: &Docker) -> Known {
        thread::scope(|scope| {
            let hashes = scope.spawn(|| docker.config_hashes(&[]));
            let version = check_compose(docker);
            Known { version, hashes: hashes.join().unwrap_or_else(|panic| resume_unwind(panic)) }
        })
    }
}

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

pub fn check_compose(docker: &Docker) -> Result<Version, Stop> {
    match docker.compose_version() {
        Ok(version) if version < OLDEST_COMPOSE => Err(Explained::compose_too_old(version).into()),
        Ok(version) => Ok(version),
        Err(error) if error.is_interrupted() => Err(error.into()),
        Err(error) => {
            let v1 = which::which("docker-compose").is_ok();
            Err(Explained::compose_missing(&error, v1).into())
        }
    }
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
