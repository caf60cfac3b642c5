//! `docker zdd doctor`: finds out what it can, whatever does not answer.

use std::{collections::BTreeMap, io::stdout};

use serde_yaml::Value;

use super::{Context, load, say};
use crate::{
    cli::{DoctorArgs, PlanFormat},
    docker::CallError,
    doctor::{self, Facts, FileError, Finding, Project, Severity},
    exit::{Exit, Stop},
    mask::mask,
    model::{Model, Overrides, compose, settings::BadSetting},
    plugin,
    report::doctor::{Page, json, text},
};

/// Prints the findings. Exit code 2 when one of them is an error, as `up` would not get far then.
pub fn doctor(context: &mut Context, args: &DoctorArgs) -> Result<Exit, Stop> {
    let (facts, loaded) = context.examine()?;
    let project = loaded.as_ref().map(|(model, file)| Project { model, file });
    let findings = doctor::findings(project.as_ref(), &facts);
    let page = Page { findings: &findings, facts: &facts, model: loaded.as_ref().map(|(model, _)| model) };
    let place = |finding: &Finding| {
        let path: Vec<_> = finding.path.iter().map(String::as_str).collect();
        context.files.locate(&path).filter(|_| !path.is_empty())
    };
    let shown = match args.format {
        PlanFormat::Text => text(&page, &place),
        PlanFormat::Json => json(&page, &place),
    };
    say(&mut stdout(), &shown);
    let error = findings.iter().any(|finding| finding.severity == Severity::Error);
    Ok(if error { Exit::Refused } else { Exit::Done })
}

type Loaded = (Model, compose::File);

impl Context {
    fn examine(&mut self) -> Result<(Facts, Option<Loaded>), Stop> {
        let mut facts = Facts {
            own_version: plugin::version(),
            own_path: own_path(),
            engine: self.docker.engine_version()?,
            compose: load::check_compose(&self.docker)
                .map_err(|stop| (stop.message, stop.hint.unwrap_or_default())),
            plugin: self.docker.plugins(plugin::NAME).ok(),
            images: BTreeMap::new(),
            file: vec![],
        };
        let loaded = if facts.compose.is_ok() { self.resolved(&mut facts) } else { None };
        if let Some((model, _)) = &loaded
            && facts.engine.is_ok()
        {
            facts.images = self.images(model)?;
        }
        Ok((facts, loaded))
    }

    /// The project; every key that cannot be used is noted and left out, so that the rest can be examined.
    fn resolved(&self, facts: &mut Facts) -> Option<Loaded> {
        let read = load::resolve(&self.docker);
        let (yaml, hashes) = match read {
            Ok(read) => read,
            Err(stop) => {
                let absent = stop.message.contains("no configuration file provided");
                facts.file.push(FileError { path: vec![], problem: stop.message, absent });
                return None;
            }
        };
        let mut value: Value = serde_yaml::from_str(&yaml).ok()?;
        loop {
            let text = serde_yaml::to_string(&value).ok()?;
            let error = match Model::from_config(&text, &hashes, &Overrides::default()) {
                Ok(model) => return Some((model, serde_yaml::from_str(&text).ok()?)),
                Err(error) => error,
            };
            let path = error.downcast_ref::<BadSetting>().map(|bad| bad.path.clone()).unwrap_or_default();
            let removed = remove(&mut value, &path);
            facts.file.push(FileError { path, problem: mask(&format!("{error:#}")), absent: false });
            if !removed {
                return None;
            }
        }
    }

    fn images(&self, model: &Model) -> Result<BTreeMap<String, doctor::Image>, CallError> {
        let mut images = BTreeMap::new();
        for service in model.services.values().filter(|service| !service.provider) {
            if !images.contains_key(&service.image)
                && let Some(image) = self.docker.image(&service.image)?
            {
                images.insert(service.image.clone(), image);
            }
        }
        Ok(images)
    }
}

/// Takes a key out of nested mappings; false when it is not there.
fn remove(value: &mut Value, path: &[String]) -> bool {
    match path {
        [] => false,
        [last] => value.as_mapping_mut().is_some_and(|map| map.remove(last.as_str()).is_some()),
        [first, rest @ ..] => value.get_mut(first.as_str()).is_some_and(|value| remove(value, rest)),
    }
}

fn own_path() -> Option<String> {
    std::env::current_exe().ok().map(|path| path.display().to_string())
}
