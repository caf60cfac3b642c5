//! Nothing, unless the run fails: then why, and what serves now.

use std::time::Duration;

use super::{Look, words};
use crate::event::Event;
use crate::story::Story;

pub fn text(story: &Story, look: &Look, _at: Duration, _event: &Event) -> String {
    if story.end.as_ref().is_none_or(|end| end.exit_code == 0) {
        return String::new();
    }
    let failures = story.services.iter().flat_map(|service| {
        service.failures.iter().map(|(_, failure, _)| {
            let details = words::details(failure, look).into_iter().map(|line| format!("  {line}\n"));
            format!("{}: {}\n{}", service.name, words::failure(failure), details.collect::<String>())
        })
    });
    failures.collect::<String>() + &words::last(story)
}

#[cfg(test)]
mod tests {
    use super::super::{
        Stream,
        fixture::{self, Broken, look, play, written},
    };
    use super::*;

    #[test]
    fn success_is_silent() {
        for run in [fixture::happy(), fixture::interleaved()] {
            assert_eq!(written(text, look(60), &run), "");
        }
    }

    #[test]
    fn failure_says_why_and_what_serves() {
        assert_eq!(written(text, look(60), &fixture::failed()), FAILED);
        play(&Stream::new(text, look(60), Broken), &fixture::failed());
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
