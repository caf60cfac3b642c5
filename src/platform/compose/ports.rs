//! Ports of the host that go to another service: connections to them wait until that one serves.

use super::rollout::{Effect, Rollout};
use crate::{engine::Replica, execute::Journal, proxy::HeldPorts, stage::Halt};

impl Rollout<'_> {
    pub(super) fn hold_ports(
        &mut self,
        old: &[Replica],
        to: &str,
        journal: &mut Journal<Effect>,
    ) -> Result<(), Halt> {
        let Some(help) = self.compose.help else { return Ok(()) };
        journal.enter(Effect::HoldPorts { to: to.to_owned() });
        let held = self.with_proxies(|_, scene| HeldPorts::begin(old, help, scene))?;
        self.ports.insert(to.to_owned(), held);
        Ok(())
    }

    /// From the stop on.
    pub(super) fn let_ports_wait(&mut self) -> Result<(), Halt> {
        let Some(help) = self.compose.help else { return Ok(()) };
        let mut ports = std::mem::take(&mut self.ports);
        let waiting =
            self.with_proxies(|_, scene| ports.values_mut().try_for_each(|held| held.wait(help, scene)));
        self.ports = ports;
        waiting
    }

    /// It serves there, and those who wait are served by it.
    pub(super) fn pass_ports(
        &mut self,
        to: &str,
        ports: &[String],
        journal: &mut Journal<Effect>,
    ) -> Result<(), Halt> {
        journal.enter(Effect::PassPorts { to: to.to_owned(), ports: ports.to_vec() });
        let mut now = self.again(|| self.engine().containers(Some(to))).unwrap_or_default();
        now.retain(|container| container.runs());
        now.sort_by_key(|container| !container.serves());
        self.end_ports(to, &Vec::from_iter(now.iter().map(Replica::from)));
        self.stand_down();
        Ok(())
    }

    /// They lead to the old ones again, which run.
    pub(super) fn let_ports_go(&mut self, to: &str) {
        let old = self.again(|| self.engine().containers(Some(&self.plan.service))).unwrap_or_default();
        let old: Vec<_> =
            old.iter().filter(|c| c.runs() && !c.published.is_empty()).map(Replica::from).collect();
        self.end_ports(to, &old);
    }

    fn end_ports(&mut self, to: &str, next: &[Replica]) {
        let Some((held, help)) = self.ports.remove(to).zip(self.compose.help) else { return };
        if let Some(waited) = self.with_proxies(|_, scene| held.end(next, help, scene)) {
            let is_held = self.findings.downtime.is_none() || self.findings.is_held;
            self.findings.downtime = self.findings.downtime.max(Some(waited));
            self.findings.is_held = is_held && waited <= self.plan.settings().hand_over.hold;
        }
    }
}

/// Why the old ones do not start again.
pub(super) fn lost_to(to: &str, ports: &[String]) -> String {
    format!(
        "{to} has their host port by now ({}), so the old containers cannot start again",
        ports.join(", ")
    )
}
