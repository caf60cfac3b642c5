//! `docker zdd rollback` on Swarm: what a revision sent is sent again.

use std::{collections::BTreeMap, sync::Arc};

use super::{super::Context, Ready, refuse_flags};
use crate::{
    app::{
        deploy::{Errand, Onlookers},
        probe,
        record::Origin,
        rollback::no_target,
    },
    cli::{Planning, RollbackArgs},
    exit::{Exit, Stop},
    keep::{self, Cause, Deployed, NoTarget, Revision},
    platform::{
        Platform,
        swarm::{HASH_LABEL, Managers, Observed, Record, Seen, Store},
    },
    project::Project,
    report::history::about,
    text::did_you_mean,
};

pub fn rollback(context: &mut Context, args: &RollbackArgs) -> Result<Exit, Stop> {
    refuse_flags(&args.pace)?;
    context.say_loading();
    let planning = args.planning();
    let (name, file) = context.project_and_file()?;
    let now = file.map(|document| context.read(document, &planning)).transpose()?;
    let page = context.open_page(&args.watching)?;
    let contexts = now.as_ref().map(|project| project.swarm.contexts.clone()).unwrap_or_default();
    let managers = context.managers(&contexts)?;
    context.platform.docker.set_project(&name);
    let lock = context.lock_unless_dry(&*managers, &name, &args.lock)?;
    let store = Store { managers: &managers, project: &name };
    let revisions = store.revisions()?;
    let observed = Observed::read(&managers, &name, revisions.clone())?;
    let revision = chosen(&name, &observed, args)?.clone();
    let record = store.record(revision.number)?.ok_or_else(|| {
        Stop::error(format!("revision {} was removed from the swarm; nothing was touched", revision.number))
            .hint("\"docker zdd history\" lists the others; --to N chooses one")
    })?;
    let project = context.as_then(&record, &planning, now)?;
    let ready = context.back_to(&managers, (project, record), observed, &planning, &revision)?;
    let probe = probe::wanted(&args.watching.probe, &ready.project.probe)?;
    let title = format!("Rollback to revision {} ({})\n", revision.number, about(&revision));
    if context.flags.dry_run {
        return Ok(context.print_plan(&ready.plan, &title));
    }
    let origin = Origin { revision, written: BTreeMap::new() };
    let errand = Errand { cause: Cause::Rollback(origin.revision.number), origin: Some(origin) };
    context.carry_out_on_swarm(ready, &errand, Onlookers { page, probe }, lock)
}

/// The revision to go back to: without a number, the newest good one before what runs that has something else.
fn chosen<'o>(project: &str, observed: &'o Observed, args: &RollbackArgs) -> Result<&'o Revision, Stop> {
    let revisions = &observed.revisions;
    let found = match args.to {
        Some(_) => keep::target(revisions, args.to, &[], &args.services),
        None => before(observed, &args.services),
    };
    let revision = found.map_err(|none| no_target(project, &none))?;
    match args.services.iter().find(|name| !revision.services.contains_key(*name)) {
        None => Ok(revision),
        Some(name) => {
            let known: Vec<_> = revision.services.keys().map(String::as_str).collect();
            let meant = did_you_mean(name, &known);
            let end = if meant.is_empty() { meant } else { format!(";{meant}") };
            Err(Stop::error(format!(
                "revision {} has no service {name}; nothing was touched{end}",
                revision.number
            )))
        }
    }
}

/// Rollbacks are walked through: after one from 3 to 2 the one before is 1, not 3.
fn before<'o>(observed: &'o Observed, asked: &[String]) -> Result<&'o Revision, NoTarget> {
    let revisions = &observed.revisions;
    let good = || revisions.iter().rev().filter(|revision| revision.is_good());
    let latest = good().next().ok_or(NoTarget::Empty)?;
    let counts = |name: &&String| asked.is_empty() || asked.contains(name);
    let runs = |revision: &&Revision| {
        // What it has not deployed says nothing of it.
        let mine = observed.services.iter().filter(|(name, _)| counts(name));
        let mut mine = mine.filter_map(|(name, seen)| Some((revision.services.get(name)?, seen))).peekable();
        let is_so = |(then, now): (&Deployed, &Seen)| now.service.label(HASH_LABEL) == Some(&then.hash);
        mine.peek().is_some() && mine.all(is_so)
    };
    let Some(current) = good().find(runs) else { return Ok(latest) };
    let origin = origin(revisions, current);
    let differs = |revision: &&Revision| {
        let services = revision.services.iter().filter(|(name, _)| counts(name));
        let of = |r: &Revision, name: &String| r.services.get(name).map(|d| (d.hash.clone(), d.replicas));
        services.into_iter().any(|(name, _)| of(revision, name) != of(current, name))
    };
    let mut earlier = good().filter(|revision| revision.number < origin);
    earlier.find(differs).ok_or(NoTarget::NothingBefore(current.number))
}

/// The number that it was first deployed as.
fn origin(revisions: &[Revision], current: &Revision) -> u32 {
    let mut from = current;
    while let Cause::Rollback(number) = from.cause
        && let Some(earlier) = revisions.iter().find(|r| r.number == number && number < from.number)
    {
        from = earlier;
    }
    from.number
}

impl Context {
    /// The project as the revision had it, rolled as the present file says.
    fn as_then(
        &mut self,
        record: &Record,
        planning: &Planning,
        now: Option<Project>,
    ) -> Result<Project, Stop> {
        self.files = crate::text::place::Files(vec![]);
        let mut project = self.read(record.document()?, planning)?;
        if let Some(now) = now {
            project.roll_as(now);
        }
        Ok(project)
    }

    fn back_to(
        &self,
        managers: &Arc<Managers>,
        (mut project, record): (Project, Record),
        observed: Observed,
        planning: &Planning,
        revision: &Revision,
    ) -> Result<Ready, Stop> {
        // Of what the revision did not deploy nobody knows more than the file says.
        project
            .services
            .retain(|name, _| record.targets.contains_key(name) && revision.services.contains_key(name));
        let request = self.request_for_swarm(&project, &observed, planning)?;
        let mut ready = self.planned(managers, project, (record.targets.clone(), vec![]), observed, &request);
        ready.named = record.kept;
        ready.swarm.preflight(&ready.project, &ready.observed, &mut ready.plan)?;
        Ok(ready)
    }
}
