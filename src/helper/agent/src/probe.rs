//! What this kernel can do for us. Nothing is changed to find out: batches are checked and given up.

use crate::agent::Role;
use crate::answer::code;
use crate::container::{Closed, Taken};
use crate::diag::Diag;
use crate::host::State;
use crate::ip::Ip;
use crate::nft::Family;
use crate::protocol::Ports;
use crate::relay::Held;
use crate::ruleset::{Ruleset, probe, probe_owner, probe_with};
use crate::sys;
use std::collections::BTreeMap;
use std::io;

pub struct Abilities {
    /// Tables end with the process.
    pub owner: bool,
    /// ` NAME=ok` or ` NAME=ERROR` for each.
    pub text: String,
}

/// Without `may_own` as on a kernel before Linux 5.12.
pub fn abilities(role: Role, may_own: bool) -> Abilities {
    let owner = if may_own { probe_owner() } else { Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP)) };
    let owned = owner.is_ok();
    let mut all = match role {
        Role::Host => host(owned),
        Role::Container => container(owned),
    };
    all.push(("owner", owner));
    let word = |(name, result): &(&str, io::Result<()>)| match result {
        Ok(()) => format!(" {name}=ok"),
        Err(e) => format!(" {name}={}", code(e)),
    };
    Abilities { owner: owned, text: all.iter().map(word).collect() }
}

type Ability = (&'static str, io::Result<()>);

fn host(owner: bool) -> Vec<Ability> {
    let mut all = vec![("bridge", probe::<State>(Family::Bridge, owner)), packet()];
    all.extend(nat::<State>(owner));
    all
}

fn container(owner: bool) -> Vec<Ability> {
    let mut all = vec![("destroy", Diag::open().and_then(|mut diag| diag.probe())), packet()];
    all.push(("close", probe::<Closed>(Family::Ip4, owner)));
    all.extend(nat::<Taken>(owner));
    all
}

fn packet() -> Ability {
    ("packet", sys::socket(libc::AF_PACKET, libc::SOCK_RAW, 0).map(drop))
}

fn nat<R: Ruleset>(owner: bool) -> [Ability; 3] {
    let of = |family| probe::<R>(family, owner);
    [("nat4", of(Family::Ip4)), ("nat6", of(Family::Ip6)), ("hold", hold(owner))]
}

/// The same kernel has it for both IP versions or for none.
fn hold(owner: bool) -> io::Result<()> {
    let relay = BTreeMap::from([(Ip::V4, 1)]);
    let ports = || vec![Ports { on: None, first: 1, last: 1, target: 1 }];
    let held = Held { relay, tcp: ports(), udp: ports(), redirects: true, drops: true, ..Held::default() };
    probe_with(Family::Ip4, owner, &held)
}
