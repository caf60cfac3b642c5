//! The log of calls, as a test sees it.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{output::Output, world::Entry};

pub fn entries(engine: &Path) -> Vec<Entry> {
    let text = fs::read_to_string(engine.join("calls")).unwrap_or_default();
    // The last line may be half written.
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The calls in the order they began, as they were.
pub fn lines(engine: &Path) -> Vec<String> {
    let line = |entry| match entry {
        Entry::Begin { line, .. } => Some(line),
        Entry::End { .. } => None,
    };
    entries(engine).into_iter().filter_map(line).collect()
}

/// Each of the calls that are `wanted`, once, in order. Unless `ZDD_EACH_CALL` is set, as `scripts/test long` does, it is
/// every third: that a rollout can be taken back from wherever it is, the tests of the journal show at each point.
pub fn some_of(output: &Output, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for entry in &output.entries {
        if let Entry::Begin { line, .. } = entry
            && wanted(line)
            && !line.contains(" events ")
            && !lines.contains(line)
        {
            lines.push(line.clone());
        }
    }
    let step = if env::var_os("ZDD_EACH_CALL").is_some() { 1 } else { 3 };
    let first = lines.len() % step;
    lines.into_iter().skip(first).step_by(step).collect()
}

/// The calls in order, in a form that does not depend on luck: `docker events`, which runs beside them, is left out;
/// the same look again and again, as events and time wake the program, is told once until containers change; the
/// what runs side by side is sorted: the reads of Compose's configuration, its dry runs, the first look at what is there, the
/// lock and the history, the last dry run and the history. A failed call has its exit code, one that was killed says so.
pub fn tell(entries: &[Entry]) -> Vec<String> {
    let mut ends: BTreeMap<u32, i32> = BTreeMap::new();
    entries.iter().for_each(|entry| {
        if let Entry::End { pid, code } = entry {
            ends.insert(*pid, *code);
        }
    });
    let (mut shown, mut looks): (Vec<String>, Vec<String>) = (vec![], vec![]);
    for entry in entries {
        let Entry::Begin { pid, line, .. } = entry else { continue };
        let line = match ends.get(pid) {
            Some(0) => line.clone(),
            Some(code) => format!("{line}  → exit {code}"),
            None => format!("{line}  → killed"),
        };
        let again = looks.contains(&line) || (is_read(&line) && shown.last() == Some(&line));
        if is_listener(&line) || again {
            continue;
        }
        if changes_containers(&line) {
            looks.clear();
        } else if line.contains("docker inspect ") {
            looks.push(line.clone());
        }
        shown.push(line);
    }
    let is_look = |line: &String| {
        let looks = ["compose version", "docker image inspect", "docker ps", "docker inspect"];
        looks.iter().any(|look| line.contains(look))
    };
    let is_fetch = |line: &String| [" build ", " pull "].iter().any(|verb| line.contains(verb));
    let mut fetched = false;
    for looks in shown.chunk_by_mut(|a, b| is_look(a) && is_look(b)) {
        if fetched || looks.iter().any(|line| line.contains("compose version")) {
            looks.sort();
        }
        fetched = looks.last().is_some_and(is_fetch);
    }
    let is_config = |line: &String| line.contains(" config") || line.contains("compose version");
    let is_preview = |line: &String| line.contains(" --dry-run");
    for side_by_side in [&is_config as &dyn Fn(&String) -> bool, &is_preview] {
        shown.chunk_by_mut(|a, b| side_by_side(a) && side_by_side(b)).for_each(|run| {
            if side_by_side(&run[0]) {
                run.sort();
            }
        });
    }
    for i in 1..shown.len() {
        let is_history = |line: &str| {
            let calls =
                ["volume ls", "image ls", "import", "volume create zdd-revision", "tag", "rmi", "image rm"];
            calls.iter().any(|call| line.contains(&format!("docker {call}")))
        };
        let mut at = i;
        while at > 0 && shown[at].contains("--dry-run") && is_history(&shown[at - 1]) {
            shown.swap(at, at - 1);
            at -= 1;
        }
    }
    for i in 1..shown.len() {
        if shown[i - 1].contains("docker volume ls") && shown[i].contains("docker volume inspect") {
            shown.swap(i - 1, i);
        }
    }
    shown
}

fn changes_containers(line: &str) -> bool {
    !is_read(line) && !line.contains("docker exec ")
}

fn is_listener(line: &str) -> bool {
    line.contains("docker events ") || line.contains(" events --format")
}

/// A call that changes nothing but perhaps the lock or the history.
pub fn is_read(line: &str) -> bool {
    let words: Vec<_> = line.split(' ').collect();
    let reads = [
        "ps",
        "inspect",
        "image",
        "config",
        "version",
        "info",
        "logs",
        "volume",
        "--dry-run",
        "tag",
        "import",
        "create",
        "cp",
    ];
    words.iter().any(|word| reads.contains(word))
        || line.contains(" SCRIPT zdd show ")
        || line.contains(" holder")
}

/// The calls that still run although the program has ended. Being ended takes a moment.
pub fn left_running(engine: &Path) -> Vec<String> {
    let end = Instant::now() + Duration::from_secs(1);
    loop {
        let left: Vec<String> = alive(engine).filter_map(|(_, file)| fs::read_to_string(file).ok()).collect();
        if left.is_empty() || Instant::now() > end {
            return left;
        }
        sleep(Duration::from_millis(2));
    }
}

pub fn kill_all(engine: &Path) {
    for (pid, file) in alive(engine) {
        let _ = kill_process(pid, Signal::KILL);
        let _ = fs::remove_file(file);
    }
}

/// The fakes that run, each with the file in which it says so.
fn alive(engine: &Path) -> impl Iterator<Item = (Pid, PathBuf)> {
    let files = fs::read_dir(engine.join("alive")).into_iter().flatten().flatten();
    files.filter_map(|file| {
        let pid = file.file_name().to_string_lossy().parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let runs = stat.contains("(docker)") && !stat.contains(") Z");
        Some((Pid::from_raw(pid)?, file.path())).filter(|_| runs)
    })
}
