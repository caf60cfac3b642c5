//! The helper for servers of another architecture, where this build has it and there is a qemu to run it.

use crate::net::skipped;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

const QEMU: [&str; 2] = ["qemu-aarch64-static", "qemu-aarch64"];

#[test]
fn the_helper_for_arm64_runs() {
    let Some(helper) = zdd::helper::binary::helper("arm64") else {
        return skipped("this build has no helper for arm64 (rustup target add aarch64-unknown-linux-musl)");
    };
    let runs = |qemu: &&str| Command::new(qemu).arg("--version").output().is_ok_and(|o| o.status.success());
    let Some(qemu) = QEMU.into_iter().find(runs) else {
        return skipped("there is no qemu for it (package qemu-user-static)");
    };
    let folder = tempfile::tempdir().expect("there is room");
    let program = folder.path().join("zdd-helper");
    fs::write(&program, helper.bytes()).expect("there is room");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let mut child = Command::new(qemu)
        .args([program.as_os_str(), "host".as_ref()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it is a program");
    let mut stdin = child.stdin.take().expect("it is piped");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut line = || lines.next().expect("it answers").expect("it is text");
    // A qemu that runs programs of another machine on this kernel does not know what the helper needs of it.
    let first = line();
    if first.starts_with("ready 1 ") {
        for request in ["ping", "quit"] {
            writeln!(stdin, "{request}").expect("it reads");
            assert_eq!(line(), "ok");
        }
    } else {
        assert!(first.starts_with("error EPROTONOSUPPORT opening nftables: "), "{first}");
    }
    assert_eq!(child.wait().expect("it ends").success(), first.starts_with("ready"));
}
