//! One direction of a relayed connection.

use super::socket::unless_blocked;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

/// Rounds at once, so that one connection does not keep the others waiting.
const ROUNDS: usize = 16;

#[derive(Default)]
pub struct Pipe {
    /// What was read and could not be written yet: at most as much as is read at once.
    rest: Vec<u8>,
    /// Nothing more comes.
    ended: bool,
    /// That has been passed on.
    closed: bool,
}

impl Pipe {
    pub fn wants_to_read(&self) -> bool {
        !self.ended && self.rest.is_empty()
    }

    pub fn wants_to_write(&self) -> bool {
        !self.rest.is_empty()
    }

    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Moves what can be moved without waiting; whether anything was. `edit` may replace what was read.
    ///
    /// # Errors
    /// Those of either connection.
    pub fn pump(
        &mut self,
        (mut from, mut to): (&TcpStream, &TcpStream),
        room: &mut [u8],
        mut edit: impl FnMut(&[u8]) -> Option<Vec<u8>>,
    ) -> io::Result<bool> {
        let mut moved = false;
        for _ in 0..ROUNDS {
            let written = write(&mut to, &self.rest)?;
            moved |= written > 0;
            self.rest.drain(..written);
            // An idle connection takes no memory.
            self.rest.shrink_to_fit();
            if !self.wants_to_read() {
                break;
            }
            let Some(length) = unless_blocked(from.read(room))? else { break };
            self.ended = length == 0;
            let bytes = &room[..length];
            self.rest = edit(bytes).unwrap_or_else(|| bytes.to_vec());
            moved |= length > 0;
        }
        if self.ended && self.rest.is_empty() && !self.closed {
            self.closed = true;
            // The other side may have gone altogether.
            let _ = to.shutdown(Shutdown::Write);
        }
        Ok(moved)
    }
}

/// How many bytes were taken.
fn write(to: &mut &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < bytes.len() {
        match unless_blocked(to.write(&bytes[done..]))? {
            Some(n) => done += n,
            None => break,
        }
    }
    Ok(done)
}
