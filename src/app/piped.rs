//! A compose file that comes from a pipe (`-f -`, `-f /dev/stdin`, `-f <(sops -d …)`) can be read once, and Compose is
//! called more than once: it is read here, and every call gets it on standard input.

use std::{
    fs,
    io::{self, Read, stdin},
    path::Path,
};

use super::files;
use crate::{cli::ComposeFlags, exit::Stop, text::join};

/// What was read.
pub struct Piped {
    /// As it was typed.
    pub name: String,
    pub text: Vec<u8>,
}

/// Reads the file that comes from a pipe, if one does, and puts standard input into its place.
///
/// # Errors
/// It cannot be read, or two come from pipes, or a file of variables does.
pub fn take(flags: &mut ComposeFlags) -> Result<Option<Piped>, Stop> {
    if let Some(name) = files::of_variables(flags).into_iter().find(|name| is_read_once(name)) {
        return Err(Stop::error(format!(
            "the variables in {name} come from a pipe, which can be read only once, and Compose is called more than \
             once; write them to a file, or set them in the environment"
        )));
    }
    let chosen = files::chosen(flags);
    let piped: Vec<_> = chosen.iter().filter(|name| is_read_once(name)).cloned().collect();
    let name = match piped.as_slice() {
        [] => return Ok(None),
        [name] => name.clone(),
        more => {
            return Err(Stop::error(format!(
                "{} come from pipes, and only one compose file can be handed to Compose on standard input; write the \
                 other to a file",
                join(more)
            )));
        }
    };
    let text = read(&name).map_err(|error| {
        let shown = if name == "-" { files::STDIN } else { &name };
        Stop::error(format!("cannot read the compose file from {shown}: {error}"))
    })?;
    hand_over(flags, &chosen, &name);
    Ok(Some(Piped { name, text }))
}

/// Writes `-` for the file. Compose takes the folder of the first file for the project's, which stays the one that was
/// typed.
fn hand_over(flags: &mut ComposeFlags, chosen: &[String], name: &str) {
    if name == "-" {
        return;
    }
    let folder = Path::new(name).parent().filter(|_| chosen.first().is_some_and(|first| first == name));
    let folder = folder.map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    if flags.project_directory.is_none() {
        flags.project_directory = folder.map(|folder| folder.display().to_string());
    }
    flags.files = chosen.iter().map(|file| if file == name { "-" } else { file }.to_owned()).collect();
}

/// A pipe, or this program's standard input, which no call of Compose inherits.
fn is_read_once(name: &str) -> bool {
    is_stdin(name) || fs::metadata(name).is_ok_and(|data| !data.is_file() && !data.is_dir())
}

fn is_stdin(name: &str) -> bool {
    matches!(name, "-" | "/dev/stdin" | "/dev/fd/0" | "/proc/self/fd/0")
}

fn read(name: &str) -> io::Result<Vec<u8>> {
    if !is_stdin(name) {
        return fs::read(name);
    }
    let mut text = Vec::new();
    stdin().read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files and the project's folder, when this one comes from a pipe.
    fn handed_over(files: &[&str], folder: Option<&str>, name: &str) -> (Vec<String>, Option<String>) {
        let files: Vec<_> = files.iter().map(|file| file.to_string()).collect();
        let project_directory = folder.map(str::to_owned);
        let mut flags = ComposeFlags { files: files.clone(), project_directory, ..ComposeFlags::default() };
        hand_over(&mut flags, &files, name);
        (flags.files, flags.project_directory)
    }

    #[test]
    fn the_project_stays_the_one_that_compose_would_take() {
        for (files, folder, name, expected) in [
            (&["-"][..], None, "-", (&["-"][..], None)),
            (&["/dev/fd/63"], None, "/dev/fd/63", (&["-"], Some("/dev/fd"))),
            (&["fifo"], None, "fifo", (&["-"], Some("."))),
            (&["/dev/fd/63"], Some("/srv"), "/dev/fd/63", (&["-"], Some("/srv"))),
            (&["a.yaml", "/dev/fd/63"], None, "/dev/fd/63", (&["a.yaml", "-"], None)),
            (&["/dev/stdin", "a.yaml"], None, "/dev/stdin", (&["-", "a.yaml"], Some("/dev"))),
        ] {
            let (files, folder) = handed_over(files, folder, name);
            assert_eq!(
                (files.iter().map(String::as_str).collect::<Vec<_>>(), folder.as_deref()),
                (expected.0.to_vec(), expected.1)
            );
        }
    }
}
