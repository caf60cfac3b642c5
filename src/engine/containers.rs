//! `docker …`: what the engine is asked to do with containers, always by ID.

use std::{collections::BTreeMap, time::Duration};

use super::{
    Attached, Call, CallError, Container, ContainerRef, Docker, ENDLESS, Engine, Hook, HookRun, Listener,
    Network, Order, PRE_START_LABEL, Problem, Process, Told, UpOptions,
    container::{ONE_OFF_LABEL, PROJECT_LABEL, SERVICE_LABEL, parse_inspect},
    garbage, hook_environment, is_id, mask, only_missing, program_of, watchdog,
};
use crate::text::short_id;

/// What can change a gate's mind. Health probes themselves (`exec_*`) would flood.
const EVENTS: &[&str] = &["health_status", "start", "die", "oom", "stop", "destroy", "pause", "unpause"];
/// What a hook that heeds its signal may take to end.
const HOOKS_END: Duration = Duration::from_secs(3);

impl Engine for Docker {
    fn container_ids(&self, service: Option<&str>) -> Result<Vec<String>, CallError> {
        let service = service.map(|service| format!("label={SERVICE_LABEL}={service}"));
        let one_off = format!("label={ONE_OFF_LABEL}=False");
        self.listed([Some(one_off), Some(self.of_project()), service].into_iter().flatten())
    }

    fn member_ids(&self) -> Result<Vec<String>, CallError> {
        self.listed([self.of_project()].into_iter())
    }

    fn inspect(&self, ids: &[String]) -> Result<Vec<Container>, CallError> {
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

    fn signal(&self, id: &str, signal: &str) -> Result<(), CallError> {
        self.on_ids(&["kill", "--signal", signal], &[id.to_owned()], self.quick())
    }

    fn processes(&self, id: &str) -> Result<Vec<Process>, CallError> {
        let call = self.call(["top", id, "-eo", "pid,ppid,comm"], self.quick());
        Ok(read_processes(&self.runner.run(&call)?))
    }

    fn networks(&self, ids: &[String]) -> Result<Vec<Network>, CallError> {
        self.inspect_networks(ids)
    }

    fn image_ids(&self, references: &[String]) -> Result<BTreeMap<String, String>, CallError> {
        Ok(self.local_images(references)?.into_iter().map(|(name, image)| (name, image.id)).collect())
    }

    fn config_hashes(&self, services: &[String]) -> Result<BTreeMap<String, String>, CallError> {
        self.hashes(services)
    }

    fn up(&self, options: &UpOptions) -> Result<(), CallError> {
        self.up_service(options)
    }

    fn start(&self, ids: &[String]) -> Result<(), CallError> {
        self.on_ids(&["start"], ids, self.quick())
    }

    fn stop(&self, ids: &[String], timeout: Option<i64>, longest: Duration) -> Result<(), CallError> {
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

    fn remove(&self, ids: &[String], with_volumes: bool) -> Result<(), CallError> {
        let verb: &[&str] = if with_volumes { &["rm", "-v"] } else { &["rm"] };
        self.on_ids(verb, ids, self.quick()).or_else(|error| match &error.problem {
            // An engine that left in the middle of it has done so by then.
            Problem::Failed { stderr, .. } if only_missing(stderr, "No such container") => Ok(()),
            _ => Err(error),
        })
    }

    fn set_restart(&self, ids: &[String], policy: &str) -> Result<(), CallError> {
        self.on_ids(&["update", &format!("--restart={policy}")], ids, self.quick())
    }

    fn rename(&self, id: &str, name: &str) -> Result<(), CallError> {
        self.runner.run(&self.call(["rename", id, name], self.quick())).map(drop)
    }

    fn log_tail(&self, id: &str, lines: usize) -> Vec<String> {
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

    fn exec_hook(&self, id: &str, hook: &Hook, limit: Option<Duration>) -> Result<(), CallError> {
        let mut args = vec!["exec".to_owned()];
        for (flag, value) in [("--user", &hook.user), ("--workdir", &hook.working_dir)] {
            args.extend(value.iter().flat_map(|value| [flag.to_owned(), value.clone()]));
        }
        if hook.privileged {
            args.push("--privileged".to_owned());
        }
        let env = hook_environment(hook, &mut args);
        args.push(id.to_owned());
        args.extend(hook.command.iter().cloned());
        let mut call = self.call(args, limit.unwrap_or(self.slow()));
        call.shown = Some(format!("docker exec {} {}", short_id(id), program_of(hook)));
        call.env = env;
        call.once = true;
        self.runner.run(&call).map(drop)
    }

    fn run_hook(&self, run: &HookRun) -> Result<(), CallError> {
        self.run_once(run)
    }

    fn running_hooks(&self, service: &str) -> Result<Vec<ContainerRef>, CallError> {
        let project = self.of_project();
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

    fn await_hooks(&self, ids: &[String], signaled: bool) -> Result<(), CallError> {
        let args = ["wait"].into_iter().chain(ids.iter().map(String::as_str));
        let call = match signaled {
            true => Call { deadline: HOOKS_END, ..self.last_call(args) },
            false => Call { cancellable: true, ..self.call(args, ENDLESS) },
        };
        self.runner.run(&call).map(drop)
    }

    fn exec_shell(&self, id: &str, script: &str, args: &[&str]) -> Result<String, CallError> {
        let words = ["exec", id, "sh", "-c", script, "zdd"].into_iter().chain(args.iter().copied());
        let mut call = self.call(words, self.quick());
        call.shown = Some(format!("docker exec {} sh", short_id(id)));
        // What it says itself may sound as if the engine had left.
        call.once = true;
        self.runner.run(&call)
    }

    fn keep_shell(&self, id: &str, script: &str, args: &[&str]) -> Result<Attached, CallError> {
        let words = ["exec", "-i", id, "sh", "-c", script, "zdd"].into_iter().chain(args.iter().copied());
        self.attach(&words.map(str::to_owned).collect::<Vec<_>>())
    }

    fn stand_by(&self, service: &str, order: Option<Order>) {
        let told = Told { service: service.to_owned(), order };
        self.watchdog.tell(&told, || watchdog::begin(&self.globals, self.project()));
    }
}

impl Docker {
    fn of_project(&self) -> String {
        format!("label={PROJECT_LABEL}={}", self.project())
    }

    fn listed(&self, filters: impl Iterator<Item = String>) -> Result<Vec<String>, CallError> {
        let filters = filters.flat_map(|filter| ["--filter".to_owned(), filter]);
        let args = ["ps", "-aq", "--no-trunc"].map(str::to_owned).into_iter().chain(filters);
        let call = self.call(args, self.quick());
        let text = self.runner.run(&call)?;
        // Whatever is not in such a list counts as new later, and may be removed.
        match text.lines().all(is_id) {
            true => Ok(text.lines().map(str::to_owned).collect()),
            false => Err(garbage(&call, "lines other than container IDs")),
        }
    }

    /// Starts a program that stays, and is spoken to.
    pub fn attach(&self, words: &[String]) -> Result<Attached, CallError> {
        let call = Call { last: true, ..self.call(words, self.quick()) };
        Attached::start(&self.runner, &call)
    }

    /// Creates a container that is not started yet, on these networks, and returns its ID.
    ///
    /// # Errors
    /// It cannot be created; nothing is left of it.
    pub fn create(&self, words: &[String], networks: &[Joined]) -> Result<String, CallError> {
        let first = networks.first().map(|network| network.flags("--network", "--network-alias"));
        let args = ["create".to_owned()].into_iter().chain(first.into_iter().flatten());
        let call = self.call(args.chain(words.iter().cloned()), self.slow());
        let id = self.runner.run(&call)?.trim().to_owned();
        if !is_id(&id) {
            return Err(garbage(&call, "something else than a container's ID"));
        }
        // From Engine 25 on all can be given at once; before, only the first.
        for network in networks.iter().skip(1) {
            let aliases = network.aliases.iter().flat_map(|alias| ["--alias".to_owned(), alias.clone()]);
            let words = ["network".to_owned(), "connect".to_owned()].into_iter().chain(aliases);
            let call = self.call(words.chain([network.name.clone(), id.clone()]), self.quick());
            if let Err(error) = self.runner.run(&call) {
                let _ = self.on_ids(&["rm", "--force"], &[id], self.quick());
                return Err(error);
            }
        }
        Ok(id)
    }

    /// Removes the containers with a label, `KEY=VALUE`, that were never started.
    pub fn remove_unstarted(&self, label: &str) -> Result<(), CallError> {
        let (label, status) = (format!("label={label}"), "status=created");
        let args = ["ps", "-aq", "--no-trunc", "--filter", &label, "--filter", status];
        let found = self.runner.run(&self.call(args, self.quick()))?;
        let ids: Vec<_> = found.lines().map(str::to_owned).collect();
        self.on_ids(&["rm"], &ids, self.quick())
    }

    /// Rings for every event that can change a container's fitness, until the listener is dropped.
    pub fn listen(&self, on_event: impl Fn() + Send + 'static) -> Result<Listener, CallError> {
        let project = self.of_project();
        let events = EVENTS.iter().map(|event| format!("event={event}"));
        let filters = ["type=container".to_owned(), project].into_iter().chain(events);
        self.listen_for("{{.ID}} {{.Status}}", filters, on_event)
    }

    /// Rings when a container joins or leaves a network, until the listener is dropped.
    pub fn listen_to_networks(&self, on_event: impl Fn() + Send + 'static) -> Result<Listener, CallError> {
        let filters = ["type=network", "event=connect", "event=disconnect"].map(str::to_owned);
        self.listen_for("{{.Action}}", filters.into_iter(), on_event)
    }

    /// Rings when a volume of this name is made or removed, until the listener is dropped.
    pub fn listen_to_volume(
        &self,
        name: &str,
        on_event: impl Fn() + Send + 'static,
    ) -> Result<Listener, CallError> {
        let volume = format!("volume={name}");
        let filters = ["type=volume", &volume, "event=create", "event=destroy"].map(str::to_owned);
        self.listen_for("{{.Action}}", filters.into_iter(), on_event)
    }

    fn listen_for(
        &self,
        format: &str,
        filters: impl Iterator<Item = String>,
        on_event: impl Fn() + Send + 'static,
    ) -> Result<Listener, CallError> {
        let head = ["events", "--format", format].map(str::to_owned).into_iter();
        let args = head.chain(filters.flat_map(|filter| ["--filter".to_owned(), filter]));
        Listener::start(&self.runner, &self.call(args, self.quick()), on_event)
    }

    /// Sends a signal to the containers that run with a label, `KEY=VALUE`. One that ends meanwhile needs none.
    pub fn signal_labelled(&self, label: &str, signal: &str) -> Result<(), CallError> {
        let filter = format!("label={label}");
        let found =
            self.runner.run(&self.call(["ps", "-q", "--no-trunc", "--filter", &filter], self.quick()))?;
        let ids: Vec<_> = found.lines().map(str::to_owned).collect();
        let _ = self.on_ids(&["kill", "--signal", signal], &ids, self.quick());
        Ok(())
    }
}

/// A network that a new container is on, by its name, and what others call it there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Joined {
    pub name: String,
    pub aliases: Vec<String>,
}

impl Joined {
    fn flags(&self, network: &str, alias: &str) -> Vec<String> {
        let aliases = self.aliases.iter().flat_map(|name| [alias, name]);
        [network, &self.name].into_iter().chain(aliases).map(str::to_owned).collect()
    }
}

/// The engine's `ps` prints a title, then a line for each.
fn read_processes(text: &str) -> Vec<Process> {
    let process = |line: &str| {
        let mut words = line.split_whitespace();
        let (pid, parent, name) =
            (words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?.to_owned());
        Some(Process { pid, parent, name })
    };
    text.lines().filter_map(process).collect()
}
