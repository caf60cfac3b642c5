//! The subcommands: what hooks and health checks run inside a container that has no shell.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::app::hostname;
use crate::{config, probe, stub, visit};

#[derive(Subcommand)]
pub enum Tool {
    /// Ask /health of the server in this container; exit 0 on 200, else 1
    Health {
        /// Instead of $APP_PORT
        #[arg(long)]
        port: Option<u16>,
    },
    /// Stand in for another image: serve version $STUB_VERSION on each of these ports, or be done at once without any
    Stub {
        /// As in 80,443
        ports: String,
        /// What the other image would run
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        ignored: Vec<OsString>,
    },
    /// Visit other containers until SIGTERM or SIGINT, then print a report of each as JSON
    Visit {
        /// As in http://web:80/
        #[arg(required = true)]
        urls: Vec<String>,
        /// Requests per second to each, half of them over kept connections
        #[arg(long, default_value_t = 20.0)]
        rate: f64,
        /// End after this time
        #[arg(long, default_value_t = 600)]
        seconds: u64,
    },
    /// Create the file $APP_DRAIN_FILE
    Drain,
    /// Remove the file $APP_DRAIN_FILE
    Undrain,
    /// Send a signal to PID 1
    Signal {
        /// As in TERM or SIGTERM
        #[arg(value_parser = named_signal)]
        name: Signal,
    },
    /// Append a line to a file: TEXT HOSTNAME NAME=value… cwd=DIR uid=UID
    Note {
        file: PathBuf,
        text: String,
        /// Add this variable of the environment; may be repeated
        #[arg(long = "env", value_name = "NAME")]
        names: Vec<String>,
    },
    /// Sleep for this many milliseconds, or until SIGTERM or SIGINT
    Sleep { ms: u64 },
    /// Exit with this code
    Exit { code: u8 },
}

/// Runs one tool. Exit code 2 is for what the caller got wrong, 1 for what did not work.
pub async fn run(tool: Tool) -> ExitCode {
    match tool {
        Tool::Health { port } => match port.map_or_else(config::port_from_environment, Ok) {
            Ok(port) => probe::health(port).await,
            Err(problem) => refuse(&problem),
        },
        Tool::Stub { ports, ignored: _ } => match stub::ports(&ports) {
            Ok(ports) => stub::serve(ports).await,
            Err(problem) => refuse(&problem),
        },
        Tool::Visit { urls, rate, seconds } => {
            match visit::visit(&urls, rate, Duration::from_secs(seconds)).await {
                Ok(report) => {
                    println!("{report}");
                    ExitCode::SUCCESS
                }
                Err(error) => refuse(&format!("{error:#}")),
            }
        }
        Tool::Drain => with_drain_file(create),
        Tool::Undrain => with_drain_file(remove),
        Tool::Signal { name } => done(kill_process(Pid::INIT, name).map_err(Into::into)),
        Tool::Note { file, text, names } => {
            done(note(&file, &text, &names).map_err(|error| about(&file, error)))
        }
        Tool::Sleep { ms } => sleep(Duration::from_millis(ms)).await,
        Tool::Exit { code } => code.into(),
    }
}

/// Says what the caller got wrong.
pub fn refuse(problem: &str) -> ExitCode {
    eprintln!("{problem}");
    ExitCode::from(2)
}

fn done(result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn about(file: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", file.display()))
}

fn with_drain_file(change: fn(&Path) -> io::Result<()>) -> ExitCode {
    match config::drain_file_from_environment() {
        Ok(file) => done(change(&file).map_err(|error| about(&file, error))),
        Err(problem) => refuse(&problem),
    }
}

/// An image from scratch has no directories at all.
fn make_room(file: &Path) -> io::Result<()> {
    file.parent().map_or(Ok(()), fs::create_dir_all)
}

fn create(file: &Path) -> io::Result<()> {
    make_room(file)?;
    File::create(file).map(|_| ())
}

fn remove(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn named_signal(name: &str) -> Result<Signal, String> {
    let upper = name.to_ascii_uppercase();
    Ok(match upper.strip_prefix("SIG").unwrap_or(&upper) {
        "HUP" => Signal::HUP,
        "INT" => Signal::INT,
        "QUIT" => Signal::QUIT,
        "KILL" => Signal::KILL,
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        "TERM" => Signal::TERM,
        "STOP" => Signal::STOP,
        "CONT" => Signal::CONT,
        _ => return Err("want HUP, INT, QUIT, KILL, USR1, USR2, TERM, STOP or CONT".into()),
    })
}

/// One write to a file in append mode, so that hooks which run at once do not mix their lines.
fn note(file: &Path, text: &str, names: &[String]) -> io::Result<()> {
    make_room(file)?;
    let line = note_line(text, names, &|name| std::env::var_os(name))?;
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    file.write_all(line.as_bytes())
}

fn note_line(text: &str, names: &[String], get: &dyn Fn(&str) -> Option<OsString>) -> io::Result<String> {
    let mut words = vec![text.to_owned(), hostname()];
    words.extend(names.iter().map(|name| match get(name) {
        Some(value) => format!("{name}={}", value.to_string_lossy()),
        None => format!("{name} is unset"),
    }));
    words.push(format!("cwd={}", std::env::current_dir()?.display()));
    words.push(format!("uid={}", geteuid().as_raw()));
    Ok(words.join(" ") + "\n")
}

/// Ends on a signal even as PID 1, where none has an effect unless it is handled; then with 128 + its number.
async fn sleep(time: Duration) -> ExitCode {
    let handlers =
        signal(SignalKind::terminate()).and_then(|term| Ok((term, signal(SignalKind::interrupt())?)));
    let (mut term, mut int) = match handlers {
        Ok(handlers) => handlers,
        Err(error) => return done(Err(error)),
    };
    tokio::select! {
        () = tokio::time::sleep(time) => ExitCode::SUCCESS,
        _ = term.recv() => ExitCode::from(143),
        _ = int.recv() => ExitCode::from(130),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_their_names_with_and_without_sig() {
        assert_eq!(named_signal("TERM"), Ok(Signal::TERM));
        assert_eq!(named_signal("SIGUSR1"), Ok(Signal::USR1));
        assert_eq!(named_signal("sigkill"), Ok(Signal::KILL));
        assert!(named_signal("SIG").is_err());
    }

    #[test]
    fn a_note_tells_what_the_hook_saw() {
        let names = ["A".to_owned(), "B".to_owned()];
        let get = |name: &str| (name == "A").then(|| OsString::from("1"));
        let line = note_line("before", &names, &get).unwrap();
        let start = format!("before {} A=1 B is unset cwd=/", hostname());
        assert!(line.starts_with(&start), "{line}");
        let uid = format!(" uid={}\n", geteuid().as_raw());
        assert!(line.ends_with(&uid), "{line}");
    }
}
