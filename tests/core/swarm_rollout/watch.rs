use std::{collections::BTreeSet, time::Duration};

use serde_json::json;
use zdd::{
    engine::swarm::{Service, Task, Update},
    platform::swarm::watch::{self, Limits, Look, Sent, Verdict, Watch},
};

use super::{service, tasks};

const SECOND: Duration = Duration::from_secs(1);

/// What was seen at some second after the update was sent.
struct Seen {
    at: u32,
    service: Option<Service>,
    tasks: Vec<Task>,
    nodes: &'static str,
}

fn seen(at: u32, state: &str, lines: &[&str]) -> Seen {
    Seen { at, service: Some(service("new", 2, state)), tasks: tasks(lines), nodes: "n1 n2 n3" }
}

fn nodes(words: &str) -> BTreeSet<String> {
    words.split(' ').map(str::to_owned).collect()
}

/// Of an update of two tasks, which were there before.
fn sent() -> Sent {
    Sent {
        hash: "new".to_owned(),
        before: tasks(&OLD).into_iter().map(|task| task.id).collect(),
        update: None,
        nodes: nodes("n1 n2 n3"),
        proves_itself: false,
    }
}

const OLD: [&str; 2] = ["app.1 n1 running", "app.2 n2 running"];

fn watch(sent: Sent) -> Watch {
    Watch::new(sent, Limits { still: 60 * SECOND, preparing: 600 * SECOND, monitor: 10 * SECOND })
}

/// The last verdict. Of the tasks those count as of the new definition that were not there before.
fn judge(sent: Sent, looks: &[Seen]) -> Verdict {
    let mut watch = watch(sent);
    let mut last = Verdict::Wait;
    for look in looks {
        let before = &watch.sent.before;
        let current: Vec<_> = look.tasks.iter().filter(|task| !before.contains(&task.id)).cloned().collect();
        let nodes = nodes(look.nodes);
        let seen =
            Look { service: look.service.as_ref(), tasks: &look.tasks, current: &current, nodes: &nodes };
        last = watch.judge(&seen, look.at * SECOND);
    }
    last
}

fn reason(verdict: Verdict) -> String {
    match verdict {
        Verdict::RollingBack(cause)
        | Verdict::RolledBack(cause)
        | Verdict::Paused(cause)
        | Verdict::RollbackPaused(cause)
        | Verdict::Stuck(cause) => {
            let task = cause.task.map(|task| format!("{}: ", task.name)).unwrap_or_default();
            format!("{task}{}", cause.reason)
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn an_update_is_done_when_swarm_says_so_and_so_many_run() {
    let new = ["app.1' n2 running", "app.2' n3 running"];
    assert_eq!(judge(sent(), &[seen(1, "updating", &new)]), Verdict::Wait);
    assert_eq!(judge(sent(), &[seen(9, "completed", &new)]), Verdict::Done);
    assert_eq!(judge(sent(), &[seen(9, "completed", &new[..1])]), Verdict::Wait, "one has fallen since");
}

#[test]
fn the_end_of_an_earlier_update_says_nothing() {
    let old = Update { state: "completed".to_owned(), started_at: "t1".to_owned(), message: String::new() };
    let earlier = Sent { update: Some(old), ..sent() };
    assert_eq!(judge(earlier.clone(), &[seen(0, "completed", &OLD)]), Verdict::Wait);
    let earlier_failed = seen(0, "rollback_completed", &OLD);
    assert_eq!(judge(earlier, &[earlier_failed]), Verdict::Wait);
}

#[test]
fn a_first_start_without_a_healthcheck_proves_itself_for_the_monitor_window() {
    let first = |proves_itself| Sent { before: BTreeSet::new(), proves_itself, ..sent() };
    let running = ["app.1 n1 running", "app.2 n2 running"];
    assert_eq!(judge(first(false), &[seen(3, "", &running)]), Verdict::Done, "it is healthy");
    assert_eq!(judge(first(true), &[seen(3, "", &running)]), Verdict::Wait);
    assert_eq!(judge(first(true), &[seen(3, "", &running), seen(12, "", &running)]), Verdict::Wait);
    assert_eq!(judge(first(true), &[seen(3, "", &running), seen(13, "", &running)]), Verdict::Done);
    let again = ["app.1 n1 running", "app.2' n2 running"];
    let looks = [seen(3, "", &running), seen(9, "", &again), seen(13, "", &again)];
    assert_eq!(judge(first(true), &looks), Verdict::Wait, "one has fallen and was started again");
}

#[test]
fn nothing_is_waited_for_where_no_task_is_replaced() {
    let mut watch = watch(Sent { proves_itself: true, ..sent() });
    let (service, all, nodes) = (service("new", 2, ""), tasks(&OLD), nodes("n1 n2 n3"));
    let look = Look { service: Some(&service), tasks: &all, current: &all, nodes: &nodes };
    assert_eq!(watch.judge(&look, SECOND), Verdict::Done);
}

#[test]
fn what_does_not_move_any_more_is_stuck() {
    let pending = ["app.1 n1 running", "app.1' - pending \"no suitable node (scheduling constraints)\""];
    let looks = |at| [seen(1, "updating", &pending), seen(at, "updating", &pending)];
    assert_eq!(judge(sent(), &looks(60)), Verdict::Wait, "since it became pending");
    assert_eq!(
        reason(judge(sent(), &looks(61))),
        "shop_app.1: waits: no suitable node (scheduling constraints)"
    );
}

#[test]
fn an_image_may_come_for_ten_minutes() {
    let loading = ["app.1' n2 preparing"];
    let looks = |at| [seen(1, "updating", &loading), seen(at, "updating", &loading)];
    assert_eq!(judge(sent(), &looks(600)), Verdict::Wait);
    let stuck = reason(judge(sent(), &looks(601)));
    assert_eq!(stuck, "shop_app.1: is preparing and does not come any further");
}

#[test]
fn a_first_start_that_fails_again_and_again_comes_no_further() {
    let first = Sent { before: BTreeSet::new(), ..sent() };
    let failed = |n: usize| {
        let again = format!("app.1{} n1 starting", "'".repeat(n));
        seen(20 * n as u32, "", &["app.1 n1 shutdown failed \"task: non-zero exit (3)\"", again.as_str()])
    };
    let looks = [failed(1), failed(2), failed(3), failed(4)];
    assert_eq!(judge(first.clone(), &looks[..3]), Verdict::Wait);
    assert_eq!(reason(judge(first, &looks)), "shop_app.1: exited with code 3");
}

#[test]
fn a_rollback_by_swarm_is_explained_by_the_task_that_it_names() {
    let back = |state: &str, lines: &[&str], nodes| {
        let mut look = seen(9, state, lines);
        let service = look.service.as_mut().expect("a service");
        service.spec = super::spec("old", 2);
        service.update.as_mut().expect("an update").message =
            "update rolled back due to failure or early termination of task app.1'@n2".to_owned();
        Seen { nodes, ..look }
    };
    let failed = ["app.2' n3 shutdown complete", "app.1' n2 shutdown failed \"task: non-zero exit (1)\""];
    assert_eq!(
        judge(sent(), &[back("rollback_started", &failed, "n1 n2 n3")]),
        judge(sent(), &[back("rollback_started", &failed, "n1 n2")]),
        "a node without the task says nothing"
    );
    let verdict = judge(sent(), &[back("rollback_completed", &failed, "n1 n2 n3")]);
    assert!(matches!(verdict, Verdict::RolledBack(_)), "{verdict:?}");
    assert_eq!(reason(verdict), "shop_app.1: exited with code 1");
    let unhealthy = ["app.1' n2 shutdown complete"];
    assert_eq!(
        reason(judge(sent(), &[back("rollback_started", &unhealthy, "n1 n2 n3")])),
        "shop_app.1: ended, or was stopped because it did not become healthy"
    );
    let drained = reason(judge(sent(), &[back("rollback_started", &failed, "n1 n3")]));
    assert!(drained.contains("n2, which was drained or lost meanwhile"), "{drained}");
}

#[test]
fn whoever_else_changes_it_is_found_out() {
    let mut look = seen(3, "updating", &OLD);
    look.service = Some(service("theirs", 2, "updating"));
    assert_eq!(judge(sent(), &[look]), Verdict::ChangedByOther);
    let gone = Seen { service: None, ..seen(3, "", &[]) };
    assert_eq!(judge(sent(), &[gone]), Verdict::Gone);
    let paused = judge(sent(), &[seen(3, "paused", &["app.1' n2 shutdown rejected \"No such image\""])]);
    assert_eq!(reason(paused), "shop_app.1: could not be started: No such image");
    assert!(matches!(judge(sent(), &[seen(3, "rollback_paused", &OLD)]), Verdict::RollbackPaused(_)));
}

#[test]
fn a_job_is_done_when_its_task_has_ended_well() {
    let judge = |lines: &[&str]| {
        let (service, all, nodes) = (service("", 1, ""), tasks(lines), nodes("n1"));
        let look = Look { service: Some(&service), tasks: &all, current: &all, nodes: &nodes };
        let mut watch = watch(Sent::default());
        watch.judge_job(&look, SECOND);
        reason(watch.judge_job(&look, 3600 * SECOND))
    };
    assert_eq!(judge(&["job.1 n1 running"]), "Wait", "it takes the time that it takes");
    assert_eq!(judge(&["job.1 n1 shutdown complete"]), "Done");
    let failed = judge(&["job.1 n1 shutdown failed \"task: non-zero exit (2)\""]);
    let again = ["job.1 n1 shutdown failed", "job.1' n2 ready pending"];
    assert_ne!(judge(&again), "Done", "Swarm starts it again");
    assert!(judge(&["job.1 n1 shutdown running"]).contains("nothing moves"), "its node is lost");
    assert_eq!(failed, "shop_job.1: exited with code 2");
    assert!(judge(&["job.1 - pending \"no suitable node\""]).contains("no suitable node"));
}

#[test]
fn the_rollback_ends_when_swarm_is_there() {
    let judge = |hash: &str, state: &str| {
        let (service, all, nodes) = (service(hash, 2, state), tasks(&OLD), nodes("n1 n2 n3"));
        let look = Look { service: Some(&service), tasks: &all, current: &all, nodes: &nodes };
        let sent = Sent { hash: "old".to_owned(), ..Sent::default() };
        watch(sent).judge_back(&look, SECOND)
    };
    assert_eq!(judge("old", "rollback_started"), Verdict::Wait);
    assert_eq!(judge("old", "rollback_completed"), Verdict::Done);
    assert_eq!(judge("old", ""), Verdict::Done, "there was nothing to replace");
    assert_eq!(judge("theirs", "updating"), Verdict::ChangedByOther);
    assert!(matches!(judge("old", "rollback_paused"), Verdict::RollbackPaused(_)));
}

#[test]
fn a_global_service_is_wanted_on_each_node_that_has_had_one() {
    let mut service = service("new", 0, "");
    service.spec["Mode"] = json!({"Global": {}});
    let wanted = |all: &[&str], current: &[&str]| {
        let (tasks, current, nodes) = (tasks(all), tasks(current), nodes("n1 n2"));
        let look = Look { service: Some(&service), tasks: &tasks, current: &current, nodes: &nodes };
        watch::wanted(&service, &look)
    };
    let old = ["app.1 n1 running", "app.2 n2 running", "app.3 n3 running"];
    assert_eq!(wanted(&old, &[]), 2, "the third node takes none any more");
    assert_eq!(wanted(&["app.1 n1 shutdown failed"], &[]), 1, "they have all failed");
    assert_eq!(wanted(&[], &[]), 1, "none is there yet");
}
