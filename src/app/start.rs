//! What docker, the shell or the user starts the program for.

use std::{
    ffi::OsString,
    fs,
    io::{stderr, stdout},
    path::Path,
};

use super::{
    Context, docker, doctor, environment, history, init, load, rollback, say, status, swarm, up, watchdog,
};
use crate::{
    cli::{self, Cli, CliError, Command, ComposeFlags},
    event::{End, Event},
    exit::{Exit, Stop},
    plugin::{self, Kind},
    project::Runs,
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
    let engine = cli.engine;
    if let Command::Init(args) = &command {
        let target = init::Target::of(&cli.compose, args);
        let flags = target.flags(cli.compose).quiet();
        let init = |context: &mut Context| match context.runs() {
            Runs::Compose => init::init(context, args, &target),
            Runs::Swarm => Err(swarm::no_init()),
        };
        return run_in(docker_globals, flags, engine, false, &init);
    }
    let (flags, reads) = match command {
        Command::Up(_) | Command::Rollback(_) | Command::Restart(_) => {
            let dry = cli.compose.dry_run;
            (cli.compose, dry)
        }
        Command::Plan(_) => (cli.compose, true),
        Command::Version(args) => return print(&format!("{}\n", args.text())),
        _ => (cli.compose.quiet(), true),
    };
    run_in(docker_globals, flags, engine, reads, &|context| match context.runs() {
        Runs::Compose => on_compose(context, &command),
        Runs::Swarm => on_swarm(context, &command),
    })
}

fn on_compose(context: &mut Context, command: &Command) -> Result<Exit, Stop> {
    match command {
        Command::Up(args) => up::up(context, args),
        Command::Plan(args) => up::plan(context, args),
        Command::Rollback(args) => rollback::rollback(context, args),
        Command::Restart(args) => up::restart(context, args),
        Command::Doctor(args) => doctor::doctor(context, args),
        Command::Status(args) => status::status(context, args),
        Command::History(args) => history::history(context, args),
        Command::Diff(args) => history::diff(context, args),
        Command::Init(_) | Command::Version(_) => Ok(Exit::Done),
    }
}

fn on_swarm(context: &mut Context, command: &Command) -> Result<Exit, Stop> {
    match command {
        Command::Up(args) => swarm::up::up(context, args),
        Command::Plan(args) => swarm::up::plan(context, args),
        Command::Rollback(args) => swarm::rollback::rollback(context, args),
        Command::Restart(args) => swarm::up::restart(context, args),
        Command::Doctor(args) => swarm::doctor::doctor(context, args),
        Command::Status(args) => swarm::status::status(context, args),
        Command::History(args) => swarm::history::history(context, args),
        Command::Diff(args) => swarm::history::diff(context, args),
        Command::Init(_) | Command::Version(_) => Ok(Exit::Done),
    }
}

/// Runs a command and reports its end, however it ends.
fn run_in(
    docker_globals: Vec<OsString>,
    flags: ComposeFlags,
    engine: Option<Runs>,
    reads: bool,
    command: &dyn Fn(&mut Context) -> Result<Exit, Stop>,
) -> u8 {
    let mut context = match Context::new(docker_globals, flags, engine, reads) {
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
