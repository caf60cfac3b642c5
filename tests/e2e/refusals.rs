//! What cannot be rolled is refused before anything is touched: the same containers as before, exit code 2, and a
//! sentence with the line of the file.

use crate::stack::{APP, Stack, compose_knows, free_port};

/// A service that cannot be rolled.
struct Case {
    name: &'static str,
    /// What it has besides an image and a version.
    lines: String,
    /// The key whose line is named, as it is written.
    key: &'static str,
    said: &'static str,
}

fn case(name: &'static str, lines: &str, key: &'static str, said: &'static str) -> Case {
    Case { name, lines: lines.to_owned(), key, said }
}

/// Two host ports side by side.
fn two_ports() -> String {
    loop {
        let (first, second) = (free_port(), free_port());
        if second == first + 1 {
            return format!("{first}-{second}");
        }
    }
}

/// All of them stand in one file.
fn cases() -> Vec<Case> {
    let port = format!("ports: [\"127.0.0.1:{}:80\"]", free_port());
    let range = format!("scale: 2\nports: [\"127.0.0.1:{}:80\"]", two_ports());
    let host = "network_mode: host\nuserns_mode: host\nentrypoint: [/zdd-app, sleep, \"600000\"]";
    let name = format!("container_name: zddtest-fixed-{}", std::process::id());
    vec![
        case("port", &port, "ports:", "can belong to one container only"),
        case("range", &range, "ports:", "have room for 2 containers only"),
        case("name", &name, "container_name:", "can be taken only once"),
        case("address", "networks: {n: {ipv4_address: 10.99.7.9}}", "networks:", "the address 10.99.7.9"),
        case("mac", "mac_address: 02:42:ac:11:65:43", "mac_address:", "can be taken only once"),
        case("hostnet", host, "network_mode:", "on the host's network"),
        case("carrier", "", "carrier:", "\"sidecar\" lives in its container (network_mode)"),
        case("writer", "volumes: [data:/data]", "volumes:", "its only replica writes to volume \"data\""),
        case(
            "bind",
            "volumes: [./data:/data]",
            "volumes:",
            "/data\" at /data, and two generations would write at once",
        ),
    ]
}

/// What has changed is not the service, but what it stands on.
fn changed_below() -> Vec<Case> {
    let volumes = "network_mode: none\nscale: 2\nvolumes: [data:/data]";
    vec![
        case("network", "", "network:", "networks changed"),
        case("volume", volumes, "volumes:", "could only replace it with an empty one"),
    ]
}

fn file(cases: &[Case], rest: &str) -> String {
    let service = |Case { name, lines, .. }: &Case| {
        let lines: String = lines.lines().map(|line| format!("    {line}\n")).collect();
        format!(
            "  {name}:\n    image: {APP}\n    environment: {{V: \"${{V:-1}}\"}}\n    x-zdd: {{monitor: 300ms}}\n{lines}"
        )
    };
    format!("services:\n{}{rest}", cases.iter().map(service).collect::<String>())
}

/// `compose.yaml:N`, where the text begins a line of the service.
fn place(file: &str, service: &str, text: &str) -> String {
    let lines: Vec<_> = file.lines().map(str::trim_start).collect();
    let head = lines.iter().position(|line| *line == format!("{service}:")).unwrap();
    let line = lines[head..].iter().position(|line| line.starts_with(text));
    format!("compose.yaml:{}: ", head + line.unwrap_or_else(|| panic!("no {text} in {file}")) + 1)
}

/// Version 2 of all services, after an edit, is refused for every one of them.
fn refuses(stack: &Stack, cases: &[Case], before: &str, after: &str) {
    stack.write("compose.yaml", before);
    stack.zdd_ok(&["up"], &[("V", "1")]);
    let running = stack.all_containers();
    stack.write("compose.yaml", after);

    let finished = stack.zdd(&["up"], &[("V", "2")]);

    assert_eq!(finished.code, 2, "{}", finished.stderr);
    for Case { name, key, said, .. } in cases {
        let at = place(after, name, key);
        let mut lines = finished.stderr.lines();
        assert!(
            lines.any(|line| line.starts_with(&at) && line.contains(said)),
            "{name}, {at}: {}",
            finished.stderr
        );
    }
    assert!(finished.stderr.contains("nothing was touched"), "{}", finished.stderr);
    assert_eq!(stack.all_containers(), running);
}

#[test]
fn what_cannot_be_rolled_is_refused_and_nothing_is_touched() {
    let rest = format!(
        "  sidecar:\n    image: {APP}\n    network_mode: service:carrier\n    environment: {{APP_PORT: 81}}\n    x-zdd: {{monitor: 300ms}}\nnetworks: {{n: {{ipam: {{config: [{{subnet: 10.99.7.0/24}}]}}}}}}\nvolumes: {{data: {{}}}}\n"
    );
    let (stack, cases) = (Stack::new("no", "services: {}"), cases());
    let file = file(&cases, &rest);
    refuses(&stack, &cases, &file, &file);
}

#[test]
fn what_has_changed_below_is_refused_and_nothing_is_touched() {
    let rest = "networks: {default: {labels: {mark: old}}}\nvolumes: {data: {labels: {mark: old}}}\n";
    let (stack, mut cases) = (Stack::new("nobelow", "services: {}"), changed_below());
    // 2.31 goes on with the old volume, as if nothing had changed.
    if !compose_knows((2, 40), "question about a volume that has changed") {
        cases.retain(|case| case.name != "volume");
    }
    let file = file(&cases, rest);
    refuses(&stack, &cases, &file, &file.replace("mark: old", "mark: new"));
}

/// Compose refuses it before anybody else.
#[test]
fn a_file_that_contradicts_itself_is_refused_and_nothing_is_touched() {
    let file = format!("services:\n  app:\n    image: {APP}\n    x-zdd: {{monitor: 300ms}}\n    scale: 2\n");
    let stack = Stack::new("nocounts", &file);
    stack.zdd_ok(&["up"], &[]);
    let before = stack.all_containers();
    stack.write("compose.yaml", &(file + "    deploy: {replicas: 3}\n"));

    let finished = stack.zdd(&["up"], &[]);

    assert_eq!(finished.code, 1, "{}", finished.stderr);
    let said =
        "services.app: can't set distinct values on 'scale' and 'deploy.replicas': invalid compose project";
    assert!(finished.said().starts_with(said), "{}", finished.stderr);
    assert_eq!(stack.all_containers(), before);
}
