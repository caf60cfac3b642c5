//! A compose project that exists for one test.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{self, BufRead, BufReader, Write},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use zdd_load::{Load, Running};

/// The image of `tests/app`, made by `scripts/images`.
pub const APP: &str = "zdd-app:test";
pub const HAPROXY: &str = "zdd-haproxy:test";
pub const NGINX: &str = "zdd-nginx:test";
/// Longer than anything that goes well.
pub const TIMEOUT: Duration = Duration::from_secs(60);
/// Between two looks, most of which are a call of docker that takes a tenth of it.
const LOOK: Duration = Duration::from_millis(300);

/// Ports of one run: outside the range that the engine gives away by itself.
static NEXT_PORT: AtomicU16 = AtomicU16::new(0);

pub fn free_port() -> u16 {
    loop {
        let offset = NEXT_PORT.fetch_add(1, Ordering::SeqCst);
        let port = 21000 + (std::process::id() as u16 % 50) * 100 + offset;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

pub struct Stack {
    pub project: String,
    folder: PathBuf,
    _root: TempDir,
}

#[derive(Debug)]
pub struct Finished {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// What it says after the line that it begins, or all when it does not come that far.
    pub fn said(&self) -> &str {
        match self.stderr.split_once('\n') {
            Some((first, rest)) if first.ends_with("reading the project") => rest,
            _ => &self.stderr,
        }
    }
}

/// A container as `docker inspect` sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    pub id: String,
    pub name: String,
    pub state: String,
}

/// `off`: no helper runs.
pub const HELPER: &str = "DOCKER_ZDD_HELPER";

/// In the project's folder: what any user of a container may write into, whomever the engine makes of it.
const FOLDERS: [&str; 2] = ["log", "data"];

impl Stack {
    /// A project `zddtest-NAME-PID` in a folder of its own, with nothing running yet.
    pub fn new(name: &str, file: &str) -> Stack {
        Stack::in_folder(name, "stack", file)
    }

    /// The same in a folder of this name, which is part of what some tests are about.
    pub fn in_folder(name: &str, folder: &str, file: &str) -> Stack {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join(folder);
        for name in FOLDERS {
            fs::create_dir_all(folder.join(name)).unwrap();
            fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o777)).unwrap();
        }
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let stack = Stack { project: format!("zddtest-{name}-{}", std::process::id()), folder, _root: root };
        stack.write("compose.yaml", file);
        stack.sweep();
        stack
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.join(name), text).unwrap();
    }

    /// `docker-zdd ARGS` in the project's folder.
    pub fn command(&self, args: &[&str], env: &[(&str, &str)]) -> Command {
        self.command_by(&[], args, env)
    }

    /// The same with flags of docker's own.
    pub fn command_by(&self, docker: &[String], args: &[&str], env: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_docker-zdd"));
        command.args(docker).args(["-p", &self.project, "--progress", "plain"]).args(args);
        command.current_dir(&self.folder);
        // What is about handing connections over says so, so that the others show the ways without it, and take less time.
        command.env(HELPER, std::env::var(HELPER).unwrap_or_else(|_| "off".to_owned()));
        command.envs(env.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub fn zdd(&self, args: &[&str], env: &[(&str, &str)]) -> Finished {
        finish(self.command(args, env).spawn().unwrap())
    }

    /// Runs and expects success.
    pub fn zdd_ok(&self, args: &[&str], env: &[(&str, &str)]) -> Finished {
        let finished = self.zdd(args, env);
        assert_eq!(finished.code, 0, "zdd {args:?} failed:\n{}{}", finished.stdout, finished.stderr);
        finished
    }

    pub fn compose(&self, args: &[&str], env: &[(&str, &str)]) -> String {
        let mut command = Command::new("docker");
        command.args(["-l", "error", "compose", "-p", &self.project]).args(args);
        output(command.current_dir(&self.folder).envs(env.iter().copied()))
    }

    /// The IDs of its helpers, in all states, a line each.
    pub fn helpers(&self) -> String {
        docker(&["ps", "--all", "--quiet", "--filter", &format!("label=io.zdd.helper={}", self.project)])
    }

    /// Every container with the labels of this service, one-offs too, in all states.
    pub fn containers(&self, service: &str) -> Vec<Seen> {
        let service = format!("label=com.docker.compose.service={service}");
        self.seen(&["--filter", &service])
    }

    pub fn all_containers(&self) -> Vec<Seen> {
        self.seen(&[])
    }

    fn seen(&self, filters: &[&str]) -> Vec<Seen> {
        let project = self.label();
        let mut args = vec!["ps", "-a", "--no-trunc", "--filter", &project];
        args.extend_from_slice(filters);
        args.extend(["--format", "{{.ID}} {{.Names}} {{.State}}"]);
        let mut found: Vec<_> = docker(&args).lines().map(seen).collect();
        found.sort();
        found
    }

    /// What the history has on the engine: its volumes, and its images with their tags, a line each.
    pub fn revisions(&self) -> (String, String) {
        let label = format!("label=io.zdd.revision.project={}", self.project);
        let repository = format!("zdd-revision/{}", self.project);
        let volumes = docker(&["volume", "ls", "-q", "--filter", &label]);
        (volumes, docker(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}", &repository]))
    }

    /// The locks that a run has left, a line each.
    pub fn locks(&self) -> String {
        docker(&["volume", "ls", "-q", "--filter", &format!("name=zdd-lock-{}", self.project)])
    }

    fn label(&self) -> String {
        format!("label=com.docker.compose.project={}", self.project)
    }

    /// Removes whatever the project has on the engine. A busy engine refuses some of it at first, as a network whose last
    /// container has only just gone.
    pub fn sweep(&self) {
        let mut said = self.remove_all();
        for _ in 0..10 {
            if said.is_empty() {
                return;
            }
            thread::sleep(Duration::from_millis(200));
            said = self.remove_all();
        }
        note(&format!("{} is not removed whole: {}", self.project, said.join(" ")));
    }

    /// What the engine says against it.
    fn remove_all(&self) -> Vec<String> {
        let label = self.label();
        let left = |what: &[&str]| docker(&[what, &["--filter", &label]].concat());
        let mut said = Vec::new();
        said.extend(remove(&["rm", "-fv"], &left(&["ps", "-aq"])));
        said.extend(remove(&["network", "rm"], &left(&["network", "ls", "-q"])));
        said.extend(remove(&["volume", "rm", "-f"], &left(&["volume", "ls", "-q"])));
        let (volumes, images) = self.revisions();
        said.extend(remove(&["volume", "rm", "-f"], &volumes));
        said.extend(remove(&["volume", "rm", "-f"], &self.locks()));
        said.extend(remove(&["image", "rm"], &images));
        said
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.sweep();
    }
}

/// What the engine says against it.
fn remove(verb: &[&str], ids: &str) -> Option<String> {
    let ids: Vec<_> = ids.lines().collect();
    if ids.is_empty() {
        return None;
    }
    let output = Command::new("docker").args(verb).args(ids).output().unwrap();
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

fn seen(line: &str) -> Seen {
    let mut words = line.split(' ').map(str::to_owned);
    let mut next = || words.next().unwrap_or_default();
    Seen { id: next(), name: next(), state: next() }
}

pub fn finish(child: Child) -> Finished {
    let output = child.wait_with_output().unwrap();
    Finished {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

pub fn docker(args: &[&str]) -> String {
    output(Command::new("docker").args(args))
}

fn output(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    assert!(output.status.success(), "{command:?} failed: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// A `DOCKER_CONFIG` whose docker has this build as its plugin, and Compose.
pub fn with_plugins() -> TempDir {
    let config = TempDir::new().unwrap();
    let plugins = config.path().join("cli-plugins");
    fs::create_dir(&plugins).unwrap();
    symlink(env!("CARGO_BIN_EXE_docker-zdd"), plugins.join("docker-zdd")).unwrap();
    let home = env::var("DOCKER_CONFIG").map(PathBuf::from);
    let own = home.unwrap_or_else(|_| PathBuf::from(env::var("HOME").unwrap()).join(".docker"));
    let compose = own.join("cli-plugins/docker-compose");
    if compose.exists() {
        symlink(compose, plugins.join("docker-compose")).unwrap();
    }
    config
}

pub fn ids(containers: &[Seen]) -> BTreeSet<String> {
    containers.iter().map(|container| container.id.clone()).collect()
}

/// What it says until these words, whole lines.
pub fn said_until(child: &mut Child, words: &str) -> Vec<String> {
    let mut said = Vec::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok) {
        said.push(line);
        if said.last().is_some_and(|line| line.contains(words)) {
            return said;
        }
    }
    panic!("no {words:?} in {said:#?}");
}

pub fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + TIMEOUT;
    while !condition() {
        assert!(Instant::now() < end, "waited in vain for: {what}");
        thread::sleep(LOOK);
    }
}

/// Says that a test cannot be made here. `scripts/compose-versions` counts these lines.
pub fn skipped(why: &str) {
    note(&format!("skipped: {}: {why}", thread::current().name().unwrap_or_default()));
}

/// Whether docker's `Client`, or its `Server`, is at least this one, the first to know what is asked for; else that is skipped.
pub fn docker_knows(of: &str, first: u32, what: &str) -> bool {
    knows(of, &docker(&["version", "--format", &format!("{{{{.{of}.Version}}}}")]), (first, 0), what)
}

/// The same of Compose.
pub fn compose_knows(first: (u32, u32), what: &str) -> bool {
    knows("Compose", &docker(&["compose", "version", "--short"]), first, what)
}

fn knows(who: &str, version: &str, first: (u32, u32), what: &str) -> bool {
    let mut numbers =
        version.trim_start_matches('v').split('.').map(|n| n.parse::<u32>().unwrap_or_default());
    let knows = (numbers.next(), numbers.next()) >= (Some(first.0), Some(first.1));
    if !knows {
        skipped(&format!("{who} {version} has no {what}, which {}.{} has", first.0, first.1));
    }
    knows
}

/// Past the harness, which shows nothing of a test that passes.
fn note(line: &str) {
    io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Moderate traffic on a published port, already flowing when this returns.
pub fn traffic(port: u16) -> Running {
    let mut load = Load::new(format!("http://127.0.0.1:{port}/"));
    load.workers = 8;
    load.rate = Some(200.0);
    load.max_time = Duration::from_secs(600);
    let running = load.start();
    assert!(running.wait_completed(100, TIMEOUT), "no answers through port {port}");
    running
}

/// A service of the test app, with a healthcheck. Each probe starts a process by way of the engine, which costs more than
/// all else that a test does: a shorter interval makes the suite slower. `extra` is YAML at the service's level.
pub fn app(extra: &str) -> String {
    format!(
        "{}\n    healthcheck:\n      test: [\"CMD\", \"/zdd-app\", \"health\"]\n      interval: 1s\n      timeout: 2s\n      retries: 2\n      start_period: \"${{START_PERIOD:-0s}}\"\n",
        plain_app(extra)
    )
}

/// The same without a healthcheck. Every `APP_*` variable comes from the environment of the test.
pub fn plain_app(extra: &str) -> String {
    let variables = [
        "VERSION",
        "BOOT_MS",
        "WORK_MS",
        "HEALTH",
        "ON_TERM",
        "EXIT_AFTER_MS",
        "EXIT_CODE",
        "DRAIN_FILE",
        "FAIL_EVERY",
        "ALLOC_MB",
    ];
    let environment: String =
        variables.iter().map(|name| format!("      APP_{name}: \"${{APP_{name}:-}}\"\n")).collect();
    let extra: String = extra.lines().map(|line| format!("    {line}\n")).collect();
    format!("  app:\n    image: {APP}\n{extra}    environment:\n{environment}").trim_end().to_owned()
}

/// HAProxy in front of `app`, published on `port`.
pub fn behind_haproxy(port: u16, app: &str) -> String {
    format!(
        "services:\n{app}\n  lb:\n    image: {HAPROXY}\n    ports: [\"127.0.0.1:{port}:80\"]\n    volumes: [\"./haproxy.cfg:/usr/local/etc/haproxy/haproxy.cfg:ro\"]\n    environment: {{STATS_PASSWORD: stats}}\n    x-zdd: {{monitor: 500ms}}\n"
    )
}
