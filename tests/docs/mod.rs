//! The documentation is run: what it says to type is typed, what it says to write is written, where it points to is
//! something.
//!
//! | block | what is done with it |
//! |---|---|
//! | `sh`, `console` | bash runs it, where `docker zdd` is the program on a scripted engine, `docker compose` is asked whether it knows the flags, and other programs only take note |
//! | `yaml` | Compose reads it, and the program reads its settings and plans it; `<!-- plan: db=held -->` before it says what must come out |
//! | `yaml` after `<!-- workflow -->` | what it runs is run as `sh` |
//! | `json` | parsed |
//! | `caddyfile`, `nginx`, `haproxy` | each line stands in an example, in this order |
//! | `text` | a drawing |
//!
//! `<!-- not run: REASON -->` before a block leaves it out. `UPDATE=1 cargo test --test corpus docs` writes the table of
//! settings.

mod blocks;
mod commands;
mod links;
mod settings;
mod snippets;

use std::{fs, path::PathBuf};

use blocks::{Block, blocks_of};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What people read, by its path from the root.
fn pages() -> Vec<String> {
    let mut pages: Vec<_> = ["README.md", "CHANGELOG.md"].map(str::to_owned).into();
    for folder in ["docs", ".github", "examples", "examples/haproxy"] {
        let entries = fs::read_dir(root().join(folder)).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        pages.extend(names.filter(|name| name.ends_with(".md")).map(|name| format!("{folder}/{name}")));
    }
    pages.sort();
    pages
}

fn blocks() -> Vec<Block> {
    pages().iter().flat_map(|page| blocks_of(page, &read(page))).collect()
}

/// Fails with all that is wrong, and not only with the first.
fn report(wrong: &[String]) {
    assert!(wrong.is_empty(), "{}\n{} wrong", wrong.join("\n"), wrong.len());
}

#[test]
fn every_block_is_of_a_kind_that_is_checked() {
    let blocks = blocks();
    assert!(blocks.len() > 60, "{} blocks", blocks.len());
    let wrong = blocks.iter().filter_map(|block| {
        let known = match block.language.as_str() {
            "sh" | "console" | "yaml" | "json" | "caddyfile" | "nginx" | "haproxy" | "text" => true,
            _ => block.not_run().is_some(),
        };
        let reason = block.not_run().is_none_or(|reason| reason.len() > 10);
        (!known || !reason)
            .then(|| format!("{}: nothing checks a block of {:?}", block.place(), block.language))
    });
    report(&wrong.collect::<Vec<_>>());
}

#[test]
fn json_is_json() {
    let blocks: Vec<_> = blocks().into_iter().filter(|block| block.language == "json").collect();
    assert!(!blocks.is_empty());
    let error = |block: &Block| Some(format!("{}: {}", block.place(), parse_json(&block.text).err()?));
    report(&blocks.iter().filter_map(error).collect::<Vec<_>>());
}

fn parse_json(text: &str) -> Result<serde_json::Value, serde_json::Error> {
    serde_json::from_str(text)
}

/// What is tried as a whole stack may be shown in parts.
#[test]
fn lines_of_proxies_stand_in_the_examples() {
    let mut wrong = Vec::new();
    for block in blocks() {
        let example = match block.language.as_str() {
            "caddyfile" => "examples/caddy/Caddyfile",
            "nginx" => "examples/nginx/default.conf",
            "haproxy" => "examples/haproxy/haproxy.cfg",
            _ => continue,
        };
        let text = read(example);
        let mut lines = text.lines().map(str::trim);
        let mut shown = block.text.lines().map(str::trim).filter(|line| !line.is_empty());
        let missing = shown.find(|line| !lines.any(|known| known == *line));
        wrong.extend(
            missing.map(|line| format!("{}: {example} has no such line there: {line}", block.place())),
        );
    }
    report(&wrong);
}

#[test]
fn the_readme_is_one_that_is_read() {
    let lines = read("README.md").lines().count();
    assert!(lines <= 150, "{lines} lines");
}

/// A page of docs begins with what to type. The words are no page of that kind.
#[test]
fn pages_begin_with_what_to_type() {
    let is_one = |page: &&String| page.starts_with("docs/") && *page != "docs/glossary.md";
    let late = pages().into_iter().filter(|page| is_one(&page)).filter(|page| {
        let text = read(page);
        let before = text.split("\n```sh\n").next().unwrap_or_default();
        before.lines().filter(|line| !line.is_empty()).count() > 3
    });
    report(&late.map(|page| format!("{page} begins with something else")).collect::<Vec<_>>());
}
