//! `docker zdd rollback` and `docker zdd restart`: rollouts of what is, or was, deployed.

use std::{collections::BTreeSet, path::Path};

use super::{
    Context, files, load,
    planning::Ready,
    probe,
    record::{Deed, Origin},
    up::Watch,
};
use crate::{
    cli::{Planning, RestartArgs, RollbackArgs},
    docker::Docker,
    event::{Event, Verdict},
    exit::{Exit, Stop},
    history::{self, Cause, Deployed, Document, NoTarget, Revision, table},
    model::{Model, built_image},
    observed::{Container, State},
    place::Files,
    plan,
};

/// Deploys an earlier revision again, by the same way as `up`.
pub fn rollback(context: &mut Context, args: &RollbackArgs) -> Result<Exit, Stop> {
    let (project, mut file) = context.project_and_file()?;
    context.docker.set_project(&project);
    let page = context.open_page(&args.watching)?;
    let docker = context.docker.clone();
    let lock = context.lock_unless_dry(&docker, &project, &args.lock)?;
    if file.is_some() && lock.as_ref().is_some_and(|lock| lock.was_waited_for) {
        file = Some(load::config(&docker)?);
    }
    let mut planning = args.planning();
    let deed = context.go_back(&project, args, &mut planning)?;
    let mut model = context.load(&planning)?;
    let file = file.or_else(|| context.file_of(&deed, &docker));
    context.roll_as_now(&mut model, file.as_deref(), &planning, &deed);
    let probe = probe::wanted(&args.watching.probe, &model.probe)?;
    let ready = context.ready(model, &planning, context.flags.dry_run)?;
    context.check_host_paths(&ready.plan).map_err(|missing| pruned(number(&deed), &missing))?;
    if context.flags.dry_run {
        return context.show_plan(ready, &format!("Rollback to {}\n", said(&deed)));
    }
    if args.services.is_empty() && !ready.plan.orphans.is_empty() && !ready.plan.remove_orphans {
        let names: Vec<_> = ready.plan.orphans.iter().map(|orphan| orphan.name.as_str()).collect();
        let message = format!(
            "the revision does not have what {} belongs to; it is left as it is, --remove-orphans removes it",
            names.join(", ")
        );
        context.tell(Event::Warning { service: None, message });
    }
    context.go(ready, &planning, &deed, Watch { page, probe }, lock)
}

/// Replaces containers by new ones of the same version.
pub fn restart(context: &mut Context, args: &RestartArgs) -> Result<Exit, Stop> {
    let mut planning = args.planning();
    let page = context.open_page(&args.watching)?;
    let docker = context.docker.clone();
    let (model, probe, lock) = context.load_alone(&docker, &planning, &args.watching, &args.lock)?;
    if planning.services.is_empty() {
        // A job has run; to run it again is to be asked for by its name.
        let serving = model.services.values().filter(|service| !service.one_shot && !service.provider);
        planning.services = serving.map(|service| service.name.clone()).collect();
    }
    let mut ready = context.ready(model, &planning, context.flags.dry_run)?;
    refuse_changes(&ready, &planning)?;
    ready.request.force = true;
    ready.plan = plan::plan(&ready.model, &ready.observed, &ready.request);
    match context.flags.dry_run {
        true => context.show_plan(ready, ""),
        false => {
            let deed = Deed { cause: Cause::Restart, origin: None };
            context.go(ready, &planning, &deed, Watch { page, probe }, lock)
        }
    }
}

/// A restart deploys no change: neither a definition, nor an image, nor a count.
fn refuse_changes(ready: &Ready, planning: &Planning) -> Result<(), Stop> {
    let asked = ready.plan.services.iter().filter(|plan| planning.services.contains(&plan.service));
    let crashed = |name: &str| ready.observed.containers.iter().any(|c| c.service == name && !is_up(c));
    let differs = |plan: &&plan::ServicePlan| match plan.verdict {
        Verdict::Unchanged | Verdict::Blocked => false,
        Verdict::Scale => !crashed(&plan.service),
        Verdict::Create => !plan.one_shot,
        Verdict::Roll | Verdict::Recreate => true,
    };
    let differing: Vec<_> =
        asked.filter(differs).map(|plan| format!("{} ({})", plan.service, plan.reason)).collect();
    match differing.is_empty() {
        true => Ok(()),
        false => Err(Stop::new(
            Exit::Refused,
            format!(
                "a restart deploys no change, and what runs is not what the file says: {}; nothing was touched",
                differing.join(", ")
            ),
        )
        .hint("\"docker zdd diff\" shows what changed, \"docker zdd up\" deploys it")),
    }
}

fn is_up(container: &Container) -> bool {
    matches!(container.state, State::Running | State::Restarting | State::Paused)
}

impl Context {
    /// Chooses the revision, and makes every later call of Compose see the project as it was then.
    fn go_back(&mut self, project: &str, args: &RollbackArgs, planning: &mut Planning) -> Result<Deed, Stop> {
        let revisions = self.revisions(project)?;
        let containers = self.docker.containers(None)?;
        let target = history::target(&revisions, args.to, &containers, &args.services)
            .map_err(|none| no_target(project, &none))?
            .clone();
        if let Some(name) = args.services.iter().find(|name| !target.services.contains_key(*name)) {
            let message = format!("revision {} has no service {name}; nothing was touched", target.number);
            return Err(Stop::new(Exit::Error, message));
        }
        let document = self.kept_document(project, target.number)?.ok_or_else(|| {
            pruned(target.number, "its definition was removed from the engine (an image prune does that)")
        })?;
        if planning.services.is_empty() && !target.unknown.is_empty() {
            planning.services = target.services.keys().cloned().collect();
        }
        let origin = self.stand_in(project, target, document, &containers, planning)?;
        self.files = Files(vec![]);
        Ok(Deed { cause: Cause::Rollback(origin.revision.number), origin: Some(origin) })
    }

    /// The present file of a project whose name was given: only one that lies where the revision came from is
    /// known to be the project's.
    fn file_of(&self, deed: &Deed, docker: &Docker) -> Option<String> {
        let folder = files::folder(&self.flags)?;
        let then = deed.origin.as_ref()?.revision.directory.as_deref()?;
        if Path::new(then) == folder { docker.config(&[]).ok() } else { None }
    }

    /// What leaves is of the present version, so the present file says how it leaves.
    fn roll_as_now(&self, model: &mut Model, file: Option<&str>, planning: &Planning, deed: &Deed) {
        let Some(Err(error)) = file.map(|yaml| self.roll_as_in(model, yaml, planning)) else { return };
        let number = number(deed);
        let message =
            format!("rolled with the settings of revision {number}, as the file has a bad one: {error:#}");
        self.tell(Event::Warning { service: None, message });
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
        let repository = history::repository(project);
        let kept = self.docker.tags(&repository)?;
        let reference = |document: &Document, name: &str| {
            document.image(name).map_or_else(|| built_image(project, name, self.compatible()), str::to_owned)
        };
        let references: BTreeSet<_> =
            revision.services.keys().map(|name| reference(&document, name)).collect();
        let now = self.docker.image_ids(&references.into_iter().collect::<Vec<_>>())?;
        document.drop_missing_label_files(|path| Path::new(path).is_file());
        let mut origin = Origin { revision, written: Default::default() };
        let Revision { services, directory, .. } = &origin.revision;
        let image = |name: &String| now.get(&reference(&document, name));
        let moved = services.iter().filter(|(name, s)| s.image.is_some() && image(name) != s.image.as_ref());
        let moved: Vec<_> = moved.collect();
        let then = self.docker.with_document(document.text(), directory.as_deref());
        let left = match planning.force_recreate {
            true => BTreeSet::new(),
            false => as_they_run(&then, &moved, containers),
        };
        let mut missing = vec![];
        for (name, deployed) in moved {
            let Some(image) = &deployed.image else { continue };
            if left.contains(name) {
                self.pinned.insert(name.clone(), image.clone());
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
        self.docker = self.docker.with_document(document.text(), origin.revision.directory.as_deref());
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
        let running: Vec<_> = containers.iter().filter(|c| c.service == **name && is_up(c)).collect();
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

fn said(deed: &Deed) -> String {
    let revision = deed.origin.as_ref().map(|origin| &origin.revision);
    revision.map(|r| format!("revision {} ({})", r.number, table::about(r))).unwrap_or_default()
}

fn number(deed: &Deed) -> u32 {
    deed.origin.as_ref().map_or(0, |origin| origin.revision.number)
}

fn error(message: &str) -> Stop {
    Stop::new(Exit::Error, message)
}

fn pruned(number: u32, what: &str) -> Stop {
    error(&format!("revision {number} cannot be deployed again: {what}; nothing was touched"))
        .hint("\"docker zdd history\" lists the others; --to N chooses one")
}

fn no_target(project: &str, none: &NoTarget) -> Stop {
    let list = "\"docker zdd history\" lists the revisions";
    match none {
        NoTarget::Empty => error(&format!(
            "project {project} has no good revision to go back to; nothing was touched"
        )),
        NoTarget::NothingBefore(number) => error(&format!(
            "revision {number} is deployed, and there is no good one before it that differs; nothing was touched"
        ))
        .hint(list),
        NoTarget::Unknown(number) => {
            error(&format!("project {project} has no revision {number}; nothing was touched")).hint(list)
        }
        NoTarget::Failed(number, reason) => {
            let why = reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
            error(&format!("revision {number} did not go well{why}; nothing was touched"))
                .hint(format!("choose a good one: {list}"))
        }
    }
}
