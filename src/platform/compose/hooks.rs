//! Lifecycle hooks, as Compose runs them, or as it should.

use std::thread;

use super::rollout::{Rollout, tolerate_missing};
use crate::{
    engine::{CallError, ContainerRef, Engine, HookRun, Problem, Replica, config::Hook},
    event::{Event, Failure, Generation, Phase},
    project::{PRE_STOP_LABEL, Service},
    proxy::labels::follower,
    stage::{Halt, Reporter},
    text::join,
};

/// Those that run inside containers of a service.
pub(super) struct Hooks<'a> {
    engine: &'a dyn Engine,
    service: &'a Service,
    reporter: Reporter<'a>,
}

impl Hooks<'_> {
    pub fn has_pre_stop(&self, replica: &Replica) -> bool {
        !self.pre_stop_of(replica).is_empty()
    }

    /// The file's hooks, then the one in the label that users of docker-rollout write.
    fn pre_stop_of(&self, replica: &Replica) -> Vec<Hook> {
        let mut hooks = self.service.hooks.pre_stop.clone();
        hooks.extend(replica.labels.get(PRE_STOP_LABEL).map(|command| Hook {
            command: ["sh", "-c", command.as_str()].map(str::to_owned).into(),
            ..Hook::default()
        }));
        hooks
    }

    /// Side by side, one container's in order.
    pub fn pre_stop(&self, replicas: &[Replica], generation: Generation) {
        thread::scope(|scope| {
            for replica in replicas {
                scope.spawn(|| self.pre_stop_in(replica, generation));
            }
        });
    }

    /// A failing hook is reported and does not keep the container: it is going anyway.
    fn pre_stop_in(&self, replica: &Replica, generation: Generation) {
        let hooks = self.pre_stop_of(replica);
        if hooks.is_empty() {
            return;
        }
        let container = replica.reference();
        let draining = Phase::Draining { how: "pre_stop".to_owned() };
        self.reporter.container(&container, generation, draining);
        let limit = self.service.settings.drain_timeout;
        for hook in &hooks {
            let run = || self.engine.exec_hook(&replica.id, hook, Some(limit));
            if self.reported("pre_stop", Some(&container), run).is_err() {
                return;
            }
        }
        self.reporter.container(&container, generation, Phase::Drained { note: None });
    }

    /// As Compose runs them: right after the start, in order, the first failure ends it.
    pub fn post_start(&self, new: &[Replica]) -> Result<(), Halt> {
        for replica in new {
            for hook in &self.service.hooks.post_start {
                let container = replica.reference();
                let run = || self.engine.exec_hook(&replica.id, hook, None);
                let result = self.reported("post_start", Some(&container), run);
                result.map_err(|error| failure("post_start", error, Some(container.clone())))?;
            }
        }
        Ok(())
    }

    /// Runs one between the two events that report it.
    fn reported(
        &self,
        hook: &str,
        container: Option<&ContainerRef>,
        run: impl FnOnce() -> Result<(), CallError>,
    ) -> Result<(), CallError> {
        let (service, hook, container) = (self.service.name.clone(), hook.to_owned(), container.cloned());
        self.reporter.emit(Event::HookBegin {
            service: service.clone(),
            container: container.clone(),
            hook: hook.clone(),
        });
        let result = run();
        let error = result.as_ref().err().map(|error| error.problem.said());
        self.reporter.emit(Event::Hook { service, container, hook, error });
        result
    }
}

impl Rollout<'_> {
    pub(super) fn hooks(&self) -> Hooks<'_> {
        Hooks { engine: self.engine(), service: self.service(), reporter: self.reporter() }
    }

    /// Compose does not run `pre_start` beside a running replica (5.6.1), so zdd does: once, before any
    /// container of the new version is started.
    pub(super) fn pre_start(&mut self) -> Result<(), Halt> {
        self.await_earlier_hooks()?;
        let service = self.service();
        for (number, hook) in service.hooks.pre_start.iter().enumerate() {
            let strip_service =
                service.has_post_start() || service.image.pull_policy.is_some() || self.is_found_by_a_proxy();
            let run = HookRun { service: &service.name, number, hook, strip_service };
            if let Err(error) = self.hooks().reported("pre_start", None, || self.engine().run_hook(&run)) {
                self.note_cut_off(&error);
                return Err(failure("pre_start", error, None));
            }
        }
        Ok(())
    }

    /// A one-off would get requests as well.
    fn is_found_by_a_proxy(&self) -> bool {
        let raw = self.compose.project.file.services.get(&self.plan.service);
        raw.is_some_and(|raw| follower(&self.service().labels, raw.variables()).is_some())
    }

    /// That of a run that was killed, or interrupted, goes on; two migrations at once are never meant.
    fn await_earlier_hooks(&mut self) -> Result<(), Halt> {
        let earlier = self.engine().running_hooks(&self.plan.service)?;
        if earlier.is_empty() {
            return Ok(());
        }
        let names = join(&earlier.iter().map(|one_off| one_off.name.as_str()).collect::<Vec<_>>());
        self.warn(&format!("waiting for the pre_start hook of an earlier run to end: {names}"));
        self.engine().await_hooks(&ids_of(&earlier), false).or_else(tolerate_missing).map_err(|error| {
            if error.is_interrupted() {
                self.findings.hooks_left = earlier;
            }
            match error.problem {
                Problem::Deadline(_) => Halt::failed(
                    format!("the pre_start hook of an earlier run does not end: {names} still runs"),
                    None,
                ),
                _ => error.into(),
            }
        })
    }

    /// Compose ends as soon as it is asked to, whether the one-off does or not.
    fn note_cut_off(&mut self, error: &CallError) {
        if !matches!(error.problem, Problem::Interrupted | Problem::Deadline(_)) {
            return;
        }
        let running = self.engine().running_hooks(&self.plan.service).unwrap_or_default();
        if !running.is_empty() && self.engine().await_hooks(&ids_of(&running), true).is_err() {
            self.findings.hooks_left = self.engine().running_hooks(&self.plan.service).unwrap_or(running);
        }
    }
}

fn ids_of(containers: &[ContainerRef]) -> Vec<String> {
    containers.iter().map(|container| container.id.clone()).collect()
}

fn failure(kind: &str, error: CallError, container: Option<ContainerRef>) -> Halt {
    if error.is_interrupted() {
        return Halt::Interrupted;
    }
    let said = error.problem.said();
    let reason = match container {
        Some(_) => format!("failed its {kind} hook: {said}"),
        None => format!("its {kind} hook failed: {said}"),
    };
    Halt::from(Failure { reason, container, command: Some(error.call), ..Failure::default() })
}
