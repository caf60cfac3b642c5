//! By what means old containers leave the proxy, chosen from what is written and what runs.

use serde::Serialize;

use super::Observed;
use crate::{
    event::ContainerRef,
    model::{Drain, Until},
    observed::{Container, State},
};

/// The means, with all that is needed to use it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Means {
    #[default]
    Nothing,
    /// Docker's own word, for proxies that read it.
    Unhealthy,
    /// The runtime API of these HAProxy containers.
    Haproxy { proxies: Vec<ContainerRef>, socket: Option<String> },
}

/// The means for a service, and what the user should know of the choice.
pub fn choose(service: &str, drain: &Drain, observed: &Observed) -> (Means, Option<String>) {
    match &drain.until {
        Until::Now => (Means::Nothing, None),
        Until::Unhealthy => (Means::Unhealthy, None),
        Until::Auto => match haproxies(service, None, observed) {
            proxies if proxies.is_empty() => (Means::Nothing, None),
            proxies => (Means::Haproxy { proxies, socket: None }, None),
        },
        Until::Haproxy { service: proxy, socket } => {
            let proxies = haproxies(service, proxy.as_deref(), observed);
            let note = proxies
                .is_empty()
                .then(|| "drain: no container runs HAProxy now, so nothing is drained".to_owned());
            (
                if proxies.is_empty() {
                    Means::Nothing
                } else {
                    Means::Haproxy { proxies, socket: socket.clone() }
                },
                note,
            )
        }
    }
}

/// The running HAProxy containers that can reach the service: those of the named service, or those whose image
/// or program says so.
fn haproxies(service: &str, named: Option<&str>, observed: &Observed) -> Vec<ContainerRef> {
    let networks = |c: &Container| c.addresses.keys().cloned().collect::<Vec<_>>();
    let own: Vec<String> =
        observed.containers.iter().filter(|c| c.service == service).flat_map(networks).collect();
    let shares_network = |c: &Container| c.addresses.keys().any(|network| own.contains(network));
    let is_proxy = |c: &Container| match named {
        Some(name) => c.service == name,
        None => c.service != service && (c.image.contains("haproxy") || c.program.ends_with("haproxy")),
    };
    let running = observed.containers.iter().filter(|c| c.state == State::Running);
    running.filter(|c| is_proxy(c) && shares_network(c)).map(Container::reference).collect()
}
