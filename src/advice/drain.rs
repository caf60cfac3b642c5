//! Whether old containers can leave the traffic as it is written.

use std::time::Duration;

use super::{Finding, Subject, health};
use crate::{
    engine::Healthcheck,
    event::Verdict,
    helper::Presence,
    plan::What,
    project::{Drain, Order, PRE_STOP_LABEL, Until, UseHelper},
    proxy::{
        Haproxy, Silent, Way,
        labels::{Follower, follower},
        traefik,
    },
    text::duration,
};

/// Longer than the 2 s in which Traefik gathers news from Docker.
const BEHIND_TRAEFIK: &[&str] = &["x-zdd:", "  settle: 3s", "  drain: {until: unhealthy, plus: 3s}"];
/// For the engine to report it, and for what is cut off.
const MARGIN: Duration = Duration::from_secs(5);

/// What must fail for the proxy to notice: the old containers' healthchecks, or the one that new ones will have. `None`
/// stands for one without.
fn healthchecks(subject: &Subject) -> Vec<Option<Healthcheck>> {
    if subject.service.settings.drain.until != Until::Unhealthy || subject.is_aside() {
        return vec![];
    }
    match subject.plan {
        Some(plan) => plan.leaving().map(|container| container.healthcheck).collect(),
        None => match health::of(subject) {
            health::Health::Checked(check) => vec![Some(check)],
            health::Health::Unchecked => vec![None],
            health::Health::Unknown => vec![],
        },
    }
}

pub fn unchecked(subject: &Subject) -> Option<Finding> {
    healthchecks(subject).contains(&None).then_some(())?;
    let problem = "it drains until it is unhealthy, which it can never be without a healthcheck";
    let finding = subject.finding(&["x-zdd", "drain"], problem);
    Some(finding.remedy("write a healthcheck, or drain by time").write(&["x-zdd:", "  drain: 5s"]))
}

pub fn slow(subject: &Subject) -> Option<Finding> {
    let limit = subject.service.settings.drain_timeout;
    let slowest = healthchecks(subject).into_iter().flatten().max_by_key(Healthcheck::fails_within);
    let check = slowest.filter(|check| check.fails_within() > limit)?;
    let needs = check.fails_within();
    let problem = format!(
        "it drains until it is unhealthy, which takes up to {} (interval {} × retries {} + timeout {}), but drain_timeout is {}",
        duration::show(needs),
        duration::show(check.interval()),
        check.retries(),
        duration::show(check.timeout()),
        duration::show(limit)
    );
    let remedy = format!(
        "write \"x-zdd: {{drain_timeout: {}s}}\", and let it fail sooner in later rollouts",
        needs.saturating_add(MARGIN).as_secs()
    );
    let lines = ["healthcheck:", "  interval: 1s", "  timeout: 2s", "  retries: 2"];
    Some(subject.finding(&["healthcheck"], problem).remedy(remedy).write(&lines))
}

pub fn without_hook(subject: &Subject) -> Option<Finding> {
    let hook = !subject.service.hooks.pre_stop.is_empty()
        || match subject.plan {
            Some(plan) => plan.leaving().all(|container| container.labels.contains_key(PRE_STOP_LABEL)),
            None => subject.service.labels.contains_key(PRE_STOP_LABEL),
        };
    // Where there is none, no hook helps.
    if hook || !healthchecks(subject).iter().any(Option::is_some) {
        return None;
    }
    let problem = "it drains until it is unhealthy, but no pre_stop hook makes its healthcheck fail";
    let remedy = "write one that creates a file, \"pre_stop: [{command: [touch, /tmp/drain]}]\", and let the healthcheck fail while it is there, with requests still answered";
    let lines = ["pre_stop:", r#"  - command: ["touch", "/tmp/drain"]"#];
    Some(subject.finding(&["pre_stop"], problem).remedy(remedy).write(&lines))
}

pub fn without_haproxy(subject: &Subject) -> Option<Finding> {
    let (plan, whole) = (subject.plan?, subject.scene.plan?);
    let (named, socket, is_written) = match &subject.service.settings.drain.until {
        Until::Haproxy { service, socket } => (service.as_deref(), socket.as_deref(), true),
        Until::Auto => (None, None, false),
        _ => return None,
    };
    if plan.leaving().next().is_none() || plan.ways.iter().any(|way| !matches!(way, Way::Delay { .. })) {
        return None;
    }
    let finding = |problem: String| subject.finding(&["x-zdd", "drain"], problem);
    let found = Haproxy::find(subject.name(), named, socket, subject.scene.containers);
    if let Some(Silent { proxy, why }) = found.and_then(|found| found.silent(&whole.heard).pop()) {
        let problem = format!("HAProxy in {proxy} cannot be asked to drain it: {why}");
        return Some(finding(problem).remedy("\"x-zdd: {drain: none}\" says that this is known"));
    }
    let none = |what: &str| finding(format!("drain: no container {what}, so nothing is drained"));
    is_written.then(|| match named {
        Some(_) => none("runs HAProxy now"),
        None => none("on its networks is known to run HAProxy")
            .remedy("if one does, write \"x-zdd: {drain: {until: haproxy, service: NAME}}\""),
    })
}

/// Or drained otherwise, as far as is known now.
fn is_handed_over(subject: &Subject) -> bool {
    let by_default = subject.service.settings.hand_over.helper == UseHelper::Auto;
    subject.plan.map_or(by_default, |plan| !plan.ways.is_empty())
}

/// Why connections cannot be handed over, although nobody has said that they should not be.
pub fn no_helper(subject: &Subject) -> Option<Finding> {
    let plan = subject.plan?;
    let settings = &subject.service.settings;
    let wanted = settings.hand_over.helper == UseHelper::Auto && settings.drain.until == Until::Auto;
    match &subject.scene.plan?.helper {
        Presence::Unavailable(why) if wanted && plan.leaving().next().is_some() => {
            let problem = format!("connections are not handed over to the new containers: {why}");
            let remedy = "\"x-zdd: {helper: off}\" says that this is known";
            Some(subject.finding(&["x-zdd", "helper"], problem).remedy(remedy))
        }
        _ => None,
    }
}

/// A network whose packets do not pass through the engine's machine.
pub fn unsteered(subject: &Subject) -> Option<Finding> {
    let plan = subject.plan?;
    let hands_over = plan.leaving().next().is_some() && plan.ways.contains(&Way::HandOver);
    let (network, driver) =
        subject.project.unsteered_network(&subject.service.name).filter(|_| hands_over)?;
    let problem = format!(
        "connections on network \"{network}\" (driver {driver}) are waited for, but new ones still come until their clients notice"
    );
    let remedy = "write \"x-zdd: {drain: 5s}\" with the time that they need";
    Some(subject.finding(&["networks"], problem).remedy(remedy))
}

/// Traefik hears of containers through Docker's events and acts on them every 2 s.
pub fn traefik(subject: &Subject) -> Option<Finding> {
    let settings = &subject.service.settings;
    let routed = match subject.plan {
        Some(plan) => plan.leaving().any(|container| traefik::finds(&container.labels)),
        None => traefik::finds(&subject.service.labels),
    };
    let problem = match settings.drain.until {
        _ if subject.is_aside() || !routed => return None,
        Until::Unhealthy if settings.settle.is_zero() => {
            "Traefik notices new containers only after up to 2s, and \"settle\" does not wait for that"
        }
        Until::Auto if settings.drain == Drain::default() && !is_handed_over(subject) => {
            "Traefik goes on sending requests to a stopped container until it notices"
        }
        _ => return None,
    };
    let remedy = "let Traefik see it unhealthy first: a pre_stop hook that makes its healthcheck fail, and \"x-zdd: {settle: 3s, drain: {until: unhealthy, plus: 3s}}\"; or \"x-zdd: {drain: none}\" if those may fail";
    Some(subject.finding(&["x-zdd"], problem).remedy(remedy).write(BEHIND_TRAEFIK))
}

/// Others that follow Docker's events do not heed a container's health.
pub fn follows_events(subject: &Subject) -> Option<Finding> {
    let settings = &subject.service.settings;
    let found = match subject.plan {
        Some(plan) => {
            plan.leaving().find_map(|c| follower(&c.labels, c.proxied_as.iter().map(String::as_str)))
        }
        None => follower(&subject.service.labels, subject.raw.variables()),
    };
    let proxy = found.filter(|_| !subject.is_aside() && !is_handed_over(subject))?;
    if settings.drain != Drain::default() || !settings.settle.is_zero() {
        return None;
    }
    let name = proxy.name();
    let problem = format!(
        "{name} goes on sending requests to a stopped container until it has read its configuration again"
    );
    let wait = "\"x-zdd: {settle: 3s}\", so that it knows the new ones by then";
    let remedy = match proxy {
        Follower::NginxProxy => format!("write {wait}; or \"x-zdd: {{drain: none}}\" if those may fail"),
        Follower::CaddyDockerProxy => format!(
            "write {wait}, and the label \"caddy.reverse_proxy.lb_try_duration: 5s\", so that it tries them; or \"x-zdd: {{drain: none}}\" if those may fail"
        ),
    };
    Some(subject.finding(&["x-zdd"], problem).remedy(remedy).write(&["x-zdd:", "  settle: 3s"]))
}

pub fn traefik_conflict(subject: &Subject) -> Option<Finding> {
    let plan = subject.plan?;
    let starts = plan.operations.iter().filter(|op| matches!(op.what, What::Start { .. })).count();
    let side_by_side = match subject.service.settings.order {
        Order::StartFirst => starts > 0,
        Order::StopFirst => starts > 1,
    };
    if !side_by_side || plan.verdict == Verdict::Recreate {
        return None;
    }
    let problem = plan.leaving().find_map(|old| traefik::conflict(&subject.service.labels, old))?;
    Some(subject.finding(&["labels"], problem))
}
