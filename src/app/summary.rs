//! The last sentence of a rollout: what happened and what serves now. Pure.

use crate::{
    engine::{Contact, ContainerRef},
    event::{Generation, Outcome},
    execute::ServiceResult,
    exit::Exit,
    keep::Cause,
    plan::{Plan, ServicePlan},
    text::{duration, join, verb},
};

/// What is said of an engine that has left, and of its coming back.
pub fn contact(contact: Contact) -> String {
    match contact {
        Contact::Lost { limit } => {
            format!("the engine does not answer any more; waiting for it, at most {}", duration::show(limit))
        }
        Contact::Found { after } => {
            format!("the engine answers again; it was away for {:.1}s", after.as_secs_f64())
        }
    }
}

pub struct End {
    pub exit: Exit,
    pub message: String,
    pub hint: Option<String>,
}

/// The worst outcome decides the exit code; every service that did not end well is named.
pub fn end(plan: &Plan, results: &[ServiceResult], interrupted: bool, cause: Cause, touched: bool) -> End {
    let exit = exit(results, interrupted);
    let done = results.iter().filter(|r| r.outcome == Outcome::Done);
    let done: Vec<_> = done.map(|r| r.service.as_str()).collect();
    let mut sentences: Vec<String> = results
        .iter()
        .filter(|result| !result.outcome.is_good())
        .map(|r| sentence(r, &tried(plan, r, cause), plan))
        .collect();
    if !done.is_empty() {
        let done: Vec<_> = done.iter().map(|name| format!("{name}{}", change(plan, name))).collect();
        sentences.insert(0, format!("{} {}", verb(&done, "is", "are"), now(cause)));
    }
    sentences.extend(results.iter().filter_map(hooks_left));
    sentences.extend(results.iter().filter_map(downtime));
    if sentences.is_empty() {
        let rest = if touched { "" } else { "; nothing was touched" };
        sentences.push(format!("project {} is {}{rest}", plan.project, now(cause)));
    }
    End { exit, message: sentences.join("; "), hint: hint(exit, results, cause) }
}

/// What ran before is there to go back to.
pub fn with_first(end: End) -> End {
    let hint = "what ran before is kept as revision 0; \"docker zdd rollback\" goes back to it";
    match end.hint {
        None if end.exit == Exit::Done => End { hint: Some(hint.to_owned()), ..end },
        _ => end,
    }
}

/// The probe's limit may have been passed when there was nothing left to go back to.
pub fn with_alarm(end: End, alarm: Option<String>) -> End {
    match alarm {
        Some(alarm) if end.exit == Exit::Done => End {
            exit: Exit::RollbackFailed,
            message: format!("{}; but {alarm}, when the old containers were gone", end.message),
            hint: Some("\"docker zdd rollback\" goes back to the version before".to_owned()),
        },
        _ => end,
    }
}

fn now(cause: Cause) -> String {
    match cause {
        Cause::Up | Cause::Found => "up to date".to_owned(),
        Cause::Restart => "restarted".to_owned(),
        Cause::Rollback(number) => format!("back at revision {number}"),
    }
}

fn exit(results: &[ServiceResult], interrupted: bool) -> Exit {
    let any = |outcome: Outcome| results.iter().any(|result| result.outcome == outcome);
    if any(Outcome::RollbackFailed) {
        Exit::RollbackFailed
    } else if any(Outcome::RolledBack) || any(Outcome::Paused) || any(Outcome::Partial) {
        Exit::Failed
    } else if interrupted {
        Exit::Interrupted
    } else {
        Exit::Done
    }
}

fn planned<'p>(plan: &'p Plan, service: &str) -> Option<&'p ServicePlan> {
    plan.services.iter().find(|plan| plan.service == service)
}

/// ` (v1 → v2)`
fn change(plan: &Plan, service: &str) -> String {
    planned(plan, service).map(|one| plan.versions(one).behind(one.verdict)).unwrap_or_default()
}

/// What a rollout has tried to bring into service.
fn tried(plan: &Plan, result: &ServiceResult, cause: Cause) -> String {
    let replicas = planned(plan, &result.service).map(|plan| plan.replicas);
    match cause {
        Cause::Up | Cause::Found => "the new version".to_owned(),
        Cause::Restart if replicas == Some(1) => "the new container".to_owned(),
        Cause::Restart => "the new containers".to_owned(),
        Cause::Rollback(number) => format!("revision {number}"),
    }
}

fn sentence(result: &ServiceResult, tried: &str, plan: &Plan) -> String {
    let name = &result.service;
    // Why stands above it, with the details.
    let container = result.failure.as_ref().and_then(|failure| failure.container.as_ref());
    let is_new = |one: &&ServicePlan| !container.is_some_and(|c| one.before.iter().any(|old| old.id == c.id));
    let version = planned(plan, name).filter(is_new).and_then(|one| plan.versions(one).of(Generation::New));
    let which: Vec<_> = container.map(|c| c.name.clone()).into_iter().chain(version).collect();
    let failed =
        if which.is_empty() { "failed".to_owned() } else { format!("failed ({})", which.join(", ")) };
    let serving = serving(result.serving.as_deref(), planned(plan, name).map(|one| (plan, one)));
    match result.outcome {
        Outcome::RolledBack => format!("{name}: {tried} {failed}; {serving}"),
        Outcome::Paused => format!("{name}: paused, because {tried} {failed}; {serving}"),
        Outcome::Partial => format!("{name}: part of {tried} failed; {serving}"),
        Outcome::RollbackFailed => format!("{name}: {tried} {failed}, and so did the rollback; {serving}"),
        Outcome::Interrupted if !result.left.is_empty() => {
            let left = verb(&names(&result.left), "is", "are");
            format!("{name}: aborted; {left} left as is")
        }
        Outcome::Interrupted => format!("{name}: interrupted; {serving}"),
        Outcome::Skipped => format!("{name}: not started"),
        Outcome::Done | Outcome::Unchanged => String::new(),
    }
}

fn hooks_left(result: &ServiceResult) -> Option<String> {
    let (service, names) = (&result.service, join(&names(&result.findings.hooks_left)));
    (!names.is_empty())
        .then(|| format!("the pre_start hook of {service} still runs in {names}; the next run waits for it"))
}

fn names(containers: &[ContainerRef]) -> Vec<&str> {
    containers.iter().map(|container| container.name.as_str()).collect()
}

fn downtime(result: &ServiceResult) -> Option<String> {
    let time = result.findings.downtime.filter(|_| result.outcome == Outcome::Done)?;
    let (service, time) = (&result.service, duration::show(time));
    Some(match result.findings.is_held {
        true => format!("connections to {service} waited {time}"),
        false => format!("{service} was down for {time}"),
    })
}

/// Each with its version where two of them are in the run.
fn serving(containers: Option<&[ContainerRef]>, planned: Option<(&Plan, &ServicePlan)>) -> String {
    let version = |container: &ContainerRef| {
        let (plan, one) = planned?;
        let is_old = one.before.iter().any(|old| old.id == container.id);
        plan.versions(one).of(if is_old { Generation::Old } else { Generation::New })
    };
    let named = |container: &ContainerRef| {
        let version = version(container).map(|version| format!(" ({version})"));
        format!("{}{}", container.name, version.unwrap_or_default())
    };
    match containers {
        None => "what serves now is unknown".to_owned(),
        Some([]) => "nothing serves now".to_owned(),
        Some(some) => {
            let some: Vec<_> = some.iter().map(named).collect();
            format!("{} now", verb(&some, "serves", "serve"))
        }
    }
}

fn hint(exit: Exit, results: &[ServiceResult], cause: Cause) -> Option<String> {
    let text = match exit {
        // The interrupt may have come when all was as good as done.
        Exit::Interrupted if results.iter().all(|result| result.outcome.is_good()) => return None,
        Exit::Done if matches!(cause, Cause::Rollback(_)) => {
            "the file may differ: \"docker zdd diff\" shows how, \"docker zdd up\" deploys it again"
        }
        Exit::Failed | Exit::Interrupted if matches!(cause, Cause::Rollback(_)) => {
            "\"docker zdd history\" lists the revisions, \"docker zdd rollback --to N\" goes to one of them"
        }
        Exit::Failed if cause == Cause::Restart => "check its log, then run \"docker zdd restart\" again",
        Exit::Failed => "fix the new version, then run \"docker zdd up\" again",
        Exit::RollbackFailed if matches!(cause, Cause::Rollback(_)) => {
            "check \"docker ps -a\", then run \"docker zdd rollback --to N\" with a revision of \"docker zdd history\""
        }
        Exit::RollbackFailed if cause == Cause::Restart => {
            "check \"docker ps -a\", then run \"docker zdd restart\" again"
        }
        Exit::RollbackFailed => "check \"docker ps -a\", then run \"docker zdd up\" again",
        Exit::Interrupted if cause == Cause::Restart => "\"docker zdd restart\" starts over",
        Exit::Interrupted => "\"docker zdd up\" continues from here",
        _ => return None,
    };
    Some(text.to_owned())
}
