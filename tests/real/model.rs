//! A file of others, made to run here: as near to what they wrote as can be. What decides how a service is updated stays
//! (ports, volumes, names, networks, dependencies, replicas, labels, commands); where things lie on the host, what runs in
//! the containers and what a machine may lack changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_yaml::{Mapping, Value};
use zdd::project::{Project, Role, keeper_of_data};

use crate::stack::free_port;

/// What a service is, to those who count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    App,
    Data,
    Job,
}

pub fn kind(project: &Project, service: &str) -> Kind {
    match project.services[service].role {
        Role::Job | Role::MayEnd | Role::Provider => Kind::Job,
        Role::Serves if keeper_of_data(&project.file.services[service]).is_some() => Kind::Data,
        Role::Serves => Kind::App,
    }
}

/// A service as it runs here.
#[derive(Clone, Debug)]
pub struct Facts {
    pub name: String,
    pub kind: Kind,
    pub image: String,
    /// Ports on 127.0.0.1 that lead to it.
    pub published: Vec<u16>,
    /// A network that it is on, as the engine calls it, and the port on which it listens there.
    pub within: Option<(String, u16)>,
}

#[derive(Debug)]
pub struct Model {
    pub text: String,
    pub services: Vec<Facts>,
    pub external_networks: Vec<String>,
    pub external_volumes: Vec<String>,
}

/// Where a file is made to run.
pub struct Place<'a> {
    /// The new name of the project.
    pub project: &'a str,
    /// All that the host has to give lies in here.
    pub folder: &'a Path,
}

/// At most so many of a service's ports are asked.
const PORTS_ASKED: usize = 3;
/// Where one listens of which the file does not say it: on a port of its own, as several may live in one namespace.
const FIRST_PORT: u16 = 8000;
/// A probe costs a process of the engine's: rarer would only make the test longer, and more often the machine slower.
const PROBE_EVERY: &str = "2s";

/// `text` is what Compose has resolved.
pub fn adapt(text: &str, project: &Project, place: &Place) -> Model {
    let mut file: Mapping = serde_yaml::from_str(text).expect("YAML");
    let was = file["name"].as_str().expect("a name").to_owned();
    file.insert("name".into(), place.project.into());
    let mut host = Host { folder: place.folder, known: BTreeMap::new() };
    let (networks, external_networks) = named(&mut file, "networks", &was, place.project);
    let (_, external_volumes) = named(&mut file, "volumes", &was, place.project);
    for section in ["secrets", "configs"] {
        injected(&mut file, section, &mut host);
    }
    let moved = move_subnets(&mut file);
    let mut services = Vec::new();
    let all = file["services"].as_mapping_mut().expect("services");
    for (number, (name, service)) in all.iter_mut().enumerate() {
        let name = name.as_str().expect("a name").to_owned();
        let service = service.as_mapping_mut().expect("a service");
        let kind = kind(project, &name);
        drop_what_is_not_here(service);
        rename(service, place.project);
        move_addresses(service, &moved);
        host.move_binds(service);
        let published = publish(service);
        let ports = listens(service, FIRST_PORT + number as u16);
        run_stub(service, if kind == Kind::Job { &[] } else { &ports });
        let image = image(service, &name, place.project);
        let within = network(service, &networks).map(|network| (network, ports[0]));
        services.push(Facts { name, kind, image, published, within });
    }
    let text = serde_yaml::to_string(&file).expect("YAML");
    Model { text, services, external_networks, external_volumes }
}

/// Networks or volumes get names of this project's; what is external is made by the test. Gives what the engine calls
/// each, and those that are external.
fn named(
    file: &mut Mapping,
    section: &str,
    was: &str,
    project: &str,
) -> (BTreeMap<String, String>, Vec<String>) {
    let (mut names, mut external) = (BTreeMap::new(), Vec::new());
    let all = file.get_mut(section).and_then(Value::as_mapping_mut);
    for (key, one) in all.into_iter().flatten() {
        let key = key.as_str().expect("a name").to_owned();
        if one.is_null() {
            *one = Mapping::new().into();
        }
        let one = one.as_mapping_mut().expect("a mapping");
        // Of a driver that is not here, or of a folder of the host.
        one.remove("driver_opts");
        if one
            .get("driver")
            .and_then(Value::as_str)
            .is_some_and(|driver| !["local", "bridge"].contains(&driver))
        {
            one.remove("driver");
        }
        let name = one.get("name").and_then(Value::as_str).map(str::to_owned);
        let name = match name.filter(|name| *name != format!("{was}_{key}")) {
            Some(name) => format!("{project}-{name}"),
            None => format!("{project}_{key}"),
        };
        one.insert("name".into(), name.clone().into());
        if one.get("external").and_then(Value::as_bool) == Some(true) {
            external.push(name.clone());
        }
        names.insert(key, name);
    }
    (names, external)
}

/// Files behind secrets and configs that were not published get a stand-in.
fn injected(file: &mut Mapping, section: &str, host: &mut Host) {
    for (_, one) in file.get_mut(section).and_then(Value::as_mapping_mut).into_iter().flatten() {
        let Some(one) = one.as_mapping_mut() else { continue };
        one.remove("name");
        if let Some(path) = one.get("file").and_then(Value::as_str).map(str::to_owned) {
            one.insert("file".into(), host.file(&path).into());
        }
    }
}

/// Subnets that are written out lie in a range that the engine does not take by itself. Gives the first two numbers of
/// each before and after, by network.
fn move_subnets(file: &mut Mapping) -> BTreeMap<String, (String, String)> {
    let mut moved = BTreeMap::new();
    for (key, network) in file.get_mut("networks").and_then(Value::as_mapping_mut).into_iter().flatten() {
        let configs = network.get_mut("ipam").and_then(|ipam| ipam.get_mut("config"));
        for config in configs.and_then(Value::as_sequence_mut).into_iter().flatten() {
            let config = config.as_mapping_mut().expect("a mapping");
            let subnet = config.get("subnet").and_then(Value::as_str).unwrap_or_default();
            let parts: Vec<_> = subnet.splitn(3, '.').collect();
            let [a, b, _] = parts[..] else { continue };
            let (old, new) = (format!("{a}.{b}."), format!("10.{}.", 213 + moved.len()));
            for (_, value) in config.iter_mut() {
                if let Some(rest) = value.as_str().and_then(|text| text.strip_prefix(&old)) {
                    *value = format!("{new}{rest}").into();
                }
            }
            moved.insert(key.as_str().expect("a name").to_owned(), (old, new));
        }
    }
    moved
}

fn move_addresses(service: &mut Mapping, moved: &BTreeMap<String, (String, String)>) {
    for (network, attachment) in
        service.get_mut("networks").and_then(Value::as_mapping_mut).into_iter().flatten()
    {
        let Some((old, new)) = network.as_str().and_then(|name| moved.get(name)) else { continue };
        let address = attachment.get_mut("ipv4_address");
        if let Some(address) = address {
            let rest = address.as_str().and_then(|text| text.strip_prefix(old.as_str()));
            if let Some(rest) = rest.map(str::to_owned) {
                *address = format!("{new}{rest}").into();
            }
        }
    }
}

/// What only another machine has, and what only another image could do.
fn drop_what_is_not_here(service: &mut Mapping) {
    const GONE: &[&str] = &[
        "profiles",
        "devices",
        "device_cgroup_rules",
        "gpus",
        "runtime",
        "platform",
        "external_links",
        "develop",
        "storage_opt",
        "ulimits",
        "cpuset",
        "cpus",
        "cgroup_parent",
        "isolation",
        "pre_start",
        "post_start",
        "pre_stop",
    ];
    for key in GONE {
        service.remove(*key);
    }
    let text = |service: &Mapping, key: &str| service.get(key).and_then(Value::as_str).map(str::to_owned);
    if text(service, "pull_policy").is_some_and(|policy| policy != "never") {
        service.remove("pull_policy");
    }
    // There are no names in an image without files.
    if text(service, "user").is_some_and(|user| !user.chars().all(|c| c.is_ascii_digit() || c == ':')) {
        service.remove("user");
    }
    let driver = service.get("logging").and_then(|logging| logging.get("driver")).and_then(Value::as_str);
    if driver.is_some_and(|driver| !["json-file", "local", "none"].contains(&driver)) {
        service.remove("logging");
    }
    if let Some(resources) = service.get_mut("deploy").and_then(|deploy| deploy.get_mut("resources")) {
        for part in ["limits", "reservations"] {
            let part = resources.get_mut(part).and_then(Value::as_mapping_mut);
            for key in part.into_iter().flat_map(|part| ["devices", "cpus"].map(|key| part.remove(key))) {
                drop(key);
            }
        }
    }
    if let Some(options) = service.get_mut("security_opt").and_then(Value::as_sequence_mut) {
        options
            .retain(|option| option.as_str().is_some_and(|option| option.starts_with("no-new-privileges")));
    }
}

fn rename(service: &mut Mapping, project: &str) {
    if let Some(name) = service.get_mut("container_name") {
        *name = format!("{project}-{}", name.as_str().unwrap_or_default()).into();
    }
}

/// Host ports are free ones of 127.0.0.1; a range stays one. Gives those that lead to TCP ports.
fn publish(service: &mut Mapping) -> Vec<u16> {
    let mut found = Vec::new();
    for port in service.get_mut("ports").and_then(Value::as_sequence_mut).into_iter().flatten() {
        let port = port.as_mapping_mut().expect("a port");
        let published = port.get("published").and_then(Value::as_str).unwrap_or_default().to_owned();
        if published.is_empty() || published == "0" {
            continue;
        }
        let width =
            published.split_once('-').map(|(from, to)| [from, to].map(|n| n.parse::<u16>().unwrap_or(0)));
        let first = free_port();
        let new = match width {
            // The following are not looked at: they are out of the engine's own range, and nobody else's.
            Some([from, to]) if to > from => format!("{first}-{}", first + (to - from)),
            _ => first.to_string(),
        };
        port.insert("published".into(), new.into());
        port.insert("host_ip".into(), "127.0.0.1".into());
        if port.get("protocol").and_then(Value::as_str) != Some("udp") {
            found.push(first);
        }
    }
    found.truncate(PORTS_ASKED);
    found
}

/// The TCP ports on which it listens: those that the file speaks of, else one of its own.
fn listens(service: &Mapping, own: u16) -> Vec<u16> {
    let ports = service.get("ports").and_then(Value::as_sequence).into_iter().flatten();
    let tcp = ports.filter(|port| port.get("protocol").and_then(Value::as_str) != Some("udp"));
    let targets = tcp.filter_map(|port| port.get("target")?.as_u64());
    let exposed = service.get("expose").and_then(Value::as_sequence).into_iter().flatten();
    let number = |port: &Value| port.as_u64().or_else(|| port.as_str()?.split('/').next()?.parse().ok());
    let exposed = exposed.filter_map(number);
    let mut known = BTreeSet::new();
    let mut all: Vec<u16> =
        targets.chain(exposed).map(|port| port as u16).filter(|port| known.insert(*port)).collect();
    if all.is_empty() {
        all.push(probed(service).unwrap_or(own));
    }
    all
}

/// The port of which its healthcheck speaks.
fn probed(service: &Mapping) -> Option<u16> {
    let words = service.get("healthcheck")?.get("test")?.as_sequence()?;
    let words = words.iter().filter_map(Value::as_str).flat_map(str::split_whitespace);
    let of_word = |word: &str| {
        let host = word.split("://").nth(1)?.split('/').next()?;
        host.rsplit_once(':')?.1.trim_matches(|c: char| !c.is_ascii_digit()).parse().ok()
    };
    words.into_iter().find_map(of_word)
}

/// The words of what it would run stay: what it is may be known by them.
fn run_stub(service: &mut Mapping, ports: &[u16]) {
    let list: Vec<_> = ports.iter().map(u16::to_string).collect();
    let mut words: Vec<Value> = vec!["/zdd-app".into(), "stub".into(), list.join(",").into()];
    words.extend(service.get("entrypoint").and_then(Value::as_sequence).cloned().unwrap_or_default());
    service.insert("entrypoint".into(), words.into());
    let Some(check) = service.get_mut("healthcheck").and_then(Value::as_mapping_mut) else { return };
    let test = check.get("test").and_then(Value::as_sequence);
    if check.contains_key("disable") || test.is_some_and(|test| test.first() == Some(&"NONE".into())) {
        return;
    }
    let port = ports.first().copied().unwrap_or_default().to_string();
    let test = ["CMD", "/zdd-app", "health", "--port", &port].map(Value::from);
    check.insert("test".into(), test.to_vec().into());
    check.insert("interval".into(), PROBE_EVERY.into());
    check.remove("start_interval");
}

pub fn without_digest(image: &str) -> &str {
    image.split('@').next().unwrap_or_default()
}

/// What is tagged has no digest.
fn image(service: &mut Mapping, name: &str, project: &str) -> String {
    let written = service.get("image").and_then(Value::as_str).map(str::to_owned);
    let Some(written) = written.filter(|image| !image.is_empty()) else {
        return format!("{project}-{name}");
    };
    let plain = without_digest(&written).to_owned();
    service.insert("image".into(), plain.clone().into());
    plain
}

/// The network on which it is asked, by the name that the engine has for it.
fn network(service: &Mapping, names: &BTreeMap<String, String>) -> Option<String> {
    let key = service.get("networks")?.as_mapping()?.keys().next()?.as_str()?;
    names.get(key).cloned()
}

/// Folders and files of the host, as the file wants them, below one folder.
struct Host<'a> {
    folder: &'a Path,
    known: BTreeMap<String, String>,
}

impl Host<'_> {
    fn move_binds(&mut self, service: &mut Mapping) {
        for mount in service.get_mut("volumes").and_then(Value::as_sequence_mut).into_iter().flatten() {
            let mount = mount.as_mapping_mut().expect("a mount");
            mount.remove("volume");
            if mount.get("type").and_then(Value::as_str) != Some("bind") {
                continue;
            }
            mount.remove("bind");
            let source = mount["source"].as_str().unwrap_or_default().to_owned();
            let reads = mount.get("read_only").and_then(Value::as_bool) == Some(true);
            if !((reads || source.ends_with(".sock")) && Path::new(&source).exists()) {
                mount.insert("source".into(), self.stand_in(&source).into());
            }
        }
    }

    /// The same for the same, so that what is shared stays shared.
    fn stand_in(&mut self, source: &str) -> String {
        let looks_like_a_file =
            Path::new(source).extension().is_some_and(|ending| ending != "d") && !Path::new(source).is_dir();
        if looks_like_a_file || Path::new(source).is_file() {
            return self.file(source);
        }
        let path = self.path(source);
        fs::create_dir_all(&path).expect("a folder");
        path
    }

    fn file(&mut self, source: &str) -> String {
        let path = self.path(source);
        if !Path::new(&path).exists() {
            fs::create_dir_all(Path::new(&path).parent().expect("a folder")).expect("a folder");
            fs::write(&path, "stand-in\n").expect("a file");
        }
        path
    }

    fn path(&mut self, source: &str) -> String {
        let number = self.known.len();
        let last = Path::new(source).file_name().unwrap_or_default();
        let path = || PathBuf::from(self.folder).join(format!("host/{number}")).join(last);
        self.known.entry(source.to_owned()).or_insert_with(|| path().display().to_string()).clone()
    }
}
