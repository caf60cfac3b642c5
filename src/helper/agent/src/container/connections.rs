//! Who is connected to the container.

use crate::answer::{Result, Tried};
use crate::diag::{CLOSE_WAIT, Diag, ESTABLISHED, LISTEN, SYN_RECEIVED, TcpSocket};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::IpAddr;

/// More peers than this are left out of a list.
const MOST_LISTED: usize = 1000;

#[derive(Default)]
pub struct Connections {
    listening: BTreeSet<u16>,
    established: usize,
    /// The peer has sent all it will; the program may still be at work on it.
    half_closed: usize,
    peers: BTreeMap<(IpAddr, u16), usize>,
}

/// All sockets that matter, in one pass. `ports` remembers those that were listened on: a program that finishes its
/// requests may do so no longer.
pub fn read(diag: &mut Diag, ports: &mut BTreeSet<u16>, except: &BTreeSet<IpAddr>) -> Result<Connections> {
    let mut found = Connections::default();
    let mut open: Vec<(u8, (IpAddr, u16))> = Vec::new();
    let each = |socket: TcpSocket| match socket.state {
        LISTEN if is_reachable(socket.local.0) => drop(found.listening.insert(socket.local.1)),
        LISTEN => {}
        state if is_from_outside(&socket) => open.push((state, (socket.remote.0, socket.local.1))),
        _ => {}
    };
    diag.sockets(&[ESTABLISHED, SYN_RECEIVED, CLOSE_WAIT, LISTEN], false, each)
        .tried("listing connections")?;
    ports.extend(&found.listening);
    for (state, (peer, port)) in open {
        if ports.contains(&port) && !except.contains(&peer) {
            found.add(state, peer, port);
        }
    }
    Ok(found)
}

/// Docker's name server in the container listens at 127.0.0.11, on a random port.
fn is_reachable(address: IpAddr) -> bool {
    !address.is_loopback()
}

/// Not by loop-back, and not by one of the container's own addresses, when both ends have the same one.
pub fn is_from_outside(socket: &TcpSocket) -> bool {
    is_reachable(socket.remote.0) && is_reachable(socket.local.0) && socket.remote.0 != socket.local.0
}

impl Connections {
    fn add(&mut self, state: u8, peer: IpAddr, port: u16) {
        match state {
            ESTABLISHED | SYN_RECEIVED => self.established += 1,
            _ => self.half_closed += 1,
        }
        *self.peers.entry((peer, port)).or_default() += 1;
    }

    /// ` established=N half-closed=N`
    pub fn count(&self) -> String {
        format!(" established={} half-closed={}", self.established, self.half_closed)
    }

    /// ` established=N half-closed=N listening=PORT,… peers=PEER>PORT=N,…`
    pub fn list(&self) -> String {
        let listening: Vec<String> = self.listening.iter().map(u16::to_string).collect();
        let mut text = format!("{} listening={} peers=", self.count(), listening.join(","));
        for (i, ((peer, port), count)) in self.peers.iter().take(MOST_LISTED).enumerate() {
            let comma = if i > 0 { "," } else { "" };
            let _ = write!(text, "{comma}{peer}>{port}={count}");
        }
        text
    }
}
