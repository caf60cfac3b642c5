//! Old containers are waited for until Docker calls them unhealthy: proxies that read the health from Docker (Traefik)
//! send them nothing from then on.

use std::time::{Duration, Instant};

use super::{Lease, Proxy, Scene};
use crate::{
    engine::{Container, Replica, State, ids},
    event::{Generation, Phase},
};

/// So often it is looked without news of the engine.
const LOOK: Duration = Duration::from_secs(1);
/// Beyond what the healthcheck needs, for the engine to report it.
const SLACK: Duration = Duration::from_secs(2);

pub struct UntilUnhealthy;

/// The longest that Docker may take to call a container unhealthy; `None` where it never can.
pub fn turns_within(container: &Container) -> Option<Duration> {
    let check = container.healthcheck.as_ref()?;
    Some(check.fails_at_the_latest().saturating_add(SLACK))
}

impl Proxy for UntilUnhealthy {
    fn leave(
        &mut self,
        leaving: &[Replica],
        generation: Generation,
        limit: Duration,
        scene: &Scene,
    ) -> Vec<Box<dyn Lease>> {
        let began = scene.waiter.clock.now();
        let mut waiting = Vec::new();
        for replica in leaving {
            match turns_within(replica) {
                Some(time) => waiting.push((replica.clone(), began + time.min(limit))),
                None => scene
                    .reporter
                    .warn(&format!("{replica} has no healthcheck, so it cannot become unhealthy")),
            }
        }
        scene.reporter.each(leaving, generation, &Phase::Draining { how: "until unhealthy".to_owned() });
        scene.wait_while(limit, generation, || {
            let replicas: Vec<_> = waiting.iter().map(|(replica, _)| replica.clone()).collect();
            // Without an answer nobody knows; the limit holds all the same.
            let readings = scene.engine.inspect(&ids(&replicas)).ok();
            waiting.retain(|(replica, end)| {
                is_waited_for(replica, *end, readings.as_deref(), generation, scene)
            });
            let now = scene.waiter.clock.now();
            waiting.iter().map(|(_, end)| end.saturating_duration_since(now).min(LOOK)).min()
        });
        vec![]
    }
}

fn is_waited_for(
    replica: &Replica,
    end: Instant,
    readings: Option<&[Container]>,
    generation: Generation,
    scene: &Scene,
) -> bool {
    let reading = readings.map(|readings| readings.iter().find(|reading| reading.id == replica.id));
    let out = reading.is_some_and(|reading| {
        reading.is_none_or(|reading| reading.is_unhealthy() || reading.state != State::Running)
    });
    let late = scene.waiter.clock.now() >= end;
    if out || late && readings.is_some() {
        let note = (!out).then(|| {
            "it never became unhealthy; does its pre_stop hook make the healthcheck fail?".to_owned()
        });
        scene.reporter.container(&replica.reference(), generation, Phase::Drained { note });
    }
    !out && !late
}
