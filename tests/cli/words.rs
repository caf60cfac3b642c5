//! What needs no engine: help, versions, completion, usage errors.

use insta::assert_snapshot;
use zdd::keep::Revision;

use crate::{
    files::{project, web},
    output::Output,
    scenario::Scenario,
};

/// A run in a place where even looking for docker would be noticed.
fn alone(args: &[&str]) -> Output {
    let output = Scenario::new(&web("")).run(args);
    assert_eq!(output.calls, Vec::<String>::new(), "{output}");
    output
}

#[test]
fn metadata_calls_nothing() {
    let output = alone(&["docker-cli-plugin-metadata"]);
    assert_eq!((output.exit.code(), output.stderr.as_str()), (Some(0), ""));
    assert_snapshot!(output.stdout, @r#"
    {
      "SchemaVersion": "0.1.0",
      "Vendor": "docker zdd",
      "Version": "v0.1.0",
      "ShortDescription": "Update Compose services without losing a request"
    }
    "#);
}

#[test]
fn metadata_needs_neither_home_nor_docker() {
    let scenario =
        || Scenario::new(&web("")).without_docker().env("HOME", "").env("DOCKER_HOST", "tcp://nowhere:1");
    let output = scenario().run(&["docker-cli-plugin-metadata"]);
    assert_eq!(output.stdout, alone(&["docker-cli-plugin-metadata"]).stdout);
    assert!(output.took.as_millis() < 1000, "{:?}", output.took);
}

/// Without the blanks at the ends of lines.
fn trimmed(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

#[test]
fn help_has_no_blanks_at_the_ends_of_lines() {
    for args in [&["help", "zdd"][..], &["help", "zdd", "up"], &["help", "zdd", "plan"]] {
        let help = alone(args).stdout;
        assert_eq!(help, trimmed(&help));
    }
}

#[test]
fn help() {
    let root = alone(&["help", "zdd"]);
    assert_eq!((root.exit.code(), root.stderr.as_str()), (Some(0), ""));
    assert_snapshot!(trimmed(&root.stdout), @r#"
    Usage:  docker zdd [OPTIONS] COMMAND

    Update Compose services without losing a request

    Options:
          --all-resources
              Include all resources, even those not used by services
          --ansi string
              Control when to print ANSI control characters
              ("never"|"always"|"auto")
          --compatibility
              Run compose in backward compatibility mode
          --dry-run
              Print the plan and change nothing
          --engine string
              What runs the containers ("compose"|"swarm")
          --env-file stringArray
              Specify an alternate environment file
      -f, --file stringArray
              Compose configuration files
          --parallel int
              Control max parallelism, -1 for unlimited
          --profile stringArray
              Specify a profile to enable
          --progress string
              Set type of progress output (auto, tty, plain, json, quiet)
          --project-directory string
              Specify an alternate working directory (default: the path of the first
              specified Compose file)
      -p, --project-name string
              Project name
          --verbose
              Show more output

    Commands:
      up        Update services without losing a request
      plan      Show what up would do, and why
      doctor    Show what would hinder a rollout, and what to write instead
      init      Write an override file that makes services rollable
      status    Show what runs of each service, and a rollout in progress
      history   List the revisions that were deployed
      diff      Show what differs between a revision and the Compose file
      rollback  Deploy an earlier revision again
      restart   Replace containers with new ones of the same version
      version   Show the docker zdd version information

    Run 'docker zdd COMMAND --help' for more information on a command.
    "#);
    for args in [&["--help", "zdd"][..], &["zdd", "--help"], &["zdd"], &["-h", "zdd"], &["zdd", "help"], &[]]
    {
        assert_eq!(alone(args).stdout, root.stdout, "{args:?}");
    }
}

#[test]
fn help_of_up() {
    let up = alone(&["zdd", "up", "--help"]);
    assert_snapshot!(trimmed(&up.stdout), @r#"
    Usage:  docker zdd up [OPTIONS] [SERVICE...]

    Update services without losing a request

    Options:
          --allow-downtime
              Recreate services that cannot run twice side by side, at the cost of
              downtime
          --break-lock
              Take the project's lock from a run that is known to be dead
          --build
              Build images before starting containers
          --delay duration
              Time between two batches
          --drain-timeout duration
              Longest time for an old container to leave the proxy before it is
              stopped
          --dry-run
              Print the plan and change nothing
          --failure-action string
              What to do when the new version fails ("rollback"|"pause"|"continue")
          --force-recreate
              Replace containers even if their configuration and image haven't
              changed
          --monitor duration
              How long a new container without a healthcheck must run without a
              restart
          --no-build
              Don't build an image, even if it's policy
          --no-deps
              Don't update linked services
          --no-probe
              Send no requests, even if the Compose file says so
          --order string
              Which containers of a batch go first ("start-first"|"stop-first")
          --parallelism uint
              How many containers of a service to replace at a time, 0 for all at
              once
          --probe string
              Send requests to this address during the rollout and report what fails
          --probe-after duration
              How long the new version is probed before the old containers are
              removed (default: 3s)
          --probe-expect string
              Which status codes are good, like "200" or "2xx,404" (default:
              200-399)
          --probe-max-failures uint
              More failed requests than this end the rollout and roll it back
              (default: they are only reported)
          --probe-rate uint
              Requests a second (default: 20)
          --probe-timeout duration
              Longest time for one answer (default: 2s)
          --pull string
              Pull image before running ("always"|"missing"|"never")
          --remove-orphans
              Remove containers for services not defined in the Compose file
          --report string
              Write a page about the rollout to FILE, to be opened in a browser
          --scale scale
              Scale SERVICE to NUM instances. Overrides the scale setting in the
              Compose file if present
          --settle duration
              Time for the proxy to pick the new containers up, before the old ones
              are drained
      -t, --timeout int
              Seconds for an old container to stop before it is killed, -1 for no
              limit (default: its own grace period)
          --wait-lock duration
              Wait for another run on this project to end, in seconds or as a
              duration
          --wait-timeout duration
              Longest time for a new container to become healthy, in seconds or as a
              duration (default: as long as its healthcheck may take)

    The options of 'docker zdd --help' may also stand here.

    Exit codes:
        0   Done, or nothing to do
        1   Usage, file or engine error; nothing was touched
        2   Refused by the plan; nothing was touched
        3   The new version failed; the old one serves
        4   The rollback failed too: look at it
        5   Another run holds the project's lock
      130   Interrupted; the last lines say what serves
    "#);
    for args in [&["help", "zdd", "up"][..], &["zdd", "help", "up"], &["up", "-h"]] {
        assert_eq!(alone(args).stdout, up.stdout, "{args:?}");
    }
}

#[test]
fn version() {
    let all: Vec<_> = [
        &["--version", "zdd"][..],
        &["zdd", "--version"],
        &["zdd", "version"],
        &["zdd", "version", "--short"],
        &["zdd", "version", "--format", "json"],
    ]
    .iter()
    .map(|args| alone(args).stdout)
    .collect();
    let version = env!("CARGO_PKG_VERSION");
    let long = format!("docker zdd version v{version}\n");
    let expected =
        [&long, &long, &long, &format!("{version}\n"), &format!("{{\"version\":\"v{version}\"}}\n")];
    assert_eq!(all.iter().collect::<Vec<_>>(), expected);
}

#[test]
fn usage_errors() {
    let shown = |args: &[&str]| {
        let output = alone(args);
        format!("{}: exit {}\n{}", args.join(" "), output.exit.code().unwrap_or(-1), output.stderr)
    };
    let all = [
        shown(&["zdd", "up", "--bogus"]),
        shown(&["zdd", "up", "--parallelism", "-1"]),
        shown(&["zdd", "up", "--context", "prod"]),
        shown(&["zdd", "up", "--build", "--no-build"]),
        shown(&["zdd", "roll"]),
        shown(&["--context"]),
    ];
    assert_snapshot!(all.join("\n"), @r#"
    zdd up --bogus: exit 1
    unknown flag: --bogus
    See 'docker zdd up --help'

    zdd up --parallelism -1: exit 1
    invalid argument "-1" for "--parallelism" flag: -1 is not in 0..=4294967295
    See 'docker zdd up --help'

    zdd up --context prod: exit 1
    --context is a flag of docker itself: write "docker --context prod zdd up"
    See 'docker zdd up --help'

    zdd up --build --no-build: exit 1
    --build and --no-build are incompatible

    zdd roll: exit 1
    unknown docker command: "zdd roll"

    --context: exit 1
    flag needs an argument: --context
    "#);
}

#[test]
fn hooks_of_docker_are_answered_with_nothing() {
    assert_snapshot!(alone(&["zdd", "docker-cli-plugin-hooks", "{\"RootCmd\":\"compose up\"}"]), @"
    exit code: 0
    --- containers
    at least:
    ");
}

#[test]
fn completion_of_words() {
    let completed = |args: &[&str]| {
        let output = alone(&[&["__complete", "zdd"], args].concat());
        assert_eq!((output.exit.code(), output.stderr.as_str()), (Some(0), ""));
        format!("{args:?}\n{}", output.stdout)
    };
    let all = [
        completed(&["u"]),
        completed(&["--progress", ""]),
        completed(&["-f", ""]),
        completed(&["up", "--fo"]),
    ];
    assert_snapshot!(all.concat(), @r#"
    ["u"]
    up	Update services without losing a request
    :4
    ["--progress", ""]
    auto
    tty
    plain
    json
    quiet
    :4
    ["-f", ""]
    yaml
    yml
    :8
    ["up", "--fo"]
    --force-recreate	Replace containers even if their configuration and image haven't changed
    :4
    "#);
}

#[test]
fn completion_of_services() {
    let file = project(&[("web", "image: web"), ("worker", "image: web\nprofiles: [jobs]")]);
    let scenario = || Scenario::new(&file);
    assert_snapshot!(scenario().run(&["--context", "prod", "__complete", "zdd", "up", "w"]), @"
    exit code: 0
    --- stdout
    web
    worker
    :4
    --- calls
    docker --context prod compose --profile * config --services
    --- containers
    at least: 0 of web, 0 of worker
    ");
    assert_eq!(scenario().engine_is_dead().run(&["__complete", "zdd", "up", ""]).stdout, "web\nworker\n:4\n");
    let failing = scenario().when(
        " config",
        crate::world::Action::Fail(1, "no configuration file provided: not found".to_owned()),
    );
    assert_snapshot!(failing.run(&["__complete", "zdd", "up", ""]), @"
    exit code: 0
    --- stdout
    :4
    --- calls
    docker compose --profile * config --services  → exit 1
    --- containers
    at least: 0 of web, 0 of worker
    ");
    assert_eq!(scenario().without_docker().run(&["__complete", "zdd", "up", ""]).stdout, ":4\n");
}

/// Those of the project that the words name, by whatever flag.
#[test]
fn completion_of_revisions() {
    let revision = |number: u32| Revision { number, ..Revision::default() }.label();
    let of = |project: &str, label: &str| {
        [("io.zdd.revision.project", project.to_owned()), ("io.zdd.revision", label.to_owned())]
    };
    let completed = |args: &[&str]| {
        let mut scenario = Scenario::new(&web(""));
        for (project, number) in [("shop", 4), ("prod", 7)] {
            let labels = of(project, &revision(number));
            let labels = labels.each_ref().map(|(key, value)| (*key, value.as_str()));
            scenario = scenario.volume(&format!("zdd-revision-{project}-{number}"), &labels);
        }
        let output = scenario.run(&[&["__complete", "zdd"], args, &["--to", ""]].concat());
        (output.stdout.split('\t').next().unwrap_or_default().to_owned(), output.calls)
    };
    for args in [
        &["-p", "prod", "rollback"][..],
        &["-pprod", "rollback"],
        &["--project-name=prod", "rollback"],
        &["rollback", "-p", "shop", "-p=prod"],
    ] {
        let (found, calls) = completed(args);
        assert_eq!((found.as_str(), calls.len()), ("7", 1), "{args:?} {calls:?}");
    }
    let (found, calls) = completed(&["-f", "../shop/compose.yaml", "rollback"]);
    assert_eq!(found, "4", "{calls:?}");
    assert_eq!(calls, ["docker compose --file ../shop/compose.yaml config", "docker volume ls"]);
}

/// What the scripts that install and package the program call.
#[test]
fn man_pages() {
    let host = Scenario::new(&web("")).host();
    let folder = host.path("man");
    let output = host.run(&["__man", &folder.to_string_lossy()]);
    assert_eq!((output.exit.code(), output.calls.len()), (Some(0), 0), "{output}");
    let names = std::fs::read_dir(&folder).expect("a folder").flatten();
    let mut names: Vec<_> = names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    assert_eq!(
        names,
        ["diff", "doctor", "history", "init", "plan", "restart", "rollback", "status", "up", "version"]
            .map(|name| format!("docker-zdd-{name}.1"))
            .into_iter()
            .chain(["docker-zdd.1".to_owned()])
            .collect::<Vec<_>>()
    );
    let output = host.run(&["__man", "/proc/none"]);
    assert_eq!(output.exit.code(), Some(1), "{output}");
}
