//! The commands about revisions.

use clap::Args;

use super::{LockArgs, Pace, Planning, PullPolicy, TableFormat, Watching};

#[derive(Args, Clone, Debug, Default)]
pub struct HistoryArgs {
    /// Services whose revisions to list, all when none is named
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    /// Format the output. Values: [table | json] (default: table)
    #[arg(long, value_enum, default_value_t)]
    pub format: TableFormat,
    /// Remove the whole history of the project from the engine, without asking
    #[arg(long, conflicts_with_all = ["services", "format"])]
    pub forget: bool,
    #[command(flatten)]
    pub lock: LockArgs,
}

#[derive(Args, Clone, Debug, Default)]
pub struct DiffArgs {
    /// Number of the revision to compare with (default: the last good one)
    #[arg(value_name = "REVISION")]
    pub revision: Option<u32>,
}

#[derive(Args, Clone, Debug, Default)]
pub struct RollbackArgs {
    /// Services to roll back, all when none is named
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    #[command(flatten)]
    pub pace: Pace,
    #[command(flatten)]
    pub watching: Watching,
    #[command(flatten)]
    pub lock: LockArgs,
    /// Replace containers even if they are as the revision has them
    #[arg(long)]
    pub force_recreate: bool,
    /// Don't start linked services
    #[arg(long)]
    pub no_deps: bool,
    /// Remove containers for services that the revision does not have
    #[arg(long)]
    pub remove_orphans: bool,
    /// Revision to go back to (default: the last good one before what is deployed)
    #[arg(long)]
    pub to: Option<u32>,
}

#[derive(Args, Clone, Debug, Default)]
pub struct RestartArgs {
    /// Services to restart, all when none is named
    #[arg(value_name = "SERVICE")]
    pub services: Vec<String>,
    #[command(flatten)]
    pub pace: Pace,
    #[command(flatten)]
    pub watching: Watching,
    #[command(flatten)]
    pub lock: LockArgs,
    /// Don't start linked services
    #[arg(long)]
    pub no_deps: bool,
}

impl RollbackArgs {
    /// As `up` would plan it; what was deployed is neither built nor pulled again.
    pub fn planning(&self) -> Planning {
        Planning {
            force_recreate: self.force_recreate,
            remove_orphans: self.remove_orphans,
            ..as_deployed(&self.services, &self.pace, self.no_deps)
        }
    }
}

impl RestartArgs {
    /// As `up` would plan it; what is deployed is neither built nor pulled again.
    pub fn planning(&self) -> Planning {
        as_deployed(&self.services, &self.pace, self.no_deps)
    }
}

fn as_deployed(services: &[String], pace: &Pace, no_deps: bool) -> Planning {
    Planning {
        services: services.to_vec(),
        pace: pace.clone(),
        no_build: true,
        no_deps,
        pull: Some(PullPolicy::Never),
        as_deployed: true,
        ..Planning::default()
    }
}
