//! The tables of docs/swarm.md are made from those that the program goes by.

use std::{env, fs, path::PathBuf};

use zdd::{
    platform::swarm::stack::{Fate, Row, TABLES, Table},
    project::WAIVABLE,
};

const PAGE: &str = "docs/swarm.md";

/// Where the keys of a table stand, in a word or two.
fn of(table: &Table) -> &'static str {
    match table.of {
        "services.*" => "service",
        "networks.*" => "network",
        "volumes.*" => "volume",
        "the file" => "file",
        _ => "config, secret",
    }
}

/// `ports.mode`, with a mark where it can be waived.
fn shown(key: &str, marks: bool) -> String {
    let mark = if marks && WAIVABLE.contains(&key) { " \\*" } else { "" };
    format!("`{}`{mark}", key.replace("[]", "").replace("*.", ""))
}

fn keys(row: &Row, marks: bool) -> String {
    row.keys.iter().map(|key| shown(key, marks)).collect::<Vec<_>>().join(", ")
}

/// What goes on as it is, first what is no part of something.
fn same(table: &Table) -> String {
    let rows = table.rows.iter().filter(|row| row.fate == Fate::Same);
    let all: Vec<_> = rows.flat_map(|row| row.keys).collect();
    let (parts, whole): (Vec<_>, Vec<_>) = all.into_iter().partition(|key| key.contains('.'));
    let line = |keys: &[&&str]| {
        let keys: Vec<_> = keys.iter().map(|key| shown(key, false)).collect();
        format!("| {} | {} | the same |\n", of(table), keys.join(", "))
    };
    [whole, parts].iter().filter(|keys| !keys.is_empty()).map(|keys| line(keys)).collect()
}

/// What goes on, and as what.
fn becomes() -> String {
    let mut text = "| of a | key | becomes |\n|---|---|---|\n".to_owned();
    for table in TABLES {
        text += &same(table);
        for row in table.rows {
            let becomes = match row.fate {
                Fate::Becomes(what) => what.to_owned(),
                Fate::Form(_, what) => format!("the same, as {what}"),
                Fate::Dropped(why) => format!("nothing: {why}"),
                Fate::Noted(what, why) => format!("{what}: {why}"),
                _ => continue,
            };
            text += &format!("| {} | {} | {becomes} |\n", of(table), keys(row, false));
        }
    }
    text
}

fn cannot() -> String {
    let mut text = "| of a | key | why | instead |\n|---|---|---|---|\n".to_owned();
    for table in TABLES {
        for row in table.rows {
            let (more, why, instead) = match row.fate {
                Fate::Refused { why, instead } => (String::new(), why, instead),
                Fate::Unless { fine, why, instead, .. } => {
                    (format!(" other than {}", fine.join(", ")), why, instead)
                }
                _ => continue,
            };
            let keys = keys(row, table.of == "services.*");
            text += &format!("| {} | {keys}{more} | {why} | {instead} |\n", of(table));
        }
    }
    text
}

fn with(page: &str, name: &str, table: &str) -> String {
    let (begin, end) = (format!("<!-- {name}: begin -->\n"), format!("<!-- {name}: end -->\n"));
    let (before, rest) = page.split_once(&begin).expect("the begin of the table");
    let (_, after) = rest.split_once(&end).expect("the end of the table");
    format!("{before}{begin}{table}{end}{after}")
}

#[test]
fn the_tables_of_keys_are_the_program_s() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = fs::read_to_string(&path).expect("the page");
    let made = with(&with(&page, "becomes", &becomes()), "cannot", &cannot());
    if env::var_os("UPDATE").is_some() {
        return fs::write(path, made).expect("the page");
    }
    assert!(page == made, "UPDATE=1 cargo test --test corpus swarm writes the tables of {PAGE}");
}
