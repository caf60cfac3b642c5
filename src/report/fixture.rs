//! Where the formats write to in tests.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use super::{Look, Render, Stream};
use crate::event::Sink;
pub use crate::story::fixture::*;

pub fn look(columns: usize) -> Look {
    Look { is_terminal: true, columns, rows: 24, unicode: true, ..Look::default() }
}

/// A writer whose text can be read afterwards.
#[derive(Clone, Default)]
pub struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Page {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader that went away.
pub struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

pub fn play(sink: &dyn Sink, run: &Run) {
    run.iter().for_each(|(at, event)| sink.on(ms(*at), event));
}

/// All that this format writes of a run.
pub fn written(render: Render, look: Look, run: &Run) -> String {
    let page = Page::default();
    play(&Stream::new(render, look, page.clone()), run);
    page.text()
}
