//! The findings of `docker zdd doctor`, for people and for programs. Pure.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Look;
use crate::advice::{Facts, Finding, Severity};
use crate::plan::Prospect;
use crate::project::Project;
use crate::text::{clean, clean_lines, count, join, verb};

/// All that is shown.
pub struct Page<'a> {
    pub findings: &'a [Finding],
    pub facts: &'a Facts,
    pub project: Option<&'a Project>,
    pub look: Look,
}

/// Where a finding stands in the user's files.
type Place<'a> = &'a dyn Fn(&Finding) -> Option<String>;

/// Of one service, and in all: a person reads no more at once.
const OF_A_SERVICE: usize = 3;
const IN_ALL: usize = 20;

pub fn text(page: &Page, place: Place) -> String {
    let findings: String = page.findings.iter().map(|finding| one(finding, place, &page.look)).collect();
    format!("{}{findings}{}\n", first(page), last(page))
}

/// What matters most, a line each.
pub fn in_brief(page: &Page, place: Place) -> String {
    let mut of_services: BTreeMap<&Option<String>, usize> = BTreeMap::new();
    let mut shown = Vec::new();
    for finding in page.findings {
        let so_far = of_services.entry(&finding.service).or_default();
        *so_far += 1;
        if shown.len() < IN_ALL && (finding.service.is_none() || *so_far <= OF_A_SERVICE) {
            shown.push(line(finding, place, &page.look));
        }
    }
    let left = page.findings.len() - shown.len();
    let more = match left {
        0 if page.findings.iter().all(|finding| finding.yaml.is_none()) => String::new(),
        0 => "; --all shows what to write".to_owned(),
        n => format!("; --all shows the other {n}, and what to write"),
    };
    format!("{}{}{}{more}\n", first(page), shown.concat(), last(page))
}

fn line(finding: &Finding, place: Place, look: &Look) -> String {
    let line = format!("{}{}", head(finding, place, look), clean(&finding.sentence()));
    // A terminal breaks a long line in the middle of a word; a program reads a line for each finding.
    let lines = if look.is_terminal { look.wrap(&line, "  ") } else { vec![line] };
    lines.join("\n") + "\n"
}

/// `compose.yaml:7: warning: `
fn head(finding: &Finding, place: Place, look: &Look) -> String {
    let at = place(finding).map(|place| look.paint("dim", &format!("{place}: "))).unwrap_or_default();
    let style = match finding.severity {
        Severity::Error => "red",
        Severity::Warning => "yellow",
        Severity::Hint => "cyan",
    };
    format!("{at}{} ", look.paint(style, &format!("{}:", word(finding.severity))))
}

/// What becomes of the services when they change.
fn first(page: &Page) -> String {
    let prospects = page.facts.prospects.values().filter(|prospect| **prospect != Prospect::Aside);
    let all = prospects.clone().count();
    if all == 0 {
        return String::new();
    }
    let number = |wanted: Prospect| prospects.clone().filter(|prospect| **prospect == wanted).count();
    let well = number(Prospect::Rolls) + number(Prospect::Held);
    let kinds = [(Prospect::Rolls, "rolling"), (Prospect::Held, "held, which lets connections wait")];
    let kinds = kinds.into_iter().map(|(kind, words)| (number(kind), words)).filter(|(n, _)| *n > 0);
    let kinds: Vec<_> = kinds.map(|(n, words)| format!("{n} {words}")).collect();
    let how = if kinds.is_empty() { String::new() } else { format!(": {}", kinds.join(", ")) };
    let others = |wanted: Prospect, one: &str, more: &str, words: &str| {
        let all = page.facts.prospects.iter().filter(|(_, prospect)| **prospect == wanted);
        let names: Vec<_> = all.map(|(name, _)| name.as_str()).collect();
        if names.is_empty() { String::new() } else { format!("; {} {words}", verb(&names, one, more)) }
    };
    let consent = others(Prospect::NeedsConsent, "needs", "need", "your consent");
    let refused = others(Prospect::Refused, "is", "are", "refused");
    let line = format!(
        "{well} of {} can be updated without losing a request{how}{consent}{refused}",
        count(all, "service")
    );
    page.look.paint(if well == all { "green" } else { "yellow" }, &line) + "\n"
}

fn one(finding: &Finding, place: Place, look: &Look) -> String {
    let service = finding.service.iter().map(|name| format!("{name}: ")).collect::<String>();
    let problem = clean(&finding.problem);
    let mut text = format!("{}{service}{problem}\n", head(finding, place, look));
    if !finding.remedy.is_empty() {
        let colon = if finding.yaml.is_some() { ":" } else { "" };
        text += &format!("  {}{colon}\n", clean(&finding.remedy));
    }
    let yaml = finding.yaml.as_deref().map(clean_lines).unwrap_or_default();
    text + &yaml.iter().map(|line| format!("    {line}\n")).collect::<String>() + "\n"
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Hint => "hint",
    }
}

/// What was examined, and how much was found.
fn last(page: &Page) -> String {
    let counted = |severity: Severity| {
        let n = page.findings.iter().filter(|finding| finding.severity == severity).count();
        (n > 0).then(|| count(n, word(severity)))
    };
    let counts = [Severity::Error, Severity::Warning, Severity::Hint].into_iter().filter_map(counted);
    let counts: Vec<_> = counts.collect();
    let found = if counts.is_empty() { "nothing found".to_owned() } else { join(&counts) };
    format!("{found}; examined {}", join(&examined(page)))
}

fn examined(page: &Page) -> Vec<String> {
    let facts = page.facts;
    let project = page
        .project
        .map(|project| format!("{} of project {}", count(project.services.len(), "service"), project.name));
    let own = format!("docker zdd {}", facts.own_version);
    let engine = facts.engine.iter().map(|version| format!("Docker Engine {version}"));
    let compose = facts.compose.iter().map(|version| format!("Compose {version}"));
    std::iter::once(own).chain(engine).chain(compose).chain(project).collect()
}

/// The names are stable: `doctor.schema.json`.
#[derive(Serialize)]
struct Json<'a> {
    version: &'a str,
    engine: Option<&'a String>,
    compose: Option<String>,
    project: Option<&'a String>,
    findings: Vec<Placed<'a>>,
}

#[derive(Serialize)]
struct Placed<'a> {
    #[serde(flatten)]
    finding: &'a Finding,
    /// `compose.yaml:7`
    place: Option<String>,
}

pub fn json(page: &Page, place: Place) -> String {
    let placed = |finding| Placed { finding, place: place(finding) };
    let json = Json {
        version: &page.facts.own_version,
        engine: page.facts.engine.as_ref().ok(),
        compose: page.facts.compose.as_ref().ok().map(ToString::to_string),
        project: page.project.map(|project| &project.name),
        findings: page.findings.iter().map(placed).collect(),
    };
    serde_json::to_string_pretty(&json).unwrap_or_default() + "\n"
}
