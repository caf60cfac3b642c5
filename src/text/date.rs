//! Times of day, as Docker writes and as people read them: seconds since 1970 in UTC, without a clock.

use chrono::DateTime;

/// Reads Docker's `2026-11-23T16:50:57.229434278Z` or `…+01:00`; parts of a second are dropped. `None` for another form,
/// and for the year 1, which is Docker's word for never.
pub fn seconds(text: &str) -> Option<u64> {
    u64::try_from(DateTime::parse_from_rfc3339(text).ok()?.timestamp()).ok()
}

/// `2026-11-23 21:04:11 UTC`.
pub fn utc(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    time.unwrap_or(DateTime::UNIX_EPOCH).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (951_868_799, "2000-02-29 23:59:59 UTC"),
            (1_795_463_232, "2026-11-23 19:47:12 UTC"),
        ] {
            assert_eq!(utc(seconds), text);
        }
    }

    #[test]
    fn docker_s_times_are_read() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T00:00:00.5Z", Some(951_782_400)),
            ("2026-11-23T21:04:11.229434278Z", Some(1_795_467_851)),
            ("2026-11-23T22:04:11.229434278+01:00", Some(1_795_467_851)),
            ("2026-11-23T16:34:11-04:30", Some(1_795_467_851)),
            ("0001-01-01T00:00:00Z", None),
            ("2026-13-01T00:00:00Z", None),
            ("2026-11-23", None),
            ("", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
