//! What the helper is told in the course of a rollout.

use insta::assert_snapshot;
use zdd::{
    engine::{Container, Protocol, Published},
    event::{Outcome, Verdict},
    helper::Presence,
    plan::Request,
    platform::compose::Observed,
};

use crate::{
    make::{Turned, current, outdated, project},
    world::{Trouble, World, running},
};

const TWO: &str = "services: {web: {image: app, scale: 2}}";

/// What it is told when this is brought up to date.
fn told(file: &str, containers: Vec<zdd::engine::Container>) -> String {
    let project = project(file);
    let world = World::new(&project, containers).on_a_network();
    let plan = world.plan(&Request::default());
    world.perform(&plan, None).expect("no promise is broken");
    world.host().log().join("\n")
}

#[test]
fn new_ones_are_guarded_and_old_ones_are_steered_to_them() {
    assert_snapshot!(told(TWO, vec![outdated("web", 1), outdated("web", 2)]), @"
    blink br0 10.0.0.0/24 10.0.0.2@02:42:0a:00:00:02 10.0.0.3@02:42:0a:00:00:03 10.0.0.254@02:42:0a:00:00:fe 80
    guard br0 10.0.0.4@02:42:0a:00:00:04 10.0.0.2@02:42:0a:00:00:02
    guard br0 10.0.0.5@02:42:0a:00:00:05 10.0.0.3@02:42:0a:00:00:03
    unblink
    finish 10.0.0.4
    finish 10.0.0.5
    exempt 02:42:0a:00:00:04
    exempt 02:42:0a:00:00:05
    steer br0 10.0.0.2@02:42:0a:00:00:02 10.0.0.4@02:42:0a:00:00:04
    steer br0 10.0.0.3@02:42:0a:00:00:03 10.0.0.5@02:42:0a:00:00:05
    switch br0 10.0.0.2@02:42:0a:00:00:02 10.0.0.4@02:42:0a:00:00:04
    switch br0 10.0.0.3@02:42:0a:00:00:03 10.0.0.5@02:42:0a:00:00:05
    include 02:42:0a:00:00:04
    include 02:42:0a:00:00:05
    release 10.0.0.2
    release 10.0.0.3
    include 02:42:0a:00:00:04
    include 02:42:0a:00:00:05
    ");
}

#[test]
fn in_batches_an_address_is_let_go_before_the_next_ones_start() {
    let file = "services: {web: {image: app, scale: 2, x-zdd: {parallelism: 1}}}";
    assert_snapshot!(told(file, vec![outdated("web", 1), outdated("web", 2)]), @"
    blink br0 10.0.0.0/24 10.0.0.2@02:42:0a:00:00:02 10.0.0.3@02:42:0a:00:00:03 10.0.0.254@02:42:0a:00:00:fe 80
    guard br0 10.0.0.4@02:42:0a:00:00:04 10.0.0.2@02:42:0a:00:00:02
    unblink
    finish 10.0.0.4
    exempt 02:42:0a:00:00:04
    steer br0 10.0.0.2@02:42:0a:00:00:02 10.0.0.4@02:42:0a:00:00:04
    switch br0 10.0.0.2@02:42:0a:00:00:02 10.0.0.4@02:42:0a:00:00:04
    include 02:42:0a:00:00:04
    release 10.0.0.2
    include 02:42:0a:00:00:04
    blink br0 10.0.0.0/24 10.0.0.3@02:42:0a:00:00:03 10.0.0.4@02:42:0a:00:00:04 10.0.0.254@02:42:0a:00:00:fe 80
    guard br0 10.0.0.2@02:42:0a:00:00:02 10.0.0.3@02:42:0a:00:00:03
    unblink
    finish 10.0.0.2
    exempt 02:42:0a:00:00:02
    steer br0 10.0.0.3@02:42:0a:00:00:03 10.0.0.2@02:42:0a:00:00:02
    switch br0 10.0.0.3@02:42:0a:00:00:03 10.0.0.2@02:42:0a:00:00:02
    include 02:42:0a:00:00:02
    release 10.0.0.3
    include 02:42:0a:00:00:02
    ");
}

#[test]
fn at_scale_up_those_that_serve_stand_in() {
    assert_snapshot!(told(TWO, vec![current("web", 1)]), @"
    blink br0 10.0.0.0/24 10.0.0.2@02:42:0a:00:00:02 10.0.0.254@02:42:0a:00:00:fe 80
    guard br0 10.0.0.3@02:42:0a:00:00:03 10.0.0.2@02:42:0a:00:00:02
    unblink
    finish 10.0.0.3
    ");
}

#[test]
fn at_scale_down_those_that_stay_take_over() {
    let file = "services: {web: {image: app, scale: 1}}";
    assert_snapshot!(told(file, vec![current("web", 1), current("web", 2)]), @"
    exempt 02:42:0a:00:00:02
    steer br0 10.0.0.3@02:42:0a:00:00:03 10.0.0.2@02:42:0a:00:00:02
    switch br0 10.0.0.3@02:42:0a:00:00:03 10.0.0.2@02:42:0a:00:00:02
    include 02:42:0a:00:00:02
    release 10.0.0.3
    include 02:42:0a:00:00:02
    ");
}

#[test]
fn nobody_stands_in_at_the_first_start() {
    assert_snapshot!(told(TWO, vec![]), @"");
    assert_snapshot!(told(TWO, vec![current("web", 1).exited(0)]), @"");
}

#[test]
fn a_service_that_does_not_want_a_helper_has_none() {
    let file = "services: {web: {image: app, scale: 1, x-zdd: {helper: off}}}";
    assert_snapshot!(told(file, vec![outdated("web", 1)]), @"");
}

#[test]
fn a_plan_says_why_there_is_none() {
    let project = project(TWO);
    let world = World::new(&project, vec![outdated("web", 1)]);
    let mut observed = world.observed();
    observed.helper = Presence::Unavailable("the engine runs on windows".to_owned());
    let plan = crate::make::plan(&project, &observed, &Request::default());
    assert_snapshot!(plan, @r#"
    Project app
      web  roll       configuration changed
             1. start 2 new containers (scale 3; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app-web-1
             4. stop app-web-1 (rollback: start again)
             5. remove app-web-1
           note: connections are not handed over to the new containers: the engine runs on windows; "x-zdd: {helper: off}" says that this is known
    "#);
}

/// rootlesskit takes the connections to ports of the machine, and refuses them when nothing is behind.
#[test]
fn a_rootless_engine_keeps_those_within_its_networks_waiting() {
    let plan = |file: &str| {
        let project = project(file);
        let world = World::new(&project, vec![outdated("web", 1)]).on_a_network();
        let observed = Observed { helper: Presence::WithinNetworks, ..world.observed() };
        crate::make::plan(&project, &observed, &Request::default()).to_string()
    };
    let port = plan("services: {web: {image: app, ports: [{target: 80, published: '80'}]}}");
    let said =
        "connections cannot wait (the engine is rootless: the port is closed when the old container stops)";
    assert!(port.contains(said), "{port}");
    let volume =
        plan("services: {web: {image: app, volumes: [{type: volume, source: data, target: /data}]}}");
    assert!(volume.contains("let new connections to app-web-1 wait"), "{volume}");
    assert!(plan(TWO).contains("new ones go to its successor"), "{}", plan(TWO));
}

#[test]
fn connections_wait_where_a_container_must_be_alone() {
    let file = "services: {web: {image: app, ports: [{target: 80, published: '80'}]}}";
    assert_snapshot!(told(file, vec![outdated("web", 1)]));
}

/// Only the port of the machine is held. Should the run be killed, the new one gets those who wait.
#[test]
fn where_nobody_else_is_those_outside_wait_all_the_same() {
    let project = project("services: {web: {image: app, ports: [{target: 80, published: '80'}]}}");
    let published = vec![Published { on: None, port: 80, target: 80, protocol: Protocol::Tcp }];
    let old = Container { published, ..outdated("web", 1) };
    let world = World::new(&project, vec![old]).on_a_deserted_network();
    let plan = world.plan(&Request::default());
    world.perform(&plan, None).expect("no promise is broken");
    let log = world.host().log();
    let told: Vec<_> = log.iter().filter_map(|line| line.strip_prefix("stand-in-on-host: ")).collect();
    assert_snapshot!(told.join("\n"), @"
    hold 80-80=80
    target 10.0.0.2
    target 10.0.0.2
    wait 60000
    next 10.0.0.2
    next 10.0.0.2
    target 10.0.0.2
    target 10.0.0.2
    leave 15 60000
    ");
}

#[test]
fn a_plan_says_what_cannot_wait() {
    let project =
        project("services: {web: {image: app, ports: [{target: 53, published: '53', protocol: udp}]}}");
    let port = |port, protocol| Published { on: None, port, target: port, protocol };
    let published = vec![port(80, Protocol::Tcp), port(53, Protocol::Udp)];
    let world = World::new(&project, vec![Container { published, ..outdated("web", 1) }]).on_a_network();
    let plan = world.plan(&Request::default());
    let said = "datagrams to 53/udp are dropped from the stop of the old container to the start of the new";
    assert!(plan.services[0].notes.iter().any(|note| note == said), "{:?}", plan.services[0].notes);
}

/// Wherever the run is killed one of both runs in the end, and never two. Going back too.
#[test]
fn whenever_the_run_is_killed_the_old_or_the_new_one_is_started() {
    let files =
        ["ports: [{target: 80, published: '80'}]", "container_name: it", "x-zdd: {strategy: recreate}"];
    for (file, bad) in files.into_iter().flat_map(|file| [(file, false), (file, true)]) {
        let project = project(&format!("services: {{web: {{image: app, {file}}}}}"));
        let mut started = 0;
        for at in 0..14 {
            let world = World::new(&project, vec![outdated("web", 1)]).on_a_network();
            if bad {
                world.spoil_new_ones();
            }
            let plan = world.plan(&Request::default());
            world
                .perform(&plan, Some((at, Trouble::Power)))
                .unwrap_or_else(|broken| panic!("{at}: {broken}"));
            let before = world.containers().iter().filter(|c| running(c)).count();
            world.do_what_is_left().unwrap_or_else(|broken| panic!("{at}: {broken}\n{plan}"));
            let after = world.containers().iter().filter(|c| running(c)).count();
            assert_eq!(after, 1, "{file}, killed at {at}: {:?}", world.containers());
            started += after - before;
        }
        assert!(started >= 2, "{file}: {started}");
    }
}

/// Wherever it is cut short nothing stays on the host, and nobody starts beside another.
#[test]
fn whatever_happens_while_connections_wait() {
    for (file, by_compose) in
        [("ports: [{target: 80, published: '80'}]", false), ("container_name: it", true)]
    {
        let project = project(&format!("services: {{web: {{image: app, {file}}}}}"));
        for (at, trouble) in (0..14).flat_map(|at| [(at, Trouble::Interrupt), (at, Trouble::Failure)]) {
            let world = World::new(&project, vec![outdated("web", 1)]).on_a_network();
            let plan = world.plan(&Request::default());
            assert_eq!(plan.services[0].verdict, Verdict::Hold);
            let ran = world.perform(&plan, Some((at, trouble)));
            let outcome =
                ran.unwrap_or_else(|broken| panic!("{trouble:?} {at}: {broken}\n{plan}")).results[0].outcome;
            let rolled_back = by_compose || outcome != Outcome::RollbackFailed;
            assert!(rolled_back, "{trouble:?} {at}: {outcome:?}");
        }
    }
}
