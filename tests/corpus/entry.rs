//! One entry of the corpus: its files, what runs, what is typed, and what should come out.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use regex_lite::Regex;

use crate::{diff::diff, real, state, world::World};

pub struct Entry {
    pub name: String,
    folder: PathBuf,
}

/// One line of `args.txt`.
struct Line {
    env: Vec<(String, String)>,
    words: Vec<String>,
}

impl Line {
    fn parse(text: &str) -> Line {
        let mut words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
        let is_variable = |word: &&String| word.contains('=') && !word.starts_with('-');
        let n = words.iter().take_while(is_variable).count();
        let pair = |word: String| word.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        let env = words.drain(..n).filter_map(pair).collect();
        Line { env, words }
    }

    /// Compose's own flags: what stands before the command.
    fn flags(&self) -> &[String] {
        let end = self.words.iter().position(|word| matches!(word.as_str(), "plan" | "up"));
        &self.words[..end.expect("plan or up in args.txt")]
    }
}

impl Entry {
    pub fn new(folder: PathBuf) -> Entry {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Entry { name, folder }
    }

    /// # Errors
    /// What differs from the expected text.
    pub fn check(&self, update: bool) -> Result<(), String> {
        let args = self.read("args.txt");
        let needed = args.lines().find_map(|line| line.strip_prefix("needs "));
        if let Some(version) = needed.filter(|version| !real::is_at_least(version)) {
            eprintln!("{}: left out, it needs Compose {version}", self.name);
            return Ok(());
        }
        let found = self.lines(&args).iter().map(|line| self.run(line)).collect::<Vec<_>>().join("\n");
        if update {
            fs::write(self.folder.join("plan.txt"), &found).expect("the plan");
            return Ok(());
        }
        match self.expected() == found {
            true => Ok(()),
            false => Err(format!("--- {}\n{}", self.name, diff(&self.expected(), &found))),
        }
    }

    /// What Compose makes of the files, for each command line that is in `args.txt`: the line, and the text.
    pub fn resolved(&self) -> Vec<(String, String)> {
        let lines = self.lines(&self.read("args.txt"));
        let resolved = |line: &Line| {
            let project = real::Project { folder: &self.folder, env: &line.env, flags: line.flags() };
            let given: String = line.env.iter().map(|(key, value)| format!(" {key}={value}")).collect();
            let flags: String = line.flags().iter().map(|flag| format!(" {flag}")).collect();
            Some((format!("{given}{flags}"), project.resolved()?))
        };
        lines.iter().filter_map(resolved).collect()
    }

    pub fn expected(&self) -> String {
        self.read("plan.txt")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }

    fn lines(&self, args: &str) -> Vec<Line> {
        let typed = args.lines().filter(|line| !line.is_empty() && !line.starts_with("needs "));
        let lines: Vec<_> = typed.map(Line::parse).collect();
        if lines.is_empty() { vec![Line::parse("plan")] } else { lines }
    }

    /// What is typed, what is printed, and the exit code.
    fn run(&self, line: &Line) -> String {
        let engine = tempfile::tempdir().expect("a folder");
        self.prepare(engine.path(), line);
        let mut command = Command::new(env!("CARGO_BIN_EXE_docker-zdd"));
        command.args(&line.words).current_dir(&self.folder).stdin(Stdio::null()).env_clear();
        command.envs(real::environment()).env("DOCKER_ZDD_HELPER", "off").envs(line.env.iter().cloned());
        command.env("PATH", engine.path()).env("FAKE_DOCKER_DIR", engine.path());
        let output = command.output().expect("docker-zdd");
        let objections = fs::read_to_string(engine.path().join("objections")).unwrap_or_default();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        // A warning comes with its time.
        let time = Regex::new(r"(?m)^ *\d+\.\ds  ").expect("a pattern");
        let said = text(&output.stderr);
        let printed = format!("{}{}{objections}", text(&output.stdout), time.replace_all(&said, ""));
        let code = output.status.code().map_or("none".to_owned(), |code| code.to_string());
        let env: String = line.env.iter().map(|(key, value)| format!("{key}={value} ")).collect();
        let typed = format!("$ {env}docker zdd {}", line.words.join(" "));
        self.without_paths(&format!("{typed}\n{printed}exit code {code}\n"))
    }

    fn prepare(&self, engine: &Path, line: &Line) {
        let project = real::Project { folder: &self.folder, env: &line.env, flags: line.flags() };
        let config = project.config();
        let world = state::read(&self.read("state.txt"), config.as_ref(), &project.hashes());
        let world = World { real_docker: Some(real::program().display().to_string()), ..world };
        fs::create_dir(engine.join("alive")).expect("a folder");
        fs::write(engine.join("world.json"), serde_json::to_string(&world).expect("JSON"))
            .expect("the world");
        symlink(env!("CARGO_BIN_EXE_fake-docker"), engine.join("docker")).expect("a link");
    }

    /// The same text on every machine.
    pub fn without_paths(&self, text: &str) -> String {
        text.replace(&self.folder.display().to_string(), "FOLDER")
    }
}
