//! What is left to do for a service should this program be killed when nothing of it runs.

use std::time::Duration;

use super::rollout::Rollout;
use crate::engine::{Container, Order, Replica, State, ids};

/// `stop_grace_period` may be anything.
const LONGEST: Duration = Duration::from_secs(600);

impl Rollout<'_> {
    /// From now on these are started, when those have ended.
    pub(super) fn stand_by(&self, start: &[Replica], after: &[Replica]) {
        self.tell_watchdog(self.order(start, after));
    }

    /// The same beside the new ones: nobody else has the ports yet that these had.
    pub(super) fn stand_by_beside_new(&self, old: &[Replica]) {
        let order = self.order(old, old);
        self.tell_watchdog(Order { replicas: order.replicas + old.len(), ..order });
    }

    /// The same where Compose is about to put others in their place.
    pub(super) fn stand_by_beside_compose(&self, old: &[Replica]) {
        self.tell_watchdog(Order { by_compose: true, ..self.order(old, old) });
    }

    fn tell_watchdog(&self, order: Order) {
        self.engine().stand_by(&self.plan.service, Some(order));
    }

    fn order(&self, start: &[Replica], after: &[Replica]) -> Order {
        let otherwise: Vec<_> = self.stopped.iter().filter(|old| !start.contains(old)).cloned().collect();
        let all = start.iter().chain(&otherwise).filter(|replica| replica.restart.revives_stopped());
        Order {
            policies: all.map(|replica| (replica.id.clone(), replica.restart.flag())).collect(),
            start: ids(start),
            otherwise: ids(&otherwise),
            after: ids(after),
            within: self.grace(after).min(LONGEST).as_secs(),
            replicas: self.plan.replicas as usize,
            by_compose: false,
        }
    }

    /// Whatever runs now, nothing is left to do.
    pub(super) fn stand_down(&self) {
        self.engine().stand_by(&self.plan.service, None);
    }
}

/// What an order comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// One that has to end before still runs.
    Wait,
    /// IDs of containers.
    Start(Vec<String>),
    Nothing,
}

/// What is to be done now, with these containers of the service.
pub fn next(order: &Order, found: &[Container]) -> Next {
    let running = || found.iter().filter(|c| c.is_up());
    if running().any(|c| order.after.contains(&c.id)) {
        return Next::Wait;
    }
    if running().count() >= order.replicas.max(1) {
        return Next::Nothing;
    }
    let ready: Vec<_> = found.iter().filter(|c| matches!(c.state, State::Created | State::Exited)).collect();
    let among = |wanted: &[String]| {
        let ids = ready.iter().filter(|c| wanted.contains(&c.id)).map(|c| c.id.clone());
        Some(ids.collect::<Vec<_>>()).filter(|ids| !ids.is_empty())
    };
    // Compose has removed them, and was to start what it has put in their place.
    let newest =
        || ready.iter().filter(|_| order.by_compose).max_by_key(|c| c.number).map(|c| vec![c.id.clone()]);
    let chosen = among(&order.start).or_else(|| among(&order.otherwise)).or_else(newest);
    chosen.map_or(Next::Nothing, Next::Start)
}
