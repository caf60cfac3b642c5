//! Connections that this namespace's NAT delivers elsewhere than they are addressed to.

use crate::ip::address;
use crate::netlink::{Socket, attribute};
use crate::nft::Family;
use crate::protocol::Own;
use std::io;
use std::net::IpAddr;

const GET: u16 = (libc::NFNL_SUBSYS_CTNETLINK as u16) << 8 | 1;
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const PROTOCOL_STATE: u16 = 4;
/// `TCP_CONNTRACK_SYN_SENT` to `TCP_CONNTRACK_CLOSE_WAIT`: after those both have said all they will, and where the last word
/// was lost it takes 30 s.
const OPEN: std::ops::RangeInclusive<u8> = 1..=5;

/// Whose TCP connections are delivered to our own addresses although they are addressed to others.
pub fn delivered(family: Family, own: &[Own]) -> io::Result<Vec<(IpAddr, u16)>> {
    let mut socket = Socket::open(libc::NETLINK_NETFILTER)?;
    let mut clients = Vec::new();
    let head = [family as u8, 0, 0, 0];
    socket.request(
        (GET, libc::NLM_F_DUMP),
        &head,
        |_| {},
        |part| clients.extend(part.get(4..).and_then(|entry| client(entry, own))),
    )?;
    Ok(clients)
}

fn client(entry: &[u8], own: &[Own]) -> Option<(IpAddr, u16)> {
    // Only TCP has a state.
    let state = *attribute(attribute(attribute(entry, PROTOCOL_STATE)?, 1)?, 1)?.first()?;
    let original = attribute(entry, ORIGINAL)?;
    let [client, asked] = ends(original)?;
    let [answering, _] = ends(attribute(entry, REPLY)?)?;
    let ours = |o: &Own| o.address == answering && o.subnet.contains(asked);
    let is_delivered = OPEN.contains(&state) && asked != answering && own.iter().any(ours);
    let port = attribute(attribute(original, 2)?, 2)?.first_chunk()?;
    is_delivered.then(|| (client, u16::from_be_bytes(*port)))
}

/// Source and destination address of a tuple.
fn ends(tuple: &[u8]) -> Option<[IpAddr; 2]> {
    let ip = attribute(tuple, 1)?;
    let first = |a, b| attribute(ip, a).or_else(|| attribute(ip, b)).and_then(address);
    Some([first(1, 3)?, first(2, 4)?])
}
