//! Completion as a shell asks for it, through the real docker CLI.

use std::{fs, os::unix::fs::symlink, path::PathBuf, process::Command};

use tempfile::TempDir;

const FILE: &str = "services:\n  web:\n    image: web\n  worker:\n    image: web\n  debug:\n    image: web\n    profiles: [debug]\n";

/// A docker that has this build as its plugin, and a folder with a compose file.
struct Shell {
    config: TempDir,
    folder: TempDir,
}

impl Shell {
    fn new() -> Shell {
        let shell = Shell { config: TempDir::new().unwrap(), folder: TempDir::new().unwrap() };
        let plugins = shell.config.path().join("cli-plugins");
        fs::create_dir(&plugins).unwrap();
        symlink(env!("CARGO_BIN_EXE_docker-zdd"), plugins.join("docker-zdd")).unwrap();
        let home = std::env::var("DOCKER_CONFIG").map(PathBuf::from);
        let own = home.unwrap_or_else(|_| PathBuf::from(std::env::var("HOME").unwrap()).join(".docker"));
        let compose = own.join("cli-plugins/docker-compose");
        if compose.exists() {
            symlink(compose, plugins.join("docker-compose")).unwrap();
        }
        fs::write(shell.folder.path().join("compose.yaml"), FILE).unwrap();
        fs::write(shell.folder.path().join("other.yaml"), "services:\n  other:\n    image: web\n").unwrap();
        shell
    }

    /// The lines that docker hands to the shell for these words, without descriptions.
    fn complete(&self, words: &[&str]) -> Vec<String> {
        let mut command = Command::new("docker");
        command.arg("__complete").args(words).current_dir(self.folder.path());
        command.env("DOCKER_CONFIG", self.config.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect()
    }
}

#[test]
fn docker_completes_commands_flags_values_and_services() {
    let shell = Shell::new();
    for (words, answer) in [
        (&["zdd", "sta"][..], &["status", ":4"][..]),
        (&["zdd", "doc"], &["doctor", ":4"]),
        (&["zdd", "status", "--w"], &["--watch", ":4"]),
        (&["zdd", "status", "--format", ""], &["table", "json", ":4"]),
        (&["zdd", "status", "w"], &["web", "worker", ":4"]),
        (&["zdd", "up", "--scale", "wo"], &["worker=", ":6"]),
        (&["zdd", "up", "d"], &["debug", ":4"]),
        (&["zdd", "-f", "other.yaml", "up", ""], &["other", ":4"]),
        (&["zdd", "-f", ""], &["yaml", "yml", ":8"]),
        (&["zdd", "doctor", ""], &[":4"]),
    ] {
        assert_eq!(shell.complete(words), answer, "{words:?}");
    }
}
