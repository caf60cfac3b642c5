//! The rollback: by Swarm where it still knows what was replaced, else by the definition that an earlier rollout recorded.

use super::{
    HASH_LABEL, limits,
    run::{LOOK, Rollout},
    watch::{Sent, Verdict, Watch},
};
use crate::{
    engine::{CallError, Docker, swarm::Service},
    execute::Mark,
    wait::{Ended, Heed, Look},
};

impl Rollout<'_> {
    /// Goes back to what was before, or waits until Swarm has done so.
    pub(super) fn undo(&mut self, before: Option<&Service>, to: Mark) -> Result<(), String> {
        let name = self.full_name();
        // What was seen before is of before the failure.
        self.sent = self.stage.waiter.clock.now();
        let found = self.find(&name).map_err(|error| lost(&error))?;
        let Some(now) = &found.service else {
            return match before {
                None => Ok(()),
                Some(_) => Err("somebody has removed the service meanwhile".to_owned()),
            };
        };
        let Some(before) = before else { return self.undo_create(&name, to) };
        let began = now.update.as_ref().map(|update| &update.started_at);
        let is_old = began == before.update.as_ref().map(|update| &update.started_at);
        match now.state() {
            _ if now.spec == before.spec && is_old => return Ok(()),
            "rollback_completed" if !is_old => return Ok(()),
            "rollback_started" | "rollback_paused" if !is_old => {}
            _ if self.is_of_another(now) => {
                return Err("somebody else has changed the service meanwhile; it is left so".to_owned());
            }
            _ => self.send_back(now, before)?,
        }
        self.await_back(&name, before)
    }

    /// Nothing served before: what failed is left to be looked at, what was interrupted is removed.
    fn undo_create(&self, name: &str, to: Mark) -> Result<(), String> {
        if to == Mark::Start {
            self.reporter().warn("nothing of it served before, so it is left to be looked at");
            return Ok(());
        }
        self.remove_job(name).map_err(|error| error.to_string())
    }

    fn is_of_another(&self, now: &Service) -> bool {
        let sent = self.watch.as_ref().map(|watch| watch.sent.hash.as_str());
        now.label(HASH_LABEL) != sent
    }

    /// Swarm knows one definition back. Where that is not what was replaced, the recorded one is sent.
    fn send_back(&self, now: &Service, before: &Service) -> Result<(), String> {
        let name = self.full_name();
        let managers = &self.swarm.managers;
        let is_back = |docker: &Docker| {
            let now = docker.services_named(std::slice::from_ref(&name))?.pop();
            Ok(now.is_some_and(|now| now.state().starts_with("rollback")))
        };
        let done = match (now.previous == before.spec, self.swarm.back.get(&self.plan.service)) {
            (true, _) => managers.write(|docker| docker.roll_service_back(&name), is_back),
            (false, Some(text)) => {
                managers.write(|docker| docker.deploy_stack(&self.swarm.name, text), |_| Ok(false))
            }
            (false, None) => return Err("what ran before is not known to Swarm any more".to_owned()),
        };
        done.map_err(|error| lost(&error))
    }

    fn await_back(&mut self, name: &str, before: &Service) -> Result<(), String> {
        let hash = before.label(HASH_LABEL).unwrap_or_default().to_owned();
        let (began, waiter) = (self.stage.waiter.clock.now(), self.stage.waiter.clone());
        self.sent = began;
        let mut watch = Watch::new(Sent { hash, ..Sent::default() }, limits::of(self.plan, &self.swarm.file));
        let ended = waiter.until(None, Heed::Urgent, || {
            let found = self.find(name)?;
            let elapsed = waiter.clock.now().saturating_duration_since(began);
            self.tell(&found, watch.limits.still, true);
            self.seen = Some(found.tasks.clone());
            Ok::<_, CallError>(match watch.judge_back(&found.look(), elapsed) {
                Verdict::Wait => Look::Again(LOOK),
                verdict => Look::Done(verdict),
            })
        });
        match ended {
            Ok(Ended::Done(Verdict::Done)) => Ok(()),
            Ok(Ended::Done(Verdict::RollbackPaused(_))) => {
                Err("Swarm has paused its rollback; both versions may serve".to_owned())
            }
            Ok(Ended::Done(Verdict::Stuck(cause))) => {
                Err(format!("the rollback does not come to its end: {}", cause.reason))
            }
            Ok(Ended::Done(_)) => Err("somebody else has changed the service meanwhile".to_owned()),
            Ok(_) => Err("it was not waited for; Swarm goes on by itself".to_owned()),
            Err(error) => Err(lost(&error)),
        }
    }
}

pub(super) fn lost(error: &CallError) -> String {
    match error.is_lost_contact() {
        true => format!(
            "no manager answers any more; Swarm goes on by itself, and goes back if it fails ({error})"
        ),
        false => error.to_string(),
    }
}
