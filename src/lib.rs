//! `docker zdd`: updates Docker Compose services without losing a request.
//!
//! The way through: command line (`plugin`, `cli`) → `command` → what is wanted (`model`) → what is there
//! (`observed`) → what will be done (`plan`, pure) → doing it (`rollout`) → telling of it (`event`, `report`).

pub mod cli;
pub mod clock;
mod command;
pub mod docker;
pub mod doctor;
pub mod duration;
pub mod event;
pub mod exit;
pub mod haproxy;
pub mod health;
pub mod history;
mod interrupt;
pub mod lock;
pub mod mask;
pub mod model;
pub mod observed;
pub mod place;
pub mod plan;
pub mod plugin;
mod probe;
mod report;
mod rollout;
pub mod status;
mod wake;
mod yaml;

use std::{
    ffi::OsString,
    fs,
    io::{Write, stderr, stdout},
    path::Path,
};

use plugin::Kind;

/// Runs the program with the process's arguments and returns the exit code.
pub fn run(argv: impl IntoIterator<Item = OsString>) -> u8 {
    let invocation = match plugin::split(argv) {
        Ok(invocation) => invocation,
        Err(error) => {
            command::say(&mut stderr(), &format!("{error}\n"));
            return exit::Exit::Error.code();
        }
    };
    match invocation.kind {
        Kind::Metadata => print(&plugin::metadata()),
        Kind::Version => print(&format!("{}\n", cli::VersionArgs::default().text())),
        Kind::Hooks => 0,
        Kind::Complete(words) => print(&command::complete(&invocation.docker_globals, &words)),
        Kind::Help(words) => command::show(&cli::help(&words)),
        Kind::Man(folder) => write_man_pages(folder.as_ref()),
        Kind::Run => command::run(invocation.docker_globals, invocation.rest),
    }
}

fn print(text: &str) -> u8 {
    let mut out: Box<dyn Write> = Box::new(stdout());
    command::say(&mut *out, text);
    exit::Exit::Done.code()
}

fn write_man_pages(folder: &Path) -> u8 {
    let write = |(name, page): (String, String)| fs::write(folder.join(name), page);
    match fs::create_dir_all(folder).and_then(|()| cli::man::pages().into_iter().try_for_each(write)) {
        Ok(()) => exit::Exit::Done.code(),
        Err(error) => {
            command::say(
                &mut stderr(),
                &format!("cannot write man pages to {}: {error}\n", folder.display()),
            );
            exit::Exit::Error.code()
        }
    }
}
