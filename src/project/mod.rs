//! What is wanted: the project as Compose resolved it, validated, with every default decided. Pure.

mod data;
mod dependency;
mod document;
mod drain;
mod hazard;
mod host;
mod notify;
mod own_check;
pub mod probe;
mod reference;
mod role;
pub mod settings;
pub mod swarm;
mod wanted;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use anyhow::{Result, bail};
use serde_json::Value;

pub use self::{
    data::keeper_of_data,
    dependency::{Condition, Dependency},
    document::{Document, FILE_NAME, HostPath},
    drain::{Drain, Until},
    hazard::{Hazard, fed_by, fixed_port, hazards, linked_by},
    host::{Host, Known},
    notify::Notify,
    own_check::own_check,
    probe::{Probe, ProbeLayer},
    role::Role,
    settings::{BadSetting, FailureAction, Order, Settings, Source, Strategy, UseHelper},
    swarm::{Runs, SwarmLayer, WAIVABLE},
    wanted::Wanted,
};
use crate::{
    engine::{
        config::{self, Hook, undollar},
        container::DEFAULT_GRACE,
    },
    text::{did_you_mean, duration},
};

/// Where users of docker-rollout write the command that lets a container drain.
pub const PRE_STOP_LABEL: &str = "docker-rollout.pre-stop-hook";

/// A project, as its files, the environment and the flags want it.
#[derive(Clone, Debug)]
pub struct Project {
    pub name: String,
    pub services: BTreeMap<String, Arc<Service>>,
    /// What the file says of traffic that watches a rollout.
    pub probe: ProbeLayer,
    /// What is notified of a rollout's end.
    pub notify: Option<Notify>,
    /// What it runs on, as far as the file says so, and what the file says to Swarm.
    pub swarm: SwarmLayer,
    /// Some services are only there because the command line names them; no enabled profile has them.
    pub by_name: bool,
    /// Compose joins names as its first version did (`--compatibility`).
    pub compatible: bool,
    /// What Compose printed, as it is kept with a revision.
    pub document: Document,
    /// The same in the form in which it is examined.
    pub file: Arc<config::File>,
    /// Containers that the file names, as far as it is known whose they are.
    hosts: Known,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Service {
    pub name: String,
    pub image: Image,
    pub replicas: u32,
    pub definition: Definition,
    pub role: Role,
    pub depends_on: Vec<Dependency>,
    pub hooks: Hooks,
    /// As its containers will carry them, beside those of Compose and of the image.
    pub labels: BTreeMap<String, String>,
    /// Has configs or secrets that Compose copies into a container when it starts it
    /// (`content:` or `environment:`), so only Compose can start its containers.
    pub injected_files: bool,
    /// The restart policy that Compose gives its containers, as `docker update --restart` takes it.
    pub restart: String,
    /// What `docker stop` gives a new container before it kills; the image may not know better.
    pub grace: Duration,
    pub settings: Settings,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// The reference to run; `project-service` for a service that is only built.
    pub reference: String,
    pub builds: bool,
    pub pull_policy: Option<String>,
    /// `linux/arm64`, where the file names it.
    pub platform: Option<String>,
}

impl Image {
    /// `web:1` is the registry's own, to which nobody can push: a registry has a name, or everybody a namespace on it.
    pub fn can_be_pushed(&self) -> bool {
        self.reference.contains('/')
    }
}

/// How Compose knows a service's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definition {
    /// Compose's own hash of it; empty until Compose was asked.
    pub hash: String,
    /// The label of its containers carries another hash: Compose replaces the name of the service whose
    /// container it lives in by that container's ID before it hashes, and adds the variables of `models` (5.6.1).
    /// With `--compatibility` it is another one in any case (5.6.1, tried).
    pub is_resolved: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hooks {
    pub pre_start: Vec<Hook>,
    pub post_start: Vec<Hook>,
    pub pre_stop: Vec<Hook>,
}

/// What the command line adds to the files.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    pub scale: BTreeMap<String, u32>,
    /// Keys of `x-zdd` with the values of their flags.
    pub settings: Vec<(&'static str, Value)>,
    /// Compose joins names as its first version did (`--compatibility`).
    pub compatible: bool,
    pub included: Vec<Included>,
}

/// What an included file has at its top, for its own services.
#[derive(Clone, Debug)]
pub struct Included {
    pub file: String,
    pub services: BTreeSet<String>,
    pub x_zdd: Value,
}

/// What stands between the parts of a name that Compose makes.
pub fn separator(compatible: bool) -> char {
    if compatible { '_' } else { '-' }
}

/// The image of a service that is only built.
pub fn built_image(project: &str, service: &str, compatible: bool) -> String {
    format!("{project}{}{service}", separator(compatible))
}

impl Service {
    pub fn is_job(&self) -> bool {
        self.role == Role::Job
    }

    /// That it has ended with exit code 0 may be all that is wanted of it.
    pub fn may_end(&self) -> bool {
        matches!(self.role, Role::Job | Role::MayEnd)
    }

    pub fn is_provider(&self) -> bool {
        self.role == Role::Provider
    }

    pub fn has_post_start(&self) -> bool {
        !self.hooks.post_start.is_empty()
    }

    /// A dry run of Compose that comes to one of these fails (5.6.1), so it must not come to the start.
    pub fn hooks_at_the_start(&self) -> bool {
        self.has_post_start() || !self.hooks.pre_start.is_empty()
    }

    /// How many containers a batch has.
    pub fn batch(&self) -> u32 {
        match self.settings.parallelism {
            0 => self.replicas,
            n => n.min(self.replicas),
        }
    }
}

impl Project {
    /// Reads what `docker compose config` printed. The hashes of the services are not in it.
    ///
    /// # Errors
    /// Text that is not a resolved compose file, a bad `x-zdd` or `update_config` value, or a `--scale` of a
    /// service that does not exist. The message names the key.
    pub fn read(document: Document, overrides: &Overrides) -> Result<Project> {
        let file = document.file()?;
        if let Some((name, n)) = overrides.scale.iter().find(|(name, _)| !file.services.contains_key(*name)) {
            let known: Vec<_> = file.services.keys().map(String::as_str).collect();
            let meant = did_you_mean(name, &known);
            let end = if meant.is_empty() { String::new() } else { format!(";{meant}") };
            bail!("no such service: {name} (in --scale {name}={n}){end}");
        }
        let x_zdd = file.x_zdd.as_ref().unwrap_or(&Value::Null);
        // Also where there is no service to whom it could matter.
        Settings::default().take_x_zdd(Source::TopLevel, x_zdd, &["x-zdd"])?;
        let probe = ProbeLayer::read(&x_zdd["probe"], &["x-zdd", "probe"])?;
        let notify = Notify::read(&x_zdd["notify"], &["x-zdd", "notify"])?;
        let swarm = SwarmLayer::read(&file, &overrides.included)?;
        let mut services = BTreeMap::new();
        for (name, raw) in &file.services {
            services.insert(name.clone(), Arc::new(service(name, raw, &file, overrides)?));
        }
        let (name, hosts, file) = (file.name.clone(), host::by_name(&file), Arc::new(file));
        Ok(Project {
            name,
            services,
            probe,
            notify,
            swarm,
            by_name: false,
            compatible: overrides.compatible,
            document,
            file,
            hosts,
        })
    }

    /// One of which nothing is known but its name.
    ///
    /// # Errors
    /// No name that Compose allows.
    pub fn of_name(name: &str) -> Result<Project> {
        Project::read(Document::parse(&format!("name: {name:?}"))?, &Overrides::default())
    }

    /// Takes over Compose's hashes of the services.
    ///
    /// # Errors
    /// There is none of a service: its name.
    pub fn set_hashes(&mut self, hashes: &BTreeMap<String, String>) -> Result<(), String> {
        for (name, service) in &mut self.services {
            let hash = hashes.get(name).ok_or_else(|| name.clone())?;
            Arc::make_mut(service).definition.hash.clone_from(hash);
        }
        Ok(())
    }

    /// Adds the services that another reading has beyond this one, because they were named.
    pub fn extend(&mut self, named: Project) -> Result<()> {
        self.services.extend(named.services);
        self.document.extend(&named.document);
        self.file = Arc::new(self.document.file()?);
        self.hosts = host::by_name(&self.file);
        self.swarm.without.extend(named.swarm.without);
        self.by_name = true;
        Ok(())
    }

    /// Takes over how to roll from another file of the project: settings, probe, notification, and the hooks of
    /// what leaves. Whether two generations may run side by side is a matter of the definition, and stays.
    pub fn roll_as(&mut self, other: Project) {
        for (name, theirs) in other.services {
            let Some(mine) = self.services.get_mut(&name).map(Arc::make_mut) else { continue };
            mine.settings = theirs.settings.clone().with_strategy_of(&mine.settings);
            mine.hooks.pre_stop.clone_from(&theirs.hooks.pre_stop);
        }
        self.probe = other.probe;
        self.notify = other.notify;
    }

    pub fn has_provider(&self) -> bool {
        self.services.values().any(|service| service.is_provider())
    }

    /// The named services and, unless `no_deps`, all that they depend on. A dependency that is not required may be in
    /// no enabled profile; it is left out.
    pub fn reach(&self, named: &[String], no_deps: bool) -> Vec<String> {
        let mut names = named.to_vec();
        let mut next = 0;
        while next < names.len() && !no_deps {
            let service = self.services.get(&names[next]);
            for dependency in service.iter().flat_map(|service| &service.depends_on) {
                let known = self.services.contains_key(&dependency.service);
                if known && !names.contains(&dependency.service) {
                    names.push(dependency.service.clone());
                }
            }
            next += 1;
        }
        names
    }

    /// A network of the service whose packets do not pass through a bridge, and its driver.
    pub fn unsteered_network(&self, service: &str) -> Option<(&str, &str)> {
        let raw = self.file.services.get(service)?;
        let driver = |name: &String| {
            let driver = self.file.networks.get(name)?.as_ref()?.driver.as_deref()?;
            (!matches!(driver, "bridge" | "default" | "")).then_some(driver)
        };
        raw.networks.keys().find_map(|name| Some((name.as_str(), driver(name)?)))
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

fn service(name: &str, raw: &config::Service, file: &config::File, overrides: &Overrides) -> Result<Service> {
    let written = raw.scale.or(raw.deploy.as_ref().and_then(|deploy| deploy.replicas));
    Ok(Service {
        name: name.to_owned(),
        image: image(name, raw, file, overrides)?,
        replicas: overrides.scale.get(name).copied().or(written).unwrap_or(1),
        definition: Definition { hash: String::new(), is_resolved: is_resolved(raw) || overrides.compatible },
        role: role::of(name, raw, file),
        depends_on: dependency::of(raw),
        hooks: hooks(raw),
        labels: raw.labels.iter().map(|(key, value)| (key.clone(), undollar(value))).collect(),
        injected_files: has_injected_files(raw, file),
        restart: restart(raw),
        grace: grace(raw),
        settings: settings(name, raw, file, overrides)?,
    })
}

/// Of `volumes_from` also a container's name is replaced, by itself without its prefix.
fn is_resolved(raw: &config::Service) -> bool {
    !raw.parents().is_empty() || !raw.volumes_from.is_empty() || raw.models.is_some()
}

/// Compose takes an empty reference for none, and so it does with a service that is built.
fn image(
    name: &str,
    raw: &config::Service,
    file: &config::File,
    overrides: &Overrides,
) -> Result<Image, BadSetting> {
    let written = raw.image.clone().filter(|reference| !reference.is_empty() || raw.build.is_none());
    let reference = written.unwrap_or_else(|| built_image(&file.name, name, overrides.compatible));
    if raw.provider.is_none() {
        reference::check(&reference, &["services", name, "image"])?;
    }
    for hook in raw.pre_start.iter().filter_map(|hook| hook.image.as_deref()) {
        reference::check(hook, &["services", name, "pre_start"])?;
    }
    let (pull_policy, platform) = (raw.pull_policy.clone(), raw.platform.clone());
    Ok(Image { reference, builds: raw.build.is_some(), pull_policy, platform })
}

fn settings(
    name: &str,
    raw: &config::Service,
    file: &config::File,
    overrides: &Overrides,
) -> Result<Settings, BadSetting> {
    let written = |value: &Option<Value>| value.clone().unwrap_or_default();
    let update = raw.deploy.as_ref().map(|deploy| written(&deploy.update_config)).unwrap_or_default();
    let flags = overrides.settings.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    let mut settings = Settings::default();
    settings.take_update_config(&update, &["services", name, "deploy", "update_config"])?;
    settings.take_x_zdd(Source::TopLevel, &written(&file.x_zdd), &["x-zdd"])?;
    for one in overrides.included.iter().filter(|one| one.services.contains(name)) {
        settings.take_x_zdd(Source::TopLevel, &one.x_zdd, &[&one.file, "x-zdd"])?;
    }
    settings.take_x_zdd(Source::Service, &written(&raw.x_zdd), &["services", name, "x-zdd"])?;
    settings.take_x_zdd(Source::Flag, &Value::Object(flags), &["flags", name, "x-zdd"])?;
    Ok(settings)
}

/// `deploy.restart_policy` wins over `restart`, also where it names no condition, which is no policy; its delay and
/// window are ignored (Compose 5.6.1, tried).
fn restart(raw: &config::Service) -> String {
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

fn grace(raw: &config::Service) -> Duration {
    let written = raw.stop_grace_period.as_deref().and_then(|text| duration::parse(text).ok());
    written.unwrap_or(DEFAULT_GRACE)
}

fn hooks(raw: &config::Service) -> Hooks {
    let undollared = |hooks: &[Hook]| hooks.iter().map(Hook::undollared).collect();
    Hooks {
        pre_start: undollared(&raw.pre_start),
        post_start: undollared(&raw.post_start),
        pre_stop: undollared(&raw.pre_stop),
    }
}

fn has_injected_files(raw: &config::Service, file: &config::File) -> bool {
    let copied = |source: Option<&config::Source>| {
        source.is_some_and(|source| source.content.is_some() || source.environment.is_some())
    };
    raw.configs.iter().any(|reference| copied(file.configs.get(&reference.source)))
        || raw.secrets.iter().any(|reference| copied(file.secrets.get(&reference.source)))
}
