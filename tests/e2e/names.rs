//! Odd folders, odd ways to give the file, and machines where something is missing.

use std::{
    fs,
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::stack::{Finished, Stack, app, finish, ids};

#[test]
fn a_folder_with_spaces_quotes_and_a_dollar() {
    let file = format!("services:\n{}", app(""));
    let stack = Stack::in_folder("odd", "it's a $HOME \"folder\" * ü", &file);
    stack.zdd_ok(&["up"], &[("APP_VERSION", "1")]);
    let old = ids(&stack.containers("app"));
    stack.zdd_ok(&["up"], &[("APP_VERSION", "2")]);
    let new = ids(&stack.containers("app"));
    assert!(new.len() == 1 && new.is_disjoint(&old), "{old:?} {new:?}");
}

#[test]
fn the_project_name_comes_from_the_folder_as_compose_makes_it() {
    let file = format!("services:\n{}", app(""));
    let mut stack = Stack::in_folder("unused", "Zddtest Übung (1)", &file);
    stack.project = "zddtestbung1".to_owned();
    let mut command = Command::new(env!("CARGO_BIN_EXE_docker-zdd"));
    command.args(["--progress", "plain", "up"]).current_dir(stack.folder());
    let finished = finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert_eq!(stack.containers("app").len(), 1);
}

#[test]
fn the_file_may_come_on_standard_input() {
    let file = format!("services:\n{}", app(""));
    let stack = Stack::new("stdin", "services: {}");
    let up = |version: &str| {
        let mut command = stack.command(&["-f", "-", "up"], &[("APP_VERSION", version)]);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(file.as_bytes()).unwrap();
        finish(child)
    };
    let first = up("1");
    assert_eq!(first.code, 0, "{}", first.stderr);
    let old = ids(&stack.containers("app"));
    let second = up("2");
    assert_eq!(second.code, 0, "{}", second.stderr);
    let new = ids(&stack.containers("app"));
    assert!(new.len() == 1 && new.is_disjoint(&old), "{old:?} {new:?}");
}

/// Runs `up` in an environment of its own and expects one clear sentence and exit code 1.
fn refused(stack: &Stack, path: &Path, home: &Path, env: &[(&str, &str)]) -> Finished {
    let mut command = stack.command(&["up"], &[]);
    command.env_clear().env("PATH", path).env("HOME", home).envs(env.iter().copied());
    let finished = finish(command.spawn().unwrap());
    assert_eq!(finished.code, 1, "{}", finished.stderr);
    finished
}

/// The first `docker` on the PATH.
fn docker() -> std::path::PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path).map(|dir| dir.join("docker")).find(|file| file.is_file()).unwrap()
}

#[test]
fn no_engine_no_compose_no_docker_are_one_sentence_each() {
    let stack = Stack::new("missing", &format!("services:\n{}", app("")));
    let (bin, home, empty) = (TempDir::new().unwrap(), TempDir::new().unwrap(), TempDir::new().unwrap());
    symlink(docker(), bin.path().join("docker")).unwrap();

    let finished = refused(&stack, empty.path(), home.path(), &[]);
    assert_eq!(finished.said(), "there is no docker on the PATH; install the Docker CLI\n");

    let finished = refused(&stack, bin.path(), home.path(), &[]);
    assert!(finished.said().starts_with("Docker Compose is not installed"), "{}", finished.stderr);

    let v1 = bin.path().join("docker-compose");
    fs::write(&v1, "#!/bin/sh\necho docker-compose version 1.29.2\n").unwrap();
    fs::set_permissions(&v1, fs::Permissions::from_mode(0o755)).unwrap();
    let finished = refused(&stack, bin.path(), home.path(), &[]);
    assert!(finished.said().starts_with("only Compose v1"), "{}", finished.stderr);

    let config =
        std::env::var("DOCKER_CONFIG").unwrap_or(format!("{}/.docker", std::env::var("HOME").unwrap()));
    let dead = [("DOCKER_HOST", "unix:///nowhere/docker.sock"), ("DOCKER_CONFIG", config.as_str())];
    let finished = refused(&stack, bin.path(), home.path(), &dead);
    assert!(finished.stderr.contains("unix:///nowhere/docker.sock"), "{}", finished.stderr);
    assert!(finished.stderr.contains("hint: start the engine"), "{}", finished.stderr);
}

#[test]
fn a_missing_file_and_a_broken_file_are_one_sentence_each() {
    let stack = Stack::new("broken", "services: {app: {image: x, bogus: 1}}");
    let finished = stack.zdd(&["up"], &[]);
    assert_eq!(finished.code, 1);
    assert!(finished.stderr.contains("bogus") && finished.said().lines().count() == 1, "{}", finished.stderr);
    let finished = stack.zdd(&["-f", "nowhere.yaml", "up"], &[]);
    assert_eq!(finished.code, 1);
    assert!(
        finished.stderr.contains("nowhere.yaml") && finished.said().lines().count() == 1,
        "{}",
        finished.stderr
    );
}
