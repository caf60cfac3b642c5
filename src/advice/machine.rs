//! The engine, Compose, the plugin itself, and whether there is a usable file.

use super::{Facts, FileError, Finding, Scene};
use crate::engine::Plugin;

/// The oldest engine that this program is made for.
const OLDEST_ENGINE: (u32, u32) = (20, 10);

pub fn engine(scene: &Scene) -> Option<Finding> {
    let why = scene.facts?.engine.as_ref().err()?;
    let remedy = "start the engine, or choose another one with \"docker --context NAME zdd …\"";
    Some(Finding::new(why).remedy(remedy))
}

pub fn engine_old(scene: &Scene) -> Option<Finding> {
    let version = scene.facts?.engine.as_ref().ok().filter(|version| is_old(version))?;
    let problem = format!("Docker Engine {version} is older than any version docker zdd is tested with");
    Some(Finding::new(problem).remedy("update the engine to 20.10 or later"))
}

fn is_old(version: &str) -> bool {
    let mut numbers = version.split(['.', '-', '+']).map_while(|part| part.parse::<u32>().ok());
    numbers.next().is_some_and(|major| (major, numbers.next().unwrap_or(0)) < OLDEST_ENGINE)
}

pub fn compose(scene: &Scene) -> Option<Finding> {
    let (problem, remedy) = scene.facts?.compose.as_ref().err()?;
    Some(Finding::new(problem).remedy(remedy))
}

pub fn plugin_missing(scene: &Scene) -> Option<Finding> {
    scene.facts?.plugin.as_ref().filter(|found| found.is_empty())?;
    let finding = Finding::new("docker does not know the plugin: \"docker zdd\" is not a command yet");
    Some(finding.remedy("put docker-zdd into ~/.docker/cli-plugins, as scripts/install does"))
}

/// The plugin that docker runs.
fn plugin<'a>(scene: &Scene<'a>) -> Option<(&'a Facts, &'a Plugin)> {
    let facts = scene.facts?;
    Some((facts, facts.plugin.as_ref()?.first()?))
}

pub fn plugin_invalid(scene: &Scene) -> Option<Finding> {
    let (_, plugin) = plugin(scene).filter(|(_, plugin)| !plugin.error.is_empty())?;
    let problem = format!("docker rejects the plugin {}: {}", plugin.path, plugin.error);
    Some(Finding::new(problem).remedy("install it again"))
}

pub fn plugin_twice(scene: &Scene) -> Vec<Finding> {
    let Some((_, plugin)) = plugin(scene) else { return vec![] };
    let one = |shadowed: &String| {
        let problem =
            format!("the plugin is installed twice: docker runs {} and never {shadowed}", plugin.path);
        Finding::new(problem).remedy(format!("remove one of them: rm {shadowed}"))
    };
    plugin.shadowed.iter().map(one).collect()
}

/// Called by its path, it may be another one than docker runs.
pub fn plugin_other(scene: &Scene) -> Option<Finding> {
    let (facts, plugin) = plugin(scene)?;
    let own = facts.own_path.as_ref().filter(|own| **own != plugin.path)?;
    if plugin.shadowed.contains(own) || plugin.version == facts.own_version || !plugin.error.is_empty() {
        return None;
    }
    let problem = format!(
        "this is {own} {}, but \"docker zdd\" runs {} {}",
        facts.own_version, plugin.path, plugin.version
    );
    Some(Finding::new(problem).remedy("reinstall the one you want"))
}

pub fn file(scene: &Scene) -> Vec<Finding> {
    let errors = scene.facts.iter().flat_map(|facts| &facts.file).filter(|error| !error.absent);
    let one = |error: &FileError| {
        let (service, keys) = match error.path.as_slice() {
            [first, service, keys @ ..] if first == "services" => (Some(service.clone()), keys),
            keys => (None, keys),
        };
        let key = if keys.is_empty() { String::new() } else { format!("{}: ", keys.join(".")) };
        let problem = format!("{key}{}", error.problem);
        Finding { service, path: error.path.clone(), ..Finding::new(problem) }.remedy("fix the file")
    };
    errors.map(one).collect()
}

pub fn file_missing(scene: &Scene) -> Vec<Finding> {
    let errors = scene.facts.iter().flat_map(|facts| &facts.file).filter(|error| error.absent);
    let remedy = "go to the project's folder, or name its file with -f, to have it examined too";
    errors.map(|error| Finding::new(&error.problem).remedy(remedy)).collect()
}
