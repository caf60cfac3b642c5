//! The page about a rollout that `--report` asks for.

use std::path::Path;

use super::{Context, checkout, environment, files};
use crate::{
    cli::{self, Watching},
    exit::Stop,
    keep::Owner,
    plan::{Plan, ServicePlan},
    report::{About, Page},
};

impl Context {
    /// A dry run makes no page.
    ///
    /// # Errors
    /// The file cannot be written. Nothing was touched.
    pub fn open_page(&self, args: &Watching) -> Result<Option<Page>, Stop> {
        let Some(path) = args.report.as_ref().filter(|_| !self.flags.dry_run) else { return Ok(None) };
        let page = Page::open(Path::new(path), environment::now()).map_err(|error| {
            Stop::error(format!("the report {path} cannot be written ({error}); nothing was touched"))
        })?;
        let (here, folder) = (Owner::here(), files::folder(&self.flags));
        page.about(About {
            command: cli::as_typed(std::env::args_os().skip(1)),
            who: format!("{}@{}", here.user, here.host),
            engine: self.docker().engine_name().unwrap_or_default(),
            commit: folder.as_deref().and_then(checkout::commit).map(|c| c.to_string()).unwrap_or_default(),
            folder: folder.map(|folder| folder.display().to_string()).unwrap_or_default(),
        });
        self.sink.add(Box::new(page.clone()));
        Ok(Some(page))
    }

    /// Puts the settings of whatever is touched on the page.
    pub fn describe(&self, page: Option<&Page>, plan: &Plan) {
        let touched = plan.services.iter().filter(|service| !service.operations.is_empty());
        let lines = |service: &ServicePlan| {
            let explained = service.settings().explained().into_iter();
            let lines = explained.map(|(key, value, source)| (key.to_owned(), value, source.to_string()));
            (service.service.clone(), lines.collect())
        };
        if let Some(page) = page {
            page.settings(touched.map(lines).collect());
        }
    }
}
