//! What would block a rollout, slow it down or lose requests in it, each with the lines to write. Pure: from the
//! project and what was found out about the machine, to data.

mod health;
mod machine;
mod service;
mod stopping;

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use crate::{
    docker::Version,
    model::{Model, compose},
};

/// One thing to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    /// Does not change from version to version: `no-healthcheck`.
    pub code: &'static str,
    pub service: Option<String>,
    /// Keys in the file, from its top: where it stands, or where the missing key belongs.
    pub path: Vec<String>,
    /// A sentence.
    pub problem: String,
    /// What to do, as an imperative clause.
    pub remedy: String,
    /// The lines to write, with their parents from the top of the file.
    pub yaml: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// `up` would fail or refuse.
    Error,
    /// Requests may be lost, or every rollout is slow.
    Warning,
    /// Could be better.
    Hint,
}

/// What was found out about the machine.
#[derive(Clone, Debug)]
pub struct Facts {
    /// This program's, as `plugin.json` has it: `v0.1.0`.
    pub own_version: String,
    /// Where this program lies.
    pub own_path: Option<String>,
    /// The engine's version, or why it does not answer.
    pub engine: Result<String, String>,
    /// Compose's version, or why it cannot be used and what to do.
    pub compose: Result<Version, (String, String)>,
    /// What docker found under this plugin's name; `None` when docker did not say.
    pub plugin: Option<Vec<Plugin>>,
    /// By image reference; absent when there is no such image on the engine.
    pub images: BTreeMap<String, Image>,
    /// What is wrong with the compose files.
    pub file: Vec<FileError>,
}

/// One plugin as `docker info` lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plugin {
    pub path: String,
    pub version: String,
    /// Files of the same name in places that docker looks at later.
    pub shadowed: Vec<String>,
    /// Why docker does not take it; empty when it does.
    pub error: String,
}

/// What an image says of its containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    pub healthcheck: Option<Check>,
    pub stop_signal: Option<String>,
}

/// A healthcheck as it is written; what is not written is Docker's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Check {
    pub interval: Option<Duration>,
    pub timeout: Option<Duration>,
    pub retries: Option<u32>,
    pub start_period: Option<Duration>,
    pub start_interval: Option<Duration>,
}

/// A compose file that cannot be used, or one key in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    pub path: Vec<String>,
    pub problem: String,
    /// There is none.
    pub absent: bool,
}

/// The project, and the part of its resolved file that a rollout does not need to know.
pub struct Project<'a> {
    pub model: &'a Model,
    pub file: &'a compose::File,
}

/// Everything found, the worst first, and within that in the order of services.
pub fn findings(project: Option<&Project>, facts: &Facts) -> Vec<Finding> {
    let mut found = machine::findings(facts);
    if let Some(project) = project {
        for (name, service) in &project.model.services {
            if let Some(raw) = project.file.services.get(name) {
                let subject = Subject { project, facts, service, raw };
                found.extend(health::findings(&subject));
                found.extend(stopping::findings(&subject));
                found.extend(service::findings(&subject));
            }
        }
        found.extend(service::shared_volumes(project));
    }
    found.sort_by_key(|finding| finding.severity);
    found
}

/// One service, from all sides.
struct Subject<'a> {
    project: &'a Project<'a>,
    facts: &'a Facts,
    service: &'a crate::model::Service,
    raw: &'a compose::Service,
}

impl Subject<'_> {
    fn name(&self) -> &str {
        &self.service.name
    }

    fn image(&self) -> Option<&Image> {
        self.facts.images.get(&self.service.image)
    }

    /// It is not updated by a rollout at all: a job, or run by a provider.
    fn is_aside(&self) -> bool {
        self.service.one_shot || self.service.provider
    }

    /// The name of its image, without the registry, the tag and what may be added to the program's name.
    fn program(&self) -> &str {
        let last = self.service.image.rsplit('/').next().unwrap_or_default();
        last.split([':', '@', '-']).next().unwrap_or_default()
    }

    fn runs(&self, programs: &[&str]) -> bool {
        programs.contains(&self.program())
    }

    fn finding(&self, severity: Severity, code: &'static str, key: &[&str], problem: String) -> Finding {
        let path = ["services", self.name()].into_iter().chain(key.iter().copied());
        Finding {
            severity,
            code,
            service: Some(self.name().to_owned()),
            path: path.map(str::to_owned).collect(),
            problem,
            remedy: String::new(),
            yaml: None,
        }
    }
}

impl Finding {
    fn remedy(mut self, remedy: impl Into<String>) -> Finding {
        self.remedy = remedy.into();
        self
    }

    /// Lines within the service that the finding is about.
    fn write(self, lines: &[impl AsRef<str>]) -> Finding {
        let service = self.service.clone().unwrap_or_default();
        self.write_in(&service, lines)
    }

    fn write_in(mut self, service: &str, lines: &[impl AsRef<str>]) -> Finding {
        let lines: String = lines.iter().map(|line| format!("    {}\n", line.as_ref())).collect();
        self.yaml = Some(format!("services:\n  {service}:\n{lines}"));
        self
    }
}

/// The engine's major version, if it is known.
fn engine_major(facts: &Facts) -> Option<u32> {
    facts.engine.as_ref().ok()?.split('.').next()?.parse().ok()
}
