//! One virtual user: at most one connection, one request at a time, each tried once.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::timeout;

use crate::failure::Failure;
use crate::load::Method;
use crate::sample::{FailureKind, Outcome};
use crate::target::Target;

pub type Body = Full<Bytes>;

/// What every request of a load has in common.
pub struct Plan {
    pub target: Target,
    pub method: Method,
    pub keep_alive: bool,
    pub timeout: Duration,
}

impl Plan {
    fn request(&self) -> Request<Body> {
        let builder = Request::builder().uri(&self.target.path).header(HOST, &self.target.host);
        let builder = match self.keep_alive {
            true => builder,
            false => builder.header(CONNECTION, "close"),
        };
        let request = match self.method {
            Method::Get => builder.method("GET").body(Body::default()),
            Method::Post { body_bytes } => builder.method("POST").body(vec![b'x'; body_bytes].into()),
        };
        request.expect("path and host come from a URL that was parsed")
    }
}

/// A connection and the task that moves its bytes.
pub struct Connection {
    pub sender: SendRequest<Body>,
    task: JoinHandle<()>,
}

impl Connection {
    pub async fn open(target: &Target) -> Result<Self, Failure> {
        let stream = target.connect().await.map_err(|error| Failure::connect(&error))?;
        let _ = stream.set_nodelay(true);
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|error| Failure::unused(&error))?;
        let task = tokio::spawn(async move {
            // Its error reaches the request that it concerns.
            let _ = connection.with_upgrades().await;
        });
        Ok(Self { sender, task })
    }

    /// False once the server has closed it. The pause makes the runtime look at the sockets first, so that a
    /// close which has already arrived is seen; without it a busy worker would learn of it too late.
    async fn is_usable(&mut self) -> bool {
        yield_now().await;
        self.sender.ready().await.is_ok()
    }
}

impl Drop for Connection {
    /// A connection that is not used again is closed now, not when the server gets around to it.
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How far the current request has come, for the text of a timeout and the replica of a failure.
#[derive(Default)]
struct Progress {
    stage: Stage,
    version: Option<String>,
    replica: Option<String>,
}

#[derive(Clone, Copy, Default)]
enum Stage {
    #[default]
    Connecting,
    Waiting,
    Reading,
}

impl Progress {
    fn heard(&mut self, headers: &HeaderMap) {
        self.stage = Stage::Reading;
        self.version = text(headers, "x-version");
        self.replica = text(headers, "x-replica");
    }
}

/// A header as text.
pub fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let value: &HeaderValue = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

pub struct Client {
    plan: Arc<Plan>,
    connection: Option<Connection>,
    progress: Progress,
}

impl Client {
    pub fn new(plan: Arc<Plan>) -> Self {
        Self { plan, connection: None, progress: Progress::default() }
    }

    /// Tries one request, once.
    pub async fn request(&mut self) -> Outcome {
        self.progress = Progress::default();
        let result = timeout(self.plan.timeout, self.exchange()).await;
        match result.unwrap_or_else(|_| Err(self.timed_out())) {
            Ok(status) => self.answered(status),
            Err(failure) => self.failed(failure),
        }
    }

    /// Returns the status when the whole answer has been read.
    async fn exchange(&mut self) -> Result<u16, Failure> {
        let response = self.send().await?;
        self.progress.heard(response.headers());
        let status = response.status().as_u16();
        discard(response.into_body()).await?;
        Ok(status)
    }

    async fn send(&mut self) -> Result<Response<Incoming>, Failure> {
        if let Some(response) = self.send_on_open_connection().await? {
            return Ok(response);
        }
        self.progress.stage = Stage::Connecting;
        let connection = Connection::open(&self.plan.target).await?;
        self.progress.stage = Stage::Waiting;
        let connection = self.connection.insert(connection);
        let sent = connection.sender.try_send_request(self.plan.request());
        sent.await.map_err(|mut error| match error.take_message() {
            Some(_) => Failure::unused(error.error()),
            None => Failure::exchange(error.error()),
        })
    }

    /// Nothing when there is no open connection. That includes one that was closed before any byte of this
    /// request was written, which is when hyper gives the request back.
    async fn send_on_open_connection(&mut self) -> Result<Option<Response<Incoming>>, Failure> {
        let Some(connection) = &mut self.connection else {
            return Ok(None);
        };
        if !connection.is_usable().await {
            return Ok(None);
        }
        self.progress.stage = Stage::Waiting;
        let sent = connection.sender.try_send_request(self.plan.request());
        match sent.await {
            Ok(response) => Ok(Some(response)),
            Err(mut error) => match error.take_message() {
                Some(_) => Ok(None),
                None => Err(Failure::exchange(error.error())),
            },
        }
    }

    fn answered(&mut self, status: u16) -> Outcome {
        if !self.plan.keep_alive {
            self.connection = None;
        }
        Outcome::Ok { status, version: self.progress.version.take(), replica: self.progress.replica.take() }
    }

    fn failed(&mut self, failure: Failure) -> Outcome {
        self.connection = None;
        Outcome::Failed { kind: failure.kind, text: failure.text, replica: self.progress.replica.take() }
    }

    fn timed_out(&self) -> Failure {
        let doing = match self.progress.stage {
            Stage::Connecting => "connecting",
            Stage::Waiting => "waiting for the answer",
            Stage::Reading => "reading the answer",
        };
        Failure { kind: FailureKind::Timeout, text: format!("{doing} after {:?}", self.plan.timeout) }
    }
}

/// Reads a body to its end without keeping it.
async fn discard(mut body: Incoming) -> Result<(), Failure> {
    while let Some(frame) = body.frame().await {
        frame.map_err(|error| Failure::exchange(&error))?;
    }
    Ok(())
}
