//! What docker, the shell or the user starts the program for.

use std::{
    ffi::OsString,
    fs,
    io::{stderr, stdout},
    path::Path,
};

use super::{Context, docker, doctor, environment, history, init, load, rollback, say, status, up, watchdog};
use crate::{
    cli::{self, Cli, CliError, Command, ComposeFlags},
    event::{End, Event},
    exit::{Exit, Stop},
    plugin::{self, Kind},
};

/// Runs the program with the process's arguments and returns the exit code.
pub fn run(argv: impl IntoIterator<Item = OsString>) -> u8 {
    let invocation = match plugin::split(argv) {
        Ok(invocation) => invocation,
        Err(error) => {
            say(&mut stderr(), &format!("{error}\n"));
            return Exit::Error.code();
        }
    };
    match invocation.kind {
        Kind::Metadata => print(&plugin::metadata()),
        Kind::Version => print(&format!("{}\n", cli::VersionArgs::default().text())),
        Kind::Hooks => 0,
        Kind::Complete(words) => print(&complete(&invocation.docker_globals, &words)),
        Kind::Help(words) => show(&cli::help(&words)),
        Kind::Man(folder) => write_man_pages(folder.as_ref()),
        Kind::Watchdog { project, pid } => watchdog::watch(invocation.docker_globals, &project, pid),
        Kind::Run => command(invocation.docker_globals, invocation.rest),
    }
}

fn print(text: &str) -> u8 {
    say(&mut stdout(), text);
    Exit::Done.code()
}

fn write_man_pages(folder: &Path) -> u8 {
    let write = |(name, page): (String, String)| fs::write(folder.join(name), page);
    match fs::create_dir_all(folder).and_then(|()| cli::man::pages().into_iter().try_for_each(write)) {
        Ok(()) => Exit::Done.code(),
        Err(error) => {
            say(&mut stderr(), &format!("cannot write man pages to {}: {error}\n", folder.display()));
            Exit::Error.code()
        }
    }
}

fn command(docker_globals: Vec<OsString>, rest: Vec<OsString>) -> u8 {
    match cli::parse(rest) {
        Ok(cli) => dispatch(docker_globals, cli),
        Err(help) => show(&help),
    }
}

/// Prints help that was asked for, or what is wrong with the command line.
fn show(help: &CliError) -> u8 {
    say(&mut stdout(), &help.stdout);
    say(&mut stderr(), &help.stderr);
    help.exit_code
}

/// Answers the shell through Docker's own completion. Whatever goes wrong, there is an answer.
fn complete(docker_globals: &[OsString], words: &[OsString]) -> String {
    let services = || {
        let flags = plugin::project_flags(&cli::command(), words);
        let docker = docker(docker_globals.to_vec(), flags, None).ok();
        let named = docker.and_then(|docker| docker.all_services().ok()).unwrap_or_default();
        named.into_iter().collect()
    };
    let descriptions = environment::variable("DOCKER_CLI_DISABLE_COMPLETION_DESCRIPTION").is_none();
    let revisions = || history::candidates(docker_globals, words).unwrap_or_default();
    let project = plugin::Project { services: &services, revisions: &revisions };
    plugin::complete(&cli::command(), words, &project, descriptions)
}

fn dispatch(docker_globals: Vec<OsString>, cli: Cli) -> u8 {
    let Some(command) = cli.command else { return Exit::Done.code() };
    if let Command::Init(args) = &command {
        let target = init::Target::of(&cli.compose, args);
        let flags = target.flags(cli.compose).quiet();
        return run_in(docker_globals, flags, false, &|context| init::init(context, args, &target));
    }
    let (flags, reads) = match command {
        Command::Up(_) | Command::Rollback(_) | Command::Restart(_) => {
            let dry = cli.compose.dry_run;
            (cli.compose, dry)
        }
        Command::Plan(_) => (cli.compose, true),
        _ => (cli.compose.quiet(), true),
    };
    let run = |act: &dyn Fn(&mut Context) -> Result<Exit, Stop>| run_in(docker_globals, flags, reads, act);
    match &command {
        Command::Up(args) => run(&|context| up::up(context, args)),
        Command::Plan(args) => run(&|context| up::plan(context, args)),
        Command::Rollback(args) => run(&|context| rollback::rollback(context, args)),
        Command::Restart(args) => run(&|context| up::restart(context, args)),
        Command::Doctor(args) => run(&|context| doctor::doctor(context, args)),
        Command::Status(args) => run(&|context| status::status(context, args)),
        Command::History(args) => run(&|context| history::history(context, args)),
        Command::Diff(args) => run(&|context| history::diff(context, args)),
        Command::Init(_) => Exit::Done.code(),
        Command::Version(args) => {
            say(&mut stdout(), &format!("{}\n", args.text()));
            Exit::Done.code()
        }
    }
}

/// Runs a command and reports its end, however it ends.
fn run_in(
    docker_globals: Vec<OsString>,
    flags: ComposeFlags,
    reads: bool,
    command: &dyn Fn(&mut Context) -> Result<Exit, Stop>,
) -> u8 {
    let mut context = match Context::new(docker_globals, flags, reads) {
        Ok(context) => context,
        Err(stop) => {
            let hint = stop.hint.map(|hint| format!("hint: {hint}\n")).unwrap_or_default();
            say(&mut stderr(), &format!("{}\n{hint}", stop.message));
            return stop.exit.code();
        }
    };
    match command(&mut context) {
        Ok(exit) => exit.code(),
        Err(stop) => {
            let took = context.began.elapsed();
            let exit_code = stop.exit.code();
            let absent = load::is_file_absent(&stop).then(|| no_file(&context));
            let hint = stop.hint.or(absent);
            context.emit(Event::End(End { exit_code, message: stop.message, hint, took }));
            exit_code
        }
    }
}

/// What to do where there is no compose file.
fn no_file(context: &Context) -> String {
    let without = match context.given_name() {
        Some(_) => "; \"status\", \"history\" and \"rollback\" of a project that is named need none",
        None => "",
    };
    format!("go to the project's folder, or name its file with -f{without}")
}
