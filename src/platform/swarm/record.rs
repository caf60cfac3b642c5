//! The revisions of a project in its swarm: one config each. Its labels are what the history shows, its data is what can
//! be deployed again.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use miniz_oxide::{deflate::compress_to_vec, inflate::decompress_to_vec_with_limit};
use serde::{Deserialize, Serialize};

use super::{Managers, Target, names, stack::Kept};
use crate::{
    engine::{
        CallError,
        swarm::{Kept as Known, KeptKind, NewKept},
    },
    keep::{self, Revision},
    project::Document,
};

/// The label of a revision that holds it as JSON.
const LABEL: &str = "com.docker.zdd.revision";
/// The label of all that zdd keeps for a project in a swarm.
pub const PROJECT_LABEL: &str = "com.docker.zdd.project";
const STACK_LABEL: &str = crate::engine::swarm::STACK_LABEL;
/// Swarm takes 1,000 kB; compressed, texts are a tenth.
const LARGEST: usize = 64 << 20;
const LEVEL: u8 = 6;

/// What a revision deployed, so that it can be deployed again.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Record {
    /// As Compose printed it.
    pub document: String,
    /// As it was sent.
    pub targets: BTreeMap<String, Target>,
    /// The configs and secrets that its texts name, of those that zdd has made.
    pub kept: BTreeSet<String>,
}

impl Record {
    pub fn document(&self) -> Result<Document> {
        Document::parse(&self.document)
    }

    fn bytes(&self) -> Vec<u8> {
        compress_to_vec(&serde_json::to_vec(self).unwrap_or_default(), LEVEL)
    }

    fn read(bytes: &[u8]) -> Result<Record> {
        let text = decompress_to_vec_with_limit(bytes, LARGEST).ok().context("it is damaged")?;
        Ok(serde_json::from_slice(&text)?)
    }
}

/// Where the revisions of a project are kept.
pub struct Store<'a> {
    pub managers: &'a Managers,
    pub project: &'a str,
}

impl Store<'_> {
    /// The project's revisions, oldest first.
    ///
    /// # Errors
    /// No manager answers.
    pub fn revisions(&self) -> Result<Vec<Revision>, CallError> {
        let found = self.found()?;
        let mut revisions: Vec<_> = found.into_iter().map(|(revision, _)| revision).collect();
        revisions.sort_by_key(|revision| revision.number);
        Ok(revisions)
    }

    fn found(&self) -> Result<Vec<(Revision, Known)>, CallError> {
        let label = format!("{PROJECT_LABEL}={}", self.project);
        let all = self.managers.read(|docker| docker.all_kept(KeptKind::Config, &label))?;
        let one = |known: Known| Some((Revision::from_label(known.labels.get(LABEL)?)?, known));
        Ok(all.into_iter().filter_map(one).collect())
    }

    /// What a revision deployed; `None` when somebody has removed it.
    ///
    /// # Errors
    /// No manager answers, or what it has is damaged.
    pub fn record(&self, number: u32) -> Result<Option<Record>> {
        let name = names::revision(self.project, number);
        let data = self.managers.read(|docker| docker.config_data(&name))?;
        data.map(|data| Record::read(&data).with_context(|| format!("revision {number}"))).transpose()
    }

    /// Adds a revision behind these, under the next number that is free, and forgets what is not kept any longer: the
    /// second result says why that could not be done.
    ///
    /// # Errors
    /// It is not kept.
    pub fn add(&self, mut revision: Revision, record: &Record) -> Result<(u32, Result<(), CallError>)> {
        let data = record.bytes();
        loop {
            let name = names::revision(self.project, revision.number);
            let labels = [(PROJECT_LABEL, self.project.to_owned()), (LABEL, revision.label())];
            let labels = labels.map(|(key, value)| format!("{key}={value}"));
            let new = NewKept::config(&name, &labels, &data);
            let made = self.managers.read(|docker| docker.create_kept(&new))?;
            if made || self.is_mine(&revision)? {
                return Ok((revision.number, self.forget()));
            }
            revision.number += 1;
        }
    }

    /// After an answer that was lost it may have been made all the same.
    fn is_mine(&self, revision: &Revision) -> Result<bool, CallError> {
        let label = revision.label();
        Ok(self.found()?.iter().any(|(_, known)| known.labels.get(LABEL) == Some(&label)))
    }

    /// Makes the configs and secrets that are not there yet.
    ///
    /// # Errors
    /// No manager answers, or one is refused.
    pub fn make(&self, kept: &[Kept]) -> Result<(), CallError> {
        for one in kept {
            let labels: Vec<_> = one.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let new = NewKept {
                kind: kind(one),
                name: &one.name,
                labels: &labels,
                template_driver: one.template_driver.as_deref(),
                data: &one.bytes.0,
            };
            self.managers.read(|docker| docker.create_kept(&new))?;
        }
        Ok(())
    }

    /// Removes what is not kept any longer: revisions, and the configs and secrets of zdd's own that none that is kept
    /// names. Swarm refuses to remove what is in use.
    fn forget(&self) -> Result<(), CallError> {
        let found = self.found()?;
        let revisions: Vec<_> = found.iter().map(|(revision, _)| revision.clone()).collect();
        let forgotten = keep::forgotten(&revisions);
        let gone = found.iter().filter(|(revision, _)| forgotten.contains(&revision.number));
        let ids: Vec<_> = gone.map(|(_, known)| known.id.as_str()).collect();
        self.managers.read(|docker| docker.remove_kept(KeptKind::Config, &ids, false))?;
        let rest = revisions.iter().filter(|revision| !forgotten.contains(&revision.number));
        self.prune(rest.map(|revision| revision.number))
    }

    fn prune(&self, numbers: impl Iterator<Item = u32>) -> Result<(), CallError> {
        let mine = self.of_the_project()?;
        if mine.is_empty() {
            return Ok(());
        }
        let mut needed = BTreeSet::new();
        for number in numbers {
            // What cannot be read may need any of them.
            let Ok(Some(record)) = self.record(number) else { return Ok(()) };
            needed.extend(record.kept);
        }
        for (kind, known) in mine.iter().filter(|(_, known)| !needed.contains(&known.name)) {
            let removed = self.managers.read(|docker| docker.remove_kept(*kind, &[&known.id], false));
            let in_use = |error: &CallError| error.problem.said().contains("in use");
            removed.or_else(|error| if in_use(&error) { Ok(()) } else { Err(error) })?;
        }
        Ok(())
    }

    /// The configs and secrets that zdd has made for the services.
    fn of_the_project(&self) -> Result<Vec<(KeptKind, Known)>, CallError> {
        let label = format!("{PROJECT_LABEL}={}", self.project);
        let mut all = Vec::new();
        for kind in [KeptKind::Config, KeptKind::Secret] {
            let found = self.managers.read(|docker| docker.all_kept(kind, &label))?;
            let of_services = found.into_iter().filter(|known| known.labels.contains_key(STACK_LABEL));
            all.extend(of_services.map(|known| (kind, known)));
        }
        Ok(all)
    }

    /// Removes all revisions.
    ///
    /// # Errors
    /// Not all of it is removed.
    pub fn forget_all(&self) -> Result<(), CallError> {
        let found = self.found()?;
        let ids: Vec<_> = found.iter().map(|(_, known)| known.id.as_str()).collect();
        self.managers.read(|docker| docker.remove_kept(KeptKind::Config, &ids, false))
    }
}

fn kind(kept: &Kept) -> KeptKind {
    match kept.kind {
        super::stack::Kind::Config => KeptKind::Config,
        super::stack::Kind::Secret => KeptKind::Secret,
    }
}
