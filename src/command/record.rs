//! Writes a rollout down on the engine when it is over.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Result;

use super::{Context, checkout, files, planning::Ready};
use crate::{
    docker::{CallError, Problem},
    event::{Event, Outcome, Verdict},
    history::{self, Cause, Deployed, Document, Ending, Revision},
    interrupt::Urgency,
    lock::Owner,
    model::Service,
    observed::Container,
    rollout::ServiceResult,
};

/// What a run is about, for its revision.
#[derive(Default)]
pub struct Deed {
    pub cause: Cause,
    /// Of a rollback.
    pub origin: Option<Origin>,
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
    /// The project's revisions, oldest first.
    pub fn revisions(&self, project: &str) -> Result<Vec<Revision>, CallError> {
        let labels = self.docker.revision_labels(project)?;
        let mut revisions: Vec<_> = labels.iter().filter_map(|label| Revision::from_label(label)).collect();
        if revisions.is_empty() && labels.iter().any(|label| !label.is_empty()) {
            let problem = Problem::Garbage("nothing of it is a revision".to_owned());
            return Err(CallError { call: "docker volume ls".to_owned(), problem });
        }
        revisions.sort_by_key(|revision| revision.number);
        Ok(revisions)
    }

    /// A document without a revision is what a killed run has left, and may go; unless the list of revisions is short.
    fn check_list(
        &self,
        project: &str,
        revisions: &[Revision],
        tags: &BTreeMap<String, String>,
    ) -> Result<()> {
        let listed = |number: &u32| revisions.iter().any(|revision| revision.number == *number);
        let unlisted = tags.keys().filter_map(|tag| history::document_number(tag)).filter(|n| !listed(n));
        for number in unlisted {
            let volume = self.docker.volume_labels(&history::volume(project, number))?;
            anyhow::ensure!(volume.is_none(), "\"docker volume ls\" does not tell of revision {number}");
        }
        Ok(())
    }

    /// Records a rollout that changed something, and returns its number. Its outcome stands, whether or not this
    /// succeeds.
    pub fn record(
        &self,
        ready: &Ready,
        results: &[ServiceResult],
        scaled: &[String],
        deed: &Deed,
    ) -> Option<u32> {
        let changed = changed(ready, results);
        if changed.is_empty() || self.interrupt.urgency() == Urgency::Twice {
            return None;
        }
        match self.try_record(ready, results, changed, scaled, deed) {
            Ok(number) => Some(number),
            Err(error) => {
                let message = format!("this rollout is missing in the history: {error:#}");
                self.tell(Event::Warning { service: None, message });
                None
            }
        }
    }

    fn try_record(
        &self,
        ready: &Ready,
        results: &[ServiceResult],
        changed: Vec<String>,
        scaled: &[String],
        deed: &Deed,
    ) -> Result<u32> {
        let project = &ready.model.project;
        let repository = history::repository(project);
        let mut revisions = self.revisions(project)?;
        let mut tags = self.docker.tags(&repository)?;
        self.check_list(project, &revisions, &tags)?;
        let outcome = results.iter().map(|r| Ending::from(r.outcome)).max().unwrap_or_default();
        let document = self.document(ready, scaled, deed)?;
        let deployment = match outcome {
            Ending::Done => self.as_deployed(ready, results, &changed, document, &revisions, deed)?,
            _ => as_wanted(ready, document),
        };
        let revision = Revision {
            number: revisions.last().map_or(1, |last| last.number + 1),
            outcome,
            reason: reason(results),
            changed,
            services: deployment.services,
            unknown: deployment.unknown,
            ..self.beginnings(deed)
        };
        if revision.is_good() {
            self.keep_images(&revision, &repository, &mut tags)?;
        }
        let tag = history::document_tag(revision.number);
        let reference = format!("{repository}:{tag}");
        if tags.remove(&tag).is_some() {
            // A run was killed before its revision was whole: an import would leave that image without a name,
            // for ever.
            self.docker.remove_tags(std::slice::from_ref(&reference))?;
        }
        self.docker.keep_file(&reference, history::document::FILE, &deployment.document.text())?;
        let labels = [(history::PROJECT_LABEL, project.clone()), (history::LABEL, revision.label())];
        let labels = labels.map(|(key, value)| format!("{key}={value}"));
        self.docker.create_volume(&history::volume(project, revision.number), &labels)?;
        let number = revision.number;
        revisions.push(revision);
        self.forget(project, &repository, &revisions, &tags);
        Ok(number)
    }

    /// Who, when, from where.
    fn beginnings(&self, deed: &Deed) -> Revision {
        let here = Owner::here();
        let folder = files::folder(&self.flags);
        let origin = deed.origin.as_ref().map(|origin| &origin.revision);
        Revision {
            cause: deed.cause,
            time: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            seconds: (self.began.elapsed().as_secs_f64() * 10.0).round() / 10.0,
            who: format!("{}@{}", here.user, here.host),
            commit: match origin {
                Some(origin) => origin.commit.clone(),
                None => folder.as_deref().and_then(checkout::commit),
            },
            directory: match origin {
                Some(origin) => origin.directory.clone(),
                None => folder.and_then(|folder| folder.to_str().map(str::to_owned)),
            },
            ..Revision::default()
        }
    }

    /// The project as this run had it, with the counts that flags gave.
    fn document(&self, ready: &Ready, scaled: &[String], deed: &Deed) -> Result<Document> {
        let mut document = Document::default();
        for (i, text) in self.configs.iter().enumerate() {
            let next = Document::parse(text)?;
            match i {
                0 => document = next,
                _ => document.extend(&next),
            }
        }
        for name in scaled {
            document.set_replicas(name, ready.model.services.get(name).map_or(1, |s| s.replicas));
        }
        for (name, image) in deed.origin.iter().flat_map(|origin| &origin.written) {
            document.set_image(name, image.as_deref());
        }
        Ok(document)
    }

    /// A run may have left services alone that the file has changed: those are as an earlier revision has them.
    fn as_deployed(
        &self,
        ready: &Ready,
        results: &[ServiceResult],
        changed: &[String],
        mut document: Document,
        revisions: &[Revision],
        deed: &Deed,
    ) -> Result<Deployment> {
        let (mut services, mut unknown) = (BTreeMap::new(), vec![]);
        let mut read: BTreeMap<u32, Option<Document>> = BTreeMap::new();
        for (name, service) in &ready.model.services {
            if results.iter().any(|result| result.service == *name && result.deviates) {
                unknown.push(name.clone());
                continue;
            }
            if changed.contains(name) || is_found_as_wanted(ready, service) {
                let written = written(deed, name);
                services.insert(name.clone(), Deployed { written, ..deployed(service, ready) });
                continue;
            }
            match self.found_earlier(ready, name, revisions, &mut read)? {
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
        ready: &Ready,
        name: &str,
        revisions: &[Revision],
        read: &mut BTreeMap<u32, Option<Document>>,
    ) -> Result<Option<(Deployed, Document)>> {
        let mine: Vec<_> = ready.observed.containers.iter().filter(|c| c.service == name).collect();
        let Some((number, deployed)) = history::of_service(revisions, name, &mine) else { return Ok(None) };
        if let Entry::Vacant(place) = read.entry(number) {
            place.insert(self.kept_document(&ready.model.project, number)?);
        }
        Ok(read[&number].clone().map(|document| (deployed.clone(), document)))
    }

    /// The project as a revision deployed it; `None` when somebody has removed its image.
    pub fn kept_document(&self, project: &str, number: u32) -> Result<Option<Document>> {
        let reference = format!("{}:{}", history::repository(project), history::document_tag(number));
        let holder = history::holder(project, number);
        let text = self.docker.kept_file(&reference, history::document::FILE, &holder)?;
        text.map(|text| Document::parse(&text)).transpose()
    }

    fn keep_images(
        &self,
        revision: &Revision,
        repository: &str,
        tags: &mut BTreeMap<String, String>,
    ) -> Result<()> {
        let images: BTreeSet<_> = revision.services.values().filter_map(|s| s.image.clone()).collect();
        for image in images {
            if !tags.values().any(|id| *id == image) {
                let tag = history::image_tag(&image);
                self.docker.tag(&image, &format!("{repository}:{tag}"))?;
                tags.insert(tag, image);
            }
        }
        Ok(())
    }

    /// Removes what no revision that is kept needs, also what a run that was killed has left.
    fn forget(
        &self,
        project: &str,
        repository: &str,
        revisions: &[Revision],
        tags: &BTreeMap<String, String>,
    ) {
        let forgotten = history::forgotten(revisions);
        let kept: Vec<_> = revisions.iter().filter(|r| !forgotten.contains(&r.number)).collect();
        let needed = |(tag, id): &(&String, &String)| {
            let document = kept.iter().any(|r| **tag == history::document_tag(r.number));
            let runs = |s: &Deployed| s.image.as_ref() == Some(*id);
            document || kept.iter().filter(|r| r.is_good()).any(|r| r.services.values().any(runs))
        };
        let tags: Vec<_> =
            tags.iter().filter(|pair| !needed(pair)).map(|(tag, _)| format!("{repository}:{tag}")).collect();
        let volumes: Vec<_> = forgotten.iter().map(|number| history::volume(project, *number)).collect();
        let removed = self.docker.remove_volumes(&volumes).and_then(|()| self.docker.remove_tags(&tags));
        if let Err(error) = removed {
            let message = format!("old revisions could not be removed: {error}");
            self.tell(Event::Warning { service: None, message });
        }
    }
}

/// The services that the plan wanted to change, and that were begun.
fn changed(ready: &Ready, results: &[ServiceResult]) -> Vec<String> {
    let begun = |name: &String| {
        let result = results.iter().find(|result| result.service == *name);
        result.is_some_and(|r| !matches!(r.outcome, Outcome::Unchanged | Outcome::Skipped))
    };
    let changes = ready.plan.services.iter().filter(|plan| plan.verdict != Verdict::Unchanged);
    changes.map(|plan| plan.service.clone()).filter(begun).collect()
}

/// The hash of a service's definition as the revision that is gone back to has it written.
fn written(deed: &Deed, name: &str) -> Option<String> {
    let origin = deed.origin.as_ref().filter(|origin| origin.written.contains_key(name))?;
    Some(origin.revision.services.get(name)?.definition().to_owned())
}

fn as_wanted(ready: &Ready, document: Document) -> Deployment {
    let all = ready.model.services.iter();
    let services = all.map(|(name, service)| (name.clone(), deployed(service, ready))).collect();
    Deployment { document, services, unknown: vec![] }
}

fn deployed(service: &Service, ready: &Ready) -> Deployed {
    Deployed {
        hash: service.hash.clone(),
        hash_is_resolved: service.hash_is_resolved,
        image: ready.observed.images.get(&service.name).cloned().filter(|_| !service.provider),
        replicas: service.replicas,
        written: None,
    }
}

/// Whether this run found the service as the model wants it.
fn is_found_as_wanted(ready: &Ready, service: &Service) -> bool {
    if service.provider || service.replicas == 0 {
        return true;
    }
    let mine: Vec<_> = ready.observed.containers.iter().filter(|c| c.service == service.name).collect();
    let outdated = ready.observed.outdated.get(&service.name);
    let image = ready.observed.images.get(&service.name);
    let is_wanted = |c: &&Container| {
        let same = c.config_hash == service.hash || outdated.is_some_and(|names| !names.contains(&c.name));
        same && image.is_none_or(|image| c.is_of_image(image))
    };
    let telling = history::telling(&mine);
    !telling.is_empty() && telling.iter().all(is_wanted)
}

/// Why it did not end well, in one line. Long messages of the engine are cut.
fn reason(results: &[ServiceResult]) -> Option<String> {
    const LONGEST: usize = 300;
    let failed = results.iter().find(|result| result.failure.is_some())?;
    let failure = failed.failure.as_ref()?;
    let container = failure.container.as_ref().map(|c| format!("{} ", c.name)).unwrap_or_default();
    let line = failure.reason.lines().next().unwrap_or_default();
    let line = of_hook(line).unwrap_or_else(|| {
        // Of a call that failed, the engine's or Compose's own word.
        line.split_once("\" failed: ").map_or(line, |(_, said)| said)
    });
    Some(format!("{}: {container}{line}", failed.service).chars().take(LONGEST).collect())
}

/// Which hook failed, without what it wrote: that may be a secret, and every user of the engine can read a label.
fn of_hook(line: &str) -> Option<&str> {
    let end = [" hook failed: ", " hook: "].iter().find_map(|mark| Some(line.find(mark)? + mark.len() - 2));
    line[..end?].rsplit_once("_start hook")?;
    Some(&line[..end?])
}
