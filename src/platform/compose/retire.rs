//! Old containers on their way out: drained, stopped, and only at the very end removed. New ones that are not wanted
//! after all go the same way, at once.

use std::time::Duration;

use super::rollout::{Effect, Rollout, tolerate_missing};
use crate::{
    engine::{CallError, Container, Problem, Replica, ids},
    event::{Generation, Phase},
    execute::Journal,
    plan::Heir,
    proxy::Lease,
    stage::Halt,
};

impl Rollout<'_> {
    /// Lets old containers finish: new connections go to their heirs, their `pre_stop` hooks run side by side, then
    /// they leave the proxies.
    pub(super) fn drain(
        &mut self,
        containers: &[Replica],
        heirs: &[Heir],
        journal: &mut Journal<Effect>,
    ) -> Result<(), Halt> {
        let going = self.unspared(containers).to_vec();
        self.with_proxies(|proxies, scene| proxies.may_leave(&going, scene))?;
        // Whoever is told to go cannot come back at once.
        self.prove_again()?;
        let heirs = self.known_heirs(heirs, journal);
        let hooked = going.iter().filter(|replica| self.hooks().has_pre_stop(replica));
        let hooked = hooked.cloned().collect();
        let effect = journal.enter(Effect::Drain { leaving: going.clone(), hooked, leases: vec![] });
        let Effect::Drain { leases, .. } = effect else { return Ok(()) };
        leases.extend(self.with_proxies(|proxies, scene| proxies.steer(&going, &heirs, scene)));
        self.hooks().pre_stop(&going, Generation::Old);
        leases.extend(self.with_proxies(|proxies, scene| proxies.leave(&going, scene)));
        Ok(())
    }

    /// Who they are by now. In the place of one that was lost stands another new one.
    pub(super) fn known_heirs(&self, heirs: &[Heir], journal: &Journal<Effect>) -> Vec<Replica> {
        let new: Vec<_> = journal.effects().flat_map(Effect::made).collect();
        let known = |heir: &Heir| match heir {
            Heir::Kept(replica) => Some(replica.clone()),
            Heir::New(number) => {
                new.get((*number as usize - 1) % new.len().max(1)).map(|&replica| replica.clone())
            }
        };
        heirs.iter().filter_map(known).collect()
    }

    /// One old container stays for each new one that was lost under `failure_action: continue`.
    pub(super) fn unspared<'c>(&self, containers: &'c [Replica]) -> &'c [Replica] {
        &containers[..containers.len().saturating_sub(self.spared.count)]
    }

    pub(super) fn stop_old(
        &mut self,
        containers: &[Replica],
        journal: &mut Journal<Effect>,
    ) -> Result<(), Halt> {
        self.prove_again()?;
        let going = self.unspared(containers).to_vec();
        self.spared.kept.extend_from_slice(&containers[going.len()..]);
        self.spared.count -= containers.len() - going.len();
        // In this order: nobody is to wait for the turn of others.
        let turn = self.is_handed_over().then(|| self.take_turn()).flatten();
        let began = self.now();
        if self.plan.verdict.is_alone() {
            self.stopped = going.iter().filter(|replica| replica.runs()).cloned().collect();
            self.stand_by(&self.stopped, &going);
        } else if self.plan.passes_ports() {
            self.stand_by_beside_new(&going);
        }
        // Until now all goes on as before.
        self.with_proxies(|proxies, scene| proxies.wait(&going, scene))?;
        self.let_ports_wait()?;
        let drained = journal.effects_mut().rev().find_map(|effect| match effect {
            Effect::Drain { leases, .. } => Some(std::mem::take(leases)),
            _ => None,
        });
        // An undo must know of a stop that failed half way.
        let leases = drained.unwrap_or_default();
        let effect = journal.enter(Effect::Stop { stopped: going.clone(), cut_off: true, leases });
        let Effect::Stop { cut_off, leases, .. } = effect else { return Ok(()) };
        if self.is_held() {
            self.turn = turn;
        }
        self.down_since = self.plan.verdict.is_alone().then_some(began);
        self.stop(&going, Generation::Old, true, leases)?;
        *cut_off = false;
        self.with_leases(leases, |lease, scene| lease.stopped(scene))?;
        self.give_back(std::mem::take(leases), true);
        Ok(())
    }

    /// Stops containers so that an engine restart does not bring them back, unless they keep their restart `policy`.
    ///
    /// The restart policy goes after the stop, not before: a run that is killed in between must not leave a
    /// container that serves on without its policy, and a crash-looping one can only be updated once it is down
    /// (Engine 20.10: "cannot update a stopped container"). An engine that restarts in the instant between
    /// brings an old container back, which the next run retires again.
    pub(super) fn stop(
        &self,
        replicas: &[Replica],
        generation: Generation,
        take_policy: bool,
        leases: &mut [Box<dyn Lease>],
    ) -> Result<(), CallError> {
        if replicas.is_empty() {
            return Ok(());
        }
        let grace = self.grace(replicas);
        self.reporter().each(replicas, generation, &Phase::Stopping { grace });
        self.end_watched(replicas, grace, generation, leases)?;
        let revived = replicas.iter().filter(|c| take_policy && c.restart.revives_stopped());
        let revived: Vec<_> = revived.map(|replica| replica.id.clone()).collect();
        match self.engine().set_restart(&revived, "no").or_else(tolerate_missing) {
            Err(error) if !error.is_interrupted() => {
                self.warn(&format!("an engine restart would start the stopped containers again: {error}"));
                Ok(())
            }
            result => result,
        }
    }

    /// Stops them, and says of each when it has ended.
    fn end_watched(
        &self,
        replicas: &[Replica],
        grace: Duration,
        generation: Generation,
        leases: &mut [Box<dyn Lease>],
    ) -> Result<(), CallError> {
        let mut left = replicas.to_vec();
        let mut note = |readings: &[Container], leases: &mut [Box<dyn Lease>]| {
            for ended in readings.iter().filter(|c| !c.runs()) {
                let Some(at) = left.iter().position(|replica| replica.id == ended.id) else { continue };
                let replica = left.remove(at);
                self.with_proxies(|_, scene| {
                    leases.iter_mut().for_each(|lease| lease.ended(&replica, scene))
                });
                let stopped = Phase::Stopped { exit_code: ended.exit_code };
                self.reporter().container(&ended.reference(), generation, stopped);
            }
        };
        let engine = self.engine();
        if self.is_handed_over() {
            let stop = || engine.stop(&ids(replicas), self.compose.stop_timeout, grace);
            let look = || note(&engine.inspect(&ids(replicas)).unwrap_or_default(), leases);
            // What came of it is found out below.
            let _ = self.meanwhile(stop, look);
        }
        let readings = self.again(|| self.end(replicas, grace))?;
        note(&readings, leases);
        Ok(())
    }

    /// A call that broke off may have told them to end: made again, it waits for that.
    fn end(&self, replicas: &[Replica], grace: Duration) -> Result<Vec<Container>, CallError> {
        let engine = self.engine();
        engine.stop(&ids(replicas), self.compose.stop_timeout, grace).or_else(tolerate_missing)?;
        let readings = engine.inspect(&ids(replicas))?;
        match readings.iter().find(|c| c.runs()) {
            Some(container) => Err(CallError {
                call: format!("docker stop {}", container.name),
                problem: Problem::Garbage("the container still runs".to_owned()),
            }),
            None => Ok(readings),
        }
    }

    /// Stops and removes new containers that are not wanted after all.
    pub(super) fn discard(&mut self, replicas: &[Replica]) -> Result<(), CallError> {
        self.end_new(replicas)?;
        self.again(|| self.remove_now(replicas, Generation::New))
    }

    pub(super) fn end_new(&mut self, replicas: &[Replica]) -> Result<(), CallError> {
        if replicas.is_empty() {
            return Ok(());
        }
        let heirs = self.survivors(replicas);
        let mut leases = self.with_proxies(|proxies, scene| proxies.steer(replicas, &heirs, scene));
        leases.extend(self.with_proxies(|proxies, scene| proxies.take_out(replicas, scene)));
        if replicas.iter().any(|replica| self.hooks().has_pre_stop(replica)) {
            let readings = self.engine().inspect(&ids(replicas))?;
            let healthy = readings.iter().filter(|c| c.health.is_some() && c.serves());
            let healthy: Vec<_> = healthy.map(Replica::from).collect();
            self.hooks().pre_stop(&healthy, Generation::New);
            leases.extend(self.with_proxies(|proxies, scene| proxies.let_go(&healthy, scene)));
        }
        let turn = self.is_handed_over().then(|| self.take_turn()).flatten();
        self.stop(replicas, Generation::New, false, &mut leases)?;
        // Whoever goes on asking is not to be helped: they are not wanted.
        let _ = self.with_leases(&mut leases, |lease, scene| lease.stopped(scene));
        self.give_back(leases, true);
        if self.with_proxies(|proxies, _| proxies.keeps_addresses()) {
            // Nobody else gets such an address before the old ones run again.
            self.turn = self.turn.take().or(turn);
        }
        Ok(())
    }

    /// Old containers that serve, one for each of these.
    fn survivors(&self, leaving: &[Replica]) -> Vec<Replica> {
        if !self.is_handed_over() {
            return vec![];
        }
        let now = self.again(|| self.engine().inspect(&ids(&self.plan.before))).unwrap_or_default();
        let serving: Vec<_> = now.iter().filter(|c| c.serves()).map(Replica::from).collect();
        serving.into_iter().cycle().take(leaving.len()).collect()
    }
}
