//! Proxies that go by what a container says of itself, in labels or variables, and follow Docker's events: also one of
//! another project, on a network that both are on.

use std::collections::BTreeMap;

/// Of what a container has to say for nginx-proxy.
const VIRTUAL_HOST: &str = "VIRTUAL_HOST";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follower {
    /// Sends requests to whatever has started, healthy or not, and reads its configuration again when one has ended.
    NginxProxy,
    /// The same by labels.
    CaddyDockerProxy,
}

impl Follower {
    pub fn name(self) -> &'static str {
        match self {
            Follower::NginxProxy => "nginx-proxy",
            Follower::CaddyDockerProxy => "caddy-docker-proxy",
        }
    }
}

/// Who sends requests to a container with these labels and variables (`VIRTUAL_HOST=shop.example`, or without a value).
pub fn follower<'v>(
    labels: &BTreeMap<String, String>,
    mut variables: impl Iterator<Item = &'v str>,
) -> Option<Follower> {
    if labels.keys().any(|key| is_of_caddy(key)) {
        return Some(Follower::CaddyDockerProxy);
    }
    let of_nginx = |variable: &str| match variable.split_once('=') {
        Some((key, value)) => key == VIRTUAL_HOST && !value.is_empty(),
        None => variable == VIRTUAL_HOST,
    };
    variables.any(of_nginx).then_some(Follower::NginxProxy)
}

/// `caddy`, `caddy_0`, `caddy.reverse_proxy`, `caddy_0.reverse_proxy`.
fn is_of_caddy(label: &str) -> bool {
    let first = label.split('.').next().unwrap_or_default();
    let number =
        |rest: &str| rest.is_empty() || rest.strip_prefix('_').is_some_and(|n| n.parse::<u32>().is_ok());
    first.strip_prefix("caddy").is_some_and(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(labels: &[&str], variables: &[&str]) -> Option<Follower> {
        let labels = labels.iter().map(|key| (key.to_string(), "shop.example".to_owned())).collect();
        follower(&labels, variables.iter().copied())
    }

    #[test]
    fn who_is_known_by_what() {
        let (caddy, nginx) = (Some(Follower::CaddyDockerProxy), Some(Follower::NginxProxy));
        for label in ["caddy", "caddy_0", "caddy.reverse_proxy", "caddy_12.reverse_proxy.to"] {
            assert_eq!(found(&[label], &[]), caddy, "{label}");
        }
        for label in ["caddyshack", "caddy-proxy", "caddy_x", "my.caddy", "traefik.enable"] {
            assert_eq!(found(&[label], &[]), None, "{label}");
        }
        assert_eq!(found(&[], &["VIRTUAL_HOST=shop.example"]), nginx);
        assert_eq!(found(&[], &["PATH=/", "VIRTUAL_HOST"]), nginx);
        assert_eq!(found(&[], &["VIRTUAL_HOST=", "VIRTUAL_PORT=80", "A_VIRTUAL_HOST=x"]), None);
    }
}
