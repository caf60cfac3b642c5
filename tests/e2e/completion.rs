//! Completion as a shell asks for it, through the real docker CLI.

use std::{fs, process::Command};

use tempfile::TempDir;

use crate::docker_cli::with_plugins;

const FILE: &str = "services:\n  web:\n    image: web\n  worker:\n    image: web\n  debug:\n    image: web\n    profiles: [debug]\n";

/// A docker that has this build as its plugin, and a folder with a compose file.
struct Shell {
    config: TempDir,
    folder: TempDir,
}

impl Shell {
    fn new() -> Shell {
        let shell = Shell { config: with_plugins(), folder: TempDir::new().unwrap() };
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
