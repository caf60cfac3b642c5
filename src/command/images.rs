//! Which images are built or pulled before the rollout, and doing it. Later calls of Compose do neither.

use std::{collections::BTreeMap, time::Instant};

use super::Context;
use crate::{
    cli::{Planning, PullPolicy},
    event::Event,
    exit::{Exit, Stop},
    model::{Model, Service},
};

/// What is to be fetched, by service.
#[derive(Debug, Default, PartialEq)]
pub struct Work {
    pub build: Vec<String>,
    pub pull: Vec<String>,
}

impl Work {
    /// Decides as `docker compose up` does: flags, then the file's `pull_policy`, then what is missing.
    pub fn decide(scope: &[&Service], planning: &Planning, present: &BTreeMap<String, String>) -> Work {
        let mut work = Work::default();
        for service in scope.iter().filter(|service| !service.provider) {
            let missing = !present.contains_key(&service.name);
            let policy = service.pull_policy.as_deref();
            let builds = planning.build || policy == Some("build") || (missing && policy != Some("always"));
            if service.builds && !planning.no_build && builds {
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
    match (planning.pull, service.pull_policy.as_deref()) {
        (Some(PullPolicy::Always), _) => !service.builds,
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
    /// Builds and pulls, and tells of it.
    ///
    /// # Errors
    /// A build or pull that fails, with what it wrote last; nothing was touched.
    pub fn prepare(&self, work: &Work) -> Result<(), Stop> {
        if work.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let line = |text: &str| self.tell(Event::Output { line: text.to_owned() });
        if !work.pull.is_empty() {
            self.tell(Event::Pulling { services: work.pull.clone() });
            self.docker.pull(&work.pull, line).map_err(|error| not_prepared(error, "pull"))?;
        }
        if !work.build.is_empty() {
            self.tell(Event::Building { services: work.build.clone() });
            self.docker.build(&work.build, line).map_err(|error| not_prepared(error, "build"))?;
        }
        self.tell(Event::Prepared { took: began.elapsed() });
        Ok(())
    }

    /// Service → ID of its image, for those that have one.
    pub fn image_ids(&self, model: &Model) -> Result<BTreeMap<String, String>, Stop> {
        let mut references: Vec<_> = model.services.values().map(|service| service.image.clone()).collect();
        references.sort();
        references.dedup();
        let ids = self.docker.image_ids(&references)?;
        let image = |s: &Service| self.pinned.get(&s.name).or_else(|| ids.get(&s.image)).cloned();
        Ok(model.services.values().filter_map(|s| Some((s.name.clone(), image(s)?))).collect())
    }
}

fn not_prepared(error: crate::docker::CallError, verb: &str) -> Stop {
    let stop = Stop::from(error);
    match stop.exit {
        Exit::Interrupted => stop,
        _ => Stop { message: format!("the {verb} failed, nothing was touched: {}", stop.message), ..stop },
    }
}
