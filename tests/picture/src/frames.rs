//! From a recording to the screens that somebody saw.

use anyhow::{Context, Result, ensure};
use vt100::{Cell, Color, Parser, Screen};

/// Changes that come quicker than this are one.
const QUICK: f64 = 0.08;

pub struct Terminal {
    pub columns: u16,
    pub rows: u16,
}

/// Characters of one look.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    pub column: u16,
    pub columns: u16,
    pub text: String,
    pub look: Look,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Look {
    /// One of the terminal's sixteen; `None` is its usual one.
    pub color: Option<u8>,
    pub bold: bool,
    pub dim: bool,
}

pub type Row = Vec<Span>;

#[derive(Debug, PartialEq)]
pub struct Frame {
    /// Seconds since the begin.
    pub at: f64,
    pub rows: Vec<Row>,
}

/// # Errors
/// What is not a recording with its times.
pub fn play(terminal: &Terminal, typescript: &[u8], timing: &str) -> Result<Vec<Frame>> {
    // The first line is script's own.
    let begin =
        typescript.iter().position(|byte| *byte == b'\n').context("the recording has no first line")?;
    let mut rest = &typescript[begin + 1..];
    let mut parser = Parser::new(terminal.rows, terminal.columns, 0);
    let mut frames: Vec<Frame> = Vec::new();
    let mut now = 0.0;
    for line in timing.lines() {
        let (delay, bytes) = line.split_once(' ').context("a line of times is not DELAY BYTES")?;
        let bytes: usize = bytes.parse()?;
        ensure!(bytes <= rest.len(), "the recording is shorter than its times");
        now += delay.parse::<f64>()?;
        let (chunk, later) = rest.split_at(bytes);
        rest = later;
        parser.process(chunk);
        let rows = rows(terminal, parser.screen());
        match frames.last_mut() {
            Some(last) if last.rows == rows => {}
            Some(last) if now - last.at < QUICK => last.rows = rows,
            _ => frames.push(Frame { at: now, rows }),
        }
    }
    ensure!(!frames.is_empty(), "nothing was recorded");
    Ok(frames)
}

fn rows(terminal: &Terminal, screen: &Screen) -> Vec<Row> {
    (0..terminal.rows).map(|row| spans(terminal, screen, row)).collect()
}

fn spans(terminal: &Terminal, screen: &Screen, row: u16) -> Row {
    let mut spans: Row = Vec::new();
    for column in 0..terminal.columns {
        let Some(cell) = screen.cell(row, column).filter(|cell| !is_blank(cell)) else { continue };
        let look = Look { color: color(cell), bold: cell.bold(), dim: cell.dim() };
        match spans.last_mut() {
            Some(last) if last.look == look && last.column + last.columns == column => {
                last.text += cell.contents();
                last.columns += 1;
            }
            _ => spans.push(Span { column, columns: 1, text: cell.contents().to_owned(), look }),
        }
    }
    spans
}

fn color(cell: &Cell) -> Option<u8> {
    match cell.fgcolor() {
        Color::Idx(n) if n < 16 => Some(n),
        _ => None,
    }
}

fn is_blank(cell: &Cell) -> bool {
    cell.is_wide_continuation() || cell.contents().trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(frame: &Frame) -> Vec<String> {
        let row = |row: &Row| row.iter().map(|span| span.text.as_str()).collect::<Vec<_>>().join(" ");
        frame.rows.iter().map(row).collect()
    }

    #[test]
    fn each_screen_that_somebody_saw_is_a_frame() {
        let recording = b"Script started\none\r\n\x1b[32mtwo\x1b[0m x\x1b[1G\x1b[Kthree";
        let terminal = Terminal { columns: 10, rows: 2 };
        // one | two x, too quick to be seen | three
        let frames = play(&terminal, recording, "0.5 5\n1.0 14\n0.01 12\n").expect("frames");
        assert_eq!(frames.iter().map(texts).collect::<Vec<_>>(), [["one", ""], ["one", "three"]]);
        assert_eq!(frames.iter().map(|frame| frame.at).collect::<Vec<_>>(), [0.5, 1.5]);
    }

    #[test]
    fn what_is_no_recording_is_an_error() {
        let terminal = Terminal { columns: 10, rows: 2 };
        assert!(play(&terminal, b"Script started\nab", "0.1 5\n").is_err());
        assert!(play(&terminal, b"", "").is_err());
        assert!(play(&terminal, b"Script started\nab", "word\n").is_err());
    }
}
