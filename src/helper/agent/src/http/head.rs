//! The head of a message: its first line, and those of its fields that say how long its body is. It comes in any pieces;
//! only the beginning and the end of the line that is being read are kept.

use super::{Lost, Method, may_begin_request};

/// Of a line. A field that matters is not longer.
const KEPT: usize = 64;
/// ` HTTP/1.1` and the carriage return.
const VERSION: usize = 10;
/// Servers refuse heads that are much shorter than this, in bytes.
const MAX_HEAD: usize = 64 << 10;

#[derive(Clone, Copy)]
struct Line {
    begins: [u8; KEPT],
    ends: [u8; VERSION],
    /// With the carriage return, without the line feed.
    length: usize,
}

/// How the end of a body is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Framing {
    Nothing,
    Length(u64),
    Chunked,
    /// Until the connection ends.
    Endless,
}

/// What a response means for its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply {
    /// Another one follows (100 Continue, 103 Early Hints).
    Interim,
    Final(Framing),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Coding {
    Chunked,
    Other,
}

#[derive(Clone, Copy, Default)]
struct Fields {
    length: Option<u64>,
    coding: Option<Coding>,
    close: bool,
}

pub struct Head {
    line: Line,
    first: Option<Line>,
    fields: Fields,
    size: usize,
}

impl Line {
    const EMPTY: Line = Line { begins: [0; KEPT], ends: [0; VERSION], length: 0 };

    fn add(&mut self, piece: &[u8]) {
        let free = self.begins.get_mut(self.length..).unwrap_or_default();
        let kept = free.len().min(piece.len());
        free[..kept].copy_from_slice(&piece[..kept]);
        let new = piece.len().min(VERSION);
        self.ends.rotate_left(new);
        self.ends[VERSION - new..].copy_from_slice(&piece[piece.len() - new..]);
        self.length += piece.len();
    }

    fn is_empty(&self) -> bool {
        self.length == 1
    }

    /// The kept part, without the carriage return.
    fn text(&self) -> &[u8] {
        &self.begins[..self.length.saturating_sub(1).min(KEPT)]
    }

    fn is_whole(&self) -> bool {
        self.length <= KEPT
    }
}

impl Head {
    pub const NEW: Head = Head {
        line: Line::EMPTY,
        first: None,
        fields: Fields { length: None, coding: None, close: false },
        size: 0,
    };

    /// Whether nothing of it has come.
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// Reads up to its end: how many bytes, and whether it was reached.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(usize, bool), Lost> {
        let mut used = 0;
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            used += piece.len();
            self.size += piece.len();
            if self.size > MAX_HEAD {
                return Err(Lost::Unknown);
            }
            let Some(rest) = piece.strip_suffix(b"\n") else {
                self.line.add(piece);
                break;
            };
            self.line.add(rest);
            if self.end_line()? {
                return Ok((used, true));
            }
        }
        Ok((used, false))
    }

    /// Whether it was the last one.
    fn end_line(&mut self) -> Result<bool, Lost> {
        let line = std::mem::replace(&mut self.line, Line::EMPTY);
        if line.ends[VERSION - 1] != b'\r' {
            return Err(Lost::Unknown);
        }
        match &self.first {
            // An empty line before a message is ignored (RFC 9112, 2.2).
            None if line.is_empty() => *self = Head::NEW,
            None => self.first = Some(line),
            Some(_) if line.is_empty() => return Ok(true),
            Some(_) => self.fields.add(&line)?,
        }
        Ok(false)
    }

    /// What it asks for, as a request (RFC 9112, 6.3).
    pub fn request(&self) -> Result<(Method, Framing), Lost> {
        let line = self.first.as_ref().ok_or(Lost::Unknown)?;
        let has_version = matches!(&line.ends, b" HTTP/1.1\r" | b" HTTP/1.0\r");
        if !has_version || !may_begin_request(line.text()) {
            return Err(Lost::Unknown);
        }
        let framing = match (self.fields.coding, self.fields.length) {
            (None, None) => Framing::Nothing,
            (None, Some(length)) => Framing::Length(length),
            (Some(Coding::Chunked), None) => Framing::Chunked,
            _ => return Err(Lost::Unknown),
        };
        Ok((Method::of(line.text()), framing))
    }

    /// What it is as the response to a request (RFC 9112, 6.3).
    pub fn response(&self, method: Method) -> Result<Reply, Lost> {
        let status = self.first.as_ref().and_then(status).ok_or(Lost::Unknown)?;
        Ok(Reply::Final(match (status, method) {
            (101, _) | (200..=299, Method::Connect) => Framing::Endless,
            (100..=199, _) => return Ok(Reply::Interim),
            // The server is about to close it.
            _ if self.fields.close => Framing::Endless,
            (204 | 304, _) | (_, Method::Head) => Framing::Nothing,
            _ => match (self.fields.coding, self.fields.length) {
                (None, Some(length)) => Framing::Length(length),
                (Some(Coding::Chunked), None) => Framing::Chunked,
                (Some(_), Some(_)) => return Err(Lost::Unknown),
                _ => Framing::Endless,
            },
        }))
    }
}

/// `HTTP/1.1 200 …`
fn status(line: &Line) -> Option<u16> {
    let text = line.text();
    let rest = text.strip_prefix(b"HTTP/1.1 ").or_else(|| text.strip_prefix(b"HTTP/1.0 "))?;
    let digits = rest.first_chunk::<3>().filter(|digits| digits.iter().all(u8::is_ascii_digit))?;
    let ends = rest.get(3).is_none_or(|byte| *byte == b' ');
    ends.then(|| digits.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0')))
}

impl Fields {
    fn add(&mut self, line: &Line) -> Result<(), Lost> {
        let text = line.text();
        let Some(colon) = text.iter().position(|byte| *byte == b':') else {
            return if line.is_whole() { Err(Lost::Unknown) } else { Ok(()) };
        };
        let (name, value) = (&text[..colon], text[colon + 1..].trim_ascii());
        // A line that goes on with the field before, or a name that some read otherwise than others.
        if name.is_empty() || name.iter().any(u8::is_ascii_whitespace) {
            return Err(Lost::Unknown);
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            self.add_length(line, value)
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.add_coding(line, value)
        } else {
            self.close |= name.eq_ignore_ascii_case(b"connection") && lists(value, b"close");
            Ok(())
        }
    }

    fn add_length(&mut self, line: &Line, value: &[u8]) -> Result<(), Lost> {
        let is_number = line.is_whole() && !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let number = std::str::from_utf8(value).ok().filter(|_| is_number).and_then(|v| v.parse().ok());
        match number {
            Some(number) if self.length.is_none_or(|length| length == number) => {
                self.length = Some(number);
                Ok(())
            }
            _ => Err(Lost::Unknown),
        }
    }

    fn add_coding(&mut self, line: &Line, value: &[u8]) -> Result<(), Lost> {
        if !line.is_whole() || self.coding.is_some() {
            return Err(Lost::Unknown);
        }
        let last = value.rsplit(|byte| *byte == b',').next().unwrap_or_default().trim_ascii();
        let is_chunked = last.eq_ignore_ascii_case(b"chunked");
        self.coding = Some(if is_chunked { Coding::Chunked } else { Coding::Other });
        Ok(())
    }
}

fn lists(value: &[u8], word: &[u8]) -> bool {
    value.split(|byte| *byte == b',').any(|item| item.trim_ascii().eq_ignore_ascii_case(word))
}
