//! Addresses on networks that have few: new containers take some beside the old ones.

use std::sync::Arc;

use super::Observed;
use crate::{
    plan::{ServicePlan, What},
    project::{Hazard, Order, Project, Service},
};

/// The narrowest network of a service.
#[derive(Clone, Copy, Debug)]
pub struct Room<'a> {
    pub network: &'a str,
    /// Addresses that the engine has left to give away there.
    pub free: u32,
}

/// `None` where there is plenty.
pub fn room<'a>(project: &Project, service: &str, observed: &'a Observed) -> Option<Room<'a>> {
    let free = |name: &str| {
        let network = observed.networks.iter().find(|network| network.name == name)?;
        Some(Room { network: &network.name, free: network.free? })
    };
    networks_of(project, service).filter_map(free).min_by_key(|room| room.free)
}

fn networks_of<'p>(project: &'p Project, service: &str) -> impl Iterator<Item = &'p str> {
    let keys = project.file.services.get(service).into_iter().flat_map(|raw| raw.networks.keys());
    keys.filter_map(|key| project.file.networks.get(key)?.as_ref()?.name.as_deref())
}

impl Room<'_> {
    /// The service with batches that find addresses.
    pub fn fit(&self, service: &Arc<Service>) -> Arc<Service> {
        let mut fitted = service.clone();
        if self.free > 0 && self.free < service.batch() && !service.injected_files {
            Arc::make_mut(&mut fitted).settings.parallelism = self.free;
        }
        fitted
    }

    /// That not one batch finds them beside the old containers.
    pub fn hazard(&self, service: &Service) -> Option<Hazard> {
        let needed = if service.injected_files { service.replicas } else { 1 };
        let short = service.settings.order == Order::StartFirst && needed > self.free;
        short.then(|| Hazard::NoAddress { network: self.network.to_owned() })
    }
}

/// Where all at once find no addresses they go one after the other, in this order.
pub fn in_turn(project: &Project, observed: &Observed, services: &mut [ServicePlan]) {
    for network in &observed.networks {
        let Some(free) = network.free else { continue };
        let is_on = |plan: &ServicePlan| networks_of(project, &plan.service).any(|name| name == network.name);
        let takers: Vec<usize> =
            (0..services.len()).filter(|at| beside(&services[*at]) > 0 && is_on(&services[*at])).collect();
        if takers.iter().map(|at| beside(&services[*at])).sum::<u32>() <= free {
            continue;
        }
        for pair in takers.windows(2) {
            let before = services[pair[0]].service.clone();
            let after = &mut services[pair[1]].after;
            if !after.contains(&before) {
                after.push(before);
            }
        }
    }
}

/// How many more than now run at most, with what stands in for old ones.
fn beside(plan: &ServicePlan) -> u32 {
    let taken = plan.operations.iter().map(|operation| match &operation.what {
        What::Start { count, .. } | What::Create { count, .. } => *count,
        What::Hold { containers } => containers.len() as u32,
        _ => 0,
    });
    taken.max().unwrap_or(0)
}
