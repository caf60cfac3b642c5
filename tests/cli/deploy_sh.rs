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
    assert_snapshot!(output, @"");
}

#[test]
fn the_dash_of_later_versions_and_a_healthcheck() {
    let file = project(&[("app", &format!("build: .\n{HEALTHCHECK}"))]);
    let variables =
        [("APP_CONTAINERS_NAME", "shop-app"), ("NUM_OF_APP_CONTAINERS", "3"), ("DEPLOYMENT_TIME", "300s")];
    let output = deploy(&file, vec![old("app-9"), old("app-10")], &variables, &[]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert_snapshot!(output.containers(), @"");
    assert!(output.changes().contains(&"docker compose build app"), "{output}");
}

#[test]
fn another_service_than_the_usual_and_a_look_only() {
    let variables = [("APP_NAME", "app_worker"), ("APP_CONTAINERS_NAME", "shop_app_worker_")];
    let output = deploy(&file(), made(), &variables, &["--dry-run"]);
    assert_snapshot!(output, @"");
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
        let output = deploy(&file(), made(), &variables, &[]);
        assert_eq!((output.exit.code(), output.stderr.trim_end()), (Some(1), said), "{output}");
        assert_eq!(output.changes(), [""; 0], "{output}");
    }
}

#[test]
fn a_service_that_the_file_does_not_have() {
    let variables = [("APP_NAME", "web"), ("APP_CONTAINERS_NAME", "shop_web")];
    let output = deploy(&file(), made(), &variables, &[]);
    assert_snapshot!(output, @"");
}

#[test]
fn another_project_than_that_of_the_containers() {
    let host = Scenario::new(&file()).with(made()).env("APP_CONTAINERS_NAME", "shpo_app").host();
    let folder = host.path("project").canonicalize().unwrap().display().to_string();
    host.edit(|world| {
        let label = "com.docker.compose.project.working_dir".to_owned();
        world.containers.iter_mut().for_each(|c| drop(c.labels.insert(label.clone(), folder.clone())));
    });
    assert_snapshot!(host.script("deploy.sh", &[]), @"");
}
