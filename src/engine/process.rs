//! Runs one child process at a time per caller: own process group, no standard input, a deadline, and an error
//! that names the call.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fmt,
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use duct::{Expression, Handle, ReaderHandle};
use rustix::process::{Pid, Signal, kill_process_group};

use super::away::Away;
use crate::text::{duration, mask::mask};

/// One call of a program.
#[derive(Clone, Debug)]
pub struct Call {
    pub args: Vec<OsString>,
    /// What a message calls it, when that is not its arguments.
    pub shown: Option<String>,
    pub deadline: Duration,
    /// Fed to the child; `None` is an empty standard input.
    pub stdin: Option<Arc<Vec<u8>>>,
    pub env: Vec<(String, String)>,
    /// A first interrupt ends it, because nothing is lost by that (a build, a pull).
    pub cancellable: bool,
    /// Runs even after a second interrupt.
    pub last: bool,
    /// May not be made twice: a hook.
    pub once: bool,
}

impl Call {
    pub fn new(args: Vec<OsString>, deadline: Duration) -> Call {
        Call {
            args,
            deadline,
            stdin: None,
            env: vec![],
            cancellable: false,
            last: false,
            once: false,
            shown: None,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub stdout: String,
    pub stderr: String,
    pub code: i32,
}

/// A call that did not succeed. The text names the call, never the environment it ran with.
#[derive(Clone, Debug)]
pub struct CallError {
    pub call: String,
    pub problem: Problem,
}

#[derive(Clone, Debug)]
pub enum Problem {
    /// The program could not be started.
    NotStarted(String),
    Failed {
        code: i32,
        stderr: String,
    },
    Deadline(Duration),
    /// The user interrupted, and the call was ended or not started.
    Interrupted,
    /// It succeeded, but its output is not what it should be.
    Garbage(String),
}

impl Problem {
    /// In its own words, where it has any.
    pub fn said(&self) -> String {
        match self {
            Problem::Failed { stderr, .. } if !stderr.is_empty() => stderr.clone(),
            other => other.to_string(),
        }
    }

    fn masked(self) -> Problem {
        match self {
            Problem::NotStarted(why) => Problem::NotStarted(mask(&why)),
            Problem::Failed { code, stderr } => {
                Problem::Failed { code, stderr: without_repeats(&mask(&stderr)) }
            }
            Problem::Garbage(what) => Problem::Garbage(mask(&what)),
            other => other,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::NotStarted(why) => write!(f, "could not be run: {why}"),
            Problem::Failed { code, stderr } if stderr.is_empty() => {
                write!(f, "failed with exit code {code}")
            }
            Problem::Failed { stderr, .. } => write!(f, "failed: {stderr}"),
            Problem::Deadline(limit) => write!(f, "did not answer within {}", duration::show(*limit)),
            Problem::Interrupted => f.write_str("was interrupted"),
            Problem::Garbage(what) => write!(f, "answered something else than expected: {what}"),
        }
    }
}

/// The whole call is for `--verbose`.
impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), self.problem)
    }
}

impl std::error::Error for CallError {}

impl CallError {
    /// The error of this call, named as a person would type it, without passwords.
    pub fn of(call: &Call, problem: Problem) -> CallError {
        let shown = call.shown.clone().unwrap_or_else(|| show(&call.args));
        CallError { call: mask(&shown), problem: problem.masked() }
    }

    pub fn is_interrupted(&self) -> bool {
        matches!(self.problem, Problem::Interrupted)
    }

    /// `docker compose up`: the call without flags and arguments.
    fn name(&self) -> String {
        let words: Vec<&str> = self.call.split(' ').collect();
        let Some((program, rest)) = words.split_first().filter(|(program, _)| **program == "docker") else {
            return self.call.clone();
        };
        // The word behind a flag may be its value.
        let verbs = rest.iter().enumerate().filter(|(i, _)| *i == 0 || !rest[i - 1].starts_with('-'));
        let mut verbs = verbs.map(|(_, word)| *word).filter(|word| !word.starts_with('-'));
        let verb = verbs.next();
        let second = verbs.next().filter(|_| GROUPS.split(' ').any(|group| Some(group) == verb));
        [Some(*program), verb, second].into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

/// Commands of docker that have commands of their own.
const GROUPS: &str = "compose config container context image network node secret service stack volume";

/// Compose writes one error of the engine once for each service, and once more at the end.
fn without_repeats(stderr: &str) -> String {
    let error = |line: &str| {
        let marks = ["Error response from daemon: ", " Error "].iter();
        marks.filter_map(|mark| line.split_once(mark)).map(|(_, error)| error.to_owned()).next()
    };
    let mut seen = BTreeSet::new();
    let is_new = |line: &&str| error(line).is_none_or(|error| seen.insert(error));
    stderr.lines().filter(is_new).collect::<Vec<_>>().join("\n")
}

/// Starts children and knows which are alive, so that an interrupt can end them.
#[derive(Debug, Default)]
pub struct Runner {
    program: PathBuf,
    /// Whether it has left, and is waited for.
    pub away: Away,
    alive: Mutex<BTreeMap<i32, bool>>,
    cancelled: AtomicBool,
    closed: AtomicBool,
}

/// How long a child gets between SIGTERM and SIGKILL.
const LAST_CHANCE: Duration = Duration::from_secs(2);
/// An error message shows this much of what the child wrote.
const STDERR_TAIL_LINES: usize = 10;

impl Runner {
    pub fn new(program: PathBuf) -> Runner {
        Runner { program, ..Runner::default() }
    }

    /// As [`Runner::answer`], and fails as the engine is not there.
    pub(super) fn answer_once(&self, call: &Call) -> Result<Answer, CallError> {
        self.refuse_when_closed(call)?;
        let expression = self.expression(call).stdout_capture().stderr_capture();
        let handle = expression.start().map_err(|error| self.not_started(call, &error))?;
        let _alive = self.register(&handle, call.cancellable);
        self.end_if_too_late(call, &handle.pids());
        let output = match handle.wait_timeout(call.deadline) {
            Ok(Some(output)) => output,
            Ok(None) => {
                end_group(&handle);
                return Err(CallError::of(call, Problem::Deadline(call.deadline)));
            }
            Err(problem) => return Err(self.not_started(call, &problem)),
        };
        let code = exit_code(output.status);
        if code != 0 && self.was_ended(call) {
            return Err(CallError::of(call, Problem::Interrupted));
        }
        Ok(Answer {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code,
        })
    }

    /// Runs to the end and returns what it wrote to standard output.
    ///
    /// # Errors
    /// As `answer`, and an exit code other than 0.
    pub fn run(&self, call: &Call) -> Result<String, CallError> {
        let answer = self.answer(call)?;
        match answer.code {
            0 => Ok(answer.stdout),
            _ => Err(self.failed(call, &answer)),
        }
    }

    /// The error of a call that has answered with an exit code other than 0.
    pub fn failed(&self, call: &Call, answer: &Answer) -> CallError {
        // `docker exec` reports a program that it cannot start on standard output.
        let said = if answer.stderr.trim().is_empty() { &answer.stdout } else { &answer.stderr };
        CallError::of(call, Problem::Failed { code: answer.code, stderr: tail(said) })
    }

    /// Runs to the end, handing over each line of standard output and error as it comes.
    ///
    /// # Errors
    /// As `run`; the deadline is not watched, as a build takes what it takes.
    pub fn stream(&self, call: &Call, mut line: impl FnMut(&str)) -> Result<(), CallError> {
        self.refuse_when_closed(call)?;
        let reader = self.expression(call).stderr_to_stdout().reader();
        let reader = reader.map_err(|error| self.not_started(call, &error))?;
        let pids = reader.pids();
        let _alive = self.register_pids(&pids, call.cancellable);
        self.end_if_too_late(call, &pids);
        let mut last = Vec::new();
        for text in BufReader::new(&reader).split(b'\n').map_while(Result::ok) {
            let text = mask(&String::from_utf8_lossy(&text));
            line(text.trim_end());
            last.push(text.trim_end().to_owned());
            last.drain(..last.len().saturating_sub(STDERR_TAIL_LINES));
        }
        let status = reader.try_wait().ok().flatten().map(|output| exit_code(output.status));
        match status {
            Some(0) => Ok(()),
            _ if self.was_ended(call) => Err(CallError::of(call, Problem::Interrupted)),
            code => Err(CallError::of(
                call,
                Problem::Failed { code: code.unwrap_or(-1), stderr: last.join("\n") },
            )),
        }
    }

    /// Ends the children that may be ended at a first interrupt.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        self.signal_alive(|cancellable| cancellable);
    }

    /// Ends every child and begins no other.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.signal_alive(|_| true);
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    fn signal_alive(&self, chosen: impl Fn(bool) -> bool) {
        let alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        for (pid, _) in alive.iter().filter(|(_, cancellable)| chosen(**cancellable)) {
            signal_group(*pid, Signal::TERM);
        }
    }

    fn was_ended(&self, call: &Call) -> bool {
        (self.is_closed() && !call.last) || (call.cancellable && self.cancelled.load(Ordering::SeqCst))
    }

    fn refuse_when_closed(&self, call: &Call) -> Result<(), CallError> {
        match self.was_ended(call) {
            true => Err(CallError::of(call, Problem::Interrupted)),
            false => Ok(()),
        }
    }

    /// The interrupt may have come between the check before the start and the entry in the list.
    fn end_if_too_late(&self, call: &Call, pids: &[u32]) {
        if self.was_ended(call) {
            pids.iter().for_each(|pid| signal_group(*pid as i32, Signal::TERM));
        }
    }

    fn expression(&self, call: &Call) -> Expression {
        let expression = self.bare(call);
        match &call.stdin {
            Some(bytes) => expression.stdin_bytes(bytes.as_slice()),
            None => expression.stdin_null(),
        }
    }

    /// Without its standard input.
    pub(super) fn bare(&self, call: &Call) -> Expression {
        let mut expression = duct::cmd(&self.program, &call.args).unchecked();
        for (key, value) in &call.env {
            expression = expression.env(key, value);
        }
        let last = call.last;
        expression.before_spawn(move |command| {
            // Out of the terminal's foreground group: Ctrl-C reaches zdd alone, and zdd decides.
            command.process_group(0);
            if !last {
                die_with_caller(command);
            }
            Ok(())
        })
    }

    /// What a child that does not end by itself writes.
    ///
    /// # Errors
    /// Not started.
    pub(super) fn endless(&self, call: &Call) -> Result<Arc<ReaderHandle>, CallError> {
        let reader = self.expression(call).stderr_null().reader();
        reader.map(Arc::new).map_err(|error| self.not_started(call, &error))
    }

    fn not_started(&self, call: &Call, why: &std::io::Error) -> CallError {
        CallError::of(call, Problem::NotStarted(why.to_string()))
    }

    fn register(&self, handle: &Handle, cancellable: bool) -> Alive<'_> {
        self.register_pids(&handle.pids(), cancellable)
    }

    fn register_pids(&self, pids: &[u32], cancellable: bool) -> Alive<'_> {
        let pids: Vec<_> = pids.iter().map(|pid| *pid as i32).collect();
        let mut alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        alive.extend(pids.iter().map(|pid| (*pid, cancellable)));
        drop(alive);
        Alive { runner: self, pids }
    }
}

/// Takes a child off the list when its call is over.
struct Alive<'a> {
    runner: &'a Runner,
    pids: Vec<i32>,
}

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        let mut alive = self.runner.alive.lock().unwrap_or_else(PoisonError::into_inner);
        alive.retain(|pid, _| !self.pids.contains(pid));
    }
}

/// When zdd is killed, a call that it was waiting for must not go on beside the next run. Whoever starts a call
/// waits for it on the same thread, which is what the kernel goes by.
#[cfg(target_os = "linux")]
#[allow(unsafe_code, reason = "one system call between fork and exec, which may be made there")]
fn die_with_caller(command: &mut std::process::Command) {
    let ask = || Ok(rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?);
    // SAFETY: the closure makes one system call, allocates nothing and takes no lock.
    unsafe { command.pre_exec(ask) };
}

/// Elsewhere there is no such wish.
#[cfg(not(target_os = "linux"))]
fn die_with_caller(_command: &mut std::process::Command) {}

fn end_group(handle: &Handle) {
    let pids = handle.pids();
    pids.iter().for_each(|pid| signal_group(*pid as i32, Signal::TERM));
    let _ = handle.wait_timeout(LAST_CHANCE);
    // `docker` runs compose as its own child: only the group reaches both.
    pids.iter().for_each(|pid| signal_group(*pid as i32, Signal::KILL));
}

pub(super) fn signal_group(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process_group(pid, signal);
    }
}

fn exit_code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// The call as a person would type it, without flags that say nothing about what went wrong.
fn show(args: &[OsString]) -> String {
    let words: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
    let shown: Vec<_> = words.iter().map(|word| shorten(word)).collect();
    format!("docker {}", shown.join(" "))
}

/// A container ID in the short form, anything else as it is.
fn shorten(word: &str) -> &str {
    let is_id = word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
    if is_id { &word[..12] } else { word }
}

/// The last lines, those that carry the reason.
fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    // Behind what is wrong some clients print all that would be right (26.1).
    let usage = lines.iter().position(|line| line.starts_with("Usage:")).filter(|before| *before > 0);
    let lines = &lines[..usage.unwrap_or(lines.len())];
    lines[lines.len().saturating_sub(STDERR_TAIL_LINES)..].join("\n")
}
