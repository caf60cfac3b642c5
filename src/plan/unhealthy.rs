//! Whether Docker can call the old containers unhealthy in time, and what to write where it cannot.

use std::time::Duration;

use crate::{
    duration,
    model::{PRE_STOP_LABEL, Service},
    observed::{Container, Healthcheck},
};

/// What would be waited for in vain by `drain: unhealthy`, each with the lines that mend it.
pub fn notes(service: &Service, leaving: &[&Container]) -> Vec<String> {
    let (checked, unchecked): (Vec<&Container>, Vec<&Container>) =
        leaving.iter().partition(|c| c.healthcheck.is_some());
    let hookless: Vec<_> = checked.iter().copied().filter(|c| !has_hook(service, c)).collect();
    [without_healthcheck(&unchecked), without_hook(&hookless), too_slow(service, &checked)]
        .into_iter()
        .flatten()
        .collect()
}

fn has_hook(service: &Service, container: &Container) -> bool {
    !service.hooks.pre_stop.is_empty() || container.label(PRE_STOP_LABEL).is_some()
}

fn without_healthcheck(containers: &[&Container]) -> Option<String> {
    (!containers.is_empty()).then(|| {
        format!(
            "drain: nothing is waited for, because Docker cannot call {} unhealthy without a healthcheck; for later rollouts write \"healthcheck: {{test: [CMD, /app, health], {QUICK}}}\", with a test of your own",
            names(containers)
        )
    })
}

fn without_hook(containers: &[&Container]) -> Option<String> {
    (!containers.is_empty()).then(|| {
        format!(
            "drain: nothing makes the healthcheck of {} fail, so it will be waited for in vain; write \"pre_stop: [{{command: [touch, /run/drain/now]}}]\" and \"tmpfs: [/run/drain]\", and let the healthcheck fail while that file is there",
            names(containers)
        )
    })
}

fn too_slow(service: &Service, containers: &[&Container]) -> Option<String> {
    let limit = service.settings.drain_timeout;
    let slowest = |c: &&&Container| c.healthcheck.as_ref().map(Healthcheck::turns_within);
    let container = containers.iter().max_by_key(slowest)?;
    let check = container.healthcheck.as_ref()?;
    let needs = check.turns_within();
    (needs > limit).then(|| {
        format!(
            "drain: Docker may need {} to call {} unhealthy (interval {} × retries {} + timeout {}), and drain_timeout is {}; write \"x-zdd: {{drain_timeout: {}s}}\"{}",
            duration::show(needs),
            container.name,
            duration::show(check.interval),
            check.retries,
            duration::show(check.timeout),
            duration::show(limit),
            needs.saturating_add(MARGIN).as_secs(),
            if needs > QUICK_TURNS { later() } else { String::new() },
        )
    })
}

/// The old containers keep the healthcheck that they were started with.
fn later() -> String {
    format!(" for this rollout, and for later ones \"healthcheck: {{{QUICK}}}\"")
}

const QUICK: &str = "interval: 1s, timeout: 2s, retries: 2";
/// What these lines need at the most.
const QUICK_TURNS: Duration = Duration::from_secs(4);
/// For the engine to report it, and for what is cut off.
const MARGIN: Duration = Duration::from_secs(5);

fn names(containers: &[&Container]) -> String {
    containers.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ")
}
