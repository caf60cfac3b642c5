//! Caddy. It passes HTTP only. Tried with 2.11.

use super::{Front, words};

pub const ADMIN: u16 = 2019;

pub fn configuration(fronts: &[&Front]) -> String {
    let sites: String = fronts.iter().map(|front| site(front)).collect();
    format!(
        "{{
    auto_https off
    persist_config off
    servers {{
        trusted_proxies static private_ranges
    }}
}}
{sites}"
    )
}

/// Its DNS asks for addresses of IPv6 too, and waits for an answer that Docker does not give on other networks.
fn site(front: &Front) -> String {
    let Front { listen, host, target, .. } = front;
    let versions = if front.ipv6 { "ipv4 ipv6" } else { "ipv4" };
    format!(
        "
:{listen} {{
    reverse_proxy {{
        dynamic a {host} {target} {{
            refresh 500ms
            versions {versions}
        }}
        lb_policy round_robin
        lb_try_duration 10s
        lb_try_interval 50ms
        fail_duration 500ms
        transport http {{
            dial_timeout 500ms
            keepalive off
        }}
    }}
}}
"
    )
}

pub fn check() -> Vec<String> {
    words(&["CMD", "wget", "-q", "-O", "/dev/null", &format!("http://127.0.0.1:{ADMIN}/config/")])
}
