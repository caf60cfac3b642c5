//! Ports of the machine that go from one service to another in the same run: the one has them until its old containers
//! stop, and the other cannot start before.

use std::{net::IpAddr, ops::RangeInclusive};

use super::{Observed, order::waits_for};
use crate::{
    engine::{Container, Protocol, Published, Replica, config::Port},
    helper::Presence,
    plan::{Operation, ServicePlan, What},
    project::{Project, UseHelper},
};

/// Old containers of one service, with those ports alone that another one gets.
pub struct Move {
    from: String,
    to: String,
    containers: Vec<Replica>,
}

/// Finds them, and lets whoever takes ports over begin behind whoever has them.
pub fn find(project: &Project, services: &mut [ServicePlan]) -> Vec<Move> {
    let mut found = vec![];
    for giver in 0..services.len() {
        let Some(stop) = last_stop(&services[giver]) else { continue };
        for taker in (0..services.len()).filter(|taker| *taker != giver) {
            let containers = moved(project, &services[giver], stop, &services[taker]);
            let (from, to) = (services[giver].service.clone(), services[taker].service.clone());
            // Else each would wait for the other.
            if containers.is_empty() || waits_for(&from, &to, project, services) {
                continue;
            }
            if !services[taker].after.contains(&from) {
                services[taker].after.push(from.clone());
            }
            found.push(Move { from, to, containers });
        }
    }
    found
}

/// The one waits for whether the other serves at the ports, and can have them back until then. Meanwhile connections wait,
/// where they can.
pub fn pass_on(project: &Project, observed: &Observed, services: &mut [ServicePlan], moves: Vec<Move>) {
    for Move { from, to, containers } in moves {
        // Who has to be done before whoever takes them over cannot wait until that is done.
        let all: &[ServicePlan] = services;
        let is_between =
            |plan: &&ServicePlan| plan.after.contains(&from) && waits_for(&to, &plan.service, project, all);
        let frees = all.iter().filter(is_between).map(|plan| plan.service.clone()).collect();
        let Some(plan) = services.iter_mut().find(|plan| plan.service == from) else { continue };
        let waits = can_wait(project, observed, plan, &to);
        let batch = plan.operations.iter().map(|op| op.batch).max().unwrap_or_default();
        let ports = words(&containers);
        let what = What::PassPorts { to: to.clone(), ports: ports.clone(), frees };
        let behind = plan.operations.iter().rposition(|op| op.batch == batch).map_or(0, |at| at + 1);
        let cause = "it cannot start before, and may fail".to_owned();
        plan.operations.insert(behind, Operation { batch, what, cause });
        if waits {
            hold(plan, batch, What::HoldPorts { containers, to, ports });
        }
    }
}

/// Before any of the containers leaves.
fn hold(plan: &mut ServicePlan, batch: u32, what: What) {
    let of_batch = |op: &Operation| op.batch == batch;
    let leaves = |op: &Operation| {
        of_batch(op) && matches!(op.what, What::Hold { .. } | What::Drain { .. } | What::Stop { .. })
    };
    if let What::HoldPorts { containers, .. } = &what {
        plan.operations
            .iter_mut()
            .filter(|op| of_batch(op))
            .for_each(|op| leave_to(containers, &mut op.what));
    }
    let at = plan.operations.iter().position(leaves).unwrap_or_default();
    let cause = "nobody is refused until they are passed on".to_owned();
    plan.operations.insert(at, Operation { batch, what, cause });
}

/// The only stop, if it is in the last batch: what follows it can be undone.
fn last_stop(plan: &ServicePlan) -> Option<usize> {
    let is_stop = |op: &Operation| matches!(op.what, What::Stop { .. }) && op.batch > 0;
    let mut stops = (0..plan.operations.len()).filter(|at| is_stop(&plan.operations[*at]));
    let only = stops.next().filter(|_| stops.next().is_none())?;
    (plan.operations[only].batch == plan.operations.iter().map(|op| op.batch).max()?).then_some(only)
}

/// Those of the containers that stop which have ports that go to the other, with these alone.
fn moved(project: &Project, giver: &ServicePlan, stop: usize, taker: &ServicePlan) -> Vec<Replica> {
    let What::Stop { containers } = &giver.operations[stop].what else { return vec![] };
    let starts =
        |op: &Operation| matches!(op.what, What::Start { .. } | What::Revive { .. } | What::Recreate { .. });
    if !taker.operations.iter().any(starts) {
        return vec![];
    }
    let wants = |name: &str, one: &Published| {
        let raw = project.file.services.get(name);
        raw.into_iter().flat_map(|raw| &raw.ports).any(|port| is_meant(port, one))
    };
    let goes = |one: &Published| wants(&taker.service, one) && !wants(&giver.service, one);
    let running = containers.iter().filter(|replica| replica.runs());
    running.map(|replica| with_ports(replica, goes)).filter(|replica| !replica.published.is_empty()).collect()
}

fn with_ports(replica: &Replica, chosen: impl Fn(&Published) -> bool) -> Replica {
    let published = replica.published.iter().filter(|one| chosen(one)).cloned().collect();
    Replica::from(&Container { published, ..Container::clone(replica) })
}

/// Whether the port that is written would take the one that there is.
fn is_meant(port: &Port, one: &Published) -> bool {
    let protocol = match port.protocol.as_deref() {
        Some("udp") => Protocol::Udp,
        None | Some("tcp") => Protocol::Tcp,
        _ => return false,
    };
    let on: Option<IpAddr> = port.host_ip.as_deref().and_then(|address| address.parse().ok());
    let any = |on: Option<IpAddr>| on.filter(|address| !address.is_unspecified());
    let meets = any(on).zip(any(one.on)).is_none_or(|(on, other)| on == other);
    let numbers = port.published.as_deref().and_then(numbers);
    protocol == one.protocol && meets && numbers.is_some_and(|numbers| numbers.contains(&one.port))
}

fn numbers(published: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = published.split_once('-').unwrap_or((published, published));
    let first = first.parse().ok().filter(|port| *port != 0)?;
    Some(first..=last.parse().ok()?)
}

/// What is held for the other service is not held for this one.
fn leave_to(moved: &[Replica], what: &mut What) {
    let What::Hold { containers } = what else { return };
    for replica in containers.iter_mut() {
        let Some(theirs) = moved.iter().find(|theirs| *theirs == replica) else { continue };
        *replica = with_ports(replica, |one| !theirs.published.contains(one));
    }
}

fn can_wait(project: &Project, observed: &Observed, giver: &ServicePlan, to: &str) -> bool {
    let steers = |name: &str| project.unsteered_network(name).is_none();
    let helper = giver.settings().hand_over.helper == UseHelper::Auto && observed.helper == Presence::Ready;
    helper && steers(&giver.service) && steers(to)
}

/// `8080`, `53/udp`.
fn words(moved: &[Replica]) -> Vec<String> {
    let one = |one: &Published| match one.protocol {
        Protocol::Tcp => one.port.to_string(),
        Protocol::Udp => format!("{}/udp", one.port),
    };
    let mut words: Vec<_> = moved.iter().flat_map(|replica| &replica.published).map(one).collect();
    words.sort();
    words.dedup();
    words
}
