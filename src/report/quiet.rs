//! Nothing, unless the run fails: then why, and what serves now.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::text::clean_lines;
use super::{put, words};
use crate::event::{Event, Sink};

pub struct Quiet<W>(Mutex<State<W>>);

struct State<W> {
    out: W,
    failures: String,
}

impl<W: Write + Send> Quiet<W> {
    pub fn new(out: W) -> Quiet<W> {
        let failures = String::new();
        Quiet(Mutex::new(State { out, failures }))
    }
}

impl<W: Write + Send> Sink for Quiet<W> {
    fn on(&self, _at: Duration, event: &Event) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Undo { service, failure } => {
                state.failures += &format!("{service}: {}\n", words::failure(failure));
                for line in words::details(failure) {
                    state.failures += &format!("  {line}\n");
                }
            }
            Event::End { exit_code, message, hint, .. } if *exit_code != 0 => {
                let mut text = std::mem::take(&mut state.failures);
                text += &last_words(message, hint.as_deref());
                put(&mut state.out, &text);
            }
            _ => {}
        }
    }
}

/// The message of the end and its hint, as every format ends.
pub fn last_words(message: &str, hint: Option<&str>) -> String {
    let mut text = clean_lines(message).join("\n") + "\n";
    if let Some(hint) = hint {
        text += &format!("hint: {}\n", clean_lines(hint).join("\n      "));
    }
    text
}
