//! Tells a command of the user's how a rollout ended, with the whole story as JSON on its standard input.

use std::{sync::Arc, thread, time::Duration};

use serde::Serialize;

use super::{Context, summary::End};
use crate::{
    docker::{
        Problem, Runner,
        process::{Answer, Call, CallError},
    },
    event::{Event, Failure, Outcome},
    interrupt::Urgency,
    lock::Owner,
    mask::mask,
    model::{Model, Notify},
    rollout::ServiceResult,
};

/// A notification that takes longer has lost its use.
const DEADLINE: Duration = Duration::from_secs(30);

/// What the command reads. The names are stable: `notify.schema.json`.
#[derive(Debug, Serialize)]
struct Notice<'a> {
    project: &'a str,
    outcome: Outcome,
    exit_code: u8,
    message: &'a str,
    hint: Option<&'a str>,
    seconds: f64,
    /// Of this rollout; `None` when it is not in the history.
    revision: Option<u32>,
    user: String,
    host: String,
    services: Vec<Part<'a>>,
}

#[derive(Debug, Serialize)]
struct Part<'a> {
    service: &'a str,
    outcome: Outcome,
    reason: Option<String>,
    /// Names; `None` when it could not be found out.
    serving: Option<Vec<&'a str>>,
}

impl Context {
    /// Runs the command, if the file has one. That it fails is a warning: the rollout has ended as it has.
    pub fn notify(&self, model: &Model, results: &[ServiceResult], end: &End, revision: Option<u32>) {
        let Some(notify) = model.notify.as_ref().filter(|_| !results.is_empty()) else { return };
        // Who interrupts twice waits for nothing more.
        if self.interrupt.urgency() == Urgency::Twice {
            return;
        }
        let took = self.began.elapsed();
        let notice = Notice { revision, ..notice(&model.project, results, end, took) };
        if let Err(why) = self.run_notify(notify, &notice) {
            let message = mask(&format!("the notify command {why}"));
            self.tell(Event::Warning { service: None, message });
        }
    }

    fn run_notify(&self, notify: &Notify, notice: &Notice) -> Result<(), String> {
        let Some((program, args)) = notify.0.split_first() else { return Ok(()) };
        let path = which::which(program).map_err(|_| format!("\"{program}\" is not there"))?;
        let runner = Runner::new(path);
        let call = Call {
            stdin: Some(Arc::new(serde_json::to_vec(notice).unwrap_or_default())),
            env: environment(notice),
            ..Call::new(args.iter().map(Into::into).collect(), DEADLINE)
        };
        match self.unless_twice(&runner, &call) {
            Ok(Answer { code: 0, .. }) => Ok(()),
            Ok(answer) => {
                let said = [answer.stdout.trim(), answer.stderr.trim()].join("\n");
                let said = said.trim();
                let said = if said.is_empty() { String::new() } else { format!(": {said}") };
                Err(format!("failed with exit code {}{said}", answer.code))
            }
            Err(error) => Err(match error.problem {
                Problem::Deadline(time) => format!("did not end within {}", crate::duration::show(time)),
                Problem::Interrupted => "was interrupted".to_owned(),
                Problem::NotStarted(why) => format!("could not be started: {why}"),
                _ => "failed".to_owned(),
            }),
        }
    }

    /// A second interrupt ends it.
    fn unless_twice(&self, runner: &Runner, call: &Call) -> Result<Answer, CallError> {
        thread::scope(|scope| {
            let bell = self.bell.clone();
            let command = scope.spawn(move || {
                let answer = runner.answer(call);
                bell.ring();
                answer
            });
            while !command.is_finished() {
                let heard = self.bell.heard();
                if self.interrupt.urgency() == Urgency::Twice {
                    runner.close();
                }
                self.bell.wait(heard, Duration::from_millis(200));
            }
            command.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

/// For a script that has no use for JSON.
fn environment(notice: &Notice) -> Vec<(String, String)> {
    let outcome = serde_json::to_value(notice.outcome).unwrap_or_default();
    let pairs = [
        ("PROJECT", notice.project.to_owned()),
        ("OUTCOME", outcome.as_str().unwrap_or_default().to_owned()),
        ("EXIT_CODE", notice.exit_code.to_string()),
        ("MESSAGE", notice.message.to_owned()),
    ];
    pairs.into_iter().map(|(key, value)| (format!("DOCKER_ZDD_{key}"), value)).collect()
}

fn notice<'a>(project: &'a str, results: &'a [ServiceResult], end: &'a End, took: Duration) -> Notice<'a> {
    let owner = Owner::here();
    Notice {
        project,
        outcome: worst(results),
        exit_code: end.exit.code(),
        message: &end.message,
        hint: end.hint.as_deref(),
        seconds: (took.as_secs_f64() * 1000.0).round() / 1000.0,
        revision: None,
        user: owner.user,
        host: owner.host,
        services: results.iter().map(part).collect(),
    }
}

fn part(result: &ServiceResult) -> Part<'_> {
    Part {
        service: &result.service,
        outcome: result.outcome,
        reason: result.failure.as_ref().map(Failure::sentence),
        serving: result.serving.as_ref().map(|some| some.iter().map(|c| c.name.as_str()).collect()),
    }
}

/// The outcome that the whole run is called by.
fn worst(results: &[ServiceResult]) -> Outcome {
    use Outcome::*;
    let order = [UndoFailed, RolledBack, Paused, Partial, Interrupted, Skipped, Done];
    let found = order.into_iter().find(|outcome| results.iter().any(|result| result.outcome == *outcome));
    found.unwrap_or(Unchanged)
}
