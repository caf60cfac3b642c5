//! `docker zdd status` on Swarm.

use super::super::{Context, environment};
use crate::{
    cli::{Planning, StatusArgs, TableFormat},
    event::Sink,
    exit::{Exit, Stop},
    keep::lock,
    platform::swarm::{
        Managers, Observed, Store,
        stack::{Options, convert},
        targets,
    },
    project::Project,
    report::status::{json, text},
    status::{Status, swarm::status as of_swarm},
    wait::{Heed, Look},
};

/// How often it is looked at again.
const LOOK: std::time::Duration = std::time::Duration::from_secs(2);

/// Prints the status. Exit code 0 whatever it is.
pub fn status(context: &mut Context, args: &StatusArgs) -> Result<Exit, Stop> {
    let planning = Planning { services: args.services.clone(), ..Planning::default() };
    let project = match context.draft(&planning) {
        Ok(project) => project,
        Err(stop) => context.named_only(stop)?,
    };
    let managers = context.managers(&project.swarm.contexts)?;
    if !args.watch {
        let status = context.look_at_swarm(&managers, &project, args)?;
        context.print(&shown(context, &status, args, false));
        return Ok(Exit::Done);
    }
    let waiter = context.waiter.clone();
    let waker = waiter.waker.clone();
    let _listener = managers.current().listen_to_swarm(move || waker.wake()).ok();
    let mut printed = String::new();
    let ended = waiter.until(None, Heed::Interrupt, || {
        let status = context.look_at_swarm(&managers, &project, args)?;
        let ageless = json(&status, true);
        if ageless != printed {
            context.sink.pause();
            context.print(&shown(context, &status, args, true));
            printed = ageless;
        }
        Ok::<Look<()>, Stop>(Look::Again(LOOK))
    });
    match ended {
        Err(stop) if !waiter.is_interrupted() => Err(stop),
        _ => Ok(Exit::Done),
    }
}

fn shown(context: &Context, status: &Status, args: &StatusArgs, one_line: bool) -> String {
    match args.format {
        TableFormat::Json => json(status, one_line),
        TableFormat::Table => text(status, environment::now(), &context.look),
    }
}

impl Context {
    fn look_at_swarm(
        &self,
        managers: &Managers,
        project: &Project,
        args: &StatusArgs,
    ) -> Result<Status, Stop> {
        let holder = lock::holder(managers, &project.name)?;
        let revisions = Store { managers, project: &project.name }.revisions()?;
        let observed = Observed::read(managers, &project.name, revisions)?;
        let sources = self.sources(project);
        let mut pinned = project.clone();
        // A registry need not be asked to say what runs: what is known by a digest is the same image.
        for (name, seen) in &observed.services {
            let service = project.services.get(name);
            if let Some(running) = service.and_then(|service| seen.pinned(&service.image.reference)) {
                pinned.document.set_image(name, Some(running));
            }
        }
        // What cannot be transformed is compared with nothing.
        let stack = convert(&pinned.document, &Options::of(&pinned, &sources)).unwrap_or_default();
        let targets = targets(&stack, &observed.counts(), observed.next_number());
        Ok(of_swarm(&pinned, &targets, &observed, holder.as_ref(), &args.services))
    }
}
