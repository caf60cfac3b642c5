//! What the doctor and the plan say of a file that is for Swarm.

use zdd::{
    advice::{self, Cluster, Finding, Place, Scene, Severity},
    project::Overrides,
};

use crate::{doctor::facts, make};

const THREE: Cluster = Cluster { nodes: 3 };
const GOOD: &str = "healthcheck: {test: [CMD, /web, health], interval: 2s, timeout: 5s, retries: 3}, restart: always, \
                    deploy: {replicas: 2, endpoint_mode: dnsrr}";

/// Of the service `web`, with these keys over a good one.
fn found(cluster: Cluster, web: &str, others: &str) -> Vec<Finding> {
    let yaml = format!("name: shop\nservices:\n  web: {{image: 'shop/web:1', {web}}}\n{others}");
    let project = make::read(&yaml, &Overrides::default()).expect("a project");
    let facts = facts();
    let scene =
        Scene { project: Some(&project), facts: Some(&facts), swarm: Some(&cluster), ..Scene::default() };
    let mut found = advice::findings(&scene, Place::Doctor);
    found.retain(|finding| finding.service.as_deref() == Some("web"));
    found
}

fn codes(cluster: Cluster, web: &str, others: &str) -> String {
    let found = found(cluster, web, others);
    found.iter().map(|finding| finding.code).collect::<Vec<_>>().join(" ")
}

#[test]
fn of_a_good_service_there_is_nothing_to_say() {
    assert_eq!(codes(THREE, GOOD, ""), "");
}

#[test]
fn without_a_healthcheck_it_is_an_error() {
    let found = found(THREE, "deploy: {replicas: 2}", "");
    assert_eq!((found[0].code, found[0].severity), ("no-healthcheck", Severity::Error));
    assert_eq!(
        found[0].problem,
        "no healthcheck in the file, and its image is not here to be asked: Swarm sends a container requests as soon as \
         its program has started"
    );
}

#[test]
fn a_healthcheck_without_patience_kills() {
    let check = |times: &str| {
        codes(THREE, &format!("deploy: {{replicas: 2}}, healthcheck: {{test: a, interval: 1s, {times}}}"), "")
    };
    assert_eq!(check("timeout: 1s, retries: 3"), "impatient-healthcheck");
    assert_eq!(check("timeout: 7s, retries: 2"), "impatient-healthcheck");
    assert_eq!(check("timeout: 5s, retries: 3"), "");
    assert_eq!(check("retries: 3"), "", "Docker's timeout is 30s");
}

#[test]
fn what_lies_on_one_node_stays_there() {
    let volume = "volumes: [{type: volume, source: data, target: /data}]";
    let bind = "volumes: [{type: bind, source: /srv/site, target: /site, read_only: true}]";
    let data = |cluster: Cluster, volume: &str, driver: &str| {
        codes(cluster, &format!("{GOOD}, {volume}"), &format!("volumes: {{data: {driver}}}"))
    };
    assert_eq!(data(THREE, volume, "{}"), "local-volume");
    assert_eq!(data(Cluster { nodes: 1 }, volume, "{}"), "");
    assert_eq!(data(THREE, volume, "{driver: rexray}"), "");
    assert_eq!(data(THREE, volume, "{driver_opts: {type: nfs, device: ':/srv'}}"), "");
    assert_eq!(data(THREE, volume, "{driver_opts: {type: none, o: bind, device: /srv}}"), "local-volume");
    assert_eq!(data(THREE, bind, "{}"), "bind-mount");
    let system = "volumes: [{type: bind, source: /var/run/docker.sock, target: /var/run/docker.sock}]";
    assert_eq!(data(THREE, system, "{}"), "");
    let pinned =
        GOOD.replace("endpoint_mode", "placement: {constraints: [node.labels.disk == a]}, endpoint_mode");
    assert_eq!(codes(THREE, &format!("{pinned}, {volume}"), "volumes: {data: {}}"), "");
}

#[test]
fn an_image_must_come_to_the_nodes() {
    let built = |image: &str, cluster: Cluster| {
        let yaml = format!("{GOOD}, build: {{context: .}}").replace("shop/web:1", image);
        let others = String::new();
        let text = format!("name: shop\nservices:\n  web: {{image: '{image}', {yaml}}}\n{others}");
        let project = make::read(&text, &Overrides::default()).expect("a project");
        let scene = Scene { project: Some(&project), swarm: Some(&cluster), ..Scene::default() };
        advice::findings(&scene, Place::Doctor).iter().any(|finding| finding.code == "local-image")
    };
    assert!(built("web:1", THREE));
    assert!(!built("registry.example/web:1", THREE) && !built("shop/web:1", THREE));
    assert!(!built("web:1", Cluster { nodes: 1 }));
}

#[test]
fn a_proxy_that_goes_by_dns_wants_every_address() {
    let networks = "networks: {default: null}";
    let good = GOOD.replace(", endpoint_mode: dnsrr", "");
    let web = |keys: &str| format!("{keys}, {networks}");
    let lb =
        |image: &str, network: &str| format!("  lb: {{image: '{image}', networks: {{{network}: null}}}}\n");
    assert_eq!(codes(THREE, &web(&good), &lb("haproxy:3", "default")), "one-address");
    assert_eq!(codes(THREE, &web(GOOD), &lb("haproxy:3", "default")), "");
    assert_eq!(codes(THREE, &web(&good), &lb("haproxy:3", "other")), "");
    assert_eq!(codes(THREE, &web(&good), &lb("team/haproxy-exporter:3", "default")), "");
}

#[test]
fn traefik_reads_the_labels_of_services() {
    let labels = "labels: {traefik.enable: 'true'}";
    assert_eq!(codes(THREE, &format!("{GOOD}, {labels}"), ""), "traefik-labels");
    let both = GOOD.replace("endpoint_mode", "labels: {traefik.enable: 'true'}, endpoint_mode");
    assert_eq!(codes(THREE, &format!("{both}, {labels}"), ""), "");
}
