//! A call in a form that is the same in every run: without IDs, numbers, formats, and what every call has.

/// Flags whose value is told no more than they are.
const UNTOLD: &[&str] = &[
    "-l",
    "--ansi",
    "--progress",
    "-p",
    "--project-name",
    "--filter",
    "--format",
    "--label",
    "--type",
    "--pull",
];

pub fn of(words: impl IntoIterator<Item = String>) -> String {
    let words: Vec<String> = words.into_iter().collect();
    let verb = words.iter().find(|word| !word.starts_with('-')).map_or("", String::as_str);
    if verb == "exec" {
        return proxy(&words);
    }
    if verb == "run" {
        // In whose network the helper runs.
        return format!("run {}", words.last().map_or("", String::as_str));
    }
    let mut line = Vec::new();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        if UNTOLD.contains(&word.as_str()) {
            let value = rest.next().map_or("", String::as_str);
            line.extend(value.strip_prefix("label=com.docker.compose.service="));
        } else if !is_id(word)
            && !word.starts_with("zdd-lock-")
            && !["--no-trunc", "--no-build"].contains(&word.as_str())
        {
            line.push(of_history(word));
        }
    }
    // How many revisions are removed at once differs.
    line.dedup();
    line.join(" ")
}

/// What HAProxy is asked.
fn proxy(words: &[String]) -> String {
    let asked = words.iter().find(|word| word.contains("show servers state"));
    let state = |state: &str| asked.is_some_and(|text| text.contains(&format!("state {state};")));
    let what = match () {
        () if state("drain") => "drain",
        () if state("ready") => "ready",
        () if asked.is_some() => "look",
        () => "hook",
    };
    format!("exec {what}")
}

/// A revision's volume and its image carry the project and a number that grows.
fn of_history(word: &str) -> &str {
    match word {
        _ if word.starts_with("zdd-revision-reading-") => "reading",
        _ if word.starts_with("zdd-revision/") || word.starts_with("zdd-revision-") => "revision",
        _ => word,
    }
}

fn is_id(word: &str) -> bool {
    let word = word.trim_start_matches("sha256:");
    word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}
