//! The steps of one service, from what is there to the wanted count of the wanted version.
//!
//! Invariant (tested as a property): at no step do fewer containers serve than the smaller of the wanted count
//! and what served before, unless `order: stop-first` was written.

use super::{Start, Step, situation::Situation};
use crate::{
    event::ContainerRef,
    model::{Service, settings::Order},
    observed::{Container, State},
};

/// What there is to work with.
pub struct Stock {
    fresh: Vec<ContainerRef>,
    /// Those of them whose healthcheck has not decided.
    booting: Vec<ContainerRef>,
    /// Running containers of the old generation, the first to go first.
    stale: Vec<ContainerRef>,
    /// Crash-looping: they go with the first batch.
    useless: Vec<ContainerRef>,
    down: Vec<ContainerRef>,
}

impl Stock {
    pub fn of(now: &Situation) -> Stock {
        // Booting ones and unhealthy ones may yet be needed, or serve in spite of it: they only go first.
        let (useless, mut stale): (Vec<_>, Vec<_>) =
            now.stale.iter().copied().partition(|c| c.state == State::Restarting);
        stale.sort_by_key(|c| c.serves());
        // A surplus is taken from the end: what serves nobody goes first, then the newest.
        let mut fresh = now.fresh.clone();
        fresh.sort_by_key(|c| !c.serves());
        let booting: Vec<_> = fresh.iter().copied().filter(|c| c.is_starting()).collect();
        let booting = refs(&booting);
        Stock {
            booting,
            fresh: refs(&fresh),
            stale: refs(&stale),
            useless: refs(&useless),
            down: refs(&now.down),
        }
    }
}

impl Stock {
    /// When what is stopped has been removed.
    pub fn cleared(self) -> Stock {
        Stock { down: vec![], ..self }
    }
}

pub fn refs(containers: &[&Container]) -> Vec<ContainerRef> {
    containers.iter().map(|c| c.reference()).collect()
}

/// Starts what is missing in batches, and after each gate stops as many old ones as can be spared.
pub fn rolling(service: &Service, stock: &Stock) -> Vec<Step> {
    let mut builder = Builder::new(service, stock);
    builder.clear();
    builder.pre_start();
    let batches = builder.batch_sizes();
    for (index, size) in batches.iter().enumerate() {
        builder.batch(index as u32 + 1, *size, index + 1 == batches.len());
    }
    builder.remove();
    builder.steps
}

/// Beside an old generation every new one that stays is looked at again before an old one goes for it; otherwise
/// only those that still boot.
fn unproven(wanted: usize, stock: &Stock) -> Vec<ContainerRef> {
    let rolls = !(stock.stale.is_empty() && stock.useless.is_empty());
    let open = |c: &&ContainerRef| rolls || stock.booting.contains(c);
    stock.fresh.iter().take(wanted).filter(open).cloned().collect()
}

struct Builder<'a> {
    service: &'a Service,
    wanted: usize,
    fresh: Vec<ContainerRef>,
    stale: Vec<ContainerRef>,
    useless: Vec<ContainerRef>,
    down: Vec<ContainerRef>,
    /// Stopped so far, to be removed at the end.
    retired: Vec<ContainerRef>,
    /// New ones so far.
    started: usize,
    /// New ones left by a broken-off rollout: nobody has vouched for them yet.
    unproven: Vec<ContainerRef>,
    steps: Vec<Step>,
}

impl<'a> Builder<'a> {
    fn new(service: &'a Service, stock: &Stock) -> Self {
        Builder {
            service,
            wanted: service.replicas as usize,
            fresh: stock.fresh.clone(),
            stale: stock.stale.clone(),
            useless: stock.useless.clone(),
            down: stock.down.clone(),
            retired: vec![],
            started: 0,
            unproven: unproven(service.replicas as usize, stock),
            steps: vec![],
        }
    }

    fn missing(&self) -> usize {
        self.wanted.saturating_sub(self.fresh.len())
    }

    /// Only Compose can start containers with injected files, and it would start the stopped ones with them.
    fn clear(&mut self) {
        if self.service.injected_files && !self.down.is_empty() && self.missing() > 0 {
            self.steps.push(Step::Clear { containers: std::mem::take(&mut self.down) });
        }
    }

    /// Compose runs `pre_start` itself only when it starts containers and no replica runs.
    fn pre_start(&mut self) {
        let by_compose = self.stale.is_empty() && self.useless.is_empty() && self.down.is_empty();
        let fresh_start = self.fresh.is_empty() && self.missing() > 0;
        if !self.service.hooks.pre_start.is_empty() && fresh_start && !by_compose {
            self.steps.push(Step::PreStart);
        }
    }

    /// One that keeps restarting does not run for Compose, which would run the hooks at the start once more.
    fn would_run_hooks_again(&self) -> bool {
        let hooked = self.steps.contains(&Step::PreStart) && !self.service.injected_files;
        hooked && self.started == 0 && self.stale.is_empty()
    }

    fn batch_sizes(&self) -> Vec<usize> {
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
        let surplus = self.fresh.len() > self.wanted || !self.stale.is_empty() || !self.useless.is_empty();
        if sizes.is_empty() && (surplus || !self.unproven.is_empty()) {
            sizes.push(0);
        }
        sizes
    }

    fn batch(&mut self, number: u32, size: usize, last: bool) {
        if number > 1 && !self.service.settings.delay.is_zero() {
            self.steps.push(Step::Delay { seconds: self.service.settings.delay.as_secs_f64() });
        }
        if self.service.settings.order == Order::StopFirst {
            self.gate_unproven(number);
            let going = if last { self.all_old() } else { self.make_room(size) };
            self.retire(number, going);
            self.start(number, size);
        } else {
            self.start(number, size);
            let going = if last { self.all_old() } else { self.spare() };
            self.settle(&going);
            self.retire(number, going);
        }
    }

    fn start(&mut self, batch: u32, count: usize) {
        if count > 0 {
            let stopped = self.down.len() + self.retired.len();
            let running = self.fresh.len() + self.stale.len() + self.useless.len() + self.started;
            let how =
                if stopped > 0 || self.would_run_hooks_again() { Start::CreateThenStart } else { Start::Up };
            let scale = (stopped + running + count) as u32;
            self.steps.push(Step::Start { batch, count: count as u32, scale, how });
            self.started += count;
        }
        let also = self.take_unproven();
        if count > 0 || !also.is_empty() {
            self.steps.push(Step::Gate { batch, also });
        }
    }

    /// Before old ones are stopped in their favour.
    fn gate_unproven(&mut self, batch: u32) {
        let also = self.take_unproven();
        if !also.is_empty() {
            self.steps.push(Step::Gate { batch, also });
        }
    }

    fn take_unproven(&mut self) -> Vec<ContainerRef> {
        std::mem::take(&mut self.unproven)
    }

    /// Old ones beyond what keeps the wanted count serving, and all that serve nobody.
    fn spare(&mut self) -> Vec<ContainerRef> {
        let serving = self.fresh.len() + self.started + self.stale.len();
        let spare = serving.saturating_sub(self.wanted).min(self.stale.len());
        let mut going = std::mem::take(&mut self.useless);
        going.extend(self.stale.drain(..spare));
        going
    }

    /// So many that no more than the wanted count run when so many more are started. Where a broken-off rollout has
    /// stopped some, there is room already, and those that still serve are all that serve.
    fn make_room(&mut self, size: usize) -> Vec<ContainerRef> {
        let running = self.fresh.len() + self.started + self.stale.len() + self.useless.len();
        let surplus = (running + size).saturating_sub(self.wanted);
        let mut going = std::mem::take(&mut self.useless);
        let more = surplus.saturating_sub(going.len()).min(self.stale.len());
        going.extend(self.stale.drain(..more));
        going
    }

    /// Everything of the old generation, and of the new what is beyond the wanted count, newest first.
    fn all_old(&mut self) -> Vec<ContainerRef> {
        let mut going = std::mem::take(&mut self.useless);
        going.append(&mut self.stale);
        while self.fresh.len() > self.wanted {
            going.extend(self.fresh.pop());
        }
        going
    }

    fn settle(&mut self, going: &[ContainerRef]) {
        let settle = self.service.settings.settle;
        let gated = matches!(self.steps.last(), Some(Step::Gate { .. }));
        if !going.is_empty() && !settle.is_zero() && gated {
            self.steps.push(Step::Settle { seconds: settle.as_secs_f64() });
        }
    }

    fn retire(&mut self, batch: u32, containers: Vec<ContainerRef>) {
        if containers.is_empty() {
            return;
        }
        self.retired.extend(containers.iter().cloned());
        self.steps.push(Step::Drain { batch, containers: containers.clone() });
        self.steps.push(Step::Stop { batch, containers });
    }

    fn remove(&mut self) {
        let mut containers = std::mem::take(&mut self.retired);
        containers.append(&mut self.down);
        if !containers.is_empty() {
            self.steps.push(Step::Remove { containers });
        }
    }
}
