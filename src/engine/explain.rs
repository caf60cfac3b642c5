//! The calls that fail for reasons of the machine, in a sentence with a remedy.

use std::fmt;

use super::{CallError, Problem, Version};

/// Older Compose versions remove the wrong containers or lack flags that are relied on
/// (`--progress json` 2.29, network reconciliation 2.31).
pub const OLDEST_COMPOSE: Version = Version(2, 31, 0);

/// An error that a user can act on, with the next thing to do.
#[derive(Clone, Debug)]
pub struct Explained {
    pub message: String,
    pub hint: Option<String>,
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Explained {}

impl Explained {
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Explained {
        Explained { message: message.into(), hint: Some(hint.into()) }
    }

    /// Of a failed `docker compose version`; `v1` says that a `docker-compose` of version 1 was found instead.
    pub fn compose_missing(error: &CallError, v1: bool) -> Explained {
        let Problem::Failed { stderr, .. } = &error.problem else { return Explained::call(error) };
        if !is_unknown_command(stderr) {
            return Explained::call(error);
        }
        let message = match v1 {
            true => {
                "only Compose v1 (docker-compose) is installed, and it cannot run beside its own containers safely"
            }
            false => "Docker Compose is not installed as a plugin of docker",
        };
        Explained::new(
            message,
            format!(
                "install the Compose plugin {OLDEST_COMPOSE} or later, so that \"docker compose version\" answers"
            ),
        )
    }

    pub fn compose_too_old(found: Version) -> Explained {
        Explained::new(
            format!("Docker Compose {found} is too old; {OLDEST_COMPOSE} or later is needed"),
            "update the Compose plugin",
        )
    }

    pub fn call(error: &CallError) -> Explained {
        let stderr = match &error.problem {
            Problem::Failed { stderr, .. } => stderr.as_str(),
            _ => "",
        };
        if let Some(line) =
            stderr.lines().find(|line| line.contains("permission denied while trying to connect"))
        {
            return Explained::new(
                line.trim().to_owned(),
                "you are not allowed to use the engine: run \"sudo docker zdd …\", or, as root, \"usermod -aG docker YOU\" and log in again",
            );
        }
        if let Some(line) = stderr
            .lines()
            .find(|line| line.contains("context not found") || line.contains("context does not exist"))
        {
            return Explained::new(line.trim().to_owned(), "\"docker context ls\" lists them");
        }
        if is_engine_dead(stderr) {
            let first = stderr.lines().find(|line| is_engine_dead(line)).unwrap_or(stderr);
            return Explained::new(
                first.trim_start_matches("error during connect: ").trim().to_owned(),
                "start the engine, or choose another one with \"docker --context NAME zdd …\"",
            );
        }
        Explained { message: error.to_string(), hint: None }
    }
}

fn is_engine_dead(stderr: &str) -> bool {
    ["Cannot connect to the Docker daemon", "error during connect", "failed to connect to the docker API"]
        .iter()
        .any(|text| stderr.contains(text))
}

fn is_unknown_command(stderr: &str) -> bool {
    // The CLI takes the words behind an unknown command for its own flags.
    ["unknown command", "is not a docker command", "unknown shorthand flag", "unknown flag"]
        .iter()
        .any(|text| stderr.contains(text))
}
