//! How a project stands, and what to type where it is not as it should be.

use zdd::{
    advice,
    engine::Container,
    event::Outcome,
    keep::{Deployed, Holder, Life, Revision},
    status::{Condition, Scope, ServiceStatus, Status, status},
};

use crate::make::{Turned, current, observed, outdated, project};

const WEB: &str = "services: {web: {image: web, scale: 2}}";

fn of(services: &str, containers: &[Container], lock: Option<Life>, scope: &Scope) -> Status {
    let project = project(services);
    let holder = lock.map(|life| Holder { owner: "anna on web1".to_owned(), since: 0, life });
    let status = status(&project, &observed(&project, containers), holder.as_ref(), scope);
    Status { advice: advice::hints(&status, containers), ..status }
}

fn shown(services: &str, containers: &[Container], lock: Option<Life>) -> Status {
    of(services, containers, lock, &Scope::default())
}

fn web(containers: &[Container], lock: Option<Life>) -> (ServiceStatus, Vec<String>) {
    let mut status = shown(WEB, containers, lock);
    (status.services.remove(0), status.advice)
}

fn all_healthy(containers: [Container; 2]) -> [Container; 2] {
    containers.map(Turned::healthy)
}

#[test]
fn as_wanted_there_is_nothing_to_say() {
    let (row, advice) = web(&all_healthy([current("web", 1), current("web", 2)]), None);
    assert_eq!((row.ready, row.wanted, row.health.as_str()), (2, Some(2), "healthy"));
    assert_eq!(row.condition, Condition::UpToDate);
    assert_eq!(row.since, Some(1_795_452_657));
    assert_eq!(advice, Vec::<String>::new());
}

/// The newest good revision that has what runs: of the failed one that wanted the same, there is no word.
#[test]
fn what_runs_is_of_a_revision() {
    let running = |content: &str| Container { config_hash: content.to_owned(), ..current("web", 1) };
    let image = Some(current("web", 1).image_id);
    let revision = |number: u32, content: &str, outcome: Outcome| {
        let web = Deployed { hash: content.to_owned(), image: image.clone(), ..Deployed::default() };
        Revision { number, outcome, services: [("web".to_owned(), web)].into(), ..Revision::default() }
    };
    let revisions = vec![
        revision(1, "a", Outcome::Done),
        revision(3, "b", Outcome::Done),
        revision(2, "a", Outcome::Done),
        revision(4, "a", Outcome::RolledBack),
    ];
    let scope = Scope { revisions, ..Scope::default() };
    let of = |containers: &[Container]| of(WEB, containers, None, &scope).services[0].revision;
    assert_eq!(of(&[running("a")]), Some(2));
    assert_eq!(of(&[running("b")]), Some(3));
    assert_eq!(of(&[running("c")]), None);
    assert_eq!(of(&[running("a"), running("b")]), None);
    assert_eq!(of(&[running("a").of_image("sha256:other")]), None);
    assert_eq!(of(&[]), None);
}

#[test]
fn what_is_not_healthy_is_not_ready() {
    let containers =
        [current("web", 1).healthy(), current("web", 2).starting(), current("web", 3).unhealthy()];
    let (row, advice) = web(&containers, None);
    assert_eq!((row.ready, row.health.as_str()), (1, "1 healthy, 1 starting, 1 unhealthy"));
    assert_eq!(row.condition, Condition::Count { running: 3, wanted: 2 });
    assert_eq!(
        advice,
        [
            "web: 3 of 2 replicas run; run \"docker zdd up web\" to have 2",
            "web: app-web-3 is unhealthy; \"docker logs app-web-3\" may say why, \"docker zdd up --force-recreate web\" replaces it",
        ]
    );
}

#[test]
fn what_runs_may_be_of_another_configuration_or_image() {
    let (row, advice) = web(&[outdated("web", 1), outdated("web", 2)], None);
    assert_eq!(row.condition, Condition::Changed { what: vec!["configuration"] });
    assert_eq!(
        advice,
        ["web differs from the files; run \"docker zdd plan web\" to see what \"docker zdd up\" would do"]
    );
    let (row, _) = web(&[1, 2].map(|n| current("web", n).of_image("sha256:old")), None);
    assert_eq!(row.condition, Condition::Changed { what: vec!["image"] });
}

#[test]
fn two_generations_are_a_rollout_when_somebody_may_be_at_work() {
    let containers = [outdated("web", 1), outdated("web", 2), current("web", 3)];
    for life in [Life::Running, Life::Unknown] {
        let (row, advice) = web(&containers, Some(life));
        assert_eq!(row.condition, Condition::Rolling { new: 1, old: 2 });
        assert!(!advice.iter().any(|line| line.contains("interrupted")), "{advice:?}");
    }
}

#[test]
fn and_interrupted_when_nobody_is() {
    let containers = [outdated("web", 1), outdated("web", 2), current("web", 3)];
    for lock in [None, Some(Life::Dead)] {
        let (row, advice) = web(&containers, lock);
        assert_eq!(row.condition, Condition::Interrupted { new: 1, old: 2 });
        let sentence = "web: a rollout was interrupted; 1 new and 2 old containers run side by side; run \"docker zdd up web\" to finish it";
        assert!(advice.iter().any(|line| line == sentence), "{advice:?}");
    }
}

/// The file may have changed again since: then neither generation is the wanted one.
#[test]
fn generations_are_kept_apart_when_the_files_want_neither() {
    let (row, _) = web(&[outdated("web", 1), outdated("web", 2).of_image("sha256:other")], None);
    assert_eq!(row.condition, Condition::Interrupted { new: 1, old: 1 });
    let newest: Vec<_> = row.containers.iter().map(|c| c.newest).collect();
    assert_eq!(newest, [false, true]);
}

#[test]
fn what_a_killed_run_left_behind_is_named() {
    let containers = [
        outdated("web", 1).exited(0),
        current("web", 2),
        current("web", 3),
        current("web", 4).created(),
        outdated("web", 5).exited(1),
    ];
    let (row, advice) = web(&containers, Some(Life::Dead));
    assert_eq!((row.ready, row.condition), (2, Condition::UpToDate));
    assert_eq!(
        advice,
        [
            "the run of anna on web1 ended without releasing its lock; the next \"docker zdd up\" takes it over",
            "web: app-web-1 and app-web-5 are stopped and left behind; run \"docker zdd up web\" to clean up",
            "web: app-web-4 was never started and is left behind; run \"docker zdd up web\" to clean up",
        ]
    );
    let (_, advice) = web(&containers, Some(Life::Running));
    assert_eq!(advice, Vec::<String>::new(), "they are that run's business");
}

#[test]
fn a_lock_of_another_machine_may_be_broken() {
    let (_, advice) = web(&[current("web", 1), current("web", 2)], Some(Life::Unknown));
    assert_eq!(
        advice,
        [
            "whether anna on web1 still runs cannot be seen from here; if you know it is dead, run \"docker zdd up --break-lock\""
        ]
    );
}

#[test]
fn nothing_runs() {
    let (row, advice) = web(&[], None);
    assert_eq!((row.images, row.health.as_str(), row.since), (vec!["web".to_owned()], "", None));
    assert_eq!(row.condition, Condition::Down);
    assert_eq!(advice, ["web is not running; run \"docker zdd up web\" to start it"]);
    let status =
        shown("services: {web: {image: web}, db: {image: db}, no: {image: no, scale: 0}}", &[], None);
    assert_eq!(status.advice, ["nothing of project app is running; run \"docker zdd up\" to start it"]);
    assert_eq!(status.services[1].condition, Condition::UpToDate, "none of \"no\" is wanted");
}

#[test]
fn stopped_by_hand_it_is_down() {
    let (row, advice) = web(&[current("web", 1).exited(137), current("web", 2).exited(0)], None);
    assert_eq!((row.health.as_str(), row.condition), ("1 exited (137), 1 exited (0)", Condition::Down));
    assert_eq!(advice, ["web is not running; run \"docker zdd up web\" to start it"]);
}

#[test]
fn paused_and_crashing_containers_are_named() {
    let (row, advice) = web(&[current("web", 1).paused(), current("web", 2).restarting()], None);
    assert_eq!((row.ready, row.health.as_str()), (0, "1 paused, 1 restarting"));
    assert_eq!(
        advice,
        [
            "web: app-web-2 keeps crashing; \"docker logs app-web-2\" may say why, \"docker zdd up --force-recreate web\" replaces it",
            "web: app-web-1 is paused; run \"docker unpause app-web-1\", as nothing can be rolled out meanwhile",
        ]
    );
}

#[test]
fn a_job_has_run_or_failed() {
    let file = "services: {job: {image: job}, web: {image: web, depends_on: {job: {condition: service_completed_successfully}}}}";
    let condition = |containers: &[Container]| shown(file, containers, None).services.remove(0);
    assert_eq!(condition(&[]).condition, Condition::Down);
    assert_eq!(condition(&[current("job", 1)]).condition, Condition::JobRunning);
    let done = condition(&[current("job", 1).exited(0)]);
    assert_eq!((done.condition, done.wanted), (Condition::JobDone, None));
    let status = shown(file, &[current("job", 1).exited(3), current("web", 1)], None);
    assert_eq!(status.services[0].condition, Condition::JobFailed { exit_code: 3 });
    assert_eq!(status.advice, ["job: the job ended with exit code 3; run \"docker logs app-job-1\""]);
}

#[test]
fn what_the_project_does_not_know_is_an_orphan_or_sleeps() {
    let containers = [current("web", 1), current("web", 2), current("old", 1), current("debug", 1)];
    let dormant = ["debug".to_owned()].into();
    let status = of(WEB, &containers, None, &Scope { dormant, ..Scope::default() });
    let rows: Vec<_> = status.services.iter().map(|s| (s.service.as_str(), &s.condition)).collect();
    assert_eq!(
        rows,
        [("web", &Condition::UpToDate), ("debug", &Condition::Dormant), ("old", &Condition::Orphan)]
    );
    assert_eq!(
        status.advice,
        ["old is in no file any more; run \"docker zdd up --remove-orphans\" to remove it"]
    );
}

#[test]
fn named_services_alone_are_shown() {
    let file = "services: {web: {image: web}, db: {image: db}}";
    let scope = Scope { services: vec!["db".to_owned()], ..Scope::default() };
    let status =
        of(file, &[current("web", 1).unhealthy(), current("db", 1), current("old", 1)], None, &scope);
    assert_eq!(status.services.len(), 1);
    assert_eq!((status.services[0].service.as_str(), status.advice), ("db", vec![]));
}

#[test]
fn a_provider_is_left_to_itself() {
    let status = shown("services: {ai: {provider: {type: model}}}", &[], None);
    assert_eq!((&status.services[0].condition, status.advice), (&Condition::Provider, vec![]));
}
