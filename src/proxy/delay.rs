//! Old containers are given time to leave: for a proxy that is slow to notice, or that tells nobody.

use std::time::Duration;

use super::{Lease, Proxy, Scene};
use crate::{
    engine::Replica,
    event::{Generation, Phase},
    text::duration,
};

/// So often it is looked whether the wait is in vain.
const LOOK: Duration = Duration::from_secs(1);

pub struct Delay(pub Duration);

impl Proxy for Delay {
    /// The time is waited in full, whatever is left of the limit: it stands for what cannot be observed.
    fn leave(
        &mut self,
        leaving: &[Replica],
        generation: Generation,
        _limit: Duration,
        scene: &Scene,
    ) -> Vec<Box<dyn Lease>> {
        if !leaving.is_empty() {
            scene.reporter.each(leaving, generation, &Phase::Draining { how: duration::show(self.0) });
            scene.wait_while(self.0, generation, || Some(LOOK));
        }
        vec![]
    }
}
