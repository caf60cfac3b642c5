//! What may not be done side by side, and what is refused before anything is touched.

use insta::assert_snapshot;
use zdd::plan::Request;

use crate::make::{Turned, current, outdated, planned, planned_for};

const DATABASE: &str = "services: {db: {image: db, volumes: [{type: volume, source: data, target: /data}]}}";

#[test]
fn recreate_is_refused() {
    assert_snapshot!(planned(DATABASE, &[outdated("db", 1)]), @r#"
    Project app
      db  recreate   configuration changed
          refused: volumes: its only replica writes to volume "data" at /data, and two generations would write at once, and connections cannot wait (no helper is wanted); write "x-zdd: {strategy: rolling}" if two may write at once
          note: its requests fail from the stop of the old container to the start of the new
    "#);
}

#[test]
fn recreate_is_allowed_by_flag() {
    let allowed = Request { allow_downtime: true, ..Request::default() };
    assert_snapshot!(planned_for(DATABASE, &[outdated("db", 1)], &allowed), @"
    Project app
      db  recreate   configuration changed
            1. create 1 new container (scale 2; rollback: remove)
            2. drain app-db-1
            3. stop app-db-1 (rollback: start again)
            4. start 1 new container (rollback: remove)
            5. wait until healthy, or running 10s without a healthcheck
            6. remove app-db-1
          note: its requests fail from the stop of the old container to the start of the new
    ");
}

#[test]
fn recreate_is_allowed_by_strategy() {
    let strategy = DATABASE.replace("image: db", "image: db, x-zdd: {strategy: recreate}");
    assert_snapshot!(planned(&strategy, &[outdated("db", 1)]), @"
    Project app
      db  recreate   configuration changed
            1. create 1 new container (scale 2; rollback: remove)
            2. drain app-db-1
            3. stop app-db-1 (rollback: start again)
            4. start 1 new container (rollback: remove)
            5. wait until healthy, or running 10s without a healthcheck
            6. remove app-db-1
          note: its requests fail from the stop of the old container to the start of the new
    ");
}

#[test]
fn a_volume_rolls_when_the_file_says_so() {
    let strategy = DATABASE.replace("image: db", "image: db, x-zdd: {strategy: rolling}");
    assert_snapshot!(planned(&strategy, &[outdated("db", 1)]), @"
    Project app
      db  roll       configuration changed
            1. start 1 new container (scale 2; rollback: remove)
            2. wait until healthy, or running 10s without a healthcheck
            3. drain app-db-1
            4. stop app-db-1 (rollback: start again)
            5. remove app-db-1
    ");
}

#[test]
fn recreate_without_a_hazard() {
    let strategy = "services: {web: {image: app, x-zdd: {strategy: recreate}}}";
    assert_snapshot!(planned(strategy, &[outdated("web", 1)]), @"
    Project app
      web  recreate   configuration changed
             1. create 1 new container (scale 2; rollback: remove)
             2. drain app-web-1
             3. stop app-web-1 (rollback: start again)
             4. start 1 new container (rollback: remove)
             5. wait until healthy, or running 10s without a healthcheck
             6. remove app-web-1
           note: its requests fail from the stop of the old container to the start of the new
    ");
}

#[test]
fn a_hazard_hinders_neither_the_first_start_nor_the_last_stop() {
    assert_snapshot!(planned(DATABASE, &[]), @"
    Project app
      db  create     not running (db)
            1. start 1 new container (scale 1; rollback: remove)
            2. wait until healthy, or running 10s without a healthcheck
    ");
    assert_snapshot!(planned(DATABASE, &[outdated("db", 1).exited(1)]), @"
    Project app
      db  create     not running (db)
            1. let Compose start app-db-1, or what takes its place (rollback: stop again)
            2. wait until healthy, or running 10s without a healthcheck
    ");
    let none = DATABASE.replace("image: db", "image: db, scale: 0");
    assert_snapshot!(planned(&none, &[outdated("db", 1)]), @"
    Project app
      db  scale      1 of 0 replicas run
            1. drain app-db-1
            2. stop app-db-1 (rollback: start again)
            3. remove app-db-1
    ");
}

#[test]
fn every_hazard_is_a_refusal() {
    let many = "services: {web: {image: app, container_name: it, ports: [{target: 80, published: \"80\"}]}}";
    assert_snapshot!(planned(many, &[outdated("web", 1)]), @r#"
    Project app
      web  recreate   configuration changed
           refused: container_name: the container name "it" can be taken only once, and connections cannot wait (no helper is wanted); remove container_name
           refused: ports: host port 80 can belong to one container only, and connections cannot wait (no helper is wanted); run "docker zdd init" to let a proxy publish 80, or write a range with room for twice the replicas
           note: its requests fail from the stop of the old container to the start of the new
    "#);
}

#[test]
fn paused() {
    let three = [current("web", 1), outdated("web", 2).paused(), current("web", 3)];
    assert_snapshot!(planned("services: {web: {image: app, scale: 3}}", &three), @r#"
    Project app
      web  blocked    cannot be done as written
           refused: container app-web-2 is paused, and Compose cannot scale a service with a paused container; run "docker unpause app-web-2" or "docker rm -f app-web-2"
    "#);
}

#[test]
fn what_the_plan_answers() {
    let refused = planned(DATABASE, &[outdated("db", 1)]);
    assert!(refused.refused() && !refused.changes());
    let unchanged = planned("services: {web: {image: app, scale: 3}}", &[1, 2, 3].map(|n| current("web", n)));
    assert!(!unchanged.refused() && !unchanged.changes());
    let there = [vec![outdated("web", 1), outdated("web", 2)], vec![outdated("db", 1)]].concat();
    let roll = planned("services: {web: {image: app, scale: 5, x-zdd: {parallelism: 2}}}", &there);
    assert!(roll.changes() && roll.services[0].batches() == 3);
    let overview = roll.overview().remove(0);
    assert_eq!((overview.service.as_str(), overview.replicas, overview.verdict.word()), ("web", 5, "roll"));
    let serving: Vec<_> = overview.serving.iter().map(|container| container.name.as_str()).collect();
    assert_eq!(serving, ["app-web-1", "app-web-2"]);
}
