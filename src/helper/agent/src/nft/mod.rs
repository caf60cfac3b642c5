//! nftables: batches of changes that the kernel makes all together or not at all.
//!
//! Numbers are from the kernel's `include/uapi/linux/netfilter/nf_tables.h`; `nft --debug=netlink` shows what the
//! reference implementation sends.

pub mod expr;

use crate::netlink::{Buffer, Socket, attribute, attributes};
use expr::Rule;
use std::io;

const SUBSYSTEM: u16 = (libc::NFNL_SUBSYS_NFTABLES as u16) << 8;
const NEW_TABLE: u16 = SUBSYSTEM;
const GET_TABLE: u16 = SUBSYSTEM | 1;
const DELETE_TABLE: u16 = SUBSYSTEM | 2;
const NEW_CHAIN: u16 = SUBSYSTEM | 3;
const GET_CHAIN: u16 = SUBSYSTEM | 4;
const NEW_RULE: u16 = SUBSYSTEM | 6;
const GET_RULE: u16 = SUBSYSTEM | 7;
const DELETE_RULE: u16 = SUBSYSTEM | 8;
const NEW_SET: u16 = SUBSYSTEM | 9;
const NEW_ELEMENTS: u16 = SUBSYSTEM | 12;
const GET_ELEMENTS: u16 = SUBSYSTEM | 13;
const DELETE_ELEMENTS: u16 = SUBSYSTEM | 14;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
/// A batch has fewer messages than this.
const MAX_MESSAGES: u32 = 1 << 20;
/// Elements in one message: an attribute is at most 64 KiB long, an element of ours at most 80 bytes.
const ELEMENTS_PER_MESSAGE: usize = 500;

const TABLE_OWNER: u32 = 2;

const SET_MAP: u32 = 0x08;
const SET_TIMEOUT: u32 = 0x10;
const SET_DYNAMIC: u32 = 0x20;

/// A family of tables.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Family {
    Ip4 = 2,
    Bridge = 7,
    Ip6 = 10,
}

/// Where a base chain hangs. Only these are used.
#[derive(Clone, Copy)]
pub struct Hook {
    pub kind: &'static str,
    pub number: u32,
    pub priority: i32,
}

pub const PREROUTING: u32 = 0;
pub const INPUT: u32 = 1;
pub const OUTPUT: u32 = 3;

/// A part of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Ip4,
    Ip6,
    Mac,
    Port,
    EtherType,
    Protocol,
    Interface,
}

impl Field {
    /// The number of its type for `nft list`, which the kernel only keeps, and its length in bytes.
    fn encoding(self) -> (u32, u32) {
        match self {
            Field::Ip4 => (7, 4),
            Field::Ip6 => (8, 16),
            Field::Mac => (9, 6),
            Field::EtherType => (10, 2),
            Field::Protocol => (12, 1),
            Field::Port => (13, 2),
            Field::Interface => (20, 4),
        }
    }
}

/// Type and length of a concatenation: six bits for each type, and each part in registers of its own.
fn concatenation(fields: &[Field]) -> (u32, u32) {
    match fields {
        [one] => one.encoding(),
        many => many.iter().map(|f| f.encoding()).fold((0, 0), |(types, length), (one, bytes)| {
            (types << 6 | one, length + bytes.next_multiple_of(4))
        }),
    }
}

/// A set or, with `data`, a map.
#[derive(Clone, Copy)]
pub struct Set {
    pub key: &'static [Field],
    pub data: Option<Field>,
    /// Filled by packets, with elements that expire after so many milliseconds.
    pub dynamic: Option<u64>,
    /// Elements may have a time-out of their own.
    pub timed: bool,
    /// The most elements it takes; 0 is no limit.
    pub size: u32,
}

impl Set {
    /// One that only requests fill.
    pub const fn fixed(key: &'static [Field], data: Option<Field>) -> Self {
        Self { key, data, dynamic: None, timed: false, size: 0 }
    }

    /// One that packets fill, at most to `size`, with elements that last for `ms` milliseconds.
    pub const fn dynamic(key: &'static [Field], data: Option<Field>, ms: u64, size: u32) -> Self {
        Self { key, data, dynamic: Some(ms), timed: true, size }
    }
}

/// An element: key, and data when it is that of a map.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Element {
    pub key: Vec<u8>,
    pub data: Option<Vec<u8>>,
}

impl Element {
    pub fn key(key: Vec<u8>) -> Self {
        Self { key, data: None }
    }

    pub fn pair(key: Vec<u8>, data: Vec<u8>) -> Self {
        Self { key, data: Some(data) }
    }
}

/// An element as the kernel lists it.
#[derive(Debug)]
pub struct Listed {
    pub key: Vec<u8>,
    /// That of a map.
    pub data: Vec<u8>,
    /// Packets counted, 0 where nothing counts.
    pub packets: u64,
}

/// The changes of one transaction, to tables of one name.
pub struct Batch<'a> {
    table: &'a str,
    buffer: Buffer,
    sequence: u32,
    last: usize,
}

impl Batch<'_> {
    fn add(&mut self, family: Family, kind: u16, flags: i32, body: impl FnOnce(&mut Buffer)) {
        self.sequence += 1;
        self.last = self.buffer.len();
        self.buffer.message(kind, flags, self.sequence, &[family as u8, 0, 0, 0], body);
    }

    /// With `owner` nobody but the socket that makes the table can change it, and it ends with the socket (Linux 5.12).
    pub fn table(&mut self, family: Family, owner: bool) {
        let table = self.table;
        self.add(family, NEW_TABLE, libc::NLM_F_CREATE | libc::NLM_F_EXCL, |a| {
            a.text(1, table).number(2, if owner { TABLE_OWNER } else { 0 });
        });
    }

    pub fn delete_table(&mut self, family: Family) {
        let table = self.table;
        self.add(family, DELETE_TABLE, 0, |a| {
            a.text(1, table);
        });
    }

    pub fn chain(&mut self, family: Family, name: &str, hook: Option<Hook>) {
        let table = self.table;
        self.add(family, NEW_CHAIN, libc::NLM_F_CREATE, |a| {
            a.text(1, table).text(3, name);
            if let Some(Hook { kind, number, priority }) = hook {
                a.nest(4, |h| {
                    h.number(1, number).number(2, priority as u32);
                });
                a.text(7, kind);
            }
        });
    }

    pub fn rule(&mut self, family: Family, chain: &str, rule: &Rule) {
        let table = self.table;
        self.add(family, NEW_RULE, libc::NLM_F_CREATE | libc::NLM_F_APPEND, |a| {
            a.text(1, table).text(2, chain).nest(4, |e| {
                e.append(&rule.0);
            });
        });
    }

    /// Deletes all rules of a chain.
    pub fn flush_chain(&mut self, family: Family, chain: &str) {
        let table = self.table;
        self.add(family, DELETE_RULE, 0, |a| {
            a.text(1, table).text(2, chain);
        });
    }

    pub fn set(&mut self, family: Family, name: &str, set: Set) {
        let (table, id) = (self.table, self.sequence);
        let (kind, length) = concatenation(set.key);
        let mut flags = 0;
        flags |= if set.data.is_some() { SET_MAP } else { 0 };
        flags |= if set.timed || set.dynamic.is_some() { SET_TIMEOUT } else { 0 };
        flags |= if set.dynamic.is_some() { SET_DYNAMIC } else { 0 };
        self.add(family, NEW_SET, libc::NLM_F_CREATE, |a| {
            a.text(1, table).text(2, name).number(3, flags).number(4, kind).number(5, length).number(10, id);
            if let Some((kind, length)) = set.data.map(Field::encoding) {
                a.number(6, kind).number(7, length);
            }
            if set.size > 0 {
                a.nest(9, |d| {
                    d.number(1, set.size);
                });
            }
            if let Some(ms) = set.dynamic {
                a.bytes(11, &ms.to_be_bytes());
            }
        });
    }

    /// Replaces what is in a set. `timeout`, in milliseconds, is that of the elements; before Linux 6.12 an element
    /// that is added once more keeps the time-out it had, so renewing is replacing.
    pub fn fill(&mut self, family: Family, set: &str, elements: &[Element], timeout: Option<u64>) {
        let table = self.table;
        self.add(family, DELETE_ELEMENTS, 0, |a| {
            a.text(1, table).text(2, set);
        });
        self.insert(family, set, elements, timeout);
    }

    pub fn delete(&mut self, family: Family, set: &str, key: &[u8]) {
        let table = self.table;
        self.add(family, DELETE_ELEMENTS, 0, |a| {
            a.text(1, table).text(2, set).nest(3, |list| element(list, &Element::key(key.to_vec()), None));
        });
    }

    pub fn insert(&mut self, family: Family, set: &str, elements: &[Element], timeout: Option<u64>) {
        let table = self.table;
        for some in elements.chunks(ELEMENTS_PER_MESSAGE) {
            self.add(family, NEW_ELEMENTS, libc::NLM_F_CREATE, |a| {
                a.text(1, table).text(2, set).nest(3, |list| {
                    some.iter().for_each(|one| element(list, one, timeout));
                });
            });
        }
    }
}

fn element(list: &mut Buffer, Element { key, data }: &Element, timeout: Option<u64>) {
    list.nest(1, |e| {
        e.nest(1, |k| {
            k.bytes(1, key);
        });
        if let Some(data) = data {
            e.nest(2, |d| {
                d.bytes(1, data);
            });
        }
        if let Some(ms) = timeout {
            e.bytes(4, &ms.to_be_bytes());
        }
    });
}

/// Our tables: one name, in several families, owned by this socket where the kernel can.
pub struct Tables {
    socket: Socket,
    pub name: String,
}

/// Table names of ours begin with this.
pub const PREFIX: &str = "zdd-";

impl Tables {
    pub fn open(name: String) -> io::Result<Self> {
        Ok(Self { socket: Socket::open(libc::NETLINK_NETFILTER)?, name })
    }

    /// Makes all changes that `fill` adds, or none.
    pub fn commit(&mut self, fill: impl FnOnce(&mut Batch)) -> io::Result<()> {
        self.send(true, fill)
    }

    /// Whether the kernel would make the changes; makes none. A batch without an end is checked and given up.
    pub fn check(&mut self, fill: impl FnOnce(&mut Batch)) -> io::Result<()> {
        self.send(false, fill)
    }

    fn send(&mut self, commit: bool, fill: impl FnOnce(&mut Batch)) -> io::Result<()> {
        let first = self.socket.reserve(MAX_MESSAGES);
        let mut b = Batch { table: &self.name, buffer: Buffer::default(), sequence: first, last: 0 };
        let subsystem = [0, 0, 0, libc::NFNL_SUBSYS_NFTABLES as u8];
        b.buffer.message(BATCH_BEGIN, 0, first, &subsystem, |_| {});
        fill(&mut b);
        let (mut buffer, last) = (b.buffer, b.sequence);
        if last == first {
            return Ok(());
        }
        // An error is reported in any case. Acknowledging each of hundreds would overrun the receive buffer.
        buffer.acknowledge(b.last);
        if commit {
            buffer.message(BATCH_END, 0, last + 1, &subsystem, |_| {});
        }
        self.socket.call(&buffer, first, last, |_| {})
    }

    /// The elements of a set that have not expired.
    pub fn list(&mut self, family: Family, set: &str) -> io::Result<Vec<Listed>> {
        let mut all = Vec::new();
        let head = [family as u8, 0, 0, 0];
        let body = |a: &mut Buffer| {
            a.text(1, &self.name).text(2, set);
        };
        self.socket.request((GET_ELEMENTS, libc::NLM_F_DUMP), &head, body, |part| {
            let list = part.get(4..).and_then(|b| attribute(b, 3)).unwrap_or_default();
            all.extend(attributes(list).filter_map(|(_, e)| listed(e)));
        })?;
        Ok(all)
    }

    /// The names of all tables of a family that begin with ours and that no process owns.
    pub fn unowned(&mut self, family: Family) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        let head = [family as u8, 0, 0, 0];
        self.socket.request(
            (GET_TABLE, libc::NLM_F_DUMP),
            &head,
            |_| {},
            |part| {
                let body = part.get(4..).unwrap_or_default();
                let flags =
                    attribute(body, 2).and_then(|v| v.first_chunk()).map_or(0, |v| u32::from_be_bytes(*v));
                let name =
                    attribute(body, 1).map(|v| String::from_utf8_lossy(v).trim_end_matches('\0').to_owned());
                names.extend(name.filter(|n| flags & TABLE_OWNER == 0 && n.starts_with(PREFIX)));
            },
        )?;
        Ok(names)
    }
}

/// Whether a base chain at this hook drops what no rule of it accepts, whoever made it.
pub fn drops_by_policy(family: Family, hook: u32) -> io::Result<bool> {
    let mut drops = false;
    let mut socket = Socket::open(libc::NETLINK_NETFILTER)?;
    let number = |value: &[u8]| value.first_chunk().map(|v| u32::from_be_bytes(*v));
    socket.request(
        (GET_CHAIN, libc::NLM_F_DUMP),
        &[family as u8, 0, 0, 0],
        |_| {},
        |part| {
            let body = part.get(4..).unwrap_or_default();
            let at = attribute(body, 4).and_then(|hook| attribute(hook, 1)).and_then(number);
            // NF_DROP
            drops |= at == Some(hook) && attribute(body, 5).and_then(number) == Some(0);
        },
    )?;
    Ok(drops)
}

/// Whether a chain has a rule that does anything but return; none that is not there does.
pub fn decides(family: Family, table: &str, chain: &str) -> io::Result<bool> {
    let mut decides = false;
    let mut socket = Socket::open(libc::NETLINK_NETFILTER)?;
    let named = |a: &mut Buffer| {
        a.text(1, table).text(2, chain);
    };
    let result = socket.request((GET_RULE, libc::NLM_F_DUMP), &[family as u8, 0, 0, 0], named, |part| {
        let rule = attribute(part.get(4..).unwrap_or_default(), 4).unwrap_or_default();
        decides |= attributes(rule).any(|(_, expression)| !only_returns(expression));
    });
    match result {
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        result => result.map(|()| decides),
    }
}

/// A counter, or the verdict to return.
fn only_returns(expression: &[u8]) -> bool {
    /// `NFT_RETURN`
    const RETURN: i32 = -5;
    let name = attribute(expression, 1).unwrap_or_default();
    let verdict = || {
        let data = attribute(attribute(attribute(expression, 2)?, 2)?, 2)?;
        attribute(data, 1)?.first_chunk().map(|code| i32::from_be_bytes(*code))
    };
    name.starts_with(b"counter") || name.starts_with(b"immediate") && verdict() == Some(RETURN)
}

fn listed(element: &[u8]) -> Option<Listed> {
    let key = attribute(attribute(element, 1)?, 1)?.to_vec();
    let data = attribute(element, 2).and_then(|data| attribute(data, 1)).unwrap_or_default().to_vec();
    Some(Listed { key, data, packets: packets(element).unwrap_or(0) })
}

/// The counter of an element, which is an expression.
fn packets(element: &[u8]) -> Option<u64> {
    let counter = attribute(attribute(element, 7)?, 2)?;
    Some(u64::from_be_bytes(*attribute(counter, 2)?.first_chunk()?))
}
