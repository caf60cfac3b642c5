//! `docker zdd history` and `docker zdd diff`.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    io::stderr,
};

use serde::Serialize;

use super::{Context, environment, say};
use crate::{
    cli::{self, DiffArgs, HistoryArgs, Planning, TableFormat},
    engine::{CallError, Engine},
    exit::{Exit, Stop},
    helper,
    keep::{self, Deployed, Revision, Store, diff, names},
    plugin::{Candidate, project_flags},
    project::{Document, built_image},
    report::history::{about, table},
    text::{count, did_you_mean},
};

/// One of `--format json`. The names are stable: `history.schema.json`.
#[derive(Serialize)]
pub struct Listed<'a> {
    #[serde(flatten)]
    pub revision: &'a Revision,
    /// It cannot be deployed again, as its definition was removed from the engine.
    pub pruned: bool,
}

/// Lists the revisions, or those that changed one of the named services.
pub fn history(context: &mut Context, args: &HistoryArgs) -> Result<Exit, Stop> {
    let project = context.project_and_file()?.0;
    if args.forget {
        return forget(context, &project, args);
    }
    let store = context.store(&project);
    let mut revisions = store.revisions()?;
    let unknown = unknown(&revisions, &args.services);
    let named = |revision: &Revision| revision.changed.iter().any(|name| args.services.contains(name));
    revisions.retain(|revision| args.services.is_empty() || named(revision));
    let pruned = match revisions.is_empty() {
        true => BTreeSet::new(),
        false => keep::pruned(&revisions, &store.tags()?),
    };
    let text = match args.format {
        TableFormat::Table => table(&revisions, &pruned, environment::now(), &context.look),
        TableFormat::Json => {
            let listed = |revision| Listed { revision, pruned: pruned.contains(&revision.number) };
            let newest_first: Vec<_> = revisions.iter().rev().map(listed).collect();
            format!("{}\n", serde_json::to_string_pretty(&newest_first).unwrap_or_default())
        }
    };
    context.print(&text);
    unknown.iter().for_each(|line| say(&mut stderr(), line));
    Ok(Exit::Done)
}

/// A service that no revision has may not have been meant.
pub fn unknown(revisions: &[Revision], named: &[String]) -> Vec<String> {
    let known: BTreeSet<_> = revisions.iter().flat_map(|r| r.services.keys().chain(&r.changed)).collect();
    let known: Vec<_> = known.into_iter().map(String::as_str).collect();
    let unknown = named.iter().filter(|name| !known.is_empty() && !known.contains(&name.as_str()));
    let line = |name: &String| {
        let meant = did_you_mean(name, &known);
        format!("no revision has a service {name}{}{meant}\n", if meant.is_empty() { "" } else { ";" })
    };
    unknown.map(line).collect()
}

/// Removes all revisions.
fn forget(context: &Context, project: &str, args: &HistoryArgs) -> Result<Exit, Stop> {
    let docker = context.docker().clone();
    let _lock = context.lock_unless_dry(&docker, project, &args.lock)?;
    let store = context.store(project);
    let revisions = store.revisions()?;
    let of = format!("{} of project {project}", count(revisions.len(), "revision"));
    let dry = context.flags.dry_run;
    if !dry {
        // The engine was asked to remove something, so it must not be said that nothing was touched.
        store.forget_all(&revisions).map_err(|error| {
            Stop::after(error, &format!("{of} may be forgotten, images of them may still be there"))
                .hint("run the same command again to remove the rest")
        })?;
        // With the last of what the plugin has on this engine. A rollout that needs it makes it again.
        if docker.labels_of_volumes(names::LABEL, names::LABEL).is_ok_and(|left| left.is_empty()) {
            let _ = helper::remove_images(&docker);
        }
    }
    let verb = if dry { "would forget" } else { "forgot" };
    context.print(&format!("{verb} {of}\n"));
    Ok(Exit::Done)
}

/// Shows what `up` would change of a revision's definitions.
pub fn diff(context: &mut Context, args: &DiffArgs) -> Result<Exit, Stop> {
    let now = context.document(&[])?;
    let project = now.name().to_owned();
    let store = context.store(&project);
    let revisions = store.revisions()?;
    let revision = chosen(&project, &revisions, args.revision)?;
    let then = store.document(revision.number)?.ok_or_else(|| {
        let message = format!("the definition of revision {} was removed from the engine", revision.number);
        Stop::error(message)
    })?;
    let images = context.moved_images(&project, revision, &now)?;
    let text = diff::text(&then, &now, &images);
    let text = if text.is_empty() {
        format!("nothing differs between revision {} and the file\n", revision.number)
    } else {
        text
    };
    context.print(&text);
    Ok(Exit::Done)
}

/// The numbers to complete, the newest first. The project's name is what is typed already, or Compose's word about
/// the files that are.
pub fn candidates(docker_globals: &[OsString], words: &[OsString]) -> Option<Vec<Candidate>> {
    let flags = project_flags(&cli::command(), words);
    let typed = flags.chunks_exact(2).rfind(|pair| pair[0] == "--project-name");
    let typed = typed.and_then(|pair| pair[1].to_str().map(str::to_owned)).filter(|name| is_name(name));
    let docker = super::docker(docker_globals.to_vec(), flags, None).ok()?;
    let project = match typed {
        Some(name) => name,
        None => Document::parse(&docker.config(&[]).ok()?).ok()?.name().to_owned(),
    };
    let revisions = Store { docker: &docker, project: &project }.revisions().ok()?;
    Some(revisions.iter().rev().map(|revision| (revision.number.to_string(), about(revision))).collect())
}

pub fn chosen<'r>(
    project: &str,
    revisions: &'r [Revision],
    number: Option<u32>,
) -> Result<&'r Revision, Stop> {
    let (found, message) = match number {
        Some(n) => (
            revisions.iter().find(|revision| revision.number == n),
            format!("project {project} has no revision {n}"),
        ),
        None => (keep::latest_good(revisions), format!("project {project} has no good revision yet")),
    };
    found.ok_or_else(|| Stop::error(message).hint("\"docker zdd history\" lists the revisions"))
}

impl Context {
    /// Service → the image of the revision and the one that the file's tag means now, where they differ.
    fn moved_images(
        &self,
        project: &str,
        revision: &Revision,
        now: &Document,
    ) -> Result<BTreeMap<String, (String, String)>, CallError> {
        let compatible = self.platform.compatible;
        let reference = |name: &str| {
            now.image(name).map_or_else(|| built_image(project, name, compatible), str::to_owned)
        };
        let references: BTreeSet<_> = now.services().map(|(name, _)| reference(name)).collect();
        let ids = self.docker().image_ids(&Vec::from_iter(references))?;
        let moved = |(name, deployed): (&String, &Deployed)| {
            let (old, new) = (deployed.image.as_ref()?, ids.get(&reference(name))?);
            let pair = (names::image_tag(old), names::image_tag(new));
            (old != new).then(|| (name.clone(), pair))
        };
        Ok(revision.services.iter().filter_map(moved).collect())
    }

    /// The project's name, where it is typed or set.
    pub fn given_name(&self) -> Option<String> {
        let typed = self.flags.project_name.clone();
        typed.or_else(|| environment::variable("COMPOSE_PROJECT_NAME")).filter(|name| is_name(name))
    }

    /// The project's name, and the contexts of a swarm's managers.
    pub fn project_and_contexts(&self) -> Result<(String, Vec<String>), Stop> {
        let (name, document) = self.project_and_file()?;
        let document =
            document.or_else(|| self.docker().config(&[]).ok().and_then(|text| Document::parse(&text).ok()));
        Ok((name, document.map(|document| self.contexts_of(document)).unwrap_or_default()))
    }

    /// Those that the file names. Whoever needs the file says what is wrong with it.
    pub fn contexts_of(&self, document: Document) -> Vec<String> {
        let project = self.read(document, &Planning::default());
        project.map(|project| project.swarm.contexts).unwrap_or_default()
    }

    /// The project's name: given, or as Compose derives it from the file, which is the second then. Given, no file
    /// is needed.
    pub fn project_and_file(&self) -> Result<(String, Option<Document>), Stop> {
        match self.given_name() {
            Some(name) => Ok((name, None)),
            None => {
                let document = self.document(&[])?;
                Ok((document.name().to_owned(), Some(document)))
            }
        }
    }
}

/// Compose's rule; of any other name it complains itself.
fn is_name(name: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.bytes().next().is_some_and(word) && name.bytes().all(|b| word(b) || b == b'-' || b == b'_')
}
