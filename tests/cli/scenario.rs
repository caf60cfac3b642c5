//! A host with a scripted engine, and docker-zdd run on it.
//!
//! ```text
//! Scenario::new(WEB)                            // what `docker compose config` prints
//!     .with([old("web-1"), old("web-2")])       // what runs
//!     .starts("web", "starting, unhealthy")     // what new containers do, look by look
//!     .when("docker stop", Action::Hold)          // what happens at a call
//!     .run(&["up"])                             // exit code, stdout, stderr, calls, containers
//! ```

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use tempfile::TempDir;

use crate::{
    output::Output,
    running::Running,
    signals::hear_signals,
    world::{Action, Container, Proxy, Reading, Rule, Slot, World, hash_of, hex},
};

/// What a test says of a host before the program runs there.
#[must_use]
pub struct Scenario {
    world: World,
    env: BTreeMap<String, String>,
    stdin: Option<String>,
    program: bool,
    compose_v1: bool,
    closed: bool,
    ignored: Option<String>,
}

impl Scenario {
    /// All images are there; a build or a pull would bring the same ones.
    pub fn new(config: &str) -> Scenario {
        let mut world = World {
            config: config.to_owned(),
            compose_version: "5.6.1".to_owned(),
            engine_version: "28.2.2".to_owned(),
            ..World::default()
        };
        for (service, reference) in images(config, &world.project()) {
            world.names_of_services.push(service);
            world.images.insert(reference.clone(), image_id(&reference));
            world.offered.insert(reference.clone(), image_id(&reference));
        }
        Scenario {
            world,
            env: BTreeMap::new(),
            stdin: None,
            program: true,
            compose_v1: false,
            closed: false,
            ignored: None,
        }
    }

    pub fn with(mut self, containers: impl IntoIterator<Item = Given>) -> Self {
        let project = self.world.project();
        let images = images(&self.world.config, &project);
        for Given { mut container, image } in containers {
            container.name = match container.name.strip_prefix('/') {
                Some(name) => format!("{project}_{name}"),
                None => format!("{project}-{}", container.name),
            };
            container.project.clone_from(&project);
            container.id = hex(&container.name);
            let reference = images.get(&container.service).cloned().unwrap_or_default();
            container.image_id = image_id(image.as_deref().unwrap_or(&reference));
            if container.way.is_empty() {
                let checked = container.now.health.is_some();
                container.way = Reading::way(if checked { "starting, healthy" } else { "running" });
            }
            self.world.names.insert(container.id.clone(), container.name.clone());
            container.address = format!("172.18.0.{}", self.world.names.len() + 1);
            self.world.containers.push(container);
        }
        self
    }

    /// What every new container of a service does, one reading a look; the last one stays.
    pub fn starts(mut self, service: &str, way: &str) -> Self {
        self.world.ways.entry(service.to_owned()).or_default().push(Reading::way(way));
        self
    }

    /// What new containers of a service write.
    pub fn writes(mut self, service: &str, log: &str) -> Self {
        self.world.logs.insert(service.to_owned(), log.to_owned());
        self
    }

    /// At every call whose line holds `call`.
    pub fn when(self, call: &str, action: Action) -> Self {
        self.when_nth(0, call, action)
    }

    /// At the `nth` call whose line holds `call`, counted from 1.
    pub fn when_nth(mut self, nth: u32, call: &str, action: Action) -> Self {
        self.world.rules.push(Rule { call: call.to_owned(), nth, seen: 0, action });
        self
    }

    pub fn without_image(mut self, reference: &str) -> Self {
        self.world.images.remove(reference).expect("an image to leave out");
        self
    }

    /// The image that a build or a pull brings is another one.
    pub fn offers_new(mut self, reference: &str) -> Self {
        self.world.offered.insert(reference.to_owned(), image_id(&format!("{reference}, the next")));
        self
    }

    /// The engine keeps images as indexes, with BuildKit's attestations in them: those of now, of which the containers are
    /// made, and those that a build brings, which are others with the same in them.
    pub fn keeps_indexes(mut self) -> Self {
        let World { images, offered, manifests, containers, .. } = &mut self.world;
        for (reference, id) in images.iter() {
            let (again, manifest) =
                (image_id(&format!("{reference}, again")), image_id(&format!("{reference}, within")));
            manifests.insert(id.clone(), manifest.clone());
            manifests.insert(again.clone(), manifest);
            offered.insert(reference.clone(), again);
        }
        for container in containers {
            container.manifest = manifests.get(&container.image_id).cloned();
        }
        self
    }

    /// What Compose warns of whenever it reads the files.
    pub fn warns(mut self, warnings: &[&str]) -> Self {
        self.world.warnings.extend(warnings.iter().map(|warning| warning.to_string()));
        self
    }

    pub fn compose_version(mut self, version: &str) -> Self {
        self.world.compose_version = version.to_owned();
        self
    }

    pub fn engine_version(mut self, version: &str) -> Self {
        self.world.engine_version = version.to_owned();
        self
    }

    pub fn engine_is_dead(mut self) -> Self {
        self.world.engine_is_dead = true;
        self
    }

    pub fn network_diverged(mut self) -> Self {
        self.world.network_diverged = true;
        self
    }

    pub fn volume_diverged(mut self, volume: &str) -> Self {
        self.world.volume_diverged = Some(volume.to_owned());
        self
    }

    /// HAProxy stands in front of a service, with this many slots and this many sessions on each server.
    pub fn haproxy(mut self, service: &str, slots: usize, sessions: u64) -> Self {
        let slots = vec![Slot::default(); slots];
        self.world.proxy = Some(Proxy { service: service.to_owned(), sessions, slots, ..Proxy::default() });
        self
    }

    /// The socket of HAProxy lets nobody set anything.
    pub fn haproxy_only_shows(mut self) -> Self {
        self.world.proxy.as_mut().expect("a proxy").only_shows = true;
        self
    }

    /// Its servers have the addresses of IPv6.
    pub fn by_ipv6(mut self) -> Self {
        self.world.proxy.as_mut().expect("a proxy").ipv6 = true;
        self
    }

    /// There is a volume with these labels.
    pub fn volume(mut self, name: &str, labels: &[(&str, &str)]) -> Self {
        let labels = labels.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        self.world.volumes.insert(name.to_owned(), labels);
        self
    }

    /// There is no docker on the PATH.
    pub fn without_docker(mut self) -> Self {
        self.program = false;
        self
    }

    /// There is a `docker-compose` of version 1 on the PATH.
    pub fn with_compose_v1(mut self) -> Self {
        self.compose_v1 = true;
        self
    }

    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.insert(key.to_owned(), value.to_owned());
        self
    }

    pub fn stdin(mut self, text: &str) -> Self {
        self.stdin = Some(text.to_owned());
        self
    }

    /// Nobody reads standard output and error.
    pub fn closed(mut self) -> Self {
        self.closed = true;
        self
    }

    /// The program is started to ignore a signal, as `nohup` does: `HUP`.
    pub fn ignores(mut self, signal: &str) -> Self {
        self.ignored = Some(signal.to_owned());
        self
    }

    pub fn run(self, args: &[&str]) -> Output {
        self.host().run(args)
    }

    pub fn spawn(self, args: &[&str]) -> Running {
        self.host().spawn(args)
    }

    /// For several runs on one host.
    pub fn host(self) -> Host {
        let dir = tempfile::Builder::new().prefix("zdd-cli-").tempdir().expect("a folder");
        let host = Host { dir: dir.into(), scenario: self };
        for name in ["bin", "home", "project", "engine", "engine/alive"] {
            fs::create_dir(host.path(name)).expect("a folder");
        }
        let fake = env!("CARGO_BIN_EXE_fake-docker");
        if host.scenario.program {
            symlink(fake, host.path("bin/docker")).expect("a link");
        }
        if host.scenario.compose_v1 {
            symlink(fake, host.path("bin/docker-compose")).expect("a link");
        }
        fs::write(host.path("project/compose.yaml"), &host.scenario.world.config).expect("the compose file");
        let world = serde_json::to_string(&host.scenario.world).expect("JSON");
        fs::write(host.path("engine/world.json"), world).expect("the world");
        host
    }
}

/// Service → image reference, which is `project-service` where none is written.
fn images(config: &str, project: &str) -> BTreeMap<String, String> {
    let file: serde_yaml::Value = serde_yaml::from_str(config).expect("YAML");
    let services = file["services"].as_mapping().into_iter().flatten();
    let image = |(name, service): (&serde_yaml::Value, &serde_yaml::Value)| {
        let name = name.as_str().expect("a name").to_owned();
        let image = service["image"].as_str().map_or_else(|| format!("{project}-{name}"), str::to_owned);
        (name, image)
    };
    services.map(image).collect()
}

fn image_id(seed: &str) -> String {
    format!("sha256:{}", hex(seed))
}

/// A container that is there before the run.
pub struct Given {
    container: Container,
    /// What its image was made of, when it is not the wanted one.
    image: Option<String>,
}

/// `web-1` in the wanted version, healthy.
pub fn new(name: &str) -> Given {
    let (service, number) = name.rsplit_once('-').expect("service-number");
    let container = Container {
        name: name.to_owned(),
        service: service.to_owned(),
        number: number.parse().expect("a number"),
        config_hash: hash_of(service),
        restart: "no".to_owned(),
        now: Reading::parse("healthy"),
        ..Container::default()
    };
    Given { container, image: None }
}

/// `web-1` of an older configuration, healthy.
pub fn old(name: &str) -> Given {
    let mut given = new(name);
    given.container.config_hash = hex("an older configuration");
    given
}

impl Given {
    /// Of an older image.
    pub fn other_image(mut self) -> Given {
        self.image = Some("an older image".to_owned());
        self
    }

    pub fn is(mut self, reading: &str) -> Given {
        self.container.now = Reading::parse(reading);
        self
    }

    /// What it does when it is started.
    pub fn restarts(mut self, way: &str) -> Given {
        self.container.way = Reading::way(way);
        self
    }

    pub fn policy(mut self, restart: &str) -> Given {
        self.container.restart = restart.to_owned();
        self
    }

    /// A label of Compose; an empty value takes it away.
    pub fn label(self, key: &str, value: &str) -> Given {
        self.raw_label(&format!("com.docker.compose.{key}"), value)
    }

    pub fn raw_label(mut self, key: &str, value: &str) -> Given {
        self.container.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// As docker-compose 1.29 has made it: with another name and other labels, and a hash of another kind.
    pub fn by_compose_1(mut self) -> Given {
        self.container.name = format!("/{}", self.container.name.replace('-', "_"));
        self.container.config_hash = hex("by docker-compose 1");
        self.label("version", "1.29.2").label("image", "").label("depends_on", "")
    }

    /// Its links, `NAME:ALIAS`.
    pub fn linked_to(mut self, links: &[&str]) -> Given {
        self.container.links = links.iter().map(|link| (*link).to_owned()).collect();
        self
    }

    /// A name that does not follow from service and number.
    pub fn named(mut self, name: &str) -> Given {
        self.container.name = name.to_owned();
        self
    }

    pub fn stops_with(mut self, exit_code: i64) -> Given {
        self.container.stops_with = exit_code;
        self
    }
}

/// A folder with an engine in it. It goes with the value.
pub struct Host {
    dir: Arc<TempDir>,
    scenario: Scenario,
}

impl Host {
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.spawn(args).finish()
    }

    pub fn spawn(&self, args: &[&str]) -> Running {
        for name in ["calls", "events"] {
            fs::write(self.path("engine").join(name), "").expect("an empty file");
        }
        for name in ["released", "done"] {
            let _ = fs::remove_file(self.path("engine").join(name));
        }
        self.beside(args)
    }

    /// A run while another one goes on. The calls of both stand in one log.
    pub fn beside(&self, args: &[&str]) -> Running {
        Running::start(
            self.command(args),
            self.dir.clone(),
            self.scenario.stdin.as_deref(),
            self.scenario.closed,
        )
    }

    /// As a login on a new machine: nothing in the environment that a test did not put there, no terminal.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.program();
        // The scripted engine has no network.
        let fixed = [("COLUMNS", "80"), ("LANG", "C.UTF-8"), ("DOCKER_ZDD_HELPER", "off")];
        command.args(args).current_dir(self.path("project")).env_clear().envs(fixed);
        command.env("PATH", self.path("bin")).env("HOME", self.path("home"));
        command.env("FAKE_DOCKER_DIR", self.path("engine")).envs(&self.scenario.env);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        hear_signals();
        command
    }

    /// A script of `scripts`, in the project's folder, where `docker zdd` is the program.
    pub fn script(&self, name: &str, args: &[&str]) -> Output {
        // What it asks itself is typed by a person, so to speak, and need not be as the program's calls must.
        let docker = format!(
            "#!/bin/bash\n[ \"$1\" != zdd ] || exec {} \"${{@:2}}\"\n{} \"$@\"\ncode=$?\nrm -f \"$FAKE_DOCKER_DIR/objections\"\nexit $code\n",
            env!("CARGO_BIN_EXE_docker-zdd"),
            env!("CARGO_BIN_EXE_fake-docker")
        );
        let program = self.path("bin/docker");
        let _ = fs::remove_file(&program);
        fs::write(&program, docker).expect("a program");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a program");
        let usual = self.command(args);
        let mut command = Command::new(format!("{}/scripts/{name}", env!("CARGO_MANIFEST_DIR")));
        command.args(args).current_dir(self.path("project")).env_clear();
        command.envs(usual.get_envs().filter_map(|(key, value)| Some((key, value?))));
        command.env("PATH", format!("{}:/usr/bin:/bin", self.path("bin").display()));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::start(command, self.dir.clone(), None, false).finish()
    }

    fn program(&self) -> Command {
        let program = env!("CARGO_BIN_EXE_docker-zdd");
        let Some(signal) = &self.scenario.ignored else { return Command::new(program) };
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &format!("trap '' {signal}; exec \"$0\" \"$@\""), program]);
        shell
    }

    /// Edits the world, between two runs or during one.
    pub fn change(&self, edit: impl FnOnce(&mut World)) {
        let lock = fs::File::create(self.path("engine/lock")).expect("the lock file");
        lock.lock().expect("the lock");
        let path = self.path("engine/world.json");
        let mut world = read_world(&path);
        edit(&mut world);
        fs::write(path, serde_json::to_string(&world).expect("JSON")).expect("the world");
    }
}

pub fn read_world(path: &Path) -> World {
    serde_json::from_str(&fs::read_to_string(path).expect("the world")).expect("a world")
}
