//! Where pages and messages point to is something.

use std::{collections::BTreeMap, fs, path::Path};

use regex_lite::Regex;

use super::{blocks::blocks_of, pages, read, report, root};

/// A page's own text, without its blocks and the code in its lines.
fn prose(page: &str) -> String {
    let mut text = read(page);
    for block in blocks_of(page, &text.clone()) {
        text = text.replacen(&block.text, "", 1);
    }
    Regex::new("`[^`\n]*`").expect("a pattern").replace_all(&text, "code").into_owned()
}

/// As forges make them of headings.
fn anchors(page: &str) -> Vec<String> {
    let headings = read(page).lines().filter(|line| line.starts_with('#')).map(slug).collect::<Vec<_>>();
    let mut seen = BTreeMap::new();
    let number = |slug: &String| {
        let n = seen.entry(slug.clone()).and_modify(|n| *n += 1).or_insert(0);
        if *n == 0 { slug.clone() } else { format!("{slug}-{n}") }
    };
    headings.iter().map(number).collect()
}

fn slug(heading: &str) -> String {
    let link = Regex::new(r"\[([^\]]*)\]\([^)]*\)").expect("a pattern");
    let heading = link.replace_all(heading.trim_start_matches('#').trim(), "$1").to_lowercase();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// `from` points to `to`, `page.md#anchor`, as seen from its folder.
fn problem(from: &str, to: &str) -> Option<String> {
    let (path, anchor) = to.split_once('#').map_or((to, None), |(path, anchor)| (path, Some(anchor)));
    let folder = Path::new(from).parent().unwrap_or(Path::new(""));
    let target = if path.is_empty() { from.into() } else { folder.join(path) };
    let Ok(target) = fs::canonicalize(root().join(&target)) else {
        return Some(format!("{from}: there is no {to}"));
    };
    let target = target.strip_prefix(root()).expect("inside").to_string_lossy().into_owned();
    let anchor = anchor?;
    let known = anchors(&target);
    (!known.iter().any(|one| one == anchor)).then(|| format!("{from}: {target} has no #{anchor}: {known:?}"))
}

#[test]
fn links_lead_somewhere() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").expect("a pattern");
    let (mut all, mut wrong) = (0, Vec::new());
    for page in pages() {
        let text = prose(&page);
        let targets = link.captures_iter(&text).map(|found| found[1].to_owned());
        for target in targets.filter(|target| !target.contains("://")) {
            all += 1;
            wrong.extend(problem(&page, &target));
        }
    }
    assert!(all > 80, "{all} links");
    report(&wrong);
}

/// Also those of what the program prints, and of what its sources and scripts say.
#[test]
fn sources_point_to_pages_that_there_are() {
    let page = Regex::new(r"\b((docs|examples|\.github)/[A-Za-z/-]+\.md|README\.md)(#[a-z0-9-]+)?")
        .expect("a pattern");
    let mut wrong = Vec::new();
    let mut folders = vec![root().join("src"), root().join("scripts"), root().join("tests/docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
                continue;
            }
            let text = fs::read_to_string(&entry).unwrap_or_default();
            let from = entry.strip_prefix(root()).expect("inside").display().to_string();
            let problems = page.find_iter(&text).filter_map(|found| problem("README.md", found.as_str()));
            wrong.extend(problems.map(|problem| format!("{from}: {problem}")));
        }
    }
    report(&wrong);
}

#[test]
fn anchors_are_those_of_forges() {
    assert_eq!(slug("## history, diff, `rollback`"), "history-diff-rollback");
    assert_eq!(slug("# What [HAProxy](a.md) does: a_b"), "what-haproxy-does-a_b");
}
