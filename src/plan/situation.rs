//! What there is of one service, held against what is wanted.

use super::{Observed, Request};
use crate::{
    model::Service,
    observed::{Container, State},
};

/// One service's containers, sorted by what they are worth to the wanted state.
pub struct Situation<'a> {
    /// Of the wanted version, running, not known to be bad.
    pub fresh: Vec<&'a Container>,
    /// To be replaced, and running.
    pub stale: Vec<&'a Container>,
    /// Not running: exited, created, dead.
    pub down: Vec<&'a Container>,
    pub paused: Vec<&'a Container>,
    /// What differs, for the reason: `image`, `configuration`.
    pub differences: Vec<&'static str>,
    /// One-shot: the wanted version has run and ended well.
    pub finished: bool,
    pub image_pending: bool,
}

impl<'a> Situation<'a> {
    pub fn new(service: &Service, mine: &[&'a Container], observed: &Observed, request: &Request) -> Self {
        let image = observed.images.get(&service.name);
        let outdated = observed.outdated.get(&service.name);
        let same_config = |c: &Container| match outdated {
            _ if c.config_hash == service.hash => true,
            Some(outdated) => !outdated.contains(&c.name),
            None => false,
        };
        let same = |c: &Container| {
            same_config(c) && image.is_none_or(|image| c.is_of_image(image)) && !request.force
        };
        let pick = |wanted: &dyn Fn(&Container) -> bool| -> Vec<&'a Container> {
            let mut found: Vec<_> = mine.iter().copied().filter(|c| wanted(c)).collect();
            found.sort_by_key(|c| c.number);
            found
        };
        let runs = |c: &Container| matches!(c.state, State::Running | State::Restarting);
        let any_stale = mine.iter().any(|c| runs(c) && !same(c));
        // Beside a stale generation an unhealthy fresh container is a failed attempt, to be replaced; alone
        // it is the operator's affair, because replacing it would change nothing.
        let good =
            |c: &Container| same(c) && (!any_stale || !(c.is_unhealthy() || c.state == State::Restarting));
        let differs = |c: &&&Container| c.state != State::Removing && !same(c);
        let mut differences = Vec::new();
        if mine.iter().filter(differs).any(|c| image.is_some_and(|image| !c.is_of_image(image))) {
            differences.push("image");
        }
        if mine.iter().filter(differs).any(|c| !same_config(c)) {
            differences.push("configuration");
        }
        Situation {
            fresh: pick(&|c| runs(c) && good(c)),
            stale: pick(&|c| runs(c) && !good(c)),
            down: pick(&|c| matches!(c.state, State::Exited | State::Created | State::Dead)),
            paused: pick(&|c| c.state == State::Paused),
            differences,
            finished: mine.iter().any(|c| same(c) && c.state == State::Exited && c.exit_code == 0),
            image_pending: request.pending_images.contains(&service.name),
        }
    }

    pub fn running(&self) -> usize {
        self.fresh.len() + self.stale.len()
    }
}
