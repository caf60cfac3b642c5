//! What the Docker CLI and its plugins agree on: the metadata, the arguments as docker passes them, completion.
//!
//! Docker runs a plugin with its own whole argument list, its own flags in front and unparsed. Source: tried with
//! docker 28.2.2, whose reader of flags is Go's pflag.

use std::ffi::{OsStr, OsString};
use std::fmt;

use clap::builder::StyledStr;
use clap::{Arg, ArgAction, Command, ValueHint};

const NAME: &str = "zdd";

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

/// Takes the process's arguments apart, called by docker (`docker --context x zdd up`) or not (`docker-zdd up`).
///
/// # Errors
///
/// When one of docker's own flags has no value.
pub fn split(argv: impl IntoIterator<Item = OsString>) -> Result<Invocation, UsageError> {
    let Leading {
        mut globals,
        ask,
        rest,
    } = leading(argv.into_iter().skip(1))?;
    let (named, rest) = without_name(rest);
    let kind = match (ask, rest.first().and_then(|word| word.to_str())) {
        (Some(Ask::Help), _) => Kind::Help(rest.clone()),
        (Some(Ask::Version), _) => Kind::Version,
        (None, Some("docker-cli-plugin-metadata")) => Kind::Metadata,
        (None, Some("docker-cli-plugin-hooks")) => Kind::Hooks,
        (None, Some("__complete" | "__completeNoDesc")) => {
            Kind::Complete(completed(&rest[1..], &mut globals))
        }
        (None, Some("help")) if named => Kind::Help(rest[1..].to_vec()),
        (None, Some("help")) => Kind::Help(without_name(rest[1..].to_vec()).1),
        (None, Some("--version" | "-v")) => Kind::Version,
        (None, _) => Kind::Run,
    };
    Ok(Invocation {
        docker_globals: globals,
        rest,
        kind,
    })
}

/// Docker's own flags, which stand before the plugin's name only. Source: `docker --help` of 28.2.2.
pub(crate) fn docker_flags() -> Command {
    let values = [
        ("config", None),
        ("context", Some('c')),
        ("host", Some('H')),
        ("log-level", Some('l')),
    ];
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
        .args(
            values
                .into_iter()
                .chain(files)
                .map(|names| flag(names, ArgAction::Append)),
        )
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
        let arg = command
            .get_arguments()
            .find(|arg| arg.get_short() == Some(letter))?;
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
    Ok(Leading {
        globals,
        ask,
        rest: words.collect(),
    })
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

// Directives for the shell. Source: cobra's ShellCompDirective.
const FILES: u8 = 0;
const NO_FILES: u8 = 4;
const FILE_ENDINGS: u8 = 8;
const DIRECTORIES: u8 = 16;

/// A word that would fit, and what it means.
type Candidate = (String, String);

/// What docker hands to the shell: a candidate a line, then a line that says what else the shell may offer.
///
/// `words` stand behind the plugin's name; the last is the one being completed and may be empty. `services` is asked
/// for the project's services when one may stand there. `descriptions` is false when the user has set
/// `DOCKER_CLI_DISABLE_COMPLETION_DESCRIPTION`.
pub fn complete(
    root: &Command,
    words: &[OsString],
    services: &dyn Fn() -> Vec<String>,
    descriptions: bool,
) -> String {
    let (last, before) = match words.split_last() {
        Some((last, before)) => (last.to_string_lossy(), before),
        None => ("".into(), words),
    };
    let (candidates, directive) = match Place::after(root, before) {
        Some(place) => place.candidates(&last, services),
        None => (Vec::new(), NO_FILES),
    };
    let mut answer = String::new();
    for (word, about) in candidates {
        let about = if descriptions { about.as_str() } else { "" };
        answer += format!("{word}\t{about}").trim_end();
        answer += "\n";
    }
    answer + &format!(":{directive}\n")
}

/// Where on the command line the word to complete stands.
struct Place<'a> {
    command: &'a Command,
    /// The flag whose value it is.
    value_of: Option<&'a Arg>,
    /// Behind a `--` nothing is a flag.
    dashes: bool,
    given: Vec<&'a Arg>,
}

impl<'a> Place<'a> {
    /// `None` behind a command that does not exist.
    fn after(root: &'a Command, words: &[OsString]) -> Option<Place<'a>> {
        let mut place = Place {
            command: root,
            value_of: None,
            dashes: false,
            given: Vec::new(),
        };
        for word in words {
            if place.value_of.take().is_some() {
                continue;
            }
            place.step(word)?;
        }
        Some(place)
    }

    fn step(&mut self, word: &OsStr) -> Option<()> {
        if self.dashes {
            return Some(());
        }
        if let Some(typed) = flags_in(self.command, word) {
            self.given.extend(typed.flags.iter().map(|(arg, _)| *arg));
            self.value_of = self.given.last().copied().filter(|_| typed.takes_next);
        } else if self.command.has_subcommands() {
            self.command = self.command.find_subcommand(word)?;
        } else {
            self.dashes = word == "--";
        }
        Some(())
    }

    fn candidates(&self, last: &str, services: &dyn Fn() -> Vec<String>) -> (Vec<Candidate>, u8) {
        if let Some(arg) = self.value_of {
            return values(arg, last);
        }
        let mut typed = flags_in(self.command, OsStr::new(last));
        match typed.as_mut().and_then(|typed| typed.flags.pop()) {
            _ if self.dashes => (self.operands(last, services), NO_FILES),
            Some((arg, Some(value))) => values(arg, &value),
            _ if last.starts_with('-') => (self.flags(last), NO_FILES),
            _ if self.command.has_subcommands() => (self.commands(last), NO_FILES),
            _ => (self.operands(last, services), NO_FILES),
        }
    }

    fn flags(&self, last: &str) -> Vec<Candidate> {
        let repeats = |arg: &Arg| matches!(arg.get_action(), ArgAction::Append);
        let given = |arg: &Arg| self.given.contains(&arg);
        let args = self.command.get_opts();
        let args = args.filter(|arg| !arg.is_hide_set() && (repeats(arg) || !given(arg)));
        let names = args.flat_map(|arg| {
            let long = arg.get_long().map(|long| format!("--{long}"));
            let short = arg.get_short().map(|short| format!("-{short}"));
            let names = long.into_iter().chain(short);
            names.map(|name| (name, text(arg.get_help())))
        });
        names.filter(|(name, _)| name.starts_with(last)).collect()
    }

    fn commands(&self, last: &str) -> Vec<Candidate> {
        let fits = |sub: &&Command| !sub.is_hide_set() && sub.get_name().starts_with(last);
        let commands = self.command.get_subcommands().filter(fits);
        let named = commands.map(|sub| (sub.get_name().into(), text(sub.get_about())));
        named.collect()
    }

    fn operands(&self, last: &str, services: &dyn Fn() -> Vec<String>) -> Vec<Candidate> {
        if self.command.get_positionals().next().is_none() {
            return Vec::new();
        }
        bare(services(), last)
    }
}

/// A flag's values. Its hint stands for what the shell knows better: a Compose file, any file, a directory.
fn values(arg: &Arg, last: &str) -> (Vec<Candidate>, u8) {
    let choices = arg.get_possible_values();
    let choices = choices.iter().map(|value| value.get_name().to_owned());
    match arg.get_value_hint() {
        ValueHint::FilePath => (bare(["yaml".into(), "yml".into()], ""), FILE_ENDINGS),
        ValueHint::AnyPath => (Vec::new(), FILES),
        ValueHint::DirPath => (Vec::new(), DIRECTORIES),
        _ => (bare(choices, last), NO_FILES),
    }
}

fn bare(words: impl IntoIterator<Item = String>, last: &str) -> Vec<Candidate> {
    let fitting = words.into_iter().filter(|word| word.starts_with(last));
    fitting.map(|word| (word, String::new())).collect()
}

fn text(styled: Option<&StyledStr>) -> String {
    styled.map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;

    /// The words of a line; `''` is an empty one.
    fn words(line: &str) -> Vec<OsString> {
        let words = line.split_whitespace();
        words.map(|word| word.trim_matches('\'').into()).collect()
    }

    /// What `docker-zdd LINE` is: docker's flags, the rest, the kind.
    fn call(line: &str) -> Invocation {
        let argv = [OsString::from("docker-zdd")]
            .into_iter()
            .chain(words(line));
        split(argv).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    fn completion(line: &str) -> String {
        let Kind::Complete(words) = call(line).kind else {
            panic!("{line} completes nothing");
        };
        let services = || vec!["web".to_owned(), "api".to_owned()];
        complete(&cli::command(), &words, &services, true)
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
            (
                "-l debug --tlscacert /x --tls zdd up",
                "-l debug --tlscacert /x --tls",
                "up",
            ),
            ("--host=unix:///s zdd -- up", "--host=unix:///s", "up"),
            (
                "--config D -H S zdd up -D --context foo",
                "--config D -H S",
                "up -D --context foo",
            ),
            (
                "-HV -H=W -cV -Dldebug zdd up",
                "-HV -H=W -cV -Dldebug",
                "up",
            ),
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
            let expected = Invocation {
                docker_globals: words(globals),
                rest: words(rest),
                kind: Kind::Run,
            };
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

    #[test]
    fn completes_what_may_stand_there() {
        for (line, answer) in [
            ("u", "up\tUpdate services without losing a request\n:4\n"),
            (
                "-f a u",
                "up\tUpdate services without losing a request\n:4\n",
            ),
            ("x ''", ":4\n"),
            ("--prof", "--profile\tSpecify a profile to enable\n:4\n"),
            ("-p", "-p\tProject name\n:4\n"),
            ("--hel", ":4\n"),
            ("--progress ''", "auto\ntty\nplain\njson\nquiet\n:4\n"),
            ("--progress=p", "plain\n:4\n"),
            ("-f ''", "yaml\nyml\n:8\n"),
            ("up --file=", "yaml\nyml\n:8\n"),
            ("--project-directory ''", ":16\n"),
            ("--env-file ''", ":0\n"),
            ("--profile ''", ":4\n"),
            ("up ''", "web\napi\n:4\n"),
            ("plan w", "web\n:4\n"),
            ("-p shop up --build web a", "api\n:4\n"),
            ("up -- -", ":4\n"),
            ("up -- w", "web\n:4\n"),
            ("up --order st", "start-first\nstop-first\n:4\n"),
            ("up --build --b", ":4\n"),
            ("up --detac", ":4\n"),
            (
                "up --dry",
                "--dry-run\tPrint the plan and change nothing\n:4\n",
            ),
            ("version ''", ":4\n"),
            ("version --format ''", "pretty\njson\n:4\n"),
        ] {
            assert_eq!(
                completion(&format!("__complete zdd {line}")),
                answer,
                "{line}"
            );
        }
        let commands = completion("__complete zdd ''");
        assert_eq!(
            commands.lines().count(),
            1 + cli::command().get_subcommands().count()
        );
        assert!(completion("__complete zdd up --fo").starts_with("--force-recreate\t"));
    }

    #[test]
    fn completes_without_descriptions() {
        let none = || Vec::new();
        let bare = |line| complete(&cli::command(), &words(line), &none, false);
        assert_eq!(bare("u"), "up\n:4\n");
        assert_eq!(bare("up ''"), ":4\n");
        assert_eq!(complete(&cli::command(), &[], &none, false), bare("''"));
    }
}
