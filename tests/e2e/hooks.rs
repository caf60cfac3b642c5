//! Hooks of the file: when they run, as whom, and what they see. The hooks themselves write it down.
//! `scripts/compose-versions` runs these with several versions of Compose.

use std::fs;

use crate::stack::{HAPROXY, NGINX, Stack, app, compose_knows, ids};

fn notes(stack: &Stack) -> Vec<String> {
    let text = fs::read_to_string(stack.folder().join("log/notes")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn forget(stack: &Stack) {
    fs::remove_file(stack.folder().join("log/notes")).unwrap();
}

/// `HOME` and `DOCKER_HOST` mean something to the Docker CLI too: it must not hear of them.
fn hook(text: &str, more: &str) -> String {
    format!(
        "{{command: [\"/zdd-app\", \"note\", \"/log/notes\", \"{text}\", \"--env\", \"PRICE\", \"--env\", \"HOME\", \"--env\", \"APP_VERSION\"], environment: {{PRICE: \"5$$\", HOME: /srv, DOCKER_HOST: \"tcp://nowhere\"}}{more}}}"
    )
}

/// The same for `pre_start`: its words go to the entrypoint of the image, as those of `compose run` do.
fn step(text: &str, more: &str) -> String {
    hook(text, more).replace("\"/zdd-app\", ", "")
}

fn service(hooks: &str) -> String {
    format!("services:\n{}", app(&format!("deploy: {{replicas: 2}}\nvolumes: [\"./log:/log\"]\n{hooks}")))
}

/// The hosts that wrote this note, and the rest of each line, which must be the same for all.
fn of(notes: &[String], text: &str) -> (Vec<String>, Vec<usize>, String) {
    let found: Vec<_> =
        notes.iter().enumerate().filter(|(_, line)| line.starts_with(&format!("{text} "))).collect();
    let mut rests: Vec<_> =
        found.iter().map(|(_, line)| line.splitn(3, ' ').nth(2).unwrap().to_owned()).collect();
    rests.dedup();
    assert_eq!(rests.len(), 1, "{text}: {notes:?}");
    let hosts = found.iter().map(|(_, line)| line.split(' ').nth(1).unwrap().to_owned()).collect();
    (hosts, found.iter().map(|(place, _)| *place).collect(), rests.remove(0))
}

fn short(ids: impl IntoIterator<Item = String>) -> Vec<String> {
    ids.into_iter().map(|id| id[..12].to_owned()).collect()
}

#[test]
fn post_start_and_pre_stop_run_in_their_order_as_written() {
    let user = ", user: \"1234\", working_dir: /log";
    let hooks = format!(
        "post_start: [{}]\npre_stop: [{}, {}]",
        hook("post_start", user),
        hook("first", user),
        hook("second", "")
    );
    let stack = Stack::new("hooks", &service(&hooks));
    stack.zdd_ok(&["up"], &[("APP_VERSION", "1")]);
    let old = short(ids(&stack.containers("app")));
    forget(&stack);

    stack.zdd_ok(&["up"], &[("APP_VERSION", "2")]);

    let new = short(ids(&stack.containers("app")));
    let notes = notes(&stack);
    assert_eq!(notes.len(), 6, "{notes:?}");
    let sorted = |mut hosts: Vec<String>| {
        hosts.sort();
        hosts
    };
    let (hosts, started, seen) = of(&notes, "post_start");
    assert_eq!(sorted(hosts), sorted(new), "{notes:?}");
    assert_eq!(seen, "PRICE=5$ HOME=/srv APP_VERSION=2 cwd=/log uid=1234");
    let (hosts, first, seen) = of(&notes, "first");
    assert_eq!(sorted(hosts.clone()), sorted(old), "{notes:?}");
    assert_eq!(seen, "PRICE=5$ HOME=/srv APP_VERSION=1 cwd=/log uid=1234");
    let (others, second, seen) = of(&notes, "second");
    assert_eq!(seen, "PRICE=5$ HOME=/srv APP_VERSION=1 cwd=/ uid=0");
    assert!(started.iter().all(|s| first.iter().all(|f| s < f)), "{notes:?}");
    for (host, place) in hosts.iter().zip(first) {
        let after = others.iter().position(|other| other == host).map(|i| second[i]);
        assert!(after.is_some_and(|after| place < after), "{notes:?}");
    }
}

fn knows_pre_start() -> bool {
    compose_knows((5, 3), "pre_start")
}

#[test]
fn pre_start_runs_once_before_the_new_version_starts_as_compose_would_run_it() {
    if !knows_pre_start() {
        return;
    }
    let user = ", user: \"1234\", working_dir: /log";
    let hooks = format!(
        "pre_start: [{}, {}]\npost_start: [{}]",
        step("one", user),
        step("two", ""),
        hook("post_start", "")
    );
    let stack = Stack::new("prestart", &service(&hooks));
    stack.zdd_ok(&["up"], &[("APP_VERSION", "1")]);
    let by_compose = notes(&stack);
    forget(&stack);

    stack.zdd_ok(&["up"], &[("APP_VERSION", "2")]);

    let by_zdd = notes(&stack);
    let words =
        |notes: &[String]| notes.iter().map(|n| n.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(words(&by_zdd), ["one", "two", "post_start", "post_start"], "{by_zdd:?}");
    assert_eq!(words(&by_compose), words(&by_zdd), "{by_compose:?}");
    for text in ["one", "two"] {
        let seen = of(&by_compose, text).2.replace("APP_VERSION=1", "APP_VERSION=2");
        assert_eq!(of(&by_zdd, text).2, seen, "{text}");
    }
    assert_eq!(of(&by_zdd, "one").2, "PRICE=5$ HOME=/srv APP_VERSION=2 cwd=/log uid=1234");
    forget(&stack);

    stack.zdd_ok(&["up"], &[("APP_VERSION", "2")]);
    stack.zdd_ok(&["up", "--scale", "app=3"], &[("APP_VERSION", "2")]);

    assert_eq!(words(&notes(&stack)), ["post_start"], "a replica more is no new version");
}

/// A migration tool in an image of its own. The words are for the entrypoint of that image.
#[test]
#[ignore = "takes long; scripts/test long"]
fn pre_start_runs_in_its_own_image() {
    if !knows_pre_start() {
        return;
    }
    // The image has nginx and little else; the check of its configuration opens the log.
    let check = "[nginx, -t, -g, \"error_log /log/notes info;\"]";
    let hook = format!("pre_start: [{{image: \"{NGINX}\", command: {check}}}]");
    let stack = Stack::new("preimage", &service(&hook));
    stack.zdd_ok(&["up"], &[("APP_VERSION", "1")]);
    forget(&stack); // Compose has run it

    stack.zdd_ok(&["up"], &[("APP_VERSION", "2")]);

    forget(&stack);
}

/// Compose takes anything that a service may have, and so does zdd.
#[test]
#[ignore = "takes long; scripts/test long"]
fn pre_start_has_an_entrypoint_and_volumes_of_its_own() {
    if !compose_knows((5, 6), "pre_start with an entrypoint and volumes") {
        return;
    }
    let own = |folder: &str| {
        format!(
            "{{entrypoint: [/zdd-app, note, /{folder}/notes], command: [own], volumes: [{{type: bind, source: ./log, target: /more}}]}}"
        )
    };
    let stack = Stack::new("preown", &service(&format!("pre_start: [{}, {}]", own("log"), own("more"))));
    stack.zdd_ok(&["up"], &[("APP_VERSION", "1")]);
    assert_eq!(notes(&stack).len(), 2, "Compose has run them");
    forget(&stack);

    stack.zdd_ok(&["up"], &[("APP_VERSION", "2")]);

    assert_eq!(notes(&stack).len(), 2);
}

#[test]
fn a_failing_pre_start_ends_the_rollout_with_nothing_touched() {
    if !knows_pre_start() {
        return;
    }
    let hooks = "pre_start: [{command: [exit, \"${CODE:-0}\"]}]";
    let stack = Stack::new("prefails", &service(hooks));
    stack.zdd_ok(&["up"], &[("APP_VERSION", "1")]);
    let before = stack.all_containers();
    let finished = stack.zdd(&["up"], &[("APP_VERSION", "2"), ("CODE", "4")]);
    assert_eq!(finished.code, 3, "{}", finished.stderr);
    assert!(finished.stderr.contains("pre_start"), "{}", finished.stderr);
    assert_eq!(stack.all_containers(), before, "{}", finished.stderr);
}

/// Two migrations at once are never meant. What a killed run leaves behind is started here as that run starts it.
#[test]
#[ignore = "takes long; scripts/test long"]
fn a_pre_start_that_a_killed_run_has_left_is_waited_for() {
    if !knows_pre_start() {
        return;
    }
    let stack = Stack::new("prekilled", &service(&format!("pre_start: [{}]", step("one", ""))));
    stack.zdd_ok(&["up"], &[("APP_VERSION", "1")]);
    let run = ["run", "-d", "--rm", "--no-deps", "--label", "io.zdd.pre-start=app", "app"];
    let left = stack.compose(&[&run[..], &["sleep", "6000"]].concat(), &[("APP_VERSION", "2")]);
    let left = left.lines().last().unwrap().to_owned();

    let finished = stack.zdd_ok(&["up"], &[("APP_VERSION", "2")]);

    let said = "waiting for the pre_start hook of an earlier run to end: ";
    assert!(finished.stderr.contains(said), "{}", finished.stderr);
    assert!(!ids(&stack.all_containers()).contains(&left), "{}", finished.stderr);
}

/// A service that runs a shell as root and ends when it is told to.
fn shell(more: &str) -> String {
    format!(
        "services:\n  app:\n    image: {HAPROXY}\n    user: root\n    scale: 2\n    stop_grace_period: 1s\n    entrypoint: [bash, -c, \"trap 'exit 0' TERM; while :; do sleep 0.1; done\"]\n    environment: {{V: \"${{V:-1}}\"}}\n    volumes: [\"./log:/log\"]\n    x-zdd: {{monitor: 500ms}}\n    {more}\n"
    )
}

/// The bit of `CAP_SYS_ADMIN`, which Docker gives to nobody else. An engine that lacks rights itself (in a container,
/// say) cannot run such a hook: that it refuses shows that they were asked for.
#[test]
#[ignore = "takes long; scripts/test long"]
fn a_privileged_pre_stop_is_privileged() {
    let hook = |text: &str, privileged: bool| {
        let command = format!("echo {text} $$(grep CapEff /proc/self/status) >> /log/notes");
        format!("{{command: [bash, -c, \"{command}\"], privileged: {privileged}}}")
    };
    let hooks = format!("pre_stop: [{}, {}]", hook("without", false), hook("with", true));
    let stack = Stack::new("privileged", &shell(&hooks));
    stack.zdd_ok(&["up"], &[]);

    let finished = stack.zdd_ok(&["up"], &[("V", "2")]);

    let notes = notes(&stack);
    let rights = |text: &str| -> Vec<_> {
        let hex = |line: &String| line.strip_prefix(text)?.trim().strip_prefix("CapEff: ").map(str::to_owned);
        let bit = |hex: String| u64::from_str_radix(&hex, 16).unwrap() >> 21 & 1;
        notes.iter().filter_map(hex).map(bit).collect()
    };
    assert_eq!(rights("without "), [0, 0], "{notes:?}");
    let refused = finished.stderr.matches("unable to apply caps: operation not permitted").count();
    assert!(refused == 2 || rights("with ") == [1, 1], "{notes:?} {}", finished.stderr);
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn a_pre_stop_that_hangs_is_given_up_and_the_stop_goes_on() {
    let hooks = "pre_stop: [{command: [/zdd-app, sleep, \"600000\"]}]\nx-zdd: {drain_timeout: 2s}";
    let stack = Stack::new("hookhangs", &format!("services:\n{}", app(hooks)));
    stack.zdd_ok(&["up"], &[("APP_VERSION", "1")]);
    let old = ids(&stack.all_containers());

    let finished = stack.zdd_ok(&["up"], &[("APP_VERSION", "2")]);

    let said = format!("pre_stop hook of {}-app-1 failed", stack.project);
    assert!(finished.stderr.contains(&said), "{}", finished.stderr);
    assert!(finished.stderr.contains("did not answer within 2s"), "{}", finished.stderr);
    let new = stack.all_containers();
    assert!(new.len() == 1 && ids(&new).is_disjoint(&old), "{new:?}");
}

/// The label as users of docker-rollout have it in their files: a line for the container's shell.
#[test]
fn the_label_of_docker_rollout_runs_in_each_old_container() {
    let hook = "echo v$$V $$(cat /etc/hostname) >> /log/notes && true";
    let file = shell(&format!("labels: {{docker-rollout.pre-stop-hook: \"{hook}\"}}"));
    let stack = Stack::new("label", &file);
    stack.zdd_ok(&["up"], &[]);
    let mut old = short(ids(&stack.containers("app")));
    assert_eq!(notes(&stack), Vec::<String>::new());

    stack.zdd_ok(&["up"], &[("V", "2")]);

    let mut shown = notes(&stack);
    shown.sort();
    old.sort();
    assert_eq!(shown, old.iter().map(|host| format!("v1 {host}")).collect::<Vec<_>>());
    assert_eq!(stack.containers("app").len(), 2);
}
