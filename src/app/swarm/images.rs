//! Which images a stack runs: built and pushed, and pinned by their digests before anything is touched.

use std::{collections::BTreeSet, time::Instant};

use super::super::Context;
use crate::{
    cli::{Planning, PullPolicy},
    event::Event,
    exit::{Exit, Stop},
    platform::swarm::{Managers, Observed},
    project::Project,
    text::join,
};

/// Service, and what the user should know of its image.
type Notes = Vec<(String, String)>;

impl Context {
    /// Builds what is asked for, and pushes it where other nodes need it.
    ///
    /// # Errors
    /// Nobody could get the image. Nothing was touched.
    pub fn build_for_swarm(
        &self,
        project: &Project,
        planning: &Planning,
        observed: &Observed,
        dry: bool,
    ) -> Result<(), Stop> {
        let builds = project.services.values().filter(|service| service.image.builds && planning.build);
        let builds: Vec<_> = builds.collect();
        let many = observed.nodes.len() > 1;
        if let Some(service) = builds.iter().find(|service| many && !service.image.can_be_pushed()) {
            let message = format!(
                "service {}: the other nodes cannot get image {}, which names no registry; nothing was touched",
                service.name, service.image.reference
            );
            return Err(Stop::new(Exit::Refused, message)
                .hint("write image: with the name of a registry that all nodes reach"));
        }
        if builds.is_empty() || dry {
            return Ok(());
        }
        let (names, began): (Vec<_>, _) =
            (builds.iter().map(|service| service.name.clone()).collect(), Instant::now());
        self.emit(Event::Building { services: names.clone() });
        let verb: &[&str] = if many { &["build", "--push"] } else { &["build"] };
        let line = |text: &str| self.emit(Event::Output { line: text.to_owned() });
        self.docker().fetch_by(verb, &names, line).map_err(|error| {
            let stop = Stop::from(error);
            let message =
                format!("the build of {} failed, nothing was touched: {}", join(&names), stop.message);
            Stop { message, ..stop }
        })?;
        self.emit(Event::Prepared { took: began.elapsed() });
        Ok(())
    }

    /// Writes the digest into each image's name, so that the plan, every node and the history mean the same.
    ///
    /// # Errors
    /// An image that no registry has, and that is not here either. Nothing was touched.
    pub fn pin_images(
        &self,
        managers: &Managers,
        project: &mut Project,
        observed: &Observed,
        planning: &Planning,
    ) -> Result<Notes, Stop> {
        let asks = |policy: Option<&str>| planning.pull != Some(PullPolicy::Never) && policy != Some("never");
        let open = project.services.values().filter(|service| {
            asks(service.image.pull_policy.as_deref()) && !service.image.reference.contains('@')
        });
        let images: BTreeSet<_> = open.map(|service| service.image.reference.clone()).collect();
        let found = managers.current().digests(&images.into_iter().collect::<Vec<_>>());
        let mut notes = Vec::new();
        for (name, service) in &project.services {
            let image = &service.image.reference;
            let error = match found.get(image) {
                None => continue,
                Some(Ok(pinned)) => {
                    project.document.set_image(name, Some(pinned));
                    continue;
                }
                Some(Err(error)) => error,
            };
            let said = match observed.services.get(name).and_then(|seen| seen.pinned(image)) {
                Some(pinned) => {
                    project.document.set_image(name, Some(pinned));
                    "what runs of it stays"
                }
                None => {
                    require_here(managers, name, image, &error.problem.said())?;
                    "every node must have it, and a change behind its tag is not seen"
                }
            };
            notes.push((name.clone(), format!("no registry answers for image {image}, so {said}")));
        }
        Ok(notes)
    }
}

/// Whoever runs one node may have made it there.
fn require_here(managers: &Managers, service: &str, image: &str, said: &str) -> Result<(), Stop> {
    let here = managers.read(|docker| docker.image(image))?.is_some();
    let said = said.lines().last().unwrap_or_default();
    match here {
        true => Ok(()),
        false => Err(Stop::error(format!(
            "service {service}: no registry has image {image} ({said}); nothing was touched"
        ))
        .hint("push it, or sign in with \"docker login\"; --pull never asks no registry")),
    }
}
