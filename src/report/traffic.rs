//! What the probe saw, as a row of the timeline and as a table. Pure.

use std::time::Duration;

use console::Alignment;

use super::{Look, words::answer_time};
use crate::event::{ProbeBucket, ProbeEnd, ProbeStage, Stage};
use crate::text;

/// Answers quicker than this look alike: what differs between them is noise.
const FLAT: Duration = Duration::from_millis(100);
const LEVELS: [&str; 7] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇"];

/// The slowest answer, or what is drawn at full height when all are quick.
pub fn scale(traffic: &ProbeEnd) -> Duration {
    traffic.slowest.max(FLAT)
}

/// One column of the row, which shows this span.
pub fn column(traffic: &ProbeEnd, from: Duration, to: Duration, look: &Look) -> String {
    let within = |bucket: &&ProbeBucket| bucket.at < to && bucket.at + ProbeBucket::LENGTH > from;
    let seen: Vec<_> = traffic.buckets.iter().filter(within).collect();
    if seen.iter().any(|bucket| bucket.failures > 0) {
        return look.paint("red", "!");
    }
    let Some(slowest) = seen.iter().map(|bucket| bucket.slowest).max() else {
        return look.paint("dim", if look.unicode { "·" } else { "." });
    };
    let share = slowest.as_secs_f64() / scale(traffic).as_secs_f64();
    let level = ((share * LEVELS.len() as f64) as usize).min(LEVELS.len() - 1);
    look.paint("cyan", if look.unicode { LEVELS[level] } else { "_" })
}

/// What the row's characters mean.
pub fn legend(traffic: &ProbeEnd, look: &Look) -> String {
    let bars = look.paint("cyan", if look.unicode { "▁▇" } else { "__" });
    let up_to = look.paint("dim", &format!(" up to {}", answer_time(scale(traffic))));
    format!("{bars}{up_to}  {}{}", look.paint("red", "!"), look.paint("dim", " failed request"))
}

/// Each stage by its name, and all of them together.
pub fn columns(traffic: &ProbeEnd) -> Vec<(&'static str, ProbeStage)> {
    let sum: f64 = traffic.stages.iter().map(|s| s.mean.as_secs_f64() * s.requests as f64).sum();
    let mean = Duration::from_secs_f64(sum / traffic.requests.max(1) as f64);
    let ProbeEnd { requests, failures, slowest, .. } = *traffic;
    let all = ProbeStage { stage: Stage::After, requests, failures, mean, slowest };
    let stages = traffic.stages.iter().map(|stage| (stage.stage.word(), stage.clone()));
    stages.chain((!traffic.stages.is_empty()).then_some(("all", all))).collect()
}

/// Requests, failures and times, a column for each stage and one for all.
pub fn table(traffic: &ProbeEnd, look: &Look) -> Vec<String> {
    let columns = columns(traffic);
    let row = |title: &str, cell: fn(&(&str, ProbeStage)) -> String| {
        std::iter::once(title.to_owned()).chain(columns.iter().map(cell)).collect()
    };
    let rows = [
        row("probe", |(name, _)| (*name).to_owned()),
        row("requests", |(_, stage)| stage.requests.to_string()),
        row("failed", |(_, stage)| stage.failures.to_string()),
        row("mean", |(_, stage)| answer_time(stage.mean)),
        row("slowest", |(_, stage)| answer_time(stage.slowest)),
    ];
    let styles = ["bold", "", if traffic.failures > 0 { "red" } else { "" }, "", ""];
    let lines = text::table(&rows, Alignment::Right).into_iter().zip(styles);
    lines.filter(|_| !columns.is_empty()).map(|(line, style)| look.paint(style, &line)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{look, ms, probed, story};
    use super::*;

    #[test]
    fn a_column_for_each_stage_and_one_for_all() {
        let traffic = story(&probed(2), u64::MAX).traffic.unwrap();
        assert_eq!(
            table(&traffic, &look(80)),
            [
                "probe     before  health  stop  all",
                "requests       5      90    40  135",
                "failed         3       0     2    5",
                "mean         4ms     4ms   4ms  4ms",
                "slowest      7ms     7ms   7ms  7ms",
            ]
        );
        assert_eq!(table(&ProbeEnd::default(), &look(80)), Vec::<String>::new());
    }

    #[test]
    fn slow_answers_and_failures_are_seen() {
        let bucket = |at, failures, slowest| ProbeBucket {
            at: ms(at),
            requests: 2,
            failures,
            mean: ms(1),
            slowest: ms(slowest),
        };
        let buckets = vec![bucket(0, 0, 1), bucket(100, 0, 400), bucket(200, 1, 5)];
        let traffic = ProbeEnd { buckets, slowest: ms(400), ..ProbeEnd::default() };
        let row = |look: Look| -> String {
            (0..4).map(|n| column(&traffic, ms(n * 100), ms(n * 100 + 100), &look)).collect()
        };
        assert_eq!(row(look(80)), "▁▇!·");
        assert_eq!(row(Look { unicode: false, ..look(80) }), "__!.");
        assert_eq!(legend(&traffic, &look(80)), "▁▇ up to 400ms  ! failed request");
    }
}
