//! Paints the board on a terminal and repaints it as time goes by.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::board::Board;
use super::{Look, put};
use crate::event::{Event, Sink};

/// Between two repaints: a spinner that turns, a countdown that does not stutter.
const TICK: Duration = Duration::from_millis(100);

pub struct Tty(Arc<Mutex<Screen>>);

struct Screen {
    board: Board,
    /// One bar holds all lines, so that a repaint shows either all of the old or all of the new ones.
    bar: ProgressBar,
    /// The terminal, for lines that stay.
    out: Box<dyn Write + Send>,
    /// Of the terminal when it was last asked: columns and rows.
    size: Option<(usize, usize)>,
    /// The last event's time, by the run's clock and by ours.
    clock: (Duration, Instant),
    /// The last event was painted, or nobody is left to send one.
    over: bool,
}

impl Tty {
    /// None where stderr cannot be repainted.
    pub fn new(look: Look) -> Option<Tty> {
        let target = ProgressDrawTarget::stderr();
        (!target.is_hidden()).then(|| Tty::on(look, target, Box::new(io::stderr())))
    }

    fn on(look: Look, target: ProgressDrawTarget, out: Box<dyn Write + Send>) -> Tty {
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        let (board, clock) = (Board::new(look), (Duration::ZERO, Instant::now()));
        let screen = Screen { board, bar, out, size: size(), clock, over: false };
        let screen = Arc::new(Mutex::new(screen));
        tick(Arc::downgrade(&screen));
        Tty(screen)
    }
}

/// Repaints until the screen is over or gone. A system without a thread to spare gets a still picture.
fn tick(screen: Weak<Mutex<Screen>>) {
    let paint = move || {
        while let Some(screen) = screen.upgrade() {
            let mut screen = lock(&screen);
            if screen.over {
                return;
            }
            screen.paint();
            drop(screen);
            thread::sleep(TICK);
        }
    };
    let _ = thread::Builder::new().name("report".to_owned()).spawn(paint);
}

fn lock(screen: &Mutex<Screen>) -> MutexGuard<'_, Screen> {
    screen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sink for Tty {
    fn on(&self, at: Duration, event: &Event) {
        lock(&self.0).on(at, event);
    }
}

impl Drop for Tty {
    /// A run that ends without its last event leaves no half-painted lines.
    fn drop(&mut self) {
        lock(&self.0).finish();
    }
}

impl Screen {
    fn on(&mut self, at: Duration, event: &Event) {
        self.clock = (at, Instant::now());
        let lasting = self.board.apply(at, event);
        if let Event::End { .. } = event {
            self.finish();
            return print(&mut self.out, &self.board.closing(event));
        }
        if !lasting.is_empty() {
            self.bar.suspend(|| print(&mut self.out, &lasting));
        }
        self.paint();
    }

    /// The cursor waits at the start of an empty last line: a `^C` that the terminal echoes lands there and
    /// does not push the lines up, out of reach of the next repaint.
    fn paint(&mut self) {
        self.follow_size();
        let (at, seen) = self.clock;
        let mut lines = self.board.lines(at + seen.elapsed());
        if lines.is_empty() {
            return;
        }
        lines.push(String::new());
        self.bar.set_message(lines.join("\n"));
        put(&mut self.out, "\r");
    }

    /// Only a change counts: what the caller said of the first size (`COLUMNS`) stands until then.
    fn follow_size(&mut self) {
        let now = size();
        if let Some((columns, rows)) = now.filter(|_| now != self.size) {
            self.board.resize(columns, rows);
            self.size = now;
        }
    }

    fn finish(&mut self) {
        if !std::mem::replace(&mut self.over, true) {
            self.bar.finish_and_clear();
        }
    }
}

fn size() -> Option<(usize, usize)> {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok()?;
    Some((size.ws_col.into(), size.ws_row.into()))
}

fn print(out: &mut impl Write, lines: &[String]) {
    put(out, &(lines.join("\n") + "\n"));
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, Page, look, play};
    use super::*;

    #[test]
    fn what_lasts_is_written_below_each_other() {
        let page = Page::default();
        let tty = Tty::on(look(60), ProgressDrawTarget::hidden(), Box::new(page.clone()));
        play(&tty, &fixture::failed());
        let text = page.text().replace('\r', "");
        assert!(text.starts_with("✘ app  app-4 is unhealthy after 3 failed probes\n  last probe: "));
        assert!(text.ends_with("serve as before.\nhint: docker compose logs app\n"));
    }

    #[test]
    fn the_ticker_ends_with_the_last_event_or_with_the_sink() {
        let tty = Tty::on(look(60), ProgressDrawTarget::hidden(), Box::new(fixture::Broken));
        let screen = Arc::downgrade(&tty.0);
        drop(tty);
        let begun = Instant::now();
        while screen.upgrade().is_some() && begun.elapsed() < Duration::from_secs(10) {
            thread::sleep(Duration::from_millis(5));
        }
        assert!(screen.upgrade().is_none());
    }
}
