//! Lines from stdin and to stdout, without ever waiting for longer than is said.

use crate::protocol::MAX_LINE;
use crate::sys::{self, Interest};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// A client that does not read its answers within this time is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// What a pipe takes without blocking once it is writable (`PIPE_BUF`).
const AT_ONCE: usize = 4096;

/// Collects bytes into lines.
#[derive(Default)]
pub struct Lines {
    buffer: Vec<u8>,
    /// The line is too long: the rest of it is thrown away.
    overlong: bool,
}

/// A line that was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    Text(String),
    /// Longer than `MAX_LINE`, or not UTF-8.
    Unreadable,
}

impl Lines {
    /// Reads what is there, and returns the lines that are complete. `None` at the end of the input.
    pub fn read(&mut self, fd: impl AsFd) -> io::Result<Option<Vec<Line>>> {
        let mut bytes = [0; 16 << 10];
        let length = sys::read(fd, &mut bytes)?;
        Ok((length > 0).then(|| self.split(&bytes[..length])))
    }

    fn split(&mut self, bytes: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.overlong |= self.buffer.len() + piece.len() > MAX_LINE;
            if self.overlong {
                self.buffer.clear();
            } else {
                self.buffer.extend(piece);
            }
            if piece.ends_with(b"\n") {
                lines.push(self.finish());
            }
        }
        lines
    }

    fn finish(&mut self) -> Line {
        let bytes = std::mem::take(&mut self.buffer);
        match (std::mem::take(&mut self.overlong), String::from_utf8(bytes)) {
            (false, Ok(text)) => Line::Text(text),
            _ => Line::Unreadable,
        }
    }
}

/// Writes a line to stdout.
///
/// # Errors
/// `TimedOut` when nobody reads.
pub fn write(text: &str) -> io::Result<()> {
    let end = Instant::now() + WRITE_TIMEOUT;
    let mut out = io::stdout();
    // Control characters and line breaks can only come from what the kernel or a request said.
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).chain(['\n']).collect();
    for bytes in line.as_bytes().chunks(AT_ONCE) {
        let left = end.saturating_duration_since(Instant::now());
        let ready = sys::poll(&[Interest { fd: out.as_fd(), events: libc::POLLOUT }], left)?;
        if ready[0] & libc::POLLOUT == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        out.write_all(bytes)?;
        out.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(s: &str) -> Line {
        Line::Text(s.into())
    }

    #[test]
    fn lines_come_in_any_pieces() {
        let mut lines = Lines::default();
        assert_eq!(lines.split(b"pi"), []);
        assert_eq!(lines.split(b"ng\nquit\nta"), [text("ping\n"), text("quit\n")]);
        assert_eq!(lines.split(b"ken\n"), [text("taken\n")]);
    }

    #[test]
    fn what_is_too_long_or_no_text_is_one_unreadable_line() {
        let mut lines = Lines::default();
        assert_eq!(lines.split(&vec![b'x'; MAX_LINE]), []);
        assert_eq!(lines.split(&vec![b'x'; MAX_LINE]), []);
        assert_eq!(lines.split(b"x\nping\n"), [Line::Unreadable, text("ping\n")]);
        assert_eq!(lines.split(b"\xff\n"), [Line::Unreadable]);
        assert!(lines.buffer.is_empty());
    }
}
