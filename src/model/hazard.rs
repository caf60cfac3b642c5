//! Why two generations of a service cannot live side by side.

use std::{collections::BTreeMap, fmt};

use super::compose::{Mount, Port, Service};

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
    /// This service lives in a namespace of another service's container.
    SharesNamespaceOf {
        service: String,
        key: &'static str,
    },
    /// Another service lives in a namespace, or on the volumes, of this one's container.
    NamespaceSharedBy {
        service: String,
        key: &'static str,
    },
    /// One replica that writes to a volume: most likely a database.
    WritableVolume {
        source: String,
        target: String,
    },
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

    /// The key of the service in which the obstacle is written.
    pub fn key(&self) -> &'static str {
        match self {
            Hazard::FixedPort { .. } => "ports",
            Hazard::ContainerName(_) => "container_name",
            Hazard::StaticAddress { .. } => "networks",
            Hazard::MacAddress(_) => "mac_address",
            Hazard::HostNetwork => "network_mode",
            Hazard::SharesNamespaceOf { key, .. } | Hazard::NamespaceSharedBy { key, .. } => key,
            Hazard::WritableVolume { .. } => "volumes",
        }
    }

    /// What to write instead, as an imperative clause.
    pub fn remedy(&self) -> String {
        match self {
            Hazard::FixedPort { published, target, .. } => format!(
                "let a proxy publish {published} and write only \"{target}\" here, or a range with room for twice the replicas"
            ),
            Hazard::ContainerName(_) => "remove container_name".to_owned(),
            Hazard::StaticAddress { .. } => "remove the address and use the service's name".to_owned(),
            Hazard::MacAddress(_) => "remove mac_address".to_owned(),
            Hazard::HostNetwork => "use a bridge network and publish the port by a proxy".to_owned(),
            Hazard::SharesNamespaceOf { .. } | Hazard::NamespaceSharedBy { .. } => {
                "give each service its own namespace, on one network".to_owned()
            }
            Hazard::WritableVolume { .. } => {
                "end the volume with \":ro\" if it only reads, or write \"x-zdd: {strategy: rolling}\" if two may write at once"
                    .to_owned()
            }
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
            Hazard::SharesNamespaceOf { service, key } => {
                write!(f, "it lives in a container of \"{service}\" ({key})")
            }
            Hazard::NamespaceSharedBy { service, key } => {
                write!(f, "\"{service}\" lives in its container ({key})")
            }
            Hazard::WritableVolume { source, target } => write!(
                f,
                "its only replica writes to volume \"{source}\" at {target}, and two generations would write at once"
            ),
        }
    }
}

/// Every obstacle of a service, in the order of its keys.
pub fn hazards(name: &str, service: &Service, all: &BTreeMap<String, Service>, replicas: u32) -> Vec<Hazard> {
    let mut found = Vec::new();
    found.extend(service.container_name.clone().map(Hazard::ContainerName));
    found.extend(service.ports.iter().filter_map(|port| fixed_port(port, replicas)));
    found.extend(addresses(service));
    found.extend((service.network_mode.as_deref() == Some("host")).then_some(Hazard::HostNetwork));
    found.extend(namespaces_of_others(service));
    found.extend(sharers(name, all));
    if replicas == 1 {
        found.extend(service.volumes.iter().find_map(writable_volume));
    }
    found
}

fn fixed_port(port: &Port, replicas: u32) -> Option<Hazard> {
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

/// The services in whose containers this one lives, with the key that says so.
fn parents(service: &Service) -> Vec<(String, &'static str)> {
    let modes = [("network_mode", &service.network_mode), ("ipc", &service.ipc), ("pid", &service.pid)];
    let modes = modes.into_iter().filter_map(|(key, mode)| {
        let parent = mode.as_deref()?.strip_prefix("service:")?;
        Some((parent.to_owned(), key))
    });
    let volumes = service.volumes_from.iter().filter(|from| !from.starts_with("container:"));
    let volumes = volumes.map(|from| (from.split(':').next().unwrap_or(from).to_owned(), "volumes_from"));
    modes.chain(volumes).collect()
}

/// Whether its containers live in namespaces, or on volumes, of another service's container.
pub fn lives_in_another(service: &Service) -> bool {
    !parents(service).is_empty()
}

fn namespaces_of_others(service: &Service) -> impl Iterator<Item = Hazard> {
    parents(service).into_iter().map(|(service, key)| Hazard::SharesNamespaceOf { service, key })
}

fn sharers(name: &str, all: &BTreeMap<String, Service>) -> Vec<Hazard> {
    let of_one = |(other, service): (&String, &Service)| {
        let key = parents(service).into_iter().find(|(parent, _)| parent == name)?.1;
        Some(Hazard::NamespaceSharedBy { service: other.clone(), key })
    };
    all.iter().filter_map(of_one).collect()
}

fn writable_volume(mount: &Mount) -> Option<Hazard> {
    let source = mount.source.clone().filter(|_| mount.holds_data())?;
    Some(Hazard::WritableVolume { source, target: mount.target.clone() })
}
