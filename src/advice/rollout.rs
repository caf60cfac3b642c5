//! What a plan brings with it.

use std::collections::BTreeSet;

use super::{Finding, Subject};
use crate::{
    engine::{Protocol, Replica, State},
    event::Verdict,
    plan::What,
    project::{Hazard, hazards},
    text::{duration, join},
};

pub fn one_batch(subject: &Subject) -> Option<Finding> {
    let (service, rolls) = (subject.service, subject.plan?.verdict == Verdict::Roll);
    let batched = service.batch() < service.replicas;
    let problem = "all at once, not in batches: its configs or secrets are copied in by Compose, which would start the stopped old containers too";
    (rolls && batched && service.injected_files).then(|| subject.finding(&["x-zdd", "parallelism"], problem))
}

/// How long those who visit it will wait: as in its last rollouts, else as its healthcheck says. Docker probes for the
/// first time when the interval is over.
pub fn wait(subject: &Subject) -> Option<Finding> {
    let plan = subject.plan.filter(|plan| plan.verdict == Verdict::Hold && !plan.operations.is_empty())?;
    let known = subject.scene.plan?.waits.get(subject.name()).map_or(&[][..], Vec::as_slice);
    let probe = plan.leaving().filter_map(|old| old.healthcheck).map(|check| check.first_probe(false)).max();
    let problem = match (known.iter().min(), known.iter().max(), probe) {
        (Some(least), Some(most), _) if known.len() > 1 => format!(
            "its visitors wait {} to {}, as in its last {} rollouts",
            duration::show(*least),
            duration::show(*most),
            known.len()
        ),
        (Some(one), ..) => {
            format!("its visitors wait about {}, as in its last rollout", duration::show(*one))
        }
        (None, _, Some(probe)) => format!(
            "its visitors wait until it has stopped and started, and {} more until the first probe of its healthcheck",
            duration::show(probe)
        ),
        _ => "its visitors wait until it has stopped and the new one listens".to_owned(),
    };
    Some(subject.finding(&[], problem))
}

/// In smaller batches than is written.
pub fn fewer_at_once(subject: &Subject) -> Option<Finding> {
    let plan = subject.plan?;
    let n = plan.settings().parallelism;
    let fewer = n != subject.service.settings.parallelism && plan.batches() > 1;
    let problem = format!("{n} at a time: its network has no more free addresses");
    fewer.then(|| subject.finding(&["networks"], problem).remedy("give it a larger subnet"))
}

pub fn downtime(subject: &Subject) -> Option<Finding> {
    let problem = "its requests fail from the stop of the old container to the start of the new";
    (subject.plan?.verdict == Verdict::Recreate).then(|| subject.finding(&[], problem))
}

/// Only connections can wait.
pub fn datagrams(subject: &Subject) -> Option<Finding> {
    let plan = subject.plan.filter(|plan| plan.verdict == Verdict::Hold && !plan.operations.is_empty())?;
    let published = plan.before.iter().flat_map(|replica| &replica.published);
    let ports = published.filter(|one| one.protocol == Protocol::Udp).map(|one| one.port);
    let ports: BTreeSet<_> = ports.map(|port| format!("{port}/udp")).collect();
    let problem = || {
        let ports = join(&Vec::from_iter(&ports));
        format!("datagrams to {ports} are dropped from the stop of the old container to the start of the new")
    };
    (!ports.is_empty()).then(|| subject.finding(&["ports"], problem()))
}

/// A rolled replica starts with new anonymous volumes (Compose 5.6.1; a recreated one would inherit them), and those of
/// a removed one go with it.
pub fn anonymous_volume(subject: &Subject) -> Option<Finding> {
    let removed = subject.plan?.operations.iter().filter_map(|op| match &op.what {
        What::Clear { containers } | What::Remove { containers } => Some(containers),
        _ => None,
    });
    let wrote = |c: &&Replica| !c.anonymous_volumes.is_empty() && c.state != State::Created;
    let losers: Vec<_> = removed.flatten().filter(wrote).collect();
    if losers.is_empty() {
        return None;
    }
    let places: BTreeSet<_> = losers.iter().flat_map(|c| &c.anonymous_volumes).collect();
    let names: Vec<_> = losers.iter().map(|c| &c.name).collect();
    let problem = format!(
        "what it wrote to {} is gone with {}: an anonymous volume is not handed on",
        join(&Vec::from_iter(places)),
        join(&names)
    );
    Some(subject.finding(&["volumes"], problem).remedy("give it a name"))
}

/// Services that live in containers of this one, and would stay with the old ones because nobody named them.
pub fn left_behind(subject: &Subject) -> Vec<Finding> {
    let (Some(plan), Some(whole)) = (subject.plan, subject.scene.plan) else { return vec![] };
    if !plan.replaces() {
        return vec![];
    }
    let runs =
        |name: &str| subject.scene.containers.iter().any(|c| c.service == name && c.state == State::Running);
    let one = |hazard: Hazard| match hazard {
        Hazard::NamespaceSharedBy { service, key, .. }
            if runs(&service) && whole.services.iter().all(|plan| plan.service != service) =>
        {
            let problem = format!(
                "\"{service}\" lives in its container ({key}) and is not named: it would stay with the old one"
            );
            Some(subject.finding(&[], problem).remedy("name it too"))
        }
        _ => None,
    };
    hazards(subject.name(), subject.project).into_iter().filter_map(one).collect()
}
