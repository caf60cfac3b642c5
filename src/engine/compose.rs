//! `docker compose …`: what Compose is asked to do.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fmt,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use serde_yaml::Value;

use super::{
    Answer, Call, CallError, Docker, ENDLESS, Hook, PRE_START_LABEL, Preview, Problem, garbage,
    hook_environment, mask, program_of, progress, warnings,
};
use crate::text::yaml;

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

/// One `docker compose up` of one service.
#[derive(Clone, Debug, Default)]
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

/// A plain `docker compose up -d` of the whole project.
#[derive(Clone, Debug, Default)]
pub struct WholeUp {
    /// Every service with its wanted count.
    pub scale: Vec<(String, u32)>,
    /// It may not come to the start: a dry run that comes to a `post_start` hook fails (Compose 5.6.1: "interactive
    /// exec is not supported in dry-run mode").
    pub create_only: bool,
    /// Compose refuses to scale what no profile enables, unless it is named.
    pub name_services: bool,
}

/// One `pre_start` hook to run.
#[derive(Clone, Copy, Debug)]
pub struct HookRun<'a> {
    pub service: &'a str,
    /// Counted from 0 among the service's `pre_start` hooks.
    pub number: usize,
    pub hook: &'a Hook,
    /// The service in its present form must not be run: Compose would run its `post_start` in the one-off too
    /// (5.6.1), and fail when it has ended by then, or pull or build once more, or a proxy would send requests to it.
    pub strip_service: bool,
}

impl Docker {
    fn compose<I, S>(&self, args: I, deadline: Duration) -> Call
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        // What it warns of is said once, by [`Docker::resolve`].
        self.compose_logging("error", args, deadline)
    }

    fn compose_logging<I, S>(&self, level: &str, args: I, deadline: Duration) -> Call
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        let mut all: Vec<OsString> = ["-l", level, "compose"].map(Into::into).into();
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

    fn compose_json(&self, args: Vec<OsString>, deadline: Duration) -> Call {
        let flags = ["--ansi", "never", "--progress", "json"].map(OsString::from);
        self.compose(flags.into_iter().chain(args), deadline)
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

    /// The same as [`Docker::config`], and what Compose warns of: variables that are not set above all. It does so too
    /// where it fails, and says the reason by that.
    pub fn resolve(&self, services: &[String]) -> (Result<String, CallError>, BTreeSet<String>) {
        let args = ["config"].into_iter().chain(services.iter().map(String::as_str));
        let call = self.compose_logging("warn", args, self.quick());
        let answer = match self.runner.answer(&call) {
            Ok(answer) => answer,
            Err(error) => return (Err(error), BTreeSet::new()),
        };
        let (warnings, stderr) = warnings::split(&answer.stderr);
        let text = match answer.code {
            0 => Ok(answer.stdout),
            _ => Err(self.runner.failed(&call, &Answer { stderr, ..answer })),
        };
        (text, warnings.iter().map(|warning| mask(warning)).collect())
    }

    /// The resolved project as YAML. Naming services enables their profiles.
    pub fn config(&self, services: &[String]) -> Result<String, CallError> {
        let args = ["config"].into_iter().chain(services.iter().map(String::as_str));
        self.runner.run(&self.compose(args, self.quick()))
    }

    /// The same with flags.
    pub(super) fn config_with(&self, flags: &[&str]) -> Result<String, CallError> {
        self.runner.run(&self.compose(["config"].into_iter().chain(flags.iter().copied()), self.quick()))
    }

    /// The variables that Compose fills in. It prints values as they are (5.6.1), so where one has several lines nobody can
    /// tell which is whose, and there is nothing.
    pub fn variables(&self) -> Result<BTreeMap<String, String>, CallError> {
        let text = self.config_with(&["--environment"])?;
        let is_name = |key: &str| {
            let begins = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            begins && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let pair = |line: &str| {
            let (key, value) = line.split_once('=').filter(|(key, _)| is_name(key))?;
            Some((key.to_owned(), value.to_owned()))
        };
        Ok(text.lines().map(pair).collect::<Option<_>>().unwrap_or_default())
    }

    pub(super) fn hashes(&self, services: &[String]) -> Result<BTreeMap<String, String>, CallError> {
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

    /// Builds or pulls images (`verb`); each line of output is handed over.
    pub fn fetch(&self, verb: &str, services: &[String], line: impl FnMut(&str)) -> Result<(), CallError> {
        self.fetch_by(&[verb], services, line)
    }

    /// The same with flags behind the verb.
    pub fn fetch_by(
        &self,
        verb: &[&str],
        services: &[String],
        line: impl FnMut(&str),
    ) -> Result<(), CallError> {
        let args = ["--ansi", "never", "--progress", "plain"].into_iter().chain(verb.iter().copied());
        let mut call = self.compose(args.chain(services.iter().map(String::as_str)), ENDLESS);
        call.cancellable = true;
        self.runner.stream(&call, line)
    }

    pub(super) fn up_service(&self, options: &UpOptions) -> Result<(), CallError> {
        let limit = self.slow().saturating_add(options.grace.min(ENDLESS));
        let call = self.compose_json(up_args(options), limit);
        succeeded(&call, &self.runner.answer(&call)?)
    }

    /// Values travel in the environment, never in the argument list. The service's labels come with it, so a proxy
    /// that goes by labels must know that this is no replica.
    pub(super) fn run_once(&self, run: &HookRun) -> Result<(), CallError> {
        let HookRun { service, hook, .. } = *run;
        let mut args: Vec<String> =
            ["run", "--rm", "-T", "--no-deps", "--label", "traefik.enable=false"].map(str::to_owned).into();
        args.extend(["--label".to_owned(), format!("{PRE_START_LABEL}={service}")]);
        let env = hook_environment(hook, &mut args);
        for (flag, value) in [("--user", &hook.user), ("--workdir", &hook.working_dir)] {
            args.extend(value.iter().flat_map(|value| [flag.to_owned(), value.clone()]));
        }
        args.push(service.to_owned());
        args.extend(hook.command.iter().cloned());
        let args = ["--progress".to_owned(), "quiet".to_owned()].into_iter().chain(args);
        let mut call = match run.strip_service || hook.image.is_some() {
            true => self.for_hook(service, run.number)?.compose(args, ENDLESS),
            false => self.compose(args, ENDLESS),
        };
        call.shown = Some(format!("docker compose run {service} {}", program_of(hook)));
        call.env.extend(env);
        call.cancellable = true;
        call.once = true;
        let answer = self.runner.answer(&call)?;
        let said = format!("{}{}", answer.stdout, answer.stderr);
        succeeded(&call, &Answer { stderr: said, ..answer })
    }

    /// The same project, its resolved file on standard input, where the service is as its hook wants it: without
    /// `post_start`, and with what the hook says for itself, which may be anything that a service has. Compose 5.6.1
    /// writes the image and the entrypoint of the service into a hook that has none.
    fn for_hook(&self, service: &str, number: usize) -> Result<Docker, CallError> {
        let text = self.config(&[service.to_owned()])?;
        let mut file: Value = serde_yaml::from_str(&text).unwrap_or_default();
        adapt_to_hook(&mut file["services"][service], number);
        let mut compose: Vec<OsString> = ["--file", "-"].map(Into::into).into();
        let mut flags = self.compose.iter();
        while let Some(flag) = flags.next() {
            if flag == "--file" {
                flags.next();
            } else {
                compose.push(flag.clone());
            }
        }
        Ok(Docker { compose, stdin: Some(Arc::new(yaml::text(&file).into_bytes())), ..self.clone() })
    }

    /// What that `up` would do, in Compose's own words. Nothing is touched.
    ///
    /// # Errors
    /// Compose's own message, or nothing that can be read: then nobody knows what it would do.
    pub fn preview_up(&self, options: &UpOptions) -> Result<Preview, CallError> {
        let preview = self.preview(up_args(options))?;
        if preview.steps.is_empty() {
            let call = self.compose_json(vec!["--dry-run".into(), "up".into()], self.quick());
            return Err(garbage(&call, "not one step"));
        }
        Ok(preview)
    }

    /// What a plain `docker compose up -d` of the whole project would do now.
    pub fn preview_all(&self, whole: &WholeUp) -> Result<Preview, CallError> {
        let how = if whole.create_only { "--no-start" } else { "-d" };
        let mut args: Vec<OsString> = ["up", how, "--pull", "never", "--no-build"].map(Into::into).into();
        for (service, n) in &whole.scale {
            args.extend(["--scale".into(), format!("{service}={n}").into()]);
        }
        if whole.name_services {
            args.extend(whole.scale.iter().map(|(service, _)| service.into()));
        }
        self.preview(args)
    }

    fn preview(&self, args: Vec<OsString>) -> Result<Preview, CallError> {
        let args = std::iter::once("--dry-run".into()).chain(args).collect();
        let call = self.compose_json(args, self.quick());
        let answer = self.runner.answer(&call)?;
        let preview = Preview::read(&answer.stderr, answer.stdout.clone());
        // Compose 5.3 stumbles over the network that it would have replaced; what it would stop is said by then.
        if !preview.steps.iter().any(|step| step.text == "Stopping") {
            succeeded(&call, &answer)?;
        }
        Ok(preview)
    }
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

/// Lets the hook's own keys stand in for those of the service.
fn adapt_to_hook(service: &mut Value, number: usize) {
    const GIVEN_BY_FLAGS: [&str; 5] = ["command", "user", "working_dir", "environment", "per_replica"];
    const ADDED: [&str; 3] = ["volumes", "secrets", "configs"];
    let hook = service["pre_start"][number].as_mapping().cloned().unwrap_or_default();
    let Some(service) = service.as_mapping_mut() else { return };
    service.remove("post_start");
    for (key, mark) in [("labels", "caddy"), ("environment", "VIRTUAL_")] {
        let all = service.get_mut(key).and_then(Value::as_mapping_mut);
        // By these proxies know whom to send requests to.
        all.into_iter()
            .for_each(|all| all.retain(|key, _| !key.as_str().is_some_and(|key| key.starts_with(mark))));
    }
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
        let present = service.get_mut(name).and_then(Value::as_sequence_mut);
        match (present, value) {
            (Some(present), Value::Sequence(more)) if ADDED.contains(&name) => present.extend(more),
            (_, value) => drop(service.insert(key, value)),
        }
    }
}

fn succeeded(call: &Call, answer: &Answer) -> Result<(), CallError> {
    if answer.code == 0 {
        return Ok(());
    }
    let message = progress::lines(&answer.stderr).filter(|p| p.error && !p.message.is_empty()).last();
    let stderr = message.map_or_else(|| answer.stderr.trim().to_owned(), |p| p.message);
    Err(CallError::of(call, Problem::Failed { code: answer.code, stderr }))
}
