//! Runs on a terminal in memory, which wraps and scrolls as a real one does.

use std::{sync::Mutex as Lock, thread, time::Instant};

use indicatif::{InMemoryTerm, TermLike};

use super::{
    super::fixture::{self, Broken, Page, Run, look, ms, play},
    *,
};

/// Lines that stay are written to the same terminal.
struct Direct(InMemoryTerm);

impl Write for Direct {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.write_str(&String::from_utf8_lossy(text).replace('\n', "\r\n"))?;
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn on(term: &InMemoryTerm, look: Look, size: Size) -> Tty {
    let target = ProgressDrawTarget::term_like(Box::new(term.clone()));
    Tty::on(look, size, target, Box::new(Direct(term.clone())))
}

/// The events after `from` until `to`.
fn play_part(tty: &Tty, run: &Run, from: Option<u64>, to: u64) {
    let part = run.iter().filter(|(at, _)| from.is_none_or(|from| *at > from) && *at <= to);
    part.for_each(|(at, event)| tty.on(ms(*at), event));
}

/// Without the frame of what turns and what the clocks show.
fn still(screen: &str) -> String {
    let frames = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏";
    let line = |line: &str| match line.trim_start().starts_with(|c| frames.contains(c)) {
        true => line.replace(|c| frames.contains(c), "⠋").rsplit_once("  ").unwrap().0.trim_end().to_owned(),
        false => line.to_owned(),
    };
    screen.lines().map(|text| line(text) + "\n").collect()
}

#[test]
fn live_lines_and_then_what_stays() {
    let term = InMemoryTerm::new(24, 60);
    let tty = on(&term, look(60), || Some((24, 60)));
    play_part(&tty, &fixture::failed(), None, 5_800);
    assert_eq!(still(&term.contents()), LIVE);
    play_part(&tty, &fixture::failed(), Some(5_800), 6_500);
    assert_eq!(still(&term.contents()), ROLLBACK);
    play_part(&tty, &fixture::failed(), Some(6_500), u64::MAX);
    let screen = term.contents();
    assert!(
        screen.starts_with("✘ app  app-4 is unhealthy after 3 failed probes\n  last probe: "),
        "{screen}"
    );
    assert!(screen.contains("\n✘ app  rolled back, serving app-1 and app-2            7.7s\n"), "{screen}");
    assert!(screen.trim_end().ends_with("serve as before.\nhint: docker compose logs app"), "{screen}");
    assert!(!screen.contains("starting again") && !screen.contains('⠋'), "{screen}");
}

#[test]
fn no_more_lines_than_the_terminal_has() {
    let term = InMemoryTerm::new(5, 40);
    let tty = on(&term, look(40), || Some((5, 40)));
    play_part(&tty, &fixture::happy(), None, 8_600);
    let screen = term.contents();
    assert_eq!(
        still(&screen),
        "✔ build  app                       3.1s\n✔ unchanged: db\n⠋ app  roll: stopping\n"
    );
}

#[test]
fn a_terminal_that_shrinks_is_followed_at_the_next_repaint() {
    static SIZE: Lock<(u16, u16)> = Lock::new((24, 60));
    let size = || Some(*SIZE.lock().unwrap());
    let term = InMemoryTerm::new(24, 60);
    let tty = on(&term, look(60), size);
    play_part(&tty, &fixture::happy(), None, 4_700);
    *SIZE.lock().unwrap() = (24, 30);
    let narrow = |screen: &str| screen.lines().all(|line| line.chars().count() < 30);
    let begun = Instant::now();
    while !narrow(&term.contents()) && begun.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(10));
    }
    assert!(narrow(&term.contents()), "{}", term.contents());
}

/// A terminal shows `^C` where the cursor is.
#[test]
fn what_the_terminal_echoes_leaves_no_trace() {
    let term = InMemoryTerm::new(24, 60);
    let tty = on(&term, look(60), || Some((24, 60)));
    play_part(&tty, &fixture::interrupted(), None, 300);
    let before = still(&term.contents());
    term.write_str("^C").unwrap();
    tty.on(ms(400), &fixture::new("app-2", fixture::waiting("starting", Some("no"), 39_900)));
    let after = still(&term.contents());
    assert!(!after.contains("^C") && after.lines().count() == before.lines().count(), "{before}\n{after}");
}

#[test]
fn what_lasts_is_written_below_each_other() {
    let page = Page::default();
    let tty = Tty::on(look(60), || None, ProgressDrawTarget::hidden(), Box::new(page.clone()));
    play(&tty, &fixture::failed());
    let text = page.text();
    assert!(text.starts_with("✘ app  app-4 is unhealthy after 3 failed probes\n  last probe: "));
    assert!(text.ends_with("serve as before.\nhint: docker compose logs app\n"));
}

#[test]
fn a_terminal_that_went_away_does_not_matter() {
    let tty = Tty::on(look(60), || None, ProgressDrawTarget::hidden(), Box::new(Broken));
    play(&tty, &fixture::failed());
    drop(tty);
    let term = InMemoryTerm::new(24, 60);
    let tty = on(&term, look(60), || None);
    play_part(&tty, &fixture::failed(), None, 5_000);
    drop(tty);
    assert_eq!(term.contents(), "", "no half-painted lines are left");
}

const LIVE: &str = "\
⠋ app  roll, batch 2 of 2: waiting for health
  - app-1  stopped (exit code 0)                       0.3s
  ✔ app-2  serving
  ✔ app-3  healthy                                     1.5s
  ✘ app-4  is unhealthy after 3 failed probes          3.0s
";

const ROLLBACK: &str = "\
✘ app  app-4 is unhealthy after 3 failed probes
  last probe: curl: (22) error: 503
              no database
  app-4  | listening on :8080
  app-4  | panic: no database
⠋ app  roll, batch 2 of 2: rolling back
  ⠋ app-1  starting again
  ✔ app-2  serving
  ✔ app-3  healthy                                     1.5s
  - app-4  stopped (exit code 1)                       0.3s
";
