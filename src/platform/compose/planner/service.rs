//! The verdict of one service.

use std::sync::Arc;

use super::{
    addresses::Room,
    alone::{Alone, alone},
    operations::{self, Stock, replicas},
    situation::Situation,
};
use crate::{
    engine::{Container, State},
    event::Verdict,
    helper::Presence,
    plan::{Operation, Prospect, Refusal, Request, ServicePlan, What},
    project::{Hazard, Order, Project, Service, Strategy, UseHelper, fed_by, keeper_of_data},
    text::count,
};

/// A service to plan, with what is in the way of it and what there is of it.
pub struct Case<'a> {
    pub project: &'a Project,
    pub service: Arc<Service>,
    pub hazards: Vec<Hazard>,
    pub now: Situation<'a>,
    pub request: &'a Request,
    pub helper: &'a Presence,
    pub can_undo: bool,
    /// The service in whose container it lives, where that is replaced.
    pub follows: Option<&'a str>,
    /// Where addresses are few.
    pub room: Option<Room<'a>>,
}

impl Case<'_> {
    /// Plans a service that the user asked for.
    pub fn plan(&self) -> ServicePlan {
        if self.service.is_provider() {
            return self.nothing("run by its provider, which \"docker compose up\" calls");
        }
        if let Some(refusal) = self.impossible() {
            return self.blocked(refusal);
        }
        if self.service.is_job() {
            return self.plan_job();
        }
        if self.has_ended_well() && !self.request.force {
            return self.nothing("has run to its end");
        }
        if self.now.running() == 0 && self.service.replicas > 0 {
            return self.create("not running");
        }
        if self.now.outdated.is_empty() || self.service.replicas == 0 {
            return self.plan_count();
        }
        self.plan_change()
    }

    fn has_ended_well(&self) -> bool {
        self.service.may_end() && self.now.finished && self.now.running() == 0
    }

    /// Plans a service that is only depended on: started where not running, else left alone.
    pub fn plan_dependency(&self) -> ServicePlan {
        let (service, now) = (&self.service, &self.now);
        let finished = self.has_ended_well();
        if service.is_provider() || now.running() > 0 || finished || service.replicas == 0 {
            let reason = match now.differences.is_empty() {
                true => "as wanted",
                false => "changed, but not named: left as it is",
            };
            return self.awaited(reason);
        }
        match self.impossible() {
            Some(refusal) => self.blocked(refusal),
            None => self.create("not running, and a named service depends on it"),
        }
    }

    fn plan_job(&self) -> ServicePlan {
        let (now, force) = (&self.now, self.request.force);
        if now.finished && now.current.is_empty() && !force {
            return self.nothing("has run to its end");
        }
        if !now.current.is_empty() {
            return self.awaited("is running to its end");
        }
        if self.request.spares_jobs && !self.request.services.contains(&self.service.name) {
            return self.nothing("runs again only when it is named");
        }
        let reason = if force { "forced" } else { "a one-shot service that has not run in this version" };
        self.verdict(Verdict::Create, reason, self.job(reason))
    }

    /// Two generations of a job at once is never meant: an older one comes to its end first, or is stopped if it
    /// never will.
    fn job(&self, reason: &str) -> Vec<Operation> {
        let outdated = self.now.outdated.iter().copied();
        let (looping, running): (Vec<_>, Vec<_>) = outdated.partition(|c| c.state == State::Restarting);
        let mut all = Vec::new();
        if !running.is_empty() {
            all.push(single(
                What::Await { containers: replicas(&running) },
                "two generations of a job may not run at once",
            ));
        }
        if !looping.is_empty() {
            all.push(single(What::Stop { containers: replicas(&looping) }, "it would restart forever"));
        }
        let down: Vec<_> = self.now.down.iter().chain(&self.now.outdated).copied().collect();
        all.extend(self.begin(&down, reason));
        all
    }

    /// Nothing to do, but what others may wait for is not there yet: a job that runs, a replica that still boots.
    fn awaited(&self, reason: &str) -> ServicePlan {
        let booting = |c: &&&Container| self.service.is_job() || c.is_starting();
        let open: Vec<_> = self.now.current.iter().filter(booting).copied().collect();
        let gate = Operation {
            batch: 1,
            what: What::Gate { also: replicas(&open) },
            cause: "others may wait for it".to_owned(),
        };
        let operations = if open.is_empty() { vec![] } else { vec![gate] };
        self.verdict(Verdict::Unchanged, reason, operations)
    }

    fn plan_count(&self) -> ServicePlan {
        let (now, wanted) = (&self.now, self.service.replicas as usize);
        let running = now.running();
        if running == wanted && now.down.is_empty() {
            let pending = "unchanged so far; its image may change when it is built or pulled";
            return self.awaited(if now.image_pending { pending } else { "as wanted" });
        }
        let reason = match running == wanted {
            true => format!("removes {} of it", count(now.down.len(), "stopped container")),
            false => format!("{running} of {wanted} replicas run"),
        };
        self.verdict(Verdict::Scale, &reason, operations::rolling(&self.service, Stock::of(now), &reason))
    }

    fn plan_change(&self) -> ServicePlan {
        let (reason, holding) = (self.change(), self.can_hold());
        let rolls = self.rolls(holding.is_ok());
        if let Some(hazard) = self.hazards.iter().find(|hazard| hazard.is_final()) {
            return self.blocked(hazard_refusal(hazard));
        }
        if let Some(refusal) = self.rolling_refusal().filter(|_| rolls) {
            return self.blocked(refusal);
        }
        if rolls {
            let operations = operations::rolling(&self.service, Stock::of(&self.now), &reason);
            return self.verdict(Verdict::Roll, &reason, operations);
        }
        self.plan_alone(&reason, holding)
    }

    fn rolls(&self, can_hold: bool) -> bool {
        match self.service.settings.strategy {
            Strategy::Rolling => true,
            Strategy::Held | Strategy::Recreate => false,
            Strategy::Auto => self.hazards.is_empty() && !(can_hold && self.stops_all_first()),
        }
    }

    /// What becomes of it when it changes.
    pub fn prospect(&self) -> Prospect {
        if self.service.may_end() || self.service.is_provider() {
            return Prospect::Aside;
        }
        let holding = self.can_hold();
        let rolls = self.rolls(holding.is_ok());
        let refused = self.impossible().is_some()
            || self.hazards.iter().any(Hazard::is_final)
            || rolls && self.rolling_refusal().is_some();
        match holding {
            _ if refused => Prospect::Refused,
            _ if rolls => Prospect::Rolls,
            Ok(()) if self.consent_wanted(Ok(())).is_empty() => Prospect::Held,
            _ => Prospect::NeedsConsent,
        }
    }

    /// `order: stop-first`, and none is left that could serve meanwhile.
    fn stops_all_first(&self) -> bool {
        let settings = &self.service.settings;
        settings.order == Order::StopFirst && self.service.batch() == self.service.replicas
    }

    /// The old ones stop before the new ones start.
    fn plan_alone(&self, reason: &str, holding: Result<(), String>) -> ServicePlan {
        let verdict = if holding.is_ok() { Verdict::Hold } else { Verdict::Recreate };
        let why = self.hazards.first().map(ToString::to_string);
        let reason =
            why.filter(|_| holding.is_ok()).map_or(reason.to_owned(), |why| format!("{reason}; {why}"));
        let by_compose = self.service.injected_files || self.hazards.iter().any(Hazard::is_for_compose);
        let how = Alone { holds: holding.is_ok(), by_compose, can_undo: self.can_undo };
        let operations = alone(&self.service, Stock::of(&self.now), &reason, how);
        let mut plan = self.verdict(verdict, &reason, operations);
        plan.refusals = self.consent_wanted(holding);
        if !plan.refusals.is_empty() {
            plan.operations.clear();
        }
        plan
    }

    /// Whether connections can wait, or why not.
    fn can_hold(&self) -> Result<(), String> {
        if let Some(hazard) = self.hazards.iter().find(|hazard| hazard.is_beyond_holding()) {
            return Err(hazard.to_string());
        }
        if let Some((network, driver)) = self.project.unsteered_network(&self.service.name) {
            return Err(format!("connections on network \"{network}\" (driver {driver}) cannot be held"));
        }
        if let Some(room) = self.room.filter(|room| room.free == 0) {
            return Err(format!("network \"{}\" has no free address for what stands in", room.network));
        }
        match self.helper {
            _ if self.service.settings.hand_over.helper == UseHelper::Off => {
                Err("no helper is wanted".to_owned())
            }
            Presence::Off => Err("no helper is wanted".to_owned()),
            Presence::Unavailable(why) => Err(why.clone()),
            Presence::WithinNetworks if self.has_ports() => {
                Err("the engine is rootless: the port is closed when the old container stops".to_owned())
            }
            Presence::Ready | Presence::WithinNetworks => Ok(()),
        }
    }

    fn has_ports(&self) -> bool {
        self.project.file.services.get(&self.service.name).is_some_and(|raw| !raw.ports.is_empty())
    }

    /// Why it is only done when the user says so.
    fn consent_wanted(&self, holding: Result<(), String>) -> Vec<Refusal> {
        let given = match self.service.settings.strategy {
            Strategy::Recreate => true,
            Strategy::Held => holding.is_ok(),
            _ => false,
        };
        let stops_first = self.hazards.is_empty() && self.service.settings.order == Order::StopFirst;
        if given || self.request.allow_downtime || stops_first {
            return vec![];
        }
        let raw = self.project.file.services.get(&self.service.name);
        let keeper = raw.and_then(keeper_of_data);
        match (keeper, holding) {
            (None, Ok(())) => vec![],
            (Some(what), Ok(())) => vec![Refusal {
                key: Some("image"),
                problem: format!(
                    "it is {what}: {}, and its clients lose their connections",
                    self.alone_because()
                ),
                remedy: "write \"x-zdd: {strategy: held}\" to agree".to_owned(),
            }],
            (_, Err(why)) if self.hazards.is_empty() => vec![Refusal {
                key: Some("x-zdd"),
                problem: format!("strategy is held, but connections cannot wait: {why}"),
                remedy: "write \"strategy: recreate\" to agree to a downtime".to_owned(),
            }],
            (_, Err(why)) => {
                let mut refusals: Vec<_> = self.hazards.iter().map(hazard_refusal).collect();
                if !self.hazards.iter().any(Hazard::is_beyond_holding) {
                    refusals
                        .iter_mut()
                        .for_each(|r| r.problem += &format!(", and connections cannot wait ({why})"));
                }
                refusals
            }
        }
    }

    fn alone_because(&self) -> String {
        self.hazards.first().map_or("it is to be alone".to_owned(), ToString::to_string)
    }

    fn change(&self) -> String {
        let what = match (self.now.differences.as_slice(), self.follows) {
            ([], Some(host)) => format!("it lives in the container of {host}, which is replaced"),
            ([], _) => "forced".to_owned(),
            (differences, _) => format!("{} changed", differences.join(" and ")),
        };
        let left = self.now.outdated.len();
        match self.now.current.len() {
            0 => what,
            n => format!("{what}; {} done before, {left} to go", count(n, "replica")),
        }
    }

    fn create(&self, reason: &str) -> ServicePlan {
        self.verdict(Verdict::Create, reason, self.begin(&self.now.down, reason))
    }

    /// Nothing serves that could be hurt. Where there are stopped containers Compose does it, which keeps the data in
    /// their anonymous volumes; but it cannot start a dead one.
    fn begin(&self, down: &[&Container], reason: &str) -> Vec<Operation> {
        let (dead, down): (Vec<_>, Vec<_>) = down.iter().copied().partition(|c| c.state == State::Dead);
        let clear = What::Clear { containers: replicas(&dead) };
        let clear = (!dead.is_empty()).then(|| single(clear, "Compose cannot start it"));
        let rest = match down.is_empty() {
            true => operations::rolling(&self.service, Stock::of(&self.now).cleared(), reason),
            false => {
                let revive = What::Revive { down: replicas(&down), force: self.request.force };
                let gate = What::Gate { also: vec![] };
                [(revive, reason), (gate, "it must serve")]
                    .map(|(what, cause)| Operation { batch: 1, what, cause: cause.to_owned() })
                    .into()
            }
        };
        clear.into_iter().chain(rest).collect()
    }

    /// What Compose or the engine cannot carry out at all.
    fn impossible(&self) -> Option<Refusal> {
        if let Some(provider) = fed_by(&self.service, self.project) {
            return Some(Refusal {
                key: Some("depends_on"),
                problem: format!(
                    "it gets variables from the provider of \"{provider}\", and only Compose's own \"up\" hands them over"
                ),
                remedy: format!(
                    "run \"docker compose up -d {0}\", and name the other services to \"docker zdd\"",
                    self.service.name
                ),
            });
        }
        if let Some(paused) = self.now.paused.first() {
            return Some(Refusal {
                key: None,
                problem: format!(
                    "container {} is paused, and Compose cannot scale a service with a paused container",
                    paused.name
                ),
                remedy: format!("run \"docker unpause {0}\" or \"docker rm -f {0}\"", paused.name),
            });
        }
        let replicas = self.service.replicas;
        let more = replicas.saturating_sub(self.now.running() as u32);
        if let Some(room) = self.room.filter(|room| more > room.free) {
            return Some(Refusal {
                key: Some("networks"),
                problem: format!(
                    "{} more of it need an address each, and network \"{}\" has {} left",
                    count(more as usize, "replica"),
                    room.network,
                    room.free
                ),
                remedy: "give the network a larger subnet, or run fewer replicas".to_owned(),
            });
        }
        let too_many = |hazard: &&Hazard| hazard.limit().is_some_and(|n| replicas > n.max(1));
        self.hazards.iter().find(too_many).map(|hazard| Refusal {
            problem: format!("{hazard}, so {replicas} replicas cannot run"),
            ..hazard_refusal(hazard)
        })
    }

    /// Why it cannot roll, whatever the user says.
    fn rolling_refusal(&self) -> Option<Refusal> {
        let starts = self.now.current.len() < self.service.replicas as usize;
        let in_the_way = self.hazards.iter().find(|hazard| forbids(hazard, &self.service));
        let stop_first = self.service.settings.order == Order::StopFirst;
        match in_the_way {
            _ if !starts => None,
            Some(hazard) => {
                let refusal = hazard_refusal(hazard);
                Some(Refusal {
                    problem: format!("strategy is rolling, but {}", refusal.problem),
                    remedy: format!("{}, or write \"x-zdd: {{strategy: recreate}}\"", refusal.remedy),
                    ..refusal
                })
            }
            None => (self.service.injected_files && stop_first).then(|| Refusal {
                key: Some("x-zdd"),
                problem: "order is stop-first, but its configs or secrets are copied in by Compose, which would start the stopped old containers too".to_owned(),
                remedy: "write \"order: start-first\" or \"strategy: recreate\"".to_owned(),
            }),
        }
    }

    fn verdict(&self, verdict: Verdict, reason: &str, operations: Vec<Operation>) -> ServicePlan {
        ServicePlan {
            service: self.service.name.clone(),
            asked: true,
            verdict,
            reason: reason.to_owned(),
            replicas: self.service.replicas,
            refusals: vec![],
            notes: vec![],
            after: vec![],
            operations,
            ways: vec![],
            before: vec![],
            wanted: self.service.clone(),
        }
    }

    fn nothing(&self, reason: &str) -> ServicePlan {
        self.verdict(Verdict::Unchanged, reason, vec![])
    }

    fn blocked(&self, refusal: Refusal) -> ServicePlan {
        let mut plan = self.nothing("");
        plan.block(refusal);
        plan
    }
}

fn single(what: What, cause: &str) -> Operation {
    Operation { batch: 0, what, cause: cause.to_owned() }
}

/// Whether one batch more than the wanted count is too many for it: a stopped container releases its port and its
/// address, but not its name.
fn forbids(hazard: &Hazard, service: &Service) -> bool {
    if matches!(hazard, Hazard::NamespaceSharedBy { by_name: true, .. } | Hazard::NoAddress { .. }) {
        return true;
    }
    let stays = service.settings.order == Order::StartFirst || matches!(hazard, Hazard::ContainerName(_));
    stays && hazard.limit().is_some_and(|room| room < service.replicas + service.batch())
}

fn hazard_refusal(hazard: &Hazard) -> Refusal {
    Refusal { key: Some(hazard.key()), problem: hazard.to_string(), remedy: hazard.remedy() }
}
