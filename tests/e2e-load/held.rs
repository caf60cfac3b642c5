//! Services that must be alone, as they are found: a volume of their own, a fixed port, a name. Nobody is refused while the
//! old container stops and the new one starts.

use std::{
    process::{Command, Stdio},
    thread::{self, JoinHandle},
    time::Duration,
};

use zdd_load::Running;

use crate::{
    bare::{APP, Bare, CADDY, CHECKING_HAPROXY, HAPROXY, LITERAL_NGINX, NGINX, Proxy, TRAEFIK},
    clients, clients_for, killed_at,
    stack::{HELPER, Stack, TIMEOUT, docker, finish, free_port, wait_until},
};

/// What `hold` is where nobody writes it.
const HOLD: Duration = Duration::from_secs(30);

/// One container, which writes to a volume that nobody else has.
fn volume() -> String {
    APP.replace("    scale: 2\n", "    volumes: [\"data:/data\"]\n") + "volumes: {data: {}}\n"
}

fn is_held_behind(proxy: &Proxy) {
    Bare::with("held", proxy, &volume()).is_rolled_unnoticed(&format!("held-{}", proxy.name));
}

#[test]
fn a_volume_behind_traefik() {
    is_held_behind(&TRAEFIK);
}

#[test]
#[ignore = "takes long; scripts/bench"]
fn a_volume_behind_caddy() {
    is_held_behind(&CADDY);
}

#[test]
#[ignore = "takes long; scripts/bench"]
fn a_volume_behind_haproxy() {
    is_held_behind(&HAPROXY);
}

#[test]
#[ignore = "takes long; scripts/bench"]
fn a_volume_behind_nginx() {
    is_held_behind(&NGINX);
}

#[test]
#[ignore = "takes long; scripts/bench"]
fn a_volume_behind_an_nginx_that_looks_the_name_up_once() {
    is_held_behind(&LITERAL_NGINX);
}

/// Its checks get no answer for three seconds, and would have it answer 503 after one.
#[test]
#[ignore = "takes long; scripts/test long"]
fn a_volume_behind_a_haproxy_that_checks_by_http() {
    let slow = volume().replace("APP_BOOT_MS: 1000", "APP_BOOT_MS: 3000");
    let bare = Bare::with("held", &CHECKING_HAPROXY, &slow);
    bare.is_rolled_unnoticed("held-checking-haproxy");
    wait_until("nobody to speak to HAProxy", || bare.shells() == 0);
}

/// A container with a port of the machine, of which there can be one only.
pub struct Alone {
    pub stack: Stack,
    pub port: u16,
}

impl Alone {
    pub fn serving(name: &str, lines: &str) -> Alone {
        Alone::edited(name, lines, |file, _| file)
    }

    /// With a file that is edited; the port is that of the machine.
    pub fn edited(name: &str, lines: &str, edit: impl Fn(String, u16) -> String) -> Alone {
        let port = free_port();
        let file = format!(
            "services:
  app:
    image: zdd-app:test
    ports: [\"127.0.0.1:{port}:80\"]
    environment:
      APP_VERSION: ${{APP_VERSION}}
      APP_ON_TERM: exit
      APP_HEALTH: ${{APP_HEALTH:-ok}}
      APP_BOOT_MS: ${{APP_BOOT_MS:-1000}}
      APP_WORK_MS: 20
    healthcheck: {{test: [\"CMD\", \"/zdd-app\", \"health\"], interval: 1s}}
    x-zdd: {{wait_timeout: \"${{WAIT:-6s}}\", hold: \"${{HOLD:-60s}}\"}}
{lines}
"
        );
        let alone = Alone { stack: Stack::new(name, &edit(file, port)), port };
        let (code, first) = alone.up("1", "ok");
        assert_eq!(code, 0, "{first}");
        alone
    }

    /// The exit code, and what it says.
    pub fn up(&self, version: &str, health: &str) -> (i32, String) {
        let finished = finish(self.command(version, health).spawn().unwrap());
        (finished.code, finished.stderr)
    }

    pub fn command(&self, version: &str, health: &str) -> Command {
        let env = [(HELPER, "auto"), ("APP_VERSION", version), ("APP_HEALTH", health)];
        self.stack.command(&["up"], &env)
    }

    /// Whatever the rollouts have left beside the containers, a line each.
    pub fn left(&self) -> String {
        self.stack.helpers() + &self.stack.locks()
    }

    /// A version that serves, and one that never does.
    pub fn nobody_is_refused(&self) {
        // As long as they may wait: on a busy machine a version that is never ready takes ten seconds to be found out.
        let clients = clients_for(self.port, HOLD);
        let (code, good) = self.up("2", "ok");
        assert_eq!(code, 0, "{good}");
        assert!(good.contains("connections to app waited "), "{good}");
        assert!(clients.iter().all(|load| load.wait_version("2", TIMEOUT)), "{good}");
        let (code, bad) = self.up("3", "never");
        assert_eq!(code, 3, "{bad}");
        assert!(bad.contains("serves again"), "{bad}");
        let then: Vec<_> = clients.iter().map(Running::succeeded).collect();
        let goes_on = |(load, then): (&Running, usize)| load.succeeded() > then + 20;
        wait_until("good answers", || clients.iter().zip(then.iter().copied()).all(goes_on));
        for report in clients.into_iter().map(Running::stop) {
            assert!(report.failed().is_empty(), "{report}\n{good}\n{bad}");
            assert!(report.never_back("1", "2"), "{}", report.timeline());
        }
    }
}

#[test]
fn a_fixed_port_and_a_volume() {
    let lines = "    volumes: [\"data:/data\"]\nvolumes: {data: {}}";
    Alone::serving("held-port", lines).nobody_is_refused();
}

/// Compose has to replace it: an anonymous volume is handed on, and so is a name.
#[test]
fn a_name_and_a_volume_without_one() {
    let lines =
        format!("    container_name: zddtest-held-name-{}\n    volumes: [/cache]", std::process::id());
    let alone = Alone::serving("held-name", &lines);
    let volume = || {
        let mounts = "{{range .Mounts}}{{.Name}}{{end}}";
        docker(&["inspect", "--format", mounts, &alone.stack.containers("app")[0].id])
    };
    let before = volume();
    alone.nobody_is_refused();
    assert_eq!(volume(), before);
    // Compose has handed it on by its name, so that it does not go with the container.
    drop(alone);
    docker(&["volume", "rm", &before]);
}

/// Who waits is served by the container that has started, although nobody is there any more to say that it is ready.
#[test]
#[ignore = "takes long; scripts/bench"]
fn killed_while_connections_wait() {
    let lines = "    volumes: [\"data:/data\"]\nvolumes: {data: {}}";
    let alone = Alone::serving("held-killed", lines);
    let clients = clients(alone.port);
    let env = [(HELPER, "auto"), ("APP_VERSION", "2")];
    let said = killed_at(alone.stack.command(&["up"], &env).spawn().unwrap(), "app-2 started");
    assert!(clients.iter().all(|load| load.wait_version("2", TIMEOUT)), "{said:?}");
    wait_until("its helpers to be gone", || alone.stack.helpers().is_empty());
    let (code, again) = alone.up("3", "ok");
    assert_eq!(code, 0, "{again}");
    assert!(clients.iter().all(|load| load.wait_version("3", TIMEOUT)), "{again}");
    for report in clients.into_iter().map(Running::stop) {
        assert!(report.failed().is_empty(), "{report}\n{said:#?}\n{again}");
    }
    assert_eq!(alone.stack.all_containers().len(), 1);
}

/// Two at once: the other one stops while the first one boots, and takes its time. Only one of them at a time does what
/// concerns addresses, and whoever is ready lets nobody wait for that.
#[test]
#[ignore = "takes long; scripts/test long"]
fn who_is_ready_does_not_wait_for_another_to_stop() {
    let lines = "    volumes: [\"data:/data\"]
  other:
    image: zdd-app:test
    volumes: [\"other:/data\"]
    stop_grace_period: 15s
    environment: {APP_VERSION: \"${APP_VERSION}\", APP_ON_TERM: ignore}
    healthcheck: {test: [\"CMD\", \"/zdd-app\", \"health\"], interval: 1s}
    pre_stop: [{command: [/zdd-app, sleep, \"4000\"]}]
volumes: {data: {}, other: {}}";
    // The first check of this text is of the one that boots for long.
    let boots = |file: String, _| {
        file.replace("BOOT_MS:-1000", "BOOT_MS:-4000").replacen(
            "interval: 1s",
            "interval: 1s, start_period: 10s",
            1,
        )
    };
    let alone = Alone::edited("held-two", lines, boots);
    let clients = clients_for(alone.port, HOLD);
    let (code, said) = alone.up("2", "ok");
    assert_eq!(code, 0, "{said}");
    for report in clients.into_iter().map(Running::stop) {
        assert!(report.failed().is_empty(), "{report}\n{said}");
        let slowest = report.slowest().unwrap();
        assert!(slowest.latency < Duration::from_secs(14), "{slowest:?}\n{said}");
    }
}

/// PostgreSQL with its volume, under pgbench with a connection for each transaction: none fails, and none is lost.
#[test]
#[ignore = "takes long; scripts/bench"]
fn a_database_that_agrees() {
    let file = "services:
  db:
    image: zdd-postgres:test
    environment: {VERSION: \"${VERSION:-1}\"}
    stop_signal: SIGINT
    volumes: [\"data:/var/lib/postgresql\"]
    healthcheck: {test: [\"CMD\", \"pg_isready\"], interval: 1s, start_period: 30s}
    x-zdd: {strategy: held}
  client:
    image: zdd-postgres:test
    command: [\"sleep\", \"3600\"]
    x-zdd: {monitor: 500ms}
volumes: {data: {}}
";
    let stack = Stack::new("held-postgres", file);
    let up = |version: &str| {
        finish(stack.command(&["up"], &[(HELPER, "auto"), ("VERSION", version)]).spawn().unwrap())
    };
    let first = up("1");
    assert_eq!(first.code, 0, "{}", first.stderr);
    let client = stack.containers("client")[0].id.clone();
    let in_client = |words: &[&str]| docker(&[&["exec", &client], words].concat());
    in_client(&["pgbench", "--initialize", "--quiet", "--host", "db", "postgres"]);
    let bench =
        ["pgbench", "--host", "db", "--connect", "--client", "4", "--rate", "40", "--time", "25", "postgres"];
    let load = Command::new("docker").args([&["exec", &client], &bench[..]].concat()).output_later();
    wait_until("transactions", || count(&in_client) >= 40);
    let second = up("2");
    assert_eq!(second.code, 0, "{}", second.stderr);
    assert!(second.stderr.contains("connections to db waited "), "{}", second.stderr);
    let report = load.join().unwrap();
    let number = |what: &str| -> usize {
        let line =
            report.lines().find_map(|line| line.strip_prefix(what)).unwrap_or_else(|| panic!("{report}"));
        line.split([' ', '(']).find_map(|word| word.parse().ok()).unwrap_or_else(|| panic!("{report}"))
    };
    assert_eq!(number("number of failed transactions: "), 0, "{report}\n{}", second.stderr);
    assert_eq!(number("number of transactions actually processed: "), count(&in_client), "{report}");
    println!("postgres: {} transactions, none failed\n{}", count(&in_client), second.stderr);
}

fn count(in_client: &dyn Fn(&[&str]) -> String) -> usize {
    let rows = [
        "psql",
        "--host",
        "db",
        "--tuples-only",
        "--no-align",
        "--command",
        "select count(*) from pgbench_history",
        "postgres",
    ];
    in_client(&rows).trim().parse().unwrap()
}

/// What a command prints, when it has ended.
trait Later {
    fn output_later(&mut self) -> JoinHandle<String>;
}

impl Later for Command {
    fn output_later(&mut self) -> JoinHandle<String> {
        let child = self.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        thread::spawn(move || {
            let output = child.wait_with_output().unwrap();
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
        })
    }
}
