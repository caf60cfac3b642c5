//! What is handed over from some containers to others, from the first steered connection until nobody asks for them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use super::{END_QUIET, lookup::Lookups};
use crate::{
    engine::{ContainerRef, Network, Replica, references},
    helper::{
        Help,
        protocol::{Clause, Mac, Pair, Request},
    },
    proxy::{Lease, Scene},
    stage::Halt,
    wait::{Ended, Heed, Look},
};

/// How often it is counted who asks for an address.
const COUNT_AGAIN: Duration = Duration::from_millis(100);
/// Nobody asks for an address any more when nobody has for so long, and for three times as long as it took between two
/// connections before.
const QUIET: Duration = Duration::from_secs(1);
/// One heir is asked to let connections go for so long at a time: those that are idle go after a second.
const END_FOR: Duration = Duration::from_millis(1200);
const A_MOMENT: Duration = Duration::from_millis(10);
const LONGEST_QUIET: Duration = Duration::from_secs(10);
/// Caddy looks names up once a minute unless it is told otherwise.
const ASKED_AT_MOST: Duration = Duration::from_secs(90);

pub struct HandedOver {
    heirs: Vec<ContainerRef>,
    /// ID of one that leaves → what goes where.
    pairs: BTreeMap<String, Vec<Pair>>,
    /// Of those, the ones that had ended before.
    ended: BTreeSet<String>,
    networks: Vec<Network>,
    began: Instant,
    /// Connections to the addresses before.
    before: u64,
    /// Its heir lets connections wait, so who asks for the addresses goes on to be answered there.
    is_held: bool,
}

impl HandedOver {
    pub fn new(heirs: &[Replica], scene: &Scene) -> HandedOver {
        let began = scene.waiter.clock.now();
        let (pairs, ended, networks) = Default::default();
        HandedOver { heirs: references(heirs), pairs, ended, networks, began, before: 0, is_held: false }
    }

    /// To one that lets connections wait.
    pub fn held(scene: &Scene) -> HandedOver {
        HandedOver { is_held: true, ..HandedOver::new(&[], scene) }
    }

    /// Addresses of which nobody answers for any more.
    pub fn add_dead(&mut self, pairs: Vec<Pair>) {
        for pair in pairs {
            let key = pair.from.address.to_string();
            self.ended.insert(key.clone());
            self.pairs.entry(key).or_default().push(pair);
        }
    }

    pub fn add(&mut self, replica: &Replica, pairs: Vec<Pair>) {
        if !pairs.is_empty() {
            self.pairs.insert(replica.id.clone(), pairs);
        }
    }

    /// One that has ended, unless it has not.
    pub fn add_ended(&mut self, replica: &Replica, pairs: Vec<Pair>) {
        if !pairs.is_empty() && !self.pairs.contains_key(&replica.id) {
            self.ended.insert(replica.id.clone());
            self.pairs.insert(replica.id.clone(), pairs);
        }
    }

    /// New connections go to the heirs. These reach the old ones themselves, as members of a cluster must.
    pub fn steer(&mut self, networks: &[Network], scene: &Scene) -> Vec<Clause> {
        self.networks = networks.to_vec();
        self.before = self.asked(scene).unwrap_or(0);
        let steered = self.pairs.iter().flat_map(|(id, pairs)| {
            let clause = if self.ended.contains(id) { Clause::Switch } else { Clause::Steer };
            pairs.iter().cloned().map(clause)
        });
        self.macs().into_iter().map(Clause::Exempt).chain(steered).collect()
    }

    fn macs(&self) -> BTreeSet<Mac> {
        self.pairs.values().flatten().map(|pair| pair.to.mac).collect()
    }

    fn addresses(&self) -> BTreeSet<IpAddr> {
        self.pairs.values().flatten().map(|pair| pair.from.address).collect()
    }

    /// Connections to the addresses so far, where a helper says it.
    fn asked(&self, scene: &Scene) -> Option<u64> {
        let (addresses, asked) = (self.addresses(), scene.help?.asked().ok()?);
        let ours = asked.iter().filter(|((to, _), _)| addresses.contains(to));
        Some(ours.map(|(_, number)| number).sum())
    }

    fn change(&self, clauses: Vec<Clause>, scene: &Scene) {
        if let Some(help) = scene.help.filter(|_| !clauses.is_empty())
            && let Err(trouble) = help.on_host(&Request::Change(clauses))
        {
            scene.reporter.warn(&format!("connections are not handed over any more: {trouble}"));
        }
    }

    fn await_quiet(&self, scene: &Scene) -> Result<(), Halt> {
        let Some(help) = scene.help else { return Ok(()) };
        let clock = || scene.waiter.clock.now();
        let mut lookups = Lookups::new(&self.networks, self.addresses(), clock());
        let mut asks = Asks { number: self.asked(scene).unwrap_or(self.before), last: clock() };
        let turns = scene.waiter.apart();
        let calls = turns.apart();
        let ended = turns.until(Some(ASKED_AT_MOST), Heed::Urgent, || {
            let mut is_known = false;
            let mut count = || is_known = asks.count(self.asked(scene), clock());
            lookups.tell(scene, &mut |call| calls.meanwhile(COUNT_AGAIN, call, &mut count));
            let parted = calls.meanwhile(COUNT_AGAIN, || all_have_parted(&self.heirs, help), count);
            let time = asks.last.saturating_duration_since(self.began);
            let quiet = quiet_after(asks.number.saturating_sub(self.before), time);
            let left = quiet.saturating_sub(clock().saturating_duration_since(asks.last));
            Ok::<_, Halt>(if left.is_zero() && is_known && parted && lookups.is_over() {
                Look::Done(())
            } else {
                Look::Again(left.clamp(A_MOMENT, COUNT_AGAIN))
            })
        })?;
        lookups.leave(scene);
        match ended {
            Ended::Deadline => lookups.fail(scene),
            _ => Ok(()),
        }
    }
}

/// Connections to the addresses.
struct Asks {
    number: u64,
    /// When the last one was counted.
    last: Instant,
}

impl Asks {
    /// Whether the number is known.
    fn count(&mut self, number: Option<u64>, now: Instant) -> bool {
        if let Some(number) = number.filter(|number| *number != self.number) {
            (self.number, self.last) = (number, now);
        }
        number.is_some()
    }
}

/// Connections that were begun with an old address go on only as long as they are steered, so proxies are asked to close
/// them as well. Whether there are none.
fn all_have_parted(heirs: &[ContainerRef], help: &dyn Help) -> bool {
    thread::scope(|scope| {
        let asked: Vec<_> = heirs.iter().map(|heir| scope.spawn(|| has_parted(heir, help))).collect();
        let parted: Vec<_> = asked.into_iter().map(|heir| heir.join().unwrap_or(false)).collect();
        parted.into_iter().all(|parted| parted)
    })
}

fn has_parted(heir: &ContainerRef, help: &dyn Help) -> bool {
    let taken = help.inside(heir, &Request::Taken).ok().and_then(|taken| taken.number("connections"));
    let none = taken.is_none_or(|number| number == 0);
    if !none {
        let _ = help.inside(heir, &Request::Part { quiet: END_QUIET, limit: END_FOR });
    }
    none
}

/// How long nobody must have asked, after so many connections in so long a time.
fn quiet_after(number: u64, time: Duration) -> Duration {
    let between = time / u32::try_from(number).unwrap_or(u32::MAX).max(1);
    if number == 0 { QUIET } else { (between * 3).clamp(QUIET, LONGEST_QUIET) }
}

impl Lease for HandedOver {
    fn ended(&mut self, replica: &Replica, scene: &Scene) {
        let pairs = self.pairs.get(&replica.id).into_iter().flatten().cloned();
        self.change(pairs.map(Clause::Switch).collect(), scene);
        scene.help.into_iter().for_each(|help| help.leave(&replica.reference()));
    }

    fn stopped(&mut self, scene: &Scene) -> Result<(), Halt> {
        if self.pairs.is_empty() || self.is_held {
            return Ok(());
        }
        // What they still send to the old addresses is for themselves now.
        self.change(self.macs().into_iter().map(Clause::Include).collect(), scene);
        self.await_quiet(scene)
    }

    fn give_back(self: Box<Self>, gone: bool, scene: &Scene) {
        if gone && self.is_held {
            return;
        }
        // Where the old ones go on, what the heirs have begun with is theirs.
        let clause = if gone { Clause::Release } else { Clause::Finish };
        let included = self.macs().into_iter().map(Clause::Include);
        self.change(self.addresses().into_iter().map(clause).chain(included).collect(), scene);
        // A new helper does not go on asking their clients to close their connections.
        scene.help.into_iter().for_each(|help| self.heirs.iter().for_each(|heir| help.leave(heir)));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;
    use crate::helper::{Answer, Asked, StandIn, Trouble};

    /// Each heir has a connection, and parts with it when all of them are asked to.
    struct Together(Barrier);

    impl Help for Together {
        fn inside(&self, _: &ContainerRef, request: &Request) -> Result<Answer, Trouble> {
            if let Request::Part { .. } = request {
                self.0.wait();
            }
            Answer::parse("ok connections=1")
        }
        fn on_host(&self, _: &Request) -> Result<Answer, Trouble> {
            unreachable!("it is for the heirs")
        }
        fn asked(&self) -> Result<Asked, Trouble> {
            unreachable!("it is for the heirs")
        }
        fn stand_in(&self, _: &StandIn, _: &dyn Fn(&str)) -> Result<ContainerRef, Trouble> {
            unreachable!("it is for the heirs")
        }
        fn prepare(&self, _: &ContainerRef) {}
        fn leave(&self, _: &ContainerRef) {}
        fn dismiss(&self, _: &ContainerRef) {}
    }

    #[test]
    fn heirs_do_not_wait_for_each_other() {
        let heirs = ["a", "b", "c"].map(|id| ContainerRef { id: id.to_owned(), name: id.to_owned() });
        assert!(!all_have_parted(&heirs, &Together(Barrier::new(heirs.len()))));
    }

    #[test]
    fn who_does_not_answer_has_counted_nothing() {
        let (began, later) = (Instant::now(), Instant::now() + QUIET);
        let mut asks = Asks { number: 3, last: began };
        assert_eq!([asks.count(None, later), asks.count(Some(3), later)], [false, true]);
        assert_eq!((asks.number, asks.last), (3, began));
        assert!(asks.count(Some(4), later));
        assert_eq!((asks.number, asks.last), (4, later));
    }

    #[test]
    fn it_takes_longer_to_be_sure_where_connections_are_rare() {
        let seconds = Duration::from_secs;
        assert_eq!(quiet_after(0, seconds(60)), QUIET);
        assert_eq!(quiet_after(1000, seconds(2)), QUIET);
        assert_eq!(quiet_after(4, seconds(8)), seconds(6));
        assert_eq!(quiet_after(1, seconds(8)), LONGEST_QUIET);
    }
}
