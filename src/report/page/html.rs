//! The page's text. Pure.

use std::time::Duration;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{About, Settings, State, picture};
use crate::event::{End, Failure, Outcome, PlannedService, ServiceEnd, Verdict};
use crate::report::words::{self, answer_time, stopwatch};
use crate::report::{Look, traffic};
use crate::story::Story;
use crate::text::{clean, clean_lines, date};

pub const STYLE: &str = include_str!("style.css");

pub fn page(state: &State, end: &End) -> String {
    let State { story, settings, log, .. } = state;
    let (class, word) = badge(story, end);
    let project = clean(&story.project);
    let title = if project.is_empty() { "docker zdd".to_owned() } else { format!("{project}: {word}") };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main {
                header {
                    p.over { "docker zdd " (env!("CARGO_PKG_VERSION")) " · " (date::utc(state.begun)) }
                    h1 {
                        (if project.is_empty() { "no project" } else { &project }) " "
                        span class={ "badge " (class) } { (word) }
                    }
                    p.message { @for (i, line) in words::message(story).iter().enumerate() { @if i > 0 { br; } (line) } }
                    @if let Some(hint) = &end.hint { p.hint { "Next: " (lines(hint)) } }
                    p.over { "exit code " (end.exit_code) " · " (stopwatch(end.took)) " in all" }
                    (origin(&state.about))
                }
                (section("Why the new version failed", failures(story)))
                (section("Timeline", timeline(story)))
                (section("Probe", probe(story)))
                (section("Services", services(story)))
                (section("Warnings", warnings(story)))
                @if !settings.is_empty() { (folded("Settings", html! { @for one in settings { (settings_of(one)) } })) }
                (folded("Log", html! { pre { (lines(log)) } }))
            } }
        }
    };
    page.into_string()
}

/// Color and word of an exit code.
fn badge(story: &Story, end: &End) -> (&'static str, &'static str) {
    match end.exit_code {
        0 if story.amber().is_some() => ("fair", "done, with failed requests"),
        0 => ("good", "done"),
        1 => ("bad", "error"),
        2 => ("bad", "refused"),
        4 => ("bad", "rollback failed"),
        5 => ("fair", "locked"),
        130 => ("fair", "interrupted"),
        _ => ("bad", "failed"),
    }
}

fn lines(text: &str) -> String {
    clean_lines(text).join("\n")
}

/// Left out where there is nothing to show.
fn section(title: &str, body: Option<Markup>) -> Markup {
    html! { @if let Some(body) = body { section { h2 { (title) } (body) } } }
}

fn folded(title: &str, body: Markup) -> Markup {
    html! { section { details { summary { (title) } (body) } } }
}

fn table(titles: &[&str], rows: Markup) -> Markup {
    html! { table { tr { @for title in titles { th { (title) } } } (rows) } }
}

/// Who ran what, where.
fn origin(about: &About) -> Markup {
    let About { command, who, engine, folder, commit } = about;
    let all = [("command", command), ("by", who), ("engine", engine), ("folder", folder), ("commit", commit)];
    let known = all.into_iter().filter(|(_, text)| !text.is_empty());
    html! { dl.over { @for (name, text) in known { div { dt { (name) } dd { (clean(text)) } } } } }
}

fn failures(story: &Story) -> Option<Markup> {
    let one = |service: &str, (at, failure, rollback): &(Duration, Failure, bool)| {
        let as_set = "left as it is, as failure_action or max_failure_ratio says";
        let then = if *rollback { "rolled back" } else { as_set };
        let details = words::details(failure, &Look::default()).join("\n");
        html! {
            p {
                b { (clean(service)) } " at " (stopwatch(*at)) ": " (words::failure(failure))
                span.dim { " (" (then) ")" }
            }
            @if !details.is_empty() { pre { (details) } }
        }
    };
    let all = story.services.iter().flat_map(|s| s.failures.iter().map(|failure| one(&s.name, failure)));
    let all: Vec<Markup> = all.collect();
    (!all.is_empty()).then(|| html! { @for one in &all { (one) } })
}

fn timeline(story: &Story) -> Option<Markup> {
    let picture = picture::timeline(story)?;
    let parts = html! { @for (part, took) in story.parts() { li { (part) " " b { (stopwatch(took)) } } } };
    Some(html! { div.wide { (picture) } ul.parts { (parts) } })
}

fn probe(story: &Story) -> Option<Markup> {
    let (probe, traffic) = (story.probe.as_ref()?, story.traffic.as_ref()?);
    let rows = html! {
        @for (name, stage) in traffic::columns(traffic) {
            tr.sum[name == "all"] {
                td { (name) } td { (stage.requests) } td.bad[stage.failures > 0] { (stage.failures) }
                td { (answer_time(stage.mean)) } td { (answer_time(stage.slowest)) }
            }
        }
    };
    let table = table(&["while", "requests", "failed", "mean", "slowest"], rows);
    let chart = picture::traffic(story, traffic);
    Some(
        html! { p { (words::probe(probe)) } @if let Some(chart) = chart { div.wide { (chart) } } div."wide figures" { (table) } },
    )
}

fn services(story: &Story) -> Option<Markup> {
    let planned =
        story.services.iter().filter_map(|service| Some((service.plan.as_ref()?, service.end.as_ref())));
    let rows: Vec<Markup> = planned.map(|(plan, end)| service_row(plan, end)).collect();
    let titles = ["service", "verdict", "why", "image", "replicas", "outcome", "serving", "took"];
    let table = table(&titles, html! { @for row in &rows { (row) } });
    (!rows.is_empty()).then(|| html! { div.wide { (table) } })
}

fn service_row(plan: &PlannedService, end: Option<&ServiceEnd>) -> Markup {
    let end = end.filter(|end| end.outcome != Outcome::Unchanged);
    let serving = |end: &ServiceEnd| end.serving.as_deref().map_or("not known".to_owned(), words::containers);
    let class = match end.map(|end| end.outcome) {
        None => "dim",
        Some(outcome) if outcome.is_good() => "good",
        Some(Outcome::RolledBack | Outcome::RollbackFailed) => "bad",
        Some(_) => "fair",
    };
    html! {
        tr.dim[plan.verdict == Verdict::Unchanged] {
            td { b { (clean(&plan.service)) } } td { (plan.verdict.word()) } td { (clean(&plan.reason)) }
            td { (clean(&image(plan))) } td { (plan.replicas) }
            td class=(class) { @if let Some(end) = end { (end.outcome.word()) } }
            td { @if let Some(end) = end { (serving(end)) } }
            td { @if let Some(end) = end { (stopwatch(end.took)) } }
        }
    }
}

/// `v1 → v2`, else what runs.
fn image(plan: &PlannedService) -> String {
    plan.versions.change().unwrap_or_else(|| plan.versions.wanted())
}

fn warnings(story: &Story) -> Option<Markup> {
    let list = html! {
        @for (service, message) in &story.warnings {
            li { @if let Some(service) = service { b { (clean(service)) } ": " } (lines(message)) }
        }
    };
    (!story.warnings.is_empty()).then(|| html! { ul { (list) } })
}

fn settings_of((service, settings): &Settings) -> Markup {
    let rows = html! {
        @for (key, value, source) in settings {
            tr.dim[source == "default"] { td { (clean(key)) } td { (clean(value)) } td { (clean(source)) } }
        }
    };
    html! { h3 { (clean(service)) } div.wide { (table(&["key", "value", "from"], rows)) } }
}
