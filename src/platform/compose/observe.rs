//! What is there, read once.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::Compose;
use crate::{
    engine::{
        Container, Docker, Engine, Explained, Local, Network, OLDEST_COMPOSE, Version, WholeUp,
        container::PROJECT_LABEL, network_ids,
    },
    exit::Stop,
    helper::{Presence, Starting, Unavailable},
    plan::Plan,
    project::{Project, Service, Until, Wanted},
    proxy::{self, Haproxy, Heard, Way},
    wait::beside,
};

/// Up to here `config --hash` is wrong for a service with an `env_file` (docker/compose#14001).
const HASHES_ENV_FILES_RIGHT: Version = Version(5, 5, 0);
/// The length of the prefix of a subnet in which no project runs out of addresses.
const LARGE: u8 = 20;

#[derive(Clone, Debug, Default)]
pub struct Observed {
    pub containers: Vec<Container>,
    /// Reference → image, of those that the services run.
    pub local: BTreeMap<String, Local>,
    /// Service → ID of the local image that counts as its own; absent when there is none.
    pub images: BTreeMap<String, String>,
    /// Service → digest of the manifest of that image for its platform, where the image is an index.
    pub manifests: BTreeMap<String, String>,
    /// Service → names of its containers that Compose itself would replace or remove. Only for services whose hash
    /// cannot be compared, because the label carries another one than `config --hash` prints.
    pub outdated: BTreeMap<String, BTreeSet<String>>,
    pub helper: Presence,
    /// Services of which what runs can be deployed again, should Compose have to replace it.
    pub undos: BTreeSet<String>,
    /// The networks on which addresses may be short.
    pub networks: Vec<Network>,
    /// Of other projects, on the same networks; where there may be a HAProxy among them that is to be asked.
    pub neighbors: Vec<Container>,
    /// What proxies have answered that would be asked.
    pub heard: Vec<Heard>,
    /// Service → how long its connections waited in its last rollouts.
    pub waits: BTreeMap<String, Vec<Duration>>,
}

impl Observed {
    /// What a container of the service must be.
    pub fn wanted<'a>(&'a self, service: &'a Service) -> Wanted<'a> {
        let image = self.images.get(&service.name).map(String::as_str);
        Wanted::of(service, image, self.outdated.get(&service.name))
    }
}

fn presence(found: Option<Result<Presence, &Unavailable>>) -> Presence {
    match found {
        None => Presence::Off,
        Some(Ok(presence)) => presence,
        Some(Err(unavailable)) => Presence::Unavailable(unavailable.0.clone()),
    }
}

impl Compose {
    /// Whether Compose can be used is found out too: it takes as long.
    pub(super) fn look(&self, project: &Project) -> Result<Observed, Stop> {
        let found = || beside(|| self.docker.containers(None), || self.local_images(project));
        let ((containers, local), version) = beside(found, || self.version());
        let (version, local, mut containers) = (version?, local?, containers?);
        let (images, manifests) = (self.ids(project, &local), self.manifests(project, &local));
        for container in &mut containers {
            if let Some((id, manifest)) =
                images.get(&container.service).zip(manifests.get(&container.service))
            {
                container.compare_content(id, manifest);
            }
        }
        // Where Compose cannot be asked, the hashes that there are decide.
        let outdated = self.ask_outdated(project, &containers, version).unwrap_or_default();
        Ok(Observed { containers, local, images, manifests, outdated, ..Observed::default() })
    }

    /// Compose's, which is asked once.
    fn version(&self) -> Result<Version, Stop> {
        match self.version.get() {
            Some(version) => Ok(*version),
            None => check_compose(&self.docker).map(|version| *self.version.get_or_init(|| version)),
        }
    }

    /// What a plan can rest on.
    pub fn helper(&self) -> Presence {
        presence(self.helpers.as_ref().map(Starting::is_there))
    }

    /// Waits until helpers have started. They may be away although one has worked here before.
    pub fn started_helper(&self) -> Presence {
        presence(self.helpers.as_ref().map(|starting| starting.get().map(|helpers| helpers.presence.clone())))
    }

    /// What the proxies answer that the plan would ask.
    pub fn ask_proxies(&self, plan: &Plan) -> Vec<Heard> {
        let leaving = plan.services.iter().filter(|plan| plan.leaving().next().is_some());
        let found = leaving.flat_map(|plan| &plan.ways).filter_map(|way| match way {
            Way::Haproxy(found) | Way::KeepUp(found) => Some(found),
            _ => None,
        });
        proxy::listen(found, &self.docker)
    }

    /// Who else is on the networks of these, where HAProxy is to be asked and the project has none.
    pub fn neighbors(&self, project: &Project, observed: &Observed) -> Vec<Container> {
        let Observed { containers, helper, .. } = observed;
        let shares = project.file.networks.values().flatten().any(|network| network.external);
        let lacks_one = |service: &Service| match &service.settings.drain.until {
            Until::Haproxy { service: named, socket } => {
                Haproxy::find(&service.name, named.as_deref(), socket.as_deref(), containers).is_none()
            }
            Until::Auto if !helper.is_there() && shares => {
                Haproxy::find(&service.name, None, None, containers).is_none()
            }
            _ => false,
        };
        if !project.services.values().any(|service| lacks_one(service)) {
            return vec![];
        }
        let networks = network_ids(containers.iter().flat_map(|c| c.networks.values()));
        let networks = self.docker.networks(&networks).unwrap_or_default();
        let ids: BTreeSet<_> =
            networks.iter().flat_map(|on| &on.members).map(|member| member.id.clone()).collect();
        let mut found = self.docker.inspect(&Vec::from_iter(ids)).unwrap_or_default();
        found.retain(|other| other.labels.get(PROJECT_LABEL) != Some(&project.name));
        found
    }

    /// The networks on which addresses may be short. Where they cannot be counted there are enough, until the engine says
    /// otherwise.
    pub fn small_networks(&self, project: &Project, containers: &[Container]) -> Vec<Network> {
        let has_range = |name: &String| {
            let mut networks = project.file.networks.values().flatten();
            networks.any(|network| network.name.as_ref() == Some(name) && network.has_range())
        };
        let endpoints = containers.iter().flat_map(|container| &container.networks);
        let small = endpoints.filter(|(name, on)| on.prefix > LARGE || on.prefix > 0 && has_range(name));
        self.docker.networks(&network_ids(small.map(|(_, on)| on))).unwrap_or_default()
    }

    fn local_images(&self, project: &Project) -> Result<BTreeMap<String, Local>, Stop> {
        let references = project.services.values().map(|service| service.image.reference.clone());
        let references: BTreeSet<_> = references.collect();
        Ok(self.docker.local_images(&Vec::from_iter(references))?)
    }

    /// Service → ID of its image, for those that have one.
    pub fn ids(&self, project: &Project, local: &BTreeMap<String, Local>) -> BTreeMap<String, String> {
        let tagged = |service: &Service| local.get(&service.image.reference).map(|image| &image.id);
        let pinned = |name: &String| self.pinned.get(name).map(|image| &image.id);
        let image = |name: &String, service| pinned(name).or_else(|| tagged(service)).cloned();
        let services = project.services.iter();
        services.filter_map(|(name, service)| Some((name.clone(), image(name, service)?))).collect()
    }

    /// Where they cannot be had, the IDs decide.
    fn manifests(&self, project: &Project, local: &BTreeMap<String, Local>) -> BTreeMap<String, String> {
        let platform = |service: &Service| {
            let shown = local.get(&service.image.reference)?.index_for.clone()?;
            Some(service.image.platform.clone().unwrap_or(shown))
        };
        let free = project.services.iter().filter(|(name, _)| !self.pinned.contains_key(*name));
        let mut of_platform: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (_, service) in free.clone() {
            if let Some(platform) = platform(service) {
                of_platform.entry(platform).or_default().insert(service.image.reference.clone());
            }
        }
        let ask = |(platform, references): (&String, &BTreeSet<String>)| {
            let found = self.docker.manifests(platform, &Vec::from_iter(references.clone()));
            (platform.clone(), found.unwrap_or_default())
        };
        let found: BTreeMap<_, _> = of_platform.iter().map(ask).collect();
        let one = |service: &Service| found.get(&platform(service)?)?.get(&service.image.reference).cloned();
        let pinned =
            self.pinned.iter().filter_map(|(name, image)| Some((name.clone(), image.manifest.clone()?)));
        free.filter_map(|(name, service)| Some((name.clone(), one(service)?))).chain(pinned).collect()
    }

    /// Compose's own opinion of which containers are out of date, where hashes cannot be compared.
    fn ask_outdated(
        &self,
        project: &Project,
        containers: &[Container],
        version: Version,
    ) -> Option<BTreeMap<String, BTreeSet<String>>> {
        let unclear = |c: &&Container| {
            let definition = project.services.get(&c.service).map(|service| &service.definition);
            definition.is_some_and(|d| {
                d.hash != c.config_hash && (d.is_resolved || version < HASHES_ENV_FILES_RIGHT)
            })
        };
        let unclear: Vec<&Container> = containers.iter().filter(unclear).collect();
        // A dry run of the whole project would call the plugins of its providers.
        if unclear.is_empty() || project.has_provider() {
            return None;
        }
        let preview = self.docker.preview_all(&whole(project)).ok()?;
        let disturbed: BTreeSet<&str> = preview.disturbed_containers().collect();
        let mut outdated: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for container in unclear {
            let names = outdated.entry(container.service.clone()).or_default();
            names.extend(disturbed.contains(container.name.as_str()).then(|| container.name.clone()));
        }
        Some(outdated)
    }
}

/// The version of Compose.
///
/// # Errors
/// It is missing, or too old; with what to install.
pub fn check_compose(docker: &Docker) -> Result<Version, Stop> {
    match docker.compose_version() {
        Ok(version) if version < OLDEST_COMPOSE => Err(Explained::compose_too_old(version).into()),
        Ok(version) => Ok(version),
        Err(error) if error.is_interrupted() => Err(error.into()),
        Err(error) => {
            let v1 = which::which("docker-compose").is_ok();
            Err(Explained::compose_missing(&error, v1).into())
        }
    }
}

/// A plain `docker compose up -d` of the project.
pub(super) fn whole(project: &Project) -> WholeUp {
    WholeUp {
        scale: project.services.values().map(|service| (service.name.clone(), service.replicas)).collect(),
        create_only: project.services.values().any(|service| service.has_post_start()),
        name_services: project.by_name,
    }
}
