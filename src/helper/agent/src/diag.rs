//! The TCP sockets of this network namespace, from the kernel's socket diagnostics (`sock_diag`). Reading `/proc/net`
//! takes many times as long, and cannot end a connection.

use crate::netlink::{Buffer, Socket, attribute};
use std::io;
use std::net::IpAddr;

const BY_FAMILY: u16 = 20;
const DESTROY: u16 = 21;
const EXTENSION_INFO: u16 = 2;

pub const ESTABLISHED: u8 = 1;
/// The client has not yet confirmed it.
pub const SYN_RECEIVED: u8 = 3;
pub const CLOSE_WAIT: u8 = 8;
pub const LISTEN: u8 = 10;

/// A socket's address, port and cookie, as the kernel wants them back (`struct inet_diag_sockid`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Id([u8; 48]);

#[derive(Clone, Debug)]
pub struct TcpSocket {
    pub family: u8,
    pub state: u8,
    pub id: Id,
    pub local: (IpAddr, u16),
    pub remote: (IpAddr, u16),
    /// Bytes received that the program has not read.
    pub unread: u32,
    /// Bytes written that are not acknowledged.
    pub unsent: u32,
    pub times: Option<Times>,
}

/// From `struct tcp_info`, where it was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Times {
    /// Milliseconds since data was sent last.
    pub sent: u32,
    /// Milliseconds since data was received last.
    pub received: u32,
    /// Sent and acknowledged.
    pub bytes_acked: u64,
    pub bytes_received: u64,
}

pub struct Diag(Socket);

impl Diag {
    pub fn open() -> io::Result<Self> {
        Socket::open(libc::NETLINK_SOCK_DIAG).map(Self)
    }

    /// Calls `each` for every TCP socket in one of the states, of IPv4 and IPv6.
    pub fn sockets(&mut self, states: &[u8], times: bool, mut each: impl FnMut(TcpSocket)) -> io::Result<()> {
        for family in [libc::AF_INET, libc::AF_INET6] {
            let states = states.iter().fold(0, |mask, state| mask | 1 << state);
            let head = request(family as u8, states, times, &Id([0; 48]));
            let dump = (BY_FAMILY, libc::NLM_F_DUMP);
            match self.0.request(dump, &head, |_| {}, |part| parse(part).into_iter().for_each(&mut each)) {
                // The kernel has no IPv6.
                Err(e) if family == libc::AF_INET6 && e.raw_os_error() == Some(libc::ENOENT) => {}
                result => result?,
            }
        }
        Ok(())
    }

    /// One socket as it is now.
    pub fn again(&mut self, socket: &TcpSocket) -> io::Result<Option<TcpSocket>> {
        let head = request(socket.family, u32::MAX, true, &socket.id);
        let mut found = None;
        self.0.request((BY_FAMILY, 0), &head, |_| {}, |part| found = parse(part))?;
        Ok(found)
    }

    /// Ends a connection as if by its program: the peer gets a reset (`CONFIG_INET_DIAG_DESTROY`).
    pub fn destroy(&mut self, socket: &TcpSocket) -> io::Result<()> {
        self.destroy_id(socket.family, &socket.id)
    }

    fn destroy_id(&mut self, family: u8, id: &Id) -> io::Result<()> {
        self.0.request((DESTROY, 0), &request(family, u32::MAX, false, id), |_: &mut Buffer| {}, |_| {})
    }

    /// Whether connections can be ended: the attempt at one that does not exist says so.
    pub fn probe(&mut self) -> io::Result<()> {
        match self.destroy_id(libc::AF_INET as u8, &nobody()) {
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            result => result,
        }
    }
}

/// A socket that does not exist: port 0 at both ends, any cookie.
fn nobody() -> Id {
    let mut id = [0; 48];
    id[40..].fill(0xff);
    Id(id)
}

/// struct inet_diag_req_v2
fn request(family: u8, states: u32, times: bool, id: &Id) -> Vec<u8> {
    let extensions = if times { 1 << (EXTENSION_INFO - 1) } else { 0 };
    let head = [family, libc::IPPROTO_TCP as u8, extensions, 0];
    [head.as_slice(), &states.to_ne_bytes(), &id.0].concat()
}

/// struct inet_diag_msg
fn parse(message: &[u8]) -> Option<TcpSocket> {
    let fixed: &[u8; 72] = message.first_chunk()?;
    let word = |at: usize| u32::from_ne_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
    let port = |at: usize| u16::from_be_bytes([fixed[at], fixed[at + 1]]);
    let address = |at: usize| match i32::from(fixed[0]) {
        libc::AF_INET6 => crate::ip::address(&fixed[at..at + 16]).map(|a| a.to_canonical()),
        _ => crate::ip::address(&fixed[at..at + 4]),
    };
    Some(TcpSocket {
        family: fixed[0],
        state: fixed[1],
        id: Id(*fixed[4..].first_chunk()?),
        local: (address(8)?, port(4)),
        remote: (address(24)?, port(6)),
        unread: word(56),
        unsent: word(60),
        times: attribute(&message[72..], EXTENSION_INFO).and_then(times),
    })
}

fn times(info: &[u8]) -> Option<Times> {
    let word = |at: usize| Some(u32::from_ne_bytes(*info.get(at..)?.first_chunk()?));
    let long = |at: usize| Some(u64::from_ne_bytes(*info.get(at..)?.first_chunk()?));
    // The counts are from Linux 4.1 on.
    Some(Times { sent: word(44)?, received: word(52)?, bytes_acked: long(120)?, bytes_received: long(128)? })
}

#[cfg(test)]
impl TcpSocket {
    pub fn example(state: u8, times: Times) -> Self {
        let (local, remote) = (("172.18.0.2".parse().unwrap(), 80), ("172.18.0.9".parse().unwrap(), 4660));
        let (family, id) = (libc::AF_INET as u8, Id([0; 48]));
        Self { family, state, id, local, remote, unread: 0, unsent: 0, times: Some(times) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_as_long_as_the_kernel_wants_it() {
        let bytes = request(libc::AF_INET as u8, 1 << ESTABLISHED, true, &nobody());
        assert_eq!(bytes.len(), 56);
        assert_eq!(bytes[..8], [2, 6, 2, 0, 2, 0, 0, 0]);
    }

    #[test]
    fn a_socket_is_read() {
        let mut m = vec![libc::AF_INET6 as u8, ESTABLISHED, 0, 0, 0, 80, 0x12, 0x34];
        m.extend("::ffff:172.18.0.2".parse::<std::net::Ipv6Addr>().unwrap().octets());
        m.extend("fd00::9".parse::<std::net::Ipv6Addr>().unwrap().octets());
        m.extend([0; 12]);
        m.extend([0; 4]);
        m.extend(5u32.to_ne_bytes());
        m.extend(6u32.to_ne_bytes());
        m.extend([0; 8]);
        let s = parse(&m).unwrap();
        assert_eq!(s.local, ("172.18.0.2".parse().unwrap(), 80));
        assert_eq!(s.remote, ("fd00::9".parse().unwrap(), 0x1234));
        assert_eq!((s.unread, s.unsent, s.times), (5, 6, None));
        assert!(parse(&m[..71]).is_none());
    }
}
