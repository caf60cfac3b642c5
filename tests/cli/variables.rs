//! Variables that are not set: what they leave in the file, and what is said of them.

use std::fs;

use insta::assert_snapshot;

use crate::{
    files::web,
    output::Output,
    scenario::{Host, Scenario, new, old},
    world::{Action, Rule},
};

/// A host whose file is this one, of which Compose makes the other.
fn host(written: &str, resolved: &str) -> Host {
    let host = Scenario::new(resolved).with([old("web-1")]).host();
    fs::write(host.path("project/compose.yaml"), written).expect("the compose file");
    host
}

const WRITTEN: &str = "name: shop\nservices:\n  web:\n    image: app:${TAG}\n";
const RESOLVED: &str = "name: shop\nservices:\n  web:\n    image: 'app:'\n";

fn untouched(output: &Output) -> String {
    assert_eq!(output.changes(), Vec::<&str>::new(), "{output}");
    format!("exit {}\n{}{}", output.exit.code().unwrap_or(-1), output.stdout, output.stderr)
}

#[test]
fn an_image_without_its_tag_is_an_error_of_the_file() {
    for args in [&["up"][..], &["plan"], &["up", "--dry-run"], &["restart"], &["status"]] {
        let output = host(WRITTEN, RESOLVED).run(args);
        assert_eq!(
            untouched(&output).lines().last().expect("a line"),
            "compose.yaml:4: services.web.image: \"app:\" is not an image: there is no tag after the colon; write one \
             like \"app:1.0\" (the line uses ${TAG}: set TAG, or write a default, ${TAG:-DEFAULT})",
            "{output}"
        );
        assert_eq!(output.exit.code(), Some(1), "{output}");
    }
}

#[test]
fn an_image_without_its_tag_is_found_by_the_doctor() {
    let found = untouched(&host(WRITTEN, RESOLVED).run(&["doctor"]));
    let error = "compose.yaml:4: error: web: image: \"app:\" is not an image: there is no tag after the colon; write one \
                 like \"app:1.0\" (the line uses ${TAG}: set TAG, or write a default, ${TAG:-DEFAULT})";
    assert!(found.starts_with("exit 2\n") && found.contains(error), "{found}");
}

/// What Compose says of a file in which two variables are not set, and the `version` of old files is.
fn unset() -> Scenario {
    Scenario::new(&web("")).with([new("web-1")]).warns(&[
        "The \"TOKEN\" variable is not set. Defaulting to a blank string.",
        "The \"DATABASE_URL\" variable is not set. Defaulting to a blank string.",
        "/srv/compose.yaml: the attribute `version` is obsolete, it will be ignored, please remove it",
    ])
}

#[test]
fn what_compose_warns_of_is_said_once() {
    let said = |args: &[&str]| unset().run(args).stderr;
    assert_snapshot!(said(&["up"]), @r#"
    [TIME]  warning: The "DATABASE_URL" variable is not set. Defaulting to a blank string.
    [TIME]  warning: The "TOKEN" variable is not set. Defaulting to a blank string.
    [TIME]  unchanged: web
    project shop is up to date; nothing was touched
    "#);
    assert_snapshot!(said(&["plan"]), @r#"
    [TIME]  warning: The "DATABASE_URL" variable is not set. Defaulting to a blank string.
    [TIME]  warning: The "TOKEN" variable is not set. Defaulting to a blank string.
    "#);
    assert_snapshot!(said(&["doctor"]), @r#"
    warning: The "DATABASE_URL" variable is not set. Defaulting to a blank string.
    warning: The "TOKEN" variable is not set. Defaulting to a blank string.
    "#);
    assert_snapshot!(said(&["up", "--progress", "json"]), @r#"
    {"time":[TIME],"event":"warning","service":null,"message":"The \"DATABASE_URL\" variable is not set. Defaulting to a blank string."}
    {"time":[TIME],"event":"warning","service":null,"message":"The \"TOKEN\" variable is not set. Defaulting to a blank string."}
    {"time":[TIME],"event":"planned","project":"shop","services":[{"service":"web","verdict":"unchanged","reason":"as wanted","replicas":1,"versions":{"from":[{"image":"web","id":"sha256:3d7d6ef7f201e4335645215ce5ddcdcc0722e54cc89f03ff5f2b2c2d3b643fca"}],"to":{"image":"web","id":"sha256:3d7d6ef7f201e4335645215ce5ddcdcc0722e54cc89f03ff5f2b2c2d3b643fca"}},"serving":[{"id":"[ID of web-1]","name":"shop-web-1"}]}]}
    {"time":[TIME],"event":"end","exit_code":0,"message":"project shop is up to date; nothing was touched","hint":null,"seconds":[TIME]}
    "#);
    assert_eq!(said(&["up", "--progress", "quiet"]), "");
    assert_eq!(said(&["status"]), "");
}

/// Of a port without its number nobody knows why it has none.
#[test]
fn what_compose_warns_of_is_said_before_it_refuses_the_file() {
    let refused = "time=\"2026-11-29T15:50:14Z\" level=warning msg=\"The \\\"PORT\\\" variable is not set. Defaulting to a \
                   blank string.\"\nservices.web.ports.[0]: invalid hostPort: \"\"";
    let fails = || unset().when("compose config", Action::Fail(15, refused.to_owned()));
    assert_snapshot!(fails().run(&["up"]).stderr, @r#"
    [TIME]  warning: The "PORT" variable is not set. Defaulting to a blank string.
    services.web.ports.[0]: invalid hostPort: ""
    "#);
    assert_snapshot!(fails().run(&["doctor"]).stderr, @r#"warning: The "PORT" variable is not set. Defaulting to a blank string."#);
}

/// Compose takes an empty image for none, and does not say that one is written.
#[test]
fn an_image_that_is_all_variable_is_an_error_of_the_file() {
    let host = host("name: shop\nservices:\n  web:\n    image: ${IMAGE}\n", &web(""));
    let refusal =
        "service \"web\" has neither an image nor a build context specified: invalid compose project";
    let action = Action::Fail(1, refusal.to_owned());
    host.change(|world| {
        world.rules.push(Rule { call: "compose config".to_owned(), nth: 0, seen: 0, action })
    });
    assert_eq!(
        untouched(&host.run(&["up"])),
        "exit 1\ncompose.yaml:4: services.web.image: it is empty; write one like \"app:1.0\" (the line uses ${IMAGE}: set \
         IMAGE, or write a default, ${IMAGE:-DEFAULT})\n"
    );
}
