//! What is fuzzed: every reader of something that comes from outside. Whatever the bytes, there is an answer or
//! an error; never a panic, never a hang.
//!
//! Two programs share this file: the short run of the test suite (`main.rs`), and the long one that is guided by
//! coverage (`guided/`, started by `scripts/fuzz`).

use std::{collections::BTreeMap, ffi::OsString, os::unix::ffi::OsStringExt, time::Duration};

use zdd::{
    cli,
    docker::{Preview, Version},
    duration, haproxy,
    health::Gate,
    lock::{Owner, Process},
    model::{Layer, Model, Overrides, Settings, Source},
    observed::{Container, parse_inspect},
    place::Files,
    plan::{Observed, Request, Verbose, plan},
    plugin,
};

/// Reads its input in every way that it stands for.
pub type Target = fn(&[u8]);

/// By name; `corpus/NAME` holds its inputs.
pub const TARGETS: &[(&str, Target)] = &[
    ("argv", argv),
    ("complete", complete),
    ("config", config),
    ("duration", durations),
    ("haproxy", runtime_api),
    ("inspect", inspect),
    ("lock", lock),
    ("place", place),
    ("plan", planned),
    ("progress", progress),
    ("version", version),
    ("x-zdd", x_zdd),
];

fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

/// One word a line. They need not be UTF-8.
fn words(data: &[u8]) -> Vec<OsString> {
    data.split(|byte| *byte == b'\n').map(|word| OsString::from_vec(word.to_vec())).collect()
}

/// The first line that is `---` parts two texts.
fn halves(data: &[u8]) -> (String, String) {
    let all = text(data);
    match all.split_once("\n---\n") {
        Some((first, second)) => (first.to_owned(), second.to_owned()),
        None => (all, String::new()),
    }
}

/// The words behind the program's name, as docker passes them.
fn argv(data: &[u8]) {
    let argv = [OsString::from("docker-zdd")].into_iter().chain(words(data));
    let Ok(call) = plugin::split(argv) else { return };
    if let Ok(cli) = cli::parse(call.rest.clone()) {
        cli.compose.args();
    }
    cli::help(&call.rest);
}

fn complete(data: &[u8]) {
    let services = || vec!["web".to_owned(), "db".to_owned()];
    let revisions = || vec![("2".to_owned(), "up".to_owned())];
    let project = plugin::Project { services: &services, revisions: &revisions };
    let answer = plugin::complete(&cli::command(), &words(data), &project, true);
    assert!(answer.lines().last().is_some_and(|line| line.starts_with(':')), "{answer:?}");
}

/// The same hash for every service, as the text of the hashes is another matter.
fn model(yaml: &str) -> Option<Model> {
    let names = Model::service_names(yaml).ok()?;
    let hashes: BTreeMap<_, _> = names.into_iter().map(|name| (name, "new".to_owned())).collect();
    Model::from_config(yaml, &hashes, &Overrides::default()).ok()
}

fn config(data: &[u8]) {
    let Some(model) = model(&text(data)) else { return };
    model.scale();
    model.dependency_order();
    show(&model, vec![]);
}

/// A compose file, and the containers that are there.
fn planned(data: &[u8]) {
    let (yaml, json) = halves(data);
    let Some(model) = model(&yaml) else { return };
    let Ok(containers) = parse_inspect(&json) else { return };
    show(&model, containers);
}

fn show(model: &Model, containers: Vec<Container>) {
    let images = model.services.values().map(|service| (service.name.clone(), "sha256:new".to_owned()));
    let observed = Observed { containers, images: images.collect(), ..Observed::default() };
    // A thousand replicas in batches of one are as many steps, which is slow and no fault.
    if model.services.values().any(|service| service.replicas > 1000) {
        return;
    }
    for force in [false, true] {
        let plan = plan(model, &observed, &Request { force, ..Request::default() });
        let _ = (plan.to_string(), Verbose(&plan).to_string(), plan.overview(), plan.refused());
        serde_json::to_string(&plan).expect("a plan is JSON");
    }
}

fn inspect(data: &[u8]) {
    let Ok(containers) = parse_inspect(&text(data)) else { return };
    for container in &containers {
        let _ = (container.serves(), container.restart.flag(), container.reference());
        for one_shot in [false, true] {
            let gate = Gate { monitor: Duration::from_secs(10), wait_timeout: None, one_shot };
            duration::show(gate.deadline_for(container));
            for elapsed in [Duration::ZERO, Duration::from_secs(3600), Duration::MAX] {
                let _ = format!("{:?}", gate.judge(container, 1, elapsed));
            }
        }
    }
}

/// A mapping of settings, as it stands below `x-zdd` and below `update_config`.
fn x_zdd(data: &[u8]) {
    let Ok(value) = serde_yaml::from_slice(data) else { return };
    let path = ["services", "web", "x-zdd"];
    for layer in [Layer::from_x_zdd(&value, &path), Layer::from_update_config(&value, &path)] {
        match layer {
            Ok(layer) => drop(Settings::resolve(&[(Source::Service, layer)]).explained()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

fn durations(data: &[u8]) {
    for read in [duration::parse(&text(data)), duration::parse_seconds_or_duration(&text(data))] {
        match read {
            Ok(read) => drop(duration::show(read)),
            Err(problem) => assert!(!problem.is_empty()),
        }
    }
}

fn runtime_api(data: &[u8]) {
    let servers = haproxy::parse(&text(data));
    let command = haproxy::set_state(&servers, haproxy::Admin::Ready);
    assert_eq!(command.matches(" state ready; ").count(), servers.len(), "{command}");
}

/// What a dry run of Compose prints: steps on standard error, questions on standard output.
fn progress(data: &[u8]) {
    let (stderr, stdout) = halves(data);
    let preview = Preview::read(&stderr, stdout);
    assert!(preview.steps.len() <= stderr.lines().count());
}

/// The labels of a volume, as JSON.
fn lock(data: &[u8]) {
    let Ok(labels) = serde_json::from_slice::<BTreeMap<String, String>>(data) else { return };
    let owner = Owner::from_labels(&labels);
    assert!(!owner.to_string().is_empty());
    owner.is_dead(&owner, |_| Process::Started("1".to_owned()));
}

fn version(data: &[u8]) {
    if let Ok(version) = text(data).parse::<Version>() {
        assert_eq!(version.to_string().parse(), Ok(version));
    }
}

/// A path of keys, one a line, and the file in which it is looked for.
fn place(data: &[u8]) {
    let (path, file) = halves(data);
    let path: Vec<&str> = path.lines().collect();
    let lines = file.lines().count();
    if let Some(place) = Files(vec![("f".to_owned(), file)]).locate(&path) {
        let line: usize = place[2..].parse().expect("a line number");
        assert!((1..=lines).contains(&line), "{place} of {lines}");
    }
}
