//! The operations of one service, from what is there to the wanted count of the wanted version.
//!
//! Invariant (tested as a property): at no point do fewer containers serve than the smaller of the wanted count
//! and what served before, unless `order: stop-first` was written.

use std::mem::take;

use super::situation::Situation;
use crate::{
    engine::{Container, Replica, State},
    plan::{Heir, Operation, Start, What},
    project::{Order, Service},
};

/// What there is to work with.
pub struct Stock {
    pub current: Vec<Replica>,
    /// Running containers of the old generation, the first to go first.
    outdated: Vec<Replica>,
    /// Crash-looping: they go with the first batch.
    useless: Vec<Replica>,
    down: Vec<Replica>,
}

impl Stock {
    pub fn of(now: &Situation) -> Stock {
        // Booting ones and unhealthy ones may yet be needed, or serve in spite of it: they only go first.
        let (useless, mut outdated): (Vec<_>, Vec<_>) =
            now.outdated.iter().copied().partition(|c| c.state == State::Restarting);
        outdated.sort_by_key(|c| c.serves());
        // A surplus is taken from the end: what serves nobody goes first, then the newest.
        let mut current = now.current.clone();
        current.sort_by_key(|c| !c.serves());
        Stock {
            current: replicas(&current),
            outdated: replicas(&outdated),
            useless: replicas(&useless),
            down: replicas(&now.down),
        }
    }

    /// When what is stopped has been removed.
    pub fn cleared(self) -> Stock {
        Stock { down: vec![], ..self }
    }

    fn rolls(&self) -> bool {
        !(self.outdated.is_empty() && self.useless.is_empty())
    }
}

pub fn replicas(containers: &[&Container]) -> Vec<Replica> {
    containers.iter().map(|c| Replica::from(*c)).collect()
}

/// Starts what is missing in batches, and after each gate stops as many old ones as can be spared. `reason` is why the
/// service changes.
pub fn rolling(service: &Service, stock: Stock, reason: &str) -> Vec<Operation> {
    let mut builder = Builder::new(service, stock, reason);
    builder.clear();
    builder.pre_start();
    let batches = builder.batch_sizes();
    for (index, size) in batches.iter().enumerate() {
        builder.batch = index as u32 + 1;
        builder.replace(*size, index + 1 == batches.len());
    }
    builder.batch = 0;
    builder.remove();
    builder.operations
}

pub struct Builder<'a> {
    service: &'a Service,
    pub reason: &'a str,
    wanted: usize,
    pub stock: Stock,
    /// Stopped so far, to be removed at the end.
    retired: Vec<Replica>,
    /// New ones so far.
    started: usize,
    /// New ones left by an interrupted rollout: no gate of this one has let them pass yet.
    unproven: Vec<Replica>,
    /// The batch that is being planned.
    pub batch: u32,
    pub operations: Vec<Operation>,
}

impl<'a> Builder<'a> {
    pub fn new(service: &'a Service, stock: Stock, reason: &'a str) -> Self {
        let wanted = service.replicas as usize;
        // Beside an old generation every new one that stays is looked at again before an old one goes for it;
        // otherwise only those that still boot.
        let open = |c: &&Replica| stock.rolls() || c.is_starting();
        let unproven = stock.current.iter().take(wanted).filter(open).cloned().collect();
        let (retired, operations) = (vec![], vec![]);
        Builder { service, reason, wanted, stock, retired, started: 0, unproven, batch: 0, operations }
    }

    pub fn push(&mut self, what: What, cause: impl Into<String>) {
        self.operations.push(Operation { batch: self.batch, what, cause: cause.into() });
    }

    fn missing(&self) -> usize {
        self.wanted.saturating_sub(self.stock.current.len())
    }

    /// New ones and old ones that run.
    fn running(&self) -> usize {
        let Stock { current, outdated, useless, .. } = &self.stock;
        current.len() + outdated.len() + useless.len() + self.started
    }

    /// Only Compose can start containers with injected files, and it would start the stopped ones with them.
    pub fn clear(&mut self) {
        if self.service.injected_files && !self.stock.down.is_empty() && self.missing() > 0 {
            let containers = take(&mut self.stock.down);
            self.push(What::Clear { containers }, "Compose would start them with the new ones");
        }
    }

    /// Compose runs `pre_start` itself only when it starts containers and no replica runs.
    pub fn pre_start(&mut self) {
        let by_compose = !self.stock.rolls() && self.stock.down.is_empty();
        let first_start = self.stock.current.is_empty() && self.missing() > 0;
        if !self.service.hooks.pre_start.is_empty() && first_start && !by_compose {
            self.push(What::PreStart, "Compose does not run them beside containers that are there");
        }
    }

    /// One that keeps restarting does not run for Compose, which would run the hooks at the start once more.
    fn would_run_hooks_again(&self) -> bool {
        let hooked = self.operations.iter().any(|op| op.what == What::PreStart);
        hooked && !self.service.injected_files && self.started == 0 && self.stock.outdated.is_empty()
    }

    pub fn batch_sizes(&self) -> Vec<usize> {
        let missing = self.missing();
        let limit = match self.service.settings.parallelism as usize {
            0 => missing,
            _ if self.service.injected_files => missing,
            n => n,
        };
        let mut sizes = Vec::new();
        let mut left = missing;
        while left > 0 {
            sizes.push(left.min(limit));
            left -= left.min(limit);
        }
        let surplus = self.stock.current.len() > self.wanted || self.stock.rolls();
        if sizes.is_empty() && (surplus || !self.unproven.is_empty()) {
            sizes.push(0);
        }
        sizes
    }

    /// One batch: so many new ones start, and what they replace stops.
    fn replace(&mut self, size: usize, last: bool) {
        self.delay();
        if self.service.settings.order == Order::StopFirst {
            // Before old ones are stopped in their favor.
            self.gate(0);
            let going = if last { self.all_old() } else { self.make_room(size) };
            self.retire(going, 0);
            self.start(size);
        } else {
            self.start(size);
            let going = if last { self.all_old() } else { self.spare() };
            self.settle(&going);
            self.retire(going, size);
        }
    }

    pub fn delay(&mut self) {
        let delay = self.service.settings.delay;
        if self.batch > 1 && !delay.is_zero() {
            self.push(What::Delay { seconds: delay.as_secs_f64() }, "delay between two batches");
        }
    }

    /// All containers of the service that there are, running or not, and so many more.
    pub fn scale(&self, more: usize) -> u32 {
        (self.stock.down.len() + self.retired.len() + self.running() + more) as u32
    }

    pub fn start_created(&mut self, count: usize) {
        if count > 0 {
            let (scale, how) = (self.scale(0), Start::Created);
            self.push(What::Start { count: count as u32, scale, how }, "the old one has ended");
            self.started += count;
        }
        self.gate(count);
    }

    fn start(&mut self, count: usize) {
        if count > 0 {
            let beside_stopped =
                self.stock.down.len() + self.retired.len() > 0 || self.would_run_hooks_again();
            let how = if beside_stopped { Start::CreateThenStart } else { Start::Up };
            let scale = self.scale(count);
            self.push(What::Start { count: count as u32, scale, how }, self.reason);
            self.started += count;
        }
        self.gate(count);
    }

    pub fn gate(&mut self, count: usize) {
        let also = take(&mut self.unproven);
        let cause = match (count, also.is_empty()) {
            (0, true) => return,
            (0, false) => "started before, and not known to serve",
            _ => "nobody is sent to a container that is not ready",
        };
        self.push(What::Gate { also }, cause);
    }

    /// Old ones beyond what keeps the wanted count serving, and all that serve nobody.
    fn spare(&mut self) -> Vec<Replica> {
        let serving = self.stock.current.len() + self.started + self.stock.outdated.len();
        let spare = serving.saturating_sub(self.wanted).min(self.stock.outdated.len());
        let mut going = take(&mut self.stock.useless);
        going.extend(self.stock.outdated.drain(..spare));
        going
    }

    /// So many that no more than the wanted count run when so many more are started. Where an interrupted rollout has
    /// stopped some, there is room already, and those that still serve are all that serve.
    pub fn make_room(&mut self, size: usize) -> Vec<Replica> {
        let surplus = (self.running() + size).saturating_sub(self.wanted);
        let mut going = take(&mut self.stock.useless);
        let more = surplus.saturating_sub(going.len()).min(self.stock.outdated.len());
        going.extend(self.stock.outdated.drain(..more));
        going
    }

    /// Everything of the old generation, and of the new what is beyond the wanted count, newest first.
    pub fn all_old(&mut self) -> Vec<Replica> {
        let mut going = take(&mut self.stock.useless);
        going.append(&mut self.stock.outdated);
        while self.stock.current.len() > self.wanted {
            going.extend(self.stock.current.pop());
        }
        going
    }

    fn settle(&mut self, going: &[Replica]) {
        let settle = self.service.settings.settle;
        let gated = matches!(self.operations.last(), Some(Operation { what: What::Gate { .. }, .. }));
        if !going.is_empty() && !settle.is_zero() && gated {
            self.push(What::Settle { seconds: settle.as_secs_f64() }, "settle");
        }
    }

    /// `started`: how many new ones this batch has started.
    pub fn retire(&mut self, containers: Vec<Replica>, started: usize) {
        if containers.is_empty() {
            return;
        }
        let cause = if self.missing() > 0 { "replaced" } else { "more than are wanted" };
        self.retired.extend(containers.iter().cloned());
        let heirs = self.heirs(started).into_iter().cycle().take(containers.len()).collect();
        self.push(What::Drain { containers: containers.clone(), heirs }, cause);
        self.push(What::Stop { containers }, cause);
    }

    /// Those that stay, the ones that this batch has started first: nobody else's connections go to them yet. Old ones
    /// only where there is no other.
    fn heirs(&self, started: usize) -> Vec<Heir> {
        let before = self.started - started;
        let new = (before..self.started).chain(0..before).map(|at| Heir::New(at as u32 + 1));
        let kept = |replicas: &[Replica]| replicas.iter().cloned().map(Heir::Kept).collect::<Vec<_>>();
        let heirs: Vec<_> = new.chain(kept(&self.stock.current)).collect();
        if heirs.is_empty() { kept(&self.stock.outdated) } else { heirs }
    }

    pub fn remove(&mut self) {
        let mut containers = take(&mut self.retired);
        containers.append(&mut self.stock.down);
        if !containers.is_empty() {
            self.push(What::Remove { containers }, "stopped, and not needed any more");
        }
    }
}
