//! Services that others wait for to end: migrations and the like.

use insta::assert_snapshot;
use zdd::plan::{Request, Step};

use crate::make::{Turned, fresh, planned, planned_for, stale};

const JOB: &str = "services: {job: {image: app}, web: {image: app, \
                   depends_on: {job: {condition: service_completed_successfully}}}}";

#[test]
fn first_run() {
    assert_snapshot!(planned(JOB, &[]), @"
    Project app
      job  create     a one-shot service that has not run in this version
             1. start 1 new container (scale 1; undo: remove)
             2. wait until it ends with exit code 0
      web  create     nothing of it runs
             1. start 1 new container (scale 1; undo: remove)
             2. wait until healthy, or running 10s without a healthcheck
    ");
}

#[test]
fn has_run() {
    assert_snapshot!(planned(JOB, &[fresh("job", 1).exited(0), fresh("web", 1)]), @"
    Project app
      job  unchanged  has run to its end
      web  unchanged  as wanted
    ");
}

#[test]
fn failed_before() {
    assert_snapshot!(planned(JOB, &[fresh("job", 1).exited(1), fresh("web", 1)]), @"
    Project app
      job  create     a one-shot service that has not run in this version
             1. let Compose start app-job-1, or what takes its place (undo: stop again)
             2. wait until it ends with exit code 0
      web  unchanged  as wanted
    ");
}

#[test]
fn of_an_older_version() {
    assert_snapshot!(planned(JOB, &[stale("job", 1).exited(0), stale("web", 1)]), @"
    Project app
      job  create     a one-shot service that has not run in this version
             1. let Compose start app-job-1, or what takes its place (undo: stop again)
             2. wait until it ends with exit code 0
      web  roll       configuration changed
             1. start 1 new container (scale 2; undo: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app-web-1
             4. stop app-web-1 (undo: start again)
             5. remove app-web-1
    ");
}

#[test]
fn still_runs() {
    assert_snapshot!(planned(JOB, &[fresh("job", 1), stale("web", 1)]), @"
    Project app
      job  unchanged  is running to its end
             1. wait until it ends with exit code 0, with app-job-1
      web  roll       configuration changed
             1. start 1 new container (scale 2; undo: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app-web-1
             4. stop app-web-1 (undo: start again)
             5. remove app-web-1
    ");
}

#[test]
fn forced() {
    let force = Request { force: true, ..Request::default() };
    assert_snapshot!(planned_for(JOB, &[fresh("job", 1).exited(0), fresh("web", 1)], &force), @"
    Project app
      job  create     forced
             1. let Compose start app-job-1, or what takes its place (undo: stop again)
             2. wait until it ends with exit code 0
      web  roll       forced
             1. start 1 new container (scale 2; undo: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app-web-1
             4. stop app-web-1 (undo: start again)
             5. remove app-web-1
    ");
}

#[test]
fn as_a_dependency_of_a_named_service() {
    let named = Request { services: vec!["web".to_owned()], ..Request::default() };
    assert_snapshot!(planned_for(JOB, &[fresh("job", 1).exited(0), stale("web", 1)], &named), @"
    Project app
      job  unchanged  as wanted
      web  roll       configuration changed
             1. start 1 new container (scale 2; undo: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app-web-1
             4. stop app-web-1 (undo: start again)
             5. remove app-web-1
    ");
    assert_snapshot!(planned_for(JOB, &[stale("job", 1).exited(0), stale("web", 1)], &named), @"
    Project app
      job  create     nothing of it runs, and a named service depends on it
             1. let Compose start app-job-1, or what takes its place (undo: stop again)
             2. wait until it ends with exit code 0
      web  roll       configuration changed
             1. start 1 new container (scale 2; undo: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app-web-1
             4. stop app-web-1 (undo: start again)
             5. remove app-web-1
    ");
}

fn steps_of_job(containers: &[zdd::observed::Container], request: &Request) -> Vec<Step> {
    let plan = planned_for(JOB, containers, request);
    plan.services.into_iter().find(|plan| plan.service == "job").expect("job").steps
}

#[test]
fn a_dependency_that_still_runs_is_waited_for() {
    let named = Request { services: vec!["web".to_owned()], ..Request::default() };
    let steps = steps_of_job(&[fresh("job", 1), stale("web", 1)], &named);
    assert!(steps.iter().any(|step| matches!(step, Step::Gate { .. })), "{steps:?}");
}

#[test]
fn a_finished_job_is_not_run_again() {
    let steps = steps_of_job(&[stale("job", 1), fresh("job", 2).exited(0)], &Request::default());
    assert!(!steps.iter().any(|step| matches!(step, Step::Start { .. })), "{steps:?}");
}

#[test]
fn two_generations_never_write_at_once() {
    let writer = JOB
        .replace("job: {image: app}", "job: {image: app, volumes: [{type: volume, source: v, target: /v}]}");
    let plan = planned(&writer, &[stale("job", 1), stale("web", 1)]);
    assert!(
        plan.refused() || !plan.services[0].steps.iter().any(|step| matches!(step, Step::Start { .. })),
        "{plan}"
    );
}

#[test]
fn none_wanted_is_none_run() {
    let none = JOB.replace("job: {image: app}", "job: {image: app, scale: 0}");
    assert!(planned(&none, &[]).services[0].steps.is_empty());
}

#[test]
fn an_older_run_comes_to_its_end_before_the_next_begins() {
    assert_snapshot!(planned(JOB, &[stale("job", 1), fresh("web", 1)]), @"
    Project app
      job  create     a one-shot service that has not run in this version
             1. wait until app-job-1 has ended
             2. let Compose start app-job-1, or what takes its place (undo: stop again)
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
    let steps = steps_of_job(&[stale("job", 1).restarting(), fresh("web", 1)], &Request::default());
    assert!(!matches!(steps.first(), Some(Step::Gate { .. })), "{steps:?}");
}
