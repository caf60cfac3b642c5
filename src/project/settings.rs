//! How a service is to be updated: built-in defaults, `deploy.update_config`, `x-zdd` of the file, `x-zdd` of
//! the service, flags. A later source wins, key by key, and every value remembers where it came from.

use std::{collections::BTreeMap, fmt, time::Duration};

use clap::ValueEnum;
use serde::Serialize;
use serde_json::Value;

use super::Drain;
use crate::text::{did_you_mean, duration};

/// Whether two generations of a service may run side by side.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The gentlest that is safe: rolling, else held; else refuse.
    Auto,
    Rolling,
    /// The old container stops before the new one starts, and connections wait meanwhile.
    Held,
    /// The old container stops before the new one starts, whether connections can wait or not.
    Recreate,
}

/// Which generation of a batch goes first; Swarm's `deploy.update_config.order`.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    StartFirst,
    StopFirst,
}

/// What to do when the new version fails; Swarm's `deploy.update_config.failure_action`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureAction {
    Rollback,
    Pause,
    Continue,
}

/// Whether a program of zdd's own may run on the engine's machine for the time of a rollout.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum UseHelper {
    /// Where the engine lets it.
    Auto,
    Off,
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

/// What to do when new containers fail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OnFailure {
    pub action: FailureAction,
    /// Share (0 to 1) of the new containers that may fail before the action is taken.
    pub max_ratio: f64,
}

/// How connections go from old containers to new ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HandOver {
    pub helper: UseHelper,
    /// The longest that they wait for a new container where the old one must stop first.
    pub hold: Duration,
}

impl Default for HandOver {
    fn default() -> HandOver {
        // What waits for an answer rarely waits longer: nginx gives up after a minute.
        HandOver { helper: UseHelper::Auto, hold: Duration::from_secs(60) }
    }
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
    pub failure: OnFailure,
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
    pub hand_over: HandOver,
    /// Where each key was written; a default is not in here.
    sources: BTreeMap<&'static str, Source>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            strategy: Strategy::Auto,
            parallelism: 0,
            delay: Duration::ZERO,
            order: Order::StartFirst,
            failure: OnFailure { action: FailureAction::Rollback, max_ratio: 0.0 },
            // The old deploy scripts slept this long before they trusted a new container.
            monitor: Duration::from_secs(10),
            wait_timeout: None,
            settle: Duration::ZERO,
            drain: Drain::default(),
            drain_timeout: Duration::from_secs(60),
            hand_over: HandOver::default(),
            sources: BTreeMap::new(),
        }
    }
}

/// One key of `x-zdd`: all that the program knows of it stands in this table.
pub struct Key {
    pub name: &'static str,
    /// What may be written, for people.
    pub takes: &'static str,
    pub about: &'static str,
    /// `deploy.update_config` has it too. Compose validates its form there, not its range.
    pub in_update_config: bool,
    read: fn(&mut Settings, &Value, &[&str]) -> Result<(), BadSetting>,
    show: fn(&Settings) -> String,
}

macro_rules! key {
    ($name:ident, $read:expr, $show:expr, $takes:literal, $about:literal) => {
        key!($name: $name, $read, $show, $takes, $about)
    };
    ($name:ident: $($field:ident).+, $read:expr, $show:expr, $takes:literal, $about:literal) => {
        Key {
            name: stringify!($name),
            takes: $takes,
            about: $about,
            in_update_config: false,
            read: |settings, value, path| {
                settings.$($field).+ = $read(value, path)?.into();
                Ok(())
            },
            show: |settings| $show(&settings.$($field).+),
        }
    };
}

/// Compose itself accepts it in `deploy.update_config`.
const fn of_swarm(key: Key) -> Key {
    Key { in_update_config: true, ..key }
}

pub const KEYS: &[Key] = &[
    key!(
        strategy,
        one_of::<Strategy>,
        word,
        "auto, rolling, held, recreate",
        "whether two generations may run side by side; auto finds out; recreate is held, or has a downtime"
    ),
    of_swarm(key!(
        parallelism,
        count,
        u32::to_string,
        "a number",
        "new containers at a time; 0 is all at once"
    )),
    of_swarm(key!(delay, time, show_time, "a time", "pause between two batches")),
    of_swarm(key!(
        order,
        one_of::<Order>,
        word,
        "start-first, stop-first",
        "which containers of a batch go first; stop-first is held"
    )),
    of_swarm(key!(
        failure_action: failure.action,
        one_of::<FailureAction>,
        word,
        "rollback, pause, continue",
        "what happens when the new version fails; under start-first an old one stays for each that failed"
    )),
    of_swarm(key!(
        max_failure_ratio: failure.max_ratio,
        ratio,
        f64::to_string,
        "0 to 1",
        "share of the new containers that may fail"
    )),
    of_swarm(key!(
        monitor,
        time,
        show_time,
        "a time",
        "how long a new container without a healthcheck must run without a restart"
    )),
    key!(
        wait_timeout,
        time,
        |limit: &Option<Duration>| limit.map_or("from the healthcheck".to_owned(), duration::show),
        "a time",
        "the longest for a new container to become healthy"
    ),
    key!(settle, time, show_time, "a time", "pause after healthy, for a proxy to pick the new ones up"),
    key!(
        drain,
        Drain::read,
        Drain::to_string,
        "auto, none, unhealthy, haproxy, a time, {until: unhealthy, plus: 2s}",
        "how old containers leave the proxy"
    ),
    key!(drain_timeout, time, show_time, "a time", "the longest that a drain may take"),
    key!(
        hold: hand_over.hold,
        time,
        show_time,
        "a time",
        "the longest that connections wait for what must be alone"
    ),
    key!(
        helper: hand_over.helper,
        one_of::<UseHelper>,
        word,
        "auto, off",
        "whether connections may be handed over on the network"
    ),
];

/// What `x-zdd` has beside these at the top of the file.
const TOP_KEYS: &[&str] = &["probe", "notify", "engine"];

pub(super) const FOR_THE_WHOLE_FILE: &str =
    "holds for the whole file; write it in the x-zdd at the top of the file";

/// Read elsewhere, wherever an `x-zdd` stands.
const ELSEWHERE: &[&str] = &["swarm"];

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
    /// Takes over what an `x-zdd` mapping has; `path` is where it stands.
    ///
    /// # Errors
    /// An unknown key, or a value of the wrong form or range, with its path and what to write instead.
    pub fn take_x_zdd(&mut self, source: Source, value: &Value, path: &[&str]) -> Result<(), BadSetting> {
        self.take(source, value, path, |key, path| match KEYS.iter().find(|known| known.name == key) {
            None if key.starts_with("x-") || ELSEWHERE.contains(&key) => Ok(None),
            None => not_of_a_service(key, path).map(|()| None),
            known => Ok(known),
        })
    }

    /// The same for `deploy.update_config`, where keys that are not known belong to others.
    pub fn take_update_config(&mut self, value: &Value, path: &[&str]) -> Result<(), BadSetting> {
        let known = |key: &str| KEYS.iter().find(|known| known.name == key && known.in_update_config);
        self.take(Source::UpdateConfig, value, path, |key, _| Ok(known(key)))
    }

    fn take(
        &mut self,
        source: Source,
        value: &Value,
        path: &[&str],
        known: impl Fn(&str, &[&str]) -> Result<Option<&'static Key>, BadSetting>,
    ) -> Result<(), BadSetting> {
        if value.is_null() {
            return Ok(());
        }
        let Some(map) = value.as_object() else {
            return Err(bad(path, "must be a mapping of settings, like \"{parallelism: 1}\""));
        };
        for (key, value) in map {
            let here: Vec<&str> = path.iter().copied().chain([key.as_str()]).collect();
            if let Some(key) = known(key, &here)? {
                (key.read)(self, value, &here)?;
                self.sources.insert(key.name, source);
            }
        }
        Ok(())
    }

    /// Keeps its own strategy: whether two generations may run side by side is a matter of the definition.
    pub fn with_strategy_of(self, other: &Settings) -> Settings {
        let mut settings = Settings { strategy: other.strategy, ..self };
        match other.sources.get("strategy") {
            Some(source) => settings.sources.insert("strategy", *source),
            None => settings.sources.remove("strategy"),
        };
        settings
    }

    /// Every key as it applies, written as the file would have it, and where it came from.
    pub fn explained(&self) -> Vec<(&'static str, String, Source)> {
        let source = |key: &Key| self.sources.get(key.name).copied().unwrap_or(Source::Default);
        KEYS.iter().map(|key| (key.name, (key.show)(self), source(key))).collect()
    }
}

/// Each key with its value and source, as `plan --format json` prints them.
impl Serialize for Settings {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Setting {
            value: String,
            source: String,
        }
        let setting = |(key, value, source): (&'static str, String, Source)| {
            (key, Setting { value, source: source.to_string() })
        };
        s.collect_map(self.explained().into_iter().map(setting))
    }
}

/// A key that no service has: right at the top of the file alone, where others read it.
fn not_of_a_service(key: &str, path: &[&str]) -> Result<(), BadSetting> {
    let at_top = path.len() == 2 && path[0] == "x-zdd";
    match TOP_KEYS.contains(&key) {
        true if at_top => Ok(()),
        true => Err(bad(path, FOR_THE_WHOLE_FILE)),
        false => {
            let of_top = TOP_KEYS.iter().copied().filter(|_| at_top);
            let everywhere = KEYS.iter().map(|key| key.name).chain(ELSEWHERE.iter().copied());
            let known: Vec<_> = everywhere.chain(of_top).collect();
            Err(unknown_key(path, &known))
        }
    }
}

pub(super) fn bad(path: &[&str], problem: &str) -> BadSetting {
    BadSetting { path: path.iter().map(|key| key.to_string()).collect(), problem: problem.to_owned() }
}

/// The last key of the path is none of those that are known there.
pub(super) fn unknown_key(path: &[&str], known: &[&str]) -> BadSetting {
    let meant = did_you_mean(path.last().copied().unwrap_or_default(), known);
    bad(path, &format!("unknown key;{meant} known keys are {}", known.join(", ")))
}

/// A word that is none of those that are known; `remedy` says them.
pub(super) fn unknown_word(path: &[&str], value: &Value, known: &[&str], remedy: &str) -> BadSetting {
    let word = show(value);
    bad(path, &format!("\"{word}\" is not known;{} {remedy}", did_you_mean(&word, known)))
}

/// A scalar as it was written.
pub(super) fn show(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The word that the file uses for an enum's value.
fn word(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|word| word.get_name().to_owned()).unwrap_or_default()
}

fn show_time(time: &Duration) -> String {
    duration::show(*time)
}

/// One of the words of an enum.
pub(super) fn one_of<T: ValueEnum>(value: &Value, path: &[&str]) -> Result<T, BadSetting> {
    let known = T::from_str(value.as_str().unwrap_or_default(), false);
    known.map_err(|_| {
        let words: Vec<_> = T::value_variants().iter().map(word).collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let remedy = format!("write one of \"{}\"", words.join("\", \""));
        unknown_word(path, value, &words, &remedy)
    })
}

fn count(value: &Value, path: &[&str]) -> Result<u32, BadSetting> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number.and_then(|n| u32::try_from(n).ok()).ok_or_else(|| {
        let problem = "is not a number of replicas; write 0 for all at once, 1, 2, …";
        bad(path, &format!("\"{}\" {problem}", show(value)))
    })
}

pub(super) fn time(value: &Value, path: &[&str]) -> Result<Duration, BadSetting> {
    duration::parse(&show(value)).map_err(|problem| bad(path, &problem))
}

fn ratio(value: &Value, path: &[&str]) -> Result<f64, BadSetting> {
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
    number.filter(|r| (0.0..=1.0).contains(r)).ok_or_else(|| {
        bad(path, &format!("\"{}\" is not a share; write a number from 0 to 1, like 0.2", show(value)))
    })
}
