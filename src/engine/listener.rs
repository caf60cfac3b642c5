//! Hears what happens on the engine while a run goes on.

use std::{
    io::{BufRead, BufReader},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use duct::ReaderHandle;
use rustix::process::Signal;

use super::process::{Call, CallError, Runner, signal_group};

/// An endless child (`docker events`): each line rings. One that ends, as its engine is restarted, is begun again.
/// Ends with the value.
pub struct Listener {
    /// `None` once nobody listens any more.
    child: Arc<Mutex<Option<Arc<ReaderHandle>>>>,
}

impl Listener {
    /// Between the end of a child and the next one; twice as long each time one has ended at once.
    const PAUSE: Duration = Duration::from_secs(1);
    const LONGEST_PAUSE: Duration = Duration::from_secs(10);

    pub fn start(
        runner: &Arc<Runner>,
        call: &Call,
        on_line: impl Fn() + Send + 'static,
    ) -> Result<Listener, CallError> {
        let (runner, call) = (runner.clone(), call.clone());
        let child = Arc::new(Mutex::new(Some(runner.endless(&call)?)));
        let shared = child.clone();
        thread::spawn(move || {
            let current = || shared.lock().unwrap_or_else(PoisonError::into_inner);
            let mut pause = Listener::PAUSE;
            loop {
                let Some(reader) = current().clone() else { return };
                let began = Instant::now();
                BufReader::new(&*reader).split(b'\n').map_while(Result::ok).for_each(|_| on_line());
                if began.elapsed() >= Listener::LONGEST_PAUSE {
                    pause = Listener::PAUSE;
                }
                thread::sleep(pause);
                pause = Listener::LONGEST_PAUSE.min(pause * 2);
                let mut current = current();
                if current.is_none() || runner.is_closed() {
                    return;
                }
                if let Ok(next) = runner.endless(&call) {
                    *current = Some(next);
                }
            }
        });
        Ok(Listener { child })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(reader) = child {
            reader.pids().iter().for_each(|pid| signal_group(*pid as i32, Signal::KILL));
            let _ = reader.kill();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        path::PathBuf,
        sync::Arc,
        thread,
        time::{Duration, Instant},
    };

    use super::{Call, Listener, Runner};

    fn comes_true(condition: impl Fn() -> bool) -> bool {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(20) {
            if condition() {
                return true;
            }
            thread::sleep(Duration::from_millis(10));
        }
        false
    }

    #[test]
    fn one_that_ends_is_begun_again_until_nobody_listens() {
        let folder = tempfile::tempdir().unwrap();
        let told = folder.path().join("told");
        let script = format!("echo news | tee -a {}", told.display());
        let call = Call::new(["-c", &script].map(Into::into).into(), Duration::ZERO);
        let lines = || std::fs::read_to_string(&told).unwrap_or_default().lines().count();
        let heard = Arc::new(());
        let theirs = heard.clone();
        let runner = Arc::new(Runner::new(PathBuf::from("/bin/sh")));
        let listener = Listener::start(&runner, &call, move || drop(theirs.clone())).unwrap();
        assert!(comes_true(|| lines() >= 3), "{}", lines());
        drop(listener);
        assert!(comes_true(|| Arc::strong_count(&heard) == 1));
        assert!(lines() < 20, "without a pause: {}", lines());
    }
}
