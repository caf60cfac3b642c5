//! The commands, each a short story told with the other modules.

mod checkout;
mod doctor;
mod files;
mod history;
mod images;
mod load;
mod look;
mod notify;
mod page;
mod paths;
mod planning;
mod preflight;
mod probe;
mod record;
mod rollback;
mod status;
mod summary;
mod up;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{Read, Write, stderr, stdin, stdout},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use crate::{
    cli::{self, Cli, CliError, Command, ComposeFlags, Progress},
    docker::{Docker, OLDEST_COMPOSE, Runner, Version},
    event::{Event, Sink},
    exit::{Exit, Stop},
    interrupt::{Interrupt, Urgency},
    place::Files,
    probe::Prober,
    report::{self, Format, Hub},
    wake::Bell,
};

/// What every command works with.
pub struct Context {
    pub docker: Docker,
    pub sink: Arc<Hub>,
    pub interrupt: Arc<Interrupt>,
    pub bell: Arc<Bell>,
    pub began: Instant,
    pub flags: ComposeFlags,
    pub compose_version: Version,
    /// The files' own text, only to say where something stands.
    pub files: Files,
    /// Sends requests while a rollout is under way.
    pub probe: Mutex<Option<Prober>>,
    /// What Compose printed of the project: the whole, then what naming services added.
    pub configs: Vec<String>,
    /// Service → the ID that counts as its image in this run, whatever its tag means on the engine by now.
    pub pinned: BTreeMap<String, String>,
}

/// Runs the command line's command and returns the exit code.
pub fn run(docker_globals: Vec<OsString>, rest: Vec<OsString>) -> u8 {
    match cli::parse(rest) {
        Ok(cli) => dispatch(docker_globals, cli),
        Err(help) => show(&help),
    }
}

/// Prints help that was asked for, or what is wrong with the command line.
pub fn show(help: &CliError) -> u8 {
    say(&mut stdout(), &help.stdout);
    say(&mut stderr(), &help.stderr);
    help.exit_code
}

/// Answers the shell through Docker's own completion. Whatever goes wrong, there is an answer.
pub fn complete(docker_globals: &[OsString], words: &[OsString]) -> String {
    let services = || {
        let flags = crate::plugin::project_flags(&cli::command(), words);
        let docker = Docker::find(docker_globals.to_vec(), flags, None).ok();
        let named = docker.and_then(|docker| docker.all_services().ok()).unwrap_or_default();
        named.into_iter().collect()
    };
    let descriptions =
        std::env::var_os("DOCKER_CLI_DISABLE_COMPLETION_DESCRIPTION").is_none_or(|v| v.is_empty());
    let revisions = || history::candidates(docker_globals, words).unwrap_or_default();
    let project = crate::plugin::Project { services: &services, revisions: &revisions };
    crate::plugin::complete(&cli::command(), words, &project, descriptions)
}

fn dispatch(docker_globals: Vec<OsString>, cli: Cli) -> u8 {
    match cli.command {
        None => Exit::Done.code(),
        Some(Command::Version(args)) => {
            say(&mut stdout(), &format!("{}\n", args.text()));
            Exit::Done.code()
        }
        Some(Command::Up(args)) => tell_of(docker_globals, cli.compose, |context| up::up(context, &args)),
        Some(Command::Plan(args)) => tell_of(docker_globals, cli.compose, |context| up::plan(context, &args)),
        Some(Command::Doctor(args)) => {
            tell_of(docker_globals, cli.compose.quiet(), |context| doctor::doctor(context, &args))
        }
        Some(Command::Status(args)) => {
            tell_of(docker_globals, cli.compose.quiet(), |context| status::status(context, &args))
        }
        Some(Command::History(args)) => {
            tell_of(docker_globals, cli.compose.quiet(), |context| history::history(context, &args))
        }
        Some(Command::Diff(args)) => {
            tell_of(docker_globals, cli.compose.quiet(), |context| history::diff(context, &args))
        }
        Some(Command::Rollback(args)) => {
            tell_of(docker_globals, cli.compose, |context| rollback::rollback(context, &args))
        }
        Some(Command::Restart(args)) => {
            tell_of(docker_globals, cli.compose, |context| rollback::restart(context, &args))
        }
    }
}

/// Runs a command and reports its end, however it ends.
fn tell_of(
    docker_globals: Vec<OsString>,
    flags: ComposeFlags,
    command: impl FnOnce(&mut Context) -> Result<Exit, Stop>,
) -> u8 {
    let mut context = match Context::new(docker_globals, flags) {
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
            context.tell(Event::End { exit_code, message: stop.message, hint: stop.hint, took });
            exit_code
        }
    }
}

/// Writes; a reader that has gone away is no reason to fail.
pub fn say(to: &mut dyn Write, text: &str) {
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}

impl Context {
    pub fn prober(&self) -> MutexGuard<'_, Option<Prober>> {
        self.probe.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new(docker_globals: Vec<OsString>, flags: ComposeFlags) -> Result<Context, Stop> {
        let file_on_stdin = flags.files.iter().any(|file| file == "-");
        let text = if file_on_stdin { Some(read_stdin()?) } else { None };
        let docker = Docker::find(docker_globals, flags.args(), text.clone())
            .map_err(|error| Stop::new(Exit::Error, error.to_string()))?;
        let bell = Arc::new(Bell::default());
        let sink = Arc::new(Hub::new(report::sink(format(&flags), look::look(flags.ansi))));
        let began = Instant::now();
        let interrupt = listen(&bell, docker.runner(), &sink, began)?;
        let files = Files(files::read(&flags, text.as_deref()));
        let compose_version = OLDEST_COMPOSE;
        Ok(Context {
            docker,
            sink,
            interrupt,
            bell,
            began,
            flags,
            compose_version,
            files,
            probe: Mutex::default(),
            configs: vec![],
            pinned: BTreeMap::new(),
        })
    }
}

fn listen(
    bell: &Arc<Bell>,
    runner: &Arc<Runner>,
    sink: &Arc<Hub>,
    began: Instant,
) -> Result<Arc<Interrupt>, Stop> {
    let (bell, runner, sink) = (bell.clone(), runner.clone(), sink.clone());
    let socket = std::env::var("DOCKER_CLI_PLUGIN_SOCKET").ok();
    let changed = move |urgency: Urgency| {
        // Said before anything that follows from it.
        let count = if urgency == Urgency::Twice { 2 } else { 1 };
        sink.on(began.elapsed(), &Event::Interrupt { count });
        match urgency {
            Urgency::None => {}
            Urgency::Once => runner.cancel(),
            Urgency::Twice => runner.close(),
        }
        bell.ring();
    };
    Interrupt::listen(socket.as_deref(), changed)
        .map_err(|error| Stop::new(Exit::Error, format!("cannot listen for signals: {error}")))
}

/// The file is read once: every call of Compose gets the same text.
fn read_stdin() -> Result<Vec<u8>, Stop> {
    let mut text = Vec::new();
    match stdin().read_to_end(&mut text) {
        Ok(_) => Ok(text),
        Err(error) => {
            Err(Stop::new(Exit::Error, format!("cannot read the compose file from standard input: {error}")))
        }
    }
}

fn format(flags: &ComposeFlags) -> Format {
    match flags.progress {
        None => match std::env::var("COMPOSE_PROGRESS").as_deref() {
            Ok("tty") => Format::Tty,
            Ok("plain") => Format::Plain,
            Ok("json") => Format::Json,
            Ok("quiet") => Format::Quiet,
            _ => Format::Auto,
        },
        Some(Progress::Auto) => Format::Auto,
        Some(Progress::Tty) => Format::Tty,
        Some(Progress::Plain) => Format::Plain,
        Some(Progress::Json) => Format::Json,
        Some(Progress::Quiet) => Format::Quiet,
    }
}
