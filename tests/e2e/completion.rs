//! Completion as a shell asks for it, through the real docker CLI.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

use crate::stack::{docker_knows, with_plugins};

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

    /// What bash offers at the end of these words, by docker's own script on top of `helpers`: as many lines.
    fn complete_in_bash(&self, helpers: &str, words: &[&str]) -> Vec<String> {
        let script = format!("{helpers}\n{IN_BASH}");
        let mut command = Command::new("bash");
        command.args(["--norc", "--noprofile", "-c", &script, "bash", "docker"]).args(words);
        command.current_dir(self.folder.path()).env("DOCKER_CONFIG", self.config.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }
}

fn completes() -> bool {
    docker_knows("Client", 23, "completion by plugins")
}

/// The function of the package bash-completion that docker's script calls, in short.
const MINIMUM: &str = r#"
_get_comp_words_by_ref() { words=("${COMP_WORDS[@]}") cword=$COMP_CWORD cur=${COMP_WORDS[-1]} prev=${COMP_WORDS[-2]}; }
"#;
/// Where Debian and others have that package.
const PACKAGE: &str = "/usr/share/bash-completion/bash_completion";
/// As bash does it when TAB is pressed behind the words: it calls the function that is registered for the first one.
/// (`compopt` complains where no TAB was pressed.)
const IN_BASH: &str = r#"
eval "$(docker completion bash)" || exit
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_TYPE=9
COMP_POINT=${#COMP_LINE}
function=$(complete -p docker | sed -n 's/.* -F \([^ ]*\) .*/\1/p')
"$function" docker "${COMP_WORDS[-1]}" "${COMP_WORDS[-2]}" 2>/dev/null
[ ${#COMPREPLY[@]} -eq 0 ] || printf '%s\n' "${COMPREPLY[@]}"
"#;

#[test]
fn bash_offers_what_docker_completes() {
    if !completes() {
        return;
    }
    let shell = Shell::new();
    let with_package = format!(". {PACKAGE}");
    let mut helpers = vec![MINIMUM];
    helpers.extend(Path::new(PACKAGE).exists().then_some(with_package.as_str()));
    for helper in helpers {
        for (words, offer) in [
            (&["zdd", "up", ""][..], &["debug", "web", "worker"][..]),
            (&["zdd", "up", "wo"], &["worker"]),
            (&["zdd", "-f", "other.yaml", "up", ""], &["other"]),
            (&["zdd", "up", "--scale", "we"], &["web="]),
            (&["zdd", "sta"], &["status"]),
            (&["zdd", "status", "--format", ""], &["table", "json"]),
        ] {
            assert_eq!(shell.complete_in_bash(helper, words), offer, "{words:?} {helper}");
        }
    }
}

#[test]
fn docker_completes_commands_flags_values_and_services() {
    if !completes() {
        return;
    }
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
