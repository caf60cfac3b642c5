//! Times of day as Docker writes them, without a clock: seconds since 1970 in UTC.

use std::time::Duration;

/// Reads Docker's `2026-11-23T16:50:57.229434278Z` or `…+01:00`; parts of a second are dropped. `None` for another form, and for
/// the year 1, which is Docker's word for never.
pub fn seconds(text: &str) -> Option<u64> {
    let (date, time) = text.split_once('T')?;
    let [year, month, day] = numbers(date, '-')?;
    let (clock, offset) = time.split_at(time.find(['Z', '+', '-', '.'])?);
    let [hour, minute, second] = numbers(clock, ':')?;
    let local = days(year, month, day)? * 86_400 + hour * 3600 + minute * 60 + second;
    u64::try_from(local - zone(offset)?).ok()
}

/// `2026-11-23 21:04:11 UTC`, by the civil-from-days rule of the Gregorian calendar.
pub fn utc(seconds: u64) -> String {
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

/// For a table, as `docker ps` is precise: `12s`, `5m`, `3h`, `2d`.
pub fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn numbers(text: &str, separator: char) -> Option<[i64; 3]> {
    let parts: Option<Vec<i64>> = text.split(separator).map(|part| part.parse().ok()).collect();
    parts?.try_into().ok()
}

/// Seconds east of UTC, from `.229Z`, `+01:00`.
fn zone(text: &str) -> Option<i64> {
    let Some(at) = text.find(['+', '-']) else { return text.ends_with('Z').then_some(0) };
    let (hours, minutes) = text[at + 1..].split_once(':')?;
    let east = hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60;
    Some(if text[at..].starts_with('-') { -east } else { east })
}

/// Days from 1970-01-01, by the rule of the Gregorian calendar with the year beginning in March.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_782_400), "2000-02-29 00:00:00 UTC");
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

    #[test]
    fn an_age_has_one_unit() {
        let shown = |seconds| age(Duration::from_secs(seconds));
        let all = [0, 59, 60, 3599, 3600, 172_799, 172_800].map(shown);
        assert_eq!(all, ["0s", "59s", "1m", "59m", "1h", "47h", "2d"]);
    }
}
