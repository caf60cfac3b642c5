//! Plans from what an interrupted rollout, a crash or a failed attempt left behind.

use insta::assert_snapshot;
use zdd::{
    engine::Container,
    plan::{Operation, Request, What},
};

use crate::make::{Turned, current, outdated, planned, planned_for};

const WEB: &str = "services: {web: {image: app, scale: 3}}";
const BY_ONE: &str = "services: {web: {image: app, scale: 3, x-zdd: {parallelism: 1}}}";

#[test]
fn interrupted_while_the_new_ones_were_watched() {
    let six = [
        outdated("web", 1),
        outdated("web", 2),
        outdated("web", 3),
        current("web", 4).starting(),
        current("web", 5),
        current("web", 6),
    ];
    assert_snapshot!(planned(WEB, &six), @"
    Project app
      web  roll       configuration changed; 3 replicas done before, 3 to go
             1. wait until healthy, or running 10s without a healthcheck, with app-web-5, app-web-6, app-web-4
             2. drain app-web-1, app-web-2, app-web-3
             3. stop app-web-1, app-web-2, app-web-3 (rollback: start again)
             4. remove app-web-1, app-web-2, app-web-3
    ");
}

/// A proxy may not know of those that the run that was interrupted has started.
#[test]
fn what_an_earlier_run_has_started_settles_too() {
    let settles = "services: {web: {image: app, x-zdd: {settle: 3s}}}";
    assert_snapshot!(planned(settles, &[outdated("web", 1), current("web", 2)]), @"
    Project app
      web  roll       configuration changed; 1 replica done before, 1 to go
             1. wait until healthy, or running 10s without a healthcheck, with app-web-2
             2. wait 3s for the proxy to pick them up
             3. drain app-web-1
             4. stop app-web-1 (rollback: start again)
             5. remove app-web-1
    ");
}

#[test]
fn interrupted_between_two_batches() {
    let five = [
        outdated("web", 1).exited(0),
        outdated("web", 2),
        outdated("web", 3),
        current("web", 4),
        current("web", 5).created(),
    ];
    assert_snapshot!(planned(BY_ONE, &five), @"
    Project app
      web  roll       configuration changed; 1 replica done before, 2 to go
             1. start 1 new container (scale 6, leaving the stopped ones stopped; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck, with app-web-4
             3. drain app-web-2
             4. stop app-web-2 (rollback: start again)
             5. start 1 new container (scale 7, leaving the stopped ones stopped; rollback: remove)
             6. wait until healthy, or running 10s without a healthcheck
             7. drain app-web-3
             8. stop app-web-3 (rollback: start again)
             9. remove app-web-2, app-web-3, app-web-1, app-web-5
    ");
}

#[test]
fn interrupted_before_the_stopped_were_removed() {
    let six = [
        outdated("web", 1).exited(0),
        outdated("web", 2).exited(137),
        outdated("web", 3).exited(0),
        current("web", 4),
        current("web", 5),
        current("web", 6),
    ];
    assert_snapshot!(planned(WEB, &six), @"
    Project app
      web  scale      removes 3 stopped containers of it
             1. remove app-web-1, app-web-2, app-web-3
    ");
}

#[test]
fn interrupted_while_the_old_were_being_stopped() {
    let six = [
        outdated("web", 1).exited(0),
        outdated("web", 2),
        outdated("web", 3),
        current("web", 4),
        current("web", 5),
        current("web", 6),
    ];
    assert_snapshot!(planned(WEB, &six), @"
    Project app
      web  roll       configuration changed; 3 replicas done before, 2 to go
             1. wait until healthy, or running 10s without a healthcheck, with app-web-4, app-web-5, app-web-6
             2. drain app-web-2, app-web-3
             3. stop app-web-2, app-web-3 (rollback: start again)
             4. remove app-web-2, app-web-3, app-web-1
    ");
}

#[test]
fn a_crashed_replica_among_healthy_ones() {
    assert_snapshot!(planned(WEB, &[current("web", 1), current("web", 2).exited(1), current("web", 3)]), @"
    Project app
      web  scale      2 of 3 replicas run
             1. start 1 new container (scale 4, leaving the stopped ones stopped; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. remove app-web-2
    ");
}

#[test]
fn created_leftovers_beside_the_old() {
    let five = [
        outdated("web", 1),
        outdated("web", 2),
        outdated("web", 3),
        current("web", 4).created(),
        outdated("web", 5).created(),
    ];
    assert_snapshot!(planned(WEB, &five), @"
    Project app
      web  roll       configuration changed
             1. start 3 new containers (scale 8, leaving the stopped ones stopped; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app-web-1, app-web-2, app-web-3
             4. stop app-web-1, app-web-2, app-web-3 (rollback: start again)
             5. remove app-web-1, app-web-2, app-web-3, app-web-4, app-web-5
    ");
}

#[test]
fn unhealthy_new_ones_beside_the_old_are_replaced() {
    let five = [
        outdated("web", 1),
        outdated("web", 2),
        outdated("web", 3),
        current("web", 4).unhealthy(),
        current("web", 5).restarting(),
    ];
    assert_snapshot!(planned(WEB, &five), @"
    Project app
      web  roll       configuration changed
             1. start 3 new containers (scale 8; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app-web-5, app-web-4, app-web-1, app-web-2, app-web-3
             4. stop app-web-5, app-web-4, app-web-1, app-web-2, app-web-3 (rollback: start again)
             5. remove app-web-5, app-web-4, app-web-1, app-web-2, app-web-3
    ");
}

#[test]
fn unhealthy_old_ones_go_first() {
    let three =
        [outdated("web", 1).healthy(), outdated("web", 2).unhealthy(), outdated("web", 3).restarting()];
    assert_snapshot!(planned(BY_ONE, &three), @"
    Project app
      web  roll       configuration changed
             1. start 1 new container (scale 4; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app-web-3
             4. stop app-web-3 (rollback: start again)
             5. start 1 new container (scale 5, leaving the stopped ones stopped; rollback: remove)
             6. wait until healthy, or running 10s without a healthcheck
             7. drain app-web-2
             8. stop app-web-2 (rollback: start again)
             9. start 1 new container (scale 6, leaving the stopped ones stopped; rollback: remove)
            10. wait until healthy, or running 10s without a healthcheck
            11. drain app-web-1
            12. stop app-web-1 (rollback: start again)
            13. remove app-web-3, app-web-2, app-web-1
    ");
}

#[test]
fn everything_is_down() {
    assert_snapshot!(planned(WEB, &[outdated("web", 1).exited(0), outdated("web", 2).exited(0), current("web", 3).exited(1)]), @"
    Project app
      web  create     not running (app)
             1. let Compose start app-web-1, app-web-2, app-web-3, or what takes its place (rollback: stop again)
             2. wait until healthy, or running 10s without a healthcheck
    ");
}

#[test]
fn everything_of_the_wanted_version_is_unhealthy() {
    assert_snapshot!(planned(WEB, &[1, 2, 3].map(|n| current("web", n).unhealthy())), @r#"
    Project app
      web  unchanged  as wanted
           note: app-web-1 is unhealthy; "docker logs app-web-1" may say why, "docker zdd up --force-recreate web" replaces it
           note: app-web-2 is unhealthy; "docker logs app-web-2" may say why, "docker zdd up --force-recreate web" replaces it
           note: app-web-3 is unhealthy; "docker logs app-web-3" may say why, "docker zdd up --force-recreate web" replaces it
    "#);
}

#[test]
fn pre_start_runs_once_a_rollout() {
    let hooked = "services: {web: {image: app, scale: 2, pre_start: [{command: [migrate]}]}}";
    let runs = |containers: &[Container]| {
        planned(hooked, containers).services[0]
            .operations
            .iter()
            .filter(|op| op.what == What::PreStart)
            .count()
    };
    assert_eq!(runs(&[]), 0, "Compose runs it with the first container");
    assert_eq!(runs(&[outdated("web", 1), outdated("web", 2)]), 1);
    assert_eq!(runs(&[outdated("web", 1).exited(0)]), 0, "Compose runs it where nothing else runs");
    assert_eq!(
        runs(&[outdated("web", 1), outdated("web", 2).exited(0)]),
        1,
        "Compose does not, beside the old one"
    );
    assert_eq!(
        runs(&[outdated("web", 1), current("web", 2)]),
        0,
        "a container of the new version has begun already"
    );
    assert_eq!(runs(&[outdated("web", 1), current("web", 2).unhealthy()]), 1, "a new attempt");
    assert_eq!(runs(&[current("web", 1)]), 0, "only the count differs");
}

/// The operations as a list of their kinds, in order.
fn kinds(services: &str, containers: &[Container]) -> Vec<&'static str> {
    let kind = |op: &Operation| match op.what {
        What::Clear { .. } => "clear",
        What::PreStart => "pre_start",
        What::Delay { .. } => "delay",
        What::Create { .. } => "create",
        What::Hold { .. } => "hold",
        What::Release => "release",
        What::HoldPorts { .. } => "hold-ports",
        What::PassPorts { .. } => "pass-ports",
        What::Start { .. } => "start",
        What::Gate { .. } => "gate",
        What::Settle { .. } => "settle",
        What::Drain { .. } => "drain",
        What::Rename { .. } => "rename",
        What::Stop { .. } => "stop",
        What::Remove { .. } => "remove",
        What::Revive { .. } => "revive",
        What::Await { .. } => "await",
        What::Recreate { .. } => "recreate",
        What::Deploy { .. } | What::RunOnce { .. } => "of Swarm",
    };
    planned(services, containers).services[0].operations.iter().map(kind).collect()
}

#[test]
fn old_ones_that_are_starting_are_kept_like_those_that_serve() {
    // After a reboot: by the time the first new one is healthy, the old ones serve too.
    let plan = planned(BY_ONE, &[1, 2, 3].map(|n| outdated("web", n).starting()));
    let first_stop = plan.services[0].operations.iter().find_map(|op| match &op.what {
        What::Stop { containers } => Some((op.batch, containers.len())),
        _ => None,
    });
    assert_eq!(first_stop, Some((1, 1)), "{plan}");
}

#[test]
fn starting_ones_of_an_interrupted_first_start_are_watched() {
    assert!(kinds(WEB, &[1, 2, 3].map(|n| current("web", n).starting())).contains(&"gate"));
}

#[test]
fn after_an_interrupted_stop_first_the_new_ones_are_watched_before_the_old_are_removed() {
    let stop_first = "services: {web: {image: app, scale: 2, x-zdd: {order: stop-first}}}";
    let four = [
        outdated("web", 1).exited(0),
        outdated("web", 2).exited(0),
        current("web", 3).starting(),
        current("web", 4).starting(),
    ];
    assert_eq!(kinds(stop_first, &four), ["gate", "remove"]);
}

#[test]
fn a_resumed_stop_first_watches_what_is_there_before_it_stops_more() {
    let stop_first = "services: {web: {image: app, scale: 3, x-zdd: {order: stop-first, parallelism: 1}}}";
    let five =
        [outdated("web", 2), outdated("web", 3), current("web", 4).starting(), current("web", 5).starting()];
    let kinds = kinds(stop_first, &five);
    let at = |kind: &str| kinds.iter().position(|k| *k == kind);
    assert!(at("gate") < at("stop"), "{kinds:?}");
}

#[test]
fn scaling_to_none_waits_for_nobody() {
    let none = "services: {web: {image: app, scale: 0}}";
    assert_eq!(kinds(none, &[outdated("web", 1), current("web", 2).starting()]), ["drain", "stop", "remove"]);
}

#[test]
fn a_stopped_container_gives_its_name_back_before_the_next_is_created() {
    let named = "services: {web: {image: app, container_name: it}}";
    let kinds = kinds(named, &[outdated("web", 1).exited(0)]);
    assert_eq!(kinds, ["revive", "gate"], "Compose hands the name on");
}

#[test]
fn stop_first_is_refused_where_only_compose_can_start_containers() {
    let injected = "services: {web: {image: app, configs: [{source: c}], x-zdd: {order: stop-first}}}\n\
                    configs: {c: {content: hello}}";
    assert_snapshot!(planned(injected, &[outdated("web", 1)]), @r#"
    Project app
      web  blocked    cannot be done as written
           refused: x-zdd: order is stop-first, but its configs or secrets are copied in by Compose, which would start the stopped old containers too; write "order: start-first" or "strategy: recreate"
    "#);
    assert_eq!(kinds(injected, &[]), ["start", "gate"]);
    assert_eq!(kinds(injected, &[outdated("web", 1).exited(0)]), ["revive", "gate"]);
    assert_eq!(kinds(injected, &[current("web", 1), current("web", 2)]), ["drain", "stop", "remove"]);
}

#[test]
fn a_scale_that_the_engine_cannot_carry_is_refused() {
    let with = |scale: u32, key: &str| format!("services: {{web: {{image: app, scale: {scale}, {key}}}}}");
    let fixed = with(2, "ports: [{target: 80, published: \"80\"}]");
    assert_snapshot!(planned(&fixed, &[current("web", 1)]), @r#"
    Project app
      web  blocked    cannot be done as written
           refused: ports: host port 80 can belong to one container only, so 2 replicas cannot run; run "docker zdd init" to let a proxy publish 80, or write a range with room for twice the replicas
    "#);
    let keys = [
        "ports: [{target: 80, published: \"80\"}]",
        "ports: [{target: 80, published: \"80-81\"}]",
        "container_name: it",
        "networks: {default: {ipv4_address: 10.9.0.5}}",
    ];
    for key in keys {
        for found in
            [vec![], vec![current("web", 1)], vec![outdated("web", 1)], vec![outdated("web", 1).exited(0)]]
        {
            let plan = planned(&with(3, key), &found);
            assert_eq!((plan.services[0].verdict.word(), plan.changes()), ("blocked", false), "{plan}");
            let forced = Request { allow_downtime: true, force: true, ..Request::default() };
            assert!(planned_for(&with(3, key), &found, &forced).refused());
        }
        assert!(!planned(&with(1, key), &[current("web", 1)]).refused());
        assert!(!planned(&with(0, key), &[current("web", 1)]).refused());
    }
    let room_for_two = with(2, "ports: [{target: 80, published: \"80-81\"}]");
    assert_eq!(kinds(&room_for_two, &[current("web", 1)]), ["start", "gate"], "enough for one generation");
    assert!(planned(&room_for_two, &[outdated("web", 1)]).refused(), "but not for two");
}

#[test]
fn force_takes_the_new_ones_of_an_interrupted_run_too() {
    let force = Request { force: true, ..Request::default() };
    let four = [outdated("web", 1), current("web", 2), current("web", 3), current("web", 4).exited(1)];
    assert_snapshot!(planned_for(WEB, &four, &force), @"
    Project app
      web  roll       configuration changed
             1. start 3 new containers (scale 7, leaving the stopped ones stopped; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app-web-1, app-web-2, app-web-3
             4. stop app-web-1, app-web-2, app-web-3 (rollback: start again)
             5. remove app-web-1, app-web-2, app-web-3, app-web-4
    ");
}

#[test]
fn what_was_stopped_is_started_again() {
    let three = [1, 2, 3].map(|n| current("web", n).exited(0));
    assert_snapshot!(planned(WEB, &three), @"
    Project app
      web  create     not running (app)
             1. let Compose start app-web-1, app-web-2, app-web-3, or what takes its place (rollback: stop again)
             2. wait until healthy, or running 10s without a healthcheck
    ");
    let anonymous_volumes = vec!["/data".to_owned()];
    let holds_data = Container { anonymous_volumes, ..current("web", 1).exited(0) };
    assert_eq!(kinds(WEB, &[holds_data]), ["revive", "gate"], "Compose keeps what it wrote");
    let injected = "services: {web: {image: app, configs: [{source: c}]}}\nconfigs: {c: {content: hello}}";
    assert_eq!(kinds(injected, &[outdated("web", 1).exited(0)]), ["revive", "gate"]);
}

#[test]
fn what_boots_is_watched_though_nothing_changes() {
    let three = [current("web", 1).starting(), current("web", 2).healthy(), current("web", 3)];
    assert_snapshot!(planned(WEB, &three), @"
    Project app
      web  unchanged  as wanted
             1. wait until healthy, or running 10s without a healthcheck, with app-web-1
    ");
    let named = Request { services: vec!["api".to_owned()], ..Request::default() };
    let file = "services: {api: {image: app, depends_on: {web: {}}}, web: {image: app}}";
    let plan = planned_for(file, &[current("api", 1), current("web", 1).starting()], &named);
    assert!(
        matches!(plan.services[0].operations.as_slice(), [Operation { what: What::Gate { also }, .. }] if also.len() == 1),
        "{plan}"
    );
}

#[test]
fn dead_ones_are_cleared_before_compose_starts_the_others() {
    let dead = current("web", 1).state(zdd::engine::State::Dead);
    assert_eq!(kinds(WEB, &[dead, current("web", 2).exited(0)]), ["clear", "revive", "gate"]);
}

#[test]
fn force_replaces_what_is_stopped_too() {
    let force = Request { force: true, ..Request::default() };
    let plan = planned_for(WEB, &[current("web", 1).exited(0)], &force);
    let replaces = |op: &Operation| matches!(op.what, What::Revive { force: true, .. });
    assert!(plan.services[0].operations.iter().any(replaces), "{plan}");
}

#[test]
fn stop_first_is_no_reason_to_refuse_a_scale_to_none() {
    let none = "services: {web: {image: app, scale: 0, configs: [{source: c}], x-zdd: {order: stop-first}}}\n\
                configs: {c: {content: hello}}";
    assert_eq!(kinds(none, &[outdated("web", 1)]), ["drain", "stop", "remove"]);
}
