//! Old containers leave the proxy before they stop.

use insta::assert_snapshot;

use crate::{
    files::{HEALTHCHECK, project, web},
    scenario::{Scenario, new, old},
    world::{Action, Reading},
};

/// What HAProxy says before it lists its servers.
const COLUMNS: &str = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state\n";

fn behind_haproxy(lines: &str) -> Scenario {
    let web = format!("image: web\n{HEALTHCHECK}\n{lines}");
    Scenario::new(&project(&[("lb", "image: haproxy:3"), ("web", &web)])).haproxy("web", 4, 3)
}

#[test]
fn haproxy_drains() {
    let scenario = behind_haproxy("").with([old("web-1"), new("lb-1").is("running")]);
    let output = scenario.run(&["up"]);
    let slots = &output.world.proxy.as_ref().expect("a proxy").slots;
    assert!(!slots.iter().any(|slot| slot.drained), "{slots:?}");
    assert_snapshot!(output, @"
    exit code: 0
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  unchanged: lb
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-2 healthy
    [TIME]  web  shop-web-1 draining (HAProxy in shop-lb-1)
    [TIME]  web  shop-web-1 drained
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  done in [TIME], serving shop-web-2

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  ░ starting  █ serving  ▒ draining  ▓ stopping
    start [TIME], health [TIME], drain [TIME], stop [TIME], total [TIME]

    web is up to date
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect haproxy:3 web
    docker inspect lb-1 web-1
    docker ps
    docker exec lb-1 sh -c SCRIPT zdd show cli level; show servers state
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=2 web
    docker ps web
    docker compose up -d --no-deps --no-recreate --scale web=2 web
    docker ps web
    docker inspect web-2
    docker exec lb-1 sh -c SCRIPT zdd show servers state; show stat -1 4 -1
    docker inspect web-1
    docker exec lb-1 sh -c SCRIPT zdd show servers state; show stat -1 4 -1
    docker exec lb-1 sh -c SCRIPT zdd set server app/app1 state drain; show servers state; show stat -1 4 -1
    docker exec lb-1 sh -c SCRIPT zdd show servers state; show stat -1 4 -1
    docker stop web-1
    docker inspect web-1
    docker exec lb-1 sh -c SCRIPT zdd show servers state; show stat -1 4 -1
    docker exec lb-1 sh -c SCRIPT zdd set server app/app1 state ready; show servers state; show stat -1 4 -1
    docker inspect web-2
    docker rm -v web-1
    docker ps web
    docker inspect web-2
    docker compose --dry-run up -d --scale lb=1 --scale web=1
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image web] zdd-revision/shop:[ID]
    docker tag [image haproxy:3] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    lb-1 new running
    web-2 new healthy
    at least: 1 of lb, 1 of web
    ");
}

#[test]
fn haproxy_that_does_not_answer_is_no_obstacle() {
    let scenario = behind_haproxy("").with([old("web-1"), new("lb-1").is("running")]);
    let mute = Action::Fail(1, "no runtime socket of HAProxy answers".to_owned());
    assert_snapshot!(scenario.when("docker exec lb-1", mute).run(&["up"]), @r#"
    exit code: 0
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  unchanged: lb
    [TIME]  web  warning: HAProxy in shop-lb-1 cannot be asked to drain it: no stats socket of its configuration answers; "x-zdd: {drain: none}" says that this is known
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

    web is up to date
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect haproxy:3 web
    docker inspect lb-1 web-1
    docker ps
    docker exec lb-1 sh -c SCRIPT zdd show cli level; show servers state  → exit 1
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
    docker compose --dry-run up -d --scale lb=1 --scale web=1
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image web] zdd-revision/shop:[ID]
    docker tag [image haproxy:3] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    lb-1 new running
    web-2 new healthy
    at least: 1 of lb, 1 of web
    "#);
}

/// A run that was killed between drain and stop has left a slot drained: whoever comes there must serve.
#[test]
fn haproxy_forgets_a_killed_run() {
    let host = behind_haproxy("")
        .with([old("web-1"), new("lb-1").is("running")])
        .when("docker stop", Action::Hold)
        .host();
    let mut first = host.spawn(&["up"]);
    first.wait_for_call("docker stop");
    first.kill();
    host.change(|world| world.rules.clear());
    let output = host.run(&["up"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    let slots = &output.world.proxy.as_ref().expect("a proxy").slots;
    assert!(!slots.iter().any(|slot| slot.drained), "{slots:?}\n{output}");
}

/// `order: stop-first`, killed when everything was stopped: nothing of the service is in the backend any more.
#[test]
fn haproxy_forgets_a_killed_run_that_had_stopped_everything() {
    let host = behind_haproxy("x-zdd: {order: stop-first}")
        .with([old("web-1"), new("lb-1").is("running")])
        .when("docker stop", Action::HoldAfter)
        .host();
    let mut first = host.spawn(&["up", "--allow-downtime"]);
    first.wait_for_call("docker stop").wait_for_done();
    first.kill();
    host.change(|world| world.rules.clear());
    let output = host.run(&["up", "--allow-downtime"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    let slots = &output.world.proxy.as_ref().expect("a proxy").slots;
    assert!(!slots.iter().any(|slot| slot.drained), "{slots:?}\n{output}");
    assert!(output.stderr.contains("app/app1 had been left drained in shop-lb-1; ready again"), "{output}");
}

/// One that does not come into the pool must not cost the only server that is in it.
#[test]
fn haproxy_has_no_place_for_the_new_one() {
    let scenario = behind_haproxy("").haproxy("web", 1, 0).with([old("web-1"), new("lb-1").is("running")]);
    let output = scenario.run(&["up", "--drain-timeout", "1s"]);
    assert_eq!(output.exit.code(), Some(3), "{output}");
    let why = "new version failed: shop-lb-1 has no new container among the servers of app: do its own checks pass, and has server-template twice as many places as there are replicas?\n";
    assert!(output.stderr.contains(why), "{output}");
    assert!(output.stderr.contains("web: the new version failed; shop-web-1 serves now"), "{output}");
    assert_eq!(output.world.containers.iter().filter(|c| c.service == "web").count(), 1, "{output}");
}

/// HAProxy cannot be asked for a moment while the new one is on its way into the pool: it is waited for all the same.
#[test]
fn haproxy_is_asked_again_before_the_old_one_goes() {
    let without_it = Action::Print(format!("{COLUMNS}3 app 1 app1 172.18.0.2 2 0 1\n"));
    let scenario = behind_haproxy("").with([old("web-1"), new("lb-1").is("running")]);
    let scenario = scenario.when_nth(2, "docker exec lb-1", without_it);
    let mute = Action::Fail(1, "no answer".to_owned());
    let output = scenario.when_nth(3, "docker exec lb-1", mute).run(&["up"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    let text = output.to_string();
    let (_, behind) = text.split_once("→ exit 1\n").expect("a call that failed");
    assert!(behind.starts_with("docker exec lb-1"), "{output}");
}

/// Nothing of it was reachable, so no proxy can show whether it serves it.
#[test]
fn a_stopped_service_beside_haproxy_is_started_at_once() {
    let image = format!("image: redis\n{HEALTHCHECK}");
    let file = project(&[("lb", "image: haproxy:3"), ("redis", &image), ("web", "image: web")]);
    let scenario = Scenario::new(&file).haproxy("web", 4, 0);
    let given = [
        new("redis-1").is("exited 0").restarts("healthy"),
        new("web-1").is("running"),
        new("lb-1").is("running"),
    ];
    let began = std::time::Instant::now();
    let output = scenario.with(given).run(&["up"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert!(!output.stderr.contains("pool"), "{output}");
    assert!(began.elapsed() < std::time::Duration::from_secs(10), "{output}");
}

/// HAProxy answers and would do nothing: that is not a drain.
#[test]
fn haproxy_may_not_be_set() {
    let scenario = behind_haproxy("").haproxy_only_shows().with([old("web-1"), new("lb-1").is("running")]);
    let output = scenario.run(&["up"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert!(output.stderr.contains("its stats socket has no \"level admin\""), "{output}");
    assert!(!output.stderr.contains("shop-web-1 drained"), "{output}");
}

/// The plan promises no drain that cannot be, and nobody asks again and again.
#[test]
fn haproxy_that_cannot_be_asked_is_not_promised() {
    let shell = "OCI runtime exec failed: exec failed: unable to start container process: exec: \"sh\": executable file not found in $PATH: unknown";
    for (said, why) in [
        (shell, "its image has no shell to ask it by"),
        ("no runtime socket of HAProxy answers", "no stats socket of its configuration answers"),
    ] {
        let scenario = || {
            let scenario = behind_haproxy("").with([old("web-1"), new("lb-1").is("running")]);
            scenario.when("docker exec lb-1", Action::Fail(126, said.to_owned()))
        };
        let plan = scenario().run(&["plan"]);
        assert!(plan.stdout.contains("drain shop-web-1\n"), "{plan}");
        assert!(
            plan.stdout.contains(&format!("HAProxy in shop-lb-1 cannot be asked to drain it: {why};")),
            "{plan}"
        );
        let output = scenario().run(&["up"]);
        assert_eq!(output.exit.code(), Some(0), "{output}");
        assert!(output.stderr.contains(why), "{output}");
        assert_eq!(output.calls.iter().filter(|line| line.contains("exec lb-1")).count(), 1, "{output}");
    }
}

/// Two backends of one service, each with checks of its own: the new one is in the second when its check passes there.
#[test]
fn haproxy_has_the_service_in_two_backends() {
    let look = |new_in_ws: u8| {
        format!(
            "{COLUMNS}3 app 1 app1 172.18.0.2 2 0\n3 app 2 app2 172.18.0.4 2 0\n4 ws 1 ws1 172.18.0.2 2 0\n4 ws 2 ws2 172.18.0.4 {new_in_ws} 0\n\n"
        )
    };
    let scenario = behind_haproxy("").with([old("web-1"), new("lb-1").is("running")]);
    let scenario = scenario
        .when_nth(2, "docker exec lb-1", Action::Print(look(0)))
        .when_nth(3, "docker exec lb-1", Action::Print(look(0)))
        .when_nth(4, "docker exec lb-1", Action::Print(look(2)));
    let output = scenario.run(&["up"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    let argvs = output.argvs();
    let asked: Vec<_> =
        argvs.iter().filter_map(|argv| argv.iter().find(|word| word.contains("servers state"))).collect();
    let drain = asked.iter().position(|words| words.contains("state drain"));
    assert_eq!(
        drain,
        Some(5),
        "one at the begin, one at the join, two until ws has it, one before: {output}"
    );
}

/// Whoever has been told to go cannot come back at once.
#[test]
fn nobody_is_stopped_when_the_new_one_has_died() {
    let file = web("pre_stop: [{command: [drain]}]\nx-zdd: {settle: 700ms, drain: {until: unhealthy}}");
    let scenario = Scenario::new(&file).with([old("web-1")]).starts("web", "healthy, exited 1");
    let output = scenario.run(&["up"]);
    assert_eq!(output.exit.code(), Some(3), "{output}");
    assert!(!output.changes().iter().any(|call| call.contains("docker exec web-1")), "{output}");
    assert!(output.stderr.contains("shop-web-2 exited with code 1"), "{output}");
}

#[test]
fn a_drain_ends_when_the_new_one_dies() {
    // Under HAProxy it is in the pool first, or it dies before.
    let ways = [
        ("1m", "healthy, exited 1"),
        ("haproxy", "healthy, healthy, exited 1"),
        ("haproxy", "healthy, healthy, healthy, healthy, exited 1"),
    ];
    for (drain, way) in ways {
        let scenario = behind_haproxy(&format!("x-zdd: {{drain: {drain}}}")).haproxy("web", 4, 1_000_000);
        let scenario = scenario.with([old("web-1"), new("lb-1").is("running")]);
        let output = scenario.starts("web", way).run(&["up"]);
        assert_eq!(output.exit.code(), Some(3), "{output}");
        assert!(output.took.as_secs() < 30, "{output}");
        assert!(output.stderr.contains("shop-web-2 exited with code 1"), "{output}");
        assert!(output.stderr.contains("serving shop-web-1"), "{output}");
    }
}

/// A service that merely shares a network with HAProxy is not waited for.
#[test]
fn haproxy_serves_another_service() {
    let scenario = behind_haproxy("").haproxy("lb", 4, 0).with([old("web-1"), new("lb-1").is("running")]);
    let output = scenario.run(&["up"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert!(!output.stderr.contains("warning"), "{output}");
}

/// The proxy is changed by the same run: the service leaves the new one, which is the one that gets requests.
#[test]
fn haproxy_changes_too() {
    let scenario = behind_haproxy("").with([old("web-1"), old("lb-1").is("running")]);
    let output = scenario.run(&["up", "--monitor", "300ms"]);
    let slots = &output.world.proxy.as_ref().expect("a proxy").slots;
    assert!(!slots.iter().any(|slot| slot.drained), "{slots:?}");
    assert_snapshot!(output, @"
    exit code: 0
    --- stderr
    [TIME]  lb   roll: configuration changed
    [TIME]  web  roll: configuration changed
    [TIME]  lb   roll to 1 replica
    [TIME]  lb   shop-lb-2 started
    [TIME]  lb   no healthcheck: watching for [TIME]
    [TIME]  lb   shop-lb-2 ready
    [TIME]  lb   shop-lb-1 stopping (grace 10s)
    [TIME]  lb   shop-lb-1 stopped (exit code 0)
    [TIME]  lb   shop-lb-1 removed
    [TIME]  lb   done in [TIME], serving shop-lb-2
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-2 healthy
    [TIME]  web  shop-web-1 draining (HAProxy in shop-lb-2)
    [TIME]  web  shop-web-1 drained
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  done in [TIME], serving shop-web-2

    lb            [TIME] to [TIME]
      shop-lb-1   [BAR]
      shop-lb-2   [BAR]
    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  ░ starting  █ serving  ▒ draining  ▓ stopping
    start [TIME], health [TIME], drain [TIME], stop [TIME], total [TIME]

    lb and web are up to date
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect haproxy:3 web
    docker inspect lb-1 web-1
    docker ps
    docker exec lb-1 sh -c SCRIPT zdd show cli level; show servers state
    docker compose --dry-run up -d --no-deps --no-recreate --scale lb=2 lb
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=2 web
    docker ps lb
    docker compose up -d --no-deps --no-recreate --scale lb=2 lb
    docker ps lb
    docker inspect lb-2
    docker stop lb-1
    docker inspect lb-1
    docker inspect lb-2
    docker rm -v lb-1
    docker ps lb
    docker inspect lb-2
    docker ps web
    docker compose up -d --no-deps --no-recreate --scale web=2 web
    docker ps web
    docker inspect web-2
    docker ps lb
    docker inspect lb-2
    docker exec lb-2 sh -c SCRIPT zdd show servers state; show stat -1 4 -1
    docker inspect web-1
    docker exec lb-2 sh -c SCRIPT zdd show servers state; show stat -1 4 -1
    docker exec lb-2 sh -c SCRIPT zdd set server app/app1 state drain; show servers state; show stat -1 4 -1
    docker exec lb-2 sh -c SCRIPT zdd show servers state; show stat -1 4 -1
    docker stop web-1
    docker inspect web-1
    docker exec lb-2 sh -c SCRIPT zdd show servers state; show stat -1 4 -1
    docker exec lb-2 sh -c SCRIPT zdd set server app/app1 state ready; show servers state; show stat -1 4 -1
    docker inspect web-2
    docker rm -v web-1
    docker ps web
    docker inspect web-2
    docker compose --dry-run up -d --scale lb=1 --scale web=1
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image web] zdd-revision/shop:[ID]
    docker tag [image haproxy:3] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    lb-2 new running
    web-2 new healthy
    at least: 1 of lb, 1 of web
    ");
}

#[test]
fn haproxy_is_recreated_too() {
    let web = format!("image: web\n{HEALTHCHECK}");
    let file = project(&[("lb", "image: haproxy:3\nx-zdd: {strategy: recreate}"), ("web", &web)]);
    let scenario = Scenario::new(&file).haproxy("web", 4, 3);
    let scenario = scenario.with([old("web-1"), old("lb-1").is("running")]);
    let output = scenario.run(&["up", "--allow-downtime", "--monitor", "300ms"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert!(output.stderr.contains("shop-web-1 drained"), "{output}");
    assert_eq!(output.stderr.matches("warning").count(), 1, "of the downtime: {output}");
}

/// It depends on the service, so that comes first, and leaves the proxy that is there.
#[test]
fn haproxy_changes_behind_the_service() {
    let web = format!("image: web\n{HEALTHCHECK}");
    let file = project(&[
        ("lb", "image: haproxy:3\ndepends_on: {web: {condition: service_started}}"),
        ("web", &web),
    ]);
    let scenario = Scenario::new(&file).haproxy("web", 4, 3);
    let scenario = scenario.with([old("web-1"), old("lb-1").is("running")]);
    let output = scenario.run(&["up", "--monitor", "300ms"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert!(output.stderr.contains("shop-web-1 draining (HAProxy in shop-lb-1)"), "{output}");
    assert!(!output.stderr.contains("warning"), "{output}");
}

/// A new proxy is given time to show whom it serves.
#[test]
fn haproxy_changes_too_and_serves_another_service() {
    let scenario = behind_haproxy("").haproxy("lb", 4, 0).with([old("web-1"), old("lb-1").is("running")]);
    let output = scenario.run(&["up", "--monitor", "300ms"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert!(!output.stderr.contains("warning"), "{output}");
}

/// Somebody replaces the proxy while the service is at its gate, or just before it leaves.
#[test]
fn haproxy_is_replaced_under_way() {
    for nth in [2, 3, 4] {
        let exec = "docker exec lb-1";
        let scenario =
            behind_haproxy("").with([old("web-1"), new("lb-1").is("running"), new("lb-2").is("exited 0")]);
        let scenario = scenario
            .when_nth(nth, exec, Action::Becomes("lb-2".to_owned(), Reading::parse("running")))
            .when_nth(nth, exec, Action::Vanishes("lb-1".to_owned()));
        let output = scenario.run(&["up", "web"]);
        assert_eq!(output.exit.code(), Some(0), "{output}");
        assert!(output.stderr.contains("shop-web-1 draining (HAProxy in shop-lb-2)"), "{nth}: {output}");
        assert!(!output.stderr.contains("could not be asked"), "{output}");
        let slots = &output.world.proxy.as_ref().expect("a proxy").slots;
        assert!(!slots.iter().any(|slot| slot.drained), "{slots:?}\n{output}");
    }
}

/// Nothing is in its place.
#[test]
fn haproxy_goes_for_good() {
    let scenario = behind_haproxy("").with([old("web-1"), new("lb-1").is("running")]);
    let output =
        scenario.when_nth(3, "docker exec lb-1", Action::Vanishes("lb-1".to_owned())).run(&["up", "web"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert_eq!(output.stderr.matches("shop-lb-1 could not be asked to drain").count(), 1, "{output}");
}

/// Who writes it down expects a drain.
#[test]
fn the_haproxy_that_is_written_serves_another_service() {
    for (lines, replicas) in [("", 1), ("scale: 2\nx-zdd: {drain: haproxy, parallelism: 1}", 2)] {
        for order in ["start-first", "stop-first"] {
            let numbers = 1..=replicas;
            let scenario = behind_haproxy(lines).haproxy("lb", 4, 0).with([new("lb-1").is("running")]);
            let scenario = scenario.with(numbers.map(|number| old(&format!("web-{number}"))));
            let output = scenario.run(&["up", "--order", order, "--allow-downtime"]);
            assert_eq!(output.exit.code(), Some(0), "{output}");
            let shown =
                "none of its containers is among the servers of HAProxy in shop-lb-1, so nothing is drained";
            assert_eq!(output.stderr.matches(shown).count(), replicas - 1, "{output}");
        }
    }
}

/// A service that is behind the proxy, and a container of it that is not.
#[test]
fn haproxy_does_not_know_an_old_one() {
    let unknown = Action::Print(format!("{COLUMNS}3 app 1 app1 172.18.0.99 2 0 1\n"));
    let scenario = behind_haproxy("").with([old("web-1"), new("lb-1").is("running")]);
    let output = scenario.when_nth(3, "docker exec lb-1", unknown).run(&["up"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    let shown = "warning: shop-web-1 is not among the servers of shop-lb-1, so it is not drained there";
    assert!(output.stderr.contains(shown), "{output}");
}

/// On a network with both, HAProxy prefers the addresses of IPv6.
#[test]
fn haproxy_knows_them_by_ipv6() {
    let scenario = behind_haproxy("").by_ipv6().with([old("web-1"), new("lb-1").is("running")]);
    let output = scenario.run(&["up"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert!(output.stderr.contains("shop-web-1 draining (HAProxy in shop-lb-1)"), "{output}");
    assert!(!output.stderr.contains("warning"), "{output}");
}

/// One call of a drain fails, or answers nonsense, and is made again: nobody is cut off.
#[test]
fn a_drain_by_haproxy_stumbles() {
    let calls = (2..=5).map(|nth| (nth, "docker exec lb-1")).chain([(1, "docker inspect web-1$")]);
    let fails = || Action::Fail(1, "no answer".to_owned());
    let garbage = || Action::Print("<html>502 Bad Gateway</html>\n".to_owned());
    for (nth, call, stumbles) in calls.flat_map(|(nth, call)| [(nth, call, fails()), (nth, call, garbage())])
    {
        let scenario = behind_haproxy("").with([old("web-1"), new("lb-1").is("running")]);
        let output = scenario.when_nth(nth, call, stumbles).run(&["up"]);
        assert_eq!(output.exit.code(), Some(0), "{output}");
        let drained = output.stderr.find("shop-web-1 drained").expect("a drain");
        assert!(drained < output.stderr.find("shop-web-1 stopping").expect("a stop"), "{output}");
        assert!(!output.stderr.contains("could not be asked"), "{output}");
    }
}

#[test]
fn until_docker_calls_it_unhealthy() {
    let file = web("pre_stop: [{command: [drain]}]\nx-zdd: {drain: unhealthy}");
    let unhealthy = Action::Becomes("web-1".to_owned(), Reading::parse("unhealthy: draining"));
    let scenario = Scenario::new(&file).with([old("web-1")]).when("docker exec web-1", unhealthy);
    assert_snapshot!(scenario.run(&["up"]), @"
    exit code: 0
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-2 healthy
    [TIME]  web  shop-web-1 draining (pre_stop)
    [TIME]  web  running pre_stop hook of shop-web-1
    [TIME]  web  pre_stop hook of shop-web-1 done
    [TIME]  web  shop-web-1 drained
    [TIME]  web  shop-web-1 draining (until unhealthy)
    [TIME]  web  shop-web-1 drained
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  done in [TIME], serving shop-web-2

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  ░ starting  █ serving  ▒ draining  ▓ stopping
    start [TIME], health [TIME], drain [TIME], stop [TIME], total [TIME]

    web is up to date
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
    docker exec web-1 drain
    docker inspect web-1
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
fn in_vain_until_the_drain_timeout() {
    let file = web("x-zdd: {drain: unhealthy, drain_timeout: 300ms}");
    let output = Scenario::new(&file).with([old("web-1")]).run(&["up"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert_snapshot!(output.stderr, @r#"
    [TIME]  web  roll: configuration changed
    [TIME]  web  warning: it drains until it is unhealthy, which takes up to 3s (interval 1s × retries 2 + timeout 1s), but drain_timeout is 300ms; write "x-zdd: {drain_timeout: 8s}", and let it fail sooner in later rollouts
    [TIME]  web  warning: it drains until it is unhealthy, but no pre_stop hook makes its healthcheck fail; write one that creates a file, "pre_stop: [{command: [touch, /tmp/drain]}]", and let the healthcheck fail while it is there, with requests still answered
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-2 healthy
    [TIME]  web  shop-web-1 draining (until unhealthy)
    [TIME]  web  shop-web-1 drained (it never became unhealthy; does its pre_stop hook make the healthcheck fail?)
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  done in [TIME], serving shop-web-2

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  ░ starting  █ serving  ▒ draining  ▓ stopping
    start [TIME], health [TIME], drain [TIME], stop [TIME], total [TIME]
    drain of shop-web-1: it never became unhealthy; does its pre_stop hook make the healthcheck fail?

    web is up to date
    "#);
}

#[test]
fn for_a_time() {
    let file = web("x-zdd: {drain: 300ms}");
    let output = Scenario::new(&file).with([old("web-1")]).run(&["up"]);
    assert!(output.took.as_millis() >= 300, "{output}");
    assert_snapshot!(output.stderr, @"
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 1 replica
    [TIME]  web  shop-web-2 started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-2 healthy
    [TIME]  web  shop-web-1 draining (300ms)
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  done in [TIME], serving shop-web-2

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  ░ starting  █ serving  ▒ draining  ▓ stopping
    start [TIME], health [TIME], drain [TIME], stop [TIME], total [TIME]

    web is up to date
    ");
}

/// New ones that have served leave the proxy as old ones do, or the rollback would cost requests.
#[test]
fn new_ones_that_served_drain_in_a_rollback() {
    let file = web(
        "scale: 2\npre_stop: [{command: [drain]}]\nx-zdd: {parallelism: 1, drain: {until: unhealthy, plus: 100ms}}",
    );
    let drains = |name: &str| Action::Becomes(name.to_owned(), Reading::parse("unhealthy: draining"));
    let scenario = Scenario::new(&file).with([old("web-1"), old("web-2")]);
    let scenario = scenario.starts("web", "starting, healthy").starts("web", "exited 1");
    let scenario =
        scenario.when("docker exec web-1", drains("web-1")).when("docker exec web-3", drains("web-3"));
    assert_snapshot!(scenario.run(&["up"]), @r#"
    exit code: 3
    --- stderr
    [TIME]  web  roll: configuration changed
    [TIME]  web  roll to 2 replicas, in 2 batches
    [TIME]  web  batch 1 of 2: start 1, retire 1
    [TIME]  web  shop-web-3 started
    [TIME]  web  shop-web-3 healthy
    [TIME]  web  shop-web-1 draining (pre_stop)
    [TIME]  web  running pre_stop hook of shop-web-1
    [TIME]  web  pre_stop hook of shop-web-1 done
    [TIME]  web  shop-web-1 drained
    [TIME]  web  shop-web-1 draining (until unhealthy)
    [TIME]  web  shop-web-1 drained
    [TIME]  web  shop-web-1 draining (100ms)
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  batch 2 of 2: start 1, retire 1
    [TIME]  web  shop-web-4 started
    [TIME]  web  new version failed: shop-web-4 exited with code 1
    [TIME]  web  shop-web-4 stopping (grace 10s)
    [TIME]  web  shop-web-4 stopped (exit code 1)
    [TIME]  web  shop-web-4 removed
    [TIME]  web  shop-web-1 starting again
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  shop-web-1 serves again
    [TIME]  web  shop-web-3 draining (pre_stop)
    [TIME]  web  running pre_stop hook of shop-web-3
    [TIME]  web  pre_stop hook of shop-web-3 done
    [TIME]  web  shop-web-3 drained
    [TIME]  web  shop-web-3 draining (until unhealthy)
    [TIME]  web  shop-web-3 drained
    [TIME]  web  shop-web-3 draining (100ms)
    [TIME]  web  shop-web-3 stopping (grace 10s)
    [TIME]  web  shop-web-3 stopped (exit code 0)
    [TIME]  web  shop-web-3 removed
    [TIME]  web  rolled back in [TIME], serving shop-web-1 and shop-web-2

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
      shop-web-3  [BAR]
      shop-web-4  [BAR]
                  ░ starting  █ serving  ▒ draining  ▓ stopping  ! failed
    start [TIME], health [TIME], drain [TIME], stop [TIME], rollback [TIME], total [TIME]

    web: the new version failed (shop-web-4); shop-web-1 and shop-web-2 serve now
    hint: fix the new version, then run "docker zdd up" again
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-1 web-2
    docker ps
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=3 web
    docker ps web
    docker compose up -d --no-deps --no-recreate --scale web=3 web
    docker ps web
    docker inspect web-3
    docker exec web-1 drain
    docker inspect web-1
    docker stop web-1
    docker inspect web-1
    docker ps web
    docker compose up --no-start --no-deps --no-recreate --scale web=4 web
    docker ps web
    docker inspect web-4
    docker start web-4
    docker inspect web-4
    docker logs --tail 20 web-4
    docker ps web
    docker stop web-4
    docker inspect web-4
    docker rm -v web-4
    docker start web-1
    docker inspect web-1
    docker ps web
    docker inspect web-3
    docker exec web-3 drain
    docker stop web-3
    docker inspect web-3
    docker rm -v web-3
    docker ps web
    docker inspect web-1 web-2
    docker volume ls
    docker image ls zdd-revision/shop
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    web-1 old healthy
    web-2 old healthy
    at least: 2 of web
    "#);
}
