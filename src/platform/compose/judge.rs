//! Whether a new container may be trusted: readings of `docker inspect` in, a verdict out. Pure.

use std::{fmt, time::Duration};

use crate::{
    engine::{Container, Healthcheck, State, container::HealthStatus},
    project::Service,
    text::count,
    text::duration,
};

/// Time beyond the container's own healthcheck for the engine to start the probes and report them.
pub const SLACK: Duration = Duration::from_secs(5);

/// 128 + SIGKILL: by the kernel, short of memory, or by a person.
const KILLED: i64 = 137;

/// How the gate judges one service's new containers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gate {
    /// Without a healthcheck: how long it must run without a restart.
    pub monitor: Duration,
    /// Deadline from the start; `None`: computed from the container's own healthcheck.
    pub wait_timeout: Option<Duration>,
    /// It passes by ending with exit code 0.
    pub job: bool,
    /// It may also pass that way.
    pub may_end: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Judgement {
    /// Look again when Docker reports a change, or at the latest after this time.
    Wait(Duration),
    Pass,
    Fail(Why),
}

/// Why a new container does not pass.
#[derive(Clone, Debug, PartialEq)]
pub enum Why {
    Exited {
        code: i64,
        oom: bool,
        error: String,
    },
    Restarting {
        times: u64,
        code: i64,
    },
    Unhealthy {
        probes: u64,
    },
    Deadline {
        after: Duration,
        healthy_late: bool,
    },
    Paused,
    NeverStarted {
        error: String,
    },
    /// Removed by somebody else while the gate waited.
    Gone,
}

impl Why {
    /// The engine may report the end of a process before it notes that memory had run out (20.10): then it is worth
    /// another look.
    pub fn may_be_out_of_memory(&self) -> bool {
        matches!(self, Why::Exited { code: KILLED, oom: false, .. })
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::Exited { oom: true, code, .. } => {
                write!(f, "ran out of memory and was killed (exit code {code})")
            }
            Why::Exited { code: KILLED, error, .. } if error.is_empty() => {
                write!(f, "was killed (exit code {KILLED})")
            }
            Why::Exited { code, error, .. } if error.is_empty() => write!(f, "exited with code {code}"),
            Why::Exited { code, error, .. } => write!(f, "exited with code {code}: {error}"),
            Why::Restarting { times, code } => {
                write!(f, "crashed and was restarted {}", count((*times).max(1) as usize, "time"))?;
                // While it runs again the engine shows 0, which says nothing.
                if *code == 0 { Ok(()) } else { write!(f, " (last exit code {code})") }
            }
            Why::Unhealthy { probes } => write!(f, "is unhealthy after {probes} failed probes"),
            Why::Deadline { after, healthy_late: true } => {
                write!(f, "was not healthy within {}", duration::show(*after))
            }
            Why::Deadline { after, .. } => write!(f, "was not done within {}", duration::show(*after)),
            Why::Paused => f.write_str("was paused"),
            Why::NeverStarted { error } if error.is_empty() => f.write_str("was created but not started"),
            Why::NeverStarted { error } => write!(f, "could not be started: {error}"),
            Why::Gone => f.write_str("was removed while it was being waited for"),
        }
    }
}

/// The longest that Docker may take to call a container with this healthcheck healthy or unhealthy.
pub fn deadline(check: &Healthcheck) -> Duration {
    check.decides_within().saturating_add(SLACK)
}

impl Gate {
    pub fn of(service: &Service) -> Gate {
        Gate {
            monitor: service.settings.monitor,
            wait_timeout: service.settings.wait_timeout,
            job: service.is_job(),
            may_end: service.may_end(),
        }
    }

    /// The deadline that applies to this container.
    pub fn deadline_for(&self, container: &Container) -> Duration {
        self.wait_timeout.unwrap_or_else(|| match &container.healthcheck {
            // It takes what it takes, whatever healthcheck its image has.
            _ if self.job => Duration::MAX,
            Some(check) => deadline(check),
            None => self.monitor,
        })
    }

    /// Judges one reading, `elapsed` after the container was started and was first seen. `restarts_before` is
    /// the engine's restart count when the watch began: 0 for a new container, but an old one has a past.
    ///
    /// Rules in order: a crash is a failure, whatever its health, but for a job that may be restarted; unhealthy is a
    /// failure; healthy passes; without a healthcheck, the monitor window passed in one piece passes; otherwise wait
    /// to the deadline.
    pub fn judge(&self, container: &Container, restarts_before: u64, elapsed: Duration) -> Judgement {
        if let Some(verdict) = self.judge_state(container, restarts_before) {
            return verdict;
        }
        let limit = self.deadline_for(container);
        match container.health_status() {
            _ if self.job => self.until(limit, elapsed, false),
            Some(HealthStatus::Healthy) => Judgement::Pass,
            Some(HealthStatus::Unhealthy) => {
                let probes = container.health.as_ref().map_or(0, |health| health.failing_streak);
                Judgement::Fail(Why::Unhealthy { probes })
            }
            Some(HealthStatus::Starting) => self.until(limit, elapsed, true),
            None if elapsed >= self.monitor => Judgement::Pass,
            None => Judgement::Wait(self.monitor - elapsed),
        }
    }

    fn may_try_again(&self, c: &Container) -> bool {
        let ends = c.restart.max_retries > 0 || self.wait_timeout.is_some();
        self.job && c.restart.name == "on-failure" && ends
    }

    fn judge_state(&self, c: &Container, restarts_before: u64) -> Option<Judgement> {
        let fail = |why| Some(Judgement::Fail(why));
        match c.state {
            State::Exited if self.may_end && c.exit_code == 0 => Some(Judgement::Pass),
            State::Exited | State::Dead | State::Removing => {
                fail(Why::Exited { code: c.exit_code, oom: c.oom_killed, error: c.error.clone() })
            }
            // Its policy is to try again, and the last try ends as any other; where there is none, the deadline must.
            State::Restarting | State::Running if self.may_try_again(c) => None,
            State::Restarting => fail(Why::Restarting { times: c.restart_count, code: c.exit_code }),
            State::Running if c.restart_count > restarts_before => {
                fail(Why::Restarting { times: c.restart_count - restarts_before, code: c.exit_code })
            }
            State::Paused => fail(Why::Paused),
            State::Created => fail(Why::NeverStarted { error: c.error.clone() }),
            State::Running if c.oom_killed => {
                fail(Why::Exited { code: c.exit_code, oom: true, error: String::new() })
            }
            State::Running => None,
        }
    }

    fn until(&self, limit: Duration, elapsed: Duration, healthy_late: bool) -> Judgement {
        match limit.checked_sub(elapsed) {
            Some(left) if !left.is_zero() => Judgement::Wait(left),
            _ => Judgement::Fail(Why::Deadline { after: limit, healthy_late }),
        }
    }
}
