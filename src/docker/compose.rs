//! `docker compose …`: what Compose is asked to do.

use std::{collections::BTreeMap, ffi::OsString, fmt, str::FromStr, time::Duration};

use serde::Deserialize;

use crate::model::Hook;

use super::{Answer, Call, CallError, Docker, ENDLESS, Problem, QUICK, SLOW, garbage, hook_environment};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl FromStr for Version {
    type Err = ();

    /// Reads `5.6.1`, `v2.31.0`, `2.40.3-desktop.1`.
    fn from_str(text: &str) -> Result<Version, ()> {
        let core = text.trim().trim_start_matches('v').split(['-', '+']).next().unwrap_or_default();
        let mut parts = core.split('.').map(|part| part.parse::<u32>().map_err(drop));
        let mut next = || parts.next().unwrap_or(Ok(0));
        let (major, minor, patch) = (next()?, next()?, next()?);
        Ok(Version(major, minor, patch))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// One `docker compose up`.
#[derive(Clone, Debug)]
pub struct UpOptions<'a> {
    pub service: &'a str,
    pub scale: u32,
    /// `--no-recreate`: leave what exists alone.
    pub keep_existing: bool,
    /// `--no-start`: create only.
    pub create_only: bool,
    pub force_recreate: bool,
    /// Seconds; negative for no limit.
    pub stop_timeout: Option<i64>,
}

/// One line of `--progress json`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Progress {
    pub id: String,
    pub text: String,
    pub status: String,
    pub error: bool,
    pub message: String,
}

/// The outcome of a dry run.
#[derive(Clone, Debug, Default)]
pub struct Preview {
    pub steps: Vec<Progress>,
    /// What Compose asked on standard output; with nobody to answer it takes a no.
    pub questions: String,
}

impl Docker {
    fn compose<I, S>(&self, args: I, deadline: Duration) -> Call
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        // Compose warns about update_config on every load (5.6); that is what zdd carries out.
        let mut all: Vec<OsString> = ["-l", "error", "compose"].map(Into::into).into();
        all.extend(self.compose.iter().cloned());
        if let Some(project) = &self.project {
            all.extend(["-p".into(), project.into()]);
        }
        all.extend(args.into_iter().map(Into::into));
        let mut call = self.call(all, deadline);
        call.stdin = self.stdin.clone();
        // What the user set for interactive use must not steer calls whose output is read.
        call.env = [
            ("COMPOSE_REMOVE_ORPHANS", "false"),
            ("COMPOSE_IGNORE_ORPHANS", "true"),
            ("COMPOSE_MENU", "false"),
            ("COMPOSE_STATUS_STDOUT", "false"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        call
    }

    fn compose_json<I, S>(&self, args: I, deadline: Duration) -> Call
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        let flags = ["--ansi", "never", "--progress", "json"].map(OsString::from);
        self.compose(flags.into_iter().chain(args.into_iter().map(Into::into)), deadline)
    }

    /// The version of the Compose plugin.
    ///
    /// # Errors
    /// There is none, or it does not answer with a version.
    pub fn compose_version(&self) -> Result<Version, CallError> {
        let call = self.call(["compose", "version", "--short"], QUICK);
        let text = self.runner.run(&call)?;
        text.parse().map_err(|()| garbage(&call, text.trim()))
    }

    /// The resolved project as YAML. Naming services enables their profiles.
    pub fn config(&self, services: &[String]) -> Result<String, CallError> {
        let call = self.compose(["config"].into_iter().chain(services.iter().map(String::as_str)), QUICK);
        self.runner.run(&call)
    }

    /// Service → Compose's hash of its configuration.
    pub fn config_hashes(&self, services: &[String]) -> Result<BTreeMap<String, String>, CallError> {
        // Naming a service does not enable its profile here, as it does elsewhere (5.6.1).
        let call = match services {
            [] => self.compose(["config", "--hash", "*"], QUICK),
            some => self.compose(["--profile", "*", "config", "--hash", &some.join(",")], QUICK),
        };
        let text = self.runner.run(&call)?;
        let pair = |line: &str| {
            let (name, hash) = line.split_once(' ')?;
            Some((name.to_owned(), hash.trim().to_owned()))
        };
        let found: Option<_> = text.lines().filter(|line| !line.is_empty()).map(pair).collect();
        found.ok_or_else(|| garbage(&call, "lines other than \"service hash\""))
    }

    /// Every service of the files, those of disabled profiles too.
    pub fn all_services(&self) -> Result<Vec<String>, CallError> {
        let call = self.compose(["--profile", "*", "config", "--services"], QUICK);
        Ok(self.runner.run(&call)?.lines().map(str::to_owned).collect())
    }

    /// Builds images; each line of output is handed over.
    pub fn build(&self, services: &[String], line: impl FnMut(&str)) -> Result<(), CallError> {
        self.fetch("build", services, line)
    }

    /// Pulls images; each line of output is handed over.
    pub fn pull(&self, services: &[String], line: impl FnMut(&str)) -> Result<(), CallError> {
        self.fetch("pull", services, line)
    }

    fn fetch(&self, verb: &str, services: &[String], line: impl FnMut(&str)) -> Result<(), CallError> {
        let args = ["--ansi", "never", "--progress", "plain", verb];
        let mut call = self.compose(args.into_iter().chain(services.iter().map(String::as_str)), ENDLESS);
        call.cancellable = true;
        self.runner.stream(&call, line)
    }

    fn up_args(options: &UpOptions) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec!["up".into()];
        args.push(if options.create_only { "--no-start" } else { "-d" }.into());
        args.push("--no-deps".into());
        if options.keep_existing {
            args.push("--no-recreate".into());
        }
        if options.force_recreate {
            args.push("--force-recreate".into());
        }
        if let Some(timeout) = options.stop_timeout {
            args.push(format!("--timeout={timeout}").into());
        }
        args.extend(["--pull", "never", "--no-build", "--scale"].map(Into::into));
        args.push(format!("{}={}", options.service, options.scale).into());
        args.push(options.service.into());
        args
    }

    /// Creates and starts what is missing to the scale.
    ///
    /// # Errors
    /// Compose's own message. Containers may have been created all the same.
    pub fn up(&self, options: &UpOptions) -> Result<(), CallError> {
        let call = self.compose_json(Docker::up_args(options), SLOW);
        let answer = self.runner.answer(&call)?;
        succeeded(&call, &answer)
    }

    /// Runs a hook to its end in a one-off container of the service, and removes the container. Values travel
    /// in the environment, never in the argument list. The service's labels come with it, so a proxy that goes by
    /// labels must be told that this is no replica.
    ///
    /// # Errors
    /// A hook that fails; the message ends with what it wrote last.
    pub fn run_once(&self, service: &str, hook: &Hook) -> Result<(), CallError> {
        let mut args: Vec<String> =
            ["run", "--rm", "-T", "--no-deps", "--label", "traefik.enable=false"].map(str::to_owned).into();
        let env = hook_environment(hook, &mut args);
        for (flag, value) in [("--user", &hook.user), ("--workdir", &hook.working_dir)] {
            args.extend(value.iter().flat_map(|value| [flag.to_owned(), value.clone()]));
        }
        args.push(service.to_owned());
        args.extend(hook.command.iter().cloned());
        let mut call =
            self.compose(["--progress".to_owned(), "quiet".to_owned()].into_iter().chain(args), ENDLESS);
        call.env.extend(env);
        call.cancellable = true;
        let answer = self.runner.answer(&call)?;
        match answer.code {
            0 => Ok(()),
            _ => {
                succeeded(&call, &Answer { stderr: format!("{}{}", answer.stdout, answer.stderr), ..answer })
            }
        }
    }

    /// What that `up` would do, in Compose's own words. Nothing is touched.
    pub fn preview_up(&self, options: &UpOptions) -> Result<Preview, CallError> {
        self.preview(Docker::up_args(options))
    }

    /// What a plain `docker compose up -d` of the whole project would do now.
    pub fn preview_all(&self, scale: &[(String, u32)]) -> Result<Preview, CallError> {
        let mut args: Vec<OsString> = ["up", "-d", "--pull", "never", "--no-build"].map(Into::into).into();
        for (service, n) in scale {
            args.extend(["--scale".into(), format!("{service}={n}").into()]);
        }
        self.preview(args)
    }

    fn preview(&self, args: Vec<OsString>) -> Result<Preview, CallError> {
        let call = self.compose_json(std::iter::once(OsString::from("--dry-run")).chain(args), QUICK);
        let answer = self.runner.answer(&call)?;
        succeeded(&call, &answer)?;
        Ok(Preview { steps: progress_lines(&answer.stderr).collect(), questions: answer.stdout })
    }
}

fn progress_lines(stderr: &str) -> impl Iterator<Item = Progress> {
    stderr.lines().filter_map(|line| serde_json::from_str(line).ok())
}

fn succeeded(call: &Call, answer: &Answer) -> Result<(), CallError> {
    if answer.code == 0 {
        return Ok(());
    }
    let message = progress_lines(&answer.stderr).filter(|p| p.error && !p.message.is_empty()).last();
    let stderr = message.map_or_else(|| answer.stderr.trim().to_owned(), |p| p.message);
    Err(CallError::of(call, Problem::Failed { code: answer.code, stderr }))
}
