//! `docker …`: what the engine is asked to do, always by container ID.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

use super::{CallError, Docker, ENDLESS, Listener, QUICK, garbage, hook_environment};
use crate::{
    model::Hook,
    observed::{Container, PROJECT_LABEL, parse_inspect},
};

/// What can change the gate's mind. Health probes themselves (`exec_*`) would flood.
const EVENTS: &[&str] = &["health_status", "start", "die", "oom", "stop", "destroy", "pause", "unpause"];

impl Docker {
    /// The IDs of the project's replicas, or of one service's, in all states. One-offs of `compose run` carry
    /// `oneoff=True`, runners of hooks carry no such label: neither is counted.
    pub fn container_ids(&self, service: Option<&str>) -> Result<Vec<String>, CallError> {
        let mut args = ["ps", "-aq", "--no-trunc", "--filter", "label=com.docker.compose.oneoff=False"]
            .map(str::to_owned)
            .to_vec();
        args.extend(["--filter".to_owned(), format!("label={PROJECT_LABEL}={}", self.project())]);
        if let Some(service) = service {
            args.extend(["--filter".to_owned(), format!("label=com.docker.compose.service={service}")]);
        }
        let text = self.runner.run(&self.call(args, QUICK))?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// The replicas among these containers. One that is gone by now is left out.
    pub fn inspect(&self, ids: &[String]) -> Result<Vec<Container>, CallError> {
        if ids.is_empty() {
            return Ok(vec![]);
        }
        let args = ["inspect", "--type", "container"].into_iter().chain(ids.iter().map(String::as_str));
        let call = self.call(args, QUICK);
        let answer = self.runner.answer(&call)?;
        // A missing container makes the exit code 1, but the others are printed all the same.
        if answer.code != 0 && !only_missing(&answer.stderr, "No such") {
            return Err(self.runner.failed(&call, &answer));
        }
        parse_inspect(&answer.stdout).map_err(|error| garbage(&call, format!("{error:#}")))
    }

    /// The replicas of the project, or of one service.
    pub fn containers(&self, service: Option<&str>) -> Result<Vec<Container>, CallError> {
        self.inspect(&self.container_ids(service)?)
    }

    /// Reference → local image ID, for those that exist.
    pub fn image_ids(&self, references: &[String]) -> Result<BTreeMap<String, String>, CallError> {
        let images = self.images(references)?;
        if images.len() == references.len() {
            return Ok(references.iter().cloned().zip(images).collect());
        }
        // The answers do not say which of the questions they belong to, so each is asked alone.
        let mut found = BTreeMap::new();
        for reference in references {
            let image = self.images(std::slice::from_ref(reference))?.pop();
            found.extend(image.map(|id| (reference.clone(), id)));
        }
        Ok(found)
    }

    /// The IDs of those that exist, in order.
    fn images(&self, references: &[String]) -> Result<Vec<String>, CallError> {
        if references.is_empty() {
            return Ok(vec![]);
        }
        let args = ["image", "inspect"].into_iter().chain(references.iter().map(String::as_str));
        let call = self.call(args, QUICK);
        let answer = self.runner.answer(&call)?;
        if answer.code != 0 && !only_missing(&answer.stderr, "No such image") {
            return Err(self.runner.failed(&call, &answer));
        }
        let images: Vec<Image> =
            serde_json::from_str(&answer.stdout).map_err(|error| garbage(&call, error))?;
        Ok(images.into_iter().map(|image| image.id).collect())
    }

    pub fn start(&self, ids: &[String]) -> Result<(), CallError> {
        self.on_ids(&["start"], ids, QUICK)
    }

    /// Signals and waits: each container's own signal and grace period hold unless `timeout` is given, in
    /// seconds, a negative one for no limit. `longest` is the longest grace period among them.
    pub fn stop(&self, ids: &[String], timeout: Option<i64>, longest: Duration) -> Result<(), CallError> {
        let limit = match timeout.map(u64::try_from) {
            None => longest + QUICK,
            Some(Ok(seconds)) => Duration::from_secs(seconds).saturating_add(QUICK),
            Some(Err(_)) => ENDLESS,
        };
        match timeout {
            Some(seconds) => self.on_ids(&["stop", &format!("--time={seconds}")], ids, limit),
            None => self.on_ids(&["stop"], ids, limit),
        }
    }

    /// Removes stopped containers with their anonymous volumes.
    pub fn remove(&self, ids: &[String]) -> Result<(), CallError> {
        self.on_ids(&["rm", "-v"], ids, QUICK)
    }

    /// Sets the restart policy: `no`, `always`, `on-failure:3`.
    pub fn set_restart(&self, ids: &[String], policy: &str) -> Result<(), CallError> {
        self.on_ids(&["update", &format!("--restart={policy}")], ids, QUICK)
    }

    /// Creates a volume with these labels; one that is there already stays as it is.
    pub fn create_volume(&self, name: &str, labels: &[String]) -> Result<(), CallError> {
        let mut args = vec!["volume", "create"];
        labels.iter().for_each(|label| args.extend(["--label", label]));
        args.push(name);
        self.runner.run(&self.call(args, QUICK)).map(drop)
    }

    /// The labels of a volume, if it exists.
    pub fn volume_labels(&self, name: &str) -> Result<Option<BTreeMap<String, String>>, CallError> {
        let call = self.call(["volume", "inspect", "--format", "{{json .Labels}}", name], QUICK);
        let answer = self.runner.answer(&call)?;
        if answer.code != 0 && is_missing_volume(&answer.stderr) {
            return Ok(None);
        }
        if answer.code != 0 {
            return Err(self.runner.failed(&call, &answer));
        }
        let labels: Option<_> =
            serde_json::from_str(&answer.stdout).map_err(|error| garbage(&call, error))?;
        Ok(Some(labels.unwrap_or_default()))
    }

    /// Removes a volume, if it exists.
    pub fn remove_volume(&self, name: &str) -> Result<(), CallError> {
        let call = self.call(["volume", "rm", name], QUICK);
        let answer = self.runner.answer(&call)?;
        match answer.code == 0 || is_missing_volume(&answer.stderr) {
            true => Ok(()),
            false => Err(self.runner.failed(&call, &answer)),
        }
    }

    /// The same, also after a second interrupt has ended everything else.
    pub fn remove_volume_at_the_end(&self, name: &str) -> Result<(), CallError> {
        let mut call = self.call(["volume", "rm", name], LAST_WORDS);
        call.last = true;
        self.runner.answer(&call).map(drop)
    }

    fn on_ids(&self, verb: &[&str], ids: &[String], limit: Duration) -> Result<(), CallError> {
        if ids.is_empty() {
            return Ok(());
        }
        let args = verb.iter().copied().chain(ids.iter().map(String::as_str));
        self.runner.run(&self.call(args, limit)).map(drop)
    }

    /// The last lines that a container wrote, oldest first. Empty when its logging driver cannot be read.
    pub fn log_tail(&self, id: &str, lines: usize) -> Vec<String> {
        let call = self.call(["logs", "--tail", &lines.to_string(), id], QUICK);
        let Ok(answer) = self.runner.answer(&call) else { return vec![] };
        let both = answer.stdout.lines().chain(answer.stderr.lines());
        let mut all: Vec<_> = both.map(|line| line.trim_end().to_owned()).collect();
        all.drain(..all.len().saturating_sub(lines));
        all
    }

    /// Runs a lifecycle hook inside a container, as Compose does: exec with the hook's user, folder,
    /// environment and privilege. Values travel in the environment, never in the argument list.
    ///
    /// # Errors
    /// A hook that fails or does not end within `limit`.
    pub fn exec_hook(&self, id: &str, hook: &Hook, limit: Duration) -> Result<(), CallError> {
        let mut args = vec!["exec".to_owned()];
        let mut option = |flag: &str, value: &Option<String>| {
            if let Some(value) = value {
                args.extend([flag.to_owned(), value.clone()]);
            }
        };
        option("--user", &hook.user);
        option("--workdir", &hook.working_dir);
        if hook.privileged {
            args.push("--privileged".to_owned());
        }
        let env = hook_environment(hook, &mut args);
        args.push(id.to_owned());
        args.extend(hook.command.iter().cloned());
        let mut call = self.call(args, limit);
        call.env = env;
        self.runner.run(&call).map(drop)
    }

    /// Runs a shell script inside a container and returns what it prints.
    ///
    /// # Errors
    /// No shell in the image, or the script's own failure.
    pub fn exec_shell(&self, id: &str, script: &str, args: &[&str]) -> Result<String, CallError> {
        let words = ["exec", id, "sh", "-c", script, "zdd"].into_iter().chain(args.iter().copied());
        let call = self.call(words, QUICK);
        self.runner.run(&call).map_err(|error| CallError {
            call: format!("docker exec {} sh", id.get(..12).unwrap_or(id)),
            ..error
        })
    }

    /// Rings for every event that can change a container's fitness, until the listener is dropped.
    pub fn listen(&self, on_event: impl Fn() + Send + 'static) -> Result<Listener, CallError> {
        let mut args = vec!["events", "--format", "{{.ID}} {{.Status}}", "--filter", "type=container"];
        let project = format!("label={PROJECT_LABEL}={}", self.project());
        args.extend(["--filter", &project]);
        EVENTS.iter().for_each(|event| args.extend(["--filter", *event]));
        let args = args.into_iter().map(|arg| match EVENTS.contains(&arg) {
            true => format!("event={arg}"),
            false => arg.to_owned(),
        });
        Listener::start(&self.runner, &self.call(args, QUICK), on_event)
    }
}

/// Whether nothing else went wrong than that some of the things asked for do not exist.
fn only_missing(stderr: &str, word: &str) -> bool {
    stderr.contains(word) && stderr.lines().all(|line| line.contains(word) || line.trim().is_empty())
}

fn is_missing_volume(stderr: &str) -> bool {
    stderr.to_ascii_lowercase().contains("no such volume")
}

/// What the very last call may take.
const LAST_WORDS: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Image {
    id: String,
}
