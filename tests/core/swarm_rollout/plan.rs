use std::collections::BTreeMap;

use zdd::{
    engine::swarm::Service,
    event::{Outcome, Verdict},
    keep::{Deployed, Revision},
    plan::{Plan, Request, ServicePlan},
    platform::swarm::{Observed, Target, observe::spec_hash, planner::plan},
};

use super::{node, service, tasks};
use crate::make::project;

/// `app` with two tasks, as it is to be.
fn target() -> Target {
    Target {
        hash: "new".to_owned(),
        settings_hash: "s1".to_owned(),
        image: "shop:1".to_owned(),
        replicas: Some(2),
        text: "services: {app: {}}".to_owned(),
        ..Target::default()
    }
}

const RUNNING: [&str; 2] = ["app.1 n1 running", "app.2 n2 running"];

fn observed(service: Option<Service>) -> Observed {
    let nodes = vec![node("n1", "active"), node("n2", "active"), node("n3", "drain")];
    Observed::of("shop", service.into_iter().collect(), &tasks(&RUNNING), nodes, vec![])
}

fn planned(yaml: &str, target: Target, observed: &Observed, request: &Request) -> Plan {
    let project = project(yaml);
    let targets = BTreeMap::from([("app".to_owned(), target)]);
    plan(&project, &targets, observed, request)
}

const APP: &str = "services: {app: {image: shop, deploy: {replicas: 2}}}";

/// The verdict, its reason, and what is done.
fn row(plan: &ServicePlan) -> String {
    let operations: Vec<_> = plan
        .operations
        .iter()
        .map(|op| serde_json::to_value(op).expect("JSON"))
        .map(|op| format!("{} {}", op["operation"], op["change"]).replace(" null", "").replace('"', ""))
        .collect();
    format!("{}: {} [{}]", plan.verdict.word(), plan.reason, operations.join(", "))
}

fn decided(target: Target, observed: &Observed) -> String {
    row(&planned(APP, target, observed, &Request::default()).services[0])
}

#[test]
fn what_is_as_wanted_is_not_sent() {
    let is = decided(target(), &observed(Some(service("new", 2, "completed"))));
    assert_eq!(is, "unchanged: definition, image and count are as wanted []");
    let is = decided(target(), &observed(Some(service("new", 2, "rollback_completed"))));
    assert_eq!(is, "unchanged: definition, image and count are as wanted []", "it is back at what is wanted");
}

#[test]
fn tasks_that_are_missing_are_waited_for() {
    let nodes = vec![node("n1", "active"), node("n2", "active")];
    let there = vec![service("new", 2, "")];
    let one = Observed::of("shop", there, &tasks(&["app.1 n1 running", "app.2 n2 starting"]), nodes, vec![]);
    assert_eq!(decided(target(), &one), "scale: 1 of 2 tasks run [gate]");
}

#[test]
fn only_what_differs_is_sent() {
    let there = |hash, state| observed(Some(service(hash, 2, state)));
    for (target, observed, wanted) in [
        (target(), observed(None), "create: no such service yet [deploy create, gate]"),
        (target(), there("old", "completed"), "roll: configuration changed [deploy start_first, gate]"),
        (
            Target { image: "shop:2".to_owned(), ..target() },
            there("old", ""),
            "roll: image changed [deploy start_first, gate]",
        ),
        (
            Target { image: "shop:1@sha256:2".to_owned(), ..target() },
            there("old", ""),
            "roll: image changed, under the same tag [deploy start_first, gate]",
        ),
        (
            Target { replicas: Some(3), ..target() },
            there("new", ""),
            "scale: 2 of 3 replicas [deploy scale, gate]",
        ),
        (
            Target { settings_hash: "s2".to_owned(), ..target() },
            there("new", ""),
            "settings: only labels or update settings changed [deploy settings, gate]",
        ),
        (target(), there("new", "paused"), "roll: its update is paused [deploy start_first, gate]"),
        (target(), there("new", "updating"), "roll: is being updated [gate]"),
        (
            target(),
            there("old", "updating"),
            "roll: another version, whose rollout was left half way [deploy start_first, gate]",
        ),
    ] {
        assert_eq!(decided(target, &observed), wanted);
    }
}

#[test]
fn what_another_tool_deployed_is_taken_over_unless_it_is_at_work() {
    let mut foreign = service("", 2, "completed");
    foreign.spec["Labels"] = serde_json::json!({});
    let is = decided(target(), &observed(Some(foreign.clone())));
    assert_eq!(is, "roll: deployed by another tool [deploy start_first, gate]");
    foreign.update = service("", 2, "updating").update;
    let plan = planned(APP, target(), &observed(Some(foreign)), &Request::default());
    assert!(plan.refused() && !plan.changes());
    assert_eq!(plan.services[0].verdict, Verdict::Blocked);
}

#[test]
fn what_somebody_changed_by_hand_is_deployed_again() {
    let there = service("new", 2, "completed");
    let recorded = |spec: String| {
        let deployed = Deployed { hash: "new".to_owned(), spec: Some(spec), ..Deployed::default() };
        Revision {
            number: 1,
            outcome: Outcome::Done,
            services: BTreeMap::from([("app".to_owned(), deployed)]),
            ..Revision::default()
        }
    };
    let with = |revision| Observed { revisions: vec![revision], ..observed(Some(there.clone())) };
    let same = with(recorded(spec_hash(&there.spec)));
    assert_eq!(decided(target(), &same), "unchanged: definition, image and count are as wanted []");
    let other = with(recorded("another".to_owned()));
    assert_eq!(decided(target(), &other), "roll: changed by somebody else since [deploy start_first, gate]");
}

#[test]
fn a_count_a_restart_and_a_label_of_zdd_are_nobodys_change() {
    let mut spec = service("new", 2, "").spec;
    let before = spec_hash(&spec);
    spec["Mode"]["Replicated"]["Replicas"] = 7.into();
    spec["TaskTemplate"]["ForceUpdate"] = 3.into();
    spec["Labels"]["com.docker.zdd.hash"] = "other".into();
    assert_eq!(spec_hash(&spec), before);
    spec["Labels"]["theirs"] = "other".into();
    assert_ne!(spec_hash(&spec), before);
}

#[test]
fn a_mode_cannot_be_changed() {
    let plan = planned(
        APP,
        Target { replicas: None, ..target() },
        &observed(Some(service("new", 2, ""))),
        &Request::default(),
    );
    let refusal = plan.services[0].refusals[0].to_string();
    assert!(refusal.contains("cannot make a replicated service global"), "{refusal}");
}

#[test]
fn what_cannot_stand_beside_itself_needs_consent() {
    let port = "services: {app: {image: shop, x-zdd: {parallelism: 0}, deploy: {replicas: 2}, ports: [{mode: host, target: 80, published: '80'}]}}";
    let full = "services: {app: {image: shop, x-zdd: {parallelism: 2}, deploy: {replicas: 2, placement: {max_replicas_per_node: 1}}}}";
    let volume = "services: {app: {image: shop, volumes: [{type: volume, source: data, target: /data}]}}\nvolumes: {data: {name: app_data}}";
    let one = || Target { replicas: Some(1), ..target() };
    let stop_first = Target { stop_first: true, ..one() };
    let there = |n| observed(Some(service("old", n, "")));
    for (yaml, target, observed, why) in [
        (port, target(), there(2), "port 80 of the host is taken on all 2 nodes"),
        (full, target(), there(2), "max_replicas_per_node leaves no room"),
        (volume, one(), there(1), "two of it would write to volume data"),
        (APP, stop_first, there(1), "order is stop-first, and nothing of it serves meanwhile"),
    ] {
        let refused = planned(yaml, target.clone(), &observed, &Request::default());
        assert_eq!(refused.services[0].verdict, Verdict::Recreate, "{yaml}");
        let refusal = refused.services[0].refusals[0].to_string();
        assert!(refusal.contains(why) && refusal.contains("--allow-downtime"), "{refusal}");
        assert!(!refused.changes());
        let agreed = Request { allow_downtime: true, ..Request::default() };
        let plan = planned(yaml, target, &observed, &agreed);
        let row = row(&plan.services[0]);
        assert!(row.ends_with("[deploy down, gate]"), "{row}");
    }
}

#[test]
fn one_after_the_other_is_no_downtime() {
    let port = "services: {app: {image: shop, deploy: {replicas: 2}, ports: [{mode: host, target: 80, published: '80'}]}}";
    let there = observed(Some(service("old", 2, "")));
    let plan = planned(port, target(), &there, &Request::default());
    let is = row(&plan.services[0]);
    assert!(is.starts_with("roll: configuration changed; port 80"), "{is}");
    assert!(is.ends_with("[deploy stop_first, gate]"), "{is}");
    let stop_first = planned(APP, Target { stop_first: true, ..target() }, &there, &Request::default());
    let is = row(&stop_first.services[0]);
    assert_eq!(is, "roll: configuration changed; order is stop-first [deploy stop_first, gate]");
}

#[test]
fn a_free_node_is_enough_and_a_constraint_takes_nodes_away() {
    let ports = "ports: [{mode: host, target: 80, published: '80'}]";
    let with = |placement: &str| {
        format!("services: {{app: {{image: shop, deploy: {{replicas: 1{placement}}}, {ports}}}}}")
    };
    let verdict = |placement: &str| {
        let target = Target { replicas: Some(1), ..target() };
        let plan =
            planned(&with(placement), target, &observed(Some(service("old", 1, ""))), &Request::default());
        plan.services[0].verdict
    };
    assert_eq!(verdict(""), Verdict::Roll);
    let on = |constraint: &str| verdict(&format!(", placement: {{constraints: ['{constraint}']}}"));
    assert_eq!(on("node.hostname == n1"), Verdict::Recreate);
    assert_eq!(on("node.hostname != n1"), Verdict::Recreate, "n3 is drained");
    assert_eq!(on("node.role == manager"), Verdict::Roll);
    assert_eq!(on("node.labels.disk == ssd"), Verdict::Recreate);
    assert_eq!(on("engine.labels.x == y"), Verdict::Roll, "who knows");
}

#[test]
fn a_job_runs_once_for_a_definition() {
    let job = || Target { job: true, text: "services: {app-zdd-r2: {}}".to_owned(), ..target() };
    let is = decided(job(), &observed(None));
    assert_eq!(is, "create: a job, which runs once [run_once]");
    let ran = Deployed { hash: "new".to_owned(), ..Deployed::default() };
    let revision = Revision {
        number: 1,
        outcome: Outcome::Done,
        services: BTreeMap::from([("app".to_owned(), ran)]),
        ..Revision::default()
    };
    let before = Observed { revisions: vec![revision.clone()], ..observed(None) };
    assert_eq!(decided(job(), &before), "unchanged: has run, in revision 1 []");
    let named = Request { services: vec!["app".to_owned()], ..Request::default() };
    assert_eq!(
        planned(APP, job(), &before, &named).services[0].verdict,
        Verdict::Create,
        "asked for by name"
    );
    let failed = Revision { outcome: Outcome::RolledBack, ..revision };
    let before = Observed { revisions: vec![failed], ..observed(None) };
    assert_eq!(decided(job(), &before), "create: a job, which runs once [run_once]");
}

#[test]
fn a_restart_replaces_what_is_as_wanted() {
    let force = Request { force: true, ..Request::default() };
    let plan = planned(APP, target(), &observed(Some(service("new", 2, "completed"))), &force);
    assert_eq!(row(&plan.services[0]), "roll: restart [deploy restart, gate]");
}

#[test]
fn services_that_no_file_has_are_orphans_and_leftovers_of_jobs_are_none() {
    let mut other = service("new", 1, "");
    other.name = "shop_gone".to_owned();
    let mut job = service("new", 1, "");
    job.name = "shop_migrate-zdd-r3".to_owned();
    let observed = Observed::of("shop", vec![other, job], &[], vec![], vec![]);
    assert_eq!(observed.leftovers, ["shop_migrate-zdd-r3"]);
    let plan = planned(APP, target(), &observed, &Request::default());
    let orphans: Vec<_> = plan.orphans.iter().map(|orphan| orphan.name.as_str()).collect();
    assert_eq!(orphans, ["gone"]);
}
