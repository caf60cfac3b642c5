//! The last sentence of a rollout: what happened and what serves now. Pure.

use crate::{
    event::{ContainerRef, Outcome},
    exit::Exit,
    plan::Plan,
    rollout::ServiceResult,
};

pub struct End {
    pub exit: Exit,
    pub message: String,
    pub hint: Option<String>,
}

/// The worst outcome decides the exit code; every service that did not end well is named.
pub fn end(plan: &Plan, results: &[ServiceResult], interrupted: bool) -> End {
    let exit = exit(results, interrupted);
    let done: Vec<_> = results.iter().filter(|r| r.outcome == Outcome::Done).collect();
    let mut sentences: Vec<String> =
        results.iter().filter(|result| !is_good(result.outcome)).map(sentence).collect();
    if !done.is_empty() {
        sentences
            .insert(0, format!("{} up to date", join(done.iter().map(|r| r.service.as_str()), "is", "are")));
    }
    sentences.extend(results.iter().filter_map(downtime));
    if sentences.is_empty() {
        sentences.push(format!("project {} is up to date; nothing was touched", plan.project));
    }
    End { exit, message: sentences.join("; "), hint: hint(exit) }
}

fn is_good(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Done | Outcome::Unchanged)
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

fn sentence(result: &ServiceResult) -> String {
    let name = &result.service;
    let why = result.failure.as_ref().map(|failure| match &failure.container {
        Some(container) => format!("{} {}", container.name, failure.reason),
        None => failure.reason.clone(),
    });
    let why = why.unwrap_or_default();
    let serving = serving(result.serving.as_deref());
    match result.outcome {
        Outcome::RolledBack => format!("{name}: the new version failed ({why}); {serving}"),
        Outcome::Paused => format!("{name}: paused, because the new version failed ({why}); {serving}"),
        Outcome::Partial => format!("{name}: part of the new version failed; {serving}"),
        Outcome::UndoFailed => {
            format!("{name}: the new version failed ({why}), and so did the way back; {serving}")
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

fn hint(exit: Exit) -> Option<String> {
    let text = match exit {
        Exit::Failed => "mend the new version and type \"docker zdd up\" again",
        Exit::UndoFailed => "look at \"docker ps -a\", then type \"docker zdd up\" again",
        Exit::Interrupted => "\"docker zdd up\" goes on from here",
        _ => return None,
    };
    Some(text.to_owned())
}
