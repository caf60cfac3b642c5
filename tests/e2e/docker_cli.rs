//! Through the docker CLI, which stands between the user and the plugin: what comes through of signals, of a
//! terminal, and of its end.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::process::ExitStatusExt,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use zdd_load::Echo;

use crate::{
    alone::signal,
    draining::posts,
    rolling::served,
    signals::hear_signals,
    stack::{HELPER, Seen, Stack, docker_knows, ids, wait_until, with_plugins},
};

/// A `docker zdd up app` that goes on, with all that it writes in a file.
struct Run {
    child: Child,
    output: PathBuf,
    _config: TempDir,
}

impl Run {
    /// As in CI: no terminal anywhere.
    fn begin(stack: &Stack, env: &[(&str, &str)]) -> Run {
        let mut command = Command::new("docker");
        command.args(["zdd", "-p", &stack.project, "--progress", "plain", "up", "app"]).stdin(Stdio::null());
        Run::spawn(command, stack, env)
    }

    /// On a terminal of its own, by `script`, which every Debian has; what is written to it is typed.
    fn on_a_terminal(stack: &Stack, env: &[(&str, &str)]) -> Run {
        let line = format!("exec docker zdd -p {} up app", stack.project);
        let mut command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).env("SHELL", "/bin/sh").env("TERM", "xterm");
        command.stdin(Stdio::piped());
        Run::spawn(command, stack, env)
    }

    fn spawn(mut command: Command, stack: &Stack, env: &[(&str, &str)]) -> Run {
        hear_signals();
        let (config, output) = (with_plugins(), stack.folder().join("output"));
        let file = File::create(&output).unwrap();
        command.current_dir(stack.folder()).env(HELPER, "off").envs(env.iter().copied());
        command.env("DOCKER_CONFIG", config.path());
        command.stdout(file.try_clone().unwrap()).stderr(file);
        Run { child: command.spawn().unwrap(), output, _config: config }
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.output).unwrap()).into_owned()
    }

    fn wait_for(&self, words: &str) {
        wait_until(words, || self.said().contains(words));
    }

    fn press_ctrl_c(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    }

    fn end(&mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        (status, self.said())
    }
}

/// Else a rollout goes on to its end.
fn hands_signals_on() -> bool {
    docker_knows("Client", 25, "way to tell a plugin of a signal")
}

const TWO: &str = "deploy: {replicas: 2}";
/// A version 2 whose gate lasts longer than the test.
const BOOTS: &[(&str, &str)] =
    &[("APP_VERSION", "2"), ("APP_HEALTH", "after:60000"), ("START_PERIOD", "60s")];

fn running(stack: &Stack) -> usize {
    stack.containers("app").iter().filter(|c| c.state == "running").count()
}

/// Two replicas of version 1 under load, and what is so when `run` has begun version 2 and ended it.
fn under_load(stack: &Stack, port: u16, run: impl FnOnce()) -> (Vec<Seen>, Vec<Seen>) {
    let before = stack.all_containers();
    let load = posts(port);
    run();
    let report = load.stop();
    assert!(report.failed().is_empty(), "{report}");
    assert_eq!(stack.locks(), "");
    (before, stack.all_containers())
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn sigterm_to_docker_in_the_gate_takes_the_new_ones_back() {
    if !hands_signals_on() {
        return;
    }
    let (stack, port) = served("cligate", TWO, &[]);
    let (before, after) = under_load(&stack, port, || {
        let mut run = Run::begin(&stack, BOOTS);
        run.wait_for("waiting until healthy");
        signal("TERM", run.child.id());
        let (status, said) = run.end();
        assert_eq!(status.code(), Some(130), "{said}");
        assert!(said.contains("serve now"), "{said}");
    });
    assert_eq!(after, before);
}

/// A client that holds its connection makes the drain last.
#[test]
#[ignore = "takes long; scripts/test long"]
fn sigterm_to_docker_during_the_drain_finishes_the_batch() {
    if !hands_signals_on() {
        return;
    }
    let extra = "deploy: {replicas: 2}\nx-zdd: {parallelism: 1, drain_timeout: 3s}";
    let (stack, port) = served("clidrain", extra, &[]);
    let url = format!("http://127.0.0.1:{port}/ws");
    let held: Vec<_> = (0..4).map(|_| Echo::open(&url, Duration::from_secs(10)).unwrap()).collect();
    let (before, after) = under_load(&stack, port, || {
        let mut run = Run::begin(&stack, &[("APP_VERSION", "2")]);
        run.wait_for("draining (");
        signal("TERM", run.child.id());
        let (status, said) = run.end();
        assert_eq!(status.code(), Some(130), "{said}");
        assert!(!said.contains("batch 2 of 2"), "{said}");
    });
    assert_eq!(ids(&after).intersection(&ids(&before)).count(), 2, "{before:?} {after:?}");
    assert_eq!(running(&stack), 2, "{after:?}");
    held.into_iter().for_each(|echo| drop(echo.finish()));
}

/// Old ones that ignore the signal make the stop last.
#[test]
fn sigterm_to_docker_during_the_stop_finishes_the_batch() {
    if !hands_signals_on() {
        return;
    }
    let slow = ("APP_ON_TERM", "ignore");
    let (stack, port) = served("clistop", "deploy: {replicas: 2}\nstop_grace_period: 3s", &[slow]);
    let (before, after) = under_load(&stack, port, || {
        let mut run = Run::begin(&stack, &[("APP_VERSION", "2"), slow]);
        run.wait_for("stopping (grace");
        signal("TERM", run.child.id());
        let (status, said) = run.end();
        assert_eq!(status.code(), Some(130), "{said}");
    });
    assert_eq!(ids(&after).intersection(&ids(&before)).count(), 1, "only the proxy stays: {after:?}");
    assert_eq!((stack.containers("app").len(), running(&stack)), (2, 2), "{after:?}");
}

/// It kills docker alone; the plugin, an orphan then, notices and goes back by itself.
#[test]
#[ignore = "takes long; scripts/test long"]
fn sighup_to_docker_takes_the_new_ones_back() {
    let (stack, port) = served("clihup", TWO, &[]);
    let (before, after) = under_load(&stack, port, || {
        let mut run = Run::begin(&stack, BOOTS);
        run.wait_for("waiting until healthy");
        signal("HUP", run.child.id());
        let (status, said) = run.end();
        assert_eq!(status.signal(), Some(1), "{status:?} {said}");
        run.wait_for("serve now");
        wait_until("the end of the orphan", || stack.locks().is_empty());
    });
    assert_eq!(after, before);
}

#[test]
fn ctrl_c_in_the_gate_takes_the_new_ones_back() {
    let (stack, port) = served("clictrlc", TWO, &[]);
    let (before, after) = under_load(&stack, port, || {
        let mut run = Run::on_a_terminal(&stack, BOOTS);
        wait_until("new containers", || running(&stack) == 4);
        run.press_ctrl_c();
        let (status, said) = run.end();
        assert_eq!(status.code(), Some(130), "{said}");
        assert!(said.contains("serve now"), "{said}");
    });
    assert_eq!(after, before);
}

/// The terminal signals everything in its foreground. Compose is not there: what it has begun it ends.
#[test]
fn ctrl_c_does_not_reach_compose() {
    let hooks = "post_start: [{command: [/zdd-app, sleep, \"${HOOK_MS:-0}\"]}, {command: [/zdd-app, note, /log/notes, started]}]";
    let extra = format!("deploy: {{replicas: 2}}\nvolumes: [\"./log:/log\"]\n{hooks}");
    let (stack, port) = served("clicompose", &extra, &[]);
    let notes = || fs::read_to_string(stack.folder().join("log/notes")).unwrap_or_default().lines().count();
    assert_eq!(notes(), 2);
    let (before, after) = under_load(&stack, port, || {
        let mut run = Run::on_a_terminal(&stack, &[BOOTS, &[("HOOK_MS", "2000")]].concat());
        wait_until("the hook of a new container", || running(&stack) > 2);
        run.press_ctrl_c();
        let (status, said) = run.end();
        assert_eq!(status.code(), Some(130), "{said}");
        assert_eq!(notes(), 4, "a hook was cut off: {said}");
    });
    assert_eq!(after, before);
}

/// As when the connection to the machine breaks: everybody is signalled, and nobody reads any more.
#[test]
#[ignore = "takes long; scripts/test long"]
fn a_terminal_that_goes_away_takes_the_new_ones_back() {
    let (stack, port) = served("cligone", TWO, &[]);
    let (before, after) = under_load(&stack, port, || {
        let mut run = Run::on_a_terminal(&stack, BOOTS);
        wait_until("new containers", || running(&stack) == 4);
        run.child.kill().unwrap();
        run.child.wait().unwrap();
        wait_until("the end of the orphan", || stack.locks().is_empty());
    });
    assert_eq!(after, before);
}
