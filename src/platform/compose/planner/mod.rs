//! From what is wanted and what is there to what will be done. Pure.

mod addresses;
mod alone;
mod links;
mod operations;
mod order;
mod ports;
mod service;
mod situation;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use self::{operations::replicas, service::Case, situation::Situation};
use super::Observed;
use crate::{
    engine::{Container, Replica},
    event::Verdict,
    plan::{Plan, Prospect, Request, ServicePlan, What},
    project::{Hazard, Project, Service, hazards},
    proxy,
};

/// Plans the whole request.
///
/// Named services are brought up to date; what they depend on is only started where not running, as
/// nobody asked for its update. Without names every service of the project is brought up to date.
pub fn plan(project: &Project, observed: &Observed, request: &Request) -> Plan {
    let scope = Scope::of(project, request);
    let services = project.dependency_order().into_iter().filter(|name| scope.all.contains(name));
    let mut services: Vec<_> =
        services.map(|name| plan_service(&name, None, project, observed, request, &scope)).collect();
    while let Some((at, host)) = left_in_a_container(project, &services) {
        let name = services[at].service.clone();
        services[at] = plan_service(&name, Some(&host), project, observed, request, &scope);
    }
    let moves = ports::find(project, &mut services);
    let mut services = order::after_proxies(project, observed, services);
    addresses::in_turn(project, observed, &mut services);
    ports::pass_on(project, observed, &mut services, moves);
    Plan {
        project: project.name.clone(),
        services,
        orphans: orphans(project, observed, request),
        remove_orphans: request.remove_orphans,
        helper: observed.helper.clone(),
        heard: observed.heard.clone(),
        waits: observed.waits.clone(),
        images: observed.images.clone(),
    }
}

/// A service that has to follow the one in whose container it lives, and the name of that one. Where the file names the
/// container Compose sees no difference.
fn left_in_a_container(project: &Project, services: &[ServicePlan]) -> Option<(usize, String)> {
    let replaced = |name: &str| services.iter().any(|plan| plan.service == name && plan.replaces());
    let host = |plan: &ServicePlan| {
        let hosts = project.hosts_of(project.file.services.get(&plan.service)?).into_iter();
        hosts
            .filter(|host| host.container.is_some())
            .find(|host| replaced(&host.service))
            .map(|host| host.service)
    };
    let stays = |plan: &ServicePlan| {
        plan.asked && plan.verdict == Verdict::Unchanged && plan.before.iter().any(|c| c.runs())
    };
    let mut all = services.iter().enumerate().filter(|(_, plan)| stays(plan));
    all.find_map(|(at, plan)| Some((at, host(plan)?)))
}

/// What becomes of each service when it changes.
pub fn prospects(project: &Project, observed: &Observed) -> BTreeMap<String, Prospect> {
    let request = Request::default();
    let one = |(name, service): (&String, &Arc<Service>)| {
        let mine: Vec<&Container> = observed.containers.iter().filter(|c| c.service == *name).collect();
        (name.clone(), case(project, service, &mine, observed, &request, None).prospect())
    };
    project.services.iter().map(one).collect()
}

fn case<'a>(
    project: &'a Project,
    service: &'a Arc<Service>,
    mine: &[&'a Container],
    observed: &'a Observed,
    request: &'a Request,
    follows: Option<&'a str>,
) -> Case<'a> {
    let mut hazards = hazards(&service.name, project);
    if service.replicas == 1 {
        let anonymous = mine.iter().filter(|c| c.runs()).flat_map(|c| &c.anonymous_volumes).next();
        hazards.extend(anonymous.cloned().map(Hazard::AnonymousVolume));
    }
    let room = addresses::room(project, &service.name, observed);
    let service = room.map_or_else(|| service.clone(), |room| room.fit(service));
    hazards.extend(room.and_then(|room| room.hazard(&service)));
    let now = Situation::new(&service, mine, observed, request);
    let can_undo = observed.undos.contains(&service.name);
    Case { project, service, hazards, now, request, helper: &observed.helper, can_undo, follows, room }
}

fn plan_service(
    name: &str,
    follows: Option<&str>,
    project: &Project,
    observed: &Observed,
    request: &Request,
    scope: &Scope,
) -> ServicePlan {
    let service = &project.services[name];
    let mine: Vec<&Container> = observed.containers.iter().filter(|c| c.service == name).collect();
    let asked = scope.asked.contains(name);
    // Nobody asked for a change of what is only depended on; a job among them has run.
    let force = (request.force || follows.is_some()) && asked;
    let request = Request { force, ..request.clone() };
    let case = case(project, service, &mine, observed, &request, follows);
    let mut plan = if asked { case.plan() } else { case.plan_dependency() };
    plan.operations = links::keep(plan.operations, name, &observed.containers);
    let is_held = plan.operations.iter().any(|operation| matches!(operation.what, What::Hold { .. }));
    let ways = match is_held {
        true => proxy::ways_to_hold(service, &observed.containers, &observed.heard),
        false => {
            let around = (observed.containers.as_slice(), observed.neighbors.as_slice());
            proxy::ways(service, around, &observed.helper, &observed.heard)
        }
    };
    let depends_on = service.depends_on.iter().map(|dependency| dependency.service.clone());
    let hosts = project.file.services.get(name).map(|raw| project.hosts_of(raw)).unwrap_or_default();
    let before = depends_on.chain(hosts.into_iter().map(|host| host.service));
    let planned = |name: &String| scope.all.contains(name) && project.services.contains_key(name);
    ServicePlan {
        asked,
        ways,
        after: BTreeSet::from_iter(before.filter(planned)).into_iter().collect(),
        before: replicas(&mine),
        ..plan
    }
}

struct Scope {
    asked: BTreeSet<String>,
    all: BTreeSet<String>,
}

impl Scope {
    fn of(project: &Project, request: &Request) -> Scope {
        if request.services.is_empty() {
            let all: BTreeSet<_> = project.services.keys().cloned().collect();
            return Scope { asked: all.clone(), all };
        }
        let asked = request.services.iter().cloned().collect();
        Scope { asked, all: project.reach(&request.services, request.no_deps).into_iter().collect() }
    }
}

fn orphans(project: &Project, observed: &Observed, request: &Request) -> Vec<Replica> {
    let known = |name: &String| project.services.contains_key(name) || request.dormant.contains(name);
    observed.containers.iter().filter(|c| !known(&c.service)).map(Replica::from).collect()
}
