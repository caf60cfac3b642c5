//! Rollback of containers that only Compose can replace: it removes the old one before the new one serves, so what
//! ran is deployed again from its definition.

use std::collections::{BTreeMap, BTreeSet};

use super::Context;
use crate::{
    engine::{Container, Docker, Engine, container::WORKING_DIR_LABEL},
    keep::{Deployed, Revision},
    plan::{Plan, ServicePlan, What},
    project::{Document, Project},
};

impl Context {
    /// Service → an engine whose Compose sees the definition of what runs now, where that is known for certain.
    pub fn undos(
        &self,
        project: &Project,
        containers: &[Container],
        plan: &Plan,
        revisions: &[Revision],
    ) -> BTreeMap<String, Docker> {
        let is_recreated = |plan: &&ServicePlan| {
            plan.operations.iter().any(|operation| matches!(operation.what, What::Recreate { .. }))
        };
        let recreated = plan.services.iter().filter(is_recreated);
        let one = |name: &String| Some((name.clone(), self.undo(name, project, containers, revisions)?));
        recreated.filter_map(|plan| one(&plan.service)).collect()
    }

    fn undo(
        &self,
        name: &str,
        project: &Project,
        containers: &[Container],
        revisions: &[Revision],
    ) -> Option<Docker> {
        let mine: Vec<_> = containers.iter().filter(|c| c.service == name && c.runs()).collect();
        let one = *mine.first()?;
        if !are_alike(&mine) {
            return None;
        }
        let found = self.recorded(name, project, &mine, revisions);
        let (mut document, folder) = found.or_else(|| self.with_former_image(project, one))?;
        let written = document.image(name).map(str::to_owned).unwrap_or_default();
        let ids = self.docker().image_ids(std::slice::from_ref(&written)).ok()?;
        if ids.get(&written).is_none_or(|id| !one.is_of_image(id)) {
            // The tag means another image by now.
            document.set_image(name, Some(one.engine_image()));
        }
        Some(self.docker().with_document(document.text(), folder.as_deref()))
    }

    /// A revision deployed it.
    fn recorded(
        &self,
        name: &str,
        project: &Project,
        mine: &[&Container],
        revisions: &[Revision],
    ) -> Option<(Document, Option<String>)> {
        let of_it = |deployed: &Deployed| mine.iter().all(|c| deployed.is(c));
        let revision = revisions.iter().rev().find(|r| r.services.get(name).is_some_and(of_it))?;
        let document = self.store(&project.name).document(revision.number).ok()??;
        Some((document, revision.directory.clone()))
    }

    fn with_former_image(&self, project: &Project, one: &Container) -> Option<(Document, Option<String>)> {
        let (document, proven) = self.with_former_images(project, &[one])?;
        proven.contains(&one.service).then(|| (document, folder_of(one)))
    }

    /// The project with the images of these containers, one of each service, and the services of which it is what runs:
    /// nothing but the image has changed since.
    pub(super) fn with_former_images(
        &self,
        project: &Project,
        containers: &[&Container],
    ) -> Option<(Document, BTreeSet<String>)> {
        let mut document = project.document.clone();
        for one in containers {
            document.set_image(&one.service, Some(&one.image));
        }
        let folder = folder_of(containers.first()?);
        let then = self.docker().with_document(document.text(), folder.as_deref());
        let hashes = then.config_hashes(&[]).ok()?;
        let proven = containers.iter().filter(|c| hashes.get(&c.service) == Some(&c.config_hash));
        Some((document, proven.map(|c| c.service.clone()).collect()))
    }
}

pub(super) fn are_alike(containers: &[&Container]) -> bool {
    let alike = |c: &&Container, other: &&Container| {
        c.config_hash == other.config_hash && c.image_id == other.image_id
    };
    containers.windows(2).all(|pair| alike(&pair[0], &pair[1]))
}

fn folder_of(container: &Container) -> Option<String> {
    container.labels.get(WORKING_DIR_LABEL).cloned()
}
