//! The engine is on another machine, by SSH or TCP: all that a user does in the first hour works there.

use std::{
    env, fs,
    net::{TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use tempfile::TempDir;
use zdd_load::{Load, Method, Running};

use crate::{
    alone::signal,
    handed_over::{is_lossless, served, version},
    relay::{pass, socket},
    stack::{Finished, Stack, TIMEOUT, app, docker, finish, free_port, skipped, wait_until, with_plugins},
};

/// Of the traffic of one test.
const LONGEST: Duration = Duration::from_secs(600);

/// What names the engine: flags before the command, and variables.
#[derive(Default)]
pub struct Far {
    flags: Vec<String>,
    env: Vec<(String, String)>,
}

impl Far {
    fn zdd(&self, stack: &Stack, args: &[&str], env: &[(&str, &str)]) -> Finished {
        let mut command = stack.command_by(&self.flags, args, env);
        finish(command.envs(self.env.iter().cloned()).spawn().unwrap())
    }

    fn zdd_ok(&self, stack: &Stack, args: &[&str], env: &[(&str, &str)]) -> Finished {
        let finished = self.zdd(stack, args, env);
        assert_eq!(finished.code, 0, "zdd {args:?} failed:\n{}{}", finished.stdout, finished.stderr);
        finished
    }
}

/// doctor, plan, up, status, history, rollback and restart, with a helper and under load; then a port that is held.
pub fn first_hour(name: &str, far: &Far) {
    let (stack, port) = served(name, "deploy: {replicas: 2}", "", "");
    let (two, one) = (version("2"), version("1"));
    let load = load_on(port);
    let doctor = far.zdd_ok(&stack, &["doctor"], &two);
    // The proxy has a port of the machine.
    let able = if is_rootless() { "1 of 2 services" } else { "2 of 2 services" };
    assert!(doctor.stdout.contains(able), "{}", doctor.stdout);
    let plan = far.zdd_ok(&stack, &["plan"], &two);
    assert!(plan.stdout.contains("new ones go to its successor"), "{}", plan.stdout);
    let up = far.zdd_ok(&stack, &["up"], &two);
    assert!(load.wait_version("2", TIMEOUT), "{}", up.stderr);
    let status = far.zdd_ok(&stack, &["status"], &two);
    assert!(status.stdout.contains("up to date"), "{}", status.stdout);
    let history = far.zdd_ok(&stack, &["history"], &two);
    assert_eq!(history.stdout.lines().count(), 3, "{}", history.stdout);
    let back = far.zdd_ok(&stack, &["rollback"], &one);
    assert!(load.wait_version("1", TIMEOUT), "{}", back.stderr);
    let restart = far.zdd_ok(&stack, &["restart", "app"], &one);
    is_lossless(load, &format!("{}{}{}", up.stderr, back.stderr, restart.stderr));
    held(&format!("{name}-held"), far);
    wait_until("its helpers to be gone", || stack.helpers().is_empty());
    assert_eq!(stack.locks(), "");
}

/// Such an engine holds no port of the machine.
fn is_rootless() -> bool {
    docker(&["info", "--format", "{{.SecurityOptions}}"]).contains("name=rootless")
}

/// As long as a test may take: each call over SSH takes its time.
pub fn load_on(port: u16) -> Running {
    let url = format!("http://127.0.0.1:{port}/");
    let post = Method::Post { body_bytes: 2000 };
    let load = Load { rate: Some(100.0), method: post, max_time: LONGEST, ..Load::new(url) }.start();
    assert!(load.wait_completed(100, TIMEOUT));
    load
}

/// One container has the port of the machine.
fn held(name: &str, far: &Far) {
    let port = free_port();
    let file = app(&format!("ports: [\"127.0.0.1:{port}:80\"]"));
    let stack = Stack::new(name, &format!("services:\n{file}"));
    far.zdd_ok(&stack, &["up"], &version("1"));
    let url = format!("http://127.0.0.1:{port}/");
    let load =
        Load { rate: Some(50.0), keep_alive: false, max_time: LONGEST, timeout: TIMEOUT, ..Load::new(url) }
            .start();
    assert!(load.wait_completed(20, TIMEOUT));
    if is_rootless() {
        let refused = far.zdd(&stack, &["up"], &version("2"));
        assert_eq!(refused.code, 2, "{}", refused.stderr);
        assert!(refused.stderr.contains("the engine is rootless"), "{}", refused.stderr);
        return is_lossless(load, &refused.stderr);
    }
    let up = far.zdd_ok(&stack, &["up"], &version("2"));
    assert!(load.wait_version("2", TIMEOUT), "{}", up.stderr);
    is_lossless(load, &up.stderr);
    wait_until("its helpers to be gone", || stack.helpers().is_empty());
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn the_first_hour_by_ssh() {
    let Some(server) = Ssh::start() else { return };
    first_hour("far-ssh", &Far { env: server.env(), ..Far::default() });
}

/// By the name of a context, as `docker --context far zdd` hands it on.
#[test]
#[ignore = "takes long; scripts/test long"]
fn the_first_hour_by_a_context_over_ssh() {
    let Some(server) = Ssh::start() else { return };
    let (mut env, config) = (server.env(), with_plugins());
    let host = env.pop().unwrap().1;
    env.push(("DOCKER_CONFIG".to_owned(), config.path().display().to_string()));
    let create = ["context", "create", "far", "--docker", &format!("host={host}")];
    let made =
        Command::new("docker").args(create).env_remove("DOCKER_HOST").envs(env.clone()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    first_hour("far-context", &Far { env, flags: vec!["--context".to_owned(), "far".to_owned()] });
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn the_first_hour_by_tcp() {
    let far = Far { env: vec![("DOCKER_HOST".to_owned(), tcp())], ..Far::default() };
    first_hour("far-tcp", &far);
}

/// Passes connections on to the engine that the tests use, as long as the test runs.
fn tcp() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("tcp://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            serve(client);
        }
    });
    host
}

fn serve(client: TcpStream) {
    let engine = UnixStream::connect(socket()).unwrap();
    pass(client.try_clone().unwrap(), engine.try_clone().unwrap());
    pass(engine, client);
}

/// An SSH server of this test's own on a port of its own, and a client for docker that can be cut off. It needs `sshd`;
/// `ZDD_SSHD` is its path where it is not installed.
pub struct Ssh {
    root: TempDir,
    server: Child,
    port: u16,
}

impl Ssh {
    pub fn start() -> Option<Ssh> {
        let program = env::var_os("ZDD_SSHD").map_or(PathBuf::from("/usr/sbin/sshd"), PathBuf::from);
        if !program.exists() {
            skipped("there is no sshd; see ZDD_SSHD");
            return None;
        }
        let root = tempfile::Builder::new().prefix("zddtest-ssh-").tempdir().unwrap();
        let path = |name: &str| root.path().join(name).display().to_string();
        for key in ["host", "user"] {
            let made =
                Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &path(key)]).status();
            assert!(made.unwrap().success());
        }
        let port = free_port();
        let server_says = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nMaxStartups 100\nSetEnv DOCKER_HOST={} PATH={}\n",
            path("host"),
            path("user.pub"),
            // The engine that the tests use may be another than that of the machine.
            env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned()),
            env::var("PATH").unwrap()
        );
        fs::write(path("sshd_config"), server_says).unwrap();
        let client_says = format!(
            "IdentityFile {}\nIdentitiesOnly yes\nStrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nLogLevel ERROR\n",
            path("user")
        );
        fs::write(path("ssh_config"), client_says).unwrap();
        fs::create_dir_all("/run/sshd").unwrap();
        let server = Command::new(&program)
            .args(["-D", "-e", "-f", &path("sshd_config")])
            .stdin(Stdio::null())
            .stderr(fs::File::create(path("log")).unwrap())
            .spawn()
            .unwrap();
        let ssh = Ssh { root, server, port };
        ssh.write_client();
        wait_until("sshd", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(ssh)
    }

    /// Notes who it is, and connects no more when it is cut off.
    fn write_client(&self) {
        let root = self.root.path();
        fs::create_dir(root.join("bin")).unwrap();
        fs::create_dir(root.join("alive")).unwrap();
        let (dir, config) = (root.display(), root.join("ssh_config"));
        let real = on_path("ssh");
        let text = format!(
            "#!/bin/sh\n[ ! -e {dir}/cut ] || exit 255\n: >{dir}/alive/$$\nexec {} -F {} \"$@\"\n",
            real.display(),
            config.display()
        );
        fs::write(root.join("bin/ssh"), text).unwrap();
        fs::set_permissions(root.join("bin/ssh"), fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub fn env(&self) -> Vec<(String, String)> {
        let path = format!("{}:{}", self.root.path().join("bin").display(), env::var("PATH").unwrap());
        let host = format!("ssh://root@127.0.0.1:{}", self.port);
        vec![("PATH".to_owned(), path), ("DOCKER_HOST".to_owned(), host)]
    }

    pub fn cut(&self) {
        fs::write(self.root.path().join("cut"), "").unwrap();
        for entry in fs::read_dir(self.root.path().join("alive")).unwrap() {
            let pid: u32 = entry.unwrap().file_name().to_string_lossy().parse().unwrap();
            let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            if program == Path::new(&on_path("ssh")) {
                signal("KILL", pid);
            }
        }
    }
}

impl Drop for Ssh {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn on_path(program: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap();
    let found = env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.exists());
    fs::canonicalize(found.unwrap_or_else(|| panic!("{program} on the PATH"))).unwrap()
}
