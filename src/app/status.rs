//! `docker zdd status`: the status of the project, once or again and again.

use std::{
    io::{Write, stdout},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use super::{Context, environment, load};
use crate::{
    advice,
    cli::{Ansi, Planning, StatusArgs, TableFormat},
    engine::Listener,
    event::Sink,
    exit::{Exit, Stop},
    keep::{Holder, Revision, lock},
    platform::Platform,
    project::Project,
    report::status::{Screen, json, text},
    status::{self, Scope, Status},
    wait::{Heed, Look, beside},
};

/// On a terminal: how often the ages are drawn anew, and whether the owner of the lock still lives is looked up.
const TICK: Duration = Duration::from_secs(1);
/// What no event tells of, such as an image that was built, is found out this often at the latest.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Prints the status. Exit code 0 whatever it is.
pub fn status(context: &mut Context, args: &StatusArgs) -> Result<Exit, Stop> {
    let planning = Planning { services: args.services.clone(), ..Planning::default() };
    let (project, no_file) = match context.load(&planning) {
        Ok(project) => (project, false),
        Err(stop) => (context.named_only(stop)?, true),
    };
    let viewer = Viewer { context, project, no_file, args };
    match args.watch {
        true => viewer.watch(),
        false => {
            let status = viewer.look()?;
            context.print(&viewer.shown(&status, false, environment::now()));
            Ok(Exit::Done)
        }
    }
}

impl Context {
    /// The project of the given name where there is no file, as `docker compose -p NAME ps` shows it.
    ///
    /// # Errors
    /// What stopped it, where that is something else, or no name is given.
    pub fn named_only(&mut self, stop: Stop) -> Result<Project, Stop> {
        let Some(name) = self.given_name().filter(|_| load::is_file_absent(&stop)) else { return Err(stop) };
        self.platform.docker.set_project(&name);
        Ok(Project::of_name(&name)?)
    }
}

struct Viewer<'a> {
    context: &'a Context,
    project: Project,
    no_file: bool,
    args: &'a StatusArgs,
}

impl Viewer<'_> {
    fn look(&self) -> Result<Status, Stop> {
        let (context, project) = (self.context, &self.project);
        let (lock, revisions) = self.lock_and_history()?;
        let observed = context.platform.observe(project)?;
        let foreign = observed.containers.iter().any(|c| !project.services.contains_key(&c.service));
        let scope = Scope {
            services: self.args.services.clone(),
            dormant: if foreign && !self.no_file { context.dormant(project)? } else { Default::default() },
            revisions,
            no_file: self.no_file,
        };
        let status = status::status(project, &observed, lock.as_ref(), &scope);
        Ok(Status { advice: advice::hints(&status, &observed.containers), ..status })
    }

    fn lock_and_history(&self) -> Result<(Option<Holder>, Vec<Revision>), Stop> {
        let (context, project) = (self.context, &self.project.name);
        let lock = || lock::holder(context.docker(), project);
        let (lock, revisions) = beside(lock, || context.store(project).revisions());
        Ok((lock?, revisions?))
    }

    fn shown(&self, status: &Status, one_line: bool, now: u64) -> String {
        match self.args.format {
            TableFormat::Json => json(status, one_line),
            TableFormat::Table => text(status, now, &self.context.look),
        }
    }

    /// Until Ctrl-C, or until nobody reads any more: a table that is redrawn on a terminal, elsewhere a new one
    /// whenever something changed.
    fn watch(&self) -> Result<Exit, Stop> {
        let waiter = &self.context.waiter;
        let news = Arc::new(AtomicBool::new(true));
        let _listeners = self.listeners(&news);
        let mut screen = Screen::new().filter(|_| self.is_live());
        let mut printed = None;
        let mut found: Option<(Instant, Status)> = None;
        let ended = waiter.until(None, Heed::Interrupt, || {
            let old = found.as_ref().is_none_or(|(since, _)| since.elapsed() >= LOOK_AGAIN);
            if news.swap(false, Ordering::SeqCst) || old {
                found = Some((Instant::now(), self.look()?));
                self.context.sink.pause();
            }
            let Some((_, status)) = &found else { return Ok(Look::Again(TICK)) };
            let read = match &mut screen {
                Some(screen) => screen.draw(&self.shown(status, false, environment::now())).is_ok(),
                None => self.print_news(status, &mut printed),
            };
            let again = if screen.is_some() { TICK } else { LOOK_AGAIN };
            Ok(if read { Look::Again(again) } else { Look::Done(()) })
        });
        match ended {
            Err(stop) if !waiter.is_interrupted() => Err(stop),
            _ => Ok(Exit::Done),
        }
    }

    /// Prints what is new, ages apart. False when nobody reads any more.
    fn print_news(&self, status: &Status, printed: &mut Option<String>) -> bool {
        let ageless = self.shown(status, true, 0);
        if printed.as_ref() == Some(&ageless) {
            return true;
        }
        let gap = if printed.is_none() || self.args.format == TableFormat::Json { "" } else { "\n" };
        *printed = Some(ageless);
        let mut out = stdout();
        let text = format!("{gap}{}", self.shown(status, true, environment::now()));
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
    }

    fn is_live(&self) -> bool {
        let dumb = environment::variable("TERM").is_some_and(|term| term == "dumb");
        let ansi = self.context.flags.ansi != Some(Ansi::Never);
        self.args.format == TableFormat::Table && !dumb && ansi
    }

    /// One for containers and one for the lock. Without them the look every few seconds is left.
    fn listeners(&self, news: &Arc<AtomicBool>) -> Vec<Listener> {
        let docker = self.context.docker();
        let heard = || {
            let (news, waker) = (news.clone(), self.context.waiter.waker.clone());
            move || {
                news.store(true, Ordering::SeqCst);
                waker.wake();
            }
        };
        let containers = docker.listen(heard());
        let lock = docker.listen_to_volume(&lock::name(&self.project.name), heard());
        [containers.ok(), lock.ok()].into_iter().flatten().collect()
    }
}
