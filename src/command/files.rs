//! Finds and reads the compose files as Compose would choose them, only to name lines in messages.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::{cli::ComposeFlags, place::Files};

/// The names that Compose looks for, the first found wins (Compose 5.6.1).
const NAMES: &[&str] = &["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

const STDIN: &str = "standard input";

/// Each file's name as the user would type it, and its text. Whatever cannot be read is left out.
pub fn read(flags: &ComposeFlags, stdin: Option<&[u8]>) -> Vec<(String, String)> {
    let one = |name: String| match name.as_str() {
        "-" => Some((STDIN.to_owned(), String::from_utf8_lossy(stdin?).into_owned())),
        // A pipe can be read once only, and Compose needs it.
        _ if !Path::new(&name).is_file() => None,
        _ => fs::read_to_string(&name).ok().map(|text| (name, text)),
    };
    chosen(flags).into_iter().filter_map(one).collect()
}

/// What came on standard input is as it was.
pub fn read_again(flags: &ComposeFlags, before: &Files) -> Files {
    let stdin = before.0.iter().find(|(name, _)| name == STDIN);
    Files(read(flags, stdin.map(|(_, text)| text.as_bytes())))
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

fn chosen(flags: &ComposeFlags) -> Vec<String> {
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
