//! Netlink: messages and attributes written into a buffer, sent at once, and the answers read back.

use crate::sys;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

const NESTED: u16 = 1 << 15;
const TYPE_MASK: u16 = 0x3fff;
const HEADER: usize = 16;
/// The kernel splits a dump into packets of at most 32 KiB (`netlink_dump`).
const RECEIVE: usize = 32 << 10;
/// No answer within this time is an error: the helper must not hang.
const TIMEOUT_SECONDS: libc::time_t = 5;

/// Messages and attributes, one after the other. Attributes are appended to the last message.
#[derive(Default)]
pub struct Buffer(Vec<u8>);

impl Buffer {
    /// A message of the type `kind` with the fixed part `head`, and the attributes that `body` writes.
    pub fn message(
        &mut self,
        kind: u16,
        flags: i32,
        sequence: u32,
        head: &[u8],
        body: impl FnOnce(&mut Self),
    ) {
        let start = self.0.len();
        self.0.extend([0; 4]);
        self.0.extend(kind.to_ne_bytes());
        self.0.extend((flags as u16 | libc::NLM_F_REQUEST as u16).to_ne_bytes());
        self.0.extend(sequence.to_ne_bytes());
        self.0.extend([0; 4]);
        self.0.extend(head);
        self.pad();
        body(self);
        let length = (self.0.len() - start) as u32;
        self.0[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    }

    pub fn bytes(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        self.0.extend((value.len() as u16 + 4).to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.pad();
        self
    }

    /// A number in network byte order, which is that of nftables.
    pub fn number(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        self.bytes(kind, &[value.as_bytes(), &[0]].concat())
    }

    pub fn nest(&mut self, kind: u16, body: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.0.len();
        self.0.extend([0; 2]);
        self.0.extend((kind | NESTED).to_ne_bytes());
        body(self);
        let length = (self.0.len() - start) as u16;
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }

    /// The attributes of another buffer.
    pub fn append(&mut self, other: &Buffer) -> &mut Self {
        self.0.extend(&other.0);
        self
    }

    #[cfg(test)]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Asks for an answer to the message that begins at `start`.
    pub fn acknowledge(&mut self, start: usize) {
        self.0[start + 6] |= libc::NLM_F_ACK as u8;
    }

    fn pad(&mut self) {
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }
}

pub struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

impl Socket {
    pub fn open(protocol: i32) -> io::Result<Self> {
        let fd = sys::socket(libc::AF_NETLINK, libc::SOCK_RAW, protocol)?;
        let timeout = libc::timeval { tv_sec: TIMEOUT_SECONDS, tv_usec: 0 };
        sys::set_option(&fd, libc::SOL_SOCKET, libc::SO_RCVTIMEO, timeout)?;
        // A batch is one send; without this more than 208 KiB is refused (EMSGSIZE). Without NET_ADMIN it fails, as
        // everything else will.
        let _ = sys::set_option(&fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, 8 << 20);
        // An error does not repeat the message that it is about.
        let _ = sys::set_option(&fd, libc::SOL_NETLINK, libc::NETLINK_CAP_ACK, 1);
        Ok(Self { fd, sequence: 0 })
    }

    /// Sends messages that are not answered.
    pub fn send(&self, buffer: &Buffer) -> io::Result<()> {
        sys::send(&self.fd, &buffer.0).map(drop)
    }

    /// What the kernel has sent on its own account, without waiting.
    pub fn receive(&self, room: &mut [u8]) -> io::Result<usize> {
        sys::receive(&self.fd, room, libc::MSG_DONTWAIT)
    }

    /// Reserves `count` sequence numbers; the first of them.
    pub fn reserve(&mut self, count: u32) -> u32 {
        if self.sequence > u32::MAX / 2 {
            self.sequence = 0;
        }
        let first = self.sequence + 1;
        self.sequence += count;
        first
    }

    /// One message that is acknowledged or, with `NLM_F_DUMP`, answered by many; each goes to `part` without its header.
    pub fn request(
        &mut self,
        (kind, flags): (u16, i32),
        head: &[u8],
        body: impl FnOnce(&mut Buffer),
        part: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        let sequence = self.reserve(1);
        let mut buffer = Buffer::default();
        buffer.message(kind, flags, sequence, head, body);
        if flags & libc::NLM_F_DUMP == 0 {
            buffer.acknowledge(0);
        }
        self.call(&buffer, sequence, sequence, part)
    }

    /// Sends the messages numbered `first` to `last` in one piece and waits for the answer to `last`.
    ///
    /// # Errors
    /// The first error that the kernel reports for any of them; `WouldBlock` when it did not answer in time.
    pub fn call(
        &mut self,
        buffer: &Buffer,
        first: u32,
        last: u32,
        mut part: impl FnMut(&[u8]),
    ) -> io::Result<()> {
        sys::send(&self.fd, &buffer.0)?;
        let mut room = vec![0; RECEIVE];
        loop {
            let length = match sys::receive(self.fd.as_fd(), &mut room, 0) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                result => result?,
            };
            for message in messages(&room[..length]).filter(|m| (first..=last).contains(&m.sequence)) {
                match message.answer()? {
                    Answer::Done if message.sequence == last => return Ok(()),
                    Answer::Done => {}
                    Answer::Part(body) => part(body),
                }
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

struct Message<'a> {
    kind: i32,
    sequence: u32,
    body: &'a [u8],
}

enum Answer<'a> {
    Part(&'a [u8]),
    Done,
}

impl<'a> Message<'a> {
    fn answer(&self) -> io::Result<Answer<'a>> {
        match self.kind {
            libc::NLMSG_ERROR | libc::NLMSG_DONE => {
                match self.body.first_chunk().map(|b| i32::from_ne_bytes(*b)) {
                    Some(code) if code < 0 => Err(io::Error::from_raw_os_error(-code)),
                    _ => Ok(Answer::Done),
                }
            }
            _ => Ok(Answer::Part(self.body)),
        }
    }
}

fn messages(mut rest: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(*rest.first_chunk()?) as usize;
        let header: &[u8; HEADER] = rest.first_chunk()?;
        let body = rest.get(HEADER..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        let sequence = u32::from_ne_bytes([header[8], header[9], header[10], header[11]]);
        Some(Message { kind: kind.into(), sequence, body })
    })
}

/// The attributes of a message or of a nest: type and value. Ends at what is malformed.
pub fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let header: &[u8; 4] = rest.first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([header[2], header[3]]) & TYPE_MASK, value))
    })
}

/// The value of the first attribute of that type.
pub fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|a| a.0 == kind).map(|a| a.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_nested() {
        let mut b = Buffer::default();
        b.message(7, libc::NLM_F_DUMP, 3, &[1, 2, 3, 4], |m| {
            m.text(1, "ab").nest(2, |n| {
                n.number(5, 0x0102_0304);
            });
        });
        b.acknowledge(0);
        let all: Vec<_> = messages(&b.0).map(|m| (m.kind, m.sequence, m.body.to_vec())).collect();
        let [(7, 3, body)] = all.as_slice() else { panic!("{all:?}") };
        assert_eq!(b.0.len(), 16 + 4 + 8 + 12);
        assert_eq!(attribute(&body[4..], 1), Some(b"ab\0".as_slice()));
        assert_eq!(attribute(attribute(&body[4..], 2).unwrap(), 5), Some([1, 2, 3, 4].as_slice()));
        assert_eq!(i32::from(b.0[6]) & libc::NLM_F_ACK, libc::NLM_F_ACK);
    }

    #[test]
    fn what_is_cut_off_or_malformed_ends_the_list() {
        assert_eq!(attributes(&[8, 0, 1, 0, 9]).count(), 0);
        assert_eq!(attributes(&[2, 0, 1, 0]).count(), 0);
        assert_eq!(messages(&[255; 40]).count(), 0);
        assert_eq!(messages(&[16, 0, 0, 0]).count(), 0);
        assert_eq!(messages(&[0; 16]).count(), 0);
    }

    #[test]
    fn an_error_of_the_kernel_is_an_error() {
        let body = (-libc::EPERM).to_ne_bytes();
        let error = Message { kind: libc::NLMSG_ERROR, sequence: 1, body: &body }.answer().err().unwrap();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
        let ok = Message { kind: libc::NLMSG_ERROR, sequence: 1, body: &[0; 4] }.answer();
        assert!(matches!(ok, Ok(Answer::Done)));
    }
}
