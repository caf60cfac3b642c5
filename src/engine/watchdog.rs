//! A second process of this program: it does what is left to do should this one be killed.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{self, Write},
    os::unix::process::CommandExt,
    process::{ChildStdin, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

/// The word that starts the program as one; the project and the number of the process to watch follow.
pub const WATCHDOG: &str = "__watchdog";

/// What is to be done for a service of which nothing runs any more, or soon will not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// IDs of the containers that are started.
    pub start: Vec<String>,
    /// IDs of those that are started where that fails.
    pub otherwise: Vec<String>,
    /// ID → the restart policy that it gets back before it is started.
    pub policies: BTreeMap<String, String>,
    /// IDs of containers that have to end before, as two may not run at once.
    pub after: Vec<String>,
    /// How long that may take, in seconds.
    pub within: u64,
    /// How many containers are wanted: where so many run, nothing is to be done.
    pub replicas: usize,
    /// Compose is at work on them, and takes a moment to end.
    pub by_compose: bool,
}

/// A line that the watchdog reads.
#[derive(Debug, Serialize, Deserialize)]
pub struct Told {
    pub service: String,
    /// `None`: there is nothing to be done for it any more.
    pub order: Option<Order>,
}

/// The watchdog of this process, started with the first order.
#[derive(Clone, Default)]
pub(super) struct Watchdog(Arc<Mutex<Option<ChildStdin>>>);

impl Watchdog {
    /// Where it cannot be started nobody does it, as nobody did before.
    pub fn tell(&self, told: &Told, begin: impl Fn() -> io::Result<ChildStdin>) {
        let mut stdin = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if stdin.is_none() && told.order.is_some() {
            *stdin = begin().ok();
        }
        let Ok(text) = serde_json::to_string(told) else { return };
        if stdin.as_mut().is_some_and(|stdin| writeln!(stdin, "{text}").is_err()) {
            *stdin = None;
        }
    }
}

/// In a session of its own: what ends this process, its group or its terminal does not end it. Its input ends with this
/// process.
#[allow(unsafe_code, reason = "one system call between fork and exec, which may be made there")]
pub(super) fn begin(globals: &[OsString], project: &str) -> io::Result<ChildStdin> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(globals).args([WATCHDOG, project, &std::process::id().to_string()]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // SAFETY: the closure makes one system call, allocates nothing and takes no lock.
    unsafe { command.pre_exec(|| Ok(rustix::process::setsid().map(drop)?)) };
    let stdin = command.spawn()?.stdin.take();
    stdin.ok_or_else(|| io::ErrorKind::BrokenPipe.into())
}
