//! What is refused before anything is touched, and what is only shown.

use insta::assert_snapshot;

use crate::{
    files::{HEALTHCHECK, bare, project, web},
    output::Output,
    scenario::{Scenario, new, old},
};

/// Exit code and standard error of a run that changed nothing.
fn untouched(title: &str, output: &Output) -> String {
    assert_eq!(output.changes(), Vec::<&str>::new(), "{output}");
    assert_eq!(output.stdout, "", "{output}");
    format!("{title}: exit {}\n{}\n", output.exit.code().unwrap_or(-1), output.stderr)
}

/// An update of a single replica of `web` with these lines.
fn update(lines: &str) -> String {
    untouched(lines, &Scenario::new(&web(lines)).with([old("web-1")]).run(&["up"]))
}

#[test]
fn what_cannot_live_twice() {
    let shown = [
        update("ports: [{mode: ingress, target: 80, published: \"8080\", protocol: tcp}]"),
        update("ports: [{mode: ingress, target: 80, published: \"8080-8081\", protocol: tcp}]\nscale: 2"),
        update("container_name: the-web"),
        update("networks: {default: {ipv4_address: 172.18.0.9}}"),
        update("mac_address: 02:42:ac:11:00:09"),
        update("network_mode: host"),
        update("network_mode: service:db"),
        update("volumes: [{type: volume, source: data, target: /data}]"),
        update("volumes: [{type: bind, source: /srv/data, target: /data}]"),
        update("container_name: the-web\nx-zdd: {strategy: auto}\nnetwork_mode: host"),
    ];
    assert_snapshot!(shown.concat(), @r#"
    ports: [{mode: ingress, target: 80, published: "8080", protocol: tcp}]: exit 2
    compose.yaml:6: service web: ports: host port 8080 can belong to one container only, and connections cannot wait (no helper is wanted); run "docker zdd init" to let a proxy publish 8080, or write a range with room for twice the replicas
    nothing was touched
    hint: --allow-downtime stops the old container before the new one starts

    ports: [{mode: ingress, target: 80, published: "8080-8081", protocol: tcp}]
    scale: 2: exit 2
    compose.yaml:6: service web: ports: host ports 8080-8081 have room for 2 containers only, and connections cannot wait (no helper is wanted); run "docker zdd init" to let a proxy publish 8080-8081, or write a range with room for twice the replicas
    nothing was touched
    hint: --allow-downtime stops the old container before the new one starts

    container_name: the-web: exit 2
    compose.yaml:6: service web: container_name: the container name "the-web" can be taken only once, and connections cannot wait (no helper is wanted); remove container_name
    nothing was touched
    hint: --allow-downtime stops the old container before the new one starts

    networks: {default: {ipv4_address: 172.18.0.9}}: exit 2
    compose.yaml:6: service web: networks: the address 172.18.0.9 on network "default" can be taken only once, and connections cannot wait (no helper is wanted); remove the address and use the service's name
    nothing was touched
    hint: --allow-downtime stops the old container before the new one starts

    mac_address: 02:42:ac:11:00:09: exit 2
    compose.yaml:6: service web: mac_address: the MAC address 02:42:ac:11:00:09 can be taken only once, and connections cannot wait (no helper is wanted); remove mac_address
    nothing was touched
    hint: --allow-downtime stops the old container before the new one starts

    network_mode: host: exit 2
    compose.yaml:6: service web: network_mode: on the host's network both generations want the same ports; use a bridge network and publish the port by a proxy
    nothing was touched
    hint: --allow-downtime stops the old container before the new one starts

    network_mode: service:db: exit 2
    compose.yaml:6: service web: network_mode: it lives in a container of "db" (network_mode); give each service its own namespace, on one network
    nothing was touched
    hint: --allow-downtime stops the old container before the new one starts

    volumes: [{type: volume, source: data, target: /data}]: exit 2
    compose.yaml:6: service web: volumes: its only replica writes to volume "data" at /data, and two generations would write at once, and connections cannot wait (no helper is wanted); write "x-zdd: {strategy: rolling}" if two may write at once
    nothing was touched
    hint: --allow-downtime stops the old container before the new one starts

    volumes: [{type: bind, source: /srv/data, target: /data}]: exit 2
    compose.yaml:6: service web: volumes: its only replica writes to volume "/srv/data" at /data, and two generations would write at once, and connections cannot wait (no helper is wanted); write "x-zdd: {strategy: rolling}" if two may write at once
    nothing was touched
    hint: --allow-downtime stops the old container before the new one starts

    container_name: the-web
    x-zdd: {strategy: auto}
    network_mode: host: exit 2
    compose.yaml:6: service web: container_name: the container name "the-web" can be taken only once; remove container_name
    compose.yaml:8: service web: network_mode: on the host's network both generations want the same ports; use a bridge network and publish the port by a proxy
    nothing was touched
    hint: --allow-downtime stops the old container before the new one starts
    "#);
}

#[test]
fn a_namespace_that_others_share() {
    let image = format!("image: web\n{HEALTHCHECK}");
    let file = project(&[("web", &image), ("sidecar", &format!("{image}\nnetwork_mode: service:web"))]);
    let output = Scenario::new(&file).with([old("web-1"), new("sidecar-1")]).run(&["up"]);
    assert_snapshot!(untouched("sidecar", &output), @r#"
    sidecar: exit 2
    compose.yaml:3: service web: network_mode: "sidecar" lives in its container (network_mode); give each service its own namespace, on one network
    nothing was touched
    hint: --allow-downtime stops the old container before the new one starts
    "#);
}

/// The same hazards are none: without a change, on a first start, with room for both, read-only, or because it says so.
#[test]
fn what_may_go_on() {
    let goes = |lines: &str, containers: Vec<_>| {
        let output = Scenario::new(&web(lines)).with(containers).run(&["up"]);
        assert_eq!(output.exit.code(), Some(0), "{lines}: {output}");
    };
    goes("container_name: the-web", vec![new("web-1")]);
    goes("container_name: the-web", vec![]);
    goes("ports: [{mode: ingress, target: 80, published: \"8080-8081\", protocol: tcp}]", vec![old("web-1")]);
    goes("ports: [{mode: ingress, target: 80, protocol: tcp}]", vec![old("web-1")]);
    goes("volumes: [{type: volume, source: data, target: /data, read_only: true}]", vec![old("web-1")]);
    goes(
        "volumes: [{type: bind, source: /var/run/docker.sock, target: /var/run/docker.sock}]",
        vec![old("web-1")],
    );
    goes(
        "scale: 2\nvolumes: [{type: volume, source: data, target: /data}]",
        vec![old("web-1"), old("web-2")],
    );
    goes(
        "x-zdd: {strategy: rolling}\nvolumes: [{type: volume, source: data, target: /data}]",
        vec![old("web-1")],
    );
}

#[test]
fn downtime_is_allowed_by_a_flag() {
    let scenario = Scenario::new(&web("container_name: the-web")).with([old("web-1")]);
    assert_snapshot!(scenario.run(&["up", "--allow-downtime", "--timeout", "3"]), @"
    exit code: 0
    --- stderr
    [TIME]  web  recreate: configuration changed
    [TIME]  web  warning: its requests fail from the stop of the old container to the start of the new
    [TIME]  web  recreate 1 replica, with downtime
    [TIME]  web  shop-web-1 stopping (grace 3s)
    [TIME]  web  shop-web-1 removed
    [TIME]  web  the-web started
    [TIME]  web  waiting until healthy, at most [TIME]
    [TIME]  web  the-web healthy
    [TIME]  web  done in [TIME], serving the-web

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      the-web     [BAR]
                  ░ starting  █ serving  ▓ stopping
    health [TIME], stop [TIME], total [TIME]

    web is up to date; web was down for [TIME]
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-1
    docker ps
    docker volume ls
    docker compose --file - --profile * config --hash * <stdin d5abd3f9>
    docker compose --dry-run up -d --no-deps --no-recreate --scale web=1 web
    docker ps web
    docker compose up -d --no-deps --force-recreate --timeout=3 --scale web=1 web
    docker ps web
    docker inspect the-web
    docker ps web
    docker compose --dry-run up -d --scale web=1
    docker volume ls
    docker image ls zdd-revision/shop
    docker tag [image web] zdd-revision/shop:[ID]
    docker import - zdd-revision/shop:r1
    docker volume create zdd-revision-shop-1
    docker volume inspect zdd-lock-shop
    docker volume rm zdd-lock-shop
    --- containers
    the-web new healthy
    at least: 0 of web
    ");
}

#[test]
fn downtime_is_allowed_by_the_file() {
    let file = bare("network_mode: host\nx-zdd: {strategy: recreate, monitor: 1s}");
    assert_snapshot!(Scenario::new(&file).with([old("web-1").is("running")]).run(&["up"]), @"
    exit code: 0
    --- stderr
    [TIME]  web  recreate: configuration changed
    [TIME]  web  warning: its requests fail from the stop of the old container to the start of the new
    [TIME]  web  recreate 1 replica, with downtime
    [TIME]  web  shop-web-1 stopping (grace 10s)
    [TIME]  web  shop-web-1 stopped (exit code 0)
    [TIME]  web  shop-web-2 started
    [TIME]  web  no healthcheck: watching for [TIME]
    [TIME]  web  shop-web-2 ready
    [TIME]  web  shop-web-1 removed
    [TIME]  web  done in [TIME], serving shop-web-2

    web           [TIME] to [TIME]
      shop-web-1  [BAR]
      shop-web-2  [BAR]
                  ░ starting  █ serving  ▓ stopping
    start [TIME], health [TIME], stop [TIME], total [TIME]

    web is up to date; web was down for [TIME]
    --- calls
    docker compose config
    docker compose config --hash *
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-1
    docker ps
    docker compose --dry-run up --no-start --no-deps --no-recreate --scale web=2 web
    docker ps web
    docker compose up --no-start --no-deps --no-recreate --scale web=2 web
    docker ps web
    docker inspect web-2
    docker stop web-1
    docker inspect web-1
    docker start web-2
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
    web-2 new running
    at least: 0 of web
    ");
}

#[test]
fn settings_that_cannot_be_used() {
    let top = |lines: &str| {
        let file = format!("{}x-zdd: {lines}\n", web(""));
        untouched(lines, &Scenario::new(&file).with([old("web-1")]).run(&["up"]))
    };
    let shown = [
        update("x-zdd: {paralellism: 1}"),
        update("x-zdd: {delay: 10}"),
        update("x-zdd: {max_failure_ratio: 2}"),
        update("x-zdd: {order: sideways}"),
        update("x-zdd: rolling"),
        update("deploy: {update_config: {failure_action: weird}}"),
        top("{settle: soon}"),
    ];
    assert_snapshot!(shown.concat(), @r#"
    x-zdd: {paralellism: 1}: exit 1
    compose.yaml:6: services.web.x-zdd.paralellism: unknown key; did you mean "parallelism"? known keys are strategy, parallelism, delay, order, failure_action, max_failure_ratio, monitor, wait_timeout, settle, drain, drain_timeout, hold, helper, swarm

    x-zdd: {delay: 10}: exit 1
    compose.yaml:6: services.web.x-zdd.delay: "10" has no unit: write "10s"

    x-zdd: {max_failure_ratio: 2}: exit 1
    compose.yaml:6: services.web.x-zdd.max_failure_ratio: "2" is not a share; write a number from 0 to 1, like 0.2

    x-zdd: {order: sideways}: exit 1
    compose.yaml:6: services.web.x-zdd.order: "sideways" is not known; write one of "start-first", "stop-first"

    x-zdd: rolling: exit 1
    compose.yaml:6: services.web.x-zdd: must be a mapping of settings, like "{parallelism: 1}"

    deploy: {update_config: {failure_action: weird}}: exit 1
    compose.yaml:6: services.web.deploy.update_config.failure_action: "weird" is not known; write one of "rollback", "pause", "continue"

    {settle: soon}: exit 1
    compose.yaml:9: x-zdd.settle: "soon" is not a duration: write one like "10s" or "1m30s"
    "#);
}

#[test]
fn a_service_that_does_not_exist() {
    let shown = [
        untouched("named", &Scenario::new(&web("")).with([old("web-1")]).run(&["up", "wbe"])),
        untouched("scaled", &Scenario::new(&web("")).with([old("web-1")]).run(&["up", "--scale", "wbe=2"])),
    ];
    assert_snapshot!(shown.concat(), @"
    named: exit 1
    no such service: wbe; did you mean \"web\"?

    scaled: exit 1
    no such service: wbe (in --scale wbe=2); did you mean \"web\"?
    ");
}

#[test]
fn a_paused_container() {
    let output = Scenario::new(&web("scale: 2")).with([old("web-1"), old("web-2").is("paused")]).run(&["up"]);
    assert_snapshot!(untouched("paused", &output), @r#"
    paused: exit 2
    compose.yaml:3: service web: container shop-web-2 is paused, and Compose cannot scale a service with a paused container; run "docker unpause shop-web-2" or "docker rm -f shop-web-2"
    nothing was touched
    "#);
}

#[test]
fn a_network_that_compose_would_replace() {
    let output = Scenario::new(&web("")).with([old("web-1")]).network_diverged().run(&["up"]);
    assert_snapshot!(untouched("network", &output), @r#"
    network: exit 2
    compose.yaml:3: service web: networks: Compose would not leave the old containers alone ("Container shop-web-1 Stopping"), because the definition of one of its networks changed; restore the old definition, or recreate it in a maintenance window with "docker compose up"
    nothing was touched
    "#);
}

/// Downtime is allowed, but Compose could not replace the network under other services: it would leave the old container
/// stopped and without it.
#[test]
fn a_network_that_compose_would_replace_under_what_it_recreates() {
    let fixed = web("container_name: web");
    for container in [old("web-1"), old("web-1").is("exited 1")] {
        let output =
            Scenario::new(&fixed).with([container]).network_diverged().run(&["up", "--allow-downtime"]);
        assert_eq!(output.exit.code(), Some(2), "{output}");
        assert!(output.stderr.contains("the definition of one of its networks changed"), "{output}");
        assert!(output.changes().is_empty(), "{output}");
    }
}

#[test]
fn what_a_provider_feeds() {
    let image = format!("image: web\n{HEALTHCHECK}");
    let fed = format!("{image}\ndepends_on: {{db: {{condition: service_started}}}}");
    let file = project(&[("db", "provider: {type: toy}"), ("other", &image), ("web", &fed)]);
    let given = || [old("other-1"), old("web-1")];
    let output = Scenario::new(&file).with(given()).run(&["up"]);
    assert_snapshot!(untouched("fed", &output), @r#"
    fed: exit 2
    compose.yaml:11: service web: depends_on: it gets variables from the provider of "db", and only Compose's own "up" hands them over; run "docker compose up -d web", and name the other services to "docker zdd"
    nothing was touched
    "#);
    // The rest can be brought up to date, and nobody calls the provider for it.
    let output = Scenario::new(&file).with(given()).run(&["up", "other"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert!(!output.to_string().contains("--dry-run up -d --scale"), "{output}");
}

#[test]
fn a_volume_that_compose_would_empty() {
    let output = Scenario::new(&web("")).with([old("web-1")]).volume_diverged("shop_data").run(&["up"]);
    assert_snapshot!(untouched("volume", &output), @r#"
    volume: exit 2
    compose.yaml:3: service web: volumes: the definition of volume "shop_data" changed, and Compose could only replace it with an empty one; restore the old definition, or give the new one another name
    nothing was touched
    "#);
}

#[test]
fn one_refusal_is_enough_for_all() {
    let image = format!("image: web\n{HEALTHCHECK}");
    let file =
        project(&[("web", &image), ("db", &format!("{image}\ncontainer_name: db\nnetwork_mode: host"))]);
    let output = Scenario::new(&file).with([old("web-1"), old("db-1")]).run(&["up"]);
    assert_snapshot!(untouched("db", &output), @r#"
    db: exit 2
    compose.yaml:9: service db: container_name: the container name "db" can be taken only once; remove container_name
    compose.yaml:10: service db: network_mode: on the host's network both generations want the same ports; use a bridge network and publish the port by a proxy
    nothing was touched
    hint: --allow-downtime stops the old container before the new one starts
    "#);
}

#[test]
fn the_refused_one_is_not_named() {
    let image = format!("image: web\n{HEALTHCHECK}");
    let file = project(&[("web", &image), ("db", &format!("{image}\ncontainer_name: db"))]);
    let output = Scenario::new(&file).with([old("web-1"), old("db-1")]).run(&["up", "web"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert!(!output.changes().iter().any(|call| call.contains("db")), "{output}");
}

/// A file in which every verdict occurs.
fn mixed() -> Scenario {
    let file = project(&[
        (
            "changed",
            &format!("image: a\n{HEALTHCHECK}\nscale: 3\nx-zdd: {{parallelism: 2, settle: 2s, delay: 5s}}"),
        ),
        ("fine", "image: b"),
        ("fixed", "image: c\ncontainer_name: fixed"),
        (
            "front",
            &format!(
                "image: d\n{HEALTHCHECK}\ndepends_on: {{changed: {{condition: service_healthy, required: true}}}}"
            ),
        ),
        ("more", "image: e\nscale: 2\nx-zdd: {wait_timeout: 1m30s}"),
        ("stuck", "image: f"),
    ]);
    Scenario::new(&file).with([
        old("changed-1"),
        old("changed-2"),
        old("changed-3").is("exited 1"),
        new("fine-1").is("running"),
        old("fixed-1").is("running"),
        new("more-1").is("running"),
        old("stuck-1").is("paused"),
        old("gone-1").is("running"),
    ])
}

#[test]
fn the_plan() {
    assert_snapshot!(mixed().run(&["plan"]), @r#"
    exit code: 2
    --- stdout
    Project shop
      changed  roll       configuration changed
                 1. start 2 new containers (scale 5, leaving the stopped ones stopped; rollback: remove)
                 2. wait until healthy, or running 10s without a healthcheck
                 3. wait 2s for the proxy to pick them up
                 4. drain shop-changed-1
                 5. stop shop-changed-1 (rollback: start again)
                 6. wait 5s
                 7. start 1 new container (scale 6, leaving the stopped ones stopped; rollback: remove)
                 8. wait until healthy, or running 10s without a healthcheck
                 9. wait 2s for the proxy to pick them up
                10. drain shop-changed-2
                11. stop shop-changed-2 (rollback: start again)
                12. remove shop-changed-1, shop-changed-2, shop-changed-3
      fine     unchanged  as wanted
      fixed    recreate   configuration changed
               refused: container_name: the container name "fixed" can be taken only once, and connections cannot wait (no helper is wanted); remove container_name
               note: its requests fail from the stop of the old container to the start of the new
      front    create     not running (d)
                 1. start 1 new container (scale 1; rollback: remove)
                 2. wait until healthy, or running 10s without a healthcheck
      more     scale      1 of 2 replicas run
                 1. start 1 new container (scale 2; rollback: remove)
                 2. wait until healthy, or running 10s without a healthcheck, at most 1m30s
      stuck    blocked    cannot be done as written
               refused: container shop-stuck-1 is paused, and Compose cannot scale a service with a paused container; run "docker unpause shop-stuck-1" or "docker rm -f shop-stuck-1"
      orphans, left as they are: shop-gone-1 (--remove-orphans removes them)
    --- calls
    docker compose config
    docker compose config --hash *
    docker compose version --short
    docker image inspect a b c d e f
    docker inspect changed-1 changed-2 changed-3 fine-1 fixed-1 gone-1 more-1 stuck-1
    docker ps
    docker compose --profile * config --services
    docker compose --dry-run up --no-start --no-deps --no-recreate --scale changed=5 changed
    docker compose --dry-run up -d --no-deps --no-recreate --scale more=2 more
    --- containers
    changed-1 old healthy
    changed-2 old healthy
    changed-3 old exited 1
    fine-1 new running
    fixed-1 old running
    gone-1 old running
    more-1 new running
    stuck-1 old paused
    at least: 2 of changed, 1 of fine, 1 of fixed, 0 of front, 1 of more, 0 of stuck
    "#);
}

#[test]
fn the_plan_as_json() {
    assert_snapshot!(mixed().run(&["plan", "--format", "json", "changed", "fixed"]), @r#"
    exit code: 2
    --- stdout
    {
      "project": "shop",
      "services": [
        {
          "service": "changed",
          "asked": true,
          "verdict": "roll",
          "reason": "configuration changed",
          "replicas": 3,
          "refusals": [],
          "notes": [],
          "after": [],
          "operations": [
            {
              "batch": 1,
              "operation": "start",
              "count": 2,
              "scale": 5,
              "how": "create_then_start",
              "cause": "configuration changed"
            },
            {
              "batch": 1,
              "operation": "gate",
              "also": [],
              "cause": "nobody is sent to a container that is not ready"
            },
            {
              "batch": 1,
              "operation": "settle",
              "seconds": 2.0,
              "cause": "settle"
            },
            {
              "batch": 1,
              "operation": "drain",
              "containers": [
                {
                  "id": "[ID of changed-1]",
                  "name": "shop-changed-1"
                }
              ],
              "heirs": [
                {
                  "new": 1
                }
              ],
              "cause": "replaced"
            },
            {
              "batch": 1,
              "operation": "stop",
              "containers": [
                {
                  "id": "[ID of changed-1]",
                  "name": "shop-changed-1"
                }
              ],
              "cause": "replaced"
            },
            {
              "batch": 2,
              "operation": "delay",
              "seconds": 5.0,
              "cause": "delay between two batches"
            },
            {
              "batch": 2,
              "operation": "start",
              "count": 1,
              "scale": 6,
              "how": "create_then_start",
              "cause": "configuration changed"
            },
            {
              "batch": 2,
              "operation": "gate",
              "also": [],
              "cause": "nobody is sent to a container that is not ready"
            },
            {
              "batch": 2,
              "operation": "settle",
              "seconds": 2.0,
              "cause": "settle"
            },
            {
              "batch": 2,
              "operation": "drain",
              "containers": [
                {
                  "id": "[ID of changed-2]",
                  "name": "shop-changed-2"
                }
              ],
              "heirs": [
                {
                  "new": 3
                }
              ],
              "cause": "replaced"
            },
            {
              "batch": 2,
              "operation": "stop",
              "containers": [
                {
                  "id": "[ID of changed-2]",
                  "name": "shop-changed-2"
                }
              ],
              "cause": "replaced"
            },
            {
              "batch": 0,
              "operation": "remove",
              "containers": [
                {
                  "id": "[ID of changed-1]",
                  "name": "shop-changed-1"
                },
                {
                  "id": "[ID of changed-2]",
                  "name": "shop-changed-2"
                },
                {
                  "id": "[ID of changed-3]",
                  "name": "shop-changed-3"
                }
              ],
              "cause": "stopped, and not needed any more"
            }
          ],
          "ways": [],
          "job": false,
          "settings": {
            "strategy": {
              "value": "auto",
              "source": "default"
            },
            "parallelism": {
              "value": "2",
              "source": "x-zdd of the service"
            },
            "delay": {
              "value": "5s",
              "source": "x-zdd of the service"
            },
            "order": {
              "value": "start-first",
              "source": "default"
            },
            "failure_action": {
              "value": "rollback",
              "source": "default"
            },
            "max_failure_ratio": {
              "value": "0",
              "source": "default"
            },
            "monitor": {
              "value": "10s",
              "source": "default"
            },
            "wait_timeout": {
              "value": "from the healthcheck",
              "source": "default"
            },
            "settle": {
              "value": "2s",
              "source": "x-zdd of the service"
            },
            "drain": {
              "value": "auto",
              "source": "default"
            },
            "drain_timeout": {
              "value": "1m00s",
              "source": "default"
            },
            "hold": {
              "value": "1m00s",
              "source": "default"
            },
            "helper": {
              "value": "auto",
              "source": "default"
            }
          }
        },
        {
          "service": "fixed",
          "asked": true,
          "verdict": "recreate",
          "reason": "configuration changed",
          "replicas": 1,
          "refusals": [
            {
              "key": "container_name",
              "problem": "the container name \"fixed\" can be taken only once, and connections cannot wait (no helper is wanted)",
              "remedy": "remove container_name"
            }
          ],
          "notes": [
            "its requests fail from the stop of the old container to the start of the new"
          ],
          "after": [],
          "operations": [],
          "ways": [],
          "job": false,
          "settings": {
            "strategy": {
              "value": "auto",
              "source": "default"
            },
            "parallelism": {
              "value": "0",
              "source": "default"
            },
            "delay": {
              "value": "0s",
              "source": "default"
            },
            "order": {
              "value": "start-first",
              "source": "default"
            },
            "failure_action": {
              "value": "rollback",
              "source": "default"
            },
            "max_failure_ratio": {
              "value": "0",
              "source": "default"
            },
            "monitor": {
              "value": "10s",
              "source": "default"
            },
            "wait_timeout": {
              "value": "from the healthcheck",
              "source": "default"
            },
            "settle": {
              "value": "0s",
              "source": "default"
            },
            "drain": {
              "value": "auto",
              "source": "default"
            },
            "drain_timeout": {
              "value": "1m00s",
              "source": "default"
            },
            "hold": {
              "value": "1m00s",
              "source": "default"
            },
            "helper": {
              "value": "auto",
              "source": "default"
            }
          }
        }
      ],
      "orphans": [
        {
          "id": "[ID of gone-1]",
          "name": "shop-gone-1"
        }
      ],
      "remove_orphans": false,
      "helper": "off"
    }
    --- calls
    docker compose config
    docker compose config --hash *
    docker compose version --short
    docker image inspect a b c d e f
    docker inspect changed-1 changed-2 changed-3 fine-1 fixed-1 gone-1 more-1 stuck-1
    docker ps
    docker compose --profile * config --services
    docker compose --dry-run up --no-start --no-deps --no-recreate --scale changed=5 changed
    --- containers
    changed-1 old healthy
    changed-2 old healthy
    changed-3 old exited 1
    fine-1 new running
    fixed-1 old running
    gone-1 old running
    more-1 new running
    stuck-1 old paused
    at least: 2 of changed, 1 of fine, 1 of fixed, 0 of front, 1 of more, 0 of stuck
    "#);
}

#[test]
fn a_dry_run_is_the_plan() {
    let plan = mixed().run(&["plan"]);
    for args in [["--dry-run", "up"], ["up", "--dry-run"]] {
        assert_eq!(mixed().run(&args).to_string(), plan.to_string());
    }
}

#[test]
fn the_plan_with_downtime_and_hooks() {
    let file = project(&[
        ("fixed", "image: c\ncontainer_name: fixed"),
        ("web", &format!("image: web\n{HEALTHCHECK}\npre_start: [{{command: [migrate]}}]")),
    ]);
    let scenario = Scenario::new(&file).with([
        old("fixed-1").is("running"),
        old("web-1"),
        old("web-2").is("created"),
        old("gone-1"),
    ]);
    assert_snapshot!(scenario.run(&["plan", "--allow-downtime", "--remove-orphans"]), @"
    exit code: 0
    --- stdout
    Project shop
      fixed  recreate   configuration changed
               1. let Compose remove shop-fixed-1 and start the new version (no rollback)
               2. wait until healthy, or running 10s without a healthcheck
             note: its requests fail from the stop of the old container to the start of the new
      web    roll       configuration changed
               1. run pre_start hooks once, from the new image (rollback: none, nothing was touched)
               2. start 1 new container (scale 3, leaving the stopped ones stopped; rollback: remove)
               3. wait until healthy, or running 10s without a healthcheck
               4. drain shop-web-1
               5. stop shop-web-1 (rollback: start again)
               6. remove shop-web-1, shop-web-2
      remove orphans: shop-gone-1
    --- calls
    docker compose config
    docker compose config --hash *
    docker compose version --short
    docker image inspect c web
    docker inspect fixed-1 gone-1 web-1 web-2
    docker ps
    docker compose --profile * config --services
    docker volume ls
    docker compose --file - --profile * config --hash * <stdin e4bf01a8>
    docker compose --dry-run up --no-start --no-deps --no-recreate --scale web=3 web
    docker compose --dry-run up -d --no-deps --no-recreate --scale fixed=1 fixed
    --- containers
    fixed-1 old running
    gone-1 old healthy
    web-1 old healthy
    web-2 old created
    at least: 1 of fixed, 1 of web
    ");
}

#[test]
fn the_plan_of_nothing() {
    assert_snapshot!(Scenario::new(&web("")).with([new("web-1")]).run(&["plan"]), @"
    exit code: 0
    --- stdout
    Project shop
      web  unchanged  as wanted
    --- calls
    docker compose config
    docker compose config --hash *
    docker compose version --short
    docker image inspect web
    docker inspect web-1
    docker ps
    --- containers
    web-1 new healthy
    at least: 1 of web
    ");
}

#[test]
fn the_plan_before_a_build() {
    let file = project(&[("web", &format!("build: {{context: /srv}}\n{HEALTHCHECK}"))]);
    let scenario = Scenario::new(&file).with([new("web-1")]);
    assert_snapshot!(scenario.run(&["plan", "--build"]), @"
    exit code: 0
    --- stdout
    Project shop
      web  unchanged  unchanged so far; its image may change when it is built or pulled
    --- calls
    docker compose config
    docker compose config --hash *
    docker compose version --short
    docker image inspect shop-web
    docker inspect web-1
    docker ps
    --- containers
    web-1 new healthy
    at least: 1 of web
    ");
}
