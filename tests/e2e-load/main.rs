//! The example stacks under load, as `scripts/load-matrix` runs them, in a shorter form: the app that is hardest to
//! its clients, one rollout that goes well and one that is rolled back, and no request lost in either.

#[path = "../e2e/stack.rs"]
#[allow(dead_code, reason = "shared with the other end-to-end tests")]
mod stack;

#[path = "../e2e/faults/rig.rs"]
#[allow(dead_code, reason = "shared with the other end-to-end tests")]
mod rig;

mod bare;
mod classic;
mod held;
mod held_bad;
mod init;

use std::{path::Path, process::Child, time::Duration};

use stack::{Finished, Stack, TIMEOUT, docker, finish, free_port, ids, said_until, wait_until};
use zdd_load::{Load, Method, Running};

/// What the example's own app is replaced by: one that exits at once on SIGTERM, whatever it has in hand.
const OVERRIDE: &str = "
services:
  app:
    build: !reset null
    image: zdd-app:test
    stop_grace_period: 3s
    environment:
      APP_VERSION: ${APP_VERSION}
      APP_ON_TERM: exit
      APP_BOOT_MS: 1000
      APP_WORK_MS: 20
";

/// Kills a run when it says these words, and returns what it said until then.
fn killed_at(mut child: Child, words: &str) -> Vec<String> {
    let said = said_until(&mut child, words);
    child.kill().unwrap();
    child.wait().unwrap();
    said
}

struct Example {
    stack: Stack,
    file: String,
    env: Vec<(&'static str, String)>,
    port: u16,
}

impl Example {
    /// Version 1 of the stack in `examples/NAME`.
    fn serving(name: &str) -> Example {
        Example::with(name, OVERRIDE)
    }

    fn with(name: &str, override_file: &str) -> Example {
        let stack = Stack::new(&format!("load-{name}"), "services: {}");
        stack.write("override.yml", override_file);
        let file = format!("{}/examples/{name}/docker-compose.yml", env!("CARGO_MANIFEST_DIR"));
        assert!(Path::new(&file).exists(), "{file}");
        let port = free_port();
        let env = vec![
            ("HAPROXY_IMAGE", "zdd-haproxy:test".to_owned()),
            ("TRAEFIK_IMAGE", "zdd-traefik:test".to_owned()),
            ("CADDY_IMAGE", "zdd-caddy:test".to_owned()),
            ("NGINX_IMAGE", "zdd-nginx:test".to_owned()),
            ("HTTP_PORT", format!("127.0.0.1:{port}")),
            ("STATS_PORT", "127.0.0.1:".to_owned()),
        ];
        let example = Example { stack, file, env, port };
        let first = example.up("1", &[]);
        assert_eq!(first.code, 0, "{}", first.stderr);
        example.wait_until_found();
        example
    }

    /// The first start is over when the app is healthy; the proxy may find it later.
    fn wait_until_found(&self) {
        let probe =
            Load { rate: Some(50.0), ..Load::new(format!("http://127.0.0.1:{}/", self.port)) }.start();
        wait_until("the proxy to find the app", || probe.succeeded() >= 50);
    }

    fn up(&self, version: &str, args: &[&str]) -> Finished {
        finish(self.command(version, args).spawn().unwrap())
    }

    fn command(&self, version: &str, args: &[&str]) -> std::process::Command {
        let fixed = ["-f", &self.file, "-f", "override.yml", "up", "--monitor", "1s"];
        let mut env: Vec<_> = self.env.iter().map(|(key, value)| (*key, value.as_str())).collect();
        env.push(("APP_VERSION", version));
        self.stack.command(&[&fixed, args].concat(), &env)
    }

    fn clients(&self) -> Vec<Running> {
        clients(self.port)
    }
}

/// GET and POST, each over kept connections and over new ones.
fn clients(port: u16) -> Vec<Running> {
    clients_for(port, Duration::from_secs(10))
}

/// Of some who wait for so long.
fn clients_for(port: u16, timeout: Duration) -> Vec<Running> {
    let loads = [(Method::Get, true), (Method::Get, false), (POST, true), (POST, false)].map(|kind| {
        let (method, keep_alive) = kind;
        let url = format!("http://127.0.0.1:{port}/");
        Load { rate: Some(50.0), method, keep_alive, timeout, ..Load::new(url) }.start()
    });
    for load in &loads {
        wait_until("good answers", || load.succeeded() >= 20);
    }
    loads.into()
}

const POST: Method = Method::Post { body_bytes: 1000 };

fn nobody_notices(name: &str) {
    let example = Example::serving(name);
    let clients = example.clients();
    let good = example.up("2", &["app"]);
    assert_eq!(good.code, 0, "{}", good.stderr);
    assert!(clients.iter().all(|load| load.wait_version("2", TIMEOUT)), "{}", good.stderr);

    let before = example.stack.containers("app");
    let bad = fails_in_the_second_batch(&example, &before);
    assert_eq!(bad.code, 3, "{}", bad.stderr);
    assert_eq!(example.stack.containers("app"), before, "{}", bad.stderr);
    for report in clients.into_iter().map(Running::stop) {
        assert!(report.failed().is_empty(), "{report}\n{}\n{}", good.stderr, bad.stderr);
    }
}

/// The first batch has served for a while when one of the second is killed, which still boots.
fn fails_in_the_second_batch(example: &Example, before: &[stack::Seen]) -> Finished {
    let rollout = example.command("3", &["--parallelism", "1", "app"]).spawn().unwrap();
    let old = ids(before);
    let added = || {
        let running = example.stack.containers("app").into_iter().filter(|c| c.state == "running");
        running.filter(|c| !old.contains(&c.id)).collect::<Vec<_>>()
    };
    wait_until("the second batch", || added().len() == 2);
    let number = |name: &str| name.rsplit('-').next().unwrap().parse::<u32>().unwrap();
    let newest = added().into_iter().max_by_key(|c| number(&c.name)).unwrap();
    docker(&["kill", &newest.id]);
    finish(rollout)
}

#[test]
fn behind_haproxy() {
    nobody_notices("haproxy");
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn behind_traefik() {
    nobody_notices("traefik");
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn behind_caddy() {
    nobody_notices("caddy");
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn behind_nginx() {
    nobody_notices("nginx");
}

/// That the others lose nothing means something: these clients see it when a container dies with requests in hand.
#[test]
fn a_container_that_is_killed_loses_requests() {
    let example = Example::with("haproxy", &OVERRIDE.replace("WORK_MS: 20", "WORK_MS: 500"));
    let clients = example.clients();
    let apps = example.stack.containers("app");
    assert_eq!(apps.len(), 2, "{apps:?}");
    docker(&["kill", &apps[0].id]);
    let then: Vec<_> = clients.iter().map(Running::completed).collect();
    // Whatever was in flight has ended one way or the other.
    let ended = |(load, then): (&Running, usize)| load.completed() >= then + 20;
    wait_until("more answers", || clients.iter().zip(then.iter().copied()).all(ended));
    let reports: Vec<_> = clients.into_iter().map(Running::stop).collect();
    let lost: Vec<_> = reports.iter().map(|report| report.failed().len()).collect();
    println!("lost: {lost:?}");
    assert!(lost.iter().sum::<usize>() > 0, "{lost:?}");
}

/// Traefik drops a router that two containers define in different ways, and the plan says so; under a new name the
/// same change costs nothing.
#[test]
#[ignore = "takes long; scripts/test long"]
fn a_router_that_changes_wants_a_new_name() {
    let example = Example::serving("traefik");
    let labelled = |router: &str| {
        let labels = format!(
            "    labels: !override\n      traefik.enable: \"true\"\n      traefik.http.routers.{router}.rule: PathPrefix(`/`)\n      traefik.http.routers.{router}.entrypoints: web\n      traefik.http.services.app.loadbalancer.server.port: \"80\"\n"
        );
        example.stack.write("override.yml", &(OVERRIDE.to_owned() + &labels));
    };
    let said = "Traefik drops \"app\" and answers 404";

    labelled("app-2");
    let clients = example.clients();
    let renamed = example.up("2", &["app"]);
    assert_eq!(renamed.code, 0, "{}", renamed.stderr);
    assert!(!renamed.stderr.contains(said), "{}", renamed.stderr);
    assert!(clients.iter().all(|load| load.wait_version("2", TIMEOUT)), "{}", renamed.stderr);
    for report in clients.into_iter().map(Running::stop) {
        assert!(report.failed().is_empty(), "{report}\n{}", renamed.stderr);
    }

    example.stack.write("override.yml", OVERRIDE);
    assert_eq!(example.up("3", &["app"]).code, 0);
    labelled("app");
    let clients = example.clients();
    let changed = example.up("4", &["app"]);
    assert_eq!(changed.code, 0, "{}", changed.stderr);
    assert!(changed.stderr.contains(said), "{}", changed.stderr);
    let lost = clients.into_iter().map(Running::stop).map(|report| report.failed().len()).sum::<usize>();
    assert!(lost > 0, "Traefik has not minded: {}", changed.stderr);
}
