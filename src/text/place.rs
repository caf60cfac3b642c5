//! Where in the user's files a key stands, for messages. Nothing is decided by it: Compose alone says what a file
//! means, and a key that came by `extends`, `include` or an anchor is simply not found.

use super::variable::variables;

/// The compose files as the user wrote them, later ones overriding earlier ones.
#[derive(Clone, Debug, Default)]
pub struct Files(pub Vec<(String, String)>);

impl Files {
    /// `compose.yaml:12` for a path like `["services", "web", "ports"]`: the deepest key of the path that is
    /// written somewhere, in the last file that has it. `None` when not even the second key is found.
    pub fn locate(&self, path: &[&str]) -> Option<String> {
        (2.min(path.len())..=path.len()).rev().find_map(|depth| self.last_with(&path[..depth]))
    }

    fn last_with(&self, path: &[&str]) -> Option<String> {
        let found = |(name, text): &(String, String)| Some(format!("{name}:{}", line_of(text, path)?));
        self.0.iter().rev().find_map(found)
    }

    /// The variables of the line on which the key itself is written, in the last file that has it.
    pub fn variables(&self, path: &[&str]) -> Vec<String> {
        let line = self.0.iter().rev().find_map(|(_, text)| text.lines().nth(line_of(text, path)? - 1));
        let line = line.unwrap_or_default();
        variables(line).into_iter().map(str::to_owned).collect()
    }
}

/// The line (from 1) on which the last key of `path` stands, in block style or within a flow mapping that
/// begins on its parent's line.
fn line_of(text: &str, path: &[&str]) -> Option<usize> {
    let mut open: Vec<usize> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let content = line.trim_start();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let indent = line.len() - content.len();
        while open.last().is_some_and(|depth| *depth >= indent) {
            open.pop();
        }
        // A key counts only directly below the keys found so far.
        let Some(wanted) = path.get(open.len()) else { continue };
        let Some(rest) = after_key(content, wanted) else { continue };
        open.push(indent);
        if open.len() == path.len() || in_flow(rest, &path[open.len()..]) {
            return Some(number + 1);
        }
    }
    None
}

/// What follows `key:` at the start of a line.
fn after_key<'a>(content: &'a str, key: &str) -> Option<&'a str> {
    let bare = content.strip_prefix(key);
    let quoted = ['"', '\'']
        .iter()
        .find_map(|quote| content.strip_prefix(*quote)?.strip_prefix(key)?.strip_prefix(*quote));
    bare.or(quoted)?.trim_start().strip_prefix(':')
}

/// Whether `{a: {b: …}}` holds the keys, one after the other.
fn in_flow(rest: &str, path: &[&str]) -> bool {
    let mut rest = rest.trim_start();
    if !rest.starts_with('{') {
        return false;
    }
    path.iter().all(|key| match find_flow_key(rest, key) {
        Some(after) => {
            rest = after;
            true
        }
        None => false,
    })
}

fn find_flow_key<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.match_indices(key).find_map(|(at, _)| {
        let before = text[..at].trim_end().trim_end_matches(['"', '\'']);
        let opens = before.trim_end().ends_with(['{', ',']);
        let after = text[at + key.len()..].trim_start_matches(['"', '\'']).trim_start();
        after.strip_prefix(':').filter(|_| opens)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# the shop
name: shop
services:
  web:
    image: web:1

    ports:
      - \"8080:80\"
  \"db\": {image: db, x-zdd: {strategy: recreate, delay: soon}}
  api:
    labels:
      web: ports
    x-zdd:
      monitor: 3
";

    fn line(path: &[&str]) -> Option<usize> {
        line_of(FILE, path)
    }

    #[test]
    fn a_key_is_found_below_its_parents_only() {
        assert_eq!(line(&["services", "web"]), Some(4));
        assert_eq!(line(&["services", "web", "ports"]), Some(7));
        assert_eq!(line(&["services", "api", "x-zdd", "monitor"]), Some(14));
        assert_eq!(line(&["services", "api", "ports"]), None);
    }

    #[test]
    fn a_flow_mapping_is_looked_into() {
        assert_eq!(line(&["services", "db", "x-zdd", "delay"]), Some(9));
        assert_eq!(line(&["services", "db", "strategy"]), Some(9));
        assert_eq!(line(&["services", "db", "ports"]), None);
    }

    #[test]
    fn the_deepest_known_key_of_the_last_file_is_named() {
        let files = Files(vec![
            ("a.yaml".to_owned(), FILE.to_owned()),
            ("b.yaml".to_owned(), "services:\n  web:\n    ports: []\n".to_owned()),
        ]);
        assert_eq!(files.locate(&["services", "web", "ports"]).unwrap(), "b.yaml:3");
        assert_eq!(files.locate(&["services", "web", "image"]).unwrap(), "a.yaml:5");
        assert_eq!(files.locate(&["services", "api", "ports"]).unwrap(), "a.yaml:10");
        assert_eq!(files.locate(&["services", "nope", "ports"]), None);
    }

    #[test]
    fn the_variables_of_a_key_are_those_of_its_line() {
        let first = "services:\n  web:\n    image: $A\n    ports: [\"${P}\"]\n  db: {image: \"db:${T}\"}\n";
        let files = Files(vec![
            ("a.yaml".to_owned(), first.to_owned()),
            ("b.yaml".to_owned(), "services:\n  web:\n    image: app:${TAG}\n".to_owned()),
        ]);
        assert_eq!(files.variables(&["services", "web", "image"]), ["TAG"]);
        assert_eq!(files.variables(&["services", "web", "ports"]), ["P"]);
        assert_eq!(files.variables(&["services", "db", "image"]), ["T"]);
        assert!(files.variables(&["services", "web", "x-zdd"]).is_empty());
    }
}
