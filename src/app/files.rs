//! Finds and reads the compose files as Compose would choose them, only to name lines in messages.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use super::piped::Piped;
use crate::{cli::ComposeFlags, text::place::Files};

/// The names that Compose looks for, the first found wins (Compose 5.6.1).
const NAMES: &[&str] = &["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

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

/// The compose files: named by a flag, by the variable, or found.
pub fn chosen(flags: &ComposeFlags) -> Vec<String> {
    if !flags.files.is_empty() {
        return flags.files.clone();
    }
    if let Ok(list) = env::var("COMPOSE_FILE") {
        let separator = env::var("COMPOSE_PATH_SEPARATOR").unwrap_or_else(|_| ":".to_owned());
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
        let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
        let over = folder.join(format!("{stem}.override.{ending}"));
        let over = Some(over).filter(|path| path.is_file());
        return [Some(folder.join(name)), over].into_iter().flatten().map(shown).collect();
    }
    vec![]
}
