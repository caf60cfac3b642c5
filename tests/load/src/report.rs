//! What a load has found, as numbers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::running::End;
use crate::sample::Sample;

/// The result of a load. Displayed, it is everything that a person needs to judge it.
///
/// Latencies and percentiles are over all requests, failed ones included: a request that failed after its
/// timeout was slow, too.
#[derive(Clone, Debug)]
pub struct Report {
    samples: Vec<Sample>,
    phases: Vec<(Arc<str>, Duration)>,
    delayed: usize,
    end: End,
}

impl Report {
    pub(crate) fn new(
        mut samples: Vec<Sample>,
        phases: Vec<(Arc<str>, Duration)>,
        delayed: usize,
        end: End,
    ) -> Self {
        samples.sort_by_key(|sample| sample.at);
        Self { samples, phases, delayed, end }
    }

    /// Every request, in the order in which they were begun.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    pub fn requests(&self) -> usize {
        self.samples.len()
    }

    /// Requests without a whole answer, or with a status outside 200..400.
    pub fn failed(&self) -> Vec<&Sample> {
        self.samples.iter().filter(|it| it.is_failed()).collect()
    }

    /// Requests begun more than 10 ms later than the rate wanted, because all workers were busy.
    pub fn delayed(&self) -> usize {
        self.delayed
    }

    /// Why the load ended. A test that means to stop it itself should see [`End::Stopped`].
    pub fn end(&self) -> End {
        self.end
    }

    /// From the start of the load until the last answer.
    pub fn took(&self) -> Duration {
        let ends = self.samples.iter().map(|it| it.at + it.latency);
        ends.max().unwrap_or_default()
    }

    /// Requests per second, on average over [`Report::took`].
    pub fn per_second(&self) -> f64 {
        match self.took().as_secs_f64() {
            0.0 => 0.0,
            seconds => self.requests() as f64 / seconds,
        }
    }

    pub fn slowest(&self) -> Option<&Sample> {
        slowest(self.samples.iter())
    }

    /// The latency that `p` percent of the requests did not exceed (nearest rank); zero without requests.
    pub fn percentile(&self, p: f64) -> Duration {
        percentile(self.samples.iter(), p)
    }

    /// The names of the phases, in the order in which they began.
    pub fn phases(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in &self.phases {
            if !names.contains(&&**name) {
                names.push(name);
            }
        }
        names
    }

    /// When each phase began, since the start of the load.
    pub fn marks(&self) -> &[(Arc<str>, Duration)] {
        &self.phases
    }

    /// The requests begun in this phase.
    pub fn samples_in(&self, phase: &str) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |it| &*it.phase == phase)
    }

    pub fn slowest_in(&self, phase: &str) -> Option<&Sample> {
        slowest(self.samples_in(phase))
    }

    pub fn percentile_in(&self, phase: &str, p: f64) -> Duration {
        percentile(self.samples_in(phase), p)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let parts = [self.table(), self.timeline(), self.failures()];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        f.write_str(&parts.join("\n"))
    }
}

fn slowest<'a>(samples: impl Iterator<Item = &'a Sample>) -> Option<&'a Sample> {
    samples.max_by_key(|sample| sample.latency)
}

fn percentile<'a>(samples: impl Iterator<Item = &'a Sample>, p: f64) -> Duration {
    let mut latencies: Vec<_> = samples.map(|sample| sample.latency).collect();
    latencies.sort_unstable();
    let rank = (p / 100.0 * latencies.len() as f64).ceil() as usize;
    let last = latencies.len().saturating_sub(1);
    let index = rank.saturating_sub(1).min(last);
    latencies.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::sample::Outcome;

    pub fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// An answer begun at `at` milliseconds that took `latency` milliseconds.
    pub fn answer(at: u64, latency: u64, version: &str) -> Sample {
        Sample {
            at: ms(at),
            latency: ms(latency),
            outcome: Outcome::Ok { status: 200, version: Some(version.into()), replica: None },
            phase: if at < 1000 { "start" } else { "update" }.into(),
        }
    }

    pub fn report(samples: Vec<Sample>) -> Report {
        let phases = vec![("start".into(), ms(0)), ("update".into(), ms(1000))];
        Report::new(samples, phases, 0, End::Stopped)
    }

    #[test]
    fn percentiles_are_nearest_rank_and_know_phases() {
        let samples = (1..=100).map(|n| answer(n, n, "1"));
        let report = report(samples.chain([answer(1000, 500, "2")]).collect());
        assert_eq!(report.percentile_in("start", 50.0), ms(50));
        assert_eq!(report.percentile_in("start", 99.0), ms(99));
        assert_eq!(report.percentile_in("start", 100.0), ms(100));
        assert_eq!(report.percentile_in("start", 0.0), ms(1));
        assert_eq!(report.percentile_in("update", 1.0), ms(500));
        assert_eq!(report.slowest_in("start").unwrap().latency, ms(100));
        assert_eq!(report.slowest().unwrap().at, ms(1000));
        assert_eq!(report.percentile_in("none", 50.0), Duration::ZERO);
    }

    #[test]
    fn the_rate_is_over_the_whole_time() {
        let report = report(vec![answer(1900, 100, "1"), answer(0, 10, "1")]);
        assert_eq!(report.took(), ms(2000));
        assert_eq!(report.per_second(), 1.0);
        assert_eq!(report.samples()[0].at, ms(0));
    }

    #[test]
    fn nothing_sent_is_reported_without_a_panic() {
        let report = report(Vec::new());
        assert_eq!((report.requests(), report.per_second()), (0, 0.0));
        assert!(report.to_string().contains("no requests"));
    }
}
