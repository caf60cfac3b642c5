//! Finds and reads the compose files as Compose would choose them, only to name lines in messages.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use super::piped::Piped;
use crate::{cli::ComposeFlags, text::place::Files};

/// The names that Compose looks for, the first found wins (Compose 5.6.1).
const NAMES: &[&str] = &["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

/// And for one that is laid over it, whatever the other is called; the first found wins (Compose 5.6.1).
const OVERRIDES: &[&str] = &[
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

pub const STDIN: &str = "standard input";

/// Each file's name as the user would type it, and its text. Whatever cannot be read is left out; what came from a pipe
/// is as it was.
pub fn read(flags: &ComposeFlags, piped: Option<&Piped>) -> Files {
    let one = |name: String| match name.as_str() {
        "-" => {
            let Piped { name, text } = piped?;
            let name = if name == "-" { STDIN } else { name };
            Some((name.to_owned(), String::from_utf8_lossy(text).into_owned()))
        }
        _ if !Path::new(&name).is_file() => None,
        _ => fs::read_to_string(&name).ok().map(|text| (name, text)),
    };
    Files(chosen(flags).into_iter().filter_map(one).collect())
}

/// The folder of the project, as Compose finds it. `None` when the file comes on standard input.
pub fn folder(flags: &ComposeFlags) -> Option<PathBuf> {
    let first = chosen(flags).into_iter().next()?;
    let folder = match &flags.project_directory {
        Some(folder) => PathBuf::from(folder),
        None if first == "-" => return None,
        None => Path::new(&first).parent()?.to_owned(),
    };
    // Joined with an empty path, a folder would end with a slash.
    Some(env::current_dir().ok()?.join(folder).components().collect())
}

/// The files of variables for the compose files, where they are named.
pub fn of_variables(flags: &ComposeFlags) -> Vec<String> {
    if !flags.env_files.is_empty() {
        return flags.env_files.clone();
    }
    env::var("COMPOSE_ENV_FILES").unwrap_or_default().split(',').map(str::to_owned).collect()
}

/// Whether somebody names the files, so that none is found by its name.
pub fn are_named(flags: &ComposeFlags) -> bool {
    !flags.files.is_empty() || variable(flags, "COMPOSE_FILE").is_some()
}

/// Whether some of it may come by git or from a registry. Compose keeps that in a folder which it makes before it fills it
/// (5.6.1), so that another one at the same time would find nothing there.
pub fn may_be_fetched(flags: &ComposeFlags, files: &Files) -> bool {
    let is_far = |text: &str| text.contains("://") || text.contains("git@");
    let refers = |text: &str| ["include:", "extends:"].iter().any(|key| text.contains(key));
    chosen(flags).iter().any(|name| is_far(name))
        || files.0.iter().any(|(_, text)| refers(text) && is_far(text))
}

/// The first of the files in this folder that Compose lays over another by itself.
pub fn override_in(folder: &Path) -> Option<PathBuf> {
    OVERRIDES.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}

/// Of the environment, else of the project's `.env`.
fn variable(flags: &ComposeFlags, key: &str) -> Option<String> {
    let folder = flags.project_directory.as_deref().unwrap_or_default();
    let written = || {
        let text = fs::read_to_string(Path::new(folder).join(".env")).ok()?;
        let value = |line: &str| Some(line.trim().strip_prefix(key)?.strip_prefix('=')?.trim().to_owned());
        text.lines().rev().find_map(value)
    };
    let value = env::var(key).ok().or_else(written)?;
    Some(value.trim_matches(['"', '\'']).to_owned()).filter(|value| !value.is_empty())
}

/// The compose files: named by a flag, by the variable, or found.
pub fn chosen(flags: &ComposeFlags) -> Vec<String> {
    if !flags.files.is_empty() {
        return flags.files.clone();
    }
    if let Some(list) = variable(flags, "COMPOSE_FILE") {
        let separator = variable(flags, "COMPOSE_PATH_SEPARATOR").unwrap_or_else(|| ":".to_owned());
        return list.split(&separator).map(str::to_owned).collect();
    }
    let start = flags.project_directory.as_ref().map(PathBuf::from).or_else(|| env::current_dir().ok());
    start.map(|start| found_from(&start)).unwrap_or_default()
}

/// The file of the nearest folder that has one, and its override.
fn found_from(start: &Path) -> Vec<String> {
    let here = env::current_dir().unwrap_or_default();
    let shown = |path: PathBuf| path.strip_prefix(&here).unwrap_or(&path).display().to_string();
    for folder in start.ancestors() {
        let Some(name) = NAMES.iter().find(|name| folder.join(name).is_file()) else { continue };
        return [Some(folder.join(name)), override_in(folder)].into_iter().flatten().map(shown).collect();
    }
    vec![]
}
