//! Services that live in a container that the file names, by its name or its ID.

use insta::assert_snapshot;
use zdd::{
    engine::Container,
    plan::{Plan, Request},
    project::hazards,
};

use crate::make::{self, current, outdated, project};

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn with(mode: &str) -> String {
    format!("services: {{side: {{image: app, {mode}}}, main: {{image: app}}}}")
}

fn main_and_side(main: Container) -> [Container; 2] {
    [Container { id: ID.to_owned(), ..main }, current("side", 1)]
}

fn plan(file: &str, containers: &[Container], request: &Request) -> Plan {
    let mut project = project(file);
    project.find_hosts(containers);
    make::plan(&project, &make::observed(&project, containers), request)
}

#[test]
fn every_key_and_every_form_is_found() {
    for (mode, key) in [
        ("network_mode: 'container:app-main-1'", "network_mode"),
        ("pid: 'container:app-main-1'", "pid"),
        ("ipc: 'container:app-main-1'", "ipc"),
        ("volumes_from: ['container:app-main-1:ro']", "volumes_from"),
        ("ipc: 'container:app_main_7'", "ipc"),
    ] {
        let project = project(&with(mode));
        let of = |name: &str| hazards(name, &project).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(of("side"), [format!("it lives in a container of \"main\" ({key})")], "{mode}");
        assert_eq!(of("main"), [format!("\"side\" lives in its container ({key})")], "{mode}");
    }
}

#[test]
fn a_container_may_have_a_name_of_its_own() {
    let named = with("pid: 'container:the-one'").replace("main: {", "main: {container_name: the-one, ");
    let of_main = |file: &str| hazards("main", &project(file)).len();
    assert_eq!(of_main(&named), 2);
    assert_eq!(of_main(&with("pid: 'container:the-one'")), 0, "of another project");
    assert_eq!(of_main(&with("pid: 'container:app-main-x'")), 0);
    let renamed = Container { name: "the-one".to_owned(), ..current("main", 1) };
    let mut project = project(&with("pid: 'container:the-one'"));
    project.find_hosts(&[renamed]);
    assert_eq!(hazards("main", &project).len(), 1, "as the engine says");
}

#[test]
fn whoever_lives_in_a_named_container_follows_it() {
    let file = with("network_mode: 'container:app-main-1'");
    let request = Request { allow_downtime: true, ..Request::default() };
    assert_snapshot!(plan(&file, &main_and_side(outdated("main", 1)), &request), @"
    Project app
      main  recreate   configuration changed
              1. let Compose remove app-main-1 and start the new version (no rollback)
              2. wait until healthy, or running 10s without a healthcheck
            note: its requests fail from the stop of the old container to the start of the new
      side  recreate   it lives in the container of main, which is replaced
              1. create 1 new container (scale 2; rollback: remove)
              2. drain app-side-1
              3. stop app-side-1 (rollback: start again)
              4. start 1 new container (rollback: remove)
              5. wait until healthy, or running 10s without a healthcheck
              6. remove app-side-1
            note: its requests fail from the stop of the old container to the start of the new
    ");
    let unchanged = plan(&file, &main_and_side(current("main", 1)), &request);
    assert!(!unchanged.changes(), "{unchanged}");
}

/// One lives in a container that itself lives in one.
#[test]
fn they_follow_one_after_the_other() {
    let file = "services: {a: {image: app, pid: 'container:app-b-1'}, b: {image: app, pid: 'container:app-c-1'}, c: {image: app}}";
    let containers = [current("a", 1), current("b", 1), outdated("c", 1)];
    let plan = plan(file, &containers, &Request { allow_downtime: true, ..Request::default() });
    let order: Vec<_> = plan.services.iter().map(|s| (s.service.as_str(), s.replaces())).collect();
    assert_eq!(order, [("c", true), ("b", true), ("a", true)], "{plan}");
}

#[test]
fn a_container_that_is_named_by_its_id_stays() {
    for id in [ID, &ID[..12]] {
        let file = with(&format!("network_mode: 'container:{id}'"));
        let request = Request { allow_downtime: true, ..Request::default() };
        let plan = plan(&file, &main_and_side(outdated("main", 1)), &request);
        let refusal = &plan.services.iter().find(|s| s.service == "main").expect("main").refusals[0];
        assert_eq!(
            refusal.to_string(),
            format!(
                "network_mode: \"side\" names its container by the ID {id} (network_mode), which a new one does not \
                 have; let network_mode of \"side\" name the service"
            )
        );
    }
}

/// The next one would have another name.
#[test]
fn nobody_may_insist_on_rolling_it() {
    let file = with("pid: 'container:app-main-1'").replace("main: {", "main: {x-zdd: {strategy: rolling}, ");
    assert!(plan(&file, &main_and_side(outdated("main", 1)), &Request::default()).refused());
}
