//! The executor apart from any platform: who begins when, and what a fault in one service means for the others.

use std::time::{Duration, Instant};

use zdd::{
    engine::ContainerRef,
    event::{Event, Outcome, Sink},
    execute::{Findings, Journal, Mark, Perform, Performer, execute},
    plan::{Operation, ServicePlan},
    stage::{Halt, Stage},
    wait::Waiter,
};

use crate::make::planned;

/// A platform on which one service's thread panics.
struct Broken(&'static str);

struct Worker {
    panics: bool,
}

impl Perform for Broken {
    type Performer<'p> = Worker;

    fn performer<'p>(&'p self, plan: &'p ServicePlan, _stage: &'p Stage<'p>) -> Worker {
        Worker { panics: plan.service == self.0 }
    }
}

impl Performer for Worker {
    type Effect = ();

    fn perform(&mut self, _operation: &Operation, _journal: &mut Journal<()>) -> Result<(), Halt> {
        assert!(!self.panics, "a fault of ours");
        Ok(())
    }

    fn take_back(&mut self, _effect: (), _to: Mark) -> Result<(), String> {
        Ok(())
    }

    fn settle(&mut self, _effects: Vec<()>) -> Result<(), String> {
        Ok(())
    }

    fn pause(&mut self, _journal: &mut Journal<()>) {}

    fn check(&mut self, _journal: &Journal<()>) -> Result<(), Halt> {
        Ok(())
    }

    fn end(&mut self) {}

    fn serving(&self) -> Option<Vec<ContainerRef>> {
        Some(vec![])
    }

    fn left(&self, _journal: &Journal<()>) -> Vec<ContainerRef> {
        vec![]
    }

    fn findings(&self) -> Findings {
        Findings::default()
    }
}

struct Silence;

impl Sink for Silence {
    fn on(&self, _at: Duration, _event: &Event) {}
}

const CHAIN: &str = "services: {db: {image: db}, api: {image: api, depends_on: {db: {}}}}";

fn run(broken: &'static str) -> Vec<(String, Outcome)> {
    let waiter = Waiter::new(Default::default(), Default::default());
    let stage = Stage { waiter, sink: &Silence, began: Instant::now(), watch_alone: Duration::ZERO };
    let results = execute(&Broken(broken), &planned(CHAIN, &[]), &stage);
    results.into_iter().map(|result| (result.service, result.outcome)).collect()
}

#[test]
fn everybody_has_a_turn() {
    assert_eq!(run(""), [("db".to_owned(), Outcome::Done), ("api".to_owned(), Outcome::Done)]);
}

/// It must end, whatever happens, so that the lock is given back.
#[test]
#[should_panic = "a fault of ours"]
fn nobody_waits_for_a_thread_that_has_panicked() {
    run("db");
}
