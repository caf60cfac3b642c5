//! Paints the board on a terminal and repaints it as time goes by.

use std::io;
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
    /// The last event's time, by the run's clock and by ours.
    clock: (Duration, Instant),
    /// The last event was painted, or nobody is left to send one.
    over: bool,
}

impl Tty {
    /// None where stderr cannot be repainted.
    pub fn new(look: Look) -> Option<Tty> {
        let target = ProgressDrawTarget::stderr();
        (!target.is_hidden()).then(|| Tty::on_target(look, target))
    }

    fn on_target(look: Look, target: ProgressDrawTarget) -> Tty {
        let bar = ProgressBar::with_draw_target(None, target);
        let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        bar.set_style(style);
        let clock = (Duration::ZERO, Instant::now());
        let screen = Arc::new(Mutex::new(Screen { board: Board::new(look), bar, clock, over: false }));
        tick(Arc::downgrade(&screen));
        Tty(screen)
    }
}

/// Repaints until the screen is over or gone. A system without a thread to spare gets a still picture.
fn tick(screen: Weak<Mutex<Screen>>) {
    let paint = move || {
        while let Some(screen) = screen.upgrade() {
            let screen = lock(&screen);
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
            return print(&self.board.closing(event));
        }
        if !lasting.is_empty() {
            self.bar.suspend(|| print(&lasting));
        }
        self.paint();
    }

    fn paint(&self) {
        let (at, seen) = self.clock;
        let lines = self.board.lines(at + seen.elapsed());
        self.bar.set_message(lines.join("\n"));
    }

    fn finish(&mut self) {
        if !std::mem::replace(&mut self.over, true) {
            self.bar.finish_and_clear();
        }
    }
}

fn print(lines: &[String]) {
    put(&mut io::stderr(), &(lines.join("\n") + "\n"));
}
