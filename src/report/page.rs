//! One page about a run, to be opened in a browser: complete in itself, dark and light, without a script and
//! without anything from elsewhere. Whatever a program printed is escaped.

mod html;
mod picture;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Look, plain};
use crate::event::{Event, Sink};
use crate::story::Story;

/// A service's settings: key, value, where it was written.
pub type Settings = (String, Vec<(String, String, String)>);

/// Where a run came from. What is not known is empty.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// As it was typed, without secrets.
    pub command: String,
    /// `user@host`
    pub who: String,
    /// The machine of the engine.
    pub engine: String,
    pub folder: String,
    pub commit: String,
}

/// Gathers the events and writes the page at the last one.
#[derive(Clone)]
pub struct Page(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    path: PathBuf,
    /// Seconds since 1970.
    begun: u64,
    story: Story,
    settings: Vec<Settings>,
    about: About,
    /// What the plain format says.
    log: String,
}

impl Page {
    /// Makes sure that the file can be written, and leaves alone what is in it until there is something to write.
    ///
    /// # Errors
    /// It cannot be.
    pub fn open(path: &Path, begun: u64) -> io::Result<Page> {
        open(path)?;
        Ok(Page(Arc::new(Mutex::new(State { path: path.to_owned(), begun, ..State::default() }))))
    }

    pub fn settings(&self, settings: Vec<Settings>) {
        self.state().settings = settings;
    }

    pub fn about(&self, about: About) {
        self.state().about = about;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

impl Sink for Page {
    fn on(&self, at: Duration, event: &Event) {
        let state = &mut *self.state();
        state.story.apply(at, event);
        let look = Look { columns: 100, unicode: true, ..Look::default() };
        state.log += &plain::text(&state.story, &look, at, event);
        if let Some(end) = &state.story.end {
            // A disk that has filled up since must not change how the run ends.
            let _ = replace(&state.path, &html::page(state, end));
        }
    }
}

/// What is there stays until now.
fn replace(path: &Path, page: &str) -> io::Result<()> {
    let mut file = open(path)?;
    if file.metadata()?.is_file() {
        file.set_len(0)?;
    }
    file.write_all(page.as_bytes())
}

#[cfg(test)]
mod tests;
