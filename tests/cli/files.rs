//! Compose files, in the form that `docker compose config` prints.

pub const HEALTHCHECK: &str =
    "healthcheck: {test: [CMD, /web, health], interval: 1s, timeout: 1s, retries: 2}";

/// A project with the service `web`, which has a healthcheck, and these lines in it.
pub fn web(lines: &str) -> String {
    bare(&format!("{HEALTHCHECK}\n{lines}"))
}

/// A project with the service `web` of these lines.
pub fn bare(lines: &str) -> String {
    project(&[("web", &format!("image: web\n{lines}"))])
}

/// A project with services of these lines.
pub fn project(services: &[(&str, &str)]) -> String {
    let service = |(name, lines): &(&str, &str)| format!("  {name}:\n{}", indent(lines));
    let services: String = services.iter().map(service).collect();
    format!("name: shop\nservices:\n{services}networks:\n  default:\n    name: shop_default\n")
}

fn indent(lines: &str) -> String {
    lines.lines().filter(|line| !line.is_empty()).map(|line| format!("    {line}\n")).collect()
}
