//! The real Compose, which says what the files mean. It needs no engine for that.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use serde_yaml::Value;

/// An engine that nobody finds: nothing here may depend on one.
pub const NO_ENGINE: (&str, &str) = ("DOCKER_HOST", "unix:///nowhere/docker.sock");

/// `docker`, or Compose's plugin where there is no Docker CLI: both take `compose …`.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let candidates = [which("docker"), Some(config_folder().join("cli-plugins/docker-compose"))];
        let works = |path: &PathBuf| {
            Command::new(path)
                .args(["compose", "version"])
                .output()
                .is_ok_and(|output| output.status.success())
        };
        candidates.into_iter().flatten().find(works).expect("Docker Compose; scripts/test installs it")
    })
}

fn which(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Where Docker's plugins are found.
pub fn config_folder() -> PathBuf {
    let home = || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".docker");
    env::var_os("DOCKER_CONFIG").map_or_else(home, PathBuf::from)
}

/// Whether the Compose here is of this version, as in `5.3`, or newer.
pub fn is_at_least(needed: &str) -> bool {
    static VERSION: OnceLock<String> = OnceLock::new();
    let version = VERSION.get_or_init(|| {
        let output = Command::new(program()).args(["compose", "version", "--short"]).output();
        String::from_utf8(output.expect("a version").stdout).expect("UTF-8")
    });
    let numbers = |text: &str| {
        let parts = text.trim().trim_start_matches('v').split('.').take(2);
        parts.map(|part| part.parse::<u32>().unwrap_or_default()).collect::<Vec<_>>()
    };
    numbers(version) >= numbers(needed)
}

/// How a project is asked for: a folder, an environment, Compose's own flags.
pub struct Project<'a> {
    pub folder: &'a Path,
    pub env: &'a [(String, String)],
    pub flags: &'a [String],
}

impl Project<'_> {
    /// The resolved file as Compose prints it; `None` when Compose refuses it.
    pub fn resolved(&self) -> Option<String> {
        self.ask(&["config"])
    }

    /// The resolved file with all services, whatever their profiles; `None` when Compose refuses it.
    pub fn config(&self) -> Option<Value> {
        let mut file: Value = serde_yaml::from_str(&self.ask(&["config"])?).expect("YAML");
        for (_, service) in file["services"].as_mapping_mut().into_iter().flatten() {
            service.as_mapping_mut().expect("a service").remove("profiles");
        }
        Some(file)
    }

    /// Service → hash.
    pub fn hashes(&self) -> BTreeMap<String, String> {
        let text = self.ask(&["config", "--hash", "*"]).unwrap_or_default();
        let pairs = text.lines().filter_map(|line| line.split_once(' '));
        pairs.map(|(name, hash)| (name.to_owned(), hash.trim().to_owned())).collect()
    }

    fn ask(&self, args: &[&str]) -> Option<String> {
        let mut command = Command::new(program());
        command.args(["-l", "error", "compose"]).args(self.flags).args(["--profile", "*"]).args(args);
        command.current_dir(self.folder).env_clear().envs(environment()).envs(self.env.iter().cloned());
        let output = command.output().expect("Compose");
        output.status.success().then(|| String::from_utf8(output.stdout).expect("UTF-8"))
    }
}

/// All that a run gets of this machine's environment.
pub fn environment() -> Vec<(String, String)> {
    let config = config_folder().display().to_string();
    let fixed = [("DOCKER_CONFIG", config.as_str()), ("HOME", "/nowhere"), NO_ENGINE, ("LANG", "C.UTF-8")];
    fixed.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}
