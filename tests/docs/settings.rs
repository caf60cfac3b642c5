//! The table of settings is made from the table that the program goes by.

use std::{env, fs};

use zdd::project::{
    settings::{KEYS, Settings},
    swarm::ABOUT,
};

use super::{read, root};

const PAGE: &str = "docs/settings.md";
const BEGIN: &str = "<!-- settings: begin -->\n";
const END: &str = "<!-- settings: end -->\n";

fn table() -> String {
    let command = zdd::cli::command();
    let up = command.find_subcommand("up").expect("up");
    let mut table = "| key | takes | default | does | also |\n|---|---|---|---|---|\n".to_owned();
    for (key, (name, default, _)) in KEYS.iter().zip(Settings::default().explained()) {
        assert_eq!(key.name, name);
        let flag = name.replace('_', "-");
        let has_flag = up.get_arguments().any(|arg| arg.get_long() == Some(flag.as_str()));
        let flag = if has_flag { format!("`--{flag}`") } else { String::new() };
        let also = if key.in_update_config { ", `update_config`" } else { "" };
        let places = format!("{flag}{also}");
        let places = places.trim_start_matches(", ");
        table += &format!("| `{name}` | {} | {default} | {} | {places} |\n", key.takes, key.about);
    }
    for [key, takes, default, does, also] in ABOUT {
        table += &format!("| `{key}` | {takes} | {default} | {does} | {also} |\n");
    }
    table
}

#[test]
fn the_table_of_settings_is_the_program_s() {
    let page = read(PAGE);
    let (before, rest) = page.split_once(BEGIN).expect("the begin of the table");
    let (found, after) = rest.split_once(END).expect("the end of the table");
    let table = table();
    if env::var_os("UPDATE").is_some() {
        fs::write(root().join(PAGE), format!("{before}{BEGIN}{table}{END}{after}")).expect("the page");
        return;
    }
    assert_eq!(found, table, "UPDATE=1 cargo test --test corpus docs writes it");
}
