//! One container's way in or out.

use std::time::Duration;

use super::Stretch;
use crate::engine::ContainerRef;
use crate::event::{Generation, Phase};

#[derive(Clone, Debug, Default)]
pub struct Container {
    pub container: ContainerRef,
    pub generation: Generation,
    /// The last word on its health, by Docker.
    pub health: String,
    /// How long the wait for its health may take in all.
    pub limit: Duration,
    /// Since when it does what it does; the wait for its health is a part of the start.
    pub since: Duration,
    /// How long that took, once it is over.
    pub took: Option<Duration>,
    /// It served before the run.
    served: bool,
    news: Vec<(Duration, Phase)>,
}

/// What a container is doing. The later ones are the more important where several fall into one column of a picture: a
/// short stop in a long run must not vanish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    Absent,
    Serving,
    Starting,
    Draining,
    Stopping,
    Failed,
}

/// From, to, and what it did in between.
pub type Span = (Duration, Duration, State);

impl Container {
    pub fn new(container: ContainerRef) -> Container {
        Container { container, ..Container::default() }
    }

    /// One that served before the run.
    pub fn serving(container: ContainerRef) -> Container {
        Container { container, served: true, ..Container::default() }
    }

    pub fn apply(&mut self, at: Duration, phase: &Phase) {
        if self.news.is_empty() {
            self.since = at;
        }
        match phase {
            Phase::Waiting { health, deadline, .. } => {
                self.health.clone_from(health);
                self.limit = at.saturating_add(*deadline).saturating_sub(self.since);
            }
            Phase::Ready
            | Phase::Finished
            | Phase::Failed { .. }
            | Phase::Restored
            | Phase::Stopped { .. } => {
                self.took = Some(at.saturating_sub(self.since));
            }
            Phase::Removed => {}
            _ => (self.since, self.took) = (at, None),
        }
        // What leaves must have served, whether or not the plan has listed it.
        let leaves = matches!(phase, Phase::Draining { .. } | Phase::Drained { .. } | Phase::Stopping { .. });
        self.served |= self.news.is_empty() && self.generation == Generation::Old && leaves;
        self.news.push((at, phase.clone()));
    }

    /// It serves after all.
    pub fn spare(&mut self, since: Duration) {
        if let Some((at, Phase::Draining { .. } | Phase::Drained { .. })) = self.news.last() {
            self.news.push(((*at).max(since), Phase::Restored));
        }
    }

    /// `None`: nothing was done with it so far.
    pub fn phase(&self) -> Option<&Phase> {
        self.news.last().map(|(_, phase)| phase)
    }

    /// What it was in before its phase.
    pub fn before(&self) -> Option<&Phase> {
        self.news.iter().rev().nth(1).map(|(_, phase)| phase)
    }

    /// What was not as it should be when it had drained, and when that was.
    pub fn drain_note(&self) -> Option<(Duration, &str)> {
        self.news.iter().find_map(|(at, phase)| match phase {
            Phase::Drained { note } => Some((*at, note.as_deref()?)),
            _ => None,
        })
    }

    /// From the begin of the run until `now`.
    pub fn life(&self, now: Duration) -> Vec<Span> {
        let before = if self.served { State::Serving } else { State::Absent };
        let states = self.news.iter().filter_map(|(at, phase)| Some((*at, State::after(phase)?)));
        let states: Vec<_> = std::iter::once((Duration::ZERO, before)).chain(states).collect();
        let spans: Vec<Span> = until_next(&states, now).map(|(from, to, state)| (from, to, *state)).collect();
        let spans: Vec<Span> = spans.into_iter().filter(|(from, to, _)| from < to).collect();
        spans.chunk_by(|a, b| a.2 == b.2).map(|run| (run[0].0, run[run.len() - 1].1, run[0].2)).collect()
    }

    pub fn stretches(&self, now: Duration) -> impl Iterator<Item = Stretch> {
        until_next(&self.news, now).filter_map(|(from, to, phase)| match phase {
            Phase::Started | Phase::Waiting { .. } if self.generation == Generation::New => {
                Some(("health", from, to))
            }
            Phase::Draining { .. } => Some(("drain", from, to)),
            Phase::Stopping { .. } => Some(("stop", from, to)),
            _ => None,
        })
    }
}

impl State {
    pub const ALL: [State; 5] =
        [State::Starting, State::Serving, State::Draining, State::Stopping, State::Failed];

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
}

/// Each with the time until the next; the last lasts until `now`.
pub fn until_next<T>(
    news: &[(Duration, T)],
    now: Duration,
) -> impl Iterator<Item = (Duration, Duration, &T)> {
    let ends = news.iter().skip(1).map(|(at, _)| *at).chain([now]);
    news.iter().zip(ends).map(|((from, what), to)| (*from, to, what))
}
