//! Docker Swarm: the plan, and the verdict on what a look has seen.

mod news;
mod plan;
mod read;
mod watch;

use serde_json::{Value, json};
use zdd::{
    engine::swarm::{Node, Service, Task, Update},
    platform::swarm::{HASH_LABEL, SETTINGS_LABEL},
};

/// `app.1 n1 running`, `app.2 n2 shutdown complete "why"`: slot, node, what is wanted where it is not to run, state, error.
/// Its ID is its slot and node; one that ends with a `'` is another one.
fn task(line: &str) -> Task {
    let (line, error) = line.split_once(" \"").unwrap_or((line, ""));
    let mut words = line.split(' ');
    let (slot, node) = (words.next().expect("a slot"), words.next().expect("a node"));
    let rest: Vec<_> = words.collect();
    let (desired, state) = match rest.as_slice() {
        [state] => ("running", *state),
        [desired, state] => (*desired, *state),
        _ => panic!("{line}"),
    };
    Task {
        id: format!("{slot}@{node}"),
        name: format!("shop_{}", slot.trim_end_matches('\'')),
        node: node.trim_matches('-').to_owned(),
        image: "shop:1".to_owned(),
        desired: desired.to_owned(),
        state: state.to_owned(),
        error: error.trim_end_matches('"').to_owned(),
    }
}

fn tasks(lines: &[&str]) -> Vec<Task> {
    lines.iter().map(|line| task(line)).collect()
}

fn spec(hash: &str, replicas: u64) -> Value {
    json!({
        "Name": "shop_app",
        "Labels": {HASH_LABEL: hash, SETTINGS_LABEL: "s1"},
        "TaskTemplate": {"ContainerSpec": {"Image": "shop:1"}, "ForceUpdate": 0},
        "Mode": {"Replicated": {"Replicas": replicas}},
    })
}

fn service(hash: &str, replicas: u64, state: &str) -> Service {
    let update = Update { state: state.to_owned(), started_at: "t1".to_owned(), message: String::new() };
    Service {
        id: "service".to_owned(),
        name: "shop_app".to_owned(),
        spec: spec(hash, replicas),
        previous: Value::Null,
        update: (!state.is_empty()).then_some(update),
    }
}

fn node(name: &str, availability: &str) -> Node {
    Node {
        id: name.to_owned(),
        hostname: name.to_owned(),
        availability: availability.to_owned(),
        state: "ready".to_owned(),
        is_manager: true,
        ..Node::default()
    }
}
