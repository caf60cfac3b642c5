//! What is answered when a request is not done: `error CODE words`.

use crate::protocol::Malformed;
use std::fmt;
use std::io;

#[derive(Debug)]
pub enum Refusal {
    /// The line is not a request. `syntax`
    Syntax(String),
    /// The request is not for where this helper runs. `role`
    Role(String),
    /// A bound is reached. `limit`
    Limit(String),
    /// Not now; asking again later may help. `busy`
    Busy(String),
    /// The kernel refused. The code is the name of its error, `E` and digits for a rare one.
    System(&'static str, io::Error),
}

pub type Result<T> = std::result::Result<T, Refusal>;

impl From<Malformed> for Refusal {
    fn from(Malformed(words): Malformed) -> Self {
        Refusal::Syntax(words)
    }
}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::System(_, error) => error,
            other => io::Error::other(other.to_string()),
        }
    }
}

/// Names what was tried when the kernel refused.
pub trait Tried<T> {
    fn tried(self, what: &'static str) -> Result<T>;
}

impl<T> Tried<T> for io::Result<T> {
    fn tried(self, what: &'static str) -> Result<T> {
        self.map_err(|error| Refusal::System(what, error))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Syntax(words) => write!(f, "syntax {words}"),
            Refusal::Role(words) => write!(f, "role {words}"),
            Refusal::Limit(words) => write!(f, "limit {words}"),
            Refusal::Busy(words) => write!(f, "busy {words}"),
            Refusal::System(what, error) => write!(f, "{} {what}: {error}", code(error)),
        }
    }
}

/// The name of an error number, `E` and the number for one that is not expected, `EIO` for none.
pub fn code(error: &io::Error) -> String {
    let Some(number) = error.raw_os_error() else { return "EIO".into() };
    let name = match number {
        libc::EPERM => "EPERM",
        libc::ENOENT => "ENOENT",
        libc::EACCES => "EACCES",
        libc::EAGAIN => "EAGAIN",
        libc::ENOMEM => "ENOMEM",
        libc::EBUSY => "EBUSY",
        libc::EEXIST => "EEXIST",
        libc::ENODEV => "ENODEV",
        libc::EINVAL => "EINVAL",
        libc::EMFILE => "EMFILE",
        libc::ENOSPC => "ENOSPC",
        libc::EPROTONOSUPPORT => "EPROTONOSUPPORT",
        libc::EOPNOTSUPP => "EOPNOTSUPP",
        libc::EAFNOSUPPORT => "EAFNOSUPPORT",
        libc::EADDRINUSE => "EADDRINUSE",
        libc::ENOBUFS => "ENOBUFS",
        _ => return format!("E{number}"),
    };
    name.into()
}
