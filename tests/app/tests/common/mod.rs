//! A server under test, as a process of its own, and a client that sees everything of an answer.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::process::Stdio;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::HeaderMap;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{sleep, timeout};

const LONG: Duration = Duration::from_secs(20);

/// The command, with nothing of the test's own environment that concerns it.
pub fn command(env: &[(&str, &str)], args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zdd-app"));
    let inherited = std::env::vars().filter(|(name, _)| name.starts_with("APP_"));
    inherited.for_each(|(name, _)| _ = command.env_remove(name));
    command.args(args).env("APP_PORT", "0");
    command.envs(env.iter().copied()).kill_on_drop(true);
    command
}

/// Waits until the process has a handler for this signal. One that arrives in that very moment may still be
/// lost, so ask for the handler that is installed after the one that the test needs.
pub async fn handles(pid: Pid, signal: Signal) {
    let path = format!("/proc/{}/status", pid.as_raw_nonzero());
    let handled = async {
        loop {
            let status = std::fs::read_to_string(&path).unwrap();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
            if caught & (1 << (signal.as_raw() - 1)) != 0 {
                return;
            }
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(LONG, handled).await.unwrap();
}

/// Runs a tool to its end; its exit code and what it said on stdout.
pub async fn tool(env: &[(&str, &str)], args: &[&str]) -> (i32, String) {
    let output = timeout(LONG, command(env, args).output()).await;
    let output = output.unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), text)
}

pub struct Served {
    pub port: u16,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Served {
    /// Returns once it listens.
    pub async fn start(env: &[(&str, &str)]) -> Self {
        let mut served = Self::spawn(env);
        let line = served.wait_line("listening on :").await;
        let port = line.split([':', ' ']).find_map(|word| word.parse().ok());
        served.port = port.unwrap();
        served
    }

    /// Does not wait for anything; there is no port yet.
    pub fn spawn(env: &[(&str, &str)]) -> Self {
        let mut child = command(env, &[]).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { port: 0, child, lines }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The port as the environment of a tool.
    pub fn port_text(&self) -> String {
        self.port.to_string()
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().unwrap() as i32).unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits until a line of its log contains this text.
    pub async fn wait_line(&mut self, text: &str) -> String {
        loop {
            let line = timeout(LONG, self.lines.next_line()).await;
            let line = line.expect(text).unwrap().expect(text);
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Waits for its end; nothing if a signal killed it.
    pub async fn exit_code(mut self) -> Option<i32> {
        let status = timeout(LONG, self.child.wait()).await;
        status.unwrap().unwrap().code()
    }

    pub async fn client(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Client(sender)
    }

    /// One answer, on a connection of its own.
    pub async fn get(&self, path: &str) -> Answer {
        self.client().await.get(path).await
    }

    /// Waits until `/health` has this status.
    pub async fn wait_health(&self, status: u16) -> Answer {
        let asking = async {
            loop {
                let answer = self.get("/health").await;
                if answer.status == status {
                    return answer;
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LONG, asking).await.unwrap()
    }

    pub async fn refuses_connections(&self) -> bool {
        TcpStream::connect(("127.0.0.1", self.port)).await.is_err()
    }
}

/// A connection that is kept.
pub struct Client(SendRequest<Full<Bytes>>);

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Client {
    pub async fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, "").await.unwrap()
    }

    pub async fn send(&mut self, method: &str, path: &str, body: &str) -> hyper::Result<Answer> {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("host", "test");
        let request = request.body(Full::from(body.to_owned())).unwrap();
        let answer = timeout(LONG, self.0.send_request(request)).await;
        whole(answer.unwrap()?).await
    }

    /// Waits until the server has closed the connection.
    pub async fn closed(&mut self) {
        let closed = async { while self.0.ready().await.is_ok() && !self.pause().await {} };
        timeout(LONG, closed).await.unwrap();
    }

    async fn pause(&self) -> bool {
        sleep(Duration::from_millis(10)).await;
        self.0.is_closed()
    }
}

async fn whole(answer: Response<Incoming>) -> hyper::Result<Answer> {
    let (head, body) = answer.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Answer {
        status: head.status.as_u16(),
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    })
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}
