//! Requests that zdd itself sends while it updates: what visitors would see, and the reason to go back when they
//! would see failures.
//!
//! `tally` decides and is pure, `client` sends; here are the clock and the threads.

mod client;
mod tally;

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use self::{
    client::Client,
    tally::{Sample, Tally},
};
pub use tally::Counting;

use crate::{
    event::{Event, ProbeBucket, Sink, Stage},
    model::Probe,
    wake::Bell,
};

/// Requests before the first container is touched: enough to know whether it serves, over in half a second.
const BASELINE: u32 = 5;
/// So many without one answer, and nobody answers.
const SILENCE: u32 = 3;
/// Requests that wait for their answer at once; a proxy that hangs must not be buried.
const MOST_UNDER_WAY: f64 = 64.0;

/// What the rollout looks at between two steps. The default never speaks.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    alarm: Arc<OnceLock<String>>,
    /// How long the new version serves alone before the old containers are removed.
    pub after: Duration,
}

impl Watch {
    /// Why the rollout may not go on, once that is so.
    pub fn alarm(&self) -> Option<&str> {
        self.alarm.get().map(String::as_str)
    }
}

/// Sends requests until it is finished.
pub struct Prober {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

struct Shared {
    client: Client,
    probe: Probe,
    /// When the run began.
    clock: Instant,
    /// When the first request of the workers was due.
    start: Instant,
    state: Mutex<State>,
    over: Condvar,
    watch: Watch,
    bell: Arc<Bell>,
    sink: Arc<dyn Sink>,
}

struct State {
    tally: Tally,
    stage: Stage,
    /// Number of the next request.
    next: u32,
    over: bool,
}

impl Prober {
    /// Asks a few times, then goes on asking in the background.
    ///
    /// # Errors
    /// Nothing answered, and `counting` says that something should: the first error.
    pub fn begin(
        probe: &Probe,
        counting: Counting,
        clock: Instant,
        bell: Arc<Bell>,
        sink: Arc<dyn Sink>,
    ) -> Result<Prober, String> {
        let state = State {
            tally: Tally::new(counting, probe.max_failures),
            stage: Stage::Before,
            next: 0,
            over: false,
        };
        let mut shared = Shared {
            client: Client::new(probe),
            probe: probe.clone(),
            clock,
            start: Instant::now(),
            state: Mutex::new(state),
            over: Condvar::new(),
            watch: Watch { alarm: Arc::default(), after: probe.after },
            bell,
            sink,
        };
        let failure = shared.baseline();
        if let (Counting::All, Some(error)) = (counting, failure) {
            return Err(error);
        }
        shared.start = Instant::now();
        let shared = Arc::new(shared);
        let workers = (0..workers(probe)).map(|_| spawn(&shared)).collect();
        Ok(Prober { shared, workers })
    }

    pub fn watch(&self) -> Watch {
        self.shared.watch.clone()
    }

    /// Follows the rollout, so that every request is known by what happened around it.
    pub fn follower(&self) -> Box<dyn Sink> {
        Box::new(Follower(Arc::downgrade(&self.shared)))
    }

    /// Waits for the answers that are under way and tells what was seen.
    /// Ends, reports, and returns why the rollout should not have gone on, if so.
    pub fn finish(mut self) -> Option<String> {
        self.shared.stop();
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
        let shared = &self.shared;
        let tally = shared.state().tally.clone();
        let (requests, failures) = tally.totals();
        shared.tell(&Event::ProbeEnd {
            url: shared.probe.url.to_string(),
            requests,
            failures,
            slowest: tally.slowest(),
            stages: tally.stages(),
            buckets: tally.buckets(),
        });
        self.watch().alarm().map(str::to_owned)
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

/// As many as wait at once when every request takes its full time.
fn workers(probe: &Probe) -> u32 {
    (f64::from(probe.rate) * probe.timeout.as_secs_f64()).ceil().clamp(1.0, MOST_UNDER_WAY) as u32
}

fn spawn(shared: &Arc<Shared>) -> JoinHandle<()> {
    let shared = shared.clone();
    thread::spawn(move || {
        while let Some(stage) = shared.next_turn() {
            let _ = shared.ask(stage);
        }
    })
}

struct Follower(Weak<Shared>);

impl Sink for Follower {
    fn on(&self, _at: Duration, event: &Event) {
        let Some(shared) = self.0.upgrade() else { return };
        let mut state = shared.state();
        state.stage = tally::stage_from(state.stage, event).unwrap_or(state.stage);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, event: &Event) {
        self.sink.on(self.clock.elapsed(), event);
    }

    fn stop(&self) {
        self.state().over = true;
        self.over.notify_all();
    }

    /// The first error, when nothing answered.
    fn baseline(&self) -> Option<String> {
        self.tell(&Event::ProbeBegin {
            url: self.probe.url.to_string(),
            rate: self.probe.rate,
            max_failures: self.probe.max_failures,
        });
        let mut first = None;
        let mut answered = false;
        for number in 0..BASELINE {
            if number > 0 {
                thread::sleep(self.interval().min(ProbeBucket::LENGTH));
            }
            match self.ask(Stage::Before) {
                Ok(()) => answered = true,
                Err(error) => first = first.or(Some(error)),
            }
            if !answered && number + 1 == SILENCE {
                return first;
            }
        }
        None
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(1) / self.probe.rate
    }

    /// Sleeps until the next request is due. Requests are sent by the clock and not when the last one is answered:
    /// a server that hangs must not slow its own accuser. Turns that nobody was free for are left out.
    fn next_turn(&self) -> Option<Stage> {
        let mut state = self.state();
        let missed = self.start.elapsed().as_nanos() / self.interval().as_nanos();
        let number = state.next.max(u32::try_from(missed).unwrap_or(u32::MAX));
        state.next = number.saturating_add(1);
        let due = self.start + self.interval().saturating_mul(number);
        while !state.over {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Some(state.stage);
            }
            state = self.over.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        None
    }

    fn ask(&self, stage: Stage) -> Result<(), String> {
        let began = Instant::now();
        let at = self.clock.elapsed();
        let result = self.client.ask();
        let error = result.clone().err();
        let mut state = self.state();
        let failure = state.tally.add(&Sample { at, took: began.elapsed(), stage, error });
        let verdict = state.tally.verdict();
        drop(state);
        if let Some((error, failures)) = failure {
            self.tell(&Event::ProbeFailure { error, failures });
        }
        if let Some(verdict) = verdict {
            let _ = self.watch.alarm.set(verdict);
            self.bell.ring();
        }
        result
    }
}
