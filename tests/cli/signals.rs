//! Signals that reach what a test starts.

use std::{
    fs,
    sync::{Arc, Once},
};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// What is ignored here, because the tests run under `nohup` or in the background of a script, would be ignored by what
/// is started too. A signal that has a handler is not.
pub fn hear_signals() {
    static HEARD: Once = Once::new();
    HEARD.call_once(|| {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or_default();
        let ignored = u64::from_str_radix(mask.trim(), 16).unwrap_or(0);
        for signal in [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 1)
        {
            signal_hook::flag::register(signal, Arc::default()).expect("a handler");
        }
    });
}
