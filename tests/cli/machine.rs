//! The machine is not what it should be: a sentence says so, with what to do.

use insta::assert_snapshot;

use crate::{
    files::web,
    scenario::{Scenario, old},
    world::Action,
};

fn update() -> Scenario {
    Scenario::new(&web("")).with([old("web-1")])
}

/// Exit code, standard error and calls of a run that changed nothing.
fn shown(scenario: Scenario) -> String {
    let output = scenario.run(&["up"]);
    assert_eq!(output.changes(), Vec::<&str>::new(), "{output}");
    format!(
        "exit {}\n{}calls: {}\n",
        output.exit.code().unwrap_or(-1),
        output.stderr,
        output.calls.join(", ")
    )
}

#[test]
fn no_docker() {
    assert_snapshot!(shown(update().without_docker()), @"
    exit 1
    there is no docker on the PATH; install the Docker CLI
    calls:
    ");
}

#[test]
fn no_engine() {
    assert_snapshot!(shown(update().engine_is_dead()), @r#"
    exit 1
    Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?
    hint: start the engine, or choose another one with "docker --context NAME zdd …"
    calls: docker compose config, docker compose config --hash *, docker volume create zdd-lock-shop  → exit 1
    "#);
}

#[test]
fn no_engine_in_other_words() {
    let words = |text: &str| shown(update().when("docker image inspect", Action::Fail(1, text.to_owned())));
    let all = [
        words(
            "error during connect: Get \"http://prod:2375/v1.50/images/web/json\": dial tcp: lookup prod: no such host",
        ),
        words(
            "failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct and if the daemon is running: dial unix /var/run/docker.sock: connect: no such file or directory",
        ),
        words(
            "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: dial unix /var/run/docker.sock: connect: permission denied",
        ),
        words(
            "Failed to initialize: unable to resolve docker endpoint: context \"prod\": context not found: open /home/anna/.docker/contexts/meta/9e62/meta.json: no such file or directory",
        ),
    ];
    assert_snapshot!(all.concat(), @r#"
    exit 1
    Get "http://prod:2375/v1.50/images/web/json": dial tcp: lookup prod: no such host
    hint: start the engine, or choose another one with "docker --context NAME zdd …"
    calls: docker compose config, docker compose config --hash *, docker volume create zdd-lock-shop, docker volume inspect zdd-lock-shop, docker compose version --short, docker image inspect web  → exit 1, docker inspect web-1, docker ps, docker volume inspect zdd-lock-shop, docker volume rm zdd-lock-shop
    exit 1
    failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct and if the daemon is running: dial unix /var/run/docker.sock: connect: no such file or directory
    hint: start the engine, or choose another one with "docker --context NAME zdd …"
    calls: docker compose config, docker compose config --hash *, docker volume create zdd-lock-shop, docker volume inspect zdd-lock-shop, docker compose version --short, docker image inspect web  → exit 1, docker inspect web-1, docker ps, docker volume inspect zdd-lock-shop, docker volume rm zdd-lock-shop
    exit 1
    permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: dial unix /var/run/docker.sock: connect: permission denied
    hint: you are not allowed to use the engine: run "sudo docker zdd …", or, as root, "usermod -aG docker YOU" and log in again
    calls: docker compose config, docker compose config --hash *, docker volume create zdd-lock-shop, docker volume inspect zdd-lock-shop, docker compose version --short, docker image inspect web  → exit 1, docker inspect web-1, docker ps, docker volume inspect zdd-lock-shop, docker volume rm zdd-lock-shop
    exit 1
    Failed to initialize: unable to resolve docker endpoint: context "prod": context not found: open /home/anna/.docker/contexts/meta/9e62/meta.json: no such file or directory
    hint: "docker context ls" lists them
    calls: docker compose config, docker compose config --hash *, docker volume create zdd-lock-shop, docker volume inspect zdd-lock-shop, docker compose version --short, docker image inspect web  → exit 1, docker inspect web-1, docker ps, docker volume inspect zdd-lock-shop, docker volume rm zdd-lock-shop
    "#);
}

#[test]
fn no_compose() {
    let words = |code: i32, text: &str| {
        let shown = shown(update().when("compose version", Action::Fail(code, text.to_owned())));
        shown.replace(&format!("→ exit {code}"), "→ fails")
    };
    let help = "Run 'docker --help' for more information";
    let all = [
        words(1, &format!("docker: unknown command: docker compose\n\n{help}")),
        words(1, "docker: 'compose' is not a docker command.\nSee 'docker --help'"),
        words(125, &format!("unknown flag: --short\n\nUsage:  docker [OPTIONS] COMMAND [ARG...]\n\n{help}")),
        words(125, "unknown flag: --short\nSee 'docker --help'."),
        // 26.1 goes on with all flags.
        words(
            125,
            &format!("unknown flag: --short\n\nUsage:  docker\n{}\n{help}", "  --flag text\n".repeat(50)),
        ),
    ];
    assert_eq!(all.iter().filter(|text| **text == all[0]).count(), all.len(), "{}", all.concat());
    assert_snapshot!(all[0], @r#"
    exit 1
    Docker Compose is not installed as a plugin of docker
    hint: install the Compose plugin 2.31.0 or later, so that "docker compose version" answers
    calls: docker compose config, docker compose config --hash *, docker volume create zdd-lock-shop, docker volume inspect zdd-lock-shop, docker compose version --short  → fails, docker image inspect web, docker inspect web-1, docker ps, docker volume inspect zdd-lock-shop, docker volume rm zdd-lock-shop
    "#);
}

#[test]
fn compose_v1_alone() {
    let absent =
        Action::Fail(1, "docker: 'compose' is not a docker command.\nSee 'docker --help'".to_owned());
    assert_snapshot!(shown(update().with_compose_v1().when("compose version", absent)), @r#"
    exit 1
    only Compose v1 (docker-compose) is installed, and it cannot run beside its own containers safely
    hint: install the Compose plugin 2.31.0 or later, so that "docker compose version" answers
    calls: docker compose config, docker compose config --hash *, docker volume create zdd-lock-shop, docker volume inspect zdd-lock-shop, docker compose version --short  → exit 1, docker image inspect web, docker inspect web-1, docker ps, docker volume inspect zdd-lock-shop, docker volume rm zdd-lock-shop
    "#);
}

#[test]
fn compose_is_too_old() {
    assert_snapshot!(shown(update().compose_version("2.20.0")), @"
    exit 1
    Docker Compose 2.20.0 is too old; 2.31.0 or later is needed
    hint: update the Compose plugin
    calls: docker compose config, docker compose config --hash *, docker volume create zdd-lock-shop, docker volume inspect zdd-lock-shop, docker compose version --short, docker image inspect web, docker inspect web-1, docker ps, docker volume inspect zdd-lock-shop, docker volume rm zdd-lock-shop
    ");
}

#[test]
fn versions_of_compose_as_vendors_write_them() {
    for version in ["2.31.0", "v2.40.3", "2.40.3-desktop.1", "5.6.1+ds1-0ubuntu1"] {
        let output = update().compose_version(version).run(&["up"]);
        assert_eq!(output.exit.code(), Some(0), "{version}: {output}");
    }
}

#[test]
fn compose_refuses_the_file() {
    let refusal = Action::Fail(
        1,
        "validating /srv/compose.yaml: services.web additional properties 'imgae' not allowed".to_owned(),
    );
    assert_snapshot!(shown(update().when(" config", refusal)), @"
    exit 1
    validating /srv/compose.yaml: services.web additional properties 'imgae' not allowed
    calls: docker compose config  → exit 1, docker compose config --hash *  → exit 1, docker compose version --short
    ");
}

#[test]
fn a_call_that_hangs() {
    let scenario = update().env("ZDD_CALL_TIMEOUT", "3s").when("docker image inspect", Action::Hang);
    assert_snapshot!(shown(scenario), @"
    exit 1
    docker image inspect did not answer within 3s
    calls: docker compose config, docker compose config --hash *, docker volume create zdd-lock-shop, docker volume inspect zdd-lock-shop, docker compose version --short, docker image inspect web  → killed, docker inspect web-1, docker ps, docker volume inspect zdd-lock-shop, docker volume rm zdd-lock-shop
    ");
}

#[test]
fn a_call_timeout_that_is_no_time() {
    assert_snapshot!(shown(update().env("ZDD_CALL_TIMEOUT", "soon")), @r#"
    exit 1
    ZDD_CALL_TIMEOUT: "soon" is not a duration: write one like "10s" or "1m30s"
    calls:
    "#);
    assert_snapshot!(shown(update().env("ZDD_CALL_TIMEOUT", "0")), @r#"
    exit 1
    ZDD_CALL_TIMEOUT: must be more than 0, like "90s"
    calls:
    "#);
}
