//! The life of every container of a run as one bar of text each. Pure.

use std::time::Duration;

use console::{Alignment, measure_text_width, pad_str};

use super::{Look, traffic, words::stopwatch};
use crate::story::{Service, Span, State, Story};
use crate::text::{count, cut_front};

/// Bars per service; a fleet of fifty tells no more than its first ones.
pub const MOST_BARS: usize = 12;
/// The name of the row below the bars.
const PROBE: &str = "probe";
/// Narrower bars show nothing.
const NARROWEST: usize = 40;

/// What a container did, by its name.
pub type Life<'a> = (&'a str, Vec<Span>);

/// The lives of a service's containers; a leftover that was only removed has none.
pub fn lives(service: &Service, now: Duration) -> Vec<Life<'_>> {
    let lives = service.containers.iter().map(|c| (c.container.name.as_str(), c.life(now)));
    lives.filter(|(_, life)| life.iter().any(|span| span.2 != State::Absent)).collect()
}

/// Those that occur.
pub fn states(story: &Story) -> Vec<State> {
    let spans = story.touched().flat_map(|service| lives(service, story.now)).flat_map(|(_, life)| life);
    let seen: Vec<State> = spans.map(|span| span.2).collect();
    State::ALL.into_iter().filter(|state| seen.contains(state)).collect()
}

/// Its word, and its character with the style.
pub fn look_of(state: State, look: &Look) -> (&'static str, &'static str, &'static str) {
    let (word, unicode, ascii, style) = match state {
        State::Absent => ("", "·", ".", "dim"),
        State::Serving => ("serving", "█", "#", "green"),
        State::Starting => ("starting", "░", "s", "yellow"),
        State::Draining => ("draining", "▒", "d", "cyan"),
        State::Stopping => ("stopping", "▓", "x", "dim"),
        State::Failed => ("failed", "!", "!", "red"),
    };
    (word, if look.unicode { unicode } else { ascii }, style)
}

/// Empty when no container was touched.
pub fn lines(story: &Story, look: &Look) -> Vec<String> {
    let Some((from, to)) = story.span() else { return vec![] };
    let services: Vec<_> =
        story.touched().map(|service| (&service.name, lives(service, story.now))).collect();
    let names = services.iter().flat_map(|(service, lives)| {
        let names = lives.iter().map(|(name, _)| measure_text_width(name) + 2);
        names.chain([measure_text_width(service)])
    });
    let axis = Axis::new(from, to, names.max().unwrap_or(0).max(PROBE.len()), look);
    let bars = services.iter().flat_map(|(service, lives)| axis.service(service, lives, look));
    let mut lines: Vec<String> = bars.collect();
    lines.extend(story.traffic.as_ref().map(|traffic| {
        let columns = axis.columns().map(|(from, to)| traffic::column(traffic, from, to, look));
        axis.name("bold", PROBE, look) + &columns.collect::<String>()
    }));
    lines.push(axis.legend(&states(story), look));
    let legend = story.traffic.as_ref().map(|traffic| traffic::legend(traffic, look));
    lines.extend(legend.map(|legend| " ".repeat(axis.names + 2) + &legend));
    lines
}

/// Where time lies on the page.
struct Axis {
    from: Duration,
    to: Duration,
    /// Columns of the names.
    names: usize,
    /// Columns of the bars.
    bars: usize,
}

impl Axis {
    fn new(from: Duration, to: Duration, longest: usize, look: &Look) -> Axis {
        let page = look.width().max(NARROWEST);
        let names = longest.min(page / 3);
        Axis { from, to, names, bars: page - names - 3 }
    }

    /// The time that each column stands for.
    fn columns(&self) -> impl Iterator<Item = (Duration, Duration)> {
        let span = self.to.saturating_sub(self.from);
        let at = move |column| self.from + span.mul_f64(column as f64 / self.bars as f64);
        (0..self.bars).map(move |column| (at(column), at(column + 1)))
    }

    fn name(&self, style: &str, name: &str, look: &Look) -> String {
        let name = cut_front(name, self.names, look.dots());
        look.paint(style, &pad_str(&name, self.names + 2, Alignment::Left, None))
    }

    /// The time at both ends, then a bar for each container.
    fn service(&self, name: &str, lives: &[Life], look: &Look) -> Vec<String> {
        let (from, to) = (stopwatch(self.from), stopwatch(self.to));
        let times = look.paint("dim", &format!("{from}{to:>rest$}", rest = self.bars - from.len()));
        let head = self.name("bold", name, look) + &times;
        let more = lives.len().saturating_sub(MOST_BARS);
        let more = (more > 0).then(|| look.paint("dim", &format!("  and {}", count(more, "more container"))));
        let bars = lives.iter().take(MOST_BARS).map(|life| self.bar(life, look));
        std::iter::once(head).chain(bars).chain(more).collect()
    }

    fn bar(&self, (name, life): &Life, look: &Look) -> String {
        let name = cut_front(name, self.names - 2, look.dots());
        let seen =
            |(from, to)| life.iter().filter(move |span| span.0 < to && span.1 > from).map(|span| span.2);
        let states: Vec<_> =
            self.columns().map(|column| seen(column).max().unwrap_or(State::Absent)).collect();
        let runs = states.chunk_by(|a, b| a == b).map(|run| {
            let (_, glyph, style) = look_of(run[0], look);
            look.paint(style, &glyph.repeat(run.len()))
        });
        self.name("", &format!("  {name}"), look) + &runs.collect::<String>()
    }

    /// Names the characters that occur.
    fn legend(&self, states: &[State], look: &Look) -> String {
        let item = |state: &State| {
            let (word, glyph, style) = look_of(*state, look);
            format!("{} {}", look.paint(style, glyph), look.paint("dim", word))
        };
        let legend = states.iter().map(item).collect::<Vec<_>>().join("  ");
        let indent = if measure_text_width(&legend) <= self.bars { self.names + 2 } else { 2 };
        " ".repeat(indent) + &legend
    }
}
