//! A child that stays and answers each line that it is sent with one line.

use std::{
    io::{BufRead, BufReader, PipeWriter, Write, pipe},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

use super::process::{Call, CallError, Problem, Runner};

/// Ends with the value: its standard input ends, and it ends by itself. It is not among the children that an interrupt
/// ends, nor does it die at once when zdd is killed, as it has things to bring to an end then.
pub struct Attached {
    call: Call,
    stdin: PipeWriter,
    lines: Receiver<String>,
    reader: Arc<duct::ReaderHandle>,
}

impl Attached {
    /// # Errors
    /// It could not be started.
    pub fn start(runner: &Runner, call: &Call) -> Result<Attached, CallError> {
        let failed = |error: std::io::Error| CallError::of(call, Problem::NotStarted(error.to_string()));
        let (input, stdin) = pipe().map_err(failed)?;
        let reader = runner.bare(call).stdin_file(input).stderr_to_stdout().reader();
        let reader = Arc::new(reader.map_err(failed)?);
        let (sender, lines) = channel();
        let shared = reader.clone();
        thread::spawn(move || {
            // Lines that nobody waits for any more are read all the same, so that the child never blocks.
            for line in BufReader::new(&*shared).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Ok(Attached { call: call.clone(), stdin, lines, reader })
    }

    /// Sends a line and returns the answer.
    ///
    /// # Errors
    /// It has ended, or does not answer in time.
    pub fn ask(&mut self, line: &str, limit: Duration) -> Result<String, CallError> {
        match self.stdin.write_all(format!("{line}\n").as_bytes()) {
            Ok(()) => self.next(limit),
            Err(_) => Err(self.ended()),
        }
    }

    /// The next line that it writes.
    ///
    /// # Errors
    /// As [`Attached::ask`].
    pub fn next(&mut self, limit: Duration) -> Result<String, CallError> {
        self.lines.recv_timeout(limit).map_err(|error| match error {
            RecvTimeoutError::Timeout => CallError::of(&self.call, Problem::Deadline(limit)),
            RecvTimeoutError::Disconnected => self.ended(),
        })
    }

    /// Waits until it has ended, at most so long.
    pub fn end(self, limit: Duration) {
        let Attached { stdin, lines, .. } = self;
        drop(stdin);
        while lines.recv_timeout(limit).is_ok() {}
    }

    /// Ends it at once. For one that has begun nothing: it would stay as long as the engine does not answer it.
    pub fn kill(&self) {
        let _ = self.reader.kill();
    }

    fn ended(&self) -> CallError {
        let code = self.reader.try_wait().ok().flatten().and_then(|output| output.status.code());
        CallError::of(&self.call, Problem::Failed { code: code.unwrap_or(-1), stderr: String::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_does_not_answer_is_ended() {
        let call = Call::new(vec!["600".into()], Duration::MAX);
        let mut attached = Attached::start(&Runner::new("/bin/sleep".into()), &call).unwrap();
        assert!(attached.next(Duration::from_millis(10)).is_err());
        attached.kill();
        let ended = attached.next(Duration::from_secs(10)).unwrap_err();
        assert!(matches!(ended.problem, Problem::Failed { .. }), "{ended}");
    }
}
