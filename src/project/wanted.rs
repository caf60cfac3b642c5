//! Whether a container is what is wanted: the one answer to that question.

use std::collections::BTreeSet;

use super::Service;
use crate::engine::Container;

/// What a container of a service must be of.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    hash: &'a str,
    /// Where hashes cannot be compared: those that Compose itself would replace or remove, by name.
    outdated: Option<&'a BTreeSet<String>>,
    /// Hashes cannot be compared, and nobody has asked Compose.
    any_hash: bool,
    /// `None` where no image counts.
    image: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    /// As the files want it now.
    pub fn of(
        service: &'a Service,
        image: Option<&'a str>,
        outdated: Option<&'a BTreeSet<String>>,
    ) -> Wanted<'a> {
        Wanted { hash: &service.definition.hash, outdated, any_hash: false, image }
    }

    /// As it was deployed. `any_hash`: the label carries another one than Compose prints.
    pub fn as_deployed(hash: &'a str, any_hash: bool, image: &'a str) -> Wanted<'a> {
        Wanted { hash, outdated: None, any_hash, image: Some(image) }
    }

    pub fn has_configuration(&self, container: &Container) -> bool {
        let by_compose = self.outdated.is_some_and(|outdated| !outdated.contains(&container.name));
        self.any_hash || container.config_hash == self.hash || by_compose
    }

    pub fn has_image(&self, container: &Container) -> bool {
        self.image.is_none_or(|image| container.is_of_image(image))
    }

    pub fn is(&self, container: &Container) -> bool {
        self.has_configuration(container) && self.has_image(container)
    }

    /// In what these differ: `image`, `configuration`.
    pub fn differences<'c>(
        &self,
        containers: impl Iterator<Item = &'c Container> + Clone,
    ) -> Vec<&'static str> {
        let image = containers.clone().any(|c| !self.has_image(c)).then_some("image");
        let configuration = containers.clone().any(|c| !self.has_configuration(c));
        [image, configuration.then_some("configuration")].into_iter().flatten().collect()
    }
}
