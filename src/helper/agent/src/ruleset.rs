//! Rule sets that the kernel forgets: each table has a gate, a set whose elements expire, and without which its rules
//! do nothing. A helper that is alive keeps the gate open. So when it is frozen, or killed on a kernel on which tables
//! do not end with their process, the rules still end.

use crate::ip::{BOTH, Ip};
use crate::nft::expr::{KEY, Meta, Rule};
use crate::nft::{Batch, Element, Family, Field, PREFIX, Set, Tables};
use std::collections::BTreeSet;
use std::io;
use std::time::Instant;

/// Rules act for so long after the last sign of life of their helper.
const OPEN_MS: u64 = 20_000;
const GATE: &str = "gate";
const FORGOTTEN_TOGETHER: usize = 100;

/// What is to be in tables of one name.
pub trait Ruleset: Default {
    /// Those in which there is to be a table.
    fn families(&self) -> BTreeSet<Family>;
    /// Sets, chains and the rules that never change. The table and its gate are there already.
    fn create(b: &mut Batch, family: Family);
    /// Makes the contents of the table those of this value, in the place of all that was filled in before.
    fn fill(&self, b: &mut Batch, family: Family);
}

/// The first rule of a base chain: nothing happens unless the gate is open.
pub fn gate(family: Family) -> Rule {
    Rule::new().meta(gated(family).0, KEY).missing(GATE, KEY).accept()
}

/// What the gate looks at, and what it lets in.
fn gated(family: Family) -> (Meta, &'static [Field], Vec<Element>) {
    match family {
        Family::Bridge => {
            let protocols = [libc::ETH_P_IP, libc::ETH_P_IPV6, libc::ETH_P_ARP];
            let elements = protocols.map(|p| Element::key((p as u16).to_be_bytes().to_vec()));
            (Meta::Protocol, &[Field::EtherType], elements.to_vec())
        }
        Family::Ip4 | Family::Ip6 => {
            let elements = [libc::IPPROTO_TCP, libc::IPPROTO_UDP].map(|p| Element::key(vec![p as u8]));
            (Meta::Transport, &[Field::Protocol], elements.to_vec())
        }
    }
}

fn create<R: Ruleset>(b: &mut Batch, family: Family, owner: bool) {
    b.table(family, owner);
    b.set(family, GATE, Set { timed: true, ..Set::fixed(gated(family).1, None) });
    R::create(b, family);
}

fn open(b: &mut Batch, family: Family) {
    b.fill(family, GATE, &gated(family).2, Some(OPEN_MS));
}

/// Whether the kernel would take the tables of a family. Changes nothing.
pub fn probe<R: Ruleset>(family: Family, owner: bool) -> io::Result<()> {
    probe_with(family, owner, &R::default())
}

/// Whether it would with these contents.
pub fn probe_with<R: Ruleset>(family: Family, owner: bool, rules: &R) -> io::Result<()> {
    Tables::open(table_name())?.check(|b| {
        create::<R>(b, family, owner);
        rules.fill(b, family);
        open(b, family);
    })
}

/// Whether tables can be owned (Linux 5.12). Changes nothing.
pub fn probe_owner() -> io::Result<()> {
    Tables::open(table_name())?.check(|b| b.table(Family::Ip4, true))
}

/// A rule set in the kernel. When somebody removes its tables, they are made again as soon as that is noticed, which is
/// at the next heartbeat at the latest; what packets had added to them is lost.
pub struct Kept<R> {
    tables: Tables,
    owner: bool,
    made: BTreeSet<Family>,
    /// How often somebody has removed the tables.
    lost: u32,
    pub rules: R,
}

impl<R: Ruleset> Kept<R> {
    pub fn open(owner: bool) -> io::Result<Self> {
        let tables = Tables::open(table_name())?;
        Ok(Self { tables, owner, made: BTreeSet::new(), lost: 0, rules: R::default() })
    }

    /// Replaces the rule set, in one transaction.
    pub fn install(&mut self, next: R) -> io::Result<()> {
        self.again_if_lost(|kept| kept.commit(&next))?;
        self.rules = next;
        Ok(())
    }

    fn commit(&mut self, next: &R) -> io::Result<()> {
        let missing: BTreeSet<Family> = next.families().difference(&self.made).copied().collect();
        let all: BTreeSet<Family> = self.made.union(&missing).copied().collect();
        let owner = self.owner;
        self.tables.commit(|b| {
            missing.iter().for_each(|family| create::<R>(b, *family, owner));
            all.iter().for_each(|family| next.fill(b, *family));
            all.iter().for_each(|family| open(b, *family));
        })?;
        self.made = all;
        Ok(())
    }

    /// Keeps the gates open.
    pub fn heartbeat(&mut self) -> io::Result<()> {
        self.again_if_lost(|kept| {
            kept.tables.commit(|b| kept.made.iter().for_each(|family| open(b, *family)))
        })
    }

    fn again_if_lost<T>(&mut self, run: impl Fn(&mut Self) -> io::Result<T>) -> io::Result<T> {
        match run(self) {
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => {
                self.lost += 1;
                self.remove_tables();
                let rules = std::mem::take(&mut self.rules);
                let restored = self.commit(&rules);
                self.rules = rules;
                restored.and_then(|()| run(self))
            }
            result => result,
        }
    }

    /// How often somebody has removed the tables since the last time.
    pub fn take_lost(&mut self) -> u32 {
        std::mem::take(&mut self.lost)
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.remove_tables();
        self.rules = R::default();
    }

    /// Each alone, as some may be missing. A failure does not matter: tables end with the process, or by their gate.
    fn remove_tables(&mut self) {
        for family in std::mem::take(&mut self.made) {
            let _ = self.tables.commit(|b| b.delete_table(family));
        }
    }

    pub fn has(&self, family: Family) -> bool {
        self.made.contains(&family)
    }

    /// Removes elements that packets have added, as many as there is time for. Where some have expired meanwhile the kernel
    /// removes none of those that are removed together, and takes 10 ms or more to say so.
    pub fn forget(&mut self, family: Family, set: &str, keys: &[Vec<u8>], end: Instant) {
        let mut left: Vec<_> = keys.chunks(FORGOTTEN_TOGETHER).collect();
        while let Some(some) = left.pop().filter(|_| Instant::now() < end) {
            let removed = self.tables.commit(|b| some.iter().for_each(|key| b.delete(family, set, key)));
            if removed.is_err() && some.len() > 1 {
                let (some, others) = some.split_at(some.len() / 2);
                left.extend([some, others]);
            }
        }
    }

    /// A set's elements; none when there is no such table.
    pub fn list(&mut self, family: Family, set: &str) -> io::Result<Vec<crate::nft::Listed>> {
        self.again_if_lost(|kept| match kept.has(family) {
            true => kept.tables.list(family, set),
            false => Ok(Vec::new()),
        })
    }
}

/// Removes the tables of helpers that were killed, on kernels on which they did not end with them. How many.
pub fn sweep() -> io::Result<usize> {
    let mut swept = BTreeSet::new();
    for family in [Family::Bridge, Family::Ip4, Family::Ip6] {
        // A family that the kernel lacks has no tables.
        let names = Tables::open(table_name())?.unowned(family).unwrap_or_default();
        for name in names {
            let mut tables = Tables::open(name)?;
            // A gate that is open belongs to a helper that is alive. Without a gate the table is not one of ours.
            if tables.list(family, GATE).is_ok_and(|gate| gate.is_empty()) {
                tables.commit(|b| b.delete_table(family))?;
                swept.insert(tables.name);
            }
        }
    }
    Ok(swept.len())
}

/// The IP version of a table's family.
pub fn version(family: Family) -> Option<Ip> {
    BOTH.into_iter().find(|ip| ip.family() == family)
}

/// One that no other helper has.
fn table_name() -> String {
    use std::hash::{BuildHasher, Hasher};
    // The standard library's hash keys are random.
    let random = std::hash::RandomState::new().build_hasher().finish();
    format!("{PREFIX}{random:016x}")
}
