//! By what means old containers leave the proxy, chosen from what is written and what runs.

use serde::Serialize;

use super::{Observed, ServicePlan, Step, program, traefik, unhealthy};
use crate::{
    event::ContainerRef,
    model::{Drain, Service, Until, settings::Order},
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
            let note = proxies.is_empty().then(|| nothing_found(proxy.as_deref()));
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

fn nothing_found(named: Option<&str>) -> String {
    match named {
        Some(_) => "drain: no container runs HAProxy now, so nothing is drained".to_owned(),
        None => "drain: no container on its networks is known to run HAProxy, so nothing is drained; if one does, write \"x-zdd: {drain: {until: haproxy, service: NAME}}\"".to_owned(),
    }
}

/// The running HAProxy containers that can reach the service: those of the named service, or those whose image
/// or program says so.
fn haproxies(service: &str, named: Option<&str>, observed: &Observed) -> Vec<ContainerRef> {
    let networks = |c: &Container| c.networks.keys().cloned().collect::<Vec<_>>();
    let own: Vec<String> =
        observed.containers.iter().filter(|c| c.service == service).flat_map(networks).collect();
    let shares_network = |c: &Container| c.networks.keys().any(|network| own.contains(network));
    let is_proxy = |c: &Container| match named {
        Some(name) => c.service == name,
        None => c.service != service && runs_haproxy(c),
    };
    let running = observed.containers.iter().filter(|c| c.state == State::Running);
    running.filter(|c| is_proxy(c) && shares_network(c)).map(Container::reference).collect()
}

/// An image of it, or one made from it: its entrypoint is a script then, and the image may have any name.
fn runs_haproxy(container: &Container) -> bool {
    let image = container.image.rsplit('/').next().unwrap_or_default();
    image.contains("haproxy") && !image.contains("exporter") || program::runs(&container.command, "haproxy")
}

/// What may go wrong while old containers leave and new ones serve, and what to write instead.
pub fn notes(service: &Service, plan: &ServicePlan, observed: &Observed) -> Vec<String> {
    let goes = |c: &&Container| {
        plan.steps.iter().any(|step| {
            matches!(step, Step::Drain { containers, .. } if containers.iter().any(|leaving| leaving.id == c.id))
        })
    };
    let leaving: Vec<_> = observed.containers.iter().filter(goes).collect();
    let mut notes = match plan.means {
        Means::Unhealthy => unhealthy::notes(service, &leaving),
        _ => vec![],
    };
    notes.extend(forgotten(service, plan, &leaving));
    if side_by_side(service, plan) {
        notes.extend(traefik::conflict(service, &leaving));
    }
    notes
}

/// Whether old and new containers run at the same time.
fn side_by_side(service: &Service, plan: &ServicePlan) -> bool {
    match service.settings.order {
        Order::StartFirst => plan.batches() > 0,
        Order::StopFirst => plan.batches() > 1,
    }
}

/// Nothing is written, and nothing that is known by itself takes them out of the proxy.
fn forgotten(service: &Service, plan: &ServicePlan, leaving: &[&Container]) -> Option<String> {
    let nothing = plan.means == Means::Nothing && service.settings.drain == Drain::default();
    (nothing && leaving.iter().any(|c| traefik::finds(&c.labels))).then(|| {
        "drain: Traefik goes on sending requests to a container that is being stopped; write a pre_stop hook that makes its healthcheck fail and \"x-zdd: {settle: 3s, drain: {until: unhealthy, plus: 3s}}\", or \"x-zdd: {drain: none}\" if those may fail".to_owned()
    })
}
