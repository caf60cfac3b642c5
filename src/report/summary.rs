//! What a run did and how long each part took, said once at the end. Pure.

use super::{Look, timeline, traffic, words};
use crate::story::Story;

/// The timeline and the totals; empty when the run touched no container.
pub fn lines(story: &Story, look: &Look) -> Vec<String> {
    let mut lines = timeline::lines(story, look);
    if lines.is_empty() {
        return lines;
    }
    lines.extend(totals(story, look));
    let containers = story.services.iter().flat_map(|service| &service.containers);
    let mut drains: Vec<_> = containers.filter_map(|c| Some((c.drain_note()?, &c.container.name))).collect();
    drains.sort();
    lines.extend(drains.iter().map(|((_, note), name)| format!("drain of {name}: {note}")));
    lines.extend(story.traffic.iter().flat_map(|traffic| traffic::table(traffic, look)));
    lines
}

/// `start 0.4s, health 1.6s, stop 0.3s, total 2.4s`; on a narrow terminal more than one line.
fn totals(story: &Story, look: &Look) -> Vec<String> {
    let all = story.parts().into_iter().chain(story.end.as_ref().map(|end| ("total", end.took)));
    // A name stays with its figure.
    let all: Vec<_> = all.map(|(name, took)| format!("{name}\u{a0}{}", words::stopwatch(took))).collect();
    look.wrap(&all.join(", "), "").iter().map(|line| line.replace('\u{a0}', " ")).collect()
}

#[cfg(test)]
mod tests;
