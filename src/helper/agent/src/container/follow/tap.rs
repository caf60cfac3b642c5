//! Copies of the packets that come to the container's listening ports and leave from them (`AF_PACKET`).
//!
//! The kernel throws away what is not asked for, before it is copied, and what comes faster than it is read. The container
//! does not wait for either.

use super::packet::{BEGINS_OR_ENDS, Segment, Side};
use crate::sys;
use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What waits to be read, in bytes as the kernel counts them, which are more than those of the packets.
const BUFFER: libc::c_int = 8 << 20;
/// What is longer is cut off. Packets are, with the generic segmentation of large ones (GSO).
const LONGEST: usize = 64 << 10;
const AT_ONCE: usize = 4096;
/// With more ports than the program has room for, packets of all ports are copied.
const MOST_PORTS: usize = 200;

pub struct Tap {
    fd: OwnedFd,
    buffer: Box<[u8]>,
}

impl Tap {
    /// It hears nothing until it is bound, filter included.
    ///
    /// # Errors
    /// `EPERM` without the capability NET_RAW.
    pub fn open(ports: &BTreeSet<u16>) -> io::Result<Self> {
        let fd = sys::socket(libc::AF_PACKET, libc::SOCK_DGRAM, 0)?;
        // More than the system's limit takes NET_ADMIN. With less it hears less.
        let _ = sys::set_option(&fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, BUFFER);
        let tap = Self { fd, buffer: vec![0; LONGEST].into() };
        tap.set_ports(ports)?;
        sys::bind(&tap.fd, every_interface())?;
        Ok(tap)
    }

    pub fn set_ports(&self, ports: &BTreeSet<u16>) -> io::Result<()> {
        sys::attach_filter(&self.fd, &program(ports))
    }

    /// Reads what is there, up to a bound. Whether all was read.
    pub fn read(&mut self, mut each: impl FnMut(&Segment)) -> io::Result<bool> {
        for _ in 0..AT_ONCE {
            let (length, kind) = match sys::receive_packet(&self.fd, &mut self.buffer) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                received => received?,
            };
            let by = if kind == libc::PACKET_OUTGOING { Side::Server } else { Side::Client };
            let packet = &self.buffer[..length.min(LONGEST)];
            Segment::parse(packet, length, by).iter().for_each(&mut each);
        }
        Ok(false)
    }

    /// Packets that did not fit into the buffer since the last time.
    pub fn dropped(&self) -> io::Result<u32> {
        let statistics: libc::tpacket_stats =
            sys::get_option(&self.fd, libc::SOL_PACKET, libc::PACKET_STATISTICS)?;
        Ok(statistics.tp_drops)
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Of every interface, and those that leave too.
fn every_interface() -> libc::sockaddr_ll {
    libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
        sll_ifindex: 0,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    }
}

/// Where the program goes on.
#[derive(Clone, Copy)]
enum To {
    /// So many steps are left out.
    Over(usize),
    Accept,
    Drop,
}
const NEXT: To = To::Over(0);

/// One step: its code, where it goes on when its condition is true and when not, its number.
type Step = (u32, To, To, u32);

const LOAD: u32 = libc::BPF_LD | libc::BPF_ABS;
const LOAD_TCP: u32 = libc::BPF_LD | libc::BPF_IND;
const COMPUTE: u32 = libc::BPF_ALU | libc::BPF_K;
const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const ANY_BIT: u32 = libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K;
const ARPHRD_LOOPBACK: u32 = 772;
const NOT_FIRST_FRAGMENT: u32 = 0x1fff;

fn does(code: u32, number: u32) -> Step {
    (code, NEXT, NEXT, number)
}

/// What the kernel knows about a packet, beside what is in it.
fn about(what: libc::c_int) -> u32 {
    (libc::SKF_AD_OFF + what) as u32
}

/// TCP with data, or that opens or ends a connection, to the ports, or from them when it leaves. Not on loop-back.
fn program(ports: &BTreeSet<u16>) -> Vec<libc::sock_filter> {
    let tcp = (EQUAL, NEXT, To::Drop, libc::IPPROTO_TCP as u32);
    let mut steps = vec![
        does(LOAD | libc::BPF_W, about(libc::SKF_AD_HATYPE)),
        (EQUAL, To::Drop, NEXT, ARPHRD_LOOPBACK),
        does(LOAD | libc::BPF_B, 0),
        does(COMPUTE | libc::BPF_RSH, 4),
        (EQUAL, To::Over(7), NEXT, 6),
        (EQUAL, NEXT, To::Drop, 4),
        does(LOAD | libc::BPF_B, 9),
        tcp,
        does(LOAD | libc::BPF_H, 6),
        (ANY_BIT, To::Drop, NEXT, NOT_FIRST_FRAGMENT),
        does(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, 0),
        (libc::BPF_JMP | libc::BPF_JA, NEXT, NEXT, 3),
        does(LOAD | libc::BPF_B, 6),
        tcp,
        does(libc::BPF_LDX | libc::BPF_W | libc::BPF_IMM, 40),
        // From here on X is where TCP begins.
        does(LOAD | libc::BPF_W, about(libc::SKF_AD_PKTTYPE)),
        (EQUAL, To::Over(3), NEXT, libc::PACKET_OUTGOING.into()),
        (EQUAL, NEXT, To::Drop, libc::PACKET_HOST.into()),
        does(LOAD_TCP | libc::BPF_H, 2),
        (libc::BPF_JMP | libc::BPF_JA, NEXT, NEXT, 1),
        does(LOAD_TCP | libc::BPF_H, 0),
    ];
    steps.extend(among(ports));
    steps.extend([
        does(LOAD_TCP | libc::BPF_B, 13),
        (ANY_BIT, To::Accept, NEXT, BEGINS_OR_ENDS.into()),
        does(LOAD_TCP | libc::BPF_B, 12),
        does(COMPUTE | libc::BPF_AND, 0xf0),
        does(COMPUTE | libc::BPF_RSH, 2),
        does(libc::BPF_ALU | libc::BPF_ADD | libc::BPF_X, 0),
        does(libc::BPF_MISC | libc::BPF_TAX, 0),
        does(libc::BPF_LD | libc::BPF_W | libc::BPF_LEN, 0),
        (libc::BPF_JMP | libc::BPF_JGT | libc::BPF_X, To::Accept, To::Drop, 0),
    ]);
    assemble(&steps)
}

fn among(ports: &BTreeSet<u16>) -> Vec<Step> {
    let count = if ports.len() > MOST_PORTS { 0 } else { ports.len() };
    let step = |(at, port): (usize, &u16)| {
        let otherwise = if at + 1 == count { To::Drop } else { NEXT };
        (EQUAL, To::Over(count - 1 - at), otherwise, (*port).into())
    };
    ports.iter().take(count).enumerate().map(step).collect()
}

fn assemble(steps: &[Step]) -> Vec<libc::sock_filter> {
    let offset = |at: usize, to: To| match to {
        To::Over(steps) => steps,
        To::Accept => steps.len() - at - 1,
        To::Drop => steps.len() - at,
    };
    let one = |(at, (code, yes, no, k)): (usize, &Step)| libc::sock_filter {
        code: *code as u16,
        jt: offset(at, *yes) as u8,
        jf: offset(at, *no) as u8,
        k: *k,
    };
    let ends = [u32::MAX, 0].map(|length| libc::sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: length,
    });
    steps.iter().enumerate().map(one).chain(ends).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_reach_the_end_from_the_longest_list_of_ports() {
        for count in [0, 1, MOST_PORTS, MOST_PORTS + 1] {
            let program = program(&(1..=count as u16).collect());
            for (at, step) in program.iter().enumerate() {
                assert!(at + usize::from(step.jt.max(step.jf)) < program.len());
            }
            let farthest = program.iter().map(|step| step.jt.max(step.jf)).max().unwrap();
            assert!(usize::from(farthest) + 1 < program.len() && program.len() < 255, "{count}");
        }
    }
}
