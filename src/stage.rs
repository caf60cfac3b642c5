//! What every rollout of a run has in common: the waiter, who hears of it, and why one stops before its end.

use std::time::{Duration, Instant};

use crate::{
    engine::{CallError, ContainerRef, Replica},
    event::{Event, Failure, Generation, Phase, Sink},
    wait::{Ended, Waiter},
};

/// What a run works with.
pub struct Stage<'a> {
    pub waiter: Waiter,
    pub sink: &'a dyn Sink,
    pub began: Instant,
    /// How long the new version serves alone before the old containers are removed.
    pub watch_alone: Duration,
}

impl Stage<'_> {
    pub fn emit(&self, event: Event) {
        self.sink.on(self.waiter.clock.now().saturating_duration_since(self.began), &event);
    }

    pub fn reporter<'s>(&'s self, service: &'s str) -> Reporter<'s> {
        Reporter { stage: self, service }
    }
}

/// Says what happens to one service.
#[derive(Clone, Copy)]
pub struct Reporter<'a> {
    stage: &'a Stage<'a>,
    pub service: &'a str,
}

impl Reporter<'_> {
    pub fn emit(&self, event: Event) {
        self.stage.emit(event);
    }

    pub fn container(&self, container: &ContainerRef, generation: Generation, phase: Phase) {
        let (service, container) = (self.service.to_owned(), container.clone());
        self.emit(Event::Container { service, container, generation, phase });
    }

    pub fn each(&self, replicas: &[Replica], generation: Generation, phase: &Phase) {
        for replica in replicas {
            self.container(&replica.reference(), generation, phase.clone());
        }
    }

    pub fn warn(&self, message: &str) {
        self.emit(Event::Warning { service: Some(self.service.to_owned()), message: message.to_owned() });
    }
}

/// Why the operations stopped before their end.
#[derive(Clone, Debug, PartialEq)]
pub enum Halt {
    Failed(Box<Failure>),
    Interrupted,
}

impl Halt {
    pub fn failed(reason: String, container: Option<ContainerRef>) -> Halt {
        Halt::from(Failure { reason, container, ..Failure::default() })
    }

    /// With the names of these containers where a message of the engine has their IDs.
    pub fn naming(mut self, containers: &[Replica]) -> Halt {
        if let Halt::Failed(failure) = &mut self {
            let named = |text: String, c: &Replica| text.replace(&c.id, &c.name);
            failure.reason = containers.iter().fold(std::mem::take(&mut failure.reason), named);
        }
        self
    }

    /// What a wait for time to pass comes to.
    pub fn unless_over(ended: Ended<()>) -> Result<(), Halt> {
        match ended {
            Ended::Done(()) | Ended::Deadline => Ok(()),
            Ended::Interrupted => Err(Halt::Interrupted),
            Ended::Alarm(reason) => Err(Halt::failed(reason, None)),
        }
    }
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Halt {
        Halt::Failed(Box::new(failure))
    }
}

impl From<CallError> for Halt {
    fn from(error: CallError) -> Halt {
        if error.is_interrupted() {
            return Halt::Interrupted;
        }
        let reason = error.to_string();
        Halt::from(Failure { reason, command: Some(error.call), ..Failure::default() })
    }
}
