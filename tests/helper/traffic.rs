//! Servers that say who they are, and clients that ask.

use crate::net::{Container, Namespace};
use rustix::net::{AddressFamily, SocketType};
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub const PORT: u16 = 8080;
/// Shorter than the time after which a lost SYN is sent again, which must not hide that it was lost.
const TIMEOUT: Duration = Duration::from_millis(700);

/// Listens in a container, by TCP and UDP, and answers each line with its name and the address of who asked.
pub struct Server {
    listener: TcpListener,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Server {
    pub fn start(container: &Container, name: &str) -> Self {
        Self::start_at(&container.namespace, name, PORT)
    }

    pub fn start_at(namespace: &Namespace, name: &str, port: u16) -> Self {
        let bind = move || {
            let any = (Ipv6Addr::UNSPECIFIED, port);
            (TcpListener::bind(any).expect("it is free"), UdpSocket::bind(any).expect("it is free"))
        };
        let (listener, udp) = namespace.run(bind);
        let server = Self { listener, open: Arc::default() };
        let (accepting, open) = (server.listener.try_clone().expect("it can"), server.open.clone());
        let (tcp_name, udp_name) = (name.to_owned(), name.to_owned());
        thread::spawn(move || accept(&accepting, &open, &tcp_name));
        thread::spawn(move || answer_datagrams(&udp, &udp_name));
        server
    }

    /// Listens no longer.
    pub fn close(&self) {
        rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both).expect("it listens");
    }

    /// Ends as a program does that exits: every connection with what is in it.
    pub fn exit(&self) {
        self.close();
        for stream in self.open.lock().expect("no panic").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Ends every connection at once, with a reset.
    pub fn reset(&self) {
        for stream in self.open.lock().expect("no panic").drain(..) {
            abort(&stream);
        }
    }

    /// Connections that were accepted, in all.
    pub fn accepted(&self) -> usize {
        self.open.lock().expect("no panic").len()
    }
}

fn accept(listener: &TcpListener, open: &Mutex<Vec<TcpStream>>, name: &str) {
    while let Ok((stream, peer)) = listener.accept() {
        open.lock().expect("no panic").push(stream.try_clone().expect("it can"));
        let name = name.to_owned();
        thread::spawn(move || answer_lines(stream, &name, peer.ip().to_canonical()));
    }
}

fn answer_lines(stream: TcpStream, name: &str, peer: IpAddr) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        writeln!(writer, "{name} {peer}")?;
        line.clear();
    }
    // `Server::open` has it too.
    writer.shutdown(Shutdown::Both)
}

fn answer_datagrams(socket: &UdpSocket, name: &str) {
    let mut buffer = [0; 64];
    while let Ok((_, peer)) = socket.recv_from(&mut buffer) {
        let _ = socket.send_to(format!("{name} {}", peer.ip().to_canonical()).as_bytes(), peer);
    }
}

/// Ends a connection with a reset, whoever else holds it.
pub fn abort(stream: &TcpStream) {
    rustix::net::connect_unspec(stream).expect("it is a connection");
}

/// A client's connection.
pub struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    /// From a namespace to an address.
    pub fn open(from: &Namespace, to: IpAddr) -> io::Result<Self> {
        Self::open_at(from, to, PORT)
    }

    pub fn open_at(from: &Namespace, to: IpAddr, port: u16) -> io::Result<Self> {
        from.run(move || Self::from_here(to, port))
    }

    /// From the namespace that the thread is in.
    pub fn from_here(to: IpAddr, port: u16) -> io::Result<Self> {
        TcpStream::connect_timeout(&SocketAddr::new(to, port), TIMEOUT).and_then(Self::over)
    }

    /// From a port of the client's choice.
    pub fn open_from(from: &Namespace, port: u16, to: IpAddr) -> io::Result<Self> {
        from.run(move || {
            let (family, any) = match to {
                IpAddr::V4(_) => (AddressFamily::INET, IpAddr::from([0; 4])),
                IpAddr::V6(_) => (AddressFamily::INET6, IpAddr::from([0; 16])),
            };
            let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
            rustix::net::bind(&socket, &SocketAddr::new(any, port))?;
            rustix::net::connect(&socket, &SocketAddr::new(to, PORT))?;
            Self::over(socket.into())
        })
    }

    fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    /// Who answers, and whom it sees.
    pub fn ask(&mut self) -> io::Result<String> {
        self.reader.get_mut().write_all(b"who\n")?;
        self.answer()
    }

    /// Who answers what was asked before.
    pub fn line(&mut self) -> String {
        self.answer().map_or_else(|e| format!("{:?}", e.kind()), |line| first(&line))
    }

    fn answer(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.reader.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }

    /// Only who answers; what went wrong in the place of it.
    pub fn who(&mut self) -> String {
        self.ask().map_or_else(|e| format!("{:?}", e.kind()), |line| first(&line))
    }

    pub fn stream(&self) -> &TcpStream {
        self.reader.get_ref()
    }
}

fn first(line: &str) -> String {
    line.split(' ').next().unwrap_or_default().to_owned()
}

/// Who answers a new connection; what went wrong in the place of it.
pub fn who(from: &Namespace, to: IpAddr) -> String {
    from.run(move || who_from_here(to))
}

fn who_from_here(to: IpAddr) -> String {
    Connection::from_here(to, PORT).map_or_else(|e| format!("{:?}", e.kind()), |mut c| c.who())
}

/// Asks without pause who is at an address.
pub struct Asking {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<BTreeMap<String, usize>>,
}

impl Asking {
    pub fn start(from: &Namespace, to: IpAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let ask = move || {
            let mut answers = BTreeMap::new();
            while !stopped.load(Relaxed) {
                *answers.entry(who_from_here(to)).or_default() += 1;
            }
            answers
        };
        Self { stop, thread: from.enter(ask) }
    }

    /// Who has answered, how often.
    pub fn end(self) -> BTreeMap<String, usize> {
        self.stop.store(true, Relaxed);
        self.thread.join().expect("it does not panic")
    }
}

/// Who answers a datagram.
pub fn who_by_udp(from: &Namespace, to: IpAddr) -> String {
    let ask = move || -> io::Result<String> {
        let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0))?;
        socket.set_read_timeout(Some(TIMEOUT))?;
        socket.connect((to, PORT))?;
        socket.send(b"who")?;
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer)?;
        Ok(first(&String::from_utf8_lossy(&buffer[..length])))
    };
    from.run(ask).unwrap_or_else(|e| format!("{:?}", e.kind()))
}

/// The source that a server sees.
pub fn seen_from(from: &Namespace, to: IpAddr) -> String {
    let answer = Connection::open(from, to).and_then(|mut c| c.ask());
    answer.map_or_else(
        |e| format!("{:?}", e.kind()),
        |line| line.split(' ').nth(1).unwrap_or_default().to_owned(),
    )
}
