//! Connections of a service that must be alone: a helper passes them on, lets them wait from the stop of the old container
//! on, and passes them on to the new one.

use super::rollout::{Effect, Rollout};
use crate::{
    engine::{Replica, ids},
    execute::Journal,
    stage::Halt,
};

impl Rollout<'_> {
    pub(super) fn hold(&mut self, old: &[Replica], journal: &mut Journal<Effect>) -> Result<(), Halt> {
        journal.enter(Effect::Hold);
        // What stands in for them takes addresses of its own.
        let _turn = self.take_turn();
        self.with_proxies(|proxies, scene| proxies.hold(old, scene))
    }

    /// Without a healthcheck nobody knows when they are ready; those who wait find out.
    pub(super) fn try_out(&self, new: &[Replica]) {
        let now = self.again(|| self.engine().inspect(&ids(new))).unwrap_or_default();
        let unchecked: Vec<_> = now.iter().filter(|c| c.health.is_none()).map(Replica::from).collect();
        self.with_proxies(|proxies, scene| proxies.try_out(&unchecked, scene));
    }

    /// Where no address is kept any more others may start.
    pub(super) fn let_others_start(&mut self) {
        if !self.with_proxies(|proxies, _| proxies.keeps_addresses()) {
            self.turn = None;
        }
    }

    pub(super) fn release(&mut self, batch: u32, journal: &mut Journal<Effect>) -> Result<(), Halt> {
        let made = Effect::made_of(batch, journal);
        let made = self.again(|| self.engine().inspect(&ids(&made)))?;
        let next: Vec<_> = made.iter().map(Replica::from).collect();
        journal.enter(Effect::Release { next: next.clone() });
        let down_since = self.down_since.take();
        let time = down_since.map(|since| self.now().saturating_duration_since(since));
        self.findings.is_held = time.is_some_and(|time| time <= self.plan.settings().hand_over.hold);
        self.findings.downtime = time.map(|time| self.findings.downtime.unwrap_or(time).min(time));
        self.release_to(&next)
    }

    fn release_to(&mut self, next: &[Replica]) -> Result<(), Halt> {
        // Those who wait do not wait for the turns of others as well: until this one's they are passed on.
        self.with_proxies(|proxies, scene| proxies.try_out(next, scene));
        let _turn = self.turn.take().or_else(|| Some(self.compose.turn()));
        let mut leases = self.with_proxies(|proxies, scene| proxies.release(next, scene));
        let quiet = self.with_leases(&mut leases, |lease, scene| lease.stopped(scene));
        self.give_back(leases, true);
        quiet
    }

    /// In a rollback: the old ones run again, or have gone on; where there are none, whatever there is.
    pub(super) fn release_to_who_runs(&mut self) {
        let mut now = self.again(|| self.engine().containers(Some(&self.plan.service))).unwrap_or_default();
        now.sort_by_key(|c| !c.serves());
        let next: Vec<_> = now.iter().filter(|c| c.runs()).map(Replica::from).collect();
        // Whoever goes on asking for a dead address is served by nobody, and that is said.
        if let Err(Halt::Failed(failure)) = self.release_to(&next) {
            self.warn(&failure.sentence());
        }
    }

    /// In a rollback: before the new ones stop.
    pub(super) fn hold_again(&mut self, new: &[Replica]) {
        let held = {
            let _turn = self.take_turn();
            self.with_proxies(|proxies, scene| proxies.hold(new, scene))
        };
        match held {
            Err(Halt::Failed(failure)) => self.warn(&failure.sentence()),
            _ => {
                self.with_proxies(|proxies, scene| proxies.steer(new, &[], scene));
                self.let_wait(new);
            }
        }
    }

    /// In a rollback, whatever comes of it.
    pub(super) fn let_wait(&mut self, new: &[Replica]) {
        if let Err(Halt::Failed(failure)) = self.with_proxies(|proxies, scene| proxies.wait(new, scene)) {
            self.warn(&failure.sentence());
        }
    }
}
