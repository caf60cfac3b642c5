//! What the program takes from its environment: the only place that reads variables and the date.

use std::{
    env,
    io::{IsTerminal, stderr, stdout},
    time::{SystemTime, UNIX_EPOCH},
};

use clap::ValueEnum;
use console::Term;

use crate::{
    cli::{Ansi, ComposeFlags, Progress},
    report::Look,
};

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A variable that is set to something.
pub fn variable(key: &str) -> Option<String> {
    env::var(key).ok().filter(|value| !value.is_empty())
}

pub fn is_true(key: &str) -> bool {
    variable(key).is_some_and(|text| matches!(text.to_ascii_lowercase().as_str(), "1" | "true" | "t"))
}

/// How a run reports: as the flag says, else the variable, else as fits.
pub fn progress(flags: &ComposeFlags) -> Progress {
    let variable = || Progress::from_str(&variable("COMPOSE_PROGRESS")?, false).ok();
    flags.progress.or_else(variable).unwrap_or_default()
}

/// How the output is to look.
pub fn look(ansi: Option<Ansi>, verbose: bool) -> Look {
    let env = |key: &str| variable(key).unwrap_or_default();
    let size = Term::stderr().size_checked();
    Look { verbose, ..decide(env, stderr().is_terminal(), size, ansi) }
}

/// How text on stdout is to look.
pub fn look_of_stdout(ansi: Option<Ansi>) -> Look {
    let env = |key: &str| variable(key).unwrap_or_default();
    decide(env, stdout().is_terminal(), Term::stdout().size_checked(), ansi)
}

/// `env` answers with nothing for what is not set; `size` is rows and columns.
fn decide(
    env: impl Fn(&str) -> String,
    is_terminal: bool,
    size: Option<(u16, u16)>,
    ansi: Option<Ansi>,
) -> Look {
    let terminal = is_terminal && env("TERM") != "dumb" && ansi != Some(Ansi::Never);
    let color = match ansi {
        Some(Ansi::Always) => true,
        Some(Ansi::Never) => false,
        _ => terminal && env("NO_COLOR").is_empty(),
    };
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().map(&env).find(|text| !text.is_empty());
    let unicode = locale.is_some_and(|text| text.to_ascii_lowercase().replace('-', "").contains("utf8"));
    let columns = env("COLUMNS").parse().unwrap_or(0);
    let look = Look { is_terminal: terminal, columns, limit: columns, color, unicode, ..Look::default() };
    look.sized(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a terminal of 120 columns and 40 rows, in a UTF-8 locale, with `KEY=value` words over that.
    fn on_terminal(words: &str, ansi: Option<Ansi>) -> Look {
        let env = |key: &str| {
            let all = format!("TERM=xterm LANG=de_DE.UTF-8 {words}");
            let mut pairs = all.split(' ').filter_map(|word| word.split_once('='));
            pairs.rfind(|(name, _)| *name == key).map_or(String::new(), |(_, value)| value.to_owned())
        };
        decide(env, true, Some((40, 120)), ansi)
    }

    fn in_pipe(ansi: Option<Ansi>) -> Look {
        decide(|_| String::new(), false, None, ansi)
    }

    /// Live, in colour.
    fn shows(look: Look) -> (bool, bool) {
        (look.is_terminal, look.color)
    }

    #[test]
    fn a_terminal_shows_everything() {
        let look = on_terminal("", None);
        assert_eq!((shows(look), look.unicode, look.columns, look.rows), ((true, true), true, 120, 40));
        assert_eq!(shows(on_terminal("", Some(Ansi::Auto))), (true, true));
    }

    #[test]
    fn a_pipe_shows_plain_text() {
        let look = in_pipe(None);
        assert_eq!((shows(look), look.unicode, look.columns, look.rows), ((false, false), false, 0, 0));
    }

    #[test]
    fn no_color_takes_the_colors_alone() {
        assert_eq!(shows(on_terminal("NO_COLOR=1", None)), (true, false));
        assert_eq!(shows(on_terminal("NO_COLOR=", None)), (true, true), "empty is as good as absent");
    }

    #[test]
    fn a_dumb_terminal_is_none() {
        assert_eq!(shows(on_terminal("TERM=dumb", None)), (false, false));
    }

    #[test]
    fn the_flag_wins() {
        assert_eq!(shows(on_terminal("", Some(Ansi::Never))), (false, false));
        assert_eq!(shows(on_terminal("NO_COLOR=1", Some(Ansi::Always))), (true, true));
        assert_eq!(shows(on_terminal("TERM=dumb", Some(Ansi::Always))), (false, true));
        assert_eq!(shows(in_pipe(Some(Ansi::Always))), (false, true));
    }

    #[test]
    fn no_line_is_longer_than_columns_says() {
        for (words, columns) in
            [("COLUMNS=70", 70), ("COLUMNS=", 100), ("COLUMNS=wide", 100), ("COLUMNS=-1", 100)]
        {
            assert_eq!(on_terminal(words, None).width(), columns, "{words}");
        }
        let env = |key: &str| if key == "COLUMNS" { "90".to_owned() } else { String::new() };
        assert_eq!(decide(env, false, None, None).width(), 90, "in a pipe");
    }

    #[test]
    fn the_first_locale_that_is_set_decides() {
        for (words, unicode) in [
            ("LANG=", false),
            ("LANG=C", false),
            ("LANG=en_US.utf8", true),
            ("LC_CTYPE=C", false),
            ("LANG=C LC_CTYPE=C.UTF-8", true),
            ("LC_CTYPE=C.UTF-8 LC_ALL=POSIX", false),
        ] {
            assert_eq!(on_terminal(words, None).unicode, unicode, "{words}");
        }
    }
}
