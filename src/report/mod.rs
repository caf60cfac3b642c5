//! Turns events into what people and programs read on stderr.
//!
//! `words` says it, `board` and `summary` lay it out (all three pure), `plain`, `quiet`, `json` and `tty` write it.

mod board;
pub mod doctor;
#[cfg(test)]
mod fixture;
mod hub;
mod json;
mod page;
mod plain;
mod quiet;
mod row;
pub mod status;
mod summary;
mod text;
mod timeline;
mod traffic;
mod tty;
mod words;

use std::io::{self, Write};

use crate::event::Sink;
pub use hub::Hub;
pub use page::Page;

/// How a run reports, as `--progress` names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `Tty` on a terminal, `Plain` elsewhere.
    #[default]
    Auto,
    /// Live lines that change in place; `Plain` where the terminal cannot do that.
    Tty,
    /// One line per event.
    Plain,
    /// One JSON object per event.
    Json,
    /// Nothing, unless the run fails.
    Quiet,
}

/// What the output can show. The caller has asked the environment (`NO_COLOR`, `--ansi`, `TERM`, `LANG`).
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub stderr_is_terminal: bool,
    /// 0 when unknown.
    pub columns: usize,
    /// Height of the terminal, 0 when unknown.
    pub rows: usize,
    pub color: bool,
    /// The locale is UTF-8: block characters, check marks and the ellipsis can be shown.
    pub unicode: bool,
}

/// The sink that writes to stderr in this format.
pub fn sink(format: Format, look: Look) -> Box<dyn Sink> {
    match format {
        Format::Auto if look.stderr_is_terminal => live(look),
        Format::Tty => live(look),
        Format::Auto | Format::Plain => Box::new(plain::Plain::new(io::stderr(), look)),
        Format::Json => Box::new(json::Json::new(io::stderr())),
        Format::Quiet => Box::new(quiet::Quiet::new(io::stderr())),
    }
}

fn live(look: Look) -> Box<dyn Sink> {
    match tty::Tty::new(look) {
        Some(tty) => Box::new(tty),
        None => Box::new(plain::Plain::new(io::stderr(), look)),
    }
}

/// Writes all of `text` at once, so that lines of several processes do not mix. A reader that went away
/// (`2>&1 | head`) must not stop a rollout halfway, so errors are ignored.
fn put(out: &mut impl Write, text: &str) {
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
