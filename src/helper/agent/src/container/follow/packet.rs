//! A TCP segment in a packet, as far as connections are followed by it.

use crate::ip::address;
use std::net::IpAddr;

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
/// The flags of segments that matter although they carry no data.
pub const BEGINS_OR_ENDS: u8 = FIN | SYN | RST;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    Client,
    Server,
}

/// A connection, as the container sees it. The address that the client has asked for may be another one's: it is left
/// out, as rules rewrite it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Key {
    pub client: (IpAddr, u16),
    pub port: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment<'a> {
    pub key: Key,
    /// The server's address.
    pub local: IpAddr,
    pub by: Side,
    pub sequence: u32,
    pub acknowledged: u32,
    pub flags: u8,
    /// What is at hand of its data.
    pub data: &'a [u8],
    /// All of its data.
    pub length: u32,
}

impl<'a> Segment<'a> {
    /// From a packet that begins with the header of IP and is `length` bytes long, of which the first are at hand.
    pub fn parse(packet: &'a [u8], length: usize, by: Side) -> Option<Self> {
        let (header, ends, total) = match packet.first()? >> 4 {
            4 => (usize::from(packet[0] & 15) * 4, 12..20, word(packet, 2)?.into()),
            6 => (40, 8..40, usize::from(word(packet, 4)?) + 40),
            _ => return None,
        };
        // What is longer than its header can say (BIG TCP) says 0 there.
        let total = if total <= header { length } else { total };
        let (source, destination) = packet.get(ends.clone())?.split_at(ends.len() / 2);
        let tcp = packet.get(header..)?;
        let (from, to) = ((address(source)?, word(tcp, 0)?), (address(destination)?, word(tcp, 2)?));
        let (client, (local, port)) = if by == Side::Client { (from, to) } else { (to, from) };
        let begin = header + usize::from(tcp.get(12)? >> 4) * 4;
        Some(Segment {
            key: Key { client, port },
            local,
            by,
            sequence: long(tcp, 4)?,
            acknowledged: long(tcp, 8)?,
            flags: *tcp.get(13)?,
            data: packet.get(begin..total.min(packet.len())).unwrap_or_default(),
            length: total.checked_sub(begin)? as u32,
        })
    }

    /// All of its data is at hand.
    pub fn is_whole(&self) -> bool {
        self.data.len() == self.length as usize
    }

    /// It opens a connection, or is the answer to that.
    pub fn is_first(&self) -> bool {
        self.flags & SYN != 0
    }

    pub fn is_last(&self) -> bool {
        self.flags & (FIN | RST) != 0
    }
}

/// Corrects the checksum of TCP in a packet of IP without extension headers (RFC 9293, 3.1).
pub fn seal(packet: &mut [u8]) {
    let (header, ends) = match packet[0] >> 4 {
        4 => (usize::from(packet[0] & 15) * 4, 12..20),
        _ => (40, 8..40),
    };
    let length = (packet.len() - header) as u32;
    packet[header + 16..header + 18].fill(0);
    let fixed = libc::IPPROTO_TCP as u32 + length;
    let sum = fixed + sum(&packet[ends]) + sum(&packet[header..]);
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !(((folded & 0xffff) + (folded >> 16)) as u16);
    packet[header + 16..header + 18].copy_from_slice(&checksum.to_be_bytes());
}

/// Of its words of 16 bits; a packet has too few for an overflow.
fn sum(bytes: &[u8]) -> u32 {
    let word = |two: &[u8]| u32::from(two[0]) << 8 | two.get(1).map_or(0, |low| u32::from(*low));
    bytes.chunks(2).map(word).sum()
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

#[cfg(test)]
impl<'a> Segment<'a> {
    pub fn example(by: Side, sequence: u32, acknowledged: u32, data: &'a str) -> Self {
        let key = Key { client: ("172.18.0.9".parse().unwrap(), 4660), port: 80 };
        let (local, data) = ("172.18.0.2".parse().unwrap(), data.as_bytes());
        let length = data.len() as u32;
        Segment { key, local, by, sequence, acknowledged, flags: 0, data, length }
    }

    pub fn opening(by: Side, sequence: u32, acknowledged: u32) -> Self {
        Segment { flags: SYN, ..Self::example(by, sequence, acknowledged, "") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(flags: u8) -> Vec<u8> {
        let mut tcp = [4660_u16.to_be_bytes(), 80_u16.to_be_bytes()].concat();
        tcp.extend([0, 0, 0, 1, 0, 0, 0, 2, 6 << 4, flags, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1]);
        tcp
    }

    fn packet4(data: &str) -> Vec<u8> {
        let mut ip = vec![0x46, 0, 0, (24 + 24 + data.len()) as u8, 0, 0, 0, 0, 64, 6, 0, 0];
        ip.extend([172, 18, 0, 9, 172, 18, 0, 2, 1, 1, 1, 0]);
        [ip, tcp(0), data.into()].concat()
    }

    fn packet6(data: &str) -> Vec<u8> {
        let mut ip = vec![0x60, 0, 0, 0, 0, (24 + data.len()) as u8, 6, 64];
        ["fd00::9", "fd00::2"]
            .iter()
            .for_each(|a| ip.extend(a.parse::<std::net::Ipv6Addr>().unwrap().octets()));
        [ip, tcp(FIN), data.into()].concat()
    }

    #[test]
    fn a_segment_of_the_client() {
        let packet = packet4("hello");
        let segment = Segment::parse(&packet, packet.len(), Side::Client).unwrap();
        assert_eq!(segment, Segment::example(Side::Client, 1, 2, "hello"));
        let packet = packet6("hello");
        let segment = Segment::parse(&packet, packet.len(), Side::Client).unwrap();
        assert_eq!(segment.key, Key { client: ("fd00::9".parse().unwrap(), 4660), port: 80 });
        assert_eq!((segment.data, segment.length, segment.is_last()), ("hello".as_bytes(), 5, true));
    }

    #[test]
    fn a_segment_of_the_server() {
        let packet = packet4("hello");
        let segment = Segment::parse(&packet, packet.len(), Side::Server).unwrap();
        assert_eq!(segment.key, Key { client: ("172.18.0.2".parse().unwrap(), 80), port: 4660 });
        assert_eq!(segment.local, "172.18.0.9".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn what_pads_the_frame_is_no_data_and_what_is_cut_off_counts() {
        let mut packet = packet4("");
        packet.extend([0; 8]);
        assert_eq!(Segment::parse(&packet, packet.len(), Side::Client).unwrap().length, 0);
        let packet = packet4("hello");
        let cut = Segment::parse(&packet[..packet.len() - 2], packet.len(), Side::Client).unwrap();
        assert_eq!((cut.data, cut.length), ("hel".as_bytes(), 5));
        let mut big = packet6("hello");
        big[5] = 0;
        assert_eq!(Segment::parse(&big, big.len(), Side::Client).unwrap().length, 5);
    }

    #[test]
    fn a_sealed_packet_sums_up_to_nothing() {
        for (mut packet, ends) in [(packet4("hello"), 12..20), (packet6("hello!"), 8..40)] {
            seal(&mut packet);
            let tcp = &packet[if ends.start == 12 { 24 } else { 40 }..];
            let all = sum(&packet[ends]) + sum(tcp) + 6 + tcp.len() as u32;
            assert_eq!((all & 0xffff) + (all >> 16), 0xffff);
        }
    }

    #[test]
    fn what_is_too_short_is_none() {
        for packet in [packet4(""), packet6("")] {
            // Up to the flags; what follows is not looked at.
            let needed = packet.len() - 10;
            assert!(Segment::parse(&packet[..needed], needed, Side::Client).is_some());
            (0..needed).for_each(|n| assert_eq!(Segment::parse(&packet[..n], n, Side::Client), None));
        }
        assert_eq!(Segment::parse(&[0; 80], 80, Side::Client), None);
    }
}
