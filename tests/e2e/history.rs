//! Revisions on a real engine, and rollbacks to them.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    rolling::HAPROXY_CFG,
    stack::{
        APP, Finished, Stack, TIMEOUT, app, behind_haproxy, docker, finish, free_port, ids, plain_app,
        traffic,
    },
};

/// The revisions, the newest first.
fn history(stack: &Stack) -> Vec<Value> {
    let finished = stack.zdd_ok(&["history", "--format", "json"], &[]);
    serde_json::from_str(&finished.stdout).unwrap()
}

fn image_of(stack: &Stack) -> String {
    let all = stack.containers("app");
    docker(&["inspect", "--format", "{{.Image}}", &all.first().unwrap().id])
}

/// An image of the test app under a tag, removed with the value.
struct Tag(String);

impl Tag {
    fn of(stack: &Stack) -> Tag {
        Tag(format!("{}:latest", stack.project))
    }

    /// Moves the tag to a new image whose app calls itself `version`.
    fn build(&self, version: &str) -> String {
        let container = docker(&["create", APP]);
        let change = format!("ENV APP_VERSION={version}");
        let id = docker(&["commit", "--change", &change, &container, &self.0]);
        docker(&["rm", &container]);
        id
    }
}

impl Drop for Tag {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["image", "rm", &self.0]).output();
    }
}

/// The app without a version of its own in the file: its image has one.
fn versioned_by_image(tag: &Tag) -> String {
    let lines = app("deploy: {replicas: 2}").replace(APP, &tag.0);
    lines.lines().filter(|line| !line.contains("APP_VERSION")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_moved_tag_goes_back_to_the_old_image_and_no_request_is_lost() {
    let port = free_port();
    let stack = Stack::new("back", "services: {}");
    let tag = Tag::of(&stack);
    stack.write("compose.yaml", &behind_haproxy(port, versioned_by_image(&tag).trim_end()));
    stack.write("haproxy.cfg", &HAPROXY_CFG.replace("app-pool", "app"));
    let first = tag.build("1");
    stack.zdd_ok(&["up"], &[]);
    let lb = ids(&stack.containers("lb"));
    let load = traffic(port);
    let second = tag.build("2");
    stack.zdd_ok(&["up"], &[]);
    assert!(load.wait_version("2", TIMEOUT));
    assert_eq!(image_of(&stack), second);

    let finished = stack.zdd_ok(&["rollback"], &[]);

    assert!(load.wait_version("1", TIMEOUT));
    let report = load.stop();
    assert!(report.failed().is_empty(), "{}\n{}", report.table(), finished.stderr);
    assert_eq!(image_of(&stack), first, "{}", finished.stderr);
    assert_eq!(docker(&["image", "inspect", "--format", "{{.Id}}", &tag.0]), second, "the user's own tag");
    assert_eq!(ids(&stack.containers("lb")), lb, "what agrees is left alone");
    assert!(!finished.stderr.contains("does not agree"), "{}", finished.stderr);
    assert!(finished.stderr.contains("\"docker zdd up\" deploys it again"), "{}", finished.stderr);
    let revisions = history(&stack);
    assert_eq!(revisions[0]["cause"], serde_json::json!({"rollback": 1}));
    let again = stack.zdd(&["rollback"], &[]);
    assert!(
        again.stderr.contains("revision 3 is deployed, and there is no good one before"),
        "{}",
        again.stderr
    );
    let again = stack.zdd_ok(&["rollback", "--to", "1"], &[]);
    assert!(again.stderr.contains("nothing was touched"), "{}", again.stderr);
    stack.zdd_ok(&["up"], &[]);
    assert_eq!(image_of(&stack), second);
}

/// Deployed by Compose: one with another image since, one as it is, one with more than its image changed.
#[test]
#[ignore = "takes long; scripts/test long"]
fn what_ran_before_the_first_rollout_is_gone_back_to() {
    let plain = |name: &str, image: &str, value: &str| {
        format!(
            "  {name}:\n    image: {image}\n    environment: {{V: \"{value}\"}}\n    x-zdd: {{monitor: 300ms}}\n"
        )
    };
    let services =
        [plain("app", "${IMAGE}", "1"), plain("same", APP, "1"), plain("more", APP, "${V}")].concat();
    let stack = Stack::new("zero", &format!("services:\n{services}"));
    let tags = ["one", "two"].map(|tag| Tag(format!("{}:{tag}", stack.project)));
    let images = tags.each_ref().map(|tag| tag.build(&tag.0));
    let (first, second) =
        ([("IMAGE", tags[0].0.as_str()), ("V", "1")], [("IMAGE", tags[1].0.as_str()), ("V", "2")]);
    stack.compose(&["up", "-d"], &first);
    let same = ids(&stack.containers("same"));

    let finished = stack.zdd_ok(&["up"], &second);

    assert_eq!(image_of(&stack), images[1]);
    assert!(
        finished.stderr.contains("does not have more: more than the image of it has changed"),
        "{}",
        finished.stderr
    );
    let revisions = history(&stack);
    assert_eq!((&revisions[1]["number"], &revisions[1]["cause"]), (&0.into(), &"found".into()));
    assert_eq!(revisions[1]["changed"], serde_json::json!(["app", "same"]));
    let more = ids(&stack.containers("more"));
    let finished = stack.zdd_ok(&["rollback"], &second);
    assert_eq!(image_of(&stack), images[0], "{}", finished.stderr);
    assert_eq!((ids(&stack.containers("same")), ids(&stack.containers("more"))), (same, more), "left alone");
    stack.zdd_ok(&["up"], &second);
    assert_eq!(history(&stack).len(), 4, "what ran before is recorded once");
}

/// Whatever Compose writes into a resolved file must come out of the history with the same configuration hash.
#[test]
#[ignore = "takes long; scripts/test long"]
fn an_odd_definition_is_left_alone_by_a_rollback() {
    let odd = r##"
  odd:
    image: zdd-app:test
    entrypoint: ["/zdd-app", "sleep", "600000"]
    env_file: [odd.env]
    label_file: [odd.labels]
    environment: {V0: "$$HOME", V1: "2020-01-01", V2: "0777", V3: "1_000", V4: "yes", V5: "1e3", V6: "a: b # c", V7: "x\ny", V8: "~", V9: "é🙂", V10: "0x1f", V11: "0o17", V12: "+1", V13: "1.", V14: "-0b1", V15: "1234567890123456789012345", V16: ".inf", V17: "=", V18: "<<", V19: "True", V20: "on", V21: " lead", V22: "#x", V23: "@x", V24: "%x", V25: "\u0007", A: "p$$w", B: "12:30:45", C: "0x10", D: "", F: "null", H: 'x"y\z'}
    labels: {a.b: "12:30:45", n: "1.10", y: "on"}
    healthcheck: {disable: true}
    stop_grace_period: 1s
    ulimits: {nofile: {soft: 1000, hard: 2000}}
    extra_hosts: ["a:1.2.3.4"]
    tmpfs: /run
    shm_size: 64m
    logging: {driver: json-file, options: {max-size: "10m"}}
    configs: [{source: c1, target: /c1}]
    volumes: [{type: tmpfs, target: /t, tmpfs: {size: 1m}}]
    x-zdd: {monitor: 300ms}
    pre_stop: [{command: ["/zdd-app", "exit", "0"], environment: {K: "$$v"}}]
configs:
  c1: {content: "hello $$you"}
"##;
    let stack = Stack::new("odd", "services: {}");
    stack.write("odd.env", "FROM_FILE=a$b\nQ=\"x y\"\n");
    stack.write("odd.labels", "from.file=1\n");
    let write = |version: &str| {
        stack.write(
            "compose.yaml",
            &format!("services:\n{}\n{odd}", app("").replace("${APP_VERSION:-}", version)),
        );
    };
    write("1");
    stack.zdd_ok(&["up"], &[]);
    let before = (ids(&stack.containers("odd")), ids(&stack.containers("app")));
    write("2");
    stack.zdd_ok(&["up"], &[]);
    let finished = stack.zdd_ok(&["rollback"], &[]);
    assert_eq!(ids(&stack.containers("odd")), before.0, "{}", finished.stderr);
    assert!(ids(&stack.containers("app")).is_disjoint(&before.1));
    assert!(!finished.stderr.contains("warning"), "{}", finished.stderr);
    let diff = stack.zdd_ok(&["diff"], &[]);
    assert_eq!(diff.stdout, "app\n  environment.APP_VERSION: changed\n");
}

/// A home that has never seen the project: docker, its plugins, no file.
fn stranger() -> TempDir {
    let home = TempDir::new().unwrap();
    let plugins = home.path().join(".docker/cli-plugins");
    fs::create_dir_all(&plugins).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_docker-zdd"), plugins.join("docker-zdd")).unwrap();
    let own = [
        std::env::var("DOCKER_CONFIG").ok(),
        std::env::var("HOME").ok().map(|home| format!("{home}/.docker")),
    ];
    let compose = own.into_iter().flatten().map(|home| Path::new(&home).join("cli-plugins/docker-compose"));
    if let Some(compose) = compose.into_iter().find(|file| file.is_file()) {
        symlink(compose, plugins.join("docker-compose")).unwrap();
    }
    home
}

fn in_home(home: &Path, args: &[&str]) -> Finished {
    let mut command = Command::new("docker");
    command.args(args).current_dir(home).env("HOME", home).env_remove("DOCKER_CONFIG");
    finish(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn another_client_without_the_file_lists_and_rolls_back() {
    let stack = Stack::new("client", &format!("services:\n{}", app("")));
    stack.zdd_ok(&["up"], &[("APP_VERSION", "1")]);
    stack.zdd_ok(&["up"], &[("APP_VERSION", "2")]);
    let second = ids(&stack.containers("app"));
    let home = stranger();
    let host = docker(&["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]);
    let endpoint = format!("host={host}");
    assert_eq!(in_home(home.path(), &["context", "create", "other", "--docker", &endpoint]).code, 0);

    let listed = in_home(home.path(), &["--context", "other", "zdd", "-p", &stack.project, "history"]);
    assert_eq!((listed.code, listed.stdout.lines().count()), (0, 3), "{}{}", listed.stdout, listed.stderr);
    let finished = in_home(home.path(), &["--context", "other", "zdd", "-p", &stack.project, "rollback"]);

    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let now = stack.containers("app");
    assert!(now.len() == 1 && ids(&now).is_disjoint(&second), "{now:?}");
    let env = docker(&["inspect", "--format", "{{.Config.Env}}", &now[0].id]);
    assert!(env.contains("APP_VERSION=1"), "{env}");
    // At home the same history goes on.
    assert_eq!(history(&stack)[0]["cause"], serde_json::json!({"rollback": 1}));
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn after_twelve_rollouts_ten_are_left_on_the_engine() {
    let file = format!("services:\n{}", plain_app("x-zdd: {monitor: 100ms}\nstop_grace_period: 1s"));
    let stack = Stack::new("twelve", &file);
    for version in 1..=12 {
        stack.zdd_ok(&["up"], &[("APP_VERSION", &version.to_string())]);
    }
    let numbers: Vec<_> = history(&stack).iter().map(|r| r["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (3..=12).rev().collect::<Vec<_>>());
    let (volumes, images) = stack.revisions();
    assert_eq!(volumes.lines().count(), 10, "{volumes}");
    // A definition each, and the one image that all of them run.
    assert_eq!(images.lines().count(), 11, "{images}");
    let finished = stack.zdd_ok(&["rollback", "--to", "3"], &[]);
    assert!(finished.stderr.contains("back at revision 3"), "{}", finished.stderr);
}

#[test]
fn a_failed_rollout_is_in_the_history_with_its_reason() {
    let stack = Stack::new("reason", &format!("services:\n{}", app("")));
    stack.zdd_ok(&["up"], &[("APP_VERSION", "1")]);
    let bad = [("APP_VERSION", "2"), ("APP_EXIT_AFTER_MS", "1"), ("APP_EXIT_CODE", "7")];
    assert_eq!(stack.zdd(&["up"], &bad).code, 3);
    let revisions = history(&stack);
    assert_eq!(revisions[0]["outcome"], "rolled_back");
    let reason = revisions[0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("app: ") && reason.contains("exited with code 7"), "{reason}");
    // What serves is the first; a rollback finds nothing before it.
    let finished = stack.zdd(&["rollback"], &[]);
    assert!(finished.stderr.contains("what ran before it is not recorded"), "{}", finished.stderr);
}

/// A `docker` first on the PATH that writes every argument down.
fn spy(log: &Path) -> TempDir {
    let bin = TempDir::new().unwrap();
    let real: PathBuf = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|folder| folder.join("docker"))
        .find(|file| file.is_file())
        .unwrap();
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" >> '{}'\nexec '{}' \"$@\"\n",
        log.display(),
        real.display()
    );
    let path = bin.path().join("docker");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    bin
}

#[test]
fn no_secret_is_ever_an_argument() {
    let file = format!("services:\n{}", app(""))
        .replace("      APP_WORK_MS:", "      DATABASE: \"postgres://u:${SECRET}@db\"\n      APP_WORK_MS:");
    let stack = Stack::new("argv", &file);
    let log = stack.folder().join("argv");
    let bin = spy(&log);
    let path = format!("{}:{}", bin.path().display(), std::env::var("PATH").unwrap());
    let run = |args: &[&str], version: &str| {
        let env = [("PATH", path.as_str()), ("SECRET", "hunter2"), ("APP_VERSION", version)];
        stack.zdd_ok(args, &env)
    };
    run(&["up"], "1");
    run(&["up"], "2");
    let shown = [run(&["diff", "1"], "3"), run(&["history"], "2"), run(&["rollback"], "2")];
    let argv = fs::read_to_string(&log).unwrap();
    assert!(argv.contains("import") && argv.contains("io.zdd.revision"), "the spy saw nothing: {argv}");
    assert!(!argv.contains("hunter2"), "{argv}");
    for finished in shown {
        assert!(!finished.stdout.contains("hunter2") && !finished.stderr.contains("hunter2"));
    }
    let env = docker(&["inspect", "--format", "{{.Config.Env}}", &stack.containers("app")[0].id]);
    assert!(env.contains("hunter2"), "the rollback brought the value back: {env}");
}

#[test]
fn the_commit_of_the_checkout_is_recorded() {
    let stack = Stack::new("commit", &format!("services:\n{}", app("")));
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command
            .args(["-c", "user.name=a", "-c", "user.email=a@example.com"])
            .args(args)
            .current_dir(stack.folder());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "first"]);
    stack.zdd_ok(&["up"], &[("APP_VERSION", "1")]);
    let commit = git(&["rev-parse", "HEAD"]);
    assert_eq!(history(&stack)[0]["commit"], serde_json::json!({"id": commit, "dirty": false}));
    stack.write("compose.yaml", &format!("services:\n{}\n# edited\n", app("")));
    stack.zdd_ok(&["up"], &[("APP_VERSION", "2")]);
    assert_eq!(history(&stack)[0]["commit"]["dirty"], true);
}

#[test]
fn a_restart_makes_new_containers_and_no_request_is_lost() {
    let (stack, port) = crate::rolling::served("restart", "deploy: {replicas: 2}", &[]);
    let old = ids(&stack.containers("app"));
    let load = traffic(port);
    let finished = stack.zdd_ok(&["restart", "app"], &[("APP_VERSION", "1")]);
    let report = load.stop();
    assert!(report.failed().is_empty(), "{}\n{}", report.table(), finished.stderr);
    let new = ids(&stack.containers("app"));
    assert!(new.len() == 2 && new.is_disjoint(&old), "{old:?} {new:?}");
    let refused = stack.zdd(&["restart", "app"], &[("APP_VERSION", "2")]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert_eq!(ids(&stack.containers("app")), new);
}
