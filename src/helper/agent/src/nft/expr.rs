//! The expressions that rules are made of. A rule is matched from left to right; the first expression that does not
//! match ends it.
//!
//! Registers hold 4 bytes each. A value begins at one and takes as many as it needs; a concatenation is values in
//! registers that follow each other. Which number means what: 8 is the first (`NFT_REG32_00`), 0 the verdict.

use crate::netlink::Buffer;

/// Flags of TCP.
pub const SYN: u8 = 0x02;
pub const ACK: u8 = 0x10;

/// A register for keys; there are 12 up to `DATA`.
pub const KEY: u32 = 8;
/// A register for what a map answers.
pub const DATA: u32 = 20;
const VERDICT: u32 = 0;

/// The part of a packet that an offset counts from.
#[derive(Clone, Copy)]
pub enum Base {
    Link = 0,
    Network = 1,
    Transport = 2,
}

/// What `meta` reads.
#[derive(Clone, Copy)]
pub enum Meta {
    /// The EtherType, in network order.
    Protocol = 1,
    /// The index of the interface it came by, in host order.
    Input = 4,
    /// TCP, UDP, …, found behind options and extension headers.
    Transport = 16,
}

/// A packet's entry into a dynamic set or map.
#[derive(Clone, Copy, Default)]
pub struct Entry<'a> {
    pub set: &'a str,
    /// The entry is for a map, whose data is in `DATA`.
    pub data: bool,
    /// Milliseconds; none: that of the set.
    pub timeout: Option<u64>,
    /// The element counts its packets.
    pub count: bool,
}

#[derive(Default)]
pub struct Rule(pub(super) Buffer);

impl Rule {
    pub fn new() -> Self {
        Self::default()
    }

    fn with(mut self, name: &str, data: impl FnOnce(&mut Buffer)) -> Self {
        self.0.nest(1, |x| {
            x.text(1, name).nest(2, data);
        });
        self
    }

    pub fn meta(self, what: Meta, register: u32) -> Self {
        self.with("meta", |d| {
            d.number(1, register).number(2, what as u32);
        })
    }

    /// Loads `length` bytes of the packet.
    pub fn load(self, base: Base, offset: u32, length: u32, register: u32) -> Self {
        self.with("payload", |d| {
            d.number(1, register).number(2, base as u32).number(3, offset).number(4, length);
        })
    }

    /// These of TCP's flags, in the key.
    pub fn tcp_flags(self, mask: u8) -> Self {
        const FLAGS: u32 = 13;
        self.load(Base::Transport, FLAGS, 1, KEY).mask(KEY, &[mask])
    }

    /// Writes `length` bytes of a register into the packet.
    pub fn store(self, base: Base, offset: u32, length: u32, register: u32) -> Self {
        self.with("payload", |d| {
            d.number(2, base as u32).number(3, offset).number(4, length).number(5, register);
        })
    }

    /// Lets a program decide over the packet, by the target of iptables: not every kernel has an expression for it. When
    /// no program listens, the packet goes on.
    pub fn queue(self, number: u16) -> Self {
        // struct xt_NFQ_info_v3: the first queue, their number, NFQ_FLAG_BYPASS; padded.
        let info = [number, 1, 1, 0].map(u16::to_ne_bytes).concat();
        self.with("target", |d| {
            d.text(1, "NFQUEUE").number(2, 3).bytes(3, &info);
        })
    }

    /// Puts a constant into a register.
    pub fn put(self, register: u32, value: &[u8]) -> Self {
        self.with("immediate", |d| {
            d.number(1, register).nest(2, |n| {
                n.bytes(1, value);
            });
        })
    }

    pub fn equal(self, register: u32, value: &[u8]) -> Self {
        self.compare(register, 0, value)
    }

    pub fn unequal(self, register: u32, value: &[u8]) -> Self {
        self.compare(register, 1, value)
    }

    /// More than a number in network order.
    pub fn above(self, register: u32, value: &[u8]) -> Self {
        self.compare(register, 4, value)
    }

    /// Within two numbers in network order, inclusive.
    pub fn within(self, register: u32, first: &[u8], last: &[u8]) -> Self {
        self.compare(register, 5, first).compare(register, 3, last)
    }

    fn compare(self, register: u32, operation: u32, value: &[u8]) -> Self {
        self.with("cmp", |d| {
            d.number(1, register).number(2, operation).nest(3, |n| {
                n.bytes(1, value);
            });
        })
    }

    pub fn mask(self, register: u32, mask: &[u8]) -> Self {
        self.with("bitwise", |d| {
            d.number(1, register).number(2, register).number(3, mask.len() as u32);
            d.nest(4, |n| {
                n.bytes(1, mask);
            });
            d.nest(5, |n| {
                n.bytes(1, &vec![0; mask.len()]);
            });
        })
    }

    /// The key in the register is in the set.
    pub fn found(self, set: &str, register: u32) -> Self {
        self.with("lookup", |d| {
            d.text(1, set).number(2, register);
        })
    }

    pub fn missing(self, set: &str, register: u32) -> Self {
        self.with("lookup", |d| {
            d.text(1, set).number(2, register).number(5, 1);
        })
    }

    /// The key in `KEY` is in the map; its data comes into `DATA`.
    pub fn map(self, map: &str) -> Self {
        self.with("lookup", |d| {
            d.text(1, map).number(2, KEY).number(3, DATA);
        })
    }

    /// Adds the key in `KEY`, or renews the time-out of the element that is there; a map's data stays what it was then.
    /// Does not match when the set is full.
    pub fn update(self, entry: Entry) -> Self {
        const UPDATE: u32 = 1;
        self.with("dynset", |d| {
            d.text(1, entry.set).number(3, UPDATE).number(4, KEY);
            if entry.data {
                d.number(5, DATA);
            }
            if let Some(ms) = entry.timeout {
                d.bytes(6, &ms.to_be_bytes());
            }
            if entry.count {
                d.nest(7, |x| {
                    x.text(1, "counter").nest(2, |_| {});
                });
            }
        })
    }

    /// The type of the destination address according to the routing table, in host order (`RTN_LOCAL`, …).
    pub fn destination_type(self, register: u32) -> Self {
        const ADDRESS_TYPE: u32 = 3;
        const DESTINATION: u32 = 2;
        self.with("fib", |d| {
            d.number(1, register).number(2, ADDRESS_TYPE).number(3, DESTINATION);
        })
    }

    /// Delivers the connection to the address in a register.
    pub fn dnat(self, family: super::Family, register: u32) -> Self {
        const DESTINATION: u32 = 1;
        self.with("nat", |d| {
            d.number(1, DESTINATION).number(2, family as u32).number(3, register);
        })
    }

    /// Delivers the connection to this machine, to the port in a register.
    pub fn redirect(self, register: u32) -> Self {
        self.with("redir", |d| {
            d.number(1, register);
        })
    }

    pub fn drop(self) -> Self {
        self.verdict(0, None)
    }

    /// Ends the table's base chain; tables of others see the packet.
    pub fn accept(self) -> Self {
        self.verdict(1, None)
    }

    pub fn jump(self, chain: &str) -> Self {
        self.verdict(-3, Some(chain))
    }

    /// Ends this chain.
    pub fn leave(self) -> Self {
        self.verdict(-5, None)
    }

    fn verdict(self, code: i32, chain: Option<&str>) -> Self {
        self.with("immediate", |d| {
            d.number(1, VERDICT).nest(2, |n| {
                n.nest(2, |v| {
                    v.number(1, code as u32);
                    if let Some(chain) = chain {
                        v.text(2, chain);
                    }
                });
            });
        })
    }
}
