//! `x-zdd` at the top of files that are included: Compose leaves it out of what it prints (5.6.1), so it is read here.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{project::Included, text::place::Files};

/// Deeper ones would include each other.
const DEEPEST: usize = 8;

/// What these files include, those in which something stands for their own services.
pub fn read(files: &Files) -> Vec<Included> {
    let mut found = Vec::new();
    for (name, text) in &files.0 {
        follow(Path::new(name), text, 0, &mut found);
    }
    found
}

fn follow(file: &Path, text: &str, depth: usize, found: &mut Vec<Included>) {
    if !text.contains("include") || depth == DEEPEST {
        return;
    }
    let Ok(value) = serde_yaml::from_str::<Value>(text) else { return };
    for path in value["include"].as_array().into_iter().flatten().flat_map(paths) {
        let path = file.parent().unwrap_or(Path::new("")).join(path);
        // What comes from elsewhere, or by a variable, is Compose's affair.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        found.extend(one(&path, &text));
        follow(&path, &text, depth + 1, found);
    }
}

/// `- a.yaml`, `- path: a.yaml`, `- path: [a.yaml, b.yaml]`.
fn paths(entry: &Value) -> Vec<PathBuf> {
    let path = entry.get("path").unwrap_or(entry);
    let several = path.as_array().into_iter().flatten();
    several.chain([path]).filter_map(|path| path.as_str().map(PathBuf::from)).collect()
}

fn one(path: &Path, text: &str) -> Option<Included> {
    if !text.contains("x-zdd") {
        return None;
    }
    let value: Value = serde_yaml::from_str(text).ok()?;
    let x_zdd = value.get("x-zdd").filter(|value| !value.is_null())?.clone();
    let services = value["services"].as_object().into_iter().flatten().map(|(name, _)| name.clone());
    Some(Included { file: path.display().to_string(), services: services.collect(), x_zdd })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_included_is_found_in_every_form() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
        write("a.yaml", "x-zdd: {delay: 1s}\nservices: {a: {image: a}, b: {image: b}}\ninclude: [deep.yaml]");
        write("deep.yaml", "x-zdd: {delay: 2s}\nservices: {deep: {image: a}}\ninclude: [a.yaml]");
        write("plain.yaml", "services: {c: {image: c, x-zdd: {delay: 3s}}}");
        let main = folder.path().join("compose.yaml").display().to_string();
        let found = |include: &str| {
            let text = format!("include: {include}\nservices: {{}}\n");
            let found = read(&Files(vec![(main.clone(), text)]));
            let mut names: Vec<_> =
                found.into_iter().map(|one| one.services.into_iter().collect::<Vec<_>>()).collect();
            names.sort();
            names.dedup();
            names
        };
        let both = [vec!["a".to_owned(), "b".to_owned()], vec!["deep".to_owned()]];
        assert_eq!(found("[a.yaml]"), both);
        assert_eq!(found("[{path: [plain.yaml, a.yaml]}]"), both);
        assert_eq!(found("[plain.yaml, '${ELSEWHERE}.yaml', 'oci://registry/shop']"), [[""; 0]; 0]);
    }
}
