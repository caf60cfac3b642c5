//! A run of docker-zdd that a test watches and disturbs.

use std::{
    fs,
    io::{Read, Write},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle, sleep},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{
    calls,
    output::{Output, Text},
    scenario::read_world,
};

/// No run takes longer. A test that waits in vain ends here, and says what it saw.
const LONGEST: Duration = Duration::from_secs(30);

pub struct Running {
    child: Child,
    dir: Arc<TempDir>,
    began: Instant,
    stdout: Stream,
    stderr: Stream,
}

/// What a stream has brought so far.
struct Stream {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Running {
    pub fn start(mut command: Command, dir: Arc<TempDir>, stdin: Option<&str>, closed: bool) -> Running {
        if stdin.is_some() {
            command.stdin(Stdio::piped());
        }
        let mut child = command.spawn().expect("docker-zdd starts");
        if let (Some(text), Some(mut pipe)) = (stdin, child.stdin.take()) {
            pipe.write_all(text.as_bytes()).expect("docker-zdd reads its input");
        }
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (stdout, stderr) = match closed {
            true => (Stream::closed(), Stream::closed()),
            false => (Stream::read(stdout), Stream::read(stderr)),
        };
        Running { child, dir, began: Instant::now(), stdout, stderr }
    }

    /// Waits until the log of calls has a line that holds `call`.
    pub fn wait_for_call(&mut self, call: &str) -> &mut Self {
        self.wait_for_calls(1, call)
    }

    /// Waits until the log of calls has so many lines that hold `call`.
    pub fn wait_for_calls(&mut self, count: usize, call: &str) -> &mut Self {
        self.wait_for(&format!("{count} of call {call:?}"), |running| {
            calls::lines(&running.engine()).iter().filter(|line| line.contains(call)).count() >= count
        })
    }

    /// Waits until standard error holds `text`.
    pub fn wait_for_stderr(&mut self, text: &str) -> &mut Self {
        self.wait_for(&format!("{text:?} on stderr"), |running| running.stderr.so_far().contains(text))
    }

    /// Waits until standard output holds `text`.
    pub fn wait_for_stdout(&mut self, text: &str) -> &mut Self {
        self.wait_for(&format!("{text:?} on stdout"), |running| running.stdout.so_far().contains(text))
    }

    /// Waits until a call that is held at its end has been carried out.
    pub fn wait_for_done(&mut self) -> &mut Self {
        self.wait_for("the end of a held call", |running| running.engine().join("done").exists())
    }

    /// Waits until there is a file of this name on the host.
    pub fn wait_for_file(&mut self, name: &str) -> &mut Self {
        self.wait_for(&format!("file {name}"), |running| running.dir.path().join(name).exists())
    }

    pub fn signal(&mut self, signal: Signal) -> &mut Self {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("docker-zdd still runs");
        self
    }

    /// Lets the calls that were held go on.
    pub fn release(&mut self) -> &mut Self {
        fs::write(self.engine().join("released"), "").expect("a file");
        self
    }

    /// SIGKILL to the program and its children, as when the machine stops: no word, no undo.
    pub fn kill(mut self) {
        self.child.kill().expect("docker-zdd still runs");
        self.child.wait().expect("a child");
        calls::kill_all(&self.engine());
    }

    pub fn finish(mut self) -> Output {
        let status = self.wait();
        let took = self.began.elapsed();
        let engine = self.engine();
        let left = calls::left_running(&engine);
        let (stdout, stderr) = (self.stdout.finish(), self.stderr.finish());
        crate::schema::check(&stdout, &stderr);
        let world = read_world(&engine.join("world.json"));
        let objections = fs::read_to_string(engine.join("objections")).unwrap_or_default();
        assert!(objections.is_empty(), "calls that should not be:\n{objections}\n{stderr}");
        let text = Text::new(&world, self.dir.path());
        Output {
            exit: status,
            stdout: text.plain(&stdout),
            stderr: text.timeless(&stderr),
            calls: calls::tell(&calls::entries(&engine)),
            entries: calls::entries(&engine),
            left,
            took,
            world,
        }
    }

    fn wait(&mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            self.give_up_in_time("the end");
        }
    }

    fn wait_for(&mut self, what: &str, is_there: impl Fn(&Running) -> bool) -> &mut Self {
        while !is_there(self) {
            let ended = self.child.try_wait().expect("a child");
            if let Some(status) = ended.filter(|_| !is_there(self)) {
                panic!("docker-zdd ended ({status}) before {what}\n{}", self.so_far());
            }
            self.give_up_in_time(what);
        }
        self
    }

    fn give_up_in_time(&mut self, what: &str) {
        if self.began.elapsed() > LONGEST {
            let _ = self.child.kill();
            panic!("waited in vain for {what}\n{}", self.so_far());
        }
        sleep(Duration::from_millis(2));
    }

    fn so_far(&self) -> String {
        let calls = calls::lines(&self.engine()).join("\n");
        format!("--- stderr\n{}\n--- calls\n{calls}", self.stderr.so_far())
    }

    fn engine(&self) -> PathBuf {
        self.dir.path().join("engine")
    }
}

impl Stream {
    fn read(source: Option<impl Read + Send + 'static>) -> Stream {
        let text = Arc::new(Mutex::new(String::new()));
        let mut source = source.expect("a pipe");
        let shared = text.clone();
        let reader = thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = source.read(&mut bytes) {
                shared.lock().expect("a lock").push_str(&String::from_utf8_lossy(&bytes[..n]));
            }
        });
        Stream { text, reader: Some(reader) }
    }

    fn closed() -> Stream {
        Stream { text: Arc::default(), reader: None }
    }

    fn so_far(&self) -> String {
        self.text.lock().expect("a lock").clone()
    }

    /// To the end, which a child left running may keep from coming.
    fn finish(&mut self) -> String {
        let end = Instant::now() + Duration::from_secs(2);
        while self.reader.as_ref().is_some_and(|reader| !reader.is_finished()) && Instant::now() < end {
            sleep(Duration::from_millis(1));
        }
        self.so_far()
    }
}
