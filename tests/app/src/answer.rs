//! What each address answers.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::channel::{Channel, Sender};
use http_body_util::{BodyExt, Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, HeaderValue, UPGRADE};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, interval, sleep};

use crate::app::App;
use crate::gauge::Held;

/// A whole text, or chunks over time.
pub type Body = Either<Full<Bytes>, Channel<Bytes>>;
type Answer = Response<Body>;

const CHUNK_EVERY: Duration = Duration::from_millis(100);
const ECHO: HeaderValue = HeaderValue::from_static("echo");

/// Answers one request. Fails only when its body cannot be read: the client has gone, and so should the connection.
pub async fn answer(app: Arc<App>, request: Request<Incoming>) -> Result<Answer, hyper::Error> {
    let held = app.requests.enter();
    let mut answer = route(&app, request, held).await?;
    let headers = answer.headers_mut();
    headers.insert("x-version", app.version_header());
    headers.insert("x-replica", app.replica_header());
    Ok(answer)
}

async fn route(app: &App, request: Request<Incoming>, held: Held) -> Result<Answer, hyper::Error> {
    let path = request.uri().path().to_owned();
    Ok(match path.as_str() {
        "/health" => health(app),
        "/" | "/work" => return work(app, request).await,
        "/stream" => with_milliseconds(app, &request, |time| stream(time, held)),
        "/ws" => echo(app, request, held),
        _ => text(StatusCode::NOT_FOUND, "no such address\n"),
    })
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Either::Left(Full::new(body.into())));
    *answer.status_mut() = status;
    answer
}

fn health(app: &App) -> Answer {
    match app.complaint() {
        None => text(StatusCode::OK, "ok\n"),
        Some(complaint) => text(StatusCode::SERVICE_UNAVAILABLE, complaint + "\n"),
    }
}

/// `/` and `/work`: the whole body is read, then time passes, then it answers.
async fn work(app: &App, request: Request<Incoming>) -> Result<Answer, hyper::Error> {
    let (head, body) = request.into_parts();
    let time = match head.uri.path() {
        "/" => Some(app.config.work),
        _ => milliseconds(head.uri.query()),
    };
    let fails = head.uri.path() == "/" && app.next_root_request_fails();
    let length = length(body).await?;
    let Some(time) = time else {
        return Ok(wants_milliseconds());
    };
    sleep(time).await;
    let answer = match head.method {
        Method::GET => worked(app, fails),
        Method::POST => with_length(worked(app, fails), length),
        _ => text(StatusCode::METHOD_NOT_ALLOWED, "only GET and POST\n"),
    };
    Ok(last_if_draining(app, answer))
}

/// Counts the bytes of a body without keeping them.
async fn length(mut body: Incoming) -> Result<usize, hyper::Error> {
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        length += frame?.data_ref().map_or(0, Bytes::len);
    }
    Ok(length)
}

fn worked(app: &App, fails: bool) -> Answer {
    if fails {
        return text(StatusCode::INTERNAL_SERVER_ERROR, "failed on purpose\n");
    }
    let body = format!("version={} replica={}\n", app.config.version, app.replica);
    text(StatusCode::OK, body)
}

fn with_length(mut answer: Answer, length: usize) -> Answer {
    answer.headers_mut().insert("x-body-length", length.into());
    answer
}

/// Asks the client to come back on a new connection, which a proxy then gives to another replica.
fn last_if_draining(app: &App, mut answer: Answer) -> Answer {
    if app.config.drain_close && app.draining().is_some() {
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(CONNECTION, close);
    }
    answer
}

fn with_milliseconds(
    app: &App,
    request: &Request<Incoming>,
    answer: impl FnOnce(Duration) -> Answer,
) -> Answer {
    match milliseconds(request.uri().query()) {
        Some(time) => last_if_draining(app, answer(time)),
        None => wants_milliseconds(),
    }
}

fn wants_milliseconds() -> Answer {
    text(StatusCode::BAD_REQUEST, "want ?ms=MILLISECONDS\n")
}

fn milliseconds(query: Option<&str>) -> Option<Duration> {
    let mut pairs = query?.split('&');
    let number = pairs.find_map(|pair| pair.strip_prefix("ms="))?;
    number.parse().ok().map(Duration::from_millis)
}

fn stream(time: Duration, held: Held) -> Answer {
    let (sender, body) = Channel::new(1);
    tokio::spawn(chunks(sender, time, held));
    Response::new(Either::Right(body))
}

/// A chunk at once and every 100 ms, then, at the first such tick after `time`, the one that tells the client
/// it has got everything. Ends early when the client has gone.
async fn chunks(mut sender: Sender<Bytes>, time: Duration, _held: Held) {
    let end = Instant::now() + time;
    let mut ticks = interval(CHUNK_EVERY);
    while ticks.tick().await < end {
        if sender.send_data(Bytes::from("chunk\n")).await.is_err() {
            return;
        }
    }
    let _ = sender.send_data(Bytes::from("end\n")).await;
}

fn echo(app: &App, request: Request<Incoming>, held: Held) -> Answer {
    let asked = request.headers().get(UPGRADE) == Some(&ECHO);
    let mut answer = if asked {
        let held = [held, app.connections.enter()];
        tokio::spawn(echo_until_closed(request, held));
        text(StatusCode::SWITCHING_PROTOCOLS, "")
    } else {
        text(StatusCode::UPGRADE_REQUIRED, "want Upgrade: echo\n")
    };
    answer.headers_mut().insert(UPGRADE, ECHO);
    let upgrade = HeaderValue::from_static("upgrade");
    answer.headers_mut().insert(CONNECTION, upgrade);
    answer
}

/// Holds the connection's place in the count, because hyper lets go of a connection once it is upgraded.
async fn echo_until_closed(request: Request<Incoming>, _held: [Held; 2]) {
    let Ok(upgraded) = hyper::upgrade::on(request).await else {
        return;
    };
    let (mut reader, mut writer) = tokio::io::split(TokioIo::new(upgraded));
    let _ = tokio::io::copy(&mut reader, &mut writer).await;
}
