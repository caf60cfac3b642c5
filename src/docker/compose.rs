//! `docker compose …`: what Compose is asked to do.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fmt,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use serde::Deserialize;

use crate::{
    model::{Model, Service},
    yaml,
};

use super::{
    Answer, Call, CallError, Docker, ENDLESS, PRE_START_LABEL, Problem, garbage, hook_environment, program_of,
};

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
    /// What Compose stops meanwhile has this long for it.
    pub grace: Duration,
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

/// What a line of a dry run means for what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It stays as it is.
    Leaves,
    /// It exists, and runs from now on.
    Starts,
    /// It is added.
    Creates,
    /// It stops, goes or is replaced.
    Disturbs,
    /// A word that no known version of Compose says.
    Unknown,
}

impl Progress {
    /// The words of Compose 2.31 to 5.6.1.
    pub fn effect(&self) -> Effect {
        match self.text.as_str() {
            "Running" | "Waiting" | "Healthy" | "Exited" | "Skipped" => Effect::Leaves,
            "Starting" | "Started" => Effect::Starts,
            "Creating" | "Created" => Effect::Creates,
            "Recreate" | "Recreated" | "Stopping" | "Stopped" | "Removing" | "Removed" => Effect::Disturbs,
            _ => Effect::Unknown,
        }
    }
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
        let call = self.call(["compose", "version", "--short"], self.quick());
        let text = self.runner.run(&call)?;
        text.parse().map_err(|()| garbage(&call, text.trim()))
    }

    /// The resolved project as YAML. Naming services enables their profiles.
    pub fn config(&self, services: &[String]) -> Result<String, CallError> {
        let call =
            self.compose(["config"].into_iter().chain(services.iter().map(String::as_str)), self.quick());
        self.runner.run(&call)
    }

    /// Service → Compose's hash of its configuration.
    pub fn config_hashes(&self, services: &[String]) -> Result<BTreeMap<String, String>, CallError> {
        // Naming a service does not enable its profile here, as it does elsewhere (5.6.1).
        let call = match services {
            [] => self.compose(["config", "--hash", "*"], self.quick()),
            some => self.compose(["--profile", "*", "config", "--hash", &some.join(",")], self.quick()),
        };
        let text = self.runner.run(&call)?;
        let pair = |line: &str| {
            let (name, hash) = line.split_once(' ')?;
            Some((name.to_owned(), hash.trim().to_owned()))
        };
        let found: Option<_> = text.lines().filter(|line| !line.is_empty()).map(pair).collect();
        found.ok_or_else(|| garbage(&call, "lines other than \"service hash\""))
    }

    /// Every service of the files, those of disabled profiles too. Compose prints them in another order each time.
    pub fn all_services(&self) -> Result<BTreeSet<String>, CallError> {
        let call = self.compose(["--profile", "*", "config", "--services"], self.quick());
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
        let limit = self.slow().saturating_add(options.grace.min(ENDLESS));
        let call = self.compose_json(Docker::up_args(options), limit);
        let answer = self.runner.answer(&call)?;
        succeeded(&call, &answer)
    }

    /// Runs a `pre_start` hook, counted from 0, to its end in a one-off container of the service, and removes the container. Values travel
    /// in the environment, never in the argument list. The service's labels come with it, so a proxy that goes by
    /// labels must be told that this is no replica.
    ///
    /// Compose would run the service's `post_start` in it too (5.6.1), and fail when it has ended by then.
    ///
    /// # Errors
    /// A hook that fails; the message ends with what it wrote last.
    pub fn run_once(&self, service: &Service, number: usize) -> Result<(), CallError> {
        let hook = &service.hooks.pre_start[number];
        let mut args: Vec<String> =
            ["run", "--rm", "-T", "--no-deps", "--label", "traefik.enable=false"].map(str::to_owned).into();
        args.extend(["--label".to_owned(), format!("{PRE_START_LABEL}={}", service.name)]);
        let env = hook_environment(hook, &mut args);
        for (flag, value) in [("--user", &hook.user), ("--workdir", &hook.working_dir)] {
            args.extend(value.iter().flat_map(|value| [flag.to_owned(), value.clone()]));
        }
        args.push(service.name.clone());
        args.extend(hook.command.iter().cloned());
        let args = ["--progress".to_owned(), "quiet".to_owned()].into_iter().chain(args);
        // `run` would pull, or build, once more.
        let has_policy = service.pull_policy.is_some();
        let mut call = match service.has_post_start() || hook.image.is_some() || has_policy {
            true => self.for_hook(&service.name, number)?.compose(args, ENDLESS),
            false => self.compose(args, ENDLESS),
        };
        call.shown = Some(format!("docker compose run {} {}", service.name, program_of(hook)));
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

    /// The same project, its resolved file on standard input, where the service is as its hook wants it: without
    /// `post_start`, and with what the hook says for itself, which may be anything that a service has. Compose 5.6.1
    /// writes the image and the entrypoint of the service into a hook that has none.
    fn for_hook(&self, service: &str, number: usize) -> Result<Docker, CallError> {
        const GIVEN_BY_FLAGS: [&str; 5] = ["command", "user", "working_dir", "environment", "per_replica"];
        const ADDED: [&str; 3] = ["volumes", "secrets", "configs"];
        let text = self.config(&[service.to_owned()])?;
        let mut file: serde_yaml::Value = serde_yaml::from_str(&text).unwrap_or_default();
        let hook = file["services"][service]["pre_start"][number].as_mapping().cloned().unwrap_or_default();
        if let Some(service) = file["services"][service].as_mapping_mut() {
            service.remove("post_start");
            service.insert("pull_policy".into(), "missing".into());
            if hook.contains_key("image") {
                service.remove("build");
                service.remove("entrypoint");
            }
            for (key, value) in hook {
                let name = key.as_str().unwrap_or_default();
                if GIVEN_BY_FLAGS.contains(&name) {
                    continue;
                }
                let there = service.get_mut(name).and_then(serde_yaml::Value::as_sequence_mut);
                match (there, value) {
                    (Some(there), serde_yaml::Value::Sequence(more)) if ADDED.contains(&name) => {
                        there.extend(more)
                    }
                    (_, value) => drop(service.insert(key, value)),
                }
            }
        }
        let file = yaml::text(&file).into_bytes();
        let mut compose: Vec<OsString> = ["--file", "-"].map(Into::into).into();
        let mut flags = self.compose.iter();
        while let Some(flag) = flags.next() {
            if flag == "--file" {
                flags.next();
            } else {
                compose.push(flag.clone());
            }
        }
        Ok(Docker { compose, stdin: Some(Arc::new(file)), ..self.clone() })
    }

    /// What that `up` would do, in Compose's own words. Nothing is touched.
    ///
    /// # Errors
    /// Compose's own message, or nothing that can be read: then nobody knows what it would do.
    pub fn preview_up(&self, options: &UpOptions) -> Result<Preview, CallError> {
        let preview = self.preview(Docker::up_args(options))?;
        if preview.steps.is_empty() {
            let call = self.compose_json(["--dry-run", "up"], self.quick());
            return Err(garbage(&call, "not one step"));
        }
        Ok(preview)
    }

    /// What a plain `docker compose up -d` of the whole project would do now.
    ///
    /// A dry run that comes to a `post_start` hook fails (Compose 5.6.1: "interactive exec is not supported in
    /// dry-run mode"), so it must not come to the start.
    pub fn preview_all(&self, model: &Model) -> Result<Preview, CallError> {
        let hooked = model.services.values().any(Service::has_post_start);
        let how = if hooked { "--no-start" } else { "-d" };
        let mut args: Vec<OsString> = ["up", how, "--pull", "never", "--no-build"].map(Into::into).into();
        for (service, n) in model.scale() {
            args.extend(["--scale".into(), format!("{service}={n}").into()]);
        }
        // Compose refuses to scale what no profile enables, unless it is named.
        if model.by_name {
            args.extend(model.services.keys().map(OsString::from));
        }
        self.preview(args)
    }

    fn preview(&self, args: Vec<OsString>) -> Result<Preview, CallError> {
        let call = self.compose_json(std::iter::once(OsString::from("--dry-run")).chain(args), self.quick());
        let answer = self.runner.answer(&call)?;
        let preview = Preview::read(&answer.stderr, answer.stdout.clone());
        // Compose 5.3 stumbles over the network that it would have replaced; what it would stop is said by then.
        if !preview.steps.iter().any(|step| step.text == "Stopping") {
            succeeded(&call, &answer)?;
        }
        Ok(preview)
    }
}

impl Preview {
    /// Lines that are no steps are passed over.
    pub fn read(stderr: &str, stdout: String) -> Preview {
        Preview { steps: progress_lines(stderr).collect(), questions: stdout }
    }
}

fn progress_lines(stderr: &str) -> impl Iterator<Item = Progress> {
    stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).map(in_today_s_form)
}

/// Compose 2 (tried: 2.31.0) has the word in `status`, where Compose 5 has one of four and the word in `text`.
fn in_today_s_form(line: Progress) -> Progress {
    let today = matches!(line.status.as_str(), "" | "Working" | "Done" | "Warning" | "Error");
    if today { line } else { Progress { text: line.status.clone(), ..line } }
}

fn succeeded(call: &Call, answer: &Answer) -> Result<(), CallError> {
    if answer.code == 0 {
        return Ok(());
    }
    let message = progress_lines(&answer.stderr).filter(|p| p.error && !p.message.is_empty()).last();
    let stderr = message.map_or_else(|| answer.stderr.trim().to_owned(), |p| p.message);
    Err(CallError::of(call, Problem::Failed { code: answer.code, stderr }))
}

#[cfg(test)]
mod tests {
    use super::progress_lines;

    #[test]
    fn progress_of_compose_2_and_5_says_the_same() {
        let compose_2 = r#"{"dry-run":true,"id":"Container shop-web-1","status":"Stopping"}"#;
        let compose_5 = r#"{"id":"Container shop-web-1","status":"Working","text":"Stopping"}"#;
        let words = |text| progress_lines(text).map(|line| line.text).collect::<Vec<_>>();
        assert_eq!(words(compose_2), ["Stopping"]);
        assert_eq!(words(compose_5), ["Stopping"]);
    }
}
