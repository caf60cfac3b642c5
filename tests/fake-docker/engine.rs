//! `docker …`, as Docker 28 answers.

use serde_json::json;

use crate::{
    answer::Answer,
    call::{Arguments, Call},
    revisions,
    world::{Container, World},
};

const DEAD: &str =
    "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?";

pub fn answer(world: &mut World, call: &Call) -> Answer {
    match call.verb() {
        "version" => return version(world),
        "info" if call.words.iter().any(|word| word == "{{.Name}}") => {
            let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            return Answer::text(world.engine_name.clone().unwrap_or(name));
        }
        "info" => return info(world),
        _ if world.engine_is_dead => return Answer::failed(1, DEAD),
        _ if world.engine_is_away > 0 => {
            world.engine_is_away -= 1;
            return Answer::failed(1, DEAD);
        }
        _ => {}
    }
    let words = call.words.as_slice();
    let read = |switches, values| Arguments::read(words, switches, values, false);
    let result = match call.verb() {
        "ps" => read(&["-a", "-q", "-aq", "--no-trunc"], &["--filter", "--format"]).map(|a| ps(world, &a)),
        "wait" => read(&[], &[]).map(|a| each(&a, |id| world.end_one_off(id))),
        "inspect" => read(&[], &["--type"]).map(|a| inspect(world, &a)),
        "image" if words.get(1).is_some_and(|word| word == "inspect") => {
            read(&[], &["--platform", "--format"]).map(|a| image_inspect(world, &a))
        }
        "image" => revisions::image(world, words),
        "tag" => read(&[], &[]).map(|a| revisions::tag(world, &a)),
        "import" => read(&["-"], &[]).map(|a| revisions::import(world, &a, &call.stdin)),
        "create" => {
            read(&[], &["--pull", "--network", "--label", "--name"]).map(|a| revisions::create(world, &a))
        }
        "cp" => read(&["-"], &[]).map(|a| revisions::copy(world, &a)),
        "rm" if words.last().is_some_and(|word| revisions::holder(world, word).is_some()) => {
            read(&["-v"], &[]).map(|a| revisions::remove_holder(world, &a))
        }
        "start" => read(&[], &[]).map(|a| each(&a, |id| world.start(id)).for_start(&a)),
        "stop" => read(&[], &["--time"]).map(|a| each(&a, |id| world.stop(id))),
        "rm" => read(&["-v"], &[]).map(|a| each(&a, |id| world.remove(id))),
        "update" => read(&[], &["--restart"]).map(|a| update(world, &a)),
        "rename" => read(&[], &[]).map(|a| rename(world, &a)),
        "logs" => read(&[], &["--tail"]).map(|a| logs(world, &a)),
        "volume" => volume(world, words),
        // Nobody else is on them.
        "network" => Ok(Answer::text("[]\n".to_owned())),
        "exec" => Arguments::read(words, &["--privileged"], &["--user", "--workdir", "--env"], true)
            .map(|a| exec(world, &a)),
        verb => return Answer::unknown(&format!("docker: unknown command: docker {verb}")),
    };
    result.unwrap_or_else(|flag| Answer::unknown(&format!("unknown flag: {flag}")))
}

/// The client's half is printed without an engine too.
fn version(world: &mut World) -> Answer {
    let client = json!({ "Version": "28.2.2" });
    let is_away = world.engine_is_away > 0;
    world.engine_is_away = world.engine_is_away.saturating_sub(1);
    if world.engine_is_dead || is_away {
        let stdout = json!({ "Client": client, "Server": null }).to_string();
        return Answer { stdout, ..Answer::failed(1, DEAD) };
    }
    Answer::text(format!("{}\n", json!({ "Client": client, "Server": { "Version": world.engine_version } })))
}

/// The list of plugins: Compose, and the program that asks.
fn info(world: &World) -> Answer {
    let parent = std::os::unix::process::parent_id();
    let path = std::fs::read_link(format!("/proc/{parent}/exe")).unwrap_or_default();
    let version = format!("v{}", env!("CARGO_PKG_VERSION"));
    let plugins = json!([
        { "Name": "compose", "Version": format!("v{}", world.compose_version), "Path": "/usr/libexec/docker/cli-plugins/docker-compose" },
        { "Name": "zdd", "Version": version, "Path": path },
    ]);
    Answer::text(format!("{plugins}\n"))
}

fn ps(world: &World, arguments: &Arguments) -> Answer {
    if arguments.one("--filter") == Some("label=io.zdd.revision.reading=true") && arguments.has("-a") {
        return revisions::holders(world);
    }
    let filters: Vec<_> =
        arguments.all("--filter").iter().filter_map(|text| text.strip_prefix("label=")).collect();
    let fits = |labels: &std::collections::BTreeMap<String, String>| {
        filters.iter().all(|filter| {
            let (key, value) = filter.split_once('=').unwrap_or((filter, ""));
            labels.get(key).is_some_and(|found| found == value)
        })
    };
    // The newest first.
    let found = world.containers.iter().rev().filter(|container| fits(&container.labels()));
    let line = |container: &Container| match arguments.one("--format") {
        _ if arguments.has("-aq") => format!("{}\n", container.id),
        Some("{{.Names}}") => format!("{}\n", container.name),
        _ => format!("{} {}\n", container.id, container.name),
    };
    let all = arguments.has("-aq") || arguments.has("-a");
    Answer::text(found.filter(|c| all || c.is_up()).map(line).collect::<String>())
}

fn inspect(world: &mut World, arguments: &Arguments) -> Answer {
    let services = world.services();
    let (mut found, mut stderr) = (vec![], String::new());
    for id in &arguments.operands {
        let Some(container) = world.find(id).cloned() else {
            stderr += &format!("Error response from daemon: No such container: {id}\n");
            continue;
        };
        found.push(container.json(services.iter().find(|service| service.name == container.service)));
        world.looked_at(id);
    }
    let stdout = serde_json::to_string_pretty(&found).expect("JSON") + "\n";
    Answer { stdout, code: i32::from(!stderr.is_empty()), stderr }
}

fn image_inspect(world: &World, arguments: &Arguments) -> Answer {
    let (mut found, mut stderr) = (vec![], String::new());
    if let Some(platform) = arguments.one("--platform") {
        let manifest = |reference| world.manifests.get(world.images.get(reference)?);
        let all: Option<Vec<_>> = arguments.operands[1..].iter().map(manifest).collect();
        return match all {
            Some(all) if platform == "linux/amd64" => {
                Answer::text(all.into_iter().map(|id| format!("{id}\n")).collect::<String>())
            }
            _ => Answer::failed(1, "Error response from daemon: it does not provide the specified platform"),
        };
    }
    for reference in &arguments.operands[1..] {
        match world.images.get(reference) {
            Some(id) => {
                let mut image = json!({ "Id": id, "RepoTags": [reference], "Architecture": "amd64", "Os": "linux",
                    "Config": { "Labels": null, "Healthcheck": null } });
                if world.manifests.contains_key(id) {
                    image["Descriptor"] =
                        json!({ "mediaType": "application/vnd.oci.image.index.v1+json", "digest": id });
                }
                found.push(image);
            }
            None => {
                stderr += &format!(
                    "Error response from daemon: no such image: {reference}: No such image: {}\n",
                    tagged(reference)
                )
            }
        }
    }
    let stdout = serde_json::to_string_pretty(&found).expect("JSON") + "\n";
    Answer { stdout, code: i32::from(!stderr.is_empty()), stderr }
}

fn tagged(reference: &str) -> String {
    match reference.rsplit('/').next().is_some_and(|name| name.contains(':')) {
        true => reference.to_owned(),
        false => format!("{reference}:latest"),
    }
}

/// Does something to each container: the name on standard output, or an error.
fn each(arguments: &Arguments, mut action: impl FnMut(&str) -> Result<(), String>) -> Answer {
    let mut answer = Answer::default();
    for id in &arguments.operands {
        match action(id) {
            Ok(()) => answer.stdout += &format!("{id}\n"),
            Err(error) => answer.stderr += &format!("Error response from daemon: {error}\n"),
        }
    }
    answer.code = i32::from(!answer.stderr.is_empty());
    answer
}

impl Answer {
    fn for_start(mut self, arguments: &Arguments) -> Answer {
        let failed: Vec<_> =
            arguments.operands.iter().filter(|id| !self.stdout.contains(*id)).cloned().collect();
        if !failed.is_empty() {
            self.stderr += &format!("Error: failed to start containers: {}\n", failed.join(", "));
        }
        self
    }
}

fn update(world: &mut World, arguments: &Arguments) -> Answer {
    let policy = arguments.one("--restart").unwrap_or_default().to_owned();
    each(arguments, |id| {
        let container = world.find(id).ok_or_else(|| format!("No such container: {id}"))?;
        container.restart.clone_from(&policy);
        Ok(())
    })
}

fn rename(world: &mut World, arguments: &Arguments) -> Answer {
    let [id, name] = arguments.operands.as_slice() else { return Answer::unknown("rename takes two words") };
    let failed = |error: String| Answer::failed(1, &format!("Error response from daemon: {error}"));
    if let Some(other) = world.containers.iter().find(|container| container.name == *name) {
        return failed(format!(
            "Conflict. The container name \"/{name}\" is already in use by container {:?}.",
            other.id
        ));
    }
    match world.find(id) {
        Some(container) => container.name.clone_from(name),
        None => return failed(format!("No such container: {id}")),
    }
    Answer::default()
}

fn logs(world: &mut World, arguments: &Arguments) -> Answer {
    let id = arguments.operands.first().cloned().unwrap_or_default();
    let Some(container) = world.find(&id) else {
        return Answer::failed(1, &format!("Error response from daemon: No such container: {id}"));
    };
    let lines: Vec<_> = container.log.lines().collect();
    let tail = arguments.one("--tail").and_then(|n| n.parse().ok()).unwrap_or(lines.len());
    Answer::text(
        lines[lines.len().saturating_sub(tail)..].iter().map(|line| format!("{line}\n")).collect::<String>(),
    )
}

fn volume(world: &mut World, words: &[String]) -> Result<Answer, String> {
    let missing =
        |name: &str| Answer::failed(1, &format!("Error response from daemon: get {name}: no such volume"));
    let arguments = Arguments::read(words, &[], &["--label", "--format", "--filter"], false)?;
    match arguments.operands.first().map(String::as_str) {
        Some("ls") => return Ok(revisions::volumes(world, &arguments)),
        Some("rm") if arguments.operands.len() > 2 => {
            return Ok(revisions::remove_volumes(world, &arguments));
        }
        _ => {}
    }
    let [verb, name] = arguments.operands.as_slice() else {
        return Ok(Answer::unknown("one volume at a time"));
    };
    Ok(match (verb.as_str(), world.volumes.get(name)) {
        ("create", None) => {
            let labels = arguments.all("--label").iter().filter_map(|label| label.split_once('='));
            let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            world.volumes.insert(name.clone(), labels);
            Answer::text(format!("{name}\n"))
        }
        ("create", Some(_)) => Answer::text(format!("{name}\n")),
        (_, None) => missing(name),
        ("inspect", Some(labels)) => Answer::text(format!("{}\n", json!(labels))),
        ("rm", Some(_)) => {
            world.volumes.remove(name);
            Answer::text(format!("{name}\n"))
        }
        (verb, _) => Answer::unknown(&format!("docker volume {verb}")),
    })
}

fn exec(world: &mut World, arguments: &Arguments) -> Answer {
    let id = arguments.operands.first().cloned().unwrap_or_default();
    match world.find(&id) {
        None => Answer::failed(1, &format!("Error response from daemon: No such container: {id}")),
        Some(container) if container.now.state != "running" => Answer::failed(
            1,
            &format!("Error response from daemon: Container {} is not running", container.id),
        ),
        // `sh -c SCRIPT zdd COMMAND SOCKET`
        Some(_) if arguments.operands.get(4).is_some_and(|word| word == "zdd") => {
            Answer::text(world.ask_proxy(&arguments.operands[5]))
        }
        Some(_) => Answer::default(),
    }
}
