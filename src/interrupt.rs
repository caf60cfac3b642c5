//! Ctrl-C, SIGTERM, SIGHUP and a closed plugin socket, as one value that the rollout reads.
//!
//! The Docker CLI cancels a plugin in two ways (docker/cli 28.2.2, tried): on a terminal the kernel signals the
//! whole process group; without one the CLI swallows the signal and closes the socket it named in
//! `DOCKER_CLI_PLUGIN_SOCKET`. Ctrl-C with standard output piped does both, so they count as one.

use std::{
    io::Read,
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    thread,
};

use anyhow::Result;
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

/// What ends a run, unless it was started to ignore it.
const SIGNALS: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];

/// How urgently the user wants it to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    None,
    /// Begin nothing new; undo or finish what has begun.
    Once,
    /// Leave at once.
    Twice,
}

#[derive(Debug, Default)]
pub struct Interrupt {
    signals: AtomicU8,
    /// The terminal is gone. Kernel and shell may both say so, which makes it no more urgent.
    hung_up: AtomicBool,
    socket_closed: AtomicBool,
}

impl Interrupt {
    /// Starts to listen; `changed` is called on the listening thread after every change of `urgency`.
    ///
    /// # Errors
    /// The signal handlers cannot be installed.
    pub fn listen(
        socket: Option<&str>,
        changed: impl Fn(Urgency) + Send + Sync + 'static,
    ) -> Result<Arc<Interrupt>> {
        let interrupt = Arc::new(Interrupt::default());
        let changed = Arc::new(changed);
        let mut signals = Signals::new(heeded(&status()))?;
        let (shared, tell) = (interrupt.clone(), changed.clone());
        thread::spawn(move || {
            for signal in signals.forever() {
                let before = shared.urgency();
                match signal {
                    SIGHUP => shared.hung_up.store(true, Ordering::SeqCst),
                    _ => shared.interrupt(),
                }
                shared.tell(before, &*tell);
            }
        });
        if let Some(stream) = socket.and_then(connect) {
            let shared = interrupt.clone();
            thread::spawn(move || shared.watch_socket(stream, &*changed));
        }
        Ok(interrupt)
    }

    /// As one signal does.
    pub fn interrupt(&self) {
        self.signals.fetch_add(1, Ordering::SeqCst);
    }

    pub fn urgency(&self) -> Urgency {
        let signals = self.signals.load(Ordering::SeqCst);
        let asked = self.socket_closed.load(Ordering::SeqCst) || self.hung_up.load(Ordering::SeqCst);
        match signals.max(asked.into()) {
            0 => Urgency::None,
            1 => Urgency::Once,
            _ => Urgency::Twice,
        }
    }

    pub fn requested(&self) -> bool {
        self.urgency() > Urgency::None
    }

    fn watch_socket(&self, mut stream: UnixStream, changed: &dyn Fn(Urgency)) {
        let mut byte = [0];
        // Docker sends nothing; the end of the stream, orderly or not, is the message.
        while stream.read(&mut byte).is_ok_and(|n| n > 0) {}
        let before = self.urgency();
        self.socket_closed.store(true, Ordering::SeqCst);
        self.tell(before, changed);
    }

    fn tell(&self, before: Urgency, changed: &dyn Fn(Urgency)) {
        let now = self.urgency();
        if now > before {
            changed(now);
        }
    }
}

/// The signals to listen to. What `nohup`, or a shell that starts a job in the background, has the program ignore
/// stays ignored: a handler would undo that. `status` is what Linux says of the process; without it all are heeded.
fn heeded(status: &str) -> Vec<i32> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    SIGNALS.into_iter().filter(|signal| ignored & 1 << (signal - 1) == 0).collect()
}

/// Empty where the kernel does not say it in this way.
fn status() -> String {
    std::fs::read_to_string("/proc/self/status").unwrap_or_default()
}

/// A missing or dead socket is no reason to fail: older CLIs have none.
fn connect(name: &str) -> Option<UnixStream> {
    match name.strip_prefix('@') {
        Some(name) => connect_abstract(name),
        None => UnixStream::connect(name).ok(),
    }
}

#[cfg(target_os = "linux")]
fn connect_abstract(name: &str) -> Option<UnixStream> {
    use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
    UnixStream::connect_addr(&SocketAddr::from_abstract_name(name).ok()?).ok()
}

/// Elsewhere docker names a path.
#[cfg(not(target_os = "linux"))]
fn connect_abstract(_name: &str) -> Option<UnixStream> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_ignored_before_stays_ignored() {
        let with = |mask: &str| {
            heeded(&format!("Name:\tx\nSigBlk:\t0000000000000007\nSigIgn:\t{mask}\nSigCgt:\t1\n"))
        };
        assert_eq!(with("0000000000000000"), SIGNALS);
        assert_eq!(with("0000000000001000"), SIGNALS, "Rust's own: SIGPIPE");
        assert_eq!(with("0000000000001001"), [SIGINT, SIGTERM], "nohup");
        assert_eq!(with("0000000000000006"), [SIGTERM, SIGHUP], "a job of a script");
        assert!(with("ffffffffffffffff").is_empty());
        for status in ["", "Name:\tx\n", "SigIgn:\n", "SigIgn:\tno number\n"] {
            assert_eq!(heeded(status), SIGNALS, "{status:?}");
        }
    }
}
