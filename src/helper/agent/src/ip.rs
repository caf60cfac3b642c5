//! What differs between IPv4 and IPv6 where rules are concerned.

use crate::nft::expr::{Base, KEY, Rule};
use crate::nft::{Family, Field};
use crate::protocol::Subnet;
use std::net::IpAddr;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Ip {
    V4,
    V6,
}

/// In bytes. Each part of a key has registers of its own.
const REGISTER: usize = 4;

pub const BOTH: [Ip; 2] = [Ip::V4, Ip::V6];

impl Ip {
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Ip::V4 } else { Ip::V6 }
    }

    pub fn family(self) -> Family {
        match self {
            Ip::V4 => Family::Ip4,
            Ip::V6 => Family::Ip6,
        }
    }

    pub fn field(self) -> Field {
        match self {
            Ip::V4 => Field::Ip4,
            Ip::V6 => Field::Ip6,
        }
    }

    /// The EtherType.
    pub fn protocol(self) -> i32 {
        match self {
            Ip::V4 => libc::ETH_P_IP,
            Ip::V6 => libc::ETH_P_IPV6,
        }
    }

    /// The name of a set or chain, of which there is one for each.
    pub fn name(self, base: &str) -> String {
        format!("{base}{}", if self == Ip::V4 { 4 } else { 6 })
    }

    /// The length of an address in bytes.
    pub fn length(self) -> u32 {
        match self {
            Ip::V4 => 4,
            Ip::V6 => 16,
        }
    }

    /// The registers that an address takes.
    pub fn registers(self) -> u32 {
        self.length() / 4
    }

    pub fn source(self, rule: Rule, register: u32) -> Rule {
        let offset = match self {
            Ip::V4 => 12,
            Ip::V6 => 8,
        };
        rule.load(Base::Network, offset, self.length(), register)
    }

    pub fn destination(self, rule: Rule, register: u32) -> Rule {
        let offset = match self {
            Ip::V4 => 16,
            Ip::V6 => 24,
        };
        rule.load(Base::Network, offset, self.length(), register)
    }

    /// The addresses and ports of a flow into the registers from `KEY`, from a packet of the client.
    pub fn flow(self, rule: Rule) -> Rule {
        let n = self.registers();
        let rule = self.source(rule, KEY).load(Base::Transport, 0, 2, KEY + n);
        self.destination(rule, KEY + n + 1).load(Base::Transport, 2, 2, KEY + 2 * n + 1)
    }

    /// The same from a packet of the server.
    pub fn flow_back(self, rule: Rule) -> Rule {
        let n = self.registers();
        let rule = self.destination(rule, KEY).load(Base::Transport, 2, 2, KEY + n);
        self.source(rule, KEY + n + 1).load(Base::Transport, 0, 2, KEY + 2 * n + 1)
    }

    /// The address that was asked for, from the key of a flow.
    pub fn asked(self, flow: &[u8]) -> Option<IpAddr> {
        let to = (self.registers() as usize + 1) * REGISTER;
        flow.get(to..to + self.length() as usize).and_then(address)
    }

    /// The fields of a flow.
    pub fn flow_fields(self) -> &'static [Field] {
        match self {
            Ip::V4 => &[Field::Ip4, Field::Port, Field::Ip4, Field::Port],
            Ip::V6 => &[Field::Ip6, Field::Port, Field::Ip6, Field::Port],
        }
    }

    /// The destination is in the subnet. Uses the registers from `register`.
    pub fn destined_to(self, rule: Rule, register: u32, subnet: Subnet) -> Rule {
        let mask = mask(subnet.length, self.length());
        let network: Vec<u8> = octets(subnet.address).iter().zip(&mask).map(|(a, m)| a & m).collect();
        self.destination(rule, register).mask(register, &mask).equal(register, &network)
    }
}

pub fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    }
}

/// An address of 4 or 16 bytes.
pub fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

fn mask(length: u8, bytes: u32) -> Vec<u8> {
    let ones = |byte: u32| u32::from(length).saturating_sub(byte * 8).min(8);
    (0..bytes).map(|byte| !(0xff_u32 >> ones(byte)) as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks() {
        assert_eq!(mask(24, 4), [255, 255, 255, 0]);
        assert_eq!(mask(20, 4), [255, 255, 240, 0]);
        assert_eq!(mask(0, 4), [0; 4]);
        assert_eq!(mask(32, 4), [255; 4]);
        assert_eq!(mask(65, 16)[7..10], [255, 128, 0]);
    }

    #[test]
    fn addresses_survive_the_way_there_and_back() {
        for a in ["172.18.0.3", "fd00::3"] {
            let a: IpAddr = a.parse().unwrap();
            assert_eq!(address(&octets(a)), Some(a));
        }
        assert_eq!(address(&[1, 2, 3]), None);
    }
}
