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
            Event::Refused { service, failure, .. } => {
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

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, Broken, Page, play};
    use super::*;

    fn shown(run: &fixture::Run) -> String {
        let page = Page::default();
        play(&Quiet::new(page.clone()), run);
        page.text()
    }

    #[test]
    fn success_is_silent() {
        assert_eq!(shown(&fixture::happy()), "");
        assert_eq!(shown(&fixture::interleaved()), "");
    }

    #[test]
    fn failure_says_why_and_what_serves() {
        assert_eq!(shown(&fixture::failed()), FAILED);
        play(&Quiet::new(Broken), &fixture::failed());
    }

    const FAILED: &str = r"app: app-4 is unhealthy after 3 failed probes
  last probe: curl: (22) error: 503
              no database
  app-4  | listening on :8080
  app-4  | panic: no database
The new app failed; app-1 and app-2 serve as before.
hint: docker compose logs app
";
}
