//! What cannot be rolled is refused before anything is touched: the same containers as before, exit code 2, and a
//! sentence with the line of the file.

use crate::stack::{APP, Stack, free_port, ids};

/// One way to hinder a rollout: lines of the service, and what comes after it; `mark: old` becomes `mark: new` with
/// the version.
struct Case {
    name: &'static str,
    service: String,
    rest: String,
    /// The key whose line is named, as it is written.
    key: &'static str,
    said: &'static str,
}

fn case(name: &'static str, service: &str, rest: &str, key: &'static str, said: &'static str) -> Case {
    Case { name, service: service.to_owned(), rest: rest.to_owned(), key, said }
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

fn cases() -> Vec<Case> {
    let port = format!("ports: [\"127.0.0.1:{}:80\"]", free_port());
    let range = format!("scale: 2\nports: [\"127.0.0.1:{}:80\"]", two_ports());
    let sidecar = format!(
        "  sidecar:\n    image: {APP}\n    network_mode: service:app\n    environment: {{APP_PORT: 81}}\n    x-zdd: {{monitor: 300ms}}"
    );
    let subnet = "networks: {n: {ipam: {config: [{subnet: 10.99.7.0/24}]}}}";
    let network = "networks: {default: {labels: {mark: old}}}";
    let volume = "volumes: {data: {labels: {mark: old}}}";
    vec![
        case("port", &port, "", "ports:", "can belong to one container only"),
        case("range", &range, "", "ports:", "have room for 2 containers only"),
        case("name", "container_name: zddtest-fixed", "", "container_name:", "can be taken only once"),
        case(
            "address",
            "networks: {n: {ipv4_address: 10.99.7.9}}",
            subnet,
            "networks:",
            "the address 10.99.7.9",
        ),
        case("mac", "mac_address: 02:42:ac:11:65:43", "", "mac_address:", "can be taken only once"),
        case("hostnet", "network_mode: host", "", "network_mode:", "on the host's network"),
        case("sidecar", "", &sidecar, "app:", "\"sidecar\" lives in its container (network_mode)"),
        case(
            "writer",
            "volumes: [data:/data]",
            "volumes: {data: {}}",
            "volumes:",
            "its only replica writes to volume \"data\"",
        ),
        case(
            "bind",
            "volumes: [./data:/data]",
            "",
            "volumes:",
            "/data\" at /data, and two generations would write at once",
        ),
        case("network", "", network, "app:", "networks changed"),
        case(
            "voldef",
            "scale: 2\nvolumes: [data:/data]",
            volume,
            "volumes:",
            "could only replace it with an empty one",
        ),
    ]
}

/// `compose.yaml:N`, where the text begins a line.
fn place(file: &str, text: &str) -> String {
    let line = file.lines().position(|line| line.trim_start().starts_with(text));
    format!("compose.yaml:{}: ", line.unwrap_or_else(|| panic!("no {text} in {file}")) + 1)
}

#[test]
fn what_cannot_be_rolled_is_refused_and_nothing_is_touched() {
    for Case { name, service, rest, key, said } in cases() {
        let lines: String = service.lines().map(|line| format!("    {line}\n")).collect();
        let file = format!(
            "services:\n  app:\n    image: {APP}\n    environment: {{V: \"${{V:-1}}\", APP_PORT: \"${{PORT:-80}}\"}}\n    x-zdd: {{monitor: 300ms}}\n{lines}{rest}\n"
        );
        let port = free_port().to_string();
        let env = |version| [("V", version), ("PORT", if name == "hostnet" { &port } else { "80" })];
        let stack = Stack::new(&format!("no{name}"), &file);
        stack.zdd_ok(&["up"], &env("1"));
        let before = stack.all_containers();
        stack.write("compose.yaml", &file.replace("mark: old", "mark: new"));

        let finished = stack.zdd(&["up"], &env("2"));

        assert_eq!(finished.code, 2, "{name}: {}", finished.stderr);
        let mut lines = finished.stderr.lines();
        let at = place(&file, key);
        assert!(
            lines.any(|line| line.starts_with(&at) && line.contains(said)),
            "{name}: {}",
            finished.stderr
        );
        assert!(finished.stderr.contains("nothing was touched"), "{name}: {}", finished.stderr);
        assert_eq!(ids(&stack.all_containers()), ids(&before), "{name}");
        assert_eq!(stack.all_containers(), before, "{name}");
    }
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
    assert!(finished.stderr.starts_with(said), "{}", finished.stderr);
    assert_eq!(stack.all_containers(), before);
}
