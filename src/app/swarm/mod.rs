//! The commands on Docker Swarm. What they have in common with those on Compose they share: files, lock, plan, execution,
//! events, summary, probe, report, notification.

pub mod doctor;
pub mod history;
mod images;
mod perform;
pub mod rollback;
mod sources;
pub mod status;
pub mod up;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    thread,
};

use super::{Context, environment::is_true};
use crate::{
    advice,
    cli::{Pace, Planning},
    engine::{Docker, Engine},
    exit::{Exit, Stop},
    plan::{Plan, Request},
    platform::{
        Platform,
        compose::check_compose,
        swarm::{
            Managers, Observed, Record, Store, Swarm, Target,
            stack::{self, Misfit, Options},
            targets,
        },
    },
    project::{Project, Until},
};

/// A project with what was found, ready to be performed.
pub struct Ready {
    pub project: Project,
    pub swarm: Swarm,
    pub observed: Observed,
    pub plan: Plan,
    /// What must be there before the services.
    pub kept: Vec<stack::Kept>,
    /// The names of the configs and secrets of zdd's own that the targets refer to.
    pub named: BTreeSet<String>,
}

impl Context {
    /// The managers of the swarm: what docker would ask, and the contexts of the file.
    ///
    /// # Errors
    /// None of them answers, or is a manager. Nothing was touched.
    pub fn managers(&self, contexts: &[String]) -> Result<Arc<Managers>, Stop> {
        let managers = Managers::new(self.docker(), contexts, &self.waiter);
        let mut state = String::new();
        for _ in 0..managers.count() {
            let swarm = managers.read(|docker| docker.swarm())?;
            if swarm.controls {
                check_others(&managers, &swarm.cluster)?;
                managers.are_known();
                return Ok(Arc::new(managers));
            }
            state = if swarm.error.is_empty() {
                swarm.state
            } else {
                format!("{}: {}", swarm.state, swarm.error)
            };
            managers.next();
        }
        let message =
            format!("the engine is no manager of a swarm (its state is {state}); nothing was touched");
        Err(Stop::error(message).hint(
            "choose a manager with \"docker --context NAME zdd …\", make a swarm with \"docker swarm init\", or run it with --engine compose",
        ))
    }

    /// Containers of the same project that Compose started have its ports and names.
    fn refuse_compose_containers(&mut self, managers: &Managers, project: &str) -> Result<(), Stop> {
        let mut docker = managers.current().clone();
        docker.set_project(project);
        let running: Vec<_> = docker.containers(None)?.into_iter().filter(|c| c.runs()).collect();
        let Some(first) = running.first() else { return Ok(()) };
        let message = format!(
            "project {project} runs on this engine by Compose ({} and {} more), and a stack of the same name would take its names and ports; nothing was touched",
            first.name,
            running.len() - 1
        );
        Err(Stop::new(Exit::Refused, message).hint(
            "deploy it under another name (-p NAME), move the traffic, then run \"docker compose down\"; docs/swarm.md has the steps",
        ))
    }

    /// Transforms, observes and plans.
    pub fn ready_for_swarm(
        &mut self,
        managers: &Arc<Managers>,
        mut project: Project,
        planning: &Planning,
        dry: bool,
    ) -> Result<Ready, Stop> {
        check_compose(self.docker())?;
        self.platform.docker.set_project(&project.name);
        self.refuse_compose_containers(managers, &project.name)?;
        refuse_settings(&project)?;
        let revisions = Store { managers, project: &project.name }.revisions()?;
        let observed = Observed::read(managers, &project.name, revisions)?;
        self.build_for_swarm(&project, planning, &observed, dry)?;
        let notes = self.pin_images(managers, &mut project, &observed, planning)?;
        let sources = self.sources(&project);
        let mut options = Options::of(&project, &sources);
        options.scale = planning.scale.iter().cloned().collect();
        let stack = stack::convert(&project.document, &options).map_err(|misfits| self.misfits(&misfits))?;
        if !planning.as_deployed {
            let made = managers.read(|docker| docker.network_labels(&stack.name, stack::NETWORK_LABEL))?;
            let changed = stack.changed_networks(&made, &planning.services);
            if !changed.is_empty() {
                return Err(self.misfits(&changed));
            }
        }
        let mut targets = targets(&stack, &observed.counts(), observed.next_number());
        for (name, note) in notes {
            targets.entry(name).and_modify(|target| target.notes.push(note));
        }
        let request = self.request_for_swarm(&project, &observed, planning)?;
        let kept = stack.kept.clone();
        Ok(self.planned(managers, project, (targets, kept), observed, &request))
    }

    fn planned(
        &self,
        managers: &Arc<Managers>,
        project: Project,
        (targets, kept): (BTreeMap<String, Target>, Vec<stack::Kept>),
        observed: Observed,
        request: &Request,
    ) -> Ready {
        let mut swarm = Swarm {
            managers: managers.clone(),
            name: project.name.clone(),
            file: project.file.clone(),
            targets,
            back: BTreeMap::new(),
            nodes: observed.active_nodes(),
            looks: Default::default(),
            sending: Default::default(),
        };
        let mut plan = swarm.plan(&project, &observed, request);
        let cluster = advice::Cluster { nodes: observed.active_nodes().len() };
        advice::annotate_swarm(&mut plan, &project, &cluster);
        if plan.changes() {
            swarm.back = known_texts(managers, &project.name, &observed);
        }
        let named = kept.iter().map(|one| one.name.clone()).collect();
        Ready { project, swarm, observed, plan, kept, named }
    }

    fn request_for_swarm(
        &self,
        project: &Project,
        observed: &Observed,
        planning: &Planning,
    ) -> Result<Request, Stop> {
        let by_habit = !planning.as_deployed && is_true("COMPOSE_REMOVE_ORPHANS");
        let foreign = observed.services.keys().any(|name| !project.services.contains_key(name));
        Ok(Request {
            services: planning.services.clone(),
            no_deps: planning.no_deps,
            force: planning.force_recreate,
            allow_downtime: planning.pace.allow_downtime,
            spares_jobs: planning.as_deployed,
            remove_orphans: planning.remove_orphans || by_habit,
            dormant: if foreign { self.dormant(project)? } else { Default::default() },
            ..Request::default()
        })
    }

    /// All that stands in the way, each with its place.
    fn misfits(&self, misfits: &[Misfit]) -> Stop {
        let line = |misfit: &Misfit| {
            let path: Vec<_> = misfit.key.iter().map(String::as_str).collect();
            let place = self.files.locate(&path).map(|place| format!("{place}: ")).unwrap_or_default();
            format!("{place}{misfit}")
        };
        let lines: Vec<_> = misfits.iter().map(line).collect();
        Stop::new(Exit::Refused, format!("{}\nnothing was touched", lines.join("\n")))
    }
}

/// What one of these is asked must be of the same swarm. One that does not answer now may do so when it is needed.
///
/// # Errors
/// The client does not know the context, or it is another swarm's.
fn check_others(managers: &Managers, cluster: &str) -> Result<(), Stop> {
    let check = |docker| match Docker::swarm(docker) {
        Ok(swarm) => Ok((docker, swarm.cluster)),
        Err(error) if error.is_lost_contact() => Ok((docker, String::new())),
        Err(error) => Err(unusable(docker, &format!("cannot be used: {}", error.problem.said()))),
    };
    let said: Vec<_> = thread::scope(|scope| {
        let all: Vec<_> = managers.others().map(|docker| scope.spawn(move || check(docker))).collect();
        all.into_iter().filter_map(|one| one.join().ok()).collect::<Result<_, Stop>>()
    })?;
    // One that has just come back does not say which swarm it is of.
    let is_known = |cluster: &&str| !cluster.is_empty();
    let of_others = said.iter().map(|(_, cluster)| cluster.as_str());
    let known = [cluster].into_iter().chain(of_others).find(is_known).unwrap_or_default();
    match said.iter().find(|(_, cluster)| is_known(&cluster.as_str()) && cluster != known) {
        Some((docker, _)) => Err(unusable(docker, "is of another swarm")),
        None => Ok(()),
    }
}

fn unusable(docker: &Docker, problem: &str) -> Stop {
    let name = docker.context().unwrap_or_default();
    Stop::error(format!("x-zdd.swarm.contexts: {name} {problem}; nothing was touched"))
        .hint("\"docker context ls\" lists the names")
}

/// The texts of what runs, by service, where a revision has them.
fn known_texts(managers: &Managers, project: &str, observed: &Observed) -> BTreeMap<String, String> {
    use crate::platform::swarm::{HASH_LABEL, planner::recorded_number};
    let store = Store { managers, project };
    let mut records: BTreeMap<u32, Option<Record>> = BTreeMap::new();
    let mut texts = BTreeMap::new();
    for (name, seen) in &observed.services {
        let Some(hash) = seen.service.label(HASH_LABEL) else { continue };
        let Some(number) = recorded_number(&observed.revisions, name, hash) else { continue };
        let record = records.entry(number).or_insert_with(|| store.record(number).ok().flatten());
        if let Some(target) = record.as_ref().and_then(|record| record.targets.get(name)) {
            texts.insert(name.clone(), target.text.clone());
        }
    }
    texts
}

/// What a flag asks for that Swarm has nothing for.
///
/// # Errors
/// There is such a flag. Nothing was touched.
pub fn refuse_flags(pace: &Pace) -> Result<(), Stop> {
    let refused = [
        (
            pace.drain_timeout.is_some(),
            "--drain-timeout",
            "Swarm itself takes a task out of DNS 2s before it stops it",
        ),
        (
            pace.settle.is_some(),
            "--settle",
            "Swarm itself waits between a task's start and the next stop; --delay says how long",
        ),
        (pace.timeout.is_some(), "--timeout", "the nodes stop tasks by themselves; write stop_grace_period"),
    ];
    match refused.into_iter().find(|(given, ..)| *given) {
        Some((_, flag, why)) => {
            Err(Stop::error(format!("{flag} has no meaning on Swarm: {why}; nothing was touched")))
        }
        None => Ok(()),
    }
}

/// The same of the file.
fn refuse_settings(project: &Project) -> Result<(), Stop> {
    for (name, service) in &project.services {
        let settings = &service.settings;
        let refused = match &settings.drain.until {
            Until::Haproxy { .. } => Some((
                "drain",
                "HAProxy's runtime API on another node cannot be asked; go by DNS (docs/swarm.md)",
            )),
            _ if !settings.settle.is_zero() => {
                Some(("settle", "Swarm itself decides when old tasks stop; write delay instead"))
            }
            _ => None,
        };
        if let Some((key, why)) = refused {
            return Err(Stop::new(
                Exit::Refused,
                format!("service {name}: x-zdd.{key} has no meaning on Swarm: {why}; nothing was touched"),
            ));
        }
    }
    Ok(())
}

pub fn no_init() -> Stop {
    Stop::error("init has no meaning on Swarm, which needs no override file; nothing was written")
        .hint("\"docker zdd plan\" says what Swarm has nothing for")
}
