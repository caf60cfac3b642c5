//! Turns events into what people and programs read on stderr.
//!
//! `story` gathers them, `words` says it, `rows`, `summary` and `timeline` lay it out; `plain`, `quiet`, `json` and `page`
//! make text of it, and `tty` shows it live.

pub mod doctor;
#[cfg(test)]
mod fixture;
pub mod history;
mod hub;
mod json;
mod look;
mod page;
mod plain;
mod quiet;
mod rows;
pub mod status;
mod summary;
mod timeline;
mod traffic;
mod tty;
mod words;

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::cli::Progress;
use crate::event::{Event, Sink};
use crate::story::Story;
pub use hub::Hub;
pub use look::Look;
pub use page::{About, Page};

/// Whether lines change in place.
pub fn is_live(progress: Progress, look: &Look) -> bool {
    let may = matches!(progress, Progress::Auto | Progress::Brief) && look.is_terminal;
    may || progress == Progress::Tty
}

/// The sink that writes to stderr in this format.
pub fn sink(progress: Progress, look: Look) -> Box<dyn Sink> {
    let live = is_live(progress, &look);
    let render = match progress {
        Progress::Json => json::line,
        Progress::Quiet | Progress::Brief => quiet::text,
        Progress::Auto | Progress::Tty | Progress::Plain => plain::text,
    };
    let stream = Stream::new(render, look, io::stderr());
    match live.then(|| tty::Tty::new(look)).flatten() {
        Some(live) if progress == Progress::Brief => Box::new(Brief { live, stream }),
        Some(tty) => Box::new(tty),
        None => Box::new(stream),
    }
}

/// Says that something is on its way until it is there.
struct Brief {
    live: tty::Tty,
    stream: Stream<io::Stderr>,
}

impl Sink for Brief {
    fn on(&self, at: Duration, event: &Event) {
        match event {
            Event::Loading => return self.live.on(at, event),
            Event::End(_) => self.live.pause(),
            _ => {}
        }
        self.stream.on(at, event);
    }

    fn pause(&self) {
        self.live.pause();
    }
}

/// What to write when the event has come, of which the story knows already.
type Render = fn(&Story, &Look, Duration, &Event) -> String;

/// Writes text as the events come.
struct Stream<W> {
    render: Render,
    look: Look,
    state: Mutex<(Story, W)>,
}

impl<W: Write + Send> Stream<W> {
    fn new(render: Render, look: Look, out: W) -> Stream<W> {
        Stream { render, look, state: Mutex::new((Story::default(), out)) }
    }
}

impl<W: Write + Send> Sink for Stream<W> {
    fn on(&self, at: Duration, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (story, out) = &mut *state;
        story.apply(at, event);
        put(out, &(self.render)(story, &self.look, at, event));
    }
}

/// Writes all of `text` at once, so that lines of several processes do not mix. A reader that went away
/// (`2>&1 | head`) must not stop a rollout halfway, so errors are ignored.
fn put(out: &mut impl Write, text: &str) {
    if !text.is_empty() {
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}
