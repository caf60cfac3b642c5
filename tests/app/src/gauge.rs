//! A count of things that are under way, which can be waited on.

use tokio::sync::watch;

/// Counts up when something enters and down when its [`Held`] is dropped.
#[derive(Clone)]
pub struct Gauge(watch::Sender<usize>);

/// One thing under way.
pub struct Held(Gauge);

impl Gauge {
    pub fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    pub fn enter(&self) -> Held {
        self.0.send_modify(|count| *count += 1);
        Held(self.clone())
    }

    pub fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Returns when nothing is under way.
    pub async fn zero(&self) {
        // It cannot fail: `self` holds the sender.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}
