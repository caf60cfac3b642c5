use std::{collections::BTreeSet, time::Duration};

use zdd::{
    engine::swarm::Task,
    event::{Generation, Phase},
    platform::swarm::{news::News, watch::Look},
};

use super::tasks;

/// What is told of these looks, one after the other.
fn told(looks: &[(&[&str], bool)]) -> Vec<String> {
    let before: Vec<Task> = tasks(&["app.1 n1 running", "app.2 n2 running"]);
    let mut news = News::new("shop", before.iter().map(|task| task.id.clone()).collect());
    let nodes = BTreeSet::new();
    let mut all = Vec::new();
    for (lines, back) in looks {
        let tasks = tasks(lines);
        let look = Look { service: None, tasks: &tasks, current: &[], nodes: &nodes };
        all.extend(news.of(&look, Duration::ZERO, *back).iter().map(|(container, generation, phase)| {
            let word = match phase {
                Phase::Waiting { .. } => "waits",
                Phase::Started => "starts",
                Phase::Ready => "ready",
                Phase::Failed { reason } => reason,
                Phase::Draining { .. } => "leaves",
                Phase::Stopped { .. } => "stopped",
                Phase::Restoring => "starts again",
                Phase::Restored => "serves again",
                _ => "else",
            };
            let old = if *generation == Generation::Old { "old " } else { "" };
            format!("{old}{}: {word}", container.name)
        }));
    }
    all
}

#[test]
fn each_task_is_told_of_from_its_start_to_its_end() {
    let told = told(&[
        (&["app.1 n1 running", "app.1' - pending"], false),
        (&["app.1 n1 running", "app.1' n3 preparing"], false),
        (&["app.1 n1 running", "app.1' n3 starting"], false),
        (&["app.1 n1 shutdown running", "app.1' n3 running"], false),
        (&["app.1 n1 shutdown shutdown", "app.1' n3 running"], false),
    ]);
    let wanted = [
        "app.1 on n3: starts",
        "app.1 on n3: waits",
        "old app.1 on n1: leaves",
        "app.1 on n3: ready",
        "old app.1 on n1: stopped",
    ];
    assert_eq!(told, wanted);
}

#[test]
fn what_fails_and_what_comes_back_are_told_apart() {
    let told = told(&[
        (&["app.1 n1 running", "app.1' n3 starting"], false),
        (&["app.1 n1 shutdown complete", "app.1' n3 shutdown failed \"task: non-zero exit (3)\""], false),
        (&["app.1'' n2 starting"], true),
        (&["app.1'' n2 running"], true),
    ]);
    let wanted = [
        "app.1 on n3: starts",
        "app.1 on n3: waits",
        "old app.1 on n1: stopped",
        "app.1 on n3: stopped",
        "old app.1 on n2: starts again",
        "old app.1 on n2: serves again",
    ];
    assert_eq!(told, wanted);
}

#[test]
fn what_had_ended_before_is_no_news() {
    let told =
        told(&[(&["app.1 n1 shutdown failed \"task: non-zero exit (3)\"", "app.2 n2 running"], false)]);
    assert!(told.is_empty(), "{told:?}");
}
