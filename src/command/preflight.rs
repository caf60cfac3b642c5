//! Asks Compose what the first `up` of each service would do. `--no-recreate` does not protect a container whose
//! network or volume definition changed (Compose 2.31 to 5.6.1: it is stopped), so this is found out first.

use std::time::Duration;

use super::{Context, planning::Ready};
use crate::{
    docker::{Effect, Preview, Progress, UpOptions},
    event::{Event, Verdict},
    exit::Stop,
    model::{Model, separator},
    plan::{Plan, Refusal, ServicePlan, Start, Step},
};

impl Context {
    /// Adds a refusal to every service of the plan for which Compose would touch more than was planned.
    pub fn preflight(&self, ready: &mut Ready) -> Result<(), Stop> {
        let Ready { model, observed, plan, .. } = ready;
        for service in &mut plan.services {
            let hooked = model.services[&service.service].hooks_at_the_start();
            let there = observed.containers.iter().filter(|c| c.service == service.service).count();
            if let Some(refusal) = self.preview(service, hooked, there as u32)? {
                service.verdict = Verdict::Blocked;
                service.reason = "cannot be done as written".to_owned();
                service.steps.clear();
                service.refusals.push(refusal);
            }
        }
        Ok(())
    }

    fn preview(&self, service: &ServicePlan, hooked: bool, there: u32) -> Result<Option<Refusal>, Stop> {
        let first = service.steps.iter().find_map(|step| match step {
            // Where nothing exists there is nothing to disturb; what it depends on may not exist yet either.
            Step::Start { scale, how, count, .. } if scale > count => Some((*scale, *how)),
            // It may stop the old containers, but not take them off a network that it then cannot replace: on the way
            // back there would be no network to put them on.
            Step::Recreate { .. } | Step::Revive { .. } => Some((there, Start::Up)),
            _ => None,
        });
        let Some((scale, how)) = first else { return Ok(None) };
        let options = UpOptions {
            service: &service.service,
            scale,
            keep_existing: true,
            // As in `preview_all`.
            create_only: hooked || how == Start::CreateThenStart,
            force_recreate: false,
            stop_timeout: None,
            grace: Duration::ZERO,
        };
        let adds = service.steps.iter().any(|step| matches!(step, Step::Start { .. }));
        let preview = match self.docker.preview_up(&options) {
            // A dry run may fail, or say nothing, of what is stopped, crash-looping or left half recreated (Compose 5.6.1);
            // that must not be in the way of mending it.
            Err(error) if !adds && !error.is_interrupted() => return Ok(None),
            preview => preview?,
        };
        Ok(diverged_volume(&preview).or_else(|| disturbance(&preview)))
    }

    /// Asks whether Compose has anything left to do, and says so if it has.
    pub fn check_agreement(&self, model: &Model, plan: &Plan) {
        // The dry run of a provider is none: Compose calls its plugin all the same (5.6.1).
        if model.services.values().any(|service| service.provider) {
            return;
        }
        let Ok(preview) = self.docker.preview_all(model) else { return };
        // Compose would go by the tag that has moved.
        let planned = |line: &&Progress| {
            let mut services =
                plan.services.iter().filter(|s| s.asked && !self.pinned.contains_key(&s.service));
            services
                .any(|s| names_container_of(line, &plan.project, &s.service, separator(self.compatible())))
        };
        let left: Vec<_> = preview
            .steps
            .iter()
            .filter(|line| !matches!(line.effect(), Effect::Leaves | Effect::Starts))
            .filter(planned)
            .collect();
        if let Some(line) = left.first() {
            let message = format!(
                "Compose does not agree yet: \"docker compose up\" would go on with \"{} {}\"",
                line.id, line.text
            );
            self.tell(Event::Warning { service: None, message });
        }
    }
}

/// `Container PROJECT-SERVICE-N`, as Compose names its steps.
fn names_container_of(line: &Progress, project: &str, service: &str, separator: char) -> bool {
    let prefix = format!("Container {project}{separator}{service}{separator}");
    line.id.strip_prefix(&prefix).is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
}

fn diverged_volume(preview: &Preview) -> Option<Refusal> {
    let question = preview.questions.lines().find(|line| line.contains("doesn't match configuration"))?;
    let name = question.split('"').nth(1).unwrap_or("?");
    Some(Refusal {
        key: Some("volumes"),
        problem: format!(
            "the definition of volume \"{name}\" changed, and Compose could only replace it with an empty one"
        ),
        remedy: "put the old definition back, or give the new one another name".to_owned(),
    })
}

fn disturbance(preview: &Preview) -> Option<Refusal> {
    let harmless =
        |line: &Progress| matches!(line.effect(), Effect::Leaves | Effect::Starts | Effect::Creates);
    // Others are images, and models that Compose configures.
    let concerns =
        |line: &Progress| ["Container ", "Network ", "Volume "].iter().any(|kind| line.id.starts_with(kind));
    let bad = preview.steps.iter().find(|line| concerns(line) && !harmless(line))?;
    Some(Refusal {
        key: Some("networks"),
        problem: format!(
            "Compose would not leave the old containers alone (\"{} {}\"), because the definition of one of its networks changed",
            bad.id, bad.text
        ),
        remedy:
            "put the old definition back, or recreate it in a maintenance window with \"docker compose up\""
                .to_owned(),
    })
}
