//! `docker zdd init`: shows the override file, asks, writes it.

use std::{
    collections::BTreeMap,
    fs,
    io::{stderr, stdout},
    path::{Path, PathBuf},
    sync::PoisonError,
};

use super::{Context, ask::somebody_is_there, files, say};
use crate::{
    cli::{ComposeFlags, InitArgs, Planning},
    engine::Engine,
    exit::{Exit, Stop},
    init::{self, Kind, Made, Wish},
    project::Project,
    text::{clean, join},
};

/// Read by Compose without being named, beside a file of any name.
const NAME: &str = "compose.override.yaml";

/// The file to write, and what is there.
#[derive(Default)]
pub struct Target {
    /// `None` when nobody knows where: the compose file comes from a pipe.
    path: Option<PathBuf>,
    text: Option<String>,
    /// What an earlier run has written there.
    made: Option<Made>,
    /// The compose files, as Compose takes them now.
    chosen: Vec<String>,
    /// Compose takes the files that somebody names, and no others.
    named: bool,
    /// Another override file in the place where Compose looks.
    theirs: Option<PathBuf>,
}

impl Target {
    pub fn of(flags: &ComposeFlags, args: &InitArgs) -> Target {
        let (chosen, named) = (files::chosen(flags), files::are_named(flags));
        let folder = match chosen.first().map(String::as_str) {
            Some("-") => None,
            first => Some(Path::new(first.unwrap_or_default()).parent().unwrap_or(Path::new(""))),
        };
        let path = args.output.as_ref().map(PathBuf::from).or(folder.map(|folder| folder.join(NAME)));
        let text = path.as_ref().and_then(|path| fs::read_to_string(path).ok());
        let beside = folder.map(|folder| folder.join(NAME)).filter(|beside| Some(beside) == path.as_ref());
        let theirs = folder.and_then(files::override_in).filter(|_| beside.is_some() && !named);
        Target {
            made: text.as_deref().and_then(init::made),
            theirs: theirs.filter(|theirs| Some(theirs) != path.as_ref()),
            path,
            text,
            chosen,
            named,
        }
    }

    /// Compose's flags without what an earlier run has written: what is to be changed is what the others say.
    pub fn flags(&self, flags: ComposeFlags) -> ComposeFlags {
        match self.made.is_some() && self.is_read() {
            false => flags,
            true => ComposeFlags { files: self.others().cloned().collect(), ..flags },
        }
    }

    fn is(&self, file: &str) -> bool {
        let full = |path: &Path| fs::canonicalize(path).ok();
        self.path.as_ref().is_some_and(|path| {
            path == Path::new(file) || full(path).is_some_and(|path| Some(path) == full(Path::new(file)))
        })
    }

    fn others(&self) -> impl Iterator<Item = &String> {
        self.chosen.iter().filter(|file| !self.is(file))
    }

    /// Compose takes it as things are.
    fn is_read(&self) -> bool {
        self.chosen.iter().any(|file| self.is(file))
    }

    /// Where it is to be written.
    ///
    /// # Errors
    /// It is not to be touched: why, and what to write instead.
    fn writable(&self) -> Result<&Path, Stop> {
        let elsewhere = "choose another file with --output, or look at it with --stdout";
        let Some(path) = &self.path else {
            return Err(Stop::error("the compose file comes from a pipe, so there is no place beside it")
                .hint(elsewhere));
        };
        let shown = path.display();
        let problem = match (&self.theirs, &self.made) {
            (Some(theirs), _) => format!(
                "{} is there already, and Compose reads only one override file by itself",
                theirs.display()
            ),
            (_, Some(Made { edited: true, .. })) => {
                format!("{shown} was edited since \"docker zdd init\" wrote it; it stays as it is")
            }
            (_, None) if path.exists() => format!(
                "{shown} is there already, and \"docker zdd init\" did not write it; it stays as it is"
            ),
            _ => return Ok(path),
        };
        Err(Stop::error(problem).hint(elsewhere))
    }

    /// How Compose gets to know of it.
    fn to_be_named(&self, path: &Path) -> Option<String> {
        if self.is_read() || !self.named && path == self.beside() {
            return None;
        }
        let all: Vec<_> = self.others().cloned().chain([path.display().to_string()]).collect();
        let flags: String = all.iter().map(|file| format!(" -f {file}")).collect();
        Some(format!(
            "Compose reads it only when it is named: set COMPOSE_FILE={}, or write \"docker zdd{flags} up\"",
            all.join(":")
        ))
    }

    fn beside(&self) -> PathBuf {
        let first = self.chosen.first().map(Path::new).and_then(Path::parent);
        first.unwrap_or(Path::new("")).join(NAME)
    }
}

/// Makes services rollable.
///
/// # Errors
/// No usable file, an unknown service, a file that is not to be touched, nobody to ask.
pub fn init(context: &mut Context, args: &InitArgs, target: &Target) -> Result<Exit, Stop> {
    let shows = args.stdout || context.flags.dry_run;
    if !shows {
        target.writable()?;
    }
    let before = target.made.iter().flat_map(|made| made.services.clone());
    let named: Vec<_> = args.services.iter().cloned().chain(before).collect();
    let project = context.with_services(&args.services, &named)?;
    for warning in &*context.warned.lock().unwrap_or_else(PoisonError::into_inner) {
        say(&mut stderr(), &format!("warning: {}\n", clean(warning)));
    }
    let anonymous = context.anonymous_volumes(&project);
    let only_named = !args.services.is_empty();
    let wish = |proxy| Wish { project: &project, named: &named, only_named, proxy, anonymous: &anonymous };
    let how = match () {
        () if shows => How::Show,
        () if args.yes => How::Write,
        () if somebody_is_there() => How::Ask,
        () => How::Refuse,
    };
    let known = args.proxy.or(target.made.as_ref().map(|made| made.proxy));
    let is_open = how == How::Ask && init::draft(&wish(Kind::default())).fronts().next().is_some();
    let proxy = match known {
        None if is_open => context.ask_for_proxy()?,
        known => known.unwrap_or_default(),
    };
    let draft = init::draft(&wish(proxy));
    say(&mut stderr(), &draft.notes().map(|note| format!("{note}\n")).collect::<String>());
    match init::text(&project, &draft, proxy) {
        Some(text) => context.deliver(target, &text, how),
        None => {
            let left = target.made.as_ref().and(target.path.as_ref());
            let left = left.map(|path| format!("; remove {}, which says nothing any more", path.display()));
            say(&mut stderr(), &format!("there is nothing to write{}\n", left.unwrap_or_default()));
            Ok(Exit::Done)
        }
    }
}

/// What is done with the file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    Show,
    Ask,
    Write,
    /// Nobody is there to be asked.
    Refuse,
}

impl Context {
    fn deliver(&self, target: &Target, text: &str, how: How) -> Result<Exit, Stop> {
        if how == How::Show {
            say(&mut stdout(), text);
            return Ok(Exit::Done);
        }
        let path = target.writable()?;
        let shown = path.display();
        if target.text.as_deref() == Some(text) {
            say(&mut stderr(), &format!("{shown} is as it should be; nothing was written\n"));
            return Ok(Exit::Done);
        }
        say(&mut stdout(), text);
        match how {
            How::Refuse => {
                let message = format!("{shown} was not written, as nobody is there to be asked");
                return Err(Stop::error(message).hint("agree with \"docker zdd init --yes\""));
            }
            How::Ask if !is_yes(&self.ask(&format!("Write {shown}? [y/N] "))?) => {
                say(&mut stderr(), "nothing was written\n");
                return Ok(Exit::Done);
            }
            _ => fs::write(path, text)
                .map_err(|error| Stop::error(format!("cannot write {shown}: {error}")))?,
        }
        let then = target.to_be_named(path);
        let then = then.unwrap_or_else(|| "\"docker zdd plan\" shows what follows from it".to_owned());
        say(&mut stderr(), &format!("{shown} written; {then}\n"));
        Ok(Exit::Done)
    }

    /// The project. What is in no enabled profile is part of it when it is named, or was so before and is still there.
    fn with_services(&self, named: &[String], before: &[String]) -> Result<Project, Stop> {
        let draft = |services: Vec<String>| self.draft(&Planning { services, ..Planning::default() });
        let project = draft(named.to_vec())?;
        if before.iter().all(|name| project.services.contains_key(name)) {
            return Ok(project);
        }
        let known = self.docker().all_services()?;
        draft(before.iter().filter(|name| known.contains(*name)).cloned().collect())
    }

    fn ask_for_proxy(&self) -> Result<Kind, Stop> {
        let words = Kind::ALL.map(Kind::word);
        let question =
            format!("Which proxy takes the ports over: {}? [{}] ", words.join(", "), Kind::default().word());
        loop {
            match self.ask(&question)?.to_ascii_lowercase().as_str() {
                "" => return Ok(Kind::default()),
                word => match Kind::of_word(word) {
                    Some(kind) => return Ok(kind),
                    None => say(&mut stderr(), &format!("\"{word}\" is none of {}\n", join(&words))),
                },
            }
        }
    }

    /// Service → where its containers have a volume without a name. Where no engine answers, nobody knows.
    fn anonymous_volumes(&mut self, project: &Project) -> BTreeMap<String, String> {
        self.platform.docker.set_project(&project.name);
        let containers = self.docker().containers(None).unwrap_or_default();
        let running = containers.into_iter().filter(|container| container.runs());
        running.filter_map(|c| Some((c.service.clone(), c.anonymous_volumes.first()?.clone()))).collect()
    }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes")
}
