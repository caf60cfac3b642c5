//! Live lines on a terminal: each is a progress bar of indicatif's, which turns, counts and repaints it.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::rows::{self, Row, Time};
use super::{Look, put};
use crate::event::{Event, Sink};
use crate::story::Story;

/// Between two repaints, and between two frames of a mark that turns.
const TICK: Duration = Duration::from_millis(100);
const REPAINTS_A_SECOND: u8 = 10;

/// Rows and columns of the terminal, where they are known.
type Size = fn() -> Option<(u16, u16)>;

pub struct Tty(Mutex<Screen>);

struct Screen {
    look: Look,
    size: Size,
    story: Story,
    multi: MultiProgress,
    /// A row of the screen and its bar.
    bars: Vec<(Row, ProgressBar)>,
    /// An empty line where the cursor waits: a `^C` that the terminal echoes lands there and does not push the lines up,
    /// out of reach of the next repaint.
    foot: Option<ProgressBar>,
    /// The terminal, for lines that stay.
    out: Box<dyn Write + Send>,
}

impl Tty {
    /// None where stderr cannot be repainted.
    pub fn new(look: Look) -> Option<Tty> {
        let target = ProgressDrawTarget::stderr_with_hz(REPAINTS_A_SECOND);
        let size = || Term::stderr().size_checked();
        (!target.is_hidden()).then(|| Tty::on(look, size, target, Box::new(io::stderr())))
    }

    fn on(look: Look, size: Size, target: ProgressDrawTarget, out: Box<dyn Write + Send>) -> Tty {
        let multi = MultiProgress::with_draw_target(target);
        Tty(Mutex::new(Screen { look, size, story: Story::default(), multi, bars: vec![], foot: None, out }))
    }

    fn screen(&self) -> MutexGuard<'_, Screen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Tty {
    fn on(&self, at: Duration, event: &Event) {
        self.screen().on(at, event);
    }

    fn pause(&self) {
        self.screen().take_down();
    }
}

impl Drop for Tty {
    /// A run that ends without its last event leaves no half-painted lines.
    fn drop(&mut self) {
        self.screen().take_down();
    }
}

impl Screen {
    fn on(&mut self, at: Duration, event: &Event) {
        self.story.apply(at, event);
        self.look = self.look.sized((self.size)());
        let lasting = match event {
            Event::End(_) => rows::closing(&self.story, &self.look),
            _ => rows::lasting(event, &self.look),
        };
        if !lasting.is_empty() {
            // Not by `suspend`, which panics when the terminal has gone away.
            self.take_down();
            put(&mut self.out, &(lasting.join("\n") + "\n"));
        }
        if self.story.end.is_none() {
            self.show();
        }
    }

    fn show(&mut self) {
        let rows = rows::rows(&self.story, &self.look);
        if rows.is_empty() {
            return;
        }
        self.bars.drain(rows.len().min(self.bars.len())..).for_each(|(_, bar)| self.multi.remove(&bar));
        for (i, row) in rows.into_iter().enumerate() {
            if self.bars.get(i).is_some_and(|(shown, _)| *shown == row) {
                continue;
            }
            let style = style(&row, self.look, self.size);
            if i == self.bars.len() {
                let bar = self.multi.insert(i, ProgressBar::no_length().with_style(style.clone()));
                bar.enable_steady_tick(TICK);
                self.bars.push((row.clone(), bar));
            }
            let (shown, bar) = &mut self.bars[i];
            bar.set_style(style);
            if let Time::Since(since) = row.time {
                bar.set_elapsed(self.story.now.saturating_sub(since));
            }
            bar.force_draw();
            *shown = row;
        }
        self.foot.get_or_insert_with(|| foot(&self.multi)).force_draw();
    }

    fn take_down(&mut self) {
        let bars = self.bars.drain(..).map(|(_, bar)| bar).chain(self.foot.take());
        bars.for_each(|bar| self.multi.remove(&bar));
        let _ = self.multi.clear();
    }
}

fn foot(multi: &MultiProgress) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_msg}\r").unwrap_or_else(|_| ProgressStyle::default_bar());
    multi.add(ProgressBar::no_length().with_style(style))
}

/// Laid out at each repaint, for the width that the terminal has then.
fn style(row: &Row, look: Look, size: Size) -> ProgressStyle {
    let template = format!("{:indent$}{{spinner}} {{rest}}", "", indent = row.indent);
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    let mut frames = row.mark.frames(&look);
    // indicatif keeps the last one for the end.
    frames.push(frames[0].clone());
    let row = row.clone();
    let rest = move |state: &ProgressState, out: &mut dyn fmt::Write| {
        let _ = out.write_str(&row.rest(state.elapsed(), &look.sized(size())));
    };
    style.tick_strings(&frames.iter().map(String::as_str).collect::<Vec<_>>()).with_key("rest", rest)
}

#[cfg(test)]
mod tests;
