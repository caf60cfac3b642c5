//! The fake's folder: the world under a lock, the log of calls, the news for `docker events`.

use std::{
    env,
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process,
};

use crate::world::{Entry, World};

pub struct Host {
    dir: PathBuf,
}

impl Host {
    pub fn open() -> Host {
        let dir =
            env::var_os("FAKE_DOCKER_DIR").expect("FAKE_DOCKER_DIR names the folder of the fake engine");
        Host { dir: dir.into() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Reads the world, lets `edit` change it, and writes it, while nobody else may.
    pub fn change<T>(&self, edit: impl FnOnce(&mut World) -> T) -> T {
        self.change_and_then(edit, |_| {})
    }

    /// The same, with something more to do before others may.
    pub fn change_and_then<T>(&self, edit: impl FnOnce(&mut World) -> T, then: impl FnOnce(&T)) -> T {
        let lock = File::create(self.path("lock")).expect("the lock file");
        lock.lock().expect("the lock");
        let text = fs::read_to_string(self.path("world.json")).expect("the world");
        let mut world: World = serde_json::from_str(&text).expect("a world");
        let result = edit(&mut world);
        world.count_serving();
        self.append("events", &world.news.drain(..).map(|line| line + "\n").collect::<String>());
        let changed = serde_json::to_string(&world).expect("JSON");
        if changed != text {
            self.replace(&changed);
        }
        then(&result);
        result
    }

    /// A rename: who reads without the lock, or is killed here, sees the old world or the new one.
    fn replace(&self, world: &str) {
        fs::write(self.path("world.next"), world).expect("the next world");
        fs::rename(self.path("world.next"), self.path("world.json")).expect("the new world");
    }

    pub fn begin(&self, line: &str) {
        let argv = env::args().collect();
        self.log(&Entry::Begin { pid: process::id(), line: line.to_owned(), argv });
        fs::write(self.alive(), line).expect("a file that says what runs");
    }

    pub fn end(&self, code: i32) {
        self.log(&Entry::End { pid: process::id(), code });
        let _ = fs::remove_file(self.alive());
    }

    /// Says that a call is one that no careful program would make. The test fails by it.
    pub fn object(&self, line: &str, objection: &str) {
        self.append("objections", &format!("{objection}: {line}\n"));
    }

    /// The test has let held calls go on.
    pub fn is_released(&self) -> bool {
        self.path("released").exists()
    }

    /// A held call has been carried out.
    pub fn say_done(&self) {
        fs::write(self.path("done"), "").expect("a file");
    }

    /// The test is not over.
    pub fn exists(&self) -> bool {
        self.path("world.json").exists()
    }

    fn log(&self, entry: &Entry) {
        self.append("calls", &(serde_json::to_string(entry).expect("JSON") + "\n"));
    }

    fn alive(&self) -> PathBuf {
        self.path("alive").join(process::id().to_string())
    }

    fn append(&self, name: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        append(&self.path(name), text);
    }
}

fn append(path: &Path, text: &str) {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).expect("a file to append to");
}
