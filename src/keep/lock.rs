//! One rollout a project at a time, kept on the engine: a volume whose first creator wins.
//!
//! A volume's labels are written once, by the call that creates it; creating it again changes nothing and
//! succeeds (Engine 20.10, tried with eight at once). So whoever finds its own mark on the volume has the
//! lock, also through `--context` and from other machines.

use std::{rc::Rc, time::Duration};

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

/// A lock that this run holds, or may hold; released when it is dropped.
pub struct Lock<'a> {
    engine: Engine<'a>,
    volume: String,
    mark: String,
    /// It is known not to be on the engine, or to be another run's.
    forgotten: bool,
    /// Another run had it first: what was read before may be minutes old.
    pub was_waited_for: bool,
}

/// The engine that the lock is on, and what is needed to talk with it and of it.
#[derive(Clone)]
pub struct Engine<'a> {
    pub docker: &'a Docker,
    pub waiter: Waiter,
    /// Hears what the user must know of.
    pub warn: Rc<dyn Fn(String)>,
}

impl Lock<'_> {
    fn forget(mut self) {
        self.forgotten = true;
    }

    fn release(&self) -> Result<(), CallError> {
        let labels = self.engine.docker.volume_labels(&self.volume, true)?;
        // Somebody may have broken the lock and hold it now.
        if labels.is_some_and(|labels| Owner::from_labels(&labels).mark == self.mark) {
            self.engine.docker.remove_volumes(&[&self.volume], true)?;
        }
        Ok(())
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        if self.forgotten {
            return;
        }
        let hangs = |error: &CallError| matches!(error.problem, Problem::Deadline(_));
        if let Err(error) = self.engine.waiter.again(|| self.release(), hangs) {
            let name = &self.volume;
            (self.engine.warn)(format!(
                "the lock may stay on the engine: {error}; if the next run finds it held, run \"docker volume rm {name}\", or add --break-lock"
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
    let volume = volume(project);
    if insistence.by_force {
        engine.docker.remove_volumes(&[&volume, &claim_of(&volume)], false)?;
    }
    let mut rival = None;
    let ended = engine.waiter.until(Some(insistence.wait), Heed::Interrupt, || {
        Ok::<_, CallError>(match take(engine, &volume, &here)? {
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

/// The volume that is the lock.
pub fn volume(project: &str) -> String {
    format!("zdd-lock-{project}")
}

/// The volume that is the right to remove a lock whose owner is dead. No project has a name with a dot.
fn claim_of(volume: &str) -> String {
    format!("{volume}.claim")
}

/// Who holds the project's lock, found out without taking it.
///
/// # Errors
/// The engine does not answer.
pub fn holder(docker: &Docker, project: &str) -> Result<Option<Holder>, CallError> {
    let labels = docker.volume_labels(&volume(project), false)?;
    Ok(labels.map(|labels| Owner::from_labels(&labels).as_holder(&Owner::here(), Process::look_up)))
}

/// Whether the lock is, or was left by, this process of this machine.
///
/// # Errors
/// The engine does not answer.
pub fn is_of(docker: &Docker, project: &str, pid: u32) -> Result<bool, CallError> {
    let labels = docker.volume_labels(&volume(project), false)?;
    Ok(labels.is_some_and(|labels| Owner::from_labels(&labels).pid == pid))
}

/// Takes the lock of a process of this machine that was killed. `None` where another run has it by now, or nobody.
///
/// # Errors
/// The engine does not answer.
pub fn inherit<'a>(engine: &Engine<'a>, project: &str, pid: u32) -> Result<Option<Lock<'a>>, Stop> {
    if !is_of(engine.docker, project, pid)? {
        return Ok(None);
    }
    let insistence = Insistence { wait: DIES_WITHIN, by_force: false };
    match acquire(engine, project, insistence) {
        Err(stop) if stop.exit == Exit::Locked => Ok(None),
        lock => lock.map(Some),
    }
}

/// Tries once; the owner when it is somebody else.
fn take<'a>(engine: &Engine<'a>, volume: &str, here: &Owner) -> Result<Result<Lock<'a>, Owner>, CallError> {
    let docker = engine.docker;
    for _ in 0..ATTEMPTS {
        let created = docker.create_volume(volume, &here.labels());
        // From here on it may be there, also after a call that was cut off: whatever fails, it must not stay.
        let was_not_made =
            |error: &CallError| matches!(error.problem, Problem::Failed { .. } | Problem::NotStarted(_));
        let lock = Lock {
            engine: engine.clone(),
            volume: volume.to_owned(),
            mark: here.mark.clone(),
            forgotten: created.as_ref().is_err_and(was_not_made),
            was_waited_for: false,
        };
        created?;
        let Some(labels) = docker.volume_labels(volume, false)? else {
            lock.forget();
            continue;
        };
        let owner = Owner::from_labels(&labels);
        if owner.mark == here.mark {
            return Ok(Ok(lock));
        }
        lock.forget();
        if !owner.is_dead(here, Process::look_up) {
            return Ok(Err(owner));
        }
        if let Err(rival) = remove_lock_of_the_dead(engine, volume, here, &owner)? {
            return Ok(Err(rival));
        }
        return take(engine, volume, here);
    }
    let problem = Problem::Garbage("the volume was created but is not there, again and again".to_owned());
    Err(CallError { call: format!("docker volume create {volume}"), problem })
}

/// Two runs may find the same dead owner; only the one that gets the claim may remove its lock, or it
/// could remove the lock that the other has taken meanwhile.
fn remove_lock_of_the_dead(
    engine: &Engine,
    volume: &str,
    here: &Owner,
    dead: &Owner,
) -> Result<Result<(), Owner>, CallError> {
    let claim = match take(engine, &claim_of(volume), here)? {
        Ok(claim) => claim,
        Err(rival) => return Ok(Err(rival)),
    };
    let now = engine.docker.volume_labels(volume, false)?.map(|labels| Owner::from_labels(&labels));
    if now.as_ref() == Some(dead) {
        // Once that lock is gone the claim to it is worth nothing. Both go by one call, so that a run that is
        // killed leaves either the lock, by which the next one finds the claim of the dead, or neither.
        engine.docker.remove_volumes(&[volume, &claim.volume], false)?;
        claim.forget();
    }
    Ok(Ok(()))
}

fn held(project: &str, owner: &Owner) -> Stop {
    Stop::new(Exit::Locked, format!("project {project} is being updated by {owner}; nothing was touched"))
        .hint("--wait-lock SECONDS waits for it; if you know it is dead, --break-lock takes over")
}
