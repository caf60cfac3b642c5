//! What the environment asks for, validated before anything starts.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// How the server behaves. Every field has a variable of its own; an empty variable counts as unset, because
/// `APP_X: ${X:-}` in a compose file makes such ones.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// `APP_PORT` (80). 0 takes any free port; the log says which.
    pub port: u16,
    /// `APP_VERSION` ("1"), as the answers show it.
    pub version: String,
    /// `APP_BOOT_MS` (0): how long it sleeps before it listens.
    pub boot: Duration,
    /// `APP_WORK_MS` (0): how long each request for `/` takes.
    pub work: Duration,
    /// `APP_HEALTH` (`ok`).
    pub health: Health,
    /// `APP_DRAIN_FILE`: while this file exists, the server drains.
    pub drain_file: Option<PathBuf>,
    /// `APP_ON_TERM` (`finish`): what SIGTERM and SIGINT do.
    pub on_term: OnTerm,
    /// `APP_DRAIN_CLOSE` (0): while it drains, answers carry `Connection: close`.
    pub drain_close: bool,
    /// `APP_DRAIN_REFUSE` (0): while it drains, it does not listen: new connections are refused.
    pub drain_refuse: bool,
    /// `APP_EXIT_AFTER_MS` and `APP_EXIT_CODE` (1): it exits by itself.
    pub exit: Option<Exit>,
    /// `APP_FAIL_EVERY`: each such request for `/` is answered with 500.
    pub fail_every: Option<NonZeroU64>,
    /// `APP_ALLOC_MB` (0): this many MiB are allocated and touched once it listens.
    pub alloc_mb: usize,
}

/// What `/health` answers when the server does not drain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Health {
    Ok,
    Never,
    /// 503 until this long after it began to listen.
    After(Duration),
    /// 503 from this long after it began to listen.
    Until(Duration),
}

impl Health {
    /// The complaint of a server that has listened for `age`, if it has one.
    pub fn complaint(self, age: Duration) -> Option<String> {
        match self {
            Health::Never => Some("unhealthy forever".into()),
            Health::After(start) if age < start => Some(format!("unhealthy until {start:?}")),
            Health::Until(end) if age >= end => Some(format!("unhealthy since {end:?}")),
            _ => None,
        }
    }
}

/// What SIGTERM and SIGINT do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OnTerm {
    /// Stop accepting, finish what is in flight, exit with 0.
    Finish,
    /// Exit with 0 at once; requests in flight are cut.
    Exit,
    /// Nothing.
    Ignore,
}

/// An exit that nobody asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exit {
    /// Since the start of the process. 0 is before it listens.
    pub after: Duration,
    pub code: u8,
}

impl Config {
    pub fn from_environment() -> Result<Self, String> {
        Self::read(&from_environment)
    }

    /// The defaults on this port, whatever the environment says.
    pub fn plain(port: u16, version: String) -> Self {
        let nothing_is_set = Self::read(&|_| None);
        Self { port, version, ..nothing_is_set.expect("the defaults are good") }
    }

    /// Reads every variable through `get`; the error is a sentence that names the variable and what it wants.
    fn read(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        Ok(Self {
            port: port(get)?,
            version: version(get)?,
            boot: millis(get, "APP_BOOT_MS")?.unwrap_or_default(),
            work: millis(get, "APP_WORK_MS")?.unwrap_or_default(),
            health: parsed(get, "APP_HEALTH", HEALTHS, health)?.unwrap_or(Health::Ok),
            drain_file: value(get, "APP_DRAIN_FILE").map(PathBuf::from),
            on_term: parsed(get, "APP_ON_TERM", ON_TERMS, on_term)?.unwrap_or(OnTerm::Finish),
            drain_close: parsed(get, "APP_DRAIN_CLOSE", "0 or 1", flag)?.unwrap_or(false),
            drain_refuse: parsed(get, "APP_DRAIN_REFUSE", "0 or 1", flag)?.unwrap_or(false),
            exit: exit(get)?,
            fail_every: number(get, "APP_FAIL_EVERY", "a number from 1")?,
            alloc_mb: number(get, "APP_ALLOC_MB", "a number of MiB")?.unwrap_or(0),
        })
    }
}

/// `APP_PORT` alone, for the tools that need nothing else.
pub fn port_from_environment() -> Result<u16, String> {
    port(&from_environment)
}

/// `APP_DRAIN_FILE` alone; it must be set.
pub fn drain_file_from_environment() -> Result<PathBuf, String> {
    value(&from_environment, "APP_DRAIN_FILE")
        .map(PathBuf::from)
        .ok_or_else(|| "APP_DRAIN_FILE is not set: want the path of the drain file".into())
}

type Get<'a> = &'a dyn Fn(&str) -> Option<String>;

const HEALTHS: &str = "ok, never, after:MS or until:MS";
const ON_TERMS: &str = "finish, exit or ignore";

fn from_environment(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

fn value(get: Get, name: &str) -> Option<String> {
    get(name).filter(|value| !value.is_empty())
}

fn parsed<T>(get: Get, name: &str, want: &str, parse: fn(&str) -> Option<T>) -> Result<Option<T>, String> {
    let Some(text) = value(get, name) else {
        return Ok(None);
    };
    match parse(&text) {
        Some(parsed) => Ok(Some(parsed)),
        None => Err(format!("{name} is {text:?}: want {want}")),
    }
}

fn number<T: FromStr>(get: Get, name: &str, want: &str) -> Result<Option<T>, String> {
    parsed(get, name, want, |text| text.parse().ok())
}

fn millis(get: Get, name: &str) -> Result<Option<Duration>, String> {
    parsed(get, name, "a number of milliseconds", duration)
}

fn duration(text: &str) -> Option<Duration> {
    text.parse().ok().map(Duration::from_millis)
}

fn port(get: Get) -> Result<u16, String> {
    let port = number(get, "APP_PORT", "a port from 0 to 65535")?;
    Ok(port.unwrap_or(80))
}

/// The version goes into a header, so it must be fit for one.
fn version(get: Get) -> Result<String, String> {
    let version = parsed(get, "APP_VERSION", "visible ASCII characters", |text| {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        visible.then(|| text.to_owned())
    })?;
    Ok(version.unwrap_or_else(|| "1".into()))
}

fn health(text: &str) -> Option<Health> {
    match text.split_once(':') {
        None if text == "ok" => Some(Health::Ok),
        None if text == "never" => Some(Health::Never),
        Some(("after", ms)) => duration(ms).map(Health::After),
        Some(("until", ms)) => duration(ms).map(Health::Until),
        _ => None,
    }
}

fn on_term(text: &str) -> Option<OnTerm> {
    match text {
        "finish" => Some(OnTerm::Finish),
        "exit" => Some(OnTerm::Exit),
        "ignore" => Some(OnTerm::Ignore),
        _ => None,
    }
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

fn exit(get: Get) -> Result<Option<Exit>, String> {
    let code = number(get, "APP_EXIT_CODE", "an exit code from 0 to 255")?.unwrap_or(1);
    let after = millis(get, "APP_EXIT_AFTER_MS")?;
    Ok(after.map(|after| Exit { after, code }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Config, String> {
        Config::read(&|name| {
            let pair = pairs.iter().find(|(key, _)| *key == name);
            pair.map(|(_, value)| value.to_string())
        })
    }

    const MS_200: Duration = Duration::from_millis(200);

    #[test]
    fn nothing_set_gives_the_defaults_and_empty_is_unset() {
        let config = read(&[]).unwrap();
        assert_eq!((config.port, config.version.as_str()), (80, "1"));
        assert_eq!(config.on_term, OnTerm::Finish);
        assert_eq!(read(&[("APP_PORT", ""), ("APP_HEALTH", "")]), Ok(config));
    }

    #[test]
    fn every_bad_value_is_refused_by_name() {
        let bad = [
            ("APP_PORT", "70000"),
            ("APP_VERSION", "a b"),
            ("APP_BOOT_MS", "-1"),
            ("APP_WORK_MS", "soon"),
            ("APP_HEALTH", "after:x"),
            ("APP_HEALTH", "bad"),
            ("APP_ON_TERM", "die"),
            ("APP_DRAIN_CLOSE", "yes"),
            ("APP_DRAIN_REFUSE", "no"),
            ("APP_EXIT_AFTER_MS", "1s"),
            ("APP_EXIT_CODE", "256"),
            ("APP_FAIL_EVERY", "0"),
            ("APP_ALLOC_MB", "1.5"),
        ];
        for (name, text) in bad {
            let sentence = read(&[(name, text)]).unwrap_err();
            let start = format!("{name} is {text:?}: want ");
            assert!(sentence.starts_with(&start), "{sentence}");
        }
    }

    #[test]
    fn an_exit_needs_its_time_and_has_code_1_by_default() {
        assert_eq!(read(&[("APP_EXIT_CODE", "3")]).unwrap().exit, None);
        let exit = read(&[("APP_EXIT_AFTER_MS", "200")]).unwrap().exit;
        let wanted = Exit { after: MS_200, code: 1 };
        assert_eq!(exit, Some(wanted));
    }

    #[test]
    fn health_changes_at_its_time() {
        let before = Duration::from_millis(199);
        assert_eq!(health("after:200"), Some(Health::After(MS_200)));
        assert!(Health::After(MS_200).complaint(before).is_some());
        assert!(Health::After(MS_200).complaint(MS_200).is_none());
        assert!(Health::Until(MS_200).complaint(before).is_none());
        assert!(Health::Until(MS_200).complaint(MS_200).is_some());
        assert!(Health::Never.complaint(MS_200).is_some());
        assert!(Health::Ok.complaint(MS_200).is_none());
    }
}
