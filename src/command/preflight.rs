//! Asks Compose what the first `up` of each service would do. `--no-recreate` does not protect a container whose
//! network or volume definition changed (Compose 2.31 to 5.6.1: it is stopped), so this is found out first.

use super::Context;
use crate::{
    docker::UpOptions,
    exit::Stop,
    plan::{Plan, Refusal, ServicePlan, Start, Step},
};

/// What Compose may do to a container, a network or a volume without touching what serves.
const HARMLESS: &[&str] = &[
    "Creating", "Created", "Starting", "Started", "Running", "Waiting", "Healthy", "Skipped", "Exited",
];

impl Context {
    /// Adds a refusal to every service of the plan for which Compose would touch more than was planned.
    pub fn preflight(&self, plan: &mut Plan) -> Result<(), Stop> {
        for service in &mut plan.services {
            if let Some(refusal) = self.preview(service)? {
                service.refusals.push(refusal);
            }
        }
        Ok(())
    }

    fn preview(&self, service: &ServicePlan) -> Result<Option<Refusal>, Stop> {
        let first = service.steps.iter().find_map(|step| match step {
            Step::Start { scale, how, .. } => Some((*scale, *how)),
            _ => None,
        });
        let Some((scale, how)) = first else { return Ok(None) };
        let lines = self.docker.preview_up(&UpOptions {
            service: &service.service,
            scale,
            keep_existing: true,
            create_only: how == Start::CreateThenStart,
            force_recreate: false,
            stop_timeout: None,
        })?;
        let bad = lines.iter().find(|line| !line.id.is_empty() && !HARMLESS.contains(&line.text.as_str()));
        Ok(bad.map(|line| Refusal {
            key: None,
            problem: format!(
                "Compose would not leave the old containers alone (\"{} {}\"), because the definition of a network or volume changed",
                line.id, line.text
            ),
            remedy: "put the old definition back, or recreate it in a maintenance window with \"docker compose up\""
                .to_owned(),
        }))
    }
}
