//! `docker zdd up` and `docker zdd plan`.

use std::{io::stdout, rc::Rc, sync::Mutex};

use super::{
    Context,
    planning::Ready,
    probe,
    record::Deed,
    say,
    summary::{self, End},
};
use crate::{
    cli::{LockArgs, PlanArgs, PlanFormat, Planning, UpArgs, Watching},
    docker::Docker,
    event::{Event, Sink},
    exit::{Exit, Stop},
    lock::{self, Insistence, Lock, Warn},
    model::{Model, Probe},
    place::Files,
    plan::{Plan, Verbose},
    probe::Prober,
    report::Page,
    rollout::{self, Crew},
};

/// Shows what `up` would do. Exit code 2 when it would refuse.
pub fn plan(context: &mut Context, args: &PlanArgs) -> Result<Exit, Stop> {
    let mut ready = context.dry(&args.planning)?;
    if args.format == PlanFormat::Text {
        return context.show_plan(ready, "");
    }
    context.preflight(&mut ready)?;
    say(&mut stdout(), &format!("{}\n", serde_json::to_string_pretty(&ready.plan).unwrap_or_default()));
    Ok(if ready.plan.refused() { Exit::Refused } else { Exit::Done })
}

/// The rollout.
pub fn up(context: &mut Context, args: &UpArgs) -> Result<Exit, Stop> {
    if context.flags.dry_run {
        let ready = context.dry(&args.planning)?;
        return context.show_plan(ready, "");
    }
    let page = context.open_page(&args.watching)?;
    let docker = context.docker.clone();
    let (model, probe, lock) = context.load_alone(&docker, &args.planning, &args.watching, &args.lock)?;
    let ready = context.ready(model, &args.planning, false)?;
    context.go(ready, &args.planning, &Deed::default(), Watch { page, probe }, lock)
}

/// What looks on while a rollout is carried out.
pub struct Watch {
    pub page: Option<Page>,
    pub probe: Option<Probe>,
}

impl Context {
    pub fn tell(&self, event: Event) {
        self.sink.on(self.began.elapsed(), &event);
    }

    /// Takes the project's lock and loads it.
    ///
    /// Whoever had to wait reads the files once more: the run before may have been for minutes, and somebody has
    /// edited them meanwhile. `docker` is one that has no project's name yet.
    pub fn load_alone<'d>(
        &mut self,
        docker: &'d Docker,
        planning: &Planning,
        watching: &Watching,
        lock: &LockArgs,
    ) -> Result<(Model, Option<Probe>, Option<Lock<'d>>), Stop> {
        let mut draft = self.draft(planning)?;
        probe::wanted(&watching.probe, &draft.model.probe)?;
        self.check_not_interrupted()?;
        let lock = self.lock_unless_dry(docker, &draft.model.project, lock)?;
        if lock.as_ref().is_some_and(|lock| lock.was_waited_for) {
            draft = self.draft_again(planning, &draft.model.project)?;
        }
        let model = self.complete(draft, planning)?;
        let probe = probe::wanted(&watching.probe, &model.probe)?;
        self.check_not_interrupted()?;
        Ok((model, probe, lock))
    }

    pub fn lock<'d>(&self, docker: &'d Docker, project: &str, args: &LockArgs) -> Result<Lock<'d>, Stop> {
        let insistence = Insistence { wait: args.wait_lock.unwrap_or_default(), by_force: args.break_lock };
        let (sink, began) = (self.sink.clone(), self.began);
        let warn: Warn = Rc::new(move |message| {
            sink.on(began.elapsed(), &Event::Warning { service: None, message });
        });
        lock::acquire(docker, project, insistence, &warn, |time| {
            self.bell.wait(self.bell.heard(), time);
            !self.interrupt.requested()
        })
    }

    /// A dry run changes nothing, so it need not be alone.
    pub fn lock_unless_dry<'d>(
        &self,
        docker: &'d Docker,
        project: &str,
        args: &LockArgs,
    ) -> Result<Option<Lock<'d>>, Stop> {
        match self.flags.dry_run {
            true => Ok(None),
            false => self.lock(docker, project, args).map(Some),
        }
    }

    /// Carries a plan out, unless it refuses, Compose disagrees, or the user has interrupted.
    pub fn go(
        &self,
        mut ready: Ready,
        planning: &Planning,
        deed: &Deed,
        watch: Watch,
        lock: Option<Lock>,
    ) -> Result<Exit, Stop> {
        self.preflight(&mut ready)?;
        if ready.plan.refused() {
            return Err(refusal(&ready.plan, &self.files));
        }
        self.describe(watch.page.as_ref(), &ready.plan);
        self.begin_probe(&ready, watch.probe)?;
        self.check_not_interrupted()?;
        let end = self.carry_out(&ready, planning, deed);
        // Before the last word, as it may have to say something.
        drop(lock);
        self.tell(Event::End {
            exit_code: end.exit.code(),
            message: end.message,
            hint: end.hint,
            took: self.began.elapsed(),
        });
        Ok(end.exit)
    }

    /// Prints what would be carried out.
    pub fn show_plan(&self, mut ready: Ready, title: &str) -> Result<Exit, Stop> {
        self.preflight(&mut ready)?;
        say(&mut stdout(), &format!("{title}{}", self.text(&ready.plan)));
        Ok(if ready.plan.refused() { Exit::Refused } else { Exit::Done })
    }

    fn text(&self, plan: &Plan) -> String {
        match self.flags.verbose {
            true => Verbose(plan).to_string(),
            false => plan.to_string(),
        }
    }

    fn dry(&mut self, planning: &Planning) -> Result<Ready, Stop> {
        let model = self.load(planning)?;
        self.ready(model, planning, true)
    }

    fn check_not_interrupted(&self) -> Result<(), Stop> {
        match self.interrupt.requested() {
            true => Err(Stop::new(Exit::Interrupted, "interrupted; nothing was touched")),
            false => Ok(()),
        }
    }

    fn carry_out(&self, ready: &Ready, planning: &Planning, deed: &Deed) -> End {
        let plan = &ready.plan;
        self.tell(Event::Planned { project: plan.project.clone(), services: plan.overview() });
        for service in &plan.services {
            for note in &service.notes {
                self.tell(Event::Warning { service: Some(service.service.clone()), message: note.clone() });
            }
        }
        let crew = self.crew(ready, planning);
        let healed = rollout::heal(&crew, plan);
        let results = match plan.changes() {
            true => self.perform(&crew, plan),
            false => vec![],
        };
        let alarm = self.end_probe();
        if results.iter().all(|result| result.outcome.is_good()) {
            self.check_agreement(&ready.model, plan);
        }
        let scaled: Vec<_> = planning.scale.iter().map(|(name, _)| name.clone()).collect();
        let revision = self.record(ready, &results, &scaled, deed);
        let touched = healed || plan.changes();
        let end = summary::end(plan, &results, self.interrupt.requested(), deed.cause, touched);
        let end = summary::with_alarm(end, alarm);
        self.notify(&ready.model, &results, &end, revision);
        end
    }

    fn crew<'a>(&'a self, ready: &'a Ready, planning: &Planning) -> Crew<'a> {
        Crew {
            docker: &self.docker,
            model: &ready.model,
            interrupt: &self.interrupt,
            bell: self.bell.clone(),
            sink: &*self.sink,
            began: self.began,
            watch: self.prober().as_ref().map(Prober::watch).unwrap_or_default(),
            images: &ready.observed.images,
            before: ready.observed.containers.iter().map(|c| (c.id.clone(), c.clone())).collect(),
            stop_timeout: planning.pace.timeout,
            compose_lock: Mutex::default(),
        }
    }

    fn perform(&self, crew: &Crew, plan: &Plan) -> Vec<rollout::ServiceResult> {
        let bell = self.bell.clone();
        // Without the listener the gate still looks every few seconds.
        let _listener = self.docker.listen(move || bell.ring()).ok();
        let results = rollout::perform(crew, plan);
        if plan.remove_orphans {
            rollout::remove_orphans(crew, &plan.orphans, &results);
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
