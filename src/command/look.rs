//! How the output is to look, by what environment, terminal and flags say.

use std::io::{IsTerminal, stderr};

use crate::{cli::Ansi, report::Look};

/// Of this process.
pub fn look(ansi: Option<Ansi>) -> Look {
    let env = |key: &str| std::env::var(key).unwrap_or_default();
    let size = rustix::termios::tcgetwinsize(stderr()).ok();
    let size = size.map(|size| (usize::from(size.ws_col), usize::from(size.ws_row)));
    decide(env, stderr().is_terminal(), size.unwrap_or_default(), ansi)
}

/// `env` answers with nothing for what is not set; `size` is columns and rows, 0 when unknown.
fn decide(
    env: impl Fn(&str) -> String,
    is_terminal: bool,
    (columns, rows): (usize, usize),
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
    let columns = env("COLUMNS").parse().unwrap_or(columns);
    Look { stderr_is_terminal: terminal, columns, rows, color, unicode }
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
        decide(env, true, (120, 40), ansi)
    }

    fn in_pipe(ansi: Option<Ansi>) -> Look {
        decide(|_| String::new(), false, (0, 0), ansi)
    }

    /// Live, in colour.
    fn shows(look: Look) -> (bool, bool) {
        (look.stderr_is_terminal, look.color)
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
    fn no_color_takes_the_colours_alone() {
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
    fn columns_are_counted_unless_they_are_written() {
        for (words, columns) in
            [("COLUMNS=70", 70), ("COLUMNS=", 120), ("COLUMNS=wide", 120), ("COLUMNS=-1", 120)]
        {
            assert_eq!(on_terminal(words, None).columns, columns, "{words}");
        }
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
