//! What cannot be rolled is refused before anything is touched: the same containers as before, exit code 2, and a
//! sentence with the line of the file.

use crate::stack::{APP, Stack, free_port, ids};

/// One way to hinder a rollout: lines of the service and at top level; `mark: old` becomes `mark: new` with the version.
struct Case {
    name: &'static str,
    service: String,
    top: &'static str,
    said: &'static str,
}

fn case(name: &'static str, service: &str, top: &'static str, said: &'static str) -> Case {
    Case { name, service: service.to_owned(), top, said }
}

fn cases() -> Vec<Case> {
    let port = format!("ports: [\"127.0.0.1:{}:80\"]", free_port());
    vec![
        case("port", &port, "", "can belong to one container only"),
        case("name", "container_name: zddtest-fixed", "", "can be taken only once"),
        case(
            "address",
            "networks: {n: {ipv4_address: 10.99.7.9}}",
            "networks: {n: {ipam: {config: [{subnet: 10.99.7.0/24}]}}}",
            "the address 10.99.7.9",
        ),
        case("mac", "mac_address: 02:42:ac:11:65:43", "", "can be taken only once"),
        case("hostnet", "network_mode: host", "", "on the host's network"),
        case("writer", "volumes: [data:/data]", "volumes: {data: {}}", "its only replica writes to volume"),
        case("network", "", "networks: {default: {labels: {mark: old}}}", "networks changed"),
        case(
            "voldef",
            "scale: 2\nvolumes: [data:/data]",
            "volumes: {data: {labels: {mark: old}}}",
            "could only replace it with an empty one",
        ),
    ]
}

#[test]
fn what_cannot_be_rolled_is_refused_and_nothing_is_touched() {
    for Case { name, service, top, said } in cases() {
        let lines: String = service.lines().map(|line| format!("    {line}\n")).collect();
        let file = format!(
            "services:\n  app:\n    image: {APP}\n    environment: {{V: \"${{V:-1}}\", APP_PORT: \"${{PORT:-80}}\"}}\n    x-zdd: {{monitor: 300ms}}\n{lines}{top}\n"
        );
        let port = free_port().to_string();
        let env = |version| [("V", version), ("PORT", if name == "hostnet" { &port } else { "80" })];
        let stack = Stack::new(&format!("no{name}"), &file);
        stack.zdd_ok(&["up"], &env("1"));
        let before = stack.all_containers();
        stack.write("compose.yaml", &file.replace("mark: old", "mark: new"));

        let finished = stack.zdd(&["up"], &env("2"));

        assert_eq!(finished.code, 2, "{name}: {}", finished.stderr);
        assert!(finished.stderr.contains(said), "{name}: {}", finished.stderr);
        assert!(finished.stderr.contains("nothing was touched"), "{name}: {}", finished.stderr);
        assert_eq!(ids(&stack.all_containers()), ids(&before), "{name}");
        assert_eq!(stack.all_containers(), before, "{name}");
    }
}
