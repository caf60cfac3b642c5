//! `docker zdd`: updates Docker Compose services without losing a request.
//!
//! The way through: command line (`plugin`, `cli`) → `app`, the commands → what is wanted (`project`) → what is there
//! and what will be done (`platform`, which makes a `plan`) → doing it (`execute`) → what it looks like (`event`,
//! `story`, `report`). Beside it: how containers come into the traffic and leave it (`proxy`), what is kept on the
//! engine (`keep`), what the user should know (`advice`). Everything stands on `engine`, the only room that starts
//! processes.

#![cfg_attr(not(test), warn(clippy::disallowed_methods, clippy::disallowed_types))]

pub mod advice;
#[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "the edge")]
mod app;
pub mod cli;
pub mod engine;
pub mod event;
pub mod execute;
pub mod exit;
#[allow(clippy::disallowed_methods, reason = "a thread keeps the helpers alive")]
pub mod helper;
pub mod init;
#[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "it listens to signals")]
pub mod interrupt;
pub mod keep;
pub mod plan;
pub mod platform;
pub mod plugin;
#[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "it sends requests by the clock")]
mod probe;
pub mod project;
pub mod proxy;
pub mod report;
pub mod stage;
pub mod status;
mod story;
pub mod text;
#[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "it waits")]
pub mod wait;

pub use app::run;
