//! What a load has found, for machines.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::picture::Figures;
use crate::report::Report;
use crate::running::End;
use crate::sample::Sample;

/// More failures than this are counted, but not listed.
const FAILURES_LISTED: usize = 1000;

/// A report as plain data. Times are seconds or milliseconds, as their names say.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    pub requests: usize,
    pub failed: usize,
    pub delayed: usize,
    pub end: End,
    pub seconds: f64,
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub slowest_ms: f64,
    /// When that one was begun.
    pub slowest_at_seconds: f64,
    pub phases: Vec<PhaseSummary>,
    pub versions: Vec<RunSummary>,
    /// The first 1,000.
    pub failures: Vec<FailureSummary>,
}

/// The requests that were begun in one phase.
#[derive(Clone, Debug, Serialize)]
pub struct PhaseSummary {
    pub name: String,
    pub requests: usize,
    pub failed: usize,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub slowest_ms: f64,
}

/// A stretch of time in which the same versions answered; `answers` has their counts.
#[derive(Clone, Debug, Serialize)]
pub struct RunSummary {
    pub from_seconds: f64,
    pub to_seconds: f64,
    pub answers: BTreeMap<String, usize>,
}

/// One failed request.
#[derive(Clone, Debug, Serialize)]
pub struct FailureSummary {
    pub at_seconds: f64,
    pub phase: String,
    pub latency_ms: f64,
    pub error: String,
    pub replica: Option<String>,
}

impl Report {
    pub fn summary(&self) -> Summary {
        let failed = self.failed();
        Summary {
            requests: self.requests(),
            failed: failed.len(),
            delayed: self.delayed(),
            end: self.end(),
            seconds: self.took().as_secs_f64(),
            per_second: self.per_second(),
            p50_ms: millis(self.percentile(50.0)),
            p99_ms: millis(self.percentile(99.0)),
            slowest_ms: millis(self.percentile(100.0)),
            slowest_at_seconds: self.slowest().map_or(0.0, |sample| sample.at.as_secs_f64()),
            phases: self.phases().iter().map(|it| self.phase(it)).collect(),
            versions: self.runs(),
            failures: failed.into_iter().take(FAILURES_LISTED).map(failure).collect(),
        }
    }

    fn phase(&self, name: &str) -> PhaseSummary {
        let figures = Figures::of(self.samples_in(name));
        PhaseSummary {
            name: name.to_owned(),
            requests: figures.requests,
            failed: figures.failed,
            p50_ms: millis(figures.p50),
            p99_ms: millis(figures.p99),
            slowest_ms: millis(figures.slowest),
        }
    }

    fn runs(&self) -> Vec<RunSummary> {
        let runs = self.versions().into_iter().map(|run| RunSummary {
            from_seconds: run.from.as_secs_f64(),
            to_seconds: run.to.as_secs_f64(),
            answers: run.answers,
        });
        runs.collect()
    }
}

fn failure(sample: &Sample) -> FailureSummary {
    FailureSummary {
        at_seconds: sample.at.as_secs_f64(),
        phase: sample.phase.to_string(),
        latency_ms: millis(sample.latency),
        error: sample.verdict(),
        replica: sample.replica().map(str::to_owned),
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
