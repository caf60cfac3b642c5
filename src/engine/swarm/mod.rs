//! Calls about Docker Swarm, and what a manager answers, as raw data.

mod digests;
mod kept;
mod read;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::Value;

pub use self::{
    kept::{Kept, KeptKind, NewKept},
    read::{Node, Service, Swarm, Task, Update, decoded, read_nodes, read_services, read_swarm, read_tasks},
};
use super::{CallError, Docker, Listener, Problem, garbage, mask};

/// The label by which `docker stack` finds what belongs to a stack.
pub const STACK_LABEL: &str = "com.docker.stack.namespace";
/// A manager answers at once or is lost: another one may answer then.
const ONE_CALL: Duration = Duration::from_secs(10);
/// What can change what is watched: a state of an update, a count, or the availability of a node.
const EVENTS: [&str; 2] = ["type=service", "type=node"];

impl Docker {
    /// The same, where no call waits longer than it is worth while there are other managers.
    pub fn of_swarm(&self) -> Docker {
        Docker { timeout: self.timeout.min(ONE_CALL), ..self.clone() }
    }

    /// The same client, another manager.
    pub fn with_context(&self, context: &str) -> Docker {
        let globals = without_endpoint(&self.globals).chain(["--context".into(), context.into()]).collect();
        Docker { globals, ..self.clone() }
    }

    /// The context that the command line names.
    pub fn context(&self) -> Option<&str> {
        let mut flags = self.globals.iter().filter_map(|flag| flag.to_str());
        flags.find(|flag| matches!(*flag, "--context" | "-c"))?;
        flags.next()
    }

    pub fn swarm(&self) -> Result<Swarm, CallError> {
        let call = self.call(["info", "--format", "{{json .Swarm}}"], self.quick());
        let answer = self.runner.answer(&call)?;
        // `docker info` of an engine that does not answer prints what the client knows, and fails with 1 (28.2.2).
        match answer.code {
            0 => read_swarm(&answer.stdout).map_err(|error| garbage(&call, format!("{error:#}"))),
            _ => Err(self.runner.failed(&call, &answer)),
        }
    }

    /// The services of a stack.
    pub fn services(&self, stack: &str) -> Result<Vec<Service>, CallError> {
        let filter = format!("label={STACK_LABEL}={stack}");
        let call = self.call(["service", "ls", "--quiet", "--filter", &filter], self.quick());
        let text = self.runner.run(&call)?;
        self.services_named(&text.lines().map(str::to_owned).collect::<Vec<_>>())
    }

    /// What this label says of the stack's networks that have it, by their names.
    pub fn network_labels(&self, stack: &str, label: &str) -> Result<BTreeMap<String, String>, CallError> {
        let (stack, has) = (format!("label={STACK_LABEL}={stack}"), format!("label={label}"));
        let format = format!("{{{{.Name}}}} {{{{.Label \"{label}\"}}}}");
        let args = ["network", "ls", "--filter", &stack, "--filter", &has, "--format", &format];
        let text = self.runner.run(&self.call(args, self.quick()))?;
        let pairs = text.lines().filter_map(|line| line.split_once(' '));
        Ok(pairs.map(|(name, label)| (name.to_owned(), label.trim().to_owned())).collect())
    }

    /// The services of these names or IDs. One that is not there is left out.
    pub fn services_named(&self, names: &[String]) -> Result<Vec<Service>, CallError> {
        self.inspect_all(&["service", "inspect"], names, read_services)
    }

    /// The last tasks of each slot of these services, or only those that are of the present definition.
    pub fn tasks(&self, services: &[String], up_to_date: bool) -> Result<Vec<Task>, CallError> {
        if services.is_empty() {
            return Ok(vec![]);
        }
        let filter: &[&str] = if up_to_date { &["--filter", "_up-to-date=true"] } else { &[] };
        let args = ["service", "ps", "--no-trunc", "--format", "{{json .}}"].into_iter();
        let args = args.chain(filter.iter().copied()).chain(services.iter().map(String::as_str));
        let call = self.call(args, self.quick());
        let answer = self.runner.answer(&call)?;
        if answer.code != 0 && !is_missing(&answer.stderr) {
            return Err(self.runner.failed(&call, &answer));
        }
        read_tasks(&answer.stdout).map_err(|error| garbage(&call, format!("{error:#}")))
    }

    /// All that a manager knows of a task; `None` when it is forgotten.
    pub fn task(&self, id: &str) -> Result<Option<Value>, CallError> {
        let read = |text: &str| Ok(serde_json::from_str::<Vec<Value>>(text)?);
        Ok(self.inspect_all(&["inspect", "--type", "task"], &[id.to_owned()], read)?.pop())
    }

    pub fn nodes(&self) -> Result<Vec<Node>, CallError> {
        let text = self.runner.run(&self.call(["node", "ls", "--quiet"], self.quick()))?;
        let ids: Vec<_> = text.lines().map(str::to_owned).collect();
        self.inspect_all(&["node", "inspect"], &ids, read_nodes)
    }

    /// The last lines that a task wrote, oldest first. Empty where nobody can say.
    pub fn task_log(&self, id: &str, lines: usize) -> Vec<String> {
        let call = self.call(["service", "logs", "--raw", "--tail", &lines.to_string(), id], self.quick());
        let answer = self.runner.answer(&call).ok().filter(|answer| answer.code == 0);
        let answer = answer.unwrap_or_default();
        let both = answer.stdout.lines().chain(answer.stderr.lines());
        let mut all: Vec<_> = both.map(|line| mask(line.trim_end())).collect();
        all.drain(..all.len().saturating_sub(lines));
        all
    }

    /// What the client's own schema says of a stack file. Nothing is asked of an engine.
    ///
    /// # Errors
    /// It is refused, in the client's own words.
    pub fn check_stack(&self, text: &str) -> Result<(), CallError> {
        self.with_text(["stack", "config", "--compose-file", "-"], text)
    }

    /// Creates or updates the services of this text. It returns when the manager has it, not when it is done.
    pub fn deploy_stack(&self, stack: &str, text: &str) -> Result<(), CallError> {
        // Whatever is not in the text stays as it is; an image is what the text says, whatever a registry says now.
        let flags = ["--resolve-image", "never", "--with-registry-auth", "--detach"];
        let args = ["stack", "deploy", "--compose-file", "-"].into_iter().chain(flags).chain([stack]);
        self.with_text(args, text)
    }

    /// The client makes several calls of the engine for it.
    fn with_text<'s>(&self, args: impl IntoIterator<Item = &'s str>, text: &str) -> Result<(), CallError> {
        let mut call = self.call(args, self.slow());
        call.stdin = Some(Arc::new(text.as_bytes().to_vec()));
        self.runner.run(&call).map(drop)
    }

    /// Puts the definition before the last one into force again, by Swarm's own way.
    pub fn roll_service_back(&self, name: &str) -> Result<(), CallError> {
        self.runner.run(&self.call(["service", "rollback", "--detach", name], self.quick())).map(drop)
    }

    /// Replaces all tasks with new ones of the same definition.
    pub fn force_service(&self, name: &str) -> Result<(), CallError> {
        let args = ["service", "update", "--force", "--detach", name];
        self.runner.run(&self.call(args, self.quick())).map(drop)
    }

    /// Removes those services that are there.
    pub fn remove_services(&self, names: &[String]) -> Result<(), CallError> {
        if names.is_empty() {
            return Ok(());
        }
        let args = ["service", "rm"].into_iter().chain(names.iter().map(String::as_str));
        let call = self.call(args, self.quick());
        let answer = self.runner.answer(&call)?;
        match answer.code == 0 || is_missing(&answer.stderr) {
            true => Ok(()),
            false => Err(self.runner.failed(&call, &answer)),
        }
    }

    /// Rings at whatever may be news of a service or a node.
    pub fn listen_to_swarm(&self, on_line: impl Fn() + Send + 'static) -> Result<Listener, CallError> {
        let filters = EVENTS.iter().flat_map(|filter| ["--filter", filter]);
        let call = self.call(["events", "--format", "."].into_iter().chain(filters), self.quick());
        Listener::start(&self.runner, &call, on_line)
    }

    /// What `inspect` says of these, those of them that are there.
    fn inspect_all<T>(
        &self,
        verb: &[&str],
        names: &[String],
        read: impl Fn(&str) -> anyhow::Result<Vec<T>>,
    ) -> Result<Vec<T>, CallError> {
        if names.is_empty() {
            return Ok(vec![]);
        }
        let call = self.call(verb.iter().copied().chain(names.iter().map(String::as_str)), self.quick());
        let answer = self.runner.answer(&call)?;
        // What is missing makes the exit code 1, but the others are printed all the same.
        if answer.code != 0 && !is_missing(&answer.stderr) {
            return Err(self.runner.failed(&call, &answer));
        }
        read(&answer.stdout).map_err(|error| garbage(&call, format!("{error:#}")))
    }
}

/// Whether nothing else went wrong than that some of the things asked for do not exist, in the words of the client or of
/// the engine.
fn is_missing(stderr: &str) -> bool {
    let said: Vec<_> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    let missing = |line: &&str| {
        let line = line.to_lowercase();
        let of_client = line.contains("context not found") || line.contains("failed to initialize");
        !of_client && (line.contains("no such") || line.ends_with("not found"))
    };
    !said.is_empty() && said.iter().all(missing)
}

/// Docker's flags but for those that say which engine is meant.
fn without_endpoint(globals: &[std::ffi::OsString]) -> impl Iterator<Item = std::ffi::OsString> {
    const WITH_VALUE: [&str; 7] = ["--context", "-c", "--host", "-H", "--tlscacert", "--tlscert", "--tlskey"];
    let mut kept = Vec::new();
    let mut flags = globals.iter();
    while let Some(flag) = flags.next() {
        let word = flag.to_string_lossy();
        if WITH_VALUE.contains(&&*word) {
            flags.next();
        } else if !word.starts_with("--tls") && !WITH_VALUE.iter().any(|f| word.starts_with(&format!("{f}=")))
        {
            kept.push(flag.clone());
        }
    }
    kept.into_iter()
}

impl CallError {
    /// A manager that cannot be reached, or that cannot answer for the swarm right now: another one may, or the same one
    /// in a moment.
    pub fn is_lost_contact(&self) -> bool {
        match &self.problem {
            Problem::Deadline(_) => true,
            Problem::Failed { stderr, .. } => LOST.iter().any(|words| stderr.contains(words)),
            _ => false,
        }
    }
}

/// In the words of the client, the engine and its raft (20.10 to 28.5).
const LOST: [&str; 17] = [
    "error during connect",
    "Cannot connect to the Docker daemon",
    "failed to connect to the docker API",
    "does not have a leader",
    "has no leader",
    "DeadlineExceeded",
    "deadline exceeded",
    "code = Unavailable",
    "connection refused",
    "connection reset",
    "i/o timeout",
    "no route to host",
    "request timed out",
    "raft: ",
    "the swarm manager is not available",
    // While its raft starts, and when it was demoted.
    "This node is not a swarm manager",
    "unexpected EOF",
];

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    #[test]
    fn another_manager_is_another_endpoint_alone() {
        let globals = "--context a --debug -H tcp://b --tlsverify --host=c -l warn";
        let globals: Vec<OsString> = globals.split(' ').map(OsString::from).collect();
        let kept: Vec<_> = without_endpoint(&globals).collect();
        assert_eq!(kept, ["--debug", "-l", "warn"]);
    }

    #[test]
    fn what_another_manager_may_answer_is_told_from_an_answer() {
        let is_lost = |stderr: &str| {
            let problem = Problem::Failed { code: 1, stderr: stderr.to_owned() };
            CallError { call: String::new(), problem }.is_lost_contact()
        };
        for lost in [
            "error during connect: Get \"http://10.99.0.11:2375/v1.41/info\": dial tcp: connect: refused",
            "Error response from daemon: rpc error: code = Unknown desc = The swarm does not have a leader. It's possible that too few managers are online.",
            "Error response from daemon: rpc error: code = DeadlineExceeded desc = context deadline exceeded",
        ] {
            assert!(is_lost(lost), "{lost}");
        }
        assert!(is_lost(
            "Error response from daemon: This node is not a swarm manager. Manager is being prepared or has trouble connecting to the cluster."
        ));
        for answer in ["Error: no such service: shop_app", "rpc error: code = AlreadyExists", ""] {
            assert!(!is_lost(answer), "{answer}");
        }
    }
}
