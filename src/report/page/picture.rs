//! The pictures of the page, as SVG that takes its colours from the page's style. Pure.

use std::{fmt::Write, time::Duration};

use crate::{
    event::ProbeBucket,
    report::{
        text::{clock, escape},
        timeline::{Bars, State, Timeline},
        traffic::{self, Traffic},
    },
};

/// Units of the drawing; the page scales it to its width.
const WIDTH: f64 = 960.0;
const NAMES: f64 = 170.0;
const ROW: f64 = 24.0;
const BAR: f64 = 16.0;
const REQUESTS: f64 = 60.0;
const LATENCY: f64 = 80.0;
/// Longer names lose their beginning: container names differ at their end.
const LONGEST_NAME: usize = 24;

/// Where time lies.
struct Axis {
    from: Duration,
    to: Duration,
}

impl Axis {
    fn of(timeline: &Timeline) -> Option<Axis> {
        let (from, to) = timeline.span()?;
        Some(Axis { from, to: to.max(from + Duration::from_millis(1)) })
    }

    fn x(&self, at: Duration) -> f64 {
        let all = (self.to - self.from).as_secs_f64();
        let share = at.clamp(self.from, self.to).saturating_sub(self.from).as_secs_f64() / all;
        NAMES + share * (WIDTH - NAMES - 10.0)
    }

    /// Round times, a dozen at the most.
    fn ticks(&self) -> Vec<Duration> {
        const STEPS: [u64; 14] = [
            100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000,
            3_600_000,
        ];
        let span = (self.to - self.from).as_millis() as u64;
        let step = STEPS.into_iter().find(|step| span / step <= 13).unwrap_or(span / 10 + 1);
        let first = (self.from.as_millis() as u64).div_ceil(step);
        let ticks = (first..).map(|n| Duration::from_millis(n * step));
        ticks.take_while(|tick| *tick <= self.to).collect()
    }

    fn grid(&self, svg: &mut String, bottom: f64) {
        for tick in self.ticks() {
            let x = self.x(tick);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{x:.1}\" y1=\"16\" x2=\"{x:.1}\" y2=\"{bottom}\"/>\
                 <text class=\"tick\" x=\"{x:.1}\" y=\"11\">{}</text>",
                clock(tick)
            );
        }
    }

    fn marks(&self, svg: &mut String, marks: &[Duration], bottom: f64) {
        for mark in marks {
            let x = self.x(*mark);
            let _ = writeln!(
                svg,
                "<line class=\"mark\" x1=\"{x:.1}\" y1=\"16\" x2=\"{x:.1}\" y2=\"{bottom}\"><title>refused at {}</title></line>",
                clock(*mark)
            );
        }
    }
}

fn svg(label: &str, height: f64, body: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{label}\">\n{body}</svg>\n")
}

/// A bar for every container; `marks` are the moments at which the new version was refused.
pub fn timeline(timeline: &Timeline, marks: &[Duration]) -> Option<String> {
    let axis = Axis::of(timeline)?;
    let services = timeline.bars_of_services();
    let rows: usize = services.iter().map(|(_, bars, _)| bars.len() + 1).sum();
    let bottom = 22.0 + rows as f64 * ROW;
    let mut body = String::new();
    axis.grid(&mut body, bottom);
    let mut y = 22.0;
    for (service, bars, more) in &services {
        let more = if *more > 0 { format!(" (and {more} more)") } else { String::new() };
        let _ = writeln!(
            body,
            "<text class=\"service\" x=\"0\" y=\"{}\">{}{more}</text>",
            y + 13.0,
            escape(service)
        );
        y += ROW;
        for bar in bars {
            draw(&mut body, &axis, bar, y);
            y += ROW;
        }
    }
    axis.marks(&mut body, marks, bottom);
    Some(svg("What every container did, over time", bottom + 4.0, &body) + &legend(timeline, marks))
}

fn draw(svg: &mut String, axis: &Axis, bar: &Bars, y: f64) {
    let name = escape(&bar.name);
    let _ = writeln!(
        svg,
        "<text class=\"name\" x=\"10\" y=\"{}\"><title>{name}</title>{}</text>",
        y + 12.5,
        escape(&end_of(&bar.name))
    );
    for (from, to, state) in bar.spans.iter().filter(|span| span.2 != State::Absent) {
        let (x, end) = (axis.x(*from), axis.x(*to));
        let width = (end - x).max(2.0);
        let (word, times) = (state.word(), format!("{} to {}", clock(*from), clock(*to)));
        let _ = writeln!(
            svg,
            "<rect class=\"{word}\" x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR}\" rx=\"2\"><title>{name} {word}, {times}</title></rect>"
        );
    }
}

fn end_of(name: &str) -> String {
    let length = name.chars().count();
    match length > LONGEST_NAME {
        false => name.to_owned(),
        true => "…".chars().chain(name.chars().skip(length - LONGEST_NAME + 1)).collect(),
    }
}

fn legend(timeline: &Timeline, marks: &[Duration]) -> String {
    let items = timeline.states().into_iter().map(|state| {
        let word = state.word();
        format!("<li><i class=\"{word}\"></i>{word}</li>")
    });
    let mark =
        if marks.is_empty() { "" } else { "<li><i class=\"mark\"></i>the new version is refused</li>" };
    format!("<ul class=\"legend\">{}{mark}</ul>\n", items.collect::<String>())
}

/// Requests a tenth of a second, and how long their answers took, on the time axis of the timeline.
pub fn traffic(timeline: &Timeline, traffic: &Traffic, marks: &[Duration]) -> Option<String> {
    let axis = Axis::of(timeline)?;
    let shown: Vec<_> = traffic
        .buckets
        .iter()
        .filter(|b| b.at + ProbeBucket::LENGTH >= axis.from && b.at <= axis.to)
        .collect();
    let floor = 20.0 + REQUESTS;
    let bottom = floor + 14.0 + LATENCY;
    let mut body = String::new();
    axis.grid(&mut body, bottom);
    let most = shown.iter().map(|bucket| bucket.requests).max().unwrap_or(1).max(1);
    label(&mut body, 30.0, "requests", &format!("up to {most} in 0.1s"));
    label(&mut body, floor + 24.0, "slowest answer", &format!("up to {}", traffic::time(traffic.scale())));
    for bucket in &shown {
        requests(&mut body, &axis, bucket, floor, REQUESTS / most as f64);
        latency(&mut body, &axis, bucket, bottom, traffic.scale());
    }
    for y in [floor, bottom] {
        let _ = writeln!(
            body,
            "<line class=\"base\" x1=\"{NAMES}\" y1=\"{y}\" x2=\"{}\" y2=\"{y}\"/>",
            WIDTH - 10.0
        );
    }
    axis.marks(&mut body, marks, bottom);
    let legend = "<ul class=\"legend\"><li><i class=\"answered\"></i>answered</li><li><i class=\"failed\"></i>failed</li></ul>\n";
    Some(svg("The probe's requests, over time", bottom + 4.0, &body) + legend)
}

fn label(svg: &mut String, y: f64, name: &str, note: &str) {
    let _ = writeln!(
        svg,
        "<text class=\"service\" x=\"0\" y=\"{y}\">{name}</text><text class=\"note\" x=\"0\" y=\"{}\">{note}</text>",
        y + 15.0
    );
}

/// Failures stand at the bottom, where even one is seen.
fn requests(svg: &mut String, axis: &Axis, bucket: &ProbeBucket, floor: f64, unit: f64) {
    let (x, width) = place(axis, bucket);
    let failed = bucket.failures as f64 * unit;
    let good = (bucket.requests - bucket.failures) as f64 * unit;
    let what = format!("{}: {} requests, {} failed", clock(bucket.at), bucket.requests, bucket.failures);
    for (class, top, height) in
        [("failed", floor - failed, failed), ("answered", floor - failed - good, good)]
    {
        if height > 0.0 {
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"><title>{what}</title></rect>"
            );
        }
    }
}

fn latency(svg: &mut String, axis: &Axis, bucket: &ProbeBucket, floor: f64, scale: Duration) {
    let (x, width) = place(axis, bucket);
    let height = (bucket.slowest.as_secs_f64() / scale.as_secs_f64() * LATENCY).clamp(1.5, LATENCY);
    let class = if bucket.failures > 0 { "failed" } else { "answered" };
    let _ = writeln!(
        svg,
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"><title>{}: slowest {}, mean {}</title></rect>",
        floor - height,
        clock(bucket.at),
        traffic::time(bucket.slowest),
        traffic::time(bucket.mean)
    );
}

fn place(axis: &Axis, bucket: &ProbeBucket) -> (f64, f64) {
    let x = axis.x(bucket.at);
    let width = axis.x(bucket.at + ProbeBucket::LENGTH) - x;
    (x, (width - if width > 3.0 { 1.0 } else { 0.0 }).max(0.6))
}
