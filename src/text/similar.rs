//! What somebody may have meant who wrote a word that is not known.

/// How many letters may be wrong, of how many: one in three, as a swapped pair counts once.
const LETTERS: usize = 3;

/// The known word that is nearest, if it is near: `delay` for `dealy`.
pub fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    // `max-failure-ratio` and `Rolling` are only written otherwise.
    let plain = |text: &str| text.to_lowercase().replace(['-', ' '], "_");
    let word = plain(word);
    let distance = |known: &&str| strsim::osa_distance(&word, &plain(known));
    let near = known.iter().copied().filter(|known| distance(known) <= (known.len() / LETTERS).max(1));
    near.min_by_key(distance)
}

/// ` did you mean "delay"?`, to stand behind `unknown key;`; nothing where no known word is near.
pub fn did_you_mean(word: &str, known: &[&str]) -> String {
    nearest(word, known).map(|known| format!(" did you mean \"{known}\"?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    const KNOWN: [&str; 6] =
        ["strategy", "parallelism", "delay", "drain", "drain_timeout", "max_failure_ratio"];

    #[test]
    fn the_nearest_word_is_meant() {
        for (word, meant) in [
            ("dealy", Some("delay")),
            ("dely", Some("delay")),
            ("Delay", Some("delay")),
            ("stratgy", Some("strategy")),
            ("paralelism", Some("parallelism")),
            ("drian", Some("drain")),
            ("drain-timeout", Some("drain_timeout")),
            ("max_failures_ratio", Some("max_failure_ratio")),
            ("retries", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, &KNOWN), meant, "{word}");
        }
    }

    #[test]
    fn a_short_word_may_have_one_letter_wrong() {
        assert_eq!(nearest("of", &["auto", "off"]), Some("off"));
        assert_eq!(nearest("on", &["auto", "off"]), None);
    }
}
