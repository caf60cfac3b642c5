//! `docker zdd status`: how the project stands, once or again and again.

use std::{
    io::{IsTerminal, Write, stdout},
    panic::resume_unwind,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::{Context, say};
use crate::{
    cli::{Ansi, Planning, StatusArgs, StatusFormat},
    docker::Listener,
    exit::{Exit, Stop},
    history::Revision,
    lock,
    model::Model,
    plan::Observed,
    report::status::{Screen, json, text},
    status::{self, Holder, Scope, Status},
};

/// On a terminal: how often the ages are drawn anew, and whether the owner of the lock still lives is looked up.
const TICK: Duration = Duration::from_secs(1);
/// What no event tells of, such as an image that was built, is found out this often at the latest.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Prints the status. Exit code 0 whatever it is.
pub fn status(context: &mut Context, args: &StatusArgs) -> Result<Exit, Stop> {
    let planning = Planning { services: args.services.clone(), ..Planning::default() };
    let model = context.load(&planning)?;
    let mut viewer = Viewer { context, model, args };
    match args.watch {
        true => viewer.watch(),
        false => {
            let status = viewer.look()?;
            say(&mut stdout(), &viewer.shown(&status, false, now()));
            Ok(Exit::Done)
        }
    }
}

struct Viewer<'a> {
    context: &'a Context,
    model: Model,
    args: &'a StatusArgs,
}

impl Viewer<'_> {
    fn look(&self) -> Result<Status, Stop> {
        let (context, model) = (self.context, &self.model);
        let (lock, revisions) = self.lock_and_history()?;
        let observed = context.observe(model)?;
        let foreign = observed.containers.iter().any(|c| !model.services.contains_key(&c.service));
        let scope = Scope {
            services: self.args.services.clone(),
            dormant: if foreign { context.dormant(model)? } else { Default::default() },
            revisions,
        };
        Ok(status::status(model, &observed, lock.as_ref(), &scope))
    }

    /// Two calls that need not wait for each other.
    fn lock_and_history(&self) -> Result<(Option<Holder>, Vec<Revision>), Stop> {
        let (context, project) = (self.context, &self.model.project);
        thread::scope(|scope| {
            let revisions = scope.spawn(|| context.revisions(project));
            let lock = lock::holder(&context.docker, project);
            let revisions = revisions.join().unwrap_or_else(|panic| resume_unwind(panic));
            Ok((lock?, revisions?))
        })
    }

    fn shown(&self, status: &Status, one_line: bool, now: u64) -> String {
        match self.args.format {
            StatusFormat::Json => json(status, one_line),
            StatusFormat::Table => text(status, now),
        }
    }

    /// Until Ctrl-C, or until nobody reads any more: a table that is redrawn on a terminal, elsewhere a new one
    /// whenever something changed.
    fn watch(&mut self) -> Result<Exit, Stop> {
        let _listeners = self.listeners();
        let mut screen = self.is_live().then(Screen::default);
        let mut told = None;
        while !self.context.interrupt.requested() {
            let heard = self.context.bell.heard();
            let status = match self.look() {
                Err(_) if self.context.interrupt.requested() => break,
                status => status?,
            };
            let read = match &mut screen {
                Some(screen) => self.draw_until(screen, &status, heard),
                None => self.tell_news(&status, &mut told, heard),
            };
            if !read {
                break;
            }
        }
        Ok(Exit::Done)
    }

    /// Redraws with new ages until something may have changed. False when nobody reads any more.
    fn draw_until(&self, screen: &mut Screen, status: &Status, heard: u64) -> bool {
        for _ in 0..LOOK_AGAIN.as_secs() / TICK.as_secs() {
            if !put(&screen.frame(&self.shown(status, false, now()), size())) {
                return false;
            }
            self.context.bell.wait(heard, TICK);
            if self.context.bell.heard() != heard || self.context.interrupt.requested() {
                break;
            }
        }
        true
    }

    /// Prints what is new, older ages apart, and sleeps until something may have changed. False when nobody reads any more.
    fn tell_news(&self, status: &Status, told: &mut Option<String>, heard: u64) -> bool {
        let ageless = self.shown(status, true, 0);
        let gap = if told.is_none() || self.args.format == StatusFormat::Json { "" } else { "\n" };
        let read =
            told.as_ref() == Some(&ageless) || put(&format!("{gap}{}", self.shown(status, true, now())));
        *told = Some(ageless);
        if read {
            self.context.bell.wait(heard, LOOK_AGAIN);
        }
        read
    }

    fn is_live(&self) -> bool {
        let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        let ansi = self.context.flags.ansi != Some(Ansi::Never);
        self.args.format == StatusFormat::Table && stdout().is_terminal() && !dumb && ansi
    }

    /// One for containers and one for the lock. Without them the look every few seconds is left.
    fn listeners(&self) -> Vec<Listener> {
        let (docker, bell) = (&self.context.docker, &self.context.bell);
        let (of_containers, of_lock) = (bell.clone(), bell.clone());
        let containers = docker.listen(move || of_containers.ring());
        let volume = lock::volume(&self.model.project);
        let lock = docker.listen_to_volume(&volume, move || of_lock.ring());
        [containers.ok(), lock.ok()].into_iter().flatten().collect()
    }
}

impl Context {
    fn observe(&self, model: &Model) -> Result<Observed, Stop> {
        let images = self.image_ids(model)?;
        let containers = self.docker.containers(None)?;
        let outdated = self.outdated(model, &containers);
        Ok(Observed { containers, images, outdated })
    }
}

/// False when nobody reads.
fn put(text: &str) -> bool {
    let mut out = stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
}

/// Columns and rows of the terminal; 0 when unknown.
fn size() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(stdout()).ok();
    size.map_or((0, 0), |size| (size.ws_col.into(), size.ws_row.into()))
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
