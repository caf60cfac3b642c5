//! From the words to a [`Cli`], and the wording of what is wrong with them.

use std::error::Error as _;
use std::ffi::{OsStr, OsString};

use clap::builder::ValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, FromArgMatches};

use super::Cli;
use super::help::{command, render};
use crate::plugin;
use crate::text::{did_you_mean, mask::mask, nearest};

/// What Compose 5.6 has and this program has not: it works on the same project.
const COMPOSE_COMMANDS: &[&str] = &[
    "attach", "bridge", "build", "commit", "config", "convert", "cp", "create", "down", "events", "exec",
    "export", "images", "kill", "logs", "ls", "pause", "port", "ps", "publish", "pull", "push", "rm", "run",
    "scale", "start", "stats", "stop", "top", "unpause", "volumes", "wait", "watch",
];
/// What `docker compose up` 5.6 has and `up` has not: it always replaces, detaches and waits.
const COMPOSE_FLAGS: &[&str] = &[
    "abort-on-container-exit",
    "abort-on-container-failure",
    "always-recreate-deps",
    "attach",
    "attach-dependencies",
    "exit-code-from",
    "menu",
    "no-attach",
    "no-color",
    "no-log-prefix",
    "no-recreate",
    "no-start",
    "renew-anon-volumes",
    "timestamps",
    "watch",
];
/// What other tools call it.
const OTHER_WORDS: &[(&str, &str)] =
    &[("deploy", "up"), ("rollout", "up"), ("update", "up"), ("undo", "rollback"), ("log", "history")];

const INCOMPATIBLE: &str = "--build and --no-build are incompatible\n";

/// A command line that runs nothing: what to print where, and the exit code (0 for help, 1 for an error, as
/// `docker compose` does).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CliError {
    pub stdout: String,
    pub stderr: String,
    pub exit_code: u8,
}

impl From<plugin::UsageError> for CliError {
    fn from(error: plugin::UsageError) -> CliError {
        failure(format!("{error}\n"))
    }
}

/// A switch that also takes pflag's `--build=false`. For the parser only: clap would show the value in the help.
fn family_switch(arg: Arg) -> Arg {
    if !matches!(arg.get_action(), ArgAction::SetTrue) {
        return arg;
    }
    arg.action(ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .default_value("false")
        .value_parser(ValueParser::new(plugin::boolean))
}

/// Reads the words after the plugin's name.
///
/// # Errors
///
/// Help that was asked for, or one line about what is wrong with the words.
pub fn parse(rest: Vec<OsString>) -> Result<Cli, CliError> {
    let (name, words) = command_first(&command(), rest.clone());
    match name.as_deref() {
        Some("help") => return Err(help(&words[1..])),
        Some(unknown) if command().find_subcommand(unknown).is_none() => {
            return Err(unknown_command(unknown, &rest));
        }
        _ => {}
    }
    let parser = command().mut_args(family_switch).mut_subcommands(|sub| sub.mut_args(family_switch));
    let matches = parser.try_get_matches_from(&words);
    match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) if cli.builds_and_not() => Err(failure(INCOMPATIBLE.into())),
        Ok(cli) if cli.command.is_some() => Ok(cli),
        Err(error) if error.kind() != ErrorKind::DisplayHelp => {
            Err(usage_error(&error, name.as_deref(), &words))
        }
        _ => Err(help_of(name.as_deref())),
    }
}

/// The help of the command that `words` name, or of `docker zdd` when they name none; an error when it is unknown.
pub fn help(words: &[OsString]) -> CliError {
    match command_first(&command(), words.to_vec()).0 {
        Some(name) if command().find_subcommand(&name).is_none() => {
            unknown_command(&name, &[OsString::from(&name)])
        }
        name => help_of(name.as_deref()),
    }
}

/// Puts the subcommand before the flags that were typed in front of it. For a flag given on both sides clap keeps
/// one side only, and `docker zdd -f a.yml up -f b.yml` must load both files, in this order. A `--` there is dropped.
fn command_first(root: &clap::Command, words: Vec<OsString>) -> (Option<String>, Vec<OsString>) {
    let mut words = words.into_iter();
    let mut flags = Vec::new();
    while let Some(word) = words.next() {
        if let Some(typed) = plugin::flags_in(root, &word) {
            flags.push(word);
            flags.extend(typed.takes_next.then(|| words.next()).flatten());
        } else if word.as_encoded_bytes().starts_with(b"-") && word != "--" && word != "-" {
            flags.push(word);
            flags.extend(words);
            return (None, flags);
        } else if word != "--" {
            let name = word.to_string_lossy().into_owned();
            let ordered = [word].into_iter().chain(flags).chain(words);
            return (Some(name), ordered.collect());
        }
    }
    (None, flags)
}

/// Compose's answer to an unknown command, in its words, and the command that was probably meant: Compose's own, with
/// the flags in front of it.
fn unknown_command(name: &str, typed: &[OsString]) -> CliError {
    let root = command();
    let known: Vec<_> = root.get_subcommands().map(clap::Command::get_name).collect();
    let own = OTHER_WORDS.iter().find(|(other, _)| *other == name).map_or(name, |(_, own)| own);
    let hint = match COMPOSE_COMMANDS.contains(&name) {
        true => {
            let has_name = |n: &usize| command_first(&root, typed[..*n].to_vec()).0.is_some();
            let until = (1..typed.len()).find(has_name).unwrap_or(typed.len());
            let mut words: Vec<_> = typed[..until].iter().map(|word| word.to_string_lossy()).collect();
            // What follows may be a command of the user's own, with its secrets.
            words.extend((typed.len() > until).then_some("…".into()));
            format!(" it is a command of Compose: write \"docker compose {}\"", mask(&words.join(" ")))
        }
        false => match (did_you_mean(own, &known), nearest(name, COMPOSE_COMMANDS)) {
            (meant, Some(theirs)) if meant.is_empty() => {
                format!(" did you mean \"docker compose {theirs}\"?")
            }
            (meant, _) => meant,
        },
    };
    let unknown = format!("unknown docker command: \"zdd {name}\"");
    match hint.is_empty() {
        true => CliError { stderr: format!("{unknown}\n"), exit_code: 1, ..help_of(None) },
        false => failure(format!("{unknown};{hint}\nSee 'docker zdd --help'\n")),
    }
}

fn help_of(name: Option<&str>) -> CliError {
    CliError { stdout: render(name), stderr: String::new(), exit_code: 0 }
}

fn failure(stderr: String) -> CliError {
    CliError { stdout: String::new(), stderr, exit_code: 1 }
}

fn usage_error(error: &clap::Error, name: Option<&str>, words: &[OsString]) -> CliError {
    let program: Vec<&str> = ["docker zdd"].into_iter().chain(name).collect();
    let program = program.join(" ");
    let unknown = error.kind() == ErrorKind::UnknownArgument;
    let flag = flag_of(error);
    let docker = docker_flag(&flag, words).filter(|_| unknown);
    let line = mask(&docker.unwrap_or_else(|| wording(error, &flag, name, &program)));
    failure(format!("{line}\nSee '{program} --help'\n"))
}

/// What is wrong, in the words of Compose (pflag's) where it has some.
fn wording(error: &clap::Error, flag: &str, name: Option<&str>, program: &str) -> String {
    let value = context(error, ContextKind::InvalidValue);
    // An address may hold a password.
    let shown = if flag == "--probe" { String::new() } else { format!(" \"{value}\"") };
    let invalid = format!("invalid argument{shown} for \"{flag}\" flag");
    match error.kind() {
        ErrorKind::UnknownArgument if flag.starts_with("--") => {
            format!("unknown flag: {flag}{}", meant(&flag[2..], name))
        }
        ErrorKind::UnknownArgument => match flag.strip_prefix('-') {
            Some(letter) => format!("unknown shorthand flag: '{letter}' in {flag}"),
            None => format!("unknown command \"{flag}\" for \"{program}\""),
        },
        ErrorKind::InvalidValue if value.is_empty() => format!("flag needs an argument: {flag}"),
        ErrorKind::InvalidValue => {
            let choices = context(error, ContextKind::ValidValue);
            format!("{invalid}: use one of {choices}")
        }
        ErrorKind::ValueValidation => match error.source() {
            Some(source) => format!("{invalid}: {source}"),
            None => invalid,
        },
        _ => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            line.trim_start_matches("error: ").into()
        }
    }
}

/// What a flag may be that there is not: clap's own guess takes `--no-recreate` for `--force-recreate`.
fn meant(flag: &str, name: Option<&str>) -> String {
    if matches!(name, Some("up" | "plan")) && COMPOSE_FLAGS.contains(&flag) {
        return " (it is a flag of \"docker compose up\"; there is nothing like it here)".to_owned();
    }
    let root = command();
    let sub = name.and_then(|name| root.find_subcommand(name));
    let args = root.get_arguments().chain(sub.into_iter().flat_map(clap::Command::get_arguments));
    let known: Vec<_> = args.filter(|arg| !arg.is_hide_set()).filter_map(Arg::get_long).collect();
    nearest(flag, &known).map(|known| format!(" (did you mean --{known}?)")).unwrap_or_default()
}

/// Docker's own flags stand before the plugin's name; behind it docker leaves them to the plugin. Says how to write
/// the line instead.
fn docker_flag(flag: &str, words: &[OsString]) -> Option<String> {
    let docker = plugin::docker_flags();
    plugin::flags_in(&docker, OsStr::new(flag)).filter(|_| flag != "-v" && flag != "--version")?;
    let (mut theirs, mut ours) = (String::new(), String::new());
    let mut words = without_addresses(words).into_iter();
    while let Some(word) = words.next() {
        let typed = plugin::flags_in(&docker, OsStr::new(&*word));
        match typed.map(|typed| typed.takes_next) {
            None => ours += &format!(" {word}"),
            Some(false) => theirs += &format!(" {word}"),
            Some(true) => {
                let value = words.next().unwrap_or_else(|| "VALUE".into());
                theirs += &format!(" {word} {value}");
            }
        }
    }
    Some(format!("{flag} is a flag of docker itself: write \"docker{theirs} zdd{ours}\""))
}

/// The words as typed, but `URL` for what is to be probed: its password and its query are nobody's business.
fn without_addresses(words: &[OsString]) -> Vec<String> {
    let mut follows = false;
    let shown = words.iter().map(|word| {
        let word = word.to_string_lossy();
        match std::mem::replace(&mut follows, word == "--probe") {
            true => "URL".to_owned(),
            false if word.starts_with("--probe=") => "--probe=URL".to_owned(),
            false => word.into_owned(),
        }
    });
    shown.collect()
}

/// A call of the plugin as a person types it, without secrets.
pub fn as_typed(words: impl Iterator<Item = OsString>) -> String {
    let words: Vec<OsString> = words.collect();
    let quoted = |word: String| match word.is_empty() || word.contains(|c: char| c.is_whitespace()) {
        true => format!("'{word}'"),
        false => word,
    };
    let words: Vec<_> = without_addresses(&words).into_iter().map(quoted).collect();
    mask(&format!("docker {}", words.join(" ")))
}

/// The flag that an error is about, without the value that clap shows behind it.
fn flag_of(error: &clap::Error) -> String {
    let shown = context(error, ContextKind::InvalidArg);
    let name = shown.split([' ', '=', '[']).next();
    name.unwrap_or_default().into()
}

fn context(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Command, UpArgs};

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn parsed(line: &str) -> Cli {
        parse(words(line)).unwrap_or_else(|error| panic!("{line}: {}", error.stderr))
    }

    fn up(line: &str) -> UpArgs {
        match parsed(line).command {
            Some(Command::Up(up)) => up,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn error(line: &str) -> String {
        let error = parse(words(line)).expect_err(line);
        assert_eq!((error.exit_code, error.stdout.as_str()), (1, ""), "{line}");
        error.stderr.lines().next().unwrap_or_default().into()
    }

    #[test]
    fn compose_flags_count_on_both_sides_of_the_command() {
        for line in [
            "-f a -f=b --profile x -p shop --parallel -1 up --dry-run web",
            "up web --dry-run -fa -f b --profile=x -p shop --parallel=-1",
            "-f a --dry-run -p old up -f b web --profile x -p shop --parallel -1",
            "-p shop --profile x --dry-run -- up -f a --file b --parallel -1 -- web",
        ] {
            let cli = parsed(line);
            let args = "--file a --file b --project-name shop --profile x --parallel -1";
            assert_eq!(cli.compose.args(), words(args), "{line}");
            assert!(cli.compose.dry_run, "{line}");
            assert_eq!(up(line).planning.services, ["web"], "{line}");
        }
    }

    #[test]
    fn switches_are_read_as_pflag_reads_them() {
        assert!(up("up --build").planning.build);
        assert!(up("up --build=1").planning.build);
        assert!(!up("up --build=false").planning.build);
        assert!(!up("up --build --build=f --no-build").planning.build);
        assert!(!parsed("--dry-run up --dry-run=false").compose.dry_run);
        let old = up("up -dt5 --wait --quiet-pull --quiet-build zdd -- --build");
        assert!(old.detach && old.wait && old.quiet_pull && old.quiet_build);
        assert_eq!(old.planning.pace.timeout, Some(5));
        assert_eq!(old.planning.services, ["zdd", "--build"]);
    }

    #[test]
    fn errors_are_one_plain_line() {
        for (line, message) in [
            ("up --bogus", "unknown flag: --bogus"),
            ("up --biuld", "unknown flag: --biuld (did you mean --build?)"),
            ("--bogus up", "unknown flag: --bogus"),
            ("up --no-cache", "unknown flag: --no-cache"),
            ("-f a --profil x up", "unknown flag: --profil (did you mean --profile?)"),
            (
                "up --no-recreate",
                "unknown flag: --no-recreate (it is a flag of \"docker compose up\"; there is nothing like it here)",
            ),
            ("up -Zx", "unknown shorthand flag: 'Z' in -Z"),
            ("up -v", "unknown shorthand flag: 'v' in -v"),
            ("version x", "unknown command \"x\" for \"docker zdd version\""),
            ("-f", "flag needs an argument: --file"),
            ("up --pull", "flag needs an argument: --pull"),
            ("up --build --no-build", "--build and --no-build are incompatible"),
            ("up --build=x", "invalid argument \"x\" for \"--build\" flag: use true or false"),
            ("--ansi x up", "invalid argument \"x\" for \"--ansi\" flag: use one of never, always, auto"),
            (
                "up --delay 10",
                "invalid argument \"10\" for \"--delay\" flag: \"10\" has no unit: write \"10s\"",
            ),
            (
                "up --scale =2",
                "invalid argument \"=2\" for \"--scale\" flag: it should be SERVICE=NUM, such as web=2",
            ),
        ] {
            assert_eq!(error(line), message, "{line}");
        }
        let hint = parse(words("up --bogus")).expect_err("an error").stderr;
        assert!(hint.ends_with("\nSee 'docker zdd up --help'\n"), "{hint}");
    }

    #[test]
    fn docker_s_own_flags_belong_before_the_name() {
        for (line, flag, instead) in [
            ("--context x up", "--context", "docker --context x zdd up"),
            ("up web --context=x", "--context", "docker --context=x zdd up web"),
            ("up -H tcp://x --tlsverify", "-H", "docker -H tcp://x --tlsverify zdd up"),
            ("-D up", "-D", "docker -D zdd up"),
            ("up --config", "--config", "docker --config VALUE zdd up"),
        ] {
            let message = format!("{flag} is a flag of docker itself: write \"{instead}\"");
            assert_eq!(error(line), message, "{line}");
        }
    }

    #[test]
    fn no_error_shows_a_password() {
        let docker = "--context is a flag of docker itself: write \"docker --context prod zdd up";
        for (line, message) in [
            ("up --probe https://ci:s3cret@shop/ --context prod", format!("{docker} --probe URL\"")),
            (
                "up --context prod --probe=http://shop/?token=s3cret web",
                format!("{docker} --probe=URL web\""),
            ),
            (
                "up -H tcp://ci:s3cret@prod",
                "-H is a flag of docker itself: write \"docker -H tcp://ci:***@prod zdd up\"".to_owned(),
            ),
            (
                "version tcp://ci:s3cret@prod",
                "unknown command \"tcp://ci:***@prod\" for \"docker zdd version\"".to_owned(),
            ),
        ] {
            assert_eq!(error(line), message, "{line}");
        }
    }

    #[test]
    fn a_call_is_shown_as_it_was_typed() {
        let typed = |line: &str| as_typed(words(line).into_iter());
        assert_eq!(typed("--context prod zdd up web --build"), "docker --context prod zdd up web --build");
        assert_eq!(
            typed("-H tcp://ci:s3cret@prod zdd up --probe http://shop/?token=s3cret"),
            "docker -H tcp://ci:***@prod zdd up --probe URL"
        );
        assert_eq!(as_typed(["up".into(), "a b".into(), "".into()].into_iter()), "docker up 'a b' ''");
    }

    #[test]
    fn help_is_data_and_no_error() {
        let root = help(&[]);
        assert_eq!((root.exit_code, root.stderr.as_str()), (0, ""));
        let begin = "Usage:  docker zdd [OPTIONS] COMMAND\n\nUpdate Compose services without losing a request\n\nOptions:\n";
        assert!(root.stdout.starts_with(begin), "{}", root.stdout);
        let end = "\n\nRun 'docker zdd COMMAND --help' for more information on a command.\n";
        assert!(root.stdout.ends_with(end), "{}", root.stdout);
        for line in ["", "-f a", "--help", "-h", "help"] {
            assert_eq!(parse(words(line)).expect_err(line), root, "{line}");
        }
        let up = help(&words("up web"));
        assert!(up.stdout.starts_with("Usage:  docker zdd up [OPTIONS] [SERVICE...]\n\n"));
        assert!(up.stdout.contains("\n      --delay duration "), "{}", up.stdout);
        assert!(
            up.stdout.ends_with("\n  130   Interrupted; the last lines say what serves\n"),
            "{}",
            up.stdout
        );
        assert!(!up.stdout.contains("--file") && !up.stdout.contains("--detach"));
        for line in ["up --help", "--help up", "up web -h", "-f a help up", "help -f a up"] {
            assert_eq!(parse(words(line)).expect_err(line), up, "{line}");
        }
    }

    #[test]
    fn an_unknown_command_gets_the_help_and_fails() {
        for line in ["xyz", "-p a xyz", "help xyz", "-- xyz"] {
            let error = parse(words(line)).expect_err(line);
            assert_eq!((error.exit_code, error.stdout), (1, help(&[]).stdout));
            assert_eq!(error.stderr, "unknown docker command: \"zdd xyz\"\n");
        }
    }

    #[test]
    fn a_command_of_compose_or_one_that_is_near_is_named() {
        for (line, hint) in [
            ("-f a.yaml ps", "it is a command of Compose: write \"docker compose -f a.yaml ps\""),
            ("logs -f web", "it is a command of Compose: write \"docker compose logs …\""),
            ("-p ps ps", "it is a command of Compose: write \"docker compose -p ps ps\""),
            ("help exec", "it is a command of Compose: write \"docker compose exec\""),
            ("pu web", "did you mean \"up\"?"),
            ("rolback", "did you mean \"rollback\"?"),
            ("deploy", "did you mean \"up\"?"),
            ("lgos -f web", "did you mean \"docker compose logs\"?"),
        ] {
            let message = error(line);
            assert!(message.ends_with(&format!("; {hint}")), "{line}: {message}");
        }
    }

    /// What this program has too is its own.
    #[test]
    fn no_command_of_compose_is_one_of_ours() {
        let ours = command();
        let up = ours.find_subcommand("up").expect("a command");
        let flags: Vec<_> =
            up.get_arguments().chain(ours.get_arguments()).filter_map(Arg::get_long).collect();
        assert!(!COMPOSE_FLAGS.iter().any(|name| flags.contains(name)));
        assert!(!COMPOSE_COMMANDS.iter().any(|name| ours.find_subcommand(name).is_some()));
        assert!(OTHER_WORDS.iter().all(|(_, own)| ours.find_subcommand(own).is_some()));
    }
}
