//! Revisions: what is written down, and rollbacks.

use std::{thread::sleep, time::Duration};

use insta::assert_snapshot;
use rustix::process::Signal;
use zdd::{
    event::Outcome,
    keep::{Cause, Revision},
};

use crate::{
    files::{HEALTHCHECK, project, web},
    output::Output,
    running::Running,
    scenario::{Host, Scenario, new, old},
    world::{Action, Container, Rule, World, hex},
};

/// Two rollouts: of the image that is there, and of one that was pulled.
pub fn twice(scenario: Scenario) -> Host {
    let host = scenario.offers_new("web").host();
    let first = host.run(&["up"]);
    assert!(first.exit.success(), "{first}");
    let second = host.run(&["up", "--pull", "always"]);
    assert!(second.exit.success(), "{second}");
    host
}

fn shop() -> Scenario {
    Scenario::new(&web("environment: {DATABASE: 'postgres://u:hunter2@db/shop'}")).with([old("web-1")])
}

pub fn revisions(world: &World) -> Vec<Revision> {
    let labels = world.volumes.values().filter_map(|labels| labels.get("io.zdd.revision"));
    let mut revisions: Vec<_> = labels.filter_map(|label| Revision::from_label(label)).collect();
    revisions.sort_by_key(|revision| revision.number);
    revisions
}

fn last(output: &Output) -> Revision {
    revisions(&output.world).pop().unwrap_or_else(|| panic!("no revision\n{output}"))
}

/// The images of the project's own repository.
fn kept(world: &World) -> Vec<&str> {
    world.images.keys().filter_map(|name| name.strip_prefix("zdd-revision/shop:")).collect()
}

fn is_secret_in_arguments(output: &Output) -> bool {
    output.argvs().iter().any(|argv| argv.iter().any(|word| word.contains("hunter2")))
}

#[test]
fn a_rollout_is_written_down_without_its_secrets() {
    let output = shop().env("USER", "anna").run(&["up"]);
    let revision = last(&output);
    let web = &revision.services["web"];
    assert_eq!((revision.number, revision.outcome, web.replicas), (1, Outcome::Done, 1));
    assert_eq!(web.image.as_ref(), output.world.images.get("web"));
    assert!(!revision.who.starts_with("uid ") && revision.commit.is_none(), "{revision:?}");
    assert!(revision.directory.is_some_and(|folder| folder.ends_with("/project")));
    assert!(!is_secret_in_arguments(&output), "{output}");
    let archive = output.world.imported.values().next().expect("the project");
    assert!(archive.contains("hunter2"), "{archive}");
    assert!(!revisions(&output.world)[0].label().contains("hunter2"));
    assert_eq!(
        output.calls[output.calls.len() - 7..],
        [
            "docker volume ls",
            "docker image ls zdd-revision/shop",
            "docker tag [image web] zdd-revision/shop:[ID]",
            "docker import - zdd-revision/shop:r1",
            "docker volume create zdd-revision-shop-1",
            "docker volume inspect zdd-lock-shop",
            "docker volume rm zdd-lock-shop",
        ]
    );
}

/// Another tool has deployed it, and only its image is another one by now.
#[test]
fn what_ran_before_the_first_rollout_is_revision_0() {
    let host = Scenario::new(&web("scale: 2")).with([new("web-1").other_image()]).host();
    let ran = host.run(&["plan"]).world.containers[0].image_id.clone();
    let output = host.run(&["up"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    let all = revisions(&output.world);
    assert_eq!(
        all.iter().map(|r| (r.number, r.cause)).collect::<Vec<_>>(),
        [(0, Cause::Found), (1, Cause::Up)]
    );
    let web = &all[0].services["web"];
    assert_eq!((web.image.as_ref(), web.replicas, &all[0].changed[0][..]), (Some(&ran), 1, "web"));
    let recorded = output.calls.iter().position(|line| line.ends_with("create zdd-revision-shop-0"));
    let begun = output.calls.iter().position(|line| line.starts_with("docker compose up"));
    assert!(recorded.is_some() && recorded < begun, "before anything is touched: {output}");
    let table = host.run(&["history"]).stdout;
    let row: Vec<_> = table.lines().last().expect("a row").split_whitespace().collect();
    let id: String = ran.trim_start_matches("sha256:").chars().take(12).collect();
    assert_eq!(
        (row[0], &row[row.len() - 6..]),
        ("0", &["found", "web", "web", id.as_str(), "-", "done"][..]),
        "{table}"
    );
    let kept = "hint: what ran before is kept as revision 0; \"docker zdd rollback\" goes back to it\n";
    assert!(output.stderr.ends_with(kept), "{output}");

    let output = host.run(&["rollback"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    let serving: Vec<_> = output.world.containers.iter().map(|c| &c.image_id).collect();
    assert_eq!(serving, [&ran], "{output}");
    assert_eq!(last(&output).cause, Cause::Rollback(0));
    let nothing = host.run(&["rollback"]);
    assert!(nothing.stderr.contains("there is no good one before it"), "{nothing}");
}

/// Nobody knows what was written then.
#[test]
fn what_ran_in_another_definition_is_not_recorded() {
    let output = shop().run(&["up"]);
    assert_eq!(revisions(&output.world).len(), 1, "{output}");
    let host = twice(shop());
    assert!(host.run(&["rollback"]).exit.success());
    let nothing = host.run(&["rollback"]);
    assert_eq!(nothing.exit.code(), Some(1), "{nothing}");
}

#[test]
fn what_ran_before_need_not_be_recorded() {
    let full = || Action::Fail(1, "no space left on device".to_owned());
    let scenario = Scenario::new(&web("")).with([new("web-1").other_image()]);
    let output = scenario.when("docker volume create zdd-revision-shop-0", full()).run(&["up"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert!(output.stderr.contains("warning: what runs now is not recorded in the history"), "{output}");
    assert_eq!(last(&output).number, 1);
}

#[test]
fn a_run_that_changes_nothing_is_not() {
    let output = Scenario::new(&web("")).with([new("web-1")]).run(&["up"]);
    assert_eq!(revisions(&output.world), []);
    let of_history = |line: &&String| line.contains("revision") || line.contains("volume ls");
    assert_eq!(output.calls.iter().filter(of_history).count(), 0, "{output}");
}

#[test]
fn a_failure_is_written_down_with_its_reason_and_keeps_no_image() {
    let output = shop().starts("web", "exited 7").run(&["up"]);
    assert_eq!(output.exit.code(), Some(3));
    let revision = last(&output);
    assert_eq!(revision.outcome, Outcome::RolledBack);
    assert_eq!(revision.reason.as_deref(), Some("web: shop-web-2 exited with code 7"));
    assert_eq!(kept(&output.world), ["r1"]);
}

/// What a hook writes may be a secret, and a label is not.
#[test]
fn of_a_hook_that_failed_only_its_kind_is_written_down() {
    let said = |text: &str| Action::Fail(1, format!("{text}\nno route for hunter2"));
    let hook = |kind: &str, call: &str| {
        let file = web(&format!("{kind}: [{{command: [migrate]}}]"));
        let containers = [old("web-1"), old("web-2").is("exited 0")];
        let output = Scenario::new(&file).with(containers).when(call, said("hunter2")).run(&["up"]);
        assert!(!revisions(&output.world)[0].label().contains("hunter2"), "{output}");
        last(&output).reason
    };
    assert_eq!(hook("pre_start", "compose run").as_deref(), Some("web: its pre_start hook failed"));
    let post = hook("post_start", "docker exec");
    assert_eq!(post.as_deref(), Some("web: shop-web-3 failed its post_start hook"));
}

#[test]
fn an_image_that_is_kept_already_needs_no_second_tag() {
    let host = shop().host();
    let first = host.run(&["up"]);
    assert!(first.exit.success(), "{first}");
    let output = host.run(&["up", "--force-recreate"]);
    assert_eq!(last(&output).number, 2, "{output}");
    assert!(!output.calls.iter().any(|line| line.starts_with("docker tag")), "{output}");
}

#[test]
fn what_cannot_be_written_down_is_deployed_all_the_same() {
    for call in
        ["docker volume ls", "docker image ls", "docker tag", "docker import", "docker volume create zdd-rev"]
    {
        let output = shop().when(call, Action::Fail(1, "no space left on device".to_owned())).run(&["up"]);
        assert_eq!(output.exit.code(), Some(0), "{output}");
        assert!(output.stderr.contains("warning: this rollout is not recorded in the history"), "{output}");
        assert!(output.stderr.contains("no space left on device"), "{output}");
        assert!(output.stderr.contains("web is up to date"), "{output}");
        assert_eq!(revisions(&output.world), [], "{call}");
    }
}

/// Its import would take the tag, and leave the image without a name that nobody finds again.
#[test]
fn a_document_without_a_revision_is_removed_by_the_next() {
    let full = Action::Fail(1, "no space left on device".to_owned());
    let host = shop().when_nth(1, "docker volume create zdd-rev", full).host();
    assert!(host.run(&["up"]).stderr.contains("not recorded in the history"));
    let output = host.run(&["up", "--force-recreate"]);
    assert_eq!(last(&output).number, 1, "{output}");
    let of_history = output.calls.iter().filter(|line| line.contains("zdd-revision"));
    assert_snapshot!(of_history.cloned().collect::<Vec<_>>().join("\n"), @"
    docker image ls zdd-revision/shop
    docker volume inspect zdd-revision-shop-1  → exit 1
    docker image rm zdd-revision/shop:r1
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    ");
}

/// By a list that is none, or that lacks them, all revisions would be forgotten.
#[test]
fn a_list_without_the_revisions_is_not_believed() {
    for list in ["<html>502 Bad Gateway</html>\n", ""] {
        let host = shop().host();
        assert!(host.run(&["up"]).exit.success());
        let rule = |action| Rule { call: "docker volume ls".to_owned(), nth: 1, seen: 0, action };
        host.change(|world| world.rules.push(rule(Action::Print(list.to_owned()))));
        let output = host.run(&["up", "--force-recreate"]);
        assert_eq!(output.exit.code(), Some(0), "{output}");
        assert!(output.stderr.contains("this rollout is not recorded in the history"), "{output}");
        assert!(kept(&output.world).contains(&"r1"), "{output}");
        assert_eq!(last(&host.run(&["up", "--force-recreate"])).number, 2);
    }
}

#[test]
fn ten_are_kept_and_nothing_else_is_left() {
    let host = shop().host();
    for _ in 0..11 {
        let output = host.run(&["up", "--force-recreate"]);
        assert!(output.exit.success(), "{output}");
    }
    let output = host.run(&["up", "--force-recreate"]);
    let numbers: Vec<_> = revisions(&output.world).iter().map(|revision| revision.number).collect();
    assert_eq!(numbers, (3..=12).collect::<Vec<_>>());
    let documents = kept(&output.world).into_iter().filter(|tag| tag.starts_with('r')).count();
    assert_eq!((documents, kept(&output.world).len()), (10, 11), "{:?}", kept(&output.world));
    let removals: Vec<_> = output.calls.iter().filter(|line| line.contains(" rm zdd-rev")).collect();
    assert_eq!(removals, ["docker volume rm zdd-revision-shop-2", "docker image rm zdd-revision/shop:r2"]);
}

#[test]
fn back_to_an_image_whose_tag_has_moved() {
    let host = twice(shop());
    let output = host.run(&["rollback"]);
    let first = &revisions(&output.world)[0];
    assert_eq!(Some(&output.world.containers[0].image_id), first.services["web"].image.as_ref());
    assert_eq!(last(&output).services["web"].image, first.services["web"].image);
    assert!(!is_secret_in_arguments(&output), "{output}");
    assert_snapshot!(output, @r#"
    exit code: 0
    --- stderr
    [TIME]  web  roll: image changed (94cf65b55eff → 3d7d6ef7f201)
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-4 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-4 healthy
    [TIME]  web  shop-web-3 stopping (grace 10s)
    [TIME]  web  shop-web-3 stopped (exit code 0)
    [TIME]  web  shop-web-3 removed
    [TIME]  web  done in [TIME], serving shop-web-4 (3d7d6ef7f201)

    web           [TIME] to [TIME]
      shop-web-3  [BAR]
      shop-web-4  [BAR]
                  ░ starting  █ serving  ▓ stopping
    start [TIME], health [TIME], stop [TIME], total [TIME]

    web (94cf65b55eff → 3d7d6ef7f201) is back at revision 1
    hint: the file may differ: "docker zdd diff" shows how, "docker zdd up" deploys it again
    --- calls
    docker compose config
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker volume ls
    docker ps
    docker inspect web-3
    docker create zdd-revision/shop:r1 compose.json
    docker cp holder:/compose.json -
    docker rm -v holder
    docker image ls zdd-revision/shop
    docker image inspect web
    docker compose --file - --profile * config --hash * <stdin 787001af>
    docker compose --file - --profile * config <stdin 787001af>
    docker compose version --short
    docker image inspect zdd-revision/shop:3d7d6ef7f201
    docker ps
    docker compose --file - --profile * --dry-run up -d --no-deps --no-recreate --scale web=2 web <stdin 787001af>
    docker ps web
    docker compose --file - --profile * up -d --no-deps --no-recreate --scale web=2 web <stdin 787001af>
    docker ps web
    docker inspect web-4
    docker stop web-3
    docker inspect web-3
    docker inspect web-4
    docker rm -v web-3
    docker ps web
    docker inspect web-4
    docker compose --file - --profile * --dry-run up -d --scale web=1 <stdin 787001af>
    docker volume ls
    docker image ls zdd-revision/shop
    docker import - zdd-revision/shop:r3
    docker volume create zdd-revision-shop-3
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-4 new healthy
    at least: 1 of web
    "#);
}

#[test]
fn a_rollback_is_taken_back_by_going_on() {
    let host = twice(shop());
    assert!(host.run(&["rollback"]).exit.success());
    // What is before the first? Nothing; to go forward again is a number.
    let output = host.run(&["rollback"]);
    assert_eq!(output.exit.code(), Some(1));
    assert_snapshot!(output.stderr, @r#"
    revision 3 is deployed, and there is no good one before it that differs; nothing was touched
    hint: "docker zdd history" lists the revisions
    "#);
    let output = host.run(&["rollback", "--to", "2"]);
    assert!(output.exit.success(), "{output}");
    assert_eq!(last(&output).cause.to_string(), "rollback to 2");
    let output = host.run(&["rollback", "--to", "3"]);
    assert!(output.exit.success(), "{output}");
    let all = revisions(&output.world);
    assert_eq!(all[4].services["web"].image, all[0].services["web"].image, "{all:?}");
}

#[test]
fn a_second_rollback_to_the_same_touches_nothing() {
    let host = twice(shop());
    assert!(host.run(&["rollback"]).exit.success());
    let output = host.run(&["rollback", "--to", "1"]);
    assert!(output.stderr.contains("nothing was touched"), "{output}");
    assert_eq!(output.changes(), Vec::<&str>::new(), "{output}");
}

#[test]
fn a_rollback_of_what_runs_already_leaves_it_although_its_tag_has_moved() {
    let host = shop().offers_new("web").host();
    assert!(host.run(&["up"]).exit.success());
    host.change(|world| drop(world.images.insert("web".to_owned(), format!("sha256:{}", hex("pulled")))));
    let output = host.run(&["rollback", "--to", "1"]);
    assert_eq!(output.changes(), Vec::<&str>::new(), "{output}");
    assert!(!output.stderr.contains("Compose does not agree"), "{output}");
}

/// What leaves is of the present version: the file as it is now knows how.
#[test]
fn a_rollback_is_rolled_as_the_present_file_says() {
    let now = "pre_stop: [{command: [goodbye]}]\nx-zdd: {settle: 100ms}";
    let host = || {
        let host = twice(shop());
        host.change(|world| world.config = web(now));
        host
    };
    for args in [&["rollback"][..], &["-p", "shop", "rollback"]] {
        let output = host().run(args);
        assert!(output.exit.success(), "{output}");
        assert!(output.calls.iter().any(|call| call == "docker exec web-3 goodbye"), "{output}");
        assert!(output.stderr.contains("settl"), "{output}");
        let kept = output.world.imported.values().any(|document| document.contains("goodbye"));
        assert!(!kept, "the revision stays as it was");
    }
    let bad = host();
    bad.change(|world| world.config = web("x-zdd: {settle: soon}"));
    let output = bad.run(&["rollback"]);
    assert!(output.exit.success(), "{output}");
    assert!(
        output.stderr.contains("warning: rolled with the settings of revision 1, as the file"),
        "{output}"
    );
}

/// The contents of mounted files are no part of a revision.
#[test]
fn a_rollback_to_files_that_are_gone() {
    let host = |lines: &str| {
        let site = "configs:\n  site: {name: shop_site, file: /no/such/site.conf}\n";
        twice(Scenario::new(&(web(lines) + site)).with([old("web-1")]))
    };
    let binds = "volumes: [{type: bind, source: /no/such, target: /a, read_only: true}, {type: bind, source: /tmp, target: /b, read_only: true}]";
    let output = host(binds).run(&["rollback"]);
    assert!(output.exit.success(), "{output}");
    let warnings: Vec<_> = output.stderr.lines().filter(|line| line.contains("warning")).collect();
    assert_snapshot!(warnings.join("\n"), @"[TIME]  web  warning: it mounts /no/such, which no longer exists; the engine may create an empty folder there");

    let host = host("configs: [{source: site, target: /etc/site.conf}]");
    let output = host.run(&["rollback"]);
    assert_eq!(output.exit.code(), Some(1), "{output}");
    assert_eq!(output.changes(), Vec::<&str>::new(), "{output}");
    assert_snapshot!(output.stderr, @r#"
    revision 1 cannot be deployed again: service web needs /no/such/site.conf, which no longer exists; nothing was touched
    hint: "docker zdd history" lists the others; --to N chooses one
    "#);
    // What lies on another machine cannot be looked for.
    host.change(|world| world.engine_name = Some("another".to_owned()));
    let output = host.run(&["rollback"]);
    assert!(output.exit.success() && !output.stderr.contains("/no/such"), "{output}");
}

/// Of a service that lives in another's container the hash says nothing, so only the tag can keep its image.
#[test]
fn a_sidecar_goes_back_to_its_image_whose_tag_has_moved() {
    let web = format!("image: web\n{HEALTHCHECK}");
    let file = project(&[
        ("web", &web),
        ("sidecar", "image: sidecar\nnetwork_mode: service:web\nx-zdd: {monitor: 100ms}"),
    ]);
    let host = Scenario::new(&file).host();
    assert!(host.run(&["up"]).exit.success());
    host.change(|world| {
        drop(world.images.insert("sidecar".to_owned(), format!("sha256:{}", hex("pulled"))));
        let mut sidecar = world.containers.iter_mut().filter(|c| c.service == "sidecar");
        sidecar.next().expect("a sidecar").config_hash = hex("a newer configuration");
    });
    let output = host.run(&["rollback", "--to", "1", "--allow-downtime"]);
    assert!(output.exit.success(), "{output}");
    let sidecar = output.world.containers.iter().find(|c| c.service == "sidecar").expect("a sidecar");
    assert_ne!(sidecar.config_hash, hex("a newer configuration"), "{output}");
    assert_eq!(Some(&sidecar.image_id), revisions(&output.world)[0].services["sidecar"].image.as_ref());
}

#[test]
fn the_plan_of_a_rollback_takes_no_lock() {
    let host = twice(shop());
    let output = host.run(&["rollback", "--dry-run"]);
    let by = &revisions(&output.world)[0].who;
    assert_eq!(revisions(&output.world).len(), 2);
    assert!(!output.calls.iter().any(|line| line.contains("zdd-lock")), "{output}");
    assert_snapshot!(output.stdout.replace(by, "WHO"), @"
    Rollback to revision 1 (up of web by WHO, done)
    Project shop
      web  roll       image changed (94cf65b55eff → 3d7d6ef7f201)
             1. start 1 new container (scale 2; rollback: remove)
             2. wait until healthy, or running 10s without a healthcheck
             3. drain shop-web-3
             4. stop shop-web-3 (rollback: start again)
             5. remove shop-web-3
    ");
}

#[test]
fn a_dry_run_writes_no_page() {
    let host = twice(shop());
    let page = host.path("project/page.html");
    for args in [["rollback"], ["restart"]] {
        let args = [&args[..], &["--dry-run", "--report", "page.html"]].concat();
        assert!(host.run(&args).exit.success());
        assert!(!page.exists(), "{args:?}");
    }
    // One that cannot be written is found out before the lock is taken.
    let output = host.run(&["rollback", "--report", "no/such/folder/page.html"]);
    assert_eq!(output.exit.code(), Some(1), "{output}");
    assert!(!output.calls.iter().any(|call| call.contains("zdd-lock")), "{output}");
}

#[test]
fn what_was_pruned_is_named() {
    let host = twice(shop());
    host.change(|world| {
        let web = world.images["web"].clone();
        world.images.retain(|name, id| {
            !name.starts_with("zdd-revision/shop:") || name.ends_with(":r1") || *id == web
        });
    });
    let output = host.run(&["rollback"]);
    assert_eq!(output.exit.code(), Some(1));
    assert_snapshot!(output.stderr, @r#"
    revision 1 cannot be deployed again: the image of web was removed from the engine; nothing was touched
    hint: "docker zdd history" lists the others; --to N chooses one
    "#);
    host.change(|world| world.images.retain(|name, _| !name.starts_with("zdd-revision/")));
    let output = host.run(&["rollback"]);
    assert_snapshot!(output.stderr, @r#"
    revision 1 cannot be deployed again: its definition was removed from the engine (an image prune does that); nothing was touched
    hint: "docker zdd history" lists the others; --to N chooses one
    "#);
    assert_eq!(revisions(&output.world).len(), 2, "the history is still there");
    assert!(host.run(&["history"]).stdout.contains("done"));
}

#[test]
fn only_good_revisions_are_gone_back_to() {
    let host = shop().starts("web", "starting, healthy").starts("web", "exited 7").host();
    assert!(host.run(&["up"]).exit.success());
    assert_eq!(host.run(&["up", "--force-recreate"]).exit.code(), Some(3));
    let output = host.run(&["rollback", "--to", "2"]);
    assert_eq!(output.exit.code(), Some(1));
    assert_snapshot!(output.stderr, @r#"
    revision 2 did not succeed (web: shop-web-3 exited with code 7); nothing was touched
    hint: choose a good one: "docker zdd history" lists the revisions
    "#);
    let output = host.run(&["rollback", "--to", "9"]);
    assert_snapshot!(output.stderr, @r#"
    project shop has no revision 9; nothing was touched
    hint: "docker zdd history" lists the revisions
    "#);
}

#[test]
fn a_rollback_that_fails_says_what_serves() {
    let host = twice(shop());
    host.change(|world| {
        drop(world.ways.insert("web".to_owned(), vec![crate::world::Reading::way("exited 7")]))
    });
    let output = host.run(&["rollback"]);
    assert_eq!(output.exit.code(), Some(3));
    assert_snapshot!(output.stderr.lines().rev().take(2).collect::<Vec<_>>().join("\n"), @r#"
    hint: "docker zdd history" lists the revisions, "docker zdd rollback --to N" goes to one of them
    web: revision 1 failed (shop-web-4, 3d7d6ef7f201); shop-web-3 (94cf65b55eff) serves now
    "#);
    let revision = last(&output);
    assert_eq!(
        (revision.outcome, revision.cause.to_string()),
        (Outcome::RolledBack, "rollback to 1".to_owned())
    );
}

/// The file may have a service that the revision does not have yet: it is no orphan unless that is typed.
#[test]
fn only_a_typed_flag_lets_a_rollback_remove_what_the_revision_does_not_have() {
    let host = || {
        let host = twice(shop().env("COMPOSE_REMOVE_ORPHANS", "1"));
        host.change(|world| {
            let newer = world.containers[0].clone();
            let (id, name) = (hex("worker"), "shop-worker-1".to_owned());
            world.names.insert(id.clone(), name.clone());
            world.containers.push(Container { id, name, service: "worker".to_owned(), number: 1, ..newer });
        });
        host
    };
    let left = |args: &[&str]| {
        let output = host().run(args);
        assert!(output.exit.success() && !output.stderr.contains("does not have"), "{output}");
        output.world.containers.len()
    };
    assert_eq!(left(&["rollback", "web"]), 2);
    assert_eq!(left(&["restart"]), 2);
    assert_eq!(left(&["rollback", "--remove-orphans", "web"]), 1);
    assert_eq!(left(&["up", "--force-recreate"]), 1);
}

#[test]
fn what_the_revision_does_not_have_is_left_unless_it_is_asked_for() {
    let host = || {
        let host = twice(shop());
        host.change(|world| {
            let newer = world.containers[0].clone();
            let (id, name) = (hex("worker"), "shop-worker-1".to_owned());
            world.names.insert(id.clone(), name.clone());
            world.containers.push(Container { id, name, service: "worker".to_owned(), number: 1, ..newer });
        });
        host
    };
    let output = host().run(&["rollback"]);
    assert!(output.stderr.contains("does not have what shop-worker-1 belongs to"), "{output}");
    assert_eq!(output.world.containers.len(), 2, "{output}");
    let output = host().run(&["rollback", "--remove-orphans"]);
    assert!(!output.stderr.contains("does not have"), "{output}");
    assert_eq!(output.world.containers.len(), 1, "{output}");
}

#[test]
fn a_rollback_passes_over_what_would_change_nothing() {
    let host = twice(shop());
    let services = [
        ("web", format!("image: web\n{HEALTHCHECK}")),
        ("worker", "image: web\nx-zdd: {monitor: 100ms}".to_owned()),
    ];
    let services = services.each_ref().map(|(name, lines)| (*name, lines.as_str()));
    host.change(|world| world.config = project(&services));
    let third = host.run(&["up"]);
    assert_eq!(last(&third).changed, ["worker"], "{third}");
    let output = host.run(&["rollback"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert!(output.stderr.contains(") is back at revision 1\n"), "{output}");
    assert_eq!(last(&output).cause.to_string(), "rollback to 1");
}

/// A plain `up` between two of a service in a profile is a revision without that service.
#[test]
fn a_rollback_of_a_service_passes_over_what_does_not_have_it() {
    let lines = format!("image: shop:latest\n{HEALTHCHECK}");
    let (web, both) = ([("web", lines.as_str())], [("web", lines.as_str()), ("tool", &lines)]);
    let host = Scenario::new(&project(&both)).host();
    let step = |services: &[(&str, &str)], image: &str, args: &[&str]| {
        host.change(|world| {
            world.config = project(services);
            drop(world.images.insert("shop:latest".to_owned(), format!("sha256:{}", hex(image))));
        });
        let output = host.run(args);
        assert!(output.exit.success(), "{output}");
    };
    step(&both, "first", &["up"]);
    step(&web, "second", &["up"]);
    step(&both, "third", &["up", "tool"]);
    let output = host.run(&["rollback", "tool"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert_eq!(image_of(&output, "tool"), format!("sha256:{}", hex("first")));
    assert_eq!(image_of(&output, "web"), format!("sha256:{}", hex("second")));
}

#[test]
fn a_rollback_never_goes_forward() {
    let host = twice(shop());
    assert!(host.run(&["rollback"]).exit.success());
    host.change(|world| {
        drop(world.ways.insert("web".to_owned(), vec![crate::world::Reading::way("exited 7")]))
    });
    for _ in 0..8 {
        assert_eq!(host.run(&["up", "--force-recreate"]).exit.code(), Some(3));
    }
    let output = host.run(&["rollback"]);
    let numbers: Vec<_> = revisions(&output.world).iter().map(|revision| revision.number).collect();
    assert_eq!(numbers, (1..=11).collect::<Vec<_>>());
    assert_eq!(output.changes(), Vec::<&str>::new(), "{output}");
    assert_snapshot!(output.stderr, @r#"
    revision 3 is deployed, and there is no good one before it that differs; nothing was touched
    hint: "docker zdd history" lists the revisions
    "#);
}

/// A rollback that is killed half way, and typed again.
#[test]
fn a_killed_rollback_is_gone_on_with() {
    let host = shop().offers_new("web").when_nth(3, "docker stop", Action::HoldAfter).host();
    for args in [vec!["up", "--scale", "web=2"], vec!["up", "--scale", "web=2", "--pull", "always"]] {
        assert!(host.run(&args).exit.success());
    }
    let mut running = host.spawn(&["rollback", "--parallelism", "1"]);
    running.wait_for_done();
    running.kill();
    let output = host.run(&["rollback"]);
    assert!(output.exit.success(), "{output}");
    assert_eq!(last(&output).cause.to_string(), "rollback to 1");
    assert_eq!(output.world.containers.len(), 2, "{output}");
    let first = &revisions(&output.world)[0];
    let old = |c: &Container| Some(&c.image_id) == first.services["web"].image.as_ref();
    assert!(output.world.containers.iter().all(old), "{output}");
}

/// A revision is read through a container; what a killed run has left of it is removed by the next.
#[test]
fn a_killed_reading_leaves_nothing_for_ever() {
    let host = shop().when_nth(1, "docker create", Action::HoldAfter).host();
    assert!(host.run(&["up"]).exit.success());
    let mut running = host.spawn(&["diff"]);
    running.wait_for_done();
    running.kill();
    host.change(|world| assert_eq!(world.holders.len(), 1));
    let output = host.run(&["diff"]);
    assert!(output.exit.success(), "{output}");
    assert_eq!(output.world.holders.len(), 0, "{output}");
    let reading =
        output.calls.iter().filter(|call| !call.contains("volume") && !call.contains("compose config"));
    assert_snapshot!(reading.cloned().collect::<Vec<_>>().join("\n"), @"
    docker create zdd-revision/shop:r1 compose.json  → exit 1
    docker rm -v zdd-revision-reading-shop-1
    docker create zdd-revision/shop:r1 compose.json
    docker cp holder:/compose.json -
    docker rm -v holder
    docker image inspect web
    ");
}

/// While a call is held. A command that only tells something does not tell of the first.
fn interrupted_twice(mut running: Running) -> Output {
    running.wait_for_done();
    running.signal(Signal::INT);
    sleep(Duration::from_millis(300));
    running.signal(Signal::INT);
    running.finish()
}

/// The engine carries out what is given up: at its deadline, or when the user wants to leave at once.
#[test]
fn a_reading_that_is_given_up_leaves_nothing() {
    let host = |timeout: &str| {
        let slow = shop().when_nth(1, "docker create", Action::HoldAfter).env("ZDD_CALL_TIMEOUT", timeout);
        let host = slow.host();
        assert!(host.run(&["up"]).exit.success());
        host
    };
    let output = host("2s").run(&["diff"]);
    assert!(output.stderr.contains("did not answer within 2s"), "{output}");
    assert_eq!((output.exit.code(), output.world.holders.len()), (Some(1), 0), "{output}");
    let output = interrupted_twice(host("60s").spawn(&["diff"]));
    assert_eq!((output.exit.code(), output.world.holders.len()), (Some(130), 0), "{output}");
}

#[test]
fn what_a_killed_reading_has_left_does_not_keep_what_is_forgotten() {
    let host = shop().when_nth(1, "docker create", Action::HoldAfter).host();
    assert!(host.run(&["up"]).exit.success());
    let mut running = host.spawn(&["diff"]);
    running.wait_for_done();
    running.kill();
    // A project of another name reads its revision 1.
    let other = (hex("a reading"), (hex("another image"), "zdd-revision-reading-shop-2-1".to_owned()));
    host.change(|world| drop(world.holders.insert(other.0.clone(), other.1.clone())));
    let output = host.run(&["history", "--forget"]);
    assert!(output.exit.success() && kept(&output.world).is_empty(), "{output}");
    assert_eq!(output.world.holders, [other].into());
}

#[test]
fn two_may_read_at_once() {
    let taken = || Action::Fail(1, "Error response from daemon: No such container: 7".to_owned());
    let host = |scenario: Scenario| {
        let host = scenario.host();
        assert!(host.run(&["up"]).exit.success());
        host
    };
    let output = host(shop().when_nth(1, "docker cp", taken())).run(&["diff"]);
    assert!(output.exit.success() && output.world.holders.is_empty(), "{output}");
    let output = host(shop().when("docker cp", taken())).run(&["diff"]);
    assert_eq!(output.exit.code(), Some(1), "it ends: {output}");
}

#[test]
fn a_rollback_waits_for_nobody_s_lock() {
    let host = twice(shop());
    host.change(|world| drop(world.volumes.insert("zdd-lock-shop".to_owned(), Default::default())));
    assert_eq!(host.run(&["rollback"]).exit.code(), Some(5));
    assert!(host.run(&["rollback", "--break-lock"]).exit.success());
}

#[test]
fn a_named_project_needs_no_file() {
    let host = twice(shop());
    host.change(|world| world.config = "no: file".to_owned());
    let output = host.run(&["-p", "shop", "history", "--format", "json"]);
    let listed: Vec<Revision> = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(listed.iter().map(|revision| revision.number).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(output.calls.len(), 2, "{output}");
}

/// A service that was not named may differ from the file: it is written down as it runs.
#[test]
fn what_was_left_alone_is_as_it_was_deployed() {
    let services =
        [("web", format!("image: web\n{HEALTHCHECK}")), ("api", format!("image: api\n{HEALTHCHECK}"))];
    let services = services.each_ref().map(|(name, lines)| (*name, lines.as_str()));
    let host = Scenario::new(&project(&services)).with([old("web-1"), old("api-1")]).host();
    assert!(host.run(&["up"]).exit.success());
    host.change(|world| {
        for name in ["web", "api"] {
            world.images.insert(name.to_owned(), format!("sha256:{}", hex(&format!("newer {name}"))));
        }
    });
    let output = host.run(&["up", "web"]);
    let all = revisions(&output.world);
    assert_eq!(all[1].changed, ["web"]);
    assert_eq!(all[1].services["api"], all[0].services["api"]);
    assert_ne!(all[1].services["web"], all[0].services["web"]);
    assert_eq!(all[1].unknown, Vec::<String>::new());

    // Another tool has deployed it: then nobody knows its definition, and no rollback touches it.
    host.change(|world| {
        world.containers.iter_mut().filter(|c| c.service == "api").for_each(|c| c.config_hash = hex("other"));
        world.images.insert("web".to_owned(), format!("sha256:{}", hex("newest web")));
    });
    let output = host.run(&["up", "web"]);
    assert_eq!(last(&output).unknown, ["api"], "{output}");
    host.change(|world| drop(world.images.insert("web".to_owned(), format!("sha256:{}", hex("last web")))));
    assert!(host.run(&["up", "web"]).exit.success());
    let output = host.run(&["rollback", "--to", "3"]);
    assert!(output.exit.success(), "{output}");
    assert_eq!(last(&output).changed, ["web"], "{output}");
}

#[test]
fn counts_that_a_flag_gave_are_deployed_again() {
    let host = shop().host();
    assert!(host.run(&["up", "--scale", "web=3"]).exit.success());
    assert!(host.run(&["up", "--scale", "web=1"]).exit.success());
    let output = host.run(&["rollback"]);
    assert!(output.exit.success(), "{output}");
    assert_eq!(output.world.containers.len(), 3, "{output}");
}

#[test]
fn the_history_of_a_service() {
    let host = twice(shop());
    let table = host.run(&["history"]).stdout;
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.starts_with("REVISION   WHEN"), "{table}");
    assert_eq!(host.run(&["history", "web"]).stdout.lines().count(), 3);
    let unknown = host.run(&["history", "wbe"]);
    assert_eq!((unknown.exit.code(), unknown.stdout.lines().count()), (Some(0), 1), "{unknown}");
    assert_eq!(unknown.stderr, "no revision has a service wbe; did you mean \"web\"?\n");
    let unknown = host.run(&["rollback", "wbe"]).stderr;
    assert!(
        unknown.contains(" has no service wbe; nothing was touched; did you mean \"web\"?\n"),
        "{unknown}"
    );
}

#[test]
fn a_history_that_is_forgotten_leaves_nothing() {
    let host = twice(shop());
    assert_eq!(host.run(&["history", "--forget", "web"]).exit.code(), Some(1));
    let output = host.run(&["--dry-run", "history", "--forget"]);
    assert_eq!(output.stdout, "would forget 2 revisions of project shop\n", "{output}");
    assert_eq!(revisions(&output.world).len(), 2, "{output}");
    let output = host.run(&["history", "--forget"]);
    assert!(output.world.volumes.is_empty() && kept(&output.world).is_empty(), "{output}");
    assert_snapshot!(output, @"
    exit code: 0
    --- stdout
    forgot 2 revisions of project shop
    --- calls
    docker compose config
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker volume ls
    docker image ls zdd-revision/shop
    docker ps -a --filter label=io.zdd.revision.reading=true
    docker volume rm zdd-revision-shop-1 zdd-revision-shop-2
    docker image rm zdd-revision/shop:3d7d6ef7f201 zdd-revision/shop:94cf65b55eff zdd-revision/shop:r1 zdd-revision/shop:r2
    docker volume ls --filter label=io.zdd.revision
    docker image ls zdd-helper
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-3 new healthy
    at least: 1 of web
    ");
    assert!(host.run(&["rollback"]).stderr.contains("no good revision to go back to"));
    assert_eq!(last(&host.run(&["up", "--force-recreate"])).number, 1);
    host.change(|world| drop(world.volumes.insert("zdd-lock-shop".to_owned(), Default::default())));
    assert_eq!(host.run(&["history", "--forget"]).exit.code(), Some(5));
}

/// The revisions go first, then their images: who breaks it off has forgotten some.
#[test]
fn a_history_that_is_forgotten_in_part_is_not_untouched() {
    let cut_off = |call: &str, action: Action| {
        let host = twice(shop());
        host.change(|world| world.rules.push(Rule { call: call.to_owned(), nth: 1, seen: 0, action }));
        host
    };
    let full = || Action::FailAfter(1, "Error response from daemon: no space left on device".to_owned());
    let host = cut_off("docker image rm", full());
    let output = host.run(&["history", "--forget"]);
    assert_eq!(output.exit.code(), Some(1), "{output}");
    assert_snapshot!(output.stderr, @"
    docker image rm failed: Error response from daemon: no space left on device; 2 revisions of project shop may be forgotten, images of them may still be there
    hint: run the same command again to remove the rest
    ");
    let output = host.run(&["history", "--forget"]);
    assert_eq!(output.stdout, "forgot 0 revisions of project shop\n", "{output}");
    assert!(output.world.volumes.is_empty() && kept(&output.world).is_empty(), "{output}");

    let output = cut_off("docker volume rm zdd-rev", full()).run(&["history", "--forget"]);
    assert_snapshot!(output.stderr, @"
    docker volume rm failed: Error response from daemon: no space left on device; 2 revisions of project shop may be forgotten, images of them may still be there
    hint: run the same command again to remove the rest
    ");

    for call in ["docker volume rm zdd-rev", "docker image rm"] {
        let output = interrupted_twice(cut_off(call, Action::HoldAfter).spawn(&["history", "--forget"]));
        assert_eq!(output.exit.code(), Some(130), "{output}");
        assert!(
            output.stderr.contains("interrupted; 2 revisions of project shop may be forgotten"),
            "{output}"
        );
        assert!(!output.stderr.contains("nothing was touched"), "{output}");
    }
}

#[test]
fn what_differs_from_the_file() {
    let host = twice(shop());
    let same = host.run(&["diff"]);
    assert_eq!(same.stdout, "nothing differs between revision 2 and the file\n", "{same}");
    let output = host.run(&["diff", "1"]);
    assert!(output.stdout.starts_with("web\n  image: same tag, different image ("), "{output}");
    host.change(|world| {
        world.config = world.config.replace("hunter2", "hunter3").replace("image: web", "image: web:2")
    });
    let output = host.run(&["diff"]);
    assert_snapshot!(output, @"
    exit code: 0
    --- stdout
    web
      environment.DATABASE: changed
      image: web → web:2
    --- calls
    docker compose config
    docker volume ls
    docker create zdd-revision/shop:r2 compose.json
    docker cp holder:/compose.json -
    docker rm -v holder
    docker image inspect web:2  → exit 1
    --- containers
    web-3 new healthy
    at least: 1 of web
    ");
    assert_eq!(host.run(&["diff", "7"]).exit.code(), Some(1));
}

#[test]
fn a_restart_replaces_what_runs() {
    let output = Scenario::new(&web("")).with([new("web-1")]).run(&["restart"]);
    assert_eq!(last(&output).cause.to_string(), "restart");
    assert_snapshot!(output, @"
    exit code: 0
    --- stderr
    [TIME]  web  roll: forced
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-2 healthy
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  done in [TIME], serving shop-web-2

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  ░ starting  █ serving  ▓ stopping
    start [TIME], health [TIME], stop [TIME], total [TIME]

    web is restarted
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-1
    docker ps
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=2 web
    docker ps web
    docker compose up -d --no-deps --no-recreate --scale web=2 web
    docker ps web
    docker inspect web-2
    docker stop web-1
    docker inspect web-1
    docker inspect web-2
    docker rm -v web-1
    docker ps web
    docker inspect web-2
    docker compose --dry-run up -d --scale web=1
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image web] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-2 new healthy
    at least: 1 of web
    ");
}

#[test]
fn a_restart_that_fails_blames_no_version() {
    for (scale, said) in [(1, "the new container failed"), (2, "the new containers failed")] {
        let given: Vec<_> = (1..=scale).map(|n| new(&format!("web-{n}"))).collect();
        let scenario = Scenario::new(&web(&format!("scale: {scale}"))).starts("web", "exited 7");
        let output = scenario.with(given).run(&["restart"]);
        assert_eq!(output.exit.code(), Some(3), "{output}");
        assert!(output.stderr.contains(&format!("web: {said} (shop-web-")), "{output}");
    }
}

/// As `docker image prune -a` leaves it.
#[test]
fn a_pruned_revision_is_marked() {
    let host = twice(shop());
    host.change(|world| drop(world.images.remove("zdd-revision/shop:r1")));
    let lines: Vec<_> = host.run(&["history"]).stdout.lines().map(str::to_owned).collect();
    assert!(lines[1].ends_with("done") && lines[2].ends_with("done (pruned)"), "{lines:?}");
    let output = host.run(&["history", "--format", "json"]);
    let listed: Vec<serde_json::Value> = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!((&listed[0]["pruned"], &listed[1]["pruned"]), (&false.into(), &true.into()));
    let output = host.run(&["rollback"]);
    assert!(output.stderr.contains("revision 1 cannot be deployed again"), "{output}");
}

#[test]
fn an_interrupted_restart_is_not_gone_on_with_by_up() {
    let host = Scenario::new(&web("scale: 2")).with([new("web-1"), new("web-2")]);
    let mut running = host.when("docker stop", Action::Hold).spawn(&["restart", "--parallelism", "1"]);
    running.wait_for_call("docker stop");
    running.signal(Signal::INT).wait_for_stderr("interrupt");
    running.release();
    let output = running.finish();
    assert_eq!(output.exit.code(), Some(130), "{output}");
    assert!(output.stderr.ends_with("hint: \"docker zdd restart\" starts over\n"), "{output}");
}

#[test]
fn a_restart_deploys_no_change() {
    for scenario in [
        shop(),
        Scenario::new(&web("")).with([new("web-1").other_image()]),
        Scenario::new(&web("scale: 2")).with([new("web-1")]),
        Scenario::new(&web("")),
    ] {
        let output = scenario.run(&["restart"]);
        assert_eq!(output.exit.code(), Some(2), "{output}");
        assert!(output.stderr.contains("a restart deploys no change"), "{output}");
        assert_eq!(output.changes(), Vec::<&str>::new(), "{output}");
    }
    assert_snapshot!(shop().run(&["restart"]).stderr, @r#"
    a restart deploys no change, and what runs is not what the file says: web (configuration changed); nothing was touched
    hint: "docker zdd diff" shows what changed, "docker zdd up" deploys it
    "#);
}

#[test]
fn a_restart_replaces_a_crashed_replica_too() {
    let crashed = [new("web-1"), new("web-2").is("exited 1")];
    let output = Scenario::new(&web("scale: 2")).with(crashed).run(&["restart"]);
    assert!(output.exit.success(), "{output}");
    assert_eq!(output.world.containers.len(), 2, "{output}");
}

#[test]
fn a_restart_runs_no_job_again_unless_it_is_named() {
    let web = format!(
        "image: web\n{HEALTHCHECK}\ndepends_on: {{job: {{condition: service_completed_successfully, required: true}}}}"
    );
    let file = project(&[("web", &web), ("job", "image: job")]);
    let host = || {
        Scenario::new(&file)
            .with([new("web-1"), new("job-1").is("exited 0")])
            .starts("job", "exited 0")
            .host()
    };
    let output = host().run(&["restart"]);
    assert_eq!(last(&output).changed, ["web"], "{output}");
    let output = host().run(&["restart", "job"]);
    assert_eq!(last(&output).changed, ["job"], "{output}");
}

/// Web and worker of one tag, which has moved since they were deployed.
fn of_one_tag() -> Host {
    let lines = format!("image: shop:latest\n{HEALTHCHECK}");
    let host = Scenario::new(&project(&[("web", &lines), ("worker", &lines)])).host();
    assert!(host.run(&["up"]).exit.success());
    host.change(|world| {
        drop(world.images.insert("shop:latest".to_owned(), format!("sha256:{}", hex("built"))))
    });
    host
}

fn image_of(output: &Output, service: &str) -> String {
    let mut containers = output.world.containers.iter().filter(|c| c.service == service);
    containers.next().unwrap_or_else(|| panic!("no {service}\n{output}")).image_id.clone()
}

#[test]
fn a_rollback_leaves_a_service_and_rolls_another_of_the_same_tag() {
    let host = of_one_tag();
    assert!(host.run(&["up", "worker"]).exit.success());
    host.change(|world| drop(world.hashes.insert("worker".to_owned(), hex("another environment"))));
    assert!(host.run(&["up", "worker"]).exit.success());
    host.change(|world| drop(world.hashes.remove("worker")));
    let output = host.run(&["rollback", "--to", "2"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    let all = revisions(&output.world);
    assert_eq!(all[3].services, all[1].services);
    assert_eq!(all[3].changed, ["worker"]);
    for service in ["web", "worker"] {
        assert_eq!(Some(image_of(&output, service)), all[1].services[service].image, "{output}");
    }
    assert!(!output.stderr.contains("Compose does not agree"), "{output}");
}

/// A new version of Compose may hash the same definition otherwise, and then replaces what has the other hash.
#[test]
fn a_rollback_to_what_runs_when_compose_hashes_it_otherwise_by_now() {
    let host = of_one_tag();
    host.change(|world| drop(world.hashes.insert("web".to_owned(), hex("by another Compose"))));
    let output = host.run(&["rollback", "--to", "1"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    let all = revisions(&output.world);
    assert_eq!(all[1].changed, ["web"]);
    for service in ["web", "worker"] {
        assert_eq!(Some(image_of(&output, service)), all[0].services[service].image, "{output}");
    }
}
