//! How a service is to be updated: built-in defaults, `deploy.update_config`, `x-zdd` of the file, `x-zdd` of
//! the service, flags. A later layer wins, key by key, and every value remembers where it came from.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::Serialize;
use serde_yaml::Value;

use super::Drain;
use crate::duration;

/// Whether two generations of a service may run side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// Roll when it is safe, otherwise refuse.
    Auto,
    Rolling,
    /// Compose stops the old container before it starts the new one.
    Recreate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    StartFirst,
    StopFirst,
}

/// What to do when the new version fails its gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FailureAction {
    Rollback,
    Pause,
    Continue,
}

/// Where a setting was written; later wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Source {
    Default,
    UpdateConfig,
    TopLevel,
    Service,
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Source::Default => "default",
            Source::UpdateConfig => "deploy.update_config",
            Source::TopLevel => "x-zdd of the file",
            Source::Service => "x-zdd of the service",
            Source::Flag => "flag",
        })
    }
}

/// One layer: only what is written there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layer {
    pub strategy: Option<Strategy>,
    pub parallelism: Option<u32>,
    pub delay: Option<Duration>,
    pub order: Option<Order>,
    pub failure_action: Option<FailureAction>,
    pub max_failure_ratio: Option<f64>,
    pub monitor: Option<Duration>,
    pub wait_timeout: Option<Duration>,
    pub settle: Option<Duration>,
    pub drain: Option<Drain>,
    pub drain_timeout: Option<Duration>,
}

/// The settings of one service, every key decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub strategy: Strategy,
    /// New containers a batch; 0 is all at once.
    pub parallelism: u32,
    /// Pause between two batches.
    pub delay: Duration,
    pub order: Order,
    pub failure_action: FailureAction,
    /// Share (0 to 1) of the new containers that may fail before `failure_action` applies.
    pub max_failure_ratio: f64,
    /// Without a healthcheck: how long a new container must run without a restart.
    pub monitor: Duration,
    /// Deadline of the gate; `None`: computed from the container's own healthcheck.
    pub wait_timeout: Option<Duration>,
    /// Time between healthy and the first drain or stop, for a proxy to pick the new ones up.
    pub settle: Duration,
    /// How old containers leave the proxy.
    pub drain: Drain,
    /// The longest that draining one batch may take.
    pub drain_timeout: Duration,
    /// Where each key came from, by its name in `x-zdd`.
    pub sources: BTreeMap<&'static str, Source>,
}

/// The old deploy scripts slept this long before they trusted a new container.
pub const DEFAULT_MONITOR: Duration = Duration::from_secs(10);
pub const DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_secs(60);

/// A setting that cannot be used, with the path of its key: `services`, `web`, `x-zdd`, `delay`.
#[derive(Clone, Debug, PartialEq)]
pub struct BadSetting {
    pub path: Vec<String>,
    pub problem: String,
}

impl std::error::Error for BadSetting {}

impl fmt::Display for BadSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.join("."), self.problem)
    }
}

impl Settings {
    /// Merges the layers, given in any order, by the rank of their source.
    pub fn resolve(layers: &[(Source, Layer)]) -> Settings {
        let mut layers: Vec<_> = layers.iter().collect();
        layers.sort_by_key(|(source, _)| *source);
        let mut s = Settings::default();
        for (source, layer) in layers {
            s.apply(*source, layer);
        }
        s
    }

    /// Every key as it applies, written as the file would have it, and where it came from.
    pub fn explained(&self) -> Vec<(&'static str, String, Source)> {
        let shown = |key: &str| match key {
            "strategy" => word(&self.strategy),
            "parallelism" => self.parallelism.to_string(),
            "delay" => duration::show(self.delay),
            "order" => word(&self.order),
            "failure_action" => word(&self.failure_action),
            "max_failure_ratio" => self.max_failure_ratio.to_string(),
            "monitor" => duration::show(self.monitor),
            "wait_timeout" => self.wait_timeout.map_or("from the healthcheck".to_owned(), duration::show),
            "settle" => duration::show(self.settle),
            "drain" => self.drain.to_string(),
            "drain_timeout" => duration::show(self.drain_timeout),
            _ => unreachable!("{key} is not in the list of keys"),
        };
        KEYS.iter().map(|key| (*key, shown(key), self.sources[key])).collect()
    }

    fn apply(&mut self, source: Source, layer: &Layer) {
        let sources = &mut self.sources;
        macro_rules! take {
            ($($key:ident),*) => {$(
                if let Some(value) = layer.$key.clone() {
                    self.$key = value.into();
                    sources.insert(stringify!($key), source);
                }
            )*};
        }
        take!(strategy, parallelism, delay, order, failure_action, max_failure_ratio);
        take!(monitor, wait_timeout, settle, drain, drain_timeout);
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            strategy: Strategy::Auto,
            parallelism: 0,
            delay: Duration::ZERO,
            order: Order::StartFirst,
            failure_action: FailureAction::Rollback,
            max_failure_ratio: 0.0,
            monitor: DEFAULT_MONITOR,
            wait_timeout: None,
            settle: Duration::ZERO,
            drain: Drain::default(),
            drain_timeout: DEFAULT_DRAIN_TIMEOUT,
            sources: KEYS.iter().map(|key| (*key, Source::Default)).collect(),
        }
    }
}

const KEYS: &[&str] = &[
    "strategy",
    "parallelism",
    "delay",
    "order",
    "failure_action",
    "max_failure_ratio",
    "monitor",
    "wait_timeout",
    "settle",
    "drain",
    "drain_timeout",
];

/// What `x-zdd` has beside these at the top of the file.
const TOP_KEYS: &[&str] = &["probe", "notify"];

/// The keys of `deploy.update_config` that Compose itself accepts; it validates their form, not their range.
const UPDATE_CONFIG_KEYS: &[&str] =
    &["parallelism", "delay", "order", "failure_action", "max_failure_ratio", "monitor"];

impl Layer {
    /// Reads an `x-zdd` mapping; `path` is where it stands.
    ///
    /// # Errors
    /// An unknown key, or a value of the wrong form or range, with its path and what to write instead.
    pub fn from_x_zdd(value: &Value, path: &[&str]) -> Result<Layer, BadSetting> {
        Layer::read(value, path, KEYS, true)
    }

    /// Reads `deploy.update_config`. `x-*` keys in it belong to others and are left alone.
    pub fn from_update_config(value: &Value, path: &[&str]) -> Result<Layer, BadSetting> {
        Layer::read(value, path, UPDATE_CONFIG_KEYS, false)
    }

    fn read(value: &Value, path: &[&str], keys: &[&str], strict: bool) -> Result<Layer, BadSetting> {
        let mut layer = Layer::default();
        if value.is_null() {
            return Ok(layer);
        }
        let Some(map) = value.as_mapping() else {
            return Err(bad(path, "must be a mapping of settings, like \"{parallelism: 1}\""));
        };
        for (key, value) in map {
            let key = key.as_str().unwrap_or("?");
            let here: Vec<&str> = path.iter().copied().chain([key]).collect();
            if keys.contains(&key) {
                layer.set(key, value, &here)?;
            } else if strict && !key.starts_with("x-") {
                not_of_the_file(key, &here, keys)?;
            }
        }
        Ok(layer)
    }

    fn set(&mut self, key: &str, value: &Value, path: &[&str]) -> Result<(), BadSetting> {
        match key {
            "strategy" => self.strategy = Some(strategy(value, path)?),
            "parallelism" => self.parallelism = Some(count(value, path)?),
            "delay" => self.delay = Some(time(value, path)?),
            "order" => self.order = Some(order(value, path)?),
            "failure_action" => self.failure_action = Some(failure_action(value, path)?),
            "max_failure_ratio" => self.max_failure_ratio = Some(ratio(value, path)?),
            "monitor" => self.monitor = Some(time(value, path)?),
            "wait_timeout" => self.wait_timeout = Some(time(value, path)?),
            "settle" => self.settle = Some(time(value, path)?),
            "drain" => self.drain = Some(Drain::from_yaml(value, path)?),
            "drain_timeout" => self.drain_timeout = Some(time(value, path)?),
            _ => unreachable!("{key} is not in the list of keys"),
        }
        Ok(())
    }
}

/// A key that no service has: right at the top of the file alone, where others read it.
fn not_of_the_file(key: &str, path: &[&str], keys: &[&str]) -> Result<(), BadSetting> {
    let at_top = path.len() == 2;
    match TOP_KEYS.contains(&key) {
        true if at_top => Ok(()),
        true => Err(bad(path, "holds for the whole file; write it in the x-zdd at the top of the file")),
        false => {
            let known: Vec<_> = keys.iter().chain(TOP_KEYS.iter().filter(|_| at_top)).copied().collect();
            Err(bad(path, &format!("unknown key; known are {}", known.join(", "))))
        }
    }
}

/// The word that the file uses for an enum's value.
fn word(value: &impl Serialize) -> String {
    serde_yaml::to_string(value).unwrap_or_default().trim().to_owned()
}

pub(super) fn bad(path: &[&str], problem: &str) -> BadSetting {
    BadSetting { path: path.iter().map(|key| key.to_string()).collect(), problem: problem.to_owned() }
}

/// A scalar as it was written.
pub(super) fn show(value: &Value) -> String {
    let text = serde_yaml::to_string(value).unwrap_or_default();
    text.trim().trim_matches('\'').to_owned()
}

fn one_of<T: Copy>(value: &Value, path: &[&str], words: &[(&str, T)]) -> Result<T, BadSetting> {
    let text = value.as_str().unwrap_or_default();
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, t)| *t);
    found.ok_or_else(|| {
        let list: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        bad(path, &format!("\"{}\" is not known; write one of {}", show(value), list.join(", ")))
    })
}

fn strategy(value: &Value, path: &[&str]) -> Result<Strategy, BadSetting> {
    use Strategy::*;
    one_of(value, path, &[("auto", Auto), ("rolling", Rolling), ("recreate", Recreate)])
}

fn order(value: &Value, path: &[&str]) -> Result<Order, BadSetting> {
    one_of(value, path, &[("start-first", Order::StartFirst), ("stop-first", Order::StopFirst)])
}

fn failure_action(value: &Value, path: &[&str]) -> Result<FailureAction, BadSetting> {
    use FailureAction::*;
    one_of(value, path, &[("rollback", Rollback), ("pause", Pause), ("continue", Continue)])
}

fn count(value: &Value, path: &[&str]) -> Result<u32, BadSetting> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number.and_then(|n| u32::try_from(n).ok()).ok_or_else(|| {
        bad(
            path,
            &format!("\"{}\" is not a number of replicas; write 0 for all at once, 1, 2, …", show(value)),
        )
    })
}

pub(super) fn time(value: &Value, path: &[&str]) -> Result<Duration, BadSetting> {
    let text = value.as_str().map_or_else(|| show(value), str::to_owned);
    duration::parse(&text).map_err(|problem| bad(path, &problem))
}

fn ratio(value: &Value, path: &[&str]) -> Result<f64, BadSetting> {
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
    number.filter(|r| (0.0..=1.0).contains(r)).ok_or_else(|| {
        bad(path, &format!("\"{}\" is not a share; write a number from 0 to 1, like 0.2", show(value)))
    })
}
