//! What zdd keeps on the engine: the lock of a project, and its revisions.

mod choose;
pub mod diff;
pub mod lock;
mod mask;
pub mod names;
#[allow(clippy::disallowed_methods, reason = "it finds out what runs here")]
mod owner;
mod revision;
mod store;

pub use self::{
    choose::{KEPT, NoTarget, forgotten, latest_good, pruned, target},
    lock::{Insistence, Lock, Mark, Marks},
    owner::{Holder, Life, Owner, Process},
    revision::{Cause, Commit, Deployed, Revision, of_service, telling, waits},
    store::Store,
};
