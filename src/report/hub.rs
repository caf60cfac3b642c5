//! Hands every event to all who listen; some come while the run is under way.

use std::{
    sync::{PoisonError, RwLock},
    time::Duration,
};

use crate::event::{Event, Sink};

pub struct Hub(RwLock<Vec<Box<dyn Sink>>>);

impl Hub {
    pub fn new(first: Box<dyn Sink>) -> Hub {
        Hub(RwLock::new(vec![first]))
    }

    /// It hears what comes from now on.
    pub fn add(&self, sink: Box<dyn Sink>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(sink);
    }
}

impl Sink for Hub {
    fn on(&self, at: Duration, event: &Event) {
        let sinks = self.0.read().unwrap_or_else(PoisonError::into_inner);
        sinks.iter().for_each(|sink| sink.on(at, event));
    }

    fn pause(&self) {
        let sinks = self.0.read().unwrap_or_else(PoisonError::into_inner);
        sinks.iter().for_each(|sink| sink.pause());
    }
}
