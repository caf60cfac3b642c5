//! How a project stands, and what to type where it is not as it should be.

use zdd::{
    history::{Deployed, Ending, Revision},
    observed::Container,
    status::{Holder, Life, Scope, ServiceStatus, Standing, Status, status},
};

use crate::make::{Turned, fresh, model, observed, stale};

const WEB: &str = "services: {web: {image: web, scale: 2}}";

fn of(services: &str, containers: &[Container], lock: Option<Life>, scope: &Scope) -> Status {
    let model = model(services);
    let holder = lock.map(|life| Holder { owner: "anna on web1".to_owned(), since: 0, life });
    status(&model, &observed(&model, containers), holder.as_ref(), scope)
}

fn told(services: &str, containers: &[Container], lock: Option<Life>) -> Status {
    of(services, containers, lock, &Scope::default())
}

fn web(containers: &[Container], lock: Option<Life>) -> (ServiceStatus, Vec<String>) {
    let mut status = told(WEB, containers, lock);
    (status.services.remove(0), status.advice)
}

fn all_healthy(containers: [Container; 2]) -> [Container; 2] {
    containers.map(Turned::healthy)
}

#[test]
fn as_wanted_there_is_nothing_to_say() {
    let (row, advice) = web(&all_healthy([fresh("web", 1), fresh("web", 2)]), None);
    assert_eq!((row.ready, row.wanted, row.health.as_str()), (2, Some(2), "healthy"));
    assert_eq!(row.standing, Standing::UpToDate);
    assert_eq!(row.since, Some(1_795_452_657));
    assert_eq!(advice, Vec::<String>::new());
}

/// The newest good revision that has what runs: of the failed one that wanted the same, there is no word.
#[test]
fn what_runs_is_of_a_revision() {
    let running = |content: &str| Container { config_hash: content.to_owned(), ..fresh("web", 1) };
    let image = Some(fresh("web", 1).image_id);
    let revision = |number: u32, content: &str, outcome: Ending| {
        let web = Deployed { hash: content.to_owned(), image: image.clone(), ..Deployed::default() };
        Revision { number, outcome, services: [("web".to_owned(), web)].into(), ..Revision::default() }
    };
    let revisions = vec![
        revision(1, "a", Ending::Done),
        revision(3, "b", Ending::Done),
        revision(2, "a", Ending::Done),
        revision(4, "a", Ending::Failed),
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
    let containers = [fresh("web", 1).healthy(), fresh("web", 2).starting(), fresh("web", 3).unhealthy()];
    let (row, advice) = web(&containers, None);
    assert_eq!((row.ready, row.health.as_str()), (1, "1 healthy, 1 starting, 1 unhealthy"));
    assert_eq!(row.standing, Standing::Count { running: 3, wanted: 2 });
    assert_eq!(
        advice,
        [
            "web: 3 of 2 replicas run; type \"docker zdd up web\" to have 2",
            "web: app-web-3 is unhealthy; type \"docker logs app-web-3\" or \"docker inspect app-web-3\"",
        ]
    );
}

#[test]
fn what_runs_may_be_of_another_configuration_or_image() {
    let (row, advice) = web(&[stale("web", 1), stale("web", 2)], None);
    assert_eq!(row.standing, Standing::Changed { what: vec!["configuration"] });
    assert_eq!(
        advice,
        [
            "what runs of web is not what the files want; type \"docker zdd plan web\" to see what \"docker zdd up\" would do"
        ]
    );
    let (row, _) = web(&[1, 2].map(|n| fresh("web", n).of_image("sha256:old")), None);
    assert_eq!(row.standing, Standing::Changed { what: vec!["image"] });
}

#[test]
fn two_generations_are_a_rollout_when_somebody_may_be_at_work() {
    let containers = [stale("web", 1), stale("web", 2), fresh("web", 3)];
    for life in [Life::Running, Life::Unknown] {
        let (row, advice) = web(&containers, Some(life));
        assert_eq!(row.standing, Standing::Rolling { new: 1, old: 2 });
        assert!(!advice.iter().any(|line| line.contains("broken off")), "{advice:?}");
    }
}

#[test]
fn and_broken_off_when_nobody_is() {
    let containers = [stale("web", 1), stale("web", 2), fresh("web", 3)];
    for lock in [None, Some(Life::Dead)] {
        let (row, advice) = web(&containers, lock);
        assert_eq!(row.standing, Standing::BrokenOff { new: 1, old: 2 });
        let sentence = "web: a rollout was broken off, 1 new and 2 old containers run side by side; type \"docker zdd up web\" to finish it";
        assert!(advice.iter().any(|line| line == sentence), "{advice:?}");
    }
}

/// The file may have changed again since: then neither generation is the wanted one.
#[test]
fn generations_are_told_apart_whatever_the_files_want() {
    let (row, _) = web(&[stale("web", 1), stale("web", 2).of_image("sha256:other")], None);
    assert_eq!(row.standing, Standing::BrokenOff { new: 1, old: 1 });
    let newest: Vec<_> = row.containers.iter().map(|c| c.newest).collect();
    assert_eq!(newest, [false, true]);
}

#[test]
fn what_a_killed_run_left_behind_is_named() {
    let containers = [
        stale("web", 1).exited(0),
        fresh("web", 2),
        fresh("web", 3),
        fresh("web", 4).created(),
        stale("web", 5).exited(1),
    ];
    let (row, advice) = web(&containers, Some(Life::Dead));
    assert_eq!((row.ready, row.standing), (2, Standing::UpToDate));
    assert_eq!(
        advice,
        [
            "the run of anna on web1 ended without giving its lock back; the next \"docker zdd up\" takes it over",
            "web: app-web-1 and app-web-5 are stopped and left behind; type \"docker zdd up web\" to clear up",
            "web: app-web-4 was never started and is left behind; type \"docker zdd up web\" to clear up",
        ]
    );
    let (_, advice) = web(&containers, Some(Life::Running));
    assert_eq!(advice, Vec::<String>::new(), "they are that run's business");
}

#[test]
fn a_lock_of_another_machine_may_be_broken() {
    let (_, advice) = web(&[fresh("web", 1), fresh("web", 2)], Some(Life::Unknown));
    assert_eq!(
        advice,
        [
            "whether anna on web1 still runs cannot be seen from here; if you know that it is dead, type \"docker zdd up --break-lock\""
        ]
    );
}

#[test]
fn nothing_runs() {
    let (row, advice) = web(&[], None);
    assert_eq!((row.images, row.health.as_str(), row.since), (vec!["web".to_owned()], "", None));
    assert_eq!(row.standing, Standing::Down);
    assert_eq!(advice, ["nothing runs of web; type \"docker zdd up web\" to start it"]);
    let status = told("services: {web: {image: web}, db: {image: db}, no: {image: no, scale: 0}}", &[], None);
    assert_eq!(status.advice, ["nothing of project app runs; type \"docker zdd up\" to start it"]);
    assert_eq!(status.services[1].standing, Standing::UpToDate, "none of \"no\" is wanted");
}

#[test]
fn stopped_by_hand_it_is_down() {
    let (row, advice) = web(&[fresh("web", 1).exited(137), fresh("web", 2).exited(0)], None);
    assert_eq!((row.health.as_str(), row.standing), ("1 exited (137), 1 exited (0)", Standing::Down));
    assert_eq!(advice, ["nothing runs of web; type \"docker zdd up web\" to start it"]);
}

#[test]
fn paused_and_crashing_containers_are_named() {
    let (row, advice) = web(&[fresh("web", 1).paused(), fresh("web", 2).restarting()], None);
    assert_eq!((row.ready, row.health.as_str()), (0, "1 paused, 1 restarting"));
    assert_eq!(
        advice,
        [
            "web: app-web-1 is paused; type \"docker unpause app-web-1\", as nothing can be rolled out meanwhile",
            "web: app-web-2 crashes again and again; type \"docker logs app-web-2\"",
        ]
    );
}

#[test]
fn a_job_has_run_or_failed() {
    let file = "services: {job: {image: job}, web: {image: web, depends_on: {job: {condition: service_completed_successfully}}}}";
    let standing = |containers: &[Container]| told(file, containers, None).services.remove(0);
    assert_eq!(standing(&[]).standing, Standing::Down);
    assert_eq!(standing(&[fresh("job", 1)]).standing, Standing::JobRunning);
    let done = standing(&[fresh("job", 1).exited(0)]);
    assert_eq!((done.standing, done.wanted), (Standing::JobDone, None));
    let status = told(file, &[fresh("job", 1).exited(3), fresh("web", 1)], None);
    assert_eq!(status.services[0].standing, Standing::JobFailed { exit_code: 3 });
    assert_eq!(status.advice, ["job: the job ended with exit code 3; type \"docker logs app-job-1\""]);
}

#[test]
fn what_the_model_does_not_know_is_an_orphan_or_sleeps() {
    let containers = [fresh("web", 1), fresh("web", 2), fresh("old", 1), fresh("debug", 1)];
    let dormant = ["debug".to_owned()].into();
    let status = of(WEB, &containers, None, &Scope { dormant, ..Scope::default() });
    let rows: Vec<_> = status.services.iter().map(|s| (s.service.as_str(), &s.standing)).collect();
    assert_eq!(
        rows,
        [("web", &Standing::UpToDate), ("debug", &Standing::Dormant), ("old", &Standing::Orphan)]
    );
    assert_eq!(
        status.advice,
        ["no file names old any more; type \"docker zdd up --remove-orphans\" to remove it"]
    );
}

#[test]
fn named_services_alone_are_told_of() {
    let file = "services: {web: {image: web}, db: {image: db}}";
    let scope = Scope { services: vec!["db".to_owned()], ..Scope::default() };
    let status = of(file, &[fresh("web", 1).unhealthy(), fresh("db", 1), fresh("old", 1)], None, &scope);
    assert_eq!(status.services.len(), 1);
    assert_eq!((status.services[0].service.as_str(), status.advice), ("db", vec![]));
}

#[test]
fn a_provider_is_left_to_itself() {
    let status = told("services: {ai: {provider: {type: model}}}", &[], None);
    assert_eq!((&status.services[0].standing, status.advice), (&Standing::Provider, vec![]));
}
