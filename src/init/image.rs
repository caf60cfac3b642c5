//! What is known of images by their names.

use crate::{engine::config::Service, text::image_name};

/// Programs that pass requests on to others. Some may be an app's own web server as well: whoever means that can name
/// the service.
const PROXIES: &[&str] = &[
    "traefik",
    "caddy",
    "haproxy",
    "envoy",
    "nginx",
    "nginx-unprivileged",
    "nginx-proxy",
    "nginx-proxy-manager",
    "openresty",
    "httpd",
    "swag",
    "kong",
    "caddy-docker-proxy",
];

pub fn is_proxy(service: &Service) -> bool {
    service.image.as_deref().is_some_and(|image| PROXIES.contains(&image_name(image)))
}

/// The program of an image that its own makers publish: one of another name may be anybody's, with other tools in it.
pub fn of_its_makers(reference: &str) -> Option<&str> {
    let path = reference.rsplit_once("library/").map_or(reference, |(_, rest)| rest);
    let path = path.strip_prefix("valkey/").unwrap_or(path);
    (!path.contains('/')).then(|| image_name(reference))
}
