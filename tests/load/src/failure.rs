//! From an error to the kind of failure and a text.

use std::error::Error;
use std::io::{self, ErrorKind};

use crate::sample::FailureKind;

/// Why a request has no whole answer.
#[derive(Debug)]
pub struct Failure {
    pub kind: FailureKind,
    pub text: String,
}

impl Failure {
    pub fn connect(error: &io::Error) -> Self {
        let kind = FailureKind::Connect;
        let text = error.to_string();
        Self { kind, text }
    }

    /// A new connection that was closed before a request could be written to it: no use to any client.
    pub fn unused(error: &hyper::Error) -> Self {
        Self { kind: io_kind(error).unwrap_or(FailureKind::Eof), text: chain(error) }
    }

    /// An error after the request was begun.
    pub fn exchange(error: &hyper::Error) -> Self {
        let kind = match io_kind(error) {
            Some(kind) => kind,
            None if error.is_incomplete_message() => FailureKind::Eof,
            None => FailureKind::Other,
        };
        let text = chain(error);
        Self { kind, text }
    }
}

/// The error and its causes, outermost first.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let texts: Vec<_> = causes(error).map(ToString::to_string).collect();
    texts.join(": ")
}

fn io_kind(error: &(dyn Error + 'static)) -> Option<FailureKind> {
    let io = causes(error).find_map(|cause| cause.downcast_ref::<io::Error>())?;
    Some(match io.kind() {
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => FailureKind::Reset,
        ErrorKind::BrokenPipe => FailureKind::Send,
        ErrorKind::UnexpectedEof => FailureKind::Eof,
        _ => FailureKind::Other,
    })
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}
