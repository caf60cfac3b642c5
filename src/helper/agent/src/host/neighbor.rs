//! Answers for addresses whose owner is gone, or not yet able to: ARP, and neighbor discovery for IPv6.
//!
//! The answer names the MAC that the owner had. Nobody on the network notices that it is gone: what neighbors know
//! stays right, and the bridge's rules send the frames to the successor. When the address is somebody else's again
//! nothing has to be corrected, as nobody was taught anything new.
//!
//! The kernel's own answers (`ip neigh add proxy`) are no way: it gives them only when the address is routed through
//! another interface than the question came in by (`arp_process`), after up to 0.8 s, for IPv6 only with a sysctl that
//! a container cannot write, and its entries would outlive a helper that is killed.
//!
//! It also asks for them: a container that has got such an address may send nothing for a long time, and on engines that
//! make MACs from addresses its neighbors know it already, so that they would send to the successor what is for it. Its
//! answer is the packet that claims the address.

use crate::protocol::Mac;
use crate::sys;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

const ETHERNET: usize = 14;
const ARP: [u8; 8] = [0, 1, 0x08, 0, 6, 4, 0, 1]; // Ethernet, IPv4, their lengths, a question
const EVERYBODY: [u8; 6] = [0xff; 6];
const ARP_ANSWER: u8 = 2;
const IPV6: usize = 40;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const HOP_LIMIT: u8 = 255;
/// The answer to a question, which overrides what the asker knows.
const SOLICITED_OVERRIDE: u8 = 0x60;
const SOURCE_LINK_ADDRESS: u8 = 1;
const TARGET_LINK_ADDRESS: u8 = 2;
/// Answered at once; a flood of questions must not keep the helper from all else.
const AT_ONCE: usize = 64;
/// After that the question is asked again.
const ASKED_AGAIN: Duration = Duration::from_secs(1);

/// Listens on one bridge.
pub struct Responder {
    own: Mac,
    /// The bridge's own, of IPv6.
    address: Option<Ipv6Addr>,
    arp: OwnedFd,
    discovery: OwnedFd,
    /// The last ones, with the time of each: Docker's name server names a container before it can answer.
    unanswered: VecDeque<(Instant, Question)>,
}

/// A frame that has come in.
enum Question {
    Arp(Vec<u8>),
    Discovery(Vec<u8>),
}

impl Responder {
    /// # Errors
    /// `EPERM` without the capability NET_RAW.
    pub fn open(bridge: u32, own: Mac, address: Option<Ipv6Addr>) -> io::Result<Self> {
        let arp = listen(bridge, libc::ETH_P_ARP as u16, &[])?;
        let discovery = listen(bridge, libc::ETH_P_IPV6 as u16, &solicitations())?;
        Ok(Self { own, address, arp, discovery, unanswered: VecDeque::new() })
    }

    /// Asks who has the address. A question that is not sent is asked again soon.
    pub fn ask(&self, wanted: IpAddr) {
        let _ = match (wanted, self.address) {
            (IpAddr::V4(wanted), _) => sys::send(&self.arp, &arp_probe(self.own, wanted)),
            (IpAddr::V6(wanted), Some(from)) => {
                sys::send(&self.discovery, &solicitation(self.own, from, wanted))
            }
            (IpAddr::V6(_), None) => return,
        };
    }

    pub fn fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.arp.as_fd(), self.discovery.as_fd()]
    }

    /// Answers the questions that have come in, for the addresses in `owners`.
    pub fn answer(&mut self, owners: &BTreeMap<IpAddr, Mac>) {
        let now = Instant::now();
        let arp = received(&self.arp).into_iter().map(Question::Arp);
        let discovery = received(&self.discovery).into_iter().map(Question::Discovery);
        for question in arp.chain(discovery).collect::<Vec<_>>() {
            if !self.try_answer(&question, owners) {
                self.unanswered.push_back((now, question));
            }
        }
        self.unanswered.drain(..self.unanswered.len().saturating_sub(AT_ONCE));
    }

    /// Answers the questions from before for the addresses in `owners`: whoever has asked would ask again only after a
    /// second.
    pub fn answer_late(&mut self, owners: &BTreeMap<IpAddr, Mac>) {
        for (asked, question) in std::mem::take(&mut self.unanswered) {
            if asked.elapsed() < ASKED_AGAIN && !self.try_answer(&question, owners) {
                self.unanswered.push_back((asked, question));
            }
        }
    }

    /// Whether somebody in `owners` is asked for. What can be sent is sent; who gets no answer asks again.
    fn try_answer(&self, question: &Question, owners: &BTreeMap<IpAddr, Mac>) -> bool {
        let owner = |address: IpAddr| owners.get(&address).copied();
        let (fd, answer) = match question {
            Question::Arp(frame) => (&self.arp, arp_answer(frame, self.own, |a| owner(a.into()))),
            Question::Discovery(frame) => {
                (&self.discovery, advertisement(frame, self.own, |a| owner(a.into())))
            }
        };
        answer.map(|answer| sys::send(fd, &answer)).is_some()
    }
}

fn received(fd: &OwnedFd) -> Vec<Vec<u8>> {
    let mut frame = [0; 256];
    let next =
        || sys::receive(fd, &mut frame, libc::MSG_DONTWAIT).ok().map(|length| frame[..length].to_vec());
    std::iter::from_fn(next).take(AT_ONCE).collect()
}

/// A socket for frames of one protocol on one interface. It hears nothing until it is bound, filter included.
fn listen(interface: u32, protocol: u16, filter: &[libc::sock_filter]) -> io::Result<OwnedFd> {
    let fd = sys::socket(libc::AF_PACKET, libc::SOCK_RAW, 0)?;
    if !filter.is_empty() {
        sys::attach_filter(&fd, filter)?;
    }
    sys::bind(
        &fd,
        libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as u16,
            sll_protocol: protocol.to_be(),
            sll_ifindex: interface as i32,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        },
    )?;
    Ok(fd)
}

/// Neighbor solicitations among all of IPv6, as a program for the kernel.
fn solicitations() -> [libc::sock_filter; 6] {
    let step = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let byte = libc::BPF_LD | libc::BPF_B | libc::BPF_ABS;
    let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    [
        step(byte, 0, 0, ETHERNET as u32 + 6),
        step(equal, 0, 3, libc::IPPROTO_ICMPV6 as u32),
        step(byte, 0, 0, (ETHERNET + IPV6) as u32),
        step(equal, 0, 1, SOLICITATION.into()),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
    ]
}

/// The answer to an ARP question, when somebody (`owner`) has the address.
fn arp_answer(frame: &[u8], own: Mac, owner: impl Fn(Ipv4Addr) -> Option<Mac>) -> Option<Vec<u8>> {
    let arp = frame.get(ETHERNET..)?;
    let (asker_mac, asker): (&[u8; 6], &[u8; 4]) =
        (arp.get(8..)?.first_chunk()?, arp.get(14..)?.first_chunk()?);
    let wanted: &[u8; 4] = arp.get(24..)?.first_chunk()?;
    // From 0.0.0.0 somebody asks whether the address is free: it is. From the address itself somebody announces it.
    if !arp.starts_with(&ARP) || *asker == [0; 4] || asker == wanted {
        return None;
    }
    let mac = owner((*wanted).into())?;
    let mut answer = ethernet(asker_mac, own, libc::ETH_P_ARP as u16);
    answer.extend(&ARP[..7]);
    answer.push(ARP_ANSWER);
    answer.extend(mac.0);
    answer.extend(wanted);
    answer.extend(asker_mac);
    answer.extend(asker);
    Some(answer)
}

/// Does anybody have the address? From nobody, so that no neighbor learns anything (RFC 5227).
fn arp_probe(own: Mac, wanted: Ipv4Addr) -> Vec<u8> {
    let question = [ARP.as_slice(), &own.0, &[0; 4], &[0; 6], &wanted.octets()];
    [ethernet(&EVERYBODY, own, libc::ETH_P_ARP as u16), question.concat()].concat()
}

fn ethernet(to: &[u8; 6], from: Mac, protocol: u16) -> Vec<u8> {
    [to.as_slice(), &from.0, &protocol.to_be_bytes()].concat()
}

/// The answer to a neighbor solicitation (RFC 4861, 4.3 and 4.4), when somebody (`owner`) has the address.
fn advertisement(frame: &[u8], own: Mac, owner: impl Fn(Ipv6Addr) -> Option<Mac>) -> Option<Vec<u8>> {
    let asker_mac: &[u8; 6] = frame.get(6..)?.first_chunk()?;
    let ip = frame.get(ETHERNET..)?;
    let (next, hops) = (*ip.get(6)?, *ip.get(7)?);
    let asker = Ipv6Addr::from(*ip.get(8..)?.first_chunk::<16>()?);
    let wanted = Ipv6Addr::from(*ip.get(IPV6 + 8..)?.first_chunk::<16>()?);
    let is_question = i32::from(next) == libc::IPPROTO_ICMPV6 && *ip.get(IPV6)? == SOLICITATION;
    // A hop limit below 255 means that it comes from elsewhere (RFC 4861, 7.1.1). From nobody: is the address free?
    if !is_question || hops != HOP_LIMIT || asker.is_unspecified() || asker == wanted {
        return None;
    }
    let mut icmp = vec![ADVERTISEMENT, 0, 0, 0, SOLICITED_OVERRIDE, 0, 0, 0];
    icmp.extend(wanted.octets());
    icmp.extend([TARGET_LINK_ADDRESS, 1]);
    icmp.extend(owner(wanted)?.0);
    let mut answer = ethernet(asker_mac, own, libc::ETH_P_IPV6 as u16);
    answer.extend(discovery(wanted, asker, icmp));
    Some(answer)
}

/// A neighbor solicitation (RFC 4861, 4.3). Not from nobody: an owner that is about to use the address would take it for
/// somebody else's, and give it up (RFC 4862, 5.4.3).
fn solicitation(own: Mac, from: Ipv6Addr, wanted: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = wanted.octets();
    let to = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
    let mut icmp = vec![SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
    icmp.extend(wanted.octets());
    icmp.extend([SOURCE_LINK_ADDRESS, 1]);
    icmp.extend(own.0);
    let mut frame = ethernet(&[0x33, 0x33, 0xff, a, b, c], own, libc::ETH_P_IPV6 as u16);
    frame.extend(discovery(from, to, icmp));
    frame
}

/// The packet around a message of neighbor discovery.
fn discovery(from: Ipv6Addr, to: Ipv6Addr, mut icmp: Vec<u8>) -> Vec<u8> {
    let sum = checksum(from, to, &icmp);
    icmp[2..4].copy_from_slice(&sum);
    let head = [0x60, 0, 0, 0, 0, icmp.len() as u8, libc::IPPROTO_ICMPV6 as u8, HOP_LIMIT];
    [head.as_slice(), &from.octets(), &to.octets(), &icmp].concat()
}

/// The checksum of an ICMPv6 message of even length, with the pseudo-header of RFC 8200, 8.1.
fn checksum(from: Ipv6Addr, to: Ipv6Addr, icmp: &[u8]) -> [u8; 2] {
    let tail = [0, 0, 0, icmp.len() as u8, 0, 0, 0, libc::IPPROTO_ICMPV6 as u8];
    let all = [&from.octets(), to.octets().as_slice(), &tail, icmp].concat();
    let sum: u32 = all.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    (!((folded & 0xffff) + (folded >> 16)) as u16).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const GONE: Mac = Mac([2, 0, 0, 0, 0, 7]);
    const ASKER: [u8; 6] = [2, 0, 0, 0, 0, 9];

    fn arp_question(sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
        let head = [[0xff; 6].as_slice(), &ASKER, &[8, 6], &ARP, &ASKER];
        [head.concat(), sender.to_vec(), vec![0; 6], target.to_vec()].concat()
    }

    fn gone4(address: Ipv4Addr) -> Option<Mac> {
        (address == Ipv4Addr::new(172, 18, 0, 7)).then_some(GONE)
    }

    #[test]
    fn a_question_for_one_that_is_gone_is_answered_with_its_mac() {
        let answer = arp_answer(&arp_question([172, 18, 0, 9], [172, 18, 0, 7]), OWN, gone4).unwrap();
        let expected = [
            [ASKER.as_slice(), &OWN.0, &[8, 6], &[0, 1, 8, 0, 6, 4, 0, 2], &GONE.0, &[172, 18, 0, 7]]
                .concat(),
            [ASKER.as_slice(), &[172, 18, 0, 9]].concat(),
        ];
        assert_eq!(answer, expected.concat());
    }

    #[test]
    fn others_probes_announcements_and_fragments_are_not_answered() {
        let none = |frame: &[u8]| assert_eq!(arp_answer(frame, OWN, gone4), None);
        none(&arp_question([172, 18, 0, 9], [172, 18, 0, 8]));
        none(&arp_question([0; 4], [172, 18, 0, 7]));
        none(&arp_question([172, 18, 0, 7], [172, 18, 0, 7]));
        let whole = arp_question([172, 18, 0, 9], [172, 18, 0, 7]);
        (0..whole.len()).for_each(|n| none(&whole[..n]));
        let mut reply = whole;
        reply[21] = 2;
        none(&reply);
    }

    #[test]
    fn it_asks_as_somebody_who_wants_to_know_and_not_to_have() {
        let (mine, wanted) = ("fd00::1".parse().unwrap(), "fd00::7".parse().unwrap());
        assert_eq!(arp_probe(Mac(ASKER), [172, 18, 0, 7].into()), arp_question([0; 4], [172, 18, 0, 7]));
        let mut asked = super::solicitation(Mac(ASKER), mine, wanted);
        // The checksum of a message with its own checksum in it is zero.
        assert_eq!(checksum(mine, "ff02::1:ff00:7".parse().unwrap(), &asked[54..]), [0, 0]);
        asked[56..58].fill(0);
        assert_eq!(asked, solicitation(mine, wanted));
    }

    fn solicitation(from: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
        let to: Ipv6Addr = "ff02::1:ff00:7".parse().unwrap();
        let mut icmp = vec![SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
        icmp.extend(target.octets());
        icmp.extend([1, 1]);
        icmp.extend(ASKER);
        let mut frame = [[0x33, 0x33, 0xff, 0, 0, 7], ASKER].concat();
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, icmp.len() as u8, 58, 255]);
        frame.extend(from.octets());
        frame.extend(to.octets());
        frame.extend(icmp);
        frame
    }

    fn gone6(address: Ipv6Addr) -> Option<Mac> {
        (address == "fd00::7".parse::<Ipv6Addr>().unwrap()).then_some(GONE)
    }

    #[test]
    fn a_solicitation_is_answered_with_a_right_checksum() {
        let (asker, target) = ("fd00::9".parse().unwrap(), "fd00::7".parse().unwrap());
        let answer = advertisement(&solicitation(asker, target), OWN, gone6).unwrap();
        assert_eq!(answer[..14], [ASKER.as_slice(), &OWN.0, &[0x86, 0xdd]].concat());
        let icmp = &answer[54..];
        assert_eq!(icmp[..2], [136, 0]);
        assert_eq!(icmp[4], 0x60);
        assert_eq!(icmp[26..32], GONE.0);
        // With its checksum in it, the sum over all is zero.
        assert_eq!(checksum(target, asker, icmp), [0, 0]);
    }

    #[test]
    fn solicitations_from_nobody_from_afar_or_for_others_are_not_answered() {
        let (asker, target) = ("fd00::9".parse().unwrap(), "fd00::7".parse().unwrap());
        let none = |frame: &[u8]| assert_eq!(advertisement(frame, OWN, gone6), None);
        none(&solicitation(Ipv6Addr::UNSPECIFIED, target));
        none(&solicitation(asker, asker));
        let mut far = solicitation(asker, target);
        far[21] = 64;
        none(&far);
        let whole = solicitation(asker, target);
        (0..78).for_each(|n| none(&whole[..n]));
    }
}
