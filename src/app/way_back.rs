//! The way back for containers that only Compose can replace: it removes the old one before the new one serves, so what
//! ran is deployed again from its definition.

use std::collections::BTreeMap;

use super::Context;
use crate::{
    engine::{Container, Docker, Engine, container::WORKING_DIR_LABEL},
    keep::{Deployed, Revision},
    plan::{Plan, ServicePlan, What},
    project::{Document, Project},
};

impl Context {
    /// Service → an engine whose Compose sees the definition of what runs now, where that is known for certain.
    pub fn ways_back(
        &self,
        project: &Project,
        containers: &[Container],
        plan: &Plan,
    ) -> BTreeMap<String, Docker> {
        let is_recreated = |plan: &&ServicePlan| {
            plan.operations.iter().any(|operation| matches!(operation.what, What::Recreate { .. }))
        };
        let mut recreated = plan.services.iter().filter(is_recreated).peekable();
        if recreated.peek().is_none() {
            return BTreeMap::new();
        }
        let revisions = self.store(&project.name).revisions().unwrap_or_default();
        let one = |name: &String| Some((name.clone(), self.way_back(name, project, containers, &revisions)?));
        recreated.filter_map(|plan| one(&plan.service)).collect()
    }

    fn way_back(
        &self,
        name: &str,
        project: &Project,
        containers: &[Container],
        revisions: &[Revision],
    ) -> Option<Docker> {
        let mine: Vec<_> = containers.iter().filter(|c| c.service == name && c.runs()).collect();
        let one = *mine.first()?;
        let alike = |c: &&Container| c.config_hash == one.config_hash && c.image_id == one.image_id;
        if !mine.iter().all(alike) {
            return None;
        }
        let found = self.recorded(name, project, &mine, revisions);
        let (mut document, folder) = found.or_else(|| self.with_former_image(name, project, one))?;
        let written = document.image(name).map(str::to_owned).unwrap_or_default();
        let ids = self.docker().image_ids(std::slice::from_ref(&written)).ok()?;
        if ids.get(&written).is_none_or(|id| !one.is_of_image(id)) {
            // The tag means another image by now.
            document.set_image(name, Some(&one.engine_image_id));
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

    /// Only the image has changed since.
    fn with_former_image(
        &self,
        name: &str,
        project: &Project,
        one: &Container,
    ) -> Option<(Document, Option<String>)> {
        let mut document = project.document.clone();
        document.set_image(name, Some(&one.image));
        let folder = one.labels.get(WORKING_DIR_LABEL).cloned();
        let then = self.docker().with_document(document.text(), folder.as_deref());
        let hashes = then.config_hashes(&[]).ok()?;
        (hashes.get(name) == Some(&one.config_hash)).then_some((document, folder))
    }
}
