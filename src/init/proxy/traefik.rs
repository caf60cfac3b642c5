//! Traefik. It is told by a file, as with Docker's socket it could do everything on the machine. Tried with 3.7.

use serde_json::{Map, Value, json};

use super::{Front, words};
use crate::text::yaml;

pub const ALIVE: u16 = 8082;
pub const PLACE: &str = "/etc/traefik/fronts.yaml";

/// From where somebody else's headers are believed: a proxy of the machine, in front of this one.
const NEAR: &str = "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16";

fn alive() -> [String; 2] {
    [format!("--entrypoints.alive.address=127.0.0.1:{ALIVE}"), "--ping.entrypoint=alive".to_owned()]
}

pub fn command(fronts: &[&Front]) -> Vec<String> {
    let fixed = ["--global.checknewversion=false", &format!("--providers.file.filename={PLACE}")];
    let mut all = words(&fixed);
    all.extend(alive());
    for front in fronts {
        let entry = format!("--entrypoints.{}", front.name());
        all.push(format!("{entry}.address=:{}", front.listen));
        if front.http {
            all.push(format!("{entry}.forwardedheaders.trustedips={NEAR}"));
            // Else an upload may take a minute.
            all.push(format!("{entry}.transport.respondingtimeouts.readtimeout=0"));
        }
    }
    all
}

pub fn check() -> Vec<String> {
    let mut all = words(&["CMD", "traefik", "healthcheck", "--ping=true"]);
    all.extend(alive());
    all
}

pub fn configuration(fronts: &[&Front]) -> String {
    let (web, other): (Vec<&Front>, Vec<&Front>) = fronts.iter().copied().partition(|front| front.http);
    let mut file = Map::new();
    if !web.is_empty() {
        file.insert("http".to_owned(), http(&web));
    }
    if !other.is_empty() {
        file.insert("tcp".to_owned(), tcp(&other));
    }
    serde_yaml::to_string(&file).unwrap_or_else(|_| yaml::text(&file))
}

fn http(fronts: &[&Front]) -> Value {
    json!({
        "routers": named(fronts, |front| json!({
            "entryPoints": [front.name()],
            "rule": "PathPrefix(`/`)",
            "middlewares": ["again"],
            "service": front.name(),
        })),
        // Only what was not sent.
        "middlewares": {"again": {"retry": {"attempts": 10, "initialInterval": "50ms"}}},
        "services": named(fronts, |front| json!({"loadBalancer": {
            "serversTransport": "app",
            "servers": [{"url": format!("http://{}", front.address())}],
        }})),
        "serversTransports": {"app": {"maxIdleConnsPerHost": -1, "forwardingTimeouts": {"dialTimeout": "500ms"}}},
    })
}

fn tcp(fronts: &[&Front]) -> Value {
    json!({
        "routers": named(fronts, |front| json!({
            "entryPoints": [front.name()],
            "rule": "HostSNI(`*`)",
            "service": front.name(),
        })),
        "services": named(fronts, |front| json!({"loadBalancer": {
            "serversTransport": "app",
            "servers": [{"address": front.address()}],
        }})),
        "serversTransports": {"app": {"dialTimeout": "500ms"}},
    })
}

fn named(fronts: &[&Front], of: impl Fn(&Front) -> Value) -> Value {
    Value::Object(fronts.iter().map(|front| (front.name(), of(front))).collect())
}
