//! The whole file in one command: only what changed is touched, in order.

use crate::{
    rolling::HAPROXY_CFG,
    stack::{APP, HAPROXY, Seen, Stack, TIMEOUT, free_port, traffic},
};

/// Ten services: web ×3 behind a proxy, api, worker, a database with a volume and a fixed port, a cache, a
/// one-shot migration, a cron under a profile, mail, and a reporter that follows the database.
fn shop(port: u16, database_port: u16) -> String {
    let app = |name: &str, version: &str, more: &str| {
        format!(
            "  {name}:\n    image: {APP}\n    stop_grace_period: 2s\n    environment: {{APP_VERSION: \"${{{version}:-1}}\"}}\n    healthcheck: {{test: [\"CMD\", \"/zdd-app\", \"health\"], interval: 1s, timeout: 2s, retries: 5, start_period: 20s}}\n{more}"
        )
    };
    let mut file = String::from("name: shop\nx-zdd: {monitor: 500ms}\nservices:\n");
    file += &app(
        "web",
        "WEB",
        "    deploy: {replicas: 3}\n    depends_on: {api: {condition: service_healthy}}\n",
    );
    file += &app(
        "api",
        "API",
        "    depends_on: {db: {condition: service_healthy}, migrate: {condition: service_completed_successfully}}\n",
    );
    file += &app(
        "worker",
        "WORKER",
        "    deploy: {replicas: 2, update_config: {parallelism: 1}}\n    depends_on: [db, cache]\n",
    );
    file += &app(
        "db",
        "DB",
        &format!("    ports: [\"127.0.0.1:{database_port}:80\"]\n    volumes: [data:/data]\n"),
    );
    file += &app("cache", "CACHE", "");
    file += &app("mail", "MAIL", "");
    file += &app("reporter", "REPORTER", "    depends_on: [db]\n");
    file += &app("cron", "CRON", "    profiles: [cron]\n");
    file += &format!(
        "  migrate:\n    image: {APP}\n    command: [exit, \"0\"]\n    environment: {{FOR: \"${{API:-1}}\"}}\n    depends_on: {{db: {{condition: service_healthy}}}}\n"
    );
    file += &format!(
        "  lb:\n    image: {HAPROXY}\n    ports: [\"127.0.0.1:{port}:80\"]\n    environment: {{STATS_PASSWORD: stats}}\n    volumes: [\"./haproxy.cfg:/usr/local/etc/haproxy/haproxy.cfg:ro\"]\n    depends_on: [web]\n"
    );
    file + "volumes: {data: {}}\n"
}

fn of(all: &[Seen], service: &str) -> Vec<Seen> {
    all.iter().filter(|c| c.name.contains(&format!("-{service}-"))).cloned().collect()
}

#[test]
fn four_of_ten_services_change_and_only_they_are_replaced() {
    let port = free_port();
    let stack = Stack::new("whole", &shop(port, free_port()));
    stack.write("haproxy.cfg", &HAPROXY_CFG.replace("app-pool", "web"));
    let up = ["--profile", "cron", "up"];
    let first = stack.zdd_ok(&up, &[]);
    let before = stack.all_containers();
    assert_eq!(before.len(), 13, "{before:?}");
    let load = traffic(port);

    // A new API has a new migration.
    let env = [("WEB", "2"), ("WORKER", "2"), ("API", "2")];
    let finished = stack.zdd_ok(&up, &env);

    assert!(load.wait_version("2", TIMEOUT));
    let report = load.stop();
    assert!(report.failed().is_empty(), "{report}");
    let after = stack.all_containers();
    assert_eq!(after.len(), 13, "{after:?}");
    for service in ["db", "cache", "mail", "reporter", "cron", "lb"] {
        assert_eq!(of(&after, service), of(&before, service), "{service}");
    }
    for service in ["web", "api", "worker", "migrate"] {
        let old = of(&before, service);
        assert!(
            of(&after, service).iter().all(|c| !old.iter().any(|o| o.id == c.id)),
            "{service}: {after:?}"
        );
        assert_eq!(of(&after, service).len(), old.len(), "{service}");
    }
    let line = |service: &str, what: &str| {
        let of_it = |line: &str| line.split_whitespace().nth(1) == Some(service) && line.contains(what);
        finished
            .stderr
            .lines()
            .position(of_it)
            .unwrap_or_else(|| panic!("{service} {what}: {}", finished.stderr))
    };
    // Compose 5.6 says so at every call of a `deploy.update_config`, which counts here.
    for said in [&first.stderr, &finished.stderr] {
        assert!(!said.contains("Swarm"), "{said}");
    }
    assert!(line("migrate", "done in") < line("api", "started"), "{}", finished.stderr);
    assert!(line("api", "done in") < line("web", "started"), "{}", finished.stderr);

    let env = [&env[..], &[("DB", "2"), ("MAIL", "2")]].concat();
    one_that_needs_downtime_stops_everything_before_it_begins(&stack, &env);
}

fn one_that_needs_downtime_stops_everything_before_it_begins(stack: &Stack, env: &[(&str, &str)]) {
    let before = stack.all_containers();
    let finished = stack.zdd(&["up"], env);
    assert_eq!(finished.code, 2, "{}", finished.stderr);
    assert_eq!(stack.all_containers(), before);
    assert!(finished.stderr.contains("compose.yaml:"), "no line of the file: {}", finished.stderr);

    let finished = stack.zdd_ok(&["up", "--allow-downtime"], env);
    assert!(finished.stderr.contains("db was down for"), "{}", finished.stderr);
    let after = stack.all_containers();
    assert_ne!(of(&after, "db"), of(&before, "db"));
    assert_eq!(of(&after, "db").len(), 1, "{after:?}");
    assert_eq!(of(&after, "web"), of(&before, "web"));
}
