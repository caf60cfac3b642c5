//! Completion as docker asks for it: `docker __complete zdd WORDS…`. clap's own scripts complete `docker-zdd` only.

use std::ffi::{OsStr, OsString};

use clap::builder::StyledStr;
use clap::{Arg, ArgAction, Command, ValueHint};

use super::flags_in;

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
        let mut place = Place { command: root, value_of: None, dashes: false, given: Vec::new() };
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

    fn completion(line: &str) -> String {
        let services = || vec!["web".to_owned(), "api".to_owned()];
        complete(&cli::command(), &words(line), &services, true)
    }

    #[test]
    fn completes_what_may_stand_there() {
        for (line, answer) in [
            ("u", "up\tUpdate services without losing a request\n:4\n"),
            ("-f a u", "up\tUpdate services without losing a request\n:4\n"),
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
            ("up --build --bu", ":4\n"),
            ("up --detac", ":4\n"),
            ("up --dry", "--dry-run\tPrint the plan and change nothing\n:4\n"),
            ("version ''", ":4\n"),
            ("version --format ''", "pretty\njson\n:4\n"),
        ] {
            assert_eq!(completion(line), answer, "{line}");
        }
        let commands = completion("''");
        assert_eq!(commands.lines().count(), 1 + cli::command().get_subcommands().count());
        assert!(completion("up --fo").starts_with("--force-recreate\t"));
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
