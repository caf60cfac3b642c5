//! Who goes before whom.

use std::collections::BTreeSet;

use crate::{plan::ServicePlan, platform::compose::Observed, project::Project};

/// Lets each service that leaves a proxy which is asked wait for the service of that proxy, where it changes too: else
/// it leaves containers that are on their way out themselves. A proxy that depends on the service is done behind it.
pub fn after_proxies(
    project: &Project,
    observed: &Observed,
    mut services: Vec<ServicePlan>,
) -> Vec<ServicePlan> {
    for at in 0..services.len() {
        for proxy in proxies(&services[at], observed) {
            let changes = services.iter().any(|plan| plan.service == proxy && !plan.operations.is_empty());
            if changes && !waits_for(&proxy, &services[at].service, project, &services) {
                services[at].after.push(proxy);
            }
        }
    }
    sorted(services)
}

/// The services of the proxies that a service leaves and does not wait for anyway.
fn proxies(plan: &ServicePlan, observed: &Observed) -> BTreeSet<String> {
    if plan.leaving().next().is_none() {
        return BTreeSet::new();
    }
    let proxies: Vec<_> = plan.ways.iter().flat_map(|way| way.proxies()).collect();
    let found = observed.containers.iter().filter(|c| proxies.iter().any(|proxy| proxy.id == c.id));
    found.map(|container| container.service.clone()).filter(|name| !plan.after.contains(name)).collect()
}

/// Whether a service is, or waits for, another one, also through services that are not in the plan.
pub fn waits_for(name: &str, other: &str, project: &Project, services: &[ServicePlan]) -> bool {
    let mut names = vec![name.to_owned()];
    let mut next = 0;
    while next < names.len() {
        let name = names[next].clone();
        let written = project.services.get(&name).into_iter().flat_map(|service| &service.depends_on);
        let planned = services.iter().filter(|plan| plan.service == name).flat_map(|plan| &plan.after);
        for before in written.map(|dependency| &dependency.service).chain(planned) {
            if !names.contains(before) {
                names.push(before.clone());
            }
        }
        next += 1;
    }
    names.iter().any(|name| name == other)
}

/// Each behind what it waits for, else as they were.
fn sorted(mut left: Vec<ServicePlan>) -> Vec<ServicePlan> {
    let mut done: Vec<ServicePlan> = Vec::new();
    while !left.is_empty() {
        let is_left = |name: &String| left.iter().any(|plan| plan.service == *name);
        let ready = left.iter().position(|plan| !plan.after.iter().any(is_left));
        done.push(left.remove(ready.unwrap_or(0)));
    }
    done
}
