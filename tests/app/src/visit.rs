//! Visitors of other containers, from within their network: what a published port does not show.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};
use zdd_load::{Load, Running};

/// Good answers of each visitor, after which all are taken to be under way.
const READY_AFTER: usize = 5;
/// All are taken to be by then, whoever does not answer.
const READY_WITHIN: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Longer than connections are held.
const TIMEOUT: Duration = Duration::from_secs(70);

/// Each URL has two visitors, one that keeps its connections and one that does not. Prints `ready` when all are under
/// way; gives what they have found, as JSON: by URL, two summaries.
pub async fn visit(urls: &[String], rate: f64, longest: Duration) -> Result<String, Error> {
    let mut asked_to_stop = pin!(asked_to_stop()?);
    let begun = Instant::now();
    let visitors = begin(urls, rate, longest)?;
    let until_over = async {
        until_ready(&visitors).await;
        println!("ready after {:?}", begun.elapsed());
        sleep(longest).await;
    };
    tokio::select! {
        () = until_over => {}
        () = asked_to_stop.as_mut() => {}
    }
    let mut reports: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for (url, visitor) in visitors {
        reports.entry(url).or_default().push(visitor.stop().summary());
    }
    Ok(json!(reports).to_string())
}

type Error = Box<dyn std::error::Error>;

/// The handlers are in place when this returns the future.
fn asked_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}

fn begin(urls: &[String], rate: f64, longest: Duration) -> Result<Vec<(String, Running)>, Error> {
    let mut visitors = Vec::new();
    for url in urls {
        for keep_alive in [true, false] {
            let plain = Load::new(url);
            let load = Load {
                from_within: true,
                workers: 4,
                rate: Some(rate / 2.0),
                keep_alive,
                timeout: TIMEOUT,
                max_time: longest,
                ..plain
            };
            visitors.push((url.clone(), load.try_start()?));
        }
    }
    Ok(visitors)
}

async fn until_ready(visitors: &[(String, Running)]) {
    let end = Instant::now() + READY_WITHIN;
    while Instant::now() < end && visitors.iter().any(|(_, visitor)| visitor.succeeded() < READY_AFTER) {
        sleep(LOOK_EVERY).await;
    }
}
