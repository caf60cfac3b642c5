//! Who holds a lock, and whether that run still lives.

use std::{
    collections::BTreeMap,
    fmt, fs,
    hash::{DefaultHasher, Hash, Hasher},
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::{
    io::Errno,
    process::{Pid, test_kill_process},
};
use serde::Serialize;

use crate::text::date;

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
            user: user(
                &read("/etc/passwd"),
                rustix::process::getuid().as_raw(),
                ["USER", "LOGNAME"].map(|key| std::env::var(key).unwrap_or_default()),
            ),
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
    pub(super) fn as_holder(&self, here: &Owner, look_up: impl Fn(u32) -> Process) -> Holder {
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
        write!(f, "{} on {} (process {}) since {}", self.user, self.host, self.pid, date::utc(self.since))
    }
}

/// A machine ID is not for anybody else to see (machine-id(5)).
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
    pub(super) fn look_up(pid: u32) -> Process {
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
    start_in(&stat).map(str::to_owned)
}

/// A process that has ended, and that nobody has waited for, has started at no time that anybody wrote down.
fn start_in(stat: &str) -> Option<&str> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    match fields.next()? {
        "Z" | "X" => Some("ended"),
        _ => fields.nth(18),
    }
}

/// Who holds the project's lock, as a third party may know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// User, host, process and time, in one phrase.
    pub owner: String,
    /// Seconds since 1970.
    pub since: u64,
    pub life: Life,
}

impl Holder {
    /// Whether somebody may be at work.
    pub fn may_run(&self) -> bool {
        self.life != Life::Dead
    }
}

/// The name of the user: as the machine has it, else as the environment says, which cron and CI leave empty.
fn user(passwd: &str, uid: u32, environment: [String; 2]) -> String {
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        (id.parse() == Ok(uid)).then(|| name.to_owned())
    };
    let names = passwd.lines().find_map(entry).into_iter().chain(environment);
    let mut names = names.filter(|name| !name.is_empty());
    names.next().unwrap_or_else(|| format!("uid {uid}"))
}

/// Whether the owner of a lock still runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Life {
    Running,
    Dead,
    /// It is on another machine, or counts its processes in another namespace.
    Unknown,
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
    fn a_process_that_has_ended_is_not_the_one_that_started() {
        let rest = (4..22).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(start_in(&format!("7 (a (b) c) S {rest} 4711 23")), Some("4711"));
        assert_eq!(start_in(&format!("7 (a (b) c) Z {rest} 4711 23")), Some("ended"));
        assert_eq!(start_in("7 (a"), None);
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
    fn the_user_has_the_name_of_the_machine() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\n+\ndeploy:x:1000:1000::/home/deploy:/bin/sh\nbob:x:1000:5::/:\n";
        let user = |uid, names: [&str; 2]| user(passwd, uid, names.map(str::to_owned));
        assert_eq!(user(0, ["", ""]), "root");
        assert_eq!(user(1000, ["anna", "anna"]), "deploy");
        assert_eq!(user(5, ["anna", "ben"]), "anna");
        assert_eq!(user(5, ["", "ben"]), "ben");
        assert_eq!(user(5, ["", ""]), "uid 5");
    }

    #[test]
    fn this_process_has_a_start() {
        let here = Owner::here();
        assert!(!here.started.is_empty() && !here.boot.is_empty() && !here.is_dead(&here, Process::look_up));
        assert_eq!(Process::look_up(i32::MAX as u32), Process::Gone);
    }
}
