//! A job: a service that runs to its end under a name of its own, and is removed.

use std::collections::BTreeSet;

use super::{
    limits,
    looks::Found,
    news::News,
    run::{Effect, LOOK, Rollout},
    watch::{Sent, Verdict, Watch},
};
use crate::{
    engine::{CallError, Docker},
    event::{self, Generation},
    execute::Journal,
    stage::Halt,
    wait::{Ended, Heed, Look},
};

impl Rollout<'_> {
    /// Runs a job, and removes what it ran in.
    pub(super) fn run_once(&mut self, name: &str, journal: &mut Journal<Effect>) -> Result<(), Halt> {
        let Some(target) = self.swarm.targets.get(&self.plan.service) else { return Ok(()) };
        let text = target.before.get(name).unwrap_or(&target.text).clone();
        let full = self.swarm.full_name(name);
        journal.enter(Effect::Job(full.clone()));
        let managers = &self.swarm.managers;
        let is_sent = |docker: &Docker| Ok(!docker.services_named(std::slice::from_ref(&full))?.is_empty());
        let turn = self.swarm.turn();
        managers.write(|docker| docker.deploy_stack(&self.swarm.name, &text), is_sent)?;
        drop(turn);
        self.sent = self.stage.waiter.clock.now();
        let limits = limits::of(self.plan, &self.swarm.file);
        let mut watch = Watch::new(Sent::default(), limits);
        let mut news = News::new(&self.swarm.name, BTreeSet::new());
        let began = self.stage.waiter.clock.now();
        let waiter = self.stage.waiter.clone();
        let ended = waiter.until(None, Heed::All, || {
            let found = self.find(&full)?;
            let elapsed = waiter.clock.now().saturating_duration_since(began);
            for (container, _, phase) in news.of(&found.look(), limits.still, false) {
                let phase = match phase {
                    event::Phase::Failed { .. } | event::Phase::Stopped { exit_code: 0 }
                        if is_complete(&found) =>
                    {
                        event::Phase::Finished
                    }
                    event::Phase::Ready => continue,
                    phase => phase,
                };
                self.reporter().container(&container, Generation::New, phase);
            }
            Ok::<_, CallError>(match watch.judge_job(&found.look(), elapsed) {
                Verdict::Wait => Look::Again(LOOK),
                verdict => Look::Done(verdict),
            })
        })?;
        match ended {
            Ended::Done(Verdict::Done) => {}
            Ended::Done(verdict) => return Err(Halt::from(self.failure(verdict))),
            Ended::Interrupted | Ended::Deadline => return Err(Halt::Interrupted),
            Ended::Alarm(reason) => return Err(Halt::failed(reason, None)),
        }
        self.remove_job(&full)?;
        Ok(())
    }

    pub(super) fn remove_job(&self, full: &str) -> Result<(), CallError> {
        let names = [full.to_owned()];
        self.swarm.managers.read(|docker| docker.remove_services(&names))
    }
}

fn is_complete(found: &Found) -> bool {
    found.tasks.iter().any(|task| task.state == "complete")
}
