//! One service as it is to be sent: all that the planner and the rollout need of it, and that a revision keeps of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    names,
    stack::{Mode, Stack, StackService},
};
use crate::project::Order;

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Target {
    /// Of all by which Swarm replaces tasks.
    pub hash: String,
    /// Of the rest, but for the count.
    pub settings_hash: String,
    /// As the file or the registry has it.
    pub image: String,
    /// `None` of a global one.
    pub replicas: Option<u32>,
    pub job: bool,
    pub stop_first: bool,
    /// Services that must be done before it.
    pub after: Vec<String>,
    /// The text for `docker stack deploy`. Of a job, of the service in which it runs.
    pub text: String,
    /// The same, where the old tasks must stop before the new ones start.
    pub down_text: String,
    /// By the name of the service in which each runs to its end before this one is touched.
    pub before: BTreeMap<String, String>,
    #[serde(skip)]
    pub notes: Vec<String>,
}

impl Target {
    pub fn is_global(&self) -> bool {
        self.replicas.is_none()
    }
}

/// The targets of a stack. `counts`: how many of each run now, which stays where nobody says a count; `number`: of the
/// rollout, by which the names of jobs differ from those of earlier ones.
pub fn targets(stack: &Stack, counts: &BTreeMap<String, u32>, number: u32) -> BTreeMap<String, Target> {
    let one = |(name, service): (&String, &StackService)| {
        let mut service = service.clone();
        if service.mode == Mode::Replicated && service.replicas.is_none() {
            service.replicas = Some(counts.get(name).copied().unwrap_or(1));
        }
        (name.clone(), target(stack, name, &service, number))
    };
    stack.services.iter().map(one).collect()
}

fn target(stack: &Stack, name: &str, service: &StackService, number: u32) -> Target {
    let sent_as = if service.job { names::job(name, number) } else { name.to_owned() };
    let mut down = service.clone();
    down.stop_first();
    let hook = |(at, hook): (usize, &StackService)| {
        let name = names::job(&format!("{name}-pre-start-{}", at + 1), number);
        let text = hook.text(stack, &name);
        (name, text)
    };
    Target {
        hash: service.hash.clone(),
        settings_hash: service.settings_hash.clone(),
        image: service.image().to_owned(),
        replicas: if service.mode == Mode::Global { None } else { Some(service.replicas.unwrap_or(1)) },
        job: service.job,
        stop_first: service.order == Order::StopFirst,
        after: service.after.iter().map(|dependency| dependency.service.clone()).collect(),
        text: service.text(stack, &sent_as),
        down_text: down.text(stack, &sent_as),
        before: service.pre_start.iter().enumerate().map(hook).collect(),
        notes: service.notes.clone(),
    }
}
