//! What runs, in a small readable file.
//!
//! ```text
//! # a comment
//! web-1 healthy                       container 1 of web, as the file wants it
//! web-2 unhealthy: no route           what `Reading::parse` reads
//! web-3 healthy [old-config]          made from an earlier file
//! db-1 exited 0 [old-image]           the image's name means another one now
//! api-1 running [named=back]          a container's own name
//! api-2 running [anonymous=/data]     with an anonymous volume there
//! lb-1 running [image=haproxy:3]      the image it was created from
//! web-run exited 0 [oneoff]           of `docker compose run`
//! migrate-hook exited 0 [hook]        of a pre_start hook
//! image web:2 missing                 no such image on the engine
//! network diverged                    its definition is not the one it was made with
//! volume app_data diverged
//! haproxy web                         has the containers of web behind it, and answers at its socket
//! ```
//!
//! Without a file nothing runs and every image is there.

use std::collections::BTreeMap;

use serde_yaml::Value;

use crate::world::{Container, Proxy, Reading, Slot, World, hex};

/// The engine as the state says, for a project that Compose resolved so.
pub fn read(text: &str, config: Option<&Value>, hashes: &BTreeMap<String, String>) -> World {
    let mut world = World { config: "name: none\n".to_owned(), ..World::default() };
    if let Some(config) = config {
        world.config = serde_yaml::to_string(config).expect("YAML");
    }
    for (name, service) in services(config) {
        let hash = hashes.get(name).cloned().unwrap_or_default();
        // Compose hashes the ID of the container in place of the name of its service.
        let hash = if shares(service) { hex(&format!("resolved {hash}")) } else { hash };
        world.hashes.insert(name.to_owned(), hash);
        let image = image(&world.project(), name, service);
        world.images.insert(image.clone(), image_id(&image));
    }
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).for_each(|line| put(&mut world, config, line));
    world
}

fn services(config: Option<&Value>) -> impl Iterator<Item = (&str, &Value)> {
    let services = config.and_then(|config| config["services"].as_mapping()).into_iter().flatten();
    services.filter_map(|(name, service)| Some((name.as_str()?, service)))
}

fn image(project: &str, name: &str, service: &Value) -> String {
    service["image"].as_str().map_or_else(|| format!("{project}-{name}"), str::to_owned)
}

fn image_id(seed: &str) -> String {
    format!("sha256:{}", hex(seed))
}

fn shares(service: &Value) -> bool {
    let of_service = |key: &str| service[key].as_str().is_some_and(|mode| mode.starts_with("service:"));
    ["network_mode", "ipc", "pid"].into_iter().any(of_service) || !service["volumes_from"].is_null()
}

fn put(world: &mut World, config: Option<&Value>, line: &str) {
    match line.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["image", reference, "missing"] => {
            world.images.remove(*reference).unwrap_or_else(|| panic!("no service has the image {reference}"));
        }
        ["haproxy", service] => {
            let slots = vec![Slot::default(); 4];
            world.proxy = Some(Proxy { service: (*service).to_owned(), slots, ..Proxy::default() });
        }
        ["network", "diverged"] => world.network_diverged = true,
        ["volume", name, "diverged"] => world.volume_diverged = Some((*name).to_owned()),
        _ => container(world, config, line),
    }
}

fn container(world: &mut World, config: Option<&Value>, line: &str) {
    let (name, rest) = line.split_once(' ').unwrap_or_else(|| panic!("no reading: {line}"));
    let (reading, marks) = rest.split_once('[').unwrap_or((rest, ""));
    let (service, number) = name.rsplit_once('-').unwrap_or_else(|| panic!("no SERVICE-NUMBER: {line}"));
    let image = services(config)
        .find(|(found, _)| *found == service)
        .map_or_else(|| service.to_owned(), |(name, found)| image(&world.project(), name, found));
    let mut container = Container {
        id: hex(name),
        name: format!("{}-{name}", world.project()),
        project: world.project(),
        service: service.to_owned(),
        number: number.parse().unwrap_or(0),
        config_hash: world.hashes.get(service).cloned().unwrap_or_else(|| hex("of a service that is gone")),
        image_id: image_id(&image),
        restart: "no".to_owned(),
        address: format!("172.18.0.{}", world.containers.len() + 2),
        now: Reading::parse(reading.trim()),
        image: Some(image),
        ..Container::default()
    };
    marks.trim_end_matches(']').split_whitespace().for_each(|word| mark(&mut container, word));
    world.names.insert(container.id.clone(), container.name.clone());
    world.containers.push(container);
}

fn mark(container: &mut Container, word: &str) {
    let mut label = |key: &str, value: &str| {
        container.labels.insert(format!("com.docker.compose.{key}"), value.to_owned());
    };
    match word.split_once('=').unwrap_or((word, "")) {
        ("old-config", _) => container.config_hash = hex("an earlier configuration"),
        ("old-image", _) => container.image_id = image_id("an earlier image"),
        ("named", name) => container.name = name.to_owned(),
        ("anonymous", target) => container.anonymous.push(target.to_owned()),
        ("image", reference) => container.image = Some(reference.to_owned()),
        ("oneoff", _) => {
            label("oneoff", "True");
            label("container-number", "");
        }
        ("hook", _) => {
            label("hook", "pre_start");
            ["config-hash", "oneoff", "container-number"].iter().for_each(|key| label(key, ""));
        }
        _ => panic!("what is [{word}]?"),
    }
}
