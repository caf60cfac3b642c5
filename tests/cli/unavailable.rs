//! There can be no helper: the plan says why in one clause, and the ways without one apply.

use zdd::helper::binary::{architectures, helper};

use crate::{
    files::web,
    output::Output,
    scenario::{Scenario, old},
    world::Action,
};

/// An engine on a machine of this architecture.
fn on(os: &str, arch: &str) -> Scenario {
    let server = format!("{{\"Server\":{{\"Version\":\"28.2.2\",\"Os\":\"{os}\",\"Arch\":\"{arch}\"}}}}\n");
    let tag = helper("amd64").map_or("none", |helper| &helper.sha256[..12]);
    Scenario::new(&web(""))
        .with([old("web-1")])
        .env("DOCKER_ZDD_HELPER", "auto")
        .when("docker version", Action::Print(server))
        .when("docker image ls zdd-helper", Action::Print(format!("{tag} sha256:0\n")))
}

/// Why not, when the helper's `docker run` does this.
fn started(action: Action) -> String {
    why(&on("linux", "amd64").when("docker run ", action).run(&["plan"]))
}

fn ready(abilities: &str) -> String {
    started(Action::Print(format!("ready 1 {abilities}\n")))
}

fn why(output: &Output) -> String {
    assert_eq!((output.exit.code(), output.stderr.as_str()), (Some(0), ""), "{output}");
    // Nothing but the helper itself was started.
    assert!(output.changes().iter().all(|call| call.starts_with("docker run --rm ")), "{output}");
    assert!(output.stdout.contains("3. drain shop-web-1\n"), "{output}");
    let note = output.stdout.lines().find_map(|line| {
        let note =
            line.trim().strip_prefix("note: connections are not handed over to the new containers: ")?;
        note.strip_suffix("; \"x-zdd: {helper: off}\" says that this is known")
    });
    note.unwrap_or_else(|| panic!("{output}")).to_owned()
}

#[test]
fn no_nf_tables() {
    assert_eq!(
        ready("bridge=EOPNOTSUPP packet=ok nat4=ok nat6=ok hold=ok owner=ok"),
        "the kernel of the engine's machine has no nf_tables for bridges (EOPNOTSUPP)"
    );
    assert_eq!(
        ready("bridge=ok packet=ok nat4=ENOENT nat6=ENOENT hold=ENOENT owner=ok"),
        "the kernel of the engine's machine has no NAT by nf_tables (ENOENT)"
    );
    let said = "error EPROTONOSUPPORT opening nftables: Protocol not supported (os error 93)\n";
    assert_eq!(
        started(Action::Fail(1, said.to_owned())),
        "the kernel of the engine's machine has no nf_tables (EPROTONOSUPPORT)"
    );
}

#[test]
fn no_permission() {
    assert_eq!(
        ready("bridge=EPERM packet=EPERM nat4=EPERM nat6=EPERM hold=EPERM owner=EPERM"),
        "the engine does not let a container change the network (NET_ADMIN)"
    );
    let denied = "docker: Error response from daemon: authorization denied by plugin opa: no NET_ADMIN.\nSee 'docker run --help'.\n";
    assert_eq!(
        started(Action::Fail(126, denied.to_owned())),
        "no helper starts: authorization denied by plugin opa: no NET_ADMIN"
    );
}

/// As an engine of another kind may say that is asked for the host's network or user namespace.
#[test]
fn an_engine_that_does_not_know_how() {
    let said = "docker: Error response from daemon: cannot share the host's network namespace when user namespaces are enabled.\n\nRun 'docker run --help' for more information\n";
    assert_eq!(
        started(Action::Fail(125, said.to_owned())),
        "no helper starts: cannot share the host's network namespace when user namespaces are enabled"
    );
}

#[test]
fn a_server_of_another_kind() {
    assert!(architectures().all(|name| name != "riscv64"));
    assert_eq!(why(&on("linux", "riscv64").run(&["plan"])), "this build has no helper for riscv64");
    assert_eq!(why(&on("windows", "amd64").run(&["plan"])), "the engine runs on windows");
}

/// It has a second name for the engine and the kernel where one has worked. None starts here any more.
fn where_one_has_worked(kernel: &str) -> Scenario {
    let tag = helper("amd64").map_or("none", |helper| &helper.sha256[..12]);
    let tags = format!("{tag} sha256:0\n{tag}-28.2.2-{kernel} sha256:0\n");
    let server = "{\"Server\":{\"Version\":\"28.2.2\",\"Os\":\"linux\",\"Arch\":\"amd64\",\"KernelVersion\":\"6.1+7\"}}\n";
    Scenario::new(&web(""))
        .with([old("web-1")])
        .env("DOCKER_ZDD_HELPER", "auto")
        .when("docker version", Action::Print(server.to_owned()))
        .when("docker image ls zdd-helper", Action::Print(tags))
        .when("docker run ", Action::Fail(125, "docker: no.\n".to_owned()))
}

#[test]
fn a_plan_starts_none_where_one_has_worked() {
    let same = where_one_has_worked("6.1_7").run(&["plan"]);
    assert_eq!(same.changes(), Vec::<String>::new(), "{same}");
    assert!(same.stdout.contains("drain shop-web-1 until it has no connection"), "{same}");
    let another = where_one_has_worked("6.2").run(&["plan"]);
    assert!(another.stdout.contains("no helper starts: no"), "{another}");
    // What is not true any more is not kept.
    assert!(another.to_string().contains("docker image rm zdd-helper:"), "{another}");
}

#[test]
fn a_rollout_finds_out_that_it_works_no_more() {
    let output = where_one_has_worked("6.1_7").run(&["up"]);
    assert_eq!(output.exit.code(), Some(0), "{output}");
    assert!(output.stderr.contains("no helper starts: no"), "{output}");
    assert!(output.to_string().contains("docker image rm zdd-helper:"), "{output}");
}
