//! The body of a message, of which only its end is looked for.

use super::{Framing, Lost};

/// More hexadecimal digits than these are no length of a chunk.
const MAX_DIGITS: u8 = 15;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Body {
    Length(u64),
    Chunked(Chunk),
}

/// What comes next of a chunked body (RFC 9112, 7.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Chunk {
    Size {
        size: u64,
        digits: u8,
    },
    /// The rest of the line with the size.
    Extension(u64),
    Data(u64),
    /// The line break after the data: how much of it has come.
    Break(usize),
    /// A line of the trailer: how much of it has come, the carriage return left out.
    Trailer(usize),
}

impl Body {
    /// `None` for none, or one that has no end.
    pub fn new(framing: Framing) -> Option<Body> {
        match framing {
            Framing::Nothing | Framing::Endless | Framing::Length(0) => None,
            Framing::Length(length) => Some(Body::Length(length)),
            Framing::Chunked => Some(Body::Chunked(Chunk::FIRST)),
        }
    }

    /// Reads up to its end: how many bytes, and whether it was reached.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(usize, bool), Lost> {
        match self {
            Body::Length(left) => {
                let used = skip(left, bytes);
                Ok((used, *left == 0))
            }
            Body::Chunked(chunk) => {
                let mut used = 0;
                while used < bytes.len() {
                    let (read, is_over) = chunk.read(&bytes[used..])?;
                    used += read;
                    if is_over {
                        return Ok((used, true));
                    }
                }
                Ok((used, false))
            }
        }
    }
}

/// How many of the bytes belong to what is left.
fn skip(left: &mut u64, bytes: &[u8]) -> usize {
    let used = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
    *left -= used as u64;
    used
}

impl Chunk {
    const FIRST: Chunk = Chunk::Size { size: 0, digits: 0 };
    const BREAK: [u8; 2] = *b"\r\n";

    /// Reads at least one byte: how many, and whether they were the last ones of the body.
    fn read(&mut self, bytes: &[u8]) -> Result<(usize, bool), Lost> {
        match self {
            Chunk::Size { size, digits } => {
                *self = Self::of_size(*size, *digits, bytes[0])?;
                Ok((1, false))
            }
            Chunk::Extension(size) => {
                let line_feed = bytes.iter().position(|byte| *byte == b'\n');
                if line_feed.is_some() {
                    *self = if *size > 0 { Chunk::Data(*size) } else { Chunk::Trailer(0) };
                }
                Ok((line_feed.map_or(bytes.len(), |at| at + 1), false))
            }
            Chunk::Data(left) => {
                let used = skip(left, bytes);
                if *left == 0 {
                    *self = Chunk::Break(0);
                }
                Ok((used, false))
            }
            Chunk::Break(at) => {
                if bytes[0] != Self::BREAK[*at] {
                    return Err(Lost::Unknown);
                }
                *self = if *at == 0 { Chunk::Break(1) } else { Chunk::FIRST };
                Ok((1, false))
            }
            Chunk::Trailer(length) => {
                let is_over = bytes[0] == b'\n' && *length == 0;
                *length = match bytes[0] {
                    b'\n' => 0,
                    b'\r' => *length,
                    _ => *length + 1,
                };
                Ok((1, is_over))
            }
        }
    }

    fn of_size(size: u64, digits: u8, byte: u8) -> Result<Chunk, Lost> {
        match (byte as char).to_digit(16) {
            Some(digit) if digits < MAX_DIGITS => {
                Ok(Chunk::Size { size: size * 16 + u64::from(digit), digits: digits + 1 })
            }
            None if digits > 0 && matches!(byte, b'\r' | b';' | b' ' | b'\t') => Ok(Chunk::Extension(size)),
            _ => Err(Lost::Unknown),
        }
    }
}
