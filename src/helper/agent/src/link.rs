//! Interfaces and their addresses, from the kernel's routing socket.

use crate::answer::{Result, Tried};
use crate::ip::address;
use crate::netlink::{Buffer, Socket, attribute};
use crate::protocol::Mac;
use crate::sys;
use std::io;
use std::net::{IpAddr, Ipv6Addr};

const IFLA_EXT_MASK: u16 = 29;
const SKIP_STATISTICS: u32 = 8;

pub struct Links(Socket);

/// An address of an interface.
pub struct Address {
    pub interface: u32,
    pub address: IpAddr,
}

impl Links {
    pub fn open() -> io::Result<Self> {
        Socket::open(libc::NETLINK_ROUTE).map(Self)
    }

    /// # Errors
    /// `ENODEV` when there is no interface of that name here.
    pub fn index(&self, name: &str) -> Result<u32> {
        sys::interface_index(name).tried("looking for the interface")
    }

    /// The interfaces that are ports of the bridge.
    pub fn ports(&mut self, bridge: u32) -> Result<Vec<u32>> {
        let mut ports = Vec::new();
        let body = |a: &mut Buffer| {
            a.bytes(libc::IFLA_MASTER, &bridge.to_ne_bytes());
            a.bytes(IFLA_EXT_MASK, &SKIP_STATISTICS.to_ne_bytes());
        };
        let dump = (libc::RTM_GETLINK, libc::NLM_F_DUMP);
        self.0
            .request(dump, &interface(0), body, |part| {
                // Kernels before 4.4 do not filter by the master.
                let of_bridge = attributes_of(part).and_then(|a| attribute(a, libc::IFLA_MASTER));
                if of_bridge == Some(&bridge.to_ne_bytes()) {
                    ports.extend(index_of(part));
                }
            })
            .tried("listing the ports of the bridge")?;
        Ok(ports)
    }

    pub fn mac(&mut self, index: u32) -> Result<Mac> {
        let mut mac = None;
        self.0
            .request(
                (libc::RTM_GETLINK, 0),
                &interface(index),
                |_| {},
                |part| {
                    let bytes = attributes_of(part).and_then(|a| attribute(a, libc::IFLA_ADDRESS));
                    mac = mac.or(bytes.and_then(|b| b.try_into().ok()).map(Mac));
                },
            )
            .tried("reading the MAC of the bridge")?;
        mac.ok_or(io::ErrorKind::NotFound.into()).tried("reading the MAC of the bridge")
    }

    /// An address of IPv6 that the interface has.
    pub fn ipv6(&mut self, index: u32) -> Result<Option<Ipv6Addr>> {
        let own = self.addresses()?.into_iter().filter(|a| a.interface == index);
        Ok(own.filter_map(|a| if let IpAddr::V6(address) = a.address { Some(address) } else { None }).next())
    }

    /// All addresses of this network namespace.
    pub fn addresses(&mut self) -> Result<Vec<Address>> {
        let mut all = Vec::new();
        // struct ifaddrmsg: family, prefix length, flags, scope, index
        self.0
            .request(
                (libc::RTM_GETADDR, libc::NLM_F_DUMP),
                &[0; 8],
                |_| {},
                |part| all.extend(one_address(part)),
            )
            .tried("listing addresses")?;
        Ok(all)
    }
}

fn one_address(part: &[u8]) -> Option<Address> {
    let attributes = part.get(8..)?;
    // On links to one peer only, the other one is the peer's.
    let bytes =
        attribute(attributes, libc::IFA_LOCAL).or_else(|| attribute(attributes, libc::IFA_ADDRESS))?;
    Some(Address { interface: index_of(part)?, address: address(bytes)? })
}

/// struct ifinfomsg: family, type, index, flags, change mask
fn interface(index: u32) -> Vec<u8> {
    [[0; 4], index.to_ne_bytes(), [0; 4], [0; 4]].concat()
}

/// Both structures have the index at the same place.
fn index_of(part: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(*part.get(4..)?.first_chunk()?))
}

fn attributes_of(part: &[u8]) -> Option<&[u8]> {
    part.get(16..)
}
