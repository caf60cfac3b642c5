//! What is not as it should be at the moment.

use super::{Finding, Scene};
use crate::{
    engine::{Container, State},
    keep::{Holder, Life},
    plan::What,
    status::{Condition, ServiceStatus},
    text::{count as counted, verb},
};

/// The rows of the status, unless somebody is at work: what is half done then is that run's business.
fn at_rest<'a>(scene: &Scene<'a>) -> &'a [ServiceStatus] {
    let status = scene.status.filter(|status| !status.rollout.as_ref().is_some_and(Holder::may_run));
    status.map_or(&[], |status| &status.services)
}

fn rows<'a>(scene: &Scene<'a>) -> &'a [ServiceStatus] {
    scene.status.map_or(&[], |status| &status.services)
}

pub fn lock(scene: &Scene) -> Option<Finding> {
    let Holder { owner, life, .. } = scene.status?.rollout.as_ref()?;
    let (problem, remedy) = match life {
        Life::Running => return None,
        Life::Dead => (
            format!("the run of {owner} ended without releasing its lock"),
            "the next \"docker zdd up\" takes it over",
        ),
        Life::Unknown => (
            format!("whether {owner} still runs cannot be seen from here"),
            "if you know it is dead, run \"docker zdd up --break-lock\"",
        ),
    };
    Some(Finding::new(problem).remedy(remedy))
}

pub fn interrupted(scene: &Scene) -> Vec<Finding> {
    let one = |row: &ServiceStatus| {
        let Condition::Interrupted { new, old } = row.condition else { return None };
        let problem =
            format!("a rollout was interrupted; {new} new and {old} old containers run side by side");
        Some(up(row, problem, "to finish it"))
    };
    at_rest(scene).iter().filter_map(one).collect()
}

/// Stopped containers beside running ones: an old one that was not removed, a new one that was never started.
pub fn leftovers(scene: &Scene) -> Vec<Finding> {
    let rows = at_rest(scene).iter().filter(|row| !is_foreign(row));
    rows.flat_map(|row| leftovers_of(row, scene.containers)).collect()
}

fn is_foreign(row: &ServiceStatus) -> bool {
    matches!(row.condition, Condition::Orphan | Condition::Dormant | Condition::NoFile)
}

fn leftovers_of(row: &ServiceStatus, containers: &[Container]) -> Vec<Finding> {
    let mine: Vec<_> = containers.iter().filter(|c| c.service == row.service).collect();
    if !mine.iter().any(|c| c.is_up()) {
        return vec![];
    }
    let of = |states: &[State]| -> Vec<&str> {
        mine.iter().filter(|c| states.contains(&c.state)).map(|c| c.name.as_str()).collect()
    };
    let one = |names: Vec<&str>, one: &str, many: &str| {
        let finding = || up(row, format!("{} left behind", verb(&names, one, many)), "to clean up");
        (!names.is_empty()).then(finding)
    };
    let stopped = one(of(&[State::Exited, State::Dead]), "is stopped and", "are stopped and");
    let created = one(of(&[State::Created]), "was never started and is", "were never started and are");
    stopped.into_iter().chain(created).collect()
}

/// The services in this condition; `None` when there are none.
fn services<'a>(
    rows: impl IntoIterator<Item = &'a ServiceStatus>,
    is_so: impl Fn(&Condition) -> bool,
) -> Option<Vec<&'a str>> {
    let rows = rows.into_iter().filter(|row| is_so(&row.condition));
    Some(rows.map(|row| row.service.as_str()).collect::<Vec<_>>()).filter(|names| !names.is_empty())
}

pub fn down(scene: &Scene) -> Option<Finding> {
    let wanted = at_rest(scene).iter().filter(|row| row.wanted.is_some_and(|n| n > 0));
    let down = services(wanted.clone(), |condition| *condition == Condition::Down)?;
    let problem = match down.len() {
        n if n > 1 && n == wanted.count() => {
            let problem = format!("nothing of project {} is running", scene.status?.project);
            return Some(Finding::new(problem).remedy("run \"docker zdd up\" to start it"));
        }
        _ => format!("{} not running", verb(&down, "is", "are")),
    };
    let them = if down.len() == 1 { "it" } else { "them" };
    Some(Finding::new(problem).remedy(format!("run \"docker zdd up {}\" to start {them}", down.join(" "))))
}

pub fn changed(scene: &Scene) -> Option<Finding> {
    let changed = services(at_rest(scene), |condition| matches!(condition, Condition::Changed { .. }))?;
    let problem = format!("{} from the files", verb(&changed, "differs", "differ"));
    Some(Finding::new(problem).remedy(format!(
        "run \"docker zdd plan {}\" to see what \"docker zdd up\" would do",
        changed.join(" ")
    )))
}

pub fn count(scene: &Scene) -> Vec<Finding> {
    let one = |row: &ServiceStatus| {
        let Condition::Count { running, wanted } = row.condition else { return None };
        let problem = format!("{running} of {} run", counted(wanted as usize, "replica"));
        Some(up(row, problem, &format!("to have {wanted}")))
    };
    at_rest(scene).iter().filter_map(one).collect()
}

/// What does not work in the wanted version would not work in a new container either, but the user should know.
pub fn sick(scene: &Scene) -> Vec<Finding> {
    let goes = |container: &Container| {
        let plans = scene.plan.iter().flat_map(|plan| &plan.services);
        plans.flat_map(|plan| &plan.operations).any(|op| match &op.what {
            What::Stop { containers } | What::Recreate { old: containers, .. } => {
                containers.iter().any(|one| one.id == container.id)
            }
            _ => false,
        })
    };
    let one = |c: &Container| {
        let problem = match c.state {
            _ if goes(c) => return None,
            State::Restarting => "keeps crashing",
            State::Running if c.is_unhealthy() => "is unhealthy",
            _ => return None,
        };
        let mut remedy = format!("\"docker logs {}\" may say why", c.name);
        // What is in no file here cannot be brought up.
        let foreign = rows(scene).iter().filter(|row| is_foreign(row)).any(|row| row.service == c.service);
        if !foreign {
            remedy += &format!(", \"docker zdd up --force-recreate {}\" replaces it", c.service);
        }
        Some(Finding::of(&c.service, format!("{} {problem}", c.name)).remedy(remedy))
    };
    shown(scene).filter_map(one).collect()
}

pub fn paused(scene: &Scene) -> Vec<Finding> {
    let paused = shown(scene).filter(|c| c.state == State::Paused);
    let one = |c: &Container| {
        let remedy = format!("run \"docker unpause {}\", as nothing can be rolled out meanwhile", c.name);
        Finding::of(&c.service, format!("{} is paused", c.name)).remedy(remedy)
    };
    paused.map(one).collect()
}

/// The containers of what is shown or planned.
fn shown<'a>(scene: &Scene<'a>) -> impl Iterator<Item = &'a Container> {
    let rows = rows(scene).iter().map(|row| &row.service);
    let planned = scene.plan.iter().flat_map(|plan| &plan.services).map(|plan| &plan.service);
    let names: Vec<_> = rows.chain(planned).collect();
    scene.containers.iter().filter(move |c| names.contains(&&c.service))
}

pub fn failed_job(scene: &Scene) -> Vec<Finding> {
    let one = |row: &ServiceStatus| {
        let Condition::JobFailed { exit_code } = row.condition else { return None };
        let word = format!("exited ({exit_code})");
        let container = row.containers.iter().rev().find(|c| c.health == word)?;
        let problem = format!("the job ended with exit code {exit_code}");
        let remedy = format!("run \"docker logs {}\"", container.name);
        Some(Finding::of(&row.service, problem).remedy(remedy))
    };
    rows(scene).iter().filter_map(one).collect()
}

pub fn orphans(scene: &Scene) -> Option<Finding> {
    let orphans = services(rows(scene), |condition| *condition == Condition::Orphan)?;
    let them = if orphans.len() == 1 { "it" } else { "them" };
    let problem = format!("{} in no file any more", verb(&orphans, "is", "are"));
    Some(Finding::new(problem).remedy(format!("run \"docker zdd up --remove-orphans\" to remove {them}")))
}

fn up(row: &ServiceStatus, problem: String, why: &str) -> Finding {
    Finding::of(&row.service, problem).remedy(format!("run \"docker zdd up {}\" {why}", row.service))
}
