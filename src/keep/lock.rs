//! One rollout a project at a time, kept where the project runs: a thing with labels whose first creator wins.
//!
//! Its labels are written once, by the call that creates it; creating it again changes nothing. So whoever finds its own
//! mark on it has the lock, also through `--context` and from other machines. On one engine it is a volume (20.10, tried
//! with eight at once), in a swarm a config (20.10 and 28.5, tried with ten at once on three managers).

use std::{collections::BTreeMap, rc::Rc, time::Duration};

use super::owner::{Holder, Owner, Process};
use crate::{
    engine::{CallError, Docker, Problem},
    exit::{Exit, Stop},
    wait::{Ended, Heed, Look, Waiter},
};

const RETRY: Duration = Duration::from_millis(500);
/// From the end of a process's files to its own.
const DIES_WITHIN: Duration = Duration::from_secs(2);
/// So often another run may release its lock between our creating the volume and looking at it.
const ATTEMPTS: usize = 10;

/// Where locks are kept.
pub trait Marks {
    /// Makes one with these labels; one of this name that is there already stays as it is.
    ///
    /// # Errors
    /// It may have been made all the same.
    fn make(&self, name: &str, labels: &[String]) -> Result<(), CallError>;

    /// `at_the_end`: also after a second interrupt has ended everything else.
    fn find(&self, name: &str, at_the_end: bool) -> Result<Option<Mark>, CallError>;

    /// What those of these names that are there are removed by.
    fn ids(&self, names: &[&str]) -> Result<Vec<String>, CallError> {
        let id = |name: &&str| Ok(self.find(name, false)?.map(|found| found.id));
        names.iter().filter_map(|name| id(name).transpose()).collect()
    }

    /// Removes those that are there, all by one call.
    fn remove(&self, ids: &[&str], at_the_end: bool) -> Result<(), CallError>;

    /// How a person removes it.
    fn by_hand(&self, name: &str) -> String;

    /// The name that one of this name has here.
    fn name(&self, plain: &str) -> String;
}

/// What is written down once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// By which it is removed: where it is not the name, one that took the name since then stays.
    pub id: String,
    pub labels: BTreeMap<String, String>,
}

impl Marks for Docker {
    fn make(&self, name: &str, labels: &[String]) -> Result<(), CallError> {
        self.create_volume(name, labels)
    }

    fn find(&self, name: &str, at_the_end: bool) -> Result<Option<Mark>, CallError> {
        let labels = self.volume_labels(name, at_the_end)?;
        Ok(labels.map(|labels| Mark { id: name.to_owned(), labels }))
    }

    fn ids(&self, names: &[&str]) -> Result<Vec<String>, CallError> {
        Ok(names.iter().map(|name| (*name).to_owned()).collect())
    }

    fn remove(&self, ids: &[&str], at_the_end: bool) -> Result<(), CallError> {
        self.remove_volumes(ids, at_the_end)
    }

    fn by_hand(&self, name: &str) -> String {
        format!("docker volume rm {name}")
    }

    fn name(&self, plain: &str) -> String {
        plain.to_owned()
    }
}

/// A lock that this run holds, or may hold; released when it is dropped.
pub struct Lock<'a> {
    engine: Engine<'a>,
    name: String,
    mark: String,
    /// It is known not to be on the engine, or to be another run's.
    forgotten: bool,
    /// Another run had it first: what was read before may be minutes old.
    pub was_waited_for: bool,
}

/// The engine that the lock is on, and what is needed to talk with it and of it.
#[derive(Clone)]
pub struct Engine<'a> {
    pub marks: &'a dyn Marks,
    pub waiter: Waiter,
    /// Hears what the user must know of.
    pub warn: Rc<dyn Fn(String)>,
}

impl Engine<'_> {
    fn remove(&self, plain: &[&str]) -> Result<(), CallError> {
        let names: Vec<_> = plain.iter().map(|name| self.marks.name(name)).collect();
        let ids = self.marks.ids(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
        self.marks.remove(&ids.iter().map(String::as_str).collect::<Vec<_>>(), false)
    }
}

impl Lock<'_> {
    fn forget(mut self) {
        self.forgotten = true;
    }

    fn release(&self) -> Result<(), CallError> {
        // Somebody may have broken the lock and hold it now.
        let mine = |found: &Mark| Owner::from_labels(&found.labels).mark == self.mark;
        match self.engine.marks.find(&self.name, true)?.filter(mine) {
            Some(found) => self.engine.marks.remove(&[&found.id], true),
            None => Ok(()),
        }
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        if self.forgotten {
            return;
        }
        let hangs = |error: &CallError| matches!(error.problem, Problem::Deadline(_));
        if let Err(error) = self.engine.waiter.again(|| self.release(), hangs) {
            let remove = self.engine.marks.by_hand(&self.name);
            (self.engine.warn)(format!(
                "the lock may stay on the engine: {error}; if the next run finds it held, run \"{remove}\", or add --break-lock"
            ));
        }
    }
}

/// How insistent the user is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Insistence {
    /// Wait this long for another run to end.
    pub wait: Duration,
    /// Take the lock whoever holds it.
    pub by_force: bool,
}

/// Takes the project's lock.
///
/// # Errors
/// Exit 5 while another run holds it; the message names the owner. Exit 1 when the engine does not answer.
pub fn acquire<'a>(engine: &Engine<'a>, project: &str, insistence: Insistence) -> Result<Lock<'a>, Stop> {
    let here = Owner::here();
    let name = name(project);
    if insistence.by_force {
        engine.remove(&[&name, &claim_of(&name)])?;
    }
    let mut rival = None;
    let ended = engine.waiter.until(Some(insistence.wait), Heed::Interrupt, || {
        Ok::<_, CallError>(match take(engine, &name, &here)? {
            Ok(lock) => Look::Done(lock),
            Err(owner) => {
                rival = Some(owner);
                Look::Again(RETRY)
            }
        })
    })?;
    match (ended, rival) {
        (Ended::Done(lock), rival) => Ok(with(lock, rival.is_some())),
        (Ended::Deadline, Some(owner)) => Err(held(project, &owner)),
        _ => Err(Stop::interrupted()),
    }
}

fn with(mut lock: Lock<'_>, was_waited_for: bool) -> Lock<'_> {
    lock.was_waited_for = was_waited_for;
    lock
}

/// What the lock is called.
pub fn name(project: &str) -> String {
    format!("zdd-lock-{project}")
}

/// The right to remove a lock whose owner is dead. No project has a name with a dot.
fn claim_of(name: &str) -> String {
    format!("{name}.claim")
}

/// Who holds the project's lock, found out without taking it.
///
/// # Errors
/// The engine does not answer.
pub fn holder(marks: &dyn Marks, project: &str) -> Result<Option<Holder>, CallError> {
    let found = marks.find(&marks.name(&name(project)), false)?;
    Ok(found.map(|found| Owner::from_labels(&found.labels).as_holder(&Owner::here(), Process::look_up)))
}

/// Whether the lock is, or was left by, this process of this machine.
///
/// # Errors
/// The engine does not answer.
pub fn is_of(marks: &dyn Marks, project: &str, pid: u32) -> Result<bool, CallError> {
    let found = marks.find(&marks.name(&name(project)), false)?;
    Ok(found.is_some_and(|found| Owner::from_labels(&found.labels).pid == pid))
}

/// Takes the lock of a process of this machine that was killed. `None` where another run has it by now, or nobody.
///
/// # Errors
/// The engine does not answer.
pub fn inherit<'a>(engine: &Engine<'a>, project: &str, pid: u32) -> Result<Option<Lock<'a>>, Stop> {
    if !is_of(engine.marks, project, pid)? {
        return Ok(None);
    }
    let insistence = Insistence { wait: DIES_WITHIN, by_force: false };
    match acquire(engine, project, insistence) {
        Err(stop) if stop.exit == Exit::Locked => Ok(None),
        lock => lock.map(Some),
    }
}

/// Tries once; the owner when it is somebody else.
fn take<'a>(engine: &Engine<'a>, plain: &str, here: &Owner) -> Result<Result<Lock<'a>, Owner>, CallError> {
    let name = engine.marks.name(plain);
    for _ in 0..ATTEMPTS {
        let created = engine.marks.make(&name, &here.labels());
        // From here on it may be there, also after a call that was cut off: whatever fails, it must not stay.
        let was_not_made =
            |error: &CallError| matches!(error.problem, Problem::Failed { .. } | Problem::NotStarted(_));
        let lock = Lock {
            engine: engine.clone(),
            name: name.clone(),
            mark: here.mark.clone(),
            forgotten: created.as_ref().is_err_and(was_not_made),
            was_waited_for: false,
        };
        created?;
        let Some(found) = engine.marks.find(&name, false)? else {
            lock.forget();
            continue;
        };
        let owner = Owner::from_labels(&found.labels);
        if owner.mark == here.mark {
            return Ok(Ok(lock));
        }
        lock.forget();
        if !owner.is_dead(here, Process::look_up) {
            return Ok(Err(owner));
        }
        if let Err(rival) = remove_lock_of_the_dead(engine, plain, here, &owner)? {
            return Ok(Err(rival));
        }
        return take(engine, plain, here);
    }
    let problem = Problem::Garbage("it was created but is not there, again and again".to_owned());
    Err(CallError { call: format!("the lock {name}"), problem })
}

/// Two runs may find the same dead owner; only the one that gets the claim may remove its lock, or it
/// could remove the lock that the other has taken meanwhile.
fn remove_lock_of_the_dead(
    engine: &Engine,
    plain: &str,
    here: &Owner,
    dead: &Owner,
) -> Result<Result<(), Owner>, CallError> {
    let claim = match take(engine, &claim_of(plain), here)? {
        Ok(claim) => claim,
        Err(rival) => return Ok(Err(rival)),
    };
    let now = engine.marks.find(&engine.marks.name(plain), false)?;
    if now.is_some_and(|now| Owner::from_labels(&now.labels) == *dead) {
        // Once that lock is gone the claim to it is worth nothing. Both go by one call, so that a run that is
        // killed leaves either the lock, by which the next one finds the claim of the dead, or neither.
        engine.remove(&[plain, &claim_of(plain)])?;
        claim.forget();
    }
    Ok(Ok(()))
}

fn held(project: &str, owner: &Owner) -> Stop {
    Stop::new(Exit::Locked, format!("project {project} is being updated by {owner}; nothing was touched"))
        .hint("--wait-lock SECONDS waits for it; if you know it is dead, --break-lock takes over")
}
