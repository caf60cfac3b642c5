//! The findings of `docker zdd doctor`, for people and for programs. Pure.

use serde::Serialize;

use super::text::clean;
use crate::{
    doctor::{Facts, Finding, Severity},
    model::Model,
};

/// All that is told.
pub struct Page<'a> {
    pub findings: &'a [Finding],
    pub facts: &'a Facts,
    pub model: Option<&'a Model>,
}

/// Where a finding stands in the user's files.
type Place<'a> = &'a dyn Fn(&Finding) -> Option<String>;

pub fn text(page: &Page, place: Place) -> String {
    let findings: String = page.findings.iter().map(|finding| one(finding, place)).collect();
    format!("{findings}{}\n", last(page))
}

fn one(finding: &Finding, place: Place) -> String {
    let at = place(finding).map(|place| format!("{place}: ")).unwrap_or_default();
    let mut text = format!("{at}{}: {}\n", word(finding.severity), clean(&finding.problem));
    if !finding.remedy.is_empty() {
        let colon = if finding.yaml.is_some() { ":" } else { "" };
        text += &format!("  {}{colon}\n", clean(&finding.remedy));
    }
    for line in finding.yaml.iter().flat_map(|yaml| yaml.lines()) {
        text += &format!("    {line}\n");
    }
    text + "\n"
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
    let count = |severity: Severity, word: &str| {
        let n = page.findings.iter().filter(|finding| finding.severity == severity).count();
        (n > 0).then(|| counted(n, word))
    };
    let counts = [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Hint, "hint")];
    let counts: Vec<_> = counts.into_iter().filter_map(|(severity, word)| count(severity, word)).collect();
    let found = if counts.is_empty() { "nothing found".to_owned() } else { counts.join(", ") };
    format!("{found}; examined {}", examined(page).join(", "))
}

fn examined(page: &Page) -> Vec<String> {
    let mut all = vec![format!("docker zdd {}", page.facts.own_version)];
    all.extend(page.facts.engine.iter().map(|version| format!("Docker Engine {version}")));
    all.extend(page.facts.compose.iter().map(|version| format!("Compose {version}")));
    all.extend(
        page.model.map(|model| {
            format!("{} of project {}", counted(model.services.len(), "service"), model.project)
        }),
    );
    all
}

fn counted(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
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
        project: page.model.map(|model| &model.project),
        findings: page.findings.iter().map(placed).collect(),
    };
    serde_json::to_string_pretty(&json).unwrap_or_default() + "\n"
}
