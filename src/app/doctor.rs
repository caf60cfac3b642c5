//! `docker zdd doctor`: finds out what it can, whatever does not answer.

use std::{collections::BTreeMap, io::stderr, sync::PoisonError};

use super::{Context, load, say};
use crate::{
    advice::{self, Facts, FileError, Finding, Place, Scene, Severity},
    cli::{DoctorArgs, PlanFormat},
    engine::{CallError, Image},
    event::Sink,
    exit::{Exit, Stop},
    platform::compose::{Observed, prospects},
    plugin,
    project::{BadSetting, Overrides, Project},
    report::doctor::{Page, in_brief, json, text},
    text::{clean, mask::mask, variable::blame},
};

/// Prints the findings. Exit code 2 when one of them is an error, as `up` would not get far then.
pub fn doctor(context: &mut Context, args: &DoctorArgs) -> Result<Exit, Stop> {
    let (mut facts, project) = context.examine()?;
    context.sink.pause();
    // Its progress is quiet.
    for warning in &*context.warned.lock().unwrap_or_else(PoisonError::into_inner) {
        say(&mut stderr(), &format!("warning: {}\n", clean(warning)));
    }
    if let Some(project) = &project {
        context.begin_helpers(project, false);
        let observed = Observed { helper: context.platform.helper(), ..Observed::default() };
        facts.prospects = prospects(project, &observed);
    }
    let project = project.as_ref();
    let scene = Scene { project, facts: Some(&facts), ..Scene::default() };
    let findings = advice::findings(&scene, Place::Doctor);
    let page = Page { findings: &findings, facts: &facts, project, look: context.look };
    let place = |finding: &Finding| {
        let path: Vec<_> = finding.path.iter().map(String::as_str).collect();
        context.files.locate(&path).filter(|_| !path.is_empty())
    };
    let shown = match args.format {
        PlanFormat::Text if args.all => text(&page, &place),
        PlanFormat::Text => in_brief(&page, &place),
        PlanFormat::Json => json(&page, &place),
    };
    context.print(&shown);
    let error = findings.iter().any(|finding| finding.severity == Severity::Error);
    Ok(if error { Exit::Refused } else { Exit::Done })
}

impl Context {
    fn examine(&mut self) -> Result<(Facts, Option<Project>), Stop> {
        let docker = self.docker();
        let mut facts = Facts {
            own_version: plugin::version(),
            own_path: own_path(),
            engine: docker.server()?.map(|server| server.version),
            compose: load::check_compose(docker)
                .map_err(|stop| (stop.message, stop.hint.unwrap_or_default())),
            plugin: docker.plugins(plugin::NAME).ok(),
            images: BTreeMap::new(),
            file: vec![],
            prospects: BTreeMap::new(),
        };
        let project = if facts.compose.is_ok() { self.resolved(&mut facts) } else { None };
        if let Some(project) = &project
            && facts.engine.is_ok()
        {
            facts.images = self.examine_images(project)?;
        }
        Ok((facts, project))
    }

    /// The project; every key that cannot be used is noted and left out, so that the rest can be examined.
    fn resolved(&self, facts: &mut Facts) -> Option<Project> {
        let mut document = match self.document(&[]) {
            Ok(document) => document,
            Err(stop) => {
                let absent = load::is_file_absent(&stop);
                facts.file.push(FileError { path: vec![], problem: stop.message, absent });
                return None;
            }
        };
        loop {
            let error = match Project::read(document.clone(), &Overrides::default()) {
                Ok(project) => return Some(project),
                Err(error) => error,
            };
            let (path, problem) = match error.downcast_ref::<BadSetting>() {
                Some(bad) => (bad.path.clone(), self.explained(bad)),
                None => (vec![], format!("{error:#}")),
            };
            let removed = document.remove(&path);
            facts.file.push(FileError { path, problem: mask(&problem), absent: false });
            if !removed {
                return None;
            }
        }
    }

    fn explained(&self, bad: &BadSetting) -> String {
        let path: Vec<_> = bad.path.iter().map(String::as_str).collect();
        blame(&bad.problem, &self.files.variables(&path))
    }

    /// By reference; what is not on the engine is left out.
    fn examine_images(&self, project: &Project) -> Result<BTreeMap<String, Image>, CallError> {
        let mut images = BTreeMap::new();
        for service in project.services.values().filter(|service| !service.is_provider()) {
            let reference = &service.image.reference;
            if !images.contains_key(reference)
                && let Some(image) = self.docker().image(reference)?
            {
                images.insert(reference.clone(), image);
            }
        }
        Ok(images)
    }
}

fn own_path() -> Option<String> {
    std::env::current_exe().ok().map(|path| path.display().to_string())
}
