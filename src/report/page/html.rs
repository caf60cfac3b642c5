//! The page's text. Pure.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{Settings, picture};
use crate::{
    event::{ContainerRef, Failure, Outcome, PlannedService, ProbeStage, Verdict},
    report::{
        summary::Summary,
        text::{clean_lines, clock, escape},
        traffic::{self, Traffic},
        words,
    },
};

const STYLE: &str = include_str!("style.css");

/// What the page tells, as far as pictures do not.
pub struct Facts {
    pub begun: SystemTime,
    pub project: String,
    pub services: Vec<Told>,
    pub settings: Vec<Settings>,
    pub refusals: Vec<Refusal>,
    pub warnings: Vec<(Option<String>, String)>,
    pub probe: Option<String>,
    pub traffic: Option<Traffic>,
    /// Exit code, message, hint, and how long it took.
    pub end: (u8, String, Option<String>, Duration),
}

impl Default for Facts {
    fn default() -> Facts {
        Facts {
            begun: UNIX_EPOCH,
            project: String::new(),
            services: vec![],
            settings: vec![],
            refusals: vec![],
            warnings: vec![],
            probe: None,
            traffic: None,
            end: (0, String::new(), None, Duration::ZERO),
        }
    }
}

/// A service: what was planned, and how it ended.
pub struct Told {
    pub plan: PlannedService,
    pub end: Option<(Outcome, Option<Vec<ContainerRef>>, Duration)>,
}

impl Told {
    pub fn of(plan: PlannedService) -> Told {
        Told { plan, end: None }
    }
}

pub struct Refusal {
    pub at: Duration,
    pub service: String,
    pub failure: Failure,
    pub undo: bool,
}

fn escape_lines(text: &str) -> String {
    clean_lines(text).iter().map(|line| escape(line)).collect::<Vec<_>>().join("\n")
}

pub fn page(facts: &Facts, summary: &Summary, log: &str) -> String {
    let title = match facts.project.as_str() {
        "" => "docker zdd".to_owned(),
        project => format!("{}: {}", escape(project), badge(facts.end.0).1),
    };
    let parts = [
        head(facts),
        refusals(&facts.refusals),
        timeline(facts, summary),
        probe(facts, summary),
        services(&facts.services),
        warnings(&facts.warnings),
        settings(&facts.settings),
        fold("Log", &format!("<pre>{}</pre>", escape_lines(log))),
    ];
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{}</main>\n</body>\n</html>\n",
        parts.concat()
    )
}

/// Colour and word of an exit code.
fn badge(exit_code: u8) -> (&'static str, &'static str) {
    match exit_code {
        0 => ("good", "done"),
        1 => ("bad", "error"),
        2 => ("bad", "refused"),
        3 => ("bad", "failed"),
        4 => ("bad", "undo failed"),
        5 => ("fair", "locked"),
        130 => ("fair", "interrupted"),
        _ => ("bad", "failed"),
    }
}

fn head(facts: &Facts) -> String {
    let (exit_code, message, hint, took) = &facts.end;
    let (class, word) = badge(*exit_code);
    let message: Vec<String> = clean_lines(message).iter().map(|line| escape(line)).collect();
    let hint = hint.as_ref().map(|hint| format!("<p class=\"hint\">Next: {}</p>\n", escape(hint)));
    format!(
        "<header>\n<p class=\"over\">docker zdd {} · {}</p>\n\
         <h1>{} <span class=\"badge {class}\">{word}</span></h1>\n<p class=\"message\">{}</p>\n{}\
         <p class=\"over\">exit code {exit_code} · {} in all</p>\n</header>\n",
        env!("CARGO_PKG_VERSION"),
        date(facts.begun),
        escape(if facts.project.is_empty() { "no project" } else { &facts.project }),
        message.join("<br>"),
        hint.unwrap_or_default(),
        clock(*took),
    )
}

fn section(title: &str, body: &str) -> String {
    format!("<section>\n<h2>{title}</h2>\n{body}</section>\n")
}

fn fold(title: &str, body: &str) -> String {
    format!("<section>\n<details>\n<summary>{title}</summary>\n{body}\n</details>\n</section>\n")
}

fn refusals(refusals: &[Refusal]) -> String {
    let one = |refusal: &Refusal| {
        let then =
            if refusal.undo { "taken back" } else { "left so, as failure_action or max_failure_ratio says" };
        let details = words::details(&refusal.failure);
        let details = details.iter().map(|line| escape(line)).collect::<Vec<_>>().join("\n");
        let details = if details.is_empty() { details } else { format!("<pre>{details}</pre>\n") };
        let (service, why) = (escape(&refusal.service), escape(&words::failure(&refusal.failure)));
        format!(
            "<p><b>{service}</b> at {}: {why} <span class=\"dim\">({then})</span></p>\n{details}",
            clock(refusal.at)
        )
    };
    match refusals {
        [] => String::new(),
        some => section("Why the new version was refused", &some.iter().map(one).collect::<String>()),
    }
}

fn timeline(facts: &Facts, summary: &Summary) -> String {
    let Some(picture) = picture::timeline(summary.timeline(), &marks(facts)) else { return String::new() };
    let parts =
        summary.parts().into_iter().map(|(name, time)| format!("<li>{name} <b>{}</b></li>", clock(time)));
    let parts = format!("<ul class=\"parts\">{}</ul>\n", parts.collect::<String>());
    section("Timeline", &(picture + &parts))
}

fn marks(facts: &Facts) -> Vec<Duration> {
    facts.refusals.iter().map(|refusal| refusal.at).collect()
}

fn probe(facts: &Facts, summary: &Summary) -> String {
    let (Some(probe), Some(traffic)) = (&facts.probe, &facts.traffic) else { return String::new() };
    let chart = picture::traffic(summary.timeline(), traffic, &marks(facts)).unwrap_or_default();
    let row = |name: &str, class: &str, figures: &ProbeStage| {
        let failed = if figures.failures > 0 { " class=\"bad\"" } else { "" };
        format!(
            "<tr{class}><td>{name}</td><td>{}</td><td{failed}>{}</td><td>{}</td><td>{}</td></tr>\n",
            figures.requests,
            figures.failures,
            traffic::time(figures.mean),
            traffic::time(figures.slowest)
        )
    };
    let rows = traffic.stages.iter().map(|stage| row(traffic::word(stage.stage), "", stage));
    let all = traffic.all().map(|all| row("all", " class=\"sum\"", &all)).unwrap_or_default();
    let table = format!(
        "<table class=\"figures\">\n<tr><th>while</th><th>requests</th><th>failed</th><th>mean</th><th>slowest</th></tr>\n{}{all}</table>\n",
        rows.collect::<String>()
    );
    section("Probe", &format!("<p>{}</p>\n{chart}{table}", escape(probe)))
}

fn services(services: &[Told]) -> String {
    if services.is_empty() {
        return String::new();
    }
    let rows: String = services.iter().map(service).collect();
    let head = "<tr><th>service</th><th>verdict</th><th>why</th><th>replicas</th><th>outcome</th><th>serving</th><th>took</th></tr>";
    section("Services", &format!("<div class=\"wide\"><table>\n{head}\n{rows}</table></div>\n"))
}

fn service(told: &Told) -> String {
    let unchanged = told.plan.verdict == Verdict::Unchanged;
    let (outcome, class, serving, took) = match &told.end {
        None => ("", "dim", String::new(), String::new()),
        Some((Outcome::Unchanged, ..)) => ("", "dim", String::new(), String::new()),
        Some((outcome, serving, took)) => {
            let names = serving.as_ref().map(|some| words::join(some.iter().map(|c| c.name.as_str())));
            let class = match outcome {
                Outcome::Done | Outcome::Unchanged => "good",
                Outcome::RolledBack | Outcome::UndoFailed => "bad",
                _ => "fair",
            };
            (words::outcome(*outcome), class, names.unwrap_or_else(|| "not known".to_owned()), clock(*took))
        }
    };
    format!(
        "<tr{}><td><b>{}</b></td><td>{}</td><td>{}</td><td>{}</td><td class=\"{class}\">{outcome}</td><td>{}</td><td>{took}</td></tr>\n",
        if unchanged { " class=\"dim\"" } else { "" },
        escape(&told.plan.service),
        told.plan.verdict.word(),
        escape(&told.plan.reason),
        told.plan.replicas,
        escape(&serving),
    )
}

fn warnings(warnings: &[(Option<String>, String)]) -> String {
    let one = |(service, message): &(Option<String>, String)| {
        let service = service.as_ref().map(|service| format!("<b>{}</b>: ", escape(service)));
        format!("<li>{}{}</li>\n", service.unwrap_or_default(), escape(message))
    };
    match warnings {
        [] => String::new(),
        some => section("Warnings", &format!("<ul>\n{}</ul>\n", some.iter().map(one).collect::<String>())),
    }
}

fn settings(settings: &[Settings]) -> String {
    let line = |(key, value, source): &(String, String, String)| {
        let class = if source == "default" { " class=\"dim\"" } else { "" };
        format!(
            "<tr{class}><td>{}</td><td>{}</td><td>{}</td></tr>\n",
            escape(key),
            escape(value),
            escape(source)
        )
    };
    let one = |(service, lines): &Settings| {
        let rows: String = lines.iter().map(line).collect();
        format!(
            "<h3>{}</h3>\n<table>\n<tr><th>key</th><th>value</th><th>from</th></tr>\n{rows}</table>\n",
            escape(service)
        )
    };
    match settings {
        [] => String::new(),
        some => fold("Settings", &some.iter().map(one).collect::<String>()),
    }
}

/// `2026-11-23 19:47:12 UTC`.
pub fn date(time: SystemTime) -> String {
    crate::clock::utc(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}
