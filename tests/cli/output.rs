//! What a run came to, as one text: all that a user, a script and the engine got to see.

use std::{fmt, os::unix::process::ExitStatusExt, path::Path, process::ExitStatus, time::Duration};

use regex_lite::Regex;

use crate::{
    calls,
    world::{Container, Entry, World, hash_of},
};

#[must_use]
pub struct Output {
    pub exit: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    /// As `calls::tell` tells them.
    pub calls: Vec<String>,
    pub entries: Vec<Entry>,
    /// Calls that outlived the program.
    pub left: Vec<String>,
    pub took: Duration,
    pub world: World,
}

impl Output {
    /// The calls that change something.
    pub fn changes(&self) -> Vec<&str> {
        self.calls.iter().map(String::as_str).filter(|line| !calls::is_read(line)).collect()
    }

    /// Every call's words, as the process got them.
    pub fn argvs(&self) -> Vec<&[String]> {
        let begins = self.entries.iter().filter_map(|entry| match entry {
            Entry::Begin { argv, .. } => Some(argv.as_slice()),
            Entry::End { .. } => None,
        });
        begins.collect()
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.exit.code(), self.exit.signal()) {
            (Some(code), _) => writeln!(f, "exit code: {code}")?,
            (None, signal) => writeln!(f, "killed by signal {}", signal.unwrap_or_default())?,
        }
        section(f, "stdout", &self.stdout)?;
        section(f, "stderr", &self.stderr)?;
        section(f, "calls", &self.calls.join("\n"))?;
        section(f, "containers", &self.containers())?;
        section(f, "left running", &self.left.join("\n"))
    }
}

fn section(f: &mut fmt::Formatter<'_>, title: &str, text: &str) -> fmt::Result {
    match text.trim_end() {
        "" => Ok(()),
        text => writeln!(f, "--- {title}\n{text}"),
    }
}

impl Output {
    pub fn containers(&self) -> String {
        let mut lines: Vec<_> = self.world.containers.iter().map(|c| self.container(c)).collect();
        lines.sort();
        let least = self.world.least.iter().map(|(service, n)| format!("{n} of {service}"));
        lines.push(format!("at least: {}", least.collect::<Vec<_>>().join(", ")));
        lines.join("\n")
    }

    fn container(&self, container: &Container) -> String {
        let new = container.config_hash == hash_of(&container.service);
        let now = &container.now;
        let state = match (now.state.as_str(), &now.health) {
            ("running", Some(health)) => health.clone(),
            ("exited", _) => format!("exited {}", now.exit_code),
            (state, _) => state.to_owned(),
        };
        let restart = if container.restart == "no" {
            String::new()
        } else {
            format!(", restart {}", container.restart)
        };
        format!("{} {} {state}{restart}", self.world.short(&container.name), if new { "new" } else { "old" })
    }
}

/// Replaces what differs from run to run.
pub struct Text<'a> {
    world: &'a World,
    dir: &'a Path,
}

impl<'a> Text<'a> {
    pub fn new(world: &'a World, dir: &'a Path) -> Text<'a> {
        Text { world, dir }
    }

    pub fn plain(&self, text: &str) -> String {
        let mut text = text.replace(&*self.dir.to_string_lossy(), "[DIR]");
        for (id, name) in &self.world.names {
            let name = self.world.short(name);
            text = text.replace(id, &format!("[ID of {name}]"));
            text = text.replace(&id[..12], &format!("[ID of {name}]"));
        }
        text
    }

    /// Also without times, and without the bars that depend on them.
    pub fn timeless(&self, text: &str) -> String {
        let rules = [
            (r"(?m)^ *\d+\.\ds  ", "[TIME]  "),
            (r"(?m)^ *\d+m\d\ds  ", "[TIME]  "),
            // The first line of every run that deploys, which one test asks for.
            (r#"(?m)^(\[TIME\]  reading the project|\{"time":[0-9.]+,"event":"loading"\})\n"#, ""),
            (r"(watching for|at most|down for) ([1-9]\d*(\.\d)?s|0\.\ds|\d+ms|\d+m\d\ds)\b", "$1 [TIME]"),
            (r"(?m)^(\S+ +)\d+\.\ds +\d+\.\ds$", "$1[TIME] to [TIME]"),
            (r"\b\d+\.\ds", "[TIME]"),
            (r"[·█░▒▓!▁▂▃▄▅▆▇]{5,}", "[BAR]"),
            ("\"(time|seconds|deadline_seconds)\":[0-9.e-]+", "\"$1\":[TIME]"),
        ];
        rules.iter().fold(self.plain(text), |text, (pattern, new)| {
            Regex::new(pattern).expect("a pattern").replace_all(&text, *new).into_owned()
        })
    }
}
