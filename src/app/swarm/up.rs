//! `docker zdd up`, `plan` and `restart` on Swarm.

use super::{super::Context, Ready, refuse_flags};
use crate::{
    app::{
        deploy::{Errand, Onlookers},
        probe,
    },
    cli::{PlanArgs, PlanFormat, Planning, RestartArgs, UpArgs, Watching},
    event::Verdict,
    exit::{Exit, Stop},
    keep::Cause,
    plan::{Change, ServicePlan, What},
    platform::Platform,
};

/// Shows what `up` would do. Exit code 2 when it would refuse.
pub fn plan(context: &mut Context, args: &PlanArgs) -> Result<Exit, Stop> {
    let mut ready = context.dry_for_swarm(&args.planning)?;
    ready.swarm.preflight(&ready.project, &ready.observed, &mut ready.plan)?;
    if args.format == PlanFormat::Text {
        return Ok(context.print_plan(&ready.plan, ""));
    }
    context.print(&format!("{}\n", serde_json::to_string_pretty(&ready.plan).unwrap_or_default()));
    Ok(if ready.plan.refused() { Exit::Refused } else { Exit::Done })
}

/// The rollout.
pub fn up(context: &mut Context, args: &UpArgs) -> Result<Exit, Stop> {
    if context.flags.dry_run {
        let mut ready = context.dry_for_swarm(&args.planning)?;
        ready.swarm.preflight(&ready.project, &ready.observed, &mut ready.plan)?;
        return Ok(context.print_plan(&ready.plan, ""));
    }
    refuse_flags(&args.planning.pace)?;
    let (managers, draft, onlookers) = context.begin(&args.planning, &args.watching)?;
    let lock = context.lock(&*managers, &draft.name, &args.lock)?;
    let draft = match lock.was_waited_for {
        true => context.draft_again(&args.planning, &draft.name)?,
        false => draft,
    };
    context.check_not_interrupted()?;
    let ready = context.ready_for_swarm(&managers, draft, &args.planning, false)?;
    context.carry_out_on_swarm(ready, &Errand::default(), onlookers, Some(lock))
}

/// Replaces all tasks with new ones of the same definition.
pub fn restart(context: &mut Context, args: &RestartArgs) -> Result<Exit, Stop> {
    let mut planning = args.planning();
    refuse_flags(&planning.pace)?;
    let (managers, draft, onlookers) = context.begin(&planning, &args.watching)?;
    let lock = context.lock_unless_dry(&*managers, &draft.name, &args.lock)?;
    if planning.services.is_empty() {
        let serving = draft.services.values().filter(|s| !s.is_job());
        planning.services = serving.map(|service| service.name.clone()).collect();
    }
    planning.force_recreate = true;
    // What its tag means by now is a change.
    planning.pull = None;
    let mut ready = context.ready_for_swarm(&managers, draft, &planning, true)?;
    refuse_changes(&ready)?;
    if context.flags.dry_run {
        ready.swarm.preflight(&ready.project, &ready.observed, &mut ready.plan)?;
        return Ok(context.print_plan(&ready.plan, ""));
    }
    let errand = Errand { cause: Cause::Restart, origin: None };
    context.carry_out_on_swarm(ready, &errand, onlookers, lock)
}

/// A restart deploys no change.
fn refuse_changes(ready: &Ready) -> Result<(), Stop> {
    let restarts = |plan: &ServicePlan| {
        plan.operations.iter().any(|op| matches!(op.what, What::Deploy { change: Change::Restart, .. }))
    };
    let differs = |plan: &&ServicePlan| plan.asked && plan.verdict != Verdict::Unchanged && !restarts(plan);
    let differing: Vec<_> = ready.plan.services.iter().filter(differs).collect();
    let differing: Vec<_> = differing.iter().map(|p| format!("{} ({})", p.service, p.reason)).collect();
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

type Begun = (std::sync::Arc<crate::platform::swarm::Managers>, crate::project::Project, Onlookers);

impl Context {
    /// Reads the files, and finds the managers.
    fn begin(&mut self, planning: &Planning, watching: &Watching) -> Result<Begun, Stop> {
        self.say_loading();
        let page = self.open_page(watching)?;
        let draft = self.draft(planning)?;
        let probe = probe::wanted(&watching.probe, &draft.probe)?;
        let managers = self.managers(&draft.swarm.contexts)?;
        self.check_not_interrupted()?;
        Ok((managers, draft, Onlookers { page, probe }))
    }

    fn dry_for_swarm(&mut self, planning: &Planning) -> Result<Ready, Stop> {
        refuse_flags(&planning.pace)?;
        let draft = self.draft(planning)?;
        let managers = self.managers(&draft.swarm.contexts)?;
        self.ready_for_swarm(&managers, draft, planning, true)
    }
}
