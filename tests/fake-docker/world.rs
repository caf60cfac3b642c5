//! What the fake engine knows: written by a test, changed by every call, read by the test at the end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct World {
    /// What `docker compose config` prints.
    pub config: String,
    pub names_of_services: Vec<String>,
    /// What Compose warns of whenever it reads the files.
    pub warnings: Vec<String>,
    pub compose_version: String,
    /// A real `docker` (or Compose plugin): it says in place of the fake what the files mean.
    pub real_docker: Option<String>,
    /// Service → the hash that an up-to-date container of it carries, where it is not the usual one.
    pub hashes: BTreeMap<String, String>,
    pub engine_version: String,
    /// The machine that it runs on, where that is not this one.
    pub engine_name: Option<String>,
    /// The engine does not answer.
    pub engine_is_dead: bool,
    /// So many calls more it does not answer.
    pub engine_is_away: u32,
    /// The network's definition is not the one it was created with: any `up` would stop what stands on it.
    pub network_diverged: bool,
    /// A volume whose definition is not the one it was created with.
    pub volume_diverged: Option<String>,
    /// The engine keeps images as indexes: Compose goes by the manifest in each, whose digest is this of the index's ID.
    pub manifests: BTreeMap<String, String>,
    /// Reference → ID of the images on the engine.
    pub images: BTreeMap<String, String>,
    /// Reference → ID of what a build or a pull would bring.
    pub offered: BTreeMap<String, String>,
    /// Name → labels.
    pub volumes: BTreeMap<String, BTreeMap<String, String>>,
    /// Image ID → the archive that it was imported from.
    pub imported: BTreeMap<String, String>,
    /// ID of a container that never runs → its image and its name.
    pub holders: BTreeMap<String, (String, String)>,
    /// Oldest first.
    pub containers: Vec<Container>,
    /// Service → what its new containers do, the first, the second, …; the last one's way holds for all others.
    pub ways: BTreeMap<String, Vec<Vec<Reading>>>,
    /// Service → what its new containers write.
    pub logs: BTreeMap<String, String>,
    /// The HAProxy in front of a service.
    pub proxy: Option<Proxy>,
    pub rules: Vec<Rule>,
    /// Service → new containers so far.
    pub created: BTreeMap<String, usize>,
    /// ID → name, of removed containers too.
    pub names: BTreeMap<String, String>,
    /// Service → the fewest containers that served at any time.
    pub least: BTreeMap<String, usize>,
    /// What `docker events` has yet to hear.
    pub news: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Container {
    pub id: String,
    pub name: String,
    pub project: String,
    pub service: String,
    pub number: u32,
    pub config_hash: String,
    pub image_id: String,
    /// Of that image, where it is an index.
    pub manifest: Option<String>,
    /// Labels beyond Compose's usual ones; an empty value takes one away.
    pub labels: BTreeMap<String, String>,
    pub restart: String,
    pub now: Reading,
    /// What it will be at the next looks.
    pub next: Vec<Reading>,
    /// What it does whenever it is started.
    pub way: Vec<Reading>,
    /// On the network of the project; kept while it does not run.
    pub address: String,
    /// Its exit code when it is stopped.
    pub stops_with: i64,
    pub log: String,
    /// Where anonymous volumes are mounted in it.
    pub anonymous: Vec<String>,
    /// The image reference it was created with, where it is not the service's.
    pub image: Option<String>,
    /// `NAME:ALIAS`
    pub links: Vec<String>,
}

/// HAProxy with a backend `app` of servers `app1`, `app2`, …
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Proxy {
    /// Whose containers are the servers.
    pub service: String,
    /// Its resolver prefers IPv6.
    pub ipv6: bool,
    /// How many sessions each server has.
    pub sessions: u64,
    pub slots: Vec<Slot>,
    /// Its socket has no `level admin`: what is set is refused, and what is looked at is answered.
    pub only_shows: bool,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Slot {
    pub address: String,
    pub drained: bool,
    pub sessions: u64,
    /// That the address is dead has been seen once.
    pub noticed: bool,
}

/// What one look at a container finds.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Reading {
    /// Docker's word.
    pub state: String,
    pub health: Option<String>,
    /// What the last health probe printed.
    pub output: String,
    pub exit_code: i64,
    pub restarts: u64,
    pub oom: bool,
    /// What the engine says when it cannot start the container.
    pub error: String,
}

/// Something that happens at a call.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Rule {
    /// Part of the call as the log shows it; with a `$` behind it, its end.
    pub call: String,
    /// The how many-th such call; 0 is every one.
    pub nth: u32,
    pub seen: u32,
    pub action: Action,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Action {
    /// The call fails, and nothing is done.
    Fail(i32, String),
    /// The call is carried out and fails.
    FailAfter(i32, String),
    /// It succeeds with this text, and nothing is done.
    Print(String),
    /// It never ends.
    Hang,
    /// It waits until the test lets it go on.
    Hold,
    /// It is carried out, and does not end until the test lets it.
    HoldAfter,
    /// Before the call, a container becomes something else by itself.
    Becomes(String, Reading),
    /// Before the call, somebody removes a container.
    Vanishes(String),
    /// Before the call, somebody edits what the file says of a service.
    Edited(String),
    /// Before the call, somebody builds an image anew.
    Rebuilt(String),
    /// From this call on the engine does not answer.
    EngineDies,
    /// It does not answer this call and those after it, so many in all.
    EngineLeaves(u32),
}

/// One line of the log of calls.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Entry {
    Begin { pid: u32, line: String, argv: Vec<String> },
    End { pid: u32, code: i32 },
}

impl Reading {
    /// Reads `starting`, `healthy`, `unhealthy: connection refused`, `running`, `restarting 2`, `restarted 2` and running,
    /// `exited 3`, `oom`, `created`, `cannot start: no such file`, `paused`, `dead`.
    pub fn parse(text: &str) -> Reading {
        let (words, note) = text.split_once(": ").unwrap_or((text, ""));
        let (word, number) = match words.rsplit_once(' ') {
            Some((word, number)) if number.parse::<i64>().is_ok() => {
                (word, number.parse().unwrap_or_default())
            }
            _ => (words, 0),
        };
        let state = |state: &str| Reading { state: state.to_owned(), ..Reading::default() };
        match word {
            "starting" | "healthy" | "unhealthy" => {
                Reading { health: Some(word.to_owned()), output: note.to_owned(), ..state("running") }
            }
            "restarting" => Reading { restarts: number as u64, exit_code: 1, ..state("restarting") },
            "restarted" => Reading { restarts: number as u64, ..state("running") },
            "exited" => Reading { exit_code: number, error: note.to_owned(), ..state("exited") },
            "oom" => Reading { exit_code: 137, oom: true, ..state("exited") },
            "cannot start" => Reading { error: note.to_owned(), exit_code: 127, ..state("created") },
            "running" | "created" | "paused" | "dead" => state(word),
            _ => panic!("no reading of a container: {text:?}"),
        }
    }

    /// Reads several, separated by `, `.
    pub fn way(text: &str) -> Vec<Reading> {
        text.split(", ").map(Reading::parse).collect()
    }
}

/// An ID of 64 digits that depends on `seed` alone.
pub fn hex(seed: &str) -> String {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    let mut digits = String::new();
    for round in 0..4_u8 {
        for byte in seed.bytes().chain([round]) {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        state ^= state >> 29;
        digits += &format!("{state:016x}");
    }
    digits
}

/// The configuration hash that Compose would compute for a service as the file has it now.
pub fn hash_of(service: &str) -> String {
    hex(&format!("configuration of {service}"))
}

impl World {
    pub fn project(&self) -> String {
        let written = self.config.lines().find_map(|line| line.strip_prefix("name: "));
        if let Some(name) = written {
            return name.trim_matches('"').to_owned();
        }
        // JSON, on standard input.
        let file: serde_yaml::Value = serde_yaml::from_str(&self.config).unwrap_or_default();
        file["name"].as_str().unwrap_or_default().to_owned()
    }

    /// `web-1` for `shop-web-1`.
    pub fn short(&self, name: &str) -> String {
        name.strip_prefix(&format!("{}-", self.project())).unwrap_or(name).to_owned()
    }
}
