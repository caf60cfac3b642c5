//! A healthcheck as it is written, Docker's defaults, and the times that follow from both.

use std::time::Duration;

use serde_json::Value;

/// What is `None` is not written; then Docker's default applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Healthcheck {
    pub interval: Option<Duration>,
    pub timeout: Option<Duration>,
    pub retries: Option<u32>,
    pub start_period: Option<Duration>,
    /// Between two probes in the start period; engines before 25 go by the interval.
    pub start_interval: Option<Duration>,
}

/// Interval and timeout of a healthcheck that names none (moby `daemon/health.go`).
const DEFAULT_TIME: Duration = Duration::from_secs(30);
const DEFAULT_RETRIES: u32 = 3;
const DEFAULT_START_INTERVAL: Duration = Duration::from_secs(5);

impl Healthcheck {
    /// Reads `Config.Healthcheck` of a container or an image, where 0 stands for what is not written. `None` when
    /// nothing is probed.
    pub fn from_inspect(value: &Value) -> Option<Healthcheck> {
        let first = value["Test"].as_array()?.first()?.as_str()?;
        let number = |key: &str| value[key].as_u64().filter(|number| *number > 0);
        let time = |key: &str| number(key).map(Duration::from_nanos);
        (first != "NONE").then(|| Healthcheck {
            interval: time("Interval"),
            timeout: time("Timeout"),
            retries: number("Retries").and_then(|n| u32::try_from(n).ok()),
            start_period: time("StartPeriod"),
            start_interval: time("StartInterval"),
        })
    }

    /// What is not written here is as it is written there.
    pub fn or(self, other: &Healthcheck) -> Healthcheck {
        Healthcheck {
            interval: self.interval.or(other.interval),
            timeout: self.timeout.or(other.timeout),
            retries: self.retries.or(other.retries),
            start_period: self.start_period.or(other.start_period),
            start_interval: self.start_interval.or(other.start_interval),
        }
    }

    pub fn interval(&self) -> Duration {
        self.interval.unwrap_or(DEFAULT_TIME)
    }

    pub fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(DEFAULT_TIME)
    }

    pub fn retries(&self) -> u32 {
        self.retries.unwrap_or(DEFAULT_RETRIES)
    }

    pub fn start_period(&self) -> Duration {
        self.start_period.unwrap_or_default()
    }

    pub fn start_interval(&self) -> Duration {
        self.start_interval.unwrap_or(DEFAULT_START_INTERVAL)
    }

    /// The longest that a healthy container whose probes begin to fail at once is still called healthy.
    pub fn fails_within(&self) -> Duration {
        self.interval().saturating_mul(self.retries()).saturating_add(self.timeout())
    }

    /// The same where each probe fails by its timeout: the engine counts the interval from the end of a probe.
    pub fn fails_at_the_latest(&self) -> Duration {
        self.failing().saturating_add(self.timeout())
    }

    /// The longest that a container may take until Docker calls it healthy or unhealthy: failures count only after
    /// the start period, and `retries` of them in a row decide.
    pub fn decides_within(&self) -> Duration {
        self.start_period().saturating_add(self.overhang()).saturating_add(self.failing())
    }

    /// The time from the start to the first probe. An engine that knows `start_interval` (25 and later) goes by it
    /// alone in the start period, even where the interval is shorter, and probes once at the end of that period (not
    /// before Engine 29, so there it may be later still).
    pub fn first_probe(&self, knows_start_interval: bool) -> Duration {
        match self.start_period {
            Some(period) if knows_start_interval => self.start_interval().min(period),
            _ => self.interval(),
        }
    }

    fn failing(&self) -> Duration {
        self.interval().saturating_add(self.timeout()).saturating_mul(self.retries())
    }

    /// How much later than an interval after the start period the first probe that counts may begin: the probe
    /// before it takes its time, or `start_interval` is longer than the interval.
    fn overhang(&self) -> Duration {
        match self.start_period().is_zero() {
            true => Duration::ZERO,
            false => self.timeout().max(self.start_interval().saturating_sub(self.interval())),
        }
    }
}
