//! The model, from what Compose 5.6.1 prints for the files in `data/compose`.

use std::collections::BTreeMap;

use zdd::model::{Condition, Hook, Model, Overrides, Service, compose::undollar};

use crate::make::{model, read, seconds};

/// The lines of `docker compose config --hash '*'`.
pub fn hashes(text: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| line.split_once(' ').map(|(name, hash)| (name.to_owned(), hash.to_owned()));
    text.lines().filter_map(pair).collect()
}

fn shop() -> Model {
    shop_with(&Overrides::default())
}

fn shop_with(overrides: &Overrides) -> Model {
    let hashes = hashes(include_str!("data/config/shop.hash"));
    Model::from_config(include_str!("data/config/shop.yaml"), &hashes, overrides)
        .expect("what Compose prints")
}

fn service(name: &str) -> Service {
    shop().services.remove(name).expect(name)
}

#[test]
fn project_and_services() {
    let shop = shop();
    assert_eq!(shop.project, "shop");
    let names: Vec<_> = shop.services.keys().map(String::as_str).collect();
    assert_eq!(names, ["cache", "db", "dns", "mail", "migrate", "proxy", "web", "worker"]);
}

#[test]
fn hashes_are_compose_s_own() {
    for (name, service) in shop().services {
        assert_eq!(service.hash.len(), 64, "{name}");
    }
}

#[test]
fn a_service_without_a_hash_is_an_error() {
    let read = Model::from_config(
        "name: app\nservices: {web: {image: app}}",
        &BTreeMap::new(),
        &Overrides::default(),
    );
    let error = read.expect_err("no hash").to_string();
    assert_eq!(error, "\"docker compose config --hash\" does not name service web");
}

#[test]
fn images_written_and_built() {
    let web = service("web");
    assert_eq!((web.image.as_str(), web.builds), ("shop-web", true));
    let db = service("db");
    assert_eq!((db.image.as_str(), db.builds), ("postgres:16", false));
    let built = read(include_str!("data/config/settings.yaml"), &Overrides::default());
    let built = &built.expect("a good file").services["built"];
    assert_eq!((built.image.as_str(), built.pull_policy.as_deref()), ("settings-built", Some("build")));
    let both = &model("services: {web: {build: {context: .}, image: \"registry/web:1\"}}").services["web"];
    assert_eq!((both.image.as_str(), both.builds), ("registry/web:1", true));
}

#[test]
fn replicas_from_scale_deploy_and_flag() {
    let replicas = |name: &str| service(name).replicas;
    assert_eq!((replicas("web"), replicas("worker"), replicas("cache")), (3, 2, 1));
    let scale = BTreeMap::from([("web".to_owned(), 7), ("worker".to_owned(), 0)]);
    let shop = shop_with(&Overrides { scale, ..Overrides::default() });
    assert_eq!((shop.services["web"].replicas, shop.services["worker"].replicas), (7, 0));
    assert_eq!(shop.services["cache"].replicas, 1);
}

#[test]
fn a_scale_of_no_service_is_an_error() {
    let scale = BTreeMap::from([("wep".to_owned(), 2)]);
    let overrides = Overrides { scale, ..Overrides::default() };
    let error = read(include_str!("data/config/shop.yaml"), &overrides);
    assert_eq!(error.expect_err("wep").to_string(), "no such service: wep (in --scale wep=2)");
}

#[test]
fn dependencies_with_their_conditions() {
    let on = |name: &str| -> Vec<_> {
        let depends_on = service(name).depends_on;
        depends_on.into_iter().map(|d| (d.service, d.condition, d.required)).collect()
    };
    let one = |service: &str, condition, required| (service.to_owned(), condition, required);
    assert_eq!(
        on("web"),
        [
            one("cache", Condition::Started, true),
            one("db", Condition::Healthy, true),
            one("migrate", Condition::Completed, true),
            one("tracing", Condition::Started, false),
        ]
    );
    assert_eq!(on("worker"), [one("cache", Condition::Started, true)]);
    assert_eq!(on("cache"), []);
}

#[test]
fn a_service_awaited_to_its_end_is_one_shot() {
    let one_shot: Vec<_> = shop().services.into_values().filter(|s| s.one_shot).map(|s| s.name).collect();
    assert_eq!(one_shot, ["migrate"]);
}

#[test]
fn files_that_compose_copies_in_are_known() {
    let injected: Vec<_> =
        shop().services.into_values().filter(|s| s.injected_files).map(|s| s.name).collect();
    assert_eq!(injected, ["cache", "mail"], "content: and environment:, not file:");
    let external = model(
        "services: {web: {image: app, configs: [{source: c}], secrets: [{source: s}]}}\n\
         configs: {c: {name: c, external: true}}\nsecrets: {s: {name: s, external: true}}",
    );
    assert!(!external.services["web"].injected_files);
}

#[test]
fn links_are_known_unless_an_alias_means_every_replica() {
    let linked_by = |web: &str, links: &str| {
        let file = format!("services: {{web: {{{web}}}, proxy: {{links: {links}}}}}");
        model(&file).services["web"].linked_by.clone()
    };
    assert_eq!(linked_by("image: app", "[web]"), ["proxy"]);
    assert_eq!(linked_by("image: app", "[\"web:app\"]"), ["proxy"]);
    assert_eq!(linked_by("image: app", "[webber]"), [""; 0]);
    assert_eq!(linked_by("networks: {default: {aliases: [app]}}", "[web]"), [""; 0]);
    assert_eq!(linked_by("networks: {default: null}", "[web]"), ["proxy"]);
}

#[test]
fn a_service_of_a_provider_is_known() {
    let provided: Vec<_> = shop().services.into_values().filter(|s| s.provider).map(|s| s.name).collect();
    assert_eq!(provided, ["dns"]);
}

#[test]
fn restart_and_grace() {
    let web = service("web");
    assert_eq!((web.restart.as_str(), web.grace), ("unless-stopped", seconds(90)));
    let migrate = service("migrate");
    assert_eq!((migrate.restart.as_str(), migrate.grace), ("no", seconds(10)));
    assert_eq!(service("db").restart, "no", "the engine's default");
}

#[test]
fn a_restart_policy_of_deploy_wins() {
    let restart = |policy: &str| {
        let file =
            format!("services: {{web: {{restart: on-failure, deploy: {{restart_policy: {policy}}}}}}}");
        model(&file).services["web"].restart.clone()
    };
    for (policy, restart_as) in [
        ("{condition: none}", "no"),
        ("{condition: none, max_attempts: 3}", "no"),
        ("{condition: \"no\"}", "no"),
        ("{condition: on-failure}", "on-failure"),
        ("{condition: on-failure, max_attempts: 3}", "on-failure:3"),
        ("{condition: any}", "always"),
        ("{condition: always}", "always"),
        ("{condition: unless-stopped}", "unless-stopped"),
        ("{delay: 5s}", "no"),
        ("{max_attempts: 3}", "no"),
        ("{}", "no"),
        ("null", "on-failure"),
    ] {
        assert_eq!(restart(policy), restart_as, "{policy}");
    }
    let limited = "services: {web: {restart: \"on-failure:5\"}}";
    assert_eq!(model(limited).services["web"].restart, "on-failure:5");
}

#[test]
fn hooks_are_undollared() {
    let hooks = service("web").hooks;
    let pre_stop = Hook {
        command: ["sh", "-c", "kill $(cat /run/app.pid)"].map(str::to_owned).into(),
        user: Some("root".to_owned()),
        privileged: true,
        working_dir: Some("/srv".to_owned()),
        environment: BTreeMap::from([
            ("EMPTY".to_owned(), Some(String::new())),
            ("FROM_SHELL".to_owned(), None),
            ("TOKEN".to_owned(), Some("a$b".to_owned())),
        ]),
        image: None,
    };
    let sleep = Hook { command: vec!["sleep".to_owned(), "5".to_owned()], ..Hook::default() };
    assert_eq!(hooks.pre_stop, [pre_stop, sleep]);
    assert_eq!(hooks.post_start, [Hook { command: vec!["announce".to_owned()], ..Hook::default() }]);
    let [warm] = hooks.pre_start.as_slice() else { panic!("{:?}", hooks.pre_start) };
    assert_eq!(warm.command, ["warm", "$HOME", "$$"]);
    assert_eq!(warm.image.as_deref(), Some("warmer:1"));
    assert_eq!(warm.environment["PRICE"].as_deref(), Some("5$"));
    assert_eq!(service("cache").hooks, zdd::model::Hooks::default());
}

#[test]
fn dollars_come_in_pairs() {
    for (doubled, single) in [("", ""), ("$$", "$"), ("$$$$", "$$"), ("a$$b$$c", "a$b$c"), ("plain", "plain")]
    {
        assert_eq!(undollar(doubled), single);
        assert_eq!(undollar(&single.replace('$', "$$")), single);
    }
}

#[test]
fn every_service_stands_behind_what_it_depends_on() {
    let order = shop().dependency_order();
    assert_eq!(order, ["cache", "db", "dns", "mail", "migrate", "proxy", "web", "worker"]);
    let chain = model(
        "services:\n  a: {image: app, depends_on: {b: {}}}\n  b: {image: app, depends_on: {z: {}, y: {}}}\n  \
         y: {image: app, depends_on: {z: {}}}\n  z: {image: app}",
    );
    assert_eq!(chain.dependency_order(), ["z", "y", "b", "a"]);
}

#[test]
fn an_order_survives_what_is_missing_or_circular() {
    let odd = model(
        "services:\n  a: {image: app, depends_on: {b: {}, gone: {}}}\n  b: {image: app, depends_on: {a: {}}}",
    );
    assert_eq!(odd.dependency_order(), ["b", "a"]);
}

#[test]
fn what_is_no_resolved_file_is_an_error_in_words() {
    for yaml in
        ["", "services: {}", "name: app\nservices: []", "name: app\nservices: {web: {scale: many}}", ": :"]
    {
        let error = read(yaml, &Overrides::default()).expect_err(yaml);
        assert_eq!(error.to_string(), "the output of \"docker compose config\" is not understood", "{yaml}");
    }
    let empty = read("name: app", &Overrides::default());
    assert!(empty.expect("a project without services").services.is_empty());
}
