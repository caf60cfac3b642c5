//! What is known of one request.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

/// One request: tried once, recorded once.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// When it was begun, since the start of the load.
    pub at: Duration,
    /// From then until the last byte of the answer, or until it failed. Includes the time to connect.
    pub latency: Duration,
    pub outcome: Outcome,
    /// The phase in which it was begun.
    pub phase: Arc<str>,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A whole answer, whatever its status. `version` and `replica` are `X-Version` and `X-Replica` of it.
    Ok { status: u16, version: Option<String>, replica: Option<String> },
    /// No whole answer. `replica` is known when its head arrived.
    Failed { kind: FailureKind, text: String, replica: Option<String> },
}

/// What prevented a whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// No connection could be made.
    Connect,
    /// The request could not be written.
    Send,
    /// The connection was reset.
    Reset,
    /// The connection was closed before the answer was complete.
    Eof,
    /// The answer was not complete in time.
    Timeout,
    /// Anything else, such as an answer that is not HTTP.
    Other,
}

impl Sample {
    /// True without a whole answer, and for an answer whose status is not in 200..400: a user does not care
    /// whether it was the application or the proxy that failed.
    pub fn is_failed(&self) -> bool {
        match &self.outcome {
            Outcome::Ok { status, .. } => !(200..400).contains(status),
            Outcome::Failed { .. } => true,
        }
    }

    /// The version that answered, also if its status counts as failed.
    pub fn version(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Ok { version, .. } => version.as_deref(),
            Outcome::Failed { .. } => None,
        }
    }

    pub fn replica(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Ok { replica, .. } | Outcome::Failed { replica, .. } => replica.as_deref(),
        }
    }

    /// One clause: `status 503`, or the kind of failure and the error.
    pub fn verdict(&self) -> String {
        match &self.outcome {
            Outcome::Ok { status, .. } => format!("status {status}"),
            Outcome::Failed { kind, text, .. } => format!("{}: {text}", kind.word()),
        }
    }
}

impl FailureKind {
    pub fn word(self) -> &'static str {
        match self {
            FailureKind::Connect => "connect",
            FailureKind::Send => "send",
            FailureKind::Reset => "reset",
            FailureKind::Eof => "eof",
            FailureKind::Timeout => "timeout",
            FailureKind::Other => "other",
        }
    }
}
