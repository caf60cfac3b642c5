//! The command line of `docker zdd`: clap types, help text and the wording of usage errors. No input or output.
//!
//! Flags, wording and exit codes follow `docker compose` (pflag syntax included: `--build=false`, a value that
//! begins with a hyphen, the last of two wins). The first line of each field's comment is its help text.

use std::any::TypeId;
use std::error::Error as _;
use std::ffi::{OsStr, OsString};
use std::time::Duration;

use clap::builder::ValueParser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{
    Arg, ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum, ValueHint,
};

use crate::{duration, plugin};

/// A parsed command line. `command` is never `None` when it comes from [`parse`].
#[derive(Parser, Clone, Debug)]
#[command(name = "zdd", bin_name = "docker zdd", disable_help_subcommand = true)]
#[command(about = "Update Compose services without losing a request")]
pub struct Cli {
    #[command(flatten)]
    pub compose: ComposeFlags,
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Cli {
    fn builds_and_not(&self) -> bool {
        let planning = match &self.command {
            Some(Command::Up(up)) => &up.planning,
            Some(Command::Plan(plan)) => &plan.planning,
            _ => return false,
        };
        planning.build && planning.no_build
    }
}

/// The flags of `docker compose` itself; they count before and after the subcommand.
#[derive(Args, Clone, Debug, Default)]
pub struct ComposeFlags {
    /// Include all resources, even those not used by services
    #[arg(long, global = true)]
    pub all_resources: bool,
    /// Control when to print ANSI control characters ("never"|"always"|"auto")
    #[arg(long, global = true)]
    pub ansi: Option<Ansi>,
    /// Run compose in backward compatibility mode
    #[arg(long, global = true)]
    pub compatibility: bool,
    /// Print the plan and change nothing
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// Specify an alternate environment file
    #[arg(long = "env-file", global = true, value_hint = ValueHint::AnyPath)]
    pub env_files: Vec<String>,
    /// Compose configuration files
    #[arg(short, long = "file", global = true, value_hint = ValueHint::FilePath)]
    pub files: Vec<String>,
    /// Control max parallelism, -1 for unlimited
    #[arg(long, global = true)]
    pub parallel: Option<i64>,
    /// Specify a profile to enable
    #[arg(long = "profile", global = true)]
    pub profiles: Vec<String>,
    /// Set type of progress output (auto, tty, plain, json, quiet)
    #[arg(long, global = true)]
    pub progress: Option<Progress>,
    /// Specify an alternate working directory (default: the path of the first specified Compose file)
    #[arg(long, global = true, value_hint = ValueHint::DirPath)]
    pub project_directory: Option<String>,
    /// Project name
    #[arg(short, long, global = true)]
    pub project_name: Option<String>,
    /// Show more output
    #[arg(long, global = true)]
    pub verbose: bool,
}

impl ComposeFlags {
    /// What every inner `docker compose` call gets, so that it loads the same project. `--ansi`, `--progress`,
    /// `--dry-run` and `--verbose` are about this program's own output and actions, and stay here.
    pub fn args(&self) -> Vec<OsString> {
        let parallel = self.parallel.map(|n| n.to_string());
        let values = [
            ("--file", self.files.as_slice()),
            ("--project-name", self.project_name.as_slice()),
            ("--profile", self.profiles.as_slice()),
            ("--env-file", self.env_files.as_slice()),
            ("--project-directory", self.project_directory.as_slice()),
            ("--parallel", parallel.as_slice()),
        ];
        let switches = [
            ("--compatibility", self.compatibility),
            ("--all-resources", self.all_resources),
        ];
        let values = values
            .iter()
            .flat_map(|(flag, values)| values.iter().flat_map(|v| [*flag, v.as_str()]));
        let switches = switches.iter().filter(|(_, on)| *on).map(|(flag, _)| *flag);
        values.chain(switches).map(OsString::from).collect()
    }
}

#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Update services without losing a request
    Up(UpArgs),
    /// Show what up would do, and why
    Plan(PlanArgs),
    /// Show the docker zdd version information
    Version(VersionArgs),
}

/// A service and the replicas it shall have.
pub type ServiceScale = (String, u32);

/// What decides the plan; `up` and `plan` take the same, so that one shows what the other does.
///
/// A duration or number that is `None` was not given: then the Compose file decides.
#[derive(Args, Clone, Debug, Default)]
pub struct Planning {
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// Recreate services that cannot run twice side by side, at the cost of downtime
    #[arg(long)]
    pub allow_downtime: bool,
    /// Build images before starting containers
    #[arg(long)]
    pub build: bool,
    /// Time between two batches
    #[arg(long, value_parser = duration::parse)]
    pub delay: Option<Duration>,
    /// Longest time for an old container to leave the proxy before it is stopped
    #[arg(long, value_parser = duration::parse)]
    pub drain_timeout: Option<Duration>,
    /// What to do when the new version fails ("rollback"|"pause"|"continue")
    #[arg(long)]
    pub failure_action: Option<FailureAction>,
    /// Replace containers even if their configuration and image haven't changed
    #[arg(long)]
    pub force_recreate: bool,
    /// How long a new container without a healthcheck must run without a restart
    #[arg(long, value_parser = duration::parse)]
    pub monitor: Option<Duration>,
    /// Don't build an image, even if it's policy
    #[arg(long)]
    pub no_build: bool,
    /// Don't update linked services
    #[arg(long)]
    pub no_deps: bool,
    /// Which containers of a batch go first ("start-first"|"stop-first")
    #[arg(long)]
    pub order: Option<Order>,
    /// How many containers of a service to replace at a time, 0 for all at once
    #[arg(long)]
    pub parallelism: Option<u32>,
    /// Pull image before running ("always"|"missing"|"never")
    #[arg(long)]
    pub pull: Option<PullPolicy>,
    /// Remove containers for services not defined in the Compose file
    #[arg(long)]
    pub remove_orphans: bool,
    /// Scale SERVICE to NUM instances. Overrides the scale setting in the Compose file if present
    #[arg(long, value_parser = service_and_number)]
    pub scale: Vec<ServiceScale>,
    /// Time for the proxy to pick the new containers up, before the old ones are drained
    #[arg(long, value_parser = duration::parse)]
    pub settle: Option<Duration>,
    /// Seconds for an old container to stop before it is killed, -1 for no limit (default: its own grace period)
    #[arg(short, long)]
    pub timeout: Option<i64>,
    /// Longest time for a new container to become healthy, in seconds or as a duration (default: as long as its
    /// healthcheck may take)
    #[arg(long, value_parser = duration::parse_seconds_or_duration)]
    pub wait_timeout: Option<Duration>,
}

/// `up`. The hidden flags let a script written for `docker compose up` pass: it is always detached and waits.
#[derive(Args, Clone, Debug, Default)]
pub struct UpArgs {
    #[command(flatten)]
    pub planning: Planning,
    /// Detached mode: Run containers in the background
    #[arg(short, long, hide = true)]
    pub detach: bool,
    /// Suppress the build output
    #[arg(long, hide = true)]
    pub quiet_build: bool,
    /// Pull without printing progress information
    #[arg(long, hide = true)]
    pub quiet_pull: bool,
    /// Wait for services to be running|healthy
    #[arg(long, hide = true)]
    pub wait: bool,
}

#[derive(Args, Clone, Debug, Default)]
pub struct PlanArgs {
    #[command(flatten)]
    pub planning: Planning,
    /// Format the output. Values: [text | json] (default: text)
    #[arg(long, value_enum, default_value_t)]
    pub format: PlanFormat,
}

/// `version`. There is no `-f` for the format, as Compose has: it is the file everywhere.
#[derive(Args, Clone, Debug, Default)]
pub struct VersionArgs {
    /// Format the output. Values: [pretty | json] (default: pretty)
    #[arg(long, value_enum, default_value_t)]
    pub format: VersionFormat,
    /// Show only the version number
    #[arg(long)]
    pub short: bool,
}

impl VersionArgs {
    /// The one line to print, without the line's end.
    pub fn text(&self) -> String {
        let version = env!("CARGO_PKG_VERSION");
        match self {
            VersionArgs { short: true, .. } => version.into(),
            VersionArgs {
                format: VersionFormat::Json,
                ..
            } => format!("{{\"version\":\"v{version}\"}}"),
            VersionArgs { .. } => format!("docker zdd version v{version}"),
        }
    }
}

/// When to print colours and cursor movements.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ansi {
    Never,
    Always,
    Auto,
}

/// How progress is shown; the values of `docker compose --progress`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Auto,
    Tty,
    Plain,
    Json,
    Quiet,
}

/// What to do when the new version fails; Swarm's `deploy.update_config.failure_action`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureAction {
    Rollback,
    Pause,
    Continue,
}

/// Which generation of a batch goes first; Swarm's `deploy.update_config.order`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    StartFirst,
    StopFirst,
}

/// When to pull an image; the values of `docker compose up --pull`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullPolicy {
    Always,
    Missing,
    Never,
}

/// How `plan` is printed.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlanFormat {
    #[default]
    Text,
    Json,
}

/// How `version` is printed.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VersionFormat {
    #[default]
    Pretty,
    Json,
}

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

const HELP: &str = "Usage:  {usage}\n\n{about}\n\nOptions:\n{options}{after-help}";
const ROOT_HELP: &str = "Usage:  {usage}\n\n{about}\n\nOptions:\n{options}\n\nCommands:\n{subcommands}\n\n\
    Run 'docker zdd COMMAND --help' for more information on a command.";
const COMPOSE_FLAGS: &str = "The options of 'docker zdd --help' may also stand here.";
const INCOMPATIBLE: &str = "--build and --no-build are incompatible\n";
const EXIT_CODES: &str = "\
Exit codes:
    0   Done, or nothing to do
    1   Usage, file or engine error; nothing touched
    2   Refused by the plan; nothing touched
    3   The new version failed; the old one serves
    4   The undo failed too
    5   Locked by another run
  130   Interrupted";

/// The command with its help laid out as `docker compose` lays out its own.
pub fn command() -> clap::Command {
    let help = Arg::new("help")
        .short('h')
        .long("help")
        .action(ArgAction::HelpShort);
    let root = Cli::command()
        .no_binary_name(true)
        .args_override_self(true)
        .max_term_width(100)
        .disable_help_flag(true)
        .arg(help.global(true).hide(true).help("Print usage"))
        .override_usage("docker zdd [OPTIONS] COMMAND")
        .help_template(ROOT_HELP)
        .mut_args(family_arg);
    let root = sorted(root);
    let globals: Vec<Arg> = root.get_arguments().cloned().collect();
    root.mut_subcommands(|sub| subcommand(sub, &globals))
}

/// Lays out one subcommand. Compose's flags work there too, but Compose lists only `--dry-run` there: a copy that
/// is there already is what clap takes instead of the visible global.
fn subcommand(sub: clap::Command, globals: &[Arg]) -> clap::Command {
    let takes_services = sub.get_positionals().next().is_some();
    let operands = if takes_services { " [SERVICE...]" } else { "" };
    let after = match sub.get_name() {
        "up" => format!("{COMPOSE_FLAGS}\n\n{EXIT_CODES}"),
        _ => COMPOSE_FLAGS.into(),
    };
    let usage = format!("docker zdd {} [OPTIONS]{operands}", sub.get_name());
    let copies = globals
        .iter()
        .map(|arg| arg.clone().hide(arg.get_id() != "dry_run"));
    let sub = sub
        .args(copies)
        .disable_help_flag(true)
        .override_usage(usage)
        .help_template(HELP)
        .after_help(after)
        .mut_args(family_arg);
    sorted(sub)
}

/// Sorts the help by the flags' long names, as pflag does; clap alone would go by the short ones.
fn sorted(command: clap::Command) -> clap::Command {
    let longs = command.get_arguments().filter_map(Arg::get_long);
    let mut longs: Vec<String> = longs.map(str::to_owned).collect();
    longs.sort();
    command.mut_args(|arg| {
        let place = arg.get_long().map(|long| longs.binary_search(&long.into()));
        arg.display_order(place.and_then(Result::ok).unwrap_or_default())
    })
}

/// What holds for every flag of the family: choices and defaults stand in the text, and a flag with a value takes the
/// next word whatever it looks like (`--parallel -1`, `-f -`).
fn family_arg(arg: Arg) -> Arg {
    if arg.is_positional() || !arg.get_action().takes_values() {
        return arg;
    }
    let kind = value_kind(&arg);
    arg.value_name(kind)
        .hide_default_value(true)
        .hide_possible_values(true)
        .allow_hyphen_values(true)
}

/// pflag's name for the type of a flag's value, as it stands in the help.
fn value_kind(arg: &Arg) -> &'static str {
    let parsed = arg.get_value_parser().type_id();
    let kinds = [
        (TypeId::of::<Duration>(), "duration"),
        (TypeId::of::<i64>(), "int"),
        (TypeId::of::<u32>(), "uint"),
        (TypeId::of::<ServiceScale>(), "scale"),
    ];
    match kinds.iter().find(|(id, _)| parsed == *id) {
        Some((_, name)) => name,
        None if matches!(arg.get_action(), ArgAction::Append) => "stringArray",
        None => "string",
    }
}

/// A switch that also takes pflag's `--build=false`. Apart from [`family_arg`], as clap would show it in the help.
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
    let (name, words) = command_first(&command(), rest);
    match name.as_deref() {
        Some("help") => return Err(help(&words[1..])),
        Some(unknown) if command().find_subcommand(unknown).is_none() => {
            return Err(unknown_command(unknown));
        }
        _ => {}
    }
    let parser = command()
        .mut_args(family_switch)
        .mut_subcommands(|sub| sub.mut_args(family_switch));
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
        Some(name) if command().find_subcommand(&name).is_none() => unknown_command(&name),
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
        } else if word.as_encoded_bytes().starts_with(b"-") && word != "--" {
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

fn help_of(name: Option<&str>) -> CliError {
    let mut root = command();
    root.build();
    let sub = name.and_then(|name| root.find_subcommand(name));
    let help = sub.unwrap_or(&root).clone().render_help().to_string();
    let lines: Vec<String> = help.trim_end().lines().map(family_line).collect();
    CliError {
        stdout: lines.join("\n") + "\n",
        stderr: String::new(),
        exit_code: 0,
    }
}

/// `--file <string>` of clap becomes pflag's `--file string`, in the same width.
fn family_line(line: &str) -> String {
    let line = line.trim_end();
    match line.trim_start().starts_with('-') {
        true => line.replacen('<', "", 1).replacen('>', "  ", 1),
        false => line.to_owned(),
    }
}

/// Compose's answer to an unknown command, in its words.
fn unknown_command(name: &str) -> CliError {
    CliError {
        stderr: format!("unknown docker command: \"zdd {name}\"\n"),
        exit_code: 1,
        ..help_of(None)
    }
}

fn failure(stderr: String) -> CliError {
    CliError {
        stdout: String::new(),
        stderr,
        exit_code: 1,
    }
}

fn usage_error(error: &clap::Error, name: Option<&str>, words: &[OsString]) -> CliError {
    let program: Vec<&str> = ["docker zdd"].into_iter().chain(name).collect();
    let program = program.join(" ");
    let unknown = error.kind() == ErrorKind::UnknownArgument;
    let flag = flag_of(error);
    let docker = docker_flag(&flag, words).filter(|_| unknown);
    let line = docker.unwrap_or_else(|| wording(error, &flag, &program));
    failure(format!("{line}\nSee '{program} --help'\n"))
}

/// What is wrong, in the words of Compose (pflag's) where it has some.
fn wording(error: &clap::Error, flag: &str, program: &str) -> String {
    let value = context(error, ContextKind::InvalidValue);
    let invalid = format!("invalid argument \"{value}\" for \"{flag}\" flag");
    match error.kind() {
        ErrorKind::UnknownArgument if flag.starts_with("--") => {
            match context(error, ContextKind::SuggestedArg).as_str() {
                "" => format!("unknown flag: {flag}"),
                similar => format!("unknown flag: {flag} (did you mean {similar}?)"),
            }
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

/// Docker's own flags stand before the plugin's name; behind it docker leaves them to the plugin. Says how to write
/// the line instead.
fn docker_flag(flag: &str, words: &[OsString]) -> Option<String> {
    let docker = plugin::docker_flags();
    plugin::flags_in(&docker, OsStr::new(flag)).filter(|_| flag != "-v" && flag != "--version")?;
    let (mut theirs, mut ours) = (String::new(), String::new());
    let mut words = words.iter().map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        let typed = plugin::flags_in(&docker, OsStr::new(&*word));
        match typed.map(|typed| typed.takes_next) {
            None => ours += &format!(" {word}"),
            Some(false) => theirs += &format!(" {word}"),
            Some(true) => {
                let value = words.next().unwrap_or("VALUE".into());
                theirs += &format!(" {word} {value}");
            }
        }
    }
    Some(format!(
        "{flag} is a flag of docker itself: write \"docker{theirs} zdd{ours}\""
    ))
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

fn service_and_number(text: &str) -> Result<ServiceScale, String> {
    let wrong = || "it should be SERVICE=NUM, such as web=2".to_owned();
    let (service, number) = text.split_once('=').ok_or_else(wrong)?;
    match number.parse() {
        Ok(number) if !service.is_empty() => Ok((service.into(), number)),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn clap_finds_no_contradiction() {
        command().debug_assert();
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
    fn only_what_loads_the_project_reaches_compose() {
        let typed =
            "--compatibility --all-resources --env-file e --env-file - --project-directory d";
        let own = "--ansi never --progress json --dry-run --verbose";
        let args =
            "--env-file e --env-file - --project-directory d --compatibility --all-resources";
        let cli = parsed(&format!("{typed} up {own}"));
        assert_eq!(cli.compose.args(), words(args));
        assert_eq!(cli.compose.ansi, Some(Ansi::Never));
        assert_eq!(cli.compose.progress, Some(Progress::Json));
    }

    #[test]
    fn up_and_plan_take_the_same_planning_flags() {
        let flags = "--build --pull always --scale web=3 --scale api=0 --no-deps --force-recreate \
            --remove-orphans --parallelism 0 --delay 1m --order stop-first --failure-action pause \
            --wait-timeout 90 --monitor 1.5s --settle 2s --drain-timeout 1h --allow-downtime -t -1 web";
        let planning = up(&format!("up {flags}")).planning;
        assert_eq!(planning.scale, [("web".into(), 3), ("api".into(), 0)]);
        assert_eq!(planning.wait_timeout, Some(Duration::from_secs(90)));
        assert_eq!(planning.monitor, Some(Duration::from_millis(1500)));
        assert_eq!(
            (planning.timeout, planning.parallelism),
            (Some(-1), Some(0))
        );
        match parsed(&format!("plan {flags} --format json")).command {
            Some(Command::Plan(plan)) => {
                assert_eq!(format!("{:?}", plan.planning), format!("{planning:?}"));
                assert_eq!(plan.format, PlanFormat::Json);
            }
            other => panic!("{other:?}"),
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
        assert_eq!(old.planning.timeout, Some(5));
        assert_eq!(old.planning.services, ["zdd", "--build"]);
    }

    #[test]
    fn errors_are_one_plain_line() {
        for (line, message) in [
            ("up --bogus", "unknown flag: --bogus"),
            (
                "up --biuld",
                "unknown flag: --biuld (did you mean --build?)",
            ),
            ("--bogus up", "unknown flag: --bogus"),
            ("up -Zx", "unknown shorthand flag: 'Z' in -Z"),
            ("up -v", "unknown shorthand flag: 'v' in -v"),
            (
                "version x",
                "unknown command \"x\" for \"docker zdd version\"",
            ),
            ("-f", "flag needs an argument: --file"),
            ("up --pull", "flag needs an argument: --pull"),
            (
                "up --build --no-build",
                "--build and --no-build are incompatible",
            ),
            (
                "up --build=x",
                "invalid argument \"x\" for \"--build\" flag: use true or false",
            ),
            (
                "--ansi x up",
                "invalid argument \"x\" for \"--ansi\" flag: use one of never, always, auto",
            ),
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
            (
                "up web --context=x",
                "--context",
                "docker --context=x zdd up web",
            ),
            (
                "up -H tcp://x --tlsverify",
                "-H",
                "docker -H tcp://x --tlsverify zdd up",
            ),
            ("-D up", "-D", "docker -D zdd up"),
            ("up --config", "--config", "docker --config VALUE zdd up"),
        ] {
            let message = format!("{flag} is a flag of docker itself: write \"{instead}\"");
            assert_eq!(error(line), message, "{line}");
        }
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
        assert!(
            up.stdout
                .starts_with("Usage:  docker zdd up [OPTIONS] [SERVICE...]\n\n")
        );
        assert!(
            up.stdout.contains("\n      --delay duration "),
            "{}",
            up.stdout
        );
        assert!(
            up.stdout.ends_with("\n  130   Interrupted\n"),
            "{}",
            up.stdout
        );
        assert!(!up.stdout.contains("--file") && !up.stdout.contains("--detach"));
        for line in [
            "up --help",
            "--help up",
            "up web -h",
            "-f a help up",
            "help -f a up",
        ] {
            assert_eq!(parse(words(line)).expect_err(line), up, "{line}");
        }
    }

    #[test]
    fn an_unknown_command_gets_the_help_and_fails() {
        for line in ["x", "-p a x", "help x"] {
            let error = parse(words(line)).expect_err(line);
            assert_eq!((error.exit_code, error.stdout), (1, help(&[]).stdout));
            assert_eq!(error.stderr, "unknown docker command: \"zdd x\"\n");
        }
    }

    #[test]
    fn texts_are_worded_as_compose_words_them() {
        for sub in command().get_subcommands() {
            for arg in sub.get_opts().chain(command().get_opts()) {
                let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(
                    help.starts_with(char::is_uppercase) && !help.ends_with('.'),
                    "{arg}: {help}"
                );
            }
        }
    }

    #[test]
    fn version_has_a_short_and_a_json_form() {
        let version = env!("CARGO_PKG_VERSION");
        let text = |line| match parsed(line).command {
            Some(Command::Version(args)) => args.text(),
            other => panic!("{other:?}"),
        };
        assert_eq!(text("version"), format!("docker zdd version v{version}"));
        assert_eq!(text("version --short"), version);
        assert_eq!(
            text("version --format json"),
            format!("{{\"version\":\"v{version}\"}}")
        );
    }
}
