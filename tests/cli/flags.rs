//! What the user typed reaches every child in the right place.

use insta::assert_snapshot;
use regex_lite::Regex;

use crate::{
    files::web,
    output::Output,
    scenario::{Scenario, old},
};

fn hooked() -> Scenario {
    let file = web(
        "pre_stop: [{command: [drain]}]\npre_start: [{command: [migrate]}]\nrestart: always\nx-zdd: {parallelism: 1}",
    );
    Scenario::new(&file).with([old("web-1").policy("always"), old("web-2").is("exited 0")])
}

fn words(argv: &[String]) -> Vec<&str> {
    argv[1..].iter().map(String::as_str).collect()
}

fn has(words: &[&str], word: &str) -> bool {
    words.contains(&word)
}

/// Every kind of call in full, once.
#[test]
fn the_calls_in_full() {
    let output = hooked().run(&["up"]);
    let mark = Regex::new(r"(io\.zdd\.lock\.[a-z-]+=)(uid )?\S+").expect("a pattern");
    let revision = Regex::new(r"(io\.zdd\.revision=)\{.*\}").expect("a pattern");
    let mut seen: Vec<String> = Vec::new();
    for argv in output.argvs() {
        let line = mark.replace_all(&words(argv).join(" "), "$1…").into_owned();
        let line = revision.replace_all(&line, "$1{…}").into_owned();
        let line = output
            .world
            .names
            .iter()
            .fold(line, |line, (id, name)| line.replace(id, &output.world.short(name)));
        if !seen.contains(&line) {
            seen.push(line);
        }
    }
    seen.sort();
    assert_snapshot!(seen.join("\n"), @r#"
    -l error compose -p shop --ansi never --progress json --dry-run up --no-start --no-deps --no-recreate --pull never --no-build --scale web=3 web
    -l error compose -p shop --ansi never --progress json --dry-run up -d --pull never --no-build --scale web=1
    -l error compose -p shop --ansi never --progress json up --no-start --no-deps --no-recreate --pull never --no-build --scale web=3 web
    -l error compose -p shop --progress quiet run --rm -T --no-deps --label traefik.enable=false --label io.zdd.pre-start=web web migrate
    -l error compose config --hash *
    -l warn compose config
    compose version --short
    events --format {{.ID}} {{.Status}} --filter type=container --filter label=com.docker.compose.project=shop --filter event=health_status --filter event=start --filter event=die --filter event=oom --filter event=stop --filter event=destroy --filter event=pause --filter event=unpause
    exec web-1 drain
    image inspect web
    image ls --no-trunc --format {{.Tag}} {{.ID}} zdd-revision/shop
    import - zdd-revision/shop:r1
    inspect --type container web-1
    inspect --type container web-2 web-1
    inspect --type container web-3
    ps --no-trunc --format {{.ID}} {{.Names}} --filter label=com.docker.compose.project=shop --filter label=io.zdd.pre-start=web
    ps -aq --no-trunc --filter label=com.docker.compose.oneoff=False --filter label=com.docker.compose.project=shop
    ps -aq --no-trunc --filter label=com.docker.compose.oneoff=False --filter label=com.docker.compose.project=shop --filter label=com.docker.compose.service=web
    rm -v web-1 web-2
    start web-3
    stop web-1
    tag sha256:3d7d6ef7f201e4335645215ce5ddcdcc0722e54cc89f03ff5f2b2c2d3b643fca zdd-revision/shop:3d7d6ef7f201
    update --restart=no web-1
    volume create --label io.zdd.lock.mark=… --label io.zdd.lock.user=… --label io.zdd.lock.host=… --label io.zdd.lock.machine=… --label io.zdd.lock.boot=… --label io.zdd.lock.pid-namespace=… --label io.zdd.lock.pid=… --label io.zdd.lock.started=… --label io.zdd.lock.since=… zdd-lock-shop
    volume create --label io.zdd.revision.project=shop --label io.zdd.revision={…} zdd-revision-shop-1
    volume inspect --format {{json .Labels}} zdd-lock-shop
    volume ls --filter label=io.zdd.revision.project=shop --format {{.Label "io.zdd.revision"}}
    volume rm zdd-lock-shop
    "#);
}

#[test]
fn docker_s_own_flags_reach_every_child() {
    let forms: [&[&str]; 4] = [
        &["--context", "prod"],
        &["-H", "ssh://prod", "--tls", "--tlscacert=/ca"],
        &["--host=tcp://prod:2376", "-c", "prod", "-D", "--config", "/etc/docker"],
        &["-lwarn", "-cprod", "-D=false", "--tlsverify"],
    ];
    for form in forms {
        let output = hooked().run(&[form, &["zdd", "up", "--build", "--pull", "always"]].concat());
        assert_eq!(output.exit.code(), Some(0), "{output}");
        for argv in output.argvs() {
            assert!(words(argv).starts_with(form), "{argv:?}");
            assert!(!words(argv)[form.len()..].iter().any(|word| form.contains(word)), "{argv:?}");
        }
    }
}

/// Also the flags behind the command. `--ansi` and `--progress` are about zdd's own output.
#[test]
fn compose_s_flags_reach_every_call_of_compose() {
    let before = [
        "-f",
        "a.yaml",
        "--profile",
        "x",
        "--env-file",
        "prod.env",
        "--ansi",
        "never",
        "--project-directory",
        "/srv",
    ];
    let after = ["up", "-f", "b.yaml", "-p", "shop", "--parallel", "2", "--compatibility"];
    let output = hooked().run(&[&before[..], &after[..]].concat());
    assert_eq!(output.exit.code(), Some(0), "{output}");
    let given = [
        &[
            "--file",
            "a.yaml",
            "--file",
            "b.yaml",
            "--project-name",
            "shop",
            "--profile",
            "x",
            "--env-file",
            "prod.env",
        ][..],
        &["--project-directory", "/srv", "--parallel", "2", "--compatibility"][..],
    ]
    .concat();
    let calls = output.argvs();
    let loading: Vec<_> = calls
        .iter()
        .map(|argv| words(argv))
        .filter(|argv| has(argv, "compose") && !has(argv, "version"))
        .collect();
    assert!(loading.len() > 4, "{output}");
    for argv in loading {
        assert!(argv[0] == "-l" && argv[2] == "compose" && argv[3..].starts_with(&given), "{argv:?}");
    }
    for argv in calls.iter().map(|argv| words(argv)).filter(|argv| !has(argv, "compose")) {
        assert!(!given.iter().filter(|word| word.starts_with('-')).any(|word| has(&argv, word)), "{argv:?}");
    }
}

#[test]
fn a_file_on_standard_input_is_read_once_and_given_to_each() {
    let file = web("");
    let output = Scenario::new(&file).with([old("web-1")]).stdin(&file).run(&["-f", "-", "up"]);
    assert_snapshot!(output, @"
    exit code: 0
    --- stderr
    [TIME]  web  roll: configuration changed
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
    docker compose --file - config --hash * <stdin c6fc97fc>
    docker compose --file - config <stdin c6fc97fc>
    docker volume create zdd-lock-shop
    docker volume inspect zdd-lock-shop
    docker compose version --short
    docker image inspect web
    docker inspect web-1
    docker ps
    docker compose --file - --dry-run up -d --no-deps --no-recreate --scale web=2 web <stdin c6fc97fc>
    docker ps web
    docker compose --file - up -d --no-deps --no-recreate --scale web=2 web <stdin c6fc97fc>
    docker ps web
    docker inspect web-2
    docker stop web-1
    docker inspect web-1
    docker inspect web-2
    docker rm -v web-1
    docker ps web
    docker inspect web-2
    docker compose --file - --dry-run up -d --scale web=1 <stdin c6fc97fc>
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
    let with_text =
        output.calls.iter().filter(|call| call.contains(" compose ") && !call.contains(" version "));
    assert!(
        with_text.clone().count() > 3 && with_text.clone().all(|call| call.contains("<stdin ")),
        "{output}"
    );
}

#[test]
fn standard_input_is_named_in_messages() {
    let file = web("x-zdd: {delay: 3}");
    let output = Scenario::new(&file).stdin(&file).run(&["-f", "-", "up"]);
    assert_snapshot!(output.stderr, @r#"standard input:6: services.web.x-zdd.delay: "3" has no unit: write "3s""#);
}

#[test]
fn names_that_compose_allows() {
    for project in ["9", "a_b-c", "0x1f", "no", "1e3", "with-web-in-it"] {
        // Compose quotes what YAML would take for something else.
        let file = web("")
            .replace("name: shop\n", &format!("name: \"{project}\"\n"))
            .replace("  web:", "  my.web_2-x:");
        let output = Scenario::new(&file).with([old("my.web_2-x-1")]).run(&["-p", project, "up"]);
        assert_eq!(output.exit.code(), Some(0), "{output}");
        assert_eq!(output.world.containers[0].name, format!("{project}-my.web_2-x-2"), "{output}");
    }
}

/// What a user sets for interactive use of Compose.
#[test]
fn variables_of_compose_do_not_steer_the_children() {
    let plain = hooked().run(&["up"]);
    let set = hooked()
        .env("COMPOSE_REMOVE_ORPHANS", "true")
        .env("COMPOSE_MENU", "true")
        .env("COMPOSE_STATUS_STDOUT", "1");
    let set = set
        .env("COMPOSE_ANSI", "always")
        .env("DOCKER_CLI_PLUGIN_ORIGINAL_CLI_COMMAND", "/nowhere/docker")
        .run(&["up"]);
    assert_eq!(set.calls, plain.calls, "{set}");
}

#[test]
fn what_is_listened_for() {
    let output = hooked().run(&["up"]);
    let listens = |argv: &&[String]| argv.iter().any(|word| word == "events");
    let argv = output.argvs().into_iter().find(listens).expect("a listener");
    assert_snapshot!(words(argv).join(" "), @"events --format {{.ID}} {{.Status}} --filter type=container --filter label=com.docker.compose.project=shop --filter event=health_status --filter event=start --filter event=die --filter event=oom --filter event=stop --filter event=destroy --filter event=pause --filter event=unpause");
    assert_eq!(output.left, Vec::<String>::new(), "the listener outlives the run");
}

/// Secrets of hooks stand in the environment of the child, where other users cannot read them.
#[test]
fn secrets_are_in_no_argument() {
    let hook = "[{command: [run], environment: {TOKEN: s3cret}}]";
    let file = web(&format!("pre_start: {hook}\npost_start: {hook}\npre_stop: {hook}"));
    let output = Scenario::new(&file).with([old("web-1"), old("web-2").is("exited 0")]).run(&["up"]);
    let hooks: Vec<_> = output
        .changes()
        .into_iter()
        .filter(|call| call.contains("--env TOKEN (\"s3cret\" in its environment)"))
        .collect();
    assert_eq!(hooks.len(), 3, "{output}");
    assert!(!output.argvs().iter().any(|argv| argv.iter().any(|word| word.contains("s3cret"))), "{output}");
}

/// In a pipe that nobody reads any more (`docker zdd up 2>&1 | head`) the rollout goes on.
#[test]
fn nobody_reads() {
    let output: Output = Scenario::new(&web("")).with([old("web-1")]).closed().run(&["up"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert_eq!(output.world.containers.len(), 1, "{output}");
    let output = Scenario::new(&web("")).with([old("web-1")]).closed().run(&["plan"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
}
