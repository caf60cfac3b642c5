//! Numbers with their nouns, and lists in a sentence.

/// `1 replica`, `2 replicas`.
pub fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// `a`, `a and b`, `a, b and c`.
pub fn join(words: &[impl AsRef<str>]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        [first @ .., before_last, last] => {
            [first, &[&format!("{before_last} and {last}")]].concat().join(", ")
        }
        all => all.concat(),
    }
}

/// `web is`, `web and worker are`.
pub fn verb(names: &[impl AsRef<str>], one: &str, many: &str) -> String {
    format!("{} {}", join(names), if names.len() == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular() {
        assert_eq!([0, 1, 2].map(|n| count(n, "replica")), ["0 replicas", "1 replica", "2 replicas"]);
    }

    #[test]
    fn the_last_two_are_joined_by_a_word() {
        assert_eq!(join(&[] as &[&str]), "");
        assert_eq!(join(&["a"]), "a");
        assert_eq!(join(&["a", "b"]), "a and b");
        assert_eq!(join(&["a".to_owned(), "b".to_owned(), "c".to_owned()]), "a, b and c");
        assert_eq!(verb(&["a"], "is", "are"), "a is");
        assert_eq!(verb(&["a", "b"], "is", "are"), "a and b are");
    }
}
