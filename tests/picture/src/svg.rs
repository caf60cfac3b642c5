//! Frames as an SVG that plays by CSS alone.

use std::{collections::HashMap, fmt::Write};

use crate::frames::{Frame, Look, Row, Span, Terminal};

/// Of a character, in pixels.
const WIDTH: f64 = 8.4;
const HEIGHT: f64 = 19.0;
const FONT: f64 = 14.0;
/// Around the text.
const MARGIN: f64 = 16.0;
/// Seconds that the last frame stays.
const REST: f64 = 8.0;

const BACKGROUND: &str = "#0d1117";
const TEXT: &str = "#e6edf3";
const PALETTE: [&str; 16] = [
    "#484f58", "#ff7b72", "#3fb950", "#d29922", "#58a6ff", "#bc8cff", "#39c5cf", "#b1bac4", "#6e7681",
    "#ffa198", "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#56d4dd", "#ffffff",
];

pub fn draw(terminal: &Terminal, frames: &[Frame]) -> String {
    let used = frames.iter().map(|frame| used(&frame.rows)).max().unwrap_or(1);
    let (width, height) = (f64::from(terminal.columns) * WIDTH, used as f64 * HEIGHT);
    let (whole, tall) = (width + 2.0 * MARGIN, height + 2.0 * MARGIN);
    let mut rows = Rows::default();
    let mut screens = String::new();
    for (n, frame) in frames.iter().enumerate() {
        let top = n as f64 * height;
        for (line, row) in frame.rows[..used].iter().enumerate().filter(|(_, row)| !row.is_empty()) {
            let y = top + line as f64 * HEIGHT;
            let _ = write!(screens, "<use href=\"#r{}\" y=\"{y:.0}\"/>", rows.number(row));
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {whole:.0} {tall:.0}\" width=\"{whole:.0}\" \
         height=\"{tall:.0}\" role=\"img\" aria-label=\"docker zdd up in a terminal\">\n<style>{}</style>\n\
         <defs>{}</defs>\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n\
         <svg x=\"{MARGIN}\" y=\"{MARGIN}\" width=\"{width:.0}\" height=\"{height:.0}\"><g class=\"film\">{screens}</g></svg>\n\
         </svg>\n",
        style(frames, height),
        rows.definitions
    )
}

/// Rows down to the last that is not empty.
fn used(rows: &[Row]) -> usize {
    rows.iter().rposition(|row| !row.is_empty()).map_or(1, |last| last + 1)
}

/// Every screen stands below the one before; the film jumps from one to the next.
fn style(frames: &[Frame], height: f64) -> String {
    let last = frames.last().map_or(0.0, |frame| frame.at);
    let whole = last + REST;
    let mut style = format!(
        "text{{font:{FONT}px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:{TEXT};\
         white-space:pre;dominant-baseline:hanging}}.b{{font-weight:bold}}.d{{opacity:.6}}"
    );
    for (n, color) in PALETTE.iter().enumerate() {
        let _ = write!(style, ".c{n}{{fill:{color}}}");
    }
    let place = |n: usize| format!("transform:translateY(-{:.0}px)", n as f64 * height);
    let _ = write!(
        style,
        ".film{{{};animation:play {whole:.2}s steps(1,end) infinite}}",
        place(frames.len() - 1)
    );
    style += "@media(prefers-reduced-motion:reduce){.film{animation:none}}@keyframes play{";
    for (n, frame) in frames.iter().enumerate() {
        let percent = if n == 0 { 0.0 } else { frame.at / whole * 100.0 };
        let _ = write!(style, "{percent:.3}%{{{}}}", place(n));
    }
    let _ = write!(style, "100%{{{}}}}}", place(frames.len() - 1));
    style
}

/// Rows that look the same are drawn once.
#[derive(Default)]
struct Rows {
    known: HashMap<Row, usize>,
    definitions: String,
}

impl Rows {
    fn number(&mut self, row: &Row) -> usize {
        if let Some(number) = self.known.get(row) {
            return *number;
        }
        let number = self.known.len();
        self.known.insert(row.clone(), number);
        let spans: String = row.iter().map(span).collect();
        let _ = write!(self.definitions, "<g id=\"r{number}\">{spans}</g>");
        number
    }
}

/// Stretched to its columns, so that every font stands in line.
fn span(span: &Span) -> String {
    let (x, length) = (f64::from(span.column) * WIDTH, f64::from(span.columns) * WIDTH);
    let text = span.text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!(
        "<text x=\"{x:.1}\" textLength=\"{length:.1}\" lengthAdjust=\"spacingAndGlyphs\"{}>{text}</text>",
        class(span.look)
    )
}

fn class(look: Look) -> String {
    let color = look.color.map(|n| format!("c{n}")).unwrap_or_default();
    let names = [color.as_str(), if look.bold { "b" } else { "" }, if look.dim { "d" } else { "" }];
    let names: Vec<_> = names.into_iter().filter(|name| !name.is_empty()).collect();
    if names.is_empty() { String::new() } else { format!(" class=\"{}\"", names.join(" ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::play;

    #[test]
    fn rows_are_drawn_once_and_frames_come_at_their_times() {
        let terminal = Terminal { columns: 10, rows: 5 };
        let recording = b"Script started\n\x1b[1;32mone\x1b[0m<&\r\ntwo";
        let frames = play(&terminal, recording, "1.0 16\n1.0 5\n").expect("frames");
        let svg = draw(&terminal, &frames);
        assert_eq!(svg.matches("<g id=").count(), 2, "{svg}");
        assert_eq!(svg.matches("<use ").count(), 3, "{svg}");
        assert!(svg.contains("class=\"c2 b\">one</text>") && svg.contains(">&lt;&amp;</text>"), "{svg}");
        assert!(
            svg.contains("animation:play 10.00s") && svg.contains("20.000%{transform:translateY(-38px)}"),
            "{svg}"
        );
    }
}
