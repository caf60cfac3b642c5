//! One page about a run, to be opened in a browser: complete in itself, dark and light, without a script and
//! without anything from elsewhere. Whatever a program printed is escaped.

mod html;
mod picture;

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use self::html::{Facts, Refusal, Told};
use super::{Look, plain::Plain, summary::Summary, traffic::Traffic};
use crate::event::{Event, Sink};

/// The plain log on the page is as wide as this.
const LOG_COLUMNS: usize = 100;

/// A service's settings: key, value, where it was written.
pub type Settings = (String, Vec<(String, String, String)>);

/// Gathers the events and writes the page at the last one.
#[derive(Clone)]
pub struct Page(Arc<Mutex<State>>);

struct State {
    path: PathBuf,
    summary: Summary,
    facts: Facts,
    log: Plain<Buffer>,
    text: Buffer,
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Buffer {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.bytes().write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Page {
    /// Makes sure that the file can be written, and leaves alone what is in it until there is something to write.
    ///
    /// # Errors
    /// It cannot be.
    pub fn open(path: &Path) -> io::Result<Page> {
        open(path)?;
        let text = Buffer::default();
        let look =
            Look { stderr_is_terminal: false, columns: LOG_COLUMNS, rows: 0, color: false, unicode: true };
        let state = State {
            path: path.to_owned(),
            summary: Summary::default(),
            facts: Facts { begun: SystemTime::now(), ..Facts::default() },
            log: Plain::new(text.clone(), look),
            text,
        };
        Ok(Page(Arc::new(Mutex::new(state))))
    }

    pub fn settings(&self, settings: Vec<Settings>) {
        self.state().facts.settings = settings;
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
        let mut state = self.state();
        state.summary.record(at, event);
        state.log.on(at, event);
        state.facts.record(at, event);
        if let Event::End { .. } = event {
            state.write();
        }
    }
}

impl State {
    /// A disk that has filled up since must not change how the run ends.
    fn write(&self) {
        let log = String::from_utf8_lossy(&self.text.bytes()).into_owned();
        let page = html::page(&self.facts, &self.summary, &log);
        let _ = open(&self.path).and_then(|mut file| {
            // Not truncated at the opening: what is there stays until it is replaced.
            if file.metadata()?.is_file() {
                file.set_len(0)?;
            }
            file.write_all(page.as_bytes())
        });
    }
}

impl Facts {
    fn record(&mut self, at: Duration, event: &Event) {
        match event {
            Event::Planned { project, services } => {
                self.project.clone_from(project);
                self.services.extend(services.iter().map(|service| Told::of(service.clone())));
            }
            Event::ServiceEnd { service, outcome, serving, took } => {
                if let Some(told) = self.services.iter_mut().find(|told| told.plan.service == *service) {
                    told.end = Some((*outcome, serving.clone(), *took));
                }
            }
            Event::Refused { service, failure, undo } => {
                let (service, failure) = (service.clone(), failure.clone());
                self.refusals.push(Refusal { at, service, failure, undo: *undo });
            }
            Event::Warning { service, message } => self.warnings.push((service.clone(), message.clone())),
            Event::ProbeBegin { url, rate, max_failures } => {
                self.probe = Some(super::words::probe(url, *rate, *max_failures));
            }
            Event::ProbeEnd { .. } => self.traffic = Traffic::of(event),
            Event::End { exit_code, message, hint, took } => {
                self.end = (*exit_code, message.clone(), hint.clone(), *took);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
