//! One service after the other, and what they use.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{
    Misfit, Options, Stack, StackService,
    deploy::STARTS_AGAIN,
    kept, keys, networks,
    template::literal,
    walk::{Walk, is_nothing},
};
use crate::{
    engine::config::undollar,
    project::{Condition, Dependency, Document, PRE_STOP_LABEL, Settings},
    text::{join, verb},
};

/// Swarm's limit: the name of a service is a part of a name in DNS.
const LONGEST_NAME: usize = 63;
/// What is added to the name of what runs to its end, at its longest.
const JOB: &str = "-zdd-r99999";
const HOOK: &str = "-pre-start-9-zdd-r99999";

/// A service on its way.
pub(super) struct Draft<'a> {
    pub project: &'a str,
    pub name: &'a str,
    /// As Compose printed it.
    pub raw: &'a Value,
    pub settings: Settings,
    pub walk: Walk<'a>,
    pub body: Map<String, Value>,
    /// Networks beside those of the file: that of the node itself.
    pub network_of_node: Option<String>,
}

/// All of it, or all that is in the way.
pub(super) fn stack(document: &Document, options: &Options) -> Result<Stack, Vec<Misfit>> {
    let mut stack = Stack { name: undollar(document.name()), ..Stack::default() };
    let mut misfits = unknown_at_top(document);
    for (name, raw) in document.services() {
        let (service, found) = service(name, raw, document, options, &mut stack);
        misfits.extend(found);
        stack.services.insert(name.clone(), service);
    }
    misfits.extend(networks::define(document, &mut stack));
    misfits.extend(define_volumes(document, &mut stack));
    misfits.extend(kept::define(document, options, &mut stack));
    if !misfits.is_empty() {
        return Err(misfits);
    }
    let hashed = |service: StackService, stack: &Stack| {
        let pre_start = service.pre_start.iter().map(|hook| hook.clone().hashed(stack)).collect();
        StackService { pre_start, ..service }.hashed(stack)
    };
    let services = std::mem::take(&mut stack.services);
    let services = services.into_iter().map(|(name, service)| (name, hashed(service, &stack))).collect();
    Ok(Stack { services, ..stack })
}

fn unknown_at_top(document: &Document) -> Vec<Misfit> {
    let mut walk = Walk::new(&keys::TOP, None, &[]);
    let keys = document.resources().map(|(key, _)| (key.clone(), json!({})));
    walk.mapping(&Value::Object(keys.collect()));
    walk.misfits
}

fn service(
    name: &str,
    raw: &Value,
    document: &Document,
    options: &Options,
    stack: &mut Stack,
) -> (StackService, Vec<Misfit>) {
    let mut draft = Draft::new(document.name(), name, raw, options);
    draft.images();
    draft.hook_in_a_label();
    let (body, mode) = draft.convert();
    let is_job = mode.is_job || is_awaited(name, document);
    let pre_start = draft.hooks(options);
    draft.check_name(match (pre_start.is_empty(), is_job) {
        (false, _) => HOOK,
        (true, true) => JOB,
        (true, false) => "",
    });
    let after = draft.dependencies();
    stack.networks.extend(draft.network_of_node.iter().map(|name| (name.clone(), networks::of_node())));
    let service = StackService {
        notes: std::mem::take(&mut draft.walk.notes),
        after,
        job: is_job,
        mode: mode.mode,
        replicas: options.scale.get(name).copied().or(mode.replicas).or(is_job.then_some(1)),
        paced: draft.is_paced(),
        order: draft.order(),
        pre_start,
        body,
        ..StackService::default()
    };
    (service.unless_it_runs_on(), draft.walk.misfits)
}

/// Another service waits for its end.
fn is_awaited(name: &str, document: &Document) -> bool {
    let condition =
        |other: &Value| other["depends_on"][name]["condition"] == "service_completed_successfully";
    document.services().any(|(_, other)| condition(other))
}

impl StackService {
    /// A job that nobody wrote a policy for would be started again and again.
    fn unless_it_runs_on(mut self) -> StackService {
        if self.job
            && let Some(deploy) = self.body.get_mut("deploy").and_then(Value::as_object_mut)
            && deploy.get("restart_policy").is_none_or(|policy| policy["condition"] == "any")
        {
            deploy.insert("restart_policy".to_owned(), json!({"condition": "none"}));
        }
        if self.job {
            self.notes.retain(|note| note != STARTS_AGAIN);
        }
        self
    }
}

impl<'a> Draft<'a> {
    pub fn new(project: &'a str, name: &'a str, raw: &'a Value, options: &'a Options) -> Draft<'a> {
        let mut walk = Walk::new(&keys::SERVICE, Some(name), &["services", name]);
        walk.without = options.without.get(name);
        let settings = options.settings.get(name).cloned().unwrap_or_default();
        Draft { project, name, raw, settings, walk, body: Map::new(), network_of_node: None }
    }

    /// Everything but what stands before and beside the service.
    pub fn convert(&mut self) -> (Map<String, Value>, super::deploy::Written) {
        self.body = self.walk.mapping(self.raw);
        self.commands();
        self.healthcheck();
        self.hosts();
        self.templates();
        self.networking();
        self.mounting();
        self.referring();
        let written = self.deploying();
        (std::mem::take(&mut self.body), written)
    }

    fn check_name(&mut self, more: &str) {
        let full = format!("{}_{}", self.project, self.name);
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let good = full.chars().all(word) && !full.ends_with(['-', '_']);
        if !good {
            let why = "its name: Swarm takes letters and digits, and - and _ between them";
            self.misfit_of_itself(why, "rename the service");
        } else if full.len() + more.len() > LONGEST_NAME {
            let most = LONGEST_NAME - more.len();
            let why =
                format!("its name: \"{full}\" has {} characters, and here Swarm takes {most}", full.len());
            self.misfit_of_itself(&why, "choose a shorter one, for the service or for the project");
        }
    }

    fn misfit_of_itself(&mut self, message: &str, instead: &str) {
        let key = ["services", self.name].map(str::to_owned).to_vec();
        let (message, instead) = (message.to_owned(), instead.to_owned());
        self.walk.misfits.push(Misfit { service: Some(self.name.to_owned()), key, message, instead });
    }

    fn images(&mut self) {
        let image = self.raw["image"].as_str().unwrap_or_default();
        // Of a provider something else is said.
        let has_none = image.is_empty() && is_nothing(&self.raw["provider"]);
        let is_id = image.starts_with("sha256:");
        if has_none || is_id {
            let key = if is_nothing(&self.raw["build"]) { "image" } else { "build" };
            let message = match is_id {
                true => "image: the ID of an image means nothing to another node".to_owned(),
                false => format!(
                    "{key}: the nodes of a swarm get an image from a registry, and it has no name there"
                ),
            };
            let instead = "name it with its registry, as in \"image: registry.example/shop/web:1.0\"";
            self.walk.misfit(key, &message, instead);
        }
    }

    /// Users of docker-rollout write a hook there.
    fn hook_in_a_label(&mut self) {
        if self.raw["labels"][PRE_STOP_LABEL].is_null() {
            return;
        }
        if self.walk.without.is_some_and(|keys| keys.contains("pre_stop")) {
            return self.walk.note("it runs without pre_stop, as x-zdd.swarm.without says".to_owned());
        }
        let message =
            format!("labels.{PRE_STOP_LABEL}: nobody can run a command in a container on another node");
        let instead = "handle SIGTERM in the program, or write x-zdd: {swarm: {without: [pre_stop]}}";
        self.walk.misfit("labels", &message, instead);
    }

    /// An empty list clears what the image has; to Swarm it is the same as none.
    fn commands(&mut self) {
        let (entrypoint, command) = (self.raw["entrypoint"].clone(), self.raw["command"].clone());
        let is_empty = |value: &Value| !value.is_null() && is_nothing(value);
        let written = |value: &Value| !is_nothing(value);
        match (&entrypoint, &command) {
            // What runs is the command itself.
            (entrypoint, command) if is_empty(entrypoint) && written(command) => {
                self.body.insert("entrypoint".to_owned(), command.clone());
                return;
            }
            (entrypoint, _) if is_empty(entrypoint) => self.cleared("entrypoint"),
            // With an entrypoint of the file the image's command does not count in any case.
            (entrypoint, command) if is_empty(command) && !written(entrypoint) => self.cleared("command"),
            _ => {}
        }
        for (key, value) in [("entrypoint", entrypoint), ("command", command)] {
            if written(&value) {
                self.body.insert(key.to_owned(), value);
            }
        }
    }

    fn cleared(&mut self, key: &str) {
        let message =
            format!("{key}: an empty one clears the image's, and to Swarm it is as if it were not written");
        self.walk.misfit(key, &message, "write the whole command as entrypoint");
    }

    /// The Docker CLI refuses a test that is switched off.
    fn healthcheck(&mut self) {
        let Some(check) = self.body.get_mut("healthcheck") else { return };
        let is_off = check["disable"] == true;
        let Some(check) = check.as_object_mut() else { return };
        check.retain(|key, value| {
            let is_test = key == "test" && is_off;
            !is_test && !key.starts_with("x-") && !value.is_null() && value != false
        });
    }

    /// Compose prints `name=address`, of which older versions of the Docker CLI make nothing.
    fn hosts(&mut self) {
        let hosts = self.raw["extra_hosts"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let hosts: Vec<_> = hosts.map(|host| json!(host.replacen('=', ":", 1))).collect();
        if !hosts.is_empty() {
            self.body.insert("extra_hosts".to_owned(), Value::Array(hosts));
        }
    }

    /// Swarm takes `{{…}}` in some values for a template.
    fn templates(&mut self) {
        let mut meant = BTreeSet::new();
        let environment = self.body.get_mut("environment").and_then(Value::as_object_mut);
        for (key, value) in environment.into_iter().flatten() {
            if literal(value) {
                meant.insert(format!("environment.{key}"));
            }
        }
        if self.body.get_mut("hostname").is_some_and(literal) {
            meant.insert("hostname".to_owned());
        }
        for mount in self.body.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten() {
            for key in ["source", "target"] {
                if mount.get_mut(key).is_some_and(literal) {
                    meant.insert(format!("volumes.{key}"));
                }
            }
        }
        if !meant.is_empty() {
            let keys: Vec<_> = meant.into_iter().collect();
            self.walk.note(format!("Swarm fills in what stands in {{{{ }}}} in {}", join(&keys)));
        }
    }

    /// Refuses what a part of the file has that is carried over by code of its own.
    pub(super) fn known_keys(&mut self, place: &str, value: &Value, known: &[impl AsRef<str>]) {
        for (key, value) in value.as_object().into_iter().flatten() {
            let is_known = key.starts_with("x-") || known.iter().any(|known| known.as_ref() == key);
            if !is_known && !value.is_null() {
                let message = format!("{place}.{key}: docker zdd does not know what Swarm would make of it");
                self.walk.misfit(place, &message, "remove it");
            }
        }
    }

    fn dependencies(&mut self) -> Vec<Dependency> {
        for (_, on) in self.raw["depends_on"].as_object().into_iter().flatten() {
            self.known_keys("depends_on", on, &["condition", "required", "restart"]);
        }
        let written = self.raw["depends_on"].as_object().into_iter().flatten();
        let mut after: Vec<_> = written.map(|(service, on)| dependency(service, on)).collect();
        let written = self.raw["depends_on"].as_object().into_iter().flatten();
        // Compose writes it for a link too.
        let is_linked = |name: &String| {
            let links = self.raw["links"].as_array().into_iter().flatten().filter_map(Value::as_str);
            links.filter_map(|link| link.split(':').next()).any(|service| service == name)
        };
        let restarts = written.filter(|(name, on)| on["restart"] == true && !is_linked(name));
        let restarts: Vec<_> = restarts.map(|(name, _)| name).collect();
        if !restarts.is_empty() {
            self.walk.note(format!("it is not restarted when {} replaced", verb(&restarts, "is", "are")));
        }
        for link in self.raw["links"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let (service, alias) = link.split_once(':').unwrap_or((link, link));
            if service != alias {
                let message = format!(
                    "links \"{link}\": Swarm has no links, so that nothing would be found as \"{alias}\""
                );
                let instead = format!(
                    "remove the link, and write \"aliases: [{alias}]\" under the network in {service}"
                );
                self.walk.misfit("links", &message, &instead);
            }
            if !after.iter().any(|on| on.service == service) {
                after.push(dependency(service, &Value::Null));
            }
        }
        after
    }
}

fn dependency(service: &str, on: &Value) -> Dependency {
    Dependency {
        service: service.to_owned(),
        condition: match on["condition"].as_str() {
            Some("service_healthy") => Condition::Healthy,
            Some("service_completed_successfully") => Condition::Completed,
            _ => Condition::Started,
        },
        required: on["required"] != false,
    }
}

fn define_volumes(document: &Document, stack: &mut Stack) -> Vec<Misfit> {
    let used: BTreeSet<_> = stack.services.values().flat_map(StackService::all_volumes).collect();
    let mut misfits = Vec::new();
    let mut known: BTreeMap<String, Value> = BTreeMap::new();
    for key in used {
        let raw = document.resource("volumes", &key);
        let mut walk = Walk::new(&keys::VOLUME, None, &["volumes", &key]);
        let mut volume = Value::Object(walk.mapping(raw));
        for inner in ["driver_opts", "labels"] {
            for (_, value) in volume.get_mut(inner).and_then(Value::as_object_mut).into_iter().flatten() {
                literal(value);
            }
        }
        misfits.extend(walk.misfits);
        known.insert(key, volume);
    }
    stack.volumes = known;
    misfits
}

impl StackService {
    fn all_volumes(&self) -> Vec<String> {
        self.pre_start.iter().flat_map(StackService::volumes).chain(self.volumes()).collect()
    }

    pub(super) fn all_networks(&self) -> Vec<String> {
        self.pre_start.iter().flat_map(StackService::networks).chain(self.networks()).collect()
    }

    pub(super) fn all_references(&self, section: &str) -> Vec<String> {
        let hooks = self.pre_start.iter().flat_map(|hook| hook.references(section));
        hooks.chain(self.references(section)).collect()
    }
}
