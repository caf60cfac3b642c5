//! `docker compose …`, as Compose 5.6.1 answers.

use std::{env, process::Command};

use serde_json::json;

use crate::{
    answer::Answer,
    call::{Arguments, Call},
    file::Service,
    world::{Container, World},
};

/// A file on standard input stands in for the one in the folder.
pub fn answer(world: &mut World, call: &Call) -> Answer {
    if call.stdin.is_empty() {
        let answer = answer_from_file(world, call);
        return Answer { stderr: warnings(world, call) + &answer.stderr, ..answer };
    }
    let config = std::mem::replace(&mut world.config, call.stdin.clone());
    let answer = answer_from_file(world, call);
    world.config = config;
    answer
}

/// What every reading of the files logs, unless the level says otherwise.
fn warnings(world: &World, call: &Call) -> String {
    let silent = call.docker.contains(&("-l".to_owned(), Some("error".to_owned())));
    let logged = world.warnings.iter().filter(|_| call.loads() && !silent);
    logged.map(|text| format!("time=\"2026-11-29T15:50:14Z\" level=warning msg={text:?}\n")).collect()
}

fn answer_from_file(world: &mut World, call: &Call) -> Answer {
    let words = call.words.as_slice();
    let read = |switches, values| Arguments::read(words, switches, values, false);
    let result = match call.verb() {
        "version" | "config" if world.real_docker.is_some() => return real(world),
        "version" => read(&["--short"], &[]).map(|_| Answer::text(format!("{}\n", world.compose_version))),
        "config" => read(&["--services"], &["--hash"]).map(|a| config(world, call, &a)),
        _ if world.engine_is_dead || world.engine_is_away > 0 => return crate::engine::answer(world, call),
        "build" => read(&[], &[]).map(|a| fetch(world, &a.operands, "Build")),
        "pull" => read(&[], &[]).map(|a| fetch(world, &a.operands, "Pull")),
        "run" => {
            let values = ["--env", "--label", "--user", "--workdir"];
            Arguments::read(words, &["--rm", "-T", "--no-deps"], &values, true).map(|a| run(world, &a))
        }
        "up" => {
            let switches =
                ["-d", "--no-start", "--no-deps", "--no-recreate", "--force-recreate", "--no-build"];
            read(&switches, &["--pull", "--scale", "--timeout"]).map(|a| up(world, call, &a))
        }
        verb => return Answer::unknown(&format!("unknown docker command: \"compose {verb}\"")),
    };
    result.unwrap_or_else(|flag| Answer::unknown(&format!("unknown flag: {flag}")))
}

/// The call as it came, answered by a real Compose. It takes no engine to read files.
fn real(world: &World) -> Answer {
    let program = world.real_docker.as_ref().expect("a real docker");
    let output = Command::new(program).args(env::args_os().skip(1)).output().expect("an answer of Compose");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Answer {
        code: output.status.code().unwrap_or(1),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

fn config(world: &World, call: &Call, arguments: &Arguments) -> Answer {
    let hashed: Vec<_> = arguments.one("--hash").filter(|names| *names != "*").into_iter().collect();
    let hashed = hashed.iter().flat_map(|names| names.split(',')).map(str::to_owned);
    let named: Vec<_> = arguments.operands.iter().cloned().chain(hashed).collect();
    let all = world.services();
    if let Some(name) = named.iter().find(|name| !all.iter().any(|service| service.name == **name)) {
        return Answer::failed(1, &format!("no such service: {name}"));
    }
    let profiles: Vec<_> = call.compose_values(&["--profile"]).collect();
    let services = world.enabled(&profiles, &named);
    // Compose lists services in no order that holds from call to call, so nothing may rest on one.
    if arguments.has("--services") {
        let lines = services.iter().rev().map(|service| format!("{}\n", service.name));
        return Answer::text(lines.collect::<String>());
    }
    if arguments.has("--hash") {
        let shown = services.iter().filter(|service| named.is_empty() || named.contains(&service.name));
        let lines: Vec<_> =
            shown.map(|service| format!("{} {}", service.name, world.hash(&service.name))).collect();
        return Answer::text(lines.join("\n"));
    }
    Answer::text(world.config_of(&services))
}

/// `build` and `pull`: what is offered replaces what is there.
fn fetch(world: &mut World, names: &[String], verb: &str) -> Answer {
    let mut answer = Answer::default();
    for service in world.services().into_iter().filter(|service| names.contains(&service.name)) {
        answer.stderr += &format!(" Image {0} {verb}ing \n Image {0} {1} \n", service.image, past(verb));
        if let Some(id) = world.offered.get(&service.image) {
            world.images.insert(service.image, id.clone());
        }
    }
    answer
}

fn past(verb: &str) -> &'static str {
    if verb == "Build" { "Built" } else { "Pulled" }
}

fn run(world: &mut World, arguments: &Arguments) -> Answer {
    let service = arguments.operands.first().cloned().unwrap_or_default();
    match world.services().iter().any(|known| known.name == service) {
        true => Answer::default(),
        false => Answer::failed(1, &format!("no such service: {service}")),
    }
}

/// One service's part of an `up`: what it has said so far.
struct Up<'w> {
    world: &'w mut World,
    service: Service,
    dry: bool,
    recreated: Vec<Container>,
    said: String,
}

fn up(world: &mut World, call: &Call, arguments: &Arguments) -> Answer {
    let mut answer = Answer { stdout: question(world), ..Answer::default() };
    let profiles: Vec<_> = call.compose_values(&["--profile"]).collect();
    let services = world.enabled(&profiles, &arguments.operands);
    let scaled =
        arguments.all("--scale").iter().filter_map(|text| text.split_once('=')).map(|(name, _)| name);
    let mut names = arguments.operands.iter().map(String::as_str).chain(scaled);
    if let Some(name) = names.find(|name| !services.iter().any(|service| service.name == *name)) {
        let known = world.services().iter().any(|service| service.name == name);
        let message = format!("no such service: {name}{}", if known { ": disabled" } else { "" });
        return Answer::failed(1, &json!({ "error": true, "message": message }).to_string());
    }
    for service in services {
        if arguments.has("--no-deps") && !arguments.operands.contains(&service.name) {
            continue;
        }
        let mut up = Up { world, service, dry: call.is_dry(), recreated: vec![], said: String::new() };
        let result = up.carry_out(arguments);
        answer.stderr += &up.said;
        if let Err(message) = result {
            answer.stderr += &format!("{}\n", json!({ "error": true, "message": message }));
            answer.code = 1;
            break;
        }
    }
    answer
}

/// Compose asks even in a dry run, and takes a no where nobody can answer.
fn question(world: &World) -> String {
    let Some(volume) = &world.volume_diverged else { return String::new() };
    format!(
        "? Volume \"{volume}\" exists but doesn't match configuration in compose file. Recreate (data will be lost)? (y/N) "
    )
}

impl World {
    /// Made from another configuration or image, or in a container that will be replaced.
    fn is_obsolete(&self, service: &Service, container: &Container) -> bool {
        let parents = self.services().into_iter().filter(|parent| service.parents.contains(&parent.name));
        container.config_hash != self.hash(&service.name)
            || self.images.get(&service.image).is_none_or(|image| {
                self.manifest(image) != container.manifest.as_ref().unwrap_or(&container.image_id)
            })
            || parents.into_iter().any(|parent| {
                self.replicas(&parent.name).iter().any(|container| self.is_obsolete(&parent, container))
            })
    }
}

impl Up<'_> {
    fn carry_out(&mut self, arguments: &Arguments) -> Result<(), String> {
        self.network();
        let scale = self.scale(arguments);
        let existing = self.world.replicas(&self.service.name);
        if scale > 1 && self.service.container_name.is_some() {
            return Err("Docker requires each container to have a unique name".to_owned());
        }
        let keeps = arguments.has("--no-recreate");
        // What is up to date is worth more, then the lower number.
        let mut sorted = existing.clone();
        sorted.sort_by_key(|container| !keeps && self.is_obsolete(container));
        let surplus = sorted.split_off(scale.min(sorted.len()));
        surplus.iter().for_each(|container| self.remove(container));
        for container in &sorted {
            if !keeps && (arguments.has("--force-recreate") || self.is_obsolete(container)) {
                self.recreate(container)?;
            }
        }
        let last = existing.iter().map(|container| container.number).max().unwrap_or(0);
        let missing = scale.saturating_sub(existing.len()) as u32;
        for number in last + 1..=last + missing {
            self.create(number)?;
        }
        match arguments.has("--no-start") {
            true => Ok(()),
            false => self.start_all(last, missing),
        }
    }

    fn scale(&self, arguments: &Arguments) -> usize {
        let mut scales = arguments.all("--scale").iter().filter_map(|text| text.split_once('='));
        let scale = scales.rfind(|(name, _)| *name == self.service.name);
        scale.map_or(self.service.replicas, |(_, n)| n.parse().expect("a number of replicas"))
    }

    /// As Compose does: every container of the service that does not run, old ones too.
    fn start_all(&mut self, last: u32, missing: u32) -> Result<(), String> {
        let recreated = std::mem::take(&mut self.recreated);
        let existing = self.world.replicas(&self.service.name);
        let nothing_runs = !existing.iter().any(|container| container.now.state == "running");
        if self.dry && self.service.has_pre_start && nothing_runs && !existing.is_empty() {
            return Err("No such container".to_owned());
        }
        for container in existing {
            let is_recreated = recreated.iter().any(|old| old.id == container.id);
            match container.now.state.as_str() {
                _ if is_recreated => self.say_started(&format!("{}_{}", &container.id[..12], container.name)),
                "running" => self.say(&container.name, "Done", "Running"),
                "restarting" => {}
                _ => self.start(&container)?,
            }
        }
        let created = last + 1..=last + if self.dry { missing } else { 0 };
        if self.service.has_post_start && !created.is_empty() {
            return Err("interactive exec is not supported in dry-run mode".to_owned());
        }
        created.for_each(|number| self.say_started(&self.name(number)));
        Ok(())
    }

    fn say_started(&mut self, name: &str) {
        self.say(name, "Working", "Starting");
        self.say(name, "Done", "Started");
    }

    /// A network that diverged: Compose stops what stands on it, whatever the flags say.
    fn network(&mut self) {
        let network = format!("Network {}_default", self.world.project());
        if self.world.network_diverged {
            for container in
                self.world.replicas(&self.service.name).iter().filter(|container| container.is_up())
            {
                self.say(&container.name, "Working", "Stopping");
                self.say(&container.name, "Done", "Stopped");
                if !self.dry {
                    let _ = self.world.stop(&container.id);
                }
            }
            self.said += &progress(&network, "Working", "Removing");
            self.said += &progress(&network, "Done", "Removed");
        }
        if self.world.network_diverged || self.world.containers.is_empty() {
            self.said += &progress(&network, "Working", "Creating");
            self.said += &progress(&network, "Done", "Created");
        }
    }

    fn is_obsolete(&self, container: &Container) -> bool {
        self.world.is_obsolete(&self.service, container)
    }

    fn remove(&mut self, container: &Container) {
        for (status, text) in
            [("Working", "Stopping"), ("Done", "Stopped"), ("Working", "Removing"), ("Done", "Removed")]
        {
            self.say(&container.name, status, text);
        }
        if !self.dry {
            let _ = self.world.stop(&container.id).and_then(|()| self.world.remove(&container.id));
        }
    }

    fn recreate(&mut self, container: &Container) -> Result<(), String> {
        self.say(&container.name, "Working", "Recreate");
        if !self.dry {
            self.require_image()?;
            let _ = self.world.stop(&container.id).and_then(|()| self.world.remove(&container.id));
            self.world.create(&self.service, container.number);
        }
        if self.dry {
            self.recreated.push(container.clone());
        }
        self.say(&container.name, "Done", "Recreated");
        Ok(())
    }

    fn create(&mut self, number: u32) -> Result<(), String> {
        let name = self.name(number);
        self.say(&name, "Working", "Creating");
        if !self.dry {
            self.require_image()?;
            self.world.create(&self.service, number);
        }
        self.say(&name, "Done", "Created");
        Ok(())
    }

    fn require_image(&mut self) -> Result<(), String> {
        match self.world.images.contains_key(&self.service.image) {
            true => Ok(()),
            false => Err(format!("Error response from daemon: No such image: {}", self.service.image)),
        }
    }

    fn start(&mut self, container: &Container) -> Result<(), String> {
        self.say(&container.name, "Working", "Starting");
        if !self.dry
            && let Err(error) = self.world.start(&container.id)
        {
            let error = format!("Error response from daemon: {error}");
            self.say(&container.name, "Error", &error);
            return Err(error);
        }
        self.say(&container.name, "Done", "Started");
        Ok(())
    }

    fn name(&self, number: u32) -> String {
        self.world.name_of(&self.service, number)
    }

    fn say(&mut self, name: &str, status: &str, text: &str) {
        self.said += &progress(&format!("Container {name}"), status, text);
    }
}

/// One line of `--progress json`.
fn progress(id: &str, status: &str, text: &str) -> String {
    format!("{}\n", json!({ "id": id, "status": status, "text": text }))
}
