//! Which images are built or pulled before the rollout, and doing it. Later calls of Compose do neither.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use super::Context;
use crate::{
    cli::{Planning, PullPolicy},
    event::Event,
    exit::{Exit, Stop},
    project::Service,
};

/// What is to be fetched, by service.
#[derive(Debug, Default, PartialEq)]
pub struct Work {
    pub build: Vec<String>,
    pub pull: Vec<String>,
}

impl Work {
    /// Decides as `docker compose up` does: flags, then the file's `pull_policy`, then what is missing.
    pub fn decide(scope: &[&Arc<Service>], planning: &Planning, present: &BTreeMap<String, String>) -> Work {
        let mut work = Work::default();
        for service in scope.iter().filter(|service| !service.is_provider()) {
            let missing = !present.contains_key(&service.name);
            let policy = service.image.pull_policy.as_deref();
            let builds = planning.build || policy == Some("build") || (missing && policy != Some("always"));
            if service.image.builds && !planning.no_build && builds {
                work.build.push(service.name.clone());
            } else if pulls(service, planning, missing) {
                work.pull.push(service.name.clone());
            }
        }
        work
    }

    pub fn is_empty(&self) -> bool {
        self.build.is_empty() && self.pull.is_empty()
    }
}

fn pulls(service: &Service, planning: &Planning, missing: bool) -> bool {
    match (planning.pull, service.image.pull_policy.as_deref()) {
        (Some(PullPolicy::Always), _) => !service.image.builds,
        (Some(PullPolicy::Missing), _) => missing,
        (Some(PullPolicy::Never), _) | (None, Some("never")) => false,
        (None, Some(policy)) => is_always(policy) || missing,
        (None, None) => missing,
    }
}

/// `daily`, `weekly` and `every_12h` count from the last pull, which the engine does not tell everywhere: asking
/// the registry too often does no harm, never asking would.
fn is_always(policy: &str) -> bool {
    matches!(policy, "always" | "refresh" | "daily" | "weekly") || policy.starts_with("every_")
}

impl Context {
    /// Builds and pulls, and reports it.
    ///
    /// # Errors
    /// A build or pull that fails, with what it wrote last; nothing was touched.
    pub fn fetch(&self, work: &Work) -> Result<(), Stop> {
        if work.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let line = |text: &str| self.emit(Event::Output { line: text.to_owned() });
        if !work.pull.is_empty() {
            self.emit(Event::Pulling { services: work.pull.clone() });
            self.docker().fetch("pull", &work.pull, line).map_err(|error| not_prepared(error, "pull"))?;
        }
        if !work.build.is_empty() {
            self.emit(Event::Building { services: work.build.clone() });
            self.docker().fetch("build", &work.build, line).map_err(|error| not_prepared(error, "build"))?;
        }
        self.emit(Event::Prepared { took: began.elapsed() });
        Ok(())
    }
}

fn not_prepared(error: crate::engine::CallError, verb: &str) -> Stop {
    let stop = Stop::from(error);
    match stop.exit {
        Exit::Interrupted => stop,
        _ => Stop { message: format!("the {verb} failed, nothing was touched: {}", stop.message), ..stop },
    }
}
