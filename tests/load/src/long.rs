//! Long-lived things: a streamed answer, and an upgraded connection.
//!
//! Both have an `open` that returns once they are under way, so that a test knows when to go on, and then live
//! on a thread of their own until they end.

use std::fmt;
use std::pin::pin;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HOST, UPGRADE};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, interval, sleep, sleep_until, timeout};

use crate::client::{Body, Connection, text};
use crate::failure::chain;
use crate::target::Target;

/// How long nothing at all may arrive before the other side counts as gone.
const SILENCE: Duration = Duration::from_secs(10);
const BYTE_EVERY: Duration = Duration::from_millis(100);
const LAST_CHUNK: &[u8] = b"end\n";

/// A streamed answer under way.
pub struct Stream(Background<StreamResult>);

/// What has become of a streamed answer.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamResult {
    /// How much of the body arrived.
    pub bytes: usize,
    /// The body ended as it should, with `end\n`.
    pub complete: bool,
    /// From the head of the answer to its end.
    pub took: Duration,
    /// Why it was cut, if it was.
    pub error: Option<String>,
    pub replica: Option<String>,
}

/// An upgraded connection under way.
pub struct Echo(Background<EchoResult>);

/// What has become of an upgraded connection.
#[derive(Clone, Debug, PartialEq)]
pub struct EchoResult {
    /// From the upgrade to the end.
    pub lived: Duration,
    /// How many bytes came back.
    pub echoed: usize,
    pub end: EchoEnd,
    pub replica: Option<String>,
}

/// Why an upgraded connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EchoEnd {
    /// The other side closed it in good order.
    Closed,
    /// It broke: the error says how.
    Broken(String),
    /// Nothing came back for 10 s.
    Silent,
    /// It outlived the time that the caller gave it, and was closed from here.
    Outlived,
}

/// Follows a streamed answer to its end. Fails if there is none; one that is cut is a result, not an error.
pub fn stream(url: &str) -> Result<StreamResult> {
    Stream::open(url)?.finish()
}

/// Upgrades a connection to an echo and sends a byte each 100 ms until the other side ends it, or for `max`.
pub fn echo_session(url: &str, max: Duration) -> Result<EchoResult> {
    Echo::open(url, max)?.finish()
}

impl fmt::Display for EchoEnd {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            EchoEnd::Closed => f.write_str("closed in good order"),
            EchoEnd::Broken(error) => write!(f, "broken: {error}"),
            EchoEnd::Silent => write!(f, "silent for {} s", SILENCE.as_secs()),
            EchoEnd::Outlived => f.write_str("it outlived its time"),
        }
    }
}

impl Stream {
    /// Returns when the first part of the body has arrived.
    pub fn open(url: &str) -> Result<Self> {
        let target = Target::parse(url)?;
        Background::start(|open| follow(target, open)).map(Self)
    }

    /// Waits for the end.
    pub fn finish(self) -> Result<StreamResult> {
        self.0.finish()
    }
}

impl Echo {
    /// Returns when the connection is upgraded.
    pub fn open(url: &str, max: Duration) -> Result<Self> {
        let target = Target::parse(url)?;
        Background::start(move |open| echo(target, max, open)).map(Self)
    }

    /// Waits for the end.
    pub fn finish(self) -> Result<EchoResult> {
        self.0.finish()
    }
}

/// Told once that the thing is under way.
type Open = mpsc::SyncSender<()>;

/// Something that runs on a thread of its own.
struct Background<T>(JoinHandle<Result<T>>);

impl<T: Send + 'static> Background<T> {
    fn start<F>(run: impl FnOnce(Open) -> F + Send + 'static) -> Result<Self>
    where
        F: Future<Output = Result<T>>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (open, opened) = mpsc::sync_channel(1);
        let thread = std::thread::spawn(move || runtime.block_on(run(open)));
        match opened.recv() {
            Ok(()) => Ok(Self(thread)),
            Err(_) => bail!(ended_unopened(thread)),
        }
    }

    fn finish(self) -> Result<T> {
        let Ok(result) = self.0.join() else {
            bail!("its thread panicked");
        };
        result
    }
}

fn ended_unopened<T>(thread: JoinHandle<Result<T>>) -> anyhow::Error {
    match thread.join() {
        Ok(Err(error)) => error,
        _ => anyhow!("it ended before it began"),
    }
}

async fn follow(target: Target, open: Open) -> Result<StreamResult> {
    let (_connection, response) = ask(&target, false).await?;
    let begun = Instant::now();
    let status = response.status();
    ensure!(status == StatusCode::OK, "the answer has status {status}");
    let replica = text(response.headers(), "x-replica");
    let mut seen = Seen::default();
    let end = read(response.into_body(), &mut seen, open).await;
    Ok(StreamResult {
        bytes: seen.bytes,
        complete: end.is_ok() && seen.tail == LAST_CHUNK,
        took: begun.elapsed(),
        error: end.err().map(|error| format!("{error:#}")),
        replica,
    })
}

/// What has arrived of a body.
#[derive(Default)]
struct Seen {
    bytes: usize,
    /// The last four bytes.
    tail: Vec<u8>,
}

impl Seen {
    fn add(&mut self, data: &[u8]) {
        self.bytes += data.len();
        self.tail.extend_from_slice(data);
        let excess = self.tail.len().saturating_sub(LAST_CHUNK.len());
        self.tail.drain(..excess);
    }
}

async fn read(mut body: Incoming, seen: &mut Seen, open: Open) -> Result<()> {
    loop {
        let frame = timeout(SILENCE, body.frame()).await;
        let Some(frame) = frame.context("nothing arrived for 10 s")? else {
            return Ok(());
        };
        seen.add(frame?.data_ref().map_or(&[], |data| data));
        // Only the first one has an effect, and whether anybody listens does not matter.
        let _ = open.try_send(());
    }
}

async fn echo(target: Target, max: Duration, open: Open) -> Result<EchoResult> {
    let (_connection, response) = ask(&target, true).await?;
    let status = response.status();
    ensure!(status == StatusCode::SWITCHING_PROTOCOLS, "no upgrade: the answer has status {status}");
    let replica = text(response.headers(), "x-replica");
    let upgraded = hyper::upgrade::on(response).await?;
    let _ = open.try_send(());
    let begun = Instant::now();
    let (echoed, end) = exchange(TokioIo::new(upgraded), max).await;
    Ok(EchoResult { lived: begun.elapsed(), echoed, end, replica })
}

async fn exchange(upgraded: impl AsyncReadExt + AsyncWriteExt, max: Duration) -> (usize, EchoEnd) {
    let (mut reader, mut writer) = tokio::io::split(upgraded);
    let mut ticks = interval(BYTE_EVERY);
    let mut outlived = pin!(sleep(max));
    let (mut echoed, mut heard) = (0, Instant::now());
    let mut buffer = [0; 64];
    let end = loop {
        tokio::select! {
            _ = ticks.tick() => if let Err(error) = writer.write_all(b"x").await {
                break EchoEnd::Broken(chain(&error));
            },
            read = reader.read(&mut buffer) => match read {
                Ok(0) => break EchoEnd::Closed,
                Ok(count) => (echoed, heard) = (echoed + count, Instant::now()),
                Err(error) => break EchoEnd::Broken(chain(&error)),
            },
            () = sleep_until(heard + SILENCE) => break EchoEnd::Silent,
            () = outlived.as_mut() => break EchoEnd::Outlived,
        }
    };
    (echoed, end)
}

/// Sends a GET on a connection of its own, which lives as long as what is returned.
async fn ask(target: &Target, upgrade: bool) -> Result<(Connection, Response<Incoming>)> {
    let mut request = Request::get(&target.path).header(HOST, &target.host);
    if upgrade {
        request = request.header(CONNECTION, "upgrade").header(UPGRADE, "echo");
    }
    let request = request.body(Body::default())?;
    let answer = async {
        let mut connection =
            Connection::open(target).await.map_err(|failure| anyhow!("cannot connect: {}", failure.text))?;
        let response = connection.sender.send_request(request).await?;
        Ok((connection, response))
    };
    timeout(SILENCE, answer).await.context("no answer for 10 s")?
}
