//! Waits until containers have no connection any more, and ends those that nobody uses.

use std::{
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use super::END_QUIET;
use crate::{
    engine::Replica,
    event::{Generation, Phase},
    helper::{Help, protocol::Request},
    proxy::Scene,
    text::count,
};

/// One helper is asked this long at a time, so that it can be asked for something else in between.
const SLICE: Duration = Duration::from_millis(600);
/// How often connections are counted where they cannot be ended.
const COUNT_AGAIN: Duration = Duration::from_millis(50);
/// The peer has closed its side: a program that still answers does so within this time, one that has forgotten the
/// connection never does.
const HALF_CLOSED_FOR: Duration = Duration::from_secs(2);
/// What was sent to an old container just before new connections went elsewhere has arrived by then.
const ARRIVES_WITHIN: Duration = Duration::from_millis(100);

/// Those that are in use at the end, by container.
pub fn drain(
    running: &[Replica],
    limit: Duration,
    generation: Generation,
    (help, scene): (&dyn Help, &Scene),
) -> Vec<u64> {
    let mut counts = Counts::default();
    scene.wait_while(limit, generation, || {
        let open = count_all(running, help);
        counts.report(running, &open, generation, scene);
        counts.count_again(&open, scene)
    });
    counts.last.iter().map(|open| open.map_or(0, |open| open.in_use())).collect()
}

/// Connections of a container that were begun by others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Open {
    established: u64,
    half_closed: u64,
    /// Established ones on which nothing has happened for as long as they are watched.
    unused: u64,
}

impl Open {
    /// Those that are waited for: an unused one may never end by itself, and nothing on it is cut off.
    fn in_use(&self) -> u64 {
        self.established.saturating_sub(self.unused)
    }
}

/// What was counted so far.
#[derive(Default)]
struct Counts {
    last: Vec<Option<Open>>,
    /// Since when none is in use; some may be half closed.
    unused_since: Option<Instant>,
}

impl Counts {
    /// After which time, if connections are open or were until just now.
    fn count_again(&mut self, open: &[Option<Open>], scene: &Scene) -> Option<Duration> {
        if open.iter().all(Option::is_none) {
            return None;
        }
        let any = |count: fn(&Open) -> u64| open.iter().flatten().any(|open| count(open) > 0);
        if any(Open::in_use) {
            self.unused_since = None;
            return Some(COUNT_AGAIN);
        }
        let now = scene.waiter.clock.now();
        let since = *self.unused_since.get_or_insert(now);
        let needed = if any(|open| open.half_closed) { HALF_CLOSED_FOR } else { ARRIVES_WITHIN };
        let left = needed.saturating_sub(now.saturating_duration_since(since));
        (!left.is_zero()).then_some(left.min(COUNT_AGAIN))
    }

    fn report(&mut self, replicas: &[Replica], open: &[Option<Open>], generation: Generation, scene: &Scene) {
        for (at, (replica, open)) in replicas.iter().zip(open).enumerate() {
            if self.last.get(at) != Some(open)
                && let Some(open) = open
            {
                let how = count(open.established as usize, "connection");
                scene.reporter.container(&replica.reference(), generation, Phase::Draining { how });
            }
        }
        self.last = open.to_vec();
    }
}

/// All at once. `None` for one that cannot be asked, or has ended.
fn count_all(replicas: &[Replica], help: &dyn Help) -> Vec<Option<Open>> {
    let counts = Mutex::new(vec![None; replicas.len()]);
    thread::scope(|scope| {
        for (at, replica) in replicas.iter().enumerate() {
            let counts = &counts;
            scope.spawn(move || {
                let open = end_and_count(replica, help);
                counts.lock().unwrap_or_else(PoisonError::into_inner)[at] = open;
            });
        }
    });
    counts.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Proxies keep connections for the next request: under load these never end by themselves, so they are ended between
/// two requests.
fn end_and_count(replica: &Replica, help: &dyn Help) -> Option<Open> {
    let container = replica.reference();
    let ended = help.inside(&container, &Request::End { quiet: END_QUIET, limit: SLICE, ports: vec![] });
    let answer = help.inside(&container, &Request::Connections { list: false }).ok()?;
    let unused = ended.ok().and_then(|ended| ended.number("unknown")).unwrap_or(0);
    let (established, half_closed) = (answer.number("established")?, answer.number("half-closed")?);
    Some(Open { established, half_closed, unused })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_connections_that_are_not_used() {
        let in_use = |established, unused| Open { established, half_closed: 0, unused }.in_use();
        assert_eq!([in_use(3, 0), in_use(3, 2), in_use(3, 3)], [3, 1, 0]);
        // Some have ended since the others were counted.
        assert_eq!(in_use(1, 2), 0);
    }
}
