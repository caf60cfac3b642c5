//! What a call comes to.

#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// The exit code of a call that the fake does not know. No test expects it.
pub const UNKNOWN: i32 = 99;

impl Answer {
    pub fn text(stdout: impl Into<String>) -> Answer {
        Answer { stdout: stdout.into(), ..Answer::default() }
    }

    pub fn failed(code: i32, stderr: &str) -> Answer {
        Answer { code, stderr: format!("{}\n", stderr.trim_end()), ..Answer::default() }
    }

    pub fn unknown(stderr: &str) -> Answer {
        Answer::failed(UNKNOWN, stderr)
    }
}
