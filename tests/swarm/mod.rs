//! What becomes of a compose file on Docker Swarm: each feature of Compose alone (`features.txt`), and the corpus as a
//! whole (`corpus.txt`). Compose resolves the files, and the Docker CLI, where it is here, says whether it takes the
//! result and has dropped nothing of it; no engine is asked.
//!
//! ```text
//! == NAME                 and `needs 5.6` behind it for what an older Compose refuses
//! keys of a service       or a whole file, where it has `services:`
//! --
//! what comes out: what differs from a service that has an image alone
//! ```
//!
//! `UPDATE=1 cargo test --test corpus swarm` writes what comes out; read it.

mod cli;
mod odd;
mod page;

mod shown;

use std::{env, fs, path::PathBuf, thread};

use zdd::{
    platform::swarm::stack::{Bytes, Misfit, Options, SourceFile, Sources, Stack, convert},
    project::{Document, Overrides, Project},
};

use crate::{diff::diff, entries, entry::Entry, real};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/swarm")
}

/// The files that the features name, by the last part of their path.
struct Files;

impl Sources for Files {
    fn file(&self, path: &str) -> Result<SourceFile, String> {
        let name = path.rsplit('/').next().unwrap_or_default();
        let bytes = match name {
            "missing.conf" => return Err("there is no such file".to_owned()),
            "empty.conf" => vec![],
            "big.conf" => vec![b'x'; 1000 * 1024],
            _ => format!("the content of {name}").into_bytes(),
        };
        let executable = std::path::Path::new(name).extension().is_some_and(|extension| extension == "sh");
        Ok(SourceFile { bytes: Bytes(bytes), executable })
    }

    fn variable(&self, name: &str) -> Option<String> {
        (name == "TOKEN").then(|| "s3cret $1".to_owned())
    }
}

/// What becomes of the text that Compose printed; `Err` for one that is no project.
fn converted(resolved: &str) -> Result<Result<Stack, Vec<Misfit>>, String> {
    let document = Document::parse(resolved).map_err(|error| error.to_string())?;
    let project =
        Project::read(document.clone(), &Overrides::default()).map_err(|error| error.to_string())?;
    Ok(convert(&document, &Options::of(&project, &Files)))
}

/// Compares with the file, or writes it.
fn agrees(name: &str, found: &str) {
    let path = folder().join(name);
    if env::var_os("UPDATE").is_some() {
        return fs::write(path, found).expect("a file");
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    assert!(
        expected == found,
        "{}UPDATE=1 writes what comes out now into tests/swarm/{name}",
        diff(&expected, found)
    );
}

struct Feature {
    name: String,
    needs: Option<String>,
    given: String,
    expected: String,
}

fn features() -> Vec<Feature> {
    let text = fs::read_to_string(folder().join("features.txt")).expect("the features");
    let blocks = text.split("\n== ").skip(1);
    let feature = |block: &str| {
        let (title, rest) = block.split_once('\n').expect("a title");
        let (given, expected) = rest.split_once("\n--\n").unwrap_or((rest.trim_end(), ""));
        let (name, needs) = title.split_once(" needs ").unwrap_or((title, ""));
        let needs = Some(needs.to_owned()).filter(|needs| !needs.is_empty());
        Feature {
            name: name.to_owned(),
            needs,
            given: given.to_owned(),
            expected: expected.trim_end().to_owned(),
        }
    };
    blocks.map(feature).collect()
}

impl Feature {
    fn file(&self) -> String {
        if self.given.lines().any(|line| line == "services:") {
            return format!("name: shop\n{}\n", self.given);
        }
        let image =
            if self.given.lines().any(|line| line.starts_with("image:")) { "" } else { "    image: app:1\n" };
        let lines: String = self.given.lines().map(|line| format!("    {line}\n")).collect();
        format!("name: shop\nservices:\n  app:\n{image}{lines}")
    }

    /// As it stands in the file, with what comes out now.
    fn block(&self) -> String {
        let possible = self.needs.as_deref().is_none_or(real::is_at_least);
        let outcome = if possible { self.outcome() } else { self.expected.clone() };
        let needs = self.needs.as_ref().map(|needs| format!(" needs {needs}")).unwrap_or_default();
        let outcome = if outcome.is_empty() { outcome } else { outcome + "\n" };
        format!("\n== {}{needs}\n{}\n--\n{outcome}", self.name, self.given)
    }

    fn outcome(&self) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("compose.yaml"), self.file()).expect("a file");
        fs::write(folder.path().join("app.labels"), "from.file=yes\n").expect("a file");
        fs::write(folder.path().join("app.env"), "FROM_FILE=a$b\n").expect("a file");
        let project = real::Project { folder: folder.path(), env: &[], flags: &[] };
        let Some(resolved) = project.resolved() else { return "Compose refuses it".to_owned() };
        let resolved = resolved.replace(&folder.path().display().to_string(), "/srv/shop");
        odd::survives(&resolved);
        odd::refuses_what_is_unknown(&resolved);
        match converted(&resolved) {
            Err(error) => format!("no project: {error}"),
            Ok(Err(misfits)) => shown::misfits(&misfits),
            Ok(Ok(stack)) => {
                let objections = cli::objections(&stack);
                format!("{}{objections}", shown::stack(&stack))
            }
        }
        .trim_end()
        .to_owned()
    }
}

#[test]
fn every_feature_of_compose_is_carried_over_or_refused_by_name() {
    let text = fs::read_to_string(folder().join("features.txt")).expect("the features");
    let head = text.split("\n== ").next().unwrap_or_default();
    let features = features();
    let share = features.len().div_ceil(4);
    let blocks: Vec<String> = thread::scope(|scope| {
        let of = |some: &[Feature]| some.iter().map(Feature::block).collect::<Vec<_>>();
        let threads: Vec<_> = features.chunks(share).map(|some| scope.spawn(move || of(some))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    agrees("features.txt", &format!("{head}{}", blocks.concat()));
}

/// What is not tried is not known.
#[test]
fn there_is_a_feature_for_each_key_of_the_tables() {
    let given: String = features().iter().map(|feature| format!("{}\n", feature.given)).collect();
    let mut missing = Vec::new();
    for key in
        zdd::platform::swarm::stack::TABLES.iter().flat_map(|table| table.rows).flat_map(|row| row.keys)
    {
        // Older files alone have them, and Compose does not print them.
        if ["version", "include", "extends"].contains(key) || key.ends_with('*') {
            continue;
        }
        let last = key.strip_prefix("driver_opts.").unwrap_or_else(|| key.rsplit('.').next().unwrap_or(key));
        if !given.contains(&format!("{last}:")) {
            missing.push(*key);
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_corpus_is_carried_over_or_refused() {
    let mut entries = entries();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let found: String = entries.iter().flat_map(Entry::for_swarm).collect();
    if env::var_os("CORPUS").is_none() {
        agrees("corpus.txt", &found);
    }
}

impl Entry {
    /// Of each command line that reads other files.
    fn for_swarm(&self) -> Vec<String> {
        let mut shown = Vec::new();
        for (given, resolved) in self.resolved() {
            let outcome = match converted(&resolved) {
                Err(error) => format!("  {error}\n"),
                Ok(Err(misfits)) => indented(&shown::misfits(&misfits)),
                Ok(Ok(stack)) => indented(&format!("{}{}", shown::in_brief(&stack), cli::objections(&stack))),
            };
            let text = format!("{}{given}\n{}", self.name, self.without_paths(&outcome));
            if !shown.contains(&text) {
                shown.push(text);
            }
        }
        shown
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
