//! The state that all connections share.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use hyper::header::HeaderValue;
use tokio::sync::watch;

use crate::config::Config;
use crate::gauge::Gauge;

/// One server: its configuration, and what has happened to it so far.
pub struct App {
    pub config: Config,
    /// The host name, which in a container is its short ID.
    pub replica: String,
    /// Requests that have arrived and are not yet answered in full, streams and upgraded ones included.
    pub requests: Gauge,
    /// Open connections, upgraded ones included.
    pub connections: Gauge,
    /// True once it finishes; every connection watches this.
    pub finishing: watch::Sender<bool>,
    listening_since: OnceLock<Instant>,
    asked_to_drain: AtomicBool,
    root_requests: AtomicU64,
}

impl App {
    pub fn new(config: Config) -> Self {
        Self {
            config,
            replica: hostname(),
            requests: Gauge::new(),
            connections: Gauge::new(),
            finishing: watch::Sender::new(false),
            listening_since: OnceLock::new(),
            asked_to_drain: AtomicBool::new(false),
            root_requests: AtomicU64::new(0),
        }
    }

    /// The clock of `APP_HEALTH` starts here.
    pub fn now_listens(&self) {
        self.listening_since.get_or_init(Instant::now);
    }

    /// Drains forever, as SIGUSR1 asks.
    pub fn drain(&self) {
        self.asked_to_drain.store(true, Ordering::Relaxed);
    }

    /// Why it drains, if it does.
    pub fn draining(&self) -> Option<String> {
        if self.asked_to_drain.load(Ordering::Relaxed) {
            return Some("draining by SIGUSR1".into());
        }
        let file = self.config.drain_file.as_ref()?;
        file.exists().then(|| format!("draining by {}", file.display()))
    }

    /// Whether it shall not listen now.
    pub fn refuses(&self) -> bool {
        self.config.drain_refuse && self.draining().is_some()
    }

    /// Why `/health` answers 503, if it does.
    pub fn complaint(&self) -> Option<String> {
        let age = self.listening_since.get_or_init(Instant::now).elapsed();
        self.draining().or_else(|| self.config.health.complaint(age))
    }

    /// Counts a request for `/`; true if this is the one that `APP_FAIL_EVERY` makes fail.
    pub fn next_root_request_fails(&self) -> bool {
        let number = self.root_requests.fetch_add(1, Ordering::Relaxed) + 1;
        self.config.fail_every.is_some_and(|every| number.is_multiple_of(every.get()))
    }

    pub fn version_header(&self) -> HeaderValue {
        header(&self.config.version)
    }

    pub fn replica_header(&self) -> HeaderValue {
        header(&self.replica)
    }
}

/// The host name as the kernel knows it.
pub fn hostname() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

/// The version was checked when it was read; a host name that no header can carry is not worth a panic.
fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("?"))
}
