//! The pictures of the page, as SVG that takes its colors from the page's style. Pure.

use std::time::Duration;

use maud::{Markup, html};

use crate::event::{ProbeBucket, ProbeEnd};
use crate::report::timeline::{self, Life, MOST_BARS};
use crate::report::words::{answer_time, stopwatch};
use crate::report::{Look, traffic};
use crate::story::{State, Story};
use crate::text::{clean, cut_front};

/// Units of the drawing; the page scales it to its width.
const WIDTH: f64 = 960.0;
const NAMES: f64 = 170.0;
const ROW: f64 = 24.0;
const BAR: f64 = 16.0;
const REQUESTS: f64 = 60.0;
const LATENCY: f64 = 80.0;
/// Columns.
const LONGEST_NAME: usize = 24;
/// Milliseconds between two times on the axis.
const STEPS: &[u64] = &[
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000,
    3_600_000,
];

/// Where time lies.
struct Axis {
    from: Duration,
    to: Duration,
    /// When a new version failed.
    failures: Vec<Duration>,
}

impl Axis {
    fn of(story: &Story) -> Option<Axis> {
        let (from, to) = story.span()?;
        let failures = story.services.iter().flat_map(|service| &service.failures).map(|(at, ..)| *at);
        Some(Axis { from, to: to.max(from + Duration::from_millis(1)), failures: failures.collect() })
    }

    fn x(&self, at: Duration) -> f64 {
        let all = (self.to - self.from).as_secs_f64();
        let share = at.clamp(self.from, self.to).saturating_sub(self.from).as_secs_f64() / all;
        NAMES + share * (WIDTH - NAMES - 10.0)
    }

    /// Round times, a dozen at the most.
    fn ticks(&self) -> impl Iterator<Item = Duration> {
        let span = (self.to - self.from).as_millis() as u64;
        let step = STEPS.iter().copied().find(|step| span / step <= 13).unwrap_or(span / 10 + 1);
        let first = (self.from.as_millis() as u64).div_ceil(step);
        (first..).map(move |n| Duration::from_millis(n * step)).take_while(|tick| *tick <= self.to)
    }

    /// The body between the grid and the marks of failures.
    fn svg(&self, label: &str, bottom: f64, body: &Markup) -> Markup {
        let line = |class: &str, x: f64| html! { line class=(class) x1=(x) y1="16" x2=(x) y2=(bottom) {} };
        html! {
            svg viewBox={ "0 0 " (WIDTH) " " (bottom + 4.0) } role="img" aria-label=(label) {
                @for (x, tick) in self.ticks().map(|tick| (tenths(self.x(tick)), tick)) {
                    (line("grid", x)) text.tick x=(x) y="11" { (stopwatch(tick)) }
                }
                (body)
                @for (x, at) in self.failures.iter().map(|at| (tenths(self.x(*at)), at)) {
                    g { title { "failed at " (stopwatch(*at)) } (line("mark", x)) }
                }
            }
        }
    }
}

fn tenths(place: f64) -> f64 {
    (place * 10.0).round() / 10.0
}

fn rect(class: &str, (x, y): (f64, f64), (width, height): (f64, f64), title: &str) -> Markup {
    let [x, y, width, height] = [x, y, width, height].map(tenths);
    html! { rect class=(class) x=(x) y=(y) width=(width) height=(height) { title { (title) } } }
}

fn legend(items: &[&str]) -> Markup {
    html! { @for item in items { li { i class=(item) {} (item) } } }
}

/// A bar for every container. `None` when none was touched.
pub fn timeline(story: &Story) -> Option<Markup> {
    let axis = Axis::of(story)?;
    let mut bottom = 22.0;
    let mut next = || {
        bottom += ROW;
        bottom - ROW
    };
    let body = html! {
        @for service in story.touched() {
            @let lives = timeline::lives(service, story.now);
            text.service x="0" y=(next() + 13.0) {
                (clean(&service.name))
                @if lives.len() > MOST_BARS { " (and " (lives.len() - MOST_BARS) " more)" }
            }
            @for life in lives.iter().take(MOST_BARS) { (bars(&axis, life, next())) }
        }
    };
    let states: Vec<_> = timeline::states(story).into_iter().map(word).collect();
    let failed = html! { @if !axis.failures.is_empty() { li { i.mark {} "the new version fails" } } };
    let picture = axis.svg("What every container did, over time", bottom, &body);
    Some(html! { (picture) ul.legend { (legend(&states)) (failed) } })
}

fn word(state: State) -> &'static str {
    timeline::look_of(state, &Look::default()).0
}

fn bars(axis: &Axis, (name, life): &Life, y: f64) -> Markup {
    let name = clean(name);
    let bar = |from: Duration, to: Duration, state: State| {
        let (x, word) = (axis.x(from), word(state));
        let title = format!("{name} {word}, {} to {}", stopwatch(from), stopwatch(to));
        rect(word, (x, y), ((axis.x(to) - x).max(2.0), BAR), &title)
    };
    html! {
        text.name x="10" y=(y + 12.5) { title { (name) } (cut_front(&name, LONGEST_NAME, "…")) }
        @for (from, to, state) in life.iter().filter(|span| span.2 != State::Absent) { (bar(*from, *to, *state)) }
    }
}

/// Requests a tenth of a second, and how long their answers took, on the time axis of the timeline.
pub fn traffic(story: &Story, traffic: &ProbeEnd) -> Option<Markup> {
    let axis = Axis::of(story)?;
    let seen = |bucket: &&ProbeBucket| bucket.at + ProbeBucket::LENGTH >= axis.from && bucket.at <= axis.to;
    let shown: Vec<_> = traffic.buckets.iter().filter(seen).collect();
    let (floor, bottom) = (20.0 + REQUESTS, 34.0 + REQUESTS + LATENCY);
    let most = shown.iter().map(|bucket| bucket.requests).max().unwrap_or(1).max(1);
    let scale = traffic::scale(traffic);
    let label = |y: f64, name: &str, note: &str| {
        html! { text.service x="0" y=(y) { (name) } text.note x="0" y=(y + 15.0) { (note) } }
    };
    let body = html! {
        (label(30.0, "requests", &format!("up to {most} in 0.1s")))
        (label(floor + 24.0, "slowest answer", &format!("up to {}", answer_time(scale))))
        @for bucket in &shown {
            (requests(&axis, bucket, floor, REQUESTS / most as f64)) (latency(&axis, bucket, bottom, scale))
        }
        @for y in [floor, bottom] { line.base x1=(NAMES) y1=(y) x2=(WIDTH - 10.0) y2=(y) {} }
    };
    let picture = axis.svg("The probe's requests, over time", bottom, &body);
    Some(html! { (picture) ul.legend { (legend(&["answered", "failed"])) } })
}

/// Failures stand at the bottom, where even one is seen.
fn requests(axis: &Axis, bucket: &ProbeBucket, floor: f64, unit: f64) -> Markup {
    let (x, width) = place(axis, bucket);
    let [failed, all] = [bucket.failures, bucket.requests].map(|n| n as f64 * unit);
    let title = format!("{}: {} requests, {} failed", stopwatch(bucket.at), bucket.requests, bucket.failures);
    html! {
        @if failed > 0.0 { (rect("failed", (x, floor - failed), (width, failed), &title)) }
        @if all > failed { (rect("answered", (x, floor - all), (width, all - failed), &title)) }
    }
}

fn latency(axis: &Axis, bucket: &ProbeBucket, floor: f64, scale: Duration) -> Markup {
    let (x, width) = place(axis, bucket);
    let height = (bucket.slowest.as_secs_f64() / scale.as_secs_f64() * LATENCY).clamp(1.5, LATENCY);
    let class = if bucket.failures > 0 { "failed" } else { "answered" };
    let (slowest, mean) = (answer_time(bucket.slowest), answer_time(bucket.mean));
    let title = format!("{}: slowest {slowest}, mean {mean}", stopwatch(bucket.at));
    rect(class, (x, floor - height), (width, height), &title)
}

fn place(axis: &Axis, bucket: &ProbeBucket) -> (f64, f64) {
    let x = axis.x(bucket.at);
    let width = axis.x(bucket.at + ProbeBucket::LENGTH) - x;
    (x, (width - if width > 3.0 { 1.0 } else { 0.0 }).max(0.6))
}
