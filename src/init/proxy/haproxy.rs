//! HAProxy. Tried with 2.6.

use super::{Front, words};

pub const ALIVE: u16 = 8405;

/// A connection goes to another container when one does not take it; a request that was sent is sent again only when
/// nobody can have acted on it.
const COMMON: &str = r#"global
    log stdout format raw local0 notice
    # Here "docker zdd" asks and drains; it is inside of the container only.
    stats socket /var/lib/haproxy/admin.sock mode 600 level admin

resolvers docker
    nameserver dns 127.0.0.11:53
    accepted_payload_size 8192
    timeout resolve 500ms
    timeout retry 500ms
    hold valid 500ms

defaults
    log global
    timeout connect 500ms
    timeout client 1h
    timeout server 1h
    retries 10
    option redispatch 1
    default-server check inter 500ms fall 2 rise 1 observe layer4 error-limit 1 on-error mark-down
    default-server resolvers docker resolve-prefer ipv4 init-addr libc,none
"#;

const HTTP: &str = "    mode http
    option forwardfor
    option http-server-close
    retry-on conn-failure empty-response
    http-request disable-l7-retry unless { method GET HEAD OPTIONS }
";

pub fn configuration(fronts: &[&Front]) -> String {
    let alive = format!("\nfrontend alive\n    mode http\n    bind 127.0.0.1:{ALIVE}\n    monitor-uri /\n");
    COMMON.to_owned() + &alive + &fronts.iter().map(|front| section(front)).collect::<String>()
}

fn section(front: &Front) -> String {
    let bind = if front.ipv6 { format!(":::{} v4v6", front.listen) } else { format!(":{}", front.listen) };
    let mode = if front.http { HTTP } else { "    mode tcp\n" };
    let (name, room, address) = (front.name(), front.room, front.address());
    format!("\nlisten {name}\n    bind {bind}\n{mode}    server-template app {room} {address}\n")
}

pub fn check() -> Vec<String> {
    words(&["CMD", "bash", "-c", &format!("exec 3<>/dev/tcp/127.0.0.1/{ALIVE}")])
}
