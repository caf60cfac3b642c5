//! From the compose files to the model: Compose resolves, zdd reads.

use std::collections::{BTreeMap, BTreeSet};

use super::Context;
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

impl Context {
    /// Loads the project and makes every later call name it.
    ///
    /// # Errors
    /// No usable Compose, a file that Compose refuses, a bad `x-zdd`, an unknown service. Nothing was touched.
    pub fn load(&mut self, planning: &Planning) -> Result<Model, Stop> {
        self.compose_version = check_compose(&self.docker)?;
        let (yaml, hashes) = resolve(&self.docker)?;
        let overrides = overrides(planning);
        let model =
            Model::from_config(&yaml, &hashes, &overrides).map_err(|error| file_error(error, &self.files))?;
        let model = match planning.services.iter().all(|name| model.services.contains_key(name)) {
            true => model,
            // Naming a service of a disabled profile enables it; an unknown one makes Compose complain.
            false => self.load_named(&model, planning)?,
        };
        self.docker.set_project(&model.project);
        Ok(model)
    }

    fn load_named(&self, plain: &Model, planning: &Planning) -> Result<Model, Stop> {
        let yaml = self.docker.config(&planning.services).map_err(compose_says)?;
        let names = Model::service_names(&yaml).map_err(|error| file_error(error, &self.files))?;
        let hashes = self.docker.config_hashes(&names).map_err(compose_says)?;
        let named = Model::from_config(&yaml, &hashes, &overrides(planning))
            .map_err(|error| file_error(error, &self.files))?;
        let mut model = plain.clone();
        model.services.extend(named.services);
        Ok(model)
    }

    /// Services of disabled profiles: unknown to the model, but their containers are no orphans.
    pub fn dormant(&self, model: &Model) -> Result<BTreeSet<String>, Stop> {
        let all = self.docker.all_services()?;
        Ok(all.into_iter().filter(|name| !model.services.contains_key(name)).collect())
    }
}

fn check_compose(docker: &Docker) -> Result<Version, Stop> {
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

/// The YAML and the hashes; two reads that do not depend on each other.
fn resolve(docker: &Docker) -> Result<(String, BTreeMap<String, String>), Stop> {
    std::thread::scope(|scope| {
        let hashes = scope.spawn(|| docker.config_hashes(&[]));
        let yaml = docker.config(&[]);
        let hashes = hashes.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok((yaml.map_err(compose_says)?, hashes.map_err(compose_says)?))
    })
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

fn overrides(planning: &Planning) -> crate::model::Overrides {
    crate::model::Overrides {
        scale: planning.scale.iter().cloned().collect(),
        settings: Layer {
            strategy: None,
            parallelism: planning.parallelism,
            delay: planning.delay,
            order: planning.order.map(order),
            failure_action: planning.failure_action.map(failure_action),
            max_failure_ratio: None,
            monitor: planning.monitor,
            wait_timeout: planning.wait_timeout,
            settle: planning.settle,
            drain: None,
            drain_timeout: planning.drain_timeout,
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
