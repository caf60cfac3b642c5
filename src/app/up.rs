//! `docker zdd up`, `docker zdd plan` and `docker zdd restart`.

use super::{
    Context,
    deploy::{Errand, Ready},
};
use crate::{
    cli::{PlanArgs, PlanFormat, Planning, RestartArgs, UpArgs},
    event::Verdict,
    exit::{Exit, Stop},
    helper::Purpose,
    keep::Cause,
    plan::ServicePlan,
    platform::Platform,
};

/// Shows what `up` would do. Exit code 2 when it would refuse.
pub fn plan(context: &mut Context, args: &PlanArgs) -> Result<Exit, Stop> {
    let mut ready = context.dry(&args.planning)?;
    if args.format == PlanFormat::Text {
        return context.show_plan(ready, "");
    }
    context.platform.preflight(&ready.project, &ready.observed, &mut ready.plan)?;
    context.print(&format!("{}\n", serde_json::to_string_pretty(&ready.plan).unwrap_or_default()));
    Ok(if ready.plan.refused() { Exit::Refused } else { Exit::Done })
}

/// The rollout.
pub fn up(context: &mut Context, args: &UpArgs) -> Result<Exit, Stop> {
    if context.flags.dry_run {
        let ready = context.dry(&args.planning)?;
        return context.show_plan(ready, "");
    }
    let docker = context.docker().clone();
    let (project, onlookers, lock) =
        context.load_alone(&docker, &args.planning, &args.watching, &args.lock)?;
    let ready = context.ready(project, &args.planning, false)?;
    context.carry_out(ready, &args.planning, &Errand::default(), onlookers, lock)
}

/// Replaces containers with new ones of the same version.
pub fn restart(context: &mut Context, args: &RestartArgs) -> Result<Exit, Stop> {
    let mut planning = args.planning();
    let docker = context.docker().clone();
    let (project, onlookers, lock) = context.load_alone(&docker, &planning, &args.watching, &args.lock)?;
    if planning.services.is_empty() {
        // A job has run; to run it again is to be asked for by its name.
        let serving = project.services.values().filter(|s| !s.is_job() && !s.is_provider());
        planning.services = serving.map(|service| service.name.clone()).collect();
    }
    let mut ready = context.ready(project, &planning, context.flags.dry_run)?;
    refuse_changes(&ready, &planning)?;
    ready.request.force = true;
    context.plan_anew(&mut ready);
    if context.flags.dry_run {
        return context.show_plan(ready, "");
    }
    let errand = Errand { cause: Cause::Restart, origin: None };
    context.carry_out(ready, &planning, &errand, onlookers, lock)
}

/// A restart deploys no change: neither a definition, nor an image, nor a count.
fn refuse_changes(ready: &Ready, planning: &Planning) -> Result<(), Stop> {
    let asked = ready.plan.services.iter().filter(|plan| planning.services.contains(&plan.service));
    let differs = |plan: &&ServicePlan| match plan.verdict {
        Verdict::Unchanged | Verdict::Blocked => false,
        Verdict::Scale => plan.before.iter().all(|replica| replica.is_up()),
        Verdict::Create => !plan.wanted.is_job(),
        Verdict::Settings | Verdict::Roll | Verdict::Hold | Verdict::Recreate => true,
    };
    let differing: Vec<_> =
        asked.filter(differs).map(|plan| format!("{} ({})", plan.service, plan.reason)).collect();
    match differing.is_empty() {
        true => Ok(()),
        false => Err(Stop::new(
            Exit::Refused,
            format!(
                "a restart deploys no change, and what runs is not what the file says: {}; nothing was touched",
                differing.join(", ")
            ),
        )
        .hint("\"docker zdd diff\" shows what changed, \"docker zdd up\" deploys it")),
    }
}

impl Context {
    fn dry(&mut self, planning: &Planning) -> Result<Ready, Stop> {
        let (draft, hashes) = self.draft_and_hashes(planning)?;
        self.begin_helpers(&draft, Purpose::Plan);
        let project = self.complete(draft, hashes)?;
        self.ready(project, planning, true)
    }
}
