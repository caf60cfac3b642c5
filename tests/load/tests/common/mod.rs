//! A server that misbehaves as told, and counts what reaches it.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::Duration;

use http_body_util::channel::Channel;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::sleep;

/// What to do with one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Do {
    /// Answer with this version.
    Answer(&'static str),
    /// The same, after a time in ms.
    Slow(u64),
    Status(u16),
    /// Close the connection without an answer.
    Eof,
    /// Reset the connection without an answer.
    Reset,
    /// Close the connection in the middle of the body.
    Cut,
    /// Never answer.
    Hang,
    /// Answer as if the connection were to stay, then close it.
    CloseIdle,
}

/// Longer than it takes to write an answer, shorter than the pause of a slow client.
const IDLE: Duration = Duration::from_millis(20);

type Script = dyn Fn(usize) -> Do + Send + Sync;
type Body = Either<Full<Bytes>, Channel<Bytes, std::io::Error>>;

struct State {
    script: Box<Script>,
    requests: AtomicUsize,
    connections: AtomicUsize,
}

/// Lives until the test process ends.
pub struct Server {
    pub url: String,
    state: Arc<State>,
}

impl Server {
    /// Does with request number n, from 0, what the script says.
    pub fn start(script: impl Fn(usize) -> Do + Send + Sync + 'static) -> Self {
        let state = Arc::new(State {
            script: Box::new(script),
            requests: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
        });
        let (port, ports) = mpsc::channel();
        let for_thread = state.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(listen(for_thread, port));
        });
        let url = format!("http://127.0.0.1:{}/", ports.recv().unwrap());
        Self { url, state }
    }

    /// How many requests have reached it.
    pub fn requests(&self) -> usize {
        self.state.requests.load(SeqCst)
    }

    pub fn connections(&self) -> usize {
        self.state.connections.load(SeqCst)
    }
}

async fn listen(state: Arc<State>, port: mpsc::Sender<u16>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    port.send(listener.local_addr().unwrap().port()).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        state.connections.fetch_add(1, SeqCst);
        tokio::spawn(connection(state.clone(), stream));
    }
}

/// What a request asks of its connection.
#[derive(Default)]
struct Wish {
    reset: AtomicBool,
    close: Notify,
}

async fn connection(state: Arc<State>, stream: TcpStream) {
    let wish = Arc::new(Wish::default());
    let service = service_fn(|request| answer(state.clone(), wish.clone(), request));
    let mut serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let close = async {
        wish.close.notified().await;
        sleep(IDLE).await;
    };
    tokio::select! {
        _ = &mut serving => {}
        () = close => {
            std::pin::Pin::new(&mut serving).graceful_shutdown();
            let _ = (&mut serving).await;
        }
    }
    if wish.reset.load(SeqCst) {
        let stream = serving.into_parts().io.into_inner();
        stream.set_zero_linger().unwrap();
    }
}

async fn answer(
    state: Arc<State>,
    wish: Arc<Wish>,
    request: Request<Incoming>,
) -> Result<Response<Body>, std::io::Error> {
    let length = request.into_body().collect().await.unwrap().to_bytes().len();
    let number = state.requests.fetch_add(1, SeqCst);
    match (state.script)(number) {
        Do::Answer(version) => return Ok(good(version, length)),
        Do::Slow(ms) => {
            sleep(Duration::from_millis(ms)).await;
            return Ok(good("1", length));
        }
        Do::Status(status) => {
            let mut answer = good("1", length);
            *answer.status_mut() = status.try_into().unwrap();
            return Ok(answer);
        }
        Do::CloseIdle => {
            wish.close.notify_one();
            return Ok(good("1", length));
        }
        Do::Cut => return Ok(cut()),
        Do::Hang => pending().await,
        Do::Reset => wish.reset.store(true, SeqCst),
        Do::Eof => {}
    }
    Err(std::io::Error::other("no answer"))
}

/// The replica tells how long the body was that arrived.
fn good(version: &str, length: usize) -> Response<Body> {
    Response::builder()
        .header("x-version", version)
        .header("x-replica", format!("got-{length}"))
        .body(Either::Left(Full::from("all\nend\n")))
        .unwrap()
}

fn cut() -> Response<Body> {
    let (mut sender, body) = Channel::new(1);
    tokio::spawn(async move {
        sender.send_data(Bytes::from("half")).await.unwrap();
        // Only once the half is on its way, so that head and half arrive.
        sleep(IDLE).await;
        sender.abort(std::io::Error::other("cut"));
    });
    Response::builder()
        .header("x-version", "1")
        .header("x-replica", "cutter")
        .body(Either::Right(body))
        .unwrap()
}
