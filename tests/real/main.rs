//! Compose files of others, each in a folder of its own: what would become of each service if it changed, and what
//! becomes of it when it does, under load. `scripts/real FOLDER` runs it.

#[allow(dead_code, reason = "shared with the tests of the planner")]
#[path = "../core/make.rs"]
mod make;
#[allow(dead_code, reason = "shared with the end-to-end tests")]
#[path = "../e2e/stack.rs"]
mod stack;

mod images;
mod lanes;
mod model;
mod run;
mod table;
mod visitors;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    time::{Duration, Instant},
};

use zdd::{
    engine::Container,
    event::Verdict,
    helper::Presence,
    init::{self, Draft, Kind as Proxy, Wish},
    plan::{Plan, Request, ServicePlan},
    platform::compose::Observed,
    project::{Overrides, Project},
};

use crate::{
    images::Images,
    lanes::Needs,
    model::{Kind, kind},
    run::{Runner, Story},
    table::Table,
};

/// The folder of folders.
const FILES: &str = "ZDD_REAL";
/// Only these, with commas between them.
const ONLY: &str = "ZDD_REAL_ONLY";
/// After so many none is begun any more.
const MINUTES: &str = "ZDD_REAL_MINUTES";
/// A folder for what was run and what it said.
const LOGS: &str = "ZDD_REAL_LOGS";

fn stacks() -> Vec<PathBuf> {
    let folder = env::var_os(FILES).expect("ZDD_REAL names a folder");
    let all = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let only = env::var(ONLY).unwrap_or_default();
    let only: Vec<_> = only.split(',').filter(|name| !name.is_empty()).collect();
    let wanted = |path: &PathBuf| only.is_empty() || only.contains(&name_of(path).as_str());
    let mut all: Vec<_> = all.filter(|path| path.is_dir()).filter(wanted).collect();
    all.sort();
    all
}

/// As Compose reads it; what it says when it refuses.
fn config(folder: &Path) -> Result<String, String> {
    let mut command = Command::new("docker");
    command.args(["-l", "error", "compose", "--profile", "*", "config"]).current_dir(folder);
    let output = command.output().expect("docker");
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// Every service runs in an older version.
fn running(project: &Project) -> Vec<Container> {
    let of_one =
        |name: &String, replicas: u32| (1..=replicas).map(|n| make::outdated(name, n)).collect::<Vec<_>>();
    project.services.iter().flat_map(|(name, service)| of_one(name, service.replicas)).collect()
}

fn plan(project: &Project) -> Plan {
    let containers = running(project);
    let observed = Observed { helper: Presence::Ready, ..make::observed(project, &containers) };
    make::plan(project, &observed, &Request::default())
}

/// What becomes of it.
fn fate(plan: &ServicePlan) -> &'static str {
    match plan.verdict {
        Verdict::Blocked => "refused",
        _ if !plan.refusals.is_empty() => "consent",
        Verdict::Roll => "rolled",
        Verdict::Hold => "held",
        _ => "other",
    }
}

fn name_of(folder: &Path) -> String {
    folder.file_name().expect("a name").to_string_lossy().into_owned()
}

/// What was not filled in may leave a name that neither Compose nor zdd can do anything with.
fn unusable_image(text: &str) -> Option<String> {
    let file: serde_yaml::Value = serde_yaml::from_str(text).expect("YAML");
    let services = file["services"].as_mapping().into_iter().flatten();
    let mut images = services.filter_map(|(_, service)| service.get("image")?.as_str());
    let is_bad = |image: &&str| {
        let output = Command::new("docker").args(["image", "inspect", image]).output().expect("docker");
        String::from_utf8_lossy(&output.stderr).contains("invalid reference format")
    };
    images.find(is_bad).map(str::to_owned)
}

/// As zdd understands it; why it is left out.
fn read(folder: &Path) -> Result<(String, Project), String> {
    let text = config(folder).map_err(|said| format!("Compose itself refuses it: {said}"))?;
    let name = name_of(folder);
    if let Some(bad) = unusable_image(&text) {
        return Err(format!("no engine takes {bad:?} as the name of an image"));
    }
    let project = make::read(&text, &Overrides::default());
    let project =
        project.unwrap_or_else(|error| panic!("{name}: what Compose reads is not understood: {error:#}"));
    Ok((text, project))
}

/// What `docker zdd init` would write beside the file.
fn override_of(project: &Project, named: &[String], proxy: Proxy) -> Option<(Draft, String)> {
    let draft = init::draft(&Wish { project, named, only_named: false, proxy, anonymous: &BTreeMap::new() });
    let text = init::text(project, &draft, proxy)?;
    Some((draft, text))
}

/// Compose takes both together, and then nothing hinders a rollout of what was changed.
fn is_accepted(name: &str, folder: &Path, draft: &Draft, text: &str) {
    let copy = tempfile::tempdir().expect("a folder");
    let into = copy.path().join(name);
    let copied = Command::new("cp").arg("-r").args([folder, &into]).status().expect("cp");
    assert!(copied.success());
    let writable = Command::new("chmod").args(["-R", "u+w"]).arg(&into).status().expect("chmod");
    assert!(writable.success());
    fs::write(into.join("compose.override.yaml"), text).expect("the override");
    // Where files are named it has to be named too.
    let variables = fs::read_to_string(into.join(".env")).unwrap_or_default();
    let named = |line: &str| match line.starts_with("COMPOSE_FILE=") {
        true => format!("{line}:compose.override.yaml\n"),
        false => format!("{line}\n"),
    };
    fs::write(into.join(".env"), variables.lines().map(named).collect::<String>()).expect("variables");
    let merged = config(&into).unwrap_or_else(|said| panic!("{name}: {said}\n{text}"));
    let project = make::read(&merged, &Overrides::default()).expect("a project");
    let plan = plan(&project);
    for change in &draft.changes {
        let service = plan.services.iter().find(|plan| plan.service == change.service).expect("a plan");
        let expected = if change.held { Verdict::Hold } else { Verdict::Roll };
        assert_eq!(service.verdict, expected, "{name}/{}: {}\n{text}", change.service, service.reason);
        assert!(service.refusals.is_empty(), "{name}/{}: {:?}", change.service, service.refusals);
    }
}

#[test]
#[ignore = "wants files of others; scripts/real"]
fn every_override_is_accepted() {
    let (mut files, mut written, mut eased, mut agreed) = (0, 0, 0, 0);
    for folder in stacks() {
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let Ok(Ok(project)) = config(&folder).map(|text| make::read(&text, &Overrides::default())) else {
            continue;
        };
        files += 1;
        let all: Vec<String> = project.services.keys().cloned().collect();
        for (named, proxy) in
            [(&[][..], Proxy::Haproxy), (&all, Proxy::Haproxy), (&all, Proxy::Traefik), (&all, Proxy::Caddy)]
        {
            let Some((draft, text)) = override_of(&project, named, proxy) else { continue };
            is_accepted(&name, &folder, &draft, &text);
            if proxy == Proxy::Haproxy {
                let held = draft.changes.iter().filter(|change| change.held).count();
                match named.is_empty() {
                    true => (written, eased) = (written + 1, eased + draft.changes.len()),
                    false => agreed += held,
                }
            }
        }
    }
    println!(
        "init: {files} files; {written} get an override, by which {eased} services are rolled; {agreed} more agree to be held when named"
    );
    assert!(written > 0);
}

#[test]
#[ignore = "wants files of others; scripts/real --plan"]
fn every_file_is_planned() {
    let mut table = Table::default();
    for folder in stacks() {
        let name = name_of(&folder);
        let project = match read(&folder) {
            Ok((_, project)) => project,
            Err(said) => {
                table.leave_out(&name, &said);
                continue;
            }
        };
        let mut story = Story::default();
        for service in &plan(&project).services {
            let fate = (kind(&project, &service.service), fate(service));
            story.fates.insert(service.service.clone(), fate);
        }
        table.add(&name, story);
    }
    println!("{table}");
    table.check();
}

/// Stacks that run at a time.
const LANES: usize = 2;

#[test]
#[ignore = "wants files of others, and an engine; scripts/real"]
fn every_file_is_updated() {
    let (images, table) = (Images::default(), Mutex::new(Table::default()));
    let add = |name: &str, story: Result<Story, String>| {
        let mut table = table.lock().expect("a lock");
        match story {
            Ok(story) => table.add(name, story),
            Err(why) => table.leave_out(name, &why),
        }
    };
    let mut all = Vec::new();
    for folder in stacks() {
        match read(&folder) {
            Ok((text, project)) => all.push((needs(&project), Case { folder, text, project })),
            Err(why) => add(&name_of(&folder), Err(why)),
        }
    }
    // The largest are alone in the end.
    all.sort_by_key(|(needs, _)| needs.services);
    let minutes = env::var(MINUTES).ok().and_then(|text| text.parse().ok()).unwrap_or(30);
    let end = Instant::now() + Duration::from_secs(60 * minutes);
    lanes::each(LANES, all, |case| {
        let story = match Instant::now() > end {
            true => Err(format!("not begun within {minutes} min")),
            false => case.run(&images),
        };
        add(&name_of(&case.folder), story);
    });
    let table = table.into_inner().expect("a lock");
    println!("\n{table}");
    drop(images);
    table.check();
}

struct Case {
    folder: PathBuf,
    text: String,
    project: Project,
}

impl Case {
    fn run(&self, images: &Images) -> Result<Story, String> {
        let name = name_of(&self.folder);
        let runner = Runner::new(&name, &self.text, &self.project, &self.folder, images);
        let taken = images.taken(runner.model.services.iter().map(|facts| facts.image.as_str()));
        if let Some(taken) = taken.first() {
            return Err(format!("the engine has an image {taken} of its own"));
        }
        let (story, log) = runner.run();
        eprintln!("{name}: {:?}, {} faults", story.took, story.faults.len());
        keep(&name, &log);
        Ok(story)
    }
}

fn needs(project: &Project) -> Needs {
    let mut needs = Needs { services: project.services.len(), ..Needs::default() };
    for (name, raw) in &project.file.services {
        let Some(image) = raw.image.as_deref().map(model::without_digest) else { continue };
        needs.all.insert(image.to_owned());
        if kind(project, name) != Kind::Data {
            needs.changed.insert(image.to_owned());
        }
    }
    needs
}

fn keep(name: &str, log: &str) {
    if let Some(folder) = env::var_os(LOGS) {
        fs::write(Path::new(&folder).join(name), log).expect("a log");
    }
}
