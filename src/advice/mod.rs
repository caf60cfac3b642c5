//! What the user should know: one list of rules for the plan, the doctor and the status. Pure: from all that was found
//! out, to data.

mod definition;
mod drain;
mod health;
mod machine;
mod now;
mod rollout;
mod stopping;
mod swarm;

use std::collections::BTreeMap;

use serde::Serialize;

use self::Look::{All, AllMany, Each, EachMany};
pub use self::swarm::Cluster;
use crate::{
    engine::{Container, Image, Plugin, Version, config},
    plan::{Plan, Prospect, ServicePlan},
    project::{Project, Service},
    status::Status,
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
    /// A sentence that follows the service's name and a colon.
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

/// Where findings are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Plan,
    Doctor,
    Status,
}

/// All that was found out. A rule that needs more than there is finds nothing.
#[derive(Clone, Copy, Default)]
pub struct Scene<'a> {
    pub project: Option<&'a Project>,
    pub containers: &'a [Container],
    pub facts: Option<&'a Facts>,
    pub plan: Option<&'a Plan>,
    pub status: Option<&'a Status>,
    /// Where the project runs on Swarm.
    pub swarm: Option<&'a Cluster>,
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
    /// Service → what becomes of it when it changes.
    pub prospects: BTreeMap<String, Prospect>,
}

/// A compose file that cannot be used, or one key in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    pub path: Vec<String>,
    pub problem: String,
    /// There is none.
    pub absent: bool,
}

/// What a rule looks at, everything at once or one service after the other, and how much it may find there.
enum Look {
    All(fn(&Scene) -> Option<Finding>),
    AllMany(fn(&Scene) -> Vec<Finding>),
    Each(fn(&Subject) -> Option<Finding>),
    EachMany(fn(&Subject) -> Vec<Finding>),
}

struct Rule {
    code: &'static str,
    severity: Severity,
    places: &'static [Place],
    look: Look,
}

const fn rule(code: &'static str, severity: Severity, places: &'static [Place], look: Look) -> Rule {
    Rule { code, severity, places, look }
}

const PLAN: &[Place] = &[Place::Plan];
const DOCTOR: &[Place] = &[Place::Doctor];
const STATUS: &[Place] = &[Place::Status];
const PLAN_AND_DOCTOR: &[Place] = &[Place::Plan, Place::Doctor];
const PLAN_AND_STATUS: &[Place] = &[Place::Plan, Place::Status];

use Severity::{Error, Hint, Warning};

/// Every rule. One is added here and nowhere else.
const RULES: &[Rule] = &[
    rule("engine", Error, DOCTOR, All(machine::engine)),
    rule("engine-old", Warning, DOCTOR, All(machine::engine_old)),
    rule("compose", Error, DOCTOR, All(machine::compose)),
    rule("plugin-missing", Warning, DOCTOR, All(machine::plugin_missing)),
    rule("plugin-invalid", Error, DOCTOR, All(machine::plugin_invalid)),
    rule("plugin-twice", Warning, DOCTOR, AllMany(machine::plugin_twice)),
    rule("plugin-other", Warning, DOCTOR, All(machine::plugin_other)),
    rule("file", Error, DOCTOR, AllMany(machine::file)),
    rule("file-missing", Hint, DOCTOR, AllMany(machine::file_missing)),
    rule("lock", Warning, STATUS, All(now::lock)),
    rule("interrupted", Warning, STATUS, AllMany(now::interrupted)),
    rule("leftovers", Warning, STATUS, AllMany(now::leftovers)),
    rule("down", Warning, STATUS, All(now::down)),
    rule("changed", Hint, STATUS, All(now::changed)),
    rule("count", Warning, STATUS, AllMany(now::count)),
    rule("sick", Warning, PLAN_AND_STATUS, AllMany(now::sick)),
    rule("paused", Warning, STATUS, AllMany(now::paused)),
    rule("failed-job", Warning, STATUS, AllMany(now::failed_job)),
    rule("orphans", Hint, STATUS, All(now::orphans)),
    rule("no-healthcheck", Warning, DOCTOR, Each(health::unchecked)),
    rule("slow-healthcheck", Warning, DOCTOR, Each(health::slow)),
    rule("wait-timeout", Error, DOCTOR, Each(health::too_late)),
    rule("drain-unchecked", Warning, PLAN_AND_DOCTOR, Each(drain::unchecked)),
    rule("drain-slow", Warning, PLAN_AND_DOCTOR, Each(drain::slow)),
    rule("drain-no-hook", Warning, PLAN_AND_DOCTOR, Each(drain::without_hook)),
    rule("drain-no-haproxy", Warning, PLAN, Each(drain::without_haproxy)),
    rule("no-helper", Warning, PLAN, Each(drain::no_helper)),
    rule("unsteered", Warning, PLAN, Each(drain::unsteered)),
    rule("traefik", Warning, PLAN_AND_DOCTOR, Each(drain::traefik)),
    rule("label-proxy", Warning, PLAN_AND_DOCTOR, Each(drain::follows_events)),
    rule("traefik-conflict", Warning, PLAN, Each(drain::traefik_conflict)),
    rule("grace-period", Warning, DOCTOR, Each(stopping::grace)),
    rule("stop-signal", Warning, DOCTOR, Each(stopping::signal)),
    rule("stop-first", Warning, DOCTOR, Each(stopping::stop_first)),
    rule("too-many-replicas", Error, DOCTOR, EachMany(definition::too_many_replicas)),
    rule("cannot-roll", Warning, DOCTOR, EachMany(definition::cannot_roll)),
    rule("held", Hint, DOCTOR, EachMany(definition::held)),
    rule("latest", Hint, DOCTOR, Each(definition::latest)),
    rule("links", Hint, DOCTOR, EachMany(definition::links)),
    rule("old-balancer", Warning, PLAN_AND_DOCTOR, Each(definition::old_balancer)),
    rule("depends-on", Hint, DOCTOR, EachMany(definition::dependencies)),
    rule("restart", Hint, DOCTOR, Each(definition::restart)),
    rule("one-replica", Hint, DOCTOR, Each(definition::one_replica)),
    rule("update-config", Hint, DOCTOR, Each(definition::update_config)),
    rule("rollback-config", Hint, DOCTOR, Each(definition::rollback_config)),
    rule("shared-volume", Hint, DOCTOR, AllMany(definition::shared_volumes)),
    rule("one-batch", Warning, PLAN, Each(rollout::one_batch)),
    rule("addresses", Warning, PLAN, Each(rollout::fewer_at_once)),
    rule("wait", Hint, PLAN, Each(rollout::wait)),
    rule("downtime", Warning, PLAN, Each(rollout::downtime)),
    rule("datagrams", Warning, PLAN, Each(rollout::datagrams)),
    rule("anonymous-volume", Warning, PLAN, Each(rollout::anonymous_volume)),
    rule("left-behind", Warning, PLAN, EachMany(rollout::left_behind)),
];

/// Everything that is to be shown in this place, the worst first and within that in the order of the services.
pub fn findings(scene: &Scene, place: Place) -> Vec<Finding> {
    let rules = || {
        let all: Box<dyn Iterator<Item = &Rule>> = match scene.swarm {
            Some(_) if place != Place::Status => Box::new(swarm::rules()),
            _ => Box::new(RULES.iter()),
        };
        all.filter(|rule| rule.places.contains(&place))
    };
    let mut found: Vec<_> = rules().flat_map(|rule| rule.on_the_whole(scene)).collect();
    for subject in subjects(scene) {
        found.extend(rules().flat_map(|rule| rule.on_a_service(&subject)));
    }
    found.sort_by_key(|finding| finding.severity);
    found
}

/// Gives every service of the plan its notes.
pub fn annotate(plan: &mut Plan, project: &Project, containers: &[Container]) {
    let found = of_plan(plan, project, containers);
    for service in &mut plan.services {
        let mine = found.iter().filter(|finding| finding.service.as_ref() == Some(&service.service));
        service.notes = mine.map(Finding::clause).collect();
    }
}

/// The same for a plan of Swarm, which has notes of its own.
pub fn annotate_swarm(plan: &mut Plan, project: &Project, cluster: &Cluster) {
    let scene = Scene { project: Some(project), plan: Some(plan), swarm: Some(cluster), ..Scene::default() };
    let found = findings(&scene, Place::Plan);
    for service in &mut plan.services {
        let mine = found.iter().filter(|finding| finding.service.as_ref() == Some(&service.service));
        service.notes.extend(mine.map(Finding::clause));
    }
}

/// What a run says of each service of its plan before it begins: that something is as always is no news.
pub fn warnings(plan: &Plan, project: &Project, containers: &[Container]) -> Vec<(String, String)> {
    let found = of_plan(plan, project, containers);
    let warned = |service: &ServicePlan| {
        let of_it = |finding: &&Finding| finding.service.as_ref() == Some(&service.service);
        let mine = found.iter().filter(of_it).filter(|finding| finding.severity != Severity::Hint);
        mine.map(|finding| (service.service.clone(), finding.clause())).collect::<Vec<_>>()
    };
    plan.services.iter().flat_map(warned).collect()
}

fn of_plan(plan: &Plan, project: &Project, containers: &[Container]) -> Vec<Finding> {
    findings(&Scene { project: Some(project), containers, plan: Some(plan), ..Scene::default() }, Place::Plan)
}

/// A sentence each, with what to run.
pub fn hints(status: &Status, containers: &[Container]) -> Vec<String> {
    let scene = Scene { containers, status: Some(status), ..Scene::default() };
    findings(&scene, Place::Status).iter().map(Finding::sentence).collect()
}

fn subjects<'a>(scene: &'a Scene<'a>) -> Vec<Subject<'a>> {
    let Some(project) = scene.project else { return vec![] };
    let of = |service: &'a std::sync::Arc<Service>| {
        let raw = project.file.services.get(&service.name)?;
        let plan = scene.plan.map(|plan| plan.services.iter().find(|plan| plan.service == service.name));
        // What is not planned is nobody's business now.
        let plan = if plan == Some(None) { return None } else { plan.flatten() };
        Some(Subject { scene, project, service, raw, plan })
    };
    project.services.values().filter_map(of).collect()
}

impl Rule {
    fn on_the_whole(&self, scene: &Scene) -> Vec<Finding> {
        self.named(match self.look {
            All(find) => find(scene).into_iter().collect(),
            AllMany(find) => find(scene),
            Each(_) | EachMany(_) => vec![],
        })
    }

    fn on_a_service(&self, subject: &Subject) -> Vec<Finding> {
        self.named(match self.look {
            All(_) | AllMany(_) => vec![],
            Each(find) => find(subject).into_iter().collect(),
            EachMany(find) => find(subject),
        })
    }

    fn named(&self, found: Vec<Finding>) -> Vec<Finding> {
        let named = |one| Finding { code: self.code, severity: self.severity, ..one };
        found.into_iter().map(named).collect()
    }
}

/// One service, from all sides.
struct Subject<'a> {
    scene: &'a Scene<'a>,
    project: &'a Project,
    service: &'a Service,
    raw: &'a config::Service,
    plan: Option<&'a ServicePlan>,
}

impl Subject<'_> {
    fn name(&self) -> &str {
        &self.service.name
    }

    fn prospect(&self) -> Option<Prospect> {
        self.scene.facts?.prospects.get(self.name()).copied()
    }

    fn image(&self) -> Option<&Image> {
        self.scene.facts?.images.get(&self.service.image.reference)
    }

    /// The engine's major version, if it is known.
    fn engine(&self) -> Option<u32> {
        self.scene.facts?.engine.as_ref().ok()?.split('.').next()?.parse().ok()
    }

    /// The service, unless it is not updated by a rollout at all: a job, or run by a provider.
    fn updated(&self) -> Option<&Service> {
        Some(self.service).filter(|service| !service.is_job() && !service.is_provider())
    }

    fn is_aside(&self) -> bool {
        self.updated().is_none()
    }

    /// The name of its image, without the registry, the tag and what may be added to the program's name.
    fn program(&self) -> &str {
        let last = self.service.image.reference.rsplit('/').next().unwrap_or_default();
        last.split([':', '@', '-']).next().unwrap_or_default()
    }

    /// At this key of the service.
    fn finding(&self, key: &[&str], problem: impl Into<String>) -> Finding {
        let path = ["services", self.name()].into_iter().chain(key.iter().copied());
        Finding { path: path.map(str::to_owned).collect(), ..Finding::of(self.name(), problem) }
    }
}

impl Finding {
    /// The rule gives it its code and severity.
    fn new(problem: impl Into<String>) -> Finding {
        Finding {
            severity: Hint,
            code: "",
            service: None,
            path: vec![],
            problem: problem.into(),
            remedy: String::new(),
            yaml: None,
        }
    }

    fn of(service: &str, problem: impl Into<String>) -> Finding {
        Finding { service: Some(service.to_owned()), ..Finding::new(problem) }
    }

    fn remedy(self, remedy: impl Into<String>) -> Finding {
        Finding { remedy: remedy.into(), ..self }
    }

    /// Lines within the service that the finding is about.
    fn write(self, lines: &[impl AsRef<str>]) -> Finding {
        let service = self.service.clone().unwrap_or_default();
        self.write_in(&service, lines)
    }

    fn write_in(self, service: &str, lines: &[impl AsRef<str>]) -> Finding {
        let lines: String = lines.iter().map(|line| format!("    {}\n", line.as_ref())).collect();
        Finding { yaml: Some(format!("services:\n  {service}:\n{lines}")), ..self }
    }

    /// Problem and remedy, where it is clear what service is meant.
    pub fn clause(&self) -> String {
        match self.remedy.as_str() {
            "" => self.problem.clone(),
            remedy => format!("{}; {remedy}", self.problem),
        }
    }

    pub fn sentence(&self) -> String {
        match &self.service {
            Some(service) => format!("{service}: {}", self.clause()),
            None => self.clause(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program goes by a code, so its author must find it.
    #[test]
    fn every_code_of_the_doctor_is_documented() {
        let page = include_str!("../../docs/doctor.md");
        let of_doctor =
            RULES.iter().chain(swarm::rules()).filter(|rule| rule.places.contains(&Place::Doctor));
        let missing: Vec<_> =
            of_doctor.map(|rule| rule.code).filter(|code| !page.contains(&format!("`{code}`"))).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
