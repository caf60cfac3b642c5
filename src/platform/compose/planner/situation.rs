//! What there is of one service, held against what is wanted.

use crate::{
    engine::{Container, State},
    plan::Request,
    platform::compose::Observed,
    project::Service,
};

/// One service's containers, sorted by what they are worth to the wanted state.
pub struct Situation<'a> {
    /// Of the wanted version, running, not known to be bad.
    pub current: Vec<&'a Container>,
    /// To be replaced, and running.
    pub outdated: Vec<&'a Container>,
    /// Not running: exited, created, dead.
    pub down: Vec<&'a Container>,
    pub paused: Vec<&'a Container>,
    /// What differs, for the reason: `image`, `configuration`.
    pub differences: Vec<&'static str>,
    /// A job: the wanted version has run and ended well.
    pub finished: bool,
    pub image_pending: bool,
}

impl<'a> Situation<'a> {
    pub fn new(service: &Service, mine: &[&'a Container], observed: &Observed, request: &Request) -> Self {
        let wanted = observed.wanted(service);
        let same = |c: &Container| wanted.is(c) && !request.force;
        let pick = |chosen: &dyn Fn(&Container) -> bool| -> Vec<&'a Container> {
            let mut found: Vec<_> = mine.iter().copied().filter(|c| chosen(c)).collect();
            found.sort_by_key(|c| c.number);
            found
        };
        // Also one that has stopped: a run that was killed may have started the new one in its place.
        let any_outdated = mine.iter().any(|c| (c.runs() || c.state == State::Exited) && !same(c));
        // Beside an outdated generation an unhealthy current container is a failed attempt, to be replaced; alone
        // it is the operator's affair, because replacing it would change nothing.
        let bad = |c: &Container| c.is_unhealthy() || c.state == State::Restarting;
        let good = |c: &Container| same(c) && !(any_outdated && bad(c));
        Situation {
            current: pick(&|c| c.runs() && good(c)),
            outdated: pick(&|c| c.runs() && !good(c)),
            down: pick(&|c| matches!(c.state, State::Exited | State::Created | State::Dead)),
            paused: pick(&|c| c.state == State::Paused),
            differences: wanted.differences(mine.iter().copied().filter(|c| c.state != State::Removing)),
            finished: mine.iter().any(|c| same(c) && c.state == State::Exited && c.exit_code == 0),
            image_pending: request.pending_images.contains(&service.name),
        }
    }

    pub fn running(&self) -> usize {
        self.current.len() + self.outdated.len()
    }
}
