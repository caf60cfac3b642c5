//! Settings: which layer wins, and what is said of a bad value.

use std::{collections::BTreeMap, time::Duration};

use insta::assert_snapshot;
use serde_json::{Value, json};
use zdd::project::{FailureAction, Order, Overrides, Settings, Source, Strategy};

use crate::make::{self, seconds};

const FILE: &str = include_str!("data/config/settings.yaml");

fn read(yaml: &str, flags: &[(&'static str, Value)]) -> BTreeMap<String, Settings> {
    let overrides = Overrides { settings: flags.to_vec(), ..Overrides::default() };
    let project = make::read(yaml, &overrides).expect("a good file");
    project.services.iter().map(|(name, service)| (name.clone(), service.settings.clone())).collect()
}

fn of(name: &str) -> Settings {
    read(FILE, &[]).remove(name).expect(name)
}

/// The keys that do not come from where most come from: `delay=deploy.update_config …`.
fn sources(settings: &Settings) -> String {
    let mut written: Vec<_> = settings
        .explained()
        .into_iter()
        .filter(|(_, _, source)| *source != Source::Default)
        .map(|(key, _, source)| format!("{key}: {source}"))
        .collect();
    written.sort();
    written.join(", ")
}

#[test]
fn what_nobody_wrote_has_a_default() {
    let settings = read("name: app\nservices: {web: {image: app}}", &[]).remove("web");
    let settings = settings.expect("web");
    assert_eq!(settings, Settings::default());
    assert_eq!((settings.strategy, settings.order), (Strategy::Auto, Order::StartFirst));
    assert_eq!((settings.parallelism, settings.failure.action), (0, FailureAction::Rollback));
    assert_eq!((settings.monitor, settings.drain_timeout), (seconds(10), seconds(60)));
    assert_eq!((settings.delay, settings.settle), (Duration::ZERO, Duration::ZERO));
    assert_eq!((settings.wait_timeout, settings.failure.max_ratio), (None, 0.0));
    assert_eq!(settings.explained().len(), 13);
    assert_eq!(sources(&settings), "");
}

#[test]
fn update_config_is_carried_out() {
    let settings = of("update-config");
    assert_eq!((settings.parallelism, settings.delay), (2, seconds(10)));
    assert_eq!((settings.order, settings.failure.action), (Order::StopFirst, FailureAction::Pause));
    assert_eq!(settings.failure.max_ratio, 0.25);
    assert_eq!(
        sources(&settings),
        "delay: deploy.update_config, failure_action: deploy.update_config, \
         max_failure_ratio: deploy.update_config, monitor: x-zdd of the file, order: deploy.update_config, \
         parallelism: deploy.update_config, settle: x-zdd of the file"
    );
}

#[test]
fn the_file_s_x_zdd_wins_over_update_config_and_the_service_s_over_both() {
    assert_eq!(of("plain").monitor, seconds(3));
    assert_eq!(of("update-config").monitor, seconds(3), "30s in update_config");
    let own = of("own");
    assert_eq!((own.parallelism, own.order), (0, Order::StartFirst));
    assert_eq!((own.strategy, own.failure.action), (Strategy::Rolling, FailureAction::Continue));
    assert_eq!(
        (own.settle, own.drain_timeout, own.failure.max_ratio),
        (Duration::from_millis(500), seconds(60), 1.0)
    );
    assert_eq!(
        sources(&own),
        "drain_timeout: x-zdd of the service, failure_action: x-zdd of the service, \
         max_failure_ratio: x-zdd of the service, monitor: x-zdd of the file, order: x-zdd of the service, \
         parallelism: x-zdd of the service, settle: x-zdd of the service, strategy: x-zdd of the service"
    );
}

#[test]
fn a_zero_that_was_written_wins_too() {
    assert_eq!(of("extended").settle, Duration::ZERO, "2s at the top, 500ms in what it extends");
    assert_eq!(of("extended").drain_timeout, seconds(60), "inherited by extends");
}

#[test]
fn anchors_and_merge_keys() {
    let anchored = of("anchored");
    assert_eq!(
        (anchored.parallelism, anchored.delay, anchored.wait_timeout),
        (1, seconds(86_400), Some(seconds(90)))
    );
    let merged = of("merged");
    assert_eq!((merged.parallelism, merged.delay), (3, seconds(86_400)));
}

#[test]
fn a_flag_wins_over_everything() {
    let flags = [
        ("parallelism", json!(9)),
        ("order", json!("stop-first")),
        ("settle", json!("8s")),
        ("wait_timeout", json!("7s")),
    ];
    for (name, settings) in read(FILE, &flags) {
        assert_eq!((settings.parallelism, settings.order), (9, Order::StopFirst), "{name}");
        assert_eq!((settings.settle, settings.wait_timeout), (seconds(8), Some(seconds(7))), "{name}");
        assert!(sources(&settings).contains("settle: flag"), "{name}: {}", sources(&settings));
    }
}

#[test]
fn every_key_is_explained() {
    let lines = |name: &str| -> String {
        let keys = of(name).explained();
        keys.iter().map(|(key, value, source)| format!("{key} {value} ({source})\n")).collect()
    };
    assert_snapshot!(lines("own"), @"
    strategy rolling (x-zdd of the service)
    parallelism 0 (x-zdd of the service)
    delay 0s (default)
    order start-first (x-zdd of the service)
    failure_action continue (x-zdd of the service)
    max_failure_ratio 1 (x-zdd of the service)
    monitor 3s (x-zdd of the file)
    wait_timeout from the healthcheck (default)
    settle 500ms (x-zdd of the service)
    drain auto (default)
    drain_timeout 1m00s (x-zdd of the service)
    hold 1m00s (default)
    helper auto (default)
    ");
    assert_snapshot!(lines("plain"), @"
    strategy auto (default)
    parallelism 0 (default)
    delay 0s (default)
    order start-first (default)
    failure_action rollback (default)
    max_failure_ratio 0 (default)
    monitor 3s (x-zdd of the file)
    wait_timeout from the healthcheck (default)
    settle 2s (x-zdd of the file)
    drain auto (default)
    drain_timeout 1m00s (default)
    hold 1m00s (default)
    helper auto (default)
    ");
}

/// The error of a service with this `x-zdd`, and of one with this as `deploy.update_config`.
fn refused(x_zdd: &str) -> String {
    error(&format!("name: app\nservices: {{web: {{image: app, x-zdd: {x_zdd}}}}}"))
}

fn error(yaml: &str) -> String {
    let error = make::read(yaml, &Overrides::default()).expect_err(yaml);
    format!("{error:#}")
}

#[test]
fn an_unknown_key_is_named_with_its_place() {
    assert_eq!(
        refused("{paralelism: 1}"),
        "services.web.x-zdd.paralelism: unknown key; did you mean \"parallelism\"? known keys are strategy, \
         parallelism, delay, order, failure_action, max_failure_ratio, monitor, wait_timeout, settle, drain, drain_timeout, hold, helper, swarm"
    );
    let top = error("name: app\nx-zdd: {stratgy: auto}\nservices: {}");
    assert!(
        top.starts_with("x-zdd.stratgy: unknown key; did you mean \"strategy\"? known keys are strategy, "),
        "{top}"
    );
    let probe = error("name: app\nx-zdd: {porbe: http://a/}\nservices: {}");
    assert!(
        probe.starts_with("x-zdd.porbe: unknown key; did you mean \"probe\"? known keys are "),
        "{probe}"
    );
    let number = refused("{1: 2}");
    assert!(number.starts_with("services.web.x-zdd.1: unknown key; known keys are "), "{number}");
}

#[test]
fn extensions_inside_are_left_alone() {
    let read = |x_zdd: &str| read(&format!("name: app\nservices: {{web: {{x-zdd: {x_zdd}}}}}"), &[]);
    assert_eq!(read("{x-note: hello}")["web"], Settings::default());
    assert_eq!(read("{}")["web"], Settings::default());
    assert_eq!(read("null")["web"], Settings::default());
}

#[test]
fn what_is_no_mapping_is_an_error() {
    for text in ["5", "[parallelism]", "rolling", "true"] {
        assert_eq!(
            refused(text),
            "services.web.x-zdd: must be a mapping of settings, like \"{parallelism: 1}\"",
            "{text}"
        );
    }
}

#[test]
fn bad_words() {
    assert_eq!(
        refused("{strategy: roling}"),
        "services.web.x-zdd.strategy: \"roling\" is not known; did you mean \"rolling\"? write one of \"auto\", \"rolling\", \"held\", \"recreate\""
    );
    assert_eq!(
        refused("{order: 1}"),
        "services.web.x-zdd.order: \"1\" is not known; write one of \"start-first\", \"stop-first\""
    );
    let failure_action =
        |word: &str| format!("\"{word}\" is not known; write one of \"rollback\", \"pause\", \"continue\"");
    assert_eq!(
        refused("{failure_action: Pause}"),
        "services.web.x-zdd.failure_action: \"Pause\" is not known; did you mean \"pause\"? write one of \"rollback\", \
         \"pause\", \"continue\""
    );
    assert_eq!(
        error("name: app\nservices: {web: {deploy: {update_config: {failure_action: weird}}}}"),
        format!("services.web.deploy.update_config.failure_action: {}", failure_action("weird"))
    );
}

#[test]
fn bad_counts() {
    for text in ["-1", "1.5", "many", "4294967296", "[1]"] {
        assert_eq!(
            refused(&format!("{{parallelism: {text}}}")),
            format!(
                "services.web.x-zdd.parallelism: \"{text}\" is not a number of replicas; write 0 for all at once, 1, 2, …"
            )
        );
    }
}

#[test]
fn bad_durations() {
    for (text, problem) in [
        ("10", "\"10\" has no unit: write \"10s\""),
        ("1.5", "\"1.5\" has no unit: write \"1.5s\""),
        ("soon", "\"soon\" is not a duration: write one like \"10s\" or \"1m30s\""),
        ("-1s", "\"-1s\" is negative"),
        ("1y", "\"1y\" has the unknown unit \"y\": use ns, us, ms, s, m, h, d or w"),
        ("\"\"", "a duration is missing: write one like \"10s\" or \"1m30s\""),
        ("null", "\"null\" is not a duration: write one like \"10s\" or \"1m30s\""),
        ("300000w", "\"300000w\" is too long: no more than 292 years"),
    ] {
        for key in ["delay", "monitor", "wait_timeout", "settle", "drain_timeout"] {
            assert_eq!(
                refused(&format!("{{{key}: {text}}}")),
                format!("services.web.x-zdd.{key}: {problem}")
            );
        }
    }
    let long = error("name: app\nservices: {web: {deploy: {update_config: {monitor: 9y}}}}");
    assert!(long.starts_with("services.web.deploy.update_config.monitor: \"9y\""), "{long}");
}

#[test]
fn bad_shares() {
    for text in ["2", "-0.1", "1.01", "half", "null"] {
        assert_eq!(
            refused(&format!("{{max_failure_ratio: {text}}}")),
            format!(
                "services.web.x-zdd.max_failure_ratio: \"{text}\" is not a share; write a number from 0 to 1, like 0.2"
            )
        );
    }
    let compose_lets_it_pass =
        error("name: app\nservices: {web: {deploy: {update_config: {max_failure_ratio: 2}}}}");
    assert!(
        compose_lets_it_pass
            .starts_with("services.web.deploy.update_config.max_failure_ratio: \"2\" is not a share"),
        "{compose_lets_it_pass}"
    );
}

#[test]
fn numbers_may_be_quoted() {
    let web =
        read("name: app\nservices: {web: {x-zdd: {parallelism: \"2\", max_failure_ratio: \"0.5\"}}}", &[]);
    assert_eq!((web["web"].parallelism, web["web"].failure.max_ratio), (2, 0.5));
}

#[test]
fn only_the_known_keys_of_update_config_are_read() {
    let text = "{x-other: 1, strategy: recreate, parallelism: 2}";
    let yaml = format!("name: app\nservices: {{web: {{deploy: {{update_config: {text}}}}}}}");
    let web = read(&yaml, &[]);
    assert_eq!((web["web"].parallelism, web["web"].strategy), (2, Strategy::Auto));
}
