//! How an old container leaves the proxy before it is stopped: the `drain` key of `x-zdd`.

use std::{fmt, time::Duration};

use serde_json::Value;

use super::settings::{BadSetting, bad, show, time, unknown_key, unknown_word};
use crate::text::duration;

/// What an old container waits for between its `pre_stop` hooks and its stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Until {
    /// What fits: HAProxy when one of the project's services runs it, else nothing.
    Auto,
    /// Nothing.
    Now,
    /// Docker reports it unhealthy, as proxies that read the health from Docker do (Traefik).
    Unhealthy,
    /// HAProxy has no session left on it.
    Haproxy {
        /// The service that runs HAProxy; found by its image or command when not written.
        service: Option<String>,
        /// The runtime API's socket inside that container; read from its configuration when not written.
        socket: Option<String>,
    },
}

/// The drain of one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    pub until: Until,
    /// Time to wait after that, for a proxy that is slow to notice.
    pub plus: Duration,
}

impl Default for Drain {
    fn default() -> Drain {
        Drain { until: Until::Auto, plus: Duration::ZERO }
    }
}

const WORDS: [&str; 4] = ["auto", "none", "unhealthy", "haproxy"];

const FORMS: &str =
    "write none, unhealthy, haproxy, a time like \"5s\", or a mapping like \"{until: unhealthy, plus: 2s}\"";

impl Drain {
    /// Reads the value of the key.
    ///
    /// # Errors
    /// A word, time or key that is not known, with the forms that are.
    pub fn read(value: &Value, path: &[&str]) -> Result<Drain, BadSetting> {
        match value {
            Value::Object(_) => from_mapping(value, path),
            Value::String(text) => from_text(text).ok_or_else(|| unknown_word(path, value, &WORDS, FORMS)),
            other => Err(unknown_word(path, other, &WORDS, FORMS)),
        }
    }
}

fn from_text(text: &str) -> Option<Drain> {
    if let Some(until) = until(text) {
        return Some(Drain { until, plus: Duration::ZERO });
    }
    Some(Drain { until: Until::Now, plus: duration::parse(text).ok()? })
}

fn until(word: &str) -> Option<Until> {
    match word {
        "auto" => Some(Until::Auto),
        "none" => Some(Until::Now),
        "unhealthy" => Some(Until::Unhealthy),
        "haproxy" => Some(Until::Haproxy { service: None, socket: None }),
        _ => None,
    }
}

fn from_mapping(value: &Value, path: &[&str]) -> Result<Drain, BadSetting> {
    let mut drain = Drain::default();
    let (mut proxy, mut at) = (None, None);
    for (key, value) in value.as_object().into_iter().flatten() {
        let here: Vec<&str> = path.iter().copied().chain([key.as_str()]).collect();
        let text = || value.as_str().ok_or_else(|| bad(&here, &format!("\"{}\" is not a word", show(value))));
        match key.as_str() {
            "until" => {
                let known = until(text()?);
                drain.until = known
                    .ok_or_else(|| unknown_word(&here, value, &WORDS, "write none, unhealthy or haproxy"))?;
            }
            "plus" => drain.plus = time(value, &here)?,
            "service" => proxy = Some(text()?.to_owned()),
            "socket" => at = Some(text()?.to_owned()),
            _ => return Err(unknown_key(&here, &["until", "plus", "service", "socket"])),
        }
    }
    match &mut drain.until {
        Until::Haproxy { service, socket } => (*service, *socket) = (proxy, at),
        _ if proxy.is_some() || at.is_some() => {
            return Err(bad(path, "service and socket go with \"until: haproxy\" only"));
        }
        _ => {}
    }
    Ok(drain)
}

impl fmt::Display for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match &self.until {
            Until::Auto => "auto".to_owned(),
            Until::Now if self.plus.is_zero() => "none".to_owned(),
            Until::Now => return f.write_str(&duration::show(self.plus)),
            Until::Unhealthy => "unhealthy".to_owned(),
            Until::Haproxy { service: Some(service), .. } => format!("haproxy in {service}"),
            Until::Haproxy { .. } => "haproxy".to_owned(),
        };
        f.write_str(&word)?;
        if self.plus.is_zero() { Ok(()) } else { write!(f, ", then {}", duration::show(self.plus)) }
    }
}
