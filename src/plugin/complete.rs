//! Completion as docker asks for it: `docker __complete zdd WORDS…`. clap's own scripts complete `docker-zdd` only.

use std::ffi::{OsStr, OsString};

use clap::builder::StyledStr;
use clap::{Arg, ArgAction, Command, ValueHint};

use super::flags_in;

// Directives for the shell. Source: cobra's ShellCompDirective.
const FILES: u8 = 0;
/// More is to come: no blank behind the word.
const NO_SPACE: u8 = 2;
const NO_FILES: u8 = 4;
const FILE_ENDINGS: u8 = 8;
const DIRECTORIES: u8 = 16;

/// A word that would fit, and what it means.
pub type Candidate = (String, String);

/// What only the project knows; each is asked when one may stand there.
pub struct Project<'a> {
    pub services: &'a dyn Fn() -> Vec<String>,
    /// The numbers of the revisions, each with what it was.
    pub revisions: &'a dyn Fn() -> Vec<Candidate>,
}

/// What docker hands to the shell: a candidate a line, then a line that says what else the shell may offer.
///
/// `words` stand behind the plugin's name; the last is the one being completed and may be empty. `descriptions` is false when the user has set
/// `DOCKER_CLI_DISABLE_COMPLETION_DESCRIPTION`.
pub fn complete(root: &Command, words: &[OsString], project: &Project, descriptions: bool) -> String {
    let (last, before) = match words.split_last() {
        Some((last, before)) => (last.to_string_lossy(), before),
        None => ("".into(), words),
    };
    let (candidates, directive) = match Place::after(root, before) {
        Some(place) => place.candidates(&last, project),
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
    /// The flags that have a value, and it.
    values: Vec<(&'a Arg, OsString)>,
}

impl<'a> Place<'a> {
    /// `None` behind a command that does not exist.
    fn after(root: &'a Command, words: &[OsString]) -> Option<Place<'a>> {
        let mut place =
            Place { command: root, value_of: None, dashes: false, given: Vec::new(), values: Vec::new() };
        for word in words {
            if let Some(arg) = place.value_of.take() {
                place.values.push((arg, word.clone()));
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
            let valued =
                typed.flags.into_iter().filter_map(|(arg, value)| Some((arg, OsString::from(value?))));
            self.values.extend(valued);
            self.value_of = self.given.last().copied().filter(|_| typed.takes_next);
        } else if self.command.has_subcommands() {
            self.command = self.command.find_subcommand(word)?;
        } else {
            self.dashes = word == "--";
        }
        Some(())
    }

    fn candidates(&self, last: &str, project: &Project) -> (Vec<Candidate>, u8) {
        if let Some(arg) = self.value_of {
            return values(arg, last, project);
        }
        let mut typed = flags_in(self.command, OsStr::new(last));
        match typed.as_mut().and_then(|typed| typed.flags.pop()) {
            _ if self.dashes => (self.operands(last, project), NO_FILES),
            Some((arg, Some(value))) => values(arg, &value, project),
            _ if last.starts_with('-') => (self.flags(last), NO_FILES),
            _ if self.command.has_subcommands() => (self.commands(last), NO_FILES),
            _ => (self.operands(last, project), NO_FILES),
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

    fn operands(&self, last: &str, project: &Project) -> Vec<Candidate> {
        match self.command.get_positionals().next() {
            None => Vec::new(),
            Some(arg) if arg.get_id() == "revision" => fitting((project.revisions)(), last),
            Some(_) => bare((project.services)(), last),
        }
    }
}

/// A flag's values. Its hint stands for what the shell knows better: a Compose file, any file, a directory.
fn values(arg: &Arg, last: &str, project: &Project) -> (Vec<Candidate>, u8) {
    if arg.get_id() == "scale" {
        return scales(last, project.services);
    }
    let choices = arg.get_possible_values();
    let choices = choices.iter().map(|value| value.get_name().to_owned());
    match arg.get_value_hint() {
        ValueHint::FilePath => (bare(["yaml".into(), "yml".into()], ""), FILE_ENDINGS),
        ValueHint::AnyPath => (Vec::new(), FILES),
        ValueHint::DirPath => (Vec::new(), DIRECTORIES),
        _ if arg.get_id() == "to" => (fitting((project.revisions)(), last), NO_FILES),
        _ => (bare(choices, last), NO_FILES),
    }
}

/// `web=`, and then a number that only the user knows.
fn scales(last: &str, services: &dyn Fn() -> Vec<String>) -> (Vec<Candidate>, u8) {
    match last.contains('=') {
        true => (Vec::new(), NO_FILES),
        false => (bare(services().into_iter().map(|service| service + "="), last), NO_FILES | NO_SPACE),
    }
}

/// The flags among `words` by which Compose finds the project, so that its services can be asked for. A file on
/// standard input cannot be read here.
pub fn project_flags(root: &Command, words: &[OsString]) -> Vec<OsString> {
    let before = words.split_last().map_or(words, |(_, before)| before);
    let values = Place::after(root, before).map(|place| place.values).unwrap_or_default();
    let mut flags = Vec::new();
    for (arg, value) in values {
        let long = arg.get_long().unwrap_or_default();
        let finds = ["file", "project-name", "profile", "env-file", "project-directory"].contains(&long);
        if finds && value != "-" {
            flags.extend([OsString::from(format!("--{long}")), value]);
        }
    }
    flags
}

fn bare(words: impl IntoIterator<Item = String>, last: &str) -> Vec<Candidate> {
    fitting(words.into_iter().map(|word| (word, String::new())), last)
}

fn fitting(candidates: impl IntoIterator<Item = Candidate>, last: &str) -> Vec<Candidate> {
    candidates.into_iter().filter(|(word, _)| word.starts_with(last)).collect()
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
        let revisions =
            || vec![("12".to_owned(), "up".to_owned()), ("2".to_owned(), "rollback to 1".to_owned())];
        let project = Project { services: &services, revisions: &revisions };
        complete(&cli::command(), &words(line), &project, true)
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
            ("up --scale ''", "web=\napi=\n:6\n"),
            ("up --scale=w", "web=\n:6\n"),
            ("up --scale web=", ":4\n"),
            ("up --pull ''", "always\nmissing\nnever\n:4\n"),
            ("status w", "web\n:4\n"),
            ("status --format ''", "table\njson\n:4\n"),
            ("status --w", "--watch\tShow it again whenever something changed, until Ctrl-C\n:4\n"),
            ("doctor ''", ":4\n"),
            ("doctor --format j", "json\n:4\n"),
            ("init w", "web\n:4\n"),
            ("init --proxy ''", "haproxy\ntraefik\ncaddy\n:4\n"),
            ("init -o ''", "yaml\nyml\n:8\n"),
            ("rollback --to ''", "12\tup\n2\trollback to 1\n:4\n"),
            ("rollback --to=1", "12\tup\n:4\n"),
            ("rollback ''", "web\napi\n:4\n"),
            ("diff 2", "2\trollback to 1\n:4\n"),
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
    fn the_project_is_the_one_that_was_typed() {
        for (line, flags) in [
            ("up ''", ""),
            ("-f a.yaml --profile=x up -pshop --build ''", "--file a.yaml --profile x --project-name shop"),
            ("-f - up --scale web=2 --env-file e ''", "--env-file e"),
            ("up --project-directory d", ""),
            ("nonsense -f a.yaml ''", ""),
        ] {
            assert_eq!(project_flags(&cli::command(), &words(line)), words(flags), "{line}");
        }
    }

    #[test]
    fn completes_without_descriptions() {
        let none = Project { services: &Vec::new, revisions: &Vec::new };
        let bare = |line| complete(&cli::command(), &words(line), &none, false);
        assert_eq!(bare("u"), "up\n:4\n");
        assert_eq!(bare("up ''"), ":4\n");
        assert_eq!(complete(&cli::command(), &[], &none, false), bare("''"));
    }
}
