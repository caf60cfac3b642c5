//! The verdict of one service.

use std::collections::BTreeSet;

use super::{
    Refusal, Request, ServicePlan, Step,
    situation::Situation,
    steps::{self, Stock},
};
use crate::{
    event::Verdict,
    model::{
        Hazard, Service,
        settings::{Order, Strategy},
    },
    observed::{Container, State},
};

/// Plans a service that the user asked for.
pub fn plan(service: &Service, now: &Situation, request: &Request) -> ServicePlan {
    if service.provider {
        return nothing(service, "run by its provider, which \"docker compose up\" calls");
    }
    if let Some(refusal) = impossible(service, now) {
        return blocked(service, refusal);
    }
    if service.one_shot {
        return plan_one_shot(service, now, request);
    }
    if now.running() == 0 && service.replicas > 0 {
        return create(service, now, request, "nothing of it runs");
    }
    if now.stale.is_empty() || service.replicas == 0 {
        return plan_count(service, now);
    }
    plan_change(service, now, request)
}

/// Plans a service that is only depended on: started where nothing of it runs, else left alone.
pub fn plan_dependency(service: &Service, now: &Situation, request: &Request) -> ServicePlan {
    let finished = service.one_shot && now.finished;
    if service.provider || now.running() > 0 || finished || service.replicas == 0 {
        let reason = match now.differences.is_empty() {
            true => "as wanted",
            false => "changed, but not named: left as it is",
        };
        return awaited(service, now, reason);
    }
    if let Some(refusal) = impossible(service, now) {
        return blocked(service, refusal);
    }
    create(service, now, request, "nothing of it runs, and a named service depends on it")
}

fn plan_one_shot(service: &Service, now: &Situation, request: &Request) -> ServicePlan {
    if now.finished && now.fresh.is_empty() && !request.force {
        return nothing(service, "has run to its end");
    }
    if !now.fresh.is_empty() {
        return awaited(service, now, "is running to its end");
    }
    let reason = if request.force { "forced" } else { "a one-shot service that has not run in this version" };
    let mut plan = verdict(service, Verdict::Create, reason);
    plan.steps = job(service, now, request);
    plan
}

/// Two generations of a job at once is never meant: an older one comes to its end first, or is stopped if it
/// never will.
fn job(service: &Service, now: &Situation, request: &Request) -> Vec<Step> {
    let (looping, running): (Vec<_>, Vec<_>) =
        now.stale.iter().copied().partition(|c| c.state == State::Restarting);
    let mut steps = Vec::new();
    if !running.is_empty() {
        steps.push(Step::Await { containers: steps::refs(&running) });
    }
    if !looping.is_empty() {
        steps.push(Step::Stop { batch: 0, containers: steps::refs(&looping) });
    }
    let down: Vec<_> = now.down.iter().chain(&now.stale).copied().collect();
    steps.extend(begin(service, now, &down, request));
    steps
}

/// Nothing to do, but what others may wait for is not there yet: a job that runs, a replica that still boots.
fn awaited(service: &Service, now: &Situation, reason: &str) -> ServicePlan {
    let mut plan = nothing(service, reason);
    plan.notes.extend(sick_note(service, now, &[]));
    let booting = |c: &&&Container| service.one_shot || c.is_starting();
    let open: Vec<_> = now.fresh.iter().filter(booting).copied().collect();
    if !open.is_empty() {
        plan.steps = vec![Step::Gate { batch: 1, also: steps::refs(&open) }];
    }
    plan
}

fn plan_count(service: &Service, now: &Situation) -> ServicePlan {
    let (running, wanted) = (now.running(), service.replicas as usize);
    if running == wanted && now.down.is_empty() {
        let pending = "unchanged so far; its image may change when it is built or pulled";
        return awaited(service, now, if now.image_pending { pending } else { "as wanted" });
    }
    let reason = match () {
        () if running == wanted => format!("removes {} of it", count(now.down.len(), "stopped container")),
        () => format!("{running} of {wanted} replicas run"),
    };
    let mut plan = verdict(service, Verdict::Scale, &reason);
    plan.steps = steps::rolling(service, &Stock::of(now));
    plan.notes.extend(sick_note(service, now, &plan.steps));
    plan
}

fn plan_change(service: &Service, now: &Situation, request: &Request) -> ServicePlan {
    let reason = change(now, request);
    let rolls = match service.settings.strategy {
        Strategy::Rolling => true,
        Strategy::Recreate => false,
        Strategy::Auto => service.hazards.is_empty(),
    };
    let starts = (now.fresh.len() as u32) < service.replicas;
    if let Some(hazard) = service.hazards.iter().find(|hazard| rolls && starts && forbids(hazard, service)) {
        return blocked(service, rolling_refusal(hazard));
    }
    if rolls && starts && service.injected_files && service.settings.order == Order::StopFirst {
        return blocked(service, stop_first_refusal());
    }
    if rolls {
        let mut plan = verdict(service, Verdict::Roll, &reason);
        plan.steps = steps::rolling(service, &Stock::of(now));
        plan.notes.extend(service.linked_by.iter().map(|other| link_note(service, other)));
        plan.notes.extend(one_batch_note(service));
        return plan;
    }
    let mut plan = verdict(service, Verdict::Recreate, &reason);
    plan.steps = vec![Step::Recreate { old: steps::refs(&now.stale) }, Step::Gate { batch: 1, also: vec![] }];
    plan.notes
        .push("its requests fail from the stop of the old container to the start of the new".to_owned());
    if service.settings.strategy == Strategy::Auto && !request.allow_downtime {
        plan.refusals = service.hazards.iter().map(hazard_refusal).collect();
        plan.steps.clear();
    }
    plan
}

fn change(now: &Situation, request: &Request) -> String {
    let stale = now.stale.len();
    let what = match (now.differences.as_slice(), request.force) {
        ([], _) => "forced".to_owned(),
        (differences, _) => format!("{} changed", differences.join(" and ")),
    };
    match now.fresh.len() {
        0 => what,
        n => format!("{what}; {} done before, {stale} to go", count(n, "replica")),
    }
}

fn create(service: &Service, now: &Situation, request: &Request, reason: &str) -> ServicePlan {
    let mut plan = verdict(service, Verdict::Create, reason);
    plan.steps = begin(service, now, &now.down, request);
    plan
}

/// Nothing serves that could be hurt. Where there are stopped containers Compose does it, which keeps the data in
/// their anonymous volumes; but it cannot start a dead one.
fn begin(service: &Service, now: &Situation, down: &[&Container], request: &Request) -> Vec<Step> {
    let (dead, down): (Vec<_>, Vec<_>) = down.iter().copied().partition(|c| c.state == State::Dead);
    let clear = (!dead.is_empty()).then(|| Step::Clear { containers: steps::refs(&dead) });
    let rest = match down.is_empty() {
        true => steps::rolling(service, &Stock::of(now).cleared()),
        false => vec![
            Step::Revive { down: steps::refs(&down), force: request.force },
            Step::Gate { batch: 1, also: vec![] },
        ],
    };
    clear.into_iter().chain(rest).collect()
}

/// What Compose or the engine cannot carry out at all.
fn impossible(service: &Service, now: &Situation) -> Option<Refusal> {
    if let Some(provider) = &service.fed_by {
        return Some(Refusal {
            key: Some("depends_on"),
            problem: format!(
                "it gets variables from the provider of \"{provider}\", and only Compose's own \"up\" hands them over"
            ),
            remedy: format!(
                "type \"docker compose up -d {0}\", and name the other services to \"docker zdd\"",
                service.name
            ),
        });
    }
    if let Some(paused) = now.paused.first() {
        return Some(Refusal {
            key: None,
            problem: format!(
                "container {} is paused, and Compose cannot scale a service with a paused container",
                paused.name
            ),
            remedy: format!("type \"docker unpause {0}\" or \"docker rm -f {0}\"", paused.name),
        });
    }
    let too_many = |hazard: &&Hazard| hazard.limit().is_some_and(|n| service.replicas > n.max(1));
    service.hazards.iter().find(too_many).map(|hazard| Refusal {
        problem: format!("{hazard}, so {} replicas cannot run", service.replicas),
        ..hazard_refusal(hazard)
    })
}

/// Whether one batch more than the wanted count is too many for it, whatever the user says: a stopped container
/// gives back its port and its address, but not its name.
fn forbids(hazard: &Hazard, service: &Service) -> bool {
    let batch = match service.settings.parallelism {
        0 => service.replicas,
        n => n.min(service.replicas),
    };
    let stays = service.settings.order == Order::StartFirst || matches!(hazard, Hazard::ContainerName(_));
    stays && hazard.limit().is_some_and(|room| room < service.replicas + batch)
}

fn rolling_refusal(hazard: &Hazard) -> Refusal {
    let refusal = hazard_refusal(hazard);
    Refusal {
        problem: format!("strategy is rolling, but {}", refusal.problem),
        remedy: format!("{}, or write \"x-zdd: {{strategy: recreate}}\"", refusal.remedy),
        ..refusal
    }
}

fn stop_first_refusal() -> Refusal {
    Refusal {
        key: Some("x-zdd"),
        problem: "order is stop-first, but its configs or secrets are copied in by Compose, which would start the stopped old containers too".to_owned(),
        remedy: "write \"order: start-first\" or \"strategy: recreate\"".to_owned(),
    }
}

fn verdict(service: &Service, verdict: Verdict, reason: &str) -> ServicePlan {
    ServicePlan {
        service: service.name.clone(),
        asked: true,
        verdict,
        reason: reason.to_owned(),
        replicas: service.replicas,
        refusals: vec![],
        notes: vec![],
        after: vec![],
        steps: vec![],
        one_shot: service.one_shot,
        means: super::Means::Nothing,
        settings: service.settings.clone(),
    }
}

fn nothing(service: &Service, reason: &str) -> ServicePlan {
    verdict(service, Verdict::Unchanged, reason)
}

fn blocked(service: &Service, refusal: Refusal) -> ServicePlan {
    let mut plan = verdict(service, Verdict::Blocked, "cannot be done as written");
    plan.refusals.push(refusal);
    plan
}

fn hazard_refusal(hazard: &Hazard) -> Refusal {
    Refusal { key: Some(hazard.key()), problem: hazard.to_string(), remedy: hazard.remedy() }
}

fn one_batch_note(service: &Service) -> Option<String> {
    let batched = service.settings.parallelism != 0 && service.settings.parallelism < service.replicas;
    (batched && service.injected_files).then(|| {
        "all at once, not in batches: its configs or secrets are copied in by Compose, which would start the stopped old containers too"
            .to_owned()
    })
}

fn link_note(service: &Service, other: &str) -> String {
    format!(
        "\"{other}\" links to it: inside {other} the name \"{0}\" means an old container and dies with it; remove the link, or give {0} an alias on its network and use that",
        service.name
    )
}

/// What does not work in the wanted version would not work in a new container either, but the user should know.
fn sick_note(service: &Service, now: &Situation, steps: &[Step]) -> Option<String> {
    let stops = |c: &Container| {
        steps
            .iter()
            .any(|step| matches!(step, Step::Stop { containers, .. } if containers.contains(&c.reference())))
    };
    let sick = now.fresh.iter().filter(|c| (c.is_unhealthy() || c.state == State::Restarting) && !stops(c));
    let word = |c: &&&Container| if c.is_unhealthy() { "is unhealthy" } else { "keeps restarting" };
    let told: Vec<_> = sick.map(|c| format!("{} {}", c.name, word(&c))).collect();
    (!told.is_empty()).then(|| {
        format!(
            "{}, but of the wanted version, so nothing is done; \"docker zdd up --force-recreate {}\" replaces it",
            told.join(", "),
            service.name
        )
    })
}

/// A rolled replica starts with new anonymous volumes (Compose 5.6.1; a recreated one would inherit them), and those of
/// a removed one go with it.
pub fn anonymous_volume_note(mine: &[&Container], steps: &[Step]) -> Option<String> {
    let goes = |c: &Container| {
        steps.iter().any(|step| match step {
            Step::Clear { containers } | Step::Remove { containers } => containers.contains(&c.reference()),
            _ => false,
        })
    };
    let wrote = |c: &&&Container| !c.anonymous_volumes.is_empty() && c.state != State::Created;
    let losers: Vec<_> = mine.iter().filter(wrote).filter(|c| goes(c)).collect();
    let places: BTreeSet<_> = losers.iter().flat_map(|c| &c.anonymous_volumes).map(String::as_str).collect();
    let names: Vec<_> = losers.iter().map(|c| c.name.as_str()).collect();
    (!losers.is_empty()).then(|| {
        format!(
            "what it wrote to {} is gone with {}: an anonymous volume is not handed on; give it a name",
            Vec::from_iter(places).join(", "),
            names.join(", ")
        )
    })
}

pub fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}
