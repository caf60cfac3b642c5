//! What pages say to type, typed into bash.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::TcpListener,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, OnceLock},
    thread,
};

use serde_yaml::Value;
use tempfile::TempDir;

use super::{Block, blocks, report, root};
use crate::{
    real,
    world::{Reading, World, hex},
};

/// Programs that pages name. They only take note of what they were told.
const PROGRAMS: &[&str] = &[
    "apk",
    "cargo",
    "chmod",
    "curl",
    "dpkg",
    "eval",
    "gh",
    "git",
    "jq",
    "sh",
    "sha256sum",
    "ssh-add",
    "ssh-agent",
    "wget",
];
/// What they do to the machine, or what they are themselves.
const BASICS: &[&str] =
    &["bash", "cat", "cp", "env", "grep", "install", "kill", "mkdir", "sed", "sleep", "timeout"];

/// The project of all pages, as Compose prints it.
fn shop() -> String {
    let service = |name: &str| {
        let healthcheck = "healthcheck: {test: [CMD, /app, health], interval: 1s, timeout: 1s, retries: 2}";
        format!("  {name}:\n    image: {name}\n    {healthcheck}\n")
    };
    let services: String = ["app", "db", "web", "worker"].map(service).concat();
    format!("name: shop\nservices:\n{services}networks:\n  default:\n    name: shop_default\n")
}

fn world() -> World {
    let names = ["app", "db", "web", "worker"].map(str::to_owned);
    let image = |name: &String| (name.clone(), format!("sha256:{}", hex(name)));
    World {
        config: shop(),
        names_of_services: names.to_vec(),
        compose_version: "5.6.1".to_owned(),
        engine_version: "28.2.2".to_owned(),
        images: names.iter().map(image).collect(),
        offered: names.iter().map(image).collect(),
        ways: names.iter().map(|name| (name.clone(), vec![Reading::way("starting, healthy")])).collect(),
        ..World::default()
    }
}

/// A machine with a scripted engine, the project in the folder, and the programs above.
struct Machine(TempDir);

impl Machine {
    /// Everything runs, and there is a history of four revisions.
    fn new() -> Machine {
        static ENGINE: OnceLock<String> = OnceLock::new();
        let world = ENGINE.get_or_init(|| {
            let machine = Machine::with(&serde_json::to_string(&world()).expect("JSON"));
            for scale in ["--scale web=2", "--scale web=3", "--scale web=4", ""] {
                machine.run(&format!("docker zdd up {scale}")).expect("a history");
                machine.keep();
            }
            fs::read_to_string(machine.path("engine/world.json")).expect("the world")
        });
        Machine::with(world)
    }

    fn with(world: &str) -> Machine {
        let machine = Machine(tempfile::Builder::new().prefix("zdd-docs-").tempdir().expect("a folder"));
        for folder in ["bin", "engine/alive", "engine/bin", "home", "project/scripts", "project/examples"] {
            fs::create_dir_all(machine.path(folder)).expect("a folder");
        }
        fs::write(machine.path("engine/world.json"), world).expect("the world");
        machine.keep();
        fs::write(machine.path("project/compose.yaml"), shop()).expect("the file");
        for folder in ["traefik", "caddy", "nginx", "haproxy", "classic"] {
            symlink(machine.path("project"), machine.path("project/examples").join(folder)).expect("a link");
        }
        symlink(env!("CARGO_BIN_EXE_fake-docker"), machine.path("engine/bin/docker")).expect("a link");
        machine.fill();
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// What is there now is what every command finds.
    fn keep(&self) {
        fs::copy(self.path("engine/world.json"), self.path("engine/before.json")).expect("a copy");
    }

    fn fill(&self) {
        for name in PROGRAMS.iter().filter(|name| **name != "eval") {
            program(&self.path("bin").join(name), "note \"$@\"\n");
        }
        program(&self.path("bin/docker"), DOCKER);
        program(&self.path("bin/ssh"), "note \"$@\"\neval \"$2\"\n");
        program(&self.path("bin/sudo"), "exec \"$@\"\n");
        program(&self.path("bin/nohup"), "exec \"$@\"\n");
        for name in BASICS {
            let found = ["/bin", "/usr/bin"].map(|folder| Path::new(folder).join(name)).into_iter();
            let found = found.into_iter().find(|path| path.exists()).unwrap_or_else(|| panic!("no {name}"));
            symlink(found, self.path("bin").join(name)).expect("a link");
        }
        for entry in fs::read_dir(root().join("scripts")).expect("scripts") {
            let name = entry.expect("an entry").file_name();
            program(&self.path("project/scripts").join(name), "note \"$@\"\n");
        }
    }

    /// Runs it, and returns what other programs were told.
    ///
    /// # Errors
    /// What it printed, when a command fails or is not known.
    fn run(&self, script: &str) -> Result<Vec<Vec<String>>, String> {
        let script = format!("set -eu\n{script}");
        let bash = self.path("bin/bash");
        let mut command = Command::new(bash);
        command.args(["-o", "pipefail", "-c", &script]).current_dir(self.path("project")).env_clear();
        command.env("PATH", self.path("bin")).env("HOME", self.path("home")).env("LANG", "C.UTF-8");
        command.env("ENGINE", self.path("engine")).env("ZDD", env!("CARGO_BIN_EXE_docker-zdd"));
        command.env("NOTES", self.path("notes")).env("BASH_ENV", self.path("note.sh"));
        for variable in ["ZDD_RELEASES", "HOST_KEY", "KEY", "DEPLOY_KEY", "SSH_AUTH_SOCK"] {
            command.env(variable, "text");
        }
        command.env("GITHUB_ENV", self.path("home/env")).env("DEPLOY_KNOWN_HOSTS", self.path("note.sh"));
        fs::write(self.path("note.sh"), NOTE).expect("a file");
        let output = command.stdin(Stdio::null()).output().expect("bash");
        let objections = fs::read_to_string(self.path("engine/objections")).unwrap_or_default();
        if !output.status.success() || !objections.is_empty() {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            return Err(format!("{}{}{objections}", text(&output.stdout), text(&output.stderr)));
        }
        let notes = fs::read_to_string(self.path("notes")).unwrap_or_default();
        Ok(notes.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
    }
}

fn program(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/bash\n{text}")).expect("a program");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is executable");
}

/// Every program notes its name and its words, in one line. A folder that there is not is this one.
const NOTE: &str = r#"cd() { builtin cd "$1" 2>/dev/null || true; }
note() { (IFS=$'\t'; printf '%s\n' "${0#*/project/}"$'\t'"$*" >>"$NOTES"); }
"#;

/// Lines of a block are often choices, so each finds the engine as it was. What watches is ended when it has shown
/// something.
const DOCKER: &str = r#"case " $* " in *' zdd '*) ;; *) note "$@"; exit ;; esac
/bin/cp "$ENGINE/before.json" "$ENGINE/world.json"
export FAKE_DOCKER_DIR=$ENGINE DOCKER_ZDD_HELPER=off PATH=$ENGINE/bin COLUMNS=100
case " $* " in *' --watch '*) ;; *) exec "$ZDD" "$@" ;; esac
"$ZDD" "$@" >"$ENGINE/watched" &
until [ -s "$ENGINE/watched" ]; do /bin/sleep 0.05; done
kill -TERM $!
wait $! || [ $? = 130 ]
"#;

/// Blocks that are typed: those of a shell, and what a workflow runs.
fn scripts() -> Vec<(String, String)> {
    let typed =
        |block: &Block| matches!(block.language.as_str(), "sh" | "console") && block.not_run().is_none();
    let of = |block: Block| match block.is_workflow() {
        true => Some((block.place(), workflow(&block.text))),
        false => typed(&block).then(|| (block.place(), block.script())),
    };
    blocks().into_iter().filter_map(of).collect()
}

/// All that stands under `run` or `script`, in order, with the variables that the workflow sets.
fn workflow(text: &str) -> String {
    fn collect(value: &Value, found: &mut Vec<String>) {
        for (key, value) in value.as_mapping().into_iter().flatten() {
            match (key.as_str(), value) {
                (Some("run"), Value::String(script)) => found.push(script.clone()),
                (Some("script" | "before_script"), Value::Sequence(lines)) => {
                    found.extend(lines.iter().filter_map(Value::as_str).map(str::to_owned));
                }
                _ => collect(value, found),
            }
        }
        value.as_sequence().into_iter().flatten().for_each(|value| collect(value, found));
    }
    let mut found = Vec::new();
    collect(&serde_yaml::from_str(text).expect("YAML"), &mut found);
    assert!(!found.is_empty(), "the workflow runs nothing:\n{text}");
    found.join("\n")
}

/// Answers every request, for the pages about the probe.
fn site() -> String {
    static SITE: OnceLock<String> = OnceLock::new();
    let start = || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 4096]);
                let _ =
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
            }
        });
        format!("http://{address}/")
    };
    SITE.get_or_init(start).clone()
}

/// What other programs were told, as far as it can be known without running them.
fn objection(words: &[String]) -> Option<String> {
    let (name, words) = words.split_first()?;
    match (name.rsplit('/').next()?, words) {
        (script, words) if name.starts_with("scripts/") => {
            let help = help_of_script(script);
            let unknown = words
                .iter()
                .find(|word| word.starts_with('-') && !help.contains(*word) && *word != "--help")?;
            Some(format!("{name} does not know {unknown}"))
        }
        ("docker", words) => {
            let at = words.iter().position(|word| word == "compose")?;
            let command = words[at + 1..].iter().find(|word| !word.starts_with('-'))?;
            let help = help_of_compose(command);
            let mut flags = words.iter().filter(|word| word.starts_with("--"));
            let unknown = flags.find(|flag| !help.contains(flag.split('=').next().unwrap_or_default()))?;
            Some(format!("docker compose {command} does not know {unknown}"))
        }
        _ => None,
    }
}

fn help_of_script(name: &str) -> String {
    let mut command = Command::new("bash");
    let output = command.arg(root().join("scripts").join(name)).arg("--help").output().expect("bash");
    assert!(output.status.success(), "scripts/{name} --help");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn help_of_compose(command: &str) -> String {
    let output =
        Command::new(real::program()).args(["compose", command, "--help"]).output().expect("Compose");
    assert!(output.status.success(), "docker compose {command} --help");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn check((place, script): &(String, String)) -> Option<String> {
    let script = script.replace("http://127.0.0.1:8080/", &site());
    match Machine::new().run(&script) {
        Err(output) => Some(format!("{place}: {script}{output}")),
        Ok(notes) => {
            let wrong: BTreeSet<_> = notes.iter().filter_map(|words| objection(words)).collect();
            (!wrong.is_empty())
                .then(|| format!("{place}: {}", wrong.into_iter().collect::<Vec<_>>().join("; ")))
        }
    }
}

#[test]
fn what_pages_say_to_type_can_be_typed() {
    let scripts = scripts();
    assert!(scripts.len() > 40, "{} scripts", scripts.len());
    let (queue, wrong) = (Mutex::new(scripts), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(2, |n| n.get().min(8)) {
            scope.spawn(|| {
                loop {
                    let Some(script) = queue.lock().expect("the queue").pop() else { break };
                    wrong.lock().expect("the list").extend(check(&script));
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().expect("the list");
    wrong.sort();
    report(&wrong);
}

#[test]
fn what_cannot_be_typed_is_found() {
    let run = |script: &str| Machine::new().run(script);
    assert!(run("docker zdd up --dealy 3s").unwrap_err().contains("did you mean --delay?"));
    assert!(run("docker zdd up wbe").unwrap_err().contains("no such service"));
    assert!(run("dokcer zdd up").unwrap_err().contains("not found"));
    assert!(run("docker zdd up | jq .").is_ok());
    let notes = run("scripts/install --sytem").expect("notes");
    assert_eq!(objection(&notes[0]).as_deref(), Some("scripts/install does not know --sytem"));
}
