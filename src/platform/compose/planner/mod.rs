//! From what is wanted and what is there to what will be done. Pure.

mod alone;
mod operations;
mod order;
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
    let services = services.map(|name| plan_service(&name, project, observed, request, &scope)).collect();
    let services = order::after_proxies(project, observed, services);
    Plan {
        project: project.name.clone(),
        services,
        orphans: orphans(project, observed, request),
        remove_orphans: request.remove_orphans,
        helper: observed.helper.clone(),
    }
}

/// What becomes of each service when it changes.
pub fn prospects(project: &Project, observed: &Observed) -> BTreeMap<String, Prospect> {
    let request = Request::default();
    let one = |(name, service): (&String, &Arc<Service>)| {
        let mine: Vec<&Container> = observed.containers.iter().filter(|c| c.service == *name).collect();
        (name.clone(), case(project, service, &mine, observed, &request).prospect())
    };
    project.services.iter().map(one).collect()
}

fn case<'a>(
    project: &'a Project,
    service: &'a Arc<Service>,
    mine: &[&'a Container],
    observed: &'a Observed,
    request: &'a Request,
) -> Case<'a> {
    let mut hazards = hazards(&service.name, project);
    if service.replicas == 1 {
        let anonymous = mine.iter().filter(|c| c.runs()).flat_map(|c| &c.anonymous_volumes).next();
        hazards.extend(anonymous.cloned().map(Hazard::AnonymousVolume));
    }
    let now = Situation::new(service, mine, observed, request);
    let way_back = observed.ways_back.contains(&service.name);
    Case { project, service, hazards, now, request, helper: &observed.helper, way_back }
}

fn plan_service(
    name: &str,
    project: &Project,
    observed: &Observed,
    request: &Request,
    scope: &Scope,
) -> ServicePlan {
    let service = &project.services[name];
    let mine: Vec<&Container> = observed.containers.iter().filter(|c| c.service == name).collect();
    let asked = scope.asked.contains(name);
    // Nobody asked for a change of what is only depended on; a job among them has run.
    let request = Request { force: request.force && asked, ..request.clone() };
    let case = case(project, service, &mine, observed, &request);
    let plan = if asked { case.plan() } else { case.plan_dependency() };
    let is_held = plan.operations.iter().any(|operation| matches!(operation.what, What::Hold { .. }));
    let ways = match is_held {
        true => proxy::ways_to_hold(service, &observed.containers),
        false => proxy::ways(service, &observed.containers, &observed.helper),
    };
    let depends_on = service.depends_on.iter().map(|dependency| &dependency.service);
    let planned = |name: &&String| scope.all.contains(*name) && project.services.contains_key(*name);
    ServicePlan {
        asked,
        ways,
        after: depends_on.filter(planned).cloned().collect(),
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
