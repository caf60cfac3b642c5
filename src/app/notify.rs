//! Runs a command of the user's that says how a rollout ended, with the whole story as JSON on its standard input.

use std::{
    sync::{Arc, mpsc::channel},
    thread,
    time::Duration,
};

use serde::Serialize;

use super::{Context, summary::End};
use crate::{
    engine::{
        Problem, Runner,
        process::{Answer, Call, CallError},
    },
    event::{Failure, Outcome},
    execute::ServiceResult,
    keep::Owner,
    project::{Notify, Project},
    text::{duration, mask::mask},
    wait::{Ended, Heed, Look},
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
    pub fn notify(&self, project: &Project, results: &[ServiceResult], end: &End, revision: Option<u32>) {
        let Some(notify) = project.notify.as_ref().filter(|_| !results.is_empty()) else { return };
        // Who interrupts twice waits for nothing more.
        if self.waiter.is_abandoned() {
            return;
        }
        let took = self.began.elapsed();
        let notice = Notice { revision, ..notice(&project.name, results, end, took) };
        if let Err(why) = self.run_notify(notify, &notice) {
            self.warn(mask(&format!("the notify command {why}")));
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
                Problem::Deadline(time) => format!("did not end within {}", duration::show(time)),
                Problem::Interrupted => "was interrupted".to_owned(),
                Problem::NotStarted(why) => format!("could not be started: {why}"),
                _ => "failed".to_owned(),
            }),
        }
    }

    /// A second interrupt ends it.
    fn unless_twice(&self, runner: &Runner, call: &Call) -> Result<Answer, CallError> {
        let (sender, answered) = channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                let _ = sender.send(runner.answer(call));
                self.waiter.waker.wake();
            });
            let look = || Ok::<_, ()>(answered.try_recv().map_or(Look::Again(DEADLINE), Look::Done));
            match self.waiter.until(None, Heed::Urgent, look) {
                Ok(Ended::Done(answer)) => answer,
                _ => {
                    runner.close();
                    answered.recv().unwrap_or_else(|_| Err(CallError::of(call, Problem::Interrupted)))
                }
            }
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
        outcome: Outcome::of_run(results.iter().map(|result| result.outcome)),
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
