//! Which version answered when.
//!
//! The time of an answer is here always the time when its *request was begun*: a slow answer of the old
//! version, to a request that it got before the new one took over, is no step back. Answers without
//! `X-Version` and failed requests without an answer say nothing about versions and are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::report::Report;
use crate::sample::Sample;

/// How finely [`Report::versions`] divides the time.
pub(crate) const SLOT: Duration = Duration::from_millis(250);
/// How long a version must answer alone before [`Report::monotone`] takes it to have taken over.
const TAKEN_OVER: Duration = Duration::from_millis(500);

/// A stretch of time in which the same versions answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRun {
    /// Since the start of the load; a multiple of 250 ms.
    pub from: Duration,
    pub to: Duration,
    /// Answers of each version; empty if there was no answer.
    pub answers: BTreeMap<String, usize>,
}

impl Report {
    /// The whole time in slots of 250 ms, neighbours put together in which the same set of versions answered.
    pub fn versions(&self) -> Vec<VersionRun> {
        let mut runs: Vec<VersionRun> = Vec::new();
        for slot in self.slots() {
            match runs.last_mut() {
                Some(run) if run.answers.keys().eq(slot.answers.keys()) => run.extend(slot),
                _ => runs.push(slot),
            }
        }
        runs
    }

    fn slots(&self) -> Vec<VersionRun> {
        let end = self.samples().last().map_or(0, |it| slot_of(it.at) + 1);
        let mut slots: Vec<_> = (0..end).map(empty_slot).collect();
        for (at, version) in self.answers() {
            let answers = &mut slots[slot_of(at) as usize].answers;
            *answers.entry(version.to_owned()).or_default() += 1;
        }
        slots
    }

    /// Time and version of each answer, in order of time.
    fn answers(&self) -> impl DoubleEndedIterator<Item = (Duration, &str)> {
        let answer = |it: &'_ Sample| it.version().is_some();
        let answers = self.samples().iter().filter(move |it| answer(it));
        answers.map(|it| (it.at, it.version().unwrap_or_default()))
    }

    /// The versions that answered, in the order of their first answers.
    pub fn versions_seen(&self) -> Vec<&str> {
        let mut known = BTreeSet::new();
        let new = self.answers().filter(|(_, version)| known.insert(*version));
        new.map(|(_, version)| version).collect()
    }

    /// How long both versions answered: from the first answer of `new` to the last one of `old`. Zero if `new`
    /// came after `old` had ended, nothing if one of them never answered.
    pub fn overlap(&self, old: &str, new: &str) -> Option<Duration> {
        let (first_new, _) = self.answers().find(|(_, version)| *version == new)?;
        let (last_old, _) = self.answers().rfind(|(_, version)| *version == old)?;
        Some(last_old.saturating_sub(first_new))
    }

    /// True if, after the last answer of `old`, there are answers and all of them are of `new`. That says that the
    /// change was completed, not that it was smooth: see [`Report::monotone`].
    pub fn never_back(&self, old: &str, new: &str) -> bool {
        let mut backwards = self.answers().rev();
        let mut tail = backwards.by_ref().take_while(|(_, version)| *version != old);
        let (newest, rest_is_new) = (tail.next(), tail.all(|(_, version)| version == new));
        newest.is_some_and(|(_, version)| version == new) && rest_is_new
    }

    /// True if `new` took over for good: the last answer is its own, and no other version answered again after
    /// it had been the only one for 500 ms.
    ///
    /// "The only one for 500 ms" is from its first answer in a row to the answer of another version that ends
    /// the row. Before that, the versions may mix, as they do behind a proxy that balances between both. The
    /// load must be dense for this to mean anything: at a few requests per second, taking turns looks the same.
    pub fn monotone(&self, new: &str) -> bool {
        let mut row_began = None;
        for (at, version) in self.answers() {
            if version == new {
                row_began.get_or_insert(at);
            } else if row_began.take().is_some_and(|began| at - began >= TAKEN_OVER) {
                return false;
            }
        }
        row_began.is_some()
    }
}

impl VersionRun {
    fn extend(&mut self, next: VersionRun) {
        self.to = next.to;
        for (version, count) in next.answers {
            *self.answers.entry(version).or_default() += count;
        }
    }
}

/// The number of the slot that this time is in.
pub(crate) fn slot_of(at: Duration) -> u32 {
    (at.as_millis() / SLOT.as_millis()) as u32
}

fn empty_slot(number: u32) -> VersionRun {
    VersionRun { from: SLOT * number, to: SLOT * (number + 1), answers: BTreeMap::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{answer, ms, report};

    fn answers(versions: &[(u64, &str)]) -> Report {
        let samples = versions.iter().map(|(at, version)| answer(*at, 10, version));
        report(samples.collect())
    }

    fn run(from: u64, to: u64, counts: &[(&str, usize)]) -> VersionRun {
        let counts = counts.iter().map(|(name, count)| (name.to_string(), *count));
        VersionRun { from: ms(from), to: ms(to), answers: counts.collect() }
    }

    #[test]
    fn slots_with_the_same_versions_are_one_run() {
        let report = answers(&[(0, "1"), (249, "1"), (250, "1"), (600, "2"), (700, "1"), (1300, "2")]);
        let wanted = [
            run(0, 500, &[("1", 3)]),
            run(500, 750, &[("1", 1), ("2", 1)]),
            run(750, 1250, &[]),
            run(1250, 1500, &[("2", 1)]),
        ];
        assert_eq!(report.versions(), wanted);
        assert_eq!(report.versions_seen(), ["1", "2"]);
    }

    #[test]
    fn overlap_is_from_the_first_new_to_the_last_old() {
        let mixed = answers(&[(0, "1"), (100, "2"), (150, "1"), (200, "2")]);
        assert_eq!(mixed.overlap("1", "2"), Some(ms(50)));
        let clean = answers(&[(0, "1"), (100, "2")]);
        assert_eq!(clean.overlap("1", "2"), Some(ms(0)));
        assert_eq!(clean.overlap("1", "3"), None);
    }

    #[test]
    fn never_back_wants_only_new_after_the_last_old() {
        assert!(answers(&[(0, "1"), (1, "2"), (2, "1"), (3, "2")]).never_back("1", "2"));
        assert!(!answers(&[(0, "1"), (1, "2"), (2, "1")]).never_back("1", "2"));
        assert!(!answers(&[(0, "1"), (1, "2"), (2, "3")]).never_back("1", "2"));
        assert!(!answers(&[(0, "1"), (1, "3"), (2, "2")]).never_back("1", "2"));
        assert!(!answers(&[]).never_back("1", "2"));
    }

    #[test]
    fn monotone_allows_a_mix_but_no_return() {
        assert!(answers(&[(0, "1"), (100, "2"), (200, "1"), (300, "2")]).monotone("2"));
        assert!(answers(&[(0, "2"), (499, "1"), (500, "2")]).monotone("2"));
        assert!(!answers(&[(0, "2"), (500, "1"), (600, "2")]).monotone("2"));
        assert!(!answers(&[(0, "1"), (100, "2"), (200, "1")]).monotone("2"));
        assert!(!answers(&[(0, "1")]).monotone("2"));
    }

    #[test]
    fn a_slow_answer_of_the_old_version_is_no_step_back() {
        let slow = answer(0, 2000, "1");
        let report = report(vec![slow, answer(100, 1, "2"), answer(900, 1, "2")]);
        assert!(report.monotone("2"));
        assert_eq!(report.overlap("1", "2"), Some(ms(0)));
    }
}
