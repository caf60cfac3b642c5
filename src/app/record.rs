//! Writes a rollout down on the engine when it is over.

use std::collections::{BTreeMap, btree_map::Entry};

use anyhow::Result;

use super::{
    Context, checkout,
    deploy::{Errand, Ready},
    environment, files,
};
use crate::{
    engine::Container,
    event::{KEPT, Outcome, Verdict},
    execute::ServiceResult,
    keep::{self, Deployed, Owner, Revision, Store},
    project::{Document, Service},
};

/// A rollout that is over.
pub struct Change<'a> {
    pub ready: &'a Ready,
    pub results: &'a [ServiceResult],
    /// The services whose count a flag gave.
    pub scaled: &'a [String],
    pub errand: &'a Errand,
}

/// What a rollback goes back to.
pub struct Origin {
    pub revision: Revision,
    /// Service → its image as the revision has it written, where a kept tag stands in for it in this run.
    pub written: BTreeMap<String, Option<String>>,
}

/// The project with each service as it is deployed.
struct Deployment {
    document: Document,
    services: BTreeMap<String, Deployed>,
    unknown: Vec<String>,
}

impl Context {
    pub fn store<'a>(&'a self, project: &'a str) -> Store<'a> {
        Store { docker: self.docker(), project }
    }

    /// Records a rollout that changed something, and returns its number. Its outcome stands, whether or not this
    /// succeeds.
    pub fn record(&self, change: &Change) -> Option<u32> {
        let changed = change.changed();
        if changed.is_empty() || self.waiter.is_abandoned() {
            return None;
        }
        match self.try_record(change, changed) {
            Ok(number) => Some(number),
            Err(error) => {
                self.warn(format!("this rollout is not recorded in the history: {error:#}"));
                None
            }
        }
    }

    fn try_record(&self, change: &Change, changed: Vec<String>) -> Result<u32> {
        let store = self.store(&change.ready.project.name);
        let revisions = store.revisions()?;
        let outcome = Outcome::of_run(change.results.iter().map(|result| result.outcome));
        let deployment = match outcome {
            Outcome::Done => change.as_deployed(&changed, &revisions, &store)?,
            _ => change.as_wanted(),
        };
        let revision = Revision {
            number: revisions.last().map_or(1, |last| last.number + 1),
            outcome,
            reason: reason(change.results),
            changed,
            services: deployment.services,
            unknown: deployment.unknown,
            ..self.beginnings(change.errand)
        };
        let number = revision.number;
        if let Err(error) = store.add(revisions, revision, &deployment.document)? {
            self.warn(format!("old revisions could not be removed: {error}"));
        }
        Ok(number)
    }

    /// Who, when, from where.
    pub fn beginnings(&self, errand: &Errand) -> Revision {
        let here = Owner::here();
        let folder = files::folder(&self.flags);
        let (commit, directory) = match &errand.origin {
            Some(Origin { revision, .. }) => (revision.commit.clone(), revision.directory.clone()),
            None => (
                folder.as_deref().and_then(checkout::commit),
                folder.and_then(|folder| folder.to_str().map(str::to_owned)),
            ),
        };
        Revision {
            cause: errand.cause,
            time: environment::now(),
            seconds: (self.began.elapsed().as_secs_f64() * 10.0).round() / 10.0,
            who: format!("{}@{}", here.user, here.host),
            commit,
            directory,
            ..Revision::default()
        }
    }
}

impl Change<'_> {
    /// The services that the plan wanted to change, and that were begun.
    fn changed(&self) -> Vec<String> {
        let begun = |name: &String| {
            let result = self.results.iter().find(|result| result.service == *name);
            result.is_some_and(|r| !matches!(r.outcome, Outcome::Unchanged | Outcome::Skipped))
        };
        let changes = self.ready.plan.services.iter().filter(|plan| plan.verdict != Verdict::Unchanged);
        changes.map(|plan| plan.service.clone()).filter(begun).collect()
    }

    /// The project as this run had it, with the counts that flags gave.
    fn document(&self) -> Document {
        let project = &self.ready.project;
        let mut document = project.document.clone();
        for name in self.scaled {
            document.set_replicas(name, project.services.get(name).map_or(1, |s| s.replicas));
        }
        for (name, image) in self.errand.origin.iter().flat_map(|origin| &origin.written) {
            document.set_image(name, image.as_deref());
        }
        document
    }

    fn as_wanted(&self) -> Deployment {
        let all = self.ready.project.services.iter();
        let services = all.map(|(name, service)| (name.clone(), self.deployed(service))).collect();
        Deployment { document: self.document(), services, unknown: vec![] }
    }

    /// A run may have left services alone that the file has changed: those are as an earlier revision has them.
    fn as_deployed(&self, changed: &[String], revisions: &[Revision], store: &Store) -> Result<Deployment> {
        let mut document = self.document();
        let (mut services, mut unknown) = (BTreeMap::new(), vec![]);
        let mut read: BTreeMap<u32, Option<Document>> = BTreeMap::new();
        for (name, service) in &self.ready.project.services {
            if self.results.iter().any(|result| result.service == *name && result.findings.deviates) {
                unknown.push(name.clone());
                continue;
            }
            if changed.contains(name) || self.is_found_as_wanted(service) {
                let (written, waited_ms) = (self.written(name), self.waited(name));
                let deployed = Deployed { written, waited_ms, ..self.deployed(service) };
                services.insert(name.clone(), deployed);
                continue;
            }
            match self.found_earlier(name, revisions, store, &mut read)? {
                Some((deployed, then)) => {
                    document.take_service(name, &then);
                    services.insert(name.clone(), deployed);
                }
                None => unknown.push(name.clone()),
            }
        }
        anyhow::ensure!(!services.is_empty(), "what runs is not what was planned");
        Ok(Deployment { document, services, unknown })
    }

    /// What runs of a service, as the newest good revision that deployed it has it. `read` saves a second reading.
    fn found_earlier(
        &self,
        name: &str,
        revisions: &[Revision],
        store: &Store,
        read: &mut BTreeMap<u32, Option<Document>>,
    ) -> Result<Option<(Deployed, Document)>> {
        let found = keep::of_service(revisions, name, &self.containers_of(name));
        let Some((number, deployed)) = found else { return Ok(None) };
        if let Entry::Vacant(place) = read.entry(number) {
            place.insert(store.document(number)?);
        }
        Ok(read[&number].clone().map(|document| (deployed.clone(), document)))
    }

    fn containers_of(&self, name: &str) -> Vec<&Container> {
        self.ready.observed.containers.iter().filter(|c| c.service == name).collect()
    }

    /// The hash of a service's definition as the revision that is gone back to has it written.
    fn written(&self, name: &str) -> Option<String> {
        let origin = self.errand.origin.as_ref().filter(|origin| origin.written.contains_key(name))?;
        Some(origin.revision.services.get(name)?.definition().to_owned())
    }

    /// How long its connections waited, in milliseconds.
    fn waited(&self, name: &str) -> Option<u64> {
        let findings = &self.results.iter().find(|result| result.service == name)?.findings;
        let time = findings.downtime.filter(|_| findings.is_held)?;
        u64::try_from(time.as_millis()).ok()
    }

    /// What its image is called: in a rollback the kept tag stands in for the name that was written.
    fn reference(&self, service: &Service) -> Option<String> {
        let origin = self.errand.origin.as_ref();
        let then = origin.and_then(|origin| origin.revision.services.get(&service.name)?.reference.clone());
        then.or_else(|| Some(service.image.reference.clone()))
            .filter(|name| !service.is_provider() && !name.starts_with(KEPT))
    }

    fn deployed(&self, service: &Service) -> Deployed {
        let image = self.ready.observed.images.get(&service.name);
        Deployed {
            hash: service.definition.hash.clone(),
            hash_is_resolved: service.definition.is_resolved,
            image: image.cloned().filter(|_| !service.is_provider()),
            manifest: self.ready.observed.manifests.get(&service.name).cloned(),
            reference: self.reference(service),
            replicas: service.replicas,
            ..Deployed::default()
        }
    }

    /// Whether this run found the service as the project wants it.
    fn is_found_as_wanted(&self, service: &Service) -> bool {
        if service.is_provider() || service.replicas == 0 {
            return true;
        }
        let wanted = self.ready.observed.wanted(service);
        let mine = self.containers_of(&service.name);
        let telling = keep::telling(&mine);
        !telling.is_empty() && telling.iter().all(|container| wanted.is(container))
    }
}

/// Why it did not end well, in one line. Long messages of the engine are cut.
pub fn reason(results: &[ServiceResult]) -> Option<String> {
    const LONGEST: usize = 300;
    let failed = results.iter().find(|result| result.failure.is_some())?;
    let failure = failed.failure.as_ref()?;
    let container = failure.container.as_ref().map(|c| format!("{} ", c.name)).unwrap_or_default();
    let line = failure.reason.lines().next().unwrap_or_default();
    let line = of_hook(line).unwrap_or_else(|| {
        // Of a call that failed, the engine's or Compose's own word.
        let said = line.strip_prefix("docker ").and_then(|line| line.split_once(" failed: "));
        said.map_or(line, |(_, said)| said)
    });
    Some(format!("{}: {container}{line}", failed.service).chars().take(LONGEST).collect())
}

/// Which hook failed, without what it wrote: that may be a secret, and every user of the engine can read a label.
fn of_hook(line: &str) -> Option<&str> {
    let end = [" hook failed: ", " hook: "].iter().find_map(|mark| Some(line.find(mark)? + mark.len() - 2));
    line[..end?].rsplit_once("_start hook")?;
    Some(&line[..end?])
}
