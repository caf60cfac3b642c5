//! Packets that wait until a program has decided over them (`nfnetlink_queue`).

use crate::netlink::{Buffer, Socket, attribute};
use crate::sys;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// `struct nfgenmsg`: any family, version 0; then the number of the queue.
fn head(number: u16) -> [u8; 4] {
    let [a, b] = number.to_be_bytes();
    [0, 0, a, b]
}

const fn kind(message: libc::c_int) -> u16 {
    (libc::NFNL_SUBSYS_QUEUE << 8 | message) as u16
}

/// The most that the kernel copies of a packet, in bytes: an attribute is no longer.
const COPIED: u32 = 0xffff - 4;
const BUFFER: libc::c_int = 16 << 20;
const ROOM: usize = 128 << 10;
const AT_ONCE: usize = 256;
/// In packets.
const LONGEST: u32 = 16 << 10;
const HEADERS: usize = 20;

pub struct Queue {
    socket: Socket,
    number: u16,
    room: Box<[u8]>,
}

struct Waiting<'a> {
    id: [u8; 4],
    /// From the header of IP on.
    packet: &'a [u8],
}

impl Queue {
    /// What the program is too slow for goes on undecided.
    pub fn open(number: u16) -> io::Result<Self> {
        let socket = Socket::open(libc::NETLINK_NETFILTER)?;
        // What does not fit goes on too, and overtakes what waits.
        let _ = sys::set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, BUFFER);
        let mut queue = Self { socket, number, room: vec![0; ROOM].into() };
        queue.configure(|b| {
            b.bytes(libc::NFQA_CFG_CMD as u16, &[libc::NFQNL_CFG_CMD_BIND as u8, 0, 0, 0]);
        })?;
        let parameters = [COPIED.to_be_bytes().as_slice(), &[libc::NFQNL_COPY_PACKET as u8]].concat();
        // Without NFQA_CFG_F_GSO: large packets come in the pieces in which they will leave, whole and with checksums.
        let flags = libc::NFQA_CFG_F_FAIL_OPEN as u32;
        queue.configure(|b| {
            b.bytes(libc::NFQA_CFG_PARAMS as u16, &parameters);
            b.number(libc::NFQA_CFG_QUEUE_MAXLEN as u16, LONGEST);
            b.number(libc::NFQA_CFG_MASK as u16, flags).number(libc::NFQA_CFG_FLAGS as u16, flags);
        })?;
        Ok(queue)
    }

    fn configure(&mut self, body: impl FnOnce(&mut Buffer)) -> io::Result<()> {
        self.socket.request((kind(libc::NFQNL_MSG_CONFIG), 0), &head(self.number), body, |_| {})
    }

    /// Lets what waits go on, as `change` wants it. Up to a bound; whether that is all.
    pub fn serve(&mut self, mut change: impl FnMut(&[u8]) -> Option<Vec<u8>>) -> io::Result<bool> {
        for _ in 0..AT_ONCE {
            let length = match self.socket.receive(&mut self.room) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                // Some did not fit: they have gone on.
                Err(e) if e.raw_os_error() == Some(libc::ENOBUFS) => continue,
                result => result?,
            };
            let Some(waiting) = parse(&self.room[..length]) else { continue };
            self.accept(waiting.id, change(waiting.packet))?;
        }
        Ok(false)
    }

    fn accept(&self, id: [u8; 4], changed: Option<Vec<u8>>) -> io::Result<()> {
        let verdict = [(libc::NF_ACCEPT as u32).to_be_bytes(), id].concat();
        let mut buffer = Buffer::default();
        buffer.message(kind(libc::NFQNL_MSG_VERDICT), 0, 0, &head(self.number), |b| {
            b.bytes(libc::NFQA_VERDICT_HDR as u16, &verdict);
            if let Some(packet) = changed {
                b.bytes(libc::NFQA_PAYLOAD as u16, &packet);
            }
        });
        self.socket.send(&buffer)
    }
}

impl AsFd for Queue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn parse(message: &[u8]) -> Option<Waiting<'_>> {
    let is_packet = message.get(4..6)? == kind(libc::NFQNL_MSG_PACKET).to_ne_bytes();
    let attributes = message.get(HEADERS..).filter(|_| is_packet)?;
    Some(Waiting {
        id: *attribute(attributes, libc::NFQA_PACKET_HDR as u16)?.first_chunk()?,
        packet: attribute(attributes, libc::NFQA_PAYLOAD as u16)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_that_waits_is_read() {
        let mut buffer = Buffer::default();
        buffer.message(kind(libc::NFQNL_MSG_PACKET), 0, 0, &head(7), |b| {
            b.bytes(libc::NFQA_PACKET_HDR as u16, &[0, 0, 1, 2, 8, 0, 3]);
            b.bytes(libc::NFQA_PAYLOAD as u16, b"packet");
        });
        let waiting = parse(buffer.as_bytes()).unwrap();
        assert_eq!((waiting.id, waiting.packet), ([0, 0, 1, 2], b"packet".as_slice()));
        assert!(parse(&buffer.as_bytes()[..18]).is_none());
    }
}
