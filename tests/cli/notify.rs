//! A command of the user's is told how a rollout ended.

use std::fs;

use insta::assert_snapshot;
use rustix::process::Signal;

use crate::{
    files::web,
    output::Output,
    scenario::{Host, Scenario, new, old},
    schema::check_notice,
};

/// The command keeps what it reads beside the compose file. The programs it needs are not on the test's PATH.
const KEEP: &str = "'/bin/cat > notice.json; echo \"$$DOCKER_ZDD_PROJECT $$DOCKER_ZDD_OUTCOME $$DOCKER_ZDD_EXIT_CODE\" > words'";

fn scenario(notify: &str) -> Scenario {
    Scenario::new(&format!("{}x-zdd: {{notify: {notify}}}\n", web("scale: 2")))
        .with([old("web-1"), old("web-2")])
}

/// What it read: without what differs from run to run, and the environment's words.
fn notice(host: &Host) -> Option<String> {
    let text = fs::read_to_string(host.path("project/notice.json")).ok()?;
    let mut value = check_notice(&text);
    for key in ["seconds", "user", "host"] {
        value.as_object_mut().expect("an object").remove(key);
    }
    let words = fs::read_to_string(host.path("project/words")).expect("the words");
    Some(format!("{words}{value:#}"))
}

fn code(output: &Output) -> Option<i32> {
    output.exit.code()
}

#[test]
fn of_a_success() {
    let host = scenario(KEEP).host();
    let output = host.run(&["up"]);
    assert_eq!(code(&output), Some(0), "{output}");
    assert_snapshot!(notice(&host).unwrap_or_default(), @r#"
    shop done 0
    {
      "exit_code": 0,
      "hint": null,
      "message": "web is up to date",
      "outcome": "done",
      "project": "shop",
      "revision": 1,
      "services": [
        {
          "outcome": "done",
          "reason": null,
          "service": "web",
          "serving": [
            "shop-web-3",
            "shop-web-4"
          ]
        }
      ]
    }
    "#);
}

#[test]
fn of_a_failure() {
    let host = scenario(KEEP).starts("web", "starting, unhealthy").host();
    let output = host.run(&["up"]);
    assert_eq!(code(&output), Some(3), "{output}");
    assert_snapshot!(notice(&host).unwrap_or_default(), @r#"
    shop rolled_back 3
    {
      "exit_code": 3,
      "hint": "fix the new version, then run \"docker zdd up\" again",
      "message": "web: the new version failed (shop-web-3); shop-web-1 and shop-web-2 serve now",
      "outcome": "rolled_back",
      "project": "shop",
      "revision": 1,
      "services": [
        {
          "outcome": "rolled_back",
          "reason": "shop-web-3 is unhealthy after 2 failed probes",
          "service": "web",
          "serving": [
            "shop-web-1",
            "shop-web-2"
          ]
        }
      ]
    }
    "#);
}

#[test]
fn of_an_interrupted_run() {
    let host = scenario(KEEP).starts("web", "starting").host();
    let mut running = host.spawn(&["up"]);
    running.wait_for_stderr("waiting until healthy");
    running.signal(Signal::INT);
    let output = running.finish();
    assert_eq!(code(&output), Some(130), "{output}");
    assert!(notice(&host).unwrap_or_default().starts_with("shop interrupted 130\n"), "{output}");
}

#[test]
fn of_nothing_where_nothing_changed() {
    let file = format!("{}x-zdd: {{notify: {KEEP}}}\n", web(""));
    let host = Scenario::new(&file).with([new("web-1")]).host();
    assert_eq!(code(&host.run(&["up"])), Some(0));
    assert_eq!(notice(&host), None);
    let host = scenario(KEEP).host();
    assert_eq!(code(&host.run(&["up", "--dry-run"])), Some(0));
    assert_eq!(code(&host.run(&["plan"])), Some(0));
    assert_eq!(notice(&host), None);
}

#[test]
fn one_that_fails_is_a_warning() {
    for (command, said) in [
        ("'echo it broke; exit 7'", "warning: the notify command failed with exit code 7: it broke\n"),
        ("[./none, x]", "warning: the notify command \"./none\" is not there\n"),
        (
            "'echo cannot reach https://ci:s3cret@hooks/x; exit 1'",
            "failed with exit code 1: cannot reach https://ci:***@hooks/x\n",
        ),
    ] {
        let output = scenario(command).run(&["up"]);
        assert_eq!(code(&output), Some(0), "{output}");
        assert!(output.stderr.contains(said), "{output}");
    }
    let output = scenario("'echo all is well'").run(&["up"]);
    assert!(!output.stderr.contains("all is well") && !output.stderr.contains("warning"), "{output}");
}

/// Ctrl-C does not reach it, and who interrupts twice does not wait for it.
#[test]
fn one_that_hangs_ends_at_the_second_interrupt() {
    let mut running = scenario("'echo here > here; exec /bin/sleep 60'").spawn(&["up"]);
    running.wait_for_stderr("done in");
    running.wait_for_file("project/here");
    running.signal(Signal::INT);
    running.wait_for_stderr("interrupted:");
    running.signal(Signal::INT);
    let output = running.finish();
    assert!(output.took.as_secs() < 25, "{:?}", output.took);
    assert!(output.stderr.contains("warning: the notify command was interrupted"), "{output}");
}
