//! What pages say to write into a Compose file.

use std::fs;

use serde_yaml::Value;
use zdd::{
    engine::Container,
    event::Verdict,
    helper::Presence,
    plan::{Request, ServicePlan},
    platform::compose::Observed,
    project::{Overrides, Project},
};

use super::{Block, blocks, report};
use crate::{make, real};

/// In a folder of its own, resolved by Compose; a service without an image gets one.
fn resolved(text: &str) -> Result<String, String> {
    let mut file: Value = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    let services = file.get_mut("services").and_then(Value::as_mapping_mut);
    for (name, service) in services.ok_or("no services")?.iter_mut() {
        let service = service.as_mapping_mut().ok_or("a service is no mapping")?;
        if !service.contains_key("image") && !service.contains_key("build") {
            service.insert("image".into(), name.clone());
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("compose.yaml");
    fs::write(path, serde_yaml::to_string(&file).expect("YAML")).expect("the file");
    let project =
        real::Project { folder: folder.path(), env: &[], flags: &["-p".to_owned(), "shop".to_owned()] };
    let resolved = project.config().ok_or("Compose refuses it")?;
    Ok(serde_yaml::to_string(&resolved).expect("YAML"))
}

/// What becomes of each service when it changes, where the engine lets a helper run.
fn verdicts(text: &str) -> Result<Vec<String>, String> {
    let project =
        make::read(&resolved(text)?, &Overrides::default()).map_err(|error| format!("{error:#}"))?;
    let containers = running(&project);
    let observed = Observed { helper: Presence::Ready, ..make::observed(&project, &containers) };
    let plan = make::plan(&project, &observed, &Request::default());
    Ok(plan.services.iter().map(|service| format!("{}={}", service.service, word(service))).collect())
}

fn running(project: &Project) -> Vec<Container> {
    project.services.keys().map(|name| make::outdated(name, 1)).collect()
}

fn word(plan: &ServicePlan) -> &'static str {
    match plan.verdict {
        Verdict::Blocked => "blocked",
        _ if !plan.refusals.is_empty() => "consent",
        Verdict::Roll => "rolling",
        Verdict::Hold => "held",
        Verdict::Recreate => "recreate",
        _ => "other",
    }
}

fn check(block: &Block) -> Result<(), String> {
    let found = verdicts(&block.text)?;
    let wanted = block.marker.strip_prefix("plan:").unwrap_or_default().split_whitespace();
    let missing: Vec<_> = wanted.filter(|wanted| !found.iter().any(|one| one == wanted)).collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(format!("{} is not what comes out: {}", missing.join(" "), found.join(" "))),
    }
}

#[test]
fn compose_and_the_program_take_what_pages_say_to_write() {
    let blocks: Vec<_> = blocks().into_iter().filter(is_snippet).collect();
    assert!(blocks.len() > 15, "{} snippets", blocks.len());
    let wrong = blocks.iter().filter_map(|block| Some(format!("{}: {}", block.place(), check(block).err()?)));
    report(&wrong.collect::<Vec<_>>());
}

fn is_snippet(block: &Block) -> bool {
    block.language == "yaml" && !block.is_workflow() && block.not_run().is_none()
}

#[test]
fn a_wrong_snippet_is_found() {
    let of = |lines: &str| verdicts(&format!("services:\n  web:\n    {lines}\n")).unwrap_err();
    assert_eq!(of("imaje: web"), "Compose refuses it");
    assert!(of("x-zdd: {dealy: 1s}").contains("did you mean \"delay\"?"));
}
