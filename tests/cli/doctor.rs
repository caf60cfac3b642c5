//! `docker zdd doctor`: what is found, where it stands, what to write.

use insta::assert_snapshot;

use crate::{
    files::{HEALTHCHECK, project},
    scenario::Scenario,
    world::Action,
};

fn good() -> String {
    format!("image: web:1\n{HEALTHCHECK}\nrestart: always\nscale: 2")
}

fn shop(lines: &str) -> String {
    project(&[("web", &format!("{}\n{lines}", good()))])
}

#[test]
fn finds_nothing() {
    let output = Scenario::new(&shop("")).run(&["doctor"]);
    assert_snapshot!(output, @"
    exit code: 0
    --- stdout
    1 of 1 service can be updated without losing a request: 1 rolling
    nothing found; examined docker zdd v0.1.0, Docker Engine 28.2.2, Compose 5.6.1 and 1 service of project shop
    --- calls
    docker version --format {{json .}}
    docker compose version --short
    docker info --format {{json .ClientInfo.Plugins}}
    docker compose config
    docker image inspect web:1
    --- containers
    at least: 0 of web
    ");
}

#[test]
fn finds_what_could_be_better() {
    let api = "image: registry.example/api\nports: [{target: 80, published: '8080'}]\nstop_grace_period: 0s";
    let output = Scenario::new(&project(&[("api", api), ("web", &good())])).run(&["doctor"]);
    assert_eq!(output.exit.code(), Some(0));
    assert_snapshot!(output.stdout, @r#"
    1 of 2 services can be updated without losing a request: 1 rolling; api needs your consent
    compose.yaml:3: warning: api: no healthcheck: a new container counts as good once it has run for 10s, whether it answers or not; write a healthcheck with a program that the image has
    compose.yaml:6: warning: api: it has 0s to end after the stop signal: whatever it is answering then is cut off; give it as long as its longest request takes
    compose.yaml:5: warning: api: it cannot be rolled, and "up" refuses to without --allow-downtime: host port 8080 can belong to one container only; run "docker zdd init" to let a proxy publish 8080, or write a range with room for twice the replicas
    3 warnings and 2 hints; examined docker zdd v0.1.0, Docker Engine 28.2.2, Compose 5.6.1 and 2 services of project shop; --all shows the other 2, and what to write
    "#);
}

/// Every mistake at once, and what is right is examined all the same.
#[test]
fn finds_every_mistake_in_the_settings() {
    let lines = "x-zdd: {dely: 5s, settle: 3, monitor: 2s}\ndeploy: {update_config: {max_failure_ratio: 2}}";
    let output = Scenario::new(&shop(lines)).run(&["doctor"]);
    assert_snapshot!(output, @r#"
    exit code: 2
    --- stdout
    1 of 1 service can be updated without losing a request: 1 rolling
    compose.yaml:9: error: web: deploy.update_config.max_failure_ratio: "2" is not a share; write a number from 0 to 1, like 0.2; fix the file
    compose.yaml:8: error: web: x-zdd.dely: unknown key; did you mean "delay"? known keys are strategy, parallelism, delay, order, failure_action, max_failure_ratio, monitor, wait_timeout, settle, drain, drain_timeout, hold, helper, swarm; fix the file
    compose.yaml:8: error: web: x-zdd.settle: "3" has no unit: write "3s"; fix the file
    3 errors; examined docker zdd v0.1.0, Docker Engine 28.2.2, Compose 5.6.1 and 1 service of project shop
    --- calls
    docker version --format {{json .}}
    docker compose version --short
    docker info --format {{json .ClientInfo.Plugins}}
    docker compose config
    docker image inspect web:1
    --- containers
    at least: 0 of web
    "#);
}

#[test]
fn works_without_an_engine() {
    let output = Scenario::new(&shop("stop_signal: SIGKILL")).engine_is_dead().run(&["doctor"]);
    assert_snapshot!(output, @r#"
    exit code: 2
    --- stdout
    1 of 1 service can be updated without losing a request: 1 rolling
    error: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?; start the engine, or choose another one with "docker --context NAME zdd …"
    compose.yaml:8: warning: web: it is stopped with SIGKILL: it cannot finish what it is answering; write the signal on which it finishes its requests
    1 error and 1 warning; examined docker zdd v0.1.0, Compose 5.6.1 and 1 service of project shop; --all shows what to write
    --- calls
    docker version --format {{json .}}  → exit 1
    docker compose version --short
    docker info --format {{json .ClientInfo.Plugins}}
    docker compose config
    --- containers
    at least: 0 of web
    "#);
}

#[test]
fn works_without_compose() {
    let absent = Action::Fail(1, "docker: unknown command: docker compose".to_owned());
    assert_snapshot!(Scenario::new(&shop("")).when("compose version", absent).run(&["doctor"]), @r#"
    exit code: 2
    --- stdout
    error: Docker Compose is not installed as a plugin of docker; install the Compose plugin 2.31.0 or later, so that "docker compose version" answers
    1 error; examined docker zdd v0.1.0 and Docker Engine 28.2.2
    --- calls
    docker version --format {{json .}}
    docker compose version --short  → exit 1
    docker info --format {{json .ClientInfo.Plugins}}
    --- containers
    at least: 0 of web
    "#);
}

#[test]
fn works_without_a_file() {
    let absent = Action::Fail(1, "no configuration file provided: not found".to_owned());
    assert_snapshot!(Scenario::new(&shop("")).when(" config", absent).run(&["doctor"]), @"
    exit code: 0
    --- stdout
    hint: no configuration file provided: not found; go to the project's folder, or name its file with -f, to have it examined too
    1 hint; examined docker zdd v0.1.0, Docker Engine 28.2.2 and Compose 5.6.1
    --- calls
    docker version --format {{json .}}
    docker compose version --short
    docker info --format {{json .ClientInfo.Plugins}}
    docker compose config  → exit 1
    docker compose version --short
    --- containers
    at least: 0 of web
    ");
}

#[test]
fn tells_of_a_file_that_compose_refuses() {
    let refusal = Action::Fail(
        1,
        "validating compose.yaml: services.web additional properties 'imgae' not allowed".to_owned(),
    );
    assert_snapshot!(Scenario::new(&shop("")).when(" config", refusal).run(&["doctor"]).stdout, @"
    error: validating compose.yaml: services.web additional properties 'imgae' not allowed; fix the file
    1 error; examined docker zdd v0.1.0, Docker Engine 28.2.2 and Compose 5.6.1
    ");
}

#[test]
fn tells_of_a_second_plugin() {
    let plugins = r#"[{"Name":"zdd","Version":"v0.0.9","Path":"/home/anna/.docker/cli-plugins/docker-zdd","ShadowedPaths":["/usr/libexec/docker/cli-plugins/docker-zdd"]}]"#;
    let output =
        Scenario::new(&shop("")).when("docker info", Action::Print(plugins.to_owned())).run(&["doctor"]);
    let own = regex_lite::Regex::new(r"this is \S+").expect("a pattern");
    assert_snapshot!(own.replace(&output.stdout, "this is PATH"), @r#"
    1 of 1 service can be updated without losing a request: 1 rolling
    warning: the plugin is installed twice: docker runs /home/anna/.docker/cli-plugins/docker-zdd and never /usr/libexec/docker/cli-plugins/docker-zdd; remove one of them: rm /usr/libexec/docker/cli-plugins/docker-zdd
    warning: this is PATH v0.1.0, but "docker zdd" runs /home/anna/.docker/cli-plugins/docker-zdd v0.0.9; reinstall the one you want
    2 warnings; examined docker zdd v0.1.0, Docker Engine 28.2.2, Compose 5.6.1 and 1 service of project shop
    "#);
}

#[test]
fn as_json() {
    let output = Scenario::new(&shop("stop_signal: KILL"))
        .engine_version("20.10.24")
        .run(&["doctor", "--format", "json"]);
    assert_snapshot!(output.stdout, @r#"
    {
      "version": "v0.1.0",
      "engine": "20.10.24",
      "compose": "5.6.1",
      "project": "shop",
      "findings": [
        {
          "severity": "warning",
          "code": "stop-signal",
          "service": "web",
          "path": [
            "services",
            "web",
            "stop_signal"
          ],
          "problem": "it is stopped with SIGKILL: it cannot finish what it is answering",
          "remedy": "write the signal on which it finishes its requests",
          "yaml": "services:\n  web:\n    stop_signal: SIGTERM\n",
          "place": "compose.yaml:8"
        }
      ]
    }
    "#);
}

#[test]
fn has_its_own_exit_codes() {
    assert_snapshot!(Scenario::new(&shop("")).run(&["doctor", "--help"]).stdout, @r#"
    Usage:  docker zdd doctor [OPTIONS]

    Show what would hinder a rollout, and what to write instead

    Options:
          --all              Show every finding, with the lines to write
          --dry-run          Print the plan and change nothing
          --format string    Format the output. Values: [text | json] (default:
                             text)

    The options of 'docker zdd --help' may also stand here.

    Exit codes:
        0   Nothing was found, or warnings and hints only
        1   Usage error, or there is no docker to ask
        2   An error was found: "docker zdd up" would fail or refuse
    "#);
}
