//! The page about a rollout that `--report` asks for.

use std::path::Path;

use super::{Context, environment};
use crate::{
    cli::Watching,
    exit::Stop,
    plan::{Plan, ServicePlan},
    report::Page,
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
