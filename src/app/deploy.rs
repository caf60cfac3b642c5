//! The one procedure by which every command replaces containers.

use std::{collections::BTreeSet, rc::Rc, thread};

use super::{
    Context,
    environment::{self, is_true},
    images::Work,
    probe,
    record::{Change, Origin},
    summary::{self, End},
};
use crate::{
    advice,
    cli::{LockArgs, Planning, Watching},
    engine::{Docker, Engine},
    event::{self, Event, Verdict},
    execute::{ServiceResult, execute},
    exit::{Exit, Stop},
    helper::{Purpose, Starting},
    keep::{self, Cause, Insistence, Lock, Marks},
    plan::{self, Plan, Request, ServicePlan, What},
    platform::{Platform, compose::Observed},
    probe::Prober,
    project::{Probe, Project, UseHelper},
    report::Page,
    stage::Stage,
    text::place::Files,
    wait::beside,
};

/// `off`: nothing of zdd's own runs on the engine's machine.
const HELPER: &str = "DOCKER_ZDD_HELPER";

/// A project with what was found, ready to be performed.
pub struct Ready {
    pub project: Project,
    pub observed: Observed,
    /// What the plan follows from, beside the two above.
    pub request: Request,
    pub plan: Plan,
}

/// What was typed, for the summary and the revision.
#[derive(Default)]
pub struct Errand {
    pub cause: Cause,
    /// Of a rollback.
    pub origin: Option<Origin>,
}

/// What looks on while a rollout is carried out.
pub struct Onlookers {
    pub page: Option<Page>,
    pub probe: Option<Probe>,
}

impl Context {
    /// Says at once what is going on. A dry run prints its plan and nothing else.
    pub fn say_loading(&self) {
        if !self.flags.dry_run {
            self.emit(Event::Loading);
        }
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
    ) -> Result<(Project, Onlookers, Option<Lock<'d>>), Stop> {
        self.say_loading();
        let page = self.open_page(watching)?;
        let (mut draft, mut hashes) = self.draft_and_hashes(planning)?;
        probe::wanted(&watching.probe, &draft.probe)?;
        self.check_not_interrupted()?;
        let lock = self.lock_unless_dry(docker, &draft.name, lock)?;
        if lock.as_ref().is_some_and(|lock| lock.was_waited_for) {
            draft = self.draft_again(planning, &draft.name)?;
            hashes = self.docker().config_hashes(&[]);
        }
        self.begin_helpers(&draft, purpose(lock.as_ref()));
        let project = self.complete(draft, hashes)?;
        let probe = probe::wanted(&watching.probe, &project.probe)?;
        self.check_not_interrupted()?;
        Ok((project, Onlookers { page, probe }, lock))
    }

    /// It takes a moment to start them, and the plan needs to know.
    pub fn begin_helpers(&mut self, project: &Project, purpose: Purpose) {
        let wanted = project.services.values().any(|s| s.settings.hand_over.helper == UseHelper::Auto);
        if wanted && environment::variable(HELPER).is_none_or(|word| word != "off") {
            let mut docker = self.docker().clone();
            docker.set_project(&project.name);
            self.platform.helpers = Some(Starting::begin(&docker, purpose));
        }
    }

    pub fn lock<'d>(&self, marks: &'d dyn Marks, project: &str, args: &LockArgs) -> Result<Lock<'d>, Stop> {
        let insistence = Insistence { wait: args.wait_lock.unwrap_or_default(), by_force: args.break_lock };
        let (sink, began) = (self.sink.clone(), self.began);
        let warn = move |message| {
            crate::event::Sink::on(&*sink, began.elapsed(), &crate::platform::warning(message));
        };
        let engine = keep::lock::Engine { marks, waiter: self.waiter.clone(), warn: Rc::new(warn) };
        keep::lock::acquire(&engine, project, insistence)
    }

    /// A dry run changes nothing, so it need not be alone.
    pub fn lock_unless_dry<'d>(
        &self,
        marks: &'d dyn Marks,
        project: &str,
        args: &LockArgs,
    ) -> Result<Option<Lock<'d>>, Stop> {
        match self.flags.dry_run {
            true => Ok(None),
            false => self.lock(marks, project, args).map(Some),
        }
    }

    /// Builds and pulls unless `dry`, observes and plans.
    pub fn ready(&mut self, mut project: Project, planning: &Planning, dry: bool) -> Result<Ready, Stop> {
        let names = match planning.services.is_empty() {
            true => project.services.keys().cloned().collect(),
            false => project.reach(&planning.services, planning.no_deps),
        };
        let scope: Vec<_> = names.iter().filter_map(|name| project.services.get(name)).collect();
        let mut observed = self.platform.observe(&project)?;
        let mut pending = Work::decide(&scope, planning, &observed.images);
        if !dry && !pending.is_empty() {
            let named = self.name_indexes(&project, &pending, &observed.local);
            self.fetch(&pending)?;
            observed = self.platform.observe(&project)?;
            self.forget_names(&project, &observed, named);
            pending = Work::default();
        }
        project.find_hosts(&observed.containers);
        let request = self.request(&project, &observed, planning, pending)?;
        let plan = self.plan(&project, &observed, &request);
        let mut ready = Ready { project, observed, request, plan };
        // A run with nothing to do does not wait for a helper, nor where nothing serves yet.
        let is_there = ready.observed.containers.iter().any(|container| container.is_up());
        if is_there && ready.plan.changes() || ready.plan.refused() {
            self.plan_anew(&mut ready);
        }
        require_images(&ready.observed, &ready.request, &ready.plan)?;
        Ok(ready)
    }

    /// With all that is found out only where something is to be done: whether there is a helper, and what can be deployed
    /// again.
    pub fn plan_anew(&mut self, ready: &mut Ready) {
        let plan =
            |context: &Context, ready: &Ready| context.plan(&ready.project, &ready.observed, &ready.request);
        ready.observed.helper = self.platform.helper();
        ready.observed.neighbors = self.platform.neighbors(&ready.project, &ready.observed);
        ready.observed.networks = self.platform.small_networks(&ready.project, &ready.observed.containers);
        ready.plan = plan(self, ready);
        ready.observed.heard = self.platform.ask_proxies(&ready.plan);
        if !ready.observed.heard.is_empty() {
            ready.plan = plan(self, ready);
        }
        let recalls = |plan: &ServicePlan| {
            let by_compose = plan.operations.iter().any(|op| matches!(op.what, What::Recreate { .. }));
            by_compose || plan.verdict == Verdict::Hold && !plan.operations.is_empty()
        };
        let revisions = match ready.plan.services.iter().any(recalls) {
            true => self.store(&ready.project.name).revisions().unwrap_or_default(),
            false => vec![],
        };
        let containers = &ready.observed.containers;
        self.platform.undos = self.undos(&ready.project, containers, &ready.plan, &revisions);
        let undos = self.platform.undos.keys().cloned().collect();
        let waits = ready.project.services.keys().map(|name| (name.clone(), keep::waits(&revisions, name)));
        let waits = waits.filter(|(_, waits)| !waits.is_empty()).collect();
        if ready.observed.undos != undos || ready.observed.waits != waits {
            (ready.observed.undos, ready.observed.waits) = (undos, waits);
            ready.plan = plan(self, ready);
        }
    }

    pub fn plan(&self, project: &Project, observed: &Observed, request: &Request) -> Plan {
        let mut plan = self.platform.plan(project, observed, request);
        advice::annotate(&mut plan, project, &observed.containers);
        plan
    }

    fn request(
        &self,
        project: &Project,
        observed: &Observed,
        planning: &Planning,
        pending: Work,
    ) -> Result<Request, Stop> {
        let orphans_by_habit = !planning.as_deployed && is_true("COMPOSE_REMOVE_ORPHANS");
        let foreign = observed.containers.iter().any(|c| !project.services.contains_key(&c.service));
        Ok(Request {
            services: planning.services.clone(),
            no_deps: planning.no_deps,
            force: planning.force_recreate,
            allow_downtime: planning.pace.allow_downtime,
            spares_jobs: planning.as_deployed,
            remove_orphans: planning.remove_orphans || orphans_by_habit,
            pending_images: pending.build.into_iter().chain(pending.pull).collect(),
            dormant: if foreign { self.dormant(project)? } else { BTreeSet::new() },
        })
    }

    /// Prints what would be carried out.
    pub fn show_plan(&self, mut ready: Ready, title: &str) -> Result<Exit, Stop> {
        self.platform.preflight(&ready.project, &ready.observed, &mut ready.plan)?;
        Ok(self.print_plan(&ready.plan, title))
    }

    pub fn print_plan(&self, plan: &Plan, title: &str) -> Exit {
        let paint = |style: &str, text: &str| self.look.paint(style, text);
        let text = plan::Text { plan, verbose: self.flags.verbose, paint: &paint };
        self.print(&format!("{title}{text}"));
        if plan.refused() { Exit::Refused } else { Exit::Done }
    }

    /// Carries a plan out, unless it refuses, Compose disagrees, or the user has interrupted.
    pub fn carry_out(
        &mut self,
        mut ready: Ready,
        planning: &Planning,
        errand: &Errand,
        onlookers: Onlookers,
        lock: Option<Lock>,
    ) -> Result<Exit, Stop> {
        self.platform.preflight(&ready.project, &ready.observed, &mut ready.plan)?;
        if !ready.plan.refused()
            && ready.plan.hands_over()
            && self.platform.started_helper() != ready.observed.helper
        {
            self.plan_anew(&mut ready);
            self.platform.preflight(&ready.project, &ready.observed, &mut ready.plan)?;
        }
        if ready.plan.refused() {
            return Err(refusal(&ready.plan, &self.files));
        }
        self.platform.stop_timeout = planning.pace.timeout;
        self.describe(onlookers.page.as_ref(), &ready.plan);
        let prober = self.begin_probe(&ready.plan, onlookers.probe)?;
        self.check_not_interrupted()?;
        let end = self.perform(&ready, planning, errand, prober);
        // Before the last word, as it may have to say something.
        drop(lock);
        let (exit_code, took) = (end.exit.code(), self.began.elapsed());
        self.emit(Event::End(event::End { exit_code, message: end.message, hint: end.hint, took }));
        Ok(end.exit)
    }

    fn perform(&self, ready: &Ready, planning: &Planning, errand: &Errand, prober: Option<Prober>) -> End {
        let Ready { project, observed, plan, .. } = ready;
        self.wait_for_engine();
        self.emit(Event::Planned { project: plan.project.clone(), services: plan.overview() });
        for (service, message) in advice::warnings(plan, project, &observed.containers) {
            self.emit(Event::Warning { service: Some(service), message });
        }
        let stage = self.stage(prober.as_ref());
        let recovered = self.platform.recover(project, observed, plan, &stage);
        let is_first = plan.changes() && errand.origin.is_none() && self.record_first(ready);
        let results = if plan.changes() { self.execute(ready, &stage) } else { vec![] };
        let helpers = self.platform.helpers.clone();
        // After a second interrupt they bring to an end what goes by way of them.
        let abandoned = self.waiter.is_abandoned();
        let quitting = thread::spawn(move || helpers.iter().filter(|_| !abandoned).for_each(Starting::quit));
        let alarm = prober.and_then(Prober::finish);
        let scaled: Vec<_> = planning.scale.iter().map(|(name, _)| name.clone()).collect();
        let change = Change { ready, results: &results, scaled: &scaled, errand };
        let is_good = results.iter().all(|result| result.outcome.is_good());
        let (revision, disagreement) = beside(
            || self.record(&change),
            || is_good.then(|| self.platform.disagreement(project, plan)).flatten(),
        );
        if let Some(disagreement) = disagreement {
            self.warn(disagreement);
        }
        let touched = recovered || plan.changes();
        let end = summary::end(plan, &results, self.waiter.is_interrupted(), errand.cause, touched);
        let end = if is_first { summary::with_first(end) } else { end };
        let end = summary::with_alarm(end, alarm);
        self.notify(project, &results, &end, revision);
        let _ = quitting.join();
        end
    }

    /// Until now nothing is lost by giving up.
    fn wait_for_engine(&self) {
        let (sink, began) = (self.sink.clone(), self.began);
        self.docker().wait_for_engine(move |contact| {
            event::Sink::on(&*sink, began.elapsed(), &crate::platform::warning(summary::contact(contact)));
        });
    }

    pub fn stage(&self, prober: Option<&Prober>) -> Stage<'_> {
        let mut waiter = self.waiter.clone();
        waiter.alarm = prober.map(Prober::alarm).unwrap_or_default();
        let watch_alone = prober.map(Prober::watch_alone).unwrap_or_default();
        Stage { waiter, sink: &*self.sink, began: self.began, watch_alone }
    }

    fn execute(&self, ready: &Ready, stage: &Stage) -> Vec<ServiceResult> {
        let waker = self.waiter.waker.clone();
        // Without the listener the gate still looks every few seconds.
        let _listener = self.docker().listen(move || waker.wake()).ok();
        let waker = self.waiter.waker.clone();
        // An address is known some 50 ms before its container has started.
        let _networks =
            ready.plan.hands_over().then(|| self.docker().listen_to_networks(move || waker.wake()).ok());
        let performers = self.platform.performers(&ready.project, &ready.observed);
        let results = execute(&performers, &ready.plan, stage);
        let well = results.iter().all(|result| result.outcome.is_good());
        if ready.plan.remove_orphans && well && !self.waiter.is_interrupted() {
            performers.remove_orphans(&ready.plan.orphans, stage);
        }
        results
    }

    pub fn check_not_interrupted(&self) -> Result<(), Stop> {
        match self.waiter.is_interrupted() {
            true => Err(Stop::interrupted()),
            false => Ok(()),
        }
    }
}

/// Who has the lock is alone with the project; a dry run has none.
pub fn purpose(lock: Option<&Lock>) -> Purpose {
    if lock.is_some() { Purpose::Rollout } else { Purpose::Plan }
}

/// Compose is told neither to build nor to pull, so what is missing and not about to come stays missing.
fn require_images(observed: &Observed, request: &Request, plan: &Plan) -> Result<(), Stop> {
    let lacks_image = |plan: &&ServicePlan| {
        let there = observed.images.contains_key(&plan.service);
        !plan.operations.is_empty() && !there && !request.pending_images.contains(&plan.service)
    };
    match plan.services.iter().find(lacks_image) {
        None => Ok(()),
        Some(plan) => {
            let (name, image) = (&plan.service, &plan.wanted.image.reference);
            let message = format!("service {name}: image {image} is not on the engine");
            Err(Stop::error(message).hint("build or pull it: --build, --pull missing"))
        }
    }
}

pub fn refusal(plan: &Plan, files: &Files) -> Stop {
    let mut lines = Vec::new();
    for service in &plan.services {
        for refusal in &service.refusals {
            let mut path = vec!["services", &service.service];
            path.extend(refusal.key);
            let place = files.locate(&path).map(|place| format!("{place}: ")).unwrap_or_default();
            lines.push(format!("{place}service {}: {refusal}", service.service));
        }
    }
    let recreate = |plan: &ServicePlan| !plan.refusals.is_empty() && plan.verdict == Verdict::Recreate;
    let stop = Stop::new(Exit::Refused, format!("{}\nnothing was touched", lines.join("\n")));
    match plan.services.iter().any(recreate) {
        true => stop.hint("--allow-downtime stops the old container before the new one starts"),
        false => stop,
    }
}
