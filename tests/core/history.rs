//! Which revision a rollback goes back to, what is kept, and what of a file may be shown.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use zdd::{
    engine::{Container, State, container::parse_inspect},
    event::Outcome,
    keep::{self, Cause, Deployed, NoTarget, Revision, diff, names},
    project::Document,
    report::{Look, history::table},
};

fn revision(number: u32, content: &str) -> Revision {
    let deployed = Deployed {
        hash: format!("hash {content}"),
        image: Some(format!("image {content}")),
        replicas: 1,
        ..Deployed::default()
    };
    Revision {
        number,
        outcome: Outcome::Done,
        services: BTreeMap::from([("web".to_owned(), deployed)]),
        changed: vec!["web".to_owned()],
        ..Revision::default()
    }
}

fn failed(number: u32, content: &str) -> Revision {
    Revision {
        outcome: Outcome::RolledBack,
        reason: Some("web: it died".to_owned()),
        ..revision(number, content)
    }
}

fn rollback(number: u32, to: u32, content: &str) -> Revision {
    Revision { cause: Cause::Rollback(to), ..revision(number, content) }
}

fn with(mut revision: Revision, service: &str, content: &str) -> Revision {
    let deployed = Revision { ..self::revision(0, content) }.services.remove("web").unwrap();
    revision.services.insert(service.to_owned(), deployed);
    revision
}

/// A running replica of a service.
fn runs(service: &str, content: &str) -> Container {
    let json = serde_json::json!([{
        "Id": format!("{service} {content}"),
        "Image": format!("image {content}"),
        "State": { "Status": "running" },
        "Config": { "Labels": {
            "com.docker.compose.service": service,
            "com.docker.compose.config-hash": format!("hash {content}"),
        } },
    }]);
    parse_inspect(&json.to_string()).unwrap().pop().unwrap()
}

fn exited(service: &str, content: &str) -> Container {
    Container { state: State::Exited, ..runs(service, content) }
}

fn target(revisions: &[Revision], containers: &[Container]) -> Result<u32, NoTarget> {
    keep::target(revisions, None, containers, &[]).map(|revision| revision.number)
}

#[test]
fn back_is_the_last_good_one_before_what_is_deployed() {
    let revisions = [revision(1, "a"), revision(2, "b"), failed(3, "c"), revision(4, "d")];
    assert_eq!(target(&revisions, &[runs("web", "d")]), Ok(2));
    assert_eq!(target(&revisions[..3], &[runs("web", "b")]), Ok(1));
    assert_eq!(target(&revisions[..1], &[runs("web", "a")]), Err(NoTarget::NothingBefore(1)));
    assert_eq!(target(&[], &[]), Err(NoTarget::Empty));
    assert_eq!(target(&[failed(1, "a")], &[]), Err(NoTarget::Empty));
}

#[test]
fn what_another_tool_deployed_goes_back_to_the_newest_good_one() {
    let revisions = [revision(1, "a"), revision(2, "b")];
    assert_eq!(target(&revisions, &[runs("web", "x")]), Ok(2));
    assert_eq!(target(&revisions, &[]), Ok(2), "nothing is there");
}

#[test]
fn a_rollback_that_was_cut_off_is_gone_on_with() {
    let revisions = [revision(1, "a"), revision(2, "b"), revision(3, "c")];
    assert_eq!(target(&revisions, &[runs("web", "c"), runs("web", "b")]), Ok(2));
    // A rollout that was cut off left what no good revision has: back to the newest one.
    assert_eq!(target(&revisions, &[runs("web", "c"), runs("web", "x")]), Ok(3));
    // An older one was deployed again by another tool: before that.
    assert_eq!(target(&revisions, &[runs("web", "b")]), Ok(1));
}

#[test]
fn a_crashed_replica_is_still_what_is_deployed() {
    let revisions = [revision(1, "a"), revision(2, "b")];
    assert_eq!(target(&revisions, &[exited("web", "b")]), Ok(1));
    assert_eq!(target(&revisions, &[exited("web", "a"), runs("web", "b")]), Ok(1), "a leftover");
}

#[test]
fn what_deploys_the_same_is_passed_over() {
    let restart = Revision { cause: Cause::Restart, ..revision(3, "b") };
    let revisions = [revision(1, "a"), revision(2, "b"), restart];
    assert_eq!(target(&revisions, &[runs("web", "b")]), Ok(1));
}

#[test]
fn rollbacks_are_walked_through() {
    let revisions = [revision(1, "a"), revision(2, "b"), revision(3, "c"), rollback(4, 2, "b")];
    assert_eq!(target(&revisions, &[runs("web", "b")]), Ok(1));
    // Where a kept tag stood in for the written one, the containers have another hash.
    let mut stood_in = revisions.clone();
    let web = stood_in[3].services.get_mut("web").unwrap();
    (web.hash, web.written) = ("hash z".to_owned(), Some("hash b".to_owned()));
    let kept = Container { config_hash: "hash z".to_owned(), ..runs("web", "b") };
    assert_eq!(target(&stood_in, &[kept]), Ok(1));
    // The revision that it went back to is forgotten by now: what came after that is nothing to go back to.
    assert_eq!(target(&revisions[2..], &[runs("web", "b")]), Err(NoTarget::NothingBefore(4)));
    let older = [&revisions[..1], &revisions[2..]].concat();
    assert_eq!(target(&older, &[runs("web", "b")]), Ok(1));
}

#[test]
fn a_rollback_to_a_rollback_is_walked_through_when_that_is_forgotten() {
    let all = [revision(1, "a"), revision(2, "b"), revision(3, "c"), rollback(4, 2, "b"), revision(5, "d")];
    let mut revisions = [&all[..], &[rollback(6, 4, "b")]].concat();
    assert_eq!(target(&revisions, &[runs("web", "b")]), Ok(1));
    revisions.remove(3);
    assert_eq!(target(&revisions, &[runs("web", "b")]), Ok(1));
}

/// What would change nothing is nothing to go back to, or one would never get past it.
#[test]
fn what_only_lacks_a_service_is_passed_over() {
    let revisions = [revision(1, "a"), revision(2, "b"), with(revision(3, "b"), "worker", "a")];
    let containers = [runs("web", "b"), runs("worker", "a")];
    assert_eq!(target(&revisions, &containers), Ok(1));
    assert_eq!(target(&revisions[1..], &containers), Err(NoTarget::NothingBefore(3)));
}

#[test]
fn what_has_a_service_that_left_is_gone_back_to_unless_that_still_runs() {
    let revisions = [revision(1, "a"), with(revision(2, "b"), "worker", "a"), revision(3, "b")];
    assert_eq!(target(&revisions, &[runs("web", "b")]), Ok(2));
    assert_eq!(target(&revisions, &[runs("web", "b"), runs("worker", "a")]), Ok(1));
}

#[test]
fn back_is_one_that_has_every_named_service() {
    let asked = ["tool".to_owned()];
    let back = |revisions: &[Revision], containers: &[Container]| {
        keep::target(revisions, None, containers, &asked).map(|revision| revision.number)
    };
    let revisions =
        [with(revision(1, "a"), "tool", "a"), revision(2, "a"), with(revision(3, "a"), "tool", "b")];
    let containers = [runs("web", "a"), runs("tool", "b")];
    assert_eq!(back(&revisions, &containers), Ok(1));
    assert_eq!(back(&revisions[1..], &containers), Err(NoTarget::NothingBefore(3)));
    // Another tool has deployed it.
    assert_eq!(back(&revisions[..2], &[runs("tool", "x")]), Ok(1));
    // What has none of the two says nothing about what is deployed.
    let asked = ["tool".to_owned(), "web".to_owned()];
    let revisions = [&revisions[..], &[revision(4, "a")]].concat();
    let found = keep::target(&revisions, None, &containers, &asked);
    assert_eq!(found.map(|revision| revision.number), Ok(1));
}

#[test]
fn with_names_only_those_services_count() {
    let revisions = [
        with(revision(1, "a"), "api", "a"),
        with(revision(2, "b"), "api", "a"),
        with(revision(3, "b"), "api", "b"),
    ];
    let containers = [runs("web", "b"), runs("api", "b")];
    let back = |name: &str| keep::target(&revisions, None, &containers, &[name.to_owned()]).unwrap().number;
    assert_eq!((back("web"), back("api")), (1, 2));
}

#[test]
fn a_number_must_be_that_of_a_good_one() {
    let revisions = [revision(1, "a"), failed(2, "b")];
    let to = |number| keep::target(&revisions, Some(number), &[], &[]).map(|revision| revision.number);
    assert_eq!(to(1), Ok(1));
    assert_eq!(to(2), Err(NoTarget::Failed(2, Some("web: it died".to_owned()))));
    assert_eq!(to(3), Err(NoTarget::Unknown(3)));
}

#[test]
fn failures_never_push_out_what_a_rollback_needs() {
    let mut revisions = vec![revision(1, "a"), revision(2, "b"), revision(3, "c")];
    revisions.extend((4..24).map(|number| failed(number, "d")));
    let forgotten = keep::forgotten(&revisions);
    assert!(forgotten.contains(&1) && !forgotten.contains(&2) && !forgotten.contains(&3), "{forgotten:?}");
    assert_eq!(revisions.len() - forgotten.len(), keep::KEPT + 2);
}

/// The history as it is after each of these was recorded.
fn recorded(all: impl IntoIterator<Item = Revision>) -> Vec<Revision> {
    all.into_iter().fold(vec![], |mut kept, revision| {
        kept.push(revision);
        let forgotten = keep::forgotten(&kept);
        kept.retain(|revision| !forgotten.contains(&revision.number));
        kept
    })
}

#[test]
fn a_rollback_is_never_followed_by_one_that_goes_forward() {
    let failures = |from: u32| (from..from + 8).map(|number| failed(number, "z"));
    let once = [revision(1, "a"), revision(2, "b"), rollback(3, 1, "a")];
    let kept = recorded(once.into_iter().chain(failures(4)));
    assert_eq!(target(&kept, &[runs("web", "a")]), Err(NoTarget::NothingBefore(3)));
    let twice = [revision(1, "a"), revision(2, "b"), revision(3, "c"), rollback(4, 2, "b")];
    let kept = recorded(twice.into_iter().chain(failures(5)).chain(failures(13)));
    assert_eq!(target(&kept, &[runs("web", "b")]), Ok(1));
    let far = (1..12).map(|number| revision(number, &number.to_string())).chain([rollback(12, 2, "2")]);
    let kept = recorded(far);
    assert_eq!(keep::target(&kept, Some(2), &[], &[]).map(|revision| revision.number), Ok(2));
    assert_eq!(target(&kept, &[runs("web", "2")]), Err(NoTarget::NothingBefore(12)));
}

/// Of one service of two, as of all.
#[test]
fn what_a_rollback_of_a_service_went_back_to_is_kept() {
    let both = |number: u32, content: &str| with(revision(number, content), "api", content);
    let back = with(rollback(4, 2, "b"), "api", "c");
    let all = [both(1, "a"), both(2, "b"), both(3, "c"), back].into_iter();
    let kept = recorded(all.chain((5..20).map(|number| failed(number, "z"))));
    let containers = [runs("web", "b"), runs("api", "c")];
    let found = keep::target(&kept, None, &containers, &["web".to_owned()]);
    assert_eq!(found.map(|revision| revision.number), Ok(1));
}

#[test]
fn rollbacks_of_rollbacks_leave_no_more_than_four_beside_the_last_ten() {
    let up = |number: u32| revision(number, &number.to_string());
    let back = |number: u32| rollback(number, if number == 4 { 2 } else { number - 1 }, "2");
    let kept = recorded((1..4).map(up).chain((4..41).map(back)));
    assert_eq!(target(&kept, &[runs("web", "2")]), Ok(1));
    assert_eq!(kept.len(), keep::KEPT + 2);
    let kept = recorded(kept.into_iter().chain((41..60).map(|number| failed(number, "z"))));
    assert_eq!(target(&kept, &[runs("web", "2")]), Ok(1));
    assert_eq!(kept.len(), keep::KEPT + 4);
    let kept = recorded(kept.into_iter().chain((60..80).map(up)));
    assert_eq!(kept.len(), keep::KEPT);
}

proptest! {
    #[test]
    fn a_target_is_good_older_and_different(
        contents in prop::collection::vec((0..4_u8, any::<bool>(), 0..9_u32), 1..9),
    ) {
        let one = |(n, (content, good, to)): (usize, &(u8, bool, u32))| {
            let number = n as u32 + 1;
            let made = if *good { revision(number, &content.to_string()) } else { failed(number, &content.to_string()) };
            Revision { cause: if *to > 0 { Cause::Rollback(*to) } else { Cause::Up }, ..made }
        };
        let revisions: Vec<_> = contents.iter().enumerate().map(one).collect();
        let Some(current) = keep::latest_good(&revisions) else { return Ok(()) };
        let running = [runs("web", current.services["web"].hash.trim_start_matches("hash "))];
        if let Ok(found) = keep::target(&revisions, None, &running, &[]) {
            prop_assert!(found.is_good() && found.number < current.number);
            prop_assert_ne!(&found.services, &current.services);
        }
    }

    #[test]
    fn a_repository_is_one_for_each_project(a in "[a-z0-9][a-z0-9_-]{0,8}", b in "[a-z0-9][a-z0-9_-]{0,8}") {
        let grammar = regex_lite::Regex::new("^[a-z0-9]+((_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((_|__|-+)[a-z0-9]+)*)*$").unwrap();
        prop_assert!(grammar.is_match(&names::repository(&a)), "{}", names::repository(&a));
        prop_assert_eq!(a == b, names::repository(&a) == names::repository(&b));
    }
}

#[test]
fn what_is_written_is_read() {
    let all = Revision {
        cause: Cause::Rollback(3),
        commit: Some(keep::Commit { id: "a".repeat(40), dirty: true }),
        unknown: vec!["db".to_owned()],
        directory: Some("/srv".to_owned()),
        seconds: 1.5,
        ..failed(7, "a")
    };
    assert_eq!(Revision::from_label(&all.label()), Some(all));
    // Written by another version: what is not known is left out, what is missing has its default.
    assert_eq!(Revision::from_label(r#"{"number":1,"news":2}"#).map(|r| r.number), Some(1));
    assert_eq!(Revision::from_label("{}"), None);
    assert_eq!(Revision::from_label("<no value>"), None);
}

#[test]
fn the_table_has_the_newest_first() {
    let up = Revision { time: 940, seconds: 6.24, who: "anna@web1".to_owned(), ..revision(1, "a") };
    let commit = Some(keep::Commit { id: "0123456789".to_owned(), dirty: true });
    let bad = Revision { time: 100, commit, ..failed(2, "b") };
    let gone = revision(0, "c");
    assert_eq!(
        table(&[gone, up, bad], &BTreeSet::from([0, 2]), 1000, &Look::default()),
        "\
REVISION   WHEN             WHO         COMMIT          COMMAND   SERVICES   IMAGES    TOOK   OUTCOME
2          15 minutes ago   -           0123456-dirty   up        web        image b   0.0s   rolled back: web: it died
1          60 seconds ago   anna@web1   -               up        web        image a   6.2s   done
0          17 minutes ago   -           -               up        web        image c   0.0s   done (pruned)
"
    );
}

/// The images of a history: what each of these was called, with its ID.
fn images(called: &[(&str, &str)]) -> Vec<String> {
    let one = |(at, (name, id)): (usize, &(&str, &str))| {
        let mut revision = revision(at as u32 + 1, "a");
        for deployed in revision.services.values_mut() {
            deployed.reference = Some((*name).to_owned());
            deployed.image = Some(format!("sha256:{}", id.repeat(64)));
        }
        revision
    };
    let revisions: Vec<_> = called.iter().enumerate().map(one).collect();
    let text = table(&revisions, &BTreeSet::new(), 1000, &Look::default());
    let begin = text.find("IMAGES").unwrap();
    let cell = |line: &str| line[begin..].split("   ").next().unwrap_or_default().to_owned();
    text.lines().skip(1).map(cell).collect()
}

#[test]
fn an_image_is_named_and_where_the_name_says_too_little_its_id_too() {
    assert_eq!(images(&[("web:1", "a"), ("web:2", "b")]), ["web:2", "web:1"]);
    assert_eq!(images(&[("web", "a"), ("web", "b")]), ["web bbbbbbbbbbbb", "web aaaaaaaaaaaa"]);
    assert_eq!(images(&[("web", "a"), ("web", "a")]), ["web", "web"]);
}

#[test]
fn the_outcome_has_a_color() {
    let colored = table(
        &[revision(1, "a"), failed(2, "b")],
        &BTreeSet::new(),
        9,
        &Look { color: true, ..Look::default() },
    );
    assert!(
        colored.contains("\x1b[32mdone\x1b[0m")
            && colored.contains("\x1b[31mrolled back: web: it died\x1b[0m")
    );
}

const FILE: &str = "
name: shop
services:
  web:
    image: shop/web:1
    command: [serve, --port, '80']
    environment: {MODE: fast, DATABASE: 'postgres://u:hush@db/x'}
    labels: {a.url: 'https://anna:hush@x/y', api.token: hush}
    build: {context: /srv, args: {NPM: hush}}
    deploy: {replicas: 2}
  old: {image: old}
networks: {default: {name: shop_default}}
";

fn differences(now: &str) -> String {
    let document = |text: &str| Document::parse(text).unwrap();
    diff::text(&document(FILE), &document(now), &BTreeMap::new())
}

#[test]
fn the_same_has_no_differences() {
    assert_eq!(differences(FILE), "");
}

#[test]
fn differences_stand_key_by_key_and_hold_no_secret() {
    let now = FILE
        .replace("shop/web:1", "shop/web:2")
        .replace("'80']", "'81']")
        .replace("MODE: fast", "MODE: slow, PIN: '1234'")
        .replace("hush@db", "stiller@db")
        .replace("anna:hush@x/y", "anna:stiller@x/z")
        .replace("api.token: hush", "api.token: stiller")
        .replace("NPM: hush", "NPM: stiller")
        .replace("replicas: 2", "replicas: 3")
        .replace("  old: {image: old}", "  new: {image: new}")
        .replace("{default: {name: shop_default}}", "{default: {name: shop_default}, back: {name: b}}");
    let text = differences(&now);
    assert_eq!(
        text,
        "\
new
  is new
old
  is gone
web
  build.args.NPM: changed
  command: serve --port 80 → serve --port 81
  deploy.replicas: 2 → 3
  environment.DATABASE: changed
  environment.MODE: changed
  environment.PIN: new
  image: shop/web:1 → shop/web:2
  labels.a.url: https://anna:***@x/y → https://anna:***@x/z
  labels.api.token: changed
networks.back.name: new: b
"
    );
}

#[test]
fn arguments_that_name_a_credential_are_not_shown() {
    let now = FILE.replace("serve, --port, '80'", "serve, --password=hush");
    let text = differences(&now);
    assert!(text.contains("command: changed") && !text.contains("hush"), "{text}");
}

#[test]
fn a_moved_tag_is_shown() {
    let document = Document::parse(FILE).unwrap();
    let images = BTreeMap::from([("web".to_owned(), ("1f".to_owned(), "2e".to_owned()))]);
    let text = diff::text(&document, &document, &images);
    assert_eq!(text, "web\n  image: same tag, different image (1f → 2e)\n");
}

#[test]
fn a_document_keeps_strings_that_look_like_something_else() {
    let odd = [
        "2020-01-01",
        "0777",
        "1_000",
        "yes",
        "1e3",
        "~",
        "null",
        "a: b # c",
        "x\ny",
        "p$$w",
        "é\u{1F642}",
        "12:30:45",
    ];
    let list: Vec<_> = odd.iter().map(|text| serde_json::to_string(text).unwrap()).collect();
    let yaml = format!("name: p\nservices: {{web: {{command: [{}]}}}}", list.join(", "));
    let document = Document::parse(&yaml).unwrap();
    assert_eq!(Document::parse(&document.text()).unwrap(), document);
    list.iter().for_each(|text| assert!(document.text().contains(text), "{text} in {}", document.text()));
}

#[test]
fn a_document_is_changed_service_by_service() {
    let mut document = Document::parse(FILE).unwrap();
    document.set_replicas("web", 5);
    document.set_replicas("old", 4);
    document.set_image("web", Some("zdd-revision/shop:1f"));
    document.set_image("old", None);
    let text = document.text();
    assert!(text.contains(r#""deploy":{"replicas":5}"#) && !text.contains(r#""scale":5"#), "{text}");
    assert!(text.contains(r#""old":{"scale":4}"#), "{text}");
    assert_eq!((document.image("web"), document.image("old")), (Some("zdd-revision/shop:1f"), None));
    let mut now =
        Document::parse("{name: shop, services: {web: {image: x}}, volumes: {v: {name: a}}}").unwrap();
    now.take_service("web", &Document::parse(FILE).unwrap());
    assert_eq!(now.image("web"), Some("shop/web:1"));
    assert!(
        now.text().contains("shop_default") && now.text().contains(r#""volumes":{"v""#),
        "{}",
        now.text()
    );
    assert_eq!(now.services().count(), 1);
}
