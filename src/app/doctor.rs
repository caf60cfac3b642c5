//! `docker zdd doctor`: finds out what it can, whatever does not answer.

use std::{collections::BTreeMap, io::stderr, sync::PoisonError};

use super::{Context, load, say};
use crate::{
    advice::{self, Facts, FileError, Finding, Place, Scene, Severity},
    cli::{DoctorArgs, PlanFormat},
    engine::{CallError, Image},
    event::Sink,
    exit::{Exit, Stop},
    helper::Purpose,
    platform::compose::{Observed, check_compose, prospects},
    plugin,
    project::{BadSetting, Overrides, Project},
    report::doctor::{Page, in_brief, json, text},
    text::{clean, mask::mask, variable::blame},
};

/// Prints the findings. Exit code 2 when one of them is an error, as `up` would not get far then.
pub fn doctor(context: &mut Context, args: &DoctorArgs) -> Result<Exit, Stop> {
    let (mut facts, project) = context.examine()?;
    if let Some(project) = &project {
        context.begin_helpers(project, Purpose::Probe);
        let observed = Observed { helper: context.platform.helper(), ..Observed::default() };
        facts.prospects = prospects(project, &observed);
    }
    let scene = Scene { project: project.as_ref(), facts: Some(&facts), ..Scene::default() };
    Ok(context.show_findings(&scene, args))
}

impl Context {
    /// Of what was found out, in the form that was asked for.
    pub fn show_findings(&self, scene: &Scene, args: &DoctorArgs) -> Exit {
        let Some(facts) = scene.facts else { return Exit::Done };
        self.sink.pause();
        // Its progress is quiet.
        for warning in &*self.warned.lock().unwrap_or_else(PoisonError::into_inner) {
            say(&mut stderr(), &format!("warning: {}\n", clean(warning)));
        }
        let findings = advice::findings(scene, Place::Doctor);
        let page = Page { findings: &findings, facts, project: scene.project, look: self.look };
        let place = |finding: &Finding| {
            let path: Vec<_> = finding.path.iter().map(String::as_str).collect();
            self.files.locate(&path).filter(|_| !path.is_empty())
        };
        let shown = match args.format {
            PlanFormat::Text if args.all => text(&page, &place),
            PlanFormat::Text => in_brief(&page, &place),
            PlanFormat::Json => json(&page, &place),
        };
        self.print(&shown);
        let error = findings.iter().any(|finding| finding.severity == Severity::Error);
        if error { Exit::Refused } else { Exit::Done }
    }
}

impl Context {
    pub fn examine(&mut self) -> Result<(Facts, Option<Project>), Stop> {
        let docker = self.docker();
        let mut facts = Facts {
            own_version: plugin::version(),
            own_path: own_path(),
            engine: docker.server()?.map(|server| server.version),
            compose: check_compose(docker).map_err(|stop| (stop.message, stop.hint.unwrap_or_default())),
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
