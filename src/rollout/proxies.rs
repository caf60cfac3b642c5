//! Which containers run HAProxy: others, perhaps, than when the plan was made.

use std::collections::BTreeSet;

use super::service::Run;
use crate::{
    docker::{CallError, Problem},
    event::ContainerRef,
    observed::{Container, State},
    plan::Means,
};

impl Run<'_> {
    /// Looks for them again where their service was before this one in the plan.
    pub(super) fn follow_proxies(&mut self) {
        if self.services_of_proxies().iter().any(|name| self.plan.after.contains(name)) {
            self.find_proxies();
        }
    }

    /// Does something with each of them, and where one is gone with what has taken its place. Returns what failed.
    pub(super) fn each_proxy(
        &mut self,
        mut deed: impl FnMut(&mut Self, &ContainerRef) -> Result<(), CallError>,
    ) -> Vec<(ContainerRef, CallError)> {
        let (mut asked, mut failed) = (Vec::new(), Vec::new());
        while let Some(proxy) = self.proxies.iter().find(|proxy| !asked.contains(*proxy)).cloned() {
            asked.push(proxy.clone());
            if let Err(error) = deed(self, &proxy)
                && !(is_gone(&error) && self.is_replaced(&proxy))
            {
                failed.push((proxy, error));
            }
        }
        failed
    }

    /// It ran when the plan was made.
    pub(super) fn is_planned(&self, proxy: &ContainerRef) -> bool {
        planned(&self.plan.means).contains(proxy)
    }

    fn is_replaced(&mut self, gone: &ContainerRef) -> bool {
        self.find_proxies();
        !self.proxies.contains(gone)
    }

    /// Where none is found those that were known stay: whoever asks them hears why.
    fn find_proxies(&mut self) {
        let services = self.services_of_proxies();
        let found: Result<Vec<_>, _> =
            services.iter().map(|name| self.crew.docker.containers(Some(name))).collect();
        let running = found.into_iter().flatten().flatten().filter(|c| c.state == State::Running);
        let running: Vec<_> = running.map(|container| Container::reference(&container)).collect();
        if !running.is_empty() {
            self.proxies = running;
        }
    }

    fn services_of_proxies(&self) -> BTreeSet<String> {
        let known = planned(&self.plan.means).iter().filter_map(|proxy| self.crew.before.get(&proxy.id));
        known.map(|container| container.service.clone()).collect()
    }
}

/// The containers of HAProxy that the plan has.
pub(super) fn planned(means: &Means) -> &[ContainerRef] {
    match means {
        Means::Haproxy { proxies, .. } => proxies,
        _ => &[],
    }
}

/// The container runs no more, and what was set in it went with it.
pub(super) fn is_gone(error: &CallError) -> bool {
    match &error.problem {
        Problem::Failed { stderr, .. } => {
            let text = stderr.to_ascii_lowercase();
            text.contains("no such container") || text.contains("is not running")
        }
        _ => false,
    }
}
