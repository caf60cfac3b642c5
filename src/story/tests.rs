//! The fold, event by event.

use super::{
    fixture::{self, Run, begin, done, ms, new, old, planned, stopping, story, waiting},
    *,
};
use crate::event::{Failure, Generation, Outcome};

fn service(run: &Run, now: u64) -> Service {
    story(run, now).services[0].clone()
}

/// Name, generation and whether anything was done with it.
fn containers(service: &Service) -> Vec<(&str, Generation, bool)> {
    service
        .containers
        .iter()
        .map(|c| (c.container.name.as_str(), c.generation, c.phase().is_some()))
        .collect()
}

#[test]
fn what_serves_is_known_from_the_plan_on() {
    let app = service(&fixture::happy(), 3_200);
    assert_eq!(containers(&app), [("app-1", Generation::Old, false), ("app-2", Generation::Old, false)]);
    let app = service(&fixture::happy(), 4_000);
    assert_eq!(containers(&app)[2..], [("app-3", Generation::New, true), ("app-4", Generation::New, true)]);
    assert_eq!(app.containers[0].life(ms(4_000)), [(ms(0), ms(4_000), State::Serving)]);
}

#[test]
fn containers_stand_as_people_count() {
    let names: Vec<_> =
        containers(&service(&fixture::batches(), 9_000)).iter().map(|c| c.0.to_owned()).collect();
    assert_eq!(names, ["app-9", "app-10", "app-11", "app-12"]);
}

#[test]
fn the_wait_for_health_is_a_part_of_the_start() {
    let run = vec![
        (100, new("app-2", Phase::Started)),
        (150, new("app-2", waiting("starting", None, 40_000))),
        (2_100, new("app-2", waiting("starting", Some("no"), 38_050))),
        (3_100, new("app-2", Phase::Ready)),
        (9_000, new("app-2", stopping())),
        (9_300, new("app-2", Phase::Stopped { exit_code: 0 })),
        (9_400, new("app-2", Phase::Removed)),
    ];
    let container = |now| service(&run, now).containers[0].clone();
    let time = |now| (container(now).since, container(now).took);
    assert_eq!((time(2_500), container(2_500).limit), ((ms(100), None), ms(40_050)));
    assert_eq!(time(3_100), (ms(100), Some(ms(3_000))));
    assert_eq!((time(9_400), container(9_400).health.as_str()), ((ms(9_000), Some(ms(300))), "starting"));
    assert_eq!(container(2_100).before(), Some(&waiting("starting", None, 40_000)));
}

#[test]
fn parts_are_wall_clock() {
    let parts = |run: &Run| -> Vec<_> {
        story(run, u64::MAX).parts().into_iter().map(|(part, took)| (part, took.as_millis())).collect()
    };
    let happy = [
        ("build", 3_100),
        ("start", 400),
        ("health", 1_600),
        ("settle", 1_000),
        ("drain", 2_100),
        ("stop", 500),
    ];
    assert_eq!(parts(&fixture::happy()), happy);
    let failed = [("start", 800), ("health", 4_500), ("stop", 900), ("rollback", 1_800)];
    assert_eq!(parts(&fixture::failed()), failed);
}

/// It serves since the new version has failed.
#[test]
fn a_drain_that_was_broken_off_ends() {
    let failure = Failure { reason: "too much".to_owned(), ..Failure::default() };
    let run = vec![
        (0, old("app-1", Phase::Draining { how: "HAProxy".to_owned() })),
        (500, Event::Failed { service: "app".to_owned(), failure, rollback: true }),
        (1_000, done("app", Outcome::RolledBack, &["app-1", "app-2"], 1_000)),
    ];
    let app = service(&run, 1_000);
    let life = [(ms(0), ms(500), State::Draining), (ms(500), ms(1_000), State::Serving)];
    assert_eq!(app.containers[0].life(ms(1_000)), life);
    assert_eq!(containers(&app)[1], ("app-2", Generation::Old, false), "it was never in the news");
    assert_eq!(story(&run, 1_000).parts()[0], ("drain", ms(500)));
}

#[test]
fn what_was_resumed_is_not_old() {
    let mut run = vec![(0, planned(&[("app", Verdict::Roll, "", 1)])), (1, begin("app", 1, 1))];
    run.push((2, new("app-1", Phase::Ready)));
    assert_eq!(containers(&service(&run, 9)), [("app-1", Generation::New, true)]);
}

#[test]
fn services_end_and_fail() {
    let app = service(&fixture::failed(), 5_900);
    let all: Vec<_> = app
        .failures
        .iter()
        .map(|(at, failure, rollback)| (*at, failure.reason.as_str(), *rollback))
        .collect();
    assert_eq!(all, [(ms(5_900), "is unhealthy after 3 failed probes", true)]);
    assert_eq!((app.rollback(), app.batch, app.end.clone()), (Some(ms(5_900)), Some((2, 2)), None));
    let app = service(&fixture::failed(), 7_700);
    let end = app.end.unwrap();
    assert_eq!((end.outcome, end.serving.unwrap().len(), end.took), (Outcome::RolledBack, 2, ms(7_700)));
    let story = story(&fixture::interleaved(), 2_000);
    assert_eq!(
        story.services.iter().map(|s| s.verdict).collect::<Vec<_>>(),
        [Some(Verdict::Roll), Some(Verdict::Create)]
    );
}

#[test]
fn what_needs_nothing_is_apart() {
    let story = story(&fixture::happy(), 4_000);
    let names = |services: Vec<&Service>| services.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
    let (unchanged, others) = story.unchanged_and_others();
    assert_eq!((names(unchanged), names(others)), (vec!["db".to_owned()], vec!["app".to_owned()]));
    assert_eq!(names(story.touched().collect()), ["app"]);
    assert_eq!(story.span(), Some((ms(3_200), ms(3_650))));
}

#[test]
fn the_last_lines_of_a_build_are_kept() {
    let mut run: Run = vec![(0, Event::Building { services: vec!["app".to_owned()] })];
    run.extend((0..99).map(|n| (n, Event::Output { line: format!("\x1b[32mline {n}\x1b[0m") })));
    run.push((99, Event::Output { line: " ".to_owned() }));
    let tail = story(&run, 99).images.pop().unwrap().tail;
    assert_eq!((tail.len(), tail[0].as_str(), tail[29].as_str()), (30, "line 69", "line 98"));
}

#[test]
fn requests_that_failed_are_amber_when_all_else_went_well() {
    assert_eq!(story(&fixture::probed(2), u64::MAX).amber(), Some((130, 2)));
    assert_eq!(story(&fixture::probed(0), u64::MAX).amber(), None);
    assert_eq!(story(&fixture::probed(2), 7_000).amber(), None, "it is not over");
}

#[test]
fn the_stops_of_a_rollback_are_a_part_of_it() {
    let stages = |run: &Run| {
        let mut story = Story::default();
        let mut stages = vec![story.stage];
        for (at, event) in run {
            story.apply(ms(*at), event);
            stages.extend((stages.last() != Some(&story.stage)).then_some(story.stage));
        }
        stages
    };
    use Stage::*;
    assert_eq!(stages(&fixture::happy()), [Before, Start, Health, Settle, Drain, Stop]);
    assert_eq!(stages(&fixture::failed()), [Before, Start, Health, Stop, Start, Health, Rollback]);
    assert_eq!(stages(&fixture::interrupted()), [Before, Start, Health, Rollback]);
}

/// A job may take as long as it likes.
#[test]
fn a_wait_without_a_limit_is_no_panic() {
    let waiting = Phase::Waiting { health: "running".to_owned(), output: None, deadline: Duration::MAX };
    let run = vec![(5, begin("app", 1, 1)), (10, new("app-3", Phase::Started)), (20, new("app-3", waiting))];
    assert_eq!(service(&run, 30).containers.len(), 1);
}
