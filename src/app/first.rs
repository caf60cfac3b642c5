//! Revision 0: what ran before the first rollout, so that there is something to go back to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::Result;

use super::{Context, deploy::Ready, files, images::Work, undo::are_alike};
use crate::{
    engine::{Container, Local, container::WORKING_DIR_LABEL},
    event::Outcome,
    keep::{Cause, Deployed, Revision, names},
    platform::compose::Observed,
    project::{Document, Project, Service},
    text::{date, join},
};

/// What runs of a service.
struct Found<'a> {
    service: &'a Service,
    containers: Vec<&'a Container>,
    /// It runs as the file says, whatever image its tag means by now.
    as_written: bool,
}

impl Found<'_> {
    /// Whether the rollout brings something else.
    fn is_another(&self, ready: &Ready) -> bool {
        let image = ready.observed.images.get(&self.service.name);
        let same = image.is_some_and(|image| self.containers[0].is_of_image(image));
        !(self.as_written && same) || self.containers.len() != self.service.replicas as usize
    }

    fn deployed(&self) -> Deployed {
        let one = self.containers[0];
        let hash = match self.as_written {
            true => &self.service.definition.hash,
            false => &one.config_hash,
        };
        Deployed {
            hash: hash.clone(),
            hash_is_resolved: self.as_written && self.service.definition.is_resolved,
            image: Some(one.engine_image().to_owned()),
            manifest: (one.image_id != one.engine_image_id).then(|| one.image_id.clone()),
            reference: Some(one.image.clone()),
            replicas: self.containers.len() as u32,
            ..Deployed::default()
        }
    }
}

impl Context {
    /// Records what runs, unless there is a history already; whether it did. Nothing may have been touched yet.
    pub fn record_first(&self, ready: &Ready) -> bool {
        let found: Vec<_> =
            ready.project.services.values().filter_map(|service| found(service, ready)).collect();
        let may_be_known = |one: &Found| one.as_written || has_another_image(one, &ready.project.document);
        // To go back to what is deployed anyway nobody needs it.
        if !found.iter().any(|one| one.is_another(ready) && may_be_known(one)) {
            return false;
        }
        self.try_record_first(ready, found).unwrap_or_else(|error| {
            self.warn(format!("what runs now is not recorded in the history: {error:#}"));
            false
        })
    }

    /// An index is gone as soon as its tag moves on, whatever runs from it (Engine 28.5): before a build or a pull moves it
    /// for the first time, it gets the name by which revision 0 keeps it. Service and name; without one there is no revision 0.
    pub fn name_indexes(
        &self,
        project: &Project,
        work: &Work,
        local: &BTreeMap<String, Local>,
    ) -> Vec<(String, String)> {
        let store = self.store(&project.name);
        let fetched = work.build.iter().chain(&work.pull).filter_map(|name| project.services.get(name));
        let indexes = fetched.filter_map(|service| {
            let image = local.get(&service.image.reference).filter(|image| image.index_for.is_some())?;
            let name = format!("{}:{}", store.repository(), names::image_tag(&image.id));
            Some((service, name))
        });
        let mut indexes = indexes.peekable();
        if indexes.peek().is_none() || !store.revisions().is_ok_and(|revisions| revisions.is_empty()) {
            return vec![];
        }
        let tag = |(service, name): (&Arc<Service>, String)| {
            self.docker().tag(&service.image.reference, &name).ok().map(|()| (service.name.clone(), name))
        };
        indexes.filter_map(tag).collect()
    }

    /// Takes the names away again where the same was built, or nothing runs.
    pub fn forget_names(&self, project: &Project, observed: &Observed, named: Vec<(String, String)>) {
        let is_needed = |(service, _): &(String, String)| {
            let wanted = project.services.get(service).map(|service| observed.wanted(service));
            let mut mine = observed.containers.iter().filter(|c| c.service == *service);
            wanted.is_some_and(|wanted| mine.any(|c| !wanted.has_image(c)))
        };
        let unneeded: Vec<_> =
            named.into_iter().filter(|one| !is_needed(one)).map(|(_, name)| name).collect();
        // What stays goes with the next revision.
        let _ = self.docker().remove_tags(&unneeded);
    }

    fn try_record_first(&self, ready: &Ready, found: Vec<Found>) -> Result<bool> {
        let store = self.store(&ready.project.name);
        if !store.revisions()?.is_empty() {
            return Ok(false);
        }
        let changed = found.iter().filter(|one| has_another_image(one, &ready.project.document));
        let changed: Vec<_> = changed.filter(|one| !one.as_written).map(|one| one.containers[0]).collect();
        let former = self.with_former_images(&ready.project, &changed);
        let (mut document, proven) =
            former.unwrap_or_else(|| (ready.project.document.clone(), BTreeSet::new()));
        let (known, lost): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|one| one.as_written || proven.contains(&one.service.name));
        if !known.iter().any(|one| one.is_another(ready)) {
            return Ok(false);
        }
        for one in &known {
            if one.containers.len() as u32 != one.service.replicas {
                document.set_replicas(&one.service.name, one.containers.len() as u32);
            }
        }
        for one in &lost {
            document.take_service(&one.service.name, &ready.project.document);
        }
        let _ = store.add(vec![], self.first(ready, &known), &document)?;
        if !lost.is_empty() {
            let names: Vec<_> = lost.iter().map(|one| one.service.name.as_str()).collect();
            self.warn(format!(
                "revision 0, which is what ran so far, does not have {}: more than the image of {} has changed",
                join(&names),
                if names.len() == 1 { "it" } else { "them" }
            ));
        }
        Ok(true)
    }

    fn first(&self, ready: &Ready, known: &[Found]) -> Revision {
        let services: BTreeMap<_, _> =
            known.iter().map(|one| (one.service.name.clone(), one.deployed())).collect();
        let containers = || known.iter().flat_map(|one| &one.containers);
        let folder = containers().find_map(|c| c.labels.get(WORKING_DIR_LABEL).cloned());
        let here = || files::folder(&self.flags)?.to_str().map(str::to_owned);
        let unknown = ready.project.services.keys().filter(|name| !services.contains_key(*name));
        Revision {
            cause: Cause::Found,
            time: containers().filter_map(|c| date::seconds(&c.started_at)).max().unwrap_or_default(),
            outcome: Outcome::Done,
            changed: services.keys().cloned().collect(),
            unknown: unknown.cloned().collect(),
            directory: folder.or_else(here),
            services,
            ..Revision::default()
        }
    }
}

/// `None` where nothing runs of it, or more than one version.
fn found<'a>(service: &'a Service, ready: &'a Ready) -> Option<Found<'a>> {
    let mine: Vec<_> = ready.observed.containers.iter().filter(|c| c.service == service.name).collect();
    let ran = mine.iter().any(|c| c.runs()) || service.may_end();
    if !ran || mine.is_empty() || !are_alike(&mine) {
        return None;
    }
    let wanted = ready.observed.wanted(service);
    let as_written = mine.iter().all(|c| wanted.has_configuration(c));
    Some(Found { service, containers: mine, as_written })
}

/// Then that may be all that has changed.
fn has_another_image(one: &Found, document: &Document) -> bool {
    document.image(&one.service.name) != Some(&one.containers[0].image)
}
