//! The last sentence of a rollout: what happened and what serves now. Pure.

use crate::{
    event::{ContainerRef, Failure, Outcome},
    exit::Exit,
    history::Cause,
    plan::Plan,
    rollout::ServiceResult,
};

pub struct End {
    pub exit: Exit,
    pub message: String,
    pub hint: Option<String>,
}

/// The worst outcome decides the exit code; every service that did not end well is named.
pub fn end(plan: &Plan, results: &[ServiceResult], interrupted: bool, cause: Cause, touched: bool) -> End {
    let exit = exit(results, interrupted);
    let done: Vec<_> = results.iter().filter(|r| r.outcome == Outcome::Done).collect();
    let mut sentences: Vec<String> = results
        .iter()
        .filter(|result| !result.outcome.is_good())
        .map(|r| sentence(r, &tried(plan, r, cause)))
        .collect();
    if !done.is_empty() {
        sentences.insert(
            0,
            format!("{} {}", join(done.iter().map(|r| r.service.as_str()), "is", "are"), now(cause)),
        );
    }
    sentences.extend(results.iter().filter_map(hooks_left));
    sentences.extend(results.iter().filter_map(downtime));
    if sentences.is_empty() {
        let rest = if touched { "" } else { "; nothing was touched" };
        sentences.push(format!("project {} is {}{rest}", plan.project, now(cause)));
    }
    End { exit, message: sentences.join("; "), hint: hint(exit, results, cause) }
}

/// The probe's limit may have been passed when there was nothing left to go back to.
pub fn with_alarm(end: End, alarm: Option<String>) -> End {
    match alarm {
        Some(alarm) if end.exit == Exit::Done => End {
            exit: Exit::UndoFailed,
            message: format!("{}; but {alarm}, when the old containers were gone", end.message),
            hint: Some("look at it; \"docker zdd rollback\" goes back".to_owned()),
        },
        _ => end,
    }
}

fn now(cause: Cause) -> String {
    match cause {
        Cause::Up => "up to date".to_owned(),
        Cause::Restart => "restarted".to_owned(),
        Cause::Rollback(number) => format!("back at revision {number}"),
    }
}

fn exit(results: &[ServiceResult], interrupted: bool) -> Exit {
    let any = |outcome: Outcome| results.iter().any(|result| result.outcome == outcome);
    if any(Outcome::UndoFailed) {
        Exit::UndoFailed
    } else if any(Outcome::RolledBack) || any(Outcome::Paused) || any(Outcome::Partial) {
        Exit::Failed
    } else if interrupted {
        Exit::Interrupted
    } else {
        Exit::Done
    }
}

/// What a rollout has tried to bring into service.
fn tried(plan: &Plan, result: &ServiceResult, cause: Cause) -> String {
    let replicas = plan.services.iter().find(|plan| plan.service == result.service).map(|plan| plan.replicas);
    match cause {
        Cause::Up => "the new version".to_owned(),
        Cause::Restart if replicas == Some(1) => "the new container".to_owned(),
        Cause::Restart => "the new containers".to_owned(),
        Cause::Rollback(number) => format!("revision {number}"),
    }
}

fn sentence(result: &ServiceResult, tried: &str) -> String {
    let name = &result.service;
    let why = result.failure.as_ref().map(Failure::sentence).unwrap_or_default();
    let serving = serving(result.serving.as_deref());
    match result.outcome {
        Outcome::RolledBack => format!("{name}: {tried} failed ({why}); {serving}"),
        Outcome::Paused => format!("{name}: paused, because {tried} failed ({why}); {serving}"),
        Outcome::Partial => format!("{name}: part of {tried} failed; {serving}"),
        Outcome::UndoFailed => {
            format!("{name}: {tried} failed ({why}), and so did the way back; {serving}")
        }
        Outcome::Interrupted if !result.left.is_empty() => {
            let left = join(result.left.iter().map(|c| c.name.as_str()), "is", "are");
            format!("{name}: left at once; {left} left as it was at that moment")
        }
        Outcome::Interrupted => format!("{name}: interrupted; {serving}"),
        Outcome::Skipped => format!("{name}: not begun"),
        Outcome::Done | Outcome::Unchanged => String::new(),
    }
}

fn hooks_left(result: &ServiceResult) -> Option<String> {
    let names: Vec<_> = result.hooks_left.iter().map(|one_off| one_off.name.as_str()).collect();
    let service = &result.service;
    (!names.is_empty()).then(|| {
        format!("the pre_start hook of {service} goes on in {}; the next run waits for it", names.join(", "))
    })
}

fn downtime(result: &ServiceResult) -> Option<String> {
    let time = result.downtime.filter(|_| result.outcome == Outcome::Done)?;
    Some(format!("{} was down for {}", result.service, crate::duration::show(time)))
}

fn serving(containers: Option<&[ContainerRef]>) -> String {
    match containers {
        None => "what serves could not be found out".to_owned(),
        Some([]) => "nothing of it serves now".to_owned(),
        Some(some) => format!("{} now", join(some.iter().map(|c| c.name.as_str()), "serves", "serve")),
    }
}

fn join<'a>(names: impl Iterator<Item = &'a str>, one: &str, many: &str) -> String {
    let names: Vec<_> = names.collect();
    match names.as_slice() {
        [] => String::new(),
        [name] => format!("{name} {one}"),
        [first @ .., last] => format!("{} and {last} {many}", first.join(", ")),
    }
}

fn hint(exit: Exit, results: &[ServiceResult], cause: Cause) -> Option<String> {
    let text = match exit {
        // The interrupt may have come when all was as good as done.
        Exit::Interrupted if results.iter().all(|result| result.outcome.is_good()) => return None,
        Exit::Done if matches!(cause, Cause::Rollback(_)) => {
            "the file may say something else: \"docker zdd diff\" shows it, \"docker zdd up\" deploys it again"
        }
        Exit::Failed | Exit::Interrupted if matches!(cause, Cause::Rollback(_)) => {
            "\"docker zdd history\" lists the revisions, \"docker zdd rollback --to N\" goes to one of them"
        }
        Exit::Failed if cause == Cause::Restart => "look at its log, then type \"docker zdd restart\" again",
        Exit::Failed => "mend the new version and type \"docker zdd up\" again",
        Exit::UndoFailed if matches!(cause, Cause::Rollback(_)) => {
            "look at \"docker ps -a\", then type \"docker zdd rollback --to N\" with a revision of \"docker zdd history\""
        }
        Exit::UndoFailed if cause == Cause::Restart => {
            "look at \"docker ps -a\", then type \"docker zdd restart\" again"
        }
        Exit::UndoFailed => "look at \"docker ps -a\", then type \"docker zdd up\" again",
        Exit::Interrupted if cause == Cause::Restart => "\"docker zdd restart\" begins again",
        Exit::Interrupted => "\"docker zdd up\" goes on from here",
        _ => return None,
    };
    Some(text.to_owned())
}
