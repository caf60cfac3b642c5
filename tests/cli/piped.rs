//! Files that come from pipes, which can be read once.

use std::{fs, process::Command, thread};

use crate::{
    files::web,
    output::Output,
    scenario::{Host, Scenario, old},
};

fn host() -> Host {
    Scenario::new(&web("")).with([old("web-1")]).stdin(&web("")).host()
}

/// A pipe in the project's folder, through which this text comes once.
fn pipe(host: &Host, name: &str, text: String) {
    let path = host.path("project").join(name);
    let made = Command::new("mkfifo").arg(&path).status().expect("mkfifo");
    assert!(made.success(), "{made}");
    thread::spawn(move || fs::write(path, text));
}

/// Every call of Compose that reads the files got the text.
fn rolled(output: &Output) -> Vec<&str> {
    assert_eq!(output.exit.code(), Some(0), "{output}");
    let calls = output.calls.iter().map(String::as_str);
    let reading: Vec<_> =
        calls.filter(|call| call.contains(" compose ") && !call.contains(" version ")).collect();
    assert!(reading.len() > 3 && reading.iter().all(|call| call.contains("<stdin ")), "{output}");
    reading
}

fn refused(output: &Output) -> &str {
    assert_eq!((output.exit.code(), output.calls.len()), (Some(1), 0), "{output}");
    &output.stderr
}

#[test]
fn a_pipe_is_read_once_and_given_to_each_call() {
    let host = host();
    pipe(&host, "pipe", web(""));
    let output = host.run(&["-f", "pipe", "up"]);
    let [hashes, file, ..] = rolled(&output)[..] else { panic!("{output}") };
    assert!(hashes.starts_with("docker compose --file - config --hash * <stdin "), "{output}");
    assert!(file.starts_with("docker compose --file - config <stdin "), "{output}");
}

/// What the calls of Compose get in its place is empty.
#[test]
fn standard_input_has_more_than_one_name() {
    for name in ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"] {
        rolled(&host().run(&["-f", name, "up"]));
    }
}

#[test]
fn a_pipe_may_stand_beside_files_and_in_the_variable() {
    let both = "docker compose --file compose.yaml --file - config";
    let host = host();
    pipe(&host, "pipe", web(""));
    assert!(rolled(&host.run(&["-f", "compose.yaml", "-f", "pipe", "up"]))[0].starts_with(both));
    let host = Scenario::new(&web("")).with([old("web-1")]).env("COMPOSE_FILE", "compose.yaml:pipe").host();
    pipe(&host, "pipe", web(""));
    assert!(rolled(&host.run(&["up"]))[0].starts_with(both));
}

#[test]
fn a_pipe_is_named_in_messages() {
    let host = host();
    pipe(&host, "pipe", web("x-zdd: {delay: 3}"));
    let output = host.run(&["-f", "pipe", "up"]);
    assert_eq!(output.stderr.trim_end(), "pipe:6: services.web.x-zdd.delay: \"3\" has no unit: write \"3s\"");
}

#[test]
fn two_pipes_are_one_too_many() {
    let host = host();
    pipe(&host, "pipe", web(""));
    assert_eq!(
        refused(&host.run(&["-f", "-", "-f", "pipe", "up"])),
        "- and pipe come from pipes, and only one compose file can be handed to Compose on standard input; write the \
         other to a file\n"
    );
}

/// The second call of Compose would find all of them unset, and the containers would start without.
#[test]
fn variables_do_not_come_from_a_pipe() {
    let host = host();
    pipe(&host, "vars", "TAG=1\n".to_owned());
    let message = "the variables in vars come from a pipe, which can be read only once, and Compose is called more than \
                   once; write them to a file, or set them in the environment\n";
    assert_eq!(refused(&host.run(&["--env-file", "vars", "up"])), message);
    let host = Scenario::new(&web("")).env("COMPOSE_ENV_FILES", ".env,vars").host();
    pipe(&host, "vars", "TAG=1\n".to_owned());
    assert_eq!(refused(&host.run(&["up"])), message);
}
