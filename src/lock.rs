//! One rollout a project at a time, kept on the engine: a volume whose first creator wins.
//!
//! A volume's labels are written once, by the call that creates it; creating it again changes nothing and
//! succeeds (Engine 20.10, tried with eight at once). So whoever finds its own mark on the volume has the
//! lock, also through `--context` and from other machines.

use std::{
    collections::BTreeMap,
    fmt, fs,
    hash::{DefaultHasher, Hash, Hasher},
    rc::Rc,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
};

use crate::{
    clock,
    docker::{CallError, Docker, Problem},
    exit::{Exit, Stop},
    status::{Holder, Life},
};

const PREFIX: &str = "io.zdd.lock.";

/// Who holds a lock, as written on the volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// Different for every run.
    pub mark: String,
    pub user: String,
    pub host: String,
    /// Identifies a machine, also after a reboot: a hash of its machine ID. Empty where it has none.
    pub machine: String,
    /// Identifies a machine from one boot to the next.
    pub boot: String,
    /// The namespace that `pid` counts in: a container on the same machine has another.
    pub pid_namespace: String,
    pub pid: u32,
    /// Start of the process in clock ticks since boot, as a `pid` is used again.
    pub started: String,
    /// Seconds since 1970.
    pub since: u64,
}

impl Owner {
    /// This process.
    pub fn here() -> Owner {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let pid = std::process::id();
        let link = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        Owner {
            mark: format!("{pid}-{}", now.as_nanos()),
            user: std::env::var("USER")
                .unwrap_or_else(|_| format!("uid {}", rustix::process::getuid().as_raw())),
            host: read("/proc/sys/kernel/hostname"),
            machine: hash(&read("/etc/machine-id")),
            boot: read("/proc/sys/kernel/random/boot_id"),
            pid_namespace: link.to_string_lossy().into_owned(),
            pid,
            started: start_of(pid).unwrap_or_default(),
            since: now.as_secs(),
        }
    }

    pub fn labels(&self) -> Vec<String> {
        let pairs = [
            ("mark", self.mark.clone()),
            ("user", self.user.clone()),
            ("host", self.host.clone()),
            ("machine", self.machine.clone()),
            ("boot", self.boot.clone()),
            ("pid-namespace", self.pid_namespace.clone()),
            ("pid", self.pid.to_string()),
            ("started", self.started.clone()),
            ("since", self.since.to_string()),
        ];
        pairs.into_iter().map(|(key, value)| format!("{PREFIX}{key}={value}")).collect()
    }

    pub fn from_labels(labels: &BTreeMap<String, String>) -> Owner {
        let text = |key: &str| labels.get(&format!("{PREFIX}{key}")).cloned().unwrap_or_default();
        Owner {
            mark: text("mark"),
            user: text("user"),
            host: text("host"),
            machine: text("machine"),
            boot: text("boot"),
            pid_namespace: text("pid-namespace"),
            pid: text("pid").parse().unwrap_or(0),
            started: text("started"),
            since: text("since").parse().unwrap_or(0),
        }
    }

    /// Whether `here` can know that the owner no longer runs: this machine was started anew since, or same boot,
    /// same process numbers, and no such process, or another one under its number. `look_up` finds a process.
    pub fn is_dead(&self, here: &Owner, look_up: impl Fn(u32) -> Process) -> bool {
        self.was_before_the_boot_of(here) || self.is_comparable(here) && self.is_gone(&look_up(self.pid))
    }

    fn is_gone(&self, found: &Process) -> bool {
        match found {
            Process::Gone => true,
            Process::Started(started) => *started != self.started,
            Process::Hidden => false,
        }
    }

    /// Cloned machines may share an ID, but hardly the name too.
    fn was_before_the_boot_of(&self, here: &Owner) -> bool {
        let same = !self.machine.is_empty() && self.machine == here.machine && self.host == here.host;
        same && !self.boot.is_empty() && !here.boot.is_empty() && self.boot != here.boot
    }

    fn is_comparable(&self, here: &Owner) -> bool {
        !self.boot.is_empty() && self.boot == here.boot && self.pid_namespace == here.pid_namespace
    }

    /// What a third party may know of it.
    fn as_holder(&self, here: &Owner, look_up: impl Fn(u32) -> Process) -> Holder {
        let life = match self.is_comparable(here).then(|| look_up(self.pid)) {
            _ if self.was_before_the_boot_of(here) => Life::Dead,
            Some(found) if self.is_gone(&found) => Life::Dead,
            Some(Process::Started(_)) => Life::Running,
            _ => Life::Unknown,
        };
        Holder { owner: self.to_string(), since: self.since, life }
    }

    fn is_known(&self) -> bool {
        !self.mark.is_empty()
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_known() {
            return f.write_str("something that left no name");
        }
        write!(f, "{} on {} (process {}) since {}", self.user, self.host, self.pid, clock::utc(self.since))
    }
}

/// A machine ID is not to be told to anybody (machine-id(5)).
fn hash(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    if text.is_empty() { String::new() } else { format!("{:016x}", hasher.finish()) }
}

/// What a process number stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Process {
    Gone,
    /// One that started then, in clock ticks since boot.
    Started(String),
    /// Something that this process may not look at: `hidepid`, `ProtectProc=`.
    Hidden,
}

impl Process {
    fn look_up(pid: u32) -> Process {
        let signal = || match i32::try_from(pid).ok().and_then(Pid::from_raw) {
            Some(pid) => test_kill_process(pid),
            None => Ok(()),
        };
        Process::judge(start_of(pid), signal)
    }

    /// A file of `/proc` that cannot be read may be one of another user's; only the kernel's own word is that
    /// there is no such process.
    fn judge(started: Option<String>, signal: impl FnOnce() -> Result<(), Errno>) -> Process {
        match started {
            Some(started) => Process::Started(started),
            None if signal() == Err(Errno::SRCH) => Process::Gone,
            None => Process::Hidden,
        }
    }
}

/// Field 22 of `/proc/PID/stat`; the name in field 2 may hold spaces and parentheses.
fn start_of(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19).map(str::to_owned)
}

/// A lock that this run holds, or may hold; given back when it is dropped.
pub struct Lock<'a> {
    docker: &'a Docker,
    volume: String,
    mark: String,
    /// Hears what the user must know of.
    warn: Warn,
    /// It is known not to be on the engine, or to be another run's.
    forgotten: bool,
    /// Another run had it first: what was read before may be minutes old.
    pub was_waited_for: bool,
}

pub type Warn = Rc<dyn Fn(String)>;

impl Lock<'_> {
    fn forget(mut self) {
        self.forgotten = true;
    }

    fn give_back(&self) -> Result<(), CallError> {
        let labels = self.docker.volume_labels_at_the_end(&self.volume)?;
        // Somebody may have broken the lock and hold it now.
        if labels.is_some_and(|labels| Owner::from_labels(&labels).mark == self.mark) {
            self.docker.remove_volume_at_the_end(&self.volume)?;
        }
        Ok(())
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        for attempt in 1.. {
            let Some(error) = (!self.forgotten).then(|| self.give_back().err()).flatten() else { return };
            if attempt == LAST_ATTEMPT || matches!(error.problem, Problem::Deadline(_)) {
                let name = &self.volume;
                return (self.warn)(format!(
                    "the lock may stay on the engine: {error}; if the next run finds it held, type \"docker volume rm {name}\", or add --break-lock"
                ));
            }
            thread::sleep(RETRY);
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
pub fn acquire<'a>(
    docker: &'a Docker,
    project: &str,
    insistence: Insistence,
    warn: &Warn,
    mut pause: impl FnMut(Duration) -> bool,
) -> Result<Lock<'a>, Stop> {
    let here = Owner::here();
    let volume = volume(project);
    if insistence.by_force {
        docker.remove_both_volumes(&volume, &claim_of(&volume))?;
    }
    let end = Instant::now() + insistence.wait;
    let mut was_waited_for = false;
    loop {
        match take(docker, &volume, &here, warn)? {
            Ok(mut lock) => {
                lock.was_waited_for = was_waited_for;
                return Ok(lock);
            }
            Err(owner) if Instant::now() >= end => return Err(held(project, &owner)),
            Err(_) => {
                was_waited_for = true;
                if !pause(RETRY.min(end.saturating_duration_since(Instant::now()))) {
                    return Err(Stop::new(Exit::Interrupted, "interrupted; nothing was touched"));
                }
            }
        }
    }
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
    let labels = docker.volume_labels(&volume(project))?;
    Ok(labels.map(|labels| Owner::from_labels(&labels).as_holder(&Owner::here(), Process::look_up)))
}

const RETRY: Duration = Duration::from_millis(500);
/// So often another run may give its lock back between our creating the volume and looking at it.
const ATTEMPTS: usize = 10;

/// So often the engine is asked to take a lock back.
const LAST_ATTEMPT: u32 = 3;

/// Tries once; the owner when it is somebody else.
fn take<'a>(
    docker: &'a Docker,
    volume: &str,
    here: &Owner,
    warn: &Warn,
) -> Result<Result<Lock<'a>, Owner>, CallError> {
    for _ in 0..ATTEMPTS {
        let created = docker.create_volume(volume, &here.labels());
        // From here on it may be there, also after a call that was cut off: whatever fails, it must not stay.
        let lock = Lock {
            docker,
            volume: volume.to_owned(),
            mark: here.mark.clone(),
            warn: warn.clone(),
            forgotten: matches!(&created, Err(error) if matches!(error.problem, Problem::Failed { .. } | Problem::NotStarted(_))),
            was_waited_for: false,
        };
        created?;
        let Some(labels) = docker.volume_labels(volume)? else {
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
        // Two runs may find the same dead owner; only the one that gets this claim may remove its lock, or it
        // could remove the lock that the other has taken meanwhile.
        let claim = match take(docker, &claim_of(volume), here, warn)? {
            Ok(claim) => claim,
            Err(rival) => return Ok(Err(rival)),
        };
        let still = docker.volume_labels(volume)?.map(|labels| Owner::from_labels(&labels));
        if still.as_ref() == Some(&owner) {
            // Once that lock is gone the claim to it is worth nothing. Both go by one call, so that a run that is
            // killed leaves either the lock, by which the next one finds the claim of the dead, or neither.
            docker.remove_both_volumes(volume, &claim.volume)?;
            claim.forget();
        } else {
            drop(claim);
        }
        return take(docker, volume, here, warn);
    }
    let problem = Problem::Garbage("the volume was made and is not there, again and again".to_owned());
    Err(CallError { call: format!("docker volume create {volume}"), problem })
}

fn held(project: &str, owner: &Owner) -> Stop {
    Stop::new(Exit::Locked, format!("project {project} is being updated by {owner}; nothing was touched"))
        .hint("--wait-lock SECONDS waits for it; if you know that it is dead, --break-lock takes its place")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        Owner {
            mark: "7-1".to_owned(),
            user: "anna".to_owned(),
            host: "web1".to_owned(),
            machine: "m".to_owned(),
            boot: "b".to_owned(),
            pid_namespace: "pid:[1]".to_owned(),
            pid: 7,
            started: "100".to_owned(),
            since: 1_795_467_851,
        }
    }

    fn started(ticks: &str) -> Process {
        Process::Started(ticks.to_owned())
    }

    #[test]
    fn what_is_written_is_read() {
        let pairs = owner().labels().into_iter();
        let labels =
            pairs.map(|label| label.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())).unwrap());
        assert_eq!(Owner::from_labels(&labels.collect()), owner());
    }

    #[test]
    fn only_a_process_of_this_boot_and_namespace_can_be_known_to_be_dead() {
        let gone = |_| Process::Gone;
        assert!(owner().is_dead(&owner(), gone));
        assert!(owner().is_dead(&owner(), |_| started("200")));
        assert!(!owner().is_dead(&owner(), |_| started("100")));
        assert!(!owner().is_dead(&owner(), |_| Process::Hidden));
        let rebooted = Owner { boot: "c".to_owned(), ..owner() };
        assert!(owner().is_dead(&rebooted, gone));
        assert!(!owner().is_dead(&Owner { machine: "n".to_owned(), ..rebooted.clone() }, gone));
        assert!(!owner().is_dead(&Owner { host: "web2".to_owned(), ..rebooted.clone() }, gone));
        let unnamed = Owner { machine: String::new(), ..owner() };
        assert!(!unnamed.is_dead(&Owner { machine: String::new(), ..rebooted }, gone));
        assert!(!owner().is_dead(&Owner { pid_namespace: "pid:[2]".to_owned(), ..owner() }, gone));
        assert!(!Owner::default().is_dead(&Owner::default(), gone));
    }

    #[test]
    fn a_third_party_knows_whether_the_owner_lives_only_on_the_same_machine() {
        let life = |of: Owner, found: Process| of.as_holder(&owner(), |_| found.clone()).life;
        assert_eq!(life(owner(), started("100")), Life::Running);
        assert_eq!(life(owner(), started("200")), Life::Dead);
        assert_eq!(life(owner(), Process::Gone), Life::Dead);
        assert_eq!(life(owner(), Process::Hidden), Life::Unknown);
        assert_eq!(life(Owner { boot: "c".to_owned(), ..owner() }, Process::Gone), Life::Dead);
        assert_eq!(
            life(Owner { machine: "n".to_owned(), boot: "c".to_owned(), ..owner() }, Process::Gone),
            Life::Unknown
        );
        assert_eq!(life(Owner::default(), Process::Gone), Life::Unknown);
    }

    /// With `hidepid` the files of another user's process cannot be read, or are not there.
    #[test]
    fn a_process_whose_files_cannot_be_read_is_gone_only_if_the_kernel_says_so() {
        let judge = |said| Process::judge(None, || said);
        assert_eq!(judge(Err(Errno::SRCH)), Process::Gone);
        assert_eq!(judge(Err(Errno::PERM)), Process::Hidden);
        assert_eq!(judge(Ok(())), Process::Hidden);
        assert_eq!(Process::judge(Some("100".to_owned()), || Err(Errno::SRCH)), started("100"));
    }

    #[test]
    fn the_owner_is_named_with_a_time() {
        assert_eq!(owner().to_string(), "anna on web1 (process 7) since 2026-11-23 21:04:11 UTC");
    }

    #[test]
    fn this_process_has_a_start() {
        let here = Owner::here();
        assert!(!here.started.is_empty() && !here.boot.is_empty() && !here.is_dead(&here, Process::look_up));
        assert_eq!(Process::look_up(i32::MAX as u32), Process::Gone);
    }
}
