//! Which images are built or pulled before the rollout, and doing it. Later calls of Compose do neither.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use super::Context;
use crate::{
    cli::{Planning, PullPolicy},
    engine::{CallError, Problem},
    event::Event,
    exit::{Exit, Stop},
    project::Service,
    text::join,
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
        if !work.pull.is_empty() {
            self.emit(Event::Pulling { services: work.pull.clone() });
            self.fetch_by("pull", &work.pull)?;
        }
        if !work.build.is_empty() {
            self.emit(Event::Building { services: work.build.clone() });
            self.fetch_by("build", &work.build)?;
        }
        self.emit(Event::Prepared { took: began.elapsed() });
        Ok(())
    }

    fn fetch_by(&self, verb: &str, services: &[String]) -> Result<(), Stop> {
        let mut last = String::new();
        let line = |text: &str| {
            // Compose may say why once in its progress and once at the end; BuildKit puts empty lines in between.
            if text != last && !text.is_empty() {
                self.emit(Event::Output { line: text.to_owned() });
                text.clone_into(&mut last);
            }
        };
        self.docker().fetch(verb, services, line).map_err(|error| not_prepared(error, verb, services))
    }
}

/// In one line: what led to it has been shown as it came.
fn not_prepared(error: CallError, verb: &str, services: &[String]) -> Stop {
    let last = match &error.problem {
        Problem::Failed { stderr, .. } => telling(stderr),
        _ => None,
    };
    let stop = Stop::from(error);
    let why = last.filter(|_| stop.hint.is_none()).unwrap_or(stop.message.clone());
    match stop.exit {
        Exit::Interrupted => stop,
        _ => Stop {
            message: format!("the {verb} of {} failed, nothing was touched: {why}", join(services)),
            ..stop
        },
    }
}

/// The line that says why: the last one with an error of the engine's, else the last one.
fn telling(output: &str) -> Option<String> {
    let error = |line: &str| {
        let marks = ["Error response from daemon: ", " Error "].iter();
        marks.filter_map(|mark| line.split_once(mark)).map(|(_, error)| error.to_owned()).next()
    };
    let last = || output.lines().rfind(|line| !line.trim().is_empty()).map(|line| line.trim().to_owned());
    output.lines().rev().find_map(error).or_else(last)
}

#[cfg(test)]
mod tests {
    use super::telling;

    #[test]
    fn one_line_says_why() {
        let pull = " Image a Pulling\n Image a Error manifest unknown\n Image b Interrupted\n";
        assert_eq!(telling(pull).as_deref(), Some("manifest unknown"));
        let engine = "Error response from daemon: no such host\n Image b Interrupted";
        assert_eq!(telling(engine).as_deref(), Some("no such host"));
        let build = "#1 load\n#5 ERROR: make: exit code: 2\nfailed to solve: exit code: 2\n\n";
        assert_eq!(telling(build).as_deref(), Some("failed to solve: exit code: 2"));
        assert_eq!(telling("\n"), None);
    }
}
