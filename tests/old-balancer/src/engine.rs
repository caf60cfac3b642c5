//! What the engine answers at its socket, by HTTP 1.0, which ends with the connection.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

const SOCKET: &str = "/var/run/docker.sock";

pub fn get(path: &str) -> Result<Value> {
    let mut text = String::new();
    ask(path)?.read_to_string(&mut text)?;
    serde_json::from_str(&text).context(path.to_owned())
}

/// Calls back for every event of a container, until they end.
pub fn events(mut heard: impl FnMut(&Value)) -> Result<()> {
    for line in ask("/events?filters=%7B%22type%22%3A%5B%22container%22%5D%7D")?.lines() {
        heard(&serde_json::from_str(&line?)?);
    }
    Ok(())
}

/// The body of the answer.
fn ask(path: &str) -> Result<BufReader<UnixStream>> {
    let mut stream = UnixStream::connect(SOCKET).context(SOCKET)?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n")?;
    let mut answer = BufReader::new(stream);
    let mut line = String::new();
    answer.read_line(&mut line)?;
    if line.split(' ').nth(1) != Some("200") {
        bail!("{path}: {}", line.trim_end());
    }
    while !matches!(line.as_str(), "\r\n" | "") {
        line.clear();
        answer.read_line(&mut line)?;
    }
    Ok(answer)
}
