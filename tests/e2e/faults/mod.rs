//! Whatever call of a rollout goes wrong, and in whatever way: no request is lost, and one plain run afterwards
//! reaches the wanted state and leaves nothing behind.
//!
//! The test suite takes a few cells of the matrix. `scripts/fault-matrix` takes all of them, or as many as there is time
//! for, through the variables that `Choice` reads, and prints the table.

mod cell;
mod past;
pub mod rig;
mod table;

use std::{
    env,
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant},
};

use cell::Arena;
use rig::{Call, changes_something};
use table::Table;

/// What happens to one call of docker.
pub const FAULTS: &[&str] =
    &["fails", "fails-late", "garbage", "hangs", "kill-before", "kill-during", "kill-after", "term"];

/// One kind of rollout.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub name: &'static str,
    /// YAML at the service's level.
    pub service: &'static str,
    /// What the disturbed run is given besides the new version.
    pub env: &'static [(&'static str, &'static str)],
    /// How it ends when nothing is wrong.
    pub code: i32,
}

const SHAPES: &[Shape] = &[
    Shape {
        name: "at-once",
        service: "deploy: {replicas: 2}\nrestart: always\nstop_grace_period: 3s",
        env: &[],
        code: 0,
    },
    Shape {
        name: "batches",
        service: "deploy: {replicas: 2, update_config: {parallelism: 1}}\nrestart: always\nstop_grace_period: 3s",
        env: &[],
        code: 0,
    },
    Shape {
        name: "stop-first",
        service: "deploy: {replicas: 2, update_config: {parallelism: 1, order: stop-first}}\nrestart: always\nstop_grace_period: 3s",
        env: &[],
        code: 0,
    },
    // The new version fails, so the rollback is disturbed.
    Shape {
        name: "undo",
        service: "deploy: {replicas: 2}\nrestart: always\nstop_grace_period: 3s",
        env: &[("APP_HEALTH", "never")],
        code: 3,
    },
];

/// Phase after phase: before the lock, with it, at the start, the gate, the drain, the stop, the end.
const SAMPLE: &[(&str, &str)] = &[
    ("volume create", "kill-after"),
    ("events", "hangs"),
    ("compose up", "kill-during"),
    ("exec drain", "kill-before"),
    ("stop", "kill-after"),
    ("rm", "term"),
    ("import", "kill-after"),
];

/// The same where connections are handed over.
const SAMPLE_WITH_HELPER: &[(&str, &str)] = &[
    ("run host", "fails"),
    ("run container", "kill-after"),
    ("run container", "hangs"),
    ("network inspect", "hangs"),
    ("compose up", "kill-during"),
    ("stop", "kill-before"),
    ("stop", "kill-after"),
    ("rm", "kill-before"),
];

/// Which cells, as the environment says.
struct Choice {
    shape: Shape,
    helper: bool,
    all: bool,
    /// No cell is begun after it.
    time: Duration,
    call: String,
    fault: String,
}

impl Choice {
    fn from_environment() -> Choice {
        let text = |name: &str| env::var(name).unwrap_or_default();
        let shape = text("ZDD_FAULT_SHAPE");
        let shape = SHAPES.iter().find(|known| known.name == shape || shape.is_empty());
        Choice {
            shape: *shape.expect("ZDD_FAULT_SHAPE is at-once, batches, stop-first or undo"),
            helper: false,
            time: text("ZDD_FAULT_MINUTES")
                .parse()
                .map_or(Duration::MAX, |m: u64| Duration::from_secs(m * 60)),
            all: !text("ZDD_FAULT_MATRIX").is_empty(),
            call: text("ZDD_FAULT_CALL"),
            fault: text("ZDD_FAULT_KIND"),
        }
    }

    /// The first call of each line of the sample, or every call with every fault that makes a difference to it.
    fn of(&self, calls: &[Call]) -> Vec<(Call, &'static str)> {
        if !self.all {
            let first = |line: &str| {
                let found = calls.iter().find(|call| call.line.starts_with(line)).cloned();
                found.unwrap_or_else(|| panic!("no call {line:?} among {calls:#?}"))
            };
            let sample = if self.helper { SAMPLE_WITH_HELPER } else { SAMPLE };
            return sample.iter().map(|(line, fault)| (first(line), *fault)).collect();
        }
        let calls = calls.iter().filter(|call| call.to_string().contains(&self.call));
        let pairs = calls.flat_map(|call| FAULTS.iter().map(move |fault| (call.clone(), *fault)));
        let mut chosen: Vec<_> = pairs
            .filter(|(_, fault)| self.fault.is_empty() || *fault == self.fault)
            .filter(|(call, fault)| {
                !["fails-late", "kill-during"].contains(fault) || changes_something(&call.line)
            })
            .collect();
        if self.time < Duration::MAX {
            // A part that is of all kinds, and the same each time.
            chosen.sort_by_cached_key(|pair| {
                let mut hasher = DefaultHasher::new();
                (&pair.0.line, pair.0.nth, pair.1).hash(&mut hasher);
                hasher.finish()
            });
        }
        chosen
    }
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn a_fault_at_any_call_loses_nothing() {
    loses_nothing(&Choice::from_environment());
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn a_fault_while_connections_are_handed_over_loses_nothing() {
    loses_nothing(&Choice { helper: true, ..Choice::from_environment() });
}

fn loses_nothing(choice: &Choice) {
    let mut arena = Arena::new(choice.shape, choice.helper);
    let calls = arena.rehearse(if choice.all { 3 } else { 1 });
    let mut table = Table::new(&calls);
    let begun = Instant::now();
    for (call, fault) in choice.of(&calls) {
        if begun.elapsed() > choice.time {
            break;
        }
        let cell = arena.cell(&call, fault);
        println!("{call}, {fault}: {cell}");
        table.add(&call, fault, cell);
    }
    println!("{table}");
    assert!(table.problems().is_empty(), "{}", table.problems().join("\n"));
}
