//! The short form of `scripts/fuzz`: every kept input, and the same mutations of them in every run.

mod targets;

use std::{
    fs,
    path::Path,
    sync::{
        Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::Duration,
};

use targets::{TARGETS, Target};

/// One input is read in far less than a millisecond, those of `argv` aside.
const HANGS_AFTER: Duration = Duration::from_secs(30);
/// Mutated inputs of a target.
fn inputs(name: &str) -> usize {
    if name == "argv" { 500 } else { 3000 }
}

/// What breaks readers more often than chance does.
const TOKENS: &[&str] = &[
    "\0",
    "\n",
    "---\n",
    "\u{feff}",
    "é",
    "-",
    "--",
    "=",
    ":",
    ",",
    "{",
    "}",
    "[",
    "]",
    "\"",
    "'",
    "&a ",
    "*a",
    "!!x ",
    "null",
    "true",
    "1e999",
    "-1",
    "0",
    "4294967296",
    "9223372036854775807",
    "18446744073709551616",
    "NaN",
    "  ",
    "\t",
    "%",
    "$",
    "/",
    "..",
];

macro_rules! short_runs {
    ($($test:ident = $name:literal),* $(,)?) => {
        $(#[test]
        fn $test() {
            short_run($name);
        })*

        #[test]
        fn every_target_has_a_short_run() {
            let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, [$($name),*]);
        }
    };
}

short_runs! {
    archive = "archive",
    argv = "argv",
    complete = "complete",
    config = "config",
    document = "document",
    duration = "duration",
    facts = "facts",
    haproxy = "haproxy",
    inspect = "inspect",
    lock = "lock",
    mask = "mask",
    place = "place",
    plan = "plan",
    progress = "progress",
    revisions = "revisions",
    version = "version",
    x_zdd = "x-zdd",
}

fn short_run(name: &'static str) {
    let target = TARGETS.iter().find(|(known, _)| *known == name).expect("a target").1;
    let corpus = corpus(name);
    let (done, waiting) = channel();
    // On a thread of its own, so that a hang is a failure and not the end of the test run.
    let worker = thread::spawn(move || replay_and_mutate(target, &corpus, inputs(name), &done));
    watch(name, &waiting);
    worker.join().unwrap_or_else(|_| panic!("{name} panicked; the input is above"));
}

/// Waits for one message an input, and a hang-up at the end.
fn watch(name: &str, inputs: &Receiver<Vec<u8>>) {
    let mut last = vec![];
    loop {
        match inputs.recv_timeout(HANGS_AFTER) {
            Ok(input) => last = input,
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return,
            Err(_) => panic!("{name} hangs on {:?}", String::from_utf8_lossy(&last)),
        }
    }
}

fn replay_and_mutate(target: Target, corpus: &[Vec<u8>], inputs: usize, begun: &Sender<Vec<u8>>) {
    let current = Mutex::new(vec![]);
    let shown = Shown(&current);
    let run = |input: Vec<u8>| {
        input.clone_into(&mut current.lock().expect("no panic before"));
        begun.send(input.clone()).expect("a listener");
        target(&input);
    };
    corpus.iter().cloned().for_each(run);
    let mut luck = Luck(0x9E37_79B9_7F4A_7C15);
    (0..inputs).map(|_| luck.mutated(corpus)).for_each(run);
    drop(shown);
}

/// Prints the input when the thread panics.
struct Shown<'a>(&'a Mutex<Vec<u8>>);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let input = self.0.lock().map(|input| input.clone()).unwrap_or_default();
            eprintln!("the input: {:?}", String::from_utf8_lossy(&input));
        }
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths.iter().map(|path| fs::read(path).expect("readable")).collect()
}

/// Xorshift: the same numbers everywhere.
struct Luck(u64);

impl Luck {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }

    fn mutated(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(6) {
            let other = &corpus[self.below(corpus.len())];
            self.mutate(&mut input, other);
        }
        input
    }

    fn mutate(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        let (at, end) = self.range(input.len());
        match self.below(6) {
            0 => drop(input.drain(at..end)),
            1 => drop(input.splice(at..at, TOKENS[self.below(TOKENS.len())].bytes())),
            2 => drop(input.splice(at..end, TOKENS[self.below(TOKENS.len())].bytes())),
            3 => input.extend_from_within(at..end),
            4 => {
                let (from, to) = self.range(other.len());
                input.splice(at..end, other[from..to].iter().copied());
            }
            _ => input.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << self.below(8)),
        }
        input.truncate(16_384);
    }

    /// Mostly a short one.
    fn range(&mut self, len: usize) -> (usize, usize) {
        let at = self.below(len + 1);
        let most = if self.below(4) == 0 { len } else { 12 };
        (at, (at + self.below(most + 1)).min(len))
    }
}
