//! The helper as its client sees it.

use crate::net::Namespace;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// The embedded program as a file. It stays until the tests end; `tempfile` removes it.
static PROGRAM: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("there is room");
    let path = directory.path().join("zdd-helper");
    let helper = zdd::helper::binary::helper(std::env::consts::ARCH).expect("`Net::new` has looked");
    fs::write(&path, helper.bytes()).expect("there is room");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    (directory, path)
});

pub struct Helper {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    pub ready: String,
}

impl Helper {
    /// With its arguments in one string.
    pub fn start(namespace: &Namespace, arguments: &str) -> Self {
        let arguments: Vec<String> = arguments.split(' ').map(str::to_owned).collect();
        let spawn = move || {
            let mut command = Command::new(&PROGRAM.1);
            command
                .args(arguments)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("it is a program")
        };
        let mut child = namespace.run(spawn);
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut helper = Self { child, stdin, stdout, ready: String::new() };
        helper.ready = helper.line();
        assert!(helper.ready.starts_with("ready 1 "), "{}", helper.ready);
        helper
    }

    /// The answer to a request.
    pub fn ask(&mut self, request: impl AsRef<str>) -> String {
        self.send(request);
        self.line()
    }

    pub fn send(&mut self, request: impl AsRef<str>) {
        let stdin = self.stdin.as_mut().expect("it is open");
        writeln!(stdin, "{}", request.as_ref()).expect("the helper lives");
    }

    /// What stands after `ok`.
    pub fn ok(&mut self, request: impl AsRef<str>) -> String {
        let request = request.as_ref();
        let answer = self.ask(request);
        let rest = answer.strip_prefix("ok").unwrap_or_else(|| panic!("{request}: {answer}"));
        rest.trim().to_owned()
    }

    /// The value of `KEY=` in an answer.
    pub fn number(&mut self, request: &str, key: &str) -> usize {
        let answer = self.ok(request);
        let value = answer.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        value.and_then(|v| v.parse().ok()).unwrap_or_else(|| panic!("{request}: no {key} in {answer}"))
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("the helper answers");
        line.trim_end().to_owned()
    }

    /// The client dies: the helper's input ends.
    pub fn hang_up(&mut self) {
        self.stdin = None;
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, signal).expect("it is our child");
    }

    /// Resident, in bytes.
    pub fn memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("every process has it");
        line.trim().trim_end_matches(" kB").parse::<usize>().expect("it is a number") << 10
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_some()
    }

    pub fn ends_within(&mut self, seconds: u64) -> bool {
        comes_true(seconds, || self.has_ended())
    }
}

/// Whether it comes true before the time is up.
pub fn comes_true(seconds: u64, mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        match condition() {
            false if Instant::now() < end => std::thread::sleep(Duration::from_millis(10)),
            result => return result,
        }
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
