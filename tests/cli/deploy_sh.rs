//! `scripts/deploy.sh`: the variables of the script that many teams keep, and what they mean there.

use insta::assert_snapshot;

use crate::{
    files::{HEALTHCHECK, project},
    output::Output,
    scenario::{Given, Scenario, new, old},
};

/// The project is called `shop`, as the folder of the article is called `docker`.
const PREFIX: (&str, &str) = ("APP_CONTAINERS_NAME", "shop_app");

fn file() -> String {
    project(&[("app", "image: app"), ("app_worker", "image: worker"), ("lb", "image: lb\nlinks: [app]")])
}

/// Made by docker-compose 1, and linked as it links.
fn made() -> Vec<Given> {
    let lb = new("lb-1").is("running").by_compose_1();
    vec![
        old("app-1").is("running").by_compose_1(),
        old("app-2").is("running").by_compose_1(),
        new("app_worker-1").is("running").by_compose_1(),
        lb.linked_to(&["shop_app_1:app", "shop_app_1:app_1", "shop_app_1:shop_app_1"]),
    ]
}

fn deploy(file: &str, given: Vec<Given>, variables: &[(&str, &str)], args: &[&str]) -> Output {
    let scenario = Scenario::new(file).with(given);
    variables
        .iter()
        .fold(scenario, |scenario, (key, value)| scenario.env(key, value))
        .host()
        .script("deploy.sh", args)
}

#[test]
fn as_many_as_before_from_a_new_image() {
    let output = deploy(&file(), made(), &[PREFIX, ("DEPLOYMENT_TIME", "1")], &[]);
    assert_snapshot!(output, @"
    exit code: 0
    --- stderr
    [TIME]  pulling app
    [TIME]  |  Image app Pulling
    [TIME]  |  Image app Pulled
    [TIME]  images ready in [TIME]
    [TIME]  app  roll: configuration changed
    [TIME]  app  roll to 2 replicas, all at once
    [TIME]  app  shop-app-3 started
    [TIME]  app  shop-app-4 started
    [TIME]  app  no healthcheck: watching for [TIME]
    [TIME]  app  shop-app-3 ready
    [TIME]  app  shop-app-4 ready
    [TIME]  app  shop-app-3 is called shop_app_1 now, as others are linked to that name
    [TIME]  app  shop_app_1 stopping (grace 10s)
    [TIME]  app  shop_app_2 stopping (grace 10s)
    [TIME]  app  shop_app_2 stopped (exit code 0)
    [TIME]  app  shop_app_1 removed
    [TIME]  app  shop_app_2 removed
    [TIME]  app  done in [TIME], serving shop_app_1 and shop-app-4

    app           [TIME] to [TIME]
      shop_app_1  [BAR]
      shop_app_2  [BAR]
      shop-app-3  [BAR]
      shop-app-4  [BAR]
                  ░ starting  █ serving  ▓ stopping
    pull [TIME], start [TIME], health [TIME], stop [TIME], total [TIME]

    app is up to date
    --- calls
    docker ps -a app
    docker --log-level error compose --project-name shop --profile * config --services
    docker compose --project-name shop config
    docker compose --project-name shop config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect app lb worker
    docker inspect shop_app_1 shop_app_2 shop_app_worker_1 shop_lb_1
    docker ps
    docker compose --project-name shop pull app
    docker image inspect app lb worker
    docker inspect shop_app_1 shop_app_2 shop_app_worker_1 shop_lb_1
    docker ps
    docker compose --project-name shop --dry-run up -d --no-deps --no-recreate --scale app=4 app
    docker ps app
    docker compose --project-name shop up -d --no-deps --no-recreate --scale app=4 app
    docker ps app
    docker inspect app-3 app-4
    docker rename shop_app_1 42eb8f52a540_shop_app_1
    docker rename app-3 shop_app_1
    docker stop shop_app_1 shop_app_2
    docker inspect shop_app_1 shop_app_2
    docker inspect app-3 app-4
    docker rm -v shop_app_1 shop_app_2
    docker ps app
    docker inspect app-3 app-4
    docker compose --project-name shop --dry-run up -d --scale app=2 --scale app_worker=1 --scale lb=1
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image app] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    app-4 new running
    shop_app_1 new running
    shop_app_worker_1 old running
    shop_lb_1 old running
    at least: 2 of app, 1 of app_worker, 1 of lb
    ");
}

#[test]
fn the_dash_of_later_versions_and_a_healthcheck() {
    let file = project(&[("app", &format!("build: .\n{HEALTHCHECK}"))]);
    let variables =
        [("APP_CONTAINERS_NAME", "shop-app"), ("NUM_OF_APP_CONTAINERS", "3"), ("DEPLOYMENT_TIME", "300s")];
    let output = deploy(&file, vec![old("app-9"), old("app-10")], &variables, &[]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert_snapshot!(output.containers(), @"
    app-11 new healthy
    app-12 new healthy
    app-13 new healthy
    at least: 2 of app
    ");
    assert!(output.changes().iter().any(|line| line.ends_with(" build app")), "{output}");
}

#[test]
fn another_service_than_the_usual_and_a_look_only() {
    let variables = [("APP_NAME", "app_worker"), ("APP_CONTAINERS_NAME", "shop_app_worker_")];
    let output = deploy(&file(), made(), &variables, &["--dry-run"]);
    assert_snapshot!(output, @"
    exit code: 0
    --- stdout
    Project shop
      app_worker  roll       configuration changed
                    1. start 2 new containers (scale 3; rollback: remove)
                    2. wait until healthy, or running 10s without a healthcheck
                    3. drain shop_app_worker_1
                    4. stop shop_app_worker_1 (rollback: start again)
                    5. remove shop_app_worker_1
    --- calls
    docker ps -a app_worker
    docker --log-level error compose --project-name shop --profile * config --services
    docker compose --project-name shop config
    docker compose --project-name shop config --hash *
    docker compose version --short
    docker image inspect app lb worker
    docker inspect shop_app_1 shop_app_2 shop_app_worker_1 shop_lb_1
    docker ps
    docker compose --project-name shop --dry-run up -d --no-deps --no-recreate --scale app_worker=3 app_worker
    --- containers
    shop_app_1 old running
    shop_app_2 old running
    shop_app_worker_1 old running
    shop_lb_1 old running
    at least: 2 of app, 1 of app_worker, 1 of lb
    ");
}

#[test]
fn what_is_wrong_names_the_variable() {
    for (variable, value, said) in [
        (
            "APP_NAME",
            "ap",
            "deploy.sh: APP_CONTAINERS_NAME is \"shop_app\"; write PROJECT_ap, what \"docker ps\" shows before the number; nothing was touched",
        ),
        (
            "APP_CONTAINERS_NAME",
            "app",
            "deploy.sh: APP_CONTAINERS_NAME is \"app\"; write PROJECT_app, what \"docker ps\" shows before the number; nothing was touched",
        ),
        (
            "APP_CONTAINERS_NAME",
            "Shop_app",
            "deploy.sh: APP_CONTAINERS_NAME is \"Shop_app\"; write PROJECT_app, what \"docker ps\" shows before the number; nothing was touched",
        ),
        (
            "NUM_OF_APP_CONTAINERS",
            "0",
            "deploy.sh: NUM_OF_APP_CONTAINERS is \"0\"; write how many containers shall run, like 2; nothing was touched",
        ),
        (
            "NUM_OF_APP_CONTAINERS",
            "two",
            "deploy.sh: NUM_OF_APP_CONTAINERS is \"two\"; write how many containers shall run, like 2; nothing was touched",
        ),
        (
            "DEPLOYMENT_TIME",
            "soon",
            "deploy.sh: DEPLOYMENT_TIME is \"soon\"; write a number of seconds, like 10; nothing was touched",
        ),
    ] {
        let variables = match variable {
            "APP_CONTAINERS_NAME" => vec![(variable, value)],
            _ => vec![PREFIX, (variable, value)],
        };
        is_refused(&deploy(&file(), made(), &variables, &[]), said);
    }
}

fn is_refused(output: &Output, said: &str) {
    assert_eq!((output.exit.code(), output.stderr.trim_end()), (Some(1), said), "{output}");
    assert_eq!(output.changes(), [""; 0], "{output}");
}

#[test]
fn a_service_that_the_file_does_not_have() {
    let variables = [("APP_NAME", "web"), ("APP_CONTAINERS_NAME", "shop_web")];
    is_refused(
        &deploy(&file(), made(), &variables, &[]),
        "deploy.sh: APP_NAME is \"web\", and the file has no such service; there are: app, app_worker, lb; nothing was touched",
    );
}

#[test]
fn another_project_than_that_of_the_containers() {
    let host = Scenario::new(&file()).with(made()).env("APP_CONTAINERS_NAME", "shpo_app").host();
    let folder = host.path("project").canonicalize().unwrap().display().to_string();
    host.change(|world| {
        let label = "com.docker.compose.project.working_dir".to_owned();
        world.containers.iter_mut().for_each(|c| drop(c.labels.insert(label.clone(), folder.clone())));
    });
    is_refused(
        &host.script("deploy.sh", &[]),
        "deploy.sh: APP_CONTAINERS_NAME is \"shpo_app\", but the containers of app here are shop_app_2, shop_app_1; nothing was touched",
    );
}
