//! The sockets of the relay.

use crate::ip::Ip;
use crate::sys;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;

/// Connections that wait to be accepted; the kernel may allow fewer (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;
/// `SO_ORIGINAL_DST`, of both versions.
const ORIGINAL_DESTINATION: i32 = 80;

/// Listens on a port that is free, at all addresses.
pub fn listen(ip: Ip) -> io::Result<TcpListener> {
    let any: IpAddr = match ip {
        Ip::V4 => Ipv4Addr::UNSPECIFIED.into(),
        Ip::V6 => Ipv6Addr::UNSPECIFIED.into(),
    };
    let listener = TcpListener::bind((any, 0))?;
    sys::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Where a redirected connection was made to.
///
/// # Errors
/// `ENOENT` when it was not redirected.
pub fn asked_for(client: &TcpStream) -> io::Result<SocketAddr> {
    let (address, port): (IpAddr, u16) = if client.local_addr()?.is_ipv4() {
        let to = sys::get_option::<libc::sockaddr_in>(client, libc::SOL_IP, ORIGINAL_DESTINATION)?;
        (Ipv4Addr::from_bits(u32::from_be(to.sin_addr.s_addr)).into(), to.sin_port)
    } else {
        let to = sys::get_option::<libc::sockaddr_in6>(client, libc::SOL_IPV6, ORIGINAL_DESTINATION)?;
        (Ipv6Addr::from(to.sin6_addr.s6_addr).into(), to.sin6_port)
    };
    Ok(SocketAddr::new(address, u16::from_be(port)))
}

/// Begins to connect.
pub fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let family = if to.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let fd = sys::socket(family, libc::SOCK_STREAM | libc::SOCK_NONBLOCK, 0)?;
    let result = match to {
        SocketAddr::V4(to) => sys::connect(
            &fd,
            libc::sockaddr_in {
                sin_family: family as u16,
                sin_port: to.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(to.ip().octets()) },
                sin_zero: [0; 8],
            },
        ),
        SocketAddr::V6(to) => sys::connect(
            &fd,
            libc::sockaddr_in6 {
                sin6_family: family as u16,
                sin6_port: to.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: to.ip().octets() },
                sin6_scope_id: 0,
            },
        ),
    };
    match result {
        Err(e) if e.raw_os_error() != Some(libc::EINPROGRESS) => Err(e),
        _ => Ok(fd.into()),
    }
}

/// When it is closed the other side gets a reset: what was said is not complete.
pub fn reset_on_close(fd: impl AsFd) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    // A failure means that the connection is gone.
    let _ = sys::set_option(fd, libc::SOL_SOCKET, libc::SO_LINGER, linger);
}

/// `None` when there is nothing to do without waiting.
pub fn unless_blocked<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        result => result.map(Some),
    }
}
