//! `docker inspect`, as the engine really prints it and as it might.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;
use serde_json::{Value, json};
use zdd::engine::{
    Container, Healthcheck, State,
    container::{HealthStatus, RestartPolicy, parse_inspect},
};

use crate::make::{cases, seconds};

/// Containers of Compose 5.6.1 on Docker 20.10.24, in every state that could be brought about.
const ENGINE: &str = include_str!("data/inspect/engine-20.10.json");

fn all() -> BTreeMap<String, Container> {
    let found = parse_inspect(ENGINE).expect("what the engine prints");
    found.into_iter().map(|container| (container.name.clone(), container)).collect()
}

fn one(name: &str) -> Container {
    all().remove(name).expect(name)
}

#[test]
fn every_replica_is_read_and_nothing_else() {
    let names: Vec<_> = all().into_keys().collect();
    assert_eq!(
        names,
        [
            "app-created-1",
            "app-disabled-1",
            "app-done-1",
            "app-exited-1",
            "app-healthy-1",
            "app-networked-1",
            "app-networked-2",
            "app-oom-1",
            "app-paused-1",
            "app-restarting-1",
            "app-running-1",
            "app-running-2",
            "app-starting-1",
            "app-unfindable-1",
            "app-unhealthy-1",
            "hook-web-1",
        ]
    );
    for left_out in ["app-running-run-0e6a2f88652e", "hook-web-pre_start-0"] {
        assert!(ENGINE.contains(left_out), "{left_out} is in the sample, and left out for what it is");
    }
}

#[test]
fn states_and_exit_codes() {
    let look = |name: &str| {
        let c = one(name);
        (c.state, c.exit_code, c.restart_count, c.oom_killed)
    };
    assert_eq!(look("app-running-1"), (State::Running, 0, 0, false));
    assert_eq!(look("app-running-2"), (State::Created, 0, 0, false));
    assert_eq!(look("app-created-1"), (State::Created, 127, 0, false));
    assert_eq!(look("app-exited-1"), (State::Exited, 3, 0, false));
    assert_eq!(look("app-done-1"), (State::Exited, 0, 0, false));
    assert_eq!(look("app-oom-1"), (State::Exited, 137, 0, true));
    assert_eq!(look("app-restarting-1"), (State::Restarting, 7, 8, false));
    assert_eq!(look("app-paused-1"), (State::Paused, 0, 0, false));
}

#[test]
fn what_the_engine_said_when_it_could_not_start_one() {
    let error = one("app-created-1").error;
    assert!(error.contains("exec: \"/bin/missing\""), "{error}");
    assert_eq!(one("app-running-1").error, "");
}

#[test]
fn identity_and_labels() {
    let c = one("app-networked-2");
    assert_eq!(c.id.len(), 64);
    assert_eq!((c.service.as_str(), c.number), ("networked", 2));
    assert_eq!(c.config_hash, "309d24aa557a7ec35b14242f64cc0080fbe156006792f3f13e325affe96cfcbe");
    assert_eq!(c.image_id, "sha256:2cb0dade18ff33688c54cd580ec497ce9f5e92b7c9feeef7d43194c4c40f198f");
    assert_eq!(c.labels["com.docker.compose.version"], "5.6.1");
    assert_eq!((c.reference().id, c.reference().name), (c.id, "app-networked-2".to_owned()));
}

#[test]
fn image_reference_and_command() {
    let c = one("app-running-1");
    assert_eq!(c.image, "app:1");
    assert_eq!(c.command, ["/bin/busybox", "sleep", "600"]);
    let entered = with(json!({"Path": "docker-entrypoint.sh", "Args": ["haproxy", "-W"]}));
    assert_eq!(entered.command, ["docker-entrypoint.sh", "haproxy", "-W"]);
    assert_eq!(with(json!({"Path": "/web", "Args": null})).command, ["/web"]);
}

#[test]
fn anonymous_volumes_are_told_from_named_ones() {
    let volume = |name: &str, at: &str| json!({"Type": "volume", "Name": name, "Destination": at});
    let id = "0123456789abcdef".repeat(4);
    let bind = json!({"Type": "bind", "Source": "/srv", "Destination": "/srv"});
    let c = with(json!({"Mounts": [volume(&id, "/cache"), volume("app_data", "/data"), bind]}));
    assert_eq!(c.anonymous_volumes, ["/cache"]);
    assert_eq!(with(json!({"Mounts": null})).anonymous_volumes, [""; 0]);
}

#[test]
fn addresses_of_each_network() {
    let addresses = |container: &Container| -> Vec<(String, Vec<String>)> {
        let networks = container.networks.iter();
        networks
            .map(|(name, on)| (name.clone(), on.addresses.iter().map(ToString::to_string).collect()))
            .collect()
    };
    let pair = |network: &str, addresses: &[&str]| {
        (network.to_owned(), addresses.iter().map(|&address| address.to_owned()).collect())
    };
    let expected = [pair("app_back", &["172.26.0.3"]), pair("app_default", &["172.25.0.3"])];
    assert_eq!(addresses(&one("app-networked-1")), expected);
    assert_eq!(addresses(&one("app-running-1")), [pair("none", &[])]);
    let both = json!({"IPAddress": "172.18.0.2", "GlobalIPv6Address": "fd00:0:0::2",
        "NetworkID": "4f2a", "MacAddress": "02:42:ac:12:00:02"});
    let on = with(json!({"NetworkSettings": {"Networks": {"a": both}}}));
    assert_eq!(addresses(&on), [pair("a", &["172.18.0.2", "fd00::2"]), pair("none", &[])]);
    assert_eq!(
        (on.networks["a"].network.as_str(), on.networks["a"].mac.as_str()),
        ("4f2a", "02:42:ac:12:00:02")
    );
}

#[test]
fn health() {
    let look = |name: &str| {
        let c = one(name);
        let health = c.health.clone();
        (health.as_ref().map(|h| h.status), health.and_then(|h| h.output), c.serves(), c.is_unhealthy())
    };
    assert_eq!(look("app-running-1"), (None, None, true, false));
    assert_eq!(look("app-disabled-1"), (None, None, true, false));
    assert_eq!(look("app-starting-1"), (Some(HealthStatus::Starting), None, false, false));
    assert_eq!(
        look("app-healthy-1"),
        (Some(HealthStatus::Healthy), Some("all well".to_owned()), true, false)
    );
    assert_eq!(
        look("app-unhealthy-1"),
        (Some(HealthStatus::Unhealthy), Some("no connection".to_owned()), false, true)
    );
    let output = look("app-unfindable-1").1.expect("the engine tells why");
    assert!(output.starts_with("OCI runtime exec failed"), "{output}");
    assert!(one("app-unhealthy-1").health.expect("health").failing_streak >= 2);
    for name in ["app-exited-1", "app-paused-1", "app-restarting-1", "app-created-1"] {
        assert!(!one(name).serves(), "{name}");
    }
}

#[test]
fn healthchecks_with_the_defaults_of_the_engine_filled_in() {
    let check = |interval, timeout, retries, start_period| {
        let [interval, timeout, start_period] = [interval, timeout, start_period].map(seconds);
        (interval, timeout, retries, start_period, seconds(5))
    };
    let healthcheck = |name: &str| {
        let c = one(name).healthcheck.expect("a healthcheck");
        (c.interval(), c.timeout(), c.retries(), c.start_period(), c.start_interval())
    };
    assert_eq!(healthcheck("app-healthy-1"), check(1, 2, 5, 3));
    assert_eq!(healthcheck("app-unhealthy-1"), check(1, 30, 2, 0));
    assert_eq!(healthcheck("app-starting-1"), check(300, 30, 3, 0));
    assert_eq!(one("app-running-1").healthcheck, None);
    assert_eq!(one("app-disabled-1").healthcheck, None, "test: [NONE]");
}

#[test]
fn grace_periods() {
    assert_eq!(one("app-running-1").grace, seconds(1));
    assert_eq!(one("app-healthy-1").grace, seconds(90));
    assert_eq!(one("app-networked-1").grace, Duration::ZERO, "500ms is cut to whole seconds by Compose");
    assert_eq!(with(json!({"Config": {"StopTimeout": null}})).grace, seconds(10));
}

#[test]
fn restart_policies() {
    let flag = |name: &str| one(name).restart.flag();
    assert_eq!(flag("app-running-1"), "no");
    assert_eq!(flag("app-restarting-1"), "always");
    assert_eq!(flag("app-healthy-1"), "on-failure:3");
    assert_eq!(flag("app-networked-1"), "unless-stopped");
    let revives = |name: &str| RestartPolicy { name: name.to_owned(), max_retries: 0 }.revives_stopped();
    assert!(revives("always") && revives("on-failure"));
    assert!(!revives("unless-stopped") && !revives("no"));
}

/// The sample's first container with fields changed, deeply.
fn with(changes: Value) -> Container {
    let mut sample: Value = serde_json::from_str(ENGINE).expect("JSON");
    let mut first = sample[0].take();
    merge(&mut first, changes);
    parse_inspect(&json!([first]).to_string()).expect("readable").remove(0)
}

fn merge(into: &mut Value, changes: Value) {
    match (into, changes) {
        (Value::Object(into), Value::Object(changes)) => {
            for (key, value) in changes {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, changes) => *into = changes,
    }
}

#[test]
fn the_null_that_go_writes_for_nothing() {
    let nothing = with(json!({
        "HostConfig": {"RestartPolicy": null},
        "NetworkSettings": {"Networks": null},
        "State": {"Health": {"Status": "starting", "FailingStreak": 0, "Log": null}},
        "Config": {"Healthcheck": {"Test": null}},
    }));
    assert_eq!(nothing.restart.flag(), "no");
    assert!(nothing.networks.is_empty());
    assert_eq!(nothing.health.expect("health").output, None);
    assert_eq!(nothing.healthcheck, None);
    let less = with(json!({"HostConfig": null, "NetworkSettings": null, "State": {"Health": null}}));
    assert_eq!((less.restart.flag(), less.health), ("no".to_owned(), None));
    assert_eq!(with(json!({"State": {"Health": {"Status": "none"}}})).health, None);
    let unlabelled = json!([{"Id": "a", "State": {"Status": "running"}, "Config": {"Labels": null}}]);
    assert_eq!(parse_inspect(&unlabelled.to_string()).expect("readable"), []);
}

#[test]
fn fields_that_are_missing() {
    let json = r#"[{"Id": "a", "State": {"Status": "exited"},
        "Config": {"Labels": {"com.docker.compose.service": "web", "com.docker.compose.config-hash": "h"}}}]"#;
    let c = parse_inspect(json).expect("readable").remove(0);
    assert_eq!((c.id.as_str(), c.service.as_str(), c.number, c.state), ("a", "web", 0, State::Exited));
    assert_eq!((c.config_hash.as_str(), c.image_id.as_str(), c.exit_code), ("h", "", 0));
    assert_eq!((c.grace, c.restart.flag()), (seconds(10), "no".to_owned()));
}

#[test]
fn an_image_label_is_what_compose_compares_and_the_engine_s_field_fills_in() {
    let other = with(json!({"Image": "sha256:other"}));
    assert_eq!(other.image_id, one("app-running-1").image_id);
    assert!(other.is_of_image(&other.image_id) && other.is_of_image("sha256:other"));
    assert!(!other.is_of_image("sha256:another"));
    let before_2_2 = json!({"Image": "sha256:field", "Config": {"Labels": {"com.docker.compose.image": ""}}});
    assert_eq!(with(before_2_2).image_id, "sha256:field");
}

#[test]
fn times_that_mean_the_default() {
    let zero = with(json!({"Config": {"Healthcheck": {
        "Test": ["CMD", "true"], "Interval": 0, "Timeout": -1, "Retries": 0, "StartPeriod": -5,
    }}}));
    assert_eq!(zero.healthcheck, Some(Healthcheck::default()));
    let written =
        json!({"Config": {"Healthcheck": {"Test": ["CMD", "true"], "StartInterval": 1_000_000_000}}});
    assert_eq!(with(written).healthcheck.and_then(|check| check.start_interval), Some(seconds(1)));
}

#[test]
fn one_offs_and_runners_of_hooks_are_no_replicas() {
    let read = |labels: Value| {
        let json = json!([{"Id": "a", "State": {"Status": "running"}, "Config": {"Labels": labels}}]);
        parse_inspect(&json.to_string()).expect("readable").len()
    };
    let service = "com.docker.compose.service";
    let hash = "com.docker.compose.config-hash";
    let one_off = "com.docker.compose.oneoff";
    assert_eq!(read(json!({service: "web", hash: "h", one_off: "False"})), 1);
    assert_eq!(read(json!({service: "web", hash: "h", one_off: "True"})), 0);
    assert_eq!(read(json!({service: "web", hash: "h", one_off: "true"})), 0);
    assert_eq!(read(json!({service: "web", hash: "h", "com.docker.compose.hook": "pre_start"})), 0);
    assert_eq!(read(json!({hash: "h", one_off: "False"})), 0);
    assert_eq!(read(json!({service: "web", one_off: "False"})), 0, "Compose overlooks one without a hash");
}

#[test]
fn garbage_is_an_error_in_words() {
    for text in ["", "{}", "null", "[1]", "[{}]", "not json", "[{\"Id\": 5}]", "[null]", "\u{0}"] {
        let error = parse_inspect(text).expect_err(text);
        assert_eq!(error.to_string(), "the output of \"docker inspect\" is not understood", "{text}");
    }
    assert_eq!(parse_inspect("[]").expect("nothing there"), []);
}

/// Where in a value something is changed, and to what.
fn mutations() -> impl Strategy<Value = Vec<(Vec<prop::sample::Index>, Value)>> {
    let value = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        ".{0,9}".prop_map(Value::from),
        Just(json!([])),
        Just(json!({})),
        Just(json!([{"Output": "x"}, null])),
    ];
    let path = prop::collection::vec(any::<prop::sample::Index>(), 1..6);
    prop::collection::vec((path, value), 1..4)
}

fn mutate(value: &mut Value, path: &[prop::sample::Index], new: &Value) {
    let [index, rest @ ..] = path else {
        *value = new.clone();
        return;
    };
    match value {
        Value::Array(items) if !items.is_empty() => {
            let at = index.index(items.len());
            mutate(&mut items[at], rest, new);
        }
        Value::Object(fields) if !fields.is_empty() => {
            let at = index.index(fields.len());
            fields.values_mut().nth(at).into_iter().for_each(|field| mutate(field, rest, new));
        }
        leaf => *leaf = new.clone(),
    }
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn never_panics_on_text(text in ".{0,200}") {
        let _ = parse_inspect(&text);
    }

    #[test]
    fn never_panics_on_changed_json(changes in mutations()) {
        let mut json: Value = serde_json::from_str(ENGINE).expect("JSON");
        changes.iter().for_each(|(path, new)| mutate(&mut json, path, new));
        if let Ok(found) = parse_inspect(&json.to_string()) {
            prop_assert!(found.iter().all(|c| c.labels.contains_key("com.docker.compose.service")));
        }
    }

    #[test]
    fn never_panics_on_cut_json(at in any::<prop::sample::Index>()) {
        let cut = ENGINE.char_indices().map(|(at, _)| at).nth(at.index(ENGINE.chars().count()));
        prop_assert!(parse_inspect(&ENGINE[..cut.unwrap_or(0)]).is_err());
    }
}
