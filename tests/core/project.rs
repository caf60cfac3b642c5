//! Plans of several services: order, names, what is left alone; and a plan as data.

use insta::assert_snapshot;
use zdd::{
    engine::container::parse_inspect,
    plan::{Request, Text},
    platform::compose::Observed,
};

use crate::make::{Turned, current, observed, outdated, plan, planned, planned_for, project};

const WEB: &str = "services: {web: {image: app, scale: 3}}";

#[test]
fn orphans() {
    let containers = [
        current("web", 1),
        current("web", 2),
        current("web", 3),
        outdated("old", 1),
        outdated("old", 2).exited(0),
        outdated("debug", 1),
    ];
    let dormant = Request { dormant: ["debug".to_owned()].into(), ..Request::default() };
    assert_snapshot!(planned_for(WEB, &containers, &dormant), @"
    Project app
      web  unchanged  as wanted
      orphans, left as they are: app-old-1, app-old-2 (--remove-orphans removes them)
    ");
    let removed = Request { remove_orphans: true, ..dormant };
    let plan = planned_for(WEB, &containers, &removed);
    assert!(plan.changes());
    assert_snapshot!(plan, @"
    Project app
      web  unchanged  as wanted
      remove orphans: app-old-1, app-old-2
    ");
}

/// A chain: `web` needs `api`, `api` needs `db`; `mail` stands alone.
const CHAIN: &str = "services: {web: {image: app, depends_on: {api: {}}}, api: {image: app, depends_on: {db: {}}}, \
                     db: {image: db}, mail: {image: mail}}";

#[test]
fn everything_in_dependency_order() {
    assert_snapshot!(planned(CHAIN, &[]), @"
    Project app
      db    create     not running (db)
              1. start 1 new container (scale 1; rollback: remove)
              2. wait until healthy, or running 10s without a healthcheck
      api   create     not running (app)
              1. start 1 new container (scale 1; rollback: remove)
              2. wait until healthy, or running 10s without a healthcheck
      mail  create     not running (mail)
              1. start 1 new container (scale 1; rollback: remove)
              2. wait until healthy, or running 10s without a healthcheck
      web   create     not running (app)
              1. start 1 new container (scale 1; rollback: remove)
              2. wait until healthy, or running 10s without a healthcheck
    ");
}

#[test]
fn a_named_service_starts_what_it_needs_and_updates_only_itself() {
    let named = Request { services: vec!["web".to_owned()], ..Request::default() };
    assert_snapshot!(planned_for(CHAIN, &[outdated("web", 1), outdated("api", 1), outdated("mail", 1)], &named), @"
    Project app
      db   create     not running, and a named service depends on it (db)
             1. start 1 new container (scale 1; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
      api  unchanged  changed, but not named: left as it is
      web  roll       configuration changed
             1. start 1 new container (scale 2; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app-web-1
             4. stop app-web-1 (rollback: start again)
             5. remove app-web-1
    ");
}

#[test]
fn a_stopped_dependency_is_started() {
    let named = Request { services: vec!["api".to_owned()], ..Request::default() };
    let plan = planned_for(CHAIN, &[current("db", 1).exited(0), outdated("api", 1)], &named);
    assert_eq!(plan.services[0].verdict.word(), "create", "{plan}");
}

#[test]
fn named_without_dependencies() {
    let alone = Request { services: vec!["web".to_owned()], no_deps: true, ..Request::default() };
    assert_snapshot!(planned_for(CHAIN, &[outdated("web", 1)], &alone), @"
    Project app
      web  roll       configuration changed
             1. start 1 new container (scale 2; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app-web-1
             4. stop app-web-1 (rollback: start again)
             5. remove app-web-1
    ");
}

#[test]
fn a_dependency_that_is_paused_blocks_only_when_it_must_start() {
    let named = Request { services: vec!["api".to_owned()], ..Request::default() };
    assert_snapshot!(planned_for(CHAIN, &[current("api", 1), current("db", 1).paused()], &named), @r#"
    Project app
      db   blocked    cannot be done as written
           refused: container app-db-1 is paused, and Compose cannot scale a service with a paused container; run "docker unpause app-db-1" or "docker rm -f app-db-1"
      api  unchanged  as wanted
    "#);
}

/// The hash of a service that lives in another's container cannot be compared; then Compose is asked.
#[test]
fn compose_s_word_counts_where_hashes_differ() {
    let sidecar = "services: {web: {image: app}, side: {image: app, network_mode: \"service:web\"}}";
    let project = project(sidecar);
    let containers = [current("web", 1), outdated("side", 1)];
    let verdict = |outdated: &[(&str, &[&str])]| {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let outdated = outdated.iter().map(|(service, of)| ((*service).to_owned(), names(of))).collect();
        let observed = Observed { outdated, ..observed(&project, &containers) };
        let plan = plan(&project, &observed, &Request::default());
        plan.services
            .iter()
            .map(|s| format!("{} {}", s.service, s.verdict.word()))
            .collect::<Vec<_>>()
            .join(", ")
    };
    assert!(
        project.services["side"].definition.is_resolved && !project.services["web"].definition.is_resolved
    );
    assert_eq!(verdict(&[("side", &[])]), "web unchanged, side unchanged");
    assert_eq!(verdict(&[("side", &["app-side-1"])]), "web unchanged, side recreate");
    let of_web: &[&str] = &["app-web-1"];
    assert_eq!(verdict(&[("web", of_web)]), "web unchanged, side recreate", "its own hash agrees");
    assert_eq!(verdict(&[("side", of_web)]), "web unchanged, side unchanged", "not its own container");
    assert_eq!(verdict(&[]), "web unchanged, side recreate");
}

#[test]
fn services_wait_for_what_they_depend_on() {
    let after = |request: &Request| {
        let plan = planned_for(CHAIN, &[], request);
        plan.services
            .iter()
            .map(|s| format!("{} after {}", s.service, s.after.join(" ")))
            .collect::<Vec<_>>()
            .join("; ")
    };
    assert_eq!(after(&Request::default()), "db after ; api after db; mail after ; web after api");
    let alone = Request { services: vec!["web".to_owned()], no_deps: true, ..Request::default() };
    assert_eq!(after(&alone), "web after ");
}

/// `debug` has a profile that is not enabled: Compose keeps the dependency and leaves out the service.
fn waits_for_the_missing(request: &Request) -> bool {
    let optional = "services: {web: {image: app, depends_on: {debug: {required: false}}}}";
    planned_for(optional, &[], request).services[0].after.contains(&"debug".to_owned())
}

#[test]
fn nobody_waits_for_a_service_that_is_not_there() {
    assert!(!waits_for_the_missing(&Request::default()));
}

#[test]
fn nobody_named_waits_for_a_service_that_is_not_there() {
    assert!(!waits_for_the_missing(&Request { services: vec!["web".to_owned()], ..Request::default() }));
}

#[test]
fn as_json() {
    let plan = planned("services: {web: {image: app, x-zdd: {parallelism: 2}}}", &[outdated("web", 1)]);
    let mut json = serde_json::to_value(&plan).expect("JSON");
    let settings =
        json["services"][0].as_object_mut().and_then(|service| service.remove("settings")).expect("settings");
    let parallelism = serde_json::json!({"value": "2", "source": "x-zdd of the service"});
    assert_eq!(settings["parallelism"], parallelism);
    assert_snapshot!(serde_json::to_string_pretty(&json).expect("JSON"), @r#"
    {
      "helper": "off",
      "orphans": [],
      "project": "app",
      "remove_orphans": false,
      "services": [
        {
          "after": [],
          "asked": true,
          "job": false,
          "notes": [],
          "operations": [
            {
              "batch": 1,
              "cause": "configuration changed",
              "count": 1,
              "how": "up",
              "operation": "start",
              "scale": 2
            },
            {
              "also": [],
              "batch": 1,
              "cause": "nobody is sent to a container that is not ready",
              "operation": "gate"
            },
            {
              "batch": 1,
              "cause": "replaced",
              "containers": [
                {
                  "id": "id-of-app-web-1",
                  "name": "app-web-1"
                }
              ],
              "heirs": [
                {
                  "new": 1
                }
              ],
              "operation": "drain"
            },
            {
              "batch": 1,
              "cause": "replaced",
              "containers": [
                {
                  "id": "id-of-app-web-1",
                  "name": "app-web-1"
                }
              ],
              "operation": "stop"
            },
            {
              "batch": 0,
              "cause": "stopped, and not needed any more",
              "containers": [
                {
                  "id": "id-of-app-web-1",
                  "name": "app-web-1"
                }
              ],
              "operation": "remove"
            }
          ],
          "reason": "configuration changed",
          "refusals": [],
          "replicas": 1,
          "service": "web",
          "verdict": "roll",
          "ways": []
        }
      ]
    }
    "#);
}

#[test]
fn verbose() {
    let plan = planned(
        "services: {web: {image: app, x-zdd: {parallelism: 2}}, idle: {image: app}}",
        &[outdated("web", 1), current("idle", 1)],
    );
    assert_snapshot!(Text { plan: &plan, verbose: true, paint: &|_, text| text.to_owned() }, @"
    Project app
      idle  unchanged  as wanted
      web   roll       configuration changed
              1. start 1 new container (scale 2; rollback: remove) [configuration changed]
              2. wait until healthy, or running 10s without a healthcheck [nobody is sent to a container that is not ready]
              3. drain app-web-1 [replaced]
              4. stop app-web-1 (rollback: start again) [replaced]
              5. remove app-web-1 [stopped, and not needed any more]
    Settings of web
      strategy           auto                  default
      parallelism        2                     x-zdd of the service
      delay              0s                    default
      order              start-first           default
      failure_action     rollback              default
      max_failure_ratio  0                     default
      monitor            10s                   default
      wait_timeout       from the healthcheck  default
      settle             0s                    default
      drain              auto                  default
      drain_timeout      1m00s                 default
      hold               1m00s                 default
      helper             auto                  default
    ");
}

#[test]
fn one_offs_and_runners_of_hooks_are_no_orphans_either() {
    let found =
        parse_inspect(include_str!("data/inspect/engine-20.10.json")).expect("what the engine prints");
    let removed = Request { remove_orphans: true, ..Request::default() };
    let plan = planned_for("services: {}", &found, &removed);
    assert_eq!(plan.orphans, found.iter().map(zdd::engine::Replica::from).collect::<Vec<_>>());
    assert!(!plan.to_string().contains("-run-") && !plan.to_string().contains("pre_start"), "{plan}");
}
