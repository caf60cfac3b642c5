//! Compose files of others: what would become of each service if it changed. `scripts/real FOLDER` runs it on a folder
//! of them, each in a folder of its own.

#[allow(dead_code, reason = "shared with the tests of the planner")]
#[path = "../core/make.rs"]
mod make;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use zdd::{
    engine::Container,
    event::Verdict,
    helper::Presence,
    init::{self, Draft, Kind, Wish},
    plan::{Plan, Request, ServicePlan},
    platform::compose::Observed,
    project::{Overrides, Project, Role, keeper_of_data},
};

/// The folder of folders.
const FILES: &str = "ZDD_REAL";

fn stacks() -> Vec<PathBuf> {
    let folder = env::var_os(FILES).expect("ZDD_REAL names a folder");
    let all = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut all: Vec<_> = all.filter(|path| path.is_dir()).collect();
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

/// What a service is, and what becomes of it.
fn kind(project: &Project, plan: &ServicePlan) -> (&'static str, &'static str) {
    let raw = &project.file.services[&plan.service];
    let is = match (plan.wanted.role, keeper_of_data(raw)) {
        (Role::Job | Role::MayEnd | Role::Provider, _) => "job",
        (_, Some(_)) => "data",
        _ => "app",
    };
    let becomes = match plan.verdict {
        _ if plan.verdict == Verdict::Blocked => "blocked",
        _ if !plan.refusals.is_empty() => "consent",
        Verdict::Roll => "rolled",
        Verdict::Hold => "held",
        Verdict::Unchanged => "left",
        _ => "other",
    };
    (is, becomes)
}

/// What `docker zdd init` would write beside the file.
fn override_of(project: &Project, named: &[String], proxy: Kind) -> Option<(Draft, String)> {
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
            [(&[][..], Kind::Haproxy), (&all, Kind::Haproxy), (&all, Kind::Traefik), (&all, Kind::Caddy)]
        {
            let Some((draft, text)) = override_of(&project, named, proxy) else { continue };
            is_accepted(&name, &folder, &draft, &text);
            if proxy == Kind::Haproxy {
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
#[ignore = "wants files of others; scripts/real"]
fn every_file_is_planned() {
    let mut sums: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut unread = Vec::new();
    println!("| stack | app: rolled | held | consent | blocked | data: held or rolled | consent | jobs |");
    println!("|---|---|---|---|---|---|---|---|");
    for folder in stacks() {
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let project = match config(&folder).map(|text| make::read(&text, &Overrides::default())) {
            Ok(Ok(project)) => project,
            Ok(Err(error)) => panic!("{name}: what Compose reads is not understood: {error:#}"),
            Err(said) => {
                unread.push(format!("{name}: Compose itself refuses it: {said}"));
                continue;
            }
        };
        let plan = plan(&project);
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for service in &plan.services {
            let kind = kind(&project, service);
            *counts.entry(kind).or_default() += 1;
            *sums.entry(kind).or_default() += 1;
            for refusal in &service.refusals {
                println!("<!-- {name}/{}: {} -->", service.service, refusal);
            }
        }
        println!("| {name} {}", row(&counts));
    }
    println!("| **all** {}", row(&sums));
    unread.iter().for_each(|line| println!("{line}"));
    let of = |is: &str, becomes: &str| sums.get(&(is, becomes)).copied().unwrap_or(0);
    let apps: usize = sums.iter().filter(|((is, _), _)| *is == "app").map(|(_, n)| n).sum();
    let well = of("app", "rolled") + of("app", "held");
    println!("{well} of {apps} apps are rolled or held");
    assert!(well * 100 >= apps * 95, "fewer than 95 of 100");
}

fn row(counts: &BTreeMap<(&str, &str), usize>) -> String {
    let of = |is: &str, becomes: &str| counts.get(&(is, becomes)).copied().unwrap_or(0);
    let jobs: usize = counts.iter().filter(|((is, _), _)| *is == "job").map(|(_, n)| n).sum();
    let cells = [
        of("app", "rolled"),
        of("app", "held"),
        of("app", "consent"),
        of("app", "blocked") + of("app", "other"),
        of("data", "rolled") + of("data", "held"),
        of("data", "consent"),
        jobs,
    ];
    cells.iter().map(|n| format!("| {n} ")).collect::<String>() + "|"
}
