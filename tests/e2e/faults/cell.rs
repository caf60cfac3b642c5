//! One disturbed rollout under load, and the plain run after it.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File},
    process::{Child, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use super::{
    Shape,
    past::Past,
    rig::{Call, Rig, polls},
};
use crate::{
    draining::{drained_slots, posts},
    rolling::served,
    stack::{HELPER, Seen, Stack, TIMEOUT, docker},
};

/// A disturbed run that takes longer is stuck.
const STUCK: Duration = Duration::from_secs(100);
/// What a call may take where one hangs, so that the matrix does not wait a minute for each.
const CALL_TIMEOUT: (&str, &str) = ("ZDD_CALL_TIMEOUT", "6s");
const HELPERS_END_WITHIN: Duration = Duration::from_secs(30);
const REPLICAS: usize = 2;
/// Each request is in hand for a while, and a container that is stopped cuts it: a drain that is skipped shows.
const APP: &[(&str, &str)] = &[("APP_WORK_MS", "20"), ("APP_ON_TERM", "exit")];

/// What came of a cell.
#[derive(Debug, Default)]
pub struct Cell {
    pub reached: bool,
    /// It should have been.
    pub missed: Option<String>,
    /// Of the disturbed run; `None` when it was killed.
    pub code: Option<i32>,
    pub requests: usize,
    pub lost: usize,
    /// The lost requests by phase and kind, and what was said meanwhile.
    pub losses: Vec<String>,
    /// Claims of the disturbed run that were not true.
    pub lies: Vec<String>,
    /// The plain run left the history as the fault had: it was looked at only after one more, of a new version.
    pub tidied_late: bool,
    /// What was not as it should be after the plain run.
    pub leftovers: Vec<String>,
}

impl Cell {
    pub fn problems(&self) -> impl Iterator<Item = &String> {
        self.losses.iter().chain(&self.lies).chain(&self.leftovers).chain(&self.missed)
    }

    pub fn word(&self) -> String {
        if !self.reached {
            return if self.missed.is_some() { "-!" } else { "-" }.to_owned();
        }
        let wrong = if self.lies.is_empty() && self.leftovers.is_empty() { "" } else { "!" };
        let late = if self.tidied_late { "~" } else { "" };
        format!("{}/{}{late}{wrong}", self.lost, self.code.unwrap_or(9))
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.word())?;
        self.problems().try_for_each(|problem| write!(f, "\n    {problem}"))
    }
}

/// A stack that is rolled again and again.
pub struct Arena {
    shape: Shape,
    helper: bool,
    stack: Stack,
    port: u16,
    past: Past,
    rig: Rig,
    version: u32,
}

impl Arena {
    pub fn new(shape: Shape, helper: bool) -> Arena {
        let (stack, port) = new_stack(shape, 1);
        let past = Past::of(&stack);
        Arena { shape, helper, stack, port, past, rig: Rig::new(), version: 1 }
    }

    /// The calls that come in each of so many rollouts to which nothing happens: the number of polls differs.
    pub fn rehearse(&mut self, times: usize) -> Vec<Call> {
        let mut calls = self.rehearse_once();
        for _ in 1..times {
            let again = self.rehearse_once();
            calls.retain(|call| again.contains(call));
        }
        calls
    }

    fn rehearse_once(&mut self) -> Vec<Call> {
        self.version += 1;
        self.past.drop_images(&self.stack);
        self.rig.set(None);
        let (code, said) = self.run(Some("none"));
        assert_eq!(code, Some(self.shape.code), "{said}");
        let calls = self.rig.calls();
        self.plain();
        calls
    }

    pub fn cell(&mut self, call: &Call, fault: &str) -> Cell {
        let mut cell = self.try_cell(call, fault);
        if !cell.reached && cell.problems().next().is_none() {
            cell = self.try_cell(call, fault);
        }
        if !cell.reached && !polls(&call.line) {
            cell.missed = Some("the call did not come".to_owned());
        }
        cell
    }

    fn try_cell(&mut self, call: &Call, fault: &str) -> Cell {
        self.version += 1;
        self.past.drop_images(&self.stack);
        let before = self.stack.containers("app");
        let load = posts(self.port);
        load.mark("disturbed");
        self.rig.set(Some((call, fault)));
        let (code, disturbed) = self.run(Some(fault));
        let mut cell = Cell { reached: self.rig.was_hit(), code, ..Cell::default() };
        cell.lies = self.lies(code, &before, &disturbed);
        self.past.look(&self.stack);
        self.rig.set(None);
        load.mark("plain");
        let (mut again, mut said) = self.plain();
        cell.leftovers = self.leftovers(again, &said);
        if !self.past.is_tidy(&self.stack) {
            // The record of a rollout was disturbed, and the plain run had none to make: the next one tidies up.
            self.version += 1;
            (again, said) = self.plain();
            cell.leftovers.extend(self.leftovers(again, &said));
            cell.tidied_late = true;
        }
        cell.leftovers.extend(self.past.wrongs(&self.stack));
        if !load.wait_version(&self.version.to_string(), TIMEOUT) {
            cell.leftovers.push("the new version does not answer".to_owned());
        }
        let report = load.stop();
        cell.requests = report.requests();
        cell.lost = report.failed().len();
        cell.losses = losses(&report);
        if cell.lost > 0 {
            cell.losses.push(format!("disturbed run:\n{disturbed}plain run:\n{said}"));
        }
        if !cell.leftovers.is_empty() {
            (self.stack, self.port) = new_stack(self.shape, self.version);
            self.past = Past::of(&self.stack);
        }
        cell
    }

    /// The run after a fault, with a docker that works, of a version that is good.
    fn plain(&self) -> (Option<i32>, String) {
        self.run(None)
    }

    fn run(&self, fault: Option<&str>) -> (Option<i32>, String) {
        let version = self.version.to_string();
        let helper = (HELPER, if self.helper { "auto" } else { "off" });
        let mut command = self.stack.command(&["up", "app"], &[APP, &[helper]].concat());
        command.env("APP_VERSION", version);
        if let Some(fault) = fault {
            command.envs(self.rig.env()).envs(self.shape.env.iter().copied());
            command.envs((fault == "hangs").then_some(CALL_TIMEOUT));
        }
        let output = self.rig.path().join("output");
        let file = File::create(&output).unwrap();
        command.stdout(Stdio::null()).stderr(file);
        let code = wait(command.spawn().unwrap());
        (code, fs::read_to_string(output).unwrap_or_default())
    }

    /// Whether the exit code says what is so.
    fn lies(&self, code: Option<i32>, before: &[Seen], said: &str) -> Vec<String> {
        let now = self.stack.containers("app");
        let lie = match code {
            Some(0) if !now.iter().any(|c| c.state == "running" && !before.contains(c)) => {
                "exit code 0, and nothing new runs"
            }
            Some(1 | 2 | 5) if now != before => "said that nothing was touched",
            Some(3) if now.iter().filter(|c| c.state == "running").ne(before) => {
                "said that the old ones serve"
            }
            Some(0 | 1 | 3 | 130) | None => return vec![],
            // A fault in the rollback is what this code is for.
            Some(4) if self.shape.code == 3 => return vec![],
            Some(4) => "the rollback failed",
            Some(STUCK_CODE) => "stuck",
            _ => "an exit code that should not be",
        };
        vec![format!("{lie} (exit code {code:?}): before {before:?}, now {now:?}:\n{said}")]
    }

    /// But for the history.
    fn leftovers(&self, code: Option<i32>, said: &str) -> Vec<String> {
        let mut found = Vec::new();
        if code != Some(0) {
            found.push(format!("the plain run ended with {code:?}:\n{said}"));
        }
        let wanted = format!("running healthy always APP_VERSION={}", self.version);
        let apps: Vec<_> = self.stack.containers("app").iter().map(|c| describe(&c.id)).collect();
        if apps.len() != REPLICAS || apps.iter().any(|app| *app != wanted) {
            found.push(format!("containers are {apps:?}, not {REPLICAS} times {wanted:?}:\n{said}"));
        }
        if self.stack.all_containers().len() != REPLICAS + 1 {
            found.push(format!("other containers: {:?}", self.stack.all_containers()));
        }
        let locks =
            docker(&["volume", "ls", "-q", "--filter", &format!("name=zdd-lock-{}", self.stack.project)]);
        if !locks.is_empty() {
            found.push(format!("locks: {locks}"));
        }
        let drained = drained_slots(&self.stack);
        if !drained.is_empty() {
            found.push(format!("HAProxy still drains {drained:?}:\n{said}"));
        }
        found.extend(self.orphans());
        found.extend(self.helpers());
        found
    }

    /// With a helper its rules and its answers end.
    fn helpers(&self) -> Option<String> {
        let filter = format!("label=io.zdd.helper={}", self.stack.project);
        let end = Instant::now() + HELPERS_END_WITHIN;
        loop {
            let left = docker(&["ps", "--all", "--filter", &filter]);
            if left.lines().count() < 2 {
                return None;
            } else if Instant::now() > end {
                return Some(format!("helpers: {left}"));
            }
            sleep(Duration::from_millis(100));
        }
    }

    /// A call that outlives a killed run ends at the next event at the latest.
    fn orphans(&self) -> Vec<String> {
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            let left = self.rig.processes();
            if left.is_empty() || Instant::now() > end {
                return left.into_iter().map(|line| format!("still running: {line}")).collect();
            }
            sleep(Duration::from_millis(50));
        }
    }
}

const STUCK_CODE: i32 = -2;

/// Each with a name of its own: the one before it is swept when it is replaced.
fn new_stack(shape: Shape, version: u32) -> (Stack, u16) {
    served(&format!("faults-{}-{version}", shape.name), shape.service, APP)
}

fn losses(report: &zdd_load::Report) -> Vec<String> {
    let mut kinds: BTreeMap<String, Vec<Duration>> = BTreeMap::new();
    for sample in report.failed() {
        kinds.entry(format!("({}) {}", sample.phase, sample.verdict())).or_default().push(sample.at);
    }
    let tell = |(kind, at): (String, Vec<Duration>)| {
        let (first, last) = (at.iter().min().unwrap(), at.iter().max().unwrap());
        format!("{} lost {kind}, from {first:.2?} to {last:.2?}", at.len())
    };
    kinds.into_iter().map(tell).collect()
}

fn wait(mut child: Child) -> Option<i32> {
    let end = Instant::now() + STUCK;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    Some(STUCK_CODE)
}

fn describe(id: &str) -> String {
    let format = "{{.State.Status}} {{.State.Health.Status}} {{.HostConfig.RestartPolicy.Name}}{{range .Config.Env}} {{.}}{{end}}";
    let all = docker(&["inspect", "--format", format, id]);
    let (head, env) = (all.split(' ').take(3), all.split(' ').find(|word| word.starts_with("APP_VERSION=")));
    head.chain(env).collect::<Vec<_>>().join(" ")
}
