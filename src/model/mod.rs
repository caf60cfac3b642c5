//! What is wanted: the project as Compose resolved it, validated, with every default decided.

pub mod compose;
pub mod drain;
pub mod hazard;
pub mod notify;
pub mod probe;
pub mod settings;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::duration;

pub use self::compose::Hook;
pub use self::drain::{Drain, Until};
pub use self::hazard::Hazard;
pub use self::notify::Notify;
pub use self::probe::{Probe, ProbeLayer};
pub use self::settings::{Layer, Settings, Source};

/// Where users of docker-rollout write the command that lets a container drain.
pub const PRE_STOP_LABEL: &str = "docker-rollout.pre-stop-hook";

/// A project, as its files, the environment and the flags want it.
#[derive(Clone, Debug)]
pub struct Model {
    pub project: String,
    pub services: BTreeMap<String, Service>,
    /// What the file says of traffic that watches a rollout.
    pub probe: ProbeLayer,
    /// What is told of a rollout's end.
    pub notify: Option<Notify>,
    /// Some of them are only there because the command line names them; no enabled profile has them.
    pub by_name: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    pub name: String,
    /// The image reference to run; `project-service` for a service that is only built.
    pub image: String,
    pub builds: bool,
    pub pull_policy: Option<String>,
    pub replicas: u32,
    /// Compose's own hash of the service's configuration.
    pub hash: String,
    /// The label of its containers carries another hash: Compose replaces the name of the service whose
    /// container it lives in by that container's ID before it hashes, and adds the variables of `models` (5.6.1).
    /// With `--compatibility` it is another one in any case (5.6.1, tried).
    pub hash_is_resolved: bool,
    pub depends_on: Vec<Dependency>,
    /// What keeps two generations from living side by side; empty for a service that can roll.
    pub hazards: Vec<Hazard>,
    /// Services that reach it by a `links` name, although it has no alias that means all its containers.
    pub linked_by: Vec<String>,
    pub hooks: Hooks,
    /// As its containers will carry them, beside those of Compose and of the image.
    pub labels: BTreeMap<String, String>,
    /// Another service waits for this one to finish (`service_completed_successfully`).
    pub one_shot: bool,
    /// Has configs or secrets that Compose copies into a container when it starts it
    /// (`content:` or `environment:`), so only Compose can start its containers.
    pub injected_files: bool,
    /// Run by a `provider` plugin: there is no container to update.
    pub provider: bool,
    /// The service run by a provider that it depends on. Compose gives it that one's variables only when it calls the
    /// provider in the same `up` (5.6.1, tried), and counts them in the hash on the label.
    pub fed_by: Option<String>,
    /// The restart policy that Compose gives its containers, as `docker update --restart` takes it.
    pub restart: String,
    /// What `docker stop` gives a new container before it kills; the image may not know better.
    pub grace: Duration,
    pub settings: Settings,
}

impl Service {
    pub fn has_post_start(&self) -> bool {
        !self.hooks.post_start.is_empty()
    }

    /// A dry run of Compose that comes to one of these fails (5.6.1), so it must not come to the start.
    pub fn hooks_at_the_start(&self) -> bool {
        self.has_post_start() || !self.hooks.pre_start.is_empty()
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hooks {
    pub pre_start: Vec<Hook>,
    pub post_start: Vec<Hook>,
    pub pre_stop: Vec<Hook>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    pub service: String,
    pub condition: Condition,
    pub required: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    Started,
    Healthy,
    Completed,
}

/// What the command line adds to the files.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub scale: BTreeMap<String, u32>,
    pub settings: Layer,
    /// Compose joins names as its first version did (`--compatibility`).
    pub compatible: bool,
}

/// What stands between the parts of a name that Compose makes.
pub fn separator(compatible: bool) -> char {
    if compatible { '_' } else { '-' }
}

/// The image of a service that is only built.
pub fn built_image(project: &str, service: &str, compatible: bool) -> String {
    format!("{project}{}{service}", separator(compatible))
}

impl Model {
    /// Builds the model from the text of `docker compose config` and the hashes of `config --hash '*'`.
    ///
    /// # Errors
    /// Text that is not a resolved compose file, a bad `x-zdd` or `update_config` value, or a `--scale` of a
    /// service that does not exist. The message names the key.
    pub fn from_config(
        yaml: &str,
        hashes: &BTreeMap<String, String>,
        overrides: &Overrides,
    ) -> Result<Model> {
        let file = parse(yaml)?;
        if let Some((name, n)) = overrides.scale.iter().find(|(name, _)| !file.services.contains_key(*name)) {
            bail!("no such service: {name} (in --scale {name}={n})");
        }
        let null = serde_yaml::Value::Null;
        let x_zdd = file.x_zdd.as_ref().unwrap_or(&null);
        let top = Layer::from_x_zdd(x_zdd, &["x-zdd"])?;
        let of_file = |key: &str| x_zdd.get(key).unwrap_or(&null);
        let probe = ProbeLayer::from_yaml(of_file("probe"), &["x-zdd", "probe"])?;
        let notify = Notify::from_yaml(of_file("notify"), &["x-zdd", "notify"])?;
        let mut services = BTreeMap::new();
        for (name, raw) in &file.services {
            let hash = hashes.get(name).cloned();
            let hash = hash
                .with_context(|| format!("\"docker compose config --hash\" does not name service {name}"))?;
            services.insert(name.clone(), service(name, raw, &file, hash, &top, overrides)?);
        }
        Ok(Model { project: file.name, services, probe, notify, by_name: false })
    }

    /// The name of the project of a resolved file.
    ///
    /// # Errors
    /// Text that is not a resolved compose file.
    pub fn project_name(yaml: &str) -> Result<String> {
        Ok(parse(yaml)?.name)
    }

    /// The services that a resolved file has.
    ///
    /// # Errors
    /// Text that is not a resolved compose file.
    pub fn service_names(yaml: &str) -> Result<Vec<String>> {
        Ok(parse(yaml)?.services.into_keys().collect())
    }

    /// Takes over how to roll from another file of the project: settings, probe, notification, and the hooks of
    /// what leaves. Whether two generations may run side by side is a matter of the definition, and stays.
    pub fn take_manners(&mut self, other: Model) {
        for (name, theirs) in other.services {
            let Some(mine) = self.services.get_mut(&name) else { continue };
            let strategy = mine.settings.strategy;
            let source = mine.settings.sources.get("strategy").copied();
            mine.settings = theirs.settings;
            mine.settings.strategy = strategy;
            mine.settings.sources.extend(source.map(|source| ("strategy", source)));
            mine.hooks.pre_stop = theirs.hooks.pre_stop;
        }
        self.probe = other.probe;
        self.notify = other.notify;
    }

    /// Every service with its wanted count, as `--scale` takes them.
    pub fn scale(&self) -> Vec<(String, u32)> {
        self.services.values().map(|service| (service.name.clone(), service.replicas)).collect()
    }

    /// The names in an order in which every service stands behind what it depends on.
    pub fn dependency_order(&self) -> Vec<String> {
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        for name in self.services.keys() {
            self.visit(name, &mut seen, &mut order);
        }
        order
    }

    fn visit(&self, name: &str, seen: &mut BTreeSet<String>, order: &mut Vec<String>) {
        if !seen.insert(name.to_owned()) {
            return;
        }
        let Some(service) = self.services.get(name) else { return };
        for dependency in &service.depends_on {
            self.visit(&dependency.service, seen, order);
        }
        order.push(name.to_owned());
    }
}

fn parse(yaml: &str) -> Result<compose::File> {
    serde_yaml::from_str(yaml).context("the output of \"docker compose config\" is not understood")
}

fn service(
    name: &str,
    raw: &compose::Service,
    file: &compose::File,
    hash: String,
    top: &Layer,
    overrides: &Overrides,
) -> Result<Service> {
    let written = raw.scale.or(raw.deploy.as_ref().and_then(|deploy| deploy.replicas));
    let replicas = overrides.scale.get(name).copied().or(written).unwrap_or(1);
    Ok(Service {
        name: name.to_owned(),
        image: raw.image.clone().unwrap_or_else(|| built_image(&file.name, name, overrides.compatible)),
        builds: raw.build.is_some(),
        pull_policy: raw.pull_policy.clone(),
        replicas,
        hash,
        hash_is_resolved: hazard::lives_in_another(raw) || raw.models.is_some() || overrides.compatible,
        depends_on: dependencies(raw),
        hazards: hazard::hazards(name, raw, &file.services, replicas),
        linked_by: linked_by(name, raw, file),
        hooks: hooks(raw),
        labels: raw.labels.iter().map(|(key, value)| (key.clone(), compose::undollar(value))).collect(),
        one_shot: is_awaited_to_end(name, file),
        injected_files: has_injected_files(raw, file),
        provider: raw.provider.is_some(),
        fed_by: fed_by(raw, file),
        restart: restart(raw),
        grace: grace(raw),
        settings: settings(name, raw, top, overrides)?,
    })
}

fn settings(name: &str, raw: &compose::Service, top: &Layer, overrides: &Overrides) -> Result<Settings> {
    let null = serde_yaml::Value::Null;
    let update = raw.deploy.as_ref().and_then(|deploy| deploy.update_config.as_ref()).unwrap_or(&null);
    let update = Layer::from_update_config(update, &["services", name, "deploy", "update_config"])?;
    let own = Layer::from_x_zdd(raw.x_zdd.as_ref().unwrap_or(&null), &["services", name, "x-zdd"])?;
    Ok(Settings::resolve(&[
        (Source::UpdateConfig, update),
        (Source::TopLevel, top.clone()),
        (Source::Service, own),
        (Source::Flag, overrides.settings.clone()),
    ]))
}

/// `deploy.restart_policy` wins over `restart`, also where it names no condition, which is no policy; its delay and
/// window are ignored (Compose 5.6.1, tried).
fn restart(raw: &compose::Service) -> String {
    let policy = raw.deploy.as_ref().and_then(|deploy| deploy.restart_policy.as_ref());
    let word = match policy {
        None => raw.restart.clone().unwrap_or_default(),
        Some(policy) => match (policy.condition.as_str(), policy.max_attempts) {
            ("none", _) => "no".to_owned(),
            ("any", _) => "always".to_owned(),
            ("on-failure", Some(n)) => format!("on-failure:{n}"),
            (as_the_engine_has_it, _) => as_the_engine_has_it.to_owned(),
        },
    };
    if word.is_empty() { "no".to_owned() } else { word }
}

/// The engine counts whole seconds and waits 10 where the file says nothing.
fn grace(raw: &compose::Service) -> Duration {
    let written = raw.stop_grace_period.as_deref().and_then(|text| duration::parse(text).ok());
    written.unwrap_or(Duration::from_secs(10))
}

fn dependencies(raw: &compose::Service) -> Vec<Dependency> {
    let one = |(service, on): (&String, &compose::DependsOn)| Dependency {
        service: service.clone(),
        condition: match on.condition.as_str() {
            "service_healthy" => Condition::Healthy,
            "service_completed_successfully" => Condition::Completed,
            _ => Condition::Started,
        },
        required: on.required,
    };
    raw.depends_on.iter().map(one).collect()
}

fn hooks(raw: &compose::Service) -> Hooks {
    let undollared = |hooks: &[Hook]| hooks.iter().map(Hook::undollared).collect();
    Hooks {
        pre_start: undollared(&raw.pre_start),
        post_start: undollared(&raw.post_start),
        pre_stop: undollared(&raw.pre_stop),
    }
}

/// Inside the linking container a link's name means the one container that ran when it was started (Compose
/// 5.6.1, tried), so it is dead after a rollout; an alias on a network is not.
fn linked_by(name: &str, raw: &compose::Service, file: &compose::File) -> Vec<String> {
    if raw.networks.values().flatten().any(|attachment| !attachment.aliases.is_empty()) {
        return vec![];
    }
    let links =
        |other: &compose::Service| other.links.iter().any(|link| link.split(':').next() == Some(name));
    file.services.iter().filter(|(_, other)| links(other)).map(|(other, _)| other.clone()).collect()
}

fn fed_by(raw: &compose::Service, file: &compose::File) -> Option<String> {
    let is_provider = |name: &&String| file.services.get(*name).is_some_and(|other| other.provider.is_some());
    raw.depends_on.keys().find(is_provider).cloned()
}

fn is_awaited_to_end(name: &str, file: &compose::File) -> bool {
    file.services
        .values()
        .filter_map(|other| other.depends_on.get(name))
        .any(|on| on.condition == "service_completed_successfully")
}

fn has_injected_files(raw: &compose::Service, file: &compose::File) -> bool {
    let copied = |source: Option<&compose::Source>| {
        source.is_some_and(|source| source.content.is_some() || source.environment.is_some())
    };
    raw.configs.iter().any(|reference| copied(file.configs.get(&reference.source)))
        || raw.secrets.iter().any(|reference| copied(file.secrets.get(&reference.source)))
}
