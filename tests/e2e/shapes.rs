//! Files of many parts: what Compose puts together is what is deployed, and Compose agrees with it afterwards.

use std::{
    fs,
    process::{Command, Stdio},
};

use crate::stack::{APP, Stack, app, docker, ids, plain_app};

const HEALTH: &str = "healthcheck: {test: [\"CMD\", \"/zdd-app\", \"health\"], interval: 1s, retries: 5}";

/// What `docker compose up -d` would still do: nothing, when all it says is that containers run.
fn left_to_do(stack: &Stack, flags: &[&str], env: &[(&str, &str)]) -> Vec<String> {
    let mut command = Command::new("docker");
    command.args(["-l", "error", "compose", "-p", &stack.project]).args(flags);
    command.args(["--dry-run", "--progress", "json", "up", "-d", "--no-build"]);
    let output =
        command.current_dir(stack.folder()).envs(env.iter().copied()).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && text.contains("\"Running\""), "{text}");
    let settled =
        |line: &&str| ["\"Running\"", "\"Waiting\"", "\"Healthy\""].iter().any(|word| line.contains(word));
    text.lines().filter(|line| !line.is_empty() && !settled(line)).map(str::to_owned).collect()
}

/// Brings it up, and again, and asks Compose.
fn settles(stack: &Stack, flags: &[&str], env: &[(&str, &str)]) {
    let up: Vec<_> = flags.iter().copied().chain(["up"]).collect();
    stack.zdd_ok(&up, env);
    let before = stack.all_containers();
    let again = stack.zdd_ok(&up, env);
    assert!(again.stderr.contains("nothing was touched"), "{}", again.stderr);
    assert_eq!(stack.all_containers(), before);
    assert_eq!(left_to_do(stack, flags, env), Vec::<String>::new());
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn several_files_with_extends_include_env_files_and_profiles() {
    let stack = Stack::new(
        "shapes",
        &format!(
            "include: [{{path: more/compose.yaml, env_file: more/settings.env}}]\nx-zdd: {{monitor: 500ms}}\nservices:\n  web:\n    extends: {{file: base.yaml, service: base}}\n    depends_on: {{extra: {{condition: service_healthy}}}}\n  debug:\n    extends: {{service: web}}\n    profiles: [debug]\n  off:\n    image: {APP}\n    profiles: [off]\n"
        ),
    );
    fs::create_dir(stack.folder().join("more")).unwrap();
    stack.write(
        "base.yaml",
        &format!("services:\n  base:\n    image: {APP}\n    env_file: [web.env]\n    environment: {{APP_VERSION: \"$V\"}}\n    {HEALTH}\n"),
    );
    stack.write("web.env", "GREETING='a $dollar and a # too'\n");
    stack.write(".env", "V=1\nREPLICAS=2\n");
    stack.write(
        "more/compose.yaml",
        &format!(
            "services:\n  extra:\n    image: {APP}\n    environment: {{N: \"${{N:?}}\"}}\n    {HEALTH}\n"
        ),
    );
    stack.write("more/settings.env", "N=7\n");
    stack.write("production.yaml", "services:\n  web:\n    scale: ${REPLICAS}\n    environment: !override {APP_VERSION: \"$V\", P: \"1\"}\n");
    let flags = ["-f", "compose.yaml", "-f", "production.yaml", "--profile", "debug"];

    settles(&stack, &flags, &[]);
    let count = |service: &str| stack.containers(service).len();
    assert_eq!(["web", "debug", "extra", "off"].map(count), [2, 1, 1, 0]);
    let extra = ids(&stack.containers("extra"));
    let web = ids(&stack.containers("web"));

    settles(&stack, &flags, &[("V", "2")]);
    assert_eq!(ids(&stack.containers("extra")), extra, "nothing of it changed");
    assert!(ids(&stack.containers("web")).is_disjoint(&web));

    // What an env_file says is part of the configuration.
    let web = ids(&stack.containers("web"));
    stack.write("web.env", "GREETING=other\n");
    settles(&stack, &flags, &[("V", "2")]);
    assert!(ids(&stack.containers("web")).is_disjoint(&web));
}

/// Every condition in one file; `migrate` and what starts behind it write down when.
#[test]
fn every_condition_of_depends_on_holds_in_a_first_start_and_in_a_rollout() {
    let note = |text: &str| format!("[\"/zdd-app\", \"note\", \"/log/notes\", \"{text}\"]");
    let version = "environment: {APP_VERSION: \"${V:-1}\"}";
    let log = "volumes: [\"./log:/log\"]\n    x-zdd: {strategy: rolling}";
    let file = format!(
        "x-zdd: {{monitor: 500ms}}\nservices:\n  db:\n    image: {APP}\n    {HEALTH}\n  migrate:\n    image: {APP}\n    command: [note, /log/notes, migrated, --env, APP_VERSION]\n    {version}\n    {log}\n    depends_on: {{db: {{condition: service_healthy}}}}\n  api:\n    image: {APP}\n    {version}\n    {HEALTH}\n    {log}\n    depends_on: [migrate_not_needed_here, db]\n    post_start: [{{command: {}}}]\n  web:\n    image: {APP}\n    {version}\n    {HEALTH}\n    {log}\n    post_start: [{{command: {}}}]\n    depends_on:\n      api: {{condition: service_started, restart: true}}\n      db: {{condition: service_healthy}}\n      migrate: {{condition: service_completed_successfully}}\n      mail: {{condition: service_started, required: false}}\n  mail:\n    image: {APP}\n    profiles: [mail]\n",
        note("api"),
        note("web")
    )
    .replace("migrate_not_needed_here, ", "");
    let stack = Stack::new("conditions", &file);
    for (version, done) in [("1", "migrated"), ("2", "migrated")] {
        let finished = stack.zdd_ok(&["up"], &[("V", version)]);
        let notes = fs::read_to_string(stack.folder().join("log/notes")).unwrap();
        let place = |text: &str| {
            let found = notes.lines().position(|line| line.starts_with(&format!("{text} ")));
            found.unwrap_or_else(|| panic!("no {text}: {notes}{}", finished.stderr))
        };
        assert!(place(done) < place("web") && place("api") < place("web"), "{notes}");
        assert!(notes.contains(&format!("APP_VERSION={version}")), "{notes}");
        assert_eq!(notes.lines().count(), 3, "each once: {notes}");
        fs::remove_file(stack.folder().join("log/notes")).unwrap();
        assert_eq!(
            ["db", "api", "web", "migrate", "mail"].map(|s| stack.containers(s).len()),
            [1, 1, 1, 1, 0]
        );
    }
    let again = stack.zdd_ok(&["up"], &[("V", "2")]);
    assert!(again.stderr.contains("nothing was touched"), "{}", again.stderr);
    assert!(!stack.folder().join("log/notes").exists(), "the migration ran again");
}

/// Docker takes the name for the ID of the container that has it then.
#[test]
#[ignore = "takes long; scripts/test long"]
fn whoever_lives_in_a_named_container_follows_it() {
    let host = "container:${COMPOSE_PROJECT_NAME}-main-1";
    let file = format!(
        "x-zdd: {{monitor: 300ms}}\nservices:\n  main:\n    image: {APP}\n    environment: {{V: \"${{V:-1}}\"}}\n  side:\n    image: {APP}\n    network_mode: \"{host}\"\n    environment: {{APP_PORT: 81}}\n  beside:\n    image: {APP}\n    pid: \"{host}\"\n"
    );
    let stack = Stack::new("named", &file);
    stack.zdd_ok(&["up"], &[]);
    let before = stack.containers("main");

    stack.zdd_ok(&["up", "--allow-downtime"], &[("V", "2")]);

    let main = stack.containers("main");
    assert!(main.len() == 1 && main != before, "{main:?}");
    for (service, mode) in [("side", "NetworkMode"), ("beside", "PidMode")] {
        let format = format!("{{{{.HostConfig.{mode}}}}}");
        let container = &stack.containers(service)[0];
        let lives_in = docker(&["inspect", "--format", &format, &container.id]);
        assert_eq!((lives_in, container.state.as_str()), (format!("container:{}", main[0].id), "running"));
    }
    assert_eq!(left_to_do(&stack, &[], &[("V", "2")]), Vec::<String>::new());
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn orphans_go_only_on_request_and_only_theirs() {
    let both = format!(
        "services:\n{}\n  gone:\n    image: {APP}\n    scale: 2\n    x-zdd: {{monitor: 500ms}}\n  idle:\n    image: {APP}\n    profiles: [idle]\n    x-zdd: {{monitor: 500ms}}\n",
        plain_app("x-zdd: {monitor: 500ms}")
    );
    let stack = Stack::new("orphans", &both);
    stack.zdd_ok(&["--profile", "idle", "up"], &[]);
    let (app, idle) = (ids(&stack.containers("app")), ids(&stack.containers("idle")));
    let cut = both.find("  gone:").unwrap()..both.find("  idle:").unwrap();
    let mut one = both.clone();
    one.replace_range(cut, "");
    stack.write("compose.yaml", &one);

    stack.zdd_ok(&["up"], &[]);
    assert_eq!(stack.containers("gone").len(), 2, "nobody asked for it");
    stack.zdd_ok(&["up", "--remove-orphans"], &[("APP_VERSION", "2")]);
    assert_eq!(stack.containers("gone"), []);
    assert_eq!(ids(&stack.containers("idle")), idle, "a disabled profile makes no orphans");
    assert!(ids(&stack.containers("app")).is_disjoint(&app));
}

/// An image of one test, and its end.
struct Image(String);

impl Image {
    fn new(stack: &Stack) -> Image {
        let image = Image(format!("{}:latest", stack.project));
        image.build("1");
        image
    }

    fn build(&self, version: &str) {
        let context = tempfile::tempdir().unwrap();
        fs::write(context.path().join("Dockerfile"), format!("FROM {APP}\nLABEL version={version}\n"))
            .unwrap();
        docker(&["build", "-q", "-t", &self.0, context.path().to_str().unwrap()]);
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["rmi", "-f", &self.0]).output();
    }
}

#[test]
#[ignore = "takes long; scripts/test long"]
fn the_count_and_the_image_change_together() {
    let file = format!("services:\n{}", app("scale: ${N:-2}")).replace(APP, "${IMAGE}");
    let stack = Stack::new("countimage", &file);
    let image = Image::new(&stack);
    let up = |n: &str, more: &[&str]| {
        let env = [("IMAGE", image.0.as_str()), ("N", n)];
        stack.zdd_ok(&[&["up"], more].concat(), &env);
        assert_eq!(left_to_do(&stack, &[], &env).iter().filter(|_| more.is_empty()).count(), 0);
        ids(&stack.containers("app"))
    };
    let two = up("2", &[]);
    image.build("2");
    let three = up("3", &[]);
    assert!(two.len() == 2 && three.len() == 3 && three.is_disjoint(&two), "{two:?} {three:?}");
    image.build("3");
    let one = up("1", &[]);
    assert!(one.len() == 1 && one.is_disjoint(&three), "{one:?}");
    image.build("4");
    let four = up("1", &["--scale", "app=4"]);
    assert!(four.len() == 4 && four.is_disjoint(&one), "{four:?}");
    let same = up("4", &[]);
    assert_eq!(same, four, "the count is right already");
}
