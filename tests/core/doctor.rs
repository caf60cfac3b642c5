//! Each finding of `docker zdd doctor`, what brings it about, and that its own lines fix it.

use std::collections::BTreeMap;

use serde_yaml::Value;
use zdd::{
    advice::{self, Facts, Finding, Place, Scene, Severity},
    engine::{Healthcheck, Image, Plugin, Version},
    plan::Prospect,
    project::{Overrides, Project},
};

use crate::make::{self, seconds};

/// A service of which there is nothing to say.
const GOOD: &str = "image: web:1
healthcheck: {test: [CMD, /web, health], interval: 2s, timeout: 2s, retries: 3}
restart: always
deploy: {replicas: 2}
";

pub fn facts() -> Facts {
    let plugin =
        Plugin { path: "/p/docker-zdd".to_owned(), version: "v0.1.0".to_owned(), ..Plugin::default() };
    Facts {
        own_version: "v0.1.0".to_owned(),
        own_path: Some("/p/docker-zdd".to_owned()),
        engine: Ok("28.2.2".to_owned()),
        compose: Ok(Version(5, 6, 1)),
        plugin: Some(vec![plugin]),
        images: [("web:1".to_owned(), Image::default())].into(),
        file: vec![],
        prospects: BTreeMap::new(),
    }
}

/// A file whose service `web` is the good one with these keys over it, and these services beside it.
fn file(web: &str, others: &str) -> Value {
    let mut service: Value = serde_yaml::from_str(GOOD).expect("YAML");
    merge(&mut service, &serde_yaml::from_str(web).expect("YAML"));
    let others = if others.is_empty() { "{}" } else { others };
    let mut services: Value = serde_yaml::from_str(others).expect("YAML");
    services.as_mapping_mut().expect("services").insert("web".into(), service);
    let mut file: Value = serde_yaml::from_str("name: shop").expect("YAML");
    file.as_mapping_mut().expect("a file").insert("services".into(), services);
    file
}

/// Mappings key by key, all else replaced; null takes a key away.
fn merge(value: &mut Value, over: &Value) {
    let (Some(map), Some(over)) = (value.as_mapping_mut(), over.as_mapping()) else { return };
    for (key, new) in over {
        match map.get_mut(key) {
            _ if new.is_null() => drop(map.remove(key)),
            Some(old) if old.is_mapping() && new.is_mapping() => merge(old, new),
            _ => drop(map.insert(key.clone(), new.clone())),
        }
    }
}

/// `source:target:ro` and `"80"` in the form that Compose resolves them to.
fn resolved(file: &Value) -> Value {
    let mut file = file.clone();
    for (_, service) in file["services"].as_mapping_mut().expect("services").iter_mut() {
        for volume in service.get_mut("volumes").and_then(Value::as_sequence_mut).into_iter().flatten() {
            if let Some(text) = volume.as_str().map(str::to_owned) {
                let parts: Vec<_> = text.split(':').collect();
                let long = format!(
                    "{{type: volume, source: {}, target: {}, read_only: {}}}",
                    parts[0],
                    parts[1],
                    parts[2] == "ro"
                );
                *volume = serde_yaml::from_str(&long).expect("YAML");
            }
        }
        for port in service.get_mut("ports").and_then(Value::as_sequence_mut).into_iter().flatten() {
            if let Some(text) = port.as_str().map(str::to_owned) {
                *port = serde_yaml::from_str(&format!("{{target: {text}}}")).expect("YAML");
            }
        }
    }
    file
}

fn found_in(file: &Value, facts: &Facts) -> Vec<Finding> {
    let text = serde_yaml::to_string(&resolved(file)).expect("YAML");
    let project = make::read(&text, &Overrides::default()).expect("a project");
    findings(Some(&project), facts)
}

pub fn findings(project: Option<&Project>, facts: &Facts) -> Vec<Finding> {
    let scene = Scene { project, facts: Some(facts), ..Scene::default() };
    advice::findings(&scene, Place::Doctor)
}

pub fn codes(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.code).collect()
}

/// The only finding for a `web` with these keys. Where it has lines to write, writing them must fix it.
fn only(web: &str, facts: &Facts) -> Finding {
    only_of(&file(web, ""), facts)
}

fn only_of(file: &Value, facts: &Facts) -> Finding {
    let mut found = found_in(file, facts);
    assert_eq!(found.len(), 1, "{found:#?}");
    let finding = found.remove(0);
    assert!(!finding.remedy.is_empty(), "{finding:#?}");
    if let Some(yaml) = &finding.yaml {
        let mut fixed = file.clone();
        merge(&mut fixed, &serde_yaml::from_str(yaml).expect("YAML to write"));
        let left = found_in(&fixed, facts);
        assert!(!codes(&left).contains(&finding.code), "its own lines do not fix it: {finding:#?}");
    }
    finding
}

fn shown(web: &str) -> (Severity, String) {
    shown_by(web, &facts())
}

fn shown_by(web: &str, facts: &Facts) -> (Severity, String) {
    let finding = only(web, facts);
    (finding.severity, finding.problem)
}

fn error(problem: &str) -> (Severity, String) {
    (Severity::Error, problem.to_owned())
}

fn warning(problem: &str) -> (Severity, String) {
    (Severity::Warning, problem.to_owned())
}

fn hint(problem: &str) -> (Severity, String) {
    (Severity::Hint, problem.to_owned())
}

#[test]
fn nothing() {
    assert_eq!(found_in(&file("", ""), &facts()), []);
    assert_eq!(findings(None, &facts()), []);
}

#[test]
fn no_healthcheck() {
    let finding = only("{healthcheck: null, ports: [{target: 8000}]}", &facts());
    assert_eq!(finding.severity, Severity::Warning);
    assert_eq!(finding.path, ["services", "web", "healthcheck"]);
    assert_eq!(
        finding.problem,
        "no healthcheck: a new container counts as good once it has run for 10s, whether it answers or not"
    );
    assert_eq!(
        finding.yaml.as_deref(),
        Some(
            r#"services:
  web:
    healthcheck:
      test: ["CMD", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8000/"]
      interval: 2s
      timeout: 2s
      retries: 3
      start_period: 30s
"#
        )
    );
    for off in ["{healthcheck: {disable: true}}", "{healthcheck: {test: [NONE]}}"] {
        let found = found_in(&file(off, ""), &facts());
        assert_eq!(codes(&found), ["no-healthcheck"], "{off}");
    }
}

#[test]
fn the_image_may_have_the_healthcheck() {
    let check = Healthcheck { interval: Some(seconds(2)), ..Healthcheck::default() };
    let image = Image { healthcheck: Some(check), stop_signal: None };
    let known = Facts { images: [("web:1".to_owned(), image)].into(), ..facts() };
    assert_eq!(found_in(&file("healthcheck: null", ""), &known), []);
    let unknown = Facts { images: BTreeMap::new(), ..facts() };
    let (severity, problem) = shown_by("healthcheck: null", &unknown);
    assert_eq!(severity, Severity::Warning);
    assert!(problem.contains("its image is not here to be asked"), "{problem}");
}

#[test]
fn a_database_is_asked_by_its_own_program() {
    let web = "{image: 'registry.example/postgres:16-alpine', healthcheck: null}";
    let known = Facts {
        images: [("registry.example/postgres:16-alpine".to_owned(), Image::default())].into(),
        ..facts()
    };
    let yaml = only(web, &known).yaml.expect("lines");
    assert!(yaml.contains("pg_isready"), "{yaml}");
}

#[test]
fn a_first_probe_that_comes_late() {
    let late = "healthcheck: {interval: null}";
    let problem = "it is probed for the first time 30s after its start, so every rollout waits that long";
    assert_eq!(shown(late), warning(problem));
    assert!(only(late, &facts()).yaml.expect("lines").contains("start_interval: 1s"));
    let old = Facts { engine: Ok("20.10.24+dfsg1".to_owned()), ..facts() };
    assert!(only(late, &old).yaml.expect("lines").contains("interval: 2s"));
    let quick = "healthcheck: {interval: 30s, start_period: 30s, start_interval: 1s}";
    assert_eq!(found_in(&file(quick, ""), &facts()), []);
    assert_eq!(
        shown_by(quick, &old),
        warning(
            "it is probed for the first time 30s after its start, because Docker Engine 20.10.24+dfsg1 does not know start_interval"
        )
    );
}

#[test]
fn a_deadline_before_the_first_probe() {
    assert_eq!(
        shown("{healthcheck: {interval: 5s}, x-zdd: {wait_timeout: 5s}}"),
        error("it cannot pass: wait_timeout is 5s, and the first probe comes after 5s")
    );
}

/// In the start period the engine goes by `start_interval`, whose default is 5s.
#[test]
fn a_start_period_decides_when_the_first_probe_comes() {
    let patient = "{healthcheck: {interval: 30s, start_period: 1m}, x-zdd: {wait_timeout: 20s}}";
    assert_eq!(found_in(&file(patient, ""), &facts()), []);
    let old = Facts { engine: Ok("24.0.9".to_owned()), ..facts() };
    assert_eq!(codes(&found_in(&file(patient, ""), &old)), ["wait-timeout", "slow-healthcheck"]);
    let hasty = "{healthcheck: {interval: 1s, start_period: 1m}, x-zdd: {wait_timeout: 4s}}";
    assert_eq!(shown(hasty), error("it cannot pass: wait_timeout is 4s, and the first probe comes after 5s"));
    assert_eq!(found_in(&file(hasty, ""), &old), []);
    let short = "{healthcheck: {interval: 1s, start_period: 3s}, x-zdd: {wait_timeout: 4s}}";
    assert_eq!(found_in(&file(short, ""), &facts()), []);
}

#[test]
fn draining_until_it_is_unhealthy() {
    let hook = "pre_stop: [{command: [touch, /tmp/drain]}]";
    assert_eq!(found_in(&file(&format!("{{{hook}, x-zdd: {{drain: unhealthy}}}}"), ""), &facts()), []);
    assert_eq!(
        shown("x-zdd: {drain: unhealthy}"),
        warning("it drains until it is unhealthy, but no pre_stop hook makes its healthcheck fail")
    );
    assert_eq!(
        shown(&format!("{{{hook}, x-zdd: {{drain: unhealthy, drain_timeout: 6s}}}}")),
        warning(
            "it drains until it is unhealthy, which takes up to 8s (interval 2s × retries 3 + timeout 2s), but drain_timeout is 6s"
        )
    );
    let found =
        found_in(&file(&format!("{{{hook}, healthcheck: null, x-zdd: {{drain: unhealthy}}}}"), ""), &facts());
    assert_eq!(codes(&found), ["no-healthcheck", "drain-unchecked"]);
}

#[test]
fn what_keeps_two_generations_apart() {
    for (web, key, problem) in [
        (
            "ports: [{target: 80, published: '8080'}]",
            "ports",
            "host port 8080 can belong to one container only",
        ),
        (
            "{deploy: {replicas: 1}, mac_address: '02:42:ac:11:65:43'}",
            "mac_address",
            "the MAC address 02:42:ac:11:65:43 can be taken only once",
        ),
        ("network_mode: host", "network_mode", "on the host's network both generations want the same ports"),
    ] {
        let found = found_in(&file(web, ""), &facts());
        let finding = &found[0];
        assert_eq!(finding.path, ["services", "web", key]);
        assert!(finding.problem.ends_with(problem), "{finding:#?}");
    }
    let volume = "{deploy: {replicas: 1}, volumes: [{type: volume, source: data, target: /data}]}";
    assert_eq!(
        shown(volume),
        warning(
            "it cannot be rolled, and \"up\" refuses to without --allow-downtime: its only replica writes to volume \"data\" at /data, and two generations would write at once"
        )
    );
    let named = "{deploy: {replicas: 1}, container_name: web}";
    assert_eq!(only(named, &facts()).code, "cannot-roll");
    assert_eq!(
        shown("container_name: web"),
        error("its 2 replicas cannot run: the container name \"web\" can be taken only once")
    );
}

#[test]
fn downtime_that_was_accepted_is_none_of_the_doctor_s_business() {
    let web = "{deploy: {replicas: 1}, container_name: web, x-zdd: {strategy: recreate}}";
    assert_eq!(found_in(&file(web, ""), &facts()), []);
}

#[test]
fn what_is_held_is_a_hint() {
    let held = Facts { prospects: [("web".to_owned(), Prospect::Held)].into(), ..facts() };
    let finding = only("{deploy: {replicas: 1}, ports: [{target: 80, published: '80'}]}", &held);
    assert_eq!((finding.severity, finding.code, finding.yaml), (Severity::Hint, "held", None));
    assert!(finding.problem.starts_with("its visitors wait while it is replaced, as host port 80"));
}

/// Nothing that it advises can destroy data.
#[test]
fn a_database_wants_consent() {
    let images = [("postgres:16".to_owned(), Image::default())].into();
    let prospects = [("web".to_owned(), Prospect::NeedsConsent)].into();
    let web = "{image: 'postgres:16', deploy: {replicas: 1}, volumes: [{type: volume, source: data, target: /var/lib/postgresql}]}";
    let finding = only(web, &Facts { images, prospects, ..facts() });
    assert_eq!((finding.severity, finding.code), (Severity::Warning, "cannot-roll"));
    assert!(
        finding.problem.starts_with("it is PostgreSQL, and \"up\" does not replace it before you agree: ")
    );
    assert!(finding.remedy.starts_with("write \"x-zdd: {strategy: held}\" to agree"), "{}", finding.remedy);
}

#[test]
fn an_image_without_a_version() {
    for (image, reference) in [("web", "web"), ("web:latest", "web:latest"), ("r:5000/web", "r:5000/web")] {
        let known = Facts { images: [(reference.to_owned(), Image::default())].into(), ..facts() };
        let finding = only(&format!("image: '{image}'"), &known);
        assert_eq!((finding.severity, finding.code), (Severity::Hint, "latest"), "{image}");
    }
    let built = "{image: web, build: {context: .}}";
    let known = Facts { images: [("web".to_owned(), Image::default())].into(), ..facts() };
    assert_eq!(found_in(&file(built, ""), &known), []);
}

#[test]
fn too_little_time_to_end() {
    assert_eq!(
        shown("stop_grace_period: 500ms"),
        warning("it has 500ms to end after the stop signal: whatever it is answering then is cut off")
    );
}

#[test]
fn a_signal_on_which_it_does_not_finish() {
    assert_eq!(
        shown("stop_signal: KILL"),
        warning("it is stopped with SIGKILL: it cannot finish what it is answering")
    );
    let sentence = "it is stopped with SIGTERM, but its image shuts down cleanly on SIGQUIT";
    let image = Image { healthcheck: None, stop_signal: Some("SIGQUIT".to_owned()) };
    let known = Facts { images: [("web:1".to_owned(), image)].into(), ..facts() };
    assert_eq!(shown_by("stop_signal: SIGTERM", &known), warning(sentence));
    assert_eq!(found_in(&file("stop_signal: QUIT", ""), &known), []);
    let unknown = Facts { images: BTreeMap::new(), ..facts() };
    assert_eq!(shown_by("{image: 'nginx:1.27', stop_signal: '15'}", &unknown), warning(sentence));
    assert_eq!(found_in(&file("stop_signal: SIGUSR2", ""), &facts()), []);
}

#[test]
fn traefik_must_notice() {
    let routed = "labels: {traefik.http.routers.web.rule: PathPrefix(`/`)}";
    assert_eq!(found_in(&file(routed, ""), &facts()), [], "its connections are handed over");
    let without = format!("{{{routed}, x-zdd: {{helper: off}}}}");
    assert_eq!(codes(&found_in(&file(&without, ""), &facts())), ["traefik"]);
    let ready = format!(
        "{{{routed}, pre_stop: [{{command: [touch, /tmp/drain]}}], x-zdd: {{settle: 3s, drain: {{until: unhealthy, plus: 3s}}}}}}"
    );
    assert_eq!(found_in(&file(&ready, ""), &facts()), []);
    let unsettled = ready.replace("settle: 3s, ", "");
    assert!(shown(&unsettled).1.contains("\"settle\" does not wait"));
    assert_eq!(found_in(&file("labels: {traefik.enable: 'false'}", ""), &facts()), []);
}

#[test]
fn stopping_all_before_starting_any() {
    assert_eq!(
        shown("x-zdd: {order: stop-first}"),
        warning("all 2 replicas are stopped before the new ones start: nothing answers meanwhile")
    );
    assert_eq!(found_in(&file("x-zdd: {order: stop-first, parallelism: 1}", ""), &facts()), []);
    let found = found_in(&file("{deploy: {replicas: 1}, x-zdd: {order: stop-first}}", ""), &facts());
    assert_eq!(codes(&found), ["stop-first", "one-replica"]);
}

#[test]
fn a_link_means_one_container() {
    let other = GOOD.replace('\n', ", ").replace("image: web:1", "{image: web:1");
    let other = format!("{{api: {other} links: [web]}}}}");
    let finding = only_of(&file("", &other), &facts());
    assert_eq!(finding.path, ["services", "api", "links"]);
    assert_eq!(finding.code, "links");
}

#[test]
fn started_is_not_healthy() {
    let other = GOOD.replace('\n', ", ").replace("image: web:1", "{image: web:1");
    let on = |condition: &str| {
        format!("{{api: {other} depends_on: {{web: {{condition: {condition}, required: true}}}}}}}}")
    };
    let finding = only_of(&file("", &on("service_started")), &facts());
    assert_eq!(finding.path, ["services", "api", "depends_on", "web"]);
    assert_eq!(
        (finding.severity, finding.problem),
        hint("it waits until web is started, not until it is healthy, although it has a healthcheck")
    );
    assert_eq!(found_in(&file("", &on("service_healthy")), &facts()), []);
}

#[test]
fn no_restart_policy_and_one_replica() {
    assert_eq!(shown("restart: null"), hint("no restart policy: after a crash, or a reboot, it stays down"));
    assert_eq!(
        shown("deploy: {replicas: 1}"),
        hint("it has one replica: a rollout loses nothing by that, but a crash does")
    );
}

#[test]
fn settings_that_are_part_of_the_hash_or_not_read() {
    let finding = only("deploy: {update_config: {parallelism: 1, delay: 5s}}", &facts());
    assert_eq!((finding.severity, finding.code), (Severity::Hint, "update-config"));
    assert_eq!(
        finding.yaml.as_deref(),
        Some("services:\n  web:\n    x-zdd:\n      parallelism: 1\n      delay: 5s\n")
    );
    assert_eq!(only("deploy: {rollback_config: {parallelism: 1}}", &facts()).code, "rollback-config");
}

#[test]
fn volumes_that_more_than_one_container_writes_to() {
    let volume = "volumes: [{type: volume, source: data, target: /data}]";
    assert_eq!(
        shown(volume),
        hint(
            "all its replicas write to \"data\", and during a rollout the old version and the new one both do"
        )
    );
    let sockets = "volumes: [{type: bind, source: /run/docker.sock, target: /run/docker.sock}]";
    assert_eq!(found_in(&file(sockets, ""), &facts()), []);
    let read_only = "volumes: [{type: volume, source: data, target: /data, read_only: true}]";
    assert_eq!(found_in(&file(read_only, ""), &facts()), []);
}

#[test]
fn jobs_are_spared() {
    let other = GOOD.replace('\n', ", ").replace("image: web:1", "{image: web:1");
    let job =
        "job: {image: 'web:1', stop_grace_period: 0s, volumes: [{type: volume, source: d, target: /d}]}";
    let others = format!(
        "{{{job}, api: {other} depends_on: {{job: {{condition: service_completed_successfully, required: true}}}}}}}}"
    );
    assert_eq!(found_in(&file("", &others), &facts()), []);
}

#[test]
fn the_worst_comes_first() {
    let found = found_in(&file("{restart: null, healthcheck: null, container_name: web}", ""), &facts());
    assert_eq!(codes(&found), ["too-many-replicas", "no-healthcheck", "restart"]);
}
