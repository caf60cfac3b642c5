//! Asks Compose what the first `up` of each service would do. `--no-recreate` does not protect a container whose
//! network or volume definition changed (Compose 2.31 to 5.6.1: it is stopped), so this is found out first.

use std::{panic::resume_unwind, thread};

use super::{Compose, Observed, observe::whole};
use crate::{
    engine::{Effect, Preview, Progress, UpOptions},
    exit::Stop,
    plan::{Plan, Refusal, ServicePlan, Start, What},
    project::Project,
};

/// Each is a process with the whole project in its memory.
const AT_ONCE: usize = 4;

impl Compose {
    pub(super) fn preview(
        &self,
        project: &Project,
        observed: &Observed,
        plan: &mut Plan,
    ) -> Result<(), Stop> {
        let preview = |service: &mut ServicePlan| {
            let hooked = project.services[&service.service].hooks_at_the_start();
            let there = observed.containers.iter().filter(|c| c.service == service.service).count();
            if let Some(refusal) = self.preview_service(service, hooked, there as u32)? {
                service.block(refusal);
            }
            Ok(())
        };
        plan.services.chunks_mut(AT_ONCE).try_for_each(|some| {
            thread::scope(|scope| {
                let begun: Vec<_> = some.iter_mut().map(|one| scope.spawn(|| preview(one))).collect();
                let mut ended = begun.into_iter().map(|one| one.join());
                ended.try_for_each(|one| one.unwrap_or_else(|panic| resume_unwind(panic)))
            })
        })
    }

    fn preview_service(&self, plan: &ServicePlan, hooked: bool, there: u32) -> Result<Option<Refusal>, Stop> {
        let first = plan.operations.iter().find_map(|operation| match &operation.what {
            // Where nothing exists there is nothing to disturb; what it depends on may not exist yet either.
            What::Start { scale, how, count } if scale > count => Some((*scale, *how)),
            What::Create { scale, .. } => Some((*scale, Start::CreateThenStart)),
            // It may stop the old containers, but not take them off a network that it then cannot replace: on the way
            // back there would be no network to put them on.
            What::Recreate { .. } | What::Revive { .. } => Some((there, Start::Up)),
            _ => None,
        });
        let Some((scale, how)) = first else { return Ok(None) };
        let options = UpOptions {
            service: &plan.service,
            scale,
            keep_existing: true,
            // As in a preview of the whole project.
            create_only: hooked || how == Start::CreateThenStart,
            ..UpOptions::default()
        };
        let adds = plan
            .operations
            .iter()
            .any(|operation| matches!(operation.what, What::Start { .. } | What::Create { .. }));
        let preview = match self.docker.preview_up(&options) {
            // A dry run may fail, or say nothing, of what is stopped, crash-looping or left half recreated (Compose 5.6.1);
            // that must not be in the way of setting it right.
            Err(error) if !adds && !error.is_interrupted() => return Ok(None),
            preview => preview?,
        };
        Ok(diverged_volume(&preview).or_else(|| disturbance(&preview)))
    }

    /// What Compose has left to do, if anything.
    pub(super) fn left_to_compose(&self, project: &Project, plan: &Plan) -> Option<String> {
        // The dry run of a provider is none: Compose calls its plugin all the same (5.6.1).
        if project.has_provider() {
            return None;
        }
        let preview = self.docker.preview_all(&whole(project)).ok()?;
        // Compose would go by the tag that has moved.
        let planned: Vec<_> =
            plan.services.iter().filter(|s| s.asked && !self.pinned.contains_key(&s.service)).collect();
        let is_planned =
            |line: &Progress| planned.iter().any(|s| names_container_of(line, &plan.project, &s.service));
        let mut left =
            preview.steps.iter().filter(|line| !matches!(line.effect(), Effect::Leaves | Effect::Starts));
        left.find(|line| is_planned(line)).map(|line| {
            format!(
                "Compose does not agree yet: \"docker compose up\" would go on with \"{} {}\"",
                line.id, line.text
            )
        })
    }
}

/// `Container PROJECT-SERVICE-N`, as Compose names its steps; with `_` as its first version named containers.
fn names_container_of(line: &Progress, project: &str, service: &str) -> bool {
    let number = |separator: char| {
        let prefix = format!("Container {project}{separator}{service}{separator}");
        line.id.strip_prefix(&prefix).is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
    };
    number('-') || number('_')
}

fn diverged_volume(preview: &Preview) -> Option<Refusal> {
    let question = preview.questions.lines().find(|line| line.contains("doesn't match configuration"))?;
    let name = question.split('"').nth(1).unwrap_or("?");
    Some(Refusal {
        key: Some("volumes"),
        problem: format!(
            "the definition of volume \"{name}\" changed, and Compose could only replace it with an empty one"
        ),
        remedy: "restore the old definition, or give the new one another name".to_owned(),
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
            "restore the old definition, or recreate it in a maintenance window with \"docker compose up\""
                .to_owned(),
    })
}
