//! What the user asked for, what is there, and the plan that follows.

use std::collections::{BTreeMap, BTreeSet};

use super::{Context, images::Work};
use crate::{
    cli::Planning,
    docker::{Effect, Version},
    exit::{Exit, Stop},
    model::{Model, Service},
    observed::Container,
    plan::{self, Observed, Plan, Request},
};

/// A model with what was found, ready to be carried out.
pub struct Ready {
    pub model: Model,
    pub observed: Observed,
    /// What the plan follows from, beside the two above.
    pub request: Request,
    pub plan: Plan,
}

impl Context {
    /// Builds and pulls unless `dry`, observes and plans.
    pub fn ready(&self, model: Model, planning: &Planning, dry: bool) -> Result<Ready, Stop> {
        let mut images = self.image_ids(&model)?;
        let work = Work::decide(&scope(&model, planning), planning, &images);
        if !dry && !work.is_empty() {
            self.prepare(&work)?;
            images = self.image_ids(&model)?;
        }
        let containers = self.docker.containers(None)?;
        let outdated = self.outdated(&model, &containers);
        let observed = Observed { containers, images, outdated };
        let pending = if dry { work } else { Work::default() };
        let request = self.request(&model, &observed, planning, pending)?;
        let plan = plan::plan(&model, &observed, &request);
        require_images(&model, &observed, &request, &plan)?;
        Ok(Ready { model, observed, request, plan })
    }

    /// Compose's own opinion of which containers are out of date, where hashes cannot be compared.
    pub fn outdated(&self, model: &Model, containers: &[Container]) -> BTreeMap<String, BTreeSet<String>> {
        self.ask_outdated(model, containers).unwrap_or_default()
    }

    fn ask_outdated(
        &self,
        model: &Model,
        containers: &[Container],
    ) -> Option<BTreeMap<String, BTreeSet<String>>> {
        let unclear = |c: &&Container| {
            let service = model.services.get(&c.service);
            service.is_some_and(|s| {
                s.hash != c.config_hash
                    && (s.hash_is_resolved || self.compose_version < HASHES_ENV_FILES_RIGHT)
            })
        };
        let unclear: Vec<&Container> = containers.iter().filter(unclear).collect();
        // A dry run of the whole project would call the plugins of its providers.
        if unclear.is_empty() || model.services.values().any(|service| service.provider) {
            return None;
        }
        let preview = self.docker.preview_all(model).ok()?;
        let touched = preview.steps.iter().filter(|step| step.effect() == Effect::Disturbs);
        let touched: BTreeSet<_> = touched.filter_map(|step| step.id.strip_prefix("Container ")).collect();
        let mut outdated = BTreeMap::new();
        for container in unclear {
            let names: &mut BTreeSet<String> = outdated.entry(container.service.clone()).or_default();
            names.extend(touched.contains(container.name.as_str()).then(|| container.name.clone()));
        }
        Some(outdated)
    }

    fn request(
        &self,
        model: &Model,
        observed: &Observed,
        planning: &Planning,
        pending: Work,
    ) -> Result<Request, Stop> {
        let orphans_by_habit = !planning.as_deployed && env_is_true("COMPOSE_REMOVE_ORPHANS");
        let foreign = observed.containers.iter().any(|c| !model.services.contains_key(&c.service));
        Ok(Request {
            services: planning.services.clone(),
            no_deps: planning.no_deps,
            force: planning.force_recreate,
            allow_downtime: planning.pace.allow_downtime,
            remove_orphans: planning.remove_orphans || orphans_by_habit,
            pending_images: pending.build.into_iter().chain(pending.pull).collect(),
            dormant: if foreign { self.dormant(model)? } else { BTreeSet::new() },
        })
    }
}

/// Compose is told neither to build nor to pull, so what is missing and not about to come stays missing.
fn require_images(model: &Model, observed: &Observed, request: &Request, plan: &Plan) -> Result<(), Stop> {
    let lacks_image = |plan: &&plan::ServicePlan| {
        let there = observed.images.contains_key(&plan.service);
        !plan.steps.is_empty() && !there && !request.pending_images.contains(&plan.service)
    };
    match plan.services.iter().find(lacks_image) {
        None => Ok(()),
        Some(plan) => {
            let service = &model.services[&plan.service];
            let message =
                format!("service {}: there is no image {} on the engine", service.name, service.image);
            Err(Stop::new(Exit::Error, message).hint("build or pull it: --build, --pull missing"))
        }
    }
}

/// Up to here `config --hash` is wrong for a service with an `env_file` (docker/compose#14001).
const HASHES_ENV_FILES_RIGHT: Version = Version(5, 5, 0);

/// The services that the request may start: the named ones and what they depend on, or all.
fn scope<'m>(model: &'m Model, planning: &Planning) -> Vec<&'m Service> {
    if planning.services.is_empty() {
        return model.services.values().collect();
    }
    let names = plan::reach(model, &planning.services, planning.no_deps);
    names.iter().filter_map(|name| model.services.get(name)).collect()
}

pub fn env_is_true(key: &str) -> bool {
    std::env::var(key).is_ok_and(|text| matches!(text.to_ascii_lowercase().as_str(), "1" | "true" | "t"))
}
