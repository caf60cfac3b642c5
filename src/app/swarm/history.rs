//! `docker zdd history` and `docker zdd diff` on Swarm.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{
    Context, environment,
    history::{Listed, chosen, unknown},
    say,
};
use crate::{
    cli::{DiffArgs, HistoryArgs, TableFormat},
    exit::{Exit, Stop},
    keep::diff as differences,
    platform::swarm::Store,
    report::history::table,
    text::count,
};

/// Lists the revisions, or those that changed one of the named services.
pub fn history(context: &mut Context, args: &HistoryArgs) -> Result<Exit, Stop> {
    let (project, contexts) = context.project_and_contexts()?;
    let managers = context.managers(&contexts)?;
    let store = Store { managers: &managers, project: &project };
    if args.forget {
        let _lock = context.lock_unless_dry(&*managers, &project, &args.lock)?;
        return forget(context, &store);
    }
    let mut revisions = store.revisions()?;
    let unknown = unknown(&revisions, &args.services);
    revisions.retain(|revision| {
        args.services.is_empty() || revision.changed.iter().any(|name| args.services.contains(name))
    });
    let pruned = BTreeSet::new();
    let text = match args.format {
        TableFormat::Table => table(&revisions, &pruned, environment::now(), &context.look),
        TableFormat::Json => {
            let newest_first: Vec<_> =
                revisions.iter().rev().map(|revision| Listed { revision, pruned: false }).collect();
            format!("{}\n", serde_json::to_string_pretty(&newest_first).unwrap_or_default())
        }
    };
    context.print(&text);
    unknown.iter().for_each(|line| say(&mut std::io::stderr(), line));
    Ok(Exit::Done)
}

fn forget(context: &Context, store: &Store) -> Result<Exit, Stop> {
    let revisions = store.revisions()?;
    let of = format!("{} of project {}", count(revisions.len(), "revision"), store.project);
    let dry = context.flags.dry_run;
    if !dry {
        store.forget_all().map_err(|error| {
            Stop::after(error, &format!("{of} may be forgotten"))
                .hint("run the same command again to remove the rest")
        })?;
    }
    context.print(&format!("{} {of}\n", if dry { "would forget" } else { "forgot" }));
    Ok(Exit::Done)
}

/// Shows what `up` would change of a revision's definitions.
pub fn diff(context: &mut Context, args: &DiffArgs) -> Result<Exit, Stop> {
    let now = context.document(&[])?;
    let project = now.name().to_owned();
    let contexts = context.contexts_of(now.clone());
    let managers = context.managers(&contexts)?;
    let store = Store { managers: &managers, project: &project };
    let revisions = store.revisions()?;
    let revision = chosen(&project, &revisions, args.revision)?;
    let record = store
        .record(revision.number)?
        .ok_or_else(|| Stop::error(format!("revision {} was removed from the swarm", revision.number)))?;
    let mut then = record.document()?;
    // The digests are zdd's own.
    let names: Vec<_> = then.services().map(|(name, _)| name.clone()).collect();
    for name in names {
        let plain = then.image(&name).map(|image| image.split('@').next().unwrap_or_default().to_owned());
        if now.image(&name).is_some_and(|image| !image.contains('@')) {
            then.set_image(&name, plain.as_deref());
        }
    }
    let text = differences::text(&then, &now, &BTreeMap::new());
    context.print(&match text.is_empty() {
        true => format!("nothing differs between revision {} and the file\n", revision.number),
        false => text,
    });
    Ok(Exit::Done)
}
