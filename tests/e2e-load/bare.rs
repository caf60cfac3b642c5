//! Stacks as they are found: nothing in them is prepared for a rollout. The app is one of zdd's tests, the proxies have
//! what one needs to write to reach it.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use zdd_load::{Report, Running};

use crate::{
    clients, killed_at,
    stack::{HELPER, Stack, TIMEOUT, docker, finish, free_port, wait_until},
};

/// Two containers that say that they are healthy, labels for Traefik, and nothing else.
pub const APP: &str = "
services:
  app:
    image: zdd-app:test
    scale: 2
    stop_grace_period: 3s
    environment:
      APP_VERSION: ${APP_VERSION}
      APP_ON_TERM: ${APP_ON_TERM}
      APP_BOOT_MS: 1000
      APP_WORK_MS: 20
    healthcheck: {test: [\"CMD\", \"/zdd-app\", \"health\"], interval: 1s, timeout: 2s, retries: 3, start_period: 30s}
    labels:
      traefik.enable: \"true\"
      traefik.http.routers.app.rule: PathPrefix(`/`)
      traefik.http.services.app.loadbalancer.server.port: \"80\"
  proxy:
    depends_on: [app]
    ports: [\"127.0.0.1:${HTTP_PORT}:80\"]
    x-zdd: {monitor: 500ms}
";

/// A proxy, its part of the file, and its configuration.
pub struct Proxy {
    pub name: &'static str,
    service: &'static str,
    configuration: &'static str,
}

pub const TRAEFIK: Proxy = Proxy {
    name: "traefik",
    service: "image: zdd-traefik:test
    command:
      - --entrypoints.web.address=:80
      - --providers.docker=true
      - --providers.docker.exposedbydefault=false
      - --providers.docker.constraints=Label(`com.docker.compose.project`, `$COMPOSE_PROJECT_NAME`)
    volumes: [\"/var/run/docker.sock:/var/run/docker.sock:ro\"]",
    configuration: "",
};

pub const CADDY: Proxy = Proxy {
    name: "caddy",
    service: "image: zdd-caddy:test
    volumes: [\"./configuration:/etc/caddy/Caddyfile:ro\"]",
    configuration: ":80 {
    reverse_proxy {
        dynamic a app 80 {
            refresh 1s
        }
    }
}
",
};

pub const HAPROXY: Proxy = Proxy {
    name: "haproxy",
    service: "image: zdd-haproxy:test
    volumes: [\"./configuration:/usr/local/etc/haproxy/haproxy.cfg:ro\"]",
    configuration: "resolvers docker
    nameserver dns 127.0.0.11:53
    hold valid 1s
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
frontend web
    bind :80
    default_backend app
backend app
    server-template app 10 app:80 check inter 500ms resolvers docker init-addr none
",
};

/// It asks the app itself whether it is well, and finds nobody there for longer than it bears.
pub const CHECKING_HAPROXY: Proxy = Proxy {
    name: "checking-haproxy",
    service: HAPROXY.service,
    configuration: "global
    stats socket /var/lib/haproxy/admin.sock mode 600 level admin
resolvers docker
    nameserver dns 127.0.0.11:53
    hold valid 1s
defaults
    mode http
    timeout connect 1s
    timeout check 500ms
    timeout client 30s
    timeout server 30s
frontend web
    bind :80
    default_backend app
backend app
    option httpchk GET /health
    server-template app 4 app:80 check inter 300ms fall 2 resolvers docker init-addr none
",
};

/// It looks the name up when it starts, and never again.
const STATIC_HAPROXY: Proxy = Proxy {
    name: "static-haproxy",
    service: HAPROXY.service,
    configuration: "defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
frontend web
    bind :80
    default_backend app
backend app
    server app app:80 check
",
};

pub const NGINX: Proxy = Proxy {
    name: "nginx",
    service: "image: zdd-nginx:test
    volumes: [\"./configuration:/etc/nginx/conf.d/default.conf:ro\"]",
    configuration: "resolver 127.0.0.11 valid=1s ipv6=off;
server {
    listen 80;
    location / {
        set $app app;
        proxy_pass http://$app:80;
    }
}
",
};

/// As most people write it: nginx looks the name up when it starts, and never again.
pub const LITERAL_NGINX: Proxy = Proxy {
    name: "literal-nginx",
    service: NGINX.service,
    configuration: "server {
    listen 80;
    location / {
        proxy_pass http://app;
    }
}
",
};

const HTTPD: Proxy = Proxy {
    name: "httpd",
    service: "image: zdd-httpd:test
    volumes: [\"./configuration:/usr/local/apache2/conf/httpd.conf:ro\"]",
    configuration: include_str!("httpd.conf"),
};

pub struct Bare {
    pub stack: Stack,
    pub port: u16,
}

/// What updates the stack: `ZDD_BENCH_TOOL` is `compose`, or the path of docker-rollout's program.
pub enum Tool {
    Zdd,
    Compose,
    DockerRollout(String),
}

impl Tool {
    pub fn chosen() -> Tool {
        match std::env::var("ZDD_BENCH_TOOL") {
            Err(_) => Tool::Zdd,
            Ok(tool) if tool == "zdd" => Tool::Zdd,
            Ok(tool) if tool == "compose" => Tool::Compose,
            Ok(path) => Tool::DockerRollout(path),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Tool::Zdd => "zdd",
            Tool::Compose => "compose",
            Tool::DockerRollout(_) => "docker-rollout",
        }
    }

    fn command(&self, stack: &Stack) -> Command {
        let mut command = match self {
            Tool::Zdd => return stack.command(&["up"], &[(HELPER, "auto")]),
            Tool::Compose => {
                let mut command = Command::new("docker");
                command.args(["compose", "-p", &stack.project, "up", "--detach"]);
                command
            }
            Tool::DockerRollout(path) => {
                let mut command = Command::new("sh");
                command.args([path, "rollout", "-p", &stack.project, "app"]);
                command
            }
        };
        command.current_dir(stack.folder());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

impl Bare {
    /// The shells that run in the proxy's container.
    pub fn shells(&self) -> usize {
        let processes = docker(&["top", &self.stack.containers("proxy")[0].id, "-eo", "pid,comm"]);
        processes.lines().filter(|line| line.ends_with(" sh") || line.ends_with(" dash")).count()
    }

    fn serving(proxy: &Proxy) -> Bare {
        Bare::with("bare", proxy, APP)
    }

    pub fn with(kind: &str, proxy: &Proxy, app: &str) -> Bare {
        let service = proxy.service;
        let file = app.replace("  proxy:\n", &format!("  proxy:\n    {service}\n"));
        let bare = Bare { stack: Stack::new(&format!("{kind}-{}", proxy.name), &file), port: free_port() };
        bare.stack.write("configuration", proxy.configuration);
        bare.up(&Tool::Zdd, "1", "finish");
        let probe = clients(bare.port);
        wait_until("the proxy to know the app", || probe.iter().all(|load| load.succeeded() >= 50));
        probe.into_iter().for_each(|load| drop(load.stop()));
        bare
    }

    pub fn begin(&self, tool: &Tool, version: &str, on_term: &str) -> Child {
        let port = self.port.to_string();
        let env = [("APP_VERSION", version), ("APP_ON_TERM", on_term), ("HTTP_PORT", port.as_str())];
        let mut command = tool.command(&self.stack);
        command.envs(env).env("COMPOSE_PROJECT_NAME", &self.stack.project);
        command.spawn().unwrap()
    }

    /// What it says.
    pub fn up(&self, tool: &Tool, version: &str, on_term: &str) -> String {
        let finished = finish(self.begin(tool, version, on_term));
        assert_eq!(finished.code, 0, "{}", finished.stderr);
        finished.stderr
    }
}

fn nobody_notices(proxy: &Proxy) {
    Bare::serving(proxy).is_rolled_unnoticed(proxy.name);
}

/// Where a rollout takes longer, or an answer, it is printed what was done meanwhile.
const SLOW: Duration = Duration::from_secs(20);
const SLOW_ANSWER: Duration = Duration::from_millis(500);

impl Bare {
    /// Version 1 finishes what it has begun when it is told to end, version 2 exits at once, version 3 does not listen.
    pub fn is_rolled_unnoticed(&self, name: &str) {
        let (tool, bare) = (Tool::chosen(), self);
        let clients = clients(bare.port);
        let (mut said, mut took) = (String::new(), Duration::ZERO);
        for (version, on_term) in [("2", "exit"), ("3", "ignore"), ("4", "finish")] {
            clients.iter().for_each(|load| load.mark(&format!("to {version}")));
            let begun = Instant::now();
            let this = bare.up(&tool, version, on_term);
            if begun.elapsed() > SLOW {
                println!("to version {version} in {:?}:\n{this}", begun.elapsed());
            }
            said.push_str(&this);
            took += begun.elapsed();
            if !clients.iter().all(|load| load.wait_version(version, TIMEOUT)) {
                let reports: String = clients.into_iter().map(|load| load.stop().to_string()).collect();
                panic!("version {version} does not answer:\n{reports}\n{said}");
            }
        }
        let reports: Vec<_> = clients.into_iter().map(Running::stop).collect();
        let (requests, failed): (usize, usize) =
            reports.iter().fold((0, 0), |(all, bad), r| (all + r.requests(), bad + r.failed().len()));
        let slowest = reports.iter().filter_map(Report::slowest).max_by_key(|sample| sample.latency);
        if let Some(late) = slowest.filter(|sample| sample.latency > SLOW_ANSWER) {
            println!("{late:?}, with marks at {:?}:\n{said}", reports[0].marks());
        }
        let slowest = slowest.map_or(0, |sample| sample.latency.as_millis());
        println!("{name} with {}: {requests} {failed} {slowest} {}", tool.name(), took.as_millis());
        if let Tool::Zdd = tool {
            for report in reports {
                assert!(report.failed().is_empty(), "{report}\n{said}");
            }
            assert!(!said.contains("warning"), "{said}");
        }
    }
}

/// Whoever has begun goes on, also new ones go where they are answered, and nothing is left a little later.
fn killed_when_it_says(words: &str) {
    if !matches!(Tool::chosen(), Tool::Zdd) {
        return;
    }
    let bare = Bare::serving(&TRAEFIK);
    let clients = clients(bare.port);
    clients.iter().for_each(|load| load.mark(words));
    let said = killed_at(bare.begin(&Tool::Zdd, "2", "exit"), words);
    let filter = format!("label=io.zdd.helper={}", bare.stack.project);
    assert_ne!(docker(&["ps", "--quiet", "--filter", &filter]), "", "{said:?}");
    wait_until("its helpers to be gone", || bare.stack.helpers().is_empty());
    clients.iter().for_each(|load| load.mark("again"));
    let again = bare.up(&Tool::Zdd, "3", "exit");
    assert!(clients.iter().all(|load| load.wait_version("3", TIMEOUT)), "{again}");
    let reports: Vec<_> = clients.into_iter().map(Running::stop).collect();
    let count = |of: fn(&Report) -> usize| reports.iter().map(of).sum::<usize>();
    let (requests, failed) = (count(Report::requests), count(|report| report.failed().len()));
    println!("killed at \"{words}\": {failed} of {requests} requests failed");
    for report in reports {
        assert!(report.failed().is_empty(), "{report}\n{said:#?}\n{again}");
    }
}

#[test]
#[ignore = "takes long; scripts/bench"]
fn killed_when_the_new_ones_have_started() {
    killed_when_it_says("app-4 started");
}

#[test]
#[ignore = "takes long; scripts/bench"]
fn killed_when_connections_are_handed_over() {
    killed_when_it_says("draining");
}

#[test]
#[ignore = "takes long; scripts/bench"]
fn killed_in_the_stop() {
    killed_when_it_says("stopping");
}

#[test]
#[ignore = "takes long; scripts/bench"]
fn killed_when_the_old_ones_have_stopped() {
    killed_when_it_says("app-2 stopped");
}

#[test]
fn bare_traefik() {
    nobody_notices(&TRAEFIK);
}

#[test]
#[ignore = "takes long; scripts/bench"]
fn bare_caddy() {
    nobody_notices(&CADDY);
}

#[test]
#[ignore = "takes long; scripts/bench"]
fn bare_haproxy() {
    nobody_notices(&HAPROXY);
}

#[test]
#[ignore = "takes long; scripts/bench"]
fn bare_nginx() {
    nobody_notices(&NGINX);
}

#[test]
fn nginx_that_looks_the_name_up_once() {
    nobody_notices(&LITERAL_NGINX);
}

#[test]
#[ignore = "takes long; scripts/bench"]
fn haproxy_that_looks_the_name_up_once() {
    nobody_notices(&STATIC_HAPROXY);
}

#[test]
#[ignore = "takes long; scripts/bench"]
fn httpd_that_looks_the_name_up_once() {
    nobody_notices(&HTTPD);
}
