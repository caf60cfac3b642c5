//! Builds the helper (`src/helper/agent`), which runs in Linux containers on the engine's machine, for each architecture
//! that this toolchain can build it for, and embeds it.
//!
//! It is built by a cargo of its own, as it needs another target, another profile, and none of the flags that the caller
//! chose for the plugin. Its target directory is in `OUT_DIR`, so that it waits for no lock that the caller holds.
//!
//! | toolchain | what is built |
//! |---|---|
//! | has the standard library for `*-unknown-linux-musl` (`rustup target add`) | that, linked by Rust's own linker: no cross compiler is needed |
//! | has not, on Linux | a static glibc binary for this machine's own architecture |
//! | else | nothing: `zdd::helper::binary` answers `None`, and the build says so |
//!
//! `ZDD_HELPER_AMD64` and `ZDD_HELPER_ARM64` are paths of ready-made binaries; an empty one leaves the architecture out.

use miniz_oxide::deflate::compress_to_vec;
use sha2::{Digest, Sha256};
use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Docker's name of an architecture, and Rust's.
const ARCHITECTURES: [(&str, &str); 2] = [("amd64", "x86_64"), ("arm64", "aarch64")];
const PACKAGE: &str = "src/helper/agent";

fn main() {
    for path in [PACKAGE, "src/helper/protocol", "build.rs", "Cargo.lock", "Cargo.toml"] {
        println!("cargo::rerun-if-changed={path}");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let mut source = String::from("&[\n");
    for (docker, rust) in ARCHITECTURES {
        match provide(docker, rust, &out) {
            Ok(Some(binary)) => embed(&mut source, docker, &binary, &out),
            Ok(None) => {}
            Err(why) => println!("cargo::warning=the helper for {docker} is left out: {why}"),
        }
    }
    source.push_str("]\n");
    fs::write(out.join("helpers.rs"), source).expect("OUT_DIR is writable");
}

/// The helper for an architecture: ready-made, or built here. `None` when it is left out on purpose.
fn provide(docker: &str, rust: &str, out: &Path) -> Result<Option<PathBuf>, String> {
    let variable = format!("ZDD_HELPER_{}", docker.to_uppercase());
    println!("cargo::rerun-if-env-changed={variable}");
    match env::var_os(&variable) {
        Some(path) if path.is_empty() => Ok(None),
        Some(path) => {
            println!("cargo::rerun-if-changed={}", path.display());
            let path = fs::canonicalize(&path).map_err(|e| format!("{variable}: {}: {e}", path.display()))?;
            Ok(Some(path))
        }
        None => build(rust, out).map(Some),
    }
}

fn build(rust: &str, out: &Path) -> Result<PathBuf, String> {
    let (target, flags) =
        target_for(rust).ok_or("this toolchain cannot build for it (rustup target add?)")?;
    let directory = out.join("helper");
    let mut cargo = Command::new(env::var_os("CARGO").expect("cargo sets it"));
    cargo.args(["build", "--quiet", "--locked", "--profile", "helper", "--target", &target, "--target-dir"]);
    cargo.arg(&directory).current_dir(PACKAGE);
    for variable in CALLERS_CHOICES {
        cargo.env_remove(variable);
    }
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
    let output = cargo.output().map_err(|e| e.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr)
            .lines()
            .rev()
            .take(5)
            .collect::<Vec<_>>()
            .join(" | "));
    }
    Ok(directory.join(target).join("helper/zdd-helper"))
}

/// What the caller chose for the plugin, or cargo and clippy for this build.
const CALLERS_CHOICES: [&str; 6] = [
    "RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_TARGET_DIR",
    "RUSTC_WORKSPACE_WRAPPER",
    "CLIPPY_ARGS",
];

/// The target to build for, and the flags it needs.
fn target_for(rust: &str) -> Option<(String, Vec<String>)> {
    let musl = format!("{rust}-unknown-linux-musl");
    if is_installed(&musl) {
        let flags = ["-Clinker=rust-lld", "-Clink-self-contained=yes", "-Clink-arg=--icf=all"];
        return Some((musl, flags.map(String::from).into()));
    }
    let host = env::var("HOST").expect("cargo sets it");
    let own = host.starts_with(rust) && host.contains("-linux-gnu") && !host.ends_with("x32");
    own.then(|| (host, vec!["-Ctarget-feature=+crt-static".into()]))
}

/// Whether the toolchain has the standard library for a target.
fn is_installed(target: &str) -> bool {
    let rustc = env::var_os("RUSTC").expect("cargo sets it");
    let output = Command::new(rustc).args(["--print", "target-libdir", "--target", target]).output();
    let Ok(output) = output else { return false };
    let directory = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    files.into_iter().any(|file| file.file_name().to_string_lossy().starts_with("libstd-"))
}

fn embed(source: &mut String, docker: &str, binary: &Path, out: &Path) {
    let bytes = fs::read(binary).unwrap_or_else(|e| panic!("{}: {e}", binary.display()));
    let packed = out.join(format!("{docker}.deflate"));
    fs::write(&packed, compress_to_vec(&bytes, 10)).expect("OUT_DIR is writable");
    let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    writeln!(source, "    ({docker:?}, Helper {{ packed: include_bytes!({packed:?}), sha256: {hash:?} }}),")
        .expect("a string takes all");
}
