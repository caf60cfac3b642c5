//! `scripts/get`, the installer, with a release on a web server of this machine.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
};

use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/get");
const ARCHIVES: &[&str] = &["docker-zdd-linux-amd64.tar.gz", "docker-zdd-linux-arm64.tar.gz"];

/// A home, and a page of releases.
struct Somebody {
    dir: TempDir,
    releases: String,
}

impl Somebody {
    fn new() -> Somebody {
        let dir = tempfile::Builder::new().prefix("zdd-get-").tempdir().expect("a folder");
        for folder in ["home", "bin", "releases/latest/download"] {
            fs::create_dir_all(dir.path().join(folder)).expect("a folder");
        }
        let releases = serve(dir.path().join("releases"));
        let somebody = Somebody { dir, releases };
        somebody.release("latest/download", "0.2.0", "");
        somebody
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A release of a program that says this version, and then does `more`.
    fn release(&self, folder: &str, version: &str, more: &str) {
        let (content, folder) =
            (self.path(&format!("content-{version}")), self.path("releases").join(folder));
        fs::create_dir_all(content.join("man")).expect("a folder");
        fs::create_dir_all(&folder).expect("a folder");
        executable(&content.join("docker-zdd"), &format!("#!/bin/sh\necho {version}\n{more}\n"));
        for page in ["docker-zdd.1", "docker-zdd-up.1"] {
            fs::write(content.join("man").join(page), "a page").expect("a page");
        }
        for archive in ARCHIVES {
            let path = folder.join(archive);
            sh(&format!("tar -czf {} -C {} .", path.display(), content.display()));
        }
        sh(&format!("cd {} && sha256sum *.tar.gz >SHA256SUMS", folder.display()));
    }

    fn get(&self, args: &[&str]) -> (i32, String) {
        self.get_with("", args)
    }

    /// With these programs of the test's own first on the PATH.
    fn get_with(&self, only: &str, args: &[&str]) -> (i32, String) {
        let mut command = Command::new("/bin/sh");
        command.arg(SCRIPT).args(args).env_clear().env("HOME", self.path("home"));
        let usual = std::env::var("PATH").expect("a PATH");
        let path =
            if only.is_empty() { format!("{}:{usual}", self.path("bin").display()) } else { only.to_owned() };
        command.env("PATH", path).env("ZDD_RELEASES", &self.releases);
        said(&command.output().expect("sh"))
    }

    fn plugin(&self) -> PathBuf {
        self.path("home/.docker/cli-plugins/docker-zdd")
    }

    /// What the plugin that is installed says; nothing when there is none.
    fn installed(&self) -> Option<String> {
        let output = Command::new(self.plugin()).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// All files of the home.
    fn files(&self) -> Vec<String> {
        let output = Command::new("find").arg(self.path("home")).args(["-type", "f"]).output().expect("find");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let home = self.path("home").display().to_string();
        let mut files: Vec<_> = text.lines().map(|line| line.replacen(&home, "~", 1)).collect();
        files.sort();
        files
    }
}

fn executable(path: &Path, text: &str) {
    fs::write(path, text).expect("a program");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is executable");
}

fn sh(script: &str) {
    let status = Command::new("/bin/sh").args(["-ec", script]).status().expect("sh");
    assert!(status.success(), "{script}");
}

fn said(output: &Output) -> (i32, String) {
    let text =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat();
    (output.status.code().unwrap_or(-1), text)
}

/// A web server for the files of a folder, as long as the test runs.
fn serve(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut reader = BufReader::new(stream);
            let head: Vec<_> =
                reader.by_ref().lines().map_while(Result::ok).take_while(|l| !l.is_empty()).collect();
            let path =
                head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or("/").trim_start_matches('/');
            let (status, body) = match fs::read(folder.join(path)) {
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let head =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let mut stream = reader.into_inner();
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    format!("http://{address}")
}

#[test]
fn it_installs_and_updates_and_removes() {
    let somebody = Somebody::new();
    let (code, text) = somebody.get(&[]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("Installed docker zdd 0.2.0 as"), "{text}");
    let files = [
        "~/.docker/cli-plugins/docker-zdd",
        "~/.local/share/man/man1/docker-zdd-up.1",
        "~/.local/share/man/man1/docker-zdd.1",
    ];
    assert_eq!(
        (somebody.installed().as_deref(), somebody.files()),
        (Some("0.2.0"), files.map(str::to_owned).into())
    );
    somebody.release("download/v0.1.0", "0.1.0", "");
    for version in ["0.1.0", "v0.1.0"] {
        let (code, text) = somebody.get(&["--version", version]);
        assert_eq!((code, somebody.installed().as_deref()), (0, Some("0.1.0")), "{text}");
    }
    let (code, text) = somebody.get(&["--uninstall"]);
    assert_eq!((code, somebody.files()), (0, vec![]), "{text}");
    let (code, text) = somebody.get(&["--uninstall"]);
    assert!(code == 0 && text.contains("There is no "), "{text}");
}

/// Makes a release that is not right.
type Spoil<'a> = &'a dyn Fn(&Somebody);

/// Whatever is wrong with a release, the one that was installed stays, and nothing else.
#[test]
fn a_release_that_is_not_right_changes_nothing() {
    let cases: [(&str, &str, Spoil); 4] = [
        ("download/v1", "its checksum is wrong", &|somebody| {
            somebody.release("download/v1", "1", "");
            for archive in ARCHIVES {
                let path = somebody.path("releases/download/v1").join(archive);
                let bytes = fs::read(&path).expect("the archive");
                fs::write(path, [&bytes[..], b"x"].concat()).expect("the archive");
            }
        }),
        ("download/v2", "does not list docker-zdd-linux-", &|somebody| {
            somebody.release("download/v2", "2", "");
            fs::write(somebody.path("releases/download/v2/SHA256SUMS"), "").expect("the list");
        }),
        ("download/v3", "does not run on this machine", &|somebody| {
            somebody.release("download/v3", "3", "exit 1");
        }),
        ("download/v4", "cannot fetch ", &|_| {}),
    ];
    let somebody = Somebody::new();
    let (code, text) = somebody.get(&[]);
    assert_eq!(code, 0, "{text}");
    let files = somebody.files();
    for (folder, message, make) in cases {
        make(&somebody);
        let (code, text) = somebody.get(&["--version", folder.rsplit('v').next().expect("a version")]);
        assert!(code == 1 && text.contains(message), "{folder}: {text}");
        assert_eq!(
            (somebody.installed().as_deref(), somebody.files()),
            (Some("0.2.0"), files.clone()),
            "{folder}"
        );
    }
}

#[test]
fn where_it_cannot_install_it_says_what_to_do() {
    let somebody = Somebody::new();
    for (answer, message) in [
        (
            "-s) echo Linux;; -m) echo riscv64",
            "there is no release for riscv64; build it with scripts/install",
        ),
        (
            "-s) echo SunOS;; -m) echo x86_64",
            "there is no release for SunOS: docker zdd runs on Linux and macOS, and on Windows in WSL",
        ),
        // There is one for it, but not on this server.
        ("-s) echo Darwin;; -m) echo arm64", "docker-zdd-darwin-arm64.tar.gz"),
    ] {
        executable(&somebody.path("bin/uname"), &format!("#!/bin/sh\ncase $1 in {answer};; esac\n"));
        let (code, text) = somebody.get(&[]);
        assert!(code == 1 && text.contains(message), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("get: ")).count(), 1, "{text}");
    }
    let mut alone = Command::new("/bin/sh");
    alone.arg(SCRIPT).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", somebody.path("home"));
    let (code, text) = said(&alone.output().expect("sh"));
    assert!(code == 1 && text.contains("set ZDD_RELEASES"), "{text}");
    assert!(somebody.get(&["--sytem"]).1.contains("unknown argument --sytem"));
    assert_eq!(somebody.files(), Vec::<String>::new());
}

/// A bare machine has one of the two, or none.
#[test]
fn either_program_fetches_it() {
    let somebody = Somebody::new();
    let needed = [
        "sh",
        "uname",
        "mktemp",
        "sed",
        "cut",
        "tar",
        "gzip",
        "sha256sum",
        "dirname",
        "mkdir",
        "cp",
        "mv",
        "rm",
        "chmod",
    ];
    let only = somebody.path("only");
    fs::create_dir(&only).expect("a folder");
    let find = |name: &str| {
        ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(name)).into_iter().find(|p| p.exists())
    };
    for name in needed {
        symlink(find(name).unwrap_or_else(|| panic!("no {name}")), only.join(name)).expect("a link");
    }
    let path = only.display().to_string();
    let (code, text) = somebody.get_with(&path, &[]);
    assert!(code == 1 && text.contains("curl or wget is needed"), "{text}");
    for name in ["curl", "wget"] {
        let Some(program) = find(name) else {
            eprintln!("left out: there is no {name} here");
            continue;
        };
        symlink(program, only.join(name)).expect("a link");
        let (code, text) = somebody.get_with(&path, &[]);
        assert!(code == 0 && somebody.installed().is_some(), "{name}: {text}");
        fs::remove_file(only.join(name)).expect("the link");
    }
}
