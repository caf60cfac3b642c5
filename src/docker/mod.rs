//! Typed calls of `docker` and `docker compose`. Nothing else in the program starts a process.

mod compose;
mod engine;
mod explain;
pub mod process;

use std::{ffi::OsString, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Result;

use self::process::{Answer, Call};
pub use self::{
    compose::{Preview, Progress, UpOptions, Version},
    explain::{Explained, OLDEST_COMPOSE},
    process::{CallError, Listener, Problem, Runner},
};
use crate::model::Hook;

/// Reads answer at once or not at all.
const QUICK: Duration = Duration::from_secs(60);
/// Creating containers may copy images' files and wait for a busy engine.
const SLOW: Duration = Duration::from_secs(600);
/// A build or a pull takes what it takes; Ctrl-C ends it.
const ENDLESS: Duration = Duration::from_secs(24 * 3600);

/// What the settings of one project's calls have in common.
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
}

impl Docker {
    /// # Errors
    /// There is no `docker` on the PATH.
    pub fn find(globals: Vec<OsString>, compose: Vec<OsString>, stdin: Option<Vec<u8>>) -> Result<Docker> {
        let program: PathBuf = which::which("docker")
            .map_err(|_| anyhow::anyhow!("there is no docker on the PATH; install the Docker CLI"))?;
        let runner = Arc::new(Runner::new(program));
        Ok(Docker { runner, globals, compose, stdin: stdin.map(Arc::new), project: None })
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
        Call { args: all, deadline, stdin: None, env: vec![], cancellable: false, last: false }
    }
}

fn garbage(call: &Call, what: impl ToString) -> CallError {
    CallError::of(call, Problem::Garbage(what.to_string()))
}

/// Names a hook's variables in the arguments, and returns those whose values are to be in the environment of
/// the call: values never stand in an argument list.
fn hook_environment(hook: &Hook, args: &mut Vec<String>) -> Vec<(String, String)> {
    let mut env = Vec::new();
    for (key, value) in &hook.environment {
        args.extend(["--env".to_owned(), key.clone()]);
        env.extend(value.clone().map(|value| (key.clone(), value)));
    }
    env
}
