//! Why two generations of a service cannot live side by side.

use std::fmt;

use super::{
    Project,
    host::{Host, Named},
    keeper_of_data,
};
use crate::engine::config::{Attachment, File, Mount, Port, Service};

/// One obstacle to a rolling update. Its text says what is in the way; `remedy` what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hazard {
    /// A host port that only one container can hold.
    FixedPort {
        published: String,
        target: u32,
        /// How many containers find a port in it.
        room: u32,
    },
    ContainerName(String),
    StaticAddress {
        network: String,
        address: String,
    },
    MacAddress(String),
    HostNetwork,
    /// It has the network of a container that is none of the project's services.
    LivesInContainer(String),
    /// This service lives in a namespace of another service's container.
    SharesNamespaceOf {
        service: String,
        key: &'static str,
    },
    /// Another service lives in a namespace, or on the volumes, of this one's container.
    NamespaceSharedBy {
        service: String,
        key: &'static str,
        /// The file names the container itself, so that the next one must have its name.
        by_name: bool,
    },
    /// The same, and the file names this container by its ID.
    NamedById {
        service: String,
        key: &'static str,
        id: String,
    },
    /// One replica that writes to a volume, which no other service of the same image does.
    WritableVolume {
        source: String,
        target: String,
    },
    /// A volume that belongs to one container, and is handed on when Compose recreates it.
    AnonymousVolume(String),
    /// A network has no address left for a new container beside the old one.
    NoAddress {
        network: String,
    },
    /// What it runs does something at certain times: a second one would do it twice.
    Scheduler(String),
}

impl Hazard {
    /// How many containers can run with it at all.
    pub fn limit(&self) -> Option<u32> {
        match self {
            Hazard::FixedPort { room, .. } => Some(*room),
            Hazard::ContainerName(_) | Hazard::StaticAddress { .. } => Some(1),
            _ => None,
        }
    }

    /// Connections to it cannot be held, as it has no network of its own, or others live in it.
    pub fn is_beyond_holding(&self) -> bool {
        matches!(
            self,
            Hazard::HostNetwork
                | Hazard::LivesInContainer(_)
                | Hazard::SharesNamespaceOf { .. }
                | Hazard::NamespaceSharedBy { .. }
                | Hazard::NamedById { .. }
                | Hazard::NoAddress { .. }
        )
    }

    /// No other container can stand in the place of the one that there is.
    pub fn is_final(&self) -> bool {
        matches!(self, Hazard::NamedById { .. })
    }

    /// Only Compose can put a new container in the place of the old one: the name or the volume is handed on, or others
    /// must follow.
    pub fn is_for_compose(&self) -> bool {
        matches!(
            self,
            Hazard::ContainerName(_) | Hazard::AnonymousVolume(_) | Hazard::NamespaceSharedBy { .. }
        )
    }

    /// The key of the service in which the obstacle is written.
    pub fn key(&self) -> &'static str {
        match self {
            Hazard::FixedPort { .. } => "ports",
            Hazard::ContainerName(_) => "container_name",
            Hazard::StaticAddress { .. } | Hazard::NoAddress { .. } => "networks",
            Hazard::MacAddress(_) => "mac_address",
            Hazard::HostNetwork | Hazard::LivesInContainer(_) => "network_mode",
            Hazard::SharesNamespaceOf { key, .. }
            | Hazard::NamespaceSharedBy { key, .. }
            | Hazard::NamedById { key, .. } => key,
            Hazard::WritableVolume { .. } | Hazard::AnonymousVolume(_) => "volumes",
            Hazard::Scheduler(_) => "command",
        }
    }

    /// What to write instead, as an imperative clause.
    pub fn remedy(&self) -> String {
        match self {
            Hazard::FixedPort { published, .. } => format!(
                "run \"docker zdd init\" to let a proxy publish {published}, or write a range with room for twice the replicas"
            ),
            Hazard::ContainerName(_) => "remove container_name".to_owned(),
            Hazard::StaticAddress { .. } => "remove the address and use the service's name".to_owned(),
            Hazard::MacAddress(_) => "remove mac_address".to_owned(),
            Hazard::HostNetwork => "use a bridge network and publish the port by a proxy".to_owned(),
            Hazard::LivesInContainer(_)
            | Hazard::SharesNamespaceOf { .. }
            | Hazard::NamespaceSharedBy { .. } => {
                "give each service its own namespace, on one network".to_owned()
            }
            Hazard::NamedById { service, key, .. } => {
                format!("let {key} of \"{service}\" name the service")
            }
            Hazard::WritableVolume { .. } => {
                "write \"x-zdd: {strategy: rolling}\" if two may write at once".to_owned()
            }
            Hazard::AnonymousVolume(_) => {
                "give the volume a name, and write \"x-zdd: {strategy: rolling}\" if two may write at once"
                    .to_owned()
            }
            Hazard::NoAddress { .. } => "give the network a larger subnet".to_owned(),
            Hazard::Scheduler(_) => "write \"x-zdd: {strategy: rolling}\" if two may run at once".to_owned(),
        }
    }
}

impl fmt::Display for Hazard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hazard::FixedPort { published, room: 1, .. } => {
                write!(f, "host port {published} can belong to one container only")
            }
            Hazard::FixedPort { published, room, .. } => {
                write!(f, "host ports {published} have room for {room} containers only")
            }
            Hazard::ContainerName(name) => write!(f, "the container name \"{name}\" can be taken only once"),
            Hazard::StaticAddress { network, address } => {
                write!(f, "the address {address} on network \"{network}\" can be taken only once")
            }
            Hazard::MacAddress(address) => write!(f, "the MAC address {address} can be taken only once"),
            Hazard::HostNetwork => f.write_str("on the host's network both generations want the same ports"),
            Hazard::LivesInContainer(name) => {
                write!(
                    f,
                    "it has the network of container \"{name}\", where both generations want the same ports"
                )
            }
            Hazard::SharesNamespaceOf { service, key } => {
                write!(f, "it lives in a container of \"{service}\" ({key})")
            }
            Hazard::NamespaceSharedBy { service, key, .. } => {
                write!(f, "\"{service}\" lives in its container ({key})")
            }
            Hazard::NamedById { service, key, id } => write!(
                f,
                "\"{service}\" names its container by the ID {id} ({key}), which a new one does not have"
            ),
            Hazard::WritableVolume { source, target } => write!(
                f,
                "its only replica writes to volume \"{source}\" at {target}, and two generations would write at once"
            ),
            Hazard::AnonymousVolume(target) => {
                write!(f, "the volume at {target} has no name, and belongs to one container")
            }
            Hazard::NoAddress { network } => {
                write!(f, "network \"{network}\" has no free address for new containers beside the old ones")
            }
            Hazard::Scheduler(word) => {
                write!(f, "it is a scheduler (\"{word}\"), and two would do everything twice")
            }
        }
    }
}

/// Every obstacle of a service, in the order of its keys.
pub fn hazards(name: &str, project: &Project) -> Vec<Hazard> {
    let (Some(raw), Some(service)) = (project.file.services.get(name), project.services.get(name)) else {
        return vec![];
    };
    let mut found = Vec::new();
    found.extend(raw.container_name.clone().map(Hazard::ContainerName));
    found.extend(raw.ports.iter().filter_map(|port| fixed_port(port, service.replicas)));
    found.extend(addresses(raw));
    found.extend((raw.network_mode.as_deref() == Some("host")).then_some(Hazard::HostNetwork));
    let hosts = project.hosts_of(raw);
    let is_known = |key: &str| hosts.iter().any(|host| host.key == key);
    let foreign = raw.hosts().into_iter().find(|(_, key)| *key == "network_mode" && !is_known(key));
    found.extend(foreign.map(|(name, _)| Hazard::LivesInContainer(name)));
    let hosts = hosts.into_iter();
    found.extend(hosts.map(|Host { service, key, .. }| Hazard::SharesNamespaceOf { service, key }));
    found.extend(sharers(name, project));
    if service.replicas == 1 {
        let shared =
            |mount: &&Mount| mount.source.as_ref().is_some_and(|source| is_shared(source, name, project));
        found.extend(raw.volumes.iter().filter(|mount| !shared(mount)).find_map(writable_volume));
        found.extend(scheduler(name, raw).map(Hazard::Scheduler));
    }
    found
}

/// Where images keep the program that they run.
const CODE: &[&str] = &[
    "/",
    "/app",
    "/code",
    "/opt/app",
    "/srv/app",
    "/usr/src/app",
    "/var/www",
    "/var/www/html",
    "/var/www/app",
];

/// Another service of the same image writes to it too: whoever wrote the file has decided that two may.
fn is_shared(source: &str, name: &str, project: &Project) -> bool {
    let file = &project.file;
    let Some(mine) = file.services.get(name).filter(|raw| keeper_of_data(raw).is_none()) else {
        return false;
    };
    let same_image = |other: &Service| match (&mine.image, &other.image) {
        (Some(mine), Some(other)) => mine == other,
        _ => mine.build.is_some() && mine.build == other.build,
    };
    // Where the program itself lies a new version changes what the old one runs from.
    let is_code = |target: &str| CODE.iter().any(|place| target.trim_end_matches('/') == *place);
    if mine.volumes.iter().any(|mount| mount.source.as_deref() == Some(source) && is_code(&mount.target)) {
        return false;
    }
    let writes = |other: &Service| {
        other.volumes.iter().any(|mount| mount.holds_data() && mount.source.as_deref() == Some(source))
    };
    // One that ends before the others begin shares nothing.
    let is_job = |other: &str| project.services.get(other).is_some_and(|service| service.is_job());
    file.services.iter().any(|(other, raw)| other != name && same_image(raw) && writes(raw) && !is_job(other))
}

/// The word by which a scheduler is known: of what it runs, else of its name.
fn scheduler(name: &str, service: &Service) -> Option<String> {
    const PARTS: &[&str] = &[
        "beat",
        "celerybeat",
        "clockwork",
        "cron",
        "crond",
        "ofelia",
        "rqscheduler",
        "schedule",
        "scheduler",
        "supercronic",
    ];
    let is_one = |word: &str| {
        let mut parts = word.split(['-', '_', ':', '.']);
        !word.starts_with('-') && parts.any(|part| PARTS.contains(&part)) || word == "--beat"
    };
    let programs = service.words().map(|word| word.rsplit('/').next().unwrap_or_default());
    programs.chain([name]).find(|word| is_one(word)).map(str::to_owned)
}

/// The obstacle that a port is, for so many replicas.
pub fn fixed_port(port: &Port, replicas: u32) -> Option<Hazard> {
    let published = port.published.as_deref().filter(|text| !text.is_empty() && *text != "0")?;
    let room = match published.split_once('-') {
        Some((from, to)) => to.parse::<u32>().ok()?.saturating_sub(from.parse().ok()?) + 1,
        None => 1,
    };
    let target = port.target.unwrap_or_default();
    (room < replicas.max(1) * 2).then(|| Hazard::FixedPort { published: published.to_owned(), target, room })
}

fn addresses(service: &Service) -> Vec<Hazard> {
    let mut found = Vec::new();
    found.extend(service.mac_address.clone().map(Hazard::MacAddress));
    for (network, attachment) in &service.networks {
        let Some(attachment) = attachment else { continue };
        for address in [&attachment.ipv4_address, &attachment.ipv6_address].into_iter().flatten() {
            found.push(Hazard::StaticAddress { network: network.clone(), address: address.clone() });
        }
        found.extend(attachment.mac_address.clone().map(Hazard::MacAddress));
    }
    found
}

fn sharers(name: &str, project: &Project) -> Vec<Hazard> {
    let of_one = |(other, raw): (&String, &Service)| {
        let (service, mut hosts) =
            (other.clone(), project.hosts_of(raw).into_iter().filter(|host| host.service == name));
        let Host { key, container, .. } = hosts.next()?;
        Some(match container {
            Some(Named { reference: id, is_id: true }) => Hazard::NamedById { service, key, id },
            named => Hazard::NamespaceSharedBy { service, key, by_name: named.is_some() },
        })
    };
    project.file.services.iter().filter_map(of_one).collect()
}

fn writable_volume(mount: &Mount) -> Option<Hazard> {
    let source = mount.source.clone().filter(|_| mount.holds_data())?;
    Some(Hazard::WritableVolume { source, target: mount.target.clone() })
}

/// Services that reach this one by a `links` name, although it has no alias that means all its containers. Inside the
/// linking container a link's name means one container (Compose 5.6.1, tried); an alias on a network means all.
pub fn linked_by<'f>(name: &str, file: &'f File) -> Vec<&'f str> {
    let has_alias = |attachment: &Attachment| !attachment.aliases.is_empty();
    if file.services.get(name).is_some_and(|raw| raw.networks.values().flatten().any(has_alias)) {
        return vec![];
    }
    let links = |other: &Service| other.links.iter().any(|link| link.split(':').next() == Some(name));
    file.services.iter().filter(|(_, other)| links(other)).map(|(other, _)| other.as_str()).collect()
}

/// The service run by a provider that this one depends on. Compose gives it that one's variables only when it calls the
/// provider in the same `up` (5.6.1, tried), and counts them in the hash on the label.
pub fn fed_by<'p>(service: &'p super::Service, project: &Project) -> Option<&'p str> {
    let is_provider = |name: &str| project.services.get(name).is_some_and(|other| other.is_provider());
    service.depends_on.iter().map(|dependency| dependency.service.as_str()).find(|name| is_provider(name))
}
