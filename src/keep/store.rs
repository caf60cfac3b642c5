//! Revisions on the engine: read, written, forgotten.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};

use super::{Deployed, Revision, choose, names};
use crate::{
    engine::{CallError, Docker, Problem},
    project::{Document, FILE_NAME},
};

/// Where the revisions of a project are kept.
pub struct Store<'a> {
    pub docker: &'a Docker,
    pub project: &'a str,
}

impl Store<'_> {
    pub fn repository(&self) -> String {
        names::repository(self.project)
    }

    /// The project's revisions, oldest first.
    ///
    /// # Errors
    /// The engine does not answer, or its answer cannot be believed.
    pub fn revisions(&self) -> Result<Vec<Revision>, CallError> {
        let of_project = format!("{}={}", names::PROJECT_LABEL, self.project);
        let labels = self.docker.labels_of_volumes(names::LABEL, &of_project)?;
        let mut revisions: Vec<_> = labels.iter().filter_map(|label| Revision::from_label(label)).collect();
        if revisions.is_empty() && labels.iter().any(|label| !label.is_empty()) {
            let problem = Problem::Garbage("nothing of it is a revision".to_owned());
            return Err(CallError { call: "docker volume ls".to_owned(), problem });
        }
        revisions.sort_by_key(|revision| revision.number);
        Ok(revisions)
    }

    /// Tag → ID of what is kept for revisions.
    pub fn tags(&self) -> Result<BTreeMap<String, String>, CallError> {
        self.docker.tags(&self.repository())
    }

    /// The project as a revision deployed it; `None` when somebody has removed its image.
    pub fn document(&self, number: u32) -> Result<Option<Document>> {
        let reference = format!("{}:{}", self.repository(), names::document_tag(number));
        let holder = names::holder(self.project, number);
        let text = self.docker.kept_file(&reference, FILE_NAME, &holder)?;
        text.map(|text| Document::parse(&text)).transpose()
    }

    /// Adds a revision behind these, and forgets what is not kept any longer: the second result says why that could
    /// not be done.
    ///
    /// # Errors
    /// It is not kept, or not as a whole.
    pub fn add(
        &self,
        mut revisions: Vec<Revision>,
        revision: Revision,
        document: &Document,
    ) -> Result<Result<(), CallError>> {
        let mut tags = self.tags()?;
        self.check_list(&revisions, &tags)?;
        if revision.is_good() {
            self.keep_images(&revision, &mut tags)?;
        }
        let tag = names::document_tag(revision.number);
        let reference = format!("{}:{tag}", self.repository());
        if tags.remove(&tag).is_some() {
            // A run was killed before its revision was whole: an import would leave that image without a name,
            // forever.
            self.docker.remove_tags(std::slice::from_ref(&reference))?;
        }
        self.docker.keep_file(&reference, FILE_NAME, &document.text())?;
        let labels = [(names::PROJECT_LABEL, self.project.to_owned()), (names::LABEL, revision.label())];
        let labels = labels.map(|(key, value)| format!("{key}={value}"));
        self.docker.create_volume(&names::volume(self.project, revision.number), &labels)?;
        revisions.push(revision);
        Ok(self.forget(&revisions, &tags))
    }

    /// A document without a revision is what a killed run has left, and may go; unless the list of revisions is short.
    fn check_list(&self, revisions: &[Revision], tags: &BTreeMap<String, String>) -> Result<()> {
        let listed = |number: &u32| revisions.iter().any(|revision| revision.number == *number);
        let unlisted = tags.keys().filter_map(|tag| names::document_number(tag)).filter(|n| !listed(n));
        for number in unlisted {
            let volume = self.docker.volume_labels(&names::volume(self.project, number), false)?;
            ensure!(volume.is_none(), "\"docker volume ls\" does not list revision {number}");
        }
        Ok(())
    }

    fn keep_images(&self, revision: &Revision, tags: &mut BTreeMap<String, String>) -> Result<()> {
        let images: BTreeSet<_> = revision.services.values().filter_map(|s| s.image.clone()).collect();
        for image in images {
            if !tags.values().any(|id| *id == image) {
                let tag = names::image_tag(&image);
                self.docker.tag(&image, &format!("{}:{tag}", self.repository()))?;
                tags.insert(tag, image);
            }
        }
        Ok(())
    }

    /// Removes what no revision that is kept needs, also what a run that was killed has left.
    fn forget(&self, revisions: &[Revision], tags: &BTreeMap<String, String>) -> Result<(), CallError> {
        let forgotten = choose::forgotten(revisions);
        let kept: Vec<_> = revisions.iter().filter(|r| !forgotten.contains(&r.number)).collect();
        let needed = |(tag, id): &(&String, &String)| {
            let document = kept.iter().any(|r| **tag == names::document_tag(r.number));
            let runs = |s: &Deployed| s.image.as_ref() == Some(*id);
            document || kept.iter().filter(|r| r.is_good()).any(|r| r.services.values().any(runs))
        };
        let unneeded = tags.iter().filter(|pair| !needed(pair)).map(|(tag, _)| tag);
        self.remove(forgotten.into_iter(), unneeded)
    }

    /// Removes all revisions. What a container runs from a kept image alone keeps its tag until a later rollout.
    ///
    /// # Errors
    /// The engine did not remove all of it.
    pub fn forget_all(&self, revisions: &[Revision]) -> Result<(), CallError> {
        let tags = self.tags()?;
        self.docker.remove_holders(|name| names::is_holder(name, self.project))?;
        // Tags without a revision are removed by the next rollout, should this be killed in between.
        self.remove(revisions.iter().map(|revision| revision.number), tags.keys())
    }

    fn remove<'t>(
        &self,
        numbers: impl Iterator<Item = u32>,
        tags: impl Iterator<Item = &'t String>,
    ) -> Result<(), CallError> {
        let volumes: Vec<_> = numbers.map(|number| names::volume(self.project, number)).collect();
        let volumes: Vec<_> = volumes.iter().map(String::as_str).collect();
        self.docker.remove_volumes(&volumes, false)?;
        let repository = self.repository();
        self.docker.remove_tags(&tags.map(|tag| format!("{repository}:{tag}")).collect::<Vec<_>>())
    }
}
