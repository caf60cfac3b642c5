//! The stack of `examples/classic` as docker-compose 1 has left it: its names, its labels, links, and a load balancer that
//! writes its own configuration. `scripts/deploy.sh` deploys it.

use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use zdd_load::{Load, Report, Running};

use crate::{
    clients,
    stack::{Finished, HELPER, Stack, TIMEOUT, docker, finish, free_port, skipped, wait_until, with_plugins},
};

const BALANCER: &str = "zdd-balancer:test";
/// How long an answer may take in the time of a deployment.
const SLOWEST: Duration = Duration::from_secs(2);

/// In the place of the app of the example one that exits at once when it is told to.
const APP: &str = "    image: zdd-app:test
    environment:
      APP_VERSION: ${APP_VERSION}
      APP_EXIT_AFTER_MS: ${APP_EXIT_AFTER_MS:-}
      APP_ON_TERM: exit
      APP_BOOT_MS: 500
      APP_WORK_MS: 20
";
/// What is to be replaced, written down from what is known of it.
const OLD_SCRIPT: &str = include_str!("old-deploy.sh");

struct Classic {
    stack: Stack,
    port: u16,
}

impl Classic {
    /// Two containers of version 1, and the load balancer.
    fn serving(name: &str) -> Classic {
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/classic/docker-compose.yml");
        let example = fs::read_to_string(example).unwrap();
        let (head, rest) = example.split_once("    build:\n").unwrap();
        let (_, tail) = rest.split_once("  lb:\n").unwrap();
        let file = format!("{head}{APP}  lb:\n{tail}");
        let classic = Classic { stack: Stack::new(name, &file), port: free_port() };
        classic.start();
        classic.wait_until_found();
        classic
    }

    fn wait_until_found(&self) {
        let probe = clients(self.port);
        wait_until("the load balancer to know the app", || probe.iter().all(|load| load.succeeded() >= 50));
        probe.into_iter().for_each(|load| drop(load.stop()));
    }

    /// What docker-compose 1.29.2 writes on containers and the network, as it was seen.
    fn labels(&self, more: &[(&str, &str)]) -> Vec<String> {
        let project = [("project", self.stack.project.as_str()), ("version", "1.29.2")];
        let all = project
            .iter()
            .chain(more)
            .map(|(key, value)| format!("--label=com.docker.compose.{key}={value}"));
        all.collect()
    }

    fn start(&self) {
        let project = &self.stack.project;
        let network = format!("{project}_default");
        let mut words = vec!["network".to_owned(), "create".to_owned()];
        words.extend(self.labels(&[("network", "default")]));
        run(&words, &[&network]);
        for number in ["1", "2"] {
            let more =
                ["--env=APP_VERSION=1", "--env=APP_ON_TERM=exit", "--env=APP_WORK_MS=20", "zdd-app:test"];
            self.container("app", number, &network, &more);
        }
        let links = ["app", "app_1", &format!("{project}_app_1")]
            .map(|alias| format!("--link={project}_app_1:{alias}"));
        let ports = format!("--publish=127.0.0.1:{}:80", self.port);
        let mut more: Vec<&str> = links.iter().map(String::as_str).collect();
        more.extend([ports.as_str(), "--volume=/var/run/docker.sock:/var/run/docker.sock", BALANCER]);
        self.container("lb", "1", &network, &more);
    }

    fn container(&self, service: &str, number: &str, network: &str, more: &[&str]) {
        let folder = self.stack.folder().display().to_string();
        let mut words = vec!["run".to_owned(), "--detach".to_owned(), format!("--network={network}")];
        words.push(format!("--name={}_{service}_{number}", self.stack.project));
        words.push(format!("--network-alias={service}"));
        words.extend(self.labels(&[
            ("service", service),
            ("container-number", number),
            ("oneoff", "False"),
            ("config-hash", &"c5".repeat(32)),
            ("project.config_files", "docker-compose.yml"),
            ("project.working_dir", &folder),
        ]));
        run(&words, more);
    }

    fn env(&self, version: &str) -> Vec<(&'static str, String)> {
        vec![
            ("APP_VERSION", version.to_owned()),
            ("HAPROXY_IMAGE", BALANCER.to_owned()),
            ("HTTP_PORT", format!("127.0.0.1:{}", self.port)),
            ("STATS_PORT", "127.0.0.1:".to_owned()),
        ]
    }

    /// The script of today, with the variables of the old one.
    fn deploy(&self, version: &str, env: &[(&str, &str)]) -> Finished {
        let config = with_plugins();
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/deploy.sh"));
        command.args(["--pull", "never", "--progress", "plain"]).current_dir(self.stack.folder());
        command.envs(self.env(version)).env("DOCKER_CONFIG", config.path()).env(HELPER, "auto");
        command.env("APP_CONTAINERS_NAME", format!("{}_app", self.stack.project));
        command.env("NUM_OF_APP_CONTAINERS", "2").env("DEPLOYMENT_TIME", "1").envs(env.iter().copied());
        finish(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    fn zdd(&self, version: &str, args: &[&str]) -> Finished {
        let env = self.env(version);
        let mut env: Vec<_> = env.iter().map(|(key, value)| (*key, value.as_str())).collect();
        env.push((HELPER, "auto"));
        self.stack.zdd(args, &env)
    }

    fn names(&self, service: &str) -> Vec<String> {
        let mut names: Vec<_> = self.stack.containers(service).into_iter().map(|seen| seen.name).collect();
        names.sort();
        names.into_iter().map(|name| name.replace(&self.stack.project, "docker")).collect()
    }
}

fn run(words: &[String], more: &[&str]) {
    let words: Vec<_> = words.iter().map(String::as_str).chain(more.iter().copied()).collect();
    docker(&words);
}

/// Stops the clients: how many requests there were, how many failed, and how long the slowest took.
fn figures(clients: Vec<Running>) -> (usize, usize, Duration, String) {
    let reports: Vec<_> = clients.into_iter().map(Running::stop).collect();
    let slowest = reports.iter().filter_map(Report::slowest).map(|sample| sample.latency).max();
    let failed = reports.iter().map(|report| report.failed().len()).sum();
    let text = reports.iter().map(ToString::to_string).collect();
    (reports.iter().map(Report::requests).sum(), failed, slowest.unwrap_or_default(), text)
}

/// The end of a deployment under load: nobody lost anything, nobody waited for long.
fn nobody_noticed(clients: Vec<Running>, said: &str) {
    let (requests, failed, slowest, text) = figures(clients);
    println!("classic: {failed} of {requests} requests failed, the slowest took {slowest:?}");
    assert_eq!(failed, 0, "{text}\n{said}");
    assert!(slowest < SLOWEST, "{text}\n{said}");
}

/// One that keeps its connection, and asks so rarely that the load balancer has started anew meanwhile.
fn rare(port: u16) -> Running {
    Load { rate: Some(0.2), workers: 1, ..Load::new(format!("http://127.0.0.1:{port}/")) }.start()
}

#[test]
fn deployed_by_the_variables_of_the_old_script() {
    let classic = Classic::serving("classic");
    let clients = clients(classic.port);
    let deployed = classic.deploy("2", &[]);
    assert_eq!(deployed.code, 0, "{}", deployed.stderr);
    assert!(clients.iter().all(|load| load.wait_version("2", TIMEOUT)), "{}", deployed.stderr);
    nobody_noticed(clients, &deployed.stderr);
    // The name that the load balancer is linked to goes on, the other is of today.
    assert_eq!(classic.names("app"), ["docker-app-4", "docker_app_1"], "{}", deployed.stderr);
    let status = classic.zdd("2", &["status", "app"]);
    assert!(status.stdout.contains("2/1"), "{}", status.stdout);
    let history = classic.zdd("2", &["history"]);
    let done = |line: &str| line.contains("app") && line.ends_with("done");
    assert!(history.stdout.lines().any(done), "{}", history.stdout);
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn what_fails_is_undone_and_the_load_balancer_is_replaced() {
    let classic = Classic::serving("classic-bad");
    let mut clients = clients(classic.port);
    clients.push(rare(classic.port));
    let before = classic.stack.containers("app");
    let broken = classic.deploy("2", &[("APP_EXIT_AFTER_MS", "700")]);
    assert_eq!(broken.code, 3, "{}", broken.stderr);
    assert_eq!(classic.stack.containers("app"), before, "{}", broken.stderr);
    // By the present Compose.
    let all = classic.zdd("3", &["up", "--scale", "app=2", "--monitor", "2s"]);
    assert_eq!(all.code, 0, "{}", all.stderr);
    assert!(clients.iter().all(|load| load.wait_version("3", TIMEOUT)), "{}", all.stderr);
    assert_eq!(classic.names("lb"), ["docker-lb-2"], "{}", all.stderr);
    // Its port is fixed: whoever comes waits until it has started anew.
    let (requests, failed, slowest, text) = figures(clients);
    println!(
        "classic, undone and replaced: {failed} of {requests} requests failed, the slowest took {slowest:?}"
    );
    assert_eq!(failed, 0, "{text}\n{}{}", broken.stderr, all.stderr);
}

/// Without helpers: by the runtime socket, which is found by the arguments of a process that is not the first.
#[test]
#[ignore = "takes long; scripts/test long"]
fn drained_by_the_socket_of_the_load_balancer() {
    let classic = Classic::serving("classic-api");
    let clients = clients(classic.port);
    let deployed = classic.deploy("2", &[(HELPER, "off")]);
    assert_eq!(deployed.code, 0, "{}", deployed.stderr);
    let drained = format!("draining (HAProxy in {}_lb_1)", classic.stack.project);
    assert!(deployed.stderr.contains(&drained), "{}", deployed.stderr);
    assert!(clients.iter().all(|load| load.wait_version("2", TIMEOUT)), "{}", deployed.stderr);
    let (requests, failed, slowest, text) = figures(clients);
    println!("classic without helpers: {failed} of {requests} requests failed, the slowest took {slowest:?}");
    assert_eq!(failed, 0, "{text}\n{}", deployed.stderr);
}

/// The same copy, the same variables, the same load.
#[test]
#[ignore = "takes long; scripts/test long"]
fn what_the_old_script_loses() {
    let version = Command::new("docker-compose").args(["version", "--short"]).output();
    if !version.is_ok_and(|output| output.stdout.starts_with(b"1.")) {
        return skipped("there is no docker-compose 1");
    }
    let classic = Classic::serving("classic-old");
    let script = OLD_SCRIPT
        .replace("docker_app", &format!("{}_app", classic.stack.project))
        .replace("DEPLOYMENT_TIME=10", "DEPLOYMENT_TIME=3");
    classic.stack.write("deploy.sh", &script);
    let clients = clients(classic.port);
    let mut command = Command::new("bash");
    command.arg("deploy.sh").current_dir(classic.stack.folder()).envs(classic.env("2"));
    command.env("COMPOSE_PROJECT_NAME", &classic.stack.project);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let deployed = finish(command.spawn().unwrap());
    assert!(clients.iter().all(|load| load.wait_version("2", TIMEOUT)), "{deployed:?}");
    let (requests, failed, slowest, _) = figures(clients);
    println!("the old script: {failed} of {requests} requests failed, the slowest took {slowest:?}");
    assert_eq!(classic.names("app"), ["docker_app_3", "docker_app_4"], "{deployed:?}");
    assert!(failed > 0 || slowest > SLOWEST, "it loses nothing, so this test shows nothing");
}
