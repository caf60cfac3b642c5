//! Durations as Compose files and flags write them: Go's syntax (`1m30s`, `1.5h`, `250ms`) with days and weeks.

use std::time::Duration;

/// Go keeps a duration as a signed 64-bit count of nanoseconds; more than this (292 years) is not a duration there.
const LONGEST: u128 = i64::MAX as u128;

/// Nanoseconds in each unit. `d` and `w` are not Go's: Compose adds them. Both Unicode spellings of micro count.
const UNITS: [(&str, u128); 10] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
    ("w", 604_800_000_000_000),
];

/// Reads a duration such as `10s`, `1m30s`, `1.5h`, `2d` or `0`.
///
/// # Errors
///
/// One clause that says what to write instead: when it is empty, negative, longer than 292 years, has no
/// unit or an unknown one, or is no number at all.
pub fn parse(text: &str) -> Result<Duration, String> {
    let written = text.strip_prefix('+').unwrap_or(text);
    match written {
        "" => return Err("a duration is missing: write one like \"10s\" or \"1m30s\"".into()),
        "0" => return Ok(Duration::ZERO),
        _ if written.starts_with('-') => return Err(format!("\"{text}\" is negative")),
        _ => {}
    }
    let mut nanos = 0;
    let mut rest = written;
    while !rest.is_empty() {
        let (part, after) = part(rest, text)?;
        nanos = checked(nanos + part, text)?;
        rest = after;
    }
    Ok(from_nanos(nanos))
}

/// Like [`parse`], and a bare whole number counts as seconds: `docker compose up --wait-timeout` takes those.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_seconds_or_duration(text: &str) -> Result<Duration, String> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return parse(text);
    }
    let seconds: u128 = text.parse().map_err(|_| too_long(text))?;
    checked(seconds.saturating_mul(1_000_000_000), text).map(from_nanos)
}

/// A duration for people: `350ms`, `4.2s`, `1m05s`, `1h02m`. Rounded, so not for [`parse`].
pub fn show(duration: Duration) -> String {
    let millis = duration.as_millis();
    let tenths = (millis + 50) / 100;
    let seconds = (millis + 500) / 1000;
    let minutes = (seconds + 30) / 60;
    if millis == 0 {
        "0s".into()
    } else if millis < 1000 {
        format!("{millis}ms")
    } else if tenths < 600 && tenths.is_multiple_of(10) {
        format!("{}s", tenths / 10)
    } else if tenths < 600 {
        format!("{}.{}s", tenths / 10, tenths % 10)
    } else if seconds < 3600 {
        format!("{}m{:02}s", seconds / 60, seconds % 60)
    } else {
        format!("{}h{:02}m", minutes / 60, minutes % 60)
    }
}

/// The first `number unit` of `rest` in nanoseconds, and what follows it. `text` is the whole, for the message.
fn part<'a>(rest: &'a str, text: &str) -> Result<(u128, &'a str), String> {
    let (whole, after) = digits(rest);
    let (fraction, after) = match after.strip_prefix('.') {
        Some(after) => digits(after),
        None => ("", after),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(malformed(text));
    }
    let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
    let unit = match &after[..end] {
        "" if after.is_empty() => return Err(format!("\"{text}\" has no unit: write \"{text}s\"")),
        "" => return Err(malformed(text)),
        unit => nanos_of(unit, text)?,
    };
    let whole = if whole.is_empty() { "0" } else { whole };
    let whole: u128 = whole.parse().map_err(|_| too_long(text))?;
    let nanos = checked(whole.saturating_mul(unit), text)?;
    Ok((nanos + share(fraction, unit), &after[end..]))
}

fn digits(text: &str) -> (&str, &str) {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at(end)
}

fn nanos_of(unit: &str, text: &str) -> Result<u128, String> {
    let known = UNITS.iter().find(|(name, _)| *name == unit);
    known
        .map(|(_, nanos)| *nanos)
        .ok_or_else(|| format!("\"{text}\" has the unknown unit \"{unit}\": use ns, us, ms, s, m, h, d or w"))
}

/// The nanoseconds in the decimals of a number. Fifteen of them are exact for a week; the rest cannot matter.
fn share(fraction: &str, unit: u128) -> u128 {
    let kept = &fraction[..fraction.len().min(15)];
    let scale = 10_u128.pow(kept.len() as u32);
    kept.parse::<u128>().map_or(0, |value| value * unit / scale)
}

fn checked(nanos: u128, text: &str) -> Result<u128, String> {
    (nanos <= LONGEST).then_some(nanos).ok_or_else(|| too_long(text))
}

fn malformed(text: &str) -> String {
    format!("\"{text}\" is not a duration: write one like \"10s\" or \"1m30s\"")
}

fn too_long(text: &str) -> String {
    format!("\"{text}\" is too long: no more than 292 years")
}

fn from_nanos(nanos: u128) -> Duration {
    Duration::new((nanos / 1_000_000_000) as u64, (nanos % 1_000_000_000) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_go_durations() {
        for (text, nanos) in [
            ("10s", 10_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1.5s", 1_500_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("1h2m3s4ms5us6ns", 3_723_004_005_006),
            ("7µs", 7_000),
            ("7μs", 7_000),
            ("1d", 86_400_000_000_000),
            ("1.5w", 907_200_000_000_000),
            ("24h0m0s", 86_400_000_000_000),
            ("1s1s", 2_000_000_000),
            ("0.1234567891239s", 123_456_789),
            ("0", 0),
            ("0s", 0),
            ("+2s", 2_000_000_000),
            ("9223372036854775807ns", i64::MAX as u64),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, part) in [
            ("", "a duration is missing"),
            ("+", "a duration is missing"),
            ("10", "\"10\" has no unit: write \"10s\""),
            ("1m30", "write \"1m30s\""),
            ("-1s", "is negative"),
            ("10 s", "unknown unit \" s\""),
            ("1x", "unknown unit \"x\""),
            ("1S", "unknown unit \"S\""),
            ("s", "is not a duration"),
            (".s", "is not a duration"),
            ("1s.", "is not a duration"),
            ("1.2.3s", "is not a duration"),
            ("293y", "unknown unit \"y\""),
            ("99999999w", "too long"),
            ("99999999999999999999999999999999999999999999s", "too long"),
            ("9223372036854775808ns", "too long"),
            ("200w9223372036854775807ns", "too long"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn bare_seconds_count_where_compose_takes_them() {
        let parse = parse_seconds_or_duration;
        assert_eq!(parse("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("1m30s"), Ok(Duration::from_secs(90)));
        for text in ["", "-1", "9.5", "9223372037", &"9".repeat(60)] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn never_panics() {
        let alphabet: Vec<char> = "0123456789.+-nsuµmhdw x٣".chars().collect();
        let mut state = 42_u64;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let mut good = 0;
        for _ in 0..200_000 {
            let length = next(40);
            let text: String = (0..length).map(|_| alphabet[next(alphabet.len())]).collect();
            let read = parse_seconds_or_duration(&text);
            good += usize::from(read.is_ok());
            let _ = read.map(show);
        }
        assert!(good > 1000, "the alphabet must also make good ones: {good}");
    }

    #[test]
    fn shows_few_digits() {
        for (millis, text) in [
            (0, "0s"),
            (350, "350ms"),
            (999, "999ms"),
            (1000, "1s"),
            (4_230, "4.2s"),
            (10_000, "10s"),
            (59_949, "59.9s"),
            (59_950, "1m00s"),
            (65_000, "1m05s"),
            (3_599_500, "1h00m"),
            (3_720_000, "1h02m"),
            (90_000_000, "25h00m"),
        ] {
            assert_eq!(show(Duration::from_millis(millis)), text);
        }
        assert!(!show(Duration::MAX).is_empty());
    }
}
