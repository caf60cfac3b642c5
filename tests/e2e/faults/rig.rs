//! The `docker` that disturbs one call, first on the PATH of docker-zdd.

use std::{
    collections::BTreeMap,
    env, fmt, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// One call of a rollout: the `nth` with this line, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    pub line: String,
    pub nth: usize,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.nth {
            1 => f.write_str(&self.line),
            nth => write!(f, "{} #{nth}", self.line),
        }
    }
}

pub struct Rig {
    root: TempDir,
    real: PathBuf,
}

impl Rig {
    pub fn new() -> Rig {
        let root = tempfile::Builder::new().prefix("zddtest-rig-").tempdir().unwrap();
        fs::create_dir(root.path().join("bin")).unwrap();
        symlink(env!("CARGO_BIN_EXE_faulty-docker"), root.path().join("bin/docker")).unwrap();
        let path = env::var("PATH").unwrap();
        let real = env::split_paths(&path).map(|folder| folder.join("docker")).find(|file| file.exists());
        Rig { root, real: real.expect("docker on the PATH") }
    }

    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// For docker-zdd, and with it for every call.
    pub fn env(&self) -> Vec<(String, String)> {
        let path = format!("{}:{}", self.path().join("bin").display(), env::var("PATH").unwrap());
        let dir = self.path().display().to_string();
        [("PATH", path), ("FAULTY_DOCKER_DIR", dir), ("FAULTY_DOCKER_REAL", self.real.display().to_string())]
            .map(|(key, value)| (key.to_owned(), value))
            .to_vec()
    }

    /// Forgets the calls so far; the next run is disturbed at this call, if one is given.
    pub fn set(&self, fault: Option<(&Call, &str)>) {
        for name in ["calls", "fault", "hit"] {
            let _ = fs::remove_file(self.path().join(name));
        }
        if let Some((call, fault)) = fault {
            let text = format!("{fault} {} {}", call.nth, call.line);
            fs::write(self.path().join("fault"), text).unwrap();
        }
    }

    /// Just before this call of the next run, a shell runs the script.
    pub fn meanwhile(&self, line: &str, script: &str) {
        self.set(Some((&Call { line: line.to_owned(), nth: 1 }, "meanwhile")));
        fs::write(
            self.path().join("script"),
            script.replace("docker ", &format!("{} ", self.real.display())),
        )
        .unwrap();
    }

    /// Whether the call came.
    pub fn was_hit(&self) -> bool {
        self.path().join("hit").exists()
    }

    pub fn calls(&self) -> Vec<Call> {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let text = fs::read_to_string(self.path().join("calls")).unwrap_or_default();
        let call = |line: &str| {
            let nth = seen.entry(line.to_owned()).or_default();
            *nth += 1;
            Call { line: line.to_owned(), nth: *nth }
        };
        text.lines().map(call).collect()
    }

    /// The processes that this rig's calls have left: command lines, by the rig's folder in their environment.
    pub fn processes(&self) -> Vec<String> {
        self.left().into_iter().map(|(_, line)| line).collect()
    }

    /// With their numbers.
    pub fn left(&self) -> Vec<(i32, String)> {
        let mark = self.path().display().to_string();
        let ours = |folder: &Path| {
            let environ = fs::read(folder.join("environ")).unwrap_or_default();
            String::from_utf8_lossy(&environ).contains(&format!("FAULTY_DOCKER_DIR={mark}\0"))
        };
        let folders = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        let process = |folder: PathBuf| {
            let text = fs::read(folder.join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&text).replace('\0', " ").trim().to_owned();
            let number = folder.file_name()?.to_str()?.parse().ok()?;
            (!line.is_empty()).then_some((number, line))
        };
        folders.filter(|folder| ours(folder)).filter_map(process).collect()
    }
}

/// Whether how often it comes depends on time: it is asked until something is so.
pub fn polls(line: &str) -> bool {
    ["exec look", "inspect", "network inspect"].contains(&line)
}

/// Whether the engine or the proxy is different after the call.
pub fn changes_something(line: &str) -> bool {
    const CHANGES: &[&str] = &[
        "start",
        "stop",
        "update",
        "rm",
        "volume create",
        "volume rm",
        "exec drain",
        "exec ready",
        "tag",
        "import",
        "image rm",
    ];
    CHANGES.iter().any(|call| line.starts_with(call))
        || (line.starts_with("compose ") && line.contains(" up ") && !line.contains("--dry-run"))
        || line.starts_with("compose up ")
}
