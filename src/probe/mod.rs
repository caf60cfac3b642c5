//! Requests that zdd itself sends while it updates: what visitors would see, and the reason to go back when they
//! would see failures.
//!
//! `tally` decides and is pure, `client` sends; here are the clock and the threads.

mod client;
mod tally;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        mpsc::{TryRecvError, channel},
    },
    thread,
    time::{Duration, Instant},
};

use self::{
    client::Client,
    tally::{Sample, Tally},
};
pub use tally::Counting;

use crate::{
    event::{Event, ProbeBegin, ProbeBucket, ProbeEnd, Sink, Stage},
    project::Probe,
    story::Story,
    wait::{Alarm, Ended, Heed, Look, Waiter},
};

/// Requests before the first container is touched: enough to know whether it serves, over in half a second.
const BASELINE: u32 = 5;
/// So many without one answer, and nobody answers.
const SILENCE: u32 = 3;
/// Requests that wait for their answer at once; a proxy that hangs must not be buried.
const MOST_UNDER_WAY: f64 = 64.0;

/// Sends requests until it is finished.
pub struct Prober {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    probe: Probe,
    /// When the run began.
    began: Instant,
    state: Mutex<State>,
    alarm: Alarm,
    waiter: Waiter,
    /// With a waker of their own, as the workers have no use for news of containers.
    turns: Waiter,
    sink: Arc<dyn Sink>,
}

struct State {
    tally: Tally,
    story: Story,
    /// When the first request of the workers was due.
    start: Instant,
    /// Number of the next request.
    next: u32,
    /// How many workers there are.
    workers: u32,
    /// No request is sent any more.
    over: bool,
    /// No answer counts any more.
    closed: bool,
}

impl Prober {
    /// Asks a few times, then goes on asking in the background. `None` when it is interrupted before that.
    ///
    /// # Errors
    /// Nothing answered, and `counting` says that something should: the first error.
    pub fn begin(
        probe: &Probe,
        counting: Counting,
        began: Instant,
        waiter: &Waiter,
        sink: Arc<dyn Sink>,
    ) -> Result<Option<Prober>, String> {
        let state = State {
            tally: Tally::new(counting, probe.max_failures),
            story: Story::default(),
            start: Instant::now(),
            next: 0,
            workers: 0,
            over: false,
            closed: false,
        };
        let shared = Arc::new(Shared {
            client: Client::new(probe),
            probe: probe.clone(),
            began,
            state: Mutex::new(state),
            alarm: Alarm::default(),
            waiter: waiter.clone(),
            turns: waiter.apart(),
            sink,
        });
        let failure = shared.baseline();
        if waiter.is_interrupted() {
            shared.close();
            return Ok(None);
        }
        if let (Counting::All, Some(error)) = (counting, failure) {
            return Err(error);
        }
        shared.state().start = Instant::now();
        (0..workers(probe)).for_each(|_| spawn(&shared));
        Ok(Some(Prober { shared }))
    }

    /// Raised when the rollout may not go on.
    pub fn alarm(&self) -> Alarm {
        self.shared.alarm.clone()
    }

    /// How long the new version serves alone before the old containers are removed.
    pub fn watch_alone(&self) -> Duration {
        self.shared.probe.after
    }

    /// Follows the rollout, so that every request is known by what happened around it.
    pub fn follower(&self) -> Box<dyn Sink> {
        Box::new(Follower(Arc::downgrade(&self.shared)))
    }

    /// Waits for the answers that are under way, unless the user interrupts twice, reports what was
    /// seen, and returns why the rollout should not have gone on, if so.
    pub fn finish(self) -> Option<String> {
        let shared = &self.shared;
        shared.stop();
        shared.await_workers();
        let tally = shared.close();
        let (requests, failures) = tally.totals();
        shared.emit(&Event::ProbeEnd(ProbeEnd {
            url: shared.probe.url.to_string(),
            requests,
            failures,
            slowest: tally.slowest(),
            stages: tally.stages(),
            buckets: tally.buckets(),
        }));
        shared.alarm.reason().map(str::to_owned)
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

fn spawn(shared: &Arc<Shared>) {
    shared.state().workers += 1;
    let worker = Worker(shared.clone());
    thread::spawn(move || {
        while let Some(stage) = worker.0.next_turn() {
            let _ = worker.0.ask(stage);
        }
    });
}

/// Counted as long as it is there, however it ends.
struct Worker(Arc<Shared>);

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.state().workers -= 1;
        self.0.waiter.waker.wake();
    }
}

struct Follower(Weak<Shared>);

impl Sink for Follower {
    fn on(&self, at: Duration, event: &Event) {
        let Some(shared) = self.0.upgrade() else { return };
        let mut state = shared.state();
        state.story.apply(at, event);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn emit(&self, event: &Event) {
        self.sink.on(self.began.elapsed(), event);
    }

    fn stop(&self) {
        self.state().over = true;
        self.turns.waker.wake();
    }

    /// What was seen so far. An answer that comes later is not even reported.
    fn close(&self) -> Tally {
        let mut state = self.state();
        state.closed = true;
        state.tally.clone()
    }

    fn await_workers(&self) {
        let look = || match self.state().workers {
            0 => Ok::<_, ()>(Look::Done(())),
            _ => Ok(Look::Again(self.probe.timeout)),
        };
        let _ = self.waiter.until(None, Heed::Urgent, look);
    }

    /// The first error, when nothing answered. An interrupt ends it.
    fn baseline(self: &Arc<Shared>) -> Option<String> {
        self.emit(&Event::ProbeBegin(ProbeBegin {
            url: self.probe.url.to_string(),
            rate: self.probe.rate,
            max_failures: self.probe.max_failures,
        }));
        let mut first = None;
        let mut answered = false;
        for number in 0..BASELINE {
            if number > 0 {
                drop(self.waiter.pause(self.interval().min(ProbeBucket::LENGTH), Heed::Interrupt));
            }
            match self.ask_unless_interrupted()? {
                Ok(()) => answered = true,
                Err(error) => first = first.or(Some(error)),
            }
            if !answered && number + 1 == SILENCE {
                return first;
            }
        }
        None
    }

    /// A request cannot be broken off, so it is left to a thread of its own, which ends when it does.
    fn ask_unless_interrupted(self: &Arc<Shared>) -> Option<Result<(), String>> {
        if self.waiter.is_interrupted() {
            return None;
        }
        let (answer, answered) = channel();
        let shared = self.clone();
        thread::spawn(move || {
            let _ = answer.send(shared.ask(Stage::Before));
            shared.waiter.waker.wake();
        });
        let look = || match answered.try_recv() {
            Ok(result) => Ok(Look::Done(result)),
            Err(TryRecvError::Empty) => Ok(Look::Again(self.probe.timeout)),
            Err(TryRecvError::Disconnected) => Err(()),
        };
        match self.waiter.until(None, Heed::Interrupt, look) {
            Ok(Ended::Done(result)) => Some(result),
            _ => None,
        }
    }

    fn interval(&self) -> Duration {
        Duration::from_secs(1) / self.probe.rate
    }

    /// Sleeps until the next request is due. Requests are sent by the clock and not when the last one is answered:
    /// a server that hangs must not slow its own accuser. Turns that nobody was free for are left out.
    fn next_turn(&self) -> Option<Stage> {
        let due = self.take_turn();
        let look = || {
            let state = self.state();
            let left = due.saturating_duration_since(Instant::now());
            Ok::<_, ()>(match (state.over, left.is_zero()) {
                (true, _) => Look::Done(None),
                (false, true) => Look::Done(Some(state.story.stage)),
                (false, false) => Look::Again(left),
            })
        };
        match self.turns.until(None, Heed::Urgent, look) {
            Ok(Ended::Done(stage)) => stage,
            _ => None,
        }
    }

    /// When the next request is due.
    fn take_turn(&self) -> Instant {
        let mut state = self.state();
        let missed = state.start.elapsed().as_nanos() / self.interval().as_nanos();
        let number = state.next.max(u32::try_from(missed).unwrap_or(u32::MAX));
        state.next = number.saturating_add(1);
        state.start + self.interval().saturating_mul(number)
    }

    fn ask(&self, stage: Stage) -> Result<(), String> {
        let began = Instant::now();
        let at = self.began.elapsed();
        let result = self.client.ask();
        let error = result.clone().err();
        let mut state = self.state();
        if state.closed {
            return result;
        }
        let failure = state.tally.add(&Sample { at, took: began.elapsed(), stage, error });
        let verdict = state.tally.verdict();
        drop(state);
        if let Some((error, failures)) = failure {
            self.emit(&Event::ProbeFailure { error, failures });
        }
        if let Some(verdict) = verdict {
            self.alarm.raise(verdict);
            self.waiter.waker.wake();
        }
        result
    }
}
