//! `docker zdd history` and `docker zdd diff`.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    io::stdout,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;

use super::{Context, load, say};
use crate::{
    cli::{self, DiffArgs, HistoryArgs, HistoryFormat},
    docker::{CallError, Docker},
    exit::{Exit, Stop},
    history::{self, Document, Revision, diff, table},
    model::{Model, built_image},
    plugin::{Candidate, project_flags},
};

/// One of `--format json`. The names are stable: `history.schema.json`.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    revision: &'a Revision,
    /// It cannot be deployed again, as its definition was removed from the engine.
    pruned: bool,
}

/// Lists the revisions, or those that changed one of the named services.
pub fn history(context: &mut Context, args: &HistoryArgs) -> Result<Exit, Stop> {
    let project = context.project_name()?;
    if args.forget {
        return forget(context, &project, args);
    }
    let mut revisions = context.revisions(&project)?;
    let named = |revision: &Revision| revision.changed.iter().any(|name| args.services.contains(name));
    revisions.retain(|revision| args.services.is_empty() || named(revision));
    let pruned = match revisions.is_empty() {
        true => BTreeSet::new(),
        false => history::pruned(&revisions, &context.docker.tags(&history::repository(&project))?),
    };
    let text = match args.format {
        HistoryFormat::Table => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            table::table(&revisions, &pruned, now.as_secs())
        }
        HistoryFormat::Json => {
            let listed = |revision| Listed { revision, pruned: pruned.contains(&revision.number) };
            let newest_first: Vec<_> = revisions.iter().rev().map(listed).collect();
            format!("{}\n", serde_json::to_string_pretty(&newest_first).unwrap_or_default())
        }
    };
    say(&mut stdout(), &text);
    Ok(Exit::Done)
}

/// Removes all revisions. What a container runs from a kept image alone keeps its tag until a later rollout.
fn forget(context: &Context, project: &str, args: &HistoryArgs) -> Result<Exit, Stop> {
    let docker = context.docker.clone();
    let dry = context.flags.dry_run;
    let _lock = if dry { None } else { Some(context.lock(&docker, project, &args.lock)?) };
    let repository = history::repository(project);
    let revisions = context.revisions(project)?;
    let tags = docker.tags(&repository)?;
    let count = match revisions.len() {
        1 => "1 revision".to_owned(),
        n => format!("{n} revisions"),
    };
    let of = format!("{count} of project {project}");
    if !dry {
        docker.let_go_of_all(project)?;
        // Tags without a revision are removed by the next rollout, should this be killed in between.
        let volumes: Vec<_> = revisions.iter().map(|r| history::volume(project, r.number)).collect();
        docker.remove_volumes(&volumes).map_err(|error| {
            broken_off(error, &format!("{of} may be forgotten, their images are still there"))
        })?;
        let tags: Vec<_> = tags.keys().map(|tag| format!("{repository}:{tag}")).collect();
        docker.remove_tags(&tags).map_err(|error| {
            broken_off(error, &format!("{of} are forgotten, images of them may still be there"))
        })?;
    }
    let verb = if dry { "would forget" } else { "forgot" };
    say(&mut stdout(), &format!("{verb} {of}\n"));
    Ok(Exit::Done)
}

/// The engine was told to remove something, so it must not be said that nothing was touched.
fn broken_off(error: CallError, left: &str) -> Stop {
    Stop::after(error, left).hint("type the same again to remove what is left")
}

/// Shows what `up` would change of a revision's definitions.
pub fn diff(context: &mut Context, args: &DiffArgs) -> Result<Exit, Stop> {
    let yaml = load::config(&context.docker)?;
    let parse = |text: &str| Document::parse(text).map_err(|e| Stop::new(Exit::Error, format!("{e:#}")));
    let now = parse(&yaml)?;
    let project = Model::project_name(&yaml).map_err(|e| Stop::new(Exit::Error, format!("{e:#}")))?;
    let revisions = context.revisions(&project)?;
    let revision = chosen(&project, &revisions, args.revision)?;
    let then = context.kept_document(&project, revision.number)?.ok_or_else(|| {
        let message = format!("the definition of revision {} was removed from the engine", revision.number);
        Stop::new(Exit::Error, message)
    })?;
    let images = context.moved_images(&project, revision, &now)?;
    let text = diff::text(&then, &now, &images);
    let text = if text.is_empty() {
        format!("nothing differs between revision {} and the file\n", revision.number)
    } else {
        text
    };
    say(&mut stdout(), &text);
    Ok(Exit::Done)
}

/// The numbers to complete, the newest first. The project's name is what is typed already, or Compose's word about
/// the files that are.
pub fn candidates(docker_globals: &[OsString], words: &[OsString]) -> Option<Vec<Candidate>> {
    let flags = project_flags(&cli::command(), words);
    let typed = flags.chunks_exact(2).rfind(|pair| pair[0] == "--project-name");
    let typed = typed.and_then(|pair| pair[1].to_str().map(str::to_owned)).filter(|name| is_name(name));
    let docker = Docker::find(docker_globals.to_vec(), flags, None).ok()?;
    let project = match typed {
        Some(name) => name,
        None => Model::project_name(&docker.config(&[]).ok()?).ok()?,
    };
    let labels = docker.revision_labels(&project).ok()?;
    let mut revisions: Vec<_> = labels.iter().filter_map(|label| Revision::from_label(label)).collect();
    revisions.sort_by_key(|revision| std::cmp::Reverse(revision.number));
    Some(revisions.iter().map(|revision| (revision.number.to_string(), table::about(revision))).collect())
}

fn chosen<'r>(project: &str, revisions: &'r [Revision], number: Option<u32>) -> Result<&'r Revision, Stop> {
    let (found, message) = match number {
        Some(n) => (
            revisions.iter().find(|revision| revision.number == n),
            format!("project {project} has no revision {n}"),
        ),
        None => (history::latest_good(revisions), format!("project {project} has no good revision yet")),
    };
    found.ok_or_else(|| Stop::new(Exit::Error, message).hint("\"docker zdd history\" lists the revisions"))
}

impl Context {
    /// Service → the image of the revision and the one that the file's tag means now, where they differ.
    fn moved_images(
        &self,
        project: &str,
        revision: &Revision,
        now: &Document,
    ) -> Result<BTreeMap<String, (String, String)>, Stop> {
        let reference = |name: &str| {
            now.image(name).map_or_else(|| built_image(project, name, self.compatible()), str::to_owned)
        };
        let mut references: Vec<_> = now.services().map(|(name, _)| reference(name)).collect();
        references.sort();
        references.dedup();
        let ids = self.docker.image_ids(&references)?;
        let moved = |(name, deployed): (&String, &history::Deployed)| {
            let (old, new) = (deployed.image.as_ref()?, ids.get(&reference(name))?);
            let pair = (history::image_tag(old), history::image_tag(new));
            (old != new).then(|| (name.clone(), pair))
        };
        Ok(revision.services.iter().filter_map(moved).collect())
    }

    pub fn project_name(&mut self) -> Result<String, Stop> {
        Ok(self.project_and_file()?.0)
    }

    /// The project's name: given, or as Compose derives it from the file, which is the second then. Given, no file
    /// is needed.
    pub fn project_and_file(&mut self) -> Result<(String, Option<String>), Stop> {
        let given = self.flags.project_name.clone();
        let given = given.or_else(|| std::env::var("COMPOSE_PROJECT_NAME").ok()).filter(|n| is_name(n));
        match given {
            Some(name) => Ok((name, None)),
            None => {
                let yaml = load::config(&self.docker)?;
                let name =
                    Model::project_name(&yaml).map_err(|e| Stop::new(Exit::Error, format!("{e:#}")))?;
                Ok((name, Some(yaml)))
            }
        }
    }
}

/// Compose's rule; of any other name it complains itself.
fn is_name(name: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.bytes().next().is_some_and(word) && name.bytes().all(|b| word(b) || b == b'-' || b == b'_')
}
