//! `docker zdd status`: what runs, what does not, and what to type.

use std::fs;

use insta::assert_snapshot;
use rustix::process::Signal;

use crate::{
    files::{project, web},
    history::twice,
    scenario::{Scenario, new, old},
    world::{Action, Reading},
};

const JOB: &str =
    "image: app\ndepends_on: {migrate: {condition: service_completed_successfully, required: true}}";

fn shop() -> String {
    project(&[
        ("db", "image: db:16\nprofiles: [data]"),
        ("migrate", "image: app"),
        ("web", &format!("{JOB}\nscale: 2")),
        ("worker", "image: app"),
    ])
}

fn lock(scenario: Scenario, labels: &[(&str, &str)]) -> Scenario {
    let labels: Vec<_> = labels.iter().map(|(k, v)| (format!("io.zdd.lock.{k}"), *v)).collect();
    let labels: Vec<_> = labels.iter().map(|(k, v)| (k.as_str(), *v)).collect();
    scenario.volume("zdd-lock-shop", &labels)
}

/// Without the ages, which depend on the day.
fn ageless(text: &str) -> String {
    let rules = [(r" {3}\d+[smhd] {3}", "   AGE   "), (r"\(\d+[smhd]\)", "(AGE)"), (" {3,}", "   ")];
    rules.iter().fold(text.to_owned(), |text, (pattern, new)| {
        regex_lite::Regex::new(pattern).expect("a pattern").replace_all(&text, *new).into_owned()
    })
}

#[test]
fn of_a_whole_project() {
    let output = Scenario::new(&shop())
        .with([
            new("db-1"),
            new("migrate-1").is("exited 0"),
            new("web-1"),
            new("web-2").is("starting"),
            new("worker-1").other_image().is("running"),
            new("gone-1"),
            new("web-9").label("oneoff", "True").named("web-run-1"),
        ])
        .run(&["status"]);
    assert_eq!(output.changes(), Vec::<&str>::new(), "{output}");
    assert_snapshot!(ageless(&output.to_string()), @r#"
    exit code: 0
    --- stdout
    SERVICE   IMAGE   READY   REVISION   HEALTH   AGE   STATUS
    migrate   app   -   -   exited (0)   -   job done
    web   app   1/2   -   1 healthy, 1 starting   AGE   up to date
    worker   app   1/1   -   running   AGE   image changed
    db   db:16   1   -   healthy   AGE   profile not enabled
    gone   web   1   -   healthy   AGE   orphan

    worker differs from the files; run "docker zdd plan worker" to see what "docker zdd up" would do
    gone is in no file any more; run "docker zdd up --remove-orphans" to remove it
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume inspect zdd-lock-shop  → exit 1
    docker volume ls
    docker compose version --short
    docker image inspect app
    docker inspect db-1 gone-1 migrate-1 web-1 web-2 worker-1
    docker ps
    docker compose --profile * config --services
    --- containers
    db-1 new healthy
    gone-1 new healthy
    migrate-1 new exited 0
    web-1 new healthy
    web-2 new starting
    web-run-1 new healthy
    worker-1 new running
    at least: 1 of db, 0 of migrate, 1 of web, 1 of worker
    "#);
}

/// After a rollout, after one that failed, and after a rollback.
#[test]
fn of_a_revision() {
    let host = twice(Scenario::new(&web("")).with([old("web-1")]));
    let row = || ageless(&host.run(&["status"]).stdout).lines().nth(1).expect("a row").to_owned();
    assert_eq!(row(), "web   web   1/1   2   healthy   AGE   up to date");
    host.change(|world| drop(world.ways.insert("web".to_owned(), vec![Reading::way("exited 7")])));
    assert_eq!(host.run(&["up", "--force-recreate"]).exit.code(), Some(3));
    assert_eq!(row(), "web   web   1/1   2   healthy   AGE   up to date");
    host.change(|world| world.ways.clear());
    assert!(host.run(&["rollback"]).exit.success());
    assert!(row().contains(" 1/1   4   "), "{}", row());
}

#[test]
fn when_nothing_runs() {
    assert_snapshot!(Scenario::new(&shop()).run(&["status"]).stdout, @r#"
    SERVICE   IMAGE   READY   REVISION   HEALTH   AGE   STATUS
    migrate   app     -       -          -        -     down
    web       app     0/2     -          -        -     down
    worker    app     0/1     -          -        -     down

    nothing of project shop is running; run "docker zdd up" to start it
    "#);
}

#[test]
fn of_a_rollout_by_another_machine() {
    let labels = [("mark", "7-1"), ("user", "anna"), ("host", "ci-3"), ("pid", "7"), ("since", "1795467851")];
    let scenario =
        Scenario::new(&web("scale: 2")).with([old("web-1"), old("web-2"), new("web-3").is("starting")]);
    let output = lock(scenario, &labels).run(&["status", "web"]);
    assert_eq!(output.exit.code(), Some(0));
    assert_snapshot!(ageless(&output.stdout), @r#"
    SERVICE   IMAGE   READY   REVISION   HEALTH   AGE   STATUS
    web   web   2/2   -   2 healthy, 1 starting   AGE   rolling: 1 new, 2 old

    rollout in progress: anna on ci-3 (process 7) since 2026-11-23 21:04:11 UTC (AGE)

    whether anna on ci-3 (process 7) since 2026-11-23 21:04:11 UTC still runs cannot be seen from here; if you know it is dead, run "docker zdd up --break-lock"
    "#);
}

/// The lock of a run that was killed, with what it had begun.
#[test]
fn of_a_run_that_was_killed() {
    let host = Scenario::new(&web("scale: 2"))
        .with([old("web-1"), old("web-2")])
        .when_nth(2, "docker stop", Action::Hold)
        .host();
    let mut run = host.spawn(&["up", "--parallelism", "1"]);
    run.wait_for_call("docker stop web-2");
    run.kill();
    let output = host.run(&["status"]);
    assert_eq!(output.exit.code(), Some(0));
    let owner = regex_lite::Regex::new("the run of .* ended").expect("a pattern");
    assert_snapshot!(owner.replace(&ageless(&output.stdout), "the run of OWNER ended"), @r#"
    SERVICE   IMAGE   READY   REVISION   HEALTH   AGE   STATUS
    web   web   3/2   -   healthy   AGE   interrupted: 2 new, 1 old

    the run of OWNER ended without releasing its lock; the next "docker zdd up" takes it over
    web: a rollout was interrupted; 2 new and 1 old containers run side by side; run "docker zdd up web" to finish it
    web: shop-web-1 is stopped and left behind; run "docker zdd up web" to clean up
    "#);
}

#[test]
fn as_json() {
    let scenario = Scenario::new(&web("")).with([old("web-1").is("unhealthy: connection refused")]);
    let output = scenario.run(&["status", "--format", "json"]);
    assert_snapshot!(output.stdout, @r#"
    {
      "project": "shop",
      "rollout": null,
      "services": [
        {
          "service": "web",
          "images": [
            "web"
          ],
          "ready": 0,
          "wanted": 1,
          "revision": null,
          "health": "unhealthy",
          "since": 1795449600,
          "status": "changed",
          "what": [
            "configuration"
          ],
          "containers": [
            {
              "id": "[ID of web-1]",
              "name": "shop-web-1",
              "health": "unhealthy",
              "image": "web",
              "image_id": "sha256:3d7d6ef7f201e4335645215ce5ddcdcc0722e54cc89f03ff5f2b2c2d3b643fca",
              "newest": true,
              "started_at": "2026-11-23T16:00:00.100000001Z"
            }
          ]
        }
      ],
      "advice": [
        "web: shop-web-1 is unhealthy; \"docker logs shop-web-1\" may say why, \"docker zdd up --force-recreate web\" replaces it",
        "web differs from the files; run \"docker zdd plan web\" to see what \"docker zdd up\" would do"
      ]
    }
    "#);
}

#[test]
fn of_a_service_that_does_not_exist() {
    let output = Scenario::new(&web("")).run(&["status", "wbe"]);
    assert_snapshot!(output, @r#"
    exit code: 1
    --- stderr
    no such service: wbe; did you mean "web"?
    --- calls
    docker compose --profile * config --services
    docker compose config
    docker compose config --hash *
    docker compose config wbe  → exit 1
    docker compose version --short
    --- containers
    at least: 0 of web
    "#);
}

#[test]
fn without_an_engine() {
    assert_snapshot!(Scenario::new(&web("")).engine_is_dead().run(&["status"]), @r#"
    exit code: 1
    --- stderr
    Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?
    hint: start the engine, or choose another one with "docker --context NAME zdd …"
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume inspect zdd-lock-shop  → exit 1
    docker volume ls  → exit 1
    --- containers
    at least: 0 of web
    "#);
}

#[test]
fn of_a_service_in_a_disabled_profile_when_named() {
    let output = Scenario::new(&shop()).with([new("db-1")]).run(&["status", "db"]);
    assert_snapshot!(ageless(&output.stdout), @"
    SERVICE   IMAGE   READY   REVISION   HEALTH   AGE   STATUS
    db   db:16   1/1   -   healthy   AGE   up to date
    ");
}

/// A new table whenever something changed, and 0 at Ctrl-C.
#[test]
fn watched() {
    let host = Scenario::new(&web("")).with([new("web-1")]).host();
    let mut run = host.spawn(&["status", "--watch"]);
    run.wait_for_stdout("healthy");
    run.wait_for_call("events --format {{.Action}}");
    let mut event = String::new();
    host.change(|world| {
        world.containers[0].now = Reading::parse("unhealthy");
        event = format!("{} health_status: unhealthy\n", world.containers[0].id);
    });
    fs::write(host.path("engine/events"), event).expect("the news");
    run.wait_for_stdout("unhealthy");
    run.signal(Signal::INT);
    let output = run.finish();
    assert_eq!((output.exit.code(), output.stderr.as_str()), (Some(0), ""));
    assert_snapshot!(ageless(&output.stdout), @r#"
    SERVICE   IMAGE   READY   REVISION   HEALTH   AGE   STATUS
    web   web   1/1   -   healthy   AGE   up to date

    SERVICE   IMAGE   READY   REVISION   HEALTH   AGE   STATUS
    web   web   0/1   -   unhealthy   AGE   up to date

    web: shop-web-1 is unhealthy; "docker logs shop-web-1" may say why, "docker zdd up --force-recreate web" replaces it
    "#);
}

/// As `docker compose -p shop ps`. Nobody is told that everything is an orphan.
#[test]
fn a_project_is_shown_by_its_name_where_there_is_no_file() {
    let absent = Action::Fail(1, "no configuration file provided: not found".to_owned());
    let host = || {
        Scenario::new(&shop())
            .with([new("web-1"), new("worker-1").is("exited 0")])
            .when(" config", absent.clone())
    };
    let output = host().run(&["-p", "shop", "status"]);
    assert_snapshot!(ageless(&output.to_string()), @"
    exit code: 0
    --- stdout
    SERVICE   IMAGE   READY   REVISION   HEALTH   AGE   STATUS
    web   app   1   -   healthy   AGE   no file here to compare with
    worker   app   -   -   exited (0)   -   no file here to compare with
    --- calls
    docker compose --project-name shop config  → exit 1
    docker compose --project-name shop config --hash *  → exit 1
    docker compose version --short
    docker volume inspect zdd-lock-shop  → exit 1
    docker volume ls
    docker compose version --short
    docker inspect web-1 worker-1
    docker ps
    --- containers
    web-1 new healthy
    worker-1 new exited 0
    at least: 0 of db, 0 of migrate, 1 of web, 0 of worker
    ");
    let named = host().env("COMPOSE_PROJECT_NAME", "shop").run(&["status", "web", "--format", "json"]);
    assert!(named.stdout.contains("\"status\": \"no_file\"") && !named.stdout.contains("worker"), "{named}");
    let nameless = host().run(&["status"]);
    let said = "no configuration file provided: not found\nhint: go to the project's folder, or name its file with -f\n";
    assert_eq!((nameless.exit.code(), nameless.stderr.as_str()), (Some(1), said));
    let named = host().run(&["-p", "shop", "restart"]);
    let need_none =
        "with -f; \"status\", \"history\" and \"rollback\" of a project that is named need none\n";
    assert!(named.stderr.ends_with(need_none), "{named}");
    let sick = Scenario::new(&shop()).with([new("web-1").is("unhealthy")]).when(" config", absent.clone());
    let sick = sick.run(&["-p", "shop", "status"]);
    assert!(sick.stdout.ends_with("\"docker logs shop-web-1\" may say why\n"), "{sick}");
}

#[test]
fn a_history_needs_no_file() {
    let absent = Action::Fail(1, "no configuration file provided: not found".to_owned());
    let output = Scenario::new(&shop()).when(" config", absent).run(&["-p", "shop", "history"]);
    assert_eq!((output.exit.code(), output.stderr.as_str()), (Some(0), ""), "{output}");
}
