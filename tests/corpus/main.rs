//! Compose files of many shapes, and the plan that a user should get for each.
//!
//! ```text
//! tests/corpus/NAME/compose.yaml …   the files, as the real Compose reads them
//! tests/corpus/NAME/state.txt        what runs: see `state`
//! tests/corpus/NAME/args.txt         command lines, one a line: `VERSION=2 -f a.yaml plan --scale web=4`; plain
//!                                    `plan` without it. A line `needs 5.3` skips it for an older Compose
//! tests/corpus/NAME/plan.txt         what `docker zdd` prints
//! ```
//!
//! The program itself runs; the scripted docker hands `compose config` and `compose version` on to the real Compose
//! and answers the rest from the state. No engine is asked. `UPDATE=1 cargo test --test corpus` writes the plans;
//! read them. `CORPUS=NAME` takes one entry.

mod diff;
#[path = "../docs/mod.rs"]
mod docs;
mod entry;
#[allow(dead_code, reason = "shared with the tests of the planner")]
#[path = "../core/make.rs"]
mod make;
mod real;
mod state;
#[path = "../swarm/mod.rs"]
mod swarm;
#[allow(dead_code, reason = "here the engine only says what is there")]
#[path = "../fake-docker/world.rs"]
mod world;

use std::{env, fs, path::PathBuf, sync::Mutex, thread};

use entry::Entry;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

/// The folders beside this file, or the one that is asked for.
fn entries() -> Vec<Entry> {
    let asked = env::var("CORPUS").ok();
    let mut found: Vec<_> = fs::read_dir(root())
        .expect("the corpus")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .map(Entry::new)
        .filter(|entry| asked.as_ref().is_none_or(|name| *name == entry.name))
        .collect();
    found.sort_by(|a, b| b.name.cmp(&a.name));
    found
}

/// Does all entries on a few threads, and returns what is wrong with each.
fn check(entries: Vec<Entry>, update: bool) -> Vec<String> {
    let threads = thread::available_parallelism().map_or(2, |n| n.get().min(8));
    let (queue, failures) = (Mutex::new(entries), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let Some(entry) = queue.lock().expect("the queue").pop() else { break };
                    let failure = entry.check(update).err();
                    failures.lock().expect("the failures").extend(failure);
                }
            });
        }
    });
    let mut failures = failures.into_inner().expect("the failures");
    failures.sort();
    failures
}

#[test]
fn every_file_gets_the_plan_that_a_user_expects() {
    let entries = entries();
    assert!(!entries.is_empty(), "there is no such entry");
    let failures = check(entries, env::var_os("UPDATE").is_some());
    assert!(
        failures.is_empty(),
        "{}\n{} wrong; UPDATE=1 writes what comes out now into plan.txt",
        failures.join("\n"),
        failures.len()
    );
}

/// The corpus is only worth something while it has many shapes and knows every verdict.
#[test]
fn the_corpus_is_large_and_knows_every_verdict() {
    let plans: Vec<_> = entries().iter().map(Entry::expected).collect();
    if env::var_os("CORPUS").is_none() {
        assert!(plans.len() >= 45, "{} entries", plans.len());
        for word in
            ["unchanged", "create", "scale", "roll", "recreate", "blocked", "exit code 1", "exit code 2"]
        {
            assert!(plans.iter().any(|plan| plan.contains(word)), "no entry has {word:?}");
        }
    }
}
