//! The engine, Compose, the plugin itself, and whether there is a usable file.

use super::{Facts, FileError, Finding, Plugin, Severity};

/// The oldest engine that this program is made for.
const OLDEST_ENGINE: (u32, u32) = (20, 10);

pub fn findings(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(engine(facts));
    if let Err((problem, remedy)) = &facts.compose {
        found.push(finding(Severity::Error, "compose", problem).remedy(remedy));
    }
    found.extend(facts.plugin.iter().flat_map(|plugins| plugin(facts, plugins)));
    found.extend(facts.file.iter().map(file));
    found
}

fn finding(severity: Severity, code: &'static str, problem: impl Into<String>) -> Finding {
    let (remedy, problem) = (String::new(), problem.into());
    Finding { severity, code, service: None, path: vec![], problem, remedy, yaml: None }
}

fn engine(facts: &Facts) -> Option<Finding> {
    let version = match &facts.engine {
        Ok(version) => version,
        Err(why) => {
            return Some(
                finding(Severity::Error, "engine", why)
                    .remedy("start the engine, or choose another one with \"docker --context NAME zdd …\""),
            );
        }
    };
    let mut numbers = version.split(['.', '-', '+']).map_while(|part| part.parse::<u32>().ok());
    let found = (numbers.next()?, numbers.next().unwrap_or(0));
    (found < OLDEST_ENGINE).then(|| {
        let problem = format!("Docker Engine {version} is older than all that docker zdd is tested with");
        finding(Severity::Warning, "engine-old", problem).remedy("update the engine to 20.10 or later")
    })
}

fn plugin(facts: &Facts, plugins: &[Plugin]) -> Vec<Finding> {
    let Some(plugin) = plugins.first() else {
        let problem = "docker does not know the plugin: \"docker zdd\" is not a command yet";
        return vec![
            finding(Severity::Warning, "plugin-missing", problem)
                .remedy("put docker-zdd into ~/.docker/cli-plugins, as scripts/install does"),
        ];
    };
    let mut found = Vec::new();
    if !plugin.error.is_empty() {
        let problem = format!("docker does not take the plugin {}: {}", plugin.path, plugin.error);
        found.push(finding(Severity::Error, "plugin-invalid", problem).remedy("install it again"));
    }
    for shadowed in &plugin.shadowed {
        let problem =
            format!("the plugin is installed twice: docker runs {} and never {shadowed}", plugin.path);
        found.push(
            finding(Severity::Warning, "plugin-twice", problem)
                .remedy(format!("remove one of them: rm {shadowed}")),
        );
    }
    found.extend(other_program(facts, plugin));
    found
}

/// Called by its path, it may be another one than docker runs.
fn other_program(facts: &Facts, plugin: &Plugin) -> Option<Finding> {
    let own = facts.own_path.as_ref().filter(|own| **own != plugin.path)?;
    if plugin.shadowed.contains(own) || plugin.version == facts.own_version || !plugin.error.is_empty() {
        return None;
    }
    let problem = format!(
        "this is {own} {}, but \"docker zdd\" runs {} {}",
        facts.own_version, plugin.path, plugin.version
    );
    Some(finding(Severity::Warning, "plugin-other", problem).remedy("install the one that is wanted again"))
}

fn file(error: &FileError) -> Finding {
    if error.absent {
        return finding(Severity::Hint, "file-missing", &error.problem)
            .remedy("go to the project's folder, or name its file with -f, to have it examined too");
    }
    let service = match error.path.as_slice() {
        [first, service, ..] if first == "services" => Some(service.clone()),
        _ => None,
    };
    Finding {
        service,
        path: error.path.clone(),
        remedy: "mend the file".to_owned(),
        ..finding(Severity::Error, "file", &error.problem)
    }
}
