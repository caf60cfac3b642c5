//! Old containers on their way out: drained, stopped, and only at the very end removed.

use std::{thread, time::Duration};

use super::service::{Halt, Retired, Run, ids};
use crate::{
    docker::{CallError, Problem},
    event::{ContainerRef, Generation, Phase},
    model::{Hook, PRE_STOP_LABEL},
    observed::{Container, RestartPolicy, State},
    plan::Means,
};

impl Run<'_> {
    /// Lets old containers finish: their `pre_stop` hooks run side by side.
    pub(super) fn drain(&mut self, batch: u32, containers: &[ContainerRef]) -> Result<(), Halt> {
        let containers = self.spared(containers).to_vec();
        self.wait_for_another_server(&containers)?;
        // Whoever is told to go cannot come back at once.
        self.prove_again()?;
        self.stopped_batches.insert(batch);
        let told = containers.iter().filter(|c| !self.pre_stop_hooks(c).is_empty());
        let told: Vec<_> = told.map(|c| c.id.clone()).collect();
        self.told.extend(told);
        self.drained.clone_from(&containers);
        thread::scope(|scope| {
            for container in &containers {
                scope.spawn(|| self.pre_stop(container, Generation::Old));
            }
        });
        self.leave_proxy(&containers, Generation::Old);
        Ok(())
    }

    /// The file's hooks, then the one in the label that users of docker-rollout write.
    fn pre_stop_hooks(&self, container: &ContainerRef) -> Vec<Hook> {
        let mut hooks = self.service.hooks.pre_stop.clone();
        let labels = self.crew.before.get(&container.id).map_or(&self.service.labels, |c| &c.labels);
        hooks.extend(labels.get(PRE_STOP_LABEL).map(|command| Hook {
            command: ["sh", "-c", command.as_str()].map(str::to_owned).into(),
            ..Hook::default()
        }));
        hooks
    }

    /// A failing hook is reported and does not keep the container: it is going anyway.
    fn pre_stop(&self, container: &ContainerRef, generation: Generation) {
        let hooks = self.pre_stop_hooks(container);
        if hooks.is_empty() {
            return;
        }
        self.tell(container, generation, Phase::Draining { how: "pre_stop".to_owned() });
        let limit = self.service.settings.drain_timeout;
        for hook in &hooks {
            let run = || self.crew.docker.exec_hook(&container.id, hook, limit);
            if self.with_hook("pre_stop", Some(container), run).is_err() {
                return;
            }
        }
        self.tell(container, generation, Phase::Drained { note: None });
    }

    /// One old container stays for each new one that was lost under `failure_action: continue`.
    fn spared<'c>(&self, containers: &'c [ContainerRef]) -> &'c [ContainerRef] {
        &containers[..containers.len().saturating_sub(self.keep)]
    }

    pub(super) fn stop_old(&mut self, batch: u32, containers: &[ContainerRef]) -> Result<(), Halt> {
        self.prove_again()?;
        let going = self.spared(containers).to_vec();
        self.kept.extend_from_slice(&containers[going.len()..]);
        self.keep -= containers.len() - going.len();
        let policy = |container: &ContainerRef| Some(self.crew.before.get(&container.id)?.restart.clone());
        let retired: Vec<_> = going
            .iter()
            .map(|container| Retired {
                batch,
                container: container.clone(),
                restart: policy(container).unwrap_or(RestartPolicy { name: "no".to_owned(), max_retries: 0 }),
            })
            .collect();
        // Remembered before it happens: an undo must know of a stop that failed half way.
        self.retired.extend(retired);
        self.drained.clear();
        if let Err(error) = self.stop(&going, Generation::Old) {
            self.ending = going;
            return Err(error.into());
        }
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
        for gone in self.again(|| self.end(containers, grace))? {
            self.tell(&gone.reference(), generation, Phase::Stopped { exit_code: gone.exit_code });
        }
        match docker.set_restart(&revived, "no").or_else(tolerate_missing) {
            Err(error) if !error.is_interrupted() => {
                self.warn(&format!("an engine restart would start the stopped containers again: {error}"));
                Ok(())
            }
            result => result,
        }
    }

    /// A call that broke off may have told them to end: made again, it waits for that.
    fn end(&self, containers: &[ContainerRef], grace: Duration) -> Result<Vec<Container>, CallError> {
        let docker = self.crew.docker;
        docker.stop(&ids(containers), self.crew.stop_timeout, grace).or_else(tolerate_missing)?;
        let readings = docker.inspect(&ids(containers))?;
        match readings.iter().find(|c| matches!(c.state, State::Running | State::Restarting)) {
            Some(container) => Err(still_running(container)),
            None => Ok(readings),
        }
    }

    /// What this run itself started is removed right after its stop, so only old containers matter.
    /// Those that Compose has revived were stopped with their policy before, and keep it.
    fn revives(&self, container: &ContainerRef) -> bool {
        if self.revived.contains(container) {
            return false;
        }
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
        self.take_out(containers)?;
        self.stop(containers, Generation::New)?;
        self.give_slots_back(true);
        self.again(|| self.remove_now(containers, Generation::New))
    }

    /// New containers leave the proxy as old ones do: one may be in its pool before its gate has decided.
    fn take_out(&mut self, containers: &[ContainerRef]) -> Result<(), CallError> {
        if matches!(self.plan.means, Means::Haproxy { .. }) {
            self.leave_proxy(containers, Generation::New);
        }
        if containers.iter().all(|c| self.pre_stop_hooks(c).is_empty()) {
            return Ok(());
        }
        let readings = self.crew.docker.inspect(&ids(containers))?;
        let healthy = readings.iter().filter(|c| c.health.is_some() && c.serves());
        let healthy: Vec<_> = healthy.map(Container::reference).collect();
        thread::scope(|scope| {
            for container in &healthy {
                scope.spawn(|| self.pre_stop(container, Generation::New));
            }
        });
        if !matches!(self.plan.means, Means::Haproxy { .. }) {
            self.leave_proxy(&healthy, Generation::New);
        }
        Ok(())
    }
}

/// Somebody removed a container by hand meanwhile: that is where it was going.
pub(super) fn tolerate_missing(error: CallError) -> Result<(), CallError> {
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
