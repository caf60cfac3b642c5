//! What the Docker CLI and its plugins agree on: the metadata, the arguments as docker passes them, completion.
//!
//! Docker runs a plugin with its own whole argument list, its own flags in front and unparsed. Source: tried with
//! docker 28.2.2, whose reader of flags is Go's pflag.

mod complete;

use std::ffi::{OsStr, OsString};
use std::fmt;

use clap::{Arg, ArgAction, Command};

use crate::engine::WATCHDOG;

pub use complete::{Candidate, Project, complete, project_flags};

/// As docker knows it.
pub const NAME: &str = "zdd";

/// One call of the program, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// Docker's own flags, as typed and in order: every child `docker` gets them.
    pub docker_globals: Vec<OsString>,
    /// The words after the plugin's name.
    pub rest: Vec<OsString>,
    pub kind: Kind,
}

/// What a call asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Print [`metadata`]. Docker asks before every call, so nothing else may be done first.
    Metadata,
    /// Print [`complete`] of these words.
    Complete(Vec<OsString>),
    /// Print the help of the command that these words name.
    Help(Vec<OsString>),
    Version,
    /// Docker asks for a hint after another command: print nothing, exit 0.
    Hooks,
    /// Write the man pages into this folder: for the scripts that install or package the program.
    Man(OsString),
    /// Wait for the end of this process, which works on the project: it starts the program so itself.
    Watchdog {
        project: String,
        pid: u32,
    },
    Run,
}

/// A flag of docker's own without its value. Only a call without docker in front can have one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageError(String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// What `docker-zdd docker-cli-plugin-metadata` prints.
pub fn metadata() -> String {
    include_str!("../plugin.json").to_owned()
}

/// The version as the metadata has it: `v0.1.0`.
pub fn version() -> String {
    format!("v{}", env!("CARGO_PKG_VERSION"))
}

/// Takes the process's arguments apart, called by docker (`docker --context x zdd up`) or not (`docker-zdd up`).
///
/// # Errors
///
/// When one of docker's own flags has no value.
pub fn split(argv: impl IntoIterator<Item = OsString>) -> Result<Invocation, UsageError> {
    let Leading { mut globals, ask, rest } = leading(argv.into_iter().skip(1))?;
    let (named, rest) = without_name(rest);
    let kind = match (ask, rest.first().and_then(|word| word.to_str())) {
        (Some(Ask::Help), _) => Kind::Help(rest.clone()),
        (Some(Ask::Version), _) => Kind::Version,
        (None, Some("docker-cli-plugin-metadata")) => Kind::Metadata,
        (None, Some("docker-cli-plugin-hooks")) => Kind::Hooks,
        (None, Some("__man")) => Kind::Man(rest.get(1).cloned().unwrap_or_else(|| ".".into())),
        (None, Some(WATCHDOG)) => watchdog(&rest[1..]),
        (None, Some("__complete" | "__completeNoDesc")) => {
            Kind::Complete(completed(&rest[1..], &mut globals))
        }
        (None, Some("help")) if named => Kind::Help(rest[1..].to_vec()),
        (None, Some("help")) => Kind::Help(without_name(rest[1..].to_vec()).1),
        (None, Some("--version" | "-v")) => Kind::Version,
        (None, _) => Kind::Run,
    };
    Ok(Invocation { docker_globals: globals, rest, kind })
}

/// One without a process to wait for would do its work at once.
fn watchdog(words: &[OsString]) -> Kind {
    let text = |at: usize| words.get(at).and_then(|word| word.to_str());
    match (text(0), text(1).and_then(|word| word.parse().ok())) {
        (Some(project), Some(pid)) => Kind::Watchdog { project: project.to_owned(), pid },
        _ => Kind::Run,
    }
}

/// Docker's own flags, which stand before the plugin's name only. Source: `docker --help` of 28.2.2.
pub(crate) fn docker_flags() -> Command {
    let values = [("config", None), ("context", Some('c')), ("host", Some('H')), ("log-level", Some('l'))];
    let files = ["tlscacert", "tlscert", "tlskey"].map(|name| (name, None));
    let switches = [
        ("debug", Some('D')),
        ("tls", None),
        ("tlsverify", None),
        ("help", Some('h')),
        ("version", Some('v')),
    ];
    let flag = |(name, short): (&'static str, Option<char>), action: ArgAction| {
        Arg::new(name).long(name).short(short).action(action)
    };
    Command::new("docker")
        .args(values.into_iter().chain(files).map(|names| flag(names, ArgAction::Append)))
        .args(switches.map(|names| flag(names, ArgAction::SetTrue)))
}

/// The flags in one word, as pflag reads it: `--file`, `--file=x`, `-f`, `-fx`, `-f=x`, `-dt5`.
pub(crate) struct Typed<'a> {
    /// Each flag with the value that the same word gives it.
    pub flags: Vec<(&'a Arg, Option<String>)>,
    /// Whether the next word is the last flag's value.
    pub takes_next: bool,
}

/// Reads one word; `None` when it is no flag, or not one of this command.
pub(crate) fn flags_in<'a>(command: &'a Command, word: &OsStr) -> Option<Typed<'a>> {
    let word = word.to_string_lossy();
    let flags = match word.strip_prefix("--") {
        Some(long) => vec![long_flag(command, long)?],
        None => short_flags(command, word.strip_prefix('-')?)?,
    };
    let (last, value) = flags.last()?;
    let takes_next = value.is_none() && last.get_action().takes_values();
    Some(Typed { flags, takes_next })
}

fn long_flag<'a>(command: &'a Command, word: &str) -> Option<(&'a Arg, Option<String>)> {
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (word, None),
    };
    let mut args = command.get_arguments();
    Some((args.find(|arg| arg.get_long() == Some(name))?, value))
}

fn short_flags<'a>(command: &'a Command, word: &str) -> Option<Vec<(&'a Arg, Option<String>)>> {
    let mut flags = Vec::new();
    let mut letters = word.chars();
    while let Some(letter) = letters.next() {
        let arg = command.get_arguments().find(|arg| arg.get_short() == Some(letter))?;
        let rest = letters.as_str();
        let value = match rest.strip_prefix('=') {
            Some(value) => Some(value),
            None => Some(rest).filter(|rest| !rest.is_empty() && arg.get_action().takes_values()),
        };
        flags.push((arg, value.map(str::to_owned)));
        if value.is_some() {
            break;
        }
    }
    Some(flags)
}

/// A switch's value as pflag reads it (`-D=false`).
///
/// # Errors
///
/// When it is none of Go's words for true and false.
pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("use true or false".into()),
    }
}

#[derive(Clone, Copy)]
enum Ask {
    Help,
    Version,
}

/// The words before the plugin's name, and the rest beginning with it.
struct Leading {
    globals: Vec<OsString>,
    ask: Option<Ask>,
    rest: Vec<OsString>,
}

fn leading(words: impl Iterator<Item = OsString>) -> Result<Leading, UsageError> {
    let docker = docker_flags();
    let mut words = words.peekable();
    let (mut globals, mut ask) = (Vec::new(), None);
    while let Some(typed) = words.peek().and_then(|word| flags_in(&docker, word)) {
        let word = words.next().unwrap_or_default();
        let asked = typed.flags.iter().find_map(asked);
        ask = ask.or(asked);
        let missing = || UsageError(format!("flag needs an argument: {}", word.display()));
        let value = match typed.takes_next {
            true => Some(words.next().ok_or_else(missing)?),
            false => None,
        };
        if !typed.flags.iter().all(|(arg, _)| is_question(arg)) {
            globals.extend([word].into_iter().chain(value));
        }
    }
    Ok(Leading { globals, ask, rest: words.collect() })
}

/// `--help` and `--version` ask docker something; no child may get them.
fn is_question(arg: &Arg) -> bool {
    matches!(arg.get_id().as_str(), "help" | "version")
}

fn asked((arg, value): &(&Arg, Option<String>)) -> Option<Ask> {
    let value = value.as_deref().unwrap_or("true");
    let on = boolean(value) == Ok(true);
    match arg.get_id().as_str() {
        "help" if on => Some(Ask::Help),
        "version" if on => Some(Ask::Version),
        _ => None,
    }
}

/// Drops the plugin's name, with a `--` on either side, and says whether it was there. A call without docker in front
/// has none; then the first word is the command.
fn without_name(mut rest: Vec<OsString>) -> (bool, Vec<OsString>) {
    drop_first(&mut rest, "--");
    let named = drop_first(&mut rest, NAME);
    drop_first(&mut rest, "--");
    (named, rest)
}

fn drop_first(words: &mut Vec<OsString>, word: &str) -> bool {
    let found = words.first().is_some_and(|first| first == word);
    if found {
        words.remove(0);
    }
    found
}

/// The words to complete. Docker drops its own flags there; other callers may not.
fn completed(words: &[OsString], globals: &mut Vec<OsString>) -> Vec<OsString> {
    if let Ok(mut leading) = leading(words.iter().cloned())
        && drop_first(&mut leading.rest, NAME)
    {
        globals.extend(leading.globals);
        return leading.rest;
    }
    words.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of a line; `''` is an empty one.
    fn words(line: &str) -> Vec<OsString> {
        let words = line.split_whitespace();
        words.map(|word| word.trim_matches('\'').into()).collect()
    }

    /// What `docker-zdd LINE` is: docker's flags, the rest, the kind.
    fn call(line: &str) -> Invocation {
        let argv = [OsString::from("docker-zdd")].into_iter().chain(words(line));
        split(argv).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    #[test]
    fn metadata_is_what_docker_accepts() {
        let metadata: serde_json::Value = serde_json::from_str(&metadata()).expect("JSON");
        let version = format!("v{}", env!("CARGO_PKG_VERSION"));
        let expected = serde_json::json!({
            "SchemaVersion": "0.1.0",
            "Vendor": "docker zdd",
            "Version": version,
            "ShortDescription": "Update Compose services without losing a request",
        });
        assert_eq!(metadata, expected);
    }

    #[test]
    fn runs_with_docker_s_flags_as_typed() {
        for (line, globals, rest) in [
            ("zdd", "", ""),
            ("--context default zdd up x", "--context default", "up x"),
            ("-D zdd", "-D", ""),
            ("-c default -D=false zdd ps", "-c default -D=false", "ps"),
            ("-l debug --tlscacert /x --tls zdd up", "-l debug --tlscacert /x --tls", "up"),
            ("--host=unix:///s zdd -- up", "--host=unix:///s", "up"),
            ("--config D -H S zdd up -D --context foo", "--config D -H S", "up -D --context foo"),
            ("-HV -H=W -cV -Dldebug zdd up", "-HV -H=W -cV -Dldebug", "up"),
            ("-Dc V -H zdd -H W zdd up", "-Dc V -H zdd -H W", "up"),
            (
                "--tlsverify --tls=false --tlscert a --tlskey=b zdd up",
                "--tlsverify --tls=false --tlscert a --tlskey=b",
                "up",
            ),
            ("-- zdd up", "", "up"),
            ("--help=false --version=0 zdd up", "", "up"),
            ("zdd up zdd", "", "up zdd"),
            ("zdd -f a --help up", "", "-f a --help up"),
            ("up", "", "up"),
            ("up zdd", "", "up zdd"),
            ("-c V up web", "-c V", "up web"),
            ("-f a up", "", "-f a up"),
            ("", "", ""),
        ] {
            let expected = Invocation { docker_globals: words(globals), rest: words(rest), kind: Kind::Run };
            assert_eq!(call(line), expected, "{line}");
        }
    }

    #[test]
    fn knows_every_other_call() {
        let help = |line| Kind::Help(words(line));
        let complete = |line| Kind::Complete(words(line));
        for (line, kind) in [
            ("docker-cli-plugin-metadata", Kind::Metadata),
            ("zdd docker-cli-plugin-hooks {}", Kind::Hooks),
            ("__man /tmp/man1", Kind::Man("/tmp/man1".into())),
            ("-c V __watchdog shop 7", Kind::Watchdog { project: "shop".to_owned(), pid: 7 }),
            ("__watchdog shop", Kind::Run),
            ("help zdd", help("")),
            ("help zdd up", help("up")),
            ("-c V help zdd up", help("up")),
            ("zdd help up", help("up")),
            ("zdd help zdd", help("zdd")),
            ("help up", help("up")),
            ("--help zdd", help("")),
            ("-h zdd up", help("up")),
            ("-Dh zdd", help("")),
            ("--version zdd", Kind::Version),
            ("-v zdd up", Kind::Version),
            ("-vD zdd", Kind::Version),
            ("zdd --version", Kind::Version),
            ("__complete zdd u", complete("u")),
            ("__complete zdd up ''", complete("up ''")),
            ("__completeNoDesc zdd up zdd", complete("up zdd")),
            ("__complete up ''", complete("up ''")),
            ("__complete --context ''", complete("--context ''")),
            ("__complete -c V zdd up ''", complete("up ''")),
            ("-c V __complete zdd up ''", complete("up ''")),
            ("zdd __complete up ''", complete("up ''")),
        ] {
            assert_eq!(call(line).kind, kind, "{line}");
        }
        for line in ["-c V __complete zdd ''", "__complete -c V zdd ''"] {
            assert_eq!(call(line).docker_globals, words("-c V"), "{line}");
        }
    }

    #[test]
    fn a_flag_of_docker_without_its_value_is_an_error() {
        let argv = words("docker-zdd -D --context");
        let error = split(argv).expect_err("an error");
        assert_eq!(error.to_string(), "flag needs an argument: --context");
    }
}
