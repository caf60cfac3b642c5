//! One rollout a project at a time, kept on the engine: a volume whose first creator wins.
//!
//! A volume's labels are written once, by the call that creates it; creating it again changes nothing and
//! succeeds (Engine 20.10 to 28, tried with eight at once). So whoever finds its own mark on the volume has the
//! lock, also through `--context` and from other machines.

use std::{
    collections::BTreeMap,
    fmt, fs,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::{
    docker::{CallError, Docker},
    exit::{Exit, Stop},
};

const PREFIX: &str = "io.zdd.lock.";

/// Who holds a lock, as written on the volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// Different for every run.
    pub mark: String,
    pub user: String,
    pub host: String,
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
            boot: text("boot"),
            pid_namespace: text("pid-namespace"),
            pid: text("pid").parse().unwrap_or(0),
            started: text("started"),
            since: text("since").parse().unwrap_or(0),
        }
    }

    /// Whether `here` can know that the owner no longer runs: same boot, same process numbers, and no such
    /// process, or another one under its number. `start_of` looks a process up.
    pub fn is_dead(&self, here: &Owner, start_of: impl Fn(u32) -> Option<String>) -> bool {
        let comparable =
            !self.boot.is_empty() && self.boot == here.boot && self.pid_namespace == here.pid_namespace;
        comparable && start_of(self.pid).is_none_or(|started| started != self.started)
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
        write!(f, "{} on {} (process {}) since {}", self.user, self.host, self.pid, clock(self.since))
    }
}

/// `2026-11-23 21:04:11 UTC`, by the civil-from-days rule of the Gregorian calendar.
fn clock(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) =
        (day_of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Field 22 of `/proc/PID/stat`; the name in field 2 may hold spaces and parentheses.
fn start_of(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19).map(str::to_owned)
}

/// A lock that this run holds; given back when it is dropped.
pub struct Lock<'a> {
    docker: &'a Docker,
    volume: String,
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        // Whoever comes next takes a lock over whose owner is gone.
        let _ = self.docker.remove_volume_at_the_end(&self.volume);
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
    mut pause: impl FnMut(Duration) -> bool,
) -> Result<Lock<'a>, Stop> {
    let here = Owner::here();
    let volume = format!("zdd-lock-{project}");
    if insistence.by_force {
        docker.remove_volume(&volume)?;
    }
    let end = Instant::now() + insistence.wait;
    loop {
        match take(docker, &volume, &here)? {
            None => return Ok(Lock { docker, volume }),
            Some(owner) if Instant::now() >= end => return Err(held(project, &owner)),
            Some(_) => {
                if !pause(RETRY.min(end.saturating_duration_since(Instant::now()))) {
                    return Err(Stop::new(Exit::Interrupted, "interrupted; nothing was touched"));
                }
            }
        }
    }
}

const RETRY: Duration = Duration::from_millis(500);

/// Tries once; the owner when it is somebody else.
fn take(docker: &Docker, volume: &str, here: &Owner) -> Result<Option<Owner>, CallError> {
    loop {
        docker.create_volume(volume, &here.labels())?;
        let Some(labels) = docker.volume_labels(volume)? else { continue };
        let owner = Owner::from_labels(&labels);
        if owner.mark == here.mark {
            return Ok(None);
        }
        if !owner.is_dead(here, start_of) {
            return Ok(Some(owner));
        }
        // Two runs may find the same dead owner; only the one that gets this claim may remove its lock, or it
        // could remove the lock that the other has taken meanwhile.
        let claim = format!("{volume}-after-{}", owner.mark);
        if let Some(rival) = take(docker, &claim, here)? {
            return Ok(Some(rival));
        }
        let still = docker.volume_labels(volume)?.map(|labels| Owner::from_labels(&labels));
        if still.as_ref() == Some(&owner) {
            docker.remove_volume(volume)?;
        }
        let taken = take(docker, volume, here);
        docker.remove_volume(&claim)?;
        return taken;
    }
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
            boot: "b".to_owned(),
            pid_namespace: "pid:[1]".to_owned(),
            pid: 7,
            started: "100".to_owned(),
            since: 1_795_467_851,
        }
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
        let gone = |_| None;
        assert!(owner().is_dead(&owner(), gone));
        assert!(owner().is_dead(&owner(), |_| Some("200".to_owned())));
        assert!(!owner().is_dead(&owner(), |_| Some("100".to_owned())));
        assert!(!owner().is_dead(&Owner { boot: "c".to_owned(), ..owner() }, gone));
        assert!(!owner().is_dead(&Owner { pid_namespace: "pid:[2]".to_owned(), ..owner() }, gone));
        assert!(!Owner::default().is_dead(&Owner::default(), gone));
    }

    #[test]
    fn the_owner_is_named_with_a_time() {
        assert_eq!(owner().to_string(), "anna on web1 (process 7) since 2026-11-23 21:04:11 UTC");
        assert_eq!(clock(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(clock(951_782_400), "2000-02-29 00:00:00 UTC");
    }

    #[test]
    fn this_process_has_a_start() {
        let here = Owner::here();
        assert!(!here.started.is_empty() && !here.boot.is_empty() && !here.is_dead(&here, start_of));
    }
}
