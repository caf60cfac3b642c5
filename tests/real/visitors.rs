//! Who visits a stack: clients on this machine for published ports, and one container on its networks for the rest.

use std::{
    collections::BTreeMap,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use zdd_load::{Load, Running};

use crate::{
    images::{APP, LABEL},
    model::Facts,
    stack::docker,
};

/// Requests a second to each service, half of them over kept connections.
const RATE: f64 = 20.0;
/// Longer than connections are held.
const TIMEOUT: Duration = Duration::from_secs(70);
const READY_WITHIN: Duration = Duration::from_secs(20);
/// A stack that takes longer has failed anyway.
const LONGEST: Duration = Duration::from_secs(900);

/// What the visitors of one service have found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub requests: u64,
    pub failed: u64,
    /// Milliseconds.
    pub slowest: f64,
    /// Seconds after they began.
    pub slowest_at: f64,
    /// The versions that answered each of them, as they came.
    pub versions: Vec<Vec<String>>,
    /// The first failures.
    pub said: Vec<String>,
}

pub struct Visitors {
    outside: Vec<(String, Running)>,
    inside: Option<Inside>,
}

struct Inside {
    container: String,
    /// Service by URL.
    urls: BTreeMap<String, String>,
}

impl Visitors {
    /// Returns when all get answers, or when that has taken too long: their requests have failed then.
    pub fn begin(name: &str, services: &[&Facts]) -> Visitors {
        let (published, rest): (Vec<_>, Vec<_>) =
            services.iter().copied().partition(|facts| !facts.published.is_empty());
        let outside = published.into_iter().flat_map(outside).collect();
        let inside = Inside::begin(name, &rest);
        let visitors = Visitors { outside, inside };
        let end = Instant::now() + READY_WITHIN;
        while Instant::now() < end && !visitors.are_under_way() {
            thread::sleep(Duration::from_millis(200));
        }
        visitors
    }

    fn are_under_way(&self) -> bool {
        let inside = self.inside.as_ref().is_none_or(|inside| logs(&inside.container).contains("ready"));
        inside && self.outside.iter().all(|(_, load)| load.succeeded() >= 5)
    }

    pub fn end(self) -> BTreeMap<String, Found> {
        let mut all: BTreeMap<String, Found> = BTreeMap::new();
        for (service, load) in self.outside {
            let summary = serde_json::to_value(load.stop().summary()).expect("JSON");
            all.entry(service).or_default().add(&summary);
        }
        let inside = self.inside.as_ref().map(Inside::end).unwrap_or_default();
        for (service, summary) in inside {
            all.entry(service).or_default().add(&summary);
        }
        all
    }
}

fn outside(facts: &Facts) -> Vec<(String, Running)> {
    let rate = Some(RATE / 2.0 / facts.published.len() as f64);
    let load = |(port, keep_alive): (&u16, bool)| {
        let plain = Load::new(format!("http://127.0.0.1:{port}/"));
        let load = Load { workers: 4, rate, keep_alive, timeout: TIMEOUT, max_time: LONGEST, ..plain };
        (facts.name.clone(), load.start())
    };
    facts.published.iter().flat_map(|port| [(port, true), (port, false)]).map(load).collect()
}

impl Inside {
    fn begin(name: &str, services: &[&Facts]) -> Option<Inside> {
        let (mut urls, mut networks) = (BTreeMap::new(), Vec::new());
        // A name with a dot might be one of the world outside.
        for facts in services.iter().filter(|facts| !facts.name.contains('.')) {
            let Some((network, port)) = &facts.within else { continue };
            urls.insert(format!("http://{}:{port}/", facts.name), facts.name.clone());
            networks.push(network.clone());
        }
        networks.sort();
        networks.dedup();
        let first = networks.first()?;
        let container = format!("{name}-visitor");
        let seconds = LONGEST.as_secs().to_string();
        // As one of the project that Compose does not count, like those of "docker compose run".
        let mut args = vec!["create", "--label", LABEL, "--name", &container, "--network", first];
        let labels = [("project", name), ("service", "visitor"), ("oneoff", "True")];
        let labels = labels.map(|(key, value)| format!("com.docker.compose.{key}={value}"));
        args.extend(labels.iter().flat_map(|label| ["--label", label]));
        args.push(APP);
        args.extend(["visit", "--seconds", &seconds]);
        args.extend(urls.keys().map(String::as_str));
        docker(&args);
        networks[1..].iter().for_each(|network| drop(docker(&["network", "connect", network, &container])));
        docker(&["start", &container]);
        Some(Inside { container, urls })
    }

    /// By service.
    fn end(&self) -> Vec<(String, Value)> {
        docker(&["stop", "--time", "80", &self.container]);
        let said = logs(&self.container);
        let reports: BTreeMap<String, Vec<Value>> =
            said.lines().find_map(|line| serde_json::from_str(line).ok()).unwrap_or_else(|| panic!("{said}"));
        let of_service = |(url, reports): (String, Vec<Value>)| {
            let service = self.urls[&url].clone();
            reports.into_iter().map(move |report| (service.clone(), report))
        };
        reports.into_iter().flat_map(of_service).collect()
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rm", "--force", &self.container]).output();
    }
}

fn logs(container: &str) -> String {
    docker(&["logs", container])
}

impl Found {
    fn add(&mut self, summary: &Value) {
        let number = |key: &str| summary[key].as_u64().unwrap_or_default();
        self.requests += number("requests");
        self.failed += number("failed");
        let figure = |key: &str| summary[key].as_f64().unwrap_or_default();
        if figure("slowest_ms") > self.slowest {
            (self.slowest, self.slowest_at) = (figure("slowest_ms"), figure("slowest_at_seconds"));
        }
        let list = |key: &str| summary[key].as_array().cloned().unwrap_or_default();
        let said = list("failures").into_iter().map(|failure| {
            format!("at {:.1}s {}", failure["at_seconds"].as_f64().unwrap_or_default(), failure["error"])
        });
        self.said.extend(said.take(5));
        let mut versions: Vec<String> = Vec::new();
        for run in list("versions") {
            let answers: Vec<_> = run["answers"].as_object().into_iter().flat_map(|map| map.keys()).collect();
            // Where both answer says nothing of the order.
            if let [version] = answers[..]
                && versions.last() != Some(version)
            {
                versions.push(version.clone());
            }
        }
        self.versions.push(versions);
    }

    /// Whether all of them have seen version 2 and then version 1 again.
    pub fn went_there_and_back(&self) -> bool {
        let both =
            |seen: &Vec<String>| seen.contains(&"2".to_owned()) && seen.last().is_some_and(|v| v == "1");
        !self.versions.is_empty() && self.versions.iter().all(both)
    }
}
