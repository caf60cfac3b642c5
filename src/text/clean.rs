//! What programs print, made safe to show and cut to a width.

use console::{measure_text_width, strip_ansi_codes};
use unicode_width::UnicodeWidthChar;

/// What a program printed, as one line that cannot move the cursor or change colors: no escape sequences, no control
/// characters, tabs as blanks; of a line redrawn with `\r` its last state.
pub fn clean(line: &str) -> String {
    let last = line.trim_end().rsplit('\r').next().unwrap_or_default();
    let shown = |c: &char| !c.is_control() && !is_direction(*c);
    strip_ansi_codes(last).replace('\t', "    ").chars().filter(shown).collect()
}

/// Marks that make a terminal show text in another order than it was written.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The lines of `text` cleaned, without empty ones at the end.
pub fn clean_lines(text: &str) -> Vec<String> {
    text.trim_end().lines().map(clean).collect()
}

/// The last `columns` columns, with `dots` where something is missing: container names differ at their end.
pub fn cut_front(text: &str, columns: usize, dots: &str) -> String {
    let width = measure_text_width(text);
    if width <= columns {
        return text.to_owned();
    }
    let mut left = width + measure_text_width(dots);
    let is_cut = |c: &char| {
        let is_cut = left > columns;
        left -= c.width().unwrap_or(0);
        is_cut
    };
    dots.chars().chain(text.chars().skip_while(is_cut)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_removes_what_could_move_the_cursor() {
        assert_eq!(clean("\x1b[31mred\x1b[0m \x1b[2Kline\n"), "red line");
        assert_eq!(clean("10%\r50%\r100%\r"), "100%");
        assert_eq!(clean("\x1b]0;title\x07a\tb\x08\x1b]8;;x\x1b\\c\u{9b}31md"), "a    bcd");
        assert_eq!(clean("no\u{202e}eno"), "noeno");
        assert_eq!(clean("\x1b["), "[");
    }

    #[test]
    fn the_end_of_a_name_stays() {
        assert_eq!(cut_front("shop-web-12", 5, "…"), "…b-12");
        assert_eq!(cut_front("shop-web-12", 6, "..."), "...-12");
        assert_eq!(cut_front("日本語", 4, "…"), "…語");
        assert_eq!(cut_front("日本語", 5, "…"), "…本語");
        assert_eq!(cut_front("web-1", 5, "…"), "web-1");
    }
}
