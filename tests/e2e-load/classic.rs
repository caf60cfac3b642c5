//! The stack of `examples/classic` as docker-compose 1 has left it: its names, its labels, links, and a load balancer that
//! writes its own configuration. `scripts/deploy.sh` deploys it.

use std::{
    fs,
    process::{Command, Stdio},
    time::Duration,
};

use zdd_load::{Report, Running};

use crate::{
    clients,
    stack::{Finished, HELPER, Stack, TIMEOUT, docker, finish, free_port, wait_until, with_plugins},
};

const BALANCER: &str = "zdd-balancer:test";
/// How long an answer may take in the time of a deployment.
const SLOWEST: Duration = Duration::from_secs(2);

/// In the place of the app of the example one that exits at once when it is told to.
const OVERRIDE: &str = "
services:
  app:
    build: !reset null
    image: zdd-app:test
    environment:
      APP_VERSION: ${APP_VERSION}
      APP_HEALTH: ${APP_HEALTH:-ok}
      APP_EXIT_AFTER_MS: ${APP_EXIT_AFTER_MS:-}
      APP_ON_TERM: exit
      APP_BOOT_MS: 500
      APP_WORK_MS: 20
";

struct Classic {
    stack: Stack,
    port: u16,
}

impl Classic {
    /// Two containers of version 1, and the load balancer.
    fn serving(name: &str) -> Classic {
        let example =
            fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/classic/docker-compose.yml"));
        let classic = Classic { stack: Stack::new(name, &example.unwrap()), port: free_port() };
        classic.stack.write("compose.override.yaml", OVERRIDE);
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
        command.env("NUM_OF_APP_CONTAINERS", "2").env("DEPLOYMENT_TIME", "2").envs(env.iter().copied());
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

#[test]
fn deployed_by_the_variables_of_the_old_script() {
    let classic = Classic::serving("classic");
    let clients = clients(classic.port);
    let deployed = classic.deploy("2", &[]);
    assert_eq!(deployed.code, 0, "{}", deployed.stderr);
    assert!(clients.iter().all(|load| load.wait_version("2", TIMEOUT)), "{}", deployed.stderr);
    // The name that the load balancer is linked to goes on, the other is of today.
    assert_eq!(classic.names("app"), ["docker-app-4", "docker_app_1"], "{}", deployed.stderr);
    let broken = classic.deploy("3", &[("APP_EXIT_AFTER_MS", "700")]);
    assert_eq!(broken.code, 3, "{}", broken.stderr);
    assert_eq!(classic.names("app"), ["docker-app-4", "docker_app_1"], "{}", broken.stderr);
    let (requests, failed, slowest, text) = figures(clients);
    println!("classic: {failed} of {requests} requests failed, the slowest took {slowest:?}");
    assert_eq!(failed, 0, "{text}\n{}\n{}", deployed.stderr, broken.stderr);
    assert!(slowest < SLOWEST, "{text}\n{}\n{}", deployed.stderr, broken.stderr);
    let status = classic.zdd("2", &["status"]);
    assert!(status.stdout.contains("2/2"), "{}", status.stdout);
    let history = classic.zdd("2", &["history"]);
    assert!(history.stdout.lines().count() >= 3, "{}", history.stdout);
}
