//! How old containers leave the proxy: what is written, and what is chosen from what runs.

use std::time::Duration;

use insta::assert_snapshot;
use zdd::{
    engine::{Container, Replica, container::Endpoint},
    helper::Presence,
    plan::Request,
    platform::compose::Observed,
    project::{Drain, Overrides, Until},
    proxy::{Haproxy, Way, listen},
};

use crate::{
    make::{self, Turned, current, observed, outdated, plan, planned, project, seconds},
    world::World,
};

fn read(drain: &str) -> Result<Drain, String> {
    let yaml = format!("name: app\nservices: {{web: {{image: app, x-zdd: {{drain: {drain}}}}}}}");
    make::read(&yaml, &Overrides::default())
        .map(|project| project.services["web"].settings.drain.clone())
        .map_err(|e| format!("{e:#}"))
}

fn drain(until: Until, plus: Duration) -> Result<Drain, String> {
    Ok(Drain { until, plus })
}

fn haproxy(service: Option<&str>, socket: Option<&str>) -> Until {
    Until::Haproxy { service: service.map(str::to_owned), socket: socket.map(str::to_owned) }
}

#[test]
fn a_word() {
    assert_eq!(read("auto"), Ok(Drain::default()));
    assert_eq!(read("none"), drain(Until::Now, Duration::ZERO));
    assert_eq!(read("unhealthy"), drain(Until::Unhealthy, Duration::ZERO));
    assert_eq!(read("haproxy"), drain(haproxy(None, None), Duration::ZERO));
}

#[test]
fn a_time() {
    assert_eq!(read("5s"), drain(Until::Now, seconds(5)));
    assert_eq!(read("0s"), read("none"));
}

#[test]
fn a_mapping() {
    assert_eq!(read("{until: unhealthy, plus: 2s}"), drain(Until::Unhealthy, seconds(2)));
    assert_eq!(read("{plus: 2s}"), drain(Until::Auto, seconds(2)));
    assert_eq!(read("{}"), Ok(Drain::default()));
    let written = haproxy(Some("lb"), Some("/run/haproxy.sock"));
    assert_eq!(
        read("{until: haproxy, service: lb, socket: /run/haproxy.sock}"),
        drain(written, Duration::ZERO)
    );
}

#[test]
fn what_is_wrong() {
    let forms = "write none, unhealthy, haproxy, a time like \"5s\", \
                 or a mapping like \"{until: unhealthy, plus: 2s}\"";
    for text in ["traefik", "5", "true", "[unhealthy]"] {
        let shown = if text == "[unhealthy]" { "[\"unhealthy\"]" } else { text };
        assert_eq!(read(text), Err(format!("services.web.x-zdd.drain: \"{shown}\" is not known; {forms}")));
    }
    assert_eq!(
        read("{until: idle}"),
        Err("services.web.x-zdd.drain.until: \"idle\" is not known; write none, unhealthy or haproxy"
            .to_owned())
    );
    assert_eq!(
        read("{until: unhealty}"),
        Err("services.web.x-zdd.drain.until: \"unhealty\" is not known; did you mean \"unhealthy\"? write none, \
             unhealthy or haproxy"
            .to_owned())
    );
    assert_eq!(
        read("haprox"),
        Err(format!("services.web.x-zdd.drain: \"haprox\" is not known; did you mean \"haproxy\"? {forms}"))
    );
    assert_eq!(
        read("{untill: none}"),
        Err("services.web.x-zdd.drain.untill: unknown key; did you mean \"until\"? known keys are until, plus, service, \
             socket"
            .to_owned())
    );
    assert_eq!(
        read("{wait: 5s}"),
        Err("services.web.x-zdd.drain.wait: unknown key; known keys are until, plus, service, socket"
            .to_owned())
    );
    assert_eq!(
        read("{plus: 5}"),
        Err("services.web.x-zdd.drain.plus: \"5\" has no unit: write \"5s\"".to_owned())
    );
    assert_eq!(
        read("{until: [a]}"),
        Err("services.web.x-zdd.drain.until: \"[\"a\"]\" is not a word".to_owned())
    );
    assert_eq!(
        read("{until: unhealthy, service: lb}"),
        Err("services.web.x-zdd.drain: service and socket go with \"until: haproxy\" only".to_owned())
    );
}

#[test]
fn in_words() {
    for (text, words) in [
        ("auto", "auto"),
        ("none", "none"),
        ("5s", "5s"),
        ("unhealthy", "unhealthy"),
        ("{until: unhealthy, plus: 2s}", "unhealthy, then 2s"),
        ("{until: haproxy, service: lb}", "haproxy in lb"),
    ] {
        assert_eq!(read(text).expect(text).to_string(), words);
    }
}

trait Attached {
    fn on(self, network: &str) -> Self;
    fn of(self, image: &str, command: &str) -> Self;
}

impl Attached for Container {
    fn on(mut self, network: &str) -> Self {
        let addresses = vec![[172, 18, 0, 2].into()];
        self.networks.insert(network.to_owned(), Endpoint { addresses, ..Endpoint::default() });
        self
    }

    fn of(self, image: &str, command: &str) -> Self {
        let command = command.split(' ').map(str::to_owned).collect();
        Container { image: image.to_owned(), command, ..self }
    }
}

const WEB: &str = "services: {web: {image: app}, lb: {image: lb}}";

fn proxy() -> Container {
    current("lb", 1).on("app_default").of("haproxy:3", "docker-entrypoint.sh")
}

/// What `web` leaves through.
fn ways(file: &str, containers: &[Container]) -> Vec<Way> {
    let plan = planned(file, containers);
    plan.services.into_iter().find(|service| service.service == "web").expect("web").ways
}

fn through(proxy: &Container, socket: Option<&str>) -> [Way; 1] {
    let proxies = vec![Replica::from(proxy)];
    [Way::Haproxy(Haproxy { proxies, socket: socket.map(str::to_owned), has_none: false })]
}

#[test]
fn haproxy_is_found_by_image_or_program() {
    let web = outdated("web", 1).on("app_default");
    assert_eq!(ways(WEB, &[web.clone(), proxy()]), through(&proxy(), None));
    let built = proxy().of("our-lb", "/usr/local/sbin/haproxy");
    assert_eq!(ways(WEB, &[web.clone(), built.clone()]), through(&built, None));
    let entered = proxy().of("app-lb", "docker-entrypoint.sh haproxy -W -db -f /etc/haproxy/haproxy.cfg");
    assert_eq!(ways(WEB, &[web.clone(), entered.clone()]), through(&entered, None));
    for (image, command) in [
        ("traefik:3", "/traefik"),
        ("haproxy-tools/log:1", "/log --of haproxy"),
        ("prom/haproxy-exporter:1", "/bin/haproxy_exporter"),
        ("app-lb", "docker-entrypoint.sh nginx -c /etc/haproxy"),
    ] {
        let other = proxy().of(image, command);
        assert_eq!(ways(WEB, &[web.clone(), other]), [], "{image}");
    }
    assert_eq!(ways(WEB, &[web]), []);
}

#[test]
fn haproxy_may_stand_in_another_project() {
    let own = project("services: {web: {image: app}}");
    let web = outdated("web", 1).on("edge");
    let ways = |neighbors: &[Container]| {
        let observed =
            Observed { neighbors: neighbors.to_vec(), ..observed(&own, std::slice::from_ref(&web)) };
        plan(&own, &observed, &Request::default()).services.remove(0).ways
    };
    let edge = Container { service: "edge".to_owned(), ..proxy().on("edge") };
    assert_eq!(ways(std::slice::from_ref(&edge)), through(&edge, None));
    assert_eq!(ways(&[edge.of("traefik:3", "/traefik")]), []);
    assert_eq!(ways(&[proxy()]), [], "on another network");
}

#[test]
fn haproxy_elsewhere_or_stopped_is_not_asked() {
    let web = outdated("web", 1).on("app_default");
    let elsewhere = current("lb", 1).on("app_back").of("haproxy:3", "haproxy");
    assert_eq!(ways(WEB, &[web.clone(), elsewhere]), []);
    assert_eq!(ways(WEB, &[web, proxy().exited(0)]), []);
}

/// Where connections wait a HAProxy is told to, unless it was asked and has not answered.
#[test]
fn a_haproxy_that_is_silent_is_told_nothing() {
    let file = "services: {web: {image: app, ports: [{target: 80, published: '80'}]}, lb: {image: lb}}";
    let containers = [outdated("web", 1).on("app_default"), proxy()];
    let project = make::project(file);
    let found = Haproxy::find("web", None, None, &containers).expect("it is there");
    let mut observed = Observed { helper: Presence::Ready, ..make::observed(&project, &containers) };
    let ways = |observed: &Observed| {
        let plan = make::plan(&project, observed, &Request::default());
        plan.services.into_iter().find(|service| service.service == "web").expect("web").ways
    };
    assert_eq!(ways(&observed), [Way::KeepUp(found.clone()), Way::Hold]);
    observed.heard = listen([&found].into_iter(), &World::new(&project, vec![]));
    assert_eq!(ways(&observed), [Way::Hold]);
}

/// Each service that is changed, in the order of the plan, and what it waits for.
fn order(file: &str, containers: &[Container]) -> String {
    let plan = planned(file, containers);
    let changed = plan.services.iter().filter(|service| !service.operations.is_empty());
    changed.map(|s| format!("{} after {:?}", s.service, s.after)).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_proxy_that_changes_goes_first_unless_it_depends_on_the_service() {
    let old = |c: Container| Container { config_hash: "old".to_owned(), ..c };
    let web = outdated("web", 1).on("app_default");
    let app = outdated("app", 1).on("app_default");
    let both = [web.clone(), old(proxy())];
    assert_eq!(order(WEB, &both), r#"lb after [], web after ["lb"]"#);
    assert_eq!(order(WEB, &[web.clone(), proxy()]), "web after []");
    let waits = WEB.replace("{image: app}", "{image: app, depends_on: {lb: {}}}");
    assert_eq!(order(&waits, &both), r#"lb after [], web after ["lb"]"#);
    let behind = WEB.replace("{image: lb}", "{image: lb, depends_on: {web: {}}}");
    assert_eq!(order(&behind, &both), r#"web after [], lb after ["web"]"#);
    let far = "services: {app: {image: app}, web: {image: app, depends_on: {app: {}}}, lb: {image: lb, depends_on: {web: {}}}}";
    let all = [app.clone(), web.clone(), old(proxy())];
    assert_eq!(order(far, &all), r#"app after [], web after ["app"], lb after ["web"]"#);
    let chain = "services: {app: {image: app}, web: {image: app, depends_on: {app: {}}}, lb: {image: lb}}";
    assert_eq!(order(chain, &all), r#"lb after [], app after ["lb"], web after ["app", "lb"]"#);
    let undrained = WEB.replace("{image: app}", "{image: app, x-zdd: {drain: none}}");
    assert_eq!(order(&undrained, &both), "lb after [], web after []");
}

/// Each is found to be the other's proxy; one of them has to begin.
#[test]
fn two_proxies_do_not_wait_for_each_other() {
    let one = Container { config_hash: "old".to_owned(), ..proxy() };
    let two = outdated("edge", 1).on("app_default").of("haproxy:3", "haproxy");
    let file = "services: {edge: {image: edge}, lb: {image: lb}}";
    assert_eq!(order(file, &[one, two]), r#"lb after [], edge after ["lb"]"#);
}

#[test]
fn haproxy_does_not_drain_itself() {
    let plan = planned(WEB, &[Container { config_hash: "old".to_owned(), ..proxy() }]);
    assert_eq!(plan.services.into_iter().find(|s| s.service == "lb").expect("lb").ways, []);
}

#[test]
fn what_is_written_wins_over_what_is_found() {
    let containers = [outdated("web", 1).on("app_default"), proxy(), current("edge", 1).on("app_default")];
    let with = |drain: &str| WEB.replace("web: {", &format!("web: {{x-zdd: {{drain: {drain}}}, "));
    assert_eq!(ways(&with("none"), &containers), []);
    assert_eq!(ways(&with("3s"), &containers), [Way::Delay { seconds: 3.0 }]);
    assert_eq!(ways(&with("unhealthy"), &containers), [Way::Unhealthy]);
    assert_eq!(
        ways(&with("{until: haproxy, service: edge, socket: /s}"), &containers),
        through(&containers[2], Some("/s"))
    );
}

#[test]
fn the_plan_says_how() {
    let containers = [outdated("web", 1).on("app_default"), proxy()];
    let with = |drain: &str| WEB.replace("web: {", &format!("web: {{x-zdd: {{drain: {drain}}}, "));
    let step = |drain: &str| {
        let plan = planned(&with(drain), &containers).to_string();
        plan.lines().find(|line| line.contains("drain")).expect("a drain").trim().to_owned()
    };
    assert_eq!(step("auto"), "3. drain app-web-1 through HAProxy in app-lb-1");
    assert_eq!(step("none"), "3. drain app-web-1");
    assert_eq!(step("5s"), "3. drain app-web-1, then 5s");
    assert_eq!(
        step("{until: unhealthy, plus: 2s}"),
        "3. drain app-web-1 until Docker calls it unhealthy, then 2s"
    );
}

#[test]
fn a_proxy_that_is_asked_for_and_not_there_is_noted() {
    let file = "services: {web: {image: app, x-zdd: {drain: haproxy}}}";
    assert_snapshot!(planned(file, &[outdated("web", 1)]), @r#"
    Project app
      web  roll       configuration changed
             1. start 1 new container (scale 2; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain app-web-1
             4. stop app-web-1 (rollback: start again)
             5. remove app-web-1
           note: drain: no container on its networks is known to run HAProxy, so nothing is drained; if one does, write "x-zdd: {drain: {until: haproxy, service: NAME}}"
    "#);
    assert_eq!(planned(file, &[current("web", 1)]).services[0].notes, [""; 0]);
}
