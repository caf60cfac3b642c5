//! The man pages, from the same definition as the help.

use clap_mangen::{
    Man,
    roff::{Roff, bold, roman},
};

use super::help::{command, sentence};
use crate::{
    exit::{self, Exit},
    project::settings::{KEYS, Settings},
};

/// Every page: `docker-zdd.1`, `docker-zdd-up.1`, … and its text.
pub fn pages() -> Vec<(String, String)> {
    let mut root = command();
    root.build();
    let subs: Vec<_> = root.get_subcommands().filter(|sub| !sub.is_hide_set()).cloned().collect();
    let names: Vec<_> = subs.iter().map(|sub| page_name(sub.get_name())).collect();
    let mut pages = vec![page("docker-zdd".to_owned(), root, exit::CODES, &names)];
    for sub in subs {
        let codes = match sub.get_name() {
            "doctor" => exit::DOCTOR_CODES,
            "init" => exit::INIT_CODES,
            "status" | "version" => exit::SHOWING_CODES,
            _ => exit::CODES,
        };
        pages.push(page(page_name(sub.get_name()), sub, codes, &["docker-zdd".to_owned()]));
    }
    pages
}

fn page_name(sub: &str) -> String {
    format!("docker-zdd-{sub}")
}

fn page(name: String, command: clap::Command, codes: &[(Exit, &str)], others: &[String]) -> (String, String) {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim().to_owned();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let man = Man::new(command.clone()).title(name.to_uppercase()).date("").manual("Docker zdd");
    let man = man.source(format!("docker zdd {}", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    // Writing to memory does not fail.
    let _ = man.render_title(&mut text);
    let mut head = Roff::new();
    head.control("SH", ["NAME"]);
    head.text([roman(format!("{name} - {about}"))]);
    head.control("SH", ["SYNOPSIS"]);
    head.text([bold(usage)]);
    let _ = head.to_writer(&mut text);
    let _ = man.render_options_section(&mut text);
    if command.has_subcommands() {
        let _ = subcommands(&command).to_writer(&mut text);
        let _ = settings().to_writer(&mut text);
    }
    let _ = tail(codes, others).to_writer(&mut text);
    (format!("{name}.1"), String::from_utf8_lossy(&text).into_owned())
}

fn subcommands(command: &clap::Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["COMMANDS"]);
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        roff.control("TP", []);
        roff.text([bold(sub.get_name())]);
        roff.text([roman(sub.get_about().map(ToString::to_string).unwrap_or_default())]);
    }
    roff
}

/// What a Compose file may say to it.
fn settings() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SETTINGS"]);
    roff.text([roman(
        "In the Compose file, in the x-zdd of a service or at the top of the file. A flag wins.",
    )]);
    for (key, (_, default, _)) in KEYS.iter().zip(Settings::default().explained()) {
        roff.control("TP", []);
        roff.text([bold(key.name), roman(format!(": {} (default: {default})", key.takes))]);
        roff.text([roman(sentence(key.about))]);
    }
    roff
}

fn tail(codes: &[(Exit, &str)], others: &[String]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for (exit, meaning) in codes {
        roff.control("TP", []);
        roff.text([bold(exit.code().to_string())]);
        roff.text([roman(sentence(meaning))]);
    }
    roff.control("SH", ["SEE ALSO"]);
    let others: Vec<_> = others.iter().map(|name| format!("{name}(1)")).collect();
    roff.text([roman(format!("{}, docker(1)", others.join(", ")))]);
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page_of(name: &str) -> String {
        let page = pages().into_iter().find(|(file, _)| file == name);
        page.unwrap_or_else(|| panic!("no page {name}")).1
    }

    /// Without what roff puts before hyphens, dots and quotes.
    fn plain(roff: &str) -> String {
        roff.replace("\\-", "-")
            .replace("\\fB", "")
            .replace("\\fR", "")
            .replace("\\fI", "")
            .replace("\\&", "")
            .replace("\\*(Aq", "'")
    }

    #[test]
    fn every_command_and_every_visible_flag_has_its_place() {
        let mut root = command();
        root.build();
        for sub in root.get_subcommands() {
            let page = plain(&page_of(&format!("docker-zdd-{}.1", sub.get_name())));
            for arg in sub.get_opts().filter(|arg| !arg.is_hide_set()) {
                let long = arg.get_long().expect("a long name");
                assert!(page.contains(&format!("--{long}")), "{}: --{long}", sub.get_name());
            }
            assert!(plain(&page_of("docker-zdd.1")).contains(&format!("docker-zdd-{}(1)", sub.get_name())));
        }
        let up = plain(&page_of("docker-zdd-up.1"));
        assert!(up.contains("docker zdd up [OPTIONS] [SERVICE...]"), "{up}");
        assert!(!up.contains("--detach"), "hidden");
    }

    /// One table says it in three places.
    #[test]
    fn exit_codes_are_the_same_in_help_man_page_and_docs() {
        let docs = include_str!("../../docs/exit-codes.md");
        let (help, man) = (super::super::help(&["up".into()]).stdout, plain(&page_of("docker-zdd.1")));
        for (exit, meaning) in exit::CODES {
            let code = exit.code();
            assert!(docs.contains(&format!("\n| {code} | {meaning} |\n")), "docs: {code}");
            assert!(
                help.contains(&format!("\n  {code:>3}   {}\n", sentence(meaning))),
                "help: {code}\n{help}"
            );
            assert!(
                man.contains(&format!(".TP\n{code}\n{}\n", sentence(meaning))),
                "man page: {code}\n{man}"
            );
        }
        let rows = docs.lines().skip_while(|line| !line.starts_with("| code |")).skip(2);
        let rows = rows.take_while(|line| line.starts_with('|')).count();
        assert_eq!(rows, exit::CODES.len(), "docs/exit-codes.md has a code that the table has not");
    }
}
