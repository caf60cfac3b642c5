//! The probe's alarm in the course of a rollout, and the time in which it may still be heeded.

use std::time::{Duration, Instant};

use super::{
    service::{Halt, Run},
    start::failure,
};
use crate::event::{Event, Generation};

/// So often is looked without news of the engine.
pub(super) const LOOK: Duration = Duration::from_secs(1);

impl Run<'_> {
    /// # Errors
    /// The probe has seen too much.
    pub(super) fn heed_alarm(&self) -> Result<(), Halt> {
        match self.crew.watch.alarm() {
            Some(reason) => Err(failure(reason.to_owned(), None)),
            None => Ok(()),
        }
    }

    /// Whether it is no use to wait any longer for a container to drain: the user interrupted twice, or the old ones
    /// are needed again, because of the probe's alarm or a new container that died after its gate. That is looked
    /// for once a second; `looked` is when it was last.
    pub(super) fn in_vain(&self, generation: Generation, looked: &mut Instant) -> bool {
        if self.abandoned() || generation == Generation::New {
            return self.abandoned();
        }
        let due = looked.elapsed() >= LOOK && self.proven.is_some();
        if due {
            *looked = Instant::now();
        }
        self.crew.watch.alarm().is_some() || due && matches!(self.fallen(), Ok(Some(_)))
    }

    /// Whether to wait no longer for a proxy to take containers in: old ones on the way back are waited for in spite
    /// of the alarm and the interrupt that led there.
    pub(super) fn gives_up(&self, generation: Generation) -> bool {
        match generation {
            Generation::New => self.crew.interrupt.requested() || self.crew.watch.alarm().is_some(),
            Generation::Old => self.abandoned(),
        }
    }

    /// Lets the new version serve alone for a while: once the old containers are removed there is no way back.
    pub(super) fn observe(&self) -> Result<(), Halt> {
        let time = self.crew.watch.after;
        if time.is_zero() || self.crew.interrupt.requested() {
            return self.heed_alarm();
        }
        self.crew.emit(Event::Observing { service: self.plan.service.clone(), time });
        let end = Instant::now() + time;
        loop {
            let heard = self.crew.bell.heard();
            self.heed_alarm()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || self.crew.interrupt.requested() {
                return Ok(());
            }
            self.crew.bell.wait(heard, left);
        }
    }

    /// Sleeps in a drain, unless that is in vain.
    pub(super) fn linger(&self, time: Duration, generation: Generation) {
        let end = Instant::now().checked_add(time);
        let mut looked = Instant::now();
        loop {
            let heard = self.crew.bell.heard();
            let left = end.map_or(time, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() || self.in_vain(generation, &mut looked) {
                return;
            }
            self.crew.bell.wait(heard, left.min(LOOK));
        }
    }
}
