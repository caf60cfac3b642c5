//! Durations and versions: whatever the text, an answer and no panic.

use std::time::Duration;

use proptest::prelude::*;
use zdd::{engine::Version, text::duration};

use crate::make::cases;

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn a_duration_never_panics(text in ".{0,30}") {
        let _ = duration::parse(&text);
        let _ = duration::parse_seconds_or_duration(&text);
    }

    #[test]
    fn what_looks_like_a_duration_never_panics(
        text in "[-+]?([0-9]{0,25}(\\.[0-9]{0,25})?(ns|us|µs|ms|s|m|h|d|w|y|)){0,4}",
    ) {
        if let Ok(read) = duration::parse(&text) {
            prop_assert!(read.as_nanos() <= i64::MAX as u128);
            prop_assert!(!text.starts_with('-'));
        }
        let _ = duration::parse_seconds_or_duration(&text);
    }

    #[test]
    fn every_refusal_says_something(text in ".{0,30}") {
        if let Err(problem) = duration::parse(&text) {
            prop_assert!(!problem.is_empty());
            prop_assert!(text.is_empty() || text == "+" || problem.contains(&text), "{problem}");
        }
    }

    /// As Go prints a duration, which is how `docker compose config` does.
    #[test]
    fn go_s_spelling_is_read_back(hours in 0..2_000_000_u64, minutes in 0..60_u64, millis in 0..60_000_u64) {
        let text = format!("{hours}h{minutes}m{}.{:03}s", millis / 1000, millis % 1000);
        let expected = Duration::from_secs(hours * 3600 + minutes * 60) + Duration::from_millis(millis);
        prop_assert_eq!(duration::parse(&text), Ok(expected));
    }

    #[test]
    fn units_add_up(n in 0..1000_u64) {
        let parse = |unit: &str| duration::parse(&format!("{n}{unit}")).expect("good");
        prop_assert_eq!(parse("w"), parse("d") * 7);
        prop_assert_eq!(parse("d"), parse("h") * 24);
        prop_assert_eq!(parse("h"), parse("m") * 60);
        prop_assert_eq!(parse("m"), parse("s") * 60);
        prop_assert_eq!(parse("s"), parse("ms") * 1000);
        prop_assert_eq!(parse("ms"), parse("us") * 1000);
        prop_assert_eq!(parse("us"), parse("ns") * 1000);
        prop_assert_eq!(duration::parse_seconds_or_duration(&n.to_string()), Ok(parse("s")));
    }

    #[test]
    fn what_is_shown_is_close_and_short(millis in 0..400_000_000_u64) {
        let real = Duration::from_millis(millis);
        let text = duration::show(real);
        let shown = duration::parse(&text).expect("readable");
        let step = match millis { 0..1_000 => 0, 1_000..60_000 => 50, 60_000..3_600_000 => 500, _ => 30_500 };
        prop_assert!(shown.abs_diff(real) <= Duration::from_millis(step), "{real:?} is shown as {text}");
        prop_assert!(text.len() <= 8, "{text}");
    }

    #[test]
    fn any_duration_can_be_shown(seconds in any::<u64>(), nanos in 0..1_000_000_000_u32) {
        prop_assert!(!duration::show(Duration::new(seconds, nanos)).is_empty());
    }

    #[test]
    fn a_version_never_panics(text in ".{0,20}") {
        let _ = text.parse::<Version>();
    }

    #[test]
    fn a_version_is_read_back(major in any::<u32>(), minor in any::<u32>(), patch in any::<u32>()) {
        let version = Version(major, minor, patch);
        prop_assert_eq!(version.to_string().parse(), Ok(version));
        prop_assert_eq!(format!("v{version}-desktop.1\n").parse(), Ok(version));
        prop_assert_eq!(format!("{version}+build").parse(), Ok(version));
    }
}

#[test]
fn versions_as_they_are_printed() {
    for (text, version) in [
        ("5.6.1", Version(5, 6, 1)),
        ("v2.31.0", Version(2, 31, 0)),
        ("2.40.3-desktop.1", Version(2, 40, 3)),
        ("v2.20.0-rc.1\n", Version(2, 20, 0)),
        ("2.31", Version(2, 31, 0)),
        ("5", Version(5, 0, 0)),
        ("2.27.0+ds1-0ubuntu1", Version(2, 27, 0)),
    ] {
        assert_eq!(text.parse(), Ok(version), "{text}");
    }
    for text in ["", "dev", "v", "unknown", "1.x", "-1.2.3", "2..3", "99999999999.0.0"] {
        assert_eq!(text.parse::<Version>(), Err(()), "{text}");
    }
    assert!(Version(2, 9, 0) < Version(2, 31, 0) && Version(2, 31, 0) < Version(5, 0, 0));
}
