//! `docker …`: what the engine is asked to do, always by container ID.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

use super::{
    Call, CallError, Docker, ENDLESS, Listener, PRE_START_LABEL, garbage, hook_environment, program_of,
};
use crate::{
    event::ContainerRef,
    mask::mask,
    model::Hook,
    observed::{Container, PROJECT_LABEL, parse_inspect},
};

/// In full, as `--no-trunc` asks for.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

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
        let call = self.call(args, self.quick());
        let text = self.runner.run(&call)?;
        // Whatever is not in such a list counts as new later, and may be removed.
        match text.lines().all(is_id) {
            true => Ok(text.lines().map(str::to_owned).collect()),
            false => Err(garbage(&call, "lines other than container IDs")),
        }
    }

    /// The replicas among these containers. One that is gone by now is left out.
    pub fn inspect(&self, ids: &[String]) -> Result<Vec<Container>, CallError> {
        if ids.is_empty() {
            return Ok(vec![]);
        }
        let args = ["inspect", "--type", "container"].into_iter().chain(ids.iter().map(String::as_str));
        let call = self.call(args, self.quick());
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
        let call = self.call(args, self.quick());
        let answer = self.runner.answer(&call)?;
        if answer.code != 0 && !only_missing(&answer.stderr, "No such image") {
            return Err(self.runner.failed(&call, &answer));
        }
        let images: Vec<Image> =
            serde_json::from_str(&answer.stdout).map_err(|error| garbage(&call, error))?;
        Ok(images.into_iter().map(|image| image.id).collect())
    }

    pub fn start(&self, ids: &[String]) -> Result<(), CallError> {
        self.on_ids(&["start"], ids, self.quick())
    }

    /// Signals and waits: each container's own signal and grace period hold unless `timeout` is given, in
    /// seconds, a negative one for no limit. `longest` is the longest grace period among them.
    pub fn stop(&self, ids: &[String], timeout: Option<i64>, longest: Duration) -> Result<(), CallError> {
        let limit = match timeout.map(u64::try_from) {
            None => longest + self.quick(),
            Some(Ok(seconds)) => Duration::from_secs(seconds).saturating_add(self.quick()),
            Some(Err(_)) => ENDLESS,
        };
        match timeout {
            Some(seconds) => self.on_ids(&["stop", &format!("--time={seconds}")], ids, limit),
            None => self.on_ids(&["stop"], ids, limit),
        }
    }

    /// Removes stopped containers and leaves their anonymous volumes, as Compose does with orphans.
    pub fn remove_orphans(&self, ids: &[String]) -> Result<(), CallError> {
        self.on_ids(&["rm"], ids, self.quick())
    }

    /// Removes stopped containers with their anonymous volumes.
    pub fn remove(&self, ids: &[String]) -> Result<(), CallError> {
        self.on_ids(&["rm", "-v"], ids, self.quick())
    }

    /// The one-offs of a service's `pre_start` hooks that run, also after a second interrupt has ended everything
    /// else: Compose does not wait for them when it is told to end (2.31 does not even tell them).
    pub fn running_hooks(&self, service: &str) -> Result<Vec<ContainerRef>, CallError> {
        let project = format!("label={PROJECT_LABEL}={}", self.project());
        let hook = format!("label={PRE_START_LABEL}={service}");
        let args = ["ps", "--no-trunc", "--format", "{{.ID}} {{.Names}}", "--filter", &project];
        let call = self.last_call(args.into_iter().chain(["--filter", &hook]));
        let pair = |line: &str| {
            let (id, name) = line.split_once(' ').filter(|(id, name)| is_id(id) && !name.contains(' '))?;
            Some(ContainerRef { id: id.to_owned(), name: name.to_owned() })
        };
        let found: Option<_> = self.runner.run(&call)?.lines().map(pair).collect();
        found.ok_or_else(|| garbage(&call, "lines other than \"ID name\""))
    }

    /// Waits until hooks that go on by themselves have ended, as long as for one that this run has started.
    pub fn await_hooks(&self, ids: &[String]) -> Result<(), CallError> {
        let mut call = self.call(["wait"].into_iter().chain(ids.iter().map(String::as_str)), ENDLESS);
        call.cancellable = true;
        self.runner.run(&call).map(drop)
    }

    /// The same for hooks that have been told to end, also after a second interrupt.
    pub fn await_told_hooks(&self, ids: &[String]) -> Result<(), CallError> {
        let call = self.last_call(["wait"].into_iter().chain(ids.iter().map(String::as_str)));
        self.runner.run(&Call { deadline: HOOKS_END, ..call }).map(drop)
    }

    /// Sets the restart policy: `no`, `always`, `on-failure:3`.
    pub fn set_restart(&self, ids: &[String], policy: &str) -> Result<(), CallError> {
        self.on_ids(&["update", &format!("--restart={policy}")], ids, self.quick())
    }

    /// The name of the machine that the engine runs on.
    pub fn engine_name(&self) -> Result<String, CallError> {
        let name = self.runner.run(&self.call(["info", "--format", "{{.Name}}"], self.quick()))?;
        Ok(name.trim().to_owned())
    }

    /// Creates a volume with these labels; one that is there already stays as it is.
    pub fn create_volume(&self, name: &str, labels: &[String]) -> Result<(), CallError> {
        let mut args = vec!["volume", "create"];
        labels.iter().for_each(|label| args.extend(["--label", label]));
        args.push(name);
        self.runner.run(&self.call(args, self.quick())).map(drop)
    }

    /// The labels of a volume, if it exists.
    pub fn volume_labels(&self, name: &str) -> Result<Option<BTreeMap<String, String>>, CallError> {
        self.volume_labels_by(&self.call(inspection(name), self.quick()))
    }

    /// The same, also after a second interrupt has ended everything else.
    pub fn volume_labels_at_the_end(
        &self,
        name: &str,
    ) -> Result<Option<BTreeMap<String, String>>, CallError> {
        self.volume_labels_by(&self.last_call(inspection(name)))
    }

    fn volume_labels_by(&self, call: &Call) -> Result<Option<BTreeMap<String, String>>, CallError> {
        let answer = self.runner.answer(call)?;
        if answer.code != 0 && is_missing_volume(&answer.stderr) {
            return Ok(None);
        }
        if answer.code != 0 {
            return Err(self.runner.failed(call, &answer));
        }
        let labels: Option<_> = serde_json::from_str(&answer.stdout).map_err(|error| garbage(call, error))?;
        Ok(Some(labels.unwrap_or_default()))
    }

    /// Removes two volumes one after the other, if they exist.
    pub fn remove_both_volumes(&self, first: &str, second: &str) -> Result<(), CallError> {
        self.remove_volumes_by(&self.call(["volume", "rm", first, second], self.quick()))
    }

    /// Removes a volume, if it exists, also after a second interrupt has ended everything else.
    pub fn remove_volume_at_the_end(&self, name: &str) -> Result<(), CallError> {
        self.remove_volumes_by(&self.last_call(["volume", "rm", name]))
    }

    fn remove_volumes_by(&self, call: &Call) -> Result<(), CallError> {
        let answer = self.runner.answer(call)?;
        // What the client warns of, as of its own configuration, is no error.
        let mut errors = answer.stderr.lines().filter(|line| line.starts_with("Error"));
        match answer.code == 0 || is_missing_volume(&answer.stderr) && errors.all(is_missing_volume) {
            true => Ok(()),
            false => Err(self.runner.failed(call, &answer)),
        }
    }

    /// A call that is made also after a second interrupt has ended everything else; it must be short then.
    pub(super) fn last_call<'s>(&self, args: impl IntoIterator<Item = &'s str>) -> Call {
        let limit = if self.runner.is_closed() { LAST_WORDS } else { self.quick() };
        Call { last: true, ..self.call(args, limit) }
    }

    pub(super) fn on_ids(&self, verb: &[&str], ids: &[String], limit: Duration) -> Result<(), CallError> {
        if ids.is_empty() {
            return Ok(());
        }
        let args = verb.iter().copied().chain(ids.iter().map(String::as_str));
        self.runner.run(&self.call(args, limit)).map(drop)
    }

    /// The last lines that a container wrote, oldest first. Empty when its logging driver cannot be read,
    /// or when it is gone.
    pub fn log_tail(&self, id: &str, lines: usize) -> Vec<String> {
        let call = self.call(["logs", "--tail", &lines.to_string(), id], self.quick());
        // What the engine says when it fails is not what the container said.
        let Some(answer) = self.runner.answer(&call).ok().filter(|answer| answer.code == 0) else {
            return vec![];
        };
        let both = answer.stdout.lines().chain(answer.stderr.lines());
        let mut all: Vec<_> = both.map(|line| mask(line.trim_end())).collect();
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
        call.shown = Some(format!("docker exec {} {}", id.get(..12).unwrap_or(id), program_of(hook)));
        call.env = env;
        self.runner.run(&call).map(drop)
    }

    /// Runs a shell script inside a container and returns what it prints.
    ///
    /// # Errors
    /// No shell in the image, or the script's own failure.
    pub fn exec_shell(&self, id: &str, script: &str, args: &[&str]) -> Result<String, CallError> {
        let words = ["exec", id, "sh", "-c", script, "zdd"].into_iter().chain(args.iter().copied());
        let call = self.call(words, self.quick());
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
        Listener::start(&self.runner, &self.call(args, self.quick()), on_event)
    }

    /// Rings when a volume of this name is made or removed, until the listener is dropped.
    pub fn listen_to_volume(
        &self,
        name: &str,
        on_event: impl Fn() + Send + 'static,
    ) -> Result<Listener, CallError> {
        let volume = format!("volume={name}");
        let args = ["events", "--format", "{{.Action}}", "--filter", "type=volume", "--filter", &volume];
        let args = args.into_iter().chain(["--filter", "event=create", "--filter", "event=destroy"]);
        Listener::start(&self.runner, &self.call(args, self.quick()), on_event)
    }
}

/// Whether nothing else went wrong than that some of the things asked for do not exist.
fn only_missing(stderr: &str, word: &str) -> bool {
    stderr.contains(word) && stderr.lines().all(|line| line.contains(word) || line.trim().is_empty())
}

fn inspection(volume: &str) -> [&str; 5] {
    ["volume", "inspect", "--format", "{{json .Labels}}", volume]
}

fn is_missing_volume(stderr: &str) -> bool {
    stderr.to_ascii_lowercase().contains("no such volume")
}

/// What the very last calls may take when the user wants to leave at once.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// What a hook that heeds its signal may take to end.
const HOOKS_END: Duration = Duration::from_secs(3);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Image {
    id: String,
}
