//! What the history is made of: labelled volumes, tags, and images of one file.

use crate::{
    answer::Answer,
    call::Arguments,
    world::{World, hex},
};

/// `docker volume ls` with one filter by label, printing one label.
pub fn volumes(world: &World, arguments: &Arguments) -> Answer {
    let filter = arguments.one("--filter").and_then(|text| text.strip_prefix("label="));
    let format = arguments.one("--format").unwrap_or_default();
    let label = format.strip_prefix("{{.Label \"").and_then(|rest| rest.strip_suffix("\"}}"));
    let (Some(filter), Some(label)) = (filter, label) else {
        return Answer::unknown("a label to filter by and a label to print");
    };
    let (key, value) =
        filter.split_once('=').map_or((filter, None), |(key, value)| (key, Some(value.to_owned())));
    let has = |labels: &&std::collections::BTreeMap<String, String>| {
        labels.get(key).is_some_and(|found| value.as_ref().is_none_or(|value| found == value))
    };
    let found = world.volumes.values().filter(has);
    let line = |labels: &std::collections::BTreeMap<String, String>| {
        labels.get(label).cloned().unwrap_or_default() + "\n"
    };
    Answer::text(found.map(line).collect::<String>())
}

pub fn remove_volumes(world: &mut World, arguments: &Arguments) -> Answer {
    let mut answer = Answer::default();
    for name in &arguments.operands[1..] {
        match world.volumes.remove(name) {
            Some(_) => answer.stdout += &format!("{name}\n"),
            None => answer.stderr += &format!("Error response from daemon: get {name}: no such volume\n"),
        }
    }
    answer.code = i32::from(!answer.stderr.is_empty());
    answer
}

/// `docker image ls REPOSITORY` and `docker image rm REFERENCE…`.
pub fn image(world: &mut World, words: &[String]) -> Result<Answer, String> {
    let arguments = Arguments::read(words, &["--no-trunc"], &["--format"], false)?;
    let operands = arguments.operands.as_slice();
    Ok(match operands {
        [verb, repository] if verb == "ls" => {
            let tags = world.images.iter().filter_map(|(reference, id)| {
                let (name, tag) = reference.rsplit_once(':')?;
                (name == repository).then(|| format!("{tag} {id}\n"))
            });
            Answer::text(tags.collect::<String>())
        }
        [verb, references @ ..] if verb == "rm" => {
            let mut answer = Answer::default();
            for reference in references {
                let id = world.images.get(reference).cloned().unwrap_or_default();
                if let Some(holder) = world.holders.iter().find(|(_, (image, _))| *image == id) {
                    let why =
                        format!("container {} is using its referenced image {}", &holder.0[..12], &id[7..19]);
                    answer.stderr += &format!(
                        "Error response from daemon: conflict: unable to remove repository reference \"{reference}\" (must force) - {why}\n"
                    );
                    continue;
                }
                match world.images.remove(reference) {
                    Some(_) => answer.stdout += &format!("Untagged: {reference}\n"),
                    None => {
                        answer.stderr += &format!("Error response from daemon: No such image: {reference}\n");
                    }
                }
            }
            answer.code = i32::from(!answer.stderr.is_empty());
            answer
        }
        _ => Answer::unknown("docker image"),
    })
}

pub fn tag(world: &mut World, arguments: &Arguments) -> Answer {
    let [image, reference] = arguments.operands.as_slice() else {
        return Answer::unknown("an image and a reference");
    };
    // An index that no tag names is gone, whatever runs from it.
    let runs = !world.manifests.contains_key(image) && world.containers.iter().any(|c| c.image_id == *image);
    let image = &world.images.get(image).cloned().unwrap_or_else(|| image.clone());
    match world.images.values().any(|id| id == image) || runs {
        true => {
            world.images.insert(reference.clone(), image.clone());
            Answer::default()
        }
        false => Answer::failed(1, &format!("Error response from daemon: No such image: {image}")),
    }
}

pub fn import(world: &mut World, arguments: &Arguments, stdin: &str) -> Answer {
    let Some(reference) = arguments.operands.last().cloned() else {
        return Answer::unknown("a reference");
    };
    let id = format!("sha256:{}", hex(&format!("{reference} {stdin}")));
    world.images.insert(reference, id.clone());
    world.imported.insert(id.clone(), stdin.trim_end_matches('\0').to_owned());
    Answer::text(format!("{id}\n"))
}

pub fn create(world: &mut World, arguments: &Arguments) -> Answer {
    let reference = arguments.operands.first().cloned().unwrap_or_default();
    let Some(image) = world.images.get(&reference).cloned() else {
        return Answer::failed(1, &format!("Error response from daemon: No such image: {reference}"));
    };
    let name = arguments.one("--name").unwrap_or_default().to_owned();
    if let Some(id) = holder(world, &name) {
        let said = format!("The container name \"/{name}\" is already in use by container \"{id}\".");
        return Answer::failed(1, &format!("Error response from daemon: Conflict. {said}"));
    }
    let id = hex(&format!("holder of {reference}"));
    world.names.insert(id.clone(), "holder".to_owned());
    world.holders.insert(id.clone(), (image, name));
    Answer::text(format!("{id}\n"))
}

/// `docker ps` with the label that only holders have.
pub fn holders(world: &World) -> Answer {
    Answer::text(world.holders.values().map(|(_, name)| format!("{name}\n")).collect::<String>())
}

/// The ID of a holder, given that or its name.
pub fn holder(world: &World, word: &str) -> Option<String> {
    let mut all = world.holders.iter();
    all.find(|(id, (_, name))| *id == word || name == word).map(|(id, _)| id.clone())
}

pub fn copy(world: &World, arguments: &Arguments) -> Answer {
    let source = arguments.operands.first().cloned().unwrap_or_default();
    let id = source.split(':').next().unwrap_or_default();
    let archive = world.holders.get(id).and_then(|(image, _)| world.imported.get(image));
    match archive {
        Some(archive) => Answer::text(padded(archive)),
        None => Answer::failed(1, &format!("Error: No such container:path: {source}")),
    }
}

/// The end of a tar archive: its last block is full, and two empty ones follow.
fn padded(archive: &str) -> String {
    let length = archive.len().next_multiple_of(512) + 1024;
    archive.to_owned() + &"\0".repeat(length - archive.len())
}

pub fn remove_holder(world: &mut World, arguments: &Arguments) -> Answer {
    for word in &arguments.operands {
        let id = holder(world, word).unwrap_or_default();
        world.holders.remove(&id);
    }
    Answer::text(arguments.operands.join("\n"))
}
