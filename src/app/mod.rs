//! The commands, each a short procedure on the other rooms.

mod ask;
mod checkout;
mod complaint;
mod deploy;
mod doctor;
mod environment;
mod files;
mod first;
mod history;
mod images;
mod included;
mod init;
mod load;
mod notify;
mod page;
mod paths;
mod piped;
mod probe;
mod record;
mod rollback;
mod runs;
mod start;
mod status;
mod summary;
mod swarm;
mod undo;
mod up;
mod watchdog;

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    io::{Write, stdout},
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, Instant},
};

pub use self::start::run;
use crate::{
    cli::ComposeFlags,
    engine::{CALL_TIMEOUT, Docker, Runner},
    event::{Event, Sink},
    exit::Stop,
    interrupt::{Interrupt, Urgency},
    platform::compose::Compose,
    project::{Document, Runs},
    report::{self, Hub},
    text::place::Files,
    wait::{Waiter, Waker},
};

/// What every command works with.
pub struct Context {
    pub platform: Compose,
    pub sink: Arc<Hub>,
    pub waiter: Waiter,
    pub began: Instant,
    /// Of what is printed to stdout.
    pub look: report::Look,
    pub flags: ComposeFlags,
    /// A compose file that came from a pipe.
    pub piped: Option<piped::Piped>,
    /// The files' own text, only to say where something stands.
    pub files: Files,
    /// What Compose has warned of.
    pub warned: Mutex<BTreeSet<String>>,
    /// What the command line or the environment says of the platform.
    pub engine: Option<Runs>,
    /// The project, where it was read to find the platform out.
    pub read_ahead: Mutex<Option<Document>>,
}

/// Writes; a reader that has gone away is no reason to fail.
pub fn say(to: &mut dyn Write, text: &str) {
    let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
}

/// `-f -`: the file, when it came on standard input.
fn docker(globals: Vec<OsString>, flags: Vec<OsString>, file: Option<Vec<u8>>) -> Result<Docker, Stop> {
    let timeout = environment::variable(CALL_TIMEOUT);
    Docker::find(globals, flags, file, timeout.as_deref()).map_err(|error| Stop::error(error.to_string()))
}

impl Context {
    /// `reads`: it is for a command that prints something and touches nothing.
    fn new(
        docker_globals: Vec<OsString>,
        mut flags: ComposeFlags,
        engine: Option<Runs>,
        reads: bool,
    ) -> Result<Context, Stop> {
        let engine = runs::asked(engine)?;
        let piped = piped::take(&mut flags)?;
        let text = piped.as_ref().map(|piped| piped.text.clone());
        let docker = docker(docker_globals, flags.args(), text)?;
        let waker = Arc::new(Waker::default());
        let look = environment::look(flags.ansi, flags.verbose);
        let progress = environment::progress(&flags);
        let sink = Arc::new(Hub::new(report::sink(progress, look)));
        if reads && report::is_live(progress, &look) {
            sink.on(Duration::ZERO, &Event::Loading);
        }
        let began = Instant::now();
        let interrupt = listen(&waker, docker.runner(), &sink, began)?;
        let platform = Compose {
            docker,
            version: OnceLock::new(),
            compatible: flags.compatibility || environment::is_true("COMPOSE_COMPATIBILITY"),
            pinned: BTreeMap::new(),
            stop_timeout: None,
            helpers: None,
            undos: BTreeMap::new(),
        };
        let files = files::read(&flags, piped.as_ref());
        let waiter = Waiter::new(waker, interrupt);
        let look = environment::look_of_stdout(flags.ansi);
        Ok(Context {
            platform,
            sink,
            waiter,
            began,
            look,
            flags,
            piped,
            files,
            warned: Mutex::default(),
            engine,
            read_ahead: Mutex::default(),
        })
    }

    pub fn docker(&self) -> &Docker {
        &self.platform.docker
    }

    pub fn emit(&self, event: Event) {
        self.sink.on(self.began.elapsed(), &event);
    }

    /// To stdout, in the place of what said that it is on its way.
    pub fn print(&self, text: &str) {
        self.sink.pause();
        say(&mut stdout(), text);
    }

    /// A warning about the whole project.
    pub fn warn(&self, message: String) {
        self.emit(crate::platform::warning(message));
    }
}

fn listen(
    waker: &Arc<Waker>,
    runner: &Arc<Runner>,
    sink: &Arc<Hub>,
    began: Instant,
) -> Result<Arc<Interrupt>, Stop> {
    let (waker, runner, sink) = (waker.clone(), runner.clone(), sink.clone());
    let socket = environment::variable("DOCKER_CLI_PLUGIN_SOCKET");
    let changed = move |urgency: Urgency| {
        // Said before anything that follows from it.
        let count = if urgency == Urgency::Twice { 2 } else { 1 };
        sink.on(began.elapsed(), &Event::Interrupt { count });
        match urgency {
            Urgency::None => {}
            Urgency::Once => runner.cancel(),
            Urgency::Twice => runner.close(),
        }
        waker.wake();
    };
    Interrupt::listen(socket.as_deref(), changed)
        .map_err(|error| Stop::error(format!("cannot listen for signals: {error}")))
}
