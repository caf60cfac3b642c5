//! What the probe has seen, and when that is too much. Pure.

use std::{collections::BTreeMap, time::Duration};

use crate::event::{ProbeBucket, ProbeStage, Stage};

/// Failures that are named; the others are only counted.
pub const NAMED: usize = 5;

/// One request and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// When it began, since the run began.
    pub at: Duration,
    pub took: Duration,
    pub stage: Stage,
    /// Why it was no answer as it should be.
    pub error: Option<String>,
}

/// Which failures count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// Every one; towards the limit, every one since the first container was touched.
    All,
    /// Nothing served before the run, so those that precede the first answer are left out: nobody could answer them.
    SinceFirstAnswer,
}

#[derive(Clone, Debug)]
pub struct Tally {
    counting: Counting,
    /// `None`: nothing is too much.
    limit: Option<u32>,
    /// When the first good answer was there.
    answered: Option<Duration>,
    named: Vec<String>,
    stages: BTreeMap<Stage, Numbers>,
    buckets: BTreeMap<u64, Numbers>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Numbers {
    requests: u64,
    failures: u64,
    slowest: Duration,
    sum: Duration,
}

impl Numbers {
    fn add(&mut self, sample: &Sample) {
        self.requests += 1;
        self.failures += u64::from(sample.error.is_some());
        self.slowest = self.slowest.max(sample.took);
        self.sum += sample.took;
    }

    fn mean(&self) -> Duration {
        self.sum.div_f64(self.requests.max(1) as f64)
    }
}

impl Tally {
    pub fn new(counting: Counting, limit: Option<u32>) -> Tally {
        Tally {
            counting,
            limit,
            answered: None,
            named: vec![],
            stages: BTreeMap::new(),
            buckets: BTreeMap::new(),
        }
    }

    /// Takes a request in. Returns its error and the failures so far, if it is one of the first that count.
    pub fn add(&mut self, sample: &Sample) -> Option<(String, u64)> {
        if sample.error.is_none() {
            self.answered.get_or_insert(sample.at + sample.took);
        }
        if self.counting == Counting::SinceFirstAnswer && self.precedes_first_answer(sample) {
            return None;
        }
        self.stages.entry(sample.stage).or_default().add(sample);
        let bucket = sample.at.as_millis() / ProbeBucket::LENGTH.as_millis();
        self.buckets.entry(bucket as u64).or_default().add(sample);
        if sample.stage == Stage::Before { None } else { self.name(sample) }
    }

    fn precedes_first_answer(&self, sample: &Sample) -> bool {
        sample.error.is_some() && self.answered.is_none_or(|answered| sample.at < answered)
    }

    fn name(&mut self, sample: &Sample) -> Option<(String, u64)> {
        let error = sample.error.as_ref().filter(|_| self.named.len() < NAMED)?;
        let at = sample.at.as_millis() / 100;
        self.named.push(format!("{error} at {}.{}s", at / 10, at % 10));
        Some((error.clone(), self.counted().1))
    }

    /// Why the rollout may not go on, in one clause; `None` while it may.
    pub fn verdict(&self) -> Option<String> {
        let limit = self.limit?;
        let (requests, failures) = self.counted();
        if failures <= u64::from(limit) {
            return None;
        }
        let allowed = match limit {
            0 => "none is".to_owned(),
            1 => "at most 1 is".to_owned(),
            n => format!("at most {n} are"),
        };
        let more = if failures > self.named.len() as u64 { ", …" } else { "" };
        Some(format!(
            "the probe saw {failures} of {requests} requests fail, {allowed} allowed: {}{more}",
            self.named.join(", ")
        ))
    }

    /// Requests and failures.
    pub fn totals(&self) -> (u64, u64) {
        totals(self.stages.values())
    }

    /// Those towards the limit.
    fn counted(&self) -> (u64, u64) {
        totals(self.stages.range(Stage::Start..).map(|(_, numbers)| numbers))
    }

    pub fn slowest(&self) -> Duration {
        self.stages.values().map(|numbers| numbers.slowest).max().unwrap_or_default()
    }

    pub fn stages(&self) -> Vec<ProbeStage> {
        let one = |(stage, numbers): (&Stage, &Numbers)| ProbeStage {
            stage: *stage,
            requests: numbers.requests,
            failures: numbers.failures,
            mean: numbers.mean(),
            slowest: numbers.slowest,
        };
        self.stages.iter().map(one).collect()
    }

    pub fn buckets(&self) -> Vec<ProbeBucket> {
        let one = |(number, numbers): (&u64, &Numbers)| ProbeBucket {
            at: ProbeBucket::LENGTH.saturating_mul(u32::try_from(*number).unwrap_or(u32::MAX)),
            requests: numbers.requests,
            failures: numbers.failures,
            mean: numbers.mean(),
            slowest: numbers.slowest,
        };
        self.buckets.iter().map(one).collect()
    }
}

fn totals<'n>(numbers: impl Iterator<Item = &'n Numbers>) -> (u64, u64) {
    numbers.fold((0, 0), |sum, one| (sum.0 + one.requests, sum.1 + one.failures))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: u64, stage: Stage, error: Option<&str>) -> Sample {
        let took = Duration::from_millis(10 + at % 7);
        Sample { at: Duration::from_millis(at), took, stage, error: error.map(str::to_owned) }
    }

    fn after(counting: Counting, limit: Option<u32>, samples: &[(u64, Stage, Option<&str>)]) -> Tally {
        let mut tally = Tally::new(counting, limit);
        for (at, stage, error) in samples {
            tally.add(&sample(*at, *stage, *error));
        }
        tally
    }

    const RUN: &[(u64, Stage, Option<&str>)] = &[
        (0, Stage::Before, Some("status 502")),
        (50, Stage::Before, None),
        (120, Stage::Start, None),
        (180, Stage::Stop, Some("status 500")),
        (230, Stage::Stop, Some("connection refused")),
        (290, Stage::After, None),
    ];

    #[test]
    fn one_failure_more_than_allowed_is_too_much() {
        let verdict = |limit| after(Counting::All, limit, RUN).verdict();
        assert_eq!(verdict(None), None);
        assert_eq!(verdict(Some(2)), None);
        assert_eq!(
            verdict(Some(1)).unwrap(),
            "the probe saw 2 of 4 requests fail, at most 1 is allowed: status 500 at 0.1s, connection refused at 0.2s"
        );
        assert!(verdict(Some(0)).unwrap().contains("fail, none is allowed: "));
    }

    #[test]
    fn what_failed_before_the_rollout_is_not_its_fault() {
        assert_eq!(after(Counting::All, Some(0), &RUN[..3]).verdict(), None);
    }

    #[test]
    fn a_first_start_counts_from_the_first_answer() {
        let run = [(0, Stage::Start, Some("x")), (100, Stage::Health, None), (200, Stage::After, Some("y"))];
        let tally = after(Counting::SinceFirstAnswer, Some(0), &run[..2]);
        assert_eq!((tally.verdict(), tally.totals()), (None, (1, 0)));
        assert!(after(Counting::SinceFirstAnswer, Some(0), &run).verdict().unwrap().ends_with("y at 0.2s"));
    }

    #[test]
    fn only_the_first_failures_are_named() {
        let run: Vec<_> = (0..9).map(|n| (n * 100, Stage::Stop, Some("status 500"))).collect();
        let text = after(Counting::All, Some(3), &run).verdict().unwrap();
        assert!(text.starts_with("the probe saw 9 of 9 requests fail, at most 3 are allowed: "), "{text}");
        assert_eq!(text.matches("status 500").count(), NAMED);
        assert!(text.ends_with("at 0.4s, …"), "{text}");
    }

    #[test]
    fn figures_by_stage_and_by_tenth_of_a_second() {
        let tally = after(Counting::All, None, RUN);
        let stages: Vec<_> = tally.stages().iter().map(|s| (s.stage, s.requests, s.failures)).collect();
        let wanted = [(Stage::Before, 2, 1), (Stage::Start, 1, 0), (Stage::Stop, 2, 2), (Stage::After, 1, 0)];
        assert_eq!(stages, wanted);
        let buckets: Vec<_> =
            tally.buckets().iter().map(|b| (b.at.as_millis(), b.requests, b.failures)).collect();
        assert_eq!(buckets, [(0, 2, 1), (100, 2, 1), (200, 2, 1)]);
        assert_eq!((tally.totals(), tally.slowest()), ((6, 3), Duration::from_millis(16)));
    }
}
