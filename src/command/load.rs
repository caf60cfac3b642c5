//! From the compose files to the model: Compose resolves, zdd reads.

use std::collections::{BTreeMap, BTreeSet};

use super::{Context, files, planning::env_is_true};
use crate::{
    cli::Planning,
    docker::{CallError, Docker, Explained, Problem, Version},
    exit::{Exit, Stop},
    model::{
        Layer, Model,
        settings::{self, BadSetting},
    },
    place::Files,
};

/// The files as they were read.
pub struct Draft {
    /// All but the hashes, and of the named services those that an enabled profile has.
    pub model: Model,
    yaml: String,
    /// What naming services added.
    named: Option<String>,
}

impl Context {
    /// Loads the project and makes every later call name it.
    ///
    /// # Errors
    /// No usable Compose, a file that Compose refuses, a bad `x-zdd`, an unknown service. Nothing was touched.
    pub fn load(&mut self, planning: &Planning) -> Result<Model, Stop> {
        let draft = self.draft(planning)?;
        self.complete(draft, planning)
    }

    /// Reads the files, as far as is needed to know the project and whether they are in order. One call of Compose,
    /// so that whoever finds the project locked has not waited for more.
    ///
    /// # Errors
    /// As [`Context::load`].
    pub fn draft(&self, planning: &Planning) -> Result<Draft, Stop> {
        let yaml = config(&self.docker)?;
        let model = self.without_hashes(&yaml, planning)?;
        let named = match planning.services.iter().all(|name| model.services.contains_key(name)) {
            true => None,
            // Naming a service of a disabled profile enables it; an unknown one makes Compose complain.
            false => Some(self.docker.config(&planning.services).map_err(compose_says)?),
        };
        if let Some(named) = &named {
            self.without_hashes(named, planning)?;
        }
        Ok(Draft { model, yaml, named })
    }

    /// Reads what may have been edited since.
    ///
    /// # Errors
    /// As [`Context::load`], and a project that is called otherwise by now: its lock is another one.
    pub fn draft_again(&mut self, planning: &Planning, project: &str) -> Result<Draft, Stop> {
        self.files = files::read_again(&self.flags, &self.files);
        let draft = self.draft(planning)?;
        match &draft.model.project {
            name if name == project => Ok(draft),
            name => Err(Stop::new(
                Exit::Error,
                format!(
                    "project {project} was renamed {name} while its lock was waited for; nothing was touched"
                ),
            )),
        }
    }

    /// Adds what Compose knows beside the files: its version, and the hash of each service.
    ///
    /// # Errors
    /// As [`Context::load`].
    pub fn complete(&mut self, draft: Draft, planning: &Planning) -> Result<Model, Stop> {
        let docker = &self.docker;
        let (version, hashes) = side_by_side(|| check_compose(docker), || docker.config_hashes(&[]));
        self.compose_version = version?;
        let mut model = self.model(&draft.yaml, &hashes.map_err(compose_says)?, planning)?;
        self.configs = vec![draft.yaml];
        if let Some(yaml) = draft.named {
            let names: Vec<_> = self.without_hashes(&yaml, planning)?.services.into_keys().collect();
            let hashes = self.docker.config_hashes(&names).map_err(compose_says)?;
            model.services.extend(self.model(&yaml, &hashes, planning)?.services);
            model.by_name = true;
            self.configs.push(yaml);
        }
        self.docker.set_project(&model.project);
        Ok(model)
    }

    fn model(
        &self,
        yaml: &str,
        hashes: &BTreeMap<String, String>,
        planning: &Planning,
    ) -> Result<Model, Stop> {
        Model::from_config(yaml, hashes, &overrides(planning, self.compatible()))
            .map_err(|error| file_error(error, &self.files))
    }

    /// Whether Compose joins names as its first version did.
    pub fn compatible(&self) -> bool {
        self.flags.compatibility || env_is_true("COMPOSE_COMPATIBILITY")
    }

    fn without_hashes(&self, yaml: &str, planning: &Planning) -> Result<Model, Stop> {
        let hashes = no_hashes(yaml).map_err(|error| file_error(error, &self.files))?;
        self.model(yaml, &hashes, planning)
    }

    /// Lets the present file say how an earlier revision is rolled out, where it has the same services.
    ///
    /// # Errors
    /// The file has a bad setting. The model is as it was.
    pub fn roll_as_in(&self, model: &mut Model, yaml: &str, planning: &Planning) -> anyhow::Result<()> {
        // What matters of this model is no hash, so it costs no call to find them out.
        model.take_manners(Model::from_config(
            yaml,
            &no_hashes(yaml)?,
            &overrides(planning, self.compatible()),
        )?);
        Ok(())
    }

    /// Services of disabled profiles: unknown to the model, but their containers are no orphans.
    pub fn dormant(&self, model: &Model) -> Result<BTreeSet<String>, Stop> {
        let all = self.docker.all_services()?;
        Ok(all.into_iter().filter(|name| !model.services.contains_key(name)).collect())
    }
}

/// The resolved project, where no more of it is needed.
///
/// # Errors
/// No usable Compose, or a file that Compose refuses.
pub fn config(docker: &Docker) -> Result<String, Stop> {
    docker.config(&[]).map_err(|error| match check_compose(docker) {
        Err(stop) => stop,
        Ok(_) => compose_says(error),
    })
}

pub fn check_compose(docker: &Docker) -> Result<Version, Stop> {
    match docker.compose_version() {
        Ok(version) if version < crate::docker::OLDEST_COMPOSE => {
            Err(Explained::compose_too_old(version).into())
        }
        Ok(version) => Ok(version),
        Err(error) if error.is_interrupted() => Err(error.into()),
        Err(error) => {
            let v1 = which::which("docker-compose").is_ok();
            Err(Explained::compose_missing(&error, v1).into())
        }
    }
}

/// The YAML and the hashes.
pub fn resolve(docker: &Docker) -> Result<(String, BTreeMap<String, String>), Stop> {
    let (yaml, hashes) = side_by_side(|| docker.config(&[]), || docker.config_hashes(&[]));
    Ok((yaml.map_err(compose_says)?, hashes.map_err(compose_says)?))
}

/// Two reads that do not depend on each other.
fn side_by_side<A, B: Send>(one: impl FnOnce() -> A, other: impl FnOnce() -> B + Send) -> (A, B) {
    std::thread::scope(|scope| {
        let other = scope.spawn(other);
        (one(), other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

fn no_hashes(yaml: &str) -> anyhow::Result<BTreeMap<String, String>> {
    Ok(Model::service_names(yaml)?.into_iter().map(|name| (name, String::new())).collect())
}

/// Compose's own sentence about its file needs no frame.
fn compose_says(error: CallError) -> Stop {
    match error.problem {
        Problem::Failed { stderr, .. } if !stderr.is_empty() => Stop::new(Exit::Error, stderr),
        _ => error.into(),
    }
}

/// A bad setting is named with its place in the file, if it is written there.
fn file_error(error: anyhow::Error, files: &Files) -> Stop {
    let path =
        error.downcast_ref::<BadSetting>().map(|bad| bad.path.iter().map(String::as_str).collect::<Vec<_>>());
    let place =
        path.and_then(|path| files.locate(&path)).map(|place| format!("{place}: ")).unwrap_or_default();
    Stop::new(Exit::Error, format!("{place}{error:#}"))
}

fn overrides(planning: &Planning, compatible: bool) -> crate::model::Overrides {
    let pace = &planning.pace;
    crate::model::Overrides {
        compatible,
        scale: planning.scale.iter().cloned().collect(),
        settings: Layer {
            strategy: None,
            parallelism: pace.parallelism,
            delay: pace.delay,
            order: pace.order.map(order),
            failure_action: pace.failure_action.map(failure_action),
            max_failure_ratio: None,
            monitor: pace.monitor,
            wait_timeout: pace.wait_timeout,
            settle: pace.settle,
            drain: None,
            drain_timeout: pace.drain_timeout,
        },
    }
}

fn order(flag: crate::cli::Order) -> settings::Order {
    match flag {
        crate::cli::Order::StartFirst => settings::Order::StartFirst,
        crate::cli::Order::StopFirst => settings::Order::StopFirst,
    }
}

fn failure_action(flag: crate::cli::FailureAction) -> settings::FailureAction {
    match flag {
        crate::cli::FailureAction::Rollback => settings::FailureAction::Rollback,
        crate::cli::FailureAction::Pause => settings::FailureAction::Pause,
        crate::cli::FailureAction::Continue => settings::FailureAction::Continue,
    }
}
