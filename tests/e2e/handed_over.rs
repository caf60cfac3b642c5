//! Connections are handed over under odd circumstances: what can be done is done without a loss, what cannot is said, and
//! nothing is left.

use std::time::Duration;

use zdd_load::{Load, Method, Running};

use crate::{
    draining::posts,
    relay::Relay,
    remote::Ssh,
    stack::{APP, HELPER, NGINX, Stack, TIMEOUT, app, docker, free_port, said_until, wait_until},
};

const EDGE: &str = "resolver 127.0.0.11 valid=1s ipv6=off;
server { listen 80; location / { set $to app; proxy_pass http://$to:80; } }
";
const HELPED: (&str, &str) = (HELPER, "auto");
const EXITS: (&str, &str) = ("APP_ON_TERM", "exit");
const WORKS: (&str, &str) = ("APP_WORK_MS", "20");

pub fn version(number: &'static str) -> [(&'static str, &'static str); 4] {
    [HELPED, EXITS, WORKS, ("APP_VERSION", number)]
}

/// `app` behind an nginx; `extra` is YAML at the level of both services, `file` at that of the file.
pub fn served(name: &str, of_app: &str, extra: &str, file: &str) -> (Stack, u16) {
    let port = free_port();
    let both: String = extra.lines().map(|line| format!("    {line}\n")).collect();
    let app = app(&format!("{of_app}\n{extra}"));
    let text = format!(
        "services:\n{app}\n  edge:\n    image: {NGINX}\n    ports: [\"127.0.0.1:{port}:80\"]\n    volumes: [\"./edge.conf:/etc/nginx/conf.d/default.conf:ro\"]\n    x-zdd: {{monitor: 500ms}}\n{both}{file}"
    );
    let stack = Stack::new(name, &text);
    stack.write("edge.conf", EDGE);
    stack.zdd_ok(&["up"], &[&version("1")[..], &[(HELPER, "off")]].concat());
    (stack, port)
}

pub fn is_lossless(load: Running, said: &str) {
    let report = load.stop();
    println!("{} requests, slowest {:?}", report.requests(), report.slowest().map(|sample| sample.latency));
    assert!(report.failed().is_empty(), "{report}\n{said}");
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn a_container_with_ten_networks() {
    let names: Vec<_> = (0..10).map(|n| format!("n{n}")).collect();
    let list = format!("networks: [{}]", names.join(", "));
    let one = |(n, name): (usize, &String)| {
        format!("  {name}: {{ipam: {{config: [{{subnet: 10.213.{n}.0/28}}]}}}}\n")
    };
    let networks: String = names.iter().enumerate().map(one).collect();
    let (stack, port) = served("ten", "deploy: {replicas: 2}", &list, &format!("networks:\n{networks}"));
    // Over new connections: the nginx is told to look the name up again, and may close a kept one at that moment.
    let load =
        Load { rate: Some(100.0), keep_alive: false, ..Load::new(format!("http://127.0.0.1:{port}/")) };
    let load = load.start();
    assert!(load.wait_completed(50, TIMEOUT));
    let finished = stack.zdd_ok(&["up", "app"], &version("2"));
    assert!(!finished.stderr.contains("warning"), "{}", finished.stderr);
    assert!(load.wait_version("2", TIMEOUT));
    is_lossless(load, &finished.stderr);
}

/// It would be reached in the place of the old container, so it needs an address.
#[test]
#[ignore = "takes long; scripts/test long"]
fn a_network_without_an_address_for_the_helper() {
    let networks = "networks: {default: {ipam: {config: [{subnet: 10.214.0.0/29}]}}}\n";
    let (stack, port) = served(
        "full-network",
        "volumes: [\"data:/data\"]",
        "",
        &format!("volumes: {{data: {{}}}}\n{networks}"),
    );
    let (network, label) =
        (format!("{}_default", stack.project), format!("com.docker.compose.project={}", stack.project));
    // Five addresses: the app, the proxy, and these. They are removed with the project.
    for _ in 0..3 {
        docker(&["run", "--detach", "--label", &label, "--network", &network, APP]);
    }
    let before = stack.all_containers();
    let load = posts(port);
    let finished = stack.zdd(&["up", "app"], &version("2"));
    assert_eq!(finished.code, 2, "{}", finished.stderr);
    assert!(finished.stderr.contains("has no free address"), "{}", finished.stderr);
    assert_eq!(stack.all_containers(), before, "{}", finished.stderr);
    wait_until("its helpers to be gone", || stack.helpers().is_empty());
    is_lossless(load, &finished.stderr);
}

/// A line to the engine: what `docker` needs in its environment to use it, and what breaks it.
type Line = (Vec<(String, String)>, Box<dyn Fn()>);

/// The line to the engine breaks for good at this moment, and `docker zdd` can do nothing any more.
fn line_breaks(name: &str, words: &str, connect: impl FnOnce() -> Option<Line>) {
    let (stack, port) = served(name, "deploy: {replicas: 2}\nrestart: always", "", "");
    let Some((env, cut)) = connect() else { return };
    // Each call over SSH takes its time.
    let url = format!("http://127.0.0.1:{port}/");
    let post = Method::Post { body_bytes: 2000 };
    let load = Load { rate: Some(100.0), method: post, max_time: Duration::from_secs(600), ..Load::new(url) }
        .start();
    assert!(load.wait_completed(100, TIMEOUT));
    load.mark(words);
    let mut command = stack.command(&["up", "app"], &version("2"));
    let mut child = command.envs(env).spawn().unwrap();
    let said = said_until(&mut child, words);
    assert_ne!(stack.helpers(), "");
    cut();
    wait_until("its helpers to be gone", || stack.helpers().is_empty());
    let code = child.wait().unwrap().code();
    load.mark("again");
    let again = stack.zdd_ok(&["up", "app"], &version("3"));
    assert!(load.wait_version("3", TIMEOUT));
    assert_eq!(stack.containers("app").len(), 2);
    assert!([Some(0), Some(3), Some(4)].contains(&code), "{code:?} {said:#?}");
    is_lossless(load, &format!("{said:#?}{}", again.stderr));
}

fn by_relay() -> Option<Line> {
    let relay = Relay::start();
    Some((vec![("DOCKER_HOST".to_owned(), relay.host())], Box::new(move || relay.cut())))
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn the_line_breaks_while_new_ones_boot() {
    line_breaks("line-boot", "app-4 started", by_relay);
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn the_line_breaks_while_connections_are_handed_over() {
    line_breaks("line-drain", "draining", by_relay);
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn a_line_over_ssh_breaks() {
    line_breaks("line-ssh", "draining", || {
        let server = Ssh::start()?;
        let env = server.env();
        Some((env, Box::new(move || server.cut())))
    });
}
