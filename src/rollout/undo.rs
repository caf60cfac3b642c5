//! The way back: what served before serves again, and nothing of this run is left.

use std::fmt::Display;

use super::service::{Halt, Run, ids};
use crate::{
    event::{ContainerRef, Generation, Outcome, Phase},
    model::settings::Order,
};

impl Run<'_> {
    /// Starts the stopped old containers again, waits for them, and only then removes the new ones. Under
    /// `order: stop-first` the two may not run at once, so there the new ones go first.
    ///
    /// # Errors
    /// What could not be done, in words; a person must look.
    pub(super) fn undo(&mut self) -> Result<(), String> {
        let made = self.made().map_err(text)?;
        let revived = std::mem::take(&mut self.revived);
        if !revived.is_empty() {
            self.stop(&revived, Generation::New).map_err(text)?;
        }
        if self.service.settings.order == Order::StopFirst {
            self.discard(&made).map_err(text)?;
            return self.restore();
        }
        self.restore()?;
        self.discard(&made).map_err(text)
    }

    fn restore(&mut self) -> Result<(), String> {
        if self.retired.is_empty() {
            return Ok(());
        }
        let docker = self.crew.docker;
        for retired in self.retired.iter().filter(|retired| retired.restart.revives_stopped()) {
            docker
                .set_restart(std::slice::from_ref(&retired.container.id), &retired.restart.flag())
                .map_err(text)?;
        }
        let old: Vec<ContainerRef> = self.retired.iter().map(|retired| retired.container.clone()).collect();
        docker.start(&ids(&old)).map_err(text)?;
        old.iter().for_each(|container| self.tell(container, Generation::Old, Phase::Restoring));
        match self.watch(&old, Generation::Old, &self.gate()) {
            Ok(None) => {}
            Ok(Some(failure)) | Err(Halt::Failed(failure)) => return Err(name_failure(failure)),
            Err(Halt::Interrupted) => return Err("interrupted".to_owned()),
        }
        old.iter().for_each(|container| self.tell(container, Generation::Old, Phase::Restored));
        self.retired.clear();
        Ok(())
    }

    /// After an interrupt: the batch that has not begun to drain is taken back, earlier ones stay done.
    ///
    /// Under `order: stop-first` a batch has stopped its old containers before it starts the new ones, so there
    /// only the whole way back leaves enough of them.
    pub(super) fn give_way(&mut self) -> Outcome {
        if self.service.settings.order == Order::StopFirst {
            return match self.undo() {
                Ok(()) => Outcome::Interrupted,
                Err(reason) => {
                    self.warn(&format!("the undo failed: {reason}"));
                    Outcome::UndoFailed
                }
            };
        }
        let unproven = match self.started.last_key_value() {
            Some((batch, new)) if !self.drained(*batch) => new.clone(),
            _ => vec![],
        };
        let revived = std::mem::take(&mut self.revived);
        let unproven: Vec<_> = unproven.into_iter().filter(|c| !revived.contains(c)).collect();
        let old: Vec<_> = self.retired.drain(..).map(|retired| retired.container).collect();
        let stopped = if revived.is_empty() { Ok(()) } else { self.stop(&revived, Generation::New) };
        let result = stopped.and_then(|()| self.discard(&unproven)).and_then(|()| match old.is_empty() {
            true => Ok(()),
            false => self.remove_now(&old, Generation::Old),
        });
        match result {
            Ok(()) => Outcome::Interrupted,
            Err(error) => {
                self.warn(&format!("cleaning up failed: {error}"));
                Outcome::UndoFailed
            }
        }
    }

    /// Whether this batch's old containers were stopped, or it had none.
    fn drained(&self, batch: u32) -> bool {
        self.stopped_batches.contains(&batch)
    }
}

fn name_failure(failure: crate::event::Failure) -> String {
    match failure.container {
        Some(container) => format!("{} {}", container.name, failure.reason),
        None => failure.reason,
    }
}

fn text(error: impl Display) -> String {
    error.to_string()
}
