//! One call of `docker`, taken apart, and the line that the log shows for it.

use std::collections::BTreeMap;

use crate::world::{World, hex};

/// Docker's own flags, and Compose's, that take a value.
const DOCKER_VALUES: &[&str] = &[
    "--config",
    "--context",
    "-c",
    "--host",
    "-H",
    "--log-level",
    "-l",
    "--tlscacert",
    "--tlscert",
    "--tlskey",
];
const COMPOSE_VALUES: &[&str] = &[
    "--ansi",
    "--env-file",
    "--file",
    "-f",
    "--parallel",
    "--profile",
    "--progress",
    "--project-directory",
    "--project-name",
    "-p",
];

/// A flag with its value, as typed.
pub type Flag = (String, Option<String>);

#[derive(Clone, Debug, Default)]
pub struct Call {
    /// Docker's own flags in front.
    pub docker: Vec<Flag>,
    /// Compose's flags; `None` for a call of docker itself.
    pub compose: Option<Vec<Flag>>,
    /// The verb and what stands behind it.
    pub words: Vec<String>,
    /// What came on standard input.
    pub stdin: String,
}

impl Call {
    pub fn read(argv: impl IntoIterator<Item = String>) -> Call {
        let mut words: Vec<String> = argv.into_iter().collect();
        let docker = take_flags(&mut words, DOCKER_VALUES);
        let mut call = Call { docker, ..Call::default() };
        if words.first().is_some_and(|word| word == "compose") {
            words.remove(0);
            call.compose = Some(take_flags(&mut words, COMPOSE_VALUES));
        }
        call.words = words;
        call
    }

    pub fn verb(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// The values of one of Compose's flags.
    pub fn compose_values<'a>(&'a self, names: &'a [&str]) -> impl Iterator<Item = &'a str> {
        let flags = self.compose.iter().flatten();
        flags.filter(|(name, _)| names.contains(&name.as_str())).filter_map(|(_, value)| value.as_deref())
    }

    pub fn project(&self) -> Option<&str> {
        self.compose_values(&["--project-name", "-p"]).last()
    }

    pub fn is_dry(&self) -> bool {
        self.compose.iter().flatten().any(|(name, _)| name == "--dry-run")
    }

    /// Whether it loads the compose files.
    pub fn loads(&self) -> bool {
        self.compose.is_some() && self.verb() != "version"
    }

    /// Whether it is the one that reads the files for the first time, which says what is odd in them.
    pub fn may_warn(&self) -> bool {
        self.loads() && self.verb() == "config" && !self.words.iter().any(|word| word.starts_with('-'))
    }

    pub fn reads_stdin(&self) -> bool {
        self.imports() || self.compose_values(&["--file", "-f"]).any(|file| file == "-")
    }

    fn imports(&self) -> bool {
        self.compose.is_none() && self.verb() == "import"
    }

    /// For people and tests: IDs as names, without what every call must have and the fake insists on.
    pub fn line(&self, world: &World) -> String {
        let mut line = vec!["docker".to_owned()];
        let mut docker = self.docker.as_slice();
        if self.loads()
            && let [rest @ .., last] = docker
            && (*last == flag("-l", "error") || (self.may_warn() && *last == flag("-l", "warn")))
        {
            docker = rest;
        }
        line.extend(docker.iter().map(typed));
        if let Some(flags) = &self.compose {
            line.push("compose".to_owned());
            let project = self.project().filter(|project| *project == world.project());
            let usual = |(name, value): &&Flag| {
                matches!(name.as_str(), "--ansi" | "--progress")
                    || (name == "--project-directory" && self.reads_stdin())
                    || (name == "-p" && value.as_deref() == project)
            };
            let shown = |flag: &&Flag| !usual(flag);
            line.extend(flags.iter().filter(shown).map(typed));
        }
        line.extend(self.shown_words(world));
        if !self.stdin.is_empty() && !self.imports() {
            line.push(format!("<stdin {}>", &hex(&self.stdin)[..8]));
        }
        line.join(" ").trim_end().to_owned()
    }

    fn shown_words(&self, world: &World) -> Vec<String> {
        let script = |word: &String| if word.contains('\n') { "SCRIPT".to_owned() } else { word.clone() };
        let text = self.words.iter().map(script).collect::<Vec<_>>().join(" ");
        let text = match (&self.compose, self.verb()) {
            (Some(_), "up") => text.replacen(" --pull never --no-build", "", 1),
            (Some(_), "config") => text,
            (None, "ps") => {
                let project = format!(" --filter label=com.docker.compose.project={}", world.project());
                let text =
                    text.replacen(" -aq --no-trunc --filter label=com.docker.compose.oneoff=False", "", 1);
                let text = text.replacen(" --no-trunc --format {{.ID}} {{.Names}}", "", 1);
                let text = text.replacen(" --format {{.Names}}", "", 1);
                text.replacen(&project, "", 1).replacen(" --filter label=com.docker.compose.service=", " ", 1)
            }
            (None, "volume") => {
                let is_ours = |word: &&String| *word != "--label" && !word.starts_with("io.zdd.");
                let shown: Vec<_> = self.words.iter().filter(is_ours).cloned().collect();
                let filter = format!(" --filter label=io.zdd.revision.project={}", world.project());
                let text = shown.join(" ").replacen(" --format {{json .Labels}}", "", 1);
                text.replacen(&filter, "", 1).replacen(" --format {{.Label \"io.zdd.revision\"}}", "", 1)
            }
            (None, "image") => text.replacen(" --no-trunc --format {{.Tag}} {{.ID}}", "", 1),
            (None, "create") => {
                let usual = " --pull never --network none --label io.zdd.revision.reading=true";
                let name = format!(" --name zdd-revision-reading-{}-", world.project());
                let text = text.replacen(usual, "", 1);
                match text.split_once(&name).and_then(|(start, end)| Some((start, end.split_once(' ')?.1))) {
                    Some((start, end)) => format!("{start} {end}"),
                    None => text,
                }
            }
            (None, "inspect") => text.replacen(" --type container", "", 1),
            _ => text,
        };
        let name = |word: &str| {
            let (id, path) = word.split_once(':').map_or((word, None), |(id, path)| (id, Some(path)));
            match (world.names.get(id), path) {
                (Some(name), Some(path)) => format!("{}:{path}", world.short(name)),
                (Some(name), None) => world.short(name),
                (None, _) => word.to_owned(),
            }
        };
        let image =
            |word: &str| world.images.iter().find(|(_, id)| *id == word).map(|(name, _)| name.clone());
        let mut words: Vec<_> = text.split(' ').map(name).collect();
        if self.compose.is_none() && self.verb() == "tag" {
            words[1] = format!("[image {}]", image(&words[1]).unwrap_or_default());
            words[2] = kept(&words[2]);
        }
        if self.compose.is_none() && self.verb() == "inspect" {
            words[1..].sort();
        }
        for i in 1..words.len() {
            if words[i - 1] == "--env"
                && let Ok(value) = std::env::var(&words[i])
            {
                words[i] += &format!(" ({value:?} in its environment)");
            }
        }
        words
    }
}

/// `zdd-revision/shop:[ID]`
fn kept(reference: &str) -> String {
    match reference.split_once(':') {
        Some((repository, _)) => format!("{repository}:[ID]"),
        None => reference.to_owned(),
    }
}

fn take_flags(words: &mut Vec<String>, with_value: &[&str]) -> Vec<Flag> {
    let mut flags = Vec::new();
    while words.first().is_some_and(|word| word.starts_with('-') && word != "-") {
        let name = words.remove(0);
        let value = (with_value.contains(&name.as_str()) && !words.is_empty()).then(|| words.remove(0));
        flags.push((name, value));
    }
    flags
}

fn flag(name: &str, value: &str) -> Flag {
    (name.to_owned(), Some(value.to_owned()))
}

fn typed((name, value): &Flag) -> String {
    match value {
        Some(value) => format!("{name} {value}"),
        None => name.clone(),
    }
}

/// The flags and operands behind a verb. `switches` and `values` are all that the verb knows.
#[derive(Debug, Default)]
pub struct Arguments {
    flags: BTreeMap<String, Vec<String>>,
    pub operands: Vec<String>,
}

impl Arguments {
    /// Flags end at the first operand when `stops`, as in `docker exec`.
    ///
    /// # Errors
    /// The flag that the verb does not know.
    pub fn read(
        words: &[String],
        switches: &[&str],
        values: &[&str],
        stops: bool,
    ) -> Result<Arguments, String> {
        let mut arguments = Arguments::default();
        let mut words = words.iter().skip(1).cloned();
        while let Some(word) = words.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
                _ => (word.clone(), None),
            };
            if !word.starts_with('-') {
                arguments.operands.push(word);
                if stops {
                    arguments.operands.extend(words.by_ref());
                }
            } else if switches.contains(&name.as_str()) && value.is_none() {
                arguments.flags.entry(name).or_default();
            } else if values.contains(&name.as_str()) {
                let value = value.or_else(|| words.next()).unwrap_or_default();
                arguments.flags.entry(name).or_default().push(value);
            } else {
                return Err(name);
            }
        }
        Ok(arguments)
    }

    pub fn has(&self, name: &str) -> bool {
        self.flags.contains_key(name)
    }

    pub fn all(&self, name: &str) -> &[String] {
        self.flags.get(name).map_or(&[], Vec::as_slice)
    }

    pub fn one(&self, name: &str) -> Option<&str> {
        self.all(name).last().map(String::as_str)
    }
}
