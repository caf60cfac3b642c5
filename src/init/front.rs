//! A port of the machine that a proxy takes over from a service.

use std::fmt;

use super::{Kind, Wish};
use crate::{
    engine::config::{self, Port},
    project::Service,
};

/// Ports on which nobody speaks anything but HTTP. What listens elsewhere is passed on byte by byte, which is right for
/// everything, but for the visitors' addresses.
const WEB: &[u32] = &[80, 3000, 4000, 5000, 8000, 8080, 8081, 8088, 8888];
/// Beside the server-template of HAProxy, which has a slot for each: both generations need one.
const ROOM: u32 = 10;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Front {
    pub service: String,
    /// As a compose file has it, up to the container's port: `127.0.0.1:8080`.
    pub published: String,
    /// In the proxy's container.
    pub listen: u16,
    pub network: String,
    /// What means all containers of the service there.
    pub host: String,
    pub target: u32,
    pub http: bool,
    pub ipv6: bool,
    /// For so many containers.
    pub room: u32,
}

impl Front {
    /// `web:80`.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.target)
    }

    /// The name by which the proxy's configuration knows it.
    pub fn name(&self) -> String {
        format!("port-{}", self.listen)
    }
}

impl fmt::Display for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.http {
            true => "as HTTP, with the visitor's address in X-Forwarded-For",
            false => "as it comes, and the visitor's address is lost",
        };
        write!(f, "a proxy takes over {} and passes it on to its port {}, {how}", self.published, self.target)
    }
}

/// The front of a port that only one container can hold.
///
/// # Errors
/// No proxy can stand in front of it: why not.
pub fn front(wish: &Wish, service: &Service, port: &Port, taken: &mut Vec<u16>) -> Result<Front, String> {
    let published = port.published.as_deref().unwrap_or_default();
    let raw = &wish.project.file.services[&service.name];
    if port.protocol.as_deref().is_some_and(|protocol| protocol != "tcp") {
        return Err(format!("it stays held: host port {published} is UDP, which no proxy takes over"));
    }
    let number =
        published.parse().map_err(|_| format!("it stays held: {published} is a range of host ports"))?;
    let (target, http) = (port.target.unwrap_or_default(), speaks_http(raw, port));
    if wish.proxy == Kind::Caddy && !http {
        return Err(format!(
            "it stays held: Caddy passes HTTP only, and nobody knows that port {target} is that; take HAProxy or Traefik"
        ));
    }
    let Some((network, definition)) = network(wish, raw) else {
        return Err(format!(
            "it stays held: a proxy would find it by its name, and on network_mode {} there are none",
            raw.network_mode.as_deref().unwrap_or("none")
        ));
    };
    let is_shared = definition.is_some_and(|network| network.external);
    Ok(Front {
        service: service.name.clone(),
        published: shown(port, published),
        listen: free(number, taken),
        host: match is_shared {
            // Another project's service may have the same name there.
            true => format!("${{COMPOSE_PROJECT_NAME}}-{}", service.name),
            false => service.name.clone(),
        },
        network,
        target,
        http,
        ipv6: definition.is_some_and(|network| network.enable_ipv6 == Some(true)),
        room: ROOM.max(service.replicas * 2),
    })
}

/// The network on which the proxy reaches it: one from where ports can be published, and that other projects do not
/// share, where there is such.
fn network<'a>(wish: &Wish<'a>, raw: &config::Service) -> Option<(String, Option<&'a config::Network>)> {
    let definition = |name: &String| wish.project.file.networks.get(name).and_then(Option::as_ref);
    let all = raw.networks.keys().map(|name| (name.clone(), definition(name)));
    all.min_by_key(|(_, network)| {
        network.is_some_and(|n| n.internal) as u8 * 2 + network.is_some_and(|n| n.external) as u8
    })
}

fn shown(port: &Port, published: &str) -> String {
    match port.host_ip.as_deref() {
        None | Some("") => published.to_owned(),
        Some(address) if address.contains(':') => format!("[{address}]:{published}"),
        Some(address) => format!("{address}:{published}"),
    }
}

/// The same number as on the machine, unless it is taken on another address of it.
fn free(number: u16, taken: &mut Vec<u16>) -> u16 {
    let upwards = (number..=u16::MAX).chain(1024..number);
    let free = upwards.into_iter().find(|port| !taken.contains(port)).unwrap_or(number);
    taken.push(free);
    free
}

/// What is written says so, or everybody knows the port.
fn speaks_http(raw: &config::Service, port: &Port) -> bool {
    let target = port.target.unwrap_or_default();
    match port.app_protocol.as_deref() {
        Some(protocol) => protocol == "http",
        None => WEB.contains(&target) || is_checked_by_http(raw, target),
    }
}

/// Its healthcheck asks an address like `http://localhost:9000/health`.
fn is_checked_by_http(raw: &config::Service, port: u32) -> bool {
    let test = raw.healthcheck.as_ref().map(|check| check["test"].to_string()).unwrap_or_default();
    let asked = |rest: &str| {
        let host = rest.split(['/', '"', '\'', ' ', '\\', '|', ';', '?']).next().unwrap_or_default();
        host.rsplit_once(':').map_or(Some(80), |(_, port)| port.parse().ok())
    };
    test.split("http://").skip(1).any(|rest| asked(rest) == Some(port))
}
