//! `scripts/install`, with a home of its own.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

struct Home(TempDir);

impl Home {
    fn new() -> Home {
        Home(TempDir::new().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// What a user types, in this home, with nothing of the one that runs the tests.
    fn run(&self, program: &str, args: &[&str], env: &[(&str, &Path)]) -> Output {
        let mut command = Command::new(program);
        for name in ["DOCKER_CONFIG", "XDG_DATA_HOME"] {
            command.env_remove(name);
        }
        command.args(args).current_dir(self.path()).env("HOME", self.path()).envs(env.iter().copied());
        command.output().unwrap()
    }

    /// The build of these tests stands in for that of the script, which takes minutes.
    fn install(&self, args: &[&str], env: &[(&str, &Path)]) -> String {
        let binary = ("ZDD_BINARY", Path::new(env!("CARGO_BIN_EXE_docker-zdd")));
        let output = self.run(&format!("{ROOT}/scripts/install"), args, &[env, &[binary]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {said}");
        said
    }

    /// All files, however deep, by their paths from here.
    fn files(&self) -> BTreeSet<PathBuf> {
        let (mut files, mut folders) = (BTreeSet::new(), vec![self.path().to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
                match entry.file_type().unwrap().is_dir() {
                    true => folders.push(entry.path()),
                    false => drop(files.insert(entry.path().strip_prefix(self.path()).unwrap().to_owned())),
                }
            }
        }
        files
    }

    fn write(&self, name: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "somebody else's\n").unwrap();
    }
}

fn installed_and_removed(plugins: &str, man: &str, env: &[(&str, &Path)], home: &Home) {
    home.write(&format!("{plugins}/docker-other"));
    home.write(&format!("{man}/other.1"));
    let before = home.files();

    let said = home.install(&[], env);

    let plugin = format!("{plugins}/docker-zdd");
    assert!(said.contains(&format!("Installed {}", home.path().join(&plugin).display())), "{said}");
    let mode = fs::metadata(home.path().join(&plugin)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    let answer = home.run("docker", &["zdd", "version"], env);
    let version = String::from_utf8_lossy(&answer.stdout).into_owned();
    assert!(version.contains(&format!("v{}", env!("CARGO_PKG_VERSION"))), "{answer:?}");
    let new: BTreeSet<_> = home.files().difference(&before).cloned().collect();
    let pages =
        ["docker-zdd.1", "docker-zdd-up.1", "docker-zdd-rollback.1"].map(|page| format!("{man}/{page}"));
    for file in pages.iter().chain([&plugin]) {
        assert!(new.contains(Path::new(file)), "no {file}: {new:?}");
    }
    let ours = |file: &PathBuf| *file == Path::new(&plugin) || file.starts_with(man);
    assert!(new.iter().all(ours), "{new:?}");

    home.install(&[], env); // over itself
    assert_eq!(home.files().difference(&before).cloned().collect::<BTreeSet<_>>(), new);

    let said = home.install(&["--uninstall"], env);
    assert!(said.contains("Removed "), "{said}");
    assert_eq!(home.files(), before);
    let said = home.install(&["--uninstall"], env);
    assert!(said.contains("There is no "), "{said}");
}

#[test]
fn a_user_installs_and_uninstalls() {
    let home = Home::new();
    installed_and_removed(".docker/cli-plugins", ".local/share/man/man1", &[], &home);
}

#[test]
fn folders_that_the_user_has_named_are_used() {
    let home = Home::new();
    let (config, data) = (home.path().join("its config"), home.path().join("data"));
    let env = [("DOCKER_CONFIG", config.as_path()), ("XDG_DATA_HOME", data.as_path())];
    installed_and_removed("its config/cli-plugins", "data/man/man1", &env, &home);
}
