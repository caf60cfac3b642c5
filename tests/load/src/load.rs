//! What to send, how fast and how long; and the workers that do it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::{Client, Plan};
use crate::running::{End, Running, Shared};
use crate::target::Target;

/// Requests per second, below which the schedule has nothing to do with a test.
const SLOWEST: f64 = 0.01;

/// A load to put on one URL.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Plain HTTP on 127.0.0.0/8, `localhost` or `[::1]`; anything else is refused.
    pub url: String,
    /// The load comes from within a container (false): the URL has the bare name of another one instead.
    pub from_within: bool,
    /// Virtual users (8): each has one connection and one request at a time.
    pub workers: usize,
    /// Requests per second of all workers together, on a fixed schedule: request *i* is due *i*/rate after the
    /// start. When all workers are busy a request is sent late, counted in [`Report::delayed`], and the
    /// schedule is caught up with. Latency is measured from the real start of a request, not from when it
    /// was due. Without a rate, each worker sends as fast as it is answered.
    ///
    /// [`Report::delayed`]: crate::Report::delayed
    pub rate: Option<f64>,
    pub method: Method,
    /// True (the default): a worker uses its connection until the server closes it or a request fails.
    /// False: a connection for each request, which says `Connection: close`.
    pub keep_alive: bool,
    /// How long a request may take (10 s), from connecting to the last byte of the answer.
    pub timeout: Duration,
    /// The load ends by itself after this many requests (1,000,000) …
    pub max_requests: usize,
    /// … or after this long (120 s). Requests in flight are then still waited for.
    pub max_time: Duration,
}

/// What each request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    /// With a body of this many bytes.
    Post {
        body_bytes: usize,
    },
}

impl Load {
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            from_within: false,
            workers: 8,
            rate: None,
            method: Method::Get,
            keep_alive: true,
            timeout: Duration::from_secs(10),
            max_requests: 1_000_000,
            max_time: Duration::from_secs(120),
        }
    }

    /// Starts the load on a thread of its own.
    ///
    /// # Panics
    ///
    /// Where [`Load::try_start`] fails.
    pub fn start(self) -> Running {
        self.try_start().unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// Starts the load on a thread of its own; fails on a URL that is not of this machine, and on numbers
    /// that make no load.
    pub fn try_start(self) -> Result<Running> {
        ensure!(self.workers > 0, "want at least one worker");
        let rate = self.rate.unwrap_or(1.0);
        ensure!(
            rate.is_finite() && rate >= SLOWEST,
            "a rate of {rate:e} requests per second makes no load: want {SLOWEST} or more"
        );
        let plan = Plan {
            target: match self.from_within {
                true => Target::neighbour(&self.url)?,
                false => Target::parse(&self.url)?,
            },
            method: self.method,
            keep_alive: self.keep_alive,
            timeout: self.timeout,
        };
        Running::start(move |shared| drive(self, Arc::new(plan), shared))
    }
}

/// Lets the workers work until they are done, or until the time is up.
async fn drive(load: Load, plan: Arc<Plan>, shared: Arc<Shared>) {
    let mut workers = JoinSet::new();
    for _ in 0..load.workers {
        let client = Client::new(plan.clone());
        workers.spawn(work(client, load.clone(), shared.clone()));
    }
    let mut all = std::pin::pin!(workers.join_all());
    tokio::select! {
        _ = all.as_mut() => return,
        () = sleep(load.max_time) => shared.stop(End::MaxTime),
    }
    all.await;
}

async fn work(mut client: Client, load: Load, shared: Arc<Shared>) {
    while shared.next_turn(load.max_requests, load.rate).await {
        let begun = shared.begin();
        let outcome = client.request().await;
        shared.record(begun, outcome);
    }
}
