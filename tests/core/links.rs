//! Names that others are linked to.

use insta::assert_snapshot;
use zdd::engine::{Container, container::Endpoint};

use crate::make::{current, outdated, planned};

const FILE: &str = "services: {web: {image: app, scale: 2}, lb: {image: lb, links: [web]}}";

/// As its links are after it was started: `NAME:ALIAS`.
fn linked(links: &[&str]) -> Container {
    let links = links.iter().map(|link| (*link).to_owned()).collect();
    let mut lb = current("lb", 1);
    lb.networks.insert("app_default".to_owned(), Endpoint { links, ..Endpoint::default() });
    lb
}

/// As docker-compose 1 has named it.
fn first(number: u32) -> Container {
    Container { name: format!("app_web_{number}"), ..outdated("web", number) }
}

fn called(name: &str, container: Container) -> Container {
    Container { name: name.to_owned(), ..container }
}

fn plan_of_web(file: &str, containers: &[Container]) -> String {
    let mut plan = planned(file, containers);
    plan.services.retain(|service| service.service == "web");
    plan.to_string()
}

#[test]
fn a_new_one_gets_the_name_before_the_old_one_stops() {
    let lb = linked(&["app_web_1:web", "app_web_1:web_1", "app_web_1:app_web_1"]);
    assert_snapshot!(plan_of_web(FILE, &[first(1), first(2), lb]), @"
    Project app
      web  roll       configuration changed
             1. start 2 new containers (scale 4; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app_web_1, app_web_2
             4. give the name app_web_1 to who stays (rollback: give it back)
             5. stop app_web_1, app_web_2 (rollback: start again)
             6. remove app_web_1, app_web_2
    ");
}

#[test]
fn each_batch_hands_on_what_it_stops() {
    let file = "services: {web: {image: app, scale: 2, x-zdd: {parallelism: 1}}, lb: {image: lb}}";
    let lb = linked(&["app_web_1:web", "app_web_2:web"]);
    assert_snapshot!(plan_of_web(file, &[first(1), first(2), lb]), @"
    Project app
      web  roll       configuration changed
             1. start 1 new container (scale 3; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app_web_1
             4. give the name app_web_1 to who stays (rollback: give it back)
             5. stop app_web_1 (rollback: start again)
             6. start 1 new container (scale 4, leaving the stopped ones stopped; rollback: remove)
             7. wait until healthy, or running 10s without a healthcheck
             8. drain app_web_2
             9. give the name app_web_2 to who stays (rollback: give it back)
            10. stop app_web_2 (rollback: start again)
            11. remove app_web_1, app_web_2
    ");
}

/// Docker takes the last name that an alias is given.
#[test]
fn the_name_that_the_alias_means_comes_first_where_there_are_fewer_new_ones() {
    let file = "services: {web: {image: app}, lb: {image: lb}}";
    let lb = linked(&["app_web_1:web", "app_web_2:web"]);
    assert_snapshot!(plan_of_web(file, &[first(1), first(2), lb]), @"
    Project app
      web  roll       configuration changed
             1. start 1 new container (scale 3; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app_web_1, app_web_2
             4. give the name app_web_2 to who stays (rollback: give it back)
             5. stop app_web_1, app_web_2 (rollback: start again)
             6. remove app_web_1, app_web_2
    ");
}

#[test]
fn who_must_be_alone_gets_it_before_it_starts() {
    let file = "services: {web: {image: app, x-zdd: {order: stop-first}}, lb: {image: lb}}";
    assert_snapshot!(plan_of_web(file, &[first(1), linked(&["app_web_1:web"])]), @"
    Project app
      web  roll       configuration changed
             1. drain app_web_1
             2. stop app_web_1 (rollback: start again)
             3. start 1 new container (scale 2, leaving the stopped ones stopped; rollback: remove)
             4. give the name app_web_1 to who stays (rollback: give it back)
             5. wait until healthy, or running 10s without a healthcheck
             6. remove app_web_1
    ");
}

#[test]
fn one_that_stays_gets_the_name_of_one_too_many() {
    let file = "services: {web: {image: app}, lb: {image: lb}}";
    let lb = linked(&["app-web-2:web"]);
    assert_snapshot!(plan_of_web(file, &[current("web", 1), current("web", 2), lb]), @"
    Project app
      web  scale      2 of 1 replicas run
             1. drain app-web-2
             2. give the name app-web-2 to who stays (rollback: give it back)
             3. stop app-web-2 (rollback: start again)
             4. remove app-web-2
    ");
}

/// A run was killed between the two calls: the old one has made room, and nobody has its name.
#[test]
fn a_name_that_nobody_has_is_handed_on_by_the_next_run() {
    let lb = || linked(&["app_web_1:web"]);
    let old = || {
        let id = outdated("web", 1).id;
        called(&format!("{}_app_web_1", &id[..12]), outdated("web", 1))
    };
    let file = "services: {web: {image: app}, lb: {image: lb}}";
    assert_snapshot!(plan_of_web(file, &[old(), current("web", 2), lb()]), @"
    Project app
      web  roll       configuration changed; 1 replica done before, 1 to go
             1. wait until healthy, or running 10s without a healthcheck, with app-web-2
             2. drain id-of-app-we_app_web_1
             3. give the name app_web_1 to who stays (rollback: give it back)
             4. stop id-of-app-we_app_web_1 (rollback: start again)
             5. remove id-of-app-we_app_web_1
    ");
    // And here after both: it is the new one's already.
    let done = plan_of_web(file, &[old(), called("app_web_1", current("web", 2)), lb()]);
    assert!(!done.contains("give the name"), "{done}");
}

#[test]
fn nobody_is_linked_to_it() {
    for links in [&["app_other_1:web"][..], &[]] {
        let plan = plan_of_web(FILE, &[first(1), first(2), linked(links)]);
        assert!(!plan.contains("give the name"), "{plan}");
    }
}
