//! What is fuzzed: every reader of something that comes from outside. Whatever the bytes, there is an answer or
//! an error; never a panic, never a hang.
//!
//! Two programs share this file: the short run of the test suite (`main.rs`), and the long one that is guided by
//! coverage (`guided/`, started by `scripts/fuzz`).

use std::{collections::BTreeMap, ffi::OsString, os::unix::ffi::OsStringExt, time::Duration};

use serde_json::Value;
use zdd::{
    advice::{self, Facts, Place, Scene},
    cli,
    engine::{
        Container, Image, Preview, Version, archive, container::parse_inspect, read_image, read_plugins,
        read_server,
    },
    keep::{self, Owner, Process, Revision, diff},
    plan::{Request, Text},
    platform::compose::{Observed, judge::Gate, plan},
    plugin,
    project::{BadSetting, Document, Notify, Overrides, ProbeLayer, Project, Settings, Source},
    proxy::api as haproxy,
    report::{Look, history as table},
    text::{duration, mask::mask, place::Files},
};

/// Reads its input in every way that it stands for.
pub type Target = fn(&[u8]);

/// By name; `corpus/NAME` holds its inputs.
pub const TARGETS: &[(&str, Target)] = &[
    ("archive", packed),
    ("argv", argv),
    ("complete", complete),
    ("config", config),
    ("document", document),
    ("duration", durations),
    ("facts", facts),
    ("haproxy", runtime_api),
    ("inspect", inspect),
    ("lock", lock),
    ("mask", masked),
    ("place", place),
    ("plan", planned),
    ("progress", progress),
    ("revisions", revisions),
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
fn project(yaml: &str) -> Option<Project> {
    let mut project = Project::read(Document::parse(yaml).ok()?, &Overrides::default()).ok()?;
    let hashes: BTreeMap<_, _> =
        project.services.keys().map(|name| (name.clone(), "new".to_owned())).collect();
    project.set_hashes(&hashes).ok()?;
    Some(project)
}

fn config(data: &[u8]) {
    let Some(project) = project(&text(data)) else { return };
    project.dependency_order();
    show(&project, vec![]);
}

/// A compose file, and the containers that are there.
fn planned(data: &[u8]) {
    let (yaml, json) = halves(data);
    let Some(project) = project(&yaml) else { return };
    let Ok(containers) = parse_inspect(&json) else { return };
    show(&project, containers);
}

fn show(project: &Project, containers: Vec<Container>) {
    let images = project.services.values().map(|service| (service.name.clone(), "sha256:new".to_owned()));
    let observed = Observed { containers, images: images.collect(), ..Observed::default() };
    // A thousand replicas in batches of one are as many steps, which is slow and no fault.
    if project.services.values().any(|service| service.replicas > 1000) {
        return;
    }
    for force in [false, true] {
        let mut plan = plan(project, &observed, &Request { force, ..Request::default() });
        advice::annotate(&mut plan, project, &observed.containers);
        let _ = (
            plan.to_string(),
            Text { plan: &plan, verbose: true, paint: &|_, text| text.to_owned() }.to_string(),
            plan.overview(),
            plan.refused(),
        );
        serde_json::to_string(&plan).expect("a plan is JSON");
    }
}

fn inspect(data: &[u8]) {
    let Ok(containers) = parse_inspect(&text(data)) else { return };
    for container in &containers {
        let _ = (container.serves(), container.restart.flag(), container.reference());
        for job in [false, true] {
            let gate = Gate { monitor: Duration::from_secs(10), wait_timeout: None, job, may_end: job };
            duration::show(gate.deadline_for(container));
            for elapsed in [Duration::ZERO, Duration::from_secs(3600), Duration::MAX] {
                let _ = format!("{:?}", gate.judge(container, 1, elapsed));
            }
        }
    }
}

/// A mapping of settings, as it stands below `x-zdd` of a service and of the file, and below `update_config`.
fn x_zdd(data: &[u8]) {
    let Ok(value) = serde_yaml::from_slice::<Value>(data) else { return };
    let path = ["services", "web", "x-zdd"];
    let take = |take: &dyn Fn(&mut Settings) -> Result<(), BadSetting>| {
        let mut settings = Settings::default();
        match take(&mut settings) {
            Ok(()) => drop(settings.explained()),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    };
    take(&|settings| settings.take_x_zdd(Source::Service, &value, &path));
    take(&|settings| settings.take_x_zdd(Source::TopLevel, &value, &path[2..]));
    take(&|settings| settings.take_update_config(&value, &path));
    if let Some(value) = value.get("probe") {
        probe(value);
    }
    if let Some(value) = value.get("notify")
        && let Ok(Some(Notify(words))) = Notify::read(value, &["x-zdd", "notify"])
    {
        assert!(!words[0].is_empty());
    }
}

fn probe(value: &Value) {
    match ProbeLayer::read(value, &["x-zdd", "probe"]) {
        Ok(layer) => {
            let Some(probe) = layer.over(&ProbeLayer::default()) else { return };
            let shown = format!("{} {} {:?}", probe.url, probe.expect, probe.expect.holds(200));
            let address = shown.split_once("://").map_or("", |(_, rest)| rest);
            let host = address.split('/').next().unwrap_or_default();
            assert!(probe.rate > 0 && !probe.timeout.is_zero() && !host.contains('@'), "{shown}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
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

fn masked(data: &[u8]) {
    let once = mask(&text(data));
    assert_eq!(mask(&once), once);
}

/// The labels of revisions, one a line, and the containers that are there.
fn revisions(data: &[u8]) {
    let (labels, json) = halves(data);
    let revisions: Vec<_> = labels.lines().filter_map(Revision::from_label).collect();
    let containers = parse_inspect(&json).unwrap_or_default();
    for revision in &revisions {
        assert!(
            Revision::from_label(&revision.label()).is_some_and(|again| again.label() == revision.label())
        );
        let _ = (table::about(revision), revision.is_deployed(&containers, &[]));
        for asked in [&[][..], &["web".to_owned()]] {
            let target = keep::target(&revisions, Some(revision.number), &containers, asked);
            assert!(target.is_err() || target.is_ok_and(Revision::is_good));
        }
    }
    let _ = keep::target(&revisions, None, &containers, &[]);
    let of_web: Vec<_> = containers.iter().filter(|container| container.service == "web").collect();
    keep::of_service(&revisions, "web", &of_web);
    let forgotten = keep::forgotten(&revisions);
    assert!(keep::latest_good(&revisions).is_none_or(|good| !forgotten.contains(&good.number)));
    let pruned = keep::pruned(&revisions, &BTreeMap::new());
    table::table(&revisions, &pruned, 1_700_000_000, &Look::default());
}

/// The project as it was deployed, and as the file has it now.
fn document(data: &[u8]) {
    let (then, now) = halves(data);
    let Ok(mut then) = Document::parse(&then) else { return };
    let written = then.text();
    // A longer key YAML has in another form only.
    if written.len() <= 1024 {
        assert_eq!(Document::parse(&written).ok().as_ref(), Some(&then));
    }
    let now = Document::parse(&now).unwrap_or_default();
    diff::text(&then, &now, &BTreeMap::new());
    let names: Vec<_> = then.services().map(|(name, _)| name.clone()).collect();
    for name in &names {
        then.host_paths(name);
        then.set_replicas(name, 3);
        then.set_image(name, Some("web:1"));
        then.set_image(name, None);
        assert_eq!(then.image(name), None);
        then.take_service(name, &now);
    }
    then.drop_missing_label_files(|_| false);
    then.extend(&now);
    diff::text(&now, &then, &BTreeMap::new());
}

/// What `docker cp` writes; and the same as the text that is packed.
fn packed(data: &[u8]) {
    let _ = archive::unpack(data);
    let text = text(data);
    let again =
        archive::pack("compose.json", text.as_bytes(), 0o600).and_then(|packed| archive::unpack(&packed));
    assert_eq!(again.ok(), Some(text));
}

/// A compose file, and what docker answers to each question of the doctor.
fn facts(data: &[u8]) {
    let (yaml, answer) = halves(data);
    let image = read_image(&answer).ok().flatten().unwrap_or_default();
    let known = |project: &Project| -> BTreeMap<String, Image> {
        project.services.values().map(|s| (s.image.reference.clone(), image.clone())).collect()
    };
    let project = project(&yaml);
    let images = project.as_ref().map(known).unwrap_or_default();
    let facts = Facts {
        own_version: "v0.1.0".to_owned(),
        own_path: Some("/p/docker-zdd".to_owned()),
        engine: read_server(&answer).map(|server| server.version).ok_or("nothing answers".to_owned()),
        compose: Ok(Version(5, 6, 1)),
        plugin: read_plugins(&answer, "zdd").ok(),
        images,
        file: vec![],
        prospects: Default::default(),
    };
    let scene = Scene { project: project.as_ref(), facts: Some(&facts), ..Scene::default() };
    for finding in advice::findings(&scene, Place::Doctor) {
        assert!(!finding.problem.is_empty() && !finding.remedy.is_empty(), "{finding:?}");
    }
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
