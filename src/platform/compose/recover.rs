//! What a run that was killed, or that could not finish its last words, has left half done beside the containers
//! themselves. It is set right before anything else, also when the plan finds nothing to do.

use super::Observed;
use crate::{
    engine::{Engine, State},
    event::Event,
    plan::Plan,
    platform,
    project::Project,
    proxy,
    stage::Stage,
};

/// Returns whether anything was to be done.
pub fn recover(
    engine: &dyn Engine,
    project: &Project,
    observed: &Observed,
    plan: &Plan,
    stage: &Stage,
) -> bool {
    let policies = restart_policies(engine, project, observed, stage);
    let warn = |message| stage.emit(platform::warning(message));
    let proxies = proxy::recover(
        plan.services.iter().flat_map(|plan| &plan.ways),
        &observed.containers,
        &plan.heard,
        (engine, &stage.waiter),
        &warn,
    );
    policies || proxies
}

/// A run that was killed just before it stopped an old container leaves it without its restart policy; if
/// that version is wanted again, nothing else would bring the policy back.
fn restart_policies(engine: &dyn Engine, project: &Project, observed: &Observed, stage: &Stage) -> bool {
    let mut recovered = false;
    for container in &observed.containers {
        let Some(service) = project.services.get(&container.service) else { continue };
        let current = observed.wanted(service).is(container) && container.state == State::Running;
        if current && container.restart.name == "no" && service.restart != "no" {
            let message = match engine.set_restart(std::slice::from_ref(&container.id), &service.restart) {
                Ok(()) => {
                    format!("{} had lost its restart policy; it is {} again", container.name, service.restart)
                }
                Err(error) => format!("{} has lost its restart policy: {error}", container.name),
            };
            stage.emit(Event::Warning { service: Some(service.name.clone()), message });
            recovered = true;
        }
    }
    recovered
}
