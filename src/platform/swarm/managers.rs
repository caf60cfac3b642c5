//! The managers of a swarm: what one of them does not answer, another one may.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use crate::{
    engine::{
        CallError, Docker,
        swarm::{Kept, KeptKind, NewKept},
    },
    keep::{Mark, Marks},
    wait::{Ended, Heed, Look, Waiter},
};

/// A swarm whose leader is lost has a new one within 10 seconds, and answers in full after 20 (tried: 28.5).
const UNTIL_ONE_ANSWERS: Duration = Duration::from_secs(60);
const TRY_AGAIN: Duration = Duration::from_millis(500);
/// A config must hold something.
const NOTHING: &[u8] = b"-";

pub struct Managers {
    all: Vec<Docker>,
    /// The one that answered last.
    at: AtomicUsize,
    /// One of them has answered: it is not the user's mistake when none does.
    known: AtomicBool,
    waiter: Waiter,
}

impl Managers {
    /// The engine that docker itself would ask, and these contexts.
    pub fn new(docker: &Docker, contexts: &[String], waiter: &Waiter) -> Managers {
        let first = docker.of_swarm();
        let others = contexts.iter().filter(|name| docker.context() != Some(name));
        let others: Vec<_> = others.map(|name| first.with_context(name)).collect();
        Managers {
            all: std::iter::once(first).chain(others).collect(),
            at: AtomicUsize::new(0),
            known: AtomicBool::new(false),
            waiter: waiter.clone(),
        }
    }

    /// From now on a manager that does not answer is waited for.
    pub fn are_known(&self) {
        self.known.store(true, Ordering::SeqCst);
    }

    /// The one that answered last.
    pub fn current(&self) -> &Docker {
        &self.all[self.at.load(Ordering::SeqCst) % self.all.len()]
    }

    /// The others than the one that answered last.
    pub fn others(&self) -> impl Iterator<Item = &Docker> {
        let at = self.at.load(Ordering::SeqCst) % self.all.len();
        self.all.iter().enumerate().filter(move |(one, _)| *one != at).map(|(_, docker)| docker)
    }

    pub fn count(&self) -> usize {
        self.all.len()
    }

    pub fn next(&self) {
        self.at.fetch_add(1, Ordering::SeqCst);
    }

    /// Asks one manager after the other until one answers.
    ///
    /// # Errors
    /// The answer is an error, or nobody answers for a minute; before one of them has answered at all, each is asked once.
    pub fn read<T>(&self, call: impl Fn(&Docker) -> Result<T, CallError>) -> Result<T, CallError> {
        let mut asked = 0;
        let mut last = None;
        let limit = self.known.load(Ordering::SeqCst).then_some(UNTIL_ONE_ANSWERS);
        let ended = self.waiter.until(limit, Heed::Urgent, || match call(self.current()) {
            Err(error) if error.is_lost_contact() => {
                self.next();
                asked += 1;
                let round = asked % self.all.len() == 0;
                last = Some(error.clone());
                match round && limit.is_none() {
                    true => Err(error),
                    false => Ok(Look::Again(if round { TRY_AGAIN } else { Duration::ZERO })),
                }
            }
            answer => answer.map(Look::Done),
        })?;
        match (ended, last) {
            (Ended::Done(answer), _) => Ok(answer),
            (_, Some(error)) => Err(error),
            // It was the user who did not wait any longer.
            (_, None) => call(self.current()),
        }
    }

    /// Makes a call that changes something: once, and after a lost answer only where it has not come through.
    ///
    /// # Errors
    /// As [`Managers::read`].
    pub fn write(
        &self,
        call: impl Fn(&Docker) -> Result<(), CallError>,
        is_done: impl Fn(&Docker) -> Result<bool, CallError>,
    ) -> Result<(), CallError> {
        let mut last = None;
        let ended =
            self.waiter.until(Some(UNTIL_ONE_ANSWERS), Heed::Urgent, || match call(self.current()) {
                Err(error) if error.is_lost_contact() => {
                    self.next();
                    last = Some(error);
                    Ok(if self.read(&is_done)? { Look::Done(()) } else { Look::Again(TRY_AGAIN) })
                }
                answer => answer.map(Look::Done),
            })?;
        match (ended, last) {
            (Ended::Done(()), _) | (_, None) => Ok(()),
            (_, Some(error)) => Err(error),
        }
    }
}

/// Configs whose data says nothing: raft knows one of a name, whichever manager is asked.
impl Marks for Managers {
    fn make(&self, name: &str, labels: &[String]) -> Result<(), CallError> {
        let new = NewKept::config(name, labels, NOTHING);
        self.read(|docker| docker.create_kept(&new)).map(drop)
    }

    fn find(&self, name: &str, at_the_end: bool) -> Result<Option<Mark>, CallError> {
        let mark = |kept: Kept| Mark { id: kept.id, labels: kept.labels };
        let find = |docker: &Docker| docker.kept(KeptKind::Config, name, at_the_end);
        Ok(self.read(find)?.map(mark))
    }

    fn remove(&self, ids: &[&str], at_the_end: bool) -> Result<(), CallError> {
        self.read(|docker| docker.remove_kept(KeptKind::Config, ids, at_the_end))
    }

    fn by_hand(&self, name: &str) -> String {
        format!("docker config rm {name}")
    }

    fn name(&self, plain: &str) -> String {
        super::names::fitting(plain)
    }
}
