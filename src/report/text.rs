//! Text that fits: cleaned, measured, cut, painted. Knows nothing of events.

use std::time::Duration;

use super::Look;

/// What a program printed, as one line that cannot move the cursor or change colours: no escape sequences,
/// no control characters, tabs as blanks; of a line redrawn with `\r` its last state.
pub fn clean(line: &str) -> String {
    let line = line.trim_end();
    let mut chars = line.rsplit('\r').next().unwrap_or(line).chars();
    let mut kept = String::new();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\t' => kept.push_str("    "),
            c if c.is_control() || is_direction(c) => {}
            c => kept.push(c),
        }
    }
    kept
}

/// `CSI … letter` (colours, cursor), `OSC … BEL` (titles, links), else one character.
fn skip_escape(chars: &mut std::str::Chars<'_>) {
    match chars.next() {
        Some('[') => drop(chars.find(|c| ('@'..='~').contains(c))),
        Some(']') => {
            // Ends with BEL, or with ESC and one character more.
            let end = chars.find(|&c| c == '\u{7}' || c == '\u{1b}');
            end.filter(|&c| c == '\u{1b}').and_then(|_| chars.next());
        }
        _ => {}
    }
}

/// Marks that make a terminal show text in another order than it was written.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The lines of `text` cleaned, without empty ones at the end.
pub fn clean_lines(text: &str) -> Vec<String> {
    text.trim_end().lines().map(clean).collect()
}

/// Columns that `text` takes.
pub fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// Whole blocks with any wide character count as wide: too short a line is untidy, a wrapped one breaks the display.
fn char_width(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036f | 0x200b..=0x200d | 0x20d0..=0x20ff | 0xfe00..=0xfe0f => 0,
        0x2714 | 0x2718 => 1,
        0x1100..=0x115f | 0x231a..=0x23ff | 0x2600..=0x27bf | 0x2b00..=0x2bff => 2,
        0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f => 2,
        0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f000..=0x3ffff => 2,
        _ => 1,
    }
}

/// The first `columns` columns of `text`, with an ellipsis where something is missing.
pub fn cut(text: &str, columns: usize, look: &Look) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let dots = ellipsis(look);
    let mut room = columns.saturating_sub(width(dots));
    let mut kept: String = text.chars().take_while(|&c| take(&mut room, c)).collect();
    kept.push_str(dots);
    kept.chars().take(columns).collect()
}

/// The last `columns` columns: container names differ at their end.
pub fn cut_front(text: &str, columns: usize, look: &Look) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let dots = ellipsis(look);
    let mut room = columns.saturating_sub(width(dots));
    let kept: Vec<char> = text.chars().rev().take_while(|&c| take(&mut room, c)).collect();
    dots.chars().chain(kept.into_iter().rev()).take(columns).collect()
}

fn take(room: &mut usize, c: char) -> bool {
    let fits = char_width(c) <= *room;
    *room -= if fits { char_width(c) } else { *room };
    fits
}

pub fn ellipsis(look: &Look) -> &'static str {
    if look.unicode { "…" } else { "..." }
}

/// `text` filled with blanks to `columns`.
pub fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// A stop watch: tenths of a second below a minute, cut and not rounded, so that columns of times line up.
pub fn clock(d: Duration) -> String {
    let tenths = d.as_millis() / 100;
    match tenths {
        0..600 => format!("{}.{}s", tenths / 10, tenths % 10),
        _ => crate::duration::show(Duration::from_secs(d.as_secs())),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    Plain,
    Bold,
    Dim,
    Green,
    Red,
    Yellow,
    Cyan,
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Paint::Plain => "",
            Paint::Bold => "1",
            Paint::Dim => "2",
            Paint::Green => "32",
            Paint::Red => "31",
            Paint::Yellow => "33",
            Paint::Cyan => "36",
        }
    }
}

/// One line in pieces of one paint each.
#[derive(Clone, Debug, Default)]
pub struct Line(Vec<(Paint, String)>);

impl Line {
    pub fn of(paint: Paint, text: impl Into<String>) -> Line {
        Line::default().and(paint, text)
    }

    pub fn and(mut self, paint: Paint, text: impl Into<String>) -> Line {
        self.0.push((paint, text.into()));
        self
    }

    pub fn indented(mut self, columns: usize) -> Line {
        self.0.insert(0, (Paint::Plain, " ".repeat(columns)));
        self
    }

    pub fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| width(text)).sum()
    }

    /// As text, coloured if the look says so.
    pub fn show(&self, look: &Look) -> String {
        let piece = |(paint, text): &(Paint, String)| match paint.code() {
            code if look.color && !code.is_empty() && !text.is_empty() => {
                format!("\x1b[{code}m{text}\x1b[0m")
            }
            _ => text.clone(),
        };
        self.0.iter().map(piece).collect()
    }

    /// Never wider than the terminal, with `right` at its right edge.
    pub fn fit(self, right: &str, look: &Look) -> String {
        let edge = columns(look) - 1;
        let taken = if right.is_empty() { 0 } else { width(right) + 2 };
        let left = self.cut(edge.saturating_sub(taken), look);
        if right.is_empty() {
            return left.show(look);
        }
        let gap = edge.saturating_sub(left.width() + width(right));
        left.and(Paint::Plain, " ".repeat(gap)).and(Paint::Dim, right).show(look)
    }

    fn cut(self, columns: usize, look: &Look) -> Line {
        let mut room = columns;
        let mut kept = Line::default();
        for (paint, text) in self.0 {
            let short = cut(&text, room, look);
            let whole = short == text;
            room -= width(&short).min(room);
            kept = kept.and(paint, short);
            if !whole {
                break;
            }
        }
        kept
    }
}

/// Columns to use: 80 when unknown, and the eye does not find the right edge beyond 100.
pub fn columns(look: &Look) -> usize {
    match look.columns {
        0 => 80,
        n => n.clamp(20, 100),
    }
}

/// Text that cannot become markup, nor show itself in another order.
pub fn escape(text: &str) -> String {
    let mut safe = String::new();
    for c in clean(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::super::fixture::look;
    use super::*;

    #[test]
    fn clean_removes_what_could_move_the_cursor() {
        assert_eq!(clean("\x1b[31mred\x1b[0m \x1b[2Kline\n"), "red line");
        assert_eq!(clean("10%\r50%\r100%\r"), "100%");
        assert_eq!(clean("\x1b]0;title\x07a\tb\x08\x1b]8;;x\x1b\\c"), "a    bc");
        assert_eq!(clean("no\u{202e}eno"), "noeno");
        assert_eq!(clean("\x1b["), "");
    }

    #[test]
    fn cut_keeps_the_width() {
        assert_eq!(cut("healthy", 7, &look(80)), "healthy");
        assert_eq!(cut("healthy", 5, &look(80)), "heal…");
        assert_eq!(cut("日本語", 4, &look(80)), "日…");
        assert_eq!(cut("abc", 0, &look(80)), "");
        assert_eq!(cut_front("shop-web-12", 5, &look(80)), "…b-12");
        let ascii = Look { unicode: false, ..look(80) };
        assert_eq!(cut("starting", 6, &ascii), "sta...");
        assert_eq!(cut("starting", 2, &ascii), "..");
    }

    #[test]
    fn a_clock_has_tenths_below_a_minute() {
        let clock = |ms| clock(Duration::from_millis(ms));
        assert_eq!([clock(0), clock(1_999), clock(59_999)], ["0.0s", "1.9s", "59.9s"]);
        assert_eq!([clock(65_400), clock(3_720_000)], ["1m05s", "1h02m"]);
    }

    #[test]
    fn a_line_never_reaches_the_last_column() {
        let line = Line::of(Paint::Green, "x".repeat(50)).and(Paint::Plain, "y".repeat(50));
        assert_eq!(width(&line.clone().fit("4.2s", &look(60))), 59);
        assert_eq!(width(&line.fit("", &look(60))), 59);
    }

    #[test]
    fn colours_only_when_wanted() {
        let line = Line::of(Paint::Red, "no").and(Paint::Plain, "!");
        assert_eq!(line.show(&look(60)), "no!");
        assert_eq!(line.show(&Look { color: true, ..look(60) }), "\x1b[31mno\x1b[0m!");
    }
}
