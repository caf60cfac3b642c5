//! What is shown in the end.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::{
    model::Kind::{self, App, Data, Job},
    run::Story,
};

#[derive(Default)]
pub struct Table {
    rows: BTreeMap<String, Story>,
    /// Files that Compose itself refuses, and stacks that cannot run here.
    left_out: Vec<String>,
}

impl Table {
    pub fn add(&mut self, name: &str, story: Story) {
        self.rows.insert(name.to_owned(), story);
    }

    pub fn leave_out(&mut self, name: &str, why: &str) {
        self.left_out.push(format!("{name}: {why}"));
    }

    fn count(&self, kind: Kind, fates: &[&str]) -> usize {
        self.rows.values().map(|story| count(story, kind, fates)).sum()
    }

    /// # Panics
    /// When less became of the stacks than should.
    pub fn check(&self) {
        let apps = self.count(App, ALL);
        let well = self.count(App, &["rolled", "held"]);
        assert!(well * 100 >= apps * 95, "{well} of {apps} apps are rolled or held, fewer than 95 of 100");
        let faults: Vec<_> = self.rows.iter().filter(|(_, story)| !story.faults.is_empty()).collect();
        assert!(faults.is_empty(), "{} stacks were not as they should be", faults.len());
    }
}

const ALL: &[&str] = &["rolled", "held", "consent", "refused", "other"];

fn count(story: &Story, kind: Kind, fates: &[&str]) -> usize {
    story.fates.values().filter(|(of, fate)| *of == kind && fates.contains(fate)).count()
}

/// Visited apps, and their requests in all, failed ones, and the slowest in milliseconds.
fn visits(story: &Story) -> (usize, u64, u64, f64) {
    let found = story.found.values();
    let sum = |of: fn(&crate::visitors::Found) -> u64| found.clone().map(of).sum();
    let slowest = found.clone().map(|found| found.slowest).fold(0.0, f64::max);
    (story.found.len(), sum(|found| found.requests), sum(|found| found.failed), slowest)
}

fn seconds(took: Option<Duration>) -> String {
    took.map_or("-".to_owned(), |took| format!("{:.0}", took.as_secs_f64()))
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ran = self.rows.values().any(|story| story.took[0].is_some());
        let more = if ran { " requests | failed | slowest | start | update | rollback |" } else { "" };
        writeln!(
            f,
            "| stack | apps: rolled | held | consent | refused | data: rolled, held | consent | jobs |{more}"
        )?;
        let columns = if ran { 14 } else { 8 };
        writeln!(f, "|---|{}", "---:|".repeat(columns - 1))?;
        for (name, story) in &self.rows {
            write!(f, "| {name} {}", fates(|kind, fates| count(story, kind, fates)))?;
            if ran {
                let (_, requests, failed, slowest) = visits(story);
                write!(f, " {requests} | {failed} | {:.1} s |", slowest / 1000.0)?;
                story.took.iter().try_for_each(|took| write!(f, " {} |", seconds(*took)))?;
            }
            writeln!(f)?;
        }
        write!(f, "| **all** {}", fates(|kind, fates| self.count(kind, fates)))?;
        if ran {
            let all = self.rows.values().map(visits);
            let (_, requests, failed, slowest) =
                all.fold((0, 0, 0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2, f64::max(a.3, b.3)));
            write!(f, " {requests} | {failed} | {:.1} s | | | |", slowest / 1000.0)?;
        }
        writeln!(f, "\n")?;
        self.sentences(f)
    }
}

impl Table {
    fn sentences(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let well = self.count(App, &["rolled", "held"]);
        writeln!(f, "{well} of {} apps are rolled or held", self.count(App, ALL))?;
        for (name, story) in &self.rows {
            story.faults.iter().try_for_each(|fault| writeln!(f, "- {name}: {fault}"))?;
            if !story.unvisited.is_empty() {
                writeln!(f, "- {name}: nobody can visit {}", story.unvisited.join(", "))?;
            }
        }
        self.left_out.iter().try_for_each(|line| writeln!(f, "- {line}"))
    }
}

fn fates(count: impl Fn(Kind, &[&str]) -> usize) -> String {
    let cells = [
        count(App, &["rolled"]),
        count(App, &["held"]),
        count(App, &["consent"]),
        count(App, &["refused", "other"]),
        count(Data, &["rolled", "held"]),
        count(Data, &["consent", "refused", "other"]),
        count(Job, ALL),
    ];
    cells.iter().map(|n| format!("| {n} ")).collect::<String>() + "|"
}
