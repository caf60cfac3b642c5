//! Docker Swarm, with a docker that answers what a test has written down: the first call of a kind with its first answer,
//! and so on; the last one stays. `@HASH@` in an answer is the label of what was sent. A lock that was made is there.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

const DOCKER: &str = r#"#!/bin/sh
here=$(dirname "$0")
echo "$*" >>"$here/calls"
case "$*" in
    *"config create"*zdd-lock*) [ -e "$here/config-create.1" ] || echo "$*" >"$here/created" ;;
    *"config inspect"*zdd-lock*)
        if [ -e "$here/created" ]; then
            labels=$(grep -o 'io.zdd.lock[^ ]*' "$here/created" | sed 's/\([^=]*\)=\(.*\)/"\1":"\2"/' | paste -sd,)
            echo "[{\"ID\":\"l1\",\"Spec\":{\"Name\":\"zdd-lock-shop\",\"Labels\":{$labels}}}]"
            exit
        fi
        ;;
esac
while :; do case $1 in -l | --context) shift 2 ;; *) break ;; esac; done
key=$1-$2
case "$*" in
    compose*--services*) key=compose-services ;;
    compose*version*) key=compose-version ;;
    compose*) key=compose-config ;;
    events*) exec sleep 60 ;;
    info*) key=info ;;
    ps*) key=ps ;;
    inspect*container*) key=inspect ;;
    *_up-to-date*) key=service-ps-new ;;
    "stack deploy"*)
        cat >"$here/sent"
        for label in hash settings; do
            sed "s/.*com.docker.zdd.$label\":\"\([0-9a-f]*\).*/\1/" "$here/sent" >"$here/$label"
        done
        ;;
esac
n=$(($(cat "$here/$key.n" 2>/dev/null || echo 0) + 1))
[ -e "$here/$key.$n" ] && echo "$n" >"$here/$key.n" || n=$((n - 1))
[ -e "$here/$key.$n" ] || exit 0
if [ "$(head -c 1 "$here/$key.$n")" = '!' ]; then
    tail -c +2 "$here/$key.$n" >&2
    exit 1
fi
sed "s/@HASH@/$(cat "$here/hash" 2>/dev/null)/; s/@SETTINGS@/$(cat "$here/settings" 2>/dev/null)/" "$here/$key.$n"
"#;

const CONFIG: &str = r#"
name: shop
services:
  app:
    image: shop:1
    pull_policy: never
    restart: always
    healthcheck: {test: [CMD, check], interval: 1s}
    deploy: {replicas: 1}
    networks: {default: null}
networks: {default: {name: shop_default}}
x-zdd: {engine: swarm}
"#;

const MANAGER: &str =
    r#"{"LocalNodeState":"active","ControlAvailable":true,"Error":"","Cluster":{"ID":"c"}}"#;
const NODES: &str = r#"[{"ID":"n1","Spec":{"Role":"manager","Availability":"active"},"Description":{"Hostname":"n1"},"Status":{"State":"ready"}}]"#;
const OLD: &str = r#"[{"ID":"s1","Spec":{"Name":"shop_app","Labels":{"com.docker.zdd.hash":"old"},"TaskTemplate":{"ContainerSpec":{"Image":"shop:0"}},"Mode":{"Replicated":{"Replicas":1}}}}]"#;

fn service(state: &str, hash: &str) -> String {
    let update = match state {
        "" => String::new(),
        state => format!(
            r#","UpdateStatus":{{"State":"{state}","StartedAt":"t2","Message":"update rolled back due to failure or early termination of task b"}}"#
        ),
    };
    format!(
        r#"[{{"ID":"s1","Spec":{{"Name":"shop_app","Labels":{{"com.docker.zdd.hash":"{hash}","com.docker.zdd.settings":"@SETTINGS@"}},"TaskTemplate":{{"ContainerSpec":{{"Image":"shop:1"}}}},"Mode":{{"Replicated":{{"Replicas":1}}}}}}{update}}}]"#
    )
}

/// `a` is of the version before.
fn task(id: &str, desired: &str, state: &str, error: &str) -> String {
    let image = if id == "a" { "shop:0" } else { "shop:1" };
    format!(
        r#"{{"ID":"{id}","Name":"shop_app.1","Node":"n1","Image":"{image}","DesiredState":"{desired}","CurrentState":"{state} 1 second ago","Error":"{error}"}}"#
    )
}

struct Host(TempDir);

impl Host {
    /// A manager of one node, and nothing on it.
    fn new() -> Host {
        let host = Host(tempfile::tempdir().expect("a folder"));
        let docker = host.path("docker");
        fs::write(&docker, DOCKER).expect("a file");
        fs::set_permissions(&docker, fs::Permissions::from_mode(0o755)).expect("a program");
        host.file(CONFIG);
        for (key, answer) in
            [("info", MANAGER), ("compose-version", "5.6.1"), ("node-ls", "n1"), ("node-inspect", NODES)]
        {
            host.answers(key, &[answer]);
        }
        // Every lock is one's own: what was created last is what is there.
        host.answers("config-inspect", &["!Error response from daemon: config x not found"]);
        host
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    /// The file, and what Compose makes of it.
    fn file(&self, text: &str) {
        fs::write(self.path("compose.yaml"), text).expect("a file");
        self.answers("compose-config", &[text]);
    }

    fn answers(&self, key: &str, answers: &[&str]) {
        for (at, answer) in answers.iter().enumerate() {
            fs::write(self.path(&format!("{key}.{}", at + 1)), answer).expect("a file");
        }
        let _ = fs::remove_file(self.path(&format!("{key}.n")));
    }

    fn run(&self, args: &[&str], env: &[(&str, &str)]) -> Run {
        let _ = fs::remove_file(self.path("calls"));
        let path = format!("{}:{}", self.0.path().display(), std::env::var("PATH").unwrap_or_default());
        let output = Command::new(env!("CARGO_BIN_EXE_docker-zdd"))
            .arg("zdd")
            .args(args)
            .current_dir(self.0.path())
            .env("PATH", path)
            .env_remove("DOCKER_CONTEXT")
            .env_remove("DOCKER_ZDD_ENGINE")
            .envs(env.iter().copied())
            .output()
            .expect("docker-zdd runs");
        Run { output, calls: read(&self.path("calls")) }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

struct Run {
    output: Output,
    calls: String,
}

impl Run {
    #[track_caller]
    fn ends(&self, code: i32, said: &[&str]) {
        let text = self.text();
        assert_eq!(self.output.status.code(), Some(code), "{text}\n{}", self.calls);
        for word in said {
            assert!(text.contains(word), "{word:?} is not in\n{text}");
        }
    }

    fn text(&self) -> String {
        let [out, err] = [&self.output.stdout, &self.output.stderr];
        String::from_utf8_lossy(out).into_owned() + &String::from_utf8_lossy(err)
    }

    fn sent(&self) -> usize {
        self.calls.lines().filter(|line| line.contains("stack deploy")).count()
    }

    #[track_caller]
    fn touched_nothing(&self) {
        let writes = ["stack deploy", "config create", "secret create", "service rm", "service rollback"];
        let made = self.calls.lines().find(|line| writes.iter().any(|write| line.contains(write)));
        assert_eq!(made, None, "{}", self.calls);
    }
}

#[test]
fn an_engine_that_is_no_manager_is_refused() {
    let host = Host::new();
    host.answers("info", &[r#"{"LocalNodeState":"inactive","ControlAvailable":false,"Error":""}"#]);
    for command in ["up", "plan", "status", "history", "rollback"] {
        let run = host.run(&[command], &[]);
        run.ends(1, &["is no manager of a swarm (its state is inactive)", "--engine compose"]);
        run.touched_nothing();
    }
}

#[test]
fn the_flag_wins_over_the_environment_and_that_over_the_file() {
    let host = Host::new();
    host.run(&["plan"], &[("DOCKER_ZDD_ENGINE", "kubernetes")]).ends(1, &["\"kubernetes\" is not known"]);
    let swarm = |run: &Run| run.calls.contains("service ls");
    assert!(swarm(&host.run(&["plan"], &[])));
    assert!(!swarm(&host.run(&["plan"], &[("DOCKER_ZDD_ENGINE", "compose")])));
    let both = host.run(&["--engine", "swarm", "plan"], &[("DOCKER_ZDD_ENGINE", "compose")]);
    assert!(swarm(&both), "{}", both.text());
    host.file(&CONFIG.replace("engine: swarm", "monitor: 1s"));
    assert!(!swarm(&host.run(&["plan"], &[])));
    assert!(swarm(&host.run(&["plan"], &[("DOCKER_ZDD_ENGINE", "swarm")])));
}

#[test]
fn all_that_swarm_has_nothing_for_is_refused_at_once() {
    let host = Host::new();
    host.file(&CONFIG.replace("    restart: always\n", "    privileged: true\n    pid: host\n"));
    let run = host.run(&["up"], &[]);
    run.ends(2, &["compose.yaml:7", "privileged", "pid", "nothing was touched"]);
    assert_eq!(run.sent(), 0);
}

#[test]
fn what_has_no_meaning_is_refused_in_a_sentence() {
    let host = Host::new();
    for flag in ["--drain-timeout=1s", "--settle=1s", "--timeout=3"] {
        let run = host.run(&["up", flag], &[]);
        run.ends(1, &["has no meaning on Swarm", "nothing was touched"]);
        run.touched_nothing();
    }
    host.run(&["init"], &[]).ends(1, &["init has no meaning on Swarm"]);
}

#[test]
fn containers_of_the_compose_project_are_in_the_way() {
    let host = Host::new();
    host.answers("ps", &[&"a".repeat(64)]);
    let container = r#"[{"Id":"a","Name":"/shop-app-1","Image":"i","State":{"Status":"running","StartedAt":"t"},"Config":{"Labels":{"com.docker.compose.service":"app","com.docker.compose.config-hash":"h","com.docker.compose.container-number":"1"}}}]"#;
    host.answers("inspect", &[container]);
    host.run(&["plan"], &[]).ends(2, &["runs on this engine by Compose (shop-app-1", "-p NAME"]);
}

#[test]
fn somebody_else_holds_the_lock() {
    let host = Host::new();
    host.answers(
        "config-create",
        &["!rpc error: code = AlreadyExists desc = config zdd-lock-shop already exists"],
    );
    let lock = r#"[{"ID":"l1","Spec":{"Name":"zdd-lock-shop","Labels":{"io.zdd.lock.mark":"1-2","io.zdd.lock.user":"anna","io.zdd.lock.host":"ci"}}}]"#;
    host.answers("config-inspect", &[lock]);
    let run = host.run(&["up"], &[]);
    run.ends(5, &["is being updated by anna on ci"]);
    assert_eq!(run.sent(), 0);
}

#[test]
fn the_plan_says_what_is_sent_and_touches_nothing() {
    let host = Host::new();
    let run = host.run(&["plan"], &[]);
    run.ends(0, &["app  create     no such service yet (shop:1)", "create the service with 1 task"]);
    run.touched_nothing();
    host.run(&["plan", "--format", "json"], &[]).ends(0, &["\"change\": \"create\""]);
    host.answers("stack-config", &["!services.app.x Additional property x is not allowed"]);
    host.run(&["plan"], &[]).ends(1, &["\"docker stack config\" refuses it", "Additional property x"]);
}

/// On which an update ends well.
fn updated() -> (Host, Run) {
    let host = Host::new();
    host.answers("service-ls", &["s1"]);
    let (going, done) = (service("updating", "@HASH@"), service("completed", "@HASH@"));
    host.answers("service-inspect", &[OLD, OLD, &going, &done]);
    let (old, new) = (task("a", "Running", "Running", ""), task("b", "Running", "Running", ""));
    let starting = task("b", "Running", "Starting", "");
    let leaving = task("a", "Shutdown", "Running", "");
    host.answers("service-ps", &[&old, &old, &format!("{starting}\n{old}"), &format!("{new}\n{leaving}")]);
    host.answers("service-ps-new", &[&old, &new]);
    let run = host.run(&["up"], &[]);
    (host, run)
}

#[test]
fn an_update_is_sent_once_and_watched_to_its_end() {
    let (host, run) = updated();
    run.ends(0, &["app.1 on n1 started", "app.1 on n1 healthy", "draining", "app (0 → 1) is up to date"]);
    assert_eq!(run.sent(), 1, "{}", run.calls);
    let sent = read(&host.path("sent"));
    assert!(sent.contains("start-first") && sent.contains(r#""image":"shop:1""#), "{sent}");
    assert!(run.calls.contains("zdd-shop-r1"), "{}", run.calls);
}

#[test]
fn what_swarm_has_rolled_back_has_failed() {
    let host = Host::new();
    host.answers("service-ls", &["s1"]);
    let (going, back) = (service("updating", "@HASH@"), service("rollback_completed", "old"));
    host.answers("service-inspect", &[OLD, OLD, &going, &back]);
    let old = task("a", "Running", "Running", "");
    let failed = task("b", "Shutdown", "Failed", "\\\"task: non-zero exit (3)\\\"");
    host.answers("service-ps", &[&old, &old, &format!("{failed}\n{old}")]);
    host.answers("service-ps-new", &[&old]);
    host.answers("service-logs", &["cannot open the database"]);
    let run = host.run(&["up"], &[]);
    run.ends(
        3,
        &["app.1 on n1 exited with code 3", "cannot open the database", "app.1 on n1 (0) serves now"],
    );
    assert!(!run.calls.contains("service rollback"), "Swarm has done it: {}", run.calls);
}

#[test]
fn somebody_elses_update_is_left_alone() {
    let host = Host::new();
    host.answers("service-ls", &["s1"]);
    let theirs = service("updating", "theirs");
    host.answers("service-inspect", &[OLD, OLD, &theirs]);
    host.answers("service-ps", &[&task("a", "Running", "Running", "")]);
    let run = host.run(&["up"], &[]);
    run.ends(4, &["somebody else has changed the service meanwhile"]);
    assert!(!run.calls.contains("service rollback"), "{}", run.calls);
}

#[test]
fn a_network_that_has_changed_is_refused() {
    let (host, _) = updated();
    let sent = read(&host.path("sent"));
    let (_, after) = sent.split_once("com.docker.zdd.network\":\"").expect("the label of the network");
    let label: String = after.chars().take_while(char::is_ascii_hexdigit).collect();
    host.answers("network-ls", &[&format!("shop_default {label}")]);
    host.run(&["plan"], &[]).ends(0, &["app"]);
    host.file(&CONFIG.replace("shop_default}", "shop_default, internal: true}"));
    let said = [
        "compose.yaml:1",
        "networks.default: the file has changed",
        "on a second network first",
        "nothing was touched",
    ];
    host.run(&["plan"], &[]).ends(2, &said);
    // A label is nothing that a network is made of.
    host.file(&CONFIG.replace("shop_default}", "shop_default, labels: {rev: a}}"));
    host.run(&["plan"], &[]).ends(0, &["app"]);
    // Whoever deployed it without the label has not said what it was.
    host.answers("network-ls", &[""]);
    host.run(&["plan"], &[]).ends(0, &["app"]);
}

#[test]
fn every_context_must_be_of_the_same_swarm() {
    let host = Host::new();
    host.file(&CONFIG.replace("engine: swarm", "engine: swarm, swarm: {contexts: [a, b]}"));
    let other = MANAGER.replace("\"c\"", "\"d\"");
    let run = |own: &str, others: &str| {
        host.answers("info", &[own, others]);
        host.run(&["plan"], &[])
    };
    run(MANAGER, &other).ends(1, &["x-zdd.swarm.contexts: ", " is of another swarm", "docker context ls"]);
    run(MANAGER, MANAGER).ends(0, &["app"]);
    // One that has just come back says nothing, be it asked first or not.
    let silent = MANAGER.replace("\"c\"", "\"\"");
    run(MANAGER, &silent).ends(0, &["app"]);
    run(&silent, MANAGER).ends(0, &["app"]);
}
