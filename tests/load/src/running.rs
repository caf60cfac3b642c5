//! A load while it runs: the turns that the workers take, and what the caller sees of it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::sleep_until;

use crate::report::Report;
use crate::sample::{Outcome, Sample};

/// How late a request may be before it counts as delayed: more than timers and the scheduler explain.
const LATE: Duration = Duration::from_millis(10);
const FIRST_PHASE: &str = "start";

/// Why a load ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// [`Running::stop`] was called.
    Stopped,
    /// `max_requests` were made.
    MaxRequests,
    /// `max_time` passed.
    MaxTime,
}

/// A load that runs. Dropping it ends the load, too.
pub struct Running {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the workers and the caller share.
pub struct Shared {
    start: Instant,
    log: Mutex<Log>,
    changed: Condvar,
    stopped: watch::Sender<Option<End>>,
    turns: AtomicUsize,
    delayed: AtomicUsize,
}

struct Log {
    samples: Vec<Sample>,
    /// Names and beginnings of the phases, in order; never empty.
    phases: Vec<(Arc<str>, Duration)>,
    over: bool,
}

/// The beginning of one request.
pub struct Begun {
    at: Duration,
    since: Instant,
    phase: Arc<str>,
}

impl Running {
    pub(crate) fn start<F>(drive: impl FnOnce(Arc<Shared>) -> F + Send + 'static) -> Result<Self>
    where
        F: Future<Output = ()>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = Arc::new(Shared::new());
        let for_thread = shared.clone();
        let thread = std::thread::spawn(move || {
            runtime.block_on(drive(for_thread.clone()));
            for_thread.over();
        });
        Ok(Self { shared, thread: Some(thread) })
    }

    /// From now on, requests that are begun belong to this phase. The first phase is called `start`.
    pub fn mark(&self, phase: &str) {
        let mut log = self.shared.log();
        let at = self.shared.start.elapsed();
        log.phases.push((phase.into(), at));
    }

    /// How many requests have ended, well or not.
    pub fn completed(&self) -> usize {
        self.shared.log().samples.len()
    }

    /// How many requests have ended well.
    pub fn succeeded(&self) -> usize {
        let log = self.shared.log();
        log.samples.iter().filter(|it| !it.is_failed()).count()
    }

    /// False once the load has ended by itself.
    pub fn is_running(&self) -> bool {
        !self.shared.log().over
    }

    /// Waits until `n` requests have ended since the start of the load; false if that did not happen within
    /// `timeout` or before the load ended.
    pub fn wait_completed(&self, n: usize, timeout: Duration) -> bool {
        self.wait(timeout, |samples| samples.len() >= n)
    }

    /// Waits for an answer by this version that arrives *after the call*, so that it also tells when a version
    /// is back; false if there was none within `timeout` or before the load ended.
    pub fn wait_version(&self, version: &str, timeout: Duration) -> bool {
        let mut seen = self.completed();
        self.wait(timeout, |samples| {
            let latest = &samples[seen..];
            seen = samples.len();
            latest.iter().any(|it| it.version() == Some(version))
        })
    }

    fn wait(&self, timeout: Duration, mut done: impl FnMut(&[Sample]) -> bool) -> bool {
        let mut met = false;
        let waiting = |log: &mut Log| {
            met = done(&log.samples);
            !met && !log.over
        };
        let changed = &self.shared.changed;
        let log = self.shared.log();
        drop(changed.wait_timeout_while(log, timeout, waiting));
        met
    }

    /// Begins no more requests, waits for those in flight (at most `Load::timeout`) and reports.
    pub fn stop(mut self) -> Report {
        self.shared.stop(End::Stopped);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the load's own thread panicked");
        }
        self.shared.report()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.stop(End::Stopped);
    }
}

impl Shared {
    fn new() -> Self {
        let log =
            Log { samples: Vec::new(), phases: vec![(FIRST_PHASE.into(), Duration::ZERO)], over: false };
        Self {
            start: Instant::now(),
            log: Mutex::new(log),
            changed: Condvar::new(),
            stopped: watch::Sender::new(None),
            turns: AtomicUsize::new(0),
            delayed: AtomicUsize::new(0),
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().expect("nothing panics with the log locked")
    }

    /// The first reason to stop is the one that counts.
    pub fn stop(&self, end: End) {
        self.stopped.send_if_modified(|stopped| {
            let first = stopped.is_none();
            stopped.get_or_insert(end);
            first
        });
    }

    /// Takes the next turn and waits until it is due; false when there is no more to do.
    pub async fn next_turn(&self, turns: usize, rate: Option<f64>) -> bool {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        if turn >= turns {
            return false;
        }
        if let Some(rate) = rate {
            let offset = Duration::from_secs_f64(turn as f64 / rate);
            self.wait_until_due(self.start + offset).await;
        }
        self.stopped.borrow().is_none()
    }

    async fn wait_until_due(&self, due: Instant) {
        if Instant::now() > due + LATE {
            self.delayed.fetch_add(1, Ordering::Relaxed);
        }
        let mut stopped = self.stopped.subscribe();
        tokio::select! {
            () = sleep_until(due.into()) => {}
            _ = stopped.wait_for(Option::is_some) => {}
        }
    }

    /// Time and phase are taken together, so that a mark separates the requests cleanly.
    pub fn begin(&self) -> Begun {
        let log = self.log();
        let since = Instant::now();
        let (phase, _) = log.phases.last().expect("there is a first phase");
        Begun { at: since - self.start, since, phase: phase.clone() }
    }

    pub fn record(&self, begun: Begun, outcome: Outcome) {
        let sample = Sample { at: begun.at, latency: begun.since.elapsed(), outcome, phase: begun.phase };
        self.log().samples.push(sample);
        self.changed.notify_all();
    }

    fn over(&self) {
        self.stop(End::MaxRequests);
        self.log().over = true;
        self.changed.notify_all();
    }

    fn report(&self) -> Report {
        let mut log = self.log();
        let end = self.stopped.borrow().unwrap_or(End::Stopped);
        let delayed = self.delayed.load(Ordering::Relaxed);
        let samples = std::mem::take(&mut log.samples);
        Report::new(samples, log.phases.clone(), delayed, end)
    }
}
