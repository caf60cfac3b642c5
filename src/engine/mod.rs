//! Typed calls of `docker` and `docker compose`, and what they answer as plain data. Nothing else in the program starts
//! a process, and nothing in here knows what the answers are for.

#[allow(clippy::disallowed_methods, reason = "it reads what a child writes")]
mod attached;
#[allow(clippy::disallowed_methods, reason = "it waits for the engine")]
mod away;
mod compose;
pub mod config;
pub mod container;
mod containers;
mod examine;
mod explain;
mod healthcheck;
mod images;
#[allow(clippy::disallowed_methods, reason = "it reads what a child writes")]
mod listener;
mod networks;
#[allow(clippy::disallowed_methods, reason = "it starts processes")]
pub mod process;
mod progress;
mod replica;
pub mod swarm;
mod volumes;
mod warnings;
#[allow(clippy::disallowed_methods, reason = "it starts a process")]
mod watchdog;

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Result;

use self::config::Hook;
pub use self::{
    attached::Attached,
    away::Contact,
    compose::{HookRun, UpOptions, Version, WholeUp},
    container::{Container, ContainerRef, Endpoint, Process, Protocol, Published, State},
    containers::Joined,
    examine::{Image, Kind, Plugin, Server, read_image, read_plugins, read_server},
    explain::{Explained, OLDEST_COMPOSE},
    healthcheck::Healthcheck,
    images::{Local, archive},
    listener::Listener,
    networks::{Member, Network, network_ids, read_networks},
    process::{CallError, Problem, Runner},
    progress::{Effect, Preview, Progress},
    replica::{Replica, ids, references},
    watchdog::{Order, Told, WATCHDOG},
};
use self::{
    process::{Answer, Call},
    watchdog::Watchdog,
};
use crate::text::mask::mask;

/// What a rollout asks of an engine; a trait, so that a rollout can be tested on containers that are not there.
pub trait Engine: Sync {
    /// The IDs of the project's replicas, or of one service's, in all states. One-offs of `compose run` carry
    /// `oneoff=True`, runners of hooks carry no such label: neither is counted.
    fn container_ids(&self, service: Option<&str>) -> Result<Vec<String>, CallError>;

    /// The IDs of all that is the project's, in all states: also one-offs, and what stands in for replicas.
    fn member_ids(&self) -> Result<Vec<String>, CallError>;

    /// The replicas among these containers. One that is gone by now is left out.
    fn inspect(&self, ids: &[String]) -> Result<Vec<Container>, CallError>;

    /// The replicas of the project, or of one service.
    fn containers(&self, service: Option<&str>) -> Result<Vec<Container>, CallError> {
        self.inspect(&self.container_ids(service)?)
    }

    /// Networks with who is on them now. One that is gone by now is left out.
    fn networks(&self, ids: &[String]) -> Result<Vec<Network>, CallError>;

    /// Reference → local image ID, for those that exist.
    fn image_ids(&self, references: &[String]) -> Result<BTreeMap<String, String>, CallError>;

    /// Service → Compose's hash of its configuration; of the named ones also where no profile enables them.
    fn config_hashes(&self, services: &[String]) -> Result<BTreeMap<String, String>, CallError>;

    /// Creates and starts what is missing to the scale.
    ///
    /// # Errors
    /// Compose's own message. Containers may have been created all the same.
    fn up(&self, options: &UpOptions) -> Result<(), CallError>;

    fn start(&self, ids: &[String]) -> Result<(), CallError>;

    /// Signals and waits: each container's own signal and grace period hold unless `timeout` is given, in
    /// seconds, a negative one for no limit. `longest` is the longest grace period among them.
    fn stop(&self, ids: &[String], timeout: Option<i64>, longest: Duration) -> Result<(), CallError>;

    /// Removes stopped containers, with their anonymous volumes or without.
    fn remove(&self, ids: &[String], with_volumes: bool) -> Result<(), CallError>;

    /// Sends a signal to the container's first process: `HUP`.
    fn signal(&self, id: &str, signal: &str) -> Result<(), CallError>;

    /// The processes of a running container.
    fn processes(&self, id: &str) -> Result<Vec<Process>, CallError>;

    /// Sets the restart policy: `no`, `always`, `on-failure:3`.
    fn set_restart(&self, ids: &[String], policy: &str) -> Result<(), CallError>;

    fn rename(&self, id: &str, name: &str) -> Result<(), CallError>;

    /// The last lines that a container wrote, oldest first. Empty when its logging driver cannot be read,
    /// or when it is gone.
    fn log_tail(&self, id: &str, lines: usize) -> Vec<String>;

    /// Runs a lifecycle hook inside a container, as Compose does: exec with the hook's user, folder,
    /// environment and privilege. Values travel in the environment, never in the argument list.
    ///
    /// # Errors
    /// A hook that fails or does not end within `limit`; `None` is the time that creating containers may take.
    fn exec_hook(&self, id: &str, hook: &Hook, limit: Option<Duration>) -> Result<(), CallError>;

    /// Runs a `pre_start` hook to its end in a one-off container of the service, and removes the container.
    ///
    /// # Errors
    /// A hook that fails; the message ends with what it wrote last.
    fn run_hook(&self, run: &HookRun) -> Result<(), CallError>;

    /// The one-offs of a service's `pre_start` hooks that run, also after a second interrupt has ended everything
    /// else: Compose does not wait for them when it is told to end (2.31 does not even tell them).
    fn running_hooks(&self, service: &str) -> Result<Vec<ContainerRef>, CallError>;

    /// Waits until such hooks have ended: `signaled` ones for a moment, also after a second interrupt; others as long
    /// as for one that this run has started.
    fn await_hooks(&self, ids: &[String], signaled: bool) -> Result<(), CallError>;

    /// Runs a shell script inside a container and returns what it prints.
    ///
    /// # Errors
    /// No shell in the image, or the script's own failure.
    fn exec_shell(&self, id: &str, script: &str, args: &[&str]) -> Result<String, CallError>;

    /// Runs a script by a shell in a container. Its input ends with what comes back, and with this program.
    fn keep_shell(&self, id: &str, script: &str, args: &[&str]) -> Result<Attached, CallError>;

    /// What is to be done for a service should this program be killed; `None`: nothing any more.
    fn stand_by(&self, service: &str, order: Option<Order>);
}

/// Overrides how long one call may take before it counts as hanging.
pub const CALL_TIMEOUT: &str = "ZDD_CALL_TIMEOUT";
/// Reads answer at once or not at all.
const QUICK: Duration = Duration::from_secs(60);
/// Creating containers may copy images' files and wait for a busy engine: so many times the usual.
const SLOW: u32 = 10;
/// A build or a pull takes what it takes; Ctrl-C ends it.
const ENDLESS: Duration = Duration::from_secs(24 * 3600);

/// Names the service whose `pre_start` hook runs in a one-off.
const PRE_START_LABEL: &str = "io.zdd.pre-start";

/// What the calls about one project have in common.
#[derive(Clone)]
pub struct Docker {
    runner: Arc<Runner>,
    /// Docker's own flags before the plugin's name, for every child: one engine, never two.
    globals: Vec<OsString>,
    /// Compose's global flags, as the user gave them.
    compose: Vec<OsString>,
    /// The compose file, when it came on standard input (`-f -`).
    stdin: Option<Arc<Vec<u8>>>,
    /// Known once the project is loaded; handed to every call from then on.
    project: Option<String>,
    /// What one quick call may take.
    timeout: Duration,
    watchdog: Watchdog,
}

impl Docker {
    /// `timeout` is what [`CALL_TIMEOUT`] holds.
    ///
    /// # Errors
    /// There is no `docker` on the PATH, or `timeout` is no time.
    pub fn find(
        globals: Vec<OsString>,
        compose: Vec<OsString>,
        stdin: Option<Vec<u8>>,
        timeout: Option<&str>,
    ) -> Result<Docker> {
        let program: PathBuf = which::which("docker")
            .map_err(|_| anyhow::anyhow!("there is no docker on the PATH; install the Docker CLI"))?;
        Ok(Docker {
            runner: Arc::new(Runner::new(program)),
            globals,
            compose,
            stdin: stdin.map(Arc::new),
            project: None,
            timeout: call_timeout(timeout)?,
            watchdog: Watchdog::default(),
        })
    }

    /// The deadline of a call that answers at once or not at all.
    fn quick(&self) -> Duration {
        self.timeout
    }

    /// The deadline of a call that creates containers.
    fn slow(&self) -> Duration {
        self.timeout.saturating_mul(SLOW)
    }

    /// The same docker and engine, but Compose reads this text and nothing else. It stands in `folder`, whose `.env`
    /// cannot matter, as the text has no variables left.
    pub fn with_document(&self, text: String, folder: Option<&str>) -> Docker {
        let flags = ["--file", "-", "--profile", "*"].into_iter();
        let folder = folder.into_iter().flat_map(|folder| ["--project-directory", folder]);
        let names = self.compose.iter().filter(|flag| *flag == "--compatibility").cloned();
        Docker {
            compose: flags.chain(folder).map(OsString::from).chain(names).collect(),
            stdin: Some(Arc::new(text.into_bytes())),
            ..self.clone()
        }
    }

    /// From now on an engine that leaves is waited for, as long as one quick call may take.
    pub fn wait_for_engine(&self, tell: impl Fn(Contact) + Send + Sync + 'static) {
        let ask = self.call(["version", "--format", "{{.Server.Version}}"], self.quick());
        self.runner.away.wait_for_it(self.quick(), ask, tell);
    }

    pub fn runner(&self) -> &Arc<Runner> {
        &self.runner
    }

    /// Every later call names the project, so that nothing depends on the folder or on `.env` again.
    pub fn set_project(&mut self, name: &str) {
        self.project = Some(name.to_owned());
    }

    pub fn project(&self) -> &str {
        self.project.as_deref().unwrap_or_default()
    }

    fn call<I, S>(&self, args: I, deadline: Duration) -> Call
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        let mut all = self.globals.clone();
        all.extend(args.into_iter().map(Into::into));
        Call::new(all, deadline)
    }

    /// A call that is made also after a second interrupt has ended everything else; it must be short then.
    fn last_call<'s>(&self, args: impl IntoIterator<Item = &'s str>) -> Call {
        const LAST_CALL: Duration = Duration::from_secs(5);
        let limit = if self.runner.is_closed() { LAST_CALL } else { self.quick() };
        Call { last: true, ..self.call(args, limit) }
    }

    fn on_ids(&self, verb: &[&str], ids: &[String], limit: Duration) -> Result<(), CallError> {
        if ids.is_empty() {
            return Ok(());
        }
        let args = verb.iter().copied().chain(ids.iter().map(String::as_str));
        self.runner.run(&self.call(args, limit)).map(drop)
    }
}

fn call_timeout(text: Option<&str>) -> Result<Duration> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(QUICK) };
    match crate::text::duration::parse_seconds_or_duration(text) {
        Ok(time) if !time.is_zero() => Ok(time),
        Ok(_) => anyhow::bail!("{CALL_TIMEOUT}: must be more than 0, like \"90s\""),
        Err(problem) => anyhow::bail!("{CALL_TIMEOUT}: {problem}"),
    }
}

fn garbage(call: &Call, what: impl ToString) -> CallError {
    CallError::of(call, Problem::Garbage(what.to_string()))
}

/// A container's or a volume's ID in full, as `--no-trunc` asks for.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether nothing else went wrong than that some of the things asked for do not exist.
fn only_missing(stderr: &str, word: &str) -> bool {
    stderr.contains(word) && stderr.lines().all(|line| line.contains(word) || line.trim().is_empty())
}

/// Names a hook's variables in the arguments, and returns those whose values are to be in the environment of
/// the call: values do not stand in an argument list, where every user of the machine can read them. Those that
/// the Docker CLI and Compose would take for themselves must.
fn hook_environment(hook: &Hook, args: &mut Vec<String>) -> Vec<(String, String)> {
    let mut env = Vec::new();
    for (key, value) in &hook.environment {
        args.push("--env".to_owned());
        match value {
            Some(value) if steers_docker(key) => args.push(format!("{key}={value}")),
            _ => {
                args.push(key.clone());
                env.extend(value.clone().map(|value| (key.clone(), value)));
            }
        }
    }
    env
}

fn steers_docker(key: &str) -> bool {
    let of_docker = ["DOCKER_", "COMPOSE_", "BUILDX_", "OTEL_", "SSH_", "GO"];
    of_docker.iter().any(|start| key.starts_with(start))
        || matches!(key, "HOME" | "PATH" | "USER" | "TMPDIR" | "LD_PRELOAD" | "LD_LIBRARY_PATH")
        || key.to_ascii_uppercase().ends_with("_PROXY")
}

/// A hook's command in a message: its arguments may hold what the file took from the environment.
fn program_of(hook: &Hook) -> String {
    match hook.command.as_slice() {
        [] => String::new(),
        [program] => program.clone(),
        [program, ..] => format!("{program} …"),
    }
}
