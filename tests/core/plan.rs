//! Plans, whole and in words: what `docker zdd plan` prints.

use insta::assert_snapshot;
use zdd::{engine::Container, plan::Request};

use crate::make::{Turned, current, outdated, planned, planned_for};

/// Three replicas of an app behind a proxy.
const WEB: &str = "services: {web: {image: app, scale: 3}}";
const FIVE_BY_TWO: &str = "services: {web: {image: app, scale: 5, x-zdd: {parallelism: 2}}}";

fn three_outdated() -> Vec<Container> {
    vec![outdated("web", 1), outdated("web", 2), outdated("web", 3)]
}

#[test]
fn create() {
    assert_snapshot!(planned(WEB, &[]), @"
    Project app
      web  create     not running (app)
             1. start 3 new containers (scale 3; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
    ");
}

#[test]
fn unchanged() {
    assert_snapshot!(planned(WEB, &[current("web", 4), current("web", 5), current("web", 6)]), @"
    Project app
      web  unchanged  as wanted
    ");
}

#[test]
fn scale_up() {
    assert_snapshot!(planned(WEB, &[current("web", 1)]), @"
    Project app
      web  scale      1 of 3 replicas run
             1. start 2 new containers (scale 3; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
    ");
}

#[test]
fn scale_down_takes_the_newest() {
    let five = [1, 2, 3, 4, 5].map(|n| current("web", n));
    assert_snapshot!(planned(WEB, &five), @"
    Project app
      web  scale      5 of 3 replicas run
             1. drain app-web-5, app-web-4
             2. stop app-web-5, app-web-4 (rollback: start again)
             3. remove app-web-5, app-web-4
    ");
}

#[test]
fn scale_down_takes_first_what_serves_nobody() {
    let five = [
        current("web", 1),
        current("web", 2).unhealthy(),
        current("web", 3),
        current("web", 4),
        current("web", 5),
    ];
    assert_snapshot!(planned(WEB, &five), @"
    Project app
      web  scale      5 of 3 replicas run
             1. drain app-web-2, app-web-5
             2. stop app-web-2, app-web-5 (rollback: start again)
             3. remove app-web-2, app-web-5
    ");
}

#[test]
fn scale_to_none() {
    let none = "services: {web: {image: app, scale: 0}}";
    assert_snapshot!(planned(none, &[current("web", 1), current("web", 2).exited(0)]), @"
    Project app
      web  scale      1 of 0 replicas run
             1. drain app-web-1
             2. stop app-web-1 (rollback: start again)
             3. remove app-web-1, app-web-2
    ");
    assert_snapshot!(planned(none, &three_outdated()), @"
    Project app
      web  scale      3 of 0 replicas run
             1. drain app-web-1, app-web-2, app-web-3
             2. stop app-web-1, app-web-2, app-web-3 (rollback: start again)
             3. remove app-web-1, app-web-2, app-web-3
    ");
    assert_snapshot!(planned(none, &[]), @"
    Project app
      web  unchanged  as wanted
    ");
}

#[test]
fn roll_all_at_once() {
    assert_snapshot!(planned(WEB, &three_outdated()), @"
    Project app
      web  roll       configuration changed
             1. start 3 new containers (scale 6; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app-web-1, app-web-2, app-web-3
             4. stop app-web-1, app-web-2, app-web-3 (rollback: start again)
             5. remove app-web-1, app-web-2, app-web-3
    ");
}

#[test]
fn roll_says_what_changed() {
    let reason = |containers: &[Container]| planned(WEB, containers).services[0].reason.clone();
    let image = |n| current("web", n).of_image("sha256:old");
    assert_eq!(reason(&[image(1), image(2), image(3)]), "image changed");
    assert_eq!(reason(&three_outdated()), "configuration changed");
    assert_eq!(
        reason(&[image(1), outdated("web", 2), current("web", 3)]),
        "image and configuration changed; 1 replica done before, 2 to go"
    );
}

#[test]
fn roll_in_batches_of_one() {
    let one = "services: {web: {image: app, scale: 3, x-zdd: {parallelism: 1, delay: 5s}}}";
    assert_snapshot!(planned(one, &three_outdated()), @"
    Project app
      web  roll       configuration changed
             1. start 1 new container (scale 4; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app-web-1
             4. stop app-web-1 (rollback: start again)
             5. wait 5s
             6. start 1 new container (scale 5, leaving the stopped ones stopped; rollback: remove)
             7. wait until healthy, or running 10s without a healthcheck
             8. drain app-web-2
             9. stop app-web-2 (rollback: start again)
            10. wait 5s
            11. start 1 new container (scale 6, leaving the stopped ones stopped; rollback: remove)
            12. wait until healthy, or running 10s without a healthcheck
            13. drain app-web-3
            14. stop app-web-3 (rollback: start again)
            15. remove app-web-1, app-web-2, app-web-3
    ");
}

#[test]
fn roll_in_batches_of_two_of_five() {
    assert_snapshot!(planned(FIVE_BY_TWO, &[1, 2, 3, 4, 5].map(|n| outdated("web", n))), @"
    Project app
      web  roll       configuration changed
             1. start 2 new containers (scale 7; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app-web-1, app-web-2
             4. stop app-web-1, app-web-2 (rollback: start again)
             5. start 2 new containers (scale 9, leaving the stopped ones stopped; rollback: remove)
             6. wait until healthy, or running 10s without a healthcheck
             7. drain app-web-3, app-web-4
             8. stop app-web-3, app-web-4 (rollback: start again)
             9. start 1 new container (scale 10, leaving the stopped ones stopped; rollback: remove)
            10. wait until healthy, or running 10s without a healthcheck
            11. drain app-web-5
            12. stop app-web-5 (rollback: start again)
            13. remove app-web-1, app-web-2, app-web-3, app-web-4, app-web-5
    ");
}

#[test]
fn roll_with_every_setting() {
    let all = "services:\n  web:\n    image: app\n    scale: 2\n    x-zdd: \
               {parallelism: 1, delay: 1m30s, settle: 2500ms, wait_timeout: 45s, monitor: 3s}\n    \
               pre_start: [{command: [migrate]}]\n    pre_stop: [{command: [leave]}]";
    assert_snapshot!(planned(all, &[outdated("web", 1), outdated("web", 2)]), @"
    Project app
      web  roll       configuration changed
             1. run pre_start hooks once, from the new image (rollback: none, nothing was touched)
             2. start 1 new container (scale 3; rollback: remove)
             3. wait until healthy, or running 3s without a healthcheck, at most 45s
             4. wait 2.5s for the proxy to pick them up
             5. drain app-web-1
             6. stop app-web-1 (rollback: start again)
             7. wait 1m30s
             8. start 1 new container (scale 4, leaving the stopped ones stopped; rollback: remove)
             9. wait until healthy, or running 3s without a healthcheck, at most 45s
            10. wait 2.5s for the proxy to pick them up
            11. drain app-web-2
            12. stop app-web-2 (rollback: start again)
            13. remove app-web-1, app-web-2
    ");
}

#[test]
fn stop_first() {
    let stop_first = "services: {web: {image: app, scale: 3, \
                      deploy: {update_config: {order: stop-first, parallelism: 2}}}}";
    assert_snapshot!(planned(stop_first, &three_outdated()), @"
    Project app
      web  roll       configuration changed
             1. drain app-web-1, app-web-2
             2. stop app-web-1, app-web-2 (rollback: start again)
             3. start 2 new containers (scale 5, leaving the stopped ones stopped; rollback: remove)
             4. wait until healthy, or running 10s without a healthcheck
             5. drain app-web-3
             6. stop app-web-3 (rollback: start again)
             7. start 1 new container (scale 6, leaving the stopped ones stopped; rollback: remove)
             8. wait until healthy, or running 10s without a healthcheck
             9. remove app-web-1, app-web-2, app-web-3
    ");
}

/// One that was stopped makes room for the first new one.
#[test]
fn a_resumed_stop_first_starts_what_is_missing_before_it_stops_more() {
    let stop_first = "services: {web: {image: app, scale: 2, \
                      deploy: {update_config: {order: stop-first, parallelism: 1}}}}";
    assert_snapshot!(planned(stop_first, &[outdated("web", 1).exited(0), outdated("web", 2)]), @"
    Project app
      web  roll       configuration changed
             1. start 1 new container (scale 3, leaving the stopped ones stopped; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app-web-2
             4. stop app-web-2 (rollback: start again)
             5. start 1 new container (scale 4, leaving the stopped ones stopped; rollback: remove)
             6. wait until healthy, or running 10s without a healthcheck
             7. remove app-web-2, app-web-1
    ");
}

#[test]
fn stop_first_all_at_once() {
    let stop_first = "services: {web: {image: app, scale: 2, x-zdd: {order: stop-first, settle: 5s}}}";
    assert_snapshot!(planned(stop_first, &[outdated("web", 1), outdated("web", 2)]), @"
    Project app
      web  roll       configuration changed
             1. drain app-web-1, app-web-2
             2. stop app-web-1, app-web-2 (rollback: start again)
             3. start 2 new containers (scale 4, leaving the stopped ones stopped; rollback: remove)
             4. wait until healthy, or running 10s without a healthcheck
             5. remove app-web-1, app-web-2
    ");
}

#[test]
fn count_and_version_together() {
    let up = "services: {web: {image: app, scale: 4}}";
    assert_snapshot!(planned(up, &[outdated("web", 1), outdated("web", 2)]), @"
    Project app
      web  roll       configuration changed
             1. start 4 new containers (scale 6; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app-web-1, app-web-2
             4. stop app-web-1, app-web-2 (rollback: start again)
             5. remove app-web-1, app-web-2
    ");
    let down = "services: {web: {image: app, scale: 2, x-zdd: {parallelism: 1}}}";
    assert_snapshot!(planned(down, &[1, 2, 3, 4].map(|n| outdated("web", n))), @"
    Project app
      web  roll       configuration changed
             1. start 1 new container (scale 5; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app-web-1, app-web-2, app-web-3
             4. stop app-web-1, app-web-2, app-web-3 (rollback: start again)
             5. start 1 new container (scale 6, leaving the stopped ones stopped; rollback: remove)
             6. wait until healthy, or running 10s without a healthcheck
             7. drain app-web-4
             8. stop app-web-4 (rollback: start again)
             9. remove app-web-1, app-web-2, app-web-3, app-web-4
    ");
}

#[test]
fn force() {
    let request = Request { force: true, ..Request::default() };
    assert_snapshot!(planned_for(WEB, &[current("web", 1), current("web", 2), current("web", 3)], &request), @"
    Project app
      web  roll       forced
             1. start 3 new containers (scale 6; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app-web-1, app-web-2, app-web-3
             4. stop app-web-1, app-web-2, app-web-3 (rollback: start again)
             5. remove app-web-1, app-web-2, app-web-3
    ");
}

#[test]
fn injected_files_let_compose_start_everything() {
    let injected = "services: {web: {image: app, scale: 2, configs: [{source: c}], x-zdd: {parallelism: 1}}}\n\
                    configs: {c: {content: hello}}";
    assert_snapshot!(planned(injected, &[outdated("web", 1), outdated("web", 2), outdated("web", 3).exited(1)]), @"
    Project app
      web  roll       configuration changed
             1. remove stopped app-web-3
             2. start 2 new containers (scale 4; rollback: remove)
             3. wait until healthy, or running 10s without a healthcheck
             4. drain app-web-1, app-web-2
             5. stop app-web-1, app-web-2 (rollback: start again)
             6. remove app-web-1, app-web-2
           note: all at once, not in batches: its configs or secrets are copied in by Compose, which would start the stopped old containers too
    ");
}

#[test]
fn an_image_that_is_not_there_yet() {
    let pending = Request { pending_images: ["web".to_owned()].into(), ..Request::default() };
    assert_snapshot!(planned_for(WEB, &[1, 2, 3].map(|n| current("web", n)), &pending), @"
    Project app
      web  unchanged  unchanged so far; its image may change when it is built or pulled
    ");
}

#[test]
fn a_provider_has_nothing_to_roll() {
    let provided = "services: {dns: {provider: {type: dns-tool}}, web: {image: app, depends_on: {dns: {}}}}";
    assert_snapshot!(planned(provided, &[]), @r#"
    Project app
      dns  unchanged  run by its provider, which "docker compose up" calls
      web  blocked    cannot be done as written
           refused: depends_on: it gets variables from the provider of "dns", and only Compose's own "up" hands them over; run "docker compose up -d web", and name the other services to "docker zdd"
    "#);
}

/// Where containerd keeps the images, Compose writes another digest on the label than the engine has for the tag.
#[test]
fn an_image_that_the_engine_calls_the_wanted_one_is_unchanged() {
    let labelled = |n| Container { image_id: "sha256:of-one-platform".to_owned(), ..current("web", n) };
    assert_snapshot!(planned(WEB, &[1, 2, 3].map(labelled)), @"
    Project app
      web  unchanged  as wanted
    ");
}

/// For Compose a service of which every container keeps restarting does not run, so it would run the hook again.
#[test]
fn a_migration_beside_a_crash_loop_runs_once() {
    let file = "services: {web: {image: app, pre_start: [{command: [migrate]}]}}";
    assert_snapshot!(planned(file, &[outdated("web", 1).restarting()]), @"
    Project app
      web  roll       configuration changed
             1. run pre_start hooks once, from the new image (rollback: none, nothing was touched)
             2. start 1 new container (scale 2, leaving the stopped ones stopped; rollback: remove)
             3. wait until healthy, or running 10s without a healthcheck
             4. drain app-web-1
             5. stop app-web-1 (rollback: start again)
             6. remove app-web-1
    ");
}

#[test]
fn what_anonymous_volumes_hold_is_lost_and_said_so() {
    let with = |n: u32| {
        let anonymous_volumes = vec!["/cache".to_owned(), "/data".to_owned()];
        Container { anonymous_volumes, ..outdated("web", n) }
    };
    assert_snapshot!(planned("services: {web: {image: app, scale: 2}}", &[with(1), with(2)]), @"
    Project app
      web  roll       configuration changed
             1. start 2 new containers (scale 4; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app-web-1, app-web-2
             4. stop app-web-1, app-web-2 (rollback: start again)
             5. remove app-web-1, app-web-2
           note: what it wrote to /cache and /data is gone with app-web-1 and app-web-2: an anonymous volume is not handed on; give it a name
    ");
    let crashed = Container { config_hash: "new".to_owned(), ..with(2).exited(137) };
    assert_snapshot!(planned("services: {web: {image: app, scale: 2}}", &[current("web", 1), crashed.clone()]), @"
    Project app
      web  scale      1 of 2 replicas run
             1. start 1 new container (scale 3, leaving the stopped ones stopped; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. remove app-web-2
           note: what it wrote to /cache and /data is gone with app-web-2: an anonymous volume is not handed on; give it a name
    ");
    let note = |of: Container| planned("services: {web: {image: app}}", &[current("web", 1), of]).to_string();
    assert!(note(crashed).contains("is gone with app-web-2"));
    assert!(!note(with(2).created()).contains("is gone with"), "it never ran");
}

#[test]
fn a_removal_in_progress_is_not_there() {
    let removing = [
        current("web", 1),
        current("web", 2),
        current("web", 3),
        outdated("web", 4).state(zdd::engine::State::Removing),
    ];
    assert_snapshot!(planned(WEB, &removing), @"
    Project app
      web  unchanged  as wanted
    ");
}
