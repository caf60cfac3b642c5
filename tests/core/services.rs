//! The project, from what Compose 5.6.1 prints for the files in `data/compose`.

use std::collections::BTreeMap;

use zdd::{
    engine::config::{Hook, undollar},
    project::{Condition, Document, Overrides, Project, Service, linked_by as links_to},
};

use crate::make::{project, read, seconds};

/// The lines of `docker compose config --hash '*'`.
pub fn hashes(text: &str) -> BTreeMap<String, String> {
    let pair = |line: &str| line.split_once(' ').map(|(name, hash)| (name.to_owned(), hash.to_owned()));
    text.lines().filter_map(pair).collect()
}

fn shop() -> Project {
    shop_with(&Overrides::default())
}

fn shop_with(overrides: &Overrides) -> Project {
    let hashes = hashes(include_str!("data/config/shop.hash"));
    let document = Document::parse(include_str!("data/config/shop.yaml")).expect("what Compose prints");
    let mut shop = Project::read(document, overrides).expect("what Compose prints");
    shop.set_hashes(&hashes).expect("all hashes");
    shop
}

fn service(name: &str) -> Service {
    Service::clone(&shop().services[name])
}

#[test]
fn project_and_services() {
    let shop = shop();
    assert_eq!(shop.name, "shop");
    let names: Vec<_> = shop.services.keys().map(String::as_str).collect();
    assert_eq!(names, ["cache", "db", "dns", "mail", "migrate", "proxy", "web", "worker"]);
}

#[test]
fn hashes_are_compose_s_own() {
    for (name, service) in shop().services {
        assert_eq!(service.definition.hash.len(), 64, "{name}");
    }
}

#[test]
fn a_service_without_a_hash_is_an_error() {
    let mut project = project("services: {web: {image: app}}");
    assert_eq!(project.set_hashes(&BTreeMap::new()), Err("web".to_owned()));
}

#[test]
fn images_written_and_built() {
    let web = service("web");
    assert_eq!((web.image.reference.as_str(), web.image.builds), ("shop-web", true));
    let db = service("db");
    assert_eq!((db.image.reference.as_str(), db.image.builds), ("postgres:16", false));
    let built = read(include_str!("data/config/settings.yaml"), &Overrides::default());
    let built = &built.expect("a good file").services["built"];
    assert_eq!(
        (built.image.reference.as_str(), built.image.pull_policy.as_deref()),
        ("settings-built", Some("build"))
    );
    let both = &project("services: {web: {build: {context: .}, image: \"registry/web:1\"}}").services["web"];
    assert_eq!((both.image.reference.as_str(), both.image.builds), ("registry/web:1", true));
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
    assert_eq!(
        error.expect_err("wep").to_string(),
        "no such service: wep (in --scale wep=2); did you mean \"web\"?"
    );
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
fn a_service_awaited_to_its_end_is_a_job() {
    let jobs: Vec<_> = shop().services.values().filter(|s| s.is_job()).map(|s| s.name.clone()).collect();
    assert_eq!(jobs, ["migrate"]);
}

#[test]
fn files_that_compose_copies_in_are_known() {
    let injected: Vec<_> =
        shop().services.values().filter(|s| s.injected_files).map(|s| s.name.clone()).collect();
    assert_eq!(injected, ["cache", "mail"], "content: and environment:, not file:");
    let external = project(
        "services: {web: {image: app, configs: [{source: c}], secrets: [{source: s}]}}\n\
         configs: {c: {name: c, external: true}}\nsecrets: {s: {name: s, external: true}}",
    );
    assert!(!external.services["web"].injected_files);
}

#[test]
fn links_are_known_unless_an_alias_means_every_replica() {
    let linked_by = |web: &str, links: &str| {
        let file = format!("services: {{web: {{{web}}}, proxy: {{links: {links}}}}}");
        links_to("web", &project(&file).file).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(linked_by("image: app", "[web]"), ["proxy"]);
    assert_eq!(linked_by("image: app", "[\"web:app\"]"), ["proxy"]);
    assert_eq!(linked_by("image: app", "[webber]"), [""; 0]);
    assert_eq!(linked_by("networks: {default: {aliases: [app]}}", "[web]"), [""; 0]);
    assert_eq!(linked_by("networks: {default: null}", "[web]"), ["proxy"]);
}

#[test]
fn a_service_of_a_provider_is_known() {
    let provided: Vec<_> =
        shop().services.values().filter(|s| s.is_provider()).map(|s| s.name.clone()).collect();
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
        project(&file).services["web"].restart.clone()
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
    assert_eq!(project(limited).services["web"].restart, "on-failure:5");
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
    assert_eq!(service("cache").hooks, zdd::project::Hooks::default());
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
    let chain = project(
        "services:\n  a: {image: app, depends_on: {b: {}}}\n  b: {image: app, depends_on: {z: {}, y: {}}}\n  \
         y: {image: app, depends_on: {z: {}}}\n  z: {image: app}",
    );
    assert_eq!(chain.dependency_order(), ["z", "y", "b", "a"]);
}

#[test]
fn an_order_survives_what_is_missing_or_circular() {
    let odd = project(
        "services:\n  a: {image: app, depends_on: {b: {}, gone: {}}}\n  b: {image: app, depends_on: {a: {}}}",
    );
    assert_eq!(odd.dependency_order(), ["b", "a"]);
}

#[test]
fn what_is_no_resolved_file_is_an_error_in_words() {
    let not_understood = "the output of \"docker compose config\" is not understood";
    for (yaml, words) in [
        ("", "this is not a resolved compose file"),
        (": :", "this is not a resolved compose file"),
        ("services: {}", not_understood),
        ("name: app\nservices: []", not_understood),
        ("name: app\nservices: {web: {scale: many}}", not_understood),
    ] {
        let error = read(yaml, &Overrides::default()).expect_err(yaml);
        assert_eq!(error.to_string(), words, "{yaml}");
    }
    let empty = read("name: app", &Overrides::default());
    assert!(empty.expect("a project without services").services.is_empty());
}
