//! `docker zdd rollback`: a rollout of what was deployed before.

use std::{collections::BTreeSet, path::Path};

use super::{
    Context,
    deploy::{Errand, Onlookers, purpose},
    files, probe,
    record::Origin,
};
use crate::{
    cli::{Planning, RollbackArgs},
    engine::{Container, Docker, Engine},
    exit::{Exit, Stop},
    keep::{self, Cause, Deployed, NoTarget, Revision, names},
    platform::compose::Pinned,
    project::{Document, Project, built_image},
    report::history::about,
    text::{did_you_mean, place::Files},
};

/// Deploys an earlier revision again, by the same way as `up`.
pub fn rollback(context: &mut Context, args: &RollbackArgs) -> Result<Exit, Stop> {
    context.say_loading();
    let (name, mut file) = context.project_and_file()?;
    context.platform.docker.set_project(&name);
    let page = context.open_page(&args.watching)?;
    let docker = context.docker().clone();
    let lock = context.lock_unless_dry(&docker, &name, &args.lock)?;
    if file.is_some() && lock.as_ref().is_some_and(|lock| lock.was_waited_for) {
        file = Some(context.document(&[])?);
    }
    let mut planning = args.planning();
    let origin = context.go_back(&name, args, &mut planning)?;
    let number = origin.revision.number;
    let title = format!("Rollback to revision {number} ({})\n", about(&origin.revision));
    let mut project = context.load(&planning)?;
    let file = file.or_else(|| context.file_of(&origin, &docker));
    context.roll_as_now(&mut project, file, &planning, number);
    context.begin_helpers(&project, purpose(lock.as_ref()));
    let probe = probe::wanted(&args.watching.probe, &project.probe)?;
    let ready = context.ready(project, &planning, context.flags.dry_run)?;
    context.check_host_paths(&ready).map_err(|missing| pruned(number, &missing))?;
    if context.flags.dry_run {
        return context.show_plan(ready, &title);
    }
    if args.services.is_empty() && !ready.plan.orphans.is_empty() && !ready.plan.remove_orphans {
        let orphans: Vec<_> = ready.plan.orphans.iter().map(ToString::to_string).collect();
        context.warn(format!(
            "the revision does not have what {} belongs to; it is left as it is, --remove-orphans removes it",
            orphans.join(", ")
        ));
    }
    let errand = Errand { cause: Cause::Rollback(number), origin: Some(origin) };
    context.carry_out(ready, &planning, &errand, Onlookers { page, probe }, lock)
}

impl Context {
    /// Chooses the revision, and makes every later call of Compose see the project as it was then.
    fn go_back(
        &mut self,
        project: &str,
        args: &RollbackArgs,
        planning: &mut Planning,
    ) -> Result<Origin, Stop> {
        let store = self.store(project);
        let revisions = store.revisions()?;
        let containers = self.docker().containers(None)?;
        let target = keep::target(&revisions, args.to, &containers, &args.services)
            .map_err(|none| no_target(project, &none))?
            .clone();
        if let Some(name) = args.services.iter().find(|name| !target.services.contains_key(*name)) {
            let known: Vec<_> = target.services.keys().map(String::as_str).collect();
            let meant = did_you_mean(name, &known);
            let end = if meant.is_empty() { meant } else { format!(";{meant}") };
            let message =
                format!("revision {} has no service {name}; nothing was touched{end}", target.number);
            return Err(Stop::error(message));
        }
        let document = store.document(target.number)?.ok_or_else(|| {
            pruned(target.number, "its definition was removed from the engine (an image prune does that)")
        })?;
        if planning.services.is_empty() && !target.unknown.is_empty() {
            planning.services = target.services.keys().cloned().collect();
        }
        self.files = Files(vec![]);
        self.stand_in(project, target, document, &containers, planning)
    }

    /// The present file of a project whose name was given: only one that lies where the revision came from is
    /// known to be the project's.
    fn file_of(&self, origin: &Origin, docker: &Docker) -> Option<Document> {
        let folder = files::folder(&self.flags)?;
        let then = origin.revision.directory.as_deref()?;
        let text = if Path::new(then) == folder { docker.config(&[]).ok()? } else { return None };
        Document::parse(&text).ok()
    }

    /// What leaves is of the present version, so the present file says how it leaves.
    fn roll_as_now(&self, project: &mut Project, file: Option<Document>, planning: &Planning, number: u32) {
        match file.map(|document| self.read(document, planning)) {
            Some(Ok(now)) => project.roll_as(now),
            Some(Err(error)) => self.warn(format!(
                "rolled with the settings of revision {number}, as the file has a bad one: {error}"
            )),
            None => {}
        }
    }

    /// Lets the kept image stand in wherever the tag in the definition has moved on. A service that runs exactly
    /// the revision is left as it is, although its tag means another image by now.
    fn stand_in(
        &mut self,
        project: &str,
        revision: Revision,
        mut document: Document,
        containers: &[Container],
        planning: &Planning,
    ) -> Result<Origin, Stop> {
        let repository = names::repository(project);
        let kept = self.docker().tags(&repository)?;
        let compatible = self.platform.compatible;
        let reference = |document: &Document, name: &str| {
            document.image(name).map_or_else(|| built_image(project, name, compatible), str::to_owned)
        };
        let references: BTreeSet<_> =
            revision.services.keys().map(|name| reference(&document, name)).collect();
        let now = self.docker().image_ids(&references.into_iter().collect::<Vec<_>>())?;
        document.drop_missing_label_files(|path| Path::new(path).is_file());
        let mut origin = Origin { revision, written: Default::default() };
        let Revision { services, directory, .. } = &origin.revision;
        let image = |name: &String| now.get(&reference(&document, name));
        let moved = services.iter().filter(|(name, s)| s.image.is_some() && image(name) != s.image.as_ref());
        let moved: Vec<_> = moved.collect();
        let then = self.docker().with_document(document.text(), directory.as_deref());
        let left = match planning.force_recreate {
            true => BTreeSet::new(),
            false => as_they_run(&then, &moved, containers),
        };
        let mut missing = vec![];
        for (name, deployed) in moved {
            let Some(image) = &deployed.image else { continue };
            if left.contains(name) {
                let pinned = Pinned { id: image.clone(), manifest: deployed.manifest.clone() };
                self.platform.pinned.insert(name.clone(), pinned);
            } else if let Some((tag, _)) = kept.iter().find(|(_, id)| *id == image) {
                origin.written.insert(name.clone(), document.image(name).map(str::to_owned));
                document.set_image(name, Some(&format!("{repository}:{tag}")));
            } else if planning.services.is_empty() || planning.services.contains(name) {
                missing.push(name.as_str());
            }
        }
        if !missing.is_empty() {
            let what = format!("the image of {} was removed from the engine", missing.join(", "));
            return Err(pruned(origin.revision.number, &what));
        }
        let docker = self.docker().with_document(document.text(), origin.revision.directory.as_deref());
        self.platform.docker = docker;
        Ok(origin)
    }
}

/// The services of which exactly the revision runs, also by the hash that Compose has for it now: a definition that
/// was deployed with a kept tag has another one, and so may one that was deployed by another version of Compose.
fn as_they_run(
    then: &Docker,
    services: &[(&String, &Deployed)],
    containers: &[Container],
) -> BTreeSet<String> {
    let exact = |(name, deployed): &&(&String, &Deployed)| {
        let running: Vec<_> = containers.iter().filter(|c| c.service == **name && c.is_up()).collect();
        let same = running.iter().all(|c| deployed.is(c)) && running.len() == deployed.replicas as usize;
        same && !deployed.hash_is_resolved
    };
    let mut exact = services.iter().filter(exact).peekable();
    if exact.peek().is_none() {
        return BTreeSet::new();
    }
    // What is wrong with the definition is said when it is loaded.
    let hashes = then.config_hashes(&[]).unwrap_or_default();
    exact.filter(|(name, s)| hashes.get(*name) == Some(&s.hash)).map(|(name, _)| (*name).clone()).collect()
}

fn pruned(number: u32, what: &str) -> Stop {
    Stop::error(format!("revision {number} cannot be deployed again: {what}; nothing was touched"))
        .hint("\"docker zdd history\" lists the others; --to N chooses one")
}

pub fn no_target(project: &str, none: &NoTarget) -> Stop {
    let list = "\"docker zdd history\" lists the revisions";
    match none {
        NoTarget::Empty => Stop::error(format!(
            "project {project} has no good revision to go back to; nothing was touched"
        )),
        // Number 0 is what ran before it.
        NoTarget::NothingBefore(1) => Stop::error(
            "revision 1 is deployed, and what ran before it is not recorded; nothing was touched",
        )
        .hint("what another tool has deployed is recorded where nothing but its image differs from the file"),
        NoTarget::NothingBefore(number) => Stop::error(format!(
            "revision {number} is deployed, and there is no good one before it that differs; nothing was touched"
        ))
        .hint(list),
        NoTarget::Unknown(number) => {
            Stop::error(format!("project {project} has no revision {number}; nothing was touched")).hint(list)
        }
        NoTarget::Failed(number, reason) => {
            let why = reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            Stop::error(format!("revision {number} did not succeed{why}; nothing was touched"))
                .hint(format!("choose a good one: {list}"))
        }
    }
}
