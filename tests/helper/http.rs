//! A server of HTTP/1.1 that answers in several ways, and a client of it.

use crate::net::{Container, Namespace};
use crate::traffic::PORT;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(10);
/// From one piece of a response to the next.
pub const PAUSE: Duration = Duration::from_millis(400);
pub const EVENTS: usize = 4;
/// A field that is not needed.
const SERVER: &str = "Server: one of zdd's tests\r\n";

/// Listens in a container and says what it was sent, as `METHOD body`. `/slow` takes its time, `/events` comes in pieces,
/// `/chunked` ends with a trailer, `/upgrade` becomes a connection that echoes.
pub fn serve(container: &Container, port: u16) {
    serve_with(container, port, answer_all);
}

/// Listens in a container.
pub fn serve_with(container: &Container, port: u16, answer: fn(TcpStream) -> io::Result<()>) {
    let listener = container.namespace.run(move || TcpListener::bind(("::", port)).expect("it is free"));
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || answer(stream));
        }
    });
}

fn answer_all(stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    while let Some((method, path, body)) = read_request(&mut reader)? {
        let said = format!("{method} {body}");
        match path.as_str() {
            "/slow" => {
                thread::sleep(PAUSE * 2);
                respond(&mut stream, &method, &said)?;
            }
            "/events" => events(&mut stream)?,
            "/chunked" => {
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\n{SERVER}Transfer-Encoding: chunked\r\n\r\n{:x};a=b\r\n{said}\r\n0\r\nX-Sum: 1\r\n\r\n",
                    said.len()
                )?;
            }
            "/upgrade" => {
                stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\n")?;
                return io::copy(&mut reader, &mut stream).map(drop);
            }
            _ => respond(&mut stream, &method, &said)?,
        }
    }
    Ok(())
}

fn read_request(reader: &mut impl BufRead) -> io::Result<Option<(String, String, String)>> {
    let head = read_head(reader)?;
    let mut words = head.split(' ').map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(None) };
    let body = read_exactly(reader, length(&head).unwrap_or(0))?;
    Ok(Some((method, path, body)))
}

fn respond(stream: &mut TcpStream, method: &str, said: &str) -> io::Result<()> {
    let body = if method == "HEAD" { "" } else { said };
    // At once, as programs do.
    stream.write_all(
        format!("HTTP/1.1 200 OK\r\n{SERVER}Content-Length: {}\r\n\r\n{body}", said.len()).as_bytes(),
    )
}

fn chunked_head() -> String {
    format!("HTTP/1.1 200 OK\r\n{SERVER}Transfer-Encoding: chunked\r\n\r\n")
}

fn events(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(chunked_head().as_bytes())?;
    for _ in 0..EVENTS {
        stream.write_all(b"5\r\nevent\r\n")?;
        thread::sleep(PAUSE);
    }
    stream.write_all(b"0\r\n\r\n")
}

/// Empty at the end of the connection.
fn read_head(reader: &mut impl BufRead) -> io::Result<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            break;
        }
    }
    Ok(head)
}

fn length(head: &str) -> Option<usize> {
    head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok())
}

fn read_exactly(reader: &mut impl Read, length: usize) -> io::Result<String> {
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A client's connection that is kept, until the server asks to close it.
pub struct Kept(BufReader<TcpStream>);

impl Kept {
    pub fn open(from: &Namespace, to: IpAddr) -> Self {
        Self::open_at(from, to, PORT)
    }

    pub fn open_at(from: &Namespace, to: IpAddr, port: u16) -> Self {
        from.run(move || Self::from_here(to, port)).expect("it is reachable")
    }

    /// From the namespace that the thread is in.
    pub fn from_here(to: IpAddr, port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&SocketAddr::new(to, port), TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    pub fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).expect("the connection is open");
    }

    /// What is received next, or what went wrong.
    pub fn receive(&mut self, length: usize) -> String {
        read_exactly(&mut self.0, length).unwrap_or_else(|e| format!("{:?}", e.kind()))
    }

    pub fn ask(&mut self, method: &str, path: &str, body: &str) -> io::Result<String> {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: app\r\nContent-Length: {}\r\n\r\n", body.len());
        self.0.get_mut().write_all((head + body).as_bytes())?;
        self.response(method)
    }

    /// The response to what was sent.
    pub fn response(&mut self, method: &str) -> io::Result<String> {
        let head = read_head(&mut self.0)?;
        let body = match length(&head) {
            Some(length) if method != "HEAD" => read_exactly(&mut self.0, length),
            None if head.contains("chunked") => read_chunks(&mut self.0),
            _ if head.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(String::new()),
        };
        if head.contains("Connection: close ") {
            self.0.get_ref().shutdown(Shutdown::Both)?;
        }
        body
    }

    /// The body of a response; what went wrong in the place of it.
    pub fn get(&mut self, path: &str) -> String {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        self.ask("GET", path, "").unwrap_or_else(|e| match e.kind() {
            BrokenPipe | ConnectionReset | UnexpectedEof => "ended".into(),
            other => format!("{other:?}"),
        })
    }

    /// Whether the server has neither ended it nor said anything, as pools look before they use one.
    pub fn is_open(&self) -> bool {
        let stream = self.0.get_ref();
        let peeked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
        let _ = stream.set_nonblocking(false);
        peeked.is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock)
    }
}

fn read_chunks(reader: &mut impl BufRead) -> io::Result<String> {
    let mut body = String::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let size = line.trim_end().split(';').next().and_then(|size| usize::from_str_radix(size, 16).ok());
        match size.ok_or(io::ErrorKind::InvalidData)? {
            0 => break,
            size => body += &read_exactly(reader, size + 2)?[..size],
        }
    }
    let mut trailer = String::new();
    while trailer != "\r\n" {
        trailer.clear();
        if reader.read_line(&mut trailer)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(body)
}
