//! Values of the environment and passwords in URLs are on no screen, in no log and in no process list through zdd.

use crate::{
    calls::some_of,
    files::{HEALTHCHECK, project, web},
    output::Output,
    scenario::{Scenario, old},
    world::Action,
};

/// Planted everywhere a secret may be.
const SECRET: &str = "s3cr3t-9f";
/// The same where it is part of a URL, of which the rest may be shown.
const URL: &str = "https://anna:s3cr3t-9f@prod:2376/v1.41/x";

/// A service with the secret in its environment, its build, its hooks and its log.
fn scenario() -> Scenario {
    let environment =
        format!("environment: {{PASSWORD: {SECRET}, DATABASE: \"postgres://a:{SECRET}@db/x\"}}");
    let hook = |program: &str| {
        format!("[{{command: [{program}, \"--token={SECRET}\"], environment: {{TOKEN: {SECRET}}}}}]")
    };
    let web = format!(
        "image: web\n{HEALTHCHECK}\n{environment}\nbuild: {{context: ., args: {{TOKEN: {SECRET}}}}}\n\
         labels: {{a.b: {SECRET}}}\npre_start: {}\npost_start: {}\npre_stop: {}",
        hook("migrate"),
        hook("warm"),
        hook("drain"),
    );
    Scenario::new(&project(&[("web", &web)]))
        .with([old("web-1")])
        .env("DOCKER_HOST", &format!("tcp://anna:{SECRET}@prod:2376"))
        .env("PASSWORD", SECRET)
        .writes("web", &format!("cannot reach postgres://app:{SECRET}@db/x"))
}

fn is_silent(output: &Output, what: &str) {
    assert!(!output.stdout.contains(SECRET), "{what}: {output}");
    assert!(!output.stderr.contains(SECRET), "{what}: {output}");
}

/// A hook's command is the user's own, and runs as written.
fn keeps_argv_clean(output: &Output, what: &str) {
    for argv in output.argvs() {
        let hook = |word: &&String| word.starts_with("--token=");
        let words: Vec<_> = argv.iter().filter(|word| !hook(word)).collect();
        assert!(!words.iter().any(|word| word.contains(SECRET)), "{what}: {argv:?}");
    }
}

const FORMS: &[&[&str]] = &[
    &["up", "--build"],
    &["--verbose", "up"],
    &["--progress", "json", "up", "--build"],
    &["--progress", "quiet", "up"],
    &["--dry-run", "up"],
    &["plan"],
    &["--verbose", "plan"],
    &["plan", "--format", "json"],
];

#[test]
fn nothing_of_it_in_any_form_of_output() {
    for args in FORMS {
        let output = scenario().run(args);
        assert_eq!(output.exit.code(), Some(0), "{args:?}: {output}");
        is_silent(&output, &format!("{args:?}"));
        keeps_argv_clean(&output, &format!("{args:?}"));
    }
}

#[test]
fn nothing_of_it_when_the_new_version_fails() {
    for way in
        ["exited 3: cannot open https://a:s3cr3t-9f@b/c", "starting, unhealthy: curl http://a:s3cr3t-9f@b/"]
    {
        for args in FORMS {
            let output = scenario().starts("web", way).run(args);
            is_silent(&output, &format!("{way}, {args:?}"));
            keeps_argv_clean(&output, way);
        }
    }
}

/// A stop that fails is waited for as long as the container may take.
const SHORT_GRACE: &[&str] = &["--timeout", "1"];

/// Each call fails, with a message of the engine that has a URL in it.
#[test]
fn nothing_of_it_when_a_call_fails() {
    let whole = scenario().run(&["up", "--build"]);
    let error = format!("error during connect: Post \"{URL}\": EOF\nand {URL}");
    for line in some_of(&whole, |_| true) {
        for args in [&["up", "--build"][..], &["--progress", "json", "up", "--build"]] {
            let args = &[args, SHORT_GRACE].concat();
            let output = scenario().when(&line, Action::Fail(1, error.clone())).run(args);
            is_silent(&output, &line);
            keeps_argv_clean(&output, &line);
        }
    }
}

/// Each call answers something that nobody understands.
#[test]
fn nothing_of_it_in_an_answer_that_is_not_understood() {
    let whole = scenario().run(&["up"]);
    for line in some_of(&whole, |_| true) {
        let output = scenario()
            .when(&line, Action::Print(format!("502 from {URL}\n")))
            .run(&[&["up"], SHORT_GRACE].concat());
        is_silent(&output, &line);
    }
}

/// What docker says of its plugins, and a value of the file that cannot be used.
#[test]
fn nothing_of_it_in_what_the_doctor_finds() {
    let plugins = format!(r#"[{{"Name":"zdd","Err":"cannot fetch {URL}"}}]"#);
    let file = web(&format!("x-zdd: {{settle: '{URL}'}}"));
    let output = Scenario::new(&file).when("docker info", Action::Print(plugins)).run(&["doctor"]);
    is_silent(&output, "doctor");
    assert_eq!(output.stdout.matches("https://anna:***@prod").count(), 2, "{output}");
}

/// The user typed it, so it is on the user's own command line; zdd does not repeat it.
#[test]
fn a_host_flag_is_shown_without_its_password() {
    let host = format!("tcp://anna:{SECRET}@prod:2376");
    for line in ["docker volume create", "docker compose version", "docker stop"] {
        let output = scenario().when(line, Action::Fail(1, String::new())).run(&["-H", &host, "zdd", "up"]);
        is_silent(&output, line);
    }
}
