//! `docker zdd up` and `docker zdd plan`.

use std::{io::stdout, sync::Mutex};

use super::{Context, planning::Ready, say, summary};
use crate::{
    cli::{PlanArgs, PlanFormat, Planning, UpArgs},
    event::{Event, Outcome},
    exit::{Exit, Stop},
    lock::{self, Insistence, Lock},
    observed::State,
    place::Files,
    plan::{Plan, Verbose},
    rollout::{self, Crew},
};

/// Shows what `up` would do. Exit code 2 when it would refuse.
pub fn plan(context: &mut Context, args: &PlanArgs) -> Result<Exit, Stop> {
    let plan = context.dry_plan(&args.planning)?;
    let text = match args.format {
        PlanFormat::Text => context.text(&plan),
        PlanFormat::Json => format!("{}\n", serde_json::to_string_pretty(&plan).unwrap_or_default()),
    };
    say(&mut stdout(), &text);
    Ok(if plan.refused() { Exit::Refused } else { Exit::Done })
}

/// The rollout.
pub fn up(context: &mut Context, args: &UpArgs) -> Result<Exit, Stop> {
    if context.flags.dry_run {
        let plan = context.dry_plan(&args.planning)?;
        say(&mut stdout(), &context.text(&plan));
        return Ok(if plan.refused() { Exit::Refused } else { Exit::Done });
    }
    let model = context.load(&args.planning)?;
    let _lock = context.lock(&model.project, args)?;
    let mut ready = context.ready(model, &args.planning, false)?;
    context.preflight(&mut ready.plan)?;
    if ready.plan.refused() {
        return Err(refusal(&ready.plan, &context.files));
    }
    context.check_not_interrupted()?;
    Ok(context.carry_out(&ready, &args.planning))
}

impl Context {
    pub fn tell(&self, event: Event) {
        self.sink.on(self.began.elapsed(), &event);
    }

    fn lock(&self, project: &str, args: &UpArgs) -> Result<Lock<'_>, Stop> {
        let insistence = Insistence { wait: args.wait_lock.unwrap_or_default(), by_force: args.break_lock };
        lock::acquire(&self.docker, project, insistence, |time| {
            self.bell.wait(self.bell.heard(), time);
            !self.interrupt.requested()
        })
    }

    fn text(&self, plan: &Plan) -> String {
        match self.flags.verbose {
            true => Verbose(plan).to_string(),
            false => plan.to_string(),
        }
    }

    fn dry_plan(&mut self, planning: &Planning) -> Result<Plan, Stop> {
        let model = self.load(planning)?;
        let mut plan = self.ready(model, planning, true)?.plan;
        self.preflight(&mut plan)?;
        Ok(plan)
    }

    fn check_not_interrupted(&self) -> Result<(), Stop> {
        match self.interrupt.requested() {
            true => Err(Stop::new(Exit::Interrupted, "interrupted; nothing was touched")),
            false => Ok(()),
        }
    }

    fn carry_out(&self, ready: &Ready, planning: &Planning) -> Exit {
        let plan = &ready.plan;
        self.tell(Event::Planned { project: plan.project.clone(), services: plan.overview() });
        for service in &plan.services {
            for note in &service.notes {
                self.tell(Event::Warning { service: Some(service.service.clone()), message: note.clone() });
            }
        }
        self.heal_restart_policies(ready);
        let results = match plan.changes() {
            true => self.perform(ready, planning),
            false => vec![],
        };
        if results.iter().all(|result| matches!(result.outcome, Outcome::Done | Outcome::Unchanged)) {
            self.check_agreement(&ready.model, plan);
        }
        let end = summary::end(plan, &results, self.interrupt.requested());
        self.tell(Event::End {
            exit_code: end.exit.code(),
            message: end.message,
            hint: end.hint,
            took: self.began.elapsed(),
        });
        end.exit
    }

    /// A run that was killed just before it stopped an old container leaves it without its restart policy; if
    /// that version is wanted again, nothing else would bring the policy back.
    fn heal_restart_policies(&self, ready: &Ready) {
        for container in &ready.observed.containers {
            let Some(service) = ready.model.services.get(&container.service) else { continue };
            let ours = container.config_hash == service.hash && container.state == State::Running;
            if ours && container.restart.name == "no" && service.restart != "no" {
                let healed = self.docker.set_restart(std::slice::from_ref(&container.id), &service.restart);
                let message = match healed {
                    Ok(()) => format!(
                        "{} had lost its restart policy; it is {} again",
                        container.name, service.restart
                    ),
                    Err(error) => format!("{} has lost its restart policy: {error}", container.name),
                };
                self.tell(Event::Warning { service: Some(service.name.clone()), message });
            }
        }
    }

    fn perform(&self, ready: &Ready, planning: &Planning) -> Vec<rollout::ServiceResult> {
        let bell = self.bell.clone();
        // Without the listener the gate still looks every few seconds.
        let _listener = self.docker.listen(move || bell.ring()).ok();
        let crew = Crew {
            docker: &self.docker,
            model: &ready.model,
            interrupt: &self.interrupt,
            bell: self.bell.clone(),
            sink: &*self.sink,
            began: self.began,
            before: ready.observed.containers.iter().map(|c| (c.id.clone(), c.clone())).collect(),
            stop_timeout: planning.timeout,
            compose_lock: Mutex::default(),
        };
        let results = rollout::perform(&crew, &ready.plan);
        if ready.plan.remove_orphans {
            rollout::remove_orphans(&crew, &ready.plan.orphans, &results);
        }
        results
    }
}

fn refusal(plan: &Plan, files: &Files) -> Stop {
    let mut lines = Vec::new();
    for service in &plan.services {
        for refusal in &service.refusals {
            let mut path = vec!["services", &service.service];
            path.extend(refusal.key);
            let place = files.locate(&path).map(|place| format!("{place}: ")).unwrap_or_default();
            lines.push(format!("{place}service {}: {refusal}", service.service));
        }
    }
    let recreate =
        plan.services.iter().any(|s| !s.refusals.is_empty() && s.verdict == crate::event::Verdict::Recreate);
    let stop = Stop::new(Exit::Refused, format!("{}\nnothing was touched", lines.join("\n")));
    match recreate {
        true => {
            stop.hint("--allow-downtime lets Compose stop the old container before it starts the new one")
        }
        false => stop,
    }
}
