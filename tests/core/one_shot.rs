//! Services that others wait for to end: migrations and the like.

use insta::assert_snapshot;
use zdd::{
    engine::Container,
    event::Verdict,
    plan::{Operation, Request, What},
};

use crate::make::{Turned, current, outdated, planned, planned_for};

const JOB: &str = "services: {job: {image: app}, web: {image: app, \
                   depends_on: {job: {condition: service_completed_successfully}}}}";

#[test]
fn first_run() {
    assert_snapshot!(planned(JOB, &[]), @"
    Project app
      job  create     a one-shot service that has not run in this version (app)
             1. start 1 new container (scale 1; rollback: remove)
             2. wait until it ends with exit code 0
      web  create     not running (app)
             1. start 1 new container (scale 1; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
    ");
}

#[test]
fn has_run() {
    assert_snapshot!(planned(JOB, &[current("job", 1).exited(0), current("web", 1)]), @"
    Project app
      job  unchanged  has run to its end
      web  unchanged  as wanted
    ");
}

#[test]
fn failed_before() {
    assert_snapshot!(planned(JOB, &[current("job", 1).exited(1), current("web", 1)]), @"
    Project app
      job  create     a one-shot service that has not run in this version (app)
             1. let Compose start app-job-1, or what takes its place (rollback: stop again)
             2. wait until it ends with exit code 0
      web  unchanged  as wanted
    ");
}

#[test]
fn of_an_older_version() {
    assert_snapshot!(planned(JOB, &[outdated("job", 1).exited(0), outdated("web", 1)]), @"
    Project app
      job  create     a one-shot service that has not run in this version (app)
             1. let Compose start app-job-1, or what takes its place (rollback: stop again)
             2. wait until it ends with exit code 0
      web  roll       configuration changed
             1. start 1 new container (scale 2; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app-web-1
             4. stop app-web-1 (rollback: start again)
             5. remove app-web-1
    ");
}

#[test]
fn still_runs() {
    assert_snapshot!(planned(JOB, &[current("job", 1), outdated("web", 1)]), @"
    Project app
      job  unchanged  is running to its end
             1. wait until it ends with exit code 0, with app-job-1
      web  roll       configuration changed
             1. start 1 new container (scale 2; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app-web-1
             4. stop app-web-1 (rollback: start again)
             5. remove app-web-1
    ");
}

#[test]
fn forced() {
    let force = Request { force: true, ..Request::default() };
    assert_snapshot!(planned_for(JOB, &[current("job", 1).exited(0), current("web", 1)], &force), @"
    Project app
      job  create     forced (app)
             1. let Compose start app-job-1, or what takes its place (rollback: stop again)
             2. wait until it ends with exit code 0
      web  roll       forced
             1. start 1 new container (scale 2; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app-web-1
             4. stop app-web-1 (rollback: start again)
             5. remove app-web-1
    ");
}

#[test]
fn as_a_dependency_of_a_named_service() {
    let named = Request { services: vec!["web".to_owned()], ..Request::default() };
    assert_snapshot!(planned_for(JOB, &[current("job", 1).exited(0), outdated("web", 1)], &named), @"
    Project app
      job  unchanged  as wanted
      web  roll       configuration changed
             1. start 1 new container (scale 2; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app-web-1
             4. stop app-web-1 (rollback: start again)
             5. remove app-web-1
    ");
    assert_snapshot!(planned_for(JOB, &[outdated("job", 1).exited(0), outdated("web", 1)], &named), @"
    Project app
      job  create     not running, and a named service depends on it (app)
             1. let Compose start app-job-1, or what takes its place (rollback: stop again)
             2. wait until it ends with exit code 0
      web  roll       configuration changed
             1. start 1 new container (scale 2; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app-web-1
             4. stop app-web-1 (rollback: start again)
             5. remove app-web-1
    ");
}

fn operations_of_job(containers: &[zdd::engine::Container], request: &Request) -> Vec<Operation> {
    let plan = planned_for(JOB, containers, request);
    plan.services.into_iter().find(|plan| plan.service == "job").expect("job").operations
}

#[test]
fn a_dependency_that_still_runs_is_waited_for() {
    let named = Request { services: vec!["web".to_owned()], ..Request::default() };
    let operations = operations_of_job(&[current("job", 1), outdated("web", 1)], &named);
    assert!(operations.iter().any(|op| matches!(op.what, What::Gate { .. })), "{operations:?}");
}

#[test]
fn a_finished_job_is_not_run_again() {
    let operations =
        operations_of_job(&[outdated("job", 1), current("job", 2).exited(0)], &Request::default());
    assert!(!operations.iter().any(|op| matches!(op.what, What::Start { .. })), "{operations:?}");
}

#[test]
fn two_generations_never_write_at_once() {
    let writer = JOB
        .replace("job: {image: app}", "job: {image: app, volumes: [{type: volume, source: v, target: /v}]}");
    let plan = planned(&writer, &[outdated("job", 1), outdated("web", 1)]);
    assert!(
        plan.refused() || !plan.services[0].operations.iter().any(|op| matches!(op.what, What::Start { .. })),
        "{plan}"
    );
}

#[test]
fn none_wanted_is_none_run() {
    let none = JOB.replace("job: {image: app}", "job: {image: app, scale: 0}");
    assert!(planned(&none, &[]).services[0].operations.is_empty());
}

#[test]
fn an_older_run_comes_to_its_end_before_the_next_begins() {
    assert_snapshot!(planned(JOB, &[outdated("job", 1), current("web", 1)]), @"
    Project app
      job  create     a one-shot service that has not run in this version
             1. wait until app-job-1 has ended
             2. let Compose start app-job-1, or what takes its place (rollback: stop again)
             3. wait until it ends with exit code 0
      web  unchanged  as wanted
    ");
}

#[test]
fn an_optional_job_that_no_profile_enables_is_not_waited_for() {
    let optional = "services: {web: {image: app, \
                    depends_on: {job: {condition: service_completed_successfully, required: false}}}}";
    let named = Request { services: vec!["web".to_owned()], ..Request::default() };
    for request in [Request::default(), named] {
        let plan = planned_for(optional, &[], &request);
        assert_eq!((plan.services.len(), plan.services[0].after.len()), (1, 0), "{plan}");
    }
}

#[test]
fn a_job_that_never_ends_well_does_not_keep_its_successor_from_running() {
    let operations =
        operations_of_job(&[outdated("job", 1).restarting(), current("web", 1)], &Request::default());
    assert!(!matches!(operations.first(), Some(Operation { what: What::Gate { .. }, .. })), "{operations:?}");
}

/// Nobody awaits its end, and it is done all the same.
#[test]
fn what_looks_like_a_job_and_has_ended_well_is_done() {
    let verdict = |service: &str, container: Container| {
        let plan = planned(&format!("services: {{{service}}}"), &[container]);
        (plan.services[0].verdict, plan.services[0].reason.clone())
    };
    let done = (Verdict::Unchanged, "has run to its end".to_owned());
    let not_running = (Verdict::Create, "not running".to_owned());
    for service in [
        "job: {image: app, restart: \"no\"}",
        "job: {image: app, restart: on-failure}",
        "job: {image: app, deploy: {restart_policy: {condition: on-failure}}}",
        "job: {image: postgres, restart: on-failure, command: [psql, -f, seed.sql]}",
    ] {
        assert_eq!(verdict(service, current("job", 1).exited(0)), done, "{service}");
        assert_eq!(verdict(service, current("job", 1).exited(1)), not_running, "{service}");
        assert_eq!(verdict(service, outdated("job", 1).exited(0)), not_running, "{service}");
    }
    assert_eq!(verdict("db-migrate: {image: app}", current("db-migrate", 1).exited(0)), done);
    for service in [
        "job: {image: app}",
        "job: {image: app, restart: unless-stopped}",
        "job: {image: app, restart: \"no\", ports: [{target: 80}]}",
        "job: {image: app, restart: \"no\", healthcheck: {test: [CMD, \"true\"]}}",
        "job: {image: postgres, restart: \"no\"}",
    ] {
        assert_eq!(verdict(service, current("job", 1).exited(0)), not_running, "{service}");
    }
}

/// An old migration knows nothing of what a newer one has done.
#[test]
fn a_rollback_runs_no_job_that_nobody_names() {
    let services = "services: {job: {image: app}, web: {image: app, depends_on: {job: {condition: \
                    service_completed_successfully}}}}";
    let there = [outdated("job", 1).exited(0), outdated("web", 1)];
    let verdicts = |request: Request| {
        let plan = planned_for(services, &there, &request);
        plan.services.iter().map(|plan| (plan.service.clone(), plan.verdict)).collect::<Vec<_>>()
    };
    let expected = |job| vec![("job".to_owned(), job), ("web".to_owned(), Verdict::Roll)];
    let spares = Request { spares_jobs: true, ..Request::default() };
    assert_eq!(verdicts(spares.clone()), expected(Verdict::Unchanged));
    let named = Request { services: vec!["job".to_owned(), "web".to_owned()], ..spares };
    assert_eq!(verdicts(named), expected(Verdict::Create));
    assert_eq!(verdicts(Request::default()), expected(Verdict::Create));
}
