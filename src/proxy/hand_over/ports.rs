//! Ports of the engine's host that go from one service to another. What comes to them goes by way of a helper to the
//! containers that have them, waits from their stop on, and is served by those that get the ports.

use std::time::{Duration, Instant};

use super::{Hold, networks_of, running, wait};
use crate::{
    engine::{Network, Replica},
    helper::Help,
    proxy::Scene,
    stage::Halt,
};

pub struct HeldPorts {
    hold: Hold,
    leaving: Vec<Replica>,
    networks: Vec<Network>,
    since: Option<Instant>,
}

impl HeldPorts {
    /// What comes goes on to these, and is not counted there.
    ///
    /// # Errors
    /// Nothing can wait; nothing has changed.
    pub fn begin(leaving: &[Replica], help: &dyn Help, scene: &Scene) -> Result<HeldPorts, Halt> {
        let leaving = running(leaving);
        let networks = networks_of(&leaving, scene).unwrap_or_default();
        let mut hold = Hold::of(&leaving);
        if let Err(trouble) = hold.open_on_host(&networks, help) {
            hold.leave(Duration::ZERO, help);
            return Err(Halt::failed(format!("connections cannot be held: {trouble}"), None));
        }
        hold.overlook(true, help);
        Ok(HeldPorts { hold, leaving, networks, since: None })
    }

    /// What comes waits from now on, and what is under way comes to its end.
    ///
    /// # Errors
    /// Nothing can wait any more; whoever is to leave still serves.
    pub fn wait(&mut self, help: &dyn Help, scene: &Scene) -> Result<(), Halt> {
        self.since = Some(scene.waiter.clock.now());
        wait(&self.hold, &self.leaving, &self.networks, (help, scene))
    }

    /// Those who wait are served by these, and so is everybody else from now on. How long they have waited.
    pub fn end(mut self, next: &[Replica], help: &dyn Help, scene: &Scene) -> Option<Duration> {
        self.hold.overlook(false, help);
        self.networks.extend(networks_of(next, scene).unwrap_or_default());
        let led = self.hold.lead_to(next, &self.networks, help);
        let waited = self.since.map(|since| scene.waiter.clock.now().saturating_duration_since(since));
        if let Err(trouble) = &led {
            scene.reporter.warn(&format!("connections that wait cannot be passed on: {trouble}"));
        }
        let limit = scene.service.settings.drain_timeout;
        self.hold.leave(if next.is_empty() || led.is_err() { Duration::ZERO } else { limit }, help);
        waited
    }
}
