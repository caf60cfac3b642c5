//! What a run that was killed, or that could not finish its last words, has left half done beside the containers
//! themselves. It is set right before anything else, also when the plan finds nothing to do.

use super::{
    Crew,
    drain::{ask, give_back},
};
use crate::{
    event::{ContainerRef, Event},
    haproxy,
    observed::{Container, State},
    plan::{Means, Plan},
};

/// Returns whether anything was to be done.
pub fn heal(crew: &Crew, plan: &Plan) -> bool {
    let mut healed = heal_restart_policies(crew);
    let mut asked = Vec::new();
    for service in &plan.services {
        let Means::Haproxy { proxies, socket } = &service.means else { continue };
        for proxy in proxies {
            let one = (proxy, socket.as_deref());
            if !asked.contains(&one) {
                healed |= heal_proxy(crew, proxy, socket.as_deref());
                asked.push(one);
            }
        }
    }
    healed
}

/// A run that was killed just before it stopped an old container leaves it without its restart policy; if
/// that version is wanted again, nothing else would bring the policy back.
fn heal_restart_policies(crew: &Crew) -> bool {
    let mut healed = false;
    for container in crew.before.values() {
        let Some(service) = crew.model.services.get(&container.service) else { continue };
        let ours = container.config_hash == service.hash && container.state == State::Running;
        if ours && container.restart.name == "no" && service.restart != "no" {
            let id = std::slice::from_ref(&container.id);
            let message = match crew.docker.set_restart(id, &service.restart) {
                Ok(()) => {
                    format!("{} had lost its restart policy; it is {} again", container.name, service.restart)
                }
                Err(error) => format!("{} has lost its restart policy: {error}", container.name),
            };
            crew.emit(Event::Warning { service: Some(service.name.clone()), message });
            healed = true;
        }
    }
    healed
}

/// Slots that were left drained serve again: at once where a container of ours or none is in them, and where a
/// dead address still is, as soon as HAProxy has dropped it.
fn heal_proxy(crew: &Crew, proxy: &ContainerRef, socket: Option<&str>) -> bool {
    let Ok(servers) = ask(crew.docker, proxy, socket, haproxy::LOOK) else { return false };
    let ours: Vec<_> = crew.before.values().flat_map(Container::addresses).collect();
    let (free, dead) = haproxy::left_drained(&servers, &ours);
    if free.is_empty() && dead.is_empty() {
        return false;
    }
    let names: Vec<_> = free.iter().chain(&dead).map(|s| format!("{}/{}", s.backend, s.name)).collect();
    let names = names.join(", ");
    let healed = give_back(crew.docker, proxy, socket, free, false)
        .and_then(|()| give_back(crew.docker, proxy, socket, dead, true));
    let message = match healed {
        Ok(()) => format!("{names} had been left drained in {}; ready again", proxy.name),
        Err(error) => format!("{names} are left drained in {}: {error}", proxy.name),
    };
    crew.emit(Event::Warning { service: None, message });
    true
}
