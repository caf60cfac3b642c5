//! An app with a port of the machine: held as it is, and rolled with what `docker zdd init` writes.

use std::{
    fs,
    time::{Duration, Instant},
};

use zdd_load::Running;

use crate::{
    clients, clients_for, killed_at,
    stack::{Finished, HELPER, Stack, TIMEOUT, finish, free_port, wait_until},
};

/// The old version or the new one, after a run was killed.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
const PROXY_IMAGE: &str = "ZDD_PROXY_IMAGE";

fn app(port: u16) -> String {
    format!(
        "services:
  app:
    image: zdd-app:test
    container_name: zddtest-init-app-{port}
    ports: [\"127.0.0.1:{port}:80\"]
    stop_grace_period: 3s
    environment:
      APP_VERSION: ${{APP_VERSION}}
      APP_ON_TERM: exit
      APP_BOOT_MS: 1000
      APP_WORK_MS: 20
    healthcheck: {{test: [\"CMD\", \"/zdd-app\", \"health\"], interval: 1s, timeout: 2s, retries: 3, start_period: 30s}}
"
    )
}

struct Site {
    stack: Stack,
    image: String,
}

impl Site {
    fn run(&self, args: &[&str], version: &str, helper: &str) -> Finished {
        let env = [("APP_VERSION", version), (PROXY_IMAGE, self.image.as_str()), (HELPER, helper)];
        let finished = finish(self.stack.command(args, &env).spawn().unwrap());
        assert_eq!(finished.code, 0, "{args:?}: {}{}", finished.stdout, finished.stderr);
        finished
    }

    fn compose(&self, args: &[&str]) -> String {
        self.stack.compose(args, &[("APP_VERSION", "1"), (PROXY_IMAGE, &self.image)])
    }
}

impl Site {
    /// Running in version 1, by Compose alone.
    fn serving(proxy: &str, port: u16, name: &str) -> Site {
        let site = Site { stack: Stack::new(name, &app(port)), image: format!("zdd-{proxy}:test") };
        site.compose(&["up", "--detach", "--wait"]);
        site
    }

    fn written(&self) -> String {
        fs::read_to_string(self.stack.folder().join("compose.override.yaml")).unwrap()
    }

    /// Version 2 takes over, unnoticed, from beside version 1.
    fn is_rolled(&self, port: u16, name: &str, helper: &str) {
        let clients = clients(port);
        wait_until("answers by way of the proxy", || clients.iter().all(|load| load.succeeded() >= 50));
        let said = self.run(&["up"], "2", helper).stderr;
        assert!(said.contains("roll: configuration changed"), "{said}");
        assert!(clients.iter().all(|load| load.wait_version("2", TIMEOUT)), "{said}");
        for report in clients.into_iter().map(Running::stop) {
            let slowest = report.slowest().map(|sample| sample.latency.as_millis()).unwrap_or_default();
            println!("{name}: {} {} {slowest}", report.requests(), report.failed().len());
            assert!(report.failed().is_empty(), "{report}\n{said}");
        }
    }
}

/// With `docker compose` alone the port changes hands, too.
#[test]
#[ignore = "takes long; scripts/test long"]
fn a_fixed_port_behind_haproxy() {
    let (port, name) = (free_port(), "init-haproxy");
    let site = Site::serving("haproxy", port, name);
    let before = site.run(&["plan"], "2", "auto").stdout;
    assert!(before.contains("app  hold"), "{before}");

    site.run(&["init", "--yes"], "1", "auto");
    let text = site.written();
    site.compose(&["up", "--detach", "--wait"]);
    site.is_rolled(port, name, "auto");
    site.run(&["init", "--yes"], "2", "auto");
    assert_eq!(site.written(), text);
}

/// Waits until each of them has got answers from now on.
fn go_on(visitors: &[Running], what: &str) {
    let then: Vec<_> = visitors.iter().map(Running::succeeded).collect();
    let goes_on = |(load, then): (&Running, usize)| load.succeeded() > then + 50;
    wait_until(what, || visitors.iter().zip(then.iter().copied()).all(goes_on));
}

/// The port changes hands in a rollout. Without a helper connections are refused until the proxy has it.
fn is_rolled_behind(proxy: &str, helper: &str) {
    let (port, name) = (free_port(), format!("init-{proxy}-{helper}"));
    let site = Site::serving(proxy, port, &name);
    site.run(&["init", "--yes", "--proxy", proxy], "1", "auto");
    let visitors = clients(port);
    let said = site.run(&["up"], "1", helper).stderr;
    go_on(&visitors, "answers by way of the proxy");
    let reports: Vec<_> = visitors.into_iter().map(Running::stop).collect();
    let failed: Vec<_> = reports.iter().flat_map(|report| report.failed()).collect();
    let all: usize = reports.iter().map(|report| report.requests()).sum();
    let slowest = reports.iter().filter_map(|report| Some(report.slowest()?.latency)).max();
    println!("{name}: {} of {all} failed while the port changed hands, {slowest:?}", failed.len());
    assert!(helper == "off" || failed.is_empty(), "{said}\n{failed:?}");
    site.is_rolled(port, &name, helper);
}

/// The proxy does not become healthy: the app has its port back, and nobody notices.
#[test]
#[ignore = "takes long; scripts/test long"]
fn a_proxy_that_fails_gives_the_port_back() {
    let (port, name) = (free_port(), "init-bad");
    let site = Site::serving("haproxy", port, name);
    site.run(&["init", "--yes"], "1", "auto");
    let broken = site
        .written()
        .replace("start_period: 10s", "start_period: 1s")
        .replace("healthcheck:\n      test:\n      - CMD", "healthcheck:\n      test:\n      - NONSENSE");
    assert!(broken.contains("NONSENSE"), "{broken}");
    site.stack.write("compose.override.yaml", &broken.replace("NONSENSE", "CMD\n      - /no-such-program"));
    let before = site.stack.all_containers();
    // It is found out after some ten seconds, in which they wait.
    let visitors = clients_for(port, TIMEOUT);
    let env = [("APP_VERSION", "2"), (PROXY_IMAGE, site.image.as_str()), (HELPER, "auto")];
    let finished = finish(site.stack.command(&["up"], &env).spawn().unwrap());
    assert_eq!(finished.code, 3, "{}", finished.stderr);
    go_on(&visitors, "answers of the app");
    for report in visitors.into_iter().map(Running::stop) {
        assert!(report.failed().is_empty(), "{report}\n{}", finished.stderr);
    }
    assert_eq!(site.stack.all_containers(), before, "{}", finished.stderr);
    println!("{}", finished.stderr);
}

/// The old container has stopped and nobody has its port yet: another process starts it again.
#[test]
#[ignore = "takes long; scripts/test long"]
fn killed_while_the_port_changes_hands() {
    let (port, name) = (free_port(), "init-killed");
    let site = Site::serving("haproxy", port, name);
    site.run(&["init", "--yes"], "1", "auto");
    let old = site.stack.containers("app");
    let visitors = clients_for(port, TIMEOUT);
    let env = [("APP_VERSION", "2"), (PROXY_IMAGE, site.image.as_str()), (HELPER, "auto")];
    let run = site.stack.command(&["up"], &env).spawn().unwrap();
    let said = killed_at(run, &format!("{} stopped", old[0].name));
    let killed = Instant::now();
    go_on(&visitors, "answers again");
    let answered = killed.elapsed();
    assert!(answered < ANSWERS_WITHIN, "{answered:?} {said:#?}");
    wait_until("its helpers to be gone", || site.stack.helpers().is_empty());
    let again = site.run(&["up"], "2", "auto").stderr;
    assert!(visitors.iter().all(|load| load.wait_version("2", TIMEOUT)), "{again}");
    let reports: Vec<_> = visitors.into_iter().map(Running::stop).collect();
    let failed: usize = reports.iter().map(|report| report.failed().len()).sum();
    let all: usize = reports.iter().map(|report| report.requests()).sum();
    println!("{name}: {failed} of {all} failed, answered again after {answered:?}");
    assert!(failed == 0, "{reports:?}\n{said:#?}\n{again}");
}

#[test]
#[ignore = "takes long; scripts/bench"]
fn a_fixed_port_behind_haproxy_without_a_helper() {
    is_rolled_behind("haproxy", "off");
}

#[test]
#[ignore = "takes long; scripts/bench"]
fn a_fixed_port_behind_traefik() {
    is_rolled_behind("traefik", "auto");
}

#[test]
#[ignore = "takes long; scripts/bench"]
fn a_fixed_port_behind_caddy() {
    is_rolled_behind("caddy", "auto");
}
