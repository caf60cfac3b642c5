//! The engine's socket with a switch in it: to a client it is as if the engine went away and came back.

use std::{
    env, fs,
    io::{self, copy},
    net::{Shutdown, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use tempfile::TempDir;

pub struct Relay {
    root: TempDir,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_cut: AtomicBool,
    /// Both ends of every connection so far.
    streams: Mutex<Vec<UnixStream>>,
}

impl Relay {
    /// In front of the engine that the tests use.
    pub fn start() -> Relay {
        let root = tempfile::Builder::new().prefix("zddtest-relay-").tempdir().unwrap();
        let listener = UnixListener::bind(root.path().join("docker.sock")).unwrap();
        let shared = Arc::new(Shared::default());
        let for_thread = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                for_thread.serve(client);
            }
        });
        Relay { root, shared }
    }

    /// For `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.root.path().join("docker.sock").display())
    }

    /// Ends every connection and accepts no other.
    pub fn cut(&self) {
        self.shared.is_cut.store(true, Ordering::SeqCst);
        for stream in self.shared.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    pub fn repair(&self) {
        self.shared.is_cut.store(false, Ordering::SeqCst);
    }
}

impl Shared {
    fn serve(&self, client: UnixStream) {
        let mut streams = self.streams.lock().unwrap();
        if self.is_cut.load(Ordering::SeqCst) {
            return;
        }
        let engine = UnixStream::connect(socket()).unwrap();
        streams.extend([client.try_clone().unwrap(), engine.try_clone().unwrap()]);
        pass(client.try_clone().unwrap(), engine.try_clone().unwrap());
        pass(engine, client);
    }
}

/// What can be written to until it is told that no more comes.
pub trait End: io::Write + Send + 'static {
    fn end(&self);
}

impl End for UnixStream {
    fn end(&self) {
        let _ = self.shutdown(Shutdown::Write);
    }
}

impl End for TcpStream {
    fn end(&self) {
        let _ = self.shutdown(Shutdown::Write);
    }
}

pub fn pass(mut from: impl io::Read + Send + 'static, mut to: impl End) {
    thread::spawn(move || {
        let _ = copy(&mut from, &mut to);
        to.end();
    });
}

/// The engine that the tests use.
pub fn socket() -> PathBuf {
    let host = env::var("DOCKER_HOST").unwrap_or_default();
    let path = PathBuf::from(host.strip_prefix("unix://").unwrap_or("/var/run/docker.sock"));
    fs::canonicalize(&path).unwrap_or(path)
}
