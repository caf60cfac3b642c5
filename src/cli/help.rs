//! The help text, laid out as `docker compose` lays out its own.

use std::any::TypeId;
use std::time::Duration;

use clap::{Arg, ArgAction, CommandFactory};

use super::{Cli, ServiceScale};
use crate::exit::{self, Exit};

const HELP: &str = "Usage:  {usage}\n\n{about}\n\nOptions:\n{options}{after-help}";
const ROOT_HELP: &str = "Usage:  {usage}\n\n{about}\n\nOptions:\n{options}\n\nCommands:\n{subcommands}\n\n\
    Run 'docker zdd COMMAND --help' for more information on a command.";
const COMPOSE_FLAGS: &str = "The options of 'docker zdd --help' may also stand here.";
/// The command with its help laid out as `docker compose` lays out its own.
pub fn command() -> clap::Command {
    let help = Arg::new("help").short('h').long("help").action(ArgAction::HelpShort);
    let root = Cli::command()
        .no_binary_name(true)
        .args_override_self(true)
        .max_term_width(100)
        .disable_help_flag(true)
        .arg(help.global(true).hide(true).help("Print usage"))
        .override_usage("docker zdd [OPTIONS] COMMAND")
        .help_template(ROOT_HELP)
        .mut_args(family_arg);
    let root = sorted(root);
    let globals: Vec<Arg> = root.get_arguments().cloned().collect();
    root.mut_subcommands(|sub| subcommand(sub, &globals))
}

/// Lays out one subcommand. Compose's flags work there too, but Compose lists only `--dry-run` there: a copy that
/// is there already is what clap takes instead of the visible global.
fn subcommand(sub: clap::Command, globals: &[Arg]) -> clap::Command {
    let operands = match sub.get_positionals().next() {
        Some(arg) if matches!(arg.get_action(), ArgAction::Append) => " [SERVICE...]",
        Some(_) => " [REVISION]",
        None => "",
    };
    let after = match sub.get_name() {
        "up" | "rollback" | "restart" => format!("{COMPOSE_FLAGS}\n\n{}", exit_codes(exit::CODES)),
        "doctor" => format!("{COMPOSE_FLAGS}\n\n{}", exit_codes(exit::DOCTOR_CODES)),
        "init" => format!("{COMPOSE_FLAGS}\n\n{}", exit_codes(exit::INIT_CODES)),
        _ => COMPOSE_FLAGS.into(),
    };
    let usage = format!("docker zdd {} [OPTIONS]{operands}", sub.get_name());
    let copies = globals.iter().map(|arg| arg.clone().hide(arg.get_id() != "dry_run"));
    let sub = sub
        .args(copies)
        .disable_help_flag(true)
        .override_usage(usage)
        .help_template(HELP)
        .after_help(after)
        .mut_args(family_arg);
    sorted(sub)
}

fn exit_codes(codes: &[(Exit, &str)]) -> String {
    let line = |(exit, meaning): &(Exit, &str)| format!("\n  {:>3}   {}", exit.code(), sentence(meaning));
    format!("Exit codes:{}", codes.iter().map(line).collect::<String>())
}

/// With a capital, as the family writes its help.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// Sorts the help by the flags' long names, as pflag does; clap alone would go by the short ones.
fn sorted(command: clap::Command) -> clap::Command {
    let longs = command.get_arguments().filter_map(Arg::get_long);
    let mut longs: Vec<String> = longs.map(str::to_owned).collect();
    longs.sort();
    command.mut_args(|arg| {
        let place = arg.get_long().map(|long| longs.binary_search(&long.into()));
        arg.display_order(place.and_then(Result::ok).unwrap_or_default())
    })
}

/// What holds for every flag of the family: choices and defaults stand in the text, and a flag with a value takes the
/// next word whatever it looks like (`--parallel -1`, `-f -`).
fn family_arg(arg: Arg) -> Arg {
    if arg.is_positional() || !arg.get_action().takes_values() {
        return arg;
    }
    let kind = value_kind(&arg);
    arg.value_name(kind).hide_default_value(true).hide_possible_values(true).allow_hyphen_values(true)
}

/// pflag's name for the type of a flag's value, as it stands in the help.
fn value_kind(arg: &Arg) -> &'static str {
    let parsed = arg.get_value_parser().type_id();
    let kinds = [
        (TypeId::of::<Duration>(), "duration"),
        (TypeId::of::<i64>(), "int"),
        (TypeId::of::<u32>(), "uint"),
        (TypeId::of::<ServiceScale>(), "scale"),
    ];
    match kinds.iter().find(|(id, _)| parsed == *id) {
        Some((_, name)) => name,
        None if matches!(arg.get_action(), ArgAction::Append) => "stringArray",
        None => "string",
    }
}

/// The help of one command, or of `docker zdd`, as it is printed.
pub(super) fn render(name: Option<&str>) -> String {
    let mut root = command();
    root.build();
    let sub = name.and_then(|name| root.find_subcommand(name));
    let help = sub.unwrap_or(&root).clone().render_help().to_string();
    let lines: Vec<String> = help.trim_end().lines().map(family_line).collect();
    lines.join("\n") + "\n"
}

/// `--file <string>` of clap becomes pflag's `--file string`, in the same width.
fn family_line(line: &str) -> String {
    let line = line.trim_end();
    match line.trim_start().starts_with('-') {
        true => line.replacen('<', "", 1).replacen('>', "  ", 1).trim_end().to_owned(),
        false => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_finds_no_contradiction() {
        command().debug_assert();
    }

    #[test]
    fn texts_are_worded_as_compose_words_them() {
        for sub in command().get_subcommands() {
            for arg in sub.get_opts().chain(command().get_opts()) {
                let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.starts_with(char::is_uppercase) && !help.ends_with('.'), "{arg}: {help}");
            }
        }
    }
}
