//! Typed calls of `docker` and `docker compose`. Nothing else in the program starts a process.

mod compose;
mod engine;
mod examine;
mod explain;
pub mod process;
mod revisions;

use std::{ffi::OsString, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Result;

use self::process::{Answer, Call};
pub use self::{
    compose::{Effect, Preview, Progress, UpOptions, Version},
    examine::{read_image, read_plugins, read_version},
    explain::{Explained, OLDEST_COMPOSE},
    process::{CallError, Listener, Problem, Runner},
};
use crate::model::Hook;

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

/// What the settings of one project's calls have in common.
#[derive(Clone)]
pub struct Docker {
    runner: Arc<Runner>,
    /// Docker's own flags before the plugin's name, for every child: one engine, never two.
    globals: Vec<OsString>,
    /// Compose's global flags, as the user gave them.
    compose: Vec<OsString>,
    /// The compose file, when it came on standard input (`-f -`).
    stdin: Option<Arc<Vec<u8>>>,
    /// Known once the model is loaded; handed to every call from then on.
    project: Option<String>,
    /// What one call may take.
    patience: Duration,
}

impl Docker {
    /// # Errors
    /// There is no `docker` on the PATH, or `ZDD_CALL_TIMEOUT` is no time.
    pub fn find(globals: Vec<OsString>, compose: Vec<OsString>, stdin: Option<Vec<u8>>) -> Result<Docker> {
        let program: PathBuf = which::which("docker")
            .map_err(|_| anyhow::anyhow!("there is no docker on the PATH; install the Docker CLI"))?;
        let runner = Arc::new(Runner::new(program));
        Ok(Docker {
            runner,
            globals,
            compose,
            stdin: stdin.map(Arc::new),
            project: None,
            patience: patience()?,
        })
    }

    /// The deadline of a call that answers at once or not at all.
    fn quick(&self) -> Duration {
        self.patience
    }

    /// The deadline of a call that creates containers.
    pub fn slow(&self) -> Duration {
        self.patience.saturating_mul(SLOW)
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

    pub fn runner(&self) -> &Arc<Runner> {
        &self.runner
    }

    /// Every later call names the project, so that nothing depends on the folder or on `.env` again.
    pub fn set_project(&mut self, name: &str) {
        self.project = Some(name.to_owned());
    }

    fn project(&self) -> &str {
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
}

fn patience() -> Result<Duration> {
    let Some(text) = std::env::var(CALL_TIMEOUT).ok().filter(|text| !text.is_empty()) else {
        return Ok(QUICK);
    };
    match crate::duration::parse_seconds_or_duration(&text) {
        Ok(time) if !time.is_zero() => Ok(time),
        Ok(_) => anyhow::bail!("{CALL_TIMEOUT}: must be more than 0, like \"90s\""),
        Err(problem) => anyhow::bail!("{CALL_TIMEOUT}: {problem}"),
    }
}

fn garbage(call: &Call, what: impl ToString) -> CallError {
    CallError::of(call, Problem::Garbage(what.to_string()))
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
