//! Traffic that watches a rollout: what `x-zdd.probe` and the `--probe…` flags say of it. Pure.

use std::{fmt, str::FromStr, time::Duration};

use serde_json::Value;

use super::{
    settings::{BadSetting, bad, show, time, unknown_key},
    undollar,
};

/// One layer: only what is written there. Flags win over the file, key by key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProbeLayer {
    pub url: Option<Url>,
    pub rate: Option<u32>,
    pub expect: Option<Expect>,
    pub timeout: Option<Duration>,
    pub max_failures: Option<u32>,
    pub after: Option<Duration>,
}

/// Every key decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    pub url: Url,
    /// Requests a second.
    pub rate: u32,
    pub expect: Expect,
    /// The longest that one request may take, its whole answer included.
    pub timeout: Duration,
    /// More failures than this end the rollout; `None`: they are only reported.
    pub max_failures: Option<u32>,
    /// How long the new version is watched before the old containers are removed.
    pub after: Duration,
}

/// Enough to see one request in twenty fail within a second; no load for anything that needs this program.
pub const DEFAULT_RATE: u32 = 20;
/// More would be a load test.
pub const MOST_RATE: u32 = 1000;
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longer than one request may take by default, so that one that hangs is known in time.
pub const DEFAULT_AFTER: Duration = Duration::from_secs(3);

const KEYS: &[&str] = &["url", "rate", "expect", "timeout", "max_failures", "after"];

impl ProbeLayer {
    /// Reads `x-zdd.probe`: a mapping, or the address alone.
    ///
    /// # Errors
    /// An unknown key or a value of the wrong form, with its path and what to write instead.
    pub fn read(value: &Value, path: &[&str]) -> Result<ProbeLayer, BadSetting> {
        let mut layer = ProbeLayer::default();
        if value.is_null() {
            return Ok(layer);
        }
        if value.is_string() {
            layer.set("url", value, path)?;
            return Ok(layer);
        }
        let Some(map) = value.as_object() else {
            return Err(bad(path, "must be an address or a mapping, like \"{url: http://127.0.0.1:8080/}\""));
        };
        for (key, value) in map {
            let here: Vec<&str> = path.iter().copied().chain([key.as_str()]).collect();
            layer.set(key, value, &here)?;
        }
        match layer.url {
            Some(_) => Ok(layer),
            None => Err(bad(
                path,
                "has no url; write the address that is to be asked, like \"url: http://127.0.0.1:8080/\"",
            )),
        }
    }

    fn set(&mut self, key: &str, value: &Value, path: &[&str]) -> Result<(), BadSetting> {
        match key {
            "url" => self.url = Some(parsed(value, path)?),
            "rate" => self.rate = Some(parsed::<Rate>(value, path)?.0),
            "expect" => self.expect = Some(parsed(value, path)?),
            "timeout" => self.timeout = Some(positive(value, path)?),
            "max_failures" => self.max_failures = Some(parsed::<Count>(value, path)?.0),
            "after" => self.after = Some(time(value, path)?),
            _ => return Err(unknown_key(path, KEYS)),
        }
        Ok(())
    }

    /// This layer above the other, and defaults below both; `None` when no layer names an address.
    pub fn over(self, below: &ProbeLayer) -> Option<Probe> {
        let timeout = self.timeout.or(below.timeout).unwrap_or(DEFAULT_TIMEOUT);
        Some(Probe {
            url: self.url.or_else(|| below.url.clone())?,
            rate: self.rate.or(below.rate).unwrap_or(DEFAULT_RATE),
            expect: self.expect.or_else(|| below.expect.clone()).unwrap_or_default(),
            timeout,
            max_failures: self.max_failures.or(below.max_failures),
            after: self.after.or(below.after).unwrap_or_else(|| default_after(timeout)),
        })
    }
}

/// A request that hangs must be known for a failure before the old containers go.
fn default_after(timeout: Duration) -> Duration {
    DEFAULT_AFTER.max(timeout.saturating_add(Duration::from_secs(1)))
}

/// A scalar, read as the flag of the same name reads it.
fn parsed<T: FromStr<Err = String>>(value: &Value, path: &[&str]) -> Result<T, BadSetting> {
    undollar(&show(value)).parse().map_err(|problem: String| bad(path, &problem))
}

fn positive(value: &Value, path: &[&str]) -> Result<Duration, BadSetting> {
    let time = time(value, path)?;
    match time.is_zero() {
        true => Err(bad(path, NO_TIME)),
        false => Ok(time),
    }
}

const NO_TIME: &str = "the timeout must be more than 0; write one like \"2s\"";

/// A `--probe-timeout`.
///
/// # Errors
/// No duration, or 0.
pub fn timeout(text: &str) -> Result<Duration, String> {
    let time = crate::text::duration::parse(text)?;
    if time.is_zero() { Err(NO_TIME.to_owned()) } else { Ok(time) }
}

/// A `--probe-rate`.
///
/// # Errors
/// No number from 1 to [`MOST_RATE`].
pub fn rate(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|rate| (1..=MOST_RATE).contains(rate));
    number.ok_or_else(|| format!("\"{text}\" is not a rate; write requests a second, from 1 to {MOST_RATE}"))
}

struct Rate(u32);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Rate, String> {
        rate(text).map(Rate)
    }
}

struct Count(u32);

impl FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Count, String> {
        let number = text.parse().map(Count);
        number.map_err(|_| format!("\"{text}\" is not a number of failures; write 0, 1, 2, …"))
    }
}

/// The address that is asked. It may hold a password, so it is shown without user, query and fragment.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    text: String,
    shown: String,
}

impl Url {
    /// As it was written, secrets included.
    pub fn secret(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl FromStr for Url {
    type Err = String;

    /// The message never repeats what was written: it may hold a password.
    fn from_str(text: &str) -> Result<Url, String> {
        const LIKE: &str = "write one like \"http://127.0.0.1:8080/\"";
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(format!("the address to probe does not begin with http:// or https://; {LIKE}"));
        };
        if !["http", "https"].contains(&scheme) {
            return Err(format!("the address to probe begins with neither http:// nor https://; {LIKE}"));
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let visible = text.chars().all(|c| c.is_ascii_graphic());
        let name =
            host.rsplit_once(':').map_or(host, |(name, port)| if port_is_good(port) { name } else { "" });
        let bracketed = host.starts_with('[') && host.ends_with(']');
        if !visible || (name.is_empty() && !bracketed) {
            return Err(format!("the address to probe is not valid; {LIKE}"));
        }
        let path = path.split(['?', '#']).next().filter(|path| !path.is_empty()).unwrap_or("/");
        let more = if text.contains('?') { "?…" } else { "" };
        let shown = format!("{scheme}://{host}{path}{more}");
        let text = text.split('#').next().unwrap_or(text).to_owned();
        Ok(Url { text, shown })
    }
}

fn port_is_good(port: &str) -> bool {
    port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Which status codes are answers as they should be: ranges, both ends included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expect(Vec<(u16, u16)>);

impl Default for Expect {
    fn default() -> Expect {
        Expect(vec![(200, 399)])
    }
}

impl Expect {
    pub fn holds(&self, status: u16) -> bool {
        self.0.iter().any(|(from, to)| (*from..=*to).contains(&status))
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one = |(from, to): &(u16, u16)| match from == to {
            true => from.to_string(),
            false => format!("{from}-{to}"),
        };
        f.write_str(&self.0.iter().map(one).collect::<Vec<_>>().join(","))
    }
}

impl FromStr for Expect {
    type Err = String;

    /// `200`, `2xx`, `200-299`, and lists of these: `2xx,404`.
    fn from_str(text: &str) -> Result<Expect, String> {
        let ranges: Option<Vec<_>> = text.split(',').map(|part| range(part.trim())).collect();
        ranges.map(Expect).ok_or_else(|| {
            format!(
                "\"{text}\" is not a status code; write one like \"200\", \"2xx\", \"200-399\" or \"2xx,404\""
            )
        })
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let code = |text: &str| text.parse().ok().filter(|code| (100..=599).contains(code));
    if let Some(class) = text.strip_suffix("xx") {
        let class: u16 = class.parse().ok().filter(|class| (1..=5).contains(class))?;
        return Some((class * 100, class * 100 + 99));
    }
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (code(from)?, code(to)?);
    (from <= to).then_some((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(yaml: &str) -> Result<ProbeLayer, String> {
        let value: Value = serde_yaml::from_str(yaml).expect("YAML");
        ProbeLayer::read(&value, &["x-zdd", "probe"]).map_err(|bad| bad.to_string())
    }

    #[test]
    fn an_address_alone_is_enough() {
        let probe = read("http://127.0.0.1:8080").unwrap().over(&ProbeLayer::default()).unwrap();
        assert_eq!((probe.rate, probe.max_failures), (DEFAULT_RATE, None));
        assert_eq!((probe.timeout, probe.after), (DEFAULT_TIMEOUT, DEFAULT_AFTER));
        assert_eq!(
            (probe.url.to_string().as_str(), probe.url.secret()),
            ("http://127.0.0.1:8080/", "http://127.0.0.1:8080")
        );
        assert_eq!(probe.expect.to_string(), "200-399");
    }

    #[test]
    fn flags_win_key_by_key() {
        let file = read("{url: 'http://a/', rate: 5, expect: 200, timeout: 1s, max_failures: 3, after: 0s}")
            .unwrap();
        let flags = ProbeLayer { rate: Some(9), max_failures: Some(0), ..ProbeLayer::default() };
        let probe = flags.over(&file).unwrap();
        assert_eq!((probe.rate, probe.max_failures, probe.after), (9, Some(0), Duration::ZERO));
        assert_eq!((probe.url.secret(), probe.timeout), ("http://a/", Duration::from_secs(1)));
        assert_eq!(ProbeLayer { rate: Some(9), ..ProbeLayer::default() }.over(&ProbeLayer::default()), None);
    }

    #[test]
    fn bad_values_name_their_key_and_what_to_write() {
        for (yaml, part) in [
            ("7", "x-zdd.probe: must be an address or a mapping"),
            ("{rate: 5}", "x-zdd.probe: has no url"),
            ("{url: 'http://a/', speed: 5}", "x-zdd.probe.speed: unknown key; known keys are url, rate"),
            ("{url: 'http://a/', rate: 0}", "x-zdd.probe.rate: \"0\" is not a rate"),
            ("{url: 'http://a/', rate: 1001}", "from 1 to 1000"),
            ("{url: 'http://a/', expect: ok}", "x-zdd.probe.expect: \"ok\" is not a status code"),
            ("{url: 'http://a/', timeout: 0s}", "x-zdd.probe.timeout: the timeout must be more than 0"),
            (
                "{url: 'http://a/', max_failures: -1}",
                "x-zdd.probe.max_failures: \"-1\" is not a number of failures",
            ),
            ("{url: 'http://a/', after: soon}", "x-zdd.probe.after: "),
            ("ftp://a/", "x-zdd.probe: the address to probe begins with neither"),
        ] {
            let error = read(yaml).expect_err(yaml);
            assert!(error.contains(part), "{yaml}: {error}");
        }
    }

    #[test]
    fn an_address_is_shown_without_its_secrets() {
        for (text, shown) in [
            ("http://anna:s3cret@shop.example:81/a?token=s3cret#s3cret", "http://shop.example:81/a?…"),
            ("https://s3cret@shop.example", "https://shop.example/"),
            ("http://[::1]:8080/health", "http://[::1]:8080/health"),
            ("http://[::1]", "http://[::1]/"),
        ] {
            let url: Url = text.parse().unwrap();
            assert_eq!((url.to_string().as_str(), format!("{url:?}").as_str()), (shown, shown));
        }
        for text in [
            "shop.example/s3cret",
            "http://",
            "http://s3cret@/",
            "http://s3cret@a:0/",
            "http://a:s3cret/",
            "http://a b/s3cret",
            "http://s3cret@:80/",
        ] {
            let error = text.parse::<Url>().expect_err(text);
            assert!(error.contains("write one like") && !error.contains("s3cret"), "{text}: {error}");
        }
    }

    #[test]
    fn status_codes_are_single_classes_ranges_and_lists() {
        let holds = |text: &str, code| text.parse::<Expect>().unwrap().holds(code);
        assert!(holds("200", 200) && !holds("200", 201));
        assert!(holds("2xx", 299) && !holds("2xx", 300));
        assert!(holds("200-204, 404", 404) && !holds("200-204,404", 205));
        for text in ["", "2x", "6xx", "600", "99", "300-200", "200,", "-200", "xx"] {
            assert!(text.parse::<Expect>().is_err(), "{text}");
        }
    }
}
