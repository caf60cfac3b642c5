//! The life of every container of a run as one bar of text each.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Look;
use super::text::{self, Line, Paint, clock, columns, cut_front, pad};
use super::traffic::Traffic;
use super::words::count;
use crate::event::{ContainerRef, Event, Generation, Phase};

/// Bars per service; a fleet of fifty tells no more than its first ones.
const MOST_BARS: usize = 12;
/// The name of the row below the bars.
const PROBE: &str = "probe";
/// Narrower bars show nothing.
const NARROWEST: usize = 40;

/// What a container is doing. When several fall into one column, the greatest is shown: a short stop in a
/// long run must not vanish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Absent,
    Serving,
    Starting,
    Draining,
    Stopping,
    Failed,
}

impl State {
    const ALL: [State; 6] =
        [State::Starting, State::Serving, State::Draining, State::Stopping, State::Failed, State::Absent];

    fn look(self) -> (char, char, Paint, &'static str) {
        match self {
            State::Absent => ('·', '.', Paint::Dim, ""),
            State::Serving => ('█', '#', Paint::Green, "serving"),
            State::Starting => ('░', 's', Paint::Yellow, "starting"),
            State::Draining => ('▒', 'd', Paint::Cyan, "draining"),
            State::Stopping => ('▓', 'x', Paint::Dim, "stopping"),
            State::Failed => ('!', '!', Paint::Red, "failed"),
        }
    }

    pub fn word(self) -> &'static str {
        self.look().3
    }

    fn glyph(self, look: &Look) -> char {
        let (unicode, ascii, ..) = self.look();
        if look.unicode { unicode } else { ascii }
    }

    fn after(phase: &Phase) -> Option<State> {
        Some(match phase {
            Phase::Started | Phase::Restoring => State::Starting,
            Phase::Ready | Phase::Restored => State::Serving,
            Phase::Failed { .. } => State::Failed,
            Phase::Draining { .. } | Phase::Drained { .. } => State::Draining,
            Phase::Stopping { .. } => State::Stopping,
            Phase::Finished | Phase::Stopped { .. } | Phase::Removed => State::Absent,
            Phase::Waiting { .. } => return None,
        })
    }

    /// What an old container must have done until the first news of it.
    fn before(phase: &Phase) -> State {
        match phase {
            Phase::Draining { .. } | Phase::Drained { .. } | Phase::Stopping { .. } => State::Serving,
            _ => State::Absent,
        }
    }
}

/// One container's states, each with the time it began; the first began before the run.
#[derive(Clone, Debug)]
struct Life {
    service: String,
    container: ContainerRef,
    generation: Generation,
    marks: Vec<(Duration, State)>,
}

impl Life {
    fn in_span(&self, from: Duration, to: Duration) -> State {
        let ends = self.marks.iter().skip(1).map(|m| m.0).chain([Duration::MAX]);
        let lasting = self.marks.iter().zip(ends).filter(|((since, _), until)| since < until);
        let seen = lasting.filter(|((since, _), until)| *since < to && *until > from);
        seen.map(|((_, state), _)| *state).max().unwrap_or(State::Absent)
    }

    fn bars(&self, end: Duration) -> Bars {
        let ends = self.marks.iter().skip(1).map(|mark| mark.0).chain([end]);
        let spans = self.marks.iter().zip(ends).map(|((since, state), until)| (*since, until, *state));
        let spans: Vec<_> = spans.filter(|span| span.0 < span.1).collect();
        let runs = spans.chunk_by(|a, b| a.2 == b.2).map(|run| (run[0].0, run[run.len() - 1].1, run[0].2));
        Bars { name: self.container.name.clone(), spans: runs.collect() }
    }

    /// Old ones first, then as people count: app-9 before app-10.
    fn rank(&self) -> (bool, usize, &str) {
        (self.generation == Generation::New, self.container.name.len(), &self.container.name)
    }
}

/// A container's states over time, for a picture.
pub struct Bars {
    pub name: String,
    pub spans: Vec<(Duration, Duration, State)>,
}

/// The lives of all containers that the run touched, or that served beside them.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// In the order they began.
    services: Vec<String>,
    lives: Vec<Life>,
    traffic: Option<Traffic>,
    /// When the new version of a service was refused.
    refused: BTreeMap<String, Duration>,
    begun: Option<Duration>,
    end: Duration,
}

impl Timeline {
    pub fn record(&mut self, at: Duration, event: &Event) {
        self.end = self.end.max(at);
        match event {
            Event::ServiceBegin { service, .. } => self.service(at, service),
            Event::Container { service, container, generation, phase } => {
                self.service(at, service);
                self.container(at, service, container, *generation, phase);
            }
            Event::ServiceEnd { service, serving, .. } if self.touched(service) => {
                serving.iter().flatten().for_each(|container| self.untouched(service, container));
                serving.iter().flatten().for_each(|container| self.spared(service, container, at));
            }
            Event::Refused { service, .. } => drop(self.refused.insert(service.clone(), at)),
            Event::ProbeEnd { .. } => self.traffic = Traffic::of(event),
            _ => {}
        }
    }

    fn service(&mut self, at: Duration, service: &str) {
        self.begun.get_or_insert(at);
        if !self.services.iter().any(|s| s == service) {
            self.services.push(service.to_owned());
        }
    }

    fn touched(&self, service: &str) -> bool {
        self.lives.iter().any(|life| life.service == service)
    }

    fn container(
        &mut self,
        at: Duration,
        service: &str,
        container: &ContainerRef,
        which: Generation,
        phase: &Phase,
    ) {
        let Some(state) = State::after(phase) else {
            return;
        };
        match self.lives.iter_mut().find(|l| l.container.id == container.id) {
            Some(life) => life.marks.push((at, state)),
            None => {
                let before = if which == Generation::Old { State::before(phase) } else { State::Absent };
                self.begin(service, container, which, vec![(Duration::ZERO, before), (at, state)]);
            }
        }
    }

    /// Serves at the end and was never in the news: it served all the time.
    fn untouched(&mut self, service: &str, container: &ContainerRef) {
        if self.lives.iter().all(|l| l.container.id != container.id) {
            self.begin(service, container, Generation::Old, vec![(Duration::ZERO, State::Serving)]);
        }
    }

    /// Its drain was broken off: it serves since the new version was refused.
    fn spared(&mut self, service: &str, container: &ContainerRef, at: Duration) {
        let since = self.refused.get(service).copied().unwrap_or(at);
        let draining = |life: &&mut Life| life.marks.last().is_some_and(|mark| mark.1 == State::Draining);
        let life = self.lives.iter_mut().find(|life| life.container.id == container.id);
        life.filter(draining).into_iter().for_each(|life| life.marks.push((since, State::Serving)));
    }

    fn begin(
        &mut self,
        service: &str,
        container: &ContainerRef,
        generation: Generation,
        marks: Vec<(Duration, State)>,
    ) {
        self.lives.push(Life {
            service: service.to_owned(),
            container: container.clone(),
            generation,
            marks,
        });
    }

    /// The axis begins with the first service and not with the build, which would squeeze what matters
    /// into the last columns.
    pub fn lines(&self, look: &Look) -> Vec<Line> {
        let Some(from) = self.begun.filter(|_| !self.lives.is_empty()) else {
            return vec![];
        };
        let axis = Axis::new(from, self.end, self.names(), look);
        let touched = self.services.iter().filter(|service| self.touched(service));
        let bars = touched.flat_map(|service| self.bars(service, &axis, look));
        let mut lines: Vec<Line> = bars.collect();
        lines.extend(self.traffic.as_ref().map(|traffic| axis.traffic(traffic, look)));
        lines.push(self.legend(&axis, look));
        lines.extend(self.traffic.as_ref().map(|traffic| traffic.legend(look).indented(axis.names + 2)));
        lines
    }

    /// From the first service to the last event; `None` when no container was touched.
    pub fn span(&self) -> Option<(Duration, Duration)> {
        self.begun.filter(|_| !self.lives.is_empty()).map(|begun| (begun, self.end))
    }

    /// Each service with the bars of its containers, and how many more there are.
    pub fn bars_of_services(&self) -> Vec<(&str, Vec<Bars>, usize)> {
        let touched = self.services.iter().map(|service| (service.as_str(), self.lives_of(service)));
        let shown = touched.filter(|(_, lives)| !lives.is_empty()).map(|(service, lives)| {
            let bars = lives.iter().take(MOST_BARS).map(|life| life.bars(self.end));
            (service, bars.collect(), lives.len().saturating_sub(MOST_BARS))
        });
        shown.collect()
    }

    fn lives_of(&self, service: &str) -> Vec<&Life> {
        let lives = self.lives.iter().filter(|life| life.service == service);
        let mut lives: Vec<_> = lives.filter(|l| l.marks.iter().any(|m| m.1 != State::Absent)).collect();
        lives.sort_by_key(|life| life.rank());
        lives
    }

    /// Those that occur.
    pub fn states(&self) -> Vec<State> {
        let used = |state: &State| self.lives.iter().any(|l| l.marks.iter().any(|m| m.1 == *state));
        State::ALL.into_iter().filter(|state| *state != State::Absent).filter(used).collect()
    }

    fn names(&self) -> usize {
        let containers = self.lives.iter().map(|l| text::width(&l.container.name) + 2);
        let services = self.services.iter().filter(|s| self.touched(s)).map(|s| text::width(s));
        let probe = self.traffic.as_ref().map(|_| PROBE.len());
        containers.chain(services).chain(probe).max().unwrap_or(0)
    }

    fn bars(&self, service: &str, axis: &Axis, look: &Look) -> Vec<Line> {
        let mut lives: Vec<&Life> =
            self.lives.iter().filter(|l| l.service == service && axis.shows(l)).collect();
        lives.sort_by_key(|l| l.rank());
        let mut lines = vec![axis.head(service, look)];
        lines.extend(lives.iter().take(MOST_BARS).map(|life| axis.bar(life, look)));
        if lives.len() > MOST_BARS {
            let more = format!("  and {}", count(lives.len() - MOST_BARS, "more container"));
            lines.push(Line::of(Paint::Dim, more));
        }
        lines
    }

    /// Names the characters that occur.
    fn legend(&self, axis: &Axis, look: &Look) -> Line {
        let legend = self.states().into_iter().fold(Line::default(), |line, state| {
            let (_, _, paint, word) = state.look();
            let gap = if line.width() == 0 { "" } else { "  " };
            line.and(paint, format!("{gap}{}", state.glyph(look))).and(Paint::Dim, format!(" {word}"))
        });
        let indent = if legend.width() <= axis.bars { axis.names + 2 } else { 2 };
        legend.indented(indent)
    }
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
        let page = columns(look).max(NARROWEST);
        let names = longest.min(page / 3);
        Axis { from, to, names, bars: page - names - 3 }
    }

    fn at(&self, column: usize) -> Duration {
        self.from + self.to.saturating_sub(self.from).mul_f64(column as f64 / self.bars as f64)
    }

    fn states(&self, life: &Life) -> Vec<State> {
        (0..self.bars).map(|i| life.in_span(self.at(i), self.at(i + 1))).collect()
    }

    /// A leftover that was only removed has no life to show.
    fn shows(&self, life: &Life) -> bool {
        self.states(life).iter().any(|s| *s != State::Absent)
    }

    /// The service's name, then the time at both ends of the bars.
    fn head(&self, service: &str, look: &Look) -> Line {
        let name = pad(&cut_front(service, self.names, look), self.names + 2);
        let (from, to) = (clock(self.from), clock(self.to));
        let gap = " ".repeat(self.bars.saturating_sub(from.len() + to.len()));
        Line::of(Paint::Bold, name).and(Paint::Dim, format!("{from}{gap}{to}"))
    }

    fn traffic(&self, traffic: &Traffic, look: &Look) -> Line {
        let start = Line::of(Paint::Bold, pad(PROBE, self.names + 2));
        let columns = (0..self.bars).map(|i| traffic.column(self.at(i), self.at(i + 1), look));
        columns.fold(start, |line, (paint, glyph)| line.and(paint, glyph))
    }

    fn bar(&self, life: &Life, look: &Look) -> Line {
        let name = cut_front(&life.container.name, self.names - 2, look);
        let start = Line::of(Paint::Plain, format!("  {}", pad(&name, self.names)));
        let states = self.states(life);
        states.chunk_by(|a, b| a == b).fold(start, |line, run| {
            let (_, _, paint, _) = run[0].look();
            line.and(paint, run[0].glyph(look).to_string().repeat(run.len()))
        })
    }
}
