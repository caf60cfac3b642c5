//! What the output can show, and text that fits it.

use console::{Alignment, Style, measure_text_width, pad_str, truncate_str};
use textwrap::{Options, WordSplitter};

use crate::text;

/// The eye does not find the right edge beyond.
const WIDEST: usize = 100;

/// What the output can show. The caller has asked the environment (`NO_COLOR`, `--ansi`, `TERM`, `LANG`, `COLUMNS`).
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    pub is_terminal: bool,
    /// Width of the terminal, 0 when unknown.
    pub columns: usize,
    /// Height of the terminal, 0 when unknown.
    pub rows: usize,
    /// No line is longer, however wide the terminal is; 0 for no such limit.
    pub limit: usize,
    pub color: bool,
    /// The locale is UTF-8: block characters, check marks and the ellipsis can be shown.
    pub unicode: bool,
    /// Whole calls of docker are shown, too.
    pub verbose: bool,
}

impl Look {
    /// The same on a terminal of this size.
    pub fn sized(self, size: Option<(u16, u16)>) -> Look {
        size.map_or(self, |(rows, columns)| Look { rows: rows.into(), columns: columns.into(), ..self })
    }

    /// A table whose titles stand out; `last` is the style of the last cell of each row below them.
    pub fn table(&self, rows: &[Vec<String>], last: &dyn Fn(usize) -> &'static str) -> Vec<String> {
        text::painted_table(rows, Alignment::Left, &|row, column, cell| {
            let style = match row.checked_sub(1) {
                None => "bold",
                Some(below) if column == rows[row].len() - 1 => last(below),
                Some(_) => "",
            };
            self.paint(style, cell)
        })
    }

    /// Columns to use; 80 when unknown.
    pub fn width(&self) -> usize {
        let columns = if self.columns == 0 { 80 } else { self.columns };
        let limit = if self.limit == 0 { WIDEST } else { self.limit };
        columns.min(limit).clamp(2, WIDEST)
    }

    /// In a style of `console`'s, such as `red.bold`.
    pub fn paint(&self, style: &str, text: &str) -> String {
        let styled = Style::from_dotted_str(style).force_styling(self.color && !text.is_empty());
        styled.apply_to(text).to_string()
    }

    pub fn dots(&self) -> &'static str {
        if self.unicode { "…" } else { "..." }
    }

    /// What stands behind the first `taken` columns of a line: never more than the terminal has, with `right` at its
    /// right edge. The last column stays free.
    pub fn fit(&self, taken: usize, left: &str, right: &str) -> String {
        let edge = self.width().saturating_sub(taken + 1);
        let gap = if right.is_empty() { 0 } else { measure_text_width(right) + 2 };
        let room = edge.saturating_sub(gap);
        // An ellipsis that does not fit itself would be shown all the same.
        let dots = if room < self.dots().len() { "" } else { self.dots() };
        let left = truncate_str(left, room, dots);
        if right.is_empty() || room == 0 {
            return left.into_owned();
        }
        let left = pad_str(&left, edge - measure_text_width(right), Alignment::Left, None);
        left.into_owned() + &self.paint("dim", right)
    }

    /// Broken between words; what follows the first line begins with `indent`. A word that is too long stays whole, as
    /// it may be an address.
    pub fn wrap(&self, text: &str, indent: &str) -> Vec<String> {
        let options = Options::new(self.width() - 1).subsequent_indent(indent).break_words(false);
        let options = options.word_splitter(WordSplitter::NoHyphenation);
        textwrap::wrap(text, options).into_iter().map(|line| line.into_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::look;
    use super::*;

    #[test]
    fn a_line_never_reaches_the_last_column() {
        let long = "x".repeat(500);
        for columns in [2, 3, 5, 20, 60, 100, 300] {
            let look = Look { color: true, ..look(columns) };
            for (taken, right) in [(0, ""), (0, "4.2s"), (4, "1m05s")] {
                let line = look.fit(taken, &look.paint("red", &long), right);
                assert!(measure_text_width(&line) + taken < columns.max(taken + 1), "{columns}: {line}");
            }
        }
        assert_eq!(measure_text_width(&look(60).fit(0, "x", "4.2s")), 59);
        assert_eq!(look(10).fit(0, "日本語日本語", ""), "日本語日…");
        assert_eq!(Look { unicode: false, ..look(10) }.fit(0, "starting up", ""), "starti...");
    }

    #[test]
    fn columns_limit_a_wider_terminal() {
        assert_eq!(Look { limit: 70, ..look(120) }.width(), 70);
        assert_eq!(Look { limit: 200, ..look(60) }.width(), 60);
        assert_eq!((look(0).width(), look(300).width()), (80, 100));
        assert_eq!(look(80).sized(Some((5, 30))).width(), 30);
    }

    #[test]
    fn colors_only_when_wanted() {
        assert_eq!(look(60).paint("red", "no"), "no");
        let colored = Look { color: true, ..look(60) };
        assert_eq!(colored.paint("red", "no") + &colored.paint("", "!"), "\x1b[31mno\x1b[0m!");
    }

    #[test]
    fn sentences_break_between_words() {
        assert_eq!(look(21).wrap("a warning of shop-web-12", "  "), ["a warning of", "  shop-web-12"]);
        assert_eq!(look(8).wrap("see http://127.0.0.1/", ""), ["see", "http://127.0.0.1/"]);
    }
}
