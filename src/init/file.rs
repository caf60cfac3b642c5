//! The override file: a draft as text, and what an earlier run has written.
//!
//! `!reset` and `!override` are of Compose 2.24.4, `content` of 2.23.1, both older than the oldest that zdd works with.

use serde_yaml::{
    Mapping, Value,
    value::{Tag, TaggedValue},
};

use super::{Change, Draft, Front, Kind};
use crate::project::Project;

const BEGIN: &str = "# Written by \"docker zdd init --proxy ";
const MARK: &str = "# Mark: ";
/// Changes when the proxy's configuration does: for Compose a config's content is no change.
const LABEL: &str = "io.zdd.init";
/// Another registry's copy of the image, or another version.
const IMAGE_VARIABLE: &str = "ZDD_PROXY_IMAGE";

/// What an earlier run has written.
#[derive(Debug, PartialEq, Eq)]
pub struct Made {
    pub proxy: Kind,
    pub services: Vec<String>,
    /// Somebody has changed it since.
    pub edited: bool,
}

/// Reads the head of a file; `None` when it is somebody else's.
pub fn made(text: &str) -> Option<Made> {
    let (head, rest) = text.strip_prefix(BEGIN)?.split_once('\n')?;
    let mut words = head.split('"').next()?.split(' ');
    let proxy = Kind::of_word(words.next()?)?;
    let services = words.map(str::to_owned).collect();
    let body = rest.split_once(MARK).and_then(|(_, rest)| rest.split_once('\n'));
    let edited = body.is_none_or(|(mark, body)| mark != digest(body));
    Some(Made { proxy, services, edited })
}

/// The file, or nothing when nothing is to be said.
pub fn text(project: &Project, draft: &Draft, proxy: Kind) -> Option<String> {
    if draft.changes.is_empty() {
        return None;
    }
    let names = draft.services().join(" ");
    let body = serde_yaml::to_string(&document(project, draft, proxy)).unwrap_or_default();
    let what = "# Not to be edited: run that again instead. To have things as they were, remove the file.";
    let mark = digest(&body);
    Some(format!("{BEGIN}{} {names}\".\n{what}\n{MARK}{mark}\n{body}", proxy.word()))
}

/// FNV-1a: it tells whether a text was changed, by somebody who does not mean to hide it.
fn digest(text: &str) -> String {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}

fn document(project: &Project, draft: &Draft, proxy: Kind) -> Value {
    let mut services: Mapping = draft
        .changes
        .iter()
        .map(|change| (change.service.as_str().into(), service(project, change)))
        .collect();
    let fronts: Vec<&Front> = draft.fronts().collect();
    if fronts.is_empty() {
        return map([("services", services.into())]);
    }
    let name = proxy_name(project);
    let configuration = proxy.configuration(&fronts);
    services.insert(name.as_str().into(), proxy_service(project, &name, proxy, &fronts, &configuration));
    let content = map([("content", configuration.into())]);
    map([("services", services.into()), ("configs", map([(name.as_str(), content)]))])
}

fn service(project: &Project, change: &Change) -> Value {
    let mut lines = Mapping::new();
    if change.drops_name {
        lines.insert("container_name".into(), tagged("reset", Value::Null));
    }
    if !change.fronts.is_empty() {
        lines.insert("ports".into(), ports(project, change));
    }
    let networks = aliases(change);
    if !networks.is_empty() {
        lines.insert("networks".into(), networks.into());
    }
    if let Some(check) = change.check {
        let times = [("interval", "2s"), ("timeout", "5s"), ("retries", "3"), ("start_period", "30s")];
        lines.insert("healthcheck".into(), healthcheck(check.iter().map(|word| (*word).into()), &times));
    }
    if change.held {
        lines.insert("x-zdd".into(), settings(project, change));
    }
    lines.into()
}

/// With those that are written: older Composes (2.31, tried) take the last of two such keys as it is.
fn settings(project: &Project, change: &Change) -> Value {
    let written = project.document.service(&change.service).and_then(|service| service.get("x-zdd"));
    let mut all: Mapping =
        written.and_then(|keys| serde_yaml::to_value(keys).ok()).and_then(as_map).unwrap_or_default();
    all.insert("strategy".into(), "held".into());
    all.into()
}

fn as_map(value: Value) -> Option<Mapping> {
    match value {
        Value::Mapping(map) => Some(map),
        _ => None,
    }
}

/// Those that the service keeps.
fn ports(project: &Project, change: &Change) -> Value {
    let written = project.document.service(&change.service).map(|service| &service["ports"]);
    let kept = change.kept.iter().filter_map(|place| serde_yaml::to_value(written?.get(place)?).ok());
    match change.kept.is_empty() {
        true => tagged("reset", Value::Sequence(vec![])),
        false => tagged("override", Value::Sequence(kept.collect())),
    }
}

/// Network → the names that the service gets there.
fn aliases(change: &Change) -> Mapping {
    let mut all: Vec<(&str, &str)> = vec![];
    if let Some(alias) = &change.alias {
        all.extend(alias.networks.iter().map(|network| (network.as_str(), alias.name.as_str())));
    }
    let own_name = change.fronts.iter().find(|front| front.host != front.service);
    all.extend(own_name.map(|front| (front.network.as_str(), front.host.as_str())));
    let mut networks = Mapping::new();
    for (network, _) in &all {
        let names = all.iter().filter(|(other, _)| other == network).map(|(_, name)| Value::from(*name));
        networks.insert((*network).into(), map([("aliases", names.collect())]));
    }
    networks
}

fn proxy_service(
    project: &Project,
    name: &str,
    proxy: Kind,
    fronts: &[&Front],
    configuration: &str,
) -> Value {
    let mut lines = Mapping::new();
    let mut line = |key: &str, value: Value| drop(lines.insert(key.into(), value));
    line("image", format!("${{{IMAGE_VARIABLE}:-{}}}", proxy.image()).into());
    let command = proxy.command(fronts);
    if !command.is_empty() {
        line("command", command.into_iter().map(Value::from).collect());
    }
    line("restart", "unless-stopped".into());
    line(
        "ports",
        fronts.iter().map(|front| Value::from(format!("{}:{}", front.published, front.listen))).collect(),
    );
    line(
        "networks",
        distinct(fronts.iter().map(|front| front.network.as_str())).into_iter().map(Value::from).collect(),
    );
    let profiles = Profiles::of(project, fronts);
    line("depends_on", profiles.depends_on(fronts));
    if let Some(common) = profiles.common() {
        line("profiles", common.iter().map(|profile| Value::from(profile.as_str())).collect());
    }
    let config = map([("source", name.into()), ("target", proxy.place().into())]);
    line("configs", Value::Sequence(vec![config]));
    line("labels", map([(LABEL, digest(configuration).into())]));
    let times = [("interval", "2s"), ("timeout", "5s"), ("retries", "3"), ("start_period", "10s")];
    line("healthcheck", healthcheck(proxy.check().into_iter().map(Value::from), &times));
    lines.into()
}

/// In which profiles the services are that it stands in front of.
struct Profiles<'a>(Vec<&'a [String]>);

impl<'a> Profiles<'a> {
    fn of(project: &'a Project, fronts: &[&Front]) -> Profiles<'a> {
        let of = |front: &&Front| project.file.services[&front.service].profiles.as_slice();
        Profiles(fronts.iter().map(of).collect())
    }

    /// It is in them as well.
    fn common(&self) -> Option<&'a [String]> {
        let first = self.0.first().filter(|first| !first.is_empty())?;
        self.0.iter().all(|profiles| profiles == first).then_some(first)
    }

    /// Each has to give its port away before the proxy can have it.
    fn depends_on(&self, fronts: &[&Front]) -> Value {
        let started = ("condition", Value::from("service_started"));
        let on = |service: &str| {
            let place = fronts.iter().position(|front| front.service == service).unwrap_or_default();
            let is_there = self.0[place].is_empty() || self.common().is_some();
            match is_there {
                true => map([started.clone()]),
                false => map([started.clone(), ("required", false.into())]),
            }
        };
        let services = distinct(fronts.iter().map(|front| front.service.as_str()));
        Value::Mapping(services.into_iter().map(|service| (service.into(), on(service))).collect())
    }
}

/// One that no service of the project has.
fn proxy_name(project: &Project) -> String {
    let names = std::iter::once("zdd-proxy".to_owned()).chain((2..).map(|n| format!("zdd-proxy-{n}")));
    let is_free = |name: &String| !project.file.services.contains_key(name);
    names.into_iter().find(is_free).unwrap_or_default()
}

fn healthcheck(test: impl Iterator<Item = Value>, times: &[(&str, &str)]) -> Value {
    let mut lines = Mapping::new();
    lines.insert("test".into(), test.collect());
    for (key, value) in times {
        lines.insert((*key).into(), value.parse::<u64>().map_or_else(|_| (*value).into(), Value::from));
    }
    lines.into()
}

/// In the order in which they come first.
fn distinct<'a>(words: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    words.fold(vec![], |mut all, word| {
        if !all.contains(&word) {
            all.push(word);
        }
        all
    })
}

fn tagged(tag: &str, value: Value) -> Value {
    Value::Tagged(Box::new(TaggedValue { tag: Tag::new(tag), value }))
}

fn map<const N: usize>(pairs: [(&str, Value); N]) -> Value {
    Value::Mapping(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect())
}
