//! The command line of `docker zdd`: clap types and help text. No input or output.
//!
//! Flags, wording and exit codes follow `docker compose` (pflag syntax included: `--build=false`, a value that
//! begins with a hyphen, the last of two wins). The first line of each field's comment is its help text.

mod help;
mod history;
pub mod man;
mod pace;
mod parse;
mod watching;

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

pub use help::command;
pub use history::{DiffArgs, HistoryArgs, RestartArgs, RollbackArgs};
pub use pace::{LockArgs, Pace};
pub use parse::{CliError, as_typed, help, parse};
pub use watching::{ProbeArgs, Watching};

use crate::{init::Kind as ProxyKind, project::Runs};

/// A parsed command line. `command` is never `None` when it comes from [`parse`].
#[derive(Parser, Clone, Debug)]
#[command(name = "zdd", bin_name = "docker zdd", disable_help_subcommand = true)]
#[command(about = "Update Compose services without losing a request")]
pub struct Cli {
    #[command(flatten)]
    pub compose: ComposeFlags,
    /// What runs the containers ("compose"|"swarm")
    #[arg(long, global = true)]
    pub engine: Option<Runs>,
    #[command(subcommand)]
    pub command: Option<Command>,
}

impl Cli {
    /// Whether both `--build` and `--no-build` are on; no error when one was switched off again.
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
    /// For a command that rolls nothing out.
    pub fn quiet(self) -> ComposeFlags {
        let progress = self.progress.filter(|progress| *progress == Progress::Quiet);
        ComposeFlags { progress: progress.or(Some(Progress::Brief)), ..self }
    }

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
        let switches = [("--compatibility", self.compatibility), ("--all-resources", self.all_resources)];
        let values = values.iter().flat_map(|(flag, values)| values.iter().flat_map(|v| [*flag, v.as_str()]));
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
    /// Show what would hinder a rollout, and what to write instead
    Doctor(DoctorArgs),
    /// Write an override file that makes services rollable
    Init(InitArgs),
    /// Show what runs of each service, and a rollout in progress
    Status(StatusArgs),
    /// List the revisions that were deployed
    History(HistoryArgs),
    /// Show what differs between a revision and the Compose file
    Diff(DiffArgs),
    /// Deploy an earlier revision again
    Rollback(RollbackArgs),
    /// Replace containers with new ones of the same version
    Restart(RestartArgs),
    /// Show the docker zdd version information
    Version(VersionArgs),
}

/// A service and the replicas it shall have.
pub type ServiceScale = (String, u32);

/// What decides the plan; `up` and `plan` take the same, so that one shows what the other does.
#[derive(Args, Clone, Debug, Default)]
pub struct Planning {
    /// Services to update, all when none is named
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    #[command(flatten)]
    pub pace: Pace,
    /// Build images before starting containers
    #[arg(long)]
    pub build: bool,
    /// Replace containers even if their configuration and image haven't changed
    #[arg(long)]
    pub force_recreate: bool,
    /// Don't build an image, even if it's policy
    #[arg(long)]
    pub no_build: bool,
    /// Don't update linked services
    #[arg(long)]
    pub no_deps: bool,
    /// Pull image before running ("always"|"missing"|"never")
    #[arg(long)]
    pub pull: Option<PullPolicy>,
    /// Remove containers for services not defined in the Compose file
    #[arg(long)]
    pub remove_orphans: bool,
    /// Scale SERVICE to NUM instances. Overrides the scale setting in the Compose file if present
    #[arg(long, value_parser = service_and_number)]
    pub scale: Vec<ServiceScale>,
    /// What was deployed is deployed again: a setting that speaks of the present file says nothing of it.
    #[arg(skip)]
    pub as_deployed: bool,
}

/// `up`. The hidden flags let a script written for `docker compose up` pass: it is always detached and waits.
#[derive(Args, Clone, Debug, Default)]
pub struct UpArgs {
    #[command(flatten)]
    pub planning: Planning,
    #[command(flatten)]
    pub watching: Watching,
    #[command(flatten)]
    pub lock: LockArgs,
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

#[derive(Args, Clone, Debug, Default)]
pub struct DoctorArgs {
    /// Show every finding, with the lines to write
    #[arg(long)]
    pub all: bool,
    /// Format the output. Values: [text | json] (default: text)
    #[arg(long, value_enum, default_value_t)]
    pub format: PlanFormat,
}

#[derive(Args, Clone, Debug, Default)]
pub struct InitArgs {
    /// Services to make rollable, all that can be when none is named
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// Write to this file (default: compose.override.yaml, beside the Compose file)
    #[arg(short, long, value_hint = ValueHint::FilePath)]
    pub output: Option<String>,
    /// Proxy that takes over fixed ports ("haproxy"|"traefik"|"caddy")
    #[arg(long)]
    pub proxy: Option<ProxyKind>,
    /// Print the file and write nothing
    #[arg(long)]
    pub stdout: bool,
    /// Write the file without asking
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Args, Clone, Debug, Default)]
pub struct StatusArgs {
    /// Services to show, all when none is named
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// Format the output. Values: [table | json] (default: table)
    #[arg(long, value_enum, default_value_t)]
    pub format: TableFormat,
    /// Show it again whenever something changed, until Ctrl-C
    #[arg(short, long)]
    pub watch: bool,
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
            VersionArgs { format: VersionFormat::Json, .. } => format!("{{\"version\":\"v{version}\"}}"),
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

/// How a run reports; the values of `docker compose --progress`.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// `Tty` on a terminal, `Plain` elsewhere.
    #[default]
    Auto,
    /// Live lines that change in place; `Plain` where the terminal cannot do that.
    Tty,
    /// One line per event.
    Plain,
    /// One JSON object per event.
    Json,
    /// Nothing, unless the run fails.
    Quiet,
    /// The same, and on a terminal that something is on its way.
    #[value(skip)]
    Brief,
}

/// When to pull an image; the values of `docker compose up --pull`.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullPolicy {
    Always,
    Missing,
    Never,
}

/// How `plan` and `doctor` are printed.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlanFormat {
    #[default]
    Text,
    Json,
}

/// How `status` and `history` are printed.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TableFormat {
    #[default]
    Table,
    Json,
}

/// How `version` is printed.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VersionFormat {
    #[default]
    Pretty,
    Json,
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
    use std::time::Duration;

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

    #[test]
    fn only_what_loads_the_project_reaches_compose() {
        let typed = "--compatibility --all-resources --env-file e --env-file - --project-directory d";
        let own = "--ansi never --progress json --dry-run --verbose";
        let args = "--env-file e --env-file - --project-directory d --compatibility --all-resources";
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
        assert_eq!(planning.pace.wait_timeout, Some(Duration::from_secs(90)));
        assert_eq!(planning.pace.monitor, Some(Duration::from_millis(1500)));
        assert_eq!((planning.pace.timeout, planning.pace.parallelism), (Some(-1), Some(0)));
        match parsed(&format!("plan {flags} --format json")).command {
            Some(Command::Plan(plan)) => {
                assert_eq!(format!("{:?}", plan.planning), format!("{planning:?}"));
                assert_eq!(plan.format, PlanFormat::Json);
            }
            other => panic!("{other:?}"),
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
        assert_eq!(text("version --format json"), format!("{{\"version\":\"v{version}\"}}"));
    }
}
