//! libFuzzer on one target of `targets.rs`, named by `ZDD_FUZZ_TARGET`.
#![no_main]

#[path = "../../targets.rs"]
mod targets;

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use targets::{TARGETS, Target};

static TARGET: OnceLock<Target> = OnceLock::new();

fn chosen() -> Target {
    let wanted = std::env::var("ZDD_FUZZ_TARGET").unwrap_or_default();
    let found = TARGETS.iter().find(|(name, _)| *name == wanted);
    found.unwrap_or_else(|| panic!("ZDD_FUZZ_TARGET is no target: {wanted:?}")).1
}

fuzz_target!(|data: &[u8]| TARGET.get_or_init(chosen)(data));
