//! The `deploy` section: count, mode, restarts, and how it is updated and rolled back.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Mode, service::Draft, text::ONE_BY_ONE};
use crate::project::{
    FailureAction, Strategy,
    settings::{Order, Settings, Source},
};

pub(super) const STARTS_AGAIN: &str = "no restart is written: Swarm starts it again whenever it ends";

/// What `deploy` says beside what Swarm gets.
pub(super) struct Written {
    pub mode: Mode,
    pub replicas: Option<u32>,
    /// By its mode.
    pub is_job: bool,
}

impl Draft<'_> {
    /// Fills in the section, and says what of it is not in the text.
    pub fn deploying(&mut self) -> Written {
        if !self.body.get("deploy").is_some_and(Value::is_object) {
            self.body.insert("deploy".to_owned(), json!({}));
        }
        let labels = &self.body["deploy"]["labels"];
        if !labels.is_null() && !labels.is_object() {
            self.walk.odd("deploy.labels", "a mapping");
            self.deploy_mut("labels").take();
        }
        self.resources();
        self.platform();
        self.restarts();
        self.endpoint();
        self.updates();
        let written = self.written();
        self.overlaps(&written);
        written
    }

    pub(super) fn deploy_mut(&mut self, key: &str) -> &mut Value {
        let deploy = self.body.entry("deploy").or_insert_with(|| json!({}));
        &mut deploy[key]
    }

    fn written(&mut self) -> Written {
        let deploy = &self.raw["deploy"];
        let (mode, is_job) = match deploy["mode"].as_str().unwrap_or_default() {
            "" | "replicated" => (Mode::Replicated, false),
            "global" => (Mode::Global, false),
            "replicated-job" => (Mode::Replicated, true),
            other => {
                let message = format!("deploy.mode \"{other}\": docker zdd cannot wait for its end");
                self.walk.misfit(
                    "deploy.mode",
                    &message,
                    "write \"global\", \"replicated\" or \"replicated-job\"",
                );
                (Mode::Replicated, false)
            }
        };
        let count = if self.raw["scale"].is_null() { &deploy["replicas"] } else { &self.raw["scale"] };
        let replicas =
            count.as_u64().or_else(|| count.as_str()?.parse().ok()).and_then(|n| u32::try_from(n).ok());
        if mode == Mode::Global {
            if replicas.is_some() {
                let message =
                    "deploy.mode \"global\": it has one container on each node, and a count is written too";
                self.walk.misfit("deploy.mode", message, "remove the count");
            }
            *self.deploy_mut("mode") = json!("global");
        }
        Written { mode, replicas, is_job }
    }

    /// `deploy.restart_policy` wins over `restart`, as with Compose and with the Docker CLI.
    fn restarts(&mut self) {
        let word = self.raw["restart"].as_str().unwrap_or_default().to_owned();
        let written = self.body["deploy"]["restart_policy"].as_object().cloned();
        match written {
            Some(policy) => {
                let condition = policy.get("condition").and_then(Value::as_str).unwrap_or_default();
                let meant = match condition {
                    "always" | "unless-stopped" => "any",
                    "no" => "none",
                    "" | "any" | "none" | "on-failure" => return,
                    other => {
                        let message = format!(
                            "deploy.restart_policy.condition \"{other}\": Swarm has no such condition"
                        );
                        let instead = "write \"any\", \"on-failure\" or \"none\"";
                        return self.walk.misfit("deploy.restart_policy.condition", &message, instead);
                    }
                };
                self.deploy_mut("restart_policy")["condition"] = json!(meant);
            }
            None if word.is_empty() => {
                self.walk.note(STARTS_AGAIN.to_owned());
            }
            None => *self.deploy_mut("restart_policy") = policy(&word),
        }
    }

    /// Swarm refuses the two together, half way through the stack.
    fn endpoint(&mut self) {
        let by_dns = self.raw["deploy"]["endpoint_mode"] == "dnsrr";
        let ports = self.raw["ports"].as_array().into_iter().flatten();
        if by_dns && ports.into_iter().any(|port| port["mode"] != "host") {
            let message = "deploy.endpoint_mode \"dnsrr\": Swarm cannot publish a port for all nodes with it";
            self.walk.misfit(
                "deploy.endpoint_mode",
                message,
                "write mode: host in its ports, or remove endpoint_mode",
            );
        }
    }

    pub fn order(&self) -> Order {
        match self.settings.strategy {
            Strategy::Held | Strategy::Recreate => Order::StopFirst,
            Strategy::Auto | Strategy::Rolling => self.settings.order,
        }
    }

    /// Somebody has decided how many are replaced at a time, or that two generations must not be there at once.
    pub fn is_paced(&self) -> bool {
        let mut explained = self.settings.explained().into_iter();
        explained.any(|(key, _, source)| key == "parallelism" && source != Source::Default)
    }

    /// Under Compose one generation goes before the next one comes; to Swarm that is a matter of each container.
    fn overlaps(&mut self, written: &Written) {
        let alone = matches!(self.settings.strategy, Strategy::Held | Strategy::Recreate);
        if alone && (written.mode == Mode::Global || written.replicas.is_some_and(|n| n > 1)) {
            let strategy = self.settings.explained().into_iter().find(|(key, ..)| *key == "strategy");
            let word = strategy.map(|(_, word, _)| word).unwrap_or_default();
            self.walk.note(format!(
                "strategy {word}: Swarm stops an old container before each new one, and the other old ones serve meanwhile"
            ));
        }
    }

    /// Both are always written: Swarm's own are one at a time, the old one first, and to stop half way.
    fn updates(&mut self) {
        self.meaningless();
        let settings = self.settings.clone();
        let order = word(self.order());
        let parallelism = match settings.parallelism {
            0 if self.order() == Order::StopFirst && !self.is_paced() => ONE_BY_ONE,
            n => n,
        };
        *self.deploy_mut("update_config") = json!({
            "parallelism": parallelism,
            "delay": go(settings.delay),
            "failure_action": action(settings.failure.action),
            "monitor": go(monitor(&settings)),
            "max_failure_ratio": settings.failure.max_ratio,
            "order": order,
        });
        let mut back = json!({
            "parallelism": parallelism,
            "delay": "0s",
            "failure_action": "pause",
            "monitor": go(monitor(&settings)),
            "max_failure_ratio": 0.0,
            "order": order,
        });
        let known: Vec<_> = back.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect();
        for section in ["update_config", "rollback_config"] {
            self.known_keys(&format!("deploy.{section}"), &self.raw["deploy"][section], &known);
        }
        for (key, value) in self.raw["deploy"]["rollback_config"].as_object().into_iter().flatten() {
            if let Some(back) = back.get_mut(key).filter(|_| !value.is_null()) {
                *back = value.clone();
            }
        }
        *self.deploy_mut("rollback_config") = back;
    }

    /// Settings that are of Compose's way alone: who wrote one counts on it.
    fn meaningless(&mut self) {
        let explained = self.settings.explained();
        for (key, value, source) in explained.into_iter().filter(|(_, _, source)| *source != Source::Default)
        {
            let (at, place) = match source {
                Source::Service => ("x-zdd", format!("x-zdd.{key}")),
                _ => ("x-zdd", format!("{key} ({source})")),
            };
            match key {
                "settle" if value != "0s" => self.walk.misfit(
                    at,
                    &format!("{place}: Swarm names a new container in DNS as soon as it is healthy, and takes the old one out at once"),
                    "remove it, and let the healthcheck pass when the program is ready",
                ),
                "drain" if !["auto", "none"].contains(&value.as_str()) => self.walk.misfit(
                    at,
                    &format!("{place}: Swarm takes a container out of DNS 2s before SIGTERM, and there is no other way"),
                    "remove it",
                ),
                "settle" | "drain" => {}
                "drain_timeout" | "hold" | "helper" => {
                    self.walk.note(format!("{key} ({source}) has no meaning on Swarm"));
                }
                _ => {}
            }
        }
    }
}

/// Of Compose's `restart`.
fn policy(word: &str) -> Value {
    match word.split_once(':').unwrap_or((word, "")) {
        ("no", _) => json!({"condition": "none"}),
        ("on-failure", "") => json!({"condition": "on-failure"}),
        ("on-failure", most) => match most.parse::<u64>() {
            Ok(most) if most > 0 => json!({"condition": "on-failure", "max_attempts": most}),
            _ => json!({"condition": "on-failure"}),
        },
        _ => json!({"condition": "any"}),
    }
}

/// To Swarm 0 is its own default of 5 seconds.
fn monitor(settings: &Settings) -> Duration {
    settings.monitor.max(Duration::from_millis(1))
}

fn word(order: Order) -> &'static str {
    match order {
        Order::StartFirst => "start-first",
        Order::StopFirst => "stop-first",
    }
}

fn action(action: FailureAction) -> &'static str {
    match action {
        FailureAction::Rollback => "rollback",
        FailureAction::Pause => "pause",
        FailureAction::Continue => "continue",
    }
}

/// As Go reads it, exactly.
fn go(time: Duration) -> String {
    match time.as_nanos() {
        n if n.is_multiple_of(1_000_000_000) => format!("{}s", n / 1_000_000_000),
        n if n.is_multiple_of(1_000_000) => format!("{}ms", n / 1_000_000),
        n => format!("{n}ns"),
    }
}
