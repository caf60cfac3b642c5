//! Old containers on their way out: drained, stopped, and only at the very end removed.

use std::{thread, time::Duration};

use super::service::{Halt, Retired, Run, ids};
use crate::{
    docker::{CallError, Problem},
    event::{ContainerRef, Generation, Phase},
    model::Hook,
    observed::{Container, RestartPolicy, State},
    plan::Means,
};

/// Where users of docker-rollout write the command that lets a container drain.
const PRE_STOP_LABEL: &str = "docker-rollout.pre-stop-hook";

impl Run<'_> {
    /// Lets old containers finish: their `pre_stop` hooks run side by side.
    pub(super) fn drain(&mut self, batch: u32, containers: &[ContainerRef]) -> Result<(), Halt> {
        self.stopped_batches.insert(batch);
        let containers = self.spared(containers).to_vec();
        thread::scope(|scope| {
            for container in &containers {
                scope.spawn(|| self.pre_stop(container));
            }
        });
        self.leave_proxy(&containers, Generation::Old);
        Ok(())
    }

    /// The file's hooks, then the one in the label that users of docker-rollout write.
    fn pre_stop_hooks(&self, container: &ContainerRef) -> Vec<Hook> {
        let mut hooks = self.service.hooks.pre_stop.clone();
        let before = self.crew.before.get(&container.id);
        hooks.extend(before.and_then(|c| c.label(PRE_STOP_LABEL)).map(|command| Hook {
            command: ["sh", "-c", command].map(str::to_owned).into(),
            ..Hook::default()
        }));
        hooks
    }

    /// A failing hook is reported and does not keep the container: it is going anyway.
    fn pre_stop(&self, container: &ContainerRef) {
        let hooks = self.pre_stop_hooks(container);
        if hooks.is_empty() {
            return;
        }
        self.tell(container, Generation::Old, Phase::Draining { how: "pre_stop".to_owned() });
        let limit = self.service.settings.drain_timeout;
        for hook in &hooks {
            let run = || self.crew.docker.exec_hook(&container.id, hook, limit);
            if self.with_hook("pre_stop", Some(container), run).is_err() {
                return;
            }
        }
        self.tell(container, Generation::Old, Phase::Drained { note: None });
    }

    /// One old container stays for each new one that was lost under `failure_action: continue`.
    fn spared<'c>(&self, containers: &'c [ContainerRef]) -> &'c [ContainerRef] {
        &containers[..containers.len().saturating_sub(self.keep)]
    }

    pub(super) fn stop_old(&mut self, containers: &[ContainerRef]) -> Result<(), Halt> {
        self.prove_again()?;
        let going = self.spared(containers).to_vec();
        self.kept.extend_from_slice(&containers[going.len()..]);
        self.keep -= containers.len() - going.len();
        let policy = |container: &ContainerRef| Some(self.crew.before.get(&container.id)?.restart.clone());
        let retired: Vec<_> = going
            .iter()
            .map(|container| Retired {
                container: container.clone(),
                restart: policy(container).unwrap_or(RestartPolicy { name: "no".to_owned(), max_retries: 0 }),
            })
            .collect();
        // Remembered before it happens: an undo must know of a stop that failed half way.
        self.retired.extend(retired);
        self.stop(&going, Generation::Old)?;
        self.give_slots_back(true);
        Ok(())
    }

    /// Stops containers so that an engine restart does not bring them back.
    ///
    /// The restart policy goes after the stop, not before: a run that is killed in between must not leave a
    /// container that serves on without its policy, and a crash-looping one can only be updated once it is down
    /// (Engine 20.10: "cannot update a stopped container"). An engine that restarts in the instant between
    /// brings an old container back, which the next run retires again.
    pub(super) fn stop(&self, containers: &[ContainerRef], generation: Generation) -> Result<(), CallError> {
        let docker = self.crew.docker;
        let revived: Vec<_> = containers.iter().filter(|c| self.revives(c)).map(|c| c.id.clone()).collect();
        let grace = self.grace(containers);
        containers.iter().for_each(|c| self.tell(c, generation, Phase::Stopping { grace }));
        if let Err(error) = docker.stop(&ids(containers), self.crew.stop_timeout, grace) {
            tolerate_missing(error)?;
        }
        for gone in docker.inspect(&ids(containers))? {
            if matches!(gone.state, State::Running | State::Restarting) {
                return Err(still_running(&gone));
            }
            self.tell(&gone.reference(), generation, Phase::Stopped { exit_code: gone.exit_code });
        }
        if let Err(error) = docker.set_restart(&revived, "no") {
            tolerate_missing(error)?;
        }
        Ok(())
    }

    /// What this run itself started is removed right after its stop, so only old containers matter.
    fn revives(&self, container: &ContainerRef) -> bool {
        self.crew.before.get(&container.id).is_some_and(|before| before.restart.revives_stopped())
    }

    /// What the slowest of them is given, as far as is known.
    pub(super) fn grace(&self, containers: &[ContainerRef]) -> Duration {
        if let Some(seconds) = self.crew.stop_timeout {
            return u64::try_from(seconds).map_or(Duration::MAX, Duration::from_secs);
        }
        let known = |c: &ContainerRef| Some(self.crew.before.get(&c.id)?.grace);
        containers.iter().filter_map(known).max().unwrap_or(self.service.grace)
    }

    /// The last step: the new version serves, so what cannot be removed is left for the next run to clear.
    pub(super) fn remove(&mut self, containers: &[ContainerRef]) -> Result<(), Halt> {
        let going: Vec<_> = containers.iter().filter(|c| !self.kept.contains(c)).cloned().collect();
        self.retired.clear();
        if let Err(error) = self.remove_now(&going, Generation::Old) {
            self.warn(&format!("not every old container could be removed, they are stopped: {error}"));
        }
        Ok(())
    }

    pub(super) fn remove_now(
        &self,
        containers: &[ContainerRef],
        generation: Generation,
    ) -> Result<(), CallError> {
        if let Err(error) = self.crew.docker.remove(&ids(containers)) {
            tolerate_missing(error)?;
        }
        containers.iter().for_each(|container| self.tell(container, generation, Phase::Removed));
        Ok(())
    }

    /// Stops and removes new containers that are not wanted after all.
    pub(super) fn discard(&mut self, containers: &[ContainerRef]) -> Result<(), CallError> {
        if containers.is_empty() {
            return Ok(());
        }
        // A container may be in the proxy's pool before its gate has decided.
        if self.plan.means != Means::Unhealthy {
            self.leave_proxy(containers, Generation::New);
        }
        self.stop(containers, Generation::New)?;
        self.give_slots_back(true);
        self.remove_now(containers, Generation::New)
    }
}

/// Somebody removed a container by hand meanwhile: that is where it was going.
fn tolerate_missing(error: CallError) -> Result<(), CallError> {
    let missing = |line: &str| line.contains("No such container") || line.contains("is already in progress");
    match &error.problem {
        Problem::Failed { stderr, .. } if stderr.lines().all(missing) => Ok(()),
        _ => Err(error),
    }
}

fn still_running(container: &Container) -> CallError {
    CallError {
        call: format!("docker stop {}", container.name),
        problem: Problem::Garbage("the container still runs".to_owned()),
    }
}
