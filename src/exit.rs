//! How a run ends: the documented exit codes, and an error that carries one.

use std::fmt;

use crate::{
    engine::{CallError, Explained},
    text::mask::mask,
};

/// The exit codes of every command. Documented and stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Done, or nothing to do.
    Done = 0,
    /// Usage, file or engine error; nothing touched.
    Error = 1,
    /// Refused by the plan or the preflight; nothing touched.
    Refused = 2,
    /// The new version failed; the old one serves.
    Failed = 3,
    /// The rollback failed too: look at it.
    RollbackFailed = 4,
    /// Another run holds the lock.
    Locked = 5,
    /// Interrupted; the message says what serves.
    Interrupted = 130,
}

/// What each code means: the one source of the help, the man page and docs/exit-codes.md.
pub const CODES: &[(Exit, &str)] = &[
    (Exit::Done, "done, or nothing to do"),
    (Exit::Error, "usage, file or engine error; nothing was touched"),
    (Exit::Refused, "refused by the plan; nothing was touched"),
    (Exit::Failed, "the new version failed; the old one serves"),
    (Exit::RollbackFailed, "the rollback failed too: look at it"),
    (Exit::Locked, "another run holds the project's lock"),
    (Exit::Interrupted, "interrupted; the last lines say what serves"),
];

/// The codes of commands that only show something.
pub const SHOWING_CODES: &[(Exit, &str)] =
    &[(Exit::Done, "shown, whatever the status"), (Exit::Error, "usage, file or engine error")];

/// The codes of `docker zdd doctor`.
pub const DOCTOR_CODES: &[(Exit, &str)] = &[
    (Exit::Done, "nothing was found, or warnings and hints only"),
    (Exit::Error, "usage error, or there is no docker to ask"),
    (Exit::Refused, "an error was found: \"docker zdd up\" would fail or refuse"),
];

/// The codes of `docker zdd init`.
pub const INIT_CODES: &[(Exit, &str)] = &[
    (Exit::Done, "written, or shown, or there is nothing to write"),
    (Exit::Error, "usage, file or engine error, or nobody to ask; nothing was written"),
];

impl Exit {
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// The end of a run that did not get to its summary: one sentence, without passwords, and the next thing to do.
#[derive(Clone, Debug)]
pub struct Stop {
    pub exit: Exit,
    pub message: String,
    pub hint: Option<String>,
}

impl Stop {
    pub fn new(exit: Exit, message: impl Into<String>) -> Stop {
        Stop { exit, message: mask(&message.into()), hint: None }
    }

    /// Of what was typed, the files, the machine or the engine.
    pub fn error(message: impl Into<String>) -> Stop {
        Stop::new(Exit::Error, message)
    }

    pub fn interrupted() -> Stop {
        Stop::new(Exit::Interrupted, "interrupted; nothing was touched")
    }

    /// A call that failed when something had been done already: `done` says what.
    pub fn after(error: CallError, done: &str) -> Stop {
        match error.is_interrupted() {
            true => Stop::new(Exit::Interrupted, format!("interrupted; {done}")),
            false => Stop::error(format!("{}; {done}", Explained::call(&error))),
        }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Stop {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Before anything was touched, a failed call is an error of the machine, the file or the engine.
impl From<CallError> for Stop {
    fn from(error: CallError) -> Stop {
        if error.is_interrupted() {
            return Stop::interrupted();
        }
        Explained::call(&error).into()
    }
}

/// The same where a call may be what went wrong.
impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Stop {
        match error.downcast::<CallError>() {
            Ok(error) => error.into(),
            Err(error) => Stop::error(format!("{error:#}")),
        }
    }
}

impl From<Explained> for Stop {
    fn from(explained: Explained) -> Stop {
        Stop { exit: Exit::Error, message: explained.message, hint: explained.hint }
    }
}
