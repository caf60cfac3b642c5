//! What keeps two generations from living side by side, and what only looks like it.

use zdd::project::{Hazard, Overrides, Project, hazards};

use crate::make::{project, read};

fn all() -> Project {
    read(include_str!("data/config/hazards.yaml"), &Overrides::default()).expect("a good file")
}

/// Each hazard with its key, its problem and its remedy, a line each.
fn of(name: &str) -> String {
    of_project(&all(), name)
}

fn of_project(project: &Project, name: &str) -> String {
    let line = |hazard: &Hazard| format!("{}: {hazard}; {}", hazard.key(), hazard.remedy());
    hazards(name, project).iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn ports() {
    let remedy = |port: &str| {
        format!(
            "ports: host port {port} can belong to one container only; run \"docker zdd init\" to let a proxy publish \
             {port}, or write a range with room for twice the replicas"
        )
    };
    assert_eq!(of("fixed-port"), remedy("8080"));
    assert_eq!(of("udp-port"), remedy("5353"));
    assert_eq!(of("host-port"), remedy("8443"));
    assert_eq!(of("port-block"), format!("{}\n{}", remedy("3000"), remedy("3001")));
    let range = remedy("8000-8002").replace(
        "host port 8000-8002 can belong to one container only",
        "host ports 8000-8002 have room for 3 containers only",
    );
    assert_eq!(of("narrow-range"), range);
}

#[test]
fn names_and_addresses() {
    assert_eq!(
        of("name"),
        "container_name: the container name \"the-one\" can be taken only once; remove container_name"
    );
    let address = |address: &str| {
        format!(
            "networks: the address {address} on network \"back\" can be taken only once; remove the address and use \
             the service's name"
        )
    };
    assert_eq!(of("address"), format!("{}\n{}", address("10.9.0.5"), address("fd00::5")));
    let mac = |address: &str| {
        format!("mac_address: the MAC address {address} can be taken only once; remove mac_address")
    };
    assert_eq!(of("mac"), mac("02:42:ac:11:00:02"));
    assert_eq!(of("network-mac"), mac("02:42:ac:11:00:03"));
}

#[test]
fn the_host_s_network() {
    let text = "network_mode: on the host's network both generations want the same ports; use a bridge network and \
                publish the port by a proxy";
    assert_eq!(of("host-network"), text);
    assert_eq!(of("host-network-many"), text);
}

#[test]
fn shared_namespaces_from_both_sides() {
    let remedy = "give each service its own namespace, on one network";
    for (side, key) in [
        ("side-network", "network_mode"),
        ("side-ipc", "ipc"),
        ("side-pid", "pid"),
        ("side-volumes", "volumes_from"),
    ] {
        assert_eq!(of(side), format!("{key}: it lives in a container of \"main\" ({key}); {remedy}"));
        let other = format!("{key}: \"{side}\" lives in its container ({key}); {remedy}");
        assert!(of("main").lines().any(|line| line == other), "{}", of("main"));
    }
    assert_eq!(of("main").lines().count(), 4);
}

#[test]
fn one_writer_on_a_volume() {
    let remedy = "write \"x-zdd: {strategy: rolling}\" if two may write at once";
    let line = |source: &str, target: &str| {
        format!(
            "volumes: its only replica writes to volume \"{source}\" at {target}, and two generations would write at \
             once; {remedy}"
        )
    };
    assert_eq!(of("database"), line("data", "/var/lib/data"), "one reason is enough");
    assert_eq!(of("bind"), line("/srv/app/data", "/data"));
    assert_eq!(of("backup"), line("data", "/data"), "another image writes there too, which is no consent");
}

/// A new version changes what the old one runs from.
#[test]
fn code_in_a_volume_that_two_share() {
    assert!(of("code").starts_with("volumes: its only replica writes to volume \"site\""), "{}", of("code"));
}

#[test]
fn the_network_of_a_container() {
    let text = "network_mode: it has the network of container \"abc\", where both generations want the same ports; \
                give each service its own namespace, on one network";
    assert_eq!(of("in-container"), text);
}

#[test]
fn one_scheduler() {
    let line = |word: &str| {
        format!(
            "command: it is a scheduler (\"{word}\"), and two would do everything twice; write \
             \"x-zdd: {{strategy: rolling}}\" if two may run at once"
        )
    };
    assert_eq!([of("beat"), of("cron")], [line("beat"), line("crond")]);
    for (service, word) in [
        ("c: {image: i, entrypoint: [/cron.sh]}", "cron.sh"),
        ("c: {image: i, entrypoint: [schedule-functions]}", "schedule-functions"),
        ("c: {image: i, command: [php, artisan, 'schedule:work']}", "schedule:work"),
        ("c: {image: i, command: [run, taskworker-scheduler]}", "taskworker-scheduler"),
        ("c: {image: i, command: [celery, worker, --beat]}", "--beat"),
        ("app_cron: {image: i}", "app_cron"),
    ] {
        let project = project(&format!("services:\n  {service}"));
        let name = service.split(':').next().unwrap_or_default();
        assert_eq!(of_project(&project, name), line(word), "{service}");
    }
    for command in ["[heartbeat]", "[serve, --schedule-ttl=60]", "[/etc/cron.d/../serve]", "[chronicle, -B]"]
    {
        let project = project(&format!("services:\n  c: {{image: i, command: {command}}}"));
        assert_eq!(of_project(&project, "c"), "", "{command}");
    }
}

#[test]
fn every_reason_is_named() {
    let keys: Vec<_> = hazards("everything", &all()).iter().map(Hazard::key).collect();
    assert_eq!(keys, ["container_name", "ports", "ports", "networks", "volumes"]);
}

#[test]
fn what_only_looks_like_it() {
    for name in [
        "web",
        "worker",
        "many-beats",
        "wide-range",
        "ephemeral",
        "exposed",
        "read-only",
        "socket",
        "anonymous",
        "two-writers",
        "no-writer",
        "aliased",
        "host-ipc",
        "outside",
        "no-network",
    ] {
        assert_eq!(of(name), "", "{name}");
    }
}

#[test]
fn room_in_a_range_counts_both_generations() {
    let of = |range: &str, scale: u32| {
        let yaml = format!(
            "services: {{web: {{image: app, scale: {scale}, ports: [{{target: 80, published: {range}}}]}}}}"
        );
        hazards("web", &project(&yaml)).len()
    };
    assert_eq!((of("8000-8001", 1), of("8000-8000", 1)), (0, 1));
    assert_eq!((of("8000-8005", 3), of("8000-8004", 3)), (0, 1));
    assert_eq!((of("8000-8001", 0), of("'8000'", 0)), (0, 1));
}

#[test]
fn what_is_not_a_port_is_not_a_panic() {
    for published in ["''", "'-'", "8000-", "-8000", "9000-8000", "x-y", "'*'"] {
        let yaml =
            format!("services: {{web: {{image: app, ports: [{{target: 80, published: {published}}}]}}}}");
        project(&yaml);
    }
}

#[test]
fn a_flag_that_scales_counts_for_volumes_and_ports() {
    let yaml = include_str!("data/config/hazards.yaml");
    let scale = [("database", 2), ("wide-range", 3)].map(|(name, n)| (name.to_owned(), n)).into();
    let project = read(yaml, &Overrides { scale, ..Overrides::default() });
    let project = project.expect("a good file");
    assert_eq!(of_project(&project, "database"), "");
    assert_eq!(hazards("wide-range", &project).len(), 1);
}
