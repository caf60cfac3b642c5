//! What may go wrong while old containers leave, and what the plan says to write.

use insta::assert_snapshot;
use zdd::engine::{Container, Healthcheck};

use crate::make::{current, outdated, planned, seconds};

trait Given {
    fn checked(self, interval: u64, timeout: u64, retries: u32) -> Self;
    fn labelled(self, labels: &[(&str, &str)]) -> Self;
}

impl Given for Container {
    fn checked(mut self, interval: u64, timeout: u64, retries: u32) -> Self {
        self.healthcheck = Some(Healthcheck {
            interval: Some(seconds(interval)),
            timeout: Some(seconds(timeout)),
            retries: Some(retries),
            ..Healthcheck::default()
        });
        self
    }

    fn labelled(mut self, labels: &[(&str, &str)]) -> Self {
        self.labels.extend(labels.iter().map(|(key, value)| (key.to_string(), value.to_string())));
        self
    }
}

fn notes(lines: &str, containers: &[Container]) -> Vec<String> {
    let file = format!("services: {{web: {{image: app, {lines}}}}}");
    planned(&file, containers).services.remove(0).notes
}

fn note(lines: &str, containers: &[Container]) -> String {
    let notes = notes(lines, containers);
    assert_eq!(notes.len(), 1, "{notes:#?}");
    notes.into_iter().next().expect("one note")
}

const UNHEALTHY: &str = "x-zdd: {drain: unhealthy}";
const HOOK: &str = "pre_stop: [{command: [drain]}]";

#[test]
fn one_that_turns_in_time_needs_no_word() {
    let old = outdated("web", 1).checked(1, 2, 3);
    assert_eq!(notes(&format!("{HOOK}, {UNHEALTHY}"), std::slice::from_ref(&old)), [""; 0]);
    let by_label = old.labelled(&[("docker-rollout.pre-stop-hook", "touch /drain")]);
    assert_eq!(notes(UNHEALTHY, &[by_label]), [""; 0]);
}

#[test]
fn nothing_is_said_of_what_stays() {
    assert_eq!(notes(UNHEALTHY, &[current("web", 1)]), [""; 0]);
    assert_eq!(notes("x-zdd: {drain: none}", &[outdated("web", 1)]), [""; 0]);
}

#[test]
fn without_a_healthcheck() {
    assert_snapshot!(
        note(&format!("{HOOK}, scale: 3, {UNHEALTHY}"), &[
            outdated("web", 1), outdated("web", 2), outdated("web", 3).checked(1, 1, 1)
        ]),
        @"it drains until it is unhealthy, which it can never be without a healthcheck; write a healthcheck, or drain by time"
    );
}

#[test]
fn without_a_hook() {
    assert_snapshot!(
        note(UNHEALTHY, &[outdated("web", 1).checked(1, 2, 3)]),
        @r#"it drains until it is unhealthy, but no pre_stop hook makes its healthcheck fail; write one that creates a file, "pre_stop: [{command: [touch, /tmp/drain]}]", and let the healthcheck fail while it is there, with requests still answered"#
    );
}

#[test]
fn a_healthcheck_of_the_old_container_that_is_too_slow() {
    let timeout = |time: &str| format!("{HOOK}, x-zdd: {{drain: unhealthy, drain_timeout: {time}}}");
    // What the file says now plays no part.
    let now = "healthcheck: {test: [CMD, app], interval: 1s, retries: 1, timeout: 1s}";
    assert_snapshot!(
        note(&format!("{now}, {}", timeout("1m")), &[outdated("web", 1).checked(1, 1, 1), outdated("web", 2).checked(30, 5, 3)]),
        @r#"it drains until it is unhealthy, which takes up to 1m35s (interval 30s × retries 3 + timeout 5s), but drain_timeout is 1m00s; write "x-zdd: {drain_timeout: 100s}", and let it fail sooner in later rollouts"#
    );
    let old = [outdated("web", 1).checked(10, 5, 3)];
    assert_eq!(notes(&timeout("35s"), &old), [""; 0]);
    assert_eq!(notes(&timeout("34s"), &old).len(), 1);
}

#[test]
fn a_healthcheck_that_takes_for_ever_is_no_overflow() {
    let old = outdated("web", 1).checked(u64::MAX, u64::MAX, u32::MAX);
    assert_eq!(notes(&format!("{HOOK}, {UNHEALTHY}"), &[old]).len(), 1);
}

const RULE: (&str, &str) = ("traefik.http.routers.app.rule", "PathPrefix(`/`)");
const PORT: (&str, &str) = ("traefik.http.services.app.loadbalancer.server.port", "80");

/// What is said when the file has the one set of labels and the old container the other.
fn labels(old: &[(&str, &str)], new: &[(&str, &str)]) -> Vec<String> {
    labels_and("x-zdd: {drain: none}", old, new)
}

fn labels_and(lines: &str, old: &[(&str, &str)], new: &[(&str, &str)]) -> Vec<String> {
    let new: String = new.iter().map(|(key, value)| format!("{key}: \"{value}\", ")).collect();
    notes(&format!("{lines}, labels: {{{new}}}"), &[outdated("web", 1).labelled(old)])
}

#[test]
fn a_router_that_changes_under_its_name_is_dropped() {
    let new = [("traefik.http.routers.app.rule", "Host(`a`)"), PORT];
    let notes = labels(&[RULE, PORT], &new);
    assert_snapshot!(
        notes.join("\n"),
        @r#"labels: traefik.http.routers.app.rule is not what app-web-1 has, and while both run Traefik drops "app" and answers 404; give each router, service and middleware that changes a new name, and the routers that use it too, like "app-2""#
    );
    assert_eq!(labels_and("x-zdd: {drain: none, order: stop-first}", &[RULE, PORT], &new), [""; 0]);
}

#[test]
fn so_is_whatever_is_added_or_taken_away_or_written_otherwise() {
    let entry = ("traefik.http.routers.app.entrypoints", "web");
    let sticky = ("traefik.http.services.app.loadbalancer.sticky.cookie", "true");
    let header = |value| ("traefik.http.middlewares.h.headers.customresponseheaders.X-A", value);
    let found = |old: &[(&str, &str)], new: &[(&str, &str)]| labels(old, new).len();
    assert_eq!(found(&[RULE, PORT], &[RULE, PORT, entry]), 1);
    assert_eq!(found(&[RULE, PORT, entry], &[RULE, PORT]), 1);
    assert_eq!(found(&[RULE, PORT], &[RULE, PORT, sticky]), 1);
    assert_eq!(found(&[RULE, header("a")], &[RULE, header("b")]), 1);
    // Its only service has another name now, so the router means another one.
    let other = ("traefik.http.services.app-2.loadbalancer.server.port", "80");
    assert_eq!(found(&[RULE, PORT], &[RULE, other]), 1);
}

/// Each of them tried with Traefik 3.7.15: no request was refused.
#[test]
fn what_may_differ() {
    let found = |old: &[(&str, &str)], new: &[(&str, &str)]| labels(old, new);
    let rule = ("traefik.http.routers.app-2.rule", "Host(`a`)");
    assert_eq!(found(&[RULE, PORT], &[rule, PORT]), [""; 0]);
    assert_eq!(found(&[RULE, PORT], &[RULE, (PORT.0, "8080")]), [""; 0]);
    assert_eq!(found(&[RULE, PORT], &[RULE, PORT, ("traefik.docker.network", "web")]), [""; 0]);
    let header = ("traefik.http.middlewares.h.headers.customresponseheaders.X-A", "a");
    assert_eq!(found(&[RULE, PORT], &[RULE, PORT, header]), [""; 0]);
    assert_eq!(found(&[RULE, PORT], &[("Traefik.HTTP.Routers.App.Rule", RULE.1), PORT]), [""; 0]);
    assert_eq!(found(&[("other", "1")], &[("other", "2")]), [""; 0]);
    let off = ("traefik.enable", "false");
    assert_eq!(found(&[RULE, PORT, off], &[("traefik.http.routers.app.rule", "Host(`a`)"), PORT]), [""; 0]);
}

#[test]
fn a_dollar_of_the_file_is_one_dollar() {
    let old = ("traefik.http.routers.app.rule", "PathRegexp(`a$`)");
    let new = ("traefik.http.routers.app.rule", "PathRegexp(`a$$`)");
    assert_eq!(labels(&[old], &[new]), [""; 0]);
}

#[test]
fn traefik_without_a_drain_is_noted() {
    let traefik = [RULE, PORT];
    assert_snapshot!(
        labels_and("scale: 1", &traefik, &traefik).join("\n"),
        @r#"Traefik goes on sending requests to a stopped container until it notices; let Traefik see it unhealthy first: a pre_stop hook that makes its healthcheck fail, and "x-zdd: {settle: 3s, drain: {until: unhealthy, plus: 3s}}"; or "x-zdd: {drain: none}" if those may fail"#
    );
    assert_eq!(labels_and("x-zdd: {drain: 5s}", &traefik, &traefik), [""; 0]);
    let off = [("traefik.enable", "false")];
    assert_eq!(labels_and("scale: 1", &off, &off), [""; 0]);
}
