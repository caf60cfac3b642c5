//! Projects, containers and plans in few words.

use std::{collections::BTreeMap, time::Duration};

use proptest::test_runner::{Config, RngSeed};
use serde_json::json;
use zdd::{
    advice,
    engine::{
        Container, State,
        container::{Health, HealthStatus, parse_inspect},
    },
    plan::{Plan, Request},
    platform::compose::{self, Observed},
    project::{Document, Overrides, Project},
};

/// The image that every reference stands for now.
pub const IMAGE: &str = "sha256:new";

/// The project `app`; every service's wanted hash is `new`.
pub fn project(services: &str) -> Project {
    project_with(services, &Overrides::default())
}

pub fn project_with(services: &str, overrides: &Overrides) -> Project {
    read(&format!("name: app\n{services}"), overrides).expect("a good file")
}

/// Reads a resolved file; the hash of every service in it is `new`.
pub fn read(yaml: &str, overrides: &Overrides) -> anyhow::Result<Project> {
    let mut project = Project::read(Document::parse(yaml)?, overrides)?;
    let hashes: BTreeMap<_, _> =
        project.services.keys().map(|name| (name.clone(), "new".to_owned())).collect();
    project.set_hashes(&hashes).map_err(anyhow::Error::msg)?;
    Ok(project)
}

/// A running replica of the wanted version, without a healthcheck.
pub fn current(service: &str, number: u32) -> Container {
    let name = format!("app-{service}-{number}");
    let json = json!([{
        "Id": format!("id-of-{name}"),
        "Name": format!("/{name}"),
        "Image": IMAGE,
        "State": {"Status": "running", "StartedAt": "2026-11-23T16:50:57.229434278Z"},
        "Config": {"Labels": {
            "com.docker.compose.service": service,
            "com.docker.compose.container-number": number.to_string(),
            "com.docker.compose.config-hash": "new",
            "com.docker.compose.oneoff": "False",
        }},
    }]);
    parse_inspect(&json.to_string()).expect("good JSON").remove(0)
}

/// A running replica of an older configuration.
pub fn outdated(service: &str, number: u32) -> Container {
    Container { config_hash: "old".to_owned(), ..current(service, number) }
}

/// What else may be said of a container.
pub trait Turned: Sized {
    fn state(self, state: State) -> Self;
    fn health(self, status: HealthStatus) -> Self;
    fn exited(self, code: i64) -> Self;
    fn of_image(self, id: &str) -> Self;

    fn created(self) -> Self {
        self.state(State::Created)
    }
    fn restarting(self) -> Self {
        self.state(State::Restarting)
    }
    fn paused(self) -> Self {
        self.state(State::Paused)
    }
    fn starting(self) -> Self {
        self.health(HealthStatus::Starting)
    }
    fn healthy(self) -> Self {
        self.health(HealthStatus::Healthy)
    }
    fn unhealthy(self) -> Self {
        self.health(HealthStatus::Unhealthy)
    }
}

impl Turned for Container {
    fn state(self, state: State) -> Self {
        Container { state, health: None, ..self }
    }

    fn health(self, status: HealthStatus) -> Self {
        let health = Some(Health { status, failing_streak: 0, output: None });
        Container { state: State::Running, health, ..self }
    }

    fn exited(self, exit_code: i64) -> Self {
        Container { exit_code, ..self.state(State::Exited) }
    }

    fn of_image(self, id: &str) -> Self {
        Container { image_id: id.to_owned(), engine_image_id: id.to_owned(), ..self }
    }
}

/// What `docker ps` and `docker image inspect` would have found.
pub fn observed(project: &Project, containers: &[Container]) -> Observed {
    let images = project.services.values().map(|service| (service.name.clone(), IMAGE.to_owned()));
    Observed { containers: containers.to_vec(), images: images.collect(), ..Observed::default() }
}

/// The plan for everything in the file.
pub fn planned(services: &str, containers: &[Container]) -> Plan {
    planned_for(services, containers, &Request::default())
}

pub fn planned_for(services: &str, containers: &[Container], request: &Request) -> Plan {
    let project = project(services);
    plan(&project, &observed(&project, containers), request)
}

/// With its notes, as users see it.
pub fn plan(project: &Project, observed: &Observed, request: &Request) -> Plan {
    let mut plan = compose::plan(project, observed, request);
    advice::annotate(&mut plan, project, &observed.containers);
    plan
}

pub fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// The same cases in every run; `PROPTEST_RNG_SEED` and `PROPTEST_CASES` in the environment ask for others.
pub fn cases(number: u32) -> Config {
    let asked = Config::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { asked.cases } else { number };
    let rng_seed = match asked.rng_seed {
        RngSeed::Random => RngSeed::Fixed(7),
        fixed @ RngSeed::Fixed(_) => fixed,
    };
    Config { cases, rng_seed, failure_persistence: None, ..asked }
}
