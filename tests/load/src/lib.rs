//! An honest HTTP load client for the end-to-end tests.
//!
//! Each worker owns one connection at a time and tries each request exactly once: nothing is retried behind
//! the caller's back, so a request that a user would have lost is counted as failed. The one thing done
//! silently is to reconnect when the server closed an idle connection *before* the next request was begun.
//!
//! It only ever talks to the machine that it runs on.
//!
//! ```no_run
//! use std::time::Duration;
//! use zdd_load::Load;
//!
//! let running = Load { rate: Some(400.0), ..Load::new("http://127.0.0.1:8080/") }.start();
//! assert!(running.wait_version("1", Duration::from_secs(10)));
//! running.mark("update");
//! // … the update …
//! assert!(running.wait_version("2", Duration::from_secs(10)));
//! let report = running.stop();
//! assert!(report.failed().is_empty(), "{report}");
//! ```

mod client;
mod failure;
mod load;
mod long;
mod picture;
mod report;
mod running;
mod sample;
mod summary;
mod target;
mod versions;

pub use load::{Load, Method};
pub use long::{Echo, EchoEnd, EchoResult, Stream, StreamResult, echo_session, stream};
pub use report::Report;
pub use running::{End, Running};
pub use sample::{FailureKind, Outcome, Sample};
pub use summary::{FailureSummary, PhaseSummary, RunSummary, Summary};
pub use versions::VersionRun;
