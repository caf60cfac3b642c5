//! What a look tells of each task, as the events of the rollout. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    observe,
    watch::{Look, exit_code, why_ended},
};
use crate::{
    engine::{ContainerRef, swarm::Task},
    event::{Generation, Phase},
};

/// Said of a task that is to stop: Swarm takes it out of DNS at once, and signals it 2 seconds later.
const LEAVES: &str = "Swarm takes it out of DNS, and stops it 2s later";

/// What was told so far.
#[derive(Clone, Debug, Default)]
pub struct News {
    stack: String,
    /// The tasks of before the update.
    before: BTreeSet<String>,
    /// The tasks that Swarm started while it goes back.
    back: BTreeSet<String>,
    told: BTreeMap<String, Told>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Starting,
    Ready,
    Leaving,
    Over,
}

impl News {
    pub fn new(stack: &str, before: BTreeSet<String>) -> News {
        News { stack: stack.to_owned(), before, ..News::default() }
    }

    /// `deadline`: what is left until it counts as stuck. `back`: Swarm goes back to what was before.
    pub fn of(
        &mut self,
        look: &Look,
        deadline: Duration,
        back: bool,
    ) -> Vec<(ContainerRef, Generation, Phase)> {
        let mut events = Vec::new();
        for task in look.tasks.iter().filter(|task| !task.node.is_empty()) {
            let is_known = self.told.contains_key(&task.id);
            if back && !is_known && !self.before.contains(&task.id) {
                self.back.insert(task.id.clone());
            }
            let is_old = self.before.contains(&task.id) || self.back.contains(&task.id);
            let generation = if is_old { Generation::Old } else { Generation::New };
            for phase in self.phases(task, generation, deadline) {
                events.push((observe::reference(task, &self.stack), generation, phase));
            }
        }
        events
    }

    fn phases(&mut self, task: &Task, generation: Generation, deadline: Duration) -> Vec<Phase> {
        let told = self.told.get(&task.id).copied();
        let old = generation == Generation::Old;
        let was_there = self.before.contains(&task.id);
        let now = match () {
            () if task.has_ended() => Told::Over,
            () if !task.is_wanted() => Told::Leaving,
            () if task.is_running() => Told::Ready,
            () => Told::Starting,
        };
        if told == Some(now) || was_there && told.is_none() && now != Told::Leaving {
            // Of what ran before only its end is news, and what has ended before is none.
            if was_there && told.is_none() {
                self.told.insert(task.id.clone(), now);
            }
            return vec![];
        }
        self.told.insert(task.id.clone(), now);
        let begin = || match old {
            true => vec![Phase::Restoring],
            false => vec![Phase::Started, waiting(task, deadline)],
        };
        let passed = |told: Option<Told>| if told.is_none() { begin() } else { vec![] };
        match now {
            Told::Starting => begin(),
            Told::Ready => {
                let ready = if old { Phase::Restored } else { Phase::Ready };
                [passed(told), vec![ready]].concat()
            }
            // One that has never served only stops.
            Told::Leaving if told == Some(Told::Ready) || was_there => {
                vec![Phase::Draining { how: LEAVES.to_owned() }]
            }
            Told::Leaving => vec![],
            Told::Over if !task.is_wanted() && was_fine(task) => ended(task, told),
            Told::Over => [passed(told), vec![Phase::Failed { reason: why_ended(task) }]].concat(),
        }
    }
}

fn waiting(task: &Task, deadline: Duration) -> Phase {
    let output = (!task.error.is_empty()).then(|| task.error.clone());
    Phase::Waiting { health: "starting".to_owned(), output, deadline }
}

fn was_fine(task: &Task) -> bool {
    matches!(task.state.as_str(), "shutdown" | "complete" | "remove") || exit_code(&task.error).is_some()
}

fn ended(task: &Task, told: Option<Told>) -> Vec<Phase> {
    let stopped = Phase::Stopped { exit_code: exit_code(&task.error).unwrap_or(0) };
    match told {
        None => vec![],
        Some(_) => vec![stopped],
    }
}
