//! Networks with few addresses: smaller batches, one service after the other, or a refusal before anything is touched.

use insta::assert_snapshot;
use zdd::{
    engine::{Container, Network},
    helper::Presence,
    plan::{Plan, Request},
    platform::compose::Observed,
};

use crate::make::{self, current, outdated, project};

const THREE: &str = "services: {web: {image: app, scale: 3, networks: {default: null}}}\nnetworks: {default: {name: app_default}}";

fn three() -> Vec<Container> {
    [1, 2, 3].map(|n| outdated("web", n)).into()
}

fn planned(file: &str, containers: &[Container], free: u32, request: &Request) -> Plan {
    let project = project(file);
    let network = Network { name: "app_default".to_owned(), free: Some(free), ..Network::default() };
    let observed = Observed { networks: vec![network], ..make::observed(&project, containers) };
    make::plan(&project, &observed, request)
}

#[test]
fn batches_are_as_large_as_there_are_addresses() {
    assert_snapshot!(planned(THREE, &three(), 2, &Request::default()), @"
    Project app
      web  roll       configuration changed
             1. start 2 new containers (scale 5; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app-web-1, app-web-2
             4. stop app-web-1, app-web-2 (rollback: start again)
             5. start 1 new container (scale 6, leaving the stopped ones stopped; rollback: remove)
             6. wait until healthy, or running 10s without a healthcheck
             7. drain app-web-3
             8. stop app-web-3 (rollback: start again)
             9. remove app-web-1, app-web-2, app-web-3
           note: 2 at a time: its network has no more free addresses; give it a larger subnet
    ");
    let enough = planned(THREE, &three(), 3, &Request::default());
    assert_eq!((enough.services[0].batches(), enough.services[0].notes.len()), (1, 0));
    let written = THREE.replace("scale: 3", "scale: 3, x-zdd: {parallelism: 1}");
    let smaller = planned(&written, &three(), 2, &Request::default());
    assert_eq!((smaller.services[0].batches(), smaller.services[0].notes.len()), (3, 0), "as it is written");
}

#[test]
fn without_any_only_a_downtime_helps() {
    assert_snapshot!(planned(THREE, &three(), 0, &Request::default()), @r#"
    Project app
      web  recreate   configuration changed
           refused: networks: network "app_default" has no free address for new containers beside the old ones; give the network a larger subnet
           note: its requests fail from the stop of the old container to the start of the new
    "#);
    let agreed = planned(THREE, &three(), 0, &Request { allow_downtime: true, ..Request::default() });
    assert!(!agreed.refused(), "{agreed}");
    let rolling = THREE.replace("scale: 3", "scale: 3, x-zdd: {strategy: rolling}");
    assert!(planned(&rolling, &three(), 0, &Request::default()).refused());
}

/// They give theirs back before they need one.
#[test]
fn stop_first_needs_none() {
    let file = THREE.replace("scale: 3", "scale: 3, x-zdd: {order: stop-first, parallelism: 1}");
    let plan = planned(&file, &three(), 0, &Request::default());
    assert!(!plan.refused() && plan.services[0].batches() == 3, "{plan}");
}

/// What stands in for a container has an address of its own.
#[test]
fn nothing_can_be_held_without_one() {
    let file = THREE.replace("scale: 3", "ports: [{published: \"80\", target: 80}]");
    let project = project(&file);
    let observed = |free: u32| Observed {
        networks: vec![Network { name: "app_default".to_owned(), free: Some(free), ..Network::default() }],
        helper: Presence::Ready,
        ..make::observed(&project, &[outdated("web", 1)])
    };
    assert!(!make::plan(&project, &observed(1), &Request::default()).refused());
    assert!(make::plan(&project, &observed(0), &Request::default()).refused());
}

#[test]
fn more_replicas_than_addresses_are_refused() {
    assert_snapshot!(planned(THREE, &[current("web", 1)], 1, &Request::default()), @r#"
    Project app
      web  blocked    cannot be done as written
           refused: networks: 2 replicas more of it need an address each, and network "app_default" has 1 left; give the network a larger subnet, or run fewer replicas
    "#);
    assert!(!planned(THREE, &[current("web", 1)], 2, &Request::default()).refused());
    assert!(planned(THREE, &[outdated("web", 1)], 1, &Request::default()).refused(), "a change of it, too");
}

#[test]
fn services_that_do_not_fit_at_once_go_one_after_the_other() {
    let file = THREE.replace(
        "services: {",
        "services: {api: {image: app, networks: {default: null}}, far: {image: app}, ",
    );
    let containers = [three(), vec![outdated("api", 1), outdated("far", 1)]].concat();
    let after = |free: u32| {
        let plan = planned(&file, &containers, free, &Request::default());
        plan.services
            .iter()
            .map(|s| format!("{} after {:?}", s.service, s.after))
            .collect::<Vec<_>>()
            .join(", ")
    };
    assert_eq!(after(4), "api after [], far after [], web after []");
    assert_eq!(after(3), r#"api after [], far after [], web after ["api"]"#);
}
