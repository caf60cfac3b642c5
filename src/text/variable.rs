//! The variables that a line of a compose file takes from the environment, for messages.

use std::collections::BTreeSet;

/// Their names in the order in which they stand there, each once: `${TAG}`, `${TAG:-1.0}`, `$TAG`. `$$` stands for a
/// dollar.
pub fn variables(line: &str) -> Vec<&str> {
    let mut seen = BTreeSet::new();
    let mut rest = line;
    let mut names = Vec::new();
    while let Some((_, after)) = rest.split_once('$') {
        rest = after.strip_prefix('$').unwrap_or(after);
        if rest.len() < after.len() {
            continue;
        }
        let name = name(after.strip_prefix('{').unwrap_or(after));
        if !name.is_empty() && seen.insert(name) {
            names.push(name);
        }
    }
    names
}

/// What is wrong, and that a variable may be why: one that is not set is empty, and Compose goes on.
pub fn blame(problem: &str, names: &[String]) -> String {
    let written: Vec<_> = names.iter().map(|name| format!("${{{name}}}")).collect();
    match names {
        [] => problem.to_owned(),
        [one] => {
            let line = &written[0];
            format!("{problem} (the line uses {line}: set {one}, or write a default, ${{{one}:-DEFAULT}})")
        }
        [first, ..] => format!(
            "{problem} (the line uses {}: set what is not set, or write a default, ${{{first}:-DEFAULT}})",
            super::join(&written)
        ),
    }
}

/// The name that a text begins with.
fn name(text: &str) -> &str {
    let end = text.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    let starts = text.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic());
    if starts { &text[..end] } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_variable_is_found_once() {
        for (line, names) in [
            ("image: app:1", &[][..]),
            ("image: app:${TAG}", &["TAG"]),
            ("image: $REGISTRY/app:${TAG:-1.0}", &["REGISTRY", "TAG"]),
            ("image: ${A:-${B_2}}${A}", &["A", "B_2"]),
            ("command: echo $$HOME $$$X $5 $ ${} ${1A}", &["X"]),
            ("image: app:$", &[]),
        ] {
            assert_eq!(variables(line), names, "{line}");
        }
    }

    #[test]
    fn variables_are_blamed() {
        let blame =
            |names: &[&str]| blame("it is empty", &names.iter().map(|n| n.to_string()).collect::<Vec<_>>());
        assert_eq!(blame(&[]), "it is empty");
        assert_eq!(
            blame(&["TAG"]),
            "it is empty (the line uses ${TAG}: set TAG, or write a default, ${TAG:-DEFAULT})"
        );
        assert_eq!(
            blame(&["HOST", "TAG"]),
            "it is empty (the line uses ${HOST} and ${TAG}: set what is not set, or write a default, ${HOST:-DEFAULT})"
        );
    }
}
